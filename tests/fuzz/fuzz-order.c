/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include "agent/order.h"

/* Orders, and the lines that ashlar-fetch prints. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *) data, size);
	g_autoptr(AshOrder) order = NULL;
	g_autofree char *result = NULL;
	AshOrderVerb verb = ASH_ORDER_NONE;
	uint64_t id = 0;
	uint64_t total = 0;

	if (ash_order_parse(text, &order, NULL))
		g_assert_true(ash_order_peek(text, &id, &verb, NULL));
	if (!ash_order_parse_line(text, &id, &total, &result, NULL))
		g_assert_null(result);
	return 0;
}
