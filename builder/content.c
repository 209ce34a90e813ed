/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/content.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	BLOCK_BYTES = 4096,
};

char *ash_content_object_path(const char *name)
{
	return g_strconcat("objects/", name, g_str_has_suffix(name, ".file") ? "z" : "", NULL);
}

gboolean ash_content_measure(AshRepo *archive, const char *commit, const char *from,
		AshContentSize *out_size, GError **error)
{
	g_autoptr(GPtrArray) names = NULL;
	g_autoptr(GPtrArray) had = NULL;
	g_autoptr(GHashTable) skip = g_hash_table_new(g_str_hash, g_str_equal);
	AshContentSize size = {0};

	if (!ash_repo_list_objects(archive, commit, &names, error) ||
			(from != NULL && !ash_repo_list_objects(archive, from, &had, error)))
		return FALSE;
	for (guint i = 0; had != NULL && i < had->len; i++)
		g_hash_table_add(skip, had->pdata[i]);
	for (guint i = 0; i < names->len; i++) {
		struct stat st;
		g_autofree char *name = ash_content_object_path(names->pdata[i]);
		g_autofree char *path = g_build_filename(ash_repo_path(archive), name, NULL);
		if (g_hash_table_contains(skip, names->pdata[i]))
			continue;
		if (stat(path, &st) < 0)
			return ash_throw_errno(error, "%s", path);
		size.objects++;
		size.bytes += (uint64_t) st.st_size;
		size.largest_bytes = MAX(size.largest_bytes, (uint64_t) st.st_size);
	}
	*out_size = size;
	return TRUE;
}

/* ---- trees --------------------------------------------------------------------------------------- */

static void measure_node(const AshNode *node, AshRelease *release)
{
	release->inodes++;
	if (node->kind == ASH_NODE_DIR)
		release->bytes += BLOCK_BYTES;
	else if (node->kind == ASH_NODE_FILE)
		release->bytes += (node->size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

static void measure_dir(const AshNode *dir, GHashTable *seen, AshRelease *release)
{
	GHashTableIter iter;
	gpointer value;

	measure_node(dir, release);
	g_hash_table_iter_init(&iter, dir->children);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const AshNode *node = value;
		if (node->kind == ASH_NODE_DIR) {
			measure_dir(node, seen, release);
			continue;
		}
		g_autofree char *hex = ash_sha256_format(node->csum);
		if (node->kind == ASH_NODE_FILE && !g_hash_table_add(seen, g_steal_pointer(&hex)))
			continue;
		measure_node(node, release);
	}
}

/* Kernel and initramfs of the one kernel that a host has. */
static uint64_t measure_boot(const AshTree *tree)
{
	static const char *const names[] = {"vmlinuz", "initramfs.img"};
	const AshNode *modules = ash_tree_find(tree, "usr/lib/modules");
	uint64_t bytes = 0;
	GHashTableIter iter;
	gpointer release;

	if (modules == NULL || modules->kind != ASH_NODE_DIR)
		return 0;
	g_hash_table_iter_init(&iter, modules->children);
	while (g_hash_table_iter_next(&iter, NULL, &release))
		for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
			const AshNode *file = ash_node_child(release, names[i]);
			bytes += file != NULL ? file->size : 0;
		}
	return bytes;
}

void ash_content_measure_tree(const AshTree *tree, AshRelease *release)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	release->bytes = 0;
	release->inodes = 0;
	measure_dir(tree->root, seen, release);
	release->boot_bytes = measure_boot(tree);
}

/* ---- deltas -------------------------------------------------------------------------------------- */

/* Base64 without padding, '_' in the place of '/'. */
static char *format_base64(const char *commit)
{
	g_autoptr(GBytes) bytes = ash_crypto_hex_find(commit);

	g_assert(bytes != NULL);
	char *text = g_base64_encode(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
	g_strdelimit(text, "/", '_');
	text[strcspn(text, "=")] = '\0';
	return text;
}

char *ash_content_delta_path(const char *from, const char *to)
{
	g_autofree char *from_text = format_base64(from);
	g_autofree char *to_text = format_base64(to);

	return g_strdup_printf("deltas/%.2s/%s-%s/superblock", from_text, from_text + 2, to_text);
}

static gboolean sync_file(const char *path, GError **error)
{
	ash_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fchmod(fd, 0644) < 0 || fsync(fd) < 0)
		return ash_throw_errno(error, "%s", path);
	return TRUE;
}

static gboolean generate(AshRepo *archive, const char *from, const char *to, const char *path,
		GError **error)
{
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *temp = g_strconcat(path, ".new", NULL);

	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0755, error))
		return FALSE;
	/* Left by one that was interrupted; there is a lock. */
	if (unlink(temp) < 0 && errno != ENOENT)
		return ash_throw_errno(error, "%s", temp);
	if (!ash_repo_make_delta(archive, from, to, temp, error) || !sync_file(temp, error))
		return FALSE;
	if (rename(temp, path) < 0)
		return ash_throw_errno(error, "rename(%s)", temp);
	return ash_file_sync_parent(AT_FDCWD, path, error);
}

static gboolean hash_file(const char *path, AshTargetDelta *delta, GError **error)
{
	ash_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	return ash_sha256_fd(fd, &delta->sha256, &delta->bytes, error);
}

static void drop(const char *path)
{
	g_autofree char *dir = g_path_get_dirname(path);

	unlink(path);
	rmdir(dir);
}

gboolean ash_content_make_delta(AshRepo *archive, const char *from, const char *to,
		AshTargetDelta **out_delta, GError **error)
{
	AshTargetDelta *delta = g_new0(AshTargetDelta, 1);
	AshContentSize size = {0};
	bool exists = false;

	delta->from = g_strdup(from);
	delta->path = ash_content_delta_path(from, to);
	g_autofree char *path = g_build_filename(ash_repo_path(archive), delta->path, NULL);
	if (!ash_content_measure(archive, to, from, &size, error) ||
			!ash_file_exists(AT_FDCWD, path, &exists, error) ||
			(!exists && !generate(archive, from, to, path, error)) ||
			!hash_file(path, delta, error)) {
		ash_target_delta_free(delta);
		return FALSE;
	}
	delta->objects = size.objects;
	delta->object_bytes = size.bytes;
	if (delta->bytes >= size.bytes) {
		drop(path);
		ash_target_delta_free(delta);
		delta = NULL;
	}
	*out_delta = delta;
	return TRUE;
}
