/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The caller's side of agent/workload/call-frame.h, libc only: ashlar-call's, and that of `ashlar-launch exec` towards
 * a machine.
 */

enum {
	ASH_CALL_CARRY_CALL = 1,
	ASH_CALL_CARRY_MAX_BYTES = 64 << 10,
	ASH_CALL_CARRY_NOT_CALLED = 125,
};

/* One frame, all of it. */
bool ash_call_carry_send(int fd, uint32_t kind, const void *data, size_t size);

/* Standard input to @fd, what comes back to standard output and error, until the end; the exit code, or
 * ASH_CALL_CARRY_NOT_CALLED. @name: of the program, for what it says.
 */
int ash_call_carry(int fd, const char *name);
