/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/manifest-variable.h"

#include <string.h>

#include "builder/manifest-load.h"
#include "lib/text.h"

typedef struct {
	char *value;
	char *expanded; /* NULL until it was asked for */
	unsigned depth; /* with expanded: how many variables stand on top of one another */
} Variable;

struct AshVariables {
	GHashTable *table; /* name → Variable */
	size_t total_bytes;
};

static void variable_free(gpointer data)
{
	Variable *variable = data;

	g_free(variable->value);
	g_free(variable->expanded);
	g_free(variable);
}

AshVariables *ash_variables_new(void)
{
	AshVariables *variables = g_new0(AshVariables, 1);

	variables->table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, variable_free);
	return variables;
}

void ash_variables_free(AshVariables *variables)
{
	if (variables == NULL)
		return;
	g_hash_table_unref(variables->table);
	g_free(variables);
}

void ash_variables_set(AshVariables *variables, const char *name, const char *value)
{
	Variable *variable = g_new0(Variable, 1);

	variable->value = g_strdup(value);
	g_hash_table_insert(variables->table, g_strdup(name), variable);
}

bool ash_variables_has(const AshVariables *variables, const char *name)
{
	return g_hash_table_contains(variables->table, name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

const char **ash_variables_names(const AshVariables *variables)
{
	guint n;
	gpointer *keys = g_hash_table_get_keys_as_array(variables->table, &n);

	if (n > 1)
		qsort(keys, n, sizeof *keys, compare_names);
	return (const char **) (void *) keys;
}

static gboolean expand_text(AshVariables *variables, const AshYamlNode *at, const char *text,
		unsigned level, GString *out, unsigned *out_depth, GError **error);

static gboolean throw_unknown(const AshVariables *variables, const AshYamlNode *at,
		const char *name, GError **error)
{
	g_autofree const char **names = ash_variables_names(variables);
	g_autofree char *suggestion = ash_text_suggestion(name, names);

	return ash_manifest_throw(at, error, ASH_MANIFEST_ERROR_VARIABLE,
			"variable '%s' is not defined%s; write '$${' for a literal '${'", name,
			suggestion);
}

/* NULL means error. @level counts the variables that are being expanded right now, around this one. */
static const Variable *resolve(AshVariables *variables, const AshYamlNode *at, const char *name,
		unsigned level, GError **error)
{
	Variable *variable = g_hash_table_lookup(variables->table, name);

	if (variable == NULL) {
		throw_unknown(variables, at, name, error);
		return NULL;
	}
	if (variable->expanded == NULL && level < ASH_VARIABLES_MAX_DEPTH) {
		g_autoptr(GString) value = g_string_new(NULL);
		if (!expand_text(variables, at, variable->value, level + 1, value, &variable->depth,
				    error))
			return NULL;
		if (value->len > ASH_VARIABLES_MAX_VALUE_BYTES) {
			ash_manifest_throw(at, error, ASH_MANIFEST_ERROR_VARIABLE,
					"variable '%s' is longer than %d bytes", name,
					ASH_VARIABLES_MAX_VALUE_BYTES);
			return NULL;
		}
		variable->expanded = g_string_free(g_steal_pointer(&value), FALSE);
	}
	if (variable->expanded == NULL || level + variable->depth >= ASH_VARIABLES_MAX_DEPTH) {
		ash_manifest_throw(at, error, ASH_MANIFEST_ERROR_VARIABLE,
				"variable '%s' stands for itself, or variables are nested more "
				"than %d deep",
				name, ASH_VARIABLES_MAX_DEPTH);
		return NULL;
	}
	return variable;
}

/* @p: at "${". Appends the variable's value and sets *out_end behind its '}'. */
static gboolean expand_one(AshVariables *variables, const AshYamlNode *at, const char *p,
		unsigned level, GString *out, unsigned *out_depth, const char **out_end,
		GError **error)
{
	const char *end = strchr(p, '}');
	g_autofree char *name = end != NULL ? g_strndup(p + 2, (size_t) (end - p - 2)) : NULL;

	if (name == NULL || !ash_form_matches(ASH_FORM_VARIABLE, name))
		return ash_manifest_throw(at, error, ASH_MANIFEST_ERROR_VARIABLE,
				"'%.32s%s' is not a variable, expected ${name}; write '$${' for a "
				"literal '${'",
				p, strlen(p) > 32 ? "…" : "");
	const Variable *variable = resolve(variables, at, name, level, error);
	if (variable == NULL)
		return FALSE;
	variables->total_bytes += strlen(variable->expanded);
	if (variables->total_bytes > ASH_VARIABLES_MAX_TOTAL_BYTES)
		return ash_manifest_throw(at, error, ASH_MANIFEST_ERROR_VARIABLE,
				"variables stand for more than %d bytes of text in all",
				ASH_VARIABLES_MAX_TOTAL_BYTES);
	g_string_append(out, variable->expanded);
	*out_depth = MAX(*out_depth, variable->depth + 1);
	*out_end = end + 1;
	return TRUE;
}

static gboolean expand_text(AshVariables *variables, const AshYamlNode *at, const char *text,
		unsigned level, GString *out, unsigned *out_depth, GError **error)
{
	*out_depth = 0;
	for (const char *p = text; *p != '\0';) {
		if (g_str_has_prefix(p, "$${")) {
			g_string_append(out, "${");
			p += 3;
		} else if (g_str_has_prefix(p, "${")) {
			if (!expand_one(variables, at, p, level, out, out_depth, &p, error))
				return FALSE;
		} else {
			size_t length = 1 + strcspn(p + 1, "$");
			g_string_append_len(out, p, (gssize) length);
			p += length;
		}
	}
	return TRUE;
}

static gboolean expand_scalar(AshVariables *variables, AshYamlNode *node, GError **error)
{
	unsigned depth;

	if (strstr(node->scalar, "${") == NULL)
		return TRUE;
	g_autoptr(GString) text = g_string_new(NULL);
	if (!expand_text(variables, node, node->scalar, 0, text, &depth, error))
		return FALSE;
	g_free(node->scalar);
	node->scalar = g_string_free(g_steal_pointer(&text), FALSE);
	node->is_plain = node->is_plain || depth > 0;
	return TRUE;
}

gboolean ash_variables_expand(AshVariables *variables, AshYamlNode *node, GError **error)
{
	if (node->kind == ASH_YAML_SCALAR)
		return expand_scalar(variables, node, error);
	if (node->kind == ASH_YAML_LIST) {
		for (guint i = 0; i < node->items->len; i++)
			if (!ash_variables_expand(variables, node->items->pdata[i], error))
				return FALSE;
	}
	if (node->kind == ASH_YAML_MAP) {
		for (guint i = 0; i < node->pairs->len; i++) {
			AshYamlPair *pair = node->pairs->pdata[i];
			if (!ash_variables_expand(variables, pair->value, error))
				return FALSE;
		}
	}
	return TRUE;
}
