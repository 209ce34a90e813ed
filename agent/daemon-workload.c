/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "agent/bus-workload.h"
#include "agent/daemon.h"
#include "agent/fleet-workload.h"
#include "agent/order.h"
#include "agent/paths.h"
#include "agent/workload/api.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/version.h"
#include "lib/workload.h"

enum {
	ANSWER_DEPTH = 8,
	TELL_AGAIN_S = 60,
};

void ash_daemon_refusal_free(AshDaemonRefusal *refusal)
{
	if (refusal == NULL)
		return;
	g_free(refusal->name);
	g_free(refusal->version);
	g_free(refusal->word);
	g_free(refusal->text);
	g_free(refusal);
}

static GPtrArray *refusals_new(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify) ash_daemon_refusal_free);
}

static void image_free(gpointer data)
{
	AshDaemonImage *image = data;

	g_free(image->workload);
	g_free(image->version);
	g_free(image->document);
	g_free(image->commit);
	g_free(image);
}

void ash_daemon_workload_init(AshDaemonWorkloads *workloads)
{
	*workloads = (AshDaemonWorkloads){
			.unverified = refusals_new(),
			.refused = refusals_new(),
			.images = g_ptr_array_new_with_free_func(image_free),
			.logs = g_ptr_array_new_with_free_func(ash_daemon_log_free),
			.tell_again_us = INT64_MAX,
	};
}

void ash_daemon_workload_clear(AshDaemonWorkloads *workloads)
{
	g_clear_pointer(&workloads->unverified, g_ptr_array_unref);
	g_clear_pointer(&workloads->refused, g_ptr_array_unref);
	g_clear_pointer(&workloads->images, g_ptr_array_unref);
	g_clear_pointer(&workloads->logs, g_ptr_array_unref);
	g_clear_pointer(&workloads->trouble, g_free);
}

/* ---- what is wanted ------------------------------------------------------------------------------ */

const GPtrArray *ash_daemon_workload_wanted(const AshDaemon *daemon)
{
	return ash_daemon_is_in_fleet(daemon) && daemon->settings->has_fleet_workloads
			       ? daemon->fleet->workloads
			       : NULL;
}

/* Which version: that of the file pinned/NAME, or the newest. */
static char *pinned_version(const AshDaemon *daemon, const char *name)
{
	g_autofree char *path = g_strconcat(daemon->root, ASH_PATH_PINNED "/", name, NULL);
	g_autoptr(GBytes) text = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_VERSION_MAX_BYTES + 1, &text, NULL))
		return g_strdup("");
	g_autofree char *version = g_strdup(g_bytes_get_data(text, NULL));
	g_strchomp(version);
	return g_strdup(ash_version_is_valid(version) ? version : "");
}

static void add_wanted(JsonBuilder *builder, const char *name, const char *version)
{
	json_builder_begin_object(builder);
	ash_json_add_string(builder, "name", name);
	ash_json_add_string(builder, "version", version);
	json_builder_end_object(builder);
}

/* The fleet's first, then what the owner wants. */
void ash_daemon_add_workloads(JsonBuilder *builder, const AshDaemon *daemon)
{
	const GPtrArray *wanted = ash_daemon_workload_wanted(daemon);
	g_autofree char *path = g_strconcat(daemon->root, ASH_PATH_SIGNED, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	unsigned count = wanted != NULL ? wanted->len : 0;
	const char *name = NULL;

	if (dir == NULL && count == 0)
		return;
	ash_json_begin_array(builder, "workloads");
	for (unsigned i = 0; i < count; i++) {
		const AshFleetWorkload *workload = wanted->pdata[i];
		add_wanted(builder, workload->name, workload->version);
	}
	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
		if (!ash_workload_is_name(name) || ash_fleet_workload_find(wanted, name) != NULL ||
				count++ >= ASH_ORDER_MAX_WORKLOADS)
			continue;
		g_autofree char *version = pinned_version(daemon, name);
		add_wanted(builder, name, version);
	}
	json_builder_end_array(builder);
}

/* ---- telling ashlar-workloadd -------------------------------------------------------------------- */

static void add_refusal(GPtrArray *refusals, JsonObject *object)
{
	AshDaemonRefusal *refusal = g_new0(AshDaemonRefusal, 1);
	const char *text = ash_json_find_text(object, "text");

	refusal->name = g_strdup(ash_json_find_text(object, "name"));
	refusal->version = g_strdup(ash_json_find_text(object, "version"));
	refusal->word = g_strdup(ash_json_find_text(object, "word"));
	refusal->text = g_strdup(text != NULL ? text : "");
	g_ptr_array_add(refusals, refusal);
}

const AshDaemonRefusal *ash_daemon_refusal_find(
		const GPtrArray *refusals, const char *name, const char *version)
{
	for (guint i = 0; i < refusals->len; i++) {
		const AshDaemonRefusal *refusal = refusals->pdata[i];
		if (g_strcmp0(refusal->name, name) == 0 &&
				g_strcmp0(refusal->version, version) == 0)
			return refusal;
	}
	return NULL;
}

static void take_refused(AshDaemon *daemon, const char *json)
{
	g_autoptr(GBytes) bytes = g_bytes_new(json, strlen(json));
	g_autoptr(JsonNode) node = NULL;

	g_ptr_array_set_size(daemon->workloads.refused, 0);
	if (!ash_json_parse(bytes, ASH_BUS_MAX_ANSWER_BYTES, ANSWER_DEPTH, &node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(node))
		return;
	JsonArray *list = ash_json_find_objects(json_node_get_object(node), "refused");
	for (guint i = 0; list != NULL && i < json_array_get_length(list); i++)
		add_refusal(daemon->workloads.refused, json_array_get_object_element(list, i));
}

static void try_again(AshDaemon *daemon, const char *why)
{
	AshDaemonWorkloads *workloads = &daemon->workloads;
	int64_t pause_s = MIN((int64_t) TELL_AGAIN_S, daemon->wait_s);

	/* A host without the package says so once. */
	if (g_strcmp0(workloads->trouble, why) != 0)
		g_message("ashlar-workloadd: %s; telling it again every %" G_GINT64_FORMAT " s",
				why, pause_s);
	g_free(workloads->trouble);
	workloads->trouble = g_strdup(why);
	workloads->tell_failures = MIN(workloads->tell_failures + 1, 1000);
	workloads->must_tell = true;
	workloads->tell_again_us = ash_bus_now_us() + pause_s * G_USEC_PER_SEC;
}

static void take_told(AshDaemon *daemon, const char *json)
{
	g_clear_pointer(&daemon->workloads.trouble, g_free);
	daemon->workloads.tell_failures = 0;
	take_refused(daemon, json);
}

static void on_told(const char *json, const GError *error, gpointer data)
{
	AshDaemon *daemon = data;
	AshDaemonWorkloads *workloads = &daemon->workloads;

	workloads->is_telling = false;
	if (json == NULL)
		try_again(daemon, error->message);
	else
		take_told(daemon, json);
	ash_daemon_fleet_news(daemon);
	if (json != NULL && workloads->must_tell)
		ash_daemon_workload_tell(daemon);
	ash_daemon_set_timer(daemon);
}

static bool has_files(const AshDaemon *daemon, const char *where)
{
	g_autofree char *path = g_strconcat(daemon->root, where, NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

	return dir != NULL && g_dir_read_name(dir) != NULL;
}

/* All that the fleet wants; NULL: it has no say here, and what it said is nobody's any more. */
static char *make_want(const AshDaemon *daemon)
{
	const AshFleetMember *fleet = daemon->fleet;
	g_autoptr(JsonBuilder) builder = ash_daemon_open_object();
	const GPtrArray *wanted = ash_daemon_workload_wanted(daemon);
	g_autoptr(GPtrArray) none = g_ptr_array_new();

	if (!ash_daemon_is_in_fleet(daemon) || fleet->workloads == NULL)
		return NULL;
	/* The owner does not want what the fleet wants. */
	if (wanted == NULL)
		wanted = none;
	/* What came from it before is known by these. */
	if (wanted->len == 0 && !has_files(daemon, ASH_PATH_FLEET_WORKLOADS))
		return NULL;
	ash_fleet_workload_add_list(builder, "workloads", wanted);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

static bool is_held(const AshDaemon *daemon)
{
	return daemon->fleet->hold != NULL || daemon->fleet->standing == ASH_FLEET_HELD;
}

void ash_daemon_workload_tell(AshDaemon *daemon)
{
	AshDaemonWorkloads *workloads = &daemon->workloads;
	g_autofree char *want = make_want(daemon);
	g_autoptr(GError) local = NULL;

	workloads->must_tell = true;
	/* An operator holds the host: nothing new is begun. */
	if (workloads->is_telling || (want != NULL && is_held(daemon)))
		return;
	workloads->must_tell = false;
	workloads->tell_again_us = INT64_MAX;
	if (want == NULL)
		g_ptr_array_set_size(workloads->refused, 0);
	/* Nothing that could be read again: nobody is woken. */
	if (want == NULL && !has_files(daemon, ASH_PATH_SIGNED))
		return;
	workloads->is_telling = ash_bus_workload_ask(daemon->bus, want != NULL ? "Want" : "Reload",
			want, on_told, daemon, &local);
	if (!workloads->is_telling)
		try_again(daemon, local->message);
}

void ash_daemon_workload_late(AshDaemon *daemon)
{
	ash_daemon_workload_tell(daemon);
}

void ash_daemon_workload_unheld(AshDaemon *daemon)
{
	if (daemon->workloads.must_tell)
		ash_daemon_workload_tell(daemon);
}

/* ---- when ---------------------------------------------------------------------------------------- */

static void on_changed(gpointer data)
{
	ash_daemon_fleet_news(data);
}

/* For the host's health check of those that are required. */
static void expect(const AshDaemon *daemon)
{
	g_autofree char *path = g_strconcat(daemon->root, ASH_WORKLOAD_EXPECTED_FILE, NULL);
	g_autoptr(GError) local = NULL;
	gboolean is_ok = has_files(daemon, ASH_PATH_KEPT)
					 ? ash_file_replace(AT_FDCWD, path, "", 0, 0644, &local)
					 : ash_file_remove_tree(AT_FDCWD, path, &local);

	if (!is_ok)
		g_warning("%s", local->message);
}

void ash_daemon_workload_begin(AshDaemon *daemon)
{
	g_autoptr(GError) local = NULL;
	g_autofree char *want = make_want(daemon);

	expect(daemon);
	if (!ash_bus_workload_watch(daemon->bus, on_changed, daemon, &local))
		g_warning("%s", local->message);
	/* What was said before this process may not have been heard. */
	if (want != NULL)
		ash_daemon_workload_tell(daemon);
}

static void check_now(AshDaemon *daemon)
{
	AshUpdateEvent timer = {.kind = ASH_UPDATE_EVENT_TIMER};

	daemon->update->next_check_s = ash_daemon_now_s();
	if (daemon->has_started)
		ash_daemon_must_step(daemon, &timer);
}

void ash_daemon_workload_news(AshDaemon *daemon)
{
	const GPtrArray *wanted = ash_daemon_workload_wanted(daemon);

	/* What is here already needs no check. */
	ash_daemon_workload_tell(daemon);
	if (wanted == NULL || wanted->len == 0)
		return;
	daemon->workloads.must_check = true;
	check_now(daemon);
}

void ash_daemon_workload_check_begins(AshDaemon *daemon)
{
	daemon->workloads.must_check = false;
}

/* What was wanted while a check was on its way. */
static void check_again(AshDaemon *daemon)
{
	if (!daemon->workloads.must_check)
		return;
	g_message("another check, for workloads");
	check_now(daemon);
}

static bool is_news(JsonObject *object)
{
	JsonNode *gone = json_object_get_member(object, "gone");

	return ash_json_find_bool(object, "is_new") ||
	       (gone != NULL && JSON_NODE_HOLDS_ARRAY(gone) &&
			       json_array_get_length(json_node_get_array(gone)) > 0);
}

/* A word for each that is wanted, when nothing could be said of any. */
static void refuse_all(AshDaemon *daemon, const char *text)
{
	const GPtrArray *wanted = ash_daemon_workload_wanted(daemon);

	for (guint i = 0; wanted != NULL && i < wanted->len; i++) {
		const AshFleetWorkload *workload = wanted->pdata[i];
		AshDaemonRefusal *refusal = g_new0(AshDaemonRefusal, 1);
		refusal->name = g_strdup(workload->name);
		refusal->version = g_strdup(workload->version);
		refusal->word = g_strdup("not-found");
		refusal->text = g_strdup(text);
		g_ptr_array_add(daemon->workloads.unverified, refusal);
	}
}

/* Refusals of a list; true: some of it is other than before. The result does not repeat a version that was refused. */
static bool take_list(AshDaemon *daemon, JsonArray *list, GPtrArray *refusals)
{
	bool has_news = false;

	for (guint i = 0; i < json_array_get_length(list); i++) {
		JsonObject *object = json_array_get_object_element(list, i);
		const char *name = ash_json_find_text(object, "name");
		const char *word = ash_json_find_text(object, "word");
		const AshFleetWorkload *wanted =
				name != NULL ? ash_fleet_workload_find(
							       ash_daemon_workload_wanted(daemon),
							       name)
					     : NULL;
		has_news = has_news || is_news(object);
		if (word == NULL)
			continue;
		g_message("workload %s: %s: %s", name, word, ash_json_find_text(object, "text"));
		add_refusal(refusals, object);
		AshDaemonRefusal *last = refusals->pdata[refusals->len - 1];
		if (last->version == NULL && wanted != NULL)
			last->version = g_strdup(wanted->version);
	}
	return has_news;
}

void ash_daemon_workload_verified(AshDaemon *daemon, JsonObject *result, bool is_source)
{
	AshDaemonWorkloads *workloads = &daemon->workloads;
	JsonArray *list = ash_json_find_objects(result, "workloads");
	const char *trouble = ash_json_find_text(result, "workloads_error");
	g_autoptr(GPtrArray) refusals = refusals_new();
	bool has_news = list != NULL && take_list(daemon, list, refusals);

	if (is_source) {
		workloads->is_checked = true;
		g_ptr_array_unref(workloads->unverified);
		workloads->unverified = g_steal_pointer(&refusals);
		if (trouble != NULL)
			refuse_all(daemon, trouble);
		ash_daemon_fleet_news(daemon);
	}
	ash_daemon_image_take(daemon, list, !is_source);
	if (has_news)
		ash_daemon_workload_tell(daemon);
	if (is_source)
		check_again(daemon);
}

void ash_daemon_workload_check_failed(AshDaemon *daemon)
{
	const GPtrArray *wanted = ash_daemon_workload_wanted(daemon);

	daemon->workloads.is_checked = true;
	if (wanted != NULL && wanted->len > 0)
		ash_daemon_fleet_news(daemon);
}
