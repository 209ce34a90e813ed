/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/workload/workloadd.h"
#include "lib/error.h"
#include "lib/file.h"

/* The owner's files, as they change, and what launchers write: by one descriptor, of which a user has few. */

enum {
	REREAD_US = 200 * 1000, /* an editor does more than one thing */
	POLL_US = 1000 * 1000,  /* where the kernel tells nothing */
	POLL_START_US = 200 * 1000,
	MAX_POLLED = 1000, /* files of a directory */
};

#define ETC "/etc/ashlar"
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ONLYDIR)

static const char *const directories[] = {ETC, ASH_STORE_PARAMETERS, ASH_WORKLOADD_SECRETS};

/* Watching again what is watched changes nothing. */
static void watch_directories(AshWorkloadd *daemon)
{
	G_STATIC_ASSERT(G_N_ELEMENTS(daemon->etc_watches) == G_N_ELEMENTS(directories));
	for (size_t i = 0; i < G_N_ELEMENTS(directories); i++) {
		g_autofree char *path = ash_workloadd_path(daemon, "%s", directories[i]);
		daemon->etc_watches[i] = inotify_add_watch(daemon->watch_fd, path, EVENTS);
		if (daemon->etc_watches[i] < 0 && errno != ENOENT)
			g_warning("watching %s: %s", path, g_strerror(errno));
	}
}

/* Names of ETC that are not here belong to others: policy.d is the broker's, workloads.d what was run. */
static bool is_others(const char *name)
{
	static const char *const others[] = {"workloads.d", "policy.d", NULL};

	return *name == '.' || g_strv_contains(others, name);
}

static bool is_of_owner(const AshWorkloadd *daemon, const struct inotify_event *event)
{
	for (size_t i = 0; i < G_N_ELEMENTS(daemon->etc_watches); i++)
		if (event->wd == daemon->etc_watches[i])
			return event->len > 0 && !is_others(event->name);
	return false;
}

static void on_change(int fd, gpointer data)
{
	AshWorkloadd *daemon = data;
	_Alignas(struct inotify_event) char events[4096];
	bool is_of_etc = false;
	ssize_t size;

	while ((size = read(fd, events, sizeof events)) > 0) {
		const struct inotify_event *event;
		for (char *at = events; at < events + size; at += sizeof *event + event->len) {
			event = (const struct inotify_event *) (void *) at;
			is_of_etc |= is_of_owner(daemon, event);
		}
	}
	if (is_of_etc) {
		watch_directories(daemon);
		daemon->reread_us = ash_bus_now_us() + REREAD_US;
	}
	ash_workloadd_settle(daemon); /* sets the timer, too */
}

/* ---- where the kernel tells nothing ---- */

/* Others may have used up what a user has of inotify: then it is looked, and tried again. */
static char *take_fingerprint(const AshWorkloadd *daemon)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

	for (size_t i = 0; i < G_N_ELEMENTS(directories); i++) {
		g_autofree char *path = ash_workloadd_path(daemon, "%s", directories[i]);
		g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
		const char *name;
		for (int n = 0; dir != NULL && n < MAX_POLLED && (name = g_dir_read_name(dir));
				n++) {
			g_autofree char *file = g_build_filename(path, name, NULL);
			struct stat st;
			if (is_others(name) || stat(file, &st) < 0)
				continue;
			g_autofree char *line = g_strdup_printf("%s %ju %jd %jd %ld\n", file,
					(uintmax_t) st.st_ino, (intmax_t) st.st_size,
					(intmax_t) st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
			g_checksum_update(sum, (const guchar *) line, -1);
		}
	}
	return g_strdup(g_checksum_get_string(sum));
}

static gboolean begin_watch(AshWorkloadd *daemon, GError **error)
{
	daemon->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (daemon->watch_fd < 0)
		return ash_throw_errno(error, "inotify_init1");
	watch_directories(daemon);
	return ash_bus_fd_new(
			daemon->bus, daemon->watch_fd, on_change, daemon, &daemon->watch, error);
}

static void poll_owner(AshWorkloadd *daemon)
{
	g_autofree char *now = NULL;

	if (daemon->watch_fd >= 0 || ash_bus_now_us() < daemon->poll_us)
		return;
	daemon->poll_us = ash_bus_now_us() + POLL_US;
	now = take_fingerprint(daemon);
	if (daemon->fingerprint != NULL && strcmp(now, daemon->fingerprint) != 0)
		daemon->reread_us = ash_bus_now_us();
	g_free(daemon->fingerprint);
	daemon->fingerprint = g_steal_pointer(&now);
	if (begin_watch(daemon, NULL))
		g_message("the kernel tells again what changes");
}

/* ---- all ---- */

gboolean ash_workloadd_watch(AshWorkloadd *daemon, GError **error)
{
	g_autofree char *etc = ash_workloadd_path(daemon, ETC);
	g_autoptr(GError) local = NULL;

	if (!ash_file_ensure_dir(AT_FDCWD, etc, 0755, error))
		return FALSE;
	if (!begin_watch(daemon, &local))
		g_warning("%s; it is looked for changes instead", local->message);
	return TRUE;
}

int64_t ash_workloadd_next_reread_us(const AshWorkloadd *daemon)
{
	bool polls = daemon->watch_fd < 0 && daemon->units->len > 0;

	return polls ? MIN(daemon->reread_us, daemon->poll_us) : daemon->reread_us;
}

gboolean ash_run_listen(AshRun *run, GError **error)
{
	int fd = run->unit->daemon->watch_fd;

	run->news = fd >= 0 ? inotify_add_watch(fd, run->dir, IN_MOVED_TO | IN_CLOSE_WRITE) : -1;
	if (fd >= 0 && run->news < 0)
		return ash_throw_errno(error, "watching %s", run->dir);
	return TRUE;
}

int64_t ash_run_next_news_us(const AshRun *run)
{
	return run->news < 0 ? ash_bus_now_us() + POLL_START_US : INT64_MAX;
}

void ash_run_unlisten(AshRun *run)
{
	if (run->news >= 0)
		inotify_rm_watch(run->unit->daemon->watch_fd, run->news);
	run->news = -1;
}

void ash_workloadd_reread(AshWorkloadd *daemon)
{
	g_autoptr(GError) local = NULL;

	poll_owner(daemon);
	if (ash_bus_now_us() < daemon->reread_us)
		return;
	daemon->reread_us = INT64_MAX;
	g_message("what the owner changed in " ETC " is read");
	/* network.yaml may be another: ashlar-net reads it. */
	g_clear_pointer(&daemon->network, g_free);
	if (!ash_workloadd_reload(daemon, &local))
		g_warning("%s", local->message);
}
