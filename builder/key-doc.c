/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/key-doc.h"

#include <string.h>

#include "lib/json.h"

/* False behind the last row. */
static bool take(const AshKeyDocTable *table, const void **key, AshKeyDoc *out_doc)
{
	*out_doc = table->describe(*key);
	*key = (const char *) *key + table->key_size;
	return out_doc->name != NULL;
}

/* ---- JSON Schema --------------------------------------------------------------------------------- */

static void put_texts(JsonBuilder *json, const char *name, const char *const *texts)
{
	ash_json_add_texts(json, name, (char *const *) (guintptr) texts);
}

void ash_key_doc_put_enum(JsonBuilder *json, const char *const *choices)
{
	put_texts(json, "enum", choices);
}

void ash_key_doc_put_text(JsonBuilder *json)
{
	static const char *const types[] = {"string", "number", "boolean", NULL};

	put_texts(json, "type", types);
}

void ash_key_doc_put_pattern(JsonBuilder *json, const AshPattern *form, const char *other)
{
	if (form->regex == NULL)
		return;
	g_autofree char *anchored = g_strdup_printf(
			"^(?:%s)$%s%s", form->regex, *other != '\0' ? "|" : "", other);
	ash_json_add_string(json, "pattern", anchored);
}

void ash_key_doc_put_names(JsonBuilder *json, const AshPattern *form)
{
	ash_json_begin_object(json, "propertyNames");
	ash_key_doc_put_pattern(json, form, "");
	json_builder_end_object(json);
}

/* The default as a value of the key's own type. */
static void put_default(JsonBuilder *json, const AshKeyDoc *doc)
{
	const char *value = doc->default_value;

	if (value == NULL)
		return;
	if (doc->default_type == G_TYPE_BOOLEAN)
		ash_json_add_bool(json, "default", strcmp(value, "true") == 0);
	else if (doc->default_type == G_TYPE_INT64)
		ash_json_add_uint(json, "default", g_ascii_strtoull(value, NULL, 10));
	else
		ash_json_add_string(json, "default", value);
}

static void put_required(JsonBuilder *json, const AshKeyDocTable *table, const void *keys)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	AshKeyDoc doc;

	while (take(table, &keys, &doc))
		if (doc.is_required)
			g_ptr_array_add(names, (char *) (guintptr) doc.name);
	if (names->len == 0)
		return;
	g_ptr_array_add(names, NULL);
	ash_json_add_texts(json, "required", (char *const *) names->pdata);
}

void ash_key_doc_put_keys(JsonBuilder *json, const AshKeyDocTable *table, const void *keys,
		bool (*is_here)(const void *key))
{
	const void *key = keys, *next = keys;
	AshKeyDoc doc;

	ash_json_add_string(json, "type", "object");
	ash_json_add_bool(json, "additionalProperties", false);
	ash_json_begin_object(json, "properties");
	for (; take(table, &next, &doc); key = next) {
		if (is_here != NULL && !is_here(key))
			continue;
		ash_json_begin_object(json, doc.name);
		ash_json_add_string(json, "description", doc.doc);
		table->put_type(json, key);
		put_default(json, &doc);
		json_builder_end_object(json);
	}
	json_builder_end_object(json);
	put_required(json, table, keys);
}

char *ash_key_doc_json(const AshKeyDocTable *table)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_string(json, "$schema", "https://json-schema.org/draft/2020-12/schema");
	ash_json_add_string(json, "title", table->title);
	ash_json_add_string(json, "description", table->description);
	ash_key_doc_put_keys(json, table, table->keys, NULL);
	if (table->put_definitions != NULL) {
		ash_json_begin_object(json, "$defs");
		table->put_definitions(json);
		json_builder_end_object(json);
	}
	json_builder_end_object(json);
	return ash_json_format(json, true);
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

static void print_type(GString *out, const AshKeyDoc *doc, const char *type)
{
	g_string_append(out, " (");
	escape(out, type);
	if (doc->is_required)
		g_string_append(out, "; required");
	if (doc->default_words != NULL) {
		g_string_append(out, "; default: ");
		escape(out, doc->default_words);
	}
	g_string_append(out, ")\n");
}

static void print_form(GString *out, const AshKeyDoc *doc, unsigned depth)
{
	if (doc->form_of == NULL || doc->form->regex == NULL)
		return;
	g_string_append_c(out, '\n');
	tabs(out, depth);
	g_string_append_printf(out, "%s is ", doc->form_of);
	escape(out, doc->form->expected);
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

static void print_keys(GString *out, const AshKeyDocTable *table, const void *keys, unsigned depth)
{
	const void *key = keys, *next = keys;
	AshKeyDoc doc;

	for (; take(table, &next, &doc); key = next) {
		g_autofree char *type = table->type(key);
		tabs(out, depth);
		g_string_append_printf(out, "*%s*", doc.name);
		print_type(out, &doc, type);
		tabs(out, depth + 1);
		escape(out, doc.doc);
		if (doc.place != NULL) {
			g_string_append_c(out, ' ');
			escape(out, doc.place);
		}
		g_string_append_c(out, '\n');
		print_form(out, &doc, depth + 1);
		print_example(out, doc.example, depth + 1);
		g_string_append_c(out, '\n');
		if (doc.keys != NULL)
			print_keys(out, table, doc.keys, depth + 1);
	}
}

char *ash_key_doc_scdoc(const AshKeyDocTable *table)
{
	GString *out = g_string_new(NULL);

	print_keys(out, table, table->keys, 0);
	return g_string_free(out, FALSE);
}
