/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/json.h"

/* Which hosts run which version of a workload. */

enum {
	MAX_RANK = 1000000,
};

static char *opt_workload, *opt_version, *opt_selector, *opt_note;
static char **opt_parameters;
static int opt_rank = ASH_CLI_NOT_GIVEN;
static gboolean opt_widen, opt_dry_run, opt_yes;

static const GOptionEntry list_options[] = {
		{"workload", 0, 0, G_OPTION_ARG_STRING, &opt_workload, "Of this workload only",
				"NAME"},
		{0},
};
static const GOptionEntry assign_options[] = {
		{"workload", 0, 0, G_OPTION_ARG_STRING, &opt_workload, "Needed for a new one",
				"NAME"},
		{"version", 'v', 0, G_OPTION_ARG_STRING, &opt_version,
				"All its hosts get it at once; empty: none yet", "VERSION"},
		{"selector", 's', 0, G_OPTION_ARG_STRING, &opt_selector, "On these hosts",
				"SELECTOR"},
		{"rank", 0, 0, G_OPTION_ARG_INT, &opt_rank,
				"The lowest that matches rules; of a new one 100", "N"},
		{"parameter", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &opt_parameters,
				"NAME=VALUE sets one, NAME- removes it; may be given again",
				"PARAMETER"},
		{"note", 0, 0, G_OPTION_ARG_STRING, &opt_note, "For people", "TEXT"},
		{"widen", 0, 0, G_OPTION_ARG_NONE, &opt_widen,
				"The version may touch more than the one before; with a reason",
				NULL},
		ASH_CLI_REASON,
		{"dry-run", 'n', 0, G_OPTION_ARG_NONE, &opt_dry_run, "Only show what it would be",
				NULL},
		{"yes", 'y', 0, G_OPTION_ARG_NONE, &opt_yes, "Do not ask", NULL},
		{0},
};
static const GOptionEntry remove_options[] = {
		ASH_CLI_REASON,
		{"yes", 'y', 0, G_OPTION_ARG_NONE, &opt_yes, "Do not ask", NULL},
		{0},
};

const AshCliColumn ash_cli_assignment_columns[] = {
		{"ASSIGNMENT", "id", ASH_CLI_TEXT},
		{"WORKLOAD", "workload", ASH_CLI_TEXT},
		{"VERSION", "version", ASH_CLI_TEXT},
		{"HOSTS", "hosts", ASH_CLI_NUMBER},
		{"RANK", "rank", ASH_CLI_NUMBER},
		{"SELECTOR", "selector", ASH_CLI_TEXT},
		{"ROLLOUT", "rollout", ASH_CLI_TEXT},
		{"PARAMETERS", "parameters", ASH_CLI_MAP},
		{"NOTE", "note", ASH_CLI_TEXT},
		{0},
};

static gboolean assignments(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path =
			ash_cli_argument(g_strdup("/v1/assignments"), "workload", opt_workload);

	return ash_cli_list(context, path, 0, ash_cli_assignment_columns,
			"no assignments; 'ashlar-fleet assign' makes one", error);
}

static gboolean assignment(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/assignments/", args[0], "");

	return ash_cli_show(context, path, ash_cli_assignment_columns, error);
}

/* ---- setting one ---- */

/* Those that it has, changed as asked for: the server takes all of them or none. */
static gboolean merge_parameters(const char *path, JsonNode **out_node, GError **error)
{
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonNode) answer = NULL;
	g_autoptr(JsonObject) parameters = json_object_new();
	g_autoptr(GError) local = NULL;

	*out_node = NULL;
	if (opt_parameters == NULL)
		return TRUE;
	if (!ash_cli_client_new(&client, error))
		return FALSE;
	if (!ash_cli_client_call(client, "GET", path, NULL, &answer, &local) &&
			!g_error_matches(local, ASH_CLI_CLIENT_ERROR,
					ASH_CLI_CLIENT_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	JsonObject *old = answer != NULL && JSON_NODE_HOLDS_OBJECT(answer)
					  ? ash_json_find_object(json_node_get_object(answer),
							    "parameters")
					  : NULL;
	g_autoptr(GList) members = old != NULL ? json_object_get_members(old) : NULL;
	for (GList *at = members; at != NULL; at = at->next)
		json_object_set_member(parameters, at->data,
				json_node_copy(json_object_get_member(old, at->data)));
	for (char **word = opt_parameters; *word != NULL; word++) {
		const char *equals = strchr(*word, '=');
		g_autofree char *name =
				g_strndup(*word, equals != NULL ? (size_t) (equals - *word)
								: MAX(strlen(*word), 1) - 1);
		if (equals != NULL)
			json_object_set_string_member(parameters, name, equals + 1);
		else if (g_str_has_suffix(*word, "-"))
			json_object_remove_member(parameters, name);
		else
			return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
					"--parameter takes NAME=VALUE or NAME-, not '%s'", *word);
	}
	*out_node = json_node_new(JSON_NODE_OBJECT);
	json_node_set_object(*out_node, parameters);
	return TRUE;
}

static JsonBuilder *body_of(JsonNode *parameters)
{
	JsonBuilder *body = ash_cli_body();

	/* What is not sent stays as it is. */
	ash_json_add_text(body, "workload", opt_workload);
	if (opt_version != NULL)
		ash_json_add_string(body, "version", opt_version);
	if (opt_selector != NULL)
		ash_json_add_string(body, "selector", opt_selector);
	if (opt_rank != ASH_CLI_NOT_GIVEN)
		ash_json_add_int(body, "rank", opt_rank);
	if (opt_note != NULL)
		ash_json_add_string(body, "note", opt_note);
	if (opt_widen)
		ash_json_add_bool(body, "widen", true);
	if (parameters != NULL) {
		json_builder_set_member_name(body, "parameters");
		json_builder_add_value(body, json_node_copy(parameters));
	}
	return body;
}

static void show(AshCliContext *context, JsonNode *node)
{
	if (context->json)
		ash_cli_print_json(node);
	else
		ash_cli_print_page(json_node_get_object(node), ash_cli_assignment_columns);
}

static gboolean assign(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/assignments/", args[0], "");
	g_autofree char *dry = g_strconcat(path, "?dry_run=1", NULL);
	g_autoptr(JsonNode) parameters = NULL, plan = NULL, node = NULL;

	if (!ash_cli_count("rank", opt_rank, 0, MAX_RANK, error) ||
			(opt_widen && !ash_cli_need("reason", ash_cli_reason, error)))
		return FALSE;
	if (!merge_parameters(path, &parameters, error) ||
			!ash_cli_change(context, "PUT", dry, body_of(parameters), NULL, &plan,
					error))
		return FALSE;
	if (opt_dry_run) {
		show(context, plan);
		return TRUE;
	}
	JsonObject *there = json_node_get_object(plan);
	guint64 hosts = ash_json_find_uint(there, "hosts");
	g_autofree char *workload = ash_cli_cell(there, "workload", ASH_CLI_TEXT);
	g_autofree char *version = ash_cli_cell(there, "version", ASH_CLI_TEXT);
	g_autofree char *what = g_strdup_printf(
			"%" G_GUINT64_FORMAT " hosts get %s %s at once", hosts, workload, version);
	if (!ash_cli_confirm(opt_yes, hosts, what, error))
		return FALSE;
	JsonBuilder *body = body_of(parameters);
	ash_json_add_uint(body, "expect", hosts);
	if (!ash_cli_change(context, "PUT", path, body, NULL, &node, error))
		return FALSE;
	show(context, node);
	return TRUE;
}

static gboolean unassign(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/assignments/", args[0], "");
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_client_new(&client, error) ||
			!ash_cli_client_call(client, "GET", path, NULL, &node, error))
		return FALSE;
	JsonObject *there = node != NULL && JSON_NODE_HOLDS_OBJECT(node)
					    ? json_node_get_object(node)
					    : NULL;
	guint64 hosts = there != NULL ? ash_json_find_uint(there, "hosts") : 0;
	g_autofree char *workload = ash_cli_cell(there, "workload", ASH_CLI_TEXT);
	g_autofree char *what =
			g_strdup_printf("%" G_GUINT64_FORMAT
					" hosts do not run %s for it any more; volumes are kept",
					hosts, workload);
	if (!ash_cli_confirm(opt_yes, hosts, what, error))
		return FALSE;
	return ash_cli_change(context, "DELETE", path, NULL, "removed", NULL, error);
}

const AshCliCommand ash_fleet_cmd_assignment[] = {
		{.name = "assignments",
				.summary = "Which hosts run which version of a workload",
				.options = list_options,
				.run = assignments},
		{.name = "assignment",
				.synopsis = "ID",
				.summary = "One of them",
				.min_args = 1,
				.max_args = 1,
				.run = assignment},
		{.name = "assign",
				.synopsis = "ID",
				.summary = "Make an assignment, or change what is asked for",
				.details = "Asks for the number of hosts, which must still be the same when it is "
					   "done. For anything but the first version 'rollouts start "
					   "--assignment ID --version VERSION' goes ring by ring.",
				.options = assign_options,
				.min_args = 1,
				.max_args = 1,
				.run = assign},
		{.name = "unassign",
				.synopsis = "ID",
				.summary = "Its hosts run the workload no more",
				.options = remove_options,
				.min_args = 1,
				.max_args = 1,
				.run = unassign},
		{0},
};
