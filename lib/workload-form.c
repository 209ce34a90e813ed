/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "lib/workload-key.h"

#define CONTROL "\\x00-\\x1f\\x7f"
#define SEGMENT "/(?!\\.{1,2}(?:/|$))[^/" CONTROL "]+"
#define HEX64 "[0-9a-f]{64}"
#define PORT "[1-9][0-9]{0,4}"
#define IPV4 "[0-9]{1,3}(?:\\.[0-9]{1,3}){3}"
#define IPV6 "[0-9A-Fa-f:.]{2,45}"
#define LABEL "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
#define REPOSITORY "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*"
#define TAG "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"

static AshPattern forms[] = {
		[ASH_WORKLOAD_FORM_LINE] = {"[^" CONTROL "]{1,256}",
				"one line of at most 256 characters"},
		[ASH_WORKLOAD_FORM_NAME] = {"[a-z][a-z0-9-]{0,31}",
				"a name: lower-case letters, digits and '-', a letter first, at most "
				"32"},
		[ASH_WORKLOAD_FORM_VERSION] = {"[A-Za-z0-9][A-Za-z0-9.+~-]{0,63}",
				"a version: letters, digits, '.', '+', '~' and '-', at most 64"},
		[ASH_WORKLOAD_FORM_IMAGE] =
				{"oci:(?:" LABEL "(?:\\." LABEL ")*|\\[[0-9a-f:]{2,39}\\])(?::" PORT
				 ")?(?:/" REPOSITORY ")+"
				 "(?::" TAG ")?(?:@sha256:" HEX64 ")?"
				 "|(?:oci-dir|docker-archive):(?:/(?!\\.{1,2}(?:[/:]|$))[^/:" CONTROL
				 "]+)+(?::" TAG ")?"
				 "|ostree:[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*"
				 "(?:@" HEX64 ")?",
						"oci:HOST/NAME:TAG or oci:HOST/NAME@sha256:HEX, "
						"oci-dir:/PATH[:TAG], docker-archive:/PATH[:TAG], or "
						"ostree:REF[@COMMIT]"},
		[ASH_WORKLOAD_FORM_PATH] = {"(?:" SEGMENT ")+",
				"an absolute path without '.' or '..' in it, and no '/' at its end"},
		[ASH_WORKLOAD_FORM_DIRECTORY] = {"/|(?:" SEGMENT ")+",
				"an absolute path without '.' or '..' in it, and no '/' at its end"},
		[ASH_WORKLOAD_FORM_USER] = {"(?:[0-9]{1,5}|[a-z_][a-z0-9_-]{0,31})"
					    "(?::(?:[0-9]{1,5}|[a-z_][a-z0-9_-]{0,31}))?",
				"USER or USER:GROUP, each a number up to 65534 or a name"},
		[ASH_WORKLOAD_FORM_PARAMETER] = {"[a-z][a-z0-9_-]{0,31}",
				"a name: lower-case letters, digits, '_' and '-', a letter first, at "
				"most 32"},
		[ASH_WORKLOAD_FORM_VARIABLE] = {"[A-Za-z_][A-Za-z0-9_]{0,127}",
				"the name of a variable: letters, digits and '_'"},
		[ASH_WORKLOAD_FORM_DURATION] = {"(?:0|[1-9][0-9]{0,9})(?:ms|s|min|h)",
				"a duration, as in 500ms, 10s, 5min or 1h"},
		[ASH_WORKLOAD_FORM_SIZE] = {"(?:0|[1-9][0-9]{0,18})(?:KiB|MiB|GiB|TiB)?",
				"a size in bytes, or with KiB, MiB, GiB or TiB right behind the number, as "
				"in 100MiB"},
		[ASH_WORKLOAD_FORM_CPU] = {"(?:0|[1-9][0-9]{0,3})(?:\\.[0-9]{1,3})?",
				"a number of processors from 0.01 to 1024, as in 0.5 or 2"},
		[ASH_WORKLOAD_FORM_PUBLISH] = {"(?:" IPV4 ":)?" PORT ":" PORT "(?:/(?:tcp|udp))?",
				"[ADDRESS:]PORT:PORT[/udp], the host's port first, as in "
				"\"8080:80\" or \"127.0.0.1:5353:53/udp\""},
		[ASH_WORKLOAD_FORM_EGRESS] = {"(?:\\*|" IPV4 "(?:/[0-9]{1,2})?|\\[" IPV6
					      "(?:/[0-9]{1,3})?\\]|" LABEL "(?:\\." LABEL
					      ")*)(?::" PORT "(?:/(?:tcp|udp))?)?",
				"TARGET[:PORT[/udp]], where TARGET is a network, an address, "
				"a name or *, as in \"192.0.2.0/24:443\", "
				"\"[2001:db8::/32]:443\" or \"*:53/udp\""},
		[ASH_WORKLOAD_FORM_SERVICE] = {"(?=.{1,64}$)[A-Za-z][A-Za-z0-9-]*"
					       "(?:\\.[A-Za-z0-9][A-Za-z0-9-]*)*",
				"the name of a service: letters, digits, '-' and '.', at most 64"},
		[ASH_WORKLOAD_FORM_SECRET] = {"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
				"the name of a file in /etc/ashlar/secrets, at most 64"},
		[ASH_WORKLOAD_FORM_CAPABILITY] = {"[a-z][a-z0-9_]{2,31}",
				"a capability of Linux without CAP_, as in net_bind_service"},
		[ASH_WORKLOAD_FORM_DEVICE] = {"/dev(?:" SEGMENT ")+",
				"the path of a device below /dev"},
		[ASH_WORKLOAD_FORM_CALL] = {"[a-z_][a-z0-9_]{0,47}", "the name of a system call"},
};

bool ash_workload_form_matches(AshWorkloadForm form, const char *text)
{
	return ash_pattern_matches(&forms[form], text);
}

const AshPattern *ash_workload_form_pattern(AshWorkloadForm form)
{
	return &forms[form];
}

const char *ash_workload_form_expected(AshWorkloadForm form)
{
	return forms[form].expected;
}

/* ---- numbers with a unit ------------------------------------------------------------------------- */

bool ash_workload_parse_size(const char *text, uint64_t *out_bytes)
{
	static const char units[][4] = {"", "KiB", "MiB", "GiB", "TiB"};
	size_t n_digits = strspn(text, "0123456789");
	g_autofree char *digits = g_strndup(text, n_digits);
	guint64 number;

	if (!ash_workload_form_matches(ASH_WORKLOAD_FORM_SIZE, text) ||
			!g_ascii_string_to_unsigned(digits, 10, 0, INT64_MAX, &number, NULL))
		return false;
	for (unsigned i = 0; i < G_N_ELEMENTS(units); i++) {
		if (strcmp(text + n_digits, units[i]) != 0)
			continue;
		if (number > (uint64_t) INT64_MAX >> (10 * i))
			return false;
		*out_bytes = number << (10 * i);
		return true;
	}
	return false;
}

bool ash_workload_parse_cpu(const char *text, uint32_t *out_milli)
{
	uint32_t milli = 0;
	const char *dot = strchr(text, '.');

	if (!ash_workload_form_matches(ASH_WORKLOAD_FORM_CPU, text))
		return false;
	for (const char *p = text; p != dot && *p != '\0'; p++)
		milli = milli * 10 + (uint32_t) (*p - '0') * 1000;
	for (uint32_t unit = 100; dot != NULL && *++dot != '\0'; unit /= 10)
		milli += (uint32_t) (*dot - '0') * unit;
	*out_milli = milli;
	return true;
}

char *ash_workload_format_duration(uint32_t ms)
{
	static const struct {
		const char *name;
		uint32_t ms;
	} units[] = {{"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
	size_t i = 0;

	if (ms == 0)
		return g_strdup("0s");
	while (ms % units[i].ms != 0)
		i++;
	return g_strdup_printf("%" PRIu32 "%s", ms / units[i].ms, units[i].name);
}

/* ---- addresses ----------------------------------------------------------------------------------- */

static bool parse_address(const char *text, uint8_t out_bytes[16], unsigned *out_bits)
{
	if (inet_pton(AF_INET, text, out_bytes) == 1)
		*out_bits = 32;
	else if (inet_pton(AF_INET6, text, out_bytes) == 1)
		*out_bits = 128;
	else
		return false;
	return true;
}

char *ash_workload_normal_address(const char *text)
{
	uint8_t bytes[16];
	unsigned bits;
	char normal[INET6_ADDRSTRLEN];

	if (!parse_address(text, bytes, &bits))
		return NULL;
	inet_ntop(bits == 32 ? AF_INET : AF_INET6, bytes, normal, sizeof(normal));
	return g_strdup(normal);
}

bool ash_workload_is_network(const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, "/", 2);
	uint8_t bytes[16];
	unsigned bits;
	guint64 length;

	if (parts[0] == NULL || !parse_address(parts[0], bytes, &bits))
		return false;
	if (parts[1] == NULL)
		return true;
	if ((parts[1][0] == '0' && parts[1][1] != '\0') ||
			!g_ascii_string_to_unsigned(parts[1], 10, 0, bits, &length, NULL))
		return false;
	for (unsigned bit = (unsigned) length; bit < bits; bit++)
		if (bytes[bit / 8] & (0x80 >> bit % 8))
			return false;
	return true;
}
