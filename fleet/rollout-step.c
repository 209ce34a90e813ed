/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/rollout-private.h"

/* What a step decides, from the state that news have left behind. */

const AshRolloutLimit *ash_rollout_limit(const AshRollout *rollout, unsigned ring)
{
	unsigned last = rollout->spec->table->len - 1;

	return &g_array_index(rollout->spec->table, AshRolloutLimit, MIN(ring, last));
}

static void expire_offered(AshRollout *rollout, uint32_t number)
{
	const AshRolloutMember *host = ash_rollout_host_at(rollout, number);

	if (host->good != 0 && host->reach != ASH_ROLLOUT_AWAY)
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_CONFIRMED, "confirmed", "");
	else if (host->good != 0)
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_SILENT, "silent",
				"it was healthy, and is not heard of any more");
	else if (host->said == ASH_ROLLOUT_SAID_TRIAL && host->reach != ASH_ROLLOUT_AWAY)
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_FAILED, "failed",
				"it runs the release, and was not healthy in time");
	else if (host->rebooted != 0)
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_SILENT, "silent",
				"no word in time after its reboot");
	else if (host->reach == ASH_ROLLOUT_AWAY)
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_SILENT, "silent",
				"it was offered the release, and is not heard of any more");
	else
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_SILENT, "silent",
				"it was offered the release, and has not begun in time");
}

static void expire(AshRollout *rollout, uint32_t number)
{
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);

	if ((host->flags & (FLAG_SENT | FLAG_STUCK)) == FLAG_SENT &&
			host->outcome != ASH_ROLLOUT_RETURNED) {
		ash_rollout_host_begin(rollout, number);
		host->flags |= FLAG_STUCK;
		host->reason = ash_rollout_reason_index(rollout, "it did not come back in time");
		ash_rollout_host_end(rollout, number);
		ash_rollout_tell_host(rollout, "> stuck", host->id, NULL);
		ash_rollout_decide(rollout, ASH_ROLLOUT_DECIDE_OUTCOME, host);
	} else if (host->outcome == ASH_ROLLOUT_ASSIGNED) {
		ash_rollout_withdraw(rollout, number, ASH_ROLLOUT_WITHDRAWN);
	} else if (host->outcome == ASH_ROLLOUT_WITHDRAWN) {
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_WAITING, "waiting", "");
	} else if (host->outcome == ASH_ROLLOUT_OFFERED) {
		expire_offered(rollout, number);
	} else if (host->good != 0) {
		/* Before the outcome forgets it: the failure stays counted. */
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_CONFIRMED, "late",
				"late: it stays counted as a failure");
	}
}

bool ash_rollout_is_canary_ring(const AshRollout *rollout)
{
	return rollout->ring == 0 && rollout->canaries > 0;
}

/* Has the ring given all the places that it can? */
bool ash_rollout_is_full(const AshRollout *rollout)
{
	if (rollout->taken >= ash_rollout_limit(rollout, rollout->ring)->m)
		return true;
	return ash_rollout_is_canary_ring(rollout) && rollout->taken > 0 &&
	       rollout->ready_canaries == 0;
}

static bool is_on_watch(const AshRollout *rollout)
{
	return rollout->state == ASH_ROLLOUT_RUNNING || rollout->state == ASH_ROLLOUT_PAUSED;
}

/* The count rule, then the canary guard. TRUE: it still runs. */
static bool pass_rule(AshRollout *rollout)
{
	const AshRolloutLimit *limit = ash_rollout_limit(rollout, rollout->ring);
	uint32_t f = rollout->failures;
	bool is_accepted = rollout->floor_ring == rollout->ring + 1 && f <= rollout->floor;

	if (is_on_watch(rollout) && f >= limit->f && !is_accepted) {
		g_autofree char *reason = g_strdup_printf(
				"%u of %u hosts failed or are silent; at %u hosts the "
				"limit is %u",
				f, rollout->taken, limit->m, limit->f);
		ash_rollout_set_state(rollout, ASH_ROLLOUT_HALTED, reason);
		if (rollout->spec->reverts)
			ash_rollout_begin_revert(rollout, reason);
	} else if (rollout->state == ASH_ROLLOUT_RUNNING &&
			rollout->first_failures > rollout->guard_seen) {
		g_autofree char *reason =
				g_strdup_printf("%u of the first %u hosts failed or are silent",
						rollout->first_failures, rollout->taken);
		ash_rollout_set_state(rollout, ASH_ROLLOUT_PAUSED, reason);
	}
	return rollout->state == ASH_ROLLOUT_RUNNING;
}

static uint32_t patience_ends(const AshRollout *rollout)
{
	return rollout->news_at + (uint32_t) rollout->spec->patience_s;
}

static bool nobody_waits(const AshRollout *rollout)
{
	return rollout->counts[ASH_ROLLOUT_WAITING] + rollout->counts[ASH_ROLLOUT_WITHDRAWN] == 0;
}

/* Only hosts that cannot be had are left. */
static bool only_absent_wait(const AshRollout *rollout)
{
	return rollout->reachable == 0 && rollout->open == 0 &&
	       rollout->counts[ASH_ROLLOUT_WITHDRAWN] == 0;
}

static bool finish(AshRollout *rollout)
{
	if (rollout->open > 0)
		return false;
	if (!nobody_waits(rollout) &&
			!(only_absent_wait(rollout) && rollout->now >= patience_ends(rollout)))
		return false;
	g_autofree char *reason = g_strdup_printf(
			"%u confirmed, %u failed, %u silent, %u had it already, %u were not heard of",
			rollout->counts[ASH_ROLLOUT_CONFIRMED], rollout->counts[ASH_ROLLOUT_FAILED],
			rollout->counts[ASH_ROLLOUT_SILENT], rollout->counts[ASH_ROLLOUT_ALREADY],
			rollout->counts[ASH_ROLLOUT_WAITING]);
	ash_rollout_set_state(rollout, ASH_ROLLOUT_FINISHED, reason);
	return true;
}

/* TRUE: the next ring is open. */
static bool advance(AshRollout *rollout)
{
	if (!ash_rollout_is_full(rollout) || rollout->open > 0 ||
			rollout->ring + 1 >= rollout->spec->table->len ||
			rollout->now < rollout->settled_at + (uint32_t) rollout->spec->ring_pause_s)
		return false;
	rollout->ring++;
	ash_rollout_tell_state(rollout, "ring", "all hosts of the ring before it are settled");
	ash_rollout_decide(rollout, ASH_ROLLOUT_DECIDE_RING, NULL);
	return true;
}

static void assign(AshRollout *rollout)
{
	uint32_t limit = ash_rollout_limit(rollout, rollout->ring)->m;
	unsigned max = rollout->spec->max_in_flight, budgets = rollout->spec->budgets->len;
	g_autofree char *prefix = g_strdup_printf("> assign %u", rollout->ring + 1);
	uint32_t at = 0, ignored, count = 0;

	while (rollout->taken < limit && (max == 0 || rollout->open < max) &&
			(at = ash_rollout_line_next(rollout, at)) != UINT32_MAX) {
		uint32_t number = rollout->order[at++];
		AshRolloutMember *host = ash_rollout_host_at(rollout, number);
		if (ash_rollout_is_canary_ring(rollout) && (host->flags & FLAG_CANARY) == 0)
			break;
		if (budgets > 0 && ash_rollout_host_budget(rollout, number, &ignored) < budgets)
			continue;
		ash_rollout_set_outcome(rollout, number, ASH_ROLLOUT_ASSIGNED, "");
		ash_rollout_tell_host(rollout, prefix, host->id, NULL);
		ash_rollout_decide(rollout, ASH_ROLLOUT_DECIDE_ASSIGN, host);
		/* The rest with the next step, which is due at once. */
		if (++count == ASH_ROLLOUT_MAX_STEP_HOSTS) {
			rollout->is_dirty = true;
			return;
		}
	}
}

static void step_running(AshRollout *rollout)
{
	do {
		if (!pass_rule(rollout) || finish(rollout))
			return;
	} while (advance(rollout));
	assign(rollout);
}

static void send_back(AshRollout *rollout, uint32_t number)
{
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);

	ash_rollout_host_begin(rollout, number);
	host->flags |= FLAG_SENT;
	host->rebooted = rollout->now;
	ash_rollout_host_end(rollout, number);
	ash_rollout_tell_host(rollout, "> return", host->id, NULL);
	ash_rollout_decide(rollout, ASH_ROLLOUT_DECIDE_RETURN, host);
}

static void step_reverting(AshRollout *rollout)
{
	uint32_t at = 0, count = 0;

	for (;;) {
		while (count < ASH_ROLLOUT_MAX_STEP_HOSTS &&
				rollout->sent < ash_rollout_limit(rollout, rollout->return_ring)
								->m &&
				(at = ash_rollout_line_next(rollout, at)) != UINT32_MAX) {
			send_back(rollout, rollout->order[at++]);
			count++;
		}
		if (count == ASH_ROLLOUT_MAX_STEP_HOSTS) {
			rollout->is_dirty = true;
			return;
		}
		if (rollout->sent_open > 0)
			return;
		if (ash_rollout_line_next(rollout, 0) == UINT32_MAX)
			break;
		if (rollout->return_ring + 1 >= rollout->spec->table->len)
			return;
		rollout->return_ring++;
		at = 0;
	}
	g_autofree char *reason = g_strdup_printf("%u of %u hosts are back; %s",
			rollout->counts[ASH_ROLLOUT_RETURNED], rollout->sent,
			ash_rollout_reason(rollout, rollout->reason));
	g_autofree char *cut = ash_rollout_clean(reason);
	ash_rollout_set_state(rollout, ASH_ROLLOUT_REVERTED, cut);
}

static uint32_t next_due(AshRollout *rollout)
{
	uint32_t due = ash_rollout_alarm_next(rollout);

	if (rollout->state != ASH_ROLLOUT_RUNNING)
		return due;
	if (ash_rollout_is_full(rollout) && rollout->open == 0 &&
			rollout->ring + 1 < rollout->spec->table->len)
		due = MIN(due, rollout->settled_at + (uint32_t) rollout->spec->ring_pause_s);
	if (only_absent_wait(rollout))
		due = MIN(due, patience_ends(rollout));
	return due;
}

static bool is_over(const AshRollout *rollout)
{
	return rollout->state == ASH_ROLLOUT_FINISHED || rollout->state == ASH_ROLLOUT_REVERTED ||
	       rollout->state == ASH_ROLLOUT_CANCELLED;
}

int64_t ash_rollout_due(const AshRollout *rollout)
{
	if (is_over(rollout) && !rollout->is_dirty)
		return INT64_MAX;
	if (rollout->is_dirty)
		return rollout->now;
	return rollout->due == UINT32_MAX ? INT64_MAX : (int64_t) rollout->due;
}

void ash_rollout_step(AshRollout *rollout)
{
	uint32_t number = 0;

	if (!rollout->is_feeding && ash_rollout_due(rollout) > (int64_t) rollout->now) {
		ash_rollout_flush(rollout);
		return;
	}
	ash_rollout_tell(rollout, "step");
	rollout->is_dirty = false;
	ash_rollout_order(rollout);
	while (!is_over(rollout) && ash_rollout_alarm(rollout, &number))
		expire(rollout, number);
	if (is_on_watch(rollout) && pass_rule(rollout))
		step_running(rollout);
	if (ash_rollout_withdraw_some(rollout) && rollout->state == ASH_ROLLOUT_REVERTING)
		step_reverting(rollout);
	rollout->due = next_due(rollout);
	ash_rollout_flush(rollout);
}
