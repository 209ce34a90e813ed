/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "agent/workload/launch.h"
#include "agent/workload/view.h"

/* Class userkernel: gVisor's runsc, a kernel in user space, from an OCI bundle made of the launch. System calls
 * of the workload are answered by it, in a process of the instance's range of users; the same list of calls holds
 * before that, names without their conditions: namespaces, sockets and terminals are gVisor's own, not the host's.
 *
 * DIR/config.json is the bundle (OCI runtime-spec 1.0), DIR/runsc the runtime's state while it runs.
 */

/* config.json. Fails where a grant cannot be given: ASH_LAUNCH_ERROR_REFUSED. */
char *ash_runsc_config(const AshLaunch *launch, const AshView *view, GError **error);

/* runsc ends with this process. */
gboolean ash_runsc_start(const AshLaunch *launch, const AshView *view, pid_t *out_pid,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A question: does the workload's first process run, so that others may be started beside it? */
bool ash_runsc_is_running(const AshLaunch *launch);
/* Replaces this process; returns only on failure. @environment, NULL or "KEY=VALUE"…, is beside the instance's own. What
 * is standard input and output then becomes the property of the sandbox's user (agent/workload/streams.h).
 */
gboolean ash_runsc_exec(const AshLaunch *launch, char *const *command, char *const *environment,
		GError **error);
/* To the workload: without a terminal runsc keeps signals to itself. Best effort. */
void ash_runsc_signal(const AshLaunch *launch, int number);
/* What it leaves behind when it was killed. Best effort. */
void ash_runsc_remove(const AshLaunch *launch);
