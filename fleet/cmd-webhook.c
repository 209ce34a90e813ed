/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/json.h"

static char **opt_kinds;
static char *opt_note;
static int64_t opt_from;

static const GOptionEntry add_options[] = {
		{"kind", 'k', 0, G_OPTION_ARG_STRING_ARRAY, &opt_kinds,
				"Only events of this kind; may be given again", "KIND"},
		{"note", 0, 0, G_OPTION_ARG_STRING, &opt_note, "For people", "TEXT"},
		ASH_CLI_REASON,
		{0},
};
static const GOptionEntry replay_options[] = {
		{"from", 0, 0, G_OPTION_ARG_INT64, &opt_from,
				"From this event on; default: the first that is kept", "SEQ"},
		ASH_CLI_REASON,
		{0},
};

static gboolean webhooks(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"ID", "id", ASH_CLI_TEXT},
			{"URL", "url", ASH_CLI_TEXT},
			{"KINDS", "kinds", ASH_CLI_LIST},
			{"DELIVERED", "delivered", ASH_CLI_NUMBER},
			{"PAUSED", "paused", ASH_CLI_TEXT},
			{"NOTE", "note", ASH_CLI_TEXT},
			{0},
	};

	return ash_cli_list(context, "/v1/webhooks", 0, columns, "no webhooks", error);
}

static gboolean show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"id", "id", ASH_CLI_TEXT},
			{"url", "url", ASH_CLI_TEXT},
			{"kinds", "kinds", ASH_CLI_LIST},
			{"note", "note", ASH_CLI_TEXT},
			{"created", "created_at", ASH_CLI_TIME},
			{"by", "created_by", ASH_CLI_TEXT},
			{"paused", "paused", ASH_CLI_TEXT},
			{"up to event", "cursor", ASH_CLI_TEXT},
			{"delivered", "delivered", ASH_CLI_TEXT},
			{"last", "last_at", ASH_CLI_TIME},
			{"given up", "given_up", ASH_CLI_TEXT},
			{"attempts", "attempts", ASH_CLI_TEXT},
			{"next", "next_at", ASH_CLI_TIME},
			{"answer", "answer", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/webhooks/", args[0], "");

	return ash_cli_show(context, path, columns, error);
}

static gboolean add(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	JsonBuilder *body = ash_cli_body();
	g_autoptr(JsonNode) node = NULL;

	ash_json_add_text(body, "url", args[0]);
	ash_json_add_text(body, "note", opt_note);
	if (opt_kinds != NULL)
		ash_json_add_texts(body, "kinds", opt_kinds);
	if (!ash_cli_change(context, "POST", "/v1/webhooks", body, NULL, &node, error))
		return FALSE;
	const char *secret = ash_json_find_text(json_node_get_object(node), "secret");
	const char *id = ash_json_find_text(json_node_get_object(node), "id");
	if (context->json)
		ash_cli_print_json(node);
	else
		printf("id      %s\nsecret  %s\n", id != NULL ? id : "-",
				secret != NULL ? secret : "-");
	ash_progress_note(context->progress, "the secret is not shown again");
	return TRUE;
}

static gboolean act(AshCliContext *context, const char *id, const char *rest, JsonBuilder *body,
		GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/webhooks/", id, rest);

	return ash_cli_change(context, "POST", path, body, "done", NULL, error);
}

static gboolean pause_it(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return act(context, args[0], "/pause", ash_cli_body(), error);
}

static gboolean resume(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return act(context, args[0], "/resume", ash_cli_body(), error);
}

static gboolean replay(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	if (opt_from < 1)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--from is needed: the number of an event, from 1");
	JsonBuilder *body = ash_cli_body();
	ash_json_add_int(body, "from", opt_from);
	return act(context, args[0], "/replay", body, error);
}

static gboolean remove_it(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/webhooks/", args[0], "");

	return ash_cli_change(context, "DELETE", path, NULL, "removed", NULL, error);
}

const AshCliCommand ash_fleet_cmd_webhook[] = {
		{.name = "webhooks", .summary = "List webhooks", .run = webhooks},
		{.name = "webhooks show",
				.synopsis = "ID",
				.summary = "One of them, and how its deliveries go",
				.min_args = 1,
				.max_args = 1,
				.run = show},
		{.name = "webhooks add",
				.synopsis = "URL",
				.summary = "Events are posted there, signed; its secret is shown once",
				.options = add_options,
				.min_args = 1,
				.max_args = 1,
				.run = add},
		{.name = "webhooks pause",
				.synopsis = "ID",
				.summary = "Keep its events for later",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = pause_it},
		{.name = "webhooks resume",
				.synopsis = "ID",
				.summary = "Deliver them",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = resume},
		{.name = "webhooks replay",
				.synopsis = "ID",
				.summary = "Deliver again what was delivered",
				.options = replay_options,
				.min_args = 1,
				.max_args = 1,
				.run = replay},
		{.name = "webhooks remove",
				.synopsis = "ID",
				.summary = "Remove one",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = remove_it},
		{0},
};
