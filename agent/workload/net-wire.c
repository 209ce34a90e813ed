/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/net-wire.h"

#include <string.h>

#include "lib/error.h"

#define VM_BRIDGE "br0"

void ash_net_view_free(AshNetView *view)
{
	if (!view)
		return;
	ash_net_place_free(view->place);
	g_clear_pointer(&view->devices, g_hash_table_unref);
	g_clear_pointer(&view->lines, g_hash_table_unref);
	g_free(view);
}

gboolean ash_net_view_refresh(AshNetView *view, GError **error)
{
	g_clear_pointer(&view->devices, g_hash_table_unref);
	g_clear_pointer(&view->lines, g_hash_table_unref);
	return ash_net_devices(view->place, &view->devices, error) &&
	       ash_net_addresses(view->place, view->devices, &view->lines, error);
}

gboolean ash_net_view_open(const char *path, AshNetView **out_view, GError **error)
{
	g_autoptr(AshNetView) view = g_new0(AshNetView, 1);

	if (!ash_net_place_open(path, &view->place, error) || !ash_net_view_refresh(view, error))
		return FALSE;
	*out_view = g_steal_pointer(&view);
	return TRUE;
}

/* ---- what is wrong ---- */

static bool has_line(const AshNetView *view, const char *format, ...) G_GNUC_PRINTF(2, 3);
static bool has_line(const AshNetView *view, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_autofree char *line = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	return g_hash_table_contains(view->lines, line);
}

static uint32_t gateway_in(const AshNetPlan *plan, const AshNetWire *wire)
{
	const AshNetSpace *space = g_ptr_array_index(plan->spaces, wire->space);

	return space->gateway;
}

static char *routing_fault(const AshNetPlan *plan, const AshNetWire *wire, const AshNetView *outer)
{
	g_autofree char *address = ash_net_address_text(wire->address);
	g_autofree char *gateway = ash_net_address_text(gateway_in(plan, wire));
	const char *device = *wire->bridge ? wire->bridge : wire->interface;

	if (wire->mode == ASH_NETWORK_BRIDGED)
		return NULL;
	if (!*wire->bridge && !has_line(outer, "%s %s/32", device, gateway))
		return g_strdup_printf("%s has not the address %s", device, gateway);
	if (!has_line(outer, "%s/32 dev %s", address, device))
		return g_strdup_printf("no route to %s by %s", address, device);
	return NULL;
}

char *ash_net_wire_fault(const AshNetPlan *plan, const AshNetWire *wire, const AshNetView *outer)
{
	const AshNetDevice *device = g_hash_table_lookup(outer->devices, wire->interface);
	const AshNetDevice *bridge =
			*wire->bridge ? g_hash_table_lookup(outer->devices, wire->bridge) : NULL;

	if (!device)
		return g_strdup_printf("%s is missing", wire->interface);
	if (g_strcmp0(device->alias, wire->label) != 0)
		return g_strdup_printf("%s is not finished, or another's", wire->interface);
	if (!device->is_up)
		return g_strdup_printf("%s is down", wire->interface);
	if (memcmp(device->mac, wire->outer_mac, sizeof device->mac) != 0)
		return g_strdup_printf("%s has another MAC", wire->interface);
	if (*wire->bridge && (!bridge || device->master != bridge->index))
		return g_strdup_printf("%s is no port of %s", wire->interface, wire->bridge);
	if (device->is_isolated != wire->wanted->network->is_isolated)
		return g_strdup_printf("%s %s isolated", wire->interface,
				device->is_isolated ? "is" : "is not");
	if (!*wire->bridge && device->master != 0)
		return g_strdup_printf("%s is a port of a bridge", wire->interface);
	return routing_fault(plan, wire, outer);
}

static char *inner_fault(const AshNetWire *wire, const AshNetView *inner)
{
	const AshNetDevice *device = g_hash_table_lookup(inner->devices, ASH_NET_INNER);
	const AshNetDevice *tap = g_hash_table_lookup(inner->devices, ASH_NET_TAP);
	g_autofree char *address = ash_net_address_text(wire->address);
	g_autofree char *gateway = ash_net_address_text(wire->gateway);

	if (!device || !device->is_up)
		return g_strdup(ASH_NET_INNER " is missing or down");
	if (wire->wanted->is_vm)
		return tap && tap->is_up && tap->master != 0 && device->master == tap->master
				       ? NULL
				       : g_strdup(ASH_NET_TAP " is missing, down or not joined");
	if (memcmp(device->mac, wire->mac, sizeof device->mac) != 0)
		return g_strdup(ASH_NET_INNER " has another MAC");
	if (wire->address != 0 &&
			!has_line(inner, "%s %s/%u", ASH_NET_INNER, address, wire->prefix))
		return g_strdup_printf("%s has not the address %s", ASH_NET_INNER, address);
	if (wire->has_default && !has_line(inner, "default via %s dev %s", gateway, ASH_NET_INNER))
		return g_strdup_printf("no route by %s", gateway);
	return NULL;
}

gboolean ash_net_wire_fault_inside(
		const AshNetWire *wire, const char *path, char **out_fault, GError **error)
{
	g_autoptr(AshNetView) inner = NULL;

	if (!ash_net_space_is(path)) {
		*out_fault = g_strdup("its namespace is missing");
		return TRUE;
	}
	if (!ash_net_view_open(path, &inner, error))
		return FALSE;
	*out_fault = inner_fault(wire, inner);
	return TRUE;
}

/* ---- the inside ---- */

static const char *flag(bool value)
{
	return value ? "1" : "0";
}

/* Settings that are there before any interface is, and for those that come. */
static gboolean set_inside(const AshNetWire *wire, bool is_provider, GError **error)
{
	static const char *const scopes[] = {"all", "default"};
	bool has_ipv6 = wire->has_ipv6 && !wire->wanted->is_vm;
	bool takes_adverts = wire->mode == ASH_NETWORK_BRIDGED;

	for (unsigned i = 0; i < G_N_ELEMENTS(scopes); i++)
		if (!ash_net_sysctl(flag(!has_ipv6), error, "ipv6/conf/%s/disable_ipv6",
				    scopes[i]) ||
				!ash_net_sysctl(flag(takes_adverts), error,
						"ipv6/conf/%s/accept_ra", scopes[i]))
			return FALSE;
	/* Its address is made of a MAC that nobody else has: there is nothing to wait for. */
	return ash_net_sysctl("0", error, "ipv6/conf/default/accept_dad") &&
	       ash_net_sysctl(flag(is_provider), error, "ipv4/ip_forward");
}

static gboolean add_tap(const AshNetWire *wire, AshNetPlace *place, GError **error)
{
	g_autoptr(GHashTable) devices = NULL;
	int bridge;

	if (!ash_net_devices(place, &devices, error))
		return FALSE;
	/* A tap device that a running machine holds cannot be opened again, and need not be. */
	if (!g_hash_table_contains(devices, ASH_NET_TAP) &&
			!ash_net_tap_make(ASH_NET_TAP, wire->wanted->uid, error))
		return FALSE;
	return ash_net_bridge_make(place, VM_BRIDGE, NULL, error) &&
	       ash_net_device_index(place, VM_BRIDGE, &bridge, error) &&
	       ash_net_device_join(place, ASH_NET_INNER, bridge, error) &&
	       ash_net_device_join(place, ASH_NET_TAP, bridge, error) &&
	       ash_net_device_up(place, VM_BRIDGE, error) &&
	       ash_net_device_up(place, ASH_NET_TAP, error) &&
	       ash_net_device_up(place, ASH_NET_INNER, error);
}

static gboolean add_routes(const AshNetWire *wire, AshNetPlace *place, int index, GError **error)
{
	if (!ash_net_device_up(place, ASH_NET_INNER, error))
		return FALSE;
	if (wire->address != 0 &&
			!ash_net_address_add(place, index, wire->address, wire->prefix, error))
		return FALSE;
	if (!wire->has_default)
		return TRUE;
	if (wire->prefix == 32 && !ash_net_route_add(place, index, wire->gateway, 32, 0, 0, error))
		return FALSE;
	return ash_net_route_add(place, index, 0, 0, wire->gateway, wire->address, error);
}

static gboolean fill_inside(const AshNetWire *wire, AshNetPlace *place, GError **error)
{
	uint64_t bandwidth = wire->wanted->network->bandwidth_bytes;
	int index;

	if (!ash_net_device_up(place, "lo", error) ||
			!ash_net_device_index(place, ASH_NET_INNER, &index, error))
		return FALSE;
	if (bandwidth != 0 && !ash_net_limit(place, index, bandwidth, error))
		return FALSE;
	return wire->wanted->is_vm ? add_tap(wire, place, error)
				   : add_routes(wire, place, index, error);
}

/* In the namespace of the workload, which is made if it is not there. */
static gboolean make_inside(const AshNetWire *wire, const char *path, bool is_provider,
		AshNetView *outer, GError **error)
{
	g_autoptr(AshNetPlace) inner = NULL, existing = NULL;
	uint8_t mac[ASH_NET_MAC_BYTES];

	if (ash_net_space_is(path)) {
		if (!ash_net_place_open(path, &existing, error) ||
				!ash_net_place_enter(existing, error))
			return FALSE;
		/* What an earlier wire has left there. */
		if (!ash_net_device_remove(existing, ASH_NET_INNER, error))
			return FALSE;
	} else if (!ash_net_space_make(path, error)) {
		return FALSE;
	}
	/* A machine has the MAC of the workload itself, behind a bridge. */
	memcpy(mac, wire->mac, sizeof mac);
	if (wire->wanted->is_vm)
		mac[1] ^= 2;
	return ash_net_place_open(NULL, &inner, error) && set_inside(wire, is_provider, error) &&
	       ash_net_pair_make(outer->place, wire->interface, wire->outer_mac, inner->fd, mac,
			       error) &&
	       fill_inside(wire, inner, error);
}

gboolean ash_net_wire_make(const AshNetWire *wire, const char *path, bool is_provider,
		AshNetView *outer, const AshNetPlace *home, GError **error)
{
	ASH_PREFIX("'%s'", wire->wanted->instance);

	if (g_hash_table_contains(outer->devices, wire->interface) &&
			!ash_net_device_remove(outer->place, wire->interface, error))
		return FALSE;
	gboolean is_made = make_inside(wire, path, is_provider, outer, error);
	return ash_net_place_enter(home, is_made ? error : NULL) && is_made;
}

/* ---- the outside ---- */

gboolean ash_net_set_loopback(const char *interface, bool has_loopback, GError **error)
{
	return ash_net_sysctl(flag(has_loopback), error, "ipv4/conf/%s/route_localnet", interface);
}

static gboolean set_outside(const char *interface, bool has_ipv6, bool has_loopback, GError **error)
{
	return ash_net_sysctl(flag(!has_ipv6), error, "ipv6/conf/%s/disable_ipv6", interface) &&
	       ash_net_sysctl("0", error, "ipv6/conf/%s/accept_ra", interface) &&
	       ash_net_sysctl("0", error, "ipv6/conf/%s/accept_dad", interface) &&
	       ash_net_sysctl("1", error, "ipv4/conf/%s/arp_ignore", interface) &&
	       ash_net_set_loopback(interface, has_loopback, error);
}

static gboolean route_to(const AshNetPlan *plan, const AshNetWire *wire, AshNetPlace *place,
		int index, GError **error)
{
	if (wire->mode == ASH_NETWORK_BRIDGED)
		return TRUE;
	return ash_net_neighbour_add(place, index, wire->address, wire->mac, error) &&
	       ash_net_route_add(place, index, wire->address, 32, 0, gateway_in(plan, wire), error);
}

gboolean ash_net_wire_start(
		const AshNetPlan *plan, const AshNetWire *wire, AshNetPlace *place, GError **error)
{
	uint64_t bandwidth = wire->wanted->network->bandwidth_bytes;
	int index, bridge = 0;

	ASH_PREFIX("'%s'", wire->wanted->instance);
	if (!ash_net_device_index(place, wire->interface, &index, error) ||
			!set_outside(wire->interface, false, wire->has_loopback && !*wire->bridge,
					error))
		return FALSE;
	if (bandwidth != 0 && !ash_net_limit(place, index, bandwidth, error))
		return FALSE;
	if (*wire->bridge && (!ash_net_device_index(place, wire->bridge, &bridge, error) ||
					     !ash_net_device_join(place, wire->interface, bridge,
							     error)))
		return FALSE;
	if (*wire->bridge && !ash_net_device_isolate(place, wire->interface,
					     wire->wanted->network->is_isolated, error))
		return FALSE;
	if (!ash_net_device_up(place, wire->interface, error))
		return FALSE;
	if (!*wire->bridge && !ash_net_address_add(place, index, gateway_in(plan, wire), 32, error))
		return FALSE;
	return route_to(plan, wire, place, *wire->bridge ? bridge : index, error) &&
	       ash_net_device_label(place, wire->interface, wire->label, error);
}

char *ash_net_bridge_fault(
		const AshNetPlan *plan, const AshNetBridge *bridge, const AshNetView *host)
{
	const AshNetDevice *device = g_hash_table_lookup(host->devices, bridge->interface);
	g_autofree char *gateway = ash_net_address_text(plan->gateway);

	if (!device)
		return g_strdup_printf("%s is missing", bridge->interface);
	if (!device->is_up || g_strcmp0(device->alias, bridge->label) != 0)
		return g_strdup_printf("%s is not finished", bridge->interface);
	if (!has_line(host, "%s %s/32", bridge->interface, gateway))
		return g_strdup_printf("%s has not the address %s", bridge->interface, gateway);
	return NULL;
}

gboolean ash_net_bridge_start(const AshNetPlan *plan, const AshNetBridge *bridge,
		AshNetPlace *place, GError **error)
{
	int index;

	return ash_net_device_index(place, bridge->interface, &index, error) &&
	       set_outside(bridge->interface, bridge->mode == ASH_NETWORK_HOSTONLY,
			       bridge->has_loopback, error) &&
	       ash_net_device_up(place, bridge->interface, error) &&
	       ash_net_address_add(place, index, plan->gateway, 32, error) &&
	       ash_net_device_label(place, bridge->interface, bridge->label, error);
}
