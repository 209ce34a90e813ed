/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/overview.h"

#include "fleet/server.h"
#include "lib/json.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

static int64_t the_time;

static int64_t now(void)
{
	return the_time;
}

static void add_host(AshDb *db, unsigned number, const char *state, const char *health,
		const char *version, const char *site)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *id = g_strdup_printf("%064u", number);
	g_autofree char *name = g_strdup_printf("web%u", number);
	g_autofree char *labels = g_strdup_printf("{\"site\":\"%s\"}", site);

	MUST(ash_db_exec(db,
			"INSERT INTO host (id, name, state, reason, health_word, version, labels, "
			"enrolled_at, last_seen) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, 1)",
			ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T(name), ASH_DB_T(state),
					ASH_DB_T(g_str_equal(state, "held") ? "Two have its key."
									    : ""),
					ASH_DB_T(health), ASH_DB_T(version), ASH_DB_T(labels)),
			NULL, &error));
}

static void load(AshServer *server, Store *store)
{
	g_autoptr(GError) error = NULL;

	*server = (AshServer){.pool = store->pool, .now = now};
	MUST(ash_live_load(store->pool, &server->live, &error));
}

static void sample(AshServer *server, AshDb *db, int64_t at)
{
	g_autoptr(GError) error = NULL;

	the_time = at;
	MUST(ash_overview_sample(server, db, &error));
}

static void test_samples(Store *store)
{
	g_autoptr(AshDb) db = store_take(store);
	AshServer server;
	const int64_t day = 24 * 60 * 60;
	const int64_t begin = 100 * day;

	add_host(db, 1, "active", "good", "1.0", "bern");
	add_host(db, 2, "active", "good", "1.0", "bern");
	add_host(db, 3, "active", "good", "1.1", "bern");
	add_host(db, 4, "held", "good", "1.1", "bern");
	load(&server, store);
	sample(&server, db, begin + 17);
	/* Within five minutes one is enough, whoever else samples. */
	sample(&server, db, begin + 299);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM version_sample"), ==, 2);
	g_assert_cmpint(store_int(db, "SELECT at FROM version_sample LIMIT 1"), ==, begin);
	g_assert_cmpint(store_int(db, "SELECT count FROM version_sample WHERE version = '1.0'"), ==,
			2);
	sample(&server, db, begin + 300);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM version_sample"), ==, 4);
	/* Behind two days, one an hour; behind ninety, none. */
	sample(&server, db, begin + 3 * day);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM version_sample"), ==, 4);
	sample(&server, db, begin + 91 * day);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM version_sample"), ==, 4);
	g_assert_cmpint(store_int(db, "SELECT MIN(at) FROM version_sample"), ==, begin + 3 * day);
	ash_live_free(server.live);
}

static void test_many_versions(Store *store)
{
	g_autoptr(AshDb) db = store_take(store);
	AshServer server;

	for (unsigned i = 0; i < 20; i++) {
		g_autofree char *version = g_strdup_printf("1.%u", i);
		add_host(db, i + 1, "active", "good", version, "bern");
	}
	load(&server, store);
	sample(&server, db, 3000);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM version_sample"), ==,
			ASH_OVERVIEW_MAX_VERSIONS);
	g_assert_cmpint(store_int(db, "SELECT count FROM version_sample WHERE version = 'other'"),
			==, 20 - ASH_OVERVIEW_MAX_VERSIONS + 1);
	g_assert_cmpint(store_int(db, "SELECT SUM(count) FROM version_sample"), ==, 20);
	ash_live_free(server.live);
}

/* "kind: text" of each line. */
static char *attention(AshServer *server, AshDb *db, const char *scope_text)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autoptr(GString) text = g_string_new(NULL);
	g_auto(AshScope) scope = {.now = the_time};

	if (*scope_text != '\0')
		MUST(ash_selector_parse(scope_text, &scope.selector, &error));
	json_builder_begin_object(json);
	MUST(ash_overview_add_attention(server, db, &scope, json, &error));
	json_builder_end_object(json);
	g_autoptr(JsonNode) node = json_builder_get_root(json);
	JsonArray *items = json_object_get_array_member(json_node_get_object(node), "attention");
	for (guint i = 0; i < json_array_get_length(items); i++) {
		JsonObject *item = json_array_get_object_element(items, i);
		g_assert_nonnull(ash_json_find_text(item, "link"));
		g_string_append_printf(text, "%s: %s\n", ash_json_find_text(item, "kind"),
				ash_json_find_text(item, "text"));
	}
	return g_strdup(text->str);
}

static void test_attention(Store *store)
{
	g_autoptr(AshDb) db = store_take(store);
	AshServer server;

	the_time = 100 * 24 * 60 * 60;
	add_host(db, 1, "held", "good", "1.0", "bern");
	add_host(db, 2, "pending", "unknown", "", "bern");
	add_host(db, 3, "active", "good", "1.0", "bern");
	for (unsigned i = 10; i < 17; i++)
		add_host(db, i, "active", "bad", "1.0", "basel");
	add_host(db, 20, "retired", "bad", "1.0", "bern");
	store_run(db, "INSERT INTO rollout (id, name, release, spec, state, reason, created_at, created_by) "
		      "VALUES ('r1', 'spring', 1, '{}', 'halted', '3 of 20 failed.', 1, 'ada')");
	store_run(db, "INSERT INTO rollout (id, release, spec, state, created_at, created_by) VALUES ('r2', "
		      "1, '{}', 'running', 1, 'ada')");
	store_run(db, "INSERT INTO lock_hold (\"group\", id, since, lease_until) VALUES ('default', "
		      "'machine-1', 1, 2)");
	store_run(db, "INSERT INTO lock_hold (\"group\", id, since, lease_until) VALUES ('default', "
		      "'machine-2', 1, 99999999)");
	load(&server, store);
	g_autofree char *all = attention(&server, db, "");
	g_assert_nonnull(strstr(all,
			"rollout: Rollout spring is halted: 3 of 20 failed.\n"
			"lock: machine-1 holds a slot of the lock 'default' longer than its "
			"lease.\n"));
	g_assert_nonnull(strstr(all,
			"bad: 2 more hosts are bad.\nheld: Host web1 is held. Two have its "
			"key.\npending: Host web2 waits for approval.\n"));
	g_assert_null(strstr(all, "web3"));
	g_assert_null(strstr(all, "web20"));
	g_assert_null(strstr(all, "r2"));
	g_autofree char *bern = attention(&server, db, "site = bern");
	g_assert_cmpstr(bern, ==,
			"rollout: Rollout spring is halted: 3 of 20 failed.\nheld: Host web1 is held. Two "
			"have its key.\npending: Host web2 waits for approval.\n");
	ash_live_free(server.live);
}

int main(int argc, char **argv)
{
	static const StoreCase cases[] = {
			{"samples", test_samples},
			{"many-versions", test_many_versions},
			{"attention", test_attention},
			{NULL, NULL},
	};

	g_test_init(&argc, &argv, NULL);
	store_add("overview", cases);
	return g_test_run();
}
