/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hostdoc.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/hostdoc-value.h"
#include "lib/file.h"
#include "lib/yaml.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZs0oL+oASLsvs/UBbj8fT4ib/BhHA6NeNuqkBkjDKx"
#define PEM "-----BEGIN CERTIFICATE-----\\nMAA=\\n-----END CERTIFICATE-----\\n"

static AshHostdoc *parse(const char *text, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	AshHostdoc *doc = NULL;

	return ash_hostdoc_parse("h.yaml", bytes, &doc, error) ? doc : NULL;
}

static AshHostdoc *parse_good(const char *text)
{
	g_autoptr(GError) error = NULL;
	AshHostdoc *doc = parse(text, &error);

	g_assert_no_error(error);
	return doc;
}

static void assert_words(char *const *words, const char *expected)
{
	g_autofree char *joined = g_strjoinv(" ", (char **) (uintptr_t) words);

	g_assert_cmpstr(joined, ==, expected);
}

static void test_defaults(void)
{
	g_autoptr(AshHostdoc) doc = parse_good("# nothing\n");

	g_assert_null(doc->hostname);
	g_assert_null(doc->updates.url);
	g_assert_null(doc->updates.ca);
	g_assert_cmpuint(doc->updates.check_s, ==, 3600);
	g_assert_true(doc->updates.is_automatic);
	assert_words(doc->updates.windows, "");
	g_assert_cmpuint(doc->updates.rate_limit_bytes_s, ==, 0);
	g_assert_cmpuint(doc->updates.tries, ==, 3);
	g_assert_cmpuint(doc->updates.keep, ==, 2);
	g_assert_cmpuint(doc->networks->len, ==, 0);
	assert_words(doc->ntp, "");
	assert_words(doc->ssh_keys, "");
	g_assert_null(doc->fleet_url);
}

static void test_all_keys(void)
{
	g_autoptr(AshHostdoc) doc = parse_good(
			"hostname: web-3\n"
			"updates:\n"
			"  url: https://updates.example/host//\n"
			"  ca: \"" PEM "\"\n"
			"  check: 15min\n"
			"  automatic: false\n"
			"  windows: ['Sat,Sun 02:00-05:00 UTC', '22:00-23:00']\n"
			"  rate-limit: 500KiB\n"
			"  tries: 9\n"
			"  keep: 8\n"
			"network:\n"
			"  - match: {name: 'en*'}\n"
			"    addresses: [192.0.2.10/24, '2001:db8::10/64']\n"
			"    gateway: [192.0.2.1]\n"
			"    dns: [192.0.2.53]\n"
			"    mtu: 1400\n"
			"  - match: {mac: '52:54:00:12:34:56'}\n"
			"ntp: [time.example, 192.0.2.123]\n"
			"ssh: {keys: ['" KEY " me and you']}\n"
			"fleet: {url: 'https://fleet.example', ca: \"" PEM "\", token: abc}\n");

	g_assert_cmpstr(doc->hostname, ==, "web-3");
	g_assert_cmpstr(doc->updates.url, ==, "https://updates.example/host");
	g_assert_true(g_str_has_prefix(doc->updates.ca, "-----BEGIN"));
	g_assert_cmpuint(doc->updates.check_s, ==, 900);
	g_assert_false(doc->updates.is_automatic);
	assert_words(doc->updates.windows, "Sat,Sun 02:00-05:00 UTC 22:00-23:00");
	g_assert_cmpuint(doc->updates.rate_limit_bytes_s, ==, 500 * 1024);
	g_assert_cmpuint(doc->updates.tries, ==, 9);
	g_assert_cmpuint(doc->updates.keep, ==, 8);
	g_assert_cmpuint(doc->networks->len, ==, 2);
	const AshHostNetwork *fixed = doc->networks->pdata[0];
	g_assert_cmpstr(fixed->name, ==, "en*");
	g_assert_null(fixed->mac);
	g_assert_false(fixed->dhcp);
	assert_words(fixed->addresses, "192.0.2.10/24 2001:db8::10/64");
	assert_words(fixed->gateway, "192.0.2.1");
	assert_words(fixed->dns, "192.0.2.53");
	g_assert_cmpuint(fixed->mtu, ==, 1400);
	const AshHostNetwork *dynamic = doc->networks->pdata[1];
	g_assert_cmpstr(dynamic->mac, ==, "52:54:00:12:34:56");
	g_assert_true(dynamic->dhcp);
	assert_words(doc->ntp, "time.example 192.0.2.123");
	assert_words(doc->ssh_keys, KEY " me and you");
	g_assert_cmpstr(doc->fleet_url, ==, "https://fleet.example");
	g_assert_nonnull(doc->fleet_ca);
	g_assert_cmpstr(doc->fleet_token, ==, "abc");
}

static void test_errors(void)
{
	static const struct {
		const char *text;
		bool is_type; /* ASH_YAML_ERROR_TYPE */
		int code;
		const char *message; /* its beginning */
	} cases[] = {
			{"hostnam: web", false, ASH_HOSTDOC_ERROR_UNKNOWN_KEY,
					"h.yaml:1:1: unknown key 'hostnam' in a host document (did you mean 'hostname'?)"},
			{"updates:\n  window: []", false, ASH_HOSTDOC_ERROR_UNKNOWN_KEY,
					"h.yaml:2:3: unknown key 'window' in updates (did you mean 'windows'?)"},
			{"network: [{match: {name: a}, address: []}]", false,
					ASH_HOSTDOC_ERROR_UNKNOWN_KEY,
					"h.yaml:1:30: unknown key 'address' in network (did you mean 'addresses'?)"},
			{"[a]", true, 0, "h.yaml:1:1: a host document: expected a map"},
			{"ssh: yes", true, 0, "h.yaml:1:6: ssh: expected a map"},
			{"ntp: time.example", true, 0, "h.yaml:1:6: ntp: expected a list"},
			{"hostname: [web]", true, 0,
					"h.yaml:1:11: hostname is a list, expected text"},
			{"updates: {automatic: 'true'}", true, 0, "h.yaml:1:22: updates.automatic"},
			{"updates: {tries: three}", true, 0, "h.yaml:1:18: updates.tries"},
			{"hostname: web_3", false, ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:11: hostname 'web_3' is not a host name"},
			{"updates: {tries: 0}", false, ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:18: updates.tries 0 is not from 1 to 9"},
			{"updates: {keep: 1}", false, ASH_HOSTDOC_ERROR_VALUE, "h.yaml:1:17:"},
			{"updates: {check: 10s}", false, ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:18: updates.check '10s' is not a time from 1min to 7d"},
			{"updates: {rate-limit: 1KB}", false, ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:23: updates.rate-limit '1KB' is not 0 or a size"},
			{"updates: {windows: [always]}", false, ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:21: updates.windows 'always' is not a window of time"},
			{"updates: {ca: none}", false, ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:15: updates.ca is not a list of certificates"},
			{"fleet: {token: 'se cret'}", false, ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:16: fleet.token must be"},
			{"network: [{dhcp: true}]", false, ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:11: a network needs 'match'"},
			{"network: [{match: {}}]", false, ASH_HOSTDOC_ERROR_VALUE, "h.yaml:1:11:"},
			{"network: [{match: {name: a, mac: '52:54:00:12:34:56'}}]", false,
					ASH_HOSTDOC_ERROR_VALUE, "h.yaml:1:11:"},
			{"network: [{match: {name: a}}, {match: {name: a}}]", false,
					ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:31: this network matches the same as network 1"},
			{"network: [{match: {name: a}, gateway: [192.0.2.1]}]", false,
					ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:39: gateway '192.0.2.1' is of no use"},
			{"network: [{match: {name: a}, addresses: ['2001:db8::1/64'], mtu: 1000}]",
					false, ASH_HOSTDOC_ERROR_VALUE, "h.yaml:1:66: mtu 1000"},
			{"network: [{match: {name: a}, mtu: 9}]", false, ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:35: network.mtu 9 is not from 576"},
			{"hostname: \"a\\e[31m\"", false, ASH_HOSTDOC_ERROR_VALUE,
					"h.yaml:1:11: hostname 'a?[31m' is"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(parse(cases[i].text, &error));
		if (!g_str_has_prefix(error->message, cases[i].message))
			g_error("%s: %s", cases[i].text, error->message);
		if (cases[i].is_type)
			g_assert_error(error, ASH_YAML_ERROR, ASH_YAML_ERROR_TYPE);
		else
			g_assert_error(error, ASH_HOSTDOC_ERROR, cases[i].code);
		/* What is secret is not repeated. */
		g_assert_null(strstr(error->message, "se cret"));
	}
}

static void test_values(void)
{
	static const struct {
		AshHostdocCheck check;
		const char *good[12], *bad[14];
	} cases[] = {
			{ash_hostdoc_check_hostname,
					{"a", "web-3", "3com", "a.b.example", "1.2.c", "A-B",
							"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123"},
					{"", "-a", "a-", "a..b", ".a", "a.", "a b", "a_b", "1",
							"10.0.0.1", "\xc3\xa4", "a/b",
							"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234",
							"aaaaaaaaaabbbbbbbbbb.ccccccccccddddddddddeeeeeeeeeeffffffffff1234"}},
			{ash_hostdoc_check_prefix,
					{"192.0.2.1/24", "192.0.2.1/32", "2001:db8::1/128",
							"::1/1"},
					{"192.0.2.1", "192.0.2.1/0", "192.0.2.1/33",
							"192.0.2.1/024", "192.0.2/24",
							"2001:db8::1/129", "/24", "a/24",
							"192.0.2.1/", "192.0.2.1/24 ",
							"192.0.2.01/24"}},
			{ash_hostdoc_check_address, {"192.0.2.1", "2001:db8::1", "::"},
					{"", "192.0.2.1/24", "web", "192.0.2.256", "fe80::1%eth0"}},
			{ash_hostdoc_check_server, {"192.0.2.1", "2001:db8::1", "time.example"},
					{"", "192.0.2.256", "a b", "time.example:123"}},
			{ash_hostdoc_check_interface, {"en*", "eth0", "enp[0-9]s?", "a.1"},
					{"", "!eth0", "a b", "a\nb", "a/b"}},
			{ash_hostdoc_check_mac, {"52:54:00:12:34:56", "02:00:00:00:00:aF"},
					{"", "52:54:00:12:34", "52-54-00-12-34-56",
							"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff",
							"01:00:5e:00:00:01", "52:54:00:12:34:5g",
							"52:54:00:12:34:56 "}},
			{ash_hostdoc_check_url,
					{"https://updates.example/host",
							"http://192.0.2.1:8080/a/b",
							"https://[2001:db8::1]/x", "https://a"},
					{"", "updates.example", "ftp://updates.example/",
							"https://", "https:///x",
							"https://me:pw@updates.example/",
							"https://a/?q=1", "https://a/#f",
							"https://a/ b", "file:///etc",
							"https://a:99999/", "https://a b/",
							"https://a_b/"}},
			{ash_hostdoc_check_ssh_key,
					{KEY, KEY " me", KEY " two words",
							"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGBmB4J0MCdRsbjROLaS2YiE15JMrdzQbo1B5oWjMdfBAza+4/l7SbvIBH90DnFOGVn7xg0NLNTv1pv6g9YWhn0= x"},
					{"", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA",
							"command=\"x\" " KEY,
							"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJZs",
							KEY "\n" KEY,
							"ssh-dss AAAAB3NzaC1kc3MAAAAA", " " KEY,
							"ssh-ed25519 %%%%", "# " KEY}},
			{ash_hostdoc_check_token, {"abc", "a.b-c_d~!"},
					{"", "a b", "a\tb", "\xc3\xa4"}},
			{ash_hostdoc_check_pem,
					{"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
							"\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
							"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"},
					{"", "MAA=", "-----BEGIN CERTIFICATE-----\nMAA=\n",
							"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
							"-----BEGIN CERTIFICATE-----\nM*A=\n-----END CERTIFICATE-----",
							"-----BEGIN CERTIFICATE-----\nMA=\n-----END CERTIFICATE-----",
							"-----BEGIN CERTIFICATE-----\nAAA=\n-----END CERTIFICATE-----",
							"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----"}},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		for (size_t j = 0; j < G_N_ELEMENTS(cases[i].good) && cases[i].good[j] != NULL;
				j++) {
			g_autofree char *problem = cases[i].check(cases[i].good[j]);
			if (problem != NULL)
				g_error("'%s' %s", cases[i].good[j], problem);
		}
		for (size_t j = 0; j < G_N_ELEMENTS(cases[i].bad) && cases[i].bad[j] != NULL; j++) {
			g_autofree char *problem = cases[i].check(cases[i].bad[j]);
			if (problem == NULL)
				g_error("%zu: '%s' passes", i, cases[i].bad[j]);
		}
	}
}

static void test_quantities(void)
{
	static const struct {
		const char *text;
		uint64_t value; /* 0: refused */
	} durations[] = {{"60s", 60}, {"1min", 60}, {"1h", 3600}, {"7d", 604800}, {"168h", 604800},
			{"59s", 0}, {"8d", 0}, {"1m", 0}, {"1", 0}, {"h", 0}, {"", 0}, {"01h", 0},
			{"1 h", 0}, {"-1h", 0}, {"99999999999999999999h", 0}, {"1.5h", 0}},
	  rates[] = {{"1KiB", 1024}, {"2MiB", 2 << 20}, {"1024B", 1024}, {"1GiB", 1 << 30},
			  {"1023B", 0}, {"1025GiB", 0}, {"1KB", 0}, {"10", 0}, {"00", 0},
			  {"18446744073709551615GiB", 0}};
	uint64_t value = 7;

	for (size_t i = 0; i < G_N_ELEMENTS(durations); i++) {
		bool is_good = ash_hostdoc_parse_duration(durations[i].text, &value);
		g_assert_cmpint(is_good, ==, durations[i].value != 0);
		g_assert_true(!is_good || value == durations[i].value);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(rates); i++) {
		bool is_good = ash_hostdoc_parse_rate(rates[i].text, &value);
		g_assert_cmpint(is_good, ==, rates[i].value != 0);
		g_assert_true(!is_good || value == rates[i].value);
	}
	g_assert_true(ash_hostdoc_parse_rate("0", &value));
	g_assert_cmpuint(value, ==, 0);
}

static void test_limits(void)
{
	g_autoptr(GString) text = g_string_new("ntp: [");
	g_autoptr(GString) large = g_string_new("hostname: web\n#");
	g_autoptr(GError) error = NULL;

	for (int i = 0; i < ASH_HOSTDOC_MAX_LIST; i++)
		g_string_append(text, "a, ");
	g_autofree char *full = g_strconcat(text->str, "]\n", NULL);
	g_autofree char *beyond = g_strconcat(text->str, "a]\n", NULL);
	g_autoptr(AshHostdoc) doc = parse_good(full);
	g_assert_cmpuint(g_strv_length(doc->ntp), ==, ASH_HOSTDOC_MAX_LIST);
	g_assert_null(parse(beyond, &error));
	g_assert_error(error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_LIMIT);
	g_clear_error(&error);

	while (large->len < ASH_HOSTDOC_MAX_BYTES)
		g_string_append_c(large, 'x');
	g_autoptr(AshHostdoc) just = parse_good(large->str);
	g_assert_cmpstr(just->hostname, ==, "web");
	g_string_append_c(large, 'x');
	g_assert_null(parse(large->str, &error));
	g_assert_error(error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_LIMIT);
}

/* Later documents win key by key, lists as a whole; a refused one changes nothing. */
static void test_merge(void)
{
	static const char bad_text[] = "hostname: other\nntp: []\nupdates: {tries: 99}\n";
	static const char more_text[] = "updates: {tries: 5}\nntp: [c]\n";
	g_autoptr(AshHostdoc) doc = parse_good("hostname: web\nntp: [a, b]\n"
					       "updates: {tries: 4, keep: 4}\n");
	g_autoptr(GBytes) bad_bytes = g_bytes_new_static(bad_text, sizeof bad_text - 1);
	g_autoptr(GBytes) more_bytes = g_bytes_new_static(more_text, sizeof more_text - 1);
	g_autoptr(AshYaml) bad = NULL;
	g_autoptr(AshYaml) more = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_yaml_parse("bad", bad_bytes, &bad, NULL));
	g_assert_false(ash_hostdoc_merge(doc, bad, &error));
	g_assert_error(error, ASH_HOSTDOC_ERROR, ASH_HOSTDOC_ERROR_VALUE);
	g_assert_cmpstr(doc->hostname, ==, "web");
	assert_words(doc->ntp, "a b");
	g_assert_true(ash_yaml_parse("more", more_bytes, &more, NULL));
	g_clear_error(&error);
	g_assert_true(ash_hostdoc_merge(doc, more, &error));
	g_assert_cmpstr(doc->hostname, ==, "web");
	assert_words(doc->ntp, "c");
	g_assert_cmpuint(doc->updates.tries, ==, 5);
	g_assert_cmpuint(doc->updates.keep, ==, 4);
}

static void test_network_unit(void)
{
	static const struct {
		const char *text;
		const char *has[8], *lacks[4];
	} cases[] = {
			{"network: [{match: {name: 'en*'}}]",
					{"[Match]\nType=ether\nKind=!*\nName=en*\n", "\nDHCP=yes\n",
							"\nIPv6AcceptRA=yes\n",
							"[DHCPv4]\nUseHostname=no\nUseDNS=yes\n"},
					{"MTU", "[Route]", "DNS=1"}},
			{"network: [{match: {mac: '52:54:00:12:34:56'}, mtu: 1400,"
			 " addresses: [192.0.2.10/24, '2001:db8::1/64'],"
			 " gateway: [192.0.2.1, '2001:db8::ff', 'fe80::1', 198.51.100.1], dns: [192.0.2.53]}]",
					{"\nMACAddress=52:54:00:12:34:56\n",
							"[Link]\nMTUBytes=1400\n",
							"\nDHCP=no\nIPv6AcceptRA=no\n",
							"\nAddress=192.0.2.10/24\nAddress=2001:db8::1/64\nDNS=192.0.2.53\n",
							"\n[Route]\nGateway=192.0.2.1\n\n[Route]\nGateway=2001:db8::ff\n\n",
							"Gateway=198.51.100.1\nGatewayOnLink=yes\n"},
					{"Name=", "[DHCPv4]"}},
			{"network: [{match: {name: a}, dhcp: true, addresses: [192.0.2.10/24], dns: [192.0.2.53]}]",
					{"\nDHCP=yes\n", "\nUseDNS=no\n",
							"\nAddress=192.0.2.10/24\n"},
					{"UseDNS=yes"}},
			{"network: [{match: {name: a}, dhcp: false}]", {"\nDHCP=no\n"},
					{"[DHCPv4]"}},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(AshHostdoc) doc = parse_good(cases[i].text);
		g_autofree char *unit = ash_hostdoc_network_unit(doc->networks->pdata[0]);
		for (size_t j = 0; j < G_N_ELEMENTS(cases[i].has) && cases[i].has[j] != NULL; j++)
			if (strstr(unit, cases[i].has[j]) == NULL)
				g_error("%zu lacks '%s': %s", i, cases[i].has[j], unit);
		for (size_t j = 0; j < G_N_ELEMENTS(cases[i].lacks) && cases[i].lacks[j] != NULL;
				j++)
			if (strstr(unit, cases[i].lacks[j]) != NULL)
				g_error("%zu has '%s': %s", i, cases[i].lacks[j], unit);
	}
}

static void put(const AshTempDir *root, const char *path, const char *text)
{
	g_autofree char *full = g_strconcat(root->path, path, NULL);
	g_autofree char *directory = g_path_get_dirname(full);
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
	g_file_set_contents(full, text, -1, &error);
	g_assert_no_error(error);
}

static void test_load(void)
{
	g_autoptr(AshTempDir) root = NULL;
	g_autoptr(AshHostdoc) doc = NULL;
	g_auto(GStrv) warnings = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "hostdoc", &root, &error));
	g_assert_true(ash_hostdoc_load(root->path, &doc, &warnings, &error));
	assert_words(warnings, "");
	g_assert_cmpuint(doc->updates.tries, ==, 3);
	g_clear_pointer(&doc, ash_hostdoc_free);
	g_clear_pointer(&warnings, g_strfreev);

	put(root, "/usr/lib/ashlar/agent.d/10-image.yaml",
			"updates: {url: 'https://a.example', tries: 5, keep: 5}\n");
	put(root, "/usr/lib/ashlar/agent.d/20-image.yaml", "updates: {tries: 6}\n");
	put(root, "/usr/lib/ashlar/agent.d/ignored.txt", "nonsense\n");
	put(root, "/etc/ashlar/agent.d/20-image.yaml", "updates: {check: 2h}\n");
	put(root, "/etc/ashlar/agent.d/30-broken.yaml", "updates: {keep: 7, tries: 77}\n");
	put(root, "/etc/ashlar/agent.d/40-more.yaml", "hostname: web\n");
	put(root, "/var/lib/ashlar/host.yaml",
			"hostname: w\nupdates: {url: 'https://b.example'}\n");
	g_assert_true(ash_hostdoc_load(root->path, &doc, &warnings, &error));
	g_assert_cmpuint(doc->updates.tries, ==, 5);
	/* The good key beside the bad one holds. */
	g_assert_cmpuint(doc->updates.keep, ==, 7);
	g_assert_true(doc->is_doubtful);
	g_assert_false(doc->updates.is_automatic);
	g_assert_cmpuint(doc->updates.check_s, ==, 7200);
	g_assert_cmpstr(doc->updates.url, ==, "https://b.example");
	g_assert_cmpstr(doc->hostname, ==, "w");
	g_assert_cmpuint(g_strv_length(warnings), ==, 4);
	g_assert_nonnull(strstr(warnings[0], "30-broken.yaml:1:27: updates.tries 77"));
	g_assert_nonnull(strstr(warnings[1], "no release is taken by itself"));
	g_assert_nonnull(strstr(warnings[2], "40-more.yaml:1:1: only 'updates'"));
	g_clear_pointer(&doc, ash_hostdoc_free);
	g_clear_pointer(&warnings, g_strfreev);

	/* The document in force is broken: the settings stay. */
	put(root, "/var/lib/ashlar/host.yaml", "hostname: [\n");
	g_assert_true(ash_hostdoc_load(root->path, &doc, &warnings, &error));
	g_assert_cmpstr(doc->updates.url, ==, "https://a.example");
	g_assert_cmpuint(g_strv_length(warnings), ==, 5);
	g_clear_pointer(&doc, ash_hostdoc_free);
	g_clear_pointer(&warnings, g_strfreev);

	put(root, "/var/lib/ashlar/host.yaml.previous", "hostname: before\n");
	g_assert_true(ash_hostdoc_load(root->path, &doc, &warnings, &error));
	g_assert_cmpstr(doc->hostname, ==, "before");
}

/* What the host was told before a mistake stays in force, over restarts, until somebody mends or removes it. */
static void test_settings_kept(void)
{
	static const char good[] = "updates: {automatic: false, windows: ['Sat 02:00-03:00']}\n";
	/* The mistake; a word of its message; what it would have been without the kept text. */
	static const char *const mistakes[][2] = {
			{"updates: {automatic: false, windows: ['Sat 2-3']}\n", ":1:39: "},
			{"updates: {automatik: true}\n", ":1:11: unknown key 'automatik'"},
			{"updates: {automatic: [}\n", "10.yaml:1:"},
			{"updates: 5\n", ":1:10: "},
			{"- updates\n", ":1:1: "},
	};
	g_autoptr(AshTempDir) root = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "hostdoc", &root, &error));
	g_assert_true(ash_hostdoc_keep(root->path, &error));
	put(root, "/etc/ashlar/agent.d/10.yaml", good);
	g_assert_true(ash_hostdoc_keep(root->path, &error));
	for (size_t i = 0; i < G_N_ELEMENTS(mistakes); i++) {
		g_autoptr(AshHostdoc) doc = NULL;
		g_auto(GStrv) warnings = NULL;
		put(root, "/etc/ashlar/agent.d/10.yaml", mistakes[i][0]);
		g_assert_true(ash_hostdoc_keep(root->path, &error));
		g_assert_true(ash_hostdoc_load(root->path, &doc, &warnings, &error));
		g_assert_false(doc->is_doubtful);
		g_assert_false(doc->updates.is_automatic);
		g_assert_cmpuint(g_strv_length(doc->updates.windows), ==, 1);
		g_assert_cmpuint(g_strv_length(warnings), ==, 2);
		g_assert_nonnull(strstr(warnings[0], mistakes[i][1]));
		g_assert_nonnull(strstr(warnings[1], "as it was before the mistake"));
	}

	/* A file that was taken away is not missed. */
	g_autofree char *file = g_build_filename(root->path, "etc/ashlar/agent.d/10.yaml", NULL);
	g_autoptr(AshHostdoc) without = NULL, doubtful = NULL;
	g_assert_cmpint(g_unlink(file), ==, 0);
	g_assert_true(ash_hostdoc_keep(root->path, &error));
	g_assert_true(ash_hostdoc_load(root->path, &without, NULL, &error));
	g_assert_true(without->updates.is_automatic);
	put(root, "/etc/ashlar/agent.d/10.yaml", mistakes[0][0]);
	/* And a later file does not take back what is not known. */
	put(root, "/etc/ashlar/agent.d/20.yaml", "updates: {automatic: true}\n");
	g_assert_true(ash_hostdoc_keep(root->path, &error));
	g_assert_true(ash_hostdoc_load(root->path, &doubtful, NULL, &error));
	g_assert_true(doubtful->is_doubtful);
	g_assert_false(doubtful->updates.is_automatic);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/hostdoc/defaults", test_defaults);
	g_test_add_func("/hostdoc/all-keys", test_all_keys);
	g_test_add_func("/hostdoc/errors", test_errors);
	g_test_add_func("/hostdoc/values", test_values);
	g_test_add_func("/hostdoc/quantities", test_quantities);
	g_test_add_func("/hostdoc/limits", test_limits);
	g_test_add_func("/hostdoc/settings-kept", test_settings_kept);
	g_test_add_func("/hostdoc/merge", test_merge);
	g_test_add_func("/hostdoc/network-unit", test_network_unit);
	g_test_add_func("/hostdoc/load", test_load);
	return g_test_run();
}
