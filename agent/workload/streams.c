/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"

enum {
	N_STREAMS = 3,
	/* poll() promises a pipe so much room. */
	CHUNK_BYTES = 4096,
};

struct AshStreams {
	int near_fd[N_STREAMS]; /* the command's; -1: what this process has */
	int far_fd[N_STREAMS];  /* ours; -1: nothing to carry */
	bool takes_terminals, has_terminal;
	struct termios saved;
};

/* One direction. @from -1: it is over. */
typedef struct {
	int from, to;
	char chunk[CHUNK_BYTES];
	size_t size, done;
} Flow;

/* ---- making ------------------------------------------------------------------------------------------ */

static gboolean open_terminal(AshStreams *streams, GError **error)
{
	ash_autofd int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct winsize size;
	char name[64];

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
			ptsname_r(master, name, sizeof name) != 0)
		return ash_throw_errno(error, "a terminal");
	ash_autofd int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || tcgetattr(STDIN_FILENO, &streams->saved) < 0 ||
			tcsetattr(slave, TCSANOW, &streams->saved) < 0)
		return ash_throw_errno(error, "%s", name);
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void) !ioctl(slave, TIOCSWINSZ, &size);
	streams->has_terminal = true;
	for (int i = 0; i < 2; i++) {
		streams->near_fd[i] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
		streams->far_fd[i] = fcntl(master, F_DUPFD_CLOEXEC, 3);
		if (streams->near_fd[i] < 0 || streams->far_fd[i] < 0)
			return ash_throw_errno(error, "%s", name);
	}
	if (isatty(STDERR_FILENO))
		streams->near_fd[2] = g_steal_fd(&slave);
	return TRUE;
}

/* *out_is_null: /dev/null, which as input has nothing to carry. */
static bool is_passed(const AshStreams *streams, int fd, bool *out_is_null)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	*out_is_null = S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
	return S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) ||
	       (!streams->takes_terminals && isatty(fd));
}

static gboolean open_pipe(AshStreams *streams, int i, GError **error)
{
	bool is_null = false;
	int ends[2];

	if (streams->near_fd[i] >= 0 || is_passed(streams, i, &is_null))
		return TRUE;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return ash_throw_errno(error, "pipe");
	streams->near_fd[i] = ends[i == 0 ? 0 : 1];
	streams->far_fd[i] = ends[i == 0 ? 1 : 0];
	if (i == 0 && is_null)
		ash_close_fd(&streams->far_fd[i]);
	return TRUE;
}

gboolean ash_streams_new(bool takes_terminals, AshStreams **out_streams, GError **error)
{
	g_autoptr(AshStreams) streams = g_new0(AshStreams, 1);
	int fd;

	/* None of the three is closed, so that no other file gets its number. */
	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd < N_STREAMS)
		;
	if (fd < 0)
		return ash_throw_errno(error, "/dev/null");
	close(fd);
	for (int i = 0; i < N_STREAMS; i++)
		streams->near_fd[i] = streams->far_fd[i] = -1;
	streams->takes_terminals = takes_terminals;
	if (takes_terminals && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
			!open_terminal(streams, error))
		return FALSE;
	for (int i = 0; i < N_STREAMS; i++)
		if (!open_pipe(streams, i, error))
			return FALSE;
	*out_streams = g_steal_pointer(&streams);
	return TRUE;
}

void ash_streams_free(AshStreams *streams)
{
	if (streams == NULL)
		return;
	for (int i = 0; i < N_STREAMS; i++) {
		ash_close_fd(&streams->near_fd[i]);
		ash_close_fd(&streams->far_fd[i]);
	}
	g_free(streams);
}

/* ---- in the child ------------------------------------------------------------------------------------ */

bool ash_streams_take(const AshStreams *streams)
{
	for (int i = 0; i < N_STREAMS; i++)
		if (streams->near_fd[i] >= 0 && dup2(streams->near_fd[i], i) < 0)
			return false;
	/* An end that stays open here would be waited for. */
	for (int i = 0; i < N_STREAMS; i++) {
		close(streams->near_fd[i]);
		close(streams->far_fd[i]);
	}
	return true;
}

bool ash_streams_lead(const AshStreams *streams)
{
	return !streams->has_terminal || (setsid() >= 0 && ioctl(STDIN_FILENO, TIOCSCTTY, 0) == 0);
}

/* ---- carrying ---------------------------------------------------------------------------------------- */

static void set_raw(const AshStreams *streams, bool is_raw)
{
	struct termios mode = streams->saved;

	if (!streams->has_terminal)
		return;
	if (is_raw)
		cfmakeraw(&mode);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
}

/* The reader, or the writer, is gone: whoever is at the other end is told so. */
static void end_flow(AshStreams *streams, Flow *flow)
{
	for (int i = 0; i < N_STREAMS; i++)
		if (streams->far_fd[i] == flow->from || streams->far_fd[i] == flow->to)
			ash_close_fd(&streams->far_fd[i]);
	flow->from = -1;
}

static void move(AshStreams *streams, Flow *flow)
{
	if (flow->done == flow->size) {
		ssize_t n = read(flow->from, flow->chunk, sizeof flow->chunk);
		if (n > 0) {
			flow->size = (size_t) n;
			flow->done = 0;
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
			end_flow(streams, flow);
		}
		return;
	}
	ssize_t n = write(flow->to, flow->chunk + flow->done, flow->size - flow->done);
	if (n >= 0)
		flow->done += (size_t) n;
	else if (errno != EINTR && errno != EAGAIN)
		end_flow(streams, flow);
}

/* A question: did anything happen? */
static bool step(AshStreams *streams, Flow *flows, struct pollfd *others, int timeout_ms)
{
	struct pollfd all[N_STREAMS + 2];
	bool has_moved = false;

	for (int i = 0; i < N_STREAMS; i++) {
		bool is_full = flows[i].done < flows[i].size;
		all[i].fd = flows[i].from < 0 ? -1 : is_full ? flows[i].to : flows[i].from;
		all[i].events = is_full ? POLLOUT : POLLIN;
		all[i].revents = 0;
	}
	all[N_STREAMS] = others[0];
	all[N_STREAMS + 1] = others[1];
	if (poll(all, G_N_ELEMENTS(all), timeout_ms) < 0)
		return errno == EINTR;
	for (int i = 0; i < N_STREAMS; i++)
		if (all[i].revents != 0 && flows[i].from >= 0) {
			move(streams, &flows[i]);
			has_moved = true;
		}
	has_moved |= all[N_STREAMS + 1].revents != 0;
	others[0].revents = all[N_STREAMS].revents;
	others[1].revents = all[N_STREAMS + 1].revents;
	return has_moved;
}

static void on_signal(const AshStreams *streams, int signal_fd)
{
	struct signalfd_siginfo info;
	struct winsize size;
	sigset_t one;

	if (read(signal_fd, &info, sizeof info) != sizeof info)
		return;
	if (info.ssi_signo == SIGWINCH) {
		if (streams->has_terminal && streams->far_fd[0] >= 0 &&
				ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
			(void) !ioctl(streams->far_fd[0], TIOCSWINSZ, &size);
		return;
	}
	/* The kernel ends the command with this process. */
	set_raw(streams, false);
	sigemptyset(&one);
	sigaddset(&one, (int) info.ssi_signo);
	raise((int) info.ssi_signo);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

static bool has_full(const Flow *flows)
{
	for (int i = 0; i < N_STREAMS; i++)
		if (flows[i].from >= 0 && flows[i].done < flows[i].size)
			return true;
	return false;
}

static void carry(AshStreams *streams, int child_fd, int signal_fd)
{
	g_autofree Flow *flows = g_new0(Flow, N_STREAMS);
	struct pollfd others[2] = {{child_fd, POLLIN, 0}, {signal_fd, POLLIN, 0}};

	for (int i = 0; i < N_STREAMS; i++) {
		bool has_far = streams->far_fd[i] >= 0;
		flows[i].from = !has_far ? -1 : i == 0 ? i : streams->far_fd[i];
		flows[i].to = i == 0 ? streams->far_fd[i] : i;
	}
	while (others[0].revents == 0) {
		step(streams, flows, others, -1);
		if (others[1].revents != 0)
			on_signal(streams, signal_fd);
	}
	/* What it left running may keep the outputs open; what is there already counts. */
	flows[0].from = -1;
	others[0].fd = -1;
	while (step(streams, flows, others, has_full(flows) ? -1 : 0))
		if (others[1].revents != 0)
			on_signal(streams, signal_fd);
}

gboolean ash_streams_carry(AshStreams *streams, pid_t child, int *out_status, GError **error)
{
	static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH};
	sigset_t set, before;

	for (int i = 0; i < N_STREAMS; i++)
		ash_close_fd(&streams->near_fd[i]);
	sigemptyset(&set);
	for (size_t i = 0; i < G_N_ELEMENTS(caught); i++)
		sigaddset(&set, caught[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	signal(SIGPIPE, SIG_IGN);
	ash_autofd int signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ash_autofd int child_fd = pidfd_open(child, 0);
	bool can_carry = signal_fd >= 0 && child_fd >= 0;

	if (can_carry) {
		set_raw(streams, true);
		carry(streams, child_fd, signal_fd);
		set_raw(streams, false);
	} else {
		ash_throw_errno(error, "watching the command");
		kill(child, SIGKILL);
	}
	while (waitpid(child, out_status, 0) < 0 && errno == EINTR)
		;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return can_carry;
}
