/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/live-inside.h"

enum {
	GRAIN_US = 100000,
};

/* ---- a heap ---- */

static AshLiveWaiter *waiter_at(AshLiveShard *shard, guint at)
{
	return &g_array_index(shard->waiters, AshLiveWaiter, at);
}

static void place(AshLiveShard *shard, guint at, AshLiveWaiter waiter)
{
	*waiter_at(shard, at) = waiter;
	waiter.entry->wait = at + 1;
}

static void sift_up(AshLiveShard *shard, guint at, AshLiveWaiter waiter)
{
	while (at > 0) {
		guint parent = (at - 1) / 2;
		if (waiter_at(shard, parent)->deadline_us <= waiter.deadline_us)
			break;
		place(shard, at, *waiter_at(shard, parent));
		at = parent;
	}
	place(shard, at, waiter);
}

static void sift_down(AshLiveShard *shard, guint at, AshLiveWaiter waiter)
{
	for (;;) {
		guint child = at * 2 + 1;
		if (child >= shard->waiters->len)
			break;
		if (child + 1 < shard->waiters->len &&
				waiter_at(shard, child + 1)->deadline_us <
						waiter_at(shard, child)->deadline_us)
			child++;
		if (waiter.deadline_us <= waiter_at(shard, child)->deadline_us)
			break;
		place(shard, at, *waiter_at(shard, child));
		at = child;
	}
	place(shard, at, waiter);
}

AshLiveWaiter ash_live_unwait(AshLiveShard *shard, AshLiveEntry *entry)
{
	guint at = entry->wait - 1;
	AshLiveWaiter taken = *waiter_at(shard, at);
	AshLiveWaiter last = *waiter_at(shard, shard->waiters->len - 1);

	entry->wait = 0;
	g_array_set_size(shard->waiters, shard->waiters->len - 1);
	if (last.entry == entry)
		return taken;
	if (at > 0 && waiter_at(shard, (at - 1) / 2)->deadline_us > last.deadline_us)
		sift_up(shard, at, last);
	else
		sift_down(shard, at, last);
	return taken;
}

/* ---- waiting ---- */

/* The thread sleeps until timer_next_us: it has to hear of what is due sooner. */
static void tell_timer(AshLive *live, int64_t deadline_us)
{
	g_mutex_lock(&live->timer_lock);
	if (deadline_us < live->timer_next_us) {
		live->timer_next_us = deadline_us;
		g_cond_signal(&live->timer_wake);
	}
	g_mutex_unlock(&live->timer_lock);
}

bool ash_live_wait(AshLive *live, const uint8_t *id, int64_t desired, int64_t deadline_us,
		AshLiveWake wake, gpointer data)
{
	AshLiveShard *shard = ash_live_lock(live, id);
	AshLiveEntry *entry = ash_live_find(shard, id);
	AshLiveWaiter before = {0};
	/* Rounded up, so that what is due is due together, and a fleet that waits wakes nobody but then. */
	if (deadline_us < INT64_MAX - GRAIN_US)
		deadline_us = (deadline_us / GRAIN_US + 1) * GRAIN_US;
	bool may = entry != NULL && entry->host.desired == desired &&
		   ash_host_may_report(&entry->host) &&
		   !__atomic_load_n(&live->is_ending, __ATOMIC_ACQUIRE);

	if (may) {
		AshLiveWaiter waiter = {wake, data, deadline_us, entry};
		if (entry->wait > 0)
			before = ash_live_unwait(shard, entry);
		g_array_set_size(shard->waiters, shard->waiters->len + 1);
		sift_up(shard, shard->waiters->len - 1, waiter);
	}
	g_mutex_unlock(&shard->lock);
	if (before.wake != NULL)
		before.wake(before.data);
	if (may)
		tell_timer(live, deadline_us);
	return may;
}

/* Calls all of @shard whose deadline is not behind @until_us; returns the next deadline. */
static int64_t wake_due(AshLiveShard *shard, int64_t until_us)
{
	g_autoptr(GArray) due = NULL;
	int64_t next_us = INT64_MAX;

	g_mutex_lock(&shard->lock);
	while (shard->waiters->len > 0 && waiter_at(shard, 0)->deadline_us <= until_us) {
		AshLiveWaiter waiter = ash_live_unwait(shard, waiter_at(shard, 0)->entry);
		if (due == NULL)
			due = g_array_new(FALSE, FALSE, sizeof waiter);
		g_array_append_val(due, waiter);
	}
	if (shard->waiters->len > 0)
		next_us = waiter_at(shard, 0)->deadline_us;
	g_mutex_unlock(&shard->lock);
	for (guint i = 0; due != NULL && i < due->len; i++) {
		AshLiveWaiter waiter = g_array_index(due, AshLiveWaiter, i);
		waiter.wake(waiter.data);
	}
	return next_us;
}

void ash_live_wake_all(AshLive *live)
{
	__atomic_store_n(&live->is_ending, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < ASH_LIVE_SHARDS; i++)
		wake_due(&live->shards[i], INT64_MAX);
}

uint64_t ash_live_waiting(AshLive *live)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < ASH_LIVE_SHARDS; i++) {
		g_mutex_lock(&live->shards[i].lock);
		count += live->shards[i].waiters->len;
		g_mutex_unlock(&live->shards[i].lock);
	}
	return count;
}

/* ---- the thread ---- */

static gpointer run_timer(gpointer data)
{
	AshLive *live = data;

	g_mutex_lock(&live->timer_lock);
	while (live->timer_next_us != INT64_MIN) {
		if (live->timer_next_us > g_get_monotonic_time()) {
			if (live->timer_next_us == INT64_MAX)
				g_cond_wait(&live->timer_wake, &live->timer_lock);
			else
				g_cond_wait_until(&live->timer_wake, &live->timer_lock,
						live->timer_next_us);
			continue;
		}
		/* What comes while the shards are looked at counts from here on. */
		live->timer_next_us = INT64_MAX;
		g_mutex_unlock(&live->timer_lock);
		int64_t next_us = INT64_MAX;
		for (unsigned i = 0; i < ASH_LIVE_SHARDS; i++)
			next_us = MIN(next_us, wake_due(&live->shards[i], g_get_monotonic_time()));
		g_mutex_lock(&live->timer_lock);
		live->timer_next_us = MIN(live->timer_next_us, next_us);
	}
	g_mutex_unlock(&live->timer_lock);
	return NULL;
}

void ash_live_timer_start(AshLive *live)
{
	g_mutex_init(&live->timer_lock);
	g_cond_init(&live->timer_wake);
	live->timer_next_us = INT64_MAX;
	live->timer = g_thread_new("live-timer", run_timer, live);
}

void ash_live_timer_stop(AshLive *live)
{
	tell_timer(live, INT64_MIN);
	g_thread_join(live->timer);
	g_mutex_clear(&live->timer_lock);
	g_cond_clear(&live->timer_wake);
}
