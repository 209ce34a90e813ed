/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-host.h"
#include "fleet/ca.h"
#include "fleet/change.h"
#include "fleet/desired.h"
#include "fleet/host-list.h"
#include "fleet/host.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* What operators do to hosts: to one, or to all that a selector matches, in one transaction. */

enum {
	MAX_BULK = 100000, /* hosts in one transaction */
};

typedef struct Act Act;

/* One act on one host, within the transaction; the members of the body were read before. */
typedef struct {
	const char *name;   /* of a bulk act */
	const char *action; /* of the audit log */
	bool needs_reason, withdraws, needs_admin;
	gboolean (*parse)(AshRequest *request, Act *act, GError **error); /* NULL: no members */
	gboolean (*run)(AshDb *db, const char *id, Act *act, GError **error);
} ActKind;

struct Act {
	const ActKind *kind;
	AshHostBy by;
	AshRequest *request;
	JsonObject *set;
	char **remove;
	const char *verb, *argument, *version;
	int64_t order;        /* the last one that was made */
	char *before, *after; /* for the audit log; NULL: nothing to tell */
};

static gboolean answer_errors(GError **error)
{
	ash_change_answer(
			error, ASH_HOST_ERROR, ASH_HOST_ERROR_NOT_FOUND, ASH_ROUTE_ERROR_NOT_FOUND);
	ash_change_answer(error, ASH_HOST_ERROR, ASH_HOST_ERROR_STATE, ASH_ROUTE_ERROR_CONFLICT);
	ash_change_answer(error, ASH_HOST_ERROR, ASH_HOST_ERROR_LIMIT, ASH_ROUTE_ERROR_CONFLICT);
	ash_change_answer(error, ASH_HOST_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	ash_change_answer(error, ASH_PAIRS_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
}

/* ---- the acts ---- */

static gboolean parse_remove(AshRequest *request, Act *act, GError **error)
{
	JsonArray *array = NULL;
	g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

	if (!json_object_has_member(request->body, "remove"))
		return TRUE;
	if (!ash_json_array(request->body, "remove", &array, error))
		return FALSE;
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_string(node) == NULL)
			return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
					"'remove' is an array of keys");
		g_ptr_array_add(keys, g_strdup(json_node_get_string(node)));
	}
	g_ptr_array_add(keys, NULL);
	act->remove = (char **) g_ptr_array_steal(keys, NULL);
	return TRUE;
}

static gboolean parse_labels(AshRequest *request, Act *act, GError **error)
{
	if (json_object_has_member(request->body, "set") &&
			!ash_json_object(request->body, "set", &act->set, error))
		return FALSE;
	return parse_remove(request, act, error);
}

static gboolean run_labels(AshDb *db, const char *id, Act *act, GError **error)
{
	g_clear_pointer(&act->before, g_free);
	g_clear_pointer(&act->after, g_free);
	return ash_host_change_labels(
			db, id, act->set, act->remove, &act->by, &act->before, &act->after, error);
}

static gboolean parse_order(AshRequest *request, Act *act, GError **error)
{
	act->argument = "";
	if (!ash_json_text(request->body, "verb", &act->verb, error))
		return FALSE;
	if (g_str_has_prefix(act->verb, "workload-"))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"orders about workloads are given by "
				"POST /v1/hosts/{id}/workloads/{name}");
	return ash_json_text_opt(request->body, "argument", &act->argument, error);
}

static gboolean run_order(AshDb *db, const char *id, Act *act, GError **error)
{
	if (!ash_host_order(db, id, act->verb, act->argument, &act->by, &act->order, error))
		return FALSE;
	g_free(act->after);
	act->after = g_strdup_printf(
			"{\"id\":%" G_GINT64_FORMAT ",\"verb\":\"%s\"}", act->order, act->verb);
	return TRUE;
}

static gboolean run_approve(AshDb *db, const char *id, Act *act, GError **error)
{
	return ash_host_approve(db, id, &act->by, error);
}

static gboolean run_hold(AshDb *db, const char *id, Act *act, GError **error)
{
	return ash_host_hold(db, id, &act->by, error);
}

static gboolean run_release_hold(AshDb *db, const char *id, Act *act, GError **error)
{
	return ash_host_release_hold(db, id, &act->by, error);
}

static gboolean run_retire(AshDb *db, const char *id, Act *act, GError **error)
{
	return ash_host_retire(db, id, &act->by, error);
}

static gboolean run_forget(AshDb *db, const char *id, Act *act, GError **error)
{
	return ash_host_forget(db, id, &act->by, error);
}

/* ---- a release by hand ---- */

static gboolean parse_release(AshRequest *request, Act *act, GError **error)
{
	static const char *const verbs[] = {"update", "return", NULL};

	act->verb = "update";
	if (!ash_json_text(request->body, "version", &act->version, error) ||
			!ash_json_text_opt(request->body, "verb", &act->verb, error))
		return FALSE;
	return g_strv_contains(verbs, act->verb) ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
			       "'verb' is update or return");
}

/* The release of the version that fits what the host said it runs. */
static gboolean find_release(AshDb *db, const char *id, const char *version, int64_t *out_release,
		GError **error)
{
	bool is_found = false;

	if (!ash_db_query_int(db,
			    "SELECT r.id FROM release r, host h WHERE h.id = $1 AND r.version = $2 AND "
			    "r.arch = h.arch AND r.variant = h.variant AND r.name = h.image AND "
			    "r.withdrawn = '' ORDER BY r.id DESC LIMIT 1",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T(version)), &is_found, out_release,
			    error))
		return FALSE;
	return is_found || ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
					   "no release '%s' that is not withdrawn fits this host's "
					   "name, variant and architecture",
					   version);
}

static gboolean run_release(AshDb *db, const char *id, Act *act, GError **error)
{
	int64_t release = 0;
	bool has_changed = false;

	if (act->version[0] != '\0' && !find_release(db, id, act->version, &release, error))
		return FALSE;
	const AshDesiredWant want = {.release = release,
			.rollout = "",
			.verb = release != 0 ? act->verb : "",
			.is_by_hand = release != 0,
			.actor = act->by.actor,
			.text = act->by.reason};
	g_free(act->after);
	act->after = g_strdup_printf(
			"{\"release\":%" G_GINT64_FORMAT ",\"verb\":\"%s\"}", release, want.verb);
	return ash_db_lock_events(db, error) &&
	       ash_desired_write(db, id, &want, act->by.now_s, &has_changed, error);
}

static const ActKind kinds[] = {
		{"labels", "host.labels", .parse = parse_labels, .run = run_labels},
		{"order", "host.order", .parse = parse_order, .run = run_order},
		{"approve", "host.approve", .run = run_approve},
		{"hold", "host.hold", .needs_reason = true, .run = run_hold},
		{"release-hold", "host.release-hold", .run = run_release_hold},
		{"retire", "host.retire", .needs_reason = true, .withdraws = true,
				.needs_admin = true, .run = run_retire},
		{"forget", "host.forget", .withdraws = true, .needs_admin = true,
				.run = run_forget},
		{"release", "host.release", .parse = parse_release, .run = run_release},
};

static const ActKind *find_kind(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (g_str_equal(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

/* ---- on the way ---- */

static gboolean act_begin(AshRequest *request, const char *name, Act *act, GError **error)
{
	act->kind = find_kind(name);
	act->request = request;
	act->by = (AshHostBy){.actor = request->actor,
			.reason = request->reason,
			.now_s = request->server->now()};
	if (strlen(request->reason) > ASH_HOST_MAX_REASON)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'reason' is longer than %d bytes", ASH_HOST_MAX_REASON);
	if (act->kind->needs_reason && !ash_change_require_reason(request, error))
		return FALSE;
	return act->kind->parse == NULL || act->kind->parse(request, act, error) ||
	       answer_errors(error);
}

static void act_clear(Act *act)
{
	g_strfreev(act->remove);
	g_free(act->before);
	g_free(act->after);
}

/* Memory follows what is committed; when that cannot be read now, the stream's listener does it. */
static void follow(AshRequest *request, const char *id)
{
	g_autoptr(GError) error = NULL;

	if (!ash_live_reload(request->server->live, request->db, id, &error))
		g_warning("host %s changed and could not be read: %s, will be read by its event",
				id, error->message);
}

static void follow_withdrawn(AshRequest *request, const Act *act)
{
	g_autoptr(GError) error = NULL;

	if (act->kind->withdraws && !ash_ca_load_revoked(request->server->ca, request->db,
						    act->by.now_s, &error))
		g_warning("withdrawn certificates could not be read: %s, will be by the event",
				error->message);
}

/* ---- one host ---- */

typedef struct {
	Act act;
	const char *id;
} One;

static gboolean run_one(AshRequest *request, gpointer data, GError **error)
{
	One *one = data;
	Act *act = &one->act;

	if (!act->kind->run(request->db, one->id, act, error))
		return answer_errors(error);
	return ash_route_audit(request, act->kind->action, one->id, act->before, act->after, error);
}

static gboolean change_one(AshRequest *request, const char *name, GError **error)
{
	One one = {0};
	gboolean ok = act_begin(request, name, &one.act, error) &&
		      ash_api_host_id(request, &one.id, error) &&
		      ash_change_run(request, run_one, &one, error);

	if (ok) {
		follow_withdrawn(request, &one.act);
		follow(request, one.id);
	}
	int64_t order = one.act.order;
	act_clear(&one.act);
	if (!ok || order == 0)
		return ok && ash_route_reply_empty(request);
	g_autoptr(JsonBuilder) json = json_builder_new();
	json_builder_begin_object(json);
	ash_json_add_int(json, "id", order);
	return ash_route_reply(request, json);
}

static gboolean post_labels(AshRequest *request, GError **error)
{
	return change_one(request, "labels", error);
}

static gboolean post_order(AshRequest *request, GError **error)
{
	return change_one(request, "order", error);
}

static gboolean post_release(AshRequest *request, GError **error)
{
	return change_one(request, "release", error);
}

static gboolean post_approve(AshRequest *request, GError **error)
{
	return change_one(request, "approve", error);
}

static gboolean post_hold(AshRequest *request, GError **error)
{
	return change_one(request, "hold", error);
}

static gboolean post_release_hold(AshRequest *request, GError **error)
{
	return change_one(request, "release-hold", error);
}

static gboolean post_retire(AshRequest *request, GError **error)
{
	return change_one(request, "retire", error);
}

static gboolean post_forget(AshRequest *request, GError **error)
{
	return change_one(request, "forget", error);
}

/* ---- many ---- */

typedef struct {
	Act act;
	GArray *ids;
	GPtrArray *changed; /* char * */
	const char *selector;
} Bulk;

/* A host that is not in a state for it is passed by: a bulk act asks for a state of things, not for a step. */
static gboolean run_bulk(AshRequest *request, gpointer data, GError **error)
{
	Bulk *bulk = data;

	g_ptr_array_set_size(bulk->changed, 0);
	for (guint i = 0; i < bulk->ids->len; i++) {
		g_autoptr(GError) local = NULL;
		char id[65];
		ash_host_id_format(g_array_index(bulk->ids, AshHostId, i).id, id);
		if (bulk->act.kind->run(request->db, id, &bulk->act, &local)) {
			g_ptr_array_add(bulk->changed, g_strdup(id));
			continue;
		}
		bool is_passed_by =
				g_error_matches(local, ASH_HOST_ERROR, ASH_HOST_ERROR_STATE) ||
				g_error_matches(local, ASH_HOST_ERROR, ASH_HOST_ERROR_NOT_FOUND) ||
				g_error_matches(local, ASH_HOST_ERROR, ASH_HOST_ERROR_LIMIT);
		if (is_passed_by)
			continue;
		g_propagate_error(error, g_steal_pointer(&local));
		return answer_errors(error);
	}
	g_autofree char *action = g_strconcat(bulk->act.kind->action, ".bulk", NULL);
	g_autofree char *after = g_strdup_printf("{\"changed\":%u}", bulk->changed->len);
	return ash_route_audit(request, action, bulk->selector, NULL, after, error);
}

static gboolean reply_count(AshRequest *request, guint count)
{
	ash_http_reply_json(request->call, 409,
			g_strdup_printf("{\"kind\":\"count\",\"text\":\"The selector matches %u hosts "
					"now: look again.\",\"count\":%u}\n",
					count, count));
	return TRUE;
}

static gboolean find_all(AshRequest *request, Bulk *bulk, int64_t *out_expect, GError **error)
{
	g_autoptr(AshSelector) selector = NULL;
	g_autoptr(AshSelector) scope = NULL;
	uint64_t expect = 0;

	if (!ash_json_text(request->body, "selector", &bulk->selector, error) ||
			!ash_json_uint(request->body, "expect", INT32_MAX, &expect, error))
		return answer_errors(error);
	if (!ash_api_host_selectors(request, bulk->selector, &selector, &scope, error))
		return FALSE;
	const AshHostQuery query = {
			.selector = selector, .scope = scope, .now_s = request->server->now()};
	bulk->ids = ash_host_list_ids(request->server->live, &query);
	*out_expect = (int64_t) expect;
	if (bulk->ids->len > MAX_BULK)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"at most %d hosts at once", MAX_BULK);
	return TRUE;
}

static gboolean check_act(AshRequest *request, const char *name, GError **error)
{
	const ActKind *kind = find_kind(name);

	if (kind == NULL || g_str_equal(name, "forget") || g_str_equal(name, "release"))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'act' is labels, order, approve, hold, release-hold or retire");
	if (kind->needs_admin && request->role != ASH_ROLE_ADMIN)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_FORBIDDEN,
				"this needs the role admin");
	return TRUE;
}

static gboolean run_bulk_request(AshRequest *request, Bulk *bulk, GError **error)
{
	const char *name = NULL;
	int64_t expect = 0;

	if (!ash_json_text(request->body, "act", &name, error))
		return answer_errors(error);
	if (!check_act(request, name, error) || !act_begin(request, name, &bulk->act, error) ||
			!find_all(request, bulk, &expect, error))
		return FALSE;
	if (bulk->ids->len != expect)
		return reply_count(request, bulk->ids->len);
	if (!ash_change_run(request, run_bulk, bulk, error))
		return FALSE;
	follow_withdrawn(request, &bulk->act);
	for (guint i = 0; i < bulk->changed->len; i++)
		follow(request, g_ptr_array_index(bulk->changed, i));
	g_autoptr(JsonBuilder) json = json_builder_new();
	json_builder_begin_object(json);
	ash_json_add_int(json, "changed", bulk->changed->len);
	return ash_route_reply(request, json);
}

static gboolean post_bulk(AshRequest *request, GError **error)
{
	g_autoptr(GPtrArray) changed = g_ptr_array_new_with_free_func(g_free);
	Bulk bulk = {.changed = changed};
	gboolean ok = run_bulk_request(request, &bulk, error);

	g_clear_pointer(&bulk.ids, g_array_unref);
	act_clear(&bulk.act);
	return ok;
}

/* ---- routes ---- */

#define REASON                                                                                     \
	{                                                                                          \
		"reason", "string", false, "for the audit log; at most 1024 bytes"                 \
	}
#define REASON_NEEDED                                                                              \
	{                                                                                          \
		"reason", "string", true, "shown with the host; at most 1024 bytes"                \
	}

static const AshRouteMember reason_members[] = {REASON, {0}};
static const AshRouteMember needed_members[] = {REASON_NEEDED, {0}};
static const AshRouteMember label_members[] = {
		{"set", "object", false, "texts by key"},
		{"remove", "array", false, "keys"},
		REASON,
		{0},
};
static const AshRouteMember order_members[] = {
		{"verb", "string", true, "check, reboot, forgive, forget, journal or facts"},
		{"argument", "string", false, "of forgive: a commit, a version, or all"},
		REASON,
		{0},
};
static const AshRouteMember release_members[] = {
		{"version", "string", true, "\"\": its channel and rollouts decide again"},
		{"verb", "string", false, "update (default), or return: to a deployment it has"},
		REASON,
		{0},
};
static const AshRouteMember bulk_members[] = {
		{"selector", "string", true, "which hosts"},
		{"act", "string", true, "labels, order, approve, hold, release-hold, retire"},
		{"expect", "integer", true, "how many it matches; 409 when it is another number"},
		{"set", "object", false, "of labels"},
		{"remove", "array", false, "of labels"},
		{"verb", "string", false, "of order"},
		{"argument", "string", false, "of order"},
		{"reason", "string", false, "required for hold and retire"},
		{0},
};

const AshRoute ash_api_host_act_routes[] = {
		{"POST", "/v1/hosts/{id}/labels", ASH_ROLE_OPERATOR, "Set and remove labels",
				post_labels, .members = label_members},
		{"POST", "/v1/hosts/{id}/orders", ASH_ROLE_OPERATOR, "Ask something of the host",
				post_order, .members = order_members, .answer = "{\"id\":7}"},
		{"POST", "/v1/hosts/{id}/release", ASH_ROLE_OPERATOR,
				"A release for this one host, by hand", post_release,
				.members = release_members},
		{"POST", "/v1/hosts/{id}/approve", ASH_ROLE_OPERATOR, "It may join", post_approve,
				.members = reason_members},
		{"POST", "/v1/hosts/{id}/hold", ASH_ROLE_OPERATOR, "Shown, and told nothing",
				post_hold, .members = needed_members},
		{"POST", "/v1/hosts/{id}/release-hold", ASH_ROLE_OPERATOR, "It goes on",
				post_release_hold, .members = reason_members},
		{"POST", "/v1/hosts/{id}/retire", ASH_ROLE_ADMIN,
				"Its certificates are withdrawn; its history stays", post_retire,
				.members = needed_members},
		{"POST", "/v1/hosts/{id}/forget", ASH_ROLE_ADMIN,
				"Retired, and nothing but its events stays", post_forget,
				.members = reason_members},
		{"POST", "/v1/hosts/bulk", ASH_ROLE_OPERATOR,
				"One act on all that a selector matches", post_bulk,
				.members = bulk_members, .answer = "{\"changed\":12}"},
		{0},
};
