/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/tree.h"

#include <string.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_tree_error, ash_tree_error)

enum {
	MAX_NAME_BYTES = 255,
	MAX_LINKS = 40,
};

AshNode *ash_node_new(AshNodeKind kind, uint32_t mode)
{
	AshNode *node = g_new0(AshNode, 1);

	node->kind = kind;
	node->mode = mode;
	node->owner = -1;
	if (kind == ASH_NODE_DIR)
		node->children = g_hash_table_new_full(
				g_str_hash, g_str_equal, g_free, (GDestroyNotify) ash_node_free);
	return node;
}

void ash_node_free(AshNode *node)
{
	if (node == NULL)
		return;
	g_clear_pointer(&node->children, g_hash_table_unref);
	g_clear_pointer(&node->xattrs, g_variant_unref);
	g_free(node->target);
	g_free(node);
}

AshNode *ash_node_copy(const AshNode *node)
{
	AshNode *copy = g_new(AshNode, 1);

	*copy = *node;
	copy->target = g_strdup(node->target);
	if (node->xattrs != NULL)
		g_variant_ref(node->xattrs);
	if (node->children != NULL) {
		GHashTableIter iter;
		gpointer name, child;

		copy->children = g_hash_table_new_full(
				g_str_hash, g_str_equal, g_free, (GDestroyNotify) ash_node_free);
		g_hash_table_iter_init(&iter, node->children);
		while (g_hash_table_iter_next(&iter, &name, &child))
			g_hash_table_insert(copy->children, g_strdup(name), ash_node_copy(child));
	}
	return copy;
}

AshTree *ash_tree_new(void)
{
	AshTree *tree = g_new0(AshTree, 1);

	tree->root = ash_node_new(ASH_NODE_DIR, 0755);
	return tree;
}

AshTree *ash_tree_copy(const AshTree *tree)
{
	AshTree *copy = g_new0(AshTree, 1);

	copy->root = ash_node_copy(tree->root);
	return copy;
}

void ash_tree_free(AshTree *tree)
{
	if (tree == NULL)
		return;
	ash_node_free(tree->root);
	g_free(tree);
}

AshNode *ash_node_child(const AshNode *dir, const char *name)
{
	return dir->kind == ASH_NODE_DIR ? g_hash_table_lookup(dir->children, name) : NULL;
}

/* Takes the next name off *path into @buffer. False at the end, and *out_bad for what cannot be a
 * name.
 */
static bool next_name(const char **path, char buffer[MAX_NAME_BYTES + 1], bool *out_bad)
{
	const char *p = *path;

	while (*p == '/')
		p++;
	size_t len = strcspn(p, "/");
	*path = p + len;
	if (len == 0)
		return false;
	if (len > MAX_NAME_BYTES || (len == 1 && p[0] == '.') ||
			(len == 2 && p[0] == '.' && p[1] == '.')) {
		*out_bad = true;
		return false;
	}
	memcpy(buffer, p, len);
	buffer[len] = '\0';
	return true;
}

AshNode *ash_tree_find(const AshTree *tree, const char *path)
{
	char name[MAX_NAME_BYTES + 1];
	AshNode *node = tree->root;
	bool bad = false;

	while (node != NULL && next_name(&path, name, &bad))
		node = ash_node_child(node, name);
	return bad ? NULL : node;
}

/* Puts @target in front of what is left of the path; @done is the directory that it is relative to. */
static char *splice(const char *target, const GString *done, const char *rest)
{
	const char *base = target[0] == '/' ? "" : done->str;

	return g_strconcat(base, "/", target, "/", rest, NULL);
}

AshNode *ash_tree_resolve(const AshTree *tree, const char *path, char **out_path)
{
	g_autofree char *todo = g_strdup(path);
	g_autoptr(GString) done = g_string_new("");
	AshNode *node = tree->root;
	const char *p = todo;
	int links = 0;

	while (*p != '\0') {
		while (*p == '/')
			p++;
		size_t len = strcspn(p, "/");
		if (len == 0)
			break;
		g_autofree char *name = g_strndup(p, len);
		p += len;
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			char *slash = strrchr(done->str, '/');
			if (slash != NULL)
				g_string_truncate(done, (gsize) (slash - done->str));
			node = ash_tree_find(tree, done->str);
			continue;
		}
		node = ash_node_child(node, name);
		if (node == NULL)
			return NULL;
		if (node->kind != ASH_NODE_LINK) {
			g_string_append_c(done, '/');
			g_string_append(done, name);
			continue;
		}
		if (++links > MAX_LINKS)
			return NULL;
		char *next = splice(node->target, done, p);
		/* The path so far is part of @next: it is walked again, from the root. */
		g_string_truncate(done, 0);
		g_free(todo);
		todo = next;
		p = todo;
		node = tree->root;
	}
	if (out_path != NULL)
		*out_path = done->len == 0 ? g_strdup("/") : g_strdup(done->str);
	return node;
}

/* The directory that holds the last component of @path, made when missing; the last name goes into
 * @name.
 */
static gboolean ensure_parent(AshTree *tree, const char *path, AshNode **out_parent,
		char name[MAX_NAME_BYTES + 1], GError **error)
{
	AshNode *dir = tree->root;
	const char *p = path;
	bool bad = false;
	int depth = 0;

	if (!next_name(&p, name, &bad))
		return ash_throw(error, ASH_TREE_ERROR, ASH_TREE_ERROR_BAD_PATH,
				"'%s' cannot be a path in a tree", path);
	for (;;) {
		char next[MAX_NAME_BYTES + 1];
		if (!next_name(&p, next, &bad))
			break;
		if (++depth > ASH_TREE_MAX_DEPTH)
			return ash_throw(error, ASH_TREE_ERROR, ASH_TREE_ERROR_TOO_DEEP,
					"'%s' has more than %d levels", path, ASH_TREE_MAX_DEPTH);
		AshNode *child = g_hash_table_lookup(dir->children, name);
		if (child == NULL) {
			child = ash_node_new(ASH_NODE_DIR, 0755);
			g_hash_table_insert(dir->children, g_strdup(name), child);
		}
		if (child->kind != ASH_NODE_DIR)
			return ash_throw(error, ASH_TREE_ERROR, ASH_TREE_ERROR_NOT_DIRECTORY,
					"'%s': '%s' is not a directory", path, name);
		dir = child;
		strcpy(name, next);
	}
	if (bad)
		return ash_throw(error, ASH_TREE_ERROR, ASH_TREE_ERROR_BAD_PATH,
				"'%s' cannot be a path in a tree", path);
	*out_parent = dir;
	return TRUE;
}

gboolean ash_tree_insert(AshTree *tree, const char *path, AshNode *take_node, GError **error)
{
	g_autoptr(AshNode) node = take_node;
	char name[MAX_NAME_BYTES + 1];
	AshNode *parent = NULL;

	if (!ensure_parent(tree, path, &parent, name, error))
		return FALSE;
	g_hash_table_insert(parent->children, g_strdup(name), g_steal_pointer(&node));
	return TRUE;
}

gboolean ash_tree_ensure_dir(AshTree *tree, const char *path, AshNode **out_dir, GError **error)
{
	char name[MAX_NAME_BYTES + 1];
	AshNode *parent = NULL;

	if (path[strspn(path, "/")] == '\0') {
		*out_dir = tree->root;
		return TRUE;
	}
	if (!ensure_parent(tree, path, &parent, name, error))
		return FALSE;
	AshNode *dir = g_hash_table_lookup(parent->children, name);
	if (dir == NULL) {
		dir = ash_node_new(ASH_NODE_DIR, 0755);
		g_hash_table_insert(parent->children, g_strdup(name), dir);
	}
	if (dir->kind != ASH_NODE_DIR)
		return ash_throw(error, ASH_TREE_ERROR, ASH_TREE_ERROR_NOT_DIRECTORY,
				"'%s' is not a directory", path);
	*out_dir = dir;
	return TRUE;
}

/* The directory of the last component without making anything; NULL when there is none. */
static AshNode *find_parent(const AshTree *tree, const char *path, const char **out_name)
{
	size_t len = strlen(path);

	while (len > 0 && path[len - 1] == '/')
		len--;
	size_t begin = len;
	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	if (begin == len)
		return NULL;
	g_autofree char *parent = g_strndup(path, begin);
	*out_name = path + begin;
	AshNode *dir = ash_tree_find(tree, parent);
	return dir != NULL && dir->kind == ASH_NODE_DIR ? dir : NULL;
}

AshNode *ash_tree_steal(AshTree *tree, const char *path)
{
	const char *tail = NULL;
	AshNode *dir = find_parent(tree, path, &tail);
	gpointer key = NULL;
	gpointer node = NULL;

	if (dir == NULL)
		return NULL;
	g_autofree char *name = g_strndup(tail, strcspn(tail, "/"));
	if (!g_hash_table_steal_extended(dir->children, name, &key, &node))
		return NULL;
	g_free(key);
	return node;
}

bool ash_tree_remove(AshTree *tree, const char *path)
{
	g_autoptr(AshNode) node = ash_tree_steal(tree, path);

	return node != NULL;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

GPtrArray *ash_node_sorted_names(const AshNode *dir)
{
	GPtrArray *names = g_ptr_array_sized_new(g_hash_table_size(dir->children));
	GHashTableIter iter;
	gpointer name;

	g_hash_table_iter_init(&iter, dir->children);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		g_ptr_array_add(names, name);
	g_ptr_array_sort(names, compare_names);
	return names;
}

static gboolean walk(
		GString *path, AshNode *node, AshTreeVisit visit, gpointer data, GError **error)
{
	if (!visit(path->len == 0 ? "/" : path->str, node, data, error))
		return FALSE;
	if (node->kind != ASH_NODE_DIR)
		return TRUE;
	g_autoptr(GPtrArray) names = ash_node_sorted_names(node);
	gsize len = path->len;
	for (guint i = 0; i < names->len; i++) {
		g_string_append_c(path, '/');
		g_string_append(path, names->pdata[i]);
		AshNode *child = ash_node_child(node, names->pdata[i]);
		g_assert(child != NULL);
		if (!walk(path, child, visit, data, error))
			return FALSE;
		g_string_truncate(path, len);
	}
	return TRUE;
}

gboolean ash_tree_walk(const AshTree *tree, AshTreeVisit visit, gpointer data, GError **error)
{
	g_autoptr(GString) path = g_string_new("");

	return walk(path, tree->root, visit, data, error);
}

bool ash_node_equal(const AshNode *a, const AshNode *b)
{
	if (a->kind != b->kind || a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
		return false;
	if ((a->xattrs == NULL) != (b->xattrs == NULL) ||
			(a->xattrs != NULL && !g_variant_equal(a->xattrs, b->xattrs)))
		return false;
	if (a->kind == ASH_NODE_LINK)
		return strcmp(a->target, b->target) == 0;
	if (a->kind == ASH_NODE_FILE)
		return a->has_csum && b->has_csum &&
		       memcmp(a->csum, b->csum, ASH_TREE_CSUM_BYTES) == 0;
	return true;
}

static size_t count(const AshNode *node)
{
	size_t n = 0;
	GHashTableIter iter;
	gpointer child;

	if (node->kind != ASH_NODE_DIR)
		return 0;
	g_hash_table_iter_init(&iter, node->children);
	while (g_hash_table_iter_next(&iter, NULL, &child))
		n += 1 + count(child);
	return n;
}

size_t ash_tree_count(const AshTree *tree)
{
	return count(tree->root);
}
