/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "builder/cmd.h"
#include "builder/commit.h"
#include "builder/repo.h"
#include "builder/sbom.h"
#include "lib/error.h"
#include "lib/file.h"

static char *opt_repo;
static char *opt_format;
static char *opt_output;

static const GOptionEntry options[] = {
		{"repo", 0, 0, G_OPTION_ARG_FILENAME, &opt_repo,
				"The OSTree repository (default: out/repo)", "DIR"},
		{"format", 'f', 0, G_OPTION_ARG_STRING, &opt_format,
				"spdx (2.3, the default) or cyclonedx (1.6)", "FORMAT"},
		{"output", 'o', 0, G_OPTION_ARG_FILENAME, &opt_output,
				"Write to FILE, not to standard output", "FILE"},
		{0},
};

static gboolean parse_format(AshSbomFormat *out_format, GError **error)
{
	if (opt_format == NULL || strcmp(opt_format, "spdx") == 0)
		*out_format = ASH_SBOM_SPDX;
	else if (strcmp(opt_format, "cyclonedx") == 0)
		*out_format = ASH_SBOM_CYCLONEDX;
	else
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"unknown format '%s'; there are spdx and cyclonedx", opt_format);
	return TRUE;
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	AshSbomFormat format = ASH_SBOM_SPDX;
	g_autoptr(AshRepo) repo = NULL;
	g_autoptr(AshCommit) commit = NULL;

	if (!parse_format(&format, error) ||
			!ash_repo_open(opt_repo != NULL ? opt_repo : "out/repo", false, &repo,
					error) ||
			!ash_commit_load(repo, args[0], &commit, error))
		return FALSE;
	if (commit->packages->len == 0)
		ash_progress_warn(context->progress,
				"the commit has no list of packages; was it made by 'ashlar build'?");
	g_autofree char *text = ash_sbom_format(commit, format);
	if (opt_output != NULL)
		return ash_file_replace(AT_FDCWD, opt_output, text, strlen(text), 0644, error);
	fputs(text, stdout);
	return TRUE;
}

const AshCliCommand ash_cmd_sbom = {
		.name = "sbom",
		.synopsis = "REV",
		.summary = "Print a bill of materials of a commit.",
		.details = "REV is a ref, a commit checksum or its beginning. One commit has one document, "
			   "byte for byte: its time and identifier come from the commit.",
		.options = options,
		.min_args = 1,
		.max_args = 1,
		.run = run,
};
