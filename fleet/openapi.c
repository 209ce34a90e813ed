/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/operator.h"
#include "fleet/route.h"
#include "fleet/server.h"
#include "lib/json.h"

/* OpenAPI 3.0.3 of the route table: what is not in the table is not in the document. */

static void schema_of_type(JsonBuilder *builder, const char *type)
{
	if (strcmp(type, "any") == 0)
		return;
	ash_json_add_text(builder, "type", type);
	if (strcmp(type, "array") == 0) {
		ash_json_begin_object(builder, "items");
		json_builder_end_object(builder);
	}
}

static void add_schema(JsonBuilder *builder, const AshRouteMember *member)
{
	g_auto(GStrv) types = g_strsplit(member->type, "|", 8);

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "description", member->summary);
	if (g_strv_length(types) == 1) {
		schema_of_type(builder, types[0]);
	} else {
		ash_json_begin_array(builder, "oneOf");
		for (size_t i = 0; types[i] != NULL; i++) {
			json_builder_begin_object(builder);
			schema_of_type(builder, types[i]);
			json_builder_end_object(builder);
		}
		json_builder_end_array(builder);
	}
	json_builder_end_object(builder);
}

static void add_parameter(JsonBuilder *builder, const char *in, const AshRouteMember *member)
{
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", member->name);
	ash_json_add_text(builder, "in", in);
	ash_json_add_bool(builder, "required", member->is_required);
	json_builder_set_member_name(builder, "schema");
	add_schema(builder, member);
	json_builder_end_object(builder);
}

/* Each {name} of the pattern. */
static void add_path_parameters(JsonBuilder *builder, const char *pattern)
{
	for (const char *open = strchr(pattern, '{'); open != NULL; open = strchr(open + 1, '{')) {
		size_t size = strcspn(open + 1, "*}");
		g_autofree char *name = g_strndup(open + 1, size);
		const AshRouteMember member = {.name = name,
				.type = "string",
				.is_required = true,
				.summary = open[size + 1] == '*' ? "all the rest of the path" : ""};
		add_parameter(builder, "path", &member);
	}
}

static bool is_get(const AshRoute *route)
{
	return strcmp(route->method, "GET") == 0;
}

static bool has_member(const AshRouteMember *table, const char *name)
{
	for (; table != NULL && table->name != NULL; table++)
		if (strcmp(table->name, name) == 0)
			return true;
	return false;
}

static void add_parameters(JsonBuilder *builder, const AshRoute *route)
{
	ash_json_begin_array(builder, "parameters");
	add_path_parameters(builder, route->pattern);
	const AshRouteMember *member = route->arguments;
	for (; member != NULL && member->name != NULL; member++)
		add_parameter(builder, "query", member);
	json_builder_end_array(builder);
}

static void add_required(JsonBuilder *builder, const AshRouteMember *members)
{
	bool has_required = false;

	for (const AshRouteMember *m = members; m != NULL && m->name != NULL; m++)
		has_required |= m->is_required;
	if (!has_required)
		return;
	ash_json_begin_array(builder, "required");
	for (const AshRouteMember *m = members; m->name != NULL; m++)
		if (m->is_required)
			json_builder_add_string_value(builder, m->name);
	json_builder_end_array(builder);
}

static void add_properties(JsonBuilder *builder, const AshRoute *route)
{
	static const AshRouteMember reason = {
			.name = "reason", .type = "string", .summary = "why, for the audit log"};

	ash_json_begin_object(builder, "properties");
	for (const AshRouteMember *m = route->members; m != NULL && m->name != NULL; m++) {
		json_builder_set_member_name(builder, m->name);
		add_schema(builder, m);
	}
	if (!route->is_direct && !has_member(route->members, "reason")) {
		json_builder_set_member_name(builder, "reason");
		add_schema(builder, &reason);
	}
	json_builder_end_object(builder);
}

static void add_body(JsonBuilder *builder, const AshRoute *route)
{
	bool is_required = false;

	if (is_get(route) || (route->is_direct && route->members == NULL))
		return;
	for (const AshRouteMember *m = route->members; m != NULL && m->name != NULL; m++)
		is_required |= m->is_required;
	ash_json_begin_object(builder, "requestBody");
	ash_json_add_bool(builder, "required", is_required);
	ash_json_begin_object(builder, "content");
	ash_json_begin_object(builder, "application/json");
	ash_json_begin_object(builder, "schema");
	ash_json_add_text(builder, "type", "object");
	ash_json_add_bool(builder, "additionalProperties", route->is_open_body);
	add_required(builder, route->members);
	add_properties(builder, route);
	for (int i = 0; i < 4; i++)
		json_builder_end_object(builder);
}

static const char *type_of(JsonNode *example)
{
	switch (json_node_get_node_type(example)) {
	case JSON_NODE_OBJECT:
		return "object";
	case JSON_NODE_ARRAY:
		return "array";
	case JSON_NODE_NULL:
		return NULL;
	case JSON_NODE_VALUE:
		break;
	}
	GType type = json_node_get_value_type(example);
	return type == G_TYPE_STRING    ? "string"
	       : type == G_TYPE_BOOLEAN ? "boolean"
	       : type == G_TYPE_INT64   ? "integer"
					: "number";
}

static void add_answer_schema(JsonBuilder *builder, JsonNode *example, const char *name);

/* Objects whose members are data. */
static bool is_map(const char *name)
{
	static const char *const maps[] = {"labels", "facts", "by_state", "by_health", NULL};

	return name != NULL && g_strv_contains(maps, name);
}

static void add_members_schema(JsonBuilder *builder, JsonObject *object, const char *name)
{
	g_autoptr(GList) names = json_object_get_members(object);

	if (names == NULL)
		return;
	if (is_map(name)) {
		json_builder_set_member_name(builder, "additionalProperties");
		add_answer_schema(builder, json_object_get_member(object, names->data), "");
		return;
	}
	ash_json_begin_object(builder, "properties");
	for (GList *i = names; i != NULL; i = i->next) {
		json_builder_set_member_name(builder, i->data);
		add_answer_schema(builder, json_object_get_member(object, i->data), i->data);
	}
	json_builder_end_object(builder);
}

/* Of the route's example: it has every member that an answer may have. An object without members there is a map of
 * anything, a list without elements one of anything, null anything; an object within another may be null. @name: the
 * member's; NULL: the whole answer.
 */
static void add_answer_schema(JsonBuilder *builder, JsonNode *example, const char *name)
{
	const char *type = type_of(example);

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "type", type);
	if (g_strcmp0(type, "array") == 0) {
		JsonArray *array = json_node_get_array(example);
		json_builder_set_member_name(builder, "items");
		if (json_array_get_length(array) > 0)
			add_answer_schema(builder, json_array_get_element(array, 0), "");
		else
			json_builder_end_object(json_builder_begin_object(builder));
	} else if (g_strcmp0(type, "object") == 0) {
		if (name != NULL)
			ash_json_add_bool(builder, "nullable", true);
		add_members_schema(builder, json_node_get_object(example), name);
	}
	json_builder_end_object(builder);
}

static void add_example(JsonBuilder *builder, const AshRoute *route)
{
	JsonNode *example = route->answer != NULL ? json_from_string(route->answer, NULL) : NULL;

	if (example == NULL)
		return;
	ash_json_begin_object(builder, "content");
	ash_json_begin_object(builder, "application/json");
	json_builder_set_member_name(builder, "schema");
	add_answer_schema(builder, example, NULL);
	json_builder_set_member_name(builder, "example");
	json_builder_add_value(builder, example);
	json_builder_end_object(builder);
	json_builder_end_object(builder);
}

static void add_answers(JsonBuilder *builder, const AshRoute *route)
{
	ash_json_begin_object(builder, "responses");
	ash_json_begin_object(builder, "200");
	ash_json_add_text(builder, "description", "as asked");
	add_example(builder, route);
	json_builder_end_object(builder);
	ash_json_begin_object(builder, "default");
	ash_json_add_string(builder, "$ref", "#/components/responses/Error");
	json_builder_end_object(builder);
	json_builder_end_object(builder);
}

static void add_scheme(JsonBuilder *builder, const char *name)
{
	json_builder_begin_object(builder);
	ash_json_begin_array(builder, name);
	json_builder_end_array(builder);
	json_builder_end_object(builder);
}

static void add_security(JsonBuilder *builder, const AshRoute *route)
{
	ash_json_begin_array(builder, "security");
	if (route->role == ASH_ROLE_HOST) {
		add_scheme(builder, "host");
	} else if (route->role != ASH_ROLE_NONE) {
		add_scheme(builder, "token");
		add_scheme(builder, "session");
	}
	json_builder_end_array(builder);
	ash_json_add_text(builder, "x-role",
			route->role == ASH_ROLE_HOST   ? "host"
			: route->role == ASH_ROLE_NONE ? "none"
						       : ash_role_text(route->role));
}

static char *operation_id(const AshRoute *route)
{
	g_autoptr(GString) id = g_string_new(NULL);

	g_string_append(id, route->method);
	for (const char *at = route->pattern; *at != '\0'; at++)
		g_string_append_c(id, g_ascii_isalnum(*at) ? *at : '_');
	g_string_ascii_down(id);
	return g_string_free(g_steal_pointer(&id), FALSE);
}

static void add_operation(JsonBuilder *builder, const AshRoute *route)
{
	g_autofree char *method = g_ascii_strdown(route->method, -1);
	g_autofree char *id = operation_id(route);

	ash_json_begin_object(builder, method);
	ash_json_add_text(builder, "summary", route->summary);
	ash_json_add_text(builder, "operationId", id);
	add_security(builder, route);
	add_parameters(builder, route);
	add_body(builder, route);
	add_answers(builder, route);
	json_builder_end_object(builder);
}

/* OpenAPI has no name for "all the rest": it becomes an ordinary parameter. */
static char *path_of(const char *pattern)
{
	g_auto(GStrv) pieces = g_strsplit(pattern, "*}", -1);

	return g_strjoinv("}", pieces);
}

static void add_paths(JsonBuilder *builder, const AshRoute *const *routes)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	ash_json_begin_object(builder, "paths");
	for (size_t i = 0; routes[i] != NULL; i++)
		for (const AshRoute *route = routes[i]; route->method != NULL; route++) {
			union {
				const char *ours;
				gpointer theirs;
			} key = {.ours = route->pattern};
			if (!g_hash_table_add(seen, key.theirs))
				continue;
			g_autofree char *path = path_of(route->pattern);
			ash_json_begin_object(builder, path);
			for (size_t j = i; routes[j] != NULL; j++)
				for (const AshRoute *r = routes[j]; r->method != NULL; r++)
					if (strcmp(r->pattern, route->pattern) == 0)
						add_operation(builder, r);
			json_builder_end_object(builder);
		}
	json_builder_end_object(builder);
}

static void add_components(JsonBuilder *builder)
{
	static const char text[] =
			"{\"securitySchemes\":{"
			"\"token\":{\"type\":\"http\",\"scheme\":\"bearer\","
			"\"description\":\"an API token, ID.SECRET\"},"
			"\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"ashlar_session\","
			"\"description\":\"of POST /v1/session; changes send X-CSRF-Token too\"},"
			"\"host\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-Client-Cert\","
			"\"description\":\"a client certificate of this fleet, in the TLS handshake; as a "
			"header from the pinned proxy alone\"}},"
			"\"schemas\":{\"Error\":{\"type\":\"object\",\"required\":[\"kind\",\"text\"],"
			"\"properties\":{\"kind\":{\"type\":\"string\"},\"text\":{\"type\":\"string\"},"
			"\"next\":{\"type\":\"integer\"}}}},"
			"\"responses\":{\"Error\":{\"description\":\"what is wrong\",\"content\":{"
			"\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/Error\"}}}}}}";
	JsonNode *node = json_from_string(text, NULL);

	g_assert(node != NULL);
	json_builder_set_member_name(builder, "components");
	json_builder_add_value(builder, node);
}

char *ash_route_openapi(const AshRoute *const *routes)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "openapi", "3.0.3");
	ash_json_begin_object(builder, "info");
	ash_json_add_text(builder, "title", "Ashlar fleet");
	ash_json_add_text(builder, "version", ASH_VERSION);
	json_builder_end_object(builder);
	add_paths(builder, routes);
	add_components(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}
