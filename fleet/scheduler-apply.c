/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/ledger.h"
#include "fleet/scheduler-private.h"
#include "lib/json.h"

/* ---- events -------------------------------------------------------------------------------------- */

static gboolean tell(AshScheduler *scheduler, const AshSchedulerEngine *engine, const char *kind,
		const char *host, const char *outcome, unsigned ring, const char *text,
		GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "outcome", outcome);
	ash_json_add_uint(builder, "ring", ring);
	json_builder_end_object(builder);
	g_autofree char *data = ash_json_format(builder, false);
	return ash_event_append(scheduler->db,
			&(AshEvent){.at_s = scheduler->now_s,
					.kind = kind,
					.host = host,
					.rollout = engine->id,
					.text = text,
					.data = data},
			error);
}

static gboolean want(AshScheduler *scheduler, const char *host, const AshDesiredWant *want,
		GError **error)
{
	bool is_changed = false;

	return ash_desired_write(scheduler->db, host, want, scheduler->now_s, &is_changed, error);
}

/* ---- one host ------------------------------------------------------------------------------------ */

/* The release that it runs now, to be sent back to by a revert; and the one that it takes first: the rollout's, or a
 * barrier before that.
 */
static int64_t running_release(
		const AshScheduler *scheduler, const uint8_t *id, int64_t *inout_release)
{
	g_auto(AshHost) host = {0};
	const AshDesiredRelease *release = NULL, *hop = NULL;
	const AshDesiredRelease *target =
			ash_desired_book_release(scheduler->turn_book, *inout_release);

	if (!ash_live_get(scheduler->server->live, id, &host))
		return 0;
	release = ash_desired_book_commit(scheduler->turn_book, host.commit);
	if (target != NULL && ash_desired_route(scheduler->turn_book, &host, target, &hop) ==
					      ASH_DESIRED_TAKE)
		*inout_release = hop->id;
	return release != NULL ? release->id : 0;
}

static gboolean assign(AshScheduler *scheduler, AshSchedulerEngine *engine,
		const AshSchedulerDecision *decision, const char *host, GError **error)
{
	bool is_release = ash_scheduler_workload(engine) == NULL;
	AshDesiredWant release = {.release = engine->release,
			.rollout = engine->id,
			.verb = "update",
			.text = "its turn in the rollout has come"};
	int64_t previous = is_release ? running_release(scheduler, decision->host, &release.release)
				      : 0;

	ash_scheduler_keep_from_rivals(scheduler, engine, decision->host);
	if (release.release != engine->release)
		g_hash_table_add(engine->by_way, g_strdup(host));
	else
		g_hash_table_remove(engine->by_way, host);
	return ash_db_exec(scheduler->db,
			       "INSERT INTO rollout_host (rollout, host, ring, outcome, since, previous) "
			       "VALUES ($1, $2, $3, 'assigned', $4, $5) ON CONFLICT (rollout, host) DO "
			       "UPDATE SET ring = excluded.ring, outcome = excluded.outcome, since = "
			       "excluded.since, reason = '', previous = excluded.previous",
			       ASH_DB_VALUES(ASH_DB_T(engine->id), ASH_DB_T(host),
					       ASH_DB_I(decision->ring), ASH_DB_I(decision->at_s),
					       ASH_DB_I(previous)),
			       NULL, error) &&
	       (is_release ? want(scheduler, host, &release, error)
			   : ash_scheduler_workload_hold(
					     scheduler, engine, decision->host, true, error)) &&
	       tell(scheduler, engine, "rollout.host", host, "assigned", decision->ring, "", error);
}

/* Nothing is wanted of it any more, unless somebody else wants something by now: another rollout, an operator by hand. */
static gboolean stop_wanting(AshScheduler *scheduler, AshSchedulerEngine *engine, const char *host,
		const char *text, GError **error)
{
	bool is_ours = false;
	int64_t ignored = 0;

	if (!ash_db_query_int(scheduler->db,
			    "SELECT 1 FROM host WHERE id = $1 AND rollout = $2 AND verb = 'update'",
			    ASH_DB_VALUES(ASH_DB_T(host), ASH_DB_T(engine->id)), &is_ours, &ignored,
			    error))
		return FALSE;
	return !is_ours ||
	       want(scheduler, host, &(AshDesiredWant){.rollout = "", .verb = "", .text = text},
			       error);
}

/* Against a check-in that offers it at this moment: whoever changes the outcome first has it. What the engine knows as
 * offered is taken back whatever the row says.
 */
static gboolean withdraw(AshScheduler *scheduler, AshSchedulerEngine *engine,
		const AshSchedulerDecision *decision, const char *host, GError **error)
{
	static const char assigned[] =
			"UPDATE rollout_host SET outcome = 'withdrawn', since = $3 WHERE "
			"rollout = $1 AND host = $2 AND outcome = 'assigned'";
	static const char offered[] =
			"UPDATE rollout_host SET outcome = 'withdrawn', since = $3 WHERE rollout = $1 "
			"AND host = $2 AND outcome IN ('assigned', 'offered')";
	bool is_offered = g_hash_table_remove(engine->offered, host);
	int64_t changed = 0;

	if (!ash_db_exec(scheduler->db, is_offered ? offered : assigned,
			    ASH_DB_VALUES(ASH_DB_T(engine->id), ASH_DB_T(host),
					    ASH_DB_I(decision->at_s)),
			    &changed, error))
		return FALSE;
	if (changed == 0)
		return TRUE;
	ash_scheduler_look_again(scheduler, host);
	return (ash_scheduler_workload(engine) != NULL
					       ? ash_scheduler_workload_hold(scheduler, engine,
								 decision->host, false, error)
					       : stop_wanting(scheduler, engine, host, "withdrawn",
								 error)) &&
	       tell(scheduler, engine, "rollout.host", host, "withdrawn", decision->ring,
			       decision->reason, error);
}

static gboolean send_back(AshScheduler *scheduler, AshSchedulerEngine *engine,
		const AshSchedulerDecision *decision, const char *host, GError **error)
{
	bool is_known = false;
	int64_t previous = 0;

	if (ash_scheduler_workload(engine) != NULL)
		return ash_scheduler_workload_hold(
				       scheduler, engine, decision->host, false, error) &&
		       tell(scheduler, engine, "rollout.host", host, "returning", decision->ring,
				       "sent back", error);
	if (!ash_db_query_int(scheduler->db,
			    "SELECT previous FROM rollout_host WHERE rollout = $1 AND host = $2",
			    ASH_DB_VALUES(ASH_DB_T(engine->id), ASH_DB_T(host)), &is_known,
			    &previous, error))
		return FALSE;
	AshDesiredWant release = {.release = previous,
			.rollout = engine->id,
			.verb = previous != 0 ? "return" : "",
			.text = previous != 0 ? "sent back"
					      : "the release that it ran before is not known here"};
	return want(scheduler, host, &release, error) &&
	       tell(scheduler, engine, "rollout.host", host, "returning", decision->ring,
			       release.text, error);
}

static gboolean settle(AshScheduler *scheduler, AshSchedulerEngine *engine,
		const AshSchedulerDecision *decision, const char *host, GError **error)
{
	const char *outcome = ash_rollout_outcome_text(decision->outcome);
	int64_t changed = 0;

	/* Nobody has had a turn yet. */
	if (engine->is_starting)
		return TRUE;
	if (!ash_db_exec(scheduler->db,
			    "UPDATE rollout_host SET outcome = $3, since = $4, reason = $5 WHERE rollout "
			    "= $1 AND host = $2 AND NOT ($3 = 'waiting' AND outcome = 'offered')",
			    ASH_DB_VALUES(ASH_DB_T(engine->id), ASH_DB_T(host), ASH_DB_T(outcome),
					    ASH_DB_I(decision->at_s), ASH_DB_T(decision->reason)),
			    &changed, error))
		return FALSE;
	/* Of those that never had their turn (they wait, or had it already) only the summary tells: they may be
	 * all hosts of the fleet. */
	if (changed == 0)
		return TRUE;
	if (decision->outcome != ASH_ROLLOUT_OFFERED)
		g_hash_table_remove(engine->offered, host);
	if (decision->outcome == ASH_ROLLOUT_FAILED &&
			!(ash_scheduler_workload(engine) != NULL
							? ash_scheduler_workload_hold(scheduler,
									  engine, decision->host,
									  false, error)
							: stop_wanting(scheduler, engine, host,
									  "it failed here", error)))
		return FALSE;
	ash_scheduler_look_again(scheduler, host);
	return tell(scheduler, engine, "rollout.host", host, outcome, decision->ring,
			decision->reason, error);
}

/* ---- the whole ----------------------------------------------------------------------------------- */

/* Everybody has it: the channel follows, and so does who joins it later. */
static gboolean move_channel(AshScheduler *scheduler, AshSchedulerEngine *engine, GError **error)
{
	const char *channel = ash_rollout_spec(engine->rollout)->channel;
	g_autofree char *reason = g_strdup_printf("rollout %s finished", engine->id);

	if (*channel == '\0')
		return TRUE;
	return ash_db_exec(scheduler->db,
			       "INSERT INTO channel (name, release) VALUES ($1, $2) ON CONFLICT (name) "
			       "DO UPDATE SET release = excluded.release",
			       ASH_DB_VALUES(ASH_DB_T(channel), ASH_DB_I(engine->release)), NULL,
			       error) &&
	       ash_db_exec(scheduler->db,
			       "INSERT INTO channel_history (channel, release, at, actor, reason) "
			       "VALUES ($1, $2, $3, '', $4)",
			       ASH_DB_VALUES(ASH_DB_T(channel), ASH_DB_I(engine->release),
					       ASH_DB_I(scheduler->now_s), ASH_DB_T(reason)),
			       NULL, error) &&
	       tell(scheduler, engine, "channel.changed", NULL, NULL, 0, reason, error);
}

static bool is_end(AshRolloutState state)
{
	return state == ASH_ROLLOUT_FINISHED || state == ASH_ROLLOUT_REVERTED ||
	       state == ASH_ROLLOUT_CANCELLED;
}

static gboolean change_state(AshScheduler *scheduler, AshSchedulerEngine *engine,
		const AshSchedulerDecision *decision, GError **error)
{
	const char *state = ash_rollout_state_text(decision->state);
	g_autofree char *kind = g_strdup_printf(
			"rollout.%s", decision->state == ASH_ROLLOUT_RUNNING ? "resumed" : state);

	engine->is_over = is_end(decision->state);
	if (!ash_db_exec(scheduler->db,
			    "UPDATE rollout SET state = $2, reason = $3, ended_at = $4 WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(engine->id), ASH_DB_T(state),
					    ASH_DB_T(decision->reason),
					    ASH_DB_I(engine->is_over ? decision->at_s : 0)),
			    NULL, error))
		return FALSE;
	if (decision->state == ASH_ROLLOUT_FINISHED && !move_channel(scheduler, engine, error))
		return FALSE;
	if (!ash_scheduler_workload_move(scheduler, engine, decision->state, error))
		return FALSE;
	return tell(scheduler, engine, kind, NULL, NULL, decision->ring, decision->reason, error);
}

static gboolean carry_out(AshScheduler *scheduler, AshSchedulerEngine *engine,
		const AshSchedulerDecision *decision, GError **error)
{
	char host[65];

	ash_host_id_format(decision->host, host);
	switch (decision->kind) {
	case ASH_ROLLOUT_DECIDE_ASSIGN:
		return assign(scheduler, engine, decision, host, error);
	case ASH_ROLLOUT_DECIDE_WITHDRAW:
		return withdraw(scheduler, engine, decision, host, error);
	case ASH_ROLLOUT_DECIDE_RETURN:
		return send_back(scheduler, engine, decision, host, error);
	case ASH_ROLLOUT_DECIDE_OUTCOME:
		return settle(scheduler, engine, decision, host, error);
	case ASH_ROLLOUT_DECIDE_RING:
		return tell(scheduler, engine, "rollout.ring", NULL, NULL, decision->ring,
				decision->reason, error);
	case ASH_ROLLOUT_DECIDE_STATE:
		return change_state(scheduler, engine, decision, error);
	}
	g_assert_not_reached();
}

/* A rollout that starts is written piece by piece, so that others may write between. */
static gboolean write_lines(AshScheduler *scheduler, AshSchedulerEngine *engine, GError **error)
{
	unsigned count = engine->is_starting ? MIN(engine->fresh->len, ASH_SCHEDULER_TURN_LINES)
					     : engine->fresh->len;

	for (unsigned i = 0; i < count; i++)
		if (!ash_ledger_append(scheduler->db, engine->id, engine->lines + i + 1,
				    g_ptr_array_index(engine->fresh, i), error))
			return FALSE;
	if (count > 0)
		g_ptr_array_remove_range(engine->fresh, 0, count);
	engine->lines += count;
	return TRUE;
}

static char *summary_of(const AshSchedulerEngine *engine)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_rollout_add_json(engine->rollout, builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

static gboolean write_summary(AshScheduler *scheduler, AshSchedulerEngine *engine, GError **error)
{
	g_autofree char *summary = summary_of(engine);
	AshRolloutNow now;

	ash_rollout_now(engine->rollout, &now);
	return ash_db_exec(scheduler->db,
			"UPDATE rollout SET summary = $2, lines = $3, ring = $4, checkpoint = CASE WHEN $5 "
			"> 0 THEN $5 ELSE checkpoint END WHERE id = $1",
			ASH_DB_VALUES(ASH_DB_T(engine->id), ASH_DB_T(summary),
					ASH_DB_I(engine->lines), ASH_DB_I(now.ring),
					ASH_DB_I(engine->checkpoint)),
			NULL, error);
}

static gboolean finish_start(AshScheduler *scheduler, AshSchedulerEngine *engine, GError **error)
{
	engine->is_starting = false;
	return ash_db_exec(scheduler->db, "UPDATE rollout SET state = 'running' WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(engine->id)), NULL, error) &&
	       tell(scheduler, engine, "rollout.started", NULL, NULL, 1, "", error);
}

gboolean ash_scheduler_apply(AshScheduler *scheduler, AshSchedulerEngine *engine, GError **error)
{
	if (engine->fresh->len == 0 && engine->decisions->len == 0 && !engine->is_starting)
		return TRUE;
	scheduler->has_written = true;
	if (!write_lines(scheduler, engine, error))
		return FALSE;
	if (engine->is_starting && engine->fresh->len == 0 &&
			!finish_start(scheduler, engine, error))
		return FALSE;
	for (unsigned i = 0; i < engine->decisions->len; i++)
		if (!carry_out(scheduler, engine,
				    &g_array_index(engine->decisions, AshSchedulerDecision, i),
				    error))
			return FALSE;
	g_array_set_size(engine->decisions, 0);
	if (!write_summary(scheduler, engine, error))
		return FALSE;
	engine->checkpoint = 0;
	return TRUE;
}
