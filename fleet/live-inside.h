/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/live.h"

/* What fleet/live*.c share of AshLive. Hosts lie in chunks that never move; a shard's table holds their numbers, its
 * heap who waits, soonest first. Locks: a shard's, then the pool of texts; never two shards'.
 */

enum {
	ASH_LIVE_SHARDS = 64,
	ASH_LIVE_CHUNK = 128, /* hosts */
};

typedef struct {
	AshHost host;
	uint32_t wait; /* place in the heap + 1; 0: nobody waits. Of a free entry: the next free one's number */
} AshLiveEntry;

typedef struct {
	AshLiveWake wake;
	gpointer data;
	int64_t deadline_us;
	AshLiveEntry *entry;
} AshLiveWaiter;

typedef struct {
	GMutex lock;
	uint32_t *slots; /* number of an entry, from 1; 0: free */
	uint32_t capacity, count, made, free;
	GPtrArray *chunks;
	GArray *waiters;    /* AshLiveWaiter, a binary heap by deadline */
	GMutex reload_lock; /* reading a host anew, until it is in place: the later read wins */
} AshLiveShard;

struct AshLive {
	AshLiveShard shards[ASH_LIVE_SHARDS];
	/* The thread that wakes whose deadline has passed. */
	GThread *timer;
	GMutex timer_lock;
	GCond timer_wake;
	int64_t timer_next_us;
	bool is_ending;
	/* fleet/live-load.c's, so that this may be used without a database. */
	int64_t loaded_event; /* what was read at start has all events up to it */
	void *follower;
	void (*unfollow)(AshLive *live);
};

/* Locked. */
AshLiveShard *ash_live_lock(AshLive *live, const uint8_t *id);
AshLiveEntry *ash_live_find(AshLiveShard *shard, const uint8_t *id); /* NULL */
AshLiveEntry *ash_live_add(AshLiveShard *shard, const uint8_t *id);  /* must not be there */
AshLiveEntry *ash_live_entry(AshLiveShard *shard, uint32_t number);
/* Takes it out; to be called when nothing is locked. */
AshLiveWaiter ash_live_unwait(AshLiveShard *shard, AshLiveEntry *entry);

void ash_live_timer_start(AshLive *live);
void ash_live_timer_stop(AshLive *live);
