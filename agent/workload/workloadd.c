/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/workloadd.h"

#include <fcntl.h>
#include <string.h>

#include "agent/fault.h"
#include "agent/paths.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_workloadd_error_quark, ash_workloadd_error)

enum {
	SAVE_AGAIN_US = 5 * 1000 * 1000,
	MAX_ROUNDS = 10000, /* of settling: more is a mistake of ours */
	MAX_BOOT_ID = 128,
};

char *ash_workloadd_path(const AshWorkloadd *daemon, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *path = g_strdup_vprintf(format, args);
	va_end(args);
	return g_strconcat(daemon->root, path, NULL);
}

/* ---- beginning ---- */

static gboolean read_boot_id(AshWorkloadd *daemon, GError **error)
{
	g_autofree char *path = ash_workloadd_path(daemon, "/proc/sys/kernel/random/boot_id");
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_file_read(AT_FDCWD, path, MAX_BOOT_ID, &bytes, error))
		return FALSE;
	daemon->boot_id = g_strstrip(g_strdup(g_bytes_get_data(bytes, NULL)));
	return TRUE;
}

gboolean ash_workloadd_new(
		const char *root, const char *libexec, AshWorkloadd **out_daemon, GError **error)
{
	g_autoptr(AshWorkloadd) daemon = g_new0(AshWorkloadd, 1);
	g_autofree char *warning = NULL;

	daemon->root = root;
	daemon->libexec = libexec;
	daemon->is_test = *root != '\0';
	daemon->save_again_us = daemon->look_us = daemon->reread_us = INT64_MAX;
	daemon->watch_fd = -1;
	daemon->drift = g_string_new(NULL);
	daemon->units = g_ptr_array_new_with_free_func((GDestroyNotify) ash_unit_free);
	if (daemon->is_test)
		ash_fault_enable();
	g_autofree char *dir = ash_workloadd_path(daemon, ASH_STATE_DIR);
	g_autofree char *run = ash_workloadd_path(daemon, ASH_PATH_RUN);
	g_autofree char *run_dir = ash_workloadd_path(daemon, ASH_WORKLOADD_RUN);
	if (!ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) ||
			!ash_file_ensure_dir(AT_FDCWD, run, 0755, error) ||
			!ash_file_ensure_dir(AT_FDCWD, run_dir, 0755, error) ||
			!read_boot_id(daemon, error) ||
			!ash_state_load(root, &daemon->state, &warning, error) ||
			!ash_bus_new(&daemon->bus, error))
		return FALSE;
	if (warning != NULL)
		g_warning("%s", warning);
	for (guint i = 0; i < daemon->state->machines->len; i++)
		ash_workloadd_add_unit(daemon, daemon->state->machines->pdata[i]);
	*out_daemon = g_steal_pointer(&daemon);
	return TRUE;
}

void ash_workloadd_free(AshWorkloadd *daemon)
{
	if (daemon == NULL)
		return;
	/* First those that hold sources of the loop. */
	g_clear_pointer(&daemon->units, g_ptr_array_unref);
	ash_bus_fd_free(daemon->watch);
	ash_bus_free(daemon->bus);
	g_free(daemon->boot_id);
	ash_state_free(daemon->state);
	g_free(daemon->saved);
	g_free(daemon->trouble);
	ash_routes_free(daemon->routes);
	g_free(daemon->routes_problem);
	g_free(daemon->network);
	g_free(daemon->network_problem);
	g_free(daemon->fingerprint);
	if (daemon->drift != NULL)
		g_string_free(daemon->drift, TRUE);
	g_clear_pointer(&daemon->links, g_ptr_array_unref);
	g_free(daemon->status);
	g_free(daemon->broker_table);
	g_free(daemon);
}

/* Those that run from before: they are known again, and the machine is told who is not there. */
static void begin_unit(AshUnit *unit)
{
	g_autofree bool *alive = NULL;
	AshMachineEvent event = {
			.kind = ASH_MACHINE_EVENT_BOOT,
			.boot_id = unit->daemon->boot_id,
	};

	ash_unit_sync(unit);
	alive = g_new0(bool, unit->runs->len + 1);
	for (guint i = 0; i < unit->runs->len; i++) {
		AshRun *run = unit->runs->pdata[i];
		g_autoptr(GError) local = NULL;
		if (!ash_run_adopt(run, &local))
			g_warning("%s: %s", run->name, local->message);
		alive[i] = run->process != NULL || ash_unit_is_disposable(unit);
	}
	event.alive = alive;
	ash_workloadd_must_step(unit, &event);
}

gboolean ash_workloadd_run(AshWorkloadd *daemon, GError **error)
{
	g_autoptr(GError) local = NULL;

	if (!ash_workloadd_watch(daemon, error))
		return FALSE;
	daemon->is_settling = true; /* first all of them */
	ash_workloadd_sweep_calls(daemon);
	for (guint i = 0; i < daemon->units->len; i++)
		begin_unit(daemon->units->pdata[i]);
	if (!ash_workloadd_reload(daemon, &local))
		g_warning("%s; what was known before goes on", local->message);
	daemon->is_settling = false;
	if (!ash_bus_workload_serve(daemon->bus, ash_workloadd_call, daemon, error))
		return FALSE;
	ash_workloadd_settle(daemon);
	return ash_bus_run(daemon->bus, error);
}

/* ---- steps ---- */

bool ash_workloadd_save(AshWorkloadd *daemon)
{
	g_autoptr(GError) local = NULL;

	daemon->save_again_us = INT64_MAX;
	g_clear_pointer(&daemon->trouble, g_free);
	if (ash_state_save(daemon->root, daemon->state, &daemon->saved, &local))
		return true;
	daemon->trouble = g_strdup_printf("the state cannot be written: %s", local->message);
	g_warning("%s; nothing is begun before it is", daemon->trouble);
	daemon->save_again_us = ash_bus_now_us() + SAVE_AGAIN_US;
	return false;
}

/* A point at which tests may end the process. */
static void fault_point(const AshUnit *unit)
{
	if (!unit->daemon->is_test)
		return;
	g_autofree char *name = g_strconcat(
			"workload-", ash_machine_state_text(unit->machine->state), NULL);
	ash_fault_hits(name);
}

/* Another version took its place: what only the old one needed can go. */
static void note_change(AshUnit *unit, const AshMachineNote *note)
{
	const AshMachine *machine = unit->machine;
	const char *digests[] = {machine->current.digest, machine->target.digest, NULL};
	g_autoptr(GError) local = NULL;

	if (strcmp(note->event, "updated") != 0 && strcmp(note->event, "rolled-back") != 0)
		return;
	unit->daemon->must_clean = unit->daemon->must_reload = true;
	if (digests[0] != NULL &&
			!ash_store_clean(unit->daemon->root, machine->name, digests, &local))
		g_warning("%s", local->message);
}

static void tell(AshUnit *unit, const AshMachineNote *note)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autofree char *instance = note->instance >= 0 ? ash_unit_instance(unit->machine->name,
									  (guint) note->instance)
							: NULL;
	g_autofree char *at = ash_text_utc(g_get_real_time() / G_USEC_PER_SEC);

	g_message("%s: %s%s%s%s%s", instance != NULL ? instance : unit->machine->name, note->event,
			note->version != NULL ? " " : "",
			note->version != NULL ? note->version : "", note->text != NULL ? ": " : "",
			note->text != NULL ? note->text : "");
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "event", note->event);
	ash_json_add_text(builder, "workload", unit->machine->name);
	ash_json_add_text(builder, "instance", instance);
	ash_json_add_text(builder, "version", note->version);
	ash_json_add_text(builder, "text", note->text);
	ash_json_add_text(builder, "at", at);
	json_builder_end_object(builder);
	g_autofree char *json = ash_json_format(builder, false);
	ash_bus_workload_emit(unit->daemon->bus, g_strchomp(json));
}

static void make_world(const AshUnit *unit, AshMachineWorld *out_world)
{
	const AshDefinition *active = ash_unit_active(unit);

	*out_world = (AshMachineWorld){
			.now_us = ash_bus_now_us(),
			.now_s = g_get_real_time() / G_USEC_PER_SEC,
			.restart = {.policy = ASH_RESTART_NEVER},
	};
	if (active != NULL)
		out_world->restart = active->workload->restart;
}

gboolean ash_workloadd_step(AshUnit *unit, const AshMachineEvent *event, GError **error)
{
	g_autoptr(GPtrArray) notes =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_machine_note_free);
	AshMachineWorld world;

	make_world(unit, &world);
	if (!ash_machine_step(unit->machine, &world, event, notes, error))
		return FALSE;
	bool is_saved = ash_workloadd_save(unit->daemon);
	if (is_saved)
		fault_point(unit);
	for (guint i = 0; i < notes->len; i++)
		tell(unit, notes->pdata[i]);
	for (guint i = 0; is_saved && i < notes->len; i++)
		note_change(unit, notes->pdata[i]);
	ash_unit_sync(unit);
	ash_workloadd_settle(unit->daemon);
	return TRUE;
}

void ash_workloadd_must_step(AshUnit *unit, const AshMachineEvent *event)
{
	g_autoptr(GError) local = NULL;

	if (!ash_workloadd_step(unit, event, &local))
		g_message("%s, ignoring", local->message);
}

/* ---- doing what the states ask for ---- */

static void step_instance(AshRun *run, AshMachineEventKind kind, const char *text)
{
	const AshMachineEvent event = {.kind = kind, .instance = run->index, .text = text};

	ash_workloadd_must_step(run->unit, &event);
}

/* It cannot be, whoever waits: the version that was there works. */
static void refuse_trial(AshUnit *unit, const char *text)
{
	const AshMachineEvent event = {.kind = ASH_MACHINE_EVENT_VERDICT, .text = text};

	ash_workloadd_must_step(unit, &event);
}

static void act_waiting(AshRun *run, const AshMachineInstance *instance)
{
	g_autoptr(GError) local = NULL;

	if (ash_run_check(run, &local))
		step_instance(run, ASH_MACHINE_EVENT_GO, NULL);
	else if (run->unit->machine->state == ASH_MACHINE_TRIAL &&
			(local->domain == ASH_NET_ERROR || local->domain == ASH_ROUTES_ERROR))
		refuse_trial(run->unit, local->message);
	else if (g_strcmp0(local->message, instance->text) != 0)
		step_instance(run, ASH_MACHINE_EVENT_HELD, local->message);
}

static void act_starting(AshRun *run)
{
	g_autoptr(GError) local = NULL;

	if (run->process != NULL)
		return;
	if (ash_workloadd_apply_network(run->unit->daemon, run, &local) &&
			ash_run_start(run, &local)) {
		ash_run_watch(run);
		return;
	}
	const AshMachineEvent event = {
			.kind = ASH_MACHINE_EVENT_EXITED,
			.instance = run->index,
			.text = local->message,
			.is_forced = g_error_matches(local, ASH_WORKLOADD_ERROR,
						     ASH_WORKLOADD_ERROR_IMAGE) ||
				     local->domain == ASH_IMAGE_USER_ERROR,
	};
	ash_workloadd_must_step(run->unit, &event);
}

static void end_without_network(AshRun *run)
{
	g_autofree char *text = g_strdup_printf("network: %s", run->network_problem);

	step_instance(run, ASH_MACHINE_EVENT_BROKEN, text);
}

static void act_stopping(AshRun *run)
{
	int64_t now_us = ash_bus_now_us();

	ash_run_unwatch(run);
	if (run->process == NULL) {
		step_instance(run, ASH_MACHINE_EVENT_EXITED, NULL);
	} else if (run->kill_us == INT64_MAX) {
		run->kill_us = now_us + (int64_t) ASH_SUPERVISE_STOP_MS * 1000;
		ash_supervise_stop(run->process);
	} else if (now_us >= run->kill_us && !run->was_killed) {
		run->was_killed = true;
		ash_supervise_kill(run->process);
	}
}

static void act_instance(AshRun *run)
{
	const AshMachineInstance *instance = run->unit->machine->instances->pdata[run->index];

	if (instance->state != ASH_INSTANCE_WAITING && ash_unit_is_disposable(run->unit)) {
		ash_unit_act_disposable(run->unit);
		return;
	}
	switch (instance->state) {
	case ASH_INSTANCE_WAITING:
		act_waiting(run, instance);
		break;
	case ASH_INSTANCE_STARTING:
		act_starting(run);
		break;
	case ASH_INSTANCE_RUNNING:
		if (run->process == NULL)
			step_instance(run, ASH_MACHINE_EVENT_EXITED, "ended while nobody watched");
		else if (run->network_problem != NULL)
			end_without_network(run);
		break;
	case ASH_INSTANCE_STOPPING:
		act_stopping(run);
		break;
	case ASH_INSTANCE_BACKOFF:
		if (ash_bus_now_us() >= instance->until_us)
			step_instance(run, ASH_MACHINE_EVENT_TIMER, NULL);
		break;
	case ASH_INSTANCE_DOWN:
	case ASH_INSTANCE_FAILED:
	case ASH_INSTANCE_DONE:
		break;
	}
}

/* Whoever records may be gone; what is recorded does not stay without its filter. */
static void end_recording(AshUnit *unit)
{
	const AshMachineEvent restart = {.kind = ASH_MACHINE_EVENT_RESTART};

	if (unit->record_until_us == 0 || ash_bus_now_us() < unit->record_until_us)
		return;
	unit->record_until_us = 0;
	g_message("%s: recording ends", unit->machine->name);
	if (unit->machine->is_wanted)
		ash_workloadd_must_step(unit, &restart);
}

/* Scope system before scope user, so that what others need is there first. */
static void act_units(AshWorkloadd *daemon, bool is_system)
{
	for (guint i = 0; i < daemon->units->len; i++) {
		AshUnit *unit = daemon->units->pdata[i];
		const AshDefinition *active = ash_unit_active(unit);
		if (is_system != (active != NULL && active->workload->is_system))
			continue;
		end_recording(unit);
		if (unit->machine->state == ASH_MACHINE_FETCHING ||
				unit->machine->state == ASH_MACHINE_STAGING)
			ash_unit_stage(unit);
		/* A step may change how many there are. */
		for (guint k = 0; k < unit->runs->len; k++)
			act_instance(unit->runs->pdata[k]);
		for (guint k = 0; k < unit->runs->len; k++)
			ash_run_look(unit->runs->pdata[k]);
		ash_unit_look_at_calls(unit);
		ash_unit_judge(unit);
	}
}

static void forget_absent(AshWorkloadd *daemon)
{
	for (guint i = daemon->units->len; i-- > 0;) {
		AshUnit *unit = daemon->units->pdata[i];
		if (unit->machine->state != ASH_MACHINE_ABSENT)
			continue;
		/* What is staged tells its unit when it ends. */
		if (unit->job != NULL) {
			ash_bus_child_kill(unit->job);
		} else {
			ash_unit_forget(unit);
			daemon->must_settle = true;
		}
	}
}

static void on_timer(gpointer data)
{
	AshWorkloadd *daemon = data;

	if (ash_bus_now_us() >= daemon->save_again_us && !ash_workloadd_save(daemon))
		g_message("trying again");
	ash_workloadd_look_at_network(daemon);
	ash_workloadd_reread(daemon);
	ash_workloadd_settle(daemon);
}

static void set_timer(AshWorkloadd *daemon)
{
	g_autoptr(GError) local = NULL;
	int64_t at_us = MIN(daemon->save_again_us, ash_workloadd_next_reread_us(daemon));

	at_us = MIN(at_us, ash_workloadd_next_look_us(daemon));
	for (guint i = 0; i < daemon->units->len; i++) {
		const AshUnit *unit = daemon->units->pdata[i];
		at_us = MIN(at_us, ash_machine_next_us(unit->machine));
		at_us = MIN(at_us, ash_unit_next_call_us(unit));
		if (unit->record_until_us != 0)
			at_us = MIN(at_us, unit->record_until_us);
		for (guint k = 0; k < unit->runs->len; k++)
			at_us = MIN(at_us, ash_run_next_us(unit->runs->pdata[k]));
	}
	if (!ash_bus_set_timer(daemon->bus, at_us, on_timer, daemon, &local))
		g_warning("%s", local->message);
}

/* What is not needed any more, and who has to know who there is. */
static void settle_rest(AshWorkloadd *daemon)
{
	g_autoptr(GError) local = NULL;
	g_autoptr(GError) other = NULL;

	ash_workloadd_clean_images(daemon);
	if (!ash_workloadd_apply_network(daemon, NULL, &local))
		g_warning("%s", local->message);
	if (!ash_workloadd_match_broker(daemon, &other))
		g_warning("%s", other->message);
}

void ash_workloadd_settle(AshWorkloadd *daemon)
{
	unsigned rounds = 0;

	daemon->must_settle = true;
	if (daemon->is_settling)
		return;
	daemon->is_settling = true;
	while (daemon->must_settle && daemon->trouble == NULL) {
		g_assert(++rounds < MAX_ROUNDS);
		daemon->must_settle = false;
		act_units(daemon, true);
		act_units(daemon, false);
		forget_absent(daemon);
	}
	daemon->is_settling = false;
	if (daemon->trouble == NULL)
		settle_rest(daemon);
	if (daemon->must_settle && daemon->trouble == NULL) {
		ash_workloadd_settle(daemon); /* somebody has no network any more */
		return;
	}
	if (daemon->must_reload && daemon->trouble == NULL) {
		g_autoptr(GError) local = NULL;
		daemon->must_reload = false;
		if (!ash_workloadd_reload(daemon, &local)) /* settles, too */
			g_warning("%s", local->message);
		return;
	}
	ash_workloadd_write_status(daemon);
	set_timer(daemon);
}
