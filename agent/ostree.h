/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The host's OSTree repository (/sysroot/ostree/repo, mode bare): agent/ostree*.c are the files of this room that
 * may include libostree. Its deployments are not used, see agent/deploy.h.
 *
 * Objects are named as below objects/: "ab/cdef….commit", ".dirtree", ".dirmeta", ".file". What comes in
 * is hashed on the way in; nothing that is not what its name says gets a name.
 */

#define ASH_OSTREE_ERROR (ash_ostree_error_quark())
GQuark ash_ostree_error_quark(void);

typedef enum {
	ASH_OSTREE_ERROR_FAILED,    /* what libostree says */
	ASH_OSTREE_ERROR_NOT_FOUND, /* an object or commit is not there */
	ASH_OSTREE_ERROR_CORRUPT,   /* an object is not what its name says */
} AshOstreeError;

enum {
	ASH_OSTREE_MAX_METADATA_BYTES = 10 << 20, /* libostree's own limit */
};

typedef struct AshOstree AshOstree;

/* @sysroot_fd: the directory that holds ostree/. */
gboolean ash_ostree_open(int sysroot_fd, AshOstree **out_repo, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_ostree_free(AshOstree *repo);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshOstree, ash_ostree_free)

/* "ab/cdef….commit" */
char *ash_ostree_commit_object(const char *commit);

/* ---- reading ---- */

/* What the commit says of itself; texts "" when missing. */
typedef struct {
	char *version, *name, *variant, *arch;
	char *kernel_release; /* "" for a tree without kernel */
	char **kernel_arguments;
} AshOstreeInfo;

gboolean ash_ostree_load_info(AshOstree *repo, const char *commit, AshOstreeInfo **out_info,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_ostree_info_free(AshOstreeInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshOstreeInfo, ash_ostree_info_free)

/* A question. Objects of an open transaction count. */
gboolean ash_ostree_has(AshOstree *repo, const char *object, bool *out_has, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The objects that a commit or dirtree names; those of other kinds name none. @out_objects: char * */
gboolean ash_ostree_children(AshOstree *repo, const char *object, GPtrArray **out_objects,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* All that @commit needs, as a set of char *; ASH_OSTREE_ERROR_NOT_FOUND names what is missing. */
gboolean ash_ostree_objects(AshOstree *repo, const char *commit, GHashTable **out_objects,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads @object from the disk, past the page cache as far as the kernel lets go of it, and hashes it.
 * ASH_OSTREE_ERROR_CORRUPT.
 */
gboolean ash_ostree_verify(AshOstree *repo, const char *object, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Takes the name of a corrupt object away, so that the next import brings it again. */
gboolean ash_ostree_drop(AshOstree *repo, const char *object, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Called with every entry below the commit's root: its path ("usr/bin/a"), and its object (a dirtree's
 * for a directory).
 */
typedef gboolean (*AshOstreeVisit)(
		const char *path, const char *object, bool is_dir, gpointer data, GError **error);
gboolean ash_ostree_walk(AshOstree *repo, const char *commit, AshOstreeVisit visit, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A question: is the file at @path the one that @object (a .file) names? By inode where it is a hard
 * link, by hash otherwise.
 */
gboolean ash_ostree_is_object(AshOstree *repo, const char *object, int dirfd, const char *path,
		bool *out_is, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- writing ---- */

/* Objects appear together at _commit, which syncs them first. A process that died is continued: what it
 * had written in this boot is there again after _begin.
 */
gboolean ash_ostree_begin(AshOstree *repo, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_ostree_commit(AshOstree *repo, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_ostree_abort(AshOstree *repo);

/* A .commit, .dirtree or .dirmeta. ASH_OSTREE_ERROR_CORRUPT when it is not that or malformed. */
gboolean ash_ostree_write_metadata(AshOstree *repo, const char *object, GBytes *bytes,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A .file from @fd, an archive repository's ".filez" of @size bytes that may be anything, and may change
 * while it is read. @max_bytes: its content once unpacked. Sets *out_bytes to what that was.
 */
gboolean ash_ostree_write_content(AshOstree *repo, const char *object, int fd, uint64_t size,
		uint64_t max_bytes, uint64_t *out_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Applies a static delta with all parts inside; @fd: a regular file that nobody else can write to. */
gboolean ash_ostree_apply_delta(AshOstree *repo, int fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Hard links of the tree in the new directory @path. */
gboolean ash_ostree_checkout(AshOstree *repo, const char *commit, int dirfd, const char *path,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- making trees of one's own: images of workloads (agent/workload/image-store.h) ---- */

/* Who may do what with a file or directory. @xattrs: a(ayay) sorted by name, or NULL. */
typedef struct {
	uint32_t uid, gid;
	uint32_t mode; /* 07777 */
	GVariant *xattrs;
} AshOstreeOwner;

/* Supplies content: sets *out_data to a buffer that lives until the next call, *out_size to 0 at the end. */
typedef gboolean (*AshOstreeSource)(
		gpointer data, const void **out_data, size_t *out_size, GError **error);

/* These need an open transaction; *out_hex is the object's checksum. Names and targets of links are UTF-8, or it is
 * ASH_OSTREE_ERROR_CORRUPT; so is content of another size than @size.
 */
gboolean ash_ostree_make_file(AshOstree *repo, const AshOstreeOwner *owner, uint64_t size,
		AshOstreeSource source, gpointer data, char **out_hex, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_ostree_make_link(AshOstree *repo, const AshOstreeOwner *owner, const char *target,
		char **out_hex, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_ostree_make_dirmeta(AshOstree *repo, const AshOstreeOwner *owner, char **out_hex,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* An entry of a directory: @tree NULL for a file or link, of which @object is the checksum; else @tree is the
 * dirtree's and @object the dirmeta's.
 */
typedef struct {
	const char *name;
	const char *object, *tree;
} AshOstreeEntry;

/* @entries: AshOstreeEntry, in any order, no name twice. */
gboolean ash_ostree_make_dirtree(AshOstree *repo, GPtrArray *entries, char **out_hex,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* @metadata: a{sv}. Time 0, so that the same tree is the same commit. */
gboolean ash_ostree_make_commit(AshOstree *repo, const char *dirtree, const char *dirmeta,
		GVariant *metadata, char **out_commit, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* As ash_ostree_commit, for many small objects: the file system is synced as a whole before objects get their names,
 * and again after, in place of each of 256 directories.
 */
gboolean ash_ostree_commit_together(AshOstree *repo, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Removes what transactions that were aborted have left for the next one. */
gboolean ash_ostree_forget(AshOstree *repo, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Called with each entry of a dirtree; borrowed. */
typedef gboolean (*AshOstreeEach)(const AshOstreeEntry *entry, gpointer data, GError **error);
gboolean ash_ostree_load_dirtree(AshOstree *repo, const char *hex, AshOstreeEach each,
		gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Of a commit, its dirtree and dirmeta, and its metadata (a{sv}); any of the outputs may be NULL. */
gboolean ash_ostree_load_commit(AshOstree *repo, const char *commit, char **out_dirtree,
		char **out_dirmeta, GVariant **out_metadata, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Where a link leads; NULL for a file. */
gboolean ash_ostree_load_link(AshOstree *repo, const char *hex, char **out_target, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Bytes of an object on the disk. */
gboolean ash_ostree_object_size(AshOstree *repo, const char *object, uint64_t *out_bytes,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- refs: what is kept ---- */

/* Keys are refs, values commits. */
gboolean ash_ostree_refs(AshOstree *repo, GHashTable **out_refs, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @commit NULL removes it. */
gboolean ash_ostree_set_ref(AshOstree *repo, const char *ref, const char *commit, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Removes all that no ref reaches. */
gboolean ash_ostree_prune(AshOstree *repo, GError **error) G_GNUC_WARN_UNUSED_RESULT;
