/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/event.h"

#include <stdbool.h>

enum {
	BATCH = 500,
	PAUSE_US = G_USEC_PER_SEC / 2, /* between looks, when others may append; after a failure */
};

/* ---- the table ---- */

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* clang-format off */
const char *const ash_event_kinds[] = {
	"host.joined", "host.pending", "host.approved", "host.held", "host.released", "host.retired", "host.forgotten",
	"host.renewed", "host.clone", "host.labels", "host.report", "host.event", "host.desired", "host.order",
	"host.silent", "host.back", "host.workload",
	"rollout.created", "rollout.started", "rollout.ring", "rollout.paused", "rollout.resumed", "rollout.halted",
	"rollout.reverting", "rollout.finished", "rollout.reverted", "rollout.cancelled", "rollout.act", "rollout.host",
	"workload.added", "workload.withdrawn", "workload.changed", "assignment.changed",
	"release.added", "release.withdrawn", "release.changed",
	"channel.changed", "policy.changed", "lock.changed", "ddi.changed", "operator.changed",
	NULL,
};
/* clang-format on */

bool ash_event_has_kind(const char *pattern)
{
	size_t size = strlen(pattern);
	bool is_start = g_str_has_suffix(pattern, ".*");

	for (const char *const *kind = ash_event_kinds; *kind != NULL; kind++)
		if (is_start ? strncmp(*kind, pattern, size - 1) == 0 : strcmp(*kind, pattern) == 0)
			return true;
	return false;
}

gboolean ash_event_append(AshDb *db, const AshEvent *event, GError **error)
{
	/* A host's own events are told apart by their numbers; for all others host_event is NULL. */
	static const char own[] = "INSERT INTO event "
				  "(at, kind, host, rollout, actor, text, data, host_event) "
				  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
				  "ON CONFLICT (host, host_event) DO NOTHING";
	static const char plain[] =
			"INSERT INTO event (at, kind, host, rollout, actor, text, data) "
			"VALUES ($1, $2, $3, $4, $5, $6, $7)";
	const AshDbValue values[] = {
			ASH_DB_I(event->at_s),
			ASH_DB_T(or_empty(event->kind)),
			ASH_DB_T(or_empty(event->host)),
			ASH_DB_T(or_empty(event->rollout)),
			ASH_DB_T(or_empty(event->actor)),
			ASH_DB_T(or_empty(event->text)),
			ASH_DB_T(event->data != NULL ? event->data : "{}"),
			ASH_DB_I(event->host_event),
			{.type = ASH_DB_END},
	};
	AshDbValue less[G_N_ELEMENTS(values) - 1];

	if (!ash_db_lock_events(db, error))
		return FALSE;
	if (event->host_event != 0)
		return ash_db_exec_later(db, own, values, error);
	for (size_t i = 0; i < G_N_ELEMENTS(less); i++)
		less[i] = values[i];
	less[G_N_ELEMENTS(less) - 1] = (AshDbValue){.type = ASH_DB_END};
	return ash_db_exec_later(db, plain, less, error);
}

typedef struct {
	AshEventEach each;
	gpointer data;
} Reader;

static gboolean read_row(const AshDbRow *row, gpointer data, GError **error)
{
	const Reader *reader = data;
	AshEvent event = {
			.seq = ash_db_row_int(row, 0),
			.at_s = ash_db_row_int(row, 1),
			.kind = ash_db_row_text(row, 2),
			.host = ash_db_row_text(row, 3),
			.rollout = ash_db_row_text(row, 4),
			.actor = ash_db_row_text(row, 5),
			.text = ash_db_row_text(row, 6),
			.data = ash_db_row_text(row, 7),
			.host_event = ash_db_row_int(row, 8),
	};

	return reader->each(&event, reader->data, error);
}

gboolean ash_event_read(AshDb *db, int64_t after, unsigned limit, AshEventEach each, gpointer data,
		GError **error)
{
	Reader reader = {.each = each, .data = data};

	return ash_db_query(db,
			"SELECT seq, at, kind, host, rollout, actor, text, data, host_event "
			"FROM event WHERE seq > $1 ORDER BY seq LIMIT $2",
			ASH_DB_VALUES(ASH_DB_I(after), ASH_DB_I(limit)), read_row, &reader, error);
}

gboolean ash_event_last(AshDb *db, int64_t *out_seq, GError **error)
{
	return ash_db_query_int(
			db, "SELECT coalesce(max(seq), 0) FROM event", NULL, NULL, out_seq, error);
}

/* ---- listeners ---- */

typedef struct {
	uint64_t id;
	int64_t after;
	AshEventListener call;
	gpointer data;
	bool is_gone; /* left; the thread frees it, which may be looking at it */
} Listener;

struct AshEvents {
	AshDbPool *pool;
	AshDb *db; /* the thread's own; NULL: to be taken anew */
	GThread *thread;

	GMutex mutex;
	GCond changed;
	bool is_ending, is_woken;
	uint64_t next_id, running_id; /* whose call is under way; 0: none's */
	GPtrArray *listeners;         /* Listener * */
	/* The thread's; listeners that begin now begin here. */
	int64_t last;
	bool is_troubled; /* it was said */
};

/* With the mutex. */
static void sweep(AshEvents *events)
{
	for (guint i = events->listeners->len; i-- > 0;) {
		Listener *listener = events->listeners->pdata[i];
		if (listener->is_gone)
			g_ptr_array_remove_index_fast(events->listeners, i);
	}
}

typedef struct {
	AshEvents *events;
	/* Only for those who are at @from or behind it, and were there when it began: the rest would miss some. */
	int64_t from;
	uint64_t before_id;
	unsigned count;
} Batch;

static bool is_served(const Batch *batch, const Listener *listener)
{
	return listener->after >= batch->from && listener->id < batch->before_id;
}

static gboolean deliver(const AshEvent *event, gpointer data, GError **error)
{
	Batch *batch = data;
	AshEvents *events = batch->events;

	g_mutex_lock(&events->mutex);
	for (guint i = 0; i < events->listeners->len && !events->is_ending; i++) {
		Listener *listener = events->listeners->pdata[i];
		if (listener->is_gone || !is_served(batch, listener) ||
				listener->after >= event->seq)
			continue;
		listener->after = event->seq;
		events->running_id = listener->id;
		g_mutex_unlock(&events->mutex);
		listener->call(event, listener->data);
		g_mutex_lock(&events->mutex);
		events->running_id = 0;
		g_cond_broadcast(&events->changed);
	}
	events->last = MAX(events->last, event->seq);
	g_mutex_unlock(&events->mutex);
	batch->count++;
	return TRUE;
}

/* The one that is furthest behind, if any is behind the rest. */
static bool find_laggard(AshEvents *events, int64_t *out_after)
{
	bool found = false;

	g_mutex_lock(&events->mutex);
	int64_t least = events->last;
	for (guint i = 0; i < events->listeners->len; i++) {
		const Listener *listener = events->listeners->pdata[i];
		if (!listener->is_gone && listener->after < least) {
			least = listener->after;
			found = true;
		}
	}
	g_mutex_unlock(&events->mutex);
	*out_after = least;
	return found;
}

/* Everything that there is was read: what is between the last event and @last are numbers that nobody has. */
static void catch_up(Batch *batch, int64_t last)
{
	AshEvents *events = batch->events;

	g_mutex_lock(&events->mutex);
	for (guint i = 0; i < events->listeners->len; i++) {
		Listener *listener = events->listeners->pdata[i];
		if (is_served(batch, listener))
			listener->after = MAX(listener->after, last);
	}
	g_mutex_unlock(&events->mutex);
}

static gboolean read_batch(AshEvents *events, int64_t from, bool *out_is_full, GError **error)
{
	Batch batch = {.events = events, .from = from};

	if (events->db == NULL && !ash_db_pool_take(events->pool, &events->db, error))
		return FALSE;
	g_mutex_lock(&events->mutex);
	batch.before_id = events->next_id;
	int64_t last = events->last;
	g_mutex_unlock(&events->mutex);
	if (!ash_event_read(events->db, from, BATCH, deliver, &batch, error))
		return FALSE;
	*out_is_full = batch.count == BATCH;
	if (!*out_is_full)
		catch_up(&batch, last);
	return TRUE;
}

/* A batch of what is new, and one for who is behind, so that neither waits for the other. */
static gboolean read_both(AshEvents *events, bool *out_has_more, GError **error)
{
	int64_t after = 0;
	bool is_full = false;

	g_mutex_lock(&events->mutex);
	int64_t last = events->last;
	g_mutex_unlock(&events->mutex);
	if (!read_batch(events, last, out_has_more, error))
		return FALSE;
	if (find_laggard(events, &after)) {
		*out_has_more = true;
		return read_batch(events, after, &is_full, error);
	}
	return TRUE;
}

static void read_failed(AshEvents *events, const GError *error)
{
	ash_db_give(events->db);
	events->db = NULL;
	if (!events->is_troubled)
		g_warning("cannot read events, trying again: %s", error->message);
	events->is_troubled = true;
}

static gpointer run(gpointer data)
{
	AshEvents *events = data;
	bool is_shared = ash_db_pool_is_shared(events->pool);
	bool has_more = true;

	g_mutex_lock(&events->mutex);
	while (!events->is_ending) {
		int64_t until_us = g_get_monotonic_time() + PAUSE_US;
		bool is_timed = is_shared || events->is_troubled;
		while (!has_more && !events->is_woken && !events->is_ending)
			if (!is_timed)
				g_cond_wait(&events->changed, &events->mutex);
			else if (!g_cond_wait_until(&events->changed, &events->mutex, until_us))
				break;
		events->is_woken = false;
		g_mutex_unlock(&events->mutex);

		g_autoptr(GError) error = NULL;
		has_more = false;
		if (read_both(events, &has_more, &error))
			events->is_troubled = false;
		else
			read_failed(events, error);
		g_mutex_lock(&events->mutex);
		sweep(events);
	}
	g_mutex_unlock(&events->mutex);
	return NULL;
}

gboolean ash_events_start(AshDbPool *pool, AshEvents **out_events, GError **error)
{
	int64_t last = 0;
	AshDb *db = NULL;

	if (!ash_db_pool_take(pool, &db, error))
		return FALSE;
	if (!ash_event_last(db, &last, error)) {
		ash_db_give(db);
		return FALSE;
	}
	AshEvents *events = g_new0(AshEvents, 1);
	events->pool = pool;
	events->db = db;
	events->last = last;
	events->next_id = 1;
	events->listeners = g_ptr_array_new_with_free_func(g_free);
	g_mutex_init(&events->mutex);
	g_cond_init(&events->changed);
	events->thread = g_thread_new("events", run, events);
	*out_events = events;
	return TRUE;
}

void ash_events_free(AshEvents *events)
{
	if (events == NULL)
		return;
	g_mutex_lock(&events->mutex);
	events->is_ending = true;
	g_cond_broadcast(&events->changed);
	g_mutex_unlock(&events->mutex);
	g_thread_join(events->thread);
	ash_db_give(events->db);
	g_ptr_array_unref(events->listeners);
	g_mutex_clear(&events->mutex);
	g_cond_clear(&events->changed);
	g_free(events);
}

uint64_t ash_events_listen(
		AshEvents *events, int64_t after, AshEventListener listener, gpointer data)
{
	Listener *entry = g_new0(Listener, 1);

	entry->call = listener;
	entry->data = data;
	g_mutex_lock(&events->mutex);
	uint64_t id = entry->id = events->next_id++;
	entry->after = after >= 0 ? after : events->last;
	g_ptr_array_add(events->listeners, entry);
	events->is_woken = true;
	g_cond_broadcast(&events->changed);
	g_mutex_unlock(&events->mutex);
	return id;
}

void ash_events_leave(AshEvents *events, uint64_t id)
{
	g_mutex_lock(&events->mutex);
	for (guint i = 0; i < events->listeners->len; i++) {
		Listener *listener = events->listeners->pdata[i];
		if (listener->id != id || listener->is_gone)
			continue;
		listener->is_gone = true;
		break;
	}
	/* Not for itself, from within. */
	while (events->running_id == id && g_thread_self() != events->thread)
		g_cond_wait(&events->changed, &events->mutex);
	/* The thread sweeps. */
	events->is_woken = true;
	g_cond_broadcast(&events->changed);
	g_mutex_unlock(&events->mutex);
}

void ash_events_wake(AshEvents *events)
{
	g_mutex_lock(&events->mutex);
	events->is_woken = true;
	g_cond_broadcast(&events->changed);
	g_mutex_unlock(&events->mutex);
}
