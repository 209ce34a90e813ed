/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cli-completion.h"

#include <stdio.h>
#include <string.h>

/* ---- bash ---- */

static void print_bash_options(const GOptionEntry *entry)
{
	for (; entry != NULL && entry->long_name != NULL; entry++)
		if (entry->long_name[0] != '\0')
			printf(" --%s", entry->long_name);
}

/* The second words of the verb whose first is @first's. */
static void print_bash_verbs(const AshCliProgram *program, const AshCliCommand *first)
{
	g_autofree char *start = g_strndup(first->name, strcspn(first->name, " "));
	g_autofree char *prefix = g_strconcat(start, " ", NULL);

	for (const AshCliCommand *command = program->commands; command->name != NULL; command++)
		if (g_str_has_prefix(command->name, prefix))
			printf(" %s", command->name + strlen(prefix));
}

static bool has_two_words(const AshCliProgram *program)
{
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++)
		if (strchr(command->name, ' ') != NULL)
			return true;
	return false;
}

/* "rollouts start" has options of its own; what it is not falls through to "rollouts". */
static void print_bash_two_words(const AshCliProgram *program, const GOptionEntry *common)
{
	printf("\tcase \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++) {
		if (strchr(command->name, ' ') == NULL)
			continue;
		printf("\t'%s') words='", command->name);
		print_bash_options(common);
		print_bash_options(command->options);
		printf("' ;;\n");
	}
	printf("\tesac\n");
}

/* Options by verb from the tables; files for everything else. */
static void print_bash(const AshCliProgram *program, const GOptionEntry *common)
{
	g_autofree char *function = g_strdelimit(g_strdup(program->name), "-", '_');

	printf("# bash completion for %s\n_%s()\n{\n", program->name, function);
	printf("\tlocal cur=${COMP_WORDS[COMP_CWORD]} words= verbs=\n");
	printf("\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\twords='");
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++)
		if (strchr(command->name, ' ') == NULL)
			printf("%s ", command->name);
	printf("completion --help --version'\n\t\t"
	       "mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n\t\treturn\n\tfi\n");
	printf("\tcase ${COMP_WORDS[1]} in\n");
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++) {
		if (strchr(command->name, ' ') != NULL)
			continue;
		printf("\t%s) words='", command->name);
		print_bash_options(common);
		print_bash_options(command->options);
		printf("'\n\t\t[ \"$COMP_CWORD\" -ne 2 ] || verbs='");
		print_bash_verbs(program, command);
		printf("' ;;\n");
	}
	printf("\tcompletion) words='bash zsh fish' ;;\n\tesac\n");
	if (has_two_words(program))
		print_bash_two_words(program, common);
	printf("\tcase $cur in\n\t-*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\") ;;\n");
	printf("\t*) compopt -o filenames\n\t\tmapfile -t COMPREPLY < <(compgen -W \"$verbs\" -- \"$cur\"; "
	       "compgen -f -- \"$cur\") ;;\n");
	printf("\tesac\n}\ncomplete -F _%s %s\n", function, program->name);
}

/* ---- zsh and fish: with what each is for ---- */

/* In single quotes; '\\' and '\'' are the quotes' own in both shells' ways. */
static void print_quoted(const char *text, bool is_fish)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs(is_fish ? "\\'" : "'\\''", stdout);
		else if (*text == '\\' && is_fish)
			fputs("\\\\", stdout);
		else
			putchar(*text);
	}
}

/* 'name:summary' */
static void print_zsh_pair(const char *start, const char *name, const char *summary)
{
	printf(" '%s%s:", start, name);
	print_quoted(summary, false);
	putchar('\'');
}

static void print_zsh_options(const GOptionEntry *entry)
{
	for (; entry != NULL && entry->long_name != NULL; entry++)
		if (entry->long_name[0] != '\0')
			print_zsh_pair("--", entry->long_name, entry->description);
}

static void print_zsh_verbs(const AshCliProgram *program, const char *first)
{
	g_autofree char *prefix = g_strconcat(first, " ", NULL);

	for (const AshCliCommand *command = program->commands; command->name != NULL; command++)
		if (*first == '\0' ? strchr(command->name, ' ') == NULL
				   : g_str_has_prefix(command->name, prefix))
			print_zsh_pair("",
					*first == '\0' ? command->name
						       : command->name + strlen(prefix),
					command->summary);
}

static void print_zsh_cases(
		const AshCliProgram *program, const GOptionEntry *common, bool of_two_words)
{
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++) {
		if ((strchr(command->name, ' ') != NULL) != of_two_words)
			continue;
		printf("\t'%s%s') options=(", command->name, of_two_words ? "" : " '*'");
		print_zsh_options(common);
		print_zsh_options(command->options);
		printf(")");
		if (!of_two_words) {
			printf("\n\t\t(( CURRENT != 3 )) || verbs=(");
			print_zsh_verbs(program, command->name);
			printf(")");
		}
		printf(" ;;\n");
	}
}

static void print_zsh(const AshCliProgram *program, const GOptionEntry *common)
{
	g_autofree char *function = g_strdelimit(g_strdup(program->name), "-", '_');

	printf("#compdef %s\n_%s()\n{\n\tlocal -a verbs options\n\tif (( CURRENT == 2 )); then\n\t\tverbs=(",
			program->name, function);
	print_zsh_verbs(program, "");
	printf(")\n\t\t_describe command verbs\n\t\treturn\n\tfi\n\tcase \"$words[2] $words[3]\" in\n");
	print_zsh_cases(program, common, true);
	print_zsh_cases(program, common, false);
	printf("\tesac\n\tif [[ $PREFIX == -* ]]; then\n\t\t_describe option options\n\t\treturn\n\tfi\n"
	       "\t(( $#verbs == 0 )) || _describe command verbs\n\t_files\n}\n");
	/* Out of $fpath it is the function's body; sourced it registers itself. */
	printf("if [[ $funcstack[1] == _%s ]]; then\n\t_%s \"$@\"\nelif (( $+functions[compdef] )); then\n"
	       "\tcompdef _%s %s\nfi\n",
			function, function, function, program->name);
}

static void print_fish_options(const char *name, const char *function, const char *words,
		const GOptionEntry *entry)
{
	for (; entry != NULL && entry->long_name != NULL; entry++) {
		if (entry->long_name[0] == '\0')
			continue;
		printf("complete -c %s -n '__%s_is %s' -l %s", name, function, words,
				entry->long_name);
		if (entry->short_name != 0)
			printf(" -s %c", entry->short_name);
		if (entry->arg != G_OPTION_ARG_NONE)
			printf(" -r");
		printf(" -d '");
		print_quoted(entry->description, true);
		printf("'\n");
	}
}

static void print_fish(const AshCliProgram *program, const GOptionEntry *common)
{
	g_autofree char *function = g_strdelimit(g_strdup(program->name), "-", '_');

	printf("# fish completion for %s\nfunction __%s_is\n\tset -l words (commandline -opc)\n"
	       "\ttest \"$words[2]\" = $argv[1]; or return\n"
	       "\ttest (count $argv) -eq 1; or test \"$words[3]\" = $argv[2]\nend\n",
			program->name, function);
	printf("function __%s_at\n\ttest (count (commandline -opc)) -eq $argv[1]\nend\n", function);
	for (const AshCliCommand *command = program->commands; command->name != NULL; command++) {
		const char *space = strchr(command->name, ' ');
		g_autofree char *first = g_strndup(command->name, strcspn(command->name, " "));
		if (space == NULL)
			printf("complete -c %s -n '__%s_at 1' -f -a %s -d '", program->name,
					function, command->name);
		else
			printf("complete -c %s -n '__%s_at 2; and __%s_is %s' -a %s -d '",
					program->name, function, function, first, space + 1);
		print_quoted(command->summary, true);
		printf("'\n");
		if (space == NULL)
			print_fish_options(program->name, function, command->name, common);
		print_fish_options(program->name, function, command->name, command->options);
	}
}

bool ash_cli_completion_print(
		const AshCliProgram *program, const GOptionEntry *common, const char *shell)
{
	static const struct {
		const char *shell;
		void (*print)(const AshCliProgram *program, const GOptionEntry *common);
	} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

	for (unsigned i = 0; i < G_N_ELEMENTS(shells); i++)
		if (strcmp(shells[i].shell, shell) == 0) {
			shells[i].print(program, common);
			return true;
		}
	return false;
}
