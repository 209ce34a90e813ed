/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "builder/cache-content.h"
#include "builder/cache-dir.h"
#include "builder/cache.h"
#include "builder/cmd.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"

enum {
	MAX_DAYS = 36500,
};

static char *opt_cache;
static gboolean opt_all;
static int opt_keep_days = ASH_CACHE_KEEP_DAYS;

static const GOptionEntry options[] = {
		{"cache", 0, 0, G_OPTION_ARG_FILENAME, &opt_cache,
				"The cache's directory (default: /var/cache/ashlar for root)",
				"DIR"},
		{"all", 0, 0, G_OPTION_ARG_NONE, &opt_all, "prune: remove everything", NULL},
		{"keep-days", 0, 0, G_OPTION_ARG_INT, &opt_keep_days,
				"prune: keep what a build has used in the last N days (default: 30)",
				"N"},
		{0},
};

static const char *explain(const char *name)
{
	static const struct {
		const char *name;
		const char *text;
	} rows[] = {
			{"repo", "repository: objects and refs"},
			{"repo deb", "  imported packages"},
			{"repo stage/assembled", "  trees put together of packages"},
			{"repo stage/configured", "  ... with their scripts run"},
			{"repo stage/finished", "  ... and what the manifest adds"},
			{"repo stage/kernel", "  kernels and initramfs"},
			{"debs", "downloaded packages"},
			{"index", "indices of the archives"},
			{"scratch", "running builds, or left by killed ones"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (strcmp(name, rows[i].name) == 0)
			return rows[i].text;
	return strchr(name, ' ') != NULL ? strchr(name, ' ') : name;
}

static void print_parts(const char *dir, const GPtrArray *parts)
{
	uint64_t all = 0;

	for (guint i = 0; i < parts->len; i++)
		all += ((AshCachePart *) parts->pdata[i])->bytes;
	g_autofree char *total = ash_text_size(all);
	printf("%s: %s\n", dir, total);
	for (guint i = 0; i < parts->len; i++) {
		const AshCachePart *part = parts->pdata[i];
		g_autofree char *bytes =
				part->has_bytes ? ash_text_size(part->bytes) : g_strdup("");
		printf("  %9s  %7u  %s\n", bytes, part->count, explain(part->name));
	}
}

static void print_parts_json(const char *dir, const GPtrArray *parts)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_text(json, "cache", dir);
	ash_json_begin_array(json, "parts");
	for (guint i = 0; i < parts->len; i++) {
		const AshCachePart *part = parts->pdata[i];
		json_builder_begin_object(json);
		ash_json_add_text(json, "name", part->name);
		ash_json_add_uint(json, "count", part->count);
		if (part->has_bytes)
			ash_json_add_uint(json, "bytes", part->bytes);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, false);
	fputs(text, stdout);
}

static gboolean show(const AshCliContext *context, const char *dir, GError **error)
{
	g_autoptr(GPtrArray) parts = NULL;

	if (!ash_cache_measure(dir, &parts, error))
		return FALSE;
	if (context->json)
		print_parts_json(dir, parts);
	else
		print_parts(dir, parts);
	return TRUE;
}

static void print_pruned(const AshCliContext *context, const AshCachePruned *pruned)
{
	g_autofree char *bytes = ash_text_size(pruned->bytes);

	if (!context->json) {
		printf("removed %u refs, %u .debs; freed %s\n", pruned->refs, pruned->debs, bytes);
		return;
	}
	g_autoptr(JsonBuilder) json = json_builder_new();
	json_builder_begin_object(json);
	ash_json_add_uint(json, "refs", pruned->refs);
	ash_json_add_uint(json, "debs", pruned->debs);
	ash_json_add_uint(json, "bytes", pruned->bytes);
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, false);
	fputs(text, stdout);
}

static gboolean prune(const AshCliContext *context, const char *dir, GError **error)
{
	const AshCachePrune how = {
			.all = opt_all,
			.keep_days = (unsigned) opt_keep_days,
			.now_s = g_get_real_time() / G_USEC_PER_SEC,
	};
	AshCachePruned pruned = {0};
	g_autoptr(AshCache) cache = NULL;

	if (g_file_test(dir, G_FILE_TEST_IS_DIR) &&
			(!ash_cache_open(dir, ASH_CACHE_EXCLUSIVE, context->progress, &cache,
					 error) ||
					!ash_cache_prune(cache, &how, &pruned, error)))
		return FALSE;
	print_pruned(context, &pruned);
	return TRUE;
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autofree char *dir = opt_cache != NULL ? g_canonicalize_filename(opt_cache, NULL)
						 : ash_cache_dir_default();

	if (opt_keep_days < 0 || opt_keep_days > MAX_DAYS)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--keep-days is a number from 0 to %d", MAX_DAYS);
	if (strcmp(args[0], "show") == 0)
		return show(context, dir, error);
	if (strcmp(args[0], "prune") == 0)
		return prune(context, dir, error);
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
			"'%s' is nothing to do with a cache; there are show and prune", args[0]);
}

const AshCliCommand ash_cmd_cache = {
		.name = "cache",
		.synopsis = "show|prune",
		.summary = "Shows what the cache holds, or makes it smaller",
		.details = "Everything in the cache is there to save time: nothing is lost with it.\n\n"
			   "prune removes what no build has used lately, and old steps of builds. It waits "
			   "until no build runs.",
		.options = options,
		.min_args = 1,
		.max_args = 1,
		.run = run,
};
