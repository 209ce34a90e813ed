/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/store/backend.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

/* SQLite in one file: write-ahead log, and a commit is on disk when it returns (synchronous=FULL). Readers never wait
 * for writers. Writers of this process take turns (ash_db_turn_take); another process, a copy being made, is waited for
 * BUSY_MS.
 */

enum {
	APPLICATION_ID = 0x4153464c, /* "ASFL", in the file's header */
	BUSY_MS = 10000,
	MAX_PARAMETERS = 64,
};

typedef struct {
	sqlite3_stmt *stmt;
	int count;
	/* SQLite numbers "$2" by where it first appears; [i]: which value parameter i + 1 is. */
	uint8_t value_of[MAX_PARAMETERS];
} Statement;

typedef struct {
	AshDb base;
	sqlite3 *handle;
	char *path;
	bool is_copy;           /* a backup that is read */
	GHashTable *statements; /* by the address of their text */
	Statement begin_reading, begin_writing, commit, rollback;
} Sqlite;

typedef struct {
	AshDbRow base;
	sqlite3_stmt *stmt;
} Row;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3, sqlite3_close)

/* ---- errors ---- */

static AshDbError code_of(int result, int os_error)
{
	switch (result & 0xff) {
	case SQLITE_CONSTRAINT:
		return result == SQLITE_CONSTRAINT_DATATYPE ? ASH_DB_ERROR_FAILED
							    : ASH_DB_ERROR_CONFLICT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ASH_DB_ERROR_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ASH_DB_ERROR_BUSY;
	case SQLITE_IOERR:
		/* What SQLite read is shorter than a page that it wrote. */
		return result == SQLITE_IOERR_SHORT_READ ? ASH_DB_ERROR_CORRUPT : ASH_DB_ERROR_FULL;
	case SQLITE_FULL:
	case SQLITE_READONLY:
		return ASH_DB_ERROR_FULL;
	case SQLITE_CANTOPEN:
		return os_error == ENOSPC || os_error == EDQUOT || os_error == EROFS
				       ? ASH_DB_ERROR_FULL
				       : ASH_DB_ERROR_FAILED;
	default:
		return ASH_DB_ERROR_FAILED;
	}
}

static gboolean throw_damaged(const Sqlite *db, const char *text, GError **error)
{
	return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_CORRUPT,
			db->is_copy ? "the backup '%s' is damaged (%s): take an older one; nothing was "
				      "restored"
				    : "'%s' is damaged (%s): stop the server and put the last backup in "
				      "its place with 'ashlar-fleetd restore'",
			db->path, text);
}

static gboolean throw_sqlite(Sqlite *db, GError **error)
{
	int result = sqlite3_extended_errcode(db->handle);
	int os_error = sqlite3_system_errno(db->handle);
	AshDbError code = code_of(result, os_error);
	const char *text = sqlite3_errmsg(db->handle);

	if (code == ASH_DB_ERROR_CORRUPT)
		return throw_damaged(db, text, error);
	/* The system's reason says more than "disk I/O error". */
	if ((result & 0xff) == SQLITE_IOERR || (result & 0xff) == SQLITE_CANTOPEN)
		return ash_throw(error, ASH_DB_ERROR, (int) code, "'%s': %s%s%s", db->path, text,
				os_error != 0 ? ": " : "",
				os_error != 0 ? g_strerror(os_error) : "");
	if (code == ASH_DB_ERROR_FULL || code == ASH_DB_ERROR_BUSY)
		return ash_throw(error, ASH_DB_ERROR, (int) code, "'%s': %s", db->path, text);
	return ash_throw(error, ASH_DB_ERROR, (int) code, "%s", text);
}

/* ---- statements ---- */

static gboolean prepare(Sqlite *db, const char *sql, bool is_kept, Statement *out, GError **error)
{
	const char *tail = NULL;
	Statement statement = {0};

	if (sqlite3_prepare_v3(db->handle, sql, -1, is_kept ? SQLITE_PREPARE_PERSISTENT : 0,
			    &statement.stmt, &tail) != SQLITE_OK)
		return throw_sqlite(db, error);
	/* A second statement would never run, and nobody would know. */
	g_assert(statement.stmt != NULL && tail[strspn(tail, " \t\n;")] == '\0');
	statement.count = sqlite3_bind_parameter_count(statement.stmt);
	g_assert(statement.count <= MAX_PARAMETERS);
	for (int i = 0; i < statement.count; i++) {
		const char *name = sqlite3_bind_parameter_name(statement.stmt, i + 1);
		guint64 number = 0;
		bool is_number = name != NULL && name[0] == '$' &&
				 g_ascii_string_to_unsigned(
						 name + 1, 10, 1, MAX_PARAMETERS, &number, NULL);
		g_assert(is_number);
		statement.value_of[i] = (uint8_t) (number - 1);
	}
	*out = statement;
	return TRUE;
}

static void statement_free(gpointer data)
{
	Statement *statement = data;

	sqlite3_finalize(statement->stmt);
	g_free(statement);
}

static gboolean find_statement(Sqlite *db, const char *sql, Statement **out, GError **error)
{
	Statement *known = g_hash_table_lookup(db->statements, sql);
	Statement made = {0};

	if (known == NULL) {
		if (!prepare(db, sql, true, &made, error))
			return FALSE;
		known = g_memdup2(&made, sizeof made);
		/* By address: the caller's text is a literal. */
		g_hash_table_insert(db->statements, (gpointer) (uintptr_t) sql, known);
	} else
		/* A text that was put together at an address that another had before. */
		g_assert(strcmp(sqlite3_sql(known->stmt), sql) == 0);
	*out = known;
	return TRUE;
}

static int bind_one(sqlite3_stmt *stmt, int index, const AshDbValue *value)
{
	switch (value->type) {
	case ASH_DB_INT:
		return sqlite3_bind_int64(stmt, index, value->integer);
	case ASH_DB_TEXT: /* NULL is bound as NULL; static: until the statement is reset */
		return sqlite3_bind_text(stmt, index, value->text, -1, SQLITE_STATIC);
	case ASH_DB_BLOB: {
		gsize size = 0;
		const void *data =
				value->blob != NULL ? g_bytes_get_data(value->blob, &size) : NULL;
		if (value->blob == NULL)
			return sqlite3_bind_null(stmt, index);
		return sqlite3_bind_blob64(
				stmt, index, data != NULL ? data : "", size, SQLITE_STATIC);
	}
	case ASH_DB_END:
	default:
		g_assert_not_reached();
	}
}

static gboolean bind(
		Sqlite *db, const Statement *statement, const AshDbValue *values, GError **error)
{
	int given = 0;

	while (values != NULL && values[given].type != ASH_DB_END)
		given++;
	for (int i = 0; i < statement->count; i++) {
		g_assert(statement->value_of[i] < given);
		if (bind_one(statement->stmt, i + 1, &values[statement->value_of[i]]) != SQLITE_OK)
			return throw_sqlite(db, error);
	}
	return TRUE;
}

static gboolean step_all(
		Sqlite *db, sqlite3_stmt *stmt, AshDbEach each, gpointer data, GError **error)
{
	Row row = {.base.backend = &ash_db_sqlite, .stmt = stmt};
	int result = SQLITE_OK;

	while ((result = sqlite3_step(stmt)) == SQLITE_ROW)
		if (each != NULL && !each(&row.base, data, error))
			return FALSE;
	return result == SQLITE_DONE ? TRUE : throw_sqlite(db, error);
}

static gboolean run_statement(Sqlite *db, const Statement *statement, const AshDbValue *values,
		AshDbEach each, gpointer data, int64_t *out_changed, GError **error)
{
	bool is_writing = !sqlite3_stmt_readonly(statement->stmt);

	if (is_writing && db->base.transaction == ASH_DB_READING)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED,
				"a statement that writes, in a transaction that reads");
	bool is_alone = is_writing && db->base.transaction == ASH_DB_OUTSIDE;
	if (is_alone)
		ash_db_turn_take(&db->base);
	gboolean ok = bind(db, statement, values, error) &&
		      step_all(db, statement->stmt, each, data, error);
	if (ok && out_changed != NULL)
		*out_changed = is_writing ? sqlite3_changes64(db->handle) : 0;
	/* Also ends a transaction of its own. */
	sqlite3_reset(statement->stmt);
	if (is_alone)
		ash_db_turn_give(&db->base);
	return ok;
}

static gboolean sqlite_run(AshDb *base, const char *sql, bool is_kept, const AshDbValue *values,
		AshDbEach each, gpointer data, int64_t *out_changed, GError **error)
{
	Sqlite *db = (Sqlite *) base;
	Statement *known = NULL, once = {0};

	if (is_kept)
		return find_statement(db, sql, &known, error) &&
		       run_statement(db, known, values, each, data, out_changed, error);
	if (!prepare(db, sql, false, &once, error))
		return FALSE;
	gboolean ok = run_statement(db, &once, values, each, data, out_changed, error);
	sqlite3_finalize(once.stmt);
	return ok;
}

/* ---- transactions ---- */

static gboolean run_word(Sqlite *db, const Statement *statement, GError **error)
{
	gboolean ok = step_all(db, statement->stmt, NULL, NULL, error);

	sqlite3_reset(statement->stmt);
	return ok;
}

static gboolean sqlite_begin(AshDb *base, bool is_writing, GError **error)
{
	Sqlite *db = (Sqlite *) base;

	if (!is_writing)
		return run_word(db, &db->begin_reading, error);
	ash_db_turn_take(base);
	if (run_word(db, &db->begin_writing, error))
		return TRUE;
	ash_db_turn_give(base);
	return FALSE;
}

static gboolean sqlite_commit(AshDb *base, GError **error)
{
	Sqlite *db = (Sqlite *) base;

	/* An error that ended the transaction by itself; what followed would have been committed alone. */
	g_assert(!sqlite3_get_autocommit(db->handle));
	if (!run_word(db, &db->commit, error))
		return FALSE;
	ash_db_turn_give(base);
	return TRUE;
}

static void sqlite_rollback(AshDb *base)
{
	Sqlite *db = (Sqlite *) base;

	/* Full disks and the like roll back by themselves. What cannot be rolled back is not used again: the
	 * connection's end does it.
	 */
	if (!sqlite3_get_autocommit(db->handle) && !run_word(db, &db->rollback, NULL))
		base->is_lost = true;
	ash_db_turn_give(base);
}

/* ---- opening ---- */

/* With the passwords' hashes in it, it is nobody else's to read. Not by open(2) of a file that is there: closing it
 * would drop the locks that this process holds on it.
 */
static gboolean make_private(const char *path, GError **error)
{
	ash_autofd int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || errno == EEXIST)
		return TRUE;
	AshDbError code = errno == ENOSPC || errno == EDQUOT || errno == EROFS
					  ? ASH_DB_ERROR_FULL
					  : ASH_DB_ERROR_FAILED;
	return ash_throw(error, ASH_DB_ERROR, (int) code, "cannot make '%s': %s", path,
			g_strerror(errno));
}

static gboolean pragma(Sqlite *db, const char *sql, int64_t *out_value, GError **error)
{
	Statement statement = {0};
	int result = SQLITE_OK;

	if (!prepare(db, sql, false, &statement, error))
		return FALSE;
	while ((result = sqlite3_step(statement.stmt)) == SQLITE_ROW)
		if (out_value != NULL)
			*out_value = sqlite3_column_int64(statement.stmt, 0);
	gboolean ok = result == SQLITE_DONE ? TRUE : throw_sqlite(db, error);
	sqlite3_finalize(statement.stmt);
	return ok;
}

/* Is it ours? An empty one becomes so. */
static gboolean check_application(Sqlite *db, GError **error)
{
	int64_t application = 0, tables = 0;

	if (!pragma(db, "PRAGMA application_id", &application, error))
		return FALSE;
	if (application == APPLICATION_ID)
		return TRUE;
	if (!pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, error))
		return FALSE;
	if (application != 0 || tables != 0)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_CORRUPT,
				"'%s' is the database of another program", db->path);
	g_autofree char *sql = g_strdup_printf("PRAGMA application_id = %d", APPLICATION_ID);
	return pragma(db, sql, NULL, error);
}

static gboolean prepare_words(Sqlite *db, GError **error)
{
	return prepare(db, "BEGIN DEFERRED", true, &db->begin_reading, error) &&
	       prepare(db, "BEGIN IMMEDIATE", true, &db->begin_writing, error) &&
	       prepare(db, "COMMIT", true, &db->commit, error) &&
	       prepare(db, "ROLLBACK", true, &db->rollback, error);
}

static gboolean set_up(Sqlite *db, GError **error)
{
	static const char *const pragmas[] = {
			"PRAGMA journal_mode = WAL",
			"PRAGMA synchronous = FULL",
			"PRAGMA foreign_keys = ON",
			"PRAGMA temp_store = MEMORY",
			"PRAGMA cache_size = -32768",
			/* 64 MiB of log before it goes into the file: fewer syncs for many small groups. */
			"PRAGMA wal_autocheckpoint = 16000",
			"PRAGMA journal_size_limit = 134217728",
			"PRAGMA cell_size_check = ON",
			"PRAGMA trusted_schema = OFF",
			/* As PostgreSQL has it. */
			"PRAGMA case_sensitive_like = ON",
	};

	sqlite3_busy_timeout(db->handle, BUSY_MS);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (sqlite3_db_readonly(db->handle, "main") != 0)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_FULL,
				"'%s' or its file system is read-only", db->path);
	if (!check_application(db, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(pragmas); i++)
		if (!pragma(db, pragmas[i], NULL, error))
			return FALSE;
	return prepare_words(db, error);
}

static void sqlite_close(AshDb *base)
{
	Sqlite *db = (Sqlite *) base;

	sqlite3_finalize(db->begin_reading.stmt);
	sqlite3_finalize(db->begin_writing.stmt);
	sqlite3_finalize(db->commit.stmt);
	sqlite3_finalize(db->rollback.stmt);
	g_hash_table_unref(db->statements);
	int result = sqlite3_close(db->handle);
	g_assert(result == SQLITE_OK);
	g_free(db->path);
	g_free(db);
}

static gboolean open_with(const char *path, AshDbPool *pool, int flags,
		gboolean (*set_up_it)(Sqlite *db, GError **error), AshDb **out_db, GError **error)
{
	Sqlite *db = g_new0(Sqlite, 1);

	db->base.backend = &ash_db_sqlite;
	db->base.pool = pool;
	db->path = g_strdup(path);
	db->is_copy = (flags & SQLITE_OPEN_READONLY) != 0;
	db->statements = g_hash_table_new_full(NULL, NULL, NULL, statement_free);
	flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	gboolean ok = sqlite3_open_v2(path, &db->handle, flags, NULL) == SQLITE_OK
				      ? set_up_it(db, error)
				      : throw_sqlite(db, error);
	if (!ok) {
		sqlite_close(&db->base);
		return FALSE;
	}
	*out_db = &db->base;
	return TRUE;
}

static gboolean sqlite_open(const char *where, AshDbPool *pool, AshDb **out_db, GError **error)
{
	return make_private(where, error) &&
	       open_with(where, pool, SQLITE_OPEN_READWRITE, set_up, out_db, error);
}

/* A backup stays as it is, also on a medium that cannot be written. */
static gboolean set_up_file(Sqlite *db, GError **error)
{
	int64_t application = 0;

	sqlite3_busy_timeout(db->handle, BUSY_MS);
	if (!pragma(db, "PRAGMA application_id", &application, error))
		return FALSE;
	if (application != APPLICATION_ID)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_CORRUPT,
				"'%s' is not a fleet's database, or half of one: take an older "
				"backup; nothing was restored",
				db->path);
	return pragma(db, "PRAGMA cell_size_check = ON", NULL, error) &&
	       pragma(db, "PRAGMA trusted_schema = OFF", NULL, error) && prepare_words(db, error);
}

static gboolean sqlite_open_file(const char *where, AshDbPool *pool, AshDb **out_db, GError **error)
{
	return open_with(where, pool, SQLITE_OPEN_READONLY, set_up_file, out_db, error);
}

static bool sqlite_is_alive(AshDb *base)
{
	return true;
}

/* ---- one of several servers: there is one ---- */

static gboolean sqlite_try_lead(AshDb *base, const char *name, bool *out_leads, GError **error)
{
	*out_leads = true;
	return TRUE;
}

static void sqlite_end_leads(AshDb *base)
{
}

/* ---- care ---- */

static gboolean first_complaint(const AshDbRow *row, gpointer data, GError **error)
{
	char **complaint = data;
	const char *text = ash_db_row_text(row, 0);

	if (*complaint == NULL && strcmp(text, "ok") != 0)
		*complaint = g_strdup(text);
	return TRUE;
}

/* Somebody else's checkpoint does as well. */
static gboolean sqlite_tidy(AshDb *base, GError **error)
{
	Sqlite *db = (Sqlite *) base;
	int result = sqlite3_wal_checkpoint_v2(
			db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

	if (result == SQLITE_OK || result == SQLITE_BUSY)
		return TRUE;
	return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_BUSY, "checkpoint: %s",
			sqlite3_errmsg(db->handle));
}

static gboolean sqlite_check(AshDb *base, GError **error)
{
	Sqlite *db = (Sqlite *) base;
	g_autofree char *complaint = NULL;

	if (!ash_db_query(base, "PRAGMA integrity_check(1)", NULL, first_complaint, &complaint,
			    error) ||
			!ash_db_query(base,
					"SELECT 'a row of ' || \"table\" || ' points to one of ' || "
					"\"parent\" || ' that is not there' "
					"FROM pragma_foreign_key_check LIMIT 1",
					NULL, first_complaint, &complaint, error))
		return FALSE;
	if (complaint != NULL)
		return throw_damaged(db, complaint, error);
	return TRUE;
}

/* SQLite's online backup in one step: in write-ahead mode it sees one state, and nobody waits for it. */
static gboolean copy_into(Sqlite *from, Sqlite *to, GError **error)
{
	sqlite3_backup *backup = sqlite3_backup_init(to->handle, "main", from->handle, "main");
	if (backup == NULL)
		return throw_sqlite(to, error);
	int result = sqlite3_backup_step(backup, -1);
	sqlite3_backup_finish(backup);
	if (result == SQLITE_DONE)
		return pragma(to, "PRAGMA journal_mode = DELETE", NULL, error);
	return ash_throw(error, ASH_DB_ERROR, (int) code_of(result, 0), "copying '%s' to '%s': %s",
			from->path, to->path, sqlite3_errstr(result));
}

static gboolean sqlite_copy_to_file(AshDb *base, const char *path, GError **error)
{
	g_autoptr(sqlite3) handle = NULL;

	if (!make_private(path, error))
		return FALSE;
	int result = sqlite3_open_v2(path, &handle,
			SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	g_autofree char *copy = g_strdup(path);
	Sqlite to = {.handle = handle, .path = copy};
	if (result != SQLITE_OK)
		return throw_sqlite(&to, error);
	return copy_into((Sqlite *) base, &to, error);
}

static gboolean sqlite_get_serial(AshDb *base, const char *table, int64_t *out_last, GError **error)
{
	return ash_db_query_int(base, "SELECT seq FROM sqlite_sequence WHERE name = $1",
			ASH_DB_VALUES(ASH_DB_T(table)), NULL, out_last, error);
}

static gboolean sqlite_set_serial(AshDb *base, const char *table, int64_t last, GError **error)
{
	return ash_db_exec(base, "DELETE FROM sqlite_sequence WHERE name = $1",
			       ASH_DB_VALUES(ASH_DB_T(table)), NULL, error) &&
	       ash_db_exec(base, "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)",
			       ASH_DB_VALUES(ASH_DB_T(table), ASH_DB_I(last)), NULL, error);
}

/* ---- rows ---- */

static sqlite3_stmt *stmt_of(const AshDbRow *row, unsigned column)
{
	sqlite3_stmt *stmt = ((const Row *) row)->stmt;

	g_assert((int) column < sqlite3_column_count(stmt));
	return stmt;
}

static int64_t sqlite_row_int(const AshDbRow *row, unsigned column)
{
	return sqlite3_column_int64(stmt_of(row, column), (int) column);
}

static const char *sqlite_row_text(const AshDbRow *row, unsigned column)
{
	return (const char *) sqlite3_column_text(stmt_of(row, column), (int) column);
}

static GBytes *sqlite_row_blob(const AshDbRow *row, unsigned column)
{
	sqlite3_stmt *stmt = stmt_of(row, column);

	if (sqlite3_column_type(stmt, (int) column) == SQLITE_NULL)
		return NULL;
	const void *data = sqlite3_column_blob(stmt, (int) column);
	return g_bytes_new(data, (gsize) sqlite3_column_bytes(stmt, (int) column));
}

static AshDbType sqlite_row_type(const AshDbRow *row, unsigned column)
{
	switch (sqlite3_column_type(stmt_of(row, column), (int) column)) {
	case SQLITE_NULL:
		return ASH_DB_END;
	case SQLITE_INTEGER:
		return ASH_DB_INT;
	case SQLITE_BLOB:
		return ASH_DB_BLOB;
	default:
		return ASH_DB_TEXT;
	}
}

static const AshDbWord words[] = {
		{"BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"},
		/* Tables are STRICT, so that a type that PostgreSQL would refuse is refused here too. */
		{"BIGINT", "INTEGER"},
		{"BYTEA", "BLOB"},
		{NULL, NULL},
};

#define SQLITE_FUNCTIONS                                                                           \
	.words = words, .table_end = " STRICT",                                                    \
	.has_table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1",             \
	.tables = "SELECT name FROM sqlite_schema WHERE type = 'table' "                           \
		  "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",                      \
	.columns = "SELECT name FROM pragma_table_info($1) ORDER BY cid", .close = sqlite_close,   \
	.is_alive = sqlite_is_alive, .run = sqlite_run, .begin = sqlite_begin,                     \
	.commit = sqlite_commit, .rollback = sqlite_rollback, .try_lead = sqlite_try_lead,         \
	.end_leads = sqlite_end_leads, .check = sqlite_check, .tidy = sqlite_tidy,                 \
	.copy_to_file = sqlite_copy_to_file, .get_serial = sqlite_get_serial,                      \
	.set_serial = sqlite_set_serial, .row_int = sqlite_row_int, .row_text = sqlite_row_text,   \
	.row_blob = sqlite_row_blob, .row_type = sqlite_row_type,

const AshDbBackend ash_db_sqlite = {.scheme = "sqlite", .open = sqlite_open, SQLITE_FUNCTIONS};
const AshDbBackend ash_db_sqlite_file = {
		.scheme = "sqlite-file", .open = sqlite_open_file, SQLITE_FUNCTIONS};
