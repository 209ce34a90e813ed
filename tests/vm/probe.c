/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The hand of the tests inside a machine: the host has no shell, and nothing in it listens. It is in
 * images of tests/vm/probe.yaml only, static, and speaks over the virtio-serial port
 * "org.ashlar.probe" with tests/lib/vm.bash.
 *
 *	→ ID TAB SECONDS TAB ARGV0 TAB ARGV1 …      runs a program, at most that long
 *	← hello BOOT-ID                             once a start
 *	← ID : LINE                                 of its stdout and stderr
 *	← ID = EXIT-CODE                            128 + N for a signal, 124 for too long
 *
 * What a shell would have is built in, as programs whose names begin with '@' (see `tools`). The same
 * work when given as arguments: `probe @write FILE TEXT`.
 */

#define PORT_NAME "org.ashlar.probe"

enum {
	MAX_REQUEST_BYTES = 64 << 10,
	MAX_ARGUMENTS = 256,
	PORT_WAIT_MS = 200,
	PORT_TRIES = 300,
	BLOCK_BYTES = 1 << 16,
	EXIT_TIMEOUT = 124,
	EXIT_NO_PROGRAM = 127,
};

/* ---- what a shell would have ----------------------------------------------------------------- */

static int complain(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

static int tool_cat(char **argv)
{
	char buffer[BLOCK_BYTES];

	for (; *argv != NULL; argv++) {
		ssize_t n;
		int fd = open(*argv, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return complain(*argv);
		while ((n = read(fd, buffer, sizeof buffer)) > 0)
			fwrite(buffer, 1, (size_t) n, stdout);
		if (n < 0)
			return complain(*argv);
		close(fd);
	}
	return 0;
}

/* FILE TEXT…: a line each; no newline after a single one, for files of the kernel. */
static int tool_write(char **argv)
{
	FILE *file = argv[0] != NULL ? fopen(argv[0], "we") : NULL;

	if (file == NULL)
		return complain("@write");
	for (int i = 1; argv[i] != NULL; i++)
		fprintf(file, "%s%s", argv[i], argv[2] != NULL ? "\n" : "");
	if (fflush(file) != 0 || ferror(file) || fclose(file) != 0)
		return complain(argv[0]);
	return 0;
}

static int tool_ls(char **argv)
{
	for (; *argv != NULL; argv++) {
		DIR *dir = opendir(*argv);
		struct dirent *entry;
		if (dir == NULL)
			return complain(*argv);
		while ((entry = readdir(dir)) != NULL)
			if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
				puts(entry->d_name);
		closedir(dir);
	}
	return 0;
}

/* PATH…: "mode uid gid size path" */
static int tool_stat(char **argv)
{
	for (; *argv != NULL; argv++) {
		struct stat st;
		if (lstat(*argv, &st) < 0)
			return complain(*argv);
		printf("%o %u %u %lld %s\n", st.st_mode, st.st_uid, st.st_gid,
				(long long) st.st_size, *argv);
	}
	return 0;
}

static int tool_rm(char **argv)
{
	for (; *argv != NULL; argv++)
		if (remove(*argv) < 0 && errno != ENOENT)
			return complain(*argv);
	return 0;
}

static int tool_mv(char **argv)
{
	if (argv[0] == NULL || argv[1] == NULL || rename(argv[0], argv[1]) < 0)
		return complain("@mv");
	return 0;
}

static int tool_mkdir(char **argv)
{
	for (; *argv != NULL; argv++)
		if (mkdir(*argv, 0755) < 0 && errno != EEXIST)
			return complain(*argv);
	return 0;
}

/* FILE [LEFT]: writes until the file system is full, but for LEFT bytes. */
static int tool_fill(char **argv)
{
	static char block[BLOCK_BYTES];
	uint64_t left = argv[0] != NULL && argv[1] != NULL ? strtoull(argv[1], NULL, 10) : 0;
	struct statvfs fs;
	struct stat about;
	int fd = argv[0] != NULL ? open(argv[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
				 : -1;

	if (fd < 0)
		return complain("@fill");
	/* Most of it at once: an emulated machine writes a gigabyte in minutes. */
	while (fstatvfs(fd, &fs) == 0 && fs.f_bfree * fs.f_frsize / 2 > left + sizeof block &&
			fstat(fd, &about) == 0 &&
			fallocate(fd, 0, about.st_size, (off_t) (fs.f_bfree * fs.f_frsize / 2)) ==
					0)
		;
	while (fstatvfs(fd, &fs) == 0 && fs.f_bfree * fs.f_frsize > left + sizeof block)
		if (write(fd, block, sizeof block) <= 0)
			break;
	return fsync(fd) < 0 && errno != ENOSPC ? complain(argv[0]) : 0;
}

/* PATH: makes a mount writable, for everybody. */
static int tool_remount(char **argv)
{
	if (argv[0] == NULL || mount(NULL, argv[0], NULL, MS_REMOUNT | MS_BIND, NULL) < 0)
		return complain("@remount");
	return 0;
}

/* FILE SECONDS: the file is there for so long. */
static int tool_hold(char **argv)
{
	if (argv[0] == NULL || argv[1] == NULL)
		return 1;
	int fd = open(argv[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return complain(argv[0]);
	close(fd);
	poll(NULL, 0, 1000 * atoi(argv[1]));
	return unlink(argv[0]) < 0 ? complain(argv[0]) : 0;
}

/* ADDRESS PORT UID GID: as that user, by TCP. What a firewall drops is given up after five seconds. */
static int tool_connect(char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct timeval limit = {.tv_sec = 5};

	for (int i = 0; i < 4; i++)
		if (argv[i] == NULL)
			return 2;
	to.sin_port = htons((uint16_t) atoi(argv[1]));
	if (inet_pton(AF_INET, argv[0], &to.sin_addr) != 1 || setgroups(0, NULL) < 0 ||
			setgid((gid_t) atoi(argv[3])) < 0 || setuid((uid_t) atoi(argv[2])) < 0)
		return 2;
	/* A socket belongs to who made it. */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
		return 2;
	return connect(fd, (struct sockaddr *) &to, sizeof to) < 0 ? complain(argv[0]) : 0;
}

static int tool_exit(char **argv)
{
	return argv[0] != NULL ? atoi(argv[0]) : 0;
}

static int tool_kill(char **argv)
{
	if (argv[0] == NULL || argv[1] == NULL || kill((pid_t) atoi(argv[1]), atoi(argv[0])) < 0)
		return complain("@kill");
	return 0;
}

static int tool_segv(char **argv)
{
	(void) argv;
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
	return 1;
}

/* [SECONDS]: a pause between two looks */
static int tool_nap(char **argv)
{
	poll(NULL, 0, argv[0] != NULL ? 1000 * atoi(argv[0]) : 2000);
	return 0;
}

static int tool_sync(char **argv)
{
	(void) argv;
	sync();
	return 0;
}

static const struct {
	const char *name;
	int (*run)(char **argv);
} tools[] = {
		{"@cat", tool_cat},
		{"@connect", tool_connect},
		{"@exit", tool_exit},
		{"@fill", tool_fill},
		{"@hold", tool_hold},
		{"@kill", tool_kill},
		{"@ls", tool_ls},
		{"@mkdir", tool_mkdir},
		{"@mv", tool_mv},
		{"@nap", tool_nap},
		{"@remount", tool_remount},
		{"@rm", tool_rm},
		{"@segv", tool_segv},
		{"@stat", tool_stat},
		{"@sync", tool_sync},
		{"@write", tool_write},
};

static int run_tool(char **argv)
{
	for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++)
		if (strcmp(tools[i].name, argv[0]) == 0)
			return tools[i].run(argv + 1);
	fprintf(stderr, "no tool %s\n", argv[0]);
	return EXIT_NO_PROGRAM;
}

/* ---- one request ----------------------------------------------------------------------------- */

static int port = -1;

static void say(const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(port, text, size);
		if (n < 0 && errno == EINTR)
			continue;
		/* Nobody is at the other end: a machine without a test. */
		if (n <= 0)
			return;
		text += n;
		size -= (size_t) n;
	}
}

static void say_line(const char *id, char mark, const char *text, size_t size)
{
	char head[64];
	int n = snprintf(head, sizeof head, "%.40s %c ", id, mark);

	say(head, (size_t) n);
	say(text, size);
	say("\n", 1);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static pid_t start(char **argv, int *out_fd)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid_t child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
		setpgid(0, 0);
		dup2(null, STDIN_FILENO);
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		if (argv[0][0] == '@') {
			int code = run_tool(argv);
			fflush(stdout);
			_exit(code);
		}
		execv(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(EXIT_NO_PROGRAM);
	}
	close(ends[1]);
	*out_fd = ends[0];
	return child;
}

/* Sends what comes as lines; false at the end of it or when the time is over. */
static bool pass_on(const char *id, int fd, char *line, size_t *used, int64_t deadline_ms)
{
	int64_t left_ms = deadline_ms - now_ms();
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	if (left_ms <= 0 || poll(&wait, 1, (int) left_ms) <= 0)
		return false;
	ssize_t n = read(fd, line + *used, BLOCK_BYTES - *used);
	if (n <= 0)
		return false;
	*used += (size_t) n;
	for (char *end; (end = memchr(line, '\n', *used)) != NULL;) {
		size_t size = (size_t) (end - line);
		say_line(id, ':', line, size);
		*used -= size + 1;
		memmove(line, end + 1, *used);
	}
	if (*used == BLOCK_BYTES) {
		say_line(id, ':', line, *used);
		*used = 0;
	}
	return true;
}

static void run(const char *id, int64_t timeout_ms, char **argv)
{
	static char line[BLOCK_BYTES];
	char text[16];
	size_t used = 0;
	int status = 0;
	int fd = -1;
	int64_t deadline_ms = now_ms() + timeout_ms;
	pid_t child = start(argv, &fd);

	if (child < 0) {
		say_line(id, '=', "126", 3);
		return;
	}
	while (pass_on(id, fd, line, &used, deadline_ms))
		;
	bool is_late = now_ms() >= deadline_ms;
	if (is_late)
		kill(-child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	close(fd);
	if (used > 0)
		say_line(id, ':', line, used);
	int code = is_late             ? EXIT_TIMEOUT
		   : WIFEXITED(status) ? WEXITSTATUS(status)
				       : 128 + WTERMSIG(status);
	int n = snprintf(text, sizeof text, "%d", code);
	say_line(id, '=', text, (size_t) n);
}

static void handle(char *line)
{
	char *argv[MAX_ARGUMENTS + 1];
	char *words[MAX_ARGUMENTS + 3];
	size_t n = 0;

	while (line != NULL && n < MAX_ARGUMENTS + 2)
		words[n++] = strsep(&line, "\t");
	if (n < 3)
		return;
	memcpy(argv, words + 2, (n - 2) * sizeof argv[0]);
	argv[n - 2] = NULL;
	run(words[0], strtoll(words[1], NULL, 10) * 1000, argv);
}

/* ---- the port -------------------------------------------------------------------------------- */

static bool read_first_line(const char *path, char *buffer, size_t size)
{
	FILE *file = fopen(path, "re");
	bool is_read = file != NULL && fgets(buffer, (int) size, file) != NULL;

	if (file != NULL)
		fclose(file);
	if (is_read)
		buffer[strcspn(buffer, "\n")] = '\0';
	return is_read;
}

static int open_port(void)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *entry;
	int fd = -1;

	while (dir != NULL && fd < 0 && (entry = readdir(dir)) != NULL) {
		char path[512];
		char name[64];
		snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
		if (!read_first_line(path, name, sizeof name) || strcmp(name, PORT_NAME) != 0)
			continue;
		snprintf(path, sizeof path, "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (dir != NULL)
		closedir(dir);
	return fd;
}

static int serve(void)
{
	static char request[MAX_REQUEST_BYTES];
	char boot[64] = "";
	char hello[96];
	size_t used = 0;

	signal(SIGPIPE, SIG_IGN);
	/* The driver is loaded while the machine starts. */
	for (int i = 0; i < PORT_TRIES && (port = open_port()) < 0; i++)
		poll(NULL, 0, PORT_WAIT_MS);
	if (port < 0)
		return complain(PORT_NAME);
	read_first_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
	say(hello, (size_t) snprintf(hello, sizeof hello, "hello %s\n", boot));
	for (;;) {
		ssize_t n = read(port, request + used, sizeof request - used);
		/* 0: nobody is connected now. */
		if (n <= 0) {
			poll(NULL, 0, PORT_WAIT_MS);
			continue;
		}
		used += (size_t) n;
		for (char *end; (end = memchr(request, '\n', used)) != NULL;) {
			size_t size = (size_t) (end - request) + 1;
			*end = '\0';
			handle(request);
			used -= size;
			memmove(request, end + 1, used);
		}
		if (used == sizeof request)
			used = 0;
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && argv[1][0] == '@') {
		int code = run_tool(argv + 1);
		return fflush(stdout) == 0 ? code : 1;
	}
	return serve();
}
