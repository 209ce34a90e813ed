/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/initrd.h"

enum {
	FAILED_TO_START = 127,
	NO_COMMAND = 126,
	OWN = 2, /* descriptors that are waited for beside the channel's */
};

int ash_guest_port(const char *name)
{
	DIR *ports = opendir("/sys/class/virtio-ports");
	int fd = -1;

	for (struct dirent *port; ports && fd < 0 && (port = readdir(ports));) {
		char path[512], found[128] = "";
		snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", port->d_name);
		if (!ash_initrd_read_line(path, found, sizeof found) || strcmp(found, name) != 0)
			continue;
		snprintf(path, sizeof path, "/dev/%s", port->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (ports)
		closedir(ports);
	return fd;
}

static void limit(int resource, uint64_t value)
{
	struct rlimit limits = {value, value};

	if (value > 0)
		setrlimit((__rlimit_resource_t) resource, &limits);
}

/* While it is root still: dropping from the bounding set needs a capability itself. */
static bool bound_capabilities(uint64_t keep)
{
	for (int i = 0; i <= CAP_LAST_CAP; i++)
		if (!(keep >> i & 1) && prctl(PR_CAPBSET_DROP, i) < 0 && errno != EINVAL)
			return false;
	return true;
}

static bool set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
			{(uint32_t) keep, (uint32_t) keep, (uint32_t) keep},
			{(uint32_t) (keep >> 32), (uint32_t) (keep >> 32), (uint32_t) (keep >> 32)},
	};

	if (syscall(SYS_capset, &header, data) < 0)
		return false;
	for (int i = 0; i <= CAP_LAST_CAP; i++)
		if (keep >> i & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return false;
	return true;
}

/* As in a container: the user's rights and the granted ones. Says on stderr what did not work. */
void ash_guest_become(const AshGuest *guest)
{
	limit(RLIMIT_NOFILE, guest->descriptors);
	limit(RLIMIT_NPROC, guest->tasks);
	if (!bound_capabilities(guest->capabilities) || prctl(PR_SET_KEEPCAPS, 1) < 0 ||
			setgroups(0, NULL) < 0 || setgid(guest->gid) < 0 ||
			setuid(guest->uid) < 0 || !set_capabilities(guest->capabilities) ||
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		fprintf(stderr, "ashlar-guest: cannot become user %u: %s\n", (unsigned) guest->uid,
				strerror(errno));
		_exit(NO_COMMAND);
	}
	if (chdir(guest->directory) < 0) {
		fprintf(stderr, "ashlar-guest: %s: %s\n", guest->directory, strerror(errno));
		_exit(NO_COMMAND);
	}
}

static void child(const AshGuest *guest, int output)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null >= 0)
		dup2(null, 0);
	if (output >= 0) {
		dup2(output, 1);
		dup2(output, 2);
	}
	ash_guest_become(guest);
	while (guest->is_idle)
		pause();
	execve(guest->command[0], guest->command, guest->environment);
	fprintf(stderr, "ashlar-guest: %s: %s\n", guest->command[0], strerror(errno));
	_exit(errno == ENOENT ? FAILED_TO_START : NO_COMMAND);
}

/* Everything that ended; true when @pid did. */
static bool reap(pid_t pid, int *out_code)
{
	bool has_ended = false;
	int status;

	for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;)
		if (ended == pid) {
			has_ended = true;
			*out_code = WIFEXITED(status) ? WEXITSTATUS(status)
						      : 128 + WTERMSIG(status);
		}
	return has_ended;
}

/* "stop" is a word for both SIGTERM and, the second time, SIGKILL. */
static void take_words(int control, pid_t pid, unsigned *n_stops)
{
	char buffer[256];
	ssize_t size = read(control, buffer, sizeof buffer);

	for (ssize_t i = 0; i + 4 < size; i++)
		if (memcmp(buffer + i, "stop\n", 5) == 0)
			kill(pid, (*n_stops)++ == 0 ? SIGTERM : SIGKILL);
}

int ash_guest_run(const AshGuest *guest, int control, int output)
{
	sigset_t signals;
	unsigned n_stops = 0;
	int code = 0;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	pid_t pid = fork();
	if (pid < 0 || signal_fd < 0)
		ash_initrd_fail("cannot start the command: %s", strerror(errno));
	if (pid == 0)
		child(guest, output);
	if (control >= 0)
		dprintf(control, "running\n");
	for (;;) {
		struct pollfd fds[ASH_GUEST_MAX_POLL] = {
				{.fd = signal_fd, .events = POLLIN},
				{.fd = control, .events = POLLIN},
		};
		size_t n = ash_guest_serve_wants(fds + OWN);
		if (poll(fds, OWN + n, -1) < 0 && errno != EINTR)
			ash_initrd_fail("cannot wait for the command: %s", strerror(errno));
		struct signalfd_siginfo info;
		while (read(signal_fd, &info, sizeof info) > 0)
			;
		if (reap(pid, &code))
			return code;
		ash_guest_serve_take(fds + OWN, n);
		if (fds[1].revents & POLLIN)
			take_words(control, pid, &n_stops);
		else if (fds[1].revents & POLLHUP)
			usleep(100000); /* the host's side is away */
	}
}

void ash_guest_boot(AshGuest *guest)
{
	static char inits[][32] = {"/sbin/init", "/lib/systemd/systemd", "/etc/init", "/bin/init"};

	if (fork() == 0)
		ash_guest_serve_forever(guest);
	for (size_t i = 0; i < sizeof inits / sizeof inits[0]; i++) {
		char *argv[] = {inits[i], NULL};
		execve(inits[i], argv, guest->environment);
	}
	ash_initrd_fail("the image has no init: %s", strerror(errno));
}
