/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/api-rollout.h"
#include "fleet/change.h"
#include "fleet/ledger.h"
#include "fleet/page.h"
#include "fleet/scheduler.h"
#include "fleet/scope.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/window.h"

enum {
	PATIENCE_US = 5 * G_USEC_PER_SEC, /* until the leader has taken an act in */
};

/* ---- what the files of this API have in common ----------------------------------------------------- */

gboolean ash_api_rollout_reply(AshRequest *request, JsonBuilder *json)
{
	ash_http_reply_json(request->call, 200, ash_json_format(json, false));
	return TRUE;
}

void ash_api_rollout_release(JsonBuilder *json, const AshDbRow *row, unsigned first)
{
	static const char *const names[] = {"name", "variant", "arch", "version", "commit"};

	if (ash_db_row_int(row, first) == 0) {
		json_builder_add_null_value(json);
		return;
	}
	json_builder_begin_object(json);
	ash_json_add_int(json, "id", ash_db_row_int(row, first));
	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
		ash_json_add_string(json, names[i], ash_db_row_text(row, first + 1 + i));
	json_builder_end_object(json);
}

gboolean ash_api_rollout_refuse(GError **error)
{
	ash_change_answer(error, ASH_SELECTOR_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	ash_change_answer(error, ASH_WINDOW_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	return ash_change_answer(error, ASH_ROLLOUT_SPEC_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
}

const char *ash_api_rollout_element(JsonArray *array, unsigned index)
{
	JsonNode *node = json_array_get_element(array, index);

	return JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
			       ? json_node_get_string(node)
			       : NULL;
}

gboolean ash_api_rollout_release_member(
		AshRequest *request, const char *member, char **out_what, GError **error)
{
	JsonNode *node = json_object_get_member(request->body, member);
	GType type = node != NULL && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node)
								 : G_TYPE_INVALID;

	if (node == NULL)
		*out_what = NULL;
	else if (type == G_TYPE_STRING)
		*out_what = g_strdup(json_node_get_string(node));
	else if (type == G_TYPE_INT64)
		*out_what = g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
	else
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'%s' is an id, NAME/VERSION or VERSION", member);
	return TRUE;
}

gboolean ash_api_rollout_find_release(AshRequest *request, const char *what,
		AshFleetRelease **out_release, GError **error)
{
	if (ash_fleet_release_find(request->db, what, out_release, error))
		return TRUE;
	ash_change_answer(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_NOT_FOUND,
			ASH_ROUTE_ERROR_NOT_FOUND);
	return ash_change_answer(error, ASH_FLEET_RELEASE_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
}

/* ---- ROLLOUT ------------------------------------------------------------------------------------- */

#define COLUMNS                                                                                    \
	"rollout.id, rollout.name, rollout.spec, rollout.state, rollout.reason, rollout.summary, " \
	"rollout.created_at, rollout.created_by, rollout.ended_at, release.id, release.name, "     \
	"release.variant, release.arch, release.version, release.\"commit\", "                     \
	"rollout.assignment, rollout.workload, rollout.version"
#define FROM " FROM rollout LEFT JOIN release ON release.id = rollout.release "

/* What the engine said when it was last written; of one that has not begun, that nothing has happened. */
static void add_summary(JsonBuilder *json, const char *text)
{
	static const char none[] =
			"{\"ring\":0,\"limit\":0,\"total\":0,\"counts\":{},\"failures\":0,"
			"\"halts_at\":0,\"rings\":[],\"table\":[],\"next\":\"it is being "
			"prepared: its hosts are written down\"}";
	g_autoptr(JsonNode) node = json_from_string(g_str_equal(text, "{}") ? none : text, NULL);
	JsonObjectIter iter;
	const char *key;
	JsonNode *value;

	if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
		return;
	json_object_iter_init(&iter, json_node_get_object(node));
	while (json_object_iter_next(&iter, &key, &value)) {
		if (g_str_equal(key, "state") || g_str_equal(key, "reason"))
			continue;
		json_builder_set_member_name(json, key);
		json_builder_add_value(json, json_node_copy(value));
	}
}

static void add_spec(JsonBuilder *json, const char *text)
{
	g_autoptr(JsonNode) spec = json_from_string(text, NULL);

	if (spec == NULL || !JSON_NODE_HOLDS_OBJECT(spec))
		return;
	const char *selector = ash_json_find_text(json_node_get_object(spec), "selector");
	ash_json_add_string(json, "selector", selector != NULL ? selector : "");
	json_builder_set_member_name(json, "spec");
	json_builder_add_value(json, json_node_copy(spec));
}

static void add_rollout(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_string(json, "id", ash_db_row_text(row, 0));
	ash_json_add_string(json, "name", ash_db_row_text(row, 1));
	json_builder_set_member_name(json, "release");
	ash_api_rollout_release(json, row, 9);
	ash_json_add_string(json, "kind", *ash_db_row_text(row, 15) != '\0' ? "workload" : "host");
	ash_json_add_string(json, "assignment", ash_db_row_text(row, 15));
	ash_json_add_string(json, "workload", ash_db_row_text(row, 16));
	ash_json_add_string(json, "version", ash_db_row_text(row, 17));
	add_spec(json, ash_db_row_text(row, 2));
	ash_json_add_string(json, "state", ash_db_row_text(row, 3));
	ash_json_add_string(json, "reason", ash_db_row_text(row, 4));
	ash_json_add_int(json, "created_at", ash_db_row_int(row, 6));
	ash_json_add_string(json, "created_by", ash_db_row_text(row, 7));
	ash_json_add_int(json, "ended_at", ash_db_row_int(row, 8));
	add_summary(json, ash_db_row_text(row, 5));
}

static char *age_of(const AshDbRow *row)
{
	return g_strdup_printf(
			"%" G_GINT64_FORMAT "-%s", ash_db_row_int(row, 6), ash_db_row_text(row, 0));
}

static const char *id_of(AshRequest *request)
{
	return g_ptr_array_index(request->parts, 0);
}

static gboolean throw_none(AshRequest *request, GError **error)
{
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
			"there is no rollout '%.64s'", id_of(request));
}

gboolean ash_api_rollout_show(AshRequest *request, const char *id, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	const AshPage page = {
			.sql = "SELECT " COLUMNS FROM "WHERE rollout.id = $1",
			.values = ASH_DB_VALUES(ASH_DB_T(id)),
			.add = add_rollout,
	};
	bool is_found = false;

	json_builder_begin_object(json);
	if (!ash_page_find(request->db, &page, json, &is_found, error))
		return FALSE;
	return is_found ? ash_route_reply(request, json) : throw_none(request, error);
}

static gboolean show_rollout(AshRequest *request, GError **error)
{
	return ash_api_rollout_show(request, id_of(request), error);
}

/* Newest first; "after" is "SECONDS-ID". */
static gboolean list_rollouts(AshRequest *request, GError **error)
{
	const char *state = ash_http_argument(request->call, "state"), *id = "";
	char *end = NULL;
	int64_t before_s = g_ascii_strtoll(ash_route_after(request), &end, 10);

	if (*ash_route_after(request) == '\0')
		before_s = INT64_MAX;
	else if (*end == '-')
		id = end + 1;
	const AshPage page = {
			.sql = "SELECT " COLUMNS FROM
			       "WHERE (rollout.state = $1 OR $1 = '' OR ($1 = 'active' AND rollout.state IN "
			       "('starting', 'running', 'paused', 'halted', 'reverting'))) AND "
			       "(rollout.created_at < $2 OR (rollout.created_at = $2 AND rollout.id < $3)) "
			       "ORDER BY rollout.created_at DESC, rollout.id DESC LIMIT $4",
			.values = ASH_DB_VALUES(ASH_DB_T(state != NULL ? state : ""),
					ASH_DB_I(before_s), ASH_DB_T(id),
					ASH_DB_I(ash_page_rows(request))),
			.add = add_rollout,
			.key = age_of,
	};
	return ash_page_reply(request, &page, error);
}

/* ---- making one ---------------------------------------------------------------------------------- */

static gboolean make_rollout(AshRequest *request, GError **error)
{
	return json_object_has_member(request->body, "assignment")
			       ? ash_api_rollout_make_workload(request, error)
			       : ash_api_rollout_make_host(request, error);
}

/* ---- acts ---------------------------------------------------------------------------------------- */

typedef struct {
	const char *act;
	bool needs_reason;
	const char *states; /* from which it goes; separated by blanks */
	int64_t seq;
} Act;

static bool allows(const char *states, const char *state)
{
	g_auto(GStrv) all = g_strsplit(states, " ", -1);

	return g_strv_contains((const char *const *) all, state);
}

/* Who may change some hosts only may not change what goes to others, nor read its ledger, which names them. */
static gboolean check_scope(AshRequest *request, GError **error)
{
	g_autoptr(AshRolloutSpec) spec = NULL;
	g_autofree char *text = NULL;
	bool is_covered = false;

	if (!ash_db_query_string(request->db, "SELECT spec FROM rollout WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id_of(request))), &text, error))
		return FALSE;
	if (text == NULL)
		return throw_none(request, error);
	if (*request->scope == '\0')
		return TRUE;
	if (!ash_rollout_spec_parse_text(text, &spec, error) ||
			!ash_scope_covers(request, spec->selector, &is_covered, error))
		return FALSE;
	return is_covered || ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_FORBIDDEN,
					     "this rollout goes to hosts outside of your scope");
}

static gboolean write_act(AshRequest *request, gpointer data, GError **error)
{
	Act *act = data;
	const char *id = id_of(request);
	g_autofree char *state = NULL;
	g_autofree char *object = g_strconcat("rollout:", id, NULL);
	g_autofree char *action = g_strconcat("rollout.", act->act, NULL);
	g_autofree char *text = g_strdup_printf("%s: %s", act->act, request->reason);
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_db_lock_events(request->db, error) ||
			!ash_db_query_string(request->db, "SELECT state FROM rollout WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(id)), &state, error))
		return FALSE;
	if (state == NULL)
		return throw_none(request, error);
	if (!allows(act->states, state))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"the rollout is %s: '%s' is for one that is %s", state, act->act,
				act->states);
	json_builder_begin_object(json);
	ash_json_add_text(json, "act", act->act);
	ash_json_add_text(json, "reason", request->reason);
	json_builder_end_object(json);
	g_autofree char *event = ash_json_format(json, false);
	return ash_route_audit(request, action, object, NULL, NULL, error) &&
	       ash_event_append(request->db,
			       &(AshEvent){.at_s = request->server->now(),
					       .kind = "rollout.act",
					       .rollout = id,
					       .actor = request->actor,
					       .text = text,
					       .data = event},
			       error) &&
	       ash_event_last(request->db, &act->seq, error);
}

/* Of one that ended long ago nothing but the sums is left. */
static gboolean need_ledger(AshRequest *request, GError **error)
{
	bool is_found = false;
	int64_t trimmed_s = 0;

	if (!ash_db_query_int(request->db, "SELECT trimmed_at FROM rollout WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id_of(request))), &is_found, &trimmed_s, error))
		return FALSE;
	if (!is_found)
		return throw_none(request, error);
	return trimmed_s == 0 ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_GONE,
			       "its ledger and hosts are gone ('retention: ledgers' "
			       "of the server's settings)");
}

static gboolean run_act(AshRequest *request, Act act, GError **error)
{
	bool is_done = false;

	if (act.needs_reason && !ash_change_require_reason(request, error))
		return FALSE;
	if (!check_scope(request, error) || !need_ledger(request, error) ||
			!ash_change_run(request, write_act, &act, error) ||
			!ash_scheduler_wait(request->server->scheduler, request->db, act.seq,
					PATIENCE_US, &is_done, error))
		return FALSE;
	return ash_api_rollout_show(request, id_of(request), error);
}

static gboolean pause_rollout(AshRequest *request, GError **error)
{
	return run_act(request, (Act){.act = "pause", .states = "running"}, error);
}

static gboolean resume_rollout(AshRequest *request, GError **error)
{
	return run_act(request,
			(Act){.act = "resume", .needs_reason = true, .states = "paused halted"},
			error);
}

static gboolean revert_rollout(AshRequest *request, GError **error)
{
	return run_act(request,
			(Act){.act = "revert",
					.needs_reason = true,
					.states = "running paused halted finished cancelled"},
			error);
}

static gboolean cancel_rollout(AshRequest *request, GError **error)
{
	return run_act(request, (Act){.act = "cancel", .states = "running paused halted reverting"},
			error);
}

/* ---- ledger, replay ------------------------------------------------------------------------------ */

static void add_line(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_int(json, "line", ash_db_row_int(row, 0));
	ash_json_add_string(json, "text", ash_db_row_text(row, 1));
}

static gboolean show_ledger(AshRequest *request, GError **error)
{
	int64_t after = 0;

	if (!ash_change_parse(ash_route_after(request), 0, &after, error) ||
			!check_scope(request, error) || !need_ledger(request, error))
		return FALSE;
	const AshPage page = {
			.sql = "SELECT line, text FROM rollout_line WHERE rollout = $1 AND line > $2 "
			       "ORDER BY line LIMIT $3",
			.values = ASH_DB_VALUES(ASH_DB_T(id_of(request)), ASH_DB_I(after),
					ASH_DB_I(ash_page_rows(request))),
			.add = add_line,
	};
	return ash_page_reply(request, &page, error);
}

static gboolean replay_rollout(AshRequest *request, GError **error)
{
	g_auto(AshRolloutReplay) replay = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!check_scope(request, error) || !need_ledger(request, error))
		return FALSE;
	if (!ash_ledger_replay(request->db, id_of(request), &replay, error))
		return ash_change_answer(error, ASH_LEDGER_ERROR, ASH_LEDGER_ERROR_NONE,
				ASH_ROUTE_ERROR_NOT_FOUND);
	json_builder_begin_object(json);
	ash_json_add_bool(json, "agrees", replay.agrees);
	ash_json_add_uint(json, "lines", replay.lines);
	ash_json_add_uint(json, "first_difference", replay.first_difference);
	ash_json_add_string(json, "expected", replay.expected != NULL ? replay.expected : "");
	ash_json_add_string(json, "found", replay.found != NULL ? replay.found : "");
	json_builder_end_object(json);
	return ash_api_rollout_reply(request, json);
}

/* ---- routes -------------------------------------------------------------------------------------- */

static const AshRouteMember list_arguments[] = {
		{"state", "string", false,
				"starting, running, paused, halted, reverting, finished, "
				"reverted, cancelled; active: any that has not ended"},
		{"limit", "integer", false, "1 to 1000; default 100"},
		{"after", "string", false, "'next' of the page before"},
		{0},
};
static const AshRouteMember page_arguments[] = {
		{"limit", "integer", false, "1 to 1000; default 100"},
		{"after", "string", false, "'next' of the page before"},
		{0},
};
static const AshRouteMember host_arguments[] = {
		{"outcome", "string", false,
				"waiting, already, assigned, offered, confirmed, failed, silent, "
				"withdrawn, returned, gone; default: all"},
		{"limit", "integer", false, "1 to 1000; default 100"},
		{"after", "string", false, "'next' of the page before"},
		{0},
};
static const AshRouteMember make_arguments[] = {
		{"dry_run", "string", false, "1: say what it would do, and do nothing"}, {0}};
static const AshRouteMember spec_members[] = {
		{"release", "integer|string", false,
				"id, NAME/VERSION or VERSION; this, or assignment and version"},
		{"assignment", "string", false, "of a workload, whose hosts get another version"},
		{"version", "string", false, "of the assignment's workload"},
		{"widen", "boolean", false,
				"true, with a reason: a version that may touch more than the one before"},
		{"name", "string", false, "for people"},
		{"selector", "string", false, "which hosts; \"\": all"},
		{"channel", "string", false, "its pointer moves when the rollout has finished"},
		{"canaries", "string", false, "a selector: these go first"},
		{"tolerated", "number", false, "share of failures that is fine; default 0.01"},
		{"alpha", "number", false, "chance of halting a good release; default 0.01"},
		{"first", "integer", false, "hosts of the first ring; default 4"},
		{"growth", "integer|string", false, "2 careful, 4 normal (default), 10 urgent"},
		{"soak", "integer", false, "seconds healthy until confirmed; default 300"},
		{"deadline", "integer", false, "seconds without a word until silent; default 5400"},
		{"begin", "integer", false, "seconds for hosts that do not begin; default 86400"},
		{"lapse", "integer", false, "seconds for hosts that do not come; default 900"},
		{"patience", "integer", false,
				"seconds for hosts that are not heard of; default 86400"},
		{"max_in_flight", "integer", false, "at once; 0 (default): no limit"},
		{"budgets", "array", false,
				"{\"label\",\"max\": N or \"10%\"}: at once of one value"},
		{"windows", "array", false, "when; default: the policies'"},
		{"on_halt", "string", false, "hold (default) or revert"},
		{"ring_pause", "integer", false, "seconds after a ring has settled; default 0"},
		{"beside", "boolean", false,
				"true: though another rollout that is not over has some of its hosts"},
		{"reason", "string", false, "for the audit log"},
		{0},
};
static const AshRouteMember reason_members[] = {{"reason", "string", false, "why"}, {0}};
static const AshRouteMember needed_reason_members[] = {{"reason", "string", true, "why"}, {0}};

#define ROLLOUT                                                                                         \
	"{\"id\":\"abcdefghijkm\",\"name\":\"\",\"release\":null,\"kind\":\"host\","                    \
	"\"assignment\":\"\",\"workload\":\"\",\"version\":\"1.4.0\",\"selector\":\"all\",\"spec\":{}," \
	"\"state\":\"running\",\"reason\":\"\",\"created_at\":1,\"created_by\":\"ada\","                \
	"\"ended_at\":0,\"ring\":1,\"limit\":4,\"total\":20,\"counts\":{},\"failures\":0,"              \
	"\"halts_at\":2,\"rings\":[],\"table\":[[4,2]],\"next\":\"\"}"

const AshRoute ash_api_rollout_routes[] = {
		{"GET", "/v1/rollouts", ASH_ROLE_VIEWER, "Rollouts, newest first", list_rollouts,
				.arguments = list_arguments, .answer = "{\"items\":[" ROLLOUT "]}"},
		{"POST", "/v1/rollouts", ASH_ROLE_OPERATOR,
				"Start a rollout, or say what it would do", make_rollout,
				.arguments = make_arguments, .members = spec_members,
				.answer = ROLLOUT},
		{"GET", "/v1/rollouts/{id}", ASH_ROLE_VIEWER, "One rollout", show_rollout,
				.answer = ROLLOUT},
		{"GET", "/v1/rollouts/{id}/hosts", ASH_ROLE_VIEWER,
				"Hosts that had their turn, and what came of it",
				ash_api_rollout_hosts, .arguments = host_arguments,
				.answer = "{\"items\":[{\"host\":\"…\",\"name\":\"edge-1\",\"ring\":1,"
					  "\"outcome\":\"confirmed\",\"since\":1,\"reason\":\"\"}]}"},
		{"GET", "/v1/rollouts/{id}/ledger", ASH_ROLE_VIEWER,
				"What went into the engine, and what it decided", show_ledger,
				.arguments = page_arguments,
				.answer = "{\"items\":[{\"line\":1,\"text\":\"t 1\"}]}"},
		{"POST", "/v1/rollouts/{id}/pause", ASH_ROLE_OPERATOR, "Offer it to nobody for now",
				pause_rollout, .members = reason_members, .answer = ROLLOUT},
		{"POST", "/v1/rollouts/{id}/resume", ASH_ROLE_OPERATOR,
				"Go on after a pause or a halt", resume_rollout,
				.members = needed_reason_members, .answer = ROLLOUT},
		{"POST", "/v1/rollouts/{id}/revert", ASH_ROLE_OPERATOR, "Send back who took it",
				revert_rollout, .members = needed_reason_members,
				.answer = ROLLOUT},
		{"POST", "/v1/rollouts/{id}/cancel", ASH_ROLE_OPERATOR, "End it as it stands",
				cancel_rollout, .members = reason_members, .answer = ROLLOUT},
		{"POST", "/v1/rollouts/{id}/replay", ASH_ROLE_VIEWER,
				"Decide everything again from what went in, and compare",
				replay_rollout,
				.answer = "{\"agrees\":true,\"lines\":10,\"first_difference\":0,"
					  "\"expected\":\"\",\"found\":\"\"}"},
		{0},
};
