/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/machine.h"

#include <string.h>

#include "agent/workload/machine-private.h"

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

void ash_machine_ref_clear(AshMachineRef *ref)
{
	g_clear_pointer(&ref->version, g_free);
	g_clear_pointer(&ref->digest, g_free);
	g_clear_pointer(&ref->commit, g_free);
	ref->instances = 0;
}

void ash_machine_ref_move(AshMachineRef *to, AshMachineRef *from)
{
	ash_machine_ref_clear(to);
	*to = *from;
	*from = (AshMachineRef){0};
}

void ash_machine_set_text(char **text, const char *value)
{
	char *copy = g_strdup(value);

	g_free(*text);
	*text = copy;
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
	ash_machine_ref_clear(&machine->current);
	ash_machine_ref_clear(&machine->target);
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
