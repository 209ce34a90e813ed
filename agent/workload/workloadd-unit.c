/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "agent/workload/workloadd.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"

/* ---- one instance ---- */

char *ash_unit_instance(const char *name, guint index)
{
	return index == 0 ? g_strdup(name) : g_strdup_printf("%s@%u", name, index + 1);
}

void ash_run_free(AshRun *run)
{
	ash_run_unwatch(run);
	ash_supervise_free(run->process);
	g_ptr_array_unref(run->checks);
	g_free(run->name);
	g_free(run->dir);
	g_free(run->digest);
	g_free(run->address);
	g_free(run->network_problem);
	g_free(run->routed);
	g_free(run->call);
	ash_bus_fd_free(run->caller);
	g_free(run);
}

AshRun *ash_run_new(AshUnit *unit, const char *take_name)
{
	AshRun *run = g_new0(AshRun, 1);

	run->unit = unit;
	run->name = (char *) (uintptr_t) take_name;
	run->dir = ash_workloadd_path(unit->daemon, ASH_WORKLOADD_RUN "/%s", run->name);
	run->checks = g_ptr_array_new();
	run->kill_us = INT64_MAX;
	run->news = -1;
	return run;
}

static AshRun *run_new(AshUnit *unit, guint index)
{
	AshRun *run = ash_run_new(unit, ash_unit_instance(unit->machine->name, index));

	run->index = index;
	return run;
}

/* ---- one workload ---- */

AshUnit *ash_workloadd_add_unit(AshWorkloadd *daemon, AshMachine *machine)
{
	AshUnit *unit = g_new0(AshUnit, 1);

	unit->daemon = daemon;
	unit->machine = machine;
	unit->runs = g_ptr_array_new_with_free_func((GDestroyNotify) ash_run_free);
	unit->calls = g_ptr_array_new_with_free_func((GDestroyNotify) ash_run_free);
	g_ptr_array_add(daemon->units, unit);
	return unit;
}

void ash_unit_free(AshUnit *unit)
{
	if (unit == NULL)
		return;
	g_ptr_array_unref(unit->calls);
	g_ptr_array_unref(unit->runs);
	ash_definition_free(unit->current);
	ash_definition_free(unit->target);
	ash_image_free(unit->image_current);
	ash_image_free(unit->image_target);
	g_free(unit->wanted);
	g_free(unit->problem);
	g_free(unit->job_digest);
	g_free(unit->job_verb);
	g_free(unit->job_result);
	g_free(unit->job_error);
	g_free(unit);
}

const AshDefinition *ash_unit_active(const AshUnit *unit)
{
	return unit->machine->state == ASH_MACHINE_TRIAL ? unit->target : unit->current;
}

const AshImage *ash_unit_image(const AshUnit *unit)
{
	return unit->machine->state == ASH_MACHINE_TRIAL ? unit->image_target : unit->image_current;
}

static void sync_definition(AshUnit *unit, const AshMachineRef *ref, AshDefinition **definition)
{
	g_autoptr(GError) local = NULL;

	if (*definition != NULL && g_strcmp0((*definition)->digest, ref->digest) == 0)
		return;
	g_clear_pointer(definition, ash_definition_free);
	if (ref->digest != NULL && !ash_store_load(unit->daemon->root, unit->machine->name,
						   ref->digest, definition, &local))
		g_warning("%s", local->message);
}

static void sync_image(AshUnit *unit, const AshMachineRef *ref, AshImage **image)
{
	g_autoptr(GError) local = NULL;

	if (*image != NULL && g_strcmp0((*image)->commit, ref->commit) == 0)
		return;
	g_clear_pointer(image, ash_image_free);
	if (ref->commit != NULL && !ash_workloadd_load_image(unit->daemon, unit->machine->name,
						   ref->digest, image, &local))
		g_warning("%s", local->message);
}

void ash_unit_sync(AshUnit *unit)
{
	AshMachine *machine = unit->machine;

	sync_definition(unit, &machine->current, &unit->current);
	sync_definition(unit, &machine->target, &unit->target);
	sync_image(unit, &machine->current, &unit->image_current);
	sync_image(unit, &machine->target, &unit->image_target);
	if (unit->runs->len > machine->instances->len)
		g_ptr_array_set_size(unit->runs, (gint) machine->instances->len);
	while (unit->runs->len < machine->instances->len)
		g_ptr_array_add(unit->runs, run_new(unit, unit->runs->len));
}

/* ---- finding ---- */

AshUnit *ash_workloadd_find(const AshWorkloadd *daemon, const char *name)
{
	for (guint i = 0; i < daemon->units->len; i++) {
		AshUnit *unit = daemon->units->pdata[i];
		if (strcmp(unit->machine->name, name) == 0)
			return unit;
	}
	return NULL;
}

static gboolean throw_unknown(const AshWorkloadd *daemon, const char *name, GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	for (guint i = 0; i < daemon->units->len; i++)
		g_ptr_array_add(names, ((const AshUnit *) daemon->units->pdata[i])->machine->name);
	g_ptr_array_add(names, NULL);
	g_autofree char *hint =
			ash_text_suggestion(name, (const char *const *) (void *) names->pdata);
	return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_NOT_FOUND,
			"there is no workload '%s' on this host%s", name, hint);
}

gboolean ash_workloadd_get(const AshWorkloadd *daemon, const char *name, AshUnit **out_unit,
		AshRun **out_run, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(name, "@", 2);
	AshUnit *unit = parts[0] != NULL ? ash_workloadd_find(daemon, parts[0]) : NULL;
	uint64_t number = 1;

	if (unit == NULL)
		return throw_unknown(daemon, name, error);
	if (parts[1] != NULL && !g_ascii_string_to_unsigned(parts[1], 10, 1,
						ASH_WORKLOAD_MAX_INSTANCES, &number, NULL))
		number = 0;
	if (number == 0 || (parts[1] != NULL && number > unit->runs->len) ||
			(out_run != NULL && unit->runs->len == 0))
		return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_NOT_FOUND,
				unit->runs->len == 0 ? "workload '%s' does not run"
						     : "there is no instance '%s'",
				name);
	*out_unit = unit;
	if (out_run != NULL)
		*out_run = unit->runs->pdata[number - 1];
	return TRUE;
}

/* ---- what is wanted ---- */

static void set_problem(AshUnit *unit, const char *problem)
{
	if (g_strcmp0(unit->problem, problem) == 0)
		return;
	g_free(unit->problem);
	unit->problem = g_strdup(problem);
	if (problem != NULL)
		g_warning("%s: %s", unit->machine->name, problem);
}

/* The definition is on the disk before the machine names it. */
static void define(AshWorkloadd *daemon, AshUnit *unit, const AshDefinition *definition)
{
	g_autoptr(GError) local = NULL;
	AshMachineRef ref = {
			.version = definition->workload->version,
			.digest = definition->digest,
			.instances = definition->workload->instances,
	};
	const AshMachineEvent event = {.kind = ASH_MACHINE_EVENT_DEFINED, .ref = &ref};

	g_free(unit->wanted);
	unit->wanted = g_strdup(definition->digest);
	if (!ash_store_keep(daemon->root, definition, &local) ||
			!ash_workloadd_step(unit, &event, &local)) {
		bool is_later = g_error_matches(
				local, ASH_MACHINE_ERROR, ASH_MACHINE_ERROR_WRONG_STATE);
		set_problem(unit, is_later ? NULL : local->message);
		return;
	}
	set_problem(unit, NULL);
}

static void add_wanted(AshWorkloadd *daemon, const AshStoreEntry *entry)
{
	if (daemon->state->machines->len >= ASH_STATE_MAX_WORKLOADS) {
		g_warning("%s: more than %d workloads", entry->name, ASH_STATE_MAX_WORKLOADS);
		return;
	}
	AshMachine *machine = ash_machine_new(entry->name);
	const AshMachineEvent boot = {.kind = ASH_MACHINE_EVENT_BOOT, .boot_id = daemon->boot_id};
	g_ptr_array_add(daemon->state->machines, machine);
	AshUnit *unit = ash_workloadd_add_unit(daemon, machine);
	ash_workloadd_must_step(unit, &boot);
	if (entry->definition == NULL) {
		set_problem(unit, entry->problem);
		return;
	}
	define(daemon, unit, entry->definition);
	const AshMachineEvent start = {.kind = ASH_MACHINE_EVENT_START};
	ash_workloadd_must_step(unit, &start);
}

static void want(AshWorkloadd *daemon, const AshStoreEntry *entry)
{
	AshUnit *unit = ash_workloadd_find(daemon, entry->name);

	if (unit == NULL) {
		add_wanted(daemon, entry);
	} else if (entry->definition == NULL) {
		set_problem(unit, entry->problem); /* what ran goes on */
	} else {
		bool is_new = unit->machine->current.digest == NULL &&
			      unit->machine->target.digest == NULL && unit->problem != NULL;
		define(daemon, unit, entry->definition);
		const AshMachineEvent start = {.kind = ASH_MACHINE_EVENT_START};
		if (is_new && unit->machine->state == ASH_MACHINE_STOPPED &&
				unit->machine->target.digest != NULL)
			ash_workloadd_must_step(unit, &start);
	}
}

static bool is_wanted(const GPtrArray *entries, const char *name)
{
	for (guint i = 0; i < entries->len; i++)
		if (strcmp(((const AshStoreEntry *) entries->pdata[i])->name, name) == 0)
			return true;
	return false;
}

static void load_routes(AshWorkloadd *daemon)
{
	g_autoptr(AshRoutes) routes = NULL;
	g_autoptr(GError) local = NULL;

	g_clear_pointer(&daemon->routes_problem, g_free);
	if (!ash_routes_load(daemon->root, &routes, &local)) {
		daemon->routes_problem = g_strdup(local->message);
		g_warning("%s", local->message);
		return; /* what was known goes on */
	}
	ash_routes_free(daemon->routes);
	daemon->routes = g_steal_pointer(&routes);
}

char *ash_run_routes(const AshRun *run)
{
	const AshDefinition *active = ash_unit_active(run->unit);
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; active != NULL && i < active->workload->requires->len; i++) {
		const AshWorkloadService *service = active->workload->requires->pdata[i];
		const AshRoute *route = ash_routes_find(
				run->unit->daemon->routes, run->unit->machine->name, service->name);
		if (service->socket != NULL)
			g_string_append_printf(text, "%s %s %s\n", service->name,
					route != NULL ? route->to : "",
					route != NULL ? route->as : "");
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

/* Sockets are put into a workload when it starts: whose route is another, or none, starts again. */
static void follow_routes(AshWorkloadd *daemon)
{
	const AshMachineEvent restart = {.kind = ASH_MACHINE_EVENT_RESTART};

	for (guint i = 0; i < daemon->units->len; i++) {
		AshUnit *unit = daemon->units->pdata[i];
		bool has_changed = false;
		for (guint k = 0; k < unit->runs->len; k++) {
			AshRun *run = unit->runs->pdata[k];
			if (run->process == NULL)
				continue;
			if (run->routed == NULL) /* it was found running */
				run->routed = ash_run_routes(run);
			g_autofree char *routes = ash_run_routes(run);
			has_changed |= strcmp(routes, run->routed) != 0;
		}
		if (!has_changed)
			continue;
		g_message("%s: its routes are others, it starts again", unit->machine->name);
		ash_workloadd_must_step(unit, &restart);
	}
}

gboolean ash_workloadd_reload(AshWorkloadd *daemon, GError **error)
{
	g_autoptr(GPtrArray) entries = NULL;
	const AshMachineEvent gone = {.kind = ASH_MACHINE_EVENT_UNDEFINED};
	bool was_settling = daemon->is_settling;

	load_routes(daemon);
	if (daemon->routes == NULL)
		daemon->routes = ash_routes_new();
	if (!ash_store_scan(daemon->root, &entries, error))
		return FALSE;
	daemon->is_settling = true; /* first all of them: one may need another */
	follow_routes(daemon);
	for (guint i = 0; i < entries->len; i++)
		want(daemon, entries->pdata[i]);
	for (guint i = 0; i < daemon->units->len; i++) {
		AshUnit *unit = daemon->units->pdata[i];
		if (!is_wanted(entries, unit->machine->name) && !unit->machine->is_removed)
			ash_workloadd_must_step(unit, &gone);
	}
	daemon->is_settling = was_settling;
	ash_workloadd_settle(daemon);
	return TRUE;
}

/* ---- the end ---- */

/* Ranges of users of instances that have no volume any more. */
static void free_uids(AshWorkloadd *daemon, const char *name)
{
	for (guint i = 0; i < ASH_WORKLOAD_MAX_INSTANCES; i++) {
		g_autofree char *instance = ash_unit_instance(name, i);
		if (!ash_workloadd_has_volumes(daemon, instance))
			g_hash_table_remove(daemon->state->uids, instance);
	}
}

static gboolean remove_files(AshUnit *unit, GError **error)
{
	AshWorkloadd *daemon = unit->daemon;
	const char *name = unit->machine->name;
	const char *const none[] = {NULL};

	if (unit->machine->drops_volumes && !ash_workloadd_remove_volumes(daemon, name, error))
		return FALSE;
	for (guint i = 0; i < ASH_WORKLOAD_MAX_INSTANCES; i++) {
		g_autofree char *instance = ash_unit_instance(name, i);
		g_autofree char *dir =
				ash_workloadd_path(daemon, ASH_WORKLOADD_RUN "/%s", instance);
		if (!ash_file_remove_tree(AT_FDCWD, dir, error))
			return FALSE;
		if (!daemon->is_test)
			continue;
		g_autofree char *log =
				ash_workloadd_path(daemon, ASH_SUPERVISE_LOGS "/%s.log", instance);
		if (!ash_file_remove_tree(AT_FDCWD, log, error))
			return FALSE;
	}
	return ash_store_clean(daemon->root, name, none, error);
}

void ash_unit_forget(AshUnit *unit)
{
	AshWorkloadd *daemon = unit->daemon;
	AshMachine *machine = unit->machine;
	g_autoptr(GError) local = NULL;

	if (!remove_files(unit, &local))
		g_warning("%s: %s; something of it stays", machine->name, local->message);
	g_message("%s: removed", machine->name);
	free_uids(daemon, machine->name);
	g_ptr_array_remove(daemon->units, unit);
	ash_state_remove(daemon->state, machine);
	daemon->must_clean = daemon->must_reload = true;
	ash_workloadd_save(daemon);
}
