/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemon.h"

#include <string.h>

#include "agent/health-run.h"

/* A mistake in the settings is to be seen wherever the host's health is, in the fleet too. Wanted: what held before
 * holds still, and leaving the release would mend nothing.
 */
static void add_settings(AshHealthSpec *spec, char *const *warnings)
{
	AshHealthCheck *check = g_new0(AshHealthCheck, 1);

	check->name = g_strdup("ashlar/settings");
	check->kind = ASH_HEALTH_FILE;
	check->timeout_ms = check->interval_ms = 10000;
	check->failures = 1;
	check->target = g_strdup("/etc/ashlar/agent.d");
	check->error = g_strdup(warnings[0]);
	check->mark = "";
	g_ptr_array_add(spec->checks, check);
}

void ash_daemon_health_begin(AshDaemon *daemon, bool is_trial)
{
	g_autoptr(GError) local = NULL;
	g_autoptr(AshHealthSpec) spec = NULL;
	int64_t now_us = ash_bus_now_us();

	if (daemon->health != NULL && daemon->is_trial == is_trial)
		return; /* the state was entered again: the trial goes on */
	if (!ash_health_spec_load(daemon->root, &spec, &local)) {
		/* Broken files are failing checks; this is a disk that cannot be read. */
		g_warning("%s; judging without checks", local->message);
		spec = ash_health_spec_new();
	}
	if (daemon->warnings[0] != NULL)
		add_settings(spec, daemon->warnings);
	ash_health_free(daemon->health);
	daemon->is_trial = is_trial;
	daemon->trial_deadline_us = now_us + (int64_t) spec->deadline_ms * 1000;
	daemon->health = ash_health_new(g_steal_pointer(&spec), true, now_us);
	if (!is_trial)
		ash_health_end_trial(daemon->health, now_us);
	daemon->verdict = ASH_VERDICT_PENDING;
	ash_daemon_set_timer(daemon);
}

static int find_check(const AshDaemon *daemon, const char *name)
{
	for (guint i = 0; daemon->health != NULL && i < ash_health_count(daemon->health); i++)
		if (strcmp(ash_health_get(daemon->health, i)->spec->name, name) == 0)
			return (int) i;
	return -1;
}

static void on_result(const char *name, bool is_passing, const char *text, gpointer data)
{
	AshDaemon *daemon = data;
	int index = find_check(daemon, name);

	if (index < 0)
		return;
	ash_health_result(daemon->health, (guint) index, is_passing, text, ash_bus_now_us());
	if (!daemon->is_ticking)
		ash_daemon_set_timer(daemon);
}

static void run_due(AshDaemon *daemon)
{
	int index;

	while ((index = ash_health_due(daemon->health, ash_bus_now_us())) >= 0) {
		const AshHealthState *state = ash_health_get(daemon->health, (guint) index);
		g_autoptr(GError) local = NULL;

		ash_health_started(daemon->health, (guint) index, ash_bus_now_us());
		if (!ash_health_run(daemon->bus, state->spec, on_result, daemon, &local))
			ash_health_result(daemon->health, (guint) index, false, local->message,
					ash_bus_now_us());
	}
}

/* A host in service that gets worse, or better again. */
static void tell_change(AshDaemon *daemon, AshVerdict before)
{
	bool was_degraded = before == ASH_VERDICT_DEGRADED;
	bool is_degraded = daemon->verdict == ASH_VERDICT_DEGRADED;

	if (daemon->is_trial || was_degraded == is_degraded)
		return;
	ash_daemon_note(daemon, is_degraded ? "degraded" : "recovered",
			daemon->verdict_reason != NULL ? daemon->verdict_reason : "");
	ash_bus_changed(daemon->bus, "State");
}

static void judge(AshDaemon *daemon)
{
	AshVerdict before = daemon->verdict;
	int64_t next_us = 0;
	char *reason = NULL;

	daemon->verdict = ash_health_verdict(daemon->health, ash_bus_now_us(), &next_us, &reason);
	g_free(daemon->verdict_reason);
	daemon->verdict_reason = reason;
	tell_change(daemon, before);
	if (before != daemon->verdict)
		ash_daemon_fleet_news(daemon);
	if (!daemon->is_trial || daemon->update->state != ASH_UPDATE_TRIAL ||
			daemon->verdict == ASH_VERDICT_PENDING)
		return;

	g_autofree char *text = g_strdup(reason != NULL ? reason : "");
	AshUpdateEvent event = {
			.kind = ASH_UPDATE_EVENT_VERDICT,
			.is_good = daemon->verdict != ASH_VERDICT_BAD,
			.text = text,
	};
	if (event.is_good) {
		daemon->is_trial = false;
		ash_health_end_trial(daemon->health, ash_bus_now_us());
	}
	ash_daemon_must_step(daemon, &event);
}

int64_t ash_daemon_health_tick(AshDaemon *daemon)
{
	int64_t next_us = INT64_MAX;

	/* A step sets the timer, which comes back here. */
	if (daemon->health == NULL || daemon->is_ticking)
		return next_us;
	daemon->is_ticking = true;
	run_due(daemon);
	judge(daemon);
	daemon->is_ticking = false;
	ash_health_verdict(daemon->health, ash_bus_now_us(), &next_us, NULL);
	return next_us;
}
