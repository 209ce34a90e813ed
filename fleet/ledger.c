/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/ledger.h"

#include "lib/error.h"

G_DEFINE_QUARK(ash_ledger_error, ash_ledger_error)

enum {
	PAGE_LINES = 200,
};

typedef struct {
	AshDb *db;
	const char *rollout;
	int64_t last;    /* the last line that was read */
	GPtrArray *page; /* char * */
	unsigned at;
} Reader;

static gboolean take_line(const AshDbRow *row, gpointer data, GError **error)
{
	Reader *reader = data;

	reader->last = ash_db_row_int(row, 0);
	g_ptr_array_add(reader->page, g_strdup(ash_db_row_text(row, 1)));
	return TRUE;
}

static const char *next_line(gpointer data, GError **error)
{
	Reader *reader = data;

	if (reader->at == reader->page->len) {
		g_ptr_array_set_size(reader->page, 0);
		reader->at = 0;
		if (!ash_db_query(reader->db,
				    "SELECT line, text FROM rollout_line WHERE rollout = $1 AND line "
				    "> $2 ORDER BY line LIMIT $3",
				    ASH_DB_VALUES(ASH_DB_T(reader->rollout), ASH_DB_I(reader->last),
						    ASH_DB_I(PAGE_LINES)),
				    take_line, reader, error))
			return NULL;
	}
	if (reader->at == reader->page->len)
		return NULL;
	return g_ptr_array_index(reader->page, reader->at++);
}

typedef struct {
	AshRolloutSpec *spec;
	int64_t checkpoint;
} Head;

static gboolean take_head(const AshDbRow *row, gpointer data, GError **error)
{
	Head *head = data;

	head->checkpoint = ash_db_row_int(row, 1);
	return ash_rollout_spec_parse_text(ash_db_row_text(row, 0), &head->spec, error);
}

static gboolean read_head(AshDb *db, const char *rollout, Head *out_head, GError **error)
{
	Head head = {0};

	if (!ash_db_query(db,
			    "SELECT spec, checkpoint FROM rollout WHERE id = $1 AND trimmed_at = 0",
			    ASH_DB_VALUES(ASH_DB_T(rollout)), take_head, &head, error))
		return FALSE;
	if (head.spec == NULL)
		return ash_throw(error, ASH_LEDGER_ERROR, ASH_LEDGER_ERROR_NONE,
				"there is no rollout '%s', or its ledger is gone", rollout);
	*out_head = head;
	return TRUE;
}

gboolean ash_ledger_append(
		AshDb *db, const char *rollout, int64_t line, const char *text, GError **error)
{
	return ash_db_exec_later(db,
			"INSERT INTO rollout_line (rollout, line, text) VALUES ($1, $2, $3)",
			ASH_DB_VALUES(ASH_DB_T(rollout), ASH_DB_I(line), ASH_DB_T(text)), error);
}

gboolean ash_ledger_load(AshDb *db, const char *rollout, AshRollout **out_rollout,
		int64_t *out_lines, GError **error)
{
	ASH_PREFIX("reading the ledger of rollout '%s'", rollout);
	g_autoptr(GPtrArray) page = g_ptr_array_new_with_free_func(g_free);
	Head head;

	if (!read_head(db, rollout, &head, error))
		return FALSE;
	Reader reader = {.db = db,
			.rollout = rollout,
			.last = MAX(head.checkpoint - 1, 0),
			.page = page};
	if (!ash_rollout_load(head.spec, next_line, &reader, out_rollout, error))
		return FALSE;
	*out_lines = reader.last;
	return TRUE;
}

gboolean ash_ledger_replay(
		AshDb *db, const char *rollout, AshRolloutReplay *out_replay, GError **error)
{
	ASH_PREFIX("replaying rollout '%s'", rollout);
	g_autoptr(GPtrArray) page = g_ptr_array_new_with_free_func(g_free);
	Reader reader = {.db = db, .rollout = rollout, .page = page};
	Head head;

	if (!read_head(db, rollout, &head, error))
		return FALSE;
	g_autoptr(AshRollout) fresh = ash_rollout_new(head.spec, NULL);
	return ash_rollout_replay(fresh, next_line, &reader, out_replay, error);
}
