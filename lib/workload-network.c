/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/workload-key.h"

/* Which parts of `network` go together. */

/* What a mode may have beside it. */
static const struct {
	bool has_name, has_ports, has_limits;
} modes[] = {
		[ASH_NETWORK_NONE] = {false, false, false},
		[ASH_NETWORK_NAT] = {false, true, true},
		[ASH_NETWORK_NATNET] = {true, true, true},
		[ASH_NETWORK_INTERNAL] = {true, false, true},
		[ASH_NETWORK_HOSTONLY] = {true, false, true},
		[ASH_NETWORK_BRIDGED] = {true, false, true},
		[ASH_NETWORK_PROVIDER] = {false, true, true},
		[ASH_NETWORK_HOST] = {false, false, false},
};

static const AshYamlNode *locate(const AshYamlNode *root, const char *key, guint index)
{
	const AshYamlNode *network = ash_yaml_get(root, "network");
	const AshYamlNode *node = network != NULL ? ash_yaml_get(network, key) : NULL;

	if (node == NULL)
		return network != NULL ? network : root;
	return node->kind == ASH_YAML_LIST && index < node->items->len ? node->items->pdata[index]
								       : node;
}

static gboolean judge_mode(const AshYamlNode *root, const AshWorkload *w, GError **error)
{
	const AshWorkloadNetwork *n = &w->network;
	const char *mode = ash_network_mode_name(n->mode);

	if (*n->name != '\0' && !modes[n->mode].has_name)
		return ash_workload_throw(locate(root, "name", 0), error,
				"'network.name': mode %s has no network that others could be on",
				mode);
	if (n->mode == ASH_NETWORK_BRIDGED && (*n->name == '\0' || strlen(n->name) > 15))
		return ash_workload_throw(locate(root, "name", 0), error,
				"'network.name': mode bridged needs the name of a bridge of the host, "
				"of at most 15 letters");
	if (n->is_isolated && !modes[n->mode].has_name)
		return ash_workload_throw(locate(root, "isolated", 0), error,
				"'network.isolated': mode %s has no network that others could be on",
				mode);
	if ((*n->provider != '\0') != (n->mode == ASH_NETWORK_PROVIDER))
		return ash_workload_throw(locate(root, "provider", 0), error,
				"'network.provider': it belongs to mode provider, which needs it");
	if (strcmp(n->provider, w->name) == 0)
		return ash_workload_throw(locate(root, "provider", 0), error,
				"'network.provider': it cannot be its own way out");
	if ((n->bandwidth_bytes > 0 || n->connections > 0) && !modes[n->mode].has_limits)
		return ash_workload_throw(
				locate(root, n->bandwidth_bytes > 0 ? "bandwidth" : "connections",
						0),
				error, "'network': mode %s has no link that could be limited",
				mode);
	if (n->connections > 0 && !modes[n->mode].has_ports)
		return ash_workload_throw(locate(root, "connections", 0), error,
				"'network.connections': in mode %s nothing counts them; that is for "
				"nat, natnet and provider",
				mode);
	if (n->mode == ASH_NETWORK_HOST &&
			(w->isolation == ASH_ISOLATION_CLASS_VM ||
					w->isolation == ASH_ISOLATION_CLASS_VM_EMULATED ||
					w->isolation == ASH_ISOLATION_CLASS_USERKERNEL ||
					w->is_booted))
		return ash_workload_throw(locate(root, "mode", 0), error,
				"'network.mode': a system or kernel of its own cannot have the "
				"host's network; 'bridged' is next to it");
	return TRUE;
}

static bool is_everywhere(const char *address)
{
	return *address == '\0';
}

static gboolean judge_publish(const AshYamlNode *root, const AshWorkloadNetwork *n, GError **error)
{
	if (n->publish->len > 0 && !modes[n->mode].has_ports)
		return ash_workload_throw(locate(root, "publish", 0), error,
				"'network.publish': in mode %s no port of the host leads to it; that "
				"is for nat, natnet and provider",
				ash_network_mode_name(n->mode));
	for (guint i = 0; i < n->publish->len; i++) {
		const AshWorkloadPort *port = n->publish->pdata[i];
		for (guint j = 0; j < i; j++) {
			const AshWorkloadPort *other = n->publish->pdata[j];
			if (port->host_port == other->host_port && port->is_udp == other->is_udp &&
					(is_everywhere(port->address) ||
							is_everywhere(other->address) ||
							strcmp(port->address, other->address) == 0))
				return ash_workload_throw(locate(root, "publish", i), error,
						"'network.publish': port %u of the host is "
						"published twice",
						port->host_port);
		}
	}
	return TRUE;
}

static gboolean judge_egress(const AshYamlNode *root, const AshWorkloadNetwork *n, GError **error)
{
	if (n->egress->len > 0 && !modes[n->mode].has_ports)
		return ash_workload_throw(locate(root, "egress", 0), error,
				"'network.egress': mode %s has no way out to allow; that is for nat, "
				"natnet and provider",
				ash_network_mode_name(n->mode));
	for (guint i = 0; i < n->egress->len; i++) {
		const AshWorkloadEgress *egress = n->egress->pdata[i];
		for (guint j = 0; j < i; j++) {
			const AshWorkloadEgress *other = n->egress->pdata[j];
			if (strcmp(egress->target, other->target) == 0 &&
					egress->port == other->port &&
					egress->is_udp == other->is_udp)
				return ash_workload_throw(locate(root, "egress", i), error,
						"'network.egress': the same is there twice");
		}
	}
	return TRUE;
}

gboolean ash_workload_judge_network(
		const AshYamlNode *root, const AshWorkload *workload, GError **error)
{
	return judge_mode(root, workload, error) &&
	       judge_publish(root, &workload->network, error) &&
	       judge_egress(root, &workload->network, error);
}
