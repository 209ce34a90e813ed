/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/repo.h"
#include "builder/tree.h"

/* The layout of a host's tree, as OSTree and design.md §4 want it: all that is the image's lies in
 * /usr, all that is the host's in /etc and /var.
 *
 *	/etc                → moved to /usr/etc; a deployment's /etc is made from it
 *	/var                → emptied; directories and links become tmpfiles.d lines, files are kept in
 *	                      /usr/share/factory/var and copied at boot where they are missing
 *	/home /srv /opt /root /usr/local
 *	                    → links into /var; what they held is treated as content of /var, but /opt,
 *	                      which is kept in /usr/lib/opt
 *	/boot/vmlinuz-R     → /usr/lib/modules/R/vmlinuz
 *	/dev /proc /sys /run /tmp /sysroot /efi /boot
 *	                    → empty directories;	/ostree → sysroot/ostree
 *
 * Caches, logs and the databases of package tools in /var are dropped.
 */

#define ASH_LAYOUT_ERROR (ash_layout_error_quark())
GQuark ash_layout_error_quark(void);

typedef enum {
	ASH_LAYOUT_ERROR_NO_KERNEL, /* no /boot/vmlinuz of the release */
} AshLayoutError;

/* @kernel_release: NULL leaves /boot alone. @repo has an open transaction. */
gboolean ash_layout_host(AshRepo *repo, AshTree *tree, const char *kernel_release, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
