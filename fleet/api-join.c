/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/ca.h"
#include "fleet/change.h"
#include "fleet/checkin.h"
#include "fleet/join.h"
#include "fleet/server.h"
#include "fleet/token.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/x509.h"

/* ---- hosts come and renew: lib/checkin.h ---- */

static AshJoinPlace place_of(AshRequest *request)
{
	const AshFleetConfig *config = request->server->config;

	return (AshJoinPlace){.ca = request->server->ca,
			.address = ash_http_peer(request->call),
			.now_s = request->server->now(),
			.life_s = config->certificate_life_s,
			.max_hosts = config->max_hosts};
}

/* What the host made wrong, or may not, in the words of lib/checkin.h; FALSE: none of these, @error is as it was. */
static bool answer_refusal(AshRequest *request, const GError *error)
{
	static const struct {
		AshJoinError code;
		unsigned status;
		const char *kind;
	} refusals[] = {
			{ASH_JOIN_ERROR_REQUEST, 400, "request"},
			{ASH_JOIN_ERROR_TOKEN, 403, "token"},
			{ASH_JOIN_ERROR_RETIRED, 403, "retired"},
			{ASH_JOIN_ERROR_HELD, 403, "held"},
			{ASH_JOIN_ERROR_KEY, 403, "key"},
			{ASH_JOIN_ERROR_FULL, 403, "full"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++)
		if (g_error_matches(error, ASH_JOIN_ERROR, (int) refusals[i].code)) {
			ash_http_reply_error(request->call, refusals[i].status, refusals[i].kind,
					"%s", error->message);
			return true;
		}
	bool is_request = error->domain == ASH_JSON_ERROR || error->domain == ASH_PAIRS_ERROR ||
			  (error->domain == ASH_X509_ERROR && error->code != ASH_X509_ERROR_FAILED);
	if (is_request)
		ash_http_reply_error(request->call, 400, "request", "%s", error->message);
	return is_request;
}

static gboolean answer_or_fail(AshRequest *request, GError *take_error, GError **error)
{
	if (!answer_refusal(request, take_error)) {
		g_propagate_error(error, take_error);
		return FALSE;
	}
	g_error_free(take_error);
	return TRUE;
}

typedef struct {
	const AshJoin *join;
	AshJoinPlace place;
	AshJoinResult result;
} Joining;

static gboolean run_join(AshRequest *request, gpointer data, GError **error)
{
	Joining *joining = data;

	return ash_join_run(request->db, joining->join, &joining->place, &joining->result, error);
}

static gboolean answer_join(AshRequest *request, const AshJoin *join, const AshJoinResult *result)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_text(json, "id", join->id);
	if (result->is_pending) {
		ash_json_add_text(json, "state", "pending");
		ash_json_add_int(json, "next", ASH_JOIN_PENDING_S);
	} else {
		ash_json_add_text(json, "certificate", result->certificate);
		ash_json_add_text(json, "ca", ash_ca_certificate(request->server->ca));
	}
	json_builder_end_object(json);
	ash_http_reply_json(request->call, result->is_pending ? 202 : 200,
			ash_json_format(json, false));
	return TRUE;
}

static gboolean join_fleet(AshRequest *request, GError **error)
{
	g_auto(AshJoin) join = {0};
	Joining joining = {.join = &join, .place = place_of(request)};
	GError *local = NULL;

	if (!ash_join_parse(request->body, &join, &local) ||
			!ash_change_run(request, run_join, &joining, &local) ||
			!ash_live_reload(request->server->live, request->db, join.id, &local)) {
		ash_join_result_clear(&joining.result);
		return answer_or_fail(request, local, error);
	}
	answer_join(request, &join, &joining.result);
	ash_join_result_clear(&joining.result);
	return TRUE;
}

typedef struct {
	const char *csr;
	AshJoinPlace place;
	char *certificate;
} Renewal;

static gboolean run_renewal(AshRequest *request, gpointer data, GError **error)
{
	Renewal *renewal = data;

	return ash_join_renew(request->db, request->actor, renewal->csr, &renewal->place,
			&renewal->certificate, error);
}

static gboolean renew(AshRequest *request, GError **error)
{
	Renewal renewal = {.place = place_of(request)};
	GError *local = NULL;

	if (!ash_json_text(request->body, "csr", &renewal.csr, &local) ||
			!ash_change_run(request, run_renewal, &renewal, &local)) {
		g_free(renewal.certificate);
		return answer_or_fail(request, local, error);
	}
	g_autofree char *certificate = renewal.certificate;
	g_autoptr(JsonBuilder) json = json_builder_new();
	json_builder_begin_object(json);
	ash_json_add_text(json, "certificate", certificate);
	ash_json_add_text(json, "ca", ash_ca_certificate(request->server->ca));
	return ash_route_reply(request, json);
}

static gboolean get_ca(AshRequest *request, GError **error)
{
	const char *pem = ash_ca_certificate(request->server->ca);

	ash_http_reply(request->call, 200, "application/x-pem-file", g_bytes_new(pem, strlen(pem)));
	return TRUE;
}

/* ---- tokens ---- */

static gboolean list_tokens(AshRequest *request, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *next = NULL;

	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	if (!ash_token_list(request->db, ash_route_after(request), ash_route_limit(request), json,
			    &next, error))
		return FALSE;
	json_builder_end_array(json);
	ash_json_add_text(json, "next", next);
	return ash_route_reply(request, json);
}

static gboolean describe(AshRequest *request, const char *id, const char *secret, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	bool is_found = false;

	json_builder_begin_object(json);
	if (!ash_token_describe(request->db, id, json, &is_found, error))
		return FALSE;
	if (!is_found)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no join token '%s'", id);
	ash_json_add_text(json, "secret", secret);
	return ash_route_reply(request, json);
}

static gboolean get_token(AshRequest *request, GError **error)
{
	return describe(request, request->parts->pdata[0], NULL, error);
}

typedef struct {
	AshToken token;
	char *labels, *id, *secret;
} Making;

static gboolean parse_labels(AshRequest *request, char **out_labels, GError **error)
{
	JsonObject *labels = NULL;
	AshPair *pairs = NULL;
	uint32_t count = 0;

	if (json_object_has_member(request->body, "labels") &&
			(!ash_json_object(request->body, "labels", &labels, error) ||
					!ash_pairs_from_object(labels, ASH_LIVE_MAX_LABELS,
							ASH_LIVE_MAX_LABEL_BYTES, &pairs, &count,
							error))) {
		ash_change_answer(error, ASH_PAIRS_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	}
	*out_labels = ash_pairs_format(pairs, count);
	ash_pairs_unref(pairs, count);
	return TRUE;
}

static gboolean parse_token(AshRequest *request, Making *making, GError **error)
{
	int64_t expires_in = 0;
	AshToken *token = &making->token;
	int64_t uses = json_object_get_int_member_with_default(request->body, "uses", 1);

	token->created_by = request->actor;
	if (!ash_change_text(request, "note", ASH_TOKEN_MAX_NOTE, "", &token->note, error) ||
			!ash_change_number(request, "expires_in", INT64_C(100) * 366 * 86400, 0,
					&expires_in, error) ||
			!parse_labels(request, &making->labels, error))
		return FALSE;
	if (uses != -1 && (uses < 1 || uses > ASH_TOKEN_MAX_USES))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'uses' is 1 to %d, or -1 for any number", ASH_TOKEN_MAX_USES);
	token->uses = uses;
	token->labels = making->labels;
	token->expires_at = expires_in > 0 ? request->server->now() + expires_in : 0;
	return ash_json_bool_opt(request->body, "needs_approval", &token->needs_approval, error) ||
	       ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
}

static gboolean make(AshRequest *request, gpointer data, GError **error)
{
	Making *making = data;

	if (!ash_token_make(request->db, &making->token, request->server->now(), &making->id,
			    &making->secret, error))
		return FALSE;
	g_autofree char *after = g_strdup_printf("{\"uses\":%" G_GINT64_FORMAT
						 ",\"expires_at\":%" G_GINT64_FORMAT
						 ",\"needs_approval\":%s,\"labels\":%s}",
			making->token.uses, making->token.expires_at,
			making->token.needs_approval ? "true" : "false", making->labels);
	return ash_route_audit(request, "token.make", making->id, NULL, after, error);
}

static gboolean make_token(AshRequest *request, GError **error)
{
	Making making = {0};
	gboolean ok = parse_token(request, &making, error) &&
		      ash_change_run(request, make, &making, error) &&
		      describe(request, making.id, making.secret, error);

	g_free(making.labels);
	g_free(making.id);
	g_free(making.secret);
	return ok;
}

static gboolean end_token(AshRequest *request, gpointer data, GError **error)
{
	const char *id = data;

	if (!ash_token_revoke(request->db, id, request->server->now(), error))
		return ash_change_answer(error, ASH_TOKEN_ERROR, ASH_TOKEN_ERROR_NOT_FOUND,
				ASH_ROUTE_ERROR_NOT_FOUND);
	return ash_route_audit(request, "token.revoke", id, NULL, NULL, error);
}

static gboolean revoke_token(AshRequest *request, GError **error)
{
	return ash_change_run(request, end_token, request->parts->pdata[0], error) &&
	       ash_route_reply_empty(request);
}

/* ---- routes ---- */

static const AshRouteMember token_members[] = {
		{"note", "string", false, "what it is for; at most 1024 bytes"},
		{"labels", "object", false, "what its hosts get: texts by key"},
		{"uses", "integer", false, "how many hosts; -1 any number; default 1"},
		{"expires_in", "integer", false, "seconds; 0 (default): never"},
		{"needs_approval", "boolean", false,
				"its hosts wait for an operator; default false"},
		{0},
};

static const AshRouteMember join_members[] = {
		{"token", "string", false, "ID.SECRET; not for a key that is known"},
		{"csr", "string", true, "PEM; ECDSA P-256; its names are ignored"},
		{"name", "string", true, "the hostname"},
		{"instance", "string", true, "32 hexadecimal digits, kept beside the key"},
		{"facts", "object", false, "as in a check-in"},
		{0},
};

static const AshRouteMember renew_members[] = {
		{"csr", "string", true, "PEM, of the same key"},
		{0},
};

static const AshRouteMember checkin_members[] = {
		{"seq", "integer", true, "larger than any that was answered"},
		{"instance", "string", true, "32 hexadecimal digits, kept beside the key"},
		{"boot", "string", true, "boot id"},
		{"wait", "integer", false, "seconds, 0 to 300: willing to be answered so late"},
		{"have", "integer", false, "'desired' of the answer that was taken in last"},
		{"state", "object", false, "when it changed"},
		{"health", "object", false, "when it changed"},
		{"facts", "object", false, "when they changed"},
		{"events", "array", false, "oldest first, at most 100"},
		{"orders", "array", false, "that have ended: id, ok, text"},
		{"journal", "object", false, "after a failed update: version, at, text"},
		{0},
};

#define TOKEN                                                                                      \
	"\"id\":\"0123456789abcdef\",\"note\":\"rack 7\",\"labels\":{\"site\":\"bern\"},"          \
	"\"uses_left\":9,\"uses\":1,\"expires_at\":0,\"needs_approval\":false,\"created_at\":1,"   \
	"\"created_by\":\"ada\",\"revoked_at\":0"

const AshRoute ash_api_join_routes[] = {
		{"POST", "/v1/join", ASH_ROLE_NONE, "A host joins; 202: it waits for approval",
				join_fleet, .members = join_members, .is_open_body = true,
				.answer = "{\"id\":\"…\",\"certificate\":\"PEM\",\"ca\":\"PEM\"}"},
		{"POST", "/v1/renew", ASH_ROLE_HOST, "A host's next certificate", renew,
				.members = renew_members, .is_open_body = true, .takes_held = true,
				.answer = "{\"certificate\":\"PEM\",\"ca\":\"PEM\"}"},
		{"POST", "/v1/checkin", ASH_ROLE_HOST,
				"A host says how it is, and is told what is wanted of it",
				ash_checkin_run, .members = checkin_members,
				.answer = "{\"seq\":2,\"event\":1,\"need\":[],\"next\":300,\"desired\":0}",
				.max_body_bytes = 256 << 10, .is_direct = true,
				.is_open_body = true, .takes_held = true},
		{"GET", "/v1/ca", ASH_ROLE_NONE, "The certificate of the fleet's authority, PEM",
				get_ca, .is_direct = true},
		{"GET", "/v1/tokens", ASH_ROLE_ADMIN, "Join tokens, without their secrets",
				list_tokens, .answer = "{\"items\":[{" TOKEN "}]}"},
		{"POST", "/v1/tokens", ASH_ROLE_ADMIN,
				"Make a join token; its secret is told this once", make_token,
				.members = token_members,
				.answer = "{" TOKEN ",\"secret\":\"0123456789abcdef.…\"}"},
		{"GET", "/v1/tokens/{id}", ASH_ROLE_ADMIN, "One join token", get_token,
				.answer = "{" TOKEN "}"},
		{"POST", "/v1/tokens/{id}/revoke", ASH_ROLE_ADMIN,
				"Nobody joins by it any more; those who did stay", revoke_token},
		{0},
};
