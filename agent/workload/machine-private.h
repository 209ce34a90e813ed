/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/workload/machine.h"

/* Between the files of machine: machine.c is what it is, machine-step.c what becomes of a workload,
 * machine-instance.c what becomes of one of its instances.
 */

typedef struct {
	AshMachine *machine;
	const AshMachineWorld *world;
	const AshMachineEvent *event;
	GPtrArray *notes;
} AshMachineStep;

void ash_machine_set_text(char **text, const char *value);
void ash_machine_ref_clear(AshMachineRef *ref);
/* @from is none afterwards. */
void ash_machine_ref_move(AshMachineRef *to, AshMachineRef *from);

/* ---- of the workload ---- */

/* @instance -1: of the whole workload. */
void ash_machine_note(const AshMachineStep *step, const char *event, int instance,
		const char *version, const char *text);
const char *ash_machine_active_version(const AshMachineStep *step); /* NULL: none is */
/* Where every instance had to be down first: they are now, perhaps. */
void ash_machine_settle(const AshMachineStep *step);
/* The target of a trial does not work. */
void ash_machine_condemn(const AshMachineStep *step, const char *reason);
gboolean ash_machine_wrong(const AshMachineStep *step, const char *what, GError **error);

/* ---- of an instance ---- */

/* Whatever was against it before is forgotten, unless it is STOPPING. */
void ash_machine_set_instance(const AshMachineStep *step, AshMachineInstance *instance,
		AshInstanceState state, const char *text);
/* As if it had never crashed. */
void ash_machine_start_again(const AshMachineStep *step, AshMachineInstance *instance);
gboolean ash_machine_step_instance(const AshMachineStep *step, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The daemon begins. @is_new: with the host. */
void ash_machine_boot_instance(const AshMachineStep *step, AshMachineInstance *instance,
		bool is_alive, bool is_new);
