/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/machine-private.h"

#include <string.h>

/* What one instance does, and what becomes of it. */

void ash_machine_set_instance(const AshMachineStep *step, AshMachineInstance *instance,
		AshInstanceState state, const char *text)
{
	ash_machine_set_text(&instance->text, text);
	instance->state = state;
	instance->since_s = step->world->now_s;
	instance->until_us = 0;
	if (state != ASH_INSTANCE_STOPPING)
		instance->is_broken = instance->is_again = false;
}

static void drop_old_crashes(AshMachineInstance *instance, int64_t since_us)
{
	unsigned n_old = 0;

	while (n_old < instance->n_crashes && instance->crash_us[n_old] < since_us)
		n_old++;
	instance->n_crashes -= n_old;
	memmove(instance->crash_us, instance->crash_us + n_old,
			instance->n_crashes * sizeof *instance->crash_us);
}

static void crash(const AshMachineStep *step, AshMachineInstance *instance, const char *text)
{
	const AshWorkloadRestart *restart = &step->world->restart;
	unsigned budget = MIN(restart->budget, ASH_MACHINE_MAX_CRASHES - 1);
	int index = (int) step->event->instance;

	drop_old_crashes(instance, step->world->now_us - (int64_t) restart->within_ms * 1000);
	if (instance->n_crashes >= budget) {
		g_autofree char *why = g_strdup_printf(
				"%s; started again %u times, that is enough", text, budget);
		ash_machine_set_instance(step, instance, ASH_INSTANCE_FAILED, why);
		ash_machine_note(step, "failed", index, ash_machine_active_version(step), why);
		return;
	}
	/* 31 doublings of a millisecond are beyond any pause that may be asked for. */
	uint64_t pause_ms = (uint64_t) restart->first_ms << MIN(instance->n_crashes, 31);
	pause_ms = MIN(pause_ms, restart->longest_ms);
	instance->crash_us[instance->n_crashes++] = step->world->now_us;
	instance->restarts++;
	ash_machine_set_instance(step, instance, ASH_INSTANCE_BACKOFF, text);
	instance->until_us = step->world->now_us + (int64_t) pause_ms * 1000;
	ash_machine_note(step, "crashed", index, ash_machine_active_version(step), text);
}

/* It ended by itself, or was ended because it did not work. */
static void ended(const AshMachineStep *step, AshMachineInstance *instance, bool is_good,
		bool is_refused, const char *text)
{
	AshRestartPolicy policy = step->world->restart.policy;
	int index = (int) step->event->instance;

	if (is_good && policy != ASH_RESTART_ALWAYS) {
		ash_machine_set_instance(step, instance, ASH_INSTANCE_DONE, text);
		ash_machine_note(step, "done", index, ash_machine_active_version(step), text);
	} else if (step->machine->state == ASH_MACHINE_TRIAL) {
		ash_machine_set_instance(step, instance, ASH_INSTANCE_DOWN, text);
		ash_machine_condemn(step, text);
	} else if (is_refused || policy == ASH_RESTART_NEVER) {
		ash_machine_set_instance(step, instance, ASH_INSTANCE_FAILED, text);
		ash_machine_note(step, "failed", index, ash_machine_active_version(step), text);
	} else {
		crash(step, instance, text);
	}
}

static void exited(const AshMachineStep *step, AshMachineInstance *instance)
{
	const AshMachineEvent *event = step->event;

	if (instance->state != ASH_INSTANCE_STOPPING) {
		ended(step, instance, event->is_good, event->is_forced,
				event->text != NULL ? event->text : "ended");
	} else if (instance->is_again) {
		ash_machine_set_instance(step, instance, ASH_INSTANCE_WAITING, NULL);
	} else if (instance->is_broken) {
		g_autofree char *why = g_strdup(instance->text);
		ended(step, instance, false, false, why != NULL ? why : "did not work");
	} else {
		ash_machine_set_instance(step, instance, ASH_INSTANCE_DOWN, NULL);
		ash_machine_settle(step);
	}
}

static void broken(const AshMachineStep *step, AshMachineInstance *instance)
{
	const char *text = step->event->text != NULL ? step->event->text : "did not work";

	if (step->machine->state == ASH_MACHINE_TRIAL) {
		ash_machine_condemn(step, text);
		return;
	}
	ash_machine_set_instance(step, instance, ASH_INSTANCE_STOPPING, text);
	instance->is_broken = true;
	ash_machine_note(step, "broken", (int) step->event->instance,
			ash_machine_active_version(step), text);
}

void ash_machine_start_again(const AshMachineStep *step, AshMachineInstance *instance)
{
	if (ash_instance_is_live(instance->state)) {
		instance->state = ASH_INSTANCE_STOPPING;
		instance->is_again = true;
		instance->is_broken = false;
	} else {
		ash_machine_set_instance(step, instance, ASH_INSTANCE_WAITING, NULL);
	}
	instance->n_crashes = instance->restarts = 0;
}

gboolean ash_machine_step_instance(const AshMachineStep *step, GError **error)
{
	AshMachine *machine = step->machine;
	const AshMachineEvent *event = step->event;

	if (event->instance >= machine->instances->len)
		return ash_machine_wrong(step, "what an instance did", error);
	AshMachineInstance *instance = machine->instances->pdata[event->instance];
	bool is_up = instance->state == ASH_INSTANCE_STARTING ||
		     instance->state == ASH_INSTANCE_RUNNING;

	if (event->kind == ASH_MACHINE_EVENT_GO && instance->state == ASH_INSTANCE_WAITING) {
		ash_machine_set_instance(step, instance, ASH_INSTANCE_STARTING, NULL);
		ash_machine_note(step, "starting", (int) event->instance,
				ash_machine_active_version(step), NULL);
	} else if (event->kind == ASH_MACHINE_EVENT_HELD &&
			instance->state == ASH_INSTANCE_WAITING) {
		if (g_strcmp0(instance->text, event->text) != 0)
			ash_machine_note(step, "held", (int) event->instance,
					ash_machine_active_version(step), event->text);
		ash_machine_set_text(&instance->text, event->text);
	} else if (event->kind == ASH_MACHINE_EVENT_READY &&
			instance->state == ASH_INSTANCE_STARTING) {
		ash_machine_set_instance(step, instance, ASH_INSTANCE_RUNNING, NULL);
		ash_machine_note(step, "ready", (int) event->instance,
				ash_machine_active_version(step), NULL);
	} else if (event->kind == ASH_MACHINE_EVENT_BROKEN && is_up) {
		broken(step, instance);
	} else if (event->kind == ASH_MACHINE_EVENT_EXITED &&
			ash_instance_is_live(instance->state)) {
		exited(step, instance);
	} else if (event->kind == ASH_MACHINE_EVENT_TIMER &&
			instance->state == ASH_INSTANCE_BACKOFF) {
		if (step->world->now_us >= instance->until_us)
			ash_machine_set_instance(
					step, instance, ASH_INSTANCE_WAITING, instance->text);
	} else if (event->kind == ASH_MACHINE_EVENT_AGAIN && machine->is_wanted &&
			(machine->state == ASH_MACHINE_UP ||
					machine->state == ASH_MACHINE_STAGING)) {
		ash_machine_start_again(step, instance);
	} else {
		return ash_machine_wrong(step, "what an instance did", error);
	}
	return TRUE;
}

/* ---- the daemon begins ---- */

void ash_machine_boot_instance(const AshMachineStep *step, AshMachineInstance *instance,
		bool is_alive, bool is_new)
{
	AshInstanceState state = instance->state;

	if (is_new) {
		instance->n_crashes = instance->restarts = 0;
		if (state != ASH_INSTANCE_DOWN && state != ASH_INSTANCE_STOPPING)
			ash_machine_set_instance(step, instance, ASH_INSTANCE_WAITING, NULL);
		else
			ash_machine_set_instance(step, instance,
					instance->is_again || instance->is_broken
							? ASH_INSTANCE_WAITING
							: ASH_INSTANCE_DOWN,
					NULL);
	} else if (is_alive && !ash_instance_is_live(state)) {
		/* Nobody knows how; it must not stay. */
		ash_machine_set_instance(step, instance, ASH_INSTANCE_STOPPING, NULL);
		instance->is_again = state != ASH_INSTANCE_DOWN;
	} else if (!is_alive && state == ASH_INSTANCE_STARTING) {
		ash_machine_set_instance(step, instance, ASH_INSTANCE_WAITING, NULL);
	}
}
