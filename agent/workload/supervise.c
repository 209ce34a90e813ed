/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

enum {
	MAX_SMALL = 4096,
	TASKS_OF_LAUNCHER = 32, /* beside the workload's own */
	MEMORY_OF_LAUNCHER = 16 << 20,
};

struct AshSupervise {
	AshBus *bus;
	char *dir, *unit; /* unit: NULL with --root */
	AshBusServiceWatch *watch;
	pid_t pid;
	AshBusFd *pidfd;
	AshSuperviseEnded ended;
	gpointer data;
};

void ash_supervise_end_clear(AshSuperviseEnd *end)
{
	g_clear_pointer(&end->text, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshSuperviseEnd, ash_supervise_end_clear)

void ash_supervise_free(AshSupervise *supervise)
{
	if (supervise == NULL)
		return;
	ash_bus_service_watch_free(supervise->watch);
	ash_bus_fd_free(supervise->pidfd);
	g_free(supervise->dir);
	g_free(supervise->unit);
	g_free(supervise);
}

char *ash_supervise_unit(const char *instance)
{
	g_autofree char *name = g_strdelimit(g_strdup(instance), "@", '-');

	return g_strdup_printf("ashlar-w-%s.service", name);
}

/* ---- what the launcher wrote ---- */

static char *read_small(const char *dir, const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autoptr(GBytes) text = NULL;

	if (!ash_file_read(AT_FDCWD, path, MAX_SMALL, &text, NULL))
		return NULL;
	return g_strstrip(g_strdup(g_bytes_get_data(text, NULL)));
}

char *ash_supervise_effective(const char *dir)
{
	return read_small(dir, "effective");
}

pid_t ash_supervise_pid(const char *dir)
{
	g_autofree char *text = read_small(dir, "pid");
	uint64_t pid = 0;

	if (text == NULL || !g_ascii_string_to_unsigned(text, 10, 1, INT32_MAX, &pid, NULL))
		return 0;
	return (pid_t) pid;
}

void ash_supervise_read_end(const char *dir, AshSuperviseEnd *out_end)
{
	g_autofree char *text = read_small(dir, "exit");
	g_autoptr(GBytes) bytes = text != NULL ? g_bytes_new(text, strlen(text)) : NULL;
	g_autoptr(JsonNode) node = NULL;

	*out_end = (AshSuperviseEnd){0};
	if (bytes == NULL || !ash_json_parse(bytes, MAX_SMALL, 4, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node)) {
		out_end->text = g_strdup("was killed with all that it ran");
		return;
	}
	JsonObject *end = json_node_get_object(node);
	const char *refused = ash_json_find_text(end, "refused");
	uint64_t code = ash_json_find_uint(end, "code");
	uint64_t signal_number = ash_json_find_uint(end, "signal");
	if (refused != NULL) {
		out_end->text = g_strdup(refused);
		/* What the runtime could not do it may do the next time. */
		out_end->is_refused = code != ASH_LAUNCH_EXIT_RUNTIME;
	} else if (signal_number != 0) {
		out_end->text = g_strdup_printf("was ended by signal %" G_GUINT64_FORMAT " (%s)",
				signal_number, strsignal((int) signal_number));
	} else {
		out_end->is_good = code == 0;
		out_end->text = g_strdup_printf("ended with code %" G_GUINT64_FORMAT, code);
	}
}

/* ---- the end ---- */

static void finish(AshSupervise *supervise)
{
	g_auto(AshSuperviseEnd) end = {0};

	ash_supervise_read_end(supervise->dir, &end);
	supervise->ended(&end, supervise->data);
}

static void on_unit_ended(gpointer data)
{
	finish(data);
}

static void on_process_ended(int fd, gpointer data)
{
	AshSupervise *supervise = data;
	siginfo_t info;

	/* If it is ours; what is left of it goes too. */
	kill(-supervise->pid, SIGKILL);
	while (waitid(P_PIDFD, (id_t) fd, &info, WEXITED) < 0 && errno == EINTR)
		;
	ash_bus_fd_free(supervise->pidfd);
	supervise->pidfd = NULL;
	finish(supervise);
}

/* ---- a process of its own ---- */

/* When it started, in ticks: with its number that is who it is. 0: it is not there. */
static uint64_t start_time(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int) pid);
	g_autoptr(GBytes) text = NULL;
	uint64_t ticks = 0;

	if (!ash_file_read(AT_FDCWD, path, MAX_SMALL, &text, NULL))
		return 0;
	/* The name in brackets may hold anything, brackets too. */
	const char *rest = strrchr(g_bytes_get_data(text, NULL), ')');
	g_auto(GStrv) fields = rest != NULL ? g_strsplit(rest, " ", -1) : NULL;
	if (fields == NULL || g_strv_length(fields) < 21 || fields[1][0] == 'Z' ||
			!g_ascii_string_to_unsigned(fields[20], 10, 0, UINT64_MAX, &ticks, NULL))
		return 0;
	return ticks;
}

static gboolean watch_process(AshSupervise *supervise, GError **error)
{
	int fd = pidfd_open(supervise->pid, 0);

	if (fd < 0)
		return ash_throw_errno(error, "watching process %d", (int) supervise->pid);
	return ash_bus_fd_new(
			supervise->bus, fd, on_process_ended, supervise, &supervise->pidfd, error);
}

static char *log_path(const char *root, const char *instance)
{
	return g_strdup_printf("%s" ASH_SUPERVISE_LOGS "/%s.log", root, instance);
}

void ash_supervise_trim_log(const char *root, const char *instance)
{
	g_autofree char *path = log_path(root, instance);
	ash_autofd int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat status;
	const off_t keep = ASH_SUPERVISE_MAX_LOG_BYTES / 2;

	if (fd < 0 || fstat(fd, &status) < 0 || status.st_size <= ASH_SUPERVISE_MAX_LOG_BYTES)
		return;
	g_autofree char *tail = g_malloc((size_t) keep);
	ssize_t n = pread(fd, tail, (size_t) keep, status.st_size - keep);
	/* Who writes appends, so it goes on behind what is kept. */
	if (n > 0 && ftruncate(fd, 0) == 0 && pwrite(fd, tail, (size_t) n, 0) < 0)
		return;
}

static gboolean open_log(const char *root, const char *instance, int *out_fd, GError **error)
{
	g_autofree char *path = log_path(root, instance);
	g_autofree char *dir = g_path_get_dirname(path);

	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error))
		return FALSE;
	ash_supervise_trim_log(root, instance);
	*out_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *out_fd >= 0 ? TRUE : ash_throw_errno(error, "%s", path);
}

/* After fork: async-signal-safe calls only. */
static void exec_launcher(char *const *argv, char *const *environment, int null_fd, int log_fd)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (dup2(null_fd, 0) >= 0 && dup2(log_fd, 1) >= 0 && dup2(log_fd, 2) >= 0) {
		close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
		execve(argv[0], argv, environment);
	}
	_exit(127);
}

static gboolean start_process(const AshSuperviseHost *host, const AshLaunch *launch,
		AshSupervise *supervise, GError **error)
{
	g_autofree char *program = g_build_filename(host->libexec, "ashlar-launch", NULL);
	char *argv[] = {program, supervise->dir, NULL};
	char path_text[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char locale_text[] = "LC_ALL=C.UTF-8";
	char *environment[] = {path_text, locale_text, NULL};
	ash_autofd int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ash_autofd int log_fd = -1;

	if (null_fd < 0)
		return ash_throw_errno(error, "/dev/null");
	if (!open_log(host->root, launch->instance, &log_fd, error))
		return FALSE;
	if (access(program, X_OK) < 0)
		return ash_throw_errno(error, "%s", program);
	pid_t pid = fork();
	if (pid < 0)
		return ash_throw_errno(error, "fork");
	if (pid == 0)
		exec_launcher(argv, environment, null_fd, log_fd);
	supervise->pid = pid;
	g_autofree char *file = g_build_filename(supervise->dir, "launcher", NULL);
	g_autofree char *text =
			g_strdup_printf("%d %" G_GUINT64_FORMAT "\n", (int) pid, start_time(pid));
	if (ash_file_replace(AT_FDCWD, file, text, strlen(text), 0600, error) &&
			watch_process(supervise, error))
		return TRUE;
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return FALSE;
}

static gboolean adopt_process(AshSupervise *supervise, bool *out_runs, GError **error)
{
	g_autofree char *text = read_small(supervise->dir, "launcher");
	int pid = 0;
	uint64_t ticks = 0;

	*out_runs = text != NULL && sscanf(text, "%d %" G_GINT64_MODIFIER "u", &pid, &ticks) == 2 &&
		    pid > 0 && ticks != 0 && start_time(pid) == ticks;
	supervise->pid = pid;
	return *out_runs ? watch_process(supervise, error) : TRUE;
}

/* ---- a service of systemd ---- */

static gboolean start_service(const AshSuperviseHost *host, const AshLaunch *launch,
		AshSupervise *supervise, GError **error)
{
	g_autofree char *program = g_build_filename(host->libexec, "ashlar-launch", NULL);
	const char *argv[] = {program, supervise->dir, NULL};
	g_autofree char *description = g_strdup_printf("Workload %s", launch->instance);
	const AshBusService service = {
			.unit = supervise->unit,
			.description = description,
			.slice = "ashlar.slice",
			.argv = argv,
			.memory_bytes = launch->memory_bytes + MEMORY_OF_LAUNCHER,
			.tasks = (uint64_t) launch->tasks + TASKS_OF_LAUNCHER,
			.cpu_milli = launch->cpu_milli,
			.io_weight = 100,
			.devices = (const char *const *) launch->devices,
			.is_delegated = true,
			.stop_timeout_ms = ASH_SUPERVISE_STOP_MS,
	};

	return ash_bus_service_start(host->bus, &service, error) &&
	       ash_bus_service_watch(host->bus, supervise->unit, on_unit_ended, supervise,
			       &supervise->watch, error);
}

/* ---- both ---- */

static AshSupervise *supervise_new(const AshSuperviseHost *host, const char *instance,
		const char *dir, AshSuperviseEnded ended, gpointer data)
{
	AshSupervise *supervise = g_new0(AshSupervise, 1);

	supervise->bus = host->bus;
	supervise->dir = g_strdup(dir);
	supervise->unit = *host->root == '\0' ? ash_supervise_unit(instance) : NULL;
	supervise->ended = ended;
	supervise->data = data;
	return supervise;
}

static gboolean write_launch(const AshLaunch *launch, GError **error)
{
	static const char *const stale[] = {"effective", "pid", "exit", "launcher"};
	g_autofree char *file = g_build_filename(launch->dir, "launch.json", NULL);
	g_autofree char *text = ash_launch_format(launch);

	if (!ash_file_ensure_dir(AT_FDCWD, launch->dir, 0700, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(stale); i++) {
		g_autofree char *path = g_build_filename(launch->dir, stale[i], NULL);
		if (unlink(path) < 0 && errno != ENOENT)
			return ash_throw_errno(error, "%s", path);
	}
	return ash_file_replace(AT_FDCWD, file, text, strlen(text), 0600, error);
}

gboolean ash_supervise_start(const AshSuperviseHost *host, const AshLaunch *launch,
		AshSuperviseEnded ended, gpointer data, AshSupervise **out_supervise,
		GError **error)
{
	g_autoptr(AshSupervise) supervise =
			supervise_new(host, launch->instance, launch->dir, ended, data);

	if (!write_launch(launch, error))
		return FALSE;
	gboolean ok = supervise->unit == NULL ? start_process(host, launch, supervise, error)
					      : start_service(host, launch, supervise, error);
	if (!ok)
		return FALSE;
	*out_supervise = g_steal_pointer(&supervise);
	return TRUE;
}

gboolean ash_supervise_adopt(const AshSuperviseHost *host, const char *instance, const char *dir,
		AshSuperviseEnded ended, gpointer data, AshSupervise **out_supervise,
		GError **error)
{
	g_autoptr(AshSupervise) supervise = supervise_new(host, instance, dir, ended, data);
	bool runs = false;

	if (supervise->unit == NULL) {
		if (!adopt_process(supervise, &runs, error))
			return FALSE;
	} else if (!ash_bus_service_runs(host->bus, supervise->unit, &runs, error)) {
		return FALSE;
	} else if (runs && !ash_bus_service_watch(host->bus, supervise->unit, on_unit_ended,
					   supervise, &supervise->watch, error)) {
		return FALSE;
	}
	*out_supervise = runs ? g_steal_pointer(&supervise) : NULL;
	return TRUE;
}

void ash_supervise_stop(AshSupervise *supervise)
{
	g_autoptr(GError) local = NULL;

	if (supervise->unit == NULL)
		kill(supervise->pid, SIGTERM);
	else if (!ash_bus_service_stop(supervise->bus, supervise->unit, &local))
		g_warning("%s", local->message);
}

void ash_supervise_kill(AshSupervise *supervise)
{
	g_autoptr(GError) local = NULL;

	if (supervise->unit == NULL) {
		kill(-supervise->pid, SIGKILL);
		kill(supervise->pid, SIGKILL);
	} else if (!ash_bus_service_kill(supervise->bus, supervise->unit, &local)) {
		g_warning("%s", local->message);
	}
}
