/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-rollout.h"
#include "fleet/change.h"
#include "lib/error.h"
#include "lib/json.h"

/* Rollouts that are not over and may move hosts of one that is to be made. Each counts its failures as if it alone moved
 * its hosts, so two that share some are begun only by who says so.
 */

enum {
	MAX_NAMED = 3, /* in a sentence; "overlaps" has all */
};

typedef struct {
	char *id, *name, *state;
	const AshDesiredRelease *release; /* of the book that the plan holds */
	AshSelector *selector;
	uint32_t hosts; /* that both have */
} Rival;

static void rival_free(gpointer data)
{
	Rival *rival = data;

	g_free(rival->id);
	g_free(rival->name);
	g_free(rival->state);
	ash_selector_unref(rival->selector);
	g_free(rival);
}

typedef struct {
	GPtrArray *rivals;
	const AshDesiredBook *book;
} Load;

static gboolean take_rival(const AshDbRow *row, gpointer data, GError **error)
{
	const Load *load = data;
	g_autoptr(AshRolloutSpec) spec = NULL;
	Rival *rival = g_new0(Rival, 1);

	g_ptr_array_add(load->rivals, rival);
	rival->id = g_strdup(ash_db_row_text(row, 0));
	rival->name = g_strdup(ash_db_row_text(row, 1));
	rival->state = g_strdup(ash_db_row_text(row, 2));
	rival->release = ash_desired_book_release(load->book, ash_db_row_int(row, 4));
	return ash_rollout_spec_parse_text(ash_db_row_text(row, 3), &spec, error) &&
	       ash_selector_parse(spec->selector, &rival->selector, error);
}

gboolean ash_api_rollout_rivals(
		AshDb *db, const AshDesiredBook *book, GPtrArray **out_rivals, GError **error)
{
	g_autoptr(GPtrArray) rivals = g_ptr_array_new_with_free_func(rival_free);
	Load load = {rivals, book};

	if (!ash_db_query(db,
			    "SELECT id, name, state, spec, release FROM rollout WHERE ended_at = 0 AND "
			    "workload = '' ORDER BY created_at, id",
			    NULL, take_rival, &load, error))
		return FALSE;
	*out_rivals = g_steal_pointer(&rivals);
	return TRUE;
}

void ash_api_rollout_rivals_count(
		GPtrArray *rivals, const AshDesiredBook *book, const AshHost *host, int64_t now_s)
{
	for (unsigned i = 0; i < rivals->len; i++) {
		Rival *rival = g_ptr_array_index(rivals, i);
		const AshDesiredRelease *hop = NULL;
		if (rival->release == NULL || !ash_selector_matches(rival->selector, host, now_s))
			continue;
		AshDesiredStep step = ash_desired_route(book, host, rival->release, &hop);
		rival->hosts += step == ASH_DESIRED_TAKE || step == ASH_DESIRED_HAS;
	}
}

/* "rollout q7f2k9d3m1xa ('autumn' to 2.0, running)" */
static char *describe(const Rival *rival)
{
	bool has_name = *rival->name != '\0';

	return g_strdup_printf("rollout %s (%s%s%sto %s, %s)", rival->id, has_name ? "'" : "",
			rival->name, has_name ? "' " : "", rival->release->version, rival->state);
}

void ash_api_rollout_rivals_warn(const GPtrArray *rivals, uint32_t hosts, GPtrArray *warnings)
{
	for (unsigned i = 0; i < rivals->len; i++) {
		const Rival *rival = g_ptr_array_index(rivals, i);
		if (rival->hosts == 0)
			continue;
		g_autofree char *what = describe(rival);
		g_ptr_array_add(warnings, g_strdup_printf("%u of the %u hosts are in %s too",
							  rival->hosts, hosts, what));
	}
}

void ash_api_rollout_rivals_add(const GPtrArray *rivals, JsonBuilder *json)
{
	ash_json_begin_array(json, "overlaps");
	for (unsigned i = 0; i < rivals->len; i++) {
		const Rival *rival = g_ptr_array_index(rivals, i);
		if (rival->hosts == 0)
			continue;
		json_builder_begin_object(json);
		ash_json_add_string(json, "rollout", rival->id);
		ash_json_add_string(json, "name", rival->name);
		ash_json_add_string(json, "version", rival->release->version);
		ash_json_add_string(json, "state", rival->state);
		ash_json_add_uint(json, "hosts", rival->hosts);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
}

static gboolean read_beside(AshRequest *request, bool *out_beside, GError **error)
{
	bool is_beside = false;

	if (!ash_json_bool_opt(request->body, "beside", &is_beside, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	*out_beside = is_beside;
	return TRUE;
}

gboolean ash_api_rollout_rivals_check(AshRequest *request, const AshApiRolloutPlan *plan,
		bool *out_refused, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	bool is_beside = false;
	unsigned named = 0;

	*out_refused = false;
	if (!read_beside(request, &is_beside, error))
		return FALSE;
	for (unsigned i = 0; i < plan->rivals->len && named < MAX_NAMED; i++) {
		const Rival *rival = g_ptr_array_index(plan->rivals, i);
		if (rival->hosts == 0)
			continue;
		g_autofree char *what = describe(rival);
		g_string_append_printf(text,
				named++ == 0 ? "%u of the %u hosts are in %s too"
					     : "; %u of the %u in %s",
				rival->hosts, plan->hosts, what);
	}
	if (is_beside || named == 0)
		return TRUE;
	g_string_append(text,
			": let that end, cancel or revert it, or choose other hosts; with \"beside\": true "
			"a host goes with the one whose turn for it comes first, and then with the other");
	g_autoptr(JsonBuilder) json = json_builder_new();
	json_builder_begin_object(json);
	ash_json_add_string(json, "kind", "beside");
	ash_json_add_string(json, "text", text->str);
	ash_api_rollout_rivals_add(plan->rivals, json);
	json_builder_end_object(json);
	ash_http_reply_json(request->call, 409, ash_json_format(json, false));
	*out_refused = true;
	return TRUE;
}

typedef struct {
	const GPtrArray *rivals;
	bool is_new;
} Compare;

static gboolean compare_rival(const AshDbRow *row, gpointer data, GError **error)
{
	Compare *compare = data;
	bool is_known = false;

	for (unsigned i = 0; i < compare->rivals->len && !is_known; i++) {
		const Rival *rival = g_ptr_array_index(compare->rivals, i);
		is_known = strcmp(rival->id, ash_db_row_text(row, 0)) == 0;
	}
	compare->is_new |= !is_known;
	return TRUE;
}

gboolean ash_api_rollout_rivals_recheck(
		AshRequest *request, const GPtrArray *rivals, GError **error)
{
	Compare compare = {.rivals = rivals};
	bool is_beside = false;

	if (!read_beside(request, &is_beside, error) ||
			!ash_db_query(request->db,
					"SELECT id FROM rollout WHERE ended_at = 0 AND workload = ''",
					NULL, compare_rival, &compare, error))
		return FALSE;
	return is_beside || !compare.is_new ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
			       "somebody else started a rollout at this moment: look again");
}
