/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-export.h"
#include "fleet/api-webhook.h"
#include "fleet/api-workload.h"
#include "fleet/change.h"
#include "fleet/operator.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* What an import does to each kind of thing. Values were checked when they were read. */

typedef gboolean (*Set)(AshRequest *request, const char *name, JsonObject *value, GError **error);
typedef gboolean (*Remove)(AshRequest *request, const char *name, GError **error);

static const char *text_of(JsonObject *value, const char *member)
{
	return json_object_get_string_member(value, member);
}

static char *json_of(JsonObject *value, const char *member)
{
	return json_to_string(json_object_get_member(value, member), FALSE);
}

/* ---- channels ---- */

static gboolean find_release(AshRequest *request, const char *what, const char *arch,
		int64_t *out_id, GError **error)
{
	const char *slash = strrchr(what, '/');
	bool is_found = false;

	*out_id = 0;
	if (*what == '\0')
		return TRUE;
	g_autofree char *name = slash != NULL ? g_strndup(what, (gsize) (slash - what)) : NULL;
	if (slash == NULL ||
			!ash_db_query_int(request->db,
					"SELECT id FROM release WHERE version = $1 AND arch = $2 AND "
					"name || CASE WHEN variant = '' THEN '' ELSE '-' || variant "
					"END = $3",
					ASH_DB_VALUES(ASH_DB_T(slash + 1), ASH_DB_T(arch),
							ASH_DB_T(name)),
					&is_found, out_id, error))
		return error != NULL && *error != NULL
				       ? FALSE
				       : ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
							 "'release' of a channel is NAME/VERSION");
	if (is_found)
		return TRUE;
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
			"there is no release %.128s for %.32s: add it first", what, arch);
}

static gboolean set_channel(
		AshRequest *request, const char *name, JsonObject *value, GError **error)
{
	int64_t release = 0;

	return find_release(request, text_of(value, "release"), text_of(value, "arch"), &release,
			       error) &&
	       ash_db_exec(request->db,
			       "INSERT INTO channel (name, release, note) VALUES ($1, $2, $3) ON "
			       "CONFLICT (name) DO UPDATE SET release = excluded.release, note = "
			       "excluded.note",
			       ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_I(release),
					       ASH_DB_T(text_of(value, "note"))),
			       NULL, error) &&
	       ash_db_exec(request->db,
			       "INSERT INTO channel_history (channel, release, at, actor, reason) "
			       "VALUES ($1, $2, $3, $4, $5)",
			       ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_I(release),
					       ASH_DB_I(request->server->now()),
					       ASH_DB_T(request->actor),
					       ASH_DB_T(*request->reason != '\0' ? request->reason
										 : "import")),
			       NULL, error);
}

static gboolean remove_channel(AshRequest *request, const char *name, GError **error)
{
	return ash_db_exec(request->db, "DELETE FROM channel WHERE name = $1",
			ASH_DB_VALUES(ASH_DB_T(name)), NULL, error);
}

/* ---- policies, locks ---- */

static gboolean set_policy(AshRequest *request, const char *name, JsonObject *value, GError **error)
{
	g_autofree char *windows = json_of(value, "windows");

	return ash_db_exec(request->db,
			"INSERT INTO policy (name, rank, selector, windows, poll_s, note) VALUES ($1, "
			"$2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE SET rank = excluded.rank, "
			"selector = excluded.selector, windows = excluded.windows, poll_s = "
			"excluded.poll_s, note = excluded.note",
			ASH_DB_VALUES(ASH_DB_T(name),
					ASH_DB_I(json_object_get_int_member(value, "rank")),
					ASH_DB_T(text_of(value, "selector")), ASH_DB_T(windows),
					ASH_DB_I(json_object_get_int_member(value, "poll")),
					ASH_DB_T(text_of(value, "note"))),
			NULL, error);
}

static gboolean remove_policy(AshRequest *request, const char *name, GError **error)
{
	return ash_db_exec(request->db, "DELETE FROM policy WHERE name = $1",
			ASH_DB_VALUES(ASH_DB_T(name)), NULL, error);
}

static gboolean set_lock(AshRequest *request, const char *name, JsonObject *value, GError **error)
{
	return ash_db_exec(request->db,
			"INSERT INTO lock_group (name, slots, lease_s, frees_late, paused) VALUES ($1, "
			"$2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET slots = excluded.slots, "
			"lease_s = excluded.lease_s, frees_late = excluded.frees_late, paused = "
			"excluded.paused",
			ASH_DB_VALUES(ASH_DB_T(name),
					ASH_DB_I(json_object_get_int_member(value, "slots")),
					ASH_DB_I(json_object_get_int_member(value, "lease")),
					ASH_DB_I(json_object_get_boolean_member(
							value, "frees_late")),
					ASH_DB_T(text_of(value, "paused"))),
			NULL, error);
}

static gboolean remove_lock(AshRequest *request, const char *name, GError **error)
{
	int64_t holds = 0;

	if (!ash_db_query_int(request->db, "SELECT COUNT(*) FROM lock_hold WHERE \"group\" = $1",
			    ASH_DB_VALUES(ASH_DB_T(name)), NULL, &holds, error))
		return FALSE;
	if (holds > 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"locks of the group '%s' are held: release them first", name);
	return ash_db_exec(request->db, "DELETE FROM lock_group WHERE name = $1",
			ASH_DB_VALUES(ASH_DB_T(name)), NULL, error);
}

/* ---- operators: new ones have no password, so they cannot log in before they are given one ---- */

static gboolean set_operator(
		AshRequest *request, const char *name, JsonObject *value, GError **error)
{
	int64_t now = request->server->now();
	bool is_disabled = json_object_get_boolean_member(value, "disabled");

	return ash_db_exec(request->db,
			       "INSERT INTO operator (name, password, role, scope, created_at, "
			       "disabled_at) VALUES ($1, '', $2, $3, $4, $5) ON CONFLICT (name) DO "
			       "UPDATE SET role = excluded.role, scope = excluded.scope, disabled_at = "
			       "excluded.disabled_at",
			       ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(text_of(value, "role")),
					       ASH_DB_T(text_of(value, "scope")), ASH_DB_I(now),
					       ASH_DB_I(is_disabled ? now : 0)),
			       NULL, error) &&
	       (!is_disabled || ash_operator_end_sessions(request->db, name, error));
}

static gboolean remove_operator(AshRequest *request, const char *name, GError **error)
{
	return ash_operator_end_sessions(request->db, name, error) &&
	       ash_db_exec(request->db, "DELETE FROM operator WHERE name = $1",
			       ASH_DB_VALUES(ASH_DB_T(name)), NULL, error);
}

/* ---- webhooks, labels ---- */

static gboolean set_webhook(
		AshRequest *request, const char *name, JsonObject *value, GError **error)
{
	g_autofree char *kinds = json_of(value, "kinds");

	return ash_db_exec(request->db, "UPDATE webhook SET kinds = $2, note = $3 WHERE url = $1",
			ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(kinds),
					ASH_DB_T(text_of(value, "note"))),
			NULL, error);
}

static gboolean remove_webhook(AshRequest *request, const char *name, GError **error)
{
	return ash_db_exec(request->db,
			       "DELETE FROM webhook_delivery WHERE webhook IN (SELECT id FROM webhook "
			       "WHERE url = $1)",
			       ASH_DB_VALUES(ASH_DB_T(name)), NULL, error) &&
	       ash_db_exec(request->db, "DELETE FROM webhook WHERE url = $1",
			       ASH_DB_VALUES(ASH_DB_T(name)), NULL, error);
}

static gboolean set_labels(AshRequest *request, const char *name, JsonObject *value, GError **error)
{
	g_autofree char *labels = json_of(value, "labels");
	g_autofree char *data = g_strdup_printf("{\"labels\":%s}", labels);
	const AshEvent event = {
			.at_s = request->server->now(),
			.kind = "host.labels",
			.host = name,
			.actor = request->actor,
			.text = "labels were imported",
			.data = data,
	};

	return ash_db_exec(request->db, "UPDATE host SET labels = $2 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(labels)), NULL, error) &&
	       ash_event_append(request->db, &event, error);
}

/* ---- assignments ---- */

/* An import says how it is to be; that a version may touch more is to be said by itself. */
static gboolean check_narrow(AshRequest *request, const char *name, const char *id,
		const AshWorkload *wanted, GError **error)
{
	g_autofree char *from = NULL;
	g_autoptr(AshWorkload) before = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();
	bool is_wider = false;

	if (!ash_db_query_string(request->db, "SELECT version FROM assignment WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), &from, error))
		return FALSE;
	if (from == NULL || *from == '\0' ||
			!ash_fleet_workload_load(request->db, name, from, &before, NULL, NULL))
		return TRUE;
	json_builder_begin_object(json);
	ash_fleet_workload_add_changes(json, before, wanted, &is_wider);
	return !is_wider ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
			       "%s %s may touch more than %s: assign it by itself, with \"widen\"",
			       name, wanted->version, from);
}

/* @out_parameters: as they are kept. */
static gboolean check_assigned(AshRequest *request, const char *id, JsonObject *value,
		char **out_parameters, GError **error)
{
	const char *name = text_of(value, "workload"), *version = text_of(value, "version");
	g_autofree char *rollout = NULL;
	g_autoptr(AshWorkload) workload = NULL;

	if (!ash_api_assignment_rollout(request->db, id, &rollout, error))
		return FALSE;
	if (rollout != NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"rollout %s moves it: cancel or revert that first", rollout);
	if (*version == '\0') {
		*out_parameters = json_of(value, "parameters");
		return TRUE;
	}
	if (!ash_fleet_workload_load(request->db, name, version, &workload, NULL, error) ||
			!check_narrow(request, name, id, workload, error) ||
			!ash_fleet_workload_check_parameters(workload,
					json_object_get_object_member(value, "parameters"),
					out_parameters, error))
		return ash_change_answer(
				error, ASH_FLEET_WORKLOAD_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
	return TRUE;
}

static gboolean set_assignment(
		AshRequest *request, const char *name, JsonObject *value, GError **error)
{
	g_autofree char *parameters = NULL;

	return check_assigned(request, name, value, &parameters, error) &&
	       ash_db_exec(request->db,
			       "INSERT INTO assignment (id, workload, version, selector, rank, "
			       "parameters, note) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) "
			       "DO UPDATE SET workload = excluded.workload, version = "
			       "excluded.version, selector = excluded.selector, rank = excluded.rank, "
			       "parameters = excluded.parameters, note = excluded.note, serial = "
			       "assignment.serial + 1, moved_by = ''",
			       ASH_DB_VALUES(ASH_DB_T(name), ASH_DB_T(text_of(value, "workload")),
					       ASH_DB_T(text_of(value, "version")),
					       ASH_DB_T(text_of(value, "selector")),
					       ASH_DB_I(json_object_get_int_member(value, "rank")),
					       ASH_DB_T(parameters),
					       ASH_DB_T(text_of(value, "note"))),
			       NULL, error);
}

static gboolean remove_assignment(AshRequest *request, const char *name, GError **error)
{
	g_autofree char *rollout = NULL;

	if (!ash_api_assignment_rollout(request->db, name, &rollout, error))
		return FALSE;
	if (rollout != NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"rollout %s moves it: cancel or revert that first", rollout);
	return ash_db_exec(request->db, "DELETE FROM assignment WHERE id = $1",
			ASH_DB_VALUES(ASH_DB_T(name)), NULL, error);
}

/* ---- each ---- */

static const struct {
	Set set;
	Remove remove;
	const char *event; /* NULL: says so itself, or nobody has to know */
} acts[ASH_EXPORT_KINDS] = {
		[ASH_EXPORT_CHANNEL] = {set_channel, remove_channel, "channel.changed"},
		[ASH_EXPORT_POLICY] = {set_policy, remove_policy, "policy.changed"},
		[ASH_EXPORT_LOCK] = {set_lock, remove_lock, "lock.changed"},
		[ASH_EXPORT_OPERATOR] = {set_operator, remove_operator, "operator.changed"},
		[ASH_EXPORT_WEBHOOK] = {set_webhook, remove_webhook, NULL},
		[ASH_EXPORT_ASSIGNMENT] = {set_assignment, remove_assignment, "assignment.changed"},
		[ASH_EXPORT_HOST] = {set_labels, NULL, NULL},
};

static char *value_text(const AshExportItem *item)
{
	if (item == NULL)
		return NULL;
	g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), item->value);
	return json_to_string(node, FALSE);
}

static gboolean make_webhook(AshRequest *request, const AshExportItem *item, JsonBuilder *secrets,
		GError **error)
{
	g_autofree char *kinds = json_of(item->value, "kinds");
	g_autofree char *id = NULL;
	g_autofree char *secret = NULL;

	if (!ash_api_webhook_insert(request, item->name, kinds, text_of(item->value, "note"), &id,
			    &secret, error))
		return FALSE;
	json_builder_begin_object(secrets);
	ash_json_add_text(secrets, "url", item->name);
	ash_json_add_text(secrets, "secret", secret);
	json_builder_end_object(secrets);
	return TRUE;
}

gboolean ash_import_apply(AshRequest *request, const AshExportChange *change, JsonBuilder *secrets,
		GError **error)
{
	const char *kind = ash_export_kind_text(change->kind);
	const AshExportItem *item = change->after != NULL ? change->after : change->before;
	ASH_PREFIX("%s '%.128s'", kind, item->name);

	if (change->kind == ASH_EXPORT_WEBHOOK && change->before == NULL)
		return make_webhook(request, item, secrets, error);
	if (!(change->after != NULL ? acts[change->kind].set(
						      request, item->name, item->value, error)
				    : acts[change->kind].remove(request, item->name, error)))
		return FALSE;
	g_autofree char *before = value_text(change->before);
	g_autofree char *after = value_text(change->after);
	g_autofree char *action = g_strconcat("import.", kind, NULL);
	/* A webhook's address may be known to its receiver alone. */
	g_autofree char *object = change->kind == ASH_EXPORT_WEBHOOK
						  ? g_strdup("webhook")
						  : g_strconcat(kind, ":", item->name, NULL);
	g_autofree char *text = g_strdup_printf("%s %s was %s by an import", kind, item->name,
			change->after == NULL    ? "removed"
			: change->before == NULL ? "made"
						 : "changed");
	return ash_route_audit(request, action, object, before, after, error) &&
	       (acts[change->kind].event == NULL ||
			       ash_change_event(request, acts[change->kind].event, text, NULL,
					       error));
}
