/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/daemon.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/version.h"

/* {"text":…} */
static char *answer(const char *format, ...) G_GNUC_PRINTF(1, 2);
static char *answer(const char *format, ...)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	va_list args;

	va_start(args, format);
	g_autofree char *text = g_strdup_vprintf(format, args);
	va_end(args);
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "text", text);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

static gboolean need_start(const AshDaemon *daemon, GError **error)
{
	if (daemon->has_started)
		return TRUE;
	return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_WRONG_STATE,
			daemon->system == NULL ? "ashlard is still looking at the disk"
					       : "this machine was not started from a deployment");
}

static gboolean call_check(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	AshUpdateEvent event = {.kind = ASH_UPDATE_EVENT_CHECK};

	if (!ash_daemon_step(daemon, &event, error))
		return FALSE;
	*out_json = answer("looking for a release at %s", daemon->settings->updates.url);
	return TRUE;
}

static gboolean call_update(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	AshUpdateEvent event = {.kind = ASH_UPDATE_EVENT_UPDATE, .text = call->text};

	if (*call->text != '\0' && !ash_version_is_valid(call->text))
		return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND,
				"'%.80s' is no version", call->text);
	if (!ash_daemon_step(daemon, &event, error))
		return FALSE;
	*out_json = *call->text != '\0' ? answer("going to %s", call->text)
					: answer("going to the newest release");
	return TRUE;
}

static gboolean call_bundle(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	AshUpdateEvent event = {.kind = ASH_UPDATE_EVENT_BUNDLE, .text = call->text};

	if (*call->text != '/')
		return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND,
				"a bundle is named by its absolute path");
	if (!ash_daemon_step(daemon, &event, error))
		return FALSE;
	*out_json = answer("taking the release in %s", call->text);
	return TRUE;
}

static gboolean call_rollback(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	const AshJobDeployment *target = ash_daemon_find(daemon, call->text, error);

	if (target == NULL)
		return FALSE;
	if (target->is_booted)
		return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_WRONG_STATE,
				"%s is what runs", target->version);
	g_autofree char *version = g_strdup(target->version);
	AshUpdateEvent event = {
			.kind = ASH_UPDATE_EVENT_ROLLBACK,
			.commit = target->commit,
			.version = target->version,
	};
	if (!ash_daemon_step(daemon, &event, error))
		return FALSE;
	*out_json = answer("going back to %s", version);
	return TRUE;
}

/* What is written now may be what is being removed next. */
static gboolean need_quiet_disk(const AshDaemon *daemon, GError **error)
{
	AshUpdateState state = daemon->update->state;

	return (state != ASH_UPDATE_DEPLOYING && state != ASH_UPDATE_SWITCHING &&
			       state != ASH_UPDATE_CLEANING) ||
	       ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_WRONG_STATE,
			       "nothing can be pinned while the host is %s; it takes a moment",
			       ash_update_state_public(state));
}

static gboolean call_pin(AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	AshUpdate *update = daemon->update;
	const AshJobDeployment *target = ash_daemon_find(daemon, call->text, error);

	if (target == NULL || !need_quiet_disk(daemon, error))
		return FALSE;
	if (ash_update_is_pinned(update, target->commit))
		return TRUE;
	if (update->pinned->len >= ASH_UPDATE_MAX_PINNED)
		return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_WRONG_STATE,
				"%d deployments are pinned, more cannot be: unpin one",
				ASH_UPDATE_MAX_PINNED);
	AshUpdateRef *ref = g_new0(AshUpdateRef, 1);
	ash_update_ref_set(ref, target->commit, target->version);
	g_ptr_array_add(update->pinned, ref);
	ash_daemon_save(daemon);
	ash_daemon_note(daemon, "pinned", target->version);
	return TRUE;
}

static gboolean call_unpin(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	AshUpdate *update = daemon->update;

	if (!need_quiet_disk(daemon, error))
		return FALSE;
	for (guint i = 0; i < update->pinned->len; i++) {
		const AshUpdateRef *ref = update->pinned->pdata[i];
		if (strcmp(ref->commit, call->text) != 0 &&
				g_strcmp0(ref->version, call->text) != 0)
			continue;
		ash_daemon_note(daemon, "unpinned", ref->version);
		g_ptr_array_remove_index(update->pinned, i);
		ash_daemon_save(daemon);
		return TRUE;
	}
	return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND,
			"'%.80s' is not pinned", call->text);
}

static gboolean call_forgive(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	if (!ash_daemon_forgive(daemon, call->text))
		return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND,
				"'%.80s' is not among what failed here; 'ashlarctl status' lists it",
				call->text);
	return TRUE;
}

static gboolean call_history(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	uint64_t limit = 50;

	if (*call->text != '\0' &&
			!g_ascii_string_to_unsigned(call->text, 10, 1, 100000, &limit, NULL))
		return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND,
				"'%.40s' is no number of events", call->text);
	return ash_history_format(daemon->history, (unsigned) limit, out_json, error);
}

static gboolean call_status(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	*out_json = ash_daemon_status(daemon);
	return TRUE;
}

static gboolean call_health(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	*out_json = ash_daemon_health_report(daemon);
	return TRUE;
}

static gboolean call_why(AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	*out_json = ash_daemon_why(daemon);
	return TRUE;
}

static gboolean call_order_done(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	ash_daemon_order_done(daemon, call->id, call->text);
	return TRUE;
}

static gboolean call_order_progress(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	ash_daemon_order_progress(daemon, call->id, call->done, call->total);
	return TRUE;
}

static gboolean call_fleet_report(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	*out_json = ash_daemon_fleet_report(daemon);
	return TRUE;
}

static gboolean call_fleet_answer(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	return ash_daemon_fleet_answer(daemon, call->id, call->text, error);
}

static const struct {
	const char *name;
	gboolean (*run)(AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error);
	bool needs_start;
} methods[] = {
		{"GetStatus", call_status, false},
		{"GetHealth", call_health, false},
		{"GetHistory", call_history, false},
		{"Why", call_why, false},
		{"Check", call_check, true},
		{"Update", call_update, true},
		{"Rollback", call_rollback, true},
		{"Bundle", call_bundle, true},
		{"Pin", call_pin, true},
		{"Unpin", call_unpin, false},
		{"Forgive", call_forgive, false},
		{"OrderDone", call_order_done, true},
		{"OrderProgress", call_order_progress, true},
		{"FleetReport", call_fleet_report, true},
		{"FleetAnswer", call_fleet_answer, true},
};

/* The machine's errors in the words of the bus. */
static gboolean throw_for_bus(const GError *cause, GError **error)
{
	int code = ASH_BUS_ERROR_FAILED;

	if (g_error_matches(cause, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_WRONG_STATE) ||
			g_error_matches(cause, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NO_SOURCE))
		code = ASH_BUS_ERROR_WRONG_STATE;
	else if (g_error_matches(cause, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND))
		code = ASH_BUS_ERROR_NOT_FOUND;
	return ash_throw(error, ASH_BUS_ERROR, code, "%s", cause->message);
}

static gboolean run_method(
		AshDaemon *daemon, const AshBusCall *call, char **out_json, GError **error)
{
	for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
		if (strcmp(methods[i].name, call->method) != 0)
			continue;
		if (methods[i].needs_start && !need_start(daemon, error))
			return FALSE;
		return methods[i].run(daemon, call, out_json, error);
	}
	return ash_throw(error, ASH_UPDATE_ERROR, ASH_UPDATE_ERROR_NOT_FOUND, "no method '%.40s'",
			call->method);
}

gboolean ash_daemon_call(const AshBusCall *call, gpointer data, char **out_json, GError **error)
{
	g_autoptr(GError) cause = NULL;

	return run_method(data, call, out_json, &cause) || throw_for_bus(cause, error);
}

char *ash_daemon_property(const char *name, gpointer data)
{
	AshDaemon *daemon = data;

	if (strcmp(name, "Order") == 0)
		return g_strdup(daemon->order);
	if (strcmp(name, "Fleet") == 0)
		return ash_daemon_fleet_property(daemon);
	return g_strdup(ash_update_state_public(daemon->update->state));
}
