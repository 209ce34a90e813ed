/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/health-run.h"

#include <string.h>

/* A check that runs. */
typedef struct {
	const AshHealthCheck *check;
	AshHealthDone done;
	gpointer data;
} AshHealthRun;

static void on_unit_done(const char *result, int status, const char *output, gpointer data)
{
	g_autofree AshHealthRun *run = data;
	g_autofree char *text = NULL;
	bool is_passing =
			ash_health_judge(run->check, result, status, output, strlen(output), &text);

	run->done(run->check->name, is_passing, text, run->data);
}

static gboolean ask_systemd(AshBus *bus, const AshHealthCheck *check, AshHealthDone done,
		gpointer data, GError **error)
{
	g_autofree char *active = NULL;
	g_autofree char *sub = NULL;

	if (!ash_bus_unit_state(bus, check->target, &active, &sub, error))
		return FALSE;
	g_autofree char *text = g_strdup_printf("%s: %s (%s)", check->target, active, sub);
	/* A service that reloads has not stopped. */
	bool is_passing = strcmp(active, "active") == 0 || strcmp(active, "reloading") == 0;
	done(check->name, is_passing, text, data);
	return TRUE;
}

gboolean ash_health_run(AshBus *bus, const AshHealthCheck *check, AshHealthDone done, gpointer data,
		GError **error)
{
	if (check->error != NULL) {
		done(check->name, false, check->error, data);
		return TRUE;
	}
	if (check->kind == ASH_HEALTH_UNIT)
		return ask_systemd(bus, check, done, data, error);

	g_auto(GStrv) argv = ash_health_argv(check);
	g_autofree char *name = g_strdup_printf("ashlar-check-%s.service", check->name);
	bool is_look = check->kind == ASH_HEALTH_FILE || check->kind == ASH_HEALTH_SPACE;
	const AshBusUnit unit = {
			.unit = name,
			.argv = (const char *const *) argv,
			.timeout_us = ash_health_unit_timeout_us(check),
			.is_sandboxed = true,
			.is_look = is_look,
	};
	g_autofree AshHealthRun *run = g_new(AshHealthRun, 1);
	*run = (AshHealthRun){.check = check, .done = done, .data = data};
	if (!ash_bus_start_unit(bus, &unit, on_unit_done, run, error))
		return FALSE;
	run = NULL;
	return TRUE;
}
