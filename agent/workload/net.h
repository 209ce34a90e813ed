/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/workload.h"

/* The network of a host's workloads: who may reach whom, as one document. PURE.
 *
 * ashlar-workloadd says what it wants of all instances at once, on the standard input of `ashlar-net apply`; what the
 * kernel has afterwards is that and nothing else. On the standard output stands what each instance's
 * launch.json needs. docs/workload-networks.md is the same for people.
 *
 * The document (ash_net_format writes it; unknown members are refused; what is missing has the value
 * shown, except instance and mode):
 *
 *	{"instances": [
 *	  {"instance": "web@2",        as the daemon names it
 *	   "mode": "nat",              none nat natnet internal hostonly bridged provider host
 *	   "network": "",              natnet, internal, hostonly: "" is the mode's own default one; bridged:
 *	                               a bridge of the host's
 *	   "isolated": false,          natnet, internal, hostonly, bridged: of the isolated no two see each other
 *	   "provider": "",             mode provider: INSTANCE whose namespace is the way out ("vpn")
 *	   "vm": false,                true: a tap device in the namespace instead of an address
 *	   "uid": 0,                   vm: who may open that tap device
 *	   "names": [],                under which other members find it, beside "web@2" and "web"
 *	   "publish": [{"address": "", "host-port": 8080, "port": 80, "protocol": "tcp"}],
 *	   "egress": [{"target": "192.0.2.0/24", "port": 443, "protocol": "tcp"},
 *	              {"target": "example.org", "port": 0, "protocol": ""}],      "" is each protocol
 *	   "bandwidth": 0,             bytes a second, each way; 0: no limit
 *	   "connections": 0}]}
 *
 * The answer of apply and repair (ash_net_links_parse reads it; one for each instance, in the
 * document's order; what is "" is left out):
 *
 *	{"links": [
 *	  {"instance": "web@2",
 *	   "netns": "/run/ashlar/netns/web@2",       mode none: "", host: "host", as launch.json wants it
 *	   "tap": "",                  vm: "tap0"
 *	   "address": "10.213.4.7/32", "gateway": "10.213.0.1", "mac": "02:61:0a:d5:04:07",     "" with none, host
 *	   "nameservers": ["10.213.0.1"],
 *	   "interface": "ashw1031"}]}      the host's end (for a provider's client: the provider's end)
 *
 * A namespace's links, addresses and routes are there when apply returns, so that a workload may start. An
 * instance keeps its namespace and address as long as it is in the document, and gets the same address
 * again later (the state file remembers). Workloads that run while their network changes keep their
 * connections, as far as the new rules allow them.
 *
 * Exit codes of ashlar-net: 0; 3 the document is refused, nothing was changed, stderr says which instances
 * and why; 1 the kernel refused; 8 (check only) there is drift.
 */

#define ASH_NET_ERROR (ash_net_error_quark())
GQuark ash_net_error_quark(void);

typedef enum {
	ASH_NET_ERROR_SYNTAX,  /* the document is not one */
	ASH_NET_ERROR_REFUSED, /* what is wanted cannot be, with the names of who wants it */
	ASH_NET_ERROR_CLASH,   /* two want the same port */
	ASH_NET_ERROR_FULL,    /* no address is left in the range */
	ASH_NET_ERROR_SYSTEM,  /* the kernel refused */
} AshNetError;

enum {
	ASH_NET_MAX_BYTES = 4 << 20,
	ASH_NET_MAX_INSTANCES = 4096,
	ASH_NET_MAX_HOPS = 8, /* of providers behind one another */
};

/* Where things are; below --root DIR. */
#define ASH_NET_NAMESPACES "/run/ashlar/netns" /* /INSTANCE */
#define ASH_NET_STATE                                                                              \
	"/var/lib/ashlar/workload/net.json" /* addresses given, what was applied last */
#define ASH_NET_SETTINGS                                                                           \
	"/etc/ashlar/network.yaml" /* the owner's: range, addresses of the bridged */

typedef struct {
	char *instance;
	AshWorkloadNetwork *network; /* all but `provider` as in the definition */
	bool is_vm;
	uint32_t uid;
	char **names; /* NULL-terminated, never NULL */
} AshNetInstance;

typedef struct {
	GPtrArray *instances; /* AshNetInstance */
} AshNet;

typedef struct {
	char *instance, *netns, *tap, *address, *gateway, *mac, *interface;
	char **nameservers;
} AshNetLink;

AshNet *ash_net_new(void);
void ash_net_free(AshNet *net);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshNet, ash_net_free)

/* ash_net_add: copies @network. For mode provider, @provider is the instance that is the way out ("vpn" for
 * the workload of one instance); NULL: network->provider as it is. @names may be NULL.
 */
void ash_net_add(AshNet *net, const char *instance, const AshWorkloadNetwork *network,
		const char *provider, bool is_vm, uint32_t uid, const char *const *names);

/* ASH_NET_ERROR_SYNTAX, _REFUSED, _CLASH: a document that is parsed can be applied, except for what only the
 * host knows.
 */
gboolean ash_net_parse(GBytes *text, AshNet **out_net, GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *ash_net_format(const AshNet *net);
/* The same questions about a network that was put together by ash_net_add. */
gboolean ash_net_check(const AshNet *net, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @out_links: of AshNetLink */
gboolean ash_net_links_parse(GBytes *text, GPtrArray **out_links, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
char *ash_net_links_format(GPtrArray *links);
const AshNetLink *ash_net_link_find(GPtrArray *links, const char *instance);
void ash_net_link_free(AshNetLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshNetLink, ash_net_link_free)
