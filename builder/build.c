/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/build.h"

#include <fcntl.h>
#include <string.h>

#include "builder/assemble.h"
#include "builder/commit.h"
#include "builder/configure.h"
#include "builder/customise.h"
#include "builder/finish.h"
#include "builder/hwdb.h"
#include "builder/import.h"
#include "builder/kernel.h"
#include "builder/layout.h"
#include "builder/package.h"
#include "lib/cli.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_build_error, ash_build_error)

enum {
	MAX_PROGRAM_BYTES = 256 << 20,
};

/* Part of every digest: raised when a step's result changes for the same inputs. */
#define STAGE_FORMAT "2"

typedef struct {
	AshCache *cache;
	AshRepo *repo; /* the cache's */
	AshRepo *out;
	const AshManifest *manifest;
	const AshLock *lock;
	const AshBuildOptions *options;
	AshProgress *progress;
	char *lock_digest;
	char *manifest_digest;
	char *initrd_path;
	GPtrArray *packages; /* AshPackage */
	uint64_t newest_s;
	AshTempDir *scratch; /* made when first needed */
	char *assembled;     /* commit */
	char *checkout;      /* of it; NULL until needed */
	AshTree *tree;
	char *kernel_release; /* NULL without a kernel */
} Build;

static void build_clear(Build *build)
{
	g_free(build->lock_digest);
	g_free(build->manifest_digest);
	g_free(build->initrd_path);
	g_clear_pointer(&build->packages, g_ptr_array_unref);
	g_clear_pointer(&build->scratch, ash_temp_dir_free);
	g_free(build->assembled);
	g_free(build->checkout);
	ash_tree_free(build->tree);
	g_free(build->kernel_release);
	ash_repo_free(build->repo);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Build, build_clear)

void ash_build_result_clear(AshBuildResult *result)
{
	g_clear_pointer(&result->commit, g_free);
	g_clear_pointer(&result->ref, g_free);
}

char *ash_build_ref(const AshManifest *manifest)
{
	const char *kind = manifest->kind == ASH_MANIFEST_HOST ? "host" : "workload";

	return g_strdup_printf("%s/%s%s%s/%s", kind, manifest->name,
			manifest->variant != NULL ? "-" : "",
			manifest->variant != NULL ? manifest->variant : "", manifest->arch);
}

/* ---- stages ---------------------------------------------------------------------------------- */

/* "stage/NAME/DIGEST" over a NULL-terminated list of strings. */
static char *stage_ref(const char *name, ...) G_GNUC_NULL_TERMINATED;

static char *stage_ref(const char *name, ...)
{
	g_autoptr(GString) text = g_string_new(STAGE_FORMAT "\n");
	va_list args;

	va_start(args, name);
	for (const char *part; (part = va_arg(args, const char *)) != NULL;)
		g_string_append_printf(text, "%zu:%s\n", strlen(part), part);
	va_end(args);
	g_autofree char *digest = ash_sha256_hex(text->str, text->len);
	return g_strdup_printf("stage/%s/%s", name, digest);
}

static gboolean find_stage(const Build *build, const char *ref, char **out_commit, GError **error)
{
	*out_commit = NULL;
	if (build->options->is_fresh)
		return TRUE;
	if (!ash_repo_find_ref(build->repo, ref, out_commit, error))
		return FALSE;
	if (*out_commit != NULL)
		ash_cache_mark_ref_used(build->cache, ref);
	return TRUE;
}

static gboolean ensure_scratch(Build *build, GError **error)
{
	return build->scratch != NULL ||
	       ash_cache_make_scratch(build->cache, "build", &build->scratch, error);
}

static gboolean ensure_checkout(Build *build, GError **error)
{
	if (build->checkout != NULL)
		return TRUE;
	if (!ensure_scratch(build, error))
		return FALSE;
	g_autofree char *path = g_build_filename(build->scratch->path, "assembled", NULL);
	if (!ash_repo_checkout(build->repo, build->assembled, path, error))
		return FALSE;
	build->checkout = g_steal_pointer(&path);
	return TRUE;
}

/* ---- assemble -------------------------------------------------------------------------------- */

static gboolean assemble(Build *build, const char *ref, GError **error)
{
	AshRepoCommitInfo info = {.subject = "assembled", .ref = ref};

	ash_progress_begin(build->progress, "assemble", "merging the packages' trees");
	if (!ash_repo_begin(build->repo, error))
		return FALSE;
	if (!ash_assemble(build->repo, build->packages, build->manifest->arch, &build->tree,
			    error) ||
			!ash_repo_write_tree(build->repo, build->tree, &info, &build->assembled,
					error)) {
		ash_repo_abort(build->repo);
		return FALSE;
	}
	if (!ash_repo_commit(build->repo, error))
		return FALSE;
	ash_progress_end(build->progress, "%zu files of %u packages", ash_tree_count(build->tree),
			build->packages->len);
	return TRUE;
}

static gboolean ensure_assembled(Build *build, GError **error)
{
	g_autofree char *ref =
			stage_ref("assembled", build->lock_digest, build->manifest->arch, NULL);

	if (!find_stage(build, ref, &build->assembled, error))
		return FALSE;
	return build->assembled != NULL || assemble(build, ref, error);
}

/* ---- what is made side by side with configure ------------------------------------------------- */

typedef struct SideJob SideJob;

/* A part of the tree that depends on few packages: made by a thread of its own while the scripts run,
 * and cached by itself.
 */
struct SideJob {
	Build *build;
	const char *name;
	char *ref;  /* of its stage; NULL: there is nothing to do */
	char *path; /* where the result goes */
	gboolean (*work)(SideJob *job, GError **error);
	AshNode *source; /* a copy: the tree changes meanwhile; may be NULL */
	char *scratch;
	AshNode *result; /* NULL: nothing goes there */
	bool is_known;   /* the result was in the cache */
	GError *error;
	GThread *thread;
};

enum {
	KERNEL,
	HWDB,
	N_SIDE_JOBS,
};

typedef struct {
	SideJob jobs[N_SIDE_JOBS];
} SideJobs;

static void side_jobs_clear(SideJobs *side)
{
	for (int i = 0; i < N_SIDE_JOBS; i++) {
		SideJob *job = &side->jobs[i];
		if (job->thread != NULL)
			g_thread_join(job->thread);
		g_free(job->ref);
		g_free(job->path);
		g_free(job->scratch);
		g_clear_pointer(&job->source, ash_node_free);
		g_clear_pointer(&job->result, ash_node_free);
		g_clear_error(&job->error);
	}
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SideJobs, side_jobs_clear)

static gboolean work_kernel(SideJob *job, GError **error)
{
	const Build *build = job->build;

	return ash_kernel_prepare(build->repo, job->source, build->kernel_release,
			build->manifest->kernel_modules, build->checkout, job->scratch,
			&job->result, error);
}

static gboolean work_hwdb(SideJob *job, GError **error)
{
	return ash_hwdb_prepare(
			job->build->repo, job->build->checkout, job->scratch, &job->result, error);
}

/* The stage depends on the kernel's modules and on kmod, which both come from packages: their hashes
 * name them.
 */
static char *kernel_ref(const Build *build)
{
	g_autoptr(GString) packages = g_string_new("");
	g_autoptr(GString) keep = g_string_new("");

	for (guint i = 0; i < build->packages->len; i++) {
		const AshPackage *package = build->packages->pdata[i];
		const AshNode *data = ash_package_data(package);
		const AshTree tree = {.root = (AshNode *) (uintptr_t) data};
		if (strcmp(package->locked->name, "kmod") == 0 ||
				(data != NULL && ash_tree_find(&tree, "usr/lib/modules") != NULL))
			g_string_append_printf(packages, "%s ", package->locked->sha256);
	}
	for (guint i = 0; i < build->manifest->kernel_modules->len; i++)
		g_string_append_printf(keep, "%s\n",
				(const char *) build->manifest->kernel_modules->pdata[i]);
	return stage_ref("kernel", packages->str, keep->str, NULL);
}

static char *hwdb_ref(const Build *build)
{
	g_autoptr(GString) packages = g_string_new("");

	for (guint i = 0; i < build->packages->len; i++) {
		const AshPackage *package = build->packages->pdata[i];
		if (ash_hwdb_depends_on(ash_package_data(package)))
			g_string_append_printf(packages, "%s ", package->locked->sha256);
	}
	return stage_ref("hwdb", packages->str, NULL);
}

static void plan_side_jobs(Build *build, SideJobs *side)
{
	SideJob *kernel = &side->jobs[KERNEL];
	SideJob *hwdb = &side->jobs[HWDB];

	if (build->kernel_release != NULL) {
		*kernel = (SideJob){.build = build, .name = "kernel", .work = work_kernel};
		kernel->ref = kernel_ref(build);
		kernel->path = g_strconcat("usr/lib/modules/", build->kernel_release, NULL);
		kernel->source = ash_node_copy(ash_tree_find(build->tree, kernel->path));
	}
	if (!build->options->is_plain && ash_hwdb_is_needed(build->tree)) {
		*hwdb = (SideJob){.build = build, .name = "hwdb", .work = work_hwdb};
		hwdb->ref = hwdb_ref(build);
		hwdb->path = g_strdup(ASH_HWDB_PATH);
	}
}

/* The stage's commit holds the result as "result". */
static gboolean find_side_jobs(Build *build, SideJobs *side, bool *out_all_known, GError **error)
{
	*out_all_known = true;
	for (int i = 0; i < N_SIDE_JOBS; i++) {
		SideJob *job = &side->jobs[i];
		g_autofree char *commit = NULL;
		g_autoptr(AshTree) stored = NULL;
		if (job->ref == NULL)
			continue;
		if (!find_stage(build, job->ref, &commit, error))
			return FALSE;
		if (commit == NULL) {
			*out_all_known = false;
			continue;
		}
		if (!ash_repo_load_tree(build->repo, commit, &stored, error))
			return FALSE;
		job->result = ash_tree_steal(stored, "result");
		job->is_known = true;
	}
	return TRUE;
}

static gpointer run_side_job(gpointer data)
{
	SideJob *job = data;

	if (!job->work(job, &job->error))
		g_assert(job->error != NULL);
	return NULL;
}

static gboolean start_side_jobs(Build *build, SideJobs *side, GError **error)
{
	for (int i = 0; i < N_SIDE_JOBS; i++) {
		SideJob *job = &side->jobs[i];
		if (job->ref == NULL || job->is_known)
			continue;
		if (!ensure_checkout(build, error))
			return FALSE;
		job->scratch = g_build_filename(build->scratch->path, job->name, NULL);
		if (!ash_file_ensure_dir(AT_FDCWD, job->scratch, 0755, error))
			return FALSE;
		job->thread = g_thread_new(job->name, run_side_job, job);
	}
	return TRUE;
}

/* Waits for the threads. They write to the transaction, so they must be over before it is, whatever
 * became of the rest.
 */
static gboolean join_side_jobs(SideJobs *side, GError **error)
{
	gboolean ok = TRUE;

	for (int i = 0; i < N_SIDE_JOBS; i++) {
		SideJob *job = &side->jobs[i];
		if (job->thread != NULL)
			g_thread_join(g_steal_pointer(&job->thread));
		if (job->error != NULL && ok) {
			g_propagate_error(error, g_steal_pointer(&job->error));
			ok = FALSE;
		}
	}
	return ok;
}

static gboolean store_side_jobs(Build *build, SideJobs *side, GError **error)
{
	for (int i = 0; i < N_SIDE_JOBS; i++) {
		const SideJob *job = &side->jobs[i];
		AshRepoCommitInfo info = {.subject = job->name, .ref = job->ref};
		g_autoptr(AshTree) tree = ash_tree_new();
		g_autofree char *commit = NULL;
		if (job->ref == NULL || job->is_known)
			continue;
		if (job->result != NULL &&
				!ash_tree_insert(tree, "result", ash_node_copy(job->result), error))
			return FALSE;
		if (!ash_repo_write_tree(build->repo, tree, &info, &commit, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean insert_side_results(Build *build, SideJobs *side, GError **error)
{
	for (int i = 0; i < N_SIDE_JOBS; i++) {
		SideJob *job = &side->jobs[i];
		if (job->result != NULL && !ash_tree_insert(build->tree, job->path,
							   g_steal_pointer(&job->result), error))
			return FALSE;
	}
	return TRUE;
}

/* ---- configure ------------------------------------------------------------------------------- */

static gboolean configure(Build *build, const char *ref, GError **error)
{
	g_autofree char *scratch = NULL;
	g_autofree char *commit = NULL;
	AshRepoCommitInfo info = {.subject = "configured", .ref = ref};
	const AshConfigureOptions options = {
			.now_s = build->newest_s,
			.progress = build->progress,
			.has_shortcuts = !build->options->is_plain,
	};

	if (!ensure_checkout(build, error))
		return FALSE;
	scratch = g_build_filename(build->scratch->path, "configure", NULL);
	return ash_file_ensure_dir(AT_FDCWD, scratch, 0755, error) &&
	       ash_configure(build->repo, build->packages, build->checkout, scratch, &options,
			       build->tree, error) &&
	       ash_repo_write_tree(build->repo, build->tree, &info, &commit, error);
}

/* @configured_ref: NULL when that step is in the cache. */
static gboolean make_missing(
		Build *build, const char *configured_ref, SideJobs *side, GError **error)
{
	ash_progress_begin(build->progress, "configure",
			configured_ref != NULL ? "running the packages' scripts"
					       : "preparing the kernel's modules");
	if (!ash_repo_begin(build->repo, error))
		return FALSE;
	gboolean ok = start_side_jobs(build, side, error) &&
		      (configured_ref == NULL || configure(build, configured_ref, error));
	ok = join_side_jobs(side, ok ? error : NULL) && ok && store_side_jobs(build, side, error);
	if (!ok) {
		ash_repo_abort(build->repo);
		return FALSE;
	}
	if (!ash_repo_commit(build->repo, error))
		return FALSE;
	ash_progress_end(build->progress,
			configured_ref != NULL ? "scripts have run" : "modules are prepared");
	return TRUE;
}

static gboolean find_release(Build *build, const AshTree *tree, GError **error)
{
	if (!ash_kernel_find_release(tree, &build->kernel_release, error))
		return FALSE;
	if (build->manifest->kind == ASH_MANIFEST_WORKLOAD)
		g_clear_pointer(&build->kernel_release, g_free);
	else if (build->kernel_release == NULL)
		return ash_throw(error, ASH_BUILD_ERROR, ASH_BUILD_ERROR_HOST,
				"%s: a host needs a kernel: add one to packages:, for example linux-image-cloud-%s (or say kind: workload)",
				build->manifest->path, build->manifest->arch);
	return TRUE;
}

/* Leaves the configured tree, with the results of the side jobs, in build->tree. */
static gboolean configure_tree(Build *build, GError **error)
{
	g_autofree char *script = ash_configure_script(build->packages);
	g_autofree char *ref = stage_ref("configured", build->lock_digest, script,
			build->options->is_plain ? "plain" : "shortcuts", NULL);
	g_autofree char *commit = NULL;
	g_auto(SideJobs) side = {0};
	bool has_scripts = ash_configure_is_needed(build->packages);
	bool all_known = false;

	if (!ensure_assembled(build, error) ||
			(has_scripts && !find_stage(build, ref, &commit, error)))
		return FALSE;
	if (build->tree == NULL &&
			!ash_repo_load_tree(build->repo, commit != NULL ? commit : build->assembled,
					&build->tree, error))
		return FALSE;
	if (!find_release(build, build->tree, error))
		return FALSE;
	plan_side_jobs(build, &side);
	if (!find_side_jobs(build, &side, &all_known, error))
		return FALSE;
	bool must_configure = has_scripts && commit == NULL;
	if ((must_configure || !all_known) &&
			!make_missing(build, must_configure ? ref : NULL, &side, error))
		return FALSE;
	return insert_side_results(build, &side, error);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static gboolean finish(Build *build, const char *finished_ref, char **out_commit, GError **error)
{
	AshFinish finish = {
			.cache = build->cache,
			.repo = build->repo,
			.manifest = build->manifest,
			.packages = build->packages,
			.kernel_release = build->kernel_release,
			.initrd_path = build->initrd_path,
			.lock_digest = build->lock_digest,
			.manifest_digest = build->manifest_digest,
			.timestamp_s = build->newest_s,
			.is_fresh = build->options->is_fresh,
			.progress = build->progress,
	};

	return ash_finish(&finish, build->tree, finished_ref, out_commit, error);
}

static gboolean build_commit(
		Build *build, const char *finished_ref, AshBuildResult *result, GError **error)
{
	AshImportStats stats;

	if (!ash_import_lock(build->cache, build->repo, build->manifest, build->lock,
			    build->options->threads, build->progress, &build->packages, &stats,
			    error))
		return FALSE;
	for (guint i = 0; i < build->packages->len; i++) {
		const AshPackage *package = build->packages->pdata[i];
		build->newest_s = MAX(build->newest_s, package->newest_s);
	}
	result->imported = stats.imported;
	return configure_tree(build, error) && finish(build, finished_ref, &result->commit, error);
}

/* The digest that names the finished commit: everything it can depend on, this program included. */
static gboolean finished_stage(Build *build, char **out_ref, GError **error)
{
	g_autoptr(GBytes) program = NULL;
	g_autoptr(GBytes) initrd = NULL;

	if (!ash_file_read(AT_FDCWD, "/proc/self/exe", MAX_PROGRAM_BYTES, &program, error) ||
			!ash_file_read(AT_FDCWD, build->initrd_path, MAX_PROGRAM_BYTES, &initrd,
					error))
		return FALSE;
	g_autofree char *program_hash =
			ash_sha256_hex(g_bytes_get_data(program, NULL), g_bytes_get_size(program));
	g_autofree char *initrd_hash =
			ash_sha256_hex(g_bytes_get_data(initrd, NULL), g_bytes_get_size(initrd));
	*out_ref = stage_ref("finished", build->lock_digest, build->manifest_digest, program_hash,
			initrd_hash, build->options->is_plain ? "plain" : "shortcuts", NULL);
	return TRUE;
}

/* Beside this program when it runs from its build directory, else where it is installed. */
static gboolean find_initrd(char **out_path, GError **error)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", error);

	if (self == NULL)
		return FALSE;
	g_autofree char *dir = g_path_get_dirname(self);
	g_autofree char *beside = g_build_filename(dir, "ashlar-initrd", NULL);
	g_autofree char *installed =
			g_build_filename(dir, "..", "lib", "ashlar", "ashlar-initrd", NULL);
	if (g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE))
		*out_path = g_steal_pointer(&beside);
	else if (g_file_test(installed, G_FILE_TEST_IS_EXECUTABLE))
		*out_path = g_steal_pointer(&installed);
	else
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_ENVIRONMENT,
				"the program ashlar-initrd is neither in '%s' nor installed (run 'make')",
				dir);
	return TRUE;
}

/* Brings the commit to the output repository. */
static gboolean deliver(Build *build, AshBuildResult *result, GError **error)
{
	g_autofree char *there = NULL;

	if (!ash_repo_find_ref(build->out, result->ref, &there, error))
		return FALSE;
	result->is_unchanged = g_strcmp0(there, result->commit) == 0;
	return result->is_unchanged ||
	       ash_repo_pull_local(build->out, build->repo, result->commit, result->ref, error);
}

/* 'ashlar cache prune' goes by it; steps that are found there look at no package. */
static void mark_packages(const Build *build)
{
	for (guint i = 0; i < build->lock->packages->len; i++) {
		const AshLockPackage *locked = build->lock->packages->pdata[i];
		g_autofree char *ref = ash_package_ref(locked);
		g_autofree char *deb = ash_import_deb_path(build->cache, locked);
		ash_cache_mark_ref_used(build->cache, ref);
		ash_cache_mark_used(build->cache, deb);
	}
}

/* Scripts of another architecture need an emulator that the kernel knows of, and the first process of
 * our initramfs is compiled for this machine.
 */
static gboolean check_arch(const AshManifest *manifest, const char *initrd_path, GError **error)
{
	const char *native = ash_manifest_native_arch();

	if (strcmp(manifest->arch, native) == 0)
		return TRUE;
	if (manifest->kind == ASH_MANIFEST_HOST &&
			manifest->initramfs == ASH_MANIFEST_INITRAMFS_NATIVE)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_ENVIRONMENT,
				"'%s' is a program for %s, but the image is for %s: build it on a machine of that architecture, or say 'initramfs: {generator: dracut}'",
				initrd_path, native, manifest->arch);
	g_autofree char *binfmt = g_strconcat("/proc/sys/fs/binfmt_misc/qemu-",
			strcmp(manifest->arch, "arm64") == 0 ? "aarch64" : manifest->arch, NULL);
	bool is_near = strcmp(native, "amd64") == 0 && strcmp(manifest->arch, "i386") == 0;
	if (is_near || g_file_test(binfmt, G_FILE_TEST_EXISTS))
		return TRUE;
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_ENVIRONMENT,
			"the packages' scripts are for %s, which this machine (%s) cannot run: build there, or install qemu-user-static",
			manifest->arch, native);
}

gboolean ash_build(AshCache *cache, AshRepo *out, const AshManifest *manifest, const AshLock *lock,
		const AshBuildOptions *options, AshProgress *progress, AshBuildResult *result,
		GError **error)
{
	g_auto(Build) build = {
			.cache = cache,
			.out = out,
			.manifest = manifest,
			.lock = lock,
			.options = options,
			.progress = progress,
	};
	g_auto(AshBuildResult) made = {.ref = ash_build_ref(manifest)};
	g_autofree char *finished_ref = NULL;
	g_autofree char *repo_path = ash_cache_path(cache, "repo");

	build.lock_digest = ash_lock_digest(lock);
	build.manifest_digest = ash_manifest_digest(manifest);
	if (!ash_cli_need_root(
			    "packages' scripts run in a sandbox, and files get their true owners",
			    error) ||
			!find_initrd(&build.initrd_path, error) ||
			!check_arch(manifest, build.initrd_path, error) ||
			!ash_repo_open(repo_path, true, &build.repo, error) ||
			!finished_stage(&build, &finished_ref, error) ||
			!find_stage(&build, finished_ref, &made.commit, error))
		return FALSE;
	if (made.commit == NULL && !build_commit(&build, finished_ref, &made, error))
		return FALSE;
	if (!deliver(&build, &made, error))
		return FALSE;
	mark_packages(&build);
	*result = made;
	made = (AshBuildResult){0};
	return TRUE;
}
