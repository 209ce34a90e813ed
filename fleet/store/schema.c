/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/store/schema.h"

#include <string.h>

#include "lib/error.h"

/* Text as it is in the files; the Makefile knows that this object depends on them. */
#define EMBED(number)                                                                              \
	__asm__(".pushsection .rodata\n"                                                           \
		".global ash_schema_" #number "\n"                                                 \
		"ash_schema_" #number ": .incbin \"fleet/store/schema-" #number ".sql\"\n"         \
		".byte 0\n"                                                                        \
		".popsection\n");                                                                  \
	extern const char ash_schema_##number[]

EMBED(1);

const char *const ash_schema_steps[ASH_SCHEMA_VERSION] = {ash_schema_1};

static bool is_word(char c)
{
	return g_ascii_isalnum(c) || c == '_';
}

/* The word of the backend's table that stands at @at as a whole word; NULL: none. */
static const AshDbWord *find_word(const AshDbBackend *backend, const char *text, const char *at)
{
	if (at > text && is_word(at[-1]))
		return NULL;
	for (const AshDbWord *word = backend->words; word->from != NULL; word++)
		if (g_str_has_prefix(at, word->from) && !is_word(at[strlen(word->from)]))
			return word;
	return NULL;
}

/* Comments go, quoted texts stay, words become the backend's. Returns what is behind the ';', NULL at the end. */
static const char *next_statement(const AshDbBackend *backend, const char *text, GString *statement)
{
	const char *at = text;

	g_string_truncate(statement, 0);
	while (*at != '\0' && *at != ';') {
		const AshDbWord *word = NULL;
		size_t size = 1;

		if (g_str_has_prefix(at, "--")) {
			at += strcspn(at, "\n");
			continue;
		}
		if (*at == '\'' || *at == '"') {
			const char *end = strchr(at + 1, *at);
			size = end != NULL ? (size_t) (end - at) + 1 : strlen(at);
		} else
			word = find_word(backend, text, at);
		if (word != NULL) {
			g_string_append(statement, word->to);
			size = strlen(word->from);
		} else
			g_string_append_len(statement, at, (gssize) size);
		at += size;
	}
	g_strstrip(statement->str);
	statement->len = strlen(statement->str);
	if (g_str_has_prefix(statement->str, "CREATE TABLE"))
		g_string_append(statement, backend->table_end);
	return *at == ';' ? at + 1 : NULL;
}

static gboolean run_script(AshDb *db, const char *text, GError **error)
{
	g_autoptr(GString) statement = g_string_new(NULL);

	while (text != NULL) {
		text = next_statement(db->backend, text, statement);
		if (statement->len > 0 &&
				!ash_db_query_text(db, statement->str, NULL, NULL, NULL, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_schema_get_version(AshDb *db, int64_t *out_version, GError **error)
{
	g_autofree char *text = NULL;
	int64_t version = 0;
	bool has_meta = false;

	if (!ash_db_query_int(db, db->backend->has_table, ASH_DB_VALUES(ASH_DB_T("meta")),
			    &has_meta, &version, error))
		return FALSE;
	if (!has_meta) {
		*out_version = 0;
		return TRUE;
	}
	if (!ash_db_query_string(
			    db, "SELECT value FROM meta WHERE key = 'schema'", NULL, &text, error))
		return FALSE;
	guint64 number = 0;
	if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 1, INT32_MAX, &number, NULL))
		return ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_CORRUPT,
				"its table 'meta' does not say which schema it has; "
				"is it a fleet's database?");
	*out_version = (int64_t) number;
	return TRUE;
}

/* One step, within a transaction. */
static gboolean run_step(AshDb *db, const char *text, int64_t version, GError **error)
{
	g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, version);

	ASH_PREFIX("schema %" G_GINT64_FORMAT, version);
	return run_script(db, text, error) &&
	       ash_db_exec(db,
			       "INSERT INTO meta (key, value) VALUES ('schema', $1) "
			       "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
			       ASH_DB_VALUES(ASH_DB_T(number)), NULL, error);
}

gboolean ash_schema_create(AshDb *db, const char *const *steps, unsigned count, GError **error)
{
	for (unsigned i = 0; i < count; i++)
		if (!run_step(db, steps[i], i + 1, error))
			return FALSE;
	return TRUE;
}

gboolean ash_schema_migrate(AshDb *db, const char *const *steps, unsigned count, GError **error)
{
	int64_t version = 0;

	do {
		/* Asked anew within each transaction: another server may be doing the same. */
		if (!ash_db_begin(db, true, error))
			return FALSE;
		gboolean ok = ash_schema_get_version(db, &version, error);
		if (ok && version > count)
			ok = ash_throw(error, ASH_DB_ERROR, ASH_DB_ERROR_SCHEMA,
					"the database has schema %" G_GINT64_FORMAT
					", this program knows %u: run the newer program, or restore "
					"a copy from before",
					version, count);
		if (ok && version < count)
			ok = run_step(db, steps[version], version + 1, error);
		if (!ok || version >= count) {
			ash_db_rollback(db);
			return ok;
		}
		if (!ash_db_commit(db, error))
			return FALSE;
	} while (version + 1 < count);
	return TRUE;
}

gboolean ash_db_migrate(AshDb *db, GError **error)
{
	return ash_schema_migrate(db, ash_schema_steps, ASH_SCHEMA_VERSION, error);
}
