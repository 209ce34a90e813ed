/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <string.h>

#include "agent/workload/launch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read is written so that it is read the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(AshLaunch) launch = NULL, again = NULL;

	if (!ash_launch_parse(bytes, &launch, NULL))
		return 0;
	char *first = ash_launch_format(launch);
	g_autoptr(GBytes) text = g_bytes_new_take(first, strlen(first));
	g_assert_true(ash_launch_parse(text, &again, NULL));
	g_autofree char *second = ash_launch_format(again);
	g_assert_cmpstr(first, ==, second);
	return 0;
}
