/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(AshElf) elf = NULL;
	g_autoptr(GError) error = NULL;

	if (ash_elf_parse(bytes, &elf, &error))
		g_assert_cmpuint(elf->needed->len, <=, ASH_ELF_MAX_NEEDED);
	else
		g_assert_nonnull(error);
	return 0;
}
