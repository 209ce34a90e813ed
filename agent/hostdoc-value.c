/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hostdoc-value.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/window.h"

enum {
	MAX_LABEL_BYTES = 63,
	MIN_CHECK_S = 60,
	MAX_CHECK_S = 7 * 24 * 3600,
};

#define MIN_RATE_BYTES ((uint64_t) 1 << 10)
#define MAX_RATE_BYTES ((uint64_t) 1 << 40)

static char *wrong(const char *what)
{
	return g_strdup(what);
}

/* ---- names and addresses ------------------------------------------------------------------- */

/* Labels of letters, digits and inner hyphens; the last is no number, so that no name can be taken for
 * an address.
 */
static bool is_name(const char *text, size_t max_bytes)
{
	const char *label = text;
	bool is_number = true;

	if (*text == '\0' || strlen(text) > max_bytes)
		return false;
	for (const char *p = text;; p++) {
		if (*p == '.' || *p == '\0') {
			size_t length = (size_t) (p - label);
			if (length == 0 || length > MAX_LABEL_BYTES || *label == '-' ||
					p[-1] == '-')
				return false;
			if (*p == '\0')
				return !is_number;
			label = p + 1;
			is_number = true;
		} else if (g_ascii_isalnum(*p) || *p == '-') {
			is_number = is_number && g_ascii_isdigit(*p);
		} else {
			return false;
		}
	}
}

char *ash_hostdoc_check_hostname(const char *text)
{
	if (is_name(text, ASH_HOSTDOC_MAX_HOSTNAME_BYTES))
		return NULL;
	return wrong("is not a host name, expected at most 64 letters, digits, '-' and '.', as in 'web-3'");
}

/* AF_INET, AF_INET6 or 0. */
static int parse_address(const char *text, uint8_t out_bytes[16])
{
	if (inet_pton(AF_INET, text, out_bytes) == 1)
		return AF_INET;
	if (inet_pton(AF_INET6, text, out_bytes) == 1)
		return AF_INET6;
	return 0;
}

char *ash_hostdoc_check_address(const char *text)
{
	uint8_t bytes[16];

	return parse_address(text, bytes) != 0
			       ? NULL
			       : wrong("is not an IPv4 or IPv6 address, as in '192.0.2.1'");
}

/* @out_bits: of the prefix; the family, or 0 */
static int parse_prefix(const char *text, uint8_t out_bytes[16], unsigned *out_bits)
{
	const char *slash = strchr(text, '/');

	if (slash == NULL || slash - text >= INET6_ADDRSTRLEN)
		return 0;
	g_autofree char *address = g_strndup(text, (gsize) (slash - text));
	int family = parse_address(address, out_bytes);
	guint64 bits = 0;
	if (family == 0 || (slash[1] == '0' && slash[2] != '\0') ||
			!g_ascii_string_to_unsigned(slash + 1, 10, 1, family == AF_INET ? 32 : 128,
					&bits, NULL))
		return 0;
	*out_bits = (unsigned) bits;
	return family;
}

char *ash_hostdoc_check_prefix(const char *text)
{
	uint8_t bytes[16];
	unsigned bits;

	if (parse_prefix(text, bytes, &bits) != 0)
		return NULL;
	if (parse_address(text, bytes) != 0)
		return wrong("has no prefix length, as in '192.0.2.10/24'");
	return wrong("is not an address with its prefix length, as in '192.0.2.10/24'");
}

bool ash_hostdoc_is_ipv6(const char *address)
{
	return strchr(address, ':') != NULL;
}

bool ash_hostdoc_prefix_holds(const char *prefix, const char *address)
{
	uint8_t net[16], bytes[16];
	unsigned bits = 0;
	int family = parse_prefix(prefix, net, &bits);

	if (family == 0 || parse_address(address, bytes) != family)
		return false;
	for (unsigned i = 0; i < bits; i++)
		if (((net[i / 8] ^ bytes[i / 8]) >> (7 - i % 8) & 1) != 0)
			return false;
	return true;
}

char *ash_hostdoc_check_server(const char *text)
{
	uint8_t bytes[16];

	if (parse_address(text, bytes) != 0 || is_name(text, ASH_HOSTDOC_MAX_NAME_BYTES))
		return NULL;
	return wrong("is not the name or address of a server");
}

/* The characters of a glob that networkd takes; no blank, which would begin a second one, and no '!',
 * which would turn the meaning around.
 */
char *ash_hostdoc_check_interface(const char *text)
{
	size_t length = strlen(text);

	if (length >= 1 && length <= ASH_HOSTDOC_MAX_INTERFACE_BYTES &&
			strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				     "._-:*?[]") == length)
		return NULL;
	return wrong("is not the name of an interface, as in 'eth0' or 'en*'");
}

char *ash_hostdoc_check_mac(const char *text)
{
	bool is_good = strlen(text) == 17;
	bool is_zero = true;

	for (size_t i = 0; is_good && i < 17; i++) {
		is_good = i % 3 == 2 ? text[i] == ':' : g_ascii_isxdigit(text[i]);
		is_zero = is_zero && (text[i] == ':' || text[i] == '0');
	}
	/* The lowest bit of the first byte is that of groups. */
	if (is_good && !is_zero && g_ascii_xdigit_value(text[1]) % 2 == 0)
		return NULL;
	return wrong("is not the hardware address of an interface, as in '52:54:00:12:34:56'");
}

/* ---- where things come from ---------------------------------------------------------------- */

char *ash_hostdoc_check_url(const char *text)
{
	if (strlen(text) > ASH_HOSTDOC_MAX_URL_BYTES)
		return wrong("is longer than 2048 bytes");
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isgraph(*p) || *p == '"' || *p == '\\' || *p == '%')
			return wrong("holds a character that no address of a directory needs");
	g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_NONE, NULL);
	const char *scheme = uri != NULL ? g_uri_get_scheme(uri) : "";
	if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
		return wrong("is not an address that begins with https:// or http://");
	if (g_uri_get_userinfo(uri) != NULL)
		return wrong("holds a user or password, which would be shown in logs");
	if (g_uri_get_query(uri) != NULL || g_uri_get_fragment(uri) != NULL)
		return wrong("ends in '?' or '#', but names of files are put behind it");
	const char *host = g_uri_get_host(uri);
	g_autofree char *problem = ash_hostdoc_check_server(host != NULL ? host : "");
	return problem != NULL ? wrong("names no server") : NULL;
}

/* Decodes @size characters of base64, blanks and line breaks between them; NULL: it is none. */
static guchar *decode_base64(const char *text, size_t size, gsize *out_size)
{
	g_autoptr(GString) packed = g_string_sized_new(size);

	for (size_t i = 0; i < size; i++) {
		if (g_ascii_isspace(text[i]))
			continue;
		if (!g_ascii_isalnum(text[i]) && strchr("+/=", text[i]) == NULL)
			return NULL;
		g_string_append_c(packed, text[i]);
	}
	size_t data = strspn(packed->str, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					  "0123456789+/");
	if (data == 0 || packed->len % 4 != 0 || packed->len - data > 2 ||
			strspn(packed->str + data, "=") != packed->len - data)
		return NULL;
	return g_base64_decode(packed->str, out_size);
}

char *ash_hostdoc_check_pem(const char *text)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	static const char end[] = "-----END CERTIFICATE-----";
	unsigned count = 0;

	if (strlen(text) > ASH_HOSTDOC_MAX_PEM_BYTES)
		return wrong("is larger than 64 KiB");
	for (const char *at = text;;) {
		at += strspn(at, " \t\r\n");
		if (*at == '\0' && count > 0)
			return NULL;
		if (!g_str_has_prefix(at, begin))
			return wrong("is not a list of certificates in PEM form");
		at += sizeof begin - 1;
		const char *stop = strstr(at, end);
		gsize size = 0;
		g_autofree guchar *der =
				stop != NULL ? decode_base64(at, (size_t) (stop - at), &size)
					     : NULL;
		/* A certificate is a SEQUENCE. */
		if (der == NULL || size < 2 || der[0] != 0x30)
			return wrong("holds a certificate that is damaged");
		at = stop + sizeof end - 1;
		count++;
	}
}

/* Is the decoded key one that says of itself that it is of @type? */
static bool is_key_of(const char *base64, const char *type)
{
	size_t length = strlen(type);
	gsize size = 0;
	g_autofree guchar *key = decode_base64(base64, strlen(base64), &size);

	return key != NULL && size > 4 + length && key[0] == 0 && key[1] == 0 && key[2] == 0 &&
	       key[3] == length && memcmp(key + 4, type, length) == 0;
}

char *ash_hostdoc_check_ssh_key(const char *text)
{
	static const char *const types[] = {"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256",
			"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com",
			"sk-ecdsa-sha2-nistp256@openssh.com", NULL};

	if (strlen(text) > ASH_HOSTDOC_MAX_SSH_KEY_BYTES)
		return wrong("is longer than 8192 bytes");
	if (!g_utf8_validate(text, -1, NULL))
		return wrong("is not UTF-8");
	for (const char *p = text; *p != '\0'; p++)
		if (g_ascii_iscntrl(*p))
			return wrong("is more than one line");
	g_auto(GStrv) words = g_strsplit(text, " ", 3);
	if (words[0] == NULL || !g_strv_contains(types, words[0]))
		return wrong("does not begin with a kind of key, as in 'ssh-ed25519 AAAA…'");
	if (words[1] == NULL || !is_key_of(words[1], words[0]))
		return wrong("is damaged: what follows the first word is no such key");
	return NULL;
}

char *ash_hostdoc_check_token(const char *text)
{
	size_t length = strlen(text);
	bool is_good = length >= 1 && length <= ASH_HOSTDOC_MAX_TOKEN_BYTES;

	for (const char *p = text; *p != '\0'; p++)
		is_good = is_good && g_ascii_isgraph(*p);
	return is_good ? NULL : wrong("must be 1 to 1024 visible ASCII characters without blanks");
}

char *ash_hostdoc_check_window(const char *text)
{
	g_autoptr(AshWindow) window = NULL;
	g_autoptr(GError) error = NULL;

	if (strlen(text) > ASH_HOSTDOC_MAX_WINDOW_BYTES)
		return wrong("is longer than 256 bytes");
	if (ash_window_parse(text, &window, &error))
		return NULL;
	return g_strconcat("is not a window of time: ", error->message, NULL);
}

/* ---- quantities ---------------------------------------------------------------------------- */

typedef struct {
	const char *name;
	uint64_t factor;
} Unit;

/* "NUMBER UNIT" without a blank; a leading zero means octal to some and nothing to others. */
static bool parse_quantity(const char *text, const Unit *units, uint64_t max, uint64_t *out_value)
{
	char *end = NULL;

	if (!g_ascii_isdigit(*text) || *text == '0')
		return false;
	uint64_t number = g_ascii_strtoull(text, &end, 10);
	for (; units->name != NULL; units++) {
		if (strcmp(units->name, end) != 0)
			continue;
		if (number > max / units->factor)
			return false;
		*out_value = number * units->factor;
		return true;
	}
	return false;
}

bool ash_hostdoc_parse_duration(const char *text, uint64_t *out_seconds)
{
	static const Unit units[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}, {0}};
	uint64_t seconds = 0;

	if (!parse_quantity(text, units, MAX_CHECK_S, &seconds) || seconds < MIN_CHECK_S)
		return false;
	*out_seconds = seconds;
	return true;
}

bool ash_hostdoc_parse_rate(const char *text, uint64_t *out_bytes)
{
	static const Unit units[] = {{"B", 1}, {"KiB", (uint64_t) 1 << 10},
			{"MiB", (uint64_t) 1 << 20}, {"GiB", (uint64_t) 1 << 30}, {0}};
	uint64_t bytes = 0;

	if (strcmp(text, "0") != 0 && (!parse_quantity(text, units, MAX_RATE_BYTES, &bytes) ||
						      bytes < MIN_RATE_BYTES))
		return false;
	*out_bytes = bytes;
	return true;
}
