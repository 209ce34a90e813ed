/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

/* Archives in the "newc" format of cpio, as the kernel unpacks them at boot (its
 * Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * The bytes depend on the entries only: they are written sorted by path, with time 0, owner 0:0 and
 * inode numbers by order; parent directories that nobody added are made with mode 0755.
 *
 *	g_autoptr(AshCpio) cpio = ash_cpio_new();
 *	ash_cpio_add_file(cpio, "init", 0755, bytes, error) …
 *	ash_cpio_finish(cpio, &bytes, error)
 */

#define ASH_CPIO_ERROR (ash_cpio_error_quark())
GQuark ash_cpio_error_quark(void);

typedef enum {
	ASH_CPIO_ERROR_BAD_PATH,  /* empty, "..", through a file, too long */
	ASH_CPIO_ERROR_DUPLICATE, /* two entries of another kind or content with one path */
	ASH_CPIO_ERROR_TOO_BIG,   /* a file of 4 GiB or more: the format has 32 bits */
} AshCpioError;

typedef struct AshCpio AshCpio;

AshCpio *ash_cpio_new(void);
void ash_cpio_free(AshCpio *cpio);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshCpio, ash_cpio_free)

/* Paths are relative to the root of the archive; a leading '/' is dropped. @mode: permission bits.
 * The same entry twice is fine.
 */
gboolean ash_cpio_add_dir(AshCpio *cpio, const char *path, uint32_t mode, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_cpio_add_file(AshCpio *cpio, const char *path, uint32_t mode, GBytes *content,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_cpio_add_link(AshCpio *cpio, const char *path, const char *target, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_cpio_add_char_device(AshCpio *cpio, const char *path, uint32_t mode, uint32_t major,
		uint32_t minor, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A question: is there an entry with this path? */
gboolean ash_cpio_has(const AshCpio *cpio, const char *path);

/* ash_cpio_finish: the whole archive. Fails with ASH_CPIO_ERROR_BAD_PATH when an entry lies below
 * something that is no directory. May be called again.
 */
gboolean ash_cpio_finish(AshCpio *cpio, GBytes **out_bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
