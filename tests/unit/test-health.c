/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/health.h"

#include <string.h>

#include "agent/health-run.h"

#define S (INT64_C(1000000))

/* Times are seconds from the start, which is not 0. */
#define START (1000 * S)

static AshHealthSpec *spec_of(const char *text)
{
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text) + 1);
	g_autoptr(GBytes) cut = g_bytes_new_from_bytes(bytes, 0, strlen(text));
	g_autoptr(AshYaml) map = NULL;
	g_autoptr(GError) error = NULL;
	AshHealthSpec *spec = ash_health_spec_new();

	bool is_good = ash_yaml_parse("test.yaml", cut, &map, &error) &&
		       ash_health_spec_merge(spec, map, &error);
	g_assert_no_error(error);
	g_assert_true(is_good);
	return spec;
}

/* soak 60 s, deadline 600 s, three failures, every 10 s */
static const char two_required[] = "checks: [{name: a, file: /a}, {name: b, file: /b}]";
static const char one_wanted[] =
		"checks: [{name: a, file: /a}, {name: w, class: wanted, file: /w}]";

static AshHealth *trial_of(const char *text)
{
	return ash_health_new(spec_of(text), true, START);
}

static AshVerdict verdict_at(const AshHealth *health, int64_t s)
{
	int64_t next_us;

	return ash_health_verdict(health, START + s * S, &next_us, NULL);
}

static int64_t next_at(const AshHealth *health, int64_t s)
{
	int64_t next_us;

	ash_health_verdict(health, START + s * S, &next_us, NULL);
	return next_us == INT64_MAX ? -1 : (next_us - START) / S;
}

static char *reason_at(const AshHealth *health, int64_t s)
{
	char *reason = NULL;
	int64_t next_us;

	ash_health_verdict(health, START + s * S, &next_us, &reason);
	return reason;
}

static void result_at(AshHealth *health, guint index, bool is_passing, int64_t s)
{
	ash_health_started(health, index, START + s * S);
	ash_health_result(health, index, is_passing, is_passing ? "fine" : "gone", START + s * S);
}

/* What a check says from the second @from on. */
typedef struct {
	guint index;
	int64_t from;
	bool is_passing;
} Turn;

/* Runs every check when it is due, as ashlard does, each taking a second, until the verdict is not
 * pending or @until has come.
 */
static AshVerdict simulate(
		AshHealth *health, const Turn *turns, size_t n_turns, int64_t until, int64_t *out_s)
{
	for (int64_t s = 0; s <= until; s++) {
		for (guint i = 0; i < ash_health_count(health); i++) {
			bool is_passing = false;
			if (!ash_health_get(health, i)->is_running)
				continue;
			for (size_t t = 0; t < n_turns; t++)
				if (turns[t].index == i && turns[t].from <= s)
					is_passing = turns[t].is_passing;
			ash_health_result(health, i, is_passing, is_passing ? "fine" : "gone",
					START + s * S);
		}
		*out_s = s;
		if (verdict_at(health, s) != ASH_VERDICT_PENDING)
			return verdict_at(health, s);
		for (int due; (due = ash_health_due(health, START + s * S)) >= 0;)
			ash_health_started(health, (guint) due, START + s * S);
	}
	return ASH_VERDICT_PENDING;
}

static const struct {
	const char *what, *spec;
	Turn turns[8];
	AshVerdict verdict;
	int64_t at;
} trials[] = {
		/* The soak time begins with the first pass, which is seen a second later; the run at
		 * its end takes a second too. */
		{"all pass at once", two_required, {{0, 0, true}, {1, 0, true}}, ASH_VERDICT_GOOD,
				62},
		{"one passes later", two_required, {{0, 0, true}, {1, 100, true}}, ASH_VERDICT_GOOD,
				161},
		{"none ever passes", two_required, {{0, 0, false}}, ASH_VERDICT_BAD, 600},
		{"one never passes", two_required, {{0, 0, true}}, ASH_VERDICT_BAD, 600},
		{"a service that came up and broke", two_required,
				{{0, 0, true}, {1, 0, true}, {1, 30, false}}, ASH_VERDICT_BAD, 56},
		{"broken within the soak time of another", two_required,
				{{0, 0, true}, {1, 300, true}, {0, 310, false}}, ASH_VERDICT_BAD,
				337},
		{"flaps: two failures in a row do not break it", two_required,
				{{0, 0, true}, {1, 0, true}, {1, 30, false}, {1, 50, true}},
				ASH_VERDICT_GOOD, 117},
		{"flaps until the deadline",
				"soak: 60s\ndeadline: 150s\n"
				"checks: [{name: a, file: /a, failures: 9}]",
				{{0, 0, true}, {0, 30, false}, {0, 50, true}, {0, 90, false},
						{0, 110, true}},
				ASH_VERDICT_BAD, 150},
		{"good just before the deadline",
				"soak: 60s\ndeadline: 100s\n"
				"checks: [{name: a, file: /a}]",
				{{0, 33, true}}, ASH_VERDICT_GOOD, 95},
		{"too late for the soak time",
				"soak: 60s\ndeadline: 100s\n"
				"checks: [{name: a, file: /a}]",
				{{0, 44, true}}, ASH_VERDICT_BAD, 100},
		{"no soak time", "soak: 0s\nchecks: [{name: a, file: /a}]", {{0, 15, true}},
				ASH_VERDICT_GOOD, 23},
		{"an interval longer than the soak time is cut short",
				"soak: 20s\nchecks: [{name: a, file: /a, interval: 5min}]",
				{{0, 0, true}}, ASH_VERDICT_GOOD, 22},
		{"a wanted check that fails", one_wanted, {{0, 0, true}}, ASH_VERDICT_DEGRADED, 62},
		{"a wanted check that broke", one_wanted,
				{{0, 0, true}, {1, 0, true}, {1, 5, false}}, ASH_VERDICT_DEGRADED,
				62},
		{"wanted checks alone", "checks: [{name: w, class: wanted, file: /w}]",
				{{0, 0, false}}, ASH_VERDICT_DEGRADED, 60},
		{"no checks at all", "soak: 60s", {{0, 0, false}}, ASH_VERDICT_GOOD, 60},
};

static void test_trials(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(trials); i++) {
		g_autoptr(AshHealth) health = trial_of(trials[i].spec);
		size_t n_turns = 0;
		int64_t s = 0;
		while (n_turns < G_N_ELEMENTS(trials[i].turns) &&
				(n_turns == 0 || trials[i].turns[n_turns].from > 0 ||
						trials[i].turns[n_turns].is_passing))
			n_turns++;
		AshVerdict verdict = simulate(health, trials[i].turns, n_turns, 2000, &s);
		g_test_message("%s: %s at %" G_GINT64_FORMAT " s", trials[i].what,
				ash_verdict_text(verdict), s);
		g_assert_cmpint(verdict, ==, trials[i].verdict);
		g_assert_cmpint(s, ==, trials[i].at);
	}
}

/* A check that hangs holds nothing up for ever, and a pass of long ago is not one of now. */
static void test_hanging(void)
{
	g_autoptr(AshHealth) health = trial_of("checks: [{name: a, file: /a}]");

	result_at(health, 0, true, 1);
	g_assert_cmpint(next_at(health, 1), ==, 11);
	ash_health_started(health, 0, START + 11 * S);
	g_assert_cmpint(ash_health_due(health, START + 500 * S), ==, -1);
	g_assert_cmpint(verdict_at(health, 599), ==, ASH_VERDICT_PENDING);
	g_assert_cmpint(next_at(health, 599), ==, 600);
	g_assert_cmpint(verdict_at(health, 600), ==, ASH_VERDICT_BAD);
}

/* Nobody looked in between: what was reached, or lost, in time still counts. */
static void test_late_question(void)
{
	g_autoptr(AshHealth) good = trial_of("checks: [{name: a, file: /a}]");
	g_autoptr(AshHealth) broken = trial_of("checks: [{name: a, file: /a, failures: 1}]");
	g_autoptr(AshHealth) late = trial_of("checks: [{name: a, file: /a}]");

	result_at(good, 0, true, 10);
	result_at(good, 0, true, 70);
	g_assert_cmpint(verdict_at(good, 5000), ==, ASH_VERDICT_GOOD);

	result_at(broken, 0, true, 10);
	result_at(broken, 0, false, 20);
	result_at(broken, 0, true, 30);
	result_at(broken, 0, true, 90);
	g_assert_cmpint(verdict_at(broken, 90), ==, ASH_VERDICT_BAD);
	g_autofree char *reason = reason_at(broken, 90);
	g_assert_cmpstr(reason, ==,
			"required check 'a' passed and then failed 1 times in a row: gone");

	result_at(late, 0, true, 590);
	result_at(late, 0, true, 650);
	g_assert_cmpint(verdict_at(late, 650), ==, ASH_VERDICT_BAD);
}

static void test_reasons(void)
{
	g_autoptr(AshHealth) health = trial_of(two_required);

	result_at(health, 0, true, 1);
	g_autofree char *waiting = reason_at(health, 1);
	g_assert_cmpstr(waiting, ==, "1 of 2 required checks pass; 'b' has not run yet");
	result_at(health, 1, false, 1);
	g_autofree char *pending = reason_at(health, 1);
	g_assert_cmpstr(pending, ==, "1 of 2 required checks pass; 'b' fails: gone");
	g_autofree char *bad = reason_at(health, 600);
	g_assert_cmpstr(bad, ==,
			"the deadline of 600 s is over: 1 of 2 required checks pass; 'b' fails: gone");
	result_at(health, 1, true, 2);
	g_autofree char *soaking = reason_at(health, 2);
	g_assert_cmpstr(soaking, ==, "2 required checks pass, the soak time is 60 s");
	result_at(health, 0, true, 62);
	result_at(health, 1, true, 62);
	g_autofree char *good = reason_at(health, 62);
	g_assert_cmpstr(good, ==, "all 2 checks hold");
}

/* ---- in service ---------------------------------------------------------------------------------- */

static void test_service(void)
{
	g_autoptr(AshHealth) health = ash_health_new(spec_of(one_wanted), false, START);

	/* A service may take its time to start; one failure is none. */
	g_assert_cmpint(verdict_at(health, 0), ==, ASH_VERDICT_GOOD);
	g_assert_cmpint(ash_health_deadline_us(health), ==, INT64_MAX);
	result_at(health, 0, false, 0);
	result_at(health, 1, true, 3);
	g_assert_cmpint(verdict_at(health, 3), ==, ASH_VERDICT_GOOD);
	/* What failed is looked at again after a minute, what passed after five. */
	g_assert_cmpint(next_at(health, 3), ==, 60);
	g_assert_cmpint(ash_health_due(health, START + 59 * S), ==, -1);
	g_assert_cmpint(ash_health_due(health, START + 60 * S), ==, 0);
	result_at(health, 0, false, 60);
	g_assert_cmpint(verdict_at(health, 60), ==, ASH_VERDICT_GOOD);
	result_at(health, 0, false, 120);
	g_assert_cmpint(verdict_at(health, 120), ==, ASH_VERDICT_DEGRADED);
	g_autofree char *reason = reason_at(health, 120);
	g_assert_cmpstr(reason, ==, "required check 'a' fails (gone)");
	result_at(health, 0, true, 180);
	g_assert_cmpint(verdict_at(health, 180), ==, ASH_VERDICT_GOOD);
	/* Outside a trial nothing makes it bad. */
	for (int64_t s = 240; s < 3000; s += 60)
		result_at(health, 0, false, s);
	g_assert_cmpint(verdict_at(health, 3000), ==, ASH_VERDICT_DEGRADED);
}

/* Whoever declares a service says how often it is looked at. */
static void test_pace(void)
{
	g_autoptr(AshHealth) health =
			trial_of("soak: 0s\nchecks: [{name: a, file: /a, interval: 2s}, "
				 "{name: b, file: /b}]");

	ash_health_keep_pace(health);
	result_at(health, 0, true, 0);
	result_at(health, 1, true, 0);
	ash_health_end_trial(health, START + 1 * S);
	g_assert_cmpint(next_at(health, 1), ==, 2);
	result_at(health, 0, false, 2);
	g_assert_cmpint(next_at(health, 2), ==, 4);
	result_at(health, 0, true, 4);
	g_assert_cmpint(next_at(health, 4), ==, 6);
	/* What was left to us is looked at seldom. */
	g_assert_cmpint(ash_health_get(health, 1)->next_us, ==, START + 300 * S);
}

static void test_end_of_trial(void)
{
	g_autoptr(AshHealth) health = trial_of(one_wanted);

	result_at(health, 0, true, 0);
	for (int64_t s = 0; s <= 60; s += 20)
		result_at(health, 1, false, s);
	result_at(health, 0, true, 60);
	g_assert_cmpint(verdict_at(health, 60), ==, ASH_VERDICT_DEGRADED);
	ash_health_end_trial(health, START + 61 * S);
	/* What is known stays known, the pace changes. */
	g_assert_cmpint(verdict_at(health, 61), ==, ASH_VERDICT_DEGRADED);
	g_assert_cmpint(next_at(health, 61), ==, 120);
	result_at(health, 1, true, 120);
	g_assert_cmpint(verdict_at(health, 120), ==, ASH_VERDICT_GOOD);
	/* The deadline is that of the trial. */
	g_assert_cmpint(verdict_at(health, 6000), ==, ASH_VERDICT_GOOD);
}

static void test_nothing_to_do(void)
{
	g_autoptr(AshHealth) health = ash_health_new(ash_health_spec_new(), false, START);

	g_assert_cmpint(verdict_at(health, 0), ==, ASH_VERDICT_GOOD);
	g_assert_cmpint(next_at(health, 0), ==, -1);
	g_autofree char *reason = reason_at(health, 0);
	g_assert_cmpstr(reason, ==, "there are no checks");
}

/* ---- what a check prints, and how it ends -------------------------------------------------------- */

static void test_clean_text(void)
{
	static const struct {
		const char *data, *text;
	} cases[] = {
			{"", ""},
			{"\n \n\t\r\n", ""},
			{"all is well\n", "all is well"},
			{"\n\n  second line \r\nthird", "second line"},
			{"a\tb\x07\x1b[31mc\x7f", "a b[31mc"},
			{"caf\xc3\xa9 \xff", "caf\xc3\xa9 \xef\xbf\xbd"},
			{"\xe2\x80\xae"
			 "evil\xe2\x80\xa8two",
					"eviltwo"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *text = ash_health_clean_text(cases[i].data, strlen(cases[i].data));
		g_assert_cmpstr(text, ==, cases[i].text);
	}
	g_autofree char *nul = ash_health_clean_text("a\0b", 3);
	g_assert_true(g_utf8_validate(nul, -1, NULL));

	g_autofree char *exact = g_strnfill(ASH_HEALTH_MAX_TEXT_BYTES, 'x');
	g_autofree char *same = ash_health_clean_text(exact, strlen(exact));
	g_assert_cmpstr(same, ==, exact);
	g_autofree char *longer = g_strnfill(1 << 20, 'x');
	g_autofree char *cut = ash_health_clean_text(longer, strlen(longer));
	g_assert_cmpuint(strlen(cut), ==, ASH_HEALTH_MAX_TEXT_BYTES);
	g_assert_true(g_str_has_suffix(cut, "x…"));
}

static void test_judge(void)
{
	static const struct {
		AshHealthKind kind;
		const char *result;
		int status;
		const char *output;
		bool is_passing;
		const char *text;
	} cases[] = {
			{ASH_HEALTH_COMMAND, "success", 0, "", true, "exit code 0"},
			{ASH_HEALTH_COMMAND, "success", 0, "3 of 3\n", true, "3 of 3"},
			{ASH_HEALTH_COMMAND, "exit-code", 2, "", false, "exit code 2"},
			{ASH_HEALTH_COMMAND, "exit-code", 1, "no db", false, "exit code 1: no db"},
			{ASH_HEALTH_COMMAND, "exit-code", 203, "", false,
					"cannot be run (exit code 203)"},
			{ASH_HEALTH_COMMAND, "timeout", 15, "half", false,
					"not done within 1000 ms: half"},
			{ASH_HEALTH_COMMAND, "signal", 9, "", false, "killed by signal 9"},
			{ASH_HEALTH_COMMAND, "core-dump", 11, "", false, "killed by signal 11"},
			{ASH_HEALTH_COMMAND, "oom-kill", 9, "", false, "used too much memory"},
			{ASH_HEALTH_COMMAND, "resources", 0, "", false,
					"could not be run (resources)"},
			{ASH_HEALTH_HTTP, "exit-code", 1, "http://[::1]/: 503", false,
					"http://[::1]/: 503"},
			{ASH_HEALTH_HTTP, "exit-code", 2, "usage", false, "exit code 2: usage"},
			{ASH_HEALTH_HTTP, "success", 0, "http://[::1]/: 200", true,
					"http://[::1]/: 200"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const AshHealthCheck check = {.kind = cases[i].kind, .timeout_ms = 1000};
		g_autofree char *text = NULL;
		bool is_passing = ash_health_judge(&check, cases[i].result, cases[i].status,
				cases[i].output, strlen(cases[i].output), &text);
		g_assert_cmpint(is_passing, ==, cases[i].is_passing);
		g_assert_cmpstr(text, ==, cases[i].text);
	}
}

static void test_argv(void)
{
	static const char *const argvs[] = {NULL, "/usr/bin/probe|--x=$HOME|",
			"/usr/lib/ashlar/ashlar-check|--timeout|3000ms|tcp|[::1]:80",
			"/usr/lib/ashlar/ashlar-check|--timeout|10000ms|http|http://localhost/?a",
			"/usr/lib/ashlar/ashlar-check|--timeout|10000ms|dns|deb.example",
			"/usr/lib/ashlar/ashlar-check|--timeout|10000ms|file|/run/ready",
			"/usr/lib/ashlar/ashlar-check|--timeout|10000ms|space|/var|1048576|0"};
	g_autoptr(AshHealthSpec) spec =
			spec_of("checks:\n"
				"- {name: unit, unit: a.service}\n"
				"- {name: command, command: [/usr/bin/probe, "
				"--x=$HOME, \"\"]}\n"
				"- {name: tcp, timeout: 3s, tcp: \"[::1]:80\"}\n"
				"- {name: http, http: \"http://localhost/?a\"}\n"
				"- {name: dns, dns: deb.example}\n"
				"- {name: file, file: /run/ready}\n"
				"- {name: space, space: {path: /var, bytes: 1MiB}}\n");

	for (guint i = 0; i < spec->checks->len; i++) {
		const AshHealthCheck *check = spec->checks->pdata[i];
		g_auto(GStrv) argv = ash_health_argv(check);
		g_autofree char *joined = argv != NULL ? g_strjoinv("|", argv) : NULL;
		g_assert_cmpstr(joined, ==, argvs[i]);
		/* systemd steps in when the program did not end by itself. */
		g_assert_cmpuint(ash_health_unit_timeout_us(check), >=,
				(uint64_t) check->timeout_ms * 1000);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/health/trials", test_trials);
	g_test_add_func("/health/hanging", test_hanging);
	g_test_add_func("/health/late-question", test_late_question);
	g_test_add_func("/health/reasons", test_reasons);
	g_test_add_func("/health/service", test_service);
	g_test_add_func("/health/pace", test_pace);
	g_test_add_func("/health/end-of-trial", test_end_of_trial);
	g_test_add_func("/health/nothing-to-do", test_nothing_to_do);
	g_test_add_func("/health/clean-text", test_clean_text);
	g_test_add_func("/health/judge", test_judge);
	g_test_add_func("/health/argv", test_argv);
	return g_test_run();
}
