/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A file tree as values: names, owners, modes, and for each file the checksum of its OSTree content
 * object. PURE: no disk, no libostree. Packages, the effect of their scripts, and what a manifest
 * adds are all trees; composing an image is merging and editing them in memory, and only what is new
 * is ever written (builder/repo.h loads and stores trees).
 *
 * Invariants: (1) the root is a directory; (2) names hold no '/', are never "", "." or "..", and are
 * at most 255 bytes; (3) only directories have children; (4) a regular file has a checksum; a
 * symbolic link has a target (its content object is known to repo.c alone).
 *
 * Paths given to functions are absolute or relative to the root, with or without a leading '/'; they
 * are never resolved through symbolic links unless the function says so.
 */

#define ASH_TREE_ERROR (ash_tree_error_quark())
GQuark ash_tree_error_quark(void);

typedef enum {
	ASH_TREE_ERROR_BAD_PATH,      /* "..", an empty name, too long, through a file */
	ASH_TREE_ERROR_NOT_DIRECTORY, /* a parent is a file or link */
	ASH_TREE_ERROR_TOO_DEEP,
} AshTreeError;

enum {
	ASH_TREE_MAX_DEPTH = 64,
	ASH_TREE_CSUM_BYTES = 32,
};

typedef enum {
	ASH_NODE_DIR,
	ASH_NODE_FILE,
	ASH_NODE_LINK,
} AshNodeKind;

typedef struct AshNode AshNode;

struct AshNode {
	AshNodeKind kind;
	uint32_t mode; /* permission bits, 07777; 0777 for links */
	uint32_t uid;
	uint32_t gid;
	GVariant *xattrs; /* a(ayay), sorted by name, as OSTree stores them; NULL for none */
	/* File and link: checksum of the OSTree content object, which covers content, mode, owner and
	 * xattrs. Whoever edits mode, owner or xattrs sets has_csum to false; csum then still names an
	 * object with the right content, and repo.c stores it anew.
	 */
	uint8_t csum[ASH_TREE_CSUM_BYTES];
	bool has_csum;
	char *target;         /* links */
	GHashTable *children; /* directories: name (owned by the table) → AshNode */
	uint64_t size;        /* files: bytes of content */
	int owner;            /* index of the package that brought it, -1 for none */
};

typedef struct {
	AshNode *root;
} AshTree;

AshTree *ash_tree_new(void); /* a root with mode 0755, root:root */
AshTree *ash_tree_copy(const AshTree *tree);
void ash_tree_free(AshTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshTree, ash_tree_free)

AshNode *ash_node_new(AshNodeKind kind, uint32_t mode);
AshNode *ash_node_copy(const AshNode *node); /* with all below it */
void ash_node_free(AshNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshNode, ash_node_free)

/* NULL when there is none, and when a parent is not a directory. */
AshNode *ash_tree_find(const AshTree *tree, const char *path);

/* As ash_tree_find, but symbolic links are followed, in the last component too, within the tree
 * (at most 40). @out_path, when not NULL, is set to the resolved path with a leading '/'.
 */
AshNode *ash_tree_resolve(const AshTree *tree, const char *path, char **out_path);

/* ash_tree_insert: @take_node replaces what was there. Missing parents are made, 0755 root:root. */
gboolean ash_tree_insert(AshTree *tree, const char *path, AshNode *take_node, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The directory at @path, made with its parents when missing. Borrowed. */
gboolean ash_tree_ensure_dir(AshTree *tree, const char *path, AshNode **out_dir, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Removes the node and all below it; says whether there was one. */
bool ash_tree_remove(AshTree *tree, const char *path);

/* Takes the node out; NULL when there is none. */
AshNode *ash_tree_steal(AshTree *tree, const char *path);

/* Child by name; NULL when @dir is not a directory or has none. */
AshNode *ash_node_child(const AshNode *dir, const char *name);

/* The names of @dir's children, sorted by bytes; free with g_ptr_array_unref; names are borrowed. */
GPtrArray *ash_node_sorted_names(const AshNode *dir);

/* Calls @visit for each node, parents first, children in byte order of their names, the root with
 * path "/". Stops at the first FALSE and returns it. @visit may change a node, and what is
 * below it, but neither remove it nor touch its siblings.
 */
typedef gboolean (*AshTreeVisit)(const char *path, AshNode *node, gpointer data, GError **error);
gboolean ash_tree_walk(const AshTree *tree, AshTreeVisit visit, gpointer data, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Same kind, mode, owner, xattrs, and content or target (not: children). */
bool ash_node_equal(const AshNode *a, const AshNode *b);

/* Number of nodes but the root. */
size_t ash_tree_count(const AshTree *tree);
