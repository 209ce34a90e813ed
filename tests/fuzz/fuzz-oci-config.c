/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "lib/oci.h"

/* A config: what an image says of how it is run. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) text = g_bytes_new_static(data, size);
	g_autoptr(AshOciConfig) config = NULL;

	if (!ash_oci_config_parse(text, &config, NULL))
		return 0;
	for (char **id = config->diff_ids; *id != NULL; id++)
		g_assert_cmpuint(strlen(*id), ==, 64);
	for (char **variable = config->environment; *variable != NULL; variable++)
		g_assert_nonnull(strchr(*variable, '='));
	return 0;
}
