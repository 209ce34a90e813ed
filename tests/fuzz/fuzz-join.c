/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "fleet/join.h"
#include "lib/json.h"

/* The body of a join, from anybody. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) body = g_bytes_new(data, size);
	g_autoptr(JsonNode) node = NULL;
	g_auto(AshJoin) join = {0};

	if (ash_json_parse(body, 64 << 10, 16, &node, NULL) && JSON_NODE_HOLDS_OBJECT(node) &&
			ash_join_parse(json_node_get_object(node), &join, NULL))
		g_assert(join.id != NULL);
	return 0;
}
