/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/workload/mux.h"

/* What a guest sends to its launcher: whatever it is, streams end and nothing is written beyond its place. */

static int on_open(void *data)
{
	int fds[2];

	(void) data;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	close(fds[1]);
	return fds[0];
}

static void on_beat(void *data)
{
	(void) data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const AshMuxCalls calls = {.open = on_open, .beat = on_beat};
	int ports[2];

	if (size > 64 << 10 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
					       ports) < 0)
		return 0;
	AshMux *mux = ash_mux_new(ports[0], true, &calls);
	(void) !write(ports[1], data, size);
	shutdown(ports[1], SHUT_WR);
	for (bool goes_on = mux != NULL; goes_on;) {
		struct pollfd fds[ASH_MUX_MAX_POLL];
		size_t n = ash_mux_wants(mux, fds);
		poll(fds, n, 0);
		goes_on = ash_mux_take(mux, fds, n);
	}
	ash_mux_free(mux);
	close(ports[0]);
	close(ports[1]);
	return 0;
}
