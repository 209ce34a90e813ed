/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/interrupt.h"
#include "lib/json.h"

static char *opt_state, *opt_reason, *opt_outcome;
static int opt_limit;

static const GOptionEntry list_options[] = {
		{"state", 's', 0, G_OPTION_ARG_STRING, &opt_state, "running, paused, halted, …",
				"STATE"},
		{0},
};
static const GOptionEntry reason_options[] = {
		{"reason", 'r', 0, G_OPTION_ARG_STRING, &opt_reason, "Why, for the ledger", "TEXT"},
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
			{"VERSION", "release.version", ASH_CLI_TEXT},
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
			{"version", "release.version", ASH_CLI_TEXT},
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

	return ash_cli_list(
			context, path, (unsigned) MAX(opt_limit, 0), columns, "no hosts", error);
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

	if (needs_reason && !ash_cli_need("reason", opt_reason, error))
		return FALSE;
	body = ash_cli_body();
	ash_json_add_text(body, "reason", opt_reason);
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

/* ---- watch ---- */

typedef struct {
	AshCliContext *context;
	AshCliClient *client;
	const char *id;
	char *whole_id;
	int *out_exit;
	unsigned lines; /* drawn, to be drawn over */
	char *last;     /* what was said last, where nothing can be drawn over */
} Watch;

enum {
	BAR = 40,
};

static bool is_over(const char *state)
{
	static const char *const over[] = {"finished", "halted", "reverted", "cancelled", NULL};

	return state != NULL && g_strv_contains(over, state);
}

static void print_bar(JsonObject *ring)
{
	JsonObject *counts = ash_json_find_object(ring, "counts");
	guint64 limit = MAX(ash_json_find_uint(ring, "limit"), 1);
	static const struct {
		const char *outcome;
		char mark;
	} marks[] = {{"confirmed", '#'}, {"failed", '!'}, {"silent", '?'}, {"returned", '<'},
			{"offered", '+'}, {"assigned", '-'}};
	char bar[BAR + 1];
	guint at = 0;
	guint64 sum = 0;

	memset(bar, '.', BAR);
	bar[BAR] = '\0';
	for (guint i = 0; i < G_N_ELEMENTS(marks); i++) {
		sum += ash_json_find_uint(counts, marks[i].outcome);
		for (; at < BAR && at < sum * BAR / limit; at++)
			bar[at] = marks[i].mark;
	}
	printf("  ring %-2" G_GUINT64_FORMAT " up to %-8" G_GUINT64_FORMAT " [%s]\033[K\n",
			ash_json_find_uint(ring, "ring"), limit, bar);
}

static void draw(Watch *watch, JsonObject *object)
{
	g_autofree char *state = ash_cli_cell(object, "state", ASH_CLI_TEXT);
	g_autofree char *reason = ash_cli_cell(object, "reason", ASH_CLI_TEXT);
	g_autofree char *next = ash_cli_cell(object, "next", ASH_CLI_TEXT);
	JsonArray *rings = ash_json_find_objects(object, "rings");
	unsigned lines = 4;

	if (watch->lines > 0)
		printf("\033[%uA", watch->lines);
	printf("%s%s%s\033[K\n", state, strcmp(reason, "-") != 0 ? ": " : "",
			strcmp(reason, "-") != 0 ? reason : "");
	for (guint i = 0; rings != NULL && i < json_array_get_length(rings); i++, lines++)
		print_bar(json_array_get_object_element(rings, i));
	printf("failed or silent %" G_GUINT64_FORMAT ", halts at %" G_GUINT64_FORMAT "\033[K\n",
			ash_json_find_uint(object, "failures"),
			ash_json_find_uint(object, "halts_at"));
	printf("next: %s\033[K\n", next);
	printf("# confirmed  ! failed  ? silent  < returned  + offered  - assigned\033[K\n\033[J");
	fflush(stdout);
	watch->lines = lines;
}

static void say(Watch *watch, JsonObject *object)
{
	g_autofree char *state = ash_cli_cell(object, "state", ASH_CLI_TEXT);
	JsonObject *counts = ash_json_find_object(object, "counts");
	g_autofree char *line = g_strdup_printf(
			"%s ring=%" G_GUINT64_FORMAT " limit=%" G_GUINT64_FORMAT
			" confirmed=%" G_GUINT64_FORMAT " failures=%" G_GUINT64_FORMAT
			" halts_at=%" G_GUINT64_FORMAT " total=%" G_GUINT64_FORMAT,
			state, ash_json_find_uint(object, "ring"),
			ash_json_find_uint(object, "limit"),
			ash_json_find_uint(counts, "confirmed"),
			ash_json_find_uint(object, "failures"),
			ash_json_find_uint(object, "halts_at"),
			ash_json_find_uint(object, "total"));

	if (g_strcmp0(line, watch->last) != 0)
		puts(line);
	fflush(stdout);
	g_free(watch->last);
	watch->last = g_steal_pointer(&line);
}

/* TRUE: go on. */
static gboolean look(Watch *watch, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!get(watch->client, watch->id, &node, error))
		return FALSE;
	JsonObject *object = json_node_get_object(node);
	const char *state = ash_json_find_text(object, "state");
	g_free(watch->whole_id);
	watch->whole_id = g_strdup(ash_json_find_text(object, "id"));
	if (watch->context->json)
		ash_cli_print_json(node);
	else if (isatty(STDOUT_FILENO))
		draw(watch, object);
	else
		say(watch, object);
	if (!is_over(state))
		return TRUE;
	if (strcmp(state, "finished") != 0)
		*watch->out_exit = ASH_EXIT_NEGATIVE;
	return FALSE;
}

static gboolean on_event(JsonObject *event, gpointer data, GError **error)
{
	Watch *watch = data;

	if (g_strcmp0(ash_json_find_text(event, "rollout"), watch->whole_id) != 0)
		return TRUE;
	return look(watch, error);
}

static gboolean last_seq(AshCliClient *client, int64_t *out_seq, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	*out_seq = 0;
	if (!ash_cli_client_call(client, "GET", "/v1/events?limit=1&order=new", NULL, &node, error))
		return FALSE;
	JsonNode *items = node != NULL && JSON_NODE_HOLDS_OBJECT(node)
					  ? json_object_get_member(
							    json_node_get_object(node), "items")
					  : NULL;
	if (items != NULL && JSON_NODE_HOLDS_ARRAY(items) &&
			json_array_get_length(json_node_get_array(items)) > 0)
		*out_seq = (int64_t) ash_json_find_uint(
				json_array_get_object_element(json_node_get_array(items), 0),
				"seq");
	return TRUE;
}

static gboolean watch(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshCliClient) client = NULL, stream = NULL;
	Watch watch = {.context = context, .id = args[0], .out_exit = out_exit};
	g_autoptr(GError) local = NULL;
	int64_t seq = 0;

	/* Where the stream is now, then what is: so nothing falls in between. Two sessions, as one is the stream's. */
	if (!ash_cli_client_new(&client, error) || !ash_cli_client_new(&stream, error) ||
			!last_seq(client, &seq, error))
		return FALSE;
	watch.client = client;
	if (look(&watch, &local))
		(void) !ash_cli_client_follow(stream, seq, on_event, &watch, &local);
	g_free(watch.whole_id);
	g_free(watch.last);
	if (local == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
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
		{.name = "rollouts watch",
				.synopsis = "ROLLOUT",
				.summary = "Follow it live until it is over",
				.details = "Exit code 0: finished. 8: halted, reverted or cancelled.",
				.min_args = 1,
				.max_args = 1,
				.run = watch},
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
				.options = reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = pause_it},
		{.name = "rollouts resume",
				.synopsis = "ROLLOUT",
				.summary = "Go on, with a reason",
				.options = reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = resume},
		{.name = "rollouts revert",
				.synopsis = "ROLLOUT",
				.summary = "Send back who took it, with a reason",
				.options = reason_options,
				.min_args = 1,
				.max_args = 1,
				.run = revert},
		{.name = "rollouts cancel",
				.synopsis = "ROLLOUT",
				.summary = "End it where it stands",
				.options = reason_options,
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
