/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/rollout.h"

#include <string.h>

#include "tests/lib/rollout-desk.h"

/* A step without news writes nothing; a clock that goes back changes nothing. */
static void test_quiet(void)
{
	Desk desk;

	desk_open(&desk, plain, 10, 0);
	guint lines = desk.lines->len;
	later(&desk, 10);
	ash_rollout_reach(desk.rollout, id_of(3), ASH_ROLLOUT_READY);
	ash_rollout_join(desk.rollout, id_of(3), false, NULL);
	ash_rollout_at(desk.rollout, 5);
	ash_rollout_step(desk.rollout);
	g_assert_cmpuint(desk.lines->len, ==, lines);
	g_assert_cmpint(now_of(&desk).now_s, ==, desk.now);
	desk_close(&desk);
}

static void test_ledger_text(void)
{
	Desk desk;
	g_autoptr(GError) error = NULL;

	desk_open(&desk, plain, 1, 0);
	ash_rollout_offered(desk.rollout, id_of(0));
	ash_rollout_report(desk.rollout, id_of(0), ASH_ROLLOUT_SAID_FAILED, "",
			"two\nlines\x01 here ");
	later(&desk, 7);
	g_assert_true(ash_rollout_act(desk.rollout, ASH_ROLLOUT_CANCEL, "ann b", "", &error));
	g_ptr_array_add(desk.lines, NULL);
	g_autofree char *text = g_strjoinv("\n", (char **) desk.lines->pdata);
	g_ptr_array_set_size(desk.lines, (int) desk.lines->len - 1);
#define HOST0 "0000000000000000000000000000000000000000000000000000000000000000"
	g_assert_cmpstr(text, ==,
			"t 1000000\njoin " HOST0 "\nready " HOST0 "\nother " HOST0
			":8d2c264f\nstep\n"
			"> assign 1 " HOST0 "\noffered " HOST0 "\nfailed " HOST0
			":00000000 two lines  here\n"
			"> failed " HOST0 " two lines  here\nt 1000007\nstep\n"
			"> paused t=1000007 ring=1 m=1 f=1 halts=2 settled=1/1 "
			"1 of the first 1 hosts failed or are silent\ncancel ann_b\n"
			"> cancelled t=1000007 ring=1 m=1 f=1 halts=2 settled=1/1 cancelled by an operator");
	desk_close(&desk);
}

/* What the server did not see counts for nothing: not for a deadline, not for a soak; and is replayed. */
static void test_absent(void)
{
	Desk desk;

	desk_open(&desk,
			"{\"id\":\"r1\",\"release\":\"2\",\"commit\":\"cafe\",\"soak\":60,"
			"\"deadline\":300,\"first\":2}",
			2, 0);
	for (unsigned i = 0; i < 2; i++) {
		ash_rollout_offered(desk.rollout, id_of(i));
		report(&desk, i, ASH_ROLLOUT_SAID_REBOOT, "b0");
	}
	report(&desk, 1, ASH_ROLLOUT_SAID_GOOD, "b1");
	later(&desk, 30);
	desk.now += 7200;
	ash_rollout_at(desk.rollout, desk.now);
	ash_rollout_absent(desk.rollout, 7200);
	ash_rollout_step(desk.rollout);
	g_assert_cmpint(outcome_of(&desk, 0), ==, ASH_ROLLOUT_OFFERED);
	g_assert_cmpint(outcome_of(&desk, 1), ==, ASH_ROLLOUT_OFFERED);
	later(&desk, 29);
	g_assert_cmpint(outcome_of(&desk, 1), ==, ASH_ROLLOUT_OFFERED);
	later(&desk, 1);
	g_assert_cmpint(outcome_of(&desk, 1), ==, ASH_ROLLOUT_CONFIRMED);
	later(&desk, 239);
	g_assert_cmpint(outcome_of(&desk, 0), ==, ASH_ROLLOUT_OFFERED);
	later(&desk, 1);
	g_assert_cmpint(outcome_of(&desk, 0), ==, ASH_ROLLOUT_SILENT);
	desk_close(&desk);
}

static void test_lines_refused(void)
{
	static const char *const lines[] = {"", "step ", "t", "t 0", "t 01", "t 4000000001",
			"ready", "ready ", "ready zz", "ready " HOST0 " ", "ready " HOST0 "0",
			"ready " HOST0 "  " HOST0, "join c", "join g=a " HOST0, "good " HOST0,
			"good " HOST0 ":123", "failed " HOST0 " why", "resume ann", "resume  why",
			"> assign 1 " HOST0, "= begin 1", "= end", "=", "absent 0", "absent 2",
			"absent -1", "absent", "offered\t" HOST0, "\xff"};
	g_autofree char *longest = g_strnfill(ASH_ROLLOUT_MAX_LINE_BYTES + 1, 'x');
	AshRolloutSpec *spec = spec_of(plain);

	ash_rollout_spec_plan(spec, 10, 0);
	g_autoptr(AshRollout) rollout = ash_rollout_new(spec, NULL);
	for (unsigned i = 0; i <= G_N_ELEMENTS(lines); i++) {
		g_autoptr(GError) error = NULL;
		const char *line = i < G_N_ELEMENTS(lines) ? lines[i] : longest;
		g_test_message("'%.40s'", line);
		g_assert_false(ash_rollout_feed(rollout, line, &error));
		g_assert_true(error->domain == ASH_ROLLOUT_ERROR);
	}
}

/* A ledger that was changed, cut or added to does not agree. */
static void test_replay_differs(void)
{
	Desk desk;

	desk_open(&desk, plain, 20, 0);
	take(&desk);
	later(&desk, 60);
	g_autofree char *text = ash_rollout_spec_format(ash_rollout_spec(desk.rollout));
	for (guint i = 0; i < desk.lines->len; i++) {
		const char *line = desk.lines->pdata[i];
		if (line[0] != '>')
			continue;
		char *kept = desk.lines->pdata[i];
		g_autofree char *other = g_strconcat(line, "x", NULL);
		desk.lines->pdata[i] = other;
		g_autoptr(AshRollout) fresh = ash_rollout_new(spec_of(text), NULL);
		Reader reader = {desk.lines, 0, desk.lines->len};
		g_auto(AshRolloutReplay) replay = {0};
		g_autoptr(GError) error = NULL;
		g_assert_true(ash_rollout_replay(fresh, next_line, &reader, &replay, &error));
		g_assert_false(replay.agrees);
		g_assert_cmpuint(replay.first_difference, ==, i + 1);
		g_assert_cmpstr(replay.expected, ==, kept);
		desk.lines->pdata[i] = kept;

		AshRollout *loaded = NULL;
		Reader cut = {desk.lines, 0, i};
		g_assert_false(ash_rollout_load(spec_of(text), next_line, &cut, &loaded, &error));
		g_assert_error(error, ASH_ROLLOUT_ERROR, ASH_ROLLOUT_ERROR_LEDGER);
	}
	desk_close(&desk);
}

static void test_checkpoint(void)
{
	Desk desk;
	g_autoptr(GError) error = NULL;

	desk_open(&desk, plain, 500, 2);
	take(&desk);
	later(&desk, 60);
	take(&desk);
	later(&desk, 30);
	guint at = desk.lines->len;
	ash_rollout_checkpoint(desk.rollout);
	g_assert_true(ash_rollout_is_checkpoint(desk.lines->pdata[at]));
	report(&desk, 3, ASH_ROLLOUT_SAID_FAILED, "b9");
	later(&desk, 60);
	take(&desk);
	later(&desk, 60);

	/* From the checkpoint on: the same. */
	g_autofree char *text = ash_rollout_spec_format(ash_rollout_spec(desk.rollout));
	Reader reader = {desk.lines, at, desk.lines->len};
	g_autoptr(AshRollout) loaded = NULL;
	g_assert_true(ash_rollout_load(spec_of(text), next_line, &reader, &loaded, &error));
	g_assert_no_error(error);
	check_same(desk.rollout, loaded);
	desk_close(&desk);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/rollout-ledger/quiet", test_quiet);
	g_test_add_func("/rollout-ledger/ledger-text", test_ledger_text);
	g_test_add_func("/rollout-ledger/absent", test_absent);
	g_test_add_func("/rollout-ledger/lines-refused", test_lines_refused);
	g_test_add_func("/rollout-ledger/replay-differs", test_replay_differs);
	g_test_add_func("/rollout-ledger/checkpoint", test_checkpoint);
	return g_test_run();
}
