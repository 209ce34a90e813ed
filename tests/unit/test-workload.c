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
		"  publish: [\"8080:80\", \"127.0.0.1:5353:53/udp\", \"[0::1]:81:80/tcp\"]\n"
		"  egress: [\"192.0.2.0/24:443\", \"example.org:443\", \"*:53/udp\", "
		"\"[2001:db8::/32]\"]\n"
		"  bandwidth: 10MiB\n  connections: 1000\n"
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
	g_assert_cmpstr(port->address, ==, "::1");
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

/* parse(format(w)) is w, and its text is the same again. */
static void test_round_trip(void)
{
	static const char *const others[] = {MINIMAL,
			MINIMAL "isolation: {class: vm}\nmachine: {contract: multiboot, "
				"kernel: /k, arguments: \"a b\", modules: [/m, /b]}\n",
			MINIMAL "isolation: vm-emulated\nmachine: {contract: linux, "
				"kernel: /k, initrd: /i}\n",
			MINIMAL "system-calls: {only: [write, read]}\nnetwork: host\n",
			MINIMAL "network: {mode: provider, provider: vpn}\nsystem-calls: default\n",
			MINIMAL "boot: true\nhealth: {checks: [{name: a, unit: a.service}]}\n",
			MINIMAL "disposable: true\nprovides: [{name: a, call: [/a]}]\n", NULL,
			NULL};

	for (size_t i = 0; i < G_N_ELEMENTS(others) - 1; i++) {
		g_autoptr(AshWorkload) first = parse_good(others[i] != NULL ? others[i] : whole);
		g_autofree char *text = ash_workload_format(first);
		g_autoptr(AshWorkload) second = parse_good(text);
		g_autofree char *again = ash_workload_format(second);
		g_assert_cmpstr(text, ==, again);
		g_assert_cmpstrv(first->command, second->command);
		g_assert_cmpint(first->at_least, ==, second->at_least);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/workload/whole", test_whole);
	g_test_add_func("/workload/minimal", test_minimal);
	g_test_add_func("/workload/round-trip", test_round_trip);
	return g_test_run();
}
