/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/workload-schema.h"

#include <inttypes.h>

#include "builder/key-doc.h"
#include "builder/schema.h"
#include "lib/json.h"
#include "lib/workload-key.h"

static const AshKeyDocTable table;

/* ---- which values a key takes --------------------------------------------------------------------- */

static void put_form(JsonBuilder *json, AshWorkloadForm form)
{
	ash_key_doc_put_text(json);
	ash_key_doc_put_pattern(json, ash_workload_form_pattern(form), "");
}

/* Without a unit it is a number. */
static void put_size(JsonBuilder *json, AshWorkloadForm form)
{
	ash_json_begin_array(json, "type");
	json_builder_add_string_value(json, "string");
	json_builder_add_string_value(json, "integer");
	json_builder_end_array(json);
	ash_json_add_uint(json, "minimum", 0);
	ash_key_doc_put_pattern(json, ash_workload_form_pattern(form), "");
}

static void put_list(JsonBuilder *json, const AshWorkloadKey *key)
{
	ash_json_add_string(json, "type", "array");
	ash_json_add_uint(json, "maxItems", key->max);
	if (key->flags & ASH_WORKLOAD_KEY_SOME)
		ash_json_add_uint(json, "minItems", 1);
	ash_json_begin_object(json, "items");
	if (key->keys != NULL)
		ash_key_doc_put_keys(json, &table, key->keys, NULL);
	else
		put_form(json, key->form);
	json_builder_end_object(json);
}

static void put_variables(JsonBuilder *json, const AshWorkloadKey *key)
{
	ash_json_add_string(json, "type", "object");
	ash_json_add_uint(json, "maxProperties", key->max);
	ash_key_doc_put_names(json, ash_workload_form_pattern(key->form));
	ash_json_begin_object(json, "additionalProperties");
	ash_key_doc_put_text(json);
	json_builder_end_object(json);
}

/* One word in its place: of @key itself, or of the key that it stands for. */
static void put_map(JsonBuilder *json, const AshWorkloadKey *key)
{
	if (key->word == NULL) {
		ash_key_doc_put_keys(json, &table, key->keys, NULL);
		return;
	}
	const AshWorkloadKey *inner =
			*key->word != '\0' ? ash_workload_key_find(key->keys, key->word) : key;
	ash_json_begin_array(json, "anyOf");
	json_builder_begin_object(json);
	ash_key_doc_put_enum(json, inner->choices);
	json_builder_end_object(json);
	json_builder_begin_object(json);
	ash_key_doc_put_keys(json, &table, key->keys, NULL);
	json_builder_end_object(json);
	json_builder_end_array(json);
}

static void put_type(JsonBuilder *json, const void *data)
{
	const AshWorkloadKey *key = data;

	switch (key->type) {
	case ASH_WORKLOAD_TEXT:
	case ASH_WORKLOAD_CPU:
	case ASH_WORKLOAD_IMAGE:
		put_form(json, key->form);
		return;
	case ASH_WORKLOAD_SIZE:
		put_size(json, key->form);
		return;
	case ASH_WORKLOAD_DURATION:
		ash_json_add_string(json, "type", "string");
		ash_key_doc_put_pattern(json, ash_workload_form_pattern(key->form), "");
		return;
	case ASH_WORKLOAD_BOOL:
		ash_json_add_string(json, "type", "boolean");
		return;
	case ASH_WORKLOAD_NUMBER:
		ash_json_add_string(json, "type", "integer");
		ash_json_add_uint(json, "minimum", key->min);
		ash_json_add_uint(json, "maximum", key->max);
		return;
	case ASH_WORKLOAD_INTEGER:
		ash_json_add_string(json, "type", "integer");
		return;
	case ASH_WORKLOAD_CHOICE:
	case ASH_WORKLOAD_SWITCH:
		ash_key_doc_put_enum(json, key->choices);
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
		ash_schema_put_health(json);
		return;
	}
	g_assert_not_reached();
}

/* ---- what people are told of it -------------------------------------------------------------------- */

static const struct {
	const char *words, *form_of;
} types[] = {
		[ASH_WORKLOAD_TEXT] = {"text", "The value"},
		[ASH_WORKLOAD_BOOL] = {"true or false"},
		[ASH_WORKLOAD_NUMBER] = {"number"},
		[ASH_WORKLOAD_INTEGER] = {"number"},
		[ASH_WORKLOAD_CPU] = {"number"},
		[ASH_WORKLOAD_SIZE] = {"size"},
		[ASH_WORKLOAD_DURATION] = {"duration"},
		[ASH_WORKLOAD_CHOICE] = {"one of "},
		[ASH_WORKLOAD_SWITCH] = {"one of "},
		[ASH_WORKLOAD_TEXTS] = {"list of text", "Each item"},
		[ASH_WORKLOAD_SET] = {"list of text", "Each item"},
		[ASH_WORKLOAD_VARIABLES] = {"map of text", "Each key"},
		[ASH_WORKLOAD_MADE] = {"list of text", "Each item"},
		[ASH_WORKLOAD_ITEMS] = {"list of maps"},
		[ASH_WORKLOAD_MAP] = {"map"},
		[ASH_WORKLOAD_IMAGE] = {"text", "The value"},
		[ASH_WORKLOAD_HEALTH] = {"map"},
};

static char *type_of(const void *data)
{
	const AshWorkloadKey *key = data;
	GString *type = g_string_new(key->word != NULL ? "one word, or a " : "");

	g_string_append(type, types[key->type].words);
	if (key->type == ASH_WORKLOAD_CHOICE || key->type == ASH_WORKLOAD_SWITCH) {
		g_autofree char *choices = g_strjoinv(", ", (char **) (guintptr) key->choices);
		g_string_append(type, choices);
	}
	if (key->type == ASH_WORKLOAD_NUMBER)
		g_string_append_printf(type, " from %" PRIu64 " to %" PRIu64, key->min, key->max);
	return g_string_free(type, FALSE);
}

static const char *or_null(const char *text)
{
	return text != NULL && *text != '\0' ? text : NULL;
}

static AshKeyDoc describe(const void *data)
{
	const AshWorkloadKey *key = data;
	bool is_required = key->flags & ASH_WORKLOAD_KEY_REQUIRED;
	const char *words = key->default_words != NULL ? key->default_words : key->default_text;

	return (AshKeyDoc){
			.name = key->name,
			.doc = key->doc,
			.example = key->example,
			.default_value = or_null(key->default_text),
			.default_type = key->type == ASH_WORKLOAD_BOOL     ? G_TYPE_BOOLEAN
					: key->type == ASH_WORKLOAD_NUMBER ? G_TYPE_INT64
									   : G_TYPE_STRING,
			.default_words = is_required ? NULL : or_null(words),
			.form_of = types[key->type].form_of,
			.form = ash_workload_form_pattern(key->form),
			.keys = key->keys,
			.is_required = is_required,
	};
}

static const AshKeyDocTable table = {
		.title = "Ashlar workload",
		.description = "A service and all that it may touch; see workload(5).",
		.keys = ash_workload_keys,
		.key_size = sizeof(AshWorkloadKey),
		.describe = describe,
		.type = type_of,
		.put_type = put_type,
};

char *ash_workload_schema_json(void)
{
	return ash_key_doc_json(&table);
}

char *ash_workload_schema_scdoc(void)
{
	return ash_key_doc_scdoc(&table);
}
