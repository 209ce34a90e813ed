/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/net-address.h"
#include "agent/workload/net-private.h"
#include "lib/error.h"
#include "lib/json.h"

enum {
	MAX_DEPTH = 8,
	MAX_ITEMS = ASH_WORKLOAD_MAX_ITEMS,
};

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
	ash_net_port_add(data, address, host_port, port, is_udp);
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
	ash_net_egress_add(data, target, !is_address(target), port, is_udp);
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
	for (unsigned mode = 0; mode <= ASH_NETWORK_HOST; mode++)
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
			    (const char *const[]){"instance", "mode", "network", "isolated",
					    "provider", "vm", "uid", "names", "publish", "egress",
					    "bandwidth", "connections", NULL},
			    error) ||
			!ash_json_text(item, "mode", &mode, error) ||
			!find_mode(mode, &network->mode, error) ||
			!ash_json_text_opt(item, "network", &name, error) ||
			!ash_json_bool_opt(item, "isolated", &network->is_isolated, error) ||
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
	ash_net_set_text(&network->name, name);
	ash_net_set_text(&network->provider, provider);
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
	AshNetInstance *instance = ash_net_instance_new();
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
	ash_json_add_bool(builder, "isolated", network->is_isolated);
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
