/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/rollout.h"

#include <string.h>

#include "lib/crypto.h"
#include "tests/lib/rollout-desk.h"

static void test_good_release(void)
{
	Desk desk;

	desk_open(&desk, plain, 100, 0);
	g_assert_cmpuint(desk.assigned, ==, 4);
	take(&desk);
	later(&desk, 59);
	g_assert_cmpuint(now_of(&desk).counts[ASH_ROLLOUT_CONFIRMED], ==, 0);
	later(&desk, 1);
	g_assert_cmpuint(now_of(&desk).counts[ASH_ROLLOUT_CONFIRMED], ==, 4);
	g_assert_cmpuint(desk.assigned, ==, 16);
	take(&desk);
	later(&desk, 60);
	g_assert_cmpuint(desk.assigned, ==, 64);
	take(&desk);
	later(&desk, 60);
	g_assert_cmpuint(desk.assigned, ==, 100);
	take(&desk);
	later(&desk, 60);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_FINISHED);
	g_assert_cmpint(ash_rollout_due(desk.rollout), ==, INT64_MAX);
	desk_close(&desk);
}

static void test_order_is_by_rank_and_canaries_first(void)
{
	Desk desk;

	desk_open(&desk, plain, 50, 3);
	g_autoptr(GArray) first = assigned(&desk);
	g_assert_cmpuint(first->len, ==, 3);
	for (guint i = 0; i < first->len; i++)
		g_assert_cmpuint(g_array_index(first, unsigned, i), <, 3);
	take(&desk);
	later(&desk, 60);
	g_autoptr(GArray) second = assigned(&desk);
	g_assert_cmpuint(second->len, ==, 9); /* 3 × 4 in all */
	for (guint i = 1; i < second->len; i++) {
		uint64_t before = ash_rollout_rank(
				"r1", id_of(g_array_index(second, unsigned, i - 1)));
		g_assert_cmpuint(before, <,
				ash_rollout_rank("r1", id_of(g_array_index(second, unsigned, i))));
	}
	desk_close(&desk);
}

/* The formula of the design, by hand. */
static void test_rank(void)
{
	g_autofree char *id = g_strnfill(64, '0');
	g_autofree char *text = g_strdup_printf("roll%c%s", 1, id);
	uint8_t zero[ASH_ROLLOUT_ID_BYTES] = {0};

	text[4] = '\0';
	g_autofree char *hex = ash_sha256_hex(text, 5 + 64);
	hex[16] = '\0';
	g_assert_cmpuint(ash_rollout_rank("roll", zero), ==, g_ascii_strtoull(hex, NULL, 16));
}

static void test_canary_guard(void)
{
	Desk desk;
	g_autoptr(GError) error = NULL;

	desk_open(&desk, plain, 100, 0);
	g_autoptr(GArray) first = assigned(&desk);
	unsigned host = g_array_index(first, unsigned, 0);
	ash_rollout_offered(desk.rollout, id_of(host));
	ash_rollout_report(
			desk.rollout, id_of(host), ASH_ROLLOUT_SAID_FAILED, "b1", "web: refused");
	later(&desk, 1);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_PAUSED);
	g_assert_cmpuint(desk.withdrawn, ==, 3); /* who had not come for it */

	g_assert_false(ash_rollout_act(desk.rollout, ASH_ROLLOUT_RESUME, "ann", " ", &error));
	g_assert_error(error, ASH_ROLLOUT_ERROR, ASH_ROLLOUT_ERROR_REASON);
	g_clear_error(&error);
	g_assert_true(ash_rollout_act(
			desk.rollout, ASH_ROLLOUT_RESUME, "ann", "a broken disk", &error));
	later(&desk, 1);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_RUNNING);
	g_assert_cmpuint(now_of(&desk).open, ==, 3);
	g_assert_false(ash_rollout_act(desk.rollout, ASH_ROLLOUT_RESUME, "ann", "x", &error));
	g_assert_error(error, ASH_ROLLOUT_ERROR, ASH_ROLLOUT_ERROR_STATE);
	desk_close(&desk);
}

/* Two of four is the limit at 1 %: halted, and nobody else gets it. */
static void test_halt_and_resume(void)
{
	Desk desk;
	g_autoptr(GError) error = NULL;

	desk_open(&desk, plain, 100, 0);
	g_autoptr(GArray) first = assigned(&desk);
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *id = id_of(g_array_index(first, unsigned, i));
		ash_rollout_offered(desk.rollout, id);
		ash_rollout_report(desk.rollout, id, ASH_ROLLOUT_SAID_FAILED, "b1", "no");
	}
	later(&desk, 1);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_HALTED);
	later(&desk, 100000);
	g_assert_cmpuint(desk.assigned, ==, 4);

	/* f and m stay: it goes on without a new failure, one more halts it again. */
	g_assert_true(ash_rollout_act(desk.rollout, ASH_ROLLOUT_RESUME, "ann", "known", &error));
	later(&desk, 1);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_RUNNING);
	g_assert_cmpuint(now_of(&desk).failures, ==, 2);
	g_autoptr(GArray) again = assigned(&desk);
	g_assert_cmpuint(again->len, ==, 2);
	ash_rollout_offered(desk.rollout, id_of(g_array_index(again, unsigned, 0)));
	report(&desk, g_array_index(again, unsigned, 0), ASH_ROLLOUT_SAID_FAILED, "b1");
	later(&desk, 1);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_HALTED);

	/* At the next limit (16: 3 failures) the table rules alone. */
	g_assert_true(ash_rollout_act(desk.rollout, ASH_ROLLOUT_RESUME, "ann", "known", &error));
	later(&desk, 1);
	take(&desk);
	later(&desk, 60);
	g_assert_cmpuint(now_of(&desk).ring, ==, 2);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_HALTED);
	g_assert_cmpuint(now_of(&desk).open, ==, 0);
	desk_close(&desk);
}

/* A host that was offered it and has not begun loses it at a halt; when it took it all the same, its news count. */
static void test_offered_at_halt(void)
{
	Desk desk;

	desk_open(&desk, plain, 100, 0);
	g_autoptr(GArray) first = assigned(&desk);
	for (unsigned i = 0; i < 4; i++)
		ash_rollout_offered(desk.rollout, id_of(g_array_index(first, unsigned, i)));
	report(&desk, g_array_index(first, unsigned, 0), ASH_ROLLOUT_SAID_FAILED, "b1");
	report(&desk, g_array_index(first, unsigned, 1), ASH_ROLLOUT_SAID_FAILED, "b1");
	report(&desk, g_array_index(first, unsigned, 2), ASH_ROLLOUT_SAID_REBOOT, "b0");
	later(&desk, 1);
	g_assert_cmpint(outcome_of(&desk, g_array_index(first, unsigned, 2)), ==,
			ASH_ROLLOUT_OFFERED);
	g_assert_cmpint(outcome_of(&desk, g_array_index(first, unsigned, 3)), ==,
			ASH_ROLLOUT_WITHDRAWN);
	g_assert_cmpuint(desk.withdrawn, ==, 1);
	report(&desk, g_array_index(first, unsigned, 3), ASH_ROLLOUT_SAID_FAILED, "b1");
	later(&desk, 1);
	g_assert_cmpuint(now_of(&desk).failures, ==, 3);
	desk_close(&desk);
}

/* Each step of @desk until nothing is due now; the most that one of them took back or sent back. */
static unsigned run_out(Desk *desk, const unsigned *counter)
{
	unsigned most = 0;

	while (ash_rollout_due(desk->rollout) <= desk->now) {
		unsigned before = *counter;
		ash_rollout_step(desk->rollout);
		most = MAX(most, *counter - before);
	}
	return most;
}

/* A large ring is taken back piece by piece, so that no step is a long transaction; the state is told at once, and a server
 * that ends between goes on. (desk_close replays.)
 */
static void test_large_ring_stops(void)
{
	static const char large[] = "{\"id\":\"r1\",\"release\":\"2\",\"commit\":\"cafe\","
				    "\"first\":2000}";
	static const struct {
		AshRolloutAct act;
		AshRolloutState state;
		unsigned stays; /* of those that have not begun */
	} cases[] = {
			{ASH_ROLLOUT_PAUSE, ASH_ROLLOUT_PAUSED, 1000},
			{ASH_ROLLOUT_CANCEL, ASH_ROLLOUT_CANCELLED, 0},
			{ASH_ROLLOUT_REVERT, ASH_ROLLOUT_REVERTED, 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		Desk desk;
		g_autoptr(GError) error = NULL;
		desk_open(&desk, large, 2000, 0);
		g_assert_cmpuint(run_out(&desk, &desk.assigned), ==, ASH_ROLLOUT_MAX_STEP_HOSTS);
		g_assert_cmpuint(desk.assigned, ==, 2000);
		for (unsigned n = 0; n < 1000; n++)
			ash_rollout_offered(desk.rollout, id_of(n));
		g_assert_true(ash_rollout_act(desk.rollout, cases[i].act, "ann", "why", &error));
		g_assert_cmpint(now_of(&desk).state, !=, ASH_ROLLOUT_RUNNING);
		ash_rollout_step(desk.rollout);
		g_assert_cmpuint(desk.withdrawn, ==, ASH_ROLLOUT_MAX_STEP_HOSTS);
		/* One that took it meanwhile is behind what was looked at. */
		ash_rollout_checkpoint(desk.rollout);
		ash_rollout_offered(desk.rollout, id_of(1));
		g_assert_cmpuint(run_out(&desk, &desk.withdrawn), <=, ASH_ROLLOUT_MAX_STEP_HOSTS);
		g_assert_cmpint(now_of(&desk).state, ==, cases[i].state);
		g_assert_cmpuint(now_of(&desk).open, ==, cases[i].stays);
		desk_close(&desk);
	}
}

/* So is a revert: 1000 that run it are sent back by 250 at a time. */
static void test_large_revert(void)
{
	static const char large[] = "{\"id\":\"r1\",\"release\":\"2\",\"commit\":\"cafe\","
				    "\"first\":2000,\"soak\":60}";
	Desk desk;
	g_autoptr(GError) error = NULL;

	desk_open(&desk, large, 1000, 0);
	run_out(&desk, &desk.assigned);
	for (unsigned n = 0; n < 1000; n++) {
		ash_rollout_offered(desk.rollout, id_of(n));
		report(&desk, n, ASH_ROLLOUT_SAID_GOOD, "b1");
	}
	g_assert_true(ash_rollout_act(desk.rollout, ASH_ROLLOUT_REVERT, "ann", "why", &error));
	g_assert_cmpuint(run_out(&desk, &desk.returned), ==, ASH_ROLLOUT_MAX_STEP_HOSTS);
	g_assert_cmpuint(desk.returned, ==, 1000);
	desk_close(&desk);
}

static void test_silence(void)
{
	/* What it says after its offer, and after how long it is what. */
	static const struct {
		const char *name;
		AshRolloutSaid said;
		AshRolloutReach reach;
		int64_t not_yet, then;
		AshRolloutOutcome outcome;
	} cases[] = {
			{"waits for its own window", ASH_ROLLOUT_SAID_OTHER, ASH_ROLLOUT_CLOSED,
					86399, 1, ASH_ROLLOUT_SILENT},
			{"lost after the offer", ASH_ROLLOUT_SAID_OTHER, ASH_ROLLOUT_AWAY, 5399, 1,
					ASH_ROLLOUT_SILENT},
			{"did not come back", ASH_ROLLOUT_SAID_REBOOT, ASH_ROLLOUT_AWAY, 5399, 1,
					ASH_ROLLOUT_SILENT},
			{"booted, never healthy", ASH_ROLLOUT_SAID_TRIAL, ASH_ROLLOUT_READY, 5399,
					1, ASH_ROLLOUT_FAILED},
			{"healthy, then lost", ASH_ROLLOUT_SAID_GOOD, ASH_ROLLOUT_AWAY, 5399, 1,
					ASH_ROLLOUT_SILENT},
			{"healthy", ASH_ROLLOUT_SAID_GOOD, ASH_ROLLOUT_READY, 59, 1,
					ASH_ROLLOUT_CONFIRMED},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		Desk desk;
		desk_open(&desk, plain, 1, 0);
		g_test_message("%s", cases[i].name);
		ash_rollout_offered(desk.rollout, id_of(0));
		if (cases[i].said != ASH_ROLLOUT_SAID_OTHER)
			report(&desk, 0, cases[i].said, "b1");
		ash_rollout_reach(desk.rollout, id_of(0), cases[i].reach);
		later(&desk, cases[i].not_yet);
		g_assert_cmpint(outcome_of(&desk, 0), ==, ASH_ROLLOUT_OFFERED);
		later(&desk, cases[i].then);
		g_assert_cmpint(outcome_of(&desk, 0), ==, cases[i].outcome);
		desk_close(&desk);
	}
}

static void test_came_back_with_another(void)
{
	Desk desk;

	desk_open(&desk, plain, 2, 0);
	ash_rollout_offered(desk.rollout, id_of(0));
	ash_rollout_offered(desk.rollout, id_of(1));
	report(&desk, 0, ASH_ROLLOUT_SAID_REBOOT, "b0");
	report(&desk, 1, ASH_ROLLOUT_SAID_REBOOT, "b0");
	report(&desk, 0, ASH_ROLLOUT_SAID_OTHER, "b0"); /* put off */
	report(&desk, 1, ASH_ROLLOUT_SAID_OTHER, "b1");
	g_assert_cmpint(outcome_of(&desk, 0), ==, ASH_ROLLOUT_OFFERED);
	g_assert_cmpint(outcome_of(&desk, 1), ==, ASH_ROLLOUT_FAILED);
	desk_close(&desk);
}

static void test_late_confirmation_stays_counted(void)
{
	Desk desk;

	desk_open(&desk, plain, 1, 0);
	ash_rollout_offered(desk.rollout, id_of(0));
	report(&desk, 0, ASH_ROLLOUT_SAID_REBOOT, "b0");
	later(&desk, 5400);
	g_assert_cmpint(outcome_of(&desk, 0), ==, ASH_ROLLOUT_SILENT);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_PAUSED);
	report(&desk, 0, ASH_ROLLOUT_SAID_GOOD, "b1");
	later(&desk, 60);
	g_assert_cmpint(outcome_of(&desk, 0), ==, ASH_ROLLOUT_CONFIRMED);
	g_assert_cmpuint(now_of(&desk).failures, ==, 1);
	desk_close(&desk);
}

/* An assigned host that does not come gives its place to the next, and has another turn later. */
static void test_lapse(void)
{
	Desk desk;

	desk_open(&desk, plain, 5, 0);
	g_autoptr(GArray) first = assigned(&desk);
	g_assert_cmpuint(first->len, ==, 4);
	for (unsigned i = 0; i < 3; i++)
		ash_rollout_offered(desk.rollout, id_of(g_array_index(first, unsigned, i)));
	unsigned lost = g_array_index(first, unsigned, 3);
	later(&desk, 899);
	g_assert_cmpint(outcome_of(&desk, lost), ==, ASH_ROLLOUT_ASSIGNED);
	later(&desk, 1);
	g_assert_cmpint(outcome_of(&desk, lost), ==, ASH_ROLLOUT_WITHDRAWN);
	g_assert_cmpuint(desk.assigned, ==, 5);
	later(&desk, 900);
	g_assert_cmpint(outcome_of(&desk, lost), ==, ASH_ROLLOUT_ASSIGNED);
	desk_close(&desk);
}

static void test_unready_hosts_hold_nothing_up(void)
{
	Desk desk;

	desk_open(&desk, plain, 10, 0);
	g_autoptr(GArray) first = assigned(&desk);
	desk_close(&desk);

	/* The same fleet, but the first four are away: four others are taken. */
	desk_open(&desk, "{\"id\":\"r1\",\"release\":\"2\",\"commit\":\"cafe\",\"patience\":1000}",
			0, 0);
	ash_rollout_free(desk.rollout);
	AshRolloutSpec *spec = spec_of("{\"id\":\"r1\",\"release\":\"2\",\"commit\":\"cafe\","
				       "\"soak\":60,\"patience\":1000}");
	ash_rollout_spec_plan(spec, 10, 0);
	g_ptr_array_set_size(desk.lines, 0);
	AshRolloutSink sink = {keep_line, keep_decision, &desk};
	desk.rollout = ash_rollout_new(spec, &sink);
	for (unsigned i = 0; i < 10; i++) {
		bool is_away = false;
		for (unsigned j = 0; j < 4; j++)
			is_away = is_away || g_array_index(first, unsigned, j) == i;
		ash_rollout_join(desk.rollout, id_of(i), false, NULL);
		ash_rollout_reach(desk.rollout, id_of(i),
				is_away ? ASH_ROLLOUT_AWAY : ASH_ROLLOUT_READY);
	}
	later(&desk, 1);
	take(&desk);
	later(&desk, 60);
	take(&desk);
	later(&desk, 60);
	g_assert_cmpuint(now_of(&desk).counts[ASH_ROLLOUT_CONFIRMED], ==, 6);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_RUNNING);
	/* Nobody else comes for as long as patience lasts. */
	later(&desk, 999);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_RUNNING);
	g_assert_cmpint(ash_rollout_due(desk.rollout), ==, desk.now + 1);
	later(&desk, 1);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_FINISHED);
	desk_close(&desk);
}

static void test_budgets_and_in_flight(void)
{
	Desk desk;
	AshRolloutSpec *spec = spec_of(
			"{\"id\":\"r1\",\"release\":\"2\",\"commit\":\"cafe\",\"soak\":0,\"first\":50,"
			"\"max_in_flight\":7,\"budgets\":[{\"label\":\"site\",\"max\":3},"
			"{\"label\":\"role\",\"max\":\"10%\"}]}");

	desk_open(&desk, plain, 0, 0);
	ash_rollout_free(desk.rollout);
	g_ptr_array_set_size(desk.lines, 0);
	desk.assigned = 0;
	ash_rollout_spec_plan(spec, 60, 0);
	AshRolloutSink sink = {keep_line, keep_decision, &desk};
	desk.rollout = ash_rollout_new(spec, &sink);
	for (unsigned i = 0; i < 60; i++) {
		const char *groups[] = {i % 2 == 0 ? "bern, west" : "", i < 20 ? "db" : "web"};
		ash_rollout_join(desk.rollout, id_of(i), false, groups);
		ash_rollout_reach(desk.rollout, id_of(i), ASH_ROLLOUT_READY);
	}
	later(&desk, 1);
	g_autoptr(GArray) open = assigned(&desk);
	unsigned bern = 0, db = 0, web = 0;
	for (guint i = 0; i < open->len; i++) {
		unsigned host = g_array_index(open, unsigned, i);
		bern += host % 2 == 0;
		db += host < 20;
		web += host >= 20;
	}
	g_assert_cmpuint(bern, <=, 3);
	g_assert_cmpuint(db, ==, 2);  /* 10 % of 20 */
	g_assert_cmpuint(web, ==, 4); /* of 40 */
	g_assert_cmpuint(open->len, ==, 6);
	desk_close(&desk);
}

static void test_late_joiner(void)
{
	Desk desk;

	desk_open(&desk, plain, 100, 0);
	take(&desk);
	later(&desk, 60); /* ring 2: 16, all taken */
	/* One that comes before all others by its rank. */
	unsigned late = 1000;
	while (ash_rollout_rank("r1", id_of(late)) > UINT64_MAX / 2000)
		late++;
	ash_rollout_join(desk.rollout, id_of(late), false, NULL);
	ash_rollout_reach(desk.rollout, id_of(late), ASH_ROLLOUT_READY);
	later(&desk, 1);
	g_assert_cmpint(outcome_of(&desk, late), ==, ASH_ROLLOUT_WAITING); /* no place is free */
	g_autoptr(GArray) second = assigned(&desk);
	ash_rollout_leave(desk.rollout, id_of(g_array_index(second, unsigned, 5)));
	later(&desk, 1);
	g_assert_cmpint(outcome_of(&desk, late), ==, ASH_ROLLOUT_ASSIGNED); /* the first in line */
	g_assert_cmpuint(now_of(&desk).taken, ==, 16);
	desk_close(&desk);
}

static void test_already(void)
{
	Desk desk;

	desk_open(&desk, plain, 3, 0);
	g_assert_cmpuint(desk.assigned, ==, 3);
	ash_rollout_join(desk.rollout, id_of(77), false, NULL);
	report(&desk, 77, ASH_ROLLOUT_SAID_GOOD, "b0");
	g_assert_cmpint(outcome_of(&desk, 77), ==, ASH_ROLLOUT_ALREADY);
	take(&desk);
	later(&desk, 60);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_FINISHED);
	desk_close(&desk);

	/* Where it was bad before, it is not offered again. */
	desk_open(&desk, plain, 1, 0);
	ash_rollout_join(desk.rollout, id_of(5), false, NULL);
	ash_rollout_reach(desk.rollout, id_of(5), ASH_ROLLOUT_READY);
	report(&desk, 5, ASH_ROLLOUT_SAID_FAILED, "b0");
	ash_rollout_leave(desk.rollout, id_of(0)); /* its place is free */
	later(&desk, 1);
	g_assert_cmpint(outcome_of(&desk, 5), ==, ASH_ROLLOUT_WAITING);
	report(&desk, 5, ASH_ROLLOUT_SAID_OTHER, "b0"); /* forgiven */
	later(&desk, 1);
	g_assert_cmpint(outcome_of(&desk, 5), ==, ASH_ROLLOUT_ASSIGNED);
	desk_close(&desk);
}

static void test_revert(void)
{
	Desk desk;
	g_autoptr(GError) error = NULL;

	desk_open(&desk, plain, 30, 0);
	take(&desk);
	later(&desk, 60);
	take(&desk);
	g_autoptr(GArray) none = assigned(&desk);
	g_assert_cmpuint(none->len, ==, 0);
	g_assert_true(ash_rollout_act(desk.rollout, ASH_ROLLOUT_REVERT, "ann", "slow", &error));
	later(&desk, 1);
	g_assert_cmpuint(desk.returned, ==, 4);
	for (unsigned i = 0; i < 30; i++)
		report(&desk, i, ASH_ROLLOUT_SAID_OTHER, "b2");
	later(&desk, 1);
	g_assert_cmpuint(now_of(&desk).counts[ASH_ROLLOUT_RETURNED], ==, 4);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_REVERTED);
	desk_close(&desk);

	/* By rings, and one that does not come back holds its ring up only so long. */
	desk_open(&desk, plain, 30, 0);
	take(&desk);
	later(&desk, 60);
	take(&desk);
	later(&desk, 60);
	g_assert_true(ash_rollout_act(desk.rollout, ASH_ROLLOUT_REVERT, "ann", "slow", &error));
	later(&desk, 1);
	g_assert_cmpuint(desk.returned, ==, 4);
	later(&desk, 5399);
	g_assert_cmpuint(desk.returned, ==, 4);
	later(&desk, 1);
	g_assert_cmpuint(desk.returned, ==, 16);
	for (unsigned i = 0; i < 30; i++)
		report(&desk, i, ASH_ROLLOUT_SAID_OTHER, "b2");
	later(&desk, 1);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_REVERTED);
	g_assert_cmpuint(now_of(&desk).counts[ASH_ROLLOUT_RETURNED], ==, 16);
	desk_close(&desk);
}

static void test_halt_reverts(void)
{
	Desk desk;

	desk_open(&desk,
			"{\"id\":\"r1\",\"release\":\"2\",\"commit\":\"cafe\",\"soak\":60,"
			"\"on_halt\":\"revert\"}",
			100, 0);
	take(&desk);
	later(&desk, 60);
	g_autoptr(GArray) second = assigned(&desk);
	for (unsigned i = 0; i < 3; i++) {
		ash_rollout_offered(desk.rollout, id_of(g_array_index(second, unsigned, i)));
		report(&desk, g_array_index(second, unsigned, i), ASH_ROLLOUT_SAID_FAILED, "b1");
	}
	later(&desk, 1);
	g_assert_cmpint(now_of(&desk).state, ==, ASH_ROLLOUT_REVERTING);
	g_assert_cmpuint(desk.returned, ==,
			4); /* the first ring took it, the failed went back alone */
	desk_close(&desk);
}

static void test_ring_pause(void)
{
	Desk desk;

	desk_open(&desk,
			"{\"id\":\"r1\",\"release\":\"2\",\"commit\":\"cafe\",\"soak\":60,"
			"\"ring_pause\":600}",
			100, 0);
	take(&desk);
	later(&desk, 60);
	g_assert_cmpuint(desk.assigned, ==, 4);
	g_assert_cmpint(ash_rollout_due(desk.rollout), ==, desk.now + 600);
	later(&desk, 599);
	g_assert_cmpuint(desk.assigned, ==, 4);
	later(&desk, 1);
	g_assert_cmpuint(desk.assigned, ==, 16);
	desk_close(&desk);
}

static void test_why(void)
{
	Desk desk;

	desk_open(&desk, plain, 100, 0);
	g_autoptr(GArray) first = assigned(&desk);
	unsigned waiting = 0;
	while (outcome_of(&desk, waiting) != ASH_ROLLOUT_WAITING)
		waiting++;
	g_auto(AshRolloutWhy) why = {0};
	ash_rollout_why(desk.rollout, id_of(waiting), &why);
	g_assert_cmpint(why.blocker, ==, ASH_ROLLOUT_WHY_RING);
	ash_rollout_why_clear(&why);
	ash_rollout_reach(desk.rollout, id_of(waiting), ASH_ROLLOUT_CLOSED);
	ash_rollout_why(desk.rollout, id_of(waiting), &why);
	g_assert_cmpint(why.blocker, ==, ASH_ROLLOUT_WHY_READY);
	ash_rollout_why_clear(&why);
	ash_rollout_why(desk.rollout, id_of(g_array_index(first, unsigned, 0)), &why);
	g_assert_cmpint(why.blocker, ==, ASH_ROLLOUT_WHY_OFFERED);
	ash_rollout_why_clear(&why);
	take(&desk);
	ash_rollout_why(desk.rollout, id_of(g_array_index(first, unsigned, 0)), &why);
	g_assert_cmpint(why.blocker, ==, ASH_ROLLOUT_WHY_SETTLED);
	ash_rollout_why_clear(&why);
	later(&desk, 60);
	ash_rollout_why(desk.rollout, id_of(g_array_index(first, unsigned, 0)), &why);
	g_assert_cmpint(why.blocker, ==, ASH_ROLLOUT_WHYS);
	ash_rollout_why_clear(&why);
	ash_rollout_why(desk.rollout, id_of(9999), &why);
	g_assert_cmpint(why.blocker, ==, ASH_ROLLOUT_WHY_CANDIDATE);
	desk_close(&desk);
}

static void test_said(void)
{
	static const struct {
		const char *commit, *failed, *state, *verdict;
		AshRolloutSaid said;
	} cases[] = {
			{"old", "", "idle", "good", ASH_ROLLOUT_SAID_OTHER},
			{"old", "", "fetching", "good", ASH_ROLLOUT_SAID_OTHER},
			{"old", "", "rebooting", "good", ASH_ROLLOUT_SAID_REBOOT},
			{"cafe", "", "trial", "pending", ASH_ROLLOUT_SAID_TRIAL},
			{"cafe", "", "idle", "good", ASH_ROLLOUT_SAID_GOOD},
			{"cafe", "", "idle", "degraded", ASH_ROLLOUT_SAID_TRIAL},
			{"cafe", "", "returning", "bad", ASH_ROLLOUT_SAID_FAILED},
			{"old", "cafe", "idle", "good", ASH_ROLLOUT_SAID_FAILED},
			{"old", "beef", "idle", "good", ASH_ROLLOUT_SAID_OTHER},
			{NULL, NULL, NULL, NULL, ASH_ROLLOUT_SAID_OTHER},
	};
	g_autoptr(AshRolloutSpec) spec = spec_of(plain);

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
		g_assert_cmpint(ash_rollout_said(spec, cases[i].commit, cases[i].failed,
						cases[i].state, cases[i].verdict),
				==, cases[i].said);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/rollout/good-release", test_good_release);
	g_test_add_func("/rollout/order", test_order_is_by_rank_and_canaries_first);
	g_test_add_func("/rollout/rank", test_rank);
	g_test_add_func("/rollout/canary-guard", test_canary_guard);
	g_test_add_func("/rollout/halt-and-resume", test_halt_and_resume);
	g_test_add_func("/rollout/offered-at-halt", test_offered_at_halt);
	g_test_add_func("/rollout/large-ring-stops", test_large_ring_stops);
	g_test_add_func("/rollout/large-revert", test_large_revert);
	g_test_add_func("/rollout/silence", test_silence);
	g_test_add_func("/rollout/came-back-with-another", test_came_back_with_another);
	g_test_add_func("/rollout/late-confirmation", test_late_confirmation_stays_counted);
	g_test_add_func("/rollout/lapse", test_lapse);
	g_test_add_func("/rollout/unready", test_unready_hosts_hold_nothing_up);
	g_test_add_func("/rollout/budgets", test_budgets_and_in_flight);
	g_test_add_func("/rollout/late-joiner", test_late_joiner);
	g_test_add_func("/rollout/already", test_already);
	g_test_add_func("/rollout/revert", test_revert);
	g_test_add_func("/rollout/halt-reverts", test_halt_reverts);
	g_test_add_func("/rollout/ring-pause", test_ring_pause);
	g_test_add_func("/rollout/why", test_why);
	g_test_add_func("/rollout/said", test_said);
	return g_test_run();
}
