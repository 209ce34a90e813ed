/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Versions of releases, ordered as Debian orders package versions (deb-version(7)), without an epoch:
 * runs of digits count as numbers, '~' sorts before everything, even the end. PURE.
 */

enum {
	ASH_VERSION_MAX_BYTES = 64,
};

/* A question: 1 to ASH_VERSION_MAX_BYTES of [A-Za-z0-9.+~-], the first a digit or letter. Such a
 * version is safe as a component of a path.
 */
bool ash_version_is_valid(const char *version);

/* <0, 0, >0. Both are valid, or "" (which sorts first). */
int ash_version_compare(const char *a, const char *b);
