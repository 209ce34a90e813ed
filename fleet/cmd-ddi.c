/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/json.h"

/* Devices that speak hawkBit's DDI: what they are, what they may get, what they are to install. */

enum {
	MAX_WEIGHT = 1000,
};

static char *opt_type, *opt_kind, *opt_schedule;
static int opt_weight = ASH_CLI_NOT_GIVEN;
static gboolean opt_confirm, opt_beside;

static const GOptionEntry module_options[] = {
		{"type", 0, 0, G_OPTION_ARG_STRING, &opt_type,
				"os (default), application, runtime, or the client's own", "TYPE"},
		ASH_CLI_REASON,
		{0},
};
static const GOptionEntry start_options[] = {
		{"kind", 'k', 0, G_OPTION_ARG_STRING, &opt_kind,
				"forced (default), soft or download-only", "KIND"},
		{"window", 'w', 0, G_OPTION_ARG_STRING, &opt_schedule,
				"\"Sat 02:00-05:00 Europe/Zurich\"; default: any time", "WINDOW"},
		{"weight", 0, 0, G_OPTION_ARG_INT, &opt_weight,
				"0 to 1000 (default): the highest goes first", "N"},
		{"confirm", 0, 0, G_OPTION_ARG_NONE, &opt_confirm,
				"Somebody at the device must agree", NULL},
		{"beside", 0, 0, G_OPTION_ARG_NONE, &opt_beside, "The device's other actions go on",
				NULL},
		ASH_CLI_REASON,
		{0},
};

/* ---- targets ---- */

static const AshCliColumn target_columns[] = {
		{"ID", "id", ASH_CLI_TEXT},
		{"SEEN", "last_seen", ASH_CLI_AGO},
		{"ADDRESS", "address", ASH_CLI_TEXT},
		{"INSTALLED", "installed", ASH_CLI_MAP},
		{"AUTO-CONFIRM", "auto_confirm", ASH_CLI_BOOL},
		{"ATTRIBUTES", "attributes", ASH_CLI_MAP},
		{0},
};

static gboolean targets(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_list(context, "/v1/ddi/targets", 0, target_columns, "no devices", error);
}

static gboolean targets_show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/ddi/targets/", args[0], "");

	return ash_cli_show(context, path, target_columns, error);
}

static gboolean targets_add(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	JsonBuilder *body = ash_cli_body();
	g_autoptr(JsonNode) node = NULL;

	ash_json_add_string(body, "id", args[0]);
	if (!ash_cli_change(context, "POST", "/v1/ddi/targets", body, NULL, &node, error))
		return FALSE;
	const char *token = ash_json_find_text(json_node_get_object(node), "token");
	if (context->json)
		ash_cli_print_json(node);
	else if (token != NULL)
		puts(token);
	ash_progress_note(context->progress, "it is not shown again");
	return TRUE;
}

static gboolean targets_remove(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/ddi/targets/", args[0], "");

	return ash_cli_change(context, "DELETE", path, NULL, "removed", NULL, error);
}

/* ---- modules ---- */

static const AshCliColumn module_columns[] = {
		{"ID", "id", ASH_CLI_NUMBER},
		{"NAME", "name", ASH_CLI_TEXT},
		{"VERSION", "version", ASH_CLI_TEXT},
		{"TYPE", "type", ASH_CLI_TEXT},
		{0},
};

static gboolean modules(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_list(context, "/v1/ddi/modules", 0, module_columns, "no modules", error);
}

static gboolean modules_show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn files[] = {
			{"FILE", "filename", ASH_CLI_TEXT},
			{"BYTES", "size", ASH_CLI_NUMBER},
			{"SHA256", "sha256", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/ddi/modules/", args[0], "");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	if (context->json)
		return TRUE;
	ash_cli_print_page(json_node_get_object(node), module_columns);
	ash_cli_print_list(json_node_get_object(node), "artifacts", files);
	return TRUE;
}

/* What was made: its id, for the next command. */
static gboolean make(AshCliContext *context, const char *path, JsonBuilder *body, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_change(context, "POST", path, body, NULL, &node, error))
		return FALSE;
	if (context->json)
		ash_cli_print_json(node);
	else
		printf("%" G_GUINT64_FORMAT "\n",
				ash_json_find_uint(json_node_get_object(node), "id"));
	return TRUE;
}

static gboolean modules_add(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	JsonBuilder *body = ash_cli_body();

	ash_json_add_string(body, "name", args[0]);
	ash_json_add_string(body, "version", args[1]);
	ash_json_add_text(body, "type", opt_type);
	return make(context, "/v1/ddi/modules", body, error);
}

static gboolean modules_file(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"file", "filename", ASH_CLI_TEXT},
			{"bytes", "size", ASH_CLI_TEXT},
			{"sha256", "sha256", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/ddi/modules/", args[0], "/artifacts");
	JsonBuilder *body = ash_cli_body();
	g_autoptr(JsonNode) node = NULL;

	ash_json_add_string(body, "filename", args[1]);
	if (!ash_cli_change(context, "POST", path, body, NULL, &node, error))
		return FALSE;
	if (context->json)
		ash_cli_print_json(node);
	else
		ash_cli_print_page(json_node_get_object(node), columns);
	return TRUE;
}

/* ---- actions ---- */

static const AshCliColumn action_columns[] = {
		{"ID", "id", ASH_CLI_NUMBER},
		{"NAME", "name", ASH_CLI_TEXT},
		{"VERSION", "version", ASH_CLI_TEXT},
		{"STATE", "state", ASH_CLI_TEXT},
		{"ACTIVE", "active", ASH_CLI_BOOL},
		{"KIND", "kind", ASH_CLI_TEXT},
		{"MODULES", "modules", ASH_CLI_LIST},
		{"WEIGHT", "weight", ASH_CLI_NUMBER},
		{"WINDOW", "schedule", ASH_CLI_TEXT},
		{"CREATED", "created_at", ASH_CLI_TIME},
		{"BY", "created_by", ASH_CLI_TEXT},
		{0},
};

static gboolean actions(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/ddi/targets/", args[0], "/actions");

	return ash_cli_list(context, path, 0, action_columns, "nothing was to be installed", error);
}

/* /v1/ddi/targets/TARGET/actions/ACTION + @act */
static char *action_path(char **args, const char *act)
{
	g_autofree char *rest = ash_cli_path("/actions/", args[1], act);

	return ash_cli_path("/v1/ddi/targets/", args[0], rest);
}

static gboolean actions_show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn said[] = {
			{"AT", "at", ASH_CLI_TIME},
			{"STATE", "state", ASH_CLI_TEXT},
			{"MESSAGES", "messages", ASH_CLI_LIST},
			{0},
	};
	g_autofree char *path = action_path(args, "");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	if (context->json)
		return TRUE;
	ash_cli_print_page(json_node_get_object(node), action_columns);
	ash_cli_print_list(json_node_get_object(node), "statuses", said);
	return TRUE;
}

static gboolean actions_start(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/ddi/targets/", args[0], "/actions");
	g_autoptr(JsonBuilder) body = ash_cli_body();

	ash_json_add_string(body, "name", args[1]);
	ash_json_add_string(body, "version", args[2]);
	ash_json_begin_array(body, "modules");
	for (char **word = args + 3; *word != NULL; word++) {
		guint64 id = 0;
		if (!g_ascii_string_to_unsigned(*word, 10, 1, G_MAXINT64, &id, NULL))
			return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
					"'%s' is no module's number; see 'ashlar-fleet ddi-modules'",
					*word);
		json_builder_add_int_value(body, (gint64) id);
	}
	json_builder_end_array(body);
	if (!ash_cli_count("weight", opt_weight, 0, MAX_WEIGHT, error))
		return FALSE;
	ash_json_add_text(body, "kind", opt_kind);
	ash_json_add_text(body, "schedule", opt_schedule);
	if (opt_weight != ASH_CLI_NOT_GIVEN)
		ash_json_add_int(body, "weight", opt_weight);
	if (opt_confirm)
		ash_json_add_bool(body, "needs_confirmation", true);
	if (opt_beside)
		ash_json_add_bool(body, "beside", true);
	return make(context, path, g_steal_pointer(&body), error);
}

static gboolean actions_cancel(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = action_path(args, "/cancel");

	return ash_cli_change(context, "POST", path, ash_cli_body(), "asked for", NULL, error);
}

static gboolean actions_quit(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = action_path(args, "/quit");

	return ash_cli_change(context, "POST", path, ash_cli_body(), "ended", NULL, error);
}

static gboolean actions_force(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = action_path(args, "/force");

	return ash_cli_change(context, "POST", path, ash_cli_body(), "done", NULL, error);
}

const AshCliCommand ash_fleet_cmd_ddi[] = {
		{.name = "ddi-targets",
				.summary = "List devices that speak hawkBit's DDI",
				.run = targets},
		{.name = "ddi-targets show",
				.synopsis = "ID",
				.summary = "One of them",
				.min_args = 1,
				.max_args = 1,
				.run = targets_show},
		{.name = "ddi-targets add",
				.synopsis = "ID",
				.summary = "Let one in; its token is shown once",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = targets_add},
		{.name = "ddi-targets remove",
				.synopsis = "ID",
				.summary = "Remove one, with its history",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = targets_remove},
		{.name = "ddi-modules", .summary = "List what they can install", .run = modules},
		{.name = "ddi-modules show",
				.synopsis = "MODULE",
				.summary = "One of them, with its files",
				.min_args = 1,
				.max_args = 1,
				.run = modules_show},
		{.name = "ddi-modules add",
				.synopsis = "NAME VERSION",
				.summary = "Make a module; prints its number",
				.options = module_options,
				.min_args = 2,
				.max_args = 2,
				.run = modules_add},
		{.name = "ddi-modules file",
				.synopsis = "MODULE FILE",
				.summary = "Add a file to a module",
				.details = "FILE: the name of one that lies in content/ddi/upload in the "
					   "server's directory.",
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = modules_file},
		{.name = "ddi-actions",
				.synopsis = "TARGET",
				.summary = "What was and is to be installed on a device",
				.min_args = 1,
				.max_args = 1,
				.run = actions},
		{.name = "ddi-actions show",
				.synopsis = "TARGET ACTION",
				.summary = "One, with what the device said",
				.min_args = 2,
				.max_args = 2,
				.run = actions_show},
		{.name = "ddi-actions start",
				.synopsis = "TARGET NAME VERSION MODULE…",
				.summary = "Have a device install modules",
				.details = "NAME and VERSION are for people. What was under way on it is "
					   "cancelled, but with --beside. Prints the action's number.",
				.options = start_options,
				.min_args = 4,
				.max_args = -1,
				.run = actions_start},
		{.name = "ddi-actions cancel",
				.synopsis = "TARGET ACTION",
				.summary = "Ask the device to stop",
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = actions_cancel},
		{.name = "ddi-actions quit",
				.synopsis = "TARGET ACTION",
				.summary = "End it without asking the device",
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = actions_quit},
		{.name = "ddi-actions force",
				.synopsis = "TARGET ACTION",
				.summary = "Make a soft one forced",
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = actions_force},
		{0},
};
