/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Work that ashlard gives to a process that ends: `ashlar-worker VERB` with one JSON object on stdin.
 * On stdout come lines of JSON: {"progress":{"step":"objects","done":1,"total":9}} as work goes on,
 * and last {"result":{…}} or {"error":{"word":"space","text":"…","domain":…,"code":N}}. Exit code 0
 * with a result, 1 with an error. So libostree and its memory are there only while there is work.
 *
 * Every verb may be killed at any instant and given again; it then goes on or begins anew, and ends
 * in the same state.
 *
 * verb      input                                   result
 * inspect   {}                                      AshJobSystem, below
 * verify    {"now":S,"wanted":V|null,               {"release":<document>|null,"is_recall":B,
 *            "bad":{"COMMIT":"bad"|"held"},          "refusals":[{"version","commit","reason","text"}],
 *            "name","variant","arch",                "tuf":{"root":N,…},"newest_signed":S,
 *            "version","commit"}                     "expires":S}
 *           Runs lib/tuf.h over the staging directory with ashlard's own trusted metadata. "expires" is
 *           the first instant at which some of it ends; "newest_signed" the latest that a signed
 *           document is from (0: none was read), for the clock's floor.
 *           May have "workloads":[{"name":N,"version":V|""}] too: then the result has "workloads", as that
 *           of workload-verify, or "workloads_error":TEXT.
 * plan      {"release":<document>}                  {"method":"delta"|"objects"|"present",
 *                                                    "delta":<delta>|null,"bytes":N}
 *           Space is checked: error word "space" with the exact figures.
 * import    {"release":…,"method":…,"delta":…}      {"bytes":N,"objects":N}
 *           Staged bytes into the repository, every object verified.
 * deploy    {"release":…,"tries":3}                 {"entry":FILE}
 *           Checkout, /etc, links, ESP, entry: after it, the next boot is a trial of the commit.
 * switch    {"commit":C}                            {"entry":FILE}      to an older deployment
 * bless     {"commit":C}                            {}                  takes the counter away
 * condemn   {"commit":C}                            {}                  no tries left
 * clean     {"keep":[C…],"staging":B}               {"bytes":N}         all other deployments go
 * check     {"commit":C}                            {"objects":N,"bad":[…]}   reads and hashes
 * bundle    {"path":P}                              {"staging":DIR}     unpacks one file
 * image-*   images of workloads: agent/workload/image-import.h
 * workload-verify   {"now":S,"wanted":[{"name":N,   {"workloads":[…]}   see agent/verify-workload.h
 *                    "version":V|""}]}
 *
 * verify, workload-verify, plan and import may name "staging":DIR, another directory than ASH_PATH_STAGING of the same
 * shape: what `bundle` unpacked lies in ASH_PATH_BUNDLE, because root must not write where the user
 * ashlar-link could put links. The word in "why" of untrusted: lib/tuf.h's, or "document" (path, custom
 * and document of a target disagree), "no-root" (the image has no root.json).
 *
 * Error words: space, missing (staged content is not there), corrupt (object named), delta (the delta
 * cannot be applied: take objects), untrusted (with a TUF word in "why"), wrong-variant, wrong-arch,
 * esp, no-root, cancelled, no-fallback (of `condemn`: nothing else could boot; nothing was changed),
 * kernel (of `deploy`: the firmware would not start it, on any host), image (of `image-import`: no try does
 * better), failed.
 */

enum {
	ASH_JOB_MAX_INPUT_BYTES = 4 << 20,
	ASH_JOB_MAX_LINE_BYTES = 4 << 20,
};

typedef struct {
	char *commit;
	char *version, *name, *variant, *arch; /* of the commit's metadata; "" when it has none */
	unsigned serial;
	bool is_booted;
	char *entry;    /* file on the ESP, NULL: none */
	int tries_left; /* of the entry; -1: not counted */
	int tries_done;
	uint32_t generation;
} AshJobDeployment;

/* The result of `inspect`: {"booted":COMMIT|"", "deployments":[{…fields as above…}] in the order in
 * which the boot loader would try them, those without an entry last, "root":{"free_bytes","free_inodes",
 * "bytes"}, "esp":{"free_bytes","bytes"}}.
 */
typedef struct {
	char *booted;           /* commit, from the kernel's command line; "" when it names none */
	GPtrArray *deployments; /* AshJobDeployment */
	uint64_t root_free_bytes, root_free_inodes, root_bytes, esp_free_bytes, esp_bytes;
} AshJobSystem;

void ash_job_deployment_free(AshJobDeployment *deployment);
AshJobSystem *ash_job_system_new(void);
/* Members into the open object. */
void ash_job_system_format(const AshJobSystem *system, JsonBuilder *builder);
/* Of a result's text, {"booted":…}; texts that are not there are "". */
gboolean ash_job_system_parse(const char *json, AshJobSystem **out_system, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_job_system_free(AshJobSystem *system);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshJobSystem, ash_job_system_free)
