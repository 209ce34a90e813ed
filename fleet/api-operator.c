/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-operator.h"
#include "fleet/change.h"
#include "fleet/operator.h"
#include "fleet/page.h"
#include "fleet/password.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* Operators: people with a name and a password. Sessions are in api-session.c, tokens in api-token.c. */

typedef struct {
	const char *name, *role, *scope;
	char *kept;   /* password; NULL: as it was */
	int disabled; /* -1: as it was */
	/* as it was */
	bool is_found;
	char *old_role, *old_scope;
	int64_t old_disabled_at;
} Operator;

static void operator_clear(Operator *change)
{
	g_free(change->kept);
	g_free(change->old_role);
	g_free(change->old_scope);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Operator, operator_clear)

/* ---- reading ---- */

#define COLUMNS                                                                                    \
	"name, role, scope, created_at, disabled_at, CASE WHEN password = '' THEN 0 ELSE 1 END, "  \
	"(SELECT COUNT(*) FROM session WHERE session.operator = operator.name)"

static void add_operator(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_text(json, "name", ash_db_row_text(row, 0));
	ash_json_add_text(json, "role", ash_db_row_text(row, 1));
	ash_json_add_string(json, "scope", ash_db_row_text(row, 2));
	ash_json_add_int(json, "created_at", ash_db_row_int(row, 3));
	ash_json_add_bool(json, "disabled", ash_db_row_int(row, 4) != 0);
	ash_json_add_bool(json, "has_password", ash_db_row_int(row, 5) != 0);
	ash_json_add_int(json, "sessions", ash_db_row_int(row, 6));
}

static gboolean list_operators(AshRequest *request, GError **error)
{
	const AshPage page = {
			.sql = "SELECT " COLUMNS
			       " FROM operator WHERE name > $1 ORDER BY name LIMIT $2",
			.values = ASH_DB_VALUES(ASH_DB_T(ash_route_after(request)),
					ASH_DB_I(ash_page_rows(request))),
			.add = add_operator,
	};

	return ash_page_reply(request, &page, error);
}

static gboolean throw_missing(GError **error, const char *name)
{
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
			"there is no operator '%.64s'", name);
}

static gboolean reply_operator(AshRequest *request, const char *name, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	const AshPage page = {
			.sql = "SELECT " COLUMNS " FROM operator WHERE name = $1",
			.values = ASH_DB_VALUES(ASH_DB_T(name)),
			.add = add_operator,
	};
	bool is_found = false;

	json_builder_begin_object(json);
	if (!ash_page_find(request->db, &page, json, &is_found, error))
		return FALSE;
	return is_found ? ash_route_reply(request, json) : throw_missing(error, name);
}

static gboolean get_operator(AshRequest *request, GError **error)
{
	return reply_operator(request, request->parts->pdata[0], error);
}

/* ---- what is asked for ---- */

gboolean ash_api_operator_check_role(const char *role, const char *scope, GError **error)
{
	AshRole parsed = ASH_ROLE_NONE;
	g_autoptr(AshSelector) selector = NULL;
	g_autoptr(GError) failure = NULL;

	if (!ash_role_parse(role, &parsed))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'role' is viewer, operator or admin");
	if (!ash_selector_parse(scope, &selector, &failure))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST, "'scope': %s",
				failure->message);
	/* Whoever may make operators and tokens may give themselves the rest. */
	if (parsed == ASH_ROLE_ADMIN && *scope != '\0')
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"an admin has no 'scope': make an operator of it");
	return TRUE;
}

gboolean ash_api_operator_hash(
		AshRequest *request, const char *member, char **out_kept, GError **error)
{
	const char *password = NULL;

	if (!ash_json_text_opt(request->body, member, &password, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if (password == NULL)
		return TRUE;
	if (strlen(password) < ASH_OPERATOR_MIN_PASSWORD ||
			strlen(password) > ASH_OPERATOR_MAX_PASSWORD)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'%s' has %d to %d bytes", member, ASH_OPERATOR_MIN_PASSWORD,
				ASH_OPERATOR_MAX_PASSWORD);
	return ash_password_hash(password, out_kept, error) ||
	       ash_change_answer(error, ASH_PASSWORD_ERROR, ASH_PASSWORD_ERROR_BUSY,
			       ASH_ROUTE_ERROR_BUSY);
}

static gboolean read_body(AshRequest *request, Operator *change, GError **error)
{
	bool disabled = false;

	if (!ash_change_text(request, "role", 16, NULL, &change->role, error) ||
			!ash_change_text(request, "scope", ASH_SELECTOR_MAX_BYTES, NULL,
					&change->scope, error))
		return FALSE;
	if (!ash_json_bool_opt(request->body, "disabled", &disabled, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	change->disabled = json_object_has_member(request->body, "disabled") ? disabled : -1;
	return ash_api_operator_hash(request, "password", &change->kept, error);
}

/* ---- changing ---- */

static gboolean take_old(const AshDbRow *row, gpointer data, GError **error)
{
	Operator *change = data;

	change->is_found = true;
	change->old_role = g_strdup(ash_db_row_text(row, 0));
	change->old_scope = g_strdup(ash_db_row_text(row, 1));
	change->old_disabled_at = ash_db_row_int(row, 2);
	return TRUE;
}

static gboolean read_old(AshRequest *request, Operator *change, GError **error)
{
	/* Two who take each other's rights away at once: the second sees what the first did. */
	return ash_db_lock_events(request->db, error) &&
	       ash_db_query(request->db,
			       "SELECT role, scope, disabled_at FROM operator WHERE name = $1",
			       ASH_DB_VALUES(ASH_DB_T(change->name)), take_old, change, error);
}

/* Not the last operator who is an admin and may log in. */
static gboolean check_last(AshRequest *request, const Operator *change, GError **error)
{
	int64_t others = 0;
	bool is_found = false;

	if (strcmp(change->old_role, "admin") != 0 || change->old_disabled_at != 0)
		return TRUE;
	if (!ash_db_query_int(request->db,
			    "SELECT COUNT(*) FROM operator WHERE role = 'admin' AND disabled_at = 0 "
			    "AND name <> $1",
			    ASH_DB_VALUES(ASH_DB_T(change->name)), &is_found, &others, error))
		return FALSE;
	if (others > 0)
		return TRUE;
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
			"'%s' is the last admin: make another one first", change->name);
}

static char *describe(const char *role, const char *scope, bool is_disabled, bool has_new_password)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_text(json, "role", role);
	ash_json_add_text(json, "scope", scope);
	ash_json_add_bool(json, "disabled", is_disabled);
	if (has_new_password)
		ash_json_add_text(json, "password", "changed");
	json_builder_end_object(json);
	g_autoptr(JsonNode) node = json_builder_get_root(json);
	return json_to_string(node, FALSE);
}

static gboolean tell(AshRequest *request, const char *action, const char *name, const char *before,
		const char *after, const char *what, GError **error)
{
	g_autofree char *text = g_strdup_printf("operator '%s' %s", name, what);
	g_autofree char *object = g_strconcat("operator:", name, NULL);

	return ash_route_audit(request, action, object, before, after, error) &&
	       ash_change_event(request, "operator.changed", text, NULL, error);
}

static gboolean create(AshRequest *request, gpointer data, GError **error)
{
	Operator *change = data;
	bool is_disabled = change->disabled == 1;

	if (!read_old(request, change, error))
		return FALSE;
	if (change->is_found)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"operator '%s' is there already", change->name);
	g_autofree char *after = describe(change->role, change->scope, is_disabled, false);
	return ash_db_exec(request->db,
			       "INSERT INTO operator (name, password, role, scope, created_at, "
			       "disabled_at) VALUES ($1, $2, $3, $4, $5, $6)",
			       ASH_DB_VALUES(ASH_DB_T(change->name),
					       ASH_DB_T(change->kept != NULL ? change->kept : ""),
					       ASH_DB_T(change->role), ASH_DB_T(change->scope),
					       ASH_DB_I(request->server->now()),
					       ASH_DB_I(is_disabled ? request->server->now() : 0)),
			       NULL, error) &&
	       tell(request, "operator.create", change->name, NULL, after, "was made", error);
}

static gboolean create_operator(AshRequest *request, GError **error)
{
	g_auto(Operator) change = {0};

	if (!ash_change_text(request, "name", ASH_OPERATOR_MAX_NAME, "", &change.name, error) ||
			!read_body(request, &change, error))
		return FALSE;
	if (!ash_operator_name_is_valid(change.name))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'name' has 1 to %d letters, digits and . _ @ -, the first a letter or "
				"digit",
				ASH_OPERATOR_MAX_NAME);
	change.role = change.role != NULL ? change.role : "viewer";
	change.scope = change.scope != NULL ? change.scope : "";
	if (!ash_api_operator_check_role(change.role, change.scope, error) ||
			!ash_change_run(request, create, &change, error))
		return FALSE;
	ash_operators_forget(request->server->operators);
	return reply_operator(request, change.name, error);
}

static gboolean update(AshRequest *request, gpointer data, GError **error)
{
	Operator *change = data;

	if (!read_old(request, change, error))
		return FALSE;
	if (!change->is_found)
		return throw_missing(error, change->name);
	const char *role = change->role != NULL ? change->role : change->old_role;
	const char *scope = change->scope != NULL ? change->scope : change->old_scope;
	bool is_disabled = change->disabled >= 0 ? change->disabled == 1
						 : change->old_disabled_at != 0;
	int64_t now = request->server->now();
	int64_t disabled_at = !is_disabled                   ? 0
			      : change->old_disabled_at != 0 ? change->old_disabled_at
							     : now;
	if (!ash_api_operator_check_role(role, scope, error) ||
			((is_disabled || strcmp(role, "admin") != 0) &&
					!check_last(request, change, error)) ||
			!ash_db_exec(request->db,
					"UPDATE operator SET role = $2, scope = $3, disabled_at = $4, "
					"password = coalesce($5, password) WHERE name = $1",
					ASH_DB_VALUES(ASH_DB_T(change->name), ASH_DB_T(role),
							ASH_DB_T(scope), ASH_DB_I(disabled_at),
							ASH_DB_T(change->kept)),
					NULL, error) ||
			((is_disabled || change->kept != NULL) &&
					!ash_operator_end_sessions(
							request->db, change->name, error)))
		return FALSE;
	g_autofree char *before = describe(
			change->old_role, change->old_scope, change->old_disabled_at != 0, false);
	g_autofree char *after = describe(role, scope, is_disabled, change->kept != NULL);
	return tell(request, "operator.change", change->name, before, after, "was changed", error);
}

static gboolean change_operator(AshRequest *request, GError **error)
{
	g_auto(Operator) change = {.name = request->parts->pdata[0]};

	if (!read_body(request, &change, error) || !ash_change_run(request, update, &change, error))
		return FALSE;
	ash_operators_forget(request->server->operators);
	return reply_operator(request, change.name, error);
}

static gboolean delete (AshRequest *request, gpointer data, GError **error)
{
	Operator *change = data;

	if (!read_old(request, change, error))
		return FALSE;
	if (!change->is_found)
		return throw_missing(error, change->name);
	g_autofree char *before = describe(
			change->old_role, change->old_scope, change->old_disabled_at != 0, false);
	return check_last(request, change, error) &&
	       ash_operator_end_sessions(request->db, change->name, error) &&
	       ash_db_exec(request->db, "DELETE FROM operator WHERE name = $1",
			       ASH_DB_VALUES(ASH_DB_T(change->name)), NULL, error) &&
	       tell(request, "operator.remove", change->name, before, NULL, "was removed", error);
}

static gboolean delete_operator(AshRequest *request, GError **error)
{
	g_auto(Operator) change = {.name = request->parts->pdata[0]};

	if (!ash_change_run(request, delete, &change, error))
		return FALSE;
	ash_operators_forget(request->server->operators);
	return ash_route_reply_empty(request);
}

/* ---- one's own password ---- */

static gboolean write_password(AshRequest *request, gpointer data, GError **error)
{
	const char *kept = data;

	return ash_db_exec(request->db, "UPDATE operator SET password = $2 WHERE name = $1",
			       ASH_DB_VALUES(ASH_DB_T(request->actor), ASH_DB_T(kept)), NULL,
			       error) &&
	       ash_operator_end_sessions(request->db, request->actor, error) &&
	       tell(request, "operator.password", request->actor, NULL, NULL,
			       "has another password", error);
}

static gboolean change_password(AshRequest *request, GError **error)
{
	const char *old = NULL;
	g_autofree char *kept = NULL;
	g_autoptr(AshOperator) who = NULL;
	g_autoptr(GError) failure = NULL;
	int64_t wait_s = 0;

	if (!ash_json_text(request->body, "old", &old, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	/* The right one only: a session that somebody took is not to become an account. */
	if (!ash_operator_prove(request->server->operators, request->db, request->actor, old,
			    ash_http_peer(request->call), &who, &wait_s, &failure)) {
		if (failure->domain != ASH_OPERATOR_ERROR) {
			g_propagate_error(error, g_steal_pointer(&failure));
			return ash_change_answer(error, ASH_PASSWORD_ERROR, ASH_PASSWORD_ERROR_BUSY,
					ASH_ROUTE_ERROR_BUSY);
		}
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_FORBIDDEN,
				wait_s > 0 ? "too many wrong passwords: later"
					   : "the old password is wrong");
	}
	if (!ash_api_operator_hash(request, "new", &kept, error) ||
			!ash_change_run(request, write_password, kept, error))
		return FALSE;
	ash_operators_forget(request->server->operators);
	return ash_route_reply_empty(request);
}

/* ---- routes ---- */

#define MEMBERS_OF_AN_OPERATOR                                                                     \
	{"password", "string", false, "10 to 1024 bytes; without one, no log-in"},                 \
			{"role", "string", false, "viewer (default), operator or admin"},          \
			{"scope", "string", false, "a selector; \"\": all hosts, as of admins"},   \
	{                                                                                          \
		"disabled", "boolean", false, "may not log in; sessions end"                       \
	}

static const AshRouteMember create_members[] = {
		{"name", "string", true, "letters, digits and . _ @ -"}, MEMBERS_OF_AN_OPERATOR,
		{0}};
static const AshRouteMember change_members[] = {MEMBERS_OF_AN_OPERATOR, {0}};
static const AshRouteMember password_members[] = {
		{"old", "string", true, "the password until now"},
		{"new", "string", true, "10 to 1024 bytes"},
		{0},
};

#define OPERATOR                                                                                   \
	"{\"name\":\"ada\",\"role\":\"operator\",\"scope\":\"site = bern\",\"created_at\":1,"      \
	"\"disabled\":false,\"has_password\":true,\"sessions\":1}"

const AshRoute ash_api_operator_routes[] = {
		{"GET", "/v1/operators", ASH_ROLE_ADMIN, "Operators, by name", list_operators,

				.answer = "{\"items\":[" OPERATOR "]}"},
		{"POST", "/v1/operators", ASH_ROLE_ADMIN, "Make an operator", create_operator,
				.members = create_members, .answer = OPERATOR},
		{"GET", "/v1/operators/{name}", ASH_ROLE_ADMIN, "One operator", get_operator,
				.answer = OPERATOR},
		{"POST", "/v1/operators/{name}", ASH_ROLE_ADMIN,
				"Change what is given; a new password or 'disabled' ends all sessions",
				change_operator, .members = change_members, .answer = OPERATOR},
		{"DELETE", "/v1/operators/{name}", ASH_ROLE_ADMIN, "Remove an operator",
				delete_operator},
		{"POST", "/v1/session/password", ASH_ROLE_VIEWER,
				"Change one's own password; all sessions end", change_password,
				.members = password_members},
		{0},
};
