/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "lib/window.h"

/* Windows of time, a line each: what is taken is written so that it means the same, and time goes forward. */

enum {
	MAX_WINDOWS = 8,
	STEPS = 6,
};

static void free_window(gpointer window)
{
	ash_window_free(window);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *) data, size);
	g_auto(GStrv) lines = g_strsplit(text, "\n", MAX_WINDOWS);
	g_autoptr(GPtrArray) windows = g_ptr_array_new_with_free_func(free_window);
	int64_t now_s = 1800000000;

	for (char **line = lines; *line != NULL; line++) {
		AshWindow *window, *again;
		if (!ash_window_parse(*line, &window, NULL))
			continue;
		g_ptr_array_add(windows, window);
		g_autofree char *first = ash_window_format(window);
		g_assert_true(ash_window_parse(first, &again, NULL));
		g_autofree char *second = ash_window_format(again);
		ash_window_free(again);
		g_assert_cmpstr(first, ==, second);
	}
	for (unsigned i = 0; i < STEPS; i++) {
		bool is_open, is_open_then;
		int64_t change_s, later_s;
		ash_window_next(windows, now_s, &is_open, &change_s);
		g_assert_cmpint(change_s, >, now_s);
		if (change_s == INT64_MAX)
			break;
		ash_window_next(windows, change_s, &is_open_then, &later_s);
		g_assert_true(is_open_then != is_open);
		now_s = change_s;
	}
	return 0;
}
