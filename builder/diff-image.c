/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "builder/diff.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/spawn.h"

/* From the image's first MiB its partition table (UEFI specification, chapter 5), from that the ESP,
 * from that the newest boot entry, whose options name the commit. qemu-img reads whatever format the
 * image is in, mtools the ESP.
 */

enum {
	SECTOR_BYTES = 512,
	HEAD_BYTES = 1 << 20,
	MAX_PARTITIONS = 128,
	MAX_ESP_BYTES = 1 << 30,
	MAX_ENTRY_BYTES = 1 << 16,
};

/* C12A7328-F81F-11D2-BA4B-00C04FC93EC5 as it lies on disk. */
static const uint8_t esp_type[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b,
		0x00, 0xc0, 0x4f, 0xc9, 0x3e, 0xc5};

static uint64_t read_le(const uint8_t *data, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes-- > 0)
		value = value << 8 | data[bytes];
	return value;
}

static gboolean not_ours(GError **error, const char *why)
{
	return ash_throw(error, ASH_DIFF_ERROR, ASH_DIFF_ERROR_IMAGE,
			"%s; only disk images of 'ashlar image' can be compared", why);
}

static gboolean find_esp(GBytes *head, uint64_t *out_start, uint64_t *out_size, GError **error)
{
	gsize size = 0;
	const uint8_t *data = g_bytes_get_data(head, &size);
	const uint8_t *gpt = data + SECTOR_BYTES;

	if (size < 2 * SECTOR_BYTES || memcmp(gpt, "EFI PART", 8) != 0)
		return not_ours(error, "it has no GUID partition table");
	uint64_t begin = read_le(gpt + 72, 8);
	uint64_t count = MIN(read_le(gpt + 80, 4), MAX_PARTITIONS);
	uint64_t length = read_le(gpt + 84, 4);
	if (length < 128 || length > SECTOR_BYTES || begin > size / SECTOR_BYTES ||
			begin * SECTOR_BYTES + count * length > size)
		return not_ours(error, "its partition table is damaged");
	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *entry = data + begin * SECTOR_BYTES + i * length;
		uint64_t first = read_le(entry + 32, 8), last = read_le(entry + 40, 8);
		if (memcmp(entry, esp_type, sizeof esp_type) != 0)
			continue;
		if (first > last || last - first >= MAX_ESP_BYTES / SECTOR_BYTES ||
				first > INT64_MAX / SECTOR_BYTES)
			return not_ours(error, "its EFI system partition has an impossible size");
		*out_start = first * SECTOR_BYTES;
		*out_size = (last - first + 1) * SECTOR_BYTES;
		return TRUE;
	}
	return not_ours(error, "it has no EFI system partition");
}

/* Copies a range of whole sectors of the image, in any format, to a plain file. */
static gboolean extract(
		const char *image, uint64_t start, uint64_t size, const char *to, GError **error)
{
	uint64_t block = start % HEAD_BYTES == 0 && size % HEAD_BYTES == 0 ? HEAD_BYTES
									   : SECTOR_BYTES;
	g_autofree char *in = g_strconcat("if=", image, NULL);
	g_autofree char *out = g_strconcat("of=", to, NULL);
	g_autofree char *bs = g_strdup_printf("bs=%" PRIu64, block);
	/* qemu-img counts from the image's beginning, what is skipped included. */
	g_autofree char *count = g_strdup_printf("count=%" PRIu64, (start + size) / block);
	g_autofree char *skip = g_strdup_printf("skip=%" PRIu64, start / block);

	return ash_spawn_simple(
			error, "qemu-img", "dd", "-O", "raw", bs, count, skip, in, out, NULL);
}

/* The greatest name by its bytes: versions are not compared, an image of ours has one entry. */
static gboolean find_entry(const char *esp, char **out_name, GError **error)
{
	const char *argv[] = {"mdir", "-b", "-i", esp, "::/loader/entries", NULL};
	g_autoptr(GBytes) listing = NULL;
	g_autofree char *found = NULL;

	if (!ash_spawn_run(&(AshSpawn){.argv = argv}, &listing, error))
		return FALSE;
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(listing, NULL), "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		g_strstrip(*line);
		if (g_str_has_suffix(*line, ".conf") && g_strcmp0(*line, found) > 0) {
			g_free(found);
			found = g_strdup(*line);
		}
	}
	if (found == NULL)
		return not_ours(error, "it has no boot entry");
	*out_name = g_steal_pointer(&found);
	return TRUE;
}

static gboolean read_entry(const char *esp, const char *name, char **out_commit, GError **error)
{
	static const char key[] = "ostree=/ostree/by-commit/";
	const char *argv[] = {"mtype", "-i", esp, name, NULL};
	g_autoptr(GBytes) entry = NULL;

	if (!ash_spawn_run(&(AshSpawn){.argv = argv, .max_output_bytes = MAX_ENTRY_BYTES}, &entry,
			    error))
		return FALSE;
	const char *option = strstr(g_bytes_get_data(entry, NULL), key);
	if (option == NULL || strspn(option + strlen(key), "0123456789abcdef") != 64)
		return not_ours(error, "its boot entry names no commit");
	*out_commit = g_strndup(option + strlen(key), 64);
	return TRUE;
}

gboolean ash_diff_read_image(const char *path, char **out_commit, GError **error)
{
	g_autoptr(AshTempDir) scratch = NULL;
	g_autoptr(GBytes) head = NULL;
	g_autofree char *entry = NULL;
	uint64_t start = 0, size = 0;

	if (!ash_temp_dir_new("/var/tmp", "ashlar-diff", &scratch, error))
		return FALSE;
	g_autofree char *head_path = g_build_filename(scratch->path, "head", NULL);
	g_autofree char *esp_path = g_build_filename(scratch->path, "esp", NULL);
	return extract(path, 0, HEAD_BYTES, head_path, error) &&
	       ash_file_read(AT_FDCWD, head_path, HEAD_BYTES, &head, error) &&
	       find_esp(head, &start, &size, error) &&
	       extract(path, start, size, esp_path, error) && find_entry(esp_path, &entry, error) &&
	       read_entry(esp_path, entry, out_commit, error);
}
