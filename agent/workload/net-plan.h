/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/workload/net-address.h"
#include "agent/workload/net.h"

/* What a document becomes in the kernel: wires, bridges, and the rules of each namespace that forwards. PURE.
 *
 * A wire is a pair of interfaces: eth0 in the instance's namespace and ashwN outside, N being the
 * number of its address in the range. nat and provider: the wire carries two addresses of /32 and nothing but
 * IPv4 between them. natnet, internal, hostonly: ashwN is a port of a bridge of ours, ashwbHASH;
 * bridged: of the host's. The outer end of a provider's client is in the provider's namespace: a space.
 * Space 0 is the host's own namespace.
 *
 * Of ours is what is named ashw…, the tables ashlar_workload (inet and netdev), and the namespaces in one
 * directory: all of that can be removed, and nothing else is ever touched.
 */

#define ASH_NET_PREFIX "ashw"
#define ASH_NET_TABLE "ashlar_workload"
#define ASH_NET_INNER                                                                              \
	"eth0" /* in a virtual machine's namespace a port of br0, beside the tap device */
#define ASH_NET_TAP "tap0"
/* On packets that the tables of ours have let through, for the host's own firewall. */
#define ASH_NET_MARK "0x10000000"

enum {
	ASH_NET_INTERFACE_BYTES = 16, /* IFNAMSIZ */
	ASH_NET_MAC_BYTES = 6,
};

typedef struct {
	const AshNetInstance *wanted;
	AshNetworkMode mode;
	uint32_t address, gateway; /* 0: none (bridged without an address, or without a gateway) */
	unsigned prefix;
	uint32_t number;                      /* of its address in the range */
	bool has_default;                     /* a route to everywhere through the gateway */
	bool has_ipv6;                        /* link-local; and on bridged whatever is there */
	bool has_loopback;                    /* a port of it is published at 127.0.0.1 too */
	uint8_t mac[ASH_NET_MAC_BYTES];       /* of the workload */
	uint8_t outer_mac[ASH_NET_MAC_BYTES]; /* of ashwN */
	char interface[ASH_NET_INTERFACE_BYTES];
	char bridge[ASH_NET_INTERFACE_BYTES]; /* "": routed */
	unsigned space;                       /* where ashwN is */
	char *label; /* what has to be the same for a wire to be kept, as the alias of ashwN */
} AshNetWire;

typedef struct {
	char interface[ASH_NET_INTERFACE_BYTES];
	AshNetworkMode mode;
	bool has_loopback;
	uint8_t mac[ASH_NET_MAC_BYTES];
	char *label;
} AshNetBridge;

typedef struct {
	const AshNetWire *owner; /* NULL: the host */
	uint32_t gateway;        /* what the wires in it have as theirs */
} AshNetSpace;

typedef struct {
	AshNetRange range;
	uint32_t gateway;
	GPtrArray *wires;   /* AshNetWire; providers before their clients */
	GPtrArray *bridges; /* AshNetBridge */
	GPtrArray *spaces;  /* AshNetSpace */
} AshNetPlan;

/* @net has passed ash_net_check and outlives the plan; @addresses are ash_net_assign's; @machine is the
 * host's machine id, so that MAC addresses on its own network are its own.
 */
gboolean ash_net_plan_new(const AshNet *net, const AshNetSettings *settings,
		const uint32_t *addresses, const char *machine, AshNetPlan **out_plan,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_net_plan_free(AshNetPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshNetPlan, ash_net_plan_free)

const AshNetWire *ash_net_plan_find(const AshNetPlan *plan, const char *instance);
bool ash_net_plan_forwards(const AshNetPlan *plan); /* a question: does the host have to? */
/* The space of which @wire's instance is the provider; 0: of none. */
unsigned ash_net_plan_space_of(const AshNetPlan *plan, const AshNetWire *wire);
char *ash_net_mac_text(const uint8_t *mac);
/* Of @net's instances, in its order. */
GPtrArray *ash_net_plan_links(const AshNetPlan *plan, const AshNet *net);

/* ---- rules ---- */

/* ash_net_rules: the text of one transaction for libnftables that replaces the tables of @space.
 *
 * @kept: what the sets of names hold and has not run out: set → "192.0.2.7 timeout 30s, …"; may be NULL.
 * @is_router: the host forwarded before there were workloads: what is not theirs goes on.
 */
char *ash_net_rules(const AshNetPlan *plan, unsigned space, GHashTable *kept, bool is_router);
/* The same for a namespace that has to have none. */
char *ash_net_rules_none(void);

/* The set of a wire that holds the addresses of @name. */
char *ash_net_name_set(const AshNetWire *wire, const char *name);
