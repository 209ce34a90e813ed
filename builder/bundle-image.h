/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "lib/archive.h"

/* Images of registries on their way into a bundle: from directories that somebody has copied them to, because nothing
 * here talks to a registry. Three forms are known, by the names that blobs have in them:
 *
 *	DIR/blobs/sha256/HEX                           an image layout (`skopeo copy --all … oci:DIR`)
 *	DIR/HEX, DIR/HEX.manifest.json, DIR/manifest.json   `skopeo copy --all … dir:DIR`, which changes no digest
 *	DIR/oci/blobs/sha256/HEX                       what ashlar-fetch staged
 *
 * A blob is taken for what its SHA-256 says, and no name is believed.
 */

/* Where blobs are below a bundle, and below staging. */
#define ASH_BUNDLE_IMAGE_BLOBS "oci/blobs/sha256/"

typedef struct {
	AshArchiveWriter *writer;
	GHashTable *added;       /* names of what is in the bundle already: gains char * */
	const char *const *dirs; /* to look in; not empty */
	const char *arch; /* NULL: any. An index has to have an image for it, in Debian's word, that is here */
} AshBundleImages;

/* The manifest or index @sha256, and all that it needs. Of an index those images that are here, at least one.
 * ASH_PUBLICATION_ERROR_NOT_FOUND names what is missing, _DAMAGED a file that is not what it is called; ASH_OCI_ERROR.
 */
gboolean ash_bundle_images_add(AshBundleImages *images, const char *sha256, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
