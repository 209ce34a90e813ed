/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/cmd.h"
#include "builder/lock.h"
#include "builder/manifest.h"
#include "lib/cli.h"
#include "lib/yaml.h"

static int exit_for(const GError *error)
{
	if (error->domain == ASH_MANIFEST_ERROR || error->domain == ASH_LOCK_ERROR ||
			error->domain == ASH_YAML_ERROR)
		return ASH_EXIT_INPUT;
	return 0;
}

int main(int argc, char **argv)
{
	/* Alphabetical; 'ashlar --help' prints them in this order. */
	const AshCliCommand commands[] = {
			ash_cmd_schema,
			{0},
	};
	const AshCliProgram program = {
			.name = "ashlar",
			.summary = "Composes minimal, read-only Debian hosts from manifests.",
			.commands = commands,
			.exit_for = exit_for,
	};

	return ash_cli_main(&program, argc, argv);
}
