/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/customise.h"

#include <inttypes.h>
#include <string.h>

#include "builder/glob.h"
#include "builder/package.h"
#include "builder/units.h"
#include "builder/users.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_customise_error, ash_customise_error)

#define UNIT_DIR "usr/lib/systemd/system"

enum {
	DEADLINE_TIMER_S = 15 * 60, /* OnBootSec= of data/systemd/ashlar-deadline.timer */
	DEADLINE_BOOT_S = 5 * 60,   /* the health deadline counts from the agent's start */
};

static gboolean store(AshRepo *repo, AshTree *tree, const char *path, uint32_t mode,
		GBytes *content, GError **error)
{
	g_autoptr(AshNode) node = ash_node_new(ASH_NODE_FILE, mode);
	gsize size;
	const void *data = g_bytes_get_data(content, &size);

	return ash_repo_write_file(repo, node, data, size, error) &&
	       ash_tree_insert(tree, path, g_steal_pointer(&node), error);
}

static gboolean store_text(
		AshRepo *repo, AshTree *tree, const char *path, const char *text, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));

	return store(repo, tree, path, 0644, bytes, error);
}

/* The manifest's path with the links of its parents followed (/bin/x is in /usr/bin), so that a file
 * lands where the running system would look for it.
 */
static gboolean real_path(
		const AshTree *tree, const AshManifestFile *file, char **out_path, GError **error)
{
	g_autofree char *parent = g_path_get_dirname(file->path);
	g_autofree char *base = g_path_get_basename(file->path);
	g_autofree char *resolved = NULL;
	const AshNode *dir = ash_tree_resolve(tree, parent, &resolved);

	if (dir != NULL && dir->kind != ASH_NODE_DIR)
		return ash_throw(error, ASH_CUSTOMISE_ERROR, ASH_CUSTOMISE_ERROR_PATH,
				"%s: '%s' cannot be made: '%s' is not a directory", file->mark,
				file->path, parent);
	*out_path = dir == NULL ? g_strdup(file->path) : g_build_filename(resolved, base, NULL);
	return TRUE;
}

/* The tree's commit rewrites files whose csum does not hold any more. */
static gboolean change_mode(AshTree *tree, const AshManifestFile *file, GError **error)
{
	AshNode *node = ash_tree_resolve(tree, file->path, NULL);

	if (node == NULL)
		return ash_throw(error, ASH_CUSTOMISE_ERROR, ASH_CUSTOMISE_ERROR_PATH,
				"%s: '%s' is not in the image, its mode cannot be changed",
				file->mark, file->path);
	node->mode = file->mode;
	node->has_csum = false;
	return TRUE;
}

static gboolean add_file(AshRepo *repo, AshTree *tree, const AshUsers *users,
		const AshManifestFile *file, GError **error)
{
	g_autofree char *path = NULL;
	uint32_t uid = 0;
	uint32_t gid = 0;

	if (file->kind == ASH_MANIFEST_FILE_MODE)
		return change_mode(tree, file, error);
	if (!ash_users_find_uid(users, file->user, file->mark, &uid, error) ||
			!ash_users_find_gid(users, file->group, file->mark, &gid, error) ||
			!real_path(tree, file, &path, error))
		return FALSE;
	const AshNode *there = ash_tree_find(tree, path);
	if (file->kind == ASH_MANIFEST_FILE_DIRECTORY) {
		AshNode *dir = NULL;
		if (!ash_tree_ensure_dir(tree, path, &dir, error)) {
			g_prefix_error(error, "%s: ", file->mark);
			return FALSE;
		}
		dir->mode = file->mode;
		dir->uid = uid;
		dir->gid = gid;
		return TRUE;
	}
	if (there != NULL && there->kind == ASH_NODE_DIR)
		return ash_throw(error, ASH_CUSTOMISE_ERROR, ASH_CUSTOMISE_ERROR_PATH,
				"%s: '%s' is a directory in the image, expected a file or nothing",
				file->mark, file->path);
	bool is_link = file->kind == ASH_MANIFEST_FILE_LINK;
	g_autoptr(AshNode) node = ash_node_new(
			is_link ? ASH_NODE_LINK : ASH_NODE_FILE, is_link ? 0777 : file->mode);
	node->uid = uid;
	node->gid = gid;
	if (is_link) {
		node->target = g_strdup(file->target);
	} else {
		gsize size;
		const void *data = g_bytes_get_data(file->content, &size);
		if (!ash_repo_write_file(repo, node, data, size, error))
			return FALSE;
	}
	if (ash_tree_insert(tree, path, g_steal_pointer(&node), error))
		return TRUE;
	g_prefix_error(error, "%s: ", file->mark);
	return FALSE;
}

/* ---- units ----------------------------------------------------------------------------------- */

static gboolean add_unit_files(
		AshRepo *repo, AshTree *tree, const AshManifestUnit *unit, GError **error)
{
	g_autofree char *path = g_build_filename(UNIT_DIR, unit->name, NULL);

	if (unit->content != NULL && !store(repo, tree, path, 0644, unit->content, error))
		return FALSE;
	for (guint i = 0; i < unit->dropins->len; i++) {
		const AshManifestDropin *dropin = unit->dropins->pdata[i];
		g_autofree char *dropin_path =
				g_strdup_printf(UNIT_DIR "/%s.d/%s", unit->name, dropin->name);
		if (!store(repo, tree, dropin_path, 0644, dropin->content, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean switch_unit(
		AshRepo *repo, AshTree *tree, const AshManifestUnit *unit, GError **error)
{
	gboolean ok = TRUE;

	if (unit->enable)
		ok = ash_units_enable(repo, tree, unit->name, error);
	else if (unit->disable)
		ash_units_disable(tree, unit->name);
	else if (unit->mask)
		ok = ash_units_mask(tree, unit->name, error);
	if (!ok)
		g_prefix_error(error, "%s: ", unit->mark);
	return ok;
}

static gboolean set_default_target(const AshManifest *manifest, AshTree *tree, GError **error)
{
	const char *target = manifest->default_target;

	if (target == NULL)
		return TRUE;
	g_autofree char *path = g_build_filename(UNIT_DIR, target, NULL);
	if (ash_tree_find(tree, path) == NULL)
		return ash_throw(error, ASH_CUSTOMISE_ERROR, ASH_CUSTOMISE_ERROR_TARGET,
				"%s: default-target: the image has no unit '%s'", manifest->path,
				target);
	AshNode *link = ash_node_new(ASH_NODE_LINK, 0777);
	link->target = g_strconcat("/", path, NULL);
	return ash_tree_insert(tree, "etc/systemd/system/default.target", link, error);
}

static gboolean add_units(AshRepo *repo, const AshManifest *manifest, AshTree *tree, GError **error)
{
	for (guint i = 0; i < manifest->units->len; i++)
		if (!add_unit_files(repo, tree, manifest->units->pdata[i], error))
			return FALSE;
	if (manifest->presets->len > 0) {
		g_autoptr(GString) text = g_string_new("");
		for (guint i = 0; i < manifest->presets->len; i++)
			g_string_append_printf(
					text, "%s\n", (const char *) manifest->presets->pdata[i]);
		if (!store_text(repo, tree,
				    "usr/lib/systemd/system-preset/10-ashlar-manifest.preset",
				    text->str, error) ||
				!ash_units_preset_all(repo, tree, error))
			return FALSE;
	}
	for (guint i = 0; i < manifest->units->len; i++)
		if (!switch_unit(repo, tree, manifest->units->pdata[i], error))
			return FALSE;
	if (manifest->hostname != NULL) {
		g_autofree char *line = g_strconcat(manifest->hostname, "\n", NULL);
		if (!store_text(repo, tree, "etc/hostname", line, error))
			return FALSE;
	}
	return set_default_target(manifest, tree, error);
}

char *ash_customise_deadline(uint32_t deadline_ms)
{
	uint32_t s = deadline_ms / 1000 + DEADLINE_BOOT_S;

	if (s <= DEADLINE_TIMER_S)
		return NULL;
	return g_strdup_printf("# The manifest's health deadline, and %d s for the boot.\n[Timer]\n"
			       "OnBootSec=\nOnBootSec=%" PRIu32 "s\n",
			DEADLINE_BOOT_S, s);
}

static gboolean add_health(
		AshRepo *repo, const AshManifest *manifest, AshTree *tree, GError **error)
{
	if (manifest->health == NULL)
		return TRUE;
	g_autofree char *text = ash_health_spec_format(manifest->health);
	if (!store_text(repo, tree, ASH_HEALTH_SPEC_DIR_USR "/manifest.yaml", text, error))
		return FALSE;
	g_autofree char *timer = ash_customise_deadline(manifest->health->deadline_ms);
	return timer == NULL ||
	       store_text(repo, tree, UNIT_DIR "/ashlar-deadline.timer.d/10-health.conf", timer,
			       error);
}

/* ---- removals -------------------------------------------------------------------------------- */

typedef struct {
	const AshManifest *manifest;
	const GPtrArray *patterns;
	bool *is_used; /* per pattern */
} Removal;

static bool is_removed(const Removal *removal, const char *path)
{
	bool found = false;

	for (guint i = 0; i < removal->patterns->len; i++) {
		if (!ash_glob_match(removal->patterns->pdata[i], path))
			continue;
		removal->is_used[i] = true;
		found = true;
	}
	return found && !ash_glob_match_any(removal->manifest->keep_paths, path);
}

/* Removes what matches below @dir. A directory goes when it matches and nothing below it was kept. */
static void remove_matching(const Removal *removal, AshNode *dir, GString *path)
{
	g_autoptr(GPtrArray) names = ash_node_sorted_names(dir);
	gsize len = path->len;

	for (guint i = 0; i < names->len; i++) {
		AshNode *child = ash_node_child(dir, names->pdata[i]);
		g_string_append_c(path, '/');
		g_string_append(path, names->pdata[i]);
		if (child->kind == ASH_NODE_DIR)
			remove_matching(removal, child, path);
		if ((child->kind != ASH_NODE_DIR || g_hash_table_size(child->children) == 0) &&
				is_removed(removal, path->str))
			g_hash_table_remove(dir->children, names->pdata[i]);
		g_string_truncate(path, len);
	}
}

/* "/usr/share/doc" alone means the directory and all below it. */
static GPtrArray *complete_patterns(const GPtrArray *patterns)
{
	GPtrArray *complete = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; i < patterns->len; i++) {
		g_ptr_array_add(complete, g_strdup(patterns->pdata[i]));
		g_ptr_array_add(complete, g_strconcat(patterns->pdata[i], "/**", NULL));
	}
	return complete;
}

static gboolean remove_paths(const AshManifest *manifest, AshTree *tree, GError **error)
{
	g_autoptr(GPtrArray) patterns = complete_patterns(manifest->remove_paths);
	g_autofree bool *is_used = g_new0(bool, patterns->len + 1);
	g_autoptr(GString) path = g_string_new("");
	Removal removal = {.manifest = manifest, .patterns = patterns, .is_used = is_used};

	if (patterns->len == 0)
		return TRUE;
	remove_matching(&removal, tree->root, path);
	for (guint i = 0; i < patterns->len; i += 2)
		/* A path without wildcards that is not there is a mistake, or a package that changed. */
		if (!is_used[i] && !is_used[i + 1] && strpbrk(patterns->pdata[i], "*?[") == NULL)
			return ash_throw(error, ASH_CUSTOMISE_ERROR, ASH_CUSTOMISE_ERROR_REMOVE,
					"%s: remove: paths: '%s' is not in the image",
					manifest->path, (const char *) patterns->pdata[i]);
	return TRUE;
}

/* Removes from @dir what @shipped has, unless it is kept. A directory that is empty now goes too, when
 * the package had something in it and it lies deeper than the ones that every system has.
 */
static void remove_shipped(const AshManifest *manifest, AshTree *tree, AshNode *dir,
		const AshNode *shipped, int depth, GString *path)
{
	g_autoptr(GPtrArray) names = ash_node_sorted_names(shipped);
	gsize len = path->len;

	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		const AshNode *mine = ash_node_child(shipped, name);
		AshNode *there = ash_node_child(dir, name);
		if (there == NULL)
			continue;
		g_string_append_c(path, '/');
		g_string_append(path, name);
		bool may_go = !ash_glob_match_any(manifest->keep_paths, path->str);
		if (mine->kind == ASH_NODE_DIR) {
			AshNode *real = ash_tree_resolve(tree, path->str, NULL);
			if (real != NULL && real->kind == ASH_NODE_DIR)
				remove_shipped(manifest, tree, real, mine, depth + 1, path);
			may_go = may_go && there->kind == ASH_NODE_DIR && depth >= 2 &&
				 g_hash_table_size(there->children) == 0 &&
				 g_hash_table_size(mine->children) > 0;
		}
		if (may_go)
			g_hash_table_remove(dir->children, name);
		g_string_truncate(path, len);
	}
}

/* Links that enabling a unit or choosing an alternative made, and whose file is gone with its
 * package.
 */
static void remove_dangling(AshTree *tree, AshNode *dir, const char *prefix, GString *path)
{
	g_autoptr(GPtrArray) names = ash_node_sorted_names(dir);
	gsize len = path->len;

	for (guint i = 0; i < names->len; i++) {
		AshNode *child = ash_node_child(dir, names->pdata[i]);
		g_string_append_c(path, '/');
		g_string_append(path, names->pdata[i]);
		if (child->kind == ASH_NODE_DIR)
			remove_dangling(tree, child, prefix, path);
		else if (child->kind == ASH_NODE_LINK && g_str_has_prefix(child->target, prefix) &&
				ash_tree_resolve(tree, path->str, NULL) == NULL)
			g_hash_table_remove(dir->children, names->pdata[i]);
		g_string_truncate(path, len);
	}
}

static void clean_up_links(AshTree *tree)
{
	static const struct {
		const char *dir;
		const char *prefix; /* of the targets that are looked at */
	} places[] = {
			{"/etc/systemd", "/usr/lib/systemd/"},
			{"/etc/systemd", "/lib/systemd/"},
			{"/etc/alternatives", "/"},
			{"/usr/bin", "/etc/alternatives/"},
			{"/usr/sbin", "/etc/alternatives/"},
			{"/usr/lib", "/etc/alternatives/"},
			{"/usr/share", "/etc/alternatives/"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
		AshNode *dir = ash_tree_find(tree, places[i].dir);
		g_autoptr(GString) path = g_string_new(places[i].dir);
		if (dir != NULL && dir->kind == ASH_NODE_DIR)
			remove_dangling(tree, dir, places[i].prefix, path);
	}
}

static gboolean remove_packages(const AshManifest *manifest, const GPtrArray *packages,
		AshTree *tree, GHashTable *removed, GError **error)
{
	for (guint p = 0; p < manifest->remove_packages->len; p++) {
		const char *pattern = manifest->remove_packages->pdata[p];
		bool is_used = false;
		for (guint i = 0; i < packages->len; i++) {
			const AshPackage *package = packages->pdata[i];
			g_autoptr(GString) path = g_string_new("");
			if (!ash_glob_match(pattern, package->locked->name))
				continue;
			is_used = true;
			if (!g_hash_table_add(removed, g_strdup(package->locked->name)))
				continue;
			remove_shipped(manifest, tree, tree->root, ash_package_data(package), 0,
					path);
		}
		if (!is_used && strpbrk(pattern, "*?[") == NULL)
			return ash_throw(error, ASH_CUSTOMISE_ERROR, ASH_CUSTOMISE_ERROR_REMOVE,
					"%s: remove: packages: '%s' is not among the packages of the lock",
					manifest->path, pattern);
	}
	return TRUE;
}

gboolean ash_customise(AshRepo *repo, const AshManifest *manifest, const GPtrArray *packages,
		AshTree *tree, GHashTable **out_removed, GError **error)
{
	g_autoptr(AshUsers) users = NULL;
	g_autoptr(GHashTable) removed =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	if (!ash_users_load(repo, tree, &users, error) ||
			!ash_users_add(users, repo, manifest->groups, manifest->users, tree, error))
		return FALSE;
	for (guint i = 0; i < manifest->files->len; i++)
		if (!add_file(repo, tree, users, manifest->files->pdata[i], error))
			return FALSE;
	if (!add_units(repo, manifest, tree, error) || !add_health(repo, manifest, tree, error) ||
			!remove_packages(manifest, packages, tree, removed, error) ||
			!remove_paths(manifest, tree, error))
		return FALSE;
	clean_up_links(tree);
	*out_removed = g_steal_pointer(&removed);
	return TRUE;
}
