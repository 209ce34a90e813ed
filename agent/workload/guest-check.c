/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/workload/guest.h"

/* What ashlar-check does for a container, where it looks into the workload from the host: here nothing but this process
 * can look. No names but localhost are resolved, and TLS is not spoken: a command does that.
 */

enum {
	PASSES = 0,
	FAILS = 1,
	USAGE = 2,
	NOBODY = 65534,
	LATER_MS = 250, /* those that know what they wait for give up by themselves first */
	MAX_LINE = 256,
};

static char late_line[MAX_LINE + 64];

static void on_alarm(int number)
{
	(void) number;
	(void) !write(STDOUT_FILENO, late_line, strlen(late_line));
	_exit(FAILS);
}

static int say(bool is_passing, const char *target, const char *text)
{
	printf("%.160s: %s\n", target, text);
	fflush(stdout);
	return is_passing ? PASSES : FAILS;
}

/* "HOST:PORT", "[HOST]:PORT" */
static bool parse_target(
		const char *text, struct sockaddr_storage *out_address, socklen_t *out_size)
{
	struct sockaddr_in *four = (struct sockaddr_in *) out_address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *) out_address;
	const char *colon = strrchr(text, ':');
	char host[64];

	if (colon == NULL || colon == text)
		return false;
	bool is_six = text[0] == '[' && colon[-1] == ']';
	size_t size = (size_t) (colon - text) - (is_six ? 2 : 0);
	if (size == 0 || size >= sizeof host)
		return false;
	memcpy(host, text + is_six, size);
	host[size] = '\0';
	in_port_t port = htons((uint16_t) strtoul(colon + 1, NULL, 10));
	memset(out_address, 0, sizeof *out_address);
	if (is_six) {
		*out_size = sizeof *six;
		six->sin6_family = AF_INET6;
		six->sin6_port = port;
		return inet_pton(AF_INET6, host, &six->sin6_addr) == 1;
	}
	*out_size = sizeof *four;
	four->sin_family = AF_INET;
	four->sin_port = port;
	return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
			       &four->sin_addr) == 1;
}

/* The connection; -1, and it has been said. */
static int dial(const char *target, const char *host_port)
{
	struct sockaddr_storage address;
	socklen_t size;

	if (!parse_target(host_port, &address, &size)) {
		say(false, target,
				"inside a machine an address or localhost is looked at; a command can look at names");
		return -1;
	}
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *) &address, size) == 0)
		return fd;
	say(false, target, strerror(errno));
	return -1;
}

static int check_tcp(const char *target)
{
	return dial(target, target) < 0 ? FAILS : say(true, target, "connected");
}

static int check_http(const char *url)
{
	static const char scheme[] = "http://";
	char host_port[128], request[2048], answer[64] = "";
	size_t filled = 0;

	if (strncmp(url, scheme, sizeof scheme - 1) != 0)
		return say(false, url,
				"inside a machine http is looked at; a command can look at https");
	const char *host = url + sizeof scheme - 1;
	size_t size = strcspn(host, "/?#");
	const char *path = host[size] == '/' ? host + size : "/";
	bool has_port = size > 0 && memrchr(host, ':', size) != NULL && host[size - 1] != ']';
	snprintf(host_port, sizeof host_port, "%.*s%s", (int) size, host, has_port ? "" : ":80");
	int fd = dial(url, host_port);
	if (fd < 0)
		return FAILS;
	int length = snprintf(request, sizeof request,
			"GET %.*s HTTP/1.0\r\nHost: %.*s\r\nUser-Agent: ashlar\r\nConnection: close\r\n\r\n",
			(int) strcspn(path, "#"), path, (int) size, host);
	if (length >= (int) sizeof request ||
			send(fd, request, (size_t) length, MSG_NOSIGNAL) != length)
		return say(false, url, "the question could not be sent");
	for (ssize_t n; filled < sizeof answer - 1 &&
			(n = recv(fd, answer + filled, sizeof answer - 1 - filled, 0)) > 0;)
		filled += (size_t) n;
	unsigned status = 0;
	if (sscanf(answer, "HTTP/%*[0-9.] %3u", &status) != 1)
		return say(false, url, "that is no answer of HTTP");
	snprintf(answer, sizeof answer, "%u", status);
	return say(status >= 200 && status <= 299, url, answer);
}

static int check_file(const char *path)
{
	struct stat info;

	return stat(path, &info) < 0 ? say(false, path, strerror(errno))
				     : say(true, path, "exists");
}

static int check_space(const char *path, const char *bytes, const char *inodes)
{
	struct statvfs vfs;
	char text[128];

	if (statvfs(path, &vfs) < 0)
		return say(false, path, strerror(errno));
	unsigned long long free_bytes = (unsigned long long) vfs.f_bavail * vfs.f_frsize;
	unsigned long long wanted = strtoull(bytes, NULL, 10);
	/* A file system without a table of inodes has as many as it has space. */
	bool has_inodes = vfs.f_files == 0 || vfs.f_favail >= strtoull(inodes, NULL, 10);
	snprintf(text, sizeof text, "%llu kB free, %llu kB wanted%s", free_bytes / 1000,
			wanted / 1000, has_inodes ? "" : ", and too few inodes");
	return say(free_bytes >= wanted && has_inodes, path, text);
}

static bool become_nobody(void)
{
	return setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
	       setresuid(NOBODY, NOBODY, NOBODY) == 0;
}

static void set_timeout(const char *timeout, const char *target)
{
	unsigned long ms = strtoul(timeout, NULL, 10);

	snprintf(late_line, sizeof late_line, "%.160s: no answer within %lu ms\n", target, ms);
	signal(SIGALRM, on_alarm);
	ms += LATER_MS;
	alarm((unsigned) ((ms + 999) / 1000));
}

int ash_guest_check(const char *const *words, unsigned n)
{
	if (n < 3)
		return USAGE;
	const char *kind = words[1], *target = words[2];
	set_timeout(words[0], target);
	if (strcmp(kind, "file") == 0)
		return check_file(target);
	if (strcmp(kind, "space") == 0 && n == 5)
		return check_space(target, words[3], words[4]);
	/* Who connects has no right to anything. */
	if (!become_nobody())
		return say(false, target, strerror(errno));
	if (strcmp(kind, "tcp") == 0)
		return check_tcp(target);
	if (strcmp(kind, "http") == 0)
		return check_http(target);
	return say(false, target, "this cannot be looked at inside a machine: use a command");
}
