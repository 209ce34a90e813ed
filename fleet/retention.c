/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/retention.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "fleet/audit.h"
#include "lib/error.h"
#include "lib/file.h"

G_DEFINE_QUARK(ash_retention_error, ash_retention_error)

enum {
	DAY_S = 86400,
};

static uint64_t removed[ASH_RETENTIONS];

const char *ash_retention_text(AshRetention kind)
{
	static const char *const texts[ASH_RETENTIONS] = {"events", "ledgers", "audit"};

	return texts[kind];
}

uint64_t ash_retention_removed(AshRetention kind)
{
	return __atomic_load_n(&removed[kind], __ATOMIC_RELAXED);
}

static void count(AshRetention kind, int64_t rows)
{
	__atomic_add_fetch(&removed[kind], (uint64_t) rows, __ATOMIC_RELAXED);
}

gboolean ash_retention_oldest(AshDb *db, AshRetention kind, int64_t *out_at_s, GError **error)
{
	static const char *const statements[ASH_RETENTIONS] = {
			"SELECT at FROM event ORDER BY seq LIMIT 1",
			("SELECT COALESCE(MIN(ended_at), 0) FROM rollout WHERE ended_at > 0 AND "
			 "trimmed_at = 0"),
			"SELECT at FROM audit ORDER BY seq LIMIT 1",
	};
	bool is_found = false;
	int64_t at_s = 0;

	if (!ash_db_query_int(db, statements[kind], NULL, &is_found, &at_s, error))
		return FALSE;
	*out_at_s = is_found ? at_s : 0;
	return TRUE;
}

/* ---- events ---- */

/* From the front alone: numbers rise with time but for the clocks of hosts, which are a day off at most. */
static gboolean trim_events(AshDb *db, int64_t before_s, bool *out_more, GError **error)
{
	int64_t last = 0, changed = 0;

	if (!ash_db_query_int(db,
			    "SELECT COALESCE(MAX(seq), 0) FROM (SELECT seq FROM event WHERE seq < "
			    "(SELECT MAX(seq) FROM event) - $1 AND seq <= COALESCE((SELECT CAST(value "
			    "AS BIGINT) FROM meta WHERE key = 'cursor.scheduler'), 0) ORDER BY seq "
			    "LIMIT $2) AS front",
			    ASH_DB_VALUES(ASH_DB_I(ASH_RETENTION_LEAST),
					    ASH_DB_I(ASH_RETENTION_BATCH)),
			    NULL, &last, error) ||
			(last > 0 && !ash_db_exec(db,
						     "DELETE FROM event WHERE seq <= $1 AND at < $2",
						     ASH_DB_VALUES(ASH_DB_I(last),
								     ASH_DB_I(before_s)),
						     &changed, error)))
		return FALSE;
	count(ASH_RETENTION_EVENTS, changed);
	*out_more |= changed > 0;
	return TRUE;
}

/* ---- ledgers ---- */

static gboolean take_part(
		AshDb *db, const char *id, int64_t now_s, int64_t *out_rows, GError **error)
{
	int64_t lines = 0, hosts = 0;

	/* Whoever reads it from here on knows that it is not whole. */
	if (!ash_db_exec(db, "UPDATE rollout SET trimmed_at = $2 WHERE id = $1 AND trimmed_at = 0",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(now_s)), NULL, error) ||
			!ash_db_exec(db,
					"DELETE FROM rollout_line WHERE rollout = $1 AND line IN (SELECT line "
					"FROM rollout_line WHERE rollout = $1 ORDER BY line LIMIT $2)",
					ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(ASH_RETENTION_BATCH)),
					&lines, error) ||
			!ash_db_exec(db,
					"DELETE FROM rollout_host WHERE rollout = $1 AND host IN (SELECT host "
					"FROM rollout_host WHERE rollout = $1 ORDER BY host LIMIT $2)",
					ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(ASH_RETENTION_BATCH)),
					&hosts, error))
		return FALSE;
	*out_rows = lines + hosts;
	return lines + hosts > 0 ||
	       ash_db_exec(db, "UPDATE rollout SET lines = 0, checkpoint = 0 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(id)), NULL, error);
}

static gboolean trim_ledgers(
		AshDb *db, int64_t before_s, int64_t now_s, bool *out_more, GError **error)
{
	g_autofree char *id = NULL;
	int64_t rows = 0;

	if (!ash_db_query_string(db,
			    "SELECT id FROM rollout WHERE ended_at > 0 AND ended_at < $1 AND state IN "
			    "('finished', 'reverted', 'cancelled') AND (trimmed_at = 0 OR lines > 0) "
			    "ORDER BY ended_at LIMIT 1",
			    ASH_DB_VALUES(ASH_DB_I(before_s)), &id, error))
		return FALSE;
	if (id == NULL)
		return TRUE;
	if (!ash_db_begin(db, true, error))
		return FALSE;
	if (!take_part(db, id, now_s, &rows, error) || !ash_db_commit(db, error)) {
		ash_db_rollback(db);
		return FALSE;
	}
	count(ASH_RETENTION_LEDGERS, rows);
	*out_more = true;
	return TRUE;
}

/* ---- the audit log ---- */

typedef struct {
	AshAuditAnchor from, to;
	int64_t before_s, first_at_s;
	GString *text;
	unsigned count;
	bool is_young; /* met one that stays */
} Archive;

static gboolean take_audit(const AshAudit *audit, gpointer data, GError **error)
{
	Archive *archive = data;
	g_autofree char *line = NULL;

	archive->is_young |= audit->at_s >= archive->before_s;
	if (archive->is_young)
		return TRUE;
	if (!ash_audit_follows(&archive->to, audit, &line, error))
		return FALSE;
	if (line == NULL)
		return ash_throw(error, ASH_RETENTION_ERROR, ASH_RETENTION_ERROR_CHAIN,
				"row %" PRId64 " of the audit log is not as it was written: it is "
				"left as it is, see 'ashlar-fleet audit verify'",
				archive->to.seq + 1);
	if (archive->count++ == 0)
		archive->first_at_s = audit->at_s;
	g_string_append_printf(archive->text, "%s\n", line);
	archive->to.seq = audit->seq;
	g_strlcpy(archive->to.hash, audit->hash, sizeof archive->to.hash);
	return TRUE;
}

static gboolean keep(const AshFleetConfig *config, const Archive *archive, char **out_path,
		GError **error)
{
	g_autofree char *dir = g_build_filename(config->dir, "audit", NULL);
	g_autofree char *path = g_strdup_printf("%s/%012" PRId64 "-%012" PRId64 ".jsonl", dir,
			archive->from.seq + 1, archive->to.seq);

	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) ||
			!ash_file_replace(AT_FDCWD, path, archive->text->str, archive->text->len,
					0600, error))
		return FALSE;
	*out_path = g_steal_pointer(&path);
	return TRUE;
}

static gboolean drop(
		AshDb *db, const Archive *archive, const char *path, int64_t now_s, GError **error)
{
	g_autofree char *object = g_strdup_printf(
			"audit:%" PRId64 "-%" PRId64, archive->from.seq + 1, archive->to.seq);
	g_autofree char *name = g_path_get_basename(path);
	g_autofree char *after = g_strdup_printf(
			"{\"file\":\"%s\",\"hash\":\"%s\"}", name, archive->to.hash);
	const AshAudit audit = {.at_s = now_s,
			.role = "server",
			.action = "audit.archive",
			.object = object,
			.reason = "retention",
			.after = after};

	return ash_db_exec(db, "DELETE FROM audit WHERE seq <= $1",
			       ASH_DB_VALUES(ASH_DB_I(archive->to.seq)), NULL, error) &&
	       ash_audit_set_anchor(db, &archive->to, error) && ash_audit_append(db, &audit, error);
}

static gboolean trim_audit(const AshFleetConfig *config, AshDb *db, int64_t before_s, int64_t now_s,
		bool *out_more, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autofree char *path = NULL;
	Archive archive = {.before_s = before_s, .text = text};

	if (!ash_audit_get_anchor(db, &archive.from, error))
		return FALSE;
	archive.to = archive.from;
	if (!ash_audit_read(db, archive.from.seq, ASH_RETENTION_BATCH, take_audit, &archive, error))
		return FALSE;
	/* A file for a few rows is for those that have waited for a day. */
	if (archive.count == 0 || (archive.count < ASH_RETENTION_BATCH &&
						  archive.first_at_s >= before_s - DAY_S))
		return TRUE;
	if (!keep(config, &archive, &path, error) || !ash_db_begin(db, true, error))
		return FALSE;
	if (!drop(db, &archive, path, now_s, error) || !ash_db_commit(db, error)) {
		ash_db_rollback(db);
		return FALSE;
	}
	count(ASH_RETENTION_AUDIT, archive.count);
	*out_more = true;
	return TRUE;
}

/* ---- all ---- */

gboolean ash_retention_trim(const AshFleetConfig *config, AshDb *db, int64_t now_s, bool *out_more,
		GError **error)
{
	GError *first = NULL;
	bool is_more = false;

	if (config->keep_events_s > 0 &&
			!trim_events(db, now_s - config->keep_events_s, &is_more, &first))
		ash_db_rollback(db);
	if (config->keep_ledgers_s > 0)
		trim_ledgers(db, now_s - config->keep_ledgers_s, now_s, &is_more,
				first == NULL ? &first : NULL);
	if (config->keep_audit_s > 0)
		trim_audit(config, db, now_s - config->keep_audit_s, now_s, &is_more,
				first == NULL ? &first : NULL);
	*out_more = is_more;
	if (first == NULL)
		return TRUE;
	g_propagate_error(error, first);
	return FALSE;
}
