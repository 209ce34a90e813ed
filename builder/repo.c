/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/repo-private.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gfiledescriptorbased.h>
#include <gio/gunixinputstream.h>
#include <gio/gunixoutputstream.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"

G_DEFINE_QUARK(ash_repo_error, ash_repo_error)

gboolean ash_repo_fail(GError **error, GError *take_cause, int code, const char *what)
{
	g_autoptr(GError) cause = take_cause;

	if (cause->domain == G_IO_ERROR && cause->code != G_IO_ERROR_FAILED &&
			cause->code != G_IO_ERROR_NOT_FOUND)
		return ash_throw(error, cause->domain, cause->code, "%s: %s", what, cause->message);
	return ash_throw(error, ASH_REPO_ERROR, code, "%s: %s", what, cause->message);
}

static gboolean create(const char *path, OstreeRepoMode mode, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autoptr(GFile) file = g_file_new_for_path(path);
	g_autoptr(OstreeRepo) ostree = ostree_repo_new(file);

	if (!ostree_repo_create(ostree, mode, NULL, &cause))
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, path);
	/* Syncing each of ten thousand objects would take minutes; _commit syncs once, before the
	 * staged objects get their names.
	 */
	g_autoptr(GKeyFile) config = ostree_repo_copy_config(ostree);
	g_key_file_set_boolean(config, "core", "per-object-fsync", FALSE);
	/* A full disk is told by the write that meets it, as ENOSPC. */
	g_key_file_set_string(config, "core", "min-free-space-percent", "0");
	if (!ostree_repo_write_config(ostree, config, &cause))
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, path);
	return TRUE;
}

/* Made under another name and renamed, so that two processes may do it at once, and a kill leaves a
 * whole repository or none. A bare one is of mode 0700: objects carry their true owners and modes,
 * setuid ones included. An archive is there to be read.
 */
static gboolean create_at_once(const char *path, OstreeRepoMode mode, GError **error)
{
	g_autofree char *canonical = g_canonicalize_filename(path, NULL);
	g_autofree char *parent = g_path_get_dirname(canonical);
	g_autofree char *name = g_path_get_basename(canonical);
	g_autoptr(AshTempDir) temp = NULL;

	if (!ash_file_ensure_dir(AT_FDCWD, parent, 0755, error) ||
			!ash_temp_dir_new(parent, name, &temp, error) ||
			!create(temp->path, mode, error))
		return FALSE;
	if (mode == OSTREE_REPO_MODE_ARCHIVE && chmod(temp->path, 0755) < 0)
		return ash_throw_errno(error, "chmod(%s)", temp->path);
	/* An empty directory is replaced. */
	if (rename(temp->path, canonical) == 0)
		return TRUE;
	if (errno == EBUSY || errno == ENOTDIR)
		/* The root of a file system, or a link to a directory. */
		return create(canonical, mode, error);
	g_autofree char *config = g_build_filename(canonical, "config", NULL);
	if ((errno == EEXIST || errno == ENOTEMPTY) && access(config, F_OK) == 0)
		return TRUE;
	return ash_throw_errno(error, "making a repository at '%s'", path);
}

static gboolean open_repo(const char *path, OstreeRepoMode mode, bool may_create,
		AshRepo **out_repo, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autofree char *config = g_build_filename(path, "config", NULL);
	bool exists = false;

	if (!ash_file_exists(AT_FDCWD, config, &exists, error))
		return FALSE;
	if (!exists && !may_create)
		return ash_throw(error, ASH_REPO_ERROR, ASH_REPO_ERROR_NOT_FOUND,
				"there is no OSTree repository at '%s' (run 'ashlar %s' first)",
				path, mode == OSTREE_REPO_MODE_ARCHIVE ? "release" : "build");
	if (!exists && !create_at_once(path, mode, error))
		return FALSE;
	g_autoptr(GFile) file = g_file_new_for_path(path);
	g_autoptr(OstreeRepo) opened = ostree_repo_new(file);
	if (!ostree_repo_open(opened, NULL, &cause))
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, path);
	if (mode == OSTREE_REPO_MODE_ARCHIVE && ostree_repo_get_mode(opened) != mode)
		return ash_throw(error, ASH_REPO_ERROR, ASH_REPO_ERROR_FAILED,
				"the repository at '%s' is not of the mode archive", path);

	AshRepo *repo = g_new0(AshRepo, 1);
	repo->ostree = g_steal_pointer(&opened);
	repo->path = g_strdup(path);
	*out_repo = repo;
	return TRUE;
}

gboolean ash_repo_open(const char *path, bool may_create, AshRepo **out_repo, GError **error)
{
	return open_repo(path, OSTREE_REPO_MODE_BARE, may_create, out_repo, error);
}

gboolean ash_repo_open_archive(
		const char *path, bool may_create, AshRepo **out_repo, GError **error)
{
	return open_repo(path, OSTREE_REPO_MODE_ARCHIVE, may_create, out_repo, error);
}

void ash_repo_free(AshRepo *repo)
{
	if (repo == NULL)
		return;
	ash_repo_abort(repo);
	g_clear_object(&repo->ostree);
	g_free(repo->path);
	g_free(repo);
}

const char *ash_repo_path(const AshRepo *repo)
{
	return repo->path;
}

gboolean ash_repo_begin(AshRepo *repo, GError **error)
{
	g_autoptr(GError) cause = NULL;

	g_assert(!repo->in_transaction);
	if (!ostree_repo_prepare_transaction(repo->ostree, NULL, NULL, &cause))
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, repo->path);
	repo->in_transaction = true;
	return TRUE;
}

gboolean ash_repo_commit(AshRepo *repo, GError **error)
{
	g_autoptr(GError) cause = NULL;

	g_assert(repo->in_transaction);
	if (!ostree_repo_commit_transaction(repo->ostree, NULL, NULL, &cause)) {
		ash_repo_abort(repo);
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, repo->path);
	}
	repo->in_transaction = false;
	return TRUE;
}

void ash_repo_abort(AshRepo *repo)
{
	g_autoptr(GError) local = NULL;

	if (!repo->in_transaction)
		return;
	repo->in_transaction = false;
	if (!ostree_repo_abort_transaction(repo->ostree, NULL, &local))
		g_debug("aborting a transaction in %s: %s, ignoring", repo->path, local->message);
}

gboolean ash_repo_write_file(
		AshRepo *repo, AshNode *node, const void *data, size_t size, GError **error)
{
	g_autoptr(GError) cause = NULL;
	static const uint8_t nothing[1];

	g_assert(node->kind == ASH_NODE_FILE);
	g_autofree char *hex = ostree_repo_write_regfile_inline(repo->ostree, NULL, node->uid,
			node->gid, S_IFREG | node->mode, node->xattrs, size > 0 ? data : nothing,
			size, NULL, &cause);
	if (hex == NULL)
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED,
				"storing a file");
	ostree_checksum_inplace_to_bytes(hex, node->csum);
	node->has_csum = true;
	node->size = size;
	return TRUE;
}

gboolean ash_repo_write_file_fd(AshRepo *repo, AshNode *node, int fd, GError **error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return ash_throw_errno(error, "fstat");
	if (st.st_size == 0)
		return ash_repo_write_file(repo, node, NULL, 0, error);
	/* A mapping costs no memory of ours; the descriptors that come here are files nobody writes to
	 * any more.
	 */
	size_t size = (size_t) st.st_size;
	void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return ash_throw_errno(error, "mmap");
	gboolean ok = ash_repo_write_file(repo, node, data, size, error);
	munmap(data, size);
	return ok;
}

static void object_path(const AshNode *node, const char *suffix, char out_path[80])
{
	char hex[ASH_REPO_CHECKSUM_BUFFER];

	ostree_checksum_inplace_from_bytes(node->csum, hex);
	g_snprintf(out_path, 80, "objects/%.2s/%s.%s", hex, hex + 2, suffix);
}

gboolean ash_repo_open_file(AshRepo *repo, const AshNode *node, int *out_fd, GError **error)
{
	char path[80];

	g_assert(node->kind == ASH_NODE_FILE);
	object_path(node, "file", path);
	int fd = openat(ostree_repo_get_dfd(repo->ostree), path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && repo->in_transaction) {
		/* Staged, and not under its name yet. */
		char hex[ASH_REPO_CHECKSUM_BUFFER];
		g_autoptr(GInputStream) stream = NULL;

		ostree_checksum_inplace_from_bytes(node->csum, hex);
		if (ostree_repo_load_file(repo->ostree, hex, &stream, NULL, NULL, NULL, NULL) &&
				G_IS_FILE_DESCRIPTOR_BASED(stream))
			fd = fcntl(g_file_descriptor_based_get_fd(G_FILE_DESCRIPTOR_BASED(stream)),
					F_DUPFD_CLOEXEC, 3);
		else
			errno = ENOENT;
	}
	if (fd < 0 && errno == ENOENT)
		return ash_throw(error, ASH_REPO_ERROR, ASH_REPO_ERROR_CORRUPT,
				"%s/%s is missing (run 'ashlar cache prune --all' and build again)",
				repo->path, path);
	if (fd < 0)
		return ash_throw_errno(error, "%s/%s", repo->path, path);
	*out_fd = fd;
	return TRUE;
}

gboolean ash_repo_rewrite_file(AshRepo *repo, AshNode *node, GError **error)
{
	ash_autofd int fd = -1;

	if (!ash_repo_open_file(repo, node, &fd, error))
		return FALSE;
	return ash_repo_write_file_fd(repo, node, fd, error);
}

static gboolean write_link(AshRepo *repo, AshNode *node, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autofree char *hex = ostree_repo_write_symlink(repo->ostree, NULL, node->uid, node->gid,
			node->xattrs, node->target, NULL, &cause);

	if (hex == NULL)
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED,
				"storing a link");
	ostree_checksum_inplace_to_bytes(hex, node->csum);
	node->has_csum = true;
	return TRUE;
}

static gboolean write_metadata(AshRepo *repo, OstreeObjectType type, GVariant *take_variant,
		uint8_t out_csum[ASH_TREE_CSUM_BYTES], GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autoptr(GVariant) variant = g_variant_ref_sink(take_variant);
	g_autofree guchar *csum = NULL;

	if (!ostree_repo_write_metadata(repo->ostree, type, NULL, variant, &csum, NULL, &cause))
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED,
				"storing a directory");
	memcpy(out_csum, csum, ASH_TREE_CSUM_BYTES);
	return TRUE;
}

static GVariant *format_csum(const uint8_t csum[ASH_TREE_CSUM_BYTES])
{
	return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, csum, ASH_TREE_CSUM_BYTES, 1);
}

/* The format of dirmeta and dirtree objects: ostree-core.h, OSTREE_DIRMETA_GVARIANT_FORMAT and
 * OSTREE_TREE_GVARIANT_FORMAT; numbers big-endian, names sorted.
 */
static GVariant *format_dirmeta(const AshNode *dir)
{
	GVariant *xattrs = dir->xattrs != NULL
					   ? dir->xattrs
					   : g_variant_new_array(G_VARIANT_TYPE("(ayay)"), NULL, 0);

	return g_variant_new("(uuu@a(ayay))", GUINT32_TO_BE(dir->uid), GUINT32_TO_BE(dir->gid),
			GUINT32_TO_BE(S_IFDIR | dir->mode), xattrs);
}

static gboolean write_dir(AshRepo *repo, AshNode *dir, uint8_t out_tree[ASH_TREE_CSUM_BYTES],
		uint8_t out_meta[ASH_TREE_CSUM_BYTES], GError **error)
{
	g_autoptr(GPtrArray) names = ash_node_sorted_names(dir);
	g_auto(GVariantBuilder) files = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(say)"));
	g_auto(GVariantBuilder) dirs = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(sayay)"));

	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		AshNode *child = ash_node_child(dir, name);
		if (child->kind == ASH_NODE_DIR) {
			uint8_t tree[ASH_TREE_CSUM_BYTES];
			uint8_t meta[ASH_TREE_CSUM_BYTES];
			if (!write_dir(repo, child, tree, meta, error))
				return FALSE;
			g_variant_builder_add(&dirs, "(s@ay@ay)", name, format_csum(tree),
					format_csum(meta));
			continue;
		}
		if (!child->has_csum &&
				!(child->kind == ASH_NODE_LINK ? write_link(repo, child, error)
							       : ash_repo_rewrite_file(repo, child,
										 error)))
			return FALSE;
		g_variant_builder_add(&files, "(s@ay)", name, format_csum(child->csum));
	}
	GVariant *tree = g_variant_new("(@a(say)@a(sayay))", g_variant_builder_end(&files),
			g_variant_builder_end(&dirs));
	return write_metadata(repo, OSTREE_OBJECT_TYPE_DIR_TREE, tree, out_tree, error) &&
	       write_metadata(repo, OSTREE_OBJECT_TYPE_DIR_META, format_dirmeta(dir), out_meta,
			       error);
}

gboolean ash_repo_write_tree(AshRepo *repo, AshTree *tree, const AshRepoCommitInfo *info,
		char **out_commit, GError **error)
{
	uint8_t tree_csum[ASH_TREE_CSUM_BYTES];
	uint8_t meta_csum[ASH_TREE_CSUM_BYTES];
	uint8_t commit_csum[ASH_TREE_CSUM_BYTES];
	bool own_transaction = !repo->in_transaction;

	if (own_transaction && !ash_repo_begin(repo, error))
		return FALSE;
	/* Format: ostree-core.h, OSTREE_COMMIT_GVARIANT_FORMAT: metadata, parent, related objects,
	 * subject, body, time (big-endian), root directory.
	 */
	g_autoptr(GVariant) empty =
			g_variant_ref_sink(g_variant_new_array(G_VARIANT_TYPE("{sv}"), NULL, 0));
	if (!write_dir(repo, tree->root, tree_csum, meta_csum, error) ||
			!write_metadata(repo, OSTREE_OBJECT_TYPE_COMMIT,
					g_variant_new("(@a{sv}@ay@a(say)sst@ay@ay)",
							info->metadata != NULL ? info->metadata
									       : empty,
							g_variant_new_array(G_VARIANT_TYPE_BYTE,
									NULL, 0),
							g_variant_new_array(G_VARIANT_TYPE("(say)"),
									NULL, 0),
							info->subject != NULL ? info->subject : "",
							"", GUINT64_TO_BE(info->timestamp_s),
							format_csum(tree_csum),
							format_csum(meta_csum)),
					commit_csum, error)) {
		if (own_transaction)
			ash_repo_abort(repo);
		return FALSE;
	}
	char hex[ASH_REPO_CHECKSUM_BUFFER];
	ostree_checksum_inplace_from_bytes(commit_csum, hex);
	if (info->ref != NULL)
		ostree_repo_transaction_set_ref(repo->ostree, NULL, info->ref, hex);
	if (own_transaction && !ash_repo_commit(repo, error))
		return FALSE;
	*out_commit = g_strdup(hex);
	return TRUE;
}

gboolean ash_repo_resolve(AshRepo *repo, const char *rev, char **out_commit, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (!ostree_repo_resolve_rev(repo->ostree, rev, FALSE, out_commit, &cause))
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_NOT_FOUND,
				repo->path);
	return TRUE;
}

gboolean ash_repo_find_ref(AshRepo *repo, const char *ref, char **out_commit, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (!ostree_repo_resolve_rev_ext(repo->ostree, ref, TRUE, 0, out_commit, &cause))
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, ref);
	return TRUE;
}

gboolean ash_repo_list_refs(
		AshRepo *repo, const char *prefix, GHashTable **out_refs, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autoptr(GHashTable) all = NULL;

	if (!ostree_repo_list_refs(repo->ostree, NULL, &all, NULL, &cause))
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, repo->path);
	g_autoptr(GHashTable) refs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	GHashTableIter iter;
	gpointer ref, commit;
	g_hash_table_iter_init(&iter, all);
	while (g_hash_table_iter_next(&iter, &ref, &commit))
		if (g_str_has_prefix(ref, prefix))
			g_hash_table_insert(refs, g_strdup(ref), g_strdup(commit));
	*out_refs = g_steal_pointer(&refs);
	return TRUE;
}

gboolean ash_repo_set_ref(AshRepo *repo, const char *ref, const char *commit, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (repo->in_transaction)
		ostree_repo_transaction_set_ref(repo->ostree, NULL, ref, commit);
	else if (!ostree_repo_set_ref_immediate(repo->ostree, NULL, ref, commit, NULL, &cause))
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, ref);
	return TRUE;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* A bare object is the file: its inode has all that the tree needs to know. */
static gboolean load_object(AshRepo *repo, const uint8_t csum[ASH_TREE_CSUM_BYTES],
		AshNode **out_node, GError **error)
{
	g_autoptr(AshNode) node = ash_node_new(ASH_NODE_FILE, 0);
	char path[80];
	struct stat st;
	int dfd = ostree_repo_get_dfd(repo->ostree);

	memcpy(node->csum, csum, ASH_TREE_CSUM_BYTES);
	node->has_csum = true;
	object_path(node, "file", path);
	if (fstatat(dfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ash_throw(error, ASH_REPO_ERROR, ASH_REPO_ERROR_CORRUPT, "%s/%s is missing",
				repo->path, path);
	node->mode = st.st_mode & 07777;
	node->uid = st.st_uid;
	node->gid = st.st_gid;
	if (S_ISLNK(st.st_mode)) {
		char target[PATH_MAX];
		ssize_t n = readlinkat(dfd, path, target, sizeof target - 1);
		if (n < 0)
			return ash_throw_errno(error, "%s/%s", repo->path, path);
		node->kind = ASH_NODE_LINK;
		node->mode = 0777;
		node->target = g_strndup(target, (gsize) n);
	} else {
		node->size = (uint64_t) st.st_size;
		ash_autofd int fd = openat(dfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return ash_throw_errno(error, "%s/%s", repo->path, path);
		if (!ash_repo_read_xattrs(fd, path, &node->xattrs, error))
			return FALSE;
	}
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

static gboolean load_variant(AshRepo *repo, OstreeObjectType type, const uint8_t *csum,
		GVariant **out_variant, GError **error)
{
	char hex[ASH_REPO_CHECKSUM_BUFFER];
	g_autoptr(GError) cause = NULL;

	ostree_checksum_inplace_from_bytes(csum, hex);
	if (!ostree_repo_load_variant(repo->ostree, type, hex, out_variant, &cause))
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_CORRUPT, repo->path);
	return TRUE;
}

static gboolean parse_csum(GVariant *bytes, const uint8_t **out_csum, GError **error)
{
	gsize n = 0;
	gconstpointer data = g_variant_get_fixed_array(bytes, &n, 1);

	if (n != ASH_TREE_CSUM_BYTES)
		return ash_throw(error, ASH_REPO_ERROR, ASH_REPO_ERROR_CORRUPT,
				"a checksum of %zu bytes, expected %d", n, ASH_TREE_CSUM_BYTES);
	*out_csum = data;
	return TRUE;
}

static gboolean load_dir(AshRepo *repo, const uint8_t *tree_csum, const uint8_t *meta_csum,
		int depth, AshNode **out_dir, GError **error)
{
	g_autoptr(GVariant) tree = NULL;
	g_autoptr(GVariant) meta = NULL;
	g_autoptr(AshNode) dir = ash_node_new(ASH_NODE_DIR, 0);
	uint32_t uid, gid, mode;

	if (depth > ASH_TREE_MAX_DEPTH)
		return ash_throw(error, ASH_REPO_ERROR, ASH_REPO_ERROR_CORRUPT,
				"directories more than %d deep", ASH_TREE_MAX_DEPTH);
	if (!load_variant(repo, OSTREE_OBJECT_TYPE_DIR_TREE, tree_csum, &tree, error) ||
			!load_variant(repo, OSTREE_OBJECT_TYPE_DIR_META, meta_csum, &meta, error))
		return FALSE;
	g_autoptr(GVariant) xattrs = NULL;
	g_variant_get(meta, "(uuu@a(ayay))", &uid, &gid, &mode, &xattrs);
	dir->uid = GUINT32_FROM_BE(uid);
	dir->gid = GUINT32_FROM_BE(gid);
	dir->mode = GUINT32_FROM_BE(mode) & 07777;
	if (g_variant_n_children(xattrs) > 0)
		dir->xattrs = g_steal_pointer(&xattrs);

	g_autoptr(GVariant) files = g_variant_get_child_value(tree, 0);
	g_autoptr(GVariant) dirs = g_variant_get_child_value(tree, 1);
	for (gsize i = 0, n = g_variant_n_children(files); i < n; i++) {
		const char *name;
		const uint8_t *csum;
		g_autoptr(GVariant) bytes = NULL;
		AshNode *child = NULL;
		g_variant_get_child(files, i, "(&s@ay)", &name, &bytes);
		if (!parse_csum(bytes, &csum, error) || !load_object(repo, csum, &child, error))
			return FALSE;
		g_hash_table_insert(dir->children, g_strdup(name), child);
	}
	for (gsize i = 0, n = g_variant_n_children(dirs); i < n; i++) {
		const char *name;
		const uint8_t *csum;
		const uint8_t *child_meta;
		g_autoptr(GVariant) bytes = NULL;
		g_autoptr(GVariant) meta_bytes = NULL;
		AshNode *child = NULL;
		g_variant_get_child(dirs, i, "(&s@ay@ay)", &name, &bytes, &meta_bytes);
		if (!parse_csum(bytes, &csum, error) ||
				!parse_csum(meta_bytes, &child_meta, error) ||
				!load_dir(repo, csum, child_meta, depth + 1, &child, error))
			return FALSE;
		g_hash_table_insert(dir->children, g_strdup(name), child);
	}
	*out_dir = g_steal_pointer(&dir);
	return TRUE;
}

static gboolean load_commit(
		AshRepo *repo, const char *commit, GVariant **out_variant, GError **error)
{
	uint8_t csum[ASH_TREE_CSUM_BYTES];

	ostree_checksum_inplace_to_bytes(commit, csum);
	return load_variant(repo, OSTREE_OBJECT_TYPE_COMMIT, csum, out_variant, error);
}

gboolean ash_repo_load_tree(AshRepo *repo, const char *commit, AshTree **out_tree, GError **error)
{
	ASH_PREFIX("loading commit %.12s", commit);
	g_autoptr(GVariant) variant = NULL;
	const uint8_t *tree_csum;
	const uint8_t *meta_csum;
	AshNode *root = NULL;

	if (!load_commit(repo, commit, &variant, error))
		return FALSE;
	g_autoptr(GVariant) tree_bytes = g_variant_get_child_value(variant, 6);
	g_autoptr(GVariant) meta_bytes = g_variant_get_child_value(variant, 7);
	if (!parse_csum(tree_bytes, &tree_csum, error) ||
			!parse_csum(meta_bytes, &meta_csum, error) ||
			!load_dir(repo, tree_csum, meta_csum, 0, &root, error))
		return FALSE;
	AshTree *tree = g_new0(AshTree, 1);
	tree->root = root;
	*out_tree = tree;
	return TRUE;
}

gboolean ash_repo_load_commit(AshRepo *repo, const char *commit, GVariant **out_metadata,
		char **out_subject, uint64_t *out_timestamp_s, GError **error)
{
	ASH_PREFIX("loading commit %.12s", commit);
	g_autoptr(GVariant) variant = NULL;

	if (!load_commit(repo, commit, &variant, error))
		return FALSE;
	if (out_metadata != NULL)
		*out_metadata = g_variant_get_child_value(variant, 0);
	if (out_subject != NULL)
		g_variant_get_child(variant, 3, "s", out_subject);
	if (out_timestamp_s != NULL)
		*out_timestamp_s = ostree_commit_get_timestamp(variant);
	return TRUE;
}

gboolean ash_repo_read_file(AshRepo *repo, const AshTree *tree, const char *path, size_t max_bytes,
		GBytes **out_bytes, GError **error)
{
	const AshNode *node = ash_tree_resolve(tree, path, NULL);
	ash_autofd int fd = -1;

	if (node == NULL || node->kind != ASH_NODE_FILE)
		return ash_throw(error, ASH_REPO_ERROR, ASH_REPO_ERROR_NOT_FOUND,
				"the tree has no file '%s'", path);
	if (!ash_repo_open_file(repo, node, &fd, error))
		return FALSE;
	g_autofree char *name = g_strdup_printf("/proc/self/fd/%d", fd);
	return ash_file_read(AT_FDCWD, name, max_bytes, out_bytes, error);
}

gboolean ash_repo_checkout(AshRepo *repo, const char *commit, const char *path, GError **error)
{
	ASH_PREFIX("checking out %.12s", commit);
	g_autoptr(GError) cause = NULL;
	OstreeRepoCheckoutAtOptions options = {
			.mode = OSTREE_REPO_CHECKOUT_MODE_NONE,
			.overwrite_mode = OSTREE_REPO_CHECKOUT_OVERWRITE_NONE,
			.no_copy_fallback = TRUE,
	};

	if (!ostree_repo_checkout_at(repo->ostree, &options, AT_FDCWD, path, commit, NULL, &cause))
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, path);
	return TRUE;
}

static gboolean traverse(
		AshRepo *repo, const char *commit, GHashTable **out_objects, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (!ostree_repo_traverse_commit(repo->ostree, commit, 0, out_objects, NULL, &cause))
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_CORRUPT, repo->path);
	/* A commit that is not there has, for libostree, no objects. */
	if (g_hash_table_size(*out_objects) == 0) {
		g_clear_pointer(out_objects, g_hash_table_unref);
		return ash_throw(error, ASH_REPO_ERROR, ASH_REPO_ERROR_CORRUPT,
				"%s: commit %s is missing", repo->path, commit);
	}
	return TRUE;
}

gboolean ash_repo_list_objects(
		AshRepo *repo, const char *commit, GPtrArray **out_names, GError **error)
{
	g_autoptr(GHashTable) objects = NULL;

	if (!traverse(repo, commit, &objects, error))
		return FALSE;
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	GHashTableIter iter;
	gpointer key;
	g_hash_table_iter_init(&iter, objects);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		const char *hex;
		OstreeObjectType type;
		ostree_object_name_deserialize(key, &hex, &type);
		g_ptr_array_add(names, g_strdup_printf("%.2s/%s.%s", hex, hex + 2,
						       ostree_object_type_to_string(type)));
	}
	g_ptr_array_sort(names, compare_names);
	*out_names = g_steal_pointer(&names);
	return TRUE;
}

gboolean ash_repo_pull_local(
		AshRepo *repo, AshRepo *from, const char *commit, const char *ref, GError **error)
{
	ASH_PREFIX("copying %.12s to %s", commit, repo->path);
	g_autoptr(GHashTable) objects = NULL;
	g_autoptr(GError) cause = NULL;

	if (!traverse(from, commit, &objects, error) || !ash_repo_begin(repo, error))
		return FALSE;
	GHashTableIter iter;
	gpointer key;
	g_hash_table_iter_init(&iter, objects);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		const char *hex;
		OstreeObjectType type;
		ostree_object_name_deserialize(key, &hex, &type);
		if (!ash_interrupt_check(error)) {
			ash_repo_abort(repo);
			return FALSE;
		}
		/* A hard link where that is possible, a copy otherwise; nothing when it is there. */
		if (!ostree_repo_import_object_from_with_trust(
				    repo->ostree, from->ostree, type, hex, TRUE, NULL, &cause)) {
			ash_repo_abort(repo);
			return ash_repo_fail(
					error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, hex);
		}
	}
	if (ref != NULL)
		ostree_repo_transaction_set_ref(repo->ostree, NULL, ref, commit);
	return ash_repo_commit(repo, error);
}

gboolean ash_repo_prune(AshRepo *repo, uint64_t *out_bytes, GError **error)
{
	g_autoptr(GError) cause = NULL;
	gint total, pruned;
	guint64 bytes = 0;

	if (!ostree_repo_prune(repo->ostree, OSTREE_REPO_PRUNE_FLAGS_REFS_ONLY, -1, &total, &pruned,
			    &bytes, NULL, &cause))
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, repo->path);
	*out_bytes = bytes;
	return TRUE;
}

gboolean ash_repo_fsck(AshRepo *repo, const char *commit, GError **error)
{
	g_autoptr(GHashTable) objects = NULL;
	g_autoptr(GError) cause = NULL;

	if (!traverse(repo, commit, &objects, error))
		return FALSE;
	GHashTableIter iter;
	gpointer key;
	g_hash_table_iter_init(&iter, objects);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		const char *hex;
		OstreeObjectType type;
		ostree_object_name_deserialize(key, &hex, &type);
		if (!ostree_repo_fsck_object(repo->ostree, type, hex, NULL, &cause))
			return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_CORRUPT,
					repo->path);
	}
	return TRUE;
}
