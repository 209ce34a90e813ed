/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "agent/workload/registry-auth.h"
#include "agent/workload/registry-order.h"

/* What a registry and its token server say; the order and registries.yaml, which are the host's own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *) data, size);
	g_autoptr(GBytes) bytes = g_bytes_new_static(data, size);
	g_autoptr(AshRegistryChallenge) challenge = NULL;
	g_autoptr(AshRegistryOrder) order = NULL;
	g_autoptr(AshRegistries) registries = NULL;
	g_autofree char *token = NULL;

	if (ash_registry_challenge_parse(text, &challenge, NULL)) {
		g_autofree char *url = ash_registry_challenge_url(challenge, "repository:a:pull");
		g_assert_true(!challenge->is_bearer || g_str_has_prefix(url, challenge->realm));
	}
	if (ash_registry_token_parse(bytes, &token, NULL))
		g_assert_null(strpbrk(token, "\r\n "));
	if (ash_registry_order_parse(bytes, &order, NULL))
		g_assert_cmpuint(order->endpoints->len, >, 0);
	if (ash_registries_parse("registries.yaml", bytes, &registries, NULL))
		g_assert_nonnull(registries->entries);
	return 0;
}
