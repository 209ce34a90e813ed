/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"

typedef struct {
	AshTempDir *dir;
} Fixture;

static void setup(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "test-file", &f->dir, &error));
	g_assert_no_error(error);
}

static void teardown(Fixture *f, gconstpointer unused)
{
	g_autofree char *path = g_strdup(f->dir->path);

	ash_temp_dir_free(f->dir);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void put(const Fixture *f, const char *name, const char *text)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_file_replace(f->dir->fd, name, text, strlen(text), 0640, &error));
	g_assert_no_error(error);
}

static void assert_content(const Fixture *f, const char *name, const char *text)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = NULL;

	g_assert_true(ash_file_read(f->dir->fd, name, 1000, &bytes, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(g_bytes_get_data(bytes, NULL), ==, text);
	g_assert_cmpuint(g_bytes_get_size(bytes), ==, strlen(text));
}

static void test_replace(Fixture *f, gconstpointer unused)
{
	struct stat st;

	put(f, "a", "one");
	assert_content(f, "a", "one");
	put(f, "a", "two words");
	assert_content(f, "a", "two words");
	g_assert_cmpint(fstatat(f->dir->fd, "a", &st, 0), ==, 0);
	g_assert_cmpuint(st.st_mode & 07777, ==, 0640);

	/* Nothing temporary stays, neither after success nor after failure. */
	g_autoptr(GError) error = NULL;
	g_assert_cmpint(mkdirat(f->dir->fd, "dir", 0700), ==, 0);
	g_assert_false(ash_file_replace(f->dir->fd, "dir", "x", 1, 0600, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY);
	g_autoptr(GDir) dir = g_dir_open(f->dir->path, 0, NULL);
	guint names = 0;
	while (g_dir_read_name(dir) != NULL)
		names++;
	g_assert_cmpuint(names, ==, 2);
}

/* `--output /dev/null` of root's must leave the machine its /dev/null. */
static void test_place(Fixture *f, gconstpointer unused)
{
	static const char *const kept[] = {"pipe", "link", "stdout", "full"};
	struct stat st;

	g_assert_cmpint(mkfifoat(f->dir->fd, "pipe", 0600), ==, 0);
	g_assert_cmpint(symlinkat("pipe", f->dir->fd, "link"), ==, 0);
	g_assert_cmpint(symlinkat("/proc/self/fd/1", f->dir->fd, "stdout"), ==, 0);
	g_assert_cmpint(symlinkat("/dev/full", f->dir->fd, "full"), ==, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(kept); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_false(ash_file_replace(f->dir->fd, kept[i], "x", 1, 0600, &error));
		g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE);
		g_assert_cmpint(fstatat(f->dir->fd, kept[i], &st, AT_SYMLINK_NOFOLLOW), ==, 0);
		g_assert_false(S_ISREG(st.st_mode));
	}

	g_assert_cmpint(symlinkat("nothing", f->dir->fd, "dangling"), ==, 0);
	put(f, "dangling", "text");
	assert_content(f, "dangling", "text");
}

static void test_read_limits(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = NULL;

	put(f, "five", "12345");
	g_assert_true(ash_file_read(f->dir->fd, "five", 5, &bytes, &error));
	g_clear_pointer(&bytes, g_bytes_unref);
	g_assert_false(ash_file_read(f->dir->fd, "five", 4, &bytes, &error));
	g_assert_error(error, ASH_FILE_ERROR, ASH_FILE_ERROR_TOO_BIG);
	g_assert_null(bytes);
	g_clear_error(&error);

	g_assert_false(ash_file_read(f->dir->fd, "none", 4, &bytes, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
	g_clear_error(&error);
	g_assert_false(ash_file_read(f->dir->fd, ".", 4, &bytes, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY);
	g_clear_error(&error);

	/* Files in /proc say that they are empty; and links are followed. */
	g_assert_true(ash_file_read(AT_FDCWD, "/proc/self/status", 1 << 20, &bytes, &error));
	g_assert_cmpuint(g_bytes_get_size(bytes), >, 10);
	g_assert_cmpint(symlinkat("five", f->dir->fd, "link"), ==, 0);
	assert_content(f, "link", "12345");
}

static void test_ensure_dir(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	bool exists = false;

	g_assert_true(ash_file_ensure_dir(f->dir->fd, "a/b/c", 0755, &error));
	g_assert_true(ash_file_ensure_dir(f->dir->fd, "a/b/c", 0755, &error));
	g_assert_true(ash_file_exists(f->dir->fd, "a/b/c", &exists, &error));
	g_assert_true(exists);
	g_assert_true(ash_file_exists(f->dir->fd, "a/x", &exists, &error));
	g_assert_false(exists);

	put(f, "file", "");
	g_assert_true(ash_file_exists(f->dir->fd, "file/below", &exists, &error));
	g_assert_false(exists);
	g_assert_false(ash_file_ensure_dir(f->dir->fd, "file", 0755, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_DIRECTORY);
	g_clear_error(&error);
	g_assert_false(ash_file_ensure_dir(f->dir->fd, "file/below", 0755, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_DIRECTORY);
}

static void test_remove_tree(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_file_ensure_dir(f->dir->fd, "keep", 0755, &error));
	put(f, "keep/file", "precious");
	g_assert_true(ash_file_ensure_dir(f->dir->fd, "gone/deep/er", 0755, &error));
	put(f, "gone/deep/file", "");
	g_assert_cmpint(symlinkat("../keep", f->dir->fd, "gone/link"), ==, 0);
	g_assert_cmpint(symlinkat("nowhere", f->dir->fd, "gone/dangling"), ==, 0);
	g_assert_true(ash_file_remove_tree(f->dir->fd, "gone", &error));
	g_assert_no_error(error);
	g_assert_cmpint(faccessat(f->dir->fd, "gone", F_OK, AT_SYMLINK_NOFOLLOW), ==, -1);
	assert_content(f, "keep/file", "precious");
	g_assert_true(ash_file_remove_tree(f->dir->fd, "gone", &error));
}

/* A directory bound to another one of the same file system has the same device number. */
static void test_remove_tree_spares_bind_mounts(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		g_test_skip("needs root");
		return;
	}
	g_assert_true(ash_file_ensure_dir(f->dir->fd, "keep", 0755, &error));
	put(f, "keep/file", "precious");
	g_assert_true(ash_file_ensure_dir(f->dir->fd, "gone/mount", 0755, &error));
	g_autofree char *from = g_build_filename(f->dir->path, "keep", NULL);
	g_autofree char *to = g_build_filename(f->dir->path, "gone/mount", NULL);
	g_assert_cmpint(mount(from, to, NULL, MS_BIND, NULL), ==, 0);
	/* By path: the fixture's descriptor is of the name space from before, without the mount. */
	g_autofree char *gone = g_build_filename(f->dir->path, "gone", NULL);
	g_assert_false(ash_file_remove_tree(AT_FDCWD, gone, &error));
	g_assert_nonnull(strstr(error->message, "mount point"));
	assert_content(f, "keep/file", "precious");
	g_assert_cmpint(umount(to), ==, 0);
}

static void test_copy(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	int ends[2];

	put(f, "from", "0123456789");
	ash_autofd int from = openat(f->dir->fd, "from", O_RDONLY | O_CLOEXEC);
	ash_autofd int to = openat(f->dir->fd, "to", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	g_assert_cmpint(lseek(from, 3, SEEK_SET), ==, 3);
	g_assert_true(ash_file_copy_fd(from, to, &error));
	assert_content(f, "to", "3456789");

	/* A pipe, where copy_file_range does not work. */
	g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
	g_assert_cmpint(lseek(from, 0, SEEK_SET), ==, 0);
	g_assert_true(ash_file_copy_fd(from, ends[1], &error));
	ash_close_fd(&ends[1]);
	ash_autofd int again = openat(f->dir->fd, "again", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	g_assert_true(ash_file_copy_fd(ends[0], again, &error));
	ash_close_fd(&ends[0]);
	assert_content(f, "again", "0123456789");

	g_assert_false(ash_file_copy_fd(to, from, &error));
	g_assert_nonnull(error);
}

static void test_temp_dir(Fixture *f, gconstpointer unused)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = NULL;
	struct stat st;

	g_assert_true(ash_file_make_temp_dir(f->dir->path, "x", &path, &error));
	g_assert_cmpint(stat(path, &st), ==, 0);
	g_assert_cmpuint(st.st_mode & 07777, ==, 0700);

	AshTempDir *none = NULL;
	g_assert_false(ash_temp_dir_new("/nowhere/at/all", "x", &none, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
	g_assert_null(none);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
	static const struct {
		const char *name;
		void (*run)(Fixture *, gconstpointer);
	} tests[] = {
			{"/file/replace", test_replace},
			{"/file/place", test_place},
			{"/file/read-limits", test_read_limits},
			{"/file/ensure-dir", test_ensure_dir},
			{"/file/remove-tree", test_remove_tree},
			{"/file/copy", test_copy},
			{"/file/temp-dir", test_temp_dir},
			{"/file/remove-tree-spares-bind-mounts",
					test_remove_tree_spares_bind_mounts},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].name, Fixture, NULL, setup, tests[i].run, teardown);
	return g_test_run();
}
