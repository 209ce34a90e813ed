/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-workload.h"
#include "fleet/change.h"
#include "fleet/selector.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* Assignments: which hosts run which version of a workload (fleet/assignment.h). */

/* ---- how many hosts ---- */

typedef struct {
	AshScope scope;
	const AshAssignmentBook *book;
	GHashTable *counts; /* id → count */
} Count;

static void count_match(const AshAssignment *assignment, gpointer data)
{
	Count *count = data;
	gpointer old = g_hash_table_lookup(count->counts, assignment->id);

	g_hash_table_replace(count->counts, (gpointer) (uintptr_t) assignment->id,
			GUINT_TO_POINTER(GPOINTER_TO_UINT(old) + 1));
}

static bool count_host(const AshHost *host, gpointer data)
{
	Count *count = data;

	if (host->state != ASH_HOST_RETIRED && ash_scope_has(&count->scope, host))
		ash_assignment_each_of(count->book, host, count->scope.now, count_match, count);
	return true;
}

/* Keys are the book's. */
static gboolean count_all(AshRequest *request, const AshAssignmentBook *book,
		GHashTable **out_counts, GError **error)
{
	Count count = {.book = book};

	if (!ash_scope_init(request, &count.scope, error))
		return FALSE;
	count.scope.now = request->server->now();
	count.counts = g_hash_table_new(g_str_hash, g_str_equal);
	ash_live_each(request->server->live, count_host, &count);
	ash_scope_clear(&count.scope);
	*out_counts = count.counts;
	return TRUE;
}

/* ---- an object ---- */

static void add_parameters(JsonBuilder *json, const char *text)
{
	g_autoptr(JsonNode) node = json_from_string(text, NULL);

	json_builder_set_member_name(json, "parameters");
	if (node != NULL && JSON_NODE_HOLDS_OBJECT(node)) {
		json_builder_add_value(json, g_steal_pointer(&node));
	} else {
		json_builder_begin_object(json);
		json_builder_end_object(json);
	}
}

static void add_assignment(
		JsonBuilder *json, const AshAssignment *of, const char *rollout, unsigned hosts)
{
	ash_json_add_string(json, "id", of->id);
	ash_json_add_string(json, "workload", of->workload);
	ash_json_add_string(json, "version", of->version);
	ash_json_add_string(json, "selector", of->selector);
	ash_json_add_int(json, "rank", of->rank);
	add_parameters(json, of->parameters);
	ash_json_add_string(json, "note", of->note);
	ash_json_add_string(json, "rollout", rollout);
	ash_json_add_uint(json, "hosts", hosts);
}

gboolean ash_api_assignment_rollout(AshDb *db, const char *id, char **out_rollout, GError **error)
{
	return ash_db_query_string(db,
			"SELECT id FROM rollout WHERE assignment = $1 AND ended_at = 0",
			ASH_DB_VALUES(ASH_DB_T(id)), out_rollout, error);
}

typedef struct {
	JsonBuilder *json;
	const AshAssignmentBook *book;
	GHashTable *counts;
	int64_t left; /* -1: no limit */
	char *last;   /* of a page that is full */
	bool has_more;
} List;

static gboolean take_assignment(const AshDbRow *row, gpointer data, GError **error)
{
	List *list = data;
	const char *id = ash_db_row_text(row, 0);
	const AshAssignment *of = ash_assignment_book_find(list->book, id);

	if (of == NULL) /* its selector is not understood any more */
		return TRUE;
	if (list->left == 0) {
		list->has_more = true;
		return TRUE;
	}
	if (list->left > 0)
		list->left--;
	g_free(list->last);
	list->last = g_strdup(id);
	json_builder_begin_object(list->json);
	add_assignment(list->json, of, ash_db_row_text(row, 1),
			GPOINTER_TO_UINT(g_hash_table_lookup(list->counts, id)));
	json_builder_end_object(list->json);
	return TRUE;
}

static gboolean add_list(AshRequest *request, List *list, const char *workload, const char *after,
		int64_t limit, GError **error)
{
	g_autoptr(AshAssignmentBook) book = NULL;
	g_autoptr(GHashTable) counts = NULL;

	if (!ash_assignment_book_load(request->db, &book, error) ||
			!count_all(request, book, &counts, error))
		return FALSE;
	list->book = book;
	list->counts = counts;
	return ash_db_query(request->db,
			"SELECT id, (SELECT rollout.id FROM rollout WHERE rollout.assignment = "
			"assignment.id AND ended_at = 0) AS mover FROM assignment WHERE ($1 = '' OR workload = $1) AND id > $2 "
			"ORDER BY id LIMIT $3",
			ASH_DB_VALUES(ASH_DB_T(workload), ASH_DB_T(after), ASH_DB_I(limit)),
			take_assignment, list, error);
}

gboolean ash_api_assignment_add_all(
		AshRequest *request, const char *workload, JsonBuilder *json, GError **error)
{
	List list = {.json = json, .left = -1};
	gboolean ok = add_list(request, &list, workload, "", INT32_MAX, error);

	g_free(list.last);
	return ok;
}

static gboolean list_assignments(AshRequest *request, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	List list = {.json = json, .left = ash_route_limit(request)};

	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	gboolean ok = add_list(request, &list, ash_route_argument(request, "workload"),
			ash_route_after(request), list.left + 1, error);
	g_autofree char *last = list.last;
	if (!ok)
		return FALSE;
	json_builder_end_array(json);
	if (list.has_more)
		ash_json_add_text(json, "next", last);
	return ash_route_reply(request, json);
}

/* ASSIGNMENT as it is, or would be, by @book. */
static gboolean reply_assignment(
		AshRequest *request, const AshAssignmentBook *book, const char *id, GError **error)
{
	g_autoptr(GHashTable) counts = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();
	const AshAssignment *of = ash_assignment_book_find(book, id);
	g_autofree char *rollout = NULL;

	if (of == NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no assignment '%.64s'", id);
	if (!count_all(request, book, &counts, error) ||
			!ash_api_assignment_rollout(request->db, id, &rollout, error))
		return FALSE;
	json_builder_begin_object(json);
	add_assignment(json, of, rollout != NULL ? rollout : "",
			GPOINTER_TO_UINT(g_hash_table_lookup(counts, id)));
	return ash_route_reply(request, json);
}

static gboolean show_assignment(AshRequest *request, GError **error)
{
	g_autoptr(AshAssignmentBook) book = NULL;

	return ash_assignment_book_load(request->db, &book, error) &&
	       reply_assignment(request, book, ash_route_part(request, 0), error);
}

/* ---- scope ---- */

gboolean ash_api_assignment_check_scope(AshRequest *request, const char *selector, GError **error)
{
	bool is_covered = false;

	if (!ash_scope_covers(request, selector, &is_covered, error))
		return FALSE;
	return is_covered || ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_FORBIDDEN,
					     "this assignment is of hosts outside of your scope");
}

/* ---- setting one ---- */

typedef struct {
	AshAssignment of;
	const AshAssignment *old; /* of the book; NULL: it is new */
	char *selector, *parameters;
} Set;

static char *describe(const AshAssignment *of)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_string(json, "workload", of->workload);
	ash_json_add_string(json, "version", of->version);
	ash_json_add_string(json, "selector", of->selector);
	ash_json_add_int(json, "rank", of->rank);
	add_parameters(json, of->parameters);
	ash_json_add_string(json, "note", of->note);
	json_builder_end_object(json);
	return g_strchomp(ash_json_format(json, false));
}

static gboolean tell(AshRequest *request, const char *action, const AshAssignment *before,
		const AshAssignment *after, GError **error)
{
	const AshAssignment *of = after != NULL ? after : before;
	g_autofree char *object = g_strconcat("assignment:", of->id, NULL);
	g_autofree char *old = before != NULL ? describe(before) : NULL;
	g_autofree char *new = after != NULL ? describe(after) : NULL;
	g_autofree char *text = NULL;
	g_autofree char *data = g_strdup_printf("{\"assignment\":\"%s\",\"workload\":\"%s\","
						"\"version\":\"%s\"}",
			of->id, of->workload, after != NULL ? after->version : "");

	if (after == NULL)
		text = g_strdup_printf("assignment %s is gone", of->id);
	else if (*after->version == '\0')
		text = g_strdup_printf(
				"assignment %s brings no version of %s yet", of->id, of->workload);
	else
		text = g_strdup_printf(
				"assignment %s brings %s %s", of->id, of->workload, of->version);
	return ash_route_audit(request, action, object, old, new, error) &&
	       ash_change_event(request, "assignment.changed", text, data, error);
}

static gboolean write_set(AshRequest *request, gpointer data, GError **error)
{
	const Set *set = data;
	const AshAssignment *of = &set->of;
	int64_t changed = 0;

	if (!ash_db_lock_events(request->db, error) ||
			!ash_db_exec(request->db,
					"INSERT INTO assignment (id, workload, version, selector, rank, "
					"parameters, note, serial) VALUES ($1, $2, $3, $4, $5, $6, $7, "
					"$8) ON CONFLICT (id) DO UPDATE SET version = excluded.version, "
					"selector = excluded.selector, rank = excluded.rank, parameters "
					"= excluded.parameters, note = excluded.note, moved_by = CASE "
					"WHEN assignment.version = excluded.version THEN "
					"assignment.moved_by ELSE '' END, serial = CASE WHEN "
					"assignment.version = excluded.version THEN assignment.serial "
					"ELSE assignment.serial + 1 END WHERE assignment.version = $9 "
					"AND assignment.workload = excluded.workload",
					ASH_DB_VALUES(ASH_DB_T(of->id), ASH_DB_T(of->workload),
							ASH_DB_T(of->version),
							ASH_DB_T(of->selector), ASH_DB_I(of->rank),
							ASH_DB_T(of->parameters),
							ASH_DB_T(of->note), ASH_DB_I(0),
							ASH_DB_T(set->old != NULL ? set->old->version
										  : "")),
					&changed, error))
		return FALSE;
	if (changed == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"assignment '%s' was changed by somebody else: look again", of->id);
	return tell(request, "assignment.set", set->old, of, error);
}

/* While a rollout moves it, it is the rollout's. */
static gboolean check_rollout(AshRequest *request, const Set *set, GError **error)
{
	g_autofree char *rollout = NULL;
	g_autofree char *version = NULL;
	g_autoptr(AshWorkload) workload = NULL;
	g_autofree char *parameters = NULL;

	if (set->old == NULL)
		return TRUE;
	if (!ash_api_assignment_rollout(request->db, set->old->id, &rollout, error))
		return FALSE;
	if (rollout == NULL)
		return TRUE;
	if (strcmp(set->of.version, set->old->version) != 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"rollout %s moves this assignment: cancel or revert it before you change "
				"its version",
				rollout);
	if (!ash_db_query_string(request->db, "SELECT version FROM rollout WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(rollout)), &version, error) ||
			!ash_fleet_workload_load(request->db, set->of.workload, version, &workload,
					NULL, error))
		return FALSE;
	return ash_fleet_workload_check_parameters_text(
			workload, set->of.parameters, &parameters, error);
}

/* Of which version the parameters are is not known yet: any tells their names, and a rollout asks its own. */
static gboolean find_any(
		AshRequest *request, const char *name, AshFleetWorkload **out_row, GError **error)
{
	g_autoptr(GPtrArray) rows = NULL;

	if (!ash_fleet_workload_list(request->db, name, 0, 1, &rows, error))
		return FALSE;
	if (*name == '\0' || rows->len == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"there is no workload '%.64s': publish it, then scan the publication",
				name);
	*out_row = g_ptr_array_steal_index(rows, 0);
	return TRUE;
}

static gboolean check_version(AshRequest *request, Set *set, JsonObject *parameters, GError **error)
{
	g_autoptr(AshFleetWorkload) row = NULL;
	g_autoptr(AshWorkload) workload = NULL;
	bool has_version = *set->of.version != '\0';
	bool has_parameters = parameters != NULL && json_object_get_size(parameters) > 0;
	bool is_new = set->old == NULL || strcmp(set->old->version, set->of.version) != 0;

	if (!(has_version ? ash_fleet_workload_find(request->db, set->of.workload, set->of.version,
					    &row, error)
			  : find_any(request, set->of.workload, &row, error)))
		return FALSE;
	if (has_version && is_new && *row->withdrawn != '\0')
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"%s %s is withdrawn: %s", row->name, row->version, row->withdrawn);
	if (!has_version && !has_parameters) {
		set->parameters = g_strdup("{}");
		return TRUE;
	}
	return ash_fleet_workload_load(
			       request->db, row->name, row->version, &workload, NULL, error) &&
	       ash_fleet_workload_check_parameters(workload, parameters, &set->parameters, error);
}

/* What the body says over what is there. */
static gboolean read_set(AshRequest *request, Set *set, GError **error)
{
	const AshAssignment *old = set->old;
	JsonObject *parameters = NULL;
	const char *selector = "";

	if (!ash_change_text(request, "workload", ASH_WORKLOAD_MAX_NAME_BYTES,
			    old != NULL ? old->workload : "", &set->of.workload, error) ||
			!ash_change_text(request, "version", 64, old != NULL ? old->version : "",
					&set->of.version, error) ||
			!ash_change_text(request, "selector", ASH_SELECTOR_MAX_BYTES,
					old != NULL ? old->selector : "", &selector, error) ||
			!ash_change_text(request, "note", ASH_ASSIGNMENT_MAX_NOTE,
					old != NULL ? old->note : "", &set->of.note, error) ||
			!ash_change_number(request, "rank", ASH_ASSIGNMENT_MAX_RANK,
					old != NULL ? old->rank : 100, &set->of.rank, error))
		return FALSE;
	if (old != NULL && strcmp(old->workload, set->of.workload) != 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"assignment '%s' is of '%s': make another one for '%.64s'", old->id,
				old->workload, set->of.workload);
	g_autoptr(JsonNode) kept = old != NULL ? json_from_string(old->parameters, NULL) : NULL;
	if (json_object_has_member(request->body, "parameters"))
		parameters = json_object_get_object_member(request->body, "parameters");
	else if (kept != NULL && JSON_NODE_HOLDS_OBJECT(kept))
		parameters = json_node_get_object(kept);
	if (!ash_scope_narrow(request, selector, &set->selector, error))
		return ash_change_answer(error, ASH_SELECTOR_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if (!check_version(request, set, parameters, error)) {
		ash_change_answer(error, ASH_FLEET_WORKLOAD_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
		return FALSE;
	}
	set->of.selector = set->selector;
	set->of.parameters = set->parameters;
	if (check_rollout(request, set, error))
		return TRUE;
	return ash_change_answer(error, ASH_FLEET_WORKLOAD_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
}

static gboolean check_count(AshRequest *request, const AshAssignmentBook *book, const char *id,
		bool *out_refused, GError **error)
{
	g_autoptr(GHashTable) counts = NULL;
	int64_t expect = -1;

	if (!ash_json_int_opt(request->body, "expect", &expect, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if (expect < 0)
		return TRUE;
	if (!count_all(request, book, &counts, error))
		return FALSE;
	unsigned hosts = GPOINTER_TO_UINT(g_hash_table_lookup(counts, id));
	*out_refused = hosts != (uint64_t) expect;
	if (*out_refused)
		ash_http_reply_json(request->call, 409,
				g_strdup_printf("{\"kind\":\"count\",\"text\":\"It counts for %u hosts "
						"now: look again.\",\"count\":%u}\n",
						hosts, hosts));
	return TRUE;
}

/* @book: as it is; from here on as it would be. */
static gboolean set_in(AshRequest *request, AshAssignmentBook *book, Set *set, GError **error)
{
	g_autofree char *before = g_strdup(set->old != NULL ? set->old->version : "");
	bool is_dry = g_str_equal(ash_route_argument(request, "dry_run"), "1");
	bool is_refused = false;
	g_autoptr(AshAssignmentBook) there = NULL;

	if (!ash_api_workload_check_wider(request, set->of.workload, before, set->of.version,
			    !is_dry, &is_refused, error))
		return FALSE;
	if (is_refused)
		return TRUE;
	if (!ash_assignment_book_load(request->db, &there, error))
		return FALSE;
	ash_assignment_book_remove(there, set->of.id);
	set->of.moved_by = "";
	if (!ash_assignment_book_add(there, &set->of, error))
		return ash_change_answer(error, ASH_SELECTOR_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	ash_assignment_book_sort(there);
	if (!check_count(request, there, set->of.id, &is_refused, error))
		return FALSE;
	if (is_refused)
		return TRUE;
	if (!is_dry && !ash_change_run(request, write_set, set, error))
		return FALSE;
	return reply_assignment(request, there, set->of.id, error);
}

static gboolean set_assignment(AshRequest *request, GError **error)
{
	Set set = {.of.id = ash_route_part(request, 0)};
	g_autoptr(AshAssignmentBook) book = NULL;

	if (!ash_assignment_id_is_valid(set.of.id))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"a name is 1 to %d letters, digits and . _ -, a letter or digit first",
				ASH_ASSIGNMENT_MAX_ID);
	if (!ash_assignment_book_load(request->db, &book, error))
		return FALSE;
	set.old = ash_assignment_book_find(book, set.of.id);
	if (set.old != NULL && !ash_api_assignment_check_scope(request, set.old->selector, error))
		return FALSE;
	gboolean ok = read_set(request, &set, error) && set_in(request, book, &set, error);
	g_free(set.selector);
	g_free(set.parameters);
	return ok;
}

/* ---- removing one ---- */

static gboolean write_delete(AshRequest *request, gpointer data, GError **error)
{
	const AshAssignment *old = data;

	return ash_db_lock_events(request->db, error) &&
	       ash_db_exec(request->db, "DELETE FROM assignment WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(old->id)), NULL, error) &&
	       tell(request, "assignment.delete", old, NULL, error);
}

static gboolean delete_assignment(AshRequest *request, GError **error)
{
	const char *id = ash_route_part(request, 0);
	g_autoptr(AshAssignmentBook) book = NULL;
	g_autofree char *rollout = NULL;

	if (!ash_assignment_book_load(request->db, &book, error) ||
			!ash_api_assignment_rollout(request->db, id, &rollout, error))
		return FALSE;
	const AshAssignment *old = ash_assignment_book_find(book, id);
	if (old == NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no assignment '%.64s'", id);
	if (rollout != NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"rollout %s moves this assignment: cancel or revert it first",
				rollout);
	if (!ash_api_assignment_check_scope(request, old->selector, error) ||
			!ash_change_run(request, write_delete, (gpointer) (uintptr_t) old, error))
		return FALSE;
	return ash_route_reply_empty(request);
}

/* ---- routes ---- */

#define ASSIGNMENT                                                                                 \
	"{\"id\":\"edge-web\",\"workload\":\"web\",\"version\":\"1.2.0\",\"selector\":\"site = "   \
	"bern\",\"rank\":100,\"parameters\":{},\"note\":\"\",\"rollout\":\"\",\"hosts\":12}"

static const AshRouteMember list_arguments[] = {
		{"workload", "string", false, "only those of this workload"}, {0}};
static const AshRouteMember set_arguments[] = {
		{"dry_run", "string", false, "1: say what it would be, and do nothing"}, {0}};
static const AshRouteMember set_members[] = {
		{"workload", "string", false, "needed for a new one; it does not change"},
		{"version", "string", false,
				"all hosts get it at once; \"\": none yet, a rollout brings it; "
				"default: as it is"},
		{"selector", "string", false, "which hosts; \"\": all; default: as it is"},
		{"rank", "integer", false,
				"the first that matches a host counts; default 100, or as it is"},
		{"parameters", "object", false,
				"values of what the definition declares; default: as they are"},
		{"note", "string", false, "what it is for"},
		{"widen", "boolean", false,
				"true, with a reason: a version that may touch more than the one before"},
		{"expect", "integer", false,
				"409 'count' when it counts for another number of hosts"},
		{0},
};
static const AshRouteMember delete_members[] = {{0}};

const AshRoute ash_api_assignment_routes[] = {
		{"GET", "/v1/assignments", ASH_ROLE_VIEWER,
				"Which hosts run which version of a workload", list_assignments,
				.arguments = list_arguments,
				.answer = "{\"items\":[" ASSIGNMENT "]}"},
		{"GET", "/v1/assignments/{id}", ASH_ROLE_VIEWER, "One assignment", show_assignment,
				.answer = ASSIGNMENT},
		{"PUT", "/v1/assignments/{id}", ASH_ROLE_OPERATOR, "Make or change an assignment",
				set_assignment, .arguments = set_arguments, .members = set_members,
				.answer = ASSIGNMENT},
		{"DELETE", "/v1/assignments/{id}", ASH_ROLE_OPERATOR,
				"Its hosts run the workload no more; volumes are kept",
				delete_assignment, .members = delete_members},
		{0},
};
