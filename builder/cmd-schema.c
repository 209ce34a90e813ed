/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "builder/cmd.h"
#include "builder/manifest.h"

static gboolean opt_man;

static const GOptionEntry options[] = {
		{"man", 0, 0, G_OPTION_ARG_NONE, &opt_man,
				"Print the key reference of manifest(5) as scdoc text instead",
				NULL},
		{0},
};

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *text = opt_man ? ash_manifest_schema_scdoc() : ash_manifest_schema_json();

	/* ash_cli_main flushes standard output and reports what goes wrong with it. */
	fputs(text, stdout);
	return TRUE;
}

const AshCliCommand ash_cmd_schema = {
		.name = "schema",
		.synopsis = "",
		.summary = "Print the JSON Schema of manifests, for editors.",
		.details = "Editors that know YAML complete and check manifests with it.",
		.options = options,
		.max_args = 0,
		.run = run,
};
