/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "fleet/audit.h"
#include "fleet/event.h"
#include "fleet/store/schema.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

/* Rows with all that a copy may get wrong: NULL, numbers beyond 2^53, letters, numbers that were given and are gone. */
static void fill(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);

	MUST(ash_db_begin(db, true, &error));
	MUST(ash_db_exec(db,
			"INSERT INTO host (id, name, state, facts, enrolled_at) "
			"VALUES ('h', $1, 'active', '{\"a\":1}', $2)",
			ASH_DB_VALUES(ASH_DB_T("n\xc3\xa4me'\n\"\\"), ASH_DB_I(INT64_MAX)), NULL,
			&error));
	for (int i = 1; i <= 3; i++)
		MUST(ash_event_append(db,
				&(AshEvent){.at_s = i,
						.kind = "host.event",
						.host = "h",
						.host_event = i == 2 ? 7 : 0},
				&error));
	MUST(ash_audit_append(db, &(AshAudit){.at_s = 1, .actor = "a", .action = "b"}, &error));
	MUST(ash_db_exec(db, "DELETE FROM event WHERE at = 3", NULL, NULL, &error));
	MUST(ash_db_commit(db, &error));
}

static void assert_filled(AshDb *db)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *name = NULL;
	AshAuditVerdict verdict;
	int64_t seq = 0;

	MUST(ash_db_query_string(db, "SELECT name FROM host WHERE id = 'h'", NULL, &name, &error));
	g_assert_cmpstr(name, ==, "n\xc3\xa4me'\n\"\\");
	g_assert_cmpint(store_int(db, "SELECT enrolled_at FROM host"), ==, INT64_MAX);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM event WHERE host_event IS NULL"), ==,
			1);
	g_assert_cmpint(store_int(db, "SELECT count(*) FROM event"), ==, 2);
	MUST(ash_audit_verify(db, &verdict, &error));
	g_assert_cmpint(verdict.count, ==, 1);
	/* A number that readers have seen is not given again. */
	MUST(ash_db_query_int(db, "INSERT INTO event (at, kind) VALUES (4, 'x') RETURNING seq",
			NULL, NULL, &seq, &error));
	g_assert_cmpint(seq, ==, 4);
	MUST(ash_db_check(db, &error));
}

static void assert_restored(const char *address)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDbPool) pool = NULL;
	AshDb *db = NULL;

	MUST(ash_db_pool_open(address, 4, &pool, &error));
	MUST(ash_db_pool_take(pool, &db, &error));
	assert_filled(db);
	ash_db_give(db);
}

static char *in(Store *store, const char *name)
{
	return g_build_filename(store->dir->path, name, NULL);
}

static void test_backup_and_restore(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *copy = in(store, "copy");
	g_autofree char *address = g_strdup_printf("sqlite:%s/new.db", store->dir->path);
	struct stat status;

	fill(store);
	/* Twice: the second takes the first one's place. */
	MUST(ash_db_backup(store->pool, copy, &error));
	MUST(ash_db_backup(store->pool, copy, &error));
	g_assert_cmpint(stat(copy, &status), ==, 0);
	g_assert_cmpuint(status.st_mode & 0777, ==, 0600);
	MUST(ash_db_restore(address, copy, &error));
	assert_restored(address);
	if (g_getenv("ASH_TEST_POSTGRES") != NULL) {
		g_autofree char *postgres = store_postgres("ash_test_restored");
		MUST(ash_db_restore(postgres, copy, &error));
		assert_restored(postgres);
	}
	/* Nothing but the copy is left, and it is one file. */
	g_autoptr(GDir) dir = g_dir_open(store->dir->path, 0, NULL);
	for (const char *name; (name = g_dir_read_name(dir)) != NULL;)
		g_assert_true(strcmp(name, "copy") == 0 || g_str_has_prefix(name, "new.db") ||
				g_str_has_prefix(name, "fleet.db"));
}

static gpointer write_on(gpointer data)
{
	g_autoptr(AshDb) db = store_take(data);

	for (int i = 0; i < 500; i++) {
		g_autoptr(GError) error = NULL;
		MUST(ash_db_begin(db, true, &error));
		for (int j = 0; j < 2; j++)
			MUST(ash_db_exec_later(db,
					"INSERT INTO host_journal (host, at, text) VALUES ('h', $1, '')",
					ASH_DB_VALUES(ASH_DB_I(i)), &error));
		MUST(ash_db_commit(db, &error));
	}
	return NULL;
}

/* Pairs are written together, and are in the copy together. */
static void test_backup_is_of_one_moment(Store *store)
{
	g_autofree char *copy = in(store, "copy");
	g_autofree char *address = g_strdup_printf("sqlite-file:%s", copy);
	GThread *writer = g_thread_new("writer", write_on, store);

	for (int i = 0; i < 5; i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(AshDbPool) pool = NULL;
		AshDb *db = NULL;

		MUST(ash_db_backup(store->pool, copy, &error));
		MUST(ash_db_pool_open(address, 4, &pool, &error));
		MUST(ash_db_pool_take(pool, &db, &error));
		g_assert_cmpint(store_int(db, "SELECT count(*) FROM (SELECT at FROM host_journal "
					      "GROUP BY at HAVING count(*) <> 2) AS odd"),
				==, 0);
		ash_db_give(db);
	}
	g_thread_join(writer);
}

static void test_what_cannot_be_backed_up_to(Store *store)
{
	g_autofree char *nowhere = in(store, "missing/copy");
	g_autofree char *used = in(store, "used");
	g_autofree char *log = in(store, "used-wal");
	g_autoptr(GError) error = NULL;

	g_assert_false(ash_db_backup(store->pool, nowhere, &error));
	g_clear_error(&error);
	g_assert_true(g_file_set_contents(log, "", 0, NULL));
	g_assert_false(ash_db_backup(store->pool, used, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED);
	g_assert_false(g_file_test(used, G_FILE_TEST_EXISTS));
	g_clear_error(&error);
	if (store_is_postgres(store))
		return;
	g_assert_false(ash_db_backup(store->pool, strchr(store->address, ':') + 1, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED);
}

static void test_what_cannot_be_restored(Store *store)
{
	g_autofree char *copy = in(store, "copy");
	g_autofree char *bad = in(store, "bad");
	g_autofree char *empty = g_strdup_printf("sqlite:%s/empty.db", store->dir->path);
	g_autofree char *text = NULL;
	gsize size = 0;
	g_autoptr(GError) error = NULL;

	fill(store);
	MUST(ash_db_backup(store->pool, copy, &error));
	/* Into what is not empty, which stays as it is. */
	g_assert_false(ash_db_restore(store->address, copy, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_CONFLICT);
	g_clear_error(&error);
	AshDb *db = store_take(store);
	assert_filled(db);
	ash_db_give(db);

	/* Half a copy; no copy; one that was damaged. */
	g_assert_true(g_file_get_contents(copy, &text, &size, NULL));
	g_assert_true(g_file_set_contents(bad, text, (gssize) size / 2, NULL));
	g_assert_false(ash_db_restore(empty, bad, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_CORRUPT);
	g_clear_error(&error);
	g_assert_true(g_file_set_contents(bad, "no copy", -1, NULL));
	g_assert_false(ash_db_restore(empty, bad, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_CORRUPT);
	g_clear_error(&error);
	memset(text + 8192, 0x55, 4096);
	g_assert_true(g_file_set_contents(bad, text, (gssize) size, NULL));
	g_assert_false(ash_db_restore(empty, bad, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_CORRUPT);
	g_clear_error(&error);
	/* None of these was begun. */
	MUST(ash_db_restore(empty, copy, &error));
	assert_restored(empty);
}

/* One of a newer program is refused with what to do, and nothing of it is there. */
static void test_newer_copies_are_refused(Store *store)
{
	const char *const steps[] = {
			ash_schema_steps[0], "CREATE TABLE newer (id BIGSERIAL PRIMARY KEY)"};
	g_autofree char *copy = in(store, "copy");
	g_autofree char *address = g_strdup_printf("sqlite:%s/newer.db", store->dir->path);
	g_autofree char *target = g_strdup_printf("sqlite:%s/new.db", store->dir->path);
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDbPool) pool = NULL, target_pool = NULL;
	AshDb *db = NULL;
	int64_t version = -1;

	MUST(ash_db_pool_open(address, 4, &pool, &error));
	MUST(ash_db_pool_take(pool, &db, &error));
	MUST(ash_schema_migrate(db, steps, 2, &error));
	ash_db_give(db);
	MUST(ash_db_backup(pool, copy, &error));
	g_assert_false(ash_db_restore(target, copy, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_SCHEMA);
	g_clear_error(&error);
	MUST(ash_db_pool_open(target, 4, &target_pool, &error));
	MUST(ash_db_pool_take(target_pool, &db, &error));
	MUST(ash_schema_get_version(db, &version, &error));
	g_assert_cmpint(version, ==, 0);
	ash_db_give(db);
}

int main(int argc, char **argv)
{
	static const StoreCase cases[] = {
			{"backup-and-restore", test_backup_and_restore},
			{"backup-is-of-one-moment", test_backup_is_of_one_moment},
			{"what-cannot-be-backed-up-to", test_what_cannot_be_backed_up_to},
			{"what-cannot-be-restored", test_what_cannot_be_restored},
			{"newer-copies-are-refused", test_newer_copies_are_refused},
			{NULL, NULL},
	};

	g_test_init(&argc, &argv, NULL);
	store_add("db-copy", cases);
	return g_test_run();
}
