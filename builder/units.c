/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/units.h"

#include <fnmatch.h>
#include <string.h>

#include "lib/error.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_units_error, ash_units_error)

#define ETC_DIR "etc/systemd/system"
#define USR_DIR "usr/lib/systemd/system"

enum {
	MAX_ALSO_DEPTH = 8,
};

static const char *const unit_dirs[] = {ETC_DIR, USR_DIR, NULL};

/* [Install] of one unit. */
typedef struct {
	GPtrArray *wanted_by;
	GPtrArray *required_by;
	GPtrArray *upheld_by;
	GPtrArray *alias;
	GPtrArray *also;
	char *default_instance;
} Install;

static void install_clear(Install *install)
{
	g_clear_pointer(&install->wanted_by, g_ptr_array_unref);
	g_clear_pointer(&install->required_by, g_ptr_array_unref);
	g_clear_pointer(&install->upheld_by, g_ptr_array_unref);
	g_clear_pointer(&install->alias, g_ptr_array_unref);
	g_clear_pointer(&install->also, g_ptr_array_unref);
	g_free(install->default_instance);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Install, install_clear)

static void add_words(GPtrArray *list, const char *value)
{
	g_auto(GStrv) words = g_strsplit_set(value, " \t", -1);

	if (*value == '\0')
		g_ptr_array_set_size(list, 0);
	for (char **word = words; *word != NULL; word++)
		if (**word != '\0')
			g_ptr_array_add(list, g_strdup(*word));
}

static void parse_install_line(Install *install, const char *key, const char *value)
{
	if (strcmp(key, "WantedBy") == 0)
		add_words(install->wanted_by, value);
	else if (strcmp(key, "RequiredBy") == 0)
		add_words(install->required_by, value);
	else if (strcmp(key, "UpheldBy") == 0)
		add_words(install->upheld_by, value);
	else if (strcmp(key, "Alias") == 0)
		add_words(install->alias, value);
	else if (strcmp(key, "Also") == 0)
		add_words(install->also, value);
	else if (strcmp(key, "DefaultInstance") == 0) {
		g_free(install->default_instance);
		install->default_instance = g_strdup(value);
	}
}

static void parse_install(Install *install, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	bool in_section = false;

	for (char **line = lines; *line != NULL; line++) {
		char *trimmed = g_strstrip(*line);
		if (*trimmed == '[') {
			in_section = strcmp(trimmed, "[Install]") == 0;
			continue;
		}
		char *equals = strchr(trimmed, '=');
		if (!in_section || *trimmed == '#' || *trimmed == ';' || equals == NULL)
			continue;
		*equals = '\0';
		parse_install_line(install, g_strchomp(trimmed), g_strchug(equals + 1));
	}
}

/* "getty@tty1.service" → "getty@.service", and the instance; NULL when it is no instance. */
static char *template_of(const char *name, char **out_instance)
{
	const char *at = strchr(name, '@');
	const char *dot = strrchr(name, '.');

	if (at == NULL || dot == NULL || dot <= at + 1)
		return NULL;
	*out_instance = g_strndup(at + 1, (gsize) (dot - at) - 1);
	return g_strdup_printf("%.*s@%s", (int) (at - name), name, dot);
}

static const AshNode *find_unit_file(const AshTree *tree, const char *name, char **out_path)
{
	for (const char *const *dir = unit_dirs; *dir != NULL; dir++) {
		g_autofree char *path = g_build_filename(*dir, name, NULL);
		const AshNode *node = ash_tree_find(tree, path);
		if (node == NULL || (node->kind == ASH_NODE_LINK &&
						    strcmp(node->target, "/dev/null") == 0))
			continue;
		*out_path = g_strdup(path);
		return node;
	}
	return NULL;
}

/* A question; of an instance, its template counts. */
static bool has_unit(const AshTree *tree, const char *name)
{
	g_autofree char *instance = NULL;
	g_autofree char *template = template_of(name, &instance);
	g_autofree char *path = NULL;

	if (find_unit_file(tree, name, &path) != NULL)
		return true;
	return template != NULL && find_unit_file(tree, template, &path) != NULL;
}

static gboolean no_such_unit(const AshTree *tree, const char *name, GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	for (const char *const *dir = unit_dirs; *dir != NULL; dir++) {
		const AshNode *node = ash_tree_find(tree, *dir);
		if (node == NULL || node->kind != ASH_NODE_DIR)
			continue;
		g_autoptr(GPtrArray) some = ash_node_sorted_names(node);
		for (guint i = 0; i < some->len; i++)
			g_ptr_array_add(names, some->pdata[i]);
	}
	g_ptr_array_add(names, NULL);
	g_autofree char *hint = ash_text_suggestion(name, (const char *const *) names->pdata);
	return ash_throw(error, ASH_UNITS_ERROR, ASH_UNITS_ERROR_NO_UNIT,
			"there is no unit '%s' in the image%s", name, hint);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The files of @dirs whose names end in @suffix, as paths in the order of their names; one of an earlier
 * directory hides those of the same name in later ones.
 */
static GPtrArray *collect_files(const AshTree *tree, const char *const *dirs, const char *suffix)
{
	g_autoptr(GHashTable) files = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
	g_autoptr(GPtrArray) sorted = g_ptr_array_new();
	GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);

	for (const char *const *dir = dirs; *dir != NULL; dir++) {
		const AshNode *node = ash_tree_find(tree, *dir);
		if (node == NULL || node->kind != ASH_NODE_DIR)
			continue;
		g_autoptr(GPtrArray) names = ash_node_sorted_names(node);
		for (guint i = 0; i < names->len; i++) {
			if (!g_str_has_suffix(names->pdata[i], suffix) ||
					g_hash_table_contains(files, names->pdata[i]))
				continue;
			g_hash_table_insert(files, names->pdata[i],
					g_build_filename(*dir, names->pdata[i], NULL));
			g_ptr_array_add(sorted, names->pdata[i]);
		}
	}
	g_ptr_array_sort(sorted, compare_names);
	for (guint i = 0; i < sorted->len; i++)
		g_ptr_array_add(paths, g_strdup(g_hash_table_lookup(files, sorted->pdata[i])));
	return paths;
}

/* A link, to /dev/null or nowhere, is no drop-in but hides one. */
static gboolean load_dropins(AshRepo *repo, const AshTree *tree, const char *name,
		const char *template, Install *install, GError **error)
{
	g_autoptr(GPtrArray) dirs = g_ptr_array_new_with_free_func(g_free);

	for (const char *const *dir = unit_dirs; *dir != NULL; dir++) {
		g_ptr_array_add(dirs, g_strdup_printf("%s/%s.d", *dir, name));
		if (template != NULL)
			g_ptr_array_add(dirs, g_strdup_printf("%s/%s.d", *dir, template));
	}
	g_ptr_array_add(dirs, NULL);
	g_autoptr(GPtrArray) paths =
			collect_files(tree, (const char *const *) dirs->pdata, ".conf");
	for (guint i = 0; i < paths->len; i++) {
		g_autoptr(GBytes) text = NULL;
		const AshNode *node = ash_tree_resolve(tree, paths->pdata[i], NULL);
		if (node == NULL || node->kind != ASH_NODE_FILE)
			continue;
		if (!ash_repo_read_file(
				    repo, tree, paths->pdata[i], ASH_UNITS_MAX_BYTES, &text, error))
			return FALSE;
		parse_install(install, g_bytes_get_data(text, NULL));
	}
	return TRUE;
}

static gboolean load_install(AshRepo *repo, const AshTree *tree, const char *name, Install *install,
		char **out_path, GError **error)
{
	g_autofree char *instance = NULL;
	g_autofree char *template = template_of(name, &instance);
	g_autofree char *path = NULL;
	g_autoptr(GBytes) text = NULL;

	install->wanted_by = g_ptr_array_new_with_free_func(g_free);
	install->required_by = g_ptr_array_new_with_free_func(g_free);
	install->upheld_by = g_ptr_array_new_with_free_func(g_free);
	install->alias = g_ptr_array_new_with_free_func(g_free);
	install->also = g_ptr_array_new_with_free_func(g_free);
	if (find_unit_file(tree, name, &path) == NULL &&
			(template == NULL || find_unit_file(tree, template, &path) == NULL))
		return no_such_unit(tree, name, error);
	if (!ash_repo_read_file(repo, tree, path, ASH_UNITS_MAX_BYTES, &text, error))
		return FALSE;
	parse_install(install, g_bytes_get_data(text, NULL));
	if (!load_dropins(repo, tree, name, template, install, error))
		return FALSE;
	*out_path = g_steal_pointer(&path);
	return TRUE;
}

static gboolean add_link(AshTree *tree, const char *path, const char *target, GError **error)
{
	AshNode *link = ash_node_new(ASH_NODE_LINK, 0777);

	link->target = g_strdup(target);
	return ash_tree_insert(tree, path, link, error);
}

/* %i and %I in WantedBy= of a template are the instance. */
static char *expand(const char *word, const char *instance)
{
	g_auto(GStrv) parts = g_strsplit(word, "%i", -1);

	return g_strjoinv(instance != NULL ? instance : "", parts);
}

static gboolean add_dependency_links(AshTree *tree, const GPtrArray *targets, const char *suffix,
		const char *name, const char *instance, const char *unit_path, GError **error)
{
	g_autofree char *target = g_strconcat("/", unit_path, NULL);

	for (guint i = 0; i < targets->len; i++) {
		g_autofree char *by = expand(targets->pdata[i], instance);
		g_autofree char *path = g_strdup_printf(ETC_DIR "/%s.%s/%s", by, suffix, name);
		if (!add_link(tree, path, target, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean enable(AshRepo *repo, AshTree *tree, const char *name, int depth, bool is_also,
		GError **error)
{
	g_auto(Install) install = {0};
	g_autofree char *path = NULL;
	g_autofree char *instance = NULL;
	g_autofree char *with_default = NULL;

	if (!load_install(repo, tree, name, &install, &path, error))
		return FALSE;
	g_autofree char *template = template_of(name, &instance);
	if (template == NULL && strstr(name, "@.") != NULL && install.default_instance != NULL) {
		/* A bare template is enabled as its default instance. */
		g_auto(GStrv) parts = g_strsplit(name, "@.", 2);
		instance = g_strdup(install.default_instance);
		with_default = g_strdup_printf("%s@%s.%s", parts[0], instance, parts[1]);
		name = with_default;
	}
	if (install.wanted_by->len + install.required_by->len + install.upheld_by->len +
					install.alias->len + install.also->len ==
			0) {
		if (is_also)
			return TRUE;
		return ash_throw(error, ASH_UNITS_ERROR, ASH_UNITS_ERROR_NO_INSTALL,
				"unit '%s' cannot be enabled: it has no [Install] section (it is started by others, or needs a drop-in with WantedBy=)",
				name);
	}
	if (!add_dependency_links(tree, install.wanted_by, "wants", name, instance, path, error) ||
			!add_dependency_links(tree, install.required_by, "requires", name, instance,
					path, error) ||
			!add_dependency_links(tree, install.upheld_by, "upholds", name, instance,
					path, error))
		return FALSE;
	g_autofree char *target = g_strconcat("/", path, NULL);
	for (guint i = 0; i < install.alias->len; i++) {
		g_autofree char *alias = g_build_filename(ETC_DIR, install.alias->pdata[i], NULL);
		if (!add_link(tree, alias, target, error))
			return FALSE;
	}
	for (guint i = 0; i < install.also->len && depth < MAX_ALSO_DEPTH; i++) {
		/* As systemctl: what may go along may also be in a package that is not there. */
		if (!has_unit(tree, install.also->pdata[i]))
			continue;
		if (!enable(repo, tree, install.also->pdata[i], depth + 1, true, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_units_enable(AshRepo *repo, AshTree *tree, const char *name, GError **error)
{
	return enable(repo, tree, name, 0, false, error);
}

static bool ends_in_unit(const char *target, const char *name)
{
	const char *slash = strrchr(target, '/');

	return strcmp(slash != NULL ? slash + 1 : target, name) == 0;
}

/* Links by the unit's name in the *.wants directories, and aliases that lead to it. */
static void remove_links(AshNode *dir, const char *name, bool is_top)
{
	g_autoptr(GPtrArray) names = ash_node_sorted_names(dir);

	for (guint i = 0; i < names->len; i++) {
		AshNode *child = ash_node_child(dir, names->pdata[i]);
		if (child->kind == ASH_NODE_DIR && is_top)
			remove_links(child, name, false);
		else if (child->kind == ASH_NODE_LINK &&
				((!is_top && strcmp(names->pdata[i], name) == 0) ||
						ends_in_unit(child->target, name)))
			g_hash_table_remove(dir->children, names->pdata[i]);
	}
}

void ash_units_disable(AshTree *tree, const char *name)
{
	AshNode *dir = ash_tree_find(tree, ETC_DIR);

	if (dir != NULL && dir->kind == ASH_NODE_DIR)
		remove_links(dir, name, true);
}

gboolean ash_units_mask(AshTree *tree, const char *name, GError **error)
{
	g_autofree char *path = g_build_filename(ETC_DIR, name, NULL);
	const AshNode *there = ash_tree_find(tree, path);

	if (there != NULL && there->kind != ASH_NODE_LINK)
		return ash_throw(error, ASH_UNITS_ERROR, ASH_UNITS_ERROR_MASKED,
				"unit '%s' cannot be masked: '/%s' is a file", name, path);
	return add_link(tree, path, "/dev/null", error);
}

/* ---- presets --------------------------------------------------------------------------------- */

/* All preset lines in the order of their files' names; a file in /etc hides one of the same name. */
static gboolean load_presets(AshRepo *repo, const AshTree *tree, GPtrArray *lines, GError **error)
{
	static const char *const dirs[] = {
			"etc/systemd/system-preset", "usr/lib/systemd/system-preset", NULL};
	g_autoptr(GPtrArray) paths = collect_files(tree, dirs, ".preset");

	for (guint i = 0; i < paths->len; i++) {
		g_autoptr(GBytes) text = NULL;
		if (!ash_repo_read_file(
				    repo, tree, paths->pdata[i], ASH_UNITS_MAX_BYTES, &text, error))
			return FALSE;
		g_auto(GStrv) some = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
		for (char **line = some; *line != NULL; line++)
			g_ptr_array_add(lines, g_strdup(g_strstrip(*line)));
	}
	return TRUE;
}

static bool preset_enables(const GPtrArray *lines, const char *name)
{
	for (guint i = 0; i < lines->len; i++) {
		g_auto(GStrv) words = g_strsplit_set(lines->pdata[i], " \t", -1);
		if (words[0] == NULL || words[1] == NULL)
			continue;
		bool is_enable = strcmp(words[0], "enable") == 0;
		if (!is_enable && strcmp(words[0], "disable") != 0)
			continue;
		const char *pattern = NULL;
		for (char **word = words + 1; *word != NULL && pattern == NULL; word++)
			if (**word != '\0')
				pattern = *word;
		if (pattern != NULL && fnmatch(pattern, name, FNM_NOESCAPE) == 0)
			return is_enable;
	}
	return true;
}

gboolean ash_units_preset_all(AshRepo *repo, AshTree *tree, GError **error)
{
	g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);

	if (!load_presets(repo, tree, lines, error))
		return FALSE;
	for (const char *const *dir = unit_dirs; *dir != NULL; dir++) {
		const AshNode *node = ash_tree_find(tree, *dir);
		if (node == NULL || node->kind != ASH_NODE_DIR)
			continue;
		/* Enabling adds to, and disabling takes from, the directory that is read here. */
		g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
		g_autoptr(GPtrArray) borrowed = ash_node_sorted_names(node);
		for (guint i = 0; i < borrowed->len; i++)
			g_ptr_array_add(names, g_strdup(borrowed->pdata[i]));
		for (guint i = 0; i < names->len; i++) {
			const char *name = names->pdata[i];
			const AshNode *child = ash_node_child(node, name);
			if (child == NULL || child->kind != ASH_NODE_FILE ||
					strstr(name, "@.") != NULL)
				continue;
			ash_units_disable(tree, name);
			if (preset_enables(lines, name) &&
					!enable(repo, tree, name, 0, true, error))
				return FALSE;
		}
	}
	return TRUE;
}
