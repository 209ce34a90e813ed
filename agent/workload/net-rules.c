/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/net-plan.h"

/* The text for libnftables. Names of instances stand in comments only, and hold nothing that ends one. */

enum {
	MAX_DEVICES = 200,    /* of one chain; the kernel takes 256 (NFT_NETDEVICE_MAX) */
	MAX_ADDRESSES = 1024, /* of one name */
	NEVER_BYTES = 32,
};

typedef struct {
	const AshNetPlan *plan;
	unsigned number; /* of the space */
	const AshNetSpace *space;
	GHashTable *kept;
	bool is_host, is_router;
	GString *text;
	char *range, *gateway;
} Writer;

static void put(Writer *writer, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void put(Writer *writer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_string_append_vprintf(writer->text, format, arguments);
	va_end(arguments);
	g_string_append_c(writer->text, '\n');
}

/* The wires whose outer end is in the space. */
static const AshNetWire *wire_at(const Writer *writer, unsigned i)
{
	const AshNetWire *wire = g_ptr_array_index(writer->plan->wires, i);

	return wire->space == writer->number ? wire : NULL;
}

#define EACH_WIRE(writer, wire)                                                                    \
	for (unsigned i_##wire = 0; i_##wire < (writer)->plan->wires->len; i_##wire++)             \
		for (const AshNetWire *wire = wire_at(writer, i_##wire); wire; wire = NULL)

static bool has_way_out(const AshNetWire *wire)
{
	return wire->mode == ASH_NETWORK_NAT || wire->mode == ASH_NETWORK_NATNET ||
	       wire->mode == ASH_NETWORK_PROVIDER;
}

/* Where its packets come in, as the IP layer sees it. */
static const char *seen_at(const AshNetWire *wire)
{
	return *wire->bridge ? wire->bridge : wire->interface;
}

static uint32_t hash_text(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char) *text) * 16777619u;
	return hash;
}

char *ash_net_name_set(const AshNetWire *wire, const char *name)
{
	return g_strdup_printf("name_%u_%08x", wire->number, hash_text(name));
}

/* ---- sets ---- */

/* A set or map with its elements; nothing for none, as nft has no empty list. */
static void put_set(Writer *writer, const char *kind, const char *name, const char *type,
		GPtrArray *elements)
{
	put(writer, "\t%s %s {", kind, name);
	put(writer, "\t\t%s", type);
	if (elements->len > 0) {
		g_ptr_array_add(elements, NULL);
		g_autofree char *all = g_strjoinv(",\n\t\t\t", (char **) elements->pdata);
		put(writer, "\t\telements = { %s }", all);
	}
	put(writer, "\t}");
}

static void add(GPtrArray *elements, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void add(GPtrArray *elements, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_ptr_array_add(elements, g_strdup_vprintf(format, arguments));
	va_end(arguments);
}

static GPtrArray *new_elements(void)
{
	return g_ptr_array_new_with_free_func(g_free);
}

/* The wires that publish in this space: its own, and those of its providers' clients behind them. */
typedef void (*OnPort)(GPtrArray *elements, const Writer *writer, const AshNetWire *owner,
		const AshNetWire *next, const AshWorkloadPort *port);

static const AshNetWire *next_towards(const Writer *writer, const AshNetWire *wire)
{
	while (wire->space != writer->number) {
		const AshNetSpace *space = g_ptr_array_index(writer->plan->spaces, wire->space);
		if (!space->owner)
			return NULL; /* it leads to the host by another way */
		wire = space->owner;
	}
	return wire;
}

static void each_port(const Writer *writer, GPtrArray *elements, OnPort on_port)
{
	for (unsigned i = 0; i < writer->plan->wires->len; i++) {
		const AshNetWire *owner = g_ptr_array_index(writer->plan->wires, i);
		const AshNetWire *next = next_towards(writer, owner);
		GPtrArray *publish = owner->wanted->network->publish;
		for (unsigned k = 0; next && k < publish->len; k++)
			on_port(elements, writer, owner, next, g_ptr_array_index(publish, k));
	}
}

/* On the way a port keeps its number; the last hop gives it the workload's own. */
static unsigned port_at(
		const AshNetWire *owner, const AshNetWire *next, const AshWorkloadPort *port)
{
	return owner == next ? port->port : port->host_port;
}

/* By number: names are looked up in /etc/protocols, which not each host has. */
#define TCP "6"
#define UDP "17"

static const char *protocol_of(const AshWorkloadPort *port)
{
	return port->is_udp ? UDP : TCP;
}

static void add_published(GPtrArray *elements, const Writer *writer, const AshNetWire *owner,
		const AshNetWire *next, const AshWorkloadPort *port)
{
	g_autofree char *address = ash_net_address_text(next->address);
	g_autofree char *element = g_strdup_printf(
			"%s . %s . %u", address, protocol_of(port), port_at(owner, next, port));

	for (unsigned i = 0; i < elements->len; i++)
		if (strcmp(elements->pdata[i], element) == 0)
			return;
	g_ptr_array_add(elements, g_steal_pointer(&element));
}

static void add_anywhere(GPtrArray *elements, const Writer *writer, const AshNetWire *owner,
		const AshNetWire *next, const AshWorkloadPort *port)
{
	g_autofree char *address = ash_net_address_text(next->address);

	if (*port->address == '\0' || !writer->is_host)
		add(elements, "%s . %u : %s . %u", protocol_of(port), port->host_port, address,
				port_at(owner, next, port));
}

static void add_somewhere(GPtrArray *elements, const Writer *writer, const AshNetWire *owner,
		const AshNetWire *next, const AshWorkloadPort *port)
{
	g_autofree char *address = ash_net_address_text(next->address);

	if (*port->address != '\0' && writer->is_host)
		add(elements, "%s . %s . %u : %s . %u", port->address, protocol_of(port),
				port->host_port, address, port_at(owner, next, port));
}

static void put_ports(Writer *writer)
{
	static const struct {
		const char *kind, *name, *type;
		OnPort on_port;
	} sets[] = {
			{"set", "published", "type ipv4_addr . inet_proto . inet_service",
					add_published},
			{"map", "publish_any",
					"type inet_proto . inet_service : ipv4_addr . inet_service",
					add_anywhere},
			{"map", "publish_at",
					"type ipv4_addr . inet_proto . inet_service : ipv4_addr . "
					"inet_service",
					add_somewhere},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
		g_autoptr(GPtrArray) elements = new_elements();
		each_port(writer, elements, sets[i].on_port);
		put_set(writer, sets[i].kind, sets[i].name, sets[i].type, elements);
	}
}

static void put_sets(Writer *writer)
{
	g_autoptr(GPtrArray) out = new_elements(), counted = new_elements();
	g_autoptr(GPtrArray) clients = new_elements();

	EACH_WIRE(writer, wire)
	{
		g_autofree char *address = ash_net_address_text(wire->address);
		if (has_way_out(wire)) {
			add(out, "\"%s\" . %s : goto from_%u", seen_at(wire), address,
					wire->number);
			add(clients, "%s", address);
		}
		if (wire->wanted->network->connections != 0 && has_way_out(wire))
			add(counted, "%s : jump count_%u", address, wire->number);
	}
	put(writer,
			"\tset never {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { "
			"0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3, %s }\n\t}",
			writer->range);
	put_set(writer, "set", "clients", "type ipv4_addr", clients);
	put_ports(writer);
	put_set(writer, "map", "out", "type ifname . ipv4_addr : verdict", out);
	put_set(writer, "map", "counted", "type ipv4_addr : verdict", counted);
}

/* ---- what one instance may send ---- */

static const char *provider_of(const AshNetWire *wire)
{
	return wire->mode == ASH_NETWORK_PROVIDER ? wire->wanted->network->provider : "";
}

/* "tcp dport 443", "meta l4proto 17", "" */
static char *match_port(const AshWorkloadEgress *egress)
{
	if (egress->port == 0)
		return g_strdup(egress->is_udp ? "meta l4proto " UDP " " : "");
	return g_strdup_printf(
			"%s dport %u ", egress->is_udp ? "udp" : "tcp", (unsigned) egress->port);
}

/* A connection that was let through for a name goes on when its address has left the set; it is known
 * by a mark that is made of the rule, so it ends with the rule.
 */
static void put_named(Writer *writer, const AshNetWire *wire, const AshWorkloadEgress *egress,
		const char *port)
{
	g_autofree char *set = ash_net_name_set(wire, egress->target);
	g_autofree char *rule = g_strdup_printf(
			"%s:%u/%d", egress->target, (unsigned) egress->port, egress->is_udp);
	uint32_t mark = hash_text(rule) | 1;

	put(writer, "\t\tct state established ct mark 0x%08x %scounter accept", mark, port);
	put(writer, "\t\tip daddr @%s %sct mark set 0x%08x counter accept comment \"%s\"", set,
			port, mark, egress->target);
}

static void put_egress(Writer *writer, const AshNetWire *wire, const AshWorkloadEgress *egress)
{
	g_autofree char *port = match_port(egress);

	if (egress->is_name && strcmp(egress->target, provider_of(wire)) != 0)
		put_named(writer, wire, egress, port);
	else if (strcmp(egress->target, "*") == 0)
		put(writer, "\t\t%scounter accept", port);
	/* No workload has a way to IPv6's addresses. */
	else if (!egress->is_name && !strchr(egress->target, ':'))
		put(writer, "\t\tip daddr %s %scounter accept", egress->target, port);
}

static void put_name_sets(Writer *writer, const AshNetWire *wire)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (unsigned i = 0; i < wire->wanted->network->egress->len; i++) {
		const AshWorkloadEgress *egress =
				g_ptr_array_index(wire->wanted->network->egress, i);
		g_autofree char *set = ash_net_name_set(wire, egress->target);
		if (!egress->is_name || strcmp(egress->target, provider_of(wire)) == 0 ||
				!g_hash_table_add(seen, g_strdup(set)))
			continue;
		const char *kept = writer->kept ? g_hash_table_lookup(writer->kept, set) : NULL;
		put(writer, "\tset %s {\n\t\ttype ipv4_addr\n\t\tsize %d\n\t\tflags timeout", set,
				MAX_ADDRESSES);
		if (kept && *kept)
			put(writer, "\t\telements = { %s }", kept);
		put(writer, "\t}");
	}
}

static void put_instance(Writer *writer, const AshNetWire *wire)
{
	const AshWorkloadNetwork *network = wire->wanted->network;

	if (network->connections != 0)
		put(writer,
				"\tchain count_%u {\n\t\tct state new ct count over %u counter drop "
				"comment \"%s: connections\"\n\t}",
				wire->number, network->connections, wire->wanted->instance);
	if (!has_way_out(wire))
		return;
	put_name_sets(writer, wire);
	put(writer, "\tchain from_%u {", wire->number);
	if (network->connections != 0)
		put(writer, "\t\tjump count_%u", wire->number);
	for (unsigned i = 0; i < network->egress->len; i++)
		put_egress(writer, wire, g_ptr_array_index(network->egress, i));
	put(writer, "\t\tcounter drop comment \"%s: egress\"\n\t}", wire->wanted->instance);
}

/* ---- chains that all have ---- */

#define MARKED "meta mark set meta mark or " ASH_NET_MARK
#define OURS "\"" ASH_NET_PREFIX "*\""
#define ANSWERS "ct direction reply ct state { established, related }"

/* "{ "ashwb01", "ashwb02" }" of bridges of @mode; NULL: there are none. */
static char *bridges_of(const Writer *writer, AshNetworkMode mode)
{
	g_autoptr(GPtrArray) names = new_elements();

	for (unsigned i = 0; writer->is_host && i < writer->plan->bridges->len; i++) {
		const AshNetBridge *bridge = g_ptr_array_index(writer->plan->bridges, i);
		if (bridge->mode == mode)
			add(names, "\"%s\"", bridge->interface);
	}
	if (names->len == 0)
		return NULL;
	g_ptr_array_add(names, NULL);
	g_autofree char *all = g_strjoinv(", ", (char **) names->pdata);
	return g_strdup_printf("{ %s }", all);
}

/* The bridge keeps isolated ports apart; this is for who sends to the gateway what is for another. */
static void put_isolated(Writer *writer, const char *bridge)
{
	g_autoptr(GPtrArray) addresses = new_elements();

	EACH_WIRE(writer, wire)
	if (wire->wanted->network->is_isolated && wire->address != 0 &&
			strcmp(wire->bridge, bridge) == 0)
		g_ptr_array_add(addresses, ash_net_address_text(wire->address));
	if (addresses->len == 0)
		return;
	g_ptr_array_add(addresses, NULL);
	g_autofree char *all = g_strjoinv(", ", (char **) addresses->pdata);
	put(writer, "\t\tiifname \"%s\" oifname \"%s\" ip saddr { %s } ip daddr { %s } counter drop",
			bridge, bridge, all, all);
}

/* Where the kernel has bridge-netfilter, frames between ports of a bridge pass here too: a firewall that
 * drops what it does not know would cut the bridge.
 */
static void put_bridges(Writer *writer)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	EACH_WIRE(writer, wire)
	if (*wire->bridge && g_hash_table_add(seen, g_strdup(wire->bridge))) {
		put_isolated(writer, wire->bridge);
		put(writer, "\t\tiifname \"%s\" oifname \"%s\" " MARKED " accept", wire->bridge,
				wire->bridge);
	}
}

static void put_forward(Writer *writer)
{
	put(writer, "\tchain leaving {");
	put(writer, "\t\toifname " OURS " counter drop");
	put(writer, "\t\tmeta nfproto ipv6 counter drop");
	put(writer, "\t\tip daddr @never counter drop");
	put(writer, "\t\t" ANSWERS " accept");
	put(writer, "\t\tiifname . ip saddr vmap @out");
	put(writer, "\t\tcounter drop\n\t}");
	put(writer, "\tchain arriving {");
	put(writer, "\t\t" ANSWERS " accept");
	put(writer, "\t\tip daddr vmap @counted");
	put(writer, "\t\tct status dnat ip daddr . meta l4proto . th dport @published counter accept");
	put(writer, "\t\tcounter drop\n\t}");
	put(writer, "\tchain forward {\n\t\ttype filter hook forward priority filter - 10; policy accept;");
	put_bridges(writer);
	put(writer, "\t\tiifname " OURS " " MARKED " goto leaving");
	put(writer, "\t\toifname " OURS " " MARKED " goto arriving");
	if (!writer->is_router) {
		/* Others' bridges pass here as ours do. */
		put(writer, "\t\tmeta iifkind \"bridge\" meta oifkind \"bridge\" accept");
		put(writer, "\t\tcounter drop comment \"this host forwards for workloads only\"");
	}
	put(writer, "\t}");
}

/* An egress rule that names the provider itself. */
static void put_provider_services(Writer *writer)
{
	EACH_WIRE(writer, wire)
	for (unsigned i = 0; i < wire->wanted->network->egress->len; i++) {
		const AshWorkloadEgress *egress =
				g_ptr_array_index(wire->wanted->network->egress, i);
		g_autofree char *port = match_port(egress);
		if (egress->is_name && strcmp(egress->target, provider_of(wire)) == 0)
			put(writer, "\t\tiifname \"%s\" ip daddr %s %scounter accept",
					wire->interface, writer->gateway, port);
	}
}

static void put_input(Writer *writer)
{
	g_autofree char *hostonly = bridges_of(writer, ASH_NETWORK_HOSTONLY);

	put(writer, "\tchain input {\n\t\ttype filter hook input priority filter - 10; policy accept;");
	put(writer, "\t\tiifname != " OURS " accept");
	put(writer, "\t\t" MARKED);
	if (hostonly) {
		put(writer, "\t\tiifname %s ip daddr { %s, 224.0.0.0/4, 255.255.255.255 } accept",
				hostonly, writer->gateway);
		put(writer, "\t\tiifname %s ip6 saddr { fe80::/10, :: } accept", hostonly);
	}
	put(writer, "\t\tip daddr %s meta l4proto { " TCP ", " UDP " } th dport 53 accept",
			writer->gateway);
	put_provider_services(writer);
	put(writer, "\t\t" ANSWERS " accept");
	put(writer, "\t\tcounter drop\n\t}");
}

static void put_output(Writer *writer)
{
	g_autofree char *hostonly = bridges_of(writer, ASH_NETWORK_HOSTONLY);

	put(writer, "\tchain output {\n\t\ttype filter hook output priority filter - 10; policy accept;");
	if (hostonly)
		put(writer, "\t\toifname %s " MARKED " accept", hostonly);
	/* What is sent to a published port of the host by itself still seems to go out by the loopback. */
	if (writer->is_host)
		put(writer, "\t\toifname != " OURS " ip daddr != %s accept", writer->range);
	else
		put(writer, "\t\toifname != " OURS " accept");
	put(writer, "\t\tip daddr %s accept", writer->gateway);
	put(writer, "\t\t" MARKED);
	put(writer, "\t\tct state { established, related } ct direction reply accept");
	put(writer, "\t\tct state related accept");
	put(writer, "\t\tct status dnat ip daddr . meta l4proto . th dport @published counter accept");
	put(writer, "\t\tcounter drop\n\t}");
}

static void put_nat(Writer *writer)
{
	put(writer, "\tchain publish {");
	put(writer, "\t\tdnat ip to ip daddr . meta l4proto . th dport map @publish_at");
	put(writer, "\t\tdnat ip to meta l4proto . th dport map @publish_any\n\t}");
	put(writer, "\tchain prerouting {\n\t\ttype nat hook prerouting priority dstnat; policy accept;");
	put(writer, "\t\tiifname != " OURS " meta l4proto { " TCP ", " UDP
		    " } fib daddr type local jump publish\n\t}");
	if (writer->is_host) {
		put(writer, "\tchain itself {\n\t\ttype nat hook output priority -100; policy accept;");
		put(writer, "\t\tmeta l4proto { " TCP ", " UDP
			    " } fib daddr type local jump publish\n\t}");
	}
	put(writer, "\tchain postrouting {\n\t\ttype nat hook postrouting priority srcnat; policy accept;");
	put(writer, "\t\tip saddr 127.0.0.0/8 ip daddr %s snat ip to %s", writer->range,
			writer->gateway);
	put(writer, "\t\toifname != " OURS " ip saddr @clients counter masquerade\n\t}");
}

static void put_early(Writer *writer)
{
	put(writer, "\tchain early {\n\t\ttype filter hook prerouting priority raw; policy accept;");
	put(writer, "\t\tiifname " OURS " ip daddr 127.0.0.0/8 counter drop");
	put(writer, "\t\tiifname " OURS
		    " meta nfproto ipv4 ip saddr != 0.0.0.0 fib saddr . iif oif missing counter drop");
	if (writer->is_host)
		put(writer, "\t\tiifname != { " OURS ", \"lo\" } ip saddr %s counter drop",
				writer->range);
	put(writer, "\t}");
}

/* ---- what comes out of each wire, frame by frame ---- */

static void put_guard_ipv6(Writer *writer, const AshNetWire *wire)
{
	const uint8_t *mac = wire->mac;
	const char *who = wire->wanted->instance;
	g_autofree char *own = g_strdup_printf("fe80::%x:%xff:fe%02x:%x",
			(unsigned) ((mac[0] ^ 2) << 8 | mac[1]), (unsigned) mac[2],
			(unsigned) mac[3], (unsigned) (mac[4] << 8 | mac[5]));
	g_autofree char *bits = g_strdup_printf("0xfe80000000000000%02x%02x%02xfffe%02x%02x%02x",
			(unsigned) (mac[0] ^ 2), (unsigned) mac[1], (unsigned) mac[2],
			(unsigned) mac[3], (unsigned) mac[4], (unsigned) mac[5]);

	if (!wire->has_ipv6)
		return;
	put(writer, "\t\ticmpv6 type { nd-router-advert, nd-redirect } counter drop comment \"%s: router\"",
			who);
	/* Where the network has IPv6 of its own, which addresses it gives is not known here. */
	if (wire->mode == ASH_NETWORK_BRIDGED) {
		put(writer, "\t\tether type ip6 accept");
		return;
	}
	put(writer, "\t\tip6 saddr != { %s, :: } counter drop comment \"%s: not its address\"", own,
			who);
	/* The address that is advertised stands behind 8 bytes. */
	put(writer, "\t\ticmpv6 type nd-neighbor-advert @th,64,128 != %s counter drop comment \"%s: neighbour\"",
			bits, who);
	put(writer, "\t\tip6 daddr { fe80::/10, ff00::/8 } accept");
}

static void put_guard(Writer *writer, const AshNetWire *wire)
{
	const char *who = wire->wanted->instance;
	g_autofree char *mac = ash_net_mac_text(wire->mac);
	g_autofree char *address = ash_net_address_text(wire->address);
	g_autofree char *gateway = ash_net_address_text(wire->gateway);

	put(writer, "\tchain guard_%u {", wire->number);
	put(writer, "\t\tether saddr != %s counter drop comment \"%s: not its MAC\"", mac, who);
	put(writer, "\t\tether type arp arp saddr ether != %s counter drop comment \"%s: ARP\"",
			mac, who);
	if (wire->address != 0) {
		put(writer, "\t\tether type arp arp saddr ip != %s counter drop comment \"%s: ARP\"",
				address, who);
		put(writer, "\t\tip saddr != %s counter drop comment \"%s: not its address\"",
				address, who);
	}
	if (!*wire->bridge)
		put(writer, "\t\tether type arp arp daddr ip != %s counter drop comment \"%s: ARP\"",
				gateway, who);
	put(writer, "\t\tether type arp accept");
	put(writer, "\t\tip daddr { 127.0.0.0/8, 169.254.169.254%s } counter drop comment \"%s: never\"",
			*wire->bridge ? "" : ", 224.0.0.0/4, 255.255.255.255", who);
	if (*wire->bridge)
		put(writer, "\t\tudp sport 67 counter drop comment \"%s: DHCP server\"", who);
	put(writer, "\t\tether type ip accept");
	put_guard_ipv6(writer, wire);
	put(writer, "\t\tcounter drop comment \"%s: other\"\n\t}", who);
}

static void put_ingress(Writer *writer, unsigned number, GPtrArray *devices)
{
	if (devices->len == 0)
		return;
	g_ptr_array_add(devices, NULL);
	g_autofree char *all = g_strjoinv(", ", (char **) devices->pdata);
	put(writer, "\tchain ingress_%u {\n\t\ttype filter hook ingress devices = { %s } priority -500; policy accept;",
			number, all);
	put(writer, "\t\tiifname vmap @guards\n\t\tcounter drop\n\t}");
	g_ptr_array_set_size(devices, 0);
}

static void put_guards(Writer *writer)
{
	g_autoptr(GPtrArray) devices = new_elements(), guards = new_elements();
	unsigned number = 0;

	put(writer, "table netdev " ASH_NET_TABLE " {");
	EACH_WIRE(writer, wire)
	{
		put_guard(writer, wire);
		add(guards, "\"%s\" : goto guard_%u", wire->interface, wire->number);
	}
	put_set(writer, "map", "guards", "type ifname : verdict", guards);
	EACH_WIRE(writer, wire)
	{
		add(devices, "\"%s\"", wire->interface);
		if (devices->len == MAX_DEVICES)
			put_ingress(writer, number++, devices);
	}
	put_ingress(writer, number, devices);
	put(writer, "}");
}

/* ---- all ---- */

char *ash_net_rules_none(void)
{
	/* Adding first, so that deleting finds something. */
	return g_strdup("table inet " ASH_NET_TABLE "\ndelete table inet " ASH_NET_TABLE
			"\ntable netdev " ASH_NET_TABLE "\ndelete table netdev " ASH_NET_TABLE
			"\n");
}

char *ash_net_rules(const AshNetPlan *plan, unsigned space, GHashTable *kept, bool is_router)
{
	g_autofree char *base = ash_net_address_text(plan->range.address), *none = NULL;
	Writer writer = {.plan = plan, .number = space, .kept = kept, .is_router = is_router};

	writer.space = g_ptr_array_index(plan->spaces, space);
	writer.is_host = writer.space->owner == NULL;
	writer.text = g_string_new(NULL);
	writer.range = g_strdup_printf("%s/%u", base, plan->range.prefix);
	writer.gateway = ash_net_address_text(writer.space->gateway);
	none = ash_net_rules_none();
	g_string_append(writer.text, none);
	put(&writer, "table inet " ASH_NET_TABLE " {");
	EACH_WIRE(&writer, wire)
	put_instance(&writer, wire);
	put_sets(&writer);
	put_early(&writer);
	put_nat(&writer);
	put_forward(&writer);
	put_input(&writer);
	put_output(&writer);
	put(&writer, "}");
	put_guards(&writer);
	g_free(writer.range);
	g_free(writer.gateway);
	return g_string_free(writer.text, FALSE);
}
