/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/net-listen.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/workload/net.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	MAX_BYTES = 16 << 20,
	LISTENS = 0x0a,     /* of TCP */
	UNCONNECTED = 0x07, /* of UDP */
	EPHEMERAL = 32768,  /* from here on a socket of UDP may be one that asks */
	HEX_OF_IPV4 = 8,
	HEX_OF_IPV6 = 32,
};

typedef struct {
	bool is_any;
	uint32_t address; /* 0: an address of IPv6 alone */
	unsigned port;
} Socket;

/* "0100007F" is 127.0.0.1 of a machine that counts from the little end: the four bytes as they lie there. */
static uint32_t parse_word(const char *hex)
{
	g_autofree char *word = g_strndup(hex, HEX_OF_IPV4);

	return (uint32_t) g_ascii_strtoull(word, NULL, 16);
}

static bool parse_line(const char *line, bool is_udp, Socket *out)
{
	char local[HEX_OF_IPV6 + 1], remote[HEX_OF_IPV6 + 1];
	unsigned state, remote_port;

	if (sscanf(line, " %*u: %32[0-9A-F]:%x %32[0-9A-F]:%x %x", local, &out->port, remote,
			    &remote_port, &state) != 5)
		return false;
	size_t size = strlen(local);
	bool is_mapped = size == HEX_OF_IPV6 &&
			 strncmp(local, "0000000000000000FFFF0000", HEX_OF_IPV6 - HEX_OF_IPV4) == 0;
	out->is_any = strspn(local, "0") == size;
	out->address = size == HEX_OF_IPV4 ? parse_word(local)
		       : is_mapped         ? parse_word(local + HEX_OF_IPV6 - HEX_OF_IPV4)
					   : 0;
	return is_udp ? state == UNCONNECTED && out->port < EPHEMERAL : state == LISTENS;
}

/* As bind() would be refused. */
static bool meets(const Socket *taken, const AshWorkloadPort *port)
{
	struct in_addr wanted = {0};

	if (taken->port != port->host_port)
		return false;
	if (taken->is_any || taken->address == 0)
		return taken->is_any;
	return *port->address == '\0' ||
	       (inet_pton(AF_INET, port->address, &wanted) == 1 && wanted.s_addr == taken->address);
}

static gboolean check_file(const char *directory, const char *name, bool is_udp,
		const AshWorkloadNetwork *network, GError **error)
{
	g_autofree char *path = g_build_filename(directory, name, NULL);
	g_autoptr(GBytes) text = NULL;

	if (!ash_file_read(AT_FDCWD, path, MAX_BYTES, &text, NULL))
		return TRUE;
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		Socket taken;
		if (!parse_line(*line, is_udp, &taken))
			continue;
		for (guint i = 0; i < network->publish->len; i++) {
			const AshWorkloadPort *port = network->publish->pdata[i];
			if (port->is_udp == is_udp && meets(&taken, port))
				return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_CLASH,
						"the host itself listens on port %u/%s",
						(unsigned) port->host_port, is_udp ? "udp" : "tcp");
		}
	}
	return TRUE;
}

gboolean ash_net_listen_check(
		const char *directory, const AshWorkloadNetwork *network, GError **error)
{
	return network->publish->len == 0 ||
	       (check_file(directory, "tcp", false, network, error) &&
			       check_file(directory, "tcp6", false, network, error) &&
			       check_file(directory, "udp", true, network, error) &&
			       check_file(directory, "udp6", true, network, error));
}
