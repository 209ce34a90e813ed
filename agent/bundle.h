/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/worker.h"

/* The verb `bundle` of ashlar-worker: unpacks a file of `ashlar bundle` into ASH_PATH_BUNDLE, from where
 * everything goes on as if ashlar-link had fetched it: nothing in it is believed before `verify`.
 *
 * A bundle is a tar without compression (any that libarchive knows is read), whose first entry is
 * "ashlar-bundle" with the line "1"; after it come regular files with the names of agent/paths.h:
 *
 *	metadata/timestamp.json, metadata/N.ROLE.json       targets/….json
 *	deltas/TO-FROM.delta                                repo/objects/ab/cdef….{commit,…,filez}
 *	oci/blobs/sha256/HEX                                of images of registries: hashed as they come, so
 *	                                                    that a damaged file is found at once
 *
 * Links, devices, other names, a name twice, and more than the maxima below are refused, and then nothing
 * is left of it. ASH_PATH_BUNDLE belongs to root: nobody can put a link where this program writes.
 */

#define ASH_BUNDLE_ERROR (ash_bundle_error_quark())
GQuark ash_bundle_error_quark(void);

typedef enum {
	ASH_BUNDLE_ERROR_FORMAT,  /* not a bundle, or of a later format */
	ASH_BUNDLE_ERROR_ENTRY,   /* a name or kind that has no place in one */
	ASH_BUNDLE_ERROR_TOO_BIG, /* one entry, or there are too many */
} AshBundleError;

enum {
	ASH_BUNDLE_MAX_ENTRIES = 1 << 20,
};
#define ASH_BUNDLE_MAX_FILE_BYTES (UINT64_C(16) << 30)

gboolean ash_bundle_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* PURE, a question: may an entry have this name, and at most how many bytes? 0: no. */
uint64_t ash_bundle_entry_max(const char *name);
