/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "builder/manifest.h"
#include "builder/schema.h"

/* The table of schema.c for others: as JSON Schema for editors, as scdoc for manifest(5). */

/* Text that holds a variable, of which a schema cannot know the value. */
#define VARIABLE_PATTERN "\\$\\{"

/* ---- JSON Schema --------------------------------------------------------------------------------- */

static void put(JsonBuilder *json, const char *name, const char *value)
{
	json_builder_set_member_name(json, name);
	json_builder_add_string_value(json, value);
}

/* A string of @form, or one that holds a variable, of which a schema cannot know the value. */
static void put_pattern(JsonBuilder *json, AshForm form)
{
	if (form == ASH_FORM_ANY)
		return;
	g_autofree char *pattern = g_strdup_printf(
			"^(?:%s)$|" VARIABLE_PATTERN, ash_form_pattern(form)->regex);
	put(json, "pattern", pattern);
}

static void put_types(JsonBuilder *json, const char *first, const char *second, const char *third)
{
	json_builder_set_member_name(json, "type");
	json_builder_begin_array(json);
	json_builder_add_string_value(json, first);
	json_builder_add_string_value(json, second);
	if (third != NULL)
		json_builder_add_string_value(json, third);
	json_builder_end_array(json);
}

/* Where a map stands, as not every key may stand everywhere. */
typedef enum {
	PLACE_ANY,
	PLACE_ARCH,
	PLACE_VARIANT,
} Place;

static bool is_allowed(const AshSchemaKey *key, Place place)
{
	if (place == PLACE_ANY || !(key->flags & ASH_SCHEMA_TOP_ONLY))
		return true;
	return place == PLACE_VARIANT && (key->flags & ASH_SCHEMA_IN_VARIANT);
}

static void put_keys(JsonBuilder *json, const AshSchemaKey *keys, Place place);

static void put_required(JsonBuilder *json, const AshSchemaKey *keys)
{
	bool has_any = false;

	for (const AshSchemaKey *key = keys; key->name != NULL; key++)
		has_any = has_any || (key->flags & ASH_SCHEMA_REQUIRED);
	if (!has_any)
		return;
	json_builder_set_member_name(json, "required");
	json_builder_begin_array(json);
	for (const AshSchemaKey *key = keys; key->name != NULL; key++)
		if (key->flags & ASH_SCHEMA_REQUIRED)
			json_builder_add_string_value(json, key->name);
	json_builder_end_array(json);
}

static void put_choices(JsonBuilder *json, const AshSchemaKey *key)
{
	json_builder_set_member_name(json, "anyOf");
	json_builder_begin_array(json);
	json_builder_begin_object(json);
	json_builder_set_member_name(json, "enum");
	json_builder_begin_array(json);
	for (size_t i = 0; key->choices[i] != NULL; i++)
		json_builder_add_string_value(json, key->choices[i]);
	json_builder_end_array(json);
	json_builder_end_object(json);
	json_builder_begin_object(json);
	put(json, "type", "string");
	put(json, "pattern", VARIABLE_PATTERN);
	json_builder_end_object(json);
	json_builder_end_array(json);
}

static void put_number(JsonBuilder *json, const AshSchemaKey *key)
{
	put_types(json, "integer", "string", NULL);
	put(json, "pattern", VARIABLE_PATTERN);
	json_builder_set_member_name(json, "minimum");
	json_builder_add_int_value(json, 0);
	json_builder_set_member_name(json, "maximum");
	json_builder_add_int_value(json, (gint64) key->max);
}

static void put_list(JsonBuilder *json, const AshSchemaKey *key)
{
	put(json, "type", "array");
	json_builder_set_member_name(json, "items");
	json_builder_begin_object(json);
	if (key->object != NULL) {
		put_keys(json, key->object->keys, PLACE_ANY);
	} else {
		put_types(json, "string", "number", "boolean");
		put_pattern(json, key->form);
	}
	json_builder_end_object(json);
}

static void put_names(JsonBuilder *json, const AshSchemaKey *key)
{
	g_autofree char *pattern = g_strdup_printf("^(?:%s)$", ash_form_pattern(key->form)->regex);

	put(json, "type", "object");
	json_builder_set_member_name(json, "propertyNames");
	json_builder_begin_object(json);
	put(json, "pattern", pattern);
	json_builder_end_object(json);
	json_builder_set_member_name(json, "additionalProperties");
	json_builder_begin_object(json);
	if (key->type == ASH_SCHEMA_PARTS)
		put(json, "$ref",
				key->form == ASH_FORM_ARCH ? "#/$defs/architecture"
							   : "#/$defs/variant");
	else
		put_types(json, "string", "number", "boolean");
	json_builder_end_object(json);
}

static void put_type(JsonBuilder *json, const AshSchemaKey *key)
{
	switch (key->type) {
	case ASH_SCHEMA_TEXT:
		put_types(json, "string", "number", "boolean");
		put_pattern(json, key->form);
		return;
	case ASH_SCHEMA_MODE:
		put_types(json, "string", "integer", NULL);
		put_pattern(json, key->form);
		return;
	case ASH_SCHEMA_BOOL:
		put_types(json, "boolean", "string", NULL);
		put(json, "pattern", VARIABLE_PATTERN);
		return;
	case ASH_SCHEMA_NUMBER:
	case ASH_SCHEMA_ID:
		put_number(json, key);
		return;
	case ASH_SCHEMA_CHOICE:
		put_choices(json, key);
		return;
	case ASH_SCHEMA_WORDS:
	case ASH_SCHEMA_TEXTS:
	case ASH_SCHEMA_ITEMS:
		put_list(json, key);
		return;
	case ASH_SCHEMA_OBJECT:
		put_keys(json, key->object->keys, PLACE_ANY);
		return;
	case ASH_SCHEMA_VARIABLES:
	case ASH_SCHEMA_PARTS:
		put_names(json, key);
		return;
	}
	g_assert_not_reached();
}

/* The default as a value of the key's own type. */
static void put_default(JsonBuilder *json, const AshSchemaKey *key)
{
	if (key->default_text == NULL || (key->flags & ASH_SCHEMA_DEFAULT_IS_WORDS))
		return;
	json_builder_set_member_name(json, "default");
	if (key->type == ASH_SCHEMA_BOOL)
		json_builder_add_boolean_value(json, strcmp(key->default_text, "true") == 0);
	else if (key->type == ASH_SCHEMA_NUMBER)
		json_builder_add_int_value(
				json, (gint64) g_ascii_strtoull(key->default_text, NULL, 10));
	else
		json_builder_add_string_value(json, key->default_text);
}

/* The members of a schema for a map with @keys. */
static void put_keys(JsonBuilder *json, const AshSchemaKey *keys, Place place)
{
	put(json, "type", "object");
	json_builder_set_member_name(json, "additionalProperties");
	json_builder_add_boolean_value(json, FALSE);
	json_builder_set_member_name(json, "properties");
	json_builder_begin_object(json);
	for (const AshSchemaKey *key = keys; key->name != NULL; key++) {
		if (!is_allowed(key, place))
			continue;
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

static void put_definition(JsonBuilder *json, const char *name, Place place)
{
	json_builder_set_member_name(json, name);
	json_builder_begin_object(json);
	put_keys(json, ash_schema_manifest, place);
	json_builder_end_object(json);
}

char *ash_manifest_schema_json(void)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autoptr(JsonGenerator) generator = json_generator_new();

	json_builder_begin_object(json);
	put(json, "$schema", "https://json-schema.org/draft/2020-12/schema");
	put(json, "title", "Ashlar manifest");
	put(json, "description", "What goes into an OS tree or a workload image; see manifest(5).");
	put_keys(json, ash_schema_manifest, PLACE_ANY);
	json_builder_set_member_name(json, "$defs");
	json_builder_begin_object(json);
	put_definition(json, "architecture", PLACE_ARCH);
	put_definition(json, "variant", PLACE_VARIANT);
	json_builder_end_object(json);
	json_builder_end_object(json);

	g_autoptr(JsonNode) root = json_builder_get_root(json);
	json_generator_set_root(generator, root);
	json_generator_set_pretty(generator, TRUE);
	g_autofree char *text = json_generator_to_data(generator, NULL);
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

static void describe_type(GString *out, const AshSchemaKey *key)
{
	static const char *const types[] = {
			[ASH_SCHEMA_TEXT] = "text",
			[ASH_SCHEMA_BOOL] = "true or false",
			[ASH_SCHEMA_NUMBER] = "number",
			[ASH_SCHEMA_ID] = "number",
			[ASH_SCHEMA_MODE] = "octal number",
			[ASH_SCHEMA_CHOICE] = "one of ",
			[ASH_SCHEMA_WORDS] = "list of text",
			[ASH_SCHEMA_TEXTS] = "list of text",
			[ASH_SCHEMA_ITEMS] = "list of maps",
			[ASH_SCHEMA_OBJECT] = "map",
			[ASH_SCHEMA_VARIABLES] = "map of text",
			[ASH_SCHEMA_PARTS] = "map of maps",
	};

	g_string_append_printf(out, " (%s", types[key->type]);
	if (key->type == ASH_SCHEMA_CHOICE) {
		g_autofree char *choices = g_strjoinv(", ", (char **) (guintptr) key->choices);
		escape(out, choices);
	}
	if (key->type == ASH_SCHEMA_NUMBER || key->type == ASH_SCHEMA_ID)
		g_string_append_printf(out, " up to %" PRIu64, key->max);
	if (key->flags & ASH_SCHEMA_REQUIRED)
		g_string_append(out, "; required");
	if (key->default_text != NULL) {
		g_string_append(out, "; default: ");
		escape(out, key->default_text);
	}
	g_string_append(out, ")\n");
}

static bool is_list(const AshSchemaKey *key)
{
	return key->type == ASH_SCHEMA_WORDS || key->type == ASH_SCHEMA_TEXTS;
}

static void describe_form(GString *out, const AshSchemaKey *key, unsigned depth)
{
	bool says_something = key->type == ASH_SCHEMA_TEXT || key->type == ASH_SCHEMA_MODE ||
			      key->type == ASH_SCHEMA_VARIABLES || key->type == ASH_SCHEMA_PARTS ||
			      is_list(key);

	if (!says_something || key->form == ASH_FORM_ANY)
		return;
	g_string_append_c(out, '\n');
	tabs(out, depth);
	g_string_append(out, key->type == ASH_SCHEMA_VARIABLES || key->type == ASH_SCHEMA_PARTS
					     ? "Each key is "
			     : is_list(key) ? "Each item is "
					    : "The value is ");
	escape(out, ash_form_expected(key->form));
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

static void print_keys(GString *out, const AshSchemaKey *keys, unsigned depth)
{
	for (const AshSchemaKey *key = keys; key->name != NULL; key++) {
		tabs(out, depth);
		g_string_append_printf(out, "*%s*", key->name);
		describe_type(out, key);
		tabs(out, depth + 1);
		escape(out, key->doc);
		if (key->flags & ASH_SCHEMA_IN_VARIANT)
			g_string_append(out, " At the top level and inside variants only\\.");
		else if (key->flags & ASH_SCHEMA_TOP_ONLY)
			g_string_append(out, " At the top level only\\.");
		g_string_append_c(out, '\n');
		describe_form(out, key, depth + 1);
		print_example(out, key->example, depth + 1);
		g_string_append_c(out, '\n');
		if (key->object != NULL)
			print_keys(out, key->object->keys, depth + 1);
	}
}

char *ash_manifest_schema_scdoc(void)
{
	GString *out = g_string_new(NULL);

	print_keys(out, ash_schema_manifest, 0);
	return g_string_free(out, FALSE);
}
