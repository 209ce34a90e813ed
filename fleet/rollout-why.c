/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/rollout-private.h"
#include "lib/json.h"
#include "lib/text.h"

void ash_rollout_now(const AshRollout *rollout, AshRolloutNow *out_now)
{
	const AshRolloutLimit *limit = ash_rollout_limit(rollout, rollout->ring);
	AshRolloutNow now = {
			.state = rollout->state,
			.reason = ash_rollout_reason(rollout, rollout->reason),
			.ring = rollout->ring + 1,
			.limit = limit->m,
			.halts_at = limit->f,
			.failures = rollout->failures,
			.total = rollout->total,
			.taken = rollout->taken,
			.open = rollout->open,
			.now_s = rollout->now,
	};

	memcpy(now.counts, rollout->counts, sizeof now.counts);
	*out_now = now;
}

/* ---- one host ---- */

/* The ring whose limit covers the place @position of the order. */
static unsigned ring_of(const AshRollout *rollout, const AshRolloutMember *host)
{
	unsigned ring = 0;

	if ((host->flags & FLAG_PLACE) != 0)
		return host->ring + 1U;
	while (ring + 1 < rollout->spec->table->len && host->position != UINT32_MAX &&
			ash_rollout_limit(rollout, ring)->m <= host->position)
		ring++;
	return MAX(ring, rollout->ring) + 1;
}

static void describe(const AshRollout *rollout, const AshRolloutMember *host, AshRolloutHost *out)
{
	*out = (AshRolloutHost){
			.outcome = (AshRolloutOutcome) host->outcome,
			.reach = (AshRolloutReach) host->reach,
			.ring = ring_of(rollout, host),
			.has_place = (host->flags & FLAG_PLACE) != 0,
			.is_canary = (host->flags & FLAG_CANARY) != 0,
			.is_counted = (host->flags & FLAG_COUNTED) != 0,
			.since_s = host->since,
			.reason = ash_rollout_reason(rollout, host->reason),
	};
	memcpy(out->id, host->id, sizeof out->id);
}

bool ash_rollout_host(const AshRollout *rollout, const uint8_t *id, AshRolloutHost *out_host)
{
	uint32_t number = 0;

	if (!ash_rollout_host_find(rollout, id, &number))
		return false;
	describe(rollout, ash_rollout_host_at(rollout, number), out_host);
	return true;
}

void ash_rollout_each(const AshRollout *rollout, AshRolloutEach each, gpointer data)
{
	ash_rollout_each_after(rollout, NULL, each, data);
}

void ash_rollout_each_after(
		const AshRollout *rollout, const uint8_t *after, AshRolloutEach each, gpointer data)
{
	AshRolloutHost host;
	uint32_t from = 0, last = 0;

	/* Those that joined since the last step are not in the order yet. */
	if (after != NULL && ash_rollout_host_find(rollout, after, &last)) {
		uint32_t position = ash_rollout_host_at(rollout, last)->position;
		from = (position < rollout->ordered ? position : last) + 1;
	}
	for (uint32_t i = from; i < rollout->hosts->len; i++) {
		uint32_t number = i < rollout->ordered ? rollout->order[i] : i;
		describe(rollout, ash_rollout_host_at(rollout, number), &host);
		if (!each(&host, data))
			return;
	}
}

/* ---- why not yet ---- */

static const char *const why_words[] = {"candidate", "running", "reachable", "ready", "ring",
		"budget", "in flight", "offered", "settled"};

const char *ash_rollout_why_word(AshRolloutWhyKind kind)
{
	return kind < ASH_ROLLOUT_WHYS ? why_words[kind] : "";
}

static char *state_sentence(const AshRollout *rollout)
{
	const char *state = ash_rollout_state_text(rollout->state);
	const char *reason = ash_rollout_reason(rollout, rollout->reason);

	return *reason != '\0' ? g_strdup_printf("the rollout is %s: %s", state, reason)
			       : g_strdup_printf("the rollout is %s", state);
}

static char *reach_sentence(const AshRolloutMember *host, bool is_met)
{
	if (is_met)
		return g_strdup("it is heard of");
	return host->away > 1 ? g_strdup("it is not heard of")
			      : g_strdup("it has not been heard of yet");
}

static char *ready_sentence(const AshRolloutMember *host, bool is_met)
{
	if (is_met)
		return g_strdup("nothing keeps it from being offered the release");
	if (host->said == ASH_ROLLOUT_SAID_FAILED)
		return g_strdup("the release was bad on this host before: forgive it there first");
	if (host->outcome == ASH_ROLLOUT_WITHDRAWN)
		return g_strdup("it did not come for the release in time, and its turn comes again later");
	return g_strdup("its window is closed, or another rollout, an operator's hand or its channel "
			"moves it at this moment");
}

static char *ring_sentence(const AshRollout *rollout, const AshRolloutMember *host, bool is_met)
{
	if (is_met)
		return g_strdup_printf("ring %u has a place for it", rollout->ring + 1);
	if (ash_rollout_is_canary_ring(rollout) && (host->flags & FLAG_CANARY) == 0)
		return g_strdup_printf("ring 1 is the canaries'; it is in ring %u",
				MAX(ring_of(rollout, host), 2));
	return g_strdup_printf(
			"ring %u holds %u hosts, and they are not all settled; it is in ring %u",
			rollout->ring + 1, ash_rollout_limit(rollout, rollout->ring)->m,
			MAX(ring_of(rollout, host), rollout->ring + 2));
}

static char *budget_sentence(const AshRollout *rollout, uint32_t number, bool *out_met)
{
	uint32_t max = 0;
	unsigned at = ash_rollout_host_budget(rollout, number, &max);

	*out_met = at == rollout->spec->budgets->len;
	if (*out_met)
		return g_strdup("no budget is used up");
	const AshRolloutBudget *budget = rollout->spec->budgets->pdata[at];
	return g_strdup_printf("%u hosts with %s = %s are being updated, which is as many as may",
			max, budget->label, ash_rollout_host_group(rollout, number, at));
}

static char *settled_sentence(const AshRollout *rollout, const AshRolloutMember *host)
{
	if (host->outcome == ASH_ROLLOUT_CONFIRMED)
		return g_strdup("it runs the release, and is healthy");
	if (host->outcome == ASH_ROLLOUT_FAILED || host->outcome == ASH_ROLLOUT_SILENT)
		return g_strdup_printf("%s: %s",
				ash_rollout_outcome_text((AshRolloutOutcome) host->outcome),
				ash_rollout_reason(rollout, host->reason));
	if (host->outcome != ASH_ROLLOUT_OFFERED)
		return g_strdup(ash_rollout_outcome_text((AshRolloutOutcome) host->outcome));
	if (host->good != 0)
		return g_strdup_printf(
				"it runs the release; it is confirmed after %" G_GINT64_FORMAT
				" s of health",
				rollout->spec->soak_s);
	if (host->said == ASH_ROLLOUT_SAID_TRIAL)
		return g_strdup("it has booted the release, and is not healthy yet");
	if (host->said == ASH_ROLLOUT_SAID_REBOOT)
		return g_strdup("it is rebooting into the release");
	return g_strdup("it was offered the release, and has not rebooted yet");
}

static void condition(AshRolloutWhy *why, AshRolloutWhyKind kind, bool is_met, char *take_text)
{
	why->met[kind] = is_met;
	why->text[kind] = take_text;
	if (!is_met && why->blocker == ASH_ROLLOUT_WHYS)
		why->blocker = kind;
}

/* Of a host that has its place, or needs none, or waits for one. */
static void conditions(const AshRollout *rollout, uint32_t number, AshRolloutWhy *why)
{
	const AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	bool has_place = (host->flags & FLAG_PLACE) != 0, is_in_budget = true;
	bool waits = !has_place && host->outcome != ASH_ROLLOUT_ALREADY;
	bool is_away = waits && host->reach == ASH_ROLLOUT_AWAY;
	bool is_ready = !waits || ash_rollout_host_may_go(rollout, host);
	bool is_others = ash_rollout_is_canary_ring(rollout) && (host->flags & FLAG_CANARY) == 0;
	bool has_room = !waits || (rollout->taken < ash_rollout_limit(rollout, rollout->ring)->m &&
						  !is_others);
	unsigned max = rollout->spec->max_in_flight;

	condition(why, ASH_ROLLOUT_WHY_RUNNING, !waits || rollout->state == ASH_ROLLOUT_RUNNING,
			state_sentence(rollout));
	condition(why, ASH_ROLLOUT_WHY_REACHABLE, !is_away, reach_sentence(host, !is_away));
	condition(why, ASH_ROLLOUT_WHY_READY, is_ready, ready_sentence(host, is_ready));
	condition(why, ASH_ROLLOUT_WHY_RING, has_room, ring_sentence(rollout, host, has_room));
	char *budget = waits ? budget_sentence(rollout, number, &is_in_budget)
			     : g_strdup("it has its place");
	condition(why, ASH_ROLLOUT_WHY_BUDGET, is_in_budget, budget);
	bool is_below = !waits || max == 0 || rollout->open < max;
	condition(why, ASH_ROLLOUT_WHY_IN_FLIGHT, is_below,
			is_below ? g_strdup("not too many are being updated at once")
				 : g_strdup_printf("%u hosts are being updated, which is as many as may",
						   max));
	condition(why, ASH_ROLLOUT_WHY_OFFERED, !waits && host->outcome != ASH_ROLLOUT_ASSIGNED,
			waits ? g_strdup("it will be assigned with the next step")
			: host->outcome == ASH_ROLLOUT_ASSIGNED
					? g_strdup("it gets the release with its next check-in")
					: g_strdup("it was offered the release"));
	bool is_settled = host->outcome == ASH_ROLLOUT_CONFIRMED ||
			  host->outcome == ASH_ROLLOUT_ALREADY ||
			  host->outcome == ASH_ROLLOUT_RETURNED;
	condition(why, ASH_ROLLOUT_WHY_SETTLED, is_settled, settled_sentence(rollout, host));
	why->next_s = host->due;
}

void ash_rollout_why(const AshRollout *rollout, const uint8_t *id, AshRolloutWhy *out_why)
{
	AshRolloutWhy why = {.blocker = ASH_ROLLOUT_WHYS};
	uint32_t number = 0;
	bool is_known = ash_rollout_host_find(rollout, id, &number) &&
			ash_rollout_host_at(rollout, number)->outcome != ASH_ROLLOUT_GONE;

	condition(&why, ASH_ROLLOUT_WHY_CANDIDATE, is_known,
			g_strdup(is_known ? "it is one of the rollout's hosts"
					  : "it is none of the rollout's hosts"));
	if (is_known)
		conditions(rollout, number, &why);
	*out_why = why;
}

void ash_rollout_why_clear(AshRolloutWhy *why)
{
	for (unsigned i = 0; i < ASH_ROLLOUT_WHYS; i++)
		g_clear_pointer(&why->text[i], g_free);
}

/* ---- the whole ---- */

static char *running_text(const AshRollout *rollout)
{
	const AshRolloutLimit *limit = ash_rollout_limit(rollout, rollout->ring);

	if (rollout->open > 0 && rollout->taken >= limit->m)
		return g_strdup_printf("ring %u: %u of %u hosts are not settled", rollout->ring + 1,
				rollout->open, rollout->taken);
	if (rollout->open > 0)
		return g_strdup_printf(
				"ring %u: %u of %u places are taken, %u hosts are not settled",
				rollout->ring + 1, rollout->taken, limit->m, rollout->open);
	if (ash_rollout_is_full(rollout)) {
		g_autofree char *at =
				ash_text_utc(rollout->settled_at + rollout->spec->ring_pause_s);
		return g_strdup_printf("ring %u opens at %s", rollout->ring + 2, at);
	}
	if (ash_rollout_is_canary_ring(rollout) && rollout->ready_canaries == 0)
		return g_strdup("no canary may be offered the release now");
	if (rollout->reachable == 0) {
		g_autofree char *at = ash_text_utc(rollout->news_at + rollout->spec->patience_s);
		return g_strdup_printf("%u hosts are not heard of; finished without them at %s",
				rollout->counts[ASH_ROLLOUT_WAITING], at);
	}
	return g_strdup_printf("ring %u: %u of %u places are taken; no host may be offered it now",
			rollout->ring + 1, rollout->taken, limit->m);
}

char *ash_rollout_next_text(const AshRollout *rollout)
{
	switch (rollout->state) {
	case ASH_ROLLOUT_RUNNING:
		return running_text(rollout);
	case ASH_ROLLOUT_PAUSED:
	case ASH_ROLLOUT_HALTED:
		return g_strdup("an operator resumes, reverts or cancels it");
	case ASH_ROLLOUT_REVERTING:
		return g_strdup_printf("%u of %u hosts that were sent back are not back",
				rollout->sent - rollout->counts[ASH_ROLLOUT_RETURNED],
				rollout->sent);
	case ASH_ROLLOUT_FINISHED:
	case ASH_ROLLOUT_REVERTED:
	case ASH_ROLLOUT_CANCELLED:
		break;
	}
	return g_strdup("it is over");
}

static void add_counts(JsonBuilder *builder, const uint32_t counts[ASH_ROLLOUT_OUTCOMES])
{
	ash_json_begin_object(builder, "counts");
	for (unsigned i = 0; i < ASH_ROLLOUT_OUTCOMES; i++)
		ash_json_add_uint(builder, ash_rollout_outcome_text((AshRolloutOutcome) i),
				counts[i]);
	json_builder_end_object(builder);
}

/* The rings that have begun, and those that the candidates of now fill. */
static void add_rings(const AshRollout *rollout, JsonBuilder *builder)
{
	ash_json_begin_array(builder, "rings");
	for (unsigned i = 0; i < rollout->spec->table->len; i++) {
		const AshRolloutLimit *limit = ash_rollout_limit(rollout, i);
		if (i > rollout->ring && ash_rollout_limit(rollout, i - 1)->m >= rollout->total)
			break;
		json_builder_begin_object(builder);
		ash_json_add_uint(builder, "ring", i + 1);
		ash_json_add_uint(builder, "limit", limit->m);
		ash_json_add_uint(builder, "halts_at", limit->f);
		add_counts(builder, rollout->ring_counts[i]);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

void ash_rollout_add_json(const AshRollout *rollout, JsonBuilder *builder)
{
	const AshRolloutLimit *limit = ash_rollout_limit(rollout, rollout->ring);
	g_autofree char *next = ash_rollout_next_text(rollout);

	ash_json_add_text(builder, "state", ash_rollout_state_text(rollout->state));
	ash_json_add_string(builder, "reason", ash_rollout_reason(rollout, rollout->reason));
	ash_json_add_uint(builder, "ring", rollout->ring + 1);
	ash_json_add_uint(builder, "limit", limit->m);
	ash_json_add_uint(builder, "total", rollout->total);
	add_counts(builder, rollout->counts);
	ash_json_add_uint(builder, "failures", rollout->failures);
	ash_json_add_uint(builder, "halts_at", limit->f);
	add_rings(rollout, builder);
	ash_json_begin_array(builder, "table");
	for (unsigned i = 0; i < rollout->spec->table->len; i++) {
		const AshRolloutLimit *row = ash_rollout_limit(rollout, i);
		json_builder_begin_array(builder);
		json_builder_add_int_value(builder, row->m);
		json_builder_add_int_value(builder, row->f);
		json_builder_end_array(builder);
		if (i > rollout->ring && row->m >= rollout->total)
			break;
	}
	json_builder_end_array(builder);
	ash_json_add_text(builder, "next", next);
}
