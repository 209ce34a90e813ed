/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

/* Is a file a program that the firmware would start? PURE.
 *
 * systemd-boot 257 counts before it loads, but when the firmware refuses to load the kernel it returns to the
 * firmware, which asks somebody what to do: nothing counts on, and nobody is there. So a kernel that is none
 * must never get an entry. What is one here can still be wrong, but it runs, and then a panic or the
 * watchdog restarts the machine.
 */

#define ASH_BOOT_KERNEL_ERROR (ash_boot_kernel_error_quark())
GQuark ash_boot_kernel_error_quark(void);

typedef enum {
	ASH_BOOT_KERNEL_ERROR_FORMAT, /* no EFI program, cut off, or for another processor */
} AshBootKernelError;

enum {
	ASH_BOOT_KERNEL_HEAD_BYTES = 8192, /* all headers are in these */
};

/* ash_boot_kernel_check:
 * @head: the file's first bytes, ASH_BOOT_KERNEL_HEAD_BYTES or all that it has
 * @file_bytes: the size of the file
 */
gboolean ash_boot_kernel_check(const guint8 *head, gsize size, uint64_t file_bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
