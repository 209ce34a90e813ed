/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/writer.h"

#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

typedef struct Sink Sink;

typedef struct {
	Sink *sink;
	int number;
	const char *sql; /* instead of the insertion */
	bool fails;      /* by its own reckoning */
	bool is_later;   /* ash_db_exec_later */
	GError *error;
	unsigned done;
} Item;

struct Sink {
	GMutex mutex;
	GCond changed;
	unsigned done;
	bool is_stopped; /* the writer waits in apply, so that what is queued becomes one group */
};

static gboolean apply(AshDb *db, gpointer data, GError **error)
{
	Item *item = data;
	Sink *sink = item->sink;

	g_mutex_lock(&sink->mutex);
	while (sink->is_stopped)
		g_cond_wait(&sink->changed, &sink->mutex);
	g_mutex_unlock(&sink->mutex);
	if (item->fails)
		return ash_throw(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "its own");
	const char *sql = item->sql != NULL ? item->sql
					    : "INSERT INTO host_journal (host, at, text) "
					      "VALUES ('h', $1, '')";
	if (item->is_later)
		return ash_db_exec_later(db, sql, ASH_DB_VALUES(ASH_DB_I(item->number)), error);
	return ash_db_exec(db, sql, ASH_DB_VALUES(ASH_DB_I(item->number)), NULL, error);
}

static void done(gpointer data, const GError *error)
{
	Item *item = data;

	g_mutex_lock(&item->sink->mutex);
	item->done++;
	item->error = error != NULL ? g_error_copy(error) : NULL;
	item->sink->done++;
	g_cond_broadcast(&item->sink->changed);
	g_mutex_unlock(&item->sink->mutex);
}

static const AshWriteKind kind = {apply, done};

static void sink_set(Sink *sink, bool is_stopped)
{
	g_mutex_lock(&sink->mutex);
	sink->is_stopped = is_stopped;
	g_cond_broadcast(&sink->changed);
	g_mutex_unlock(&sink->mutex);
}

static void sink_wait(Sink *sink, unsigned count)
{
	g_mutex_lock(&sink->mutex);
	while (sink->done < count)
		g_cond_wait(&sink->changed, &sink->mutex);
	g_mutex_unlock(&sink->mutex);
}

/* A first item that holds the writer up, then all of them in one group. */
static void queue_group(AshWriter *writer, Sink *sink, Item *items, unsigned count)
{
	Item first = {.sink = sink, .sql = "SELECT 1 WHERE $1 = 0"};

	sink_set(sink, true);
	g_assert_true(ash_writer_queue(writer, &kind, &first));
	for (unsigned i = 0; i < count; i++) {
		items[i].sink = sink;
		items[i].number = (int) i + 1;
		g_assert_true(ash_writer_queue(writer, &kind, &items[i]));
	}
	sink_set(sink, false);
	sink_wait(sink, count + 1);
	g_assert_no_error(first.error);
	for (unsigned i = 0; i < count; i++)
		g_assert_cmpuint(items[i].done, ==, 1);
}

static void test_a_group_is_one_commit(Store *store)
{
	g_autoptr(GError) error = NULL;
	enum {
		COUNT = 1000
	};
	g_autofree Item *items = g_new0(Item, COUNT);
	AshWriter *writer = NULL;
	AshWriterCounts counts;
	Sink sink = {0};

	MUST(ash_writer_start(store->pool, &writer, &error));
	queue_group(writer, &sink, items, COUNT);
	for (unsigned i = 0; i < COUNT; i++)
		g_assert_no_error(items[i].error);
	ash_writer_counts(writer, &counts);
	/* The first may have been taken before the rest was queued, or with it. */
	g_assert_cmpuint(counts.groups, <=, 2);
	g_assert_cmpuint(counts.items, ==, COUNT + 1);
	g_assert_cmpuint(counts.queued, ==, 0);
	g_assert_false(counts.is_failing);
	g_assert_null(ash_writer_trouble(writer));
	ash_writer_free(writer);
	g_autoptr(AshDb) db = store_take(store);
	g_assert_cmpint(store_int(db, "SELECT sum(at) FROM host_journal"), ==,
			COUNT * (COUNT + 1) / 2);
}

/* Bad items among good ones: each bad one is told, each good one is on disk once. */
static void mixed(Store *store, const Item *bad, GQuark domain, int code)
{
	g_autoptr(GError) error = NULL;
	static const unsigned bads[] = {0, 1, 7, 8, 63, 99};
	Item items[100] = {0};
	AshWriter *writer = NULL;
	AshWriterCounts counts;
	Sink sink = {0};
	int64_t sum = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(items); i++)
		items[i].is_later = i % 3 != 0;
	for (size_t i = 0; i < G_N_ELEMENTS(bads); i++)
		items[bads[i]] = *bad;
	MUST(ash_writer_start(store->pool, &writer, &error));
	queue_group(writer, &sink, items, G_N_ELEMENTS(items));
	for (unsigned i = 0, next = 0; i < G_N_ELEMENTS(items); i++)
		if (next < G_N_ELEMENTS(bads) && bads[next] == i) {
			g_assert_error(items[i].error, domain, code);
			g_clear_error(&items[i].error);
			next++;
		} else {
			g_assert_no_error(items[i].error);
			sum += i + 1;
		}
	ash_writer_counts(writer, &counts);
	g_assert_cmpuint(counts.failures, ==, G_N_ELEMENTS(bads));
	g_assert_false(counts.is_failing);
	ash_writer_free(writer);
	g_autoptr(AshDb) db = store_take(store);
	g_assert_cmpint(store_int(db, "SELECT sum(at) FROM host_journal"), ==, sum);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM host_journal"), ==, 94);
}

static void test_items_that_fail_take_nobody_down(Store *store)
{
	Item bad = {.fails = true};

	mixed(store, &bad, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

static void test_statements_that_fail_take_nobody_down(Store *store)
{
	Item bad = {.sql = "INSERT INTO meta (key, value) SELECT 'schema', '' WHERE $1 > 0"};

	mixed(store, &bad, ASH_DB_ERROR, ASH_DB_ERROR_CONFLICT);
}

static void test_late_failures_take_nobody_down(Store *store)
{
	Item bad = {.sql = "INSERT INTO meta (key, value) SELECT 'schema', '' WHERE $1 > 0",
			.is_later = true};

	mixed(store, &bad, ASH_DB_ERROR, ASH_DB_ERROR_CONFLICT);
}

static void test_too_much_is_refused(Store *store)
{
	g_autoptr(GError) error = NULL;
	enum {
		MOST = 32768
	};
	g_autofree Item *items = g_new0(Item, MOST + 1);
	AshWriter *writer = NULL;
	Sink sink = {.is_stopped = true};

	MUST(ash_writer_start(store->pool, &writer, &error));
	for (unsigned i = 0; i <= MOST; i++) {
		items[i].sink = &sink;
		items[i].is_later = true;
		g_assert_true(ash_writer_queue(writer, &kind, &items[i]) == (i < MOST));
	}
	sink_set(&sink, false);
	/* What is queued is written before the end. */
	ash_writer_free(writer);
	g_assert_cmpuint(sink.done, ==, MOST);
	g_autoptr(AshDb) db = store_take(store);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM host_journal"), ==, MOST);
}

int main(int argc, char **argv)
{
	static const StoreCase cases[] = {
			{"a-group-is-one-commit", test_a_group_is_one_commit},
			{"items-that-fail-take-nobody-down", test_items_that_fail_take_nobody_down},
			{"statements-that-fail-take-nobody-down",
					test_statements_that_fail_take_nobody_down},
			{"late-failures-take-nobody-down", test_late_failures_take_nobody_down},
			{"too-much-is-refused", test_too_much_is_refused},
			{NULL, NULL},
	};

	g_test_init(&argc, &argv, NULL);
	store_add("writer", cases);
	return g_test_run();
}
