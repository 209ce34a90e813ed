/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "agent/workload/enter.h"

/* The steps of ashlar-enter. Each does its own, or says on stderr and to the launcher which one failed
 * and why, and ends the process: nothing is to run that is half confined.
 */

/* By errno. */
void ash_enter_fail(const char *step) __attribute__((noreturn));
/* Best effort: the launcher may be gone. */
void ash_enter_answer(const char *text, const char *more);

void ash_enter_limit(const AshEnterOrders *orders);
void ash_enter_drop(const AshEnterOrders *orders);

/* Landlock, as much of it as the kernel has: with ASH_ENTER_SHIELD nothing is written but below @writable;
 * with ASH_ENTER_SCOPE abstract sockets of others are out of reach, which is what a network of the host has.
 */
void ash_enter_shield(const AshEnterOrders *orders, const char *const *writable);

/* The last one. @filters: in the file's order. */
void ash_enter_filter(const AshEnterOrders *orders, const void *const *filters);
