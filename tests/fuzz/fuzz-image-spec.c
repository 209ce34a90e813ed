/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/image-spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(AshImageSpec) spec = NULL;
	g_autoptr(GError) error = NULL;

	if (size > ASH_IMAGE_SPEC_MAX_BYTES)
		return 0;
	/* lib/file.h promises the zero behind the end, which parsers rely on. */
	g_autofree char *copy = g_malloc(size + 1);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	g_autoptr(GBytes) text = g_bytes_new_static(copy, size);
	if (ash_image_spec_parse("fuzz.yaml", text, &spec, &error)) {
		g_autofree char *formatted = ash_image_spec_format(spec);
		g_assert(formatted != NULL);
	}
	return 0;
}
