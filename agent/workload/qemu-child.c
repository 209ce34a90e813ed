/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/workload/qemu-private.h"

static _Noreturn void fail(const AshQemuChild *child, const char *what)
{
	const char *reason = strerror(errno);

	(void) !write(child->stderr_fd, what, strlen(what));
	(void) !write(child->stderr_fd, ": ", 2);
	(void) !write(child->stderr_fd, reason, strlen(reason));
	(void) !write(child->stderr_fd, "\n", 1);
	_exit(1);
}

/* The device stands in the instance's network namespace, and QEMU does not. */
static void open_tap(const AshQemuChild *child)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};

	if (child->netns_fd < 0)
		return;
	if (setns(child->netns_fd, CLONE_NEWNET) < 0)
		fail(child, "cannot enter the workload's network");
	if (child->tap[0] == '\0')
		return;
	int fd = open("/dev/net/tun", O_RDWR);
	if (fd < 0)
		fail(child, "/dev/net/tun");
	strncpy(request.ifr_name, child->tap, sizeof request.ifr_name - 1);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		fail(child, "the tap device cannot be used");
	if (fd != ASH_QEMU_FD_TAP && dup2(fd, ASH_QEMU_FD_TAP) < 0)
		fail(child, "dup2");
}

static void place(const AshQemuChild *child, int fd, int number)
{
	if (fd >= 0 && dup2(fd, number) < 0)
		fail(child, "dup2");
}

/* All of ours are above the numbers that the child uses (agent/workload/qemu.c lifts them). */
static void place_all(const AshQemuChild *child)
{
	const AshQemuSetup *setup = child->setup;

	place(child, setup->control_fd, ASH_QEMU_FD_CONTROL);
	place(child, setup->output_fd, ASH_QEMU_FD_OUTPUT);
	place(child, setup->serial_fd, ASH_QEMU_FD_SERIAL);
	place(child, setup->monitor_fd, ASH_QEMU_FD_MONITOR);
	place(child, setup->channel_fd, ASH_QEMU_FD_CHANNEL);
	place(child, setup->kernel_fd, ASH_QEMU_FD_KERNEL);
	place(child, setup->initrd_fd, ASH_QEMU_FD_INITRD);
	for (guint i = 0; i < setup->module_fds->len; i++)
		place(child, g_array_index(setup->module_fds, int, i),
				ASH_QEMU_FD_MODULES + (int) i);
	for (guint i = 0; i < setup->disks->len; i++)
		place(child, g_array_index(setup->disks, AshQemuDisk, i).fd,
				ASH_QEMU_FD_DISKS + (int) i);
}

/* QEMU needs /usr, /proc and perhaps /dev/kvm; what else is the host's is not even there. */
static void hide(const AshQemuChild *child)
{
	static const char *const places[] = {"/boot", "/efi", "/etc", "/home", "/media", "/mnt",
			"/opt", "/root", "/run", "/srv", "/sysroot", "/tmp", "/var"};

	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET) < 0)
		fail(child, "no namespaces for QEMU");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail(child, "cannot make mounts private");
	for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
		if (mount("tmpfs", places[i], "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
				    "size=4k,mode=0555") < 0 &&
				errno != ENOENT && errno != ENOTDIR)
			fail(child, places[i]);
}

static void become(const AshQemuChild *child)
{
	if (setgroups(child->kvm_gid != 0 ? 1 : 0, &child->kvm_gid) < 0 ||
			setresgid(child->uid, child->uid, child->uid) < 0 ||
			setresuid(child->uid, child->uid, child->uid) < 0 ||
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail(child, "cannot become the workload's user");
}

_Noreturn void ash_qemu_child_run(const AshQemuChild *child)
{
	static char path[] = "PATH=/usr/bin", locale[] = "LC_ALL=C.UTF-8";
	char *const environment[] = {path, locale, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail(child, "prctl");
	open_tap(child);
	place_all(child);
	int null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(child->stderr_fd, 2) < 0)
		fail(child, "/dev/null");
	hide(child);
	if (chdir("/") < 0)
		fail(child, "/");
	become(child);
	/* It was cleared by the change of user. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail(child, "prctl");
	execve(child->program, child->argv, environment);
	fail(child, child->program);
}
