/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/store/db.h"

#include "fleet/store/backend.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_db_error, ash_db_error)

/* ---- rows ---- */

int64_t ash_db_row_int(const AshDbRow *row, unsigned column)
{
	return row->backend->row_int(row, column);
}

const char *ash_db_row_text_opt(const AshDbRow *row, unsigned column)
{
	return row->backend->row_text(row, column);
}

const char *ash_db_row_text(const AshDbRow *row, unsigned column)
{
	const char *text = row->backend->row_text(row, column);

	return text != NULL ? text : "";
}

GBytes *ash_db_row_blob(const AshDbRow *row, unsigned column)
{
	return row->backend->row_blob(row, column);
}

/* ---- statements ---- */

/* May a statement run at all? */
static gboolean enter(AshDb *db, GError **error)
{
	/* From within ash_db_query's each: the rows would be those of another statement. */
	g_assert(!db->is_running);
	if (db->is_lost)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_LOST,
				"the connection to the database ended");
	if (db->has_failed)
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_FAILED,
				"an earlier statement of this transaction failed");
	db->is_running = true;
	return TRUE;
}

static gboolean leave(AshDb *db, gboolean ok)
{
	db->is_running = false;
	if (!ok && db->transaction != ASH_DB_OUTSIDE)
		db->has_failed = true;
	return ok;
}

static gboolean run(AshDb *db, const char *sql, bool is_kept, const AshDbValue *values,
		AshDbEach each, gpointer data, int64_t *out_changed, GError **error)
{
	return enter(db, error) && leave(db, db->backend->run(db, sql, is_kept, values, each, data,
							     out_changed, error));
}

gboolean ash_db_query(AshDb *db, const char *sql, const AshDbValue *values, AshDbEach each,
		gpointer data, GError **error)
{
	return run(db, sql, true, values, each, data, NULL, error);
}

gboolean ash_db_query_text(AshDb *db, const char *sql, const AshDbValue *values, AshDbEach each,
		gpointer data, GError **error)
{
	return run(db, sql, false, values, each, data, NULL, error);
}

gboolean ash_db_exec(AshDb *db, const char *sql, const AshDbValue *values, int64_t *out_changed,
		GError **error)
{
	return run(db, sql, true, values, NULL, NULL, out_changed, error);
}

gboolean ash_db_exec_later(AshDb *db, const char *sql, const AshDbValue *values, GError **error)
{
	if (db->transaction != ASH_DB_WRITING || db->backend->run_later == NULL)
		return run(db, sql, true, values, NULL, NULL, NULL, error);
	return enter(db, error) && leave(db, db->backend->run_later(db, sql, values, error));
}

typedef struct {
	bool found;
	int64_t integer;
	char *text;
} First;

static gboolean take_int(const AshDbRow *row, gpointer data, GError **error)
{
	First *first = data;

	if (!first->found)
		first->integer = ash_db_row_int(row, 0);
	first->found = true;
	return TRUE;
}

static gboolean take_text(const AshDbRow *row, gpointer data, GError **error)
{
	First *first = data;

	if (!first->found)
		first->text = g_strdup(ash_db_row_text(row, 0));
	first->found = true;
	return TRUE;
}

gboolean ash_db_query_int(AshDb *db, const char *sql, const AshDbValue *values, bool *out_found,
		int64_t *out_value, GError **error)
{
	First first = {0};

	if (!ash_db_query(db, sql, values, take_int, &first, error))
		return FALSE;
	if (out_found != NULL)
		*out_found = first.found;
	*out_value = first.integer;
	return TRUE;
}

gboolean ash_db_query_string(AshDb *db, const char *sql, const AshDbValue *values, char **out_value,
		GError **error)
{
	First first = {0};

	if (!ash_db_query(db, sql, values, take_text, &first, error)) {
		g_free(first.text);
		return FALSE;
	}
	*out_value = first.text;
	return TRUE;
}

/* ---- transactions ---- */

gboolean ash_db_begin(AshDb *db, bool is_writing, GError **error)
{
	g_assert(db->transaction == ASH_DB_OUTSIDE);
	if (!enter(db, error))
		return FALSE;
	gboolean ok = db->backend->begin(db, is_writing, error);
	db->is_running = false;
	if (ok)
		db->transaction = is_writing ? ASH_DB_WRITING : ASH_DB_READING;
	return ok;
}

gboolean ash_db_commit(AshDb *db, GError **error)
{
	g_assert(db->transaction != ASH_DB_OUTSIDE);
	gboolean ok = enter(db, error);
	if (ok)
		ok = leave(db, db->backend->commit(db, error));
	if (ok)
		db->transaction = ASH_DB_OUTSIDE;
	else
		ash_db_rollback(db);
	return ok;
}

void ash_db_rollback(AshDb *db)
{
	if (db->transaction == ASH_DB_OUTSIDE)
		return;
	g_assert(!db->is_running);
	if (!db->is_lost)
		db->backend->rollback(db);
	db->transaction = ASH_DB_OUTSIDE;
	db->has_failed = false;
}

/* ---- one of several servers ---- */

gboolean ash_db_try_lead(AshDb *db, const char *name, bool *out_leads, GError **error)
{
	bool leads = false;

	if (!db->backend->try_lead(db, name, &leads, error))
		return FALSE;
	db->leads = db->leads || leads;
	*out_leads = leads;
	return TRUE;
}

gboolean ash_db_lock_events(AshDb *db, GError **error)
{
	/* Every writing transaction is the only one, also between servers: see begin in postgres.c. */
	g_assert(db->transaction == ASH_DB_WRITING);
	return TRUE;
}

gboolean ash_db_check(AshDb *db, GError **error)
{
	return db->backend->check(db, error);
}

gboolean ash_db_tidy(AshDb *db, GError **error)
{
	return db->backend->tidy == NULL || db->backend->tidy(db, error);
}
