/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/repo.h"
#include "builder/tree.h"

/* What differs between two of: a manifest, a lock, a commit, a disk image (by the commit it boots).
 *
 * Each becomes a side, a few tables of text and, for commits and images, a tree; comparing sides is
 * PURE. Like is compared with like; between kinds, what both know: lock and commit their packages, a
 * manifest and either of them the settings, the kernel arguments, and whether what was asked for is
 * there.
 */

#define ASH_DIFF_ERROR (ash_diff_error_quark())
GQuark ash_diff_error_quark(void);

typedef enum {
	ASH_DIFF_ERROR_NO_REPOSITORY, /* a commit is named, and there is no repository */
	ASH_DIFF_ERROR_IMAGE,         /* not a disk image that 'ashlar image' has made */
} AshDiffError;

typedef enum {
	ASH_DIFF_MANIFEST,
	ASH_DIFF_LOCK,
	ASH_DIFF_COMMIT,
	ASH_DIFF_IMAGE,
} AshDiffKind;

typedef struct {
	AshDiffKind kind;
	char *name;            /* as the user gave it */
	char *commit;          /* COMMIT, IMAGE */
	GHashTable *fields;    /* char * → char *, "" when known to be empty */
	GHashTable *arguments; /* of the kernel: char * → "" ; NULL when not known */
	GHashTable *packages;  /* name, or name:arch for a foreign one → version */
	AshTree *tree;         /* COMMIT, IMAGE */
} AshDiffSide;

/* ash_diff_side_load:
 * @name: a file (.yaml, .yml, .lock, or a disk image), else a rev of the repository
 * @repo_path: opened when it is needed
 */
gboolean ash_diff_side_load(const char *name, const char *repo_path, AshDiffSide **out_side,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
AshDiffSide *ash_diff_side_new(AshDiffKind kind, const char *name);
void ash_diff_side_free(AshDiffSide *side);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDiffSide, ash_diff_side_free)

/* One that is on one side only has NULL on the other. */
typedef struct {
	char *key;  /* field, argument, package or path */
	char *from; /* value, version; files: what else changed, "mode 0755" */
	char *to;
	uint64_t from_bytes; /* files */
	uint64_t to_bytes;
} AshDiffChange;

typedef struct {
	/* AshDiffChange, each sorted by key */
	GPtrArray *fields;
	GPtrArray *arguments;
	GPtrArray *packages;
	GPtrArray *files; /* NULL unless both sides have a tree */
	uint64_t from_bytes;
	uint64_t to_bytes; /* of all files */
} AshDiff;

AshDiff *ash_diff_new(const AshDiffSide *a, const AshDiffSide *b);
void ash_diff_free(AshDiff *diff);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDiff, ash_diff_free)

bool ash_diff_is_empty(const AshDiff *diff);

/* The files' changes by bytes grown or shrunk, the most first; borrowed entries. */
GPtrArray *ash_diff_largest_files(const AshDiff *diff);

/* ---- for diff-*.c ------------------------------------------------------------------------------ */

/* The commit that a disk image boots, from the boot entry on its ESP. */
gboolean ash_diff_read_image(const char *path, char **out_commit, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* What a manifest says, flat. */
gboolean ash_diff_load_manifest(AshDiffSide *side, GError **error) G_GNUC_WARN_UNUSED_RESULT;
