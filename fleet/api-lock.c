/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/change.h"
#include "fleet/reboot-lock.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* Who holds which reboot lock, since when; groups, and locks that are taken from those who hold them. */

#define LOCKS_ARE "groups of locks are"

typedef struct {
	AshRequest *request;
	JsonBuilder *json;
	int64_t now_s, limit, count;
	GPtrArray *names;
} List;

static gboolean take_name(const AshDbRow *row, gpointer data, GError **error)
{
	g_ptr_array_add(data, g_strdup(ash_db_row_text(row, 0)));
	return TRUE;
}

static gboolean take_holder(const AshDbRow *row, gpointer data, GError **error)
{
	List *list = data;

	/* Who may hold one and is no host is not told to who may see some hosts only. */
	if (!ash_route_may_host(list->request, ash_db_row_text(row, 0)))
		return TRUE;
	json_builder_begin_object(list->json);
	ash_json_add_text(list->json, "id", ash_db_row_text(row, 0));
	ash_json_add_int(list->json, "since", ash_db_row_int(row, 1));
	ash_json_add_int(list->json, "lease_until", ash_db_row_int(row, 2));
	ash_json_add_bool(list->json, "late", ash_db_row_int(row, 2) < list->now_s);
	json_builder_end_object(list->json);
	return TRUE;
}

static gboolean take_group(const AshDbRow *row, gpointer data, GError **error)
{
	List *list = data;

	ash_json_add_text(list->json, "group", ash_db_row_text(row, 0));
	ash_json_add_int(list->json, "slots", ash_db_row_int(row, 1));
	ash_json_add_int(list->json, "lease", ash_db_row_int(row, 2));
	ash_json_add_bool(list->json, "frees_late", ash_db_row_int(row, 3) != 0);
	ash_json_add_string(list->json, "paused", ash_db_row_text(row, 4));
	list->count++;
	return TRUE;
}

/* Members of the open object. */
static gboolean add_group(AshDb *db, const char *name, List *list, GError **error)
{
	int64_t before = list->count;

	if (!ash_db_query(db,
			    "SELECT name, slots, lease_s, frees_late, paused FROM lock_group WHERE name = $1",
			    ASH_DB_VALUES(ASH_DB_T(name)), take_group, list, error))
		return FALSE;
	if (list->count == before)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no group of locks '%.64s'", name);
	ash_json_begin_array(list->json, "holders");
	gboolean ok = ash_db_query(db,
			"SELECT id, since, lease_until FROM lock_hold WHERE \"group\" = $1 ORDER BY since, id LIMIT $2",
			ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_I(list->limit)), take_holder, list,
			error);
	json_builder_end_array(list->json);
	return ok;
}

static gboolean list_groups(AshRequest *request, GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(JsonBuilder) json = json_builder_new();
	int64_t limit = ash_route_limit(request);
	List list = {.request = request,
			.json = json,
			.now_s = request->server->now(),
			.limit = 1000};

	if (!ash_db_query(request->db,
			    "SELECT name FROM lock_group WHERE name > $1 ORDER BY name LIMIT $2",
			    ASH_DB_VALUES(ASH_DB_T(ash_route_after(request)), ASH_DB_I(limit + 1)),
			    take_name, names, error))
		return FALSE;
	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	for (guint i = 0; i < MIN(names->len, (guint) limit); i++) {
		json_builder_begin_object(json);
		if (!add_group(request->db, names->pdata[i], &list, error))
			return FALSE;
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	if (names->len > (guint) limit)
		ash_json_add_text(json, "next", names->pdata[limit - 1]);
	return ash_route_reply(request, json);
}

static gboolean reply_group(AshRequest *request, const char *name, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	List list = {.request = request,
			.json = json,
			.now_s = request->server->now(),
			.limit = 1000};

	json_builder_begin_object(json);
	return add_group(request->db, name, &list, error) && ash_route_reply(request, json);
}

static gboolean show_group(AshRequest *request, GError **error)
{
	return reply_group(request, ash_route_part(request, 0), error);
}

/* The group as JSON for the audit log; NULL when there is none. */
static gboolean describe(AshDb *db, const char *name, char **out_json, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	List list = {.json = json};

	*out_json = NULL;
	json_builder_begin_object(json);
	if (!ash_db_query(db,
			    "SELECT name, slots, lease_s, frees_late, paused FROM lock_group WHERE name = $1",
			    ASH_DB_VALUES(ASH_DB_T(name)), take_group, &list, error))
		return FALSE;
	json_builder_end_object(json);
	if (list.count > 0)
		*out_json = g_strchomp(ash_json_format(json, false));
	return TRUE;
}

/* ---- changes ---- */

static gboolean tell(AshRequest *request, const char *action, const char *name, const char *what,
		const char *before, const char *after, GError **error)
{
	g_autofree char *object = g_strconcat("lock-group:", name, NULL);

	return ash_route_audit(request, action, object, before, after, error) &&
	       ash_change_event(request, "lock.changed", what, NULL, error);
}

/* SQL's NULL when it is not. */
static AshDbValue said(bool is_said, int64_t value)
{
	return is_said ? ASH_DB_I(value) : ASH_DB_T(NULL);
}

static gboolean write_group(AshRequest *request, gpointer data, GError **error)
{
	const char *name = data;
	g_autofree char *before = NULL, *after = NULL;
	int64_t slots = 0, lease_s = 0;
	const char *paused = NULL;
	JsonObject *body = request->body;
	bool has_frees = body != NULL && json_object_has_member(body, "frees_late");
	bool has_slots = body != NULL && json_object_has_member(body, "slots");
	bool has_lease = body != NULL && json_object_has_member(body, "lease");
	int64_t frees = has_frees && ash_json_find_bool(body, "frees_late") ? 1 : 0;

	if (!ash_change_number(request, "slots", ASH_REBOOT_LOCK_MAX_SLOTS, 0, &slots, error) ||
			!ash_change_number(request, "lease", ASH_REBOOT_LOCK_MAX_LEASE_S, 0,
					&lease_s, error) ||
			!ash_change_text(request, "paused", 1024, NULL, &paused, error))
		return FALSE;
	if (has_lease && lease_s == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'lease' must be from 1 to %d seconds",
				ASH_REBOOT_LOCK_MAX_LEASE_S);
	/* What is not said stays, or is a new group's: one slot, an hour, late holds are only shown. */
	if (!ash_db_lock_events(request->db, error) ||
			!describe(request->db, name, &before, error) ||
			!ash_db_exec(request->db,
					"INSERT INTO lock_group (name, slots, lease_s, frees_late, paused) "
					"VALUES ($1, COALESCE($2, 1), COALESCE($3, 3600), COALESCE($4, 0), "
					"COALESCE($5, '')) ON CONFLICT (name) DO UPDATE SET "
					"slots = COALESCE($2, lock_group.slots), "
					"lease_s = COALESCE($3, lock_group.lease_s), "
					"frees_late = COALESCE($4, lock_group.frees_late), "
					"paused = COALESCE($5, lock_group.paused)",
					ASH_DB_VALUES(ASH_DB_T(name), said(has_slots, slots),
							said(has_lease, lease_s),
							said(has_frees, frees), ASH_DB_T(paused)),
					NULL, error) ||
			!describe(request->db, name, &after, error))
		return FALSE;
	g_autofree char *text = g_strdup_printf(
			"the group of locks %s was %s", name, before != NULL ? "changed" : "made");
	return tell(request, "lock-group.set", name, text, before, after, error);
}

static gboolean put_group(AshRequest *request, GError **error)
{
	const char *name = ash_route_part(request, 0);

	if (!ash_reboot_lock_is_group(name))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"a group has 1 to %d letters, digits, dots and hyphens",
				ASH_REBOOT_LOCK_MAX_GROUP_BYTES);
	return ash_route_need_all_hosts(request, LOCKS_ARE, error) &&
	       ash_change_run(request, write_group, (gpointer) (uintptr_t) name, error) &&
	       reply_group(request, name, error);
}

static gboolean remove_group(AshRequest *request, gpointer data, GError **error)
{
	const char *name = data;
	g_autofree char *before = NULL;
	int64_t holds = 0;
	bool is_found = false;

	if (!ash_db_lock_events(request->db, error) ||
			!describe(request->db, name, &before, error) ||
			!ash_db_query_int(request->db,
					"SELECT count(*) FROM lock_hold WHERE \"group\" = $1",
					ASH_DB_VALUES(ASH_DB_T(name)), &is_found, &holds, error))
		return FALSE;
	if (before == NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no group of locks '%.64s'", name);
	if (holds > 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"%" G_GINT64_FORMAT
				" locks of the group are held: release them first",
				holds);
	g_autofree char *text = g_strdup_printf("the group of locks %s was removed", name);
	return ash_db_exec(request->db, "DELETE FROM lock_group WHERE name = $1",
			       ASH_DB_VALUES(ASH_DB_T(name)), NULL, error) &&
	       tell(request, "lock-group.remove", name, text, before, NULL, error);
}

static gboolean delete_group(AshRequest *request, GError **error)
{
	gpointer name = (gpointer) (uintptr_t) ash_route_part(request, 0);

	return ash_route_need_all_hosts(request, LOCKS_ARE, error) &&
	       ash_change_run(request, remove_group, name, error) && ash_route_reply_empty(request);
}

static gboolean take_back(AshRequest *request, gpointer data, GError **error)
{
	const char *name = data, *id = NULL;
	int64_t gone = 0;

	if (!ash_change_text(request, "id", ASH_REBOOT_LOCK_MAX_ID_BYTES, "", &id, error) ||
			!ash_db_lock_events(request->db, error) ||
			(ash_route_may_host(request, id) &&
					!ash_db_exec(request->db,
							"DELETE FROM lock_hold WHERE \"group\" = $1 AND id = $2",
							ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(id)),
							&gone, error)))
		return FALSE;
	if (gone == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"'%.64s' holds no lock of group '%.64s'", id, name);
	g_autoptr(JsonBuilder) json = json_builder_new();
	json_builder_begin_object(json);
	ash_json_add_text(json, "id", id);
	json_builder_end_object(json);
	g_autofree char *before = g_strchomp(ash_json_format(json, false));
	g_autofree char *text = g_strdup_printf(
			"the lock of %s in group %s was released by an operator", id, name);
	return tell(request, "lock.release", name, text, before, NULL, error);
}

static gboolean release_lock(AshRequest *request, GError **error)
{
	gpointer name = (gpointer) (uintptr_t) ash_route_part(request, 0);

	return ash_change_require_reason(request, error) &&
	       ash_change_run(request, take_back, name, error) && ash_route_reply_empty(request);
}

/* ---- routes ---- */

static const AshRouteMember group_members[] = {
		{"slots", "integer", false, "how many may hold one at a time, 0 to 100000; new: 1"},
		{"lease", "integer", false,
				"seconds until a hold is late, 1 to 2592000; new: 3600"},
		{"frees_late", "boolean", false,
				"a late hold is freed; new: false, it is only shown"},
		{"paused", "string", false, "why nobody gets one; \"\": it is not paused"},
		{0},
};

static const AshRouteMember release_members[] = {
		{"id", "string", true, "who holds it"},
		{0},
};

#define GROUP                                                                                      \
	"{\"group\":\"default\",\"slots\":1,\"lease\":3600,\"frees_late\":false,\"paused\":\"\","  \
	"\"holders\":[{\"id\":\"3f9a\",\"since\":1,\"lease_until\":3601,\"late\":false}]}"

const AshRoute ash_api_lock_routes[] = {
		{"GET", "/v1/locks", ASH_ROLE_VIEWER, "Groups of reboot locks, and who holds them",
				list_groups, .answer = "{\"items\":[" GROUP "]}"},
		{"GET", "/v1/locks/{group}", ASH_ROLE_VIEWER, "One group", show_group,
				.answer = GROUP},
		{"PUT", "/v1/locks/{group}", ASH_ROLE_OPERATOR,
				"Make or change a group; holds stay as they are", put_group,
				.members = group_members, .answer = GROUP},
		{"DELETE", "/v1/locks/{group}", ASH_ROLE_OPERATOR,
				"Remove a group of which nothing is held", delete_group},
		{"POST", "/v1/locks/{group}/release", ASH_ROLE_OPERATOR,
				"Take a lock from who holds it; with a reason", release_lock,
				.members = release_members},
		{0},
};
