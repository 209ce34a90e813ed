/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/workload/call-carry.h"

/* ashlar-call, the other side of agent/workload/call-frame.h: static and without any library, so that it can be
 * put into an image. It ends with the exit code of what was called; 125 when it may not be, or did not come to it.
 */

static const char help[] =
		"Usage: ashlar-call [--socket PATH] SERVICE[+ARGUMENT] [TARGET]\n\n"
		"Calls a service of another workload: standard input goes to it, its standard output and error\n"
		"come back. Ends with its exit code; 125 when the call was refused, with the reason.\n"
		"PATH: default /run/ashlar/broker.sock\n";

static int open_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	if (fd >= 0 && connect(fd, (struct sockaddr *) &address, sizeof address) < 0)
		return -1;
	return fd;
}

static bool send_call(int fd, const char *service, const char *target)
{
	char call[512];
	const char *plus = strchr(service, '+');
	size_t name = plus ? (size_t) (plus - service) : strlen(service);
	int size = snprintf(call, sizeof call, "%.*s%c%s%c%s%c", (int) name, service, 0,
			plus ? plus + 1 : "", 0, target, 0);

	if (size < 0 || (size_t) size >= sizeof call) {
		errno = E2BIG;
		return false;
	}
	return ash_call_carry_send(fd, ASH_CALL_CARRY_CALL, call, (size_t) size);
}

int main(int argc, char **argv)
{
	const char *path = "/run/ashlar/broker.sock";
	int at = 1;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return fputs(help, stdout) < 0;
	if (argc > 2 && strcmp(argv[1], "--socket") == 0) {
		path = argv[2];
		at = 3;
	}
	if (argc - at < 1 || argc - at > 2) {
		fputs(help, stderr);
		return 2;
	}
	int fd = open_socket(path);
	if (fd < 0) {
		fprintf(stderr, "ashlar-call: %s: %s\n", path, strerror(errno));
		return ASH_CALL_CARRY_NOT_CALLED;
	}
	if (!send_call(fd, argv[at], argc - at == 2 ? argv[at + 1] : "")) {
		fprintf(stderr, "ashlar-call: the call cannot be sent: %s\n", strerror(errno));
		return ASH_CALL_CARRY_NOT_CALLED;
	}
	return ash_call_carry(fd, "ashlar-call");
}
