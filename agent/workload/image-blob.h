/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/archive.h"

/* Bytes that are hashed as they are read, through a compression too. */

/* Reads a whole document below @dirfd that is to have @size bytes (0: not known, at most @max_bytes) and @sha256 (NULL:
 * not known). ASH_IMAGE_ERROR_CORRUPT, _MISSING, _LIMIT.
 */
gboolean ash_image_blob_read(int dirfd, const char *path, const char *sha256, uint64_t size,
		size_t max_bytes, GBytes **out_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A compressed layer in a file: @source reads what it unpacks to. */
typedef struct AshImageBlob AshImageBlob;

/* @sha256, @size: of the file; @diff_id: SHA-256 of what it unpacks to, of which at most @max_bytes are read. */
gboolean ash_image_blob_open(int dirfd, const char *path, const char *sha256, uint64_t size,
		const char *diff_id, uint64_t max_bytes, AshImageBlob **out_blob, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The same of what @source supplies, of which neither digest nor size is known. */
gboolean ash_image_blob_open_source(AshArchiveSource source, gpointer data, const char *diff_id,
		uint64_t max_bytes, AshImageBlob **out_blob, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_image_blob_free(AshImageBlob *blob);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshImageBlob, ash_image_blob_free)

/* AshArchiveSource; @blob: AshImageBlob. All that it gives is to be given to ash_image_blob_hash before _finish, in its
 * order, by any one thread: so inflating need not wait for hashing.
 */
gboolean ash_image_blob_source(
		gpointer blob, const void **out_data, size_t *out_size, GError **error);
void ash_image_blob_hash(AshImageBlob *blob, const void *data, size_t size);

/* Reads what is left, and judges: ASH_IMAGE_ERROR_CORRUPT unless the file is the one that was named, _HOSTILE unless it
 * unpacked to what its config says.
 */
gboolean ash_image_blob_finish(AshImageBlob *blob, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* After a failure: is the file at least the one that was named? False means that another download may do better. Reads it
 * to its end.
 */
bool ash_image_blob_is_sound(AshImageBlob *blob);
