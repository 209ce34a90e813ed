/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/checkin.h"
#include "fleet/event.h"
#include "fleet/host.h"
#include "fleet/workload-log.h"
#include "lib/error.h"
#include "lib/json.h"

void ash_checkin_work_reset(AshCheckinWork *work)
{
	work->state = ASH_HOST_ACTIVE;
	work->is_known = true;
	work->found = work->verdict;
	work->seq = work->event = work->desired = 0;
	work->has_appended = work->has_wish = false;
	work->order_count = work->ended_orders = 0;
	g_clear_pointer(&work->release, g_free);
	g_clear_pointer(&work->workloads, g_free);
	g_clear_pointer(&work->hold, g_free);
	g_clear_pointer(&work->rollout, g_free);
	if (work->orders != NULL)
		g_string_free(work->orders, TRUE);
	work->orders = NULL;
}

gboolean ash_checkin_append(AshDb *db, AshCheckinWork *work, const AshEvent *event, GError **error)
{
	work->has_appended = true;
	return ash_db_lock_events(db, error) && ash_event_append(db, event, error);
}

/* ---- what the host said ---- */

static gboolean write_report(AshDb *db, AshCheckinWork *work, GError **error)
{
	const AshHost *after = &work->after;

	return ash_db_exec_later(db,
			"UPDATE host SET health_word = $2, health_since = $3, agent_state = $4, "
			"verdict = $5, \"commit\" = $6, version = $7, image = $8, variant = $9, "
			"arch = $10, failed_commit = $11, boot = $12, said = $13, instance = $14, "
			"reported_at = $15 WHERE id = $1",
			ASH_DB_VALUES(ASH_DB_T(work->id), ASH_DB_T(ash_health_text(after->health)),
					ASH_DB_I(after->health_since_s),
					ASH_DB_T(after->agent_state), ASH_DB_T(after->verdict),
					ASH_DB_T(after->commit), ASH_DB_T(after->version),
					ASH_DB_T(after->image), ASH_DB_T(after->variant),
					ASH_DB_T(after->arch), ASH_DB_T(after->failed_commit),
					ASH_DB_T(after->boot), ASH_DB_I(after->said),
					ASH_DB_T(work->checkin->instance),
					ASH_DB_I(after->reported_s)),
			error);
}

static gboolean write_documents(AshDb *db, const AshCheckinWork *work, GError **error)
{
	const AshCheckin *checkin = work->checkin;

	if (checkin->state != NULL &&
			!ash_db_exec_later(db, "UPDATE host SET report = $2 WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(work->id), ASH_DB_T(checkin->state)),
					error))
		return FALSE;
	if (checkin->health != NULL &&
			!ash_db_exec_later(db, "UPDATE host SET health = $2 WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(work->id),
							ASH_DB_T(checkin->health)),
					error))
		return FALSE;
	return checkin->facts == NULL ||
	       ash_db_exec_later(db, "UPDATE host SET facts = $2 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(work->id), ASH_DB_T(checkin->facts)), error);
}

static gboolean tell_report(AshDb *db, AshCheckinWork *work, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	const AshHost *before = &work->before;
	const AshHost *after = &work->after;

	json_builder_begin_object(json);
	ash_json_add_text(json, "from", before->agent_state);
	ash_json_add_text(json, "to", after->agent_state);
	ash_json_add_text(json, "commit", after->commit);
	ash_json_add_text(json, "version", after->version);
	ash_json_add_text(json, "verdict", after->verdict);
	ash_json_add_text(json, "failed", after->failed_commit);
	ash_json_add_text(json, "boot", after->boot);
	ash_json_add_text(json, "health", ash_health_text(after->health));
	json_builder_end_object(json);
	g_autofree char *data = ash_json_format(json, false);
	g_autofree char *text = g_strdup_printf("%s%s%s, %s",
			after->agent_state[0] != '\0' ? after->agent_state : "heard of",
			after->version[0] != '\0' ? ", runs " : "", after->version,
			ash_health_text(after->health));
	const AshEvent event = {.at_s = work->now_s,
			.kind = "host.report",
			.host = work->id,
			.rollout = before->rollout,
			.text = text,
			.data = g_strchomp(data)};
	return ash_checkin_append(db, work, &event, error);
}

/* Not before 2020 and not of tomorrow: its clock is wrong, ours is asked. */
static int64_t event_time(const AshCheckinWork *work, int64_t at_s)
{
	return at_s < INT64_C(1577836800) || at_s > work->now_s + 86400 ? work->now_s : at_s;
}

static gboolean write_events(AshDb *db, AshCheckinWork *work, GError **error)
{
	const AshCheckin *checkin = work->checkin;

	for (unsigned i = 0; i < checkin->event_count; i++) {
		const AshCheckinEvent *said = &checkin->events[i];
		const AshEvent event = {.at_s = event_time(work, said->at_s),
				.kind = "host.event",
				.host = work->id,
				.text = said->text,
				.data = said->json,
				.host_event = said->id};
		if (said->id > work->before.event && !ash_checkin_append(db, work, &event, error))
			return FALSE;
	}
	if (checkin->event_count == 0)
		return TRUE;
	work->event = MAX(work->event, checkin->events[checkin->event_count - 1].id);
	return ash_db_exec_later(db, "UPDATE host SET event = $2 WHERE id = $1 AND event < $2",
			ASH_DB_VALUES(ASH_DB_T(work->id), ASH_DB_I(work->event)), error);
}

static gboolean write_orders(AshDb *db, AshCheckinWork *work, GError **error)
{
	for (unsigned i = 0; i < work->checkin->order_count; i++) {
		const AshCheckinOrder *order = &work->checkin->orders[i];
		bool has_changed = false;
		if (!ash_host_end_order(db, work->id, order->id, order->is_ok, order->text,
				    work->now_s, &has_changed, error))
			return FALSE;
		work->has_appended |= has_changed;
		work->ended_orders += has_changed;
	}
	return TRUE;
}

static gboolean write_journal(AshDb *db, const AshCheckinWork *work, GError **error)
{
	const AshCheckin *checkin = work->checkin;

	if (checkin->journal == NULL)
		return TRUE;
	return ash_db_exec(db,
			       "INSERT INTO host_journal (host, at, version, text) VALUES "
			       "($1, $2, $3, $4)",
			       ASH_DB_VALUES(ASH_DB_T(work->id),
					       ASH_DB_I(event_time(work, checkin->journal_at_s)),
					       ASH_DB_T(checkin->journal_version),
					       ASH_DB_T(checkin->journal)),
			       NULL, error) &&
	       ash_db_exec(db,
			       "DELETE FROM host_journal WHERE host = $1 AND id NOT IN (SELECT id FROM "
			       "host_journal WHERE host = $1 ORDER BY id DESC LIMIT $2)",
			       ASH_DB_VALUES(ASH_DB_T(work->id), ASH_DB_I(ASH_HOST_MAX_JOURNALS)),
			       NULL, error);
}

/* ---- is it still the next? ---- */

static gboolean take_standing(const AshDbRow *row, gpointer data, GError **error)
{
	AshCheckinWork *work = data;
	const char *boot = ash_db_row_text(row, 3);

	work->is_known = true;
	if (!ash_host_state_find(ash_db_row_text(row, 0), &work->state))
		work->state = ASH_HOST_HELD;
	if (work->state == ASH_HOST_HELD && ash_db_row_int(row, 4) == 0)
		work->state = ASH_HOST_ACTIVE;
	work->seq = ash_db_row_int(row, 1);
	work->event = ash_db_row_int(row, 2);
	if (work->state == ASH_HOST_ACTIVE)
		work->found = work->seq == work->checkin->seq &&
							      g_str_equal(boot, work->checkin->boot)
					      ? ASH_CHECKIN_AGAIN
					      : ASH_CHECKIN_BEHIND;
	return TRUE;
}

/* All that a check-in without news costs. When no row changes, memory did not know what the table knows: another request
 * of the host was faster, here or at another server.
 */
static gboolean advance(AshDb *db, AshCheckinWork *work, GError **error)
{
	int64_t changed = 0;

	if (!ash_db_exec(db,
			    "UPDATE host SET seq = $2, last_seen = $3, address = $4 WHERE id = $1 AND "
			    "(state = 'active' OR (state = 'held' AND is_clone = 0)) AND seq < $2",
			    ASH_DB_VALUES(ASH_DB_T(work->id), ASH_DB_I(work->checkin->seq),
					    ASH_DB_I(work->now_s), ASH_DB_T(work->address)),
			    &changed, error))
		return FALSE;
	if (changed > 0) {
		work->seq = work->checkin->seq;
		work->event = work->before.event;
		return TRUE;
	}
	work->is_known = false;
	return ash_db_query(db, "SELECT state, seq, event, boot, is_clone FROM host WHERE id = $1",
			ASH_DB_VALUES(ASH_DB_T(work->id)), take_standing, work, error);
}

static gboolean write_new(AshDb *db, AshCheckinWork *work, GError **error)
{
	const AshCheckin *checkin = work->checkin;
	bool has_report = work->is_news || checkin->state != NULL || checkin->health != NULL ||
			  checkin->facts != NULL || work->before.instance == 0 ||
			  work->before.said != work->after.said;

	if (has_report && !write_report(db, work, error))
		return FALSE;
	if (!write_documents(db, work, error) || !write_events(db, work, error))
		return FALSE;
	if (work->is_news && !tell_report(db, work, error))
		return FALSE;
	if (work->logs != NULL &&
			!ash_workload_logs_pass_on(db, work->id, work->logs, work->now_s, error))
		return FALSE;
	if (checkin->workloads != NULL && !ash_checkin_write_workloads(db, work, error))
		return FALSE;
	return write_orders(db, work, error) && write_journal(db, work, error);
}

/* ---- what is wanted of it ---- */

typedef struct {
	AshCheckinWork *work;
	int64_t release;
	char *verb, *workloads;
} Wish;

/* What the host shows: one line, within its limits (ASH_CHECKIN_MAX_TEXT; that of reasons is no larger). */
static char *format_hold(const char *reason)
{
	g_autofree char *text = g_strdup(*reason != '\0' ? reason : "an operator holds it");
	g_autoptr(JsonNode) node = json_node_new(JSON_NODE_VALUE);

	for (char *c = text; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c))
			*c = ' ';
	json_node_set_string(node, text);
	return json_to_string(node, FALSE);
}

static gboolean take_wish(const AshDbRow *row, gpointer data, GError **error)
{
	Wish *wish = data;

	wish->work->desired = ash_db_row_int(row, 0);
	wish->release = ash_db_row_int(row, 1);
	wish->work->rollout = g_strdup(ash_db_row_text(row, 2));
	wish->verb = g_strdup(ash_db_row_text(row, 3));
	wish->work->hold = g_str_equal(ash_db_row_text(row, 4), "held")
					   ? format_hold(ash_db_row_text(row, 5))
					   : NULL;
	wish->workloads = g_strdup(ash_db_row_text(row, 6));
	return TRUE;
}

static gboolean take_release(const AshDbRow *row, gpointer data, GError **error)
{
	Wish *wish = data;
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_text(json, "name", ash_db_row_text(row, 0));
	ash_json_add_string(json, "variant", ash_db_row_text(row, 1));
	ash_json_add_text(json, "arch", ash_db_row_text(row, 2));
	ash_json_add_text(json, "version", ash_db_row_text(row, 3));
	ash_json_add_text(json, "commit", ash_db_row_text(row, 4));
	ash_json_add_text(json, "verb", wish->verb[0] != '\0' ? wish->verb : "update");
	json_builder_end_object(json);
	g_free(wish->work->release);
	wish->work->release = g_strchomp(ash_json_format(json, false));
	return TRUE;
}

/* A rollout's release is answered when this transaction turned 'assigned' into 'offered', or an earlier one did: the
 * scheduler withdraws by the mirrored condition, so one of the two does nothing. Of one that does not run (any more) nothing
 * new is offered: it takes back what it gave, but of a large ring that lasts.
 */
gboolean ash_checkin_offer(AshDb *db, AshCheckinWork *work, const char *rollout, bool otherwise,
		bool *out_may, GError **error)
{
	int64_t changed = 0;
	g_autofree char *outcome = NULL;

	/* Who is held is offered nothing, and no rollout counts it. */
	if (work->hold == NULL &&
			(!ash_db_lock_events(db, error) ||
					!ash_db_exec(db,
							"UPDATE rollout_host SET outcome = 'offered', since = $3 WHERE "
							"rollout = $1 AND host = $2 AND outcome = 'assigned' AND EXISTS "
							"(SELECT 1 FROM rollout WHERE id = $1 AND state = 'running')",
							ASH_DB_VALUES(ASH_DB_T(rollout),
									ASH_DB_T(work->id),
									ASH_DB_I(work->now_s)),
							&changed, error)))
		return FALSE;
	if (changed > 0) {
		const AshEvent event = {.at_s = work->now_s,
				.kind = "rollout.host",
				.host = work->id,
				.rollout = rollout,
				.text = "offered",
				.data = "{\"outcome\":\"offered\"}"};
		*out_may = true;
		return ash_checkin_append(db, work, &event, error);
	}
	if (!ash_db_query_string(db,
			    "SELECT outcome FROM rollout_host WHERE rollout = $1 AND host = $2",
			    ASH_DB_VALUES(ASH_DB_T(rollout), ASH_DB_T(work->id)), &outcome, error))
		return FALSE;
	*out_may = outcome == NULL ? otherwise
				   : !g_str_equal(outcome, "withdrawn") &&
						     !g_str_equal(outcome, "waiting") &&
						     !g_str_equal(outcome, "assigned");
	return TRUE;
}

static gboolean find_release(AshDb *db, Wish *wish, GError **error)
{
	AshCheckinWork *work = wish->work;
	bool may = true;

	/* Who is held is offered nothing, and no rollout counts it. */
	if (wish->release == 0 || (work->hold != NULL && work->rollout[0] != '\0'))
		return TRUE;
	/* What is sent back took it already. */
	if (work->rollout[0] != '\0' && !g_str_equal(wish->verb, "return") &&
			!ash_checkin_offer(db, work, work->rollout, false, &may, error))
		return FALSE;
	if (!may)
		return TRUE;
	return ash_db_query(db,
			"SELECT name, variant, arch, version, \"commit\" FROM release WHERE id = $1",
			ASH_DB_VALUES(ASH_DB_I(wish->release)), take_release, wish, error);
}

static gboolean take_order(const AshDbRow *row, gpointer data, GError **error)
{
	AshCheckinWork *work = data;
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_int(json, "id", ash_db_row_int(row, 0));
	ash_json_add_text(json, "verb", ash_db_row_text(row, 1));
	ash_json_add_string(json, "argument", ash_db_row_text(row, 2));
	json_builder_end_object(json);
	g_autofree char *text = g_strchomp(ash_json_format(json, false));
	if (work->orders == NULL)
		work->orders = g_string_new("[");
	else
		g_string_append_c(work->orders, ',');
	g_string_append(work->orders, text);
	work->order_count++;
	return TRUE;
}

static gboolean find_orders(AshDb *db, AshCheckinWork *work, GError **error)
{
	if (!ash_db_query(db,
			    "SELECT id, verb, argument FROM host_order WHERE host = $1 AND "
			    "state = 'open' ORDER BY id LIMIT $2",
			    ASH_DB_VALUES(ASH_DB_T(work->id),
					    ASH_DB_I(ASH_CHECKIN_MAX_OPEN_ORDERS)),
			    take_order, work, error))
		return FALSE;
	if (work->orders != NULL)
		g_string_append_c(work->orders, ']');
	return TRUE;
}

static gboolean find_wish(AshDb *db, AshCheckinWork *work, GError **error)
{
	Wish wish = {.work = work};

	work->desired = work->before.desired;
	if ((work->before.open_orders > 0 || work->before.desired != work->have) &&
			!find_orders(db, work, error))
		return FALSE;
	if (work->before.desired == work->have)
		return TRUE;
	gboolean ok = ash_db_query(db,
			"SELECT desired, release, rollout, verb, state, reason, wanted FROM host LEFT "
			"JOIN host_workload ON host_workload.host = host.id WHERE id = $1",
			ASH_DB_VALUES(ASH_DB_T(work->id)), take_wish, &wish, error);
	work->has_wish = work->desired != work->have;
	if (ok && work->has_wish)
		ok = find_release(db, &wish, error) &&
		     ash_checkin_answer_workloads(db, work, wish.workloads, error);
	g_free(wish.verb);
	g_free(wish.workloads);
	return ok;
}

/* ---- all of it ---- */

static gboolean hold_clone(AshDb *db, AshCheckinWork *work, GError **error)
{
	g_autofree char *text =
			g_strdup_printf("two hosts have this identity: boots %.36s and %.36s",
					work->before.boot, work->checkin->boot);
	bool has_changed = false;

	if (!ash_host_hold_clone(db, work->id, text, work->now_s, &has_changed, error))
		return FALSE;
	work->has_appended |= has_changed;
	work->state = ASH_HOST_HELD;
	return TRUE;
}

gboolean ash_checkin_apply(AshDb *db, AshCheckinWork *work, GError **error)
{
	ash_checkin_work_reset(work);
	work->seq = work->before.seq;
	work->event = work->before.event;
	if (work->verdict == ASH_CHECKIN_CLONE)
		return hold_clone(db, work, error);
	if (work->verdict == ASH_CHECKIN_NEW && work->checkin != NULL) {
		if (!advance(db, work, error))
			return FALSE;
		if (!work->is_known || work->state != ASH_HOST_ACTIVE ||
				work->found == ASH_CHECKIN_BEHIND)
			return TRUE;
		if (work->found == ASH_CHECKIN_NEW && !write_new(db, work, error))
			return FALSE;
	}
	return find_wish(db, work, error);
}
