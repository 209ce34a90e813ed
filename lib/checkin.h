/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a host and its fleet say to each other: JSON over HTTPS (TLS 1.3), all paths below the fleet's address.
 * ashlar-link speaks it on the host, fleet/ answers it. Unknown members are ignored on both sides; times are seconds
 * since 1970, UTC; texts hold no NUL and no control characters but newline.
 *
 * The server is not trusted with what runs: it names releases, and the host takes them only when they are signed
 * (lib/tuf.h) and its own rules allow them.
 *
 * POST /v1/join                              without a client certificate
 *	{"token":"ID.SECRET","csr":PEM,"name":HOSTNAME,"instance":I,"facts":{…}}
 *   The CSR holds an ECDSA P-256 key and is signed by it; all its names are ignored. host id = SHA-256 of its
 *   SubjectPublicKeyInfo (DER), 64 digits.
 *	200 {"id":ID,"certificate":PEM,"ca":PEM}      joined; again with the same key: the same host, a new certificate,
 *	                                               and no further use of the token
 *	202 {"id":ID,"state":"pending","next":S}      waits for approval: ask again after S seconds, the same way
 *	403 kind "token" (unknown, used up, ended, revoked) or "retired"
 *
 * POST /v1/renew {"csr":PEM}                 with the certificate that still holds; same key or a new CSR of it
 *	200 {"certificate":PEM,"ca":PEM}
 *   At two thirds of its life. A host whose certificate has ended joins again with its key: known keys need no token
 *   while the host is neither retired nor held.
 *
 * POST /v1/checkin                           with the certificate
 *	{"seq":N,              larger than in every check-in before that was answered; the same N again: the same check-in
 *	 "instance":I,         32 random hexadecimal digits kept beside the key; a copied disk has the same one…
 *	 "boot":BOOT_ID,       …so a clone shows as two boots that take turns, or as a seq that falls behind
 *	 "wait":S,             willing to be answered so late; 0: at once
 *	 "have":N,             "desired" of the answer that it last took in; 0: none
 *	 "state":{…},          left out when the same as in the last one that was acknowledged; below
 *	 "health":{…},         GetHealth of agent/report.h; likewise
 *	 "facts":{…},          likewise
 *	 "events":[{"id":N,"at":S,"event":E,"version":V,"commit":C,"word":W,"text":"…","boot":B}],
 *	                       agent/report.h's history behind the last acknowledged id, oldest first, at most
 *	                       ASH_CHECKIN_MAX_EVENTS
 *	 "workloads":{…},      likewise; below
 *	 "orders":[{"id":N,"ok":B,"text":"…"}],    orders that have ended
 *	 "logs":[{"order":N,"lines":["…"],"more":B}],   lines for an order workload-logs; "more": others follow. At most
 *	                       ASH_CHECKIN_MAX_LOGS as text; not kept
 *	 "journal":{"version":V,"at":S,"text":"…"}}   once after a failed update: its end, at most ASH_CHECKIN_MAX_JOURNAL
 *
 *	"state": {"state":…,"since":T,"detail":…,"booted":{commit,version,name,variant,arch},"verdict":…,
 *	 "verdict_reason":…,"target":{version,commit,method,bytes},"available":{version,commit},"trial":{…},
 *	 "deployments":[{commit,version,booted,good,pinned}],"failed":[{commit,version,kind,reason}],"degraded":…,
 *	 "root_version":N,"blocker":"…","agent":"0.1.0"}: of GetStatus and Why (agent/report.h), those members alone that
 *	 do not change by themselves. "done" of a download is not among them.
 *
 *	"workloads": {"items":[{"name","version","origin":"local"|"signed","state","ready":B,"text","target":V,"phase",
 *	 "isolation","effective","score":N,"restarts":N,"failed":[{"version","reason","at"}],
 *	 "instances":[{"name","state","ready":B,"text","address"}]}],
 *	 "missing":[{"name","version","word","text"}],"cut":B}: what runs there, wanted by the fleet or by its owner, as
 *	 agent/workload/api.h has it, but for what changes by itself (since, pid). "missing": wanted by the fleet, and not
 *	 there: word is not-found, untrusted, lower, refused, image, failed, owner, source (it has none, or it does not
 *	 answer), runtime (nothing runs workloads there) or another; after untrusted and refused the host does not try
 *	 this version again by itself. At most ASH_CHECKIN_MAX_WORKLOADS as text, for which the sender
 *	 cuts "instances", then "failed", and says "cut"; at most ASH_CHECKIN_MAX_WORKLOAD_ITEMS of each list.
 *
 *	200 {"seq":N,          acknowledged: it is on disk
 *	     "event":N,        the last event that is on disk: events up to it need not be sent again
 *	     "need":["state","health","facts","workloads"],   the server lacks them: send them next time, soon
 *	     "next":S,         check in again after so many seconds; 0 after a wait: at once, to wait again. A host that
 *	                       has something to say says it with wait 0, so that it is acknowledged at once, and then
 *	                       comes to wait whatever "next" was, unless its last wait was answered with a "next"
 *	     "desired":N,      and, when it is not "have":
 *	     "release":{"name","variant","arch","version","commit","verb":"update"|"return"}|null,
 *	                       null: stay with what runs. update: get it from the source and take it when the host's
 *	                       windows allow. return: go back to that deployment now, by Rollback; without it, stay
 *	     "hold":"…",       an operator holds the host: why nothing new is to be begun; left out: it may. What it says
 *	                       is taken in all the same, and orders reach it
 *	     "windows":["02:00-05:00 Europe/Zurich"],    instead of the host's own; left out: its own rule
 *	     "workloads":[{"name","version","parameters":{NAME:TEXT}}]|null,
 *	                       all that the fleet wants to run there, at most ASH_CHECKIN_MAX_WANTED: null: it manages
 *	                       none; []: none, and what came from the fleet before is removed, its volumes are kept.
 *	                       With "hold" what is here that the host does not run yet is not begun. Values are texts as
 *	                       a definition's "default"s are ("3", "true"). Members "assignment", "rollout" say why
 *	     "orders":[{"id":N,"verb":V,"argument":A}]}  until each has been answered
 *	   verbs: check, reboot, forgive (argument: commit, version, all), forget (its fleet: the host leaves),
 *	          journal (send the end of the journal now), facts (send all of state, health, facts, workloads),
 *	          workload-start, workload-stop, workload-restart (argument: NAME or NAME/INSTANCE),
 *	          workload-forgive (argument: "NAME VERSION" or "NAME all"),
 *	          workload-logs (argument: "NAME[/INSTANCE] LINES SECONDS [ORDER]": the last LINES, at most
 *	          ASH_CHECKIN_MAX_LOG_LINES, then what comes for SECONDS, at most ASH_CHECKIN_MAX_LOG_S, sent about each
 *	          second by check-ins with wait 0; then the order has ended. An order workload-logs that is under way
 *	          and is not among "orders" of an answer, or there are none, was dropped: stop. ORDER: one that is
 *	          under way for the same; this one takes its place, without a line lost or sent twice, and that
 *	          one has ended. When it is not under way any more this one begins by itself)
 *	403 kind "held" (two machines have its identity; ask again by "next"), "retired" (stop asking), "revoked"
 *	409 kind "seq": smaller than one that was acknowledged; {"seq":N} says which
 *
 * Errors: {"kind":K,"text":"a sentence","next":S} with the status; 400 kind "request" says which member; 413 too big;
 * 429 and 503 with Retry-After, which rules over the client's own patience.
 */

enum {
	ASH_CHECKIN_MAX_BYTES = 256 << 10, /* of a request's body; an answer's too */
	ASH_CHECKIN_MAX_DEPTH = 12,
	ASH_CHECKIN_MAX_EVENTS = 100,
	ASH_CHECKIN_MAX_JOURNAL = 32 << 10,
	ASH_CHECKIN_MAX_FACTS = 100,
	ASH_CHECKIN_MAX_TEXT =
			1024, /* of a name, reason or detail; longer ones are cut by the sender */
	ASH_CHECKIN_MAX_CSR = 8 << 10,
	ASH_CHECKIN_MAX_WAIT_S = 300,
	ASH_CHECKIN_MAX_WORKLOADS = 64 << 10, /* "workloads" of a request, as text */
	ASH_CHECKIN_MAX_WORKLOAD_ITEMS = 128, /* of each of its lists, those within them too */
	ASH_CHECKIN_MAX_WANTED = 64,          /* "workloads" of an answer */
	ASH_CHECKIN_MAX_LOGS = 64 << 10,      /* "logs" of a request, as text */
	ASH_CHECKIN_MAX_LOG_LINES = 1000,
	ASH_CHECKIN_MAX_LOG_S = 300,
};

/* Facts (lower-case, dots between): hostname, machine, product, vendor, virt, cpus, memory (bytes), kernel, arch, boot
 * (id), booted_at, address, disk.root, disk.root_free, agent. Values are texts or integers.
 */
