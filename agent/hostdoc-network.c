/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hostdoc-value.h"
#include "agent/hostdoc.h"

static bool is_on_link(const AshHostNetwork *network, const char *gateway)
{
	for (char **prefix = network->addresses; *prefix != NULL; prefix++)
		if (ash_hostdoc_prefix_holds(*prefix, gateway))
			return true;
	return false;
}

/* @use_dns: no, where the document names servers itself */
static void append_dynamic(GString *unit, bool use_dns)
{
	static const char *const sections[] = {"DHCPv4", "DHCPv6", "IPv6AcceptRA"};

	for (size_t i = 0; i < G_N_ELEMENTS(sections); i++)
		g_string_append_printf(unit, "\n[%s]\n%sUseDNS=%s\nUseDomains=yes\n", sections[i],
				i < 2 ? "UseHostname=no\n" : "", use_dns ? "yes" : "no");
}

/* Only wired interfaces, and none that are made by this machine: a bridge or VLAN has the hardware
 * address of what is below it. The rest is as in the image's own 50-ashlar-wired.network.
 */
char *ash_hostdoc_network_unit(const AshHostNetwork *network)
{
	GString *unit = g_string_new("# Written at boot from the host document.\n"
				     "[Match]\n"
				     "Type=ether\n"
				     "Kind=!*\n");

	if (network->mac != NULL)
		g_string_append_printf(unit, "MACAddress=%s\n", network->mac);
	else
		g_string_append_printf(unit, "Name=%s\n", network->name);
	if (network->mtu != 0)
		g_string_append_printf(unit, "\n[Link]\nMTUBytes=%u\n", network->mtu);
	g_string_append_printf(unit,
			"\n[Network]\n"
			"DHCP=%s\n"
			"IPv6AcceptRA=%s\n"
			"LLMNR=no\n"
			"MulticastDNS=no\n"
			"LLDP=no\n"
			"EmitLLDP=no\n",
			network->dhcp ? "yes" : "no", network->dhcp ? "yes" : "no");
	for (char **address = network->addresses; *address != NULL; address++)
		g_string_append_printf(unit, "Address=%s\n", *address);
	for (char **server = network->dns; *server != NULL; server++)
		g_string_append_printf(unit, "DNS=%s\n", *server);
	for (char **gateway = network->gateway; *gateway != NULL; gateway++)
		g_string_append_printf(unit, "\n[Route]\nGateway=%s\n%s", *gateway,
				is_on_link(network, *gateway) ? "" : "GatewayOnLink=yes\n");
	if (network->dhcp)
		append_dynamic(unit, network->dns[0] == NULL);
	return g_string_free(unit, FALSE);
}
