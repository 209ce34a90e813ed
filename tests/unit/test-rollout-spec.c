/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/rollout-spec.h"

#include <string.h>

static void test_defaults(void)
{
	g_autoptr(AshRolloutSpec) spec = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_rollout_spec_parse_text("{\"release\":\"host/2\"}", &spec, &error));
	ash_rollout_spec_plan(spec, 1000, 0);
	g_autofree char *text = ash_rollout_spec_format(spec);
	g_assert_cmpstr(text, ==,
			"{\"release\":\"host/2\",\"tolerated\":0.01,\"alpha\":0.01,\"first\":4,\"growth\":4,"
			"\"soak\":300,\"deadline\":5400,\"begin\":86400,\"lapse\":900,\"patience\":86400,"
			"\"ring_pause\":0,\"max_in_flight\":0,\"budgets\":[],\"windows\":[],"
			"\"on_halt\":\"hold\",\"table\":[[4,2],[16,3],[64,5],[256,10],[1000,24],"
			"[4000,65],[16000,214],[64000,806],[256000,3174],[1024000,12646],"
			"[4096000,50535],[16384000,202091],[65536000,808313],[67108864,827712]]}");
}

/* What is written is read back as it is, and is not reckoned anew. */
static void test_round_trip(void)
{
	static const char full[] =
			"{\"id\":\"abc123abc123\",\"name\":\"spring\",\"release\":7,\"selector\":\"site = bern\","
			"\"channel\":\"stable\",\"canaries\":\"has canary\",\"tolerated\":0.02,\"alpha\":0.05,"
			"\"first\":8,\"growth\":\"careful\",\"soak\":0,\"deadline\":60,\"max_in_flight\":9,"
			"\"budgets\":[{\"label\":\"site\",\"max\":2},{\"label\":\"role\",\"max\":\"10%\"}],"
			"\"windows\":[\"Sat 02:00-05:00 UTC\"],\"on_halt\":\"revert\",\"ring_pause\":3600,"
			"\"table\":[[3,2],[9,4]]}";
	g_autoptr(AshRolloutSpec) a = NULL, b = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_rollout_spec_parse_text(full, &a, &error));
	g_assert_cmpstr(a->release, ==, "7");
	g_assert_cmpuint(a->growth, ==, 2);
	g_assert_cmpuint(a->table->len, ==, 2);
	g_assert_true(a->reverts);
	const AshRolloutBudget *budget = a->budgets->pdata[1];
	g_assert_cmpuint(budget->percent, ==, 10);
	g_assert_cmpuint(budget->max, ==, 0);
	g_autofree char *first = ash_rollout_spec_format(a);
	g_assert_true(ash_rollout_spec_parse_text(first, &b, &error));
	g_autofree char *second = ash_rollout_spec_format(b);
	g_assert_cmpstr(first, ==, second);
}

static void test_refused(void)
{
	static const struct {
		const char *json, *says;
	} cases[] = {
			{"{}", "'release'"},
			{"{\"release\":\"1\",\"colour\":1}", "'colour'"},
			{"{\"release\":\"1\",\"growth\":1}", "'growth'"},
			{"{\"release\":\"1\",\"growth\":\"fast\"}", "careful"},
			{"{\"release\":\"1\",\"tolerated\":0}", "'tolerated'"},
			{"{\"release\":\"1\",\"alpha\":\"x\"}", "'alpha'"},
			{"{\"release\":\"1\",\"first\":0}", "'first'"},
			{"{\"release\":\"1\",\"soak\":-1}", "'soak'"},
			{"{\"release\":\"1\",\"deadline\":0}", "'deadline'"},
			{"{\"release\":\"1\",\"on_halt\":\"explode\"}", "'on_halt'"},
			{"{\"release\":\"1\",\"budgets\":[{\"label\":\"a\",\"max\":\"101%\"}]}",
					"'max'"},
			{"{\"release\":\"1\",\"budgets\":[{\"label\":\"a\",\"max\":\"5%%\"}]}",
					"'max'"},
			{"{\"release\":\"1\",\"budgets\":[{\"label\":\"\",\"max\":1}]}", "'label'"},
			{"{\"release\":\"1\",\"budgets\":[1]}", "'budgets'"},
			{"{\"release\":\"1\",\"windows\":[\"sometimes\"]}", "windows"},
			{"{\"release\":\"1\",\"table\":[[4,2],[4,3]]}", "'table'"},
			{"{\"release\":\"1\",\"table\":[[4,9]]}", "'table'"},
			{"{\"release\":\"1\",\"name\":\"two\\nlines\"}", "'name'"},
			{"[]", "object"},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(AshRolloutSpec) spec = NULL;
		g_autoptr(GError) error = NULL;
		g_test_message("%s", cases[i].json);
		g_assert_false(ash_rollout_spec_parse_text(cases[i].json, &spec, &error));
		g_assert_nonnull(strstr(error->message, cases[i].says));
		g_assert_null(spec);
	}
}

static void test_rings(void)
{
	static const struct {
		uint32_t hosts, canaries, first;
		unsigned growth;
		uint32_t limits[6];
	} cases[] = {
			{100, 0, 4, 4, {4, 16, 64, 100, 400, 1600}},
			{100, 1, 4, 4, {1, 4, 16, 64, 100, 400}},
			{100, 10, 4, 2, {10, 20, 40, 80, 100, 200}},
			{64, 0, 4, 4, {4, 16, 64, 256, 1024, 4096}},
			{2, 0, 4, 4, {2, 8, 32, 128, 512, 2048}},
			{0, 0, 4, 10, {4, 40, 400, 4000, 40000, 400000}},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(AshRolloutSpec) spec = ash_rollout_spec_new();
		spec->first = cases[i].first;
		spec->growth = cases[i].growth;
		ash_rollout_spec_plan(spec, cases[i].hosts, cases[i].canaries);
		for (unsigned j = 0; j < 6; j++)
			g_assert_cmpuint(g_array_index(spec->table, AshRolloutLimit, j).m, ==,
					cases[i].limits[j]);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/rollout-spec/defaults", test_defaults);
	g_test_add_func("/rollout-spec/round-trip", test_round_trip);
	g_test_add_func("/rollout-spec/refused", test_refused);
	g_test_add_func("/rollout-spec/rings", test_rings);
	return g_test_run();
}
