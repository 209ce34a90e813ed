/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/workload.h"

#include <string.h>

#include "lib/workload-key.h"

#define MINIMAL "workload: web\nversion: 1.0\nimage: ostree:workload/web/amd64\n"
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static gboolean parse(const char *text, AshWorkload **out_workload, GError **error)
{
	/* Without its final NUL, so that reading behind it is seen. */
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));

	return ash_workload_parse("web.yaml", bytes, out_workload, error);
}

static AshWorkload *parse_good(const char *text)
{
	g_autoptr(GError) error = NULL;
	AshWorkload *workload = NULL;
	bool is_parsed = parse(text, &workload, &error);

	g_assert_no_error(error);
	g_assert_true(is_parsed);
	return workload;
}

/* Every key once, by its example where these go together. */
static const char *const whole =
		"workload: web\nversion: 1.2.0\nsummary: A web \"server\" ünd more\n"
		"image: oci:registry.example:5000/a/web:latest@sha256:" HEX "\n"
		"command: [/usr/bin/web, --port, \"8080\", \"a\\nb\\t\\\\ \", \"${greeting} $${x}\"]\n"
		"environment: {B: \"${level}\", A: \"\", GREETING: \"${greeting}\"}\n"
		"directory: /srv\nuser: \"1000:1000\"\n"
		"parameters:\n"
		"  - {name: greeting, default: hello, max: 64}\n"
		"  - {name: count, type: int, min: -5, max: 7, default: 0}\n"
		"  - {name: fast, type: bool, default: true}\n"
		"  - {name: level, type: choice, choices: [low, high]}\n"
		"isolation: {class: container, at-least: sandbox}\nboot: false\n"
		"resources: {cpu: 0.25, memory: 64MiB, tasks: 64, disk: 100MiB, descriptors: 99}\n"
		"network:\n  mode: natnet\n  name: backend\n"
		"  publish: [\"8080:80\", \"127.0.0.1:5353:53/udp\", \"0.0.0.0:81:80/tcp\"]\n"
		"  egress: [\"192.0.2.0/24:443\", \"example.org:443\", \"*:53/udp\", "
		"\"[2001:db8::/32]\"]\n"
		"  isolated: true\n  bandwidth: 10MiB\n  connections: 1000\n"
		"provides:\n  - {name: db, socket: /run/db/db.sock}\n"
		"  - {name: sign.Text, call: [/usr/bin/sign, -v]}\n"
		"requires:\n  - {name: log, socket: /run/log/in.sock}\n  - {name: ask.Me}\n"
		"volumes:\n  - {name: data, path: /var/lib/web, size: 1GiB}\n"
		"  - {name: static, path: /srv/static, size: 10MiB, read-only: true}\n"
		"capabilities: [net_raw, net_bind_service]\ndevices: [/dev/net/tun]\n"
		"secrets: [{name: tls, path: /run/secrets/tls}]\n"
		"system-calls: {add: [io_uring_setup, bpf], remove: [bind]}\n"
		"health: {soak: 30s, deadline: 5min, checks: [{name: a, tcp: \"127.0.0.1:80\"}, "
		"{name: b, class: wanted, command: [/bin/probe, \"x y\"]}, "
		"{name: c, space: {path: /srv, bytes: 1KiB, inodes: 5}}]}\n"
		"heartbeat: {every: 30s}\n"
		"restart: {policy: on-failure, first: 500ms, longest: 1min, budget: 3, within: 1h}\n"
		"scope: system\ninstances: 1\nafter: [db, cache]\nrequired: true\n"
		"disposable: false\n";

static void test_whole(void)
{
	g_autoptr(AshWorkload) w = parse_good(whole);

	g_assert_cmpstr(w->name, ==, "web");
	g_assert_cmpstr(w->version, ==, "1.2.0");
	g_assert_cmpint(w->image.kind, ==, ASH_WORKLOAD_IMAGE_OCI);
	g_assert_cmpstr(w->image.location, ==, "registry.example:5000/a/web");
	g_assert_cmpstr(w->image.tag, ==, "latest");
	g_assert_cmpstr(w->image.digest, ==, "sha256:" HEX);
	g_assert_true(ash_workload_is_pinned(w));
	g_assert_cmpstr(w->command[3], ==, "a\nb\t\\ ");
	g_assert_cmpstr(w->environment[0], ==, "A=");
	g_assert_cmpstr(w->environment[2], ==, "GREETING=${greeting}");
	g_assert_cmpint(w->at_least, ==, ASH_ISOLATION_SANDBOX);
	g_assert_cmpuint(w->cpu_milli, ==, 250);
	g_assert_cmpuint(w->memory_bytes, ==, 64 << 20);
	g_assert_cmpuint(w->network.publish->len, ==, 3);
	const AshWorkloadPort *port = w->network.publish->pdata[2];
	g_assert_cmpstr(port->address, ==, "");
	g_assert_cmpuint(port->host_port, ==, 81);
	g_assert_cmpuint(port->port, ==, 80);
	const AshWorkloadEgress *egress = w->network.egress->pdata[2];
	g_assert_true(egress->is_udp && !egress->is_name);
	g_assert_cmpuint(egress->port, ==, 53);
	egress = w->network.egress->pdata[1];
	g_assert_true(egress->is_name);
	g_assert_cmpstr(w->capabilities[0], ==, "net_bind_service");
	g_assert_cmpstr(w->calls_added[0], ==, "bpf");
	g_assert_null(w->calls_only);
	g_assert_cmpuint(w->health->checks->len, ==, 3);
	g_assert_cmpuint(w->health->soak_ms, ==, 30000);
	g_assert_cmpuint(w->heartbeat_ms, ==, 30000);
	g_assert_cmpint(w->restart.policy, ==, ASH_RESTART_ON_FAILURE);
	g_assert_true(w->is_system && w->is_required && !w->is_disposable);
	g_assert_cmpstr(w->after[0], ==, "cache");
	const AshWorkloadParameter *level = w->parameters->pdata[3];
	g_assert_null(level->value);
	g_assert_cmpstr(level->choices[1], ==, "high");
}

static void test_minimal(void)
{
	g_autoptr(AshWorkload) w = parse_good(MINIMAL);

	g_assert_null(w->command);
	g_assert_null(w->directory);
	g_assert_null(*w->environment);
	g_assert_cmpint(w->isolation, ==, ASH_ISOLATION_CLASS_CONTAINER);
	g_assert_cmpint(w->at_least, ==, ASH_ISOLATION_CONTAINER);
	g_assert_cmpint(w->network.mode, ==, ASH_NETWORK_NONE);
	g_assert_cmpuint(w->cpu_milli, ==, 1000);
	g_assert_cmpuint(w->memory_bytes, ==, 128 << 20);
	g_assert_cmpuint(w->instances, ==, 1);
	g_assert_cmpuint(w->restart.longest_ms, ==, 300000);
	g_assert_false(ash_workload_is_pinned(w));
	g_assert_cmpstr(w->image.location, ==, "workload/web/amd64");
}

/* Keys that do not go together with those of `whole`. */
static const char *const others[] = {
		MINIMAL,
		MINIMAL "isolation: {class: vm}\nmachine: {contract: multiboot, "
			"kernel: /k, arguments: \"a b\", modules: [/m, /b]}\n",
		MINIMAL "isolation: vm-emulated\nmachine: {contract: linux, "
			"kernel: /k, initrd: /i}\n",
		MINIMAL "system-calls: {only: [write, read]}\nnetwork: host\n",
		MINIMAL "network: {mode: provider, provider: vpn}\nsystem-calls: default\n",
		MINIMAL "boot: true\nhealth: {checks: [{name: a, unit: a.service}]}\n",
		MINIMAL "disposable: true\nprovides: [{name: a, call: [/a]}]\n",
};

/* parse(format(w)) is w, and its text is the same again. */
static void test_round_trip(void)
{
	for (size_t i = 0; i <= G_N_ELEMENTS(others); i++) {
		g_autoptr(AshWorkload) first =
				parse_good(i < G_N_ELEMENTS(others) ? others[i] : whole);
		g_autofree char *text = ash_workload_format(first);
		g_autoptr(AshWorkload) second = parse_good(text);
		g_autofree char *again = ash_workload_format(second);
		g_assert_cmpstr(text, ==, again);
		g_assert_cmpint(first->at_least, ==, second->at_least);
		g_assert_true((first->command == NULL) == (second->command == NULL));
		if (first->command != NULL)
			g_assert_true(g_strv_equal((const char *const *) first->command,
					(const char *const *) second->command));
		g_assert_true(g_strv_equal((const char *const *) first->environment,
				(const char *const *) second->environment));
	}
}

static void check_formatted(const AshWorkloadKey *keys, const char *text)
{
	for (const AshWorkloadKey *key = keys; key->name != NULL; key++) {
		g_autofree char *member = g_strdup_printf("\"%s\":", key->name);
		g_test_message("%s", key->name);
		g_assert_nonnull(strstr(text, member));
		if (key->keys != NULL)
			check_formatted(key->keys, text);
	}
}

/* A key that the format forgets would be lost by signing. */
static void test_every_key(void)
{
	g_autoptr(GString) all = g_string_new(NULL);

	for (size_t i = 0; i <= G_N_ELEMENTS(others); i++) {
		g_autoptr(AshWorkload) workload =
				parse_good(i < G_N_ELEMENTS(others) ? others[i] : whole);
		g_autofree char *text = ash_workload_format(workload);
		g_string_append(all, text);
	}
	check_formatted(ash_workload_keys, all->str);
}

/* What the manual shows is right. */
static void test_examples(void)
{
	static const struct {
		const char *key, *beside;
	} needs[] = {
			{"environment", "parameters: [{name: greeting}]\n"},
			{"machine", "isolation: vm\n"},
			{"disposable", "provides: [{name: a, call: [/a]}]\n"},
	};

	for (const AshWorkloadKey *key = ash_workload_keys; key->name != NULL; key++) {
		g_autoptr(GString) text = g_string_new(NULL);
		for (const AshWorkloadKey *one = ash_workload_keys; one->name != NULL; one++)
			if (one == key || (one->flags & ASH_WORKLOAD_KEY_REQUIRED))
				g_string_append_printf(text, "%s\n", one->example);
		for (size_t i = 0; i < G_N_ELEMENTS(needs); i++)
			if (strcmp(needs[i].key, key->name) == 0)
				g_string_append(text, needs[i].beside);
		g_autoptr(AshWorkload) workload = parse_good(text->str);
		g_assert_cmpstr(workload->name, ==, "web");
	}
}

/* ---- limits -------------------------------------------------------------------------------------- */

static void check_limit(const char *text, bool is_good)
{
	g_autoptr(AshWorkload) workload = NULL;
	g_autoptr(GError) error = NULL;
	bool is_parsed = parse(text, &workload, &error);

	g_assert_cmpint(is_parsed, ==, is_good);
	if (!is_good)
		g_assert_error(error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_LIMIT);
}

/* @item, @count times; a '#' in it is the number. */
static char *list_of(const char *head, const char *item, unsigned count, const char *tail)
{
	g_auto(GStrv) parts = g_strsplit(item, "#", -1);
	GString *out = g_string_new(head);

	for (unsigned i = 0; i < count; i++) {
		g_autofree char *number = g_strdup_printf("%u", i);
		g_autofree char *text = g_strjoinv(number, parts);
		g_string_append(out, text);
	}
	return g_string_free(g_string_append(out, tail), FALSE);
}

static void test_limits(void)
{
	static const struct {
		const char *head, *item, *tail;
		unsigned max;
	} cases[] = {
			{MINIMAL "command: [", "a#, ", "]\n", ASH_WORKLOAD_MAX_ARGUMENTS},
			{MINIMAL "after: [", "a#, ", "]\n", ASH_WORKLOAD_MAX_ITEMS},
			{MINIMAL "environment: {", "A#: b, ", "}\n", ASH_WORKLOAD_MAX_ARGUMENTS},
			{MINIMAL "volumes: [", "{name: v#, path: /v#, size: 1MiB}, ", "]\n",
					ASH_WORKLOAD_MAX_ITEMS},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *good =
				list_of(cases[i].head, cases[i].item, cases[i].max, cases[i].tail);
		g_autofree char *bad = list_of(
				cases[i].head, cases[i].item, cases[i].max + 1, cases[i].tail);
		check_limit(good, true);
		check_limit(bad, false);
	}
	/* Linux has fewer. */
	g_autofree char *calls = list_of(MINIMAL "system-calls: {only: [", "a#, ",
			ASH_WORKLOAD_MAX_SYSTEM_CALLS + 1, "]}\n");
	check_limit(calls, false);
	g_autofree char *word = g_strnfill(ASH_WORKLOAD_MAX_TEXT_BYTES, 'a');
	g_autofree char *good = g_strdup_printf(MINIMAL "environment: {A: %s}\n", word);
	g_autofree char *bad = g_strdup_printf(MINIMAL "environment: {A: %sa}\n", word);
	check_limit(good, true);
	check_limit(bad, false);
	g_autofree char *blanks = g_strnfill(ASH_WORKLOAD_MAX_BYTES, '\n');
	g_autofree char *large = g_strconcat(MINIMAL, blanks, NULL);
	check_limit(large, false);
	/* Quotes are written with a backslash, so that its JSON is twice as large. */
	g_autofree char *quotes = g_strnfill(4000, '"');
	g_autofree char *half = g_strdup_printf("'%s', ", quotes);
	g_autofree char *doubled = list_of(MINIMAL "command: [", half, 50, "]\n");
	check_limit(doubled, false);
}

/* ---- parameters ---------------------------------------------------------------------------------- */

static const char *const with_parameters =
		MINIMAL "parameters:\n"
			"  - {name: greeting, max: 5}\n"
			"  - {name: count, type: int, min: -5, max: 7, default: 0}\n"
			"  - {name: fast, type: bool, default: true}\n"
			"  - {name: level, type: choice, choices: [low, high], default: low}\n"
			"command: [a, \"${greeting}${count}\", \"$${fast} $fast\"]\n"
			"environment: {L: \"-${level}-${fast}\"}\n";

static void test_fill(void)
{
	g_autoptr(AshWorkload) workload = parse_good(with_parameters);
	g_autoptr(GHashTable) values = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GError) error = NULL;

	g_hash_table_insert(values, (char[]){"greeting"}, (char[]){"${a}"});
	g_hash_table_insert(values, (char[]){"count"}, (char[]){"-5"});
	g_assert_true(ash_workload_fill(workload, values, &error));
	g_assert_no_error(error);
	/* What is put in is not looked at again. */
	g_assert_cmpstr(workload->command[1], ==, "${a}-5");
	g_assert_cmpstr(workload->command[2], ==, "${fast} $fast");
	g_assert_cmpstr(workload->environment[0], ==, "L=-low-true");
}

static void test_fill_errors(void)
{
	static const struct {
		const char *name, *value, *message;
	} cases[] = {
			{"count", "1", "*'greeting'*has no value*"},
			{"greeting", "sixsix", "*'greeting'*at most 5 bytes*"},
			{"greeting", "a\nb", "*'greeting'*one line*"},
			{"count", "8", "*'count'*from -5 to 7*"},
			{"count", "x", "*'count'*from -5 to 7*"},
			{"fast", "yes", "*'fast'*true or false*"},
			{"level", "mid", "*'level'*one of: low, high*"},
			{"other", "1", "*no parameter 'other'*"},
	};
	char greeting[] = "greeting", a[] = "a";

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(AshWorkload) workload = parse_good(with_parameters);
		g_autoptr(GHashTable) values = g_hash_table_new(g_str_hash, g_str_equal);
		g_autoptr(GError) error = NULL;
		g_test_message("%s=%s", cases[i].name, cases[i].value);
		if (i > 0)
			g_hash_table_insert(values, greeting, a);
		g_hash_table_insert(values, (gpointer) (guintptr) cases[i].name,
				(gpointer) (guintptr) cases[i].value);
		g_assert_false(ash_workload_fill(workload, values, &error));
		g_assert_error(error, ASH_WORKLOAD_ERROR, ASH_WORKLOAD_ERROR_VALUE);
		g_assert_true(g_pattern_match_simple(cases[i].message, error->message));
		g_assert_cmpstr(workload->command[1], ==, "${greeting}${count}");
	}
}

/* ---- system calls -------------------------------------------------------------------------------- */

static void test_calls(void)
{
	for (size_t i = 0; ash_workload_calls[i] != NULL; i++) {
		g_assert_true(ash_workload_is_call(ash_workload_calls[i]));
		if (i > 0)
			g_assert_cmpstr(ash_workload_calls[i - 1], <, ash_workload_calls[i]);
	}
	g_assert_false(ash_workload_is_call("opena"));
	g_assert_false(ash_workload_is_call(""));
}

/* ---- words --------------------------------------------------------------------------------------- */

static void test_words(void)
{
	for (unsigned i = ASH_ISOLATION_CLASS_SANDBOX; i <= ASH_ISOLATION_CLASS_VM_EMULATED; i++) {
		AshIsolationClass found;
		g_assert_true(ash_isolation_class_find(ash_isolation_class_name(i), &found));
		g_assert_cmpuint(found, ==, i);
	}
	AshIsolationClass unchanged = ASH_ISOLATION_CLASS_VM;
	g_assert_false(ash_isolation_class_find("none", &unchanged));
	g_assert_cmpint(unchanged, ==, ASH_ISOLATION_CLASS_VM);
	g_assert_cmpstr(ash_isolation_strength_name(ASH_ISOLATION_NONE), ==, "none");
	g_assert_cmpstr(ash_isolation_strength_name(ASH_ISOLATION_HARDWARE), ==, "hardware");
	g_assert_cmpstr(ash_network_mode_name(ASH_NETWORK_HOST), ==, "host");
	g_assert_true(ash_workload_is_name("a-1"));
	g_assert_false(ash_workload_is_name("1a"));
	g_assert_false(ash_workload_is_name("a\n"));
	g_assert_false(ash_workload_is_name(""));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/workload/whole", test_whole);
	g_test_add_func("/workload/minimal", test_minimal);
	g_test_add_func("/workload/round-trip", test_round_trip);
	g_test_add_func("/workload/every-key", test_every_key);
	g_test_add_func("/workload/examples", test_examples);
	g_test_add_func("/workload/limits", test_limits);
	g_test_add_func("/workload/fill", test_fill);
	g_test_add_func("/workload/fill-errors", test_fill_errors);
	g_test_add_func("/workload/calls", test_calls);
	g_test_add_func("/workload/words", test_words);
	return g_test_run();
}
