/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/json.h"

static char *opt_note, *opt_reason, *opt_selector, *opt_poll;
static char **opt_windows;
static int opt_rank = 100;

static const GOptionEntry channel_options[] = {
		{"note", 0, 0, G_OPTION_ARG_STRING, &opt_note, "For people", "TEXT"},
		{"reason", 'r', 0, G_OPTION_ARG_STRING, &opt_reason, "Why, for the audit log",
				"TEXT"},
		{0},
};
static const GOptionEntry policy_options[] = {
		{"selector", 's', 0, G_OPTION_ARG_STRING, &opt_selector, "For these hosts",
				"SELECTOR"},
		{"rank", 0, 0, G_OPTION_ARG_INT, &opt_rank,
				"The lowest that matches rules; default: 100", "N"},
		{"window", 'w', 0, G_OPTION_ARG_STRING_ARRAY, &opt_windows,
				"\"Sat 02:00-05:00 Europe/Zurich\"; may be given again", "WINDOW"},
		{"poll", 0, 0, G_OPTION_ARG_STRING, &opt_poll, "How often they check in", "TIME"},
		{"note", 0, 0, G_OPTION_ARG_STRING, &opt_note, "For people", "TEXT"},
		{"reason", 'r', 0, G_OPTION_ARG_STRING, &opt_reason, "Why, for the audit log",
				"TEXT"},
		{0},
};
static const GOptionEntry reason_options[] = {
		{"reason", 'r', 0, G_OPTION_ARG_STRING, &opt_reason, "Why, for the audit log",
				"TEXT"},
		{0},
};

static gboolean channels(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"CHANNEL", "name", ASH_CLI_TEXT},
			{"RELEASE", "release.name", ASH_CLI_TEXT},
			{"VERSION", "release.version", ASH_CLI_TEXT},
			{"NOTE", "note", ASH_CLI_TEXT},
			{0},
	};

	return ash_cli_list(context, "/v1/channels", 0, columns, "no channels", error);
}

static gboolean channels_set(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/channels/", args[0], "");
	JsonBuilder *body = ash_cli_body();

	ash_json_add_text(body, "release", args[1]);
	ash_json_add_text(body, "note", opt_note);
	ash_json_add_text(body, "reason", opt_reason);
	return ash_cli_change(context, "PUT", path, body, "done", NULL, error);
}

static gboolean channels_history(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"AT", "at", ASH_CLI_TIME},
			{"RELEASE", "release.name", ASH_CLI_TEXT},
			{"VERSION", "release.version", ASH_CLI_TEXT},
			{"BY", "actor", ASH_CLI_TEXT},
			{"REASON", "reason", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/channels/", args[0], "/history");

	return ash_cli_list(context, path, 0, columns, "it was never set", error);
}

static gboolean policies(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"POLICY", "name", ASH_CLI_TEXT},
			{"RANK", "rank", ASH_CLI_NUMBER},
			{"SELECTOR", "selector", ASH_CLI_TEXT},
			{"WINDOWS", "windows", ASH_CLI_LIST},
			{"POLL", "poll", ASH_CLI_NUMBER},
			{"NOTE", "note", ASH_CLI_TEXT},
			{0},
	};

	return ash_cli_list(context, "/v1/policies", 0, columns, "no policies", error);
}

static gboolean policies_set(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/policies/", args[0], "");
	g_autoptr(JsonBuilder) body = ash_cli_body();
	int64_t poll_s = 0;

	if (!ash_cli_need("selector", opt_selector, error) ||
			(opt_poll != NULL && !ash_cli_seconds("poll", opt_poll, &poll_s, error)))
		return FALSE;
	ash_json_add_text(body, "selector", opt_selector);
	ash_json_add_int(body, "rank", opt_rank);
	ash_json_add_texts(body, "windows", opt_windows);
	ash_json_add_int(body, "poll", poll_s);
	ash_json_add_text(body, "note", opt_note);
	ash_json_add_text(body, "reason", opt_reason);
	return ash_cli_change(context, "PUT", path, g_steal_pointer(&body), "done", NULL, error);
}

static gboolean policies_remove(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_argument(
			ash_cli_path("/v1/policies/", args[0], ""), "reason", opt_reason);

	return ash_cli_change(context, "DELETE", path, NULL, "removed", NULL, error);
}

const AshCliCommand ash_fleet_cmd_channel[] = {
		{.name = "channels", .summary = "List channels", .run = channels},
		{.name = "channels set",
				.synopsis = "CHANNEL RELEASE",
				.summary = "Point a channel at a release, at once and for all its hosts",
				.details = "A rollout with --channel moves it when it has finished.",
				.options = channel_options,
				.min_args = 2,
				.max_args = 2,
				.run = channels_set},
		{.name = "channels history",
				.synopsis = "CHANNEL",
				.summary = "What it pointed at",
				.min_args = 1,
				.max_args = 1,
				.run = channels_history},
		{.name = "policies",
				.summary = "List policies: windows and check-ins",
				.run = policies},
		{.name = "policies set",
				.synopsis = "NAME",
				.summary = "Make or change one",
				.options = policy_options,
				.min_args = 1,
				.max_args = 1,
				.run = policies_set},
		{.name = "policies remove",
				.synopsis = "NAME",
				.summary = "Remove one",
				.options = reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = policies_remove},
		{0},
};
