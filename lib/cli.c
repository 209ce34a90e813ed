/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cli.h"

#include <gio/gio.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cli-completion.h"
#include "lib/error.h"
#include "lib/interrupt.h"
#include "lib/spawn.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_cli_error, ash_cli_error)

#ifndef ASH_VERSION
#error "ASH_VERSION comes from the Makefile"
#endif

enum {
	HELP_COLUMNS = 79,
};

static gboolean opt_help;
static gboolean opt_json;
static gboolean opt_quiet;

static const GOptionEntry common_options[] = {
		{"help", 'h', 0, G_OPTION_ARG_NONE, &opt_help, "Print this", NULL},
		{"json", 0, 0, G_OPTION_ARG_NONE, &opt_json,
				"Events on stderr and results on stdout as JSON", NULL},
		{"quiet", 'q', 0, G_OPTION_ARG_NONE, &opt_quiet, "Print warnings and errors only",
				NULL},
		{0},
};

static void print_overview(const AshCliProgram *program, FILE *stream)
{
	fprintf(stream, "Usage: %s COMMAND [OPTION…] [ARGUMENT…]\n\n%s\n\nCommands:\n",
			program->name, program->summary);
	int width = 10;
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++)
		width = MAX(width, (int) strlen(command->name));
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++)
		fprintf(stream, "  %-*s %s\n", width, command->name, command->summary);
	fprintf(stream, "\n'%s COMMAND --help' says more.\n'%s completion bash' prints completion for bash (zsh, fish).\n",
			program->name, program->name);
}

/* @group takes no argument but has verbs of its own, and @second is none of them. */
static gboolean check_second(const AshCliProgram *program, const AshCliCommand *group,
		const char *second, GError **error)
{
	g_autoptr(GPtrArray) verbs = g_ptr_array_new();
	g_autofree char *prefix = g_strconcat(group->name, " ", NULL);

	if (group->max_args != 0 || second == NULL || *second == '-')
		return TRUE;
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++)
		if (g_str_has_prefix(command->name, prefix))
			g_ptr_array_add(verbs,
					(gpointer) (guintptr) (command->name + strlen(prefix)));
	if (verbs->len == 0)
		return TRUE;
	g_ptr_array_add(verbs, NULL);
	g_autofree char *hint = ash_text_suggestion(second, (const char *const *) verbs->pdata);
	g_autofree char *all = g_strjoinv(", ", (char **) verbs->pdata);
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
			"'%s %s' has no command '%s'%s; there are: %s; see '%s --help'",
			program->name, group->name, second, hint, all, program->name);
}

/* A name of two words wins over one of one; @out_words: how many it was. */
static const AshCliCommand *find_command(const AshCliProgram *program, const char *name,
		const char *second, int *out_words, GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	g_autofree char *both = g_strjoin(" ", name, second != NULL ? second : "", NULL);

	*out_words = 2;
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++)
		if (strcmp(command->name, both) == 0)
			return command;
	*out_words = 1;
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++) {
		if (strcmp(command->name, name) == 0)
			return check_second(program, command, second, error) ? command : NULL;
		g_ptr_array_add(names, (gpointer) (guintptr) command->name);
	}
	g_ptr_array_add(names, NULL);
	g_autofree char *hint = ash_text_suggestion(name, (const char *const *) names->pdata);
	return ash_throw_null(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
			"unknown command '%s'%s; see '%s --help'", name, hint, program->name);
}

/* GLib says "Unknown option --foo"; this adds the nearest real one. */
static gboolean explain_option_error(const AshCliProgram *program, const AshCliCommand *command,
		char **argv, const GError *cause, GError **error)
{
	g_autofree char *hint = g_strdup("");

	if (g_error_matches(cause, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION)) {
		g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
		for (const GOptionEntry *e = common_options; e->long_name != NULL; e++)
			g_ptr_array_add(names, g_strconcat("--", e->long_name, NULL));
		for (const GOptionEntry *e = command->options; e != NULL && e->long_name != NULL;
				e++)
			g_ptr_array_add(names, g_strconcat("--", e->long_name, NULL));
		g_ptr_array_add(names, NULL);
		for (char **arg = argv; *arg != NULL && *hint == '\0'; arg++) {
			if (!g_str_has_prefix(*arg, "--") || strstr(cause->message, *arg) == NULL)
				continue;
			g_free(hint);
			hint = ash_text_suggestion(*arg, (const char *const *) names->pdata);
		}
	}
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE, "%s%s; see '%s %s --help'",
			cause->message, hint, program->name, command->name);
}

static gboolean run_command(const AshCliProgram *program, const AshCliCommand *command, char **argv,
		AshProgress **out_progress, int *out_exit, GError **error)
{
	g_autofree char *parameters = g_strdup(command->synopsis != NULL ? command->synopsis : "");
	g_autoptr(GOptionContext) options = g_option_context_new(parameters);
	g_autoptr(GError) local = NULL;
	g_auto(GStrv) args = g_strdupv(argv);

	/* argv[0] is what --help prints as the program's name. */
	g_free(args[0]);
	args[0] = g_strdup_printf("%s %s", program->name, command->name);
	g_set_prgname(args[0]);
	g_option_context_set_summary(options, command->summary);
	g_option_context_set_description(options, command->details);
	if (command->options != NULL)
		g_option_context_add_main_entries(options, command->options, NULL);
	g_option_context_add_main_entries(options, common_options, NULL);
	g_option_context_set_help_enabled(options, FALSE);
	if (!g_option_context_parse_strv(options, &args, &local))
		return explain_option_error(program, command, argv, local, error);
	if (opt_help) {
		g_autofree char *help = g_option_context_get_help(options, TRUE, NULL);
		g_autofree char *wrapped = ash_text_wrap(help, HELP_COLUMNS);
		fputs(wrapped, stdout);
		return TRUE;
	}

	g_set_prgname(program->name);
	*out_progress = ash_progress_new(opt_json    ? ASH_PROGRESS_JSON
					 : opt_quiet ? ASH_PROGRESS_QUIET
						     : ASH_PROGRESS_AUTO);
	/* "--" stays in the array when it was given. */
	char **rest = args + 1;
	if (*rest != NULL && strcmp(*rest, "--") == 0)
		rest++;
	int count = (int) g_strv_length(rest);
	if (count < command->min_args || (command->max_args >= 0 && count > command->max_args))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"'%s %s' takes: %s; see '%s %s --help'", program->name,
				command->name, *parameters != '\0' ? parameters : "no argument",
				program->name, command->name);
	AshCliContext context = {.progress = *out_progress, .json = opt_json};
	return command->run(&context, rest, out_exit, error);
}

static int exit_code_for(const AshCliProgram *program, const GError *error)
{
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
		return ASH_EXIT_INTERRUPTED;
	/* ash_file_check_place */
	if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE))
		return ASH_EXIT_USAGE;
	if (error->domain == ASH_CLI_ERROR)
		return error->code == ASH_CLI_ERROR_USAGE ? ASH_EXIT_USAGE : ASH_EXIT_ENVIRONMENT;
	if (g_error_matches(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_NOT_FOUND) ||
			g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE) ||
			g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED) ||
			g_error_matches(error, G_IO_ERROR, G_IO_ERROR_READ_ONLY))
		return ASH_EXIT_ENVIRONMENT;
	int code = program->exit_for != NULL ? program->exit_for(error) : 0;
	if (code != 0)
		return code;
	return ASH_EXIT_FAILED;
}

int ash_cli_main(const AshCliProgram *program, int argc, char **argv)
{
	g_autoptr(AshProgress) progress = NULL;
	g_autoptr(GError) error = NULL;
	int exit_code = ASH_EXIT_OK;

	setlocale(LC_CTYPE, "C.UTF-8");
	g_set_prgname(program->name);
	ash_interrupt_install();
	if (argc < 2) {
		print_overview(program, stderr);
		return ASH_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
			strcmp(argv[1], "help") == 0) {
		print_overview(program, stdout);
		return ASH_EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("%s %s\n", program->name, ASH_VERSION);
		return ASH_EXIT_OK;
	}
	if (strcmp(argv[1], "completion") == 0 && argc == 3 &&
			ash_cli_completion_print(program, common_options, argv[2]))
		return ASH_EXIT_OK;
	int words = 1;
	const AshCliCommand *command =
			find_command(program, argv[1], argc > 2 ? argv[2] : NULL, &words, &error);
	if (command != NULL && run_command(program, command, argv + words, &progress, &exit_code,
					       &error)) {
		if (fflush(stdout) == 0)
			return exit_code;
		ash_throw_errno(&error, "writing to standard output");
	}
	exit_code = exit_code_for(program, error);
	ash_progress_error(progress, program->name, error, exit_code);
	return exit_code;
}

gboolean ash_cli_need_root(const char *why, GError **error)
{
	if (geteuid() == 0)
		return TRUE;
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_ENVIRONMENT,
			"needs root: %s (run it with sudo)", why);
}
