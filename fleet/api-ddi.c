/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "fleet/change.h"
#include "fleet/ddi.h"
#include "fleet/server.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/json.h"

/* hawkBit's Direct Device Integration API, the devices' side, below /DEFAULT/controller/v1/{id}. Shapes and statuses are
 * those of hawkbit-ddi-api; where they are silent, what rauc-hawkbit-updater and SWUpdate (suricatta) need: 200 exactly,
 * absolute links, "sha1" and an integer "size", no link outside of a window (SWUpdate answers update "skip" with success).
 */

enum {
	MAX_SLEEP_S = 86399, /* a day goes out as another form, which old clients cannot read */
	MIN_SLEEP_S = 30,
	MAX_MODULE_ARTIFACTS = 64,
};

typedef struct {
	AshRequest *request;
	const char *target;
	AshDdiAction *action;
	AshDdiFeedback feedback;
	bool may_add;
} Device;

static void device_clear(Device *device)
{
	ash_ddi_action_free(device->action);
	g_strfreev(device->feedback.messages);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Device, device_clear)

/* ---- who ---- */

/* In time that does not depend on where they differ. */
static bool is_same_secret(const char *a, const char *b)
{
	size_t length = strlen(a);
	unsigned difference = strlen(b) != length;

	for (size_t i = 0; i < length && b[i] != '\0'; i++)
		difference |= (unsigned) (guchar) (a[i] ^ b[i]);
	return difference == 0;
}

static gboolean check_target_token(AshRequest *request, const char *target, const char *said,
		bool *out_is, GError **error)
{
	g_autofree char *token = NULL;

	if (!ash_db_query_string(request->db, "SELECT token FROM ddi_target WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(target)), &token, error))
		return FALSE;
	*out_is = token != NULL && *token != '\0' && is_same_secret(token, said);
	return TRUE;
}

/* false: answered, or @error. */
static bool begin(AshRequest *request, Device *device, GError **error)
{
	const AshFleetConfig *config = request->server->config;
	const char *header = ash_http_header(request->call, "Authorization");
	const char *key = ash_http_peer_key(request->call);
	bool is_known = false;

	device->request = request;
	device->target = ash_route_part(request, 0);
	if (!config->ddi_enabled)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"this server has 'ddi' switched off");
	if (!ash_ddi_is_id(device->target))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"a controller id has 1 to %d bytes", ASH_DDI_MAX_ID_BYTES);
	if (header != NULL && g_str_has_prefix(header, "TargetToken ")) {
		if (!check_target_token(request, device->target, header + strlen("TargetToken "),
				    &is_known, error))
			return false;
	} else if (header != NULL && g_str_has_prefix(header, "GatewayToken ")) {
		is_known = device->may_add = config->ddi_gateway_token != NULL &&
					     is_same_secret(config->ddi_gateway_token,
							     header + strlen("GatewayToken "));
	} else if (key != NULL) {
		/* A host of this fleet, by its certificate; it may be a target too. */
		is_known = device->may_add = strcmp(key, device->target) == 0;
	}
	if (!is_known)
		ash_http_reply(request->call, 401, NULL, NULL);
	return is_known;
}

static gboolean answer_for(GError **error)
{
	static const struct {
		AshDdiError code;
		AshRouteError answer;
	} answers[] = {{ASH_DDI_ERROR_NOT_FOUND, ASH_ROUTE_ERROR_NOT_FOUND},
			{ASH_DDI_ERROR_GONE, ASH_ROUTE_ERROR_GONE},
			{ASH_DDI_ERROR_EXISTS, ASH_ROUTE_ERROR_CONFLICT},
			{ASH_DDI_ERROR_REQUEST, ASH_ROUTE_ERROR_REQUEST},
			{ASH_DDI_ERROR_QUOTA, ASH_ROUTE_ERROR_TOO_MANY}};

	for (size_t i = 0; i < G_N_ELEMENTS(answers); i++)
		ash_change_answer(error, ASH_DDI_ERROR, (int) answers[i].code, answers[i].answer);
	return FALSE;
}

/* ---- links ---- */

static char *base_url(const Device *device)
{
	AshHttpCall *call = device->request->call;
	const char *host = ash_http_header(call, "Host");
	g_autofree char *id = g_uri_escape_string(device->target, NULL, false);

	return g_strdup_printf("%s://%s/DEFAULT/controller/v1/%s",
			ash_http_is_secure(call) ? "https" : "http",
			host != NULL ? host : "localhost", id);
}

G_GNUC_PRINTF(4, 5)
static void add_link(JsonBuilder *json, const char *name, const char *base, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *path = g_strdup_vprintf(format, args);
	va_end(args);
	g_autofree char *href = g_strconcat(base, path, NULL);
	ash_json_begin_object(json, name);
	ash_json_add_text(json, "href", href);
	json_builder_end_object(json);
}

static gboolean reply(Device *device, JsonBuilder *json)
{
	g_autoptr(JsonNode) root = json_builder_get_root(json);

	ash_http_add_header(device->request->call, "Cache-Control", "no-store");
	ash_http_reply_json(device->request->call, 200, json_to_string(root, FALSE));
	return TRUE;
}

static gboolean reply_done(Device *device)
{
	ash_http_reply(device->request->call, 200, NULL, NULL);
	return TRUE;
}

/* ---- poll ---- */

static gboolean see(AshRequest *request, gpointer data, GError **error)
{
	Device *device = data;

	return ash_ddi_target_see(request->db, device->target, ash_http_peer(request->call),
			request->server->now(), device->may_add, error);
}

static void add_polling(JsonBuilder *json, const Device *device, int64_t opens_s)
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
		add_link(json, "cancelAction", base, "/cancelAction/%" PRId64, action->id);
	else
		add_link(json,
				strcmp(action->state, "wait-confirmation") == 0 ? "confirmationBase"
										: "deploymentBase",
				base, "/%s/%" PRId64 "?c=%" PRId64,
				strcmp(action->state, "wait-confirmation") == 0 ? "confirmationBase"
										: "deploymentBase",
				action->id, action->revision);
}

static gboolean poll(AshRequest *request, GError **error)
{
	g_auto(Device) device = {0};
	g_autoptr(AshDdiAction) installed = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();
	int64_t wants_attributes = 0, opens_s = 0;
	bool is_found = false;

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!ash_change_run(request, see, &device, error))
		return answer_for(error);
	if (!ash_ddi_action_next(request->db, device.target, &device.action, error) ||
			!ash_ddi_action_installed(request->db, device.target, &installed, error) ||
			!ash_db_query_int(request->db,
					"SELECT wants_attributes FROM ddi_target WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_T(device.target)), &is_found,
					&wants_attributes, error))
		return FALSE;
	bool is_open = device.action == NULL ||
		       ash_ddi_action_is_open(device.action, request->server->now(), &opens_s);
	g_autofree char *base = base_url(&device);
	json_builder_begin_object(json);
	add_polling(json, &device, opens_s);
	ash_json_begin_object(json, "_links");
	if (device.action != NULL && (is_open || strcmp(device.action->state, "canceling") == 0))
		add_action_link(json, base, device.action);
	if (installed != NULL)
		add_link(json, "installedBase", base, "/installedBase/%" PRId64, installed->id);
	if (wants_attributes != 0)
		add_link(json, "configData", base, "/configData");
	json_builder_end_object(json);
	json_builder_end_object(json);
	return reply(&device, json);
}

/* ---- attributes ---- */

static gboolean write_attributes(AshRequest *request, gpointer data, GError **error)
{
	Device *device = data;
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
	g_auto(Device) device = {0};

	if (!begin(request, &device, error))
		return *error == NULL;
	return ash_change_run(request, write_attributes, &device, error) ? reply_done(&device)
									 : answer_for(error);
}

/* ---- what is to be installed ---- */

static gboolean find_action(Device *device, GError **error)
{
	int64_t id = 0;

	if (!ash_change_parse(ash_route_part(device->request, 1), -1, &id, NULL))
		id = -1;
	return ash_ddi_action_get(
			       device->request->db, device->target, id, &device->action, error) ||
	       answer_for(error);
}

typedef struct {
	JsonBuilder *json;
	const char *base;
	int64_t module;
	unsigned count;
} Artifacts;

static gboolean take_artifact(const AshDbRow *row, gpointer data, GError **error)
{
	Artifacts *to = data;
	const char *name = ash_db_row_text(row, 0);
	g_autofree char *escaped = g_uri_escape_string(name, NULL, false);

	if (to->count++ >= MAX_MODULE_ARTIFACTS)
		return TRUE;
	json_builder_begin_object(to->json);
	ash_json_add_text(to->json, "filename", name);
	ash_json_begin_object(to->json, "hashes");
	ash_json_add_text(to->json, "sha1", ash_db_row_text(row, 2));
	ash_json_add_text(to->json, "md5", ash_db_row_text(row, 3));
	ash_json_add_text(to->json, "sha256", ash_db_row_text(row, 4));
	json_builder_end_object(to->json);
	ash_json_add_int(to->json, "size", ash_db_row_int(row, 1));
	ash_json_begin_object(to->json, "_links");
	const char *names[][2] = {{"download", ""}, {"md5sum", ".MD5SUM"}, {"download-http", ""},
			{"md5sum-http", ".MD5SUM"}};
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		add_link(to->json, names[i][0], to->base,
				"/softwaremodules/%" PRId64 "/artifacts/%s%s", to->module, escaped,
				names[i][1]);
	json_builder_end_object(to->json);
	json_builder_end_object(to->json);
	return TRUE;
}

/* The array that is open. */
static gboolean add_artifacts(AshDb *db, Artifacts *to, GError **error)
{
	return ash_db_query(db,
			"SELECT filename, size, sha1, md5, sha256 FROM ddi_artifact WHERE module = $1 ORDER BY filename",
			ASH_DB_VALUES(ASH_DB_I(to->module)), take_artifact, to, error);
}

static gboolean take_chunk(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;
	const char *type = ash_db_row_text(row, 0);

	ash_json_add_text(json, "part",
			strcmp(type, "application") == 0 ? "bApp"
			: strcmp(type, "runtime") == 0   ? "jvm"
							 : type);
	ash_json_add_text(json, "version", ash_db_row_text(row, 1));
	ash_json_add_text(json, "name", ash_db_row_text(row, 2));
	return TRUE;
}

static gboolean add_chunks(
		const Device *device, JsonBuilder *json, const char *base, GError **error)
{
	g_autoptr(JsonNode) modules = json_from_string(device->action->modules, NULL);
	JsonArray *ids = modules != NULL && JSON_NODE_HOLDS_ARRAY(modules)
					 ? json_node_get_array(modules)
					 : NULL;

	ash_json_begin_array(json, "chunks");
	for (guint i = 0; ids != NULL && i < json_array_get_length(ids); i++) {
		Artifacts artifacts = {.json = json,
				.base = base,
				.module = json_array_get_int_element(ids, i)};
		json_builder_begin_object(json);
		if (!ash_db_query(device->request->db,
				    "SELECT type, version, name FROM ddi_module WHERE id = $1",
				    ASH_DB_VALUES(ASH_DB_I(artifacts.module)), take_chunk, json,
				    error))
			return FALSE;
		ash_json_begin_array(json, "metadata");
		json_builder_end_array(json);
		ash_json_begin_array(json, "artifacts");
		if (!add_artifacts(device->request->db, &artifacts, error))
			return FALSE;
		json_builder_end_array(json);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	return TRUE;
}

static gboolean take_message(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;
	g_autoptr(JsonNode) messages = json_from_string(ash_db_row_text(row, 0), NULL);
	JsonArray *array = messages != NULL && JSON_NODE_HOLDS_ARRAY(messages)
					   ? json_node_get_array(messages)
					   : NULL;

	for (guint i = 0; array != NULL && i < json_array_get_length(array); i++)
		json_builder_add_string_value(json, json_array_get_string_element(array, i));
	return TRUE;
}

static gboolean add_history(const Device *device, JsonBuilder *json, GError **error)
{
	int64_t count = 0;

	if (!ash_change_parse(ash_route_argument(device->request, "actionHistory"), 0, &count,
			    NULL) ||
			count == 0)
		return TRUE;
	g_autofree char *state = g_ascii_strup(device->action->state, -1);
	ash_json_begin_object(json, "actionHistory");
	ash_json_add_text(json, "status", state);
	ash_json_begin_array(json, "messages");
	if (!ash_db_query(device->request->db,
			    "SELECT messages FROM ddi_status WHERE action = $1 ORDER BY id DESC LIMIT $2",
			    ASH_DB_VALUES(ASH_DB_I(device->action->id), ASH_DB_I(MIN(count, 100))),
			    take_message, json, error))
		return FALSE;
	json_builder_end_array(json);
	json_builder_end_object(json);
	return TRUE;
}

/* @member: "deployment" or "confirmation" */
static gboolean reply_deployment(Device *device, const char *member, GError **error)
{
	const AshDdiAction *action = device->action;
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *base = base_url(device);
	g_autofree char *id = g_strdup_printf("%" PRId64, action->id);
	const char *how = strcmp(action->kind, "soft") == 0 ? "attempt" : "forced";
	int64_t opens_s = 0;
	bool is_open = ash_ddi_action_is_open(action, device->request->server->now(), &opens_s);
	bool skips = strcmp(action->kind, "download-only") == 0 || !is_open;

	json_builder_begin_object(json);
	ash_json_add_text(json, "id", id);
	ash_json_begin_object(json, member);
	ash_json_add_text(json, "download", how);
	ash_json_add_text(json, "update", skips ? "skip" : how);
	if (*action->schedule != '\0')
		ash_json_add_text(json, "maintenanceWindow", is_open ? "available" : "unavailable");
	if (!add_chunks(device, json, base, error))
		return FALSE;
	json_builder_end_object(json);
	if (!add_history(device, json, error))
		return FALSE;
	json_builder_end_object(json);
	return reply(device, json);
}

static gboolean note_retrieved(AshRequest *request, gpointer data, GError **error)
{
	Device *device = data;

	return ash_ddi_action_retrieved(request->db, device->action, request->server->now(), error);
}

static gboolean not_now(GError **error)
{
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
			"the action is not in the state for this");
}

static gboolean get_deployment(AshRequest *request, GError **error)
{
	g_auto(Device) device = {0};

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!find_action(&device, error))
		return FALSE;
	if (!device.action->is_active || strcmp(device.action->state, "canceling") == 0 ||
			strcmp(device.action->state, "wait-confirmation") == 0)
		return not_now(error);
	if (!ash_change_run(request, note_retrieved, &device, error))
		return answer_for(error);
	return reply_deployment(&device, "deployment", error);
}

static gboolean get_installed(AshRequest *request, GError **error)
{
	g_auto(Device) device = {0};

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!find_action(&device, error))
		return FALSE;
	if (strcmp(device.action->state, "finished") != 0)
		return not_now(error);
	return reply_deployment(&device, "deployment", error);
}

static gboolean write_installed(AshRequest *request, gpointer data, GError **error)
{
	Device *device = data;
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
	g_auto(Device) device = {0};

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!ash_change_run(request, write_installed, &device, error))
		return answer_for(error);
	ash_http_reply(request->call, device.may_add ? 201 : 200, NULL, NULL);
	return TRUE;
}

/* ---- feedback ---- */

typedef gboolean (*Take)(AshDb *db, const AshDdiAction *action, const AshDdiFeedback *feedback,
		int64_t now_s, GError **error);

typedef struct {
	Device *device;
	Take take;
} Said;

/* The action is read within the transaction: two that speak at once are one after the other. */
static gboolean write_feedback(AshRequest *request, gpointer data, GError **error)
{
	Said *said = data;
	Device *device = said->device;
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
	g_auto(Device) device = {0};
	Said said = {&device, take};

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!ash_ddi_feedback_parse(request->body, &device.feedback, error))
		return answer_for(error);
	if (ash_change_run(request, write_feedback, &said, error))
		return reply_done(&device);
	if (g_error_matches(*error, ASH_DDI_ERROR, ASH_DDI_ERROR_STATE)) {
		ash_http_reply_error(request->call, 405, "state", "%s", (*error)->message);
		g_clear_error(error);
		return TRUE;
	}
	return answer_for(error);
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
	g_auto(Device) device = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!find_action(&device, error))
		return FALSE;
	if (strcmp(device.action->state, "canceling") != 0)
		return not_now(error);
	g_autofree char *id = g_strdup_printf("%" PRId64, device.action->id);
	json_builder_begin_object(json);
	ash_json_add_text(json, "id", id);
	ash_json_begin_object(json, "cancelAction");
	ash_json_add_text(json, "stopId", id);
	json_builder_end_object(json);
	json_builder_end_object(json);
	return reply(&device, json);
}

/* ---- confirmation ---- */

static gboolean get_confirmations(AshRequest *request, GError **error)
{
	g_auto(Device) device = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *confirms = NULL;

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!ash_db_query_string(request->db, "SELECT auto_confirm FROM ddi_target WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(device.target)), &confirms, error))
		return FALSE;
	if (confirms == NULL)
		return not_now(error);
	if (!ash_ddi_action_next(request->db, device.target, &device.action, error))
		return FALSE;
	g_autofree char *base = base_url(&device);
	json_builder_begin_object(json);
	ash_json_begin_object(json, "autoConfirm");
	ash_json_add_bool(json, "active", *confirms != '\0');
	json_builder_end_object(json);
	ash_json_begin_object(json, "_links");
	add_link(json, *confirms != '\0' ? "deactivateAutoConfirm" : "activateAutoConfirm", base,
			"/confirmationBase/%s",
			*confirms != '\0' ? "deactivateAutoConfirm" : "activateAutoConfirm");
	if (device.action != NULL && strcmp(device.action->state, "wait-confirmation") == 0)
		add_action_link(json, base, device.action);
	json_builder_end_object(json);
	json_builder_end_object(json);
	return reply(&device, json);
}

static gboolean get_confirmation(AshRequest *request, GError **error)
{
	g_auto(Device) device = {0};

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!find_action(&device, error))
		return FALSE;
	if (strcmp(device.action->state, "wait-confirmation") != 0)
		return not_now(error);
	return reply_deployment(&device, "confirmation", error);
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
	g_auto(Device) device = {0};
	const char *answer = ash_json_find_text(request->body, "confirmation");
	bool is_yes = g_strcmp0(answer, "confirmed") == 0;
	Said said = {&device, is_yes ? confirm : deny};

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!is_yes && g_strcmp0(answer, "denied") != 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'confirmation' is confirmed or denied");
	return ash_change_run(request, write_feedback, &said, error) ? reply_done(&device)
								     : answer_for(error);
}

static gboolean write_auto(AshRequest *request, gpointer data, GError **error)
{
	Device *device = data;
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
	g_auto(Device) device = {0};

	if (!begin(request, &device, error))
		return *error == NULL;
	return ash_change_run(request, write_auto, &device, error) ? reply_done(&device)
								   : answer_for(error);
}

/* ---- artifacts ---- */

/* Only what is, or was, to be installed on this target. */
static gboolean may_have(Device *device, int64_t module, GError **error)
{
	int64_t count = 0;
	bool is_found = false;
	/* "modules" is a JSON array of numbers: [1,22]. */
	g_autofree char *alone = g_strdup_printf("[%" PRId64 "]", module);
	g_autofree char *first = g_strdup_printf("[%" PRId64 ",%%", module);
	g_autofree char *middle = g_strdup_printf("%%,%" PRId64 ",%%", module);
	g_autofree char *last = g_strdup_printf("%%,%" PRId64 "]", module);

	if (!ash_db_query_int(device->request->db,
			    "SELECT count(*) FROM ddi_action WHERE target = $1 AND (modules = $2 OR modules LIKE $3 "
			    "OR modules LIKE $4 OR modules LIKE $5)",
			    ASH_DB_VALUES(ASH_DB_T(device->target), ASH_DB_T(alone),
					    ASH_DB_T(first), ASH_DB_T(middle), ASH_DB_T(last)),
			    &is_found, &count, error))
		return FALSE;
	return count > 0 || not_now(error);
}

static gboolean list_artifacts(AshRequest *request, GError **error)
{
	g_auto(Device) device = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();
	Artifacts artifacts = {.json = json};

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!ash_change_parse(ash_route_part(request, 1), -1, &artifacts.module, NULL))
		return not_now(error);
	g_autofree char *base = base_url(&device);
	artifacts.base = base;
	if (!may_have(&device, artifacts.module, error))
		return FALSE;
	json_builder_begin_array(json);
	if (!add_artifacts(request->db, &artifacts, error))
		return FALSE;
	json_builder_end_array(json);
	return reply(&device, json);
}

typedef struct {
	char *sha1, *md5, *sha256;
} File;

static gboolean take_file(const AshDbRow *row, gpointer data, GError **error)
{
	File *file = data;

	file->sha1 = g_strdup(ash_db_row_text(row, 0));
	file->md5 = g_strdup(ash_db_row_text(row, 1));
	file->sha256 = g_strdup(ash_db_row_text(row, 2));
	return TRUE;
}

static gboolean send_file(AshRequest *request, const File *file, GError **error)
{
	const char *condition = ash_http_header(request->call, "If-Match");
	g_autofree char *etag = g_strdup_printf("\"%s\"", file->sha1);
	g_autofree char *path = g_build_filename(
			request->server->config->content, "ddi", file->sha256, NULL);

	if (condition != NULL && strcmp(condition, "*") != 0 &&
			strstr(condition, file->sha1) == NULL) {
		ash_http_reply_error(request->call, 412, "changed", "the artifact is another one");
		return TRUE;
	}
	ash_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"the artifact's file is gone");
	ash_http_reply_file(request->call, g_steal_fd(&fd), "application/octet-stream", etag, NULL);
	return TRUE;
}

static gboolean get_artifact(AshRequest *request, GError **error)
{
	g_auto(Device) device = {0};
	File file = {0};
	int64_t module = -1;
	g_autofree char *name = g_strdup(ash_route_part(request, 2));
	bool is_sum = g_str_has_suffix(name, ".MD5SUM");

	if (!begin(request, &device, error))
		return *error == NULL;
	if (!ash_change_parse(ash_route_part(request, 1), -1, &module, NULL))
		return not_now(error);
	if (is_sum)
		name[strlen(name) - strlen(".MD5SUM")] = '\0';
	if (!may_have(&device, module, error) ||
			!ash_db_query(request->db,
					"SELECT sha1, md5, sha256 FROM ddi_artifact WHERE module = $1 AND filename = $2",
					ASH_DB_VALUES(ASH_DB_I(module), ASH_DB_T(name)), take_file,
					&file, error))
		return FALSE;
	g_autofree char *sha1 = file.sha1;
	g_autofree char *md5 = file.md5;
	g_autofree char *sha256 = file.sha256;
	if (sha1 == NULL)
		return not_now(error);
	if (!is_sum)
		return send_file(request, &file, error);
	char *text = g_strdup_printf("%s  %s", md5, name);
	ash_http_reply(request->call, 200, "text/plain", g_bytes_new_take(text, strlen(text)));
	return TRUE;
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
		{"GET", BASE "/softwaremodules/{module}/artifacts", ASH_ROLE_NONE,
				"DDI: a module's artifacts", list_artifacts, DDI},
		{"GET", BASE "/softwaremodules/{module}/artifacts/{file}", ASH_ROLE_NONE,
				"DDI: an artifact, or its .MD5SUM", get_artifact, DDI},
		{0},
};
