/* SPDX-License-Identifier: Apache-2.0 */
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "agent/bus.h"
#include "lib/error.h"

/* fake-host1 DIR: an ashlard that says what a test wrote down.
 *
 *	DIR/METHOD.json     the answer; none: an empty one
 *	DIR/METHOD.error    instead: a code of AshBusError by name, a blank, the text
 *	DIR/METHOD.script   what happens after the answer, a line each: "state NAME" (what GetStatus says
 *	                    of it changes too), "event JSON", "status FILE" (GetStatus answers DIR/FILE
 *	                    from now on), "quit"
 *	DIR/calls           written: METHOD, the text, and id and numbers where they are not 0
 *
 * Prints "ready" when it has the name.
 */

static AshBus *bus;
static const char *dir;
static char *state;
static char *status_file;
static GQueue script = G_QUEUE_INIT;

static char *read_text(const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

static char *read_named(const char *name, const char *suffix)
{
	g_autofree char *file = g_strconcat(name, suffix, NULL);

	return read_text(file);
}

static void set_state(const char *new_state)
{
	g_free(state);
	state = g_strdup(new_state);
	ash_bus_changed(bus, "State");
}

static void step(const char *line)
{
	if (g_str_has_prefix(line, "state ")) {
		set_state(line + strlen("state "));
	} else if (g_str_has_prefix(line, "event ")) {
		ash_bus_emit_event(bus, line + strlen("event "));
	} else if (g_str_has_prefix(line, "status ")) {
		g_free(status_file);
		status_file = g_strdup(line + strlen("status "));
	} else if (strcmp(line, "quit") == 0) {
		ash_bus_quit(bus);
	}
}

/* One line each time the loop comes round. */
static void run_script(gpointer data)
{
	g_autofree char *line = g_queue_pop_head(&script);

	if (line != NULL)
		step(line);
	if (!g_queue_is_empty(&script))
		g_assert_true(ash_bus_set_timer(bus, 0, run_script, NULL, NULL));
}

static void queue_script(const char *method)
{
	g_autofree char *text = read_named(method, ".script");
	g_auto(GStrv) lines = g_strsplit(text != NULL ? text : "", "\n", -1);

	for (char **line = lines; *line != NULL; line++)
		g_queue_push_tail(&script, g_strdup(*line));
	g_assert_true(ash_bus_set_timer(bus, 0, run_script, NULL, NULL));
}

static void log_call(const AshBusCall *call)
{
	g_autofree char *path = g_build_filename(dir, "calls", NULL);
	g_autoptr(GString) line = g_string_new(call->method);
	FILE *file = fopen(path, "ae");

	g_assert_nonnull(file);
	if (*call->text != '\0')
		g_string_append_printf(line, " %s", call->text);
	if (call->id != 0)
		g_string_append_printf(line,
				" %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
				call->id, call->done, call->total);
	fprintf(file, "%s\n", line->str);
	fclose(file);
}

static gboolean throw_text(const char *text, GError **error)
{
	static const struct {
		const char *name;
		AshBusError code;
	} codes[] = {
			{"FAILED", ASH_BUS_ERROR_FAILED},
			{"DENIED", ASH_BUS_ERROR_DENIED},
			{"WRONG_STATE", ASH_BUS_ERROR_WRONG_STATE},
			{"INVALID_ARGUMENT", ASH_BUS_ERROR_INVALID_ARGUMENT},
			{"NOT_FOUND", ASH_BUS_ERROR_NOT_FOUND},
	};
	g_auto(GStrv) words = g_strsplit(text, " ", 2);

	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		if (strcmp(words[0], codes[i].name) == 0)
			return ash_throw(error, ASH_BUS_ERROR, (int) codes[i].code, "%s", words[1]);
	g_error("no such code: %s", text);
}

static gboolean on_method(const AshBusCall *call, gpointer data, char **out_json, GError **error)
{
	g_autofree char *failure = read_named(call->method, ".error");

	if (strcmp(call->method, "GetStatus") != 0)
		log_call(call);
	if (failure != NULL)
		return throw_text(failure, error);
	if (strcmp(call->method, "GetStatus") == 0 && status_file != NULL)
		*out_json = read_text(status_file);
	else
		*out_json = read_named(call->method, ".json");
	queue_script(call->method);
	return TRUE;
}

static char *on_property(const char *name, gpointer data)
{
	return strcmp(name, "State") == 0 ? g_strdup(state)
					  : g_strdup("{\"id\":0,\"verb\":\"none\"}");
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(argc, ==, 2);
	dir = argv[1];
	state = g_strdup("idle");
	gboolean ok = ash_bus_new(&bus, &error) &&
		      ash_bus_serve(bus, on_method, on_property, NULL, &error);
	if (ok) {
		puts("ready");
		fflush(stdout);
		ok = ash_bus_run(bus, &error);
	}
	if (!ok)
		fprintf(stderr, "fake-host1: %s\n", error->message);
	ash_bus_free(bus);
	return ok ? 0 : 1;
}
