/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/rollout.h"

#include <string.h>

#include "fleet/rollout-private.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_rollout_error, ash_rollout_error)

/* What a time is cut to, so that deadlines behind it can be reckoned in 32 bits. */
static const int64_t latest_s = 4000000000;

static const char *const outcome_words[ASH_ROLLOUT_OUTCOMES] = {
		"waiting",
		"already",
		"assigned",
		"offered",
		"confirmed",
		"failed",
		"silent",
		"withdrawn",
		"returned",
		"gone",
};
static const char *const state_words[] = {
		"running",
		"paused",
		"halted",
		"reverting",
		"finished",
		"reverted",
		"cancelled",
};

const char *ash_rollout_outcome_text(AshRolloutOutcome outcome)
{
	return outcome_words[outcome];
}

const char *ash_rollout_state_text(AshRolloutState state)
{
	return state_words[state];
}

bool ash_rollout_state_find(const char *text, AshRolloutState *out_state)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(state_words); i++)
		if (g_strcmp0(text, state_words[i]) == 0) {
			*out_state = (AshRolloutState) i;
			return true;
		}
	return false;
}

bool ash_rollout_outcome_find(const char *text, AshRolloutOutcome *out_outcome)
{
	for (unsigned i = 0; i < ASH_ROLLOUT_OUTCOMES; i++)
		if (g_strcmp0(text, outcome_words[i]) == 0) {
			*out_outcome = (AshRolloutOutcome) i;
			return true;
		}
	return false;
}

/* ---- life ---- */

AshRollout *ash_rollout_new(AshRolloutSpec *take_spec, const AshRolloutSink *sink)
{
	AshRollout *rollout = g_new0(AshRollout, 1);

	g_assert(take_spec->table->len > 0);
	rollout->spec = take_spec;
	rollout->now = 1;
	rollout->due = UINT32_MAX;
	rollout->is_dirty = true;
	rollout->hosts = g_array_new(FALSE, TRUE, sizeof(AshRolloutMember));
	rollout->alarms = g_array_new(FALSE, FALSE, sizeof(AshRolloutAlarm));
	rollout->reasons = g_ptr_array_new_with_free_func(g_free);
	rollout->by_reason = g_hash_table_new(g_str_hash, g_str_equal);
	rollout->kept = g_string_new(NULL);
	rollout->prefix = g_string_new(NULL);
	for (unsigned i = 0; i < take_spec->budgets->len; i++) {
		rollout->lists[i] = g_ptr_array_new();
		rollout->by_value[i] = g_hash_table_new(g_str_hash, g_str_equal);
	}
	if (sink != NULL)
		rollout->sink = *sink;
	return rollout;
}

void ash_rollout_free(AshRollout *rollout)
{
	if (rollout == NULL)
		return;
	ash_rollout_hosts_clear(rollout);
	ash_rollout_spec_free(rollout->spec);
	g_string_free(rollout->kept, TRUE);
	g_string_free(rollout->prefix, TRUE);
	g_free(rollout);
}

void ash_rollout_set_sink(AshRollout *rollout, const AshRolloutSink *sink)
{
	rollout->sink = sink != NULL ? *sink : (AshRolloutSink){0};
}

const AshRolloutSpec *ash_rollout_spec(const AshRollout *rollout)
{
	return rollout->spec;
}

/* ---- decisions ---- */

void ash_rollout_decide(AshRollout *rollout, AshRolloutDecide kind, const AshRolloutMember *host)
{
	AshRolloutDecision decision = {
			.kind = kind,
			.host = host != NULL ? host->id : NULL,
			.ring = (host != NULL ? host->ring : rollout->ring) + 1,
			.outcome = host != NULL ? (AshRolloutOutcome) host->outcome
						: ASH_ROLLOUT_WAITING,
			.state = rollout->state,
			.at_s = rollout->now,
			.reason = ash_rollout_reason(
					rollout, host != NULL ? host->reason : rollout->reason),
	};

	rollout->news_at = rollout->now;
	if (rollout->sink.decide != NULL)
		rollout->sink.decide(&decision, rollout->sink.data);
}

void ash_rollout_tell_state(AshRollout *rollout, const char *decision, const char *reason)
{
	const AshRolloutLimit *limit = ash_rollout_limit(rollout, rollout->ring);

	ash_rollout_tell(rollout, "> %s t=%u ring=%u m=%u f=%u halts=%u settled=%u/%u %s", decision,
			rollout->now, rollout->ring + 1, limit->m, rollout->failures, limit->f,
			rollout->taken - rollout->open, rollout->taken, reason);
}

void ash_rollout_set_state(AshRollout *rollout, AshRolloutState state, const char *reason)
{
	rollout->state = state;
	rollout->withdraw_at = 0;
	rollout->reason = ash_rollout_reason_index(rollout, reason);
	ash_rollout_tell_state(rollout, state_words[state], reason);
	ash_rollout_refill(rollout);
	ash_rollout_decide(rollout, ASH_ROLLOUT_DECIDE_STATE, NULL);
}

void ash_rollout_set_outcome(
		AshRollout *rollout, uint32_t number, AshRolloutOutcome outcome, const char *reason)
{
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	bool was_open = host->outcome == ASH_ROLLOUT_ASSIGNED ||
			host->outcome == ASH_ROLLOUT_OFFERED;

	ash_rollout_host_begin(rollout, number);
	host->outcome = (uint8_t) outcome;
	host->since = rollout->now;
	host->reason = ash_rollout_reason_index(rollout, reason);
	switch (outcome) {
	case ASH_ROLLOUT_ASSIGNED:
	case ASH_ROLLOUT_OFFERED:
		if ((host->flags & FLAG_PLACE) == 0)
			host->ring = (uint8_t) rollout->ring;
		host->flags |= FLAG_PLACE;
		break;
	case ASH_ROLLOUT_FAILED:
	case ASH_ROLLOUT_SILENT:
		host->flags |= FLAG_COUNTED;
		break;
	case ASH_ROLLOUT_WAITING:
	case ASH_ROLLOUT_ALREADY:
	case ASH_ROLLOUT_WITHDRAWN:
		host->flags &= (uint8_t) ~FLAG_PLACE;
		host->rebooted = host->good = 0;
		break;
	case ASH_ROLLOUT_CONFIRMED:
	case ASH_ROLLOUT_RETURNED:
	case ASH_ROLLOUT_GONE:
	case ASH_ROLLOUT_OUTCOMES:
		break;
	}
	ash_rollout_host_end(rollout, number);
	bool is_open = outcome == ASH_ROLLOUT_ASSIGNED || outcome == ASH_ROLLOUT_OFFERED;
	if (was_open && !is_open)
		rollout->settled_at = rollout->now;
}

void ash_rollout_tell_outcome(AshRollout *rollout, uint32_t number, AshRolloutOutcome to,
		const char *prefix, const char *reason)
{
	char id[65];

	ash_rollout_set_outcome(rollout, number, to, reason);
	const AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	if (*reason != '\0' && to != ASH_ROLLOUT_CONFIRMED) {
		ash_rollout_id_format(host->id, id);
		ash_rollout_tell(rollout, "> %s %s %s", prefix, id, reason);
	} else {
		g_autofree char *start = g_strconcat("> ", prefix, NULL);
		ash_rollout_tell_host(rollout, start, host->id, NULL);
	}
	ash_rollout_decide(rollout, ASH_ROLLOUT_DECIDE_OUTCOME, host);
}

void ash_rollout_withdraw(AshRollout *rollout, uint32_t number, AshRolloutOutcome to)
{
	ash_rollout_set_outcome(rollout, number, to, "");
	const AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	ash_rollout_tell_host(rollout, to == ASH_ROLLOUT_WAITING ? "> unassign" : "> withdraw",
			host->id, NULL);
	ash_rollout_decide(rollout, ASH_ROLLOUT_DECIDE_WITHDRAW, host);
}

static bool has_begun(const AshRolloutMember *host)
{
	return host->rebooted != 0 || host->said != ASH_ROLLOUT_SAID_OTHER;
}

bool ash_rollout_is_over_for(const AshRollout *rollout, const AshRolloutMember *host)
{
	switch (rollout->state) {
	case ASH_ROLLOUT_PAUSED:
		return host->outcome == ASH_ROLLOUT_ASSIGNED;
	case ASH_ROLLOUT_HALTED:
	case ASH_ROLLOUT_REVERTING:
	case ASH_ROLLOUT_CANCELLED:
		return host->outcome == ASH_ROLLOUT_ASSIGNED ||
		       (host->outcome == ASH_ROLLOUT_OFFERED && !has_begun(host));
	case ASH_ROLLOUT_RUNNING:
	case ASH_ROLLOUT_FINISHED:
	case ASH_ROLLOUT_REVERTED:
		break;
	}
	return false;
}

bool ash_rollout_withdraw_some(AshRollout *rollout)
{
	uint32_t count = 0;

	for (; rollout->open > 0 && rollout->withdraw_at < rollout->hosts->len;
			rollout->withdraw_at++) {
		const AshRolloutMember *host = ash_rollout_host_at(rollout, rollout->withdraw_at);
		if (!ash_rollout_is_over_for(rollout, host))
			continue;
		/* The rest with the next step, which is due at once. */
		if (count++ == ASH_ROLLOUT_MAX_STEP_HOSTS) {
			rollout->is_dirty = true;
			return false;
		}
		ash_rollout_withdraw(rollout, rollout->withdraw_at,
				host->outcome == ASH_ROLLOUT_ASSIGNED ? ASH_ROLLOUT_WAITING
								      : ASH_ROLLOUT_WITHDRAWN);
	}
	return true;
}

void ash_rollout_begin_revert(AshRollout *rollout, const char *reason)
{
	rollout->return_ring = 0;
	ash_rollout_set_state(rollout, ASH_ROLLOUT_REVERTING, reason);
}

/* ---- what goes in ---- */

static void news(AshRollout *rollout)
{
	rollout->is_dirty = true;
	rollout->news_at = rollout->now;
}

void ash_rollout_at(AshRollout *rollout, int64_t now_s)
{
	int64_t now = CLAMP(now_s, 1, latest_s);

	if (now > (int64_t) rollout->now) {
		rollout->now = (uint32_t) now;
		rollout->is_time_told = false;
	}
}

static uint32_t later_by(const AshRollout *rollout, uint32_t time, uint32_t seconds)
{
	return time == 0 ? 0 : MIN(rollout->now, time + seconds);
}

/* What is settled keeps its time; deadlines, soak and lapse of the others begin later. */
static void put_off(AshRollout *rollout, uint32_t number, uint32_t seconds)
{
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);

	ash_rollout_host_begin(rollout, number);
	if (host->outcome == ASH_ROLLOUT_ASSIGNED || host->outcome == ASH_ROLLOUT_OFFERED ||
			host->outcome == ASH_ROLLOUT_WITHDRAWN)
		host->since = later_by(rollout, host->since, seconds);
	host->rebooted = later_by(rollout, host->rebooted, seconds);
	host->away = later_by(rollout, host->away, seconds);
	host->good = later_by(rollout, host->good, seconds);
	ash_rollout_host_end(rollout, number);
}

void ash_rollout_absent(AshRollout *rollout, int64_t seconds)
{
	uint32_t by = (uint32_t) CLAMP(seconds, 0, (int64_t) rollout->now);

	if (by == 0)
		return;
	ash_rollout_tell(rollout, "absent %u", by);
	for (uint32_t i = 0; i < rollout->hosts->len; i++)
		put_off(rollout, i, by);
	rollout->settled_at = later_by(rollout, rollout->settled_at, by);
	rollout->news_at = later_by(rollout, rollout->news_at, by);
	rollout->is_dirty = true;
}

static char *join_prefix(const AshRollout *rollout, bool is_canary, const char *const *groups)
{
	GString *text = g_string_new(is_canary ? "join c" : "join");

	for (unsigned i = 0; i < rollout->spec->budgets->len; i++) {
		g_string_append(text, i == 0 ? " g=" : ",");
		if (groups != NULL && groups[i] != NULL)
			g_string_append_uri_escaped(text, groups[i], NULL, FALSE);
	}
	return g_string_free(text, FALSE);
}

static bool same_groups(const AshRollout *rollout, uint32_t number, const char *const *groups)
{
	for (unsigned i = 0; i < rollout->spec->budgets->len; i++) {
		const char *value = groups != NULL && groups[i] != NULL ? groups[i] : "";
		if (strcmp(ash_rollout_host_group(rollout, number, i), value) != 0)
			return false;
	}
	return true;
}

/* A host that is neither assigned nor offered, nor was: does it run it by itself? */
static void judge_waiting(AshRollout *rollout, uint32_t number)
{
	const AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	bool runs = host->said == ASH_ROLLOUT_SAID_TRIAL || host->said == ASH_ROLLOUT_SAID_GOOD;

	if (runs && host->outcome != ASH_ROLLOUT_ALREADY)
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_ALREADY, "already", "");
	else if (!runs && host->outcome == ASH_ROLLOUT_ALREADY)
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_WAITING, "waiting", "");
}

/* @values are clean. */
static void join(AshRollout *rollout, const uint8_t *id, bool is_canary, const char *const *values)
{
	uint32_t number = 0;
	bool is_new = !ash_rollout_host_find(rollout, id, &number);
	uint8_t canary = is_canary ? FLAG_CANARY : 0;

	if (is_new && rollout->hosts->len >= ASH_ROLLOUT_MAX_HOSTS)
		return;
	if (!is_new) {
		const AshRolloutMember *host = ash_rollout_host_at(rollout, number);
		if (host->outcome != ASH_ROLLOUT_GONE && canary == (host->flags & FLAG_CANARY) &&
				same_groups(rollout, number, values))
			return;
	}
	g_autofree char *prefix = join_prefix(rollout, is_canary, values);
	ash_rollout_tell_host(rollout, prefix, id, NULL);
	if (is_new)
		number = ash_rollout_host_add(rollout, id);

	ash_rollout_host_begin(rollout, number);
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	ash_rollout_host_set_groups(rollout, number, values);
	if (canary != (host->flags & FLAG_CANARY) && !is_new)
		rollout->is_order_stale = true;
	host->flags = (uint8_t) ((host->flags & ~FLAG_CANARY) | canary);
	if (host->outcome == ASH_ROLLOUT_GONE) {
		bool has_place = (host->flags & FLAG_PLACE) != 0;
		host->outcome = has_place ? ASH_ROLLOUT_OFFERED : ASH_ROLLOUT_WAITING;
		host->since = rollout->now;
	}
	ash_rollout_host_end(rollout, number);
	news(rollout);
	/* What it said before it left. */
	if (host->outcome == ASH_ROLLOUT_WAITING)
		judge_waiting(rollout, number);
}

void ash_rollout_join(
		AshRollout *rollout, const uint8_t *id, bool is_canary, const char *const *groups)
{
	char *values[ASH_ROLLOUT_MAX_BUDGETS + 1] = {NULL};
	unsigned budgets = rollout->spec->budgets->len;

	for (unsigned i = 0; i < budgets; i++)
		values[i] = ash_rollout_clean(groups != NULL ? groups[i] : NULL);
	join(rollout, id, is_canary, (const char *const *) values);
	for (unsigned i = 0; i < budgets; i++)
		g_free(values[i]);
}

void ash_rollout_leave(AshRollout *rollout, const uint8_t *id)
{
	uint32_t number = 0;

	if (!ash_rollout_host_find(rollout, id, &number))
		return;
	const AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	AshRolloutOutcome was = (AshRolloutOutcome) host->outcome;
	if (was == ASH_ROLLOUT_GONE || was == ASH_ROLLOUT_CONFIRMED || was == ASH_ROLLOUT_FAILED ||
			was == ASH_ROLLOUT_SILENT || was == ASH_ROLLOUT_RETURNED)
		return;
	ash_rollout_tell_host(rollout, "leave", id, NULL);
	news(rollout);
	if (was == ASH_ROLLOUT_ASSIGNED)
		ash_rollout_withdraw(rollout, number, ASH_ROLLOUT_WAITING);
	ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_GONE, "gone", "");
}

static const char *const reach_words[] = {"away", "closed", "ready"};

void ash_rollout_reach(AshRollout *rollout, const uint8_t *id, AshRolloutReach reach)
{
	uint32_t number = 0;

	if (!ash_rollout_host_find(rollout, id, &number) ||
			ash_rollout_host_at(rollout, number)->reach == (uint8_t) reach)
		return;
	ash_rollout_tell_host(rollout, reach_words[reach], id, NULL);
	ash_rollout_host_begin(rollout, number);
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	if (reach == ASH_ROLLOUT_AWAY)
		host->away = rollout->now;
	host->reach = (uint8_t) reach;
	ash_rollout_host_end(rollout, number);
	news(rollout);
}

static void mark_offered(AshRollout *rollout, uint32_t number)
{
	ash_rollout_set_outcome(rollout, number, ASH_ROLLOUT_OFFERED, "");
	ash_rollout_host_at(rollout, number)->flags |= FLAG_OFFERED;
}

void ash_rollout_offered(AshRollout *rollout, const uint8_t *id)
{
	uint32_t number = 0;

	if (!ash_rollout_host_find(rollout, id, &number))
		return;
	const AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	if (host->outcome != ASH_ROLLOUT_ASSIGNED && host->outcome != ASH_ROLLOUT_WAITING &&
			(host->outcome != ASH_ROLLOUT_WITHDRAWN ||
					(host->flags & FLAG_OFFERED) != 0))
		return;
	ash_rollout_tell_host(rollout, "offered", id, NULL);
	mark_offered(rollout, number);
	news(rollout);
}

/* ---- reports ---- */

static const char *const said_words[] = {"other", "reboot", "trial", "good", "failed"};

AshRolloutSaid ash_rollout_said(const AshRolloutSpec *spec, const char *commit,
		const char *failed_commit, const char *agent_state, const char *verdict)
{
	if (g_strcmp0(commit, spec->commit) == 0) {
		if (g_strcmp0(verdict, "bad") == 0)
			return ASH_ROLLOUT_SAID_FAILED;
		/* A degraded boot holds, but its gates are not green. */
		return g_strcmp0(verdict, "good") == 0 ? ASH_ROLLOUT_SAID_GOOD
						       : ASH_ROLLOUT_SAID_TRIAL;
	}
	if (g_strcmp0(failed_commit, spec->commit) == 0)
		return ASH_ROLLOUT_SAID_FAILED;
	if (g_strcmp0(agent_state, "rebooting") == 0)
		return ASH_ROLLOUT_SAID_REBOOT;
	return ASH_ROLLOUT_SAID_OTHER;
}

uint32_t ash_rollout_boot_hash(const char *boot)
{
	uint32_t hash = 2166136261U;

	if (boot == NULL || *boot == '\0')
		return 0;
	for (const char *at = boot; *at != '\0'; at++)
		hash = (hash ^ (uint8_t) *at) * 16777619U;
	return hash == 0 ? 1 : hash;
}

/* What an offered host's news come to. */
static void judge(AshRollout *rollout, uint32_t number, AshRolloutSaid before, uint32_t boot_before,
		const char *reason)
{
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	AshRolloutSaid said = (AshRolloutSaid) host->said;
	bool is_new_boot = host->boot == 0 || boot_before == 0 || host->boot != boot_before;

	if (said == ASH_ROLLOUT_SAID_FAILED) {
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_FAILED, "failed",
				*reason != '\0' ? reason : "it says that it failed");
	} else if (said == ASH_ROLLOUT_SAID_OTHER &&
			(before == ASH_ROLLOUT_SAID_TRIAL || before == ASH_ROLLOUT_SAID_GOOD)) {
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_FAILED, "failed",
				"it had booted the release, and runs another one again");
	} else if (said == ASH_ROLLOUT_SAID_OTHER && host->rebooted != 0 && is_new_boot) {
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_FAILED, "failed",
				"it was to boot the release, and came back with another one");
	} else {
		ash_rollout_host_begin(rollout, number);
		if (said == ASH_ROLLOUT_SAID_OTHER)
			host->rebooted = 0; /* put off */
		else if (host->rebooted == 0)
			host->rebooted = rollout->now;
		host->good = said != ASH_ROLLOUT_SAID_GOOD ? 0
			     : host->good != 0             ? host->good
							   : rollout->now;
		ash_rollout_host_end(rollout, number);
	}
}

/* Counted as a failure already; it may still come to the release. */
static void judge_late(AshRollout *rollout, uint32_t number, const char *reason)
{
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);

	if (host->outcome == ASH_ROLLOUT_SILENT && host->said == ASH_ROLLOUT_SAID_FAILED) {
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_FAILED, "failed",
				*reason != '\0' ? reason : "it says that it failed");
		return;
	}
	ash_rollout_host_begin(rollout, number);
	if (host->said != ASH_ROLLOUT_SAID_GOOD)
		host->good = 0;
	else if (host->good == 0)
		host->good = rollout->now;
	ash_rollout_host_end(rollout, number);
}

static bool is_back(const AshRolloutMember *host)
{
	return (host->flags & FLAG_SENT) != 0 && host->outcome != ASH_ROLLOUT_RETURNED &&
	       (host->said == ASH_ROLLOUT_SAID_OTHER || host->said == ASH_ROLLOUT_SAID_FAILED);
}

static void judge_report(AshRollout *rollout, uint32_t number, AshRolloutSaid before,
		uint32_t boot_before, const char *reason)
{
	const AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	bool is_other = host->said == ASH_ROLLOUT_SAID_OTHER;

	if (rollout->state == ASH_ROLLOUT_REVERTING && is_back(host)) {
		ash_rollout_tell_outcome(rollout, number, ASH_ROLLOUT_RETURNED, "returned", "");
		return;
	}
	switch ((AshRolloutOutcome) host->outcome) {
	case ASH_ROLLOUT_WAITING:
	case ASH_ROLLOUT_WITHDRAWN:
		if ((host->flags & FLAG_OFFERED) != 0 && !is_other) {
			mark_offered(rollout, number);
			judge(rollout, number, before, boot_before, reason);
		} else {
			judge_waiting(rollout, number);
		}
		break;
	case ASH_ROLLOUT_ALREADY:
		judge_waiting(rollout, number);
		break;
	case ASH_ROLLOUT_ASSIGNED:
		/* It can have this only from its offer, whose news are on their way. */
		if (!is_other) {
			mark_offered(rollout, number);
			judge(rollout, number, before, boot_before, reason);
		}
		break;
	case ASH_ROLLOUT_OFFERED:
		judge(rollout, number, before, boot_before, reason);
		break;
	case ASH_ROLLOUT_FAILED:
	case ASH_ROLLOUT_SILENT:
		judge_late(rollout, number, reason);
		break;
	case ASH_ROLLOUT_CONFIRMED:
	case ASH_ROLLOUT_RETURNED:
	case ASH_ROLLOUT_GONE:
	case ASH_ROLLOUT_OUTCOMES:
		break;
	}
}

void ash_rollout_report_hash(AshRollout *rollout, const uint8_t *id, AshRolloutSaid said,
		uint32_t boot, const char *reason)
{
	uint32_t number = 0;
	char hex[65];

	if (!ash_rollout_host_find(rollout, id, &number))
		return;
	AshRolloutMember *host = ash_rollout_host_at(rollout, number);
	AshRolloutSaid before = (AshRolloutSaid) host->said;
	uint32_t boot_before = host->boot;
	if (before == said && boot_before == boot)
		return;
	g_autofree char *why = ash_rollout_clean(reason);
	if (said == ASH_ROLLOUT_SAID_FAILED) {
		ash_rollout_id_format(id, hex);
		ash_rollout_tell(rollout, "failed %s:%08x %s", hex, boot, why);
	} else {
		ash_rollout_tell_host(rollout, said_words[said], id, &boot);
	}
	ash_rollout_host_begin(rollout, number);
	host->said = (uint8_t) said;
	host->boot = boot;
	ash_rollout_host_end(rollout, number);
	news(rollout);
	judge_report(rollout, number, before, boot_before, why);
}

void ash_rollout_report(AshRollout *rollout, const uint8_t *host, AshRolloutSaid said,
		const char *boot, const char *reason)
{
	ash_rollout_report_hash(rollout, host, said, ash_rollout_boot_hash(boot), reason);
}

/* ---- operators ---- */

static void resume(AshRollout *rollout, const char *reason)
{
	rollout->guard_seen = rollout->first_failures;
	rollout->floor = rollout->failures;
	rollout->floor_ring = rollout->ring + 1;
	for (uint32_t i = 0; i < rollout->hosts->len; i++)
		if (ash_rollout_host_at(rollout, i)->outcome == ASH_ROLLOUT_WITHDRAWN)
			ash_rollout_tell_outcome(rollout, i, ASH_ROLLOUT_WAITING, "waiting", "");
	ash_rollout_set_state(rollout, ASH_ROLLOUT_RUNNING, reason);
}

static const struct {
	const char *word;
	unsigned states; /* in which it is allowed: bits */
	bool needs_reason;
} acts[] = {
		[ASH_ROLLOUT_PAUSE] = {"pause", 1 << ASH_ROLLOUT_RUNNING, false},
		[ASH_ROLLOUT_RESUME] = {"resume", 1 << ASH_ROLLOUT_PAUSED | 1 << ASH_ROLLOUT_HALTED,
				true},
		[ASH_ROLLOUT_REVERT] = {"revert",
				1 << ASH_ROLLOUT_RUNNING | 1 << ASH_ROLLOUT_PAUSED |
						1 << ASH_ROLLOUT_HALTED |
						1 << ASH_ROLLOUT_FINISHED |
						1 << ASH_ROLLOUT_CANCELLED,
				true},
		[ASH_ROLLOUT_CANCEL] = {"cancel",
				1 << ASH_ROLLOUT_RUNNING | 1 << ASH_ROLLOUT_PAUSED |
						1 << ASH_ROLLOUT_HALTED |
						1 << ASH_ROLLOUT_REVERTING,
				false},
};

static gboolean check_act(
		const AshRollout *rollout, AshRolloutAct act, const char *reason, GError **error)
{
	g_autoptr(GString) allowed = g_string_new(NULL);

	for (unsigned i = 0; i < G_N_ELEMENTS(state_words); i++)
		if ((acts[act].states & 1U << i) != 0)
			g_string_append_printf(allowed, "%s%s", allowed->len > 0 ? ", " : "",
					state_words[i]);
	if ((acts[act].states & 1U << rollout->state) == 0)
		return ash_throw(error, ASH_ROLLOUT_ERROR, ASH_ROLLOUT_ERROR_STATE,
				"the rollout is %s; '%s' is for one that is %s",
				state_words[rollout->state], acts[act].word, allowed->str);
	if (acts[act].needs_reason && *reason == '\0')
		return ash_throw(error, ASH_ROLLOUT_ERROR, ASH_ROLLOUT_ERROR_REASON,
				"'%s' needs a reason", acts[act].word);
	return TRUE;
}

gboolean ash_rollout_act(AshRollout *rollout, AshRolloutAct act, const char *actor,
		const char *reason, GError **error)
{
	g_autofree char *why = ash_rollout_clean(reason);
	g_autofree char *who = ash_rollout_clean(actor);

	if (!check_act(rollout, act, why, error))
		return FALSE;
	g_strdelimit(who, " ", '_');
	if (*who == '\0')
		ash_rollout_tell(rollout, "%s - %s", acts[act].word, why);
	else
		ash_rollout_tell(rollout, "%s %s %s", acts[act].word, who, why);
	news(rollout);
	switch (act) {
	case ASH_ROLLOUT_PAUSE:
		ash_rollout_set_state(rollout, ASH_ROLLOUT_PAUSED,
				*why != '\0' ? why : "paused by an operator");
		break;
	case ASH_ROLLOUT_RESUME:
		resume(rollout, why);
		break;
	case ASH_ROLLOUT_REVERT:
		ash_rollout_begin_revert(rollout, why);
		break;
	case ASH_ROLLOUT_CANCEL:
		ash_rollout_set_state(rollout, ASH_ROLLOUT_CANCELLED,
				*why != '\0' ? why : "cancelled by an operator");
		break;
	}
	return TRUE;
}
