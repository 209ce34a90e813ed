/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/update.h"

#include <string.h>

#include "lib/error.h"

/* ---- one step ------------------------------------------------------------------------------------ */

typedef struct {
	AshUpdate *update;
	const AshUpdateWorld *world;
	const AshUpdateEvent *event;
	GPtrArray *notes;
	bool entered;
} Step;

static void note(Step *step, const char *event, const AshUpdateRef *ref, const char *word,
		const char *text)
{
	AshUpdateNote *new_note = g_new0(AshUpdateNote, 1);

	new_note->event = event;
	new_note->commit = g_strdup(ref != NULL ? ref->commit : NULL);
	new_note->version = g_strdup(ref != NULL ? ref->version : NULL);
	new_note->word = word != NULL ? g_intern_string(word) : NULL;
	new_note->text = g_strdup(text != NULL ? text : "");
	g_ptr_array_add(step->notes, new_note);
}

static void enter(Step *step, AshUpdateState state)
{
	if (state != step->update->state)
		step->update->since_s = step->world->now_s;
	step->update->state = state;
	step->entered = true;
}

static void forget_target(AshUpdate *update)
{
	ash_update_ref_set(&update->target, NULL, NULL);
	ash_update_ref_set(&update->from, NULL, NULL);
	g_clear_pointer(&update->document, g_free);
	g_clear_pointer(&update->method, g_free);
	g_clear_pointer(&update->delta, g_free);
	g_clear_pointer(&update->wanted, g_free);
	g_clear_pointer(&update->bundle, g_free);
	g_clear_pointer(&update->bad_reason, g_free);
	update->bytes = 0;
	update->is_recall = update->is_switch = false;
	update->is_forced = update->is_check_only = false;
	update->attempts = 0;
	update->retry_at_s = 0;
}

static void go_idle(Step *step)
{
	forget_target(step->update);
	enter(step, ASH_UPDATE_IDLE);
}

/* A tenth of it at most, so that hosts that were switched on together do not ask together. */
static int64_t jittered(const AshUpdateWorld *world, int64_t seconds)
{
	return seconds + (int64_t) ((double) seconds * world->jitter / 10);
}

static void schedule_check(Step *step)
{
	step->update->source_failures = 0;
	step->update->next_check_s =
			step->world->now_s + jittered(step->world, (int64_t) step->world->check_s);
}

/* Doubled with each of @times. */
static void schedule_after(Step *step, unsigned times)
{
	int64_t limit = MIN((int64_t) step->world->check_s, (int64_t) ASH_UPDATE_MAX_BACKOFF_S);
	int64_t wait = step->world->backoff_s != 0 ? step->world->backoff_s : ASH_UPDATE_BACKOFF_S;

	for (unsigned i = 0; i < times && wait < limit; i++)
		wait *= 2;
	step->update->next_check_s = step->world->now_s + jittered(step->world, MIN(wait, limit));
}

static void schedule_backoff(Step *step)
{
	schedule_after(step, step->update->source_failures);
	step->update->source_failures = MIN(step->update->source_failures + 1, 1000);
}

/* The host leaves @ref: from the moment this is on disk it is not taken again. */
static void mark_bad(Step *step, const AshUpdateRef *ref, bool is_held, const char *reason)
{
	ash_update_add_failed(step->update, ref, is_held, reason, step->world->now_s);
	ash_update_remove_good(step->update, ref->commit);
	note(step, is_held ? "held" : "bad", ref, is_held ? "held" : "bad", reason);
}

/* Put aside what cannot be brought to this host; the next check looks again. */
static void give_up(Step *step, const char *event, const char *word, const char *text)
{
	note(step, event, &step->update->target, word, text);
	schedule_check(step);
	go_idle(step);
}

static gboolean wrong_state(const Step *step, GError **error)
{
	static const char *const events[] = {"start", "timer", "check", "update", "bundle",
			"rollback", "done", "failed", "verdict"};

	return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_WRONG_STATE,
			"'%s' is not possible while the host is %s%s", events[step->event->kind],
			ash_update_state_public(step->update->state),
			step->update->state == ASH_UPDATE_TRIAL
					? ": wait for the verdict, or roll back"
					: "; see 'ashlarctl status'");
}

/* ---- start: where the machine is, and what it was about to do ------------------------------------ */

static void begin_trial(Step *step)
{
	const AshUpdateEvent *event = step->event;
	AshUpdate *update = step->update;

	if (g_strcmp0(update->target.commit, event->commit) != 0) {
		/* The state is lost, or is about another commit: the counter on the disk is right. */
		forget_target(update);
		ash_update_ref_set(&update->target, event->commit, event->version);
	}
	g_clear_pointer(&update->degraded, g_free);
	if (update->state != ASH_UPDATE_TRIAL || g_strcmp0(update->boot_id, event->boot_id) != 0)
		note(step, "trial", &update->target, NULL, "this boot decides");
	enter(step, ASH_UPDATE_TRIAL);
}

/* Another deployment than the target came up after a reboot into the target. */
static void start_elsewhere(Step *step)
{
	AshUpdate *update = step->update;
	const AshUpdateEvent *event = step->event;
	bool was_tried = event->target_tries_done > 0 || event->target_tries_left == 0 ||
			 !event->target_has_entry || update->state == ASH_UPDATE_TRIAL;
	g_autofree char *reason = NULL;

	if (!was_tried && update->attempts < ASH_UPDATE_MAX_ATTEMPTS) {
		/* The boot loader never began with it: somebody chose another entry, or the machine went
		 * down before the reboot. */
		update->attempts++;
		enter(step, ASH_UPDATE_REBOOTING);
		return;
	}
	if (update->bad_reason != NULL)
		reason = g_strdup(update->bad_reason);
	else if (update->state == ASH_UPDATE_TRIAL)
		reason = g_strdup_printf("it started but never became healthy, in %d boots",
				MAX(event->target_tries_done, 1));
	else
		reason = g_strdup_printf(
				"it did not start, in %d tries", MAX(event->target_tries_done, 1));
	mark_bad(step, &update->target, false, reason);
	note(step, "returned", &update->booted, NULL, "back in the deployment before it");
	enter(step, ASH_UPDATE_CLEANING);
}

static void start_returned(Step *step)
{
	AshUpdate *update = step->update;

	if (g_strcmp0(update->booted.commit, update->target.commit) != 0) {
		note(step, "returned", &update->booted, NULL, update->bad_reason);
		enter(step, ASH_UPDATE_CLEANING);
		return;
	}
	if (++update->attempts <= ASH_UPDATE_MAX_ATTEMPTS) {
		enter(step, ASH_UPDATE_CONDEMNING);
		return;
	}
	g_free(update->degraded);
	update->degraded = g_strdup_printf("%s is bad (%s), but nothing else boots",
			update->target.version, update->bad_reason);
	note(step, "degraded", &update->target, NULL, update->degraded);
	schedule_check(step);
	go_idle(step);
}

/* Was the target's entry written, although the state says that it is not yet? */
static bool was_begun_with(const Step *step)
{
	return step->update->state == ASH_UPDATE_DEPLOYING && step->event->target_has_entry &&
	       step->event->target_tries_done > 0;
}

static void step_start(Step *step)
{
	AshUpdate *update = step->update;
	const AshUpdateEvent *event = step->event;
	bool is_new_boot = g_strcmp0(update->boot_id, event->boot_id) != 0;
	bool is_target = update->target.commit != NULL &&
			 g_strcmp0(update->target.commit, event->commit) == 0;

	ash_update_ref_set(&update->booted, event->commit, event->version);
	if (is_new_boot)
		note(step, "booted", &update->booted, NULL, "");

	if (!is_new_boot && update->state != ASH_UPDATE_IDLE)
		step->entered = true; /* the agent was restarted: the state's action again */
	else if (update->state == ASH_UPDATE_RETURNING || update->state == ASH_UPDATE_CONDEMNING)
		start_returned(step);
	else if (update->state == ASH_UPDATE_BLESSING && is_target)
		step->entered = true; /* judged good already, whatever the counter says */
	else if (event->is_counted)
		begin_trial(step);
	else if (update->state == ASH_UPDATE_REBOOTING && is_target) {
		note(step, "rolled-back", &update->booted, NULL, "");
		ash_update_add_good(update, event->commit, event->version);
		enter(step, ASH_UPDATE_CLEANING);
	} else if (update->state == ASH_UPDATE_REBOOTING && update->is_switch) {
		give_up(step, "deploy-failed", "failed", "another deployment came up");
	} else if (update->state == ASH_UPDATE_TRIAL && is_target) {
		/* Blessed by somebody else's hand, or the power went between the two files. */
		enter(step, ASH_UPDATE_BLESSING);
	} else if (update->state == ASH_UPDATE_REBOOTING || update->state == ASH_UPDATE_TRIAL ||
			was_begun_with(step)) {
		start_elsewhere(step);
	} else if (update->state != ASH_UPDATE_IDLE && update->state != ASH_UPDATE_SWITCHING) {
		step->entered = true;
	} else if (update->state == ASH_UPDATE_SWITCHING) {
		/* The entry may have been written when the power went. */
		if (is_target) {
			note(step, "rolled-back", &update->booted, NULL, "");
			enter(step, ASH_UPDATE_CLEANING);
		} else {
			step->entered = true;
		}
	}
	if (update->state == ASH_UPDATE_IDLE && !event->is_counted &&
			!ash_update_is_good(update, event->commit) &&
			ash_update_find_failed(update, event->commit) == NULL)
		ash_update_add_good(update, event->commit, event->version);
	g_free(update->boot_id);
	update->boot_id = g_strdup(event->boot_id);
}

/* ---- the ways of an update ----------------------------------------------------------------------- */

/* May the host go to @commit by itself, as far as its fleet goes? */
static bool fleet_allows(const Step *step, const char *commit)
{
	const AshUpdateWorld *world = step->world;

	return !world->is_fleet || (!world->is_fleet_held && world->fleet_commit != NULL &&
						   g_strcmp0(commit, world->fleet_commit) == 0);
}

static void begin_check(Step *step, const char *wanted, bool is_forced, bool is_check_only)
{
	/* What is ready stays so until the check says something else: a host without a network still
	 * takes it when the window opens. */
	if (step->update->state != ASH_UPDATE_READY || is_forced)
		forget_target(step->update);
	g_free(step->update->wanted);
	step->update->wanted = wanted != NULL && *wanted != '\0' ? g_strdup(wanted) : NULL;
	step->update->is_forced = is_forced;
	step->update->is_check_only = is_check_only;
	enter(step, ASH_UPDATE_CHECKING);
}

static gboolean need_source(const Step *step, GError **error)
{
	return step->world->has_source ||
	       ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NO_SOURCE,
			       "no source of releases is set: give 'updates: url:' in the host document");
}

static const char *rollback_reason(const AshUpdateEvent *event)
{
	return event->text != NULL ? event->text : "left by 'ashlarctl rollback'";
}

static void begin_rollback(Step *step)
{
	AshUpdate *update = step->update;
	const AshUpdateEvent *event = step->event;
	AshUpdateRef left = {g_strdup(update->booted.commit), g_strdup(update->booted.version)};

	forget_target(update);
	ash_update_ref_set(&update->target, event->commit, event->version);
	ash_update_ref_set(&update->from, left.commit, left.version);
	update->is_switch = true;
	update->is_forced = true;
	/* Where the operator goes is fine again; what he leaves is held. It worked, so it stays good. */
	ash_update_forgive(update, event->commit);
	ash_update_add_failed(update, &left, true, rollback_reason(event), step->world->now_s);
	note(step, "held", &left, "held", rollback_reason(event));
	ash_update_ref_set(&left, NULL, NULL);
	enter(step, ASH_UPDATE_SWITCHING);
}

static gboolean step_request(Step *step, GError **error)
{
	AshUpdateState state = step->update->state;
	const AshUpdateEvent *event = step->event;
	bool is_idle = state == ASH_UPDATE_IDLE;

	switch (event->kind) {
	case ASH_UPDATE_EVENT_CHECK:
		if (!is_idle)
			return wrong_state(step, error);
		if (!need_source(step, error))
			return FALSE;
		begin_check(step, NULL, false, true);
		return TRUE;
	case ASH_UPDATE_EVENT_UPDATE:
		if (state == ASH_UPDATE_READY &&
				(event->text == NULL || *event->text == '\0' ||
						g_strcmp0(event->text,
								step->update->target.version) ==
								0)) {
			step->update->is_forced = true;
			step->update->attempts = 0;
			enter(step, ASH_UPDATE_DEPLOYING);
			note(step, "deploying", &step->update->target, NULL, "asked for");
			return TRUE;
		}
		/* A check that nobody asked for gives way: its order is replaced. */
		if (!is_idle && state != ASH_UPDATE_READY &&
				(state != ASH_UPDATE_CHECKING || step->update->is_forced))
			return wrong_state(step, error);
		if (!need_source(step, error))
			return FALSE;
		begin_check(step, event->text, true, false);
		return TRUE;
	case ASH_UPDATE_EVENT_BUNDLE:
		if (!is_idle)
			return wrong_state(step, error);
		forget_target(step->update);
		step->update->bundle = g_strdup(event->text);
		step->update->is_forced = true;
		enter(step, ASH_UPDATE_BUNDLING);
		return TRUE;
	case ASH_UPDATE_EVENT_ROLLBACK:
		if (state == ASH_UPDATE_TRIAL) {
			mark_bad(step, &step->update->target, true, rollback_reason(event));
			g_free(step->update->bad_reason);
			step->update->bad_reason = g_strdup(rollback_reason(event));
			step->update->attempts = 0;
			enter(step, ASH_UPDATE_CONDEMNING);
			return TRUE;
		}
		if (!is_idle && state != ASH_UPDATE_READY)
			return wrong_state(step, error);
		begin_rollback(step);
		return TRUE;
	case ASH_UPDATE_EVENT_START:
	case ASH_UPDATE_EVENT_TIMER:
	case ASH_UPDATE_EVENT_DONE:
	case ASH_UPDATE_EVENT_FAILED:
	case ASH_UPDATE_EVENT_VERDICT:
		break;
	}
	return wrong_state(step, error);
}

/* What waits for its window, and the fleet wants something else by now. */
static bool is_withdrawn(const Step *step)
{
	return step->update->state == ASH_UPDATE_READY && !step->update->is_forced &&
	       step->world->is_fleet &&
	       g_strcmp0(step->update->target.commit, step->world->fleet_commit) != 0;
}

static void step_timer(Step *step)
{
	AshUpdate *update = step->update;
	const AshUpdateWorld *world = step->world;
	int64_t now_s = world->now_s;

	if (is_withdrawn(step)) {
		note(step, "refused", &update->target, "withdrawn",
				"the fleet does not want it any more");
		go_idle(step);
	} else if (update->state == ASH_UPDATE_READY &&
			(update->is_forced ||
					(world->window_open &&
							fleet_allows(step,
									update->target.commit)))) {
		update->attempts = 0;
		note(step, "deploying", &update->target, NULL, "");
		enter(step, ASH_UPDATE_DEPLOYING);
	} else if ((update->state == ASH_UPDATE_IDLE || update->state == ASH_UPDATE_READY) &&
			world->has_source && now_s >= update->next_check_s) {
		begin_check(step, world->is_fleet_held ? NULL : world->fleet_version, false, false);
	} else if (update->state == ASH_UPDATE_BLESSING && now_s >= update->retry_at_s) {
		step->entered = true;
	}
}

static void enter_ready(Step *step, bool is_told)
{
	AshUpdate *update = step->update;

	update->attempts = 0;
	if (!is_told)
		note(step, "fetched", &update->target, update->method, "");
	enter(step, ASH_UPDATE_READY);
	if (update->is_forced || step->world->window_open || is_withdrawn(step))
		step_timer(step);
}

static void verified(Step *step)
{
	AshUpdate *update = step->update;
	const AshUpdateEvent *event = step->event;
	bool may_take = update->is_forced ||
			(step->world->is_automatic && fleet_allows(step, event->commit));
	bool is_missed = !update->is_forced && update->wanted != NULL &&
			 step->world->fleet_version != NULL && event->document == NULL;

	update->clock_floor_s = MAX(update->clock_floor_s, event->newest_signed_s);
	if (update->source_failures > 0)
		note(step, "source-ok", NULL, NULL, "");
	schedule_check(step);
	/* What the fleet wants may come to the source a little later. */
	if (is_missed)
		schedule_after(step, update->fleet_misses);
	update->fleet_misses = is_missed ? MIN(update->fleet_misses + 1, 1000) : 0;
	if (event->document == NULL || !may_take || update->is_check_only) {
		go_idle(step);
		return;
	}
	/* It waits for its window, and each check finds it again: told once, and nothing more to do. */
	bool is_waiting = update->document != NULL && update->is_recall == event->is_recall &&
			  g_strcmp0(update->target.commit, event->commit) == 0;
	ash_update_ref_set(&update->target, event->commit, event->version);
	ash_update_ref_set(&update->from, update->booted.commit, update->booted.version);
	g_free(update->document);
	update->document = g_strdup(event->document);
	update->is_recall = event->is_recall;
	update->attempts = 0;
	if (is_waiting) {
		enter_ready(step, true);
		return;
	}
	note(step, event->is_recall ? "recalled" : "offered", &update->target, NULL, "");
	enter(step, ASH_UPDATE_PLANNING);
}

static void planned(Step *step)
{
	AshUpdate *update = step->update;
	const AshUpdateEvent *event = step->event;

	g_free(update->method);
	g_free(update->delta);
	update->method = g_strdup(event->method);
	update->delta = g_strdup(event->delta);
	update->bytes = event->bytes;
	if (strcmp(update->method, "present") == 0)
		enter_ready(step, false);
	else
		enter(step, update->bundle != NULL ? ASH_UPDATE_IMPORTING : ASH_UPDATE_FETCHING);
}

static void blessed(Step *step)
{
	AshUpdate *update = step->update;

	ash_update_add_good(update, update->booted.commit, update->booted.version);
	g_clear_pointer(&update->degraded, g_free);
	note(step, "good", &update->booted, NULL, "");
	/* The order stands on disk as CLEANING with no target: the trial is over. */
	forget_target(update);
	enter(step, ASH_UPDATE_CLEANING);
}

static gboolean step_done(Step *step, GError **error)
{
	AshUpdate *update = step->update;

	switch (update->state) {
	case ASH_UPDATE_CHECKING:
	case ASH_UPDATE_BUNDLING:
		enter(step, ASH_UPDATE_VERIFYING);
		return TRUE;
	case ASH_UPDATE_VERIFYING:
		verified(step);
		return TRUE;
	case ASH_UPDATE_PLANNING:
		planned(step);
		return TRUE;
	case ASH_UPDATE_FETCHING:
		update->source_failures = 0;
		enter(step, ASH_UPDATE_IMPORTING);
		return TRUE;
	case ASH_UPDATE_IMPORTING:
		enter_ready(step, false);
		return TRUE;
	case ASH_UPDATE_DEPLOYING:
	case ASH_UPDATE_SWITCHING:
		update->attempts = 0;
		note(step, "rebooting", &update->target, NULL, "");
		enter(step, ASH_UPDATE_REBOOTING);
		return TRUE;
	case ASH_UPDATE_BLESSING:
		blessed(step);
		return TRUE;
	case ASH_UPDATE_CONDEMNING:
		enter(step, ASH_UPDATE_RETURNING);
		return TRUE;
	case ASH_UPDATE_CLEANING:
		go_idle(step);
		return TRUE;
	case ASH_UPDATE_IDLE:
	case ASH_UPDATE_READY:
	case ASH_UPDATE_REBOOTING:
	case ASH_UPDATE_TRIAL:
	case ASH_UPDATE_RETURNING:
		break;
	}
	return wrong_state(step, error);
}

/* ---- what did not work --------------------------------------------------------------------------- */

static void take_objects(Step *step, AshUpdateState next)
{
	AshUpdate *update = step->update;

	g_free(update->method);
	update->method = g_strdup("objects");
	g_clear_pointer(&update->delta, g_free);
	update->attempts = 0;
	note(step, "fetch-failed", &update->target, step->event->word,
			"the delta cannot be used; taking loose objects");
	enter(step, next);
}

static void check_failed(Step *step, const char *event)
{
	/* Said once, not at each attempt; 'ashlarctl status' has the last error. */
	if (step->update->source_failures == 0 || step->update->is_forced)
		note(step, event, NULL, step->event->word, step->event->text);
	schedule_backoff(step);
	if (step->update->document != NULL && step->update->bundle == NULL)
		enter(step, ASH_UPDATE_READY);
	else
		go_idle(step);
}

static void fetch_failed(Step *step)
{
	AshUpdate *update = step->update;
	const AshUpdateEvent *event = step->event;
	bool is_delta = g_strcmp0(update->method, "delta") == 0;

	if (is_delta && !event->may_retry) {
		take_objects(step, ASH_UPDATE_FETCHING);
		return;
	}
	note(step, "fetch-failed", &update->target, event->word, event->text);
	/* What has come stays in staging; the next check finds the same release and goes on. */
	schedule_backoff(step);
	go_idle(step);
}

static void import_failed(Step *step)
{
	AshUpdate *update = step->update;
	const char *word = step->event->word;

	if (update->bundle != NULL) {
		give_up(step, "fetch-failed", word, step->event->text);
	} else if (g_strcmp0(update->method, "delta") == 0 && g_strcmp0(word, "space") != 0) {
		take_objects(step, ASH_UPDATE_FETCHING);
	} else if ((g_strcmp0(word, "corrupt") == 0 || g_strcmp0(word, "missing") == 0) &&
			++update->attempts < ASH_UPDATE_MAX_ATTEMPTS) {
		note(step, "fetch-failed", &update->target, word, step->event->text);
		enter(step, ASH_UPDATE_FETCHING);
	} else {
		give_up(step, "fetch-failed", word, step->event->text);
	}
}

static void deploy_failed(Step *step)
{
	AshUpdate *update = step->update;
	const AshUpdateEvent *event = step->event;

	if (g_strcmp0(event->word, "kernel") == 0) {
		/* No other try and no other host would have another kernel. */
		mark_bad(step, &update->target, false, event->text);
		give_up(step, "deploy-failed", event->word, event->text);
		return;
	}
	if (g_strcmp0(event->word, "space") != 0 && ++update->attempts < ASH_UPDATE_MAX_ATTEMPTS) {
		note(step, "deploy-failed", &update->target, event->word, event->text);
		enter(step, update->state);
		return;
	}
	/* It never ran, so nothing is known against it: the fault is in this host's disk. */
	give_up(step, "deploy-failed", event->word, event->text);
}

static void bless_failed(Step *step)
{
	AshUpdate *update = step->update;

	if (update->attempts == 0)
		note(step, "degraded", &update->booted, step->event->word, step->event->text);
	update->attempts++;
	g_free(update->degraded);
	update->degraded = g_strdup_printf(
			"healthy, but the boot entry cannot be blessed: %s", step->event->text);
	int64_t wait = step->world->backoff_s != 0 ? step->world->backoff_s : ASH_UPDATE_BACKOFF_S;
	update->retry_at_s = step->world->now_s + wait * MIN(update->attempts, 60);
}

static void condemn_failed(Step *step)
{
	AshUpdate *update = step->update;

	if (g_strcmp0(step->event->word, "no-fallback") != 0) {
		/* Without the mark the boot loader spends the tries that are left, and then returns. */
		enter(step, ASH_UPDATE_RETURNING);
		return;
	}
	g_free(update->degraded);
	update->degraded = g_strdup_printf("%s is bad (%s), and there is nothing to go back to",
			update->target.version, update->bad_reason);
	note(step, "degraded", &update->target, "no-fallback", update->degraded);
	schedule_check(step);
	go_idle(step);
}

static gboolean step_failed(Step *step, GError **error)
{
	const AshUpdateEvent *event = step->event;

	switch (step->update->state) {
	case ASH_UPDATE_CHECKING:
		check_failed(step, "source-failed");
		return TRUE;
	case ASH_UPDATE_VERIFYING:
		check_failed(step, "refused");
		return TRUE;
	case ASH_UPDATE_BUNDLING:
	case ASH_UPDATE_PLANNING:
		give_up(step, "refused", event->word, event->text);
		return TRUE;
	case ASH_UPDATE_FETCHING:
		fetch_failed(step);
		return TRUE;
	case ASH_UPDATE_IMPORTING:
		import_failed(step);
		return TRUE;
	case ASH_UPDATE_DEPLOYING:
	case ASH_UPDATE_SWITCHING:
		deploy_failed(step);
		return TRUE;
	case ASH_UPDATE_BLESSING:
		bless_failed(step);
		return TRUE;
	case ASH_UPDATE_CONDEMNING:
		condemn_failed(step);
		return TRUE;
	case ASH_UPDATE_CLEANING:
		/* What is left lies about until the next time; the space plan counts it. */
		note(step, "degraded", NULL, event->word, event->text);
		go_idle(step);
		return TRUE;
	case ASH_UPDATE_IDLE:
	case ASH_UPDATE_READY:
	case ASH_UPDATE_REBOOTING:
	case ASH_UPDATE_TRIAL:
	case ASH_UPDATE_RETURNING:
		break;
	}
	return wrong_state(step, error);
}

static gboolean step_verdict(Step *step, GError **error)
{
	AshUpdate *update = step->update;

	if (update->state != ASH_UPDATE_TRIAL)
		return wrong_state(step, error);
	update->attempts = 0;
	update->retry_at_s = 0;
	if (step->event->is_good) {
		enter(step, ASH_UPDATE_BLESSING);
		return TRUE;
	}
	mark_bad(step, &update->target, false, step->event->text);
	g_free(update->bad_reason);
	update->bad_reason = g_strdup(step->event->text);
	enter(step, ASH_UPDATE_CONDEMNING);
	return TRUE;
}

gboolean ash_update_step(AshUpdate *update, const AshUpdateWorld *world,
		const AshUpdateEvent *event, GPtrArray *notes, bool *out_entered, GError **error)
{
	Step step = {.update = update, .world = world, .event = event, .notes = notes};
	gboolean result = TRUE;

	switch (event->kind) {
	case ASH_UPDATE_EVENT_START:
		step_start(&step);
		break;
	case ASH_UPDATE_EVENT_TIMER:
		step_timer(&step);
		break;
	case ASH_UPDATE_EVENT_CHECK:
	case ASH_UPDATE_EVENT_UPDATE:
	case ASH_UPDATE_EVENT_BUNDLE:
	case ASH_UPDATE_EVENT_ROLLBACK:
		result = step_request(&step, error);
		break;
	case ASH_UPDATE_EVENT_DONE:
		result = step_done(&step, error);
		break;
	case ASH_UPDATE_EVENT_FAILED:
		result = step_failed(&step, error);
		break;
	case ASH_UPDATE_EVENT_VERDICT:
		result = step_verdict(&step, error);
		break;
	}
	if (result)
		*out_entered = step.entered;
	return result;
}

int64_t ash_update_next_s(const AshUpdate *update, const AshUpdateWorld *world)
{
	switch (update->state) {
	case ASH_UPDATE_IDLE:
	case ASH_UPDATE_READY:
		return world->has_source ? update->next_check_s : INT64_MAX;
	case ASH_UPDATE_BLESSING:
		return update->retry_at_s != 0 ? update->retry_at_s : INT64_MAX;
	case ASH_UPDATE_CHECKING:
	case ASH_UPDATE_BUNDLING:
	case ASH_UPDATE_VERIFYING:
	case ASH_UPDATE_PLANNING:
	case ASH_UPDATE_FETCHING:
	case ASH_UPDATE_IMPORTING:
	case ASH_UPDATE_DEPLOYING:
	case ASH_UPDATE_SWITCHING:
	case ASH_UPDATE_REBOOTING:
	case ASH_UPDATE_TRIAL:
	case ASH_UPDATE_CONDEMNING:
	case ASH_UPDATE_RETURNING:
	case ASH_UPDATE_CLEANING:
		break;
	}
	return INT64_MAX;
}
