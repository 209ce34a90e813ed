/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/ostree-private.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	HEX = OSTREE_SHA256_STRING_LEN,
};

/* ---- objects ----------------------------------------------------------------------------------- */

gboolean ash_ostree_make_file(AshOstree *repo, const AshOstreeOwner *owner, uint64_t size,
		AshOstreeSource source, gpointer data, char **out_hex, GError **error)
{
	g_autoptr(GError) cause = NULL;
	uint64_t written = 0;

	g_assert(repo->in_transaction);
	g_autoptr(OstreeContentWriter) writer = ostree_repo_write_regfile(repo->ostree, NULL,
			owner->uid, owner->gid, S_IFREG | owner->mode, size, owner->xattrs, &cause);
	if (writer == NULL)
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT,
				"beginning a file");
	for (;;) {
		const void *piece = NULL;
		size_t bytes = 0;
		if (!source(data, &piece, &bytes, error))
			return FALSE;
		if (bytes == 0)
			break;
		written += bytes;
		if (written > size)
			break;
		if (!g_output_stream_write_all(
				    G_OUTPUT_STREAM(writer), piece, bytes, NULL, NULL, &cause))
			return ash_ostree_fail(error, g_steal_pointer(&cause),
					ASH_OSTREE_ERROR_FAILED, "writing a file");
	}
	if (written != size)
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
				"has another size than the %" G_GUINT64_FORMAT " bytes it says",
				size);
	char *hex = ostree_content_writer_finish(writer, NULL, &cause);
	if (hex == NULL)
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT,
				"ending a file");
	*out_hex = hex;
	return TRUE;
}

gboolean ash_ostree_make_link(AshOstree *repo, const AshOstreeOwner *owner, const char *target,
		char **out_hex, GError **error)
{
	g_autoptr(GError) cause = NULL;

	g_assert(repo->in_transaction);
	if (!g_utf8_validate(target, -1, NULL))
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
				"a link's target is not UTF-8");
	char *hex = ostree_repo_write_symlink(repo->ostree, NULL, owner->uid, owner->gid,
			owner->xattrs, target, NULL, &cause);
	if (hex == NULL)
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT,
				"writing a link");
	*out_hex = hex;
	return TRUE;
}

static gboolean write_variant(AshOstree *repo, OstreeObjectType type, GVariant *variant,
		char **out_hex, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autofree guchar *csum = NULL;

	g_assert(repo->in_transaction);
	if (!ostree_repo_write_metadata(repo->ostree, type, NULL, variant, &csum, NULL, &cause))
		return ash_ostree_fail(error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT,
				ostree_object_type_to_string(type));
	*out_hex = ostree_checksum_from_bytes(csum);
	return TRUE;
}

gboolean ash_ostree_make_dirmeta(
		AshOstree *repo, const AshOstreeOwner *owner, char **out_hex, GError **error)
{
	GVariant *xattrs = owner->xattrs;

	if (xattrs == NULL)
		xattrs = g_variant_new_array(G_VARIANT_TYPE("(ayay)"), NULL, 0);
	g_autoptr(GVariant) variant = g_variant_ref_sink(g_variant_new("(uuu@a(ayay))",
			GUINT32_TO_BE(owner->uid), GUINT32_TO_BE(owner->gid),
			GUINT32_TO_BE(S_IFDIR | owner->mode), xattrs));
	return write_variant(repo, OSTREE_OBJECT_TYPE_DIR_META, variant, out_hex, error);
}

static int compare_entries(gconstpointer a, gconstpointer b)
{
	return strcmp((*(const AshOstreeEntry *const *) a)->name,
			(*(const AshOstreeEntry *const *) b)->name);
}

gboolean ash_ostree_make_dirtree(
		AshOstree *repo, GPtrArray *entries, char **out_hex, GError **error)
{
	g_auto(GVariantBuilder) files = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(say)"));
	g_auto(GVariantBuilder) dirs = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(sayay)"));

	g_ptr_array_sort(entries, compare_entries);
	for (guint i = 0; i < entries->len; i++) {
		const AshOstreeEntry *entry = entries->pdata[i];
		if (!g_utf8_validate(entry->name, -1, NULL))
			return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
					"a file's name is not UTF-8");
		if (entry->tree == NULL)
			g_variant_builder_add(&files, "(s@ay)", entry->name,
					ostree_checksum_to_bytes_v(entry->object));
		else
			g_variant_builder_add(&dirs, "(s@ay@ay)", entry->name,
					ostree_checksum_to_bytes_v(entry->tree),
					ostree_checksum_to_bytes_v(entry->object));
	}
	g_autoptr(GVariant) variant =
			g_variant_ref_sink(g_variant_new("(a(say)a(sayay))", &files, &dirs));
	return write_variant(repo, OSTREE_OBJECT_TYPE_DIR_TREE, variant, out_hex, error);
}

gboolean ash_ostree_make_commit(AshOstree *repo, const char *dirtree, const char *dirmeta,
		GVariant *metadata, char **out_commit, GError **error)
{
	g_autoptr(GVariant) variant = g_variant_ref_sink(g_variant_new(
			"(@a{sv}@ay@a(say)sst@ay@ay)", metadata,
			g_variant_new_array(G_VARIANT_TYPE_BYTE, NULL, 0),
			g_variant_new_array(G_VARIANT_TYPE("(say)"), NULL, 0), "", "",
			GUINT64_TO_BE((guint64) 0), ostree_checksum_to_bytes_v(dirtree),
			ostree_checksum_to_bytes_v(dirmeta)));

	return write_variant(repo, OSTREE_OBJECT_TYPE_COMMIT, variant, out_commit, error);
}

/* ---- transactions ------------------------------------------------------------------------------ */

static gboolean sync_all(AshOstree *repo, GError **error)
{
	if (syncfs(ostree_repo_get_dfd(repo->ostree)) < 0)
		return ash_throw_errno(error, "syncing the repository");
	return TRUE;
}

gboolean ash_ostree_commit_together(AshOstree *repo, GError **error)
{
	/* A name must not be there before what it names: who finds an object believes it. */
	if (!sync_all(repo, error))
		return FALSE;
	ostree_repo_set_disable_fsync(repo->ostree, TRUE);
	gboolean is_ok = ash_ostree_commit(repo, error);
	ostree_repo_set_disable_fsync(repo->ostree, FALSE);
	return is_ok && sync_all(repo, error);
}

gboolean ash_ostree_forget(AshOstree *repo, GError **error)
{
	g_assert(!repo->in_transaction);
	int fd = openat(ostree_repo_get_dfd(repo->ostree), "tmp",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "ostree/repo/tmp");
	g_autoptr(AshDir) dir = fdopendir(fd);
	if (dir == NULL) {
		ash_throw_errno(error, "ostree/repo/tmp");
		close(fd);
		return FALSE;
	}
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (g_str_has_prefix(entry->d_name, "staging-") &&
				!ash_file_remove_tree(fd, entry->d_name, error))
			return FALSE;
	return TRUE;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static gboolean load(AshOstree *repo, OstreeObjectType type, const char *hex,
		GVariant **out_variant, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (!ostree_repo_load_variant(repo->ostree, type, hex, out_variant, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT, hex);
	return TRUE;
}

/* Child @index of @variant, which is to be a checksum. */
static gboolean read_hex(GVariant *variant, gsize index, char out_hex[HEX + 1], GError **error)
{
	g_autoptr(GVariant) bytes = g_variant_get_child_value(variant, index);
	gsize size;
	const guchar *csum = g_variant_get_fixed_array(bytes, &size, 1);

	if (size != OSTREE_SHA256_DIGEST_LEN)
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT,
				"an object is named by something that is no checksum");
	ostree_checksum_inplace_from_bytes(csum, out_hex);
	return TRUE;
}

gboolean ash_ostree_load_dirtree(
		AshOstree *repo, const char *hex, AshOstreeEach each, gpointer data, GError **error)
{
	g_autoptr(GVariant) variant = NULL;

	if (!load(repo, OSTREE_OBJECT_TYPE_DIR_TREE, hex, &variant, error))
		return FALSE;
	for (gsize kind = 0; kind < 2; kind++) {
		g_autoptr(GVariant) entries = g_variant_get_child_value(variant, kind);
		for (gsize i = 0; i < g_variant_n_children(entries); i++) {
			g_autoptr(GVariant) child = g_variant_get_child_value(entries, i);
			char object[HEX + 1], tree[HEX + 1];
			AshOstreeEntry entry = {.object = object, .tree = kind == 1 ? tree : NULL};
			g_variant_get_child(child, 0, "&s", &entry.name);
			/* Its tree and its meta, or its content. */
			if (!read_hex(child, kind == 1 ? 2 : 1, object, error) ||
					(kind == 1 && !read_hex(child, 1, tree, error)) ||
					!each(&entry, data, error))
				return FALSE;
		}
	}
	return TRUE;
}

gboolean ash_ostree_load_commit(AshOstree *repo, const char *commit, char **out_dirtree,
		char **out_dirmeta, GVariant **out_metadata, GError **error)
{
	g_autoptr(GVariant) variant = NULL;
	char dirtree[HEX + 1], dirmeta[HEX + 1];

	if (!load(repo, OSTREE_OBJECT_TYPE_COMMIT, commit, &variant, error) ||
			!read_hex(variant, 6, dirtree, error) ||
			!read_hex(variant, 7, dirmeta, error))
		return FALSE;
	if (out_dirtree != NULL)
		*out_dirtree = g_strdup(dirtree);
	if (out_dirmeta != NULL)
		*out_dirmeta = g_strdup(dirmeta);
	if (out_metadata != NULL)
		*out_metadata = g_variant_get_child_value(variant, 0);
	return TRUE;
}

gboolean ash_ostree_load_link(AshOstree *repo, const char *hex, char **out_target, GError **error)
{
	g_autofree char *path = g_strdup_printf("objects/%.2s/%s.file", hex, hex + 2);
	char target[PATH_MAX];
	ssize_t size = readlinkat(ostree_repo_get_dfd(repo->ostree), path, target, sizeof target);

	if (size >= 0) {
		*out_target = g_strndup(target, (gsize) size);
		return TRUE;
	}
	if (errno == EINVAL) {
		*out_target = NULL;
		return TRUE;
	}
	if (errno != ENOENT)
		return ash_throw_errno(error, "%s", path);
	/* It may still wait for the end of the transaction. */
	g_autoptr(GError) cause = NULL;
	g_autoptr(GFileInfo) info = NULL;
	if (!ostree_repo_load_file(repo->ostree, hex, NULL, &info, NULL, NULL, &cause))
		return ash_ostree_fail(
				error, g_steal_pointer(&cause), ASH_OSTREE_ERROR_CORRUPT, path);
	*out_target = g_strdup(g_file_info_get_symlink_target(info));
	return TRUE;
}

gboolean ash_ostree_object_size(
		AshOstree *repo, const char *object, uint64_t *out_bytes, GError **error)
{
	g_autofree char *path = g_strconcat("objects/", object, NULL);
	struct stat st;

	if (fstatat(ostree_repo_get_dfd(repo->ostree), path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_NOT_FOUND,
					"object %s is missing", object);
		return ash_throw_errno(error, "%s", path);
	}
	*out_bytes = (uint64_t) st.st_size;
	return TRUE;
}
