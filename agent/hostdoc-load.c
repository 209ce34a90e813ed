/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

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

/* What was read of a file that a mistake is in, for people: the first few are enough. */
enum {
	MAX_MISTAKES = 8,
};

static gboolean read_map(const char *path, AshYaml **out_map, GError **error)
{
	g_autoptr(GBytes) text = NULL;

	return ash_file_read(AT_FDCWD, path, ASH_HOSTDOC_MAX_BYTES, &text, error) &&
	       ash_yaml_parse(path, text, out_map, error);
}

static gboolean merge_document(const char *path, AshHostdoc *doc, GError **error)
{
	g_autoptr(AshYaml) map = NULL;

	return read_map(path, &map, error) && ash_hostdoc_merge(doc, map, error);
}

/* ---- agent.d, key by key ----------------------------------------------------------------------- */

static void mistake(GPtrArray *mistakes, GError *taken)
{
	g_ptr_array_add(mistakes, g_strdup(taken->message));
	g_error_free(taken);
}

/* @map as far as @pair alone, as a map in itself. The array is the caller's. */
static AshYamlNode only(const AshYamlNode *map, AshYamlPair *pair, GPtrArray *one)
{
	AshYamlNode node = *map;

	g_ptr_array_set_size(one, 0);
	g_ptr_array_add(one, pair);
	node.pairs = one;
	return node;
}

static void merge_key(AshHostdoc *doc, const AshYamlNode *map, GPtrArray *mistakes)
{
	GError *error = NULL;

	if (!ash_hostdoc_merge(doc, map, &error))
		mistake(mistakes, error);
}

/* `updates:` and `workloads:` alone, each key of them by itself. */
static void merge_part(
		AshHostdoc *doc, const AshYamlNode *map, AshYamlPair *pair, GPtrArray *mistakes)
{
	const AshYamlNode at = {.file = map->file, .line = pair->line, .column = pair->column};
	g_autoptr(GPtrArray) outer = g_ptr_array_new(), inner = g_ptr_array_new();
	AshYamlNode whole = only(map, pair, outer);
	AshYamlPair part = *pair;
	GError *error = NULL;

	if (strcmp(pair->key, "updates") != 0 && strcmp(pair->key, "workloads") != 0) {
		ash_yaml_throw(&at, &error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_UNKNOWN_KEY,
				"only 'updates' and 'workloads' may stand in agent.d, not '%.60s'; the rest belongs into the host document",
				pair->key);
		mistake(mistakes, error);
		return;
	}
	if (pair->value->kind != ASH_YAML_MAP) {
		merge_key(doc, &whole, mistakes);
		return;
	}
	for (guint i = 0; i < pair->value->pairs->len; i++) {
		AshYamlNode value = only(pair->value, pair->value->pairs->pdata[i], inner);
		part.value = &value;
		whole = only(map, &part, outer);
		merge_key(doc, &whole, mistakes);
	}
}

/* Merges what is good; @mistakes names the rest. Nothing of a file that is no YAML is good. */
static void merge_settings(const char *path, AshHostdoc *doc, GPtrArray *mistakes)
{
	g_autoptr(AshYaml) map = NULL;
	GError *error = NULL;

	if (!read_map(path, &map, &error))
		mistake(mistakes, error);
	else if (map->kind != ASH_YAML_MAP)
		merge_key(doc, map, mistakes);
	for (guint i = 0; map != NULL && map->kind == ASH_YAML_MAP && i < map->pairs->len; i++)
		merge_part(doc, map, map->pairs->pdata[i], mistakes);
}

/* ---- all files ----------------------------------------------------------------------------------- */

typedef struct {
	const char *root;
	AshHostdoc *doc;
	GPtrArray *warnings;
	unsigned count;
} Load;

static char *kept_path(const char *root, const char *name)
{
	return g_strconcat(root, ASH_PATH_SETTINGS "/", name, NULL);
}

static void warn(Load *load, const char *path, GPtrArray *mistakes, const char *outcome)
{
	for (guint i = 0; i < MIN(mistakes->len, (guint) MAX_MISTAKES); i++)
		g_ptr_array_add(load->warnings, g_strdup(mistakes->pdata[i]));
	if (mistakes->len > MAX_MISTAKES)
		g_ptr_array_add(load->warnings, g_strdup_printf("%s: %u more mistakes", path,
								mistakes->len - MAX_MISTAKES));
	g_ptr_array_add(load->warnings, g_strdup_printf("%s: %s", path, outcome));
}

static void merge_one(Load *load, const char *name, const char *path)
{
	g_autoptr(AshHostdoc) tried = ash_hostdoc_copy(load->doc);
	g_autoptr(AshHostdoc) kept = ash_hostdoc_copy(load->doc);
	g_autoptr(GPtrArray) mistakes = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) kept_mistakes = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *kept_file = kept_path(load->root, name);

	merge_settings(path, tried, mistakes);
	if (mistakes->len > 0)
		merge_settings(kept_file, kept, kept_mistakes);
	if (mistakes->len > 0 && kept_mistakes->len == 0) {
		warn(load, path, mistakes, "in force is the file as it was before the mistake");
		ash_hostdoc_free(load->doc);
		load->doc = g_steal_pointer(&kept);
		return;
	}
	if (mistakes->len > 0) {
		warn(load, path, mistakes,
				"the rest of it is in force; no release is taken by itself until the mistake is mended");
		tried->is_doubtful = true;
	}
	ash_hostdoc_free(load->doc);
	load->doc = g_steal_pointer(&tried);
}

static gboolean visit(gpointer name, gpointer path, gpointer data)
{
	Load *load = data;

	if (load->count++ < ASH_HOSTDOC_MAX_SETTINGS)
		merge_one(load, name, path);
	else
		g_ptr_array_add(load->warnings,
				g_strdup_printf("%s: left out, it is beyond the %d files that are read",
						(char *) path, ASH_HOSTDOC_MAX_SETTINGS));
	return FALSE;
}

static int compare_names(gconstpointer a, gconstpointer b, gpointer data)
{
	return strcmp(a, b);
}

static gboolean list_settings(const char *root, GTree **out_paths, GError **error)
{
	g_autoptr(GTree) paths = g_tree_new_full(compare_names, NULL, g_free, g_free);

	for (size_t i = 0; i < G_N_ELEMENTS(directories); i++)
		if (!list(root, directories[i], paths, error))
			return FALSE;
	*out_paths = g_steal_pointer(&paths);
	return TRUE;
}

/* The first that is good. One that is there, and none that is good: what it held is not known. */
static void merge_in_force(Load *load)
{
	bool is_refused = false;

	for (size_t i = 0; i < G_N_ELEMENTS(documents); i++) {
		g_autofree char *path = g_strconcat(load->root, documents[i], NULL);
		g_autoptr(GError) local = NULL;
		if (merge_document(path, load->doc, &local))
			return;
		if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
			continue;
		g_ptr_array_add(load->warnings, g_strdup(local->message));
		is_refused = true;
	}
	if (is_refused)
		load->doc->is_doubtful = true;
}

gboolean ash_hostdoc_load(
		const char *root, AshHostdoc **out_doc, char ***out_warnings, GError **error)
{
	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GTree) paths = NULL;
	Load load = {.root = root, .warnings = warnings};

	if (!list_settings(root, &paths, error))
		return FALSE;
	load.doc = ash_hostdoc_new();
	g_tree_foreach(paths, visit, &load);
	merge_in_force(&load);
	if (load.doc->is_doubtful)
		load.doc->updates.is_automatic = false;
	g_ptr_array_add(warnings, NULL);
	if (out_warnings != NULL)
		*out_warnings = (char **) g_ptr_array_steal(warnings, NULL);
	*out_doc = load.doc;
	return TRUE;
}

/* ---- what was good --------------------------------------------------------------------------------- */

static gboolean is_same(const char *path, GBytes *text)
{
	g_autoptr(GBytes) old = NULL;

	return ash_file_read(AT_FDCWD, path, ASH_HOSTDOC_MAX_BYTES, &old, NULL) &&
	       g_bytes_equal(old, text);
}

static gboolean keep_one(const char *root, const char *name, const char *path, GError **error)
{
	g_autoptr(AshHostdoc) scratch = ash_hostdoc_new();
	g_autoptr(GPtrArray) mistakes = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *kept = kept_path(root, name);
	g_autoptr(GBytes) text = NULL;

	merge_settings(path, scratch, mistakes);
	if (mistakes->len > 0)
		return TRUE;
	if (!ash_file_read(AT_FDCWD, path, ASH_HOSTDOC_MAX_BYTES, &text, error))
		return FALSE;
	return is_same(kept, text) || ash_file_replace(AT_FDCWD, kept, g_bytes_get_data(text, NULL),
						      g_bytes_get_size(text), 0600, error);
}

/* Of files that are gone. Whoever takes a file away means it. */
static gboolean forget_gone(const char *root, GTree *paths, GError **error)
{
	g_autofree char *path = g_strconcat(root, ASH_PATH_SETTINGS, NULL);
	g_autoptr(AshDir) dir = opendir(path);
	const struct dirent *entry;

	if (dir == NULL)
		return ash_throw_errno(error, "%s", path);
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
				g_tree_lookup(paths, entry->d_name) == NULL &&
				unlinkat(dirfd(dir), entry->d_name, 0) < 0)
			return ash_throw_errno(error, "%s/%s", path, entry->d_name);
	return TRUE;
}

typedef struct {
	const char *root;
	unsigned count;
	GError **error;
	bool has_failed;
} Keep;

static gboolean visit_kept(gpointer name, gpointer path, gpointer data)
{
	Keep *keep = data;

	if (keep->count++ < ASH_HOSTDOC_MAX_SETTINGS)
		keep->has_failed = !keep_one(keep->root, name, path, keep->error);
	return keep->has_failed;
}

gboolean ash_hostdoc_keep(const char *root, GError **error)
{
	g_autofree char *directory = g_strconcat(root, ASH_PATH_SETTINGS, NULL);
	g_autoptr(GTree) paths = NULL;
	Keep keep = {.root = root, .error = error};

	if (!list_settings(root, &paths, error) ||
			!ash_file_ensure_dir(AT_FDCWD, directory, 0700, error))
		return FALSE;
	g_tree_foreach(paths, visit_kept, &keep);
	return !keep.has_failed && forget_gone(root, paths, error);
}
