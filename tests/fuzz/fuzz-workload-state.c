/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "agent/workload/state.h"

/* state.json, as a power cut or a bad disk leaves it: what is read is written so that it is read the same, and its
 * machines take whatever happens next.
 */

static void check(const AshState *state)
{
	g_autofree char *first = ash_state_format(state);
	g_autoptr(GBytes) bytes = g_bytes_new_static(first, strlen(first));
	g_autoptr(AshState) again = NULL;

	/* Escapes may make the text longer than its maximum. */
	if (strlen(first) > ASH_STATE_MAX_BYTES)
		return;
	g_assert_true(ash_state_parse(bytes, &again, NULL));
	g_autofree char *second = ash_state_format(again);
	g_assert_cmpstr(first, ==, second);
}

static void free_note(gpointer note)
{
	ash_machine_note_free(note);
}

static void live(AshMachine *machine)
{
	static const AshMachineEventKind kinds[] = {ASH_MACHINE_EVENT_BOOT,
			ASH_MACHINE_EVENT_STAGE_FAILED, ASH_MACHINE_EVENT_GO,
			ASH_MACHINE_EVENT_READY, ASH_MACHINE_EVENT_EXITED, ASH_MACHINE_EVENT_TIMER,
			ASH_MACHINE_EVENT_START, ASH_MACHINE_EVENT_STAGED,
			ASH_MACHINE_EVENT_VERDICT, ASH_MACHINE_EVENT_RESTART,
			ASH_MACHINE_EVENT_BROKEN, ASH_MACHINE_EVENT_STOP, ASH_MACHINE_EVENT_EXITED,
			ASH_MACHINE_EVENT_UNDEFINED};
	g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(free_note);
	AshMachineWorld world = {.now_us = 1000000,
			.now_s = 1800000000,
			.restart = {.policy = ASH_RESTART_ALWAYS,
					.first_ms = 1000,
					.longest_ms = 60000,
					.budget = 5,
					.within_ms = 600000}};

	for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
		AshMachineEvent event = {.kind = kinds[i], .text = "t", .boot_id = "b"};
		world.now_us += 1000000;
		(void) !ash_machine_step(machine, &world, &event, notes, NULL);
		(void) ash_machine_word(machine);
		(void) ash_machine_active(machine);
		(void) ash_machine_is_ready(machine);
		(void) ash_machine_next_us(machine);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) text = g_bytes_new(data, size);
	g_autoptr(AshState) state = NULL;
	uint32_t base;

	if (!ash_state_parse(text, &state, NULL))
		return 0;
	check(state);
	if (ash_state_uid_base(state, "new@1", &base, NULL))
		g_assert_true(base >= ASH_STATE_FIRST_UID && base <= ASH_STATE_LAST_UID);
	for (guint i = 0; i < state->machines->len; i++)
		live(state->machines->pdata[i]);
	check(state);
	return 0;
}
