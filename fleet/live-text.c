/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/live-text.h"

#include <stddef.h>
#include <string.h>

#include "fleet/live.h"

enum {
	SHARDS = 16,
	FIRST_CAPACITY = 64,
};

/* Never counted down: of ash_live_intern, and "". */
static const uint32_t FOR_EVER = UINT32_C(1) << 31;

typedef struct {
	uint32_t refs; /* 1 → 0 only under the shard's lock, so that who finds it there may count up */
	uint32_t hash;
	char text[];
} Text;

/* Open addressing, linear probing, at most half full. */
typedef struct {
	GMutex lock;
	Text **slots;
	uint32_t capacity, used; /* a power of two */
} Shard;

static Shard shards[SHARDS];

static const struct {
	uint32_t refs, hash;
	char text[4];
} empty_text = {.refs = UINT32_C(1) << 31};

static Text *text_of(const char *text)
{
	return (Text *) (uintptr_t) (text - offsetof(Text, text));
}

/* FNV-1a with a secret beginning: hosts choose the texts. */
static uint32_t hash_text(const char *text)
{
	static gsize seed;
	uint64_t hash;

	if (g_once_init_enter(&seed))
		g_once_init_leave(&seed, ((gsize) g_random_int() << 32 | g_random_int()) | 1);
	hash = seed;
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t) *text) * UINT64_C(0x100000001b3);
	return (uint32_t) (hash ^ hash >> 32);
}

/* Where it is, or where it would be. */
static uint32_t find_slot(const Shard *shard, const char *text, uint32_t hash)
{
	uint32_t at = hash / SHARDS & (shard->capacity - 1);

	while (shard->slots[at] != NULL &&
			(shard->slots[at]->hash != hash ||
					!g_str_equal(shard->slots[at]->text, text)))
		at = (at + 1) & (shard->capacity - 1);
	return at;
}

static void grow(Shard *shard)
{
	Text **old = shard->slots;
	uint32_t old_capacity = shard->capacity;

	shard->capacity = old_capacity == 0 ? FIRST_CAPACITY : old_capacity * 2;
	shard->slots = g_new0(Text *, shard->capacity);
	for (uint32_t i = 0; i < old_capacity; i++)
		if (old[i] != NULL)
			shard->slots[find_slot(shard, old[i]->text, old[i]->hash)] = old[i];
	g_free(old);
}

/* Closes the gap: whoever was pushed past it by a collision moves up. */
static void remove_slot(Shard *shard, uint32_t gap)
{
	uint32_t mask = shard->capacity - 1;

	shard->slots[gap] = NULL;
	for (uint32_t at = (gap + 1) & mask; shard->slots[at] != NULL; at = (at + 1) & mask) {
		uint32_t home = shard->slots[at]->hash / SHARDS & mask;
		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		shard->slots[gap] = shard->slots[at];
		shard->slots[at] = NULL;
		gap = at;
	}
	shard->used--;
}

const char *ash_live_text_empty(void)
{
	return empty_text.text;
}

static const char *take(const char *text, bool for_ever)
{
	if (text == NULL || text[0] == '\0')
		return empty_text.text;
	uint32_t hash = hash_text(text);
	Shard *shard = &shards[hash % SHARDS];
	g_mutex_lock(&shard->lock);
	if (shard->used * 2 >= shard->capacity)
		grow(shard);
	uint32_t at = find_slot(shard, text, hash);
	if (shard->slots[at] == NULL) {
		size_t size = strlen(text) + 1;
		shard->slots[at] = g_malloc(sizeof(Text) + size);
		shard->slots[at]->refs = 0;
		shard->slots[at]->hash = hash;
		memcpy(shard->slots[at]->text, text, size);
		shard->used++;
	}
	Text *found = shard->slots[at];
	if (for_ever)
		__atomic_or_fetch(&found->refs, FOR_EVER, __ATOMIC_RELAXED);
	else
		__atomic_add_fetch(&found->refs, 1, __ATOMIC_RELAXED);
	g_mutex_unlock(&shard->lock);
	return found->text;
}

const char *ash_live_text_take(const char *text)
{
	return take(text, false);
}

const char *ash_live_intern(const char *text)
{
	return take(text, true);
}

void ash_live_text_ref(const char *text)
{
	if (text[0] != '\0')
		__atomic_add_fetch(&text_of(text)->refs, 1, __ATOMIC_RELAXED);
}

static void unref_last(Text *text)
{
	Shard *shard = &shards[text->hash % SHARDS];

	g_mutex_lock(&shard->lock);
	bool is_gone = __atomic_sub_fetch(&text->refs, 1, __ATOMIC_ACQ_REL) == 0;
	if (is_gone)
		remove_slot(shard, find_slot(shard, text->text, text->hash));
	g_mutex_unlock(&shard->lock);
	if (is_gone)
		g_free(text);
}

void ash_live_text_unref(const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	Text *found = text_of(text);
	uint32_t refs = __atomic_load_n(&found->refs, __ATOMIC_RELAXED);
	while (refs != 1)
		if (__atomic_compare_exchange_n(&found->refs, &refs, refs - 1, true,
				    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return;
	unref_last(found);
}

uint64_t ash_live_text_count(void)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < SHARDS; i++) {
		g_mutex_lock(&shards[i].lock);
		count += shards[i].used;
		g_mutex_unlock(&shards[i].lock);
	}
	return count;
}
