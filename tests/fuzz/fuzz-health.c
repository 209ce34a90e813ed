/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/health-spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted is written so that it is accepted again, and means the same. */
static void check_round(const AshHealthSpec *spec)
{
	g_autofree char *text = ash_health_spec_format(spec);
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(AshYaml) map = NULL;
	g_autoptr(AshHealthSpec) again = ash_health_spec_new();

	g_assert(strlen(text) <= ASH_HEALTH_SPEC_MAX_FILE_BYTES);
	g_assert(ash_yaml_parse("again.yaml", bytes, &map, NULL));
	g_assert(ash_health_spec_merge(again, map, NULL));
	g_autofree char *same = ash_health_spec_format(again);
	g_assert(strcmp(same, text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(AshHealthSpec) spec = ash_health_spec_new();
	g_autoptr(AshYaml) map = NULL;
	g_autoptr(GError) error = NULL;

	if (size > ASH_HEALTH_SPEC_MAX_FILE_BYTES)
		return 0;
	/* lib/file.h promises the zero behind the end, which parsers rely on. */
	g_autofree char *copy = g_malloc(size + 1);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	g_autoptr(GBytes) text = g_bytes_new_static(copy, size);
	if (ash_yaml_parse("fuzz.yaml", text, &map, &error) &&
			ash_health_spec_merge(spec, map, &error))
		check_round(spec);
	return 0;
}
