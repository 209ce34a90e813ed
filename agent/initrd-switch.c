/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/initrd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREPARE_ROOT "/usr/lib/ostree/ostree-prepare-root"

enum {
	PREPARE_TIMEOUT_MS = 60000,
	MAX_DATA_BYTES = 1024,
	MAX_REMOVE_DEPTH = 64,
};

void ash_initrd_mount_basics(void)
{
	static const struct {
		const char *type;
		const char *target;
		unsigned long flags;
		const char *data;
	} mounts[] = {
			/* Options as systemd would choose them: it keeps what it finds mounted. */
			{"devtmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=0755"},
			{"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
			{"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
			{"tmpfs", "/run", MS_NOSUID | MS_NODEV | MS_STRICTATIME,
					"mode=0755,size=20%,nr_inodes=800k"},
	};

	for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
		/* EEXIST: the directory came with the archive. */
		if (mkdir(mounts[i].target, 0755) < 0 && errno != EEXIST)
			ash_initrd_fail("mkdir %s: %s", mounts[i].target, strerror(errno));
		/* EBUSY: the kernel has mounted devtmpfs itself. */
		if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
				    mounts[i].data) < 0 &&
				errno != EBUSY)
			ash_initrd_fail("mounting %s on %s: %s", mounts[i].type, mounts[i].target,
					strerror(errno));
		if (i == 0)
			ash_initrd_log_open();
	}
}

void ash_initrd_mount_root(const AshInitrdCmdline *cmdline, const char *device)
{
	char data[MAX_DATA_BYTES];
	unsigned long flags = ash_initrd_mount_flags(
			cmdline->rootflags, cmdline->is_rw ? 0 : MS_RDONLY, data, sizeof data);

	if (mkdir("/sysroot", 0755) < 0 && errno != EEXIST)
		ash_initrd_fail("mkdir /sysroot: %s", strerror(errno));
	/* A journal that a power cut left behind is replayed here, even when mounting read-only. */
	if (mount(device, "/sysroot", cmdline->rootfstype, flags, data) < 0)
		ash_initrd_fail("mounting %s (root=%s) as %s%s%s: %s", device, cmdline->root,
				cmdline->rootfstype, data[0] != '\0' ? ", options " : "", data,
				strerror(errno));
}

/* Waits for @child, at most PREPARE_TIMEOUT_MS; its wait status. */
static int wait_child(pid_t child)
{
	int status = 0;
	int fd = (int) syscall(SYS_pidfd_open, child, 0);
	struct pollfd ended = {.fd = fd, .events = POLLIN};

	if (fd >= 0) {
		int64_t deadline_ms = ash_initrd_now_ms() + PREPARE_TIMEOUT_MS;
		int64_t left_ms = PREPARE_TIMEOUT_MS;
		int n = 0;
		while (left_ms > 0 && (n = poll(&ended, 1, (int) left_ms)) < 0)
			left_ms = deadline_ms - ash_initrd_now_ms();
		if (n <= 0)
			kill(child, SIGKILL);
		close(fd);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

void ash_initrd_prepare_ostree(const AshInitrdCmdline *cmdline)
{
	if (access(PREPARE_ROOT, X_OK) < 0)
		ash_initrd_fail("ostree=%s is on the kernel command line, but %s: %s",
				cmdline->ostree, PREPARE_ROOT, strerror(errno));
	pid_t child = fork();
	if (child < 0)
		ash_initrd_fail("fork: %s", strerror(errno));
	if (child == 0) {
		execl(PREPARE_ROOT, PREPARE_ROOT, "/sysroot", (char *) NULL);
		/* ENOENT here means its interpreter. */
		ash_initrd_log(ASH_INITRD_ERR, "executing %s: %s", PREPARE_ROOT, strerror(errno));
		_exit(127);
	}
	int status = wait_child(child);
	if (WIFSIGNALED(status))
		ash_initrd_fail("ostree-prepare-root for ostree=%s: killed by signal %d%s",
				cmdline->ostree, WTERMSIG(status),
				WTERMSIG(status) == SIGKILL ? " (it may take 60 s)" : "");
	if (WEXITSTATUS(status) != 0)
		ash_initrd_fail("ostree-prepare-root found no usable deployment for ostree=%s (exit code "
				"%d)",
				cmdline->ostree, WEXITSTATUS(status));
}

/* Removes what is in the directory @fd (closed here), never across a mount. */
static void remove_below(int fd, dev_t device, int depth)
{
	struct stat st;
	DIR *directory = fdopendir(fd);

	if (directory == NULL) {
		close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		const char *name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device)
			continue;
		if (S_ISDIR(st.st_mode) && depth < MAX_REMOVE_DEPTH) {
			int child = openat(
					fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (child >= 0)
				remove_below(child, device, depth + 1);
		}
		/* What stays only costs memory. */
		if (unlinkat(fd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0)
			ash_initrd_log(ASH_INITRD_DEBUG, "removing %s: %s", name, strerror(errno));
	}
	closedir(directory);
}

/* @fd: the old root. Its memory is given back only when it is one of the kinds that live there. */
static void empty_initramfs(int fd)
{
	struct statfs fs;
	struct stat st;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return;
	if (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC)
		remove_below(fd, st.st_dev, 0);
}

void ash_initrd_switch_root(const AshInitrdCmdline *cmdline, char **argv)
{
	static const char *const moved[] = {"/dev", "/proc", "/sys", "/run"};
	char target[64];

	for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++) {
		snprintf(target, sizeof target, "/sysroot%s", moved[i]);
		if (mount(moved[i], target, NULL, MS_MOVE, NULL) < 0)
			ash_initrd_fail("the root file system cannot take %s: %s", moved[i],
					strerror(errno));
	}
	int old_root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* In this process and no child: the kernel's threads share its root directory, and find
	 * /sbin/modprobe through it. */
	if (chdir("/sysroot") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
			chdir("/") < 0)
		ash_initrd_fail("making /sysroot the root: %s", strerror(errno));
	if (access(cmdline->init, X_OK) < 0)
		ash_initrd_fail("the root file system has no init that can be executed: %s: %s",
				cmdline->init, strerror(errno));
	empty_initramfs(old_root);

	static char name[256];
	snprintf(name, sizeof name, "%s", cmdline->init);
	argv[0] = name;
	execv(cmdline->init, argv);
	ash_initrd_fail("executing %s: %s", cmdline->init, strerror(errno));
}
