/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/webhook.h"

#include "fleet/server.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

static gint64 the_time = 1000000;

/* Who asks for the time can be held there. */
static struct {
	GMutex lock;
	GCond changed;
	bool is_held, is_let_go;
	GThread *looking; /* who looks what is due: the first that asks */
	unsigned asked;   /* how often that did: after it has read the table, and before it waits */
} gate;

enum {
	READ_AGAIN = 3
};

static void hold(void)
{
	g_mutex_lock(&gate.lock);
	if (gate.looking == NULL)
		gate.looking = g_thread_self();
	bool is_looking = gate.looking == g_thread_self();
	gate.asked += is_looking ? 1 : 0;
	g_cond_broadcast(&gate.changed);
	/* A delivery, until the table was read once more; what was read there, until the test says so. */
	while (gate.is_held && (is_looking ? gate.asked >= READ_AGAIN && !gate.is_let_go
					   : gate.asked < READ_AGAIN))
		g_cond_wait(&gate.changed, &gate.lock);
	g_mutex_unlock(&gate.lock);
}

static int64_t now(void)
{
	hold();
	return g_atomic_pointer_get((gintptr *) &the_time);
}

static void test_delay(void)
{
	int64_t sum = 0;

	g_assert_cmpint(ash_webhook_delay(0), ==, 0);
	g_assert_cmpint(ash_webhook_delay(1), ==, 1);
	g_assert_cmpint(ash_webhook_delay(2), ==, 2);
	g_assert_cmpint(ash_webhook_delay(10), ==, 512);
	g_assert_cmpint(ash_webhook_delay(11), ==, ASH_WEBHOOK_MAX_DELAY_S);
	g_assert_cmpint(ash_webhook_delay(G_MAXUINT), ==, ASH_WEBHOOK_MAX_DELAY_S);
	for (unsigned i = 1; i < 200 && sum < ASH_WEBHOOK_GIVE_UP_S; i++)
		sum += ash_webhook_delay(i);
	g_assert_cmpint(sum, >=, ASH_WEBHOOK_GIVE_UP_S);
}

static void test_wants(void)
{
	g_assert_true(ash_webhook_wants("[]", "host.joined"));
	g_assert_true(ash_webhook_wants("[\"host.joined\"]", "host.joined"));
	g_assert_false(ash_webhook_wants("[\"host.joined\"]", "host.joined2"));
	g_assert_true(ash_webhook_wants("[\"a\",\"rollout.*\"]", "rollout.halted"));
	g_assert_false(ash_webhook_wants("[\"rollout.*\"]", "rollouts.halted"));
	g_assert_false(ash_webhook_wants("nothing", "a"));
}

/* Computed by another program (openssl dgst -sha256 -hmac key). */
static void test_sign(void)
{
	g_autofree char *text = ash_webhook_sign("key", 12, "{\"a\":1}", 7);

	g_assert_cmpstr(text, ==,
			"t=12,v1="
			"7212380e67628554ba59ab20028b53b99d4c7716394eface6e2635bfa1665878");
}

/* ---- a receiver that is not there ---- */

typedef struct {
	AshServer server;
	AshWebhooks *webhooks;
} Setting;

static void begin(Setting *setting, Store *store, AshDb *db)
{
	g_autoptr(GError) error = NULL;

	*setting = (Setting){.server = {.pool = store->pool, .now = now}};
	MUST(ash_events_start(store->pool, &setting->server.events, &error));
	/* Port 1 of this machine: nobody listens there. */
	store_run(db, "INSERT INTO webhook (id, url, secret, kinds, created_at, created_by, cursor) "
		      "VALUES ('w', 'http://127.0.0.1:1/', 'key', '[\"release.*\"]', 1, 'x', 0)");
	MUST(ash_db_begin(db, true, &error));
	MUST(ash_event_append(db, &(AshEvent){.at_s = 1, .kind = "host.joined"}, &error));
	MUST(ash_event_append(db, &(AshEvent){.at_s = 1, .kind = "release.added"}, &error));
	MUST(ash_db_commit(db, &error));
	MUST(ash_webhooks_start(&setting->server, &setting->webhooks, &error));
}

static void end(Setting *setting)
{
	ash_webhooks_free(setting->webhooks);
	ash_events_free(setting->server.events);
}

/* Until the statement says @wanted. */
static void wait_for(Setting *setting, AshDb *db, const char *sql, int64_t wanted)
{
	for (unsigned i = 0; store_int(db, sql) != wanted; i++) {
		g_assert_cmpuint(i, <, 3000);
		ash_webhooks_wake(setting->webhooks);
		g_usleep(10000);
	}
}

static void test_given_up(Store *store)
{
	g_autoptr(AshDb) db = store_take(store);
	Setting setting;

	begin(&setting, store, db);
	wait_for(&setting, db, "SELECT coalesce(max(attempts), 0) FROM webhook_delivery", 1);
	g_assert_cmpint(store_int(db, "SELECT seq FROM webhook_delivery"), ==, 2);
	g_assert_cmpint(store_int(db, "SELECT next_at - since FROM webhook_delivery"), ==, 1);
	g_assert_cmpint(store_int(db, "SELECT cursor FROM webhook"), ==, 0);
	/* Its time comes, again and again, for a day. */
	g_atomic_pointer_set((gintptr *) &the_time, the_time + 1);
	wait_for(&setting, db, "SELECT max(attempts) FROM webhook_delivery", 2);
	/* A clock that is set back makes nobody wait until it is where it was. */
	g_atomic_pointer_set((gintptr *) &the_time, the_time - 60 * 60);
	wait_for(&setting, db, "SELECT max(attempts) FROM webhook_delivery", 3);
	g_atomic_pointer_set((gintptr *) &the_time, the_time + 60 * 60 + ASH_WEBHOOK_GIVE_UP_S);
	wait_for(&setting, db, "SELECT COUNT(*) FROM webhook_delivery WHERE state = 'given-up'", 1);
	wait_for(&setting, db, "SELECT cursor FROM webhook", 2);
	g_assert_cmpint(store_int(db, "SELECT delivered FROM webhook"), ==, 0);
	end(&setting);
}

/* What was read of the table before a delivery ended must not begin that again afterwards. */
static void test_read_before_the_end(Store *store)
{
	g_autoptr(AshDb) db = store_take(store);
	Setting setting;

	gate.looking = NULL;
	gate.asked = 0;
	gate.is_let_go = false;
	gate.is_held = true;
	begin(&setting, store, db);
	/* The table is read before the delivery has written that it began, and used after that has failed. */
	wait_for(&setting, db, "SELECT coalesce(max(attempts), 0) FROM webhook_delivery", 1);
	int64_t since = store_int(db, "SELECT since FROM webhook_delivery");
	g_usleep(100000); /* the thread that wrote that says it has ended: not to be seen from here */
	g_atomic_pointer_set((gintptr *) &the_time, the_time + 1);
	g_mutex_lock(&gate.lock);
	gate.is_let_go = true;
	g_cond_broadcast(&gate.changed);
	g_mutex_unlock(&gate.lock);
	wait_for(&setting, db, "SELECT max(attempts) FROM webhook_delivery", 2);
	g_assert_cmpint(store_int(db, "SELECT since FROM webhook_delivery"), ==, since);
	end(&setting);
	gate.is_held = false;
}

static void test_paused(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	Setting setting;

	begin(&setting, store, db);
	wait_for(&setting, db, "SELECT coalesce(max(attempts), 0) FROM webhook_delivery", 1);
	ash_webhooks_free(setting.webhooks);
	/* Another one shows that time went on. */
	store_run(db, "UPDATE webhook SET paused = 'x'");
	store_run(db, "INSERT INTO webhook (id, url, secret, created_at, created_by, cursor) VALUES ('v', "
		      "'http://127.0.0.1:1/v', 'key', 1, 'x', 1)");
	g_atomic_pointer_set((gintptr *) &the_time, the_time + 100);
	MUST(ash_webhooks_start(&setting.server, &setting.webhooks, &error));
	wait_for(&setting, db,
			"SELECT coalesce(max(attempts), 0) FROM webhook_delivery WHERE webhook = 'v'",
			1);
	end(&setting);
	g_assert_cmpint(store_int(db, "SELECT attempts FROM webhook_delivery WHERE webhook = 'w'"),
			==, 1);
}

int main(int argc, char **argv)
{
	static const StoreCase cases[] = {
			{"given-up", test_given_up},
			{"read-before-the-end", test_read_before_the_end},
			{"paused", test_paused},
			{NULL, NULL},
	};

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/webhook/delay", test_delay);
	g_test_add_func("/webhook/wants", test_wants);
	g_test_add_func("/webhook/sign", test_sign);
	store_add("webhook", cases);
	return g_test_run();
}
