/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/reboot-lock.h"
#include "fleet/route-private.h"
#include "lib/json.h"

/* FleetLock v1, as Zincati speaks it (coreos/zincati docs/development/fleetlock/protocol.md): a host asks for a slot
 * before it reboots and gives it back when it is steady again; it repeats each until it succeeds. Both are in the
 * writer's group, so 200 means on disk.
 *
 * Statuses beside 200: 400 invalid_client_identity, 403 identity_mismatch, 404 unknown_group, 409
 * failed_lock_semaphore_full, 423 group_paused, 503 store_unavailable; errors are {"kind":…,"value":…}.
 */

typedef struct {
	AshHttpCall *call;
	AshServer *server;
	char *group, *id;
	bool takes;
	int64_t now_s, retry_s;
	AshRebootLockAnswer answer;
} Item;

static void item_free(Item *item)
{
	g_free(item->group);
	g_free(item->id);
	g_free(item);
}

static void refuse(AshHttpCall *call, unsigned status, int64_t retry_s, const char *kind,
		const char *value)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_string(json, "kind", kind);
	ash_json_add_string(json, "value", value);
	json_builder_end_object(json);
	g_autoptr(JsonNode) root = json_builder_get_root(json);
	if (retry_s > 0) {
		g_autofree char *seconds = g_strdup_printf("%" G_GINT64_FORMAT, retry_s);
		ash_http_add_header(call, "Retry-After", seconds);
	}
	ash_http_reply_json(call, status, json_to_string(root, FALSE));
}

static gboolean apply(AshDb *db, gpointer data, GError **error)
{
	Item *item = data;

	if (item->takes)
		return ash_reboot_lock_take(db, item->group, item->id, item->now_s, &item->answer,
				&item->retry_s, error);
	return ash_reboot_lock_give(db, item->group, item->id, item->now_s, &item->answer, error);
}

static void done(gpointer data, const GError *error)
{
	Item *item = data;

	if (error != NULL)
		refuse(item->call, 503, 5, "store_unavailable", "the lock could not be written");
	else
		switch (item->answer) {
		case ASH_REBOOT_LOCK_DONE:
			ash_events_wake(item->server->events);
			ash_http_reply_json(item->call, 200, g_strdup("{}\n"));
			break;
		case ASH_REBOOT_LOCK_FULL:
			refuse(item->call, 409, item->retry_s, "failed_lock_semaphore_full",
					"all slots of the group are taken");
			break;
		case ASH_REBOOT_LOCK_PAUSED:
			refuse(item->call, 423, item->retry_s, "group_paused",
					"an operator has paused the group");
			break;
		case ASH_REBOOT_LOCK_NO_GROUP:
			refuse(item->call, 404, 0, "unknown_group",
					"this fleet has no such group of locks");
			break;
		}
	item_free(item);
}

static const AshWriteKind kind = {apply, done};

/* May the caller speak for @id? Hosts of this fleet for themselves; others only where the settings are open. */
static bool may_speak(AshRequest *request, const char *id)
{
	if (ash_http_peer_key(request->call) == NULL) {
		if (request->server->config->fleetlock_open)
			return true;
		refuse(request->call, 403, 0, "identity_mismatch",
				"a certificate of this fleet is needed");
		return false;
	}
	if (!ash_route_admit_host(request))
		return false;
	if (strcmp(request->actor, id) == 0)
		return true;
	refuse(request->call, 403, 0, "identity_mismatch", "'id' is not this host's");
	return false;
}

static void serve(AshRequest *request, bool takes)
{
	AshHttpCall *call = request->call;
	const char *header = ash_http_header(call, "fleet-lock-protocol");
	g_autofree char *group = NULL, *id = NULL;
	g_autoptr(GError) error = NULL;

	if (g_strcmp0(header, "true") != 0) {
		refuse(call, 400, 0, "invalid_client_identity",
				"the header 'fleet-lock-protocol: true' is missing");
		return;
	}
	if (!ash_reboot_lock_parse(ash_http_body(call), &group, &id, &error)) {
		refuse(call, 400, 0, "invalid_client_identity", error->message);
		return;
	}
	if (!may_speak(request, id))
		return;
	Item *item = g_new0(Item, 1);
	*item = (Item){.call = call,
			.server = request->server,
			.group = g_steal_pointer(&group),
			.id = g_steal_pointer(&id),
			.takes = takes,
			.now_s = request->server->now()};
	if (ash_writer_queue(request->server->writer, &kind, item))
		return;
	item_free(item);
	refuse(call, 503, 5, "store_unavailable", "too much waits to be written");
}

static gboolean pre_reboot(AshRequest *request, GError **error)
{
	serve(request, true);
	return TRUE;
}

static gboolean steady_state(AshRequest *request, GError **error)
{
	serve(request, false);
	return TRUE;
}

static const AshRouteMember members[] = {
		{"client_params", "object", true, "{\"id\":…,\"group\":…}"},
		{0},
};

const AshRoute ash_fleetlock_routes[] = {
		{"POST", "/fleetlock/v1/pre-reboot", ASH_ROLE_NONE,
				"FleetLock: takes a slot before a reboot", pre_reboot,
				.members = members, .answer = "{}", .max_body_bytes = 4096,
				.is_direct = true, .is_open_body = true, .is_unlimited = true},
		{"POST", "/fleetlock/v1/steady-state", ASH_ROLE_NONE,
				"FleetLock: gives it back when the host is steady", steady_state,
				.members = members, .answer = "{}", .max_body_bytes = 4096,
				.is_direct = true, .is_open_body = true, .is_unlimited = true},
		{0},
};
