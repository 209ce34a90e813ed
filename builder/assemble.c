/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/assemble.h"

#include <string.h>

#include "builder/dpkgdb.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_assemble_error, ash_assemble_error)

/* Directories that the merged /usr turns into links. */
static const char *const merged_dirs[] = {
		"bin", "sbin", "lib", "lib32", "lib64", "libo32", "libx32", NULL};

typedef struct {
	AshTree *tree;
	const GPtrArray *packages;
	int owner; /* index of the package that is being merged */
} Merge;

static const AshPackage *package_at(const Merge *merge, int index)
{
	return index < 0 ? NULL : merge->packages->pdata[index];
}

/* Does @field ("a, b (>= 1), c:any") name the package @name? */
static bool has_name(const char *field, const char *name)
{
	g_auto(GStrv) items = g_strsplit(field, ",", -1);

	for (char **item = items; *item != NULL; item++) {
		char *word = g_strstrip(*item);
		word[strcspn(word, " \t\n(:")] = '\0';
		if (strcmp(word, name) == 0)
			return true;
	}
	return false;
}

/* Does @package declare "Replaces: @other", by its name or by one that it provides? Versions are not
 * compared: the solver has already found that both may stand together.
 */
static bool replaces(const AshPackage *package, const AshPackage *other)
{
	const char *field = ash_package_field(package, "replaces");

	if (field == NULL || other == NULL)
		return false;
	if (has_name(field, other->locked->name))
		return true;
	const char *provides = ash_package_field(other, "provides");
	if (provides == NULL)
		return false;
	g_auto(GStrv) items = g_strsplit(provides, ",", -1);
	for (char **item = items; *item != NULL; item++) {
		char *word = g_strstrip(*item);
		word[strcspn(word, " \t\n(:")] = '\0';
		if (*word != '\0' && has_name(field, word))
			return true;
	}
	return false;
}

static gboolean conflict(const Merge *merge, const char *path, const AshNode *there, GError **error)
{
	const AshPackage *a = package_at(merge, there->owner);
	const AshPackage *b = package_at(merge, merge->owner);

	return ash_throw(error, ASH_ASSEMBLE_ERROR, ASH_ASSEMBLE_ERROR_CONFLICT,
			"'%s' is brought by %s and by %s, and they are not the same (exclude one of the two)",
			path, a != NULL ? a->locked->name : "the merged /usr",
			b != NULL ? b->locked->name : "the merged /usr");
}

static void set_owner(AshNode *node, int owner)
{
	GHashTableIter iter;
	gpointer child;

	node->owner = owner;
	if (node->kind != ASH_NODE_DIR)
		return;
	g_hash_table_iter_init(&iter, node->children);
	while (g_hash_table_iter_next(&iter, NULL, &child))
		set_owner(child, owner);
}

static gboolean merge_dir(
		Merge *merge, AshNode *to, const AshNode *from, GString *path, GError **error);

/* @there stands where @node wants to be. */
static gboolean merge_node(Merge *merge, AshNode *parent, const char *name, AshNode *there,
		const AshNode *node, GString *path, GError **error)
{
	if (node->kind == ASH_NODE_DIR && there->kind == ASH_NODE_LINK) {
		/* As dpkg: a link to a directory is as good as a directory. */
		AshNode *behind = ash_tree_resolve(merge->tree, path->str, NULL);
		if (behind != NULL && behind->kind == ASH_NODE_DIR)
			return merge_dir(merge, behind, node, path, error);
		return conflict(merge, path->str, there, error);
	}
	if (node->kind == ASH_NODE_DIR && there->kind == ASH_NODE_DIR)
		return merge_dir(merge, there, node, path, error);
	if (ash_node_equal(there, node))
		return TRUE;
	const AshPackage *mine = package_at(merge, merge->owner);
	const AshPackage *other = package_at(merge, there->owner);
	if (node->kind != ASH_NODE_DIR && there->kind != ASH_NODE_DIR) {
		if (other != NULL && replaces(other, mine))
			return TRUE;
		if (replaces(mine, other)) {
			AshNode *copy = ash_node_copy(node);
			set_owner(copy, merge->owner);
			g_hash_table_insert(parent->children, g_strdup(name), copy);
			return TRUE;
		}
	}
	return conflict(merge, path->str, there, error);
}

static gboolean merge_dir(
		Merge *merge, AshNode *to, const AshNode *from, GString *path, GError **error)
{
	GHashTableIter iter;
	gpointer name, node;
	gsize len = path->len;

	g_hash_table_iter_init(&iter, from->children);
	while (g_hash_table_iter_next(&iter, &name, &node)) {
		AshNode *there = ash_node_child(to, name);
		if (there == NULL) {
			AshNode *copy = ash_node_copy(node);
			set_owner(copy, merge->owner);
			g_hash_table_insert(to->children, g_strdup(name), copy);
			continue;
		}
		g_string_append_c(path, '/');
		g_string_append(path, name);
		if (!merge_node(merge, to, name, there, node, path, error))
			return FALSE;
		g_string_truncate(path, len);
	}
	return TRUE;
}

static gboolean merge_package(Merge *merge, int index, GError **error)
{
	const AshPackage *package = merge->packages->pdata[index];
	const AshNode *data = ash_package_data(package);
	g_autoptr(GString) path = g_string_new("");

	if (data == NULL)
		return TRUE;
	ASH_PREFIX("unpacking %s %s", package->locked->name, package->locked->version);
	merge->owner = index;
	/* Packages may give "/" another mode; base-files, the first, decides. */
	return merge_dir(merge, merge->tree->root, data, path, error);
}

/* /bin → usr/bin and so on, where the set of packages does not bring them (suites before trixie), as
 * far as anything wants to be there.
 */
static gboolean make_merged_usr(Merge *merge, GError **error)
{
	for (const char *const *name = merged_dirs; *name != NULL; name++) {
		bool is_wanted = false;
		bool is_link = false;
		for (guint i = 0; i < merge->packages->len; i++) {
			const AshNode *data = ash_package_data(merge->packages->pdata[i]);
			const AshNode *node = data == NULL ? NULL : ash_node_child(data, *name);
			is_wanted |= node != NULL;
			is_link |= node != NULL && node->kind == ASH_NODE_LINK;
		}
		if (!is_wanted || is_link)
			continue;
		g_autofree char *target = g_strconcat("usr/", *name, NULL);
		AshNode *dir = NULL;
		AshNode *link = ash_node_new(ASH_NODE_LINK, 0777);
		link->target = g_strdup(target);
		if (!ash_tree_insert(merge->tree, *name, link, error) ||
				!ash_tree_ensure_dir(merge->tree, target, &dir, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_assemble(AshRepo *repo, const GPtrArray *packages, const char *arch,
		AshTree **out_tree, GError **error)
{
	g_autoptr(AshTree) tree = ash_tree_new();
	Merge merge = {.tree = tree, .packages = packages, .owner = -1};

	for (guint i = 0; i < packages->len; i++) {
		const AshPackage *package = packages->pdata[i];
		if (strcmp(package->locked->name, "base-files") == 0 &&
				!merge_package(&merge, (int) i, error))
			return FALSE;
	}
	if (!make_merged_usr(&merge, error))
		return FALSE;
	for (guint i = 0; i < packages->len; i++) {
		const AshPackage *package = packages->pdata[i];
		if (strcmp(package->locked->name, "base-files") != 0 &&
				!merge_package(&merge, (int) i, error))
			return FALSE;
	}
	if (!ash_dpkgdb_write(repo, packages, arch, tree, error))
		return FALSE;
	*out_tree = g_steal_pointer(&tree);
	return TRUE;
}
