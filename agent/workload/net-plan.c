/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/net-plan.h"

#include <string.h>

#include "lib/error.h"

static void free_wire(gpointer data)
{
	AshNetWire *wire = data;

	g_free(wire->label);
	g_free(wire);
}

static void free_bridge(gpointer data)
{
	AshNetBridge *bridge = data;

	g_free(bridge->label);
	g_free(bridge);
}

void ash_net_plan_free(AshNetPlan *plan)
{
	if (!plan)
		return;
	g_ptr_array_unref(plan->wires);
	g_ptr_array_unref(plan->bridges);
	g_ptr_array_unref(plan->spaces);
	g_free(plan);
}

const AshNetWire *ash_net_plan_find(const AshNetPlan *plan, const char *instance)
{
	for (unsigned i = 0; i < plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(plan->wires, i);
		if (strcmp(wire->wanted->instance, instance) == 0)
			return wire;
	}
	return NULL;
}

unsigned ash_net_plan_space_of(const AshNetPlan *plan, const AshNetWire *wire)
{
	for (unsigned i = 1; i < plan->spaces->len; i++) {
		const AshNetSpace *space = g_ptr_array_index(plan->spaces, i);
		if (space->owner == wire)
			return i;
	}
	return 0;
}

bool ash_net_plan_forwards(const AshNetPlan *plan)
{
	for (unsigned i = 0; i < plan->wires->len; i++) {
		const AshNetWire *wire = g_ptr_array_index(plan->wires, i);
		if (wire->space == 0 &&
				(wire->mode == ASH_NETWORK_NAT || wire->mode == ASH_NETWORK_NATNET))
			return true;
	}
	return false;
}

char *ash_net_mac_text(const uint8_t *mac)
{
	return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
			mac[4], mac[5]);
}

/* ---- one wire ---- */

/* Locally administered, the second byte says which end it is. */
static void mac_from_address(uint8_t kind, uint32_t address, uint8_t *out_mac)
{
	const uint8_t mac[ASH_NET_MAC_BYTES] = {0x02, kind, (uint8_t) (address >> 24),
			(uint8_t) (address >> 16), (uint8_t) (address >> 8), (uint8_t) address};

	memcpy(out_mac, mac, sizeof mac);
}

/* On a network that it shares with other hosts, whose workloads have the same range. */
static void mac_from_machine(const char *machine, const char *instance, uint8_t *out_mac)
{
	g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
	uint8_t digest[32];
	gsize size = sizeof digest;

	g_checksum_update(checksum, (const guchar *) machine, -1);
	g_checksum_update(checksum, (const guchar *) "\n", 1);
	g_checksum_update(checksum, (const guchar *) instance, -1);
	g_checksum_get_digest(checksum, digest, &size);
	memcpy(out_mac, digest, ASH_NET_MAC_BYTES);
	out_mac[0] = 0x02;
}

static uint32_t hash_text(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char) *text) * 16777619u;
	return hash;
}

static bool is_on_loopback(const AshNetInstance *instance)
{
	for (unsigned i = 0; i < instance->network->publish->len; i++) {
		const AshWorkloadPort *port = g_ptr_array_index(instance->network->publish, i);
		if (*port->address == '\0' || g_str_has_prefix(port->address, "127."))
			return true;
	}
	return false;
}

static gboolean join_bridge(AshNetPlan *plan, AshNetWire *wire, GError **error)
{
	const char *name = wire->wanted->network->name;
	g_autofree char *label = g_strdup_printf(
			"%s %s", ash_network_mode_name(wire->mode), *name ? name : "-");

	g_snprintf(wire->bridge, sizeof wire->bridge, ASH_NET_PREFIX "b%08x", hash_text(label));
	for (unsigned i = 0; i < plan->bridges->len; i++) {
		AshNetBridge *bridge = g_ptr_array_index(plan->bridges, i);
		if (strcmp(bridge->interface, wire->bridge) != 0)
			continue;
		if (strcmp(bridge->label, label) != 0)
			return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_REFUSED,
					"networks '%s' and '%s' cannot be told apart: call one of "
					"them something else",
					bridge->label, label);
		bridge->has_loopback |= wire->has_loopback;
		return TRUE;
	}
	AshNetBridge *bridge = g_new0(AshNetBridge, 1);
	memcpy(bridge->interface, wire->bridge, sizeof bridge->interface);
	bridge->mode = wire->mode;
	mac_from_address(0x64, hash_text(label), bridge->mac);
	bridge->has_loopback = wire->has_loopback;
	bridge->label = g_steal_pointer(&label);
	g_ptr_array_add(plan->bridges, bridge);
	return TRUE;
}

static void set_static(AshNetWire *wire, const AshNetSettings *settings)
{
	wire->address = 0;
	wire->prefix = 0;
	for (unsigned i = 0; i < settings->bridged->len; i++) {
		const AshNetStatic *item = g_ptr_array_index(settings->bridged, i);
		if (strcmp(item->instance, wire->wanted->instance) != 0)
			continue;
		wire->address = item->address;
		wire->prefix = item->prefix;
		wire->gateway = item->gateway;
	}
	wire->has_default = wire->gateway != 0;
}

/* The space that @provider's clients have their outer ends in. */
static unsigned space_for(AshNetPlan *plan, const char *provider)
{
	const AshNetWire *owner = ash_net_plan_find(plan, provider);
	unsigned found = ash_net_plan_space_of(plan, owner);

	if (found != 0)
		return found;
	AshNetSpace *space = g_new0(AshNetSpace, 1);
	space->owner = owner;
	space->gateway = owner->address;
	g_ptr_array_add(plan->spaces, space);
	return plan->spaces->len - 1;
}

static void label_wire(AshNetWire *wire, const AshNetPlan *plan)
{
	const AshNetSpace *space = g_ptr_array_index(plan->spaces, wire->space);
	g_autofree char *address = ash_net_address_text(wire->address);
	g_autofree char *gateway = ash_net_address_text(wire->gateway);
	g_autofree char *mac = ash_net_mac_text(wire->mac);
	g_autofree char *all = g_strdup_printf("1 %s %s/%u %s %s %s %s %d %u%s",
			ash_network_mode_name(wire->mode), address, wire->prefix, gateway, mac,
			wire->bridge, space->owner ? space->owner->wanted->instance : "",
			wire->wanted->is_vm, wire->wanted->uid,
			wire->wanted->network->is_isolated ? " isolated" : "");

	wire->label = g_strdup_printf("%s %08x %" G_GUINT64_FORMAT, wire->wanted->instance,
			hash_text(all), wire->wanted->network->bandwidth_bytes);
}

static gboolean add_wire(AshNetPlan *plan, const AshNetInstance *instance,
		const AshNetSettings *settings, uint32_t address, const char *machine,
		GError **error)
{
	AshNetWire *wire = g_new0(AshNetWire, 1);
	AshNetworkMode mode = instance->network->mode;
	bool is_bridged = mode == ASH_NETWORK_BRIDGED;
	bool is_routed = mode == ASH_NETWORK_NAT || mode == ASH_NETWORK_PROVIDER;

	g_ptr_array_add(plan->wires, wire);
	wire->wanted = instance;
	wire->mode = mode;
	wire->address = address;
	wire->number = address - plan->range.address;
	wire->prefix = is_routed ? 32 : plan->range.prefix;
	wire->gateway = is_bridged ? 0 : plan->gateway;
	wire->has_default = is_routed || mode == ASH_NETWORK_NATNET;
	wire->has_ipv6 = !is_routed;
	wire->has_loopback = is_on_loopback(instance);
	g_snprintf(wire->interface, sizeof wire->interface, ASH_NET_PREFIX "%u", wire->number);
	mac_from_address(0x61, address, wire->mac);
	mac_from_address(0x62, address, wire->outer_mac);
	if (mode == ASH_NETWORK_PROVIDER) {
		wire->space = space_for(plan, instance->network->provider);
		wire->gateway = ((const AshNetSpace *) g_ptr_array_index(plan->spaces, wire->space))
						->gateway;
	} else if (is_bridged) {
		g_strlcpy(wire->bridge, instance->network->name, sizeof wire->bridge);
		set_static(wire, settings);
		mac_from_machine(machine, instance->instance, wire->mac);
	} else if (!is_routed && !join_bridge(plan, wire, error)) {
		return FALSE;
	}
	label_wire(wire, plan);
	return TRUE;
}

/* ---- all of them ---- */

static unsigned hops_of(const AshNet *net, const AshNetInstance *instance)
{
	unsigned hops = 0;

	for (bool found = true; found && instance->network->mode == ASH_NETWORK_PROVIDER; hops++) {
		found = false;
		for (unsigned i = 0; i < net->instances->len && !found; i++) {
			const AshNetInstance *other = g_ptr_array_index(net->instances, i);
			if (strcmp(other->instance, instance->network->provider) == 0) {
				instance = other;
				found = true;
			}
		}
	}
	return hops;
}

gboolean ash_net_plan_new(const AshNet *net, const AshNetSettings *settings,
		const uint32_t *addresses, const char *machine, AshNetPlan **out_plan,
		GError **error)
{
	g_autoptr(AshNetPlan) plan = g_new0(AshNetPlan, 1);
	g_autofree unsigned *hops = g_new0(unsigned, net->instances->len + 1);

	plan->range = settings->range;
	plan->gateway = settings->range.address + 1;
	plan->wires = g_ptr_array_new_with_free_func(free_wire);
	plan->bridges = g_ptr_array_new_with_free_func(free_bridge);
	plan->spaces = g_ptr_array_new_with_free_func(g_free);
	AshNetSpace *host = g_new0(AshNetSpace, 1);
	host->gateway = plan->gateway;
	g_ptr_array_add(plan->spaces, host);
	for (unsigned i = 0; i < net->instances->len; i++)
		hops[i] = hops_of(net, g_ptr_array_index(net->instances, i));
	for (unsigned depth = 0; depth <= ASH_NET_MAX_HOPS; depth++)
		for (unsigned i = 0; i < net->instances->len; i++) {
			const AshNetInstance *instance = g_ptr_array_index(net->instances, i);
			AshNetworkMode mode = instance->network->mode;
			if (hops[i] != depth || mode == ASH_NETWORK_NONE ||
					mode == ASH_NETWORK_HOST)
				continue;
			if (!add_wire(plan, instance, settings, addresses[i], machine, error))
				return FALSE;
		}
	*out_plan = g_steal_pointer(&plan);
	return TRUE;
}

static AshNetLink *link_of(const AshNetPlan *plan, const AshNetInstance *instance)
{
	const AshNetWire *wire = ash_net_plan_find(plan, instance->instance);
	AshNetLink *link = g_new0(AshNetLink, 1);
	bool has_address = wire && wire->address != 0, has_gateway = wire && wire->gateway != 0;

	link->instance = g_strdup(instance->instance);
	link->netns = wire ? g_strdup_printf("%s/%s", ASH_NET_NAMESPACES, instance->instance)
			   : g_strdup(instance->network->mode == ASH_NETWORK_HOST ? "host" : "");
	link->tap = g_strdup(wire && instance->is_vm ? ASH_NET_TAP : "");
	g_autofree char *address = has_address ? ash_net_address_text(wire->address) : NULL;
	link->address = address ? g_strdup_printf("%s/%u", address, wire->prefix) : g_strdup("");
	link->gateway = has_gateway && wire->has_default ? ash_net_address_text(wire->gateway)
							 : g_strdup("");
	link->mac = wire ? ash_net_mac_text(wire->mac) : g_strdup("");
	link->interface = g_strdup(wire ? wire->interface : "");
	link->nameservers = g_new0(char *, 2);
	if (has_gateway && wire->mode != ASH_NETWORK_BRIDGED)
		link->nameservers[0] = ash_net_address_text(wire->gateway);
	return link;
}

static void free_link(gpointer data)
{
	ash_net_link_free(data);
}

GPtrArray *ash_net_plan_links(const AshNetPlan *plan, const AshNet *net)
{
	GPtrArray *links = g_ptr_array_new_with_free_func(free_link);

	for (unsigned i = 0; i < net->instances->len; i++)
		g_ptr_array_add(links, link_of(plan, g_ptr_array_index(net->instances, i)));
	return links;
}
