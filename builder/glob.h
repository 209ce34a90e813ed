/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The globs of manifests and of lint exceptions. PURE.
 *
 *	*      any run of bytes, '/' not among them
 *	**     any run of bytes; as a whole component also no component at all, so that a pattern
 *	       with ** between the components a and b matches "a/b" too
 *	?      one byte, not '/'
 *	[a-z]  one byte of the set, never '/'; [!a-z] and [^a-z] are the others; a ']' comes first
 *	\x     x itself
 *
 * All of the path must match. A directory followed by a slash and ** matches all that is below, and not
 * the directory; a name without '/' (a package, a kernel module) is matched as fnmatch(3) would. A '['
 * that is never closed is itself.
 *
 * The pattern is run as a set of states over the path, once from left to right: the cost is at most
 * pattern length times path length, whatever the pattern.
 */

enum {
	ASH_GLOB_MAX_BYTES = 4096, /* a longer pattern matches nothing */
};

bool ash_glob_match(const char *pattern, const char *path);

/* A question: does any of @patterns (char *) match? */
bool ash_glob_match_any(const GPtrArray *patterns, const char *path);
