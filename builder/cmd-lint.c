/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "builder/cache-dir.h"
#include "builder/cmd.h"
#include "builder/lint.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/text.h"

enum {
	SHOWN_SIZES = 20,
};

static char *opt_repo;
static char *opt_against;
static char *opt_allow;
static char *opt_cache;
static gboolean opt_sizes;

static const GOptionEntry options[] = {
		{"repo", 0, 0, G_OPTION_ARG_FILENAME, &opt_repo,
				"The OSTree repository (default: out/repo)", "DIR"},
		{"against", 0, 0, G_OPTION_ARG_STRING, &opt_against,
				"Say what grew since the commit OLDREV", "OLDREV"},
		{"allow", 0, 0, G_OPTION_ARG_FILENAME, &opt_allow,
				"Known exceptions, a line each: RULE GLOB", "FILE"},
		{"sizes", 0, 0, G_OPTION_ARG_NONE, &opt_sizes,
				"Print every package and directory, not the largest only", NULL},
		{"cache", 0, 0, G_OPTION_ARG_FILENAME, &opt_cache,
				"The cache that knows the packages' files", "DIR"},
		{0},
};

typedef struct {
	AshLint *lint;
	GPtrArray *allowances;  /* or NULL */
	GPtrArray *packages;    /* AshLintSize, or NULL */
	GPtrArray *directories; /* AshLintSize */
	GPtrArray *grown;       /* AshLintSize, packages or directories; or NULL */
	unsigned unknown;       /* packages that the cache lacks */
	unsigned severe;
} Report;

static void report_clear(Report *report)
{
	g_clear_pointer(&report->lint, ash_lint_free);
	g_clear_pointer(&report->allowances, g_ptr_array_unref);
	g_clear_pointer(&report->packages, g_ptr_array_unref);
	g_clear_pointer(&report->directories, g_ptr_array_unref);
	g_clear_pointer(&report->grown, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Report, report_clear)

static const char *severity_name(const AshLintFinding *finding)
{
	return finding->severity == ASH_LINT_SEVERE ? "error" : "warning";
}

/* ---- text ---------------------------------------------------------------------------------------- */

static void print_findings(const Report *report)
{
	const GPtrArray *findings = report->lint->findings;

	for (guint i = 0; i < findings->len; i++) {
		const AshLintFinding *finding = findings->pdata[i];
		printf("%s: %s: %s [%s]\n", severity_name(finding), finding->path, finding->text,
				finding->rule);
	}
	for (guint i = 0; report->allowances != NULL && i < report->allowances->len; i++) {
		const AshLintAllowance *allowance = report->allowances->pdata[i];
		if (!allowance->is_used)
			printf("note: %s:%u: '%s %s' allows nothing any more\n", opt_allow,
					allowance->line, allowance->rule, allowance->glob);
	}
	printf("%u errors, %u warnings\n", report->severe, findings->len - report->severe);
}

static void print_sizes(const char *title, const GPtrArray *sizes)
{
	guint shown = opt_sizes ? sizes->len : MIN(sizes->len, SHOWN_SIZES);
	uint64_t all = 0, rest = 0;

	for (guint i = 0; i < sizes->len; i++) {
		const AshLintSize *size = sizes->pdata[i];
		all += size->bytes;
		rest += i >= shown ? size->bytes : 0;
	}
	g_autofree char *total = ash_text_size(all);
	printf("\n%s: %s\n", title, total);
	for (guint i = 0; i < shown; i++) {
		const AshLintSize *size = sizes->pdata[i];
		g_autofree char *text = ash_text_size(size->bytes);
		if (size->bytes > 0)
			printf("  %9s  %5.1f %%  %s\n", text,
					100 * (double) size->bytes / (double) all, size->name);
	}
	g_autofree char *others = ash_text_size(rest);
	if (rest > 0)
		printf("  %9s  %5.1f %%  %u more; --sizes prints them all\n", others,
				100 * (double) rest / (double) all, sizes->len - shown);
}

static void print_grown(const GPtrArray *grown)
{
	bool is_any = false;

	printf("\nGrown or shrunk since %s:\n", opt_against);
	for (guint i = 0; i < grown->len; i++) {
		const AshLintSize *size = grown->pdata[i];
		bool is_larger = size->bytes > size->old_bytes;
		g_autofree char *text = ash_text_size(is_larger ? size->bytes - size->old_bytes
								: size->old_bytes - size->bytes);
		if (size->bytes == size->old_bytes)
			continue;
		printf("  %c%9s  %s\n", is_larger ? '+' : '-', text, size->name);
		is_any = true;
	}
	if (!is_any)
		printf("  nothing\n");
}

static void print_text(const Report *report)
{
	print_findings(report);
	if (report->packages != NULL)
		print_sizes("Bytes by package", report->packages);
	if (report->unknown > 0)
		printf("  (of %u packages the cache has no list of files)\n", report->unknown);
	print_sizes("Bytes by directory", report->directories);
	if (report->grown != NULL)
		print_grown(report->grown);
}

/* ---- JSON ---------------------------------------------------------------------------------------- */

static void add_sizes(JsonBuilder *json, const char *key, const GPtrArray *sizes, bool with_old)
{
	if (sizes == NULL)
		return;
	ash_json_begin_array(json, key);
	for (guint i = 0; i < sizes->len; i++) {
		const AshLintSize *size = sizes->pdata[i];
		json_builder_begin_object(json);
		ash_json_add_text(json, "name", size->name);
		ash_json_add_uint(json, "bytes", size->bytes);
		ash_json_add_uint(json, "files", size->files);
		if (with_old)
			ash_json_add_uint(json, "old-bytes", size->old_bytes);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
}

static void print_json(const Report *report)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_begin_array(json, "findings");
	for (guint i = 0; i < report->lint->findings->len; i++) {
		const AshLintFinding *finding = report->lint->findings->pdata[i];
		json_builder_begin_object(json);
		ash_json_add_text(json, "rule", finding->rule);
		ash_json_add_text(json, "severity", severity_name(finding));
		ash_json_add_text(json, "path", finding->path);
		ash_json_add_text(json, "text", finding->text);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	ash_json_add_uint(json, "errors", report->severe);
	ash_json_add_uint(json, "warnings", report->lint->findings->len - report->severe);
	add_sizes(json, "packages", report->packages, false);
	add_sizes(json, "directories", report->directories, false);
	add_sizes(json, "grown", report->grown, true);
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, false);
	fputs(text, stdout);
}

/* ---- the verb ------------------------------------------------------------------------------------ */

static gboolean apply_allow(Report *report, GError **error)
{
	g_autoptr(GBytes) text = NULL;

	if (opt_allow == NULL)
		return TRUE;
	if (!ash_file_read(AT_FDCWD, opt_allow, ASH_LINT_MAX_ALLOW_BYTES, &text, error) ||
			!ash_lint_parse_allow(opt_allow, g_bytes_get_data(text, NULL),
					&report->allowances, error))
		return FALSE;
	ash_lint_allow(report->lint, report->allowances);
	return TRUE;
}

/* Without a cache nothing is known of the packages' files; that is no failure. */
static gboolean open_cache(AshRepo **out_cache, GError **error)
{
	g_autofree char *dir = opt_cache != NULL ? g_strdup(opt_cache) : ash_cache_dir_default();
	g_autofree char *path = g_build_filename(dir, "repo", NULL);

	if (opt_cache == NULL && !g_file_test(path, G_FILE_TEST_IS_DIR))
		return TRUE;
	return ash_repo_open(path, false, out_cache, error);
}

/* Adds to each size what the package of that name had in the older tree. */
static gboolean compare_packages(Report *report, AshRepo *cache, AshRepo *repo,
		const AshTree *old_tree, GError **error)
{
	g_autoptr(AshCommit) old = NULL;
	g_autoptr(GPtrArray) old_sizes = NULL;
	unsigned unknown = 0;

	if (!ash_commit_load(repo, opt_against, &old, error) ||
			!ash_lint_sizes_by_package(
					cache, old, old_tree, &old_sizes, &unknown, error))
		return FALSE;
	for (guint i = 0; i < old_sizes->len; i++) {
		AshLintSize *before = old_sizes->pdata[i], *now = NULL;
		for (guint j = 0; j < report->packages->len && now == NULL; j++) {
			AshLintSize *size = report->packages->pdata[j];
			now = strcmp(size->name, before->name) == 0 ? size : NULL;
		}
		if (now == NULL) {
			now = g_new0(AshLintSize, 1);
			now->name = g_strdup(before->name);
			g_ptr_array_add(report->packages, now);
		}
		now->old_bytes = before->bytes;
	}
	return TRUE;
}

static gboolean add_growth(
		Report *report, AshRepo *cache, AshRepo *repo, const AshTree *old, GError **error)
{
	if (report->packages == NULL) {
		report->grown = g_ptr_array_copy(report->directories, NULL, NULL);
		g_ptr_array_set_free_func(report->grown, NULL);
	} else {
		if (!compare_packages(report, cache, repo, old, error))
			return FALSE;
		report->grown = g_ptr_array_copy(report->packages, NULL, NULL);
		g_ptr_array_set_free_func(report->grown, NULL);
		for (guint i = 0; i < report->directories->len; i++)
			g_ptr_array_add(report->grown, report->directories->pdata[i]);
	}
	ash_lint_sort_by_growth(report->grown);
	return TRUE;
}

static gboolean measure(Report *report, AshRepo *repo, const AshCommit *commit, const AshTree *tree,
		GError **error)
{
	g_autoptr(AshRepo) cache = NULL;
	g_autoptr(AshTree) old = NULL;
	g_autofree char *old_commit = NULL;

	if (!open_cache(&cache, error))
		return FALSE;
	if (cache != NULL && commit->packages->len > 0 &&
			!ash_lint_sizes_by_package(cache, commit, tree, &report->packages,
					&report->unknown, error))
		return FALSE;
	if (opt_against != NULL &&
			(!ash_repo_resolve(repo, opt_against, &old_commit, error) ||
					!ash_repo_load_tree(repo, old_commit, &old, error)))
		return FALSE;
	report->directories = ash_lint_sizes_by_directory(tree, old);
	return old == NULL || add_growth(report, cache, repo, old, error);
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(AshRepo) repo = NULL;
	g_autoptr(AshCommit) commit = NULL;
	g_autoptr(AshTree) tree = NULL;
	g_auto(Report) report = {0};

	if (!ash_repo_open(opt_repo != NULL ? opt_repo : "out/repo", false, &repo, error) ||
			!ash_commit_load(repo, args[0], &commit, error) ||
			!ash_repo_load_tree(repo, commit->commit, &tree, error) ||
			!ash_lint_run(repo, tree, &report.lint, error) ||
			!apply_allow(&report, error) ||
			!measure(&report, repo, commit, tree, error))
		return FALSE;
	for (guint i = 0; i < report.lint->findings->len; i++)
		report.severe += ((AshLintFinding *) report.lint->findings->pdata[i])->severity ==
				 ASH_LINT_SEVERE;
	if (context->json)
		print_json(&report);
	else
		print_text(&report);
	if (report.severe > 0)
		*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

const AshCliCommand ash_cmd_lint = {
		.name = "lint",
		.synopsis = "REV",
		.summary = "Finds what is wrong in a commit, and where its bytes are",
		.details = "REV is a ref, a commit checksum or its beginning. Every finding has a rule, a "
			   "path and a sentence that says what to do; the rules are in ashlar(1).\n\n"
			   "Ends with 8 when there is an error; warnings alone are no failure.",
		.options = options,
		.min_args = 1,
		.max_args = 1,
		.run = run,
};
