/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/guest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/initrd.h"

static void mount_first(void)
{
	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, NULL) < 0 && errno != EBUSY)
		ash_initrd_fail("no /dev: %s", strerror(errno));
	mkdir("/dev/pts", 0755);
	mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666");
	mkdir("/dev/shm", 01777);
	mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=16m");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
			mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		ash_initrd_fail("no /proc or /sys: %s", strerror(errno));
}

static void read_record(AshGuest *guest)
{
	size_t size;
	const char *wrong = "";
	char *text = ash_initrd_read_file("/ashlar.guest", ASH_GUEST_MAX_BYTES, &size);

	if (!text)
		ash_initrd_fail("/ashlar.guest: %s", strerror(errno));
	if (!ash_guest_parse(text, size, guest, &wrong))
		ash_initrd_fail("/ashlar.guest: '%s' is not understood", wrong);
}

static void load_modules(const AshGuest *guest)
{
	static AshInitrdCmdline cmdline;
	static char nothing[1];

	ash_initrd_cmdline_parse(nothing, &cmdline);
	ash_initrd_module_setup(&cmdline);
	for (unsigned i = 0; i < guest->n_modules; i++)
		ash_initrd_module_load(guest->modules[i]);
}

int main(void)
{
	static AshGuest guest;

	mount_first();
	ash_initrd_log_open();
	read_record(&guest);
	load_modules(&guest);
	if (sethostname(guest.hostname, strlen(guest.hostname)) < 0)
		ash_initrd_fail("hostname: %s", strerror(errno));
	ash_guest_link(&guest);
	int control = ash_guest_port("org.ashlar.control");
	int output = ash_guest_port("org.ashlar.output");
	ash_guest_serve_open();
	ash_guest_mount(&guest);
	if (guest.is_booted)
		ash_guest_boot(&guest);
	ash_guest_serve_begin(&guest);
	int code = ash_guest_run(&guest, control, output);
	/* The host must hear of the end only when nothing can be lost any more. */
	kill(-1, SIGKILL);
	ash_guest_unmount(&guest);
	if (control < 0 || dprintf(control, "exit %d\n", code) < 0)
		ash_initrd_log(ASH_INITRD_ERR, "cannot tell that the command ended with %d", code);
	reboot(RB_POWER_OFF);
	ash_initrd_reboot();
}
