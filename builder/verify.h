/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/cache.h"
#include "builder/lock.h"
#include "builder/manifest.h"
#include "builder/repo.h"
#include "lib/progress.h"

/* Builds once more from the lock, in a cache of its own that is empty but for the .debs (whose hashes
 * are checked again as they are imported), and compares with a commit that is there.
 */

typedef struct {
	char *expected;       /* commit */
	char *rebuilt;        /* commit */
	GPtrArray *differing; /* char *: paths that are not the same in both, at most
			       * ASH_VERIFY_MAX_PATHS, each with what differs */
} AshVerifyResult;

enum {
	ASH_VERIFY_MAX_PATHS = 100,
};

void ash_verify_result_clear(AshVerifyResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshVerifyResult, ash_verify_result_clear)

/* @rev: the commit in @repo to compare with. Needs root. */
gboolean ash_verify(AshCache *cache, AshRepo *repo, const char *rev, const AshManifest *manifest,
		const AshLock *lock, AshProgress *progress, AshVerifyResult *result, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
