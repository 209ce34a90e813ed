/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/net.h"

#include <string.h>

#include "agent/workload/net-address.h"
#include "agent/workload/net-private.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_net_error, ash_net_error)

enum {
	MAX_NAME_BYTES = 253,
	MAX_INTERFACE_BYTES = 15,
};

/* ---- values ---- */

static void free_port(gpointer data)
{
	AshWorkloadPort *port = data;

	g_free(port->address);
	g_free(port);
}

static void free_egress(gpointer data)
{
	AshWorkloadEgress *egress = data;

	g_free(egress->target);
	g_free(egress);
}

static AshWorkloadNetwork *new_network(void)
{
	AshWorkloadNetwork *network = g_new0(AshWorkloadNetwork, 1);

	network->name = g_strdup("");
	network->provider = g_strdup("");
	network->publish = g_ptr_array_new_with_free_func(free_port);
	network->egress = g_ptr_array_new_with_free_func(free_egress);
	return network;
}

static void free_network(AshWorkloadNetwork *network)
{
	g_free(network->name);
	g_free(network->provider);
	g_ptr_array_unref(network->publish);
	g_ptr_array_unref(network->egress);
	g_free(network);
}

static void free_instance(gpointer data)
{
	AshNetInstance *instance = data;

	g_free(instance->instance);
	if (instance->network)
		free_network(instance->network);
	g_strfreev(instance->names);
	g_free(instance);
}

AshNetInstance *ash_net_instance_new(void)
{
	AshNetInstance *instance = g_new0(AshNetInstance, 1);

	instance->network = new_network();
	return instance;
}

AshNet *ash_net_new(void)
{
	AshNet *net = g_new0(AshNet, 1);

	net->instances = g_ptr_array_new_with_free_func(free_instance);
	return net;
}

void ash_net_free(AshNet *net)
{
	if (!net)
		return;
	g_ptr_array_unref(net->instances);
	g_free(net);
}

void ash_net_set_text(char **slot, const char *text)
{
	g_free(*slot);
	*slot = g_strdup(text ? text : "");
}

void ash_net_port_add(AshWorkloadNetwork *network, const char *address, uint64_t host_port,
		uint64_t number, bool is_udp)
{
	AshWorkloadPort *port = g_new0(AshWorkloadPort, 1);

	port->address = g_strdup(address ? address : "");
	port->host_port = (uint16_t) host_port;
	port->port = (uint16_t) number;
	port->is_udp = is_udp;
	g_ptr_array_add(network->publish, port);
}

void ash_net_egress_add(AshWorkloadNetwork *network, const char *target, bool target_is_name,
		uint64_t port, bool is_udp)
{
	AshWorkloadEgress *egress = g_new0(AshWorkloadEgress, 1);

	egress->target = g_strdup(target);
	egress->is_name = target_is_name;
	egress->port = (uint16_t) port;
	egress->is_udp = is_udp;
	g_ptr_array_add(network->egress, egress);
}

static char **copy_texts(const char *const *texts)
{
	g_autoptr(GPtrArray) copy = g_ptr_array_new();

	for (; texts && *texts; texts++)
		g_ptr_array_add(copy, g_strdup(*texts));
	g_ptr_array_add(copy, NULL);
	return (char **) g_ptr_array_free(g_steal_pointer(&copy), FALSE);
}

void ash_net_add(AshNet *net, const char *instance, const AshWorkloadNetwork *network,
		const char *provider, bool is_vm, uint32_t uid, const char *const *names)
{
	AshNetInstance *added = ash_net_instance_new();

	added->instance = g_strdup(instance);
	added->network->mode = network->mode;
	ash_net_set_text(&added->network->name, network->name);
	ash_net_set_text(&added->network->provider, provider ? provider : network->provider);
	for (unsigned i = 0; network->publish && i < network->publish->len; i++) {
		const AshWorkloadPort *port = g_ptr_array_index(network->publish, i);
		ash_net_port_add(added->network, port->address, port->host_port, port->port,
				port->is_udp);
	}
	for (unsigned i = 0; network->egress && i < network->egress->len; i++) {
		const AshWorkloadEgress *egress = g_ptr_array_index(network->egress, i);
		ash_net_egress_add(added->network, egress->target, egress->is_name, egress->port,
				egress->is_udp);
	}
	added->network->is_isolated = network->is_isolated;
	added->network->bandwidth_bytes = network->bandwidth_bytes;
	added->network->connections = network->connections;
	added->is_vm = is_vm;
	added->uid = uid;
	added->names = copy_texts(names);
	g_ptr_array_add(net->instances, added);
}

/* ---- questions about values ---- */

static bool is_label(const char *text, size_t length)
{
	if (length == 0 || length > 63 || text[0] == '-' || text[length - 1] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!g_ascii_islower(text[i]) && !g_ascii_isdigit(text[i]) && text[i] != '-')
			return false;
	return true;
}

static bool is_name(const char *text)
{
	size_t length = strlen(text);

	return length <= ASH_WORKLOAD_MAX_NAME_BYTES && is_label(text, length) &&
	       g_ascii_islower(text[0]);
}

/* "web", "web@2": it becomes a file name, and a word in rules. */
static bool is_instance(const char *text)
{
	const char *at = strchr(text, '@');
	g_autofree char *name = at ? g_strndup(text, (size_t) (at - text)) : g_strdup(text);

	if (!is_name(name))
		return false;
	if (!at)
		return true;
	size_t digits = strspn(at + 1, "0123456789");
	return digits >= 1 && digits <= 4 && at[1 + digits] == '\0' && at[1] != '0';
}

static bool is_domain(const char *text)
{
	if (strlen(text) > MAX_NAME_BYTES)
		return false;
	g_auto(GStrv) labels = g_strsplit(text, ".", -1);
	for (char **label = labels; *label; label++)
		if (!is_label(*label, strlen(*label)))
			return false;
	return true;
}

static bool is_interface(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > MAX_INTERFACE_BYTES || g_str_has_prefix(text, "ashw") ||
			g_str_has_prefix(text, "ashb"))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!g_ascii_isalnum(text[i]) && !strchr("._-", text[i]))
			return false;
	return text[0] != '.' && text[0] != '-';
}

/* ---- what can be, and what cannot ---- */

#define REFUSE(...) return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_REFUSED, __VA_ARGS__)

/* What each mode takes. */
static const struct {
	bool has_name, has_publish, has_egress, may_provide;
} modes[] = {
		[ASH_NETWORK_NONE] = {false, false, false, false},
		[ASH_NETWORK_NAT] = {false, true, true, true},
		[ASH_NETWORK_NATNET] = {true, true, true, true},
		[ASH_NETWORK_INTERNAL] = {true, false, false, false},
		[ASH_NETWORK_HOSTONLY] = {true, false, false, false},
		[ASH_NETWORK_BRIDGED] = {true, false, true, false},
		[ASH_NETWORK_PROVIDER] = {false, true, true, true},
		[ASH_NETWORK_HOST] = {false, false, true, false},
};

static gboolean check_egress(
		const AshNetInstance *instance, const AshWorkloadEgress *egress, GError **error)
{
	AshNetRange range;

	if (egress->is_name) {
		if (!is_domain(egress->target))
			REFUSE("'%s': egress to '%s', which is no name", instance->instance,
					egress->target);
		return TRUE;
	}
	if (strcmp(egress->target, "*") == 0 || strchr(egress->target, ':'))
		return TRUE;
	if (!ash_net_range_find(egress->target, &range))
		REFUSE("'%s': egress to '%s', which is no address", instance->instance,
				egress->target);
	if (ash_net_range_is_never(&range))
		REFUSE("'%s': egress to '%s', which no workload may reach", instance->instance,
				egress->target);
	return TRUE;
}

static gboolean check_values(const AshNetInstance *instance, GError **error)
{
	const AshWorkloadNetwork *network = instance->network;
	const char *mode = ash_network_mode_name(network->mode), *who = instance->instance;
	bool is_bridged = network->mode == ASH_NETWORK_BRIDGED;

	if (*network->name && !modes[network->mode].has_name)
		REFUSE("'%s': mode %s has no named networks", who, mode);
	if (is_bridged && !is_interface(network->name))
		REFUSE("'%s': mode bridged needs the name of a bridge of the host", who);
	if (!is_bridged && *network->name && !is_name(network->name))
		REFUSE("'%s': '%s' is no name of a network", who, network->name);
	if (network->is_isolated && !modes[network->mode].has_name)
		REFUSE("'%s': mode %s has no network to be isolated on", who, mode);
	if (network->publish->len > 0 && !modes[network->mode].has_publish)
		REFUSE("'%s': mode %s publishes no ports", who, mode);
	if (network->egress->len > 0 && !modes[network->mode].has_egress)
		REFUSE("'%s': mode %s has no way out, so no egress", who, mode);
	if (network->connections != 0 && !modes[network->mode].has_publish)
		REFUSE("'%s': in mode %s nothing counts connections", who, mode);
	for (unsigned i = 0; i < network->egress->len; i++) {
		const AshWorkloadEgress *egress = g_ptr_array_index(network->egress, i);
		if (!check_egress(instance, egress, error))
			return FALSE;
		/* Bridged frames are not followed by connection, so nothing could let answers out. */
		if ((is_bridged || network->mode == ASH_NETWORK_HOST) &&
				(strcmp(egress->target, "*") != 0 || egress->port != 0))
			REFUSE("'%s': mode %s reaches everything; egress can be '*' only", who,
					mode);
	}
	for (char **name = instance->names; *name; name++)
		if (!is_domain(*name))
			REFUSE("'%s': '%s' is no name for a member", who, *name);
	return TRUE;
}

static const AshNetInstance *find_instance(GHashTable *by_name, const char *name)
{
	return g_hash_table_lookup(by_name, name);
}

static gboolean check_provider(const AshNetInstance *instance, GHashTable *by_name, GError **error)
{
	const AshNetInstance *at = instance;

	for (unsigned hops = 0; at->network->mode == ASH_NETWORK_PROVIDER; hops++) {
		const char *name = at->network->provider;
		const AshNetInstance *next = find_instance(by_name, name);

		if (!next)
			REFUSE("'%s': its provider '%s' is not there", at->instance, name);
		if (!modes[next->network->mode].may_provide)
			REFUSE("'%s': its provider '%s' has no way out itself (mode %s)",
					at->instance, name,
					ash_network_mode_name(next->network->mode));
		if (next->is_vm)
			REFUSE("'%s': its provider '%s' is a virtual machine, which has no namespace "
			       "to go through",
					at->instance, name);
		if (next == instance)
			REFUSE("'%s' would be its own provider", instance->instance);
		if (hops == ASH_NET_MAX_HOPS)
			REFUSE("'%s': more than %d providers behind one another",
					instance->instance, ASH_NET_MAX_HOPS);
		at = next;
	}
	return TRUE;
}

/* Ports are taken on the host and, for who has a provider, in each namespace on the way: there the
 * provider's own published ports are taken too.
 */
typedef struct {
	const AshNetInstance *owner;
	const char *address;
} Taken;

static gboolean take_port(GHashTable *taken, const char *where, const AshNetInstance *owner,
		const char *address, uint16_t number, bool is_udp, GError **error)
{
	g_autofree char *key = g_strdup_printf(
			"%s %s %u", where, is_udp ? "udp" : "tcp", (unsigned) number);
	GArray *takers = g_hash_table_lookup(taken, key);

	if (!takers) {
		takers = g_array_new(FALSE, FALSE, sizeof(Taken));
		g_hash_table_insert(taken, g_strdup(key), takers);
	}
	for (unsigned i = 0; i < takers->len; i++) {
		const Taken *other = &g_array_index(takers, Taken, i);
		if (*other->address && *address && strcmp(other->address, address) != 0)
			continue;
		/* Two ports of the host may lead to one of an instance's own. */
		if (*where && other->owner == owner)
			continue;
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_CLASH,
				"'%s' and '%s' both want port %u/%s%s%s", other->owner->instance,
				owner->instance, (unsigned) number, is_udp ? "udp" : "tcp",
				*where ? " of " : "", where);
	}
	g_array_append_vals(takers, &(Taken){owner, address}, 1);
	return TRUE;
}

static gboolean take_ports(const AshNetInstance *instance, GHashTable *by_name, GHashTable *taken,
		GError **error)
{
	for (unsigned i = 0; i < instance->network->publish->len; i++) {
		const AshWorkloadPort *port = g_ptr_array_index(instance->network->publish, i);
		const AshNetInstance *at = instance;
		AshNetRange range;

		if (port->host_port == 0 || port->port == 0)
			REFUSE("'%s': port 0 cannot be published", instance->instance);
		if (*port->address &&
				(!ash_net_range_find(port->address, &range) || range.prefix != 32))
			REFUSE("'%s': '%s' is no address to publish at", instance->instance,
					port->address);
		if (!take_port(taken, "", instance, port->address, port->host_port, port->is_udp,
				    error))
			return FALSE;
		if (!take_port(taken, instance->instance, instance, "", port->port, port->is_udp,
				    error))
			return FALSE;
		for (; at->network->mode == ASH_NETWORK_PROVIDER;
				at = find_instance(by_name, at->network->provider))
			if (!take_port(taken, at->network->provider, instance, "", port->host_port,
					    port->is_udp, error))
				return FALSE;
	}
	return TRUE;
}

static void free_takers(gpointer data)
{
	g_array_unref(data);
}

gboolean ash_net_check(const AshNet *net, GError **error)
{
	g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) taken =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_takers);

	if (net->instances->len > ASH_NET_MAX_INSTANCES)
		REFUSE("more than %d instances", ASH_NET_MAX_INSTANCES);
	for (unsigned i = 0; i < net->instances->len; i++) {
		AshNetInstance *instance = g_ptr_array_index(net->instances, i);
		if (!is_instance(instance->instance))
			REFUSE("'%s' is no name of an instance", instance->instance);
		if (!g_hash_table_insert(by_name, instance->instance, instance))
			REFUSE("'%s' is there twice", instance->instance);
		if (!check_values(instance, error))
			return FALSE;
	}
	for (unsigned i = 0; i < net->instances->len; i++)
		if (!check_provider(g_ptr_array_index(net->instances, i), by_name, error))
			return FALSE;
	for (unsigned i = 0; i < net->instances->len; i++)
		if (!take_ports(g_ptr_array_index(net->instances, i), by_name, taken, error))
			return FALSE;
	return TRUE;
}
