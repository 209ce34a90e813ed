/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/bus-workload.h"
#include "agent/ctl-workload.h"
#include "lib/error.h"
#include "lib/health-spec.h"
#include "lib/interrupt.h"
#include "lib/workload.h"

/* `ashlarctl workload …`: what changes something. */

enum {
	MAX_LOOKS = 2,
	RECORD_GRACE_S = 120, /* to become ready, and for who records to say that it ends */
};

static gint timeout_s = 600;
static gboolean no_wait;
#define WAIT_OPTIONS                                                                               \
	{"no-wait", 0, 0, G_OPTION_ARG_NONE, &no_wait, "do not wait until it is so", NULL},        \
	{                                                                                          \
		"timeout", 0, 0, G_OPTION_ARG_INT, &timeout_s,                                     \
				"wait SECONDS at most (default: 600)", "SECONDS"                   \
	}

static void print_answer(const AshCliContext *context, const char *json)
{
	g_autofree char *line = g_strchomp(g_strdup(json));

	if (context->json)
		puts(line);
}

/* Calls @method, and waits for @goal. */
static gboolean act(const AshCliContext *context, const char *method, const char *name,
		const char *request, AshCtlWorkloadGoal goal, GError **error)
{
	g_autoptr(AshBus) bus = NULL;
	g_autofree char *json = NULL;
	g_autoptr(JsonNode) root = NULL;

	if (timeout_s < 1)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--timeout takes seconds, 1 at least");
	if (!ash_bus_new(&bus, error) ||
			!ash_ctl_workload_call(bus, method, request, &json, error) ||
			!ash_ctl_parse(json, &root, error))
		return FALSE;
	JsonObject *answer = json_node_get_object(root);
	const char *real = ash_json_find_text(answer, "name");
	const char *digest =
			strcmp(method, "Run") == 0 ? ash_json_find_text(answer, "digest") : NULL;
	if (!no_wait && !ash_ctl_workload_wait(context, bus, real != NULL ? real : name, goal,
					digest, (unsigned) timeout_s, error))
		return FALSE;
	print_answer(context, json);
	return TRUE;
}

/* ---- run ---- */

static char *run_name;
static gboolean run_replace;

static const GOptionEntry run_options[] = {
		{"name", 0, 0, G_OPTION_ARG_STRING, &run_name,
				"with an IMAGE: the workload's name (default: the image's)",
				"NAME"},
		{"replace", 0, 0, G_OPTION_ARG_NONE, &run_replace,
				"with an IMAGE: also in the place of another workload of that name",
				NULL},
		WAIT_OPTIONS,
		{NULL},
};

static bool is_image(const char *text)
{
	static const char *const schemes[] = {"oci:", "oci-dir:", "docker-archive:", "ostree:"};

	for (size_t i = 0; i < G_N_ELEMENTS(schemes); i++)
		if (g_str_has_prefix(text, schemes[i]))
			return true;
	return false;
}

/* "oci:registry.example/group/web-server:1.2" is called "web-server". */
static char *name_of(const char *image)
{
	const char *slash = strrchr(image, '/');
	g_auto(GStrv) ref = g_strsplit(image, "/", -1);
	/* ostree:workload/NAME/ARCH, as 'ashlar build' calls what it makes */
	bool is_built = g_str_has_prefix(image, "ostree:workload/") && g_strv_length(ref) == 3;
	const char *base = is_built ? ref[1] : slash != NULL ? slash + 1 : strchr(image, ':') + 1;
	g_autofree char *name = g_ascii_strdown(base, -1);

	name[strcspn(name, ":@")] = '\0';
	for (char *c = name; *c != '\0'; c++)
		if (!g_ascii_isalnum(*c))
			*c = '-';
	return g_strdup(name);
}

static gboolean make_definition(const char *image, char **out_text, GError **error)
{
	g_autofree char *name = run_name != NULL ? g_strdup(run_name) : name_of(image);

	if (!ash_workload_is_name(name))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"'%s' is no name of a workload; say one with --name", name);
	*out_text = g_strdup_printf("workload: %s\nversion: \"1\"\nimage: \"%s\"\n", name, image);
	return TRUE;
}

/* What is signed, and what is the newest of it, is known by a check. The first call says that it is wanted, so that the
 * check brings it; one that was under way then may not have known, so there are two. What is wrong still is said by
 * who calls next.
 */
static gboolean find_signed(const AshCliContext *context, const char *name, const char *version,
		const char *request, GError **error)
{
	g_autoptr(AshBus) bus = NULL;

	if (!ash_bus_new(&bus, error))
		return FALSE;
	for (unsigned looks = 0;; looks++) {
		g_autofree char *json = NULL;
		g_autoptr(GError) local = NULL;
		bool is_here = ash_ctl_workload_call(bus, "Run", request, &json, &local);
		if (!is_here && !g_error_matches(local, ASH_BUS_ERROR, ASH_BUS_ERROR_REMOTE)) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		if (looks == MAX_LOOKS || (is_here && (looks > 0 || version != NULL)))
			return TRUE;
		g_clear_error(&local);
		if (!ash_ctl_look(context, &local)) {
			ash_progress_warn(context->progress, "looking for '%s': %s", name,
					local->message);
			return TRUE;
		}
	}
}

/* What is not right about a definition, or its parameters, is no mistake in what was typed. */
static gboolean throw_input(GError **error, bool has_text, GError *take_cause)
{
	bool is_input = g_error_matches(take_cause, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT);

	if (has_text && is_input) {
		ash_throw(error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_VALUE, "%s",
				take_cause->message);
		g_error_free(take_cause);
	} else {
		g_propagate_error(error, take_cause);
	}
	return FALSE;
}

/* A file has the name that its owner gave it; an image's is only guessed. */
static char *definition_request(const char *text, const char *file, bool is_only_new)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "definition", text);
	ash_json_add_text(builder, "file", file);
	ash_json_add_bool(builder, "only-new", is_only_new);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	bool is_file = strchr(args[0], '/') != NULL || strchr(args[0], '.') != NULL;
	g_autoptr(GError) local = NULL;
	g_autofree char *text = NULL;
	g_autofree char *request = NULL;

	if (run_name != NULL && !is_image(args[0]))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--name goes with an IMAGE; '%s' has a name", args[0]);
	if (run_replace && !is_image(args[0]))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--replace goes with an IMAGE; a definition takes the place of the one of its name");
	if (args[1] != NULL && (is_file || is_image(args[0])))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"a VERSION goes with the NAME of a signed definition; '%s' has one",
				args[0]);
	if (is_image(args[0])) {
		if (!make_definition(args[0], &text, error))
			return FALSE;
	} else if (is_file && !ash_ctl_workload_read(args[0], &text, error)) {
		return FALSE;
	}
	if (text != NULL)
		request = definition_request(text, args[0], is_image(args[0]) && !run_replace);
	else
		request = ash_ctl_workload_request(args[0], "version", args[1], NULL);
	if (text == NULL && !find_signed(context, args[0], args[1], request, error))
		return FALSE;
	return act(context, "Run", args[0], request, ASH_CTL_WORKLOAD_READY, &local) ||
	       throw_input(error, text != NULL, g_steal_pointer(&local));
}

const AshCliCommand ash_ctl_workload_run = {
		.name = "workload run",
		.synopsis = "FILE | IMAGE | NAME [VERSION]",
		.summary = "Defines a workload and starts it, or updates it.",
		.details = "A FILE is a definition as workload(5) has it, with a '/' or '.' in its name: it becomes\n"
			   "/etc/ashlar/workloads.d/NAME.yaml. An IMAGE (oci:HOST/NAME:TAG, oci-dir:/PATH,\n"
			   "docker-archive:/PATH, ostree:REF) runs with no grant at all. A NAME is that of a signed\n"
			   "definition; the host looks for it, and for its newest version, where it updates from.\n\n"
			   "Waits until it is ready; of a new version that does not work, and was left again, it\n"
			   "says why and ends with exit code 8.",
		.options = run_options,
		.min_args = 1,
		.max_args = 2,
		.run = run,
};

/* ---- start, stop, restart ---- */

static const GOptionEntry wait_options[] = {WAIT_OPTIONS, {NULL}};

static gboolean start(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *request = ash_ctl_workload_request(args[0], NULL);

	return act(context, "Start", args[0], request, ASH_CTL_WORKLOAD_READY, error);
}

static gboolean stop(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *request = ash_ctl_workload_request(args[0], NULL);

	return act(context, "Stop", args[0], request, ASH_CTL_WORKLOAD_STOPPED, error);
}

static gboolean restart(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *request = ash_ctl_workload_request(args[0], NULL);

	return act(context, "Restart", args[0], request, ASH_CTL_WORKLOAD_READY, error);
}

const AshCliCommand ash_ctl_workload_start = {
		.name = "workload start",
		.synopsis = "NAME",
		.summary = "Starts a workload that was stopped, or has failed.",
		.options = wait_options,
		.min_args = 1,
		.max_args = 1,
		.run = start,
};

const AshCliCommand ash_ctl_workload_stop = {
		.name = "workload stop",
		.synopsis = "NAME",
		.summary = "Stops a workload; it stays stopped.",
		.options = wait_options,
		.min_args = 1,
		.max_args = 1,
		.run = stop,
};

const AshCliCommand ash_ctl_workload_restart = {
		.name = "workload restart",
		.synopsis = "NAME",
		.summary = "Stops all instances of a workload and starts them again.",
		.options = wait_options,
		.min_args = 1,
		.max_args = 1,
		.run = restart,
};

/* ---- remove ---- */

static gboolean with_volumes;

static const GOptionEntry remove_options[] = {
		{"volumes", 0, 0, G_OPTION_ARG_NONE, &with_volumes,
				"its volumes too, with all that is in them", NULL},
		WAIT_OPTIONS,
		{NULL},
};

static gboolean remove_it(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", args[0]);
	ash_json_add_bool(builder, "volumes", with_volumes);
	json_builder_end_object(builder);
	g_autofree char *request = ash_json_format(builder, false);
	return act(context, "Remove", args[0], request, ASH_CTL_WORKLOAD_REMOVED, error);
}

const AshCliCommand ash_ctl_workload_remove = {
		.name = "workload remove",
		.synopsis = "NAME",
		.summary = "Stops a workload and removes it; its volumes stay.",
		.options = remove_options,
		.min_args = 1,
		.max_args = 1,
		.run = remove_it,
};

/* ---- forgive ---- */

static gboolean forgive(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *request = ash_ctl_workload_request(args[0], "version", args[1], NULL);
	g_autoptr(AshBus) bus = NULL;
	g_autofree char *json = NULL;

	if (!ash_bus_new(&bus, error) ||
			!ash_ctl_workload_call(bus, "Forgive", request, &json, error))
		return FALSE;
	print_answer(context, json);
	return TRUE;
}

const AshCliCommand ash_ctl_workload_forgive = {
		.name = "workload forgive",
		.synopsis = "NAME [VERSION]",
		.summary = "Lets a version that failed be tried again.",
		.min_args = 1,
		.max_args = 2,
		.run = forgive,
};

/* ---- exec ---- */

static gboolean exec_in(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *request = ash_ctl_workload_request(args[0], NULL);
	g_autoptr(AshBus) bus = NULL;
	g_autofree char *json = NULL;
	g_autoptr(JsonNode) root = NULL;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	char verb[] = "exec", end[] = "--";

	if (!ash_bus_new(&bus, error) ||
			!ash_ctl_workload_call(bus, "Exec", request, &json, error) ||
			!ash_ctl_parse(json, &root, error))
		return FALSE;
	JsonObject *answer = json_node_get_object(root);
	const char *program = ash_json_find_text(answer, "program");
	const char *dir = ash_json_find_text(answer, "dir");
	if (program == NULL || dir == NULL)
		return ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_FAILED,
				"ashlar-workloadd does not say where it runs");
	g_ptr_array_add(argv, (gpointer) (uintptr_t) program);
	g_ptr_array_add(argv, verb);
	g_ptr_array_add(argv, (gpointer) (uintptr_t) dir);
	g_ptr_array_add(argv, end);
	/* The option parser leaves the "--" where a word behind it begins with a dash. */
	for (char **word = args + (strcmp(args[1], "--") == 0 ? 2 : 1); *word != NULL; word++)
		g_ptr_array_add(argv, *word);
	g_ptr_array_add(argv, NULL);
	fflush(stdout);
	execv(program, (char **) argv->pdata);
	return ash_throw_errno(error, "%s", program);
}

const AshCliCommand ash_ctl_workload_exec = {
		.name = "workload exec",
		.synopsis = "INSTANCE -- COMMAND [ARGUMENT…]",
		.summary = "Runs a command inside an instance, confined as it is.",
		.details = "Ends with the command's own exit code.",
		.min_args = 2,
		.max_args = -1,
		.run = exec_in,
};

/* ---- train ---- */

static char *train_for;
static gboolean accept_it;

static const GOptionEntry train_options[] = {
		{"for", 0, 0, G_OPTION_ARG_STRING, &train_for, "record so long (default: 60s)",
				"DURATION"},
		{"accept", 0, 0, G_OPTION_ARG_NONE, &accept_it,
				"write it into the local definition, and run that", NULL},
		{NULL},
};

/* @seconds: 0 ends it; it ends by itself then, should nobody say so */
static gboolean train_call(AshBus *bus, const char *name, uint32_t seconds, JsonNode **out_root,
		GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autofree char *json = NULL;

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", name);
	ash_json_add_bool(builder, "recording", seconds > 0);
	ash_json_add_uint(builder, "seconds", seconds);
	json_builder_end_object(builder);
	g_autofree char *request = ash_json_format(builder, false);
	return ash_ctl_workload_call(bus, "Train", request, &json, error) &&
	       ash_ctl_parse(json, out_root, error);
}

static gboolean wait_ms(uint32_t wait_ms_, GError **error)
{
	int64_t end_us = ash_bus_now_us() + (int64_t) wait_ms_ * 1000;

	while (ash_bus_now_us() < end_us) {
		if (!ash_interrupt_check(error))
			return FALSE;
		g_usleep((gulong) CLAMP(end_us - ash_bus_now_us(), 1, 100 * 1000));
	}
	return TRUE;
}

/* @text without its top-level key `system-calls`, and with @calls. *out_patch: what patch(1) makes that of */
static char *replace_calls(const char *text, const char *calls, char **out_patch)
{
	g_auto(GStrv) rows = g_strsplit(text, "\n", -1);
	g_auto(GStrv) added = g_strsplit(calls, "\n", -1);
	g_autoptr(GString) rest = g_string_new(NULL);
	g_autoptr(GString) patch = g_string_new(NULL);
	unsigned n_old = 0, n_new = 0;
	bool is_inside = false;

	for (char **row = rows; *row != NULL; row++) {
		bool is_deeper = **row == ' ' || **row == '\t' || **row == '-';
		if (g_str_has_prefix(*row, "system-calls:"))
			is_inside = true;
		else if (!is_deeper && **row != '\0')
			is_inside = false;
		if (row[1] == NULL && **row == '\0')
			break;
		g_string_append_printf(patch, "%c%s\n", is_inside ? '-' : ' ', *row);
		n_old++;
		if (is_inside)
			continue;
		g_string_append_printf(rest, "%s\n", *row);
		n_new++;
	}
	for (char **row = added; *row != NULL && **row != '\0'; row++, n_new++)
		g_string_append_printf(patch, "+%s\n", *row);
	*out_patch = g_strdup_printf(
			"@@ -%s,%u +1,%u @@\n%s", n_old > 0 ? "1" : "0", n_old, n_new, patch->str);
	g_string_append(rest, calls);
	return g_string_free(g_steal_pointer(&rest), FALSE);
}

/* What it asked for and does without stands there for who reads it. */
static void add_refused(GString *text, JsonObject *answer)
{
	JsonNode *node = json_object_get_member(answer, "refused");
	JsonArray *names = node != NULL && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node)
								       : NULL;

	for (guint i = 0; names != NULL && i < json_array_get_length(names); i++)
		g_string_append_printf(text, "%s%s", i == 0 ? "  # refused, as ever: " : ", ",
				json_array_get_string_element(names, i));
	if (names != NULL && json_array_get_length(names) > 0)
		g_string_append_c(text, '\n');
}

static char *format_calls(JsonObject *answer)
{
	g_autoptr(GString) text = g_string_new("system-calls:\n");
	JsonNode *node = json_object_get_member(answer, "calls");
	guint count = node != NULL && JSON_NODE_HOLDS_ARRAY(node)
				      ? json_array_get_length(json_node_get_array(node))
				      : 0;

	add_refused(text, answer);
	g_string_append(text, "  only:\n");
	for (guint i = 0; i < count; i++)
		g_string_append_printf(text, "    - %s\n",
				json_array_get_string_element(json_node_get_array(node), i));
	return count > 0 ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

static gboolean record(const AshCliContext *context, AshBus *bus, const char *name,
		uint32_t duration_ms, JsonNode **out_root, GError **error)
{
	g_autoptr(JsonNode) begun = NULL;
	g_autoptr(JsonNode) ended = NULL;
	g_autoptr(GError) local = NULL;

	ash_progress_begin(context->progress, "record", "recording; use the workload now");
	if (!train_call(bus, name, duration_ms / 1000 + RECORD_GRACE_S, &begun, error))
		return FALSE;
	bool is_done = ash_ctl_workload_wait(context, bus, name, ASH_CTL_WORKLOAD_READY, NULL, 60,
				       &local) &&
		       wait_ms(duration_ms, &local);
	/* It does not stay without its walls, whatever happened. */
	if (!train_call(bus, name, 0, &ended, error))
		return FALSE;
	if (!is_done) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	return ash_ctl_workload_wait(context, bus, name, ASH_CTL_WORKLOAD_READY, NULL, 60, error) &&
	       train_call(bus, name, 0, out_root, error);
}

static gboolean train(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshBus) bus = NULL;
	g_autoptr(JsonNode) root = NULL;
	g_autofree char *text = NULL;
	uint32_t duration_ms = 60 * 1000;

	if (train_for != NULL && !ash_health_parse_duration(train_for, &duration_ms))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--for needs a duration, as in 30s or 5min");
	if (!ash_bus_new(&bus, error) || !record(context, bus, args[0], duration_ms, &root, error))
		return FALSE;
	JsonObject *answer = json_node_get_object(root);
	const char *file = ash_json_find_text(answer, "file");
	g_autofree char *calls = format_calls(answer);
	if (calls == NULL)
		return ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_FAILED,
				"nothing was recorded: is its isolation 'sandbox' or 'container'?");
	if (file != NULL && !ash_ctl_workload_read(file, &text, error))
		return FALSE;
	g_autofree char *patch = NULL;
	g_autofree char *whole = replace_calls(text != NULL ? text : "", calls, &patch);
	if (!accept_it && context->json) {
		g_autofree char *json = json_to_string(root, false);
		puts(json);
		return TRUE;
	}
	if (!accept_it) {
		printf("--- %s\n+++ %s\n%s", file != NULL ? file : args[0],
				file != NULL ? file : args[0], patch);
		return TRUE;
	}
	if (file == NULL)
		return ash_throw(error, ASH_CTL_ERROR, ASH_CTL_ERROR_NEGATIVE,
				"a signed definition is not changed here: publish another version of it");
	g_autofree char *request =
			ash_ctl_workload_request(NULL, "definition", whole, "file", file, NULL);
	return act(context, "Run", args[0], request, ASH_CTL_WORKLOAD_READY, error);
}

const AshCliCommand ash_ctl_workload_train = {
		.name = "workload train",
		.synopsis = "NAME",
		.summary = "Records system calls, and proposes them as a list.",
		.details = "Starts it again to record what it calls, and once more when that is done.\n"
			   "What is printed is a diff of the definition.",
		.options = train_options,
		.min_args = 1,
		.max_args = 1,
		.run = train,
};
