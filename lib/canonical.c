/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/canonical.h"

#include <gio/gio.h>
#include <string.h>

#include "lib/error.h"

static gboolean append_node(GString *text, JsonNode *node, GError **error);

/* Control characters stand as they are: OLPC's form, unlike JSON, knows two escapes only. */
static void append_string(GString *text, const char *string)
{
	g_string_append_c(text, '"');
	for (const char *c = string; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			g_string_append_c(text, '\\');
		g_string_append_c(text, *c);
	}
	g_string_append_c(text, '"');
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(a, b);
}

static gboolean append_object(GString *text, JsonObject *object, GError **error)
{
	g_autoptr(GList) names = g_list_sort(json_object_get_members(object), compare_names);

	g_string_append_c(text, '{');
	for (GList *i = names; i != NULL; i = i->next) {
		if (i != names)
			g_string_append_c(text, ',');
		append_string(text, i->data);
		g_string_append_c(text, ':');
		if (!append_node(text, json_object_get_member(object, i->data), error))
			return FALSE;
	}
	g_string_append_c(text, '}');
	return TRUE;
}

static gboolean append_array(GString *text, JsonArray *array, GError **error)
{
	g_string_append_c(text, '[');
	for (guint i = 0; i < json_array_get_length(array); i++) {
		if (i > 0)
			g_string_append_c(text, ',');
		if (!append_node(text, json_array_get_element(array, i), error))
			return FALSE;
	}
	g_string_append_c(text, ']');
	return TRUE;
}

static gboolean append_value(GString *text, JsonNode *node, GError **error)
{
	GType type = json_node_get_value_type(node);

	if (type == G_TYPE_STRING)
		append_string(text, json_node_get_string(node));
	else if (type == G_TYPE_BOOLEAN)
		g_string_append(text, json_node_get_boolean(node) ? "true" : "false");
	else if (type == G_TYPE_INT64)
		g_string_append_printf(text, "%" G_GINT64_FORMAT, json_node_get_int(node));
	else
		return ash_throw(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
				"a number that is not an integer has no canonical form");
	return TRUE;
}

static gboolean append_node(GString *text, JsonNode *node, GError **error)
{
	switch (json_node_get_node_type(node)) {
	case JSON_NODE_OBJECT:
		return append_object(text, json_node_get_object(node), error);
	case JSON_NODE_ARRAY:
		return append_array(text, json_node_get_array(node), error);
	case JSON_NODE_VALUE:
		return append_value(text, node, error);
	case JSON_NODE_NULL:
		break;
	}
	g_string_append(text, "null");
	return TRUE;
}

gboolean ash_canonical_json(JsonNode *node, char **out_text, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);

	if (!append_node(text, node, error))
		return FALSE;
	*out_text = g_string_free(g_steal_pointer(&text), FALSE);
	return TRUE;
}
