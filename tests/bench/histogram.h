/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* Latencies in microseconds, to 1.6 %. */

enum {
	SUB_BITS = 6,
	BUCKETS = 64 << SUB_BITS,
};

typedef struct {
	uint64_t buckets[BUCKETS], count;
	int64_t max_us;
} Histogram;

static unsigned bucket_of(uint64_t us)
{
	if (us < 1 << SUB_BITS)
		return (unsigned) us;
	unsigned shift = (unsigned) (63 - __builtin_clzll(us)) - SUB_BITS;
	return ((shift + 1) << SUB_BITS) + (unsigned) ((us >> shift) & ((1 << SUB_BITS) - 1));
}

static uint64_t bucket_top(unsigned bucket)
{
	unsigned shift = bucket >> SUB_BITS;

	if (shift == 0)
		return bucket;
	return ((uint64_t) (bucket & ((1 << SUB_BITS) - 1)) + (1 << SUB_BITS) + 1) << (shift - 1);
}

static void histogram_add(Histogram *histogram, int64_t us)
{
	histogram->buckets[bucket_of(us > 0 ? (uint64_t) us : 0)]++;
	histogram->count++;
	if (us > histogram->max_us)
		histogram->max_us = us;
}

static double histogram_ms(const Histogram *histogram, double part)
{
	uint64_t wanted = (uint64_t) ((double) histogram->count * part);
	uint64_t seen = 0;

	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen > wanted)
			return (double) bucket_top(i) / 1000;
	}
	return (double) histogram->max_us / 1000;
}
