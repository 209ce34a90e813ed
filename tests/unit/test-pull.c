/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/bundle.h"
#include "agent/pull-object.h"
#include "agent/staging.h"
#include "lib/auto.h"
#include "lib/file.h"

/* What is parsed and proven of objects, and what may lie in staging. Pulling itself is
 * tests/integration/fetch.sh.
 */

#define X64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void count_kind(AshObjectKind kind, const char *checksum, gpointer data)
{
	guint *counts = data;

	g_assert_true(ash_object_is_checksum(checksum));
	counts[kind]++;
}

static void test_tree(void)
{
	guint8 digest[ASH_OBJECT_CHECKSUM_BYTES] = {1};
	g_autoptr(GError) error = NULL;

	for (gsize length = 31; length <= 33; length++) {
		guint8 longer[33] = {2};
		guint counts[4] = {0};
		GVariantBuilder files;
		GVariantBuilder dirs;
		g_variant_builder_init(&files, G_VARIANT_TYPE("a(say)"));
		g_variant_builder_init(&dirs, G_VARIANT_TYPE("a(sayay)"));
		g_variant_builder_add(&files, "(s@ay)", "a",
				g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, digest, 32, 1));
		g_variant_builder_add(&dirs, "(s@ay@ay)", "b",
				g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, digest, 32, 1),
				g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, longer, length, 1));
		g_autoptr(GVariant) tree = g_variant_ref_sink(
				g_variant_new("(a(say)a(sayay))", &files, &dirs));
		g_autoptr(GBytes) bytes = g_variant_get_data_as_bytes(tree);
		gboolean is_ok = ash_object_visit(
				ASH_OBJECT_DIRTREE, bytes, count_kind, counts, &error);
		g_assert_cmpint(is_ok, ==, length == 32);
		if (is_ok) {
			g_assert_cmpuint(counts[ASH_OBJECT_FILE], ==, 1);
			g_assert_cmpuint(counts[ASH_OBJECT_DIRTREE], ==, 1);
			g_assert_cmpuint(counts[ASH_OBJECT_DIRMETA], ==, 1);
		} else {
			g_assert_error(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_SYNTAX);
			g_clear_error(&error);
		}
	}
}

static void test_paths(void)
{
	static const struct {
		const char *path;
		bool is_path;
		uint64_t max; /* in a bundle */
	} rows[] = {
			{"metadata/timestamp.json", true, 5 << 20},
			{"metadata/12.root.json", true, 5 << 20},
			{"metadata/x.json", true, 0},
			{"metadata/1.Root.json", true, 0},
			{"metadata/12345678901.root.json", true, 0},
			{"metadata/a/1.root.json", true, 0},
			{"targets/host/x.json", true, 1 << 20},
			{"targets/host/x", true, 0},
			{"targets/../x.json", false, 0},
			{"/targets/x.json", false, 0},
			{"targets//x.json", false, 0},
			{"targets/.x.json", false, 0},
			{"targets/x\n.json", false, 0},
			{"", false, 0},
			{"deltas/" X64 "-" X64 ".delta", true, ASH_BUNDLE_MAX_FILE_BYTES},
			{"deltas/" X64 ".delta", true, 0},
			{"oci/blobs/sha256/" X64, true, ASH_BUNDLE_MAX_FILE_BYTES},
			{"oci/blobs/sha256/" X64 "0", true, 0},
			{"oci/blobs/sha256/x", true, 0},
			{"oci/blobs/" X64, true, 0},
			{"repo/config", true, 0},
			{"repo/objects/" X64 ".filez", true, 0},
			{"repo/objects/01/"
			 "23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.filez",
					true, ASH_BUNDLE_MAX_FILE_BYTES},
			{"repo/objects/01/"
			 "23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01.filez",
					true, 0},
			{"repo/objects/01/"
			 "23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.commit",
					true, 10 << 20},
			{"repo/objects/01/"
			 "23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sig",
					true, 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_assert_cmpint(ash_staging_is_path(rows[i].path), ==, rows[i].is_path);
		g_assert_cmpuint(ash_bundle_entry_max(rows[i].path), ==, rows[i].max);
	}
}

static void test_staging(void)
{
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "test-pull", &dir, &error));
	g_assert_true(ash_file_ensure_dir(dir->fd, "a", 0755, &error));
	g_assert_true(ash_file_replace(dir->fd, "a/file", "12345", 5, 0644, &error));
	g_assert_cmpint(symlinkat("file", dir->fd, "a/link"), ==, 0);
	g_assert_cmpint(symlinkat("a", dir->fd, "b"), ==, 0);
	g_assert_cmpint(mkfifoat(dir->fd, "a/pipe", 0644), ==, 0);

	const struct {
		const char *path;
		size_t max;
		int code; /* -1: fine */
	} rows[] = {
			{"a/file", 5, -1},
			{"a/file", 4, ASH_STAGING_ERROR_TOO_BIG},
			{"a/none", 5, ASH_STAGING_ERROR_MISSING},
			{"c/file", 5, ASH_STAGING_ERROR_MISSING},
			{"a/link", 5, ASH_STAGING_ERROR_KIND},
			{"b/file", 5, ASH_STAGING_ERROR_KIND},
			{"a/pipe", 5, ASH_STAGING_ERROR_KIND},
			{"a", 5, ASH_STAGING_ERROR_KIND},
			{"../a/file", 5, ASH_STAGING_ERROR_NAME},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		gboolean is_ok = ash_staging_read(
				dir->fd, rows[i].path, rows[i].max, &bytes, &error);
		g_assert_cmpint(is_ok, ==, rows[i].code < 0);
		if (!is_ok)
			g_assert_error(error, ASH_STAGING_ERROR, rows[i].code);
		g_clear_error(&error);
		g_clear_pointer(&bytes, g_bytes_unref);
	}
	g_assert_false(ash_staging_check_space(dir->fd, UINT64_MAX / 2, &error));
	g_assert_error(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_SPACE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/pull/tree", test_tree);
	g_test_add_func("/pull/paths", test_paths);
	g_test_add_func("/pull/staging", test_staging);
	return g_test_run();
}
