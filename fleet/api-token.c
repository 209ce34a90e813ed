/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-operator.h"
#include "fleet/change.h"
#include "fleet/operator.h"
#include "fleet/page.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* Tokens of programs: "ID.SECRET". The secret is in the answer of the call that makes it, and nowhere else. */

#define COLUMNS "id, role, scope, note, created_at, created_by, expires_at, last_used, revoked_at"

static void add_token(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_text(json, "id", ash_db_row_text(row, 0));
	ash_json_add_text(json, "role", ash_db_row_text(row, 1));
	ash_json_add_string(json, "scope", ash_db_row_text(row, 2));
	ash_json_add_string(json, "note", ash_db_row_text(row, 3));
	ash_json_add_int(json, "created_at", ash_db_row_int(row, 4));
	ash_json_add_text(json, "created_by", ash_db_row_text(row, 5));
	ash_json_add_int(json, "expires_at", ash_db_row_int(row, 6));
	ash_json_add_int(json, "last_used", ash_db_row_int(row, 7));
	ash_json_add_int(json, "revoked_at", ash_db_row_int(row, 8));
}

static gboolean list_tokens(AshRequest *request, GError **error)
{
	const AshPage page = {
			.sql = "SELECT " COLUMNS
			       " FROM api_token WHERE id > $1 ORDER BY id LIMIT $2",
			.values = ASH_DB_VALUES(ASH_DB_T(ash_route_after(request)),
					ASH_DB_I(ash_page_rows(request))),
			.add = add_token,
	};

	return ash_page_reply(request, &page, error);
}

/* ---- making ---- */

typedef struct {
	AshOperatorToken token;
	char *id, *secret;
} Make;

static gboolean make(AshRequest *request, gpointer data, GError **error)
{
	Make *making = data;
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_operator_make_token(request->db, &making->token, request->server->now(),
			    &making->id, &making->secret, error))
		return FALSE;
	json_builder_begin_object(json);
	ash_json_add_text(json, "role", making->token.role);
	ash_json_add_text(json, "scope", making->token.scope);
	ash_json_add_text(json, "note", making->token.note);
	ash_json_add_int(json, "expires_at", making->token.expires_at);
	json_builder_end_object(json);
	g_autoptr(JsonNode) node = json_builder_get_root(json);
	g_autofree char *after = json_to_string(node, FALSE);
	g_autofree char *object = g_strconcat("api-token:", making->id, NULL);
	g_autofree char *text = g_strdup_printf("API token %s was made", making->id);
	return ash_route_audit(request, "api-token.create", object, NULL, after, error) &&
	       ash_change_event(request, "operator.changed", text, NULL, error);
}

static gboolean make_token(AshRequest *request, GError **error)
{
	Make making = {.token.created_by = request->actor};
	AshOperatorToken *token = &making.token;
	int64_t life_s = 0;
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_change_text(request, "role", 16, "viewer", &token->role, error) ||
			!ash_change_text(request, "scope", ASH_SELECTOR_MAX_BYTES, "",
					&token->scope, error) ||
			!ash_change_text(request, "note", ASH_OPERATOR_MAX_NOTE, "", &token->note,
					error) ||
			!ash_change_number(request, "expires_in", INT64_C(100) * 365 * 86400, 0,
					&life_s, error) ||
			!ash_api_operator_check_role(token->role, token->scope, error))
		return FALSE;
	token->expires_at = life_s > 0 ? request->server->now() + life_s : 0;
	gboolean ok = ash_change_run(request, make, &making, error);
	g_autofree char *id = making.id;
	g_autofree char *secret = making.secret;
	const AshPage made = {
			.sql = "SELECT " COLUMNS " FROM api_token WHERE id = $1",
			.values = ASH_DB_VALUES(ASH_DB_T(id)),
			.add = add_token,
	};
	bool is_found = false;
	json_builder_begin_object(json);
	if (!ok || !ash_page_find(request->db, &made, json, &is_found, error))
		return FALSE;
	ash_json_add_text(json, "secret", secret);
	ash_http_add_header(request->call, "Cache-Control", "no-store");
	return ash_route_reply(request, json);
}

/* ---- revoking ---- */

typedef struct {
	const char *id;
	bool is_found, is_revoked, is_admin;
} Revoke;

static gboolean take_old(const AshDbRow *row, gpointer data, GError **error)
{
	Revoke *revoking = data;

	revoking->is_found = true;
	revoking->is_admin = strcmp(ash_db_row_text(row, 0), "admin") == 0;
	revoking->is_revoked = ash_db_row_int(row, 1) != 0;
	return TRUE;
}

/* Somebody has to be able to come in as an admin. */
static gboolean check_last(AshRequest *request, const char *id, GError **error)
{
	int64_t others = 0;
	bool is_found = false;

	if (!ash_db_query_int(request->db,
			    "SELECT (SELECT COUNT(*) FROM operator WHERE role = 'admin' AND "
			    "disabled_at = 0 AND password <> '') + (SELECT COUNT(*) FROM api_token "
			    "WHERE role = 'admin' AND revoked_at = 0 AND id <> $1 AND (expires_at = 0 "
			    "OR expires_at > $2))",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(request->server->now())),
			    &is_found, &others, error))
		return FALSE;
	if (others > 0)
		return TRUE;
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
			"nobody else is an admin: make an operator or another token first");
}

static gboolean end_token(AshRequest *request, gpointer data, GError **error)
{
	Revoke *revoking = data;
	g_autofree char *actor = g_strconcat("token:", revoking->id, NULL);
	g_autofree char *object = g_strconcat("api-token:", revoking->id, NULL);
	g_autofree char *text = g_strdup_printf("API token %s was revoked", revoking->id);

	if (!ash_db_lock_events(request->db, error) ||
			!ash_db_query(request->db,
					"SELECT role, revoked_at FROM api_token WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(revoking->id)), take_old, revoking,
					error))
		return FALSE;
	if (!revoking->is_found)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no API token '%.64s'", revoking->id);
	if (revoking->is_revoked)
		return TRUE;
	return (!revoking->is_admin || check_last(request, revoking->id, error)) &&
	       ash_db_exec(request->db, "UPDATE api_token SET revoked_at = $2 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(revoking->id),
					       ASH_DB_I(request->server->now())),
			       NULL, error) &&
	       ash_operator_end_sessions(request->db, actor, error) &&
	       ash_route_audit(request, "api-token.revoke", object, NULL, NULL, error) &&
	       ash_change_event(request, "operator.changed", text, NULL, error);
}

static gboolean revoke_token(AshRequest *request, GError **error)
{
	Revoke revoking = {.id = request->parts->pdata[0]};

	if (!ash_change_run(request, end_token, &revoking, error))
		return FALSE;
	ash_operators_forget(request->server->operators);
	return ash_route_reply_empty(request);
}

/* ---- routes ---- */

static const AshRouteMember make_members[] = {
		{"role", "string", false, "viewer (default), operator or admin"},
		{"scope", "string", false, "a selector; \"\": all, as of admins"},
		{"note", "string", false, "what it is for; at most 1024 bytes"},
		{"expires_in", "integer", false, "seconds; 0 (default): never"},
		{0},
};

#define TOKEN                                                                                      \
	"\"id\":\"0123456789abcdef\",\"role\":\"viewer\",\"scope\":\"\",\"note\":\"grafana\","     \
	"\"created_at\":1,\"created_by\":\"ada\",\"expires_at\":0,\"last_used\":0,\"revoked_at\":0"

const AshRoute ash_api_token_routes[] = {
		{"GET", "/v1/api-tokens", ASH_ROLE_ADMIN, "API tokens, without their secrets",
				list_tokens, .answer = "{\"items\":[{" TOKEN "}]}"},
		{"POST", "/v1/api-tokens", ASH_ROLE_ADMIN,
				"Make an API token; its secret is told this once", make_token,
				.members = make_members,
				.answer = "{" TOKEN ",\"secret\":\"0123456789abcdef.…\"}"},
		{"POST", "/v1/api-tokens/{id}/revoke", ASH_ROLE_ADMIN,
				"Revoke an API token; its sessions end", revoke_token},
		{0},
};
