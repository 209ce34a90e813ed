/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/ddi-device.h"

#include <inttypes.h>
#include <string.h>

#include "fleet/change.h"
#include "fleet/route-private.h"
#include "fleet/server.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/json.h"

void ash_ddi_device_clear(AshDdiDevice *device)
{
	ash_ddi_action_free(device->action);
	g_strfreev(device->feedback.messages);
}

/* ---- who ---- */

static gboolean check_target_token(AshRequest *request, const char *target, const char *said,
		bool *out_is, GError **error)
{
	g_autofree char *token = NULL;

	if (!ash_db_query_string(request->db, "SELECT token FROM ddi_target WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(target)), &token, error))
		return FALSE;
	*out_is = token != NULL && *token != '\0' && ash_crypto_same_secret(token, said);
	return TRUE;
}

/* false: answered, or @error. */
bool ash_ddi_device_begin(AshRequest *request, AshDdiDevice *device, GError **error)
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
					     ash_crypto_same_secret(config->ddi_gateway_token,
							     header + strlen("GatewayToken "));
	} else if (key != NULL) {
		/* A host of this fleet, by its certificate; it may be a target too. One that was withdrawn, or whose
		 * host is held or gone, is answered here.
		 */
		if (!ash_route_admit_host(request))
			return false;
		is_known = device->may_add = strcmp(key, device->target) == 0;
	}
	if (!is_known)
		ash_http_reply(request->call, 401, NULL, NULL);
	return is_known;
}

gboolean ash_ddi_device_fail(GError **error)
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

char *ash_ddi_device_url(const AshDdiDevice *device)
{
	AshHttpCall *call = device->request->call;
	const char *host = ash_http_header(call, "Host");
	g_autofree char *id = g_uri_escape_string(device->target, NULL, false);

	return g_strdup_printf("%s://%s/DEFAULT/controller/v1/%s",
			ash_http_is_secure(call) ? "https" : "http",
			host != NULL ? host : "localhost", id);
}

void ash_ddi_device_link(
		JsonBuilder *json, const char *name, const char *base, const char *format, ...)
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

gboolean ash_ddi_device_reply(AshDdiDevice *device, JsonBuilder *json)
{
	g_autoptr(JsonNode) root = json_builder_get_root(json);

	ash_http_add_header(device->request->call, "Cache-Control", "no-store");
	ash_http_reply_json(device->request->call, 200, json_to_string(root, FALSE));
	return TRUE;
}

gboolean ash_ddi_device_reply_done(AshDdiDevice *device)
{
	ash_http_reply(device->request->call, 200, NULL, NULL);
	return TRUE;
}

gboolean ash_ddi_device_find(AshDdiDevice *device, GError **error)
{
	int64_t id = 0;

	if (!ash_change_parse(ash_route_part(device->request, 1), -1, &id, NULL))
		id = -1;
	g_clear_pointer(&device->action, ash_ddi_action_free);
	return ash_ddi_action_get(
			       device->request->db, device->target, id, &device->action, error) ||
	       ash_ddi_device_fail(error);
}

gboolean ash_ddi_device_not_now(GError **error)
{
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
			"the action is not in the state for this");
}
