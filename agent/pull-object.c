/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pull-object.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_object_error, ash_object_error)

#define COMMIT_TYPE ((const GVariantType *) "(a{sv}aya(say)sstayay)")
#define DIRTREE_TYPE ((const GVariantType *) "(a(say)a(sayay))")
#define ARCHIVE_HEADER_TYPE ((const GVariantType *) "(tuuuusa(ayay))")

enum {
	PRELUDE_BYTES = 8, /* length of the header, big-endian, and four bytes that align it */
	CHUNK_BYTES = 65536,
};

const char *ash_object_suffix(AshObjectKind kind, bool is_archive)
{
	static const char *const suffixes[] = {
			[ASH_OBJECT_COMMIT] = "commit",
			[ASH_OBJECT_DIRTREE] = "dirtree",
			[ASH_OBJECT_DIRMETA] = "dirmeta",
			[ASH_OBJECT_FILE] = "file",
	};

	return kind == ASH_OBJECT_FILE && is_archive ? "filez" : suffixes[kind];
}

char *ash_object_path(AshObjectKind kind, const char *checksum, bool is_archive)
{
	return g_strdup_printf(
			"%.2s/%s.%s", checksum, checksum + 2, ash_object_suffix(kind, is_archive));
}

bool ash_object_is_checksum(const char *text)
{
	return ash_text_is_sha256(text);
}

/* ---- commits and trees ----------------------------------------------------------------------- */

static gboolean visit_child(GVariant *tuple, gsize index, AshObjectKind kind, AshObjectVisit visit,
		gpointer data, GError **error)
{
	g_autoptr(GVariant) child = g_variant_get_child_value(tuple, index);
	gsize size = 0;
	const uint8_t *digest = g_variant_get_fixed_array(child, &size, 1);

	if (size != ASH_OBJECT_CHECKSUM_BYTES)
		return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_SYNTAX,
				"a checksum of %zu bytes", size);
	g_autofree char *checksum = ash_sha256_format(digest);
	visit(kind, checksum, data);
	return TRUE;
}

static gboolean visit_tree(GVariant *tree, AshObjectVisit visit, gpointer data, GError **error)
{
	g_autoptr(GVariant) files = g_variant_get_child_value(tree, 0);
	g_autoptr(GVariant) dirs = g_variant_get_child_value(tree, 1);

	for (gsize i = 0; i < g_variant_n_children(files); i++) {
		g_autoptr(GVariant) file = g_variant_get_child_value(files, i);
		if (!visit_child(file, 1, ASH_OBJECT_FILE, visit, data, error))
			return FALSE;
	}
	for (gsize i = 0; i < g_variant_n_children(dirs); i++) {
		g_autoptr(GVariant) dir = g_variant_get_child_value(dirs, i);
		if (!visit_child(dir, 1, ASH_OBJECT_DIRTREE, visit, data, error) ||
				!visit_child(dir, 2, ASH_OBJECT_DIRMETA, visit, data, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_object_visit(AshObjectKind kind, GBytes *bytes, AshObjectVisit visit, gpointer data,
		GError **error)
{
	g_assert(kind == ASH_OBJECT_COMMIT || kind == ASH_OBJECT_DIRTREE);
	const GVariantType *type = kind == ASH_OBJECT_COMMIT ? COMMIT_TYPE : DIRTREE_TYPE;
	if (g_bytes_get_size(bytes) > ASH_OBJECT_MAX_METADATA_BYTES)
		return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_TOO_BIG,
				"larger than the %d bytes that are allowed",
				ASH_OBJECT_MAX_METADATA_BYTES);
	g_autoptr(GVariant) object =
			g_variant_ref_sink(g_variant_new_from_bytes(type, bytes, FALSE));
	if (!g_variant_is_normal_form(object))
		return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_SYNTAX,
				"not a well-formed %s", ash_object_suffix(kind, true));
	if (kind == ASH_OBJECT_DIRTREE)
		return visit_tree(object, visit, data, error);
	return visit_child(object, 6, ASH_OBJECT_DIRTREE, visit, data, error) &&
	       visit_child(object, 7, ASH_OBJECT_DIRMETA, visit, data, error);
}

/* ---- content --------------------------------------------------------------------------------- */

/* Up to @size bytes: fewer only at the end of the file. */
static gboolean read_some(int fd, void *buffer, size_t size, size_t *out_size, GError **error)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, (uint8_t *) buffer + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "reading a content object");
		if (n == 0)
			break;
		have += (size_t) n;
	}
	*out_size = have;
	return TRUE;
}

static gboolean read_header(int fd, GVariant **out_header, GError **error)
{
	uint32_t prelude[2] = {0};
	size_t size = 0;

	if (!read_some(fd, prelude, PRELUDE_BYTES, &size, error))
		return FALSE;
	uint32_t length = GUINT32_FROM_BE(prelude[0]);
	if (size != PRELUDE_BYTES || length > ASH_OBJECT_MAX_HEADER_BYTES)
		return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_SYNTAX,
				"no header of a content object");
	g_autofree guint8 *data = g_malloc(MAX(length, 1));
	if (!read_some(fd, data, length, &size, error))
		return FALSE;
	if (size != length)
		return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_SYNTAX,
				"the header of a content object is cut off");
	g_autoptr(GBytes) bytes = g_bytes_new_take(g_steal_pointer(&data), length);
	g_autoptr(GVariant) header = g_variant_ref_sink(
			g_variant_new_from_bytes(ARCHIVE_HEADER_TYPE, bytes, FALSE));
	if (!g_variant_is_normal_form(header))
		return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_SYNTAX,
				"the header of a content object is not well-formed");
	*out_header = g_steal_pointer(&header);
	return TRUE;
}

/* The name of a content object is the hash of its header without the size, and of the content. */
static void hash_header(AshSha256 *hash, GVariant *header)
{
	GVariant *members[6];

	for (gsize i = 0; i < G_N_ELEMENTS(members); i++)
		members[i] = g_variant_get_child_value(header, i + 1);
	g_autoptr(GVariant) hashed =
			g_variant_ref_sink(g_variant_new_tuple(members, G_N_ELEMENTS(members)));
	for (gsize i = 0; i < G_N_ELEMENTS(members); i++)
		g_variant_unref(members[i]);
	uint32_t prelude[2] = {GUINT32_TO_BE((uint32_t) g_variant_get_size(hashed)), 0};
	ash_sha256_update(hash, prelude, PRELUDE_BYTES);
	ash_sha256_update(hash, g_variant_get_data(hashed), g_variant_get_size(hashed));
}

typedef struct {
	GConverter *zlib;
	AshSha256 *hash;
	uint64_t bytes, max_bytes;
	bool is_finished;
} Inflation;

static gboolean inflate(Inflation *inflation, const guint8 *in, gsize size, GError **error)
{
	guint8 out[CHUNK_BYTES];

	while (size > 0 && !inflation->is_finished) {
		gsize read = 0;
		gsize written = 0;
		g_autoptr(GError) local = NULL;
		GConverterResult result = g_converter_convert(inflation->zlib, in, size, out,
				sizeof out, G_CONVERTER_NO_FLAGS, &read, &written, &local);
		/* All of it is inside zlib, which wants more. */
		if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT))
			return TRUE;
		if (result == G_CONVERTER_ERROR)
			return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_SYNTAX, "%s",
					local->message);
		if (written > inflation->max_bytes - inflation->bytes)
			return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_TOO_BIG,
					"unpacks to more than the %" G_GUINT64_FORMAT
					" bytes that are allowed",
					inflation->max_bytes);
		inflation->bytes += written;
		ash_sha256_update(inflation->hash, out, written);
		in += read;
		size -= read;
		inflation->is_finished = result == G_CONVERTER_FINISHED;
	}
	return TRUE;
}

static gboolean hash_content(AshSha256 *hash, int fd, uint64_t max_bytes, GError **error)
{
	g_autoptr(GZlibDecompressor) zlib = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_RAW);
	Inflation inflation = {.zlib = G_CONVERTER(zlib), .hash = hash, .max_bytes = max_bytes};
	g_autofree guint8 *in = g_malloc(CHUNK_BYTES);
	size_t size = CHUNK_BYTES;

	while (size == CHUNK_BYTES && !inflation.is_finished)
		if (!read_some(fd, in, CHUNK_BYTES, &size, error) ||
				!inflate(&inflation, in, size, error))
			return FALSE;
	if (!inflation.is_finished)
		return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_SYNTAX,
				"the content is cut off");
	return TRUE;
}

gboolean ash_object_check_file(int fd, const char *checksum, uint64_t max_bytes, GError **error)
{
	g_autoptr(GVariant) header = NULL;
	uint32_t mode = 0;

	if (!read_header(fd, &header, error))
		return FALSE;
	g_autoptr(AshSha256) hash = ash_sha256_new();
	hash_header(hash, header);
	g_variant_get_child(header, 3, "u", &mode);
	if (S_ISREG(GUINT32_FROM_BE(mode)) && !hash_content(hash, fd, max_bytes, error))
		return FALSE;
	uint8_t digest[ASH_SHA256_BYTES];
	ash_sha256_finish(g_steal_pointer(&hash), digest);
	g_autofree char *hex = ash_sha256_format(digest);
	if (!g_str_equal(hex, checksum))
		return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_MISMATCH,
				"the content is that of '%s'", hex);
	return TRUE;
}
