/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/workload-report.h"

#include <string.h>

#define MINIMAL "workload: web\nversion: 1.0\nimage: ostree:workload/web/amd64\nuser: \"1\"\n"

static AshWorkload *parse(const char *text)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	g_autoptr(GError) error = NULL;
	AshWorkload *workload = NULL;
	bool is_parsed = ash_workload_parse("web.yaml", bytes, &workload, &error);

	g_assert_no_error(error);
	g_assert_true(is_parsed);
	return workload;
}

static AshWorkloadReport *report_of(const char *text)
{
	g_autoptr(AshWorkload) workload = parse(text);

	return ash_workload_report(workload, workload->isolation);
}

static const AshGrant *find(const AshWorkloadReport *report, const char *kind, const char *name)
{
	for (guint i = 0; i < report->grants->len; i++) {
		const AshGrant *grant = report->grants->pdata[i];
		if (g_str_equal(ash_grant_kind_name(grant->kind), kind) &&
				g_str_equal(grant->name, name))
			return grant;
	}
	return NULL;
}

/* ---- every grant, added to any others ------------------------------------------------------------ */

/* No one of them is in another. */
static const struct {
	const char *section, *item;
} grants[] = {
		{"capabilities", "net_bind_service"}, {"capabilities", "net_admin"},
		{"capabilities", "sys_admin"}, {"devices", "/dev/net/tun"}, {"devices", "/dev/kvm"},
		{"secrets", "{name: a, path: /s/a}"}, {"secrets", "{name: b, path: /s/b}"},
		{"volumes", "{name: a, path: /v/a, size: 1MiB}"},
		{"volumes", "{name: b, path: /v/b, size: 1MiB, read-only: true}"},
		{"requires", "{name: a, socket: /r/a}"}, {"requires", "{name: b.Call}"},
		{"provides", "{name: a, socket: /run/p/a}"},
		{"provides", "{name: b.Call, call: [/p]}"}, {"publish", "\"8080:80\""},
		{"publish", "\"127.0.0.1:81:80/udp\""}, {"egress", "\"192.0.2.0/24:443\""},
		{"egress", "\"192.0.2.0/24:443/udp\""}, {"egress", "\"example.org\""},
		{"egress", "\"[2001:db8::]:1\""}, {"add", "io_uring_setup"}, {"add", "bpf"},
		{"more", "scope: system"}, {"more", "required: true"}, {"more", "boot: true"},
		{"more", "heartbeat: {every: 1s}"}, /* no grant */
};

static void put_section(GString *out, uint32_t mask, const char *section, const char *open,
		const char *between, const char *close)
{
	const char *separator = "";

	g_string_append(out, open);
	for (unsigned i = 0; i < G_N_ELEMENTS(grants); i++) {
		if (!(mask & 1u << i) || strcmp(grants[i].section, section) != 0)
			continue;
		g_string_append_printf(out, "%s%s", separator, grants[i].item);
		separator = between;
	}
	g_string_append(out, close);
}

static AshWorkloadReport *report_of_mask(uint32_t mask)
{
	g_autoptr(GString) text = g_string_new(MINIMAL "network:\n  mode: nat\n");

	put_section(text, mask, "publish", "  publish: [", ", ", "]\n");
	put_section(text, mask, "egress", "  egress: [", ", ", "]\n");
	put_section(text, mask, "add", "system-calls: {add: [", ", ", "]}\n");
	put_section(text, mask, "capabilities", "capabilities: [", ", ", "]\n");
	put_section(text, mask, "devices", "devices: [", ", ", "]\n");
	put_section(text, mask, "secrets", "secrets: [", ", ", "]\n");
	put_section(text, mask, "volumes", "volumes: [", ", ", "]\n");
	put_section(text, mask, "requires", "requires: [", ", ", "]\n");
	put_section(text, mask, "provides", "provides: [", ", ", "]\n");
	put_section(text, mask, "more", "", "\n", "\n");
	return report_of(text->str);
}

static void test_one_more(void)
{
	const uint32_t all = (1u << G_N_ELEMENTS(grants)) - 1;

	for (unsigned i = 0; i < 20 * G_N_ELEMENTS(grants); i++) {
		uint32_t one = 1u << i % G_N_ELEMENTS(grants);
		uint32_t mask = (uint32_t) g_test_rand_int() & all & ~one;
		bool is_grant = i % G_N_ELEMENTS(grants) != G_N_ELEMENTS(grants) - 1;
		bool is_wider;
		g_autoptr(AshWorkloadReport) less = report_of_mask(mask);
		g_autoptr(AshWorkloadReport) more = report_of_mask(mask | one);

		g_assert_cmpuint(less->score, <=, more->score);
		g_assert_cmpuint(more->score, <=, 100);
		g_autoptr(GPtrArray) up = ash_workload_report_diff(less, more, &is_wider);
		g_assert_cmpint(is_wider, ==, is_grant);
		g_assert_cmpuint(up->len, ==, is_grant);
		g_autoptr(GPtrArray) down = ash_workload_report_diff(more, less, &is_wider);
		g_assert_false(is_wider);
		g_assert_cmpuint(down->len, ==, is_grant);
		g_autoptr(GPtrArray) none = ash_workload_report_diff(more, more, &is_wider);
		g_assert_false(is_wider);
		g_assert_cmpuint(none->len, ==, 0);
	}
}

/* ---- pairs --------------------------------------------------------------------------------------- */

static void test_pairs(void)
{
	static const struct {
		const char *from, *to;
		bool is_wider, is_back_wider;
	} cases[] = {
			{"isolation: vm\n", "isolation: container\n", true, false},
			{"isolation: container\n", "isolation: sandbox\n", true, false},
			{"isolation: sandbox\n", "isolation: vm-emulated\n", true, false},
			{"isolation: vm\n", "isolation: {class: vm, at-least: none}\n", true,
					false},
			{"network: none\n", "network: nat\n", true, false},
			{"network: nat\n", "network: natnet\n", true, false},
			{"network: nat\n", "network: internal\n", true, true},
			{"network: nat\n", "network: host\n", true, false},
			{"network: hostonly\n", "network: host\n", true, true},
			{"network: {mode: internal, name: a}\n",
					"network: {mode: internal, name: b}\n", true, true},
			{"network: {mode: nat, egress: [\"example.org:443\"]}\n", "network: host\n",
					true, false},
			{"network: {mode: nat, egress: [\"192.0.2.0/25:443\"]}\n",
					"network: {mode: nat, egress: [\"192.0.2.0/24:443\"]}\n",
					true, false},
			{"network: {mode: nat, egress: [\"[2001:db8::1]:443/udp\"]}\n",
					"network: {mode: nat, egress: [\"[2001:db8::/32]\"]}\n",
					true, false},
			{"network: {mode: nat, egress: [\"example.org:443\"]}\n",
					"network: {mode: nat, egress: [\"*:443\"]}\n", true, false},
			{"network: {mode: nat, egress: [\"*:53\"]}\n",
					"network: {mode: nat, egress: [\"*:53/udp\"]}\n", true,
					true},
			{"network: {mode: nat, bandwidth: 1MiB}\n", "network: nat\n", true, false},
			{"network: {mode: internal, isolated: true}\n", "network: internal\n", true,
					false},
			{"network: {mode: bridged, name: br0, isolated: true}\n",
					"network: {mode: bridged, name: br0}\n", true, false},
			{"network: {mode: nat, connections: 5}\n",
					"network: {mode: nat, connections: 6}\n", true, false},
			{"resources: {memory: 64MiB}\n", "resources: {memory: 65MiB}\n", true,
					false},
			{"resources: {cpu: 0.5}\n", "resources: {cpu: 0.501}\n", true, false},
			{"instances: 1\n", "instances: 2\n", true, false},
			{"volumes: [{name: a, path: /v, size: 1MiB, read-only: true}]\n",
					"volumes: [{name: a, path: /v, size: 1MiB}]\n", true,
					false},
			{"volumes: [{name: a, path: /v, size: 1MiB}]\n",
					"volumes: [{name: a, path: /v, size: 2MiB}]\n", true,
					false},
			{"volumes: [{name: a, path: /v, size: 1MiB}]\n",
					"volumes: [{name: a, path: /w, size: 1MiB}]\n", false,
					false},
			{"system-calls: {remove: [bind]}\n", "system-calls: default\n", true,
					false},
			{"system-calls: {remove: [bind]}\n", "system-calls: {remove: [listen]}\n",
					true, true},
			{"system-calls: {only: [read]}\n", "system-calls: {only: [read, write]}\n",
					true, false},
			{"system-calls: {only: [read, write]}\n", "system-calls: default\n", true,
					false},
			{"system-calls: default\n", "system-calls: {only: [mount]}\n", true, true},
			{"system-calls: {remove: [bind]}\n", "system-calls: {only: [bind]}\n", true,
					true},
			{"system-calls: default\n", "system-calls: {only: [clone3]}\n", true, true},
			{"system-calls: default\n", "system-calls: {only: [read, pidfd_getfd]}\n",
					true, true},
			{"system-calls: {add: [bpf]}\n", "system-calls: {only: [bpf]}\n", false,
					true},
			{"summary: a\n", "summary: b\ncommand: [/x]\n", false, false},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *from_text = g_strconcat(MINIMAL, cases[i].from, NULL);
		g_autofree char *to_text = g_strconcat(MINIMAL, cases[i].to, NULL);
		g_autoptr(AshWorkloadReport) from = report_of(from_text);
		g_autoptr(AshWorkloadReport) to = report_of(to_text);
		bool is_wider;
		bool is_back_wider;
		g_test_message("%s → %s", cases[i].from, cases[i].to);
		g_autoptr(GPtrArray) changes = ash_workload_report_diff(from, to, &is_wider);
		g_autoptr(GPtrArray) back = ash_workload_report_diff(to, from, &is_back_wider);
		g_assert_cmpint(is_wider, ==, cases[i].is_wider);
		g_assert_cmpint(is_back_wider, ==, cases[i].is_back_wider);
		g_assert_cmpuint(changes->len, ==, back->len);
	}
}

/* ---- figures ------------------------------------------------------------------------------------- */

static void test_score(void)
{
	g_autoptr(AshWorkloadReport) least = report_of(MINIMAL "isolation: vm\n");
	g_autoptr(AshWorkloadReport) plain = report_of(MINIMAL);
	g_autoptr(AshWorkloadReport) some = report_of(MINIMAL "capabilities: [net_bind_service]\n");
	g_autoptr(AshWorkloadReport) list = report_of(MINIMAL "system-calls: {only: [read]}\n");
	g_autoptr(AshWorkloadReport) traced =
			report_of(MINIMAL "system-calls: {only: [read, ptrace]}\n");
	g_autoptr(AshWorkloadReport) much =
			report_of(MINIMAL "network: {mode: bridged, name: br0}\n");
	g_autoptr(AshWorkloadReport) host =
			report_of(MINIMAL "network: host\ncapabilities: [sys_admin, net_admin]\n");

	g_assert_cmpuint(least->score, ==, 0);
	g_assert_cmpstr(least->words, ==, "nothing");
	g_assert_cmpuint(plain->score, >, 0);
	g_assert_cmpstr(plain->words, ==, "nothing");
	g_assert_cmpstr(some->words, ==, "little");
	/* What the default leaves out counts in a list of one's own as well. */
	g_assert_cmpuint(list->score, ==, plain->score);
	g_assert_cmpuint(traced->score, ==,
			list->score + find(traced, "system-call", "ptrace")->points);
	g_assert_cmpstr(traced->words, ==, "little");
	g_assert_cmpstr(much->words, ==, "much");
	g_assert_cmpuint(host->score, ==, 100);
	g_assert_cmpstr(host->words, ==, "the host");
	g_assert_null(find(plain, "user", "root"));

	/* Where it really runs counts, not what was asked for. */
	g_autoptr(AshWorkload) guest = parse(MINIMAL "isolation: {class: vm, at-least: none}\n");
	g_autoptr(AshWorkloadReport) emulated =
			ash_workload_report(guest, ASH_ISOLATION_CLASS_VM_EMULATED);
	g_assert_cmpuint(emulated->score, >, least->score);
	g_assert_nonnull(strstr(find(emulated, "isolation", "class")->text, "vm-emulated"));
}

static void test_root(void)
{
	static const char base[] =
			"workload: web\nversion: 1.0\nimage: ostree:workload/web/amd64\n";
	static const struct {
		const char *user;
		bool is_root;
	} cases[] = {{"", true}, {"user: \"0\"\n", true}, {"user: \"00:5\"\n", true},
			{"user: root\n", true}, {"user: \"1000:0\"\n", false},
			{"user: web\n", false}};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = g_strconcat(base, cases[i].user, NULL);
		g_autoptr(AshWorkloadReport) report = report_of(text);
		g_assert_cmpint(find(report, "user", "root") != NULL, ==, cases[i].is_root);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/workload-report/one-more", test_one_more);
	g_test_add_func("/workload-report/pairs", test_pairs);
	g_test_add_func("/workload-report/score", test_score);
	g_test_add_func("/workload-report/root", test_root);
	return g_test_run();
}
