/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "agent/workload/entry.h"
#include "agent/workload/view.h"

/* Class sandbox: namespaces (mount, process, ipc, uts, network, cgroup) and a root of its own, made by us.
 * No user namespace: inside, the user is uid_base + uid, as the host counts, and has no capability but those that
 * a network namespace bounds.
 */

/* ash_box_start: in a mount namespace that ash_view_new has made. @out_pid: the workload's first process. */
gboolean ash_box_start(const AshLaunch *launch, const AshView *view, const AshEntry *entry,
		pid_t *out_pid, GError **error) G_GNUC_WARN_UNUSED_RESULT;
