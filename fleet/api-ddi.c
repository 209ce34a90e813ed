/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "fleet/change.h"
#include "fleet/ddi-device.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* hawkBit's Direct AshDdiDevice Integration API, the devices' side, below /DEFAULT/controller/v1/{id}. Shapes and statuses are
 * those of hawkbit-ddi-api; where they are silent, what rauc-hawkbit-updater and SWUpdate (suricatta) need: 200 exactly,
 * absolute links, "sha1" and an integer "size", no link outside of a window (SWUpdate answers update "skip" with success).
 */

enum {
	MAX_SLEEP_S = 86399, /* a day goes out as another form, which old clients cannot read */
	MIN_SLEEP_S = 30,
};

/* ---- poll ---- */

static gboolean see(AshRequest *request, gpointer data, GError **error)
{
	AshDdiDevice *device = data;

	return ash_ddi_target_see(request->db, device->target, ash_http_peer(request->call),
			request->server->now(), device->may_add, error);
}

static void add_polling(JsonBuilder *json, const AshDdiDevice *device, int64_t opens_s)
{
	int64_t sleep_s = device->request->server->config->poll_s;

	/* So that it is there when the window opens. */
	if (opens_s > 0)
		sleep_s = MIN(sleep_s, (opens_s - device->request->server->now()) / 3);
	sleep_s = CLAMP(sleep_s, MIN_SLEEP_S, MAX_SLEEP_S);
	g_autofree char *text = g_strdup_printf("%02d:%02d:%02d", (int) (sleep_s / 3600),
			(int) (sleep_s / 60 % 60), (int) (sleep_s % 60));
	ash_json_begin_object(json, "config");
	ash_json_begin_object(json, "polling");
	ash_json_add_text(json, "sleep", text);
	json_builder_end_object(json);
	json_builder_end_object(json);
}

static void add_action_link(JsonBuilder *json, const char *base, const AshDdiAction *action)
{
	if (strcmp(action->state, "canceling") == 0)
		ash_ddi_device_link(
				json, "cancelAction", base, "/cancelAction/%" PRId64, action->id);
	else
		ash_ddi_device_link(json,
				strcmp(action->state, "wait-confirmation") == 0 ? "confirmationBase"
										: "deploymentBase",
				base, "/%s/%" PRId64 "?c=%" PRId64,
				strcmp(action->state, "wait-confirmation") == 0 ? "confirmationBase"
										: "deploymentBase",
				action->id, action->revision);
}

static gboolean poll(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};
	g_autoptr(AshDdiAction) installed = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();
	int64_t wants_attributes = 0, opens_s = 0;
	bool is_found = false;

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!ash_change_run(request, see, &device, error))
		return ash_ddi_device_fail(error);
	if (!ash_ddi_action_next(request->db, device.target, &device.action, error) ||
			!ash_ddi_action_installed(request->db, device.target, &installed, error) ||
			!ash_db_query_int(request->db,
					"SELECT wants_attributes FROM ddi_target WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(device.target)), &is_found,
					&wants_attributes, error))
		return FALSE;
	bool is_open = device.action == NULL ||
		       ash_ddi_action_is_open(device.action, request->server->now(), &opens_s);
	g_autofree char *base = ash_ddi_device_url(&device);
	json_builder_begin_object(json);
	add_polling(json, &device, opens_s);
	ash_json_begin_object(json, "_links");
	if (device.action != NULL && (is_open || strcmp(device.action->state, "canceling") == 0))
		add_action_link(json, base, device.action);
	if (installed != NULL)
		ash_ddi_device_link(json, "installedBase", base, "/installedBase/%" PRId64,
				installed->id);
	if (wants_attributes != 0)
		ash_ddi_device_link(json, "configData", base, "/configData");
	json_builder_end_object(json);
	json_builder_end_object(json);
	return ash_ddi_device_reply(&device, json);
}

/* ---- attributes ---- */

static gboolean write_attributes(AshRequest *request, gpointer data, GError **error)
{
	AshDdiDevice *device = data;
	g_autofree char *old = NULL, *new = NULL;

	if (!ash_db_query_string(request->db, "SELECT attributes FROM ddi_target WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(device->target)), &old, error))
		return FALSE;
	if (old == NULL)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_NOT_FOUND,
				"there is no such target");
	return ash_ddi_merge_attributes(old, request->body, &new, error) &&
	       ash_db_exec(request->db,
			       "UPDATE ddi_target SET attributes = $2, wants_attributes = 0 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(device->target), ASH_DB_T(new)), NULL, error);
}

static gboolean put_attributes(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	return ash_change_run(request, write_attributes, &device, error)
			       ? ash_ddi_device_reply_done(&device)
			       : ash_ddi_device_fail(error);
}

/* ---- what is to be installed ---- */

/* Its state is looked at here: an operator may end or cancel it at the same time. */
static gboolean note_retrieved(AshRequest *request, gpointer data, GError **error)
{
	AshDdiDevice *device = data;

	if (!ash_ddi_device_find(device, error))
		return FALSE;
	if (!device->action->is_active || strcmp(device->action->state, "canceling") == 0 ||
			strcmp(device->action->state, "wait-confirmation") == 0)
		return ash_ddi_device_not_now(error);
	return ash_ddi_action_retrieved(request->db, device->action, request->server->now(), error);
}

static gboolean get_deployment(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!ash_change_run(request, note_retrieved, &device, error))
		return ash_ddi_device_fail(error);
	return ash_ddi_device_reply_deployment(&device, "deployment", error);
}

static gboolean get_installed(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!ash_ddi_device_find(&device, error))
		return FALSE;
	if (strcmp(device.action->state, "finished") != 0)
		return ash_ddi_device_not_now(error);
	return ash_ddi_device_reply_deployment(&device, "deployment", error);
}

static gboolean write_installed(AshRequest *request, gpointer data, GError **error)
{
	AshDdiDevice *device = data;
	g_autoptr(JsonBuilder) json = json_builder_new();
	const char *name = NULL, *version = NULL;
	g_autofree char *old = NULL;

	if (!ash_change_text(request, "name", ASH_DDI_MAX_NAME_BYTES, "", &name, error) ||
			!ash_change_text(request, "version", ASH_DDI_MAX_NAME_BYTES, "", &version,
					error) ||
			!ash_db_query_string(request->db,
					"SELECT installed FROM ddi_target WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(device->target)), &old, error))
		return FALSE;
	if (old == NULL)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_NOT_FOUND,
				"there is no such target");
	json_builder_begin_object(json);
	ash_json_add_text(json, "name", name);
	ash_json_add_text(json, "version", version);
	json_builder_end_object(json);
	g_autofree char *new = g_strchomp(ash_json_format(json, false));
	device->may_add = strcmp(old, new) != 0; /* recorded, not there already */
	return ash_db_exec(request->db, "UPDATE ddi_target SET installed = $2 WHERE id = $1",
			ASH_DB_VALUES(ASH_DB_T(device->target), ASH_DB_T(new)), NULL, error);
}

static gboolean put_installed(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!ash_change_run(request, write_installed, &device, error))
		return ash_ddi_device_fail(error);
	ash_http_reply(request->call, device.may_add ? 201 : 200, NULL, NULL);
	return TRUE;
}

/* ---- feedback ---- */

typedef gboolean (*Take)(AshDb *db, const AshDdiAction *action, const AshDdiFeedback *feedback,
		int64_t now_s, GError **error);

typedef struct {
	AshDdiDevice *device;
	Take take;
} Said;

/* The action is read within the transaction: two that speak at once are one after the other. */
static gboolean write_feedback(AshRequest *request, gpointer data, GError **error)
{
	Said *said = data;
	AshDdiDevice *device = said->device;
	int64_t id = 0;

	if (!ash_change_parse(ash_route_part(request, 1), -1, &id, NULL))
		id = -1;
	ash_ddi_action_free(device->action);
	device->action = NULL;
	return ash_db_lock_events(request->db, error) &&
	       ash_ddi_action_get(request->db, device->target, id, &device->action, error) &&
	       said->take(request->db, device->action, &device->feedback, request->server->now(),
			       error);
}

static gboolean take_feedback(AshRequest *request, Take take, GError **error)
{
	g_auto(AshDdiDevice) device = {0};
	Said said = {&device, take};

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!ash_ddi_feedback_parse(request->body, &device.feedback, error))
		return ash_ddi_device_fail(error);
	if (ash_change_run(request, write_feedback, &said, error))
		return ash_ddi_device_reply_done(&device);
	if (g_error_matches(*error, ASH_DDI_ERROR, ASH_DDI_ERROR_STATE)) {
		ash_http_reply_error(request->call, 405, "state", "%s", (*error)->message);
		g_clear_error(error);
		return TRUE;
	}
	return ash_ddi_device_fail(error);
}

static gboolean post_feedback(AshRequest *request, GError **error)
{
	return take_feedback(request, ash_ddi_feedback, error);
}

static gboolean post_cancel_feedback(AshRequest *request, GError **error)
{
	return take_feedback(request, ash_ddi_cancel_feedback, error);
}

static gboolean get_cancel(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!ash_ddi_device_find(&device, error))
		return FALSE;
	if (strcmp(device.action->state, "canceling") != 0)
		return ash_ddi_device_not_now(error);
	g_autofree char *id = g_strdup_printf("%" PRId64, device.action->id);
	json_builder_begin_object(json);
	ash_json_add_text(json, "id", id);
	ash_json_begin_object(json, "cancelAction");
	ash_json_add_text(json, "stopId", id);
	json_builder_end_object(json);
	json_builder_end_object(json);
	return ash_ddi_device_reply(&device, json);
}

/* ---- confirmation ---- */

static gboolean get_confirmations(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *confirms = NULL;

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!ash_db_query_string(request->db, "SELECT auto_confirm FROM ddi_target WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(device.target)), &confirms, error))
		return FALSE;
	if (confirms == NULL)
		return ash_ddi_device_not_now(error);
	if (!ash_ddi_action_next(request->db, device.target, &device.action, error))
		return FALSE;
	g_autofree char *base = ash_ddi_device_url(&device);
	json_builder_begin_object(json);
	ash_json_begin_object(json, "autoConfirm");
	ash_json_add_bool(json, "active", *confirms != '\0');
	json_builder_end_object(json);
	ash_json_begin_object(json, "_links");
	ash_ddi_device_link(json,
			*confirms != '\0' ? "deactivateAutoConfirm" : "activateAutoConfirm", base,
			"/confirmationBase/%s",
			*confirms != '\0' ? "deactivateAutoConfirm" : "activateAutoConfirm");
	if (device.action != NULL && strcmp(device.action->state, "wait-confirmation") == 0)
		add_action_link(json, base, device.action);
	json_builder_end_object(json);
	json_builder_end_object(json);
	return ash_ddi_device_reply(&device, json);
}

static gboolean get_confirmation(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!ash_ddi_device_find(&device, error))
		return FALSE;
	if (strcmp(device.action->state, "wait-confirmation") != 0)
		return ash_ddi_device_not_now(error);
	return ash_ddi_device_reply_deployment(&device, "confirmation", error);
}

static gboolean confirm(AshDb *db, const AshDdiAction *action, const AshDdiFeedback *feedback,
		int64_t now_s, GError **error)
{
	return ash_ddi_confirm(db, action, true, feedback, now_s, error);
}

static gboolean deny(AshDb *db, const AshDdiAction *action, const AshDdiFeedback *feedback,
		int64_t now_s, GError **error)
{
	return ash_ddi_confirm(db, action, false, feedback, now_s, error);
}

static gboolean post_confirmation(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};
	const char *answer = ash_json_find_text(request->body, "confirmation");
	bool is_yes = g_strcmp0(answer, "confirmed") == 0;
	Said said = {&device, is_yes ? confirm : deny};

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	if (!is_yes && g_strcmp0(answer, "denied") != 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'confirmation' is confirmed or denied");
	return ash_change_run(request, write_feedback, &said, error)
			       ? ash_ddi_device_reply_done(&device)
			       : ash_ddi_device_fail(error);
}

static gboolean write_auto(AshRequest *request, gpointer data, GError **error)
{
	AshDdiDevice *device = data;
	bool is_on = g_str_has_suffix(ash_http_path(request->call), "/activateAutoConfirm");
	const char *text = is_on ? "{\"active\":true}" : "";
	g_autofree char *now = NULL;

	if (!ash_db_query_string(request->db, "SELECT auto_confirm FROM ddi_target WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(device->target)), &now, error))
		return FALSE;
	if (now == NULL)
		return ash_throw(error, ASH_DDI_ERROR, ASH_DDI_ERROR_NOT_FOUND,
				"there is no such target");
	if (is_on && *now != '\0')
		return ash_throw(
				error, ASH_DDI_ERROR, ASH_DDI_ERROR_EXISTS, "it is active already");
	return ash_db_exec(request->db, "UPDATE ddi_target SET auto_confirm = $2 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_T(device->target), ASH_DB_T(text)), NULL,
			       error) &&
	       (!is_on || ash_db_exec(request->db,
					  "UPDATE ddi_action SET state = 'running' WHERE target = $1 AND "
					  "state = 'wait-confirmation'",
					  ASH_DB_VALUES(ASH_DB_T(device->target)), NULL, error));
}

static gboolean set_auto(AshRequest *request, GError **error)
{
	g_auto(AshDdiDevice) device = {0};

	if (!ash_ddi_device_begin(request, &device, error))
		return *error == NULL;
	return ash_change_run(request, write_auto, &device, error)
			       ? ash_ddi_device_reply_done(&device)
			       : ash_ddi_device_fail(error);
}

/* ---- routes ---- */

static const AshRouteMember attributes_members[] = {
		{"mode", "string", false, "merge (default), replace or remove"},
		{"data", "object", true, "texts by name; null removes"},
		{0},
};
static const AshRouteMember feedback_members[] = {
		{"status", "object", true,
				"{\"execution\":…,\"result\":{\"finished\":…},\"details\":[…]}"},
		{0},
};
static const AshRouteMember confirmation_members[] = {
		{"confirmation", "string", true, "confirmed or denied"},
		{0},
};
static const AshRouteMember installed_members[] = {
		{"name", "string", true, "of the set"},
		{"version", "string", true, "of the set"},
		{0},
};
static const AshRouteMember any_members[] = {
		{"initiator", "string", false, "who"},
		{"remark", "string", false, "why"},
		{0},
};
static const AshRouteMember deployment_arguments[] = {
		{"c", "string", false, "changes when the deployment does"},
		{"actionHistory", "string", false, "so many of the last messages"},
		{0},
};

#define BASE "/DEFAULT/controller/v1/{id}"
#define DDI .is_open_body = true, .is_unlimited = true

const AshRoute ash_api_ddi_routes[] = {
		{"GET", BASE, ASH_ROLE_NONE, "DDI: poll", poll,
				.answer = "{\"config\":{\"polling\":{\"sleep\":\"00:05:00\"}},\"_links\":{}}",
				DDI},
		{"PUT", BASE "/configData", ASH_ROLE_NONE, "DDI: attributes", put_attributes,
				.members = attributes_members, DDI},
		{"GET", BASE "/deploymentBase/{action}", ASH_ROLE_NONE, "DDI: what to install",
				get_deployment, .arguments = deployment_arguments, DDI},
		{"POST", BASE "/deploymentBase/{action}/feedback", ASH_ROLE_NONE,
				"DDI: how it goes", post_feedback, .members = feedback_members,
				DDI},
		{"GET", BASE "/cancelAction/{action}", ASH_ROLE_NONE, "DDI: what to cancel",
				get_cancel, DDI},
		{"POST", BASE "/cancelAction/{action}/feedback", ASH_ROLE_NONE,
				"DDI: is it cancelled?", post_cancel_feedback,
				.members = feedback_members, DDI},
		{"GET", BASE "/installedBase/{action}", ASH_ROLE_NONE, "DDI: what is installed",
				get_installed, .arguments = deployment_arguments, DDI},
		{"PUT", BASE "/installedBase", ASH_ROLE_NONE, "DDI: this is installed",
				put_installed, .members = installed_members, DDI},
		{"GET", BASE "/confirmationBase", ASH_ROLE_NONE, "DDI: confirmations",
				get_confirmations, DDI},
		{"GET", BASE "/confirmationBase/{action}", ASH_ROLE_NONE, "DDI: what to confirm",
				get_confirmation, .arguments = deployment_arguments, DDI},
		{"POST", BASE "/confirmationBase/{action}/feedback", ASH_ROLE_NONE,
				"DDI: confirm or deny", post_confirmation,
				.members = confirmation_members, DDI},
		{"POST", BASE "/confirmationBase/activateAutoConfirm", ASH_ROLE_NONE,
				"DDI: confirm all from now on", set_auto, .members = any_members,
				DDI},
		{"POST", BASE "/confirmationBase/deactivateAutoConfirm", ASH_ROLE_NONE,
				"DDI: ask again", set_auto, .members = any_members, DDI},
		{0},
};
