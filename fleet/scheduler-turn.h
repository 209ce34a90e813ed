/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/scheduler-private.h"

/* What the leader does, with the engine lock. After a failure the engines may be ahead of what is on disk:
 * ash_scheduler_forget, and lead anew.
 */

gboolean ash_scheduler_take_lead(AshScheduler *scheduler, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_scheduler_forget(AshScheduler *scheduler);
/* What came, in one transaction; none when nothing did. */
gboolean ash_scheduler_transact(AshScheduler *scheduler, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Nobody could be heard in the last @seconds: no deadline counts them, and nobody is silent for them. Little is nothing. */
void ash_scheduler_absent(AshScheduler *scheduler, int64_t seconds);
/* When there is something to do without news; INT64_MAX: never. */
int64_t ash_scheduler_due(AshScheduler *scheduler);
/* A rollout that starts: who is to get it. */
gboolean ash_scheduler_begin(AshScheduler *scheduler, AshSchedulerEngine *engine, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
