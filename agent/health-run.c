/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/health-run.h"

#include <string.h>

/* A check that runs; its own copy of what is needed in the end. */
typedef struct {
	char *name;
	AshHealthCheck check; /* kind and timeout_ms only */
	AshHealthDone done;
	gpointer data;
} AshHealthRun;

static void run_free(AshHealthRun *run)
{
	g_free(run->name);
	g_free(run);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshHealthRun, run_free)

static void on_unit_done(const char *result, int status, const char *output, gpointer data)
{
	g_autoptr(AshHealthRun) run = data;
	g_autofree char *text = NULL;
	bool is_passing = ash_health_judge(
			&run->check, result, status, output, strlen(output), &text);

	run->done(run->name, is_passing, text, run->data);
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
	g_autoptr(AshHealthRun) run = g_new0(AshHealthRun, 1);
	run->name = g_strdup(check->name);
	run->check.kind = check->kind;
	run->check.timeout_ms = check->timeout_ms;
	run->done = done;
	run->data = data;
	if (!ash_bus_start_unit(bus, &unit, on_unit_done, run, error))
		return FALSE;
	run = NULL;
	return TRUE;
}
