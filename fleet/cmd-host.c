/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/json.h"

static char *opt_columns, *opt_sort, *opt_workload;
static int opt_limit = ASH_CLI_NOT_GIVEN;

static const AshCliColumn all_columns[] = {
		{"NAME", "name", ASH_CLI_TEXT},
		{"STATE", "state", ASH_CLI_TEXT},
		{"HEALTH", "health", ASH_CLI_TEXT},
		{"VERSION", "version", ASH_CLI_TEXT},
		{"SEEN", "seen", ASH_CLI_AGO},
		{"ID", "id", ASH_CLI_SHORT},
		{"REASON", "reason", ASH_CLI_TEXT},
		{"SINCE", "health_since", ASH_CLI_AGO},
		{"COMMIT", "commit", ASH_CLI_SHORT},
		{"IMAGE", "image", ASH_CLI_TEXT},
		{"VARIANT", "variant", ASH_CLI_TEXT},
		{"ARCH", "arch", ASH_CLI_TEXT},
		{"AGENT", "agent_state", ASH_CLI_TEXT},
		{"VERDICT", "verdict", ASH_CLI_TEXT},
		{"LABELS", "labels", ASH_CLI_MAP},
		{"CHANNEL", "channel", ASH_CLI_TEXT},
		{"ROLLOUT", "rollout", ASH_CLI_TEXT},
		{"ORDERS", "open_orders", ASH_CLI_NUMBER},
		{"ENROLLED", "enrolled", ASH_CLI_TIME},
		{0},
};
enum {
	DEFAULT_COLUMNS = 6,
};

static const GOptionEntry hosts_options[] = {
		{"columns", 'c', 0, G_OPTION_ARG_STRING, &opt_columns,
				"Which, with commas: name, state, health, version, labels, …",
				"NAMES"},
		{"sort", 's', 0, G_OPTION_ARG_STRING, &opt_sort, "name, seen, health or version",
				"BY"},
		{"limit", 'n', 0, G_OPTION_ARG_INT, &opt_limit, "At most so many; default: all",
				"N"},
		{0},
};

static gboolean choose_columns(AshCliColumn *out_columns, GError **error)
{
	g_auto(GStrv) names = g_strsplit(opt_columns != NULL ? opt_columns : "", ",", -1);
	guint count = 0;

	if (opt_columns == NULL) {
		memcpy(out_columns, all_columns, DEFAULT_COLUMNS * sizeof *out_columns);
		return TRUE;
	}
	for (char **name = names; *name != NULL; name++) {
		const AshCliColumn *column = all_columns;
		while (column->title != NULL && g_ascii_strcasecmp(column->title, *name) != 0)
			column++;
		if (column->title == NULL || count == 16)
			return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
					"no column '%s' (or too many); there are: name, state, health, "
					"version, seen, id, reason, since, commit, image, variant, arch, "
					"agent, verdict, labels, channel, rollout, orders, enrolled",
					*name);
		out_columns[count++] = *column;
	}
	return TRUE;
}

static gboolean check_limit(GError **error)
{
	return ash_cli_count("limit", opt_limit, 1, ASH_CLI_MAX_ITEMS, error);
}

static gboolean hosts(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_argument(
			ash_cli_argument(g_strdup("/v1/hosts"), "selector", args[0]), "sort",
			opt_sort);
	AshCliColumn columns[17] = {{0}};

	return choose_columns(columns, error) && check_limit(error) &&
	       ash_cli_list(context, path, (unsigned) MAX(opt_limit, 0), columns, "no host matches",
			       error);
}

static gboolean groups(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"VALUE", "value", ASH_CLI_TEXT},
			{"HOSTS", "count", ASH_CLI_NUMBER},
			{0},
	};
	g_autofree char *path = ash_cli_argument(
			ash_cli_argument(g_strdup("/v1/hosts/count"), "by", args[0]), "selector",
			args[1]);
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	JsonArray *list = ash_json_find_objects(json_node_get_object(node), "groups");
	if (!context->json && list != NULL)
		ash_cli_print_table(list, columns);
	return TRUE;
}

static const AshCliColumn workload_columns[] = {
		{"WORKLOAD", "name", ASH_CLI_TEXT},
		{"VERSION", "version", ASH_CLI_TEXT},
		{"WANTED", "wanted", ASH_CLI_TEXT},
		{"STATE", "state", ASH_CLI_TEXT},
		{"READY", "ready", ASH_CLI_BOOL},
		{"ISOLATION", "effective|isolation", ASH_CLI_TEXT},
		{"RESTARTS", "restarts", ASH_CLI_NUMBER},
		{"FROM", "assignment|origin", ASH_CLI_TEXT},
		{"ROLLOUT", "rollout", ASH_CLI_TEXT},
		{"WHY", "why", ASH_CLI_TEXT},
		{0},
};
static const AshCliColumn missing_columns[] = {
		{"MISSING", "name", ASH_CLI_TEXT},
		{"VERSION", "version", ASH_CLI_TEXT},
		{"BECAUSE", "word", ASH_CLI_TEXT},
		{"TEXT", "text", ASH_CLI_TEXT},
		{0},
};

/* What it was asked for, and what rollouts came of it. */
static void print_lists(JsonObject *object)
{
	static const AshCliColumn orders[] = {
			{"ORDER", "id", ASH_CLI_NUMBER},
			{"VERB", "verb", ASH_CLI_TEXT},
			{"ARGUMENT", "argument", ASH_CLI_TEXT},
			{"STATE", "state", ASH_CLI_TEXT},
			{"GIVEN", "created_at", ASH_CLI_TIME},
			{"BY", "created_by", ASH_CLI_TEXT},
			{"RESULT", "result", ASH_CLI_TEXT},
			{0},
	};
	static const AshCliColumn rollouts[] = {
			{"ROLLOUT", "rollout", ASH_CLI_TEXT},
			{"VERSION", "version", ASH_CLI_TEXT},
			{"RING", "ring", ASH_CLI_NUMBER},
			{"OUTCOME", "outcome", ASH_CLI_TEXT},
			{"SINCE", "since", ASH_CLI_TIME},
			{"REASON", "reason", ASH_CLI_TEXT},
			{0},
	};

	ash_cli_print_list(object, "orders", orders);
	ash_cli_print_list(object, "rollouts", rollouts);
}

/* The server knows of them apart from the host; one without the route has none. */
static gboolean print_workloads(const char *host, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/hosts/", host, "/workloads");
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_cli_client_new(&client, error))
		return FALSE;
	if (!ash_cli_client_call(client, "GET", path, NULL, &node, &local)) {
		if (g_error_matches(local, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_NOT_FOUND))
			return TRUE;
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	if (node != NULL && JSON_NODE_HOLDS_OBJECT(node)) {
		ash_cli_print_list(json_node_get_object(node), "items", workload_columns);
		ash_cli_print_list(json_node_get_object(node), "missing", missing_columns);
	}
	return TRUE;
}

static gboolean workloads(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn failed[] = {
			{"FAILED", "version", ASH_CLI_TEXT},
			{"AT", "at", ASH_CLI_TIME},
			{"REASON", "reason", ASH_CLI_TEXT},
			{0},
	};
	static const AshCliColumn instances[] = {
			{"INSTANCE", "name", ASH_CLI_TEXT},
			{"STATE", "state", ASH_CLI_TEXT},
			{"READY", "ready", ASH_CLI_BOOL},
			{"ADDRESS", "address", ASH_CLI_TEXT},
			{"TEXT", "text", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/hosts/", args[0], "/workloads");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	if (context->json)
		return TRUE;
	JsonObject *object = json_node_get_object(node);
	JsonArray *items = ash_json_find_objects(object, "items");
	for (guint i = 0; items != NULL && i < json_array_get_length(items); i++) {
		JsonObject *item = json_array_get_object_element(items, i);
		if (i > 0)
			putchar('\n');
		ash_cli_print_page(item, workload_columns);
		ash_cli_print_list(item, "instances", instances);
		ash_cli_print_list(item, "failed", failed);
	}
	ash_cli_print_list(object, "missing", missing_columns);
	return TRUE;
}

static gboolean host(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"name", "name", ASH_CLI_TEXT},
			{"id", "id", ASH_CLI_TEXT},
			{"state", "state", ASH_CLI_TEXT},
			{"reason", "reason", ASH_CLI_TEXT},
			{"health", "health", ASH_CLI_TEXT},
			{"since", "health_since", ASH_CLI_TIME},
			{"seen", "seen", ASH_CLI_AGO},
			{"address", "address", ASH_CLI_TEXT},
			{"version", "version", ASH_CLI_TEXT},
			{"commit", "commit", ASH_CLI_TEXT},
			{"image", "image", ASH_CLI_TEXT},
			{"variant", "variant", ASH_CLI_TEXT},
			{"architecture", "arch", ASH_CLI_TEXT},
			{"agent", "agent_state", ASH_CLI_TEXT},
			{"verdict", "verdict", ASH_CLI_TEXT},
			{"labels", "labels", ASH_CLI_MAP},
			{"channel", "channel", ASH_CLI_TEXT},
			{"wanted", "desired.release.version", ASH_CLI_TEXT},
			{"rollout", "rollout", ASH_CLI_TEXT},
			{"policy", "policy", ASH_CLI_TEXT},
			{"windows", "windows", ASH_CLI_LIST},
			{"open orders", "open_orders", ASH_CLI_TEXT},
			{"enrolled", "enrolled", ASH_CLI_TIME},
			{"join token", "token", ASH_CLI_TEXT},
			{"certificate", "certificate.serial", ASH_CLI_TEXT},
			{"ends", "certificate.not_after", ASH_CLI_TIME},
			{"facts", "facts", ASH_CLI_MAP},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/hosts/", args[0], "");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	if (!context->json) {
		ash_cli_print_page(json_node_get_object(node), columns);
		print_lists(json_node_get_object(node));
		return print_workloads(args[0], error);
	}
	return TRUE;
}

static gboolean events(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"AT", "at", ASH_CLI_TIME},
			{"EVENT", "kind", ASH_CLI_TEXT},
			{"TEXT", "text", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/hosts/", args[0], "/events");

	return check_limit(error) &&
	       ash_cli_list(context, path, opt_limit > 0 ? (unsigned) opt_limit : 50, columns,
			       "nothing has happened", error);
}

static gboolean history(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"AT", "at", ASH_CLI_TIME},
			{"VERSION", "version", ASH_CLI_TEXT},
			{"FROM", "from", ASH_CLI_TEXT},
			{"OUTCOME", "outcome", ASH_CLI_TEXT},
			{"TEXT", "text", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/hosts/", args[0], "/history");

	return check_limit(error) && ash_cli_list(context, path, (unsigned) MAX(opt_limit, 0),
						     columns, "no updates yet", error);
}

static gboolean journal(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/hosts/", args[0], "/journal");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	if (context->json)
		return TRUE;
	JsonArray *items = ash_json_find_objects(json_node_get_object(node), "items");
	for (guint i = 0; items != NULL && i < json_array_get_length(items); i++) {
		JsonObject *item = json_array_get_object_element(items, i);
		g_autofree char *at = ash_cli_cell(item, "at", ASH_CLI_TIME);
		g_autofree char *version = ash_cli_cell(item, "version", ASH_CLI_TEXT);
		const char *text = ash_json_find_text(item, "text");
		g_auto(GStrv) lines = g_strsplit(text != NULL ? text : "", "\n", -1);
		printf("%s  %s\n", at, version);
		for (char **line = lines; *line != NULL; line++) {
			g_autofree char *plain = ash_cli_plain(*line);
			printf("    %s\n", plain);
		}
	}
	return TRUE;
}

static void print_conditions(JsonObject *object)
{
	JsonArray *list = ash_json_find_objects(object, "conditions");

	for (guint i = 0; list != NULL && i < json_array_get_length(list); i++) {
		JsonObject *item = json_array_get_object_element(list, i);
		g_autofree char *name = ash_cli_cell(item, "condition", ASH_CLI_TEXT);
		g_autofree char *text = ash_cli_cell(item, "text", ASH_CLI_TEXT);
		printf("  %s  %s: %s\n", ash_json_find_bool(item, "met") ? "ok " : "NOT", name,
				text);
	}
}

static gboolean why(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_argument(
			ash_cli_path("/v1/hosts/", args[0], "/why"), "workload", opt_workload);
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	JsonObject *object = json_node_get_object(node);
	if (!context->json) {
		g_autofree char *answer = ash_cli_cell(object, "answer", ASH_CLI_TEXT);
		g_autofree char *blocker = ash_cli_cell(object, "blocker", ASH_CLI_TEXT);
		g_autofree char *next = ash_cli_cell(object, "next", ASH_CLI_TIME);
		printf("%s%s%s\n", answer, strcmp(blocker, "-") != 0 ? ": " : "",
				strcmp(blocker, "-") != 0 ? blocker : "");
		if (strcmp(next, "-") != 0)
			printf("next chance: %s\n", next);
		print_conditions(object);
	}
	const char *answer = ash_json_find_text(object, "answer");
	if (g_strcmp0(answer, "refused") == 0 || g_strcmp0(answer, "stuck") == 0)
		*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

static const GOptionEntry why_options[] = {
		{"workload", 0, 0, G_OPTION_ARG_STRING, &opt_workload,
				"Why does this workload not run there as it should?", "NAME"},
		{0},
};
static const GOptionEntry limit_options[] = {
		{"limit", 'n', 0, G_OPTION_ARG_INT, &opt_limit, "At most so many", "N"},
		{0},
};

#define HOST                                                                                       \
	"HOST: its id, the first 8 digits of it at least, or its name where that is the only one."

const AshCliCommand ash_fleet_cmd_host[] = {
		{.name = "hosts",
				.synopsis = "[SELECTOR]",
				.summary = "List hosts",
				.details = "SELECTOR: 'site = bern and version < 2.0.0', see ashlar-fleet(1).",
				.options = hosts_options,
				.max_args = 1,
				.run = hosts},
		{.name = "groups",
				.synopsis = "KEY [SELECTOR]",
				.summary = "Count hosts by a label, a fact, version, health, …",
				.min_args = 1,
				.max_args = 2,
				.run = groups},
		{.name = "why",
				.synopsis = "HOST",
				.summary = "Why does this host not update now?",
				.options = why_options,
				.details = HOST " Exit code 8: it will not by itself.",
				.min_args = 1,
				.max_args = 1,
				.run = why},
		{.name = "host",
				.synopsis = "HOST",
				.summary = "All about one host",
				.details = HOST,
				.min_args = 1,
				.max_args = 1,
				.run = host},
		{.name = "host events",
				.synopsis = "HOST",
				.summary = "What happened on it, newest first",
				.options = limit_options,
				.min_args = 1,
				.max_args = 1,
				.run = events},
		{.name = "host history",
				.synopsis = "HOST",
				.summary = "Its updates",
				.options = limit_options,
				.min_args = 1,
				.max_args = 1,
				.run = history},
		{.name = "host workloads",
				.synopsis = "HOST",
				.summary = "What runs on it, and why not as wanted",
				.details = HOST,
				.min_args = 1,
				.max_args = 1,
				.run = workloads},
		{.name = "host journal",
				.synopsis = "HOST",
				.summary = "The journal's end of its failed updates",
				.min_args = 1,
				.max_args = 1,
				.run = journal},
		{0},
};
