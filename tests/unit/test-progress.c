/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/progress.h"

#include <gio/gio.h>
#include <json-glib/json-glib.h>
#include <string.h>

/* Progress writes to stderr, so each case runs in a process of its own whose stderr is looked at. */

static void work(AshProgressMode mode)
{
	g_autoptr(AshProgress) progress = ash_progress_new(mode);

	ash_progress_begin(progress, "fetch", "downloading \"3\" packages");
	ash_progress_update(progress, 1, 3, ASH_PROGRESS_UNIT_ITEMS);
	ash_progress_update(progress, 2, 3, ASH_PROGRESS_UNIT_ITEMS); /* too soon to be said */
	ash_progress_end(progress, "%d packages", 3);
	ash_progress_end(progress, "no step is open");
	ash_progress_begin(progress, "import", "importing");
	ash_progress_begin(progress, "solve", "solving");
	ash_progress_note(progress, "a note");
	ash_progress_warn(progress, "mind the gap");
	g_autoptr(GError) error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_FAILED, "it broke");
	ash_progress_error(progress, "prog", error, 4);
}

static gboolean in_child(void)
{
	if (g_test_subprocess())
		return TRUE;
	g_test_trap_subprocess(NULL, 20 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_DEFAULT);
	g_test_trap_assert_passed();
	return FALSE;
}

static void test_plain(void)
{
	if (in_child()) {
		work(ASH_PROGRESS_PLAIN);
		return;
	}
	g_test_trap_assert_stderr("fetch      3 packages (*s)\nimport     done (*)\na note\n"
				  "warning: mind the gap\nprog: it broke\n");
}

static void test_quiet(void)
{
	if (in_child()) {
		work(ASH_PROGRESS_QUIET);
		return;
	}
	g_test_trap_assert_stderr("warning: mind the gap\nprog: it broke\n");
}

static void test_json(void)
{
	if (in_child()) {
		work(ASH_PROGRESS_JSON);
		return;
	}
	g_test_trap_assert_stderr(
			"{\"event\":\"step\",\"step\":\"fetch\",\"text\":\"downloading \\\"3\\\" packages\"}\n"
			"{\"event\":\"progress\",\"step\":\"fetch\",\"done\":1,\"total\":3,\"unit\":\"items\"}\n"
			"{\"event\":\"done\",\"step\":\"fetch\",\"result\":\"3 packages\",\"seconds\":*}\n"
			"{\"event\":\"step\",\"step\":\"import\",\"text\":\"importing\"}\n"
			"{\"event\":\"done\",\"step\":\"import\",\"result\":\"done\",\"seconds\":*}\n"
			"{\"event\":\"step\",\"step\":\"solve\",\"text\":\"solving\"}\n"
			"{\"event\":\"note\",\"text\":\"a note\"}\n"
			"{\"event\":\"warning\",\"text\":\"mind the gap\"}\n"
			"{\"event\":\"error\",\"domain\":\"g-io-error-quark\",\"code\":0,"
			"\"text\":\"it broke\",\"exit\":4}\n");
}

static void test_no_progress(void)
{
	ash_progress_begin(NULL, "step", "text");
	ash_progress_update(NULL, 1, 2, ASH_PROGRESS_UNIT_BYTES);
	ash_progress_end(NULL, "x");
	ash_progress_note(NULL, "x");
	ash_progress_warn(NULL, "x");
	g_assert_false(ash_progress_is_json(NULL));
	ash_progress_free(NULL);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/progress/plain", test_plain);
	g_test_add_func("/progress/quiet", test_quiet);
	g_test_add_func("/progress/json", test_json);
	g_test_add_func("/progress/none", test_no_progress);
	return g_test_run();
}
