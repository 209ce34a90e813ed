/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/workload/guest.h"

/* One command that the host starts in the guest: in a process of its own, which ends with it. The frames are those of
 * agent/workload/call-frame.h, the first one is ASH_GUEST_FRAME_RUN.
 */

enum {
	DATA = 2,
	ERROR_DATA = 3,
	REFUSED = 5,
	EXIT = 6,
	HEADER_BYTES = 8,
	MAX_BYTES = 64 << 10,
	PIECE_BYTES = 16 << 10,
	CANNOT_RUN = 126,
	NOT_FOUND = 127,
};

typedef struct {
	const char *command[ASH_GUEST_MAX_LIST + 1], *environment[2 * ASH_GUEST_MAX_LIST + 1];
	unsigned n_command, n_environment;
	bool is_check;
} Order;

typedef struct {
	int fd; /* the stream; blocking */
	pid_t pid;
	int input, outputs[2]; /* -1: closed */
	uint8_t in[HEADER_BYTES + MAX_BYTES + 1];
	size_t in_size, given; /* given: of the frame that `in` begins with */
} Exec;

/* ---- frames ---- */

static uint32_t get_u32(const uint8_t *at)
{
	return at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
}

static bool send_frame(int fd, uint32_t kind, const void *data, size_t size)
{
	uint8_t frame[HEADER_BYTES + PIECE_BYTES];
	size_t at = 0;

	for (int i = 0; i < 4; i++) {
		frame[i] = (uint8_t) (kind >> 8 * i);
		frame[4 + i] = (uint8_t) (size >> 8 * i);
	}
	memcpy(frame + HEADER_BYTES, data, size);
	while (at < HEADER_BYTES + size) {
		ssize_t n = send(fd, frame + at, HEADER_BYTES + size - at, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return false;
		at += n > 0 ? (size_t) n : 0;
	}
	return true;
}

static bool receive(Exec *exec)
{
	ssize_t n = recv(exec->fd, exec->in + exec->in_size,
			HEADER_BYTES + MAX_BYTES - exec->in_size, 0);

	if (n > 0)
		exec->in_size += (size_t) n;
	return n > 0 || (n < 0 && errno == EINTR);
}

/* Is the first frame all there? */
static bool has_frame(const Exec *exec)
{
	return exec->in_size >= HEADER_BYTES &&
	       exec->in_size - HEADER_BYTES >= get_u32(exec->in + 4);
}

static void drop_frame(Exec *exec)
{
	size_t size = HEADER_BYTES + get_u32(exec->in + 4);

	memmove(exec->in, exec->in + size, exec->in_size - size);
	exec->in_size -= size;
	exec->given = 0;
}

/* ---- what is to run ---- */

static bool add_text(const char **list, unsigned *n, unsigned most, const char *text)
{
	if (*n == most)
		return false;
	list[(*n)++] = text;
	return true;
}

/* "KEY=VALUE" texts, as in the record of guest.h: command, env, check. */
static bool parse_order(const char *text, size_t size, Order *order)
{
	if (size == 0 || text[size - 1] != '\0')
		return false;
	for (const char *at = text, *end = text + size; at < end; at += strlen(at) + 1) {
		bool ok = false;
		if (strncmp(at, "command=", 8) == 0)
			ok = add_text(order->command, &order->n_command, ASH_GUEST_MAX_LIST,
					at + 8);
		else if (strncmp(at, "env=", 4) == 0)
			ok = add_text(order->environment, &order->n_environment, ASH_GUEST_MAX_LIST,
					at + 4);
		else if (strcmp(at, "check=1") == 0)
			ok = order->is_check = true;
		if (!ok)
			return false;
	}
	return order->n_command > 0;
}

/* A frame that is not there, or none of these: NULL. */
static char *receive_order(Exec *exec, Order *order)
{
	while (!has_frame(exec))
		if ((exec->in_size >= HEADER_BYTES && get_u32(exec->in + 4) > MAX_BYTES) ||
				!receive(exec))
			return NULL;
	size_t size = get_u32(exec->in + 4);
	char *text = malloc(size + 1);
	if (text == NULL || get_u32(exec->in) != ASH_GUEST_FRAME_RUN)
		return NULL;
	memcpy(text, exec->in + HEADER_BYTES, size);
	drop_frame(exec);
	return parse_order(text, size, order) ? text : NULL;
}

/* ---- the command ---- */

/* By the PATH that it will have, as in a container. */
static void execute(const Order *order)
{
	char *const *argv = (char *const *) (uintptr_t) order->command;
	char *const *environment = (char *const *) (uintptr_t) order->environment;
	const char *path = NULL;
	char file[4096];

	for (unsigned i = 0; i < order->n_environment && path == NULL; i++)
		if (strncmp(order->environment[i], "PATH=", 5) == 0)
			path = order->environment[i] + 5;
	if (strchr(argv[0], '/') != NULL || path == NULL) {
		execve(argv[0], argv, environment);
		return;
	}
	for (int size; *path != '\0'; path += size, path += *path == ':') {
		size = (int) strcspn(path, ":");
		if (snprintf(file, sizeof file, "%.*s/%s", size, path, argv[0]) < (int) sizeof file)
			execve(file, argv, environment);
	}
}

static _Noreturn void run(const AshGuest *guest, const Order *order)
{
	if (order->is_check)
		_exit(ash_guest_check(order->command, order->n_command));
	ash_guest_become(guest);
	execute(order);
	fprintf(stderr, "ashlar-guest: %s: %s\n", order->command[0], strerror(errno));
	_exit(errno == ENOENT ? NOT_FOUND : CANNOT_RUN);
}

static bool start(Exec *exec, const AshGuest *guest, const Order *order)
{
	int pipes[3][2];

	for (size_t i = 0; i < 3; i++)
		if (pipe2(pipes[i], O_CLOEXEC) < 0)
			return false;
	exec->pid = fork();
	if (exec->pid == 0) {
		setsid();
		if (dup2(pipes[0][0], 0) >= 0 && dup2(pipes[1][1], 1) >= 0 &&
				dup2(pipes[2][1], 2) >= 0)
			run(guest, order);
		_exit(CANNOT_RUN);
	}
	close(pipes[0][0]);
	close(pipes[1][1]);
	close(pipes[2][1]);
	exec->input = pipes[0][1];
	fcntl(exec->input, F_SETFL, O_NONBLOCK);
	exec->outputs[0] = pipes[1][0];
	exec->outputs[1] = pipes[2][0];
	return exec->pid > 0;
}

/* ---- both ways ---- */

static void close_input(Exec *exec)
{
	if (exec->input >= 0)
		close(exec->input);
	exec->input = -1;
}

static bool has_input(const Exec *exec)
{
	return exec->input >= 0 && has_frame(exec);
}

/* What the pipe takes now. false: this is no input. */
static bool give_input(Exec *exec)
{
	while (has_frame(exec)) {
		size_t size = get_u32(exec->in + 4);
		if (get_u32(exec->in) != DATA)
			return false;
		if (size == 0)
			close_input(exec);
		while (exec->input >= 0 && exec->given < size) {
			ssize_t n = write(exec->input, exec->in + HEADER_BYTES + exec->given,
					size - exec->given);
			if (n < 0 && errno == EAGAIN)
				return true;
			if (n < 0 && errno != EINTR)
				close_input(exec); /* it reads no more */
			exec->given += n > 0 ? (size_t) n : 0;
		}
		drop_frame(exec);
	}
	return exec->in_size < HEADER_BYTES || get_u32(exec->in + 4) <= MAX_BYTES;
}

static bool take_output(Exec *exec, int index)
{
	uint8_t data[PIECE_BYTES];
	ssize_t n = read(exec->outputs[index], data, sizeof data);

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		close(exec->outputs[index]);
		exec->outputs[index] = -1;
		n = 0;
	}
	return send_frame(exec->fd, index == 0 ? DATA : ERROR_DATA, data, (size_t) n);
}

/* false: nobody is there any more. */
static bool carry(Exec *exec)
{
	while (exec->outputs[0] >= 0 || exec->outputs[1] >= 0) {
		bool is_waiting = has_input(exec);
		struct pollfd fds[] = {
				{.fd = is_waiting ? -1 : exec->fd, .events = POLLIN},
				{.fd = exec->outputs[0], .events = POLLIN},
				{.fd = exec->outputs[1], .events = POLLIN},
				{.fd = is_waiting ? exec->input : -1, .events = POLLOUT},
		};
		if (poll(fds, 4, -1) < 0 && errno != EINTR)
			return false;
		for (int i = 0; i < 2; i++)
			if (fds[1 + i].revents && !take_output(exec, i))
				return false;
		if (fds[0].revents && !receive(exec))
			return false;
		if (!give_input(exec))
			return false;
	}
	return true;
}

void ash_guest_exec(const AshGuest *guest, int fd)
{
	static Exec exec = {.input = -1, .outputs = {-1, -1}};
	static Order order;
	static const char wrong[] = "that is no order";
	int status = 0;

	exec.fd = fd;
	char *text = receive_order(&exec, &order);
	for (unsigned i = 0; i < guest->n_environment; i++)
		order.environment[order.n_environment++] = guest->environment[i];
	if (text == NULL || !start(&exec, guest, &order)) {
		send_frame(fd, REFUSED, wrong, sizeof wrong - 1);
		return;
	}
	if (!carry(&exec))
		kill(-exec.pid, SIGKILL);
	close_input(&exec);
	while (waitpid(exec.pid, &status, 0) < 0 && errno == EINTR)
		;
	uint8_t code[4] = {(uint8_t) (WIFEXITED(status) ? WEXITSTATUS(status)
							: 128 + WTERMSIG(status))};
	send_frame(fd, EXIT, code, sizeof code);
	free(text);
}
