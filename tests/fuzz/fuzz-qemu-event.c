/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "agent/workload/qemu-private.h"

/* What QEMU says on its monitor, of which a guest may have taken hold: however it is cut, it says the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GString) whole = g_string_new(NULL), cut = g_string_new(NULL);
	bool in_one = false, in_two = false;

	if (size == 0 || size > 32 << 10)
		return 0;
	size_t at = MIN(data[0], size - 1);
	data++;
	size--;
	in_one = ash_qemu_event_take(whole, (const char *) data, size);
	in_two = ash_qemu_event_take(cut, (const char *) data, at);
	in_two |= ash_qemu_event_take(cut, (const char *) data + at, size - at);
	g_assert_true(in_one == in_two);
	g_assert_cmpstr(whole->str, ==, cut->str);
	return 0;
}
