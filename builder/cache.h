/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "lib/file.h"
#include "lib/progress.h"

/* The cache: everything that a build may take from an earlier one. Losing it costs time, never a
 * result.
 *
 *	CACHE/            0700: the repository holds files that are setuid root
 *	  lock            shared by whoever uses the cache, exclusive for whoever takes things out
 *	  write-lock      held by the one that downloads and imports
 *	  repo/           builder/repo.h; refs deb/NAME/SHA256, stage/…
 *	  debs/           downloaded packages, kept by hash
 *	  index/          the archives' indices, and their .solv files
 *	  scratch/        directories of running builds
 *
 * A build opens the cache ASH_CACHE_SHARED and keeps it open to its end: what it has found in there
 * stays. While it downloads and imports it holds the write lock besides, so two builds at once fetch
 * nothing twice, and do all else side by side. Pruning opens it ASH_CACHE_EXCLUSIVE, and so begins
 * only when no build runs. The locks are flock(2): they go with the process, however it ends.
 *
 * Two files, because flock(2) gives up a shared lock before it waits for the exclusive one, and a
 * prune could slip in between.
 */

typedef enum {
	ASH_CACHE_SHARED,
	ASH_CACHE_EXCLUSIVE,
} AshCacheLock;

typedef struct AshCache AshCache;

/* ash_cache_open: makes what is missing of the layout, and waits for the lock; after a second it says
 * so on @progress (may be NULL). An interrupt ends the waiting with G_IO_ERROR_CANCELLED.
 *
 * Whoever finds itself alone removes what killed builds have left in scratch/.
 */
gboolean ash_cache_open(const char *dir, AshCacheLock lock, AshProgress *progress,
		AshCache **out_cache, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_cache_free(AshCache *cache);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshCache, ash_cache_free)

/* The directory itself. Borrowed. */
const char *ash_cache_dir(const AshCache *cache);

/* @name: "repo", "debs", "index", "scratch" or a path below one of them; newly allocated. */
char *ash_cache_path(const AshCache *cache, const char *name);

/* A directory below scratch/, on the file system of the repository, that goes with its scope. */
gboolean ash_cache_make_scratch(const AshCache *cache, const char *prefix, AshTempDir **out_dir,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* From _begin_write to _end_write no other process writes. Not nested. */
gboolean ash_cache_begin_write(AshCache *cache, AshProgress *progress, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_cache_end_write(AshCache *cache);

/* Notes that a build has used @name ("debs/…", or the absolute path of it), or a ref of the repository,
 * today: pruning by age goes by it. What is missing is none of its business.
 */
void ash_cache_mark_used(const AshCache *cache, const char *name);
void ash_cache_mark_ref_used(const AshCache *cache, const char *ref);
