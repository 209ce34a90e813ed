/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json.h"

#include "lib/error.h"

void ash_json_add_text(JsonBuilder *builder, const char *key, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	ash_json_add_string(builder, key, value);
}

void ash_json_add_string(JsonBuilder *builder, const char *key, const char *value)
{
	json_builder_set_member_name(builder, key);
	json_builder_add_string_value(builder, value != NULL ? value : "");
}

void ash_json_add_uint(JsonBuilder *builder, const char *key, uint64_t value)
{
	ash_json_add_int(builder, key, (int64_t) value);
}

void ash_json_add_int(JsonBuilder *builder, const char *key, int64_t value)
{
	json_builder_set_member_name(builder, key);
	json_builder_add_int_value(builder, value);
}

void ash_json_add_bool(JsonBuilder *builder, const char *key, bool value)
{
	json_builder_set_member_name(builder, key);
	json_builder_add_boolean_value(builder, value);
}

void ash_json_add_texts(JsonBuilder *builder, const char *key, char *const *values)
{
	ash_json_begin_array(builder, key);
	for (; values != NULL && *values != NULL; values++)
		json_builder_add_string_value(builder, *values);
	json_builder_end_array(builder);
}

void ash_json_begin_array(JsonBuilder *builder, const char *key)
{
	json_builder_set_member_name(builder, key);
	json_builder_begin_array(builder);
}

void ash_json_begin_object(JsonBuilder *builder, const char *key)
{
	json_builder_set_member_name(builder, key);
	json_builder_begin_object(builder);
}

char *ash_json_format(JsonBuilder *builder, bool is_pretty)
{
	g_autoptr(JsonNode) root = json_builder_get_root(builder);
	g_autofree char *text = json_to_string(root, is_pretty);

	return g_strconcat(text, "\n", NULL);
}

G_DEFINE_QUARK(ash_json_error, ash_json_error)

/* ---- reading ---- */

/* Sets *out_node to NULL where @key is missing and may be. */
static gboolean find_value(JsonObject *object, const char *key, bool is_optional, GType type,
		const char *kind, JsonNode **out_node, GError **error)
{
	JsonNode *node = json_object_get_member(object, key);

	if (node == NULL && !is_optional)
		return ash_throw(
				error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE, "'%s' is missing", key);
	if (node != NULL &&
			(!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != type))
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE, "'%s' is not %s", key,
				kind);
	*out_node = node;
	return TRUE;
}

static gboolean read_text(JsonObject *object, const char *key, bool is_optional,
		const char **out_value, GError **error)
{
	JsonNode *node = NULL;

	if (!find_value(object, key, is_optional, G_TYPE_STRING, "a string", &node, error))
		return FALSE;
	if (node != NULL)
		*out_value = json_node_get_string(node);
	return TRUE;
}

gboolean ash_json_text(JsonObject *object, const char *key, const char **out_value, GError **error)
{
	return read_text(object, key, false, out_value, error);
}

gboolean ash_json_text_opt(
		JsonObject *object, const char *key, const char **out_value, GError **error)
{
	return read_text(object, key, true, out_value, error);
}

static gboolean read_uint(JsonObject *object, const char *key, bool is_optional, uint64_t max,
		uint64_t *out_value, GError **error)
{
	JsonNode *node = NULL;

	if (!find_value(object, key, is_optional, G_TYPE_INT64, "an integer", &node, error))
		return FALSE;
	if (node == NULL)
		return TRUE;
	gint64 value = json_node_get_int(node);
	if (value < 0 || (uint64_t) value > max)
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE, "'%s' is out of range",
				key);
	*out_value = (uint64_t) value;
	return TRUE;
}

gboolean ash_json_uint(JsonObject *object, const char *key, uint64_t max, uint64_t *out_value,
		GError **error)
{
	return read_uint(object, key, false, max, out_value, error);
}

gboolean ash_json_uint_opt(JsonObject *object, const char *key, uint64_t max, uint64_t *out_value,
		GError **error)
{
	return read_uint(object, key, true, max, out_value, error);
}

gboolean ash_json_int_opt(JsonObject *object, const char *key, int64_t *out_value, GError **error)
{
	JsonNode *node = NULL;

	if (!find_value(object, key, true, G_TYPE_INT64, "an integer", &node, error))
		return FALSE;
	if (node != NULL)
		*out_value = json_node_get_int(node);
	return TRUE;
}

gboolean ash_json_bool_opt(JsonObject *object, const char *key, bool *out_value, GError **error)
{
	JsonNode *node = NULL;

	if (!find_value(object, key, true, G_TYPE_BOOLEAN, "true or false", &node, error))
		return FALSE;
	if (node != NULL)
		*out_value = json_node_get_boolean(node);
	return TRUE;
}

static gboolean find_container(JsonObject *object, const char *key, JsonNodeType type,
		const char *kind, JsonNode **out_node, GError **error)
{
	JsonNode *node = json_object_get_member(object, key);

	if (node == NULL)
		return ash_throw(
				error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE, "'%s' is missing", key);
	if (json_node_get_node_type(node) != type)
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE, "'%s' is not %s", key,
				kind);
	*out_node = node;
	return TRUE;
}

gboolean ash_json_object(
		JsonObject *object, const char *key, JsonObject **out_value, GError **error)
{
	JsonNode *node = NULL;

	if (!find_container(object, key, JSON_NODE_OBJECT, "an object", &node, error))
		return FALSE;
	*out_value = json_node_get_object(node);
	return TRUE;
}

gboolean ash_json_array(JsonObject *object, const char *key, JsonArray **out_value, GError **error)
{
	JsonNode *node = NULL;

	if (!find_container(object, key, JSON_NODE_ARRAY, "an array", &node, error))
		return FALSE;
	*out_value = json_node_get_array(node);
	return TRUE;
}

/* ---- questions ---- */

static JsonNode *find_scalar(JsonObject *object, const char *key, GType type)
{
	JsonNode *node = object != NULL ? json_object_get_member(object, key) : NULL;

	return node != NULL && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == type
			       ? node
			       : NULL;
}

const char *ash_json_find_text(JsonObject *object, const char *key)
{
	JsonNode *node = find_scalar(object, key, G_TYPE_STRING);

	return node != NULL ? json_node_get_string(node) : NULL;
}

bool ash_json_find_bool(JsonObject *object, const char *key)
{
	JsonNode *node = find_scalar(object, key, G_TYPE_BOOLEAN);

	return node != NULL && json_node_get_boolean(node);
}

uint64_t ash_json_find_uint(JsonObject *object, const char *key)
{
	JsonNode *node = find_scalar(object, key, G_TYPE_INT64);

	return node != NULL ? (uint64_t) MAX(json_node_get_int(node), 0) : 0;
}

JsonObject *ash_json_find_object(JsonObject *object, const char *key)
{
	JsonNode *node = object != NULL ? json_object_get_member(object, key) : NULL;

	return node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

JsonArray *ash_json_find_objects(JsonObject *object, const char *key)
{
	JsonNode *node = object != NULL ? json_object_get_member(object, key) : NULL;
	JsonArray *array = node != NULL && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node)
								       : NULL;

	for (guint i = 0; array != NULL && i < json_array_get_length(array); i++)
		if (!JSON_NODE_HOLDS_OBJECT(json_array_get_element(array, i)))
			return NULL;
	return array != NULL && json_array_get_length(array) > 0 ? array : NULL;
}
