/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/tree.h"

/* OSTree repositories: repo.c is the one file of this room that may include libostree.
 *
 * The builder's repositories are of mode "bare": the builder runs as root, objects carry their true owner, mode and
 * extended attributes, and a checkout is hard links. Commits are named by their SHA-256 in 64
 * hexadecimal digits.
 */

#define ASH_REPO_ERROR (ash_repo_error_quark())
GQuark ash_repo_error_quark(void);

typedef enum {
	ASH_REPO_ERROR_FAILED,    /* what libostree says */
	ASH_REPO_ERROR_NOT_FOUND, /* no such ref or commit */
	ASH_REPO_ERROR_CORRUPT,   /* an object is missing, or is not what its name says */
} AshRepoError;

typedef struct AshRepo AshRepo;

/* Opens, after making it when @create; a directory that is no repository is an error. */
gboolean ash_repo_open(const char *path, bool create, AshRepo **out_repo, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The same of mode "archive", which web servers serve: files are compressed, and belong to who writes
 * them. What comes to it comes with ash_repo_pull_local; of the functions below those that say so, and
 * those about refs and commits, are for it.
 */
gboolean ash_repo_open_archive(const char *path, bool create, AshRepo **out_repo, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_repo_free(AshRepo *repo);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRepo, ash_repo_free)

const char *ash_repo_path(const AshRepo *repo);

/* Writes happen in a transaction: objects are staged, and appear together with the refs at _commit.
 * Leaving without _commit drops them. _write_* may be called from several threads in between.
 */
gboolean ash_repo_begin(AshRepo *repo, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_repo_commit(AshRepo *repo, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_repo_abort(AshRepo *repo);

/* ash_repo_write_file: stores a regular file's content object and sets @node's csum and size.
 * @node: kind FILE, with mode, owner, xattrs as wanted. Any thread.
 */
gboolean ash_repo_write_file(AshRepo *repo, AshNode *node, const void *data, size_t size,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same from @fd, read from its position to its end; never holds more than a few MB. */
gboolean ash_repo_write_file_fd(AshRepo *repo, AshNode *node, int fd, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Stores again, with @node's present mode, owner, xattrs, the content it had under @node->csum. */
gboolean ash_repo_rewrite_file(AshRepo *repo, AshNode *node, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	const char *subject;  /* or NULL */
	const char *ref;      /* or NULL */
	GVariant *metadata;   /* a{sv}, or NULL; borrowed */
	uint64_t timestamp_s; /* seconds since 1970 */
} AshRepoCommitInfo;

/* ash_repo_write_tree: stores the directories of @tree that are not there yet, and a commit.
 * Deterministic: the same tree and info give the same checksum. Files without csum are rewritten
 * first (ash_repo_rewrite_file). In a transaction of the caller's, or in one of its own.
 */
gboolean ash_repo_write_tree(AshRepo *repo, AshTree *tree, const AshRepoCommitInfo *info,
		char **out_commit, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @rev: a commit checksum, a unique prefix of one, or a ref. ASH_REPO_ERROR_NOT_FOUND. */
gboolean ash_repo_resolve(AshRepo *repo, const char *rev, char **out_commit, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* A question: the commit of @ref, or NULL. */
gboolean ash_repo_find_ref(AshRepo *repo, const char *ref, char **out_commit, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* @prefix: "" for all. Keys are refs, values commits. */
gboolean ash_repo_list_refs(AshRepo *repo, const char *prefix, GHashTable **out_refs,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @commit NULL removes the ref. Outside of a transaction. */
gboolean ash_repo_set_ref(AshRepo *repo, const char *ref, const char *commit, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_repo_load_tree: the whole commit, sizes included. */
gboolean ash_repo_load_tree(AshRepo *repo, const char *commit, AshTree **out_tree, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The a{sv} metadata of a commit, its subject and its time (each may be NULL). */
gboolean ash_repo_load_commit(AshRepo *repo, const char *commit, GVariant **out_metadata,
		char **out_subject, uint64_t *out_timestamp_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Opens a regular file's content for reading (a bare object is the file itself). */
gboolean ash_repo_open_file(AshRepo *repo, const AshNode *node, int *out_fd, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The content of a file in a tree, by path (links are followed); ASH_REPO_ERROR_NOT_FOUND;
 * ASH_FILE_ERROR_TOO_BIG. */
gboolean ash_repo_read_file(AshRepo *repo, const AshTree *tree, const char *path, size_t max_bytes,
		GBytes **out_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The extended attributes of an open file as AshNode.xattrs has them, NULL for none; those that
 * overlayfs keeps for itself are left out. @what: for messages.
 */
gboolean ash_repo_read_xattrs(int fd, const char *what, GVariant **out_xattrs, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Hard-link checkout of @commit into the new directory @path, same file system only. */
gboolean ash_repo_checkout(AshRepo *repo, const char *commit, const char *path, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* All objects that @commit needs, as file names below objects/ ("ab/cdef….file", "….dirtree",
 * "….dirmeta", "….commit"), sorted. In an archive the file of a "….file" is called "….filez".
 */
gboolean ash_repo_list_objects(AshRepo *repo, const char *commit, GPtrArray **out_names,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Brings @commit with all its objects from @from to @repo, by hard link where both are of one mode on
 * one file system; what is there is left. On disk, synced, before its ref is. Sets @ref there (may be NULL).
 */
gboolean ash_repo_pull_local(AshRepo *repo, AshRepo *from, const char *commit, const char *ref,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes objects that no ref reaches. */
gboolean ash_repo_prune(AshRepo *repo, uint64_t *out_bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Reads and hashes every object of @commit; ASH_REPO_ERROR_CORRUPT names the first bad one. */
gboolean ash_repo_fsck(AshRepo *repo, const char *commit, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_repo_make_delta: a static delta of OSTree as the one file @path, which holds all its parts; the
 * caller syncs it. From and to an archive. The initramfs is patched (builder/static-delta.h); everything
 * else is as libostree does it.
 */
gboolean ash_repo_make_delta(AshRepo *repo, const char *from, const char *to, const char *path,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The file "summary" of an archive, for plain 'ostree pull': refs and deltas as they are now. */
gboolean ash_repo_write_summary(AshRepo *repo, GError **error) G_GNUC_WARN_UNUSED_RESULT;
