/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "agent/workload/launch.h"

/* One start of a workload, from the launch to its end: the class that is in effect, the files in DIR that
 * launch.h names, signals forwarded, calls recorded.
 */

/* ash_instance_run:
 * @out_code: what ashlar-launch ends with
 *
 * Fails when nothing was started, and when a system with an init of its own asked for a reboot, which is another start of
 * it; "exit" says so then too. SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 go to the workload (with boot, SIGTERM as
 * SIGRTMIN+3, by which an init shuts down); SIGKILL of this process ends all of it.
 */
gboolean ash_instance_run(const AshLaunch *launch, int *out_code, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Another command in the running instance, confined as it is. Standard input and outputs are this process's. */
typedef struct {
	char *const *command;
	char *const *environment; /* beside its own, and stronger */
	bool is_check; /* a machine: the command is what ash_qemu_exec takes as a check */
} AshInstanceExec;
gboolean ash_instance_exec(AshLaunch *launch, const AshInstanceExec *exec, int *out_code,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes "exit" for what was not started; @code as agent/workload/launch.h has them. Best effort. */
void ash_instance_refuse(const AshLaunch *launch, int code, const char *why);
