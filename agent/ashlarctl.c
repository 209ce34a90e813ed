/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ctl-workload.h"
#include "agent/ctl.h"
#include "lib/health-spec.h"
#include "lib/workload.h"
#include "lib/yaml.h"

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
	if (error->domain == ASH_WORKLOAD_ERROR || error->domain == ASH_YAML_ERROR ||
			error->domain == ASH_HEALTH_SPEC_ERROR)
		return ASH_EXIT_INPUT;
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
			ash_ctl_workload,
			ash_ctl_workload_answer,
			ash_ctl_workload_diff,
			ash_ctl_workload_exec,
			ash_ctl_workload_forgive,
			ash_ctl_workload_graph,
			ash_ctl_workload_list,
			ash_ctl_workload_logs,
			ash_ctl_workload_pending,
			ash_ctl_workload_remove,
			ash_ctl_workload_report,
			ash_ctl_workload_required,
			ash_ctl_workload_restart,
			ash_ctl_workload_run,
			ash_ctl_workload_start,
			ash_ctl_workload_status,
			ash_ctl_workload_stop,
			ash_ctl_workload_train,
			{0},
	};
	const AshCliProgram program = {
			.name = "ashlarctl",
			.summary = "Asks the agents of this host, and tells them what to do.",
			.commands = commands,
			.exit_for = exit_for,
	};

	return ash_cli_main(&program, argc, argv);
}
