/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/scheduler-private.h"
#include "fleet/scheduler-turn.h"
#include "fleet/workload-told.h"
#include "lib/json.h"

enum {
	MAX_DATA_BYTES = 64 << 10,
	MAX_DATA_DEPTH = 8,
};

/* What a batch of events comes to. */
typedef struct {
	GPtrArray *hosts; /* char * ids, each once, in the order of the first event */
	GHashTable *is_host;
	GPtrArray *news; /* News: offers and acts, in order */
	unsigned count;
	int64_t last;
	bool is_book_stale, is_channel_moved;
} Batch;

typedef struct {
	char *kind, *host, *rollout, *actor, *act, *reason;
	/* Of host.report: */
	char *commit, *failed, *state, *verdict, *boot;
} News;

static void free_news(News *news)
{
	g_free(news->kind);
	g_free(news->host);
	g_free(news->rollout);
	g_free(news->actor);
	g_free(news->act);
	g_free(news->reason);
	g_free(news->commit);
	g_free(news->failed);
	g_free(news->state);
	g_free(news->verdict);
	g_free(news->boot);
	g_free(news);
}

static void batch_clear(Batch *batch)
{
	g_ptr_array_unref(batch->hosts);
	g_hash_table_unref(batch->is_host);
	g_ptr_array_unref(batch->news);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Batch, batch_clear)

static void add_host(Batch *batch, const char *id)
{
	if (g_hash_table_contains(batch->is_host, id))
		return;
	char *copy = g_strdup(id);
	g_ptr_array_add(batch->hosts, copy);
	g_hash_table_add(batch->is_host, copy);
}

/* ---- reading the stream -------------------------------------------------------------------------- */

/* host.desired is what this does itself, or an operator's hand: then the next report shows it, but a rollout that waits
 * for the host is to know at once.
 */
static bool concerns_host(const char *kind)
{
	static const char *const kinds[] = {"host.joined", "host.approved", "host.held",
			"host.released", "host.retired", "host.forgotten", "host.labels",
			"host.facts", "host.report", "host.workload", ASH_WORKLOAD_TOLD_KIND,
			"host.silent", "host.back", "host.clone", "host.pending", NULL};

	return g_strv_contains(kinds, kind);
}

static JsonObject *data_of(const char *data, JsonNode **out_node)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(data, strlen(data));

	if (!ash_json_parse(bytes, MAX_DATA_BYTES, MAX_DATA_DEPTH, out_node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(*out_node))
		return NULL;
	return json_node_get_object(*out_node);
}

static void add_news(Batch *batch, const AshEvent *event)
{
	g_autoptr(JsonNode) node = NULL;
	JsonObject *data = data_of(event->data, &node);
	bool is_offer = g_str_equal(event->kind, "rollout.host");

	if (is_offer && g_strcmp0(ash_json_find_text(data, "outcome"), "offered") != 0)
		return;
	News *news = g_new0(News, 1);
	news->kind = g_strdup(event->kind);
	news->host = g_strdup(event->host);
	news->rollout = g_strdup(event->rollout);
	news->actor = g_strdup(event->actor);
	news->act = g_strdup(ash_json_find_text(data, "act"));
	news->reason = g_strdup(ash_json_find_text(data, "reason"));
	news->commit = g_strdup(ash_json_find_text(data, "commit"));
	news->failed = g_strdup(ash_json_find_text(data, "failed"));
	news->state = g_strdup(ash_json_find_text(data, "to"));
	news->verdict = g_strdup(ash_json_find_text(data, "verdict"));
	news->boot = g_strdup(ash_json_find_text(data, "boot"));
	g_ptr_array_add(batch->news, news);
}

static gboolean take_event(const AshEvent *event, gpointer data, GError **error)
{
	Batch *batch = data;

	batch->count++;
	batch->last = event->seq;
	if (concerns_host(event->kind) ||
			(g_str_equal(event->kind, "host.desired") && *event->actor != '\0'))
		add_host(batch, event->host);
	if (g_str_equal(event->kind, "host.report") || g_str_equal(event->kind, "rollout.host") ||
			g_str_equal(event->kind, "rollout.act") ||
			g_str_equal(event->kind, "rollout.created"))
		add_news(batch, event);
	else if (g_str_has_prefix(event->kind, "release.") ||
			g_str_has_prefix(event->kind, "channel.") ||
			g_str_has_prefix(event->kind, "policy.") ||
			g_str_has_prefix(event->kind, "workload.") ||
			g_str_has_prefix(event->kind, "assignment."))
		batch->is_book_stale = true;
	batch->is_channel_moved |= batch->is_book_stale;
	return TRUE;
}

/* ---- what came ----------------------------------------------------------------------------------- */

static gboolean begin_rollout(AshScheduler *scheduler, const char *id, GError **error)
{
	AshSchedulerEngine *engine = NULL;

	if (ash_scheduler_find(scheduler, id) != NULL)
		return TRUE;
	if (!ash_scheduler_engine_load(scheduler, scheduler->db, id, &engine, error))
		return FALSE;
	if (engine == NULL)
		return TRUE;
	g_ptr_array_add(scheduler->engines, engine);
	ash_rollout_at(engine->rollout, scheduler->now_s);
	engine->is_empty = engine->is_starting;
	return TRUE;
}

static const struct {
	const char *text;
	AshRolloutAct act;
} acts[] = {
		{"pause", ASH_ROLLOUT_PAUSE},
		{"resume", ASH_ROLLOUT_RESUME},
		{"revert", ASH_ROLLOUT_REVERT},
		{"cancel", ASH_ROLLOUT_CANCEL},
};

/* The API has looked at the state; what does not fit any more came to nothing, and the state shows it. */
static gboolean take_act(AshScheduler *scheduler, const News *news, GError **error)
{
	AshSchedulerEngine *engine = NULL;
	g_autoptr(GError) refused = NULL;

	if (!begin_rollout(scheduler, news->rollout, error))
		return FALSE;
	engine = ash_scheduler_find(scheduler, news->rollout);
	for (size_t i = 0; engine != NULL && i < G_N_ELEMENTS(acts); i++)
		if (g_strcmp0(news->act, acts[i].text) == 0 &&
				!ash_rollout_act(engine->rollout, acts[i].act, news->actor,
						news->reason != NULL ? news->reason : "", &refused))
			g_message("rollout %s: %s", engine->id, refused->message);
	return TRUE;
}

/* Each step of an update on its way, in order, also when several came since the last look: an announced reboot tells
 * what the state after it means. What the host is now is told when all is read.
 */
static void take_report(AshScheduler *scheduler, const News *news)
{
	uint8_t id[ASH_HOST_ID_BYTES];

	if (!ash_host_id_parse(news->host, id))
		return;
	for (unsigned i = 0; i < scheduler->engines->len; i++) {
		const AshSchedulerEngine *engine = g_ptr_array_index(scheduler->engines, i);
		AshRollout *rollout = engine->rollout;
		AshRolloutHost known;
		if (ash_scheduler_workload(engine) != NULL ||
				!ash_rollout_host(rollout, id, &known) ||
				known.outcome == ASH_ROLLOUT_WAITING ||
				known.outcome == ASH_ROLLOUT_GONE)
			continue;
		/* It is about the barrier that comes first. */
		if (g_hash_table_contains(engine->by_way, news->host) &&
				g_strcmp0(news->commit, ash_rollout_spec(rollout)->commit) != 0)
			continue;
		AshRolloutSaid said = ash_rollout_said(ash_rollout_spec(rollout), news->commit,
				news->failed, news->state, news->verdict);
		if (said != ASH_ROLLOUT_SAID_FAILED)
			ash_rollout_report(rollout, id, said, news->boot != NULL ? news->boot : "",
					"");
	}
}

static gboolean take_news(AshScheduler *scheduler, const News *news, GError **error)
{
	AshSchedulerEngine *engine = ash_scheduler_find(scheduler, news->rollout);
	uint8_t id[ASH_HOST_ID_BYTES];

	if (g_str_equal(news->kind, "host.report")) {
		take_report(scheduler, news);
		return TRUE;
	}
	if (g_str_equal(news->kind, "rollout.created"))
		return begin_rollout(scheduler, news->rollout, error);
	if (g_str_equal(news->kind, "rollout.act"))
		return take_act(scheduler, news, error);
	if (engine != NULL && ash_host_id_parse(news->host, id)) {
		g_hash_table_add(engine->offered, g_strdup(news->host));
		ash_rollout_offered(engine->rollout, id);
	}
	return TRUE;
}

static gboolean look_at_more(AshScheduler *scheduler, GError **error)
{
	for (unsigned i = 0; i < ASH_SCHEDULER_TURN_HOSTS; i++) {
		g_autofree char *id = g_queue_pop_head(&scheduler->again);
		if (id == NULL)
			return TRUE;
		g_hash_table_remove(scheduler->is_again, id);
		if (!ash_scheduler_look(scheduler, id, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean renew_book(AshScheduler *scheduler, GError **error)
{
	AshDesiredBook *book = NULL;

	if (!ash_desired_book_load(scheduler->db, &book, error))
		return FALSE;
	g_autoptr(AshDesiredBook) old = scheduler->turn_book;
	scheduler->turn_book = book;
	ash_scheduler_sweep(scheduler);
	ash_scheduler_retell(scheduler, old);
	if (!ash_assignment_book_is_same(
			    ash_desired_book_assignments(old), ash_desired_book_assignments(book)))
		ash_scheduler_workload_sweep(scheduler);
	for (unsigned i = 0; i < scheduler->engines->len; i++)
		ash_scheduler_refresh(scheduler, g_ptr_array_index(scheduler->engines, i));
	return TRUE;
}

static gboolean take_batch(AshScheduler *scheduler, const Batch *batch, GError **error)
{
	for (unsigned i = 0; i < scheduler->engines->len; i++) {
		AshSchedulerEngine *engine = g_ptr_array_index(scheduler->engines, i);
		ash_rollout_at(engine->rollout, scheduler->now_s);
		if (!engine->is_starting)
			ash_rollout_absent(engine->rollout, scheduler->absent_s);
		if (engine->window_s <= scheduler->now_s)
			ash_scheduler_refresh(scheduler, engine);
	}
	if (batch->is_book_stale && !renew_book(scheduler, error))
		return FALSE;
	/* What was offered before what came of it. */
	for (unsigned i = 0; i < batch->news->len; i++)
		if (!take_news(scheduler, g_ptr_array_index(batch->news, i), error))
			return FALSE;
	for (unsigned i = 0; i < batch->hosts->len; i++)
		if (!ash_scheduler_look(scheduler, g_ptr_array_index(batch->hosts, i), error))
			return FALSE;
	return look_at_more(scheduler, error);
}

/* ---- one transaction ----------------------------------------------------------------------------- */

static gboolean step_all(AshScheduler *scheduler, GError **error)
{
	for (unsigned i = 0; i < scheduler->engines->len; i++) {
		AshSchedulerEngine *engine = g_ptr_array_index(scheduler->engines, i);
		if (engine->is_empty)
			continue;
		if (!engine->is_starting)
			ash_rollout_step(engine->rollout);
		if (!engine->is_starting && ash_rollout_wants_checkpoint(engine->rollout)) {
			engine->checkpoint = engine->lines + engine->fresh->len + 1;
			ash_rollout_checkpoint(engine->rollout);
		}
		if (!ash_scheduler_apply(scheduler, engine, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean write_cursor(AshScheduler *scheduler, GError **error)
{
	g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, scheduler->cursor);

	return ash_db_exec(scheduler->db,
			"INSERT INTO meta (key, value) VALUES ('cursor.scheduler', $1) ON CONFLICT (key) "
			"DO UPDATE SET value = excluded.value",
			ASH_DB_VALUES(ASH_DB_T(value)), NULL, error);
}

static gboolean run(AshScheduler *scheduler, GError **error)
{
	g_auto(Batch) batch = {
			.hosts = g_ptr_array_new_with_free_func(g_free),
			.is_host = g_hash_table_new(g_str_hash, g_str_equal),
			.news = g_ptr_array_new_with_free_func((GDestroyNotify) free_news),
			.last = scheduler->cursor,
	};

	if (!ash_db_lock_events(scheduler->db, error) ||
			!ash_event_read(scheduler->db, scheduler->cursor, ASH_SCHEDULER_TURN_EVENTS,
					take_event, &batch, error) ||
			!take_batch(scheduler, &batch, error) || !step_all(scheduler, error))
		return FALSE;
	scheduler->cursor = batch.last;
	scheduler->has_written |= batch.news->len > 0 || batch.hosts->len > 0;
	scheduler->has_written |= scheduler->absent_s > 0;
	/* Events that mean nothing here (its own, mostly) may be read again after a restart. */
	if (!scheduler->has_written && scheduler->cursor - scheduler->written_cursor <
						       10 * ASH_SCHEDULER_TURN_EVENTS) {
		ash_db_rollback(scheduler->db);
		return TRUE;
	}
	if (!write_cursor(scheduler, error) || !ash_db_commit(scheduler->db, error))
		return FALSE;
	scheduler->written_cursor = scheduler->cursor;
	scheduler->absent_s = 0;
	return TRUE;
}

static void drop_ended(AshScheduler *scheduler)
{
	for (unsigned i = scheduler->engines->len; i-- > 0;) {
		const AshSchedulerEngine *engine = g_ptr_array_index(scheduler->engines, i);
		/* What it gave is taken back piece by piece. */
		if (engine->is_over && ash_rollout_due(engine->rollout) == INT64_MAX)
			g_ptr_array_remove_index(scheduler->engines, i);
	}
}

static bool has_work(AshScheduler *scheduler, int64_t last)
{
	if (last > scheduler->cursor || !g_queue_is_empty(&scheduler->again) ||
			(scheduler->absent_s > 0 && scheduler->engines->len > 0))
		return true;
	return ash_scheduler_due(scheduler) <= scheduler->now_s;
}

/* Outside of a transaction, for it may be all hosts of a large fleet. */
static gboolean gather(AshScheduler *scheduler, GError **error)
{
	for (unsigned i = 0; i < scheduler->engines->len; i++) {
		AshSchedulerEngine *engine = g_ptr_array_index(scheduler->engines, i);
		if (!engine->is_empty)
			continue;
		engine->is_empty = false;
		if (!ash_scheduler_begin(scheduler, engine, error))
			return FALSE;
	}
	return TRUE;
}

/* Only engines need to know it later. */
static gboolean write_alive(AshScheduler *scheduler, GError **error)
{
	g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, scheduler->now_s);

	if (scheduler->engines->len == 0 ||
			scheduler->now_s < scheduler->alive_s + ASH_SCHEDULER_SILENCE_S)
		return TRUE;
	if (!ash_db_exec(scheduler->db,
			    "INSERT INTO meta (key, value) VALUES ('scheduler.alive', $1) ON CONFLICT "
			    "(key) DO UPDATE SET value = excluded.value",
			    ASH_DB_VALUES(ASH_DB_T(value)), NULL, error))
		return FALSE;
	scheduler->alive_s = scheduler->now_s;
	return TRUE;
}

gboolean ash_scheduler_transact(AshScheduler *scheduler, GError **error)
{
	int64_t last = 0;

	if (!gather(scheduler, error))
		return FALSE;
	/* Without a transaction, so that nobody waits for nothing. */
	if (!ash_event_last(scheduler->db, &last, error))
		return FALSE;
	if (!has_work(scheduler, last))
		return write_alive(scheduler, error);
	scheduler->has_written = false;
	if (!ash_db_begin(scheduler->db, true, error))
		return FALSE;
	if (!run(scheduler, error)) {
		ash_db_rollback(scheduler->db);
		return FALSE;
	}
	drop_ended(scheduler);
	if (scheduler->has_written)
		ash_events_wake(scheduler->server->events);
	return write_alive(scheduler, error);
}

int64_t ash_scheduler_due(AshScheduler *scheduler)
{
	int64_t due_s = INT64_MAX;

	if (!g_queue_is_empty(&scheduler->again))
		return 0;
	for (unsigned i = 0; i < scheduler->engines->len; i++) {
		const AshSchedulerEngine *engine = g_ptr_array_index(scheduler->engines, i);
		if (engine->is_starting)
			return 0;
		due_s = MIN(due_s, MIN(engine->window_s, ash_rollout_due(engine->rollout)));
	}
	return due_s;
}

/* ---- the lead ------------------------------------------------------------------------------------ */

static gboolean take_host(const AshDbRow *row, gpointer data, GError **error)
{
	ash_scheduler_look_again(data, ash_db_row_text(row, 0));
	return TRUE;
}

/* Its candidates, from memory. Memory may be a moment behind what is committed, so whoever had news of late is looked
 * at again.
 */
gboolean ash_scheduler_begin(AshScheduler *scheduler, AshSchedulerEngine *engine, GError **error)
{
	return ash_scheduler_join_all(scheduler, engine, error) &&
	       ash_db_query(scheduler->db,
			       "SELECT DISTINCT host FROM event WHERE seq > $1 AND host <> ''",
			       ASH_DB_VALUES(ASH_DB_I(MAX(scheduler->cursor - 5000, 0))), take_host,
			       scheduler, error);
}

static gboolean take_id(const AshDbRow *row, gpointer data, GError **error)
{
	g_ptr_array_add(data, g_strdup(ash_db_row_text(row, 0)));
	return TRUE;
}

static gboolean load_engines(AshScheduler *scheduler, GError **error)
{
	g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);

	if (!ash_db_query(scheduler->db,
			    "SELECT id FROM rollout WHERE state IN ('starting', 'running', 'paused', "
			    "'halted', 'reverting') OR (state = 'cancelled' AND EXISTS (SELECT 1 FROM "
			    "rollout_host WHERE rollout = id AND outcome = 'assigned')) ORDER BY "
			    "created_at, id",
			    NULL, take_id, ids, error))
		return FALSE;
	for (unsigned i = 0; i < ids->len; i++)
		if (!begin_rollout(scheduler, g_ptr_array_index(ids, i), error))
			return FALSE;
	return TRUE;
}

static gboolean load_cursor(AshScheduler *scheduler, GError **error)
{
	g_autofree char *value = NULL;

	if (!ash_db_query_string(scheduler->db,
			    "SELECT value FROM meta WHERE key = 'cursor.scheduler'", NULL, &value,
			    error))
		return FALSE;
	scheduler->cursor = value != NULL ? g_ascii_strtoll(value, NULL, 10) : 0;
	scheduler->written_cursor = scheduler->cursor;
	return TRUE;
}

/* What passed since some server's scheduler was last there, all of them counted. */
static gboolean load_absence(AshScheduler *scheduler, GError **error)
{
	g_autofree char *value = NULL;

	if (!ash_db_query_string(scheduler->db,
			    "SELECT value FROM meta WHERE key = 'scheduler.alive'", NULL, &value,
			    error))
		return FALSE;
	scheduler->alive_s = value != NULL ? g_ascii_strtoll(value, NULL, 10) : 0;
	scheduler->absent_s = 0;
	if (scheduler->alive_s > 0)
		ash_scheduler_absent(scheduler, scheduler->now_s - scheduler->alive_s);
	return TRUE;
}

void ash_scheduler_absent(AshScheduler *scheduler, int64_t seconds)
{
	if (scheduler->server->steady == NULL || seconds < ASH_SCHEDULER_ABSENT_S)
		return;
	g_message("hosts could not be heard for %" G_GINT64_FORMAT " s: they count for no deadline",
			seconds);
	scheduler->absent_s += seconds;
	scheduler->heard_since_s = scheduler->now_s;
}

gboolean ash_scheduler_take_lead(AshScheduler *scheduler, GError **error)
{
	if (!load_cursor(scheduler, error) || !ash_scheduler_silence_load(scheduler, error) ||
			!ash_desired_book_load(scheduler->db, &scheduler->turn_book, error) ||
			!load_engines(scheduler, error))
		return FALSE;
	/* What an earlier leader had still to look at went with its memory. */
	ash_scheduler_sweep(scheduler);
	ash_scheduler_workload_sweep(scheduler);
	for (unsigned i = 0; i < scheduler->engines->len; i++)
		ash_scheduler_refresh(scheduler, g_ptr_array_index(scheduler->engines, i));
	scheduler->heard_since_s = scheduler->now_s;
	scheduler->silence_s = 0;
	return load_absence(scheduler, error);
}

void ash_scheduler_forget(AshScheduler *scheduler)
{
	g_ptr_array_set_size(scheduler->engines, 0);
	g_queue_clear_full(&scheduler->again, g_free);
	g_hash_table_remove_all(scheduler->is_again);
	g_hash_table_remove_all(scheduler->retell);
	g_clear_pointer(&scheduler->turn_book, ash_desired_book_unref);
	ash_db_give(scheduler->db);
	scheduler->db = NULL;
	scheduler->leads = false;
}
