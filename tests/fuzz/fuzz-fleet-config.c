/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "fleet/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Settings that are taken are whole; those that are not say where. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(AshFleetConfig) config = NULL;
	g_autoptr(GError) error = NULL;

	if (!ash_fleet_config_parse("fuzz", bytes, "/dir", &config, &error)) {
		g_assert_true(g_str_has_prefix(error->message, "fuzz:"));
		return 0;
	}
	g_assert_true(config->listen != NULL && config->names != NULL);
	g_assert_true(g_path_is_absolute(config->content));
	g_assert_true(g_str_has_prefix(config->database, "sqlite:/") ||
			g_str_has_prefix(config->database, "postgres:"));
	g_assert_true((config->certificate == NULL) == (config->key == NULL));
	g_assert_cmpint(config->poll_s, >=, 5);
	g_assert_true(config->proxy_certificate == NULL || strlen(config->proxy_certificate) == 64);
	return 0;
}
