/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/boot-entry.h"

/* The EFI system partition, as a mounted directory. FAT has no journal: each change here is one new
 * name that appears whole, or one name that goes, with a sync of the file system after it. The order
 * between several changes is agent/deploy.c's business.
 *
 * @dirfd: the ESP's root directory.
 */

#define ASH_ESP_ERROR (ash_esp_error_quark())
GQuark ash_esp_error_quark(void);

typedef enum {
	ASH_ESP_ERROR_READ_BACK, /* what was written is not what is there now */
	ASH_ESP_ERROR_LIMIT,     /* more than ASH_ESP_MAX_ENTRIES files in /loader/entries */
} AshEspError;

enum {
	ASH_ESP_MAX_ENTRIES = 256,
};

/* All readable entries (AshBootEntry), as the boot loader orders them. A broken file is left out and
 * named in @out_warnings (may be NULL).
 */
gboolean ash_esp_list(int dirfd, GPtrArray **out_entries, char ***out_warnings, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Writes @path ("/ashlar/…/vmlinuz") from @from_fd: temporary name, data, fsync, rename, sync of the
 * file system; then reads it back past the page cache. Parents are made. The same content already
 * there is left alone.
 */
gboolean ash_esp_put(int dirfd, const char *path, int from_fd, const char *sha256, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* A question: has the disk a file at @path with that content? */
gboolean ash_esp_matches(int dirfd, const char *path, const char *sha256, bool *out_matches,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* @file: the name in /loader/entries. Written and read back in the same way. */
gboolean ash_esp_put_entry(int dirfd, const AshBootEntry *entry, const char *file, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Renames an entry's file, syncs, and reads the directory back. */
gboolean ash_esp_rename_entry(int dirfd, const char *from, const char *to, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* A missing one is fine. */
gboolean ash_esp_remove(int dirfd, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
