/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* The build machine's apt sources: sources.list and sources.list.d/ (one-line *.list with [options] and
 * deb822 *.sources; Enabled: no is honoured; source code is left out). Knows nothing of manifests.
 *
 * Below ASHLAR_APT_ROOT when that is set, for tests; else below "/".
 */

enum {
	ASH_APT_MAX_FILE_BYTES = 1 << 20,
	ASH_APT_MAX_FILES = 1000,
};

/* One URI with one suite. */
typedef struct {
	char *mark; /* "/etc/apt/sources.list.d/debian.sources:4" */
	char *uri;  /* without a '/' at its end */
	char *suite;
	char **components;
	char *keyring;    /* Signed-By: a path; or NULL */
	char *inline_key; /* Signed-By: the key itself; or NULL */
	bool is_trusted;
} AshAptEntry;

/* @out_entries: AshAptEntry, in the order in which apt reads them. Malformed files are
 * ASH_SOURCE_ERROR_SYNTAX with file:line.
 */
gboolean ash_apt_load(GPtrArray **out_entries, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What apt last saw there, by the Release file in its lists: NULL when it has none, else the Origin
 * ("" when that field is missing).
 */
char *ash_apt_known_origin(const AshAptEntry *entry);

/* Parses one file's text; for ash_apt_load and tests. */
gboolean ash_apt_parse_list(const char *file, GBytes *text, GPtrArray *entries, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_apt_parse_sources(const char *file, GBytes *text, GPtrArray *entries, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *ash_apt_entries_new(void);
