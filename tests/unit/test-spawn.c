/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/spawn.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/interrupt.h"

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

static void assert_output(const AshSpawn *spawn, const char *wanted)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) out = NULL;

	g_assert_true(ash_spawn_run(spawn, &out, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(g_bytes_get_data(out, NULL), ==, wanted);
}

static void test_output(void)
{
	AshSpawn plain = {.argv = SH("printf out; printf err >&2")};
	AshSpawn merged = {.argv = SH("printf a; printf b >&2"), .merge_stderr = true};
	AshSpawn cwd = {.argv = SH("pwd"), .cwd = "/usr"};
	AshSpawn stdin_is_null = {.argv = SH("cat; echo end")};

	assert_output(&plain, "out");
	assert_output(&merged, "ab");
	assert_output(&cwd, "/usr\n");
	assert_output(&stdin_is_null, "end\n");
}

/* Nothing of the caller's environment reaches the child. */
static void test_environment(void)
{
	AshSpawn cleared = {.argv = SH("echo \"${ASH_SECRET-none} $LC_ALL $TZ $HOME\"")};
	AshSpawn added = {.argv = SH("echo $A $HOME"),
			.env = (const char *const[]){"A=1", "HOME=/x", NULL}};

	g_setenv("ASH_SECRET", "leaked", TRUE);
	assert_output(&cleared, "none C.UTF-8 UTC /root\n");
	assert_output(&added, "1 /x\n");
}

static void test_descriptors(void)
{
	ash_autofd int passed = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	ash_autofd int stray = open("/etc/hostname", O_RDONLY);
	AshSpawn with = {.argv = SH("test -e /proc/self/fd/3 && echo yes"), .pass_fd = passed};
	g_autofree char *script = g_strdup_printf("test -e /proc/self/fd/%d || echo closed", stray);
	AshSpawn without = {.argv = SH(script)};

	g_assert_cmpint(stray, >, 3);
	assert_output(&with, "yes\n");
	assert_output(&without, "closed\n");
}

static void test_failures(void)
{
	g_autoptr(GError) error = NULL;
	int code = -1;

	AshSpawn missing = {.argv = (const char *const[]){"no-such-program", NULL}};
	g_assert_false(ash_spawn_run(&missing, NULL, &error));
	g_assert_error(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_NOT_FOUND);
	g_assert_nonnull(strstr(error->message, "no-such-program"));
	g_clear_error(&error);
	AshSpawn nowhere = {.argv = (const char *const[]){"true", NULL}, .cwd = "/no/where"};
	g_assert_false(ash_spawn_run(&nowhere, NULL, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
	g_clear_error(&error);
	g_assert_false(ash_spawn_have("no-such-program"));
	g_assert_true(ash_spawn_have("sh"));

	AshSpawn failing = {.argv = SH("echo 'the reason' >&2; exit 3")};
	g_assert_false(ash_spawn_run(&failing, NULL, &error));
	g_assert_error(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_FAILED);
	g_assert_cmpstr(error->message, ==, "sh failed with code 3: the reason");
	g_clear_error(&error);
	g_assert_true(ash_spawn_run_status(&failing, NULL, &code, &error));
	g_assert_cmpint(code, ==, 3);

	AshSpawn killed = {.argv = SH("kill -9 $$")};
	g_assert_false(ash_spawn_run_status(&killed, NULL, &code, &error));
	g_assert_error(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_FAILED);
	g_clear_error(&error);

	g_assert_true(ash_spawn_simple(&error, "true", NULL));
	g_assert_false(ash_spawn_simple(&error, "false", NULL));
	g_assert_error(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_FAILED);
}

static void test_limits(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) out = NULL;

	AshSpawn flood = {.argv = SH("head -c 5000 /dev/zero"), .max_output_bytes = 4999};
	g_assert_false(ash_spawn_run(&flood, &out, &error));
	g_assert_error(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_TOO_BIG);
	g_assert_null(out);
	g_clear_error(&error);
	flood.max_output_bytes = 5000;
	g_assert_true(ash_spawn_run(&flood, &out, &error));
	g_assert_cmpuint(g_bytes_get_size(out), ==, 5000);

	/* Of a long complaint the end is kept. */
	AshSpawn verbose = {.argv = SH("seq 100000 >&2; echo last words >&2; exit 1")};
	g_assert_false(ash_spawn_run(&verbose, NULL, &error));
	g_assert_true(g_str_has_suffix(error->message, "last words"));
	g_assert_cmpuint(strlen(error->message), <, 10000);
	g_clear_error(&error);

	AshSpawn slow = {.argv = SH("sleep 60 & sleep 60"), .timeout_ms = 100};
	gint64 began_us = g_get_monotonic_time();
	g_assert_false(ash_spawn_run(&slow, NULL, &error));
	g_assert_error(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_TIMEOUT);
	g_assert_cmpint(g_get_monotonic_time() - began_us, <, 20 * G_USEC_PER_SEC);
}

/* A daemon that a child leaves behind keeps the pipe open; that is no reason to wait for it. */
static void test_grandchild_keeps_the_pipe(void)
{
	AshSpawn spawn = {.argv = SH("sleep 30 & echo done"), .timeout_ms = 20000};

	assert_output(&spawn, "done\n");
}

static void test_interrupt(void)
{
	g_autoptr(GError) error = NULL;

	if (!g_test_subprocess()) {
		g_test_trap_subprocess(NULL, 20 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_DEFAULT);
		g_test_trap_assert_passed();
		return;
	}
	ash_interrupt_install();
	g_autofree char *script = g_strdup_printf("kill -INT %d; sleep 60", (int) getpid());
	AshSpawn spawn = {.argv = SH(script)};
	g_assert_false(ash_spawn_run(&spawn, NULL, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
	g_assert_true(ash_interrupt_pending());
	g_clear_error(&error);
	g_assert_false(ash_spawn_simple(&error, "true", NULL));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/spawn/output", test_output);
	g_test_add_func("/spawn/environment", test_environment);
	g_test_add_func("/spawn/descriptors", test_descriptors);
	g_test_add_func("/spawn/failures", test_failures);
	g_test_add_func("/spawn/limits", test_limits);
	g_test_add_func("/spawn/grandchild-keeps-the-pipe", test_grandchild_keeps_the_pipe);
	g_test_add_func("/spawn/interrupt", test_interrupt);
	return g_test_run();
}
