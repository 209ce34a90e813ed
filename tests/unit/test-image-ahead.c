/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/image-ahead.h"

#include <gio/gio.h>
#include <string.h>

#include "lib/error.h"

typedef struct {
	size_t piece, total, given;
	bool fails;
	char buffer[1 << 20];
} Source;

static char byte_at(size_t at)
{
	return (char) (at * 7 + at / 251);
}

static gboolean supply(gpointer data, const void **out_data, size_t *out_size, GError **error)
{
	Source *source = data;
	size_t n = MIN(source->piece, source->total - source->given);

	if (n == 0 && source->fails)
		return ash_throw(error, G_IO_ERROR, G_IO_ERROR_FAILED, "broken");
	for (size_t i = 0; i < n; i++)
		source->buffer[i] = byte_at(source->given + i);
	source->given += n;
	*out_data = source->buffer;
	*out_size = n;
	return TRUE;
}

static Source *new_source(size_t piece, size_t total, bool fails)
{
	Source *source = g_new0(Source, 1);

	source->piece = piece;
	source->total = total;
	source->fails = fails;
	return source;
}

/* How many bytes come, each at its place; *out_error: what ended it. */
static size_t drain(AshImageAhead *ahead, GError **out_error)
{
	size_t got = 0, size = 1;

	while (size > 0) {
		const char *data = NULL;
		if (!ash_image_ahead_source(ahead, (const void **) &data, &size, out_error))
			break;
		for (size_t i = 0; i < size; i++)
			g_assert_cmpint(data[i], ==, byte_at(got + i));
		got += size;
	}
	return got;
}

static void test_bytes(void)
{
	static const struct {
		size_t piece, total;
	} cases[] = {
			{1, 0},
			{1, 1},
			{1, 70000},
			{65536, 5 << 20},
			{100003, 5 << 20},
			{1 << 20, 9 << 20},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree Source *source = new_source(cases[i].piece, cases[i].total, false);
		g_autoptr(AshImageAhead) ahead = NULL;
		g_autoptr(GError) error = NULL;
		const void *data = NULL;
		size_t size = 1;
		g_assert_true(ash_image_ahead_new(supply, source, &ahead, &error));
		g_assert_cmpuint(drain(ahead, &error), ==, cases[i].total);
		g_assert_no_error(error);
		/* The end stays the end. */
		g_assert_true(ash_image_ahead_source(ahead, &data, &size, &error));
		g_assert_cmpuint(size, ==, 0);
	}
}

static void test_failure(void)
{
	g_autofree Source *source = new_source(100003, 3 << 20, true);
	g_autoptr(AshImageAhead) ahead = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(GError) again = NULL;

	g_assert_true(ash_image_ahead_new(supply, source, &ahead, &error));
	g_assert_cmpuint(drain(ahead, &error), ==, 3 << 20);
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FAILED);
	g_assert_cmpuint(drain(ahead, &again), ==, 0);
	g_assert_error(again, G_IO_ERROR, G_IO_ERROR_FAILED);
}

/* Who reads no further is not waited for, and the source is not read without end. */
static void test_stop(void)
{
	g_autofree Source *source = new_source(65536, SIZE_MAX, false);
	g_autoptr(AshImageAhead) ahead = NULL;
	g_autoptr(GError) error = NULL;
	const void *data = NULL;
	size_t size = 0;

	g_assert_true(ash_image_ahead_new(supply, source, &ahead, &error));
	g_assert_true(ash_image_ahead_source(ahead, &data, &size, &error));
	ash_image_ahead_free(g_steal_pointer(&ahead));
	g_assert_cmpuint(source->given, <=, ASH_IMAGE_AHEAD_BYTES + 2 * sizeof source->buffer);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/image-ahead/bytes", test_bytes);
	g_test_add_func("/image-ahead/failure", test_failure);
	g_test_add_func("/image-ahead/stop", test_stop);
	return g_test_run();
}
