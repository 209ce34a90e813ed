/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/interrupt.h"

G_DEFINE_QUARK(ash_spawn_error, ash_spawn_error)

enum {
	DEFAULT_MAX_OUTPUT_BYTES = 16 << 20,
	KEPT_STDERR_BYTES = 8192, /* the end of it, for the error message */
	CHILD_FD = 3,
};

#define SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* One pipe that a child writes to. */
typedef struct {
	int fd;
	GByteArray *bytes;
	size_t max_bytes;
	bool is_stdout;
	bool keep_end; /* drop the beginning instead of failing */
} Sink;

typedef struct {
	pid_t pid;
	int pidfd;
	Sink out;
	Sink err;
	bool own_group;
} Child;

static void child_clear(Child *child)
{
	ash_close_fd(&child->pidfd);
	ash_close_fd(&child->out.fd);
	ash_close_fd(&child->err.fd);
	g_clear_pointer(&child->out.bytes, g_byte_array_unref);
	g_clear_pointer(&child->err.bytes, g_byte_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Child, child_clear)

bool ash_spawn_have(const char *program)
{
	g_auto(GStrv) dirs = g_strsplit(SEARCH_PATH, ":", -1);

	for (char **dir = dirs; *dir != NULL; dir++) {
		g_autofree char *path = g_build_filename(*dir, program, NULL);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static char **build_env(const char *const *extra)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

	g_strv_builder_add(builder, "PATH=" SEARCH_PATH);
	g_strv_builder_add(builder, "LC_ALL=C.UTF-8");
	g_strv_builder_add(builder, "HOME=/root");
	g_strv_builder_add(builder, "TZ=UTC");
	for (; extra != NULL && *extra != NULL; extra++)
		g_strv_builder_add(builder, *extra);
	return g_strv_builder_end(builder);
}

/* After fork: async-signal-safe calls only. Reports errno through @status_fd and never returns. */
static void child_exec(const AshSpawn *spawn, char **env, int out_fd, int err_fd, int null_fd,
		int status_fd, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent may have died before the line above. */
	if (getppid() != parent)
		_exit(127);

	/* Everything that is dup'ed below sits above 3 already, see above_stdio(). */
	if (!spawn->inherit_terminal) {
		setpgid(0, 0);
		if (dup2(spawn->stdin_fd > 0 ? spawn->stdin_fd : null_fd, 0) < 0 ||
				dup2(out_fd, 1) < 0 ||
				dup2(spawn->merge_stderr ? out_fd : err_fd, 2) < 0)
			goto failed;
	}
	if (spawn->pass_fd > 0) {
		if (spawn->pass_fd == CHILD_FD) {
			if (fcntl(CHILD_FD, F_SETFD, 0) < 0)
				goto failed;
		} else if (dup2(spawn->pass_fd, CHILD_FD) < 0) {
			goto failed;
		}
	}
	if (spawn->prepare != NULL) {
		errno = spawn->prepare(spawn->prepare_data);
		if (errno != 0)
			goto failed;
	}
	if (spawn->cwd != NULL && chdir(spawn->cwd) < 0)
		goto failed;
	/* What a library of ours opened without O_CLOEXEC is nothing to the child. */
	close_range(spawn->pass_fd > 0 ? CHILD_FD + 1 : CHILD_FD, ~0U, CLOSE_RANGE_CLOEXEC);
	execvpe(spawn->argv[0], (char *const *) (uintptr_t) spawn->argv, env);
failed:;
	int saved_errno = errno;
	if (write(status_fd, &saved_errno, sizeof saved_errno) < 0)
		_exit(126);
	_exit(127);
}

/* A pipe whose ends are above the descriptors that the child gives away. */
static gboolean make_pipe(int *out_read, int *out_write, GError **error)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return ash_throw_errno(error, "pipe");
	for (int i = 0; i < 2; i++) {
		if (fds[i] > CHILD_FD)
			continue;
		int moved = fcntl(fds[i], F_DUPFD_CLOEXEC, CHILD_FD + 1);
		close(fds[i]);
		fds[i] = moved;
	}
	*out_read = fds[0];
	*out_write = fds[1];
	return TRUE;
}

static gboolean child_start(const AshSpawn *spawn, bool capture, Child *child, GError **error)
{
	ash_autofd int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return ash_throw_errno(error, "/dev/null");
	ash_autofd int out_write = -1;
	ash_autofd int err_write = -1;
	ash_autofd int status_read = -1;
	ash_autofd int status_write = -1;
	bool pipe_out = !spawn->inherit_terminal && spawn->stdout_fd <= 0 &&
			(capture || spawn->merge_stderr);
	if (pipe_out && !make_pipe(&child->out.fd, &out_write, error))
		return FALSE;
	if (!spawn->inherit_terminal && !spawn->merge_stderr &&
			!make_pipe(&child->err.fd, &err_write, error))
		return FALSE;
	if (!make_pipe(&status_read, &status_write, error))
		return FALSE;

	g_auto(GStrv) env = build_env(spawn->env);
	/* execvpe looks the program up in our own PATH; make that the one the child gets. */
	int out_fd = spawn->stdout_fd > 0 ? spawn->stdout_fd : pipe_out ? out_write : null_fd;
	pid_t parent = getpid();
	child->own_group = !spawn->inherit_terminal;
	child->pid = fork();
	if (child->pid < 0)
		return ash_throw_errno(error, "fork");
	if (child->pid == 0)
		child_exec(spawn, env, out_fd, err_write, null_fd, status_write, parent);

	ash_close_fd(&status_write);
	int child_errno = 0;
	ssize_t n;
	do
		n = read(status_read, &child_errno, sizeof child_errno);
	while (n < 0 && errno == EINTR);
	if (n == sizeof child_errno) {
		waitpid(child->pid, NULL, 0);
		if (child_errno == ENOENT && (spawn->cwd == NULL || access(spawn->cwd, F_OK) == 0))
			return ash_throw(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_NOT_FOUND,
					"program '%s' is not installed (run 'make deps')",
					spawn->argv[0]);
		errno = child_errno;
		return ash_throw_errno(error, "%s", spawn->argv[0]);
	}
	child->pidfd = (int) syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd < 0) {
		ash_throw_errno(error, "pidfd_open");
		kill(child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
		return FALSE;
	}
	fcntl(child->pidfd, F_SETFD, FD_CLOEXEC);
	return TRUE;
}

static void child_kill(const Child *child)
{
	if (child->own_group)
		kill(-child->pid, SIGKILL);
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
}

/* Reads once; closes the sink at its end. */
static gboolean sink_read(Sink *sink, const AshSpawn *spawn, GError **error)
{
	guint8 chunk[65536];
	ssize_t n = read(sink->fd, chunk, sizeof chunk);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return TRUE;
	if (n <= 0) {
		ash_close_fd(&sink->fd);
		return TRUE;
	}
	if (sink->is_stdout && spawn->on_output != NULL)
		spawn->on_output((const char *) chunk, (size_t) n, spawn->on_output_data);
	g_byte_array_append(sink->bytes, chunk, (guint) n);
	if (sink->bytes->len <= sink->max_bytes)
		return TRUE;
	if (!sink->keep_end)
		return ash_throw(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_TOO_BIG,
				"%s printed more than %zu bytes", spawn->argv[0], sink->max_bytes);
	g_byte_array_remove_range(sink->bytes, 0, sink->bytes->len - (guint) sink->max_bytes / 2);
	return TRUE;
}

static int remaining_ms(gint64 deadline_us)
{
	if (deadline_us == 0)
		return -1;
	gint64 left_us = deadline_us - g_get_monotonic_time();
	return left_us <= 0 ? 0 : (int) MIN(left_us / 1000 + 1, G_MAXINT);
}

/* Until the child is gone and both pipes are drained. A grandchild that keeps a pipe open after
 * the child's end is not waited for.
 */
static gboolean child_wait(const AshSpawn *spawn, Child *child, int *out_status, GError **error)
{
	gint64 deadline_us = spawn->timeout_ms == 0
					     ? 0
					     : g_get_monotonic_time() +
							       (gint64) spawn->timeout_ms * 1000;

	for (;;) {
		struct pollfd fds[4] = {
				{.fd = child->pidfd, .events = POLLIN},
				{.fd = child->out.fd, .events = POLLIN},
				{.fd = child->err.fd, .events = POLLIN},
				{.fd = ash_interrupt_fd(), .events = POLLIN},
		};
		int ready = poll(fds, G_N_ELEMENTS(fds), remaining_ms(deadline_us));
		if (ready < 0 && errno != EINTR)
			return ash_throw_errno(error, "poll");
		if (!ash_interrupt_check(error))
			return FALSE;
		if (ready == 0)
			return ash_throw(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_TIMEOUT,
					"%s did not end within %u s", spawn->argv[0],
					spawn->timeout_ms / 1000);
		if (ready < 0)
			continue;
		bool drained = true;
		if (fds[1].revents != 0) {
			drained = false;
			if (!sink_read(&child->out, spawn, error))
				return FALSE;
		}
		if (fds[2].revents != 0) {
			drained = false;
			if (!sink_read(&child->err, spawn, error))
				return FALSE;
		}
		if (fds[0].revents != 0 && drained)
			break;
	}
	while (waitpid(child->pid, out_status, 0) < 0)
		if (errno != EINTR)
			return ash_throw_errno(error, "waitpid");
	return TRUE;
}

static char *last_words(const Child *child, bool merged)
{
	const GByteArray *bytes = merged ? child->out.bytes : child->err.bytes;

	if (bytes == NULL || bytes->len == 0)
		return g_strdup("");
	g_autofree char *text = g_utf8_make_valid((const char *) bytes->data, (gssize) bytes->len);
	return g_strconcat(": ", g_strstrip(text), NULL);
}

static gboolean run(const AshSpawn *spawn, GBytes **out_stdout, int *out_status, char **out_words,
		GError **error)
{
	g_auto(Child) child = {.pidfd = -1, .out.fd = -1, .err.fd = -1};

	g_assert(spawn->argv != NULL && spawn->argv[0] != NULL);
	child.out.is_stdout = true;
	child.out.bytes = g_byte_array_new();
	child.err.bytes = g_byte_array_new();
	child.out.max_bytes = spawn->max_output_bytes != 0 ? spawn->max_output_bytes
							   : DEFAULT_MAX_OUTPUT_BYTES;
	child.out.keep_end = out_stdout == NULL;
	if (child.out.keep_end)
		child.out.max_bytes = KEPT_STDERR_BYTES;
	child.err.max_bytes = KEPT_STDERR_BYTES;
	child.err.keep_end = true;
	if (!ash_interrupt_check(error) || !child_start(spawn, out_stdout != NULL, &child, error))
		return FALSE;
	if (!child_wait(spawn, &child, out_status, error)) {
		child_kill(&child);
		return FALSE;
	}
	*out_words = last_words(&child, spawn->merge_stderr);
	if (out_stdout != NULL) {
		g_byte_array_append(child.out.bytes, (const guint8 *) "", 1);
		child.out.bytes->len--;
		*out_stdout = g_byte_array_free_to_bytes(g_steal_pointer(&child.out.bytes));
	}
	return TRUE;
}

gboolean ash_spawn_run_status(
		const AshSpawn *spawn, GBytes **out_stdout, int *out_exit_code, GError **error)
{
	g_autoptr(GBytes) output = NULL;
	g_autofree char *words = NULL;
	int status = 0;

	if (!run(spawn, out_stdout != NULL ? &output : NULL, &status, &words, error))
		return FALSE;
	if (!WIFEXITED(status))
		return ash_throw(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_FAILED,
				"%s was ended by signal %d%s", spawn->argv[0], WTERMSIG(status),
				words);
	if (out_stdout != NULL)
		*out_stdout = g_steal_pointer(&output);
	*out_exit_code = WEXITSTATUS(status);
	return TRUE;
}

gboolean ash_spawn_run(const AshSpawn *spawn, GBytes **out_stdout, GError **error)
{
	g_autoptr(GBytes) output = NULL;
	g_autofree char *words = NULL;
	int status = 0;

	if (!run(spawn, out_stdout != NULL ? &output : NULL, &status, &words, error))
		return FALSE;
	if (WIFSIGNALED(status))
		return ash_throw(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_FAILED,
				"%s was ended by signal %d%s", spawn->argv[0], WTERMSIG(status),
				words);
	if (WEXITSTATUS(status) != 0)
		return ash_throw(error, ASH_SPAWN_ERROR, ASH_SPAWN_ERROR_FAILED,
				"%s failed with code %d%s", spawn->argv[0], WEXITSTATUS(status),
				words);
	if (out_stdout != NULL)
		*out_stdout = g_steal_pointer(&output);
	return TRUE;
}

gboolean ash_spawn_simple(GError **error, const char *program, ...)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	va_list args;

	va_start(args, program);
	for (const char *arg = program; arg != NULL; arg = va_arg(args, const char *))
		g_ptr_array_add(argv, (gpointer) (uintptr_t) arg);
	va_end(args);
	g_ptr_array_add(argv, NULL);
	AshSpawn spawn = {.argv = (const char *const *) argv->pdata};
	return ash_spawn_run(&spawn, NULL, error);
}
