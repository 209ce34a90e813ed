/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* /etc of a new deployment: the new release's defaults (its usr/etc), and over them what this host has
 * changed against the defaults of the deployment it runs.
 *
 *	here, against the old defaults     in the new /etc
 *	unchanged                          the new release's, which may be nothing
 *	added, changed                     the host's, whatever the new release has there
 *	removed                            not there, whatever the new release has
 *	a directory's mode or owner        changed where the new /etc has that directory
 *
 * Changed means: another type, content, link target, device number, mode, owner or extended attribute;
 * times do not count. A directory that the host made or put files into is there afterwards. Sockets are
 * left out. No symbolic link is followed on either side.
 *
 * Directories are those of deployments: they hold usr/etc and etc.
 */

#define ASH_ETC_ERROR (ash_etc_error_quark())
GQuark ash_etc_error_quark(void);

typedef enum {
	ASH_ETC_ERROR_LIMIT, /* deeper, or more files, than ASH_ETC_MAX_… */
} AshEtcError;

enum {
	ASH_ETC_MAX_DEPTH = 64,
	ASH_ETC_MAX_FILES = 100000,
};

/* ash_etc_make: makes @new_fd/etc, which is not there yet.
 * @old_fd: the deployment that runs; -1: defaults alone
 * @out_changes: how many names differed; may be NULL
 */
gboolean ash_etc_make(int new_fd, int old_fd, unsigned *out_changes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* What the tree at @path takes on a disk with blocks of 4096 bytes, and its inodes. 0 when missing. */
gboolean ash_etc_measure(int dirfd, const char *path, uint64_t *out_bytes, uint64_t *out_inodes,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
