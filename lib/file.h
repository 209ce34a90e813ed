/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Files and directories by directory descriptor.
 *
 * @dirfd may be AT_FDCWD everywhere. Nothing here follows a symbolic link in the last component
 * unless it says so. OS errors are G_IO_ERROR.
 */

#define ASH_FILE_ERROR (ash_file_error_quark())
GQuark ash_file_error_quark(void);

typedef enum {
	ASH_FILE_ERROR_TOO_BIG, /* the file is larger than the caller's maximum */
} AshFileError;

/* ash_file_read:
 * @max_bytes: a larger file is ASH_FILE_ERROR_TOO_BIG
 *
 * Follows symbolic links (a user may link a manifest). The bytes are NUL-terminated behind their
 * end, so that g_bytes_get_data() of text can be used as a string.
 */
gboolean ash_file_read(int dirfd, const char *path, size_t max_bytes, GBytes **out_bytes,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_file_check_place:
 *
 * Fails when a device, a pipe, a socket or a directory stands at @path, or a link to one: a file that
 * is renamed to /dev/null, /dev/stdout or /dev/full takes its place for all of the machine.
 */
gboolean ash_file_check_place(int dirfd, const char *path, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_file_replace:
 *
 * At each instant a reader, or a power cut, sees the old file or the whole new one: temporary
 * file in the same directory, write, fsync, rename, fsync of the directory. What is not a file is
 * never replaced (ash_file_check_place).
 */
gboolean ash_file_replace(int dirfd, const char *path, const void *data, size_t size, mode_t mode,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes all of @size bytes, whatever write() returns in between. */
gboolean ash_file_write_all(int fd, const void *data, size_t size, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Copies all bytes from @from_fd's position, with copy_file_range where that works. */
gboolean ash_file_copy_fd(int from_fd, int to_fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* fsync of the directory that holds @path. */
gboolean ash_file_sync_parent(int dirfd, const char *path, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* mkdir -p: parents too; an existing directory is fine. */
gboolean ash_file_ensure_dir(int dirfd, const char *path, mode_t mode, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_file_make_temp_dir:
 *
 * Makes "@parent/@prefix-XXXXXX" with mode 0700 and sets @out_path to it; the caller removes it.
 */
gboolean ash_file_make_temp_dir(const char *parent, const char *prefix, char **out_path,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes @path and all below it, never across a mount point; a missing path is fine. Goes on
 * after a failure and reports the first.
 */
gboolean ash_file_remove_tree(int dirfd, const char *path, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* A question: does @path exist (not following a link)? Any other failure is an error. */
gboolean ash_file_exists(int dirfd, const char *path, bool *out_exists, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* A directory that goes, with all in it, when the scope is left:
 *
 *	g_autoptr(AshTempDir) scratch = NULL;
 *	if (!ash_temp_dir_new("/var/tmp", "ashlar", &scratch, error)) …
 */
typedef struct {
	char *path;
	int fd;
} AshTempDir;

gboolean ash_temp_dir_new(const char *parent, const char *prefix, AshTempDir **out_dir,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_temp_dir_free(AshTempDir *dir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshTempDir, ash_temp_dir_free)
