/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cli.h"

#include <gio/gio.h>
#include <string.h>

#include "lib/error.h"

/* ash_cli_main is a program's main(): each case starts this test as that program
 * ("test-cli prog ARGUMENT…").
 */

static char *opt_name;

static gboolean greet(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_print("%s%s%s\n", opt_name != NULL ? opt_name : "nobody", args[0] != NULL ? " " : "",
			args[0] != NULL ? args[0] : "");
	if (g_strcmp0(opt_name, "no") == 0)
		*out_exit = ASH_EXIT_NEGATIVE;
	if (g_strcmp0(opt_name, "io") == 0)
		return ash_throw(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "full");
	if (g_strcmp0(opt_name, "cancel") == 0)
		return ash_throw(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "interrupted");
	if (g_strcmp0(opt_name, "own") == 0)
		return ash_throw(error, G_FILE_ERROR, 0, "an error of its own");
	if (g_strcmp0(opt_name, "other") == 0)
		return ash_throw(error, G_MARKUP_ERROR, 0, "any other");
	return TRUE;
}

static int exit_for(const GError *error)
{
	return error->domain == G_FILE_ERROR ? ASH_EXIT_UNTRUSTED : 0;
}

static const GOptionEntry options[] = {
		{"name", 'n', 0, G_OPTION_ARG_STRING, &opt_name, "Whom to greet", "NAME"},
		{0},
};

static const AshCliCommand commands[] = {
		{.name = "greet",
				.synopsis = "[WORD]",
				.summary = "Greets.",
				.options = options,
				.max_args = 1,
				.run = greet},
		{.name = "host", .synopsis = "", .summary = "Shows hosts.", .run = greet},
		{.name = "host add", .synopsis = "", .summary = "Adds one.", .run = greet},
		{.name = "host list", .synopsis = "", .summary = "Shows them.", .run = greet},
		{0},
};

static const AshCliProgram program = {
		.name = "prog",
		.summary = "Tests.",
		.commands = commands,
		.exit_for = exit_for,
};

typedef struct {
	const char *name;
	const char *args; /* separated by blanks */
	const char *out;  /* patterns */
	const char *err;
	int exit;
} Case;

static const Case cases[] = {
		{"none", "", "", "Usage: prog COMMAND*", ASH_EXIT_USAGE},
		{"help", "--help", "Usage: prog COMMAND*greet*Greets.*", "", ASH_EXIT_OK},
		{"verb-help", "greet --help", "Usage:*prog greet*--name=NAME*--json*", "",
				ASH_EXIT_OK},
		{"version", "--version", "prog *\n", "", ASH_EXIT_OK},
		{"unknown-verb", "great", "", "*unknown command 'great' (did you mean 'greet'?)*",
				ASH_EXIT_USAGE},
		{"group", "host", "nobody\n", "", ASH_EXIT_OK},
		{"group-verb", "host list", "nobody\n", "", ASH_EXIT_OK},
		{"unknown-second-verb", "host lisst", "",
				"*'prog host' has no command 'lisst' (did you mean 'list'?); there are: add, list; see 'prog --help'\n",
				ASH_EXIT_USAGE},
		{"no-second-verb-is-near", "host frobnicate", "",
				"*no command 'frobnicate'; there are: add, list; see*",
				ASH_EXIT_USAGE},
		{"unknown-option", "greet --nmae x", "",
				"*--nmae (did you mean '--name'?); see 'prog greet --help'\n",
				ASH_EXIT_USAGE},
		{"too-many", "greet a b", "", "*takes: [WORD]*", ASH_EXIT_USAGE},
		{"plain", "greet", "nobody\n", "", ASH_EXIT_OK},
		{"option", "greet --name x y", "x y\n", "", ASH_EXIT_OK},
		{"dash-dash", "greet -n x -- -y", "x -y\n", "", ASH_EXIT_OK},
		{"negative", "greet -n no", "no\n", "", ASH_EXIT_NEGATIVE},
		{"environment", "greet -n io", "*", "prog: full\n", ASH_EXIT_ENVIRONMENT},
		{"cancelled", "greet -n cancel", "*", "prog: interrupted\n", ASH_EXIT_INTERRUPTED},
		{"own", "greet -n own", "*", "prog: an error of its own\n", ASH_EXIT_UNTRUSTED},
		{"other", "greet -n other", "*", "prog: any other\n", ASH_EXIT_FAILED},
		{"json", "greet -n own --json", "*",
				"{\"event\":\"error\",*\"text\":\"an error of its own\",\"exit\":5}\n",
				ASH_EXIT_UNTRUSTED},
		{"completion", "completion bash", "*complete -F _prog prog\n", "", ASH_EXIT_OK},
		{"completion-zsh", "completion zsh", "#compdef prog\n*'--name:*", "", ASH_EXIT_OK},
		{"completion-fish", "completion fish", "*complete -c prog * -a greet *", "",
				ASH_EXIT_OK},
};

static void assert_matches(const char *pattern, const char *text)
{
	if (!g_pattern_match_simple(pattern, text))
		g_error("wanted: %s\ngot:    %s", pattern, text);
}

static void run_case(gconstpointer data)
{
	const Case *c = data;
	g_autoptr(GError) error = NULL;
	g_autofree char *line = g_strconcat("/proc/self/exe prog ", c->args, NULL);
	g_auto(GStrv) argv = g_strsplit(g_strchomp(line), " ", -1);
	g_autofree char *out = NULL;
	g_autofree char *err = NULL;
	int status = 0;

	g_assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err,
			&status, &error));
	assert_matches(c->out, out);
	assert_matches(c->err, err);
	if (c->exit == 0)
		g_assert_true(g_spawn_check_wait_status(status, &error));
	else
		g_assert_false(g_spawn_check_wait_status(status, &error));
	if (c->exit != 0)
		g_assert_error(error, G_SPAWN_EXIT_ERROR, c->exit);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "prog") == 0)
		return ash_cli_main(&program, argc - 1, argv + 1);
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *path = g_strconcat("/cli/", cases[i].name, NULL);
		g_test_add_data_func(path, &cases[i], run_case);
	}
	return g_test_run();
}
