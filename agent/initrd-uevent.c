/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/initrd.h"

#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	KERNEL_GROUP = 1, /* group 2 is udev's own */
	RECEIVE_BUFFER_BYTES = 1 << 20,
	MAX_EVENT_BYTES = 8192,
};

int ash_initrd_uevent_open(void)
{
	int size = RECEIVE_BUFFER_BYTES;
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		ash_initrd_fail("opening the kernel's event socket: %s", strerror(errno));
	/* A small buffer only means more work after an overflow. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		ash_initrd_log(ASH_INITRD_DEBUG, "SO_RCVBUFFORCE: %s", strerror(errno));
	if (bind(fd, (struct sockaddr *) &address, sizeof address) < 0)
		ash_initrd_fail("binding the kernel's event socket: %s", strerror(errno));
	return fd;
}

/* "add@/devices/…\0ACTION=add\0…\0MODALIAS=…\0" */
static void handle(const char *event, size_t size)
{
	const char *modalias = NULL;
	bool is_add = false;

	for (size_t at = 0; at < size; at += strlen(event + at) + 1) {
		if (strcmp(event + at, "ACTION=add") == 0)
			is_add = true;
		else if (strncmp(event + at, "MODALIAS=", 9) == 0)
			modalias = event + at + 9;
	}
	if (is_add && modalias != NULL)
		ash_initrd_module_load(modalias);
}

static void drain(int fd)
{
	char event[MAX_EVENT_BYTES + 1];

	for (;;) {
		struct sockaddr_nl sender = {0};
		socklen_t length = sizeof sender;
		ssize_t n = recvfrom(fd, event, MAX_EVENT_BYTES, 0, (struct sockaddr *) &sender,
				&length);
		if (n < 0 && errno == EINTR)
			continue;
		/* Events were lost: look at everything. */
		if (n < 0 && errno == ENOBUFS) {
			ash_initrd_module_coldplug(false);
			continue;
		}
		if (n <= 0)
			return;
		event[n] = '\0';
		/* Only the kernel has port 0. */
		if (sender.nl_pid == 0)
			handle(event, (size_t) n);
	}
}

bool ash_initrd_uevent_wait(int fd, int64_t deadline_ms)
{
	int64_t left_ms = deadline_ms - ash_initrd_now_ms();
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	if (left_ms <= 0)
		return false;
	int n = poll(&ready, 1, left_ms > INT_MAX ? INT_MAX : (int) left_ms);
	if (n > 0)
		drain(fd);
	return n != 0;
}
