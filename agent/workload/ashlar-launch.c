/* SPDX-License-Identifier: Apache-2.0 */
/* ashlar-launch DIR: starts the instance that DIR/launch.json describes, and waits for its end. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "agent/workload/instance.h"
#include "lib/cli.h"
#include "lib/error.h"
#include "lib/file.h"

#define OPTION_SETENV "--setenv="

static const char usage[] =
		"Usage: ashlar-launch DIR\n"
		"       ashlar-launch exec [--setenv=KEY=VALUE]… DIR -- COMMAND [ARGUMENT…]\n"
		"       ashlar-launch check DIR -- TIMEOUT KIND TARGET…\n"
		"\n"
		"Starts the workload that DIR/launch.json describes and waits for its end; exec runs a command\n"
		"in one that runs, check does a health check in a machine that runs. ashlar-workloadd calls it.\n"
		"\n"
		"Exit codes: the workload's own, 128+N for signal N; when nothing was started 200 (this host\n"
		"cannot give what is demanded), 201 (the image or a volume cannot be used), 202 (the runtime\n"
		"failed).\n";

static int code_for(const GError *error)
{
	if (g_error_matches(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED))
		return ASH_LAUNCH_EXIT_REFUSED;
	if (g_error_matches(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE))
		return ASH_LAUNCH_EXIT_IMAGE;
	return ASH_LAUNCH_EXIT_RUNTIME;
}

static gboolean load(const char *dir, AshLaunch **out_launch, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "launch.json", NULL);
	g_autoptr(GBytes) text = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_LAUNCH_MAX_BYTES, &text, error) ||
			!ash_launch_parse(text, out_launch, error))
		return FALSE;
	if (strcmp((*out_launch)->dir, dir) == 0)
		return TRUE;
	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX,
			"launch.json: 'dir' is not '%s'", dir);
}

static int end(const AshLaunch *launch, gboolean is_started, int code, const GError *error)
{
	if (is_started)
		return code;
	fprintf(stderr, "ashlar-launch: %s\n", error->message);
	if (launch != NULL)
		ash_instance_refuse(launch, code_for(error), error->message);
	return code_for(error);
}

static int launch_one(const char *dir)
{
	g_autoptr(AshLaunch) launch = NULL;
	g_autoptr(GError) error = NULL;
	int code = 0;
	gboolean is_started = load(dir, &launch, &error) && ash_instance_run(launch, &code, &error);

	return end(launch, is_started, code, error);
}

static int exec_in(const char *dir, bool is_check, char **options, int n_options, char **command)
{
	g_autoptr(AshLaunch) launch = NULL;
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	g_autoptr(GError) error = NULL;
	int code = 0;

	for (int i = 0; i < n_options; i++)
		g_strv_builder_add(builder, options[i] + strlen(OPTION_SETENV));
	g_auto(GStrv) environment = g_strv_builder_end(builder);
	const AshInstanceExec exec = {command, environment, is_check};
	gboolean is_started = load(dir, &launch, &error) &&
			      ash_instance_exec(launch, &exec, &code, &error);

	/* A check says in a line of its output what it saw. */
	if (is_check && !is_started)
		puts(error->message);
	return end(NULL, is_started, code, error);
}

int main(int argc, char **argv)
{
	setlocale(LC_ALL, "C.UTF-8");
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(usage, stdout);
		return ASH_EXIT_OK;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("ashlar-launch " ASH_VERSION);
		return ASH_EXIT_OK;
	}
	if (argc == 2 && *argv[1] == '/')
		return launch_one(argv[1]);
	int n = 0;
	while (argc > 2 + n && g_str_has_prefix(argv[2 + n], OPTION_SETENV))
		n++;
	bool is_check = argc > 1 && strcmp(argv[1], "check") == 0;
	if (argc >= 5 + n && (is_check || strcmp(argv[1], "exec") == 0) && *argv[2 + n] == '/' &&
			strcmp(argv[3 + n], "--") == 0)
		return exec_in(argv[2 + n], is_check, argv + 2, n, argv + 4 + n);
	fputs("ashlar-launch: a directory is expected; see 'ashlar-launch --help'\n", stderr);
	return ASH_EXIT_USAGE;
}
