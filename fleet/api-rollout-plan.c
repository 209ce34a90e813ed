/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-rollout.h"
#include "fleet/scheduler.h"
#include "fleet/server.h"
#include "fleet/workload-said.h"
#include "lib/json.h"

/* What a rollout would do to the hosts of this moment, and what an operator would rather know before. */

typedef struct {
	const AshDesiredBook *book;
	const AshDesiredRelease *target; /* NULL: a workload's version */
	const AshRolloutSpec *spec;
	AshSelector *selector, *canaries;
	GPtrArray *keys;     /* AshSelectorKey of budgets */
	GHashTable **groups; /* of each: value → count */
	int64_t now_s;
	uint32_t matched, newer, failed, dead_end, by_barrier;
	AshApiRolloutPlan *plan;
} Count;

void ash_api_rollout_plan_clear(AshApiRolloutPlan *plan)
{
	g_clear_pointer(&plan->warnings, g_ptr_array_unref);
	g_clear_pointer(&plan->rivals, g_ptr_array_unref);
	g_clear_pointer(&plan->book, ash_desired_book_unref);
}

static void count_groups(const Count *count, const AshHost *host)
{
	char buffer[ASH_SELECTOR_KEY_BYTES];

	for (unsigned i = 0; i < count->keys->len; i++) {
		const char *value = ash_selector_key_value(
				g_ptr_array_index(count->keys, i), host, count->now_s, buffer);
		if (value == NULL || *value == '\0')
			continue;
		gpointer old = g_hash_table_lookup(count->groups[i], value);
		g_hash_table_replace(count->groups[i], g_strdup(value),
				GUINT_TO_POINTER(GPOINTER_TO_UINT(old) + 1));
	}
}

/* Is it about this host? */
static bool is_asked(const Count *count, const AshHost *host)
{
	const AshAssignment *match = NULL;

	if (host->state != ASH_HOST_ACTIVE)
		return false;
	if (count->target != NULL)
		return ash_selector_matches(count->selector, host, count->now_s);
	match = ash_assignment_of(ash_desired_book_assignments(count->book), host,
			count->spec->workload, count->now_s);
	return match != NULL && g_str_equal(match->id, count->spec->assignment);
}

static AshDesiredStep step_of(
		const Count *count, const AshHost *host, const AshDesiredRelease **out_hop)
{
	if (count->target != NULL)
		return ash_desired_route(count->book, host, count->target, out_hop);
	switch (ash_workload_said_rollout(
			host->workloads, count->spec->workload, count->spec->version)) {
	case ASH_ROLLOUT_SAID_TRIAL:
	case ASH_ROLLOUT_SAID_GOOD:
		return ASH_DESIRED_HAS;
	case ASH_ROLLOUT_SAID_FAILED:
		return ASH_DESIRED_FAILED;
	case ASH_ROLLOUT_SAID_OTHER:
	case ASH_ROLLOUT_SAID_REBOOT:
		break;
	}
	return ASH_DESIRED_TAKE;
}

static bool count_host(const AshHost *host, gpointer data)
{
	Count *count = data;
	AshApiRolloutPlan *plan = count->plan;
	const AshDesiredRelease *hop = NULL;

	if (!is_asked(count, host))
		return true;
	count->matched++;
	AshDesiredStep step = step_of(count, host, &hop);
	count->newer += step == ASH_DESIRED_NEWER;
	count->failed += step == ASH_DESIRED_FAILED;
	count->dead_end += step == ASH_DESIRED_DEAD_END;
	plan->misfit += step == ASH_DESIRED_MISFIT;
	count->by_barrier += step == ASH_DESIRED_TAKE && hop != count->target;
	plan->behind += step == ASH_DESIRED_TOO_OLD;
	if (step == ASH_DESIRED_HAS)
		plan->already++;
	if (step != ASH_DESIRED_TAKE)
		return true;
	plan->hosts++;
	plan->away += host->health == ASH_HEALTH_SILENT;
	plan->canaries += count->canaries != NULL &&
			  ash_selector_matches(count->canaries, host, count->now_s);
	count_groups(count, host);
	ash_api_rollout_rivals_count(plan->rivals, count->book, host, count->now_s);
	return true;
}

static void warn(AshApiRolloutPlan *plan, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void warn(AshApiRolloutPlan *plan, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	g_ptr_array_add(plan->warnings, g_strdup_vprintf(format, arguments));
	va_end(arguments);
}

static void warn_budgets(const Count *count, const AshRolloutSpec *spec)
{
	for (unsigned i = 0; i < spec->budgets->len; i++) {
		const AshRolloutBudget *budget = g_ptr_array_index(spec->budgets, i);
		GHashTableIter iter;
		gpointer value, members;
		if (g_hash_table_size(count->groups[i]) == 0 && count->plan->hosts > 0)
			warn(count->plan, "no host has '%s': that budget holds nothing back",
					budget->label);
		g_hash_table_iter_init(&iter, count->groups[i]);
		while (g_hash_table_iter_next(&iter, &value, &members)) {
			unsigned size = GPOINTER_TO_UINT(members);
			if (budget->percent > 0 && size * budget->percent < 100) {
				warn(count->plan,
						"%u %% of the %u hosts with %s = %s is less than one: they go "
						"one at a time, each of them is more than the budget",
						budget->percent, size, budget->label,
						(const char *) value);
				break;
			}
			if (budget->max >= size && budget->max > 0 && size > 1) {
				warn(count->plan,
						"the budget of %u lets all %u hosts with %s = %s go at once",
						budget->max, size, budget->label,
						(const char *) value);
				break;
			}
		}
	}
}

static void warn_all(const Count *count, const AshRolloutSpec *spec)
{
	AshApiRolloutPlan *plan = count->plan;
	const char *version = count->target != NULL ? count->target->version : spec->version;

	if (count->matched == 0)
		warn(plan, count->target != NULL ? "the selector matches no active host"
						 : "the assignment counts for no active host");
	else if (plan->hosts == 0)
		warn(plan, "none of the %u hosts that the selector matches can take %s",
				count->matched, version);
	if (plan->misfit > 0)
		warn(plan, "%u hosts have another image, variant or architecture", plan->misfit);
	if (plan->behind > 0)
		warn(plan,
				"%u hosts are too old for %s and have to take another release before: they "
				"join when they have",
				plan->behind, version);
	if (count->by_barrier > 0)
		warn(plan,
				"%u hosts are below a barrier: they take that first, then %s, in one place of "
				"the rollout",
				count->by_barrier, version);
	if (count->newer > 0)
		warn(plan, "%u hosts run something newer and stay as they are", count->newer);
	if (count->failed > 0)
		warn(plan, "%u hosts remember %s as bad and are left out", count->failed, version);
	if (count->dead_end > 0)
		warn(plan, "%u hosts run a dead end", count->dead_end);
	if (plan->away > 0)
		warn(plan, "%u hosts are not heard of; their places go to others", plan->away);
	if (count->canaries != NULL && plan->canaries == 0)
		warn(plan, "no host that can take it is a canary");
	if (plan->canaries > 8 && plan->canaries * 2 > plan->hosts)
		warn(plan, "%u of %u hosts are canaries: they all go in the first ring",
				plan->canaries, plan->hosts);
	warn_budgets(count, spec);
	ash_api_rollout_rivals_warn(plan->rivals, plan->hosts, plan->warnings);
}

static gboolean compile(Count *count, const AshRolloutSpec *spec, GError **error)
{
	if (!ash_selector_parse(spec->selector, &count->selector, error) ||
			(*spec->canaries != '\0' && !ash_selector_parse(spec->canaries,
								    &count->canaries, error)))
		return ash_api_rollout_refuse(error);
	for (unsigned i = 0; i < spec->budgets->len; i++) {
		const AshRolloutBudget *budget = g_ptr_array_index(spec->budgets, i);
		AshSelectorKey *key = NULL;
		if (!ash_selector_key_parse(budget->label, &key, error))
			return ash_api_rollout_refuse(error);
		g_ptr_array_add(count->keys, key);
		count->groups[i] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	}
	return TRUE;
}

gboolean ash_api_rollout_plan(AshRequest *request, AshRolloutSpec *spec, int64_t release,
		AshApiRolloutPlan *out_plan, GError **error)
{
	GHashTable *groups[ASH_ROLLOUT_MAX_BUDGETS] = {NULL};
	g_autoptr(GPtrArray) keys =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_selector_key_free);
	g_auto(AshApiRolloutPlan) plan = {0};
	Count count = {.keys = keys,
			.groups = groups,
			.now_s = request->server->now(),
			.spec = spec,
			.plan = &plan};

	if (!ash_desired_book_load(request->db, &plan.book, error))
		return FALSE;
	count.book = plan.book;
	count.target = ash_desired_book_release(plan.book, release);
	g_assert(count.target != NULL || *spec->assignment != '\0');
	/* Of an assignment there is one at a time. */
	if (count.target == NULL)
		plan.rivals = g_ptr_array_new();
	gboolean ok = compile(&count, spec, error) &&
		      (plan.rivals != NULL || ash_api_rollout_rivals(request->db, plan.book,
							      &plan.rivals, error));
	if (ok) {
		plan.warnings = g_ptr_array_new_with_free_func(g_free);
		ash_live_each(request->server->live, count_host, &count);
		warn_all(&count, spec);
		ash_rollout_spec_plan(spec, plan.hosts, plan.canaries);
		*out_plan = plan;
		plan = (AshApiRolloutPlan){0};
	}
	ash_selector_unref(count.selector);
	ash_selector_unref(count.canaries);
	for (unsigned i = 0; i < ASH_ROLLOUT_MAX_BUDGETS; i++)
		g_clear_pointer(&groups[i], g_hash_table_unref);
	return ok;
}

gboolean ash_api_rollout_reply_plan(
		AshRequest *request, const AshRolloutSpec *spec, const AshApiRolloutPlan *plan)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	unsigned rings = 1;

	/* Those behind them are for hosts that join later. */
	while (rings < spec->table->len &&
			g_array_index(spec->table, AshRolloutLimit, rings - 1).m < plan->hosts)
		rings++;
	g_ptr_array_add(plan->warnings, NULL);
	json_builder_begin_object(json);
	ash_json_add_uint(json, "hosts", plan->hosts);
	ash_json_add_uint(json, "already", plan->already);
	ash_json_add_uint(json, "canaries", plan->canaries);
	ash_json_begin_array(json, "rings");
	for (unsigned i = 0; i < rings; i++)
		json_builder_add_int_value(json,
				MIN(g_array_index(spec->table, AshRolloutLimit, i).m, plan->hosts));
	json_builder_end_array(json);
	ash_json_begin_array(json, "limits");
	for (unsigned i = 0; i < rings; i++) {
		const AshRolloutLimit *limit = &g_array_index(spec->table, AshRolloutLimit, i);
		json_builder_begin_array(json);
		json_builder_add_int_value(json, limit->m);
		json_builder_add_int_value(json, limit->f);
		json_builder_end_array(json);
	}
	json_builder_end_array(json);
	ash_json_add_texts(json, "warnings", (char *const *) plan->warnings->pdata);
	ash_api_rollout_rivals_add(plan->rivals, json);
	json_builder_end_object(json);
	return ash_api_rollout_reply(request, json);
}
