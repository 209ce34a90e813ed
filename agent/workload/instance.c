/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/workload/box.h"
#include "agent/workload/enter.h"
#include "agent/workload/entry.h"
#include "agent/workload/instance-private.h"
#include "agent/workload/nspawn.h"
#include "agent/workload/qemu.h"
#include "agent/workload/recorder.h"
#include "agent/workload/runsc.h"
#include "agent/workload/view.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

enum {
	NSPAWN_REBOOT = 133, /* its code, with --keep-unit, for "start it again" */
	RUNSC_LOOK_MS = 50,
};

typedef struct {
	const AshLaunch *launch;
	int dir_fd;
	int signal_fd;
	int first_fd; /* pidfd of the workload's first process; -1 until it has answered */
	pid_t child;  /* what we have started and wait for; 0 when it has ended */
	int child_status;
	bool is_runsc;
	bool is_running, is_answered;
	bool is_signal;
	int number; /* exit code, or signal, as the workload's first process told */
	char *failure;
	AshRecorder *recorder;
} Run;

static void run_clear(Run *run)
{
	ash_close_fd(&run->dir_fd);
	ash_close_fd(&run->signal_fd);
	ash_close_fd(&run->first_fd);
	g_free(run->failure);
	ash_recorder_free(run->recorder);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

static gboolean throw_runtime(GError **error, const char *what)
{
	int cause = errno;

	return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME, "%s: %s", what,
			g_strerror(cause));
}

/* ---- files for ashlar-workloadd ------------------------------------------------------------------ */

/* The directory is in memory: nothing is lost by not waiting for a disk. */
void ash_instance_write(int dir_fd, const char *name, const char *text)
{
	g_autofree char *fresh = g_strconcat(name, ".new", NULL);
	ash_autofd int fd = openat(
			dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0 && ash_file_write_all(fd, text, strlen(text), NULL))
		(void) !renameat(dir_fd, fresh, dir_fd, name);
}

static void write_exit(const Run *run, const char *key, int number)
{
	g_autofree char *text = g_strdup_printf("{\"%s\":%d}\n", key, number);

	ash_instance_write(run->dir_fd, "exit", text);
}

void ash_instance_refuse(const AshLaunch *launch, int code, const char *why)
{
	ash_autofd int dir_fd = open(launch->dir, O_DIRECTORY | O_CLOEXEC);
	g_autoptr(JsonBuilder) builder = json_builder_new();

	if (dir_fd < 0)
		return;
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "refused", why);
	ash_json_add_int(builder, "code", code);
	json_builder_end_object(builder);
	g_autofree char *text = ash_json_format(builder, false);
	ash_instance_write(dir_fd, "exit", text);
}

/* ---- answers ------------------------------------------------------------------------------------- */

static void take_running(Run *run, pid_t pid)
{
	g_autofree char *text = g_strdup_printf("%d\n", (int) pid);

	if (run->first_fd >= 0)
		return;
	run->first_fd = pidfd_open(pid, 0);
	run->is_running = true;
	ash_instance_write(run->dir_fd, "pid", text);
}

static void take_end(Run *run, bool is_signal, const char *number)
{
	run->is_answered = true;
	run->is_signal = is_signal;
	run->number = (int) g_ascii_strtoll(number, NULL, 10);
}

static void take_text(Run *run, const char *text, pid_t pid, int *listener)
{
	if (strcmp(text, "running") == 0) {
		take_running(run, pid);
	} else if (strcmp(text, "listen") == 0 && *listener >= 0 && run->recorder == NULL) {
		const AshFilterPolicy policy = ash_entry_policy(run->launch);
		run->recorder = ash_recorder_new(g_steal_fd(listener), &policy);
	} else if (g_str_has_prefix(text, "code ")) {
		take_end(run, false, text + strlen("code "));
	} else if (g_str_has_prefix(text, "signal ")) {
		take_end(run, true, text + strlen("signal "));
	} else if (g_str_has_prefix(text, "failed ") && run->failure == NULL) {
		run->failure = g_strdup(text + strlen("failed "));
	}
}

static void take_answer(Run *run, int answer_fd, bool *out_is_end)
{
	char text[ASH_ENTER_MAX_ANSWER_BYTES + 1];
	ash_autofd int listener = -1;
	pid_t pid = 0;

	if (ash_entry_take(answer_fd, text, &pid, &listener, out_is_end))
		take_text(run, text, pid, &listener);
}

/* ---- signals ------------------------------------------------------------------------------------- */

static void forward(Run *run, int number)
{
	/* Before there is a first process, what would make it is ended. */
	if (run->first_fd < 0) {
		if (run->child > 0)
			kill(run->child, SIGKILL);
		return;
	}
	if (run->is_runsc) {
		ash_runsc_signal(run->launch, number);
		return;
	}
	/* What systemd, and who follows it, takes as "shut down" in a container. */
	if (run->launch->is_booted && (number == SIGTERM || number == SIGINT))
		number = SIGRTMIN + 3;
	(void) !pidfd_send_signal(run->first_fd, number, NULL, 0);
}

static void take_signals(Run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signal_fd, &info, sizeof info) == (ssize_t) sizeof info) {
		int status = 0;
		if (info.ssi_signo != SIGCHLD)
			forward(run, (int) info.ssi_signo);
		else if (run->child > 0 && waitpid(run->child, &status, WNOHANG) == run->child) {
			run->child = 0;
			run->child_status = status;
		}
	}
}

static gboolean open_signals(int *out_fd, GError **error)
{
	static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < G_N_ELEMENTS(taken); i++)
		sigaddset(&set, taken[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return throw_runtime(error, "signals");
	*out_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *out_fd >= 0 || throw_runtime(error, "signalfd");
}

/* ---- until it ends ------------------------------------------------------------------------------- */

static void wait_for(Run *run, int answer_fd)
{
	bool is_end = answer_fd < 0;

	while (run->child > 0 || !is_end) {
		int listener = run->recorder != NULL ? ash_recorder_fd(run->recorder) : -1;
		struct pollfd fds[] = {{.fd = run->signal_fd, .events = POLLIN},
				{.fd = is_end ? -1 : answer_fd, .events = POLLIN},
				{.fd = listener, .events = POLLIN}};
		bool is_late = run->is_runsc && !run->is_running && run->child > 0;
		if (poll(fds, G_N_ELEMENTS(fds), is_late ? RUNSC_LOOK_MS : -1) < 0 &&
				errno != EINTR)
			break;
		/* runsc tells nobody: it is asked. */
		if (is_late && ash_runsc_is_running(run->launch))
			take_running(run, run->child);
		if (fds[1].revents != 0)
			take_answer(run, answer_fd, &is_end);
		if (fds[2].revents != 0)
			ash_recorder_take(run->recorder);
		if (fds[0].revents != 0)
			take_signals(run);
	}
}

/* The first process was killed when it did not say how its child ended. */
static void decide_end(Run *run)
{
	if (run->is_answered)
		return;
	/* runsc adds 128 to a signal's number. */
	if (run->is_runsc && WIFEXITED(run->child_status)) {
		int code = WEXITSTATUS(run->child_status);
		run->is_signal = code > 128 && code <= 128 + SIGRTMAX;
		run->number = run->is_signal ? code - 128 : code;
		return;
	}
	/* nspawn's own answer, for an init says nothing when it is gone. */
	if (run->launch->is_booted && WIFEXITED(run->child_status)) {
		run->number = WEXITSTATUS(run->child_status);
		return;
	}
	run->is_signal = true;
	run->number = WIFSIGNALED(run->child_status) ? WTERMSIG(run->child_status) : SIGKILL;
}

static gboolean conclude(Run *run, int *out_code, GError **error)
{
	if (run->recorder != NULL) {
		g_autofree char *names = ash_recorder_names(run->recorder);
		ash_instance_write(run->dir_fd, ASH_RECORDER_FILE, names);
	}
	if (run->failure != NULL)
		return ash_throw(error, ASH_LAUNCH_ERROR,
				*run->failure == '/' ? ASH_LAUNCH_ERROR_IMAGE
						     : ASH_LAUNCH_ERROR_RUNTIME,
				"%s", run->failure);
	/* 128 is runsc's own. */
	bool is_started = run->is_running && !(run->is_runsc && WIFEXITED(run->child_status) &&
							     WEXITSTATUS(run->child_status) == 128);
	if (!is_started)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"the runtime ended with %s %d before the command was started",
				WIFSIGNALED(run->child_status) ? "signal" : "code",
				WIFSIGNALED(run->child_status) ? WTERMSIG(run->child_status)
							       : WEXITSTATUS(run->child_status));
	decide_end(run);
	if (run->launch->is_booted && !run->is_signal && run->number == NSPAWN_REBOOT)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"the system inside asked for a reboot");
	write_exit(run, run->is_signal ? "signal" : "code", run->number);
	*out_code = run->is_signal ? 128 + run->number : run->number;
	return TRUE;
}

/* ---- starting ------------------------------------------------------------------------------------ */

static gboolean start_runsc(Run *run, GError **error)
{
	g_autoptr(AshView) view = NULL;

	ash_runsc_remove(run->launch);
	if (!ash_view_new(run->launch, &view, error) ||
			!ash_view_expose(run->launch, view, error) ||
			!ash_runsc_start(run->launch, view, &run->child, error))
		return FALSE;
	run->is_runsc = true;
	/* Who is told that it runs begins at once to start something in it. */
	if (run->launch->is_idle)
		return TRUE;
	take_running(run, run->child);
	return run->first_fd >= 0 || throw_runtime(error, "runsc");
}

static gboolean start(Run *run, AshIsolationClass effective, AshEntry **out_entry, GError **error)
{
	const AshLaunch *launch = run->launch;
	bool is_container = effective == ASH_ISOLATION_CLASS_CONTAINER;
	g_auto(GStrv) removed = is_container ? ash_nspawn_removed(launch) : NULL;
	AshEntryHow how = {.has_userns = is_container,
			.is_init = !launch->is_booted,
			.removed = removed};
	g_auto(GStrv) init = NULL;
	g_autoptr(AshView) view = NULL;

	if (effective == ASH_ISOLATION_CLASS_USERKERNEL)
		return start_runsc(run, error);
	if (launch->is_booted && launch->command[0] == NULL) {
		if (!ash_view_find_init(launch, &init, error))
			return FALSE;
		how.command = init;
	}
	if (!ash_entry_new(launch, &how, out_entry, error) || !ash_view_new(launch, &view, error))
		return FALSE;
	gboolean is_started =
			is_container ? ash_nspawn_start(
						       launch, view, *out_entry, &run->child, error)
				     : ash_box_start(launch, view, *out_entry, &run->child, error);
	ash_close_fd(&(*out_entry)->far_fd);
	return is_started;
}

static void on_running(gpointer data)
{
	Run *run = data;

	take_running(run, run->child);
}

static gboolean run_machine(Run *run, AshIsolationClass effective, int *out_code, GError **error)
{
	g_autoptr(AshQemu) qemu = NULL;

	if (!ash_qemu_start(run->launch, effective, &qemu, error))
		return FALSE;
	run->child = ash_qemu_pid(qemu);
	ash_qemu_set_running(qemu, on_running, run);
	if (!ash_qemu_wait(qemu, run->signal_fd, out_code, error))
		return FALSE;
	run->child = 0;
	write_exit(run, "code", *out_code);
	return TRUE;
}

gboolean ash_instance_run(const AshLaunch *launch, int *out_code, GError **error)
{
	g_auto(Run) run = {.launch = launch, .signal_fd = -1, .first_fd = -1, .dir_fd = -1};
	g_autoptr(AshEntry) entry = NULL;
	AshIsolationClass effective = launch->isolation;
	gboolean is_done = FALSE;

	run.dir_fd = open(launch->dir, O_DIRECTORY | O_CLOEXEC);
	if (run.dir_fd < 0)
		return throw_runtime(error, launch->dir);
	(void) !unlinkat(run.dir_fd, "exit", 0);
	if (launch->is_recording)
		(void) !unlinkat(run.dir_fd, ASH_RECORDER_FILE_OF_EXEC, 0);
	(void) !unlinkat(run.dir_fd, "pid", 0);
	if (!ash_instance_effective(launch, &effective, error))
		return FALSE;
	ash_instance_write(run.dir_fd, "effective", ash_isolation_class_name(effective));
	if (!open_signals(&run.signal_fd, error))
		return FALSE;
	if (ash_instance_is_machine(launch))
		return run_machine(&run, effective, out_code, error);
	if (start(&run, effective, &entry, error)) {
		wait_for(&run, entry != NULL ? entry->answer_fd : -1);
		is_done = conclude(&run, out_code, error);
	}
	if (effective == ASH_ISOLATION_CLASS_USERKERNEL)
		ash_runsc_remove(launch);
	ash_view_remove(launch);
	return is_done;
}
