/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "agent/daemon.h"
#include "agent/fleet-workload.h"
#include "agent/paths.h"
#include "agent/workload/api.h"
#include "lib/checkin.h"
#include "lib/file.h"
#include "lib/json.h"

/* The member "workloads" of a check-in (lib/checkin.h). What runs stands in the status file of ashlar-workloadd, so that
 * nobody is woken to be asked; what is missing is known here.
 */

enum {
	STATUS_DEPTH = 8,
};

static const char *const item_keys[] = {"name", "version", "origin", "state", "ready", "text",
		"target", "phase", "isolation", "effective", "score", "restarts", NULL};
static const char *const failed_keys[] = {"version", "reason", "at", NULL};
static const char *const instance_keys[] = {"name", "state", "ready", "text", "address", NULL};

/* ---- what runs ----------------------------------------------------------------------------------- */

static bool has_file(const AshDaemon *daemon, const char *path)
{
	g_autofree char *whole = g_strconcat(daemon->root, path, NULL);
	bool is_there = false;

	return ash_file_exists(AT_FDCWD, whole, &is_there, NULL) && is_there;
}

/* NULL in *out_status: there are none. false: it will be known soon, after a boot. */
static bool read_status(const AshDaemon *daemon, JsonNode **out_status)
{
	g_autofree char *path = g_strconcat(daemon->root, ASH_WORKLOAD_STATUS_FILE, NULL);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(JsonNode) node = NULL;

	*out_status = NULL;
	if (!has_file(daemon, ASH_WORKLOAD_STATUS_FILE))
		return !has_file(daemon, ASH_PATH_WORKLOAD_STATE);
	if (!ash_file_read(AT_FDCWD, path, ASH_WORKLOAD_STATUS_MAX_BYTES, &text, NULL) ||
			!ash_json_parse(text, ASH_WORKLOAD_STATUS_MAX_BYTES, STATUS_DEPTH, &node,
					NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return false;
	*out_status = g_steal_pointer(&node);
	return true;
}

static JsonArray *make_items(JsonNode *status)
{
	JsonArray *items = json_array_new();
	JsonArray *all = status != NULL ? ash_json_find_objects(
							  json_node_get_object(status), "workloads")
					: NULL;

	for (guint i = 0; all != NULL &&
			  i < MIN(json_array_get_length(all), ASH_CHECKIN_MAX_WORKLOAD_ITEMS);
			i++) {
		JsonObject *from = json_array_get_object_element(all, i);
		JsonNode *item = ash_daemon_pick(from, item_keys);
		ash_daemon_pick_list(from, "failed", failed_keys, json_node_get_object(item));
		ash_daemon_pick_list(from, "instances", instance_keys, json_node_get_object(item));
		json_array_add_element(items, item);
	}
	return items;
}

/* ---- what is missing ----------------------------------------------------------------------------- */

typedef struct {
	const char *word, *text;
} Why;

/* false: it is not known yet. A word of NULL: nothing is missing. */
static bool find_why(const AshDaemon *daemon, const AshFleetWorkload *workload, Why *out_why)
{
	const AshDaemonWorkloads *workloads = &daemon->workloads;
	const AshDaemonRefusal *refused = ash_daemon_refusal_find(
			workloads->refused, workload->name, workload->version);
	const AshDaemonRefusal *unverified = ash_daemon_refusal_find(
			workloads->unverified, workload->name, workload->version);
	g_autofree char *file = g_strdup_printf(
			ASH_PATH_SIGNED "/%s/%s.json", workload->name, workload->version);

	*out_why = (Why){NULL, NULL};
	if (!daemon->settings->has_fleet_workloads)
		*out_why = (Why){"owner", "the host's owner takes no workloads from the fleet"};
	else if (refused != NULL && strcmp(refused->word, "missing") != 0)
		*out_why = (Why){refused->word, refused->text};
	else if (unverified != NULL && strcmp(unverified->word, "missing") != 0)
		*out_why = (Why){unverified->word, unverified->text};
	else if (has_file(daemon, file) && workloads->tell_failures >= ASH_DAEMON_TELL_PATIENCE)
		*out_why = (Why){"runtime", workloads->trouble};
	else if (has_file(daemon, file))
		return true;
	else if (daemon->settings->updates.url == NULL)
		*out_why = (Why){"source", "this host has no source of releases, 'updates: url'"};
	else if (daemon->source.word != NULL)
		*out_why = (Why){"source", daemon->source.error};
	else
		return false;
	return true;
}

static bool add_missing(const AshDaemon *daemon, JsonArray *missing)
{
	const GPtrArray *wanted = daemon->fleet->workloads;

	for (guint i = 0; wanted != NULL && i < wanted->len; i++) {
		const AshFleetWorkload *workload = wanted->pdata[i];
		Why why;
		if (!find_why(daemon, workload, &why))
			return false;
		if (why.word == NULL)
			continue;
		g_autofree char *text = ash_bus_printable(why.text, ASH_DAEMON_MAX_REPORT_TEXT);
		JsonObject *object = json_object_new();
		json_object_set_string_member(object, "name", workload->name);
		json_object_set_string_member(object, "version", workload->version);
		json_object_set_string_member(object, "word", why.word);
		json_object_set_string_member(object, "text", text);
		json_array_add_object_element(missing, object);
	}
	return true;
}

/* ---- together ------------------------------------------------------------------------------------ */

static bool fits(JsonNode *node)
{
	g_autofree char *text = json_to_string(node, FALSE);

	return strlen(text) <= ASH_CHECKIN_MAX_WORKLOADS;
}

static void cut_member(JsonArray *items, const char *key)
{
	for (guint i = 0; i < json_array_get_length(items); i++)
		json_object_set_array_member(
				json_array_get_object_element(items, i), key, json_array_new());
}

/* What is least missed goes first. */
static void cut(JsonNode *node)
{
	JsonObject *report = json_node_get_object(node);
	JsonArray *items = json_object_get_array_member(report, "items");

	if (fits(node))
		return;
	json_object_set_boolean_member(report, "cut", TRUE);
	cut_member(items, "instances");
	if (!fits(node))
		cut_member(items, "failed");
	while (!fits(node) && json_array_get_length(items) > 0)
		json_array_remove_element(items, json_array_get_length(items) - 1);
}

void ash_daemon_add_workload_report(JsonBuilder *builder, AshDaemon *daemon)
{
	g_autoptr(JsonNode) status = NULL;
	JsonObject *report = json_object_new();
	JsonNode *node = json_node_new(JSON_NODE_OBJECT);
	JsonArray *missing = json_array_new();

	json_node_take_object(node, report);
	json_object_set_array_member(report, "missing", missing);
	if (!read_status(daemon, &status) || !add_missing(daemon, missing)) {
		json_node_unref(node);
		return;
	}
	json_object_set_array_member(report, "items", make_items(status));
	cut(node);
	json_builder_set_member_name(builder, "workloads");
	json_builder_add_value(builder, node);
}
