/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/text.h"

static void test_nearest(void)
{
	static const char *const keys[] = {"packages", "files", "units", NULL};

	g_assert_cmpstr(ash_text_nearest("pakcages", keys), ==, "packages");
	g_assert_cmpstr(ash_text_nearest("file", keys), ==, "files");
	g_assert_null(ash_text_nearest("foo", keys));
	g_autofree char *near = ash_text_suggestion("unit", keys);
	g_assert_cmpstr(near, ==, " (did you mean 'units'?)");
	g_autofree char *far = ash_text_suggestion("something else", keys);
	g_assert_cmpstr(far, ==, "");
}

static void test_distance(void)
{
	g_assert_cmpuint(ash_text_distance("ab", "ba", 5), ==, 1);
	g_assert_cmpuint(ash_text_distance("kitten", "sitting", 5), ==, 3);
	g_assert_cmpuint(ash_text_distance("kitten", "sitting", 2), ==, 3);
	g_assert_cmpuint(ash_text_distance("", "", 0), ==, 0);
	g_assert_cmpuint(ash_text_distance("", "abc", 1), ==, 2);

	/* Longer than its table: far from everything, itself included. */
	g_autofree char *longest = g_strnfill(200, 'x');
	g_assert_cmpuint(ash_text_distance(longest, longest, 3), ==, 4);
}

static void test_size(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
			{0, "0 B"},
			{999, "999 B"},
			{1000, "1.0 kB"},
			{23400000, "23.4 MB"},
			{912000, "912 kB"},
			{999999, "1.0 MB"},
			{1400000000, "1.4 GB"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = ash_text_size(cases[i].bytes);
		g_assert_cmpstr(text, ==, cases[i].text);
	}
}

static void test_duration(void)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {
			{0, "0.0 s"},
			{400000, "0.4 s"},
			{12300000, "12 s"},
			{200000000, "3 min 20 s"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = ash_text_duration(cases[i].us);
		g_assert_cmpstr(text, ==, cases[i].text);
	}
}

static void test_wrap(void)
{
	static const struct {
		const char *text;
		const char *wrapped;
	} cases[] = {
			{"", ""},
			{"one two\n", "one two\n"},
			{"one two three", "one two\nthree"},
			{"  one two three", "  one two\n  three"},
			{"  -x  aa bb cc dd", "  -x  aa bb\n      cc dd"},
			{"  -x  aa b c d", "  -x  aa b c\n      d"},
			{"unbreakable-word and", "unbreakable-word and"},
			{"ä ö ü ß é à ñ", "ä ö ü ß é à\nñ"},
			{"a\n\none two three", "a\n\none two\nthree"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = ash_text_wrap(cases[i].text, 12);
		g_assert_cmpstr(text, ==, cases[i].wrapped);
	}
}

static void test_sha256(void)
{
	g_autofree char *digits = g_strnfill(64, 'a');
	g_autofree char *too_long = g_strconcat(digits, "0", NULL);

	g_assert_true(ash_text_is_sha256(digits));
	g_assert_false(ash_text_is_sha256(too_long));
	g_assert_false(ash_text_is_sha256(digits + 1));
	digits[63] = 'A';
	g_assert_false(ash_text_is_sha256(digits));
	g_assert_false(ash_text_is_sha256(""));
	g_assert_false(ash_text_is_sha256(NULL));
}

static void test_utc(void)
{
	g_autofree char *then = ash_text_utc(INT64_C(1767225600));

	g_assert_cmpstr(then, ==, "2026-01-01T00:00:00Z");
	g_assert_null(ash_text_utc(INT64_MAX));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/text/nearest", test_nearest);
	g_test_add_func("/text/distance", test_distance);
	g_test_add_func("/text/size", test_size);
	g_test_add_func("/text/duration", test_duration);
	g_test_add_func("/text/wrap", test_wrap);
	g_test_add_func("/text/sha256", test_sha256);
	g_test_add_func("/text/utc", test_utc);
	return g_test_run();
}
