/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "lib/oci.h"

/* An index, and the choice among its entries. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) text = g_bytes_new_static(data, size);
	g_autoptr(AshOciIndex) index = NULL;
	const AshOciDescriptor *entry = NULL;

	if (!ash_oci_index_parse(text, &index, NULL))
		return 0;
	if (ash_oci_index_choose(index, "", "amd64", &entry, NULL))
		g_assert_cmpuint(strlen(entry->sha256), ==, 64);
	if (ash_oci_index_choose(index, "two", "arm64", &entry, NULL))
		g_assert_cmpstr(entry->tag, ==, "two");
	return 0;
}
