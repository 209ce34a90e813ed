/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/workload/image-private.h"

/* Files that docker save and `skopeo copy … docker-archive:` make: a tar of manifest.json, a config and layers, each
 * of them a tar. It is read from its beginning to its end three times: for what is in it, for the config, for
 * the layers in the order in which they come. A name in it may be a link to another one ("ID/layer.tar" to
 * "HEX.tar"), which is followed once.
 *
 * No digest covers the file. What is believed is what its config names: the SHA-256 of each layer.
 */

enum {
	ASH_IMAGE_ARCHIVE_MAX_ENTRIES = 4096,
};
