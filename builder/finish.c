/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/finish.h"

#include <fcntl.h>
#include <string.h>

#include "builder/build.h"
#include "builder/commit.h"
#include "builder/customise.h"
#include "builder/delta.h"
#include "builder/initramfs.h"
#include "builder/layout.h"
#include "builder/license.h"
#include "builder/package.h"
#include "builder/sandbox.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	MAX_COPYRIGHT_BYTES = 4 << 20,
	MAX_OS_RELEASE_BYTES = 1 << 16,
};

static const char *const sandbox_leftovers[] = {
		"dev", "proc", "run", "sys", "tmp", "var/tmp", "ashlar", "ashlar-out", NULL};

static const char *const sandbox_env[] = {
		"LC_ALL=C.UTF-8", "TZ=UTC", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

/* Stores the tree as it is now and checks it out. Ends the open transaction and begins another: a
 * checkout sees only what is committed.
 */
static gboolean check_out(const AshFinish *finish, AshTree *tree, AshTempDir **out_scratch,
		char **out_commit, char **out_path, GError **error)
{
	AshRepoCommitInfo info = {.subject = "customised"};
	g_autoptr(AshTempDir) scratch = NULL;

	if (!ash_repo_write_tree(finish->repo, tree, &info, out_commit, error) ||
			!ash_repo_commit(finish->repo, error) ||
			!ash_cache_make_scratch(finish->cache, "finish", &scratch, error))
		return FALSE;
	g_autofree char *path = g_build_filename(scratch->path, "tree", NULL);
	if (!ash_repo_checkout(finish->repo, *out_commit, path, error) ||
			!ash_repo_begin(finish->repo, error))
		return FALSE;
	*out_path = g_steal_pointer(&path);
	*out_scratch = g_steal_pointer(&scratch);
	return TRUE;
}

/* ---- postprocess ----------------------------------------------------------------------------- */

static gboolean write_scripts(const AshManifest *manifest, const char *dir, GError **error)
{
	g_autoptr(GString) driver = g_string_new("#!/bin/sh\n");
	g_autofree char *driver_path = g_build_filename(dir, "run", NULL);

	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0755, error))
		return FALSE;
	for (guint i = 0; i < manifest->postprocess->len; i++) {
		const AshManifestScript *script = manifest->postprocess->pdata[i];
		g_autofree char *path = g_strdup_printf("%s/%u", dir, i);
		g_autofree char *name = g_shell_quote(script->name);
		gsize size;
		const char *data = g_bytes_get_data(script->content, &size);
		bool has_interpreter = size > 2 && memcmp(data, "#!", 2) == 0;
		if (!ash_file_replace(AT_FDCWD, path, data, size, 0755, error))
			return FALSE;
		g_string_append_printf(driver,
				"cd / && %s/ashlar/%u </dev/null || { echo %s failed with code $?; exit 1; }\n",
				has_interpreter ? "" : "/bin/sh ", i, name);
	}
	return ash_file_replace(AT_FDCWD, driver_path, driver->str, driver->len, 0755, error);
}

/* All scripts run in one sandbox, one after the other, on the tree as customised. */
static gboolean postprocess(const AshFinish *finish, AshTree *tree, GError **error)
{
	static const char *const argv[] = {"/bin/sh", "/ashlar/run", NULL};
	g_autoptr(AshTempDir) scratch = NULL;
	g_autofree char *commit = NULL;
	g_autofree char *checkout = NULL;
	g_autoptr(GError) cause = NULL;

	if (finish->manifest->postprocess->len == 0)
		return TRUE;
	if (!check_out(finish, tree, &scratch, &commit, &checkout, error))
		return FALSE;
	g_autofree char *scripts = g_build_filename(scratch->path, "scripts", NULL);
	g_autofree char *bind = g_strconcat(scripts, ":/ashlar", NULL);
	g_autofree char *upper = g_build_filename(scratch->path, "upper", NULL);
	const char *const binds[] = {bind, NULL};
	AshSandbox sandbox = {.lower = checkout,
			.scratch = scratch->path,
			.argv = argv,
			.env = sandbox_env,
			.binds = binds};
	if (!write_scripts(finish->manifest, scripts, error))
		return FALSE;
	if (!ash_sandbox_run(&sandbox, NULL, &cause)) {
		if (!g_error_matches(cause, ASH_SANDBOX_ERROR, ASH_SANDBOX_ERROR_FAILED)) {
			g_propagate_error(error, g_steal_pointer(&cause));
			return FALSE;
		}
		return ash_throw(error, ASH_BUILD_ERROR, ASH_BUILD_ERROR_SCRIPT,
				"%s: postprocess: %s", finish->manifest->path, cause->message);
	}
	return ash_delta_apply(finish->repo, upper, sandbox_leftovers, tree, error);
}

/* ---- initramfs ------------------------------------------------------------------------------- */

static char **strv_of(const GPtrArray *strings)
{
	char **strv = g_new0(char *, strings->len + 1);

	for (guint i = 0; i < strings->len; i++)
		strv[i] = g_strdup(strings->pdata[i]);
	return strv;
}

static gboolean native_initramfs(
		const AshFinish *finish, const AshTree *tree, AshNode *node, GError **error)
{
	g_auto(GStrv) modules = strv_of(finish->manifest->initramfs_modules);
	g_autoptr(GBytes) cpio = NULL;
	AshInitramfsOptions options = {
			.kernel_release = finish->kernel_release,
			.modules = (const char *const *) modules,
			.init_path = finish->initrd_path,
	};

	if (!ash_initramfs_compose(finish->repo, tree, &options, &cpio, error))
		return FALSE;
	gsize size;
	const void *data = g_bytes_get_data(cpio, &size);
	return ash_repo_write_file(finish->repo, node, data, size, error);
}

/* dracut of the image's own packages. Not compressed: the next release's delta must see into it. */
static gboolean run_dracut(const AshFinish *finish, const char *checkout, const char *scratch,
		const char *out_dir, GError **error)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_autofree char *bind = g_strconcat(out_dir, ":/ashlar-out", NULL);
	static const char *const fixed[] = {"/usr/bin/dracut", "--force", "--no-hostonly",
			"--reproducible", "--no-compress", "--quiet", "--add", "ostree", NULL};

	for (const char *const *arg = fixed; *arg != NULL; arg++)
		g_ptr_array_add(argv, (gpointer) (uintptr_t) *arg);
	for (guint i = 0; i < finish->manifest->initramfs_modules->len; i++) {
		g_ptr_array_add(argv, (gpointer) (uintptr_t) "--add-drivers");
		g_ptr_array_add(argv, finish->manifest->initramfs_modules->pdata[i]);
	}
	g_ptr_array_add(argv, (gpointer) (uintptr_t) "--kver");
	g_ptr_array_add(argv, (gpointer) (uintptr_t) finish->kernel_release);
	g_ptr_array_add(argv, (gpointer) (uintptr_t) "/ashlar-out/initramfs.img");
	g_ptr_array_add(argv, NULL);
	AshSandbox sandbox = {.lower = checkout,
			.scratch = scratch,
			.argv = (const char *const *) argv->pdata,
			.env = sandbox_env,
			.writable_bind = bind};
	return ash_file_ensure_dir(AT_FDCWD, out_dir, 0755, error) &&
	       ash_sandbox_run(&sandbox, NULL, error);
}

static gboolean dracut_initramfs(
		const AshFinish *finish, AshTree *tree, AshNode *node, GError **error)
{
	g_autoptr(AshTempDir) scratch = NULL;
	g_autofree char *commit = NULL;
	g_autofree char *checkout = NULL;
	g_autoptr(GError) cause = NULL;

	if (ash_tree_resolve(tree, "usr/bin/dracut", NULL) == NULL)
		return ash_throw(error, ASH_BUILD_ERROR, ASH_BUILD_ERROR_HOST,
				"%s: initramfs: generator: dracut is not among the packages (add 'dracut', or say 'native')",
				finish->manifest->path);
	if (!check_out(finish, tree, &scratch, &commit, &checkout, error))
		return FALSE;
	g_autofree char *out_dir = g_build_filename(scratch->path, "out", NULL);
	g_autofree char *path = g_build_filename(out_dir, "initramfs.img", NULL);
	if (!run_dracut(finish, checkout, scratch->path, out_dir, &cause)) {
		if (!g_error_matches(cause, ASH_SANDBOX_ERROR, ASH_SANDBOX_ERROR_FAILED)) {
			g_propagate_error(error, g_steal_pointer(&cause));
			return FALSE;
		}
		return ash_throw(error, ASH_BUILD_ERROR, ASH_BUILD_ERROR_SCRIPT, "%s: dracut: %s",
				finish->manifest->path, cause->message);
	}
	ash_autofd int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "the initramfs that dracut made");
	return ash_repo_write_file_fd(finish->repo, node, fd, error);
}

static gboolean make_initramfs(const AshFinish *finish, AshTree *tree, GError **error)
{
	g_autoptr(AshNode) node = ash_node_new(ASH_NODE_FILE, 0644);

	if (finish->kernel_release == NULL ||
			finish->manifest->initramfs == ASH_MANIFEST_INITRAMFS_NONE)
		return TRUE;
	gboolean ok = finish->manifest->initramfs == ASH_MANIFEST_INITRAMFS_DRACUT
				      ? dracut_initramfs(finish, tree, node, error)
				      : native_initramfs(finish, tree, node, error);
	if (!ok)
		return FALSE;
	g_autofree char *path =
			g_strdup_printf("usr/lib/modules/%s/initramfs.img", finish->kernel_release);
	return ash_tree_insert(tree, path, g_steal_pointer(&node), error);
}

/* ---- what the commit says of itself ----------------------------------------------------------- */

static void set_field(GHashTable *fields, const char *key, const char *value)
{
	if (value != NULL && *value != '\0')
		g_hash_table_insert(fields, g_strdup(key), g_strdup(value));
}

/* "Source: glibc (2.41-12)"; a package without the field is its own source. */
static void set_source(GHashTable *fields, const AshPackage *package)
{
	const char *source = ash_package_field(package, "source");

	if (source == NULL)
		source = package->locked->name;
	g_auto(GStrv) parts = g_strsplit_set(source, " ()", -1);
	set_field(fields, "source", parts[0]);
	const char *version = package->locked->version;
	for (char **part = parts[0] != NULL ? parts + 1 : parts; *part != NULL; part++)
		if (**part != '\0')
			version = *part;
	set_field(fields, "source-version", version);
}

static gboolean set_license(const AshFinish *finish, GHashTable *fields, const AshPackage *package,
		GError **error)
{
	g_autofree char *path =
			g_strdup_printf("data/usr/share/doc/%s/copyright", package->locked->name);
	const AshNode *node = ash_tree_resolve(package->tree, path, NULL);
	g_autoptr(GBytes) text = NULL;

	/* A link leads into the documentation of another package of the same source. */
	if (node == NULL || node->kind != ASH_NODE_FILE || node->size > MAX_COPYRIGHT_BYTES)
		return TRUE;
	if (!ash_repo_read_file(
			    finish->repo, package->tree, path, MAX_COPYRIGHT_BYTES, &text, error))
		return FALSE;
	g_autofree char *license = ash_license_expression(
			g_bytes_get_data(text, NULL), g_bytes_get_size(text));
	set_field(fields, "licenses", license);
	return TRUE;
}

static gboolean describe_package(const AshFinish *finish, const AshPackage *package,
		const GHashTable *removed, GHashTable **out_fields, GError **error)
{
	g_autoptr(GHashTable) fields =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	const AshLockPackage *locked = package->locked;
	const char *description = ash_package_field(package, "description");
	const char *installed = ash_package_field(package, "installed-size");
	g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, locked->size);

	set_field(fields, "name", locked->name);
	set_field(fields, "version", locked->version);
	set_field(fields, "arch", locked->arch);
	set_field(fields, "sha256", locked->sha256);
	set_field(fields, "size", size);
	if (installed != NULL) {
		g_autofree char *bytes = g_strdup_printf(
				"%" G_GUINT64_FORMAT, g_ascii_strtoull(installed, NULL, 10) * 1024);
		set_field(fields, "installed-size", bytes);
	}
	set_source(fields, package);
	set_field(fields, "maintainer", ash_package_field(package, "maintainer"));
	set_field(fields, "homepage", ash_package_field(package, "homepage"));
	set_field(fields, "section", ash_package_field(package, "section"));
	if (description != NULL) {
		g_autofree char *summary = g_strndup(description, strcspn(description, "\n"));
		set_field(fields, "summary", summary);
	}
	if (g_hash_table_contains((GHashTable *) (uintptr_t) removed, locked->name))
		set_field(fields, "removed", "true");
	if (!set_license(finish, fields, package, error))
		return FALSE;
	*out_fields = g_steal_pointer(&fields);
	return TRUE;
}

static gboolean describe(const AshFinish *finish, const GHashTable *removed,
		GVariant **out_metadata, GError **error)
{
	const AshManifest *manifest = finish->manifest;
	g_autoptr(AshCommit) commit = g_new0(AshCommit, 1);

	commit->version = g_strdup(manifest->version);
	commit->name = g_strdup(manifest->name);
	commit->kind = g_strdup(manifest->kind == ASH_MANIFEST_HOST ? "host" : "workload");
	commit->arch = g_strdup(manifest->arch);
	commit->variant = g_strdup(manifest->variant);
	commit->suite = g_strdup(manifest->suite);
	commit->kernel_release = g_strdup(finish->kernel_release);
	commit->manifest_digest = g_strdup(finish->manifest_digest);
	commit->lock_digest = g_strdup(finish->lock_digest);
	commit->kernel_arguments = strv_of(manifest->kernel_arguments);
	commit->packages = g_ptr_array_new_with_free_func((GDestroyNotify) g_hash_table_unref);
	for (guint i = 0; i < finish->packages->len; i++) {
		GHashTable *fields = NULL;
		if (!describe_package(finish, finish->packages->pdata[i], removed, &fields, error))
			return FALSE;
		g_ptr_array_add(commit->packages, fields);
	}
	*out_metadata = g_variant_ref_sink(ash_commit_metadata(commit));
	return TRUE;
}

/* os-release(5): IMAGE_ID and IMAGE_VERSION say which image this is. */
static gboolean stamp_os_release(const AshFinish *finish, AshTree *tree, GError **error)
{
	g_autofree char *path = NULL;
	const AshNode *node = ash_tree_resolve(tree, "usr/lib/os-release", &path);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshNode) stamped = ash_node_new(ASH_NODE_FILE, 0644);

	if (node == NULL || node->kind != ASH_NODE_FILE)
		return TRUE;
	if (!ash_repo_read_file(finish->repo, tree, path, MAX_OS_RELEASE_BYTES, &text, error))
		return FALSE;
	g_autofree char *content = g_strdup_printf("%sIMAGE_ID=%s\nIMAGE_VERSION=%s\n",
			(const char *) g_bytes_get_data(text, NULL), finish->manifest->name,
			finish->manifest->version);
	return ash_repo_write_file(finish->repo, stamped, content, strlen(content), error) &&
	       ash_tree_insert(tree, path, g_steal_pointer(&stamped), error);
}

static gboolean run(const AshFinish *finish, AshTree *tree, const char *ref, char **out_commit,
		GError **error)
{
	g_autoptr(GHashTable) removed = NULL;
	g_autoptr(GVariant) metadata = NULL;
	AshRepoCommitInfo info = {.ref = ref, .timestamp_s = finish->timestamp_s};

	if (!ash_customise(finish->repo, finish->manifest, finish->packages, tree, &removed,
			    error) ||
			!stamp_os_release(finish, tree, error) ||
			!postprocess(finish, tree, error) || !make_initramfs(finish, tree, error))
		return FALSE;
	if (finish->manifest->kind == ASH_MANIFEST_HOST &&
			!ash_layout_host(finish->repo, tree, finish->kernel_release, error))
		return FALSE;
	if (!describe(finish, removed, &metadata, error))
		return FALSE;
	g_autofree char *subject =
			g_strdup_printf("%s %s", finish->manifest->name, finish->manifest->version);
	info.subject = subject;
	info.metadata = metadata;
	return ash_repo_write_tree(finish->repo, tree, &info, out_commit, error);
}

gboolean ash_finish(const AshFinish *finish, AshTree *tree, const char *ref, char **out_commit,
		GError **error)
{
	g_autofree char *commit = NULL;

	ash_progress_begin(finish->progress, "finish", "customising, initramfs, layout");
	if (!ash_repo_begin(finish->repo, error))
		return FALSE;
	if (!run(finish, tree, ref, &commit, error)) {
		ash_repo_abort(finish->repo);
		return FALSE;
	}
	if (!ash_repo_commit(finish->repo, error))
		return FALSE;
	ash_progress_end(finish->progress, "commit %.12s", commit);
	*out_commit = g_steal_pointer(&commit);
	return TRUE;
}
