/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/why.h"

#include <string.h>

#include "lib/text.h"

typedef struct {
	const AshWhyFacts *facts;
	AshWhy *why;
	const AshDesiredRelease *target, *hop;
	bool is_over; /* the first that is not met was found, or there is nothing to wait for */
} Chain;

const char *ash_why_answer_text(AshWhyAnswer answer)
{
	static const char *const texts[] = {"up to date", "waiting", "refused", "working", "stuck"};

	return texts[answer];
}

static void clear_condition(gpointer data)
{
	AshWhyCondition *condition = data;

	g_free(condition->text);
}

void ash_why_clear(AshWhy *why)
{
	g_clear_pointer(&why->conditions, g_array_unref);
}

void ash_why_begin(AshWhy *out_why)
{
	*out_why = (AshWhy){.answer = ASH_WHY_UP_TO_DATE,
			.blocker = "",
			.conditions = g_array_new(FALSE, FALSE, sizeof(AshWhyCondition))};
	g_array_set_clear_func(out_why->conditions, clear_condition);
}

void ash_why_met(AshWhy *why, const char *condition, char *take_text)
{
	AshWhyCondition row = {condition, true, take_text};

	g_array_append_val(why->conditions, row);
}

void ash_why_blocked(AshWhy *why, const char *condition, AshWhyAnswer answer, int64_t next_s,
		char *take_text)
{
	AshWhyCondition row = {condition, false, take_text};

	g_array_append_val(why->conditions, row);
	why->answer = answer;
	why->next_s = next_s;
	why->blocker = take_text;
}

static void met(Chain *chain, const char *condition, char *take_text)
{
	ash_why_met(chain->why, condition, take_text);
}

static void blocked(Chain *chain, const char *condition, AshWhyAnswer answer, int64_t next_s,
		char *take_text)
{
	ash_why_blocked(chain->why, condition, answer, next_s, take_text);
	chain->is_over = true;
}

static char *utc(int64_t at_s)
{
	char *text = ash_text_utc(at_s);

	return text != NULL ? text : g_strdup("?");
}

/* ---- the host itself ----------------------------------------------------------------------------- */

static void ask_active(Chain *chain)
{
	const AshWhyFacts *facts = chain->facts;
	const char *reason = *facts->reason != '\0' ? facts->reason : "no reason was given";

	switch (facts->host->state) {
	case ASH_HOST_ACTIVE:
		met(chain, "active", g_strdup("it is active"));
		break;
	case ASH_HOST_PENDING:
		blocked(chain, "active", ASH_WHY_WAITING, 0,
				g_strdup("it has joined and waits for somebody to approve it"));
		break;
	case ASH_HOST_HELD:
		blocked(chain, "active", ASH_WHY_REFUSED, 0,
				g_strdup_printf("it is held (%s): release the hold when that is settled",
						reason));
		break;
	case ASH_HOST_RETIRED:
		blocked(chain, "active", ASH_WHY_REFUSED, 0,
				g_strdup_printf("it is retired (%s)", reason));
		break;
	}
}

static void ask_heard(Chain *chain)
{
	const AshHost *host = chain->facts->host;
	g_autofree char *seen = utc(host->last_seen_s);

	if (host->last_seen_s == 0)
		blocked(chain, "heard of", ASH_WHY_WAITING, 0,
				g_strdup("it has joined, but has not checked in yet: is ashlar-link "
					 "running there, and does it reach this server?"));
	else if (host->health == ASH_HEALTH_SILENT)
		blocked(chain, "heard of", ASH_WHY_WAITING, 0,
				g_strdup_printf("nothing was heard of it since %s: is it powered, and "
						"does it reach this server?",
						seen));
	else
		met(chain, "heard of", g_strdup_printf("it checked in at %s", seen));
}

/* ---- what is wanted of it ------------------------------------------------------------------------ */

static void ask_channel(Chain *chain)
{
	const AshHost *host = chain->facts->host;
	const char *channel = ash_pairs_get(host->labels, host->label_count, "channel");
	const AshDesiredRelease *release = NULL;
	int64_t id = 0;

	if (channel == NULL) {
		blocked(chain, "wanted", ASH_WHY_WAITING, 0,
				g_strdup("no rollout that runs has it, and it has no label 'channel': "
					 "start a rollout, or give it the label"));
	} else if (!ash_desired_book_channel(chain->facts->book, channel, &id)) {
		blocked(chain, "wanted", ASH_WHY_WAITING, 0,
				g_strdup_printf("there is no channel '%s', which its label names",
						channel));
	} else if (id == 0 ||
			(release = ash_desired_book_release(chain->facts->book, id)) == NULL) {
		blocked(chain, "wanted", ASH_WHY_WAITING, 0,
				g_strdup_printf("channel '%s' points to no release yet", channel));
	} else {
		met(chain, "wanted",
				g_strdup_printf("channel '%s' points to %s", channel,
						release->version));
		chain->target = ash_desired_book_fitting(chain->facts->book, release, host);
		if (chain->target == NULL)
			chain->target = release;
	}
}

static void ask_wanted(Chain *chain)
{
	const AshWhyFacts *facts = chain->facts;
	const char *name = facts->rollout_name != NULL && *facts->rollout_name != '\0'
					   ? facts->rollout_name
					   : facts->rollout;

	if (facts->is_by_hand) {
		chain->target = ash_desired_book_release(facts->book, facts->host->release);
		met(chain, "wanted",
				chain->target != NULL
						? g_strdup_printf("an operator wants %s of it",
								  chain->target->version)
						: g_strdup("an operator wants it to stay as it is"));
		chain->is_over = chain->target == NULL;
		return;
	}
	if (facts->rollout == NULL) {
		ask_channel(chain);
		return;
	}
	chain->target = ash_desired_book_release(facts->book, facts->rollout_release);
	const char *others = facts->other_rollouts != NULL ? facts->other_rollouts : "";
	if (chain->target != NULL)
		met(chain, "wanted",
				g_strdup_printf(*others != '\0' ? "rollout '%s' brings %s; then the turn is that of %s"
								: "rollout '%s' brings %s%s",
						name, chain->target->version, others));
	else
		blocked(chain, "wanted", ASH_WHY_REFUSED, 0,
				g_strdup_printf("the release of rollout '%s' is not known any more",
						name));
}

/* The chain goes fits, withdrawn, dead end, barrier, failed: each one's answer says that those before it were met. */
static void ask_release(Chain *chain)
{
	static const struct {
		AshDesiredStep step;
		const char *condition, *fine;
	} order[] = {
			{ASH_DESIRED_UNKNOWN, "known", "it says what it runs"},
			{ASH_DESIRED_MISFIT, "fits", "image, variant and architecture fit"},
			{ASH_DESIRED_NEWER, "newer", "it is newer than what runs"},
			{ASH_DESIRED_DEAD_END, "dead end", "what runs is no dead end"},
			{ASH_DESIRED_WITHDRAWN, "withdrawn", "it is not withdrawn"},
			{ASH_DESIRED_FAILED, "not failed here", "it has not failed on this host"},
			{ASH_DESIRED_TOO_OLD, "barrier", NULL},
	};
	const AshWhyFacts *facts = chain->facts;
	/* A rollout takes who can come all the way; a channel brings to the next step whatever lies behind that. */
	bool is_rollout = facts->rollout != NULL && !facts->is_by_hand;
	AshDesiredStep step = (is_rollout ? ash_desired_route : ash_desired_towards)(
			facts->book, facts->host, chain->target, &chain->hop);
	char *text = ash_desired_step_text(
			step, facts->book, facts->host, chain->target, chain->hop);

	if (step == ASH_DESIRED_HAS) {
		met(chain, "has it", text);
		chain->is_over = true;
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
		if (order[i].step == step) {
			blocked(chain, order[i].condition,
					step == ASH_DESIRED_NEWER     ? ASH_WHY_UP_TO_DATE
					: step == ASH_DESIRED_UNKNOWN ? ASH_WHY_WAITING
					: step == ASH_DESIRED_FAILED  ? ASH_WHY_STUCK
								      : ASH_WHY_REFUSED,
					0, text);
			return;
		}
		if (order[i].fine != NULL)
			met(chain, order[i].condition, g_strdup(order[i].fine));
	}
	met(chain, "barrier", text);
}

/* ---- its turn ------------------------------------------------------------------------------------ */

/* Whose, and as they were written: "policy 'nights': Sat 02:00-05:00 Europe/Zurich" */
static char *windows_text(const AshWhyFacts *facts)
{
	AshDesiredWhen when = {.policy = ""};

	ash_desired_when(facts->book, facts->host, facts->rollout != NULL ? facts->rollout : "",
			facts->now_s, &when);
	g_autofree char *texts =
			when.windows != NULL ? g_strjoinv(", ", (char **) (uintptr_t) when.windows)
					     : g_strdup("");
	return *when.policy != '\0' ? g_strdup_printf("policy '%s': %s", when.policy, texts)
				    : g_strdup_printf("the rollout's: %s", texts);
}

static void ask_window(Chain *chain)
{
	const AshWhyFacts *facts = chain->facts;
	bool is_open = true;
	int64_t change_s = INT64_MAX;

	ash_desired_windows(facts->book, facts->host, facts->rollout != NULL ? facts->rollout : "",
			facts->now_s, &is_open, &change_s);
	if (is_open) {
		met(chain, "window", g_strdup("no window keeps it, or one is open"));
		return;
	}
	g_autofree char *opens = change_s != INT64_MAX ? utc(change_s) : NULL;
	g_autofree char *which = windows_text(facts);
	blocked(chain, "window", ASH_WHY_WAITING, change_s != INT64_MAX ? change_s : 0,
			opens != NULL ? g_strdup_printf("its window is closed (%s); it opens at %s",
							which, opens)
				      : g_strdup_printf("its window is closed (%s), and never opens",
							which));
}

static void ask_rollout(Chain *chain)
{
	static const struct {
		AshRolloutWhyKind kind;
		const char *condition;
		AshWhyAnswer answer;
	} order[] = {
			{ASH_ROLLOUT_WHY_CANDIDATE, "candidate", ASH_WHY_WAITING},
			{ASH_ROLLOUT_WHY_RUNNING, "running", ASH_WHY_WAITING},
			{ASH_ROLLOUT_WHY_REACHABLE, "reachable", ASH_WHY_WAITING},
			{ASH_ROLLOUT_WHY_READY, "ready", ASH_WHY_WAITING},
			{ASH_ROLLOUT_WHY_RING, "ring", ASH_WHY_WAITING},
			{ASH_ROLLOUT_WHY_BUDGET, "budget", ASH_WHY_WAITING},
			{ASH_ROLLOUT_WHY_IN_FLIGHT, "in flight", ASH_WHY_WAITING},
			{ASH_ROLLOUT_WHY_OFFERED, "offered", ASH_WHY_WAITING},
			/* What it does itself says more. */
	};
	const AshRolloutWhy *of = chain->facts->rollout_why;

	if (of == NULL) {
		blocked(chain, "running", ASH_WHY_WAITING, 0,
				g_strdup("the rollout is being prepared: its hosts are written down"));
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(order) && !chain->is_over; i++) {
		const char *text = of->text[order[i].kind];
		/* A window has a better sentence than that something is in the way. */
		if (order[i].kind == ASH_ROLLOUT_WHY_READY && !of->met[order[i].kind])
			ask_window(chain);
		if (chain->is_over)
			return;
		if (of->met[order[i].kind])
			met(chain, order[i].condition, g_strdup(text != NULL ? text : ""));
		else
			blocked(chain, order[i].condition, order[i].answer, of->next_s,
					g_strdup(text != NULL ? text : "not yet"));
	}
}

static void ask_offered(Chain *chain)
{
	if (chain->facts->host->release == chain->hop->id)
		met(chain, "offered",
				g_strdup_printf("it is told to take %s", chain->hop->version));
	else
		blocked(chain, "offered", ASH_WHY_WAITING, chain->facts->now_s,
				g_strdup("it will be told with its next check-in"));
}

static bool is_working(const char *state)
{
	static const char *const states[] = {
			"fetching", "ready", "deploying", "rebooting", "trial", NULL};

	return g_strv_contains(states, state);
}

/* What it says itself comes last: it has been told. */
static void ask_host(Chain *chain)
{
	const AshWhyFacts *facts = chain->facts;
	const AshHost *host = facts->host;
	bool is_stuck = (host->said & ASH_HOST_SAID_STUCK) != 0;

	if (*facts->own_blocker != '\0')
		blocked(chain, "host",
				is_stuck                        ? ASH_WHY_STUCK
				: is_working(host->agent_state) ? ASH_WHY_WORKING
								: ASH_WHY_WAITING,
				0, g_strdup_printf("the host says: %s", facts->own_blocker));
	else if (is_working(host->agent_state))
		blocked(chain, "host", ASH_WHY_WORKING, 0,
				g_strdup_printf("it is at it: %s", host->agent_state));
	else
		blocked(chain, "host", ASH_WHY_WAITING, facts->now_s,
				g_strdup("it was told, and has not begun yet"));
}

void ash_why(const AshWhyFacts *facts, AshWhy *out_why)
{
	static void (*const questions[])(Chain *) = {
			ask_active, ask_heard, ask_wanted, ask_release};
	AshWhy why = {0};
	Chain chain = {.facts = facts, .why = &why};

	ash_why_begin(&why);
	met(&chain, "known", g_strdup("the fleet knows it"));
	for (size_t i = 0; i < G_N_ELEMENTS(questions) && !chain.is_over; i++)
		questions[i](&chain);
	if (!chain.is_over && facts->rollout != NULL && !facts->is_by_hand)
		ask_rollout(&chain);
	else if (!chain.is_over)
		ask_offered(&chain);
	/* A host that was told outside of its window fetches, and waits itself. */
	if (!chain.is_over && !is_working(facts->host->agent_state))
		ask_window(&chain);
	if (!chain.is_over)
		ask_host(&chain);
	*out_why = why;
}

bool ash_why_ask_host(const AshWhyFacts *facts, AshWhy *why)
{
	Chain chain = {.facts = facts, .why = why};

	ask_active(&chain);
	if (!chain.is_over)
		ask_heard(&chain);
	return !chain.is_over;
}

bool ash_why_ask_rollout(const AshWhyFacts *facts, AshWhy *why)
{
	Chain chain = {.facts = facts, .why = why};

	ask_rollout(&chain);
	return !chain.is_over;
}
