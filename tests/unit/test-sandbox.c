/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/sandbox.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/cli.h"
#include "lib/file.h"

/* One argument a line. */
static char *format_argv(const AshSandbox *sandbox)
{
	g_auto(GStrv) argv = ash_sandbox_argv(sandbox, "/scratch/root");

	return g_strjoinv("\n", argv);
}

#define FIXED                                                                                      \
	"systemd-nspawn\n--quiet\n--register=no\n--keep-unit\n--as-pid2\n--console=pipe\n"         \
	"--private-network\n--resolv-conf=off\n--timezone=off\n--link-journal=no\n"                \
	"--suppress-sync=yes\n--hostname=ashlar-build\n--machine=ashlar-build\n"

static void test_argv(void)
{
	static const char *const argv[] = {"/bin/sh", "-c", "a b", NULL};
	static const char *const env[] = {"A=1", "B=x y", NULL};
	static const char *const binds[] = {"/one:/ashlar", "/two:/usr/bin/x", NULL};
	AshSandbox sandbox = {.lower = "/lower", .scratch = "/scratch", .argv = argv};

	g_autofree char *plain = format_argv(&sandbox);
	g_assert_cmpstr(plain, ==, FIXED "-D\n/scratch/root\n--\n/bin/sh\n-c\na b");
	sandbox.env = env;
	sandbox.binds = binds;
	sandbox.writable_bind = "/out:/ashlar-out";
	g_autofree char *full = format_argv(&sandbox);
	g_assert_cmpstr(full, ==,
			FIXED "--bind-ro=/one:/ashlar\n--bind-ro=/two:/usr/bin/x\n"
			      "--bind=/out:/ashlar-out\n--setenv=A=1\n--setenv=B=x y\n"
			      "-D\n/scratch/root\n--\n/bin/sh\n-c\na b");
}

/* Characters that would end an option of the overlay mount. */
static void test_paths(void)
{
	static const char *const bad[] = {"/var/a,b", "/var/a:b", "/var/a\\b", NULL};
	static const char *const argv[] = {"/bin/true", NULL};

	for (const char *const *path = bad; *path != NULL; path++) {
		g_autoptr(GError) error = NULL;
		AshSandbox sandbox = {.lower = *path, .scratch = "/scratch", .argv = argv};
		g_assert_false(ash_sandbox_run(&sandbox, NULL, &error));
		g_assert_error(error, ASH_CLI_ERROR, ASH_CLI_ERROR_ENVIRONMENT);
		g_clear_error(&error);
		sandbox.lower = "/lower";
		sandbox.scratch = *path;
		g_assert_false(ash_sandbox_run(&sandbox, NULL, &error));
		g_assert_error(error, ASH_CLI_ERROR, ASH_CLI_ERROR_ENVIRONMENT);
	}
}

static bool may_run(void)
{
	g_autofree char *nspawn = g_find_program_in_path("systemd-nspawn");

	if (geteuid() == 0 && nspawn != NULL)
		return true;
	g_test_skip("needs root and systemd-nspawn");
	return false;
}

/* This machine's own /usr is the lower layer: it has a shell, and nothing of it may change. */
static void test_run(void)
{
	if (!may_run())
		return;
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) log = NULL;
	static const char *const argv[] = {"/bin/sh", "-c",
			"echo written >/usr/written && echo said; ls /sys/class/net", NULL};
	static const char *const failing[] = {"/bin/sh", "-c", "echo last words; exit 7", NULL};
	static const char *const slow[] = {"/bin/sh", "-c", "sleep 60", NULL};

	/* An overlay cannot have itself below it: not on the root file system's /tmp. */
	g_assert_true(ash_temp_dir_new("/var/tmp", "ash-sandbox", &dir, &error));
	g_autofree char *again = g_build_filename(dir->path, "again", NULL);
	g_autofree char *third = g_build_filename(dir->path, "third", NULL);
	g_autofree char *scratch = g_build_filename(dir->path, "scratch", NULL);
	g_autofree char *written = g_build_filename(scratch, "upper/usr/written", NULL);
	g_assert_true(ash_file_ensure_dir(AT_FDCWD, scratch, 0755, &error));
	g_assert_true(ash_file_ensure_dir(AT_FDCWD, again, 0755, &error));
	g_assert_true(ash_file_ensure_dir(AT_FDCWD, third, 0755, &error));
	g_autofree char *lower = g_build_filename(dir->path, "lower", NULL);
	g_autofree char *usr = g_build_filename(lower, "usr", NULL);
	g_assert_true(ash_file_ensure_dir(AT_FDCWD, usr, 0755, &error));
	static const char *const names[] = {"bin", "lib", "lib64", "sbin", NULL};
	for (const char *const *name = names; *name != NULL; name++) {
		g_autofree char *link = g_build_filename(lower, *name, NULL);
		g_autofree char *target = g_strconcat("usr/", *name, NULL);
		g_assert_cmpint(symlink(target, link), ==, 0);
	}
	static const char *const binds[] = {
			"/usr/bin:/usr/bin", "/usr/lib:/usr/lib", "/usr/lib64:/usr/lib64", NULL};
	AshSandbox sandbox = {.lower = lower, .scratch = scratch, .argv = argv, .binds = binds};
	gboolean ok = ash_sandbox_run(&sandbox, &log, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	g_assert_nonnull(strstr(g_bytes_get_data(log, NULL), "said"));
	g_assert_nonnull(strstr(g_bytes_get_data(log, NULL), "lo"));
	g_assert_null(strstr(g_bytes_get_data(log, NULL), "eth"));
	g_assert_true(g_file_test(written, G_FILE_TEST_IS_REGULAR));
	g_autofree char *below = g_build_filename(usr, "written", NULL);
	g_assert_false(g_file_test(below, G_FILE_TEST_EXISTS));

	sandbox.scratch = again;
	sandbox.argv = failing;
	g_assert_false(ash_sandbox_run(&sandbox, NULL, &error));
	g_assert_error(error, ASH_SANDBOX_ERROR, ASH_SANDBOX_ERROR_FAILED);
	g_assert_nonnull(strstr(error->message, "code 7"));
	g_assert_nonnull(strstr(error->message, "last words"));
	g_clear_error(&error);
	sandbox.scratch = third;
	sandbox.argv = slow;
	sandbox.timeout_ms = 500;
	g_assert_false(ash_sandbox_run(&sandbox, NULL, &error));
	g_assert_error(error, ASH_SANDBOX_ERROR, ASH_SANDBOX_ERROR_TIMEOUT);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/sandbox/argv", test_argv);
	g_test_add_func("/sandbox/paths", test_paths);
	g_test_add_func("/sandbox/run", test_run);
	return g_test_run();
}
