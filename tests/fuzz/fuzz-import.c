/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdint.h>
#include <string.h>

#include "fleet/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted can be written, and reads as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(AshExport) all = NULL;
	g_autoptr(AshExport) again = NULL;
	g_autoptr(GError) error = NULL;
	unsigned unknown = 0;

	if (!ash_export_parse(bytes, &all, &error)) {
		g_assert_nonnull(error);
		return 0;
	}
	char *text = ash_export_format(all, "");
	g_autoptr(GBytes) written = g_bytes_new_take(text, strlen(text));
	if (!ash_export_parse(written, &again, &error))
		g_error("%s", error->message);
	g_autoptr(GArray) changes = ash_export_diff(all, again, &unknown);
	g_assert_cmpuint(changes->len, ==, 0);
	return 0;
}
