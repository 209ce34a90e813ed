/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "builder/cmd.h"
#include "builder/manifest.h"
#include "builder/workload-schema.h"
#include "lib/error.h"

static gboolean opt_man;

static const GOptionEntry options[] = {
		{"man", 0, 0, G_OPTION_ARG_NONE, &opt_man,
				"Print the key reference of manifest(5) or workload(5) as scdoc text "
				"instead",
				NULL},
		{0},
};

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	const char *what = args[0] != NULL ? args[0] : "manifest";
	g_autofree char *text = NULL;

	if (strcmp(what, "manifest") == 0)
		text = opt_man ? ash_manifest_schema_scdoc() : ash_manifest_schema_json();
	else if (strcmp(what, "workload") == 0)
		text = opt_man ? ash_workload_schema_scdoc() : ash_workload_schema_json();
	else
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"there are schemas of manifest and workload");

	/* ash_cli_main flushes standard output and reports what goes wrong with it. */
	fputs(text, stdout);
	return TRUE;
}

const AshCliCommand ash_cmd_schema = {
		.name = "schema",
		.synopsis = "[manifest|workload]",
		.summary = "Print the JSON Schema of manifests or workloads, for editors.",
		.details = "Editors that know YAML complete and check such files with it.",
		.options = options,
		.max_args = 1,
		.run = run,
};
