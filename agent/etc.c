/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/etc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/fault.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"

G_DEFINE_QUARK(ash_etc_error, ash_etc_error)

enum {
	BLOCK_BYTES = 4096,
	MAX_XATTR_BYTES = 64 << 10,
	COMPARE_BYTES = 64 << 10,
};

static gboolean open_dir(int dirfd, const char *name, int *out_fd, GError **error)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s", name);
	*out_fd = fd;
	return TRUE;
}

static gboolean check_depth(int depth, const char *name, GError **error)
{
	if (depth <= ASH_ETC_MAX_DEPTH)
		return ash_interrupt_check(error);
	return ash_throw(error, ASH_ETC_ERROR, ASH_ETC_ERROR_LIMIT,
			"'%s' is more than %d directories deep", name, ASH_ETC_MAX_DEPTH);
}

/* The names in @fd, as a set. @fd stays open. */
static gboolean list(int fd, GHashTable **out_names, GError **error)
{
	g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	ash_autofd int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(AshDir) dir = copy >= 0 ? fdopendir(copy) : NULL;

	if (dir == NULL)
		return ash_throw_errno(error, "listing a directory");
	copy = -1;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		g_hash_table_add(names, g_strdup(entry->d_name));
		if (g_hash_table_size(names) > ASH_ETC_MAX_FILES)
			return ash_throw(error, ASH_ETC_ERROR, ASH_ETC_ERROR_LIMIT,
					"more than %d files in one directory", ASH_ETC_MAX_FILES);
	}
	*out_names = g_steal_pointer(&names);
	return TRUE;
}

/* A question: sets *out_is_there. */
static gboolean look(int dirfd, const char *name, struct stat *out_st, bool *out_is_there,
		GError **error)
{
	*out_is_there = dirfd >= 0 && fstatat(dirfd, name, out_st, AT_SYMLINK_NOFOLLOW) == 0;
	if (dirfd >= 0 && !*out_is_there && errno != ENOENT && errno != ENOTDIR)
		return ash_throw_errno(error, "%s", name);
	return TRUE;
}

/* ---- extended attributes --------------------------------------------------------------------- */

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The attributes of @fd: "NAME\0" and the value, sorted by name, ready to be compared. */
static gboolean read_xattrs(
		int fd, const char *what, GPtrArray *names, GPtrArray *values, GError **error)
{
	g_autofree char *buffer = g_malloc(MAX_XATTR_BYTES);
	ssize_t length = flistxattr(fd, buffer, MAX_XATTR_BYTES);

	if (length < 0 && errno == ENOTSUP)
		return TRUE;
	if (length < 0)
		return ash_throw_errno(error, "listxattr(%s)", what);
	for (const char *name = buffer; name < buffer + length; name += strlen(name) + 1)
		g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; i < names->len; i++) {
		ssize_t n = fgetxattr(fd, names->pdata[i], buffer, MAX_XATTR_BYTES);
		if (n < 0)
			return ash_throw_errno(error, "getxattr(%s)", what);
		g_ptr_array_add(values, g_bytes_new(buffer, (gsize) n));
	}
	return TRUE;
}

static gboolean copy_xattrs(int from, int to, const char *what, GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) values =
			g_ptr_array_new_with_free_func((GDestroyNotify) g_bytes_unref);

	if (!read_xattrs(from, what, names, values, error))
		return FALSE;
	for (guint i = 0; i < names->len; i++) {
		gsize size;
		const void *data = g_bytes_get_data(values->pdata[i], &size);
		if (fsetxattr(to, names->pdata[i], data != NULL ? data : "", size, 0) < 0)
			return ash_throw_errno(error, "setxattr(%s)", what);
	}
	return TRUE;
}

static gboolean same_xattrs(int a, int b, const char *what, bool *out_same, GError **error)
{
	g_autoptr(GPtrArray) names_a = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) names_b = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) values_a =
			g_ptr_array_new_with_free_func((GDestroyNotify) g_bytes_unref);
	g_autoptr(GPtrArray) values_b =
			g_ptr_array_new_with_free_func((GDestroyNotify) g_bytes_unref);

	if (!read_xattrs(a, what, names_a, values_a, error) ||
			!read_xattrs(b, what, names_b, values_b, error))
		return FALSE;
	*out_same = names_a->len == names_b->len;
	for (guint i = 0; *out_same && i < names_a->len; i++)
		*out_same = strcmp(names_a->pdata[i], names_b->pdata[i]) == 0 &&
			    g_bytes_equal(values_a->pdata[i], values_b->pdata[i]);
	return TRUE;
}

/* ---- copying --------------------------------------------------------------------------------- */

/* Owner, attributes, mode (after the owner, which takes setuid away), time. */
static gboolean copy_meta(int from, int to, const struct stat *st, const char *what, GError **error)
{
	struct timespec times[2] = {st->st_mtim, st->st_mtim};

	if (fchown(to, st->st_uid, st->st_gid) < 0)
		return ash_throw_errno(error, "chown(%s)", what);
	if (!copy_xattrs(from, to, what, error))
		return FALSE;
	if (fchmod(to, st->st_mode & 07777) < 0)
		return ash_throw_errno(error, "chmod(%s)", what);
	if (futimens(to, times) < 0)
		return ash_throw_errno(error, "utimens(%s)", what);
	return TRUE;
}

static gboolean copy_file(
		int from_dir, int to_dir, const char *name, const struct stat *st, GError **error)
{
	ash_autofd int from =
			openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (from < 0)
		return ash_throw_errno(error, "%s", name);
	ash_autofd int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return ash_throw_errno(error, "%s", name);
	return ash_file_copy_fd(from, to, error) && copy_meta(from, to, st, name, error);
}

static gboolean copy_link(
		int from_dir, int to_dir, const char *name, const struct stat *st, GError **error)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, target, sizeof target - 1);

	if (n < 0)
		return ash_throw_errno(error, "%s", name);
	target[n] = '\0';
	if (symlinkat(target, to_dir, name) < 0 ||
			fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return ash_throw_errno(error, "%s", name);
	return TRUE;
}

static gboolean copy_special(int to_dir, const char *name, const struct stat *st, GError **error)
{
	if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0 ||
			fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
			fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0)
		return ash_throw_errno(error, "%s", name);
	return TRUE;
}

/* Anything but a directory, to a name that is free. */
static gboolean copy_node(
		int from_dir, int to_dir, const char *name, const struct stat *st, GError **error)
{
	ASH_FAULT("etc-copy");
	if (S_ISREG(st->st_mode))
		return copy_file(from_dir, to_dir, name, st, error);
	if (S_ISLNK(st->st_mode))
		return copy_link(from_dir, to_dir, name, st, error);
	/* A socket is its server's, who makes it again. */
	return S_ISSOCK(st->st_mode) || copy_special(to_dir, name, st, error);
}

/* Makes the directory @name, or takes one that is there; with the owner and mode of @from. */
static gboolean make_dir(int from, int to_dir, const char *name, int *out_fd, GError **error)
{
	struct stat st;
	ash_autofd int to = -1;

	if (mkdirat(to_dir, name, 0700) < 0 && errno != EEXIST)
		return ash_throw_errno(error, "mkdir(%s)", name);
	if (fstat(from, &st) < 0)
		return ash_throw_errno(error, "%s", name);
	if (!open_dir(to_dir, name, &to, error) || !copy_meta(from, to, &st, name, error))
		return FALSE;
	*out_fd = g_steal_fd(&to);
	return TRUE;
}

static gboolean copy_dir(int from_dir, int to_dir, const char *name, int depth, GError **error)
{
	ash_autofd int from = -1;
	ash_autofd int to = -1;
	g_autoptr(GHashTable) names = NULL;
	GHashTableIter iter;
	gpointer key;

	if (!check_depth(depth, name, error) || !open_dir(from_dir, name, &from, error) ||
			!make_dir(from, to_dir, name, &to, error) || !list(from, &names, error))
		return FALSE;
	g_hash_table_iter_init(&iter, names);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		struct stat st;
		if (fstatat(from, key, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return ash_throw_errno(error, "%s", (const char *) key);
		if (S_ISDIR(st.st_mode) ? !copy_dir(from, to, key, depth + 1, error)
					: !copy_node(from, to, key, &st, error))
			return FALSE;
	}
	return TRUE;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static gboolean read_full(int fd, char *buffer, size_t *out_n, const char *name, GError **error)
{
	size_t have = 0;

	while (have < COMPARE_BYTES) {
		ssize_t n = read(fd, buffer + have, COMPARE_BYTES - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "%s", name);
		if (n == 0)
			break;
		have += (size_t) n;
	}
	*out_n = have;
	return TRUE;
}

static gboolean same_content(int a, int b, const char *name, bool *out_same, GError **error)
{
	g_autofree char *chunk_a = g_malloc(COMPARE_BYTES);
	g_autofree char *chunk_b = g_malloc(COMPARE_BYTES);

	for (;;) {
		size_t n_a, n_b;
		if (!read_full(a, chunk_a, &n_a, name, error) ||
				!read_full(b, chunk_b, &n_b, name, error))
			return FALSE;
		*out_same = n_a == n_b && memcmp(chunk_a, chunk_b, n_a) == 0;
		if (!*out_same || n_a == 0)
			return TRUE;
	}
}

static gboolean same_target(int a_dir, int b_dir, const char *name, bool *out_same, GError **error)
{
	char a[PATH_MAX];
	char b[PATH_MAX];
	ssize_t n_a = readlinkat(a_dir, name, a, sizeof a);
	ssize_t n_b = readlinkat(b_dir, name, b, sizeof b);

	if (n_a < 0 || n_b < 0)
		return ash_throw_errno(error, "%s", name);
	*out_same = n_a == n_b && memcmp(a, b, (size_t) n_a) == 0;
	return TRUE;
}

/* Of two directories: themselves, not what is in them. */
static gboolean is_same(int a_dir, const struct stat *a, int b_dir, const struct stat *b,
		const char *name, bool *out_same, GError **error)
{
	*out_same = a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid;
	if (!*out_same)
		return TRUE;
	if (S_ISLNK(a->st_mode))
		return same_target(a_dir, b_dir, name, out_same, error);
	if (!S_ISREG(a->st_mode) && !S_ISDIR(a->st_mode)) {
		*out_same = a->st_rdev == b->st_rdev;
		return TRUE;
	}
	if (S_ISREG(a->st_mode) && a->st_size != b->st_size) {
		*out_same = false;
		return TRUE;
	}
	ash_autofd int fd_a = openat(a_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ash_autofd int fd_b = openat(b_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd_a < 0 || fd_b < 0)
		return ash_throw_errno(error, "%s", name);
	if (!same_xattrs(fd_a, fd_b, name, out_same, error))
		return FALSE;
	return !*out_same || !S_ISREG(a->st_mode) ||
	       same_content(fd_a, fd_b, name, out_same, error);
}

/* ---- merging --------------------------------------------------------------------------------- */

/* One directory on its way down. The new one is made when the first change below it wants it. */
typedef struct Level {
	struct Level *parent;
	const char *name;   /* in the parent */
	int defaults, mine; /* -1: the old defaults have no such directory */
	int to;             /* -1: not opened yet */
	int depth;
} Level;

typedef struct {
	unsigned changes;
} Merge;

static gboolean remove_at(int dirfd, const char *name, GError **error)
{
	return ash_file_remove_tree(dirfd, name, error);
}

static bool is_dir_at(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* The new directory of @level: the release's own, or, where it has none or a file, one as mine. */
static gboolean ensure(Level *level, GError **error)
{
	if (level->to >= 0)
		return TRUE;
	if (!ensure(level->parent, error))
		return FALSE;
	if (is_dir_at(level->parent->to, level->name))
		return open_dir(level->parent->to, level->name, &level->to, error);
	return remove_at(level->parent->to, level->name, error) &&
	       make_dir(level->mine, level->parent->to, level->name, &level->to, error);
}

/* Whether the new directory is there, without making one. */
static bool is_there(Level *level)
{
	if (level->to >= 0)
		return true;
	if (!is_there(level->parent) || !is_dir_at(level->parent->to, level->name))
		return false;
	level->to = openat(level->parent->to, level->name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return level->to >= 0;
}

static gboolean merge_level(Merge *merge, Level *level, GError **error);

static gboolean merge_dir(Merge *merge, Level *level, const char *name, bool is_default,
		bool is_changed, GError **error)
{
	ash_autofd int defaults = -1;
	ash_autofd int mine = -1;
	ash_autofd int to = -1;

	if ((is_default && !open_dir(level->defaults, name, &defaults, error)) ||
			!open_dir(level->mine, name, &mine, error))
		return FALSE;
	/* Made here, or of another kind before: it is there with my owner and mode. Changed: it gets
	 * them where it still is. */
	bool is_wanted = !is_default ||
			 (is_changed && is_there(level) && is_dir_at(level->to, name));
	if (is_wanted) {
		if (!ensure(level, error))
			return FALSE;
		if (!is_dir_at(level->to, name) && !remove_at(level->to, name, error))
			return FALSE;
		if (!make_dir(mine, level->to, name, &to, error))
			return FALSE;
		merge->changes++;
	}
	Level below = {.parent = level,
			.name = name,
			.defaults = defaults,
			.mine = mine,
			.to = to,
			.depth = level->depth + 1};
	to = -1;
	gboolean ok = merge_level(merge, &below, error);
	ash_close_fd(&below.to);
	return ok;
}

static gboolean merge_name(Merge *merge, Level *level, const char *name, GError **error)
{
	struct stat a, b;
	bool has_a, has_b;
	bool same = false;

	if (!look(level->defaults, name, &a, &has_a, error) ||
			!look(level->mine, name, &b, &has_b, error))
		return FALSE;
	if (!has_b) {
		if (!has_a || !is_there(level))
			return TRUE;
		merge->changes++;
		return remove_at(level->to, name, error);
	}
	bool same_kind = has_a && (a.st_mode & S_IFMT) == (b.st_mode & S_IFMT);
	if (same_kind && !is_same(level->defaults, &a, level->mine, &b, name, &same, error))
		return FALSE;
	if (S_ISDIR(b.st_mode))
		return merge_dir(merge, level, name, same_kind, !same, error);
	if (same || S_ISSOCK(b.st_mode))
		return TRUE;
	merge->changes++;
	return ensure(level, error) && remove_at(level->to, name, error) &&
	       copy_node(level->mine, level->to, name, &b, error);
}

static gboolean merge_level(Merge *merge, Level *level, GError **error)
{
	g_autoptr(GHashTable) names = NULL;
	g_autoptr(GHashTable) defaults = NULL;
	GHashTableIter iter;
	gpointer key;

	if (!check_depth(level->depth, level->name, error) || !list(level->mine, &names, error))
		return FALSE;
	if (level->defaults >= 0) {
		if (!list(level->defaults, &defaults, error))
			return FALSE;
		g_hash_table_iter_init(&iter, defaults);
		while (g_hash_table_iter_next(&iter, &key, NULL))
			if (!g_hash_table_contains(names, key))
				g_hash_table_add(names, g_strdup(key));
	}
	g_hash_table_iter_init(&iter, names);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		if (!merge_name(merge, level, key, error))
			return FALSE;
	return TRUE;
}

static gboolean merge_from(int new_fd, int old_fd, unsigned *out_changes, GError **error)
{
	ASH_PREFIX("merging what this host changed in /etc");
	Merge merge = {0};
	struct stat st;
	ash_autofd int usr = -1;
	ash_autofd int defaults = -1;
	ash_autofd int mine = -1;
	ash_autofd int to = -1;

	if (fstatat(old_fd, "etc", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return TRUE;
	if (!open_dir(old_fd, "usr", &usr, error) || !open_dir(usr, "etc", &defaults, error) ||
			!open_dir(old_fd, "etc", &mine, error) ||
			!open_dir(new_fd, "etc", &to, error))
		return FALSE;
	Level level = {.name = "etc", .defaults = defaults, .mine = mine, .to = to};
	if (!merge_level(&merge, &level, error))
		return FALSE;
	*out_changes = merge.changes;
	return TRUE;
}

gboolean ash_etc_make(int new_fd, int old_fd, unsigned *out_changes, GError **error)
{
	ASH_PREFIX("making /etc");
	ash_autofd int usr = -1;
	unsigned changes = 0;

	if (!open_dir(new_fd, "usr", &usr, error) || !copy_dir(usr, new_fd, "etc", 0, error))
		return FALSE;
	ASH_FAULT("etc-defaults");
	if (old_fd >= 0 && !merge_from(new_fd, old_fd, &changes, error))
		return FALSE;
	if (out_changes != NULL)
		*out_changes = changes;
	return TRUE;
}

/* ---- measuring ------------------------------------------------------------------------------- */

static gboolean measure(int dirfd, const char *name, int depth, uint64_t *bytes, uint64_t *inodes,
		GError **error)
{
	ash_autofd int fd = -1;
	g_autoptr(GHashTable) names = NULL;
	GHashTableIter iter;
	gpointer key;

	if (!check_depth(depth, name, error) || !open_dir(dirfd, name, &fd, error) ||
			!list(fd, &names, error))
		return FALSE;
	*bytes += BLOCK_BYTES;
	*inodes += 1;
	g_hash_table_iter_init(&iter, names);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		struct stat st;
		bool has;
		if (!look(fd, key, &st, &has, error))
			return FALSE;
		if (has && S_ISDIR(st.st_mode)) {
			if (!measure(fd, key, depth + 1, bytes, inodes, error))
				return FALSE;
		} else if (has) {
			*bytes += ((uint64_t) st.st_size + BLOCK_BYTES - 1) / BLOCK_BYTES *
				  BLOCK_BYTES;
			*inodes += 1;
		}
	}
	return TRUE;
}

gboolean ash_etc_measure(int dirfd, const char *path, uint64_t *out_bytes, uint64_t *out_inodes,
		GError **error)
{
	uint64_t bytes = 0;
	uint64_t inodes = 0;

	if (is_dir_at(dirfd, path) && !measure(dirfd, path, 0, &bytes, &inodes, error))
		return FALSE;
	*out_bytes = bytes;
	*out_inodes = inodes;
	return TRUE;
}
