/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/checkin.h"
#include "fleet/workload-said.h"
#include "lib/checkin.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"
#include "lib/version.h"

G_DEFINE_QUARK(ash_checkin_error, ash_checkin_error)

static gboolean fail(GError **error, const char *member, const char *wanted)
{
	return ash_throw(error, ASH_CHECKIN_ERROR, ASH_CHECKIN_ERROR_REQUEST, "'%s' is %s", member,
			wanted);
}

static gboolean too_many(GError **error, const char *member, unsigned max)
{
	return ash_throw(error, ASH_CHECKIN_ERROR, ASH_CHECKIN_ERROR_LIMIT,
			"'%s' has more than %u elements", member, max);
}

/* ---- texts ---- */

static bool is_clean(const char *text, size_t max_bytes)
{
	size_t length = 0;

	for (; text[length] != '\0'; length++)
		if (length >= max_bytes || (g_ascii_iscntrl(text[length]) && text[length] != '\n'))
			return false;
	return true;
}

/* @path: "state.booted.version", its last part is the member. "" where it is left out. */
static gboolean take_text(JsonObject *object, const char *path, size_t max_bytes,
		const char **out_text, GError **error)
{
	const char *dot = strrchr(path, '.');
	const char *text = "";

	if (!ash_json_text_opt(object, dot != NULL ? dot + 1 : path, &text, error))
		return FALSE;
	if (!is_clean(text, max_bytes))
		return ash_throw(error, ASH_CHECKIN_ERROR, ASH_CHECKIN_ERROR_LIMIT,
				"'%s' is longer than %zu bytes, or holds control characters", path,
				max_bytes);
	*out_text = text;
	return TRUE;
}

static gboolean take_commit(
		JsonObject *object, const char *path, const char **out_commit, GError **error)
{
	if (!take_text(object, path, ASH_CHECKIN_MAX_WORD, out_commit, error))
		return FALSE;
	if ((*out_commit)[0] != '\0' && !ash_text_is_sha256(*out_commit))
		return fail(error, path, "64 hexadecimal digits");
	return TRUE;
}

static gboolean take_version(
		JsonObject *object, const char *path, const char **out_version, GError **error)
{
	if (!take_text(object, path, ASH_CHECKIN_MAX_WORD, out_version, error))
		return FALSE;
	if ((*out_version)[0] != '\0' && !ash_version_is_valid(*out_version))
		return fail(error, path, "a version");
	return TRUE;
}

/* Missing is fine: *out_object stays NULL. */
static gboolean take_object(
		JsonObject *object, const char *key, JsonObject **out_object, GError **error)
{
	if (!json_object_has_member(object, key) || json_object_get_null_member(object, key))
		return TRUE;
	return ash_json_object(object, key, out_object, error);
}

static gboolean take_array(
		JsonObject *object, const char *key, JsonArray **out_array, GError **error)
{
	if (!json_object_has_member(object, key) || json_object_get_null_member(object, key))
		return TRUE;
	return ash_json_array(object, key, out_array, error);
}

static gboolean take_element(JsonArray *array, guint index, const char *what,
		JsonObject **out_object, GError **error)
{
	JsonNode *node = json_array_get_element(array, index);

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return fail(error, what, "an array of objects");
	*out_object = json_node_get_object(node);
	return TRUE;
}

/* The object's text again, for the table. */
static gboolean take_json(JsonObject *object, const char *what, size_t max_bytes, char **out_json,
		GError **error)
{
	g_autoptr(JsonNode) node = json_node_alloc();

	json_node_init_object(node, object);
	g_autofree char *json = json_to_string(node, FALSE);
	if (strlen(json) > max_bytes)
		return ash_throw(error, ASH_CHECKIN_ERROR, ASH_CHECKIN_ERROR_LIMIT,
				"'%s' is larger than %zu bytes", what, max_bytes);
	*out_json = g_steal_pointer(&json);
	return TRUE;
}

/* ---- members ---- */

static gboolean take_failed(JsonObject *state, AshCheckin *checkin, GError **error)
{
	JsonArray *failed = NULL;
	const char *newest = "";

	if (!take_array(state, "failed", &failed, error))
		return FALSE;
	guint count = failed != NULL ? json_array_get_length(failed) : 0;
	for (guint i = 0; i < count; i++) {
		JsonObject *entry = NULL;
		const char *commit = "";
		const char *version = "";
		const char *kind = "";
		if (!take_element(failed, i, "state.failed", &entry, error) ||
				!take_commit(entry, "state.failed.commit", &commit, error) ||
				!take_version(entry, "state.failed.version", &version, error) ||
				!take_text(entry, "state.failed.kind", ASH_CHECKIN_MAX_WORD, &kind,
						error))
			return FALSE;
		/* What is held back by its owner has not failed. */
		if (!g_str_equal(kind, "bad") || ash_version_compare(version, newest) < 0)
			continue;
		newest = version;
		checkin->report.failed_commit = commit;
	}
	checkin->report.is_returned = newest[0] != '\0' &&
				      ash_version_compare(newest, checkin->report.version) > 0;
	return TRUE;
}

static gboolean take_state(JsonObject *root, AshCheckin *checkin, GError **error)
{
	JsonObject *state = NULL;
	JsonObject *booted = NULL;
	const char *stuck = "";

	if (!take_object(root, "state", &state, error))
		return FALSE;
	if (state == NULL)
		return TRUE;
	if (!take_text(state, "state.state", ASH_CHECKIN_MAX_WORD, &checkin->report.state, error) ||
			!take_text(state, "state.verdict", ASH_CHECKIN_MAX_WORD,
					&checkin->report.verdict, error) ||
			!take_text(state, "state.degraded", ASH_CHECKIN_MAX_TEXT, &stuck, error) ||
			!take_object(state, "booted", &booted, error))
		return FALSE;
	checkin->report.is_stuck = stuck[0] != '\0';
	checkin->report.commit = checkin->report.version = checkin->report.image =
			checkin->report.variant = checkin->report.arch =
					checkin->report.failed_commit = "";
	if (booted != NULL && (!take_commit(booted, "state.booted.commit", &checkin->report.commit,
					       error) ||
					      !take_version(booted, "state.booted.version",
							      &checkin->report.version, error) ||
					      !take_text(booted, "state.booted.name",
							      ASH_CHECKIN_MAX_WORD,
							      &checkin->report.image, error) ||
					      !take_text(booted, "state.booted.variant",
							      ASH_CHECKIN_MAX_WORD,
							      &checkin->report.variant, error) ||
					      !take_text(booted, "state.booted.arch",
							      ASH_CHECKIN_MAX_WORD,
							      &checkin->report.arch, error)))
		return FALSE;
	return take_failed(state, checkin, error) &&
	       take_json(state, "state", ASH_CHECKIN_MAX_REPORT, &checkin->state, error);
}

static gboolean take_health(JsonObject *root, AshCheckin *checkin, GError **error)
{
	JsonObject *health = NULL;

	if (!take_object(root, "health", &health, error))
		return FALSE;
	return health == NULL ||
	       take_json(health, "health", ASH_CHECKIN_MAX_REPORT, &checkin->health, error);
}

static gboolean take_facts(JsonObject *root, AshCheckin *checkin, GError **error)
{
	ASH_PREFIX("'facts'");
	JsonObject *facts = NULL;

	if (!take_object(root, "facts", &facts, error))
		return FALSE;
	if (facts == NULL)
		return TRUE;
	if (!ash_pairs_from_object(facts, ASH_CHECKIN_MAX_FACTS, ASH_LIVE_MAX_FACT_BYTES,
			    &checkin->fact_pairs, &checkin->fact_count, error))
		return FALSE;
	g_autofree char *json = ash_pairs_format(checkin->fact_pairs, checkin->fact_count);
	if (strlen(json) > ASH_LIVE_MAX_PAIRS_BYTES)
		return ash_throw(error, ASH_CHECKIN_ERROR, ASH_CHECKIN_ERROR_LIMIT,
				"larger than %d bytes", ASH_LIVE_MAX_PAIRS_BYTES);
	checkin->facts = g_steal_pointer(&json);
	return TRUE;
}

static gboolean take_event(JsonObject *object, AshCheckinEvent *event, GError **error)
{
	const char *word = "";
	const char *version = "";
	const char *text = "";
	uint64_t id = 0;

	if (!ash_json_uint(object, "id", INT64_MAX, &id, error) ||
			!ash_json_int_opt(object, "at", &event->at_s, error) ||
			!take_text(object, "events.event", ASH_CHECKIN_MAX_WORD, &word, error) ||
			!take_text(object, "events.version", ASH_CHECKIN_MAX_WORD, &version,
					error) ||
			!take_text(object, "events.text", ASH_CHECKIN_MAX_TEXT, &text, error) ||
			!take_json(object, "events", ASH_CHECKIN_MAX_EVENT_BYTES, &event->json,
					error))
		return FALSE;
	event->id = (int64_t) id;
	event->text = g_strconcat(word, version[0] != '\0' ? " " : "", version,
			text[0] != '\0' ? ": " : "", text, NULL);
	return TRUE;
}

static gboolean take_events(JsonObject *root, AshCheckin *checkin, GError **error)
{
	ASH_PREFIX("'events'");
	JsonArray *events = NULL;
	int64_t last = 0;

	if (!take_array(root, "events", &events, error))
		return FALSE;
	guint count = events != NULL ? json_array_get_length(events) : 0;
	if (count > ASH_CHECKIN_MAX_EVENTS)
		return too_many(error, "events", ASH_CHECKIN_MAX_EVENTS);
	checkin->events = g_new0(AshCheckinEvent, count);
	for (guint i = 0; i < count; i++) {
		JsonObject *object = NULL;
		AshCheckinEvent *event = &checkin->events[i];
		checkin->event_count = i + 1;
		if (!take_element(events, i, "events", &object, error) ||
				!take_event(object, event, error))
			return FALSE;
		if (event->id <= last)
			return fail(error, "events.id", "a number that grows, from 1");
		last = event->id;
	}
	return TRUE;
}

static gboolean take_orders(JsonObject *root, AshCheckin *checkin, GError **error)
{
	ASH_PREFIX("'orders'");
	JsonArray *orders = NULL;

	if (!take_array(root, "orders", &orders, error))
		return FALSE;
	guint count = orders != NULL ? json_array_get_length(orders) : 0;
	if (count > ASH_CHECKIN_MAX_ORDERS)
		return too_many(error, "orders", ASH_CHECKIN_MAX_ORDERS);
	checkin->orders = g_new0(AshCheckinOrder, count);
	checkin->order_count = count;
	for (guint i = 0; i < count; i++) {
		JsonObject *object = NULL;
		uint64_t id = 0;
		if (!take_element(orders, i, "orders", &object, error) ||
				!ash_json_uint(object, "id", INT64_MAX, &id, error) ||
				!ash_json_bool_opt(
						object, "ok", &checkin->orders[i].is_ok, error) ||
				!take_text(object, "orders.text", ASH_CHECKIN_MAX_TEXT,
						&checkin->orders[i].text, error))
			return FALSE;
		checkin->orders[i].id = (int64_t) id;
	}
	return TRUE;
}

/* A journal has tabs, colours and worse; what is no text is made visible when it is shown, so it is kept as UTF-8. */
static gboolean take_journal(JsonObject *root, AshCheckin *checkin, GError **error)
{
	JsonObject *journal = NULL;

	if (!take_object(root, "journal", &journal, error))
		return FALSE;
	if (journal == NULL)
		return TRUE;
	if (!ash_json_text(journal, "text", &checkin->journal, error) ||
			!take_text(journal, "journal.version", ASH_CHECKIN_MAX_WORD,
					&checkin->journal_version, error) ||
			!ash_json_int_opt(journal, "at", &checkin->journal_at_s, error))
		return FALSE;
	if (strlen(checkin->journal) > ASH_CHECKIN_MAX_JOURNAL)
		return ash_throw(error, ASH_CHECKIN_ERROR, ASH_CHECKIN_ERROR_LIMIT,
				"'journal.text' is longer than %d bytes", ASH_CHECKIN_MAX_JOURNAL);
	return TRUE;
}

/* ---- workloads ---- */

static gboolean take_workloads(JsonObject *root, AshCheckin *checkin, GError **error)
{
	ASH_PREFIX("'workloads'");
	JsonObject *workloads = NULL;

	if (!take_object(root, "workloads", &workloads, error))
		return FALSE;
	return workloads == NULL ||
	       (ash_workload_said_parse(workloads, &checkin->workloads_said, error) &&
			       take_json(workloads, "workloads", ASH_CHECKIN_MAX_WORKLOADS,
					       &checkin->workloads, error));
}

static gboolean take_log(JsonObject *log, size_t *inout_bytes, GError **error)
{
	JsonArray *lines = NULL;
	uint64_t order = 0;
	bool has_more = false;

	if (!ash_json_uint(log, "order", INT64_MAX, &order, error) ||
			!ash_json_bool_opt(log, "more", &has_more, error) ||
			!take_array(log, "lines", &lines, error))
		return FALSE;
	guint count = lines != NULL ? json_array_get_length(lines) : 0;
	for (guint i = 0; i < count; i++) {
		JsonNode *line = json_array_get_element(lines, i);
		if (!JSON_NODE_HOLDS_VALUE(line) || json_node_get_value_type(line) != G_TYPE_STRING)
			return fail(error, "logs.lines", "an array of texts");
		*inout_bytes += strlen(json_node_get_string(line)) + 3;
	}
	return TRUE;
}

/* Lines have whatever a program writes; who shows them makes it visible. */
static gboolean take_logs(JsonObject *root, AshCheckin *checkin, GError **error)
{
	ASH_PREFIX("'logs'");
	JsonArray *logs = NULL;
	size_t bytes = 0;

	if (!take_array(root, "logs", &logs, error))
		return FALSE;
	guint count = logs != NULL ? json_array_get_length(logs) : 0;
	if (count > ASH_CHECKIN_MAX_ORDERS)
		return too_many(error, "logs", ASH_CHECKIN_MAX_ORDERS);
	for (guint i = 0; i < count; i++) {
		JsonObject *log = NULL;
		if (!take_element(logs, i, "logs", &log, error) || !take_log(log, &bytes, error))
			return FALSE;
	}
	if (bytes > ASH_CHECKIN_MAX_LOGS)
		return ash_throw(error, ASH_CHECKIN_ERROR, ASH_CHECKIN_ERROR_LIMIT,
				"larger than %d bytes", ASH_CHECKIN_MAX_LOGS);
	checkin->logs = count > 0 ? logs : NULL;
	return TRUE;
}

static gboolean take_who(JsonObject *root, AshCheckin *checkin, GError **error)
{
	uint64_t seq = 0;
	uint64_t wait_s = 0;
	uint64_t have = 0;

	if (!ash_json_uint(root, "seq", INT64_MAX, &seq, error) ||
			!ash_json_uint_opt(root, "wait", INT64_MAX, &wait_s, error) ||
			!ash_json_uint_opt(root, "have", INT64_MAX, &have, error) ||
			!take_text(root, "instance", ASH_CHECKIN_MAX_WORD, &checkin->instance,
					error) ||
			!take_text(root, "boot", ASH_CHECKIN_MAX_WORD, &checkin->boot, error))
		return FALSE;
	if (seq == 0)
		return fail(error, "seq", "a number from 1");
	if (checkin->instance[0] == '\0')
		return fail(error, "instance", "missing");
	if (checkin->boot[0] == '\0')
		return fail(error, "boot", "missing");
	checkin->seq = (int64_t) seq;
	checkin->wait_s = (int64_t) MIN(wait_s, ASH_CHECKIN_MAX_WAIT_S);
	checkin->have = (int64_t) have;
	return TRUE;
}

gboolean ash_checkin_parse(GBytes *body, AshCheckin **out_checkin, GError **error)
{
	g_autoptr(AshCheckin) checkin = g_new0(AshCheckin, 1);

	if (!ash_json_parse(body, ASH_CHECKIN_MAX_BYTES, ASH_CHECKIN_MAX_DEPTH, &checkin->document,
			    error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(checkin->document))
		return fail(error, "body", "an object");
	JsonObject *root = json_node_get_object(checkin->document);
	if (!take_who(root, checkin, error) || !take_state(root, checkin, error) ||
			!take_health(root, checkin, error) || !take_facts(root, checkin, error) ||
			!take_events(root, checkin, error) || !take_orders(root, checkin, error) ||
			!take_journal(root, checkin, error) ||
			!take_workloads(root, checkin, error) || !take_logs(root, checkin, error))
		return FALSE;
	*out_checkin = g_steal_pointer(&checkin);
	return TRUE;
}

void ash_checkin_free(AshCheckin *checkin)
{
	if (checkin == NULL)
		return;
	g_clear_pointer(&checkin->document, json_node_unref);
	g_free(checkin->state);
	g_free(checkin->health);
	g_free(checkin->facts);
	g_free(checkin->workloads);
	g_free(checkin->workloads_said);
	ash_pairs_unref(checkin->fact_pairs, checkin->fact_count);
	for (unsigned i = 0; i < checkin->event_count; i++) {
		g_free(checkin->events[i].text);
		g_free(checkin->events[i].json);
	}
	g_free(checkin->events);
	g_free(checkin->orders);
	g_free(checkin);
}
