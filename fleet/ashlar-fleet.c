/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "fleet/rollout-spec.h"
#include "lib/cli.h"
#include "lib/fetch.h"
#include "lib/json.h"

static int exit_for(const GError *error)
{
	if (error->domain == ASH_FETCH_ERROR)
		return error->code == ASH_FETCH_ERROR_TLS ? ASH_EXIT_UNTRUSTED
							  : ASH_EXIT_UNREACHABLE;
	if (error->domain == ASH_JSON_ERROR || error->domain == ASH_ROLLOUT_SPEC_ERROR)
		return ASH_EXIT_INPUT;
	if (error->domain != ASH_CLI_CLIENT_ERROR)
		return 0;
	switch ((AshCliClientError) error->code) {
	case ASH_CLI_CLIENT_ERROR_SETTINGS:
		return ASH_EXIT_ENVIRONMENT;
	case ASH_CLI_CLIENT_ERROR_NOT_FOUND:
	case ASH_CLI_CLIENT_ERROR_REQUEST:
		return ASH_EXIT_INPUT;
	case ASH_CLI_CLIENT_ERROR_CONFLICT:
		return ASH_EXIT_NEGATIVE;
	case ASH_CLI_CLIENT_ERROR_UNREACHABLE:
		return ASH_EXIT_UNREACHABLE;
	case ASH_CLI_CLIENT_ERROR_DENIED:
	case ASH_CLI_CLIENT_ERROR_ANSWER:
		break;
	}
	return ASH_EXIT_FAILED;
}

int main(int argc, char **argv)
{
	static const AshCliCommand *const files[] = {ash_fleet_cmd_login, ash_fleet_cmd_host,
			ash_fleet_cmd_host_change, ash_fleet_cmd_join, ash_fleet_cmd_release,
			ash_fleet_cmd_channel, ash_fleet_cmd_rollout, ash_fleet_cmd_rollout_start,
			ash_fleet_cmd_rollout_watch, ash_fleet_cmd_event, ash_fleet_cmd_lock,
			ash_fleet_cmd_operator, ash_fleet_cmd_webhook, ash_fleet_cmd_ddi,
			ash_fleet_cmd_workload, ash_fleet_cmd_assignment, ash_fleet_cmd_export,
			ash_fleet_cmd_simulate};
	g_autoptr(GArray) commands = g_array_new(TRUE, FALSE, sizeof(AshCliCommand));
	AshCliProgram program = {.name = "ashlar-fleet",
			.summary = "Asks a fleet server, and tells it what to do.",
			.exit_for = exit_for};

	for (unsigned i = 0; i < G_N_ELEMENTS(files); i++)
		for (const AshCliCommand *command = files[i]; command->name != NULL; command++)
			g_array_append_vals(commands, command, 1);
	program.commands = (const AshCliCommand *) (void *) commands->data;
	return ash_cli_main(&program, argc, argv);
}
