/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/workload-schema.h"

#include <inttypes.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "lib/workload-key.h"

/* ---- JSON Schema --------------------------------------------------------------------------------- */

static void put(JsonBuilder *json, const char *name, const char *value)
{
	json_builder_set_member_name(json, name);
	json_builder_add_string_value(json, value);
}

static void put_int(JsonBuilder *json, const char *name, uint64_t value)
{
	json_builder_set_member_name(json, name);
	json_builder_add_int_value(json, (gint64) value);
}

/* What YAML may take for a number or a truth is text here all the same. */
static void put_scalar(JsonBuilder *json)
{
	json_builder_set_member_name(json, "type");
	json_builder_begin_array(json);
	json_builder_add_string_value(json, "string");
	json_builder_add_string_value(json, "number");
	json_builder_add_string_value(json, "boolean");
	json_builder_end_array(json);
}

static void put_form(JsonBuilder *json, AshWorkloadForm form)
{
	put_scalar(json);
	if (form == ASH_WORKLOAD_FORM_ANY)
		return;
	g_autofree char *pattern =
			g_strdup_printf("^(?:%s)$", ash_workload_form_pattern(form)->regex);
	put(json, "pattern", pattern);
}

static void put_enum(JsonBuilder *json, const char *const *choices)
{
	json_builder_set_member_name(json, "enum");
	json_builder_begin_array(json);
	for (; *choices != NULL; choices++)
		json_builder_add_string_value(json, *choices);
	json_builder_end_array(json);
}

static void put_keys(JsonBuilder *json, const AshWorkloadKey *keys);

static void put_list(JsonBuilder *json, const AshWorkloadKey *key)
{
	put(json, "type", "array");
	put_int(json, "maxItems", key->max);
	if (key->flags & ASH_WORKLOAD_KEY_SOME)
		put_int(json, "minItems", 1);
	json_builder_set_member_name(json, "items");
	json_builder_begin_object(json);
	if (key->keys != NULL)
		put_keys(json, key->keys);
	else
		put_form(json, key->form);
	json_builder_end_object(json);
}

static void put_variables(JsonBuilder *json, const AshWorkloadKey *key)
{
	g_autofree char *pattern =
			g_strdup_printf("^(?:%s)$", ash_workload_form_pattern(key->form)->regex);

	put(json, "type", "object");
	put_int(json, "maxProperties", key->max);
	json_builder_set_member_name(json, "propertyNames");
	json_builder_begin_object(json);
	put(json, "pattern", pattern);
	json_builder_end_object(json);
	json_builder_set_member_name(json, "additionalProperties");
	json_builder_begin_object(json);
	put_scalar(json);
	json_builder_end_object(json);
}

/* One word in its place: of @key itself, or of the key that it stands for. */
static void put_map(JsonBuilder *json, const AshWorkloadKey *key)
{
	if (key->word == NULL) {
		put_keys(json, key->keys);
		return;
	}
	const AshWorkloadKey *inner =
			*key->word != '\0' ? ash_workload_key_find(key->keys, key->word) : key;
	json_builder_set_member_name(json, "anyOf");
	json_builder_begin_array(json);
	json_builder_begin_object(json);
	put_enum(json, inner->choices);
	json_builder_end_object(json);
	json_builder_begin_object(json);
	put_keys(json, key->keys);
	json_builder_end_object(json);
	json_builder_end_array(json);
}

static void put_type(JsonBuilder *json, const AshWorkloadKey *key)
{
	switch (key->type) {
	case ASH_WORKLOAD_TEXT:
	case ASH_WORKLOAD_CPU:
	case ASH_WORKLOAD_SIZE:
	case ASH_WORKLOAD_DURATION:
	case ASH_WORKLOAD_IMAGE:
		put_form(json, key->form);
		return;
	case ASH_WORKLOAD_BOOL:
		put(json, "type", "boolean");
		return;
	case ASH_WORKLOAD_NUMBER:
		put(json, "type", "integer");
		put_int(json, "minimum", key->min);
		put_int(json, "maximum", key->max);
		return;
	case ASH_WORKLOAD_INTEGER:
		put(json, "type", "integer");
		return;
	case ASH_WORKLOAD_CHOICE:
	case ASH_WORKLOAD_SWITCH:
		put_enum(json, key->choices);
		return;
	case ASH_WORKLOAD_TEXTS:
	case ASH_WORKLOAD_SET:
	case ASH_WORKLOAD_MADE:
	case ASH_WORKLOAD_ITEMS:
		put_list(json, key);
		return;
	case ASH_WORKLOAD_VARIABLES:
		put_variables(json, key);
		return;
	case ASH_WORKLOAD_MAP:
		put_map(json, key);
		return;
	case ASH_WORKLOAD_HEALTH:
		put(json, "type", "object");
		return;
	}
	g_assert_not_reached();
}

/* The default as a value of the key's own type. */
static void put_default(JsonBuilder *json, const AshWorkloadKey *key)
{
	if (key->default_text == NULL || *key->default_text == '\0')
		return;
	json_builder_set_member_name(json, "default");
	if (key->type == ASH_WORKLOAD_BOOL)
		json_builder_add_boolean_value(json, strcmp(key->default_text, "true") == 0);
	else if (key->type == ASH_WORKLOAD_NUMBER)
		json_builder_add_int_value(
				json, (gint64) g_ascii_strtoull(key->default_text, NULL, 10));
	else
		json_builder_add_string_value(json, key->default_text);
}

static void put_required(JsonBuilder *json, const AshWorkloadKey *keys)
{
	bool has_any = false;

	for (const AshWorkloadKey *key = keys; key->name != NULL; key++)
		has_any = has_any || (key->flags & ASH_WORKLOAD_KEY_REQUIRED);
	if (!has_any)
		return;
	json_builder_set_member_name(json, "required");
	json_builder_begin_array(json);
	for (const AshWorkloadKey *key = keys; key->name != NULL; key++)
		if (key->flags & ASH_WORKLOAD_KEY_REQUIRED)
			json_builder_add_string_value(json, key->name);
	json_builder_end_array(json);
}

/* The members of a schema for a map with @keys. */
static void put_keys(JsonBuilder *json, const AshWorkloadKey *keys)
{
	put(json, "type", "object");
	json_builder_set_member_name(json, "additionalProperties");
	json_builder_add_boolean_value(json, FALSE);
	json_builder_set_member_name(json, "properties");
	json_builder_begin_object(json);
	for (const AshWorkloadKey *key = keys; key->name != NULL; key++) {
		json_builder_set_member_name(json, key->name);
		json_builder_begin_object(json);
		put(json, "description", key->doc);
		put_type(json, key);
		put_default(json, key);
		json_builder_end_object(json);
	}
	json_builder_end_object(json);
	put_required(json, keys);
}

char *ash_workload_schema_json(void)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	put(json, "$schema", "https://json-schema.org/draft/2020-12/schema");
	put(json, "title", "Ashlar workload");
	put(json, "description", "A service and all that it may touch; see workload(5).");
	put_keys(json, ash_workload_keys);
	json_builder_end_object(json);
	g_autoptr(JsonNode) root = json_builder_get_root(json);
	g_autofree char *text = json_to_string(root, TRUE);
	return g_strconcat(text, "\n", NULL);
}

/* ---- scdoc --------------------------------------------------------------------------------------- */

static void tabs(GString *out, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		g_string_append_c(out, '\t');
}

/* Text in which nothing is markup. */
static void escape(GString *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (strchr("*_\\#`[]|.<>", *p) != NULL)
			g_string_append_c(out, '\\');
		g_string_append_c(out, *p);
	}
}

static bool is_list(const AshWorkloadKey *key)
{
	return key->type == ASH_WORKLOAD_TEXTS || key->type == ASH_WORKLOAD_SET ||
	       key->type == ASH_WORKLOAD_MADE;
}

static void describe_type(GString *out, const AshWorkloadKey *key)
{
	static const char *const types[] = {
			[ASH_WORKLOAD_TEXT] = "text",
			[ASH_WORKLOAD_BOOL] = "true or false",
			[ASH_WORKLOAD_NUMBER] = "number",
			[ASH_WORKLOAD_INTEGER] = "number",
			[ASH_WORKLOAD_CPU] = "number",
			[ASH_WORKLOAD_SIZE] = "size",
			[ASH_WORKLOAD_DURATION] = "duration",
			[ASH_WORKLOAD_CHOICE] = "one of ",
			[ASH_WORKLOAD_SWITCH] = "one of ",
			[ASH_WORKLOAD_TEXTS] = "list of text",
			[ASH_WORKLOAD_SET] = "list of text",
			[ASH_WORKLOAD_VARIABLES] = "map of text",
			[ASH_WORKLOAD_MADE] = "list of text",
			[ASH_WORKLOAD_ITEMS] = "list of maps",
			[ASH_WORKLOAD_MAP] = "map",
			[ASH_WORKLOAD_IMAGE] = "text",
			[ASH_WORKLOAD_HEALTH] = "map",
	};

	g_string_append_printf(out, " (%s%s", key->word != NULL ? "one word, or a " : "",
			types[key->type]);
	if (key->type == ASH_WORKLOAD_CHOICE || key->type == ASH_WORKLOAD_SWITCH) {
		g_autofree char *choices = g_strjoinv(", ", (char **) (guintptr) key->choices);
		escape(out, choices);
	}
	if (key->type == ASH_WORKLOAD_NUMBER)
		g_string_append_printf(out, " from %" PRIu64 " to %" PRIu64, key->min, key->max);
	if (key->flags & ASH_WORKLOAD_KEY_REQUIRED)
		g_string_append(out, "; required");
	const char *otherwise = key->default_words != NULL ? key->default_words : key->default_text;
	if (otherwise != NULL && *otherwise != '\0' && !(key->flags & ASH_WORKLOAD_KEY_REQUIRED)) {
		g_string_append(out, "; default: ");
		escape(out, otherwise);
	}
	g_string_append(out, ")\n");
}

static void describe_form(GString *out, const AshWorkloadKey *key, unsigned depth)
{
	bool says_something = key->type == ASH_WORKLOAD_TEXT || key->type == ASH_WORKLOAD_IMAGE ||
			      key->type == ASH_WORKLOAD_VARIABLES || is_list(key);

	if (!says_something || key->form == ASH_WORKLOAD_FORM_ANY)
		return;
	g_string_append_c(out, '\n');
	tabs(out, depth);
	g_string_append(out, key->type == ASH_WORKLOAD_VARIABLES ? "Each key is "
			     : is_list(key)                      ? "Each item is "
								 : "The value is ");
	escape(out, ash_workload_form_expected(key->form));
	g_string_append(out, "\\.\n");
}

static void print_example(GString *out, const char *example, unsigned depth)
{
	g_auto(GStrv) lines = g_strsplit(example, "\n", -1);

	g_string_append_c(out, '\n');
	tabs(out, depth);
	g_string_append(out, "```\n");
	for (char **line = lines; *line != NULL; line++) {
		tabs(out, depth);
		g_string_append_printf(out, "%s\n", *line);
	}
	tabs(out, depth);
	g_string_append(out, "```\n");
}

static void print_keys(GString *out, const AshWorkloadKey *keys, unsigned depth)
{
	for (const AshWorkloadKey *key = keys; key->name != NULL; key++) {
		tabs(out, depth);
		g_string_append_printf(out, "*%s*", key->name);
		describe_type(out, key);
		tabs(out, depth + 1);
		escape(out, key->doc);
		g_string_append_c(out, '\n');
		describe_form(out, key, depth + 1);
		print_example(out, key->example, depth + 1);
		g_string_append_c(out, '\n');
		if (key->keys != NULL)
			print_keys(out, key->keys, depth + 1);
	}
}

char *ash_workload_schema_scdoc(void)
{
	GString *out = g_string_new(NULL);

	print_keys(out, ash_workload_keys, 0);
	return g_string_free(out, FALSE);
}
