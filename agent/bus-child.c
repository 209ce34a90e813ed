/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/bus-private.h"
#include "lib/auto.h"
#include "lib/error.h"

struct AshBusChild {
	AshBus *bus;
	pid_t pid; /* 0: not started */
	int fd;    /* its stdout */
	sd_event_source *io, *exit;
	GByteArray *line; /* its beginning, as far as it came */
	size_t max_line_bytes;
	bool is_killed;
	AshBusLine on_line;
	AshBusExit on_exit;
	gpointer data;
};

static const char *const environment[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C.UTF-8",
		"HOME=/",
		"TZ=UTC",
		NULL,
};

void ash_bus_child_free(gpointer data)
{
	AshBusChild *child = data;

	/* First the source: it would reap too. */
	sd_event_source_disable_unref(child->exit);
	sd_event_source_disable_unref(child->io);
	if (child->pid > 0) {
		kill(-child->pid, SIGKILL);
		kill(child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	ash_close_fd(&child->fd);
	g_byte_array_unref(child->line);
	g_free(child);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshBusChild, ash_bus_child_free)

void ash_bus_child_kill(AshBusChild *child)
{
	child->is_killed = true;
	kill(-child->pid, SIGKILL);
	sd_event_source_set_enabled(child->io, SD_EVENT_OFF);
}

/* Hands out the whole lines in child->line, and keeps the rest. */
static void split(AshBusChild *child)
{
	const char *begin = (const char *) child->line->data;
	const char *end = begin + child->line->len;

	while (!child->is_killed && begin < end) {
		const char *newline = memchr(begin, '\n', (size_t) (end - begin));
		size_t size = (size_t) ((newline != NULL ? newline : end) - begin);
		if (size > child->max_line_bytes || memchr(begin, '\0', size) != NULL) {
			ash_bus_child_kill(child);
			return;
		}
		if (newline == NULL)
			break;
		g_autofree char *line = g_strndup(begin, size);
		begin = newline + 1;
		child->on_line(line, child->data);
	}
	/* At once for all lines: removing each by itself would copy the rest each time. */
	g_byte_array_remove_range(
			child->line, 0, (guint) (begin - (const char *) child->line->data));
}

/* Reads once; false: nothing is there now, or ever. */
static bool read_some(AshBusChild *child, bool *out_end)
{
	guint8 chunk[16384];
	ssize_t n = read(child->fd, chunk, sizeof chunk);

	*out_end = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	g_byte_array_append(child->line, chunk, (guint) n);
	split(child);
	return !child->is_killed;
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	AshBusChild *child = data;
	bool is_end = false;

	read_some(child, &is_end);
	if (is_end)
		sd_event_source_set_enabled(child->io, SD_EVENT_OFF);
	return 0;
}

static int on_child_exit(sd_event_source *source, const siginfo_t *info, void *data)
{
	AshBusChild *child = data;
	bool is_end = false;
	int status = info->si_status;

	if (info->si_code == CLD_EXITED)
		status = (info->si_status & 0xff) << 8;
	else if (info->si_code == CLD_DUMPED)
		status |= 0x80;
	/* What it left behind goes too. It is reaped after this function, so the number is still its. */
	kill(-child->pid, SIGKILL);
	/* What is in the pipe; a bound, because somebody who left the group may go on writing. */
	for (size_t left = 4096; left > 0 && !child->is_killed && read_some(child, &is_end); left--)
		;
	if (child->line->len > 0 && !child->is_killed) {
		/* A last line without its end. */
		g_byte_array_append(child->line, (const guint8 *) "\n", 1);
		split(child);
	}
	/* sd-event reaps it. */
	child->pid = 0;
	guint index = 0;
	gboolean found = g_ptr_array_find(child->bus->children, child, &index);
	g_assert(found);
	g_autoptr(AshBusChild) owned = g_ptr_array_steal_index_fast(child->bus->children, index);
	owned->on_exit(status, owned->data);
	return 0;
}

/* A file in memory, so that nobody has to wait until the child has read it. */
static gboolean make_input(const char *input, int *out_fd, GError **error)
{
	ash_autofd int fd = memfd_create("ashlar-input", MFD_CLOEXEC);
	size_t size = strlen(input);

	if (fd < 0)
		return ash_throw_errno(error, "memfd_create");
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, input + done, size - done);
		if (n < 0 && errno != EINTR)
			return ash_throw_errno(error, "writing a child's input");
		done += n > 0 ? (size_t) n : 0;
	}
	if (lseek(fd, 0, SEEK_SET) < 0)
		return ash_throw_errno(error, "lseek");
	*out_fd = fd;
	fd = -1;
	return TRUE;
}

/* Above 0 to 2, so that dup2 onto those never closes one that is still needed. */
static int move_up(int *fd)
{
	int moved = fcntl(*fd, F_DUPFD_CLOEXEC, 3);

	close(*fd);
	*fd = moved;
	return moved;
}

/* After fork: async-signal-safe calls only. */
static void exec_child(const char *const *argv, int in_fd, int out_fd, int status_fd, pid_t parent)
{
	sigset_t none;
	int failure = 0;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent may have died before the line above. */
	if (getppid() != parent)
		_exit(127);
	setpgid(0, 0);
	if (dup2(in_fd, 0) >= 0 && dup2(out_fd, 1) >= 0) {
		close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
		execve(argv[0], (char *const *) (uintptr_t) argv,
				(char *const *) (uintptr_t) environment);
	}
	failure = errno;
	if (write(status_fd, &failure, sizeof failure) < 0)
		_exit(126);
	_exit(127);
}

static gboolean start(
		AshBusChild *child, const char *const *argv, int in_fd, int out_fd, GError **error)
{
	int status[2];
	int failure = 0;
	ssize_t n;

	if (pipe2(status, O_CLOEXEC) < 0)
		return ash_throw_errno(error, "pipe");
	ash_autofd int status_read = status[0];
	ash_autofd int status_write = status[1];
	if (move_up(&status_write) < 0)
		return ash_throw_errno(error, "dup");
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return ash_throw_errno(error, "fork");
	if (pid == 0)
		exec_child(argv, in_fd, out_fd, status_write, parent);
	ash_close_fd(&status_write);
	do
		n = read(status_read, &failure, sizeof failure);
	while (n < 0 && errno == EINTR);
	if (n == 0) {
		child->pid = pid;
		return TRUE;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = failure;
	return ash_throw_errno(error, "%s", argv[0]);
}

static gboolean watch(AshBusChild *child, GError **error)
{
	int r = sd_event_add_io(
			child->bus->event, &child->io, child->fd, EPOLLIN, on_output, child);

	if (r >= 0)
		r = sd_event_add_child(child->bus->event, &child->exit, child->pid, WEXITED,
				on_child_exit, child);
	/* What it printed before it ended is seen before its end. */
	if (r >= 0)
		r = sd_event_source_set_priority(child->exit, SD_EVENT_PRIORITY_NORMAL + 10);
	return r >= 0 ? TRUE : ash_bus_throw(error, r, "watching a child");
}

gboolean ash_bus_spawn(AshBus *bus, const char *const *argv, const char *input,
		size_t max_line_bytes, AshBusLine on_line, AshBusExit on_exit, gpointer data,
		AshBusChild **out_child, GError **error)
{
	g_autoptr(AshBusChild) child = g_new0(AshBusChild, 1);
	sigset_t chld;
	int out[2];

	child->bus = bus;
	child->fd = -1;
	child->line = g_byte_array_new();
	child->max_line_bytes = max_line_bytes;
	child->on_line = on_line;
	child->on_exit = on_exit;
	child->data = data;
	ash_autofd int in_fd = -1;
	if (!make_input(input != NULL ? input : "", &in_fd, error))
		return FALSE;
	if (pipe2(out, O_CLOEXEC) < 0)
		return ash_throw_errno(error, "pipe");
	child->fd = out[0];
	ash_autofd int out_fd = out[1];
	if (move_up(&in_fd) < 0 || move_up(&out_fd) < 0)
		return ash_throw_errno(error, "dup");
	/* Our end only: the flag belongs to the open file, and the child's end is another one. */
	if (fcntl(child->fd, F_SETFL, O_NONBLOCK) < 0)
		return ash_throw_errno(error, "fcntl");
	/* sd_event_add_child insists. */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	if (!start(child, argv, in_fd, out_fd, error) || !watch(child, error))
		return FALSE;
	*out_child = child;
	g_ptr_array_add(bus->children, g_steal_pointer(&child));
	return TRUE;
}
