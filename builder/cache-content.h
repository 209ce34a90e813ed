/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/cache.h"

/* What is in the cache, and taking out what is not worth its place (builder/cache.h has the layout).
 *
 * What goes, by age, is what no build has used for so long: imported packages (refs deb/…), steps
 * (refs stage/KIND/…, of which the newest of each kind stay whatever their age, and older ones beyond
 * a number go whatever theirs), downloaded .debs. Then objects of the repository that no ref reaches.
 * The indices stay, or 'ashlar lock --offline' would not work any more; they are small.
 */

enum {
	ASH_CACHE_KEEP_DAYS = 30,
	ASH_CACHE_KEEP_STAGES = 2, /* of each kind, whatever their age */
	ASH_CACHE_MAX_STAGES = 10, /* of each kind */
	ASH_CACHE_STALE_DAYS =
			1, /* a download that was broken off is not gone on with after this */
};

typedef struct {
	char *name; /* "repo", "repo deb", "repo stage/configured", "debs", "index", "scratch" */
	unsigned count;
	uint64_t bytes; /* on disk; of refs it is not known: they share objects */
	bool has_bytes;
} AshCachePart;

/* Takes no lock: while a build runs, the numbers are of no one instant. A missing @dir has no parts. */
gboolean ash_cache_measure(const char *dir, GPtrArray **out_parts, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	bool all;           /* everything; the repository need not be whole */
	unsigned keep_days; /* 0: whatever was not used since this second */
	int64_t now_s;
} AshCachePrune;

typedef struct {
	unsigned refs;
	unsigned debs;
	uint64_t bytes; /* on disk */
} AshCachePruned;

/* @cache: open and exclusive */
gboolean ash_cache_prune(AshCache *cache, const AshCachePrune *options, AshCachePruned *out_pruned,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
