/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/provision-disk.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

G_DEFINE_QUARK(ash_provision_disk_error, ash_provision_disk_error)

enum {
	ISO_DESCRIPTOR_OFFSET = 32768, /* ECMA-119: sector 16, the primary volume descriptor */
	ISO_LABEL_AT = 40,
	ISO_LABEL_BYTES = 32,
	FAT_SECTOR_BYTES = 512,
	FAT_LABEL_BYTES = 11,
	MAX_UEVENT_BYTES = 4096,
};

void ash_provision_disk_free(AshProvisionDisk *disk)
{
	if (disk == NULL)
		return;
	g_free(disk->path);
	g_free(disk);
}

/* ---- labels -------------------------------------------------------------------------------- */

static void copy_label(const uint8_t *bytes, size_t size, char *out_label)
{
	while (size > 0 && (bytes[size - 1] == ' ' || bytes[size - 1] == '\0'))
		size--;
	for (size_t i = 0; i < size; i++)
		out_label[i] = g_ascii_isgraph(bytes[i]) ? (char) bytes[i] : '?';
	out_label[size] = '\0';
}

/* Where the label stands, by the name of the file system that mkfs leaves behind it. */
static bool fat_label(const uint8_t *sector, char *out_label)
{
	static const struct {
		size_t label, name;
		const char *text;
	} kinds[] = {{71, 82, "FAT32   "}, {43, 54, "FAT16   "}, {43, 54, "FAT12   "}};

	if (sector[510] != 0x55 || sector[511] != 0xaa)
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		if (memcmp(sector + kinds[i].name, kinds[i].text, strlen(kinds[i].text)) != 0)
			continue;
		copy_label(sector + kinds[i].label, FAT_LABEL_BYTES, out_label);
		return true;
	}
	return false;
}

bool ash_provision_disk_label(
		int fd, const char **out_type, char out_label[ASH_PROVISION_LABEL_CHARS + 1])
{
	uint8_t sector[FAT_SECTOR_BYTES];
	uint8_t iso[ISO_LABEL_AT + ISO_LABEL_BYTES];

	if (pread(fd, iso, sizeof iso, ISO_DESCRIPTOR_OFFSET) == (ssize_t) sizeof iso &&
			memcmp(iso, "\1CD001\1", 7) == 0) {
		copy_label(iso + ISO_LABEL_AT, ISO_LABEL_BYTES, out_label);
		*out_type = "iso9660";
		return true;
	}
	if (pread(fd, sector, sizeof sector, 0) == (ssize_t) sizeof sector &&
			fat_label(sector, out_label)) {
		*out_type = "vfat";
		return true;
	}
	return false;
}

/* ---- sysfs --------------------------------------------------------------------------------- */

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* What this machine makes of other things is no disk that somebody has plugged in. */
static bool is_disk(const char *name)
{
	static const char *const made[] = {"loop", "ram", "zram", "dm-", "md", "nbd", "."};

	for (size_t i = 0; i < G_N_ELEMENTS(made); i++)
		if (g_str_has_prefix(name, made[i]))
			return false;
	return true;
}

/* Sorted, so that the choice among equals is the same at each boot. */
static GPtrArray *list_disks(const char *root)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *path = g_strconcat(root, "/sys/class/block", NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
		if (is_disk(name) && names->len < ASH_PROVISION_MAX_DISKS)
			g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, compare_names);
	return names;
}

/* sysfs writes the '/' of a device name as '!'. */
static char *device_path(const char *name)
{
	return g_strdelimit(g_strconcat("/dev/", name, NULL), "!", '/');
}

AshProvisionDisk *ash_provision_disk_find_seed(const char *root)
{
	static const char *const labels[] = {"cidata", "config-2"};
	g_autoptr(GPtrArray) names = list_disks(root);

	for (guint i = 0; i < names->len; i++) {
		g_autoptr(AshProvisionDisk) disk = g_new0(AshProvisionDisk, 1);
		disk->path = device_path(names->pdata[i]);
		g_autofree char *full = g_strconcat(root, disk->path, NULL);
		/* O_NONBLOCK: a drive without a medium answers at once. */
		ash_autofd int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0 || !ash_provision_disk_label(fd, &disk->type, disk->label))
			continue;
		for (size_t j = 0; j < G_N_ELEMENTS(labels); j++)
			if (g_ascii_strcasecmp(disk->label, labels[j]) == 0)
				return g_steal_pointer(&disk);
	}
	return NULL;
}

char *ash_provision_disk_find_partition(const char *root, const char *name)
{
	g_autoptr(GPtrArray) names = list_disks(root);
	g_autofree char *line = g_strconcat("PARTNAME=", name, NULL);

	for (guint i = 0; i < names->len; i++) {
		g_autofree char *path = g_strconcat(
				root, "/sys/class/block/", names->pdata[i], "/uevent", NULL);
		g_autoptr(GBytes) text = NULL;
		if (!ash_file_read(AT_FDCWD, path, MAX_UEVENT_BYTES, &text, NULL))
			continue;
		g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
		if (g_strv_contains((const char *const *) lines, line))
			return device_path(names->pdata[i]);
	}
	return NULL;
}

/* ---- reading ------------------------------------------------------------------------------- */

static gboolean configure(int fs, const char *device, GError **error)
{
	if (fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
			fsconfig(fs, FSCONFIG_SET_STRING, "source", device, 0) < 0)
		return ash_throw_errno(error, "preparing to mount");
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		return TRUE;
	if (errno == EBUSY)
		return ash_throw(error, ASH_PROVISION_DISK_ERROR, ASH_PROVISION_DISK_ERROR_BUSY,
				"it is mounted already");
	return ash_throw_errno(error, "mounting");
}

gboolean ash_provision_disk_mount(
		const char *root, const char *path, const char *type, int *out_fd, GError **error)
{
	ASH_PREFIX("%s as %s", path, type);
	g_autofree char *device = g_strconcat(root, path, NULL);

	/* The kernel loads the module of the file system here. */
	ash_autofd int fs = fsopen(type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return ash_throw_errno(error, "this kernel cannot");
	if (!configure(fs, device, error))
		return FALSE;
	int fd = fsmount(fs, FSMOUNT_CLOEXEC,
			MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					MOUNT_ATTR_NOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "mounting");
	*out_fd = fd;
	return TRUE;
}

static int open_beneath(int dirfd, const char *path)
{
	struct open_how how = {
			.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	return (int) syscall(SYS_openat2, dirfd, path, &how, sizeof how);
}

gboolean ash_provision_disk_read(
		int dirfd, const char *path, size_t max_bytes, GBytes **out_text, GError **error)
{
	ash_autofd int fd = open_beneath(dirfd, path);
	struct stat st;
	size_t size = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return ash_throw_errno(error, "%s", path);
	if (!S_ISREG(st.st_mode))
		return ash_throw(error, ASH_PROVISION_DISK_ERROR, ASH_PROVISION_DISK_ERROR_NO_FILE,
				"%s: not a regular file", path);
	g_autofree char *text = g_malloc(max_bytes + 2);
	/* One byte more than is allowed shows that there is more. */
	while (size <= max_bytes) {
		ssize_t n = read(fd, text + size, max_bytes + 1 - size);
		if (n < 0 && errno != EINTR)
			return ash_throw_errno(error, "%s", path);
		if (n == 0)
			break;
		size += n > 0 ? (size_t) n : 0;
	}
	if (size > max_bytes)
		return ash_throw(error, ASH_PROVISION_DISK_ERROR, ASH_PROVISION_DISK_ERROR_TOO_BIG,
				"%s: larger than the %zu bytes that are allowed here", path,
				max_bytes);
	text[size] = '\0';
	*out_text = g_bytes_new_take(g_steal_pointer(&text), size);
	return TRUE;
}
