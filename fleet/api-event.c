/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/api-event.h"

#include <string.h>

#include "fleet/change.h"
#include "fleet/scope.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* What happened, in pages. The same as it happens is in api-stream.c. */

enum {
	MAX_SCANNED = 20000, /* rows for one page, when most are of hosts that may not be seen */
};

void ash_api_event_add(JsonBuilder *json, const AshEvent *event, const char *name)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(event->data, strlen(event->data));
	g_autoptr(JsonNode) node = NULL;

	ash_json_add_int(json, "seq", event->seq);
	ash_json_add_int(json, "at", event->at_s);
	ash_json_add_string(json, "kind", event->kind);
	ash_json_add_string(json, "host", event->host);
	ash_json_add_string(json, "host_name", name);
	ash_json_add_string(json, "rollout", event->rollout);
	ash_json_add_string(json, "actor", event->actor);
	ash_json_add_string(json, "text", event->text);
	json_builder_set_member_name(json, "data");
	if (ash_json_parse(bytes, 1 << 20, 16, &node, NULL) && JSON_NODE_HOLDS_OBJECT(node)) {
		json_builder_add_value(json, g_steal_pointer(&node));
	} else {
		json_builder_begin_object(json);
		json_builder_end_object(json);
	}
}

const char *ash_api_event_host_name(AshLive *live, const char *id, AshHost *out_host)
{
	uint8_t bytes[ASH_HOST_ID_BYTES];

	if (*id == '\0' || !ash_host_id_parse(id, bytes) || !ash_live_get(live, bytes, out_host))
		return "";
	return out_host->name;
}

/* ---- a page ---- */

typedef struct {
	AshRequest *request;
	AshScope scope;
	JsonBuilder *json;
	int64_t limit, count, scanned, last;
	bool is_more;
} Page;

static bool may_see(const Page *page, const AshEvent *event, const AshHost *host, bool is_known)
{
	/* Who may what is admins' business. */
	if (strcmp(event->kind, "operator.changed") == 0)
		return page->request->role == ASH_ROLE_ADMIN;
	return *event->host == '\0' || page->scope.selector == NULL ||
	       (is_known && ash_scope_has(&page->scope, host));
}

static gboolean take_event(const AshDbRow *row, gpointer data, GError **error)
{
	Page *page = data;
	g_auto(AshHost) host = {0};
	AshEvent event = {
			.seq = ash_db_row_int(row, 0),
			.at_s = ash_db_row_int(row, 1),
			.kind = ash_db_row_text(row, 2),
			.host = ash_db_row_text(row, 3),
			.rollout = ash_db_row_text(row, 4),
			.actor = ash_db_row_text(row, 5),
			.text = ash_db_row_text(row, 6),
			.data = ash_db_row_text(row, 7),
	};

	page->scanned++;
	if (page->count == page->limit) {
		page->is_more = true;
		return TRUE;
	}
	const char *name = ash_api_event_host_name(page->request->server->live, event.host, &host);
	bool is_known = host.name != NULL;
	if (may_see(page, &event, &host, is_known)) {
		json_builder_begin_object(page->json);
		ash_api_event_add(page->json, &event, name);
		json_builder_end_object(page->json);
		page->count++;
	}
	page->last = event.seq;
	return TRUE;
}

/* "rollout.*" is all that begins so. */
static char *prefix_of(const char *kind)
{
	return g_str_has_suffix(kind, ".*") ? g_strndup(kind, strlen(kind) - 1) : NULL;
}

static gboolean read_rows(AshRequest *request, Page *page, bool is_new, int64_t after,
		int64_t limit, GError **error)
{
	const char *kind = ash_http_argument(request->call, "kind");
	const char *host = ash_http_argument(request->call, "host");
	const char *rollout = ash_http_argument(request->call, "rollout");
	g_autofree char *prefix = kind != NULL ? prefix_of(kind) : NULL;
	g_autoptr(GString) sql = g_string_new(
			"SELECT seq, at, kind, host, rollout, actor, text, data FROM event WHERE ");

	g_string_append(sql, is_new ? "seq < $1" : "seq > $1");
	/* Each parameter is used, so that both databases know its type. */
	g_string_append(sql, host != NULL ? " AND host = $2" : " AND $2 = ''");
	g_string_append(sql, rollout != NULL ? " AND rollout = $3" : " AND $3 = ''");
	g_string_append(sql, prefix != NULL ? " AND substr(kind, 1, length($4)) = $4"
			     : kind != NULL ? " AND kind = $4"
					    : " AND $4 = ''");
	g_string_append(sql, is_new ? " ORDER BY seq DESC LIMIT $5" : " ORDER BY seq LIMIT $5");
	return ash_db_query_text(request->db, sql->str,
			ASH_DB_VALUES(ASH_DB_I(after), ASH_DB_T(host != NULL ? host : ""),
					ASH_DB_T(rollout != NULL ? rollout : ""),
					ASH_DB_T(prefix != NULL        ? prefix
							: kind != NULL ? kind
								       : ""),
					ASH_DB_I(limit)),
			take_event, page, error);
}

static gboolean fill(AshRequest *request, Page *page, bool is_new, int64_t after, GError **error)
{
	int64_t want = page->limit + 1;

	page->last = after;
	for (;;) {
		int64_t before = page->scanned;
		if (!read_rows(request, page, is_new, page->last, want, error))
			return FALSE;
		if (page->is_more || page->scanned - before < want)
			return TRUE;
		if (page->scanned >= MAX_SCANNED) {
			page->is_more = true;
			return TRUE;
		}
	}
}

static gboolean read_order(AshRequest *request, bool *out_is_new, GError **error)
{
	const char *order = ash_http_argument(request->call, "order");

	if (order != NULL && strcmp(order, "new") != 0 && strcmp(order, "old") != 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'order' is new (the newest first) or old");
	*out_is_new = order == NULL || strcmp(order, "new") == 0;
	return TRUE;
}

static gboolean list_events(AshRequest *request, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	Page page = {.request = request, .json = json, .limit = ash_route_limit(request)};
	int64_t after = 0;
	bool is_new = true;

	if (!read_order(request, &is_new, error) ||
			!ash_change_parse(ash_route_after(request), is_new ? G_MAXINT64 : 0, &after,
					error) ||
			!ash_scope_init(request, &page.scope, error))
		return FALSE;
	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	gboolean ok = fill(request, &page, is_new, after, error);
	ash_scope_clear(&page.scope);
	json_builder_end_array(json);
	if (page.is_more) {
		g_autofree char *next = g_strdup_printf("%" G_GINT64_FORMAT, page.last);
		ash_json_add_text(json, "next", next);
	}
	return ok && ash_route_reply(request, json);
}

/* ---- routes ---- */

static const AshRouteMember arguments[] = {
		{"kind", "string", false, "host.report, or rollout.* for all that begin so"},
		{"host", "string", false, "its whole id"},
		{"rollout", "string", false, "its id"},
		{"order", "string", false, "new (default): the newest first; or old"},
		{0},
};

const AshRoute ash_api_event_routes[] = {
		{"GET", "/v1/events", ASH_ROLE_VIEWER, "What happened", list_events,
				.arguments = arguments,
				.answer = "{\"items\":[{\"seq\":1,\"at\":1,\"kind\":\"host.joined\","
					  "\"host\":\"…\",\"host_name\":\"web1\",\"rollout\":\"\","
					  "\"actor\":\"\",\"text\":\"…\",\"data\":{}}],\"next\":\"1\"}"},
		{0},
};
