/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <string.h>

#include "agent/workload/image-tree.h"
#include "lib/crypto.h"
#include "lib/error.h"

/* A store of objects in memory (agent/workload/image-tree.h): what they are is what they are called by, as in the
 * repository. For tests of layers without a disk.
 */

typedef struct {
	GHashTable *links; /* checksum → target */
	GHashTable *trees; /* checksum → GPtrArray of AshOstreeEntry */
	AshImageStore store;
} ImageMemory;

static inline void image_memory_free_entry(gpointer data)
{
	AshOstreeEntry *entry = data;

	g_free((char *) (gintptr) entry->name);
	g_free((char *) (gintptr) entry->object);
	g_free((char *) (gintptr) entry->tree);
	g_free(entry);
}

static inline gboolean image_memory_file(gpointer data, const AshOstreeOwner *owner, uint64_t size,
		AshOstreeSource source, gpointer source_data, char **out_hex, GError **error)
{
	g_autoptr(AshSha256) hash = ash_sha256_new();
	g_autofree char *head =
			g_strdup_printf("file %u %u %o\n", owner->uid, owner->gid, owner->mode);
	uint8_t digest[ASH_SHA256_BYTES];
	uint64_t total = 0;

	ash_sha256_update(hash, head, strlen(head));
	for (;;) {
		const void *piece = NULL;
		size_t bytes = 0;
		if (!source(source_data, &piece, &bytes, error))
			return FALSE;
		if (bytes == 0)
			break;
		total += bytes;
		ash_sha256_update(hash, piece, bytes);
	}
	if (total != size)
		return ash_throw(error, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT, "size");
	ash_sha256_finish(g_steal_pointer(&hash), digest);
	*out_hex = ash_sha256_format(digest);
	return TRUE;
}

static inline gboolean image_memory_link(gpointer data, const AshOstreeOwner *owner,
		const char *target, char **out_hex, GError **error)
{
	ImageMemory *memory = data;
	g_autofree char *text = g_strdup_printf("link %u %u %s", owner->uid, owner->gid, target);

	*out_hex = ash_sha256_hex(text, strlen(text));
	g_hash_table_replace(memory->links, g_strdup(*out_hex), g_strdup(target));
	return TRUE;
}

static inline gboolean image_memory_dirmeta(
		gpointer data, const AshOstreeOwner *owner, char **out_hex, GError **error)
{
	g_autofree char *text =
			g_strdup_printf("dir %u %u %o", owner->uid, owner->gid, owner->mode);

	*out_hex = ash_sha256_hex(text, strlen(text));
	return TRUE;
}

static inline gint image_memory_compare(gconstpointer a, gconstpointer b)
{
	return strcmp((*(const AshOstreeEntry *const *) a)->name,
			(*(const AshOstreeEntry *const *) b)->name);
}

static inline gboolean image_memory_dirtree(
		gpointer data, GPtrArray *entries, char **out_hex, GError **error)
{
	ImageMemory *memory = data;
	GPtrArray *copy = g_ptr_array_new_with_free_func(image_memory_free_entry);
	g_autoptr(GString) text = g_string_new("tree\n");

	g_ptr_array_sort(entries, image_memory_compare);
	for (guint i = 0; i < entries->len; i++) {
		const AshOstreeEntry *entry = entries->pdata[i];
		AshOstreeEntry *kept = g_new0(AshOstreeEntry, 1);
		/* Nothing that is not a name may ever be called one. */
		g_assert_true(*entry->name != '\0' && strchr(entry->name, '/') == NULL);
		g_assert_cmpstr(entry->name, !=, ".");
		g_assert_cmpstr(entry->name, !=, "..");
		*kept = (AshOstreeEntry){.name = g_strdup(entry->name),
				.object = g_strdup(entry->object),
				.tree = g_strdup(entry->tree)};
		g_ptr_array_add(copy, kept);
		g_string_append_printf(text, "%s %s %s\n", entry->name, entry->object,
				entry->tree != NULL ? entry->tree : "-");
	}
	*out_hex = ash_sha256_hex(text->str, text->len);
	g_hash_table_replace(memory->trees, g_strdup(*out_hex), copy);
	return TRUE;
}

static inline gboolean image_memory_load_tree(gpointer data, const char *hex, AshOstreeEach each,
		gpointer each_data, GError **error)
{
	ImageMemory *memory = data;
	GPtrArray *entries = g_hash_table_lookup(memory->trees, hex);

	g_assert_nonnull(entries);
	for (guint i = 0; i < entries->len; i++)
		if (!each(entries->pdata[i], each_data, error))
			return FALSE;
	return TRUE;
}

static inline gboolean image_memory_load_link(
		gpointer data, const char *hex, char **out_target, GError **error)
{
	ImageMemory *memory = data;

	*out_target = g_strdup(g_hash_table_lookup(memory->links, hex));
	return TRUE;
}

static inline void image_memory_init(ImageMemory *memory)
{
	memory->links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	memory->trees = g_hash_table_new_full(
			g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
	memory->store = (AshImageStore){.make_file = image_memory_file,
			.make_link = image_memory_link,
			.make_dirmeta = image_memory_dirmeta,
			.make_dirtree = image_memory_dirtree,
			.load_dirtree = image_memory_load_tree,
			.load_link = image_memory_load_link,
			.data = memory};
}

static inline void image_memory_clear(ImageMemory *memory)
{
	g_hash_table_unref(memory->links);
	g_hash_table_unref(memory->trees);
}
