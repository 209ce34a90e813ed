/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ashlar-call, the other side of agent/workload/call-frame.h: static and without any library, so that it can be
 * put into an image. It ends with the exit code of what was called; 125 when it may not be, or did not come to it.
 */

enum {
	CALL = 1,
	DATA,
	ERROR_DATA,
	PENDING,
	REFUSED,
	EXIT,
	HEADER_BYTES = 8,
	MAX_BYTES = 64 << 10,
	PIECE_BYTES = 16 << 10,
	NOT_CALLED = 125,
};

static const char help[] =
		"Usage: ashlar-call [--socket PATH] SERVICE[+ARGUMENT] [TARGET]\n\n"
		"Calls a service of another workload: standard input goes to it, its standard output and error\n"
		"come back. Ends with its exit code; 125 when the call was refused, with the reason.\n"
		"PATH: default /run/ashlar/broker.sock\n";

static bool write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size > 0) {
		ssize_t n = write(fd, at, size);
		if (n < 0 && errno != EINTR)
			return false;
		at += n > 0 ? n : 0;
		size -= n > 0 ? (size_t) n : 0;
	}
	return true;
}

static void put_header(uint8_t *frame, uint32_t kind, size_t size)
{
	for (int i = 0; i < 4; i++) {
		frame[i] = (uint8_t) (kind >> 8 * i);
		frame[4 + i] = (uint8_t) (size >> 8 * i);
	}
}

static uint32_t get_u32(const uint8_t *data)
{
	return data[0] | (uint32_t) data[1] << 8 | (uint32_t) data[2] << 16 |
	       (uint32_t) data[3] << 24;
}

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
	char frame[512];
	char *call = frame + HEADER_BYTES;
	size_t room = sizeof frame - HEADER_BYTES;
	const char *plus = strchr(service, '+');
	size_t name = plus ? (size_t) (plus - service) : strlen(service);
	int size = snprintf(call, room, "%.*s%c%s%c%s%c", (int) name, service, 0,
			plus ? plus + 1 : "", 0, target, 0);

	if (size < 0 || (size_t) size >= room) {
		errno = E2BIG;
		return false;
	}
	put_header((uint8_t *) frame, CALL, (size_t) size);
	return write_all(fd, frame, HEADER_BYTES + (size_t) size);
}

/* What one frame means; true: it was the last, with its exit code. */
static bool take_frame(uint32_t kind, const uint8_t *data, uint32_t size, int *out_code)
{
	switch (kind) {
	case DATA:
		(void) !write_all(STDOUT_FILENO, data, size);
		return false;
	case ERROR_DATA:
		(void) !write_all(STDERR_FILENO, data, size);
		return false;
	case PENDING:
		fputs("ashlar-call: waiting for a decision on the host\n", stderr);
		return false;
	case REFUSED:
		fprintf(stderr, "ashlar-call: refused: %.*s\n", (int) size, (const char *) data);
		return true;
	case EXIT:
		*out_code = size == 4 ? (int) (get_u32(data) & 0xff) : NOT_CALLED;
		return true;
	default:
		return true;
	}
}

static uint8_t buffer[HEADER_BYTES + MAX_BYTES];
static size_t filled;

/* true: the call is over. */
static bool take_answer(int fd, int *out_code)
{
	ssize_t n = read(fd, buffer + filled, sizeof buffer - filled);

	if (n <= 0)
		return n == 0 || errno != EINTR;
	filled += (size_t) n;
	while (filled >= HEADER_BYTES) {
		uint32_t size = get_u32(buffer + 4);
		if (size > MAX_BYTES)
			return true;
		if (filled < HEADER_BYTES + size)
			return false;
		if (take_frame(get_u32(buffer), buffer + HEADER_BYTES, size, out_code))
			return true;
		filled -= HEADER_BYTES + size;
		memmove(buffer, buffer + HEADER_BYTES + size, filled);
	}
	return false;
}

/* What is on its way to the broker, and has to be before more is read. */
static uint8_t waiting[HEADER_BYTES + PIECE_BYTES];
static size_t waiting_at, waiting_size;

static bool read_input(void)
{
	ssize_t n = read(STDIN_FILENO, waiting + HEADER_BYTES, PIECE_BYTES);

	if (n < 0 && errno == EINTR)
		return true;
	put_header(waiting, DATA, n > 0 ? (size_t) n : 0);
	waiting_at = 0;
	waiting_size = HEADER_BYTES + (n > 0 ? (size_t) n : 0);
	return n > 0;
}

/* false: the broker takes no more input; its answers may still come. */
static bool give(int fd)
{
	ssize_t n = send(fd, waiting + waiting_at, waiting_size - waiting_at,
			MSG_NOSIGNAL | MSG_DONTWAIT);

	waiting_at += n > 0 ? (size_t) n : 0;
	if (waiting_at == waiting_size)
		waiting_at = waiting_size = 0;
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static int carry(int fd)
{
	bool is_open = true;
	int code = NOT_CALLED;

	for (;;) {
		bool is_waiting = waiting_size > 0;
		struct pollfd fds[] = {
				{.fd = fd, .events = (short) (POLLIN | (is_waiting ? POLLOUT : 0))},
				{.fd = is_open && !is_waiting ? STDIN_FILENO : -1,
						.events = POLLIN},
		};
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return NOT_CALLED;
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR) && take_answer(fd, &code))
			return code;
		if (fds[0].revents & POLLOUT && !give(fd)) {
			waiting_size = 0;
			is_open = false;
		}
		if (fds[1].revents)
			is_open = read_input();
	}
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
		return NOT_CALLED;
	}
	if (!send_call(fd, argv[at], argc - at == 2 ? argv[at + 1] : "")) {
		fprintf(stderr, "ashlar-call: the call cannot be sent: %s\n", strerror(errno));
		return NOT_CALLED;
	}
	return carry(fd);
}
