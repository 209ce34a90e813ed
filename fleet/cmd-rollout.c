/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/json.h"

static char *opt_state, *opt_outcome;
static int opt_limit = ASH_CLI_NOT_GIVEN;

static const GOptionEntry list_options[] = {
		{"state", 's', 0, G_OPTION_ARG_STRING, &opt_state, "running, paused, halted, …",
				"STATE"},
		{0},
};
static const GOptionEntry hosts_options[] = {
		{"outcome", 'o', 0, G_OPTION_ARG_STRING, &opt_outcome, "failed, silent, offered, …",
				"OUTCOME"},
		{"limit", 'n', 0, G_OPTION_ARG_INT, &opt_limit, "At most so many; default: all",
				"N"},
		{0},
};

static gboolean rollouts(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"ID", "id", ASH_CLI_TEXT},
			{"NAME", "name", ASH_CLI_TEXT},
			{"WORKLOAD", "workload", ASH_CLI_TEXT},
			{"VERSION", "release.version|version", ASH_CLI_TEXT},
			{"STATE", "state", ASH_CLI_TEXT},
			{"RING", "ring", ASH_CLI_NUMBER},
			{"CONFIRMED", "counts.confirmed", ASH_CLI_NUMBER},
			{"OF", "total", ASH_CLI_NUMBER},
			{"FAILED", "failures", ASH_CLI_NUMBER},
			{"HALTS AT", "halts_at", ASH_CLI_NUMBER},
			{"CREATED", "created_at", ASH_CLI_TIME},
			{0},
	};
	g_autofree char *path = ash_cli_argument(g_strdup("/v1/rollouts"), "state", opt_state);

	return ash_cli_list(context, path, 0, columns, "no rollouts", error);
}

static const AshCliColumn ring_columns[] = {
		{"RING", "ring", ASH_CLI_NUMBER},
		{"LIMIT", "limit", ASH_CLI_NUMBER},
		{"HALTS AT", "halts_at", ASH_CLI_NUMBER},
		{"ASSIGNED", "counts.assigned", ASH_CLI_NUMBER},
		{"OFFERED", "counts.offered", ASH_CLI_NUMBER},
		{"CONFIRMED", "counts.confirmed", ASH_CLI_NUMBER},
		{"FAILED", "counts.failed", ASH_CLI_NUMBER},
		{"SILENT", "counts.silent", ASH_CLI_NUMBER},
		{"RETURNED", "counts.returned", ASH_CLI_NUMBER},
		{0},
};

static void print_rollout(JsonObject *object)
{
	static const AshCliColumn columns[] = {
			{"rollout", "id", ASH_CLI_TEXT},
			{"name", "name", ASH_CLI_TEXT},
			{"workload", "workload", ASH_CLI_TEXT},
			{"assignment", "assignment", ASH_CLI_TEXT},
			{"version", "release.version|version", ASH_CLI_TEXT},
			{"selector", "selector", ASH_CLI_TEXT},
			{"state", "state", ASH_CLI_TEXT},
			{"reason", "reason", ASH_CLI_TEXT},
			{"created", "created_at", ASH_CLI_TIME},
			{"by", "created_by", ASH_CLI_TEXT},
			{"ended", "ended_at", ASH_CLI_TIME},
			{"hosts", "total", ASH_CLI_TEXT},
			{"counts", "counts", ASH_CLI_MAP},
			{"failures", "failures", ASH_CLI_TEXT},
			{"halts at", "halts_at", ASH_CLI_TEXT},
			{"next", "next", ASH_CLI_TEXT},
			{0},
	};
	JsonArray *rings = ash_json_find_objects(object, "rings");

	ash_cli_print_page(object, columns);
	if (rings != NULL) {
		putchar('\n');
		ash_cli_print_table(rings, ring_columns);
	}
}

static gboolean get(AshCliClient *client, const char *id, JsonNode **out_node, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/rollouts/", id, "");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_client_call(client, "GET", path, NULL, &node, error))
		return FALSE;
	if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_ANSWER,
				"the answer is no rollout");
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

static gboolean show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_client_new(&client, error) || !get(client, args[0], &node, error))
		return FALSE;
	if (context->json)
		ash_cli_print_json(node);
	else
		print_rollout(json_node_get_object(node));
	return TRUE;
}

static gboolean hosts(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"HOST", "name", ASH_CLI_TEXT},
			{"ID", "host", ASH_CLI_SHORT},
			{"RING", "ring", ASH_CLI_NUMBER},
			{"OUTCOME", "outcome", ASH_CLI_TEXT},
			{"SINCE", "since", ASH_CLI_TIME},
			{"REASON", "reason", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_argument(
			ash_cli_path("/v1/rollouts/", args[0], "/hosts"), "outcome", opt_outcome);

	return ash_cli_count("limit", opt_limit, 1, ASH_CLI_MAX_ITEMS, error) &&
	       ash_cli_list(context, path, (unsigned) MAX(opt_limit, 0), columns, "no hosts",
			       error);
}

static gboolean ledger(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"LINE", "line", ASH_CLI_NUMBER},
			{"TEXT", "text", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/rollouts/", args[0], "/ledger");

	return ash_cli_list(context, path, 0, columns, "the ledger is empty", error);
}

/* ---- acts ---- */

static gboolean act(AshCliContext *context, const char *id, const char *word, bool needs_reason,
		GError **error)
{
	g_autofree char *rest = g_strconcat("/", word, NULL);
	g_autofree char *path = ash_cli_path("/v1/rollouts/", id, rest);
	JsonBuilder *body;

	if (needs_reason && !ash_cli_need("reason", ash_cli_reason, error))
		return FALSE;
	body = ash_cli_body();
	return ash_cli_change(context, "POST", path, body, "done", NULL, error);
}

static gboolean pause_it(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return act(context, args[0], "pause", false, error);
}

static gboolean resume(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return act(context, args[0], "resume", true, error);
}

static gboolean revert(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return act(context, args[0], "revert", true, error);
}

static gboolean cancel(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return act(context, args[0], "cancel", false, error);
}

static gboolean replay(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/rollouts/", args[0], "/replay");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_change(context, "POST", path, ash_cli_body(), NULL, &node, error))
		return FALSE;
	JsonObject *object = json_node_get_object(node);
	bool agrees = ash_json_find_bool(object, "agrees");
	if (context->json) {
		ash_cli_print_json(node);
	} else if (agrees) {
		printf("%" G_GUINT64_FORMAT " lines, every decision comes out the same\n",
				ash_json_find_uint(object, "lines"));
	} else {
		g_autofree char *expected = ash_cli_cell(object, "expected", ASH_CLI_TEXT);
		g_autofree char *found = ash_cli_cell(object, "found", ASH_CLI_TEXT);
		printf("differs from line %" G_GUINT64_FORMAT " on\nexpected  %s\nfound     %s\n",
				ash_json_find_uint(object, "first_difference"), expected, found);
	}
	if (!agrees)
		*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

const AshCliCommand ash_fleet_cmd_rollout[] = {
		{.name = "rollouts",
				.summary = "List rollouts",
				.options = list_options,
				.run = rollouts},
		{.name = "rollouts show",
				.synopsis = "ROLLOUT",
				.summary = "One rollout, ring by ring",
				.min_args = 1,
				.max_args = 1,
				.run = show},
		{.name = "rollouts hosts",
				.synopsis = "ROLLOUT",
				.summary = "Its hosts and their outcomes",
				.options = hosts_options,
				.min_args = 1,
				.max_args = 1,
				.run = hosts},
		{.name = "rollouts ledger",
				.synopsis = "ROLLOUT",
				.summary = "Everything that it was told and decided",
				.min_args = 1,
				.max_args = 1,
				.run = ledger},
		{.name = "rollouts pause",
				.synopsis = "ROLLOUT",
				.summary = "Nobody new gets it until it is resumed",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = pause_it},
		{.name = "rollouts resume",
				.synopsis = "ROLLOUT",
				.summary = "Go on, with a reason",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = resume},
		{.name = "rollouts revert",
				.synopsis = "ROLLOUT",
				.summary = "Send back who took it, with a reason",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = revert},
		{.name = "rollouts cancel",
				.synopsis = "ROLLOUT",
				.summary = "End it where it stands",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = cancel},
		{.name = "rollouts replay",
				.synopsis = "ROLLOUT",
				.summary = "Do its decisions follow from its ledger? Exit code 8: no",
				.min_args = 1,
				.max_args = 1,
				.run = replay},
		{0},
};
