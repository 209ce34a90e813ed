/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/machine.h"

#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_machine_error_quark, ash_machine_error)

static const char *const state_texts[] = {
		[ASH_MACHINE_STOPPED] = "stopped",
		[ASH_MACHINE_FETCHING] = "fetching",
		[ASH_MACHINE_UP] = "up",
		[ASH_MACHINE_STAGING] = "staging",
		[ASH_MACHINE_SWITCHING] = "switching",
		[ASH_MACHINE_TRIAL] = "trial",
		[ASH_MACHINE_RETURNING] = "returning",
		[ASH_MACHINE_STOPPING] = "stopping",
		[ASH_MACHINE_ABSENT] = "absent",
};

const char *ash_machine_state_text(AshMachineState state)
{
	return state_texts[state];
}

static const char *const instance_texts[] = {
		[ASH_INSTANCE_DOWN] = "down",
		[ASH_INSTANCE_WAITING] = "waiting",
		[ASH_INSTANCE_STARTING] = "starting",
		[ASH_INSTANCE_RUNNING] = "running",
		[ASH_INSTANCE_STOPPING] = "stopping",
		[ASH_INSTANCE_BACKOFF] = "backoff",
		[ASH_INSTANCE_FAILED] = "failed",
		[ASH_INSTANCE_DONE] = "done",
};

const char *ash_instance_state_text(AshInstanceState state)
{
	return instance_texts[state];
}

bool ash_instance_is_live(AshInstanceState state)
{
	return state == ASH_INSTANCE_STARTING || state == ASH_INSTANCE_RUNNING ||
	       state == ASH_INSTANCE_STOPPING;
}

/* ---- the type ---- */

static void ref_clear(AshMachineRef *ref)
{
	g_clear_pointer(&ref->version, g_free);
	g_clear_pointer(&ref->digest, g_free);
	g_clear_pointer(&ref->commit, g_free);
	ref->instances = 0;
}

static void ref_move(AshMachineRef *to, AshMachineRef *from)
{
	ref_clear(to);
	*to = *from;
	*from = (AshMachineRef){0};
}

static void instance_free(gpointer data)
{
	AshMachineInstance *instance = data;

	g_free(instance->text);
	g_free(instance);
}

static void failed_free(gpointer data)
{
	AshMachineFailed *failed = data;

	g_free(failed->version);
	g_free(failed->digest);
	g_free(failed->reason);
	g_free(failed);
}

AshMachine *ash_machine_new(const char *name)
{
	AshMachine *machine = g_new0(AshMachine, 1);

	machine->name = g_strdup(name);
	machine->instances = g_ptr_array_new_with_free_func(instance_free);
	machine->failed = g_ptr_array_new_with_free_func(failed_free);
	return machine;
}

void ash_machine_free(AshMachine *machine)
{
	if (machine == NULL)
		return;
	g_free(machine->name);
	ref_clear(&machine->current);
	ref_clear(&machine->target);
	g_free(machine->text);
	g_free(machine->boot_id);
	g_ptr_array_unref(machine->instances);
	g_ptr_array_unref(machine->failed);
	g_free(machine);
}

void ash_machine_note_free(AshMachineNote *note)
{
	if (note == NULL)
		return;
	g_free(note->version);
	g_free(note->text);
	g_free(note);
}

/* ---- questions ---- */

const AshMachineRef *ash_machine_active(const AshMachine *machine)
{
	if (machine->state == ASH_MACHINE_TRIAL)
		return &machine->target;
	return machine->current.digest != NULL ? &machine->current : NULL;
}

const AshMachineFailed *ash_machine_find_failed(const AshMachine *machine, const char *digest)
{
	for (guint i = 0; i < machine->failed->len; i++) {
		const AshMachineFailed *failed = machine->failed->pdata[i];
		if (strcmp(failed->digest, digest) == 0)
			return failed;
	}
	return NULL;
}

static bool has_instance(const AshMachine *machine, AshInstanceState state)
{
	for (guint i = 0; i < machine->instances->len; i++)
		if (((const AshMachineInstance *) machine->instances->pdata[i])->state == state)
			return true;
	return false;
}

const char *ash_machine_word(const AshMachine *machine)
{
	/* The first that one of the instances is in. */
	static const AshInstanceState worst[] = {ASH_INSTANCE_FAILED, ASH_INSTANCE_BACKOFF,
			ASH_INSTANCE_WAITING, ASH_INSTANCE_STARTING, ASH_INSTANCE_STOPPING,
			ASH_INSTANCE_RUNNING, ASH_INSTANCE_DONE};

	switch (machine->state) {
	case ASH_MACHINE_STOPPED:
		return machine->is_wanted ? "failed" : "stopped";
	case ASH_MACHINE_FETCHING:
		return "fetching";
	case ASH_MACHINE_STOPPING:
	case ASH_MACHINE_ABSENT:
		return "stopping";
	case ASH_MACHINE_SWITCHING:
	case ASH_MACHINE_TRIAL:
	case ASH_MACHINE_RETURNING:
		return "updating";
	case ASH_MACHINE_UP:
	case ASH_MACHINE_STAGING:
		break;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(worst); i++)
		if (has_instance(machine, worst[i]))
			return ash_instance_state_text(worst[i]);
	return "running";
}

bool ash_machine_is_ready(const AshMachine *machine)
{
	if (machine->state != ASH_MACHINE_UP && machine->state != ASH_MACHINE_STAGING &&
			machine->state != ASH_MACHINE_TRIAL)
		return false;
	for (guint i = 0; i < machine->instances->len; i++) {
		const AshMachineInstance *instance = machine->instances->pdata[i];
		if (instance->state != ASH_INSTANCE_RUNNING && instance->state != ASH_INSTANCE_DONE)
			return false;
	}
	return true;
}

int64_t ash_machine_next_us(const AshMachine *machine)
{
	int64_t at_us = INT64_MAX;

	if ((machine->state == ASH_MACHINE_FETCHING || machine->state == ASH_MACHINE_STAGING) &&
			machine->retry_us > 0)
		at_us = machine->retry_us;
	for (guint i = 0; i < machine->instances->len; i++) {
		const AshMachineInstance *instance = machine->instances->pdata[i];
		if (instance->state == ASH_INSTANCE_BACKOFF)
			at_us = MIN(at_us, instance->until_us);
	}
	return at_us;
}

bool ash_machine_forgive(AshMachine *machine, const char *what)
{
	bool is_any = false;

	for (guint i = machine->failed->len; i-- > 0;) {
		const AshMachineFailed *failed = machine->failed->pdata[i];
		if (strcmp(what, "all") != 0 && strcmp(what, failed->version) != 0 &&
				strcmp(what, failed->digest) != 0)
			continue;
		g_ptr_array_remove_index(machine->failed, i);
		is_any = true;
	}
	return is_any;
}

/* ---- a step ---- */

typedef struct {
	AshMachine *machine;
	const AshMachineWorld *world;
	const AshMachineEvent *event;
	GPtrArray *notes;
} Step;

static void note(const Step *step, const char *event, int instance, const char *version,
		const char *text)
{
	AshMachineNote *made = g_new0(AshMachineNote, 1);

	made->event = event;
	made->instance = instance;
	made->version = g_strdup(version);
	made->text = g_strdup(text);
	g_ptr_array_add(step->notes, made);
}

static const char *active_version(const Step *step)
{
	const AshMachineRef *active = ash_machine_active(step->machine);

	return active != NULL ? active->version : NULL;
}

static void enter(const Step *step, AshMachineState state)
{
	step->machine->state = state;
	step->machine->since_s = step->world->now_s;
}

static void set_text(char **text, const char *value)
{
	char *copy = g_strdup(value);

	g_free(*text);
	*text = copy;
}

static void set_instance(const Step *step, AshMachineInstance *instance, AshInstanceState state,
		const char *text)
{
	set_text(&instance->text, text);
	instance->state = state;
	instance->since_s = step->world->now_s;
	instance->until_us = 0;
	if (state != ASH_INSTANCE_STOPPING)
		instance->is_broken = instance->is_again = false;
}

/* All instances of the version that is to live now, with nothing against them. */
static void raise_instances(const Step *step, unsigned count)
{
	g_ptr_array_set_size(step->machine->instances, 0);
	for (unsigned i = 0; i < count; i++) {
		AshMachineInstance *instance = g_new0(AshMachineInstance, 1);
		set_instance(step, instance, ASH_INSTANCE_WAITING, NULL);
		g_ptr_array_add(step->machine->instances, instance);
	}
}

static void begin_trial(const Step *step)
{
	enter(step, ASH_MACHINE_TRIAL);
	step->machine->trials = 1;
	raise_instances(step, step->machine->target.instances);
	note(step, "trial", -1, step->machine->target.version, NULL);
}

/* What is to run, runs: nothing lives now. */
static void begin(const Step *step)
{
	AshMachine *machine = step->machine;

	set_text(&machine->text, NULL);
	if (machine->target.digest != NULL && machine->target.commit == NULL) {
		enter(step, ASH_MACHINE_FETCHING);
		machine->attempts = 0;
		machine->retry_us = 0;
		note(step, "fetching", -1, machine->target.version, NULL);
	} else if (machine->target.digest != NULL && machine->current.digest != NULL) {
		begin_trial(step);
	} else {
		if (machine->target.digest != NULL)
			ref_move(&machine->current, &machine->target);
		enter(step, ASH_MACHINE_UP);
		raise_instances(step, machine->current.instances);
	}
}

/* Where every instance had to be down first: they are now, perhaps. */
static void settle(const Step *step)
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
		note(step, "rolled-back", -1, machine->current.version, machine->text);
		break;
	case ASH_MACHINE_STOPPING:
		g_ptr_array_set_size(machine->instances, 0);
		if (machine->is_removed) {
			enter(step, ASH_MACHINE_ABSENT);
		} else if (machine->is_wanted) {
			begin(step);
		} else {
			enter(step, ASH_MACHINE_STOPPED);
			note(step, "stopped", -1, NULL, NULL);
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

static void stop_all(const Step *step, AshMachineState state)
{
	enter(step, state);
	for (guint i = 0; i < step->machine->instances->len; i++) {
		AshMachineInstance *instance = step->machine->instances->pdata[i];
		instance->is_again = instance->is_broken = false;
		if (instance->state == ASH_INSTANCE_STOPPING)
			continue;
		set_instance(step, instance,
				ash_instance_is_live(instance->state) ? ASH_INSTANCE_STOPPING
								      : ASH_INSTANCE_DOWN,
				NULL);
	}
	settle(step);
}

static void add_failed(const Step *step, const char *reason)
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
	note(step, "bad", -1, machine->target.version, failed->reason);
}

/* The target of a trial does not work. */
static void condemn(const Step *step, const char *reason)
{
	AshMachine *machine = step->machine;
	g_autofree char *text =
			g_strdup_printf("%s did not work: %s", machine->target.version, reason);

	add_failed(step, reason);
	ref_clear(&machine->target);
	set_text(&machine->text, text);
	stop_all(step, ASH_MACHINE_RETURNING);
}

/* ---- instances ---- */

static void drop_old_crashes(AshMachineInstance *instance, int64_t since_us)
{
	unsigned n_old = 0;

	while (n_old < instance->n_crashes && instance->crash_us[n_old] < since_us)
		n_old++;
	instance->n_crashes -= n_old;
	memmove(instance->crash_us, instance->crash_us + n_old,
			instance->n_crashes * sizeof *instance->crash_us);
}

static void crash(const Step *step, AshMachineInstance *instance, const char *text)
{
	const AshWorkloadRestart *restart = &step->world->restart;
	unsigned budget = MIN(restart->budget, ASH_MACHINE_MAX_CRASHES - 1);
	int index = (int) step->event->instance;

	drop_old_crashes(instance, step->world->now_us - (int64_t) restart->within_ms * 1000);
	if (instance->n_crashes >= budget) {
		g_autofree char *why = g_strdup_printf(
				"%s; started again %u times, that is enough", text, budget);
		set_instance(step, instance, ASH_INSTANCE_FAILED, why);
		note(step, "failed", index, active_version(step), why);
		return;
	}
	/* 31 doublings of a millisecond are beyond any pause that may be asked for. */
	uint64_t pause_ms = (uint64_t) restart->first_ms << MIN(instance->n_crashes, 31);
	pause_ms = MIN(pause_ms, restart->longest_ms);
	instance->crash_us[instance->n_crashes++] = step->world->now_us;
	instance->restarts++;
	set_instance(step, instance, ASH_INSTANCE_BACKOFF, text);
	instance->until_us = step->world->now_us + (int64_t) pause_ms * 1000;
	note(step, "crashed", index, active_version(step), text);
}

/* It ended by itself, or was ended because it did not work. */
static void ended(const Step *step, AshMachineInstance *instance, bool is_good, bool is_refused,
		const char *text)
{
	AshRestartPolicy policy = step->world->restart.policy;
	int index = (int) step->event->instance;

	if (is_good && policy != ASH_RESTART_ALWAYS) {
		set_instance(step, instance, ASH_INSTANCE_DONE, text);
		note(step, "done", index, active_version(step), text);
	} else if (step->machine->state == ASH_MACHINE_TRIAL) {
		set_instance(step, instance, ASH_INSTANCE_DOWN, text);
		condemn(step, text);
	} else if (is_refused || policy == ASH_RESTART_NEVER) {
		set_instance(step, instance, ASH_INSTANCE_FAILED, text);
		note(step, "failed", index, active_version(step), text);
	} else {
		crash(step, instance, text);
	}
}

static void exited(const Step *step, AshMachineInstance *instance)
{
	const AshMachineEvent *event = step->event;

	if (instance->state != ASH_INSTANCE_STOPPING) {
		ended(step, instance, event->is_good, event->is_forced,
				event->text != NULL ? event->text : "ended");
	} else if (instance->is_again) {
		set_instance(step, instance, ASH_INSTANCE_WAITING, NULL);
	} else if (instance->is_broken) {
		g_autofree char *why = g_strdup(instance->text);
		ended(step, instance, false, false, why != NULL ? why : "did not work");
	} else {
		set_instance(step, instance, ASH_INSTANCE_DOWN, NULL);
		settle(step);
	}
}

static void broken(const Step *step, AshMachineInstance *instance)
{
	const char *text = step->event->text != NULL ? step->event->text : "did not work";

	if (step->machine->state == ASH_MACHINE_TRIAL) {
		condemn(step, text);
		return;
	}
	set_instance(step, instance, ASH_INSTANCE_STOPPING, text);
	instance->is_broken = true;
	note(step, "broken", (int) step->event->instance, active_version(step), text);
}

static gboolean wrong(const Step *step, const char *what, GError **error)
{
	return ash_throw(error, ASH_MACHINE_ERROR, ASH_MACHINE_ERROR_WRONG_STATE,
			"workload '%s': %s is not possible while it is %s", step->machine->name,
			what, ash_machine_state_text(step->machine->state));
}

static void start_again(const Step *step, AshMachineInstance *instance)
{
	if (ash_instance_is_live(instance->state)) {
		instance->state = ASH_INSTANCE_STOPPING;
		instance->is_again = true;
		instance->is_broken = false;
	} else {
		set_instance(step, instance, ASH_INSTANCE_WAITING, NULL);
	}
	instance->n_crashes = instance->restarts = 0;
}

static gboolean step_instance(const Step *step, GError **error)
{
	AshMachine *machine = step->machine;
	const AshMachineEvent *event = step->event;

	if (event->instance >= machine->instances->len)
		return wrong(step, "what an instance did", error);
	AshMachineInstance *instance = machine->instances->pdata[event->instance];
	bool is_up = instance->state == ASH_INSTANCE_STARTING ||
		     instance->state == ASH_INSTANCE_RUNNING;

	if (event->kind == ASH_MACHINE_EVENT_GO && instance->state == ASH_INSTANCE_WAITING) {
		set_instance(step, instance, ASH_INSTANCE_STARTING, NULL);
		note(step, "starting", (int) event->instance, active_version(step), NULL);
	} else if (event->kind == ASH_MACHINE_EVENT_HELD &&
			instance->state == ASH_INSTANCE_WAITING) {
		if (g_strcmp0(instance->text, event->text) != 0)
			note(step, "held", (int) event->instance, active_version(step),
					event->text);
		set_text(&instance->text, event->text);
	} else if (event->kind == ASH_MACHINE_EVENT_READY &&
			instance->state == ASH_INSTANCE_STARTING) {
		set_instance(step, instance, ASH_INSTANCE_RUNNING, NULL);
		note(step, "ready", (int) event->instance, active_version(step), NULL);
	} else if (event->kind == ASH_MACHINE_EVENT_BROKEN && is_up) {
		broken(step, instance);
	} else if (event->kind == ASH_MACHINE_EVENT_EXITED &&
			ash_instance_is_live(instance->state)) {
		exited(step, instance);
	} else if (event->kind == ASH_MACHINE_EVENT_TIMER &&
			instance->state == ASH_INSTANCE_BACKOFF) {
		if (step->world->now_us >= instance->until_us)
			set_instance(step, instance, ASH_INSTANCE_WAITING, instance->text);
	} else if (event->kind == ASH_MACHINE_EVENT_AGAIN && machine->is_wanted &&
			(machine->state == ASH_MACHINE_UP ||
					machine->state == ASH_MACHINE_STAGING)) {
		start_again(step, instance);
	} else {
		return wrong(step, "what an instance did", error);
	}
	return TRUE;
}

/* ---- the workload ---- */

/* Those that rest are started again, with nothing against them. */
static void wake_instances(const Step *step, bool is_restart)
{
	for (guint i = 0; i < step->machine->instances->len; i++) {
		AshMachineInstance *instance = step->machine->instances->pdata[i];
		if (is_restart || !ash_instance_is_live(instance->state))
			start_again(step, instance);
	}
}

static gboolean start(const Step *step, bool is_restart, GError **error)
{
	AshMachine *machine = step->machine;

	if (machine->is_removed)
		return wrong(step, "a start", error);
	switch (machine->state) {
	case ASH_MACHINE_STOPPED:
		if (machine->current.digest == NULL && machine->target.digest == NULL)
			return wrong(step, "a start of no version that works", error);
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
		return is_restart ? wrong(step, "a restart", error) : TRUE;
	case ASH_MACHINE_ABSENT:
		break;
	}
	return wrong(step, "a start", error);
}

static void stop(const Step *step)
{
	AshMachine *machine = step->machine;
	bool was_wanted = machine->is_wanted;

	machine->is_wanted = false;
	set_text(&machine->text, NULL);
	if (machine->state == ASH_MACHINE_STOPPED && !machine->is_removed)
		return;
	if (machine->state == ASH_MACHINE_ABSENT)
		return;
	if (was_wanted && machine->state != ASH_MACHINE_STOPPED)
		note(step, "stopping", -1, active_version(step), NULL);
	stop_all(step, ASH_MACHINE_STOPPING);
}

static gboolean defined(const Step *step, GError **error)
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
		return wrong(step, "another version", error);
	ref_clear(&machine->target);
	machine->attempts = 0;
	machine->retry_us = 0;
	set_text(&machine->text, NULL);
	note(step, "defined", -1, ref->version, NULL);
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

static gboolean staged(const Step *step, GError **error)
{
	AshMachine *machine = step->machine;

	if (machine->state != ASH_MACHINE_FETCHING && machine->state != ASH_MACHINE_STAGING)
		return wrong(step, "staging", error);
	set_text(&machine->target.commit, step->event->text);
	set_text(&machine->text, NULL);
	machine->attempts = 0;
	machine->retry_us = 0;
	note(step, "staged", -1, machine->target.version, NULL);
	if (machine->state == ASH_MACHINE_FETCHING)
		begin(step);
	else
		stop_all(step, ASH_MACHINE_SWITCHING);
	return TRUE;
}

static gboolean stage_failed(const Step *step, GError **error)
{
	AshMachine *machine = step->machine;

	if (machine->state != ASH_MACHINE_FETCHING && machine->state != ASH_MACHINE_STAGING)
		return wrong(step, "staging", error);
	if (!step->event->is_forced) {
		int64_t pause_us = (int64_t) ASH_MACHINE_RETRY_US << MIN(machine->attempts, 12);
		machine->attempts++;
		machine->retry_us = step->world->now_us + MIN(pause_us, ASH_MACHINE_MAX_RETRY_US);
		if (g_strcmp0(machine->text, step->event->text) != 0)
			note(step, "not-staged", -1, machine->target.version, step->event->text);
		set_text(&machine->text, step->event->text);
		return TRUE;
	}
	add_failed(step, step->event->text);
	ref_clear(&machine->target);
	if (machine->state == ASH_MACHINE_STAGING) {
		enter(step, ASH_MACHINE_UP);
	} else if (machine->current.digest != NULL) {
		begin(step);
	} else {
		enter(step, ASH_MACHINE_STOPPED);
	}
	set_text(&machine->text, step->event->text);
	return TRUE;
}

static gboolean verdict(const Step *step, GError **error)
{
	AshMachine *machine = step->machine;

	if (machine->state != ASH_MACHINE_TRIAL)
		return wrong(step, "a verdict", error);
	if (!step->event->is_good) {
		condemn(step, step->event->text != NULL ? step->event->text : "did not work");
		return TRUE;
	}
	ref_move(&machine->current, &machine->target);
	set_text(&machine->text, NULL);
	enter(step, ASH_MACHINE_UP);
	note(step, "updated", -1, machine->current.version, step->event->text);
	return TRUE;
}

/* ---- the daemon begins ---- */

static void boot_instance(
		const Step *step, AshMachineInstance *instance, bool is_alive, bool is_new)
{
	AshInstanceState state = instance->state;

	if (is_new) {
		instance->n_crashes = instance->restarts = 0;
		if (state != ASH_INSTANCE_DOWN && state != ASH_INSTANCE_STOPPING)
			set_instance(step, instance, ASH_INSTANCE_WAITING, NULL);
		else
			set_instance(step, instance,
					instance->is_again || instance->is_broken
							? ASH_INSTANCE_WAITING
							: ASH_INSTANCE_DOWN,
					NULL);
	} else if (is_alive && !ash_instance_is_live(state)) {
		/* Nobody knows how; it must not stay. */
		set_instance(step, instance, ASH_INSTANCE_STOPPING, NULL);
		instance->is_again = state != ASH_INSTANCE_DOWN;
	} else if (!is_alive && state == ASH_INSTANCE_STARTING) {
		set_instance(step, instance, ASH_INSTANCE_WAITING, NULL);
	}
}

static gboolean boot(const Step *step)
{
	AshMachine *machine = step->machine;
	bool is_new = g_strcmp0(machine->boot_id, step->event->boot_id) != 0;

	set_text(&machine->boot_id, step->event->boot_id);
	machine->retry_us = 0;
	for (guint i = 0; i < machine->instances->len; i++)
		boot_instance(step, machine->instances->pdata[i],
				!is_new && step->event->alive != NULL && step->event->alive[i],
				is_new);
	if (is_new && machine->state == ASH_MACHINE_TRIAL &&
			++machine->trials > ASH_MACHINE_MAX_TRIALS)
		condemn(step, "its trial was interrupted again and again");
	/* A trial's instance that ended meanwhile is told as EXITED by who looks, as any other. */
	settle(step);
	return TRUE;
}

gboolean ash_machine_step(AshMachine *machine, const AshMachineWorld *world,
		const AshMachineEvent *event, GPtrArray *notes, GError **error)
{
	const Step step = {machine, world, event, notes};

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
		return step_instance(&step, error);
	}
	g_assert_not_reached();
}
