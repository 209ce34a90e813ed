/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/fault.h"
#include "agent/workload/image-import.h"
#include "agent/workload/image-private.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/json.h"
#include "lib/text.h"

enum {
	MAX_KEEP = 1024,
};

/* ostree/workload, for root alone. */
static gboolean open_checkouts(const AshWorker *worker, int *out_fd, GError **error)
{
	if (!ash_file_ensure_dir(worker->sysroot_fd, ASH_IMAGE_CHECKOUTS, 0700, error))
		return FALSE;
	ash_autofd int fd = openat(worker->sysroot_fd, ASH_IMAGE_CHECKOUTS,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0700) < 0)
		return ash_throw_errno(error, ASH_IMAGE_CHECKOUTS);
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

/* A half that a power cut left has no commit's name. */
static gboolean checkout(AshOstree *repo, int dirfd, const char *commit, GError **error)
{
	g_autofree char *temp = g_strdup_printf(".%s.tmp", commit);

	if (!ash_file_remove_tree(dirfd, temp, error))
		return FALSE;
	ASH_FAULT("image-checkout-begin");
	if (!ash_ostree_checkout(repo, commit, dirfd, temp, error))
		return FALSE;
	ASH_FAULT("image-checkout-temp");
	if (syncfs(dirfd) < 0)
		return ash_throw_errno(error, "syncing the root");
	if (renameat(dirfd, temp, dirfd, commit) < 0)
		return ash_throw_errno(error, "rename(%s)", temp);
	ASH_FAULT("image-checkout-named");
	if (fsync(dirfd) < 0)
		return ash_throw_errno(error, ASH_IMAGE_CHECKOUTS);
	return TRUE;
}

gboolean ash_image_checkout_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	const char *commit = NULL;
	g_autoptr(AshOstree) repo = NULL;
	g_autoptr(GError) cause = NULL;
	ash_autofd int dirfd = -1;
	bool is_there = false;

	if (!ash_json_text(input, "commit", &commit, error))
		return FALSE;
	if (!ash_text_is_sha256(commit))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_FAILED,
				"'%.80s' is no commit", commit);
	ASH_PREFIX("checking out image %.12s", commit);
	if (!open_checkouts(worker, &dirfd, error) ||
			!ash_file_exists(dirfd, commit, &is_there, error) ||
			!ash_ostree_open(worker->sysroot_fd, &repo, error))
		return FALSE;
	if (!is_there && !checkout(repo, dirfd, commit, &cause))
		return ash_image_translate(error, g_steal_pointer(&cause));
	g_autofree char *path =
			g_strdup_printf("%s/" ASH_IMAGE_CHECKOUTS "/%s", worker->sysroot, commit);
	ash_json_add_text(result, "path", path);
	return TRUE;
}

/* ---- cleaning ------------------------------------------------------------------------------------ */

/* Layers of what is kept into @layers. */
static gboolean add_layers(AshOstree *repo, const char *commit, GHashTable *layers, GError **error)
{
	g_autoptr(GVariant) metadata = NULL;
	g_auto(GStrv) ids = NULL;

	if (!ash_ostree_load_commit(repo, commit, NULL, NULL, &metadata, error))
		return FALSE;
	if (g_variant_lookup(metadata, ASH_IMAGE_KEY_LAYERS, "^as", &ids))
		for (char **id = ids; *id != NULL; id++)
			g_hash_table_add(layers, g_strdup(*id));
	return TRUE;
}

static gboolean clean_refs(AshOstree *repo, GHashTable *keep, GError **error)
{
	g_autoptr(GHashTable) layers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) refs = NULL;
	GHashTableIter iter;
	gpointer key, value;

	if (!ash_ostree_refs(repo, &refs, error))
		return FALSE;
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, &key, &value))
		if (g_str_has_prefix(key, ASH_IMAGE_REF) && g_hash_table_contains(keep, value) &&
				!add_layers(repo, value, layers, error))
			return FALSE;
	/* Images before the layers that they are made of, so that no image is without its own. */
	for (int pass = 0; pass < 2; pass++) {
		const char *kind = pass == 0 ? ASH_IMAGE_REF : ASH_IMAGE_LAYER_REF;
		g_hash_table_iter_init(&iter, refs);
		while (g_hash_table_iter_next(&iter, &key, &value)) {
			if (!g_str_has_prefix(key, kind))
				continue;
			bool is_kept = pass == 0 ? g_hash_table_contains(keep, value)
						 : g_hash_table_contains(layers,
								   (const char *) key +
										   strlen(kind));
			if (!is_kept && !ash_ostree_set_ref(repo, key, NULL, error))
				return FALSE;
		}
		ASH_FAULT("image-clean-refs");
	}
	return TRUE;
}

static gboolean clean_checkouts(const AshWorker *worker, GHashTable *keep, GError **error)
{
	ash_autofd int dirfd = -1;

	if (!open_checkouts(worker, &dirfd, error))
		return FALSE;
	int list_fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(AshDir) dir = list_fd >= 0 ? fdopendir(list_fd) : NULL;
	if (dir == NULL)
		return ash_throw_errno(error, ASH_IMAGE_CHECKOUTS);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		const char *name = entry->d_name;
		g_autofree char *temp = g_strdup_printf(".%s.tmp", name);
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
				g_hash_table_contains(keep, name))
			continue;
		/* Half of it is never to be taken for a commit. */
		if (*name != '.' && ash_text_is_sha256(name)) {
			if (!ash_file_remove_tree(dirfd, temp, error))
				return FALSE;
			if (renameat(dirfd, name, dirfd, temp) < 0)
				return ash_throw_errno(error, "rename(%s)", name);
			ASH_FAULT("image-clean-hidden");
			name = temp;
		}
		if (!ash_file_remove_tree(dirfd, name, error))
			return FALSE;
	}
	return TRUE;
}

void ash_image_empty_staging(const AshWorker *worker)
{
	g_autoptr(GError) local = NULL;
	ash_autofd int staging =
			open(worker->staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	ash_autofd int oci = staging < 0 ? -1
					 : openat(staging, "oci",
							   O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
									   O_CLOEXEC);

	if (oci >= 0 && !ash_file_remove_tree(oci, "blobs", &local))
		g_debug("leaving what was downloaded: %s", local->message);
}

static uint64_t count_free(const AshWorker *worker)
{
	struct statvfs fs;

	return fstatvfs(worker->sysroot_fd, &fs) < 0 ? 0 : (uint64_t) fs.f_bfree * fs.f_frsize;
}

gboolean ash_image_clean_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(GHashTable) keep = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(AshOstree) repo = NULL;
	uint64_t before = count_free(worker);

	if (!ash_worker_read_keep(input, MAX_KEEP, keep, error) ||
			!ash_ostree_open(worker->sysroot_fd, &repo, error) ||
			!clean_checkouts(worker, keep, error) || !clean_refs(repo, keep, error))
		return FALSE;
	if (syncfs(worker->sysroot_fd) < 0)
		return ash_throw_errno(error, "syncing the root");
	ASH_FAULT("image-clean-prune");
	if (!ash_ostree_prune(repo, error))
		return FALSE;
	ash_image_empty_staging(worker);
	/* Until then the file system does not count what is free. */
	if (syncfs(worker->sysroot_fd) < 0)
		return ash_throw_errno(error, "syncing the root");
	uint64_t after = count_free(worker);
	ash_json_add_uint(result, "bytes", after > before ? after - before : 0);
	return TRUE;
}
