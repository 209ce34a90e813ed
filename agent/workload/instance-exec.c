/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/workload/enter.h"
#include "agent/workload/entry.h"
#include "agent/workload/instance-private.h"
#include "agent/workload/qemu.h"
#include "agent/workload/recorder.h"
#include "agent/workload/runsc.h"
#include "agent/workload/streams.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

static gboolean throw_runtime(GError **error, const char *what)
{
	int cause = errno;

	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME, "%s: %s", what,
			g_strerror(cause));
}

/* Its first process, by the file that the running launcher has written. */
static gboolean open_first(const AshLaunch *launch, int *out_fd, pid_t *out_pid, GError **error)
{
	g_autofree char *path = g_build_filename(launch->dir, "pid", NULL);
	g_autofree char *end = g_build_filename(launch->dir, "exit", NULL);
	g_autoptr(GBytes) text = NULL;

	if (access(end, F_OK) == 0 || !ash_file_read(AT_FDCWD, path, 32, &text, NULL))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"'%s' is not running", launch->instance);
	*out_pid = (pid_t) g_ascii_strtoll(g_bytes_get_data(text, NULL), NULL, 10);
	*out_fd = *out_pid > 1 ? pidfd_open(*out_pid, 0) : -1;
	return *out_fd >= 0 || throw_runtime(error, "the first process");
}

/* The cgroups of the first process are the instance's: limits hold for what is started in it too. Best
 * effort: without cgroups there are none.
 */
static void join_cgroups(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/cgroup", (int) pid);
	g_autoptr(GBytes) text = NULL;

	if (!ash_file_read(AT_FDCWD, path, 64 << 10, &text, NULL))
		return;
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		g_auto(GStrv) parts = g_strsplit(*line, ":", 3);
		if (g_strv_length(parts) != 3)
			continue;
		const char *controllers =
				g_str_has_prefix(parts[1], "name=") ? parts[1] + 5 : parts[1];
		const char *places[] = {controllers, *controllers == '\0' ? "unified" : NULL};
		for (size_t i = 0; i < 2 && places[i] != NULL; i++) {
			g_autofree char *file = g_strdup_printf(
					"/sys/fs/cgroup/%s%s/cgroup.procs", places[i], parts[2]);
			ash_autofd int fd = open(file, O_WRONLY | O_CLOEXEC);
			if (fd >= 0)
				(void) !write(fd, "0", 1);
		}
	}
}

static void become_command(int first, const AshEntry *entry, bool has_userns,
		const AshStreams *streams) __attribute__((noreturn));
static void become_command(
		int first, const AshEntry *entry, bool has_userns, const AshStreams *streams)
{
	int namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
			 CLONE_NEWCGROUP | (has_userns ? CLONE_NEWUSER : 0);
	static char program[] = "ashlar-enter";
	char *argv[] = {program, NULL}, *environment[] = {NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !ash_streams_take(streams) ||
			setns(first, namespaces) < 0) {
		perror("ashlar-launch: entering");
		_exit(ASH_LAUNCH_EXIT_RUNTIME);
	}
	/* Who is in a process namespace is so from birth. */
	pid_t pid = fork();
	if (pid == 0) {
		if (has_userns && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
			_exit(ASH_LAUNCH_EXIT_RUNTIME);
		if (ash_streams_lead(streams) && ash_entry_place(entry) == 0)
			syscall(SYS_execveat, ASH_ENTER_FD_PROGRAM, "", argv, environment,
					AT_EMPTY_PATH);
		_exit(ASH_LAUNCH_EXIT_RUNTIME);
	}
	int status = 0;
	close(entry->far_fd);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	_exit(pid < 0                         ? ASH_LAUNCH_EXIT_RUNTIME
			: WIFSIGNALED(status) ? 128 + WTERMSIG(status)
					      : WEXITSTATUS(status));
}

/* In front, for a program finds the first of a name. */
static void add_environment(AshLaunch *launch, char *const *more)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

	for (char *const *one = more; one != NULL && *one != NULL; one++)
		g_strv_builder_add(builder, *one);
	for (char **one = launch->environment; *one != NULL; one++)
		g_strv_builder_add(builder, *one);
	g_strfreev(launch->environment);
	launch->environment = g_strv_builder_end(builder);
}

/* What is started in an instance that is recorded belongs to what it does: the checks of its health, calls. */
static void add_recorded(const AshLaunch *launch, const AshRecorder *recorder)
{
	g_autofree char *path = g_build_filename(launch->dir, ASH_RECORDER_FILE_OF_EXEC, NULL);
	g_autofree char *text = ash_recorder_names(recorder), *known = NULL;
	g_auto(GStrv) names = g_strsplit(text, "\n", -1);
	g_autoptr(GString) fresh = g_string_new(NULL);
	ash_autofd int fd =
			open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	/* A check comes again and again. */
	(void) !g_file_get_contents(path, &known, NULL, NULL);
	g_auto(GStrv) old = g_strsplit(known != NULL ? known : "", "\n", -1);
	for (char **name = names; *name != NULL; name++)
		if (!g_strv_contains((const char *const *) old, *name))
			g_string_append_printf(fresh, "%s\n", *name);
	if (fd >= 0)
		(void) !ash_file_write_all(fd, fresh->str, fresh->len, NULL);
}

/* Each call waits for an answer from here, until the command has ended. */
static void record_calls(const AshLaunch *launch, int answer_fd, int child)
{
	const AshFilterPolicy policy = ash_entry_policy(launch);
	char text[ASH_ENTER_MAX_ANSWER_BYTES + 1];
	g_autoptr(AshRecorder) recorder = NULL;
	bool is_end = false;

	for (;;) {
		struct pollfd fds[] = {{.fd = child, .events = POLLIN},
				{.fd = is_end ? -1 : answer_fd, .events = POLLIN},
				{.fd = recorder != NULL ? ash_recorder_fd(recorder) : -1,
						.events = POLLIN}};
		ash_autofd int listener = -1;
		pid_t sender = 0;
		if (child < 0 || (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno != EINTR) ||
				fds[0].revents != 0)
			break;
		if (fds[1].revents != 0 &&
				ash_entry_take(answer_fd, text, &sender, &listener, &is_end) &&
				listener >= 0 && recorder == NULL)
			recorder = ash_recorder_new(g_steal_fd(&listener), &policy);
		if (fds[2].revents != 0)
			ash_recorder_take(recorder);
	}
	if (recorder != NULL)
		add_recorded(launch, recorder);
}

typedef struct {
	const AshLaunch *launch;
	int answer_fd, child_fd;
} Record;

/* Beside the thread that carries the streams, which is the one that hears signals. */
static gpointer record_thread(gpointer data)
{
	const Record *record = (const Record *) data;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	record_calls(record->launch, record->answer_fd, record->child_fd);
	return NULL;
}

static void become_runsc(const AshLaunch *launch, const AshInstanceExec *exec,
		const AshStreams *streams) __attribute__((noreturn));
static void become_runsc(
		const AshLaunch *launch, const AshInstanceExec *exec, const AshStreams *streams)
{
	g_autoptr(GError) error = NULL;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ash_streams_take(streams) &&
			ash_streams_lead(streams))
		(void) !ash_runsc_exec(launch, exec->command, exec->environment, &error);
	if (error != NULL)
		fprintf(stderr, "ashlar-launch: %s\n", error->message);
	_exit(ASH_LAUNCH_EXIT_RUNTIME);
}

/* In a process of its own. */
static gboolean run_command(const AshLaunch *launch, const AshInstanceExec *exec, int first,
		AshEntry *entry, int *out_code, GError **error)
{
	bool has_userns = launch->isolation == ASH_ISOLATION_CLASS_CONTAINER;
	g_autoptr(AshStreams) streams = NULL;
	int status = 0;

	if (!ash_streams_new(entry == NULL, &streams, error))
		return FALSE;
	pid_t pid = fork();
	if (pid < 0)
		return throw_runtime(error, "fork");
	if (pid == 0 && entry == NULL)
		become_runsc(launch, exec, streams);
	if (pid == 0)
		become_command(first, entry, has_userns, streams);
	ash_autofd int child_fd = pidfd_open(pid, 0);
	Record record = {launch, entry != NULL ? entry->answer_fd : -1, child_fd};
	GThread *thread = NULL;
	if (entry != NULL) {
		ash_close_fd(&entry->far_fd);
		if (launch->is_recording)
			thread = g_thread_new("record", record_thread, &record);
	}
	gboolean is_carried = ash_streams_carry(streams, pid, &status, error);
	if (thread != NULL)
		g_thread_join(thread);
	*out_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return is_carried;
}

gboolean ash_instance_exec(
		AshLaunch *launch, const AshInstanceExec *exec, int *out_code, GError **error)
{
	AshIsolationClass effective = launch->isolation;
	bool has_userns = effective == ASH_ISOLATION_CLASS_CONTAINER;
	AshEntryHow how = {.command = exec->command, .has_userns = has_userns};
	const AshQemuExec in_machine = {exec->command, exec->environment, exec->is_check};
	g_autoptr(AshEntry) entry = NULL;
	ash_autofd int first = -1;
	pid_t first_pid = 0;

	if (ash_instance_is_machine(launch))
		return ash_qemu_exec(launch, &in_machine, out_code, error);
	add_environment(launch, exec->environment);
	if (!ash_instance_effective(launch, &effective, error) ||
			!open_first(launch, &first, &first_pid, error))
		return FALSE;
	if (effective != ASH_ISOLATION_CLASS_USERKERNEL) {
		if (!ash_entry_new(launch, &how, &entry, error))
			return FALSE;
		join_cgroups(first_pid);
	}
	return run_command(launch, exec, first, entry, out_code, error);
}
