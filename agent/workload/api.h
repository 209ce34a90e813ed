/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What goes over org.ashlar.Workload1 (agent/bus-workload.h): method, request → answer. A member that is
 * missing counts as not said; who reads an answer lets pass what it does not know.
 *
 *	List     {}                                  → {"workloads": [WORKLOAD…]}
 *	Status   {"name": N}                         → WORKLOAD, with "instances", "volumes", "networks"
 *	Run      {"definition": TEXT, "file": F}     writes /etc/ashlar/workloads.d/NAME.yaml, starts it; with
 *	                                             "only-new": true not in the place of another of its name
 *	         {"name": N, "version": V}           a signed definition that is on this host, this version of it
 *	                                             or the newest; one that is not here is wanted from now on,
 *	                                             and the next check brings it → {"name", "version", "state"}
 *	Start    {"name": N}, Stop, Restart          → {"name", "state"}; what happens then is told by events.
 *	                                             Restart takes an INSTANCE ("web@2") too, the others go on
 *	Remove   {"name": N, "volumes": false}       → {"name", "state"}
 *	Forgive  {"name": N, "version": V or "all"}  → {"name", "state"}
 *	Reload   {}                                  reads definitions, routes and parameters again → {}
 *	Want     {"workloads": [{"name", "version", "parameters": {N: TEXT}}]}
 *	                                             all that the fleet wants, from ashlard. What came from it before
 *	                                             and is not in the list is removed, volumes kept; then as Reload →
 *	                                             {"refused": [{"name", "version", "word", "text"}],
 *	                                             "removed": [NAME…]}. Words: missing (no such signed definition is
 *	                                             here), owner (a local one of that name counts before it), refused
 *	                                             (with these parameters it is none). What ran of it goes on
 *	Exec     {"name": INSTANCE}                  → {"instance", "dir", "program"}: the caller, root, runs
 *	                                             PROGRAM exec DIR -- COMMAND itself
 *	Logs     {"name": INSTANCE, "lines": 100}    → {"instance", "unit" or "file", "lines": [TEXT…]}; with
 *	                                             "where": true without lines: who asks follows it itself
 *	Train    {"name": N, "recording": true,      starts it again, recording; false: ends that, as the time
 *	          "seconds": 3600}                   does, and the daemon's own end →
 *	                                             {"name", "recording", "calls": [NAME…],
 *	                                             "refused": [NAME…], "file", "definition"}
 *	Report   {"name": N}                         → {"name", "version", "isolation", "effective", "score",
 *	                                             "words", "grants": [{"kind", "name", "text", "points"}]}
 *	Graph    {}                                  → {"nodes": [{"name", "state"}], "edges": [{"from", "to",
 *	                                             "service", "kind": "route"|"call"|"after"|"network"}],
 *	                                             "missing": [{"from", "service"}]}
 *	Diff     {"name": N}                         what its pending version would change; or
 *	         {"old": TEXT, "new": TEXT}          two definitions → {"from", "to", "is-wider",
 *	                                             "changes": [{"kind", "name", "from", "to", "is-wider"}]}
 *
 *	Pending  {}                                  calls that wait for a decision → {"pending": [{"id", "service",
 *	                                             "argument", "source", "target", "since": seconds}]}
 *	Answer   {"id": I, "allow": bool}            → {"id", "allow"}
 *
 * WORKLOAD: {"name", "version", "state": a word of ash_machine_word, "ready": bool, "wanted": bool,
 * "required": bool, "scope", "origin": "local"|"signed", "isolation", "effective" (of what runs), "image", "digest",
 * "text": why it does not go on, "target": VERSION that is on its way, "phase": ash_machine_state_text,
 * "restarts", "since": RFC 3339, "failed": [{"version", "reason", "at"}],
 * "instances": [{"name", "state", "ready", "text", "pid", "restarts", "since", "address",
 * "health": [{"name", "passing", "text"}]}], "volumes": [{"name", "instance", "size": what it holds, "asked" by the
 * definition, "path"}]}. "state" is "undefined" where there is no definition that could be started.
 *
 * The signal Event: {"event": one of AshMachineNote's, "workload", "instance", "version", "text", "at"}
 *
 * Errors: NotFound (no such workload), WrongState, InvalidArgument (a definition: FILE:LINE:COLUMN: …),
 * AccessDenied, Failed.
 */

/* /run/ashlar/workload/status.json, replaced whenever something changes (0644), upon which the signal Changed is sent:
 * {"required": N, "ready": N, "failed": N, "workloads": [{…}]} with these of WORKLOAD: "name", "version", "state",
 * "phase", "ready", "wanted", "required", "origin", "isolation", "effective", "text", "target", "restarts", "failed",
 * "instances": [{"name", "state", "ready", "text", "address"}], and "score" of Report. The host's trial, 'ashlarctl
 * status' and the report to the fleet come from it, so that nobody has to be asked.
 */
#define ASH_WORKLOAD_STATUS_FILE "/run/ashlar/workload/status.json"
#define ASH_WORKLOAD_STATUS_MAX_BYTES (4 << 20)

/* Made by ashlard at its start where workloads have run before: who finds it and no status file knows that
 * ashlar-workloadd has not begun, without the right to look at definitions.
 */
#define ASH_WORKLOAD_EXPECTED_FILE "/run/ashlar/workload-expected"
