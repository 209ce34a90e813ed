/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/retention.h"

#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "fleet/audit.h"
#include "fleet/ledger.h"
#include "lib/canonical.h"
#include "lib/crypto.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

enum {
	NOW = 1800000000,
	DAY = 86400,
};

static const AshFleetConfig nothing;

/* All that is old; how many batches it took. */
static unsigned trim(const Store *store, AshFleetConfig config)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = NULL;
	unsigned batches = 0;
	bool is_more = true;

	MUST(ash_db_pool_take(store->pool, &db, &error));
	config.dir = store->dir->path;
	for (; is_more; batches++) {
		MUST(ash_retention_trim(&config, db, NOW, &is_more, &error));
		g_assert_cmpuint(batches, <, 100);
	}
	return batches;
}

static void many(AshDb *db, const char *format, unsigned count)
{
	g_autoptr(GError) error = NULL;

	MUST(ash_db_begin(db, true, &error));
	for (unsigned i = 1; i <= count; i++) {
		g_autoptr(GString) sql = g_string_new(format);
		g_autofree char *number = g_strdup_printf("%u", i);
		g_string_replace(sql, "%N", number, 0);
		store_run(db, sql->str);
	}
	MUST(ash_db_commit(db, &error));
}

/* ---- events ---- */

static void test_events(Store *store)
{
	g_autoptr(AshDb) db = store_take(store);
	AshFleetConfig config = nothing;

	/* 1 to 2000 are of long ago, 2001 to 3500 of now. */
	many(db, "INSERT INTO event (at, kind, text) VALUES (1000 + %N, 'x', '')", 2000);
	many(db, "INSERT INTO event (at, kind, text) VALUES (1800000000, 'x', '')", 1500);
	trim(store, config);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM event"), ==, 3500);
	config.keep_events_s = 90 * DAY;
	/* Nobody has read them. */
	trim(store, config);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM event"), ==, 3500);
	store_run(db, "INSERT INTO meta (key, value) VALUES ('cursor.scheduler', '1200')");
	uint64_t before = ash_retention_removed(ASH_RETENTION_EVENTS);
	g_assert_cmpuint(trim(store, config), >=, 3);
	g_assert_cmpint(store_int(db, "SELECT MIN(seq) FROM event"), ==, 1201);
	g_assert_cmpuint(ash_retention_removed(ASH_RETENTION_EVENTS) - before, ==, 1200);
	store_run(db, "UPDATE meta SET value = '3500' WHERE key = 'cursor.scheduler'");
	trim(store, config);
	g_assert_cmpint(store_int(db, "SELECT MIN(seq) FROM event"), ==, 2001);
	/* However old the newest are: some are left. */
	config.keep_events_s = 1;
	store_run(db, "UPDATE event SET at = 5");
	trim(store, config);
	g_assert_cmpint(store_int(db, "SELECT MIN(seq) FROM event"), ==,
			3500 - ASH_RETENTION_LEAST);
}

/* ---- ledgers ---- */

static void test_ledgers(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	AshFleetConfig config = {.keep_ledgers_s = 365 * DAY};
	AshRollout *rollout = NULL;
	int64_t lines = 0;

	store_run(db, "INSERT INTO rollout (id, release, spec, state, created_at, created_by, ended_at, "
		      "lines) VALUES ('old', 1, '{}', 'finished', 1, 'a', 2, 1200), ('new', 1, '{}', "
		      "'finished', 1, 'a', 1799999999, 1), ('runs', 1, '{}', 'running', 1, 'a', 0, 1)");
	many(db, "INSERT INTO rollout_line (rollout, line, text) VALUES ('old', %N, 'step')", 1200);
	many(db,
			"INSERT INTO rollout_host (rollout, host, ring, outcome, since) VALUES ('old', 'h%N', "
			"1, 'confirmed', 1)",
			700);
	store_run(db, "INSERT INTO rollout_line (rollout, line, text) VALUES ('new', 1, 'step'), "
		      "('runs', 1, 'step')");
	/* Half of it: whoever asks now must not take it for whole. */
	bool is_more = false;
	config.dir = store->dir->path;
	MUST(ash_retention_trim(&config, db, NOW, &is_more, &error));
	g_assert_true(is_more);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM rollout_line WHERE rollout = 'old'"),
			==, 1200 - ASH_RETENTION_BATCH);
	g_assert_false(ash_ledger_load(db, "old", &rollout, &lines, &error));
	g_assert_error(error, ASH_LEDGER_ERROR, ASH_LEDGER_ERROR_NONE);
	trim(store, config);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM rollout_line"), ==, 2);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM rollout_host"), ==, 0);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM rollout WHERE trimmed_at = 1800000000 AND "
				      "lines = 0 AND id = 'old'"),
			==, 1);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM rollout WHERE trimmed_at = 0"), ==, 2);
}

/* ---- the audit log ---- */

static void append(AshDb *db, unsigned count, int64_t at_s)
{
	g_autoptr(GError) error = NULL;

	MUST(ash_db_begin(db, true, &error));
	for (unsigned i = 0; i < count; i++)
		MUST(ash_audit_append(db,
				&(AshAudit){.at_s = at_s,
						.actor = "ada",
						.action = "host.labels",
						.after = "{\"a\":\"\\u0000 \\\"é\"}"},
				&error));
	MUST(ash_db_commit(db, &error));
}

static AshAuditVerdict verify(AshDb *db)
{
	g_autoptr(GError) error = NULL;
	AshAuditVerdict verdict = {0};

	MUST(ash_audit_verify(db, &verdict, &error));
	return verdict;
}

/* As somebody else would: hash = SHA-256(hash before, newline, the line without its hash). */
static void check_file(const char *path, char **inout_hash, int64_t *inout_seq)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;

	MUST(g_file_get_contents(path, &text, NULL, &error));
	g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		g_autoptr(JsonNode) node = json_from_string(*line, &error);
		g_assert_no_error(error);
		JsonObject *object = json_node_get_object(node);
		g_autofree char *hash = g_strdup(json_object_get_string_member(object, "hash"));
		g_autofree char *canonical = NULL;
		g_assert_cmpint(json_object_get_int_member(object, "seq"), ==, ++*inout_seq);
		json_object_remove_member(object, "hash");
		MUST(ash_canonical_json(node, &canonical, &error));
		g_autofree char *chained = g_strdup_printf("%s\n%s", *inout_hash, canonical);
		g_autofree char *expected = ash_sha256_hex(chained, strlen(chained));
		g_assert_cmpstr(hash, ==, expected);
		g_free(*inout_hash);
		*inout_hash = g_steal_pointer(&hash);
	}
}

static void test_audit(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	AshFleetConfig config = {.keep_audit_s = 730 * DAY};
	g_autofree char *hash = g_strnfill(64, '0');
	AshAuditAnchor anchor = {0};
	int64_t seq = 0;

	append(db, 1100, 1000);
	append(db, 10, NOW);
	AshAuditVerdict before = verify(db);
	g_assert_cmpint(before.count, ==, 1110);
	trim(store, config);
	/* All of it is somewhere: the files, then the table; three rows tell of three files. */
	AshAuditVerdict verdict = verify(db);
	g_assert_cmpint(verdict.first_bad, ==, 0);
	g_assert_cmpint(verdict.anchor, ==, 1100);
	g_assert_cmpint(verdict.count, ==, 13);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM audit WHERE action = 'audit.archive'"),
			==, 3);
	static const char *const names[] = {"000000000001-000000000500.jsonl",
			"000000000501-000000001000.jsonl", "000000001001-000000001100.jsonl"};
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(store->dir->path, "audit", names[i], NULL);
		check_file(path, &hash, &seq);
	}
	MUST(ash_audit_get_anchor(db, &anchor, &error));
	g_assert_cmpstr(anchor.hash, ==, hash);
	g_assert_cmpint(anchor.seq, ==, seq);
	/* A second run finds nothing; a row that is taken out behind the anchor is missed. */
	g_assert_cmpuint(trim(store, config), ==, 1);
	store_run(db, "DELETE FROM audit WHERE seq = 1101");
	g_assert_cmpint(verify(db).first_bad, ==, 1101);
}

/* Nothing is cut out of a log that is not as it was written: it is all that there is to look at. */
static void test_audit_broken(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	const AshFleetConfig config = {.keep_audit_s = 730 * DAY, .dir = store->dir->path};
	g_autofree char *dir = g_build_filename(store->dir->path, "audit", NULL);
	bool is_more = false;

	append(db, 600, 1000);
	store_run(db, "UPDATE audit SET actor = 'bob' WHERE seq = 300");
	g_assert_false(ash_retention_trim(&config, db, NOW, &is_more, &error));
	g_assert_error(error, ASH_RETENTION_ERROR, ASH_RETENTION_ERROR_CHAIN);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM audit"), ==, 600);
	g_assert_false(g_file_test(dir, G_FILE_TEST_EXISTS));
	g_assert_cmpint(verify(db).first_bad, ==, 300);
}

/* The archive cannot be written: the rows stay. */
static void test_audit_no_room(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	const AshFleetConfig config = {.keep_audit_s = 730 * DAY, .dir = store->dir->path};
	g_autofree char *in_the_way = g_build_filename(store->dir->path, "audit", NULL);
	bool is_more = false;

	append(db, 600, 1000);
	MUST(g_file_set_contents(in_the_way, "", 0, &error));
	g_assert_false(ash_retention_trim(&config, db, NOW, &is_more, &error));
	g_assert_nonnull(error);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM audit"), ==, 600);
}

static const StoreCase cases[] = {
		{"events", test_events},
		{"ledgers", test_ledgers},
		{"audit", test_audit},
		{"audit-broken", test_audit_broken},
		{"audit-no-room", test_audit_no_room},
		{0},
};

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	store_add("retention", cases);
	return g_test_run();
}
