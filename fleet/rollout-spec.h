/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What a rollout is to do, as an operator writes it (SPEC of the HTTP API) and as it is kept. PURE.
 *
 * An operator's document becomes a spec by ash_rollout_spec_parse; who creates the rollout sets id, commit, version and
 * calls ash_rollout_spec_plan once, which makes the table of limits. From then on the spec does not change: what
 * ash_rollout_spec_format writes has the table in it, and reading it back does not compute it anew.
 */

#define ASH_ROLLOUT_SPEC_ERROR (ash_rollout_spec_error_quark())
GQuark ash_rollout_spec_error_quark(void);
typedef enum {
	ASH_ROLLOUT_SPEC_ERROR_INVALID, /* names the member and what it may be */
} AshRolloutSpecError;

enum {
	ASH_ROLLOUT_MAX_BUDGETS = 4,
	ASH_ROLLOUT_MAX_RINGS = 40,
	ASH_ROLLOUT_MAX_WINDOWS = 16,
	ASH_ROLLOUT_MAX_HOSTS = 1 << 26,
	ASH_ROLLOUT_MAX_SPEC_BYTES = 64 << 10,
	ASH_ROLLOUT_MAX_TEXT = 256, /* bytes of a name, a reason, a label's value */
};

typedef struct {
	char *label; /* hosts with one value of it are one group; hosts without it are in none */
	unsigned max, percent; /* the one or the other: so many at most between assigned and settled; of a
				* percentage of the group's candidates at least one */
} AshRolloutBudget;

/* "At m hosts, the f-th failure stops it." */
typedef struct {
	uint32_t m, f;
} AshRolloutLimit;

typedef struct {
	char *id; /* 12 letters and digits; "" until it is created */
	char *name;
	char *release;          /* as the operator wrote it: NAME/VERSION, VERSION or id */
	char *commit, *version; /* of the release; "" until it is created */
	char *selector, *channel, *canaries; /* "" */
	/* Of a workload: the assignment that it moves, of which workload, and from which version; commit is the hash of
	 * the definition, and release is empty. "" of a release.
	 */
	char *assignment, *workload, *from;
	double tolerated, alpha; /* p0, α; both 0.01 */
	unsigned first, growth;  /* 4; 2 to 10: 2 careful, 4 normal, 10 urgent */
	int64_t soak_s;          /* 300: healthy for so long is confirmed */
	int64_t deadline_s; /* 5400: after its reboot, or since it was last heard of, then it is silent */
	int64_t begin_s; /* 86400: after the offer, for hosts that say that they are there but never reboot */
	int64_t lapse_s; /* 900: an assigned host that did not come for it */
	int64_t patience_s; /* 86400: how long only hosts that are not heard of keep it from finishing */
	int64_t ring_pause_s;   /* 0: after a ring has settled */
	unsigned max_in_flight; /* 0: no limit */
	GPtrArray *budgets;     /* AshRolloutBudget */
	char **windows;         /* texts of lib/window.h; empty: the host's own, or its policy's */
	bool reverts;           /* on_halt */
	GArray *table;          /* AshRolloutLimit, by ring; empty until planned */
} AshRolloutSpec;

AshRolloutSpec *ash_rollout_spec_new(void); /* the defaults */
void ash_rollout_spec_free(AshRolloutSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRolloutSpec, ash_rollout_spec_free)

/* The members of SPEC ("name", "release", … of the API) and, of what was kept, "id", "commit", "version", "workload",
 * "from", "table". One of "release" and "assignment" is there.
 * Unknown members and values out of range are ASH_ROLLOUT_SPEC_ERROR_INVALID. Selectors are not looked into.
 */
gboolean ash_rollout_spec_parse(JsonObject *object, AshRolloutSpec **out_spec, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_rollout_spec_parse_text(const char *text, AshRolloutSpec **out_spec, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* One line of JSON, the same for the same spec. */
char *ash_rollout_spec_format(const AshRolloutSpec *spec);

/* The table. Ring 1 holds all @canaries, or 'first' hosts when there are none; each ring after it is 'growth' times as
 * large, and 'first' at least; the ring that would hold more than @hosts ends there, and further ones follow for hosts
 * that join later. @hosts: candidates now, @canaries: of them.
 */
void ash_rollout_spec_plan(AshRolloutSpec *spec, uint32_t hosts, uint32_t canaries);

/* f*(m): the least number of failures among @m hosts that refutes "at most @tolerated fail" at @alpha, by the mixture
 * of likelihood ratios of reference §3.6 (p0 × 1.5 … 50, at most 0.9). m + 1 when none does.
 */
uint32_t ash_rollout_limit_of(double tolerated, double alpha, uint32_t m);
