/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fleet/cli-client.h"
#include "fleet/cli-stream.h"
#include "fleet/cli.h"
#include "lib/error.h"
#include "lib/json.h"

/* A rollout live: on a terminal the same lines are drawn again and again, elsewhere a line is printed for each change. */

enum {
	WIDEST = 120,
	NARROWEST = 20,
	BAR = 40,
	LEAST_BAR = 8,
	FIXED_LINES = 4, /* besides the rings */
};

typedef struct {
	AshCliContext *context;
	AshCliClient *client;
	const char *id;
	char *whole_id;
	int *out_exit;
	unsigned lines;    /* drawn, to be drawn over */
	int width, height; /* of the terminal, when they were */
	bool is_old;       /* something happened since it was looked at */
	char *last;        /* what was said last, where nothing can be drawn over */
} Watch;

static bool is_over(const char *state)
{
	static const char *const over[] = {"finished", "halted", "reverted", "cancelled", NULL};

	return state != NULL && g_strv_contains(over, state);
}

/* ---- on a terminal ---- */

/* A line that the terminal broke in two could not be drawn over. */
static void print_line(const Watch *watch, const char *text)
{
	g_autofree char *cut = g_utf8_substring(
			text, 0, MIN(g_utf8_strlen(text, -1), (glong) watch->width - 1));

	printf("%s\033[K\n", cut);
}

static void measure(Watch *watch)
{
	struct winsize size = {0};
	int old_width = watch->width;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		size = (struct winsize){.ws_col = 80, .ws_row = 24};
	watch->width = CLAMP(size.ws_col, NARROWEST, WIDEST);
	watch->height = MAX(size.ws_row, FIXED_LINES + 2);
	/* The terminal has broken what was there anew: nobody knows how many lines it is now. */
	if (watch->lines > 0 && watch->width != old_width) {
		printf("\033[H\033[2J");
		watch->lines = 0;
	}
}

/* @before: the limit of the ring before it; the counts are of those that came by this one. */
static void print_ring(const Watch *watch, JsonObject *ring, guint64 before)
{
	JsonObject *counts = ash_json_find_object(ring, "counts");
	guint64 limit = MAX(ash_json_find_uint(ring, "limit"), 1);
	static const struct {
		const char *outcome;
		char mark;
	} marks[] = {{"confirmed", '#'}, {"failed", '!'}, {"silent", '?'}, {"returned", '<'},
			{"offered", '+'}, {"assigned", '-'}};
	g_autofree char *head = g_strdup_printf(watch->width < 60 ? "%2" G_GUINT64_FORMAT
								    " %7" G_GUINT64_FORMAT
								  : "  ring %-2" G_GUINT64_FORMAT
								    " up to %-8" G_GUINT64_FORMAT,
			ash_json_find_uint(ring, "ring"), limit);
	guint width = (guint) CLAMP(watch->width - 4 - (int) strlen(head), LEAST_BAR, BAR);
	guint64 size = limit > before ? limit - before : 1;
	char bar[BAR + 1];
	guint at = 0;
	guint64 sum = 0;

	memset(bar, '.', width);
	bar[width] = '\0';
	for (guint i = 0; i < G_N_ELEMENTS(marks); i++) {
		sum += ash_json_find_uint(counts, marks[i].outcome);
		for (; at < width && at < sum * width / size; at++)
			bar[at] = marks[i].mark;
	}
	g_autofree char *line = g_strdup_printf("%s [%s]", head, bar);
	print_line(watch, line);
}

/* As many as there is room for, up to the one that is filled now. */
static unsigned print_rings(const Watch *watch, JsonObject *object)
{
	JsonArray *rings = ash_json_find_objects(object, "rings");
	guint count = rings != NULL ? json_array_get_length(rings) : 0;
	guint room = (guint) (watch->height - FIXED_LINES - 1);
	guint now = (guint) MIN(ash_json_find_uint(object, "ring"), count);
	guint first = count > room ? MIN(now > room ? now - room : 0, count - room) : 0;
	guint shown = MIN(count, room);
	guint64 before = 0;

	for (guint i = 0; i < first + shown; i++) {
		JsonObject *ring = json_array_get_object_element(rings, i);
		if (i >= first)
			print_ring(watch, ring, before);
		before = ash_json_find_uint(ring, "limit");
	}
	return shown;
}

static void draw(Watch *watch, JsonObject *object)
{
	g_autofree char *state = ash_cli_cell(object, "state", ASH_CLI_TEXT);
	g_autofree char *reason = ash_cli_cell(object, "reason", ASH_CLI_TEXT);
	g_autofree char *next = ash_cli_cell(object, "next", ASH_CLI_TEXT);
	bool has_reason = strcmp(reason, "-") != 0;
	g_autofree char *first =
			g_strconcat(state, has_reason ? ": " : "", has_reason ? reason : "", NULL);
	g_autofree char *limits = g_strdup_printf("failed or silent %" G_GUINT64_FORMAT
						  ", halts at %" G_GUINT64_FORMAT,
			ash_json_find_uint(object, "failures"),
			ash_json_find_uint(object, "halts_at"));
	g_autofree char *last = g_strconcat("next: ", next, NULL);

	measure(watch);
	if (watch->lines > 0)
		printf("\033[%uA", watch->lines);
	print_line(watch, first);
	watch->lines = FIXED_LINES + print_rings(watch, object);
	print_line(watch, limits);
	print_line(watch, last);
	print_line(watch, watch->width < 60 ? "#good !bad ?silent <back +told -next"
					    : "# confirmed  ! failed  ? silent  < returned  "
					      "+ offered  - assigned");
	fputs("\033[J", stdout);
	fflush(stdout);
}

/* ---- elsewhere ---- */

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

/* ---- both ---- */

/* TRUE: go on. */
static gboolean look(Watch *watch, GError **error)
{
	g_autofree char *path = ash_cli_path("/v1/rollouts/", watch->id, "");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_client_call(watch->client, "GET", path, NULL, &node, error))
		return FALSE;
	if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_ANSWER,
				"the answer is no rollout");
	JsonObject *object = json_node_get_object(node);
	const char *state = ash_json_find_text(object, "state");
	g_free(watch->whole_id);
	watch->whole_id = g_strdup(ash_json_find_text(object, "id"));
	watch->is_old = false;
	if (watch->context->json)
		ash_cli_print_json(node);
	else if (isatty(STDOUT_FILENO))
		draw(watch, object);
	else
		say(watch, object);
	fflush(stdout);
	if (!is_over(state))
		return TRUE;
	if (strcmp(state, "finished") != 0)
		*watch->out_exit = ASH_EXIT_NEGATIVE;
	return FALSE;
}

/* Of a thousand hosts that report at once the server is asked once. */
static gboolean on_event(const char *kind, JsonObject *event, gpointer data, GError **error)
{
	Watch *watch = data;

	if (event == NULL)
		return watch->is_old ? look(watch, error) : TRUE;
	if (g_strcmp0(ash_json_find_text(event, "rollout"), watch->whole_id) == 0)
		watch->is_old = true;
	return TRUE;
}

static gboolean last_seq(AshCliClient *client, int64_t *out_seq, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_client_call(client, "GET", "/v1/events?limit=1&order=new", NULL, &node, error))
		return FALSE;
	JsonArray *items =
			node != NULL && JSON_NODE_HOLDS_OBJECT(node)
					? ash_json_find_objects(json_node_get_object(node), "items")
					: NULL;
	*out_seq = items != NULL && json_array_get_length(items) > 0
				   ? (int64_t) ash_json_find_uint(
						     json_array_get_object_element(items, 0), "seq")
				   : 0;
	return TRUE;
}

static gboolean watch_it(AshCliContext *context, char **args, int *out_exit, GError **error)
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
		(void) !ash_cli_stream_follow(stream, seq, on_event, &watch, &local);
	g_free(watch.whole_id);
	g_free(watch.last);
	if (local == NULL)
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

const AshCliCommand ash_fleet_cmd_rollout_watch[] = {
		{.name = "rollouts watch",
				.synopsis = "ROLLOUT",
				.summary = "Follow it live until it is over",
				.details = "Exit code 0: finished. 8: halted, reverted or cancelled.",
				.min_args = 1,
				.max_args = 1,
				.run = watch_it},
		{0},
};
