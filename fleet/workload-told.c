/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/workload-told.h"

typedef struct {
	int64_t since_s, told, left_out;
} Row;

static gboolean take_row(const AshDbRow *row, gpointer data, GError **error)
{
	*(Row *) data = (Row){
			ash_db_row_int(row, 0), ash_db_row_int(row, 1), ash_db_row_int(row, 2)};
	return TRUE;
}

gboolean ash_workload_told_count(AshDb *db, const char *host, const char *name, int64_t now_s,
		AshWorkloadTold *out_told, GError **error)
{
	Row row = {0};

	if (!ash_db_query(db,
			    "SELECT since, told, left_out FROM workload_told WHERE host = $1 AND name "
			    "= $2",
			    ASH_DB_VALUES(ASH_DB_T(host), ASH_DB_T(name)), take_row, &row, error))
		return FALSE;
	/* A clock that was set back begins anew too. The event of the hour before stays. */
	bool is_new = now_s - row.since_s >= ASH_WORKLOAD_TOLD_WITHIN_S || now_s < row.since_s;
	if (is_new)
		row = (Row){.since_s = now_s};
	if (row.told < ASH_WORKLOAD_TOLD_MAX)
		row.told++;
	else
		row.left_out++;
	if (!ash_db_exec_later(db,
			    "INSERT INTO workload_told (host, name, since, told, left_out) VALUES "
			    "($1, $2, $3, $4, $5) ON CONFLICT (host, name) DO UPDATE SET since = "
			    "excluded.since, told = excluded.told, left_out = excluded.left_out, "
			    "event = CASE WHEN workload_told.since = excluded.since THEN "
			    "workload_told.event ELSE 0 END",
			    ASH_DB_VALUES(ASH_DB_T(host), ASH_DB_T(name), ASH_DB_I(row.since_s),
					    ASH_DB_I(row.told), ASH_DB_I(row.left_out)),
			    error))
		return FALSE;
	*out_told = (AshWorkloadTold){.since_s = row.since_s,
			.left_out = row.left_out,
			.is_last = row.left_out == 0 && row.told == ASH_WORKLOAD_TOLD_MAX};
	return TRUE;
}

gboolean ash_workload_told_replace(AshDb *db, const char *host, const char *name, GError **error)
{
	/* The new one is there already: a number is not given twice, whatever was deleted. */
	return ash_db_exec_later(db,
			       "DELETE FROM event WHERE seq = (SELECT event FROM workload_told WHERE "
			       "host = $1 AND name = $2)",
			       ASH_DB_VALUES(ASH_DB_T(host), ASH_DB_T(name)), error) &&
	       ash_db_exec_later(db,
			       "UPDATE workload_told SET event = (SELECT MAX(seq) FROM event WHERE "
			       "host = $1) WHERE host = $1 AND name = $2",
			       ASH_DB_VALUES(ASH_DB_T(host), ASH_DB_T(name)), error);
}
