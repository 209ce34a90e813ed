/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/ostree.h"

/* Trees of an image, in memory: directories with the checksums of what is in them, loaded as they are looked at.
 *
 * No path ever meets a file system: names are keys, links are followed here and never lead out of the tree, so
 * that an image can name anything and reach nothing.
 *
 * A layer is a tree too. What it says beside its files is kept as files that begin with ".wh.", which no image can
 * have for itself:
 *
 *	.wh.NAME          NAME of the layers below is gone                (as in the layer)
 *	.wh..wh..opq      nothing of this directory below is left         (as in the layer)
 *	.wh..wh..imp      the layer does not name this directory, only things in it: its owner and mode are
 *	                  those of below, and where a link stands below, that is followed
 *	.wh..wh..ln.NAME  a link to the path of a file below that NAME is a hard link to
 */

#define ASH_IMAGE_ERROR (ash_image_error_quark())
GQuark ash_image_error_quark(void);

typedef enum {
	ASH_IMAGE_ERROR_CORRUPT, /* digest or size is not what was named; not a layer */
	ASH_IMAGE_ERROR_HOSTILE, /* a path or link that no honest image has */
	ASH_IMAGE_ERROR_LIMIT,
	ASH_IMAGE_ERROR_MISSING, /* a blob or commit is not there */
	ASH_IMAGE_ERROR_REF,     /* the image reference, or the request, cannot be understood */
} AshImageError;

enum {
	ASH_IMAGE_MAX_FILES = 500000, /* entries of one layer; files and directories of an image */
	ASH_IMAGE_MAX_DEPTH = 100,    /* of directories */
	ASH_IMAGE_MAX_NAME_BYTES = 255,
	ASH_IMAGE_MAX_PATH_BYTES = 4095,
	ASH_IMAGE_MAX_LINKS = 40, /* followed for one path */
};

/* Of all layers of an image together, unpacked; of one file too. */
#define ASH_IMAGE_MAX_BYTES ((uint64_t) 32 << 30)

/* Where objects are: the repository (agent/workload/image-store.h), or memory for tests. */
typedef struct {
	gboolean (*make_file)(gpointer data, const AshOstreeOwner *owner, uint64_t size,
			AshOstreeSource source, gpointer source_data, char **out_hex,
			GError **error);
	gboolean (*make_link)(gpointer data, const AshOstreeOwner *owner, const char *target,
			char **out_hex, GError **error);
	gboolean (*make_dirmeta)(
			gpointer data, const AshOstreeOwner *owner, char **out_hex, GError **error);
	gboolean (*make_dirtree)(gpointer data, GPtrArray *entries, char **out_hex, GError **error);
	gboolean (*load_dirtree)(gpointer data, const char *hex, AshOstreeEach each,
			gpointer each_data, GError **error);
	/* *out_target NULL: not a link */
	gboolean (*load_link)(gpointer data, const char *hex, char **out_target, GError **error);
	gpointer data;
} AshImageStore;

/* One directory. */
typedef struct AshImageTree {
	char *meta;        /* checksum of its dirmeta; NULL: 0755, root */
	char *tree;        /* checksum of its dirtree, as long as it is not loaded; else NULL */
	GHashTable *files; /* name → checksum */
	GHashTable *dirs;  /* name → AshImageTree */
} AshImageTree;

#define ASH_IMAGE_WHITEOUT ".wh."
#define ASH_IMAGE_RESERVED ".wh..wh."
#define ASH_IMAGE_OPAQUE ".wh..wh..opq"
#define ASH_IMAGE_IMPLIED ".wh..wh..imp"
#define ASH_IMAGE_LINK ".wh..wh..ln."

/* @tree, @meta: checksums, or NULL for an empty one. */
AshImageTree *ash_image_tree_new(const char *tree, const char *meta);
void ash_image_tree_free(AshImageTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshImageTree, ash_image_tree_free)

gboolean ash_image_tree_load(AshImageTree *tree, const AshImageStore *store, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Called for a directory on a path that is not there yet. NULL: stop. */
typedef AshImageTree *(*AshImageMissing)(
		AshImageTree *parent, const char *name, gpointer data, GError **error);

/* The directory at @path below @root, "" being that itself. Links are followed inside the tree, ".." ends at its root.
 * @missing NULL: *out_dir NULL when it is not there, or not a directory.
 */
gboolean ash_image_tree_find_dir(AshImageTree *root, const AshImageStore *store, const char *path,
		AshImageMissing missing, gpointer data, AshImageTree **out_dir, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The checksum of the file or link at @path, borrowed; links are followed on the way but not at its end. NULL when
 * there is none.
 */
gboolean ash_image_tree_find_file(AshImageTree *root, const AshImageStore *store, const char *path,
		const char **out_hex, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Names in one directory, not below it. What was there goes. */
void ash_image_tree_put_file(AshImageTree *dir, const char *name, const char *hex);
void ash_image_tree_put_dir(AshImageTree *dir, const char *name, AshImageTree *take_child);
void ash_image_tree_remove(AshImageTree *dir, const char *name);

/* @layer's changes onto @image. Both are used up as far as they were loaded; @layer is not to be used again. */
gboolean ash_image_tree_apply(AshImageTree *image, AshImageTree *layer, const AshImageStore *store,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	uint64_t files, dirs; /* of those that were loaded */
} AshImageCount;

/* Makes what is new of it; what was not loaded is as it was. */
gboolean ash_image_tree_write(AshImageTree *tree, const AshImageStore *store, AshImageCount *count,
		char **out_tree, char **out_meta, GError **error) G_GNUC_WARN_UNUSED_RESULT;
