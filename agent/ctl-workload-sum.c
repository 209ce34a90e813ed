/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "agent/ctl-workload.h"
#include "agent/workload/api.h"
#include "lib/error.h"
#include "lib/file.h"

/* What ashlar-workloadd leaves for all to see: nobody has to be asked, or started. */

enum {
	MAX_BYTES = ASH_WORKLOAD_STATUS_MAX_BYTES,
	MAX_DEPTH = 8,
};

#define DEFINITIONS "/etc/ashlar/workloads.d"

/* NULL: there is none. */
static gboolean read_status(JsonNode **out_root, GError **error)
{
	g_autoptr(GBytes) text = NULL;
	g_autoptr(JsonNode) root = NULL;
	g_autoptr(GError) local = NULL;

	ASH_PREFIX("%s", ASH_WORKLOAD_STATUS_FILE);
	if (!ash_file_read(AT_FDCWD, ASH_WORKLOAD_STATUS_FILE, MAX_BYTES, &text, &local)) {
		if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
			*out_root = NULL;
			return TRUE;
		}
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	if (!ash_json_parse(text, MAX_BYTES, MAX_DEPTH, &root, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(root))
		return ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_FAILED, "not an object");
	*out_root = g_steal_pointer(&root);
	return TRUE;
}

static bool has_definitions(void)
{
	g_autoptr(GDir) dir = g_dir_open(DEFINITIONS, 0, NULL);
	bool is_expected = false;

	return (dir != NULL && g_dir_read_name(dir) != NULL) ||
	       (ash_file_exists(AT_FDCWD, ASH_WORKLOAD_EXPECTED_FILE, &is_expected, NULL) &&
			       is_expected);
}

/* "web 1.0.0 failed: why"; NULL: they all are well. @is_required: of these alone. */
static char *find_unready(JsonObject *status, bool is_required)
{
	g_autoptr(GPtrArray) workloads = ash_ctl_list(status, "workloads");

	for (guint i = 0; i < workloads->len; i++) {
		JsonObject *item = workloads->pdata[i];
		const char *state = ash_json_find_text(item, "state");
		const char *text = ash_json_find_text(item, "text");
		bool is_stopped = g_strcmp0(state, "stopped") == 0;
		if (ash_json_find_bool(item, "ready") || (!is_required && is_stopped) ||
				(is_required && !ash_json_find_bool(item, "required")))
			continue;
		g_autofree char *line = g_strdup_printf("%s is %s%s%s",
				ash_json_find_text(item, "name"), state, text != NULL ? ": " : "",
				text != NULL ? text : "");
		return ash_ctl_clean(line);
	}
	return NULL;
}

char *ash_ctl_workload_summary(void)
{
	g_autoptr(JsonNode) root = NULL;
	guint n_ready = 0;

	if (!read_status(&root, NULL) || root == NULL)
		return NULL;
	JsonObject *status = json_node_get_object(root);
	g_autoptr(GPtrArray) workloads = ash_ctl_list(status, "workloads");
	g_autofree char *unready = find_unready(status, false);
	for (guint i = 0; i < workloads->len; i++)
		n_ready += ash_json_find_bool(workloads->pdata[i], "ready");
	if (workloads->len == 0)
		return NULL;
	return g_strdup_printf("%u of %u run%s%s", n_ready, workloads->len,
			unready != NULL ? "; " : "", unready != NULL ? unready : "");
}

static void print_required(bool is_ready, const char *text)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_bool(builder, "ready", is_ready);
	ash_json_add_text(builder, "text", text);
	json_builder_end_object(builder);
	g_autofree char *json = ash_json_format(builder, false);
	puts(g_strchomp(json));
}

static gboolean required(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonNode) root = NULL;

	if (!read_status(&root, error))
		return FALSE;
	g_autofree char *unready =
			root != NULL ? find_unready(json_node_get_object(root), true) : NULL;
	if (unready == NULL && root == NULL && has_definitions())
		unready = g_strdup("ashlar-workloadd has not begun");
	const char *text = unready != NULL ? unready : "all that are required run";
	if (context->json)
		print_required(unready == NULL, text);
	else
		puts(text);
	*out_exit = unready != NULL ? ASH_EXIT_NEGATIVE : ASH_EXIT_OK;
	return TRUE;
}

const AshCliCommand ash_ctl_workload_required = {
		.name = "workload required",
		.synopsis = "",
		.summary = "Do all workloads run that are 'required: true'?",
		.details = "For a health check of the host. Ends with exit code 8 when one does not.",
		.run = required,
};
