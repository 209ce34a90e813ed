/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "fleet/cli.h"
#include "fleet/token.h"
#include "lib/json.h"

static char *opt_note, *opt_expires;
static char **opt_labels;
static int opt_uses = 1;
static gboolean opt_unlimited, opt_approval;

static const GOptionEntry add_options[] = {
		{"note", 0, 0, G_OPTION_ARG_STRING, &opt_note, "What it is for", "TEXT"},
		{"label", 'l', 0, G_OPTION_ARG_STRING_ARRAY, &opt_labels,
				"Its hosts get this; may be given again", "KEY=VALUE"},
		{"uses", 'u', 0, G_OPTION_ARG_INT, &opt_uses, "How many hosts; default: 1", "N"},
		{"unlimited", 0, 0, G_OPTION_ARG_NONE, &opt_unlimited, "Any number of hosts", NULL},
		{"expires", 'e', 0, G_OPTION_ARG_STRING, &opt_expires,
				"After 1h, 7d, …; default: 7d", "TIME"},
		{"approval", 0, 0, G_OPTION_ARG_NONE, &opt_approval,
				"Its hosts wait until somebody approves them", NULL},
		ASH_CLI_REASON,
		{0},
};

static const AshCliColumn columns[] = {
		{"ID", "id", ASH_CLI_TEXT},
		{"NOTE", "note", ASH_CLI_TEXT},
		{"LEFT", "uses_left", ASH_CLI_NUMBER},
		{"USED", "uses", ASH_CLI_NUMBER},
		{"EXPIRES", "expires_at", ASH_CLI_TIME},
		{"APPROVAL", "needs_approval", ASH_CLI_BOOL},
		{"REVOKED", "revoked_at", ASH_CLI_TIME},
		{"LABELS", "labels", ASH_CLI_MAP},
		{0},
};

static gboolean tokens(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_list(context, "/v1/tokens", 0, columns,
			"no join tokens; 'ashlar-fleet tokens add' makes one", error);
}

static gboolean tokens_show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/tokens/", args[0], "");

	return ash_cli_show(context, path, columns, error);
}

static gboolean tokens_add(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static char *none[] = {NULL};
	g_autoptr(JsonBuilder) body = ash_cli_body(), labels = ash_cli_body();
	g_autoptr(JsonNode) node = NULL;
	int64_t expires_s = 0;

	/* Only to be told of those that are none. */
	if (!ash_cli_count("uses", opt_uses, 1, ASH_TOKEN_MAX_USES, error) ||
			!ash_cli_seconds("expires", opt_expires != NULL ? opt_expires : "7d",
					&expires_s, error) ||
			!ash_cli_add_labels(labels, opt_labels != NULL ? opt_labels : none, error))
		return FALSE;
	ash_json_add_text(body, "note", opt_note);
	ash_json_add_int(body, "uses", opt_unlimited ? -1 : opt_uses);
	ash_json_add_int(body, "expires_in", expires_s);
	ash_json_add_bool(body, "needs_approval", opt_approval);
	json_builder_end_object(labels);
	g_autoptr(JsonNode) root = json_builder_get_root(labels);
	json_builder_set_member_name(body, "labels");
	json_builder_add_value(body,
			json_node_copy(json_object_get_member(json_node_get_object(root), "set")));
	if (!ash_cli_change(context, "POST", "/v1/tokens", g_steal_pointer(&body), NULL, &node,
			    error))
		return FALSE;
	ash_cli_print_secret(context, node);
	return TRUE;
}

static gboolean tokens_revoke(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/tokens/", args[0], "/revoke");

	return ash_cli_change(context, "POST", path, ash_cli_body(), "revoked", NULL, error);
}

const AshCliCommand ash_fleet_cmd_join[] = {
		{.name = "tokens",
				.summary = "List the tokens that hosts join with",
				.run = tokens},
		{.name = "tokens show",
				.synopsis = "ID",
				.summary = "One of them",
				.min_args = 1,
				.max_args = 1,
				.run = tokens_show},
		{.name = "tokens add",
				.summary = "Make one; its secret is shown once",
				.options = add_options,
				.run = tokens_add},
		{.name = "tokens revoke",
				.synopsis = "ID",
				.summary = "No host joins with it any more",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = tokens_revoke},
		{0},
};
