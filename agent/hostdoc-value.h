/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What one value of the host document must look like. PURE, but for time zones, which
 * lib/window.h looks up in the system's database.
 *
 * A check returns NULL for a good value, or what is wrong with it as the rest of a sentence that
 * begins with "KEY 'VALUE' ": "is not …, expected …". Newly allocated. No value that passes holds a
 * line break or control character (PEM: only line breaks), so that it can be written into a unit's
 * setting as it is.
 */

enum {
	ASH_HOSTDOC_MAX_HOSTNAME_BYTES = 64, /* HOST_NAME_MAX of Linux */
	ASH_HOSTDOC_MAX_NAME_BYTES = 253,    /* RFC 1035 */
	ASH_HOSTDOC_MAX_URL_BYTES = 2048,
	ASH_HOSTDOC_MAX_PEM_BYTES = 64 << 10,
	ASH_HOSTDOC_MAX_SSH_KEY_BYTES = 8192,
	ASH_HOSTDOC_MAX_TOKEN_BYTES = 1024,
	ASH_HOSTDOC_MAX_WINDOW_BYTES = 256,
	ASH_HOSTDOC_MAX_INTERFACE_BYTES = 64,
};

typedef char *(*AshHostdocCheck)(const char *text);

char *ash_hostdoc_check_hostname(const char *text);  /* RFC 1123, at most 64 bytes */
char *ash_hostdoc_check_address(const char *text);   /* IPv4 or IPv6 */
char *ash_hostdoc_check_prefix(const char *text);    /* ADDRESS/BITS */
char *ash_hostdoc_check_server(const char *text);    /* name or address */
char *ash_hostdoc_check_interface(const char *text); /* name or glob */
char *ash_hostdoc_check_mac(const char *text);       /* aa:bb:cc:dd:ee:ff, one machine's */
char *ash_hostdoc_check_url(const char *text);       /* http(s), no user, query or fragment */
char *ash_hostdoc_check_pem(const char *text);       /* one or more certificates, by shape */
char *ash_hostdoc_check_ssh_key(const char *text);   /* "TYPE BASE64 [COMMENT]", no options */
char *ash_hostdoc_check_token(const char *text);     /* visible ASCII */
char *ash_hostdoc_check_window(const char *text);

/* "90s", "15min", "1h", "7d" from 1 minute to 7 days. */
bool ash_hostdoc_parse_duration(const char *text, uint64_t *out_seconds);
/* "0", "500KiB", "2MiB", "1GiB": 0, or 1 KiB to 1 TiB. */
bool ash_hostdoc_parse_rate(const char *text, uint64_t *out_bytes);

/* Is @address (of either family) in the network of @prefix ("192.0.2.10/24")? Both have passed their
 * checks. */
bool ash_hostdoc_prefix_holds(const char *prefix, const char *address);
bool ash_hostdoc_is_ipv6(const char *address);
