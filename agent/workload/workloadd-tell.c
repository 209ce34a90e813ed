/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "agent/workload/api.h"
#include "agent/workload/workloadd.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"
#include "lib/workload-report.h"

/* What people and programs are told; agent/workload/api.h has the forms. */

static void add_time(JsonBuilder *builder, const char *key, int64_t at_s)
{
	g_autofree char *text = at_s > 0 ? ash_text_utc(at_s) : NULL;

	ash_json_add_text(builder, key, text);
}

static const AshWorkload *find_workload(const AshUnit *unit)
{
	const AshDefinition *active = ash_unit_active(unit);

	if (active == NULL)
		active = unit->target;
	return active != NULL ? active->workload : NULL;
}

/* The class that an instance really runs in. false: none runs. */
static bool find_effective(const AshUnit *unit, AshIsolationClass *out_effective)
{
	for (guint i = 0; i < unit->runs->len; i++) {
		const AshRun *run = unit->runs->pdata[i];
		g_autofree char *text =
				run->process != NULL ? ash_supervise_effective(run->dir) : NULL;
		if (text != NULL && ash_isolation_class_find(text, out_effective))
			return true;
	}
	return false;
}

/* ---- an instance ---- */

static void add_health(JsonBuilder *builder, const AshRun *run)
{
	if (run->health == NULL || ash_health_count(run->health) == 0)
		return;
	ash_json_begin_array(builder, "health");
	for (guint i = 0; i < ash_health_count(run->health); i++) {
		const AshHealthState *state = ash_health_get(run->health, i);
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "name", state->spec->name);
		ash_json_add_bool(builder, "required", state->spec->is_required);
		if (state->has_result)
			ash_json_add_bool(builder, "passing", state->is_passing);
		ash_json_add_text(builder, "text", state->text);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

static void add_instance(
		JsonBuilder *builder, const AshRun *run, const AshMachineInstance *instance)
{
	pid_t pid = run->process != NULL ? ash_supervise_pid(run->dir) : 0;

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", run->name);
	ash_json_add_text(builder, "state", ash_instance_state_text(instance->state));
	ash_json_add_bool(builder, "ready", instance->state == ASH_INSTANCE_RUNNING);
	ash_json_add_text(builder, "text", instance->text);
	if (pid != 0)
		ash_json_add_int(builder, "pid", pid);
	ash_json_add_uint(builder, "restarts", instance->restarts);
	add_time(builder, "since", instance->since_s);
	ash_json_add_text(builder, "address", run->address);
	add_health(builder, run);
	json_builder_end_object(builder);
}

/* ---- a workload ---- */

/* A question: is it wanted, and nobody knows what it is? */
static bool is_undefined(const AshUnit *unit)
{
	return unit->machine->state == ASH_MACHINE_STOPPED && !unit->machine->is_wanted &&
	       unit->wanted == NULL && find_workload(unit) == NULL;
}

static const char *word_of(const AshUnit *unit)
{
	return is_undefined(unit) ? "undefined" : ash_machine_word(unit->machine);
}

static const char *find_text(const AshUnit *unit)
{
	if (unit->problem != NULL)
		return unit->problem;
	if (is_undefined(unit))
		return "its definition is not there any more: 'ashlarctl workload run' brings it back";
	if (unit->machine->text != NULL)
		return unit->machine->text;
	for (guint i = 0; i < unit->machine->instances->len; i++) {
		const AshMachineInstance *instance = unit->machine->instances->pdata[i];
		if (instance->text != NULL && instance->state != ASH_INSTANCE_RUNNING)
			return instance->text;
	}
	return NULL;
}

static uint64_t count_restarts(const AshUnit *unit)
{
	uint64_t restarts = 0;

	for (guint i = 0; i < unit->machine->instances->len; i++)
		restarts += ((const AshMachineInstance *) unit->machine->instances->pdata[i])
					    ->restarts;
	return restarts;
}

static void add_failed(JsonBuilder *builder, const AshMachine *machine)
{
	ash_json_begin_array(builder, "failed");
	for (guint i = 0; i < machine->failed->len; i++) {
		const AshMachineFailed *failed = machine->failed->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "version", failed->version);
		ash_json_add_text(builder, "digest", failed->digest);
		ash_json_add_text(builder, "reason", failed->reason);
		add_time(builder, "at", failed->at_s);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

static void add_volumes(JsonBuilder *builder, const AshUnit *unit, const AshWorkload *workload)
{
	ash_json_begin_array(builder, "volumes");
	for (guint k = 0; k < workload->instances; k++) {
		g_autofree char *instance = ash_unit_instance(unit->machine->name, k);
		for (guint i = 0; i < workload->volumes->len; i++) {
			const AshWorkloadVolume *volume = workload->volumes->pdata[i];
			json_builder_begin_object(builder);
			ash_json_add_text(builder, "name", volume->name);
			ash_json_add_text(builder, "instance", instance);
			uint64_t there = ash_workloadd_volume_bytes(
					unit->daemon, instance, volume->name);
			ash_json_add_uint(builder, "size", there > 0 ? there : volume->size_bytes);
			ash_json_add_uint(builder, "asked", volume->size_bytes);
			ash_json_add_text(builder, "path", volume->path);
			json_builder_end_object(builder);
		}
	}
	json_builder_end_array(builder);
}

static void add_definition(JsonBuilder *builder, const AshUnit *unit, const AshWorkload *workload)
{
	const AshDefinition *active = ash_unit_active(unit);
	const AshDefinition *shown = active != NULL ? active : unit->target;

	ash_json_add_bool(builder, "required", workload->is_required);
	ash_json_add_text(builder, "scope", workload->is_system ? "system" : "user");
	ash_json_add_text(builder, "origin", shown->is_signed ? "signed" : "local");
	ash_json_add_text(builder, "file", shown->file);
	ash_json_add_text(builder, "isolation", ash_isolation_class_name(workload->isolation));
	AshIsolationClass effective;
	ash_json_add_text(builder, "effective",
			find_effective(unit, &effective) ? ash_isolation_class_name(effective)
							 : NULL);
	ash_json_add_text(builder, "image", workload->image.text);
	ash_json_add_text(builder, "network", ash_network_mode_name(workload->network.mode));
	ash_json_add_text(builder, "digest", shown->digest);
	ash_json_add_uint(builder, "memory", workload->memory_bytes);
}

void ash_workloadd_add_workload(const AshUnit *unit, JsonBuilder *builder)
{
	const AshMachine *machine = unit->machine;
	const AshMachineRef *active = ash_machine_active(machine);
	const AshWorkload *workload = find_workload(unit);

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", machine->name);
	ash_json_add_text(builder, "version",
			active != NULL ? active->version : machine->target.version);
	ash_json_add_text(builder, "state", word_of(unit));
	ash_json_add_text(builder, "phase", ash_machine_state_text(machine->state));
	ash_json_add_bool(builder, "ready", ash_machine_is_ready(machine));
	ash_json_add_bool(builder, "wanted", machine->is_wanted);
	if (workload != NULL)
		add_definition(builder, unit, workload);
	ash_json_add_text(builder, "text", find_text(unit));
	if (active != NULL && machine->target.digest != NULL)
		ash_json_add_text(builder, "target", machine->target.version);
	if (unit->job != NULL && unit->job_total > 0) {
		ash_json_add_uint(builder, "done", unit->job_done);
		ash_json_add_uint(builder, "total", unit->job_total);
	}
	ash_json_add_uint(builder, "restarts", count_restarts(unit));
	ash_json_add_bool(builder, "recording", unit->record_until_us != 0);
	add_time(builder, "since", machine->since_s);
	add_failed(builder, machine);
	ash_json_begin_array(builder, "instances");
	for (guint i = 0; i < unit->runs->len; i++)
		add_instance(builder, unit->runs->pdata[i], machine->instances->pdata[i]);
	json_builder_end_array(builder);
	if (workload != NULL)
		add_volumes(builder, unit, workload);
	json_builder_end_object(builder);
}

char *ash_workloadd_status(const AshUnit *unit)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	ash_workloadd_add_workload(unit, builder);
	return ash_json_format(builder, false);
}

char *ash_workloadd_list(const AshWorkloadd *daemon)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_begin_array(builder, "workloads");
	for (guint i = 0; i < daemon->units->len; i++)
		ash_workloadd_add_workload(daemon->units->pdata[i], builder);
	json_builder_end_array(builder);
	ash_json_add_text(builder, "trouble",
			daemon->trouble != NULL          ? daemon->trouble
			: daemon->routes_problem != NULL ? daemon->routes_problem
							 : daemon->network_problem);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

/* ---- the graph ---- */

static void add_edge(JsonBuilder *builder, const char *from, const char *to, const char *service,
		const char *kind)
{
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "from", from);
	ash_json_add_text(builder, "to", to);
	ash_json_add_text(builder, "service", service);
	ash_json_add_text(builder, "kind", kind);
	json_builder_end_object(builder);
}

static void add_edges(JsonBuilder *builder, const AshWorkloadd *daemon, const AshWorkload *workload)
{
	for (guint i = 0; i < workload->requires->len; i++) {
		const AshWorkloadService *service = workload->requires->pdata[i];
		const AshRoute *route =
				ash_routes_find(daemon->routes, workload->name, service->name);
		if (route != NULL)
			add_edge(builder, workload->name, route->to, service->name,
					service->socket != NULL ? "route" : "call");
	}
	for (guint i = 0; workload->after != NULL && workload->after[i] != NULL; i++)
		add_edge(builder, workload->name, workload->after[i], NULL, "after");
	if (workload->network.mode == ASH_NETWORK_PROVIDER)
		add_edge(builder, workload->name, workload->network.provider, NULL, "network");
}

static void add_missing(
		JsonBuilder *builder, const AshWorkloadd *daemon, const AshWorkload *workload)
{
	for (guint i = 0; i < workload->requires->len; i++) {
		const AshWorkloadService *service = workload->requires->pdata[i];
		if (ash_routes_find(daemon->routes, workload->name, service->name) != NULL)
			continue;
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "from", workload->name);
		ash_json_add_text(builder, "service", service->name);
		json_builder_end_object(builder);
	}
}

static void each_workload(JsonBuilder *builder, const AshWorkloadd *daemon, const char *key,
		void (*add)(JsonBuilder *, const AshWorkloadd *, const AshWorkload *))
{
	ash_json_begin_array(builder, key);
	for (guint i = 0; i < daemon->units->len; i++) {
		const AshWorkload *workload = find_workload(daemon->units->pdata[i]);
		if (workload != NULL)
			add(builder, daemon, workload);
	}
	json_builder_end_array(builder);
}

char *ash_workloadd_graph(const AshWorkloadd *daemon)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_begin_array(builder, "nodes");
	for (guint i = 0; i < daemon->units->len; i++) {
		const AshUnit *unit = daemon->units->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "name", unit->machine->name);
		ash_json_add_text(builder, "state", word_of(unit));
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	each_workload(builder, daemon, "edges", add_edges);
	each_workload(builder, daemon, "missing", add_missing);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

/* ---- what it may touch ---- */

static const char *const grant_kinds[] = {
		[ASH_GRANT_ISOLATION] = "isolation",
		[ASH_GRANT_NETWORK] = "network",
		[ASH_GRANT_PUBLISH] = "publish",
		[ASH_GRANT_EGRESS] = "egress",
		[ASH_GRANT_REQUIRES] = "requires",
		[ASH_GRANT_PROVIDES] = "provides",
		[ASH_GRANT_VOLUME] = "volume",
		[ASH_GRANT_SECRET] = "secret",
		[ASH_GRANT_DEVICE] = "device",
		[ASH_GRANT_CAPABILITY] = "capability",
		[ASH_GRANT_SYSTEM_CALL] = "system-call",
		[ASH_GRANT_USER] = "user",
		[ASH_GRANT_RESOURCE] = "resource",
		[ASH_GRANT_SCOPE] = "scope",
};

char *ash_workloadd_report(const AshUnit *unit)
{
	const AshWorkload *workload = find_workload(unit);
	g_autoptr(JsonBuilder) builder = json_builder_new();

	if (workload == NULL)
		return g_strdup("{}");
	/* Before one runs, as what it asks for. */
	AshIsolationClass effective = workload->isolation;
	find_effective(unit, &effective);
	g_autoptr(AshWorkloadReport) report = ash_workload_report(workload, effective);
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", workload->name);
	ash_json_add_text(builder, "version", workload->version);
	ash_json_add_text(builder, "isolation", ash_isolation_class_name(workload->isolation));
	ash_json_add_text(builder, "effective", ash_isolation_class_name(effective));
	ash_json_add_uint(builder, "score", report->score);
	ash_json_add_text(builder, "words", report->words);
	ash_json_begin_array(builder, "grants");
	for (guint i = 0; i < report->grants->len; i++) {
		const AshGrant *grant = report->grants->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "kind", grant_kinds[grant->kind]);
		ash_json_add_text(builder, "name", grant->name);
		ash_json_add_text(builder, "text", grant->text);
		ash_json_add_uint(builder, "points", grant->points);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

char *ash_workloadd_diff(const AshWorkload *from, const AshWorkload *to)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(AshWorkloadReport) before = ash_workload_report(from, from->isolation);
	g_autoptr(AshWorkloadReport) after = ash_workload_report(to, to->isolation);
	bool is_wider = false;
	g_autoptr(GPtrArray) changes = ash_workload_report_diff(before, after, &is_wider);

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", to->name);
	ash_json_add_text(builder, "from", from->version);
	ash_json_add_text(builder, "to", to->version);
	ash_json_add_bool(builder, "is-wider", is_wider);
	ash_json_begin_array(builder, "changes");
	for (guint i = 0; i < changes->len; i++) {
		const AshGrantChange *change = changes->pdata[i];
		const AshGrant *known = change->to != NULL ? change->to : change->from;
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "kind", grant_kinds[known->kind]);
		ash_json_add_text(builder, "name", known->name);
		ash_json_add_text(
				builder, "from", change->from != NULL ? change->from->text : NULL);
		ash_json_add_text(builder, "to", change->to != NULL ? change->to->text : NULL);
		ash_json_add_bool(builder, "is-wider", change->is_wider);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

/* ---- the status file ---- */

static bool is_bad(const AshUnit *unit)
{
	const char *word = word_of(unit);

	return strcmp(word, "failed") == 0 || strcmp(word, "backoff") == 0;
}

/* Nothing that changes by itself. */
static void add_summary_instances(JsonBuilder *builder, const AshUnit *unit)
{
	ash_json_begin_array(builder, "instances");
	for (guint i = 0; i < unit->runs->len; i++) {
		const AshRun *run = unit->runs->pdata[i];
		const AshMachineInstance *instance = unit->machine->instances->pdata[i];
		json_builder_begin_object(builder);
		ash_json_add_text(builder, "name", run->name);
		ash_json_add_text(builder, "state", ash_instance_state_text(instance->state));
		ash_json_add_bool(builder, "ready", instance->state == ASH_INSTANCE_RUNNING);
		ash_json_add_text(builder, "text", instance->text);
		ash_json_add_text(builder, "address", run->address);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

static void add_summary_definition(
		JsonBuilder *builder, const AshUnit *unit, const AshWorkload *workload)
{
	const AshDefinition *active = ash_unit_active(unit);
	const AshDefinition *shown = active != NULL ? active : unit->target;
	AshIsolationClass effective = workload->isolation;
	find_effective(unit, &effective);
	g_autoptr(AshWorkloadReport) report = ash_workload_report(workload, effective);

	ash_json_add_text(builder, "origin", shown->is_signed ? "signed" : "local");
	ash_json_add_text(builder, "isolation", ash_isolation_class_name(workload->isolation));
	ash_json_add_text(builder, "effective", ash_isolation_class_name(effective));
	ash_json_add_uint(builder, "score", report->score);
}

static void add_summary(JsonBuilder *builder, const AshUnit *unit, bool is_required)
{
	const AshMachine *machine = unit->machine;
	const AshMachineRef *active = ash_machine_active(machine);
	const AshWorkload *workload = find_workload(unit);

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", machine->name);
	ash_json_add_text(builder, "version", active != NULL ? active->version : NULL);
	ash_json_add_text(builder, "state", word_of(unit));
	ash_json_add_text(builder, "phase", ash_machine_state_text(machine->state));
	ash_json_add_bool(builder, "ready", ash_machine_is_ready(machine));
	ash_json_add_bool(builder, "wanted", machine->is_wanted);
	ash_json_add_bool(builder, "required", is_required);
	if (workload != NULL)
		add_summary_definition(builder, unit, workload);
	ash_json_add_text(builder, "text", find_text(unit));
	ash_json_add_text(builder, "target",
			machine->target.digest != NULL ? machine->target.version : NULL);
	ash_json_add_uint(builder, "restarts", count_restarts(unit));
	add_failed(builder, machine);
	add_summary_instances(builder, unit);
	json_builder_end_object(builder);
}

static char *format_status(const AshWorkloadd *daemon)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	uint64_t n_required = 0, n_ready = 0, n_bad = 0;

	json_builder_begin_object(builder);
	ash_json_begin_array(builder, "workloads");
	for (guint i = 0; i < daemon->units->len; i++) {
		const AshUnit *unit = daemon->units->pdata[i];
		const AshWorkload *workload = find_workload(unit);
		bool is_required = workload != NULL && workload->is_required &&
				   unit->machine->is_wanted;
		add_summary(builder, unit, is_required);
		n_required += is_required;
		n_ready += is_required && ash_machine_is_ready(unit->machine);
		n_bad += is_required && is_bad(unit);
	}
	json_builder_end_array(builder);
	ash_json_add_uint(builder, "required", n_required);
	ash_json_add_uint(builder, "ready", n_ready);
	ash_json_add_uint(builder, "failed", n_bad);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

void ash_workloadd_write_status(AshWorkloadd *daemon)
{
	g_autofree char *path = ash_workloadd_path(daemon, ASH_WORKLOAD_STATUS_FILE);
	g_autofree char *text = format_status(daemon);
	g_autoptr(GError) local = NULL;

	if (g_strcmp0(text, daemon->status) == 0)
		return;
	if (!ash_file_replace(AT_FDCWD, path, text, strlen(text), 0644, &local)) {
		g_warning("%s", local->message);
		return;
	}
	g_free(daemon->status);
	daemon->status = g_steal_pointer(&text);
	ash_bus_workload_changed(daemon->bus);
}
