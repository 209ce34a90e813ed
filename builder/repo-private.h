/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ostree.h>

#include "builder/repo.h"

/* What the files of builder/repo have in common: the one seam to libostree of this room. */

struct AshRepo {
	OstreeRepo *ostree;
	char *path;
	bool in_transaction;
};

enum {
	/* Hex digits of a checksum, and room for the end. */
	ASH_REPO_CHECKSUM_BUFFER = OSTREE_SHA256_STRING_LEN + 1,
};

/* Translates what libostree says into this module's domain; errors of the operating system keep
 * theirs, so that a full disk is told as one.
 */
gboolean ash_repo_fail(GError **error, GError *take_cause, int code, const char *what);
