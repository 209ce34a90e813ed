/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/tree.h"

#include <string.h>

static AshNode *link_to(const char *target)
{
	AshNode *node = ash_node_new(ASH_NODE_LINK, 0777);

	node->target = g_strdup(target);
	return node;
}

static void put(AshTree *tree, const char *path, AshNode *take_node)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_tree_insert(tree, path, take_node, &error));
	g_assert_no_error(error);
}

static void refuse(AshTree *tree, const char *path, int code)
{
	g_autoptr(GError) error = NULL;
	AshNode *dir = NULL;

	g_assert_false(ash_tree_insert(tree, path, ash_node_new(ASH_NODE_FILE, 0644), &error));
	g_assert_error(error, ASH_TREE_ERROR, code);
	g_clear_error(&error);
	if (strspn(path, "/") == strlen(path))
		return;
	g_assert_false(ash_tree_ensure_dir(tree, path, &dir, &error));
	g_assert_error(error, ASH_TREE_ERROR, code);
	g_assert_null(dir);
}

static void test_paths(void)
{
	g_autoptr(AshTree) tree = ash_tree_new();
	AshNode *dir = NULL;
	g_autoptr(GError) error = NULL;

	put(tree, "/usr/bin/x", ash_node_new(ASH_NODE_FILE, 0755));
	put(tree, "usr//share/", ash_node_new(ASH_NODE_DIR, 0700));
	g_assert_cmpuint(ash_tree_count(tree), ==, 4);
	g_assert_nonnull(ash_tree_find(tree, "usr/bin/x"));
	g_assert_true(ash_tree_find(tree, "/usr/bin") == ash_tree_find(tree, "usr//bin/"));
	g_assert_true(ash_tree_find(tree, "/") == tree->root);
	g_assert_cmpuint(ash_tree_find(tree, "usr/share")->mode, ==, 0700);
	g_assert_cmpuint(ash_tree_find(tree, "usr/bin")->mode, ==, 0755);
	g_assert_null(ash_tree_find(tree, "usr/bin/x/y"));
	g_assert_null(ash_tree_find(tree, "usr/../usr"));
	g_assert_null(ash_tree_find(tree, "."));
	g_assert_true(ash_tree_ensure_dir(tree, "//", &dir, &error));
	g_assert_true(dir == tree->root);
	g_assert_true(ash_tree_ensure_dir(tree, "/usr/share", &dir, &error));
	g_assert_cmpuint(dir->mode, ==, 0700);
}

static void test_bad_paths(void)
{
	g_autoptr(AshTree) tree = ash_tree_new();
	g_autofree char *long_name = g_strnfill(256, 'a');
	g_autofree char *good_name = g_strnfill(255, 'a');

	refuse(tree, "..", ASH_TREE_ERROR_BAD_PATH);
	refuse(tree, "a/../b", ASH_TREE_ERROR_BAD_PATH);
	refuse(tree, "a/..", ASH_TREE_ERROR_BAD_PATH);
	refuse(tree, "./a", ASH_TREE_ERROR_BAD_PATH);
	refuse(tree, "", ASH_TREE_ERROR_BAD_PATH);
	refuse(tree, "/", ASH_TREE_ERROR_BAD_PATH);
	refuse(tree, long_name, ASH_TREE_ERROR_BAD_PATH);
	put(tree, good_name, ash_node_new(ASH_NODE_FILE, 0644));
}

static void test_not_directory(void)
{
	g_autoptr(AshTree) tree = ash_tree_new();
	g_autoptr(GError) error = NULL;
	AshNode *dir = NULL;

	put(tree, "file", ash_node_new(ASH_NODE_FILE, 0644));
	put(tree, "link", link_to("/"));
	refuse(tree, "file/x", ASH_TREE_ERROR_NOT_DIRECTORY);
	refuse(tree, "link/x", ASH_TREE_ERROR_NOT_DIRECTORY);
	g_assert_false(ash_tree_ensure_dir(tree, "file", &dir, &error));
	g_assert_error(error, ASH_TREE_ERROR, ASH_TREE_ERROR_NOT_DIRECTORY);
}

static void test_depth(void)
{
	g_autoptr(AshTree) tree = ash_tree_new();
	g_autoptr(GString) path = g_string_new("0");

	for (int i = 1; i <= ASH_TREE_MAX_DEPTH; i++)
		g_string_append_printf(path, "/%d", i);
	put(tree, path->str, ash_node_new(ASH_NODE_FILE, 0644));
	g_string_append(path, "/more");
	refuse(tree, path->str, ASH_TREE_ERROR_TOO_DEEP);
}

static void check_resolve(const AshTree *tree, const char *path, const char *expected)
{
	g_autofree char *real = NULL;
	const AshNode *node = ash_tree_resolve(tree, path, &real);

	g_assert_cmpstr(real, ==, expected);
	g_assert_true((node == NULL) == (expected == NULL));
	if (expected != NULL)
		g_assert_true(node == ash_tree_find(tree, expected));
}

static void test_resolve(void)
{
	g_autoptr(AshTree) tree = ash_tree_new();

	put(tree, "usr/bin/tool", ash_node_new(ASH_NODE_FILE, 0755));
	put(tree, "bin", link_to("usr/bin"));
	put(tree, "sbin", link_to("/bin"));
	put(tree, "usr/bin/alias", link_to("tool"));
	put(tree, "usr/bin/up", link_to("../../bin/alias"));
	put(tree, "usr/out", link_to("../../../../usr"));
	put(tree, "loop", link_to("loop"));
	put(tree, "dangling", link_to("nowhere"));
	check_resolve(tree, "/", "/");
	check_resolve(tree, "bin/tool", "/usr/bin/tool");
	check_resolve(tree, "sbin/alias", "/usr/bin/tool");
	check_resolve(tree, "/bin/up", "/usr/bin/tool");
	check_resolve(tree, "usr/out/bin/./tool", "/usr/bin/tool");
	check_resolve(tree, "bin/..", "/usr");
	check_resolve(tree, "loop", NULL);
	check_resolve(tree, "dangling", NULL);
	check_resolve(tree, "usr/bin/tool/x", NULL);
}

static void test_remove(void)
{
	g_autoptr(AshTree) tree = ash_tree_new();

	put(tree, "a/b/c", ash_node_new(ASH_NODE_FILE, 0644));
	g_autoptr(AshNode) stolen = ash_tree_steal(tree, "/a/b/");
	g_assert_nonnull(stolen);
	g_assert_nonnull(ash_node_child(stolen, "c"));
	g_assert_null(ash_tree_find(tree, "a/b"));
	g_assert_nonnull(ash_tree_find(tree, "a"));
	g_assert_false(ash_tree_remove(tree, "a/b"));
	g_assert_false(ash_tree_remove(tree, "no/where"));
	g_assert_false(ash_tree_remove(tree, "/"));
	g_assert_true(ash_tree_remove(tree, "a"));
	g_assert_cmpuint(ash_tree_count(tree), ==, 0);
}

static gboolean append_path(const char *path, AshNode *node, gpointer data, GError **error)
{
	g_string_append_printf(data, "%s\n", path);
	return strcmp(path, "/b/stop") != 0;
}

static void test_walk(void)
{
	g_autoptr(AshTree) tree = ash_tree_new();
	g_autoptr(GString) paths = g_string_new("");

	put(tree, "b/z", ash_node_new(ASH_NODE_FILE, 0644));
	put(tree, "a", ash_node_new(ASH_NODE_FILE, 0644));
	put(tree, "b/Z", ash_node_new(ASH_NODE_FILE, 0644));
	g_assert_true(ash_tree_walk(tree, append_path, paths, NULL));
	g_assert_cmpstr(paths->str, ==, "/\n/a\n/b\n/b/Z\n/b/z\n");
	put(tree, "b/stop", ash_node_new(ASH_NODE_FILE, 0644));
	g_string_truncate(paths, 0);
	g_assert_false(ash_tree_walk(tree, append_path, paths, NULL));
	g_assert_cmpstr(paths->str, ==, "/\n/a\n/b\n/b/Z\n/b/stop\n");
}

static void test_copy_and_equal(void)
{
	g_autoptr(AshTree) tree = ash_tree_new();
	AshNode *file = ash_node_new(ASH_NODE_FILE, 0644);

	file->has_csum = true;
	file->csum[0] = 7;
	file->xattrs = g_variant_ref_sink(g_variant_new_parsed("[(b'a', b'b')]"));
	put(tree, "dir/file", file);
	put(tree, "dir/link", link_to("file"));
	g_autoptr(AshTree) copy = ash_tree_copy(tree);
	AshNode *other = ash_tree_find(copy, "dir/file");
	g_assert_true(other != file);
	g_assert_true(ash_node_equal(file, other));
	g_assert_true(ash_node_equal(
			ash_tree_find(tree, "dir/link"), ash_tree_find(copy, "dir/link")));
	g_assert_false(ash_node_equal(file, ash_tree_find(copy, "dir/link")));
	other->uid = 1;
	g_assert_false(ash_node_equal(file, other));
	other->uid = 0;
	other->csum[31] = 1;
	g_assert_false(ash_node_equal(file, other));
	other->csum[31] = 0;
	other->has_csum = false;
	g_assert_false(ash_node_equal(file, other));
	other->has_csum = true;
	g_clear_pointer(&other->xattrs, g_variant_unref);
	g_assert_false(ash_node_equal(file, other));
	g_assert_true(ash_tree_remove(copy, "dir"));
	g_assert_nonnull(ash_tree_find(tree, "dir/file"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/tree/paths", test_paths);
	g_test_add_func("/tree/bad-paths", test_bad_paths);
	g_test_add_func("/tree/not-directory", test_not_directory);
	g_test_add_func("/tree/depth", test_depth);
	g_test_add_func("/tree/resolve", test_resolve);
	g_test_add_func("/tree/remove", test_remove);
	g_test_add_func("/tree/walk", test_walk);
	g_test_add_func("/tree/copy-and-equal", test_copy_and_equal);
	return g_test_run();
}
