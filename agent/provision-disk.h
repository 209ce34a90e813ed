/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* Disks that may hold a host document: found in sysfs, known by the label that is read from the device
 * itself (udev may not have looked at it yet), and read through a mount that is in no namespace: it is
 * a descriptor, nobody else sees it, and it goes with the descriptor, however this process ends.
 *
 * @root: put before /sys and /dev, for tests; "" for this machine.
 */

#define ASH_PROVISION_DISK_ERROR (ash_provision_disk_error_quark())
GQuark ash_provision_disk_error_quark(void);

typedef enum {
	ASH_PROVISION_DISK_ERROR_BUSY,    /* mounted already, and writable */
	ASH_PROVISION_DISK_ERROR_NO_FILE, /* what is there is no regular file */
	ASH_PROVISION_DISK_ERROR_TOO_BIG,
} AshProvisionDiskError;

enum {
	ASH_PROVISION_MAX_DISKS = 256, /* block devices that are looked at */
	ASH_PROVISION_LABEL_CHARS = 32,
};

typedef struct {
	char *path;       /* below @root: "/dev/sr0" */
	const char *type; /* "iso9660", "vfat" */
	char label[ASH_PROVISION_LABEL_CHARS + 1];
} AshProvisionDisk;

void ash_provision_disk_free(AshProvisionDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshProvisionDisk, ash_provision_disk_free)

/* A question: which of the two file systems is on @fd, and what is it called? The label is without the
 * blanks at its end, and "" for none. FAT: the label of the boot sector.
 */
bool ash_provision_disk_label(
		int fd, const char **out_type, char out_label[ASH_PROVISION_LABEL_CHARS + 1]);

/* The first by name that is labelled cidata or config-2, in any case; NULL: there is none. */
AshProvisionDisk *ash_provision_disk_find_seed(const char *root);

/* The device of the partition that is named @name in its table; NULL: there is none. */
char *ash_provision_disk_find_partition(const char *root, const char *name);

/* Mounts @path, which is below @root, read-only, nosuid, nodev, noexec. @out_fd: its root directory. */
gboolean ash_provision_disk_mount(const char *root, const char *path, const char *type, int *out_fd,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads the regular file @path below @dirfd; no link leads away, neither does a mount point. A missing
 * file is G_IO_ERROR_NOT_FOUND. The text is NUL-terminated behind its end.
 */
gboolean ash_provision_disk_read(int dirfd, const char *path, size_t max_bytes, GBytes **out_text,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
