/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/workload/image-tree.h"

/* Images in the host's OSTree repository.
 *
 *	ref ashlar/oci/layer/DIFFID    a commit of one layer's tree (agent/workload/image-tree.h)
 *	ref ashlar/oci/image/HEX       a commit of all its layers, as the workload sees it. HEX: SHA-256 of the
 *	                               manifest, of the index that was asked for, or, for archives of docker
 *	                               save, of the config
 *
 * The image commit's metadata has what a start needs, so that nothing else is kept of what was downloaded:
 * "ashlar.oci.manifest" (HEX as above), "ashlar.oci.layers" (as, DIFFIDs), "ashlar.oci.config" (s, the config
 * as it was), "ashlar.oci.bytes" (t, of all files), "ashlar.oci.notes" (s, what was left out). A layer's has
 * "ashlar.oci.bytes" and "ashlar.oci.notes".
 *
 * Modes are as in the image, set-user-ID too. So that nobody on the host can run those, objects/ of the repository is for root
 * and the downloader's group alone, and so is what is checked out (docs/decisions/0011).
 */

#define ASH_IMAGE_LAYER_REF "ashlar/oci/layer/"
#define ASH_IMAGE_REF "ashlar/oci/image/"
#define ASH_IMAGE_REFS "ashlar/oci/"

#define ASH_IMAGE_KEY_MANIFEST "ashlar.oci.manifest"
#define ASH_IMAGE_KEY_LAYERS "ashlar.oci.layers"
#define ASH_IMAGE_KEY_CONFIG "ashlar.oci.config"
#define ASH_IMAGE_KEY_BYTES "ashlar.oci.bytes"
#define ASH_IMAGE_KEY_NOTES "ashlar.oci.notes"

/* Where checkouts are, below the directory that holds ostree/. */
#define ASH_IMAGE_CHECKOUTS "ostree/workload"

/* @repo is borrowed. */
void ash_image_store_init(AshImageStore *store, AshOstree *repo);
