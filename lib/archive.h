/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Archives and compression, by libarchive: the one file that may include archive.h.
 *
 * Reading never touches the disk: entries come as values, content through a callback. Paths are
 * handed out as the archive has them; callers check them.
 */

#define ASH_ARCHIVE_ERROR (ash_archive_error_quark())
GQuark ash_archive_error_quark(void);

typedef enum {
	ASH_ARCHIVE_ERROR_FORMAT,  /* not such an archive, or damaged, or cut off */
	ASH_ARCHIVE_ERROR_TOO_BIG, /* more bytes, after decompression, than the caller allows */
} AshArchiveError;

typedef enum {
	ASH_ARCHIVE_ANY_TAR,   /* tar, any compression */
	ASH_ARCHIVE_AR,        /* ar, as in .deb */
	ASH_ARCHIVE_PLAIN_TAR, /* tar, not compressed; one without entries too */
	/* One stream, compressed with gzip or zstd or not at all: what it unpacks to is the only entry. An empty one has
	 * none. */
	ASH_ARCHIVE_STREAM,
} AshArchiveFormat;

typedef enum {
	ASH_ENTRY_FILE,
	ASH_ENTRY_DIR,
	ASH_ENTRY_LINK,
	ASH_ENTRY_HARDLINK, /* target is the path of an earlier entry */
	ASH_ENTRY_OTHER,    /* device, fifo, socket */
} AshEntryKind;

/* Borrowed from the archive until the next call. */
typedef struct {
	AshEntryKind kind;
	const char *path;
	const char *target; /* LINK, HARDLINK */
	uint32_t mode;      /* 07777 */
	int64_t uid;
	int64_t gid;
	int64_t size;
	int64_t mtime_s;  /* since 1970 */
	GVariant *xattrs; /* a(ayay) sorted by name, or NULL */
} AshEntry;

typedef struct AshArchive AshArchive;

/* Supplies input: sets *out_data to a buffer that lives until the next call, *out_size to 0 at the
 * end.
 */
typedef gboolean (*AshArchiveSource)(
		gpointer data, const void **out_data, size_t *out_size, GError **error);

gboolean ash_archive_open_memory(AshArchiveFormat format, const void *data, size_t size,
		AshArchive **out_archive, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_archive_open_source(AshArchiveFormat format, AshArchiveSource source, gpointer data,
		AshArchive **out_archive, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_archive_free(AshArchive *archive);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshArchive, ash_archive_free)

/* *out_entry is NULL at the end. */
gboolean ash_archive_next(AshArchive *archive, const AshEntry **out_entry, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The next piece of the current entry's content; *out_size 0 at its end. The buffer lives until the
 * next call. Fits AshArchiveSource, so that an archive inside an archive is read in one pass.
 */
gboolean ash_archive_read(AshArchive *archive, const void **out_data, size_t *out_size,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_archive_read_source(gpointer archive, const void **out_data, size_t *out_size,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The rest of the current entry, at most @max_bytes; NUL-terminated behind its end. */
gboolean ash_archive_read_all(AshArchive *archive, size_t max_bytes, GBytes **out_bytes,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_archive_decompress: gz, xz, zstd, bzip2, lz4, lzma or none of them, told by the first bytes;
 * at most @max_bytes come out. NUL-terminated behind its end.
 */
gboolean ash_archive_decompress(const void *data, size_t size, size_t max_bytes, GBytes **out_bytes,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same from a file to a file, without holding either in memory. */
gboolean ash_archive_decompress_fd(int from_fd, int to_fd, uint64_t max_bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* As one .xz stream, for who reads it with 9 MB of memory. */
gboolean ash_archive_compress_xz(const void *data, size_t size, GBytes **out_bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- writing ---- */

/* A tar without compression (POSIX pax where names are long), the same bytes for the same content:
 * files only, mode 0644, root, time 0.
 */
typedef struct AshArchiveWriter AshArchiveWriter;

/* @fd: borrowed; the caller syncs it. */
gboolean ash_archive_writer_new(int fd, AshArchiveWriter **out_writer, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_archive_writer_free(AshArchiveWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshArchiveWriter, ash_archive_writer_free)

gboolean ash_archive_add_bytes(AshArchiveWriter *writer, const char *path, GBytes *content,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The file behind @from_fd, which does not change meanwhile; sets its position to the end. */
gboolean ash_archive_add_fd(AshArchiveWriter *writer, const char *path, int from_fd, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Writes the end; nothing may be added behind it. */
gboolean ash_archive_finish(AshArchiveWriter *writer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
