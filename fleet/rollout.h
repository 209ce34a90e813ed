/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A release going to a set of hosts in rings that stop by themselves. PURE: no clock, no disk; what goes in and what
 * is decided is a ledger of lines, and whoever feeds the same lines in gets the same decisions, byte for byte.
 *
 * Sources of the rules: rank = first 8 bytes of SHA-256(rollout id ‖ 0x00 ‖ host id as 64 digits), canaries before the
 * rest; ring limits first, first × growth, …; outcome of each host that was offered the release; halt when
 * failed + silent ≥ f*(m) with the mixture test of Ville's inequality (see ash_rollout_table). Open hosts count as
 * good, so no order of arrival can cause a false halt.
 *
 * A host goes: waiting → assigned (decided; its limit is used up) → offered (its check-in was answered with the release)
 * → confirmed | failed | silent. An assigned host that does not come for it within 'lapse' is withdrawn, which gives the
 * place to the next; it may be assigned again later. 'already': it ran the release before its turn came; not counted.
 */

typedef enum {
	ASH_ROLLOUT_WAITING,
	ASH_ROLLOUT_ALREADY,
	ASH_ROLLOUT_ASSIGNED,
	ASH_ROLLOUT_OFFERED,
	ASH_ROLLOUT_CONFIRMED,
	ASH_ROLLOUT_FAILED,
	ASH_ROLLOUT_SILENT,
	ASH_ROLLOUT_RETURNED, /* reverting: it is back */
	ASH_ROLLOUT_GONE, /* retired, held, or no longer of the selector, before it was offered */
} AshRolloutOutcome;

typedef enum {
	ASH_ROLLOUT_RUNNING,
	ASH_ROLLOUT_PAUSED,    /* by an operator, or by the canary guard; resumes with a reason */
	ASH_ROLLOUT_HALTED,    /* by the rule; hold */
	ASH_ROLLOUT_REVERTING, /* those that took it are sent back, by the same rings, fast */
	ASH_ROLLOUT_FINISHED,
	ASH_ROLLOUT_CANCELLED,
} AshRolloutState;

typedef struct {
	char *label;           /* hosts with one value of it are one group */
	unsigned max, percent; /* the one or the other: so many at most between assigned and settled */
} AshRolloutBudget;

typedef struct {
	char *id;
	char *commit, *version;
	double tolerated, alpha; /* p0, α: 0.01 */
	unsigned first, growth;  /* 4; 2, 4 or 10 */
	int64_t soak_s, deadline_s, lapse_s, ring_pause_s;
	unsigned max_in_flight; /* 0: none */
	GPtrArray *budgets;     /* AshRolloutBudget */
	bool reverts;           /* on halt */
} AshRolloutSpec;
