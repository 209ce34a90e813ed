/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The staging directory (agent/paths.h), seen by both who fill it and who believe nothing in it.
 *
 * Its owner may be under somebody else's control. So whoever reads it follows no link on the way, opens
 * regular files alone (a pipe would block for ever, a device may do worse) and has a maximum for each.
 */

#define ASH_STAGING_ERROR (ash_staging_error_quark())
GQuark ash_staging_error_quark(void);

typedef enum {
	ASH_STAGING_ERROR_MISSING,
	ASH_STAGING_ERROR_KIND, /* a link, pipe, device, or a directory in place of a file */
	ASH_STAGING_ERROR_TOO_BIG,
	ASH_STAGING_ERROR_NAME, /* not a path that could be in there */
	ASH_STAGING_ERROR_SPACE,
} AshStagingError;

enum {
	ASH_STAGING_MAX_PATH_BYTES = 512,
	ASH_STAGING_FREE_PERCENT = 5, /* of the file system stay free */
};

/* The directory itself may not be a link either. */
gboolean ash_staging_open(const char *path, int *out_fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A question: relative, of at most ASH_STAGING_MAX_PATH_BYTES, no component empty or beginning with a
 * dot, no control character.
 */
bool ash_staging_is_path(const char *path);

/* The file @path below @dirfd; NUL-terminated behind its end. */
gboolean ash_staging_read(int dirfd, const char *path, size_t max_bytes, GBytes **out_bytes,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Opens it for reading. */
gboolean ash_staging_open_file(int dirfd, const char *path, uint64_t max_bytes, int *out_fd,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ASH_STAGING_ERROR_SPACE unless @bytes more leave ASH_STAGING_FREE_PERCENT of the file system free. */
gboolean ash_staging_check_space(int dirfd, uint64_t bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Makes @path/repo an OSTree repository of mode archive, which libostree opens. */
gboolean ash_staging_init_repo(int dirfd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes all regular files and links below the directory @path that @keeps refuses (it gets their path
 * below @path), and directories that are empty then. A missing directory is fine. For who owns it.
 */
gboolean ash_staging_prune(int dirfd, const char *path,
		bool (*keeps)(const char *path, gconstpointer data), gconstpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
