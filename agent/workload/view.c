/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/view.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/workload/enter.h"
#include "agent/workload/entry.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

/* Names of its parts below DIR/mnt. */
#define IMAGE "image"
#define SKELETON "skeleton"
#define ROOT "root"

typedef struct {
	const AshLaunch *launch;
	AshView *view;
	char *base;  /* DIR/mnt */
	char *tree;  /* the image's, without links */
	int tree_fd; /* as the instance sees its files */
	int skeleton_fd;
	int userns_fd; /* its users' range */
} Maker;

void ash_view_free(AshView *view)
{
	if (view == NULL)
		return;
	g_free(view->root);
	g_clear_pointer(&view->binds, g_ptr_array_unref);
	g_clear_pointer(&view->devices, g_ptr_array_unref);
	g_free(view);
}

static void bind_free(gpointer data)
{
	AshLaunchBind *bind = data;

	g_free(bind->source);
	g_free(bind->target);
	g_free(bind);
}

static void maker_clear(Maker *maker)
{
	g_free(maker->base);
	g_free(maker->tree);
	ash_close_fd(&maker->tree_fd);
	ash_close_fd(&maker->skeleton_fd);
	ash_close_fd(&maker->userns_fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Maker, maker_clear)

static gboolean throw_image(GError **error, const char *what)
{
	int cause = errno;

	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE, "%s: %s", what,
			g_strerror(cause));
}

static gboolean throw_runtime(GError **error, const char *what)
{
	int cause = errno;

	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME, "%s: %s", what,
			g_strerror(cause));
}

char *ash_view_host_name(const AshLaunch *launch)
{
	char *name = g_strdup(launch->instance);

	return g_strdelimit(name, "@_", '-');
}

/* ---- the users' range ---------------------------------------------------------------------------- */

/* A user namespace is made by a process that is in it. */
static gboolean open_userns(uint32_t base, int *out_fd, GError **error)
{
	g_autofree char *map = g_strdup_printf("0 %u %u\n", base, (unsigned) ASH_LAUNCH_UIDS);
	pid_t pid = (pid_t) syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0) {
		for (;;)
			pause();
	}
	if (pid < 0)
		return throw_runtime(error, "a user namespace");
	g_autofree char *uids = g_strdup_printf("/proc/%d/uid_map", pid);
	g_autofree char *gids = g_strdup_printf("/proc/%d/gid_map", pid);
	g_autofree char *ns = g_strdup_printf("/proc/%d/ns/user", pid);
	ash_autofd int uid_fd = open(uids, O_WRONLY | O_CLOEXEC);
	ash_autofd int gid_fd = open(gids, O_WRONLY | O_CLOEXEC);
	gboolean is_mapped = uid_fd >= 0 && gid_fd >= 0 &&
			     ash_file_write_all(uid_fd, map, strlen(map), NULL) &&
			     ash_file_write_all(gid_fd, map, strlen(map), NULL);
	*out_fd = is_mapped ? open(ns, O_RDONLY | O_CLOEXEC) : -1;
	int cause = errno;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = cause;
	return *out_fd >= 0 || throw_runtime(error, "the range of users");
}

/* @shift: false when the file system cannot, which is no failure. */
static gboolean clone_mount(const Maker *maker, int dirfd, const char *path, uint64_t attributes,
		bool *shift, int *out_fd, GError **error)
{
	ash_autofd int fd = open_tree(dirfd, path,
			OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (*path == '\0' ? AT_EMPTY_PATH : 0));
	struct mount_attr attr = {.attr_set = attributes};

	if (fd < 0)
		return throw_image(error, path);
	if (*shift) {
		struct mount_attr idmap = {.attr_set = MOUNT_ATTR_IDMAP,
				.userns_fd = (unsigned) maker->userns_fd};
		*shift = mount_setattr(fd, "", AT_EMPTY_PATH, &idmap, sizeof idmap) == 0;
	}
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
		return throw_runtime(error, "mount_setattr");
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

/* ---- places -------------------------------------------------------------------------------------- */

static const char *const fresh[] = {"/dev", "/proc", "/sys", "/run", "/tmp", NULL};

/* Is @path on, or at, something that is mounted anew at each start? */
static bool is_fresh(const char *path)
{
	for (const char *const *top = fresh; *top != NULL; top++) {
		size_t size = strlen(*top);
		if (strncmp(path, *top, size) == 0 && (path[size] == '/' || path[size] == '\0'))
			return true;
	}
	return false;
}

static int open_inside(int root_fd, const char *path, uint64_t flags)
{
	struct open_how how = {.flags = flags | O_CLOEXEC,
			.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

	return (int) syscall(SYS_openat2, root_fd, path, &how, sizeof how);
}

/* The name, from the root, of what an O_PATH descriptor below it is. */
static char *name_of(const Maker *maker, int fd)
{
	char link[64], path[PATH_MAX];

	g_snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t size = readlink(link, path, sizeof path - 1);
	if (size < 0)
		return NULL;
	path[size] = '\0';
	g_autofree char *image = g_build_filename(maker->base, IMAGE, NULL);
	size_t prefix = strlen(image);
	if (strncmp(path, image, prefix) != 0 || (path[prefix] != '/' && path[prefix] != '\0'))
		return NULL;
	return g_strdup(path[prefix] == '\0' ? "/" : path + prefix);
}

/* Where a link of the image at @path leads that leads nowhere in the image itself (to /run, say), with @rest
 * behind it. NULL: it is no link.
 */
static char *follow(const Maker *maker, const char *path, const char *rest)
{
	ash_autofd int fd = open_inside(maker->tree_fd, path, O_PATH | O_NOFOLLOW);
	char link[PATH_MAX];
	ssize_t size = fd >= 0 ? readlinkat(fd, "", link, sizeof link - 1) : -1;

	if (size <= 0)
		return NULL;
	link[size] = '\0';
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *whole = g_strconcat(link, "/", rest, NULL);
	return g_canonicalize_filename(whole, dir);
}

/* As far as the image has it: true when @out_path is the answer, and not where to look next. */
static gboolean resolve_once(const Maker *maker, const char *target, bool *out_is_done,
		char **out_path, GError **error)
{
	g_autoptr(GString) head = g_string_new(target);

	for (;;) {
		const char *at = head->len > 0 ? head->str : "/";
		ash_autofd int fd = open_inside(maker->tree_fd, at, O_PATH);
		g_autofree char *name = fd >= 0 ? name_of(maker, fd) : NULL;
		if (fd >= 0 && name == NULL)
			return throw_runtime(error, "resolving a path of the image");
		if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
			return throw_image(error, target);
		char *next = fd < 0 ? follow(maker, at, target + head->len) : NULL;
		*out_is_done = fd >= 0;
		*out_path = fd >= 0 ? g_build_filename(name, target + head->len, NULL) : next;
		if (*out_path != NULL)
			return TRUE;
		if (head->len == 0)
			return throw_image(error, target);
		g_string_truncate(head, (gsize) (strrchr(head->str, '/') - head->str));
	}
}

/* Where @target leads to by the image's own links, without leaving it: what is missing of it stays as it
 * is written. "." and ".." are refused.
 */
static gboolean resolve(const Maker *maker, const char *target, char **out_path, GError **error)
{
	enum {
		MAX_LINKS = 16
	};
	g_auto(GStrv) parts = g_strsplit(target, "/", -1);
	g_autofree char *at = g_canonicalize_filename(target, "/");

	for (char **part = parts; *part != NULL; part++)
		if (strcmp(*part, "..") == 0 || strcmp(*part, ".") == 0)
			return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE,
					"'%s' is no place for a bind", target);
	for (int i = 0; i < MAX_LINKS; i++) {
		bool is_done = false;
		char *next = NULL;
		if (!resolve_once(maker, at, &is_done, &next, error))
			return FALSE;
		g_free(at);
		at = next;
		if (is_done) {
			*out_path = g_steal_pointer(&at);
			return TRUE;
		}
	}
	errno = ELOOP;
	return throw_image(error, target);
}

/* Attributes of a directory of both layers are the upper one's. */
static int copy_attributes(const Maker *maker, int fd, const char *path)
{
	ash_autofd int image = open_inside(maker->tree_fd, path, O_PATH);
	struct stat st;
	uid_t root = maker->launch->uid_base;

	if (image < 0 || fstat(image, &st) < 0)
		return fchown(fd, root, root);
	if (fchown(fd, st.st_uid, st.st_gid) < 0)
		return -1;
	return fchmod(fd, st.st_mode & 07777);
}

static gboolean make_dirs(const Maker *maker, const char *path, int *out_fd, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	g_autoptr(GString) at = g_string_new(NULL);
	ash_autofd int fd = fcntl(maker->skeleton_fd, F_DUPFD_CLOEXEC, 0);

	for (char **part = parts; *part != NULL && fd >= 0; part++) {
		if (**part == '\0')
			continue;
		g_string_append_printf(at, "/%s", *part);
		bool is_made = mkdirat(fd, *part, 0755) == 0;
		if (!is_made && errno != EEXIST)
			return throw_image(error, at->str);
		int next = openat(fd, *part, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		ash_close_fd(&fd);
		fd = next;
		if (fd >= 0 && is_made && copy_attributes(maker, fd, at->str) < 0)
			return throw_runtime(error, at->str);
	}
	if (fd < 0)
		return throw_image(error, at->str);
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

static gboolean make_file(const Maker *maker, const char *path, const char *text, GError **error)
{
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *name = g_path_get_basename(path);
	uid_t root = maker->launch->uid_base;
	ash_autofd int dir_fd = -1;

	if (!make_dirs(maker, dir, &dir_fd, error))
		return FALSE;
	ash_autofd int fd = openat(
			dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return throw_image(error, path);
	if (fchmod(fd, 0644) < 0 || fchown(fd, root, root) < 0)
		return throw_runtime(error, path);
	return ash_file_write_all(fd, text, strlen(text), error);
}

/* A place for @path unless the image has one of the kind. */
static gboolean make_place(const Maker *maker, const char *path, bool is_file, GError **error)
{
	ash_autofd int there = open_inside(maker->tree_fd, path, O_PATH);
	ash_autofd int made = -1;
	struct stat st;

	if (there >= 0 && fstat(there, &st) == 0) {
		if (S_ISDIR(st.st_mode) != is_file)
			return TRUE;
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE,
				"'%s' in the image is %s", path,
				is_file ? "a directory" : "not a directory");
	}
	return is_file ? make_file(maker, path, "", error) : make_dirs(maker, path, &made, error);
}

/* ---- what is in it ------------------------------------------------------------------------------- */

static gboolean add_text(const Maker *maker, const char *path, const GString *text, GError **error)
{
	g_autofree char *at = NULL;

	if (!resolve(maker, path, &at, error))
		return FALSE;
	return is_fresh(at) || make_file(maker, at, text->str, error);
}

static gboolean add_names(const Maker *maker, GError **error)
{
	const AshLaunch *launch = maker->launch;
	g_autofree char *name = ash_view_host_name(launch);
	g_autoptr(GString) hosts = g_string_new("127.0.0.1\tlocalhost\n::1\tlocalhost\n");
	g_autoptr(GString) servers = g_string_new(NULL);

	g_string_append_printf(hosts, "127.0.1.1\t%s\n", name);
	for (char **line = launch->hosts; *line != NULL; line++)
		g_string_append_printf(hosts, "%s\n", *line);
	for (char **server = launch->nameservers; *server != NULL; server++)
		g_string_append_printf(servers, "nameserver %s\n", *server);
	return add_text(maker, "/etc/hosts", hosts, error) &&
	       (launch->nameservers[0] == NULL ||
			       add_text(maker, "/etc/resolv.conf", servers, error));
}

/* Volumes hold users as they are inside; what already belongs to the range, and sockets, are as they are. */
static bool is_to_shift(const Maker *maker, const struct stat *st)
{
	return (S_ISDIR(st->st_mode) || S_ISREG(st->st_mode)) && st->st_uid < ASH_LAUNCH_UIDS &&
	       st->st_gid < ASH_LAUNCH_UIDS && maker->userns_fd >= 0;
}

static gboolean add_bind(const Maker *maker, const AshLaunchBind *bind, GError **error)
{
	guint number = maker->view->binds->len;
	g_autofree char *name = g_strdup_printf("bind-%u", number);
	g_autofree char *place = g_build_filename(maker->base, name, NULL);
	g_autofree char *target = NULL;
	ash_autofd int mount_fd = -1, place_fd = -1;
	struct stat st;

	if (stat(bind->source, &st) < 0)
		return throw_image(error, bind->source);
	bool is_dir = S_ISDIR(st.st_mode), shift = is_to_shift(maker, &st);
	uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			      (bind->is_read_only ? MOUNT_ATTR_RDONLY : 0);
	/* runsc mounts first, and what is fresh comes later. */
	bool is_bare = maker->launch->isolation == ASH_ISOLATION_CLASS_USERKERNEL;
	if (!resolve(maker, bind->target, &target, error) ||
			((is_bare || !is_fresh(target)) &&
					!make_place(maker, target, !is_dir, error)) ||
			!clone_mount(maker, AT_FDCWD, bind->source, attributes, &shift, &mount_fd,
					error))
		return FALSE;
	if (is_dir ? mkdir(place, 0700) < 0
		   : (place_fd = open(place, O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		return throw_runtime(error, place);
	if (move_mount(mount_fd, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return throw_runtime(error, place);
	AshLaunchBind *own = g_new0(AshLaunchBind, 1);
	own->source = g_steal_pointer(&place);
	own->target = g_steal_pointer(&target);
	own->is_read_only = bind->is_read_only;
	own->is_file = !is_dir;
	g_ptr_array_add(maker->view->binds, own);
	return TRUE;
}

/* What stays as first process where there is no command: a runtime starts only what it finds inside. */
static gboolean add_idle(const Maker *maker, GError **error)
{
	g_autofree char *program = ash_entry_program();
	char target[] = ASH_ENTER_IDLE_PATH;
	const AshLaunchBind bind = {
			.source = program, .target = target, .is_read_only = true, .is_file = true};
	bool is_bare = maker->launch->isolation == ASH_ISOLATION_CLASS_USERKERNEL;

	return !is_bare || !maker->launch->is_idle || add_bind(maker, &bind, error);
}

/* A node of its own: the host's belongs to the host's users. */
static gboolean add_device(const Maker *maker, const char *path, GError **error)
{
	const AshLaunch *launch = maker->launch;
	g_autofree char *name = g_strdup_printf("device-%u", maker->view->devices->len);
	g_autofree char *place = g_build_filename(maker->base, name, NULL);
	struct stat st;

	if (stat(path, &st) < 0)
		return throw_image(error, path);
	if (!g_str_has_prefix(path, "/dev/") || strstr(path, "/..") != NULL ||
			!(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE,
				"'%s' is not a device", path);
	if (mknod(place, (st.st_mode & S_IFMT) | 0600, st.st_rdev) < 0 ||
			chown(place, launch->uid_base + launch->uid,
					launch->uid_base + launch->gid) < 0)
		return throw_runtime(error, path);
	AshLaunchBind *own = g_new0(AshLaunchBind, 1);
	own->source = g_steal_pointer(&place);
	own->target = g_strdup(path);
	own->is_file = true;
	g_ptr_array_add(maker->view->devices, own);
	return TRUE;
}

static gboolean add_places(const Maker *maker, GError **error)
{
	for (const char *const *path = fresh; *path != NULL; path++)
		if (!make_place(maker, *path, false, error))
			return FALSE;
	/* systemd-nspawn takes a tree without it for none. */
	if (!make_place(maker, "/usr", false, error))
		return FALSE;
	for (guint i = 0; i < maker->launch->binds->len; i++)
		if (!add_bind(maker, maker->launch->binds->pdata[i], error))
			return FALSE;
	for (char **device = maker->launch->devices; *device != NULL; device++)
		if (!add_device(maker, *device, error))
			return FALSE;
	return add_idle(maker, error) && add_names(maker, error);
}

/* ---- mounts -------------------------------------------------------------------------------------- */

static gboolean mount_base(const Maker *maker, GError **error)
{
	static const char *const parts[] = {IMAGE, SKELETON, ROOT, "upper", "work", NULL};
	/* What a system with an init of its own writes is in it. */
	g_autofree char *size = g_strdup_printf("mode=0711,size=%" G_GUINT64_FORMAT,
			maker->launch->is_booted ? MAX(maker->launch->disk_bytes, 1 << 20)
						 : (uint64_t) 4 << 20);

	if (mkdir(maker->base, 0700) < 0 && errno != EEXIST)
		return throw_runtime(error, maker->base);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
			mount("tmpfs", maker->base, "tmpfs", MS_NOSUID, size) < 0)
		return throw_runtime(error, "a mount namespace");
	for (const char *const *part = parts; *part != NULL; part++) {
		g_autofree char *path = g_build_filename(maker->base, *part, NULL);
		if (mkdir(path, 0755) < 0)
			return throw_runtime(error, path);
	}
	return TRUE;
}

static gboolean mount_image(Maker *maker, GError **error)
{
	g_autofree char *image = g_build_filename(maker->base, IMAGE, NULL);
	g_autofree char *skeleton = g_build_filename(maker->base, SKELETON, NULL);
	uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV |
			      (maker->launch->is_booted ? 0 : MOUNT_ATTR_NOSUID);
	bool shift = true;
	ash_autofd int fd = -1;

	if (!clone_mount(maker, AT_FDCWD, maker->launch->root, attributes, &shift, &fd, error))
		return FALSE;
	if (move_mount(fd, "", AT_FDCWD, image, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return throw_runtime(error, image);
	maker->tree_fd = open(image, O_PATH | O_DIRECTORY | O_CLOEXEC);
	maker->skeleton_fd = open(skeleton, O_DIRECTORY | O_CLOEXEC);
	if (maker->tree_fd < 0 || maker->skeleton_fd < 0)
		return throw_image(error, image);
	if (copy_attributes(maker, maker->skeleton_fd, "/") < 0)
		return throw_runtime(error, skeleton);
	maker->view->is_shifted = shift;
	return TRUE;
}

static gboolean configure(int fs, const char *key, const char *value, GError **error)
{
	if (fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) == 0)
		return TRUE;
	return throw_runtime(error, key);
}

static gboolean mount_root(const Maker *maker, GError **error)
{
	g_autofree char *lower =
			g_strdup_printf("%s/" SKELETON ":%s/" IMAGE, maker->base, maker->base);
	g_autofree char *upper = g_build_filename(maker->base, "upper", NULL);
	g_autofree char *work = g_build_filename(maker->base, "work", NULL);
	bool is_booted = maker->launch->is_booted;
	ash_autofd int fs = fsopen("overlay", FSOPEN_CLOEXEC);

	if (fs < 0)
		return throw_runtime(error, "overlay");
	/* What attributes of the image's files say of redirections is not believed. */
	if (!configure(fs, "source", "ashlar", error) ||
			!configure(fs, "redirect_dir", "nofollow", error) ||
			!configure(fs, "metacopy", "off", error) ||
			!configure(fs, "lowerdir", lower, error) ||
			(is_booted && (!configure(fs, "upperdir", upper, error) ||
						      !configure(fs, "workdir", work, error))))
		return FALSE;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return throw_runtime(error, "the overlay of the image");
	bool is_bare = maker->launch->isolation == ASH_ISOLATION_CLASS_USERKERNEL;
	/* runsc mounts it again, without what it was not asked for, which no user namespace may take away. */
	unsigned attributes = is_booted ? MOUNT_ATTR_NODEV
			      : is_bare ? MOUNT_ATTR_RDONLY
					: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	ash_autofd int fd = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
	if (fd < 0 || move_mount(fd, "", AT_FDCWD, maker->view->root, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return throw_runtime(error, maker->view->root);
	return TRUE;
}

static gboolean make_upper(const Maker *maker, GError **error)
{
	g_autofree char *upper = g_build_filename(maker->base, "upper", NULL);
	ash_autofd int fd = open(upper, O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || copy_attributes(maker, fd, "/") < 0)
		return throw_runtime(error, upper);
	return TRUE;
}

gboolean ash_view_new(const AshLaunch *launch, AshView **out_view, GError **error)
{
	g_autoptr(AshView) view = g_new0(AshView, 1);
	g_auto(Maker) maker = {.launch = launch,
			.view = view,
			.tree_fd = -1,
			.skeleton_fd = -1,
			.userns_fd = -1};

	maker.base = g_build_filename(launch->dir, "mnt", NULL);
	view->root = g_build_filename(maker.base, ROOT, NULL);
	view->binds = g_ptr_array_new_with_free_func(bind_free);
	view->devices = g_ptr_array_new_with_free_func(bind_free);
	/* The kernel's list of layers would take them apart there. */
	if (strpbrk(launch->dir, ":\\,") != NULL)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"'%s' holds one of ':', '\\' and ','", launch->dir);
	if (!open_userns(launch->uid_base, &maker.userns_fd, error) || !mount_base(&maker, error) ||
			!mount_image(&maker, error) || !add_places(&maker, error) ||
			!make_upper(&maker, error) || !mount_root(&maker, error))
		return FALSE;
	*out_view = g_steal_pointer(&view);
	return TRUE;
}

/* All is open or mounted by now, so nothing that lies below /tmp is missed. */
gboolean ash_view_expose(const AshLaunch *launch, AshView *view, GError **error)
{
	g_autofree char *base = g_build_filename(launch->dir, "mnt", NULL);

	if (mount(base, "/tmp", NULL, MS_MOVE, NULL) < 0)
		return throw_runtime(error, "/tmp");
	g_free(view->root);
	view->root = g_strdup("/tmp/" ROOT);
	for (guint i = 0; i < view->binds->len; i++) {
		AshLaunchBind *bind = view->binds->pdata[i];
		char *source = g_strconcat("/tmp", bind->source + strlen(base), NULL);
		g_free(bind->source);
		bind->source = source;
	}
	return TRUE;
}

void ash_view_remove(const AshLaunch *launch)
{
	g_autofree char *base = g_build_filename(launch->dir, "mnt", NULL);

	(void) !umount2(base, MNT_DETACH);
	(void) !rmdir(base);
}

gboolean ash_view_find_init(const AshLaunch *launch, char ***out_command, GError **error)
{
	static const char *const names[] = {"/sbin/init", "/usr/sbin/init", "/lib/systemd/systemd",
			"/etc/init", "/bin/init", NULL};
	ash_autofd int root_fd = open(launch->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (const char *const *name = names; *name != NULL; name++) {
		ash_autofd int fd = root_fd >= 0 ? open_inside(root_fd, *name, O_PATH) : -1;
		const char *command[] = {*name, NULL};
		if (fd < 0)
			continue;
		*out_command = g_strdupv((char **) (uintptr_t) command);
		return TRUE;
	}
	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_IMAGE,
			"the image has no init of its own (boot)");
}
