/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builder/cmd.h"
#include "builder/image-spec.h"
#include "builder/image.h"
#include "builder/repo.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"

#define DEFAULT_SPEC "images/host.yaml"

static char *opt_repo;
static char *opt_spec;
static char **opt_formats;
static char *opt_output;

static const GOptionEntry options[] = {
		{"repo", 0, 0, G_OPTION_ARG_FILENAME, &opt_repo,
				"The OSTree repository (default: out/repo)", "DIR"},
		{"spec", 0, 0, G_OPTION_ARG_FILENAME, &opt_spec,
				"Partitions, sizes and formats (default: " DEFAULT_SPEC ")",
				"FILE"},
		{"format", 'f', 0, G_OPTION_ARG_STRING_ARRAY, &opt_formats,
				"raw, qcow2, vmdk, vdi, vhdx, tar or kernel; may be repeated", "F"},
		{"output", 'o', 0, G_OPTION_ARG_FILENAME, &opt_output,
				"Where the files go (default: out)", "DIR"},
		{0},
};

/* The caller's own, else the working tree's, else the one that was installed. */
static gboolean load_spec(AshImageSpec **out_spec, GError **error)
{
	bool exists = false;

	if (opt_spec != NULL)
		return ash_image_spec_load(opt_spec, out_spec, error);
	if (!ash_file_exists(AT_FDCWD, DEFAULT_SPEC, &exists, error))
		return FALSE;
	return ash_image_spec_load(
			exists ? DEFAULT_SPEC : ASH_DATADIR "/" DEFAULT_SPEC, out_spec, error);
}

static gboolean choose_formats(const AshImageSpec *spec, bool *formats, GError **error)
{
	g_autoptr(GError) local = NULL;
	bool is_any = false;

	if (opt_formats == NULL)
		memcpy(formats, spec->formats, ASH_IMAGE_N_FORMATS * sizeof *formats);
	for (char **name = opt_formats; name != NULL && *name != NULL; name++) {
		AshImageFormat format = ASH_IMAGE_RAW;
		if (!ash_image_format_parse(*name, &format, &local))
			return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE, "%s",
					local->message);
		formats[format] = true;
	}
	for (int i = 0; i < ASH_IMAGE_N_FORMATS; i++)
		is_any = is_any || formats[i];
	if (!is_any)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"no image format is named, neither in the spec nor by --format");
	return TRUE;
}

static int compare_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Without REV: the only ref there is. */
static gboolean choose_rev(AshRepo *repo, char **args, char **out_rev, GError **error)
{
	g_autoptr(GHashTable) refs = NULL;
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	GHashTableIter iter;
	gpointer name;

	if (args[0] != NULL) {
		*out_rev = g_strdup(args[0]);
		return TRUE;
	}
	if (!ash_repo_list_refs(repo, "", &refs, error))
		return FALSE;
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		g_ptr_array_add(names, name);
	g_ptr_array_sort(names, compare_text);
	if (names->len == 1) {
		*out_rev = g_strdup(names->pdata[0]);
		return TRUE;
	}
	g_ptr_array_add(names, NULL);
	g_autofree char *all = g_strjoinv(", ", (char **) names->pdata);
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE, "which commit? '%s' has %s%s",
			ash_repo_path(repo),
			*all != '\0' ? "the refs " : "none: run 'ashlar build' first", all);
}

/* How this program can be called from here: "build/bin/ashlar" or "ashlar". */
static char *own_name(void)
{
	char path[PATH_MAX];
	g_autofree char *cwd = g_get_current_dir();
	g_autofree char *prefix = g_strconcat(cwd, "/", NULL);
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	if (n > 0) {
		path[n] = '\0';
		if (g_str_has_prefix(path, prefix))
			return g_strdup(path + strlen(prefix));
	}
	return g_strdup("ashlar");
}

static void print_boot_help(const AshImageFile *file, const char *name)
{
	if (file->format == ASH_IMAGE_RAW || file->format == ASH_IMAGE_QCOW2)
		printf("Boot it with:  %s run %s\n", name, file->link);
	else if (file->format == ASH_IMAGE_TAR)
		printf("Unpack it with:  tar --xattrs --xattrs-include='*' --numeric-owner -xf %s\n",
				file->link);
}

static void print_text(const GPtrArray *files)
{
	g_autofree char *name = own_name();
	const AshImageFile *shown = NULL;

	for (guint i = 0; i < files->len; i++) {
		const AshImageFile *file = files->pdata[i];
		g_autofree char *size = ash_text_size(file->disk_bytes);
		printf("%s (%s)\n", file->path, size);
		/* qcow2 comes first when there are several that run. */
		if (shown == NULL || shown->format > ASH_IMAGE_QCOW2)
			shown = file;
	}
	if (shown != NULL)
		print_boot_help(shown, name);
}

static void print_json(const GPtrArray *files)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	json_builder_set_member_name(builder, "files");
	json_builder_begin_array(builder);
	for (guint i = 0; i < files->len; i++) {
		const AshImageFile *file = files->pdata[i];
		json_builder_begin_object(builder);
		json_builder_set_member_name(builder, "format");
		json_builder_add_string_value(builder, ash_image_format_name(file->format));
		json_builder_set_member_name(builder, "path");
		json_builder_add_string_value(builder, file->path);
		json_builder_set_member_name(builder, "link");
		json_builder_add_string_value(builder, file->link);
		json_builder_set_member_name(builder, "size");
		json_builder_add_int_value(builder, (gint64) file->size_bytes);
		json_builder_set_member_name(builder, "disk-size");
		json_builder_add_int_value(builder, (gint64) file->disk_bytes);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	g_autoptr(JsonNode) root = json_builder_get_root(builder);
	g_autofree char *text = json_to_string(root, FALSE);
	printf("%s\n", text);
}

static gboolean run(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	bool formats[ASH_IMAGE_N_FORMATS] = {false};
	g_autoptr(AshImageSpec) spec = NULL;
	g_autoptr(AshRepo) repo = NULL;
	g_autoptr(GPtrArray) files = NULL;
	g_autofree char *rev = NULL;

	if (!load_spec(&spec, error) || !choose_formats(spec, formats, error) ||
			!ash_cli_need_root("the repository keeps files with their true owners",
					error) ||
			!ash_repo_open(opt_repo != NULL ? opt_repo : "out/repo", false, &repo,
					error) ||
			!choose_rev(repo, args, &rev, error) ||
			!ash_image_build(repo, rev, spec, formats,
					opt_output != NULL ? opt_output : "out", context->progress,
					&files, error))
		return FALSE;
	if (context->json)
		print_json(files);
	else
		print_text(files);
	return TRUE;
}

const AshCliCommand ash_cmd_image = {
		.name = "image",
		.synopsis = "[REV]",
		.summary = "Make disk images and archives of a commit.",
		.details = "REV is a ref, a commit checksum or its beginning; it may be left out when the "
			   "repository has one ref only.\n\n"
			   "Files are called NAME-VERSION-ARCH.FORMAT; the link NAME.FORMAT leads to the "
			   "newest.",
		.options = options,
		.min_args = 0,
		.max_args = 1,
		.run = run,
};
