/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/fetch.h"
#include "lib/file.h"
#include "lib/tuf.h"

/* ashlar-tuf: lib/tuf.h over HTTP, by hand, and as public conformance suites call a client. The agent
 * itself does not use it. Exit code 0 or 1.
 */

enum {
	MAX_TARGET_BYTES = 256 << 20, /* a target is held in memory */
};

static char *opt_metadata_dir;
static char *opt_metadata_url;
static char *opt_target_dir;
static char *opt_target_url;
static char **opt_targets;
static gboolean opt_version;
static char **opt_rest;

static const GOptionEntry entries[] = {
		{"metadata-dir", 0, 0, G_OPTION_ARG_FILENAME, &opt_metadata_dir,
				"Where trusted metadata is kept", "DIR"},
		{"metadata-url", 0, 0, G_OPTION_ARG_STRING, &opt_metadata_url,
				"Where the repository has its metadata", "URL"},
		{"target-name", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_targets,
				"A target to download; may be repeated", "PATH"},
		{"target-base-url", 0, 0, G_OPTION_ARG_STRING, &opt_target_url,
				"Where the repository has its targets", "URL"},
		{"target-dir", 0, 0, G_OPTION_ARG_FILENAME, &opt_target_dir,
				"Where targets are put", "DIR"},
		{"version", 0, 0, G_OPTION_ARG_NONE, &opt_version, "Print the version", NULL},
		{G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_rest, NULL, NULL},
		{0},
};

static gboolean need(const char *value, const char *option, GError **error)
{
	return value != NULL ||
	       ash_throw(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--%s is needed", option);
}

static char *join_url(const char *base, const char *name)
{
	return g_strconcat(base, g_str_has_suffix(base, "/") ? "" : "/", name, NULL);
}

/* AshTufFetch */
static gboolean fetch_metadata(const char *name, size_t max_bytes, gpointer data,
		GBytes **out_bytes, GError **error)
{
	g_autofree char *url = join_url(data, name);
	g_autoptr(GError) cause = NULL;

	if (ash_fetch_bytes(url, max_bytes, out_bytes, &cause))
		return TRUE;
	if (g_error_matches(cause, ASH_FETCH_ERROR, ASH_FETCH_ERROR_GONE))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_FETCH_NOT_FOUND, "%s",
				cause->message);
	if (g_error_matches(cause, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TOO_BIG))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_TOO_BIG, "%s", cause->message);
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

static gboolean run_init(GError **error)
{
	g_autoptr(GBytes) root = NULL;

	if (opt_rest[1] == NULL || opt_rest[2] != NULL)
		return ash_throw(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
				"'init' needs one file");
	return ash_file_read(AT_FDCWD, opt_rest[1], ASH_TUF_MAX_ROOT_BYTES, &root, error) &&
	       ash_tuf_init(opt_metadata_dir, root, error);
}

static gboolean open_and_refresh(AshTuf **out_tuf, GError **error)
{
	g_autoptr(AshTuf) tuf = NULL;

	if (!need(opt_metadata_url, "metadata-url", error) ||
			!ash_tuf_open(opt_metadata_dir, g_get_real_time() / G_USEC_PER_SEC, &tuf,
					error) ||
			!ash_tuf_refresh(tuf, fetch_metadata, opt_metadata_url, error))
		return FALSE;
	*out_tuf = g_steal_pointer(&tuf);
	return TRUE;
}

static gboolean run_refresh(GError **error)
{
	g_autoptr(AshTuf) tuf = NULL;

	if (opt_rest[1] != NULL)
		return ash_throw(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
				"'refresh' takes no argument");
	return open_and_refresh(&tuf, error);
}

/* The path, percent-encoded, so that all targets lie side by side. */
static char *target_file(const AshTufTarget *target)
{
	g_autofree char *name = g_uri_escape_string(target->path, NULL, FALSE);

	return g_build_filename(opt_target_dir, name, NULL);
}

static gboolean download(AshTuf *tuf, const char *path, GError **error)
{
	g_autoptr(AshTufTarget) target = NULL;
	g_autoptr(GBytes) bytes = NULL;
	gsize size = 0;

	if (!ash_tuf_find_target(tuf, path, fetch_metadata, opt_metadata_url, &target, error))
		return FALSE;
	g_autofree char *dest = target_file(target);
	if (target->bytes > MAX_TARGET_BYTES)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_TOO_BIG,
				"target '%s': larger than %d bytes", path, MAX_TARGET_BYTES);
	if (ash_file_read(AT_FDCWD, dest, target->bytes, &bytes, NULL) &&
			ash_tuf_target_verify(target, bytes, NULL))
		return TRUE;
	g_clear_pointer(&bytes, g_bytes_unref);
	g_autofree char *location = ash_tuf_target_location(target);
	g_autofree char *escaped = g_uri_escape_string(location, "/", FALSE);
	g_autofree char *url = join_url(opt_target_url, escaped);
	if (!ash_fetch_bytes(url, target->bytes, &bytes, error) ||
			!ash_tuf_target_verify(target, bytes, error))
		return FALSE;
	const void *data = g_bytes_get_data(bytes, &size);
	return ash_file_replace(AT_FDCWD, dest, data, size, 0644, error);
}

static gboolean run_download(GError **error)
{
	g_autoptr(AshTuf) tuf = NULL;

	if (opt_rest[1] != NULL)
		return ash_throw(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
				"'download' takes no argument");
	if (!need(opt_target_dir, "target-dir", error) ||
			!need(opt_target_url, "target-base-url", error))
		return FALSE;
	if (opt_targets == NULL)
		return need(NULL, "target-name", error);
	if (!open_and_refresh(&tuf, error))
		return FALSE;
	for (char **path = opt_targets; *path != NULL; path++)
		if (!download(tuf, *path, error))
			return FALSE;
	return TRUE;
}

static gboolean run(GError **error)
{
	static const struct {
		const char *name;
		gboolean (*run)(GError **error);
	} verbs[] = {
			{"init", run_init},
			{"refresh", run_refresh},
			{"download", run_download},
	};

	if (opt_rest == NULL)
		return ash_throw(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
				"nothing to do; see 'ashlar-tuf --help'");
	if (!need(opt_metadata_dir, "metadata-dir", error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
		if (strcmp(verbs[i].name, opt_rest[0]) == 0)
			return verbs[i].run(error);
	return ash_throw(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
			"unknown command '%s'; see 'ashlar-tuf --help'", opt_rest[0]);
}

int main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new("init ROOT | refresh | download");
	g_autoptr(GError) error = NULL;

	/* Names of targets are UTF-8, whatever the locale. */
	setlocale(LC_CTYPE, "C.UTF-8");
	g_option_context_set_summary(context,
			"Verifies a repository's metadata as The Update Framework says, and downloads\n"
			"targets.");
	g_option_context_add_main_entries(context, entries, NULL);
	if (g_option_context_parse(context, &argc, &argv, &error) && opt_version) {
		puts("ashlar-tuf " ASH_VERSION);
		return 0;
	}
	if (error == NULL && run(&error))
		return 0;
	fprintf(stderr, "ashlar-tuf: %s [%s]\n", error->message, ash_tuf_error_word(error));
	return 1;
}
