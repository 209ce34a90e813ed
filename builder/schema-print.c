/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "builder/key-doc.h"
#include "builder/manifest.h"
#include "builder/schema.h"
#include "lib/json.h"

/* The table of schema.c for others: as JSON Schema for editors, as scdoc for manifest(5). */

/* Text that holds a variable, of which a schema cannot know the value. */
#define VARIABLE_PATTERN "\\$\\{"

static const AshKeyDocTable table;

/* ---- which values a key takes --------------------------------------------------------------------- */

static void put_variable(JsonBuilder *json)
{
	ash_json_add_string(json, "pattern", VARIABLE_PATTERN);
}

static void put_form(JsonBuilder *json, AshForm form)
{
	ash_key_doc_put_pattern(json, ash_form_pattern(form), VARIABLE_PATTERN);
}

static void put_types(JsonBuilder *json, const char *first, const char *second)
{
	ash_json_begin_array(json, "type");
	json_builder_add_string_value(json, first);
	json_builder_add_string_value(json, second);
	json_builder_end_array(json);
}

static void put_choices(JsonBuilder *json, const AshSchemaKey *key)
{
	ash_json_begin_array(json, "anyOf");
	json_builder_begin_object(json);
	ash_key_doc_put_enum(json, key->choices);
	json_builder_end_object(json);
	json_builder_begin_object(json);
	ash_json_add_string(json, "type", "string");
	put_variable(json);
	json_builder_end_object(json);
	json_builder_end_array(json);
}

static void put_number(JsonBuilder *json, const AshSchemaKey *key)
{
	put_types(json, "integer", "string");
	put_variable(json);
	ash_json_add_uint(json, "minimum", 0);
	ash_json_add_uint(json, "maximum", key->max);
}

static void put_list(JsonBuilder *json, const AshSchemaKey *key)
{
	ash_json_add_string(json, "type", "array");
	ash_json_begin_object(json, "items");
	if (key->object != NULL) {
		ash_key_doc_put_keys(json, &table, key->object->keys, NULL);
	} else {
		ash_key_doc_put_text(json);
		put_form(json, key->form);
	}
	json_builder_end_object(json);
}

static void put_names(JsonBuilder *json, const AshSchemaKey *key)
{
	ash_json_add_string(json, "type", "object");
	ash_key_doc_put_names(json, ash_form_pattern(key->form));
	ash_json_begin_object(json, "additionalProperties");
	if (key->type == ASH_SCHEMA_PARTS)
		ash_json_add_string(json, "$ref",
				key->form == ASH_FORM_ARCH ? "#/$defs/architecture"
							   : "#/$defs/variant");
	else
		ash_key_doc_put_text(json);
	json_builder_end_object(json);
}

static void put_type(JsonBuilder *json, const void *data)
{
	const AshSchemaKey *key = data;

	switch (key->type) {
	case ASH_SCHEMA_TEXT:
		ash_key_doc_put_text(json);
		put_form(json, key->form);
		return;
	case ASH_SCHEMA_MODE:
		put_types(json, "string", "integer");
		put_form(json, key->form);
		return;
	case ASH_SCHEMA_BOOL:
		put_types(json, "boolean", "string");
		put_variable(json);
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
		ash_key_doc_put_keys(json, &table, key->object->keys, NULL);
		return;
	case ASH_SCHEMA_VARIABLES:
	case ASH_SCHEMA_PARTS:
		put_names(json, key);
		return;
	}
	g_assert_not_reached();
}

/* ---- what people are told of it -------------------------------------------------------------------- */

static const struct {
	const char *words, *form_of;
} types[] = {
		[ASH_SCHEMA_TEXT] = {"text", "The value"},
		[ASH_SCHEMA_BOOL] = {"true or false"},
		[ASH_SCHEMA_NUMBER] = {"number"},
		[ASH_SCHEMA_ID] = {"number"},
		[ASH_SCHEMA_MODE] = {"octal number", "The value"},
		[ASH_SCHEMA_CHOICE] = {"one of "},
		[ASH_SCHEMA_WORDS] = {"list of text", "Each item"},
		[ASH_SCHEMA_TEXTS] = {"list of text", "Each item"},
		[ASH_SCHEMA_ITEMS] = {"list of maps"},
		[ASH_SCHEMA_OBJECT] = {"map"},
		[ASH_SCHEMA_VARIABLES] = {"map of text", "Each key"},
		[ASH_SCHEMA_PARTS] = {"map of maps", "Each key"},
};

static char *type_of(const void *data)
{
	const AshSchemaKey *key = data;
	const char *words = types[key->type].words;

	if (key->type == ASH_SCHEMA_NUMBER || key->type == ASH_SCHEMA_ID)
		return g_strdup_printf("%s up to %" PRIu64, words, key->max);
	if (key->type != ASH_SCHEMA_CHOICE)
		return g_strdup(words);
	g_autofree char *choices = g_strjoinv(", ", (char **) (guintptr) key->choices);
	return g_strconcat(words, choices, NULL);
}

static AshKeyDoc describe(const void *data)
{
	const AshSchemaKey *key = data;
	bool is_words = key->flags & ASH_SCHEMA_DEFAULT_IS_WORDS;

	return (AshKeyDoc){
			.name = key->name,
			.doc = key->doc,
			.place = key->flags & ASH_SCHEMA_IN_VARIANT
						 ? "At the top level and inside variants only."
				 : key->flags & ASH_SCHEMA_TOP_ONLY ? "At the top level only."
								    : NULL,
			.example = key->example,
			.default_value = is_words ? NULL : key->default_text,
			.default_type = key->type == ASH_SCHEMA_BOOL     ? G_TYPE_BOOLEAN
					: key->type == ASH_SCHEMA_NUMBER ? G_TYPE_INT64
									 : G_TYPE_STRING,
			.default_words = key->default_text,
			.form_of = types[key->type].form_of,
			.form = ash_form_pattern(key->form),
			.keys = key->object != NULL ? key->object->keys : NULL,
			.is_required = key->flags & ASH_SCHEMA_REQUIRED,
	};
}

/* ---- where a key may stand ------------------------------------------------------------------------- */

static bool is_in_architecture(const void *data)
{
	return !(((const AshSchemaKey *) data)->flags & ASH_SCHEMA_TOP_ONLY);
}

static bool is_in_variant(const void *data)
{
	return is_in_architecture(data) ||
	       ((const AshSchemaKey *) data)->flags & ASH_SCHEMA_IN_VARIANT;
}

static void put_part(JsonBuilder *json, const char *name, bool (*is_here)(const void *key))
{
	ash_json_begin_object(json, name);
	ash_key_doc_put_keys(json, &table, ash_schema_manifest, is_here);
	json_builder_end_object(json);
}

static void put_definitions(JsonBuilder *json)
{
	put_part(json, "architecture", is_in_architecture);
	put_part(json, "variant", is_in_variant);
}

static const AshKeyDocTable table = {
		.title = "Ashlar manifest",
		.description = "What goes into an OS tree or a workload image; see manifest(5).",
		.keys = ash_schema_manifest,
		.key_size = sizeof(AshSchemaKey),
		.describe = describe,
		.type = type_of,
		.put_type = put_type,
		.put_definitions = put_definitions,
};

void ash_schema_put_health(JsonBuilder *json)
{
	put_type(json, ash_schema_find(ash_schema_manifest, "health"));
}

char *ash_manifest_schema_json(void)
{
	return ash_key_doc_json(&table);
}

char *ash_manifest_schema_scdoc(void)
{
	return ash_key_doc_scdoc(&table);
}
