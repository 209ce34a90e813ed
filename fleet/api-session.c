/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-operator.h"
#include "fleet/change.h"
#include "fleet/operator.h"
#include "fleet/password.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* Log-in of the page: a cookie that scripts cannot read, and a second value that every change has to show. */

static void set_cookie(AshRequest *request, const char *value, int64_t life_s)
{
	g_autofree char *header =
			g_strdup_printf(ASH_OPERATOR_COOKIE "=%s; Path=/; Max-Age=%" G_GINT64_FORMAT
							    "; Secure; HttpOnly; SameSite=Strict",
					value, life_s);

	ash_http_add_header(request->call, "Set-Cookie", header);
	ash_http_add_header(request->call, "Cache-Control", "no-store");
}

static gboolean reply_session(AshRequest *request, const char *actor, AshRole role,
		const char *scope, const char *csrf)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_text(json, "name", actor);
	ash_json_add_text(json, "role", ash_role_text(role));
	ash_json_add_string(json, "scope", scope);
	ash_json_add_text(json, "csrf", csrf);
	return ash_route_reply(request, json);
}

/* ---- log-in ---- */

typedef struct {
	AshOperator *who;
	char *cookie;
	AshOperator *session;
} LogIn;

static void log_in_clear(LogIn *log_in)
{
	ash_operator_unref(log_in->who);
	g_free(log_in->cookie);
	ash_operator_unref(log_in->session);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(LogIn, log_in_clear)

static gboolean begin(AshRequest *request, gpointer data, GError **error)
{
	LogIn *log_in = data;

	request->actor = log_in->who->actor;
	request->role = log_in->who->role;
	return ash_operator_make_session(request->db, log_in->who, ash_http_peer(request->call),
			       request->server->now(), &log_in->cookie, &log_in->session, error) &&
	       ash_route_audit(request, "session.begin", log_in->who->actor, NULL, NULL, error);
}

/* Of names alone that there are: others may be passwords that were typed into the wrong field. */
static gboolean write_refused(AshRequest *request, gpointer data, GError **error)
{
	const char *name = data;
	int64_t count = 0;
	bool is_found = false;

	if (!ash_db_query_int(request->db, "SELECT COUNT(*) FROM operator WHERE name = $1",
			    ASH_DB_VALUES(ASH_DB_T(name)), &is_found, &count, error))
		return FALSE;
	return ash_route_audit(request, "session.refused", count > 0 ? name : "(unknown name)",
			NULL, NULL, error);
}

static gboolean refuse(AshRequest *request, const char *name, int64_t wait_s, const GError *failure,
		GError **error)
{
	if (wait_s > 0) {
		ash_http_reply_later(
				request->call, 429, (unsigned) wait_s, "login", failure->message);
		return TRUE;
	}
	if (name != NULL &&
			!ash_change_run(request, write_refused, (gpointer) (uintptr_t) name, error))
		return FALSE;
	ash_http_reply_error(request->call, 401, "login", "%s", failure->message);
	return TRUE;
}

static gboolean prove(AshRequest *request, const char *name, const char *password,
		const char *token, AshOperator **out_who, int64_t *out_wait_s, GError **error)
{
	AshOperators *operators = request->server->operators;

	if (token == NULL)
		return ash_operator_prove(operators, request->db, name, password,
				ash_http_peer(request->call), out_who, out_wait_s, error);
	g_autofree char *header = g_strconcat("Bearer ", token, NULL);
	const AshOperatorProof proof = {.authorization = header};
	return ash_operator_identify(operators, request->db, &proof, out_who, error);
}

static gboolean log_in(AshRequest *request, GError **error)
{
	const char *name = NULL;
	const char *password = NULL;
	const char *token = NULL;
	g_auto(LogIn) log_in = {0};
	g_autoptr(GError) failure = NULL;
	int64_t wait_s = 0;

	if (!ash_json_text_opt(request->body, "name", &name, error) ||
			!ash_json_text_opt(request->body, "password", &password, error) ||
			!ash_json_text_opt(request->body, "token", &token, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if ((token == NULL) != (name != NULL && password != NULL))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"log in with 'name' and 'password', or with 'token'");
	if (!prove(request, name, password, token, &log_in.who, &wait_s, &failure)) {
		if (failure->domain == ASH_OPERATOR_ERROR)
			return refuse(request, name, wait_s, failure, error);
		g_propagate_error(error, g_steal_pointer(&failure));
		return ash_change_answer(error, ASH_PASSWORD_ERROR, ASH_PASSWORD_ERROR_BUSY,
				ASH_ROUTE_ERROR_BUSY);
	}
	gboolean ok = ash_change_run(request, begin, &log_in, error);
	request->actor = "";
	if (!ok)
		return FALSE;
	set_cookie(request, log_in.cookie, log_in.session->expires_at - request->server->now());
	return reply_session(request, log_in.session->actor, log_in.session->role,
			log_in.session->scope, log_in.session->csrf);
}

/* ---- the session that asks ---- */

static gboolean identify(AshRequest *request, AshOperator **out_who, GError **error)
{
	const AshOperatorProof proof = {
			.authorization = ash_http_header(request->call, "Authorization"),
			.cookie = ash_http_header(request->call, "Cookie"),
	};

	return ash_operator_identify(
			       request->server->operators, request->db, &proof, out_who, error) ||
	       ash_change_answer(error, ASH_OPERATOR_ERROR, -1, ASH_ROUTE_ERROR_FORBIDDEN);
}

static gboolean get_session(AshRequest *request, GError **error)
{
	g_autoptr(AshOperator) who = NULL;

	if (!identify(request, &who, error))
		return FALSE;
	ash_http_add_header(request->call, "Cache-Control", "no-store");
	return reply_session(request, request->actor, request->role, request->scope,
			who != NULL ? who->csrf : NULL);
}

static gboolean end(AshRequest *request, gpointer data, GError **error)
{
	const AshOperator *who = data;

	return ash_operator_end_session(request->db, who, error) &&
	       ash_route_audit(request, "session.end", request->actor, NULL, NULL, error) &&
	       ash_change_event(request, "operator.changed", "a session ended", NULL, error);
}

static gboolean log_out(AshRequest *request, GError **error)
{
	g_autoptr(AshOperator) who = NULL;

	if (!identify(request, &who, error))
		return FALSE;
	if (who == NULL || !who->is_session)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"this call has no session: it came with a token, which is revoked with "
				"POST /v1/api-tokens/{id}/revoke");
	if (!ash_change_run(request, end, who, error))
		return FALSE;
	ash_operators_forget(request->server->operators);
	set_cookie(request, "", 0);
	return ash_route_reply_empty(request);
}

/* ---- routes ---- */

static const AshRouteMember log_in_members[] = {
		{"name", "string", false, "of an operator"},
		{"password", "string", false, "with 'name'"},
		{"token", "string", false, "ID.SECRET of an API token, instead of both"},
		{0},
};

#define SESSION                                                                                    \
	"{\"name\":\"ada\",\"role\":\"operator\",\"scope\":\"\",\"csrf\":\"0123456789abcdef\"}"

const AshRoute ash_api_session_routes[] = {
		{"POST", "/v1/session", ASH_ROLE_NONE,
				"Log in: sets the cookie " ASH_OPERATOR_COOKIE
				"; 'csrf' is what changes show as " ASH_OPERATOR_CSRF_HEADER,
				log_in, .members = log_in_members, .answer = SESSION,
				.max_body_bytes = 8 << 10},
		{"GET", "/v1/session", ASH_ROLE_VIEWER, "Who is asking", get_session,
				.answer = SESSION},
		{"DELETE", "/v1/session", ASH_ROLE_VIEWER, "Log out", log_out},
		{0},
};
