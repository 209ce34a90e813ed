/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* Group commit: what many threads want to write goes into one transaction, and each is told when it is on disk. One
 * thread writes; while it waits for the disk, the next group gathers.
 */

typedef struct AshWriter AshWriter;

/* @apply writes the item within the group's transaction; FALSE: this item fails, and the group is written again without
 * it (so it may be called twice, and must not keep what it learned from a call that came to nothing but in the item,
 * anew each time). @done: once, after the commit (@error NULL) or when it failed (then nothing of it is on disk, or the
 * connection was lost in the commit: the sender will send it again). Both on the writer's thread. The item is @done's
 * to free.
 */
typedef struct {
	gboolean (*apply)(AshDb *db, gpointer item, GError **error);
	void (*done)(gpointer item, const GError *error);
} AshWriteKind;

gboolean ash_writer_start(AshDbPool *pool, AshWriter **out_writer, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Writes what is queued, and ends. */
void ash_writer_free(AshWriter *writer);
/* FALSE: too much is queued already (32,768 items); nothing was taken: answer 503. */
gboolean ash_writer_queue(AshWriter *writer, const AshWriteKind *kind, gpointer item)
		G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	uint64_t groups, items, failures, queued;
	int64_t last_commit_us; /* how long it took */
	bool is_failing;        /* the last group could not be written; @error says why */
} AshWriterCounts;
void ash_writer_counts(AshWriter *writer, AshWriterCounts *out_counts);
char *ash_writer_trouble(AshWriter *writer); /* newly allocated sentence; NULL: none */
