/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/initrd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MAX_UEVENT_BYTES = 4096,
	GPT_HEADER_BYTES = 92,
	GPT_MAX_ENTRIES = 1024,
	GPT_MAX_ENTRY_BYTES = 4096,
	GPT_MIN_ENTRY_BYTES = 128,
	EXT4_SUPERBLOCK_OFFSET = 1024,
	EXT4_MAGIC = 0xef53,
};

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16 |
	       (uint32_t) p[3] << 24;
}

static uint64_t le64(const uint8_t *p)
{
	return (uint64_t) le32(p) | (uint64_t) le32(p + 4) << 32;
}

/* @order: which byte stands at each place of the text; GPT stores the first three groups backwards.
 */
static void format_uuid(const uint8_t *bytes, const uint8_t *order, char *out_uuid)
{
	static const char digits[] = "0123456789abcdef";
	char *out = out_uuid;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[bytes[order[i]] >> 4];
		*out++ = digits[bytes[order[i]] & 15];
	}
	*out = '\0';
}

bool ash_initrd_gpt_partuuid(int fd, unsigned block_bytes, unsigned number,
		char out_uuid[ASH_INITRD_UUID_CHARS + 1])
{
	static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	static const uint8_t unused[16] = {0};
	uint8_t header[GPT_HEADER_BYTES];
	uint8_t entry[32];

	if (pread(fd, header, sizeof header, (off_t) block_bytes) != (ssize_t) sizeof header)
		return false;
	uint64_t first = le64(header + 72);
	uint32_t n_entries = le32(header + 80);
	uint32_t entry_bytes = le32(header + 84);
	if (memcmp(header, "EFI PART", 8) != 0 || first > UINT32_MAX ||
			n_entries > GPT_MAX_ENTRIES || number < 1 || number > n_entries ||
			entry_bytes < GPT_MIN_ENTRY_BYTES || entry_bytes > GPT_MAX_ENTRY_BYTES)
		return false;
	uint64_t at = first * block_bytes + (uint64_t) (number - 1) * entry_bytes;
	if (pread(fd, entry, sizeof entry, (off_t) at) != (ssize_t) sizeof entry ||
			memcmp(entry, unused, sizeof unused) == 0)
		return false;
	format_uuid(entry + 16, order, out_uuid);
	return true;
}

bool ash_initrd_ext4_uuid(int fd, char out_uuid[ASH_INITRD_UUID_CHARS + 1])
{
	static const uint8_t order[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	uint8_t superblock[128];

	if (pread(fd, superblock, sizeof superblock, EXT4_SUPERBLOCK_OFFSET) !=
					(ssize_t) sizeof superblock ||
			(superblock[56] | superblock[57] << 8) != EXT4_MAGIC)
		return false;
	format_uuid(superblock + 104, order, out_uuid);
	return true;
}

/* The value of "KEY=" in what /sys/class/block/NAME/uevent says, or false. */
static bool uevent_value(const char *name, const char *key, char *buffer, size_t size)
{
	char path[512];
	size_t length = strlen(key);

	snprintf(path, sizeof path, "/sys/class/block/%s/uevent", name);
	char *text = ash_initrd_read_file(path, MAX_UEVENT_BYTES, NULL);
	if (text == NULL)
		return false;
	bool found = false;
	char *cursor = text;
	for (char *line; !found && (line = strsep(&cursor, "\n")) != NULL;) {
		if (strncmp(line, key, length) != 0 || line[length] != '=')
			continue;
		snprintf(buffer, size, "%s", line + length + 1);
		found = true;
	}
	free(text);
	return found;
}

/* Opens /dev/NAME, where it can be read. */
static int open_block(const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "/dev/%s", name);
	/* sysfs writes the '/' of a device name as '!'. */
	for (char *c = path; *c != '\0'; c++)
		if (*c == '!')
			*c = '/';
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* PARTUUID= is in the uevent file from Linux 6.13 on; before, the partition table has it. */
static bool partuuid_of(const char *name, char out_uuid[ASH_INITRD_UUID_CHARS + 1])
{
	char path[512];
	char line[64];

	if (uevent_value(name, "PARTUUID", out_uuid, ASH_INITRD_UUID_CHARS + 1))
		return true;
	snprintf(path, sizeof path, "/sys/class/block/%s/partition", name);
	if (!ash_initrd_read_line(path, line, sizeof line))
		return false;
	unsigned number = (unsigned) strtoul(line, NULL, 10);

	/* The disk is the directory above the partition's own. */
	snprintf(path, sizeof path, "/sys/class/block/%s/..", name);
	char *disk_directory = realpath(path, NULL);
	if (disk_directory == NULL)
		return false;
	const char *disk = strrchr(disk_directory, '/') + 1;
	snprintf(path, sizeof path, "/sys/class/block/%s/queue/logical_block_size", disk);
	unsigned block_bytes = 512;
	if (ash_initrd_read_line(path, line, sizeof line))
		block_bytes = (unsigned) strtoul(line, NULL, 10);
	int fd = open_block(disk);
	free(disk_directory);
	if (fd < 0)
		return false;
	bool found = ash_initrd_gpt_partuuid(fd, block_bytes, number, out_uuid);
	close(fd);
	return found;
}

static bool matches_partlabel(const char *name, const char *value)
{
	char label[128];
	return uevent_value(name, "PARTNAME", label, sizeof label) && strcmp(label, value) == 0;
}

static bool matches_partuuid(const char *name, const char *value)
{
	char uuid[ASH_INITRD_UUID_CHARS + 1];
	return partuuid_of(name, uuid) && strcasecmp(uuid, value) == 0;
}

static bool matches_uuid(const char *name, const char *value)
{
	char uuid[ASH_INITRD_UUID_CHARS + 1];
	int fd = open_block(name);

	if (fd < 0)
		return false;
	bool found = ash_initrd_ext4_uuid(fd, uuid) && strcasecmp(uuid, value) == 0;
	close(fd);
	return found;
}

static const struct {
	const char *prefix;
	bool (*matches)(const char *name, const char *value);
} kinds[] = {
		{"PARTLABEL=", matches_partlabel},
		{"PARTUUID=", matches_partuuid},
		{"UUID=", matches_uuid},
};

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool find_by(bool (*matches)(const char *, const char *), const char *value,
		char *out_device, size_t size)
{
	struct dirent **names = NULL;
	bool found = false;

	/* Sorted, so that the choice among equals is the same at each boot. */
	int n = scandir("/sys/class/block", &names, is_visible, alphasort);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		if (matches(name, value)) {
			int fd = open_block(name);
			if (fd >= 0 && !found)
				snprintf(out_device, size, "/dev/%s", name);
			else if (fd >= 0)
				ash_initrd_log(ASH_INITRD_WARNING,
						"/dev/%s is '%s' as well, ignoring", name, value);
			/* Without a node yet: its event is still to come. */
			found = found || fd >= 0;
			if (fd >= 0)
				close(fd);
		}
		free(names[i]);
	}
	free(names);
	return found;
}

bool ash_initrd_root_find(const char *spec, char *out_device, size_t size)
{
	struct stat st;

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t length = strlen(kinds[i].prefix);
		if (strncmp(spec, kinds[i].prefix, length) == 0)
			return find_by(kinds[i].matches, spec + length, out_device, size);
	}
	if (strncmp(spec, "/dev/", 5) != 0)
		ash_initrd_fail("root=%s: expected PARTLABEL=, PARTUUID=, UUID= or /dev/…", spec);
	if (stat(spec, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	snprintf(out_device, size, "%s", spec);
	return true;
}

void ash_initrd_root_list(char *buffer, size_t size)
{
	struct dirent **names = NULL;
	size_t used = 0;

	snprintf(buffer, size, "none");
	int n = scandir("/sys/class/block", &names, is_visible, alphasort);
	for (int i = 0; i < n; i++) {
		char label[128] = "";
		bool has_label = uevent_value(names[i]->d_name, "PARTNAME", label, sizeof label);
		int length = snprintf(buffer + used, size - used, "%s%s%s%s%s",
				used > 0 ? ", " : "", names[i]->d_name, has_label ? " (" : "",
				label, has_label ? ")" : "");
		if (length > 0 && (size_t) length < size - used)
			used += (size_t) length;
		else
			buffer[used] = '\0';
		free(names[i]);
	}
	free(names);
}

unsigned long ash_initrd_mount_flags(
		const char *rootflags, unsigned long flags, char *out_data, size_t size)
{
	static const struct {
		const char *word;
		unsigned long set;
		unsigned long clear;
	} known[] = {
			{"ro", MS_RDONLY, 0},
			{"rw", 0, MS_RDONLY},
			{"nosuid", MS_NOSUID, 0},
			{"nodev", MS_NODEV, 0},
			{"noexec", MS_NOEXEC, 0},
			{"noatime", MS_NOATIME, 0},
			{"nodiratime", MS_NODIRATIME, 0},
			{"relatime", MS_RELATIME, 0},
			{"strictatime", MS_STRICTATIME, 0},
			{"lazytime", MS_LAZYTIME, 0},
			{"sync", MS_SYNCHRONOUS, 0},
			{"defaults", 0, 0},
	};
	char *copy = ash_initrd_strdup(rootflags != NULL ? rootflags : "");
	char *cursor = copy;
	size_t used = 0;

	out_data[0] = '\0';
	for (char *word; (word = strsep(&cursor, ",")) != NULL;) {
		size_t i = 0;
		size_t n = sizeof known / sizeof known[0];
		while (i < n && strcmp(word, known[i].word) != 0)
			i++;
		if (i < n)
			flags = (flags | known[i].set) & ~known[i].clear;
		else if (word[0] != '\0' && strlen(word) + 2 < size - used)
			used += (size_t) snprintf(out_data + used, size - used, "%s%s",
					used > 0 ? "," : "", word);
	}
	free(copy);
	return flags;
}
