/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/workload/guest.h"
#include "agent/workload/qemu-private.h"
#include "lib/auto.h"
#include "lib/error.h"

/* The launcher's end of the port "org.ashlar.channel". Who calls is known by the machine that the port belongs to: a call
 * goes to the broker by the socket in that instance's own directory.
 */

enum {
	BACKLOG = 16,
};

struct AshQemuChannel {
	AshMux *mux; /* NULL: the guest has broken a rule */
	int port, dir_fd, listen_fd;
	bool has_channel;
};

/* A socket's path may be longer than its address has room for. */
static void set_address(struct sockaddr_un *address, int dir_fd, const char *name)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	g_snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", dir_fd,
			name);
}

static int connect_to(int dir_fd, const char *name, int type)
{
	struct sockaddr_un address;
	ash_autofd int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	set_address(&address, dir_fd, name);
	if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof address) < 0)
		return -1;
	return g_steal_fd(&fd);
}

static int on_call(void *data)
{
	const AshQemuChannel *channel = data;

	return channel->has_channel
			       ? connect_to(channel->dir_fd, "channel/broker.sock", SOCK_STREAM)
			       : -1;
}

static void on_beat(void *data)
{
	const AshQemuChannel *channel = data;
	static const char line[] = "alive\n";
	ash_autofd int fd = channel->has_channel ? connect_to(channel->dir_fd, "channel/heartbeat",
								   SOCK_DGRAM)
						 : -1;

	if (fd >= 0)
		(void) !send(fd, line, sizeof line - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static gboolean listen_for_commands(AshQemuChannel *channel, GError **error)
{
	struct sockaddr_un address;

	set_address(&address, channel->dir_fd, ASH_QEMU_SOCKET);
	if (unlinkat(channel->dir_fd, ASH_QEMU_SOCKET, 0) < 0 && errno != ENOENT)
		return ash_throw_errno(error, ASH_QEMU_SOCKET);
	channel->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (channel->listen_fd < 0 ||
			bind(channel->listen_fd, (struct sockaddr *) &address, sizeof address) <
					0 ||
			fchmodat(channel->dir_fd, ASH_QEMU_SOCKET, 0600, 0) < 0 ||
			listen(channel->listen_fd, BACKLOG) < 0)
		return ash_throw_errno(error, ASH_QEMU_SOCKET);
	return TRUE;
}

gboolean ash_qemu_channel_new(
		const AshLaunch *launch, int port, AshQemuChannel **out_channel, GError **error)
{
	g_autoptr(AshQemuChannel) channel = g_new0(AshQemuChannel, 1);
	const AshMuxCalls calls = {.open = on_call, .beat = on_beat, .data = channel};

	channel->port = port;
	channel->listen_fd = -1;
	channel->has_channel = ash_qemu_find_channel(launch) != NULL;
	channel->dir_fd = open(launch->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (channel->dir_fd < 0 || fcntl(port, F_SETFL, O_NONBLOCK) < 0)
		return ash_throw_errno(error, "%s", launch->dir);
	if (!listen_for_commands(channel, error))
		return FALSE;
	channel->mux = ash_mux_new(port, true, &calls);
	g_assert(channel->mux);
	*out_channel = g_steal_pointer(&channel);
	return TRUE;
}

void ash_qemu_channel_free(AshQemuChannel *channel)
{
	if (!channel)
		return;
	ash_mux_free(channel->mux);
	if (channel->listen_fd >= 0)
		unlinkat(channel->dir_fd, ASH_QEMU_SOCKET, 0);
	ash_close_fd(&channel->listen_fd);
	ash_close_fd(&channel->dir_fd);
	g_free(channel);
}

size_t ash_qemu_channel_wants(const AshQemuChannel *channel, struct pollfd *fds)
{
	fds[0] = (struct pollfd){.fd = channel->mux ? channel->listen_fd : -1, .events = POLLIN};
	return 1 + (channel->mux ? ash_mux_wants(channel->mux, fds + 1) : 0);
}

static void take_commands(AshQemuChannel *channel)
{
	for (int fd; (fd = accept4(channel->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >=
			0;)
		ash_mux_open(channel->mux, fd);
}

void ash_qemu_channel_take(AshQemuChannel *channel, const struct pollfd *fds, size_t n)
{
	if (!channel->mux || n < 2)
		return;
	if (fds[0].revents)
		take_commands(channel);
	if (ash_mux_take(channel->mux, fds + 1, n - 1))
		return;
	/* It ends, or is not to be believed. Who waits for it sees the end of his connection. */
	ash_mux_free(channel->mux);
	channel->mux = NULL;
	unlinkat(channel->dir_fd, ASH_QEMU_SOCKET, 0);
	ash_close_fd(&channel->listen_fd);
}
