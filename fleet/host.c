/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/host.h"

#include <string.h>

#include "fleet/event.h"
#include "lib/checkin.h"
#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_host_error, ash_host_error)

/* ---- which one ---- */

enum {
	MAX_NAMESAKES = 200, /* that are looked at for one that the asker may see */
};

typedef struct {
	AshHostMay may;
	gpointer data;
	GPtrArray *ids;
} Search;

static gboolean take_id(const AshDbRow *row, gpointer data, GError **error)
{
	Search *search = data;
	const char *id = ash_db_row_text(row, 0);

	if (search->may == NULL || search->may(id, search->data))
		g_ptr_array_add(search->ids, g_strdup(id));
	return TRUE;
}

static bool is_prefix(const char *word)
{
	size_t length = strlen(word);

	return length >= ASH_HOST_MIN_PREFIX && length <= 64 &&
	       strspn(word, "0123456789abcdef") == length;
}

gboolean ash_host_resolve_among(AshDb *db, const char *word, AshHostMay may, gpointer data,
		char **out_id, GError **error)
{
	g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
	Search search = {may, data, ids};

	if (is_prefix(word)) {
		/* 'g' is behind all digits. */
		g_autofree char *end = g_strconcat(word, "g", NULL);
		if (!ash_db_query(db,
				    "SELECT id FROM host WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3",
				    ASH_DB_VALUES(ASH_DB_T(word), ASH_DB_T(end),
						    ASH_DB_I(MAX_NAMESAKES)),
				    take_id, &search, error))
			return FALSE;
	}
	if (ids->len == 0 &&
			!ash_db_query(db,
					"SELECT id FROM host WHERE name = $1 ORDER BY id LIMIT $2",
					ASH_DB_VALUES(ASH_DB_T(word), ASH_DB_I(MAX_NAMESAKES)),
					take_id, &search, error))
		return FALSE;
	if (ids->len == 0)
		return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_NOT_FOUND,
				"there is no host '%s'", word);
	if (ids->len > 1)
		return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_AMBIGUOUS,
				"'%s' is several hosts (%.12s…, %.12s…): name it by its id", word,
				(char *) g_ptr_array_index(ids, 0),
				(char *) g_ptr_array_index(ids, 1));
	*out_id = g_ptr_array_steal_index(ids, 0);
	return TRUE;
}

gboolean ash_host_resolve(AshDb *db, const char *word, char **out_id, GError **error)
{
	return ash_host_resolve_among(db, word, NULL, NULL, out_id, error);
}

bool ash_host_name_is_valid(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > ASH_HOST_MAX_NAME)
		return false;
	for (const char *c = name; *c != '\0'; c++)
		if (!g_ascii_isalnum(*c) && strchr("._-", *c) == NULL)
			return false;
	return true;
}

/* ---- states ---- */

static gboolean append(AshDb *db, const char *id, const char *kind, const AshHostBy *by,
		const char *text, const char *data, GError **error)
{
	const AshEvent event = {.at_s = by->now_s,
			.kind = kind,
			.host = id,
			.actor = by->actor,
			.text = text,
			.data = data};

	return ash_db_lock_events(db, error) && ash_event_append(db, &event, error);
}

/* Says which state it is in that forbids it. */
static gboolean refuse_state(AshDb *db, const char *id, const char *act, GError **error)
{
	g_autofree char *state = NULL;

	if (!ash_db_query_string(db, "SELECT state FROM host WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), &state, error))
		return FALSE;
	if (state == NULL)
		return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_NOT_FOUND,
				"there is no host '%s'", id);
	return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_STATE, "a host that is %s cannot %s",
			state, act);
}

typedef struct {
	const char *act; /* of messages: "a host that is retired cannot …" */
	const char *kind, *text;
	const char *sql; /* $1 id, $2 reason */
} Transition;

static const Transition approve = {"be approved", "host.approved", "approved",
		"UPDATE host SET state = 'active', reason = '', desired = desired + 1 WHERE id = $1 AND "
		"state = 'pending' AND $2 = $2"};
static const Transition hold = {"be held", "host.held", "held",
		"UPDATE host SET state = 'held', reason = $2, desired = desired + 1 WHERE id = $1 AND "
		"state IN ('active', 'pending')"};
static const Transition release_hold = {"be let go on", "host.released", "let go on",
		"UPDATE host SET state = 'active', reason = '', is_clone = 0, instance = '', "
		"desired = desired + 1 "
		"WHERE id = $1 AND state = 'held' AND $2 = $2"};
static const Transition retire = {"be retired", "host.retired", "retired",
		"UPDATE host SET state = 'retired', reason = $2, release = 0, rollout = '', verb = '', "
		"desired = desired + 1 WHERE id = $1 AND state <> 'retired'"};

static gboolean transit(AshDb *db, const char *id, const Transition *transition,
		const AshHostBy *by, GError **error)
{
	int64_t changed = 0;

	if (!ash_db_exec(db, transition->sql, ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T(by->reason)),
			    &changed, error))
		return FALSE;
	if (changed == 0)
		return refuse_state(db, id, transition->act, error);
	g_autofree char *text = by->reason[0] != '\0' ? g_strdup_printf("%s: %s", transition->text,
									by->reason)
						      : g_strdup(transition->text);
	return append(db, id, transition->kind, by, text, NULL, error);
}

gboolean ash_host_approve(AshDb *db, const char *id, const AshHostBy *by, GError **error)
{
	return transit(db, id, &approve, by, error);
}

gboolean ash_host_hold(AshDb *db, const char *id, const AshHostBy *by, GError **error)
{
	return transit(db, id, &hold, by, error);
}

gboolean ash_host_release_hold(AshDb *db, const char *id, const AshHostBy *by, GError **error)
{
	return transit(db, id, &release_hold, by, error);
}

static gboolean withdraw_certificates(
		AshDb *db, const char *id, const AshHostBy *by, GError **error)
{
	return ash_db_exec(db,
			"UPDATE certificate SET revoked_at = $2, reason = $3 WHERE host = $1 AND "
			"revoked_at = 0",
			ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(by->now_s), ASH_DB_T(by->reason)),
			NULL, error);
}

gboolean ash_host_retire(AshDb *db, const char *id, const AshHostBy *by, GError **error)
{
	return transit(db, id, &retire, by, error) && withdraw_certificates(db, id, by, error) &&
	       ash_db_exec(db,
			       "UPDATE host_order SET state = 'dropped', ended_at = $2 WHERE host = $1 "
			       "AND state = 'open'",
			       ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_I(by->now_s)), NULL, error);
}

gboolean ash_host_forget(AshDb *db, const char *id, const AshHostBy *by, GError **error)
{
	static const char *const statements[] = {
			"DELETE FROM host_order WHERE host = $1",
			"DELETE FROM host_journal WHERE host = $1",
			"DELETE FROM host_workload WHERE host = $1",
			"DELETE FROM workload_told WHERE host = $1",
			("DELETE FROM rollout_host WHERE host = $1 AND rollout NOT IN "
			 "(SELECT id FROM rollout WHERE ended_at = 0)"),
	};
	int64_t changed = 0;

	if (!withdraw_certificates(db, id, by, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(statements); i++)
		if (!ash_db_exec(db, statements[i], ASH_DB_VALUES(ASH_DB_T(id)), NULL, error))
			return FALSE;
	if (!ash_db_exec(db, "DELETE FROM host WHERE id = $1", ASH_DB_VALUES(ASH_DB_T(id)),
			    &changed, error))
		return FALSE;
	if (changed == 0)
		return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_NOT_FOUND,
				"there is no host '%s'", id);
	return append(db, id, "host.forgotten", by, "forgotten", NULL, error);
}

gboolean ash_host_hold_clone(AshDb *db, const char *id, const char *text, int64_t now_s,
		bool *out_changed, GError **error)
{
	const AshHostBy by = {.actor = "", .reason = "", .now_s = now_s};
	int64_t changed = 0;

	if (!ash_db_exec(db,
			    "UPDATE host SET state = 'held', is_clone = 1, "
			    "reason = 'two hosts have this identity' WHERE id = $1 AND "
			    "(state = 'active' OR (state = 'held' AND is_clone = 0))",
			    ASH_DB_VALUES(ASH_DB_T(id)), &changed, error))
		return FALSE;
	if (changed > 0 && !append(db, id, "host.clone", &by, text, NULL, error))
		return FALSE;
	*out_changed = changed > 0;
	return TRUE;
}

/* ---- labels ---- */

static gboolean merge_labels(const char *before, JsonObject *set, char *const *remove,
		char **out_after, GError **error)
{
	AshPair *pairs = NULL;
	uint32_t count = 0;

	if (!ash_pairs_parse(before, ASH_LIVE_MAX_LABELS, &pairs, &count, error))
		return FALSE;
	g_autoptr(JsonObject) object = json_object_new();
	for (uint32_t i = 0; i < count; i++)
		if (remove == NULL || !g_strv_contains((const char *const *) remove, pairs[i].key))
			json_object_set_string_member(object, pairs[i].key, pairs[i].value);
	ash_pairs_unref(pairs, count);
	JsonObjectIter iter;
	const char *key = NULL;
	JsonNode *node = NULL;
	if (set != NULL) {
		json_object_iter_init(&iter, set);
		while (json_object_iter_next(&iter, &key, &node))
			json_object_set_member(object, key, json_node_copy(node));
	}
	if (!ash_pairs_from_object(object, ASH_LIVE_MAX_LABELS, ASH_LIVE_MAX_LABEL_BYTES, &pairs,
			    &count, error))
		return FALSE;
	*out_after = ash_pairs_format(pairs, count);
	ash_pairs_unref(pairs, count);
	return TRUE;
}

gboolean ash_host_change_labels(AshDb *db, const char *id, JsonObject *set, char *const *remove,
		const AshHostBy *by, char **out_before, char **out_after, GError **error)
{
	g_autofree char *before = NULL;
	g_autofree char *after = NULL;

	if (!ash_db_query_string(db, "SELECT labels FROM host WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_T(id)), &before, error))
		return FALSE;
	if (before == NULL)
		return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_NOT_FOUND,
				"there is no host '%s'", id);
	if (!merge_labels(before, set, remove, &after, error))
		return FALSE;
	if (!g_str_equal(before, after)) {
		g_autofree char *data = g_strdup_printf("{\"labels\":%s}", after);
		if (!ash_db_exec(db, "UPDATE host SET labels = $2 WHERE id = $1",
				    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T(after)), NULL, error) ||
				!append(db, id, "host.labels", by, "labels changed", data, error))
			return FALSE;
	}
	if (out_before != NULL)
		*out_before = g_steal_pointer(&before);
	if (out_after != NULL)
		*out_after = g_steal_pointer(&after);
	return TRUE;
}

/* ---- orders ---- */

static gboolean check_order(const char *verb, const char *argument, GError **error)
{
	static const struct {
		const char *verb;
		bool has_argument;
	} verbs[] = {{"check", false}, {"reboot", false}, {"forgive", true}, {"forget", false},
			{"journal", false}, {"facts", false}, {"workload-start", true},
			{"workload-stop", true}, {"workload-restart", true},
			{"workload-forgive", true}, {"workload-logs", true}};
	size_t i = 0;

	while (i < G_N_ELEMENTS(verbs) && !g_str_equal(verb, verbs[i].verb))
		i++;
	if (i == G_N_ELEMENTS(verbs))
		return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_REQUEST,
				"'verb' is check, reboot, forgive, forget, journal or facts");
	if (verbs[i].has_argument && argument[0] == '\0')
		return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_REQUEST,
				"'argument' is missing: a commit, a version, or all");
	if (!verbs[i].has_argument && argument[0] != '\0')
		return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_REQUEST,
				"'argument' is for forgive alone, %s takes none", verb);
	if (strlen(argument) > ASH_HOST_MAX_ARGUMENT || !g_utf8_validate(argument, -1, NULL))
		return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_REQUEST,
				"'argument' is text of at most %d bytes", ASH_HOST_MAX_ARGUMENT);
	return TRUE;
}

static char *order_data(int64_t order, const char *verb, const char *state)
{
	return g_strdup_printf("{\"id\":%" G_GINT64_FORMAT ",\"verb\":\"%s\",\"state\":\"%s\"}",
			order, verb, state);
}

gboolean ash_host_order(AshDb *db, const char *id, const char *verb, const char *argument,
		const AshHostBy *by, int64_t *out_order, GError **error)
{
	int64_t changed = 0;
	int64_t open = 0;
	int64_t order = 0;

	if (!check_order(verb, argument, error) ||
			!ash_db_exec(db,
					"UPDATE host SET desired = desired + 1 WHERE id = $1 AND "
					"state IN ('active', 'held')",
					ASH_DB_VALUES(ASH_DB_T(id)), &changed, error))
		return FALSE;
	if (changed == 0)
		return refuse_state(db, id, "be given an order", error);
	if (!ash_db_query_int(db,
			    "SELECT COUNT(*) FROM host_order WHERE host = $1 AND state = 'open'",
			    ASH_DB_VALUES(ASH_DB_T(id)), NULL, &open, error))
		return FALSE;
	if (open >= ASH_HOST_MAX_OPEN_ORDERS)
		return ash_throw(error, ASH_HOST_ERROR, ASH_HOST_ERROR_LIMIT,
				"%d orders of this host are open already",
				ASH_HOST_MAX_OPEN_ORDERS);
	if (!ash_db_query_int(db,
			    "INSERT INTO host_order (host, verb, argument, created_at, created_by) "
			    "VALUES ($1, $2, $3, $4, $5) RETURNING id",
			    ASH_DB_VALUES(ASH_DB_T(id), ASH_DB_T(verb), ASH_DB_T(argument),
					    ASH_DB_I(by->now_s), ASH_DB_T(by->actor)),
			    NULL, &order, error))
		return FALSE;
	g_autofree char *data = order_data(order, verb, "open");
	g_autofree char *text = g_strdup_printf("order: %s", verb);
	if (!append(db, id, "host.order", by, text, data, error))
		return FALSE;
	*out_order = order;
	return TRUE;
}

gboolean ash_host_drop_order(
		AshDb *db, const char *id, int64_t order, int64_t now_s, GError **error)
{
	const AshHostBy by = {.actor = "", .reason = "", .now_s = now_s};
	g_autofree char *verb = NULL;

	if (!ash_db_query_string(db,
			    "UPDATE host_order SET state = 'dropped', ended_at = $3 WHERE id = $1 AND "
			    "host = $2 AND state = 'open' RETURNING verb",
			    ASH_DB_VALUES(ASH_DB_I(order), ASH_DB_T(id), ASH_DB_I(now_s)), &verb,
			    error))
		return FALSE;
	if (verb == NULL)
		return TRUE;
	g_autofree char *data = order_data(order, verb, "dropped");
	g_autofree char *text = g_strdup_printf("order dropped: %s", verb);
	return append(db, id, "host.order", &by, text, data, error);
}

gboolean ash_host_end_order(AshDb *db, const char *id, int64_t order, bool is_done,
		const char *result, int64_t now_s, bool *out_changed, GError **error)
{
	const AshHostBy by = {
			.actor = "", .reason = "left its fleet, as it was told", .now_s = now_s};
	const char *state = is_done ? "done" : "failed";
	g_autofree char *verb = NULL;

	if (!ash_db_query_string(db,
			    "UPDATE host_order SET state = $3, result = $4, ended_at = $5 WHERE id = $1 "
			    "AND host = $2 AND state = 'open' RETURNING verb",
			    ASH_DB_VALUES(ASH_DB_I(order), ASH_DB_T(id), ASH_DB_T(state),
					    ASH_DB_T(result), ASH_DB_I(now_s)),
			    &verb, error))
		return FALSE;
	if (verb != NULL) {
		g_autofree char *data = order_data(order, verb, state);
		g_autofree char *text = g_strdup_printf("order %s: %s%s%s", state, verb,
				result[0] != '\0' ? ": " : "", result);
		if (!append(db, id, "host.order", &by, text, data, error))
			return FALSE;
		if (is_done && g_str_equal(verb, "forget") && !ash_host_retire(db, id, &by, error))
			return FALSE;
	}
	*out_changed = verb != NULL;
	return TRUE;
}
