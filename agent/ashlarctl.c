/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ctl.h"

/* The first row that fits gives the code; ASH_EXIT_FAILED is for what has no row. */
static int exit_for(const GError *error)
{
	static const struct {
		AshBusError code;
		AshExit exit;
	} rows[] = {
			{ASH_BUS_ERROR_NOT_RUNNING, ASH_EXIT_ENVIRONMENT},
			{ASH_BUS_ERROR_DENIED, ASH_EXIT_ENVIRONMENT},
			{ASH_BUS_ERROR_INVALID_ARGUMENT, ASH_EXIT_USAGE},
	};

	if (error->domain == ASH_CTL_ERROR)
		return error->code;
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (g_error_matches(error, ASH_BUS_ERROR, (int) rows[i].code))
			return (int) rows[i].exit;
	return 0;
}

int main(int argc, char **argv)
{
	/* Alphabetical; 'ashlarctl --help' prints them in this order. */
	const AshCliCommand commands[] = {
			ash_ctl_bundle,
			ash_ctl_check,
			ash_ctl_forgive,
			ash_ctl_health,
			ash_ctl_history,
			ash_ctl_pin,
			ash_ctl_rollback,
			ash_ctl_status,
			ash_ctl_unpin,
			ash_ctl_update,
			ash_ctl_why,
			{0},
	};
	const AshCliProgram program = {
			.name = "ashlarctl",
			.summary = "Asks the update agent of this host, and tells it what to do.",
			.commands = commands,
			.exit_for = exit_for,
	};

	return ash_cli_main(&program, argc, argv);
}
