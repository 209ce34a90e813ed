/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/event.h"

#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

static void append(AshDb *db, const AshEvent *event)
{
	g_autoptr(GError) error = NULL;

	MUST(ash_db_begin(db, true, &error));
	MUST(ash_event_append(db, event, &error));
	MUST(ash_db_commit(db, &error));
}

static void append_many(AshDb *db, unsigned count)
{
	g_autoptr(GError) error = NULL;
	AshEvent event = {.kind = "host.back", .host = "h"};

	MUST(ash_db_begin(db, true, &error));
	for (unsigned i = 0; i < count; i++)
		MUST(ash_event_append(db, &event, &error));
	MUST(ash_db_commit(db, &error));
}

static gboolean format(const AshEvent *event, gpointer data, GError **error)
{
	g_string_append_printf(data,
			"%" G_GINT64_FORMAT " %s %s %s %s %s %s %" G_GINT64_FORMAT "\n",
			event->at_s, event->kind, event->host, event->rollout, event->actor,
			event->text, event->data, event->host_event);
	return TRUE;
}

static void test_append_and_read(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(GString) text = g_string_new(NULL);
	int64_t last = -1;

	MUST(ash_event_last(db, &last, &error));
	g_assert_cmpint(last, ==, 0);
	append(db, &(AshEvent){.at_s = 5,
				   .kind = "rollout.paused",
				   .rollout = "r",
				   .actor = "a",
				   .text = "t"});
	append(db, &(AshEvent){.at_s = 6,
				   .kind = "host.event",
				   .host = "h",
				   .data = "{\"a\":1}",
				   .host_event = 1});
	/* A host sends what was not acknowledged again; another host has the same numbers. */
	append(db, &(AshEvent){.at_s = 7, .kind = "host.event", .host = "h", .host_event = 1});
	append(db, &(AshEvent){.at_s = 8, .kind = "host.event", .host = "i", .host_event = 1});
	append(db, &(AshEvent){.at_s = 9, .kind = "host.report", .host = "h"});
	append(db, &(AshEvent){.at_s = 9, .kind = "host.report", .host = "h"});
	MUST(ash_event_read(db, 0, 100, format, text, &error));
	g_assert_cmpstr(text->str, ==,
			"5 rollout.paused  r a t {} 0\n"
			"6 host.event h    {\"a\":1} 1\n"
			"8 host.event i    {} 1\n"
			"9 host.report h    {} 0\n"
			"9 host.report h    {} 0\n");
	MUST(ash_event_last(db, &last, &error));
	g_string_truncate(text, 0);
	MUST(ash_event_read(db, last - 1, 100, format, text, &error));
	g_assert_cmpstr(text->str, ==, "9 host.report h    {} 0\n");
	g_string_truncate(text, 0);
	MUST(ash_event_read(db, 0, 1, format, text, &error));
	g_assert_cmpstr(text->str, ==, "5 rollout.paused  r a t {} 0\n");
}

/* ---- listeners ---- */

typedef struct {
	GMutex mutex;
	GCond changed;
	unsigned count;
	int64_t last;
	AshEvents *leaves; /* from within, at the first */
	uint64_t id;
} Ear;

static void hear(const AshEvent *event, gpointer data)
{
	Ear *ear = data;

	g_mutex_lock(&ear->mutex);
	g_assert_cmpint(event->seq, >, ear->last);
	ear->last = event->seq;
	ear->count++;
	g_cond_broadcast(&ear->changed);
	g_mutex_unlock(&ear->mutex);
	if (ear->leaves != NULL)
		ash_events_leave(ear->leaves, ear->id);
}

static void wait_for(Ear *ear, unsigned count)
{
	g_mutex_lock(&ear->mutex);
	while (ear->count < count)
		g_cond_wait(&ear->changed, &ear->mutex);
	g_assert_cmpuint(ear->count, ==, count);
	g_mutex_unlock(&ear->mutex);
}

static void test_listeners(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	AshEvents *events = NULL;
	Ear all = {0}, middle = {0}, now = {0};

	append_many(db, 1234);
	MUST(ash_events_start(store->pool, &events, &error));
	uint64_t all_id = ash_events_listen(events, 0, hear, &all);
	uint64_t middle_id = ash_events_listen(events, 700, hear, &middle);
	uint64_t now_id = ash_events_listen(events, -1, hear, &now);
	wait_for(&all, 1234);
	wait_for(&middle, 534);
	append_many(db, 1);
	ash_events_wake(events);
	wait_for(&now, 1);
	wait_for(&all, 1235);
	wait_for(&middle, 535);
	/* Who left is not called, and the others are. */
	ash_events_leave(events, middle_id);
	append_many(db, 1000);
	ash_events_wake(events);
	wait_for(&all, 2235);
	wait_for(&now, 1001);
	g_assert_cmpuint(middle.count, ==, 535);
	ash_events_leave(events, all_id);
	ash_events_leave(events, all_id);
	ash_events_leave(events, now_id);
	ash_events_free(events);
}

/* While events are appended, listeners come and go: each misses none behind where it began. */
static void test_listeners_come_while_events_do(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	AshEvents *events = NULL;
	Ear ears[20] = {0};

	MUST(ash_events_start(store->pool, &events, &error));
	for (unsigned i = 0; i < G_N_ELEMENTS(ears); i++) {
		append_many(db, 97);
		ash_events_wake(events);
		ears[i].id = ash_events_listen(events, i * 40, hear, &ears[i]);
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(ears); i++)
		wait_for(&ears[i], 97 * G_N_ELEMENTS(ears) - i * 40);
	for (unsigned i = 0; i < G_N_ELEMENTS(ears); i++)
		ash_events_leave(events, ears[i].id);
	ash_events_free(events);
}

static void test_leaving_from_within(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	AshEvents *events = NULL;
	Ear once = {0}, all = {0};

	MUST(ash_events_start(store->pool, &events, &error));
	once.leaves = events;
	once.id = 1;
	g_assert_cmpuint(ash_events_listen(events, 0, hear, &once), ==, 1);
	ash_events_listen(events, 0, hear, &all);
	append_many(db, 10);
	ash_events_wake(events);
	wait_for(&all, 10);
	wait_for(&once, 1);
	ash_events_free(events);
}

int main(int argc, char **argv)
{
	static const StoreCase cases[] = {
			{"append-and-read", test_append_and_read},
			{"listeners", test_listeners},
			{"listeners-come-while-events-do", test_listeners_come_while_events_do},
			{"leaving-from-within", test_leaving_from_within},
			{NULL, NULL},
	};

	g_test_init(&argc, &argv, NULL);
	store_add("event", cases);
	return g_test_run();
}
