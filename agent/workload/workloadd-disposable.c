/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "agent/workload/broker.h"
#include "agent/workload/workloadd.h"
#include "lib/error.h"
#include "lib/file.h"

/* A disposable workload is ready without a process. For each call the broker asks for an instance, NAME@1001 and on, with
 * users, a network and a directory of its own and nothing but its first process; the call's program is run in it like any
 * other command. It ends when the broker's process of that call does, and nothing of it stays.
 */

enum {
	FIRST_NUMBER = 1001, /* above those that a definition can ask for */
};

/* A caller hears no more of the host than this. */
static const char no_instance[] = "no instance of it could be started",
		  busy[] = "as many calls of it as may be are served already";

bool ash_unit_is_disposable(const AshUnit *unit)
{
	const AshDefinition *active = ash_unit_active(unit);

	return active != NULL && active->workload->is_disposable;
}

static char *name_of(const AshUnit *unit, guint slot)
{
	return g_strdup_printf("%s@%u", unit->machine->name, FIRST_NUMBER + slot);
}

/* ---- the answer ---- */

static void answer(AshWorkloadd *daemon, const char *id, const char *key, const char *text)
{
	g_autofree char *path = ash_workloadd_path(daemon, ASH_BROKER_CALLS "/%s.json", id);
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(GError) local = NULL;

	json_builder_begin_object(builder);
	ash_json_add_text(builder, key, text);
	json_builder_end_object(builder);
	g_autofree char *json = ash_json_format(builder, false);
	if (!ash_file_replace(AT_FDCWD, path, json, strlen(json), 0600, &local))
		g_warning("%s", local->message);
}

/* Once. */
static void refuse(AshRun *run, const char *why)
{
	if (run->is_told || run->call == NULL || *run->call == '\0')
		return;
	run->is_told = true;
	g_message("%s: no instance for a call: %s", run->name, why);
	answer(run->unit->daemon, run->call, "refused", no_instance);
}

/* ---- the end ---- */

/* Its users are free again when no file of theirs is there any more. */
static void remove_traces(AshUnit *unit, const char *name)
{
	AshWorkloadd *daemon = unit->daemon;
	g_autofree char *dir = ash_workloadd_path(daemon, ASH_WORKLOADD_RUN "/%s", name);
	g_autofree char *log = ash_workloadd_path(daemon, ASH_SUPERVISE_LOGS "/%s.log", name);
	g_autoptr(GError) local = NULL;

	if (!ash_file_remove_tree(AT_FDCWD, dir, &local) ||
			(daemon->is_test && !ash_file_remove_tree(AT_FDCWD, log, &local))) {
		g_warning("%s: %s; something of it stays", name, local->message);
		return;
	}
	if (g_hash_table_remove(daemon->state->uids, name))
		ash_workloadd_save(daemon);
}

static void forget(AshRun *run)
{
	AshUnit *unit = run->unit;
	g_autofree char *name = g_strdup(run->name);

	ash_run_unwatch(run);
	g_ptr_array_remove(unit->calls, run);
	remove_traces(unit, name);
}

static void on_ended(const AshSuperviseEnd *end, gpointer data)
{
	AshRun *run = data;
	AshWorkloadd *daemon = run->unit->daemon;

	g_clear_pointer(&run->process, ash_supervise_free);
	refuse(run, end->text);
	forget(run);
	ash_workloadd_settle(daemon);
}

/* At once: nothing of it is to be kept. */
static void end(AshRun *run)
{
	g_clear_pointer(&run->caller, ash_bus_fd_free);
	if (run->process == NULL) {
		forget(run);
	} else if (!run->was_killed) {
		run->was_killed = true;
		ash_supervise_kill(run->process);
	}
}

void ash_unit_end_calls(AshUnit *unit)
{
	for (guint i = unit->calls->len; i-- > 0;)
		end(unit->calls->pdata[i]);
}

static void on_caller_ended(int fd, gpointer data)
{
	AshRun *run = data;
	AshWorkloadd *daemon = run->unit->daemon;

	end(run);
	ash_workloadd_settle(daemon);
}

/* ---- the beginning ---- */

static gboolean find_slot(const AshUnit *unit, guint *out_slot, GError **error)
{
	for (guint slot = 0; slot < ASH_WORKLOADD_MAX_CALLS; slot++) {
		g_autofree char *name = name_of(unit, slot);
		bool is_taken = false;
		for (guint i = 0; i < unit->calls->len; i++) {
			const AshRun *run = unit->calls->pdata[i];
			is_taken |= strcmp(run->name, name) == 0;
		}
		if (!is_taken) {
			*out_slot = slot;
			return TRUE;
		}
	}
	return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_FULL,
			"%d calls of it are served already", ASH_WORKLOADD_MAX_CALLS);
}

static gboolean check(AshUnit *unit, GError **error)
{
	const AshMachineInstance *instance = unit->machine->instances->len > 0
							     ? unit->machine->instances->pdata[0]
							     : NULL;

	if (!ash_unit_is_disposable(unit) || instance == NULL ||
			instance->state != ASH_INSTANCE_RUNNING)
		return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_HELD,
				"it is not to serve calls now");
	/* For one there is room. */
	return unit->calls->len == 0 ||
	       ash_workloadd_fits(unit->daemon, ash_unit_active(unit)->workload, 0, error);
}

static gboolean watch_caller(AshRun *run, pid_t pid, GError **error)
{
	int fd = pidfd_open(pid, 0);

	if (fd < 0)
		return ash_throw_errno(error, "the call's process");
	return ash_bus_fd_new(
			run->unit->daemon->bus, fd, on_caller_ended, run, &run->caller, error);
}

static gboolean begin(AshUnit *unit, const char *id, pid_t pid, GError **error)
{
	guint slot = 0;
	uint32_t base;

	if (!check(unit, error) || !find_slot(unit, &slot, error))
		return FALSE;
	AshRun *run = ash_run_new(unit, name_of(unit, slot));
	run->call = g_strdup(id);
	run->begun_us = ash_bus_now_us();
	g_ptr_array_add(unit->calls, run);
	if (watch_caller(run, pid, error) &&
			ash_state_uid_base(unit->daemon->state, run->name, &base, error) &&
			ash_workloadd_apply_network(unit->daemon, run, error) &&
			ash_run_start_call(run, on_ended, error))
		return TRUE;
	forget(run);
	return FALSE;
}

void ash_workloadd_take_line(AshWorkloadd *daemon, const char *line)
{
	g_autoptr(GError) local = NULL;
	char name[64], id[16];
	int pid = 0;

	if (sscanf(line, "begin %63s %15s %d", name, id, &pid) != 3 || pid <= 0 ||
			strlen(id) != ASH_BROKER_ID_CHARS ||
			strspn(id, "0123456789abcdef") != ASH_BROKER_ID_CHARS) {
		g_warning("ashlar-broker says '%.80s'", line);
		return;
	}
	AshUnit *unit = ash_workloadd_find(daemon, name);
	if (unit == NULL || !begin(unit, id, pid, &local)) {
		bool is_full = g_error_matches(
				local, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_FULL);
		g_message("%s: no instance for a call: %s", name,
				local != NULL ? local->message : "there is no such workload");
		answer(daemon, id, "refused", is_full ? busy : no_instance);
	}
	ash_workloadd_settle(daemon);
}

/* ---- meanwhile ---- */

static int64_t late_us(const AshRun *run)
{
	return run->is_told ? INT64_MAX
			    : run->begun_us + (int64_t) ASH_BROKER_BEGIN_S * G_USEC_PER_SEC;
}

void ash_unit_look_at_calls(AshUnit *unit)
{
	for (guint i = unit->calls->len; i-- > 0;) {
		AshRun *run = unit->calls->pdata[i];
		if (!run->is_told && run->process != NULL && ash_supervise_pid(run->dir) != 0) {
			run->is_told = true;
			ash_run_unlisten(run);
			answer(unit->daemon, run->call, "dir", run->dir);
		} else if (ash_bus_now_us() >= late_us(run)) {
			refuse(run, "it did not begin in time");
			end(run);
		}
	}
}

int64_t ash_unit_next_call_us(const AshUnit *unit)
{
	int64_t at_us = INT64_MAX;

	for (guint i = 0; i < unit->calls->len; i++) {
		const AshRun *run = unit->calls->pdata[i];
		if (!run->is_told)
			at_us = MIN(at_us, MIN(late_us(run), ash_run_next_news_us(run)));
	}
	return at_us;
}

void ash_unit_act_disposable(AshUnit *unit)
{
	const AshMachineInstance *instance = unit->machine->instances->pdata[0];
	AshMachineEvent event = {.kind = ASH_MACHINE_EVENT_READY};

	if (instance->state == ASH_INSTANCE_STARTING)
		ash_workloadd_must_step(unit, &event);
	if (instance->state != ASH_INSTANCE_STOPPING)
		return;
	ash_unit_end_calls(unit);
	if (unit->calls->len > 0)
		return;
	ash_run_unmount(unit->runs->pdata[0]);
	event.kind = ASH_MACHINE_EVENT_EXITED;
	ash_workloadd_must_step(unit, &event);
}

/* ---- after an earlier daemon ---- */

/* The broker ended with it, so nobody is there for whom they run. */
static void sweep_unit(AshUnit *unit)
{
	AshWorkloadd *daemon = unit->daemon;
	const AshSuperviseHost host = {daemon->bus, daemon->root, daemon->libexec};

	for (guint slot = 0; slot < ASH_WORKLOADD_MAX_CALLS; slot++) {
		g_autofree char *name = name_of(unit, slot);
		g_autofree char *dir = ash_workloadd_path(daemon, ASH_WORKLOADD_RUN "/%s", name);
		g_autoptr(GError) local = NULL;
		if (!g_hash_table_contains(daemon->state->uids, name) && access(dir, F_OK) < 0)
			continue;
		AshRun *run = ash_run_new(unit, g_steal_pointer(&name));
		run->call = g_strdup("");
		run->is_told = true;
		g_ptr_array_add(unit->calls, run);
		if (!ash_supervise_adopt(&host, run->name, run->dir, on_ended, run, &run->process,
				    &local))
			g_warning("%s: %s", run->name, local->message);
		end(run);
	}
}

void ash_workloadd_sweep_calls(AshWorkloadd *daemon)
{
	g_autofree char *dir = ash_workloadd_path(daemon, ASH_BROKER_CALLS);
	g_autoptr(GError) local = NULL;

	for (guint i = 0; i < daemon->units->len; i++)
		sweep_unit(daemon->units->pdata[i]);
	if (!ash_file_remove_tree(AT_FDCWD, dir, &local))
		g_warning("%s", local->message);
}
