/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/workload-report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static AshWorkload *parse(const void *data, size_t size, GError **error)
{
	/* A copy of this very size, so that reading behind it is seen. */
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	AshWorkload *workload = NULL;

	return ash_workload_parse("fuzz.yaml", bytes, &workload, error) ? workload : NULL;
}

static void fill(AshWorkload *workload)
{
	g_autoptr(GHashTable) values = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GError) error = NULL;
	char one[] = "1";

	for (guint i = 0; i < workload->parameters->len; i++) {
		const AshWorkloadParameter *parameter = workload->parameters->pdata[i];
		if (parameter->value == NULL)
			g_hash_table_insert(values, parameter->name, one);
	}
	if (!ash_workload_fill(workload, values, &error))
		g_assert_true(error->domain == ASH_WORKLOAD_ERROR);
}

/* Whatever is accepted is written so that it is accepted again and means the same, and has a report that
 * does not differ from itself.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshWorkload) workload = parse(data, size, &error);
	bool is_wider = true;

	if (workload == NULL) {
		g_assert_true(error->domain == ASH_WORKLOAD_ERROR ||
				error->domain == ASH_YAML_ERROR ||
				error->domain == ASH_HEALTH_SPEC_ERROR);
		g_assert_true(g_utf8_validate(error->message, -1, NULL));
		return 0;
	}
	g_autofree char *text = ash_workload_format(workload);
	g_autoptr(AshWorkload) again = parse(text, strlen(text), &error);
	g_assert_no_error(error);
	g_autofree char *same = ash_workload_format(again);
	g_assert_cmpstr(text, ==, same);

	g_autoptr(AshWorkloadReport) from = ash_workload_report(workload, workload->isolation);
	g_autoptr(AshWorkloadReport) to = ash_workload_report(again, again->isolation);
	g_autoptr(GPtrArray) changes = ash_workload_report_diff(from, to, &is_wider);
	g_assert_cmpuint(changes->len, ==, 0);
	g_assert_false(is_wider);
	g_assert_cmpuint(from->score, <=, 100);
	fill(workload);
	return 0;
}
