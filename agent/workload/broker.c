/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	BACKLOG = 16,
};

typedef struct {
	char *instance, *path;
	int fd;
	unsigned calls;
} Door;

typedef struct {
	pid_t pid;
	char *instance;
} Child;

typedef struct {
	const AshBrokerPlaces *places;
	GPtrArray *instances; /* AshBrokerInstance */
	GPtrArray *doors;     /* Door, one for each instance that requires something */
	GArray *children;     /* Child */
	int signal_fd;
	int watch_fd; /* of the directory of the table */
	bool has_ended;
} Broker;

/* ---- doors ---- */

static void free_door(gpointer data)
{
	Door *door = data;

	ash_close_fd(&door->fd);
	g_free(door->instance);
	g_free(door->path);
	g_free(door);
}

/* By the directory's descriptor: the path of a socket has at most 107 bytes. */
static int listen_at(const char *dir, GError **error)
{
	ash_autofd int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ash_autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (dir_fd < 0 || fd < 0) {
		ash_throw_errno(error, "%s", dir);
		return -1;
	}
	g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir_fd,
			ASH_BROKER_SOCKET);
	unlinkat(dir_fd, ASH_BROKER_SOCKET, 0);
	/* The directory is root's; inside, everybody of the instance may call. */
	if (bind(fd, (struct sockaddr *) &address, sizeof address) < 0 ||
			fchmodat(dir_fd, ASH_BROKER_SOCKET, 0666, 0) < 0 ||
			listen(fd, BACKLOG) < 0) {
		ash_throw_errno(error, "%s/%s", dir, ASH_BROKER_SOCKET);
		return -1;
	}
	return g_steal_fd(&fd);
}

static Door *find_door(const Broker *broker, const char *instance)
{
	for (guint i = 0; i < broker->doors->len; i++) {
		Door *door = broker->doors->pdata[i];
		if (strcmp(door->instance, instance) == 0)
			return door;
	}
	return NULL;
}

static const AshBrokerInstance *find_instance(const GPtrArray *instances, const char *name)
{
	for (guint i = 0; i < instances->len; i++) {
		const AshBrokerInstance *instance = instances->pdata[i];
		if (strcmp(instance->instance, name) == 0)
			return instance;
	}
	return NULL;
}

static bool needs_door(const AshBrokerInstance *instance)
{
	return instance->dir[0] != '\0' && instance->requires[0];
}

/* One broken directory must not close the doors of all others. */
static void open_door(Broker *broker, const AshBrokerInstance *instance)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *dir = g_strconcat(broker->places->root, instance->dir, NULL);
	int fd = listen_at(dir, &error);

	if (fd < 0) {
		g_warning("%s: %s", instance->instance, error->message);
		return;
	}
	Door *door = g_new0(Door, 1);
	door->instance = g_strdup(instance->instance);
	door->path = g_build_filename(dir, ASH_BROKER_SOCKET, NULL);
	door->fd = fd;
	g_ptr_array_add(broker->doors, door);
}

/* Does the socket stand where it is seen? The directory is another one after the instance began anew. */
static bool is_there(const Door *door)
{
	return access(door->path, F_OK) == 0;
}

static void match_doors(Broker *broker)
{
	for (guint i = broker->doors->len; i-- > 0;) {
		Door *door = broker->doors->pdata[i];
		const AshBrokerInstance *instance =
				find_instance(broker->instances, door->instance);
		if (!instance || !needs_door(instance)) {
			unlink(door->path);
			g_ptr_array_remove_index(broker->doors, i);
		} else if (!is_there(door))
			g_ptr_array_remove_index(broker->doors, i);
	}
	for (guint i = 0; i < broker->instances->len; i++) {
		const AshBrokerInstance *instance = broker->instances->pdata[i];
		if (needs_door(instance) && !find_door(broker, instance->instance))
			open_door(broker, instance);
	}
}

/* A table that is none leaves the last one. */
static void reload(Broker *broker)
{
	g_autofree char *path = g_strconcat(broker->places->root, ASH_BROKER_TABLE, NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = NULL;
	GPtrArray *instances;

	if (!ash_file_read(AT_FDCWD, path, ASH_BROKER_MAX_TABLE_BYTES, &bytes, &error) ||
			!ash_broker_table_parse(bytes, &instances, &error)) {
		g_warning("%s: %s", path, error->message);
		return;
	}
	g_ptr_array_unref(broker->instances);
	broker->instances = instances;
	match_doors(broker);
}

/* ---- calls ---- */

static void refuse(int fd)
{
	/* Closing is the answer: who asks for so many at once asks again later. */
	close(fd);
}

static void begin_call(Broker *broker, Door *door, int fd)
{
	const AshBrokerInstance *caller = find_instance(broker->instances, door->instance);
	sigset_t none;

	if (!caller || broker->children->len >= ASH_BROKER_MAX_CALLS ||
			door->calls >= ASH_BROKER_MAX_CALLS_OF_INSTANCE) {
		refuse(fd);
		return;
	}
	Child child = {.pid = fork(), .instance = g_strdup(door->instance)};
	if (child.pid == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		ash_broker_serve_call(broker->places, broker->instances, caller, fd);
		_exit(0);
	}
	close(fd);
	if (child.pid < 0) {
		g_warning("fork: %s", g_strerror(errno));
		g_free(child.instance);
		return;
	}
	door->calls++;
	g_array_append_val(broker->children, child);
}

static void take_callers(Broker *broker, Door *door)
{
	for (int fd; (fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
		begin_call(broker, door, fd);
}

static void reap(Broker *broker)
{
	for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
		for (guint i = 0; i < broker->children->len; i++) {
			Child *child = &g_array_index(broker->children, Child, i);
			if (child->pid != pid)
				continue;
			Door *door = find_door(broker, child->instance);
			if (door && door->calls > 0)
				door->calls--;
			g_free(child->instance);
			g_array_remove_index_fast(broker->children, i);
			break;
		}
}

static void take_signals(Broker *broker)
{
	struct signalfd_siginfo info;

	while (read(broker->signal_fd, &info, sizeof info) == sizeof info)
		switch (info.ssi_signo) {
		case SIGHUP:
			reload(broker);
			break;
		case SIGCHLD:
			reap(broker);
			break;
		default:
			broker->has_ended = true;
		}
}

/* Whatever came into the directory: the table is read again, which is cheap and seldom. */
static void take_news(Broker *broker)
{
	char events[4096];

	while (read(broker->watch_fd, events, sizeof events) > 0)
		;
	reload(broker);
}

static gboolean watch(Broker *broker, GError **error)
{
	g_autofree char *table = g_strconcat(broker->places->root, ASH_BROKER_TABLE, NULL);
	g_autofree char *dir = g_path_get_dirname(table);

	broker->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (broker->watch_fd < 0 || inotify_add_watch(broker->watch_fd, dir, IN_MOVED_TO) < 0)
		return ash_throw_errno(error, "%s", dir);
	return TRUE;
}

static gboolean wait_once(Broker *broker, GError **error)
{
	g_autofree struct pollfd *fds = g_new0(struct pollfd, broker->doors->len + 2);
	guint n = broker->doors->len;

	fds[n] = (struct pollfd){.fd = broker->signal_fd, .events = POLLIN};
	fds[n + 1] = (struct pollfd){.fd = broker->watch_fd, .events = POLLIN};
	for (guint i = 0; i < n; i++)
		fds[i] = (struct pollfd){
				.fd = ((Door *) broker->doors->pdata[i])->fd, .events = POLLIN};
	if (poll(fds, n + 2, -1) < 0 && errno != EINTR)
		return ash_throw_errno(error, "poll");
	for (guint i = 0; i < n; i++)
		if (fds[i].revents)
			take_callers(broker, broker->doors->pdata[i]);
	/* Last: it may change the doors. */
	if (fds[n].revents)
		take_signals(broker);
	if (fds[n + 1].revents)
		take_news(broker);
	return TRUE;
}

static void end_calls(Broker *broker)
{
	for (guint i = 0; i < broker->children->len; i++) {
		Child *child = &g_array_index(broker->children, Child, i);
		kill(child->pid, SIGTERM);
		waitpid(child->pid, NULL, 0);
		g_free(child->instance);
	}
	for (guint i = 0; i < broker->doors->len; i++)
		unlink(((Door *) broker->doors->pdata[i])->path);
}

gboolean ash_broker_run(const AshBrokerPlaces *places, GError **error)
{
	sigset_t signals;
	gboolean ok;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	Broker broker = {
			.places = places,
			.instances = g_ptr_array_new(),
			.doors = g_ptr_array_new_with_free_func(free_door),
			.children = g_array_new(FALSE, FALSE, sizeof(Child)),
			.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK),
	};
	ok = watch(&broker, error);
	if (ok)
		reload(&broker);
	while (ok && !broker.has_ended)
		ok = wait_once(&broker, error);
	end_calls(&broker);
	close(broker.signal_fd);
	ash_close_fd(&broker.watch_fd);
	g_array_unref(broker.children);
	g_ptr_array_unref(broker.doors);
	g_ptr_array_unref(broker.instances);
	return ok;
}
