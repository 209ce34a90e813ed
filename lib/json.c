/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json.h"

void ash_json_add_text(JsonBuilder *builder, const char *key, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	json_builder_set_member_name(builder, key);
	json_builder_add_string_value(builder, value);
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
