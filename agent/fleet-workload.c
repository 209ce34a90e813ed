/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fleet-workload.h"

#include <string.h>

#include "agent/fleet-answer.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/version.h"
#include "lib/workload.h"

static void workload_free(gpointer data)
{
	AshFleetWorkload *workload = data;

	g_free(workload->name);
	g_free(workload->version);
	g_hash_table_unref(workload->parameters);
	g_free(workload);
}

static AshFleetWorkload *workload_new(void)
{
	AshFleetWorkload *workload = g_new0(AshFleetWorkload, 1);

	workload->parameters = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return workload;
}

/* ---- reading ------------------------------------------------------------------------------------- */

static gboolean refuse(GError **error, const char *key, const char *what)
{
	return ash_throw(error, ASH_FLEET_ANSWER_ERROR, ASH_FLEET_ANSWER_ERROR_VALUE, "'%s' %s",
			key, what);
}

static bool is_key(const char *text)
{
	size_t length = strlen(text);

	return length > 0 && length <= ASH_FLEET_WORKLOAD_MAX_KEY_BYTES &&
	       strspn(text, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "_-") == length;
}

static bool is_value(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c) && *c != '\n')
			return false;
	return strlen(text) <= ASH_WORKLOAD_MAX_TEXT_BYTES;
}

static gboolean take_parameters(JsonObject *object, GHashTable *parameters, GError **error)
{
	JsonObject *values = NULL;

	if (!json_object_has_member(object, "parameters"))
		return TRUE;
	if (!ash_json_object(object, "parameters", &values, error))
		return FALSE;
	if (json_object_get_size(values) > ASH_FLEET_WORKLOAD_MAX_PARAMETERS)
		return refuse(error, "parameters", "has too many members");
	g_autoptr(GList) keys = json_object_get_members(values);
	for (GList *i = keys; i != NULL; i = i->next) {
		const char *value = NULL;
		if (!ash_json_text(values, i->data, &value, error))
			return FALSE;
		if (!is_key(i->data) || !is_value(value))
			return refuse(error, "parameters", "holds what no parameter can be");
		g_hash_table_insert(parameters, g_strdup(i->data), g_strdup(value));
	}
	return TRUE;
}

static gboolean take_workload(JsonObject *object, GPtrArray *list, GError **error)
{
	const char *name = NULL, *version = NULL;

	if (!ash_json_text(object, "name", &name, error) ||
			!ash_json_text(object, "version", &version, error))
		return FALSE;
	if (!ash_workload_is_name(name) || ash_fleet_workload_find(list, name) != NULL)
		return refuse(error, "workloads", "holds what is no name, or a name twice");
	if (!ash_version_is_valid(version))
		return refuse(error, "workloads", "holds what is no version");
	AshFleetWorkload *workload = workload_new();
	g_ptr_array_add(list, workload);
	workload->name = g_strdup(name);
	workload->version = g_strdup(version);
	return take_parameters(object, workload->parameters, error);
}

gboolean ash_fleet_workload_parse_list(
		JsonObject *object, const char *key, GPtrArray **out_list, GError **error)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(workload_free);
	JsonArray *array = NULL;

	if (!json_object_has_member(object, key) || json_object_get_null_member(object, key)) {
		*out_list = NULL;
		return TRUE;
	}
	if (!ash_json_array(object, key, &array, error))
		return FALSE;
	if (json_array_get_length(array) > ASH_FLEET_WORKLOAD_MAX)
		return refuse(error, key, "has too many entries");
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonObject *one = ash_fleet_element(array, i, error);
		if (one == NULL || !take_workload(one, list, error))
			return FALSE;
	}
	*out_list = g_steal_pointer(&list);
	return TRUE;
}

/* ---- writing ------------------------------------------------------------------------------------- */

static int compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(a, b);
}

static void add_parameters(JsonBuilder *builder, GHashTable *parameters)
{
	g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(parameters), compare_texts);

	ash_json_begin_object(builder, "parameters");
	for (GList *i = keys; i != NULL; i = i->next)
		ash_json_add_string(builder, i->data, g_hash_table_lookup(parameters, i->data));
	json_builder_end_object(builder);
}

void ash_fleet_workload_add_list(JsonBuilder *builder, const char *key, const GPtrArray *list)
{
	if (list == NULL)
		return;
	ash_json_begin_array(builder, key);
	for (guint i = 0; i < list->len; i++) {
		const AshFleetWorkload *workload = list->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_string(builder, "name", workload->name);
		ash_json_add_string(builder, "version", workload->version);
		add_parameters(builder, workload->parameters);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

/* ---- questions ----------------------------------------------------------------------------------- */

static char *format(const GPtrArray *list)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_fleet_workload_add_list(builder, "workloads", list);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

bool ash_fleet_workload_is_same_list(const GPtrArray *a, const GPtrArray *b)
{
	g_autofree char *one = format(a), *other = format(b);

	return strcmp(one, other) == 0;
}

const AshFleetWorkload *ash_fleet_workload_find(const GPtrArray *list, const char *name)
{
	for (guint i = 0; list != NULL && i < list->len; i++) {
		const AshFleetWorkload *workload = list->pdata[i];
		if (strcmp(workload->name, name) == 0)
			return workload;
	}
	return NULL;
}
