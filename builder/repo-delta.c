/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/repo-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "builder/bsdiff.h"
#include "builder/static-delta.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	/* Of an initramfs; a bigger one is libostree's to send. */
	MAX_PATCHED_BYTES = 256 << 20,
	MAX_DELTA_BYTES = 1 << 30,
};

/* ---- deltas ---------------------------------------------------------------------------------- */

/* A regular file of a commit. */
typedef struct {
	char csum[ASH_REPO_CHECKSUM_BUFFER];
	uint32_t uid, gid, mode;
	GVariant *xattrs;
	GBytes *content;
} CommitFile;

static void commit_file_clear(CommitFile *file)
{
	g_clear_pointer(&file->xattrs, g_variant_unref);
	g_clear_pointer(&file->content, g_bytes_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CommitFile, commit_file_clear)

/* Sets @out_csum to "" when @commit has not just one. */
static gboolean find_initramfs(AshRepo *repo, const char *commit,
		char out_csum[ASH_REPO_CHECKSUM_BUFFER], GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autoptr(GFile) root = NULL;

	*out_csum = '\0';
	if (!ostree_repo_read_commit(repo->ostree, commit, &root, NULL, NULL, &cause))
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_CORRUPT, commit);
	g_autoptr(GFile) modules = g_file_resolve_relative_path(root, "usr/lib/modules");
	g_autoptr(GFileEnumerator) kernels =
			g_file_enumerate_children(modules, G_FILE_ATTRIBUTE_STANDARD_NAME,
					G_FILE_QUERY_INFO_NOFOLLOW_SYMLINKS, NULL, &cause);
	if (kernels == NULL && g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
		return TRUE;
	if (kernels == NULL)
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_CORRUPT, commit);
	for (unsigned count = 0;;) {
		GFile *kernel = NULL;
		if (!g_file_enumerator_iterate(kernels, NULL, &kernel, NULL, &cause))
			return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_CORRUPT,
					commit);
		if (kernel == NULL)
			return TRUE;
		g_autoptr(GFile) image = g_file_get_child(kernel, "initramfs.img");
		if (g_file_query_file_type(image, G_FILE_QUERY_INFO_NOFOLLOW_SYMLINKS, NULL) !=
				G_FILE_TYPE_REGULAR)
			continue;
		count++;
		g_strlcpy(out_csum,
				count == 1 ? ostree_repo_file_get_checksum(OSTREE_REPO_FILE(image))
					   : "",
				ASH_REPO_CHECKSUM_BUFFER);
		if (count > 1)
			return TRUE;
	}
}

/* Without its content when that is too big for a patch. */
static gboolean load_commit_file(AshRepo *repo, CommitFile *file, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autoptr(GInputStream) stream = NULL;
	g_autoptr(GFileInfo) info = NULL;
	gsize got = 0;

	if (!ostree_repo_load_file(
			    repo->ostree, file->csum, &stream, &info, &file->xattrs, NULL, &cause))
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_CORRUPT, file->csum);
	file->uid = g_file_info_get_attribute_uint32(info, "unix::uid");
	file->gid = g_file_info_get_attribute_uint32(info, "unix::gid");
	file->mode = g_file_info_get_attribute_uint32(info, "unix::mode");
	goffset size = g_file_info_get_size(info);
	if (size <= 0 || size > MAX_PATCHED_BYTES)
		return TRUE;
	char *data = g_malloc((gsize) size);
	file->content = g_bytes_new_take(data, (gsize) size);
	if (!g_input_stream_read_all(stream, data, (gsize) size, &got, NULL, &cause))
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_CORRUPT, file->csum);
	if (got != (gsize) size)
		return ash_throw(error, ASH_REPO_ERROR, ASH_REPO_ERROR_CORRUPT, "%s is cut off",
				file->csum);
	return TRUE;
}

static gboolean generate_delta(
		AshRepo *repo, const char *from, const char *to, const char *path, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_auto(GVariantDict) options = G_VARIANT_DICT_INIT(NULL);

	/* One file, with all that the commit needs: a host can check it by one hash. */
	g_variant_dict_insert(&options, "inline-parts", "b", TRUE);
	g_variant_dict_insert(&options, "min-fallback-size", "u", 0);
	g_variant_dict_insert(&options, "filename", "^ay", path);
	g_autoptr(GVariant) parameters = g_variant_ref_sink(g_variant_dict_end(&options));
	if (!ostree_repo_static_delta_generate(repo->ostree, OSTREE_STATIC_DELTA_GENERATE_OPT_MAJOR,
			    from, to, NULL, parameters, NULL, &cause))
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, repo->path);
	return TRUE;
}

/* A commit that has what @from has and the file @csum besides, so that a delta leaves that out. No ref is
 * its: when this is interrupted, pruning takes it away.
 */
static gboolean write_with_file(AshRepo *repo, const char *from, const char *csum,
		char **out_commit, char **out_tree, GError **error)
{
	g_autoptr(GError) cause = NULL;
	g_autoptr(OstreeMutableTree) tree =
			ostree_mutable_tree_new_from_commit(repo->ostree, from, &cause);
	g_autoptr(GFile) root = NULL;

	if (tree == NULL || !ostree_mutable_tree_replace_file(tree, ".ashlar-delta", csum, &cause))
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, from);
	if (!ash_repo_begin(repo, error))
		return FALSE;
	if (!ostree_repo_write_mtree(repo->ostree, tree, &root, NULL, &cause) ||
			!ostree_repo_write_commit_with_time(repo->ostree, NULL, "", NULL, NULL,
					OSTREE_REPO_FILE(root), 0, out_commit, NULL, &cause)) {
		ash_repo_abort(repo);
		return ash_repo_fail(error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, from);
	}
	*out_tree = g_strdup(ostree_repo_file_tree_get_contents_checksum(OSTREE_REPO_FILE(root)));
	return ash_repo_commit(repo, error);
}

static void remove_object(AshRepo *repo, OstreeObjectType type, const char *csum)
{
	g_autoptr(GError) local = NULL;

	if (!ostree_repo_delete_object(repo->ostree, type, csum, NULL, &local))
		g_debug("%s: %s, left for pruning", csum, local->message);
}

/* Into the delta at @path, which has everything but @to's initramfs. */
static gboolean add_patch(const char *path, const char *from, const CommitFile *from_file,
		const CommitFile *to_file, GError **error)
{
	g_autoptr(GByteArray) patch = g_byte_array_new();
	g_autoptr(GBytes) delta = NULL;
	g_autoptr(GBytes) whole = NULL;
	uint8_t from_csum[ASH_TREE_CSUM_BYTES];
	gsize from_size = 0;
	gsize to_size = 0;
	const uint8_t *from_data = g_bytes_get_data(from_file->content, &from_size);
	const uint8_t *to_data = g_bytes_get_data(to_file->content, &to_size);
	AshStaticDeltaFile file = {
			.uid = to_file->uid,
			.gid = to_file->gid,
			.mode = to_file->mode,
			.xattrs = to_file->xattrs,
			.size = to_size,
			.patch = patch,
	};

	ash_bsdiff(from_data, from_size, to_data, to_size, patch);
	ostree_checksum_inplace_to_bytes(from, from_csum);
	ostree_checksum_inplace_to_bytes(from_file->csum, file.source);
	ostree_checksum_inplace_to_bytes(to_file->csum, file.object);
	return ash_file_read(AT_FDCWD, path, MAX_DELTA_BYTES, &delta, error) &&
	       ash_static_delta_add(delta, from_csum, &file, &whole, error) &&
	       ash_file_replace(AT_FDCWD, path, g_bytes_get_data(whole, NULL),
			       g_bytes_get_size(whole), 0644, error);
}

gboolean ash_repo_make_delta(
		AshRepo *repo, const char *from, const char *to, const char *path, GError **error)
{
	ASH_PREFIX("making the delta from %.12s to %.12s", from, to);
	g_auto(CommitFile) from_file = {0};
	g_auto(CommitFile) to_file = {0};
	g_autofree char *commit = NULL;
	g_autofree char *tree = NULL;

	if (!find_initramfs(repo, from, from_file.csum, error) ||
			!find_initramfs(repo, to, to_file.csum, error))
		return FALSE;
	if (*from_file.csum == '\0' || *to_file.csum == '\0' ||
			g_str_equal(from_file.csum, to_file.csum))
		return generate_delta(repo, from, to, path, error);
	if (!load_commit_file(repo, &from_file, error) || !load_commit_file(repo, &to_file, error))
		return FALSE;
	if (from_file.content == NULL || to_file.content == NULL)
		return generate_delta(repo, from, to, path, error);
	if (!write_with_file(repo, from, to_file.csum, &commit, &tree, error))
		return FALSE;
	gboolean is_made = generate_delta(repo, commit, to, path, error);
	remove_object(repo, OSTREE_OBJECT_TYPE_COMMIT, commit);
	remove_object(repo, OSTREE_OBJECT_TYPE_DIR_TREE, tree);
	return is_made && add_patch(path, from, &from_file, &to_file, error);
}

gboolean ash_repo_write_summary(AshRepo *repo, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (!ostree_repo_regenerate_summary(repo->ostree, NULL, NULL, &cause))
		return ash_repo_fail(
				error, g_steal_pointer(&cause), ASH_REPO_ERROR_FAILED, repo->path);
	return TRUE;
}
