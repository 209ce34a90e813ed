/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/ctl.h"

#include "lib/error.h"
#include "lib/json.h"

static int opt_limit = 50;

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *limit = g_strdup_printf("%d", opt_limit);

	if (opt_limit < 1 || opt_limit > ASH_BUS_MAX_HISTORY)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--lines is a number from 1 to %d", ASH_BUS_MAX_HISTORY);
	if (!ash_ctl_report(context, "GetHistory", limit, &root, error))
		return FALSE;
	if (root == NULL)
		return TRUE;
	g_autoptr(GPtrArray) events = ash_ctl_list(json_node_get_object(root), "events");
	g_autoptr(GPtrArray) table = ash_ctl_table_new();
	for (guint i = 0; i < events->len; i++) {
		JsonObject *event = events->pdata[i];
		const char *kind = ash_json_find_text(event, "event");
		const char *version = ash_json_find_text(event, "version");
		const char *text = ash_json_find_text(event, "text");
		g_autofree char *at = ash_ctl_time(ash_json_find_text(event, "at"));
		ash_ctl_table_add(table, at, kind != NULL ? kind : "",
				version != NULL ? version : "", text != NULL ? text : "", NULL);
	}
	ash_ctl_table_print(table);
	return TRUE;
}

static const GOptionEntry options[] = {
		{"lines", 'n', 0, G_OPTION_ARG_INT, &opt_limit,
				"Print the last N events (default: 50)", "N"},
		{0},
};

const AshCliCommand ash_ctl_history = {
		.name = "history",
		.summary = "Print what happened here, newest last",
		.options = options,
		.run = run,
};
