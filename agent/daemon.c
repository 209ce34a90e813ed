/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemon.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <time.h>

#include "agent/fault.h"
#include "agent/paths.h"
#include "agent/update-store.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/window.h"

int64_t ash_daemon_now_s(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

int64_t ash_daemon_trusted_now_s(const AshDaemon *daemon)
{
	return MAX(ash_daemon_now_s(), daemon->update->clock_floor_s);
}

/* ---- beginning ----------------------------------------------------------------------------------- */

static gboolean read_boot_id(AshDaemon *daemon, GError **error)
{
	g_autofree char *path =
			g_build_filename(daemon->root, "/proc/sys/kernel/random/boot_id", NULL);
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_file_read(AT_FDCWD, path, 128, &bytes, error))
		return FALSE;
	daemon->boot_id = g_strstrip(g_strdup(g_bytes_get_data(bytes, NULL)));
	return TRUE;
}

static gboolean load_settings(AshDaemon *daemon, GError **error)
{
	g_autoptr(GError) local = NULL;

	if (!ash_hostdoc_load(daemon->root, &daemon->settings, &daemon->warnings, error))
		return FALSE;
	if (!ash_hostdoc_keep(daemon->root, &local))
		g_warning("%s; settings that are good now are not kept", local->message);
	ash_daemon_document_begin(daemon);
	for (char **text = daemon->settings->updates.windows; *text != NULL; text++) {
		AshWindow *window = NULL;
		/* They were parsed once already; a time zone may be missing in this deployment. */
		if (!ash_window_parse(*text, &window, error))
			return FALSE;
		g_ptr_array_add(daemon->windows, window);
	}
	return TRUE;
}

static void enable_tests(AshDaemon *daemon)
{
	const char *wait = g_getenv("ASHLAR_WAIT");
	uint64_t wait_s = 0;

	ash_fault_enable();
	if (wait != NULL && g_ascii_string_to_unsigned(wait, 10, 1, 3600, &wait_s, NULL))
		daemon->wait_s = (int64_t) wait_s;
	daemon->is_hurried = wait_s > 0;
}

/* Writes what is not in the history yet, in order. What cannot be written is tried again: at the next entry, after
 * a while, and by the next process.
 */
static bool tell(AshDaemon *daemon, const char *boot_id)
{
	AshUpdate *update = daemon->update;

	daemon->tell_again_us = INT64_MAX;
	while (update->told->len > 0) {
		g_autofree char *json = NULL;
		g_autoptr(GError) local = NULL;

		if (update->told_id >= ash_history_next_id(daemon->history) &&
				!ash_history_add(daemon->history, update->told->pdata[0], boot_id,
						ash_daemon_now_s(), &json, &local)) {
			g_warning("%s; trying again in %" G_GINT64_FORMAT " s", local->message,
					daemon->wait_s);
			daemon->tell_again_us = ash_bus_now_us() + daemon->wait_s * G_USEC_PER_SEC;
			return false;
		}
		if (json != NULL)
			ash_bus_emit_event(daemon->bus, json);
		g_ptr_array_remove_index(update->told, 0);
		update->told_id++;
	}
	return true;
}

static void log_warning(const char *text)
{
	g_message("%s", text);
}

gboolean ash_daemon_new(
		const char *root, const char *libexec, AshDaemon **out_daemon, GError **error)
{
	g_autoptr(AshDaemon) daemon = g_new0(AshDaemon, 1);
	g_autofree char *warning = NULL;
	g_autofree char *state_dir = g_build_filename(root, ASH_PATH_STATE, NULL);

	daemon->root = root;
	daemon->libexec = libexec;
	daemon->is_test = *root != '\0';
	daemon->wait_s = ASH_DAEMON_SAVE_AGAIN_S;
	if (daemon->is_test)
		enable_tests(daemon);
	daemon->windows = g_ptr_array_new_with_free_func((GDestroyNotify) ash_window_free);
	daemon->order = g_strdup("{\"id\":0,\"verb\":\"none\"}");
	daemon->jitter = g_random_double();
	daemon->save_again_us = daemon->tell_again_us = daemon->reboot_again_us = INT64_MAX;
	daemon->order_deadline_us = INT64_MAX;
	ash_daemon_workload_init(&daemon->workloads);
	if (!ash_file_ensure_dir(AT_FDCWD, state_dir, 0700, error) ||
			!read_boot_id(daemon, error) || !load_settings(daemon, error) ||
			!ash_update_load(root, &daemon->update, &warning, error) ||
			!ash_history_open(root, &daemon->history, error) ||
			!ash_daemon_fleet_load(daemon, error) || !ash_bus_new(&daemon->bus, error))
		return FALSE;
	/* What a process before this one decided and could not tell any more. */
	ash_history_raise_id(daemon->history, daemon->update->told_id);
	tell(daemon, daemon->update->boot_id);
	/* Ids rise over restarts, so that a late answer to an order of before is known as such. */
	daemon->order_id = (uint64_t) g_get_real_time();
	if (warning != NULL) {
		log_warning(warning);
		ash_daemon_note(daemon, "degraded", warning);
	}
	for (char **text = daemon->warnings; text != NULL && *text != NULL; text++)
		log_warning(*text);
	*out_daemon = g_steal_pointer(&daemon);
	return TRUE;
}

void ash_daemon_free(AshDaemon *daemon)
{
	if (daemon == NULL)
		return;
	ash_bus_free(daemon->bus);
	g_free(daemon->boot_id);
	ash_update_free(daemon->update);
	g_free(daemon->saved);
	ash_history_free(daemon->history);
	ash_hostdoc_free(daemon->settings);
	g_ptr_array_unref(daemon->windows);
	g_strfreev(daemon->warnings);
	ash_job_system_free(daemon->system);
	ash_health_free(daemon->health);
	g_free(daemon->verdict_reason);
	g_free(daemon->trouble);
	g_free(daemon->job_verb);
	g_free(daemon->job_result);
	g_free(daemon->job_error);
	g_free(daemon->order);
	g_free(daemon->source.error);
	g_free(daemon->source.word);
	g_free(daemon->available);
	g_free(daemon->refused);
	ash_fleet_member_free(daemon->fleet);
	g_free(daemon->fleet_saved);
	g_clear_pointer(&daemon->fleet_windows, g_ptr_array_unref);
	ash_daemon_document_clear(&daemon->document);
	ash_daemon_journal_clear(&daemon->journal);
	ash_daemon_workload_clear(&daemon->workloads);
	g_free(daemon);
}

/* ---- steps --------------------------------------------------------------------------------------- */

void ash_daemon_world(AshDaemon *daemon, AshUpdateWorld *out_world)
{
	int64_t change_s = INT64_MAX;

	*out_world = (AshUpdateWorld){
			.now_s = ash_daemon_now_s(),
			.has_source = daemon->settings->updates.url != NULL,
			.is_automatic = daemon->settings->updates.is_automatic,
			.check_s = daemon->is_hurried ? (uint64_t) daemon->wait_s * 5
						      : daemon->settings->updates.check_s,
			.jitter = daemon->jitter,
			.keep = daemon->settings->updates.keep,
			.backoff_s = daemon->wait_s,
	};
	ash_daemon_window(daemon, out_world->now_s, &out_world->window_open, &change_s);
	ash_daemon_fleet_world(daemon, out_world);
}

void ash_daemon_note(AshDaemon *daemon, const char *event, const char *text)
{
	AshUpdateNote note = {.event = event, .text = g_strdup(text)};
	g_autofree char *json = NULL;
	g_autoptr(GError) local = NULL;

	/* Its id is not that of one that waits. */
	if (!tell(daemon, daemon->boot_id))
		g_warning("history: going on without '%s: %s'", event, text);
	else if (ash_history_add(daemon->history, &note, daemon->boot_id, ash_daemon_now_s(), &json,
				 &local))
		ash_bus_emit_event(daemon->bus, json);
	else
		g_warning("%s; going on without this entry", local->message);
	g_free(note.text);
	ash_daemon_fleet_news(daemon);
}

/* What a step has to tell comes behind what waits still, and is in the state that is saved next. */
static void keep_notes(AshDaemon *daemon, GPtrArray *notes)
{
	AshUpdate *update = daemon->update;

	if (notes->len == 0)
		return;
	for (guint i = 0; i < notes->len; i++) {
		const AshUpdateNote *note = notes->pdata[i];
		g_message("%s%s%s%s%s", note->event, note->version != NULL ? " " : "",
				note->version != NULL ? note->version : "",
				*note->text != '\0' ? ": " : "", note->text);
	}
	g_ptr_array_extend_and_steal(update->told, g_ptr_array_ref(notes));
	if (update->told->len > ASH_UPDATE_MAX_TOLD)
		g_ptr_array_remove_range(update->told, 0, update->told->len - ASH_UPDATE_MAX_TOLD);
	update->told_id = ash_history_next_id(daemon->history);
}

bool ash_daemon_save(AshDaemon *daemon)
{
	g_autoptr(GError) local = NULL;

	daemon->save_again_us = INT64_MAX;
	g_clear_pointer(&daemon->trouble, g_free);
	if (ash_update_save(daemon->root, daemon->update, &daemon->saved, &local))
		return true;
	daemon->trouble = g_strdup_printf("the state cannot be written: %s", local->message);
	g_warning("%s; trying again in %" G_GINT64_FORMAT " s", local->message, daemon->wait_s);
	daemon->save_again_us = ash_bus_now_us() + daemon->wait_s * G_USEC_PER_SEC;
	return false;
}

/* May the action begin although the state could not be written? What these do is already told by the
 * boot counter on the ESP, and a full /var must not keep a host from judging a trial or from leaving
 * one.
 */
static bool may_act_unsaved(AshUpdateState state)
{
	return state == ASH_UPDATE_IDLE || state == ASH_UPDATE_TRIAL ||
	       state == ASH_UPDATE_BLESSING || state == ASH_UPDATE_CONDEMNING ||
	       state == ASH_UPDATE_RETURNING || state == ASH_UPDATE_CLEANING;
}

/* A point at which tests may end the process. */
static void fault_point(const AshDaemon *daemon, const char *when)
{
	if (!daemon->is_test)
		return;
	g_autofree char *name =
			g_strconcat(when, "-", ash_update_state_text(daemon->update->state), NULL);
	ash_fault_hits(name);
}

/* Of a release that turned out bad the fleet gets the journal of the boot that said so: this one, or the one before
 * it. Where ashlard never ran, it is the last that there is.
 */
static void want_journal(AshDaemon *daemon, guint news, const AshUpdateEvent *event,
		AshUpdateState before, const char *last_boot)
{
	const GPtrArray *told = daemon->update->told;

	for (guint i = told->len - news; i < told->len; i++) {
		const AshUpdateNote *note = told->pdata[i];
		const char *boot = daemon->boot_id;
		if (strcmp(note->event, "bad") != 0)
			continue;
		if (event->kind == ASH_UPDATE_EVENT_START)
			boot = before == ASH_UPDATE_TRIAL && last_boot != NULL ? last_boot : "-1";
		else if (event->kind != ASH_UPDATE_EVENT_VERDICT)
			continue; /* it never ran */
		ash_daemon_journal_want(daemon, note->version, boot);
	}
}

gboolean ash_daemon_step(AshDaemon *daemon, const AshUpdateEvent *event, GError **error)
{
	g_autoptr(GPtrArray) notes =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_update_note_free);
	AshUpdateState before = daemon->update->state;
	AshUpdateState settled = ash_update_settled_state(daemon->update);
	g_autofree char *last_boot = g_strdup(daemon->update->boot_id);
	AshUpdateWorld world;
	bool entered = false;

	ash_daemon_world(daemon, &world);
	if (!ash_update_step(daemon->update, &world, event, notes, &entered, error))
		return FALSE;
	guint news = notes->len;
	keep_notes(daemon, notes);
	bool is_saved = ash_daemon_save(daemon);
	want_journal(daemon, news, event, before, last_boot);
	fault_point(daemon, "saved");
	tell(daemon, daemon->boot_id);
	if (before != daemon->update->state)
		ash_bus_changed(daemon->bus, "State");
	if (news > 0 || settled != ash_update_settled_state(daemon->update))
		ash_daemon_fleet_news(daemon);
	if (entered && (is_saved || may_act_unsaved(daemon->update->state))) {
		fault_point(daemon, "state");
		ash_daemon_act(daemon);
		fault_point(daemon, "begun");
	}
	ash_daemon_set_timer(daemon);
	ash_daemon_fleet_act(daemon);
	ash_daemon_image_next(daemon);
	return TRUE;
}

void ash_daemon_must_step(AshDaemon *daemon, const AshUpdateEvent *event)
{
	g_autoptr(GError) local = NULL;

	if (!ash_daemon_step(daemon, event, &local))
		g_warning("%s, ignoring", local->message);
}

/* ---- time ---------------------------------------------------------------------------------------- */

/* The instant of the wall clock on the clock that timers use. */
static int64_t to_boottime(int64_t wall_s)
{
	if (wall_s == INT64_MAX)
		return INT64_MAX;
	int64_t in_s = wall_s - ash_daemon_now_s();
	/* A year at most: the wall clock may be anything. */
	return ash_bus_now_us() + CLAMP(in_s, 0, 366 * 86400) * G_USEC_PER_SEC;
}

static void on_timer(gpointer data)
{
	AshDaemon *daemon = data;
	AshUpdateEvent event = {.kind = ASH_UPDATE_EVENT_TIMER};
	int64_t now_us = ash_bus_now_us();

	if (now_us >= daemon->save_again_us && ash_daemon_save(daemon)) {
		/* The action waits for it; job_ended goes on. */
		if (daemon->must_inspect)
			ash_daemon_inspect(daemon);
		else
			ash_daemon_act(daemon);
	}
	if (now_us >= daemon->tell_again_us && tell(daemon, daemon->boot_id))
		ash_daemon_fleet_news(daemon);
	if (now_us >= daemon->reboot_again_us)
		ash_daemon_act(daemon);
	if (now_us >= daemon->order_deadline_us)
		ash_daemon_order_late(daemon);
	if (now_us >= daemon->journal.deadline_us)
		ash_daemon_journal_late(daemon);
	if (now_us >= daemon->workloads.tell_again_us)
		ash_daemon_workload_late(daemon);
	if (now_us >= ash_daemon_log_next_us(daemon))
		ash_daemon_log_late(daemon);
	if (now_us >= daemon->document.deadline_us)
		ash_daemon_document_late(daemon);
	if (daemon->has_started)
		ash_daemon_must_step(daemon, &event);
	ash_daemon_set_timer(daemon);
}

void ash_daemon_set_timer(AshDaemon *daemon)
{
	g_autoptr(GError) local = NULL;
	AshUpdateWorld world;
	int64_t change_s = INT64_MAX;
	int64_t at_us = MIN(MIN(daemon->save_again_us, daemon->tell_again_us),
			MIN(daemon->reboot_again_us, MIN(daemon->order_deadline_us,
								     daemon->journal.deadline_us)));

	at_us = MIN(at_us, daemon->document.deadline_us);
	at_us = MIN(at_us, MIN(daemon->workloads.tell_again_us, ash_daemon_log_next_us(daemon)));
	if (daemon->has_started) {
		ash_daemon_world(daemon, &world);
		at_us = MIN(at_us, to_boottime(ash_update_next_s(daemon->update, &world)));
		if (daemon->update->state == ASH_UPDATE_READY) {
			ash_daemon_window(daemon, world.now_s, &world.window_open, &change_s);
			at_us = MIN(at_us, to_boottime(change_s));
		}
		at_us = MIN(at_us, ash_daemon_health_tick(daemon));
	}
	if (!ash_bus_set_timer(daemon->bus, at_us, on_timer, daemon, &local))
		g_warning("%s", local->message);
}

static void on_clock(gpointer data)
{
	AshDaemon *daemon = data;

	/* Set back, the next check would be far; set forward, it is due. Both are harmless. */
	if (daemon->update->next_check_s >
			ash_daemon_now_s() + (int64_t) daemon->settings->updates.check_s * 2)
		daemon->update->next_check_s = ash_daemon_now_s();
	ash_daemon_set_timer(daemon);
}

gboolean ash_daemon_run(AshDaemon *daemon, GError **error)
{
	/* Not at once: the network comes up, and everything that was switched on with this host asks. */
	int64_t first_s = MIN(ASH_DAEMON_FIRST_CHECK_S, daemon->wait_s);
	daemon->update->next_check_s = ash_daemon_now_s() + first_s +
				       (int64_t) (daemon->jitter * (double) first_s);
	if (!ash_bus_serve(daemon->bus, ash_daemon_call, ash_daemon_property, daemon, error) ||
			!ash_bus_watch_clock(daemon->bus, on_clock, daemon, error))
		return FALSE;
	ash_daemon_inspect(daemon);
	return ash_bus_run(daemon->bus, error);
}
