/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "builder/cmd.h"
#include "builder/publish-workload.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/text.h"
#include "lib/workload-report.h"
#include "lib/workload-target.h"

static char **opt_keys;
static char *opt_publication;
static char *opt_repo;
static gboolean opt_pin;

static const GOptionEntry options[] = {
		{"keys", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_keys,
				"release: the directory of keys that 'ashlar key' made", "DIR"},
		{"publication", 0, 0, G_OPTION_ARG_FILENAME, &opt_publication,
				"release: what hosts update from (default: out/publication)",
				"DIR"},
		{"repo", 0, 0, G_OPTION_ARG_FILENAME, &opt_repo,
				"release: the OSTree repository of images (default: out/repo)",
				"DIR"},
		{"pin", 0, 0, G_OPTION_ARG_NONE, &opt_pin,
				"release: an image 'ostree:REF' is what it is in the repository now",
				NULL},
		{0},
};

static gboolean load(const char *path, AshWorkload **out_workload, GError **error)
{
	g_autoptr(GBytes) text = NULL;

	return ash_file_read(AT_FDCWD, path, ASH_WORKLOAD_MAX_BYTES, &text, error) &&
	       ash_workload_parse(path, text, out_workload, error);
}

static AshWorkloadReport *report_of(const AshWorkload *workload)
{
	return ash_workload_report(workload, workload->isolation);
}

static void print(JsonBuilder *json)
{
	g_autofree char *text = ash_json_format(json, false);

	fputs(text, stdout);
}

/* In tenths, as people read it. */
static void print_score(const AshWorkloadReport *report)
{
	printf("exposure %u.%u of 10 (%s)", report->score / 10, report->score % 10, report->words);
}

/* ---- lint ---------------------------------------------------------------------------------------- */

static void add_lint(JsonBuilder *json, const char *path, const AshWorkload *workload,
		const GError *error)
{
	json_builder_begin_object(json);
	ash_json_add_text(json, "file", path);
	ash_json_add_bool(json, "valid", workload != NULL);
	if (workload != NULL) {
		ash_json_add_text(json, "workload", workload->name);
		ash_json_add_text(json, "version", workload->version);
		ash_json_add_bool(json, "pinned", ash_workload_is_pinned(workload));
	} else {
		ash_json_add_text(json, "error", error->message);
	}
	json_builder_end_object(json);
}

static gboolean lint(AshCliContext *context, char **paths, int *out_exit, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_array(json);
	for (char **path = paths; *path != NULL; path++) {
		g_autoptr(AshWorkload) workload = NULL;
		g_autoptr(GError) local = NULL;
		if (!load(*path, &workload, &local)) {
			ash_progress_error(context->progress, "ashlar", local, ASH_EXIT_INPUT);
			*out_exit = ASH_EXIT_INPUT;
		} else if (!context->json) {
			g_autoptr(AshWorkloadReport) report = report_of(workload);
			printf("%s: %s %s, ", *path, workload->name, workload->version);
			print_score(report);
			printf("%s\n", ash_workload_is_pinned(workload)
							? ""
							: "; its image is not pinned");
		}
		add_lint(json, *path, workload, local);
	}
	json_builder_end_array(json);
	if (context->json)
		print(json);
	return TRUE;
}

/* ---- report -------------------------------------------------------------------------------------- */

static void add_grant(JsonBuilder *json, const AshGrant *grant)
{
	json_builder_begin_object(json);
	ash_json_add_text(json, "kind", ash_grant_kind_name(grant->kind));
	ash_json_add_text(json, "name", grant->name);
	ash_json_add_text(json, "text", grant->text);
	ash_json_add_uint(json, "points", grant->points);
	json_builder_end_object(json);
}

static void print_report_json(const AshWorkload *workload, const AshWorkloadReport *report)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_text(json, "workload", workload->name);
	ash_json_add_text(json, "version", workload->version);
	ash_json_add_uint(json, "score", report->score);
	ash_json_add_text(json, "words", report->words);
	ash_json_begin_array(json, "grants");
	for (guint i = 0; i < report->grants->len; i++)
		add_grant(json, report->grants->pdata[i]);
	json_builder_end_array(json);
	json_builder_end_object(json);
	print(json);
}

static gboolean show_report(AshCliContext *context, const char *path, GError **error)
{
	g_autoptr(AshWorkload) workload = NULL;

	if (!load(path, &workload, error))
		return FALSE;
	g_autoptr(AshWorkloadReport) report = report_of(workload);
	if (context->json) {
		print_report_json(workload, report);
		return TRUE;
	}
	printf("%s %s: ", workload->name, workload->version);
	print_score(report);
	printf("\n");
	for (guint i = 0; i < report->grants->len; i++) {
		const AshGrant *grant = report->grants->pdata[i];
		g_autofree char *points =
				grant->points > 0 ? g_strdup_printf("%u.%u", grant->points / 10,
								    grant->points % 10)
						  : g_strdup("");
		printf("  %4s  %-12s %s\n", points, ash_grant_kind_name(grant->kind), grant->text);
	}
	return TRUE;
}

/* ---- diff ---------------------------------------------------------------------------------------- */

static void print_change(const AshGrantChange *change)
{
	/* One of both is there. */
	const AshGrant *grant = change->to != NULL ? change->to : change->from;
	g_assert(grant != NULL);
	const char *sign = change->from == NULL ? "+" : change->to == NULL ? "-" : "~";

	printf("%s %-12s %s", sign, ash_grant_kind_name(grant->kind), grant->text);
	if (change->from != NULL && change->to != NULL)
		printf(" (was: %s)", change->from->text);
	printf("%s\n", change->is_wider ? "  << wider" : "");
}

static void print_diff_json(const GPtrArray *changes, const AshWorkloadReport *from,
		const AshWorkloadReport *to, bool is_wider)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_bool(json, "wider", is_wider);
	ash_json_add_uint(json, "score-from", from->score);
	ash_json_add_uint(json, "score-to", to->score);
	ash_json_begin_array(json, "changes");
	for (guint i = 0; i < changes->len; i++) {
		const AshGrantChange *change = changes->pdata[i];
		json_builder_begin_object(json);
		if (change->from != NULL) {
			json_builder_set_member_name(json, "from");
			add_grant(json, change->from);
		}
		if (change->to != NULL) {
			json_builder_set_member_name(json, "to");
			add_grant(json, change->to);
		}
		ash_json_add_bool(json, "wider", change->is_wider);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	json_builder_end_object(json);
	print(json);
}

static gboolean diff(AshCliContext *context, char **paths, int *out_exit, GError **error)
{
	g_autoptr(AshWorkload) old = NULL;
	g_autoptr(AshWorkload) new = NULL;
	bool is_wider = false;

	if (!load(paths[0], &old, error) || !load(paths[1], &new, error))
		return FALSE;
	g_autoptr(AshWorkloadReport) from = report_of(old);
	g_autoptr(AshWorkloadReport) to = report_of(new);
	g_autoptr(GPtrArray) changes = ash_workload_report_diff(from, to, &is_wider);
	if (context->json) {
		print_diff_json(changes, from, to, is_wider);
	} else {
		for (guint i = 0; i < changes->len; i++)
			print_change(changes->pdata[i]);
		printf("%s %s: ", new->name, new->version);
		print_score(to);
		printf("; %s %s: ", old->name, old->version);
		print_score(from);
		printf("\n");
	}
	if (is_wider)
		*out_exit = ASH_EXIT_NEGATIVE;
	return TRUE;
}

/* ---- release ------------------------------------------------------------------------------------- */

static void print_release(const AshCliContext *context, const AshWorkload *workload, bool is_known,
		const char *widens, const char *publication)
{
	g_autofree char *path = ash_workload_target_path(workload->name, workload->version);
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!context->json) {
		printf("%s %s\n", path, workload->image.text);
		if (is_known)
			printf("It is published already.\n");
		else
			printf("Publish it with:  ashlar publish --keys DIR %s\n", publication);
		return;
	}
	json_builder_begin_object(json);
	ash_json_add_text(json, "path", path);
	ash_json_add_text(json, "version", workload->version);
	ash_json_add_text(json, "image", workload->image.text);
	ash_json_add_bool(json, "published", is_known);
	ash_json_add_bool(json, "wider", widens != NULL);
	ash_json_add_text(json, "wider-than", widens);
	json_builder_end_object(json);
	print(json);
}

static gboolean release(AshCliContext *context, const char *path, GError **error)
{
	const char *dir = opt_publication != NULL ? opt_publication : "out/publication";
	const char *repo_dir = opt_repo != NULL ? opt_repo : "out/repo";
	const AshWorkloadReleaseOptions how = {.wants_pin = opt_pin};
	g_autoptr(AshKeys) keys = NULL;
	g_autoptr(AshRepo) repo = NULL;
	g_autoptr(AshPublication) publication = NULL;
	g_autoptr(AshWorkload) workload = NULL;
	g_autofree char *widens = NULL;
	bool is_known = false;

	/* Images of registries need no repository. */
	if ((opt_repo != NULL || g_file_test(repo_dir, G_FILE_TEST_IS_DIR)) &&
			!ash_repo_open(repo_dir, false, &repo, error))
		return FALSE;
	if (!ash_cmd_open_keys(opt_keys, NULL, &keys, error) ||
			!ash_publication_open(dir, keys, &publication, error) ||
			!ash_publish_workload_release(publication, repo, path, &how,
					context->progress, &workload, &is_known, &widens, error))
		return FALSE;
	if (widens != NULL)
		ash_progress_warn(context->progress,
				"%s %s may touch more than %s, which is published; 'ashlar workload "
				"diff' says what",
				workload->name, workload->version, widens);
	print_release(context, workload, is_known, widens, dir);
	return TRUE;
}

/* ---- verb ---------------------------------------------------------------------------------------- */

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	guint n = g_strv_length(args) - 1;

	if (strcmp(args[0], "lint") == 0 && n >= 1)
		return lint(context, args + 1, out_exit, error);
	if (strcmp(args[0], "report") == 0 && n == 1)
		return show_report(context, args[1], error);
	if (strcmp(args[0], "diff") == 0 && n == 2)
		return diff(context, args + 1, out_exit, error);
	if (strcmp(args[0], "release") == 0 && n == 1)
		return release(context, args[1], error);
	static const char *const verbs[] = {"lint", "report", "diff", "release", NULL};
	g_autofree char *hint = ash_text_suggestion(args[0], verbs);
	if (g_strv_contains(verbs, args[0]))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"too many or too few arguments for '%s': there are 'lint FILE…', 'report FILE', 'diff OLD NEW' and 'release FILE'",
				args[0]);
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
			"'ashlar workload' has no command '%s'%s; there are 'lint FILE…', 'report FILE', 'diff OLD NEW' and 'release FILE'",
			args[0], hint);
}

const AshCliCommand ash_cmd_workload = {
		.name = "workload",
		.synopsis = "lint|report|diff|release FILE…",
		.summary = "Judge definitions of workloads, and make releases of them.",
		.details = "lint: is each FILE a definition (workload(5)), and what is wrong?\n\n"
			   "report: all that it may touch, and one score from 0 to 10.\n\n"
			   "diff OLD NEW: what it may touch more and less. Exits with 8 when NEW may touch "
			   "anything that OLD may not.\n\n"
			   "release: an image of ours goes into the publication, the definition waits for "
			   "'ashlar publish'. Its image has to be pinned.",
		.options = options,
		.min_args = 2,
		.max_args = -1,
		.run = run,
};
