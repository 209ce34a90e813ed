/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "builder/repo.h"

/* A commit's tree as a tar archive: a plain root file system, for workloads and for looking at.
 *
 * POSIX pax format, entries in byte order of their paths, each file whole (no hard links), owners by
 * number, extended attributes as SCHILY.xattr records. A host's /usr/etc is written as /etc.
 */

/* ash_image_tar_write:
 * @tree: with sizes; its /usr/etc is moved
 * @time_s: of every entry
 */
gboolean ash_image_tar_write(AshRepo *repo, AshTree *tree, uint64_t time_s, int fd, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
