/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/desired.h"
#include "fleet/rollout.h"

/* The rollouts, advanced by one leader among the servers of a database; and what every server's hosts are to run.
 *
 * The leader reads the stream of events behind 'cursor.scheduler', turns what happened to hosts into inputs of the
 * engines (fleet/rollout.h), steps them when something came or is due, and writes the ledger, the decisions' effects
 * (rollout_host, desired of hosts, state and summary of rollouts, channel pointers), their events and the cursor in ONE
 * transaction. When it is killed, whoever leads next loads the engines from the ledger and goes on behind the cursor: no
 * step is done twice, none is lost. What hosts are comes from the table within that transaction, not from memory.
 *
 * It says host.silent and host.back as well, and gives hosts what their channel points to.
 *
 * Between the scheduler and the check-in: a host whose outcome is 'assigned' is offered the release by the check-in's
 * transaction, which holds ash_db_lock_events and does
 *	UPDATE rollout_host SET outcome = 'offered' WHERE rollout = $1 AND host = $2 AND outcome = 'assigned'
 * and appends rollout.host {"outcome":"offered"}. A withdrawal has the mirrored condition.
 */

typedef struct AshServer AshServer;
typedef struct AshScheduler AshScheduler;

/* With the server's pool, events, live, config and now. A thread of its own, unless @is_manual: then
 * ash_scheduler_turn is called by hand (tests).
 */
gboolean ash_scheduler_start(AshServer *server, bool is_manual, AshScheduler **out_scheduler,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_scheduler_free(AshScheduler *scheduler);

/* One transaction's worth. @out_next_s: when the next is due without news; *out_next_s <= now: at once. */
gboolean ash_scheduler_turn(AshScheduler *scheduler, int64_t *out_next_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
bool ash_scheduler_leads(AshScheduler *scheduler);
/* "" while all is well. Newly allocated. */
char *ash_scheduler_trouble(AshScheduler *scheduler);

/* What is known of releases, channels, policies: a new reference, from any thread, at once. Each server has it. */
AshDesiredBook *ash_scheduler_book(AshScheduler *scheduler);

/* Waits at most @patience_us until the leader, wherever it is, has taken in the event @seq. */
gboolean ash_scheduler_wait(AshScheduler *scheduler, AshDb *db, int64_t seq, int64_t patience_us,
		bool *out_done, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Asks the engine of an active rollout: of this server's memory when it leads, else loaded from the ledger by @db.
 * *out_found false: no such rollout, or not begun. @ask must be quick and must not change the engine.
 */
typedef void (*AshSchedulerAsk)(const AshRollout *rollout, gpointer data);
gboolean ash_scheduler_ask(AshScheduler *scheduler, AshDb *db, const char *rollout,
		AshSchedulerAsk ask, gpointer data, bool *out_found, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
