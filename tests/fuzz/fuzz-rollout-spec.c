/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fleet/rollout-spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken is written in one form, which is read back as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *) data, size);
	g_autoptr(AshRolloutSpec) spec = NULL, again = NULL;

	if (!ash_rollout_spec_parse_text(text, &spec, NULL))
		return 0;
	g_autofree char *first = ash_rollout_spec_format(spec);
	g_assert_true(ash_rollout_spec_parse_text(first, &again, NULL));
	g_autofree char *second = ash_rollout_spec_format(again);
	g_assert_cmpstr(first, ==, second);
	ash_rollout_spec_plan(spec, 1000, 3);
	return 0;
}
