/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "lib/error.h"
#include "lib/workload-key.h"

/* Parameters: what they may be, and where they go. */

static const AshWorkloadParameter *find_parameter(const AshWorkload *workload, const char *name)
{
	for (guint i = 0; i < workload->parameters->len; i++) {
		const AshWorkloadParameter *parameter = workload->parameters->pdata[i];
		if (strcmp(parameter->name, name) == 0)
			return parameter;
	}
	return NULL;
}

static bool is_value_text(const char *value)
{
	for (const char *p = value; *p != '\0'; p++)
		if (g_ascii_iscntrl(*p))
			return false;
	return g_utf8_validate(value, -1, NULL);
}

char *ash_workload_parameter_expected(const AshWorkloadParameter *parameter, const char *value)
{
	gint64 number;

	switch (parameter->type) {
	case ASH_PARAMETER_STRING:
		if (is_value_text(value) && strlen(value) <= (uint64_t) parameter->max)
			return NULL;
		return g_strdup_printf("one line of at most %" PRId64 " bytes", parameter->max);
	case ASH_PARAMETER_INT:
		if (g_ascii_string_to_signed(
				    value, 10, parameter->min, parameter->max, &number, NULL))
			return NULL;
		return g_strdup_printf("a whole number from %" PRId64 " to %" PRId64,
				parameter->min, parameter->max);
	case ASH_PARAMETER_BOOL:
		if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
			return NULL;
		return g_strdup("true or false");
	case ASH_PARAMETER_CHOICE:
		if (g_strv_contains((const char *const *) parameter->choices, value))
			return NULL;
		g_autofree char *choices = g_strjoinv(", ", parameter->choices);
		return g_strdup_printf("one of: %s", choices);
	}
	g_assert_not_reached();
}

/* ---- ${NAME} ------------------------------------------------------------------------------------- */

/* @values: NULL to look only. Returns the name that is not one, or NULL. */
static char *expand(const AshWorkload *workload, GHashTable *values, const char *text, GString *out)
{
	while (*text != '\0') {
		if (g_str_has_prefix(text, "$${")) {
			g_string_append(out, "${");
			text += strlen("$${");
			continue;
		}
		if (!g_str_has_prefix(text, "${")) {
			g_string_append_c(out, *text++);
			continue;
		}
		const char *begin = text + strlen("${");
		const char *end = strchr(begin, '}');
		g_autofree char *name = g_strndup(begin,
				end != NULL ? (size_t) (end - begin) : MIN(strlen(begin), 32));
		const AshWorkloadParameter *parameter = find_parameter(workload, name);
		if (end == NULL || parameter == NULL)
			return g_steal_pointer(&name);
		const char *value = values != NULL ? g_hash_table_lookup(values, name) : NULL;
		if (value == NULL)
			value = parameter->value;
		g_string_append(out, value != NULL ? value : "");
		text = end + 1;
	}
	return NULL;
}

char *ash_workload_unknown_name(const AshWorkload *workload, const char *text)
{
	g_autoptr(GString) out = g_string_new(NULL);

	return expand(workload, NULL, text, out);
}

/* A copy of @texts with values; NULL stays NULL. */
static gboolean fill_texts(const AshWorkload *workload, GHashTable *values, char **texts,
		char ***out_texts, GError **error)
{
	g_auto(GStrv) filled = g_strdupv(texts);

	for (char **text = filled; text != NULL && *text != NULL; text++) {
		g_autoptr(GString) out = g_string_new(NULL);
		g_autofree char *unknown = expand(workload, values, *text, out);
		if (unknown != NULL)
			return ash_throw(error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_VALUE,
					"workload '%s' has no parameter '%s'", workload->name,
					unknown);
		g_free(*text);
		*text = g_strdup(out->str);
	}
	*out_texts = g_steal_pointer(&filled);
	return TRUE;
}

gboolean ash_workload_fill(AshWorkload *workload, GHashTable *values, GError **error)
{
	GHashTableIter iter;
	gpointer name, value;

	g_hash_table_iter_init(&iter, values);
	while (g_hash_table_iter_next(&iter, &name, &value))
		if (find_parameter(workload, name) == NULL)
			return ash_throw(error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_VALUE,
					"workload '%s' has no parameter '%.80s'", workload->name,
					(const char *) name);
	for (guint i = 0; i < workload->parameters->len; i++) {
		const AshWorkloadParameter *parameter = workload->parameters->pdata[i];
		const char *set = g_hash_table_lookup(values, parameter->name);
		if (set == NULL && parameter->value == NULL)
			return ash_throw(error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_VALUE,
					"parameter '%s' of workload '%s' has no value; set one in "
					"/etc/ashlar/parameters.d/%s.yaml or in the fleet",
					parameter->name, workload->name, workload->name);
		g_autofree char *expected =
				set != NULL ? ash_workload_parameter_expected(parameter, set)
					    : NULL;
		if (expected != NULL)
			return ash_throw(error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_VALUE,
					"parameter '%s' of workload '%s': expected %s; its value is set in /etc/ashlar/parameters.d/%s.yaml or in the fleet",
					parameter->name, workload->name, expected, workload->name);
	}
	g_auto(GStrv) command = NULL;
	g_auto(GStrv) environment = NULL;
	if (!fill_texts(workload, values, workload->command, &command, error) ||
			!fill_texts(workload, values, workload->environment, &environment, error))
		return FALSE;
	g_strfreev(workload->command);
	g_strfreev(workload->environment);
	workload->command = g_steal_pointer(&command);
	workload->environment = g_steal_pointer(&environment);
	return TRUE;
}
