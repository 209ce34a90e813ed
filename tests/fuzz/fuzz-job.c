/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "agent/bundle.h"
#include "agent/job.h"
#include "lib/json.h"

/* What ashlar-worker says of the host's deployments; and names in a bundle that somebody brings. */

static char *format(const AshJobSystem *system)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_job_system_format(system, builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *) data, size);
	g_autoptr(AshJobSystem) system = NULL, again = NULL;

	if (ash_bundle_entry_max(text) > 0) {
		g_auto(GStrv) parts = g_strsplit(text, "/", -1);
		g_assert_true(text[0] != '/');
		g_assert_false(g_strv_contains((const char *const *) parts, ".."));
		g_assert_false(g_strv_contains((const char *const *) parts, ""));
	}
	if (!ash_job_system_parse(text, &system, NULL))
		return 0;
	g_autofree char *first = format(system);
	g_assert_true(ash_job_system_parse(first, &again, NULL));
	g_autofree char *second = format(again);
	g_assert_cmpstr(first, ==, second);
	return 0;
}
