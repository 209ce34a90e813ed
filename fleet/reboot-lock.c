/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/reboot-lock.h"

#include <string.h>

#include "fleet/event.h"
#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_reboot_lock_error, ash_reboot_lock_error)

enum {
	MAX_BODY_BYTES = 4096,
	MAX_BODY_DEPTH = 8,
	MIN_RETRY_S = 5,
	MAX_RETRY_S = 300,
};

bool ash_reboot_lock_is_group(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > ASH_REBOOT_LOCK_MAX_GROUP_BYTES)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!g_ascii_isalnum(text[i]) && text[i] != '.' && text[i] != '-')
			return false;
	return true;
}

bool ash_reboot_lock_is_id(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > ASH_REBOOT_LOCK_MAX_ID_BYTES)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((guchar) text[i] <= ' ' || text[i] == 0x7f)
			return false;
	return true;
}

/* ---- the semaphore ---- */

typedef struct {
	bool is_there, frees_late, is_paused;
	int64_t slots, lease_s;
} Group;

static gboolean take_group(const AshDbRow *row, gpointer data, GError **error)
{
	Group *group = data;

	group->is_there = true;
	group->slots = ash_db_row_int(row, 0);
	group->lease_s = ash_db_row_int(row, 1);
	group->frees_late = ash_db_row_int(row, 2) != 0;
	group->is_paused = *ash_db_row_text(row, 3) != '\0';
	return TRUE;
}

/* The stream's lock is the only one that all servers take in the same order, and who changes a hold appends to
 * the stream anyhow: two servers cannot give the last slot twice.
 */
static gboolean read_group(AshDb *db, const char *name, Group *out_group, GError **error)
{
	return ash_db_lock_events(db, error) &&
	       ash_db_query(db,
			       "SELECT slots, lease_s, frees_late, paused FROM lock_group WHERE name = $1",
			       ASH_DB_VALUES(ASH_DB_T(name)), take_group, out_group, error);
}

static gboolean tell(AshDb *db, const char *group, const char *id, const char *act, int64_t now_s,
		GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *text = g_strdup_printf("%s %s a reboot slot of group %s", id, act, group);

	json_builder_begin_object(json);
	ash_json_add_text(json, "group", group);
	ash_json_add_text(json, "id", id);
	ash_json_add_text(json, "act", act);
	json_builder_end_object(json);
	g_autofree char *data = g_strchomp(ash_json_format(json, false));
	AshEvent event = {.at_s = now_s, .kind = "lock.changed", .text = text, .data = data};
	return ash_event_append(db, &event, error);
}

/* Frees what is late, where the group wants that; told one by one. */
static gboolean take_late(const AshDbRow *row, gpointer data, GError **error)
{
	g_ptr_array_add(data, g_strdup(ash_db_row_text(row, 0)));
	return TRUE;
}

static gboolean free_late(AshDb *db, const char *group, int64_t now_s, GError **error)
{
	g_autoptr(GPtrArray) late = g_ptr_array_new_with_free_func(g_free);

	if (!ash_db_query(db,
			    "DELETE FROM lock_hold WHERE \"group\" = $1 AND lease_until < $2 RETURNING id",
			    ASH_DB_VALUES(ASH_DB_T(group), ASH_DB_I(now_s)), take_late, late,
			    error))
		return FALSE;
	for (guint i = 0; i < late->len; i++)
		if (!tell(db, group, late->pdata[i], "lost", now_s, error))
			return FALSE;
	return TRUE;
}

typedef struct {
	int64_t count, next_end_s;
} Holds;

static gboolean take_holds(const AshDbRow *row, gpointer data, GError **error)
{
	Holds *holds = data;

	holds->count = ash_db_row_int(row, 0);
	holds->next_end_s = ash_db_row_int(row, 1);
	return TRUE;
}

static gboolean take_free_slot(AshDb *db, const Group *group, const char *name, const char *id,
		int64_t now_s, AshRebootLockAnswer *out_answer, int64_t *out_retry_s,
		GError **error)
{
	Holds holds = {0};

	if ((group->frees_late && !free_late(db, name, now_s, error)) ||
			!ash_db_query(db,
					"SELECT count(*), min(lease_until) FROM lock_hold WHERE \"group\" = $1",
					ASH_DB_VALUES(ASH_DB_T(name)), take_holds, &holds, error))
		return FALSE;
	if (holds.count >= group->slots) {
		*out_answer = ASH_REBOOT_LOCK_FULL;
		*out_retry_s = CLAMP(holds.next_end_s - now_s, MIN_RETRY_S, MAX_RETRY_S);
		return TRUE;
	}
	return ash_db_exec(db, "INSERT INTO lock_hold (\"group\", id, since, lease_until) VALUES ($1, $2, $3, $4)",
			       ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(id), ASH_DB_I(now_s),
					       ASH_DB_I(now_s + group->lease_s)),
			       NULL, error) &&
	       tell(db, name, id, "took", now_s, error);
}

gboolean ash_reboot_lock_take(AshDb *db, const char *name, const char *id, int64_t now_s,
		AshRebootLockAnswer *out_answer, int64_t *out_retry_s, GError **error)
{
	Group group = {0};
	int64_t renewed = 0;

	*out_answer = ASH_REBOOT_LOCK_DONE;
	*out_retry_s = MAX_RETRY_S;
	if (!read_group(db, name, &group, error))
		return FALSE;
	if (!group.is_there) {
		*out_answer = ASH_REBOOT_LOCK_NO_GROUP;
		return TRUE;
	}
	if (!ash_db_exec(db,
			    "UPDATE lock_hold SET lease_until = $3 WHERE \"group\" = $1 AND id = $2",
			    ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(id),
					    ASH_DB_I(now_s + group.lease_s)),
			    &renewed, error))
		return FALSE;
	if (renewed > 0)
		return TRUE;
	if (group.is_paused) {
		*out_answer = ASH_REBOOT_LOCK_PAUSED;
		return TRUE;
	}
	return take_free_slot(db, &group, name, id, now_s, out_answer, out_retry_s, error);
}

gboolean ash_reboot_lock_give(AshDb *db, const char *name, const char *id, int64_t now_s,
		AshRebootLockAnswer *out_answer, GError **error)
{
	Group group = {0};
	int64_t given = 0;

	*out_answer = ASH_REBOOT_LOCK_DONE;
	if (!read_group(db, name, &group, error))
		return FALSE;
	if (!group.is_there) {
		*out_answer = ASH_REBOOT_LOCK_NO_GROUP;
		return TRUE;
	}
	return ash_db_exec(db, "DELETE FROM lock_hold WHERE \"group\" = $1 AND id = $2",
			       ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(id)), &given, error) &&
	       (given == 0 || tell(db, name, id, "gave back", now_s, error));
}

/* ---- requests ---- */

gboolean ash_reboot_lock_parse(GBytes *body, char **out_group, char **out_id, GError **error)
{
	g_autoptr(JsonNode) root = NULL;
	g_autoptr(GError) local = NULL;
	JsonObject *params = NULL;
	const char *group = NULL, *id = NULL;

	if (!ash_json_parse(body, MAX_BODY_BYTES, MAX_BODY_DEPTH, &root, &local))
		return ash_throw(error, ASH_REBOOT_LOCK_ERROR, ASH_REBOOT_LOCK_ERROR_REQUEST, "%s",
				local->message);
	if (!JSON_NODE_HOLDS_OBJECT(root) || !ash_json_object(json_node_get_object(root),
							     "client_params", &params, NULL))
		return ash_throw(error, ASH_REBOOT_LOCK_ERROR, ASH_REBOOT_LOCK_ERROR_REQUEST,
				"expected {\"client_params\":{\"id\":…,\"group\":…}}");
	if (!ash_json_text(params, "id", &id, NULL) || !ash_reboot_lock_is_id(id))
		return ash_throw(error, ASH_REBOOT_LOCK_ERROR, ASH_REBOOT_LOCK_ERROR_REQUEST,
				"'id' must be 1 to %d characters without spaces",
				ASH_REBOOT_LOCK_MAX_ID_BYTES);
	if (!ash_json_text(params, "group", &group, NULL) || !ash_reboot_lock_is_group(group))
		return ash_throw(error, ASH_REBOOT_LOCK_ERROR, ASH_REBOOT_LOCK_ERROR_REQUEST,
				"'group' must be 1 to %d letters, digits, dots and hyphens",
				ASH_REBOOT_LOCK_MAX_GROUP_BYTES);
	*out_group = g_strdup(group);
	*out_id = g_strdup(id);
	return TRUE;
}
