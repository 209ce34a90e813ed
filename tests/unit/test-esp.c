/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/deployment.h"
#include "agent/esp.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/file.h"

#define COMMIT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static AshTempDir *make_esp(void)
{
	g_autoptr(GError) error = NULL;
	AshTempDir *dir = NULL;

	g_assert_true(ash_temp_dir_new("/var/tmp", "ash-esp", &dir, &error));
	return dir;
}

static void put_text(AshTempDir *esp, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(esp->path, name, NULL);
	g_autofree char *parent = g_path_get_dirname(path);

	g_assert_cmpint(g_mkdir_with_parents(parent, 0755), ==, 0);
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static bool has(AshTempDir *esp, const char *name)
{
	return faccessat(esp->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_list(void)
{
	g_autoptr(AshTempDir) esp = make_esp();
	g_autoptr(GPtrArray) entries = NULL;
	g_autoptr(GPtrArray) none = NULL;
	g_auto(GStrv) warnings = NULL;
	g_autoptr(GError) error = NULL;

	/* An ESP without the directory has no entries. */
	g_assert_true(ash_esp_list(esp->fd, &none, NULL, &error));
	g_assert_cmpuint(none->len, ==, 0);
	put_text(esp, "loader/entries/old.conf", "sort-key ashlar-99999999\n");
	put_text(esp, "loader/entries/new+3.conf", "sort-key ashlar-99999998\n");
	put_text(esp, "loader/entries/bad+0-3.conf", "sort-key ashlar-99999990\n");
	put_text(esp, "loader/entries/broken.conf", "title \xff\n");
	put_text(esp, "loader/entries/new+3.conf.tmp", "half");
	g_assert_true(ash_esp_list(esp->fd, &entries, &warnings, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(entries->len, ==, 3);
	g_assert_cmpstr(((AshBootEntry *) entries->pdata[0])->file, ==, "new+3.conf");
	g_assert_cmpstr(((AshBootEntry *) entries->pdata[1])->file, ==, "old.conf");
	g_assert_cmpstr(((AshBootEntry *) entries->pdata[2])->file, ==, "bad+0-3.conf");
	g_assert_cmpuint(g_strv_length(warnings), ==, 1);
	g_assert_nonnull(strstr(warnings[0], "broken.conf"));
}

static void test_limit(void)
{
	g_autoptr(AshTempDir) esp = make_esp();
	g_autoptr(GError) error = NULL;
	GPtrArray *entries = NULL;

	for (int i = 0; i <= ASH_ESP_MAX_ENTRIES; i++) {
		g_autofree char *name = g_strdup_printf("loader/entries/%d.conf", i);
		put_text(esp, name, "");
	}
	g_assert_false(ash_esp_list(esp->fd, &entries, NULL, &error));
	g_assert_error(error, ASH_ESP_ERROR, ASH_ESP_ERROR_LIMIT);
}

static void test_put(void)
{
	g_autoptr(AshTempDir) esp = make_esp();
	g_autoptr(GError) error = NULL;
	g_autofree char *source = g_build_filename(esp->path, "source", NULL);
	g_autofree char *hex = ash_sha256_hex("kernel", 6);
	g_autofree char *other = ash_sha256_hex("lenrek", 6);
	bool matches = false;

	put_text(esp, "source", "kernel");
	ash_autofd int fd = open(source, O_RDONLY | O_CLOEXEC);
	g_assert_true(ash_esp_put(esp->fd, "/ashlar/0123/vmlinuz", fd, hex, &error));
	g_assert_no_error(error);
	g_assert_true(ash_esp_matches(esp->fd, "/ashlar/0123/vmlinuz", hex, &matches, &error));
	g_assert_true(matches);
	g_assert_true(ash_esp_matches(esp->fd, "/ashlar/0123/none", hex, &matches, &error));
	g_assert_false(matches);
	g_assert_false(has(esp, "ashlar/0123/vmlinuz.tmp"));
	/* Damaged on the disk: written again. */
	put_text(esp, "ashlar/0123/vmlinuz", "damage");
	g_assert_true(ash_esp_put(esp->fd, "/ashlar/0123/vmlinuz", fd, hex, &error));
	g_assert_true(ash_esp_matches(esp->fd, "/ashlar/0123/vmlinuz", hex, &matches, &error));
	g_assert_true(matches);
	/* What is there in the end is not what was wanted. */
	g_assert_false(ash_esp_put(esp->fd, "/ashlar/0123/vmlinuz", fd, other, &error));
	g_assert_error(error, ASH_ESP_ERROR, ASH_ESP_ERROR_READ_BACK);
}

static void test_entries(void)
{
	g_autoptr(AshTempDir) esp = make_esp();
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) entries = NULL;
	AshBootEntry entry = {
			.title = (char *) (uintptr_t) "t",
			.options = (char *) (uintptr_t) "ostree=/ostree/by-commit/" COMMIT ".0",
			.generation = 7,
	};

	g_assert_true(ash_esp_put_entry(esp->fd, &entry, "a+3.conf", &error));
	g_assert_true(ash_esp_rename_entry(esp->fd, "a+3.conf", "a.conf", &error));
	g_assert_true(ash_esp_list(esp->fd, &entries, NULL, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(entries->len, ==, 1);
	const AshBootEntry *got = entries->pdata[0];
	g_assert_cmpstr(got->file, ==, "a.conf");
	g_assert_cmpint(got->tries_left, ==, -1);
	g_assert_cmpuint(got->generation, ==, 7);
	g_assert_cmpstr(got->commit, ==, COMMIT);
	g_assert_false(ash_esp_rename_entry(esp->fd, "gone.conf", "b.conf", &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
	g_clear_error(&error);
	g_assert_true(ash_esp_remove(esp->fd, "/loader/entries/a.conf", &error));
	g_assert_true(ash_esp_remove(esp->fd, "/loader/entries/a.conf", &error));
	g_assert_false(has(esp, "loader/entries/a.conf"));
}

static void test_deployment_names(void)
{
	static const char *const wrong[] = {"", COMMIT, COMMIT ".", COMMIT ".x", COMMIT ".0.origin",
			"." COMMIT ".0.tmp", COMMIT ".-1", "0123.0", COMMIT ".99999"};
	g_autofree char *commit = NULL;
	unsigned serial = 0;

	g_assert_true(ash_deployment_parse_name(COMMIT ".12", &commit, &serial));
	g_assert_cmpstr(commit, ==, COMMIT);
	g_assert_cmpuint(serial, ==, 12);
	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		char *none = NULL;
		g_assert_false(ash_deployment_parse_name(wrong[i], &none, &serial));
	}
	g_assert_true(ash_deployment_is_commit(COMMIT));
	g_assert_false(ash_deployment_is_commit(&COMMIT[1]));
	g_assert_false(ash_deployment_is_commit(COMMIT "0"));
	g_autofree char *path = ash_deployment_esp_path(COMMIT, "vmlinuz");
	g_assert_cmpstr(path, ==, "/ashlar/0123456789abcdef/vmlinuz");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/esp/list", test_list);
	g_test_add_func("/esp/limit", test_limit);
	g_test_add_func("/esp/put", test_put);
	g_test_add_func("/esp/entries", test_entries);
	g_test_add_func("/esp/deployment-names", test_deployment_names);
	return g_test_run();
}
