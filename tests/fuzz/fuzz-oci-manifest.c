/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "lib/oci.h"

/* A manifest of an image, and docker save's manifest.json. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) text = g_bytes_new_static(data, size);
	g_autoptr(AshOciManifest) manifest = NULL;
	g_autoptr(AshOciArchive) archive = NULL;
	bool is_index = true;

	if (ash_oci_manifest_parse(text, &manifest, NULL)) {
		g_assert_true(ash_oci_is_index(text, &is_index, NULL));
		g_assert_false(is_index);
		g_assert_cmpuint(manifest->layers->len, <=, ASH_OCI_MAX_LAYERS);
	}
	if (ash_oci_archive_parse(text, "", &archive, NULL))
		g_assert_nonnull(archive->layers);
	return 0;
}
