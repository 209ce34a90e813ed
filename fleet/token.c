/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/token.h"

#include <string.h>

#include "fleet/live.h"
#include "fleet/operator.h"
#include "fleet/page.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_token_error, ash_token_error)

enum {
	ID_DIGITS = 16,
};

gboolean ash_token_make(AshDb *db, const AshToken *token, int64_t now_s, char **out_id,
		char **out_secret, GError **error)
{
	g_autofree char *random = ash_operator_random();
	g_autofree char *hash = ash_sha256_hex(random, strlen(random));
	g_autofree char *id = ash_operator_random();

	id[ID_DIGITS] = '\0';
	if (!ash_db_exec(db,
			    "INSERT INTO join_token (id, hash, note, labels, uses_left, expires_at, "
			    "needs_approval, created_at, created_by) VALUES "
			    "($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T(hash), ASH_DB_T(token->note),
					    ASH_DB_T(token->labels), ASH_DB_I(token->uses),
					    ASH_DB_I(token->expires_at),
					    ASH_DB_I(token->needs_approval), ASH_DB_I(now_s),
					    ASH_DB_T(token->created_by)),
			    NULL, error))
		return FALSE;
	*out_secret = g_strconcat(id, ".", random, NULL);
	*out_id = g_steal_pointer(&id);
	return TRUE;
}

/* ---- using one ---- */

typedef struct {
	char *hash, *labels;
	bool needs_approval;
} Row;

static gboolean take_row(const AshDbRow *row, gpointer data, GError **error)
{
	Row *found = data;

	found->hash = g_strdup(ash_db_row_text(row, 0));
	found->labels = g_strdup(ash_db_row_text(row, 1));
	found->needs_approval = ash_db_row_int(row, 2) != 0;
	return TRUE;
}

static gboolean refuse(GError **error)
{
	return ash_throw(error, ASH_TOKEN_ERROR, ASH_TOKEN_ERROR_REFUSED,
			"This token is not known, or it is used up, ended or revoked.");
}

/* An unknown id is compared too, so that the time does not tell which ids there are. */
static bool is_right(const Row *row, const char *hash)
{
	static const char nobody[] =
			"0000000000000000000000000000000000000000000000000000000000000000";

	return ash_crypto_same_secret(row->hash != NULL ? row->hash : nobody, hash) &&
	       row->hash != NULL;
}

gboolean ash_token_use(AshDb *db, const char *secret, int64_t now_s, char **out_id,
		char **out_labels, bool *out_needs_approval, GError **error)
{
	g_autofree char *id = NULL;
	g_autofree char *hash = NULL;
	Row row = {0};
	int64_t changed = 0;

	if (!ash_operator_split_secret(secret, &id, &hash))
		return refuse(error);
	if (!ash_db_query(db, "SELECT hash, labels, needs_approval FROM join_token WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), take_row, &row, error))
		return FALSE;
	g_autofree G_GNUC_UNUSED char *known = row.hash;
	g_autofree char *labels = row.labels;
	if (!is_right(&row, hash))
		return refuse(error);
	if (!ash_db_exec(db,
			    "UPDATE join_token SET uses = uses + 1, uses_left = CASE WHEN uses_left > 0 "
			    "THEN uses_left - 1 ELSE uses_left END WHERE id = $1 AND uses_left <> 0 AND "
			    "revoked_at = 0 AND (expires_at = 0 OR expires_at > $2)",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(now_s)), &changed, error))
		return FALSE;
	if (changed == 0)
		return refuse(error);
	*out_id = g_steal_pointer(&id);
	*out_labels = g_steal_pointer(&labels);
	*out_needs_approval = row.needs_approval;
	return TRUE;
}

gboolean ash_token_revoke(AshDb *db, const char *id, int64_t now_s, GError **error)
{
	int64_t changed = 0;

	if (!ash_db_exec(db,
			    "UPDATE join_token SET revoked_at = CASE WHEN revoked_at = 0 THEN $2 ELSE "
			    "revoked_at END WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(now_s)), &changed, error))
		return FALSE;
	return changed > 0 || ash_throw(error, ASH_TOKEN_ERROR, ASH_TOKEN_ERROR_NOT_FOUND,
					      "there is no join token '%s'", id);
}

/* ---- showing them ---- */

#define COLUMNS                                                                                    \
	"id, note, labels, uses_left, uses, expires_at, needs_approval, created_at, created_by, "  \
	"revoked_at"

static void add_labels(JsonBuilder *json, const char *text)
{
	AshPair *pairs = NULL;
	uint32_t count = 0;

	ash_json_begin_object(json, "labels");
	if (ash_pairs_parse(text, ASH_LIVE_MAX_LABELS, &pairs, &count, NULL))
		for (uint32_t i = 0; i < count; i++) {
			ash_json_add_string(json, pairs[i].key, pairs[i].value);
		}
	ash_pairs_unref(pairs, count);
	json_builder_end_object(json);
}

static void add_token(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_text(json, "id", ash_db_row_text(row, 0));
	ash_json_add_string(json, "note", ash_db_row_text(row, 1));
	add_labels(json, ash_db_row_text(row, 2));
	ash_json_add_int(json, "uses_left", ash_db_row_int(row, 3));
	ash_json_add_int(json, "uses", ash_db_row_int(row, 4));
	ash_json_add_int(json, "expires_at", ash_db_row_int(row, 5));
	ash_json_add_bool(json, "needs_approval", ash_db_row_int(row, 6) != 0);
	ash_json_add_int(json, "created_at", ash_db_row_int(row, 7));
	ash_json_add_text(json, "created_by", ash_db_row_text(row, 8));
	ash_json_add_int(json, "revoked_at", ash_db_row_int(row, 9));
}

gboolean ash_token_describe(
		AshDb *db, const char *id, JsonBuilder *json, bool *out_found, GError **error)
{
	const AshPage page = {
			.sql = "SELECT " COLUMNS " FROM join_token WHERE id = $1",
			.values = ASH_DB_VALUES(ASH_DB_T(id)),
			.add = add_token,
	};

	return ash_page_find(db, &page, json, out_found, error);
}

gboolean ash_token_list(AshDb *db, const char *after, int64_t limit, JsonBuilder *json,
		char **out_next, GError **error)
{
	const AshPage page = {
			.sql = "SELECT " COLUMNS
			       " FROM join_token WHERE id > $1 ORDER BY id LIMIT $2",
			.values = ASH_DB_VALUES(ASH_DB_T(after), ASH_DB_I(limit + 1)),
			.add = add_token,
	};

	return ash_page_query(db, &page, limit, json, out_next, error);
}
