/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/scheduler-private.h"
#include "fleet/workload-said.h"
#include "lib/checkin.h"
#include "lib/json.h"

/* The scheduler's adapter to workloads: assignments take the place of channels, and what a host says of its workloads that
 * of the commit which it runs. The engine does not know.
 */

enum {
	MAX_REPORT_DEPTH = 12,
};

const char *ash_scheduler_workload(const AshSchedulerEngine *engine)
{
	const char *workload = ash_rollout_spec(engine->rollout)->workload;

	return *workload != '\0' ? workload : NULL;
}

static const AshAssignmentBook *book_of(const AshScheduler *scheduler)
{
	return ash_desired_book_assignments(scheduler->turn_book);
}

/* ---- what the engine is told --------------------------------------------------------------------- */

bool ash_scheduler_workload_can_take(const AshScheduler *scheduler,
		const AshSchedulerEngine *engine, const AshHost *host)
{
	const AshRolloutSpec *spec = ash_rollout_spec(engine->rollout);
	const AshAssignmentBook *book = book_of(scheduler);
	AshWorkloadSaid said;

	if (host->state != ASH_HOST_ACTIVE)
		return false;
	const AshAssignment *match =
			ash_assignment_of(book, host, spec->workload, scheduler->now_s);
	if (match == NULL || !g_str_equal(match->id, spec->assignment))
		return false;
	return !ash_assignment_is_withdrawn(book, spec->workload, spec->version) ||
	       (ash_workload_said_find(host->workloads, spec->workload, &said) &&
			       g_str_equal(said.version, spec->version));
}

AshRolloutSaid ash_scheduler_workload_said(const AshSchedulerEngine *engine, const AshHost *host)
{
	const AshRolloutSpec *spec = ash_rollout_spec(engine->rollout);

	return ash_workload_said_rollout(host->workloads, spec->workload, spec->version);
}

/* ---- why it failed ------------------------------------------------------------------------------- */

static JsonObject *find_named(JsonObject *report, const char *list, const char *name)
{
	JsonArray *items = ash_json_find_objects(report, list);

	for (guint i = 0; items != NULL && i < json_array_get_length(items); i++) {
		JsonObject *item = json_array_get_object_element(items, i);
		if (g_strcmp0(ash_json_find_text(item, "name"), name) == 0)
			return item;
	}
	return NULL;
}

static const char *reason_in(JsonObject *report, const AshRolloutSpec *spec)
{
	JsonObject *item = find_named(report, "items", spec->workload);
	JsonArray *failed = item != NULL ? ash_json_find_objects(item, "failed") : NULL;

	for (guint i = 0; failed != NULL && i < json_array_get_length(failed); i++) {
		JsonObject *entry = json_array_get_object_element(failed, i);
		if (g_strcmp0(ash_json_find_text(entry, "version"), spec->version) == 0)
			return ash_json_find_text(entry, "reason");
	}
	JsonObject *missing = find_named(report, "missing", spec->workload);
	return missing != NULL ? ash_json_find_text(missing, "text") : NULL;
}

char *ash_scheduler_workload_failure(
		AshScheduler *scheduler, const AshSchedulerEngine *engine, const char *host)
{
	g_autofree char *text = NULL;
	g_autoptr(JsonNode) node = NULL;

	if (!ash_db_query_string(scheduler->db, "SELECT report FROM host_workload WHERE host = $1",
			    ASH_DB_VALUES(ASH_DB_T(host)), &text, NULL) ||
			text == NULL)
		return g_strdup("");
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	if (!ash_json_parse(bytes, ASH_CHECKIN_MAX_WORKLOADS, MAX_REPORT_DEPTH, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return g_strdup("");
	const char *reason =
			reason_in(json_node_get_object(node), ash_rollout_spec(engine->rollout));
	return g_strdup(reason != NULL ? reason : "");
}

/* ---- what is wanted of a host -------------------------------------------------------------------- */

/* The table's: memory may be behind what this transaction has written. */
static gboolean read_wanted(
		AshScheduler *scheduler, const char *id, char **out_wanted, GError **error)
{
	if (!ash_db_query_string(scheduler->db, "SELECT wanted FROM host_workload WHERE host = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), out_wanted, error))
		return FALSE;
	if (*out_wanted == NULL)
		*out_wanted = g_strdup("");
	return TRUE;
}

static gboolean write_wanted(AshScheduler *scheduler, const char *id, const AshHost *host,
		const AshAssignmentHold *hold, GError **error)
{
	g_autofree char *before = NULL;

	if (!read_wanted(scheduler, id, &before, error))
		return FALSE;
	g_autofree char *after = ash_assignment_wanted(
			book_of(scheduler), host, before, hold, scheduler->now_s);
	if (g_str_equal(before, after))
		return TRUE;
	scheduler->has_written = true;
	/* Memory is to have it before it is asked whether that is still so. */
	ash_scheduler_look_again(scheduler, id);
	return ash_wanted_write(scheduler->db, id, before, after, hold != NULL ? hold->rollout : "",
			scheduler->now_s, error);
}

/* Of a fleet without assignments nothing is read. */
static bool is_settled(const AshScheduler *scheduler, const AshHost *host)
{
	if (host->state != ASH_HOST_ACTIVE)
		return true;
	if (ash_assignment_book_is_empty(book_of(scheduler)) && *host->wanted == '\0')
		return true;
	g_autofree char *wanted = ash_assignment_wanted(
			book_of(scheduler), host, host->wanted, NULL, scheduler->now_s);
	return g_str_equal(wanted, host->wanted);
}

gboolean ash_scheduler_workload_look(
		AshScheduler *scheduler, const char *id, const AshHost *host, GError **error)
{
	return is_settled(scheduler, host) || write_wanted(scheduler, id, host, NULL, error);
}

gboolean ash_scheduler_workload_hold(AshScheduler *scheduler, const AshSchedulerEngine *engine,
		const uint8_t *host, bool is_held, GError **error)
{
	const AshRolloutSpec *spec = ash_rollout_spec(engine->rollout);
	const AshAssignmentHold hold = {
			spec->assignment, engine->id, is_held ? spec->version : NULL};
	g_auto(AshHost) known = {0};
	char id[65];

	if (!ash_live_get(scheduler->server->live, host, &known))
		return TRUE;
	ash_host_id_format(host, id);
	return write_wanted(scheduler, id, &known, &hold, error);
}

static bool sweep_one(const AshHost *host, gpointer data)
{
	AshScheduler *scheduler = data;
	char id[65];

	if (!is_settled(scheduler, host)) {
		ash_host_id_format(host->id, id);
		ash_scheduler_look_again(scheduler, id);
	}
	return true;
}

void ash_scheduler_workload_sweep(AshScheduler *scheduler)
{
	ash_live_each(scheduler->server->live, sweep_one, scheduler);
}

/* ---- the assignment's pointer -------------------------------------------------------------------- */

static gboolean tell_moved(AshScheduler *scheduler, const AshSchedulerEngine *engine,
		const char *version, const char *why, GError **error)
{
	const AshRolloutSpec *spec = ash_rollout_spec(engine->rollout);
	g_autofree char *text = g_strdup_printf("assignment %s brings %s %s: rollout %s %s",
			spec->assignment, spec->workload,
			*version != '\0' ? version : "in no version", engine->id, why);
	g_autofree char *data = g_strdup_printf("{\"assignment\":\"%s\",\"workload\":\"%s\","
						"\"version\":\"%s\"}",
			spec->assignment, spec->workload, version);

	return ash_event_append(scheduler->db,
			&(AshEvent){.at_s = scheduler->now_s,
					.kind = "assignment.changed",
					.rollout = engine->id,
					.text = text,
					.data = data},
			error);
}

static gboolean finish(AshScheduler *scheduler, const AshSchedulerEngine *engine, GError **error)
{
	const AshRolloutSpec *spec = ash_rollout_spec(engine->rollout);

	return ash_db_exec(scheduler->db,
			       "UPDATE assignment SET version = $2, serial = serial + 1, moved_by = $3 "
			       "WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(spec->assignment), ASH_DB_T(spec->version),
					       ASH_DB_T(engine->id)),
			       NULL, error) &&
	       tell_moved(scheduler, engine, spec->version, "has finished", error);
}

/* The pointer goes back at once, hosts ring by ring: this rollout still holds those that took it. When another one, or an
 * operator, has moved it since, it stays.
 */
static gboolean go_back(AshScheduler *scheduler, const AshSchedulerEngine *engine, GError **error)
{
	const AshRolloutSpec *spec = ash_rollout_spec(engine->rollout);
	int64_t changed = 0;

	if (!ash_db_exec(scheduler->db,
			    "UPDATE assignment SET version = $2 WHERE id = $1 AND moved_by = $3",
			    ASH_DB_VALUES(ASH_DB_T(spec->assignment), ASH_DB_T(spec->from),
					    ASH_DB_T(engine->id)),
			    &changed, error))
		return FALSE;
	return changed == 0 || tell_moved(scheduler, engine, spec->from, "is reverted", error);
}

gboolean ash_scheduler_workload_move(AshScheduler *scheduler, const AshSchedulerEngine *engine,
		AshRolloutState state, GError **error)
{
	if (ash_scheduler_workload(engine) == NULL)
		return TRUE;
	if (state == ASH_ROLLOUT_FINISHED)
		return finish(scheduler, engine, error);
	return state != ASH_ROLLOUT_REVERTING || go_back(scheduler, engine, error);
}
