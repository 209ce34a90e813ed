/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

/* Notes which system calls a workload makes, and lets each go on: the listener of a filter that notifies.
 * The kernel's own log of that would need its audit subsystem, which most hosts have off.
 */
typedef struct AshRecorder AshRecorder;

AshRecorder *ash_recorder_new(int listener_fd); /* takes it */
void ash_recorder_free(AshRecorder *recorder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRecorder, ash_recorder_free)

/* Readable when a call waits; -1 when nobody is left who could make one. */
int ash_recorder_fd(const AshRecorder *recorder);
void ash_recorder_take(AshRecorder *recorder);

/* What was called, sorted, a line each. */
char *ash_recorder_names(const AshRecorder *recorder);
