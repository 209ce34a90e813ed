/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fetch-part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	OPEN_TRIES = 8,
	READ_BYTES = 1 << 16,
	WRITE_BYTES = 8 << 20, /* so many are given to the disk together, while others come */
};

void ash_part_close(AshPart *part)
{
	ash_close_fd(&part->fd);
	part->fd = -1;
}

void ash_part_remove(AshPart *part)
{
	/* Best effort: what stays behind is checked before it is used. */
	if (part->path != NULL && part->fd >= 0 && unlink(part->path) < 0)
		g_debug("leaving '%s' behind: %s", part->path, g_strerror(errno));
	ash_part_close(part);
}

gboolean ash_part_start_over(AshPart *part, GError **error)
{
	if (part->fd >= 0 && (ftruncate(part->fd, 0) < 0 || lseek(part->fd, 0, SEEK_SET) < 0))
		return ash_throw_errno(error, "%s", part->path);
	if (part->memory != NULL)
		g_byte_array_set_size(part->memory, 0);
	g_clear_pointer(&part->hash, ash_sha256_free);
	if (part->sha256 != NULL)
		part->hash = ash_sha256_new();
	part->offset = 0;
	part->resumed_at = 0;
	return TRUE;
}

/* Hashes what an earlier attempt left; a useless rest is thrown away. */
static gboolean adopt_part(AshPart *part, GError **error)
{
	struct stat st;
	if (fstat(part->fd, &st) < 0)
		return ash_throw_errno(error, "%s", part->path);
	if (st.st_size == 0 || part->sha256 == NULL || (uint64_t) st.st_size > part->max_bytes)
		return ash_part_start_over(part, error);

	g_autofree guint8 *chunk = g_malloc(READ_BYTES);
	part->hash = ash_sha256_new();
	for (;;) {
		ssize_t n = read(part->fd, chunk, READ_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "%s", part->path);
		if (n == 0)
			break;
		ash_sha256_update(part->hash, chunk, (size_t) n);
		part->offset += (uint64_t) n;
	}
	part->resumed_at = part->offset;
	return TRUE;
}

/* Opens and locks "DEST.part". Between open and lock its owner may have renamed it to the
 * destination, which must not be written to: then the name leads elsewhere by now.
 */
static gboolean open_shared_part(AshPart *part, bool *out_is_taken, GError **error)
{
	for (unsigned i = 0; i < OPEN_TRIES; i++) {
		ash_autofd int fd =
				open(part->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0)
			return ash_throw_errno(error, "%s", part->path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno != EWOULDBLOCK)
				return ash_throw_errno(error, "flock(%s)", part->path);
			break;
		}
		struct stat opened;
		struct stat named;
		if (fstat(fd, &opened) < 0)
			return ash_throw_errno(error, "%s", part->path);
		if (lstat(part->path, &named) < 0 || named.st_ino != opened.st_ino ||
				named.st_dev != opened.st_dev)
			continue;
		part->fd = g_steal_fd(&fd);
		*out_is_taken = false;
		return TRUE;
	}
	*out_is_taken = true;
	return TRUE;
}

gboolean ash_part_open(AshPart *part, GError **error)
{
	bool is_taken = false;

	if (part->dest == NULL)
		return ash_part_start_over(part, error);
	if (part->fd >= 0)
		return TRUE;
	g_free(part->path);
	part->path = g_strconcat(part->dest, ".part", NULL);
	if (!open_shared_part(part, &is_taken, error))
		return FALSE;
	if (!is_taken)
		return adopt_part(part, error);

	g_free(part->path);
	part->path = g_strconcat(part->dest, ".XXXXXX.part", NULL);
	part->fd = mkostemps(part->path, (int) strlen(".part"), O_CLOEXEC);
	if (part->fd < 0)
		return ash_throw_errno(error, "%s", part->path);
	part->is_private = true;
	if (fchmod(part->fd, 0644) < 0)
		return ash_throw_errno(error, "%s", part->path);
	return ash_part_start_over(part, error);
}

/* Of a long file only the end is to be waited for when it is whole. A beginning: where that cannot be, nothing is lost. */
static void write_early(const AshPart *part, uint64_t before)
{
	uint64_t from = before / WRITE_BYTES * WRITE_BYTES;
	uint64_t to = part->offset / WRITE_BYTES * WRITE_BYTES;

	if (from < to && sync_file_range(part->fd, (off_t) from, (off_t) (to - from),
					 SYNC_FILE_RANGE_WRITE) < 0)
		g_debug("sync_file_range: %s", g_strerror(errno));
}

gboolean ash_part_append(AshPart *part, const void *data, size_t size, GError **error)
{
	if (part->memory != NULL)
		g_byte_array_append(part->memory, data, (guint) size);
	else if (!ash_file_write_all(part->fd, data, size, error))
		return FALSE;
	if (part->hash != NULL)
		ash_sha256_update(part->hash, data, size);
	part->offset += size;
	if (part->memory == NULL)
		write_early(part, part->offset - size);
	return TRUE;
}

void ash_part_clear(AshPart *part)
{
	/* Without a hash nothing would tell whether both halves are of one file. */
	if (part->is_private || part->sha256 == NULL)
		ash_part_remove(part);
	ash_part_close(part);
	g_clear_pointer(&part->path, g_free);
	g_clear_pointer(&part->hash, ash_sha256_free);
}
