/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/workload/call-carry.h"
#include "agent/workload/guest.h"
#include "agent/workload/qemu-private.h"
#include "lib/auto.h"
#include "lib/error.h"

/* Commands in a running machine, by the launcher's socket: the other side is agent/workload/guest-exec.c. */

static int connect_to(const AshLaunch *launch)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	ash_autofd int dir_fd = open(launch->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ash_autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir_fd,
			ASH_QEMU_SOCKET);
	if (dir_fd < 0 || fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof address) < 0)
		return -1;
	return g_steal_fd(&fd);
}

static void add(GByteArray *order, const char *key, const char *text)
{
	g_byte_array_append(order, (const guint8 *) key, (guint) strlen(key));
	g_byte_array_append(order, (const guint8 *) text, (guint) strlen(text) + 1);
}

gboolean ash_qemu_exec(
		const AshLaunch *launch, const AshQemuExec *exec, int *out_code, GError **error)
{
	g_autoptr(GByteArray) order = g_byte_array_new();
	ash_autofd int fd = -1;

	if (launch->machine.contract != ASH_MACHINE_HOST_KERNEL)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"'%s' is a machine with a kernel of its own: nothing can be started in it from outside",
				launch->instance);
	for (char *const *text = exec->environment; text && *text; text++)
		add(order, "env=", *text);
	for (char *const *text = exec->command; *text; text++)
		add(order, "command=", *text);
	if (exec->is_check)
		add(order, "check=", "1");
	if (order->len > ASH_CALL_CARRY_MAX_BYTES)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"a command for a machine has at most %d bytes",
				ASH_CALL_CARRY_MAX_BYTES);
	fd = connect_to(launch);
	if (fd < 0)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"'%s' is not running", launch->instance);
	if (!ash_call_carry_send(fd, ASH_GUEST_FRAME_RUN, order->data, order->len))
		return ash_throw_errno(error, "the machine");
	*out_code = ash_call_carry(fd, "ashlar-launch");
	return TRUE;
}
