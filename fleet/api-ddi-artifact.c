/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "fleet/change.h"
#include "fleet/ddi-device.h"
#include "fleet/server.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/json.h"

/* What devices that speak DDI download. */

/* Only what is, or was, to be installed on this target. */
static gboolean may_have(AshDdiDevice *device, int64_t module, GError **error)
{
	int64_t count = 0;
	bool is_found = false;
	/* "modules" is a JSON array of numbers: [1,22]. */
	g_autofree char *alone = g_strdup_printf("[%" PRId64 "]", module);
	g_autofree char *first = g_strdup_printf("[%" PRId64 ",%%", module);
	g_autofree char *middle = g_strdup_printf("%%,%" PRId64 ",%%", module);
	g_autofree char *last = g_strdup_printf("%%,%" PRId64 "]", module);

	if (!ash_db_query_int(device->request->db,
			    "SELECT count(*) FROM ddi_action WHERE target = $1 AND (modules = $2 OR modules LIKE $3 "
			    "OR modules LIKE $4 OR modules LIKE $5)",
			    ASH_DB_VALUES(ASH_DB_T(device->target), ASH_DB_T(alone),
					    ASH_DB_T(first), ASH_DB_T(middle), ASH_DB_T(last)),
			    &is_found, &count, error))
		return FALSE;
	return count > 0 || ash_ddi_device_not_now(error);
}

static gboolean list_artifacts(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();
	AshDdiArtifacts artifacts = {.json = json};

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!ash_change_parse(ash_route_part(request, 1), -1, &artifacts.module, NULL))
		return ash_ddi_device_not_now(error);
	g_autofree char *base = ash_ddi_device_url(&device);
	artifacts.base = base;
	if (!may_have(&device, artifacts.module, error))
		return FALSE;
	json_builder_begin_array(json);
	if (!ash_ddi_device_add_artifacts(request->db, &artifacts, error))
		return FALSE;
	json_builder_end_array(json);
	return ash_ddi_device_reply(&device, json);
}

typedef struct {
	char *sha1, *md5, *sha256;
} File;

static gboolean take_file(const AshDbRow *row, gpointer data, GError **error)
{
	File *file = data;

	file->sha1 = g_strdup(ash_db_row_text(row, 0));
	file->md5 = g_strdup(ash_db_row_text(row, 1));
	file->sha256 = g_strdup(ash_db_row_text(row, 2));
	return TRUE;
}

static gboolean send_file(AshRequest *request, const File *file, GError **error)
{
	const char *condition = ash_http_header(request->call, "If-Match");
	g_autofree char *etag = g_strdup_printf("\"%s\"", file->sha1);
	g_autofree char *path = g_build_filename(
			request->server->config->content, "ddi", file->sha256, NULL);

	if (condition != NULL && strcmp(condition, "*") != 0 &&
			strstr(condition, file->sha1) == NULL) {
		ash_http_reply_error(request->call, 412, "changed", "the artifact is another one");
		return TRUE;
	}
	ash_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"the artifact's file is gone");
	ash_http_reply_file(request->call, g_steal_fd(&fd), "application/octet-stream", etag, NULL);
	return TRUE;
}

static gboolean get_artifact(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};
	File file = {0};
	int64_t module = -1;
	g_autofree char *name = g_strdup(ash_route_part(request, 2));
	bool is_sum = g_str_has_suffix(name, ".MD5SUM");

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!ash_change_parse(ash_route_part(request, 1), -1, &module, NULL))
		return ash_ddi_device_not_now(error);
	if (is_sum)
		name[strlen(name) - strlen(".MD5SUM")] = '\0';
	if (!may_have(&device, module, error) ||
			!ash_db_query(request->db,
					"SELECT sha1, md5, sha256 FROM ddi_artifact WHERE module = $1 AND filename = $2",
					ASH_DB_VALUES(ASH_DB_I(module), ASH_DB_T(name)), take_file,
					&file, error))
		return FALSE;
	g_autofree char *sha1 = file.sha1;
	g_autofree char *md5 = file.md5;
	g_autofree G_GNUC_UNUSED char *sha256 = file.sha256;
	if (sha1 == NULL)
		return ash_ddi_device_not_now(error);
	if (!is_sum)
		return send_file(request, &file, error);
	char *text = g_strdup_printf("%s  %s", md5, name);
	ash_http_reply(request->call, 200, "text/plain", g_bytes_new_take(text, strlen(text)));
	return TRUE;
}

#define MODULE "/DEFAULT/controller/v1/{id}/softwaremodules/{module}/artifacts"
#define DDI .is_open_body = true, .is_unlimited = true

const AshRoute ash_api_ddi_artifact_routes[] = {
		{"GET", MODULE, ASH_ROLE_NONE, "DDI: a module's artifacts", list_artifacts, DDI},
		{"GET", MODULE "/{file}", ASH_ROLE_NONE, "DDI: an artifact, or its .MD5SUM",
				get_artifact, DDI},
		{0},
};
