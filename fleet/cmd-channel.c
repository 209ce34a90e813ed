/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/json.h"

enum {
	MAX_RANK = 1000000,
};

static char *opt_note, *opt_selector, *opt_poll;
static char **opt_windows;
static int opt_rank = ASH_CLI_NOT_GIVEN;
static gboolean opt_any_time, opt_yes;

static const GOptionEntry channel_options[] = {
		{"note", 0, 0, G_OPTION_ARG_STRING, &opt_note, "For people", "TEXT"},
		ASH_CLI_REASON,
		{"yes", 'y', 0, G_OPTION_ARG_NONE, &opt_yes, "Do not ask", NULL},
		{0},
};
static const GOptionEntry policy_options[] = {
		{"selector", 's', 0, G_OPTION_ARG_STRING, &opt_selector, "For these hosts",
				"SELECTOR"},
		{"rank", 0, 0, G_OPTION_ARG_INT, &opt_rank,
				"The lowest that matches rules; of a new one 100", "N"},
		{"window", 'w', 0, G_OPTION_ARG_STRING_ARRAY, &opt_windows,
				"\"Sat 02:00-05:00 Europe/Zurich\"; may be given again", "WINDOW"},
		{"any-time", 0, 0, G_OPTION_ARG_NONE, &opt_any_time, "No windows", NULL},
		{"poll", 0, 0, G_OPTION_ARG_STRING, &opt_poll,
				"How often they check in, 5s to 1d; 0: as the server's settings say",
				"TIME"},
		{"note", 0, 0, G_OPTION_ARG_STRING, &opt_note, "For people", "TEXT"},
		ASH_CLI_REASON,
		{0},
};

static const AshCliColumn channel_columns[] = {
		{"CHANNEL", "name", ASH_CLI_TEXT},
		{"RELEASE", "release.name", ASH_CLI_TEXT},
		{"VERSION", "release.version", ASH_CLI_TEXT},
		{"NOTE", "note", ASH_CLI_TEXT},
		{0},
};

static gboolean channels(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_list(context, "/v1/channels", 0, channel_columns, "no channels", error);
}

static gboolean channels_show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/channels/", args[0], "");

	return ash_cli_show(context, path, channel_columns, error);
}

static gboolean channels_set(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/channels/", args[0], "");
	g_autofree char *selector = g_strdup_printf("channel = \"%s\"", args[0]);
	guint64 hosts = 0;

	if (!ash_cli_count_hosts(selector, &hosts, error))
		return FALSE;
	g_autofree char *what =
			g_strdup_printf(*args[1] != '\0' ? "%" G_GUINT64_FORMAT
							   " hosts follow '%s' and get %s at once"
							 : "%" G_GUINT64_FORMAT
							   " hosts follow '%s', which then says "
							   "nothing%s",
					hosts, args[0], args[1]);
	if (hosts > 0 && !ash_cli_confirm(opt_yes, hosts, what, error))
		return FALSE;
	JsonBuilder *body = ash_cli_body();
	ash_json_add_string(body, "release", args[1]);
	ash_json_add_text(body, "note", opt_note);
	ash_json_add_uint(body, "expect", hosts);
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

static const AshCliColumn policy_columns[] = {
		{"POLICY", "name", ASH_CLI_TEXT},
		{"RANK", "rank", ASH_CLI_NUMBER},
		{"SELECTOR", "selector", ASH_CLI_TEXT},
		{"WINDOWS", "windows", ASH_CLI_LIST},
		{"POLL", "poll", ASH_CLI_NUMBER},
		{"NOTE", "note", ASH_CLI_TEXT},
		{0},
};

static gboolean policies(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return ash_cli_list(context, "/v1/policies", 0, policy_columns, "no policies", error);
}

static gboolean policies_show(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/policies/", args[0], "");

	return ash_cli_show(context, path, policy_columns, error);
}

/* The policy as it is, to be sent back with what is asked for; NULL: there is none of that name. */
static gboolean find_policy(const char *path, JsonNode **out_node, GError **error)
{
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_cli_client_new(&client, error))
		return FALSE;
	if (!ash_cli_client_call(client, "GET", path, NULL, &node, &local) &&
			!g_error_matches(local, ASH_CLI_CLIENT_ERROR,
					ASH_CLI_CLIENT_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	if (node != NULL && !JSON_NODE_HOLDS_OBJECT(node))
		g_clear_pointer(&node, json_node_unref);
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

static void add_windows(JsonBuilder *body, JsonObject *old)
{
	JsonNode *windows = old != NULL ? json_object_get_member(old, "windows") : NULL;

	if (opt_windows != NULL) {
		ash_json_add_texts(body, "windows", opt_windows);
	} else if (windows != NULL && !opt_any_time) {
		json_builder_set_member_name(body, "windows");
		json_builder_add_value(body, json_node_copy(windows));
	}
}

static gboolean policies_set(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/policies/", args[0], "");
	g_autoptr(JsonBuilder) body = ash_cli_body();
	g_autoptr(JsonNode) node = NULL;
	int64_t poll_s = 0;

	if (!ash_cli_count("rank", opt_rank, 0, MAX_RANK, error) ||
			(opt_poll != NULL && !ash_cli_seconds("poll", opt_poll, &poll_s, error)) ||
			!find_policy(path, &node, error))
		return FALSE;
	JsonObject *old = node != NULL ? json_node_get_object(node) : NULL;
	if (old == NULL && !ash_cli_need("selector", opt_selector, error))
		return FALSE;
	if (old != NULL && opt_rank == ASH_CLI_NOT_GIVEN)
		opt_rank = (int) ash_json_find_uint(old, "rank");
	if (old != NULL && opt_poll == NULL)
		poll_s = (int64_t) ash_json_find_uint(old, "poll");
	ash_json_add_string(body, "selector",
			opt_selector != NULL ? opt_selector : ash_json_find_text(old, "selector"));
	ash_json_add_int(body, "rank", opt_rank == ASH_CLI_NOT_GIVEN ? 100 : opt_rank);
	add_windows(body, old);
	ash_json_add_int(body, "poll", poll_s);
	if (opt_note == NULL && old != NULL)
		ash_json_add_text(body, "note", ash_json_find_text(old, "note"));
	ash_json_add_text(body, "note", opt_note);
	return ash_cli_change(context, "PUT", path, g_steal_pointer(&body), "done", NULL, error);
}

static gboolean policies_remove(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/policies/", args[0], "");

	return ash_cli_change(context, "DELETE", path, NULL, "removed", NULL, error);
}

const AshCliCommand ash_fleet_cmd_channel[] = {
		{.name = "channels", .summary = "List channels", .run = channels},
		{.name = "channels set",
				.synopsis = "CHANNEL RELEASE",
				.summary = "Point a channel at a release, at once and for all its hosts",
				.details = "Asks for the number of hosts that follow it, which must still be "
					   "the same when it is done. A rollout with --channel moves it when "
					   "it has finished. RELEASE '': at none.",
				.options = channel_options,
				.min_args = 2,
				.max_args = 2,
				.run = channels_set},
		{.name = "channels show",
				.synopsis = "CHANNEL",
				.summary = "One channel",
				.min_args = 1,
				.max_args = 1,
				.run = channels_show},
		{.name = "channels history",
				.synopsis = "CHANNEL",
				.summary = "What it pointed at",
				.min_args = 1,
				.max_args = 1,
				.run = channels_history},
		{.name = "policies",
				.summary = "List policies: windows and check-ins",
				.run = policies},
		{.name = "policies show",
				.synopsis = "NAME",
				.summary = "One policy",
				.min_args = 1,
				.max_args = 1,
				.run = policies_show},
		{.name = "policies set",
				.synopsis = "NAME",
				.summary = "Make one, or change what is asked for",
				.options = policy_options,
				.min_args = 1,
				.max_args = 1,
				.run = policies_set},
		{.name = "policies remove",
				.synopsis = "NAME",
				.summary = "Remove one",
				.options = ash_cli_reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = policies_remove},
		{0},
};
