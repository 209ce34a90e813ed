/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Faults that tests plant: ASHLAR_FAULT=NAME:kill|eio|enospc in the environment. A point has a name
 * that is unique in the room; `grep ASH_FAULT` lists them. Compiled in always, so that what is tested
 * is what runs, but dead until ash_fault_enable(), which a program calls only when it was given
 * --root.
 */

void ash_fault_enable(void);

/* kill: the process ends here as if by SIGKILL. eio, enospc: sets errno and is true. */
bool ash_fault_hits(const char *name);

/* In a function that returns gboolean and has `error`. */
#define ASH_FAULT(name)                                                                            \
	do {                                                                                       \
		if (ash_fault_hits(name))                                                          \
			return ash_throw_errno(error, "fault '%s'", (name));                       \
	} while (0)
