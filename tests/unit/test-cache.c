/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "builder/cache-dir.h"
#include "builder/cache.h"
#include "lib/auto.h"

static char *top;

static AshCache *open_cache(const char *dir, AshCacheLock lock)
{
	g_autoptr(GError) error = NULL;
	AshCache *cache = NULL;

	g_assert_true(ash_cache_open(dir, lock, NULL, &cache, &error));
	g_assert_no_error(error);
	return cache;
}

static char *new_dir(const char *name)
{
	return g_build_filename(top, name, NULL);
}

/* What another process would get. */
static bool may_lock(const char *dir, const char *name, int operation)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	ash_autofd int fd = open(path, O_RDWR | O_CLOEXEC);

	g_assert_cmpint(fd, >=, 0);
	return flock(fd, operation | LOCK_NB) == 0;
}

static void test_layout(void)
{
	g_autofree char *dir = new_dir("layout/deep");
	g_autoptr(AshCache) cache = open_cache(dir, ASH_CACHE_SHARED);
	g_autofree char *debs = ash_cache_path(cache, "debs/x.deb");
	g_autofree char *wanted = g_build_filename(dir, "debs/x.deb", NULL);
	struct stat st;

	g_assert_cmpstr(ash_cache_dir(cache), ==, dir);
	g_assert_cmpstr(debs, ==, wanted);
	g_assert_cmpint(stat(dir, &st), ==, 0);
	g_assert_cmpuint(st.st_mode & 07777, ==, 0700);
	static const char *const dirs[] = {"debs", "index", "scratch"};
	for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++) {
		g_autofree char *path = ash_cache_path(cache, dirs[i]);
		g_assert_true(g_file_test(path, G_FILE_TEST_IS_DIR));
	}
}

static void test_locks(void)
{
	g_autofree char *dir = new_dir("locks");
	g_autoptr(GError) error = NULL;

	{
		g_autoptr(AshCache) one = open_cache(dir, ASH_CACHE_SHARED);
		g_autoptr(AshCache) two = open_cache(dir, ASH_CACHE_SHARED);
		g_assert_false(may_lock(dir, "lock", LOCK_EX));
		g_assert_true(ash_cache_begin_write(one, NULL, &error));
		g_assert_false(may_lock(dir, "write-lock", LOCK_EX));
		ash_cache_end_write(one);
		g_assert_true(ash_cache_begin_write(two, NULL, &error));
		g_assert_no_error(error);
	}
	g_assert_true(may_lock(dir, "lock", LOCK_EX));
	g_assert_true(may_lock(dir, "write-lock", LOCK_EX));
	g_autoptr(AshCache) three G_GNUC_UNUSED = open_cache(dir, ASH_CACHE_EXCLUSIVE);
	g_assert_false(may_lock(dir, "lock", LOCK_SH));
}

/* A child holds the lock until this end of the pipe is closed. */
static void test_waits(void)
{
	g_autofree char *dir = new_dir("waits");
	g_autoptr(AshCache) first = open_cache(dir, ASH_CACHE_EXCLUSIVE);
	pid_t child = fork();

	g_assert_cmpint(child, >=, 0);
	if (child == 0) {
		g_autoptr(AshCache) mine = NULL;
		/* The lock belongs to the open file, which the child has too. */
		g_clear_pointer(&first, ash_cache_free);
		_exit(ash_cache_open(dir, ASH_CACHE_SHARED, NULL, &mine, NULL) ? 0 : 1);
	}
	int status = -1;
	g_usleep(150000);
	g_assert_cmpint(waitpid(child, &status, WNOHANG), ==, 0);
	g_clear_pointer(&first, ash_cache_free);
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	g_assert_cmpint(status, ==, 0);
}

static void test_scratch(void)
{
	g_autofree char *dir = new_dir("scratch");
	g_autoptr(AshCache) cache = open_cache(dir, ASH_CACHE_SHARED);
	g_autoptr(AshTempDir) scratch = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_cache_make_scratch(cache, "build", &scratch, &error));
	g_assert_no_error(error);
	g_assert_true(g_str_has_prefix(scratch->path, dir));
	g_autofree char *path = g_strdup(scratch->path);
	g_clear_pointer(&cache, ash_cache_free);

	/* As after a kill: the next to be alone clears up, but not who comes second. */
	g_autoptr(AshCache) next G_GNUC_UNUSED = open_cache(dir, ASH_CACHE_SHARED);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
	g_autoptr(AshCache) second G_GNUC_UNUSED = open_cache(dir, ASH_CACHE_SHARED);
	g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void test_mark(void)
{
	g_autofree char *dir = new_dir("mark");
	g_autoptr(AshCache) cache = open_cache(dir, ASH_CACHE_SHARED);
	g_autofree char *deb = ash_cache_path(cache, "debs/a.deb");
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct stat st;

	g_assert_true(g_file_set_contents(deb, "x", 1, NULL));
	g_assert_cmpint(utimensat(AT_FDCWD, deb, old, 0), ==, 0);
	ash_cache_mark_used(cache, "debs/a.deb");
	ash_cache_mark_ref_used(cache, "deb/none/here");
	g_assert_cmpint(stat(deb, &st), ==, 0);
	g_assert_cmpint(st.st_mtime, >, 1000);
}

static void test_no_directory(void)
{
	g_autofree char *dir = new_dir("file");
	g_autoptr(AshCache) cache = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(g_file_set_contents(dir, "x", 1, NULL));
	g_assert_false(ash_cache_open(dir, ASH_CACHE_SHARED, NULL, &cache, &error));
	g_assert_nonnull(error);
	g_assert_true(error->domain == G_IO_ERROR);
	g_assert_true(g_str_has_prefix(error->message, "opening the cache: "));
	g_assert_null(cache);
}

static void test_default_dir(void)
{
	g_assert_true(g_setenv("ASHLAR_CACHE", "/somewhere/../else", TRUE));
	g_autofree char *given = ash_cache_dir_default();
	g_assert_cmpstr(given, ==, "/else");
	g_unsetenv("ASHLAR_CACHE");
	g_autofree char *own = ash_cache_dir_default();
	g_assert_true(g_str_has_suffix(own, "/ashlar"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_autoptr(AshTempDir) dir = NULL;
	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "ash-cache", &dir, NULL));
	top = dir->path;
	g_test_add_func("/cache/layout", test_layout);
	g_test_add_func("/cache/locks", test_locks);
	g_test_add_func("/cache/waits", test_waits);
	g_test_add_func("/cache/scratch", test_scratch);
	g_test_add_func("/cache/mark", test_mark);
	g_test_add_func("/cache/no-directory", test_no_directory);
	g_test_add_func("/cache/default-dir", test_default_dir);
	return g_test_run();
}
