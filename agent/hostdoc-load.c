/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>

#include "agent/hostdoc.h"
#include "agent/paths.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

/* Files that are read in the order of their names; what is in /etc stands for the image's file of the
 * same name.
 */
static const char *const directories[] = {"/usr/lib/ashlar/agent.d", "/etc/ashlar/agent.d"};

/* The first that is good is in force, as in agent/provision.c. */
static const char *const documents[] = {
		ASH_PATH_STATE "/host.yaml", ASH_PATH_STATE "/host.yaml.previous"};

static gboolean list(const char *root, const char *directory, GTree *paths, GError **error)
{
	g_autofree char *path = g_strconcat(root, directory, NULL);
	g_autoptr(AshDir) dir = opendir(path);

	if (dir == NULL && errno == ENOENT)
		return TRUE;
	if (dir == NULL)
		return ash_throw_errno(error, "%s", path);
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (entry == NULL)
			return errno == 0 ? TRUE : ash_throw_errno(error, "%s", path);
		if (entry->d_name[0] != '.' && g_str_has_suffix(entry->d_name, ".yaml"))
			g_tree_replace(paths, g_strdup(entry->d_name),
					g_build_filename(path, entry->d_name, NULL));
	}
}

/* @is_settings: `updates:` and `workloads:` alone are allowed */
static gboolean merge_file(const char *path, bool is_settings, AshHostdoc *doc, GError **error)
{
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshYaml) map = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_HOSTDOC_MAX_BYTES, &text, error) ||
			!ash_yaml_parse(path, text, &map, error))
		return FALSE;
	for (guint i = 0; is_settings && map->kind == ASH_YAML_MAP && i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		AshYamlNode at = {.file = map->file, .line = pair->line, .column = pair->column};
		if (strcmp(pair->key, "updates") != 0 && strcmp(pair->key, "workloads") != 0)
			return ash_yaml_throw(&at, error, ASH_HOSTDOC_ERROR,
					ASH_HOSTDOC_ERROR_UNKNOWN_KEY,
					"only 'updates' and 'workloads' may stand in agent.d; the rest belongs into the host document");
	}
	return ash_hostdoc_merge(doc, map, error);
}

typedef struct {
	AshHostdoc *doc;
	GPtrArray *warnings;
	unsigned count;
} Load;

static gboolean merge_one(gpointer name, gpointer path, gpointer data)
{
	Load *load = data;
	g_autoptr(GError) error = NULL;

	if (load->count++ >= ASH_HOSTDOC_MAX_SETTINGS)
		g_ptr_array_add(load->warnings,
				g_strdup_printf("%s: left out, it is beyond the %d files that are read",
						(char *) path, ASH_HOSTDOC_MAX_SETTINGS));
	else if (!merge_file(path, true, load->doc, &error))
		g_ptr_array_add(load->warnings, g_strdup(error->message));
	return FALSE;
}

static int compare_names(gconstpointer a, gconstpointer b, gpointer data)
{
	return strcmp(a, b);
}

gboolean ash_hostdoc_load(
		const char *root, AshHostdoc **out_doc, char ***out_warnings, GError **error)
{
	g_autoptr(AshHostdoc) doc = ash_hostdoc_new();
	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GTree) paths = g_tree_new_full(compare_names, NULL, g_free, g_free);
	Load load = {.doc = doc, .warnings = warnings};

	for (size_t i = 0; i < G_N_ELEMENTS(directories); i++)
		if (!list(root, directories[i], paths, error))
			return FALSE;
	g_tree_foreach(paths, merge_one, &load);
	for (size_t i = 0; i < G_N_ELEMENTS(documents); i++) {
		g_autofree char *path = g_strconcat(root, documents[i], NULL);
		g_autoptr(GError) local = NULL;
		if (merge_file(path, false, doc, &local))
			break;
		if (!g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
			g_ptr_array_add(warnings, g_strdup(local->message));
	}
	g_ptr_array_add(warnings, NULL);
	if (out_warnings != NULL)
		*out_warnings = (char **) g_ptr_array_steal(warnings, NULL);
	*out_doc = g_steal_pointer(&doc);
	return TRUE;
}
