/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/bsdiff.h"

#include <stdbool.h>
#include <string.h>

enum {
	WINDOW_BYTES = 16,
	/* A longer match is as good: it is found again where this ends. Bounds the time. */
	MAX_MATCH_BYTES = 1024,
	/* So many bytes more than the present alignment has are worth another. */
	MIN_GAIN_BYTES = 8,
	NUMBER_BYTES = 8,
};

typedef struct {
	const uint8_t *from, *to;
	size_t from_size, to_size;
	uint32_t *table; /* of hash: where that is in from, plus one; 0: nowhere */
	unsigned bits;
} Diff;

/* Where a run of equal bytes begins in both, and how long it is. */
typedef struct {
	size_t from, to, size;
} Match;

static uint32_t hash_window(const uint8_t *data, unsigned bits)
{
	uint64_t words[2];

	memcpy(words, data, sizeof words);
	uint64_t mixed = (words[0] ^ (words[1] * 0x9e3779b97f4a7c15ull)) * 0xff51afd7ed558ccdull;
	return (uint32_t) ((mixed ^ (mixed >> 29)) * 0xc4ceb9fe1a85ec53ull >> (64 - bits));
}

static void fill_table(Diff *diff)
{
	while (diff->bits < 30 && ((size_t) 1 << diff->bits) < diff->from_size)
		diff->bits++;
	diff->table = g_new0(uint32_t, (size_t) 1 << diff->bits);
	for (size_t i = 0; i + WINDOW_BYTES <= diff->from_size; i++) {
		uint32_t hash = hash_window(diff->from + i, diff->bits);
		if (diff->table[hash] == 0)
			diff->table[hash] = (uint32_t) i + 1;
	}
}

static Match find(const Diff *diff, size_t at)
{
	Match match = {.to = at};

	if (at + WINDOW_BYTES > diff->to_size)
		return match;
	uint32_t entry = diff->table[hash_window(diff->to + at, diff->bits)];
	if (entry == 0)
		return match;
	match.from = entry - 1;
	while (match.size < MAX_MATCH_BYTES && at + match.size < diff->to_size &&
			match.from + match.size < diff->from_size &&
			diff->from[match.from + match.size] == diff->to[at + match.size])
		match.size++;
	return match;
}

/* Is byte @at of the new file that of the old one, @shift further? */
static bool is_same(const Diff *diff, size_t at, ptrdiff_t shift)
{
	size_t there = at + (size_t) shift;

	/* Below zero it wraps, and is too big as well. */
	return there < diff->from_size && diff->from[there] == diff->to[at];
}

/* The next place from @start on at which another alignment than @shift is better, or the same as long. */
static Match find_better(const Diff *diff, size_t start, ptrdiff_t shift, size_t *out_same)
{
	Match match = {.to = start};
	size_t counted = start;
	size_t same = 0; /* bytes that the present alignment has right in the match's reach */

	for (size_t at = start; at < diff->to_size; at++) {
		match = find(diff, at);
		if (counted < at)
			counted = at;
		for (; counted < at + match.size; counted++)
			same += is_same(diff, counted, shift);
		if ((match.size == same && same != 0) || match.size > same + MIN_GAIN_BYTES) {
			*out_same = same;
			return match;
		}
		if (counted > at)
			same -= is_same(diff, at, shift);
	}
	*out_same = 0;
	return (Match){.to = diff->to_size};
}

/* How far the last match may be taken on, at least half of the bytes being right. */
static size_t extend_forward(const Diff *diff, const Match *last, size_t limit)
{
	ptrdiff_t score = 0;
	ptrdiff_t best = 0;
	size_t best_size = 0;

	for (size_t i = 0; last->to + i < limit && last->from + i < diff->from_size; i++) {
		score += diff->from[last->from + i] == diff->to[last->to + i] ? 1 : -1;
		if (score > best) {
			best = score;
			best_size = i + 1;
		}
	}
	return best_size;
}

static size_t extend_backward(const Diff *diff, const Match *match, size_t limit)
{
	ptrdiff_t score = 0;
	ptrdiff_t best = 0;
	size_t best_size = 0;

	for (size_t i = 1; match->to >= limit + i && match->from >= i; i++) {
		score += diff->from[match->from - i] == diff->to[match->to - i] ? 1 : -1;
		if (score > best) {
			best = score;
			best_size = i;
		}
	}
	return best_size;
}

/* Both extensions claim the last @overlap bytes of the first: so many of them are better the first's. */
static size_t share(
		const Diff *diff, size_t first_from, size_t second_from, size_t to, size_t overlap)
{
	ptrdiff_t score = 0;
	ptrdiff_t best = 0;
	size_t best_size = 0;

	for (size_t i = 0; i < overlap; i++) {
		score += diff->from[first_from + i] == diff->to[to + i];
		score -= diff->from[second_from + i] == diff->to[to + i];
		if (score > best) {
			best = score;
			best_size = i + 1;
		}
	}
	return best_size;
}

static void put_number(GByteArray *out, ptrdiff_t number)
{
	uint64_t size = (uint64_t) (number < 0 ? -number : number);
	uint8_t bytes[NUMBER_BYTES];

	for (unsigned i = 0; i < NUMBER_BYTES; i++)
		bytes[i] = (uint8_t) (size >> (8 * i));
	if (number < 0)
		bytes[NUMBER_BYTES - 1] |= 0x80;
	g_byte_array_append(out, bytes, NUMBER_BYTES);
}

/* From where @last begins to where @next does: @size bytes with @last's alignment, the rest as it is. */
static void put_step(const Diff *diff, const Match *last, size_t size, const Match *next,
		GByteArray *out)
{
	size_t plain = next->to - (last->to + size);

	put_number(out, (ptrdiff_t) size);
	put_number(out, (ptrdiff_t) plain);
	put_number(out, (ptrdiff_t) next->from - (ptrdiff_t) (last->from + size));
	guint at = out->len;
	g_byte_array_set_size(out, at + (guint) size);
	for (size_t i = 0; i < size; i++)
		out->data[at + i] = (uint8_t) (diff->to[last->to + i] - diff->from[last->from + i]);
	g_byte_array_append(out, diff->to + last->to + size, (guint) plain);
}

void ash_bsdiff(const uint8_t *from, size_t from_size, const uint8_t *to, size_t to_size,
		GByteArray *out)
{
	Diff diff = {.from = from,
			.to = to,
			.from_size = from_size,
			.to_size = to_size,
			.bits = 10};
	Match last = {0};
	size_t at = 0;
	ptrdiff_t shift = 0;

	g_assert(from_size <= ASH_BSDIFF_MAX_BYTES && to_size <= ASH_BSDIFF_MAX_BYTES);
	fill_table(&diff);
	for (bool is_end = false; !is_end;) {
		size_t same = 0;
		Match match = find_better(&diff, at, shift, &same);
		is_end = match.to >= to_size;
		at = match.to + match.size;
		if (match.size == same && !is_end)
			continue;
		size_t forward = extend_forward(&diff, &last, match.to);
		size_t backward = is_end ? 0 : extend_backward(&diff, &match, last.to);
		size_t gap = match.to - last.to;
		if (forward + backward > gap) {
			size_t overlap = forward + backward - gap;
			size_t kept = share(&diff, last.from + forward - overlap,
					match.from - backward, match.to - backward, overlap);
			forward = forward - overlap + kept;
			backward -= kept;
		}
		shift = (ptrdiff_t) match.from - (ptrdiff_t) match.to;
		Match next = {.from = is_end ? last.from + forward : match.from - backward,
				.to = match.to - backward};
		put_step(&diff, &last, forward, &next, out);
		last = next;
	}
	g_free(diff.table);
}
