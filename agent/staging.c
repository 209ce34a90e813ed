/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_staging_error, ash_staging_error)

enum {
	MAX_DEPTH = 8,
};

static gboolean throw_open(const char *path, GError **error)
{
	if (errno == ENOENT)
		return ash_throw(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_MISSING,
				"'%s' is not there", path);
	if (errno == ELOOP || errno == ENOTDIR || errno == ENXIO)
		return ash_throw(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_KIND,
				"'%s' is a link, or not what it should be", path);
	return ash_throw_errno(error, "%s", path);
}

gboolean ash_staging_open(const char *path, int *out_fd, GError **error)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return throw_open(path, error);
	*out_fd = fd;
	return TRUE;
}

bool ash_staging_is_path(const char *path)
{
	if (strlen(path) > ASH_STAGING_MAX_PATH_BYTES)
		return false;
	for (const char *p = path; *p != '\0'; p++)
		if (g_ascii_iscntrl(*p))
			return false;
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	for (char **part = parts; *part != NULL; part++)
		if (**part == '\0' || **part == '.')
			return false;
	return parts[0] != NULL;
}

gboolean ash_staging_open_file(
		int dirfd, const char *path, uint64_t max_bytes, int *out_fd, GError **error)
{
	if (!ash_staging_is_path(path))
		return ash_throw(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_NAME,
				"no file can have that name");
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	ash_autofd int at = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	for (char **part = parts; at >= 0 && part[1] != NULL; part++) {
		int next = openat(at, *part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		ash_close_fd(&at);
		at = next;
	}
	if (at < 0)
		return throw_open(path, error);
	/* O_NONBLOCK: a pipe nobody writes to; nothing for a regular file. */
	ash_autofd int fd = openat(at, parts[g_strv_length(parts) - 1],
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return throw_open(path, error);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return ash_throw_errno(error, "%s", path);
	if (!S_ISREG(st.st_mode))
		return ash_throw(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_KIND,
				"'%s' is not a regular file", path);
	if ((uint64_t) st.st_size > max_bytes)
		return ash_throw(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_TOO_BIG,
				"'%s' is larger than the %" G_GUINT64_FORMAT
				" bytes that are allowed",
				path, max_bytes);
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

gboolean ash_staging_read(
		int dirfd, const char *path, size_t max_bytes, GBytes **out_bytes, GError **error)
{
	ash_autofd int fd = -1;

	if (!ash_staging_open_file(dirfd, path, max_bytes, &fd, error))
		return FALSE;
	/* It may grow while it is read. */
	g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", fd);
	g_autoptr(GError) local = NULL;
	if (ash_file_read(AT_FDCWD, self, max_bytes, out_bytes, &local))
		return TRUE;
	if (g_error_matches(local, ASH_FILE_ERROR, ASH_FILE_ERROR_TOO_BIG))
		return ash_throw(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_TOO_BIG,
				"'%s' grows beyond the %zu bytes that are allowed", path,
				max_bytes);
	g_propagate_error(error, g_steal_pointer(&local));
	return FALSE;
}

gboolean ash_staging_check_space(int dirfd, uint64_t bytes, GError **error)
{
	struct statvfs fs;

	if (fstatvfs(dirfd, &fs) < 0)
		return ash_throw_errno(error, "statvfs");
	uint64_t free_bytes = (uint64_t) fs.f_bavail * fs.f_frsize;
	uint64_t keep_bytes = (uint64_t) fs.f_blocks * fs.f_frsize / 100 * ASH_STAGING_FREE_PERCENT;
	if (free_bytes >= keep_bytes && free_bytes - keep_bytes >= bytes)
		return TRUE;
	g_autofree char *needed = ash_text_size(bytes);
	g_autofree char *have = ash_text_size(free_bytes);
	g_autofree char *keep = ash_text_size(keep_bytes);
	return ash_throw(error, ASH_STAGING_ERROR, ASH_STAGING_ERROR_SPACE,
			"%s more are needed, %s are free, of which %s (%d %%) stay free", needed,
			have, keep, ASH_STAGING_FREE_PERCENT);
}

gboolean ash_staging_init_repo(int dirfd, GError **error)
{
	static const char config[] = "[core]\nrepo_version=1\nmode=archive-z2\n";
	static const char *const dirs[] = {"repo", "repo/objects", "repo/refs", "repo/refs/heads",
			"repo/refs/remotes", "repo/state", "repo/tmp", "repo/extensions"};
	bool is_there = false;

	for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++)
		if (!ash_file_ensure_dir(dirfd, dirs[i], 0755, error))
			return FALSE;
	if (!ash_file_exists(dirfd, "repo/config", &is_there, error))
		return FALSE;
	return is_there ||
	       ash_file_replace(dirfd, "repo/config", config, strlen(config), 0644, error);
}

/* ---- removing -------------------------------------------------------------------------------- */

typedef struct {
	bool (*keeps)(const char *path, gconstpointer data);
	gconstpointer data;
} Prune;

static gboolean prune_dir(const Prune *prune, int dirfd, const char *name, const char *prefix,
		unsigned depth, GError **error);

static gboolean prune_entry(const Prune *prune, int dirfd, const struct dirent *entry,
		const char *prefix, unsigned depth, GError **error)
{
	g_autofree char *path = *prefix != '\0' ? g_strconcat(prefix, "/", entry->d_name, NULL)
						: g_strdup(entry->d_name);
	struct stat st;

	if (fstatat(dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || ash_throw_errno(error, "%s", path);
	if (S_ISDIR(st.st_mode))
		return prune_dir(prune, dirfd, entry->d_name, path, depth + 1, error);
	if (prune->keeps(path, prune->data) || unlinkat(dirfd, entry->d_name, 0) == 0)
		return TRUE;
	return ash_throw_errno(error, "%s", path);
}

static gboolean prune_dir(const Prune *prune, int dirfd, const char *name, const char *prefix,
		unsigned depth, GError **error)
{
	if (depth > MAX_DEPTH)
		return ash_file_remove_tree(dirfd, name, error);
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || ash_throw_errno(error, "%s", name);
	g_autoptr(AshDir) dir = fdopendir(fd);
	if (dir == NULL) {
		ash_close_fd(&fd);
		return ash_throw_errno(error, "%s", name);
	}
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (entry == NULL && errno != 0)
			return ash_throw_errno(error, "reading %s", name);
		if (entry == NULL)
			break;
		if (g_str_equal(entry->d_name, ".") || g_str_equal(entry->d_name, ".."))
			continue;
		if (!prune_entry(prune, fd, entry, prefix, depth, error))
			return FALSE;
	}
	/* The top stays. ENOTEMPTY: something in it is kept. */
	if (depth > 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY &&
			errno != EEXIST)
		return ash_throw_errno(error, "%s", name);
	return TRUE;
}

gboolean ash_staging_prune(int dirfd, const char *path,
		bool (*keeps)(const char *path, gconstpointer data), gconstpointer data,
		GError **error)
{
	const Prune prune = {.keeps = keeps, .data = data};

	return prune_dir(&prune, dirfd, path, "", 0, error);
}
