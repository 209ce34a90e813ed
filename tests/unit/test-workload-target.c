/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/workload-target.h"

static GPtrArray *targets_of(const char *const *paths)
{
	GPtrArray *targets = g_ptr_array_new_with_free_func((GDestroyNotify) ash_tuf_target_free);

	for (; *paths != NULL; paths++) {
		AshTufTarget *target = g_new0(AshTufTarget, 1);
		target->path = g_strdup(*paths);
		g_ptr_array_add(targets, target);
	}
	return targets;
}

static void test_choose(void)
{
	static const char *const paths[] = {"workload/web/1.10.json", "workload/web/1.9.json",
			"workload/web/2.0~rc1.json", "workload/web/bad version.json",
			"workload/web/.json", "workload/web/3.0", "workload/web/4.0/5.json",
			"workload/web-2/9.json", "host/web/9.json", "workload/db/1.json", NULL};
	static const struct {
		const char *name, *wanted, *version; /* NULL: none */
	} cases[] = {
			{"web", "", "2.0~rc1"},
			{"web", "1.9", "1.9"},
			{"web", "1.09", NULL},
			{"web", "3.0", NULL},
			{"web-2", "", "9"},
			{"we", "", NULL},
			{"db", "", "1"},
			{"db", "2", NULL},
	};
	g_autoptr(GPtrArray) targets = targets_of(paths);

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *version = NULL;
		const AshTufTarget *target = ash_workload_target_choose(
				targets, cases[i].name, cases[i].wanted, &version);
		g_test_message("%s %s", cases[i].name, cases[i].wanted);
		g_assert_cmpstr(version, ==, cases[i].version);
		g_assert_true((target != NULL) == (cases[i].version != NULL));
		if (target == NULL)
			continue;
		g_autofree char *path = ash_workload_target_path(cases[i].name, version);
		g_assert_cmpstr(target->path, ==, path);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/workload-target/choose", test_choose);
	return g_test_run();
}
