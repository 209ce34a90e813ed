/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/assignment.h"
#include "fleet/why.h"

/* Why does this host not run this workload as it should? fleet/why.h's chain for one workload. PURE. */

typedef struct {
	/* Its host, book, now_s, reason; and the rollout of its assignment that has not ended (rollout, rollout_name,
	 * rollout_why), where that is asked about.
	 */
	AshWhyFacts of;
	const char *name;
	const AshAssignment *assignment; /* that counts there; NULL: none */
	const char *wanted;              /* the version of fleet/wanted.h; "": none */
	const char *rollout_version;     /* "" without one */
	/* Of its report; "": */
	const char *state, *phase, *text, *target, *missing_text, *failed_reason;
} AshWorkloadWhyFacts;

void ash_workload_why(const AshWorkloadWhyFacts *facts, AshWhy *out_why);
