/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/health.h"
#include "lib/auto.h"
#include "lib/fetch-probe.h"
#include "lib/health-spec.h"
#include "lib/text.h"

/* ashlar-check: looks at one thing once and says in one line what it saw. agent/health-run.h runs it for
 * health checks; people may too. It keeps nothing and writes nothing but that line.
 */

enum {
	EXIT_PASS = 0,
	EXIT_FAIL = 1,
	EXIT_USAGE = 2,
	DEFAULT_TIMEOUT_MS = 10000,
	MAX_TIMEOUT_MS = 3600 * 1000,
	NOBODY = 65534,
};

static const char help[] =
		"Usage: ashlar-check [OPTION…] KIND ARGUMENT…\n"
		"\n"
		"Does one health check, prints a line about what it saw, and ends with exit code\n"
		"0 (it holds), 1 (it does not) or 2 (usage).\n"
		"\n"
		"Kinds:\n"
		"  tcp HOST:PORT               something accepts a connection\n"
		"  http URL                    the answer has a status of 200 to 299\n"
		"  dns NAME                    the name has an address\n"
		"  file PATH                   the path exists\n"
		"  space PATH BYTES INODES     that much is free on the file system of the path\n"
		"\n"
		"Options:\n"
		"  --inside PID                what that process sees: its network, its files\n"
		"  --nameserver ADDRESS        with it: whom to ask for names\n"
		"  --timeout DURATION          500ms, 10s, 5min, at most 1h (default: 10s)\n"
		"  --help                      this text\n"
		"  --version                   the version\n";

/* ---- saying it ----------------------------------------------------------------------------------- */

/* What is said when time is up, made before that can happen. */
static char timeout_line[ASH_HEALTH_MAX_TEXT_BYTES + 1];
static size_t timeout_size;

static void on_alarm(int number)
{
	/* Nobody is left to tell when this fails. */
	if (write(STDOUT_FILENO, timeout_line, timeout_size) < 0)
		_exit(EXIT_FAIL);
	_exit(EXIT_FAIL);
}

G_GNUC_PRINTF(2, 3)
static int say(bool is_passing, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	g_autofree char *clean = ash_health_clean_text(text, strlen(text));
	puts(clean);
	return is_passing ? EXIT_PASS : EXIT_FAIL;
}

static int usage(const char *text)
{
	fprintf(stderr, "ashlar-check: %s; see --help\n", text);
	return EXIT_USAGE;
}

/* Whatever hangs, the name server or the disk: one clock for all. */
static void set_timeout(uint32_t timeout_ms, const char *target)
{
	g_autofree char *line =
			g_strdup_printf("%.140s: no answer within %u ms", target, timeout_ms);
	g_autofree char *clean = ash_health_clean_text(line, strlen(line));
	const struct sigaction action = {.sa_handler = on_alarm};
	/* A little later than those that know what they wait for give up by themselves. */
	uint32_t alarm_ms = timeout_ms + 250;
	const struct itimerval timer = {.it_value = {.tv_sec = alarm_ms / 1000,
							.tv_usec = (alarm_ms % 1000) * 1000}};

	timeout_size = (size_t) g_snprintf(timeout_line, sizeof timeout_line, "%.199s\n", clean);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* ---- names and connections ----------------------------------------------------------------------- */

static char *describe_address(const struct addrinfo *address)
{
	char text[NI_MAXHOST];

	if (getnameinfo(address->ai_addr, address->ai_addrlen, text, sizeof text, NULL, 0,
			    NI_NUMERICHOST) != 0)
		return g_strdup("?");
	return g_strdup(text);
}

static int check_dns(const char *name, uint32_t timeout_ms)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int code = getaddrinfo(name, NULL, &hints, &found);

	if (code != 0)
		return say(false, "%s: %s", name, gai_strerror(code));
	g_autofree char *first = describe_address(found);
	freeaddrinfo(found);
	return say(true, "%s: %s", name, first);
}

/* 0, or why there is no connection. */
static int try_connect(const struct addrinfo *address, int timeout_ms)
{
	ash_autofd int fd = socket(address->ai_family,
			address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
	int code = 0;
	socklen_t size = sizeof code;

	if (fd < 0)
		return errno;
	if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	struct pollfd event = {.fd = fd, .events = POLLOUT};
	int n = poll(&event, 1, timeout_ms);
	if (n <= 0)
		return n == 0 ? ETIMEDOUT : errno;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 ? errno : code;
}

static int connect_any(const struct addrinfo *found, uint32_t timeout_ms)
{
	int n_addresses = 0;
	int code = ETIMEDOUT;

	for (const struct addrinfo *address = found; address != NULL; address = address->ai_next)
		n_addresses++;
	/* A part of the time each, or one that swallows packets would hide one that answers. */
	for (const struct addrinfo *address = found; address != NULL; address = address->ai_next) {
		code = try_connect(address, (int) timeout_ms / n_addresses);
		if (code == 0)
			return 0;
	}
	return code;
}

static int check_tcp(const char *target, uint32_t timeout_ms)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	const char *colon = strrchr(target, ':');
	bool is_literal = *target == '[';

	g_assert(colon != NULL); /* ash_health_is_target */
	g_autofree char *host = is_literal ? g_strndup(target + 1, (size_t) (colon - target) - 2)
					   : g_strndup(target, (size_t) (colon - target));
	int code = getaddrinfo(host, colon + 1, &hints, &found);
	if (code != 0)
		return say(false, "%s: %s", target, gai_strerror(code));
	code = connect_any(found, timeout_ms);
	freeaddrinfo(found);
	return say(code == 0, "%s: %s", target, code == 0 ? "connected" : g_strerror(code));
}

static int check_http(const char *url, uint32_t timeout_ms)
{
	g_autoptr(GError) error = NULL;
	unsigned status = 0;

	if (!ash_fetch_probe(url, timeout_ms, &status, &error))
		return say(false, "%s: %s", url, error->message);
	return say(status >= 200 && status <= 299, "%s: %u", url, status);
}

/* ---- files --------------------------------------------------------------------------------------- */

static int check_file(const char *path, uint32_t timeout_ms)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return say(false, "%s: %s", path, g_strerror(errno));
	return say(true, "%s: exists", path);
}

static int check_space(const char *path, uint64_t bytes, uint64_t inodes)
{
	struct statvfs vfs;

	if (statvfs(path, &vfs) < 0)
		return say(false, "%s: %s", path, g_strerror(errno));
	uint64_t free_bytes = (uint64_t) vfs.f_bavail * vfs.f_frsize;
	/* A file system without a table of inodes has as many as it has space. */
	uint64_t free_inodes = vfs.f_files == 0 ? UINT64_MAX : vfs.f_favail;
	g_autofree char *there = ash_text_size(free_bytes);
	g_autofree char *wanted = ash_text_size(bytes);
	if (free_bytes < bytes)
		return say(false, "%s: %s free, %s wanted", path, there, wanted);
	if (free_inodes < inodes)
		return say(false, "%s: %" PRIu64 " inodes free, %" PRIu64 " wanted", path,
				free_inodes, inodes);
	return say(true, "%s: %s free", path, there);
}

/* ---- arguments ----------------------------------------------------------------------------------- */

static int check_space_words(char **words)
{
	guint64 bytes;
	guint64 inodes;

	if (!g_ascii_string_to_unsigned(words[1], 10, 0, INT64_MAX, &bytes, NULL) ||
			!g_ascii_string_to_unsigned(words[2], 10, 0, INT64_MAX, &inodes, NULL))
		return usage("BYTES and INODES are whole numbers");
	return check_space(words[0], bytes, inodes);
}

static bool put_file(const char *path, const char *text)
{
	ash_autofd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	size_t size = strlen(text);

	return fd >= 0 && write(fd, text, size) == (ssize_t) size && fchmod(fd, 0644) == 0;
}

/* An /etc of this process alone, in which names are @nameservers' matter: the host's own resolver is not there, or is
 * another's. Whom to trust stays.
 */
static bool replace_etc(char **nameservers)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autofree char *trusted = NULL;
	ash_autofd int ssl = -1;

	for (char **server = nameservers; server != NULL && *server != NULL; server++)
		g_string_append_printf(text, "nameserver %s\n", *server);
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return false;
	ssl = open("/etc/ssl", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (mount("tmpfs", "/etc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			    "mode=755,size=64k") != 0 ||
			!put_file("/etc/resolv.conf", text->str) ||
			!put_file("/etc/nsswitch.conf", "hosts: files dns\n") ||
			!put_file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"))
		return false;
	if (ssl < 0)
		return true;
	trusted = g_strdup_printf("/proc/self/fd/%d", ssl);
	return mkdir("/etc/ssl", 0755) == 0 &&
	       mount(trusted, "/etc/ssl", NULL, MS_BIND | MS_REC, NULL) == 0;
}

static bool is_same_file(int fd, const char *path)
{
	struct stat one, other;

	return fstat(fd, &one) == 0 && stat(path, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

/* Of the process @pid, whoever it is: its network for what is connected to, its root for what is only looked at. No
 * library is loaded from there, and who connects is nobody.
 */
static bool go_inside(const char *pid, bool is_file, char **nameservers)
{
	g_autofree char *name = g_strdup_printf("/proc/%s/%s", pid, is_file ? "root" : "ns/net");
	ash_autofd int fd = open(name, (is_file ? O_PATH | O_DIRECTORY : O_RDONLY) | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (is_file)
		return fchdir(fd) == 0 && chroot(".") == 0 && chdir("/") == 0;
	if (!is_same_file(fd, "/proc/self/ns/net") && !replace_etc(nameservers))
		return false;
	return setns(fd, CLONE_NEWNET) == 0 && setgroups(0, NULL) == 0 &&
	       setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0;
}

static int run(const char *kind_name, char **words, int n_words, const char *inside,
		char **nameservers, uint32_t timeout_ms)
{
	static int (*const checks[])(const char *target, uint32_t timeout_ms) = {
			[ASH_HEALTH_TCP] = check_tcp,
			[ASH_HEALTH_HTTP] = check_http,
			[ASH_HEALTH_DNS] = check_dns,
			[ASH_HEALTH_FILE] = check_file,
			[ASH_HEALTH_SPACE] = NULL,
	};
	AshHealthKind kind;

	if (!ash_health_kind_find(kind_name, &kind) || kind == ASH_HEALTH_UNIT ||
			kind == ASH_HEALTH_COMMAND)
		return usage("there is no such kind of check");
	if (n_words != (kind == ASH_HEALTH_SPACE ? 3 : 1))
		return usage("wrong number of arguments");
	if (!ash_health_is_target(kind, words[0]))
		return usage("the argument is not of the form that this kind takes");
	set_timeout(timeout_ms, words[0]);
	bool is_file = kind == ASH_HEALTH_FILE || kind == ASH_HEALTH_SPACE;
	if (inside != NULL && !go_inside(inside, is_file, nameservers))
		return say(false, "%s: cannot look into process %s: %s", words[0], inside,
				g_strerror(errno));
	return checks[kind] == NULL ? check_space_words(words) : checks[kind](words[0], timeout_ms);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"timeout", required_argument, NULL, 't'},
			{"inside", required_argument, NULL, 'i'},
			{"nameserver", required_argument, NULL, 'n'},
			{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'}, {0}};
	uint32_t timeout_ms = DEFAULT_TIMEOUT_MS;
	g_autoptr(GStrvBuilder) servers = g_strv_builder_new();
	const char *inside = NULL;

	/* '+': no options behind the kind. */
	for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
		switch (c) {
		case 't':
			if (!ash_health_parse_duration(optarg, &timeout_ms) || timeout_ms == 0 ||
					timeout_ms > MAX_TIMEOUT_MS)
				return usage("--timeout needs a duration, as in 500ms or 10s");
			break;
		case 'i':
			inside = optarg;
			if (*inside == '\0' || strspn(inside, "0123456789") != strlen(inside))
				return usage("--inside needs the number of a process");
			break;
		case 'n':
			if (!g_hostname_is_ip_address(optarg))
				return usage("--nameserver needs an address");
			g_strv_builder_add(servers, optarg);
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_PASS;
		case 'v':
			puts("ashlar-check " ASH_VERSION);
			return EXIT_PASS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind >= argc)
		return usage("a kind of check is missing");
	g_auto(GStrv) nameservers = g_strv_builder_end(servers);
	return run(argv[optind], argv + optind + 1, argc - optind - 1, inside, nameservers,
			timeout_ms);
}
