/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/broker.h"
#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_broker_error, ash_broker_error)

static void free_service(gpointer data)
{
	AshBrokerService *service = data;

	g_free(service->name);
	g_strfreev(service->argv);
	g_free(service);
}

static void free_instance(gpointer data)
{
	AshBrokerInstance *instance = data;

	g_free(instance->instance);
	g_free(instance->workload);
	g_free(instance->dir);
	g_strfreev(instance->requires);
	g_ptr_array_unref(instance->provides);
	g_free(instance);
}

static gboolean wrong(GError **error, const char *what)
{
	return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_SYNTAX, "%s", what);
}

static gboolean take_service(GPtrArray *provides, JsonNode *node, GError **error)
{
	AshBrokerService *service = g_new0(AshBrokerService, 1);
	const char *name;

	g_ptr_array_add(provides, service);
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return wrong(error, "'provides' holds something that is no object");
	if (!ash_json_text(json_node_get_object(node), "name", &name, error) ||
			!ash_json_text_list(json_node_get_object(node), "command", &service->argv,
					error))
		return FALSE;
	service->name = g_strdup(name);
	return service->argv[0] ? TRUE : wrong(error, "a service has no command");
}

static gboolean take_texts_of(AshBrokerInstance *instance, JsonObject *object, GError **error)
{
	const char *name, *workload, *dir;

	instance->is_disposable = ash_json_find_bool(object, "disposable");
	if (!ash_json_text(object, "instance", &name, error) ||
			!ash_json_text(object, "workload", &workload, error) ||
			!ash_json_text(object, "dir", &dir, error) ||
			!ash_json_text_list(object, "requires", &instance->requires, error))
		return FALSE;
	instance->instance = g_strdup(name);
	instance->workload = g_strdup(workload);
	instance->dir = g_strdup(dir);
	return TRUE;
}

static gboolean take_instance(GPtrArray *instances, JsonNode *node, GError **error)
{
	AshBrokerInstance *instance = g_new0(AshBrokerInstance, 1);
	JsonArray *provides;

	instance->provides = g_ptr_array_new_with_free_func(free_service);
	g_ptr_array_add(instances, instance);
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return wrong(error, "'instances' holds something that is no object");
	JsonObject *object = json_node_get_object(node);
	if (!take_texts_of(instance, object, error) ||
			!ash_json_array(object, "provides", &provides, error))
		return FALSE;
	for (guint i = 0; i < json_array_get_length(provides); i++)
		if (!take_service(instance->provides, json_array_get_element(provides, i), error))
			return FALSE;
	return TRUE;
}

gboolean ash_broker_table_parse(GBytes *text, GPtrArray **out_instances, GError **error)
{
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GPtrArray) instances = g_ptr_array_new_with_free_func(free_instance);
	JsonArray *array;

	if (!ash_json_parse(text, ASH_BROKER_MAX_TABLE_BYTES, 8, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return wrong(error, "the table of the broker is no object");
	if (!ash_json_array(json_node_get_object(node), "instances", &array, error))
		return FALSE;
	if (json_array_get_length(array) > ASH_BROKER_MAX_INSTANCES)
		return wrong(error, "too many instances for one broker");
	for (guint i = 0; i < json_array_get_length(array); i++)
		if (!take_instance(instances, json_array_get_element(array, i), error))
			return FALSE;
	*out_instances = g_steal_pointer(&instances);
	return TRUE;
}

static bool provides(const AshBrokerInstance *instance, const char *service)
{
	for (guint i = 0; i < instance->provides->len; i++)
		if (strcmp(((AshBrokerService *) instance->provides->pdata[i])->name, service) == 0)
			return true;
	return false;
}

const AshBrokerInstance *ash_broker_table_find(
		const GPtrArray *instances, const char *workload, const char *service)
{
	for (guint i = 0; i < instances->len; i++) {
		const AshBrokerInstance *instance = instances->pdata[i];
		if (strcmp(instance->workload, workload) == 0 && provides(instance, service))
			return instance;
	}
	return NULL;
}
