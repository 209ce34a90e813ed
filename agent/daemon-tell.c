/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/daemon.h"
#include "agent/fleet-facts.h"
#include "agent/update-store.h"
#include "lib/checkin.h"
#include "lib/json.h"
#include "lib/text.h"

/* What ashlar-link is given for a check-in: the body of POST /v1/checkin (lib/checkin.h) but for what belongs to the
 * connection, and where to bring it.
 *
 *	{"serial":N,                 for FleetAnswer
 *	 "url":U,"ca":PEM,"token":T, of the host document; "" for none
 *	 "epoch":E,                  another one: another fleet, a new identity
 *	 "name":HOSTNAME,
 *	 "leave":B,                  put the identity aside; nothing else is here then
 *	 "whole":N,                  not the same as before: send facts, state and health although they are
 *	 "more":B,                   events are left for another check-in, soon
 *	 "have":N,"boot":ID,"state":{…},"health":{…},"facts":{…},"workloads":{…},"events":[…],"logs":[…],
 *	 "orders":[…],"journal":{…}}  "workloads" is left out while it is not known what runs, after a boot
 */

enum {
	MAX_LIST = 64,
};

/* ---- picking members ----------------------------------------------------------------------------- */

static JsonObject *parse_report(const char *json, JsonNode **out_node)
{
	*out_node = json_from_string(json, NULL);
	return json_node_get_object(*out_node);
}

/* Texts that are longer than a server takes are cut. */
static JsonNode *copy_value(JsonNode *node)
{
	if (json_node_get_value_type(node) != G_TYPE_STRING)
		return json_node_copy(node);
	g_autofree char *text =
			ash_bus_printable(json_node_get_string(node), ASH_DAEMON_MAX_REPORT_TEXT);
	JsonNode *value = json_node_new(JSON_NODE_VALUE);
	json_node_set_string(value, text);
	return value;
}

JsonNode *ash_daemon_pick(JsonObject *from, const char *const *keys)
{
	JsonNode *node = json_node_new(JSON_NODE_OBJECT);
	JsonObject *object = json_object_new();

	for (; *keys != NULL; keys++)
		if (json_object_has_member(from, *keys))
			json_object_set_member(object, *keys,
					copy_value(json_object_get_member(from, *keys)));
	json_node_take_object(node, object);
	return node;
}

static void pick_object(JsonObject *from, const char *key, const char *const *keys, JsonObject *to)
{
	JsonObject *inner = ash_json_find_object(from, key);

	if (inner != NULL)
		json_object_set_member(to, key, ash_daemon_pick(inner, keys));
}

void ash_daemon_pick_list(
		JsonObject *from, const char *key, const char *const *keys, JsonObject *to)
{
	JsonNode *node = json_object_get_member(from, key);
	JsonArray *list = json_array_new();

	if (node != NULL && JSON_NODE_HOLDS_ARRAY(node)) {
		JsonArray *array = json_node_get_array(node);
		for (guint i = 0; i < MIN(json_array_get_length(array), MAX_LIST); i++)
			json_array_add_element(list,
					ash_daemon_pick(json_array_get_object_element(array, i),
							keys));
	}
	json_object_set_array_member(to, key, list);
}

/* ---- state and health ---------------------------------------------------------------------------- */

static const char *const state_keys[] = {
		"booted", "verdict", "verdict_reason", "degraded", "agent", NULL};
static const char *const target_keys[] = {
		"version", "commit", "method", "bytes", "is_recall", NULL};
static const char *const release_keys[] = {"version", "commit", NULL};
static const char *const trial_keys[] = {"version", "since", NULL};
static const char *const deployment_keys[] = {
		"commit", "version", "booted", "good", "pinned", "bad", NULL};
static const char *const failed_keys[] = {"commit", "version", "kind", "reason", NULL};
static const char *const health_keys[] = {"verdict", "reason", NULL};
static const char *const check_keys[] = {
		"name", "kind", "class", "target", "passing", "failures", "text", NULL};

/* "state" of a check-in: what does not change by itself. A check that the host makes by itself is nothing new. */
static void add_state(JsonBuilder *builder, AshDaemon *daemon)
{
	g_autofree char *json = ash_daemon_status(daemon);
	g_autofree char *blocker = ash_daemon_blocker(daemon);
	AshUpdateState settled = ash_update_settled_state(daemon->update);
	g_autofree char *detail = ash_daemon_detail(daemon, settled);
	g_autoptr(JsonNode) node = NULL;
	JsonObject *status = parse_report(json, &node);
	JsonNode *state = ash_daemon_pick(status, state_keys);
	JsonObject *object = json_node_get_object(state);

	json_object_set_string_member(object, "state", ash_update_state_public(settled));
	json_object_set_string_member(object, "detail", detail);
	if (settled != ASH_UPDATE_IDLE && json_object_has_member(status, "since"))
		json_object_set_string_member(
				object, "since", json_object_get_string_member(status, "since"));
	pick_object(status, "target", target_keys, object);
	pick_object(status, "available", release_keys, object);
	pick_object(status, "trial", trial_keys, object);
	ash_daemon_pick_list(status, "deployments", deployment_keys, object);
	ash_daemon_pick_list(status, "failed", failed_keys, object);
	json_object_set_int_member(object, "root_version", (gint64) daemon->source.root_version);
	if (blocker != NULL) {
		g_autofree char *text = ash_bus_printable(blocker, ASH_DAEMON_MAX_REPORT_TEXT);
		json_object_set_string_member(object, "blocker", text);
	}
	json_builder_set_member_name(builder, "state");
	json_builder_add_value(builder, state);
}

static void add_health(JsonBuilder *builder, AshDaemon *daemon)
{
	g_autofree char *json = ash_daemon_health_report(daemon);
	g_autoptr(JsonNode) node = NULL;
	JsonObject *report = parse_report(json, &node);
	JsonNode *health = ash_daemon_pick(report, health_keys);

	ash_daemon_pick_list(report, "checks", check_keys, json_node_get_object(health));
	json_builder_set_member_name(builder, "health");
	json_builder_add_value(builder, health);
}

/* ---- news ---------------------------------------------------------------------------------------- */

static void add_orders(JsonBuilder *builder, AshDaemon *daemon)
{
	GPtrArray *results = daemon->fleet->results;

	ash_json_begin_array(builder, "orders");
	for (guint i = 0; i < results->len; i++) {
		AshFleetResult *result = results->pdata[i];
		if (result->is_open || result->is_acknowledged)
			continue;
		if (result->sent == 0)
			result->sent = daemon->fleet_serial;
		json_builder_begin_object(builder);
		ash_json_add_uint(builder, "id", result->id);
		ash_json_add_bool(builder, "ok", result->is_ok);
		ash_json_add_string(builder, "text", result->text);
		json_builder_end_object(builder);
	}
	json_builder_end_array(builder);
}

static void add_events(JsonBuilder *builder, AshDaemon *daemon)
{
	ash_json_begin_array(builder, "events");
	bool has_more = ash_history_add_after(
			daemon->history, daemon->fleet->event, ASH_CHECKIN_MAX_EVENTS, builder);
	json_builder_end_array(builder);
	ash_json_add_bool(builder, "more", has_more);
}

static void add_journal(JsonBuilder *builder, AshDaemon *daemon)
{
	AshDaemonJournal *journal = &daemon->journal;

	if (journal->text == NULL)
		return;
	if (journal->sent == 0)
		journal->sent = daemon->fleet_serial;
	ash_json_begin_object(builder, "journal");
	ash_json_add_string(builder, "version", journal->version);
	ash_json_add_int(builder, "at", journal->at_s);
	ash_json_add_string(builder, "text", journal->text);
	json_builder_end_object(builder);
}

static char *hostname(const AshDaemon *daemon)
{
	g_autofree char *path = g_build_filename(daemon->root, "/proc/sys/kernel/hostname", NULL);
	char *text = NULL;

	if (daemon->settings->hostname != NULL)
		return g_strdup(daemon->settings->hostname);
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return g_strdup(g_get_host_name());
	return g_strstrip(text);
}

char *ash_daemon_fleet_report(AshDaemon *daemon)
{
	const AshFleetMember *fleet = daemon->fleet;
	const AshHostdoc *settings = daemon->settings;
	g_autoptr(JsonBuilder) builder = ash_daemon_open_object();
	bool is_in = ash_daemon_is_in_fleet(daemon);
	g_autofree char *name = hostname(daemon);

	ash_json_add_uint(builder, "serial", daemon->fleet_serial);
	ash_json_add_string(builder, "url", is_in ? fleet->url : "");
	ash_json_add_bool(builder, "leave", fleet->standing == ASH_FLEET_LEFT);
	if (is_in) {
		ash_json_add_string(builder, "ca", settings->fleet_ca);
		ash_json_add_string(builder, "token", settings->fleet_token);
		ash_json_add_string(builder, "epoch", fleet->epoch);
		ash_json_add_string(builder, "name", name);
		ash_json_add_uint(builder, "whole", daemon->fleet_whole);
		ash_json_add_uint(builder, "have", fleet->have);
		ash_json_add_string(builder, "boot", daemon->boot_id);
		add_state(builder, daemon);
		add_health(builder, daemon);
		ash_json_begin_object(builder, "facts");
		ash_fleet_facts_add(builder, daemon->root, settings->hostname);
		json_builder_end_object(builder);
		ash_daemon_add_workload_report(builder, daemon);
		add_events(builder, daemon);
		/* Orders end with their last line. */
		ash_daemon_log_report(daemon, builder);
		add_orders(builder, daemon);
		add_journal(builder, daemon);
	}
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

/* A number that rises with news; 0: nothing is to be told to anybody. */
char *ash_daemon_fleet_property(const AshDaemon *daemon)
{
	const AshFleetMember *fleet = daemon->fleet;
	bool is_quiet = fleet->url == NULL || !daemon->has_started ||
			fleet->standing == ASH_FLEET_RETIRED ||
			(fleet->standing == ASH_FLEET_LEFT && daemon->fleet_has_left);

	return is_quiet ? g_strdup("0")
			: g_strdup_printf("%" G_GUINT64_FORMAT, daemon->fleet_serial);
}

/* ---- for people ---------------------------------------------------------------------------------- */

static void add_time(JsonBuilder *builder, const char *key, int64_t wall_s)
{
	if (wall_s <= 0)
		return;
	g_autofree char *text = ash_text_utc(wall_s);
	ash_json_add_text(builder, key, text);
}

void ash_daemon_fleet_status(AshDaemon *daemon, JsonBuilder *builder)
{
	const AshFleetMember *fleet = daemon->fleet;

	if (fleet->url == NULL)
		return;
	ash_json_begin_object(builder, "fleet");
	ash_json_add_text(builder, "url", fleet->url);
	ash_json_add_text(builder, "id", fleet->id);
	/* Nothing has been heard yet. */
	ash_json_add_text(builder, "state",
			fleet->standing == ASH_FLEET_UNREACHED
					? "joining"
					: ash_fleet_outcome_text(fleet->standing));
	ash_json_add_text(builder, "text", fleet->text);
	add_time(builder, "since", fleet->since_s);
	add_time(builder, "last_contact", fleet->contact_s);
	ash_json_add_text(builder, "last_error", fleet->trouble);
	if (fleet->release != NULL) {
		ash_json_begin_object(builder, "wants");
		ash_json_add_text(builder, "version", fleet->release->version);
		ash_json_add_text(builder, "commit", fleet->release->commit);
		ash_json_add_text(builder, "verb", fleet->release->is_return ? "return" : "update");
		json_builder_end_object(builder);
	}
	ash_json_add_text(builder, "hold", fleet->hold);
	if (fleet->windows != NULL)
		ash_json_add_texts(builder, "windows", fleet->windows);
	json_builder_end_object(builder);
}
