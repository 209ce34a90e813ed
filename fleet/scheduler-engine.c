/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/ledger.h"
#include "fleet/scheduler-private.h"

static void take_line(const char *text, gpointer data)
{
	AshSchedulerEngine *engine = data;

	g_ptr_array_add(engine->fresh, g_strdup(text));
}

static void take_decision(const AshRolloutDecision *decision, gpointer data)
{
	AshSchedulerEngine *engine = data;
	AshSchedulerDecision copy = {.kind = decision->kind,
			.ring = decision->ring,
			.outcome = decision->outcome,
			.state = decision->state,
			.at_s = decision->at_s,
			.reason = g_strdup(decision->reason)};

	if (decision->host != NULL)
		memcpy(copy.host, decision->host, sizeof copy.host);
	g_array_append_val(engine->decisions, copy);
}

static void clear_decision(gpointer data)
{
	AshSchedulerDecision *decision = data;

	g_free(decision->reason);
}

static AshSchedulerEngine *engine_new(const char *id)
{
	AshSchedulerEngine *engine = g_new0(AshSchedulerEngine, 1);

	engine->id = g_strdup(id);
	engine->window_s = INT64_MAX;
	engine->fresh = g_ptr_array_new_with_free_func(g_free);
	engine->decisions = g_array_new(FALSE, FALSE, sizeof(AshSchedulerDecision));
	g_array_set_clear_func(engine->decisions, clear_decision);
	engine->budgets = g_ptr_array_new_with_free_func((GDestroyNotify) ash_selector_key_free);
	engine->offered = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	engine->by_way = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return engine;
}

void ash_scheduler_engine_free(AshSchedulerEngine *engine)
{
	if (engine == NULL)
		return;
	g_free(engine->id);
	ash_rollout_free(engine->rollout);
	ash_selector_unref(engine->selector);
	ash_selector_unref(engine->canaries);
	g_ptr_array_unref(engine->budgets);
	g_ptr_array_unref(engine->fresh);
	g_array_unref(engine->decisions);
	g_hash_table_unref(engine->offered);
	g_hash_table_unref(engine->by_way);
	g_free(engine);
}

/* What the spec says in words, ready to be asked. */
static gboolean compile(AshSchedulerEngine *engine, const AshRolloutSpec *spec, GError **error)
{
	if (!ash_selector_parse(spec->selector, &engine->selector, error))
		return FALSE;
	if (*spec->canaries != '\0' &&
			!ash_selector_parse(spec->canaries, &engine->canaries, error))
		return FALSE;
	for (unsigned i = 0; i < spec->budgets->len; i++) {
		const AshRolloutBudget *budget = g_ptr_array_index(spec->budgets, i);
		AshSelectorKey *key = NULL;
		if (!ash_selector_key_parse(budget->label, &key, error))
			return FALSE;
		g_ptr_array_add(engine->budgets, key);
	}
	return TRUE;
}

static bool note_offered(const AshRolloutHost *host, gpointer data)
{
	AshSchedulerEngine *engine = data;
	char id[65];

	if (host->outcome == ASH_ROLLOUT_OFFERED) {
		ash_host_id_format(host->id, id);
		g_hash_table_add(engine->offered, g_strdup(id));
	}
	return true;
}

static gboolean note_by_way(const AshDbRow *row, gpointer data, GError **error)
{
	const AshSchedulerEngine *engine = data;

	g_hash_table_add(engine->by_way, g_strdup(ash_db_row_text(row, 0)));
	return TRUE;
}

typedef struct {
	char *state, *spec;
	int64_t release;
} Row;

static gboolean take_row(const AshDbRow *row, gpointer data, GError **error)
{
	Row *taken = data;

	taken->state = g_strdup(ash_db_row_text(row, 0));
	taken->spec = g_strdup(ash_db_row_text(row, 1));
	taken->release = ash_db_row_int(row, 2);
	return TRUE;
}

/* It has not begun: what a server that ended had written of its candidates is dropped. */
static gboolean load_starting(AshScheduler *scheduler, AshDb *db, AshSchedulerEngine *engine,
		const char *spec_text, GError **error)
{
	AshRolloutSpec *spec = NULL;

	if (!ash_db_exec(db, "DELETE FROM rollout_line WHERE rollout = $1",
			    ASH_DB_VALUES(ASH_DB_T(engine->id)), NULL, error) ||
			!ash_rollout_spec_parse_text(spec_text, &spec, error))
		return FALSE;
	engine->rollout = ash_rollout_new(spec, NULL);
	engine->is_starting = true;
	return compile(engine, ash_rollout_spec(engine->rollout), error);
}

gboolean ash_scheduler_engine_load(AshScheduler *scheduler, AshDb *db, const char *id,
		AshSchedulerEngine **out_engine, GError **error)
{
	g_autoptr(AshSchedulerEngine) engine = engine_new(id);
	Row row = {0};
	gboolean ok = FALSE;

	if (!ash_db_query(db,
			    "SELECT state, spec, release FROM rollout WHERE id = $1 AND trimmed_at = 0",
			    ASH_DB_VALUES(ASH_DB_T(id)), take_row, &row, error))
		return FALSE;
	if (row.state == NULL) {
		*out_engine = NULL;
		return TRUE;
	}
	engine->release = row.release;
	if (g_str_equal(row.state, "starting"))
		ok = load_starting(scheduler, db, engine, row.spec, error);
	else
		ok = ash_ledger_load(db, id, &engine->rollout, &engine->lines, error) &&
		     compile(engine, ash_rollout_spec(engine->rollout), error);
	g_free(row.state);
	g_free(row.spec);
	if (!ok)
		return FALSE;
	if (!ash_db_query(db,
			    "SELECT id FROM host WHERE rollout = $1 AND release <> $2 AND verb = "
			    "'update'",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(engine->release)), note_by_way,
			    engine, error))
		return FALSE;
	ash_rollout_each(engine->rollout, note_offered, engine);
	ash_rollout_set_sink(engine->rollout, &(AshRolloutSink){take_line, take_decision, engine});
	*out_engine = g_steal_pointer(&engine);
	return TRUE;
}
