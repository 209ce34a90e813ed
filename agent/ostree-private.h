/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ostree.h>

#include "agent/ostree.h"

/* The inside of the seam, for agent/ostree*.c only. */

struct AshOstree {
	OstreeRepo *ostree;
	bool in_transaction;
	GHashTable *staged; /* checksums of files that agent/ostree-write.c made and that have no name yet; NULL: none */
	int staged_fd;  /* the directory that they wait in; valid with staged */
	uint8_t *small; /* room for one of them; valid with staged */
};

/* For ash_ostree_commit and ash_ostree_abort: what waits gets its names, or goes. */
gboolean ash_ostree_publish_staged(AshOstree *repo, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_ostree_drop_staged(AshOstree *repo);

/* Errors of the operating system keep their domain, so that a full disk is told as one; others are ASH_OSTREE_ERROR
 * @code. Returns FALSE.
 */
gboolean ash_ostree_fail(GError **error, GError *take_cause, int code, const char *what);
