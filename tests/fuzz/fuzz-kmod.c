/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "builder/kmod.h"

/* The input is the four lists, one behind the other, with NUL between. Every module's closure is
 * asked for: that is where the lists refer to each other.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	GBytes *lists[4] = {NULL};
	g_autoptr(AshKmod) kmod = NULL;
	g_autoptr(GError) error = NULL;

	if (size > 4096)
		return 0;
	for (size_t i = 0; i < G_N_ELEMENTS(lists) && size > 0; i++) {
		const uint8_t *nul = i < 3 ? memchr(data, '\0', size) : NULL;
		size_t length = nul != NULL ? (size_t) (nul - data) : size;
		lists[i] = g_bytes_new(data, length);
		data += nul != NULL ? length + 1 : length;
		size -= nul != NULL ? length + 1 : length;
	}
	if (ash_kmod_parse(lists[0], lists[1], lists[2], lists[3], &kmod, &error)) {
		g_autofree const char **names = ash_kmod_names(kmod);
		for (size_t i = 0; names[i] != NULL; i++) {
			g_autoptr(GPtrArray) modules = g_ptr_array_new();
			g_assert_true(ash_kmod_closure(kmod, names[i], modules));
		}
	}
	for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
		g_clear_pointer(&lists[i], g_bytes_unref);
	return 0;
}
