/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/initrd.h"
#include "agent/workload/guest.h"
#include "agent/workload/mux.h"

/* The guest's end of the port "org.ashlar.channel": commands that the host starts in here, and what a container finds in
 * /run/ashlar: the broker's socket and the heartbeat's.
 */

enum {
	BACKLOG = 16,
	OWN = 2,
};

static struct {
	const AshGuest *guest;
	AshMux *mux; /* NULL: nobody listens */
	int port, calls, beats;
} serve = {.port = -1, .calls = -1, .beats = -1};

/* ---- commands ---- */

static _Noreturn void handle(int fd)
{
	sigset_t none;

	sigemptyset(&none);
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* One place for it, and nothing else of the first process's. */
	if (dup2(fd, 3) < 0 || close_range(4, ~0U, 0) < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) < 0)
		_exit(1);
	ash_guest_exec(serve.guest, 3);
	_exit(0);
}

static int open_exec(void *data)
{
	int fds[2];

	(void) data;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		handle(fds[1]);
	close(fds[1]);
	if (pid > 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0)
		return fds[0];
	close(fds[0]);
	return -1;
}

static void no_beat(void *data)
{
	(void) data;
}

/* ---- /run/ashlar ---- */

static int make_socket(const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof address) < 0 ||
			chmod(path, 0666) < 0 || (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		ash_initrd_fail("%s: %s", path, strerror(errno));
	return fd;
}

static void take_calls(void)
{
	for (int fd; (fd = accept4(serve.calls, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;)
		ash_mux_open(serve.mux, fd);
}

static void take_beats(void)
{
	char line[256];
	bool has_beat = false;

	while (recv(serve.beats, line, sizeof line, MSG_DONTWAIT | MSG_TRUNC) >= 0)
		has_beat = true;
	if (has_beat)
		ash_mux_beat(serve.mux);
}

/* ---- the whole ---- */

void ash_guest_serve_open(void)
{
	serve.port = ash_guest_port("org.ashlar.channel");
}

void ash_guest_serve_begin(const AshGuest *guest)
{
	const AshMuxCalls calls = {.open = open_exec, .beat = no_beat};

	serve.guest = guest;
	if (serve.port < 0 || fcntl(serve.port, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return;
	serve.mux = ash_mux_new(serve.port, false, &calls);
	if (!guest->has_channel || serve.mux == NULL)
		return;
	if (mkdir("/run/ashlar", 0755) < 0 && errno != EEXIST)
		ash_initrd_fail("/run/ashlar: %s (the image has to have a directory /run)",
				strerror(errno));
	serve.calls = make_socket("/run/ashlar/broker.sock", SOCK_STREAM);
	serve.beats = make_socket("/run/ashlar/heartbeat", SOCK_DGRAM);
}

size_t ash_guest_serve_wants(struct pollfd *fds)
{
	if (serve.mux == NULL)
		return 0;
	fds[0] = (struct pollfd){.fd = serve.calls, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = serve.beats, .events = POLLIN};
	return OWN + ash_mux_wants(serve.mux, fds + OWN);
}

void ash_guest_serve_take(const struct pollfd *fds, size_t n)
{
	if (n == 0)
		return;
	if (fds[0].revents)
		take_calls();
	if (fds[1].revents)
		take_beats();
	if (ash_mux_take(serve.mux, fds + OWN, n - OWN))
		return;
	/* The launcher is gone, or does not follow the rules: without it there is no host. */
	ash_initrd_log(ASH_INITRD_WARNING, "the channel to the host has ended");
	ash_mux_free(serve.mux);
	serve.mux = NULL;
}

_Noreturn void ash_guest_serve_forever(const AshGuest *guest)
{
	struct pollfd fds[ASH_GUEST_MAX_POLL];

	signal(SIGCHLD, SIG_IGN);
	ash_guest_serve_begin(guest);
	for (size_t n; (n = ash_guest_serve_wants(fds)) > 0;)
		if (poll(fds, n, -1) >= 0 || errno == EINTR)
			ash_guest_serve_take(fds, n);
	_exit(0);
}
