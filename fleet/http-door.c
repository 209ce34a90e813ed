/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fleet/http-private.h"
#include "lib/error.h"

/* One thread at the door: it accepts, and it watches over handshakes that wait for their client.
 *
 * libmicrohttpd would accept by itself, but then each connection wakes all its threads, and whoever is first has it;
 * what is added goes to the threads in turn.
 *
 * It also calls gnutls_handshake again and again for as long as one is under way: one client that connects and says
 * nothing keeps a thread busy, and in a storm each handshake pays for the waiting of all others. So GnuTLS reads by a
 * function of ours, on the connection's own thread; when there is nothing to read it suspends the connection, and the
 * door resumes it when there is. Such a link is armed for one event at a time, and can neither close nor be freed
 * until the connection is resumed.
 */

enum {
	EVENTS = 64,
	ACCEPTS = 32, /* at a time */
	/* What is sent and not acknowledged for so long ends the connection: hosts that are gone, clients that do not
	 * read.
	 */
	UNACKNOWLEDGED_MS = 75000,
	NO_FILES_MS = 100, /* until it accepts again */
};

/* ---- handshakes ---- */

static bool arm(AshHttpConnection *link)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = link};
	int operation = link->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (epoll_ctl(link->http->door_fd, operation, link->fd, &event) != 0)
		return false;
	link->is_watched = true;
	return true;
}

static void let_sleep(AshHttpConnection *link)
{
	AshHttp *http = link->http;

	g_atomic_int_inc(&http->shaking_count);
	if (g_atomic_int_get(&http->is_ending)) {
		g_atomic_int_add(&http->shaking_count, -1);
		errno = ECONNRESET;
		return;
	}
	MHD_suspend_connection(link->connection);
	/* Without memory for it: it does not sleep, and is asked again. */
	if (!arm(link)) {
		MHD_resume_connection(link->connection);
		g_atomic_int_add(&http->shaking_count, -1);
	}
	errno = EAGAIN;
}

static ssize_t pull(gnutls_transport_ptr_t at, void *data, size_t size)
{
	AshHttpConnection *link = at;
	ssize_t got = recv(link->fd, data, size, 0);

	if (got < 0 && errno == EAGAIN && !link->is_shaken)
		let_sleep(link);
	return got;
}

/* With the client's Finished nothing of the handshake is awaited any more. */
static int on_finished(gnutls_session_t session, unsigned type, unsigned when, unsigned is_incoming,
		const gnutls_datum_t *message)
{
	AshHttpConnection *link = gnutls_transport_get_ptr(session);

	if (!is_incoming)
		return 0;
	link->is_shaken = true;
	if (link->is_watched)
		epoll_ctl(link->http->door_fd, EPOLL_CTL_DEL, link->fd, NULL);
	link->is_watched = false;
	return 0;
}

void ash_http_door_shake(AshHttpConnection *link, gnutls_session_t session)
{
	gnutls_transport_set_ptr2(session, link, GINT_TO_POINTER(link->fd));
	gnutls_transport_set_pull_function(session, pull);
	gnutls_handshake_set_hook_function(
			session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST, on_finished);
}

/* ---- accepting ---- */

static gboolean watch_listener(AshHttp *http, int operation, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = http};

	return epoll_ctl(http->door_fd, operation, http->listen_fd, &event) == 0;
}

/* false: there are no more, or no files for them. */
static bool accept_one(AshHttp *http)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer;
	socklen_t size = sizeof peer;
	int timeout_ms = UNACKNOWLEDGED_MS;
	int fd = accept4(http->listen_fd, &peer.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		http->has_no_files = errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
				     errno == ENOBUFS;
		return errno == ECONNABORTED || errno == EINTR;
	}
	if (g_atomic_int_get(&http->is_ending)) {
		close(fd);
		return true;
	}
	if (setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms) != 0)
		g_debug("TCP_USER_TIMEOUT: %s", g_strerror(errno));
	/* It closes what it cannot take. */
	if (MHD_add_connection(http->daemon, fd, &peer.any, size) != MHD_YES)
		g_debug("http: a connection is not taken");
	return true;
}

static void accept_some(AshHttp *http)
{
	unsigned count = 0;

	while (count < ACCEPTS && accept_one(http))
		count++;
	if (http->has_no_files && !watch_listener(http, EPOLL_CTL_MOD, 0))
		http->has_no_files = false;
}

/* ---- the thread ---- */

static void open_again(AshHttp *http)
{
	http->has_no_files = false;
	if (!g_atomic_int_get(&http->is_ending) && !watch_listener(http, EPOLL_CTL_MOD, EPOLLIN))
		g_debug("http: %s", g_strerror(errno));
}

static gpointer run(gpointer data)
{
	AshHttp *http = data;
	struct epoll_event events[EVENTS];

	for (;;) {
		int count = epoll_wait(http->door_fd, events, EVENTS,
				http->has_no_files ? NO_FILES_MS : -1);
		if (http->has_no_files)
			open_again(http);
		for (int i = 0; i < count; i++) {
			AshHttpConnection *link = events[i].data.ptr;
			if (link == NULL)
				return NULL;
			if (events[i].data.ptr == http) {
				accept_some(http);
				continue;
			}
			MHD_resume_connection(link->connection);
			g_atomic_int_add(&http->shaking_count, -1);
		}
	}
}

gboolean ash_http_door_open(AshHttp *http, GError **error)
{
	struct epoll_event wake = {.events = EPOLLIN};

	if (epoll_ctl(http->door_fd, EPOLL_CTL_ADD, http->door_end_fd, &wake) != 0 ||
			!watch_listener(http, EPOLL_CTL_ADD, EPOLLIN))
		return ash_throw_errno(error, "epoll");
	http->door = g_thread_new("http-door", run, http);
	return TRUE;
}

void ash_http_door_refuse(AshHttp *http)
{
	if (http->listen_fd < 0)
		return;
	epoll_ctl(http->door_fd, EPOLL_CTL_DEL, http->listen_fd, NULL);
	shutdown(http->listen_fd, SHUT_RDWR);
}

void ash_http_door_close(AshHttp *http)
{
	if (http->door != NULL) {
		if (eventfd_write(http->door_end_fd, 1) != 0)
			g_error("eventfd: %s", g_strerror(errno));
		g_thread_join(g_steal_pointer(&http->door));
	}
	if (http->listen_fd >= 0)
		close(http->listen_fd);
	http->listen_fd = -1;
}
