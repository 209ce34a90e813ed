/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "agent/space.h"
#include "agent/worker.h"

#define MIB ((uint64_t) 1 << 20)

static void test_unpacked(void)
{
	/* Twice the tree's ratio, at most the tree; without figures the tree. */
	g_assert_cmpuint(ash_space_unpacked(10 * MIB, 100 * MIB, 200 * MIB), ==, 40 * MIB);
	g_assert_cmpuint(ash_space_unpacked(80 * MIB, 100 * MIB, 200 * MIB), ==, 200 * MIB);
	g_assert_cmpuint(ash_space_unpacked(0, 100 * MIB, 200 * MIB), ==, 0);
	g_assert_cmpuint(ash_space_unpacked(1, 0, 200 * MIB), ==, 200 * MIB);
}

static void test_need(void)
{
	const AshSpacePlan plan = {
			.objects = 100,
			.object_bytes = 10 * MIB,
			.copy_bytes = 2 * MIB,
			.dirs = 50,
			.files = 1000,
			.etc_bytes = MIB,
			.etc_inodes = 30,
			.boot_bytes = 20 * MIB,
			.root_bytes = 1000 * MIB,
			.esp_cluster = 4096,
	};
	AshSpace need = ash_space_need(&plan);

	/* Content, a block for each object and directory, 3 % that libostree keeps free. */
	g_assert_cmpuint(need.root_bytes, >=, 13 * MIB + 150 * 4096 + 29 * MIB);
	g_assert_cmpuint(need.root_bytes, <=, 13 * MIB + 150 * 4096 + 32 * MIB);
	g_assert_cmpuint(need.root_inodes, >=, 180);
	g_assert_cmpuint(need.root_inodes, <=, 300);
	g_assert_cmpuint(need.esp_bytes, >=, 20 * MIB + 3 * 4096);
	g_assert_cmpuint(need.esp_bytes, <=, 21 * MIB);

	/* Whatever a document says, the sum does not wrap. */
	AshSpacePlan big = plan;
	big.object_bytes = big.objects = big.boot_bytes = UINT64_MAX;
	need = ash_space_need(&big);
	g_assert_cmpuint(need.root_bytes, >=, INT64_MAX);
	g_assert_cmpuint(need.root_inodes, >=, INT64_MAX);
	g_assert_cmpuint(need.esp_bytes, >=, INT64_MAX);
}

static void test_check(void)
{
	static const struct {
		AshSpace need, has;
		const char *text; /* NULL: it fits */
	} rows[] = {
			{{1000, 10, 100}, {1000, 10, 100}, NULL},
			{{1001, 10, 100}, {1000, 10, 100},
					"root needs 1.0 kB (1001 bytes) and 10 inodes, has 1.0 kB and "
					"10 inodes: free 1 B ("},
			{{1000, 11, 100}, {1000, 9, 100},
					"root needs 1.0 kB (1000 bytes) and 11 inodes, has 1.0 kB and "
					"9 inodes: free 2 inodes ("},
			{{61200000, 812, 0}, {12000000, 400, 0},
					"root needs 61.2 MB (61200000 bytes) and 812 inodes, has 12.0 MB "
					"and 400 inodes: free 49.2 MB and 412 inodes ("},
			{{0, 0, 2000}, {0, 0, 500},
					"the ESP needs 2.0 kB (2000 bytes), has 500 B: free 1.5 kB ("},
			{{2, 0, 2}, {1, 0, 1},
					"root needs 2 B (2 bytes), has 1 B: free 1 B; the ESP needs 2 B "
					"(2 bytes), has 1 B: free 1 B ("},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		gboolean ok = ash_space_check(&rows[i].need, &rows[i].has, &error);
		if (rows[i].text == NULL) {
			g_assert_no_error(error);
			g_assert_true(ok);
			continue;
		}
		g_assert_false(ok);
		g_assert_error(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_SPACE);
		g_test_message("%s", error->message);
		g_assert_true(g_str_has_prefix(error->message, rows[i].text));
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/space/unpacked", test_unpacked);
	g_test_add_func("/space/need", test_need);
	g_test_add_func("/space/check", test_check);
	return g_test_run();
}
