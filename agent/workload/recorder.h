/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "agent/workload/filter.h"

/* Notes which system calls a workload makes: the listener of a filter that notifies. Each goes on that the default
 * profile allows, or the workload's own; the others are refused as ever, so that the program takes the way that it
 * will have to take, and a profile that is made of this is never more than these two. The kernel's own log of that
 * would need its audit subsystem, which most hosts have off.
 */
#define ASH_RECORDER_FILE                                                                          \
	"recorded" /* in the directory of an instance, of what it was started with */
#define ASH_RECORDER_FILE_OF_EXEC                                                                  \
	"recorded-exec" /* of what was started in it; grows until it is started again */

typedef struct AshRecorder AshRecorder;

AshRecorder *ash_recorder_new(
		int listener_fd, const AshFilterPolicy *policy); /* takes the descriptor */
void ash_recorder_free(AshRecorder *recorder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRecorder, ash_recorder_free)

/* Readable when a call waits; -1 when nobody is left who could make one. */
int ash_recorder_fd(const AshRecorder *recorder);
void ash_recorder_take(AshRecorder *recorder);

/* A line each, sorted: what was called, and behind '!' what was refused. */
char *ash_recorder_names(const AshRecorder *recorder);
