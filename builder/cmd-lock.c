/* SPDX-License-Identifier: Apache-2.0 */
#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "builder/cache-dir.h"
#include "builder/cache.h"
#include "builder/cmd.h"
#include "builder/lock-diff.h"
#include "builder/lock.h"
#include "builder/manifest.h"
#include "builder/solve.h"
#include "lib/error.h"
#include "lib/json.h"

static char *opt_output;
static char *opt_arch;
static char *opt_variant;
static char *opt_cache;
static char **opt_set;
static gboolean opt_update;
static gboolean opt_offline;
static gboolean opt_check;

static const GOptionEntry options[] = {
		{"output", 'o', 0, G_OPTION_ARG_FILENAME, &opt_output,
				"Write to FILE, not beside the manifest", "FILE"},
		{"arch", 0, 0, G_OPTION_ARG_STRING, &opt_arch, "For Debian architecture ARCH",
				"ARCH"},
		{"variant", 0, 0, G_OPTION_ARG_STRING, &opt_variant,
				"Of the manifest's variant NAME", "NAME"},
		{"set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_set,
				"Give a variable of the manifest another value", "NAME=VALUE"},
		{"update", 0, 0, G_OPTION_ARG_NONE, &opt_update,
				"Let the named packages, or all, move to newer versions", NULL},
		{"offline", 0, 0, G_OPTION_ARG_NONE, &opt_offline,
				"Use the indices that are in the cache", NULL},
		{"check", 0, 0, G_OPTION_ARG_NONE, &opt_check,
				"Write nothing; exit with 8 when the lock would change", NULL},
		{"cache", 0, 0, G_OPTION_ARG_FILENAME, &opt_cache, "Keep the cache in DIR", "DIR"},
		{0},
};

/* *out_lock is NULL when there is none yet. */
static gboolean load_previous(const char *path, AshLock **out_lock, GError **error)
{
	g_autoptr(GError) local = NULL;

	*out_lock = NULL;
	if (ash_lock_load(path, out_lock, &local))
		return TRUE;
	if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

/* ---- what is printed ------------------------------------------------------------------------- */

static void print_lines(const char *path, GPtrArray *changes)
{
	for (guint i = 0; i < changes->len; i++) {
		const AshLockChange *change = g_ptr_array_index(changes, i);
		if (change->from == NULL)
			printf("added %s %s\n", change->name, change->to);
		else if (change->to == NULL)
			printf("removed %s %s\n", change->name, change->from);
		else
			printf("changed %s %s -> %s\n", change->name, change->from, change->to);
	}
	if (changes->len == 0)
		printf("%s: unchanged\n", path);
}

static void add_text(JsonBuilder *builder, const char *key, const char *value)
{
	if (value == NULL)
		return;
	ash_json_add_string(builder, key, value);
}

static void print_json(const char *path, GPtrArray *changes, guint packages)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	add_text(builder, "lock", path);
	json_builder_set_member_name(builder, "packages");
	json_builder_add_int_value(builder, packages);
	json_builder_set_member_name(builder, "changes");
	json_builder_begin_array(builder);
	for (guint i = 0; i < changes->len; i++) {
		const AshLockChange *change = g_ptr_array_index(changes, i);
		json_builder_begin_object(builder);
		add_text(builder, "package", change->name);
		add_text(builder, "from", change->from);
		add_text(builder, "to", change->to);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	g_autoptr(JsonNode) root = json_builder_get_root(builder);
	g_autofree char *text = json_to_string(root, FALSE);
	printf("%s\n", text);
}

static void print_changes(
		const AshCliContext *context, const char *path, GPtrArray *changes, guint packages)
{
	if (context->json)
		print_json(path, changes, packages);
	else
		print_lines(path, changes);
}

/* ---- the verb -------------------------------------------------------------------------------- */

static gboolean check_arguments(char **names, const AshLock *previous, GError **error)
{
	if (*names != NULL && !opt_update)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"packages are named with --update only");
	for (char **name = names; *name != NULL; name++)
		if (previous == NULL || ash_lock_find(previous, *name) == NULL)
			return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
					"--update %s: the lock has no such package", *name);
	return TRUE;
}

static gboolean solve(const AshManifest *manifest, const AshLock *previous, char **names,
		AshProgress *progress, AshLock **out_lock, GError **error)
{
	g_autofree char *cache_dir = opt_cache != NULL ? g_canonicalize_filename(opt_cache, NULL)
						       : ash_cache_dir_default();
	g_autoptr(AshCache) cache = NULL;
	const AshSolveOptions solve_options = {.cache_dir = cache_dir,
			.offline = opt_offline,
			.previous = previous,
			.update = opt_update ? (const char *const *) names : NULL};

	return ash_cache_open(cache_dir, ASH_CACHE_SHARED, progress, &cache, error) &&
	       ash_solve_manifest(manifest, &solve_options, progress, out_lock, error);
}

static gboolean is_current(const AshManifest *manifest, const AshLock *previous, bool *out_answer,
		GError **error)
{
	g_autofree char *digest = NULL;

	*out_answer = false;
	if (previous == NULL || opt_update)
		return TRUE;
	if (!ash_manifest_solve_digest(manifest, &digest, error))
		return FALSE;
	*out_answer = g_str_equal(previous->inputs, digest) &&
		      g_str_equal(previous->arch, manifest->arch) &&
		      g_strcmp0(previous->variant, manifest->variant) == 0;
	return TRUE;
}

/* The inputs' digest and the origins count too, not only the packages. */
static bool is_same_text(AshLock *a, AshLock *b)
{
	if (a == NULL)
		return false;
	g_autofree char *text_a = ash_lock_format(a);
	g_autofree char *text_b = ash_lock_format(b);
	return g_str_equal(text_a, text_b);
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshManifest) manifest = NULL;
	g_autoptr(AshLock) previous = NULL;
	g_autoptr(AshLock) lock = NULL;
	bool has_current = false;

	if (!ash_manifest_load(args[0], opt_arch, opt_variant, (const char *const *) opt_set,
			    &manifest, error))
		return FALSE;
	g_autofree char *path = opt_output != NULL ? g_strdup(opt_output)
						   : ash_lock_default_path(args[0], opt_variant);
	if (!load_previous(path, &previous, error) || !check_arguments(args + 1, previous, error) ||
			!is_current(manifest, previous, &has_current, error))
		return FALSE;
	if (has_current) {
		g_autoptr(GPtrArray) none = g_ptr_array_new();
		print_changes(context, path, none, previous->packages->len);
		return TRUE;
	}
	if (!solve(manifest, previous, args + 1, context->progress, &lock, error))
		return FALSE;
	g_autoptr(GPtrArray) changes = ash_lock_diff(previous, lock);
	bool is_same = is_same_text(previous, lock);
	if (!opt_check && !is_same && !ash_lock_save(lock, path, error))
		return FALSE;
	print_changes(context, path, changes, lock->packages->len);
	if (opt_check && !is_same)
		*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

const AshCliCommand ash_cmd_lock = {
		.name = "lock",
		.synopsis = "MANIFEST [PACKAGE…]",
		.summary = "Choose the packages of a manifest and write them down.",
		.details = "Writes NAME.lock beside NAME.yaml (NAME.VARIANT.lock for a variant), and "
			   "prints what changed. A lock that exists keeps its versions as far as the "
			   "manifest allows; with --update all packages may move, or those that are "
			   "named.",
		.options = options,
		.min_args = 1,
		.max_args = -1,
		.run = run,
};
