/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/repo.h"
#include "builder/tree.h"

/* The upper layer of an overlay, applied to the tree that the lower layer was a checkout of: new and
 * changed files are stored, whiteouts remove, directories take over mode and owner. Format:
 * Documentation/filesystems/overlayfs.rst of Linux (whiteout: character device 0/0; opaque
 * directory: trusted.overlay.opaque=y).
 *
 * Devices, pipes and sockets that a script left behind are skipped: no image has any.
 */

/* @skip: paths relative to the root that are left out with all below them ("run"), or NULL.
 * @repo has an open transaction.
 */
gboolean ash_delta_apply(AshRepo *repo, const char *upper, const char *const *skip, AshTree *tree,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
