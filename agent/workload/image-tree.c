/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/image-tree.h"

#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_image_error, ash_image_error)

enum {
	DIR_MODE = 0755,
};

/* Names are anybody's, and GLib's own hash has as many names of one value as one likes. */
static guint hash_name(gconstpointer name)
{
	static uint64_t factor;

	if (factor == 0)
		factor = ((uint64_t) g_random_int() << 32 | g_random_int()) | 1;
	uint64_t hash = factor;
	for (const unsigned char *at = name; *at != '\0'; at++) {
		hash = (hash ^ *at) * factor;
		hash ^= hash >> 29;
	}
	return (guint) (hash >> 16);
}

AshImageTree *ash_image_tree_new(const char *tree, const char *meta)
{
	AshImageTree *dir = g_new0(AshImageTree, 1);

	dir->tree = g_strdup(tree);
	dir->meta = g_strdup(meta);
	dir->files = g_hash_table_new_full(hash_name, g_str_equal, g_free, g_free);
	dir->dirs = g_hash_table_new_full(
			hash_name, g_str_equal, g_free, (GDestroyNotify) ash_image_tree_free);
	return dir;
}

void ash_image_tree_free(AshImageTree *tree)
{
	if (tree == NULL)
		return;
	g_free(tree->meta);
	g_free(tree->tree);
	g_hash_table_unref(tree->files);
	g_hash_table_unref(tree->dirs);
	g_free(tree);
}

static gboolean take_entry(const AshOstreeEntry *entry, gpointer data, GError **error)
{
	AshImageTree *dir = data;

	if (entry->tree == NULL)
		g_hash_table_replace(dir->files, g_strdup(entry->name), g_strdup(entry->object));
	else
		g_hash_table_replace(dir->dirs, g_strdup(entry->name),
				ash_image_tree_new(entry->tree, entry->object));
	return TRUE;
}

gboolean ash_image_tree_load(AshImageTree *tree, const AshImageStore *store, GError **error)
{
	if (tree->tree == NULL)
		return TRUE;
	g_autofree char *hex = g_steal_pointer(&tree->tree);
	return store->load_dirtree(store->data, hex, take_entry, tree, error);
}

void ash_image_tree_remove(AshImageTree *dir, const char *name)
{
	g_assert(dir->tree == NULL);
	g_hash_table_remove(dir->files, name);
	g_hash_table_remove(dir->dirs, name);
}

void ash_image_tree_put_file(AshImageTree *dir, const char *name, const char *hex)
{
	char *copy = g_strdup(hex); /* it may be what goes */

	ash_image_tree_remove(dir, name);
	g_hash_table_insert(dir->files, g_strdup(name), copy);
}

void ash_image_tree_put_dir(AshImageTree *dir, const char *name, AshImageTree *take_child)
{
	ash_image_tree_remove(dir, name);
	g_hash_table_insert(dir->dirs, g_strdup(name), take_child);
}

/* ---- paths --------------------------------------------------------------------------------------- */

/* Where one is, with the way back, and what is still to be walked. */
typedef struct {
	GPtrArray *way;  /* AshImageTree, borrowed: [0] is the root */
	GPtrArray *todo; /* char *, the next one last */
	unsigned links;
} Walk;

static void push_path(Walk *walk, const char *path)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);

	for (guint i = g_strv_length(parts); i > 0; i--)
		if (*parts[i - 1] != '\0' && strcmp(parts[i - 1], ".") != 0)
			g_ptr_array_add(walk->todo, g_strdup(parts[i - 1]));
}

static gboolean follow(Walk *walk, const char *target, GError **error)
{
	if (++walk->links > ASH_IMAGE_MAX_LINKS || walk->todo->len > 4 * ASH_IMAGE_MAX_DEPTH)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
				"links that lead nowhere but to more links");
	if (*target == '/')
		g_ptr_array_set_size(walk->way, 1);
	push_path(walk, target);
	return TRUE;
}

/* One step down to @name. *out_ok false: it is not there, or no directory. */
static gboolean step(Walk *walk, const AshImageStore *store, const char *name,
		AshImageMissing missing, gpointer data, bool *out_ok, GError **error)
{
	AshImageTree *dir = walk->way->pdata[walk->way->len - 1];
	g_autofree char *target = NULL;

	*out_ok = true;
	if (strcmp(name, "..") == 0) {
		g_ptr_array_set_size(walk->way, (int) MAX(walk->way->len - 1, 1));
		return TRUE;
	}
	if (!ash_image_tree_load(dir, store, error))
		return FALSE;
	AshImageTree *child = g_hash_table_lookup(dir->dirs, name);
	const char *hex = g_hash_table_lookup(dir->files, name);
	if (hex != NULL && !store->load_link(store->data, hex, &target, error))
		return FALSE;
	if (target != NULL)
		return follow(walk, target, error);
	if (child == NULL && hex == NULL && missing != NULL) {
		child = missing(dir, name, data, error);
		if (child == NULL)
			return FALSE;
	}
	if (child == NULL) {
		*out_ok = false;
		return TRUE;
	}
	if (walk->way->len > ASH_IMAGE_MAX_DEPTH)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
				"directories more than %d deep", ASH_IMAGE_MAX_DEPTH);
	g_ptr_array_add(walk->way, child);
	return TRUE;
}

static gboolean run_walk(Walk *walk, const AshImageStore *store, AshImageMissing missing,
		gpointer data, bool *out_ok, GError **error)
{
	*out_ok = true;
	while (walk->todo->len > 0 && *out_ok) {
		g_autofree char *name = g_ptr_array_steal_index(walk->todo, walk->todo->len - 1);
		if (!step(walk, store, name, missing, data, out_ok, error))
			return FALSE;
	}
	return TRUE;
}

static void walk_init(Walk *walk, AshImageTree *root, const char *path)
{
	walk->way = g_ptr_array_new();
	walk->todo = g_ptr_array_new_with_free_func(g_free);
	walk->links = 0;
	g_ptr_array_add(walk->way, root);
	push_path(walk, path);
}

static void walk_clear(Walk *walk)
{
	g_ptr_array_unref(walk->way);
	g_ptr_array_unref(walk->todo);
}

gboolean ash_image_tree_find_dir(AshImageTree *root, const AshImageStore *store, const char *path,
		AshImageMissing missing, gpointer data, AshImageTree **out_dir, GError **error)
{
	bool is_found = false;
	Walk walk;

	walk_init(&walk, root, path);
	gboolean is_ok = run_walk(&walk, store, missing, data, &is_found, error);
	if (is_ok) {
		AshImageTree *dir = walk.way->pdata[walk.way->len - 1];
		*out_dir = is_found ? dir : NULL;
	}
	walk_clear(&walk);
	return is_ok;
}

gboolean ash_image_tree_find_file(AshImageTree *root, const AshImageStore *store, const char *path,
		const char **out_hex, GError **error)
{
	g_autofree char *parent = g_path_get_dirname(path);
	g_autofree char *name = g_path_get_basename(path);
	AshImageTree *dir = NULL;

	if (!ash_image_tree_find_dir(root, store, strcmp(parent, ".") == 0 ? "" : parent, NULL,
			    NULL, &dir, error))
		return FALSE;
	if (dir != NULL && !ash_image_tree_load(dir, store, error))
		return FALSE;
	*out_hex = dir != NULL ? g_hash_table_lookup(dir->files, name) : NULL;
	return TRUE;
}

/* ---- layers -------------------------------------------------------------------------------------- */

typedef struct {
	const AshImageStore *store;
	AshImageTree *image;
	GPtrArray *way; /* directories of the image from its root to where the layer is laid on */
	/* Directories that went; by way of a link one of them may be on the way. */
	GPtrArray *gone;
} Apply;

static gboolean apply_dir(Apply *apply, AshImageTree *layer, GError **error);

/* Hard links to files below become what those are now, before anything below changes. */
static gboolean resolve_links(Apply *apply, AshImageTree *layer, GError **error)
{
	g_autoptr(GPtrArray) found = g_ptr_array_new();
	GHashTableIter iter;
	gpointer key, value;

	if (!ash_image_tree_load(layer, apply->store, error))
		return FALSE;
	g_hash_table_iter_init(&iter, layer->files);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		if (g_str_has_prefix(key, ASH_IMAGE_LINK))
			g_ptr_array_add(found, key);
	for (guint i = 0; i < found->len; i++) {
		const char *name = found->pdata[i];
		const char *hex = NULL;
		g_autofree char *target = NULL;
		if (!apply->store->load_link(apply->store->data,
				    g_hash_table_lookup(layer->files, name), &target, error) ||
				!ash_image_tree_find_file(apply->image, apply->store,
						target != NULL ? target : "", &hex, error))
			return FALSE;
		if (hex == NULL)
			return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
					"'%s' is a hard link to '%s', which is no file in the "
					"image",
					name + strlen(ASH_IMAGE_LINK), target);
		ash_image_tree_put_file(layer, name + strlen(ASH_IMAGE_LINK), hex);
	}
	g_hash_table_iter_init(&iter, layer->dirs);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		if (!resolve_links(apply, value, error))
			return FALSE;
	return TRUE;
}

/* Is there more in a directory that the layer does not name than what takes something away? */
static bool has_content(AshImageTree *layer)
{
	GHashTableIter iter;
	gpointer key, value;

	if (!g_hash_table_contains(layer->files, ASH_IMAGE_IMPLIED))
		return true;
	g_hash_table_iter_init(&iter, layer->files);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		if (!g_str_has_prefix(key, ASH_IMAGE_WHITEOUT))
			return true;
	g_hash_table_iter_init(&iter, layer->dirs);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		if (has_content(value))
			return true;
	return false;
}

static void bury(Apply *apply, AshImageTree *dir, const char *name)
{
	gpointer key = NULL, child = NULL;

	g_hash_table_remove(dir->files, name);
	if (!g_hash_table_steal_extended(dir->dirs, name, &key, &child))
		return;
	g_free(key);
	g_ptr_array_add(apply->gone, child);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Sorted; borrowed. */
static GPtrArray *list_dirs(const AshImageTree *dir)
{
	GPtrArray *names = g_ptr_array_sized_new(g_hash_table_size(dir->dirs));
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, dir->dirs);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		g_ptr_array_add(names, key);
	g_ptr_array_sort(names, compare_names);
	return names;
}

static void bury_all(Apply *apply, AshImageTree *dir)
{
	g_autoptr(GPtrArray) names = list_dirs(dir);

	g_hash_table_remove_all(dir->files);
	for (guint i = 0; i < names->len; i++)
		bury(apply, dir, names->pdata[i]);
}

static AshImageTree *add_missing(
		AshImageTree *parent, const char *name, gpointer data, GError **error)
{
	AshImageTree *child = ash_image_tree_new(NULL, NULL);

	ash_image_tree_put_dir(parent, name, child);
	return child;
}

/* The layer writes through a link of a layer below: where that leads, inside the image. */
static gboolean apply_through(Apply *apply, const char *target, AshImageTree *layer, GError **error)
{
	GPtrArray *outer = apply->way;
	bool is_found = false;
	Walk walk = {.todo = g_ptr_array_new_with_free_func(g_free)};

	walk.way = g_ptr_array_copy(outer, NULL, NULL);
	gboolean is_ok = follow(&walk, target, error) &&
			 run_walk(&walk, apply->store, add_missing, NULL, &is_found, error);
	if (is_ok && !is_found)
		is_ok = ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_HOSTILE,
				"a layer has files in '%s', which is no directory", target);
	if (is_ok) {
		apply->way = walk.way;
		is_ok = apply_dir(apply, layer, error);
		apply->way = outer;
	}
	walk_clear(&walk);
	return is_ok;
}

static gboolean apply_child(Apply *apply, const char *name, AshImageTree *layer, GError **error)
{
	AshImageTree *dir = apply->way->pdata[apply->way->len - 1];
	AshImageTree *child = g_hash_table_lookup(dir->dirs, name);
	const char *hex = g_hash_table_lookup(dir->files, name);
	bool is_implied = g_hash_table_contains(layer->files, ASH_IMAGE_IMPLIED);
	g_autofree char *target = NULL;

	if (child == NULL && !has_content(layer))
		return TRUE;
	if (hex != NULL && is_implied &&
			!apply->store->load_link(apply->store->data, hex, &target, error))
		return FALSE;
	if (target != NULL)
		return apply_through(apply, target, layer, error);
	if (child == NULL)
		child = add_missing(dir, name, NULL, NULL);
	if (apply->way->len > ASH_IMAGE_MAX_DEPTH)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
				"directories more than %d deep", ASH_IMAGE_MAX_DEPTH);
	g_ptr_array_add(apply->way, child);
	gboolean is_ok = apply_dir(apply, layer, error);
	g_ptr_array_set_size(apply->way, (int) apply->way->len - 1);
	return is_ok;
}

/* The layer's directory onto the last of the way. First what goes, then what comes: what goes is of below. */
static gboolean apply_dir(Apply *apply, AshImageTree *layer, GError **error)
{
	AshImageTree *dir = apply->way->pdata[apply->way->len - 1];
	/* Sorted, for those that meet by way of links. */
	g_autoptr(GPtrArray) names = list_dirs(layer);
	GHashTableIter iter;
	gpointer key, value;

	if (!ash_image_tree_load(dir, apply->store, error))
		return FALSE;
	if (!g_hash_table_contains(layer->files, ASH_IMAGE_IMPLIED)) {
		g_free(dir->meta);
		dir->meta = g_strdup(layer->meta);
	}
	if (g_hash_table_contains(layer->files, ASH_IMAGE_OPAQUE))
		bury_all(apply, dir);
	g_hash_table_iter_init(&iter, layer->files);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		if (g_str_has_prefix(key, ASH_IMAGE_WHITEOUT) &&
				!g_str_has_prefix(key, ASH_IMAGE_RESERVED))
			bury(apply, dir, (const char *) key + strlen(ASH_IMAGE_WHITEOUT));
	g_hash_table_iter_init(&iter, layer->files);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		if (g_str_has_prefix(key, ASH_IMAGE_WHITEOUT))
			continue;
		bury(apply, dir, key);
		ash_image_tree_put_file(dir, key, value);
	}
	for (guint i = 0; i < names->len; i++)
		if (!apply_child(apply, names->pdata[i],
				    g_hash_table_lookup(layer->dirs, names->pdata[i]), error))
			return FALSE;
	return TRUE;
}

gboolean ash_image_tree_apply(AshImageTree *image, AshImageTree *layer, const AshImageStore *store,
		GError **error)
{
	Apply apply = {.store = store,
			.image = image,
			.way = g_ptr_array_new(),
			.gone = g_ptr_array_new_with_free_func(
					(GDestroyNotify) ash_image_tree_free)};

	g_ptr_array_add(apply.way, image);
	gboolean is_ok = resolve_links(&apply, layer, error) && apply_dir(&apply, layer, error);
	g_ptr_array_unref(apply.way);
	g_ptr_array_unref(apply.gone);
	return is_ok;
}

/* ---- writing ------------------------------------------------------------------------------------- */

static gboolean write_dir(AshImageTree *tree, const AshImageStore *store, AshImageCount *count,
		char **out_tree, char **out_meta, GError **error)
{
	const AshOstreeOwner owner = {.mode = DIR_MODE};
	g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *meta = g_strdup(tree->meta);
	GHashTableIter iter;
	gpointer key, value;

	if (meta == NULL && !store->make_dirmeta(store->data, &owner, &meta, error))
		return FALSE;
	count->dirs++;
	count->files += g_hash_table_size(tree->files);
	if (count->dirs + count->files > ASH_IMAGE_MAX_FILES)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
				"more than %d files", ASH_IMAGE_MAX_FILES);
	if (tree->tree != NULL) {
		*out_tree = g_strdup(tree->tree);
		*out_meta = g_steal_pointer(&meta);
		return TRUE;
	}
	g_hash_table_iter_init(&iter, tree->files);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		AshOstreeEntry *entry = g_new0(AshOstreeEntry, 1);
		*entry = (AshOstreeEntry){.name = key, .object = value};
		g_ptr_array_add(entries, entry);
	}
	g_hash_table_iter_init(&iter, tree->dirs);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		char *sub_tree = NULL, *sub_meta = NULL;
		if (!write_dir(value, store, count, &sub_tree, &sub_meta, error))
			return FALSE;
		g_ptr_array_add(names, sub_tree);
		g_ptr_array_add(names, sub_meta);
		AshOstreeEntry *entry = g_new0(AshOstreeEntry, 1);
		*entry = (AshOstreeEntry){.name = key, .object = sub_meta, .tree = sub_tree};
		g_ptr_array_add(entries, entry);
	}
	if (!store->make_dirtree(store->data, entries, out_tree, error))
		return FALSE;
	*out_meta = g_steal_pointer(&meta);
	return TRUE;
}

gboolean ash_image_tree_write(AshImageTree *tree, const AshImageStore *store, AshImageCount *count,
		char **out_tree, char **out_meta, GError **error)
{
	return write_dir(tree, store, count, out_tree, out_meta, error);
}
