/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "fleet/change.h"
#include "fleet/ddi-device.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

enum {
	MAX_MODULE_ARTIFACTS = 64,
};

static gboolean take_artifact(const AshDbRow *row, gpointer data, GError **error)
{
	AshDdiArtifacts *to = data;
	const char *name = ash_db_row_text(row, 0);
	g_autofree char *escaped = g_uri_escape_string(name, NULL, false);

	if (to->count++ >= MAX_MODULE_ARTIFACTS)
		return TRUE;
	json_builder_begin_object(to->json);
	ash_json_add_text(to->json, "filename", name);
	ash_json_begin_object(to->json, "hashes");
	ash_json_add_text(to->json, "sha1", ash_db_row_text(row, 2));
	ash_json_add_text(to->json, "md5", ash_db_row_text(row, 3));
	ash_json_add_text(to->json, "sha256", ash_db_row_text(row, 4));
	json_builder_end_object(to->json);
	ash_json_add_int(to->json, "size", ash_db_row_int(row, 1));
	ash_json_begin_object(to->json, "_links");
	const char *names[][2] = {{"download", ""}, {"md5sum", ".MD5SUM"}, {"download-http", ""},
			{"md5sum-http", ".MD5SUM"}};
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		ash_ddi_device_link(to->json, names[i][0], to->base,
				"/softwaremodules/%" PRId64 "/artifacts/%s%s", to->module, escaped,
				names[i][1]);
	json_builder_end_object(to->json);
	json_builder_end_object(to->json);
	return TRUE;
}

/* The array that is open. */
gboolean ash_ddi_device_add_artifacts(AshDb *db, AshDdiArtifacts *to, GError **error)
{
	return ash_db_query(db,
			"SELECT filename, size, sha1, md5, sha256 FROM ddi_artifact WHERE module = $1 ORDER BY filename",
			ASH_DB_VALUES(ASH_DB_I(to->module)), take_artifact, to, error);
}

static gboolean take_chunk(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;
	const char *type = ash_db_row_text(row, 0);

	ash_json_add_text(json, "part",
			strcmp(type, "application") == 0 ? "bApp"
			: strcmp(type, "runtime") == 0   ? "jvm"
							 : type);
	ash_json_add_text(json, "version", ash_db_row_text(row, 1));
	ash_json_add_text(json, "name", ash_db_row_text(row, 2));
	return TRUE;
}

static gboolean add_chunks(
		const AshDdiDevice *device, JsonBuilder *json, const char *base, GError **error)
{
	g_autoptr(JsonNode) modules = json_from_string(device->action->modules, NULL);
	JsonArray *ids = modules != NULL && JSON_NODE_HOLDS_ARRAY(modules)
					 ? json_node_get_array(modules)
					 : NULL;

	ash_json_begin_array(json, "chunks");
	for (guint i = 0; ids != NULL && i < json_array_get_length(ids); i++) {
		AshDdiArtifacts artifacts = {.json = json,
				.base = base,
				.module = json_array_get_int_element(ids, i)};
		json_builder_begin_object(json);
		if (!ash_db_query(device->request->db,
				    "SELECT type, version, name FROM ddi_module WHERE id = $1",
				    ASH_DB_VALUES(ASH_DB_I(artifacts.module)), take_chunk, json,
				    error))
			return FALSE;
		ash_json_begin_array(json, "metadata");
		json_builder_end_array(json);
		ash_json_begin_array(json, "artifacts");
		if (!ash_ddi_device_add_artifacts(device->request->db, &artifacts, error))
			return FALSE;
		json_builder_end_array(json);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	return TRUE;
}

static gboolean take_message(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;
	g_autoptr(JsonNode) messages = json_from_string(ash_db_row_text(row, 0), NULL);
	JsonArray *array = messages != NULL && JSON_NODE_HOLDS_ARRAY(messages)
					   ? json_node_get_array(messages)
					   : NULL;

	for (guint i = 0; array != NULL && i < json_array_get_length(array); i++)
		json_builder_add_string_value(json, json_array_get_string_element(array, i));
	return TRUE;
}

static gboolean add_history(const AshDdiDevice *device, JsonBuilder *json, GError **error)
{
	int64_t count = 0;

	if (!ash_change_parse(ash_route_argument(device->request, "actionHistory"), 0, &count,
			    NULL) ||
			count == 0)
		return TRUE;
	g_autofree char *state = g_ascii_strup(device->action->state, -1);
	ash_json_begin_object(json, "actionHistory");
	ash_json_add_text(json, "status", state);
	ash_json_begin_array(json, "messages");
	if (!ash_db_query(device->request->db,
			    "SELECT messages FROM ddi_status WHERE action = $1 ORDER BY id DESC LIMIT $2",
			    ASH_DB_VALUES(ASH_DB_I(device->action->id), ASH_DB_I(MIN(count, 100))),
			    take_message, json, error))
		return FALSE;
	json_builder_end_array(json);
	json_builder_end_object(json);
	return TRUE;
}

/* @member: "deployment" or "confirmation" */
gboolean ash_ddi_device_reply_deployment(AshDdiDevice *device, const char *member, GError **error)
{
	const AshDdiAction *action = device->action;
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *base = ash_ddi_device_url(device);
	g_autofree char *id = g_strdup_printf("%" PRId64, action->id);
	const char *how = strcmp(action->kind, "soft") == 0 ? "attempt" : "forced";
	int64_t opens_s = 0;
	bool is_open = ash_ddi_action_is_open(action, device->request->server->now(), &opens_s);
	bool skips = strcmp(action->kind, "download-only") == 0 || !is_open;

	json_builder_begin_object(json);
	ash_json_add_text(json, "id", id);
	ash_json_begin_object(json, member);
	ash_json_add_text(json, "download", how);
	ash_json_add_text(json, "update", skips ? "skip" : how);
	if (*action->schedule != '\0')
		ash_json_add_text(json, "maintenanceWindow", is_open ? "available" : "unavailable");
	if (!add_chunks(device, json, base, error))
		return FALSE;
	json_builder_end_object(json);
	if (!add_history(device, json, error))
		return FALSE;
	json_builder_end_object(json);
	return ash_ddi_device_reply(device, json);
}
