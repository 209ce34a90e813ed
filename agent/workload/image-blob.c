/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/image-blob.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "agent/staging.h"
#include "agent/workload/image-tree.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	CHUNK_BYTES = 256 << 10,
};

struct AshImageBlob {
	/* What is read: a file … */
	int fd; /* -1: none */
	char *sha256;
	uint64_t size, read;
	AshSha256 *hash;
	char *chunk;
	/* … or somebody else's bytes. */
	AshArchiveSource source;
	gpointer source_data;
	bool is_source_at_end;
	/* What comes out. */
	AshArchive *stream;
	bool is_at_end;
	char *diff_id;
	uint64_t max_bytes, unpacked;
	AshSha256 *diff_hash;
};

static AshImageError too_big_or(const GError *cause, AshImageError too_big)
{
	return g_error_matches(cause, ASH_STAGING_ERROR, ASH_STAGING_ERROR_TOO_BIG)
			       ? too_big
			       : ASH_IMAGE_ERROR_CORRUPT;
}

/* @too_big: what it means when there are more bytes: another file, or one that nobody takes. */
static gboolean open_file(int dirfd, const char *path, uint64_t max_bytes, AshImageError too_big,
		int *out_fd, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (ash_staging_open_file(dirfd, path, max_bytes, out_fd, &cause))
		return TRUE;
	if (g_error_matches(cause, ASH_STAGING_ERROR, ASH_STAGING_ERROR_MISSING))
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_MISSING, "%s",
				cause->message);
	if (cause->domain == ASH_STAGING_ERROR)
		return ash_throw(error, ASH_IMAGE_ERROR, (int) too_big_or(cause, too_big), "%s",
				cause->message);
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

static gboolean check_hash(AshSha256 *take_hash, const char *sha256, AshImageError code,
		const char *what, GError **error)
{
	uint8_t digest[ASH_SHA256_BYTES];

	ash_sha256_finish(take_hash, digest);
	g_autofree char *hex = ash_sha256_format(digest);
	if (strcmp(hex, sha256) != 0)
		return ash_throw(error, ASH_IMAGE_ERROR, (int) code,
				"%s has the digest sha256:%s, not sha256:%s", what, hex, sha256);
	return TRUE;
}

gboolean ash_image_blob_read(int dirfd, const char *path, const char *sha256, uint64_t size,
		size_t max_bytes, GBytes **out_bytes, GError **error)
{
	ash_autofd int fd = -1;
	g_autoptr(GBytes) bytes = NULL;

	if (!open_file(dirfd, path, MIN(max_bytes, size != 0 ? size : max_bytes),
			    size != 0 && size <= max_bytes ? ASH_IMAGE_ERROR_CORRUPT
							   : ASH_IMAGE_ERROR_LIMIT,
			    &fd, error))
		return FALSE;
	g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", fd);
	if (!ash_file_read(AT_FDCWD, self, max_bytes, &bytes, error))
		return FALSE;
	if (size != 0 && g_bytes_get_size(bytes) != size)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_CORRUPT,
				"%s has %zu bytes, not %" G_GUINT64_FORMAT, path,
				g_bytes_get_size(bytes), size);
	if (sha256 != NULL) {
		AshSha256 *hash = ash_sha256_new();
		ash_sha256_update(hash, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
		if (!check_hash(hash, sha256, ASH_IMAGE_ERROR_CORRUPT, path, error))
			return FALSE;
	}
	*out_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

/* ---- layers -------------------------------------------------------------------------------------- */

/* AshArchiveSource of the packed bytes. */
static gboolean read_packed(gpointer data, const void **out_data, size_t *out_size, GError **error)
{
	AshImageBlob *blob = data;
	ssize_t n;

	if (blob->source != NULL) {
		*out_size = 0;
		if (blob->is_source_at_end)
			return TRUE;
		if (!blob->source(blob->source_data, out_data, out_size, error))
			return FALSE;
		blob->is_source_at_end = *out_size == 0;
		return TRUE;
	}
	do
		n = read(blob->fd, blob->chunk,
				MIN(blob->size - blob->read, (uint64_t) CHUNK_BYTES));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ash_throw_errno(error, "reading a layer");
	ash_sha256_update(blob->hash, blob->chunk, (size_t) n);
	blob->read += (uint64_t) n;
	*out_data = blob->chunk;
	*out_size = (size_t) n;
	return TRUE;
}

static gboolean open_stream(AshImageBlob *blob, GError **error)
{
	const AshEntry *entry = NULL;

	if (!ash_archive_open_source(ASH_ARCHIVE_STREAM, read_packed, blob, &blob->stream, error) ||
			!ash_archive_next(blob->stream, &entry, error))
		return FALSE;
	blob->is_at_end = entry == NULL;
	return TRUE;
}

static AshImageBlob *new_blob(const char *diff_id, uint64_t max_bytes)
{
	AshImageBlob *blob = g_new0(AshImageBlob, 1);

	blob->fd = -1;
	blob->diff_id = g_strdup(diff_id);
	blob->max_bytes = max_bytes;
	blob->diff_hash = ash_sha256_new();
	return blob;
}

gboolean ash_image_blob_open(int dirfd, const char *path, const char *sha256, uint64_t size,
		const char *diff_id, uint64_t max_bytes, AshImageBlob **out_blob, GError **error)
{
	g_autoptr(AshImageBlob) blob = new_blob(diff_id, max_bytes);

	if (!open_file(dirfd, path, size, ASH_IMAGE_ERROR_CORRUPT, &blob->fd, error))
		return FALSE;
	blob->sha256 = g_strdup(sha256);
	blob->size = size;
	blob->hash = ash_sha256_new();
	blob->chunk = g_malloc(CHUNK_BYTES);
	g_autoptr(GError) cause = NULL;
	if (!open_stream(blob, &cause)) {
		if (cause->domain == G_IO_ERROR || ash_image_blob_is_sound(blob)) {
			g_propagate_error(error, g_steal_pointer(&cause));
			return FALSE;
		}
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_CORRUPT,
				"it is not the one that was named (%s)", cause->message);
	}
	*out_blob = g_steal_pointer(&blob);
	return TRUE;
}

gboolean ash_image_blob_open_source(AshArchiveSource source, gpointer data, const char *diff_id,
		uint64_t max_bytes, AshImageBlob **out_blob, GError **error)
{
	g_autoptr(AshImageBlob) blob = new_blob(diff_id, max_bytes);

	blob->source = source;
	blob->source_data = data;
	if (!open_stream(blob, error))
		return FALSE;
	*out_blob = g_steal_pointer(&blob);
	return TRUE;
}

void ash_image_blob_free(AshImageBlob *blob)
{
	if (blob == NULL)
		return;
	ash_archive_free(blob->stream);
	ash_close_fd(&blob->fd);
	g_free(blob->sha256);
	ash_sha256_free(blob->hash);
	g_free(blob->chunk);
	g_free(blob->diff_id);
	ash_sha256_free(blob->diff_hash);
	g_free(blob);
}

gboolean ash_image_blob_source(
		gpointer data, const void **out_data, size_t *out_size, GError **error)
{
	AshImageBlob *blob = data;

	*out_size = 0;
	if (blob->is_at_end)
		return TRUE;
	if (!ash_archive_read(blob->stream, out_data, out_size, error))
		return FALSE;
	blob->is_at_end = *out_size == 0;
	if (*out_size > blob->max_bytes - blob->unpacked)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_LIMIT,
				"unpacks to more than the %" G_GUINT64_FORMAT
				" bytes that an image may have",
				blob->max_bytes);
	blob->unpacked += *out_size;
	return TRUE;
}

void ash_image_blob_hash(AshImageBlob *blob, const void *data, size_t size)
{
	if (size > 0)
		ash_sha256_update(blob->diff_hash, data, size);
}

gboolean ash_image_blob_finish(AshImageBlob *blob, GError **error)
{
	const void *data = NULL;
	size_t size = 1;

	while (size > 0) {
		if (!ash_image_blob_source(blob, &data, &size, error))
			return FALSE;
		ash_image_blob_hash(blob, data, size);
	}
	for (size = 1; size > 0;)
		if (!read_packed(blob, &data, &size, error))
			return FALSE;
	if (blob->fd >= 0) {
		if (blob->read != blob->size)
			return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_CORRUPT,
					"the layer has %" G_GUINT64_FORMAT
					" bytes, not %" G_GUINT64_FORMAT,
					blob->read, blob->size);
		if (!check_hash(g_steal_pointer(&blob->hash), blob->sha256, ASH_IMAGE_ERROR_CORRUPT,
				    "the layer", error))
			return FALSE;
	}
	/* The bytes are those that were named; it is the config that is wrong, and stays so. */
	return check_hash(g_steal_pointer(&blob->diff_hash), blob->diff_id, ASH_IMAGE_ERROR_HOSTILE,
			"the unpacked layer", error);
}

bool ash_image_blob_is_sound(AshImageBlob *blob)
{
	const void *data = NULL;
	size_t size = 1;

	/* Judged already, or not ours to judge. */
	if (blob->fd < 0 || blob->hash == NULL)
		return true;
	while (size > 0)
		if (!read_packed(blob, &data, &size, NULL))
			return true;
	return blob->read == blob->size &&
	       check_hash(g_steal_pointer(&blob->hash), blob->sha256, ASH_IMAGE_ERROR_CORRUPT,
			       "the layer", NULL);
}
