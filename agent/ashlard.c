/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdio.h>

#include "agent/daemon.h"
#include "agent/paths.h"
#include "lib/cli.h"

static char *root_option;
static char *libexec_option;
static gboolean version_option;

static const GOptionEntry options[] = {
		{"root", 0, 0, G_OPTION_ARG_FILENAME, &root_option,
				"use the files below DIR; a reboot ends the process", "DIR"},
		{"libexec", 0, 0, G_OPTION_ARG_FILENAME, &libexec_option,
				"where ashlar-worker is (default: " ASH_PATH_LIBEXEC ")", "DIR"},
		{"version", 0, 0, G_OPTION_ARG_NONE, &version_option, "print the version", NULL},
		{NULL},
};

static gboolean run(GError **error)
{
	g_autoptr(AshDaemon) daemon = NULL;

	return ash_daemon_new(root_option != NULL ? root_option : "",
			       libexec_option != NULL ? libexec_option : ASH_PATH_LIBEXEC, &daemon,
			       error) &&
	       ash_daemon_run(daemon, error);
}

int main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, options, NULL);
	g_option_context_set_summary(
			context, "Keeps this host updated, healthy, and able to go back.");
	if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
		fprintf(stderr, "ashlard: %s\n",
				error != NULL ? error->message : "takes no arguments; see --help");
		return ASH_EXIT_USAGE;
	}
	if (version_option) {
		puts("ashlard " ASH_VERSION);
		return ASH_EXIT_OK;
	}
	if (run(&error))
		return ASH_EXIT_OK;
	fprintf(stderr, "ashlard: %s\n", error->message);
	return ASH_EXIT_FAILED;
}
