/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/why.h"

enum {
	NOW = 1800000000, /* a Friday, 08:00 */
};

static const AshPair channel[] = {{"channel", "stable"}};
static const AshPair unknown_channel[] = {{"channel", "beta"}};

static AshDesiredBook *book(void)
{
	static const AshDesiredRelease releases[] = {
			{1, "host", "", "amd64", "1.0", "c1.0", "", "", "", false},
			{2, "host", "", "amd64", "1.5", "c1.5", "", "", "", true},
			{3, "host", "", "amd64", "2.0", "c2.0", "", "", "", false},
			{4, "host", "", "amd64", "3.0", "c3.0", "", "", "it is slow", false},
			{5, "host", "", "amd64", "0.9", "c0.9", "", "no room", "", false},
	};
	static const char *const night[] = {"02:00-05:00", NULL};
	AshDesiredBook *book = ash_desired_book_new();

	for (size_t i = 0; i < G_N_ELEMENTS(releases); i++)
		ash_desired_book_add_release(book, &releases[i]);
	ash_desired_book_add_channel(book, "stable", 3);
	g_assert_true(ash_desired_book_add_policy(
			book, "nights", 1, "name = sleeper", night, 0, NULL));
	return book;
}

static AshHost host(void)
{
	return (AshHost){.name = "edge",
			.state = ASH_HOST_ACTIVE,
			.health = ASH_HEALTH_GOOD,
			.last_seen_s = NOW - 10,
			.agent_state = "idle",
			.verdict = "good",
			.commit = "c1.5",
			.version = "1.5",
			.image = "host",
			.variant = "",
			.arch = "amd64",
			.failed_commit = "",
			.rollout = "",
			.labels = channel,
			.label_count = 1};
}

/* What each case changes of a host that its channel wants to take 2.0. */
static void as_it_is(AshHost *host, AshWhyFacts *facts)
{
}
static void told(AshHost *host, AshWhyFacts *facts)
{
	host->release = 3;
}
static void up_to_date(AshHost *host, AshWhyFacts *facts)
{
	host->commit = "c2.0";
	host->version = "2.0";
}
static void newer(AshHost *host, AshWhyFacts *facts)
{
	host->commit = "c9";
	host->version = "9.0";
}
static void pending(AshHost *host, AshWhyFacts *facts)
{
	host->state = ASH_HOST_PENDING;
}
static void held(AshHost *host, AshWhyFacts *facts)
{
	host->state = ASH_HOST_HELD;
	facts->reason = "two hosts say that they are this one";
}
static void retired(AshHost *host, AshWhyFacts *facts)
{
	host->state = ASH_HOST_RETIRED;
	facts->reason = "sold";
}
static void never_seen(AshHost *host, AshWhyFacts *facts)
{
	host->last_seen_s = 0;
}
static void silent(AshHost *host, AshWhyFacts *facts)
{
	host->health = ASH_HEALTH_SILENT;
	host->last_seen_s = 1767225600;
}
static void no_channel(AshHost *host, AshWhyFacts *facts)
{
	host->label_count = 0;
}
static void other_channel(AshHost *host, AshWhyFacts *facts)
{
	host->labels = unknown_channel;
}
static void misfit(AshHost *host, AshWhyFacts *facts)
{
	host->arch = "arm64";
}
static void behind(AshHost *host, AshWhyFacts *facts)
{
	host->commit = "c1.0";
	host->version = "1.0";
}
static void dead_end(AshHost *host, AshWhyFacts *facts)
{
	host->commit = "c0.9";
	host->version = "0.9";
}
static void failed(AshHost *host, AshWhyFacts *facts)
{
	host->failed_commit = "c2.0";
}
static void sleeping(AshHost *host, AshWhyFacts *facts)
{
	host->name = "sleeper";
	host->release = 3;
}
static void fetching(AshHost *host, AshWhyFacts *facts)
{
	host->release = 3;
	host->agent_state = "fetching";
}
static void blocked(AshHost *host, AshWhyFacts *facts)
{
	host->release = 3;
	facts->own_blocker = "somebody is logged in";
}
static void stuck(AshHost *host, AshWhyFacts *facts)
{
	host->release = 3;
	host->said = ASH_HOST_SAID_STUCK;
	facts->own_blocker = "there is no room";
}
static void by_hand(AshHost *host, AshWhyFacts *facts)
{
	host->release = 3;
	host->label_count = 0;
	facts->is_by_hand = true;
}
static void in_rollout(AshHost *host, AshWhyFacts *facts)
{
	static char running[] = "the rollout is running", heard[] = "it is heard of",
		    ready[] = "nothing keeps it", ring[] = "ring 1 holds 4 hosts";
	static const AshRolloutWhy why = {
			.met = {true, true, true, true},
			.text = {running, running, heard, ready, ring},
			.blocker = ASH_ROLLOUT_WHY_RING,
			.next_s = NOW + 60,
	};

	host->label_count = 0;
	facts->rollout = "abc";
	facts->rollout_name = "autumn";
	facts->rollout_release = 3;
	facts->rollout_why = &why;
}
static void starting(AshHost *host, AshWhyFacts *facts)
{
	in_rollout(host, facts);
	facts->rollout_why = NULL;
}
static void behind_in_rollout(AshHost *host, AshWhyFacts *facts)
{
	in_rollout(host, facts);
	behind(host, facts);
	facts->rollout_why = NULL;
}
static void in_two_rollouts(AshHost *host, AshWhyFacts *facts)
{
	in_rollout(host, facts);
	facts->other_rollouts = "rollout 'spring' to 3.0 (running)";
}
static void withdrawn(AshHost *host, AshWhyFacts *facts)
{
	in_rollout(host, facts);
	facts->rollout_release = 4;
}

static const struct {
	void (*change)(AshHost *host, AshWhyFacts *facts);
	AshWhyAnswer answer;
	int64_t next_s;
	const char *condition, *blocker; /* the last, and what it says unless it is met */
	const char *said;                /* among the conditions; NULL: anything */
} cases[] = {
		{as_it_is, ASH_WHY_WAITING, NOW, "offered",
				"it will be told with its next check-in"},
		{told, ASH_WHY_WAITING, NOW, "host", "it was told, and has not begun yet"},
		{up_to_date, ASH_WHY_UP_TO_DATE, 0, "has it", ""},
		{newer, ASH_WHY_UP_TO_DATE, 0, "newer",
				"runs 9.0, which is newer than 2.0; only a recall or an operator's "
				"'return' leads back"},
		{pending, ASH_WHY_WAITING, 0, "active",
				"it has joined and waits for somebody to approve it"},
		{held, ASH_WHY_REFUSED, 0, "active",
				"it is held (two hosts say that they are this one): release the hold when "
				"that is settled"},
		{retired, ASH_WHY_REFUSED, 0, "active", "it is retired (sold)"},
		{never_seen, ASH_WHY_WAITING, 0, "heard of",
				"it has joined, but has not checked in yet: is ashlar-link running "
				"there, and does it reach this server?"},
		{silent, ASH_WHY_WAITING, 0, "heard of",
				"nothing was heard of it since 2026-01-01T00:00:00Z: is it powered, and "
				"does it reach this server?"},
		{no_channel, ASH_WHY_WAITING, 0, "wanted",
				"no rollout that runs has it, and it has no label 'channel': start a "
				"rollout, or give it the label"},
		{other_channel, ASH_WHY_WAITING, 0, "wanted",
				"there is no channel 'beta', which its label names"},
		{misfit, ASH_WHY_REFUSED, 0, "fits",
				"2.0 is 'host' for amd64, and the host runs 'host' for arm64"},
		/* by its channel it goes there first */
		{behind, ASH_WHY_WAITING, NOW, "offered", "it will be told with its next check-in"},
		{behind_in_rollout, ASH_WHY_WAITING, 0, "running",
				"the rollout is being prepared: its hosts are written down",
				"1.5 is a barrier before 2.0: it comes first"},
		{dead_end, ASH_WHY_REFUSED, 0, "dead end", "0.9 is a dead end: no room"},
		{withdrawn, ASH_WHY_REFUSED, 0, "withdrawn", "3.0 is withdrawn: it is slow"},
		{failed, ASH_WHY_STUCK, 0, "not failed here",
				"2.0 failed on this host and is not given to it again; see its history, "
				"then order 'forgive'"},
		{sleeping, ASH_WHY_WAITING, NOW + 18 * 3600, "window",
				"its window is closed (policy 'nights': 02:00-05:00); it opens at "
				"2027-01-16T02:00:00Z"},
		{fetching, ASH_WHY_WORKING, 0, "host", "it is at it: fetching"},
		{blocked, ASH_WHY_WAITING, 0, "host", "the host says: somebody is logged in"},
		{stuck, ASH_WHY_STUCK, 0, "host", "the host says: there is no room"},
		{by_hand, ASH_WHY_WAITING, NOW, "host", "it was told, and has not begun yet"},
		{in_rollout, ASH_WHY_WAITING, NOW + 60, "ring", "ring 1 holds 4 hosts"},
		{in_two_rollouts, ASH_WHY_WAITING, NOW + 60, "ring", "ring 1 holds 4 hosts",
				"rollout 'autumn' brings 2.0; then the turn is that of rollout 'spring' "
				"to 3.0 (running)"},
		{starting, ASH_WHY_WAITING, 0, "running",
				"the rollout is being prepared: its hosts are written down"},
};

static void test_cases(void)
{
	g_autoptr(AshDesiredBook) a_book = book();

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		AshHost a_host = host();
		AshWhyFacts facts = {.host = &a_host,
				.book = a_book,
				.now_s = NOW,
				.reason = "",
				.own_blocker = ""};
		g_auto(AshWhy) why = {0};

		cases[i].change(&a_host, &facts);
		ash_why(&facts, &why);
		const AshWhyCondition *last = &g_array_index(
				why.conditions, AshWhyCondition, why.conditions->len - 1);
		g_assert_cmpstr(why.blocker, ==, cases[i].blocker);
		g_assert_cmpstr(last->condition, ==, cases[i].condition);
		g_assert_cmpint(why.answer, ==, cases[i].answer);
		g_assert_cmpint(why.next_s, ==, cases[i].next_s);
		/* All before the last are met. */
		for (unsigned j = 0; j + 1 < why.conditions->len; j++)
			g_assert_true(g_array_index(why.conditions, AshWhyCondition, j).is_met);
		g_assert_cmpint(last->is_met, ==, *cases[i].blocker == '\0');
		bool is_said = cases[i].said == NULL;
		for (unsigned j = 0; j < why.conditions->len && !is_said; j++)
			is_said = g_str_equal(
					g_array_index(why.conditions, AshWhyCondition, j).text,
					cases[i].said);
		g_assert_true(is_said);
	}
}

/* On the days when clocks change, and over midnight: closed until when. Berlin puts clocks forward on 2026-03-29 at 01:00Z
 * (02:00 becomes 03:00) and back on 2026-10-25 at 01:00Z.
 */
static void test_windows(void)
{
	static const struct {
		const char *window, *now, *opens; /* NULL: it is open */
	} windows[] = {
			{"02:00-05:00 Europe/Berlin", "2026-03-28T12:00:00Z",
					"2026-03-29T01:00:00Z"},
			{"02:30-05:00 Europe/Berlin", "2026-03-29T00:59:00Z",
					"2026-03-29T01:00:00Z"},
			{"02:30-05:00 Europe/Berlin", "2026-03-29T01:00:00Z", NULL},
			/* not on that day: the hour is not there */
			{"02:10-02:50 Europe/Berlin", "2026-03-29T00:30:00Z",
					"2026-03-30T00:10:00Z"},
			{"02:10-02:50 Europe/Berlin", "2026-10-25T01:30:00Z", NULL},
			{"02:10-02:50 Europe/Berlin", "2026-10-25T01:50:00Z",
					"2026-10-26T01:10:00Z"},
			{"Sat 22:00-04:00 Europe/Berlin", "2026-03-29T01:59:00Z", NULL},
			{"Sat 22:00-04:00 Europe/Berlin", "2026-03-29T02:00:00Z",
					"2026-04-04T20:00:00Z"},
			{"Sat 22:00-04:00 Europe/Berlin", "2026-10-25T02:59:00Z", NULL},
			{"Sat 22:00-04:00 Europe/Berlin", "2026-10-25T03:00:00Z",
					"2026-10-31T21:00:00Z"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(windows); i++) {
		const char *const texts[] = {windows[i].window, NULL};
		g_autoptr(AshDesiredBook) a_book = book();
		g_autoptr(GDateTime) now = g_date_time_new_from_iso8601(windows[i].now, NULL);
		AshHost a_host = host();
		AshWhyFacts facts = {.host = &a_host,
				.book = a_book,
				.now_s = g_date_time_to_unix(now),
				.reason = "",
				.own_blocker = ""};
		g_auto(AshWhy) why = {0};

		a_host.name = "clock";
		a_host.release = 3;
		g_assert_true(ash_desired_book_add_policy(
				a_book, "clocks", 0, "name = clock", texts, 0, NULL));
		ash_why(&facts, &why);
		g_autofree char *closed = g_strdup_printf(
				"its window is closed (policy 'clocks': %s); it opens at %s",
				windows[i].window, windows[i].opens);
		g_assert_cmpstr(why.blocker, ==,
				windows[i].opens != NULL ? closed
							 : "it was told, and has not begun yet");
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/why/cases", test_cases);
	g_test_add_func("/why/windows", test_windows);
	return g_test_run();
}
