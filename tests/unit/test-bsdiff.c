/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/bsdiff.h"

#include <string.h>

/* What OSTree's bspatch does with the stream. NULL: it does not fit. */
static GByteArray *apply(
		const uint8_t *from, size_t from_size, const GByteArray *stream, size_t size)
{
	g_autoptr(GByteArray) to = g_byte_array_new();
	size_t at = 0;
	gint64 there = 0;

	while (to->len < size) {
		gint64 numbers[3];
		if (stream->len - at < sizeof numbers)
			return NULL;
		for (unsigned i = 0; i < 3; i++, at += 8) {
			guint64 raw = 0;
			for (unsigned b = 0; b < 8; b++)
				raw |= (guint64) stream->data[at + b] << (8 * b);
			numbers[i] = (gint64) (raw & G_MAXINT64);
			if (raw >> 63 != 0)
				numbers[i] = -numbers[i];
		}
		if (numbers[0] < 0 || numbers[1] < 0 || there < 0 ||
				there + numbers[0] > (gint64) from_size ||
				(gint64) (stream->len - at) < numbers[0] + numbers[1])
			return NULL;
		for (gint64 i = 0; i < numbers[0]; i++) {
			uint8_t byte = (uint8_t) (stream->data[at++] + from[there + i]);
			g_byte_array_append(to, &byte, 1);
		}
		g_byte_array_append(to, stream->data + at, (guint) numbers[1]);
		at += (size_t) numbers[1];
		there += numbers[0] + numbers[2];
	}
	g_assert_cmpuint(at, ==, stream->len);
	return g_steal_pointer(&to);
}

/* The bytes that the stream has and are not zero. */
static guint check(const uint8_t *from, size_t from_size, const uint8_t *to, size_t to_size)
{
	g_autoptr(GByteArray) stream = g_byte_array_new();
	guint count = 0;

	ash_bsdiff(from, from_size, to, to_size, stream);
	if (to_size > 0) {
		g_autoptr(GByteArray) again = apply(from, from_size, stream, to_size);
		if (again == NULL)
			g_error("the stream does not fit");
		g_assert_true(again->len == to_size && memcmp(again->data, to, to_size) == 0);
	}
	for (guint i = 0; i < stream->len; i++)
		count += stream->data[i] != 0;
	return count;
}

static void fill(GRand *rand, uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t) g_rand_int(rand);
}

static void test_edges(void)
{
	const uint8_t *text = (const uint8_t *) "0123456789abcdefghijklmnopqrstuvwxyz0123456789";

	check(text, 0, text, 0);
	check(text, 0, text, 46);
	check(text, 46, text, 0);
	check(text, 46, text, 46);
	check(text, 46, text, 1);
	check(text, 20, text, 46);
	check(text, 46, text + 7, 30);
	check(text + 10, 36, text, 46);
}

static void test_small_for_what_moved(void)
{
	enum {
		SIZE = 200000
	};
	g_autoptr(GRand) rand = g_rand_new_with_seed(7);
	g_autofree uint8_t *from = g_malloc(SIZE);
	g_autofree uint8_t *to = g_malloc(SIZE + 100);

	fill(rand, from, SIZE);
	/* 100 bytes more in the middle, and an address changed every 40 bytes. */
	memcpy(to, from, SIZE / 2);
	fill(rand, to + SIZE / 2, 100);
	memcpy(to + SIZE / 2 + 100, from + SIZE / 2, SIZE / 2);
	g_assert_cmpuint(check(from, SIZE, to, SIZE + 100), <, 200);
	for (size_t i = 20; i < SIZE; i += 40)
		to[i] ^= 1;
	g_assert_cmpuint(check(from, SIZE, to, SIZE + 100), <, SIZE / 40 * 2);
}

/* Whatever the two are, what comes out leads from one to the other. */
static void test_any(void)
{
	g_autoptr(GRand) rand = g_rand_new_with_seed(11);
	uint8_t from[3000];
	uint8_t to[3000];

	for (unsigned round = 0; round < 2000; round++) {
		size_t from_size = (size_t) g_rand_int_range(rand, 0, sizeof from);
		size_t to_size = (size_t) g_rand_int_range(rand, 0, sizeof to);
		int letters = g_rand_int_range(rand, 1, 256);
		for (size_t i = 0; i < from_size; i++)
			from[i] = (uint8_t) g_rand_int_range(rand, 0, letters);
		for (size_t at = 0; at < to_size;) {
			size_t size = (size_t) g_rand_int_range(rand, 1, 400);
			size = MIN(size, to_size - at);
			size_t there = (size_t) g_rand_int_range(rand, 0, sizeof from);
			if (there + size <= from_size)
				memcpy(to + at, from + there, size);
			else
				fill(rand, to + at, size);
			at += size;
		}
		check(from, from_size, to, to_size);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/bsdiff/edges", test_edges);
	g_test_add_func("/bsdiff/moved", test_small_for_what_moved);
	g_test_add_func("/bsdiff/any", test_any);
	return g_test_run();
}
