/* SPDX-License-Identifier: Apache-2.0 */
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/fleet-checkin.h"
#include "agent/paths.h"
#include "lib/cli.h"

/* ashlar-checkin, run by ashlar-link: one check-in with the fleet, and ends (agent/fleet-checkin.h). */

static char *identity_option;
static gboolean version_option;

static const GOptionEntry entries[] = {
		{"identity", 0, 0, G_OPTION_ARG_FILENAME, &identity_option,
				"where key and certificate are", "DIR"},
		{"version", 0, 0, G_OPTION_ARG_NONE, &version_option, "print the version", NULL},
		{NULL},
};

/* NULL: too long, or not to be read. */
static char *read_input(void)
{
	g_autoptr(GString) text = g_string_new(NULL);
	char chunk[16384];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
		g_string_append_len(text, chunk, n);
		if (text->len > ASH_FLEET_CHECKIN_MAX_INPUT)
			return NULL;
	}
	/* A NUL within would hide what follows it. */
	return n == 0 && strlen(text->str) == text->len
			       ? g_string_free(g_steal_pointer(&text), FALSE)
			       : NULL;
}

int main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new("< REPORT");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_set_summary(context, "Checks in with the fleet, once.");
	if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
		fprintf(stderr, "ashlar-checkin: %s\n",
				error != NULL ? error->message : "takes no arguments; see --help");
		return ASH_EXIT_USAGE;
	}
	if (version_option) {
		puts("ashlar-checkin " ASH_VERSION);
		return ASH_EXIT_OK;
	}
	g_autofree char *input = read_input();
	if (input == NULL) {
		fputs("ashlar-checkin: no report on standard input\n", stderr);
		return ASH_EXIT_USAGE;
	}
	g_autofree char *line = ash_fleet_checkin_run(
			identity_option != NULL ? identity_option : ASH_PATH_IDENTITY, input);
	puts(line);
	return ASH_EXIT_OK;
}
