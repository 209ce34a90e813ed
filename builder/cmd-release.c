/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "builder/cmd.h"
#include "builder/publish.h"
#include "builder/repo.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/text.h"

static char **opt_keys;
static char *opt_publication;
static char *opt_repo;
static char *opt_version;
static char *opt_replaces_min;
static char *opt_notes;
static char *opt_notes_file;

static const GOptionEntry options[] = {
		{"keys", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_keys,
				"The directory of keys that 'ashlar key' made", "DIR"},
		{"publication", 0, 0, G_OPTION_ARG_FILENAME, &opt_publication,
				"What hosts update from (default: out/publication)", "DIR"},
		{"repo", 0, 0, G_OPTION_ARG_FILENAME, &opt_repo,
				"The OSTree repository (default: out/repo)", "DIR"},
		{"version", 0, 0, G_OPTION_ARG_STRING, &opt_version,
				"Call it V (default: the manifest's version)", "V"},
		{"replaces-min", 0, 0, G_OPTION_ARG_STRING, &opt_replaces_min,
				"Only hosts that run V or later may take it", "V"},
		{"notes", 0, 0, G_OPTION_ARG_STRING, &opt_notes, "What changed, for people",
				"TEXT"},
		{"notes-file", 0, 0, G_OPTION_ARG_FILENAME, &opt_notes_file, "The same from FILE",
				"FILE"},
		{0},
};

static gboolean read_notes(char **out_notes, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	if (opt_notes != NULL && opt_notes_file != NULL)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--notes and --notes-file exclude each other");
	if (opt_notes_file != NULL && !ash_file_read(AT_FDCWD, opt_notes_file,
						      ASH_TARGET_MAX_NOTES_BYTES, &bytes, error))
		return FALSE;
	const char *notes = bytes != NULL       ? g_bytes_get_data(bytes, NULL)
			    : opt_notes != NULL ? opt_notes
						: "";
	if (strlen(notes) > ASH_TARGET_MAX_NOTES_BYTES || !g_utf8_validate(notes, -1, NULL))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"notes are text of at most %d bytes", ASH_TARGET_MAX_NOTES_BYTES);
	*out_notes = g_strdup(notes);
	return TRUE;
}

static void print_text(const AshRelease *release, const char *publication, bool is_known)
{
	g_autofree char *bytes = ash_text_size(release->bytes);
	g_autofree char *wire = ash_text_size(release->archive_bytes);
	g_autofree char *path = ash_release_path(
			release->name, release->variant, release->arch, release->version);

	printf("%s %s\n", path, release->commit);
	if (is_known)
		printf("It is published already.\n");
	else
		printf("%s on a host, %s without deltas.\nPublish it with:  ashlar publish --keys DIR %s\n",
				bytes, wire, publication);
}

static void print_json(const AshRelease *release, bool is_known)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *path = ash_release_path(
			release->name, release->variant, release->arch, release->version);

	json_builder_begin_object(json);
	ash_json_add_text(json, "path", path);
	ash_json_add_text(json, "version", release->version);
	ash_json_add_text(json, "commit", release->commit);
	ash_json_add_bool(json, "published", is_known);
	if (!is_known) {
		ash_json_add_uint(json, "bytes", release->bytes);
		ash_json_add_uint(json, "inodes", release->inodes);
		ash_json_add_uint(json, "boot-bytes", release->boot_bytes);
		ash_json_add_uint(json, "archive-bytes", release->archive_bytes);
	}
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, false);
	fputs(text, stdout);
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	const char *dir = opt_publication != NULL ? opt_publication : "out/publication";
	g_autofree char *notes = NULL;
	g_autoptr(AshKeys) keys = NULL;
	g_autoptr(AshRepo) repo = NULL;
	g_autoptr(AshPublication) publication = NULL;
	g_autoptr(AshRelease) release = NULL;
	bool is_known = false;

	if (!read_notes(&notes, error) || !ash_cmd_open_keys(opt_keys, NULL, &keys, error) ||
			!ash_repo_open(opt_repo != NULL ? opt_repo : "out/repo", false, &repo,
					error) ||
			!ash_publication_open(dir, keys, &publication, error))
		return FALSE;
	const AshReleaseOptions release_options = {
			.version = opt_version,
			.replaces_min = opt_replaces_min,
			.notes = notes,
	};
	if (!ash_publish_release(publication, repo, args[0], &release_options, context->progress,
			    &release, &is_known, error))
		return FALSE;
	if (context->json)
		print_json(release, is_known);
	else
		print_text(release, dir, is_known);
	return TRUE;
}

const AshCliCommand ash_cmd_release = {
		.name = "release",
		.synopsis = "REV",
		.summary = "Make a release of a commit, to be published.",
		.details = "REV is a ref, a commit checksum or its beginning.\n\n"
			   "Copies the commit to the publication and writes down its version and sizes. "
			   "No host sees it before 'ashlar publish'.",
		.options = options,
		.min_args = 1,
		.max_args = 1,
		.run = run,
};
