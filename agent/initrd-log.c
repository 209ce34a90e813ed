/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/initrd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

enum {
	REBOOT_DELAY_S = 10,
	/* A record of /dev/kmsg is cut at about 1000 bytes. */
	MAX_LINE_BYTES = 976,
};

static int kmsg_fd = -1;
static bool is_debug;

void ash_initrd_log_open(void)
{
	if (kmsg_fd >= 0)
		return;
	int console = open("/dev/console", O_RDWR | O_NOCTTY);
	if (console >= 0) {
		for (int fd = 0; fd <= 2; fd++)
			if (fd != console)
				dup2(console, fd);
		if (console > 2)
			close(console);
	}
	kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);
}

void ash_initrd_log_set_debug(bool debug)
{
	is_debug = debug;
}

/* Does the kernel itself print records of @level on the console? */
static bool console_shows(AshInitrdLevel level)
{
	char line[64];

	if (kmsg_fd < 0)
		return false;
	if (!ash_initrd_read_line("/proc/sys/kernel/printk", line, sizeof line))
		return true;
	return (int) level < atoi(line);
}

static void write_line(int fd, const char *line)
{
	/* A console that cannot be written to must not keep the host from booting. */
	if (fd >= 0 && write(fd, line, strlen(line)) < 0)
		errno = 0;
}

__attribute__((format(printf, 2, 0))) static void log_valist(
		AshInitrdLevel level, const char *format, va_list args)
{
	char text[MAX_LINE_BYTES];
	char line[MAX_LINE_BYTES + 32];

	if (level == ASH_INITRD_DEBUG && !is_debug)
		return;
	/* Debug is asked for: show it as information, or the kernel drops it again. */
	if (level == ASH_INITRD_DEBUG)
		level = ASH_INITRD_INFO;
	vsnprintf(text, sizeof text, format, args);
	snprintf(line, sizeof line, "<%d>ashlar-initrd: %s\n", (int) level, text);
	write_line(kmsg_fd, line);
	if (level == ASH_INITRD_ERR && !console_shows(level))
		write_line(STDERR_FILENO, line + 3);
}

void ash_initrd_log(AshInitrdLevel level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_valist(level, format, args);
	va_end(args);
}

void ash_initrd_reboot(void)
{
	sync();
	reboot(RB_AUTOBOOT);
	/* Refused: we are not the first process of a machine (a test, a container). */
	_exit(1);
}

void ash_initrd_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_valist(ASH_INITRD_ERR, format, args);
	va_end(args);
	sync();
	if (getpid() != 1)
		_exit(1);
	if (is_debug) {
		ash_initrd_log(ASH_INITRD_ERR, "ashlar.debug is set: staying here");
		for (;;)
			pause();
	}
	ash_initrd_log(ASH_INITRD_ERR, "rebooting in %d s", REBOOT_DELAY_S);
	struct timespec left = {.tv_sec = REBOOT_DELAY_S};
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	ash_initrd_reboot();
}
