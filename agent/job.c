/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/job.h"

#include <limits.h>
#include <string.h>

#include "lib/error.h"
#include "lib/json.h"

enum {
	MAX_DEPTH = 8,
	MAX_DEPLOYMENTS = 1024,
};

void ash_job_deployment_free(AshJobDeployment *deployment)
{
	if (deployment == NULL)
		return;
	g_free(deployment->commit);
	g_free(deployment->version);
	g_free(deployment->name);
	g_free(deployment->variant);
	g_free(deployment->arch);
	g_free(deployment->entry);
	g_free(deployment);
}

AshJobSystem *ash_job_system_new(void)
{
	AshJobSystem *system = g_new0(AshJobSystem, 1);

	system->booted = g_strdup("");
	system->deployments =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_job_deployment_free);
	return system;
}

void ash_job_system_free(AshJobSystem *system)
{
	if (system == NULL)
		return;
	g_free(system->booted);
	g_ptr_array_unref(system->deployments);
	g_free(system);
}

/* ---- writing --------------------------------------------------------------------------------- */

void ash_job_system_format(const AshJobSystem *system, JsonBuilder *builder)
{
	ash_json_add_text(builder, "booted", system->booted);
	ash_json_begin_array(builder, "deployments");
	for (guint i = 0; i < system->deployments->len; i++) {
		const AshJobDeployment *deployment = system->deployments->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "commit", deployment->commit);
		ash_json_add_uint(builder, "serial", deployment->serial);
		ash_json_add_text(builder, "version", deployment->version);
		ash_json_add_text(builder, "name", deployment->name);
		ash_json_add_text(builder, "variant", deployment->variant);
		ash_json_add_text(builder, "arch", deployment->arch);
		ash_json_add_bool(builder, "is_booted", deployment->is_booted);
		ash_json_add_text(builder, "entry", deployment->entry);
		ash_json_add_int(builder, "tries_left", deployment->tries_left);
		ash_json_add_int(builder, "tries_done", deployment->tries_done);
		ash_json_add_uint(builder, "generation", deployment->generation);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	ash_json_begin_object(builder, "root");
	ash_json_add_uint(builder, "free_bytes", system->root_free_bytes);
	ash_json_add_uint(builder, "free_inodes", system->root_free_inodes);
	ash_json_add_uint(builder, "bytes", system->root_bytes);
	json_builder_end_object(builder);
	ash_json_begin_object(builder, "esp");
	ash_json_add_uint(builder, "free_bytes", system->esp_free_bytes);
	ash_json_add_uint(builder, "bytes", system->esp_bytes);
	json_builder_end_object(builder);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* "" when it is not there. */
static gboolean get_text(JsonObject *object, const char *key, char **out_text, GError **error)
{
	const char *text = "";

	if (!ash_json_text_opt(object, key, &text, error))
		return FALSE;
	*out_text = g_strdup(text);
	return TRUE;
}

static gboolean get_count(JsonObject *object, const char *key, int *out_count, GError **error)
{
	int64_t count = *out_count;

	if (!ash_json_int_opt(object, key, &count, error))
		return FALSE;
	if (count < -1 || count > INT_MAX)
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE, "'%s' is out of range",
				key);
	*out_count = (int) count;
	return TRUE;
}

static gboolean parse_deployment(JsonObject *object, AshJobDeployment *deployment, GError **error)
{
	const char *commit;
	uint64_t serial, generation = 0;

	deployment->tries_left = -1;
	if (!ash_json_text(object, "commit", &commit, error) ||
			!ash_json_uint(object, "serial", 9999, &serial, error) ||
			!ash_json_uint_opt(object, "generation", UINT32_MAX, &generation, error) ||
			!get_text(object, "version", &deployment->version, error) ||
			!get_text(object, "name", &deployment->name, error) ||
			!get_text(object, "variant", &deployment->variant, error) ||
			!get_text(object, "arch", &deployment->arch, error) ||
			!get_text(object, "entry", &deployment->entry, error) ||
			!ash_json_bool_opt(object, "is_booted", &deployment->is_booted, error) ||
			!get_count(object, "tries_left", &deployment->tries_left, error) ||
			!get_count(object, "tries_done", &deployment->tries_done, error))
		return FALSE;
	if (*deployment->entry == '\0')
		g_clear_pointer(&deployment->entry, g_free);
	deployment->commit = g_strdup(commit);
	deployment->serial = (unsigned) serial;
	deployment->generation = (uint32_t) generation;
	return TRUE;
}

static gboolean parse_deployments(JsonArray *array, GPtrArray *deployments, GError **error)
{
	guint count = json_array_get_length(array);

	if (count > MAX_DEPLOYMENTS)
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_LIMIT,
				"more than %d deployments", MAX_DEPLOYMENTS);
	for (guint i = 0; i < count; i++) {
		JsonNode *node = json_array_get_element(array, i);
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE,
					"deployment %u is not an object", i);
		AshJobDeployment *deployment = g_new0(AshJobDeployment, 1);
		g_ptr_array_add(deployments, deployment);
		if (!parse_deployment(json_node_get_object(node), deployment, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_job_system_parse(const char *json, AshJobSystem **out_system, GError **error)
{
	ASH_PREFIX("reading the state of the disk");
	g_autoptr(GBytes) text = g_bytes_new(json, strlen(json));
	g_autoptr(AshJobSystem) system = ash_job_system_new();
	g_autoptr(JsonNode) node = NULL;
	JsonObject *root, *esp;
	JsonArray *deployments;

	if (!ash_json_parse(text, ASH_JOB_MAX_LINE_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE, "not an object");
	JsonObject *object = json_node_get_object(node);
	g_clear_pointer(&system->booted, g_free);
	if (!get_text(object, "booted", &system->booted, error) ||
			!ash_json_array(object, "deployments", &deployments, error) ||
			!parse_deployments(deployments, system->deployments, error) ||
			!ash_json_object(object, "root", &root, error) ||
			!ash_json_uint(root, "free_bytes", INT64_MAX, &system->root_free_bytes,
					error) ||
			!ash_json_uint(root, "free_inodes", INT64_MAX, &system->root_free_inodes,
					error) ||
			!ash_json_uint(root, "bytes", INT64_MAX, &system->root_bytes, error) ||
			!ash_json_object(object, "esp", &esp, error) ||
			!ash_json_uint(esp, "free_bytes", INT64_MAX, &system->esp_free_bytes,
					error) ||
			!ash_json_uint(esp, "bytes", INT64_MAX, &system->esp_bytes, error))
		return FALSE;
	*out_system = g_steal_pointer(&system);
	return TRUE;
}
