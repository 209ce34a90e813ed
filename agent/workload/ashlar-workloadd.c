/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdio.h>

#include "agent/paths.h"
#include "agent/workload/workloadd.h"
#include "lib/cli.h"

static char *root_option;
static char *libexec_option;
static gboolean version_option;

static const GOptionEntry options[] = {
		{"root", 0, 0, G_OPTION_ARG_FILENAME, &root_option,
				"use the files below DIR; no systemd", "DIR"},
		{"libexec", 0, 0, G_OPTION_ARG_FILENAME, &libexec_option,
				"where the other programs are (default: " ASH_PATH_LIBEXEC ")",
				"DIR"},
		{"version", 0, 0, G_OPTION_ARG_NONE, &version_option, "print the version", NULL},
		{NULL},
};

static gboolean run(GError **error)
{
	g_autoptr(AshWorkloadd) daemon = NULL;

	return ash_workloadd_new(root_option != NULL ? root_option : "",
			       libexec_option != NULL ? libexec_option : ASH_PATH_LIBEXEC, &daemon,
			       error) &&
	       ash_workloadd_run(daemon, error);
}

int main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, options, NULL);
	g_option_context_set_summary(context,
			"Runs the workloads of this host, each confined to what it may touch.");
	if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
		fprintf(stderr, "ashlar-workloadd: %s\n",
				error != NULL ? error->message : "takes no arguments; see --help");
		return ASH_EXIT_USAGE;
	}
	if (version_option) {
		puts("ashlar-workloadd " ASH_VERSION);
		return ASH_EXIT_OK;
	}
	if (run(&error))
		return ASH_EXIT_OK;
	fprintf(stderr, "ashlar-workloadd: %s\n", error->message);
	return ASH_EXIT_FAILED;
}
