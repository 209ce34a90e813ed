/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/file.h"

G_DEFINE_QUARK(ash_archive_error, ash_archive_error)

enum {
	READ_BLOCK_BYTES = 1 << 18,
};

typedef struct archive ArchiveRead;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ArchiveRead, archive_read_free)

struct AshArchive {
	struct archive *handle;
	AshEntry entry;
	AshArchiveSource source;
	gpointer source_data;
	const void *pending; /* the next block, from pending_offset on */
	size_t pending_size;
	int64_t pending_offset;
	int64_t position;     /* in the current entry */
	GError *source_error; /* what the source said, when libarchive only knows that it failed */
};

static gboolean fail(AshArchive *archive, struct archive *handle, GError **error)
{
	if (archive != NULL && archive->source_error != NULL) {
		g_propagate_error(error, g_steal_pointer(&archive->source_error));
		return FALSE;
	}
	const char *text = archive_error_string(handle);
	return ash_throw(error, ASH_ARCHIVE_ERROR, ASH_ARCHIVE_ERROR_FORMAT, "damaged archive: %s",
			text != NULL ? text : "unexpected end");
}

/* libarchive's own parsers are many; only what Debian and OCI use is switched on. */
static void enable(struct archive *handle, AshArchiveFormat format)
{
	if (format == ASH_ARCHIVE_AR) {
		archive_read_support_format_ar(handle);
		return;
	}
	if (format == ASH_ARCHIVE_STREAM) {
		archive_read_support_format_raw(handle);
		archive_read_support_format_empty(handle);
		archive_read_support_filter_gzip(handle);
		archive_read_support_filter_zstd(handle);
		return;
	}
	if (format == ASH_ARCHIVE_PLAIN_TAR) {
		archive_read_support_format_tar(handle);
		archive_read_support_format_empty(handle);
		return;
	}
	archive_read_support_format_tar(handle);
	archive_read_support_filter_gzip(handle);
	archive_read_support_filter_xz(handle);
	archive_read_support_filter_lzma(handle);
	archive_read_support_filter_zstd(handle);
	archive_read_support_filter_bzip2(handle);
}

gboolean ash_archive_open_memory(AshArchiveFormat format, const void *data, size_t size,
		AshArchive **out_archive, GError **error)
{
	g_autoptr(AshArchive) archive = g_new0(AshArchive, 1);

	archive->handle = archive_read_new();
	enable(archive->handle, format);
	if (archive_read_open_memory(archive->handle, data, size) != ARCHIVE_OK)
		return fail(archive, archive->handle, error);
	*out_archive = g_steal_pointer(&archive);
	return TRUE;
}

static la_ssize_t read_source(struct archive *handle, void *data, const void **buffer)
{
	AshArchive *archive = data;
	size_t size = 0;

	if (!archive->source(archive->source_data, buffer, &size, &archive->source_error)) {
		archive_set_error(handle, EIO, "input failed");
		return ARCHIVE_FATAL;
	}
	return (la_ssize_t) size;
}

gboolean ash_archive_open_source(AshArchiveFormat format, AshArchiveSource source, gpointer data,
		AshArchive **out_archive, GError **error)
{
	g_autoptr(AshArchive) archive = g_new0(AshArchive, 1);

	archive->handle = archive_read_new();
	archive->source = source;
	archive->source_data = data;
	enable(archive->handle, format);
	if (archive_read_open(archive->handle, archive, NULL, read_source, NULL) != ARCHIVE_OK)
		return fail(archive, archive->handle, error);
	*out_archive = g_steal_pointer(&archive);
	return TRUE;
}

void ash_archive_free(AshArchive *archive)
{
	if (archive == NULL)
		return;
	g_clear_pointer(&archive->handle, archive_read_free);
	g_clear_pointer(&archive->entry.xattrs, g_variant_unref);
	g_clear_error(&archive->source_error);
	g_free(archive);
}

typedef struct {
	const char *name;
	const void *value;
	size_t size;
} Xattr;

static int compare_xattrs(gconstpointer a, gconstpointer b)
{
	return strcmp(((const Xattr *) a)->name, ((const Xattr *) b)->name);
}

static GVariant *read_xattrs(struct archive_entry *entry)
{
	if (archive_entry_xattr_reset(entry) == 0)
		return NULL;
	g_autoptr(GArray) sorted = g_array_new(FALSE, FALSE, sizeof(Xattr));
	Xattr xattr;
	while (archive_entry_xattr_next(entry, &xattr.name, &xattr.value, &xattr.size) ==
			ARCHIVE_OK)
		g_array_append_val(sorted, xattr);
	g_array_sort(sorted, compare_xattrs);
	g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a(ayay)"));
	for (guint i = 0; i < sorted->len; i++) {
		const Xattr *x = &g_array_index(sorted, Xattr, i);
		g_variant_builder_add(&builder, "(@ay@ay)", g_variant_new_bytestring(x->name),
				g_variant_new_fixed_array(
						G_VARIANT_TYPE_BYTE, x->value, x->size, 1));
	}
	return g_variant_ref_sink(g_variant_builder_end(&builder));
}

static AshEntryKind entry_kind(struct archive_entry *entry)
{
	if (archive_entry_hardlink(entry) != NULL)
		return ASH_ENTRY_HARDLINK;
	mode_t type = archive_entry_filetype(entry);
	return type == AE_IFREG   ? ASH_ENTRY_FILE
	       : type == AE_IFDIR ? ASH_ENTRY_DIR
	       : type == AE_IFLNK ? ASH_ENTRY_LINK
				  : ASH_ENTRY_OTHER;
}

gboolean ash_archive_next(AshArchive *archive, const AshEntry **out_entry, GError **error)
{
	struct archive_entry *entry = NULL;
	int result = archive_read_next_header(archive->handle, &entry);

	if (result == ARCHIVE_EOF) {
		*out_entry = NULL;
		return TRUE;
	}
	if (result == ARCHIVE_RETRY || result < ARCHIVE_WARN || archive->source_error != NULL)
		return fail(archive, archive->handle, error);
	const char *path = archive_entry_pathname(entry);
	if (path == NULL)
		return ash_throw(error, ASH_ARCHIVE_ERROR, ASH_ARCHIVE_ERROR_FORMAT,
				"damaged archive: an entry without a usable name");
	g_clear_pointer(&archive->entry.xattrs, g_variant_unref);
	AshEntryKind kind = entry_kind(entry);
	archive->pending = NULL;
	archive->position = 0;
	archive->entry = (AshEntry){
			.kind = kind,
			.path = path,
			.target = kind == ASH_ENTRY_HARDLINK ? archive_entry_hardlink(entry)
							     : archive_entry_symlink(entry),
			.mode = (uint32_t) archive_entry_perm(entry) & 07777,
			.uid = archive_entry_uid(entry),
			.gid = archive_entry_gid(entry),
			.size = archive_entry_size(entry),
			.mtime_s = archive_entry_mtime(entry),
			.xattrs = read_xattrs(entry),
	};
	if (kind == ASH_ENTRY_LINK && archive->entry.target == NULL)
		return ash_throw(error, ASH_ARCHIVE_ERROR, ASH_ARCHIVE_ERROR_FORMAT,
				"damaged archive: link '%s' without a usable target", path);
	*out_entry = &archive->entry;
	return TRUE;
}

/* A sparse tar has holes between its blocks; they are handed out as zeroes, so that the block that
 * follows one is kept for the next call.
 */
static bool take_hole(AshArchive *archive, const void **out_data, size_t *out_size)
{
	static const char zeroes[65536];

	if (archive->position >= archive->pending_offset)
		return false;
	*out_data = zeroes;
	*out_size = (size_t) MIN(
			archive->pending_offset - archive->position, (int64_t) sizeof zeroes);
	archive->position += (int64_t) *out_size;
	return true;
}

gboolean ash_archive_read(
		AshArchive *archive, const void **out_data, size_t *out_size, GError **error)
{
	if (archive->pending == NULL) {
		la_int64_t offset = 0;
		int result = archive_read_data_block(archive->handle, &archive->pending,
				&archive->pending_size, &offset);
		if (result == ARCHIVE_EOF) {
			archive->pending_offset = archive->entry.size;
			archive->pending_size = 0;
		} else if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
			return fail(archive, archive->handle, error);
		} else {
			archive->pending_offset = offset;
		}
	}
	if (take_hole(archive, out_data, out_size))
		return TRUE;
	*out_data = g_steal_pointer(&archive->pending);
	*out_size = archive->pending_size;
	archive->position += (int64_t) archive->pending_size;
	return TRUE;
}

gboolean ash_archive_read_source(
		gpointer archive, const void **out_data, size_t *out_size, GError **error)
{
	return ash_archive_read(archive, out_data, out_size, error);
}

gboolean ash_archive_read_all(
		AshArchive *archive, size_t max_bytes, GBytes **out_bytes, GError **error)
{
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	for (;;) {
		const void *data;
		size_t size;
		if (!ash_archive_read(archive, &data, &size, error))
			return FALSE;
		if (size == 0)
			break;
		if (size > max_bytes - bytes->len)
			return ash_throw(error, ASH_ARCHIVE_ERROR, ASH_ARCHIVE_ERROR_TOO_BIG,
					"'%s' is larger than the %zu bytes that are allowed here",
					archive->entry.path, max_bytes);
		g_byte_array_append(bytes, data, (guint) size);
	}
	g_byte_array_append(bytes, (const guint8 *) "", 1);
	bytes->len--;
	*out_bytes = g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
	return TRUE;
}

static struct archive *new_raw(void)
{
	struct archive *handle = archive_read_new();

	archive_read_support_filter_all(handle);
	archive_read_support_format_raw(handle);
	archive_read_support_format_empty(handle);
	return handle;
}

typedef gboolean (*Consume)(gpointer data, const void *piece, size_t size, GError **error);

static gboolean pump(struct archive *handle, uint64_t max_bytes, Consume consume, gpointer data,
		GError **error)
{
	struct archive_entry *entry;
	uint64_t total = 0;
	int result = archive_read_next_header(handle, &entry);

	if (result == ARCHIVE_EOF)
		return TRUE;
	if (result != ARCHIVE_OK)
		return fail(NULL, handle, error);
	for (;;) {
		const void *piece;
		size_t size;
		la_int64_t offset;
		result = archive_read_data_block(handle, &piece, &size, &offset);
		if (result == ARCHIVE_EOF)
			return TRUE;
		if (result != ARCHIVE_OK)
			return fail(NULL, handle, error);
		if (size > max_bytes - total)
			return ash_throw(error, ASH_ARCHIVE_ERROR, ASH_ARCHIVE_ERROR_TOO_BIG,
					"unpacks to more than the %" G_GUINT64_FORMAT
					" bytes that are allowed here",
					max_bytes);
		total += size;
		if (!consume(data, piece, size, error))
			return FALSE;
	}
}

static gboolean append(gpointer data, const void *piece, size_t size, GError **error)
{
	g_byte_array_append(data, piece, (guint) size);
	return TRUE;
}

gboolean ash_archive_decompress(
		const void *data, size_t size, size_t max_bytes, GBytes **out_bytes, GError **error)
{
	g_autoptr(ArchiveRead) handle = new_raw();
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	g_assert(max_bytes < G_MAXUINT / 2);
	if (archive_read_open_memory(handle, data, size) != ARCHIVE_OK)
		return fail(NULL, handle, error);
	if (!pump(handle, max_bytes, append, bytes, error))
		return FALSE;
	g_byte_array_append(bytes, (const guint8 *) "", 1);
	bytes->len--;
	*out_bytes = g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
	return TRUE;
}

static gboolean write_piece(gpointer data, const void *piece, size_t size, GError **error)
{
	return ash_file_write_all(*(const int *) data, piece, size, error);
}

gboolean ash_archive_decompress_fd(int from_fd, int to_fd, uint64_t max_bytes, GError **error)
{
	g_autoptr(ArchiveRead) handle = new_raw();

	if (archive_read_open_fd(handle, from_fd, READ_BLOCK_BYTES) != ARCHIVE_OK)
		return fail(NULL, handle, error);
	return pump(handle, max_bytes, write_piece, &to_fd, error);
}

/* ---- writing ------------------------------------------------------------------------------------- */

struct AshArchiveWriter {
	struct archive *handle;
};

static gboolean fail_writing(AshArchiveWriter *writer, GError **error)
{
	int cause = archive_errno(writer->handle);

	if (cause > 0) {
		errno = cause;
		return ash_throw_errno(error, "writing the archive");
	}
	return ash_throw(error, ASH_ARCHIVE_ERROR, ASH_ARCHIVE_ERROR_FORMAT,
			"writing the archive: %s", archive_error_string(writer->handle));
}

gboolean ash_archive_writer_new(int fd, AshArchiveWriter **out_writer, GError **error)
{
	g_autoptr(AshArchiveWriter) writer = g_new0(AshArchiveWriter, 1);

	writer->handle = archive_write_new();
	if (writer->handle == NULL)
		g_error("libarchive has no memory");
	if (archive_write_set_format_pax_restricted(writer->handle) != ARCHIVE_OK ||
			archive_write_open_fd(writer->handle, fd) != ARCHIVE_OK)
		return fail_writing(writer, error);
	*out_writer = g_steal_pointer(&writer);
	return TRUE;
}

void ash_archive_writer_free(AshArchiveWriter *writer)
{
	if (writer == NULL)
		return;
	/* Not finished: this writes an end, and the file is still of no use to anybody. */
	archive_write_free(writer->handle);
	g_free(writer);
}

static gboolean begin_entry(
		AshArchiveWriter *writer, const char *path, uint64_t size, GError **error)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, path);
	archive_entry_set_size(entry, (int64_t) size);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_mtime(entry, 0, 0);
	int result = archive_write_header(writer->handle, entry);
	archive_entry_free(entry);
	return result == ARCHIVE_OK || fail_writing(writer, error);
}

static gboolean write_data(AshArchiveWriter *writer, const void *data, size_t size, GError **error)
{
	return size == 0 || archive_write_data(writer->handle, data, size) == (la_ssize_t) size ||
	       fail_writing(writer, error);
}

gboolean ash_archive_add_bytes(
		AshArchiveWriter *writer, const char *path, GBytes *content, GError **error)
{
	gsize size = 0;
	gconstpointer data = g_bytes_get_data(content, &size);

	return begin_entry(writer, path, size, error) && write_data(writer, data, size, error);
}

gboolean ash_archive_add_fd(AshArchiveWriter *writer, const char *path, int from_fd, GError **error)
{
	g_autofree char *buffer = g_malloc(READ_BLOCK_BYTES);
	struct stat st;
	uint64_t left;

	if (fstat(from_fd, &st) < 0)
		return ash_throw_errno(error, "%s", path);
	left = (uint64_t) st.st_size;
	if (!begin_entry(writer, path, left, error))
		return FALSE;
	while (left > 0) {
		ssize_t n = read(from_fd, buffer, MIN(left, READ_BLOCK_BYTES));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "%s", path);
		if (n == 0)
			return ash_throw(error, ASH_ARCHIVE_ERROR, ASH_ARCHIVE_ERROR_FORMAT,
					"%s became shorter while it was read", path);
		if (!write_data(writer, buffer, (size_t) n, error))
			return FALSE;
		left -= (uint64_t) n;
	}
	return TRUE;
}

gboolean ash_archive_finish(AshArchiveWriter *writer, GError **error)
{
	return archive_write_close(writer->handle) == ARCHIVE_OK || fail_writing(writer, error);
}

/* archive_write_callback, into a GByteArray */
static la_ssize_t take_piece(struct archive *handle, void *data, const void *piece, size_t size)
{
	g_byte_array_append(data, piece, (guint) size);
	return (la_ssize_t) size;
}

gboolean ash_archive_compress_xz(const void *data, size_t size, GBytes **out_bytes, GError **error)
{
	g_autoptr(GByteArray) packed = g_byte_array_new();
	g_autoptr(AshArchiveWriter) writer = g_new0(AshArchiveWriter, 1);

	writer->handle = archive_write_new();
	if (writer->handle == NULL)
		g_error("libarchive has no memory");
	/* Nothing behind the stream's end: no blocks to be filled. */
	if (archive_write_set_format_raw(writer->handle) != ARCHIVE_OK ||
			archive_write_add_filter_xz(writer->handle) != ARCHIVE_OK ||
			archive_write_set_bytes_in_last_block(writer->handle, 1) != ARCHIVE_OK ||
			archive_write_open(writer->handle, packed, NULL, take_piece, NULL) !=
					ARCHIVE_OK)
		return fail_writing(writer, error);
	if (!begin_entry(writer, "data", size, error) || !write_data(writer, data, size, error) ||
			!ash_archive_finish(writer, error))
		return FALSE;
	*out_bytes = g_byte_array_free_to_bytes(g_steal_pointer(&packed));
	return TRUE;
}
