/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/publication.h"

/* One file for a USB stick or an air gap: what a host would fetch, as a tar without compression. It has
 * no signature of its own; the metadata in it signs all.
 *
 *	ashlar-bundle                        "1\n", the format, first of all
 *	metadata/1.root.json, …, timestamp.json, N.snapshot.json, N.targets.json, N.workloads.json
 *	targets/host/NAME/ARCH/HASH.VERSION.json     of the release, and of all recalls
 *	targets/workload/NAME/HASH.VERSION.json      of the workloads that were asked for
 *	deltas/TOCOMMIT-FROMCOMMIT.delta     with --from
 *	repo/objects/ab/cdef….filez, …       of the commit, or what --from does not have; of the workloads' images
 *	oci/blobs/sha256/HEX                 of the workloads' images that are of registries (builder/bundle-image.h)
 *
 * A host unpacks it into a directory with just these names (agent/paths.h).
 */

typedef struct {
	const char *from; /* version that the hosts run; NULL: any, so all objects are needed */
	bool is_full;     /* with @from: all objects too */
	const char *const *workloads; /* "NAME" (the newest) or "NAME=VERSION"; NULL: none */
	const char *const *images; /* directories with images of registries; NULL: they stay away */
} AshBundleOptions;

typedef struct {
	uint64_t bytes; /* of the file */
	uint64_t objects;
	unsigned deltas, workloads;
	unsigned images;    /* … whose image is of a registry, and in it */
	unsigned elsewhere; /* … is not in it */
} AshBundleResult;

/* @path is replaced when the bundle is whole and synced. @version: NULL for workloads alone; of @host its
 * architecture counts then, when it has one.
 */
gboolean ash_bundle_write(const AshPublication *publication, const AshPublicationHost *host,
		const char *version, const AshBundleOptions *options, const char *path,
		AshBundleResult *out_result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
