/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/store/db.h"

/* What one kind of database does; db.c and pool.c do what is common to all. Only files of fleet/store/ include this.
 *
 * db.c keeps these: one statement at a time; after a failed one within a transaction nothing more is asked of it but
 * rollback, as PostgreSQL has it; writing within a reading transaction fails.
 */

typedef struct {
	const char *from, *to;
} AshDbWord;

typedef struct AshDbBackend {
	const char *scheme;     /* "sqlite" */
	bool is_shared;         /* other processes may write */
	const AshDbWord *words; /* what schema text has otherwise; NULL-from ends */
	const char *table_end;  /* behind each CREATE TABLE */
	const char *has_table;  /* SQL: a row when table $1 exists */
	const char *tables;     /* SQL: the names of all, in a fixed order */
	const char *columns;    /* SQL: the names of table $1's, in their order */

	/* @where: the address behind "scheme:". The backend's own struct begins with an AshDb. */
	gboolean (*open)(const char *where, AshDbPool *pool, AshDb **out_db, GError **error);
	void (*close)(AshDb *db);
	/* A question: does a connection that lay in the pool still stand? */
	bool (*is_alive)(AshDb *db);

	gboolean (*run)(AshDb *db, const char *sql, bool is_kept, const AshDbValue *values,
			AshDbEach each, gpointer data, int64_t *out_changed, GError **error);
	gboolean (*run_later)(AshDb *db, const char *sql, const AshDbValue *values, GError **error);
	gboolean (*begin)(AshDb *db, bool is_writing, GError **error);
	gboolean (*commit)(AshDb *db, GError **error);
	void (*rollback)(AshDb *db);
	/* In a transaction, to its end: no time-outs, for what reads or makes a whole database. NULL: there are none. */
	gboolean (*be_patient)(AshDb *db, GError **error);

	gboolean (*try_lead)(AshDb *db, const char *name, bool *out_leads, GError **error);
	void (*end_leads)(AshDb *db);
	gboolean (*check)(AshDb *db, GError **error);
	gboolean (*tidy)(AshDb *db, GError **error); /* NULL: nothing to do */
	/* An SQLite file in one step; NULL: row by row. */
	gboolean (*copy_to_file)(AshDb *db, const char *path, GError **error);
	/* Numbers that a BIGSERIAL of @table gave, or is to go on behind. */
	gboolean (*get_serial)(AshDb *db, const char *table, int64_t *out_last, GError **error);
	gboolean (*set_serial)(AshDb *db, const char *table, int64_t last, GError **error);

	/* Of rows: */
	int64_t (*row_int)(const AshDbRow *row, unsigned column);
	const char *(*row_text)(const AshDbRow *row, unsigned column); /* NULL */
	GBytes *(*row_blob)(const AshDbRow *row, unsigned column);
	AshDbType (*row_type)(const AshDbRow *row, unsigned column); /* ASH_DB_END: NULL */
} AshDbBackend;

struct AshDbRow {
	const AshDbBackend *backend;
};

typedef enum {
	ASH_DB_OUTSIDE,
	ASH_DB_READING,
	ASH_DB_WRITING,
} AshDbTransaction;

struct AshDb {
	const AshDbBackend *backend;
	AshDbPool *pool;
	AshDbTransaction transaction;
	bool has_failed; /* a statement of this transaction did */
	bool is_lost;    /* not to be used again */
	bool is_running; /* a statement */
	bool has_turn;   /* ash_db_turn_take */
	bool leads;      /* something */
};

/* ash_db_sqlite_file: "sqlite-file:PATH", a file that is only read. */
extern const AshDbBackend ash_db_sqlite, ash_db_sqlite_file, ash_db_postgres;

/* The turn to write, of which each pool has one: in the order of asking. */
void ash_db_turn_take(AshDb *db);
void ash_db_turn_give(AshDb *db);

const char *ash_db_pool_where(const AshDbPool *pool); /* the address behind "scheme:" */

/* What @address says: the backend and the rest. */
gboolean ash_db_address_parse(const char *address, const AshDbBackend **out_backend,
		const char **out_where, GError **error) G_GNUC_WARN_UNUSED_RESULT;
