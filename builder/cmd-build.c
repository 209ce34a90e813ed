/* SPDX-License-Identifier: Apache-2.0 */
#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <stdio.h>

#include "builder/build.h"
#include "builder/cache-dir.h"
#include "builder/cache.h"
#include "builder/cmd.h"
#include "builder/lock-diff.h"
#include "builder/lock.h"
#include "builder/manifest.h"
#include "builder/solve.h"
#include "lib/error.h"

static char *opt_lock;
static char *opt_arch;
static char *opt_variant;
static char *opt_cache;
static char *opt_repo;
static char **opt_set;
static int opt_threads;
static gboolean opt_locked;
static gboolean opt_fresh;
static gboolean opt_no_shortcuts;

static const GOptionEntry options[] = {
		{"repo", 0, 0, G_OPTION_ARG_FILENAME, &opt_repo,
				"Put the commit into the repository DIR (out/repo)", "DIR"},
		{"lock", 0, 0, G_OPTION_ARG_FILENAME, &opt_lock, "Use the lock FILE", "FILE"},
		{"locked", 0, 0, G_OPTION_ARG_NONE, &opt_locked,
				"Fail when the lock is missing or stale", NULL},
		{"arch", 0, 0, G_OPTION_ARG_STRING, &opt_arch, "For Debian architecture ARCH",
				"ARCH"},
		{"variant", 0, 0, G_OPTION_ARG_STRING, &opt_variant,
				"Of the manifest's variant NAME", "NAME"},
		{"set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_set,
				"Give a variable of the manifest another value", "NAME=VALUE"},
		{"threads", 'j', 0, G_OPTION_ARG_INT, &opt_threads,
				"Import with N threads (one a processor)", "N"},
		{"fresh", 0, 0, G_OPTION_ARG_NONE, &opt_fresh,
				"Run every step, only imported packages are reused", NULL},
		{"no-shortcuts", 0, 0, G_OPTION_ARG_NONE, &opt_no_shortcuts,
				"Run maintainer scripts with the packages' own programs only",
				NULL},
		{"cache", 0, 0, G_OPTION_ARG_FILENAME, &opt_cache, "Keep the cache in DIR", "DIR"},
		{0},
};

static gboolean load_lock(const char *path, AshLock **out_lock, GError **error)
{
	g_autoptr(GError) local = NULL;

	*out_lock = NULL;
	if (ash_lock_load(path, out_lock, &local) ||
			g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

/* The lock beside the manifest, made or brought up to date when that is needed. */
static gboolean ensure_lock(const AshManifest *manifest, const char *cache_dir, const char *path,
		AshProgress *progress, AshLock **out_lock, GError **error)
{
	g_autoptr(AshLock) lock = NULL;
	g_autoptr(AshLock) solved = NULL;
	g_autofree char *digest = NULL;

	if (!load_lock(path, &lock, error) || !ash_manifest_solve_digest(manifest, &digest, error))
		return FALSE;
	if (lock != NULL && g_str_equal(lock->inputs, digest) &&
			g_str_equal(lock->arch, manifest->arch) &&
			g_strcmp0(lock->variant, manifest->variant) == 0) {
		*out_lock = g_steal_pointer(&lock);
		return TRUE;
	}
	if (opt_locked)
		return ash_throw(error, ASH_LOCK_ERROR, ASH_LOCK_ERROR_STALE,
				"%s: the lock %s (run 'ashlar lock %s')", path,
				lock == NULL ? "is missing"
					     : "was made for another state of the manifest",
				manifest->path);
	const AshSolveOptions solve_options = {.cache_dir = cache_dir, .previous = lock};
	if (!ash_solve_manifest(manifest, &solve_options, progress, &solved, error) ||
			!ash_lock_save(solved, path, error))
		return FALSE;
	ash_progress_note(progress, "%s the lock %s: %u packages",
			lock == NULL ? "wrote" : "updated", path, solved->packages->len);
	*out_lock = g_steal_pointer(&solved);
	return TRUE;
}

static void print_result(const AshCliContext *context, const AshBuildResult *result)
{
	if (!context->json) {
		printf("%s %s%s\n", result->ref, result->commit,
				result->is_unchanged ? " (unchanged)" : "");
		return;
	}
	g_autoptr(JsonBuilder) builder = json_builder_new();
	json_builder_begin_object(builder);
	json_builder_set_member_name(builder, "ref");
	json_builder_add_string_value(builder, result->ref);
	json_builder_set_member_name(builder, "commit");
	json_builder_add_string_value(builder, result->commit);
	json_builder_set_member_name(builder, "unchanged");
	json_builder_add_boolean_value(builder, result->is_unchanged);
	json_builder_set_member_name(builder, "imported");
	json_builder_add_int_value(builder, result->imported);
	json_builder_end_object(builder);
	g_autoptr(JsonNode) root = json_builder_get_root(builder);
	g_autofree char *text = json_to_string(root, FALSE);
	printf("%s\n", text);
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *cache_dir = opt_cache != NULL ? g_canonicalize_filename(opt_cache, NULL)
						       : ash_cache_dir_default();
	g_autofree char *lock_path = opt_lock != NULL ? g_strdup(opt_lock)
						      : ash_lock_default_path(args[0], opt_variant);
	const AshBuildOptions build_options = {
			.threads = opt_threads > 0 ? (unsigned) opt_threads : 0,
			.is_plain = opt_no_shortcuts,
			.is_fresh = opt_fresh,
	};
	g_autoptr(AshManifest) manifest = NULL;
	g_autoptr(AshLock) lock = NULL;
	g_autoptr(AshCache) cache = NULL;
	g_autoptr(AshRepo) repo = NULL;
	g_auto(AshBuildResult) result = {0};

	/* What is wrong with the manifest is said before what is wrong with the machine. */
	if (!ash_manifest_load(args[0], opt_arch, opt_variant, (const char *const *) opt_set,
			    &manifest, error) ||
			!ash_cli_need_root(
					"packages' scripts run in a sandbox, and files get their true owners",
					error) ||
			!ash_cache_open(cache_dir, ASH_CACHE_SHARED, context->progress, &cache,
					error) ||
			!ensure_lock(manifest, cache_dir, lock_path, context->progress, &lock,
					error) ||
			!ash_repo_open(opt_repo != NULL ? opt_repo : "out/repo", true, &repo,
					error) ||
			!ash_build(cache, repo, manifest, lock, &build_options, context->progress,
					&result, error))
		return FALSE;
	print_result(context, &result);
	return TRUE;
}

const AshCliCommand ash_cmd_build = {
		.name = "build",
		.synopsis = "MANIFEST",
		.summary = "Compose the OS tree of a manifest and commit it.",
		.details = "Uses NAME.lock beside NAME.yaml, and makes it when it is missing or stale. "
			   "Needs root.\nPrints the ref and the commit.",
		.options = options,
		.min_args = 1,
		.max_args = 1,
		.run = run,
};
