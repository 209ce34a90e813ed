/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/update-store.h"

/* What parses can be written and parses again, to the same text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(AshUpdate) update = NULL;
	g_autoptr(AshUpdate) again = NULL;

	if (!ash_update_parse(bytes, &update, NULL))
		return 0;
	g_autofree char *text = ash_update_format(update);
	g_autoptr(GBytes) second = g_bytes_new(text, strlen(text));
	g_assert_true(ash_update_parse(second, &again, NULL));
	g_autofree char *same = ash_update_format(again);
	g_assert_cmpstr(text, ==, same);
	return 0;
}
