/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/worker.h"

/* Verbs of ashlar-worker for images; agent/workload/image.h makes their orders and reads their results.
 *
 * verb            input                                   result
 * image-import    {"kind":K,"location":L,"tag":T,         {"commit":C,"digest":D,"bytes":N,"layers":N,
 *                  "digest":D}                             "unpacked":N,"notes":T,"config":{…}}
 *                 From a bundle or staging (kind "oci": ASH_PATH_BUNDLE or ASH_PATH_STAGING, oci/blobs/sha256/HEX;
 *                 D says which manifest or index),
 *                 from a directory or file of the host's (kinds "oci-dir", "docker-archive"), or what is there
 *                 already (kind "ostree").
 * image-checkout  {"commit":C}                            {"path":P}
 * image-clean     {"keep":[C…]}                           {"bytes":N}      images, layers, checkouts, staged blobs
 * image-list      {}                                      {"images":[{"commit","digest","bytes","own_bytes"}],
 *                                                          "bytes":N}      own: what no other image and no release
 *                                                          of the host has too; the total counts each file once
 *
 * Staging and directories are believed by nobody: blobs are opened without following a link, read once, hashed as
 * they are read, and a layer counts only when the digest and the size of what was read, and of what it unpacked to, are those that
 * were named. What a refused image or a killed process has written goes; layers that had their refs stay.
 *
 * Error words beside agent/job.h's: "image" (the image is not one that can be used: another try does no better).
 */
gboolean ash_image_import_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_image_checkout_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_image_clean_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_image_list_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
