/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/delta.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/interrupt.h"

typedef struct {
	AshRepo *repo;
	const char *const *skip;
} Apply;

static void take_owner(AshNode *node, const struct stat *st)
{
	node->mode = st->st_mode & 07777;
	node->uid = st->st_uid;
	node->gid = st->st_gid;
	node->owner = -1;
}

static gboolean apply_file(const Apply *apply, int dirfd, const char *name, const struct stat *st,
		AshNode *parent, GError **error)
{
	g_autoptr(AshNode) node = ash_node_new(ASH_NODE_FILE, 0);
	ash_autofd int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s", name);
	take_owner(node, st);
	if (!ash_repo_read_xattrs(fd, name, &node->xattrs, error) ||
			!ash_repo_write_file_fd(apply->repo, node, fd, error))
		return FALSE;
	/* Touched, but as it was: still the package's own. */
	const AshNode *there = ash_node_child(parent, name);
	if (there != NULL && ash_node_equal(there, node))
		return TRUE;
	g_hash_table_insert(parent->children, g_strdup(name), g_steal_pointer(&node));
	return TRUE;
}

static gboolean apply_link(
		int dirfd, const char *name, const struct stat *st, AshNode *parent, GError **error)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof target - 1);

	if (n < 0)
		return ash_throw_errno(error, "%s", name);
	AshNode *node = ash_node_new(ASH_NODE_LINK, 0777);
	take_owner(node, st);
	node->mode = 0777;
	node->target = g_strndup(target, (gsize) n);
	g_hash_table_insert(parent->children, g_strdup(name), node);
	return TRUE;
}

static gboolean apply_dir(
		const Apply *apply, int fd, const char *path, AshNode *node, GError **error);

static gboolean apply_subdir(const Apply *apply, int dirfd, const char *name, const char *path,
		const struct stat *st, AshNode *parent, GError **error)
{
	char opaque[2];
	ash_autofd int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	AshNode *node = ash_node_child(parent, name);
	bool is_opaque = fgetxattr(fd, "trusted.overlay.opaque", opaque, sizeof opaque) == 1 &&
			 opaque[0] == 'y';
	if (node == NULL || node->kind != ASH_NODE_DIR || is_opaque) {
		node = ash_node_new(ASH_NODE_DIR, 0);
		g_hash_table_insert(parent->children, g_strdup(name), node);
	}
	take_owner(node, st);
	return apply_dir(apply, fd, path, node, error);
}

static gboolean apply_entry(const Apply *apply, int dirfd, const char *name, const char *path,
		AshNode *parent, GError **error)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return ash_throw_errno(error, "%s", path);
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)) {
		g_hash_table_remove(parent->children, name);
		return TRUE;
	}
	if (S_ISDIR(st.st_mode))
		return apply_subdir(apply, dirfd, name, path, &st, parent, error);
	if (S_ISLNK(st.st_mode))
		return apply_link(dirfd, name, &st, parent, error);
	if (S_ISREG(st.st_mode))
		return apply_file(apply, dirfd, name, &st, parent, error);
	return TRUE;
}

static gboolean apply_dir(
		const Apply *apply, int fd, const char *path, AshNode *node, GError **error)
{
	int dup_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (dup_fd < 0)
		return ash_throw_errno(error, "%s", path);
	g_autoptr(AshDir) dir = fdopendir(dup_fd);
	if (dir == NULL) {
		ash_close_fd(&dup_fd);
		return ash_throw_errno(error, "%s", path);
	}
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		g_autofree char *child =
				*path == '\0' ? g_strdup(name) : g_strconcat(path, "/", name, NULL);
		if (apply->skip != NULL && g_strv_contains(apply->skip, child))
			continue;
		if (!ash_interrupt_check(error) ||
				!apply_entry(apply, fd, name, child, node, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_delta_apply(AshRepo *repo, const char *upper, const char *const *skip, AshTree *tree,
		GError **error)
{
	ASH_PREFIX("storing what the sandbox changed");
	Apply apply = {.repo = repo, .skip = skip};
	ash_autofd int fd = open(upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return ash_throw_errno(error, "%s", upper);
	return apply_dir(&apply, fd, "", tree->root, error);
}
