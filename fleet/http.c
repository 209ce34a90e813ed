/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/http.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fleet/http-private.h"
#include "lib/auto.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_http_error, ash_http_error)

enum {
	/* Of each connection, for the header of a request, what is parsed of it, and the header of the answer: most of
	 * what an idle host costs beside its TLS session. A browser's header with 1 kB of cookies fits. A proxy has few
	 * connections, and sends a certificate with each request.
	 */
	POOL_BYTES = 6 << 10,
	PROXY_POOL_BYTES = 16 << 10,
	DEFAULT_CONNECTIONS = 200000,
	SPARE_FILES = 256,   /* that are no connections */
	SPARE_SURPLUS = 512, /* connections above the maximum, which are told 503 */
	IDLE_S = 75,         /* of a connection without a certificate */
	FIRST_HEADER_S = 20, /* from the connection on: handshake and header */
	BODY_S = 30,         /* and a second more for each SLOWEST_BYTES */
	SLOWEST_BYTES = 8 << 10,
	IGNORED_BODY_BYTES =
			1
			<< 20, /* of a body without a length that is too big: then the connection ends */
	TICK_MS = 1000,
	ANSWER_LATER_S = 5,
	LAST_WORDS_S = 2,
	SHAKING_TICK_US = 2000,
};

/* ---- calls ---- */

static void list_call(AshHttpCall *call)
{
	AshHttp *http = call->http;

	g_mutex_lock(&http->lock);
	call->next = http->asleep;
	if (call->next != NULL)
		call->next->previous = call;
	http->asleep = call;
	call->is_listed = true;
	g_mutex_unlock(&http->lock);
	g_atomic_int_inc(&http->asleep_count);
}

static void unlist_call(AshHttpCall *call)
{
	AshHttp *http = call->http;

	if (!call->is_listed)
		return;
	g_mutex_lock(&http->lock);
	if (call->previous != NULL)
		call->previous->next = call->next;
	else
		http->asleep = call->next;
	if (call->next != NULL)
		call->next->previous = call->previous;
	call->is_listed = false;
	if (http->asleep == NULL)
		g_cond_broadcast(&http->slept);
	g_mutex_unlock(&http->lock);
	g_atomic_int_add(&http->asleep_count, -1);
}

void ash_http_call_unref(AshHttpCall *call)
{
	if (!g_atomic_int_dec_and_test(&call->references))
		return;
	if (call->destroy != NULL)
		call->destroy(call->data);
	g_clear_pointer(&call->body, g_byte_array_unref);
	g_clear_pointer(&call->body_bytes, g_bytes_unref);
	g_clear_pointer(&call->headers, g_ptr_array_unref);
	g_clear_pointer(&call->response, MHD_destroy_response);
	g_free(call->proxy_key);
	g_free(call->proxy_serial);
	g_free(call);
}

bool ash_http_claim(AshHttpCall *call)
{
	return g_atomic_int_compare_and_exchange(&call->is_claimed, FALSE, TRUE);
}

void ash_http_answer(AshHttpCall *call, unsigned status, struct MHD_Response *take_response)
{
	call->response = take_response;
	call->status = status;
	if (g_atomic_int_compare_and_exchange(&call->state, ASH_HTTP_RUNNING, ASH_HTTP_ANSWERED))
		return;
	g_atomic_int_set(&call->state, ASH_HTTP_ANSWERED);
	unlist_call(call);
	MHD_resume_connection(call->connection);
}

static bool is_answered(AshHttpCall *call)
{
	return g_atomic_int_get(&call->state) == ASH_HTTP_ANSWERED;
}

/* After the handler: queues what it answered, or lets the connection sleep until somebody does. */
static enum MHD_Result settle(AshHttpCall *call)
{
	if (is_answered(call)) {
		call->is_queued = true;
		enum MHD_Result result =
				MHD_queue_response(call->connection, call->status, call->response);
		g_clear_pointer(&call->response, MHD_destroy_response);
		return result;
	}
	list_call(call);
	MHD_suspend_connection(call->connection);
	if (!g_atomic_int_compare_and_exchange(&call->state, ASH_HTTP_RUNNING, ASH_HTTP_ASLEEP)) {
		unlist_call(call);
		MHD_resume_connection(call->connection);
	}
	return MHD_YES;
}

/* ---- connections ---- */

static void time_link(AshHttpConnection *link, unsigned seconds)
{
	AshHttp *http = link->http;

	link->deadline_us = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
	g_mutex_lock(&http->lock);
	link->is_timed = true;
	link->previous = NULL;
	link->next = http->timed;
	if (link->next != NULL)
		link->next->previous = link;
	http->timed = link;
	g_mutex_unlock(&http->lock);
}

static void untime_link(AshHttpConnection *link)
{
	AshHttp *http = link->http;

	if (!link->is_timed)
		return;
	g_mutex_lock(&http->lock);
	if (link->previous != NULL)
		link->previous->next = link->next;
	else
		http->timed = link->next;
	if (link->next != NULL)
		link->next->previous = link->previous;
	link->is_timed = false;
	g_mutex_unlock(&http->lock);
}

static gnutls_session_t session_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	return info != NULL ? info->tls_session : NULL;
}

static void begin_connection(AshHttp *http, struct MHD_Connection *connection, void **context)
{
	const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	AshHttpConnection *link = g_new0(AshHttpConnection, 1);
	unsigned count = (unsigned) g_atomic_int_add(&http->connection_count, 1);

	link->http = http;
	link->connection = connection;
	link->fd = info->connect_fd;
	link->is_surplus = count >= http->options.max_connections;
	time_link(link, FIRST_HEADER_S);
	if (http->options.certificate_pem != NULL) {
		ash_http_tls_begin(link, session_of(connection));
		ash_http_door_shake(link, session_of(connection));
	}
	*context = link;
}

static void on_connection(void *data, struct MHD_Connection *connection, void **context,
		enum MHD_ConnectionNotificationCode what)
{
	AshHttp *http = data;
	AshHttpConnection *link = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		begin_connection(http, connection, context);
		return;
	}
	if (link == NULL)
		return;
	untime_link(link);
	ash_http_tls_end(link);
	g_free(link);
	*context = NULL;
	g_atomic_int_add(&http->connection_count, -1);
}

/* With its first request a connection has shown what it is. */
static void know_connection(AshHttpConnection *link, struct MHD_Connection *connection)
{
	untime_link(link);
	if (link->is_judged)
		return;
	link->is_judged = true;
	if (link->credentials != NULL)
		ash_http_tls_judge(link, session_of(connection));
}

/* ---- requests ---- */

static AshHttpCall *call_new(AshHttp *http, struct MHD_Connection *connection, const char *path,
		const char *method)
{
	const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	AshHttpCall *call = g_new0(AshHttpCall, 1);

	call->references = 2;
	call->http = http;
	call->link = info->socket_context;
	call->connection = connection;
	call->method = method;
	call->path = path;
	call->began_us = g_get_monotonic_time();
	return call;
}

/* @out_size: SIZE_MAX when it is not told. */
static bool body_size(AshHttpCall *call, size_t *out_size)
{
	const char *length = ash_http_header(call, MHD_HTTP_HEADER_CONTENT_LENGTH);
	guint64 size = 0;

	*out_size = SIZE_MAX;
	if (ash_http_header(call, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL)
		return true;
	if (length == NULL)
		return false;
	if (g_ascii_string_to_unsigned(length, 10, 0, G_MAXINT64, &size, NULL))
		*out_size = (size_t) size;
	return *out_size > 0;
}

static void refuse_body(AshHttpCall *call)
{
	ash_http_reply_error(
			call, 413, "size", "the body may have %zu bytes at most", call->body_limit);
}

/* A client that sends without waiting would lose the answer: the connection is reset when it is closed with a
 * body on its way. So what is not much is read, and thrown away, first.
 */
static bool may_refuse_early(AshHttpCall *call, size_t size)
{
	return size > IGNORED_BODY_BYTES || ash_http_header(call, MHD_HTTP_HEADER_EXPECT) != NULL;
}

/* Method, path and header are there; a 'false' has been answered. */
static bool admit(AshHttpCall *call)
{
	AshHttp *http = call->http;
	size_t size = 0;

	if (g_atomic_int_get(&http->is_ending)) {
		ash_http_add_header(call, MHD_HTTP_HEADER_CONNECTION, "close");
		ash_http_reply_later(call, 503, ANSWER_LATER_S, "ending",
				"This server is being stopped.");
		return false;
	}
	if (call->link->is_surplus) {
		g_atomic_pointer_add(&http->refused, 1);
		ash_http_add_header(call, MHD_HTTP_HEADER_CONNECTION, "close");
		ash_http_reply_later(call, 503, ANSWER_LATER_S, "busy",
				"This server has as many connections as it can hold.");
		return false;
	}
	call->body_limit = http->options.max_body_bytes;
	if (http->options.admit != NULL)
		call->body_limit = http->options.admit(call, http->options.data);
	if (is_answered(call))
		return false;
	if (!body_size(call, &size))
		return true;
	if (size != SIZE_MAX && size > call->body_limit && may_refuse_early(call, size)) {
		refuse_body(call);
		return false;
	}
	call->body = g_byte_array_sized_new(size == SIZE_MAX ? 4096 : (guint) MIN(size, 1 << 20));
	call->body_deadline_us =
			g_get_monotonic_time() +
			(BODY_S + (int64_t) (MIN(size, call->body_limit) / SLOWEST_BYTES)) *
					G_USEC_PER_SEC;
	return true;
}

static enum MHD_Result begin_call(AshHttp *http, struct MHD_Connection *connection,
		const char *path, const char *method, void **context)
{
	AshHttpCall *call = call_new(http, connection, path, method);

	*context = call;
	g_atomic_int_inc(&http->busy_count);
	g_atomic_pointer_add(&http->requests, 1);
	know_connection(call->link, connection);
	if (admit(call))
		return MHD_YES;
	call->is_handled = true;
	/* An answer in front of the body ends the connection; where none comes, the next call settles it. */
	size_t size = 0;
	return body_size(call, &size) ? settle(call) : MHD_YES;
}

static enum MHD_Result take_body(AshHttpCall *call, const char *piece, size_t size)
{
	g_atomic_pointer_add(&call->http->bytes_in, (gssize) size);
	if (g_get_monotonic_time() > call->body_deadline_us)
		return MHD_NO;
	if (call->body != NULL && call->body->len + size <= call->body_limit) {
		g_byte_array_append(call->body, (const guint8 *) piece, (guint) size);
		return MHD_YES;
	}
	/* In pieces, and too big: an answer may only go out behind its end. */
	call->is_refused_body = true;
	call->body_ignored += size;
	return call->body_ignored <= IGNORED_BODY_BYTES ? MHD_YES : MHD_NO;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
		const char *method, const char *version, const char *upload, size_t *upload_size,
		void **context)
{
	AshHttp *http = data;
	AshHttpCall *call = *context;

	if (call == NULL)
		return begin_call(http, connection, url, method, context);
	if (*upload_size > 0) {
		enum MHD_Result result = take_body(call, upload, *upload_size);
		*upload_size = 0;
		return result;
	}
	if (!call->is_handled) {
		call->is_handled = true;
		if (call->is_refused_body)
			refuse_body(call);
		else
			http->options.handle(call, http->options.data);
	} else if (!is_answered(call)) {
		return MHD_YES; /* it was woken too early: nothing to say yet */
	}
	return settle(call);
}

static void on_completed(void *data, struct MHD_Connection *connection, void **context,
		enum MHD_RequestTerminationCode why)
{
	AshHttp *http = data;
	AshHttpCall *call = *context;

	if (call == NULL)
		return;
	*context = NULL;
	if (call->link->key == NULL && !call->link->is_proxy)
		time_link(call->link, IDLE_S);
	/* Gone before its body was whole: nobody was asked to answer, so nobody holds the other reference. */
	if (!call->is_handled)
		ash_http_call_unref(call);
	else if (http->options.ended != NULL)
		http->options.ended(call, call->status, g_get_monotonic_time() - call->began_us,
				http->options.data);
	ash_http_call_unref(call);
	if (g_atomic_int_dec_and_test(&http->busy_count) && g_atomic_int_get(&http->is_ending)) {
		g_mutex_lock(&http->lock);
		g_cond_broadcast(&http->slept);
		g_mutex_unlock(&http->lock);
	}
}

/* "%00" would end the text early: it stays as it is, and matches nothing. In a path "%2F" stays too, so that segments
 * can be told from what is in them, and with it "%25": fleet/router.h decodes these two.
 */
static bool is_kept(int high, int low, bool is_path)
{
	int value = high << 4 | low;

	return value == 0 || (is_path && (value == '/' || value == '%'));
}

static size_t unescape(void *data, struct MHD_Connection *connection, char *text)
{
	bool is_path = text[0] == '/';
	char *to = text;

	for (const char *from = text; *from != '\0';) {
		int high = from[0] == '%' ? g_ascii_xdigit_value(from[1]) : -1;
		int low = high >= 0 ? g_ascii_xdigit_value(from[2]) : -1;
		if (low < 0 || is_kept(high, low, is_path)) {
			*to++ = *from++;
			continue;
		}
		*to++ = (char) (high << 4 | low);
		from += 3;
	}
	*to = '\0';
	return (size_t) (to - text);
}

static void on_log(void *data, const char *format, va_list arguments) G_GNUC_PRINTF(2, 0);
static void on_log(void *data, const char *format, va_list arguments)
{
	/* Clients that break off, mostly. */
	g_autofree char *text = g_strdup_vprintf(format, arguments);

	g_debug("http: %s", g_strchomp(text));
}

/* ---- the clock ---- */

static void end_late(AshHttp *http, int64_t now_us)
{
	g_mutex_lock(&http->lock);
	/* A connection leaves the list before its descriptor is closed, so the number is still its own. */
	for (AshHttpConnection *link = http->timed; link != NULL; link = link->next)
		if (now_us > link->deadline_us)
			shutdown(link->fd, SHUT_RDWR);
	g_mutex_unlock(&http->lock);
}

static gpointer run_clock(gpointer data)
{
	AshHttp *http = data;

	for (;;) {
		GPollFD wake = {.fd = http->wake_fd, .events = G_IO_IN};
		if (g_poll(&wake, 1, TICK_MS) > 0)
			return NULL;
		int64_t now_us = g_get_monotonic_time();
		end_late(http, now_us);
		ash_http_streams_tick(http, now_us);
	}
}

/* ---- the server ---- */

static void set_defaults(AshHttp *http)
{
	AshHttpOptions *options = &http->options;
	struct rlimit files = {0};

	if (options->threads == 0)
		options->threads = g_get_num_processors();
	if (options->workers == 0)
		options->workers = 4;
	if (options->max_connections == 0)
		options->max_connections = DEFAULT_CONNECTIONS;
	if (options->idle_s == 0)
		options->idle_s = IDLE_S;
	/* libmicrohttpd ends what is idle by one time for all; who has no certificate is ended by the clock. */
	options->idle_s = MAX(options->idle_s, (unsigned) IDLE_S);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) {
		rlim_t spare = SPARE_FILES + SPARE_SURPLUS;
		rlim_t most = files.rlim_cur > 2 * spare ? files.rlim_cur - spare
							 : files.rlim_cur / 2;
		options->max_connections = (unsigned) MIN(options->max_connections, most);
	}
}

/* libmicrohttpd's type cannot say that it only reads. */
static void *unconst(const char *text)
{
	union {
		const char *ours;
		void *theirs;
	} at = {.ours = text};

	return at.theirs;
}

static gboolean start_daemon(AshHttp *http, GError **error)
{
	bool is_secure = http->options.certificate_pem != NULL;
	/* Each of the threads has a maximum of its own, and they do not fill alike. */
	unsigned limit = http->options.max_connections + SPARE_SURPLUS;
	size_t pool = http->proxy_sha256 != NULL ? PROXY_POOL_BYTES : POOL_BYTES;
	/* libmicrohttpd wants a certificate of its own; http-tls.c puts the one that counts in its place. */
	struct MHD_OptionItem secure[] = {
			{MHD_OPTION_HTTPS_MEM_KEY, 0, unconst(http->options.key_pem)},
			{MHD_OPTION_HTTPS_MEM_CERT, 0, unconst(http->options.certificate_pem)},
			{MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_SUSPEND_RESUME | MHD_USE_TURBO |
			 MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG |
			 (is_secure ? MHD_USE_TLS : 0);

	http->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, http,
			MHD_OPTION_EXTERNAL_LOGGER, on_log, http, MHD_OPTION_THREAD_POOL_SIZE,
			http->options.threads, MHD_OPTION_CONNECTION_LIMIT,
			limit * http->options.threads,
			/* One for all: those that have another are all looked at with whatever happens. */
			MHD_OPTION_CONNECTION_TIMEOUT, http->options.idle_s,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool,
			MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t) 1024,
			MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
			MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
			MHD_OPTION_UNESCAPE_CALLBACK, unescape, http, MHD_OPTION_ARRAY,
			is_secure ? secure : plain, MHD_OPTION_END);
	if (http->daemon != NULL)
		return TRUE;
	return ash_throw(error, ASH_HTTP_ERROR, ASH_HTTP_ERROR_FAILED,
			"the HTTP library does not start%s",
			is_secure ? ": certificate and key, or too few open files" : "");
}

gboolean ash_http_start(const AshHttpOptions *options, AshHttp **out_http, GError **error)
{
	g_autoptr(AshHttp) http = g_new0(AshHttp, 1);

	http->options = *options;
	http->listen_fd = -1;
	http->client_ca_pem = g_strdup(options->client_ca_pem);
	http->proxy_sha256 = g_strdup(options->proxy_certificate_sha256);
	http->streams = g_ptr_array_new();
	g_mutex_init(&http->lock);
	g_mutex_init(&http->credentials_lock);
	g_cond_init(&http->slept);
	http->wake_fd = eventfd(0, EFD_CLOEXEC);
	http->door_end_fd = eventfd(0, EFD_CLOEXEC);
	http->door_fd = epoll_create1(EPOLL_CLOEXEC);
	if (http->wake_fd < 0 || http->door_end_fd < 0 || http->door_fd < 0)
		return ash_throw_errno(error, "eventfd");
	set_defaults(http);
	if (options->certificate_pem != NULL && !ash_http_tls_init(http, error))
		return FALSE;
	http->workers = g_thread_pool_new(
			ash_http_work, NULL, (gint) http->options.workers, TRUE, error);
	if (http->workers == NULL)
		return FALSE;
	if (!ash_http_listen(options->address, &http->listen_fd, &http->port, error) ||
			!start_daemon(http, error) || !ash_http_door_open(http, error))
		return FALSE;
	http->options.address = NULL;
	http->clock = g_thread_new("http-clock", run_clock, http);
	*out_http = g_steal_pointer(&http);
	return TRUE;
}

unsigned ash_http_port(const AshHttp *http)
{
	return http->port;
}

/* Answers for whoever did not. */
static void answer_all(AshHttp *http)
{
	for (;;) {
		g_mutex_lock(&http->lock);
		AshHttpCall *call = http->asleep;
		while (call != NULL && !ash_http_claim(call))
			call = call->next;
		g_mutex_unlock(&http->lock);
		if (call == NULL)
			return;
		ash_http_answer_ending(call);
	}
}

/* What sleeps in its handshake is woken by its socket's end; libmicrohttpd cannot stop before. */
static void end_handshakes(AshHttp *http)
{
	while (g_atomic_int_get(&http->shaking_count) > 0) {
		end_late(http, INT64_MAX);
		g_usleep(SHAKING_TICK_US);
	}
}

void ash_http_stop(AshHttp *http, unsigned patience_s)
{
	if (http->daemon == NULL)
		return;
	g_atomic_int_set(&http->is_ending, TRUE);
	ash_http_door_refuse(http);
	ash_http_streams_end(http);

	int64_t until_us = g_get_monotonic_time() + (int64_t) patience_s * G_USEC_PER_SEC;
	g_mutex_lock(&http->lock);
	while (http->asleep != NULL && g_cond_wait_until(&http->slept, &http->lock, until_us))
		;
	GThreadPool *workers = g_steal_pointer(&http->workers);
	g_mutex_unlock(&http->lock);
	/* What runs on a worker reads its request until it has answered. */
	g_thread_pool_free(workers, FALSE, TRUE);
	answer_all(http);
	/* What is answered is not sent yet. */
	until_us = g_get_monotonic_time() + LAST_WORDS_S * G_USEC_PER_SEC;
	g_mutex_lock(&http->lock);
	while (g_atomic_int_get(&http->busy_count) > 0 &&
			g_cond_wait_until(&http->slept, &http->lock, until_us))
		;
	g_mutex_unlock(&http->lock);
	end_handshakes(http);
	ash_http_door_close(http);
	MHD_stop_daemon(g_steal_pointer(&http->daemon));
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void ash_http_free(AshHttp *http)
{
	if (http == NULL)
		return;
	ash_http_stop(http, 0);
	if (http->clock != NULL) {
		if (eventfd_write(http->wake_fd, 1) != 0)
			g_error("eventfd: %s", g_strerror(errno));
		g_thread_join(http->clock);
	}
	if (http->workers != NULL)
		g_thread_pool_free(http->workers, TRUE, TRUE);
	ash_http_door_close(http);
	close_fd(http->wake_fd);
	close_fd(http->door_end_fd);
	close_fd(http->door_fd);
	ash_http_tls_clear(http);
	g_ptr_array_unref(http->streams);
	g_mutex_clear(&http->lock);
	g_mutex_clear(&http->credentials_lock);
	g_cond_clear(&http->slept);
	g_free(http->client_ca_pem);
	g_free(http->proxy_sha256);
	g_free(http);
}

void ash_http_counts(AshHttp *http, AshHttpCounts *out_counts)
{
	*out_counts = (AshHttpCounts){
			.connections = (uint64_t) g_atomic_int_get(&http->connection_count),
			.waiting = (uint64_t) g_atomic_int_get(&http->asleep_count),
			.requests = (gsize) g_atomic_pointer_get(&http->requests),
			.refused = (gsize) g_atomic_pointer_get(&http->refused),
			.bytes_in = (gsize) g_atomic_pointer_get(&http->bytes_in),
			.bytes_out = (gsize) g_atomic_pointer_get(&http->bytes_out),
	};
}
