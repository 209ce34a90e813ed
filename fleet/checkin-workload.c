/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/checkin.h"
#include "fleet/wanted.h"
#include "fleet/workload-said.h"
#include "fleet/workload-told.h"
#include "lib/json.h"

/* What a check-in says of workloads, and what it is answered about them. */

/* ---- what is said ---- */

typedef struct {
	AshDb *db;
	AshCheckinWork *work;
	const GPtrArray *wanted;
	unsigned count;
	gboolean ok;
	GError **error;
} Tell;

static char *make_text(const AshWorkloadChange *change, const AshWorkloadTold *told)
{
	if (told->is_last)
		return g_strdup_printf("%s; it changes often: what follows within this hour is "
				       "counted only",
				change->text);
	if (told->left_out > 0)
		return g_strdup_printf("%s; %" G_GINT64_FORMAT " changes of this hour are not told",
				change->text, told->left_out);
	return g_strdup(change->text);
}

static gboolean append(Tell *tell, const AshWorkloadChange *change)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	AshCheckinWork *work = tell->work;
	const AshWanted *wanted = ash_wanted_find(tell->wanted, change->name);
	AshWorkloadTold told = {0};

	if (!ash_workload_told_count(
			    tell->db, work->id, change->name, work->now_s, &told, tell->error))
		return FALSE;
	json_builder_begin_object(json);
	ash_json_add_text(json, "change", change->word);
	ash_json_add_text(json, "workload", change->name);
	ash_json_add_text(json, "version", change->version);
	if (told.left_out > 0) {
		ash_json_add_int(json, "left_out", told.left_out);
		ash_json_add_int(json, "since", told.since_s);
	}
	json_builder_end_object(json);
	g_autofree char *data = g_strchomp(ash_json_format(json, false));
	g_autofree char *text = make_text(change, &told);
	const AshEvent event = {.at_s = work->now_s,
			.kind = told.left_out > 0 ? ASH_WORKLOAD_TOLD_KIND : "host.workload",
			.host = work->id,
			.rollout = wanted != NULL ? wanted->rollout : "",
			.text = text,
			.data = data};
	tell->count++;
	return ash_checkin_append(tell->db, work, &event, tell->error) &&
	       (told.left_out == 0 || ash_workload_told_replace(tell->db, work->id, change->name,
						      tell->error));
}

static void tell_change(const AshWorkloadChange *change, gpointer data)
{
	Tell *tell = data;

	tell->ok = tell->ok && append(tell, change);
}

gboolean ash_checkin_write_workloads(AshDb *db, AshCheckinWork *work, GError **error)
{
	const char *before = work->before.workloads;
	const char *after = work->after.workloads;

	if (!ash_db_exec_later(db,
			    "INSERT INTO host_workload (host, said, report, at) VALUES ($1, $2, $3, "
			    "$4) ON CONFLICT (host) DO UPDATE SET said = excluded.said, report = "
			    "excluded.report, at = excluded.at",
			    ASH_DB_VALUES(ASH_DB_T(work->id), ASH_DB_T(after),
					    ASH_DB_T(work->checkin->workloads),
					    ASH_DB_I(work->now_s)),
			    error))
		return FALSE;
	if (g_str_equal(before, after))
		return TRUE;
	g_autoptr(GPtrArray) wanted = ash_wanted_parse(work->before.wanted);
	Tell tell = {db, work, wanted, 0, TRUE, error};
	ash_workload_said_compare(before, after, tell_change, &tell);
	/* What was forgiven, or is missing no more: rollouts want to know. */
	if (tell.ok && tell.count == 0)
		tell_change(&(AshWorkloadChange){"other", "", "", "its workloads changed"}, &tell);
	return tell.ok;
}

/* ---- what is answered ---- */

gboolean ash_checkin_answer_workloads(
		AshDb *db, AshCheckinWork *work, const char *wanted, GError **error)
{
	if (*wanted == '\0')
		return TRUE;
	g_autoptr(GPtrArray) items = ash_wanted_parse(wanted);
	for (guint i = 0; i < items->len;) {
		AshWanted *item = items->pdata[i];
		/* Its rows may have been trimmed since it ended: what it gave stays. */
		bool may = true;
		if (*item->rollout != '\0' &&
				!ash_checkin_offer(db, work, item->rollout, true, &may, error))
			return FALSE;
		if (!may) {
			g_free(item->version);
			item->version = g_strdup(item->otherwise);
			g_free(item->rollout);
			item->rollout = g_strdup("");
		}
		if (*item->version == '\0')
			g_ptr_array_remove_index(items, i);
		else
			i++;
	}
	work->workloads = ash_wanted_answer(items);
	return TRUE;
}
