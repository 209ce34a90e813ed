/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/deb822.h"
#include "builder/source.h"
#include "lib/progress.h"

/* Package indices: from a repository's signed Release file to paragraphs.
 *
 *	CACHE/index/<digest of URI and suite>/InRelease     (or Release and Release.gpg)
 *	                                      <digest>-<arch>.solv    written by builder/solve-cache.c
 *
 * ash_index_open() fetches the Release file, believes it or not, and tells which indices belong to the
 * source, each with the digest that its cached form is named by; nothing else is fetched while that is
 * there. ash_index_read() fetches an index, checks it against the Release file, and hands out its
 * paragraphs. A directory of .debs is an index too: one whose digest is over names, sizes and times.
 */

/* What comes out of one Packages file; Debian's largest has 60 MB. */
#define ASH_INDEX_MAX_BYTES (G_GUINT64_CONSTANT(1) << 30)
enum {
	ASH_INDEX_MAX_DEBS = 10000, /* in one directory */
};

typedef struct {
	const AshSource *source; /* borrowed */
	char *what;              /* "trixie/main", for messages */
	char *component;         /* NULL for flat and directories */
	char *label;             /* of the Release file, "" without; */
	char *dir;               /* in the cache */
	char *digest;            /* 64 digits: names the content */
	char *path;              /* below the source's URI: "dists/…/Packages.xz" */
	char *by_hash_path;      /* or NULL */
	char *sha256;            /* of that file, NULL when not known */
	uint64_t size;           /* of that file, 0 when not known */
	GPtrArray *debs;         /* directory: char *, absolute; else NULL */
} AshIndex;

typedef struct {
	const char *cache_dir;
	const char *arch;
	bool offline;
	AshProgress *progress;
	GError **first_skipped; /* set to why the first source was passed over, if one was; or NULL */
} AshIndexOptions;

/* ash_index_open:
 * @indices: AshIndex are added to it; none when an inherited source turns out not to be Debian's or
 *	cannot be reached and nothing says that it is Debian's
 *
 * Errors: ASH_SOURCE_ERROR, ASH_FETCH_ERROR.
 */
gboolean ash_index_open(const AshSource *source, const AshIndexOptions *options, GPtrArray *indices,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

GPtrArray *ash_index_list_new(void);

/* An index of the given .deb files. */
gboolean ash_index_open_debs(const AshSource *source, GPtrArray *take_paths, const char *cache_dir,
		GPtrArray *indices, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_index_read: every paragraph of the index goes to @callback. For .debs these are their control
 * files with Filename (the file's name, or with ash_index_open_debs its absolute path), Size and SHA256
 * added.
 */
gboolean ash_index_read(const AshIndex *index, const AshIndexOptions *options,
		AshDeb822Callback callback, gpointer closure, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
