/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/static-delta.h"

#include <string.h>

#include "lib/archive.h"
#include "lib/crypto.h"

#define COMMIT_FORMAT "(a{sv}aya(say)sstayay)"
#define PART_META_FORMAT "(uayttay)"
#define DELTA_FORMAT "(a{sv}tayay" COMMIT_FORMAT "aya" PART_META_FORMAT "a(yaytt))"
#define PART_FORMAT "(yay)"

enum {
	CHILD_METADATA = 0,
	CHILD_FROM = 2,
	CHILD_TO = 3,
	CHILD_PARTS = 6,
	CHILD_COUNT = 8,
	CSUM_BYTES = 32,
	OBJECT_FILE = 1,
	PART_VERSION = 0,
	COMPRESSION_XZ = 'x',
};

static GVariant *format_bytes(const void *data, size_t size)
{
	return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, data, size, 1);
}

static void put_varint(GByteArray *out, uint64_t number)
{
	do {
		uint8_t byte = (uint8_t) ((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
		g_byte_array_append(out, &byte, 1);
		number >>= 7;
	} while (number > 0);
}

static void put_operation(GByteArray *out, char code)
{
	g_byte_array_append(out, (const uint8_t *) &code, 1);
}

/* Modes, extended attributes, payload, operations. */
static GVariant *format_part(const AshStaticDeltaFile *file)
{
	g_autoptr(GByteArray) payload = g_byte_array_new();
	g_autoptr(GByteArray) operations = g_byte_array_new();

	g_byte_array_append(payload, file->source, CSUM_BYTES);
	g_byte_array_append(payload, file->patch->data, file->patch->len);
	put_operation(operations, 'o'); /* open: which mode, which attributes, how long */
	put_varint(operations, 0);
	put_varint(operations, 0);
	put_varint(operations, file->size);
	put_operation(operations, 'r'); /* read from: where in the payload the object is named */
	put_varint(operations, 0);
	put_operation(operations, 'B'); /* patch: where in the payload, how long */
	put_varint(operations, CSUM_BYTES);
	put_varint(operations, file->patch->len);
	put_operation(operations, 'R'); /* read from there no more */
	put_operation(operations, 'c'); /* close */

	GVariant *mode = g_variant_new("(uuu)", GUINT32_TO_BE(file->uid), GUINT32_TO_BE(file->gid),
			GUINT32_TO_BE(file->mode));
	return g_variant_new("(@a(uuu)@aa(ayay)@ay@ay)",
			g_variant_new_array(G_VARIANT_TYPE("(uuu)"), &mode, 1),
			g_variant_new_array(
					G_VARIANT_TYPE("a(ayay)"), &(GVariant *){file->xattrs}, 1),
			format_bytes(payload->data, payload->len),
			format_bytes(operations->data, operations->len));
}

/* @out_meta: what the delta says of it */
static gboolean compress_part(const AshStaticDeltaFile *file, GVariant **out_part,
		GVariant **out_meta, GError **error)
{
	g_autoptr(GVariant) plain = g_variant_ref_sink(format_part(file));
	g_autoptr(GBytes) packed = NULL;
	uint8_t digest[ASH_SHA256_BYTES];
	uint8_t object[1 + CSUM_BYTES] = {OBJECT_FILE};

	if (!ash_archive_compress_xz(
			    g_variant_get_data(plain), g_variant_get_size(plain), &packed, error))
		return FALSE;
	g_autoptr(GVariant) part = g_variant_ref_sink(g_variant_new("(y@ay)", COMPRESSION_XZ,
			format_bytes(g_bytes_get_data(packed, NULL), g_bytes_get_size(packed))));
	ash_sha256(g_variant_get_data(part), g_variant_get_size(part), digest);
	memcpy(object + 1, file->object, CSUM_BYTES);
	*out_meta = g_variant_new("(u@aytt@ay)", PART_VERSION, format_bytes(digest, sizeof digest),
			(guint64) g_variant_get_size(part), (guint64) g_variant_get_size(plain),
			format_bytes(object, sizeof object));
	*out_part = g_steal_pointer(&part);
	return TRUE;
}

/* The name under which part @index lies in the metadata. */
static char *part_key(const uint8_t *from, const uint8_t *to, unsigned index)
{
	g_autofree char *from_text = g_base64_encode(from, CSUM_BYTES);
	g_autofree char *to_text = g_base64_encode(to, CSUM_BYTES);
	char *texts[2] = {from_text, to_text};

	for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_strdelimit(texts[i], "/", '_');
		*strchrnul(texts[i], '=') = '\0';
	}
	return g_strdup_printf("deltas/%.2s/%s-%s/%u", from_text, from_text + 2, to_text, index);
}

/* All that is not a part, the parts under their new names, and @part behind them. */
static GVariant *rename_parts(GVariant *metadata, const uint8_t *old_from, const uint8_t *from,
		const uint8_t *to, unsigned count, GVariant *part)
{
	g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(metadata);

	for (unsigned i = 0; i < count; i++) {
		g_autofree char *old_key = part_key(old_from, to, i);
		g_autofree char *key = part_key(from, to, i);
		g_autoptr(GVariant) value = g_variant_dict_lookup_value(
				&dict, old_key, G_VARIANT_TYPE(PART_FORMAT));
		if (value == NULL)
			return NULL;
		g_variant_dict_remove(&dict, old_key);
		g_variant_dict_insert_value(&dict, key, value);
	}
	g_autofree char *key = part_key(from, to, count);
	g_variant_dict_insert_value(&dict, key, part);
	return g_variant_dict_end(&dict);
}

static GVariant *append_meta(GVariant *parts, GVariant *meta)
{
	g_auto(GVariantBuilder) builder =
			G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE("a" PART_META_FORMAT));

	for (gsize i = 0; i < g_variant_n_children(parts); i++) {
		g_autoptr(GVariant) child = g_variant_get_child_value(parts, i);
		g_variant_builder_add_value(&builder, child);
	}
	g_variant_builder_add_value(&builder, meta);
	return g_variant_builder_end(&builder);
}

gboolean ash_static_delta_add(GBytes *delta, const uint8_t from[32], const AshStaticDeltaFile *file,
		GBytes **out_delta, GError **error)
{
	g_autoptr(GVariant) old = g_variant_ref_sink(
			g_variant_new_from_bytes(G_VARIANT_TYPE(DELTA_FORMAT), delta, FALSE));
	g_autoptr(GVariant) part = NULL;
	GVariant *meta = NULL;
	GVariant *children[CHILD_COUNT];

	if (!compress_part(file, &part, &meta, error))
		return FALSE;
	for (unsigned i = 0; i < CHILD_COUNT; i++)
		children[i] = g_variant_get_child_value(old, i);
	GVariant *parts = append_meta(children[CHILD_PARTS], meta);
	GVariant *metadata = rename_parts(children[CHILD_METADATA],
			g_variant_get_data(children[CHILD_FROM]), from,
			g_variant_get_data(children[CHILD_TO]),
			(unsigned) g_variant_n_children(children[CHILD_PARTS]), part);
	/* libostree was asked for parts inside, and calls them so since 2013. */
	g_assert(metadata != NULL);
	GVariant *changed[CHILD_COUNT];
	memcpy(changed, children, sizeof changed);
	changed[CHILD_METADATA] = metadata;
	changed[CHILD_FROM] = format_bytes(from, CSUM_BYTES);
	changed[CHILD_PARTS] = parts;
	g_autoptr(GVariant) whole = g_variant_ref_sink(g_variant_new_tuple(changed, CHILD_COUNT));
	*out_delta = g_variant_get_data_as_bytes(whole);
	for (unsigned i = 0; i < CHILD_COUNT; i++)
		g_variant_unref(children[i]);
	return TRUE;
}
