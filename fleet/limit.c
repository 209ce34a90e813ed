/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/limit.h"

enum {
	SETS = 1 << 14, /* 65,536 keys, 1.5 MiB */
	WAYS = 4,
};

typedef struct {
	uint64_t key; /* a hash; 0: free. Two keys that share one share its bucket */
	int64_t at_us;
	double tokens;
} Bucket;

struct AshLimit {
	uint64_t rate, burst, seed;
	GMutex lock;
	Bucket (*sets)[WAYS];
};

AshLimit *ash_limit_new(uint64_t rate, uint64_t burst)
{
	AshLimit *limit = g_new0(AshLimit, 1);

	limit->rate = rate;
	limit->burst = MAX(burst, 1);
	/* Who does not know it cannot choose keys that fall on somebody else's bucket. */
	limit->seed = (uint64_t) g_random_int() << 32 | g_random_int();
	g_mutex_init(&limit->lock);
	if (rate > 0)
		limit->sets = g_malloc0_n(SETS, sizeof *limit->sets);
	return limit;
}

void ash_limit_free(AshLimit *limit)
{
	if (limit == NULL)
		return;
	g_mutex_clear(&limit->lock);
	g_free(limit->sets);
	g_free(limit);
}

/* FNV-1a, mixed at its end as by splitmix64. */
static uint64_t hash(uint64_t seed, const char *key)
{
	uint64_t value = seed ^ 0xcbf29ce484222325;

	for (; *key != '\0'; key++)
		value = (value ^ (uint8_t) *key) * 0x100000001b3;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	value ^= value >> 31;
	return value != 0 ? value : 1;
}

static Bucket *find(AshLimit *limit, uint64_t key, int64_t now_us)
{
	Bucket *set = limit->sets[key % SETS];
	Bucket *oldest = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].key == 0 || (oldest->key != 0 && set[i].at_us < oldest->at_us))
			oldest = &set[i];
	}
	*oldest = (Bucket){.key = key, .at_us = now_us, .tokens = (double) limit->burst};
	return oldest;
}

bool ash_limit_take(AshLimit *limit, const char *key, int64_t now_us, unsigned *out_retry_s)
{
	if (limit->rate == 0)
		return true;
	uint64_t id = hash(limit->seed, key);
	double rate = (double) limit->rate;

	g_mutex_lock(&limit->lock);
	Bucket *bucket = find(limit, id, now_us);
	double rested_s = (double) MAX(now_us - bucket->at_us, 0) / (double) G_USEC_PER_SEC;
	bucket->tokens = MIN(bucket->tokens + rested_s * rate, (double) limit->burst);
	bucket->at_us = MAX(now_us, bucket->at_us);
	bool may = bucket->tokens >= 1;
	if (may)
		bucket->tokens -= 1;
	else
		*out_retry_s = (unsigned) ((1 - bucket->tokens) / rate) + 1;
	g_mutex_unlock(&limit->lock);
	return may;
}
