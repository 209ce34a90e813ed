/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/selector.h"

enum {
	NOW = 1800000000,
	DAY = 86400,
};

static const AshPair labels[] = {
		{"channel", "stable"},
		{"empty", ""},
		{"in", "reserved"},
		{"kernel-name", "x"},
		{"memory", "small"},
		{"role", "web"},
		{"site", "bern"},
		{"version", "label's own"},
};
static const AshPair facts[] = {
		{"cpus", "4"},
		{"disk.root_free", "1500000000"},
		{"kernel", "6.12.48+deb13-amd64"},
		{"memory", "8589934592"},
		{"serial", "Ünïcode \"7\""},
		{"site", "zurich"},
		{"temperature", "-3.5"},
};

static AshHost host(void)
{
	return (AshHost){
			.id = {0x3f, 0x9a, 0x00, 0x11, 0x2c},
			.name = "edge-17",
			.state = ASH_HOST_ACTIVE,
			.health = ASH_HEALTH_GOOD,
			.last_seen_s = NOW - 90,
			.enrolled_s = NOW - 8 * DAY,
			.agent_state = "idle",
			.verdict = "good",
			.commit = "c0ffee",
			.version = "1.10.0",
			.image = "host",
			.variant = "",
			.arch = "amd64",
			.rollout = "",
			.label_count = G_N_ELEMENTS(labels),
			.labels = labels,
			.fact_count = G_N_ELEMENTS(facts),
			.facts = facts,
	};
}

static const struct {
	const char *text;
	bool matches;
	const char *canonical; /* NULL: as it stands */
} cases[] = {
		{"", true, "all"},
		{"  \t", true, "all"},
		{"all", true, NULL},
		{"none", false, NULL},
		{"not none", true, NULL},
		{"not not none", false, "none"},
		/* texts */
		{"site = bern", true, NULL},
		{"site=bern", true, "site = bern"},
		{"site = Bern", false, NULL},
		{"site = \"bern\"", true, "site = bern"},
		{"site != bern", false, NULL},
		{"site != basel", true, NULL},
		{"site in (basel, bern)", true, NULL},
		{"site in(basel,bern)", true, "site in (basel, bern)"},
		{"site in (bern)", true, "site = bern"},
		{"role in (db, cache)", false, NULL},
		{"empty = \"\"", true, NULL},
		{"serial = \"Ünïcode \\\"7\\\"\"", true, NULL},
		{"\"in\" = reserved", true, NULL},
		{"label.in = reserved", true, NULL},
		{"site = not", false, NULL},
		/* a label before a fact, unless it is said which */
		{"fact.site = zurich", true, NULL},
		{"label.site = zurich", false, NULL},
		{"site = zurich", false, NULL},
		{"label.version = \"label's own\"", true, NULL},
		{"cpus = 4", true, NULL},
		/* what the host lacks */
		{"gpu = yes", false, NULL},
		{"gpu != yes", true, NULL},
		{"not gpu = yes", true, NULL},
		{"gpu in (yes)", false, "gpu = yes"},
		{"gpu > 1", false, NULL},
		{"gpu ~ \"*\"", false, NULL},
		{"has gpu", false, NULL},
		{"not has gpu", true, NULL},
		{"has site", true, NULL},
		{"has empty", true, NULL},
		{"has variant", false, NULL},
		{"variant = \"\"", true, NULL},
		{"has name", true, NULL},
		/* its own */
		{"name = edge-17 and state = active and health = good", true, NULL},
		{"agent = idle and verdict = good and commit = c0ffee", true, NULL},
		{"image = host and arch = amd64 and channel = stable", true, NULL},
		{"id ~ \"3f9a*\"", true, NULL},
		{"host 3f9a0011", true, NULL},
		{"host 3f9a00112", true, NULL},
		{"host 3f9a00113", false, NULL},
		{"host 3f9a0012", false, NULL},
		{"host 3f9a00112c000000000000000000000000000000000000000000000000000000", true,
				NULL},
		/* numbers */
		{"fact.memory >= 8GiB", true, NULL},
		{"fact.memory > 8GiB", false, NULL},
		{"fact.memory < 8.5GiB", true, NULL},
		{"memory >= 8GiB", false, NULL},
		{"cpus <= 4", true, NULL},
		{"cpus < 4", false, NULL},
		{"disk.root_free >= 1.5G", true, NULL},
		{"disk.root_free < 1GiB", false, NULL},
		{"temperature < -3", true, NULL},
		{"temperature > -4", true, NULL},
		{"site > 4", false, NULL},
		/* versions are no texts and no numbers */
		{"version >= 1.9.0", true, NULL},
		{"version < 1.9.0", false, NULL},
		{"version > \"1.10.0~rc1\"", true, NULL},
		{"version = 1.10.0", true, NULL},
		{"kernel >= 6.6", true, NULL},
		{"fact.kernel < 6.6", false, NULL},
		/* ages */
		{"enrolled > 7d", true, NULL},
		{"enrolled > 9d", false, NULL},
		{"seen < 2min", true, NULL},
		{"seen <= 90s", true, NULL},
		{"seen < 1.5min", false, NULL},
		/* patterns */
		{"name ~ \"edge-*\"", true, NULL},
		{"name ~ \"edge-??\"", true, NULL},
		{"name ~ \"edge-?\"", false, NULL},
		{"name ~ \"*1*7\"", true, NULL},
		{"name ~ \"*1*8\"", false, NULL},
		{"name ~ edge-17", true, NULL},
		{"serial ~ \"?n?code*\"", true, NULL},
		{"empty ~ \"*\"", true, NULL},
		{"empty ~ \"?\"", false, NULL},
		/* and, or, not: 'not' binds closest, 'or' least */
		{"none and none or all", true, NULL},
		{"all or none and none", true, NULL},
		{"(all or none) and none", false, NULL},
		{"not none and none", false, NULL},
		{"not (none and none)", true, NULL},
		{"((site = bern))", true, "site = bern"},
		{"all and (all and (all and none))", false, "all and all and all and none"},
		{"all and (none or site = bern)", true, NULL},
		{"site = bern and (role in (web, db) or not has gpu) and fact.memory >= 8GiB and "
		 "version < 2.0.0",
				true, NULL},
};

static void test_cases(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(AshSelector) selector = NULL, again = NULL;
		g_autoptr(GError) error = NULL;
		AshHost a_host = host();

		g_test_message("%s", cases[i].text);
		g_assert_true(ash_selector_parse(cases[i].text, &selector, &error));
		g_assert_no_error(error);
		g_assert_cmpint(ash_selector_matches(selector, &a_host, NOW), ==, cases[i].matches);
		g_autofree char *text = ash_selector_format(selector);
		g_assert_cmpstr(text, ==,
				cases[i].canonical != NULL ? cases[i].canonical : cases[i].text);
		g_assert_true(ash_selector_parse(text, &again, NULL));
		g_autofree char *same = ash_selector_format(again);
		g_assert_cmpstr(same, ==, text);
		g_assert_cmpint(ash_selector_matches(again, &a_host, NOW), ==, cases[i].matches);
	}
}

static const struct {
	const char *text, *message;
} errors[] = {
		{"site", "column 5: expected one of = != < <= > >= ~ in, but the selector ends"},
		{"site bern", "column 6: expected one of = != < <= > >= ~ in, found 'bern'"},
		{"site =", "column 7: expected a value, but the selector ends"},
		{"site = )", "column 8: expected a value, found ')'"},
		{"= bern", "column 1: expected a key, as in 'site = bern', found '='"},
		{"site = bern and", "column 16: expected a key, as in 'site = bern', but the "
				    "selector ends"},
		{"site = bern role = web",
				"column 13: expected 'and', 'or' or the end, found 'role'"},
		{"(site = bern", "column 13: expected 'and', 'or' or ')', but the selector ends"},
		{"site = bern)", "column 12: expected 'and', 'or' or the end, found ')'"},
		{"site in bern", "column 9: expected '(' and a list of values behind 'in', found "
				 "'bern'"},
		{"site in ()", "column 10: expected a value, found ')'"},
		{"site in (a b)", "column 12: expected ',' or ')', found 'b'"},
		{"has", "column 4: expected a key, as in 'site = bern', but the selector ends"},
		{"has all", "column 5: expected a key, as in 'site = bern', found 'all'"},
		{"host 3f9a", "column 6: expected the first 8 to 64 digits of a host's id, found "
			      "'3f9a'"},
		{"host 3F9A0011", "column 6: expected the first 8 to 64 digits of a host's id, "
				  "found '3F9A0011'"},
		{"host", "column 5: expected the first 8 to 64 digits of a host's id, but the "
			 "selector ends"},
		{"name ~ edge-*", "column 13: a pattern stands in quotes: ~ \"edge-*\""},
		{"site = Zürich",
				"column 9: 'ü' is not expected here; values with other signs than "
				"letters, digits and . _ - : / + @ stand in quotes"},
		{"\"ü\" = a; b", "column 8: ';' is not expected here; values with other signs than "
				 "letters, digits and . _ - : / + @ stand in quotes"},
		{"site = \"bern", "column 8: the quote is not closed"},
		{"site = \"a\\n\"", "column 10: behind '\\' comes '\"' or '\\'"},
		{"\"\" = a", "column 1: a key is not empty"},
		{"name < 5", "column 8: '<' compares numbers, 'name' is a text: it takes = != ~ in"},
		{"cpus >= many", "column 9: expected a number, as in 4, 8GiB, 30min"},
		{"cpus > 4GB", "column 8: expected a number, as in 4, 8GiB, 30min"},
		{"seen > long", "column 8: expected an age, as in 7d, 12h, 30min"},
		{"seen = 5min", "column 6: an age takes < <= > >="},
		{"version < \"a b\"", "column 11: not a version"},
		{"site = b\x01", "column 9: a control character"},
		{"site = \xff", "column 8: not UTF-8"},
		{"not", "column 4: expected a key, as in 'site = bern', but the selector ends"},
};

static void test_errors(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
		g_autoptr(AshSelector) selector = NULL;
		g_autoptr(GError) error = NULL;

		g_test_message("%s", errors[i].text);
		g_assert_false(ash_selector_parse(errors[i].text, &selector, &error));
		g_assert_error(error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_SYNTAX);
		g_assert_cmpstr(error->message, ==, errors[i].message);
		g_assert_null(selector);
	}
}

static char *repeat(const char *before, unsigned count, const char *behind)
{
	GString *text = g_string_new(NULL);

	for (unsigned i = 0; i < count; i++)
		g_string_append(text, before);
	g_string_append(text, behind);
	return g_string_free(text, FALSE);
}

static void check_limit(char *take_text, bool is_fine)
{
	g_autofree char *text = take_text;
	g_autoptr(AshSelector) selector = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(ash_selector_parse(text, &selector, &error), ==, is_fine);
	if (!is_fine)
		g_assert_error(error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_LIMIT);
}

static void test_limits(void)
{
	check_limit(repeat("(", ASH_SELECTOR_MAX_DEPTH, "all))))))))))))))))))))))))))))))))"),
			true);
	check_limit(repeat("(", ASH_SELECTOR_MAX_DEPTH + 1, "all"), false);
	check_limit(repeat("not ", ASH_SELECTOR_MAX_DEPTH + 1, "all"), false);
	check_limit(repeat("all or ", ASH_SELECTOR_MAX_TERMS - 1, "all"), true);
	check_limit(repeat("all or ", ASH_SELECTOR_MAX_TERMS, "all"), false);
	check_limit(repeat(" ", ASH_SELECTOR_MAX_BYTES - 3, "all"), true);
	check_limit(repeat(" ", ASH_SELECTOR_MAX_BYTES - 2, "all"), false);
	g_autofree char *values = repeat("a,", ASH_SELECTOR_MAX_TERMS - 1, "a)");
	check_limit(g_strconcat("b in (", values, NULL), true);
	check_limit(g_strconcat("b in (a,", values, NULL), false);
	/* the canonical form would be too long to be read again */
	g_autofree char *tight = repeat("a=b or ", 200, "");
	g_autofree char *long_text = repeat("x", 2500, "");
	check_limit(g_strconcat(tight, "a=", long_text, NULL), false);
}

static void test_and(void)
{
	g_autoptr(AshSelector) a = NULL, b = NULL, all = NULL;

	g_assert_true(ash_selector_parse("site = bern or site = basel", &a, NULL));
	g_assert_true(ash_selector_parse("role = web and cpus > 2", &b, NULL));
	g_assert_true(ash_selector_parse("", &all, NULL));
	g_autoptr(AshSelector) both = ash_selector_and(a, b);
	g_autofree char *text = ash_selector_format(both);
	g_assert_cmpstr(text, ==, "(site = bern or site = basel) and role = web and cpus > 2");
	g_autoptr(AshSelector) only = ash_selector_and(all, a);
	g_autofree char *only_text = ash_selector_format(only);
	g_assert_cmpstr(only_text, ==, "site = bern or site = basel");
	g_autoptr(AshSelector) everything = ash_selector_and(all, all);
	AshHost a_host = host();
	g_assert_true(ash_selector_matches(everything, &a_host, NOW));
}

static void test_stable(void)
{
	static const struct {
		const char *text;
		bool is_stable;
	} rows[] = {
			{"all", true},
			{"site = bern and not has gpu", true},
			{"name ~ \"a*\" or image = host or channel = stable", true},
			{"version < 2", false},
			{"site = bern and (role = web or health = good)", false},
			{"seen > 1d", false},
			{"rollout = x", false},
	};
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(AshSelector) selector = NULL;
		g_assert_true(ash_selector_parse(rows[i].text, &selector, NULL));
		g_assert_cmpint(ash_selector_is_stable(selector), ==, rows[i].is_stable);
	}
}

static void test_keys(void)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
			{"site", "bern"},
			{"fact.site", "zurich"},
			{"gpu", NULL},
			{"version", "1.10.0"},
			{"state", "active"},
			{"health", "good"},
			{"seen", "90"},
			{"\"in\"", "reserved"},
			{"id", "3f9a00112c000000000000000000000000000000000000000000000000000000"},
	};
	AshHost a_host = host();
	char buffer[ASH_SELECTOR_KEY_BYTES];

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(AshSelectorKey) key = NULL;
		g_assert_true(ash_selector_key_parse(rows[i].key, &key, NULL));
		g_assert_cmpstr(ash_selector_key_value(key, &a_host, NOW, buffer), ==,
				rows[i].value);
	}
	static const char *const wrong[] = {"", "a b", "in", "a =", "\"", "(a)"};
	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autoptr(AshSelectorKey) key = NULL;
		g_autoptr(GError) error = NULL;
		g_assert_false(ash_selector_key_parse(wrong[i], &key, &error));
		g_assert_error(error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_SYNTAX);
	}
	AshHost unseen = host();
	unseen.last_seen_s = 0;
	g_autoptr(AshSelectorKey) seen = NULL;
	g_assert_true(ash_selector_key_parse("seen", &seen, NULL));
	g_assert_null(ash_selector_key_value(seen, &unseen, NOW, buffer));
	g_autoptr(AshSelector) selector = NULL;
	g_assert_true(ash_selector_parse("seen > 1d or seen < 1d", &selector, NULL));
	g_assert_false(ash_selector_matches(selector, &unseen, NOW));
}

/* Three terms over a million hosts: 'make bench-fleet' has the figure, this the order of magnitude. */
static void test_speed(void)
{
	g_autoptr(AshSelector) selector = NULL;
	AshHost a_host = host();
	unsigned matches = 0;

	g_assert_true(ash_selector_parse("site = bern and fact.memory >= 8GiB and version < 2.0.0",
			&selector, NULL));
	int64_t begin_us = g_get_monotonic_time();
	for (unsigned i = 0; i < 1000000; i++) {
		a_host.id[31] = (uint8_t) i;
		matches += ash_selector_matches(selector, &a_host, NOW);
	}
	g_test_message("%.0f ms", (double) (g_get_monotonic_time() - begin_us) / 1000);
	g_assert_cmpuint(matches, ==, 1000000);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/selector/cases", test_cases);
	g_test_add_func("/selector/errors", test_errors);
	g_test_add_func("/selector/limits", test_limits);
	g_test_add_func("/selector/and", test_and);
	g_test_add_func("/selector/stable", test_stable);
	g_test_add_func("/selector/keys", test_keys);
	g_test_add_func("/selector/speed", test_speed);
	return g_test_run();
}
