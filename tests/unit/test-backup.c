/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/backup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/audit.h"
#include "fleet/retention.h"
#include "fleet/server.h"
#include "lib/auto.h"
#include "lib/x509.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

enum {
	NOW = 1800000000,
	DAY = 86400,
};

/* A fleet's directory, whose settings name the store's database, and where its backup is to be. */
typedef struct {
	Store *store;
	AshDb *db;
	char *dir, *backup, *other;
} Desk;

static void put(const char *dir, const char *name, const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = g_build_filename(dir, name, NULL);

	MUST(g_file_set_contents(path, text, -1, &error));
}

static char *text_of(const char *dir, const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("(none)");
}

static void expect_same(const char *a, const char *b, const char *name)
{
	g_autofree char *left = text_of(a, name), *right = text_of(b, name);

	g_assert_cmpstr(left, !=, "(none)");
	g_assert_cmpstr(left, ==, right);
}

static unsigned mode_of(const char *dir, const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	struct stat about = {0};

	g_assert_cmpint(stat(path, &about), ==, 0);
	return about.st_mode & 0777;
}

static void put_authority(const char *dir)
{
	g_autofree char *key = NULL;
	g_autofree char *certificate = NULL;
	g_autoptr(GError) error = NULL;

	MUST(ash_x509_ca_make("fleet", 0, NOW, &key, &certificate, &error));
	put(dir, "ca.key", key);
	put(dir, "ca.pem", certificate);
}

static void desk_open(Desk *desk, Store *store)
{
	g_autofree char *settings = g_strdup_printf("database: \"%s\"\n", store->address);

	*desk = (Desk){.store = store,
			.db = store_take(store),
			.dir = g_build_filename(store->dir->path, "fleet", NULL),
			.backup = g_build_filename(store->dir->path, "backup", NULL),
			.other = g_build_filename(store->dir->path, "other", NULL)};
	g_assert_cmpint(mkdir(desk->dir, 0700), ==, 0);
	put_authority(desk->dir);
	put(desk->dir, "fleetd.yaml", settings);
}

static void desk_close(Desk *desk)
{
	ash_db_give(desk->db);
	g_free(desk->dir);
	g_free(desk->backup);
	g_free(desk->other);
}

/* @count old rows, which go to the archive. */
static void archive(Desk *desk, unsigned count)
{
	g_autoptr(GError) error = NULL;
	const AshFleetConfig config = {.keep_audit_s = 730 * DAY, .dir = desk->dir};
	bool is_more = true;

	MUST(ash_db_begin(desk->db, true, &error));
	for (unsigned i = 0; i < count; i++)
		MUST(ash_audit_append(desk->db,
				&(AshAudit){.at_s = 1000, .actor = "ada", .action = "host.labels"},
				&error));
	MUST(ash_db_commit(desk->db, &error));
	while (is_more)
		MUST(ash_retention_trim(&config, desk->db, NOW, &is_more, &error));
}

static AshAuditVerdict verdict_of(const char *dir)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshFleetConfig) config = NULL;
	g_autoptr(AshDbPool) pool = NULL;
	g_autoptr(AshDb) db = NULL;
	AshAuditVerdict verdict = {0};

	MUST(ash_server_open_database(dir, &config, &pool, &error));
	MUST(ash_db_pool_take(pool, &db, &error));
	MUST(ash_audit_verify(db, &verdict, &error));
	ash_db_give(g_steal_pointer(&db));
	return verdict;
}

/* Everything is there again, the log from its first row: in files, then in the database. */
static void test_whole(Store *store)
{
	g_autoptr(GError) error = NULL;
	Desk desk;

	desk_open(&desk, store);
	archive(&desk, 600);
	MUST(ash_backup_make(desk.dir, desk.backup, &error));
	g_assert_cmpuint(mode_of(desk.backup, ""), ==, 0700);
	g_assert_cmpuint(mode_of(desk.backup, "ca.key"), ==, 0600);
	/* What a backup of the same moment may hold, and its database does not know yet. */
	put(desk.backup, "audit/000000000601-000000001100.jsonl", "later\n");

	/* Moved to a database of its own. */
	g_assert_cmpint(mkdir(desk.other, 0700), ==, 0);
	put(desk.other, "fleetd.yaml", "database: sqlite:fleet.db\n");
	MUST(ash_backup_restore(desk.other, desk.backup, &error));
	expect_same(desk.dir, desk.other, "ca.key");
	expect_same(desk.dir, desk.other, "ca.pem");
	expect_same(desk.dir, desk.other, "audit/000000000001-000000000500.jsonl");
	expect_same(desk.dir, desk.other, "audit/000000000501-000000000600.jsonl");
	g_autofree char *later = text_of(desk.other, "audit/000000000601-000000001100.jsonl");
	g_assert_cmpstr(later, ==, "(none)");
	g_autofree char *kept = text_of(desk.other, "fleetd.yaml");
	g_assert_cmpstr(kept, ==, "database: sqlite:fleet.db\n");
	g_assert_cmpuint(mode_of(desk.other, "ca.key"), ==, 0600);
	AshAuditVerdict verdict = verdict_of(desk.other);
	g_assert_cmpint(verdict.anchor, ==, 600);
	g_assert_cmpint(verdict.first_bad, ==, 0);
	g_assert_cmpint(verdict.count, ==, 2);
	desk_close(&desk);
}

/* Without settings there its own are taken, and name the database that is in use. */
static void test_refused(Store *store)
{
	g_autoptr(GError) error = NULL;
	ash_autofd int lock = -1;
	Desk desk;

	desk_open(&desk, store);
	MUST(ash_backup_make(desk.dir, desk.backup, &error));
	g_assert_false(ash_backup_make(desk.dir, desk.backup, &error));
	g_assert_error(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_THERE);
	g_clear_error(&error);

	g_assert_false(ash_backup_restore(desk.other, desk.backup, &error));
	g_assert_error(error, ASH_DB_ERROR, ASH_DB_ERROR_CONFLICT);
	g_clear_error(&error);
	/* Nothing of it is there. Tried again, with settings that are right. */
	g_assert_false(g_file_test(desk.other, G_FILE_TEST_EXISTS));
	g_assert_cmpint(mkdir(desk.other, 0700), ==, 0);
	put(desk.other, "fleetd.yaml", "database: sqlite:fleet.db\n");
	MUST(ash_server_lock(desk.other, &lock, &error));
	g_assert_false(ash_backup_restore(desk.other, desk.backup, &error));
	g_assert_error(error, ASH_SERVER_ERROR, ASH_SERVER_ERROR_RUNNING);
	g_clear_error(&error);
	close(lock);
	lock = -1;
	put(desk.other, "ca.pem", "another certificate");
	g_assert_false(ash_backup_restore(desk.other, desk.backup, &error));
	g_assert_error(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_OTHER);
	g_clear_error(&error);
	g_autofree char *ours = g_build_filename(desk.other, "ca.pem", NULL);
	g_autofree char *key = g_build_filename(desk.other, "ca.key", NULL);
	g_assert_false(g_file_test(key, G_FILE_TEST_EXISTS));
	g_assert_cmpint(unlink(ours), ==, 0);
	MUST(ash_backup_restore(desk.other, desk.backup, &error));
	g_assert_cmpint(verdict_of(desk.other).first_bad, ==, 0);
	desk_close(&desk);
}

/* A directory that is no fleet's makes no backup, and leaves nothing; half of one is none. */
static void test_no_fleet(Store *store)
{
	g_autoptr(GError) error = NULL;
	Desk desk;

	desk_open(&desk, store);
	g_autofree char *key = g_build_filename(desk.dir, "ca.key", NULL);
	g_autofree char *part = g_strconcat(desk.backup, ".part", NULL);
	g_assert_cmpint(unlink(key), ==, 0);
	g_assert_false(ash_backup_make(desk.dir, desk.backup, &error));
	g_assert_error(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_NONE);
	g_clear_error(&error);
	g_assert_false(g_file_test(desk.backup, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));

	put_authority(desk.dir);
	/* What an earlier one left, when the power went. */
	g_assert_cmpint(mkdir(part, 0700), ==, 0);
	put(part, "fleet.db", "half");
	MUST(ash_backup_make(desk.dir, desk.backup, &error));
	g_autofree char *kept = g_build_filename(desk.backup, "ca.key", NULL);
	g_assert_cmpint(unlink(kept), ==, 0);
	g_assert_false(ash_backup_restore(desk.other, desk.backup, &error));
	g_assert_error(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_NONE);
	g_assert_false(g_file_test(desk.other, G_FILE_TEST_EXISTS));
	desk_close(&desk);
}

/* Each file of it that is half there, or not what it was: that is said, with what to do, and nothing is written. */
static void test_damaged(Store *store)
{
	static const char *const names[] = {"ca.key", "ca.pem", "fleet.db"};
	g_autoptr(GError) error = NULL;
	Desk desk;

	desk_open(&desk, store);
	MUST(ash_backup_make(desk.dir, desk.backup, &error));
	for (size_t i = 0; i < G_N_ELEMENTS(names) * 2; i++) {
		g_autofree char *path =
				g_build_filename(desk.backup, names[i % G_N_ELEMENTS(names)], NULL);
		g_autofree char *text = NULL;
		gsize size = 0;
		MUST(g_file_get_contents(path, &text, &size, &error));
		/* Half of it, nothing of it. */
		MUST(g_file_set_contents(path, text,
				i < G_N_ELEMENTS(names) ? (gssize) size / 2 : 0, &error));
		g_assert_false(ash_backup_restore(desk.other, desk.backup, &error));
		g_assert_error(error, ASH_BACKUP_ERROR, ASH_BACKUP_ERROR_DAMAGED);
		g_assert_nonnull(strstr(error->message, "take an older"));
		g_assert_null(strstr(error->message, "put the last backup"));
		g_assert_false(g_file_test(desk.other, G_FILE_TEST_EXISTS));
		g_clear_error(&error);
		MUST(g_file_set_contents(path, text, (gssize) size, &error));
	}
	desk_close(&desk);
}

/* The database alone, as its copies are. */
static void test_file(Store *store)
{
	g_autoptr(GError) error = NULL;
	Desk desk;

	desk_open(&desk, store);
	MUST(ash_db_backup(store->pool, desk.backup, &error));
	MUST(ash_backup_restore(desk.other, desk.backup, &error));
	g_assert_cmpint(verdict_of(desk.other).first_bad, ==, 0);
	desk_close(&desk);
}

static const StoreCase cases[] = {
		{"whole", test_whole},
		{"refused", test_refused},
		{"no-fleet", test_no_fleet},
		{"damaged", test_damaged},
		{"file", test_file},
		{0},
};

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	store_add("backup", cases);
	return g_test_run();
}
