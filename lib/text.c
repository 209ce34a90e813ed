/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/text.h"

#include <string.h>

enum {
	MAX_WORD_BYTES = 128,
};

unsigned ash_text_distance(const char *a, const char *b, unsigned limit)
{
	size_t a_len = strlen(a);
	size_t b_len = strlen(b);

	if (a_len > MAX_WORD_BYTES || b_len > MAX_WORD_BYTES ||
			(a_len > b_len ? a_len - b_len : b_len - a_len) > limit)
		return limit + 1;

	/* Three rows of the optimal string alignment table. */
	unsigned rows[3][MAX_WORD_BYTES + 1];
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = (unsigned) j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3];
		const unsigned *above2 = rows[(i + 1) % 3];
		unsigned best = row[0] = (unsigned) i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned cost = a[i - 1] == b[j - 1] ? 0 : 1;
			unsigned value = MIN(MIN(above[j], row[j - 1]) + 1, above[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				value = MIN(value, above2[j - 2] + 1);
			row[j] = value;
			best = MIN(best, value);
		}
		if (best > limit)
			return limit + 1;
	}
	unsigned distance = rows[a_len % 3][b_len];
	return distance > limit ? limit + 1 : distance;
}

const char *ash_text_nearest(const char *word, const char *const *candidates)
{
	/* A third of the letters may be wrong: 'pakcages' is near 'packages', 'foo' to nothing. */
	unsigned limit = MAX(1, (unsigned) MIN(strlen(word), MAX_WORD_BYTES) / 3);
	const char *nearest = NULL;

	for (; *candidates != NULL; candidates++) {
		unsigned distance = ash_text_distance(word, *candidates, limit);
		if (distance > limit)
			continue;
		nearest = *candidates;
		if (distance == 0)
			break;
		limit = distance - 1;
	}
	return nearest;
}

char *ash_text_suggestion(const char *word, const char *const *candidates)
{
	const char *nearest = ash_text_nearest(word, candidates);

	return nearest == NULL ? g_strdup("") : g_strdup_printf(" (did you mean '%s'?)", nearest);
}

char *ash_text_size(uint64_t bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	double value = (double) bytes;
	size_t unit = 0;

	while (value >= 999.5 && unit + 1 < G_N_ELEMENTS(units)) {
		value /= 1000;
		unit++;
	}
	return g_strdup_printf(
			unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

char *ash_text_duration(int64_t us)
{
	double seconds = (double) us / 1e6;

	if (seconds < 9.95)
		return g_strdup_printf("%.1f s", seconds);
	if (seconds < 119.5)
		return g_strdup_printf("%.0f s", seconds);
	return g_strdup_printf("%d min %d s", (int) (seconds / 60), (int) seconds % 60);
}

/* Where the text of "  -x, --example=X    Text" begins; of other lines, where they begin. */
static size_t hanging_indent(const char *line)
{
	size_t begin = strspn(line, " ");

	if (line[begin] != '-')
		return begin;
	const char *gap = strstr(line + begin, "  ");
	return gap == NULL ? begin : (size_t) (gap - line) + strspn(gap, " ");
}

static void append_wrapped(GString *out, const char *line, size_t columns)
{
	size_t indent = MIN(hanging_indent(line), columns / 2);
	size_t kept = indent; /* bytes at the line's beginning that are not broken */
	size_t room = columns;

	while ((size_t) g_utf8_strlen(line, -1) > room) {
		const char *blank = g_utf8_offset_to_pointer(line, (glong) room);
		while (blank > line + kept && *blank != ' ')
			blank--;
		/* A word that is longer than the line stays whole. */
		if (blank <= line + kept)
			break;
		g_string_append_len(out, line, blank - line);
		g_string_append_printf(out, "\n%*s", (int) indent, "");
		line = blank + strspn(blank, " ");
		kept = 0;
		room = columns - indent;
	}
	g_string_append(out, line);
}

char *ash_text_wrap(const char *text, size_t columns)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	GString *out = g_string_new(NULL);

	for (char **line = lines; *line != NULL; line++) {
		append_wrapped(out, *line, columns);
		if (line[1] != NULL)
			g_string_append_c(out, '\n');
	}
	return g_string_free(out, FALSE);
}

const char *ash_text_next_char(const char *at)
{
	return at + g_utf8_skip[(unsigned char) *at];
}

bool ash_text_is_sha256(const char *text)
{
	return text != NULL && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

char *ash_text_utc(int64_t unix_s)
{
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(unix_s);

	return time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : NULL;
}
