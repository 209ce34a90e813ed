/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/pattern.h"

#include <string.h>

static const GRegex *regex_of(AshPattern *pattern)
{
	if (g_once_init_enter(&pattern->compiled)) {
		g_autofree char *anchored = g_strdup_printf("^(?:%s)$", pattern->regex);
		/* A '$' that also matches before a final newline would let one through. */
		GRegex *regex = g_regex_new(anchored, G_REGEX_DOLLAR_ENDONLY, 0, NULL);
		g_assert(regex != NULL);
		g_once_init_leave(&pattern->compiled, (gsize) regex);
	}
	return (const GRegex *) pattern->compiled;
}

bool ash_pattern_matches(AshPattern *pattern, const char *text)
{
	return pattern->regex == NULL ||
	       (strlen(text) <= ASH_PATTERN_MAX_BYTES &&
			       g_regex_match(regex_of(pattern), text, 0, NULL));
}

char **ash_pattern_split(AshPattern *pattern, const char *text)
{
	g_autoptr(GMatchInfo) match = NULL;

	g_assert(pattern->regex != NULL);
	if (strlen(text) > ASH_PATTERN_MAX_BYTES ||
			!g_regex_match(regex_of(pattern), text, 0, &match))
		return NULL;
	return g_match_info_fetch_all(match);
}
