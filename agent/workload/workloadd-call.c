/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "agent/workload/broker.h"
#include "agent/workload/recorder.h"
#include "agent/workload/workloadd.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/spawn.h"
#include "lib/version.h"

/* The methods of org.ashlar.Workload1; agent/workload/api.h says what they take and answer. */

enum {
	MAX_DEPTH = 8,
	MAX_LINES = 1000,
	DEFAULT_LINES = 100,
	MAX_LOG_BYTES = 300 << 10, /* six times that in JSON, at worst */
	LOG_TIMEOUT_MS = 10 * 1000,
	MAX_CALLS_BYTES = 64 << 10,
	DEFAULT_RECORD_S = 60 * 60,
	MAX_RECORD_S = 25 * 60 * 60,
};

typedef struct {
	AshWorkloadd *daemon;
	JsonObject *request;
} Call;

static gboolean refuse(GError **error, AshBusError code, const char *text)
{
	return ash_throw(error, ASH_BUS_ERROR, (int) code, "%s", text);
}

static gboolean get_unit(const Call *call, AshUnit **out_unit, AshRun **out_run, GError **error)
{
	const char *name = ash_json_find_text(call->request, "name");

	if (name == NULL)
		return refuse(error, ASH_BUS_ERROR_INVALID_ARGUMENT, "'name' is missing");
	return ash_workloadd_get(call->daemon, name, out_unit, out_run, error);
}

/* What is done to a workload is done to all of it. */
static gboolean get_whole(const Call *call, AshUnit **out_unit, GError **error)
{
	const char *name = ash_json_find_text(call->request, "name");
	const char *at = name != NULL ? strchr(name, '@') : NULL;

	if (at == NULL)
		return get_unit(call, out_unit, NULL, error);
	return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT,
			"'%s' is one instance, and this is for all of '%.*s'; 'restart', 'logs' and 'exec' take an instance",
			name, (int) (at - name), name);
}

static char *answer_state(const AshUnit *unit)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	const AshMachine *machine = unit->machine;
	const AshMachineRef *active = ash_machine_active(machine);

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", machine->name);
	ash_json_add_text(builder, "version",
			active != NULL ? active->version : machine->target.version);
	ash_json_add_text(builder, "state", ash_machine_word(machine));
	/* Of what is to run in the end. */
	ash_json_add_text(builder, "digest", unit->wanted);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

/* ---- asking ---- */

static gboolean call_list(const Call *call, char **out_json, GError **error)
{
	*out_json = ash_workloadd_list(call->daemon);
	return TRUE;
}

static gboolean call_status(const Call *call, char **out_json, GError **error)
{
	AshUnit *unit = NULL;

	if (!get_unit(call, &unit, NULL, error))
		return FALSE;
	*out_json = ash_workloadd_status(unit);
	return TRUE;
}

static gboolean call_report(const Call *call, char **out_json, GError **error)
{
	AshUnit *unit = NULL;

	if (!get_unit(call, &unit, NULL, error))
		return FALSE;
	*out_json = ash_workloadd_report(unit);
	return TRUE;
}

static gboolean call_graph(const Call *call, char **out_json, GError **error)
{
	*out_json = ash_workloadd_graph(call->daemon);
	return TRUE;
}

static gboolean parse_member(
		const Call *call, const char *key, AshWorkload **out_workload, GError **error)
{
	const char *text = ash_json_find_text(call->request, key);
	g_autoptr(GBytes) bytes = text != NULL ? g_bytes_new(text, strlen(text)) : NULL;

	if (bytes == NULL)
		return refuse(error, ASH_BUS_ERROR_INVALID_ARGUMENT,
				"'name', or 'old' and 'new', is missing");
	return ash_workload_parse(key, bytes, out_workload, error);
}

static gboolean call_diff(const Call *call, char **out_json, GError **error)
{
	g_autoptr(AshWorkload) from = NULL;
	g_autoptr(AshWorkload) to = NULL;
	AshUnit *unit = NULL;

	if (!json_object_has_member(call->request, "name")) {
		if (!parse_member(call, "old", &from, error) ||
				!parse_member(call, "new", &to, error))
			return FALSE;
		*out_json = ash_workloadd_diff(from, to);
		return TRUE;
	}
	if (!get_unit(call, &unit, NULL, error))
		return FALSE;
	if (unit->current == NULL || unit->target == NULL)
		return refuse(error, ASH_BUS_ERROR_WRONG_STATE,
				"no other version of it is on its way");
	*out_json = ash_workloadd_diff(unit->current->workload, unit->target->workload);
	return TRUE;
}

/* ---- telling ---- */

static gboolean step(const Call *call, AshMachineEventKind kind, char **out_json, GError **error)
{
	const AshMachineEvent event = {.kind = kind};
	AshUnit *unit = NULL;

	if (!get_whole(call, &unit, error) || !ash_workloadd_step(unit, &event, error))
		return FALSE;
	*out_json = answer_state(unit);
	return TRUE;
}

static gboolean call_start(const Call *call, char **out_json, GError **error)
{
	return step(call, ASH_MACHINE_EVENT_START, out_json, error);
}

static gboolean call_stop(const Call *call, char **out_json, GError **error)
{
	return step(call, ASH_MACHINE_EVENT_STOP, out_json, error);
}

/* "web@2": this instance alone, while the others go on. */
static gboolean call_restart(const Call *call, char **out_json, GError **error)
{
	const char *name = ash_json_find_text(call->request, "name");
	AshMachineEvent event = {.kind = ASH_MACHINE_EVENT_AGAIN};
	AshUnit *unit = NULL;
	AshRun *run = NULL;

	if (name == NULL || strchr(name, '@') == NULL)
		return step(call, ASH_MACHINE_EVENT_RESTART, out_json, error);
	if (!get_unit(call, &unit, &run, error))
		return FALSE;
	event.instance = run->index;
	if (!ash_workloadd_step(unit, &event, error))
		return FALSE;
	*out_json = answer_state(unit);
	return TRUE;
}

/* Whoever says so has done something about what was missing: no pause goes on. */
static void hurry(AshWorkloadd *daemon)
{
	for (guint i = 0; i < daemon->units->len; i++)
		((AshUnit *) daemon->units->pdata[i])->machine->retry_us = 0;
}

static gboolean call_reload(const Call *call, char **out_json, GError **error)
{
	hurry(call->daemon);
	return ash_workloadd_reload(call->daemon, error);
}

static gboolean call_want(const Call *call, char **out_json, GError **error)
{
	return ash_workloadd_want(call->daemon, call->request, out_json, error);
}

/* What is refused at once: what would be held for ever, and what failed before. */
static gboolean check_definition(
		AshWorkloadd *daemon, const AshDefinition *definition, GError **error)
{
	const AshUnit *unit = ash_workloadd_find(daemon, definition->name);
	const AshMachineFailed *failed =
			unit != NULL ? ash_machine_find_failed(unit->machine, definition->digest)
				     : NULL;

	if (failed != NULL)
		return ash_throw(error, ASH_MACHINE_ERROR, ASH_MACHINE_ERROR_BAD,
				"version %s of '%s' failed before (%s); 'ashlarctl workload forgive %s' lets it try again",
				failed->version, definition->name, failed->reason,
				definition->name);
	return ash_workloadd_check_network(daemon, definition->workload, error) &&
	       ash_workloadd_fits(daemon, definition->workload, definition->workload->instances,
			       error) &&
	       ash_workloadd_has_room(daemon, definition->workload, error);
}

/* Whose name nobody thought of must not take the place of what somebody has written, or what is signed. */
static gboolean check_only_new(
		AshWorkloadd *daemon, const char *name, const char *text, GError **error)
{
	g_autofree char *where = g_strdup_printf(ASH_STORE_LOCAL "/%s.yaml", name);
	g_autofree char *path = ash_workloadd_path(daemon, "%s", where);
	g_autoptr(GBytes) there = NULL;
	bool is_local = ash_store_has_local(daemon->root, name);

	if (!is_local && ash_workloadd_find(daemon, name) == NULL)
		return TRUE;
	if (is_local && ash_file_read(AT_FDCWD, path, ASH_WORKLOAD_MAX_BYTES, &there, NULL) &&
			strcmp(g_bytes_get_data(there, NULL), text) == 0)
		return TRUE;
	return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_WRONG_STATE,
			"there is a workload '%s' on this host already (%s): give this one another name with --name, or take the place of that one with --replace",
			name, is_local ? where : "signed");
}

static gboolean run_definition(const Call *call, const char *text, char **out_name, GError **error)
{
	AshWorkloadd *daemon = call->daemon;
	const char *file = ash_json_find_text(call->request, "file");
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	g_autoptr(AshWorkload) workload = NULL;
	g_autoptr(GHashTable) values = NULL;
	g_autoptr(AshDefinition) definition = NULL;

	file = file != NULL ? file : "the definition";
	bool is_only_new = ash_json_find_bool(call->request, "only-new");
	if (!ash_workload_parse(file, bytes, &workload, error) ||
			(is_only_new && !check_only_new(daemon, workload->name, text, error)) ||
			!ash_store_parameters(daemon->root, workload->name, &values, error) ||
			!ash_definition_make(file, bytes, values, false, &definition, error) ||
			!check_definition(daemon, definition, error) ||
			!ash_store_put_local(daemon->root, workload->name, text, error))
		return FALSE;
	*out_name = g_strdup(workload->name);
	return TRUE;
}

/* Which signed version of what the fleet wants runs here, the fleet says. */
static gboolean need_own_choice(AshWorkloadd *daemon, const char *name, GError **error)
{
	g_autofree char *version = NULL;
	g_autoptr(GHashTable) values = NULL;

	if (!ash_store_load_fleet(daemon->root, name, &version, &values, error))
		return FALSE;
	if (version == NULL || ash_store_has_local(daemon->root, name))
		return TRUE;
	return ash_throw(error, ASH_BUS_ERROR, ASH_BUS_ERROR_WRONG_STATE,
			"the fleet wants version %s of '%s' here; a definition of your own counts before it",
			version, name);
}

static gboolean run_signed(const Call *call, char **out_name, GError **error)
{
	const char *name = ash_json_find_text(call->request, "name");
	const char *version = ash_json_find_text(call->request, "version");

	if (name == NULL || !ash_workload_is_name(name))
		return refuse(error, ASH_BUS_ERROR_INVALID_ARGUMENT,
				"'definition', or the name of a signed one, is missing");
	if (version != NULL && !ash_version_is_valid(version))
		return refuse(error, ASH_BUS_ERROR_INVALID_ARGUMENT, "'version' is none");
	if (!need_own_choice(call->daemon, name, error))
		return FALSE;
	if ((version != NULL && !ash_store_pin(call->daemon->root, name, version, error)) ||
			!ash_store_want(call->daemon->root, name, error))
		return FALSE;
	*out_name = g_strdup(name);
	return TRUE;
}

static gboolean call_run(const Call *call, char **out_json, GError **error)
{
	AshWorkloadd *daemon = call->daemon;
	const char *text = ash_json_find_text(call->request, "definition");
	const AshMachineEvent start = {.kind = ASH_MACHINE_EVENT_START};
	g_autofree char *name = NULL;
	AshUnit *unit = NULL;

	if (!(text != NULL ? run_definition(call, text, &name, error)
			   : run_signed(call, &name, error)) ||
			!ash_workloadd_reload(daemon, error) ||
			!ash_workloadd_get(daemon, name, &unit, NULL, error))
		return FALSE;
	if (unit->problem != NULL)
		return refuse(error, ASH_BUS_ERROR_FAILED, unit->problem);
	if (!unit->machine->is_wanted && !ash_workloadd_step(unit, &start, error))
		return FALSE;
	*out_json = answer_state(unit);
	return TRUE;
}

static gboolean call_remove(const Call *call, char **out_json, GError **error)
{
	AshMachineEvent event = {
			.kind = ASH_MACHINE_EVENT_UNDEFINED,
			.is_forced = ash_json_find_bool(call->request, "volumes"),
	};
	AshUnit *unit = NULL;

	if (!get_whole(call, &unit, error) ||
			!ash_store_unwant(call->daemon->root, unit->machine->name, error))
		return FALSE;
	g_autofree char *name = g_strdup(unit->machine->name);
	*out_json = g_strdup_printf("{\"name\":\"%s\",\"state\":\"stopping\"}", name);
	/* It may be forgotten in this step. */
	return ash_workloadd_step(unit, &event, error);
}

static gboolean call_forgive(const Call *call, char **out_json, GError **error)
{
	const char *version = ash_json_find_text(call->request, "version");
	AshUnit *unit = NULL;

	if (!get_whole(call, &unit, error))
		return FALSE;
	if (!ash_machine_forgive(unit->machine, version != NULL ? version : "all"))
		return refuse(error, ASH_BUS_ERROR_NOT_FOUND,
				"no version of it has failed, or not this one");
	ash_workloadd_save(call->daemon);
	if (!ash_workloadd_reload(call->daemon, error))
		return FALSE;
	*out_json = answer_state(unit);
	return TRUE;
}

/* ---- inside ---- */

static gboolean call_exec(const Call *call, char **out_json, GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	AshUnit *unit = NULL;
	AshRun *run = NULL;

	if (!get_unit(call, &unit, &run, error))
		return FALSE;
	if (run->process == NULL || ash_supervise_pid(run->dir) == 0)
		return refuse(error, ASH_BUS_ERROR_WRONG_STATE, "it does not run");
	g_autofree char *program = g_build_filename(call->daemon->libexec, "ashlar-launch", NULL);
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "instance", run->name);
	ash_json_add_text(builder, "dir", run->dir);
	ash_json_add_text(builder, "program", program);
	json_builder_end_object(builder);
	*out_json = ash_json_format(builder, false);
	return TRUE;
}

/* The last @count lines of @text, which may be anything; fewer, and the first of them cut, where these are too much
 * for one answer.
 */
static void add_lines(JsonBuilder *builder, GBytes *text, size_t count)
{
	gsize size = 0;
	const char *data = g_bytes_get_data(text, &size);
	gsize skipped = size > MAX_LOG_BYTES ? size - MAX_LOG_BYTES : 0;
	g_autofree char *clean = g_utf8_make_valid(data + skipped, (gssize) (size - skipped));
	g_auto(GStrv) lines = g_strsplit(g_strchomp(clean), "\n", -1);
	size_t total = *clean != '\0' ? g_strv_length(lines) : 0;

	ash_json_begin_array(builder, "lines");
	for (size_t i = total > count ? total - count : 0; i < total; i++)
		json_builder_add_string_value(builder, lines[i]);
	json_builder_end_array(builder);
}

/* A unit of the journal, or a file. */
static char *log_place(const AshRun *run)
{
	const AshWorkloadd *daemon = run->unit->daemon;

	return daemon->is_test ? ash_workloadd_path(daemon, ASH_SUPERVISE_LOGS "/%s.log", run->name)
			       : ash_supervise_unit(run->name);
}

static gboolean read_log(const AshRun *run, uint64_t count, char **out_where, GBytes **out_text,
		GError **error)
{
	const AshWorkloadd *daemon = run->unit->daemon;
	g_autofree char *unit = log_place(run);
	g_autofree char *lines = g_strdup_printf("%" G_GUINT64_FORMAT, count);
	const char *argv[] = {"journalctl", "--quiet", "--no-pager", "--output=cat", "--lines",
			lines, "--unit", unit, NULL};
	const AshSpawn spawn = {.argv = argv,
			.max_output_bytes = ASH_SUPERVISE_MAX_LOG_BYTES * 2,
			.timeout_ms = LOG_TIMEOUT_MS};

	*out_where = g_steal_pointer(&unit);
	if (!daemon->is_test)
		return ash_spawn_run(&spawn, out_text, error);
	ash_supervise_trim_log(daemon->root, run->name);
	return ash_file_read(
			AT_FDCWD, *out_where, ASH_SUPERVISE_MAX_LOG_BYTES * 2, out_text, error);
}

static gboolean call_logs(const Call *call, char **out_json, GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	uint64_t count = ash_json_find_uint(call->request, "lines");
	AshUnit *unit = NULL;
	AshRun *run = NULL;
	g_autofree char *where = NULL;
	g_autoptr(GBytes) text = NULL;

	count = count == 0 ? DEFAULT_LINES : MIN(count, MAX_LINES);
	if (!get_unit(call, &unit, &run, error))
		return FALSE;
	json_builder_begin_object(builder);
	if (ash_json_find_bool(call->request, "where")) {
		where = log_place(run);
		ash_json_add_text(builder, "instance", run->name);
		ash_json_add_text(builder, call->daemon->is_test ? "file" : "unit", where);
		json_builder_end_object(builder);
		*out_json = ash_json_format(builder, false);
		return TRUE;
	}
	if (!read_log(run, count, &where, &text, error))
		return FALSE;
	ash_json_add_text(builder, "instance", run->name);
	ash_json_add_text(builder, call->daemon->is_test ? "file" : "unit", where);
	add_lines(builder, text, count);
	json_builder_end_object(builder);
	*out_json = ash_json_format(builder, false);
	return TRUE;
}

/* ---- calls that wait for a decision ---- */

static gboolean call_pending(const Call *call, char **out_json, GError **error)
{
	*out_json = ash_broker_pending(call->daemon->root);
	return TRUE;
}

static gboolean call_answer(const Call *call, char **out_json, GError **error)
{
	const char *id = ash_json_find_text(call->request, "id");
	bool may = ash_json_find_bool(call->request, "allow");
	g_autoptr(JsonBuilder) builder = json_builder_new();

	if (id == NULL || !json_object_has_member(call->request, "allow"))
		return refuse(error, ASH_BUS_ERROR_INVALID_ARGUMENT, "'id' or 'allow' is missing");
	if (!ash_broker_answer(call->daemon->root, id, may, error))
		return FALSE;
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "id", id);
	ash_json_add_bool(builder, "allow", may);
	json_builder_end_object(builder);
	*out_json = ash_json_format(builder, false);
	return TRUE;
}

/* ---- training ---- */

static void read_calls(const char *dir, const char *file, GHashTable *seen)
{
	g_autofree char *path = g_build_filename(dir, file, NULL);
	g_autoptr(GBytes) text = NULL;

	if (!ash_file_read(AT_FDCWD, path, MAX_CALLS_BYTES, &text, NULL))
		return;
	g_auto(GStrv) names = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
	for (char **name = names; *name != NULL; name++)
		if (**name != '\0')
			g_hash_table_add(seen, g_strdup(*name));
}

/* Of @sorted those that were refused, or the others. */
static void add_list(JsonBuilder *builder, const char *key, const GList *sorted, bool is_refused)
{
	ash_json_begin_array(builder, key);
	for (const GList *i = sorted; i != NULL; i = i->next) {
		const char *name = i->data;
		if ((*name == '!') == is_refused)
			json_builder_add_string_value(builder, name + is_refused);
	}
	json_builder_end_array(builder);
}

/* The names that the launcher has recorded (recorder.h). */
static void add_calls(JsonBuilder *builder, const AshUnit *unit)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < unit->runs->len; i++) {
		const AshRun *run = unit->runs->pdata[i];
		read_calls(run->dir, ASH_RECORDER_FILE, seen);
		read_calls(run->dir, ASH_RECORDER_FILE_OF_EXEC, seen);
	}
	g_autoptr(GList) sorted = g_list_sort(
			g_hash_table_get_keys(seen), (GCompareFunc) (void (*)(void)) strcmp);
	add_list(builder, "calls", sorted, false);
	add_list(builder, "refused", sorted, true);
}

static gboolean call_train(const Call *call, char **out_json, GError **error)
{
	const AshMachineEvent restart = {.kind = ASH_MACHINE_EVENT_RESTART};
	bool is_recording = ash_json_find_bool(call->request, "recording");
	uint64_t seconds = ash_json_find_uint(call->request, "seconds");
	g_autoptr(JsonBuilder) builder = json_builder_new();
	AshUnit *unit = NULL;

	if (!get_whole(call, &unit, error))
		return FALSE;
	const AshDefinition *active = ash_unit_active(unit);
	if (active == NULL || !unit->machine->is_wanted)
		return refuse(error, ASH_BUS_ERROR_WRONG_STATE, "it does not run");
	seconds = seconds == 0 ? DEFAULT_RECORD_S : MIN(seconds, MAX_RECORD_S);
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "name", unit->machine->name);
	ash_json_add_bool(builder, "recording", is_recording);
	g_autofree char *file = g_strconcat(call->daemon->root, active->file, NULL);
	ash_json_add_text(builder, "file", active->is_signed ? NULL : file);
	ash_json_add_text(builder, "definition", active->canonical);
	add_calls(builder, unit);
	json_builder_end_object(builder);
	int64_t was_until_us = unit->record_until_us;
	unit->record_until_us =
			is_recording ? ash_bus_now_us() + (int64_t) seconds * G_USEC_PER_SEC : 0;
	if ((was_until_us != 0) != is_recording && !ash_workloadd_step(unit, &restart, error)) {
		unit->record_until_us = was_until_us;
		return FALSE;
	}
	*out_json = ash_json_format(builder, false);
	return TRUE;
}

/* ---- all ---- */

static const struct {
	const char *method;
	gboolean (*run)(const Call *call, char **out_json, GError **error);
} methods[] = {
		{"List", call_list},
		{"Status", call_status},
		{"Report", call_report},
		{"Graph", call_graph},
		{"Diff", call_diff},
		{"Run", call_run},
		{"Start", call_start},
		{"Stop", call_stop},
		{"Restart", call_restart},
		{"Remove", call_remove},
		{"Exec", call_exec},
		{"Logs", call_logs},
		{"Train", call_train},
		{"Forgive", call_forgive},
		{"Reload", call_reload},
		{"Want", call_want},
		{"Pending", call_pending},
		{"Answer", call_answer},
};

/* The first row that fits; the rest is Failed. */
static gboolean translate(GError **error, GError *take_cause)
{
	g_autoptr(GError) cause = take_cause;
	const struct {
		GQuark domain;
		int code; /* -1: any */
		AshBusError bus;
	} rows[] = {
			{ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_NOT_FOUND,
					ASH_BUS_ERROR_NOT_FOUND},
			{ASH_STORE_ERROR, ASH_STORE_ERROR_MISSING, ASH_BUS_ERROR_NOT_FOUND},
			{ASH_BROKER_ERROR, ASH_BROKER_ERROR_REFUSED, ASH_BUS_ERROR_NOT_FOUND},
			{ASH_MACHINE_ERROR, -1, ASH_BUS_ERROR_WRONG_STATE},
			{ASH_WORKLOADD_ERROR, ASH_WORKLOADD_ERROR_FULL, ASH_BUS_ERROR_WRONG_STATE},
			{ASH_NET_ERROR, -1, ASH_BUS_ERROR_WRONG_STATE},
			{ASH_STORE_ERROR, ASH_STORE_ERROR_SYNTAX, ASH_BUS_ERROR_INVALID_ARGUMENT},
			{ASH_WORKLOAD_ERROR, -1, ASH_BUS_ERROR_INVALID_ARGUMENT},
			{ASH_YAML_ERROR, -1, ASH_BUS_ERROR_INVALID_ARGUMENT},
			{ASH_HEALTH_SPEC_ERROR, -1, ASH_BUS_ERROR_INVALID_ARGUMENT},
			{ASH_JSON_ERROR, -1, ASH_BUS_ERROR_INVALID_ARGUMENT},
	};

	if (cause->domain == ASH_BUS_ERROR) {
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (cause->domain == rows[i].domain &&
				(rows[i].code < 0 || cause->code == rows[i].code))
			return refuse(error, rows[i].bus, cause->message);
	return refuse(error, ASH_BUS_ERROR_FAILED, cause->message);
}

gboolean ash_workloadd_call(const AshBusCall *call, gpointer data, char **out_json, GError **error)
{
	const char *text = *call->text != '\0' ? call->text : "{}";
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) cause = NULL;

	if (!ash_json_parse(bytes, ASH_BUS_WORKLOAD_MAX_BYTES, MAX_DEPTH, &node, &cause))
		return refuse(error, ASH_BUS_ERROR_INVALID_ARGUMENT, cause->message);
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return refuse(error, ASH_BUS_ERROR_INVALID_ARGUMENT,
				"the request is not an object");
	const Call own = {data, json_node_get_object(node)};
	for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
		if (strcmp(methods[i].method, call->method) == 0)
			return methods[i].run(&own, out_json, &cause)
					       ? TRUE
					       : translate(error, g_steal_pointer(&cause));
	return refuse(error, ASH_BUS_ERROR_INVALID_ARGUMENT, "there is no such method");
}
