/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/repo.h"
#include "builder/tree.h"

/* Debian packages (deb(5): an ar archive of debian-binary, control.tar.*, data.tar.*), read in one
 * streaming pass: ar → decompression → tar → OSTree objects, nothing is unpacked to disk.
 *
 * A .deb is untrusted input even when its hash is right (a signed archive may carry a broken one):
 * absolute paths, "..", devices, hard links to anything but an earlier file of the same package, and
 * members that are too big end the import, and the message names package and path.
 */

#define ASH_DEB_ERROR (ash_deb_error_quark())
GQuark ash_deb_error_quark(void);

typedef enum {
	ASH_DEB_ERROR_FORMAT,   /* not a .deb, or damaged */
	ASH_DEB_ERROR_UNSAFE,   /* a path or a kind of file that no package may bring */
	ASH_DEB_ERROR_TOO_BIG,  /* one of the limits below */
	ASH_DEB_ERROR_MISMATCH, /* the file is not the one that the lock names */
} AshDebError;

enum {
	ASH_DEB_MAX_CONTROL_BYTES = 8 << 20, /* control.tar, unpacked */
	ASH_DEB_MAX_CONTROL_FILES = 256,
	ASH_DEB_MAX_ENTRIES = 200000,
	ASH_DEB_MAX_PATH_BYTES = 4096,
};

/* Bytes that data.tar may unpack to. */
#define ASH_DEB_MAX_DATA_BYTES (G_GUINT64_CONSTANT(16) << 30)

/* The `control` file of a .deb; @what names it in messages. Reads from position 0. */
gboolean ash_deb_read_control(int fd, const char *what, GBytes **out_control, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_deb_import:
 * @path: the .deb
 * @sha256: what it must hash to, or NULL
 * @what: "libc6 2.41-12", for messages
 * @out_tree: a directory "control" with the control files and a directory "data" with the package's
 *	own tree; the contents are stored in @repo, whose transaction is open. Any thread.
 * @out_newest_s: the latest modification time in the package, which for Debian's own packages is
 *	the time of its last changelog entry
 */
gboolean ash_deb_import(AshRepo *repo, const char *path, const char *sha256, const char *what,
		AshTree **out_tree, uint64_t *out_newest_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
