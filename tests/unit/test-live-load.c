/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <string.h>

#include "fleet/live.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

static const char id_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char id_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static void add_hosts(AshDb *db)
{
	store_run(db, "INSERT INTO host (id, name, state, health_word, agent_state, version, boot, said, "
		      "seq, desired, release, rollout, verb, instance, labels, facts, enrolled_at) "
		      "VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', "
		      "'edge', 'active', 'good', 'idle', '1.2.0', 'b1', 7, 9, 3, 4, 'r1', 'update', "
		      "'i1', '{\"site\":\"bern\"}', '{\"cpus\":4,\"kernel\":\"6.12\"}', 5)");
	store_run(db, "INSERT INTO host (id, name, state, enrolled_at, labels) VALUES "
		      "('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'broken', "
		      "'held', 6, 'no JSON')");
	store_run(db, "INSERT INTO host (id, name, state, enrolled_at) VALUES ('short', 'x', "
		      "'active', 1)");
	store_run(db, "INSERT INTO host_order (host, verb, created_at, created_by, state) VALUES "
		      "('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'check', "
		      "1, 'x', 'open'), "
		      "('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'check', "
		      "1, 'x', 'done')");
}

static void get(AshLive *live, const char *hex, AshHost *out_host)
{
	uint8_t id[ASH_HOST_ID_BYTES];

	g_assert_true(ash_host_id_parse(hex, id));
	g_assert_true(ash_live_get(live, id, out_host));
}

static GLogWriterOutput no_words(
		GLogLevelFlags level, const GLogField *fields, gsize count, gpointer data)
{
	return level == G_LOG_LEVEL_WARNING ? G_LOG_WRITER_HANDLED
					    : g_log_writer_default(level, fields, count, data);
}

static void test_load(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshLive) live = NULL;

	add_hosts(db);
	MUST(ash_live_load(store->pool, &live, &error));
	g_assert_cmpuint(ash_live_count(live), ==, 2);
	g_auto(AshHost) a = {0};
	get(live, id_a, &a);
	g_assert_cmpstr(a.name, ==, "edge");
	g_assert_cmpint(a.state, ==, ASH_HOST_ACTIVE);
	g_assert_cmpint(a.health, ==, ASH_HEALTH_GOOD);
	g_assert_cmpstr(a.agent_state, ==, "idle");
	g_assert_cmpstr(a.version, ==, "1.2.0");
	g_assert_cmpstr(a.boot, ==, "b1");
	g_assert_cmpint(a.said, ==, 7);
	g_assert_cmpint(a.seq, ==, 9);
	g_assert_cmpint(a.desired, ==, 3);
	g_assert_cmpint(a.release, ==, 4);
	g_assert_cmpstr(a.rollout, ==, "r1");
	g_assert_cmpstr(a.verb, ==, "update");
	g_assert_cmpint(a.enrolled_s, ==, 5);
	g_assert_cmpuint(a.open_orders, ==, 1);
	g_assert_cmpuint(a.instance, ==, ash_host_hash("i1"));
	g_assert_cmpstr(ash_pairs_get(a.labels, a.label_count, "site"), ==, "bern");
	g_assert_cmpstr(ash_pairs_get(a.facts, a.fact_count, "cpus"), ==, "4");
	g_auto(AshHost) b = {0};
	get(live, id_b, &b);
	g_assert_cmpint(b.state, ==, ASH_HOST_HELD);
	g_assert_cmpuint(b.label_count, ==, 0);
}

static void set_ahead(AshHost *host, gpointer data)
{
	host->seq = 12;
	ash_host_set_text(&host->version, "1.3.0");
}

static void wake(gpointer data)
{
	++*(unsigned *) data;
}

static void test_reload(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshLive) live = NULL;
	uint8_t id[ASH_HOST_ID_BYTES];
	unsigned woken = 0;

	add_hosts(db);
	MUST(ash_live_load(store->pool, &live, &error));
	g_assert_true(ash_host_id_parse(id_a, id));
	/* Its check-in was taken after what is read: that stays, what operators said comes. */
	ash_live_change(live, id, false, set_ahead, NULL);
	g_assert_true(ash_live_wait(live, id, 3, INT64_MAX, wake, &woken));
	store_run(db, "UPDATE host SET desired = 4, release = 5, labels = '{\"site\":\"thun\"}' "
		      "WHERE name = 'edge'");
	MUST(ash_live_reload(live, db, id_a, &error));
	g_assert_cmpuint(woken, ==, 1);
	g_auto(AshHost) a = {0};
	get(live, id_a, &a);
	g_assert_cmpint(a.seq, ==, 12);
	g_assert_cmpstr(a.version, ==, "1.3.0");
	g_assert_cmpint(a.desired, ==, 4);
	g_assert_cmpint(a.release, ==, 5);
	g_assert_cmpstr(ash_pairs_get(a.labels, a.label_count, "site"), ==, "thun");

	store_run(db, "DELETE FROM host WHERE name = 'edge'");
	MUST(ash_live_reload(live, db, id_a, &error));
	g_assert_cmpuint(ash_live_count(live), ==, 1);
	store_run(db, "INSERT INTO host (id, name, state, enrolled_at) VALUES "
		      "('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'n', "
		      "'active', 1)");
	MUST(ash_live_reload(live, db, id_a, &error));
	g_assert_cmpuint(ash_live_count(live), ==, 2);
	MUST(ash_live_reload(live, db, "nonsense", &error));
}

typedef struct {
	GMutex lock;
	GCond changed;
	bool is_woken;
} Woken;

static void wake_me(gpointer data)
{
	Woken *woken = data;

	g_mutex_lock(&woken->lock);
	woken->is_woken = true;
	g_cond_signal(&woken->changed);
	g_mutex_unlock(&woken->lock);
}

/* Somebody else changes a host: who waits for it here is woken. */
static void test_follow(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	AshLive *live = NULL;
	AshEvents *events = NULL;
	uint8_t id[ASH_HOST_ID_BYTES];
	Woken woken = {0};

	add_hosts(db);
	MUST(ash_live_load(store->pool, &live, &error));
	MUST(ash_events_start(store->pool, &events, &error));
	ash_live_follow(live, store->pool, events);
	g_assert_true(ash_host_id_parse(id_a, id));
	g_assert_true(ash_live_wait(live, id, 3, INT64_MAX, wake_me, &woken));
	MUST(ash_db_begin(db, true, &error));
	MUST(ash_db_exec(
			db, "UPDATE host SET desired = 4 WHERE name = 'edge'", NULL, NULL, &error));
	MUST(ash_event_append(db, &(AshEvent){.kind = "host.desired", .host = id_a}, &error));
	MUST(ash_db_commit(db, &error));
	ash_events_wake(events);
	g_mutex_lock(&woken.lock);
	while (!woken.is_woken)
		g_cond_wait(&woken.changed, &woken.lock);
	g_mutex_unlock(&woken.lock);
	ash_live_free(live);
	ash_events_free(events);
}

/* ASH_LIVE_ROWS=1000000 for the figure. */
static void test_many(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshLive) live = NULL;
	const char *wish = g_getenv("ASH_LIVE_ROWS");
	int64_t rows = wish != NULL ? g_ascii_strtoll(wish, NULL, 10) : 5000;
	g_autofree char *report = g_strnfill(700, 'x');

	/* Plain SQL of both: ids are numbers in 64 digits, spread by a factor. */
	MUST(ash_db_query_text(db,
			"INSERT INTO host (id, name, state, health_word, agent_state, verdict, "
			"\"commit\", version, boot, said, seq, enrolled_at, labels, facts, report) "
			"WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i - 1 FROM n "
			"WHERE i > 1) SELECT replace(substr(CAST(1000000000000 + i * 7919 AS TEXT), 6) || "
			"CAST(1000000000000 + i AS TEXT) || "
			"'00000000000000000000000000000000000000000000000000000000', ' ', '') || '', "
			"'edge-' || i, 'active', 'good', 'idle', 'good', "
			"'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', '1.0.0', "
			"'00000000-0000-4000-8000-' || i, 7, i, 1, "
			"'{\"channel\":\"stable\",\"site\":\"bern\"}', "
			"'{\"address\":\"10.0.0.' || i || '\",\"arch\":\"amd64\",\"cpus\":4,"
			"\"hostname\":\"edge-' || i || '\",\"kernel\":\"6.12.43+deb13-amd64\","
			"\"memory\":8589934592,\"product\":\"EPYC\",\"virt\":\"none\"}', $2 FROM n",
			ASH_DB_VALUES(ASH_DB_I(rows), ASH_DB_T(report)), NULL, NULL, &error));
	MUST(ash_db_exec(db, "UPDATE host SET id = substr(id, 1, 64)", NULL, NULL, &error));
	size_t before = mallinfo2().uordblks;
	int64_t begun_us = g_get_monotonic_time();
	MUST(ash_live_load(store->pool, &live, &error));
	g_test_message("%" G_GINT64_FORMAT " hosts in %.2f s, %zu bytes each", rows,
			(double) (g_get_monotonic_time() - begun_us) / G_USEC_PER_SEC,
			(mallinfo2().uordblks - before) / (size_t) rows);
	g_assert_cmpuint(ash_live_count(live), ==, (uint64_t) rows);
}

static const StoreCase cases[] = {
		{"load", test_load},
		{"reload", test_reload},
		{"follow", test_follow},
		{"many", test_many},
		{NULL},
};

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_log_set_writer_func(no_words, NULL, NULL);
	store_add("live", cases);
	return g_test_run();
}
