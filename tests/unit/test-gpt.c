/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/gpt.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/file.h"
#include "lib/spawn.h"

static void test_uuid(void)
{
	g_autofree char *a = ash_gpt_uuid("seed", "disk");
	g_autofree char *again = ash_gpt_uuid("seed", "disk");
	g_autofree char *other = ash_gpt_uuid("seed", "root");
	g_autofree char *other_seed = ash_gpt_uuid("seed2", "disk");

	g_assert_cmpstr(a, ==, again);
	g_assert_cmpstr(a, !=, other);
	g_assert_cmpstr(a, !=, other_seed);
	g_assert_cmpuint(strlen(a), ==, 36);
	g_assert_cmpint(a[14], ==, '8'); /* version */
	g_assert_nonnull(strchr("89ab", a[19]));
	g_assert_true(g_uuid_string_is_valid(a));
}

static void fill(AshGptPartition *partition, const char *label, uint64_t start_mib, uint64_t mib)
{
	partition->type = ASH_GPT_TYPE_ESP;
	partition->uuid = ash_gpt_uuid("seed", label);
	partition->label = label;
	partition->start_bytes = start_mib * ASH_GPT_MIB;
	partition->size_bytes = mib * ASH_GPT_MIB;
}

static void test_script(void)
{
	AshGptPartition partition = {0};

	fill(&partition, "one", 1, 2);
	g_autofree char *uuid = partition.uuid;
	g_autofree char *script = ash_gpt_script("d", &partition, 1);
	g_autofree char *wanted =
			g_strdup_printf("label: gpt\nlabel-id: d\nunit: sectors\n"
					"sector-size: 512\nfirst-lba: 2048\n\n"
					"start=2048, size=4096, "
					"type=" ASH_GPT_TYPE_ESP ", uuid=%s, name=\"one\"\n",
					uuid);
	g_assert_cmpstr(script, ==, wanted);
}

static void make_table(const char *path)
{
	g_autoptr(GError) error = NULL;
	AshGptPartition partitions[2] = {0};
	g_autofree char *disk_uuid = ash_gpt_uuid("seed", "disk");
	ash_autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(ftruncate(fd, 64 << 20), ==, 0);
	fill(&partitions[0], "one", 1, 8);
	fill(&partitions[1], "two", 9, 16);
	g_assert_true(ash_gpt_write(path, disk_uuid, partitions, 2, &error));
	g_free(partitions[0].uuid);
	g_free(partitions[1].uuid);
}

static void test_write(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(GBytes) a_bytes = NULL;
	g_autoptr(GBytes) b_bytes = NULL;
	g_autoptr(GBytes) dump = NULL;

	if (!ash_spawn_have("sfdisk")) {
		g_test_skip("needs sfdisk");
		return;
	}
	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "gpt", &dir, &error));
	g_autofree char *a = g_build_filename(dir->path, "a", NULL);
	g_autofree char *b = g_build_filename(dir->path, "b", NULL);
	make_table(a);
	make_table(b);
	g_assert_true(ash_file_read(AT_FDCWD, a, 64 << 20, &a_bytes, &error));
	g_assert_true(ash_file_read(AT_FDCWD, b, 64 << 20, &b_bytes, &error));
	g_assert_true(g_bytes_equal(a_bytes, b_bytes));

	const char *argv[] = {"sfdisk", "--dump", a, NULL};
	AshSpawn spawn = {.argv = argv};
	g_assert_true(ash_spawn_run(&spawn, &dump, &error));
	const char *text = g_bytes_get_data(dump, NULL);
	g_assert_nonnull(strstr(text, "name=\"one\""));
	g_assert_nonnull(strstr(text, "name=\"two\""));
}

static void test_write_fails(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshTempDir) dir = NULL;

	if (!ash_spawn_have("sfdisk")) {
		g_test_skip("needs sfdisk");
		return;
	}
	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "gpt", &dir, &error));
	g_autofree char *missing = g_build_filename(dir->path, "missing", NULL);
	g_assert_false(ash_gpt_write(missing, "not-a-uuid", NULL, 0, &error));
	g_assert_error(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_FAILED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
	g_test_add_func("/gpt/uuid", test_uuid);
	g_test_add_func("/gpt/script", test_script);
	g_test_add_func("/gpt/write", test_write);
	g_test_add_func("/gpt/write-fails", test_write_fails);
	return g_test_run();
}
