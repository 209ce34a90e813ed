/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command and writes what it cost, as one JSON object:
 *
 *	measure -o FILE [-e EVENTS] [-u TEXT] [-t SECONDS] COMMAND [ARGUMENT…]
 *
 *	wall, user, sys   seconds; the CPU's of the command and of all it started, orphans too
 *	own               CPU seconds of the command's own process, its threads included
 *	peak_kb           the most memory that the command's own process had resident, children's not
 *	exit, end         exit code, and why it ended: exit, text, timeout
 *
 * -e: every line of the command's standard error goes to EVENTS behind the seconds since the start, own
 *     CPU seconds and those of children that were waited for, and a tab
 * -u: ends the command once TEXT shows on its standard error; wall and own are of that moment
 * -t: ends the command after so many seconds
 *
 * Why not time(1): its maximum of memory is the largest of all children's. The command is traced, for
 * one stop only: when it exits its memory is still there to be asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_LINE_BYTES = 1 << 16,
	ORPHANS_SECONDS = 5, /* for what outlives the command; what takes longer is not counted */
	KILL_SECONDS = 10,
	FAILED = 125, /* as time(1) says that it is to blame itself */
};

typedef struct {
	const char *output;
	const char *events_path;
	const char *until;
	double timeout;
	char **argv;

	pid_t pid;
	FILE *events;
	int lines; /* read end of the command's standard error, or -1 */
	char line[MAX_LINE_BYTES];
	size_t line_size;

	double start;
	double wall;   /* 0 while it runs */
	double asked;  /* when it was told to end; 0: not yet */
	double own;    /* CPU seconds, as last seen */
	double waited; /* of its children */
	long peak_kb;
	int status;
	bool is_gone;
	bool has_killed;
	const char *end;
} Measure;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "measure: ");
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(FAILED);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static double seconds(struct timeval tv)
{
	return (double) tv.tv_sec + (double) tv.tv_usec / 1e6;
}

/* Reads a file of /proc/PID; false when the process has none any more. */
static bool read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t got = read(fd, text, size - 1);
	close(fd);
	if (got <= 0)
		return false;
	text[got] = '\0';
	return true;
}

static void look(Measure *measure)
{
	char text[4096];
	unsigned long ticks[4];
	double per_second = (double) sysconf(_SC_CLK_TCK);

	/* The second field is a name in parentheses, and may hold anything. */
	const char *rest = read_proc(measure->pid, "stat", text, sizeof text) ? strrchr(text, ')')
									      : NULL;
	if (rest != NULL &&
			sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu",
					&ticks[0], &ticks[1], &ticks[2], &ticks[3]) == 4) {
		measure->own = (double) (ticks[0] + ticks[1]) / per_second;
		measure->waited = (double) (ticks[2] + ticks[3]) / per_second;
	}
	const char *peak = read_proc(measure->pid, "status", text, sizeof text)
					   ? strstr(text, "\nVmHWM:")
					   : NULL;
	long peak_kb = peak != NULL ? strtol(peak + strlen("\nVmHWM:"), NULL, 10) : 0;
	if (peak_kb > measure->peak_kb)
		measure->peak_kb = peak_kb;
}

/* ---- the command ----------------------------------------------------------------------------- */

static void start(Measure *measure)
{
	int go[2];
	int lines[2] = {-1, -1};
	sigset_t none;

	if (pipe2(go, O_CLOEXEC) < 0 ||
			(measure->events_path != NULL && pipe2(lines, O_CLOEXEC) < 0))
		fail("pipe: %s", strerror(errno));
	measure->start = now();
	measure->pid = fork();
	if (measure->pid < 0)
		fail("fork: %s", strerror(errno));
	if (measure->pid == 0) {
		char byte;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (lines[1] >= 0)
			dup2(lines[1], STDERR_FILENO);
		close(go[1]);
		if (read(go[0], &byte, 1) == 1)
			execvp(measure->argv[0], measure->argv);
		fprintf(stderr, "measure: %s: %s\n", measure->argv[0], strerror(errno));
		_exit(127);
	}
	if (ptrace(PTRACE_SEIZE, measure->pid, NULL,
			    (void *) (PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL)) < 0)
		fail("ptrace: %s", strerror(errno));
	if (write(go[1], "", 1) != 1)
		fail("pipe: %s", strerror(errno));
	close(go[0]);
	close(go[1]);
	if (lines[1] >= 0)
		close(lines[1]);
	measure->lines = lines[0];
}

static void stop(Measure *measure, const char *why)
{
	if (measure->asked > 0 || measure->is_gone)
		return;
	look(measure);
	measure->end = why;
	measure->asked = now();
	measure->wall = measure->asked - measure->start;
	kill(measure->pid, SIGTERM);
}

static void on_stopped(Measure *measure, int status)
{
	int number = WSTOPSIG(status);
	bool is_group_stop = status >> 16 == PTRACE_EVENT_STOP && number != SIGTRAP;

	if (status >> 16 == PTRACE_EVENT_EXIT && measure->asked <= 0)
		look(measure);
	ptrace(is_group_stop ? PTRACE_LISTEN : PTRACE_CONT, measure->pid, NULL,
			(void *) (long) (status >> 16 != 0 ? 0 : number));
}

/* Whatever has changed of any child. False when there is none left. */
static bool reap(Measure *measure)
{
	int status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
		if (pid <= 0)
			return pid == 0 || errno != ECHILD;
		if (pid != measure->pid)
			continue;
		if (WIFSTOPPED(status)) {
			on_stopped(measure, status);
			continue;
		}
		measure->is_gone = true;
		measure->status = status;
		if (measure->wall <= 0)
			measure->wall = now() - measure->start;
	}
}

/* ---- its lines ------------------------------------------------------------------------------- */

static void take_line(Measure *measure)
{
	double at = now() - measure->start;

	measure->line[measure->line_size] = '\0';
	if (!measure->is_gone && measure->asked <= 0)
		look(measure);
	fprintf(measure->events, "%.3f %.2f %.2f\t%s\n", at, measure->own, measure->waited,
			measure->line);
	if (measure->until != NULL && strstr(measure->line, measure->until) != NULL)
		stop(measure, "text");
	measure->line_size = 0;
}

static void read_lines(Measure *measure)
{
	char piece[4096];
	ssize_t size = read(measure->lines, piece, sizeof piece);

	if (size <= 0) {
		close(measure->lines);
		measure->lines = -1;
		return;
	}
	for (ssize_t i = 0; i < size; i++) {
		if (piece[i] != '\n' && measure->line_size < MAX_LINE_BYTES - 1)
			measure->line[measure->line_size++] = piece[i];
		if (piece[i] == '\n')
			take_line(measure);
	}
}

/* ---- all together ---------------------------------------------------------------------------- */

static void enforce_time(Measure *measure)
{
	double at = now();

	if (measure->timeout > 0 && at - measure->start > measure->timeout)
		stop(measure, "timeout");
	if (measure->asked > 0 && !measure->is_gone && !measure->has_killed &&
			at - measure->asked > KILL_SECONDS) {
		measure->has_killed = true;
		kill(measure->pid, SIGKILL);
	}
}

static void run(Measure *measure)
{
	double gone_at = 0;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fail("signalfd: %s", strerror(errno));
	start(measure);
	for (;;) {
		struct pollfd polled[2] = {{.fd = fd, .events = POLLIN},
				{.fd = measure->lines, .events = POLLIN}};
		struct signalfd_siginfo info;

		poll(polled, 2, 200);
		/* A terminal's Ctrl-C has reached the command as well; it decides. */
		while (read(fd, &info, sizeof info) == sizeof info)
			if (info.ssi_signo == SIGTERM)
				stop(measure, "signal");
		if (polled[1].revents != 0)
			read_lines(measure);
		if (!reap(measure))
			break;
		enforce_time(measure);
		if (measure->is_gone && gone_at <= 0)
			gone_at = now();
		if (measure->is_gone && now() - gone_at > ORPHANS_SECONDS)
			break;
	}
	/* The pipe ends when the last who may write to it is gone; what outlives the command is none. */
	while (measure->lines >= 0) {
		struct pollfd left = {.fd = measure->lines, .events = POLLIN};
		if (poll(&left, 1, 0) <= 0)
			break;
		read_lines(measure);
	}
	close(fd);
}

static int report(const Measure *measure)
{
	struct rusage usage;
	int code = WIFEXITED(measure->status) ? WEXITSTATUS(measure->status)
					      : 128 + WTERMSIG(measure->status);
	FILE *output = fopen(measure->output, "we");

	if (output == NULL)
		fail("%s: %s", measure->output, strerror(errno));
	getrusage(RUSAGE_CHILDREN, &usage);
	fprintf(output, "{\"wall\":%.3f,\"user\":%.3f,\"sys\":%.3f,\"own\":%.2f,", measure->wall,
			seconds(usage.ru_utime), seconds(usage.ru_stime), measure->own);
	fprintf(output, "\"peak_kb\":%ld,\"exit\":%d,\"end\":\"%s\"}\n", measure->peak_kb, code,
			measure->end);
	if (fclose(output) != 0)
		fail("%s: %s", measure->output, strerror(errno));
	return strcmp(measure->end, "text") == 0 ? 0 : code;
}

int main(int argc, char **argv)
{
	static Measure measure = {.lines = -1, .end = "exit"};

	for (;;) {
		int option = getopt(argc, argv, "+o:e:u:t:");
		if (option == -1)
			break;
		if (option == 'o')
			measure.output = optarg;
		else if (option == 'e')
			measure.events_path = optarg;
		else if (option == 'u')
			measure.until = optarg;
		else if (option == 't')
			measure.timeout = strtod(optarg, NULL);
		else
			return FAILED;
	}
	measure.argv = argv + optind;
	if (measure.output == NULL || optind >= argc ||
			(measure.until != NULL && measure.events_path == NULL))
		fail("usage: measure -o FILE [-e EVENTS [-u TEXT]] [-t SECONDS] COMMAND [ARGUMENT…]");
	if (measure.events_path != NULL) {
		measure.events = fopen(measure.events_path, "we");
		if (measure.events == NULL)
			fail("%s: %s", measure.events_path, strerror(errno));
		setvbuf(measure.events, NULL, _IOLBF, 0);
	}
	/* What a daemon leaves behind becomes our child, and so its time is counted. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	run(&measure);
	if (measure.events != NULL)
		fclose(measure.events);
	return report(&measure);
}
