/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/workload/broker.h"
#include "agent/workload/workloadd.h"
#include "lib/error.h"
#include "lib/file.h"

enum {
	MAX_LINE_BYTES = 4096,
	SOCKET_WAIT_MS = 3000,
	SOCKET_LOOK_MS = 10,
};

static bool is_call(const AshWorkloadService *service)
{
	return service->socket == NULL;
}

static bool requires_call(const AshWorkload *workload)
{
	for (guint i = 0; i < workload->requires->len; i++)
		if (is_call(workload->requires->pdata[i]))
			return true;
	return false;
}

/* ---- the table ---- */

static void add_requires(JsonBuilder *builder, const AshWorkload *workload)
{
	ash_json_begin_array(builder, "requires");
	for (guint i = 0; i < workload->requires->len; i++) {
		const AshWorkloadService *service = workload->requires->pdata[i];
		if (is_call(service))
			json_builder_add_string_value(builder, service->name);
	}
	json_builder_end_array(builder);
}

static void add_provides(JsonBuilder *builder, const AshWorkload *workload)
{
	ash_json_begin_array(builder, "provides");
	for (guint i = 0; workload != NULL && i < workload->provides->len; i++) {
		const AshWorkloadService *service = workload->provides->pdata[i];
		if (!is_call(service))
			continue;
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "name", service->name);
		ash_json_add_texts(builder, "command", service->call);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

/* One for a single call may call, too; what is disposable has no directory itself, and is called by its name. */
static void add_instance(JsonBuilder *builder, const AshRun *run, const AshWorkload *workload)
{
	bool is_disposable = workload->is_disposable && run->call == NULL;
	g_autofree char *dir = is_disposable ? g_strdup("")
					     : g_strdup_printf(ASH_WORKLOADD_RUN "/%s", run->name);

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "instance", run->name);
	ash_json_add_text(builder, "workload", workload->name);
	ash_json_add_string(builder, "dir", dir);
	ash_json_add_bool(builder, "disposable", is_disposable);
	add_requires(builder, workload);
	add_provides(builder, run->call == NULL ? workload : NULL);
	json_builder_end_object(builder);
}

/* Those that live or are about to: a socket has to be there before who uses it. */
static bool add_unit(JsonBuilder *builder, const AshUnit *unit)
{
	const AshDefinition *active = ash_unit_active(unit);
	bool has_caller = false;

	for (guint i = 0; active != NULL && i < unit->runs->len; i++) {
		const AshMachineInstance *instance = unit->machine->instances->pdata[i];
		const AshRun *run = unit->runs->pdata[i];
		if (!ash_instance_is_live(instance->state))
			continue;
		add_instance(builder, run, active->workload);
		has_caller |= requires_call(active->workload);
	}
	for (guint i = 0; active != NULL && i < unit->calls->len; i++)
		add_instance(builder, unit->calls->pdata[i], active->workload);
	return has_caller;
}

static char *make_table(const AshWorkloadd *daemon, bool *out_has_caller)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	*out_has_caller = false;
	json_builder_begin_object(builder);
	ash_json_begin_array(builder, "instances");
	for (guint i = 0; i < daemon->units->len; i++)
		*out_has_caller |= add_unit(builder, daemon->units->pdata[i]);
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

/* ---- the process ---- */

static void on_line(const char *line, gpointer data)
{
	ash_workloadd_take_line(data, line);
}

static void on_end(int wait_status, gpointer data)
{
	AshWorkloadd *daemon = data;

	daemon->broker = NULL;
	/* It was not asked to end: the next look starts it again. */
	if (wait_status != 0)
		g_warning("ashlar-broker ended (%d)", wait_status);
	g_clear_pointer(&daemon->broker_table, g_free);
}

static gboolean start(AshWorkloadd *daemon, GError **error)
{
	g_autofree char *program = g_build_filename(daemon->libexec, "ashlar-broker", NULL);
	const char *with_root[] = {program, "--root", daemon->root, NULL};
	const char *plain[] = {program, NULL};

	return daemon->broker != NULL ||
	       ash_bus_spawn(daemon->bus, daemon->is_test ? with_root : plain, NULL, MAX_LINE_BYTES,
			       on_line, on_end, daemon, &daemon->broker, error);
}

gboolean ash_workloadd_match_broker(AshWorkloadd *daemon, GError **error)
{
	bool has_caller;
	g_autofree char *table = make_table(daemon, &has_caller);
	g_autofree char *path = ash_workloadd_path(daemon, ASH_BROKER_TABLE);

	/* While nobody calls there is no broker. */
	if (!has_caller) {
		if (daemon->broker != NULL)
			ash_bus_child_kill(daemon->broker);
		g_clear_pointer(&daemon->broker_table, g_free);
		return TRUE;
	}
	ASH_PREFIX("the broker");
	/* It reads the table when it begins, and when another takes its place. */
	if (g_strcmp0(table, daemon->broker_table) != 0) {
		if (!ash_file_replace(AT_FDCWD, path, table, strlen(table), 0600, error))
			return FALSE;
		g_free(daemon->broker_table);
		daemon->broker_table = g_steal_pointer(&table);
	}
	return start(daemon, error);
}

gboolean ash_run_wait_for_broker(const AshRun *run, const AshWorkload *workload, GError **error)
{
	g_autofree char *path = g_build_filename(run->dir, ASH_BROKER_SOCKET, NULL);

	if (!requires_call(workload))
		return TRUE;
	unlink(path);
	/* Another table, or the same: it looks whether its sockets are there. */
	g_clear_pointer(&run->unit->daemon->broker_table, g_free);
	if (!ash_workloadd_match_broker(run->unit->daemon, error))
		return FALSE;
	for (unsigned waited = 0; access(path, F_OK) < 0; waited += SOCKET_LOOK_MS) {
		if (waited >= SOCKET_WAIT_MS)
			return ash_throw(error, ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_HELD,
					"the broker has not opened %s", path);
		g_usleep(SOCKET_LOOK_MS * 1000);
	}
	return TRUE;
}
