/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/api-host.h"

#include <string.h>

#include "fleet/api-event.h"
#include "fleet/change.h"
#include "fleet/desired.h"
#include "fleet/host-list.h"
#include "fleet/host.h"
#include "fleet/page.h"
#include "fleet/scheduler.h"
#include "fleet/server.h"
#include "lib/checkin.h"
#include "lib/error.h"
#include "lib/json.h"

/* Hosts, as they are: lists out of memory, one of them with what the database has. */

enum {
	MAX_SHOWN_ORDERS = 50,
	MAX_GROUPS = 1000,
	MAX_HISTORY_EVENTS = 2000, /* that are looked at for updates */
};

/* ---- which ---- */

static bool may_know(const char *id, gpointer data)
{
	return ash_route_may_host(data, id);
}

gboolean ash_api_host_id(AshRequest *request, const char **out_id, GError **error)
{
	char *id = NULL;

	if (!ash_host_resolve_among(request->db, ash_route_part(request, 0), may_know, request, &id,
			    error)) {
		ash_change_answer(error, ASH_HOST_ERROR, ASH_HOST_ERROR_AMBIGUOUS,
				ASH_ROUTE_ERROR_CONFLICT);
		return ash_change_answer(error, ASH_HOST_ERROR, -1, ASH_ROUTE_ERROR_NOT_FOUND);
	}
	*out_id = ash_route_keep(request, id);
	return TRUE;
}

gboolean ash_api_host_selectors(AshRequest *request, const char *text, AshSelector **out_selector,
		AshSelector **out_scope, GError **error)
{
	g_autoptr(AshSelector) selector = NULL;

	if (!ash_selector_parse(text, &selector, error))
		return ash_change_answer(error, ASH_SELECTOR_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if (!ash_selector_parse(request->scope, out_scope, error))
		return FALSE;
	*out_selector = g_steal_pointer(&selector);
	return TRUE;
}

/* ---- what of one ---- */

static void add_pairs(JsonBuilder *json, const char *key, const AshPair *pairs, uint32_t count)
{
	ash_json_begin_object(json, key);
	for (uint32_t i = 0; i < count; i++)
		ash_json_add_string(json, pairs[i].key, pairs[i].value);
	json_builder_end_object(json);
}

void ash_api_host_add(JsonBuilder *json, const AshHost *host, const char *reason)
{
	char id[65];
	const char *channel = ash_pairs_get(host->labels, host->label_count, "channel");

	ash_host_id_format(host->id, id);
	ash_json_add_string(json, "id", id);
	ash_json_add_string(json, "name", host->name);
	ash_json_add_string(json, "state", ash_host_state_text(host->state));
	ash_json_add_string(json, "reason", reason);
	ash_json_add_string(json, "health", ash_health_text(host->health));
	ash_json_add_int(json, "health_since", host->health_since_s);
	ash_json_add_int(json, "seen", host->last_seen_s);
	ash_json_add_string(json, "version", host->version);
	ash_json_add_string(json, "commit", host->commit);
	ash_json_add_string(json, "image", host->image);
	ash_json_add_string(json, "variant", host->variant);
	ash_json_add_string(json, "arch", host->arch);
	ash_json_add_string(json, "agent_state", host->agent_state);
	ash_json_add_string(json, "verdict", host->verdict);
	add_pairs(json, "labels", host->labels, host->label_count);
	ash_json_add_string(json, "channel", channel != NULL ? channel : "");
	ash_json_add_int(json, "release", host->release);
	ash_json_add_string(json, "rollout", host->rollout);
	ash_json_add_int(json, "open_orders", host->open_orders);
	ash_json_add_int(json, "enrolled", host->enrolled_s);
}

/* Memory has no reasons: few hosts have one. */
static gboolean add_host(
		AshRequest *request, JsonBuilder *json, const AshHost *host, GError **error)
{
	g_autofree char *reason = NULL;
	char id[65];

	ash_host_id_format(host->id, id);
	if (host->state != ASH_HOST_ACTIVE &&
			!ash_db_query_string(request->db, "SELECT reason FROM host WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(id)), &reason, error))
		return FALSE;
	ash_api_host_add(json, host, reason != NULL ? reason : "");
	return TRUE;
}

/* ---- many ---- */

static gboolean list_hosts(AshRequest *request, GError **error)
{
	g_autoptr(AshSelector) selector = NULL;
	g_autoptr(AshSelector) scope = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autoptr(GArray) hosts = NULL;
	g_autofree char *next = NULL;

	if (!ash_api_host_selectors(request, ash_route_argument(request, "selector"), &selector,
			    &scope, error))
		return FALSE;
	const AshHostQuery query = {.selector = selector,
			.scope = scope,
			.sort = ash_route_argument(request, "sort"),
			.after = ash_route_after(request),
			.limit = (unsigned) ash_route_limit(request),
			.now_s = request->server->now()};
	if (!ash_host_list(request->server->live, &query, &hosts, &next, error))
		return ash_change_answer(error, ASH_HOST_LIST_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	for (guint i = 0; i < hosts->len; i++) {
		json_builder_begin_object(json);
		if (!add_host(request, json, &g_array_index(hosts, AshHost, i), error))
			return FALSE;
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	ash_json_add_text(json, "next", next);
	return ash_route_reply(request, json);
}

typedef struct {
	AshHostQuery query;
	AshSelectorKey *key; /* NULL: only count */
	GHashTable *groups;  /* value → count */
	int64_t count, without;
} Count;

static bool count_host(const AshHost *host, gpointer data)
{
	Count *count = data;
	char buffer[ASH_SELECTOR_KEY_BYTES];

	if (!ash_selector_matches(count->query.scope, host, count->query.now_s) ||
			!ash_selector_matches(count->query.selector, host, count->query.now_s))
		return true;
	count->count++;
	if (count->key == NULL)
		return true;
	const char *value = ash_selector_key_value(count->key, host, count->query.now_s, buffer);
	int64_t *number = value != NULL ? g_hash_table_lookup(count->groups, value) : NULL;
	if (number != NULL)
		++*number;
	else if (value == NULL || g_hash_table_size(count->groups) >= MAX_GROUPS)
		count->without++;
	else {
		number = g_new(int64_t, 1);
		*number = 1;
		g_hash_table_insert(count->groups, g_strdup(value), number);
	}
	return true;
}

static void add_group(JsonBuilder *json, const char *value, int64_t number)
{
	json_builder_begin_object(json);
	ash_json_add_string(json, "value", value);
	ash_json_add_int(json, "count", number);
	json_builder_end_object(json);
}

static void add_groups(JsonBuilder *json, const Count *count)
{
	GHashTableIter iter;
	gpointer value;
	gpointer number;

	ash_json_begin_array(json, "groups");
	g_hash_table_iter_init(&iter, count->groups);
	while (g_hash_table_iter_next(&iter, &value, &number))
		add_group(json, value, *(int64_t *) number);
	if (count->without > 0)
		add_group(json, "", count->without);
	json_builder_end_array(json);
}

static gboolean count_hosts(AshRequest *request, GError **error)
{
	g_autoptr(AshSelector) selector = NULL;
	g_autoptr(AshSelector) scope = NULL;
	g_autoptr(AshSelectorKey) key = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autoptr(GHashTable) groups =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	const char *by = ash_route_argument(request, "by");

	if (!ash_api_host_selectors(request, ash_route_argument(request, "selector"), &selector,
			    &scope, error))
		return FALSE;
	if (by[0] != '\0' && !ash_selector_key_parse(by, &key, error))
		return ash_change_answer(error, ASH_SELECTOR_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	Count count = {.query = {.selector = selector,
				       .scope = scope,
				       .now_s = request->server->now()},
			.key = key,
			.groups = groups};
	ash_live_each(request->server->live, count_host, &count);
	json_builder_begin_object(json);
	ash_json_add_int(json, "count", count.count);
	add_groups(json, &count);
	return ash_route_reply(request, json);
}

/* ---- one ---- */

/* A document of the table, or {}. */
static void add_document(JsonBuilder *json, const char *key, const char *text)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	JsonNode *node = NULL;

	json_builder_set_member_name(json, key);
	if (ash_json_parse(bytes, ASH_CHECKIN_MAX_BYTES, ASH_CHECKIN_MAX_DEPTH, &node, NULL)) {
		json_builder_add_value(json, node);
	} else {
		json_builder_begin_object(json);
		json_builder_end_object(json);
	}
}

static gboolean add_row(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;

	add_document(json, "report", ash_db_row_text(row, 0));
	add_document(json, "health_report", ash_db_row_text(row, 1));
	ash_json_add_string(json, "address", ash_db_row_text(row, 2));
	ash_json_add_string(json, "token", ash_db_row_text(row, 3));
	return TRUE;
}

static gboolean add_certificate(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;

	ash_json_begin_object(json, "certificate");
	ash_json_add_string(json, "serial", ash_db_row_text(row, 0));
	ash_json_add_int(json, "not_after", ash_db_row_int(row, 1));
	json_builder_end_object(json);
	return TRUE;
}

static gboolean add_order(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;

	json_builder_begin_object(json);
	ash_json_add_int(json, "id", ash_db_row_int(row, 0));
	ash_json_add_string(json, "verb", ash_db_row_text(row, 1));
	ash_json_add_string(json, "argument", ash_db_row_text(row, 2));
	ash_json_add_string(json, "state", ash_db_row_text(row, 3));
	ash_json_add_int(json, "created_at", ash_db_row_int(row, 4));
	ash_json_add_string(json, "created_by", ash_db_row_text(row, 5));
	ash_json_add_string(json, "result", ash_db_row_text(row, 6));
	ash_json_add_int(json, "ended_at", ash_db_row_int(row, 7));
	json_builder_end_object(json);
	return TRUE;
}

static gboolean add_rollout(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;

	json_builder_begin_object(json);
	ash_json_add_string(json, "rollout", ash_db_row_text(row, 0));
	ash_json_add_string(json, "outcome", ash_db_row_text(row, 1));
	ash_json_add_int(json, "ring", ash_db_row_int(row, 2));
	ash_json_add_int(json, "since", ash_db_row_int(row, 3));
	ash_json_add_string(json, "reason", ash_db_row_text(row, 4));
	ash_json_add_string(json, "version", ash_db_row_text(row, 5));
	json_builder_end_object(json);
	return TRUE;
}

static gboolean add_release(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;

	ash_json_add_int(json, "id", ash_db_row_int(row, 0));
	ash_json_add_string(json, "name", ash_db_row_text(row, 1));
	ash_json_add_string(json, "variant", ash_db_row_text(row, 2));
	ash_json_add_string(json, "arch", ash_db_row_text(row, 3));
	ash_json_add_string(json, "version", ash_db_row_text(row, 4));
	ash_json_add_string(json, "commit", ash_db_row_text(row, 5));
	return TRUE;
}

static gboolean add_desired(
		AshRequest *request, JsonBuilder *json, const AshHost *host, GError **error)
{
	ash_json_begin_object(json, "desired");
	json_builder_set_member_name(json, "release");
	if (host->release == 0) {
		json_builder_add_null_value(json);
	} else {
		json_builder_begin_object(json);
		if (!ash_db_query(request->db,
				    "SELECT id, name, variant, arch, version, \"commit\" FROM release "
				    "WHERE id = $1",
				    ASH_DB_VALUES(ASH_DB_I(host->release)), add_release, json,
				    error))
			return FALSE;
		json_builder_end_object(json);
	}
	ash_json_add_string(json, "verb", host->verb);
	ash_json_add_string(json, "rollout", host->rollout);
	json_builder_end_object(json);
	return TRUE;
}

static void add_policy(AshRequest *request, JsonBuilder *json, const AshHost *host)
{
	AshServer *server = request->server;
	AshDesiredWhen when = {.policy = ""};
	g_autoptr(AshDesiredBook) book =
			server->scheduler != NULL ? ash_scheduler_book(server->scheduler) : NULL;

	if (book != NULL)
		ash_desired_when(book, host, host->rollout, server->now(), &when);
	ash_json_begin_array(json, "windows");
	for (size_t i = 0; when.windows != NULL && when.windows[i] != NULL; i++)
		json_builder_add_string_value(json, when.windows[i]);
	json_builder_end_array(json);
	ash_json_add_string(json, "policy", when.policy);
}

static gboolean add_list(AshRequest *request, JsonBuilder *json, const char *key, const char *sql,
		const char *id, AshDbEach each, GError **error)
{
	ash_json_begin_array(json, key);
	if (!ash_db_query_text(request->db, sql,
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(MAX_SHOWN_ORDERS)), each, json,
			    error))
		return FALSE;
	json_builder_end_array(json);
	return TRUE;
}

static gboolean get_host(AshRequest *request, GError **error)
{
	const char *id = NULL;
	uint8_t bytes[ASH_HOST_ID_BYTES];
	g_auto(AshHost) host = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_api_host_id(request, &id, error))
		return FALSE;
	if (!ash_host_id_parse(id, bytes) || !ash_live_get(request->server->live, bytes, &host))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no host '%s'", id);
	json_builder_begin_object(json);
	if (!add_host(request, json, &host, error))
		return FALSE;
	add_pairs(json, "facts", host.facts, host.fact_count);
	add_policy(request, json, &host);
	if (!ash_db_query(request->db,
			    "SELECT report, health, address, token FROM host WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), add_row, json, error) ||
			!ash_db_query(request->db,
					"SELECT serial, not_after FROM certificate WHERE host = $1 AND "
					"revoked_at = 0 ORDER BY not_after DESC LIMIT 1",
					ASH_DB_VALUES(ASH_DB_T(id)), add_certificate, json,
					error) ||
			!add_desired(request, json, &host, error) ||
			!add_list(request, json, "orders",
					"SELECT id, verb, argument, state, created_at, created_by, "
					"result, ended_at FROM host_order WHERE host = $1 "
					"ORDER BY id DESC LIMIT $2",
					id, add_order, error) ||
			!add_list(request, json, "rollouts",
					"SELECT h.rollout, h.outcome, h.ring, h.since, h.reason, "
					"COALESCE(e.version, '') FROM rollout_host h "
					"LEFT JOIN rollout r ON r.id = h.rollout "
					"LEFT JOIN release e ON e.id = r.release WHERE h.host = $1 "
					"ORDER BY h.since DESC LIMIT $2",
					id, add_rollout, error))
		return FALSE;
	return ash_route_reply(request, json);
}

/* ---- what happened to it ---- */

static void add_event(JsonBuilder *json, const AshDbRow *row, gpointer name)
{
	const AshEvent event = {.seq = ash_db_row_int(row, 0),
			.at_s = ash_db_row_int(row, 1),
			.kind = ash_db_row_text(row, 2),
			.host = ash_db_row_text(row, 3),
			.rollout = ash_db_row_text(row, 4),
			.actor = ash_db_row_text(row, 5),
			.text = ash_db_row_text(row, 6),
			.data = ash_db_row_text(row, 7)};

	ash_api_event_add(json, &event, name);
}

static gboolean list_events(AshRequest *request, GError **error)
{
	const char *id = NULL;
	int64_t after = 0;
	g_auto(AshHost) host = {0};

	if (!ash_api_host_id(request, &id, error) ||
			!ash_change_parse(ash_route_after(request), INT64_MAX, &after, error))
		return FALSE;
	const char *name = ash_api_event_host_name(request->server->live, id, &host);
	const AshPage page = {
			.sql = "SELECT seq, at, kind, host, rollout, actor, text, data FROM event WHERE "
			       "host = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3",
			.values = ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(after),
					ASH_DB_I(ash_page_rows(request))),
			.add = add_event,
			.data = (gpointer) (uintptr_t) name,
	};
	return ash_page_reply(request, &page, error);
}

/* How an update ended, in the words of agent/report.h. */
typedef struct {
	int64_t at_s;
	char *version, *outcome, *text, *from;
} Update;

static void free_update(gpointer data)
{
	Update *update = data;

	g_free(update->version);
	g_free(update->outcome);
	g_free(update->text);
	g_free(update->from);
	g_free(update);
}

static gboolean take_update(const AshDbRow *row, gpointer data, GError **error)
{
	static const char *const endings[] = {"good", "bad", "returned", "rolled-back", "recalled",
			"deploy-failed", "fetch-failed", NULL};
	const char *text = ash_db_row_text(row, 1);
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(bytes, 1 << 16, ASH_CHECKIN_MAX_DEPTH, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return TRUE;
	JsonObject *event = json_node_get_object(node);
	const char *outcome = ash_json_find_text(event, "event");
	if (outcome == NULL || !g_strv_contains(endings, outcome))
		return TRUE;
	Update *update = g_new0(Update, 1);
	update->at_s = ash_db_row_int(row, 0);
	update->outcome = g_strdup(outcome);
	update->version = g_strdup(ash_json_find_text(event, "version"));
	update->text = g_strdup(ash_json_find_text(event, "text"));
	g_ptr_array_add(data, update);
	return TRUE;
}

/* Newest first; where one came from is the last good one before it. */
static void find_origins(GPtrArray *updates)
{
	const char *good = "";

	for (guint i = updates->len; i > 0; i--) {
		Update *update = g_ptr_array_index(updates, i - 1);
		update->from = g_strdup(good);
		if (g_str_equal(update->outcome, "good") && update->version != NULL)
			good = update->version;
	}
}

static gboolean list_history(AshRequest *request, GError **error)
{
	const char *id = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autoptr(GPtrArray) updates = g_ptr_array_new_with_free_func(free_update);

	if (!ash_api_host_id(request, &id, error) ||
			!ash_db_query(request->db,
					"SELECT at, data FROM event WHERE host = $1 AND "
					"kind = 'host.event' ORDER BY seq DESC LIMIT $2",
					ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(MAX_HISTORY_EVENTS)),
					take_update, updates, error))
		return FALSE;
	find_origins(updates);
	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	for (guint i = 0; i < updates->len && i < (guint) ash_route_limit(request); i++) {
		const Update *update = g_ptr_array_index(updates, i);
		json_builder_begin_object(json);
		ash_json_add_int(json, "at", update->at_s);
		ash_json_add_string(
				json, "version", update->version != NULL ? update->version : "");
		ash_json_add_string(json, "from", update->from);
		ash_json_add_string(json, "outcome", update->outcome);
		ash_json_add_string(json, "text", update->text != NULL ? update->text : "");
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	return ash_route_reply(request, json);
}

static gboolean add_journal(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;

	json_builder_begin_object(json);
	ash_json_add_int(json, "id", ash_db_row_int(row, 0));
	ash_json_add_int(json, "at", ash_db_row_int(row, 1));
	ash_json_add_string(json, "version", ash_db_row_text(row, 2));
	ash_json_add_string(json, "text", ash_db_row_text(row, 3));
	json_builder_end_object(json);
	return TRUE;
}

static gboolean list_journal(AshRequest *request, GError **error)
{
	const char *id = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_api_host_id(request, &id, error))
		return FALSE;
	json_builder_begin_object(json);
	if (!add_list(request, json, "items",
			    "SELECT id, at, version, text FROM host_journal WHERE host = $1 "
			    "ORDER BY id DESC LIMIT $2",
			    id, add_journal, error))
		return FALSE;
	return ash_route_reply(request, json);
}

/* ---- routes ---- */

static const AshRouteMember list_arguments[] = {
		{"selector", "string", false, "which; default all"},
		{"limit", "integer", false, "1 to 1000; default 100"},
		{"after", "string", false, "'next' of the page before"},
		{"sort", "string", false, "name (default), seen, health or version"},
		{0},
};

static const AshRouteMember count_arguments[] = {
		{"selector", "string", false, "which; default all"},
		{"by", "string", false, "a key of the selector language"},
		{0},
};

static const AshRouteMember page_arguments[] = {
		{"limit", "integer", false, "1 to 1000; default 100"},
		{"after", "string", false, "'next' of the page before"},
		{0},
};

#define HOST                                                                                          \
	"\"id\":\"3f9a…\",\"name\":\"edge-1\",\"state\":\"active\",\"reason\":\"\","                \
	"\"health\":\"good\",\"health_since\":1,\"seen\":1,\"version\":\"1.0.0\",\"commit\":\"…\"," \
	"\"image\":\"host\",\"variant\":\"\",\"arch\":\"amd64\",\"agent_state\":\"idle\","            \
	"\"verdict\":\"good\",\"labels\":{\"site\":\"bern\"},\"channel\":\"stable\","                 \
	"\"release\":0,\"rollout\":\"\",\"open_orders\":0,\"enrolled\":1"

const AshRoute ash_api_host_routes[] = {
		{"GET", "/v1/hosts", ASH_ROLE_VIEWER, "Hosts that a selector matches", list_hosts,
				.arguments = list_arguments, .answer = "{\"items\":[{" HOST "}]}"},
		{"GET", "/v1/hosts/count", ASH_ROLE_VIEWER, "How many a selector matches, by a key",
				count_hosts, .arguments = count_arguments,
				.answer = "{\"count\":2,\"groups\":[{\"value\":\"1.0.0\",\"count\":2}]}"},
		{"GET", "/v1/hosts/{id}", ASH_ROLE_VIEWER,
				"One host: its id, 8 digits of it or more, or a name that it alone has",
				get_host,
				.answer = "{" HOST ",\"facts\":{},\"windows\":[],\"policy\":\"\","
					  "\"report\":{},\"health_report\":{},\"address\":\"192.0.2.7\","
					  "\"token\":\"\",\"certificate\":{\"serial\":\"01\","
					  "\"not_after\":1},\"desired\":{\"release\":null,\"verb\":\"\","
					  "\"rollout\":\"\"},\"orders\":[],\"rollouts\":[]}"},
		{"GET", "/v1/hosts/{id}/events", ASH_ROLE_VIEWER,
				"What happened to it, newest first", list_events,
				.arguments = page_arguments, .answer = "{\"items\":[]}"},
		{"GET", "/v1/hosts/{id}/history", ASH_ROLE_VIEWER, "Its updates, newest first",
				list_history, .arguments = page_arguments,
				.answer = "{\"items\":[{\"at\":1,\"version\":\"1.1.0\","
					  "\"from\":\"1.0.0\",\"outcome\":\"good\",\"text\":\"\"}]}"},
		{"GET", "/v1/hosts/{id}/journal", ASH_ROLE_VIEWER,
				"The ends of its journal that failed updates left", list_journal,
				.answer = "{\"items\":[{\"id\":1,\"at\":1,\"version\":\"1.1.0\","
					  "\"text\":\"…\"}]}"},
		{0},
};
