/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/workload/broker.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

gboolean ash_broker_wait(
		const AshBrokerWait *wait, int caller_fd, GBytes **out_text, GError **error)
{
	gint64 deadline = g_get_monotonic_time() + (gint64) wait->seconds * G_USEC_PER_SEC;
	g_autofree char *dir = g_path_get_dirname(wait->path);
	ash_autofd int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (watch < 0 || inotify_add_watch(watch, dir, IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
		return ash_throw_errno(error, "%s", dir);
	while (!ash_file_read(AT_FDCWD, wait->path, wait->max_bytes, out_text, NULL)) {
		gint64 left_ms = (deadline - g_get_monotonic_time()) / 1000;
		struct pollfd fds[] = {{.fd = watch, .events = POLLIN},
				{.fd = caller_fd, .events = POLLRDHUP}};
		char events[4096];
		if (left_ms <= 0)
			return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED, "%s",
					wait->late);
		if (poll(fds, 2, (int) left_ms) < 0 && errno != EINTR)
			return ash_throw_errno(error, "poll");
		if (fds[1].revents)
			return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED,
					"the caller did not wait");
		while (read(watch, events, sizeof events) > 0)
			;
	}
	return TRUE;
}
