/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/box.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/workload/enter.h"
#include "lib/auto.h"
#include "lib/error.h"

/* In the child, which is a copy of the launcher with nothing but its own thread: it fails by words on stderr
 * and to the launcher.
 */
static void fail(const AshEntry *entry, const char *step) __attribute__((noreturn));
static void fail(const AshEntry *entry, const char *step)
{
	g_autofree char *text = g_strdup_printf("failed %s: %s", step, g_strerror(errno));

	(void) !send(entry->far_fd, text, strlen(text), MSG_NOSIGNAL);
	_exit(ASH_LAUNCH_EXIT_RUNTIME);
}

typedef struct {
	const AshLaunch *launch;
	const AshView *view;
	const AshEntry *entry;
	int netns_fd;
	char **mount_points; /* of binds, made before */
} Box;

static void mount_or_fail(const Box *box, const char *source, const char *target, const char *type,
		unsigned long flags, const char *data)
{
	if (mount(source, target, type, flags, data) < 0)
		fail(box->entry, target);
}

/* ---- /dev ---------------------------------------------------------------------------------------- */

static void bind_device(const Box *box, const char *source, const char *path)
{
	g_autofree char *target = g_strconcat(".", path, NULL);
	g_autofree char *dir = g_path_get_dirname(target);

	if (g_mkdir_with_parents(dir, 0755) < 0)
		fail(box->entry, target);
	ash_autofd int fd = open(target, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		fail(box->entry, target);
	mount_or_fail(box, source, target, NULL, MS_BIND, NULL);
	mount_or_fail(box, NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NOEXEC, NULL);
}

static void make_dev(const Box *box)
{
	static const char *const nodes[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
			"/dev/urandom", "/dev/tty"};
	static const char *const links[][2] = {{"/proc/self/fd", "dev/fd"},
			{"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
			{"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"}};

	mount_or_fail(box, "tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k");
	for (size_t i = 0; i < G_N_ELEMENTS(nodes); i++)
		bind_device(box, nodes[i], nodes[i]);
	for (size_t i = 0; i < G_N_ELEMENTS(links); i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			fail(box->entry, links[i][1]);
	for (guint i = 0; i < box->view->devices->len; i++) {
		const AshLaunchBind *device = box->view->devices->pdata[i];
		bind_device(box, device->source, device->target);
	}
	if (mkdir("dev/pts", 0755) < 0 || mkdir("dev/shm", 01777) < 0 ||
			mkdir("dev/mqueue", 01777) < 0)
		fail(box->entry, "dev");
	mount_or_fail(box, "devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
			"newinstance,ptmxmode=0666,mode=620,max=64");
	mount_or_fail(box, "tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			"mode=1777,size=64m,nr_inodes=1024");
	mount_or_fail(box, "mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			NULL);
	mount_or_fail(box, NULL, "dev", NULL,
			MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL);
}

/* ---- the rest of the root ------------------------------------------------------------------------ */

/* Files of /proc that tell of, or change, the host. */
static void mask_proc(const Box *box)
{
	static const char *const read_only[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys",
			"proc/sysrq-trigger", "proc/acpi", "proc/scsi", "proc/driver", "proc/tty"};
	static const char *const hidden[] = {"proc/kcore", "proc/kallsyms", "proc/keys",
			"proc/key-users", "proc/timer_list", "proc/kpagecount", "proc/kpageflags",
			"proc/kpagecgroup", "proc/kmsg", "proc/sched_debug", "proc/latency_stats",
			"proc/config.gz", "proc/vmallocinfo", "proc/mtrr"};

	for (size_t i = 0; i < G_N_ELEMENTS(read_only); i++) {
		if (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) < 0) {
			if (errno == ENOENT)
				continue;
			fail(box->entry, read_only[i]);
		}
		mount_or_fail(box, NULL, read_only[i], NULL,
				MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
				NULL);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(hidden); i++)
		if (mount("dev/null", hidden[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			fail(box->entry, hidden[i]);
}

static void make_sys(const Box *box)
{
	/* Of its own network; what else is there is the host's hardware, and hidden. */
	static const char *const hidden[] = {"sys/firmware", "sys/kernel", "sys/fs", "sys/module",
			"sys/power", "sys/hypervisor", "sys/devices/virtual/dmi",
			"sys/devices/virtual/powercap", "sys/block", "sys/bus", "sys/class/block",
			"sys/dev"};
	unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

	mount_or_fail(box, "sysfs", "sys", "sysfs", flags, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(hidden); i++)
		if (mount("tmpfs", hidden[i], "tmpfs", flags, "mode=0555,size=4k") < 0 &&
				errno != ENOENT)
			fail(box->entry, hidden[i]);
}

static void make_tmp(const Box *box)
{
	uint64_t size = MAX(box->launch->disk_bytes, 4096);
	g_autofree char *data = g_strdup_printf("mode=1777,size=%" G_GUINT64_FORMAT
						",nr_inodes=%" G_GUINT64_FORMAT,
			size, MAX(size / 4096, 64));

	mount_or_fail(box, "tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, data);
	mount_or_fail(box, "tmpfs", "run", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			"mode=0755,size=1m,nr_inodes=1024");
}

/* Below what is mounted anew places are made; elsewhere the view has them. */
static void bind_one(const Box *box, const AshLaunchBind *bind)
{
	g_autofree char *target = g_strconcat(".", bind->target, NULL);
	g_autofree char *dir = g_path_get_dirname(target);

	(void) !g_mkdir_with_parents(bind->is_file ? dir : target, 0755);
	if (bind->is_file) {
		int made = open(target, O_CREAT | O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
				0644);
		if (made >= 0)
			close(made);
	}
	ash_autofd int fd = open_tree(AT_FDCWD, bind->source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0 || move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		fail(box->entry, bind->target);
}

static void make_root(const Box *box)
{
	const char *root = box->view->root;

	if (chdir(root) < 0)
		fail(box->entry, root);
	mount_or_fail(box, "proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2");
	make_dev(box);
	mask_proc(box);
	make_sys(box);
	make_tmp(box);
	for (guint i = 0; i < box->view->binds->len; i++)
		bind_one(box, box->view->binds->pdata[i]);
	mount_or_fail(box, NULL, "run", NULL,
			MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	/* The new root over the old one, which is below it then, and goes. */
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		fail(box->entry, "pivot_root");
}

/* ---- process ------------------------------------------------------------------------------------- */

static void raise_loopback(const Box *box)
{
	ash_autofd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		fail(box->entry, "loopback");
}

static void become_box(const Box *box) __attribute__((noreturn));
static void become_box(const Box *box)
{
	g_autofree char *name = ash_view_host_name(box->launch);
	static char program[] = "ashlar-enter";
	char *argv[] = {program, NULL}, *environment[] = {NULL};
	sigset_t none;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || sethostname(name, strlen(name)) < 0)
		fail(box->entry, "host name");
	if (box->netns_fd >= 0 && setns(box->netns_fd, CLONE_NEWNET) < 0)
		fail(box->entry, "network namespace");
	if (*box->launch->netns == '\0')
		raise_loopback(box);
	make_root(box);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	errno = ash_entry_place(box->entry);
	if (errno != 0)
		fail(box->entry, "descriptors");
	syscall(SYS_execveat, ASH_ENTER_FD_PROGRAM, "", argv, environment, AT_EMPTY_PATH);
	fail(box->entry, "ashlar-enter");
}

gboolean ash_box_start(const AshLaunch *launch, const AshView *view, const AshEntry *entry,
		pid_t *out_pid, GError **error)
{
	bool is_named = *launch->netns == '/';
	ash_autofd int netns_fd = is_named ? open(launch->netns, O_RDONLY | O_CLOEXEC) : -1;
	Box box = {.launch = launch, .view = view, .entry = entry, .netns_fd = netns_fd};
	unsigned long flags =
			CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

	if (is_named && netns_fd < 0)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME, "%s: %s",
				launch->netns, g_strerror(errno));
	flags |= *launch->netns == '\0' ? CLONE_NEWNET : 0;
	struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
	pid_t pid = (pid_t) syscall(SYS_clone3, &args, sizeof args);
	if (pid < 0)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"namespaces: %s", g_strerror(errno));
	if (pid == 0)
		become_box(&box);
	*out_pid = pid;
	return TRUE;
}
