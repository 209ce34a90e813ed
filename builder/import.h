/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/cache.h"
#include "builder/lock.h"
#include "builder/manifest.h"
#include "builder/package.h"
#include "builder/repo.h"
#include "lib/progress.h"

/* The packages of a lock, brought into the cache repository: what is missing is downloaded, and
 * imported by all processors while the rest still downloads, the largest first.
 *
 * When one package fails, those that were imported before it stay in the cache.
 */

typedef struct {
	guint imported; /* packages that were not in the cache */
	guint64 downloaded_bytes;
} AshImportStats;

/* @threads: 0 for one a processor. @out_packages: AshPackage, in the order of the lock. */
gboolean ash_import_lock(AshCache *cache, AshRepo *repo, const AshManifest *manifest,
		const AshLock *lock, unsigned threads, AshProgress *progress,
		GPtrArray **out_packages, AshImportStats *out_stats, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Where the cache keeps a downloaded package; newly allocated. */
char *ash_import_deb_path(const AshCache *cache, const AshLockPackage *locked);
