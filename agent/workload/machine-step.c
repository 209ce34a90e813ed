/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/machine-private.h"

#include "lib/error.h"

/* ---- what steps are made of ---- */

void ash_machine_note(const AshMachineStep *step, const char *event, int instance,
		const char *version, const char *text)
{
	AshMachineNote *made = g_new0(AshMachineNote, 1);

	made->event = event;
	made->instance = instance;
	made->version = g_strdup(version);
	made->text = g_strdup(text);
	g_ptr_array_add(step->notes, made);
}

const char *ash_machine_active_version(const AshMachineStep *step)
{
	const AshMachineRef *active = ash_machine_active(step->machine);

	return active != NULL ? active->version : NULL;
}

static void enter(const AshMachineStep *step, AshMachineState state)
{
	step->machine->state = state;
	step->machine->since_s = step->world->now_s;
}

/* All instances of the version that is to live now, with nothing against them. */
static void raise_instances(const AshMachineStep *step, unsigned count)
{
	g_ptr_array_set_size(step->machine->instances, 0);
	for (unsigned i = 0; i < count; i++) {
		AshMachineInstance *instance = g_new0(AshMachineInstance, 1);
		ash_machine_set_instance(step, instance, ASH_INSTANCE_WAITING, NULL);
		g_ptr_array_add(step->machine->instances, instance);
	}
}

static void begin_trial(const AshMachineStep *step)
{
	enter(step, ASH_MACHINE_TRIAL);
	step->machine->trials = 1;
	raise_instances(step, step->machine->target.instances);
	ash_machine_note(step, "trial", -1, step->machine->target.version, NULL);
}

/* What is to run, runs: nothing lives now. */
static void begin(const AshMachineStep *step)
{
	AshMachine *machine = step->machine;

	ash_machine_set_text(&machine->text, NULL);
	if (machine->target.digest != NULL && machine->target.commit == NULL) {
		enter(step, ASH_MACHINE_FETCHING);
		machine->attempts = 0;
		machine->retry_us = 0;
		ash_machine_note(step, "fetching", -1, machine->target.version, NULL);
	} else if (machine->target.digest != NULL && machine->current.digest != NULL) {
		begin_trial(step);
	} else {
		if (machine->target.digest != NULL)
			ash_machine_ref_move(&machine->current, &machine->target);
		enter(step, ASH_MACHINE_UP);
		raise_instances(step, machine->current.instances);
	}
}

/* Where every instance had to be down first: they are now, perhaps. */
void ash_machine_settle(const AshMachineStep *step)
{
	AshMachine *machine = step->machine;

	for (guint i = 0; i < machine->instances->len; i++) {
		const AshMachineInstance *instance = machine->instances->pdata[i];
		if (ash_instance_is_live(instance->state))
			return;
	}
	switch (machine->state) {
	case ASH_MACHINE_SWITCHING:
		begin_trial(step);
		break;
	case ASH_MACHINE_RETURNING:
		enter(step, ASH_MACHINE_UP);
		raise_instances(step, machine->current.instances);
		ash_machine_note(step, "rolled-back", -1, machine->current.version, machine->text);
		break;
	case ASH_MACHINE_STOPPING:
		g_ptr_array_set_size(machine->instances, 0);
		if (machine->is_removed) {
			enter(step, ASH_MACHINE_ABSENT);
		} else if (machine->is_wanted) {
			begin(step);
		} else {
			enter(step, ASH_MACHINE_STOPPED);
			ash_machine_note(step, "stopped", -1, NULL, NULL);
		}
		break;
	case ASH_MACHINE_STOPPED:
	case ASH_MACHINE_FETCHING:
	case ASH_MACHINE_UP:
	case ASH_MACHINE_STAGING:
	case ASH_MACHINE_TRIAL:
	case ASH_MACHINE_ABSENT:
		break;
	}
}

static void stop_all(const AshMachineStep *step, AshMachineState state)
{
	enter(step, state);
	for (guint i = 0; i < step->machine->instances->len; i++) {
		AshMachineInstance *instance = step->machine->instances->pdata[i];
		instance->is_again = instance->is_broken = false;
		if (instance->state == ASH_INSTANCE_STOPPING)
			continue;
		ash_machine_set_instance(step, instance,
				ash_instance_is_live(instance->state) ? ASH_INSTANCE_STOPPING
								      : ASH_INSTANCE_DOWN,
				NULL);
	}
	ash_machine_settle(step);
}

static void add_failed(const AshMachineStep *step, const char *reason)
{
	AshMachineFailed *failed = g_new0(AshMachineFailed, 1);
	AshMachine *machine = step->machine;

	failed->version = g_strdup(machine->target.version);
	failed->digest = g_strdup(machine->target.digest);
	failed->reason = g_strdup(reason != NULL ? reason : "");
	failed->at_s = step->world->now_s;
	if (machine->failed->len == ASH_MACHINE_MAX_FAILED)
		g_ptr_array_remove_index(machine->failed, 0);
	g_ptr_array_add(machine->failed, failed);
	ash_machine_note(step, "bad", -1, machine->target.version, failed->reason);
}

/* The target of a trial does not work. */
void ash_machine_condemn(const AshMachineStep *step, const char *reason)
{
	AshMachine *machine = step->machine;
	g_autofree char *text =
			g_strdup_printf("%s did not work: %s", machine->target.version, reason);

	add_failed(step, reason);
	ash_machine_ref_clear(&machine->target);
	ash_machine_set_text(&machine->text, text);
	stop_all(step, ASH_MACHINE_RETURNING);
}

gboolean ash_machine_wrong(const AshMachineStep *step, const char *what, GError **error)
{
	return ash_throw(error, ASH_MACHINE_ERROR, ASH_MACHINE_ERROR_WRONG_STATE,
			"workload '%s': %s is not possible while it is %s", step->machine->name,
			what, ash_machine_state_text(step->machine->state));
}

/* ---- the workload ---- */

/* Those that rest are started again, with nothing against them. */
static void wake_instances(const AshMachineStep *step, bool is_restart)
{
	for (guint i = 0; i < step->machine->instances->len; i++) {
		AshMachineInstance *instance = step->machine->instances->pdata[i];
		if (is_restart || !ash_instance_is_live(instance->state))
			ash_machine_start_again(step, instance);
	}
}

static gboolean start(const AshMachineStep *step, bool is_restart, GError **error)
{
	AshMachine *machine = step->machine;

	if (machine->is_removed)
		return ash_machine_wrong(step, "a start", error);
	switch (machine->state) {
	case ASH_MACHINE_STOPPED:
		if (machine->current.digest == NULL && machine->target.digest == NULL)
			return ash_machine_wrong(step, "a start of no version that works", error);
		machine->is_wanted = true;
		begin(step);
		return TRUE;
	case ASH_MACHINE_FETCHING:
		machine->retry_us = 0;
		return TRUE;
	case ASH_MACHINE_UP:
	case ASH_MACHINE_STAGING:
		wake_instances(step, is_restart);
		return TRUE;
	case ASH_MACHINE_STOPPING:
		machine->is_wanted = true;
		return TRUE;
	case ASH_MACHINE_SWITCHING:
	case ASH_MACHINE_TRIAL:
	case ASH_MACHINE_RETURNING:
		return is_restart ? ash_machine_wrong(step, "a restart", error) : TRUE;
	case ASH_MACHINE_ABSENT:
		break;
	}
	return ash_machine_wrong(step, "a start", error);
}

static void stop(const AshMachineStep *step)
{
	AshMachine *machine = step->machine;
	bool was_wanted = machine->is_wanted;

	machine->is_wanted = false;
	ash_machine_set_text(&machine->text, NULL);
	if (machine->state == ASH_MACHINE_STOPPED && !machine->is_removed)
		return;
	if (machine->state == ASH_MACHINE_ABSENT)
		return;
	if (was_wanted && machine->state != ASH_MACHINE_STOPPED)
		ash_machine_note(step, "stopping", -1, ash_machine_active_version(step), NULL);
	stop_all(step, ASH_MACHINE_STOPPING);
}

static gboolean defined(const AshMachineStep *step, GError **error)
{
	AshMachine *machine = step->machine;
	const AshMachineRef *ref = step->event->ref;
	const AshMachineFailed *failed = ash_machine_find_failed(machine, ref->digest);
	bool is_current = g_strcmp0(machine->current.digest, ref->digest) == 0;

	if (g_strcmp0(machine->target.digest, ref->digest) == 0 ||
			(is_current && machine->target.digest == NULL))
		return TRUE;
	if (failed != NULL)
		return ash_throw(error, ASH_MACHINE_ERROR, ASH_MACHINE_ERROR_BAD,
				"workload '%s': version %s failed before (%s); 'ashlarctl workload forgive %s' lets it try again",
				machine->name, ref->version, failed->reason, machine->name);
	if (machine->is_removed || machine->state == ASH_MACHINE_SWITCHING ||
			machine->state == ASH_MACHINE_TRIAL ||
			machine->state == ASH_MACHINE_RETURNING ||
			machine->state == ASH_MACHINE_ABSENT)
		return ash_machine_wrong(step, "another version", error);
	ash_machine_ref_clear(&machine->target);
	machine->attempts = 0;
	machine->retry_us = 0;
	ash_machine_set_text(&machine->text, NULL);
	ash_machine_note(step, "defined", -1, ref->version, NULL);
	if (is_current) { /* back to it, before the other began */
		if (machine->state == ASH_MACHINE_STAGING)
			enter(step, ASH_MACHINE_UP);
		else if (machine->state == ASH_MACHINE_FETCHING)
			begin(step);
		return TRUE;
	}
	machine->target.version = g_strdup(ref->version);
	machine->target.digest = g_strdup(ref->digest);
	machine->target.instances = ref->instances;
	if (machine->state == ASH_MACHINE_UP)
		enter(step, ASH_MACHINE_STAGING);
	else if (machine->state == ASH_MACHINE_STOPPED && machine->is_wanted)
		begin(step);
	return TRUE;
}

static gboolean staged(const AshMachineStep *step, GError **error)
{
	AshMachine *machine = step->machine;

	if (machine->state != ASH_MACHINE_FETCHING && machine->state != ASH_MACHINE_STAGING)
		return ash_machine_wrong(step, "staging", error);
	ash_machine_set_text(&machine->target.commit, step->event->text);
	ash_machine_set_text(&machine->text, NULL);
	machine->attempts = 0;
	machine->retry_us = 0;
	ash_machine_note(step, "staged", -1, machine->target.version, NULL);
	if (machine->state == ASH_MACHINE_FETCHING)
		begin(step);
	else
		stop_all(step, ASH_MACHINE_SWITCHING);
	return TRUE;
}

static gboolean stage_failed(const AshMachineStep *step, GError **error)
{
	AshMachine *machine = step->machine;

	if (machine->state != ASH_MACHINE_FETCHING && machine->state != ASH_MACHINE_STAGING)
		return ash_machine_wrong(step, "staging", error);
	if (!step->event->is_forced) {
		int64_t pause_us = (int64_t) ASH_MACHINE_RETRY_US << MIN(machine->attempts, 12);
		machine->attempts++;
		machine->retry_us = step->world->now_us + MIN(pause_us, ASH_MACHINE_MAX_RETRY_US);
		if (g_strcmp0(machine->text, step->event->text) != 0)
			ash_machine_note(step, "not-staged", -1, machine->target.version,
					step->event->text);
		ash_machine_set_text(&machine->text, step->event->text);
		return TRUE;
	}
	add_failed(step, step->event->text);
	ash_machine_ref_clear(&machine->target);
	if (machine->state == ASH_MACHINE_STAGING) {
		enter(step, ASH_MACHINE_UP);
	} else if (machine->current.digest != NULL) {
		begin(step);
	} else {
		enter(step, ASH_MACHINE_STOPPED);
	}
	ash_machine_set_text(&machine->text, step->event->text);
	return TRUE;
}

static gboolean verdict(const AshMachineStep *step, GError **error)
{
	AshMachine *machine = step->machine;

	if (machine->state != ASH_MACHINE_TRIAL)
		return ash_machine_wrong(step, "a verdict", error);
	if (!step->event->is_good) {
		ash_machine_condemn(step,
				step->event->text != NULL ? step->event->text : "did not work");
		return TRUE;
	}
	ash_machine_ref_move(&machine->current, &machine->target);
	ash_machine_set_text(&machine->text, NULL);
	enter(step, ASH_MACHINE_UP);
	ash_machine_note(step, "updated", -1, machine->current.version, step->event->text);
	return TRUE;
}

/* ---- the daemon begins ---- */

static gboolean boot(const AshMachineStep *step)
{
	AshMachine *machine = step->machine;
	bool is_new = g_strcmp0(machine->boot_id, step->event->boot_id) != 0;

	ash_machine_set_text(&machine->boot_id, step->event->boot_id);
	machine->retry_us = 0;
	for (guint i = 0; i < machine->instances->len; i++)
		ash_machine_boot_instance(step, machine->instances->pdata[i],
				!is_new && step->event->alive != NULL && step->event->alive[i],
				is_new);
	if (is_new && machine->state == ASH_MACHINE_TRIAL &&
			++machine->trials > ASH_MACHINE_MAX_TRIALS)
		ash_machine_condemn(step, "its trial was interrupted again and again");
	/* A trial's instance that ended meanwhile is told as EXITED by who looks, as any other. */
	ash_machine_settle(step);
	return TRUE;
}

gboolean ash_machine_step(AshMachine *machine, const AshMachineWorld *world,
		const AshMachineEvent *event, GPtrArray *notes, GError **error)
{
	const AshMachineStep step = {machine, world, event, notes};

	switch (event->kind) {
	case ASH_MACHINE_EVENT_BOOT:
		return boot(&step);
	case ASH_MACHINE_EVENT_DEFINED:
		return defined(&step, error);
	case ASH_MACHINE_EVENT_UNDEFINED:
		machine->is_removed = true;
		machine->drops_volumes |= event->is_forced;
		stop(&step);
		return TRUE;
	case ASH_MACHINE_EVENT_START:
		return start(&step, false, error);
	case ASH_MACHINE_EVENT_STOP:
		stop(&step);
		return TRUE;
	case ASH_MACHINE_EVENT_RESTART:
		return start(&step, true, error);
	case ASH_MACHINE_EVENT_STAGED:
		return staged(&step, error);
	case ASH_MACHINE_EVENT_STAGE_FAILED:
		return stage_failed(&step, error);
	case ASH_MACHINE_EVENT_VERDICT:
		return verdict(&step, error);
	case ASH_MACHINE_EVENT_GO:
	case ASH_MACHINE_EVENT_HELD:
	case ASH_MACHINE_EVENT_READY:
	case ASH_MACHINE_EVENT_BROKEN:
	case ASH_MACHINE_EVENT_EXITED:
	case ASH_MACHINE_EVENT_TIMER:
	case ASH_MACHINE_EVENT_AGAIN:
		return ash_machine_step_instance(&step, error);
	}
	g_assert_not_reached();
}
