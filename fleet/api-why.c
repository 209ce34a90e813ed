/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-host-workload.h"
#include "fleet/api-host.h"
#include "fleet/api-rollout.h"
#include "fleet/scheduler.h"
#include "fleet/server.h"
#include "fleet/why.h"
#include "lib/error.h"
#include "lib/json.h"

enum {
	MAX_REPORT_BYTES = 256 << 10,
	MAX_REPORT_DEPTH = 16,
};

/* Of the database, beside what memory has. */
typedef struct {
	bool is_there, is_by_hand;
	char *reason, *report;
} Row;

static void row_clear(Row *row)
{
	g_free(row->reason);
	g_free(row->report);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Row, row_clear)

static gboolean take_row(const AshDbRow *from, gpointer data, GError **error)
{
	*(Row *) data = (Row){.is_there = true,
			.is_by_hand = ash_db_row_int(from, 0) != 0,
			.reason = g_strdup(ash_db_row_text(from, 1)),
			.report = g_strdup(ash_db_row_text(from, 2))};
	return TRUE;
}

/* Of several active rollouts that have the host, the one that explains what it waits for; the oldest of equals, as the
 * scheduler takes them.
 */
typedef enum {
	FIT_NONE,
	FIT_SELECTED, /* it is none of those that can take it: the newest tells why not */
	FIT_HAD,      /* it wanted the host last, and it has it */
	FIT_STOPPED,  /* it would bring something, and is paused or halted */
	FIT_RUNNING,
	FIT_WANTING, /* it has given the host a place */
} Fit;

typedef struct {
	const AshHost *host;
	const AshDesiredBook *book;
	int64_t now_s, release;
	char *id, *name;
	Fit fit;
	GString *others; /* those that would bring something too */
} Search;

static Fit fit_of(const Search *search, const AshDbRow *row, bool is_wanting)
{
	const AshDesiredRelease *hop = NULL;
	const AshDesiredRelease *target =
			ash_desired_book_release(search->book, ash_db_row_int(row, 3));
	const char *state = ash_db_row_text(row, 4);
	AshDesiredStep step =
			target != NULL ? ash_desired_route(search->book, search->host, target, &hop)
				       : ASH_DESIRED_MISFIT;

	if (is_wanting)
		return step == ASH_DESIRED_HAS ? FIT_HAD : FIT_WANTING;
	if (step != ASH_DESIRED_TAKE)
		return FIT_SELECTED;
	return g_str_equal(state, "running") || g_str_equal(state, "starting") ? FIT_RUNNING
									       : FIT_STOPPED;
}

/* "rollout 'autumn' to 2.0 (running)" */
static void add_other(Search *search, const char *name, int64_t release, const char *state)
{
	const AshDesiredRelease *of = ash_desired_book_release(search->book, release);

	g_string_append_printf(search->others, "%srollout '%s' to %s (%s)",
			search->others->len > 0 ? ", " : "", name, of != NULL ? of->version : "?",
			state);
}

static gboolean look_at_rollout(const AshDbRow *row, gpointer data, GError **error)
{
	Search *search = data;
	g_autoptr(AshRolloutSpec) spec = NULL;
	g_autoptr(AshSelector) selector = NULL;
	const char *id = ash_db_row_text(row, 0), *name = ash_db_row_text(row, 1);
	bool is_wanting = g_str_equal(id, search->host->rollout);

	if (!ash_rollout_spec_parse_text(ash_db_row_text(row, 2), &spec, error) ||
			!ash_selector_parse(spec->selector, &selector, error))
		return FALSE;
	if (!is_wanting && !ash_selector_matches(selector, search->host, search->now_s))
		return TRUE;
	Fit fit = fit_of(search, row, is_wanting);
	if (fit < search->fit || (fit == search->fit && fit != FIT_SELECTED))
		return TRUE;
	g_free(search->id);
	g_free(search->name);
	search->id = g_strdup(id);
	search->name = g_strdup(*name != '\0' ? name : id);
	search->release = ash_db_row_int(row, 3);
	search->fit = fit;
	return TRUE;
}

/* Once it is known which one it is. */
static gboolean look_at_other(const AshDbRow *row, gpointer data, GError **error)
{
	Search *search = data;
	g_autoptr(AshRolloutSpec) spec = NULL;
	g_autoptr(AshSelector) selector = NULL;
	const char *id = ash_db_row_text(row, 0), *name = ash_db_row_text(row, 1);

	if (g_strcmp0(id, search->id) == 0)
		return TRUE;
	if (!ash_rollout_spec_parse_text(ash_db_row_text(row, 2), &spec, error) ||
			!ash_selector_parse(spec->selector, &selector, error))
		return FALSE;
	if (ash_selector_matches(selector, search->host, search->now_s) &&
			fit_of(search, row, false) >= FIT_STOPPED)
		add_other(search, *name != '\0' ? name : id, ash_db_row_int(row, 3),
				ash_db_row_text(row, 4));
	return TRUE;
}

static void search_clear(Search *search)
{
	g_free(search->id);
	g_free(search->name);
	g_string_free(search->others, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Search, search_clear)

typedef struct {
	const uint8_t *host;
	AshRolloutWhy *why;
} Ask;

static void ask_why(const AshRollout *rollout, gpointer data)
{
	const Ask *ask = data;

	ash_rollout_why(rollout, ask->host, ask->why);
}

gboolean ash_api_why_ask(AshRequest *request, const char *rollout, const AshHost *host,
		AshRolloutWhy *out_why, bool *out_is_begun, GError **error)
{
	Ask ask = {host->id, out_why};

	return ash_scheduler_ask(request->server->scheduler, request->db, rollout, ask_why, &ask,
			out_is_begun, error);
}

static char *own_blocker(const char *report)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(report, strlen(report));
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(bytes, MAX_REPORT_BYTES, MAX_REPORT_DEPTH, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return g_strdup("");
	const char *text = ash_json_find_text(json_node_get_object(node), "blocker");
	return g_strdup(text != NULL ? text : "");
}

gboolean ash_api_why_reply(AshRequest *request, const AshWhy *why)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_string(json, "answer", ash_why_answer_text(why->answer));
	ash_json_add_string(json, "blocker", why->blocker);
	ash_json_add_int(json, "next", why->next_s);
	ash_json_begin_array(json, "conditions");
	for (unsigned i = 0; i < why->conditions->len; i++) {
		const AshWhyCondition *row = &g_array_index(why->conditions, AshWhyCondition, i);
		json_builder_begin_object(json);
		ash_json_add_string(json, "condition", row->condition);
		ash_json_add_bool(json, "met", row->is_met);
		ash_json_add_string(json, "text", row->text);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	json_builder_end_object(json);
	return ash_api_rollout_reply(request, json);
}

static gboolean answer(AshRequest *request, const char *id, const AshHost *host, const Row *row,
		GError **error)
{
	static const char sql[] =
			"SELECT id, name, spec, release, state FROM rollout WHERE ended_at = 0 AND "
			"workload = '' ORDER BY created_at, id";
	g_autoptr(AshDesiredBook) book = ash_scheduler_book(request->server->scheduler);
	g_auto(Search) search = {.host = host,
			.book = book,
			.now_s = request->server->now(),
			.others = g_string_new(NULL)};
	g_auto(AshRolloutWhy) rollout_why = {0};
	g_auto(AshWhy) why = {0};
	bool is_begun = false;

	if (!ash_db_query(request->db, sql, NULL, look_at_rollout, &search, error) ||
			(search.id != NULL && !ash_db_query(request->db, sql, NULL, look_at_other,
							      &search, error)))
		return FALSE;
	if (search.id != NULL &&
			!ash_api_why_ask(request, search.id, host, &rollout_why, &is_begun, error))
		return FALSE;
	g_autofree char *blocker = own_blocker(row->report);
	ash_why(&(AshWhyFacts){.host = host,
				.book = book,
				.now_s = search.now_s,
				.reason = row->reason,
				.is_by_hand = row->is_by_hand,
				.rollout = search.id,
				.rollout_name = search.name,
				.rollout_release = search.release,
				.rollout_why = is_begun ? &rollout_why : NULL,
				.other_rollouts = search.others->str,
				.own_blocker = blocker},
			&why);
	return ash_api_why_reply(request, &why);
}

static gboolean throw_none(const char *id, GError **error)
{
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
			"there is no host '%.64s'", id);
}

static gboolean show_why(AshRequest *request, GError **error)
{
	const char *id = NULL;
	g_auto(AshHost) host = {0};
	g_auto(Row) row = {0};
	uint8_t bytes[ASH_HOST_ID_BYTES];

	if (!ash_api_host_id(request, &id, error))
		return FALSE;
	if (!ash_host_id_parse(id, bytes))
		return throw_none(id, error);
	if (!ash_db_query(request->db, "SELECT by_hand, reason, report FROM host WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), take_row, &row, error))
		return FALSE;
	if (!row.is_there || !ash_live_get(request->server->live, bytes, &host))
		return throw_none(id, error);
	if (*ash_route_argument(request, "workload") != '\0')
		return ash_api_host_workload_why(request, id, &host, row.reason, error);
	return answer(request, id, &host, &row, error);
}

static const AshRouteMember arguments[] = {
		{"workload", "string", false, "why it does not run this workload as it should"},
		{0},
};

const AshRoute ash_why_routes[] = {
		{"GET", "/v1/hosts/{id}/why", ASH_ROLE_VIEWER,
				"Why is it not updated yet: the chain of conditions, and the first that blocks",
				show_why, .arguments = arguments,
				.answer = "{\"answer\":\"waiting\",\"blocker\":\"its window is closed; it "
					  "opens at 2026-11-23T02:00:00Z\",\"next\":1,\"conditions\":[{"
					  "\"condition\":\"known\",\"met\":true,\"text\":\"the fleet knows "
					  "it\"}]}"},
		{0},
};
