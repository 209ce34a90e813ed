/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cpio.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_cpio_error, ash_cpio_error)

enum {
	MAX_PATH_BYTES = 4095,
	FIRST_INODE = 1,
	ALIGNMENT = 4,
	/* Readers of tapes want whole blocks; the kernel does not care. */
	BLOCK_BYTES = 512,
};

typedef struct {
	char *path; /* owned; the key of the table too */
	uint32_t mode;
	uint32_t major; /* of a device node */
	uint32_t minor;
	GBytes *content; /* of a file, or the target of a link; NULL otherwise */
} Entry;

struct AshCpio {
	GHashTable *entries; /* path → Entry */
};

static void entry_free(Entry *entry)
{
	if (entry->content != NULL)
		g_bytes_unref(entry->content);
	g_free(entry->path);
	g_free(entry);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Entry, entry_free)

AshCpio *ash_cpio_new(void)
{
	AshCpio *cpio = g_new0(AshCpio, 1);
	cpio->entries = g_hash_table_new_full(
			g_str_hash, g_str_equal, NULL, (GDestroyNotify) entry_free);
	return cpio;
}

void ash_cpio_free(AshCpio *cpio)
{
	if (cpio == NULL)
		return;
	g_hash_table_unref(cpio->entries);
	g_free(cpio);
}

static bool is_good_path(const char *path)
{
	if (path[0] == '\0' || strlen(path) > MAX_PATH_BYTES)
		return false;
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	for (size_t i = 0; parts[i] != NULL; i++)
		if (parts[i][0] == '\0' || strcmp(parts[i], ".") == 0 ||
				strcmp(parts[i], "..") == 0)
			return false;
	return true;
}

static bool entry_equal(const Entry *a, const Entry *b)
{
	if (a->mode != b->mode || a->major != b->major || a->minor != b->minor)
		return false;
	if (a->content == NULL || b->content == NULL)
		return a->content == b->content;
	return g_bytes_equal(a->content, b->content);
}

static gboolean add(AshCpio *cpio, Entry *take_entry, GError **error)
{
	g_autoptr(Entry) entry = take_entry;

	if (!is_good_path(entry->path))
		return ash_throw(error, ASH_CPIO_ERROR, ASH_CPIO_ERROR_BAD_PATH,
				"'%s' cannot be a path in an archive", entry->path);
	if (entry->content != NULL && g_bytes_get_size(entry->content) > G_MAXUINT32)
		return ash_throw(error, ASH_CPIO_ERROR, ASH_CPIO_ERROR_TOO_BIG,
				"'%s': 4 GiB or more do not fit into a cpio archive", entry->path);
	const Entry *present = g_hash_table_lookup(cpio->entries, entry->path);
	if (present != NULL && !entry_equal(present, entry))
		return ash_throw(error, ASH_CPIO_ERROR, ASH_CPIO_ERROR_DUPLICATE,
				"'%s' is in the archive already, as something else", entry->path);
	if (present == NULL) {
		char *key = entry->path;
		g_hash_table_insert(cpio->entries, key, g_steal_pointer(&entry));
	}
	return TRUE;
}

static Entry *entry_new(const char *path, uint32_t mode)
{
	Entry *entry = g_new0(Entry, 1);

	entry->path = g_strdup(path[0] == '/' ? path + 1 : path);
	entry->mode = mode;
	return entry;
}

gboolean ash_cpio_add_dir(AshCpio *cpio, const char *path, uint32_t mode, GError **error)
{
	return add(cpio, entry_new(path, S_IFDIR | (mode & 07777)), error);
}

gboolean ash_cpio_add_file(
		AshCpio *cpio, const char *path, uint32_t mode, GBytes *content, GError **error)
{
	Entry *entry = entry_new(path, S_IFREG | (mode & 07777));

	entry->content = g_bytes_ref(content);
	return add(cpio, entry, error);
}

gboolean ash_cpio_add_link(AshCpio *cpio, const char *path, const char *target, GError **error)
{
	Entry *entry = entry_new(path, S_IFLNK | 0777);

	entry->content = g_bytes_new(target, strlen(target));
	return add(cpio, entry, error);
}

gboolean ash_cpio_add_char_device(AshCpio *cpio, const char *path, uint32_t mode, uint32_t major,
		uint32_t minor, GError **error)
{
	Entry *entry = entry_new(path, S_IFCHR | (mode & 07777));

	entry->major = major;
	entry->minor = minor;
	return add(cpio, entry, error);
}

gboolean ash_cpio_has(const AshCpio *cpio, const char *path)
{
	return g_hash_table_contains(cpio->entries, path[0] == '/' ? path + 1 : path);
}

static void pad(GByteArray *out, guint alignment)
{
	static const guint8 zeros[BLOCK_BYTES];
	guint rest = out->len % alignment;

	if (rest != 0)
		g_byte_array_append(out, zeros, alignment - rest);
}

static void write_entry(GByteArray *out, uint32_t inode, const Entry *entry)
{
	gsize size = 0;
	const void *data = entry->content != NULL ? g_bytes_get_data(entry->content, &size) : NULL;
	/* The kernel reads sorted entries one by one and wants to see a link count of 1 or, for
	 * directories, 2; more would make it look for hard links. */
	uint32_t n_links = S_ISDIR(entry->mode) ? 2 : 1;
	size_t name_bytes = strlen(entry->path) + 1;

	g_autofree char *header = g_strdup_printf(
			"070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", inode,
			entry->mode, 0U, 0U, n_links, 0U, (guint) size, 0U, 0U, entry->major,
			entry->minor, (guint) name_bytes, 0U);
	g_byte_array_append(out, (const guint8 *) header, (guint) strlen(header));
	g_byte_array_append(out, (const guint8 *) entry->path, (guint) name_bytes);
	pad(out, ALIGNMENT);
	if (size > 0)
		g_byte_array_append(out, data, (guint) size);
	pad(out, ALIGNMENT);
}

static int compare_paths(gconstpointer a, gconstpointer b)
{
	const Entry *const *left = a;
	const Entry *const *right = b;
	return strcmp((*left)->path, (*right)->path);
}

/* Makes the missing parents of @path; fails when one is there and no directory. */
static gboolean add_parents(AshCpio *cpio, const char *path, GError **error)
{
	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		g_autofree char *parent = g_strndup(path, (gsize) (slash - path));
		const Entry *entry = g_hash_table_lookup(cpio->entries, parent);
		if (entry != NULL && !S_ISDIR(entry->mode))
			return ash_throw(error, ASH_CPIO_ERROR, ASH_CPIO_ERROR_BAD_PATH,
					"'%s': '%s' is no directory in the archive", path, parent);
		if (entry == NULL && !ash_cpio_add_dir(cpio, parent, 0755, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_cpio_finish(AshCpio *cpio, GBytes **out_bytes, GError **error)
{
	/* Keys are the entries' own paths; what is added below does not move them. */
	g_autofree char **paths = (char **) g_hash_table_get_keys_as_array(cpio->entries, NULL);
	for (size_t i = 0; paths[i] != NULL; i++)
		if (!add_parents(cpio, paths[i], error))
			return FALSE;

	g_autoptr(GPtrArray) sorted = g_ptr_array_new();
	GHashTableIter iter;
	gpointer value = NULL;
	g_hash_table_iter_init(&iter, cpio->entries);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		g_ptr_array_add(sorted, value);
	g_ptr_array_sort(sorted, compare_paths);
	uint64_t total = BLOCK_BYTES;
	for (guint i = 0; i < sorted->len; i++) {
		const Entry *entry = g_ptr_array_index(sorted, i);
		total += 128 + strlen(entry->path);
		total += entry->content != NULL ? g_bytes_get_size(entry->content) : 0;
	}
	if (total > G_MAXUINT / 2)
		return ash_throw(error, ASH_CPIO_ERROR, ASH_CPIO_ERROR_TOO_BIG,
				"an archive of %" G_GUINT64_FORMAT " bytes is too large", total);

	g_autoptr(GByteArray) out = g_byte_array_sized_new((guint) total);
	uint32_t inode = FIRST_INODE;
	for (guint i = 0; i < sorted->len; i++)
		write_entry(out, inode++, g_ptr_array_index(sorted, i));
	char name[] = "TRAILER!!!";
	Entry trailer = {.path = name};
	write_entry(out, 0, &trailer);
	pad(out, BLOCK_BYTES);
	*out_bytes = g_byte_array_free_to_bytes(g_steal_pointer(&out));
	return TRUE;
}
