/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "builder/cmd.h"
#include "builder/publish.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/workload-target.h"

static char **opt_keys;
static char *opt_passphrase_file;
static char *opt_to;
static char *opt_reason;
static char *opt_name;
static char *opt_arch;
static char *opt_variant;
static char *opt_workload;

static const GOptionEntry options[] = {
		{"keys", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_keys,
				"The directory of keys; may be repeated", "DIR"},
		{"passphrase-file", 0, 0, G_OPTION_ARG_FILENAME, &opt_passphrase_file,
				"The passphrase is the first line of FILE", "FILE"},
		{"to", 0, 0, G_OPTION_ARG_STRING, &opt_to,
				"Hosts that run it go to release V, lower or not", "V"},
		{"reason", 0, 0, G_OPTION_ARG_STRING, &opt_reason, "Why, for people", "TEXT"},
		{"name", 0, 0, G_OPTION_ARG_STRING, &opt_name,
				"Of the host NAME, when there are several", "NAME"},
		{"arch", 0, 0, G_OPTION_ARG_STRING, &opt_arch, "For the architecture ARCH", "ARCH"},
		{"variant", 0, 0, G_OPTION_ARG_STRING, &opt_variant, "Of the variant NAME", "NAME"},
		{"workload", 0, 0, G_OPTION_ARG_STRING, &opt_workload,
				"Take VERSION of the workload NAME away instead", "NAME"},
		{0},
};

static void print(const AshCliContext *context, const AshPublicationHost *host, const char *version,
		const char *to)
{
	g_autofree char *path = ash_recall_path(host->name, host->variant, host->arch, version);
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!context->json) {
		printf("%s: hosts that run it %s%s\n", path,
				*to != '\0' ? "go to " : "stay; others do not take it any more",
				to);
		return;
	}
	json_builder_begin_object(json);
	ash_json_add_text(json, "path", path);
	ash_json_add_text(json, "version", version);
	ash_json_add_text(json, "to", to);
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, false);
	fputs(text, stdout);
}

static void print_workload(const AshCliContext *context, const char *version)
{
	g_autofree char *path = ash_workload_target_path(opt_workload, version);
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!context->json) {
		printf("%s: no host takes it any more\n", path);
		return;
	}
	json_builder_begin_object(json);
	ash_json_add_text(json, "path", path);
	ash_json_add_text(json, "version", version);
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, false);
	fputs(text, stdout);
}

static gboolean check_options(GError **error)
{
	if (opt_workload != NULL && (opt_to != NULL || opt_name != NULL || opt_arch != NULL ||
						    opt_variant != NULL || opt_reason != NULL))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--workload goes with --keys alone: its version is gone from what is "
				"signed, and nothing is said beside that");
	if (opt_workload == NULL &&
			(opt_reason == NULL || *g_strstrip(opt_reason) == '\0' ||
					strlen(opt_reason) > ASH_TARGET_MAX_NOTES_BYTES))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--reason TEXT is missing, empty or too long: the people who look after hosts "
				"want to know why");
	return TRUE;
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	const char *to = opt_to != NULL ? opt_to : "";
	AshPublicationLifetimes lifetimes = {0};
	AshPublicationHost host = {opt_name, opt_variant, opt_arch};
	g_autoptr(AshKeys) keys = NULL;
	g_autoptr(AshPublication) publication = NULL;

	if (!check_options(error) ||
			!ash_cmd_parse_lifetimes(NULL, NULL, NULL, &lifetimes, error) ||
			!ash_cmd_open_keys(opt_keys, opt_passphrase_file, &keys, error) ||
			!ash_publication_check_dir(args[0], error) ||
			!ash_publication_open(args[0], keys, &publication, error))
		return FALSE;
	if (opt_workload != NULL) {
		if (!ash_publish_recall_workload(publication, opt_workload, args[1], &lifetimes,
				    context->progress, error))
			return FALSE;
		print_workload(context, args[1]);
		return TRUE;
	}
	if (!ash_publication_find_host(publication, &host, error) ||
			!ash_publish_recall(publication, &host, args[1], to, opt_reason, &lifetimes,
					context->progress, error))
		return FALSE;
	print(context, &host, args[1], to);
	return TRUE;
}

const AshCliCommand ash_cmd_recall = {
		.name = "recall",
		.synopsis = "DIR VERSION",
		.summary = "Publish the order to leave a release.",
		.details = "No host takes VERSION any more. With --to, those that run it go to that "
			   "release, also downwards, which nothing else makes them do.\n\n"
			   "A version of a workload goes from what is signed, and never comes back.",
		.options = options,
		.min_args = 2,
		.max_args = 2,
		.run = run,
};
