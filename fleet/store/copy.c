/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/store/schema.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

/* Backup and restore. A backup is an SQLite file with the tables of the schema that its table 'meta' names, whatever
 * database it was made of; so it can be restored into either, looked into, and checked.
 */

enum {
	MAX_COLUMNS = 64
};

/* ---- rows ---- */

typedef struct {
	AshDb *to;
	const char *insert;
	unsigned columns;
} Table;

static gboolean copy_row(const AshDbRow *row, gpointer data, GError **error)
{
	const Table *table = data;
	AshDbValue values[MAX_COLUMNS + 1];
	GBytes *blobs[MAX_COLUMNS] = {NULL};

	for (unsigned i = 0; i < table->columns; i++)
		switch (row->backend->row_type(row, i)) {
		case ASH_DB_INT:
			values[i] = ASH_DB_I(ash_db_row_int(row, i));
			break;
		case ASH_DB_BLOB:
			blobs[i] = ash_db_row_blob(row, i);
			values[i] = ASH_DB_B(blobs[i]);
			break;
		case ASH_DB_TEXT:
		case ASH_DB_END:
		default:
			values[i] = ASH_DB_T(ash_db_row_text_opt(row, i));
		}
	values[table->columns] = (AshDbValue){.type = ASH_DB_END};
	gboolean ok = ash_db_exec_later(table->to, table->insert, values, error);
	for (unsigned i = 0; i < table->columns; i++)
		g_bytes_unref(blobs[i]);
	return ok;
}

static gboolean take_name(const AshDbRow *row, gpointer data, GError **error)
{
	g_ptr_array_add(data, g_strdup(ash_db_row_text(row, 0)));
	return TRUE;
}

/* @texts keeps the statements until @to's connection has ended, which knows them by their addresses. */
static gboolean copy_table(
		AshDb *from, AshDb *to, const char *name, GPtrArray *texts, GError **error)
{
	g_autoptr(GPtrArray) columns = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GString) select = g_string_new("SELECT ");
	g_autoptr(GString) into = g_string_new(NULL);
	g_autofree char *delete = g_strdup_printf("DELETE FROM \"%s\"", name);
	int64_t last = 0;

	ASH_PREFIX("table '%s'", name);
	if (!ash_db_query(to, to->backend->columns, ASH_DB_VALUES(ASH_DB_T(name)), take_name,
			    columns, error))
		return FALSE;
	g_assert(columns->len > 0 && columns->len <= MAX_COLUMNS);
	g_string_printf(into, "INSERT INTO \"%s\" (", name);
	for (guint i = 0; i < columns->len; i++) {
		g_string_append_printf(select, "%s\"%s\"", i > 0 ? ", " : "",
				(const char *) columns->pdata[i]);
		g_string_append_printf(into, "%s\"%s\"", i > 0 ? ", " : "",
				(const char *) columns->pdata[i]);
	}
	for (guint i = 0; i < columns->len; i++)
		g_string_append_printf(into, "%s$%u", i > 0 ? ", " : ") VALUES (", i + 1);
	g_string_append_c(into, ')');
	g_string_append_printf(select, " FROM \"%s\"", name);
	Table table = {.to = to, .insert = into->str, .columns = columns->len};
	g_ptr_array_add(texts, g_string_free(g_steal_pointer(&into), FALSE));
	/* What the schema itself put there is in the copy, too. */
	return ash_db_query_text(to, delete, NULL, NULL, NULL, error) &&
	       ash_db_query_text(from, select->str, NULL, copy_row, &table, error) &&
	       from->backend->get_serial(from, name, &last, error) &&
	       (last == 0 || to->backend->set_serial(to, name, last, error));
}

/* Both within a transaction, @to being empty. */
static gboolean copy_all(AshDb *from, AshDb *to, GPtrArray *texts, GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int64_t version = 0, there = 0;

	if ((from->backend->be_patient != NULL && !from->backend->be_patient(from, error)) ||
			(to->backend->be_patient != NULL && !to->backend->be_patient(to, error)) ||
			!ash_schema_get_version(from, &version, error) ||
			!ash_schema_get_version(to, &there, error))
		return FALSE;
	if (version == 0)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_CORRUPT,
				"it is empty, not a fleet's database");
	if (version > ASH_SCHEMA_VERSION)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_SCHEMA,
				"it has schema %" G_GINT64_FORMAT
				", this program knows %d: run the newer program",
				version, ASH_SCHEMA_VERSION);
	if (there != 0)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_CONFLICT,
				"the database is not empty: a backup is restored into a new one");
	if (!ash_schema_create(to, ash_schema_steps, (unsigned) version, error) ||
			!ash_db_query(to, to->backend->tables, NULL, take_name, names, error))
		return FALSE;
	for (guint i = 0; i < names->len; i++)
		if (!copy_table(from, to, names->pdata[i], texts, error))
			return FALSE;
	return TRUE;
}

static gboolean copy_in_transactions(AshDb *from, AshDb *to, GPtrArray *texts, GError **error)
{
	if (!ash_db_begin(from, false, error))
		return FALSE;
	gboolean ok = ash_db_begin(to, true, error);
	ok = ok && copy_all(from, to, texts, error) && ash_db_commit(to, error);
	ash_db_rollback(to);
	ash_db_rollback(from);
	return ok;
}

/* ---- backup ---- */

/* One file, without a log beside it. */
static gboolean copy_rows_to_file(AshDb *from, const char *path, GError **error)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *address = g_strdup_printf("sqlite:%s", path);
	g_autoptr(AshDbPool) pool = NULL;
	g_autoptr(AshDb) to = NULL;

	return ash_db_pool_open(address, 1, &pool, error) && ash_db_pool_take(pool, &to, error) &&
	       copy_in_transactions(from, to, texts, error) &&
	       ash_db_query_text(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL, error);
}

static gboolean check_file(const char *path, GError **error)
{
	g_autofree char *address = g_strdup_printf("sqlite-file:%s", path);
	g_autoptr(AshDbPool) pool = NULL;
	g_autoptr(AshDb) db = NULL;

	return ash_db_pool_open(address, 1, &pool, error) && ash_db_pool_take(pool, &db, error) &&
	       ash_db_check(db, error);
}

static gboolean sync_and_rename(const char *temp, const char *path, GError **error)
{
	ash_autofd int fd = open(temp, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return ash_throw_errno(error, "cannot write '%s'", temp);
	if (rename(temp, path) < 0)
		return ash_throw_errno(error, "cannot rename to '%s'", path);
	return ash_file_sync_parent(AT_FDCWD, path, error);
}

/* Overwriting the database itself, or a file that somebody has open, would end badly. */
static gboolean check_target(AshDbPool *pool, const char *path, GError **error)
{
	g_autofree char *log = g_strdup_printf("%s-wal", path);
	struct stat here, there;
	bool is_open = false;

	if (!ash_db_pool_is_shared(pool) && stat(path, &here) == 0 &&
			stat(ash_db_pool_where(pool), &there) == 0 && here.st_dev == there.st_dev &&
			here.st_ino == there.st_ino)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED,
				"'%s' is the database itself", path);
	if (!ash_file_exists(AT_FDCWD, log, &is_open, error))
		return FALSE;
	if (is_open)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED,
				"'%s' is there: '%s' is a database in use", log, path);
	return TRUE;
}

static gboolean backup_to(AshDbPool *pool, const char *temp, const char *path, GError **error)
{
	g_autoptr(AshDb) db = NULL;

	if (!ash_db_pool_take(pool, &db, error))
		return FALSE;
	gboolean ok = db->backend->copy_to_file != NULL ? db->backend->copy_to_file(db, temp, error)
							: copy_rows_to_file(db, temp, error);
	return ok && check_file(temp, error) && sync_and_rename(temp, path, error);
}

gboolean ash_db_backup(AshDbPool *pool, const char *path, GError **error)
{
	g_autofree char *temp = g_strdup_printf("%s.XXXXXX", path);

	ASH_PREFIX("backup to '%s'", path);
	if (!check_target(pool, path, error))
		return FALSE;
	int fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "cannot make '%s'", temp);
	close(fd);
	if (backup_to(pool, temp, path, error))
		return TRUE;
	static const char *const endings[] = {"", "-journal", "-wal", "-shm"};
	for (size_t i = 0; i < G_N_ELEMENTS(endings); i++) {
		g_autofree char *left = g_strconcat(temp, endings[i], NULL);
		unlink(left);
	}
	return FALSE;
}

/* ---- restore ---- */

gboolean ash_db_restore(const char *address, const char *path, GError **error)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *file = g_strdup_printf("sqlite-file:%s", path);
	g_autoptr(AshDbPool) from_pool = NULL, to_pool = NULL;
	g_autoptr(AshDb) from = NULL, to = NULL;

	ASH_PREFIX("restoring '%s'", path);
	return ash_db_pool_open(file, 1, &from_pool, error) &&
	       ash_db_pool_take(from_pool, &from, error) && ash_db_check(from, error) &&
	       ash_db_pool_open(address, 1, &to_pool, error) &&
	       ash_db_pool_take(to_pool, &to, error) &&
	       copy_in_transactions(from, to, texts, error) && ash_db_migrate(to, error);
}
