/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/window.h"

#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_window_error, ash_window_error)

enum {
	MAX_TEXT_BYTES = 200,
	MAX_ZONE_BYTES = 64,
	ALL_DAYS = 0x7f,
	MINUTES_A_DAY = 24 * 60,
	SECONDS_A_DAY = 86400,
	/* A zone is at most 14 hours off, so that a day of the calendar begins within this of the
	 * same day in UTC. */
	ZONE_MARGIN_S = 26 * 3600,
	/* Looked at first: two weeks, as a window of one day of the week may fall into a gap once. */
	NEAR_DAYS = 16,
	/* Then: over all changes of the clock that a year brings. Unchanged for so long is never. */
	FAR_DAYS = 400,
};

struct AshWindow {
	unsigned days;          /* bit 0: Monday */
	int begin_min, end_min; /* of the local day; the end is at most 24:00 */
	GTimeZone *zone;
	char *zone_name;
};

typedef struct {
	int64_t begin_s, end_s;
} Interval;

static const char *const day_names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* ---- text ---------------------------------------------------------------------------------------- */

static gboolean throw_syntax(const char *text, const char *expected, GError **error)
{
	return ash_throw(error, ASH_WINDOW_ERROR, ASH_WINDOW_ERROR_SYNTAX,
			"'%.80s' is not a window: expected %s, as in 'Sat,Sun 02:00-05:00 "
			"Europe/Berlin'",
			text, expected);
}

/* The day that @text begins with, 0 for Monday; -1: none. */
static int parse_day(const char *text)
{
	for (int i = 0; i < 7; i++)
		if (strncmp(text, day_names[i], 3) == 0)
			return i;
	return -1;
}

static bool parse_days(const char *text, unsigned *out_days)
{
	unsigned days = 0;

	for (const char *p = text;; p++) {
		int first = parse_day(p);
		if (first < 0)
			return false;
		p += 3;
		int last = first;
		if (*p == '-') {
			last = parse_day(p + 1);
			if (last < 0)
				return false;
			p += 4;
		}
		for (int day = first;; day = (day + 1) % 7) {
			days |= 1u << day;
			if (day == last)
				break;
		}
		if (*p == '\0')
			break;
		if (*p != ',')
			return false;
	}
	*out_days = days;
	return true;
}

/* "HH:MM", exactly; 24:00 too. */
static bool parse_minute(const char *text, int *out_minute)
{
	static const char form[] = "00:00";

	for (size_t i = 0; i < sizeof form - 1; i++)
		if (form[i] == ':' ? text[i] != ':' : !g_ascii_isdigit(text[i]))
			return false;
	int hour = (text[0] - '0') * 10 + text[1] - '0';
	int minute = (text[3] - '0') * 10 + text[4] - '0';
	if (minute > 59 || hour * 60 + minute > MINUTES_A_DAY)
		return false;
	*out_minute = hour * 60 + minute;
	return true;
}

static bool parse_times(const char *text, AshWindow *window)
{
	return strlen(text) == strlen("00:00-00:00") && text[5] == '-' &&
	       parse_minute(text, &window->begin_min) && parse_minute(text + 6, &window->end_min) &&
	       window->begin_min < MINUTES_A_DAY;
}

/* GLib also takes offsets, rules as in TZ=, and paths for a zone; people would read them as typos. */
static bool is_zone_name(const char *text)
{
	bool has_slash = strchr(text, '/') != NULL;

	if (!g_ascii_isalpha(*text) || strlen(text) > MAX_ZONE_BYTES)
		return false;
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isalpha(*p) && *p != '_' &&
				(!has_slash || (!g_ascii_isdigit(*p) && strchr("/+-", *p) == NULL)))
			return false;
	return true;
}

static gboolean set_zone(AshWindow *window, const char *name, GError **error)
{
	window->zone_name = g_strdup(name);
	if (strcmp(name, "UTC") == 0)
		window->zone = g_time_zone_new_utc();
	else if (is_zone_name(name))
		window->zone = g_time_zone_new_identifier(name);
	if (window->zone == NULL)
		return ash_throw(error, ASH_WINDOW_ERROR, ASH_WINDOW_ERROR_ZONE,
				"there is no time zone '%.80s' on this machine", name);
	return TRUE;
}

gboolean ash_window_parse(const char *text, AshWindow **out_window, GError **error)
{
	g_autoptr(AshWindow) window = g_new0(AshWindow, 1);

	if (strlen(text) > MAX_TEXT_BYTES)
		return throw_syntax(text, "a shorter text", error);
	g_auto(GStrv) words = g_strsplit(text, " ", -1);
	char **word = words;
	window->days = ALL_DAYS;
	if (*word != NULL && g_ascii_isalpha(**word) && !parse_days(*word++, &window->days))
		return throw_syntax(text, "days Mon to Sun", error);
	if (*word == NULL || !parse_times(*word, window))
		return throw_syntax(text, "HH:MM-HH:MM", error);
	word++;
	if (*word != NULL && word[1] != NULL)
		return throw_syntax(text, "a time zone and nothing more", error);
	if (!set_zone(window, *word != NULL ? *word : "UTC", error))
		return FALSE;
	*out_window = g_steal_pointer(&window);
	return TRUE;
}

char *ash_window_format(const AshWindow *window)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (int day = 0; window->days != ALL_DAYS && day < 7;) {
		int n = 0;
		while (day + n < 7 && (window->days >> (day + n) & 1) != 0)
			n++;
		const char *comma = text->len > 0 ? "," : "";
		if (n >= 3)
			g_string_append_printf(text, "%s%s-%s", comma, day_names[day],
					day_names[day + n - 1]);
		for (int i = 0; i < n && n < 3; i++)
			g_string_append_printf(
					text, "%s%s", i > 0 ? "," : comma, day_names[day + i]);
		day += MAX(n, 1);
	}
	g_string_append_printf(text, "%s%02d:%02d-%02d:%02d %s", text->len > 0 ? " " : "",
			window->begin_min / 60, window->begin_min % 60, window->end_min / 60,
			window->end_min % 60, window->zone_name);
	return g_string_free(g_steal_pointer(&text), FALSE);
}

void ash_window_free(AshWindow *window)
{
	if (window == NULL)
		return;
	g_clear_pointer(&window->zone, g_time_zone_unref);
	g_free(window->zone_name);
	g_free(window);
}

/* ---- local time ---------------------------------------------------------------------------------- */

static int64_t offset_at(GTimeZone *zone, int64_t instant_s)
{
	return g_time_zone_get_offset(
			zone, g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL, instant_s));
}

/* The first instant between two, of different offsets, that has the offset of the later. */
static int64_t find_change(GTimeZone *zone, int64_t before_s, int64_t after_s)
{
	int64_t offset_before = offset_at(zone, before_s);

	while (after_s - before_s > 1) {
		int64_t middle_s = before_s + (after_s - before_s) / 2;
		if (offset_at(zone, middle_s) == offset_before)
			before_s = middle_s;
		else
			after_s = middle_s;
	}
	return after_s;
}

/* The instant at which clocks show @local_s (seconds since 1970 as a clock of UTC would count them);
 * GLib's own conversion decides by daylight saving time, and not every change of a clock is one.
 */
static int64_t to_instant(GTimeZone *zone, int64_t local_s, bool is_last)
{
	int64_t before_s = local_s - offset_at(zone, local_s - ZONE_MARGIN_S);
	int64_t after_s = local_s - offset_at(zone, local_s + ZONE_MARGIN_S);

	if (before_s == after_s)
		return before_s;
	bool is_before = before_s + offset_at(zone, before_s) == local_s;
	bool is_after = after_s + offset_at(zone, after_s) == local_s;
	if (is_before && is_after)
		return is_last ? MAX(before_s, after_s) : MIN(before_s, after_s);
	if (is_before || is_after)
		return is_before ? before_s : after_s;
	return find_change(zone, local_s - ZONE_MARGIN_S, local_s + ZONE_MARGIN_S);
}

/* ---- what is open when --------------------------------------------------------------------------- */

static int compare_intervals(gconstpointer a, gconstpointer b)
{
	const Interval *x = a;
	const Interval *y = b;

	return (x->begin_s > y->begin_s) - (x->begin_s < y->begin_s);
}

/* Every time that @window is open and that begins within @n_days from the day of @now_s; those that
 * began the days before may still be open.
 */
static void add_intervals(GArray *intervals, const AshWindow *window, int64_t now_s, int64_t n_days)
{
	int64_t local_s = now_s + offset_at(window->zone, now_s);
	int64_t today = local_s / SECONDS_A_DAY - (local_s % SECONDS_A_DAY < 0);
	int64_t end_min = window->end_min > window->begin_min ? window->end_min
							      : window->end_min + MINUTES_A_DAY;

	for (int64_t day = today - 2; day < today + n_days; day++) {
		/* 1970 began on a Thursday. */
		int64_t weekday = ((day + 3) % 7 + 7) % 7;
		if ((window->days >> weekday & 1) == 0)
			continue;
		int64_t midnight_s = day * SECONDS_A_DAY;
		Interval interval = {
				.begin_s = to_instant(window->zone,
						midnight_s + window->begin_min * 60, false),
				.end_s = to_instant(window->zone, midnight_s + end_min * 60, true),
		};
		if (interval.begin_s < interval.end_s)
			g_array_append_val(intervals, interval);
	}
}

/* FALSE when nothing changes within @n_days; *out_open is set all the same. */
static bool find_next(const GPtrArray *windows, int64_t now_s, int64_t n_days, bool *out_open,
		int64_t *out_change_s)
{
	g_autoptr(GArray) intervals = g_array_new(FALSE, FALSE, sizeof(Interval));
	int64_t horizon_s = now_s + (n_days - 3) * SECONDS_A_DAY;
	int64_t open_until_s = now_s;

	for (guint i = 0; i < windows->len; i++)
		add_intervals(intervals, windows->pdata[i], now_s, n_days);
	g_array_sort(intervals, compare_intervals);
	*out_open = false;
	for (guint i = 0; i < intervals->len; i++) {
		const Interval *interval = &g_array_index(intervals, Interval, i);
		if (interval->end_s <= open_until_s)
			continue;
		if (interval->begin_s <= open_until_s) {
			*out_open = true;
			open_until_s = interval->end_s;
			continue;
		}
		*out_change_s = *out_open ? open_until_s : interval->begin_s;
		return *out_change_s < horizon_s;
	}
	*out_change_s = open_until_s;
	return *out_open && open_until_s < horizon_s;
}

void ash_window_next(const GPtrArray *windows, int64_t now_s, bool *out_open, int64_t *out_change_s)
{
	*out_open = true;
	*out_change_s = INT64_MAX;
	if (windows == NULL || windows->len == 0)
		return;
	/* So that no sum below leaves the range; the calendar ends before. */
	now_s = CLAMP(now_s, INT64_MIN / 4, INT64_MAX / 4);
	if (!find_next(windows, now_s, NEAR_DAYS, out_open, out_change_s) &&
			!find_next(windows, now_s, FAR_DAYS, out_open, out_change_s))
		*out_change_s = INT64_MAX;
}
