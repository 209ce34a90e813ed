/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/workload/broker.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

enum {
	MAX_ANSWER_BYTES = 8192,
};

/* Shorter than PIPE_BUF, so it is whole whoever else writes. */
static gboolean ask(const AshBrokerInstance *provider, const char *id, GError **error)
{
	g_autofree char *line =
			g_strdup_printf("begin %s %s %d\n", provider->workload, id, (int) getpid());
	size_t size = strlen(line);

	return write(STDOUT_FILENO, line, size) == (ssize_t) size
			       ? TRUE
			       : ash_throw_errno(error, "asking for an instance");
}

/* A question: is the answer there? */
static bool read_answer(const char *path, GBytes **out_answer)
{
	return access(path, F_OK) == 0 &&
	       ash_file_read(AT_FDCWD, path, MAX_ANSWER_BYTES, out_answer, NULL);
}

static gboolean wait_for(const char *dir, const char *path, int caller_fd, GBytes **out_answer,
		GError **error)
{
	gint64 deadline = g_get_monotonic_time() + (gint64) ASH_BROKER_BEGIN_S * G_USEC_PER_SEC;
	ash_autofd int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (watch < 0 || inotify_add_watch(watch, dir, IN_MOVED_TO) < 0)
		return ash_throw_errno(error, "%s", dir);
	while (!read_answer(path, out_answer)) {
		gint64 left_ms = (deadline - g_get_monotonic_time()) / 1000;
		struct pollfd fds[] = {{.fd = watch, .events = POLLIN},
				{.fd = caller_fd, .events = POLLRDHUP}};
		char events[4096];
		if (left_ms <= 0)
			return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED,
					"its instance did not begin within %d s",
					ASH_BROKER_BEGIN_S);
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

static gboolean take_answer(GBytes *answer, char **out_dir, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(answer, MAX_ANSWER_BYTES, 4, &node, error))
		return FALSE;
	JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
	const char *dir = object ? ash_json_find_text(object, "dir") : NULL;
	const char *refused = object ? ash_json_find_text(object, "refused") : NULL;
	if (!dir)
		return ash_throw(error, ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED, "%s",
				refused ? refused : "it has no instance");
	*out_dir = g_strdup(dir);
	return TRUE;
}

gboolean ash_broker_begin(const char *root, const AshBrokerInstance *provider, int caller_fd,
		char **out_dir, GError **error)
{
	g_autofree char *id = ash_crypto_random_hex(ASH_BROKER_ID_CHARS / 2);
	g_autofree char *dir = g_strconcat(root, ASH_BROKER_CALLS, NULL);
	g_autofree char *path = g_strdup_printf("%s/%s.json", dir, id);
	g_autoptr(GBytes) answer = NULL;

	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) || !ask(provider, id, error))
		return FALSE;
	gboolean ok = wait_for(dir, path, caller_fd, &answer, error);
	unlink(path);
	return ok && take_answer(answer, out_dir, error);
}
