/* SPDX-License-Identifier: Apache-2.0 */
#include <gio/gio.h>

#include "agent/esp.h"
#include "agent/staging.h"
#include "agent/worker.h"
#include "lib/target.h"
#include "lib/tuf.h"

/* The words are what ashlard decides by (agent/update.c), so each must arrive as it is. */
static void test_error_words(void)
{
	const struct {
		GQuark domain;
		int code;
		const char *word, *why;
	} rows[] = {
			{ASH_WORKER_ERROR, ASH_WORKER_ERROR_NO_FALLBACK, "no-fallback", NULL},
			{ASH_WORKER_ERROR, ASH_WORKER_ERROR_SPACE, "space", NULL},
			{ASH_WORKER_ERROR, ASH_WORKER_ERROR_DELTA, "delta", NULL},
			{ASH_WORKER_ERROR, ASH_WORKER_ERROR_CORRUPT, "corrupt", NULL},
			{ASH_WORKER_ERROR, ASH_WORKER_ERROR_UNTRUSTED, "untrusted", "document"},
			{ASH_TUF_ERROR, ASH_TUF_ERROR_NO_ROOT, "no-root", NULL},
			{ASH_TARGET_ERROR, ASH_TARGET_ERROR_WRONG_VARIANT, "wrong-variant", NULL},
			{ASH_TARGET_ERROR, ASH_TARGET_ERROR_WRONG_ARCH, "wrong-arch", NULL},
			{ASH_ESP_ERROR, ASH_ESP_ERROR_READ_BACK, "esp", NULL},
			{ASH_STAGING_ERROR, ASH_STAGING_ERROR_MISSING, "missing", NULL},
			{G_IO_ERROR, G_IO_ERROR_NO_SPACE, "space", NULL},
			{G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled", NULL},
			{G_IO_ERROR, G_IO_ERROR_FAILED, "failed", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error =
				g_error_new_literal(rows[i].domain, rows[i].code, "as planned");
		const char *why = "unset";
		g_assert_cmpstr(ash_worker_error_word(error, &why), ==, rows[i].word);
		g_assert_cmpstr(why, ==, rows[i].why);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/worker/error-words", test_error_words);
	return g_test_run();
}
