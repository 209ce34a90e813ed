/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/call-carry.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DATA = 2,
	ERROR_DATA,
	PENDING,
	REFUSED,
	EXIT,
	HEADER_BYTES = 8,
	PIECE_BYTES = 16 << 10,
};

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

bool ash_call_carry_send(int fd, uint32_t kind, const void *data, size_t size)
{
	uint8_t header[HEADER_BYTES];

	put_header(header, kind, size);
	return size <= ASH_CALL_CARRY_MAX_BYTES && write_all(fd, header, sizeof header) &&
	       write_all(fd, data, size);
}

static const char *program;

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
		fprintf(stderr, "%s: waiting for a decision on the host\n", program);
		return false;
	case REFUSED:
		fprintf(stderr, "%s: refused: %.*s\n", program, (int) size, (const char *) data);
		return true;
	case EXIT:
		*out_code = size == 4 ? (int) (get_u32(data) & 0xff) : ASH_CALL_CARRY_NOT_CALLED;
		return true;
	default:
		return true;
	}
}

static uint8_t buffer[HEADER_BYTES + ASH_CALL_CARRY_MAX_BYTES];
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
		if (size > ASH_CALL_CARRY_MAX_BYTES)
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

int ash_call_carry(int fd, const char *name)
{
	bool is_open = true;
	int code = ASH_CALL_CARRY_NOT_CALLED;

	program = name;
	for (;;) {
		bool is_waiting = waiting_size > 0;
		struct pollfd fds[] = {
				{.fd = fd, .events = (short) (POLLIN | (is_waiting ? POLLOUT : 0))},
				{.fd = is_open && !is_waiting ? STDIN_FILENO : -1,
						.events = POLLIN},
		};
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return ASH_CALL_CARRY_NOT_CALLED;
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
