/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/diff.h"

#include <string.h>

G_DEFINE_QUARK(ash_diff_error, ash_diff_error)

static GHashTable *new_table(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

AshDiffSide *ash_diff_side_new(AshDiffKind kind, const char *name)
{
	AshDiffSide *side = g_new0(AshDiffSide, 1);

	side->kind = kind;
	side->name = g_strdup(name);
	side->fields = new_table();
	side->packages = new_table();
	if (kind != ASH_DIFF_LOCK)
		side->arguments = new_table();
	return side;
}

void ash_diff_side_free(AshDiffSide *side)
{
	if (side == NULL)
		return;
	g_free(side->name);
	g_free(side->commit);
	g_clear_pointer(&side->fields, g_hash_table_unref);
	g_clear_pointer(&side->arguments, g_hash_table_unref);
	g_clear_pointer(&side->packages, g_hash_table_unref);
	g_clear_pointer(&side->tree, ash_tree_free);
	g_free(side);
}

static void change_free(AshDiffChange *change)
{
	g_free(change->key);
	g_free(change->from);
	g_free(change->to);
	g_free(change);
}

void ash_diff_free(AshDiff *diff)
{
	if (diff == NULL)
		return;
	g_clear_pointer(&diff->fields, g_ptr_array_unref);
	g_clear_pointer(&diff->arguments, g_ptr_array_unref);
	g_clear_pointer(&diff->packages, g_ptr_array_unref);
	g_clear_pointer(&diff->files, g_ptr_array_unref);
	g_free(diff);
}

static GPtrArray *new_changes(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify) change_free);
}

static AshDiffChange *add_change(
		GPtrArray *changes, const char *key, const char *from, const char *to)
{
	AshDiffChange *change = g_new0(AshDiffChange, 1);

	change->key = g_strdup(key);
	change->from = g_strdup(from);
	change->to = g_strdup(to);
	g_ptr_array_add(changes, change);
	return change;
}

static int compare_changes(gconstpointer a, gconstpointer b)
{
	return strcmp((*(AshDiffChange *const *) a)->key, (*(AshDiffChange *const *) b)->key);
}

/* @only_common: keys that one side lacks say nothing. */
static GPtrArray *compare_tables(GHashTable *a, GHashTable *b, bool only_common)
{
	GPtrArray *changes = new_changes();
	GHashTableIter iter;
	gpointer key, value;

	if (a == NULL || b == NULL)
		return changes;
	g_hash_table_iter_init(&iter, a);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		const char *other = g_hash_table_lookup(b, key);
		if (other != NULL ? strcmp(value, other) != 0 : !only_common)
			add_change(changes, key, value, other);
	}
	g_hash_table_iter_init(&iter, b);
	while (!only_common && g_hash_table_iter_next(&iter, &key, &value))
		if (!g_hash_table_contains(a, key))
			add_change(changes, key, NULL, value);
	g_ptr_array_sort(changes, compare_changes);
	return changes;
}

/* Was the lock solved from this manifest, the commit built from it? */
static bool is_made_from(GHashTable *manifest, GHashTable *fields)
{
	static const char *const keys[] = {"inputs", "manifest-digest"};

	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		const char *value = g_hash_table_lookup(fields, keys[i]);
		if (value != NULL && g_strcmp0(value, g_hash_table_lookup(manifest, keys[i])) == 0)
			return true;
	}
	return false;
}

/* A manifest names some packages; those that it brings along are no difference. Where the other side
 * was made from it, what is missing is a virtual package, which others provide.
 */
static GPtrArray *compare_asked(
		const AshDiffSide *manifest, const AshDiffSide *side, bool is_swapped)
{
	GHashTable *asked = manifest->packages, *there = side->packages;
	GPtrArray *changes = new_changes();
	GHashTableIter iter;
	gpointer key, value;

	if (is_made_from(manifest->fields, side->fields))
		return changes;
	g_hash_table_iter_init(&iter, asked);
	while (g_hash_table_iter_next(&iter, &key, &value))
		if (!g_hash_table_contains(there, key))
			add_change(changes, key, is_swapped ? NULL : value,
					is_swapped ? value : NULL);
	g_ptr_array_sort(changes, compare_changes);
	return changes;
}

/* ---- trees ----------------------------------------------------------------------------------- */

static const char *kind_name(const AshNode *node)
{
	switch (node->kind) {
	case ASH_NODE_DIR:
		return "directory";
	case ASH_NODE_LINK:
		return "link";
	case ASH_NODE_FILE:
		break;
	}
	return "file";
}

/* What a person wants to know of @node beside its size. */
static char *describe(const AshNode *node, const AshNode *other)
{
	GString *text = g_string_new(NULL);

	if (node->kind != other->kind)
		g_string_append(text, kind_name(node));
	else if (node->kind == ASH_NODE_LINK)
		g_string_append(text, node->target);
	if (node->kind == other->kind && node->mode != other->mode)
		g_string_append_printf(text, "mode %04o", node->mode);
	if (node->uid != other->uid || node->gid != other->gid)
		g_string_append_printf(text, "%sowner %u:%u", text->len > 0 ? ", " : "", node->uid,
				node->gid);
	return g_string_free(text, FALSE);
}

static uint64_t node_bytes(const AshNode *node)
{
	return node->kind == ASH_NODE_FILE ? node->size : 0;
}

static void compare_dirs(AshDiff *diff, const char *path, const AshNode *from, const AshNode *to);

/* @from or @to may be NULL. */
static void compare_nodes(AshDiff *diff, const char *path, const AshNode *from, const AshNode *to)
{
	if (from != NULL)
		diff->from_bytes += node_bytes(from);
	if (to != NULL)
		diff->to_bytes += node_bytes(to);
	if (from == NULL || to == NULL) {
		AshDiffChange *change =
				add_change(diff->files, path, from != NULL ? kind_name(from) : NULL,
						to != NULL ? kind_name(to) : NULL);
		change->from_bytes = from != NULL ? node_bytes(from) : 0;
		change->to_bytes = to != NULL ? node_bytes(to) : 0;
	} else if (!ash_node_equal(from, to)) {
		AshDiffChange *change = add_change(diff->files, path, NULL, NULL);
		change->from = describe(from, to);
		change->to = describe(to, from);
		change->from_bytes = node_bytes(from);
		change->to_bytes = node_bytes(to);
	}
	compare_dirs(diff, path, from, to);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void compare_dirs(AshDiff *diff, const char *path, const AshNode *from, const AshNode *to)
{
	const AshNode *const sides[] = {from, to};
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	for (size_t i = 0; i < G_N_ELEMENTS(sides); i++) {
		GHashTableIter iter;
		gpointer name;
		if (sides[i] == NULL || sides[i]->kind != ASH_NODE_DIR)
			continue;
		g_hash_table_iter_init(&iter, sides[i]->children);
		while (g_hash_table_iter_next(&iter, &name, NULL))
			if (i == 0 || from == NULL || ash_node_child(from, name) == NULL)
				g_ptr_array_add(names, name);
	}
	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		g_autofree char *child =
				g_strconcat(strcmp(path, "/") == 0 ? "" : path, "/", name, NULL);
		compare_nodes(diff, child, from != NULL ? ash_node_child(from, name) : NULL,
				to != NULL ? ash_node_child(to, name) : NULL);
	}
}

/* ---- the whole --------------------------------------------------------------------------------- */

static bool is_built(const AshDiffSide *side)
{
	return side->kind == ASH_DIFF_COMMIT || side->kind == ASH_DIFF_IMAGE;
}

AshDiff *ash_diff_new(const AshDiffSide *a, const AshDiffSide *b)
{
	AshDiff *diff = g_new0(AshDiff, 1);
	bool is_like = a->kind == b->kind || (is_built(a) && is_built(b));

	diff->fields = compare_tables(a->fields, b->fields, !is_like);
	diff->arguments = compare_tables(a->arguments, b->arguments, false);
	if (is_like || (a->kind != ASH_DIFF_MANIFEST && b->kind != ASH_DIFF_MANIFEST))
		diff->packages = compare_tables(a->packages, b->packages, false);
	else if (a->kind == ASH_DIFF_MANIFEST)
		diff->packages = compare_asked(a, b, false);
	else
		diff->packages = compare_asked(b, a, true);
	if (a->tree != NULL && b->tree != NULL) {
		diff->files = new_changes();
		compare_nodes(diff, "/", a->tree->root, b->tree->root);
	}
	return diff;
}

bool ash_diff_is_empty(const AshDiff *diff)
{
	return diff->fields->len == 0 && diff->arguments->len == 0 && diff->packages->len == 0 &&
	       (diff->files == NULL || diff->files->len == 0);
}

static uint64_t distance(const AshDiffChange *change)
{
	return change->to_bytes > change->from_bytes ? change->to_bytes - change->from_bytes
						     : change->from_bytes - change->to_bytes;
}

static int compare_sizes(gconstpointer a, gconstpointer b)
{
	const AshDiffChange *x = *(AshDiffChange *const *) a, *y = *(AshDiffChange *const *) b;
	uint64_t dx = distance(x), dy = distance(y);

	return dx != dy ? (dx < dy) - (dx > dy) : strcmp(x->key, y->key);
}

GPtrArray *ash_diff_largest_files(const AshDiff *diff)
{
	GPtrArray *sorted = g_ptr_array_new();

	for (guint i = 0; i < diff->files->len; i++)
		g_ptr_array_add(sorted, diff->files->pdata[i]);
	g_ptr_array_sort(sorted, compare_sizes);
	return sorted;
}
