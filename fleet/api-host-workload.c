/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/api-host-workload.h"

#include <string.h>

#include "fleet/api-host.h"
#include "fleet/api-workload.h"
#include "fleet/change.h"
#include "fleet/host.h"
#include "fleet/scheduler.h"
#include "fleet/server.h"
#include "fleet/wanted.h"
#include "fleet/workload-said.h"
#include "fleet/workload-why.h"
#include "lib/checkin.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/version.h"

/* The workloads of one host: what it says of them, what is wanted, why that is not the same, and what is asked of it. */

enum {
	MAX_REPORT_DEPTH = 12,
};

/* ---- what is known ---- */

typedef struct {
	AshHost host;
	AshDesiredBook *book;
	char *reason, *report;
	JsonNode *document; /* of the report; NULL: none */
	GPtrArray *wanted;
	int64_t at_s, now_s;
} Known;

static void known_clear(Known *known)
{
	ash_host_clear(&known->host);
	ash_desired_book_unref(known->book);
	g_free(known->reason);
	g_free(known->report);
	g_clear_pointer(&known->document, json_node_unref);
	g_clear_pointer(&known->wanted, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Known, known_clear)

static gboolean take_row(const AshDbRow *row, gpointer data, GError **error)
{
	Known *known = data;

	known->reason = g_strdup(ash_db_row_text(row, 0));
	known->wanted = ash_wanted_parse(ash_db_row_text(row, 1));
	known->report = g_strdup(ash_db_row_text(row, 2));
	known->at_s = ash_db_row_int(row, 3);
	return TRUE;
}

static gboolean read_known(AshRequest *request, const char *id, Known *known, GError **error)
{
	uint8_t bytes[ASH_HOST_ID_BYTES];

	known->now_s = request->server->now();
	if (!ash_db_query(request->db,
			    "SELECT reason, wanted, host_workload.report, at FROM host LEFT JOIN "
			    "host_workload ON host_workload.host = host.id WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), take_row, known, error))
		return FALSE;
	if (known->reason == NULL || !ash_host_id_parse(id, bytes) ||
			!ash_live_get(request->server->live, bytes, &known->host))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no host '%.64s'", id);
	known->book = ash_scheduler_book(request->server->scheduler);
	g_autoptr(GBytes) bytes_of = g_bytes_new_static(known->report, strlen(known->report));
	if (*known->report != '\0' &&
			ash_json_parse(bytes_of, ASH_CHECKIN_MAX_WORKLOADS, MAX_REPORT_DEPTH,
					&known->document, NULL) &&
			!JSON_NODE_HOLDS_OBJECT(known->document))
		g_clear_pointer(&known->document, json_node_unref);
	return TRUE;
}

static JsonObject *report_of(const Known *known)
{
	return known->document != NULL ? json_node_get_object(known->document) : NULL;
}

static JsonObject *find_named(const Known *known, const char *list, const char *name)
{
	JsonArray *items = report_of(known) != NULL ? ash_json_find_objects(report_of(known), list)
						    : NULL;

	for (guint i = 0; items != NULL && i < json_array_get_length(items); i++) {
		JsonObject *item = json_array_get_object_element(items, i);
		if (g_strcmp0(ash_json_find_text(item, "name"), name) == 0)
			return item;
	}
	return NULL;
}

/* ---- why ---- */

static const char *text_in(JsonObject *object, const char *key)
{
	const char *text = object != NULL ? ash_json_find_text(object, key) : NULL;

	return text != NULL ? text : "";
}

static const char *failed_reason(JsonObject *item, const char *version)
{
	JsonArray *failed = item != NULL ? ash_json_find_objects(item, "failed") : NULL;

	for (guint i = 0; failed != NULL && i < json_array_get_length(failed); i++) {
		JsonObject *entry = json_array_get_object_element(failed, i);
		if (g_strcmp0(ash_json_find_text(entry, "version"), version) == 0)
			return text_in(entry, "reason");
	}
	return "";
}

static AshWorkloadWhyFacts facts_of(const Known *known, const char *name)
{
	JsonObject *item = find_named(known, "items", name);
	const AshWanted *wanted = ash_wanted_find(known->wanted, name);
	const char *version = wanted != NULL ? wanted->version : "";

	return (AshWorkloadWhyFacts){.of = {.host = &known->host,
						     .book = known->book,
						     .now_s = known->now_s,
						     .reason = known->reason,
						     .own_blocker = ""},
			.name = name,
			.assignment = ash_assignment_of(ash_desired_book_assignments(known->book),
					&known->host, name, known->now_s),
			.wanted = version,
			.rollout_version = "",
			.state = text_in(item, "state"),
			.phase = text_in(item, "phase"),
			.text = text_in(item, "text"),
			.target = text_in(item, "target"),
			.missing_text = text_in(find_named(known, "missing", name), "text"),
			.failed_reason = failed_reason(item, version)};
}

typedef struct {
	char *id, *name, *version;
} Rollout;

static gboolean take_rollout(const AshDbRow *row, gpointer data, GError **error)
{
	Rollout *rollout = data;

	rollout->id = g_strdup(ash_db_row_text(row, 0));
	rollout->name = g_strdup(*ash_db_row_text(row, 1) != '\0' ? ash_db_row_text(row, 1)
								  : ash_db_row_text(row, 0));
	rollout->version = g_strdup(ash_db_row_text(row, 2));
	return TRUE;
}

static void rollout_clear(Rollout *rollout)
{
	g_free(rollout->id);
	g_free(rollout->name);
	g_free(rollout->version);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Rollout, rollout_clear)

gboolean ash_api_host_workload_why(AshRequest *request, const char *id, const AshHost *host,
		const char *reason, GError **error)
{
	const char *name = ash_route_argument(request, "workload");
	g_auto(Known) known = {0};
	g_auto(Rollout) rollout = {0};
	g_auto(AshRolloutWhy) rollout_why = {0};
	g_auto(AshWhy) why = {0};
	bool is_begun = false;

	if (!ash_workload_is_name(name))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'%.64s' is no workload's name", name);
	if (!read_known(request, id, &known, error))
		return FALSE;
	AshWorkloadWhyFacts facts = facts_of(&known, name);
	facts.of.reason = reason;
	if (facts.assignment != NULL &&
			!ash_db_query(request->db,
					"SELECT id, name, version FROM rollout WHERE assignment = $1 AND "
					"ended_at = 0 AND state <> 'reverting'",
					ASH_DB_VALUES(ASH_DB_T(facts.assignment->id)), take_rollout,
					&rollout, error))
		return FALSE;
	if (rollout.id != NULL) {
		if (!ash_api_why_ask(request, rollout.id, host, &rollout_why, &is_begun, error))
			return FALSE;
		facts.of.rollout = rollout.id;
		facts.of.rollout_name = rollout.name;
		facts.of.rollout_why = is_begun ? &rollout_why : NULL;
		facts.rollout_version = rollout.version;
		facts.failed_reason =
				failed_reason(find_named(&known, "items", name), rollout.version);
	}
	ash_workload_why(&facts, &why);
	return ash_api_why_reply(request, &why);
}

/* ---- the list ---- */

static void add_items(JsonBuilder *json, const char *key, JsonArray *items)
{
	json_builder_set_member_name(json, key);
	if (items != NULL) {
		g_autoptr(JsonNode) node = json_node_new(JSON_NODE_ARRAY);
		json_node_set_array(node, items);
		json_builder_add_value(json, g_steal_pointer(&node));
	} else {
		json_builder_begin_array(json);
		json_builder_end_array(json);
	}
}

/* All members there always, whatever the host leaves out. */
static void add_item(JsonBuilder *json, const Known *known, const char *name, JsonObject *item)
{
	static const char *const texts[] = {"version", "origin", "state", "text", "target", "phase",
			"isolation", "effective"};
	const AshWanted *wanted = ash_wanted_find(known->wanted, name);
	AshWorkloadWhyFacts facts = facts_of(known, name);
	g_auto(AshWhy) why = {0};

	ash_workload_why(&facts, &why);
	json_builder_begin_object(json);
	ash_json_add_string(json, "name", name);
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		ash_json_add_string(json, texts[i], text_in(item, texts[i]));
	ash_json_add_bool(json, "ready", item != NULL && ash_json_find_bool(item, "ready"));
	ash_json_add_uint(json, "score", item != NULL ? ash_json_find_uint(item, "score") : 0);
	ash_json_add_uint(
			json, "restarts", item != NULL ? ash_json_find_uint(item, "restarts") : 0);
	add_items(json, "failed", item != NULL ? ash_json_find_objects(item, "failed") : NULL);
	add_items(json, "instances",
			item != NULL ? ash_json_find_objects(item, "instances") : NULL);
	ash_json_add_string(json, "wanted", wanted != NULL ? wanted->version : "");
	ash_json_add_string(json, "assignment", wanted != NULL ? wanted->assignment : "");
	ash_json_add_string(json, "rollout", wanted != NULL ? wanted->rollout : "");
	ash_json_add_string(json, "why", why.blocker);
	json_builder_end_object(json);
}

static gboolean list_workloads(AshRequest *request, GError **error)
{
	const char *id = NULL;
	g_auto(Known) known = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_api_host_id(request, &id, error) || !read_known(request, id, &known, error))
		return FALSE;
	JsonObject *report = report_of(&known);
	JsonArray *items = report != NULL ? ash_json_find_objects(report, "items") : NULL;
	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	for (guint i = 0; items != NULL && i < json_array_get_length(items); i++) {
		JsonObject *item = json_array_get_object_element(items, i);
		add_item(json, &known, text_in(item, "name"), item);
	}
	for (guint i = 0; i < known.wanted->len; i++) {
		const AshWanted *wanted = known.wanted->pdata[i];
		if (find_named(&known, "items", wanted->name) == NULL)
			add_item(json, &known, wanted->name, NULL);
	}
	json_builder_end_array(json);
	add_items(json, "missing",
			report != NULL ? ash_json_find_objects(report, "missing") : NULL);
	ash_json_add_int(json, "at", known.at_s);
	return ash_route_reply(request, json);
}

/* ---- acts ---- */

typedef struct {
	const char *id, *verb;
	char *argument;
	int64_t order;
} Act;

static gboolean check_name(const char *name, GError **error)
{
	return ash_workload_is_name(name) ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
			       "'%.64s' is no workload's name", name);
}

static bool is_instance(const char *instance)
{
	return strlen(instance) <= 2 * ASH_WORKLOAD_MAX_NAME_BYTES &&
	       strspn(instance, "abcdefghijklmnopqrstuvwxyz0123456789-@") == strlen(instance);
}

static gboolean make_argument(AshRequest *request, const char *act, Act *making, GError **error)
{
	const char *name = ash_route_part(request, 1);
	const char *instance = "", *version = "";

	if (!check_name(name, error) ||
			!ash_change_text(request, "instance", 128, "", &instance, error) ||
			!ash_change_text(request, "version", 64, "", &version, error))
		return FALSE;
	bool is_forgive = g_str_equal(act, "forgive");
	if (!is_instance(instance) || (is_forgive && *instance != '\0'))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'instance' is NAME@N, for start, stop and restart");
	if ((*version != '\0' && !is_forgive) || (*version != '\0' && strcmp(version, "all") != 0 &&
								 !ash_version_is_valid(version)))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'version' is for forgive: a version, or all");
	if (is_forgive)
		making->argument =
				g_strdup_printf("%s %s", name, *version != '\0' ? version : "all");
	else
		making->argument = g_strdup_printf(
				"%s%s%s", name, *instance != '\0' ? "/" : "", instance);
	return TRUE;
}

static gboolean write_act(AshRequest *request, gpointer data, GError **error)
{
	Act *act = data;
	const AshHostBy by = {request->actor, request->reason, request->server->now()};
	g_autofree char *object = g_strconcat("host:", act->id, NULL);
	g_autofree char *action = g_strconcat("host.", act->verb, NULL);

	if (!ash_host_order(request->db, act->id, act->verb, act->argument, &by, &act->order,
			    error)) {
		ash_change_answer(error, ASH_HOST_ERROR, ASH_HOST_ERROR_NOT_FOUND,
				ASH_ROUTE_ERROR_NOT_FOUND);
		return ash_change_answer(error, ASH_HOST_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
	}
	g_autofree char *after = g_strdup_printf("{\"order\":%" G_GINT64_FORMAT
						 ",\"verb\":\"%s\",\"argument\":\"%s\"}",
			act->order, act->verb, act->argument);
	return ash_route_audit(request, action, object, NULL, after, error);
}

static gboolean post_act(AshRequest *request, GError **error)
{
	static const char *const acts[][2] = {{"start", "workload-start"},
			{"stop", "workload-stop"}, {"restart", "workload-restart"},
			{"forgive", "workload-forgive"}};
	const char *word = NULL;
	Act act = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_api_host_id(request, &act.id, error) ||
			!ash_change_text(request, "act", 16, "", &word, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(acts); i++)
		if (g_str_equal(word, acts[i][0]))
			act.verb = acts[i][1];
	if (act.verb == NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'act' is start, stop, restart or forgive");
	if (!make_argument(request, word, &act, error))
		return FALSE;
	gboolean ok = ash_change_run(request, write_act, &act, error);
	g_free(act.argument);
	if (!ok)
		return FALSE;
	json_builder_begin_object(json);
	ash_json_add_int(json, "order", act.order);
	return ash_route_reply(request, json);
}

/* ---- routes ---- */

static const AshRouteMember act_members[] = {
		{"act", "string", true, "start, stop, restart or forgive"},
		{"instance", "string", false, "one of its instances (web@2); default: all"},
		{"version", "string", false, "to forgive; default: all"},
		{0},
};

const AshRoute ash_api_host_workload_routes[] = {
		{"GET", "/v1/hosts/{id}/workloads", ASH_ROLE_VIEWER,
				"What a host says of its workloads, what is wanted there, and why that is "
				"not the same",
				list_workloads,
				.answer = "{\"items\":[{\"name\":\"web\",\"version\":\"1.2.0\","
					  "\"origin\":\"signed\",\"state\":\"ready\",\"text\":\"\","
					  "\"target\":\"\",\"phase\":\"\",\"isolation\":\"container\","
					  "\"effective\":\"container\",\"ready\":true,\"score\":12,"
					  "\"restarts\":0,\"failed\":[{}],\"instances\":[{}],"
					  "\"wanted\":\"1.2.0\",\"assignment\":\"edge-web\","
					  "\"rollout\":\"\",\"why\":\"\"}],\"missing\":[{}],\"at\":1}"},
		{"POST", "/v1/hosts/{id}/workloads/{name}", ASH_ROLE_OPERATOR,
				"Start, stop or restart a workload there, or forgive its failed versions",
				post_act, .members = act_members, .answer = "{\"order\":7}"},
		{0},
};
