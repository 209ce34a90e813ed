/* SPDX-License-Identifier: Apache-2.0 */
/* Many hosts at a fleet server, from one thread:
 *
 *	fleet-load [OPTION…] MODE PORT
 *
 *	steady     connections that stay; each host checks in at its own times
 *	wait       the same connections, each with a check-in that waits --wait seconds for an order that does not come, and
 *	           then the next; the latency is how late the answer comes
 *	storm      all connect at once, and check in once: as after a restart of the server
 *	fleetlock  each takes and frees its reboot lock, again and again
 *	constant   GET of --path, whatever serves it: what the machine and the connection can do
 *
 *	--identities FILE   of fleet-identities; without: no client certificates
 *	--hosts N  --rate PER_SECOND  --seconds S  --path PATH  --plain (no TLS)  --wait S
 *	--skip N            the first hosts of the file are another's
 *	--acked FILE        at the end each host's name and the last number that it was answered
 *	--connecting N      handshakes at a time; default 100
 *	--pid PID           the server's: its CPU seconds and memory are told
 *
 * The load is an open loop: request n is due at begin + n / rate, of host n mod N, whatever became of the one before; a
 * slow server cannot slow it, and the latency counts from when the request was due. Each host looks at its answers: its
 * own number acknowledged, nothing wanted of it. Prints one JSON object; exit code 1 when an answer was wrong or missing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/histogram.h"
#include "tests/bench/process.h"

enum {
	PORTS_PER_ADDRESS = 20000,
	MAX_ANSWER = 4096,
	PATIENCE_US = 30000000, /* for what is still open at the end */
};

typedef enum {
	STEADY,
	STORM,
	FLEETLOCK,
	CONSTANT,
	WAIT
} Mode;
typedef enum {
	CLOSED,
	CONNECTING,
	HANDSHAKE,
	IDLE,
	SENDING,
	READING
} Phase;

typedef struct {
	uint32_t number;
	int fd;
	Phase phase;
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	uint64_t next, due; /* requests: the next one's number of this host, and how many are due */
	int64_t begun_us, asked_us;
	char *out; /* what is being sent */
	size_t out_size, out_done, in_size, want;
	char *in; /* while an answer is read */
	bool has_lock, is_introduced;
	char id[65]; /* for its lock */
} Host;

static struct {
	Mode mode;
	unsigned port, hosts, connecting, skip;
	double rate, seconds;
	const char *path, *identities, *acked;
	bool is_plain;
	int pid, wait;
} options = {.hosts = 100, .rate = 100, .seconds = 10, .path = "/", .connecting = 100};

static struct {
	uint64_t sent, answered, errors, wrong, refused, handshakes, reconnects;
	Histogram latency;
} counts;

static Host *hosts;
static const char *identity_data;
static size_t *identity_at;
static gnutls_priority_t priority;
static gnutls_certificate_credentials_t anonymous;
static int epoll_fd;
static unsigned open_count, handshaking, next_connect;
static int64_t begin_us, seq_base;

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void die(const char *what)
{
	fprintf(stderr, "fleet-load: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- connections ---- */

static void watch(Host *host, uint32_t events, int operation)
{
	struct epoll_event event = {.events = events, .data.ptr = host};

	if (epoll_ctl(epoll_fd, operation, host->fd, &event) != 0)
		die("epoll_ctl");
}

static void free_credentials(Host *host)
{
	if (host->credentials != NULL)
		gnutls_certificate_free_credentials(host->credentials);
	host->credentials = NULL;
}

static void hang_up(Host *host)
{
	if (host->phase == CLOSED)
		return;
	if (host->phase == CONNECTING || host->phase == HANDSHAKE)
		handshaking--;
	else
		open_count--;
	if (host->session != NULL)
		gnutls_deinit(host->session);
	host->session = NULL;
	free_credentials(host);
	close(host->fd);
	free(host->out);
	free(host->in);
	host->out = host->in = NULL;
	host->phase = CLOSED;
}

static void fail(Host *host)
{
	counts.errors++;
	/* What was asked has no answer; it is asked again on the next connection. */
	hang_up(host);
}

/* A host's id is the hash of its key; it may take its own lock alone. */
static void find_id(Host *host, const gnutls_datum_t *pem)
{
	gnutls_x509_crt_t certificate = NULL;
	unsigned char id[32];
	size_t size = sizeof id;

	if (gnutls_x509_crt_init(&certificate) != 0 ||
			gnutls_x509_crt_import(certificate, pem, GNUTLS_X509_FMT_PEM) != 0 ||
			gnutls_x509_crt_get_key_id(
					certificate, GNUTLS_KEYID_USE_SHA256, id, &size) != 0)
		die("an identity");
	gnutls_x509_crt_deinit(certificate);
	for (unsigned i = 0; i < sizeof id; i++)
		snprintf(host->id + 2 * i, 3, "%02x", id[i]);
}

static void load_identity(Host *host)
{
	const char *at = identity_data + identity_at[host->number];
	uint32_t sizes[2];

	memcpy(sizes, at, sizeof sizes);
	gnutls_datum_t key = {(unsigned char *) (uintptr_t) (at + sizeof sizes), sizes[0]};
	gnutls_datum_t certificate = {key.data + sizes[0], sizes[1]};
	if (gnutls_certificate_allocate_credentials(&host->credentials) != 0 ||
			gnutls_certificate_set_x509_key_mem(host->credentials, &certificate, &key,
					GNUTLS_X509_FMT_PEM) != 0)
		die("an identity");
	if (options.mode == FLEETLOCK)
		find_id(host, &certificate);
}

static void begin_tls(Host *host)
{
	gnutls_certificate_credentials_t credentials = anonymous;

	if (identity_data != NULL) {
		load_identity(host);
		credentials = host->credentials;
	}
	if (gnutls_init(&host->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS) != 0 ||
			gnutls_priority_set(host->session, priority) != 0 ||
			gnutls_credentials_set(
					host->session, GNUTLS_CRD_CERTIFICATE, credentials) != 0)
		die("gnutls");
	gnutls_server_name_set(host->session, GNUTLS_NAME_DNS, "localhost", 9);
	gnutls_transport_set_int(host->session, host->fd);
}

static void dial(Host *host)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t) options.port)};
	int yes = 1;

	host->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (host->fd < 0)
		die("socket (ulimit -n?)");
	from.sin_addr.s_addr = htonl(0x7f000002 + host->number / PORTS_PER_ADDRESS);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(host->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	setsockopt(host->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
	if (bind(host->fd, (struct sockaddr *) &from, sizeof from) != 0)
		die("bind");
	host->phase = CONNECTING;
	handshaking++;
	if (connect(host->fd, (struct sockaddr *) &to, sizeof to) != 0 && errno != EINPROGRESS) {
		fail(host);
		return;
	}
	watch(host, EPOLLOUT, EPOLL_CTL_ADD);
}

/* ---- requests ---- */

static int64_t due_us(const Host *host, uint64_t request)
{
	double n = (double) request * options.hosts + host->number;

	return begin_us + (int64_t) (n / options.rate * 1e6);
}

static char *make_checkin(const Host *host)
{
	static const char first[] =
			",\"state\":{\"state\":\"idle\",\"verdict\":\"good\",\"booted\":{\"commit\":"
			"\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\","
			"\"version\":\"1.0.0\",\"name\":\"host\",\"arch\":\"amd64\"}},"
			"\"health\":{\"verdict\":\"good\"},\"facts\":{\"cpus\":4,\"memory\":8589934592,"
			"\"kernel\":\"6.12.43+deb13-amd64\",\"arch\":\"amd64\",\"virt\":\"kvm\","
			"\"hostname\":\"load\",\"product\":\"Standard PC\",\"agent\":\"0.1.0\"}";
	unsigned number = options.skip + host->number;
	char *body = NULL;
	char *text = NULL;

	if (asprintf(&body,
			    "{\"seq\":%lld,\"instance\":\"%032x\",\"boot\":\"00000000-0000-4000-8000-"
			    "%012x\",\"wait\":%d,\"have\":0%s}",
			    (long long) (seq_base + (int64_t) host->next), number, number,
			    host->is_introduced && options.mode == WAIT ? options.wait : 0,
			    host->is_introduced ? "" : first) < 0 ||
			asprintf(&text,
					"POST /v1/checkin HTTP/1.1\r\nHost: localhost\r\n"
					"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
					strlen(body), body) < 0)
		die("memory");
	free(body);
	return text;
}

static char *make_lock(const Host *host)
{
	char *body = NULL;
	char *text = NULL;

	if (asprintf(&body, "{\"client_params\":{\"id\":\"%s\",\"group\":\"default\"}}", host->id) <
					0 ||
			asprintf(&text,
					"POST /fleetlock/v1/%s HTTP/1.1\r\nHost: localhost\r\n"
					"fleet-lock-protocol: true\r\nContent-Type: application/json\r\n"
					"Content-Length: %zu\r\n\r\n%s",
					host->has_lock ? "steady-state" : "pre-reboot",
					strlen(body), body) < 0)
		die("memory");
	free(body);
	return text;
}

static char *make_get(void)
{
	char *text = NULL;

	if (asprintf(&text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", options.path) < 0)
		die("memory");
	return text;
}

static void go_on(Host *host);

static void ask(Host *host)
{
	host->asked_us = options.mode == STORM  ? begin_us
			 : options.mode == WAIT ? now_us() + (int64_t) options.wait * 1000000
						: due_us(host, host->next);
	host->out = options.mode == CONSTANT    ? make_get()
		    : options.mode == FLEETLOCK ? make_lock(host)
						: make_checkin(host);
	host->out_size = strlen(host->out);
	host->out_done = 0;
	host->phase = SENDING;
	counts.sent++;
	go_on(host);
}

static bool is_right(const Host *host, unsigned status, const char *body)
{
	char wanted[64];

	if (options.mode == CONSTANT)
		return status == 200;
	if (options.mode == FLEETLOCK)
		return status == 200;
	snprintf(wanted, sizeof wanted, "\"seq\":%lld,",
			(long long) (seq_base + (int64_t) host->next));
	return status == 200 && strstr(body, wanted) != NULL &&
	       strstr(body, "\"need\":[]") != NULL && strstr(body, "\"desired\":0") != NULL &&
	       strstr(body, "release") == NULL;
}

/* The whole answer is there. */
static void take_answer(Host *host, const char *body)
{
	unsigned status = (unsigned) atoi(host->in + 9);

	if (status == 503 || status == 429 || (options.mode == FLEETLOCK && status == 409))
		counts.refused++;
	else if (!is_right(host, status, body) && counts.wrong++ < 5)
		fprintf(stderr, "fleet-load: host %u: wrong: %.400s\n", host->number, host->in);
	counts.answered++;
	histogram_add(&counts.latency, now_us() - host->asked_us);
	host->has_lock = status == 200 ? !host->has_lock : host->has_lock;
	host->is_introduced |= status == 200;
	host->next++;
	free(host->in);
	host->in = NULL;
	host->phase = IDLE;
	if (host->next < host->due)
		ask(host);
}

/* Where the body begins, when it is whole. */
static const char *find_body(Host *host)
{
	host->in[host->in_size] = '\0';
	char *end = strstr(host->in, "\r\n\r\n");
	if (end == NULL)
		return NULL;
	char *length = strcasestr(host->in, "\r\nContent-Length:");
	size_t size = length != NULL && length < end ? (size_t) atol(length + 17) : 0;
	return host->in_size >= (size_t) (end + 4 - host->in) + size ? end + 4 : NULL;
}

static ssize_t receive(Host *host, void *data, size_t size)
{
	if (options.is_plain)
		return recv(host->fd, data, size, 0);
	ssize_t got = gnutls_record_recv(host->session, data, size);
	if (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED)
		errno = EAGAIN;
	else if (got < 0)
		errno = EIO;
	return got;
}

static void read_answer(Host *host)
{
	if (host->in == NULL) {
		host->in = malloc(MAX_ANSWER + 1);
		host->in_size = 0;
	}
	for (;;) {
		ssize_t got = receive(host, host->in + host->in_size, MAX_ANSWER - host->in_size);
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0 || host->in_size + (size_t) got >= MAX_ANSWER) {
			fail(host);
			return;
		}
		host->in_size += (size_t) got;
		const char *body = find_body(host);
		if (body != NULL) {
			take_answer(host, body);
			return;
		}
	}
}

static void send_out(Host *host)
{
	while (host->out_done < host->out_size) {
		size_t left = host->out_size - host->out_done;
		ssize_t sent = options.is_plain ? send(host->fd, host->out + host->out_done, left,
								  MSG_NOSIGNAL)
						: gnutls_record_send(host->session,
								  host->out + host->out_done, left);
		if (sent == GNUTLS_E_AGAIN || (options.is_plain && sent < 0 && errno == EAGAIN)) {
			watch(host, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
			return;
		}
		if (sent <= 0) {
			fail(host);
			return;
		}
		host->out_done += (size_t) sent;
	}
	free(host->out);
	host->out = NULL;
	host->phase = READING;
}

static void be_open(Host *host)
{
	handshaking--;
	open_count++;
	counts.handshakes++;
	free_credentials(host);
	host->phase = IDLE;
	watch(host, EPOLLIN, EPOLL_CTL_MOD);
	if (host->next < host->due)
		ask(host);
}

static void shake(Host *host)
{
	int code = gnutls_handshake(host->session);

	if (code == GNUTLS_E_SUCCESS) {
		be_open(host);
		return;
	}
	if (gnutls_error_is_fatal(code)) {
		if (counts.errors < 5)
			fprintf(stderr, "fleet-load: handshake: %s\n", gnutls_strerror(code));
		fail(host);
		return;
	}
	watch(host, gnutls_record_get_direction(host->session) == 1 ? EPOLLOUT : EPOLLIN,
			EPOLL_CTL_MOD);
}

static void go_on(Host *host)
{
	switch (host->phase) {
	case CONNECTING:
		if (options.is_plain) {
			be_open(host);
			break;
		}
		begin_tls(host);
		host->phase = HANDSHAKE;
		shake(host);
		break;
	case HANDSHAKE:
		shake(host);
		break;
	case SENDING:
		send_out(host);
		break;
	case IDLE: /* session tickets and the like, or the end */
	case READING:
		read_answer(host);
		if (host->phase == IDLE && host->in != NULL) {
			free(host->in);
			host->in = NULL;
		}
		break;
	case CLOSED:
		break;
	}
}

/* ---- the run ---- */

/* The first answer is part of connecting: a server need not keep who says nothing. */
static void forget_counts(void)
{
	uint64_t wrong = counts.wrong;
	uint64_t errors = counts.errors;
	uint64_t handshakes = counts.handshakes;

	memset(&counts, 0, sizeof counts);
	counts.wrong = wrong;
	counts.errors = errors;
	counts.handshakes = handshakes;
}

static void turn(int64_t until_us)
{
	struct epoll_event events[512];
	int64_t left_us = until_us - now_us();
	struct timespec timeout = {
			.tv_nsec = left_us > 0 ? (left_us < 900000 ? left_us : 900000) * 1000 : 0};
	int count = epoll_pwait2(epoll_fd, events, 512, &timeout, NULL);

	if (count < 0 && errno != EINTR)
		die("epoll_wait");
	for (int i = 0; i < count; i++) {
		Host *host = events[i].data.ptr;
		if (host->phase == SENDING)
			watch(host, EPOLLIN, EPOLL_CTL_MOD);
		go_on(host);
	}
}

static void connect_some(unsigned at_a_time)
{
	while (next_connect < options.hosts && handshaking < at_a_time)
		dial(&hosts[next_connect++]);
}

static double connect_all(void)
{
	int64_t begun_us = now_us();

	begin_us = begun_us;
	for (unsigned i = 0; i < options.hosts; i++)
		hosts[i].due = 1;
	while (counts.answered < options.hosts) {
		connect_some(options.connecting);
		turn(now_us() + 100000);
		if (counts.errors > options.hosts)
			die("too many handshakes fail");
		for (unsigned i = 0; i < next_connect && handshaking == 0; i++)
			if (hosts[i].phase == CLOSED && handshaking < options.connecting)
				dial(&hosts[i]);
	}
	forget_counts();
	return (double) (now_us() - begun_us) / 1e6;
}

static void make_due(Host *host)
{
	host->due++;
	if (host->phase == IDLE)
		ask(host);
	else if (host->phase == CLOSED) {
		counts.reconnects++;
		dial(host);
	}
}

static double run_steady(void)
{
	uint64_t total = (uint64_t) (options.rate * options.seconds);
	uint64_t done = 0;

	int64_t first_us = now_us() + 100000;
	/* Request 0 of each was its first, while it connected. */
	begin_us = first_us - (int64_t) (options.hosts / options.rate * 1e6);
	while (done < total) {
		int64_t next_us = first_us + (int64_t) ((double) done / options.rate * 1e6);
		if (now_us() >= next_us)
			make_due(&hosts[done++ % options.hosts]);
		if (done % 64 == 0 || now_us() < next_us)
			turn(next_us);
	}
	int64_t deadline_us = now_us() + PATIENCE_US;
	while (counts.answered + counts.errors < counts.sent && now_us() < deadline_us)
		turn(now_us() + 100000);
	return (double) (now_us() - first_us) / 1e6;
}

/* Their first ones come evenly; counted is from when all of them wait. */
static double run_wait(double *out_cpu_s)
{
	int64_t spread_us = (int64_t) options.wait * 1000000;
	int64_t start_us = now_us();

	for (unsigned i = 0; i < options.hosts; i++) {
		while (now_us() < start_us + spread_us * i / options.hosts)
			turn(start_us + spread_us * i / options.hosts);
		hosts[i].due = UINT64_MAX;
		make_due(&hosts[i]);
		hosts[i].due = UINT64_MAX;
	}
	uint64_t errors = counts.errors;
	forget_counts();
	counts.sent = options.hosts;
	counts.errors = errors;
	int64_t first_us = now_us();
	int64_t end_us = first_us + (int64_t) (options.seconds * 1e6);
	*out_cpu_s = process_cpu_s(options.pid);
	while (now_us() < end_us)
		turn(now_us() + 100000);
	*out_cpu_s = process_cpu_s(options.pid) - *out_cpu_s;
	/* Who still waits has asked less than its time ago. */
	for (unsigned i = 0; i < options.hosts; i++)
		if (hosts[i].phase >= SENDING && hosts[i].asked_us > now_us() - 5000000)
			counts.sent--;
	return (double) (now_us() - first_us) / 1e6;
}

static double run_storm(void)
{
	int64_t deadline_us = now_us() + PATIENCE_US * 20;

	begin_us = now_us();
	for (unsigned i = 0; i < options.hosts; i++)
		hosts[i].due = 1;
	while (counts.answered < options.hosts && now_us() < deadline_us) {
		connect_some(options.hosts);
		turn(now_us() + 100000);
		for (unsigned i = 0; i < options.hosts && handshaking == 0; i++)
			if (hosts[i].phase == CLOSED && hosts[i].next == 0) {
				make_due(&hosts[i]);
				hosts[i].due = 1;
			}
	}
	return (double) (now_us() - begin_us) / 1e6;
}

/* ---- options ---- */

static void map_identities(void)
{
	struct stat info;
	int fd = open(options.identities, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &info) != 0)
		die(options.identities);
	identity_data = mmap(NULL, (size_t) info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (identity_data == MAP_FAILED)
		die("mmap");
	close(fd);
	identity_at = calloc(options.hosts, sizeof *identity_at);
	size_t at = 0;
	for (unsigned i = 0; i < options.skip + options.hosts; i++) {
		uint32_t sizes[2];
		if (at + sizeof sizes > (size_t) info.st_size) {
			fprintf(stderr, "fleet-load: only %u identities\n", i);
			exit(1);
		}
		memcpy(sizes, identity_data + at, sizeof sizes);
		if (i >= options.skip)
			identity_at[i - options.skip] = at;
		at += sizeof sizes + sizes[0] + sizes[1];
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option names[] = {{"identities", 1, 0, 'i'}, {"hosts", 1, 0, 'n'},
			{"rate", 1, 0, 'r'}, {"seconds", 1, 0, 's'}, {"path", 1, 0, 'p'},
			{"plain", 0, 0, 'x'}, {"connecting", 1, 0, 'c'}, {"pid", 1, 0, 'P'},
			{"wait", 1, 0, 'w'}, {"skip", 1, 0, 'k'}, {"acked", 1, 0, 'a'}, {0}};
	static const char *const modes[] = {"steady", "storm", "fleetlock", "constant", "wait"};
	int option = 0;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
		switch (option) {
		case 'i':
			options.identities = optarg;
			break;
		case 'n':
			options.hosts = (unsigned) atoi(optarg);
			break;
		case 'r':
			options.rate = atof(optarg);
			break;
		case 's':
			options.seconds = atof(optarg);
			break;
		case 'p':
			options.path = optarg;
			break;
		case 'x':
			options.is_plain = true;
			break;
		case 'c':
			options.connecting = (unsigned) atoi(optarg);
			break;
		case 'w':
			options.wait = atoi(optarg);
			break;
		case 'k':
			options.skip = (unsigned) atoi(optarg);
			break;
		case 'a':
			options.acked = optarg;
			break;
		case 'P':
			options.pid = atoi(optarg);
			break;
		default:
			exit(2);
		}
	int mode = -1;
	for (int i = 0; optind + 2 == argc && i < 5; i++)
		if (strcmp(argv[optind], modes[i]) == 0)
			mode = i;
	if (mode < 0 || options.hosts == 0 || options.rate <= 0) {
		fprintf(stderr, "usage: fleet-load [OPTION…] steady|wait|storm|fleetlock|constant PORT\n");
		exit(2);
	}
	options.mode = (Mode) mode;
	options.port = (unsigned) atoi(argv[optind + 1]);
}

static void tell_acked(void)
{
	FILE *file = fopen(options.acked, "we");

	if (file == NULL)
		die(options.acked);
	for (unsigned i = 0; i < options.hosts; i++)
		if (hosts[i].next > 0)
			fprintf(file, "load-%06u %lld\n", options.skip + i,
					(long long) (seq_base + (int64_t) hosts[i].next - 1));
	fclose(file);
}

int main(int argc, char **argv)
{
	struct rlimit files = {0};

	parse_options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (options.identities != NULL)
		map_identities();
	gnutls_priority_init(&priority, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL);
	gnutls_certificate_allocate_credentials(&anonymous);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	hosts = calloc(options.hosts, sizeof *hosts);
	for (unsigned i = 0; i < options.hosts; i++)
		hosts[i].number = i;
	seq_base = (int64_t) time(NULL) * 1000;

	double connect_s = options.mode == STORM ? 0 : connect_all();
	uint64_t connect_errors = counts.errors;
	double cpu_before_s = process_cpu_s(options.pid);
	double wait_cpu_s = 0;
	double seconds = options.mode == STORM  ? run_storm()
			 : options.mode == WAIT ? run_wait(&wait_cpu_s)
						: run_steady();
	double cpu_s = options.mode == WAIT ? wait_cpu_s
					    : process_cpu_s(options.pid) - cpu_before_s;
	uint64_t lost = counts.sent - counts.answered;
	if (options.acked != NULL)
		tell_acked();

	printf("{\"hosts\":%u,\"connect_s\":%.2f,\"seconds\":%.2f,\"asked_rate\":%.0f,\"rate\":%.0f,"
	       "\"answered\":%llu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"p999_ms\":%.2f,\"max_ms\":%.2f,"
	       "\"errors\":%llu,\"connect_errors\":%llu,\"unanswered\":%llu,\"wrong\":%llu,"
	       "\"refused\":%llu,\"handshakes\":%llu,\"reconnects\":%llu,\"server_cpu_s\":%.2f,"
	       "\"server_cpu_s_per_1000\":%.4f,\"server_kb\":%ld}\n",
			options.hosts, connect_s, seconds, options.rate,
			(double) counts.answered / seconds, (unsigned long long) counts.answered,
			histogram_ms(&counts.latency, 0.5), histogram_ms(&counts.latency, 0.99),
			histogram_ms(&counts.latency, 0.999), (double) counts.latency.max_us / 1000,
			(unsigned long long) (counts.errors - connect_errors),
			(unsigned long long) connect_errors, (unsigned long long) lost,
			(unsigned long long) counts.wrong, (unsigned long long) counts.refused,
			(unsigned long long) counts.handshakes,
			(unsigned long long) counts.reconnects, cpu_s,
			counts.answered > 0 ? cpu_s * 1000 / (double) counts.answered : 0,
			process_kb(options.pid));
	return counts.wrong > 0 || lost > 0 ? 1 : 0;
}
