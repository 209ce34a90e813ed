/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "builder/cmd.h"
#include "builder/lifetime.h"
#include "builder/publish.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"
#include "lib/workload-target.h"
#include "lib/workload.h"

enum {
	TARGETS_DAYS = 90,
	SNAPSHOT_DAYS = 14,
	TIMESTAMP_DAYS = 7,
	DEFAULT_KEEP = 10,
};

static char **opt_keys;
static char *opt_passphrase_file;
static char **opt_from;
static gboolean opt_no_deltas;
static gboolean opt_prune;
static int opt_keep = DEFAULT_KEEP;
static char *opt_targets_expiry;
static char *opt_snapshot_expiry;
static char *opt_timestamp_expiry;

static const GOptionEntry options[] = {
		{"keys", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_keys,
				"The directory of keys; may be repeated", "DIR"},
		{"passphrase-file", 0, 0, G_OPTION_ARG_FILENAME, &opt_passphrase_file,
				"The passphrase is the first line of FILE", "FILE"},
		{"from", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_from,
				"Make deltas from V, a version or commit; may be repeated (the last "
				"three releases)",
				"V"},
		{"no-deltas", 0, 0, G_OPTION_ARG_NONE, &opt_no_deltas, "Make no deltas", NULL},
		{"targets-expiry", 0, 0, G_OPTION_ARG_STRING, &opt_targets_expiry,
				"How long the list of releases counts (90d)", "TIME"},
		{"snapshot-expiry", 0, 0, G_OPTION_ARG_STRING, &opt_snapshot_expiry,
				"How long the snapshot counts (14d)", "TIME"},
		{"timestamp-expiry", 0, 0, G_OPTION_ARG_STRING, &opt_timestamp_expiry,
				"How long the timestamp counts (7d)", "TIME"},
		{"prune", 0, 0, G_OPTION_ARG_NONE, &opt_prune,
				"Then remove what no metadata names any more", NULL},
		{"keep", 0, 0, G_OPTION_ARG_INT, &opt_keep,
				"With --prune: keep the last N states (10)", "N"},
		{0},
};

gboolean ash_cmd_open_keys(
		char **dirs, const char *passphrase_file, AshKeys **out_keys, GError **error)
{
	if (dirs == NULL)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--keys DIR is missing (make keys with 'ashlar key make DIR')");
	return ash_keys_open((const char *const *) dirs, passphrase_file, false, out_keys, error);
}

gboolean ash_cmd_parse_lifetimes(const char *targets, const char *snapshot, const char *timestamp,
		AshPublicationLifetimes *out_lifetimes, GError **error)
{
	return ash_lifetime_parse(targets, "targets-expiry", TARGETS_DAYS * ASH_LIFETIME_DAY_S,
			       &out_lifetimes->targets_s, error) &&
	       ash_lifetime_parse(snapshot, "snapshot-expiry", SNAPSHOT_DAYS * ASH_LIFETIME_DAY_S,
			       &out_lifetimes->snapshot_s, error) &&
	       ash_lifetime_parse(timestamp, "timestamp-expiry",
			       TIMESTAMP_DAYS * ASH_LIFETIME_DAY_S, &out_lifetimes->timestamp_s,
			       error);
}

static void print_text(const AshPublication *publication, const GPtrArray *releases,
		const GPtrArray *workloads)
{
	for (guint i = 0; i < releases->len; i++) {
		const AshRelease *release = releases->pdata[i];
		g_autofree char *path = ash_release_path(
				release->name, release->variant, release->arch, release->version);
		printf("%s %s, %u deltas\n", path, release->commit, release->deltas->len);
	}
	for (guint i = 0; i < workloads->len; i++) {
		const AshWorkload *workload = workloads->pdata[i];
		g_autofree char *path = ash_workload_target_path(workload->name, workload->version);
		printf("%s %s\n", path, workload->image.text);
	}
	if (releases->len + workloads->len == 0)
		printf("Nothing new; the metadata is renewed.\n");
	printf("%s: timestamp %" G_GUINT64_FORMAT ", %u documents\n", publication->dir,
			publication->published.timestamp,
			publication->targets->len + publication->workloads->len);
}

static void print_json(const AshPublication *publication, const GPtrArray *releases,
		const GPtrArray *workloads, uint64_t pruned)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_begin_array(json, "releases");
	for (guint i = 0; i < releases->len; i++) {
		const AshRelease *release = releases->pdata[i];
		g_autofree char *path = ash_release_path(
				release->name, release->variant, release->arch, release->version);
		json_builder_begin_object(json);
		ash_json_add_text(json, "path", path);
		ash_json_add_text(json, "version", release->version);
		ash_json_add_text(json, "commit", release->commit);
		ash_json_begin_array(json, "deltas");
		for (guint d = 0; d < release->deltas->len; d++) {
			const AshTargetDelta *delta = release->deltas->pdata[d];
			json_builder_begin_object(json);
			ash_json_add_text(json, "from", delta->from);
			ash_json_add_text(json, "path", delta->path);
			ash_json_add_uint(json, "bytes", delta->bytes);
			ash_json_add_uint(json, "object-bytes", delta->object_bytes);
			json_builder_end_object(json);
		}
		json_builder_end_array(json);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	ash_json_begin_array(json, "workloads");
	for (guint i = 0; i < workloads->len; i++) {
		const AshWorkload *workload = workloads->pdata[i];
		g_autofree char *path = ash_workload_target_path(workload->name, workload->version);
		json_builder_begin_object(json);
		ash_json_add_text(json, "path", path);
		ash_json_add_text(json, "version", workload->version);
		ash_json_add_text(json, "image", workload->image.text);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	ash_json_add_uint(json, "timestamp", publication->published.timestamp);
	ash_json_add_uint(json, "snapshot", publication->published.snapshot);
	ash_json_add_uint(json, "targets", publication->published.targets);
	ash_json_add_uint(json, "root", publication->roots);
	ash_json_add_uint(json, "pruned-bytes", pruned);
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, false);
	fputs(text, stdout);
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	const char *dir = args[0] != NULL ? args[0] : "out/publication";
	AshPublishOptions publish_options = {
			.from = (const char *const *) opt_from,
			.no_deltas = opt_no_deltas,
	};
	g_autoptr(AshKeys) keys = NULL;
	g_autoptr(AshPublication) publication = NULL;
	g_autoptr(GPtrArray) releases = NULL;
	g_autoptr(GPtrArray) workloads = NULL;
	uint64_t pruned = 0;

	if (opt_keep < 1)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--keep takes a number from 1 on");
	if (!ash_cmd_parse_lifetimes(opt_targets_expiry, opt_snapshot_expiry, opt_timestamp_expiry,
			    &publish_options.lifetimes, error) ||
			!ash_cmd_open_keys(opt_keys, opt_passphrase_file, &keys, error) ||
			!ash_publication_check_dir(dir, error) ||
			!ash_publication_open(dir, keys, &publication, error) ||
			!ash_publish(publication, &publish_options, context->progress, &releases,
					&workloads, error) ||
			(opt_prune && !ash_publication_prune(publication, (unsigned) opt_keep,
						      &pruned, error)))
		return FALSE;
	if (context->json)
		print_json(publication, releases, workloads, pruned);
	else
		print_text(publication, releases, workloads);
	if (opt_prune) {
		g_autofree char *text = ash_text_size(pruned);
		ash_progress_note(context->progress, "pruned %s", text);
	}
	return TRUE;
}

const AshCliCommand ash_cmd_publish = {
		.name = "publish",
		.synopsis = "[DIR]",
		.summary = "Publish releases and workloads for hosts to update from.",
		.details = "DIR (default: out/publication) is served by any web server.\n\n"
			   "Without a new release it renews snapshot and timestamp, with their keys only: "
			   "run it daily. When it was interrupted, run it again.",
		.options = options,
		.min_args = 0,
		.max_args = 1,
		.run = run,
};
