/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "agent/workload/entry.h"
#include "agent/workload/view.h"

/* Class container: systemd-nspawn makes the namespaces and mounts, with the users' range of its own, and
 * starts ashlar-enter from a sealed memory file, which does the rest. nspawn's own filter is off: building it
 * is three quarters of its start, and ours is stricter. Tried with 252 and the options of 257.
 */

/* The command line of nspawn; for tests too. */
char **ash_nspawn_argv(const AshLaunch *launch, const AshView *view, uint64_t capabilities);

/* ash_nspawn_start: in a mount namespace that ash_view_new has made. nspawn ends with this process. */
gboolean ash_nspawn_start(const AshLaunch *launch, const AshView *view, const AshEntry *entry,
		pid_t *out_pid, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What nspawn brings that a workload has not asked for, for ASH_ENTER's removed paths. */
char **ash_nspawn_removed(const AshLaunch *launch);
