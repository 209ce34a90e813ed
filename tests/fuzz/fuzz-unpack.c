/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "builder/deb.h"
#include "lib/auto.h"
#include "tests/lib/fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	/* What a small input may unpack to here, so that none takes the disk. */
	MAX_FILE_BYTES = 32 << 20,
	IMPORTS_PER_TRANSACTION = 2000,
};

static Fixture fixture;

static void tear_down(void)
{
	fixture_clear(&fixture);
}

static void set_up(void)
{
	static int count = 0;
	const struct rlimit limit = {MAX_FILE_BYTES, MAX_FILE_BYTES};

	if (fixture.repo == NULL) {
		fixture_init(&fixture);
		atexit(tear_down);
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
	} else if (++count % IMPORTS_PER_TRANSACTION == 0) {
		ash_repo_abort(fixture.repo);
		g_assert_true(ash_repo_begin(fixture.repo, NULL));
	}
}

static gboolean check_node(const char *path, AshNode *node, gpointer data, GError **error)
{
	int *depth = data;
	const char *name = strrchr(path, '/') + 1;

	g_assert_cmpint(path[0], ==, '/');
	g_assert_cmpstr(name, !=, "..");
	g_assert_cmpstr(name, !=, ".");
	g_assert_true(*name != '\0' || strcmp(path, "/") == 0);
	g_assert_true(node->kind != ASH_NODE_FILE || node->has_csum);
	g_assert_true(node->kind != ASH_NODE_LINK || node->target != NULL);
	g_assert_true((node->kind == ASH_NODE_DIR) == (node->children != NULL));
	g_assert_true((node->mode & ~07777U) == 0);
	*depth += 1;
	return TRUE;
}

/* The input is a package's data.tar. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GByteArray) deb = fixture_deb("pack", data, size);
	g_autoptr(AshTree) tree = NULL;
	g_autoptr(GError) error = NULL;
	uint64_t newest_s = 0;
	ash_autofd int fd = memfd_create("deb", MFD_CLOEXEC);

	set_up();
	g_assert_cmpint(fd, >=, 0);
	g_assert_true(ash_file_write_all(fd, deb->data, deb->len, NULL));
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	if (!ash_deb_import(fixture.repo, path, NULL, "input", &tree, &newest_s, &error)) {
		g_assert_null(tree);
		g_assert_nonnull(error);
		return 0;
	}
	int nodes = 0;
	g_assert_true(ash_tree_walk(tree, check_node, &nodes, NULL));
	/* Beside "data" nothing but "control" with one file. */
	g_assert_cmpuint(g_hash_table_size(tree->root->children), ==, 2);
	g_assert_cmpint(ash_tree_find(tree, "data")->kind, ==, ASH_NODE_DIR);
	g_assert_cmpuint(g_hash_table_size(ash_tree_find(tree, "control")->children), ==, 1);
	return 0;
}
