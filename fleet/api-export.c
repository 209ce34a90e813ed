/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/api-export.h"

#include <string.h>

#include "fleet/change.h"
#include "fleet/operator.h"
#include "fleet/selector.h"
#include "fleet/server.h"
#include "fleet/webhook.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/yaml.h"

/* Export and import of what operators decided. */

static gboolean export_all(AshRequest *request, GError **error)
{
	g_autoptr(AshExport) all = NULL;
	g_autofree char *head =
			g_strdup_printf("# The fleet %s: what its operators decided. Passwords "
					"and secrets are not in it.\n",
					request->server->fleet_id);

	if (!ash_export_load(request->db, false, &all, error))
		return FALSE;
	char *text = ash_export_format(all, head);
	ash_http_add_header(request->call, "Content-Disposition",
			"attachment; filename=\"fleet.yaml\"");
	ash_http_reply(request->call, 200, "application/yaml",
			g_bytes_new_take(text, strlen(text)));
	return TRUE;
}

/* ---- import ---- */

typedef struct {
	const AshExport *wanted;
	bool is_dry;
	AshExport *now;
	GArray *changes;
	unsigned unknown;
	JsonBuilder *secrets;
} Import;

static gboolean count_admins(AshRequest *request, int64_t *out_count, GError **error)
{
	return ash_db_query_int(request->db,
			"SELECT COUNT(*) FROM operator WHERE role = 'admin' AND disabled_at = 0",
			NULL, NULL, out_count, error);
}

static gboolean apply_all(AshRequest *request, gpointer data, GError **error)
{
	Import *import = data;
	int64_t admins_before = 0;
	int64_t admins_after = 0;

	/* What is compared with does not change until it is done. */
	if (!ash_db_lock_events(request->db, error) ||
			!ash_export_load(request->db, true, &import->now, error) ||
			!count_admins(request, &admins_before, error))
		return FALSE;
	import->changes = ash_export_diff(import->now, import->wanted, &import->unknown);
	for (guint i = 0; i < import->changes->len; i++)
		if (!ash_import_apply(request, &g_array_index(import->changes, AshExportChange, i),
				    import->secrets, error))
			return FALSE;
	if (!count_admins(request, &admins_after, error))
		return FALSE;
	return admins_before == 0 || admins_after > 0 ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
			       "no operator would be an admin any more");
}

/* Everything is done and taken back: what would fail, fails. */
static gboolean try_all(AshRequest *request, Import *import, GError **error)
{
	if (!ash_db_begin(request->db, true, error))
		return FALSE;
	gboolean ok = apply_all(request, import, error);
	ash_db_rollback(request->db);
	return ok;
}

static void add_value(JsonBuilder *json, const char *key, const AshExportItem *item)
{
	json_builder_set_member_name(json, key);
	if (item == NULL)
		json_builder_add_null_value(json);
	else
		json_builder_add_value(json, json_node_init_object(json_node_alloc(), item->value));
}

static void add_changes(JsonBuilder *json, const Import *import)
{
	ash_json_begin_array(json, "changes");
	for (guint i = 0; i < import->changes->len; i++) {
		const AshExportChange *change = &g_array_index(import->changes, AshExportChange, i);
		const AshExportItem *item = change->after != NULL ? change->after : change->before;
		json_builder_begin_object(json);
		ash_json_add_text(json, "act",
				change->before == NULL  ? "add"
				: change->after == NULL ? "remove"
							: "change");
		ash_json_add_text(json, "kind", ash_export_kind_text(change->kind));
		ash_json_add_text(json, "name", item->name);
		add_value(json, "before", change->before);
		add_value(json, "after", change->after);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	ash_json_add_uint(json, "unknown_hosts", import->unknown);
}

static gboolean reply(AshRequest *request, Import *import)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	add_changes(json, import);
	json_builder_end_array(import->secrets);
	if (!import->is_dry) {
		json_builder_set_member_name(json, "secrets");
		json_builder_add_value(json, json_builder_get_root(import->secrets));
	}
	ash_http_add_header(request->call, "Cache-Control", "no-store");
	return ash_route_reply(request, json);
}

static gboolean parse(AshRequest *request, AshExport **out_wanted, GError **error)
{
	const char *yaml = NULL;

	if (!ash_json_text(request->body, "yaml", &yaml, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	g_autoptr(GBytes) bytes = g_bytes_new_static(yaml, strlen(yaml));
	return ash_export_parse(bytes, out_wanted, error) ||
	       ash_change_answer(error, ASH_EXPORT_ERROR, -1, ASH_ROUTE_ERROR_REQUEST) ||
	       ash_change_answer(error, ASH_YAML_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
}

static gboolean import_all(AshRequest *request, GError **error)
{
	const char *dry = ash_http_argument(request->call, "dry_run");
	g_autoptr(AshExport) wanted = NULL;
	g_autoptr(JsonBuilder) secrets = json_builder_new();
	Import import = {.is_dry = dry != NULL && strcmp(dry, "0") != 0, .secrets = secrets};

	if (!parse(request, &wanted, error))
		return FALSE;
	import.wanted = wanted;
	json_builder_begin_array(secrets);
	gboolean ok = import.is_dry ? try_all(request, &import, error)
				    : ash_change_run(request, apply_all, &import, error);
	G_GNUC_UNUSED g_autoptr(AshExport) now = import.now;
	G_GNUC_UNUSED g_autoptr(GArray) changes = import.changes;
	if (!ok)
		return FALSE;
	if (!import.is_dry) {
		ash_operators_forget(request->server->operators);
		ash_webhooks_wake(request->server->webhooks);
	}
	return reply(request, &import);
}

/* ---- routes ---- */

static const AshRouteMember import_arguments[] = {
		{"dry_run", "integer", false, "1: only say what would change"}, {0}};
static const AshRouteMember import_members[] = {
		{"yaml", "string", true, "a document as GET /v1/export gives it, at most 8 MiB"},
		{0}};

const AshRoute ash_api_export_routes[] = {
		{"GET", "/v1/export", ASH_ROLE_ADMIN,
				"Channels, policies, groups of locks, operators, webhooks, assignments, labels as YAML, "
				"without secrets",
				export_all, .answer = NULL},
		{"POST", "/v1/import", ASH_ROLE_ADMIN,
				"Make the fleet as a document says; sections that it lacks stay",
				import_all, .arguments = import_arguments,
				.members = import_members,
				.answer = "{\"changes\":[{\"act\":\"add\",\"kind\":\"channel\",\"name\":"
					  "\"stable\",\"before\":null,\"after\":{}}],\"unknown_hosts\":0,"
					  "\"secrets\":[]}",
				.max_body_bytes = 16 << 20},
		{0},
};
