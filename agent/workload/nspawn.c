/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/nspawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/workload/enter.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

/* What ashlar-enter needs until it has dropped it. */
static const char *const entering[] = {
		"setuid", "setgid", "setpcap", "sys_admin", "dac_override", NULL};

static void add(GStrvBuilder *argv, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void add(GStrvBuilder *argv, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_strv_builder_add(argv, text);
}

static void add_capabilities(GStrvBuilder *argv, uint64_t keep)
{
	g_autoptr(GString) kept = g_string_new(NULL), dropped = g_string_new(NULL);
	unsigned bit = 0;

	for (const char *const *name = entering; *name != NULL; name++)
		if (ash_entry_capability(*name, &bit))
			keep |= UINT64_C(1) << bit;
	for (bit = 0;; bit++) {
		g_autofree char *name = ash_entry_capability_name(bit);
		if (name == NULL)
			break;
		GString *list = (keep & (UINT64_C(1) << bit)) != 0 ? kept : dropped;
		g_string_append_printf(list, "%s%s", list->len > 0 ? "," : "", name);
	}
	add(argv, "--capability=%s", kept->str);
	if (dropped->len > 0)
		add(argv, "--drop-capability=%s", dropped->str);
}

/* A namespace that is there is entered in front of nspawn (become_nspawn): nspawn itself would do it as the workload's root,
 * who has no say over a namespace of the host's. It then shows more of /sys than in one of its own.
 */
static void add_network(GStrvBuilder *argv, const AshLaunch *launch)
{
	static const char firmware[] = "/sys/firmware";

	if (*launch->netns == '\0')
		add(argv, "--private-network");
	else if (access(firmware, F_OK) == 0)
		add(argv, "--tmpfs=%s:mode=0555,ro,size=4k", firmware);
}

static bool has_namespace(const AshLaunch *launch)
{
	return *launch->netns != '\0' && strcmp(launch->netns, "host") != 0;
}

/* ':' divides source, target and options. */
static char *escape(const char *path)
{
	g_auto(GStrv) parts = g_strsplit(path, ":", -1);

	return g_strjoinv("\\:", parts);
}

static void add_mounts(GStrvBuilder *argv, const AshLaunch *launch, const AshView *view)
{
	uint64_t size = MAX(launch->disk_bytes, 4096);

	/* With boot it is the init's to make, on the layer above the image. */
	if (!launch->is_booted)
		add(argv,
				"--tmpfs=/tmp:mode=1777,nosuid,nodev,size=%" G_GUINT64_FORMAT
				",nr_inodes=%" G_GUINT64_FORMAT,
				size, MAX(size / 4096, 64));
	/* Its own would be a tenth of the host's memory. */
	if (!launch->is_booted)
		add(argv, "--tmpfs=/dev/shm:mode=1777,nosuid,nodev,noexec,size=64m,nr_inodes=1024");
	for (guint i = 0; i < view->binds->len; i++) {
		const AshLaunchBind *bind = view->binds->pdata[i];
		g_autofree char *source = escape(bind->source);
		g_autofree char *target = escape(bind->target);
		add(argv, "--bind%s=%s:%s", bind->is_read_only ? "-ro" : "", source, target);
	}
	for (guint i = 0; i < view->devices->len; i++) {
		const AshLaunchBind *device = view->devices->pdata[i];
		g_autofree char *source = escape(device->source);
		g_autofree char *target = escape(device->target);
		add(argv, "--bind=%s:%s", source, target);
	}
}

char **ash_nspawn_argv(const AshLaunch *launch, const AshView *view, uint64_t capabilities)
{
	static const char *const fixed[] = {"systemd-nspawn", "--quiet", "--settings=no",
			"--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off",
			"--timezone=off", "--link-journal=no",
			/* The view's mounts are what is shifted. */
			"--private-users-ownership=off", NULL};
	g_autoptr(GStrvBuilder) argv = g_strv_builder_new();
	g_autofree char *name = ash_view_host_name(launch);

	for (const char *const *arg = fixed; *arg != NULL; arg++)
		g_strv_builder_add(argv, *arg);
	if (!launch->is_booted) {
		g_strv_builder_add(argv, "--read-only");
		g_strv_builder_add(argv, "--no-new-privileges=yes");
	}
	add(argv, "--private-users=%u:%u", launch->uid_base, (unsigned) ASH_LAUNCH_UIDS);
	add(argv, "--machine=%s", name);
	add(argv, "--hostname=%s", name);
	add_capabilities(argv, capabilities);
	add_network(argv, launch);
	add_mounts(argv, launch, view);
	add(argv, "--directory=%s", view->root);
	add(argv, "--");
	add(argv, "/proc/self/fd/%d", ASH_ENTER_FD_PROGRAM);
	return g_strv_builder_end(argv);
}

char **ash_nspawn_removed(const AshLaunch *launch)
{
	g_autoptr(GStrvBuilder) paths = g_strv_builder_new();
	static const char tun[] = "/dev/net/tun";

	/* What it says of the host and its own calls; an init may want it. */
	if (!launch->is_booted) {
		g_strv_builder_add(paths, "/run/host/os-release");
		g_strv_builder_add(paths, "/run/host/incoming");
		g_strv_builder_add(paths, "/run/host/unix-export");
	}
	if (!g_strv_contains((const char *const *) launch->devices, tun))
		g_strv_builder_add(paths, tun);
	return g_strv_builder_end(paths);
}

/* ---- its cgroup ---------------------------------------------------------------------------------- */

/* The directory of the cgroup of ours that the service manager leaves to whoever is in it; NULL: there is none. */
static char *find_delegated(void)
{
	g_autoptr(GBytes) text = NULL;
	char answer[8];

	if (!ash_file_read(AT_FDCWD, "/proc/self/cgroup", 64 << 10, &text, NULL))
		return NULL;
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		if (!g_str_has_prefix(*line, "0::/"))
			continue;
		g_autofree char *dir = g_strconcat("/sys/fs/cgroup", *line + strlen("0::"), NULL);
		if (getxattr(dir, "trusted.delegate", answer, sizeof answer) == 1 && *answer == '1')
			return g_steal_pointer(&dir);
	}
	return NULL;
}

static int open_procs(const char *dir)
{
	g_autofree char *path = g_build_filename(dir, "cgroup.procs", NULL);

	return open(path, O_WRONLY | O_CLOEXEC);
}

/* A cgroup that holds a process gives no controllers to those below it, and an init wants them for its services: nspawn
 * makes a cgroup for the payload and one for itself, and this process gets one too. Where nothing is delegated, or with
 * the older hierarchies, all stay where they are.
 *
 * @out_fd: the place that nspawn is to begin in; -1.
 */
static void step_aside(const AshLaunch *launch, int *out_fd)
{
	g_autofree char *dir = launch->is_booted ? find_delegated() : NULL;
	g_autofree char *own = dir != NULL ? g_build_filename(dir, "launcher", NULL) : NULL;

	*out_fd = -1;
	if (own == NULL || (mkdir(own, 0755) < 0 && errno != EEXIST))
		return;
	ash_autofd int own_fd = open_procs(own);
	ash_autofd int fd = open_procs(dir);
	if (own_fd >= 0 && fd >= 0 && write(own_fd, "0", 1) == 1)
		*out_fd = g_steal_fd(&fd);
}

/* ---- starting ------------------------------------------------------------------------------------ */

/* Its directories of that name are the host's: what it leaves there goes with this namespace. */
static gboolean hide_state(GError **error)
{
	if ((mkdir("/run/systemd", 0755) < 0 && errno != EEXIST) ||
			(mkdir("/run/systemd/nspawn", 0755) < 0 && errno != EEXIST) ||
			mount("tmpfs", "/run/systemd/nspawn", "tmpfs",
					MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m") < 0)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"/run/systemd/nspawn: %s", g_strerror(errno));
	return TRUE;
}

/* Nothing of the host's listens in there, so low ports are nobody's: a capability of the workload's own users has no force
 * over a network that was made in front of them.
 */
static bool open_ports(void)
{
	int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);
	bool is_open = fd >= 0 && write(fd, "0", 1) == 1;

	close(fd);
	return is_open;
}

static bool take_network(const AshLaunch *launch, int netns)
{
	static const char ports[] = "net_bind_service";
	bool wants_ports = launch->is_booted ||
			   g_strv_contains((const char *const *) launch->capabilities, ports);

	return netns < 0 || (setns(netns, CLONE_NEWNET) == 0 && (!wants_ports || open_ports()));
}

static void become_nspawn(char **argv, const AshEntry *entry, const AshLaunch *launch, int netns,
		int cgroup) __attribute__((noreturn));
static void become_nspawn(
		char **argv, const AshEntry *entry, const AshLaunch *launch, int netns, int cgroup)
{
	static char log[] = "SYSTEMD_LOG_LEVEL=warning", seccomp[] = "SYSTEMD_SECCOMP=0",
		    lock[] = "SYSTEMD_NSPAWN_LOCK=0", path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		    fds[] = "LISTEN_FDS=3", pid[32], term[] = "TERM=dumb";
	static char *const environment[] = {log, seccomp, lock, path, fds, pid, term, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* It hands these descriptors on, as a service's sockets. */
	snprintf(pid, sizeof pid, "LISTEN_PID=%d", (int) getpid());
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !take_network(launch, netns) ||
			(cgroup >= 0 && write(cgroup, "0", 1) != 1) || ash_entry_place(entry) != 0)
		_exit(ASH_LAUNCH_EXIT_RUNTIME);
	execve("/usr/bin/systemd-nspawn", argv, environment);
	_exit(ASH_LAUNCH_EXIT_RUNTIME);
}

gboolean ash_nspawn_start(const AshLaunch *launch, const AshView *view, const AshEntry *entry,
		pid_t *out_pid, GError **error)
{
	uint64_t capabilities = 0;

	if (!ash_entry_capabilities(launch, &capabilities, error) || !hide_state(error))
		return FALSE;
	g_auto(GStrv) argv = ash_nspawn_argv(launch, view, capabilities);
	if (access("/usr/bin/systemd-nspawn", X_OK) < 0)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED,
				"isolation 'container' needs systemd-nspawn (package systemd-container)");
	ash_autofd int netns =
			has_namespace(launch) ? open(launch->netns, O_RDONLY | O_CLOEXEC) : -1;
	if (netns < 0 && has_namespace(launch))
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME,
				"the workload's network, %s: %s", launch->netns, g_strerror(errno));
	ash_autofd int cgroup = -1;
	step_aside(launch, &cgroup);
	pid_t pid = fork();
	if (pid < 0)
		return ash_throw(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_RUNTIME, "fork: %s",
				g_strerror(errno));
	if (pid == 0)
		become_nspawn(argv, entry, launch, netns, cgroup);
	*out_pid = pid;
	return TRUE;
}
