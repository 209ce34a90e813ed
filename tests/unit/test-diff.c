/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/diff.h"

static void set(GHashTable *table, const char *key, const char *value)
{
	g_hash_table_insert(table, g_strdup(key), g_strdup(value));
}

static char *format(const GPtrArray *changes)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < changes->len; i++) {
		const AshDiffChange *change = changes->pdata[i];
		g_string_append_printf(text, "%s:%s:%s ", change->key,
				change->from != NULL ? change->from : "-",
				change->to != NULL ? change->to : "-");
	}
	return g_string_free(text, FALSE);
}

static void test_like(void)
{
	g_autoptr(AshDiffSide) a = ash_diff_side_new(ASH_DIFF_LOCK, "a");
	g_autoptr(AshDiffSide) b = ash_diff_side_new(ASH_DIFF_LOCK, "b");

	set(a->fields, "suite", "trixie");
	set(b->fields, "suite", "forky");
	set(b->fields, "variant", "x");
	set(a->packages, "bash", "1");
	set(b->packages, "bash", "1");
	set(a->packages, "zsh", "1");
	g_autoptr(AshDiff) diff = ash_diff_new(a, b);
	g_autofree char *fields = format(diff->fields);
	g_autofree char *packages = format(diff->packages);
	g_assert_cmpstr(fields, ==, "suite:trixie:forky variant:-:x ");
	g_assert_cmpstr(packages, ==, "zsh:1:- ");
	g_assert_null(diff->files);
	g_assert_false(ash_diff_is_empty(diff));
	g_autoptr(AshDiff) none = ash_diff_new(a, a);
	g_assert_true(ash_diff_is_empty(none));
}

/* Between kinds, what one side does not know is no difference. */
static void test_unlike(void)
{
	g_autoptr(AshDiffSide) manifest = ash_diff_side_new(ASH_DIFF_MANIFEST, "a");
	g_autoptr(AshDiffSide) lock = ash_diff_side_new(ASH_DIFF_LOCK, "b");

	set(manifest->fields, "name", "x");
	set(manifest->fields, "inputs", "1");
	set(lock->fields, "inputs", "2");
	set(manifest->arguments, "quiet", "");
	set(manifest->packages, "bash", "");
	set(manifest->packages, "mail-transport-agent", "");
	set(lock->packages, "bash", "1");
	set(lock->packages, "libc6", "1");
	g_autoptr(AshDiff) diff = ash_diff_new(manifest, lock);
	g_autofree char *fields = format(diff->fields);
	g_autofree char *packages = format(diff->packages);
	g_assert_cmpstr(fields, ==, "inputs:1:2 ");
	g_assert_cmpstr(packages, ==, "mail-transport-agent::- ");
	g_assert_cmpuint(diff->arguments->len, ==, 0);

	g_autoptr(AshDiff) swapped = ash_diff_new(lock, manifest);
	g_autofree char *other = format(swapped->packages);
	g_assert_cmpstr(other, ==, "mail-transport-agent:-: ");

	/* Solved from this very manifest: the name is a virtual one. */
	set(lock->fields, "inputs", "1");
	g_autoptr(AshDiff) same = ash_diff_new(manifest, lock);
	g_assert_true(ash_diff_is_empty(same));
}

static void add_file(AshTree *tree, const char *path, uint64_t size)
{
	AshNode *node = ash_node_new(ASH_NODE_FILE, 0644);

	node->size = size;
	node->has_csum = true;
	memset(node->csum, (int) size, sizeof node->csum);
	g_assert_true(ash_tree_insert(tree, path, node, NULL));
}

static void test_files(void)
{
	g_autoptr(AshDiffSide) a = ash_diff_side_new(ASH_DIFF_COMMIT, "a");
	g_autoptr(AshDiffSide) b = ash_diff_side_new(ASH_DIFF_IMAGE, "b");

	a->tree = ash_tree_new();
	b->tree = ash_tree_new();
	add_file(a->tree, "/usr/same", 5);
	add_file(b->tree, "/usr/same", 5);
	add_file(a->tree, "/usr/shrunk", 100);
	add_file(b->tree, "/usr/shrunk", 10);
	add_file(a->tree, "/was/dir", 1);
	add_file(b->tree, "/was", 40);
	add_file(b->tree, "/xyz/new", 2);
	add_file(a->tree, "/zyx/old", 1);
	g_autoptr(AshDiff) diff = ash_diff_new(a, b);
	g_autofree char *files = format(diff->files);
	g_assert_cmpstr(files, ==,
			"/usr/shrunk:: /was:directory:file /was/dir:file:- /xyz:-:directory "
			"/xyz/new:-:file /zyx:directory:- /zyx/old:file:- ");
	g_assert_cmpuint(diff->from_bytes, ==, 107);
	g_assert_cmpuint(diff->to_bytes, ==, 57);
	g_autoptr(GPtrArray) largest = ash_diff_largest_files(diff);
	g_assert_cmpstr(((AshDiffChange *) largest->pdata[0])->key, ==, "/usr/shrunk");
	g_assert_cmpstr(((AshDiffChange *) largest->pdata[1])->key, ==, "/was");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/diff/like", test_like);
	g_test_add_func("/diff/unlike", test_unlike);
	g_test_add_func("/diff/files", test_files);
	return g_test_run();
}
