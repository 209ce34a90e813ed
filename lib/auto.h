/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <dirent.h>
#include <glib.h>
#include <stdio.h>
#include <unistd.h>

/* Cleanup types for handles of the operating system. Library handles have theirs at the top of
 * the one file that may use the library.
 */

/* Closes and keeps errno, so that a failing branch can still report why it fails. */
void ash_close_fd(int *fd);

#define ash_autofd __attribute__((cleanup(ash_close_fd)))

typedef DIR AshDir;
typedef FILE AshStream;

static inline void ash_dir_close(DIR *dir)
{
	if (dir != NULL)
		closedir(dir);
}

static inline void ash_stream_close(FILE *stream)
{
	if (stream != NULL)
		fclose(stream);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDir, ash_dir_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshStream, ash_stream_close)
