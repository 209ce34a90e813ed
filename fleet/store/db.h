/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The database: SQLite in one file, or PostgreSQL. fleet/store/sqlite.c and fleet/store/postgres.c are the only
 * files that may include theirs; db.c chooses by the address:
 *
 *	sqlite:/var/lib/ashlar-fleet/fleet.db
 *	postgres:host=/run/postgresql dbname=ashlar        (libpq's keywords)
 *
 * Statements are written once for both: parameters $1, $2…; INSERT … ON CONFLICT … DO UPDATE; RETURNING; BIGINT,
 * TEXT, BYTEA; times are BIGINT seconds since 1970 in UTC; JSON is TEXT; no dates, no booleans (0 and 1). A column
 * "BIGSERIAL" (schema text alone) counts up and never goes back. Texts are compared by their bytes, LIKE tells capitals
 * from small letters, and says its ESCAPE where there is one. A value of another type than its column's is refused.
 *
 * A connection is used by one thread at a time; ash_db_pool_take gives one. Errors: ASH_DB_ERROR. After
 * ASH_DB_ERROR_LOST nothing of the transaction is on disk, or all of it (a connection that died in COMMIT): what
 * is written is therefore made to be written twice.
 */

#define ASH_DB_ERROR (ash_db_error_quark())
GQuark ash_db_error_quark(void);

typedef enum {
	ASH_DB_ERROR_FAILED,   /* what the library says: a wrong statement, mostly */
	ASH_DB_ERROR_CONFLICT, /* unique, foreign key, check; serialization */
	ASH_DB_ERROR_FULL,     /* no room, read-only, or a disk that fails */
	ASH_DB_ERROR_CORRUPT,  /* not a database, or a damaged one; the text says how to restore */
	ASH_DB_ERROR_LOST,   /* the server does not answer, or the connection ended: later, again */
	ASH_DB_ERROR_BUSY,   /* somebody else holds what is needed; the deadline passed */
	ASH_DB_ERROR_SCHEMA, /* newer than this program */
} AshDbError;

typedef struct AshDb AshDb;
typedef struct AshDbPool AshDbPool;

/* @connections: at most so many at a time (4 at least: the writer and the reader of events keep one each), whoever asks
 * beyond waits, half a minute at most (ASH_DB_ERROR_BUSY).
 */
gboolean ash_db_pool_open(const char *address, unsigned connections, AshDbPool **out_pool,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_db_pool_free(AshDbPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDbPool, ash_db_pool_free)
bool ash_db_pool_is_shared(const AshDbPool *pool); /* other processes may write: PostgreSQL */

gboolean ash_db_pool_take(AshDbPool *pool, AshDb **out_db, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_db_give(
		AshDb *db); /* back to its pool; an open transaction is rolled back; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDb, ash_db_give)

/* ---- statements ---- */

typedef enum {
	ASH_DB_END, /* behind the last parameter */
	ASH_DB_INT,
	ASH_DB_TEXT, /* NULL: SQL's NULL */
	ASH_DB_BLOB, /* a GBytes *; NULL: SQL's NULL */
} AshDbType;

typedef struct {
	AshDbType type;
	int64_t integer;
	const char *text;
	GBytes *blob;
} AshDbValue;

#define ASH_DB_I(value) ((AshDbValue){.type = ASH_DB_INT, .integer = (int64_t) (value)})
#define ASH_DB_T(value) ((AshDbValue){.type = ASH_DB_TEXT, .text = (value)})
#define ASH_DB_B(value) ((AshDbValue){.type = ASH_DB_BLOB, .blob = (value)})
#define ASH_DB_VALUES(...) ((const AshDbValue[]){__VA_ARGS__ __VA_OPT__(, ){.type = ASH_DB_END}})

typedef struct AshDbRow AshDbRow;

/* Columns from 0; what is NULL is 0, "" (or NULL by _opt). Borrowed until the next row. */
int64_t ash_db_row_int(const AshDbRow *row, unsigned column);
const char *ash_db_row_text(const AshDbRow *row, unsigned column);
const char *ash_db_row_text_opt(const AshDbRow *row, unsigned column);
GBytes *ash_db_row_blob(const AshDbRow *row, unsigned column); /* new; NULL for NULL */

/* Called for each row; FALSE stops with its error. Must not use the same connection. */
typedef gboolean (*AshDbEach)(const AshDbRow *row, gpointer data, GError **error);

/* ash_db_query: @each may be NULL. @values: ASH_DB_VALUES(…), may be NULL. Prepared once per connection and kept
 * by the statement's address, so @sql is a literal (or ash_db_query_text).
 *
 *	ash_db_query(db, "SELECT name FROM host WHERE id = $1", ASH_DB_VALUES(ASH_DB_T(id)), take, &x, error)
 */
gboolean ash_db_query(AshDb *db, const char *sql, const AshDbValue *values, AshDbEach each,
		gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* For statements that are put together: not kept. */
gboolean ash_db_query_text(AshDb *db, const char *sql, const AshDbValue *values, AshDbEach each,
		gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Without rows. @out_changed: how many rows were; may be NULL. */
gboolean ash_db_exec(AshDb *db, const char *sql, const AshDbValue *values, int64_t *out_changed,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* As ash_db_exec, but PostgreSQL is not waited for: what fails, fails the transaction's commit. */
gboolean ash_db_exec_later(AshDb *db, const char *sql, const AshDbValue *values, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The first column of the first row; *out_found false without one. */
gboolean ash_db_query_int(AshDb *db, const char *sql, const AshDbValue *values, bool *out_found,
		int64_t *out_value, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* NULL without a row. */
gboolean ash_db_query_string(AshDb *db, const char *sql, const AshDbValue *values, char **out_value,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- transactions ---- */

/* Without one each statement is one. There is one writing one at a time (SQLite: in this process; PostgreSQL: among all
 * servers), so it is short and never waits for anything else; what it reads stays so until its end. A reading one sees
 * one state throughout. Committed is on disk. After a statement that failed only rollback is left.
 */
gboolean ash_db_begin(AshDb *db, bool is_writing, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_db_commit(AshDb *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_db_rollback(AshDb *db); /* fine without one */

/* ---- one of several servers ---- */

/* A lock by name that lasts as long as @db's connection; SQLite: always had. Never waits. */
gboolean ash_db_try_lead(AshDb *db, const char *name, bool *out_leads, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* In a writing transaction, until its end: whoever appends to the table event takes it before, so that numbers appear
 * in their order to readers that go on behind the last one they saw. SQLite: nothing to do.
 */
gboolean ash_db_lock_events(AshDb *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- care ---- */

/* Brings an empty or older database to this program's schema, step by step, each step a transaction. */
gboolean ash_db_migrate(AshDb *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A whole copy, of one moment, while others go on writing: an SQLite file, of PostgreSQL too. Checked, and on disk,
 * before it appears at @path; what was there is replaced.
 */
gboolean ash_db_backup(AshDbPool *pool, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Into an empty database of either kind (else ASH_DB_ERROR_CONFLICT): all of it or nothing. The copy is checked before,
 * and only read.
 */
gboolean ash_db_restore(const char *address, const char *path, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Reads everything and says what is wrong. */
gboolean ash_db_check(AshDb *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Brings what is in the database's log into its tables, beside whoever reads and writes; nothing where there is no such
 * log. What a commit finds too much of it does by itself, and all others wait meanwhile.
 */
gboolean ash_db_tidy(AshDb *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
