/* SPDX-License-Identifier: Apache-2.0 */
/* ashlar-enter: the first program inside a sandbox or a container. enter.h says what it is told. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/workload/enter-step.h"

typedef struct {
	const AshEnterOrders *orders;
	const char *directory;
	char **arguments, **environment;
	const char **writable, **removed;
	const void *filters[ASH_ENTER_MAX_FILTERS];
} Plan;

void ash_enter_answer(const char *text, const char *more)
{
	char line[ASH_ENTER_MAX_ANSWER_BYTES];
	int size = snprintf(line, sizeof line, "%s%s", text, more);

	if (size > 0)
		(void) !send(ASH_ENTER_FD_ANSWER, line,
				(size_t) size < sizeof line ? (size_t) size : sizeof line - 1,
				MSG_NOSIGNAL);
}

void ash_enter_fail(const char *step)
{
	char line[ASH_ENTER_MAX_ANSWER_BYTES];

	snprintf(line, sizeof line, "%s: %s", step, strerror(errno));
	fprintf(stderr, "ashlar-enter: %s\n", line);
	ash_enter_answer("failed ", line);
	_exit(ASH_ENTER_EXIT_FAILED);
}

/* ---- orders -------------------------------------------------------------------------------------- */

static void malformed(void)
{
	errno = EBADMSG;
	ash_enter_fail("orders");
}

/* @count texts that follow each other; NULL-terminated. */
static const char **read_texts(const char **at, const char *end, uint32_t count)
{
	if (count > ASH_ENTER_MAX_BYTES / sizeof(char *))
		malformed();
	const char **texts = calloc((size_t) count + 1, sizeof *texts);

	if (texts == NULL)
		ash_enter_fail("orders");
	for (uint32_t i = 0; i < count; i++) {
		const char *nul = *at < end ? memchr(*at, 0, (size_t) (end - *at)) : NULL;
		if (nul == NULL)
			malformed();
		texts[i] = *at;
		*at = nul + 1;
	}
	return texts;
}

static void read_plan(Plan *plan)
{
	struct stat st;

	if (fstat(ASH_ENTER_FD_ORDERS, &st) < 0)
		ash_enter_fail("orders");
	if (st.st_size < (off_t) sizeof *plan->orders || st.st_size > ASH_ENTER_MAX_BYTES)
		malformed();
	size_t size = (size_t) st.st_size;
	const char *start = mmap(NULL, size, PROT_READ, MAP_PRIVATE, ASH_ENTER_FD_ORDERS, 0);
	if (start == MAP_FAILED)
		ash_enter_fail("orders");
	plan->orders = (const void *) start;
	const AshEnterOrders *orders = plan->orders;
	if (orders->magic != ASH_ENTER_MAGIC || orders->size != size || orders->arguments == 0)
		malformed();
	const char *at = start + sizeof *orders, *end = start + size;
	const char **directory = read_texts(&at, end, 1);
	plan->directory = directory[0];
	plan->arguments = (char **) (uintptr_t) read_texts(&at, end, orders->arguments);
	plan->environment = (char **) (uintptr_t) read_texts(&at, end, orders->environment);
	plan->writable = read_texts(&at, end, orders->writable);
	plan->removed = read_texts(&at, end, orders->removed);
	size_t offset = ((size_t) (at - start) + 7) & ~(size_t) 7;
	for (unsigned i = 0; i < ASH_ENTER_MAX_FILTERS; i++) {
		if (offset > size || orders->filter_bytes[i] > size - offset)
			malformed();
		plan->filters[i] = start + offset;
		offset += orders->filter_bytes[i];
	}
}

/* ---- steps --------------------------------------------------------------------------------------- */

static void close_descriptors(void)
{
	if (syscall(SYS_close_range, ASH_ENTER_FD_PROGRAM, ~0U, 0) < 0)
		ash_enter_fail("descriptors");
	if (syscall(SYS_close_range, ASH_ENTER_FD_ORDERS, ASH_ENTER_FD_ANSWER, 4U /* CLOEXEC */) <
			0)
		ash_enter_fail("descriptors");
}

/* What the runtime put there for itself, as far as it lets go of it. */
static void remove_paths(const Plan *plan)
{
	for (uint32_t i = 0; i < plan->orders->removed; i++) {
		(void) !umount2(plan->removed[i], MNT_DETACH);
		(void) !unlink(plan->removed[i]);
	}
}

static const char *find_environment(const Plan *plan, const char *name)
{
	size_t size = strlen(name);

	for (char **entry = plan->environment; *entry != NULL; entry++)
		if (strncmp(*entry, name, size) == 0 && (*entry)[size] == '=')
			return *entry + size + 1;
	return NULL;
}

/* As execvpe, but by the PATH that the command will have. */
static void execute(const Plan *plan)
{
	const char *name = plan->arguments[0], *path = find_environment(plan, "PATH");
	char file[4096 + 256];
	int cause = ENOENT;

	if (strchr(name, '/') != NULL || path == NULL) {
		execve(name, plan->arguments, plan->environment);
		return;
	}
	while (*path != '\0') {
		int size = (int) strcspn(path, ":");
		if (snprintf(file, sizeof file, "%.*s/%s", size, path, name) < (int) sizeof file)
			execve(file, plan->arguments, plan->environment);
		if (errno != ENOENT && errno != ENOTDIR)
			cause = errno;
		path += size;
		path += *path == ':';
	}
	errno = cause;
}

static void become_command(const Plan *plan) __attribute__((noreturn));
static void become_command(const Plan *plan)
{
	sigset_t none;

	sigemptyset(&none);
	if (chdir(plan->directory) < 0)
		ash_enter_fail(plan->directory);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	while ((plan->orders->flags & ASH_ENTER_IDLE) != 0)
		pause();
	ash_enter_shield(plan->orders, plan->writable);
	ash_enter_filter(plan->orders, plan->filters);
	execute(plan);
	/* Not every filter lets words out. */
	ash_enter_fail(plan->arguments[0]);
}

/* ---- first process ------------------------------------------------------------------------------- */

static void tell_end(int status) __attribute__((noreturn));
static void tell_end(int status)
{
	bool is_signal = WIFSIGNALED(status);
	int number = is_signal ? WTERMSIG(status) : WEXITSTATUS(status);
	char text[32];

	snprintf(text, sizeof text, "%d", number);
	ash_enter_answer(is_signal ? "signal " : "code ", text);
	_exit(is_signal ? 128 + number : number);
}

static void reap(pid_t command)
{
	int status = 0;
	pid_t pid = 0;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == command)
			tell_end(status);
}

/* The kernel keeps from a first process every signal that it does not ask for, and gives it every orphan. */
static void stay(const Plan *plan) __attribute__((noreturn));
static void stay(const Plan *plan)
{
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t command = fork();
	if (command < 0)
		ash_enter_fail("fork");
	if (command == 0) {
		if (setsid() < 0)
			ash_enter_fail("session");
		become_command(plan);
	}
	for (;;) {
		int number = sigwaitinfo(&all, NULL);
		if (number == SIGCHLD)
			reap(command);
		else if (number > 0)
			kill(command, number);
	}
}

static void check_launcher(void)
{
	struct pollfd poll_fd = {.fd = ASH_ENTER_FD_ANSWER};

	if (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLHUP | POLLERR)) != 0)
		_exit(ASH_ENTER_EXIT_FAILED);
}

static void on_end(int number)
{
	_exit(128 + number);
}

/* Without orders: the first process of an instance on a kernel of its own, which confines it by itself. */
static void stay_idle(void) __attribute__((noreturn));
static void stay_idle(void)
{
	/* What a first process has no handler for does not reach it. */
	signal(SIGTERM, on_end);
	signal(SIGINT, on_end);
	signal(SIGCHLD, SIG_IGN);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	Plan plan = {0};

	if (argc == 2 && strcmp(argv[1], ASH_ENTER_IDLE_WORD) == 0)
		stay_idle();

	close_descriptors();
	read_plan(&plan);
	remove_paths(&plan);
	if ((plan.orders->flags & ASH_ENTER_HAS_BOOT) == 0)
		ash_enter_limit(plan.orders);
	ash_enter_drop(plan.orders);
	/* It may have ended before the kernel was told to end this one with it. */
	check_launcher();
	/* A neighbour of the same user must not look into it: it is the first process. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		ash_enter_fail("dumpable");
	ash_enter_answer("running", "");
	if ((plan.orders->flags & ASH_ENTER_INIT) != 0)
		stay(&plan);
	if ((plan.orders->flags & ASH_ENTER_HAS_BOOT) == 0)
		(void) !setsid();
	become_command(&plan);
}
