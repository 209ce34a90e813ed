/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_file_error, ash_file_error)

enum {
	COPY_CHUNK_BYTES = 1 << 20,
	MIN_CHUNK_BYTES = 4096,
	MAX_REMOVE_DEPTH = 256,
};

gboolean ash_file_read(
		int dirfd, const char *path, size_t max_bytes, GBytes **out_bytes, GError **error)
{
	ash_autofd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return ash_throw_errno(error, "%s", path);

	/* The size that stat() reports is a hint only: files in /proc and pipes say 0. */
	struct stat st;
	if (fstat(fd, &st) < 0)
		return ash_throw_errno(error, "%s", path);
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return ash_throw_errno(error, "%s", path);
	}

	size_t hint = st.st_size > 0 && (uint64_t) st.st_size <= max_bytes ? (size_t) st.st_size
									   : 0;
	g_autoptr(GByteArray) bytes = g_byte_array_sized_new((guint) MIN(hint + 1, G_MAXUINT / 2));
	for (;;) {
		/* Into its place: a large buffer on the stack would stay with every process that once read a file. */
		guint have = bytes->len;
		size_t wanted = hint > 0 && hint >= have ? hint + 1 - have
							 : MAX(have, (size_t) MIN_CHUNK_BYTES);
		wanted = CLAMP(wanted, 1, (size_t) COPY_CHUNK_BYTES);
		g_byte_array_set_size(bytes, have + (guint) wanted);
		ssize_t n = read(fd, bytes->data + have, wanted);
		g_byte_array_set_size(bytes, have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "%s", path);
		if (n == 0)
			break;
		if ((size_t) n > max_bytes - bytes->len)
			return ash_throw(error, ASH_FILE_ERROR, ASH_FILE_ERROR_TOO_BIG,
					"%s: larger than the %zu bytes that are allowed here", path,
					max_bytes);
		g_byte_array_set_size(bytes, have + (guint) n);
	}
	g_byte_array_append(bytes, (const guint8 *) "", 1);
	bytes->len--;
	*out_bytes = g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
	return TRUE;
}

gboolean ash_file_write_all(int fd, const void *data, size_t size, GError **error)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "write");
		p += n;
		size -= (size_t) n;
	}
	return TRUE;
}

gboolean ash_file_copy_fd(int from_fd, int to_fd, GError **error)
{
	bool use_copy_range = true;
	g_autofree char *chunk = NULL;

	for (;;) {
		if (use_copy_range) {
			ssize_t n = copy_file_range(
					from_fd, NULL, to_fd, NULL, COPY_CHUNK_BYTES, 0);
			if (n > 0)
				continue;
			if (n == 0)
				return TRUE;
			/* Other file systems, pipes, O_APPEND: copy by hand from where it stopped. */
			use_copy_range = false;
			chunk = g_malloc(COPY_CHUNK_BYTES);
		}
		ssize_t n = read(from_fd, chunk, COPY_CHUNK_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "read");
		if (n == 0)
			return TRUE;
		if (!ash_file_write_all(to_fd, chunk, (size_t) n, error))
			return FALSE;
	}
}

gboolean ash_file_sync_parent(int dirfd, const char *path, GError **error)
{
	g_autofree char *parent = g_path_get_dirname(path);
	ash_autofd int fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "%s", parent);
	if (fsync(fd) < 0)
		return ash_throw_errno(error, "fsync(%s)", parent);
	return TRUE;
}

/* A question: /dev/stdout and the like, whatever they lead to at the moment. */
static bool is_link_to_proc(int dirfd, const char *path)
{
	char target[16] = "";
	return readlinkat(dirfd, path, target, sizeof target - 1) > 0 &&
	       g_str_has_prefix(target, "/proc/");
}

gboolean ash_file_check_place(int dirfd, const char *path, GError **error)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, 0) < 0) {
		/* A link to nothing is replaced like a file. */
		if (errno == ENOENT || errno == ELOOP)
			return TRUE;
		return ash_throw_errno(error, "%s", path);
	}
	if (S_ISDIR(st.st_mode))
		return ash_throw(error, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY,
				"'%s' is a directory: give the name of a file", path);
	if (!S_ISREG(st.st_mode) || is_link_to_proc(dirfd, path))
		return ash_throw(error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE,
				"'%s' is a device, a pipe or a socket, which a file would take "
				"the place of: give the name of a file",
				path);
	return TRUE;
}

static gboolean write_and_rename(int fd, int dirfd, const char *temp, const char *path,
		const void *data, size_t size, mode_t mode, GError **error)
{
	if (!ash_file_write_all(fd, data, size, error))
		return FALSE;
	if (fchmod(fd, mode) < 0)
		return ash_throw_errno(error, "fchmod");
	/* On disk now: the old file, and a whole new one under a name that nobody reads. */
	if (fsync(fd) < 0)
		return ash_throw_errno(error, "fsync");
	if (renameat(dirfd, temp, dirfd, path) < 0)
		return ash_throw_errno(error, "rename");
	return TRUE;
}

gboolean ash_file_replace(int dirfd, const char *path, const void *data, size_t size, mode_t mode,
		GError **error)
{
	ASH_PREFIX("writing %s", path);
	if (!ash_file_check_place(dirfd, path, error))
		return FALSE;
	g_autofree char *temp =
			g_strdup_printf("%s.%d-%08x.tmp", path, (int) getpid(), g_random_int());
	ash_autofd int fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return ash_throw_errno(error, "%s", temp);
	if (!write_and_rename(fd, dirfd, temp, path, data, size, mode, error)) {
		unlinkat(dirfd, temp, 0);
		return FALSE;
	}
	/* On disk now: the new file; whether its name lasts is decided by the next line. */
	return ash_file_sync_parent(dirfd, path, error);
}

gboolean ash_file_ensure_dir(int dirfd, const char *path, mode_t mode, GError **error)
{
	if (mkdirat(dirfd, path, mode) == 0)
		return TRUE;
	if (errno == ENOENT) {
		g_autofree char *parent = g_path_get_dirname(path);
		if (!ash_file_ensure_dir(dirfd, parent, mode, error))
			return FALSE;
		if (mkdirat(dirfd, path, mode) == 0)
			return TRUE;
	}
	if (errno != EEXIST)
		return ash_throw_errno(error, "mkdir(%s)", path);

	struct stat st;
	if (fstatat(dirfd, path, &st, 0) < 0)
		return ash_throw_errno(error, "%s", path);
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return ash_throw_errno(error, "%s", path);
	}
	return TRUE;
}

gboolean ash_file_make_temp_dir(
		const char *parent, const char *prefix, char **out_path, GError **error)
{
	g_autofree char *path = g_strdup_printf("%s/%s-XXXXXX", parent, prefix);

	if (g_mkdtemp_full(path, 0700) == NULL)
		return ash_throw_errno(error, "making a temporary directory in %s", parent);
	*out_path = g_steal_pointer(&path);
	return TRUE;
}

static gboolean remove_below(
		int dirfd, const char *path, uint64_t mount, int depth, GError **error);

static gboolean remove_entries(int fd, const char *path, uint64_t mount, int depth, GError **error)
{
	gboolean ok = TRUE;
	g_autoptr(AshDir) dir = fdopendir(fd);

	if (dir == NULL) {
		ash_close_fd(&fd);
		return ash_throw_errno(error, "%s", path);
	}
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		/* Only the first error is kept; the rest of the tree still goes. */
		if (!remove_below(dirfd(dir), entry->d_name, mount, depth + 1, ok ? error : NULL))
			ok = FALSE;
	}
	return ok;
}

static gboolean remove_below(int dirfd, const char *path, uint64_t mount, int depth, GError **error)
{
	if (unlinkat(dirfd, path, 0) == 0 || errno == ENOENT)
		return TRUE;
	if (errno != EISDIR && errno != EPERM)
		return ash_throw_errno(error, "unlink(%s)", path);
	if (depth > MAX_REMOVE_DEPTH) {
		errno = ELOOP;
		return ash_throw_errno(error, "%s", path);
	}

	ash_autofd int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	/* Not the device number: a bind mount of the same file system has that too. */
	struct statx stx;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return ash_throw_errno(error, "%s", path);
	if (mount != 0 && stx.stx_mnt_id != mount) {
		errno = EXDEV;
		return ash_throw_errno(error, "%s is a mount point, left alone", path);
	}
	if (!remove_entries(g_steal_fd(&fd), path, stx.stx_mnt_id, depth, error))
		return FALSE;
	if (unlinkat(dirfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return ash_throw_errno(error, "rmdir(%s)", path);
	return TRUE;
}

gboolean ash_file_remove_tree(int dirfd, const char *path, GError **error)
{
	return remove_below(dirfd, path, 0, 0, error);
}

gboolean ash_file_exists(int dirfd, const char *path, bool *out_exists, GError **error)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		*out_exists = true;
		return TRUE;
	}
	if (errno != ENOENT && errno != ENOTDIR)
		return ash_throw_errno(error, "%s", path);
	*out_exists = false;
	return TRUE;
}

gboolean ash_temp_dir_new(
		const char *parent, const char *prefix, AshTempDir **out_dir, GError **error)
{
	g_autofree char *path = NULL;

	if (!ash_file_make_temp_dir(parent, prefix, &path, error))
		return FALSE;
	ash_autofd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "%s", path);

	AshTempDir *dir = g_new0(AshTempDir, 1);
	dir->path = g_steal_pointer(&path);
	dir->fd = g_steal_fd(&fd);
	*out_dir = dir;
	return TRUE;
}

void ash_temp_dir_free(AshTempDir *dir)
{
	g_autoptr(GError) local = NULL;

	if (dir == NULL)
		return;
	ash_close_fd(&dir->fd);
	if (!ash_file_remove_tree(AT_FDCWD, dir->path, &local))
		g_debug("leaving %s behind: %s", dir->path, local->message);
	g_free(dir->path);
	g_free(dir);
}
