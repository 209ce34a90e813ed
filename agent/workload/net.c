/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/net.h"

#include <string.h>

#include "agent/workload/net-address.h"
#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_net_error, ash_net_error)

enum {
	MAX_DEPTH = 8,
	MAX_ITEMS = ASH_WORKLOAD_MAX_ITEMS,
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

static AshNetInstance *new_instance(void)
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

static void set_text(char **slot, const char *text)
{
	g_free(*slot);
	*slot = g_strdup(text ? text : "");
}

static void add_port(AshWorkloadNetwork *network, const char *address, uint64_t host_port,
		uint64_t number, bool is_udp)
{
	AshWorkloadPort *port = g_new0(AshWorkloadPort, 1);

	port->address = g_strdup(address ? address : "");
	port->host_port = (uint16_t) host_port;
	port->port = (uint16_t) number;
	port->is_udp = is_udp;
	g_ptr_array_add(network->publish, port);
}

static void add_egress(AshWorkloadNetwork *network, const char *target, bool target_is_name,
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
	AshNetInstance *added = new_instance();

	added->instance = g_strdup(instance);
	added->network->mode = network->mode;
	set_text(&added->network->name, network->name);
	set_text(&added->network->provider, provider ? provider : network->provider);
	for (unsigned i = 0; network->publish && i < network->publish->len; i++) {
		const AshWorkloadPort *port = g_ptr_array_index(network->publish, i);
		add_port(added->network, port->address, port->host_port, port->port, port->is_udp);
	}
	for (unsigned i = 0; network->egress && i < network->egress->len; i++) {
		const AshWorkloadEgress *egress = g_ptr_array_index(network->egress, i);
		add_egress(added->network, egress->target, egress->is_name, egress->port,
				egress->is_udp);
	}
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

/* ---- the document ---- */

static gboolean only_members(JsonObject *object, const char *const *known, GError **error)
{
	g_autoptr(GList) members = json_object_get_members(object);

	for (GList *at = members; at; at = at->next)
		if (!g_strv_contains(known, at->data))
			return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX,
					"'%s' is not known here", (const char *) at->data);
	return TRUE;
}

/* The objects of the list @key, which may be missing. */
static gboolean each_object(JsonObject *object, const char *key, unsigned max,
		gboolean (*read)(JsonObject *item, gpointer data, GError **error), gpointer data,
		GError **error)
{
	JsonArray *array;

	if (!json_object_has_member(object, key))
		return TRUE;
	ASH_PREFIX("%s", key);
	if (!ash_json_array(object, key, &array, error))
		return FALSE;
	if (json_array_get_length(array) > max)
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX, "more than %u", max);
	for (unsigned i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX,
					"item %u is no object", i + 1);
		if (!read(json_node_get_object(node), data, error))
			return FALSE;
	}
	return TRUE;
}

/* "tcp", "udp", and "" where @may_be_all. */
static gboolean read_protocol(JsonObject *object, bool may_be_all, bool *out_is_udp,
		bool *out_is_all, GError **error)
{
	const char *protocol = may_be_all ? "" : "tcp";

	if (!ash_json_text_opt(object, "protocol", &protocol, error))
		return FALSE;
	if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0 &&
			!(may_be_all && *protocol == '\0'))
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX,
				"protocol '%s' is neither tcp nor udp", protocol);
	*out_is_udp = strcmp(protocol, "udp") == 0;
	*out_is_all = *protocol == '\0';
	return TRUE;
}

static gboolean read_port(JsonObject *item, gpointer data, GError **error)
{
	static const char *const known[] = {"address", "host-port", "port", "protocol", NULL};
	uint64_t host_port, port;
	const char *address = "";
	bool is_udp, is_all;

	if (!only_members(item, known, error) ||
			!ash_json_text_opt(item, "address", &address, error) ||
			!ash_json_uint(item, "host-port", UINT16_MAX, &host_port, error) ||
			!ash_json_uint(item, "port", UINT16_MAX, &port, error) ||
			!read_protocol(item, false, &is_udp, &is_all, error))
		return FALSE;
	add_port(data, address, host_port, port, is_udp);
	return TRUE;
}

static bool is_address(const char *target)
{
	AshNetRange range;

	return strcmp(target, "*") == 0 || strchr(target, ':') != NULL ||
	       ash_net_range_find(target, &range);
}

static gboolean read_egress(JsonObject *item, gpointer data, GError **error)
{
	static const char *const known[] = {"target", "port", "protocol", NULL};
	uint64_t port = 0;
	const char *target;
	bool is_udp, is_all;

	if (!only_members(item, known, error) || !ash_json_text(item, "target", &target, error) ||
			!ash_json_uint_opt(item, "port", UINT16_MAX, &port, error) ||
			!read_protocol(item, port == 0, &is_udp, &is_all, error))
		return FALSE;
	if (port == 0 && !is_udp && !is_all)
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX,
				"egress to '%s' by tcp needs a port", target);
	add_egress(data, target, !is_address(target), port, is_udp);
	return TRUE;
}

static gboolean read_texts(JsonObject *object, const char *key, char ***out_texts, GError **error)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	JsonArray *array = NULL;

	if (json_object_has_member(object, key) && !ash_json_array(object, key, &array, error))
		return FALSE;
	for (unsigned i = 0; array && i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		if (i == MAX_ITEMS || json_node_get_value_type(node) != G_TYPE_STRING)
			return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX,
					"%s: at most %d strings", key, MAX_ITEMS);
		g_ptr_array_add(texts, g_strdup(json_node_get_string(node)));
	}
	g_ptr_array_add(texts, NULL);
	*out_texts = (char **) g_ptr_array_free(g_steal_pointer(&texts), FALSE);
	return TRUE;
}

static gboolean find_mode(const char *text, AshNetworkMode *out_mode, GError **error)
{
	for (unsigned mode = 0; mode < G_N_ELEMENTS(modes); mode++)
		if (strcmp(ash_network_mode_name((AshNetworkMode) mode), text) == 0) {
			*out_mode = (AshNetworkMode) mode;
			return TRUE;
		}
	return ash_throw(
			error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX, "mode '%s' is not known", text);
}

static gboolean read_members(JsonObject *item, AshNetInstance *instance, GError **error)
{
	AshWorkloadNetwork *network = instance->network;
	const char *mode, *name = "", *provider = "";
	uint64_t uid = 0, connections = 0;

	if (!only_members(item,
			    (const char *const[]){"instance", "mode", "network", "provider", "vm",
					    "uid", "names", "publish", "egress", "bandwidth",
					    "connections", NULL},
			    error) ||
			!ash_json_text(item, "mode", &mode, error) ||
			!find_mode(mode, &network->mode, error) ||
			!ash_json_text_opt(item, "network", &name, error) ||
			!ash_json_text_opt(item, "provider", &provider, error) ||
			!ash_json_bool_opt(item, "vm", &instance->is_vm, error) ||
			!ash_json_uint_opt(item, "uid", UINT32_MAX - 1, &uid, error) ||
			!read_texts(item, "names", &instance->names, error) ||
			!each_object(item, "publish", MAX_ITEMS, read_port, network, error) ||
			!each_object(item, "egress", MAX_ITEMS, read_egress, network, error) ||
			!ash_json_uint_opt(item, "bandwidth", INT64_MAX, &network->bandwidth_bytes,
					error) ||
			!ash_json_uint_opt(item, "connections", 1 << 20, &connections, error))
		return FALSE;
	set_text(&network->name, name);
	set_text(&network->provider, provider);
	network->connections = (uint32_t) connections;
	instance->uid = (uint32_t) uid;
	return TRUE;
}

static gboolean read_instance(JsonObject *item, gpointer data, GError **error)
{
	AshNet *net = data;
	const char *name;

	if (!ash_json_text(item, "instance", &name, error))
		return FALSE;
	AshNetInstance *instance = new_instance();
	g_ptr_array_add(net->instances, instance);
	instance->instance = g_strdup(name);
	ASH_PREFIX("'%s'", name);
	return read_members(item, instance, error);
}

gboolean ash_net_parse(GBytes *text, AshNet **out_net, GError **error)
{
	g_autoptr(AshNet) net = ash_net_new();
	g_autoptr(JsonNode) root = NULL;

	if (!ash_json_parse(text, ASH_NET_MAX_BYTES, MAX_DEPTH, &root, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(root))
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX, "no object");
	JsonObject *object = json_node_get_object(root);
	if (!only_members(object, (const char *const[]){"instances", NULL}, error) ||
			!each_object(object, "instances", ASH_NET_MAX_INSTANCES, read_instance, net,
					error) ||
			!ash_net_check(net, error))
		return FALSE;
	*out_net = g_steal_pointer(&net);
	return TRUE;
}

static const char *protocol_of(uint16_t port, bool is_udp)
{
	return is_udp ? "udp" : port != 0 ? "tcp" : "";
}

static void format_instance(JsonBuilder *builder, const AshNetInstance *instance)
{
	const AshWorkloadNetwork *network = instance->network;

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "instance", instance->instance);
	ash_json_add_text(builder, "mode", ash_network_mode_name(network->mode));
	ash_json_add_text(builder, "network", network->name);
	ash_json_add_text(builder, "provider", network->provider);
	ash_json_add_bool(builder, "vm", instance->is_vm);
	ash_json_add_uint(builder, "uid", instance->uid);
	ash_json_add_texts(builder, "names", instance->names);
	ash_json_begin_array(builder, "publish");
	for (unsigned i = 0; i < network->publish->len; i++) {
		const AshWorkloadPort *port = g_ptr_array_index(network->publish, i);
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "address", port->address);
		ash_json_add_uint(builder, "host-port", port->host_port);
		ash_json_add_uint(builder, "port", port->port);
		ash_json_add_text(builder, "protocol", protocol_of(port->port, port->is_udp));
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	ash_json_begin_array(builder, "egress");
	for (unsigned i = 0; i < network->egress->len; i++) {
		const AshWorkloadEgress *egress = g_ptr_array_index(network->egress, i);
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "target", egress->target);
		ash_json_add_uint(builder, "port", egress->port);
		ash_json_add_text(builder, "protocol", protocol_of(egress->port, egress->is_udp));
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	ash_json_add_uint(builder, "bandwidth", network->bandwidth_bytes);
	ash_json_add_uint(builder, "connections", network->connections);
	json_builder_end_object(builder);
}

char *ash_net_format(const AshNet *net)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_begin_array(builder, "instances");
	for (unsigned i = 0; i < net->instances->len; i++)
		format_instance(builder, g_ptr_array_index(net->instances, i));
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

/* ---- the answer ---- */

void ash_net_link_free(AshNetLink *link)
{
	if (!link)
		return;
	g_free(link->instance);
	g_free(link->netns);
	g_free(link->tap);
	g_free(link->address);
	g_free(link->gateway);
	g_free(link->mac);
	g_free(link->interface);
	g_strfreev(link->nameservers);
	g_free(link);
}

static void free_link(gpointer data)
{
	ash_net_link_free(data);
}

static gboolean read_link(JsonObject *item, gpointer data, GError **error)
{
	g_autoptr(AshNetLink) link = g_new0(AshNetLink, 1);
	const struct {
		const char *key;
		char **slot;
	} members[] = {{"instance", &link->instance}, {"netns", &link->netns}, {"tap", &link->tap},
			{"address", &link->address}, {"gateway", &link->gateway},
			{"mac", &link->mac}, {"interface", &link->interface}};

	for (unsigned i = 0; i < G_N_ELEMENTS(members); i++) {
		const char *value = "";
		if (!ash_json_text_opt(item, members[i].key, &value, error))
			return FALSE;
		*members[i].slot = g_strdup(value);
	}
	if (!read_texts(item, "nameservers", &link->nameservers, error))
		return FALSE;
	g_ptr_array_add(data, g_steal_pointer(&link));
	return TRUE;
}

gboolean ash_net_links_parse(GBytes *text, GPtrArray **out_links, GError **error)
{
	g_autoptr(GPtrArray) links = g_ptr_array_new_with_free_func(free_link);
	g_autoptr(JsonNode) root = NULL;

	if (!ash_json_parse(text, ASH_NET_MAX_BYTES, MAX_DEPTH, &root, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(root))
		return ash_throw(error, ASH_NET_ERROR, ASH_NET_ERROR_SYNTAX, "no object");
	if (!each_object(json_node_get_object(root), "links", ASH_NET_MAX_INSTANCES, read_link,
			    links, error))
		return FALSE;
	*out_links = g_steal_pointer(&links);
	return TRUE;
}

char *ash_net_links_format(GPtrArray *links)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_begin_array(builder, "links");
	for (unsigned i = 0; i < links->len; i++) {
		const AshNetLink *link = g_ptr_array_index(links, i);
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "instance", link->instance);
		ash_json_add_text(builder, "netns", link->netns);
		ash_json_add_text(builder, "tap", link->tap);
		ash_json_add_text(builder, "address", link->address);
		ash_json_add_text(builder, "gateway", link->gateway);
		ash_json_add_text(builder, "mac", link->mac);
		ash_json_add_texts(builder, "nameservers", link->nameservers);
		ash_json_add_text(builder, "interface", link->interface);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

const AshNetLink *ash_net_link_find(GPtrArray *links, const char *instance)
{
	for (unsigned i = 0; i < links->len; i++) {
		const AshNetLink *link = g_ptr_array_index(links, i);
		if (strcmp(link->instance, instance) == 0)
			return link;
	}
	return NULL;
}
