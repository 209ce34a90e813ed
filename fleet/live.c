/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/live.h"

#include <string.h>

#include "fleet/live-inside.h"
#include "fleet/live-text.h"

enum {
	FIRST_CAPACITY = 64,
};

/* ---- hosts ---- */

static const size_t text_fields[] = {offsetof(AshHost, name), offsetof(AshHost, agent_state),
		offsetof(AshHost, verdict), offsetof(AshHost, commit), offsetof(AshHost, version),
		offsetof(AshHost, image), offsetof(AshHost, variant), offsetof(AshHost, arch),
		offsetof(AshHost, failed_commit), offsetof(AshHost, boot),
		offsetof(AshHost, wanted), offsetof(AshHost, workloads)};

static const char **text_field(AshHost *host, size_t i)
{
	return (const char **) (void *) ((char *) host + text_fields[i]);
}

void ash_host_init(AshHost *host)
{
	memset(host, 0, sizeof *host);
	for (size_t i = 0; i < G_N_ELEMENTS(text_fields); i++)
		*text_field(host, i) = ash_live_text_empty();
	host->rollout = host->verb = ash_live_text_empty();
}

void ash_host_copy(const AshHost *host, AshHost *out_copy)
{
	*out_copy = *host;
	for (size_t i = 0; i < G_N_ELEMENTS(text_fields); i++)
		ash_live_text_ref(*text_field(out_copy, i));
	ash_pairs_ref(host->labels, host->label_count);
	ash_pairs_ref(host->facts, host->fact_count);
}

void ash_host_clear(AshHost *host)
{
	for (size_t i = 0; i < G_N_ELEMENTS(text_fields); i++)
		ash_live_text_unref(*text_field(host, i));
	ash_pairs_unref(host->labels, host->label_count);
	ash_pairs_unref(host->facts, host->fact_count);
	memset(host, 0, sizeof *host);
}

void ash_host_set_text(const char **field, const char *text)
{
	if (g_strcmp0(*field, text) == 0)
		return;
	const char *old = *field;
	*field = ash_live_text_take(text);
	ash_live_text_unref(old);
}

void ash_host_take_labels(AshHost *host, AshPair *take_pairs, uint32_t count)
{
	ash_pairs_unref(host->labels, host->label_count);
	host->labels = take_pairs;
	host->label_count = count;
}

void ash_host_take_facts(AshHost *host, AshPair *take_pairs, uint32_t count)
{
	ash_pairs_unref(host->facts, host->fact_count);
	host->facts = take_pairs;
	host->fact_count = count;
}

uint64_t ash_host_hash(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	if (text == NULL || text[0] == '\0')
		return 0;
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t) *text) * UINT64_C(0x100000001b3);
	return hash == 0 ? 1 : hash;
}

void ash_host_set_boot(AshHost *host, const char *boot)
{
	if (g_str_equal(host->boot, boot))
		return;
	if (host->boot[0] != '\0') {
		memmove(&host->boots[1], &host->boots[0],
				(ASH_LIVE_BOOTS - 1) * sizeof host->boots[0]);
		host->boots[0] = ash_host_hash(host->boot);
	}
	ash_host_set_text(&host->boot, boot);
}

static const char *const state_texts[] = {
		[ASH_HOST_PENDING] = "pending",
		[ASH_HOST_ACTIVE] = "active",
		[ASH_HOST_HELD] = "held",
		[ASH_HOST_RETIRED] = "retired",
};

static const char *const health_texts[] = {
		[ASH_HEALTH_UNKNOWN] = "unknown",
		[ASH_HEALTH_GOOD] = "good",
		[ASH_HEALTH_DEGRADED] = "degraded",
		[ASH_HEALTH_UPDATING] = "updating",
		[ASH_HEALTH_BAD] = "bad",
		[ASH_HEALTH_SILENT] = "silent",
};

const char *ash_host_state_text(AshHostState state)
{
	return state_texts[state];
}

bool ash_host_state_find(const char *text, AshHostState *out_state)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(state_texts); i++) {
		if (!g_str_equal(text, state_texts[i]))
			continue;
		*out_state = (AshHostState) i;
		return true;
	}
	return false;
}

const char *ash_health_text(AshHealth health)
{
	return health_texts[health];
}

bool ash_health_find(const char *text, AshHealth *out_health)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(health_texts); i++) {
		if (!g_str_equal(text, health_texts[i]))
			continue;
		*out_health = (AshHealth) i;
		return true;
	}
	return false;
}

bool ash_host_may_report(const AshHost *host)
{
	return host->state == ASH_HOST_ACTIVE || (host->state == ASH_HOST_HELD && !host->is_clone);
}

AshHealth ash_host_derive_health(const AshHost *host)
{
	static const char *const working[] = {
			"fetching", "ready", "deploying", "rebooting", "trial", NULL};

	if ((host->said & ASH_HOST_SAID_STATE) == 0)
		return ASH_HEALTH_UNKNOWN;
	if (g_str_equal(host->verdict, "bad"))
		return ASH_HEALTH_BAD;
	if (g_strv_contains(working, host->agent_state))
		return ASH_HEALTH_UPDATING;
	if ((host->said & ASH_HOST_SAID_RETURNED) != 0)
		return ASH_HEALTH_BAD;
	if (g_str_equal(host->verdict, "degraded") || (host->said & ASH_HOST_SAID_STUCK) != 0)
		return ASH_HEALTH_DEGRADED;
	return ASH_HEALTH_GOOD;
}

bool ash_host_id_parse(const char *hex, uint8_t out_id[ASH_HOST_ID_BYTES])
{
	uint8_t id[ASH_HOST_ID_BYTES];

	for (unsigned i = 0; i < ASH_HOST_ID_BYTES * 2; i++) {
		char c = hex[i];
		if (!g_ascii_isdigit(c) && (c < 'a' || c > 'f'))
			return false;
		unsigned digit = (unsigned) g_ascii_xdigit_value(c);
		id[i / 2] = (uint8_t) (i % 2 == 0 ? digit << 4 : id[i / 2] | digit);
	}
	if (hex[ASH_HOST_ID_BYTES * 2] != '\0')
		return false;
	memcpy(out_id, id, sizeof id);
	return true;
}

void ash_host_id_format(const uint8_t id[ASH_HOST_ID_BYTES], char out_hex[65])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < ASH_HOST_ID_BYTES; i++) {
		out_hex[2 * i] = digits[id[i] >> 4];
		out_hex[2 * i + 1] = digits[id[i] & 15];
	}
	out_hex[64] = '\0';
}

/* ---- the table of a shard ---- */

/* Ids are hashes already. */
static uint32_t home_of(const AshLiveShard *shard, const uint8_t *id)
{
	uint32_t hash;

	memcpy(&hash, id, sizeof hash);
	return hash & (shard->capacity - 1);
}

AshLiveEntry *ash_live_entry(AshLiveShard *shard, uint32_t number)
{
	AshLiveEntry *chunk = g_ptr_array_index(shard->chunks, number / ASH_LIVE_CHUNK);

	return &chunk[number % ASH_LIVE_CHUNK];
}

static const uint8_t *id_at(AshLiveShard *shard, uint32_t at)
{
	return ash_live_entry(shard, shard->slots[at] - 1)->host.id;
}

/* Where it is, or where it would be. */
static uint32_t find_slot(AshLiveShard *shard, const uint8_t *id)
{
	uint32_t at = home_of(shard, id);

	while (shard->slots[at] != 0 && memcmp(id_at(shard, at), id, ASH_HOST_ID_BYTES) != 0)
		at = (at + 1) & (shard->capacity - 1);
	return at;
}

static void grow(AshLiveShard *shard)
{
	uint32_t *old = shard->slots;
	uint32_t old_capacity = shard->capacity;

	shard->capacity = old_capacity == 0 ? FIRST_CAPACITY : old_capacity * 2;
	shard->slots = g_new0(uint32_t, shard->capacity);
	for (uint32_t i = 0; i < old_capacity; i++)
		if (old[i] != 0)
			shard->slots[find_slot(shard, ash_live_entry(shard, old[i] - 1)->host.id)] =
					old[i];
	g_free(old);
}

/* Closes the gap: whoever was pushed past it by a collision moves up. */
static void remove_slot(AshLiveShard *shard, uint32_t gap)
{
	uint32_t mask = shard->capacity - 1;

	shard->slots[gap] = 0;
	for (uint32_t at = (gap + 1) & mask; shard->slots[at] != 0; at = (at + 1) & mask) {
		uint32_t home = home_of(shard, id_at(shard, at));
		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		shard->slots[gap] = shard->slots[at];
		shard->slots[at] = 0;
		gap = at;
	}
}

static AshLiveShard *shard_of(AshLive *live, const uint8_t *id)
{
	return &live->shards[id[ASH_HOST_ID_BYTES - 1] % ASH_LIVE_SHARDS];
}

AshLiveShard *ash_live_lock(AshLive *live, const uint8_t *id)
{
	AshLiveShard *shard = shard_of(live, id);

	g_mutex_lock(&shard->lock);
	return shard;
}

AshLiveEntry *ash_live_find(AshLiveShard *shard, const uint8_t *id)
{
	if (shard->capacity == 0)
		return NULL;
	uint32_t number = shard->slots[find_slot(shard, id)];
	return number == 0 ? NULL : ash_live_entry(shard, number - 1);
}

AshLiveEntry *ash_live_add(AshLiveShard *shard, const uint8_t *id)
{
	uint32_t number = shard->free;

	if (shard->count * 3 >= shard->capacity * 2)
		grow(shard);
	if (number > 0) {
		shard->free = ash_live_entry(shard, number - 1)->wait;
	} else {
		if (shard->made % ASH_LIVE_CHUNK == 0)
			g_ptr_array_add(shard->chunks, g_new(AshLiveEntry, ASH_LIVE_CHUNK));
		number = ++shard->made;
	}
	AshLiveEntry *entry = ash_live_entry(shard, number - 1);
	ash_host_init(&entry->host);
	memcpy(entry->host.id, id, ASH_HOST_ID_BYTES);
	entry->wait = 0;
	shard->slots[find_slot(shard, id)] = number;
	shard->count++;
	return entry;
}

/* ---- what others call ---- */

bool ash_live_get(AshLive *live, const uint8_t *id, AshHost *out_host)
{
	AshLiveShard *shard = ash_live_lock(live, id);
	AshLiveEntry *entry = ash_live_find(shard, id);

	if (entry != NULL)
		ash_host_copy(&entry->host, out_host);
	g_mutex_unlock(&shard->lock);
	return entry != NULL;
}

bool ash_live_change(
		AshLive *live, const uint8_t *id, bool may_add, AshLiveChange change, gpointer data)
{
	AshLiveShard *shard = ash_live_lock(live, id);
	AshLiveEntry *entry = ash_live_find(shard, id);
	AshLiveWaiter waiter = {0};

	if (entry == NULL && may_add)
		entry = ash_live_add(shard, id);
	if (entry != NULL) {
		int64_t desired = entry->host.desired;
		AshHostState state = entry->host.state;
		uint16_t open_orders = entry->host.open_orders;
		change(&entry->host, data);
		if (entry->wait > 0 &&
				(desired != entry->host.desired || state != entry->host.state ||
						open_orders != entry->host.open_orders))
			waiter = ash_live_unwait(shard, entry);
	}
	g_mutex_unlock(&shard->lock);
	if (waiter.wake != NULL)
		waiter.wake(waiter.data);
	return entry != NULL;
}

void ash_live_remove(AshLive *live, const uint8_t *id)
{
	AshLiveShard *shard = ash_live_lock(live, id);
	AshLiveEntry *entry = ash_live_find(shard, id);
	AshLiveWaiter waiter = {0};

	if (entry != NULL) {
		uint32_t at = find_slot(shard, id);
		uint32_t number = shard->slots[at];
		if (entry->wait > 0)
			waiter = ash_live_unwait(shard, entry);
		remove_slot(shard, at);
		ash_host_clear(&entry->host);
		entry->wait = shard->free;
		shard->free = number;
		shard->count--;
	}
	g_mutex_unlock(&shard->lock);
	if (waiter.wake != NULL)
		waiter.wake(waiter.data);
}

/* FALSE: @each wants no more. */
static bool each_of_shard(AshLiveShard *shard, AshLiveEach each, gpointer data)
{
	bool goes_on = true;

	g_mutex_lock(&shard->lock);
	for (uint32_t i = 0; i < shard->capacity && goes_on; i++)
		if (shard->slots[i] != 0)
			goes_on = each(&ash_live_entry(shard, shard->slots[i] - 1)->host, data);
	g_mutex_unlock(&shard->lock);
	return goes_on;
}

void ash_live_each(AshLive *live, AshLiveEach each, gpointer data)
{
	for (unsigned i = 0; i < ASH_LIVE_SHARDS; i++)
		if (!each_of_shard(&live->shards[i], each, data))
			return;
}

uint64_t ash_live_count(AshLive *live)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < ASH_LIVE_SHARDS; i++) {
		g_mutex_lock(&live->shards[i].lock);
		count += live->shards[i].count;
		g_mutex_unlock(&live->shards[i].lock);
	}
	return count;
}

AshLive *ash_live_new(void)
{
	AshLive *live = g_new0(AshLive, 1);

	for (unsigned i = 0; i < ASH_LIVE_SHARDS; i++) {
		AshLiveShard *shard = &live->shards[i];
		g_mutex_init(&shard->lock);
		g_mutex_init(&shard->reload_lock);
		shard->chunks = g_ptr_array_new_with_free_func(g_free);
		shard->waiters = g_array_new(FALSE, FALSE, sizeof(AshLiveWaiter));
	}
	ash_live_timer_start(live);
	return live;
}

void ash_live_free(AshLive *live)
{
	if (live == NULL)
		return;
	if (live->unfollow != NULL)
		live->unfollow(live);
	ash_live_wake_all(live);
	ash_live_timer_stop(live);
	for (unsigned i = 0; i < ASH_LIVE_SHARDS; i++) {
		AshLiveShard *shard = &live->shards[i];
		for (uint32_t at = 0; at < shard->capacity; at++)
			if (shard->slots[at] != 0)
				ash_host_clear(&ash_live_entry(shard, shard->slots[at] - 1)->host);
		g_free(shard->slots);
		g_ptr_array_unref(shard->chunks);
		g_array_unref(shard->waiters);
		g_mutex_clear(&shard->lock);
		g_mutex_clear(&shard->reload_lock);
	}
	g_free(live);
}
