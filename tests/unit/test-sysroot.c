/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/sysroot.h"

#include <string.h>

#include "lib/crypto.h"

#define COMMIT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BOOT "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define DEPLOYMENT "/ostree/deploy/ashlar/deploy/" COMMIT ".0"

static AshNode *node_new(AshNodeKind kind, const char *content)
{
	AshNode *node = ash_node_new(kind, kind == ASH_NODE_FILE ? 0644 : 0777);

	ash_sha256(content, strlen(content), node->csum);
	node->has_csum = true;
	node->size = strlen(content);
	if (kind == ASH_NODE_LINK)
		node->target = g_strdup(content);
	return node;
}

static void put(AshTree *tree, const char *path, AshNode *take_node)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_tree_insert(tree, path, take_node, &error));
}

static AshTree *small_tree(void)
{
	AshTree *tree = ash_tree_new();

	put(tree, "/usr/bin/a", node_new(ASH_NODE_FILE, "same"));
	put(tree, "/usr/bin/b", node_new(ASH_NODE_FILE, "same"));
	put(tree, "/usr/etc/conf", node_new(ASH_NODE_FILE, "conf"));
	put(tree, "/bin", node_new(ASH_NODE_LINK, "usr/bin"));
	return tree;
}

static gboolean add_object(const char *path, AshNode *node, gpointer data, GError **error)
{
	GHashTable *names = data;

	if (node->kind == ASH_NODE_DIR || !node->has_csum)
		return TRUE;
	g_autofree char *hex = ash_sha256_format(node->csum);
	g_hash_table_add(names, g_strdup_printf("%.2s/%s.file", hex, hex + 2));
	return TRUE;
}

static int compare_text(gconstpointer a, gconstpointer b)
{
	return strcmp(a, b);
}

static GPtrArray *objects_of(const AshTree *tree)
{
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GPtrArray *objects =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_sysroot_object_free);
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_tree_walk(tree, add_object, names, &error));
	g_hash_table_add(names, g_strdup("01/23.commit"));
	g_autoptr(GList) sorted = g_list_sort(g_hash_table_get_keys(names), compare_text);
	for (const GList *item = sorted; item != NULL; item = item->next)
		g_ptr_array_add(objects, ash_sysroot_object_new(item->data, 7));
	return objects;
}

static AshSysrootInput input_for(const AshTree *tree, const GPtrArray *objects)
{
	return (AshSysrootInput){.tree = tree,
			.objects = objects,
			.commit = COMMIT,
			.ref = "host/x",
			.title = "T",
			.version = "1",
			.kernel_release = "6.1",
			.boot_checksum = BOOT,
			.kernel_options = "quiet",
			.source_prefix = "objects/"};
}

static const AshExt4Inode *find(const GPtrArray *inodes, const char *path, guint *out_index)
{
	g_auto(GStrv) parts = g_strsplit(path + 1, "/", -1);
	guint index = 0;

	for (char **part = parts; *part != NULL; part++) {
		const AshExt4Inode *dir = inodes->pdata[index];
		guint i = 0;
		g_assert_cmpint(dir->kind, ==, ASH_NODE_DIR);
		for (; i < dir->names->len; i++)
			if (strcmp(g_array_index(dir->names, AshExt4Name, i).name, *part) == 0)
				break;
		if (i == dir->names->len)
			return NULL;
		index = g_array_index(dir->names, AshExt4Name, i).inode;
	}
	if (out_index != NULL)
		*out_index = index;
	return inodes->pdata[index];
}

static char *text_at(const GPtrArray *inodes, const char *path)
{
	const AshExt4Inode *inode = find(inodes, path, NULL);

	g_assert_nonnull(inode);
	if (inode->kind == ASH_NODE_LINK)
		return g_strdup(inode->target);
	gsize size = 0;
	const char *data = g_bytes_get_data(inode->content, &size);
	return g_strndup(data, size);
}

static GPtrArray *plan_small(void)
{
	g_autoptr(AshTree) tree = small_tree();
	g_autoptr(GPtrArray) objects = objects_of(tree);
	AshSysrootInput input = input_for(tree, objects);
	g_autoptr(GError) error = NULL;
	GPtrArray *inodes = NULL;

	g_assert_true(ash_sysroot_plan(&input, &inodes, &error));
	return inodes;
}

/* libostree follows the loader entry through boot.0; the firmware's entry goes by by-commit. */
static void test_links(void)
{
	static const struct {
		const char *path;
		const char *text;
	} cases[] = {
			{"/boot/loader", "loader.0"},
			{"/ostree/boot.0", "boot.0.0"},
			{"/ostree/boot.0.0/ashlar/" BOOT "/0",
					"../../../deploy/ashlar/deploy/" COMMIT ".0"},
			{"/ostree/by-commit/" COMMIT ".0", "../deploy/ashlar/deploy/" COMMIT ".0"},
			{"/ostree/repo/refs/heads/host/x", COMMIT "\n"},
			{"/ostree/repo/refs/heads/ostree/0/0/0", COMMIT "\n"},
			{DEPLOYMENT ".origin", "[origin]\nrefspec=host/x\n"},
			{"/boot/loader.0/entries/ostree-1.conf",
					"title T\nversion 1\n"
					"options quiet ostree=/ostree/boot.0/ashlar/" BOOT "/0\n"
					"linux /ostree/ashlar-" BOOT "/vmlinuz-6.1\n"
					"initrd /ostree/ashlar-" BOOT "/initramfs-6.1.img\n"},
	};
	g_autoptr(GPtrArray) inodes = plan_small();

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = text_at(inodes, cases[i].path);
		g_assert_cmpstr(text, ==, cases[i].text);
	}
	g_autofree char *argument = ash_sysroot_ostree_argument(COMMIT);
	g_assert_cmpstr(argument, ==, "/ostree/by-commit/" COMMIT ".0");
}

static void test_hard_links(void)
{
	g_autoptr(GPtrArray) inodes = plan_small();
	guint a = 0, b = 0, conf = 0, etc_conf = 0;

	g_assert_nonnull(find(inodes, DEPLOYMENT "/usr/bin/a", &a));
	g_assert_nonnull(find(inodes, DEPLOYMENT "/usr/bin/b", &b));
	g_assert_cmpuint(a, ==, b);
	const AshExt4Inode *shared = inodes->pdata[a];
	g_assert_cmpuint(shared->links, ==, 3); /* the object's name too */
	g_autofree char *object = g_strconcat("/ostree/repo/", shared->source, NULL);
	guint named = 0;
	g_assert_nonnull(find(inodes, object, &named));
	g_assert_cmpuint(named, ==, a);

	/* What is written to /etc must not reach the object. */
	g_assert_nonnull(find(inodes, DEPLOYMENT "/usr/etc/conf", &conf));
	g_assert_nonnull(find(inodes, DEPLOYMENT "/etc/conf", &etc_conf));
	g_assert_cmpuint(conf, !=, etc_conf);
	g_assert_cmpuint(((const AshExt4Inode *) inodes->pdata[etc_conf])->links, ==, 1);

	const AshExt4Inode *commit = find(inodes, "/ostree/repo/objects/01/23.commit", NULL);
	g_assert_cmpuint(commit->size, ==, 7);
	g_assert_true(find(inodes, DEPLOYMENT, NULL)->is_immutable);
	g_assert_false(find(inodes, DEPLOYMENT "/usr", NULL)->is_immutable);
}

static void test_sorted(void)
{
	g_autoptr(GPtrArray) inodes = plan_small();

	for (guint i = 0; i < inodes->len; i++) {
		const AshExt4Inode *dir = inodes->pdata[i];
		for (guint j = 1; dir->names != NULL && j < dir->names->len; j++)
			g_assert_cmpstr(g_array_index(dir->names, AshExt4Name, j - 1).name, <,
					g_array_index(dir->names, AshExt4Name, j).name);
	}
}

static void plan_fails(const AshTree *tree, const GPtrArray *objects, int code)
{
	AshSysrootInput input = input_for(tree, objects);
	g_autoptr(GError) error = NULL;
	GPtrArray *inodes = NULL;

	g_assert_false(ash_sysroot_plan(&input, &inodes, &error));
	g_assert_error(error, ASH_SYSROOT_ERROR, code);
	g_assert_null(inodes);
}

static void test_errors(void)
{
	g_autoptr(AshTree) empty = ash_tree_new();
	g_autoptr(GPtrArray) none = objects_of(empty);
	plan_fails(empty, none, ASH_SYSROOT_ERROR_LAYOUT);

	g_autoptr(AshTree) tree = small_tree();
	plan_fails(tree, none, ASH_SYSROOT_ERROR_OBJECTS);
	g_autoptr(GPtrArray) objects = objects_of(tree);
	g_ptr_array_add(objects, ash_sysroot_object_new("ff/00.file", 0));
	plan_fails(tree, objects, ASH_SYSROOT_ERROR_OBJECTS);

	g_autoptr(AshTree) both = small_tree();
	put(both, "/etc/conf", node_new(ASH_NODE_FILE, "conf"));
	g_autoptr(GPtrArray) both_objects = objects_of(both);
	plan_fails(both, both_objects, ASH_SYSROOT_ERROR_LAYOUT);
}

/* ext4 ends at 65000 links to one file; thousands of empty files are not unheard of. */
static void test_many_links(void)
{
	g_autoptr(AshTree) tree = small_tree();

	for (int i = 0; i < ASH_EXT4_MAX_LINKS + 10; i++) {
		g_autofree char *path = g_strdup_printf("/usr/share/%05d", i);
		put(tree, path, node_new(ASH_NODE_FILE, ""));
	}
	g_autoptr(GPtrArray) objects = objects_of(tree);
	AshSysrootInput input = input_for(tree, objects);
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) inodes = NULL;
	g_assert_true(ash_sysroot_plan(&input, &inodes, &error));
	for (guint i = 0; i < inodes->len; i++)
		g_assert_cmpuint(((const AshExt4Inode *) inodes->pdata[i])->links, <=,
				ASH_EXT4_MAX_LINKS);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
	g_test_add_func("/sysroot/links", test_links);
	g_test_add_func("/sysroot/hard-links", test_hard_links);
	g_test_add_func("/sysroot/sorted", test_sorted);
	g_test_add_func("/sysroot/errors", test_errors);
	g_test_add_func("/sysroot/many-links", test_many_links);
	return g_test_run();
}
