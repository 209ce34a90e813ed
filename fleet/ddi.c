/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/ddi.h"

#include <inttypes.h>
#include <string.h>

#include "fleet/event.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/window.h"

G_DEFINE_QUARK(ash_ddi_error, ash_ddi_error)

enum {
	MAX_LAST = 100, /* a cancellation may be refused so often */
};

#define ACTION                                                                                     \
	"id, target, name, version, modules, kind, state, is_active, weight, schedule, revision"

void ash_ddi_action_free(AshDdiAction *action)
{
	if (action == NULL)
		return;
	g_free(action->target);
	g_free(action->name);
	g_free(action->version);
	g_free(action->modules);
	g_free(action->kind);
	g_free(action->state);
	g_free(action->schedule);
	g_free(action);
}

bool ash_ddi_is_id(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > ASH_DDI_MAX_ID_BYTES || !g_utf8_validate(text, -1, NULL))
		return false;
	for (size_t i = 0; i < length; i++)
		if ((guchar) text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

/* ---- targets ---- */

gboolean ash_ddi_target_see(AshDb *db, const char *id, const char *address, int64_t now_s,
		bool may_add, GError **error)
{
	int64_t seen = 0, added = 0, count = 0;
	bool is_found = false;

	if (!ash_db_exec(db, "UPDATE ddi_target SET last_seen = $2, address = $3 WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(now_s), ASH_DB_T(address)), &seen,
			    error))
		return FALSE;
	if (seen > 0)
		return TRUE;
	if (!may_add)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_NOT_FOUND,
				"there is no such target");
	if (!ash_db_query_int(
			    db, "SELECT count(*) FROM ddi_target", NULL, &is_found, &count, error))
		return FALSE;
	if (count >= ASH_DDI_MAX_TARGETS)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_QUOTA,
				"there are %d targets already", ASH_DDI_MAX_TARGETS);
	return ash_db_exec(db,
			"INSERT INTO ddi_target (id, created_at, last_seen, address) VALUES ($1, $2, $2, $3) "
			"ON CONFLICT (id) DO NOTHING",
			ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(now_s), ASH_DB_T(address)), &added,
			error);
}

/* ---- actions ---- */

static gboolean take_action(const AshDbRow *row, gpointer data, GError **error)
{
	AshDdiAction **out = data;
	AshDdiAction *action = g_new0(AshDdiAction, 1);

	action->id = ash_db_row_int(row, 0);
	action->target = g_strdup(ash_db_row_text(row, 1));
	action->name = g_strdup(ash_db_row_text(row, 2));
	action->version = g_strdup(ash_db_row_text(row, 3));
	action->modules = g_strdup(ash_db_row_text(row, 4));
	action->kind = g_strdup(ash_db_row_text(row, 5));
	action->state = g_strdup(ash_db_row_text(row, 6));
	action->is_active = ash_db_row_int(row, 7) != 0;
	action->weight = ash_db_row_int(row, 8);
	action->schedule = g_strdup(ash_db_row_text(row, 9));
	action->revision = ash_db_row_int(row, 10);
	ash_ddi_action_free(*out);
	*out = action;
	return TRUE;
}

gboolean ash_ddi_action_get(AshDb *db, const char *target, int64_t id, AshDdiAction **out_action,
		GError **error)
{
	g_autoptr(AshDdiAction) action = NULL;

	if (!ash_db_query(db, "SELECT " ACTION " FROM ddi_action WHERE id = $1 AND target = $2",
			    ASH_DB_VALUES(ASH_DB_I(id), ASH_DB_T(target)), take_action, &action,
			    error))
		return FALSE;
	if (action == NULL)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_NOT_FOUND,
				"the target has no such action");
	*out_action = g_steal_pointer(&action);
	return TRUE;
}

gboolean ash_ddi_action_next(
		AshDb *db, const char *target, AshDdiAction **out_action, GError **error)
{
	return ash_db_query(db,
			"SELECT " ACTION
			" FROM ddi_action WHERE target = $1 AND is_active = 1 ORDER BY weight DESC, id LIMIT 1",
			ASH_DB_VALUES(ASH_DB_T(target)), take_action, out_action, error);
}

gboolean ash_ddi_action_installed(
		AshDb *db, const char *target, AshDdiAction **out_action, GError **error)
{
	return ash_db_query(db,
			"SELECT " ACTION
			" FROM ddi_action WHERE target = $1 AND state = 'finished' ORDER BY id DESC LIMIT 1",
			ASH_DB_VALUES(ASH_DB_T(target)), take_action, out_action, error);
}

bool ash_ddi_action_is_open(const AshDdiAction *action, int64_t now_s, int64_t *out_opens_s)
{
	g_autoptr(GPtrArray) windows =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_window_free);
	AshWindow *window = NULL;
	int64_t change_s = INT64_MAX;
	bool is_open = true;

	*out_opens_s = 0;
	if (*action->schedule == '\0' || !ash_window_parse(action->schedule, &window, NULL))
		return true;
	g_ptr_array_add(windows, window);
	ash_window_next(windows, now_s, &is_open, &change_s);
	if (!is_open && change_s != INT64_MAX)
		*out_opens_s = change_s;
	return is_open;
}

/* ---- what happens to one ---- */

/* What ends an action is taken in whatever the device has said before. */
static bool is_last(const char *state)
{
	return strcmp(state, "closed") == 0 || strcmp(state, "canceled") == 0;
}

static gboolean add_status(AshDb *db, const AshDdiAction *action, const char *state,
		char *const *messages, int64_t now_s, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	int64_t count = 0;
	bool is_found = false;

	if (!ash_db_query_int(db, "SELECT count(*) FROM ddi_status WHERE action = $1",
			    ASH_DB_VALUES(ASH_DB_I(action->id)), &is_found, &count, error))
		return FALSE;
	if (count >= ASH_DDI_MAX_STATUSES + (is_last(state) ? MAX_LAST : 0))
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_QUOTA,
				"an action takes %d status messages at most", ASH_DDI_MAX_STATUSES);
	json_builder_begin_array(json);
	for (; messages != NULL && *messages != NULL; messages++)
		json_builder_add_string_value(json, *messages);
	json_builder_end_array(json);
	g_autoptr(JsonNode) root = json_builder_get_root(json);
	g_autofree char *text = json_to_string(root, FALSE);
	return ash_db_exec(db,
			"INSERT INTO ddi_status (action, at, state, messages) VALUES ($1, $2, $3, $4)",
			ASH_DB_VALUES(ASH_DB_I(action->id), ASH_DB_I(now_s), ASH_DB_T(state),
					ASH_DB_T(text)),
			NULL, error);
}

static gboolean set_state(AshDb *db, const AshDdiAction *action, const char *state, bool is_active,
		GError **error)
{
	return ash_db_exec(db, "UPDATE ddi_action SET state = $2, is_active = $3 WHERE id = $1",
			ASH_DB_VALUES(ASH_DB_I(action->id), ASH_DB_T(state), ASH_DB_I(is_active)),
			NULL, error);
}

static gboolean tell(AshDb *db, const AshDdiAction *action, const char *state, int64_t now_s,
		GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *text = g_strdup_printf(
			"%s: %s %s is %s", action->target, action->name, action->version, state);

	json_builder_begin_object(json);
	ash_json_add_text(json, "target", action->target);
	ash_json_add_int(json, "action", action->id);
	ash_json_add_text(json, "state", state);
	json_builder_end_object(json);
	g_autofree char *data = g_strchomp(ash_json_format(json, false));
	AshEvent event = {.at_s = now_s, .kind = "ddi.changed", .text = text, .data = data};
	return ash_db_lock_events(db, error) && ash_event_append(db, &event, error);
}

static gboolean end_action(AshDb *db, const AshDdiAction *action, const char *state, int64_t now_s,
		GError **error)
{
	return set_state(db, action, state, false, error) && tell(db, action, state, now_s, error);
}

gboolean ash_ddi_action_retrieved(
		AshDb *db, const AshDdiAction *action, int64_t now_s, GError **error)
{
	char note[] = "The target has looked at it.";
	char *messages[] = {note, NULL};

	int64_t count = 0;
	bool is_found = false;

	if (!ash_db_query_int(db,
			    "SELECT count(*) FROM ddi_status WHERE action = $1 AND state = 'retrieved'",
			    ASH_DB_VALUES(ASH_DB_I(action->id)), &is_found, &count, error))
		return FALSE;
	if (count > 0)
		return TRUE;
	return (strcmp(action->state, "running") != 0 ||
			       set_state(db, action, "retrieved", true, error)) &&
	       add_status(db, action, "retrieved", messages, now_s, error);
}

/* The device runs it: it is in sync, and is asked for its attributes again. */
static gboolean finish(AshDb *db, const AshDdiAction *action, int64_t now_s, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_text(json, "name", action->name);
	ash_json_add_text(json, "version", action->version);
	json_builder_end_object(json);
	g_autofree char *installed = g_strchomp(ash_json_format(json, false));
	return ash_db_exec(db, "UPDATE ddi_target SET wants_attributes = 1, installed = $2 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(action->target), ASH_DB_T(installed)), NULL,
			       error) &&
	       end_action(db, action, "finished", now_s, error);
}

gboolean ash_ddi_feedback(AshDb *db, const AshDdiAction *action, const AshDdiFeedback *feedback,
		int64_t now_s, GError **error)
{
	const char *execution = feedback->execution;
	bool is_canceling = strcmp(action->state, "canceling") == 0;

	if (!action->is_active)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_GONE, "the action has ended");
	if (!add_status(db, action, execution, feedback->messages, now_s, error))
		return FALSE;
	/* It wins over a cancellation that is on its way: the device has already done it. */
	if (strcmp(execution, "closed") == 0)
		return strcmp(feedback->finished, "failure") == 0
				       ? end_action(db, action, "error", now_s, error)
				       : finish(db, action, now_s, error);
	if (strcmp(execution, "canceled") == 0)
		return end_action(db, action, "canceled", now_s, error);
	if (is_canceling)
		return TRUE;
	if (strcmp(execution, "downloaded") == 0 && strcmp(action->kind, "download-only") == 0)
		return finish(db, action, now_s, error);
	if (strcmp(execution, "rejected") == 0)
		return set_state(db, action, "warning", true, error);
	if (strcmp(execution, "download") == 0 || strcmp(execution, "downloaded") == 0)
		return set_state(db, action, execution, true, error);
	return set_state(db, action, "running", true, error);
}

gboolean ash_ddi_cancel_feedback(AshDb *db, const AshDdiAction *action,
		const AshDdiFeedback *feedback, int64_t now_s, GError **error)
{
	const char *execution = feedback->execution;
	bool has_failed = strcmp(feedback->finished, "failure") == 0;

	if (strcmp(action->state, "canceling") != 0)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_STATE,
				"the action is not being cancelled");
	if (!add_status(db, action, execution, feedback->messages, now_s, error))
		return FALSE;
	if (strcmp(execution, "closed") == 0 && !has_failed)
		return end_action(db, action, "canceled", now_s, error);
	if (strcmp(execution, "closed") == 0 || strcmp(execution, "rejected") == 0)
		return set_state(db, action, "running", true, error);
	return TRUE;
}

gboolean ash_ddi_confirm(AshDb *db, const AshDdiAction *action, bool is_confirmed,
		const AshDdiFeedback *feedback, int64_t now_s, GError **error)
{
	if (!action->is_active)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_GONE, "the action has ended");
	if (strcmp(action->state, "wait-confirmation") != 0)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_NOT_FOUND,
				"the action does not wait for a confirmation");
	return add_status(db, action, is_confirmed ? "confirmed" : "denied", feedback->messages,
			       now_s, error) &&
	       (!is_confirmed || set_state(db, action, "running", true, error));
}

/* ---- operators' acts ---- */

gboolean ash_ddi_cancel(AshDb *db, const AshDdiAction *action, int64_t now_s, GError **error)
{
	if (!action->is_active)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_GONE, "the action has ended");
	if (strcmp(action->state, "wait-confirmation") == 0)
		return end_action(db, action, "canceled", now_s, error);
	return set_state(db, action, "canceling", true, error) &&
	       tell(db, action, "canceling", now_s, error);
}

gboolean ash_ddi_quit(AshDb *db, const AshDdiAction *action, int64_t now_s, GError **error)
{
	if (!action->is_active)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_GONE, "the action has ended");
	return end_action(db, action, "canceled", now_s, error);
}

gboolean ash_ddi_force(AshDb *db, const AshDdiAction *action, int64_t now_s, GError **error)
{
	if (!action->is_active)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_GONE, "the action has ended");
	if (strcmp(action->kind, "soft") != 0)
		return TRUE;
	return ash_db_exec(db, "UPDATE ddi_action SET kind = 'forced', revision = revision + 1 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_I(action->id)), NULL, error) &&
	       tell(db, action, "forced", now_s, error);
}

static gboolean take_every(const AshDbRow *row, gpointer data, GError **error)
{
	AshDdiAction *action = NULL;

	if (!take_action(row, &action, error))
		return FALSE;
	g_ptr_array_add(data, action);
	return TRUE;
}

static gboolean cancel_others(AshDb *db, const char *target, int64_t now_s, GError **error)
{
	g_autoptr(GPtrArray) actions =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_ddi_action_free);

	if (!ash_db_query(db,
			    "SELECT " ACTION " FROM ddi_action WHERE target = $1 AND is_active = 1",
			    ASH_DB_VALUES(ASH_DB_T(target)), take_every, actions, error))
		return FALSE;
	for (guint i = 0; i < actions->len; i++) {
		const AshDdiAction *action = actions->pdata[i];
		if (strcmp(action->state, "canceling") != 0 &&
				!ash_ddi_cancel(db, action, now_s, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_ddi_assign(AshDb *db, const AshDdiAssignment *assignment, int64_t now_s,
		int64_t *out_id, GError **error)
{
	const char *target = assignment->target;
	g_autofree char *confirms = NULL;
	int64_t count = 0;
	bool is_found = false;

	if (!ash_db_query_string(db, "SELECT auto_confirm FROM ddi_target WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(target)), &confirms, error) ||
			!ash_db_query_int(db, "SELECT count(*) FROM ddi_action WHERE target = $1",
					ASH_DB_VALUES(ASH_DB_T(target)), &is_found, &count, error))
		return FALSE;
	if (confirms == NULL)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_NOT_FOUND,
				"there is no target '%.64s'", target);
	if (count >= ASH_DDI_MAX_ACTIONS)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_QUOTA,
				"a target has %d actions at most", ASH_DDI_MAX_ACTIONS);
	if (!assignment->beside && !cancel_others(db, target, now_s, error))
		return FALSE;
	const char *state = assignment->needs_confirmation && *confirms == '\0'
					    ? "wait-confirmation"
					    : "running";
	if (!ash_db_query_int(db,
			    "INSERT INTO ddi_action (target, name, version, modules, kind, state, weight, schedule, "
			    "created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
			    ASH_DB_VALUES(ASH_DB_T(target), ASH_DB_T(assignment->name),
					    ASH_DB_T(assignment->version),
					    ASH_DB_T(assignment->modules),
					    ASH_DB_T(assignment->kind), ASH_DB_T(state),
					    ASH_DB_I(assignment->weight),
					    ASH_DB_T(assignment->schedule), ASH_DB_I(now_s),
					    ASH_DB_T(assignment->created_by)),
			    &is_found, out_id, error))
		return FALSE;
	AshDdiAction action = {.id = *out_id,
			.target = (char *) (uintptr_t) target,
			.name = (char *) (uintptr_t) assignment->name,
			.version = (char *) (uintptr_t) assignment->version};
	return tell(db, &action, "assigned", now_s, error);
}

/* ---- requests ---- */

static bool is_short(const char *text, size_t max)
{
	return strlen(text) <= max;
}

gboolean ash_ddi_merge_attributes(const char *old, JsonObject *body, char **out_new, GError **error)
{
	const char *mode = ash_json_find_text(body, "mode") ?: "merge";
	JsonObject *data = ash_json_find_object(body, "data");
	bool is_replace = strcmp(mode, "replace") == 0, is_remove = strcmp(mode, "remove") == 0;
	g_autoptr(JsonNode) root = json_from_string(is_replace ? "{}" : old, NULL);
	JsonObjectIter iter;
	const char *key = NULL;
	JsonNode *node = NULL;

	if (!is_replace && !is_remove && strcmp(mode, "merge") != 0)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_REQUEST,
				"'mode' is merge, replace or remove");
	if (data == NULL || root == NULL || !JSON_NODE_HOLDS_OBJECT(root))
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_REQUEST,
				"'data' must be an object");
	JsonObject *attributes = json_node_get_object(root);
	json_object_iter_init(&iter, data);
	while (json_object_iter_next(&iter, &key, &node)) {
		if (!is_short(key, ASH_DDI_MAX_ATTRIBUTE_BYTES))
			return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_REQUEST,
					"a key has %d bytes at most", ASH_DDI_MAX_ATTRIBUTE_BYTES);
		if (is_remove || JSON_NODE_HOLDS_NULL(node)) {
			json_object_remove_member(attributes, key);
			continue;
		}
		const char *value = JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) ==
										    G_TYPE_STRING
						    ? json_node_get_string(node)
						    : NULL;
		if (value == NULL || !is_short(value, ASH_DDI_MAX_ATTRIBUTE_BYTES))
			return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_REQUEST,
					"the value of '%s' must be a text of %d bytes at most", key,
					ASH_DDI_MAX_ATTRIBUTE_BYTES);
		json_object_set_string_member(attributes, key, value);
	}
	if (json_object_get_size(attributes) > ASH_DDI_MAX_ATTRIBUTES)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_QUOTA,
				"a target has %d attributes at most", ASH_DDI_MAX_ATTRIBUTES);
	*out_new = json_to_string(root, FALSE);
	return TRUE;
}

static gboolean take_messages(JsonObject *object, char ***out_messages, GError **error)
{
	g_autoptr(GPtrArray) messages = g_ptr_array_new_with_free_func(g_free);
	JsonNode *node = json_object_get_member(object, "details");

	if (node == NULL || JSON_NODE_HOLDS_NULL(node))
		return TRUE;
	if (!JSON_NODE_HOLDS_ARRAY(node))
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_REQUEST,
				"'details' must be an array of texts");
	JsonArray *array = json_node_get_array(node);
	for (guint i = 0; i < MIN(json_array_get_length(array), (guint) ASH_DDI_MAX_MESSAGES);
			i++) {
		JsonNode *item = json_array_get_element(array, i);
		if (!JSON_NODE_HOLDS_VALUE(item) || json_node_get_value_type(item) != G_TYPE_STRING)
			return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_REQUEST,
					"'details' must be an array of texts");
		g_autofree char *cut =
				g_strndup(json_node_get_string(item), ASH_DDI_MAX_MESSAGE_BYTES);
		g_ptr_array_add(messages, g_utf8_make_valid(cut, -1));
	}
	g_ptr_array_add(messages, NULL);
	*out_messages = (char **) g_ptr_array_steal(messages, NULL);
	return TRUE;
}

gboolean ash_ddi_feedback_parse(JsonObject *body, AshDdiFeedback *out_feedback, GError **error)
{
	static const char *const executions[] = {"closed", "proceeding", "canceled", "scheduled",
			"rejected", "resumed", "download", "downloaded", NULL};
	static const char *const results[] = {"success", "failure", "none", NULL};
	JsonObject *status = ash_json_find_object(body, "status");
	JsonObject *result = ash_json_find_object(status, "result");
	const char *execution = ash_json_find_text(status, "execution");
	const char *finished = ash_json_find_text(result, "finished");

	if (execution == NULL || !g_strv_contains(executions, execution))
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_REQUEST,
				"'status.execution' is missing, or none that is known");
	if (finished == NULL || !g_strv_contains(results, finished))
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_REQUEST,
				"'status.result.finished' is success, failure or none");
	out_feedback->execution = execution;
	out_feedback->finished = finished;
	return take_messages(status, &out_feedback->messages, error);
}
