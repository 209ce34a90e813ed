/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

static gboolean opt_dry_run;

static const GOptionEntry import_options[] = {
		{"dry-run", 'n', 0, G_OPTION_ARG_NONE, &opt_dry_run,
				"Only show what would change; exit code 8: something would", NULL},
		ASH_CLI_REASON,
		{0},
};

static gboolean export_all(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshCliClient) client = NULL;
	g_autofree char *text = NULL;

	if (!ash_cli_client_new(&client, error) ||
			!ash_cli_client_text(client, "/v1/export", &text, error))
		return FALSE;
	if (!context->json) {
		fputs(text, stdout);
		return TRUE;
	}
	/* As import's body takes it. */
	g_autoptr(JsonBuilder) builder = ash_cli_body();
	ash_json_add_text(builder, "yaml", text);
	json_builder_end_object(builder);
	g_autofree char *line = ash_json_format(builder, false);
	fputs(line, stdout);
	return TRUE;
}

/* Of webhooks that the import made. */
static void print_secrets(AshCliContext *context, JsonObject *answer)
{
	JsonArray *secrets = ash_json_find_objects(answer, "secrets");
	guint count = secrets != NULL ? json_array_get_length(secrets) : 0;
	static const AshCliColumn columns[] = {
			{"WEBHOOK", "url", ASH_CLI_TEXT},
			{"SECRET", "secret", ASH_CLI_TEXT},
			{0},
	};

	if (count == 0)
		return;
	ash_cli_print_table(secrets, columns);
	ash_progress_note(context->progress, "the secret%s not shown again",
			count == 1 ? " is" : "s are");
}

static void note_unknown(AshCliContext *context, JsonObject *answer)
{
	uint64_t count = ash_json_find_uint(answer, "unknown_hosts");

	if (count > 0)
		ash_progress_note(context->progress,
				"%" G_GUINT64_FORMAT
				" %s named that %s not of this fleet: left out",
				count, count == 1 ? "host is" : "hosts are",
				count == 1 ? "is" : "are");
}

static gboolean import(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"", "act", ASH_CLI_TEXT},
			{"WHAT", "kind", ASH_CLI_TEXT},
			{"NAME", "name", ASH_CLI_TEXT},
			{"BEFORE", "before", ASH_CLI_TEXT},
			{"AFTER", "after", ASH_CLI_TEXT},
			{0},
	};
	g_autoptr(GBytes) yaml = NULL;
	g_autoptr(JsonNode) node = NULL;
	JsonBuilder *body;

	if (!ash_file_read(AT_FDCWD, args[0], ASH_CLI_CLIENT_MAX_FILE, &yaml, error))
		return FALSE;
	if (g_bytes_get_size(yaml) == 0)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE, "%s is empty", args[0]);
	body = ash_cli_body();
	ash_json_add_text(body, "yaml", g_bytes_get_data(yaml, NULL));
	if (!ash_cli_change(context, "POST", opt_dry_run ? "/v1/import?dry_run=1" : "/v1/import",
			    body, NULL, &node, error))
		return FALSE;
	JsonNode *changes = json_object_get_member(json_node_get_object(node), "changes");
	guint count = changes != NULL && JSON_NODE_HOLDS_ARRAY(changes)
				      ? json_array_get_length(json_node_get_array(changes))
				      : 0;
	if (context->json)
		ash_cli_print_json(node);
	else if (count > 0)
		ash_cli_print_table(json_node_get_array(changes), columns);
	ash_progress_note(context->progress, "%u %s", count,
			opt_dry_run ? "changes would be made" : "changes were made");
	note_unknown(context, json_node_get_object(node));
	if (!context->json)
		print_secrets(context, json_node_get_object(node));
	if (opt_dry_run && count > 0)
		*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

const AshCliCommand ash_fleet_cmd_export[] = {
		{.name = "export",
				.summary = "All settings as YAML, without secrets",
				.run = export_all},
		{.name = "import",
				.synopsis = "FILE",
				.summary = "Make the settings those of a file",
				.options = import_options,
				.min_args = 1,
				.max_args = 1,
				.run = import},
		{0},
};
