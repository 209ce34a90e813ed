/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* What a piece of text must look like, for tables with a row each: builder/schema-form.c for manifests,
 * lib/workload-form.c for workloads. The regular expressions are in the common subset of Perl and ECMAScript, so
 * that a JSON Schema can say the same. Safe from any thread.
 */

enum {
	ASH_PATTERN_MAX_BYTES = 4096, /* what is longer matches nothing that has a regex */
};

typedef struct {
	const char *regex;    /* without anchors; NULL: whatever */
	const char *expected; /* "a package name: …", to stand behind "expected " */
	gsize compiled; /* pattern.c's own, from the first question on; lives as long as the table */
} AshPattern;

/* A question: is all of @text so? */
bool ash_pattern_matches(AshPattern *pattern, const char *text);
/* The parts in parentheses of the regex, the whole first; NULL when @text is not so. @pattern has a regex. */
char **ash_pattern_split(AshPattern *pattern, const char *text);
