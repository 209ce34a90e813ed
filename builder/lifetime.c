/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/lifetime.h"

#include <string.h>

#include "lib/cli.h"
#include "lib/error.h"

enum {
	MAX_S = 3653 * ASH_LIFETIME_DAY_S,
};

gboolean ash_lifetime_parse(const char *text, const char *option, int64_t otherwise_s,
		int64_t *out_seconds, GError **error)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 60 * 60}, {'d', ASH_LIFETIME_DAY_S},
			{'\0', ASH_LIFETIME_DAY_S}};
	char *end = NULL;

	if (text == NULL) {
		*out_seconds = otherwise_s;
		return TRUE;
	}
	int64_t number = g_ascii_isdigit(*text) ? g_ascii_strtoll(text, &end, 10) : 0;
	for (size_t i = 0; number > 0 && number <= MAX_S && i < G_N_ELEMENTS(units); i++)
		if (*end == units[i].unit && (*end == '\0' || end[1] == '\0') &&
				number <= MAX_S / units[i].seconds) {
			*out_seconds = number * units[i].seconds;
			return TRUE;
		}
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
			"--%s: '%s' is no time such as 90d, 12h, 30m or 60s, of at most ten years",
			option, text);
}
