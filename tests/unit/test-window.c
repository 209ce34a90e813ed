/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/window.h"

/* "2026-03-29T01:30:00Z" to seconds since 1970; "-" is never. */
static int64_t instant(const char *text)
{
	if (g_str_equal(text, "-"))
		return INT64_MAX;
	g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, NULL);
	g_assert_nonnull(time);
	return g_date_time_to_unix(time);
}

static char *describe(int64_t instant_s)
{
	if (instant_s == INT64_MAX)
		return g_strdup("-");
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(instant_s);
	g_assert_nonnull(time);
	return g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
}

/* Windows are separated by ';'. 2026-11-22 is a Sunday. Berlin puts clocks forward on 2026-03-29 at
 * 01:00Z (02:00 becomes 03:00) and back on 2026-10-25 at 01:00Z (03:00 becomes 02:00).
 */
static const struct {
	const char *windows, *now;
	bool is_open;
	const char *change;
} cases[] = {
		/* none: always */
		{"", "2026-11-22T12:00:00Z", true, "-"},
		/* every day, UTC by default */
		{"02:00-05:00", "2026-11-22T01:59:59Z", false, "2026-11-22T02:00:00Z"},
		{"02:00-05:00", "2026-11-22T02:00:00Z", true, "2026-11-22T05:00:00Z"},
		{"02:00-05:00", "2026-11-22T04:59:59Z", true, "2026-11-22T05:00:00Z"},
		{"02:00-05:00", "2026-11-22T05:00:00Z", false, "2026-11-23T02:00:00Z"},
		/* before 1970 */
		{"02:00-05:00", "1969-12-31T03:00:00Z", true, "1969-12-31T05:00:00Z"},
		{"Wed 02:00-05:00", "1969-12-31T03:00:00Z", true, "1969-12-31T05:00:00Z"},
		/* over midnight */
		{"22:00-04:00", "2026-11-22T03:00:00Z", true, "2026-11-22T04:00:00Z"},
		{"22:00-04:00", "2026-11-22T23:00:00Z", true, "2026-11-23T04:00:00Z"},
		{"22:00-04:00", "2026-11-22T12:00:00Z", false, "2026-11-22T22:00:00Z"},
		/* the day is that of the begin */
		{"Sat 22:00-04:00", "2026-11-22T03:00:00Z", true, "2026-11-22T04:00:00Z"},
		{"Sun 22:00-04:00", "2026-11-22T03:00:00Z", false, "2026-11-22T22:00:00Z"},
		/* a week that wraps */
		{"Sun 23:00-01:00", "2026-11-23T00:30:00Z", true, "2026-11-23T01:00:00Z"},
		{"Mon 00:00-01:00", "2026-11-23T01:00:00Z", false, "2026-11-30T00:00:00Z"},
		{"Fri-Mon 10:00-11:00", "2026-11-22T10:30:00Z", true, "2026-11-22T11:00:00Z"},
		{"Fri-Mon 10:00-11:00", "2026-11-23T11:00:00Z", false, "2026-11-27T10:00:00Z"},
		{"Sat,Sun 02:00-05:00", "2026-11-22T05:00:00Z", false, "2026-11-28T02:00:00Z"},
		/* whole days */
		{"00:00-24:00", "2026-11-22T12:00:00Z", true, "-"},
		{"12:00-12:00", "2026-11-22T12:00:00Z", true, "-"},
		{"Sat 00:00-24:00", "2026-11-21T12:00:00Z", true, "2026-11-22T00:00:00Z"},
		{"Sat,Sun 00:00-24:00", "2026-11-21T12:00:00Z", true, "2026-11-23T00:00:00Z"},
		/* several: side by side, one in another, one after another */
		{"01:00-02:00;04:00-05:00", "2026-11-22T02:30:00Z", false, "2026-11-22T04:00:00Z"},
		{"01:00-04:00;02:00-03:00", "2026-11-22T02:30:00Z", true, "2026-11-22T04:00:00Z"},
		{"01:00-02:00;02:00-03:00", "2026-11-22T01:30:00Z", true, "2026-11-22T03:00:00Z"},
		{"00:00-12:00;12:00-24:00", "2026-11-22T01:30:00Z", true, "-"},
		{"02:00-03:00;02:30-04:00 Europe/Berlin", "2026-11-22T02:30:00Z", true,
				"2026-11-22T03:00:00Z"},
		/* zones */
		{"02:00-05:00 Europe/Berlin", "2026-11-22T00:59:59Z", false,
				"2026-11-22T01:00:00Z"},
		{"02:00-05:00 Europe/Berlin", "2026-07-01T00:30:00Z", true, "2026-07-01T03:00:00Z"},
		{"Sun 20:00-21:00 America/Los_Angeles", "2026-11-23T04:30:00Z", true,
				"2026-11-23T05:00:00Z"},
		{"Mon 08:00-09:00 Pacific/Kiritimati", "2026-11-22T18:30:00Z", true,
				"2026-11-22T19:00:00Z"},
		/* forward over the begin: the first instant after the gap */
		{"02:30-05:00 Europe/Berlin", "2026-03-29T00:59:59Z", false,
				"2026-03-29T01:00:00Z"},
		{"02:30-05:00 Europe/Berlin", "2026-03-29T01:00:00Z", true, "2026-03-29T03:00:00Z"},
		/* forward over the end */
		{"01:00-02:30 Europe/Berlin", "2026-03-29T00:30:00Z", true, "2026-03-29T01:00:00Z"},
		{"01:00-02:30 Europe/Berlin", "2026-03-29T01:00:00Z", false,
				"2026-03-29T23:00:00Z"},
		/* forward over both: not on this day, and of one that is weekly not in this week */
		{"02:10-02:50 Europe/Berlin", "2026-03-29T00:30:00Z", false,
				"2026-03-30T00:10:00Z"},
		{"Sun 02:10-02:50 Europe/Berlin", "2026-03-22T02:00:00Z", false,
				"2026-04-05T00:10:00Z"},
		/* back: the begin is the first, the end the last of the two */
		{"02:30-04:00 Europe/Berlin", "2026-10-25T00:00:00Z", false,
				"2026-10-25T00:30:00Z"},
		{"02:30-04:00 Europe/Berlin", "2026-10-25T01:15:00Z", true, "2026-10-25T03:00:00Z"},
		{"01:00-02:30 Europe/Berlin", "2026-10-25T00:45:00Z", true, "2026-10-25T01:30:00Z"},
		{"02:10-02:50 Europe/Berlin", "2026-10-25T00:30:00Z", true, "2026-10-25T01:50:00Z"},
		/* south of the equator, and a half hour of daylight saving */
		{"02:15-03:00 Australia/Lord_Howe", "2026-10-03T15:00:00Z", false,
				"2026-10-03T15:30:00Z"},
		/* Dublin's winter is its "daylight saving", with a negative offset */
		{"01:30-03:00 Europe/Dublin", "2026-10-25T00:00:00Z", false,
				"2026-10-25T00:30:00Z"},
		/* no daylight saving, a zone that moved; Moscow on 2014-10-25T22:00Z */
		{"01:30-03:00 Europe/Moscow", "2014-10-25T21:00:00Z", false,
				"2014-10-25T21:30:00Z"},
		/* Samoa had no 2011-12-30 */
		{"Fri 10:00-12:00 Pacific/Apia", "2011-12-29T12:00:00Z", false,
				"2012-01-05T20:00:00Z"},
		/* open in all but the name */
		{"03:00-02:00 Europe/Berlin;02:00-03:00 UTC;01:00-03:00 Europe/Berlin",
				"2026-11-22T12:00:00Z", true, "-"},
};

static void windows_free(gpointer data)
{
	ash_window_free(data);
}

static void test_next(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GPtrArray) windows = g_ptr_array_new_with_free_func(windows_free);
		g_auto(GStrv) texts = g_strsplit(cases[i].windows, ";", -1);
		for (char **text = texts; *text != NULL; text++) {
			AshWindow *window = NULL;
			g_autoptr(GError) error = NULL;
			bool is_parsed = ash_window_parse(*text, &window, &error);
			g_assert_no_error(error);
			g_assert_true(is_parsed);
			g_ptr_array_add(windows, window);
		}
		bool is_open;
		int64_t change_s;
		ash_window_next(windows, instant(cases[i].now), &is_open, &change_s);
		g_autofree char *change = describe(change_s);
		g_test_message("%s at %s", cases[i].windows, cases[i].now);
		g_assert_cmpstr(change, ==, cases[i].change);
		g_assert_cmpint(is_open, ==, cases[i].is_open);
	}
}

/* From change to change: each is later than the one before, and each changes something. */
static void test_chain(void)
{
	g_autoptr(GPtrArray) windows = g_ptr_array_new_with_free_func(windows_free);
	AshWindow *window = NULL;
	int64_t now_s = instant("2026-01-01T00:00:00Z");
	bool is_open, was_open;
	int64_t change_s;
	unsigned n_changes = 0;

	g_assert_true(ash_window_parse("01:30-02:30 Europe/Berlin", &window, NULL));
	g_ptr_array_add(windows, window);
	ash_window_next(windows, now_s, &was_open, &change_s);
	for (; change_s < instant("2027-01-01T00:00:00Z"); n_changes++) {
		g_assert_cmpint(change_s, >, now_s);
		now_s = change_s;
		ash_window_next(windows, now_s, &is_open, &change_s);
		g_assert_cmpint(is_open, !=, was_open);
		was_open = is_open;
	}
	g_assert_cmpuint(n_changes, ==, 2 * 365);
}

static void test_far_clocks(void)
{
	static const int64_t clocks[] = {INT64_MIN, INT64_MAX, -1, 0, 1};
	g_autoptr(GPtrArray) windows = g_ptr_array_new_with_free_func(windows_free);
	AshWindow *window = NULL;
	bool is_open;
	int64_t change_s;

	g_assert_true(ash_window_parse("01:30-02:30 Europe/Berlin", &window, NULL));
	g_ptr_array_add(windows, window);
	for (size_t i = 0; i < G_N_ELEMENTS(clocks); i++)
		ash_window_next(windows, clocks[i], &is_open, &change_s);
}

static void test_text(void)
{
	static const struct {
		const char *text, *formatted;
	} texts[] = {
			{"02:00-05:00", "02:00-05:00 UTC"},
			{"Sat,Sun 02:00-05:00 Europe/Berlin", "Sat,Sun 02:00-05:00 Europe/Berlin"},
			{"Mon,Tue,Wed 02:00-24:00 UTC", "Mon-Wed 02:00-24:00 UTC"},
			{"Fri-Mon 02:00-05:00", "Mon,Fri-Sun 02:00-05:00 UTC"},
			{"Sun-Sat 02:00-05:00", "02:00-05:00 UTC"},
			{"Wed 22:00-04:00 Etc/GMT+5", "Wed 22:00-04:00 Etc/GMT+5"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(AshWindow) window = NULL;
		g_autoptr(GError) error = NULL;
		bool is_parsed = ash_window_parse(texts[i].text, &window, &error);
		g_assert_no_error(error);
		g_assert_true(is_parsed);
		g_autofree char *formatted = ash_window_format(window);
		g_assert_cmpstr(formatted, ==, texts[i].formatted);
	}
}

static void test_errors(void)
{
	static const struct {
		const char *text;
		AshWindowError code;
	} bad[] = {
			{"", ASH_WINDOW_ERROR_SYNTAX},
			{" ", ASH_WINDOW_ERROR_SYNTAX},
			{"always", ASH_WINDOW_ERROR_SYNTAX},
			{"Mon", ASH_WINDOW_ERROR_SYNTAX},
			{"Mon, 02:00-05:00", ASH_WINDOW_ERROR_SYNTAX},
			{"Mon- 02:00-05:00", ASH_WINDOW_ERROR_SYNTAX},
			{"Monday 02:00-05:00", ASH_WINDOW_ERROR_SYNTAX},
			{"2:00-5:00", ASH_WINDOW_ERROR_SYNTAX},
			{"02:00", ASH_WINDOW_ERROR_SYNTAX},
			{"02:60-05:00", ASH_WINDOW_ERROR_SYNTAX},
			{"02:00-24:01", ASH_WINDOW_ERROR_SYNTAX},
			{"24:00-05:00", ASH_WINDOW_ERROR_SYNTAX},
			{"02:00 - 05:00", ASH_WINDOW_ERROR_SYNTAX},
			{"02:00-05:00 Europe/Berlin now", ASH_WINDOW_ERROR_SYNTAX},
			{"02:00-05:00 Europe/Atlantis", ASH_WINDOW_ERROR_ZONE},
			{"02:00-05:00 +01:00", ASH_WINDOW_ERROR_ZONE},
			{"02:00-05:00 CET-1CEST", ASH_WINDOW_ERROR_ZONE},
			{"02:00-05:00 ../../etc/localtime", ASH_WINDOW_ERROR_ZONE},
			{"02:00-05:00 ", ASH_WINDOW_ERROR_ZONE},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(AshWindow) window = NULL;
		g_autoptr(GError) error = NULL;
		g_test_message("'%s'", bad[i].text);
		g_assert_false(ash_window_parse(bad[i].text, &window, &error));
		g_assert_error(error, ASH_WINDOW_ERROR, (int) bad[i].code);
		g_assert_null(window);
	}
	g_autofree char *longest = g_strnfill(201, 'x');
	g_autoptr(AshWindow) window = NULL;
	g_assert_false(ash_window_parse(longest, &window, NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/window/next", test_next);
	g_test_add_func("/window/chain", test_chain);
	g_test_add_func("/window/far-clocks", test_far_clocks);
	g_test_add_func("/window/text", test_text);
	g_test_add_func("/window/errors", test_errors);
	return g_test_run();
}
