/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/names.h"
#include "agent/workload/net-listen.h"
#include "agent/workload/net-plan.h"
#include "agent/workload/net.h"
#include "lib/file.h"

/* Networks of workloads as far as they are values: the document, addresses, rules, names. */

static GBytes *bytes_of(const char *text)
{
	return g_bytes_new(text, strlen(text));
}

static void check_refused(const char *instances, int code, const char *words)
{
	g_autofree char *document = g_strdup_printf("{\"instances\":[%s]}", instances);
	g_autoptr(GBytes) text = bytes_of(document);
	g_autoptr(GError) error = NULL;
	g_autoptr(AshNet) net = NULL;

	g_assert_false(ash_net_parse(text, &net, &error));
	if (!strstr(error->message, words))
		g_error("'%s' does not say '%s'", error->message, words);
	if (code >= 0)
		g_assert_error(error, ASH_NET_ERROR, code);
}

#define I(name, mode) "{\"instance\":\"" name "\",\"mode\":\"" mode "\"}"
#define WITH(name, mode, more) "{\"instance\":\"" name "\",\"mode\":\"" mode "\"," more "}"
#define PORT(port) "\"publish\":[{\"host-port\":" port ",\"port\":80}]"

static void test_refusals(void)
{
	static const struct {
		const char *instances;
		int code;
		const char *words;
	} cases[] = {
			{"{\"instance\":\"a\"}", -1, "'mode' is missing"},
			{I("a", "nut"), ASH_NET_ERROR_SYNTAX, "'nut'"},
			{WITH("a", "nat", "\"extra\":1"), ASH_NET_ERROR_SYNTAX, "'extra'"},
			{I("../a", "nat"), ASH_NET_ERROR_REFUSED, "no name of an instance"},
			{I("a@0", "nat"), ASH_NET_ERROR_REFUSED, "no name of an instance"},
			{I("a", "nat") "," I("a", "nat"), ASH_NET_ERROR_REFUSED, "twice"},
			{WITH("a", "nat", "\"network\":\"x\""), ASH_NET_ERROR_REFUSED, "no named"},
			{I("a", "bridged"), ASH_NET_ERROR_REFUSED, "name of a bridge"},
			{WITH("a", "bridged", "\"network\":\"ashwb1\""), ASH_NET_ERROR_REFUSED,
					"name of a bridge"},
			{WITH("a", "nat", "\"isolated\":true"), ASH_NET_ERROR_REFUSED,
					"no network to be isolated on"},
			{WITH("a", "internal", PORT("1")), ASH_NET_ERROR_REFUSED,
					"publishes no ports"},
			{WITH("a", "hostonly", "\"egress\":[{\"target\":\"*\"}]"),
					ASH_NET_ERROR_REFUSED, "no way out"},
			{WITH("a", "internal", "\"connections\":5"), ASH_NET_ERROR_REFUSED,
					"counts connections"},
			{WITH("a", "nat", "\"egress\":[{\"target\":\"169.254.169.254\"}]"),
					ASH_NET_ERROR_REFUSED, "no workload may reach"},
			{WITH("a", "nat", "\"egress\":[{\"target\":\"x y\"}]"),
					ASH_NET_ERROR_REFUSED, "no name"},
			{WITH("a", "nat", "\"egress\":[{\"target\":\"*\",\"protocol\":\"tcp\"}]"),
					ASH_NET_ERROR_SYNTAX, "needs a port"},
			{WITH("a", "provider", "\"provider\":\"b\""), ASH_NET_ERROR_REFUSED,
					"is not there"},
			{WITH("a", "provider", "\"provider\":\"b\"") "," I("b", "internal"),
					ASH_NET_ERROR_REFUSED, "no way out itself"},
			{WITH("a", "provider", "\"provider\":\"b\"") "," WITH(
					 "b", "nat", "\"vm\":true"),
					ASH_NET_ERROR_REFUSED, "virtual machine"},
			{WITH("a", "provider", "\"provider\":\"a\""), ASH_NET_ERROR_REFUSED,
					"its own provider"},
			{WITH("a", "provider", "\"provider\":\"b\"") "," WITH(
					 "b", "provider", "\"provider\":\"a\""),
					ASH_NET_ERROR_REFUSED, "its own provider"},
			{WITH("a", "nat", PORT("7")) "," WITH("b", "natnet", PORT("7")),
					ASH_NET_ERROR_CLASH, "'a' and 'b' both want port 7/tcp"},
			{WITH("a", "nat", PORT("0")), ASH_NET_ERROR_REFUSED, "port 0"},
			/* In the namespace of the provider the client's port would hide its own. */
			{WITH("p", "nat", PORT("1")) "," WITH(
					 "c", "provider", "\"provider\":\"p\"," PORT("80")),
					ASH_NET_ERROR_CLASH, "port 80/tcp of p"},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
		check_refused(cases[i].instances, cases[i].code, cases[i].words);
}

static const char *const abc[] = {"a", "b", "c", NULL};

static void test_addresses(void)
{
	AshNetRange range;
	g_autoptr(GPtrArray) leases = ash_net_leases_new();
	g_autofree uint32_t *first = NULL, *second = NULL, *third = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_net_range_find("10.1.2.0/24", &range));
	g_assert_true(ash_net_assign(&range, leases, abc, &first, &error));
	g_assert_true(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
	for (unsigned i = 0; i < 3; i++)
		g_assert_true(ash_net_range_has(&range, first[i]) && (first[i] & 255) > 1 &&
				(first[i] & 255) < 255);
	/* Others come, and who was away has its own again. */
	g_assert_true(ash_net_assign(&range, leases, abc + 1, &second, &error));
	g_assert_cmpuint(second[0], ==, first[1]);
	g_assert_true(ash_net_assign(&range, leases, abc, &third, &error));
	g_assert_true(memcmp(first, third, 3 * sizeof *first) == 0);
}

static void test_full(void)
{
	AshNetRange range;
	g_autoptr(GPtrArray) leases = ash_net_leases_new(), names = g_ptr_array_new();
	g_autofree uint32_t *addresses = NULL, *more = NULL, *old = NULL;
	g_autoptr(GError) error = NULL;

	g_ptr_array_set_free_func(names, g_free);
	g_assert_true(ash_net_range_find("10.1.2.0/24", &range));
	/* Leases of who is gone give way. */
	g_assert_true(ash_net_assign(&range, leases, abc, &old, &error));
	for (unsigned i = 0; i < 253; i++)
		g_ptr_array_add(names, g_strdup_printf("w%u", i));
	g_ptr_array_add(names, NULL);
	g_assert_true(ash_net_assign(
			&range, leases, (const char *const *) names->pdata, &addresses, &error));
	g_ptr_array_index(names, 253) = g_strdup("one-more");
	g_ptr_array_add(names, NULL);
	g_assert_false(ash_net_assign(
			&range, leases, (const char *const *) names->pdata, &more, &error));
	g_assert_error(error, ASH_NET_ERROR, ASH_NET_ERROR_FULL);
}

static void test_settings(void)
{
	static const char *const wrong[] = {"range: 192.0.2.0/24\n", "range: 10.0.0.0/8\n",
			"other: 1\n", "bridged: [{instance: a}]\n",
			"bridged: [{instance: a, address: 127.0.0.1/8}]\n"};
	g_autoptr(GBytes) text = bytes_of("range: 192.168.7.0/24\nbridged:\n"
					  "  - {instance: a, address: 192.0.2.9/24}\n");
	g_autoptr(AshNetSettings) settings = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_net_settings_parse("x", text, &settings, &error));
	g_assert_cmphex(settings->range.address, ==, 0xc0a80700);
	g_assert_cmpuint(settings->bridged->len, ==, 1);
	for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autoptr(GBytes) bad = bytes_of(wrong[i]);
		g_autoptr(AshNetSettings) none = NULL;
		g_autoptr(GError) problem = NULL;
		g_assert_false(ash_net_settings_parse("x", bad, &none, &problem));
		g_assert_error(problem, ASH_NET_ERROR, ASH_NET_ERROR_REFUSED);
	}
}

/* tests/golden/net: a document with all modes, and the rules of the host and of a provider.
 * ASH_GOLDEN_WRITE=1 writes what is there now.
 */
static void test_golden(void)
{
	g_autoptr(AshNet) net = NULL, again = NULL;
	g_autoptr(AshNetSettings) settings = NULL;
	g_autoptr(AshNetPlan) plan = NULL;
	g_autoptr(GError) error = NULL;
	char *document, *wanted = NULL;
	gsize size;
	uint32_t addresses[32];

	g_assert_true(g_file_get_contents("tests/golden/net/all.json", &document, &size, &error));
	g_autoptr(GBytes) text = g_bytes_new_take(document, size);
	g_assert_true(ash_net_parse(text, &net, &error));
	g_autofree char *formatted = ash_net_format(net);
	g_autoptr(GBytes) bytes = bytes_of(formatted);
	g_assert_true(ash_net_parse(bytes, &again, &error));
	g_autofree char *second = ash_net_format(again);
	g_assert_cmpstr(formatted, ==, second);
	for (unsigned i = 0; i < net->instances->len; i++)
		addresses[i] = 0x0ad50002 + i;
	g_assert_true(ash_net_settings_parse("-", NULL, &settings, &error));
	g_assert_true(ash_net_plan_new(net, settings, addresses, "m", &plan, &error));
	g_assert_cmpuint(plan->spaces->len, ==, 2);
	for (unsigned i = 0; i < 2; i++) {
		g_autofree char *rules = ash_net_rules(plan, i, NULL, false);
		g_autofree char *path =
				g_strdup_printf("tests/golden/net/%s.nft", i ? "provider" : "host");
		if (g_getenv("ASH_GOLDEN_WRITE"))
			g_assert_true(g_file_set_contents(path, rules, -1, &error));
		g_assert_true(g_file_get_contents(path, &wanted, NULL, &error));
		g_assert_cmpstr(rules, ==, wanted);
		g_free(wanted);
	}
	g_autoptr(GPtrArray) links = ash_net_plan_links(plan, net);
	g_autofree char *answer = ash_net_links_format(links);
	g_autoptr(GBytes) answer_bytes = bytes_of(answer);
	g_autoptr(GPtrArray) read = NULL;
	g_assert_true(ash_net_links_parse(answer_bytes, &read, &error));
	g_assert_cmpuint(read->len, ==, net->instances->len);
	g_assert_cmpstr(ash_net_link_find(read, "host")->netns, ==, "host");
	g_assert_cmpstr(ash_net_link_find(read, "none")->netns, ==, "");
	g_assert_cmpstr(ash_net_link_find(read, "client")->gateway, ==,
			"10.213.0.8"); /* its provider */
}

/* What a definition grants is in the document, all of it. */
static void test_added(void)
{
	static const char text[] =
			"workload: a\nversion: 1.0\nimage: oci-dir:/i\nnetwork: {mode: natnet, "
			"name: back, isolated: true, bandwidth: 1MiB, connections: 7, "
			"publish: [\"8080:80\"], egress: [\"192.0.2.0/24:443\"]}\n";
	g_autoptr(GBytes) definition = g_bytes_new_static(text, sizeof text - 1);
	g_autoptr(AshWorkload) workload = NULL;
	g_autoptr(AshNet) net = ash_net_new();
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_workload_parse("a.yaml", definition, &workload, &error));
	ash_net_add(net, "a@1", &workload->network, NULL, false, 5, abc);
	g_autofree char *document = ash_net_format(net);
	g_assert_cmpstr(document, ==,
			"{\"instances\":[{\"instance\":\"a@1\",\"mode\":\"natnet\",\"network\":\"back\","
			"\"isolated\":true,\"vm\":false,\"uid\":5,\"names\":[\"a\",\"b\",\"c\"],"
			"\"publish\":[{\"host-port\":8080,\"port\":80,\"protocol\":\"tcp\"}],"
			"\"egress\":[{\"target\":\"192.0.2.0/24\",\"port\":443,"
			"\"protocol\":\"tcp\"}],\"bandwidth\":1048576,\"connections\":7}]}\n");
}

static void test_servers(void)
{
	g_autoptr(GArray) servers = ash_names_servers("# x\nnameserver 192.0.2.1\nnameserver ::1\n"
						      "search a\nnameserver\t192.0.2.2 \n"
						      "nameserver 192.0.2.3\nnameserver 1.1.1.1\n");

	g_assert_cmpuint(servers->len, ==, 3);
	g_assert_cmphex(g_array_index(servers, uint32_t, 1), ==, 0xc0000202);
}

/* ---- what the host itself listens on --------------------------------------------------------------- */

/* As /proc/net has it on a machine that counts from the little end. */
#define REST "00000000:00000000 00:00000000 00000000 0 0 1 1 0 100 0 0 10 0\n"
#define HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"

static void write_sockets(const AshTempDir *dir, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(dir->path, name, NULL);

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void test_listen(void)
{
	static const struct {
		const char *address;
		uint16_t port;
		bool is_udp, is_taken;
	} cases[] = {
			{"", 22, false, true},
			{"192.0.2.1", 22, false, true},
			{"", 22, true, false},
			{"", 80, false, true},
			{"127.0.0.1", 80, false, true},
			{"192.0.2.1", 80, false, false},
			{"", 81, false, false}, /* a connection */
			{"", 443, false, true},
			{"192.0.2.1", 443, false, true},
			{"", 444, false, false}, /* of IPv6 alone */
			{"192.0.2.7", 445, false, true},
			{"192.0.2.8", 445, false, false},
			{"", 53, true, true},
			{"", 123, true, false},
			{"", 40000, true, false},
	};
	g_autoptr(AshTempDir) dir = NULL;

	g_assert_true(ash_temp_dir_new("/var/tmp", "test-net", &dir, NULL));
	write_sockets(dir, "tcp",
			HEAD "   0: 00000000:0016 00000000:0000 0A " REST
			     "   1: 0100007F:0050 00000000:0000 0A " REST
			     "   2: 0100007F:0051 0100007F:C000 01 " REST);
	write_sockets(dir, "tcp6",
			HEAD
			"   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A " REST
			"   1: 00000000000000000000000001000000:01BC 00000000000000000000000000000000:0000 0A " REST
			"   2: 0000000000000000FFFF0000070200C0:01BD 00000000000000000000000000000000:0000 0A " REST);
	write_sockets(dir, "udp",
			HEAD " 1: 00000000:0035 00000000:0000 07 " REST
			     " 2: 00000000:007B 010200C0:007B 01 " REST
			     " 3: 00000000:9C40 00000000:0000 07 " REST);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GPtrArray) publish = g_ptr_array_new();
		g_autofree char *address = g_strdup(cases[i].address);
		AshWorkloadPort port = {.address = address,
				.host_port = cases[i].port,
				.port = 80,
				.is_udp = cases[i].is_udp};
		const AshWorkloadNetwork network = {.publish = publish};
		g_ptr_array_add(publish, &port);
		g_test_message("%s:%d", cases[i].address, cases[i].port);
		g_assert_cmpint(ash_net_listen_check(dir->path, &network, &error), ==,
				!cases[i].is_taken);
		if (cases[i].is_taken)
			g_assert_error(error, ASH_NET_ERROR, ASH_NET_ERROR_CLASH);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/net/refusals", test_refusals);
	g_test_add_func("/net/addresses", test_addresses);
	g_test_add_func("/net/full", test_full);
	g_test_add_func("/net/settings", test_settings);
	g_test_add_func("/net/golden", test_golden);
	g_test_add_func("/net/added", test_added);
	g_test_add_func("/net/listen", test_listen);
	g_test_add_func("/names/servers", test_servers);
	return g_test_run();
}
