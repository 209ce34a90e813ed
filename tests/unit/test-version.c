/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/version.h"

#include <string.h>

static void test_valid(void)
{
	static const char *const good[] = {
			"1", "1.4.0", "2026.11.22-1", "1.0~rc1", "1.0+b2", "v1", "0", "recall"};
	static const char *const bad[] = {"", ".", "..", "-1", "~1", "+1", ".1", "1/2", "1 2",
			"1:2", "1_2", "1\n", "\xc3\xa4", "1\xc3\xa4"};
	char longest[ASH_VERSION_MAX_BYTES + 2];

	for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
		g_assert_true(ash_version_is_valid(good[i]));
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(ash_version_is_valid(bad[i]));
	memset(longest, '1', sizeof longest);
	longest[ASH_VERSION_MAX_BYTES] = '\0';
	g_assert_true(ash_version_is_valid(longest));
	longest[ASH_VERSION_MAX_BYTES] = '1';
	longest[ASH_VERSION_MAX_BYTES + 1] = '\0';
	g_assert_false(ash_version_is_valid(longest));
}

/* Each row was asked of 'dpkg --compare-versions'. */
static void test_compare(void)
{
	static const struct {
		const char *a;
		char sign;
		const char *b;
	} cases[] = {
			{"1", '=', "1"},
			{"", '=', ""},
			{"", '<', "1"},
			{"", '<', "1~"},
			{"1", '<', "2"},
			{"9", '<', "10"},
			{"1.9", '<', "1.10"},
			{"1.0", '=', "1.00"},
			{"1.01", '=', "1.1"},
			{"1", '<', "1.0"},
			{"1.0", '<', "1.0.0"},
			{"1.0~rc1", '<', "1.0"},
			{"1.0~rc1", '<', "1.0~rc2"},
			{"1.0~~", '<', "1.0~"},
			{"1.0~", '<', "1.0"},
			{"1.0", '<', "1.0+b1"},
			{"1.0+b9", '<', "1.0+b10"},
			{"1.0a", '<', "1.0b"},
			{"1.0a", '<', "1.0+"},
			{"1.0Z", '<', "1.0a"},
			{"1.0-1", '<', "1.0-2"},
			{"1.0-9", '<', "1.0-10"},
			{"1.0", '<', "1.0-1"},
			{"1.0", '=', "1.0-0"},
			{"1.0-1", '<', "1.0+b-1"},
			{"1.0-1-1", '>', "1.0+b-1"},
			{"1.0-1~bpo12", '<', "1.0-1"},
			{"20261122", '<', "20261123"},
			{"99999999999999999999998", '<', "99999999999999999999999"},
			{"99999999999999999999999", '<', "100000000000000000000000"},
			{"a", '<', "b"},
			{"a", '>', "1"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		int want = cases[i].sign == '<' ? -1 : cases[i].sign == '>' ? 1 : 0;
		int got = ash_version_compare(cases[i].a, cases[i].b);
		int back = ash_version_compare(cases[i].b, cases[i].a);
		g_test_message("%s %c %s", cases[i].a, cases[i].sign, cases[i].b);
		g_assert_cmpint((got > 0) - (got < 0), ==, want);
		g_assert_cmpint((back > 0) - (back < 0), ==, -want);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/version/valid", test_valid);
	g_test_add_func("/version/compare", test_compare);
	return g_test_run();
}
