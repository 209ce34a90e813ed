/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/workload/launch.h"

/* The root directory as one instance sees it: the image's tree, read-only, its users shifted into the
 * instance's range by an idmapped mount, with a thin layer above it that has the places that are mounted
 * upon, /etc/hosts and /etc/resolv.conf. The tree itself is not written to.
 *
 * It lies at DIR/mnt in a mount namespace of the launcher's own: when its processes are gone, it is.
 * With an init of its own (boot) there is an upper layer too, of disk_bytes, that goes with it.
 *
 * Where a file system cannot be shifted (before Linux 5.19, or without the code for it), files of the image
 * belong to nobody inside: what everyone may read still works.
 */
typedef struct {
	char *root;       /* where it is mounted */
	GPtrArray *binds; /* AshLaunchBind, sources and targets resolved: what the runtime is to mount */
	GPtrArray *devices; /* AshLaunchBind: nodes of the instance's own user, and where they are to appear */
	bool is_shifted;
} AshView;
void ash_view_free(AshView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshView, ash_view_free)

/* ash_view_new: leaves the mount namespace of the caller, who must have one thread. What is wrong with image or
 * binds is ASH_LAUNCH_ERROR_IMAGE.
 */
gboolean ash_view_new(const AshLaunch *launch, AshView **out_view, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* DIR is root's alone. For a runtime that walks to the root as the instance's user: moves it to /tmp, as this mount
 * namespace has it.
 */
gboolean ash_view_expose(const AshLaunch *launch, AshView *view, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Of the mount point, after the last process. Best effort. */
void ash_view_remove(const AshLaunch *launch);

/* "web@2" as host name and machine name: "web-2". */
char *ash_view_host_name(const AshLaunch *launch);

/* The image's own init: the first that there is of those that Debian's initramfs tries. */
gboolean ash_view_find_init(const AshLaunch *launch, char ***out_command, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
