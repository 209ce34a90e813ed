/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/version.h"

#include <string.h>

bool ash_version_is_valid(const char *version)
{
	size_t length = 0;

	if (!g_ascii_isalnum(version[0]))
		return false;
	for (; version[length] != '\0'; length++)
		if (length == ASH_VERSION_MAX_BYTES ||
				(!g_ascii_isalnum(version[length]) &&
						strchr(".+~-", version[length]) == NULL))
			return false;
	return true;
}

/* The end and digits end a run of other bytes; '~' sorts before them, letters before the rest. */
static int order(char c)
{
	if (c == '~')
		return -1;
	if (c == '\0' || g_ascii_isdigit(c))
		return 0;
	return g_ascii_isalpha(c) ? c : c + 256;
}

/* Sets @out_digits to the first digit that counts, and returns how many there are. */
static size_t take_number(const char **text, const char *end, const char **out_digits)
{
	while (*text < end && **text == '0')
		(*text)++;
	*out_digits = *text;
	while (*text < end && g_ascii_isdigit(**text))
		(*text)++;
	return (size_t) (*text - *out_digits);
}

/* Moves both behind their runs of digits. Numbers of any length: the longer is the larger. */
static int compare_numbers(const char **a, const char *a_end, const char **b, const char *b_end)
{
	const char *a_digits, *b_digits;
	size_t na = take_number(a, a_end, &a_digits);
	size_t nb = take_number(b, b_end, &b_digits);

	return na != nb ? (na < nb ? -1 : 1) : memcmp(a_digits, b_digits, na);
}

/* One part, [a, a_end) against [b, b_end): deb-version(7), "Sorting algorithm". */
static int compare_part(const char *a, const char *a_end, const char *b, const char *b_end)
{
	while (a < a_end || b < b_end) {
		for (;;) {
			char ca = a < a_end ? *a : '\0';
			char cb = b < b_end ? *b : '\0';
			if (order(ca) != order(cb))
				return order(ca) < order(cb) ? -1 : 1;
			if (order(ca) == 0)
				break;
			a++;
			b++;
		}
		int result = compare_numbers(&a, a_end, &b, b_end);
		if (result != 0)
			return result;
	}
	return 0;
}

/* The revision begins behind the last '-'; none is like "0". */
static const char *find_revision(const char *version)
{
	const char *dash = strrchr(version, '-');

	return dash != NULL ? dash : version + strlen(version);
}

int ash_version_compare(const char *a, const char *b)
{
	const char *a_revision = find_revision(a);
	const char *b_revision = find_revision(b);
	int result = compare_part(a, a_revision, b, b_revision);

	if (result != 0)
		return result;
	if (*a_revision == '-')
		a_revision++;
	if (*b_revision == '-')
		b_revision++;
	return compare_part(a_revision, a_revision + strlen(a_revision), b_revision,
			b_revision + strlen(b_revision));
}
