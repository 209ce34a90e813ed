/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/desired.h"
#include "fleet/selector.h"
#include "lib/window.h"

enum {
	NOW = 1800000000,
};

/* One line of releases: 1.0, 1.5 (a barrier), 2.0, 2.5 (a barrier), 3.0, 3.1 (withdrawn), 4.0 (not over 2.0).
 * Commits are the version. 0.9 is a dead end. 3.0 is there for arm64 too.
 */
static const AshDesiredRelease releases[] = {
		{1, "host", "", "amd64", "1.0", "c1.0", "", "", "", false},
		{2, "host", "", "amd64", "1.5", "c1.5", "", "", "", true},
		{3, "host", "", "amd64", "2.0", "c2.0", "", "", "", false},
		{4, "host", "", "amd64", "2.5", "c2.5", "", "", "", true},
		{5, "host", "", "amd64", "3.0", "c3.0", "", "", "", false},
		{6, "host", "", "amd64", "3.1", "c3.1", "", "", "boots slowly", false},
		{7, "host", "", "arm64", "3.0", "a3.0", "", "", "", false},
		{8, "host", "", "amd64", "0.9", "c0.9", "", "its disk is too small", "", false},
		{9, "host", "", "amd64", "4.0", "c4.0", "2.6", "", "", false},
		{10, "host", "kiosk", "amd64", "3.0", "k3.0", "", "", "", false},
};

static AshDesiredBook *book(void)
{
	AshDesiredBook *book = ash_desired_book_new();

	for (size_t i = 0; i < G_N_ELEMENTS(releases); i++)
		ash_desired_book_add_release(book, &releases[i]);
	return book;
}

static AshHost host(const char *version, const char *arch, const char *failed)
{
	static char commit[16];

	g_snprintf(commit, sizeof commit, "%s%s", g_str_equal(arch, "amd64") ? "c" : "a", version);
	return (AshHost){.name = "edge-17",
			.state = ASH_HOST_ACTIVE,
			.commit = *version != '\0' ? commit : "",
			.version = version,
			.image = "host",
			.variant = "",
			.arch = arch,
			.agent_state = "",
			.verdict = "",
			.rollout = "",
			.failed_commit = failed};
}

static const struct {
	const char *version, *arch, *failed;
	int64_t target;
	AshDesiredStep step;
	int64_t hop; /* 0: none */
	const char *text;
} cases[] = {
		{"2.0", "amd64", "", 3, ASH_DESIRED_HAS, 0, "runs 2.0"},
		{"2.5", "amd64", "", 5, ASH_DESIRED_TAKE, 5, "3.0 can follow 2.5"},
		{"2.6", "amd64", "", 5, ASH_DESIRED_TAKE, 5, "3.0 can follow 2.6"},
		/* the lowest barrier first, whatever the target */
		{"1.0", "amd64", "", 5, ASH_DESIRED_TAKE, 2,
				"1.5 is a barrier before 3.0: it comes first"},
		{"1.5", "amd64", "", 5, ASH_DESIRED_TAKE, 4,
				"2.5 is a barrier before 3.0: it comes first"},
		{"2.0", "amd64", "", 5, ASH_DESIRED_TAKE, 4,
				"2.5 is a barrier before 3.0: it comes first"},
		/* a barrier is no barrier to itself, nor to what lies below it */
		{"2.0", "amd64", "", 4, ASH_DESIRED_TAKE, 4, "2.5 can follow 2.0"},
		{"1.5", "amd64", "", 3, ASH_DESIRED_TAKE, 3, "2.0 can follow 1.5"},
		{"3.0", "amd64", "", 3, ASH_DESIRED_NEWER, 0,
				"runs 3.0, which is newer than 2.0; only a recall or an operator's "
				"'return' leads back"},
		{"0.9", "amd64", "", 5, ASH_DESIRED_DEAD_END, 8,
				"0.9 is a dead end: its disk is too small"},
		{"3.0", "amd64", "", 6, ASH_DESIRED_WITHDRAWN, 6, "3.1 is withdrawn: boots slowly"},
		{"2.5", "amd64", "c3.0", 5, ASH_DESIRED_FAILED, 5,
				"3.0 failed on this host and is not given to it again; see its "
				"history, then order 'forgive'"},
		/* it failed at the barrier: nor does it get past it */
		{"2.0", "amd64", "c2.5", 5, ASH_DESIRED_FAILED, 4,
				"2.5 failed on this host and is not given to it again; see its "
				"history, then order 'forgive'"},
		{"2.0", "amd64", "c3.0", 5, ASH_DESIRED_TAKE, 4,
				"2.5 is a barrier before 3.0: it comes first"},
		{"2.5", "amd64", "", 9, ASH_DESIRED_TOO_OLD, 9,
				"4.0 replaces 2.6 and later, and the host runs 2.5: roll out one "
				"between them first"},
		{"2.5", "arm64", "", 5, ASH_DESIRED_MISFIT, 0,
				"3.0 is 'host' for amd64, and the host runs 'host' for arm64"},
		{"2.5", "amd64", "", 10, ASH_DESIRED_MISFIT, 0,
				"3.0 is 'host-kiosk' for amd64, and the host runs 'host' for amd64"},
		{"", "amd64", "", 5, ASH_DESIRED_UNKNOWN, 0,
				"has not said yet what it runs; its next check-in will"},
};

static void test_towards(void)
{
	g_autoptr(AshDesiredBook) a_book = book();

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		AshHost a_host = host(cases[i].version, cases[i].arch, cases[i].failed);
		const AshDesiredRelease *target = ash_desired_book_release(a_book, cases[i].target);
		const AshDesiredRelease *hop = NULL;

		AshDesiredStep step = ash_desired_towards(a_book, &a_host, target, &hop);
		g_autofree char *text = ash_desired_step_text(step, a_book, &a_host, target, hop);
		g_assert_cmpstr(text, ==, cases[i].text);
		g_assert_cmpint(step, ==, cases[i].step);
		g_assert_cmpint(hop != NULL ? hop->id : 0, ==, cases[i].hop);
	}
}

/* The whole way: what lies behind the first barrier counts too. */
static void test_route(void)
{
	g_autoptr(AshDesiredBook) a_book = book();
	static const struct {
		const char *version, *failed;
		int64_t target;
		AshDesiredStep step;
		int64_t hop;
	} routes[] = {
			{"1.0", "", 5, ASH_DESIRED_TAKE, 2},
			{"1.5", "", 5, ASH_DESIRED_TAKE, 4},
			{"2.5", "", 5, ASH_DESIRED_TAKE, 5},
			{"3.0", "", 5, ASH_DESIRED_HAS, 0},
			{"1.0", "c3.0", 5, ASH_DESIRED_FAILED, 5},
			{"1.0", "c2.5", 5, ASH_DESIRED_FAILED, 4},
			{"1.0", "", 6, ASH_DESIRED_WITHDRAWN, 6},
			{"1.0", "", 9, ASH_DESIRED_TOO_OLD, 9},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(routes); i++) {
		AshHost a_host = host(routes[i].version, "amd64", routes[i].failed);
		const AshDesiredRelease *hop = NULL;
		g_assert_cmpint(ash_desired_route(a_book, &a_host,
						ash_desired_book_release(a_book, routes[i].target),
						&hop),
				==, routes[i].step);
		g_assert_cmpint(hop != NULL ? hop->id : 0, ==, routes[i].hop);
	}
}

static int64_t channel_wants(const AshDesiredBook *book, AshHost a_host, const char *channel)
{
	const AshPair pair = {"channel", channel};

	a_host.labels = &pair;
	a_host.label_count = channel != NULL ? 1 : 0;
	const AshDesiredRelease *release = ash_desired_by_channel(book, &a_host);
	return release != NULL ? release->id : 0;
}

static void test_channel(void)
{
	g_autoptr(AshDesiredBook) a_book = book();

	ash_desired_book_add_channel(a_book, "stable", 5);
	ash_desired_book_add_channel(a_book, "empty", 0);
	ash_desired_book_add_channel(a_book, "withdrawn", 6);
	g_assert_cmpint(channel_wants(a_book, host("2.5", "amd64", ""), "stable"), ==, 5);
	g_assert_cmpint(channel_wants(a_book, host("1.0", "amd64", ""), "stable"), ==, 2);
	g_assert_cmpint(channel_wants(a_book, host("3.0", "amd64", ""), "stable"), ==, 0);
	g_assert_cmpint(channel_wants(a_book, host("3.1", "amd64", ""), "stable"), ==, 0);
	/* another architecture takes its own of that version */
	g_assert_cmpint(channel_wants(a_book, host("2.5", "arm64", ""), "stable"), ==, 7);
	g_assert_cmpint(channel_wants(a_book, host("2.5", "riscv64", ""), "stable"), ==, 0);
	g_assert_cmpint(channel_wants(a_book, host("2.5", "amd64", ""), "empty"), ==, 0);
	g_assert_cmpint(channel_wants(a_book, host("2.5", "amd64", ""), "unknown"), ==, 0);
	g_assert_cmpint(channel_wants(a_book, host("2.5", "amd64", ""), NULL), ==, 0);
	g_assert_cmpint(channel_wants(a_book, host("3.0", "amd64", ""), "withdrawn"), ==, 0);
}

/* The first by rank alone gives both windows and poll; a rollout's own windows come before. */
static void test_policies(void)
{
	g_autoptr(AshDesiredBook) a_book = book();
	const char *const night[] = {"02:00-05:00", NULL}, *const none[] = {NULL};
	const char *const noon[] = {"12:00-13:00", NULL};
	AshHost a_host = host("2.5", "amd64", "");
	AshDesiredWhen when;
	g_autoptr(GError) error = NULL;
	bool is_open = false;
	int64_t change_s = 0;

	ash_desired_when(a_book, &a_host, "", NOW, &when);
	g_assert_cmpstr(when.policy, ==, "");
	ash_desired_windows(a_book, &a_host, "", NOW, &is_open, &change_s);
	g_assert_true(is_open);
	g_assert_cmpint(change_s, ==, INT64_MAX);

	g_assert_true(ash_desired_book_add_policy(a_book, "z", 20, "all", none, 60, NULL));
	g_assert_true(ash_desired_book_add_policy(
			a_book, "b", 10, "name ~ \"edge-*\"", night, 0, NULL));
	g_assert_true(ash_desired_book_add_policy(a_book, "c", 10, "all", noon, 7, NULL));
	g_assert_true(ash_desired_book_add_policy(a_book, "a", 5, "arch = arm64", noon, 9, NULL));
	ash_desired_when(a_book, &a_host, "", NOW, &when);
	g_assert_cmpstr(when.policy, ==, "b");
	g_assert_cmpstr(when.windows[0], ==, "02:00-05:00");
	g_assert_cmpint(when.poll_s, ==, 0);
	/* 1800000000 is 08:00 */
	ash_desired_windows(a_book, &a_host, "", NOW, &is_open, &change_s);
	g_assert_false(is_open);
	g_assert_cmpint(change_s, ==, NOW + 18 * 3600);

	ash_desired_book_add_rollout(a_book, "rolloutnoon1", noon);
	ash_desired_book_add_rollout(a_book, "rolloutplain", none);
	ash_desired_when(a_book, &a_host, "rolloutnoon1", NOW, &when);
	g_assert_cmpstr(when.windows[0], ==, "12:00-13:00");
	g_assert_cmpstr(when.policy, ==, "b");
	ash_desired_windows(a_book, &a_host, "rolloutnoon1", NOW, &is_open, &change_s);
	g_assert_cmpint(change_s, ==, NOW + 4 * 3600);
	ash_desired_when(a_book, &a_host, "rolloutplain", NOW, &when);
	g_assert_cmpstr(when.windows[0], ==, "02:00-05:00");

	g_assert_false(ash_desired_book_add_policy(a_book, "d", 1, "((", none, 0, &error));
	g_assert_error(error, ASH_SELECTOR_ERROR, ASH_SELECTOR_ERROR_SYNTAX);
	g_clear_error(&error);
	const char *const wrong[] = {"25:00", NULL};
	g_assert_false(ash_desired_book_add_policy(a_book, "d", 1, "all", wrong, 0, &error));
	g_assert_error(error, ASH_WINDOW_ERROR, ASH_WINDOW_ERROR_SYNTAX);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/desired/towards", test_towards);
	g_test_add_func("/desired/route", test_route);
	g_test_add_func("/desired/channel", test_channel);
	g_test_add_func("/desired/policies", test_policies);
	return g_test_run();
}
