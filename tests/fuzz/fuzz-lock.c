/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "builder/lock.h"

/* A lock: what is read is written so that it is the same, and leads nowhere else. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) text = g_bytes_new(data, size);
	g_autoptr(AshLock) lock = NULL, again = NULL;
	g_autoptr(GError) error = NULL;

	if (!ash_lock_parse("fuzz.lock", text, &lock, &error)) {
		g_assert_true(g_utf8_validate(error->message, -1, NULL));
		return 0;
	}
	for (guint i = 0; i < lock->packages->len; i++) {
		const AshLockPackage *package = lock->packages->pdata[i];
		g_auto(GStrv) parts = g_strsplit(package->path, "/", -1);
		g_assert_true(package->path[0] != '/');
		g_assert_false(g_strv_contains((const char *const *) parts, ".."));
		g_assert_true(package->origin >= 0 && (guint) package->origin < lock->origins->len);
	}
	g_autofree char *first = ash_lock_format(lock);
	g_autoptr(GBytes) bytes = g_bytes_new_static(first, strlen(first));
	if (strlen(first) > ASH_LOCK_MAX_BYTES)
		return 0;
	if (!ash_lock_parse("again.lock", bytes, &again, &error))
		g_error("%s", error->message);
	g_autofree char *second = ash_lock_format(again);
	g_assert_cmpstr(first, ==, second);
	return 0;
}
