/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/space.h"
#include "agent/worker.h"
#include "lib/target.h"

/* How a release would come here, and whether it fits; nothing is written. */

/* What is free, and what the figures of a plan depend on (root_bytes, esp_cluster). */
gboolean ash_plan_measure(const AshWorker *worker, AshSpacePlan *plan, AshSpace *out_free,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What a deployment beside the running one takes for its /etc. */
gboolean ash_plan_etc(const AshWorker *worker, AshSpacePlan *plan, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The directory of the running deployment, below sysroot. */
char *ash_plan_booted_tree(const AshWorker *worker);

/* The verb. */
gboolean ash_plan_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
