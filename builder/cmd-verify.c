/* SPDX-License-Identifier: Apache-2.0 */
#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "builder/build.h"
#include "builder/cache-dir.h"
#include "builder/cache.h"
#include "builder/cmd.h"
#include "builder/lock-diff.h"
#include "builder/lock.h"
#include "builder/manifest.h"
#include "builder/verify.h"

static char *opt_lock;
static char *opt_arch;
static char *opt_variant;
static char *opt_cache;
static char *opt_repo;
static char *opt_commit;
static char **opt_set;

static const GOptionEntry options[] = {
		{"repo", 0, 0, G_OPTION_ARG_FILENAME, &opt_repo,
				"Compare with a commit of the repository DIR (out/repo)", "DIR"},
		{"commit", 0, 0, G_OPTION_ARG_STRING, &opt_commit,
				"Compare with REV (the ref of the manifest)", "REV"},
		{"lock", 0, 0, G_OPTION_ARG_FILENAME, &opt_lock, "Use the lock FILE", "FILE"},
		{"arch", 0, 0, G_OPTION_ARG_STRING, &opt_arch, "For Debian architecture ARCH",
				"ARCH"},
		{"variant", 0, 0, G_OPTION_ARG_STRING, &opt_variant,
				"Of the manifest's variant NAME", "NAME"},
		{"set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_set,
				"Give a variable of the manifest another value", "NAME=VALUE"},
		{"cache", 0, 0, G_OPTION_ARG_FILENAME, &opt_cache, "Keep the cache in DIR", "DIR"},
		{0},
};

static void print_json(const AshVerifyResult *result, bool is_same)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	json_builder_set_member_name(builder, "same");
	json_builder_add_boolean_value(builder, is_same);
	json_builder_set_member_name(builder, "expected");
	json_builder_add_string_value(builder, result->expected);
	json_builder_set_member_name(builder, "rebuilt");
	json_builder_add_string_value(builder, result->rebuilt);
	json_builder_set_member_name(builder, "differing");
	json_builder_begin_array(builder);
	for (guint i = 0; i < result->differing->len; i++)
		json_builder_add_string_value(builder, result->differing->pdata[i]);
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	g_autoptr(JsonNode) root = json_builder_get_root(builder);
	g_autofree char *text = json_to_string(root, FALSE);
	printf("%s\n", text);
}

static void print_lines(const AshVerifyResult *result, bool is_same)
{
	if (is_same) {
		printf("same: %s\n", result->rebuilt);
		return;
	}
	printf("differs: expected %s\n         rebuilt  %s\n", result->expected, result->rebuilt);
	for (guint i = 0; i < result->differing->len; i++)
		printf("  %s\n", (const char *) result->differing->pdata[i]);
	if (result->differing->len >= ASH_VERIFY_MAX_PATHS)
		printf("  … and perhaps more\n");
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *cache_dir = opt_cache != NULL ? g_canonicalize_filename(opt_cache, NULL)
						       : ash_cache_dir_default();
	g_autofree char *lock_path = opt_lock != NULL ? g_strdup(opt_lock)
						      : ash_lock_default_path(args[0], opt_variant);
	g_autoptr(AshManifest) manifest = NULL;
	g_autoptr(AshLock) lock = NULL;
	g_autoptr(AshCache) cache = NULL;
	g_autoptr(AshRepo) repo = NULL;
	g_auto(AshVerifyResult) result = {0};

	if (!ash_manifest_load(args[0], opt_arch, opt_variant, (const char *const *) opt_set,
			    &manifest, error) ||
			!ash_lock_load(lock_path, &lock, error) ||
			!ash_cli_need_root(
					"packages' scripts run in a sandbox, and files get their true owners",
					error) ||
			!ash_cache_open(cache_dir, ASH_CACHE_SHARED, context->progress, &cache,
					error) ||
			!ash_repo_open(opt_repo != NULL ? opt_repo : "out/repo", false, &repo,
					error))
		return FALSE;
	g_autofree char *rev = opt_commit != NULL ? g_strdup(opt_commit) : ash_build_ref(manifest);
	if (!ash_verify(cache, repo, rev, manifest, lock, context->progress, &result, error))
		return FALSE;
	bool is_same = strcmp(result.expected, result.rebuilt) == 0;
	if (context->json)
		print_json(&result, is_same);
	else
		print_lines(&result, is_same);
	if (!is_same)
		*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

const AshCliCommand ash_cmd_verify = {
		.name = "verify",
		.synopsis = "MANIFEST",
		.summary = "Build once more in a clean cache and compare the commits.",
		.details = "Uses NAME.lock beside NAME.yaml. Exits with 8 when the commits differ, and "
			   "says in\nwhich paths. Needs root.",
		.options = options,
		.min_args = 1,
		.max_args = 1,
		.run = run,
};
