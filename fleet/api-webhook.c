/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/api-webhook.h"

#include <string.h>

#include "fleet/change.h"
#include "fleet/operator.h"
#include "fleet/page.h"
#include "fleet/server.h"
#include "fleet/webhook.h"
#include "lib/error.h"
#include "lib/json.h"

enum {
	ID_DIGITS = 12,
	MAX_NOTE = 1024,
};

/* ---- reading ---- */

#define COLUMNS                                                                                    \
	"webhook.id, url, kinds, note, created_at, created_by, paused, cursor, delivered, "        \
	"last_at, (SELECT COUNT(*) FROM webhook_delivery WHERE webhook = webhook.id AND state = "  \
	"'given-up'), (SELECT MAX(attempts) FROM webhook_delivery WHERE webhook = webhook.id AND " \
	"state = 'waiting'), (SELECT MAX(next_at) FROM webhook_delivery WHERE webhook = "          \
	"webhook.id AND state = 'waiting'), (SELECT MAX(answer) FROM webhook_delivery WHERE "      \
	"webhook = webhook.id AND state = 'waiting')"

static void add_webhook(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	const char *kinds = ash_db_row_text(row, 2);
	g_autoptr(GBytes) bytes = g_bytes_new_static(kinds, strlen(kinds));
	g_autoptr(JsonNode) node = NULL;

	ash_json_add_text(json, "id", ash_db_row_text(row, 0));
	ash_json_add_text(json, "url", ash_db_row_text(row, 1));
	json_builder_set_member_name(json, "kinds");
	if (ash_json_parse(bytes, 1 << 16, 2, &node, NULL))
		json_builder_add_value(json, g_steal_pointer(&node));
	else
		json_builder_add_null_value(json);
	ash_json_add_string(json, "note", ash_db_row_text(row, 3));
	ash_json_add_int(json, "created_at", ash_db_row_int(row, 4));
	ash_json_add_text(json, "created_by", ash_db_row_text(row, 5));
	ash_json_add_string(json, "paused", ash_db_row_text(row, 6));
	ash_json_add_int(json, "cursor", ash_db_row_int(row, 7));
	ash_json_add_int(json, "delivered", ash_db_row_int(row, 8));
	ash_json_add_int(json, "last_at", ash_db_row_int(row, 9));
	ash_json_add_int(json, "given_up", ash_db_row_int(row, 10));
	/* Of what is being delivered and was refused. */
	ash_json_add_int(json, "attempts", ash_db_row_int(row, 11));
	ash_json_add_int(json, "next_at", ash_db_row_int(row, 12));
	ash_json_add_string(json, "answer", ash_db_row_text(row, 13));
}

static gboolean list_webhooks(AshRequest *request, GError **error)
{
	const AshPage page = {
			.sql = "SELECT " COLUMNS
			       " FROM webhook WHERE webhook.id > $1 ORDER BY webhook.id LIMIT $2",
			.values = ASH_DB_VALUES(ASH_DB_T(ash_route_after(request)),
					ASH_DB_I(ash_page_rows(request))),
			.add = add_webhook,
	};

	return ash_page_reply(request, &page, error);
}

static gboolean throw_missing(GError **error, const char *id)
{
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
			"there is no webhook '%.64s'", id);
}

/* @secret: told this once; NULL: not. */
static gboolean reply_webhook(
		AshRequest *request, const char *id, const char *secret, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	const AshPage page = {
			.sql = "SELECT " COLUMNS " FROM webhook WHERE webhook.id = $1",
			.values = ASH_DB_VALUES(ASH_DB_T(id)),
			.add = add_webhook,
	};
	bool is_found = false;

	json_builder_begin_object(json);
	if (!ash_page_find(request->db, &page, json, &is_found, error))
		return FALSE;
	if (!is_found)
		return throw_missing(error, id);
	ash_json_add_text(json, "secret", secret);
	ash_http_add_header(request->call, "Cache-Control", "no-store");
	return ash_route_reply(request, json);
}

static gboolean get_webhook(AshRequest *request, GError **error)
{
	return reply_webhook(request, request->parts->pdata[0], NULL, error);
}

/* ---- making ---- */

gboolean ash_api_webhook_check_url(const char *url, GError **error)
{
	g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
	const char *scheme = uri != NULL ? g_uri_get_scheme(uri) : "";
	const char *host = uri != NULL ? g_uri_get_host(uri) : NULL;

	if (strlen(url) > ASH_WEBHOOK_MAX_URL || uri == NULL || host == NULL || *host == '\0' ||
			strpbrk(host, " \"<>\\^`{|}") != NULL || g_uri_get_port(uri) == 0 ||
			(strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) ||
			g_uri_get_fragment(uri) != NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'url' is an http or https address of at most %d bytes",
				ASH_WEBHOOK_MAX_URL);
	/* It would stand in lists, logs and exports. */
	if (g_uri_get_userinfo(uri) != NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'url' holds a name or password: a receiver knows us by the signature");
	return TRUE;
}

static gboolean throw_kind(const char *kind, GError **error)
{
	g_autofree char *all = g_strjoinv(", ", (char **) (uintptr_t) ash_event_kinds);

	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
			"'kinds': there are no events '%.64s'; there are: %s; or \"rollout.*\" for all "
			"that begin so",
			kind, all);
}

gboolean ash_api_webhook_check_kinds(JsonArray *kinds, GError **error)
{
	guint count = kinds != NULL ? json_array_get_length(kinds) : 0;
	bool is_good = count <= ASH_WEBHOOK_MAX_KINDS;

	for (guint i = 0; i < count && is_good; i++) {
		JsonNode *node = json_array_get_element(kinds, i);
		is_good = JSON_NODE_HOLDS_VALUE(node) &&
			  json_node_get_value_type(node) == G_TYPE_STRING;
		if (is_good && !ash_event_has_kind(json_node_get_string(node)))
			return throw_kind(json_node_get_string(node), error);
	}
	if (is_good)
		return TRUE;
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
			"'kinds' is a list of at most %d kinds of events, like \"rollout.halted\" or "
			"\"rollout.*\"",
			ASH_WEBHOOK_MAX_KINDS);
}

/* Of the audit log and the stream: an address may hold what only its receiver is to know. */
static char *origin_of(const char *url)
{
	g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);

	return uri != NULL ? g_strdup_printf("%s://%s/…", g_uri_get_scheme(uri),
					     g_uri_get_host(uri))
			   : g_strdup("");
}

gboolean ash_api_webhook_insert(AshRequest *request, const char *url, const char *kinds,
		const char *note, char **out_id, char **out_secret, GError **error)
{
	g_autofree char *random = ash_operator_random();
	g_autofree char *id = g_strndup(random, ID_DIGITS);
	g_autofree char *secret = ash_operator_random();
	int64_t count = 0;
	int64_t last = 0;

	if (!ash_db_lock_events(request->db, error) || !ash_event_last(request->db, &last, error) ||
			!ash_db_query_int(request->db, "SELECT COUNT(*) FROM webhook", NULL, NULL,
					&count, error))
		return FALSE;
	if (count >= ASH_WEBHOOK_MAX)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"there are %d webhooks already", ASH_WEBHOOK_MAX);
	if (!ash_db_query_int(request->db, "SELECT COUNT(*) FROM webhook WHERE url = $1",
			    ASH_DB_VALUES(ASH_DB_T(url)), NULL, &count, error))
		return FALSE;
	if (count > 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"there is a webhook to this address already");
	if (!ash_db_exec(request->db,
			    "INSERT INTO webhook (id, url, secret, kinds, note, created_at, "
			    "created_by, cursor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T(url), ASH_DB_T(secret),
					    ASH_DB_T(kinds), ASH_DB_T(note),
					    ASH_DB_I(request->server->now()),
					    ASH_DB_T(request->actor), ASH_DB_I(last)),
			    NULL, error))
		return FALSE;
	g_autofree char *object = g_strconcat("webhook:", id, NULL);
	g_autofree char *origin = origin_of(url);
	g_autofree char *after = g_strdup_printf("{\"kinds\":%s,\"to\":\"%s\"}", kinds, origin);
	if (!ash_route_audit(request, "webhook.create", object, NULL, after, error))
		return FALSE;
	*out_id = g_steal_pointer(&id);
	*out_secret = g_steal_pointer(&secret);
	return TRUE;
}

typedef struct {
	const char *url, *note;
	char *kinds, *id, *secret;
} Make;

static gboolean make(AshRequest *request, gpointer data, GError **error)
{
	Make *making = data;

	return ash_api_webhook_insert(request, making->url, making->kinds, making->note,
			&making->id, &making->secret, error);
}

static gboolean make_webhook(AshRequest *request, GError **error)
{
	Make making = {0};
	JsonArray *kinds = NULL;

	if (!ash_change_text(request, "url", ASH_WEBHOOK_MAX_URL, "", &making.url, error) ||
			!ash_change_text(request, "note", MAX_NOTE, "", &making.note, error) ||
			!ash_api_webhook_check_url(making.url, error))
		return FALSE;
	if (json_object_has_member(request->body, "kinds") &&
			!ash_json_array(request->body, "kinds", &kinds, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if (!ash_api_webhook_check_kinds(kinds, error))
		return FALSE;
	g_autofree char *text = kinds != NULL ? json_to_string(json_object_get_member(request->body,
									       "kinds"),
								FALSE)
					      : g_strdup("[]");
	making.kinds = text;
	gboolean ok = ash_change_run(request, make, &making, error);
	g_autofree char *id = making.id;
	g_autofree char *secret = making.secret;
	if (!ok)
		return FALSE;
	ash_webhooks_wake(request->server->webhooks);
	return reply_webhook(request, id, secret, error);
}

/* ---- changing ---- */

typedef struct {
	const char *id, *action, *sql, *text;
	int64_t number;
	bool drops_waiting;
} Act;

static gboolean act(AshRequest *request, gpointer data, GError **error)
{
	const Act *acting = data;
	g_autofree char *object = g_strconcat("webhook:", acting->id, NULL);
	int64_t changed = 0;

	if (!ash_db_query_int(request->db, "SELECT COUNT(*) FROM webhook WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(acting->id)), NULL, &changed, error))
		return FALSE;
	if (changed == 0)
		return throw_missing(error, acting->id);
	if (acting->drops_waiting &&
			!ash_db_exec(request->db, "DELETE FROM webhook_delivery WHERE webhook = $1",
					ASH_DB_VALUES(ASH_DB_T(acting->id)), NULL, error))
		return FALSE;
	/* Both databases are told the type of each parameter by its use. */
	return ash_db_query_text(request->db, acting->sql,
			       acting->text != NULL  ? ASH_DB_VALUES(ASH_DB_T(acting->id),
								       ASH_DB_T(acting->text))
			       : acting->number >= 0 ? ASH_DB_VALUES(ASH_DB_T(acting->id),
								       ASH_DB_I(acting->number))
						     : ASH_DB_VALUES(ASH_DB_T(acting->id)),
			       NULL, NULL, error) &&
	       ash_route_audit(request, acting->action, object, NULL, NULL, error);
}

static gboolean run_act(AshRequest *request, const Act *acting, GError **error)
{
	if (!ash_change_run(request, act, (gpointer) (uintptr_t) acting, error))
		return FALSE;
	ash_webhooks_wake(request->server->webhooks);
	return TRUE;
}

static gboolean delete_webhook(AshRequest *request, GError **error)
{
	const Act acting = {
			.id = request->parts->pdata[0],
			.action = "webhook.remove",
			.sql = "DELETE FROM webhook WHERE id = $1",
			.number = -1,
			.drops_waiting = true,
	};

	return run_act(request, &acting, error) && ash_route_reply_empty(request);
}

static gboolean pause_webhook(AshRequest *request, GError **error)
{
	const Act acting = {
			.id = request->parts->pdata[0],
			.action = "webhook.pause",
			.sql = "UPDATE webhook SET paused = $2 WHERE id = $1",
			.text = *request->reason != '\0' ? request->reason : "by an operator",
	};

	return run_act(request, &acting, error) && reply_webhook(request, acting.id, NULL, error);
}

static gboolean resume_webhook(AshRequest *request, GError **error)
{
	const Act acting = {
			.id = request->parts->pdata[0],
			.action = "webhook.resume",
			.sql = "UPDATE webhook SET paused = $2 WHERE id = $1",
			.text = "",
	};

	return run_act(request, &acting, error) && reply_webhook(request, acting.id, NULL, error);
}

/* What happens next is delivered in any case: from there on nothing would be, for a long time and without a word. */
static gboolean check_from(AshRequest *request, int64_t from, GError **error)
{
	int64_t last = 0;

	if (!ash_event_last(request->db, &last, error))
		return FALSE;
	if (from <= last)
		return TRUE;
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
			"'from': there is no event %" G_GINT64_FORMAT
			" yet; the last is %" G_GINT64_FORMAT,
			from, last);
}

static gboolean replay_webhook(AshRequest *request, GError **error)
{
	int64_t from = 0;

	if (!ash_change_number(request, "from", G_MAXINT64 - 1, 1, &from, error) ||
			!check_from(request, from, error))
		return FALSE;
	const Act acting = {
			.id = request->parts->pdata[0],
			.action = "webhook.replay",
			.sql = "UPDATE webhook SET cursor = $2 WHERE id = $1",
			.number = MAX(from - 1, 0),
			.drops_waiting = true,
	};
	return run_act(request, &acting, error) && reply_webhook(request, acting.id, NULL, error);
}

/* ---- routes ---- */

static const AshRouteMember make_members[] = {
		{"url", "string", true, "http or https, without name and password"},
		{"kinds", "array", false,
				"of events: \"rollout.halted\", \"rollout.*\"; [] (default): all"},
		{"note", "string", false, "at most 1024 bytes"},
		{0},
};
static const AshRouteMember replay_members[] = {
		{"from", "integer", true, "'seq' of the first event to be delivered again"}, {0}};

#define WEBHOOK                                                                                    \
	"\"id\":\"0123456789ab\",\"url\":\"https://hooks.example/fleet\",\"kinds\":["              \
	"\"rollout.*\"],\"note\":\"\",\"created_at\":1,\"created_by\":\"ada\",\"paused\":\"\","    \
	"\"cursor\":1,\"delivered\":0,\"last_at\":0,\"given_up\":0,\"attempts\":0,\"next_at\":0,"  \
	"\"answer\":\"\""

const AshRoute ash_api_webhook_routes[] = {
		{"GET", "/v1/webhooks", ASH_ROLE_ADMIN, "Webhooks, without their secrets",
				list_webhooks, .answer = "{\"items\":[{" WEBHOOK "}]}"},
		{"POST", "/v1/webhooks", ASH_ROLE_ADMIN,
				"Tell events to another program; the secret that signs is told this once",
				make_webhook, .members = make_members,
				.answer = "{" WEBHOOK ",\"secret\":\"…\"}"},
		{"GET", "/v1/webhooks/{id}", ASH_ROLE_ADMIN, "One webhook", get_webhook,
				.answer = "{" WEBHOOK "}"},
		{"DELETE", "/v1/webhooks/{id}", ASH_ROLE_ADMIN, "Remove a webhook", delete_webhook},
		{"POST", "/v1/webhooks/{id}/pause", ASH_ROLE_ADMIN,
				"Deliver nothing until it is resumed", pause_webhook,
				.answer = "{" WEBHOOK "}"},
		{"POST", "/v1/webhooks/{id}/resume", ASH_ROLE_ADMIN, "Go on where it was",
				resume_webhook, .answer = "{" WEBHOOK "}"},
		{"POST", "/v1/webhooks/{id}/replay", ASH_ROLE_ADMIN,
				"Deliver everything again from one event on", replay_webhook,
				.members = replay_members, .answer = "{" WEBHOOK "}"},
		{0},
};
