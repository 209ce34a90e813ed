/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/writer.h"

#include "lib/error.h"

enum {
	MAX_QUEUED = 32768,
	MAX_GROUP = 4096, /* so that the first of them is not answered too late */
	PROBE_S = 5,
	TIDY_S = 2,
	TIDY_ITEMS = 1000, /* since the last time: with fewer it can wait */
};

typedef struct {
	const AshWriteKind *kind;
	gpointer item;
} Entry;

struct AshWriter {
	AshDbPool *pool;
	AshDb *db; /* the thread's own; NULL: lost, to be taken anew */
	GThread *thread, *tidier;

	GMutex mutex;
	GCond changed, ending;
	GArray *queue;    /* Entry; what came since the thread looked */
	GArray *working;  /* Entry; the thread's */
	size_t in_flight; /* of working, not done */
	bool is_ending, is_tidied;
	AshWriterCounts counts;
	char *trouble;
};

/* ---- one group ---- */

/* Which of the group's items did it? Anything but these is about the database, and the same for all. */
static bool is_items_own(const GError *error)
{
	return error->domain != ASH_DB_ERROR || error->code == ASH_DB_ERROR_FAILED ||
	       error->code == ASH_DB_ERROR_CONFLICT;
}

static gboolean ensure_db(AshWriter *writer, GError **error)
{
	return writer->db != NULL || ash_db_pool_take(writer->pool, &writer->db, error);
}

/* Gives it back, where a lost connection ends. */
static void drop_db(AshWriter *writer)
{
	ash_db_give(writer->db);
	writer->db = NULL;
}

/* @error is not NULL. @out_applied: how many were applied before the one that failed; @count: all, and the commit failed. */
static gboolean write_group(AshWriter *writer, const Entry *entries, size_t count,
		size_t *out_applied, GError **error)
{
	size_t i = 0;

	*out_applied = 0;
	if (!ensure_db(writer, error))
		return FALSE;
	gboolean ok = ash_db_begin(writer->db, true, error);
	for (i = 0; ok && i < count; i++)
		ok = entries[i].kind->apply(writer->db, entries[i].item, error);
	if (ok) {
		*out_applied = count;
		ok = ash_db_commit(writer->db, error);
	} else if (i > 0)
		*out_applied = i - 1;
	if (ok)
		return TRUE;
	ash_db_rollback(writer->db);
	if (g_error_matches(*error, ASH_DB_ERROR, ASH_DB_ERROR_LOST))
		drop_db(writer);
	return FALSE;
}

static void set_trouble(AshWriter *writer, const GError *error)
{
	writer->counts.is_failing = error != NULL;
	g_clear_pointer(&writer->trouble, g_free);
	if (error != NULL)
		writer->trouble = g_strdup(error->message);
}

/* Tells the counts, then the senders: who waited for its item sees it counted. */
static void finish(AshWriter *writer, const Entry *entries, size_t count, const GError *error,
		int64_t took_us)
{
	g_mutex_lock(&writer->mutex);
	if (error == NULL) {
		writer->counts.groups++;
		writer->counts.items += count;
		writer->counts.last_commit_us = took_us;
	} else
		writer->counts.failures += count;
	/* An item's own failure is its sender's trouble. */
	if (error == NULL || !is_items_own(error))
		set_trouble(writer, error);
	writer->in_flight -= count;
	g_mutex_unlock(&writer->mutex);
	for (size_t i = 0; i < count; i++)
		entries[i].kind->done(entries[i].item, error);
}

/* Writes them all, or as many as can be, each told once. An item that fails when it is applied takes down nobody: those
 * before it are written without it, then those behind it. When it is the commit that fails (PostgreSQL, where statements
 * are not waited for), halves find the one.
 */
static void write_all(AshWriter *writer, const Entry *entries, size_t count)
{
	size_t limit = MIN(count, MAX_GROUP);
	bool is_second_try = false;

	while (count > 0) {
		g_autoptr(GError) error = NULL;
		size_t applied = 0;
		size_t size = MIN(limit, count);
		int64_t began_us = g_get_monotonic_time();

		if (write_group(writer, entries, size, &applied, &error)) {
			finish(writer, entries, size, NULL, g_get_monotonic_time() - began_us);
			limit = MAX_GROUP;
		} else if (!is_items_own(error)) {
			/* A connection that died before the commit: nothing is written, so once more. */
			if (error->code == ASH_DB_ERROR_LOST && applied < size && !is_second_try) {
				is_second_try = true;
				continue;
			}
			finish(writer, entries, size, error, 0);
		} else if (size == 1 || applied == 0) {
			size = 1;
			finish(writer, entries, size, error, 0);
			limit = MAX_GROUP;
		} else {
			limit = applied < size ? applied : size / 2;
			continue;
		}
		is_second_try = false;
		entries += size;
		count -= size;
	}
}

/* ---- the log ---- */

/* SQLite's log grows with each commit until one of them brings it into the tables, which takes a good part of a second
 * when many hosts check in, and all of them wait for it. So a thread of its own does it meanwhile, from time to time;
 * the little that has come in the meantime is the writer's, for only when all is brought in does the log begin anew.
 */
static gpointer run_tidier(gpointer data)
{
	AshWriter *writer = data;
	uint64_t last = 0;

	g_mutex_lock(&writer->mutex);
	while (!writer->is_ending) {
		int64_t until_us = g_get_monotonic_time() + TIDY_S * G_USEC_PER_SEC;
		while (!writer->is_ending &&
				g_cond_wait_until(&writer->ending, &writer->mutex, until_us))
			;
		if (writer->is_ending || writer->counts.items - last < TIDY_ITEMS)
			continue;
		last = writer->counts.items;
		g_mutex_unlock(&writer->mutex);
		g_autoptr(GError) error = NULL;
		g_autoptr(AshDb) db = NULL;
		/* What is wrong, the next commit says. */
		bool is_tidied = ash_db_pool_take(writer->pool, &db, &error) &&
				 ash_db_tidy(db, &error);
		g_mutex_lock(&writer->mutex);
		writer->is_tidied = is_tidied;
	}
	g_mutex_unlock(&writer->mutex);
	return NULL;
}

static void tidy_rest(AshWriter *writer)
{
	g_autoptr(GError) error = NULL;

	if (writer->db != NULL && !ash_db_tidy(writer->db, &error))
		g_debug("%s", error->message);
}

/* ---- the thread ---- */

static gboolean write_probe(AshDb *db, GError **error)
{
	g_autofree char *now = g_strdup_printf("%" G_GINT64_FORMAT, g_get_real_time());

	return ash_db_exec(db,
			"INSERT INTO meta (key, value) VALUES ('writer.probe', $1) ON CONFLICT (key) DO "
			"UPDATE SET value = excluded.value",
			ASH_DB_VALUES(ASH_DB_T(now)), NULL, error);
}

/* A server that says it is not well gets no check-ins any more from who balances the load, and by what it writes alone it
 * would never learn that the database is back; nor that one is away, when nobody comes.
 */
static void probe(AshWriter *writer, bool is_failing)
{
	g_autoptr(GError) error = NULL;
	bool is_well = false;

	if (!is_failing && !ash_db_pool_is_shared(writer->pool))
		return;
	/* A connection that died says nothing yet about the next one. */
	for (int i = 0; i < 2 && !is_well; i++) {
		g_clear_error(&error);
		is_well = ensure_db(writer, &error) &&
			  (is_failing ? write_probe(writer->db, &error)
				      : ash_db_query(writer->db, "SELECT 1", NULL, NULL, NULL,
							&error));
		if (!is_well && g_error_matches(error, ASH_DB_ERROR, ASH_DB_ERROR_LOST))
			drop_db(writer);
	}
	g_mutex_lock(&writer->mutex);
	set_trouble(writer, error);
	g_mutex_unlock(&writer->mutex);
}

/* With the lock, which it gives back meanwhile. */
static void wait_for_work(AshWriter *writer)
{
	while (writer->queue->len == 0 && !writer->is_ending) {
		int64_t until_us = g_get_monotonic_time() + PROBE_S * G_USEC_PER_SEC;
		if (g_cond_wait_until(&writer->changed, &writer->mutex, until_us) ||
				writer->queue->len > 0)
			continue;
		bool is_failing = writer->counts.is_failing;
		g_mutex_unlock(&writer->mutex);
		probe(writer, is_failing);
		g_mutex_lock(&writer->mutex);
	}
}

static gpointer run(gpointer data)
{
	AshWriter *writer = data;

	for (;;) {
		g_mutex_lock(&writer->mutex);
		wait_for_work(writer);
		if (writer->queue->len == 0) {
			g_mutex_unlock(&writer->mutex);
			return NULL;
		}
		GArray *full = writer->queue;
		writer->queue = writer->working;
		writer->working = full;
		writer->in_flight = full->len;
		bool is_tidied = writer->is_tidied;
		writer->is_tidied = false;
		g_mutex_unlock(&writer->mutex);

		write_all(writer, (const Entry *) (gpointer) full->data, full->len);
		g_array_set_size(full, 0);
		if (is_tidied)
			tidy_rest(writer);
	}
}

gboolean ash_writer_start(AshDbPool *pool, AshWriter **out_writer, GError **error)
{
	AshDb *db = NULL;

	if (!ash_db_pool_take(pool, &db, error))
		return FALSE;
	AshWriter *writer = g_new0(AshWriter, 1);
	writer->pool = pool;
	writer->db = db;
	writer->queue = g_array_new(FALSE, FALSE, sizeof(Entry));
	writer->working = g_array_new(FALSE, FALSE, sizeof(Entry));
	g_mutex_init(&writer->mutex);
	g_cond_init(&writer->changed);
	g_cond_init(&writer->ending);
	writer->thread = g_thread_new("writer", run, writer);
	writer->tidier = g_thread_new("writer-tidy", run_tidier, writer);
	*out_writer = writer;
	return TRUE;
}

void ash_writer_free(AshWriter *writer)
{
	if (writer == NULL)
		return;
	g_mutex_lock(&writer->mutex);
	writer->is_ending = true;
	g_cond_signal(&writer->changed);
	g_cond_signal(&writer->ending);
	g_mutex_unlock(&writer->mutex);
	g_thread_join(writer->thread);
	g_thread_join(writer->tidier);
	drop_db(writer);
	g_array_unref(writer->queue);
	g_array_unref(writer->working);
	g_mutex_clear(&writer->mutex);
	g_cond_clear(&writer->changed);
	g_cond_clear(&writer->ending);
	g_free(writer->trouble);
	g_free(writer);
}

gboolean ash_writer_queue(AshWriter *writer, const AshWriteKind *kind, gpointer item)
{
	Entry entry = {.kind = kind, .item = item};

	g_mutex_lock(&writer->mutex);
	g_assert(!writer->is_ending);
	gboolean has_room = writer->queue->len + writer->in_flight < MAX_QUEUED;
	if (has_room) {
		g_array_append_val(writer->queue, entry);
		/* It looks by itself when it is busy. */
		if (writer->queue->len == 1)
			g_cond_signal(&writer->changed);
	}
	g_mutex_unlock(&writer->mutex);
	return has_room;
}

void ash_writer_counts(AshWriter *writer, AshWriterCounts *out_counts)
{
	g_mutex_lock(&writer->mutex);
	*out_counts = writer->counts;
	out_counts->queued = writer->queue->len + writer->in_flight;
	g_mutex_unlock(&writer->mutex);
}

char *ash_writer_trouble(AshWriter *writer)
{
	g_mutex_lock(&writer->mutex);
	char *trouble = g_strdup(writer->trouble);
	g_mutex_unlock(&writer->mutex);
	return trouble;
}
