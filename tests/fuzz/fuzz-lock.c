/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "builder/lock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A lock that was accepted reads the same when it is written. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(data, size);
	g_autoptr(AshLock) lock = NULL;
	g_autoptr(AshLock) again = NULL;
	g_autoptr(GError) error = NULL;

	if (!ash_lock_parse("fuzz.lock", bytes, &lock, &error)) {
		g_assert_true(error->domain == ASH_LOCK_ERROR);
		return 0;
	}
	g_autofree char *text = ash_lock_format(lock);
	g_autoptr(GBytes) written = g_bytes_new_static(text, strlen(text));
	g_assert_true(ash_lock_parse("fuzz.lock", written, &again, &error));
	g_autofree char *text_again = ash_lock_format(again);
	g_assert_cmpstr(text, ==, text_again);
	g_autofree char *digest = ash_lock_digest(lock);
	g_autofree char *digest_again = ash_lock_digest(again);
	g_assert_cmpstr(digest, ==, digest_again);
	return 0;
}
