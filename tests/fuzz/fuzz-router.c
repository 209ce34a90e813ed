/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "fleet/content.h"
#include "fleet/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "METHOD PATH": whatever matches has as many parts as its pattern, none of them empty. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static AshRouter *router = NULL;
	g_autofree char *method = g_strndup((const char *) data, size);
	char *path = strchr(method, ' ');
	g_auto(AshRouterMatch) match = {0};

	if (router == NULL)
		router = ash_router_new(ash_routes);
	if (path == NULL)
		return 0;
	*path++ = '\0';
	ash_router_match(router, method, path, &match);
	if (match.route == NULL)
		return 0;
	g_assert_true(ash_router_at(router, match.index) == match.route);
	unsigned parts = 0;
	for (const char *at = match.route->pattern; *at != '\0'; at++)
		parts += *at == '{';
	g_assert_cmpuint(match.parts->len, ==, parts);
	for (unsigned i = 0; i < parts; i++) {
		const char *part = g_ptr_array_index(match.parts, i);
		g_assert_true(part[0] != '\0');
		/* What content serves never climbs. */
		if (ash_content_path_is_valid(part)) {
			g_assert_true(part[0] != '/' && part[0] != '.');
			g_assert_null(strstr(part, "/."));
		}
	}
	return 0;
}
