/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/ctl-workload.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/interrupt.h"

/* `ashlarctl workload logs`: what a workload has printed is anything, and the terminal is told nothing by it. */

enum {
	MAX_LINES = 1000,
	MAX_LINE_BYTES = 32 << 10, /* what is longer goes on in another line */
	CHUNK_BYTES = 4096,
};

static gboolean follow;
static gint lines = 100;

static const GOptionEntry log_options[] = {
		{"follow", 'f', 0, G_OPTION_ARG_NONE, &follow, "go on until Ctrl-C", NULL},
		{"lines", 'n', 0, G_OPTION_ARG_INT, &lines, "the last N, 1 to 1000 (default: 100)",
				"N"},
		{NULL},
};

static void print_text(const char *text)
{
	g_autofree char *plain = g_strdelimit(g_strdup(text), "\t", ' ');
	g_autofree char *clean = ash_ctl_clean(plain);

	puts(clean);
}

static void print_line(const char *data, size_t size)
{
	g_autofree char *valid = g_utf8_make_valid(data, (gssize) size);

	print_text(valid);
}

/* ---- following ---- */

/* false: whoever reads this is gone. */
static bool print_lines(GString *buffer)
{
	size_t begin = 0;

	for (;;) {
		const char *newline = memchr(buffer->str + begin, '\n', buffer->len - begin);
		size_t size = newline != NULL ? (size_t) (newline - buffer->str) - begin
					      : buffer->len - begin;
		if (newline == NULL && size < MAX_LINE_BYTES)
			break;
		print_line(buffer->str + begin, MIN(size, MAX_LINE_BYTES));
		begin += size > MAX_LINE_BYTES ? MAX_LINE_BYTES : size + (newline != NULL);
	}
	g_string_erase(buffer, 0, (gssize) begin);
	return fflush(stdout) == 0;
}

static gboolean read_all(int fd, GError **error)
{
	g_autoptr(GString) buffer = g_string_new(NULL);
	char chunk[CHUNK_BYTES];

	for (;;) {
		struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
				{.fd = ash_interrupt_fd(), .events = POLLIN}};
		if (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno != EINTR)
			return ash_throw_errno(error, "poll");
		if (!ash_interrupt_check(error))
			return FALSE;
		if (fds[0].revents == 0)
			continue;
		ssize_t n = read(fd, chunk, sizeof chunk);
		if (n <= 0)
			break;
		g_string_append_len(buffer, chunk, n);
		if (!print_lines(buffer))
			break;
	}
	if (buffer->len > 0)
		print_line(buffer->str, buffer->len);
	return TRUE;
}

static gboolean follow_by(char **argv, GError **error)
{
	int pair[2];

	fflush(stdout);
	if (pipe(pair) < 0)
		return ash_throw_errno(error, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		dup2(pair[1], STDOUT_FILENO);
		close(pair[0]);
		close(pair[1]);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	close(pair[1]);
	ash_autofd int fd = pair[0];
	int status = 0;
	if (pid < 0)
		return ash_throw_errno(error, "fork");
	gboolean ok = read_all(fd, error);
	kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return ok;
}

static gboolean follow_log(JsonObject *answer, char *count, GError **error)
{
	const char *file = ash_json_find_text(answer, "file");
	char tail[] = "tail", follow_name[] = "--follow=name", journal[] = "journalctl",
	     journal_follow[] = "--follow", cat[] = "--output=cat", unit[] = "--unit",
	     lines_option[] = "--lines";
	char *tail_argv[] = {
			tail, follow_name, lines_option, count, (char *) (uintptr_t) file, NULL};
	char *journal_argv[] = {journal, journal_follow, cat, lines_option, count, unit,
			(char *) (uintptr_t) ash_json_find_text(answer, "unit"), NULL};

	return follow_by(file != NULL ? tail_argv : journal_argv, error);
}

/* ---- the command ---- */

static gboolean logs(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *count = g_strdup_printf("%d", lines);
	g_autofree char *request =
			g_strdup_printf("{\"name\":\"%s\",\"lines\":%s}", args[0], count);
	g_autoptr(JsonNode) root = NULL;

	/* It goes into JSON as it is. */
	if (strpbrk(args[0], "\"\\") != NULL)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"'%s' is no name of a workload", args[0]);
	if (lines < 1 || lines > MAX_LINES)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE, "--lines takes 1 to %d",
				MAX_LINES);
	if (follow && context->json)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--follow has no end, and --json is one object");
	if (!ash_ctl_workload_ask(context, "Logs", request, &root, error))
		return FALSE;
	if (root == NULL)
		return TRUE;
	JsonObject *object = json_node_get_object(root);
	if (follow)
		return follow_log(object, count, error);
	JsonNode *array = json_object_get_member(object, "lines");
	for (guint i = 0; array != NULL && JSON_NODE_HOLDS_ARRAY(array) &&
			  i < json_array_get_length(json_node_get_array(array));
			i++)
		print_text(json_array_get_string_element(json_node_get_array(array), i));
	return TRUE;
}

const AshCliCommand ash_ctl_workload_logs = {
		.name = "workload logs",
		.synopsis = "INSTANCE",
		.summary = "Shows what an instance has printed.",
		.options = log_options,
		.min_args = 1,
		.max_args = 1,
		.run = logs,
};
