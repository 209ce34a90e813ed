/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/initrd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_DEVICE_BYTES = 512,
	/* On top of the time for the root to appear: replaying a journal, choosing a deployment. */
	GUARD_EXTRA_S = 120,
};

static void read_cmdline(AshInitrdCmdline *out_cmdline)
{
	char *text = ash_initrd_read_file("/proc/cmdline", ASH_INITRD_MAX_CMDLINE_BYTES, NULL);

	if (text == NULL)
		ash_initrd_fail("/proc/cmdline: %s", strerror(errno));
	ash_initrd_cmdline_parse(text, out_cmdline);
	ash_initrd_log_set_debug(out_cmdline->is_debug);
}

/* The kernel calls "/sbin/modprobe -q -- NAME" when it misses something, and in the initramfs that
 * is a link to us.
 */
static bool is_modprobe(char **argv)
{
	const char *base = argv[0] != NULL ? strrchr(argv[0], '/') : NULL;
	return base != NULL && strcmp(base, "/modprobe") == 0;
}

static int be_modprobe(int argc, char **argv)
{
	AshInitrdCmdline cmdline;

	read_cmdline(&cmdline);
	ash_initrd_module_setup(&cmdline);
	if (argc > 1)
		ash_initrd_module_load(argv[argc - 1]);
	return 0;
}

/* A second process that ends a boot which hangs where the first one cannot look at a clock: in a
 * mount, in a module's start. 0 when there is none.
 */
static pid_t start_guard(const AshInitrdCmdline *cmdline)
{
	if (cmdline->is_debug)
		return 0;
	pid_t child = fork();
	if (child != 0)
		return child > 0 ? child : 0;

	struct timespec left = {.tv_sec = (time_t) cmdline->timeout_s + GUARD_EXTRA_S};
	while (clock_nanosleep(CLOCK_BOOTTIME, 0, &left, &left) == EINTR)
		;
	ash_initrd_log(ASH_INITRD_ERR, "not done after %u s, rebooting",
			cmdline->timeout_s + GUARD_EXTRA_S);
	ash_initrd_reboot();
}

static void stop_guard(pid_t guard)
{
	if (guard <= 0)
		return;
	kill(guard, SIGKILL);
	while (waitpid(guard, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Closed without the magic 'V': it goes on counting, and resets the machine unless the host's init
 * takes it over.
 */
static void start_watchdog(const AshInitrdCmdline *cmdline)
{
	int timeout_s = (int) cmdline->watchdog_s;

	if (timeout_s == 0)
		return;
	int fd = open("/dev/watchdog0", O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		ash_initrd_log(ASH_INITRD_WARNING, "ashlar.watchdog_s=%d, but /dev/watchdog0: %s",
				timeout_s, strerror(errno));
		return;
	}
	if (ioctl(fd, WDIOC_SETTIMEOUT, &timeout_s) < 0)
		ash_initrd_log(ASH_INITRD_WARNING, "the watchdog keeps its own time-out: %s",
				strerror(errno));
	if (ioctl(fd, WDIOC_KEEPALIVE, 0) < 0)
		ash_initrd_log(ASH_INITRD_WARNING, "the watchdog: %s", strerror(errno));
	close(fd);
}

static void wait_for_root(
		const AshInitrdCmdline *cmdline, int events, char *out_device, size_t size)
{
	char found[800];
	int64_t deadline_ms = ash_initrd_now_ms() + (int64_t) cmdline->timeout_s * 1000;
	bool is_late = false;

	/* What else there is in the machine, the host loads in its own time. */
	ash_initrd_module_coldplug(true);
	if (ash_initrd_root_find(cmdline->root, out_device, size))
		return;
	ash_initrd_module_coldplug(false);

	/* One look after the deadline, so that a missed event costs time and not the boot. */
	while (!ash_initrd_root_find(cmdline->root, out_device, size)) {
		if (is_late) {
			ash_initrd_root_list(found, sizeof found);
			ash_initrd_fail("root=%s did not appear within %u s; found: %s",
					cmdline->root, cmdline->timeout_s, found);
		}
		is_late = !ash_initrd_uevent_wait(events, deadline_ms);
	}
}

int main(int argc, char **argv)
{
	AshInitrdCmdline cmdline;
	char device[MAX_DEVICE_BYTES];

	if (is_modprobe(argv))
		return be_modprobe(argc, argv);
	if (getpid() != 1) {
		static const char text[] = "ashlar-initrd is the first process of an initramfs\n";
		return write(STDERR_FILENO, text, sizeof text - 1) < 0 ? 1 : 2;
	}

	/* 1. The file systems that the kernel speaks through, and with them a console. */
	ash_initrd_mount_basics();

	/* 2. What we are asked to do; from here on a hang ends in a reboot. */
	read_cmdline(&cmdline);
	if (cmdline.root == NULL)
		ash_initrd_fail("no root= on the kernel command line; expected PARTLABEL=, PARTUUID=, "
				"UUID= or /dev/…");
	pid_t guard = start_guard(&cmdline);

	/* 3. Drivers. The socket first: what appears while we look is queued there. The watchdog's
	 * driver is in the kernel or in the list: no device that is needed for the root asks for it. */
	int events = ash_initrd_uevent_open();
	ash_initrd_module_setup(&cmdline);
	ash_initrd_module_load_list();
	start_watchdog(&cmdline);

	/* 4. The root, with the drivers that lead to it; read-only unless asked otherwise. */
	wait_for_root(&cmdline, events, device, sizeof device);
	close(events);
	ash_initrd_mount_root(&cmdline, device);
	ash_initrd_log(ASH_INITRD_INFO, "root=%s is %s; %u modules, up for %lld ms", cmdline.root,
			device, ash_initrd_module_count(), (long long) ash_initrd_now_ms());

	/* 5. The deployment within it. */
	if (cmdline.ostree != NULL)
		ash_initrd_prepare_ostree(&cmdline);

	/* 6. Become the host's init. The guard goes last: everything before may hang. */
	stop_guard(guard);
	ash_initrd_switch_root(&cmdline, argv);
}
