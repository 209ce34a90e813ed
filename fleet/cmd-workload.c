/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fleet/cli-client.h"
#include "fleet/cli-stream.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/interrupt.h"
#include "lib/json.h"

/* Workloads: their definitions, and what runs on one host. */

enum {
	MAX_FOLLOW_S = 86400, /* the server's, of one call; then another is made */
	PAUSE_MS = 1000,
};

/* The server's word for it. */
#define ENDS_WELL "that is all"

static char *opt_name, *opt_notes, *opt_withdrawn;
static int opt_lines = 100;
static gboolean opt_follow;

static const GOptionEntry list_options[] = {
		{"name", 0, 0, G_OPTION_ARG_STRING, &opt_name, "Of this name only", "NAME"},
		{0},
};
static const GOptionEntry set_options[] = {
		{"withdrawn", 0, 0, G_OPTION_ARG_STRING, &opt_withdrawn,
				"Why nobody gets it any more; empty: it may be given", "TEXT"},
		{"notes", 0, 0, G_OPTION_ARG_STRING, &opt_notes, "For people", "TEXT"},
		ASH_CLI_REASON,
		{0},
};
static const GOptionEntry logs_options[] = {
		{"follow", 'f', 0, G_OPTION_ARG_NONE, &opt_follow, "Go on with what comes", NULL},
		{"lines", 'n', 0, G_OPTION_ARG_INT, &opt_lines,
				"The last so many, 1000 at most; default: 100", "N"},
		{0},
};

static const AshCliColumn version_columns[] = {
		{"NAME", "name", ASH_CLI_TEXT},
		{"VERSION", "version", ASH_CLI_TEXT},
		{"HOSTS", "hosts", ASH_CLI_NUMBER},
		{"ISOLATION", "isolation", ASH_CLI_TEXT},
		{"SCORE", "score", ASH_CLI_NUMBER},
		{"RIGHTS", "words", ASH_CLI_TEXT},
		{"ADDED", "added_at", ASH_CLI_TIME},
		{"WITHDRAWN", "withdrawn", ASH_CLI_TEXT},
		{"NOTES", "notes", ASH_CLI_TEXT},
		{0},
};

/* ---- definitions ---- */

static gboolean workloads(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = ash_cli_argument(g_strdup("/v1/workloads"), "name", opt_name);

	return ash_cli_list(context, path, 0, version_columns,
			"no workloads; 'ashlar-fleet releases scan' looks for published ones",
			error);
}

/* /v1/workloads/NAME/VERSION + @rest */
static char *version_path(const char *name, const char *version, const char *rest)
{
	g_autofree char *end = ash_cli_path("/", version, rest);

	return ash_cli_path("/v1/workloads/", name, end);
}

static gboolean show_version(
		AshCliContext *context, const char *name, const char *version, GError **error)
{
	static const AshCliColumn columns[] = {
			{"name", "name", ASH_CLI_TEXT},
			{"version", "version", ASH_CLI_TEXT},
			{"sha256", "sha256", ASH_CLI_TEXT},
			{"added", "added_at", ASH_CLI_TIME},
			{"hosts", "hosts", ASH_CLI_TEXT},
			{"withdrawn", "withdrawn", ASH_CLI_TEXT},
			{"notes", "notes", ASH_CLI_TEXT},
			{"isolation", "isolation", ASH_CLI_TEXT},
			{"score", "report.score|score", ASH_CLI_TEXT},
			{"rights", "report.words|words", ASH_CLI_TEXT},
			{0},
	};
	static const AshCliColumn grants[] = {
			{"POINTS", "points", ASH_CLI_NUMBER},
			{"MAY", "text", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *path = version_path(name, version, "");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	JsonObject *report = ash_json_find_object(json_node_get_object(node), "report");
	if (context->json)
		return TRUE;
	ash_cli_print_page(json_node_get_object(node), columns);
	if (report != NULL)
		ash_cli_print_list(report, "grants", grants);
	return TRUE;
}

static gboolean show_name(AshCliContext *context, const char *name, GError **error)
{
	static const AshCliColumn columns[] = {
			{"name", "name", ASH_CLI_TEXT},
			{"on hosts", "counts", ASH_CLI_MAP},
			{0},
	};
	g_autofree char *path = ash_cli_path("/v1/workloads/", name, "");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	if (context->json)
		return TRUE;
	ash_cli_print_page(json_node_get_object(node), columns);
	/* The name stands above. */
	ash_cli_print_list(json_node_get_object(node), "versions", version_columns + 1);
	ash_cli_print_list(json_node_get_object(node), "assignments", ash_cli_assignment_columns);
	return TRUE;
}

static gboolean workload(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return args[1] != NULL ? show_version(context, args[0], args[1], error)
			       : show_name(context, args[0], error);
}

static gboolean diff(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	static const AshCliColumn columns[] = {
			{"WIDER", "is_wider", ASH_CLI_BOOL},
			{"WHAT", "kind", ASH_CLI_TEXT},
			{"NAME", "name", ASH_CLI_TEXT},
			{"FROM", "from", ASH_CLI_TEXT},
			{"TO", "to", ASH_CLI_TEXT},
			{0},
	};
	g_autofree char *rest = ash_cli_path("/diff/", args[2], "");
	g_autofree char *path = version_path(args[0], args[1], rest);
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_get(context, path, &node, error))
		return FALSE;
	JsonArray *changes = ash_json_find_objects(json_node_get_object(node), "changes");
	if (!context->json && changes != NULL && json_array_get_length(changes) > 0)
		ash_cli_print_table(changes, columns);
	else if (!context->json)
		ash_progress_note(context->progress, "both may touch the same");
	if (ash_json_find_bool(json_node_get_object(node), "is_wider"))
		*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

static gboolean set(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = version_path(args[0], args[1], "");
	JsonBuilder *body = ash_cli_body();

	if (opt_withdrawn != NULL)
		ash_json_add_string(body, "withdrawn", opt_withdrawn);
	if (opt_notes != NULL)
		ash_json_add_string(body, "notes", opt_notes);
	return ash_cli_change(context, "POST", path, body, "done", NULL, error);
}

static gboolean withdraw(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *path = version_path(args[0], args[1], "");
	JsonBuilder *body;

	if (!ash_cli_need("reason", ash_cli_reason, error))
		return FALSE;
	body = ash_cli_body();
	ash_json_add_string(body, "withdrawn", ash_cli_reason);
	return ash_cli_change(context, "POST", path, body, "withdrawn", NULL, error);
}

/* ---- on a host ---- */

/* "web": all of it; "web@2": this instance, also as orders write it: "web/web@2". */
typedef struct {
	char *name, *instance; /* of @instance: "" */
} Which;

static void which_clear(Which *which)
{
	g_free(which->name);
	g_free(which->instance);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Which, which_clear)

static void which_init(Which *which, const char *text)
{
	size_t size = strcspn(text, "/@");

	which->name = g_strndup(text, size);
	which->instance = g_strdup(text[size] == '/'   ? text + size + 1
				   : text[size] == '@' ? text
						       : "");
}

/* /v1/hosts/HOST/workloads/NAME + @rest */
static char *host_path(const char *host, const char *name, const char *rest)
{
	g_autofree char *end = ash_cli_path("/workloads/", name, rest);

	return ash_cli_path("/v1/hosts/", host, end);
}

static gboolean act(AshCliContext *context, char **args, const char *verb, GError **error)
{
	g_auto(Which) which = {0};
	g_autoptr(JsonNode) node = NULL;
	JsonBuilder *body = ash_cli_body();

	which_init(&which, args[1]);
	g_autofree char *path = host_path(args[0], which.name, "");
	ash_json_add_text(body, "act", verb);
	ash_json_add_text(body, "instance", which.instance);
	if (strcmp(verb, "forgive") == 0)
		ash_json_add_text(body, "version", args[2]);
	if (!ash_cli_change(context, "POST", path, body, NULL, &node, error))
		return FALSE;
	if (context->json)
		ash_cli_print_json(node);
	ash_progress_note(context->progress,
			"order %" G_GUINT64_FORMAT ": the host is told at its next check-in",
			ash_json_find_uint(json_node_get_object(node), "order"));
	return TRUE;
}

static gboolean start(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return act(context, args, "start", error);
}

static gboolean stop(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return act(context, args, "stop", error);
}

static gboolean restart(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return act(context, args, "restart", error);
}

static gboolean forgive(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	return act(context, args, "forgive", error);
}

typedef struct {
	bool json;
	char *why; /* it ended; NULL: it did not */
} Logs;

static gboolean on_log(const char *kind, JsonObject *event, gpointer data, GError **error)
{
	Logs *logs = data;

	if (event == NULL)
		return TRUE;
	const char *text = ash_json_find_text(event, "text");
	if (strcmp(kind, "end") == 0) {
		logs->why = ash_cli_plain(text != NULL ? text : "");
		return FALSE;
	}
	bool is_missed = strcmp(kind, "missed") == 0;
	if (strcmp(kind, "line") != 0 && !is_missed)
		return TRUE;
	if (logs->json) {
		g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
		json_node_set_object(node, event);
		ash_cli_print_json(node);
	} else {
		g_autofree char *plain = ash_cli_plain(text != NULL ? text : "");
		printf(is_missed ? "-- %s --\n" : "%s\n", plain);
	}
	fflush(stdout);
	return TRUE;
}

/* One answer of the server, @lines old ones and, when it is followed, what comes within its time. */
static gboolean read_logs(AshCliClient *client, char **args, int lines, Logs *logs, GError **error)
{
	g_autofree char *lines_text = g_strdup_printf("%d", lines);
	g_autofree char *follow_text = g_strdup_printf("%d", MAX_FOLLOW_S);
	g_auto(Which) which = {0};

	which_init(&which, args[1]);
	g_autofree char *path = ash_cli_argument(
			host_path(args[0], which.name, "/logs"), "lines", lines_text);
	path = ash_cli_argument(g_steal_pointer(&path), "instance", which.instance);
	path = ash_cli_argument(g_steal_pointer(&path), "follow", opt_follow ? follow_text : NULL);
	g_clear_pointer(&logs->why, g_free);
	if (!ash_cli_stream_read(client, path, on_log, logs, error))
		return FALSE;
	return logs->why != NULL ||
	       ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_UNREACHABLE,
			       "the connection ended before the logs did");
}

static gboolean logs(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshCliClient) client = NULL;
	Logs state = {.json = context->json};

	if (opt_lines < 0 || opt_lines > 1000)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--lines is from 0 to 1000");
	if (!ash_cli_client_new(&client, error))
		return FALSE;
	gboolean ok = read_logs(client, args, opt_lines, &state, error);
	while (ok && opt_follow && strcmp(state.why, ENDS_WELL) == 0)
		ok = ash_interrupt_pause(PAUSE_MS, error) &&
		     read_logs(client, args, 0, &state, error);
	if (ok && *state.why != '\0' && strcmp(state.why, ENDS_WELL) != 0) {
		ash_progress_warn(context->progress, "%s", state.why);
		*out_exit = ASH_EXIT_NEGATIVE;
	}
	g_free(state.why);
	return ok;
}

#define ON_HOST                                                                                    \
	"HOST: its id, the first 8 digits of it at least, or its name. NAME@N: one "               \
	"instance only."

const AshCliCommand ash_fleet_cmd_workload[] = {
		{.name = "workloads",
				.summary = "List definitions of workloads",
				.options = list_options,
				.run = workloads},
		{.name = "workload",
				.synopsis = "NAME [VERSION]",
				.summary = "One workload, or all that a version may touch",
				.min_args = 1,
				.max_args = 2,
				.run = workload},
		{.name = "workload diff",
				.synopsis = "NAME FROM TO",
				.summary = "What another version may touch; exit code 8: more",
				.min_args = 3,
				.max_args = 3,
				.run = diff},
		{.name = "workload set",
				.synopsis = "NAME VERSION",
				.summary = "Notes; withdrawn, or not any more",
				.options = set_options,
				.min_args = 2,
				.max_args = 2,
				.run = set},
		{.name = "workload withdraw",
				.synopsis = "NAME VERSION",
				.summary = "Give this version to nobody any more, with a reason",
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = withdraw},
		{.name = "workload start",
				.synopsis = "HOST NAME[@N]",
				.summary = "Have a host start it",
				.details = ON_HOST,
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = start},
		{.name = "workload stop",
				.synopsis = "HOST NAME[@N]",
				.summary = "Have a host stop it",
				.details = ON_HOST,
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = stop},
		{.name = "workload restart",
				.synopsis = "HOST NAME[@N]",
				.summary = "Have a host restart it",
				.details = ON_HOST,
				.options = ash_cli_reason_options,
				.min_args = 2,
				.max_args = 2,
				.run = restart},
		{.name = "workload forgive",
				.synopsis = "HOST NAME VERSION|all",
				.summary = "A host may try again what failed on it",
				.options = ash_cli_reason_options,
				.min_args = 3,
				.max_args = 3,
				.run = forgive},
		{.name = "workload logs",
				.synopsis = "HOST NAME[@N]",
				.summary = "What it printed on a host, and prints",
				.details = ON_HOST
				" Exit code 8: the host did not answer, or could not.",
				.options = logs_options,
				.min_args = 2,
				.max_args = 2,
				.run = logs},
		{0},
};
