/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ostree.h>

#include "agent/ostree.h"

/* The inside of the seam, for agent/ostree*.c only. */

struct AshOstree {
	OstreeRepo *ostree;
	bool in_transaction;
};

/* Errors of the operating system keep their domain, so that a full disk is told as one; others are ASH_OSTREE_ERROR
 * @code. Returns FALSE.
 */
gboolean ash_ostree_fail(GError **error, GError *take_cause, int code, const char *what);
