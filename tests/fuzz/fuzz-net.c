/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "agent/workload/net-plan.h"

/* The document of a host's networks: what is taken can be written, read again, and made into rules. And the answer
 * to it, as the daemon reads it.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_answer(GBytes *text)
{
	g_autoptr(GPtrArray) links = NULL, again = NULL;

	if (!ash_net_links_parse(text, &links, NULL))
		return;
	g_autofree char *first = ash_net_links_format(links);
	g_autoptr(GBytes) bytes = g_bytes_new_static(first, strlen(first));
	/* Escapes may make the text longer than its maximum. */
	if (strlen(first) > ASH_NET_MAX_BYTES)
		return;
	g_assert_true(ash_net_links_parse(bytes, &again, NULL));
	g_autofree char *second = ash_net_links_format(again);
	g_assert_cmpstr(first, ==, second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) text = g_bytes_new_static(data, size);
	g_autoptr(AshNet) net = NULL, again = NULL;
	g_autoptr(AshNetSettings) settings = NULL;
	g_autoptr(AshNetPlan) plan = NULL;

	try_answer(text);
	if (!ash_net_parse(text, &net, NULL))
		return 0;
	g_autofree char *first = ash_net_format(net);
	g_autoptr(GBytes) bytes = g_bytes_new_static(first, strlen(first));
	g_assert_true(ash_net_parse(bytes, &again, NULL));
	g_autofree char *second = ash_net_format(again);
	g_assert_cmpstr(first, ==, second);
	g_autofree uint32_t *addresses = g_new0(uint32_t, net->instances->len + 1);
	for (unsigned i = 0; i < net->instances->len; i++)
		addresses[i] = 0x0ad50002 + i;
	g_assert_true(ash_net_settings_parse("-", NULL, &settings, NULL));
	if (!ash_net_plan_new(net, settings, addresses, "", &plan, NULL))
		return 0;
	for (unsigned i = 0; i < plan->spaces->len; i++)
		g_free(ash_net_rules(plan, i, NULL, false));
	return 0;
}
