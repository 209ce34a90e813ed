/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/route-private.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"

enum {
	MAX_DEPTH = 16,
	MAX_NAMES = 64, /* of a table of members, for suggestions */
	MAX_REASON_BYTES = 1024,
};

static const AshRouteMember common_arguments[] = {
		{.name = "limit", .type = "integer"},
		{.name = "after", .type = "string"},
		{NULL},
};
static const AshRouteMember common_members[] = {
		{.name = "reason", .type = "string"},
		{NULL},
};

static const AshRouteMember *find(const AshRouteMember *table, const char *name)
{
	for (; table != NULL && table->name != NULL; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static gboolean throw_unknown(const char *what, const char *name, const AshRouteMember *a,
		const AshRouteMember *b, GError **error)
{
	const char *names[MAX_NAMES + 1] = {NULL};
	size_t count = 0;

	for (; a != NULL && a->name != NULL && count < MAX_NAMES; a++)
		names[count++] = a->name;
	for (; b != NULL && b->name != NULL && count < MAX_NAMES; b++)
		names[count++] = b->name;
	g_autofree char *hint = ash_text_suggestion(name, names);
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST, "unknown %s '%s'%s", what,
			name, hint);
}

static bool is_get(const AshRequest *request)
{
	return strcmp(request->route->method, "GET") == 0;
}

/* ---- arguments ---- */

typedef struct {
	AshRequest *request;
	GError *error;
} Arguments;

static gboolean check_number(const char *name, const char *value, GError **error)
{
	gint64 number = 0;
	bool is_limit = strcmp(name, "limit") == 0;

	if (!g_ascii_string_to_signed(value, 10, is_limit ? 1 : G_MININT64,
			    is_limit ? 1000 : G_MAXINT64, &number, NULL))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"argument '%s': expected a whole number%s", name,
				is_limit ? " from 1 to 1000" : "");
	return TRUE;
}

static gboolean check_argument(const char *name, const char *value, gpointer data)
{
	Arguments *arguments = data;
	const AshRoute *route = arguments->request->route;
	const AshRouteMember *common = is_get(arguments->request) ? common_arguments : NULL;
	const AshRouteMember *member = find(route->arguments, name);

	if (!g_utf8_validate(name, -1, NULL) || !g_utf8_validate(value, -1, NULL))
		return ash_throw(&arguments->error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"an argument is not UTF-8");
	if (member == NULL)
		member = find(common, name);
	if (member == NULL)
		return throw_unknown("argument", name, route->arguments, common, &arguments->error);
	return strcmp(member->type, "integer") != 0 || check_number(name, value, &arguments->error);
}

gboolean ash_route_check_arguments(AshRequest *request, GError **error)
{
	Arguments arguments = {.request = request};

	for (guint i = 0; i < request->parts->len; i++)
		if (!g_utf8_validate(g_ptr_array_index(request->parts, i), -1, NULL))
			return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
					"the path is not UTF-8");
	ash_http_each_argument(request->call, check_argument, &arguments);
	if (arguments.error != NULL) {
		g_propagate_error(error, arguments.error);
		return FALSE;
	}
	const AshRouteMember *member = request->route->arguments;
	for (; member != NULL && member->name != NULL; member++)
		if (member->is_required && ash_http_argument(request->call, member->name) == NULL)
			return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
					"the argument '%s' is missing", member->name);
	return TRUE;
}

/* ---- the body ---- */

static const char *type_of(JsonNode *node)
{
	switch (json_node_get_node_type(node)) {
	case JSON_NODE_OBJECT:
		return "object";
	case JSON_NODE_ARRAY:
		return "array";
	case JSON_NODE_NULL:
		return "null";
	case JSON_NODE_VALUE:
		break;
	}
	GType type = json_node_get_value_type(node);
	if (type == G_TYPE_STRING)
		return "string";
	if (type == G_TYPE_BOOLEAN)
		return "boolean";
	return type == G_TYPE_INT64 ? "integer" : "number";
}

static bool has_type(const char *types, const char *type)
{
	g_auto(GStrv) list = g_strsplit(types, "|", 8);
	const char *const *each = (const char *const *) list;

	return g_strv_contains(each, type) ||
	       (strcmp(type, "integer") == 0 && g_strv_contains(each, "number"));
}

static gboolean check_member(
		AshRouteRequest *request, const char *name, JsonNode *value, GError **error)
{
	const AshRoute *route = request->public.route;
	const AshRouteMember *member = find(route->members, name);

	if (member == NULL)
		member = find(common_members, name);
	if (member == NULL && route->is_open_body)
		return TRUE;
	if (member == NULL)
		return throw_unknown("member", name, route->members, common_members, error);
	const char *type = type_of(value);
	if (!has_type(member->type, type))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"member '%s': expected %s, not %s", name, member->type, type);
	return TRUE;
}

/* A member that is null is one that is not there. */
static gboolean check_members(AshRouteRequest *request, JsonObject *body, GError **error)
{
	g_autoptr(GList) names = json_object_get_members(body);

	for (GList *at = names; at != NULL; at = at->next) {
		JsonNode *value = json_object_get_member(body, at->data);
		if (JSON_NODE_HOLDS_NULL(value))
			json_object_remove_member(body, at->data);
		else if (!check_member(request, at->data, value, error))
			return FALSE;
	}
	const AshRouteMember *member = request->public.route->members;
	for (; member != NULL && member->name != NULL; member++)
		if (member->is_required && !json_object_has_member(body, member->name))
			return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
					"the member '%s' is missing", member->name);
	request->public.reason = json_object_get_string_member_with_default(body, "reason", "");
	if (strlen(request->public.reason) > MAX_REASON_BYTES)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"member 'reason': %d bytes at most", MAX_REASON_BYTES);
	return TRUE;
}

static bool is_json(const AshHttpCall *call)
{
	const char *type = ash_http_header(call, "Content-Type");
	static const char json[] = "application/json";

	return type != NULL && g_ascii_strncasecmp(type, json, strlen(json)) == 0 &&
	       (type[strlen(json)] == '\0' || type[strlen(json)] == ';' ||
			       type[strlen(json)] == ' ');
}

gboolean ash_route_check_body(AshRouteRequest *request, GError **error)
{
	GBytes *bytes = ash_http_body(request->public.call);
	const AshRoute *route = request->public.route;
	size_t max_bytes = route->max_body_bytes > 0 ? route->max_body_bytes : 64 << 10;
	g_autoptr(JsonNode) node = NULL;

	if (is_get(&request->public))
		return TRUE;
	if (g_bytes_get_size(bytes) == 0) {
		node = json_node_init_object(json_node_alloc(), json_object_new());
		json_object_unref(json_node_get_object(node));
	} else if (!is_json(request->public.call)) {
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_TYPE,
				"the body must be of Content-Type application/json");
	} else if (!ash_json_parse(bytes, max_bytes, MAX_DEPTH, &node, error)) {
		return FALSE;
	}
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"the body must be an object");
	request->document = g_steal_pointer(&node);
	JsonObject *body = json_node_get_object(request->document);
	if (!check_members(request, body, error))
		return FALSE;
	request->public.body = body;
	return TRUE;
}
