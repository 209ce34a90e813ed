/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fleet/http-private.h"
#include "lib/auto.h"
#include "lib/error.h"

enum {
	BACKLOG = 4096, /* a reconnect storm; the kernel has its own maximum */
};

/* "[::]:8443", "127.0.0.1:0", "localhost:8443" */
static gboolean split(const char *address, char **out_host, char **out_port, GError **error)
{
	const char *colon = strrchr(address, ':');

	/* getaddrinfo() takes 99999 for another port, and names of services. */
	if (colon == NULL || colon == address ||
			!g_ascii_string_to_unsigned(colon + 1, 10, 0, UINT16_MAX, NULL, NULL))
		return ash_throw(error, ASH_HTTP_ERROR, ASH_HTTP_ERROR_LISTEN,
				"'%s' is not ADDRESS:PORT, with a port from 0 to 65535", address);
	size_t size = (size_t) (colon - address);
	if (address[0] == '[' && colon[-1] == ']') {
		address++;
		size -= 2;
	}
	*out_host = g_strndup(address, size);
	*out_port = g_strdup(colon + 1);
	return TRUE;
}

static bool set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static int open_one(const struct addrinfo *at)
{
	ash_autofd int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
			at->ai_protocol);

	/* NODELAY is inherited by what is accepted: the small records of a TLS handshake else wait 40 ms for the
	 * client's acknowledgement, each.
	 */
	if (fd < 0 || !set(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
			!set(fd, IPPROTO_TCP, TCP_NODELAY, 1))
		return -1;
	if (at->ai_family == AF_INET6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0))
		return -1;
	if (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
		return -1;
	return g_steal_fd(&fd);
}

static gboolean port_of(int fd, unsigned *out_port, GError **error)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} name;
	socklen_t size = sizeof name;

	if (getsockname(fd, &name.any, &size) != 0)
		return ash_throw_errno(error, "getsockname");
	*out_port = ntohs(name.any.sa_family == AF_INET6 ? name.v6.sin6_port : name.v4.sin_port);
	return TRUE;
}

gboolean ash_http_listen(const char *address, int *out_fd, unsigned *out_port, GError **error)
{
	g_autofree char *host = NULL;
	g_autofree char *port = NULL;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;

	ASH_PREFIX("listening at %s", address);
	if (!split(address, &host, &port, error))
		return FALSE;
	int result = getaddrinfo(host, port, &hints, &found);
	/* A kernel without IPv6 still serves who asked for every address. */
	if (result == 0 && found->ai_family == AF_INET6 && strcmp(host, "::") == 0) {
		int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (probe < 0) {
			freeaddrinfo(found);
			result = getaddrinfo("0.0.0.0", port, &hints, &found);
		} else {
			close(probe);
		}
	}
	if (result != 0)
		return ash_throw(error, ASH_HTTP_ERROR, ASH_HTTP_ERROR_LISTEN, "%s",
				gai_strerror(result));
	ash_autofd int fd = -1;
	for (struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next)
		fd = open_one(at);
	int failure = errno;
	freeaddrinfo(found);
	if (fd < 0)
		return ash_throw(error, ASH_HTTP_ERROR, ASH_HTTP_ERROR_LISTEN, "%s",
				g_strerror(failure));
	if (!port_of(fd, out_port, error))
		return FALSE;
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}
