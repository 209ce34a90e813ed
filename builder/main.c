/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/cmd.h"
#include "builder/lock.h"
#include "builder/manifest.h"
#include "builder/solve.h"
#include "builder/source.h"
#include "lib/cli.h"
#include "lib/fetch.h"
#include "lib/yaml.h"

static const AshCliCommand commands[] = {
		{0},
};

static int exit_for(const GError *error)
{
	return 0;
}

int main(int argc, char **argv)
{
	static const AshCliProgram program = {
			.name = "ashlar",
			.summary = "Composes minimal, read-only Debian hosts from manifests.",
			.commands = commands,
			.exit_for = exit_for,
	};

	return ash_cli_main(&program, argc, argv);
}
