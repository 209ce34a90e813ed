/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "builder/bundle.h"
#include "builder/cmd.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/text.h"

static char *opt_output;
static char *opt_from;
static gboolean opt_full;
static char *opt_name;
static char *opt_arch;
static char *opt_variant;
static char **opt_workloads;
static char **opt_images;

static const GOptionEntry options[] = {
		{"output", 'o', 0, G_OPTION_ARG_FILENAME, &opt_output, "Write the bundle to FILE",
				"FILE"},
		{"from", 0, 0, G_OPTION_ARG_STRING, &opt_from,
				"For hosts that run V: a delta, or the objects they lack", "V"},
		{"full", 0, 0, G_OPTION_ARG_NONE, &opt_full,
				"With --from: all objects too, for any other host", NULL},
		{"name", 0, 0, G_OPTION_ARG_STRING, &opt_name,
				"Of the host NAME, when there are several", "NAME"},
		{"arch", 0, 0, G_OPTION_ARG_STRING, &opt_arch, "For the architecture ARCH", "ARCH"},
		{"variant", 0, 0, G_OPTION_ARG_STRING, &opt_variant, "Of the variant NAME", "NAME"},
		{"workload", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_workloads,
				"Put the workload NAME into it, with its image; may be repeated",
				"NAME[=V]"},
		{"images", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_images,
				"Take images of registries from DIR; may be repeated", "DIR"},
		{0},
};

static void print(const AshCliContext *context, const AshBundleResult *result)
{
	g_autofree char *size = ash_text_size(result->bytes);
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!context->json) {
		printf("%s (%s: %u deltas, %" G_GUINT64_FORMAT " objects", opt_output, size,
				result->deltas, result->objects);
		if (result->workloads > 0)
			printf(", %u workloads", result->workloads);
		puts(")");
		return;
	}
	json_builder_begin_object(json);
	ash_json_add_text(json, "path", opt_output);
	ash_json_add_uint(json, "bytes", result->bytes);
	ash_json_add_uint(json, "deltas", result->deltas);
	ash_json_add_uint(json, "objects", result->objects);
	ash_json_add_uint(json, "workloads", result->workloads);
	ash_json_add_uint(json, "images", result->images);
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, false);
	fputs(text, stdout);
}

/* Which release a host with this metadata takes, NULL for none: it knows all that are published, and has
 * the content of this one only.
 */
static const char *choose(const AshPublication *publication, const AshPublicationHost *host)
{
	const AshTargetHost running = {host->name, host->variant, host->arch, opt_from, NULL};
	g_autoptr(GPtrArray) entries =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_target_entry_free);
	int index = -1;
	bool is_recall = false;

	for (guint i = 0; i < publication->targets->len; i++) {
		const AshPublicationTarget *target = publication->targets->pdata[i];
		AshTargetEntry *entry =
				ash_target_entry_new(&running, target->path, target->custom);
		if (entry == NULL)
			continue;
		/* Of no version in particular: one that it may replace. */
		if (opt_from == NULL && entry->replaces_min != NULL)
			*entry->replaces_min = '\0';
		g_ptr_array_add(entries, entry);
	}
	ash_target_choose(&running, entries, NULL, NULL, NULL, &index, &is_recall, NULL);
	return index < 0 ? NULL
			 : g_intern_string(((AshTargetEntry *) entries->pdata[index])->version);
}

static void warn_if_not_chosen(AshCliContext *context, const AshPublication *publication,
		const AshPublicationHost *host, const char *version)
{
	const char *chosen = choose(publication, host);

	if (g_strcmp0(chosen, version) == 0)
		return;
	ash_progress_warn(context->progress, "hosts%s%s will not take %s from it: %s%s%s",
			opt_from != NULL ? " that run " : "", opt_from != NULL ? opt_from : "",
			version, chosen != NULL ? "they choose " : "no release is newer",
			chosen != NULL ? chosen : "",
			chosen != NULL ? ", which is published too" : "");
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	const AshBundleOptions bundle_options = {
			.from = opt_from,
			.is_full = opt_full,
			.workloads = (const char *const *) opt_workloads,
			.images = (const char *const *) opt_images,
	};
	AshPublicationHost host = {opt_name, opt_variant, opt_arch};
	g_autoptr(AshPublication) publication = NULL;
	AshBundleResult result = {0};

	if (opt_output == NULL)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"where to? -o FILE is missing");
	if (args[1] == NULL && opt_workloads == NULL)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"what? A VERSION, or --workload, is missing");
	if (!ash_publication_open(args[0], NULL, &publication, error) ||
			(args[1] != NULL &&
					!ash_publication_find_host(publication, &host, error)) ||
			!ash_bundle_write(publication, &host, args[1], &bundle_options, opt_output,
					&result, error))
		return FALSE;
	if (args[1] != NULL)
		warn_if_not_chosen(context, publication, &host, args[1]);
	if (result.elsewhere > 0)
		ash_progress_warn(context->progress,
				"images of registries are not in it: %u of the workloads need them on the "
				"host (copy them, and give their directories with --images)",
				result.elsewhere);
	print(context, &result);
	return TRUE;
}

const AshCliCommand ash_cmd_bundle = {
		.name = "bundle",
		.synopsis = "DIR [VERSION]",
		.summary = "Put a published release, or workloads, into one file.",
		.details = "For hosts without a network: 'ashlarctl bundle FILE' takes it there. It needs no "
			   "keys, and hosts believe no more of it than of a server.",
		.options = options,
		.min_args = 1,
		.max_args = 2,
		.run = run,
};
