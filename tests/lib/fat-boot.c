/* SPDX-License-Identifier: Apache-2.0 */
/* What the firmware and systemd-boot make of an ESP, which may have been left by a power cut:
 *
 *	fat-boot DISK OFFSET
 *
 * Reads FAT as EDK2's FatPkg does (first copy of the table; a long name counts only when each of its
 * parts is in its place and has the right sum, otherwise the short name is the name; a chain that ends
 * before the file does makes the file unreadable), and entries as systemd-boot 257 does: names that do
 * not end in .conf, entries without a kernel, and those whose kernel cannot be opened, are passed over.
 * The order is agent/boot-entry.h's. Prints, in that order,
 *
 *	entry FILE TRIES-LEFT COMMIT SERIAL SHA256-OF-KERNEL SHA256-OF-INITRD     "-": cannot be read
 *
 * and, of what an update must not be built upon,
 *
 *	note short NAME             a long name is broken
 *	note shared NAME NAME       two names lead to the same clusters
 *	note tables N               the copies of the table differ in N sectors
 *	note passed NAME WHY        an entry that would not be offered
 */
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot-entry.h"
#include "lib/crypto.h"

enum {
	SLOT = 32,
	SLOT_CHARS = 13,
	MAX_SLOTS = 20,
	MAX_DEPTH = 8,
	ATTRIBUTE_VOLUME = 0x08,
	ATTRIBUTE_DIRECTORY = 0x10,
	ATTRIBUTE_LONG = 0x0f,
	ORDINAL_LAST = 0x40,
};

typedef struct {
	const uint8_t *at;
	uint64_t size; /* of what is mapped behind `at` */
	uint32_t sector, cluster, fat, fat_bytes, data, n_clusters, root;
} Volume;

typedef struct {
	char *name;
	bool is_directory;
	uint32_t first, size;
} File;

static void fail(const char *why)
{
	fprintf(stderr, "%s\n", why);
	exit(1);
}

static uint32_t le16(const uint8_t *p)
{
	return (uint32_t) p[0] | (uint32_t) p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | le16(p + 2) << 16;
}

static void volume_init(Volume *volume)
{
	const uint8_t *boot = volume->at;

	if (volume->size < 512 || boot[510] != 0x55 || boot[511] != 0xaa)
		fail("no boot sector");
	volume->sector = le16(boot + 11);
	volume->cluster = volume->sector * boot[13];
	volume->fat = le16(boot + 14) * volume->sector;
	volume->fat_bytes = le32(boot + 36) * volume->sector;
	volume->data = volume->fat + boot[16] * volume->fat_bytes;
	volume->root = le32(boot + 44);
	if (volume->sector < 512 || volume->cluster == 0 || le16(boot + 22) != 0)
		fail("not FAT32");
	volume->n_clusters = (le32(boot + 32) - volume->data / volume->sector) / boot[13];
	if (volume->data + (uint64_t) volume->n_clusters * volume->cluster > volume->size)
		fail("larger than its partition");
	unsigned differing = 0;
	for (uint32_t i = 0; boot[16] > 1 && i < volume->fat_bytes; i += volume->sector)
		differing += memcmp(boot + volume->fat + i,
					     boot + volume->fat + volume->fat_bytes + i,
					     volume->sector) != 0;
	if (differing > 0)
		printf("note tables %u\n", differing);
}

/* The cluster behind @cluster; 0: none. */
static uint32_t volume_next(const Volume *volume, uint32_t cluster)
{
	uint32_t next = le32(volume->at + volume->fat + cluster * 4) & 0x0fffffff;

	return next >= 2 && next < volume->n_clusters + 2 ? next : 0;
}

/* @size bytes, or for a directory all of them (UINT32_MAX); NULL when the chain is too short. */
static GBytes *read_chain(const Volume *volume, uint32_t first, uint32_t size)
{
	g_autoptr(GByteArray) data = g_byte_array_new();
	bool is_directory = size == UINT32_MAX;
	uint32_t left = volume->n_clusters;

	for (uint32_t cluster = first; cluster >= 2 && cluster < volume->n_clusters + 2 &&
				       data->len < size && left-- > 0;
			cluster = volume_next(volume, cluster))
		g_byte_array_append(data,
				volume->at + volume->data +
						(uint64_t) (cluster - 2) * volume->cluster,
				MIN(volume->cluster, size - data->len));
	if (!is_directory && data->len < size)
		return NULL;
	return g_byte_array_free_to_bytes(g_steal_pointer(&data));
}

static uint8_t sum_of(const uint8_t *name)
{
	uint8_t sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (uint8_t) ((sum << 7 | sum >> 1) + name[i]);
	return sum;
}

/* The long name in the slots before @slot, or NULL. */
static char *long_name(const uint8_t *slots, size_t slot)
{
	static const uint8_t places[SLOT_CHARS] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
	gunichar2 name[MAX_SLOTS * SLOT_CHARS + 1] = {0};
	uint8_t sum = sum_of(slots + slot * SLOT);

	for (unsigned ordinal = 1; ordinal <= MAX_SLOTS && ordinal <= slot; ordinal++) {
		const uint8_t *part = slots + (slot - ordinal) * SLOT;
		if ((part[11] & 0x3f) != ATTRIBUTE_LONG || part[13] != sum ||
				(part[0] & ~ORDINAL_LAST) != (int) ordinal)
			return NULL;
		for (int i = 0; i < SLOT_CHARS; i++)
			name[(ordinal - 1) * SLOT_CHARS + (unsigned) i] =
					(gunichar2) le16(part + places[i]);
		if (part[0] & ORDINAL_LAST)
			return g_utf16_to_utf8(name, -1, NULL, NULL, NULL);
	}
	return NULL;
}

static char *short_name(const uint8_t *slot)
{
	g_autofree char *base = g_strndup((const char *) slot, 8);
	g_autofree char *end = g_strndup((const char *) slot + 8, 3);
	bool is_low_base = slot[12] & 0x08, is_low_end = slot[12] & 0x10;

	g_strchomp(base);
	g_strchomp(end);
	g_autofree char *a = is_low_base ? g_ascii_strdown(base, -1) : g_strdup(base);
	g_autofree char *b = is_low_end ? g_ascii_strdown(end, -1) : g_strdup(end);
	return *b != '\0' ? g_strconcat(a, ".", b, NULL) : g_strdup(a);
}

static void file_free(gpointer data)
{
	File *file = data;

	g_free(file->name);
	g_free(file);
}

static GPtrArray *list(const Volume *volume, uint32_t first)
{
	GPtrArray *files = g_ptr_array_new_with_free_func(file_free);
	g_autoptr(GBytes) bytes = read_chain(volume, first, UINT32_MAX);
	gsize size;
	const uint8_t *slots = g_bytes_get_data(bytes, &size);

	for (size_t i = 0; i < size / SLOT && slots[i * SLOT] != 0; i++) {
		const uint8_t *slot = slots + i * SLOT;
		if (slot[0] == 0xe5 || slot[0] == '.' || (slot[11] & ATTRIBUTE_VOLUME))
			continue;
		File *file = g_new0(File, 1);
		file->name = long_name(slots, i);
		if (file->name == NULL) {
			file->name = short_name(slot);
			if (strchr(file->name, '~') != NULL)
				printf("note short %s\n", file->name);
		}
		file->is_directory = slot[11] & ATTRIBUTE_DIRECTORY;
		file->first = le16(slot + 20) << 16 | le16(slot + 26);
		file->size = le32(slot + 28);
		g_ptr_array_add(files, file);
	}
	return files;
}

/* All names, so that two that lead to the same clusters are seen. */
static void look_for_shared(const Volume *volume, uint32_t directory, const char *path,
		GHashTable *seen, unsigned depth)
{
	g_autoptr(GPtrArray) files = list(volume, directory);

	for (guint i = 0; i < files->len; i++) {
		const File *file = files->pdata[i];
		char *name = g_strconcat(path, "/", file->name, NULL);
		const char *other = g_hash_table_lookup(seen, GUINT_TO_POINTER(file->first));
		if (file->first != 0 && other != NULL)
			printf("note shared %s %s\n", other, name);
		if (file->is_directory && depth < MAX_DEPTH && other == NULL)
			look_for_shared(volume, file->first, name, seen, depth + 1);
		g_hash_table_insert(seen, GUINT_TO_POINTER(file->first), name);
	}
}

static bool find(const Volume *volume, const char *path, File *out_file)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	File at = {.is_directory = true, .first = volume->root};

	for (char **part = parts; *part != NULL; part++) {
		if (**part == '\0')
			continue;
		g_autoptr(GPtrArray) files = list(volume, at.first);
		bool has = false;
		for (guint i = 0; at.is_directory && i < files->len && !has; i++) {
			const File *file = files->pdata[i];
			has = g_ascii_strcasecmp(file->name, *part) == 0;
			if (has)
				at = *file;
		}
		if (!has)
			return false;
	}
	*out_file = at;
	out_file->name = NULL;
	return true;
}

static char *hash(const Volume *volume, const char *path)
{
	File file;

	if (path == NULL || !find(volume, path, &file) || file.is_directory)
		return g_strdup("-");
	g_autoptr(GBytes) bytes = read_chain(volume, file.first, file.size);
	if (bytes == NULL || file.size == 0)
		return g_strdup("-");
	gsize size;
	const void *data = g_bytes_get_data(bytes, &size);
	return ash_sha256_hex(data, size);
}

static int compare(gconstpointer a, gconstpointer b)
{
	return ash_boot_entry_compare(*(const void *const *) a, *(const void *const *) b);
}

/* Why systemd-boot would not offer it, or NULL; then @out_entry is set. */
static const char *offer(const Volume *volume, const File *file, AshBootEntry **out_entry)
{
	g_autoptr(GBytes) text = read_chain(volume, file->first, file->size);
	g_autoptr(AshBootEntry) entry = NULL;
	File kernel;

	if (text == NULL)
		return "unreadable";
	if (!ash_boot_entry_parse(file->name, text, &entry, NULL))
		return "syntax";
	if (entry->linux_path == NULL)
		return "no kernel is named";
	if (!find(volume, entry->linux_path, &kernel))
		return "its kernel is not there";
	*out_entry = g_steal_pointer(&entry);
	return NULL;
}

int main(int argc, char **argv)
{
	int fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	uint64_t offset = argc == 3 ? g_ascii_strtoull(argv[2], NULL, 10) : 0;
	struct stat about;
	Volume volume = {0};
	File directory;
	g_autoptr(GPtrArray) entries = g_ptr_array_new();

	if (fd < 0 || fstat(fd, &about) != 0 || (uint64_t) about.st_size <= offset)
		fail("fat-boot DISK OFFSET");
	const uint8_t *disk = mmap(NULL, (size_t) about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (disk == MAP_FAILED)
		fail("mmap");
	volume.at = disk + offset;
	volume.size = (uint64_t) about.st_size - offset;
	volume_init(&volume);
	look_for_shared(&volume, volume.root, "", g_hash_table_new(NULL, NULL), 0);
	if (!find(&volume, "/loader/entries", &directory))
		fail("no /loader/entries");
	g_autoptr(GPtrArray) files = list(&volume, directory.first);
	for (guint i = 0; i < files->len; i++) {
		const File *file = files->pdata[i];
		AshBootEntry *entry = NULL;
		if (file->is_directory || !g_str_has_suffix(file->name, ".conf"))
			continue;
		const char *why = offer(&volume, file, &entry);
		if (why == NULL)
			g_ptr_array_add(entries, entry);
		else
			printf("note passed %s %s\n", file->name, why);
	}
	g_ptr_array_sort(entries, compare);
	for (guint i = 0; i < entries->len; i++) {
		const AshBootEntry *entry = entries->pdata[i];
		g_autofree char *kernel = hash(&volume, entry->linux_path);
		g_autofree char *initrd = hash(&volume, entry->initrd_path);
		printf("entry %s %d %s %u %s %s\n", entry->file, entry->tries_left,
				entry->commit != NULL ? entry->commit : "-", entry->serial, kernel,
				initrd);
	}
	return 0;
}
