/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/scheduler.h"

#include <string.h>

#include "fleet/ledger.h"
#include "fleet/retention.h"
#include "fleet/scheduler-turn.h"
#include "lib/error.h"

enum {
	LEAD_S = 2,         /* between tries, while another server leads */
	LONGEST_S = 60,     /* without looking */
	SHARED_US = 500000, /* others may append */
	RETRY_US = 1000000, /* after a failure */
	LOOK_US = 20000,    /* ash_scheduler_wait */
};

/* ---- the book of every server -------------------------------------------------------------------- */

static void set_book(AshScheduler *scheduler, AshDesiredBook *take_book)
{
	g_mutex_lock(&scheduler->wake_lock);
	AshDesiredBook *old = scheduler->book;
	scheduler->book = take_book;
	g_mutex_unlock(&scheduler->wake_lock);
	ash_desired_book_unref(old);
}

AshDesiredBook *ash_scheduler_book(AshScheduler *scheduler)
{
	g_mutex_lock(&scheduler->wake_lock);
	AshDesiredBook *book = ash_desired_book_ref(scheduler->book);
	g_mutex_unlock(&scheduler->wake_lock);
	return book;
}

static gboolean renew_book(AshScheduler *scheduler, AshDb *db, GError **error)
{
	AshDesiredBook *book = NULL;

	g_mutex_lock(&scheduler->wake_lock);
	bool is_stale = scheduler->is_book_stale;
	scheduler->is_book_stale = false;
	g_mutex_unlock(&scheduler->wake_lock);
	if (!is_stale)
		return TRUE;
	if (!ash_desired_book_load(db, &book, error)) {
		g_mutex_lock(&scheduler->wake_lock);
		scheduler->is_book_stale = true;
		g_mutex_unlock(&scheduler->wake_lock);
		return FALSE;
	}
	set_book(scheduler, book);
	return TRUE;
}

static void hear(const AshEvent *event, gpointer data)
{
	AshScheduler *scheduler = data;
	bool is_book = g_str_has_prefix(event->kind, "release.") ||
		       g_str_has_prefix(event->kind, "channel.") ||
		       g_str_has_prefix(event->kind, "policy.") ||
		       g_str_has_prefix(event->kind, "workload.") ||
		       g_str_has_prefix(event->kind, "assignment.") ||
		       (g_str_has_prefix(event->kind, "rollout.") &&
				       !g_str_equal(event->kind, "rollout.host"));

	g_mutex_lock(&scheduler->wake_lock);
	scheduler->is_woken = true;
	scheduler->is_book_stale |= is_book;
	g_cond_broadcast(&scheduler->wake);
	g_mutex_unlock(&scheduler->wake_lock);
}

/* ---- a turn -------------------------------------------------------------------------------------- */

static gboolean lead(AshScheduler *scheduler, GError **error)
{
	if (scheduler->leads)
		return TRUE;
	if (scheduler->try_lead_s > scheduler->now_s && scheduler->db != NULL)
		return TRUE;
	scheduler->try_lead_s = scheduler->now_s + LEAD_S;
	if (!ash_db_try_lead(scheduler->db, "scheduler", &scheduler->leads, error))
		return FALSE;
	return !scheduler->leads || ash_scheduler_take_lead(scheduler, error);
}

/* A batch a second: others write between. No rollout waits for what cannot be trimmed. */
static void trim(AshScheduler *scheduler)
{
	g_autoptr(GError) error = NULL;
	bool is_more = false;

	if (!ash_retention_trim(scheduler->server->config, scheduler->db, scheduler->now_s,
			    &is_more, &error))
		g_warning("what is old is kept: %s", error->message);
	scheduler->retention_s = scheduler->now_s +
				 (is_more && error == NULL ? 1 : ASH_SCHEDULER_RETENTION_S);
}

static gboolean turn(AshScheduler *scheduler, GError **error)
{
	if (scheduler->db == NULL &&
			!ash_db_pool_take(scheduler->server->pool, &scheduler->db, error))
		return FALSE;
	if (!renew_book(scheduler, scheduler->db, error) || !lead(scheduler, error))
		return FALSE;
	if (!scheduler->leads)
		return TRUE;
	if (scheduler->silence_s <= scheduler->now_s && !ash_scheduler_silence(scheduler, error))
		return FALSE;
	if (scheduler->retention_s <= scheduler->now_s)
		trim(scheduler);
	return ash_scheduler_transact(scheduler, error);
}

static void set_trouble(AshScheduler *scheduler, const GError *error)
{
	g_mutex_lock(&scheduler->wake_lock);
	bool is_new = error != NULL && g_strcmp0(scheduler->trouble, error->message) != 0;
	g_free(scheduler->trouble);
	scheduler->trouble = error != NULL ? g_strdup(error->message) : NULL;
	g_mutex_unlock(&scheduler->wake_lock);
	if (is_new)
		g_warning("rollouts wait, trying again: %s", error->message);
}

static void look_at_clocks(AshScheduler *scheduler)
{
	const AshServer *server = scheduler->server;
	int64_t before_s = scheduler->now_s,
		steady_s = server->steady != NULL ? server->steady() : 0;

	/* It never goes back, as the engines' does not. */
	scheduler->now_s = MAX(before_s, server->now());
	if (scheduler->leads) {
		int64_t awake_s = steady_s - scheduler->turned_s;
		int64_t passed_s = scheduler->now_s - before_s;
		ash_scheduler_absent(scheduler,
				awake_s > ASH_SCHEDULER_STOPPED_S ? passed_s : passed_s - awake_s);
	}
	scheduler->turned_s = steady_s;
}

gboolean ash_scheduler_turn(AshScheduler *scheduler, int64_t *out_next_s, GError **error)
{
	g_autoptr(GError) failure = NULL;

	g_mutex_lock(&scheduler->lock);
	look_at_clocks(scheduler);
	gboolean ok = turn(scheduler, &failure);
	if (!ok)
		ash_scheduler_forget(scheduler);
	else if (scheduler->leads)
		*out_next_s = MIN(ash_scheduler_due(scheduler),
				MIN(scheduler->silence_s, scheduler->retention_s));
	else
		*out_next_s = scheduler->try_lead_s;
	g_mutex_unlock(&scheduler->lock);
	set_trouble(scheduler, failure);
	if (!ok)
		g_propagate_error(error, g_steal_pointer(&failure));
	return ok;
}

/* ---- the thread ---------------------------------------------------------------------------------- */

static int64_t pause_us(AshScheduler *scheduler, bool ok, int64_t next_s)
{
	int64_t until_s = next_s - scheduler->server->now();

	if (!ok)
		return RETRY_US;
	if (until_s <= 0)
		return 0;
	int64_t until_us = MIN(until_s, LONGEST_S) * G_USEC_PER_SEC;
	return ash_db_pool_is_shared(scheduler->server->pool) ? MIN(until_us, SHARED_US) : until_us;
}

static gpointer run(gpointer data)
{
	AshScheduler *scheduler = data;

	g_mutex_lock(&scheduler->wake_lock);
	while (!scheduler->is_ending) {
		int64_t next_s = 0;
		scheduler->is_woken = false;
		g_mutex_unlock(&scheduler->wake_lock);
		bool ok = ash_scheduler_turn(scheduler, &next_s, NULL);
		int64_t until_us = g_get_monotonic_time() + pause_us(scheduler, ok, next_s);
		g_mutex_lock(&scheduler->wake_lock);
		while (!scheduler->is_ending && (!ok || !scheduler->is_woken))
			if (!g_cond_wait_until(&scheduler->wake, &scheduler->wake_lock, until_us))
				break;
	}
	g_mutex_unlock(&scheduler->wake_lock);
	return NULL;
}

gboolean ash_scheduler_start(
		AshServer *server, bool is_manual, AshScheduler **out_scheduler, GError **error)
{
	g_autoptr(AshDb) db = NULL;
	AshDesiredBook *book = NULL;

	if (!ash_db_pool_take(server->pool, &db, error) || !ash_desired_book_load(db, &book, error))
		return FALSE;
	AshScheduler *scheduler = g_new0(AshScheduler, 1);
	scheduler->server = server;
	scheduler->book = book;
	scheduler->engines =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_scheduler_engine_free);
	scheduler->is_again = g_hash_table_new(g_str_hash, g_str_equal);
	scheduler->retell = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	scheduler->silent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_queue_init(&scheduler->again);
	g_mutex_init(&scheduler->lock);
	g_mutex_init(&scheduler->wake_lock);
	g_cond_init(&scheduler->wake);
	scheduler->is_book_stale =
			true; /* something may have changed before the listener is there */
	scheduler->listener = ash_events_listen(server->events, -1, hear, scheduler);
	if (!is_manual)
		scheduler->thread = g_thread_new("scheduler", run, scheduler);
	*out_scheduler = scheduler;
	return TRUE;
}

void ash_scheduler_free(AshScheduler *scheduler)
{
	if (scheduler == NULL)
		return;
	ash_events_leave(scheduler->server->events, scheduler->listener);
	g_mutex_lock(&scheduler->wake_lock);
	scheduler->is_ending = true;
	g_cond_broadcast(&scheduler->wake);
	g_mutex_unlock(&scheduler->wake_lock);
	if (scheduler->thread != NULL)
		g_thread_join(scheduler->thread);
	ash_scheduler_forget(scheduler);
	g_ptr_array_unref(scheduler->engines);
	g_hash_table_unref(scheduler->is_again);
	g_hash_table_unref(scheduler->retell);
	g_hash_table_unref(scheduler->silent);
	ash_desired_book_unref(scheduler->book);
	g_free(scheduler->trouble);
	g_mutex_clear(&scheduler->lock);
	g_mutex_clear(&scheduler->wake_lock);
	g_cond_clear(&scheduler->wake);
	g_free(scheduler);
}

/* ---- what others ask ----------------------------------------------------------------------------- */

bool ash_scheduler_leads(AshScheduler *scheduler)
{
	g_mutex_lock(&scheduler->lock);
	bool leads = scheduler->leads;
	g_mutex_unlock(&scheduler->lock);
	return leads;
}

char *ash_scheduler_trouble(AshScheduler *scheduler)
{
	g_mutex_lock(&scheduler->wake_lock);
	char *trouble = g_strdup(scheduler->trouble != NULL ? scheduler->trouble : "");
	g_mutex_unlock(&scheduler->wake_lock);
	return trouble;
}

gboolean ash_scheduler_wait(AshScheduler *scheduler, AshDb *db, int64_t seq, int64_t patience_us,
		bool *out_done, GError **error)
{
	int64_t until_us = g_get_monotonic_time() + patience_us;
	int64_t cursor = 0;

	for (;;) {
		g_autofree char *value = NULL;
		if (!ash_db_query_string(db,
				    "SELECT value FROM meta WHERE key = 'cursor.scheduler'", NULL,
				    &value, error))
			return FALSE;
		cursor = value != NULL ? g_ascii_strtoll(value, NULL, 10) : 0;
		if (cursor >= seq || g_get_monotonic_time() >= until_us)
			break;
		g_usleep(LOOK_US);
	}
	*out_done = cursor >= seq;
	return TRUE;
}

gboolean ash_scheduler_ask(AshScheduler *scheduler, AshDb *db, const char *rollout,
		AshSchedulerAsk ask, gpointer data, bool *out_found, GError **error)
{
	g_autoptr(AshRollout) loaded = NULL;
	g_autoptr(GError) failure = NULL;
	int64_t lines = 0;

	g_mutex_lock(&scheduler->lock);
	const AshSchedulerEngine *engine =
			scheduler->leads ? ash_scheduler_find(scheduler, rollout) : NULL;
	bool is_here = engine != NULL && !engine->is_starting;
	if (is_here)
		ask(engine->rollout, data);
	g_mutex_unlock(&scheduler->lock);
	*out_found = is_here;
	if (is_here || engine != NULL)
		return TRUE;
	if (!ash_ledger_load(db, rollout, &loaded, &lines, &failure)) {
		if (g_error_matches(failure, ASH_LEDGER_ERROR, ASH_LEDGER_ERROR_NONE))
			return TRUE;
		g_propagate_error(error, g_steal_pointer(&failure));
		return FALSE;
	}
	if (lines == 0)
		return TRUE;
	ask(loaded, data);
	*out_found = true;
	return TRUE;
}
