/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/clean.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/esp.h"
#include "agent/fault.h"
#include "agent/paths.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/oci.h"
#include "lib/text.h"
#include "lib/workload.h"

enum {
	MAX_KEEP = 64,
};

gboolean ash_clean_set_immutable(int dirfd, const char *path, bool is_immutable, GError **error)
{
	int flags = 0;
	ash_autofd int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return errno == ENOTTY || errno == EOPNOTSUPP ||
		       ash_throw_errno(error, "reading the flags of %s", path);
	int wanted = is_immutable ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	if (wanted != flags && ioctl(fd, FS_IOC_SETFLAGS, &wanted) < 0)
		return errno == ENOTTY || errno == EOPNOTSUPP ||
		       ash_throw_errno(error, "setting the flags of %s", path);
	return TRUE;
}

gboolean ash_clean_tree(const AshWorker *worker, const char *path, GError **error)
{
	struct stat st;

	if (fstatat(worker->sysroot_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || ash_throw_errno(error, "%s", path);
	if (S_ISDIR(st.st_mode) && !ash_clean_set_immutable(worker->sysroot_fd, path, false, error))
		return FALSE;
	return ash_file_remove_tree(worker->sysroot_fd, path, error);
}

static gboolean sync_root(const AshWorker *worker, GError **error)
{
	if (syncfs(worker->sysroot_fd) < 0)
		return ash_throw_errno(error, "syncing the root");
	return TRUE;
}

static gboolean remove_entry(const AshWorker *worker, const AshBootEntry *entry, GError **error)
{
	g_autofree char *path = g_strconcat("/loader/entries/", entry->file, NULL);

	return ash_esp_remove(worker->esp_fd, path, error);
}

/* Is a directory of the ESP wanted by an entry? */
static bool is_used(const GPtrArray *entries, const char *dir)
{
	g_autofree char *prefix = g_strconcat(dir, "/", NULL);

	for (guint i = 0; i < entries->len; i++) {
		const AshBootEntry *entry = entries->pdata[i];
		if ((entry->linux_path != NULL && g_str_has_prefix(entry->linux_path, prefix)) ||
				(entry->initrd_path != NULL &&
						g_str_has_prefix(entry->initrd_path, prefix)))
			return true;
	}
	return false;
}

static gboolean hide_tree(
		const AshWorker *worker, const char *tree, const char *temp, GError **error)
{
	bool exists;

	if (!ash_file_exists(worker->sysroot_fd, tree, &exists, error))
		return FALSE;
	if (!exists)
		return TRUE;
	if (!ash_clean_set_immutable(worker->sysroot_fd, tree, false, error))
		return FALSE;
	if (renameat(worker->sysroot_fd, tree, worker->sysroot_fd, temp) < 0)
		return ash_throw_errno(error, "rename(%s)", tree);
	return TRUE;
}

gboolean ash_clean_deployment(
		const AshWorker *worker, const char *commit, unsigned serial, GError **error)
{
	ASH_PREFIX("removing deployment %.12s.%u", commit, serial);
	g_autofree char *dir = g_strdup_printf(ASH_DEPLOYMENT_ESP "/%.16s", commit);
	g_autofree char *link = g_strdup_printf(ASH_DEPLOYMENT_LINKS "/%s.%u", commit, serial);
	g_autofree char *tree = g_strdup_printf(ASH_DEPLOYMENT_TREES "/%s.%u", commit, serial);
	g_autofree char *temp = g_strdup_printf(ASH_DEPLOYMENT_TREES "/.%s.%u.tmp", commit, serial);
	g_autofree char *origin = g_strconcat(tree, ".origin", NULL);
	g_autoptr(GPtrArray) entries = NULL;
	g_autoptr(GPtrArray) left = NULL;

	g_assert(strcmp(commit, worker->booted) != 0 || serial != worker->booted_serial);
	if (!ash_esp_list(worker->esp_fd, &entries, NULL, error))
		return FALSE;
	/* 1. The boot loader does not know it any more. */
	for (guint i = 0; i < entries->len; i++) {
		const AshBootEntry *entry = entries->pdata[i];
		if (g_strcmp0(entry->commit, commit) == 0 && entry->serial == serial &&
				!remove_entry(worker, entry, error))
			return FALSE;
	}
	ASH_FAULT("clean-entry");
	/* 2. Nothing asks for its kernel. */
	if (!ash_esp_list(worker->esp_fd, &left, NULL, error) ||
			(!is_used(left, dir) && !ash_esp_remove(worker->esp_fd, dir, error)))
		return FALSE;
	ASH_FAULT("clean-esp");
	/* 3. Nothing leads to its tree. */
	if (unlinkat(worker->sysroot_fd, link, 0) < 0 && errno != ENOENT)
		return ash_throw_errno(error, "%s", link);
	if (!sync_root(worker, error))
		return FALSE;
	ASH_FAULT("clean-link");
	/* 4. The tree, under a name that is no deployment's, so that half of it is never taken for one. */
	if (!ash_clean_tree(worker, origin, error) || !ash_clean_tree(worker, temp, error) ||
			!hide_tree(worker, tree, temp, error))
		return FALSE;
	ASH_FAULT("clean-hidden");
	if (!ash_clean_tree(worker, temp, error))
		return FALSE;
	ASH_FAULT("clean-tree");
	return sync_root(worker, error);
}

/* ---- orphans --------------------------------------------------------------------------------- */

/* The names in a directory; none when it is missing. */
static gboolean list_names(int dirfd, const char *path, GPtrArray **out_names, GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	ash_autofd int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		return ash_throw_errno(error, "%s", path);
	g_autoptr(AshDir) dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (fd >= 0 && dir == NULL)
		return ash_throw_errno(error, "%s", path);
	fd = -1;
	for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			g_ptr_array_add(names, g_strdup(entry->d_name));
	*out_names = g_steal_pointer(&names);
	return TRUE;
}

/* Entries that lead nowhere. Those of other systems are not ours. */
static gboolean clean_entries(const AshWorker *worker, GError **error)
{
	g_autoptr(GPtrArray) entries = NULL;
	g_autoptr(GPtrArray) names = NULL;

	if (!ash_esp_list(worker->esp_fd, &entries, NULL, error) ||
			!list_names(worker->esp_fd, "loader/entries", &names, error))
		return FALSE;
	for (guint i = 0; i < entries->len; i++) {
		const AshBootEntry *entry = entries->pdata[i];
		if (entry->commit == NULL || strcmp(entry->commit, worker->booted) == 0)
			continue;
		g_autofree char *tree = g_strdup_printf(
				ASH_DEPLOYMENT_TREES "/%s.%u", entry->commit, entry->serial);
		bool exists;
		if (!ash_file_exists(worker->sysroot_fd, tree, &exists, error) ||
				(!exists && !remove_entry(worker, entry, error)))
			return FALSE;
	}
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *path = g_strconcat("/loader/entries/", names->pdata[i], NULL);
		if (g_str_has_prefix(names->pdata[i], "ashlar-") &&
				g_str_has_suffix(names->pdata[i], ".tmp") &&
				!ash_esp_remove(worker->esp_fd, path, error))
			return FALSE;
	}
	return TRUE;
}

/* Kernels that no entry asks for. */
static gboolean clean_kernels(const AshWorker *worker, GError **error)
{
	g_autofree char *booted = g_strdup_printf(ASH_DEPLOYMENT_ESP "/%.16s", worker->booted);
	g_autoptr(GPtrArray) entries = NULL;
	g_autoptr(GPtrArray) names = NULL;

	if (!ash_esp_list(worker->esp_fd, &entries, NULL, error) ||
			!list_names(worker->esp_fd, &ASH_DEPLOYMENT_ESP[1], &names, error))
		return FALSE;
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *dir = g_strconcat(
				ASH_DEPLOYMENT_ESP, "/", (const char *) names->pdata[i], NULL);
		if (!is_used(entries, dir) && strcmp(dir, booted) != 0 &&
				!ash_esp_remove(worker->esp_fd, dir, error))
			return FALSE;
		/* What a copy that broke off has left beside its file. */
		g_autofree char *kernel = g_strconcat(dir, "/vmlinuz.tmp", NULL);
		g_autofree char *initramfs = g_strconcat(dir, "/initramfs.img.tmp", NULL);
		if (!ash_esp_remove(worker->esp_fd, kernel, error) ||
				!ash_esp_remove(worker->esp_fd, initramfs, error))
			return FALSE;
	}
	return TRUE;
}

/* Links and trees with no deployment around them. */
static gboolean clean_names(const AshWorker *worker, const char *parent, GError **error)
{
	g_autoptr(GPtrArray) names = NULL;

	if (!list_names(worker->sysroot_fd, parent, &names, error))
		return FALSE;
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		g_autofree char *path = g_strdup_printf("%s/%s", parent, name);
		g_autofree char *tree = g_strdup_printf(ASH_DEPLOYMENT_TREES "/%s", name);
		g_autofree char *commit = NULL;
		unsigned serial;
		bool exists = true;
		if (ash_deployment_parse_name(name, &commit, &serial) &&
				!ash_file_exists(worker->sysroot_fd, tree, &exists, error))
			return FALSE;
		if ((*name == '.' || !exists) && !ash_clean_tree(worker, path, error))
			return FALSE;
	}
	return TRUE;
}

/* ---- refs ------------------------------------------------------------------------------------ */

/* Each kept commit has our ref before any other ref goes. */
static gboolean clean_refs(const AshWorker *worker, GHashTable *keep, GError **error)
{
	g_autoptr(AshOstree) repo = NULL;
	g_autoptr(GHashTable) refs = NULL;
	GHashTableIter iter;
	gpointer key, value;

	if (!ash_ostree_open(worker->sysroot_fd, &repo, error) ||
			!ash_ostree_refs(repo, &refs, error))
		return FALSE;
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		/* Images of workloads go by image-clean alone. */
		if (g_hash_table_contains(keep, value) || g_str_has_prefix(key, "ashlar/oci/"))
			continue;
		if (!ash_ostree_set_ref(repo, key, NULL, error))
			return FALSE;
		ASH_FAULT("clean-ref");
	}
	if (!sync_root(worker, error))
		return FALSE;
	ASH_FAULT("clean-refs");
	return ash_ostree_prune(repo, error);
}

/* A deployment whose commit no ref names would lose its objects: hard links keep its files, but no delta
 * could start at it.
 */
static gboolean ensure_refs(const AshWorker *worker, GHashTable *keep, GError **error)
{
	g_autoptr(AshOstree) repo = NULL;
	g_autoptr(GHashTable) refs = NULL;
	g_autoptr(GHashTable) named = g_hash_table_new(g_str_hash, g_str_equal);
	GHashTableIter iter;
	gpointer key, value;

	if (!ash_ostree_open(worker->sysroot_fd, &repo, error) ||
			!ash_ostree_refs(repo, &refs, error))
		return FALSE;
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_hash_table_add(named, value);
	g_hash_table_iter_init(&iter, keep);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		g_autofree char *object = ash_ostree_commit_object(key);
		g_autofree char *ref = g_strconcat(ASH_DEPLOYMENT_REF, key, NULL);
		bool has = false;
		if (g_hash_table_contains(named, key))
			continue;
		if (!ash_ostree_has(repo, object, &has, error) ||
				(has && !ash_ostree_set_ref(repo, ref, key, error)))
			return FALSE;
	}
	return TRUE;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static gboolean read_keep(
		const AshWorker *worker, JsonObject *input, GHashTable *keep, GError **error)
{
	if (*worker->booted == '\0')
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_FAILED,
				"it is not known which deployment runs: nothing is removed");
	g_hash_table_add(keep, g_strdup(worker->booted));
	return ash_worker_read_keep(input, MAX_KEEP, keep, error);
}

static gboolean clean_deployments(const AshWorker *worker, GHashTable *keep, GError **error)
{
	g_autoptr(GPtrArray) entries = NULL;
	g_autoptr(GPtrArray) deployments = NULL;

	if (!ash_esp_list(worker->esp_fd, &entries, NULL, error) ||
			!ash_deployment_list(worker, entries, &deployments, error))
		return FALSE;
	for (guint i = 0; i < deployments->len; i++) {
		const AshDeployment *deployment = deployments->pdata[i];
		bool is_kept = g_hash_table_contains(keep, deployment->commit) &&
			       (deployment->is_booted ||
					       strcmp(deployment->commit, worker->booted) != 0);
		if (is_kept || deployment->is_booted)
			continue;
		if (!ash_clean_deployment(worker, deployment->commit, deployment->serial, error))
			return FALSE;
		ash_worker_progress("clean", i + 1, deployments->len);
	}
	return TRUE;
}

/* Is the image of a signed definition in the bundle, and not imported yet? */
static bool is_needed(const AshWorker *worker, const char *bundle, const char *definition)
{
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshWorkload) workload = NULL;

	if (!ash_file_read(AT_FDCWD, definition, ASH_WORKLOAD_MAX_BYTES, &text, NULL) ||
			!ash_workload_parse(definition, text, &workload, NULL))
		return false;
	const char *digest = workload->image.digest;
	const char *hex = ash_oci_digest_find(digest) ?: digest;
	if (!ash_text_is_sha256(hex))
		return false;
	g_autofree char *ref = g_strconcat("ostree/repo/refs/heads/ashlar/oci/image/", hex, NULL);
	g_autofree char *blob = g_strdup_printf("%s/oci/blobs/sha256/%s", bundle, hex);
	g_autofree char *commit =
			g_strdup_printf("%s/repo/objects/%.2s/%s.commit", bundle, hex, hex + 2);
	return faccessat(worker->sysroot_fd, ref, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	       (access(blob, F_OK) == 0 || access(commit, F_OK) == 0);
}

/* A host that went to a release of the bundle first takes the workloads' images from it after that. */
static bool is_bundle_needed(const AshWorker *worker, const char *bundle)
{
	g_autofree char *path = ash_worker_path(worker, ASH_PATH_SIGNED);
	g_autoptr(GDir) names = g_dir_open(path, 0, NULL);
	const char *name = NULL, *file = NULL;

	while (names != NULL && (name = g_dir_read_name(names)) != NULL) {
		g_autofree char *where = g_build_filename(path, name, NULL);
		g_autoptr(GDir) files = g_dir_open(where, 0, NULL);
		while (files != NULL && (file = g_dir_read_name(files)) != NULL) {
			g_autofree char *definition = g_build_filename(where, file, NULL);
			if (g_str_has_suffix(file, ".json") &&
					is_needed(worker, bundle, definition))
				return true;
		}
	}
	return false;
}

/* What a bundle brought is ours, and all of it is a download. */
static gboolean clean_bundle(const AshWorker *worker, GError **error)
{
	g_autofree char *bundle = ash_worker_path(worker, ASH_PATH_BUNDLE);

	return is_bundle_needed(worker, bundle) || ash_file_remove_tree(AT_FDCWD, bundle, error);
}

/* What was downloaded; the downloader's own metadata stays. */
static gboolean clean_staging(const AshWorker *worker, GError **error)
{
	ASH_PREFIX("emptying %s", worker->staging);
	ash_autofd int fd = open(worker->staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	g_autoptr(GPtrArray) names = NULL;

	if (fd < 0)
		return errno == ENOENT || ash_throw_errno(error, "opening it");
	if (!list_names(fd, ".", &names, error))
		return FALSE;
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		bool is_download = strcmp(name, "repo") == 0 || strcmp(name, "deltas") == 0 ||
				   g_str_has_suffix(name, ".part");
		if (is_download && !ash_file_remove_tree(fd, name, error))
			return FALSE;
	}
	return clean_bundle(worker, error);
}

static uint64_t count_free(const AshWorker *worker)
{
	struct statvfs root, esp;

	if (fstatvfs(worker->sysroot_fd, &root) < 0 || fstatvfs(worker->esp_fd, &esp) < 0)
		return 0;
	return (uint64_t) root.f_bfree * root.f_frsize + (uint64_t) esp.f_bfree * esp.f_frsize;
}

gboolean ash_clean_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(GHashTable) keep = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	uint64_t before = count_free(worker);
	bool is_staging = false;

	if (!read_keep(worker, input, keep, error) ||
			!ash_json_bool_opt(input, "staging", &is_staging, error) ||
			!ensure_refs(worker, keep, error) ||
			!clean_deployments(worker, keep, error) || !clean_entries(worker, error) ||
			!clean_kernels(worker, error) ||
			!clean_names(worker, ASH_DEPLOYMENT_LINKS, error) ||
			!clean_names(worker, ASH_DEPLOYMENT_TREES, error) ||
			!clean_refs(worker, keep, error) ||
			(is_staging && !clean_staging(worker, error)) ||
			/* Until then the file system does not count what is free. */
			!sync_root(worker, error))
		return FALSE;
	uint64_t after = count_free(worker);
	ash_json_add_uint(result, "bytes", after > before ? after - before : 0);
	return TRUE;
}
