/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/store/db.h"

#include <sys/stat.h>

#include "fleet/store/schema.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

/* ---- statements ---- */

typedef struct {
	unsigned rows;
	bool is_null;
	int64_t integer;
	char *text;
	GBytes *blob;
} Seen;

static gboolean see(const AshDbRow *row, gpointer data, GError **error)
{
	Seen *seen = data;

	seen->rows++;
	seen->integer = ash_db_row_int(row, 0);
	g_free(seen->text);
	seen->text = g_strdup(ash_db_row_text(row, 1));
	seen->is_null = ash_db_row_text_opt(row, 1) == NULL;
	g_clear_pointer(&seen->blob, g_bytes_unref);
	seen->blob = ash_db_row_blob(row, 2);
	return TRUE;
}

static void seen_clear(Seen *seen)
{
	g_free(seen->text);
	g_clear_pointer(&seen->blob, g_bytes_unref);
}

static void make_table(AshDb *db, bool is_postgres)
{
	store_run(db, is_postgres ? "CREATE TABLE t (i BIGINT PRIMARY KEY, t TEXT, b BYTEA)"
				  : "CREATE TABLE t (i INTEGER PRIMARY KEY, t TEXT, b BLOB) STRICT");
}

static void test_values(Store *store)
{
	static const struct {
		int64_t integer;
		const char *text;
		const char *blob;
		size_t size;
	} cases[] = {
			{0, "", "", 0},
			{-1, "'; DROP TABLE t; --", "\0\1\377", 3},
			{INT64_MAX, "\xc3\xa4\n\t\"\\", "\\x41", 4},
			{INT64_MIN, NULL, NULL, 0},
	};
	g_autoptr(AshDb) db = store_take(store);

	make_table(db, store_is_postgres(store));
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) blob = cases[i].blob != NULL
							 ? g_bytes_new(cases[i].blob, cases[i].size)
							 : NULL;
		Seen seen = {0};
		int64_t changed = 0;

		/* Out of order, on purpose: $2 is the second value wherever it stands. */
		MUST(ash_db_exec(db, "INSERT INTO t (b, t, i) VALUES ($3, $2, $1)",
				ASH_DB_VALUES(ASH_DB_I(cases[i].integer), ASH_DB_T(cases[i].text),
						ASH_DB_B(blob)),
				&changed, &error));
		g_assert_cmpint(changed, ==, 1);
		MUST(ash_db_query(db, "SELECT i, t, b FROM t WHERE i = $1",
				ASH_DB_VALUES(ASH_DB_I(cases[i].integer)), see, &seen, &error));
		g_assert_cmpuint(seen.rows, ==, 1);
		g_assert_cmpint(seen.integer, ==, cases[i].integer);
		g_assert_cmpstr(seen.text, ==, cases[i].text != NULL ? cases[i].text : "");
		g_assert_true(seen.is_null == (cases[i].text == NULL));
		g_assert_true((seen.blob == NULL) == (blob == NULL));
		g_assert_true(blob == NULL || g_bytes_equal(blob, seen.blob));
		seen_clear(&seen);
	}
}

static void test_forms(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autofree char *text = NULL, *none = NULL;
	int64_t value = 0, changed = 0;
	bool found = true;

	/* What the contract promises to be the same for both. */
	MUST(ash_db_query_int(db,
			"INSERT INTO release (name, arch, version, \"commit\", document, added_at) "
			"VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
			ASH_DB_VALUES(ASH_DB_T("host"), ASH_DB_T("amd64"), ASH_DB_T("1"),
					ASH_DB_T("c"), ASH_DB_T("{}"), ASH_DB_I(7)),
			&found, &value, &error));
	g_assert_true(found);
	g_assert_cmpint(value, ==, 1);
	for (int i = 0; i < 2; i++)
		MUST(ash_db_exec(db,
				"INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) "
				"DO UPDATE SET value = meta.value || excluded.value",
				ASH_DB_VALUES(ASH_DB_T("x"), ASH_DB_T("ab")), NULL, &error));
	MUST(ash_db_query_string(db, "SELECT value FROM meta WHERE key = $1",
			ASH_DB_VALUES(ASH_DB_T("x")), &text, &error));
	g_assert_cmpstr(text, ==, "abab");
	MUST(ash_db_query_string(
			db, "SELECT value FROM meta WHERE key = 'y'", NULL, &none, &error));
	g_assert_null(none);
	MUST(ash_db_query_int(
			db, "SELECT 1 FROM meta WHERE key = 'y'", NULL, &found, &value, &error));
	g_assert_false(found);
	MUST(ash_db_exec(db, "UPDATE meta SET value = '' WHERE key = 'y'", NULL, &changed, &error));
	g_assert_cmpint(changed, ==, 0);
	/* Bytes, not a language; and a sum is a number. */
	MUST(ash_db_exec(db,
			"INSERT INTO meta (key, value) VALUES ('b', '1'), ('B', '2'), ('a', '3')",
			NULL, &changed, &error));
	g_assert_cmpint(changed, ==, 3);
	g_autofree char *first = NULL;
	MUST(ash_db_query_string(db, "SELECT key FROM meta WHERE key LIKE 'B%' ORDER BY key", NULL,
			&first, &error));
	g_assert_cmpstr(first, ==, "B");
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM meta WHERE key LIKE 'B%'"), ==, 1);
	g_assert_cmpint(store_int(db, "SELECT sum(added_at) FROM release"), ==, 7);
}

static gboolean stop(const AshDbRow *row, gpointer data, GError **error)
{
	++*(unsigned *) data;
	return ash_throw(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "enough");
}

static void test_stopping(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	unsigned rows = 0;

	store_run(db, "INSERT INTO meta (key, value) VALUES ('a', ''), ('b', ''), ('c', '')");
	g_assert_false(ash_db_query(db, "SELECT key FROM meta", NULL, stop, &rows, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
	g_assert_cmpuint(rows, ==, 1);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM meta"), ==, 4);
}

static void test_errors(Store *store)
{
	static const struct {
		const char *sql;
		AshDbError code;
	} cases[] = {
			{"SELECT nothing FROM nowhere", ASH_DB_ERROR_FAILED},
			{"INSERT INTO meta (key, value) VALUES ('schema', '')",
					ASH_DB_ERROR_CONFLICT},
			{"INSERT INTO meta (key, value) VALUES ('n', NULL)", ASH_DB_ERROR_CONFLICT},
	};
	g_autoptr(AshDb) db = store_take(store);

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_false(ash_db_query(db, cases[i].sql, NULL, NULL, NULL, &error));
		g_assert_error(error, ASH_DB_ERROR, (int) cases[i].code);
	}
	/* A text where a number belongs is refused by both. */
	g_autoptr(GError) error = NULL;
	g_assert_false(ash_db_exec(db,
			"INSERT INTO lock_group (name, slots, lease_s) VALUES ('g', $1, 0)",
			ASH_DB_VALUES(ASH_DB_T("x")), NULL, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED);
}

/* ---- transactions ---- */

static void test_transactions(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);

	MUST(ash_db_begin(db, true, &error));
	store_run(db, "INSERT INTO meta (key, value) VALUES ('a', '')");
	ash_db_rollback(db);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM meta"), ==, 1);
	MUST(ash_db_begin(db, true, &error));
	store_run(db, "INSERT INTO meta (key, value) VALUES ('a', '')");
	MUST(ash_db_commit(db, &error));
	ash_db_rollback(db);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM meta"), ==, 2);

	/* Who gives a connection back in the middle has written nothing. */
	AshDb *other = store_take(store);
	MUST(ash_db_begin(other, true, &error));
	store_run(other, "DELETE FROM meta");
	ash_db_give(other);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM meta"), ==, 2);

	MUST(ash_db_begin(db, false, &error));
	g_assert_false(ash_db_exec(db, "DELETE FROM meta", NULL, NULL, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED);
}

static void test_after_a_failure_only_rollback_is_left(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);

	MUST(ash_db_begin(db, true, &error));
	store_run(db, "INSERT INTO meta (key, value) VALUES ('a', '')");
	g_assert_false(ash_db_exec(
			db, "INSERT INTO meta (key, value) VALUES ('a', '')", NULL, NULL, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_CONFLICT);
	g_clear_error(&error);
	g_assert_false(ash_db_exec(
			db, "INSERT INTO meta (key, value) VALUES ('b', '')", NULL, NULL, &error));
	g_clear_error(&error);
	g_assert_false(ash_db_commit(db, &error));
	g_clear_error(&error);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM meta"), ==, 1);
}

static void test_later(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);

	MUST(ash_db_begin(db, true, &error));
	for (int i = 0; i < 3000; i++)
		MUST(ash_db_exec_later(db,
				"INSERT INTO host_journal (host, at, text) VALUES ('h', $1, 't')",
				ASH_DB_VALUES(ASH_DB_I(i)), &error));
	g_assert_cmpint(store_int(db, "SELECT sum(at) FROM host_journal"), ==, 3000 * 2999 / 2);
	MUST(ash_db_commit(db, &error));
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM host_journal"), ==, 3000);

	/* What fails, fails the transaction, at its commit at the latest. */
	MUST(ash_db_begin(db, true, &error));
	gboolean ok = TRUE;
	for (int i = 0; i < 3 && ok; i++)
		ok = ash_db_exec_later(
				db, "INSERT INTO meta (key, value) VALUES ('a', '')", NULL, &error);
	ok = ok && ash_db_commit(db, &error);
	g_assert_false(ok);
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_CONFLICT);
	ash_db_rollback(db);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM meta"), ==, 1);
}

typedef struct {
	Store *store;
	unsigned count;
} Adder;

/* Read, then write what was read: right only when writing transactions are one at a time. */
static gpointer add(gpointer data)
{
	Adder *adder = data;

	for (unsigned i = 0; i < adder->count; i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(AshDb) db = store_take(adder->store);
		int64_t value = 0;

		MUST(ash_db_begin(db, true, &error));
		MUST(ash_db_query_int(db, "SELECT slots FROM lock_group WHERE name = 'n'", NULL,
				NULL, &value, &error));
		MUST(ash_db_exec(db, "UPDATE lock_group SET slots = $1 WHERE name = 'n'",
				ASH_DB_VALUES(ASH_DB_I(value + 1)), NULL, &error));
		MUST(ash_db_commit(db, &error));
	}
	return NULL;
}

static void test_writers_take_turns(Store *store)
{
	GThread *threads[8];
	Adder adder = {.store = store, .count = 25};
	AshDb *db = store_take(store);

	store_run(db, "INSERT INTO lock_group (name, slots, lease_s) VALUES ('n', 0, 0)");
	ash_db_give(db);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("adder", add, &adder);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
	db = store_take(store);
	g_assert_cmpint(store_int(db, "SELECT slots FROM lock_group WHERE name = 'n'"), ==, 200);
	ash_db_give(db);
}

static void test_readers_see_one_state(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) reader = store_take(store);
	g_autoptr(AshDb) writer = store_take(store);

	MUST(ash_db_begin(reader, false, &error));
	g_assert_cmpint(store_int(reader, "SELECT count(*) FROM meta"), ==, 1);
	store_run(writer, "INSERT INTO meta (key, value) VALUES ('a', '')");
	g_assert_cmpint(store_int(reader, "SELECT count(*) FROM meta"), ==, 1);
	MUST(ash_db_commit(reader, &error));
	g_assert_cmpint(store_int(reader, "SELECT count(*) FROM meta"), ==, 2);
}

/* ---- schemas ---- */

static const char second_schema[] =
		"-- Made up; this ; and 'that are in a comment.\n"
		"CREATE TABLE \"a;b\" (id BIGSERIAL PRIMARY KEY, text TEXT NOT NULL DEFAULT '--; TEXT');\n"
		"INSERT INTO \"a;b\" (text) VALUES ('it''s; TEXT');\n"
		"ALTER TABLE host ADD COLUMN height BIGINT NOT NULL DEFAULT 0;\n";

static void test_migration(Store *store)
{
	const char *const steps[] = {ash_schema_steps[0], second_schema};
	const char *const broken[] = {ash_schema_steps[0], second_schema,
			"CREATE TABLE third (a TEXT); CREATE TABLE third (a TEXT);"};
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	int64_t version = 0;

	/* Again is nothing. */
	MUST(ash_db_migrate(db, &error));
	store_run(db, "INSERT INTO host (id, name, state, enrolled_at) VALUES ('h', 'n', 'active', 1)");
	MUST(ash_schema_migrate(db, steps, 2, &error));
	MUST(ash_schema_get_version(db, &version, &error));
	g_assert_cmpint(version, ==, 2);
	g_assert_cmpint(store_int(db, "SELECT height FROM host WHERE id = 'h'"), ==, 0);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM \"a;b\" WHERE text = 'it''s; TEXT'"),
			==, 1);
	store_run(db, "INSERT INTO \"a;b\" (id) VALUES (7)");
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM \"a;b\" WHERE text = '--; TEXT'"), ==,
			1);

	/* Each step whole or not at all. */
	g_assert_false(ash_schema_migrate(db, broken, 3, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED);
	g_clear_error(&error);
	g_assert_false(ash_db_query(db, "SELECT * FROM third", NULL, NULL, NULL, NULL));

	/* An older program keeps its hands off. */
	g_assert_false(ash_db_migrate(db, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_SCHEMA);
}

static void test_serials_never_go_back(Store *store)
{
	g_autoptr(AshDb) db = store_take(store);

	store_run(db, "INSERT INTO channel_history (channel, release, at, actor) VALUES ('c', 1, 1, '')");
	store_run(db, "INSERT INTO channel_history (channel, release, at, actor) VALUES ('c', 1, 1, '')");
	store_run(db, "DELETE FROM channel_history");
	store_run(db, "INSERT INTO channel_history (channel, release, at, actor) VALUES ('c', 1, 1, '')");
	g_assert_cmpint(store_int(db, "SELECT id FROM channel_history"), ==, 3);
}

static void test_check(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);

	MUST(ash_db_check(db, &error));
}

/* ---- SQLite's file ---- */

static void test_file_is_private(Store *store)
{
	struct stat status;

	if (store_is_postgres(store))
		return;
	g_assert_cmpint(stat(strchr(store->address, ':') + 1, &status), ==, 0);
	g_assert_cmpuint(status.st_mode & 0777, ==, 0600);
}

static void test_addresses(void)
{
	static const struct {
		const char *address;
		AshDbError code;
	} cases[] = {
			{"fleet.db", ASH_DB_ERROR_FAILED},
			{"mysql:x", ASH_DB_ERROR_FAILED},
			{"sqlite:/nonexistent/fleet.db", ASH_DB_ERROR_FAILED},
			{"sqlite:/etc/passwd", ASH_DB_ERROR_CORRUPT},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		AshDbPool *pool = NULL;
		g_assert_false(ash_db_pool_open(cases[i].address, 1, &pool, &error));
		g_assert_error(error, ASH_DB_ERROR, (int) cases[i].code);
		g_assert_null(pool);
	}
}

int main(int argc, char **argv)
{
	static const StoreCase cases[] = {
			{"values", test_values},
			{"forms", test_forms},
			{"stopping", test_stopping},
			{"errors", test_errors},
			{"transactions", test_transactions},
			{"after-a-failure-only-rollback-is-left",
					test_after_a_failure_only_rollback_is_left},
			{"later", test_later},
			{"writers-take-turns", test_writers_take_turns},
			{"readers-see-one-state", test_readers_see_one_state},
			{"migration", test_migration},
			{"serials-never-go-back", test_serials_never_go_back},
			{"check", test_check},
			{"file-is-private", test_file_is_private},
			{NULL, NULL},
	};

	g_test_init(&argc, &argv, NULL);
	store_add("db", cases);
	g_test_add_func("/db/addresses", test_addresses);
	return g_test_run();
}
