/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/daemon.h"
#include "agent/fleet-workload.h"
#include "lib/error.h"
#include "lib/window.h"

/* What the fleet wants becomes a part of the world that the update machine looks at (agent/update.h), a return, or an
 * order that is carried out once. All of it is on disk before it is acted on.
 */

bool ash_daemon_is_in_fleet(const AshDaemon *daemon)
{
	return daemon->fleet->url != NULL && daemon->fleet->standing != ASH_FLEET_LEFT;
}

/* ---- what is kept -------------------------------------------------------------------------------- */

static void load_windows(AshDaemon *daemon)
{
	g_clear_pointer(&daemon->fleet_windows, g_ptr_array_unref);
	if (!ash_daemon_is_in_fleet(daemon) || daemon->fleet->windows == NULL)
		return;
	daemon->fleet_windows = g_ptr_array_new_with_free_func((GDestroyNotify) ash_window_free);
	for (char **text = daemon->fleet->windows; *text != NULL; text++) {
		AshWindow *window = NULL;
		/* They were parsed when they came. */
		if (ash_window_parse(*text, &window, NULL))
			g_ptr_array_add(daemon->fleet_windows, window);
	}
}

bool ash_daemon_fleet_save(AshDaemon *daemon)
{
	g_autoptr(GError) local = NULL;

	/* A host that was never in a fleet has no file. */
	if (daemon->fleet->url == NULL && daemon->fleet_saved == NULL)
		return true;
	if (ash_fleet_member_save(daemon->root, daemon->fleet, &daemon->fleet_saved, &local))
		return true;
	g_warning("%s; going on without", local->message);
	return false;
}

gboolean ash_daemon_fleet_load(AshDaemon *daemon, GError **error)
{
	g_autofree char *warning = NULL;

	if (!ash_fleet_member_load(daemon->root, &daemon->fleet, &warning, error))
		return FALSE;
	if (warning != NULL)
		g_message("%s", warning);
	if (daemon->fleet->url != NULL)
		daemon->fleet_saved = ash_fleet_member_format(daemon->fleet, false);
	ash_fleet_member_set_fleet(
			daemon->fleet, daemon->settings->fleet_url, daemon->settings->fleet_token);
	ash_fleet_member_end_open(daemon->fleet, "ashlard ended while it was carried out");
	ash_daemon_fleet_save(daemon);
	load_windows(daemon);
	/* Serials rise over restarts, so that a late answer is known as such. */
	daemon->fleet_serial = (uint64_t) g_get_real_time();
	daemon->journal.deadline_us = INT64_MAX;
	return TRUE;
}

void ash_daemon_fleet_news(AshDaemon *daemon)
{
	daemon->fleet_serial++;
	if (daemon->fleet->url != NULL)
		ash_bus_changed(daemon->bus, "Fleet");
}

/* ---- the world ----------------------------------------------------------------------------------- */

void ash_daemon_window(
		const AshDaemon *daemon, int64_t now_s, bool *out_is_open, int64_t *out_change_s)
{
	*out_is_open = false;
	*out_change_s = INT64_MAX;
	if (daemon->fleet_windows != NULL)
		ash_window_next(daemon->fleet_windows, now_s, out_is_open, out_change_s);
	/* Which windows the owner gave is not known. */
	else if (!daemon->settings->is_doubtful)
		ash_window_next(daemon->windows, now_s, out_is_open, out_change_s);
}

void ash_daemon_fleet_world(AshDaemon *daemon, AshUpdateWorld *world)
{
	const AshFleetMember *fleet = daemon->fleet;
	const AshFleetWish *wish = fleet->release;

	world->is_fleet = ash_daemon_is_in_fleet(daemon);
	world->is_fleet_held = world->is_fleet &&
			       (fleet->hold != NULL || fleet->standing == ASH_FLEET_HELD);
	if (!world->is_fleet || wish == NULL || wish->is_return ||
			g_strcmp0(wish->commit, daemon->update->booted.commit) == 0)
		return;
	world->fleet_version = wish->version;
	world->fleet_commit = wish->commit;
}

/* ---- going back ---------------------------------------------------------------------------------- */

void ash_daemon_fleet_act(AshDaemon *daemon)
{
	AshFleetMember *fleet = daemon->fleet;
	const AshFleetWish *wish = fleet->release;
	AshUpdateState state = daemon->update->state;
	bool is_trial = state == ASH_UPDATE_TRIAL;

	if (!daemon->has_started || !ash_daemon_is_in_fleet(daemon) || wish == NULL ||
			!wish->is_return || fleet->returned == fleet->have)
		return;
	if (state != ASH_UPDATE_IDLE && state != ASH_UPDATE_READY && !is_trial)
		return;
	const AshJobDeployment *target = ash_daemon_deployment(daemon, wish->commit);
	if (target == NULL || target->is_booted)
		return;
	/* Once for each word of the fleet: a deployment that does not come up is not tried for ever. Out of a trial the
	 * host goes to the one before it, which may be another one. */
	if (!is_trial) {
		fleet->returned = fleet->have;
		if (!ash_daemon_fleet_save(daemon)) {
			fleet->returned = 0;
			return;
		}
	}
	AshUpdateEvent event = {
			.kind = ASH_UPDATE_EVENT_ROLLBACK,
			.commit = wish->commit,
			.version = target->version,
			.text = ASH_UPDATE_LEFT_FOR_FLEET,
	};
	ash_daemon_must_step(daemon, &event);
}

/* ---- orders -------------------------------------------------------------------------------------- */

typedef gboolean (*RunOrder)(AshDaemon *daemon, const AshFleetOrder *order, const char **out_text,
		GError **error);

static gboolean run_check(AshDaemon *daemon, const AshFleetOrder *order, const char **out_text,
		GError **error)
{
	AshUpdateEvent event = {.kind = ASH_UPDATE_EVENT_CHECK};

	*out_text = "looking for releases";
	return ash_daemon_step(daemon, &event, error);
}

static gboolean run_forgive(AshDaemon *daemon, const AshFleetOrder *order, const char **out_text,
		GError **error)
{
	*out_text = "forgiven";
	if (*order->argument == '\0' || !ash_daemon_forgive(daemon, order->argument))
		return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND,
				"'%s' is not among what failed here", order->argument);
	return TRUE;
}

static gboolean run_forget(AshDaemon *daemon, const AshFleetOrder *order, const char **out_text,
		GError **error)
{
	*out_text = "leaving";
	daemon->fleet->is_leaving = true;
	return TRUE;
}

static gboolean run_facts(AshDaemon *daemon, const AshFleetOrder *order, const char **out_text,
		GError **error)
{
	*out_text = "here they are";
	daemon->fleet_whole++;
	return TRUE;
}

static gboolean run_reboot(AshDaemon *daemon, const AshFleetOrder *order, const char **out_text,
		GError **error)
{
	AshUpdateState state = daemon->update->state;

	*out_text = "rebooting";
	if (state != ASH_UPDATE_IDLE && state != ASH_UPDATE_READY)
		return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_WRONG_STATE,
				"not while the host is %s", ash_update_state_public(state));
	ash_daemon_note(daemon, "order", "the fleet has the host reboot");
	/* Afterwards nobody is there to write it down. */
	ash_fleet_member_end_order(daemon->fleet, order->id, true, *out_text);
	if (!ash_daemon_fleet_save(daemon))
		return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_WRONG_STATE,
				"the order cannot be written down, and would be carried out again");
	return ash_daemon_reboot(daemon, error);
}

static const struct {
	const char *verb;
	RunOrder run;
} orders[] = {
		{"check", run_check},
		{"forgive", run_forgive},
		{"forget", run_forget},
		{"facts", run_facts},
		{"reboot", run_reboot},
};

static void run_order(AshDaemon *daemon, const AshFleetOrder *order)
{
	g_autoptr(GError) local = NULL;
	const char *text = NULL;

	g_message("the fleet's order %" G_GUINT64_FORMAT ": %s %s", order->id, order->verb,
			order->argument);
	if (strcmp(order->verb, "journal") == 0) {
		ash_daemon_journal_begin(daemon, order->id);
		return;
	}
	if (g_str_has_prefix(order->verb, "workload-")) {
		ash_daemon_workload_order(daemon, order);
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
		if (strcmp(orders[i].verb, order->verb) != 0)
			continue;
		gboolean is_ok = orders[i].run(daemon, order, &text, &local);
		ash_fleet_member_end_order(
				daemon->fleet, order->id, is_ok, is_ok ? text : local->message);
		return;
	}
	ash_fleet_member_end_order(
			daemon->fleet, order->id, false, "this agent does not know such an order");
}

/* ---- answers ------------------------------------------------------------------------------------- */

/* An answer that cannot be written down has not come: it will again. */
static gboolean take_back(AshDaemon *daemon, const char *before, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(before, strlen(before));
	AshFleetMember *fleet = NULL;

	gboolean is_ok = ash_fleet_member_parse(bytes, &fleet, NULL);
	g_assert(is_ok);
	ash_fleet_member_free(daemon->fleet);
	daemon->fleet = fleet;
	daemon->fleet->trouble = g_strdup("its answer cannot be written down here");
	return ash_throw(error, ASH_FLEET_ANSWER_ERROR, ASH_FLEET_ANSWER_ERROR_VALUE,
			"the fleet's answer cannot be written down");
}

/* Whoever was told to leave has left when the fleet knows it, or knows the host no more. */
static void leave_if_told(AshFleetMember *fleet)
{
	bool is_out = fleet->standing == ASH_FLEET_REFUSED || fleet->standing == ASH_FLEET_RETIRED;

	if (!fleet->is_leaving || (!is_out && ash_fleet_member_has_unsaid(fleet)))
		return;
	fleet->standing = ASH_FLEET_LEFT;
	fleet->is_leaving = false;
}

static void take_news(AshDaemon *daemon)
{
	AshUpdateEvent timer = {.kind = ASH_UPDATE_EVENT_TIMER};
	AshUpdateWorld world;

	load_windows(daemon);
	ash_daemon_world(daemon, &world);
	if (daemon->fleet->hold != NULL)
		g_message("held by the fleet: %s", daemon->fleet->hold);
	else if (world.fleet_version != NULL)
		g_message("the fleet wants %s", world.fleet_version);
	if (world.fleet_version != NULL && !world.is_fleet_held) {
		daemon->update->fleet_misses = 0;
		daemon->update->next_check_s = world.now_s;
	}
	if (daemon->has_started)
		ash_daemon_must_step(daemon, &timer);
}

static gboolean take(AshDaemon *daemon, uint64_t serial, const AshFleetAnswer *answer,
		GPtrArray **out_orders, bool *out_has_news, GError **error)
{
	g_autofree char *before = ash_fleet_member_format(daemon->fleet, true);

	ash_fleet_member_take(daemon->fleet, answer, serial, ash_daemon_now_s(), out_orders,
			out_has_news);
	leave_if_told(daemon->fleet);
	if (ash_daemon_fleet_save(daemon))
		return TRUE;
	g_clear_pointer(out_orders, g_ptr_array_unref);
	return take_back(daemon, before, error);
}

gboolean ash_daemon_fleet_answer(
		AshDaemon *daemon, uint64_t serial, const char *json, GError **error)
{
	g_autoptr(AshFleetAnswer) answer = NULL;
	g_autoptr(GPtrArray) todo = NULL;
	g_autoptr(GError) local = NULL;
	bool has_news = false;

	if (daemon->fleet->url == NULL || serial > daemon->fleet_serial)
		return TRUE; /* of another ashlard, about another fleet */
	if (!ash_fleet_answer_parse(json, &answer, &local)) {
		g_free(daemon->fleet->trouble);
		daemon->fleet->trouble = g_strdup(local->message);
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	if (answer->outcome == ASH_FLEET_LEFT)
		daemon->fleet_has_left = true;
	g_autoptr(GPtrArray) before = daemon->fleet->workloads != NULL
						      ? g_ptr_array_ref(daemon->fleet->workloads)
						      : NULL;
	if (!take(daemon, serial, answer, &todo, &has_news, error))
		return FALSE;
	if (daemon->fleet->trouble == NULL)
		ash_daemon_document_contact(daemon);
	if (answer->is_answered) {
		ash_daemon_journal_acknowledge(daemon, serial);
		ash_daemon_log_answered(daemon, answer);
	}
	for (guint i = 0; i < todo->len; i++)
		run_order(daemon, todo->pdata[i]);
	ash_daemon_fleet_save(daemon);
	if (has_news)
		take_news(daemon);
	if (!ash_fleet_workload_is_same_list(before, daemon->fleet->workloads))
		ash_daemon_workload_news(daemon);
	else if (has_news)
		ash_daemon_workload_unheld(daemon);
	ash_daemon_fleet_act(daemon);
	if (todo->len > 0 || daemon->fleet->standing == ASH_FLEET_LEFT ||
			daemon->fleet->standing == ASH_FLEET_RETIRED)
		ash_daemon_fleet_news(daemon);
	return TRUE;
}
