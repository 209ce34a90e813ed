/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/workload/net-address.h"
#include "agent/workload/net-plan.h"
#include "agent/workload/routes.h"

/* What a host's owner writes about its workloads: routes.yaml and network.yaml; the first byte says which. */

static const AshWorkload *lookup(const char *name, gpointer data)
{
	const AshWorkload *const *workloads = data;

	for (; *workloads; workloads++)
		if (strcmp((*workloads)->name, name) == 0)
			return *workloads;
	return NULL;
}

static AshWorkload *workload(const char *text)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	AshWorkload *parsed;

	g_assert_true(ash_workload_parse("-", bytes, &parsed, NULL));
	return parsed;
}

static void routes(GBytes *bytes)
{
	static AshWorkload *all[3];
	g_autoptr(AshRoutes) parsed = NULL;
	g_autoptr(GPtrArray) links = NULL;

	if (all[0] == NULL) {
		all[0] = workload("workload: web\nversion: 1.0.0\nimage: oci-dir:/i\n"
				  "requires: [{name: db, socket: /run/db/s}]\n");
		all[1] = workload("workload: db\nversion: 1.0.0\nimage: oci-dir:/i\n"
				  "provides: [{name: db, socket: /run/db/s}]\n");
	}
	if (!ash_routes_parse("-", bytes, &parsed, NULL))
		return;
	g_assert_cmpuint(parsed->routes->len, <=, ASH_ROUTES_MAX);
	/* Nobody has a service twice: what is found is what is written. */
	for (guint i = 0; i < parsed->routes->len; i++) {
		const AshRoute *route = parsed->routes->pdata[i];
		g_assert_true(ash_routes_find(parsed, route->from, route->service) == route);
	}
	if (!ash_routes_resolve(parsed, all[0], lookup, all, &links, NULL))
		return;
	const AshRouteLink *link = links->pdata[0];
	g_assert_cmpstr(link->route->to, ==, "db");
	g_assert_true(link->provided == all[1]->provides->pdata[0]);
}

static void settings(GBytes *bytes)
{
	g_autoptr(AshNetSettings) parsed = NULL;

	if (!ash_net_settings_parse("-", bytes, &parsed, NULL))
		return;
	g_assert_cmpuint(parsed->range.prefix, <=, 32);
	g_assert_false(ash_net_range_is_never(&parsed->range));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	g_autoptr(GBytes) bytes = g_bytes_new(data + 1, size - 1);
	if (data[0] % 2 == 0)
		routes(bytes);
	else
		settings(bytes);
	return 0;
}
