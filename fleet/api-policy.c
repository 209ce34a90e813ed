/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-rollout.h"
#include "fleet/change.h"
#include "fleet/page.h"
#include "fleet/release.h"
#include "fleet/scope.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"

/* Channels: what hosts with the label run. Policies: when hosts may change, and how often they ask. */

enum {
	MAX_NAME = 64,
	MAX_NOTE = 1024,
	MAX_WINDOWS = 16,
	MIN_POLL_S = 5,
	MAX_POLL_S = 86400,
	MAX_RANK = 1000000,
	MAX_LIST_BYTES = 16 << 10,
};

gboolean ash_api_policy_check_name(const char *name, GError **error)
{
	if (*name != '\0' && strlen(name) <= MAX_NAME && g_ascii_isalnum(*name) &&
			strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				     "._-") == strlen(name))
		return TRUE;
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
			"a name is 1 to %d letters, digits and . _ -, a letter or digit first",
			MAX_NAME);
}

const char *ash_api_policy_poll_trouble(int64_t poll_s)
{
	return poll_s == 0 || (poll_s >= MIN_POLL_S && poll_s <= MAX_POLL_S)
			       ? NULL
			       : "'poll' is from 5 s, for each check-in is a connection and a write, to "
				 "86400 s (a day), for less often nothing reaches a host; 0: the server's "
				 "own";
}

static gboolean throw_none(const char *what, const char *name, GError **error)
{
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
			"there is no %s '%.64s'", what, name);
}

static const char *name_of(AshRequest *request)
{
	return g_ptr_array_index(request->parts, 0);
}

/* ---- channels ------------------------------------------------------------------------------------ */

#define CHANNEL_COLUMNS                                                                            \
	"channel.name, channel.note, release.id, release.name, release.variant, release.arch, "    \
	"release.version, release.\"commit\""

#define CHANNELS                                                                                   \
	"SELECT " CHANNEL_COLUMNS " FROM channel LEFT JOIN release ON release.id = channel.release "

static void add_channel(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_string(json, "name", ash_db_row_text(row, 0));
	ash_json_add_string(json, "note", ash_db_row_text(row, 1));
	json_builder_set_member_name(json, "release");
	ash_api_rollout_release(json, row, 2);
}

static gboolean list_channels(AshRequest *request, GError **error)
{
	const AshPage page = {
			.sql = CHANNELS "WHERE channel.name > $1 ORDER BY channel.name LIMIT $2",
			.values = ASH_DB_VALUES(ASH_DB_T(ash_route_after(request)),
					ASH_DB_I(ash_page_rows(request))),
			.add = add_channel,
	};

	return ash_page_reply(request, &page, error);
}

static gboolean show_channel(AshRequest *request, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	const AshPage page = {
			.sql = CHANNELS "WHERE channel.name = $1",
			.values = ASH_DB_VALUES(ASH_DB_T(name_of(request))),
			.add = add_channel,
	};
	bool is_found = false;

	json_builder_begin_object(json);
	if (!ash_page_find(request->db, &page, json, &is_found, error))
		return FALSE;
	return is_found ? ash_route_reply(request, json)
			: throw_none("channel", name_of(request), error);
}

static void add_history(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_int(json, "at", ash_db_row_int(row, 0));
	ash_json_add_string(json, "actor", ash_db_row_text(row, 1));
	ash_json_add_string(json, "reason", ash_db_row_text(row, 2));
	json_builder_set_member_name(json, "release");
	ash_api_rollout_release(json, row, 3);
}

static char *history_of(const AshDbRow *row)
{
	return g_strdup(ash_db_row_text(row, 9));
}

static gboolean show_history(AshRequest *request, GError **error)
{
	int64_t before = 0;

	if (!ash_change_parse(ash_route_after(request), INT64_MAX, &before, error))
		return FALSE;
	const AshPage page = {
			.sql = "SELECT channel_history.at, actor, reason, release.id, release.name, "
			       "release.variant, release.arch, release.version, release.\"commit\", "
			       "channel_history.id FROM channel_history LEFT JOIN release ON "
			       "release.id = channel_history.release WHERE channel = $1 AND "
			       "channel_history.id < $2 ORDER BY channel_history.id DESC LIMIT $3",
			.values = ASH_DB_VALUES(ASH_DB_T(name_of(request)), ASH_DB_I(before),
					ASH_DB_I(ash_page_rows(request))),
			.add = add_history,
			.key = history_of,
	};
	return ash_page_reply(request, &page, error);
}

typedef struct {
	const char *name, *note;
	int64_t release;
	char *version;
} SetChannel;

static char *channel_json(const char *version, const char *note)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_string(json, "release", version);
	ash_json_add_string(json, "note", note);
	json_builder_end_object(json);
	return ash_json_format(json, false);
}

static gboolean write_channel(AshRequest *request, gpointer data, GError **error)
{
	const SetChannel *set = data;
	g_autofree char *object = g_strconcat("channel:", set->name, NULL);
	g_autofree char *after = channel_json(set->version, set->note);
	g_autofree char *before = NULL;
	g_autofree char *text = *set->version != '\0'
						? g_strdup_printf("channel %s points to %s",
								  set->name, set->version)
						: g_strdup_printf("channel %s points to nothing",
								  set->name);

	if (!ash_db_query_string(request->db,
			    "SELECT version FROM release JOIN channel ON channel.release = release.id "
			    "WHERE channel.name = $1",
			    ASH_DB_VALUES(ASH_DB_T(set->name)), &before, error))
		return FALSE;
	g_autofree char *before_json = before != NULL ? channel_json(before, "") : NULL;
	return ash_db_exec(request->db,
			       "INSERT INTO channel (name, release, note) VALUES ($1, $2, $3) ON CONFLICT "
			       "(name) DO UPDATE SET release = excluded.release, note = excluded.note",
			       ASH_DB_VALUES(ASH_DB_T(set->name), ASH_DB_I(set->release),
					       ASH_DB_T(set->note)),
			       NULL, error) &&
	       ash_db_exec(request->db,
			       "INSERT INTO channel_history (channel, release, at, actor, reason) "
			       "VALUES ($1, $2, $3, $4, $5)",
			       ASH_DB_VALUES(ASH_DB_T(set->name), ASH_DB_I(set->release),
					       ASH_DB_I(request->server->now()),
					       ASH_DB_T(request->actor), ASH_DB_T(request->reason)),
			       NULL, error) &&
	       ash_route_audit(request, "channel.set", object, before_json, after, error) &&
	       ash_change_event(request, "channel.changed", text, NULL, error);
}

typedef struct {
	const AshScope *scope;
	const char *channel;
	uint32_t hosts;
} Follow;

static bool count_follower(const AshHost *host, gpointer data)
{
	Follow *follow = data;
	const char *channel = ash_pairs_get(host->labels, host->label_count, "channel");

	follow->hosts += g_strcmp0(channel, follow->channel) == 0 &&
			 ash_scope_has(follow->scope, host);
	return true;
}

/* Answers 409 when other hosts follow it than the operator was shown. */
static gboolean check_followers(
		AshRequest *request, const char *channel, bool *out_refused, GError **error)
{
	g_auto(AshScope) scope = {0};
	int64_t expect = -1;

	*out_refused = false;
	if (!ash_change_number(request, "expect", UINT32_MAX, -1, &expect, error))
		return FALSE;
	if (expect < 0)
		return TRUE;
	if (!ash_scope_init(request, &scope, error))
		return FALSE;
	Follow follow = {&scope, channel, 0};
	ash_live_each(request->server->live, count_follower, &follow);
	*out_refused = follow.hosts != (uint64_t) expect;
	if (*out_refused)
		ash_http_reply_json(request->call, 409,
				g_strdup_printf("{\"kind\":\"count\",\"text\":\"%u hosts follow it "
						"now: look again.\",\"count\":%u}\n",
						follow.hosts, follow.hosts));
	return TRUE;
}

static gboolean set_channel(AshRequest *request, GError **error)
{
	SetChannel set = {.name = name_of(request)};
	bool is_refused = false;
	g_autoptr(AshFleetRelease) release = NULL;
	g_autofree char *what = NULL;

	if (!ash_api_policy_check_name(set.name, error) ||
			!ash_change_text(request, "note", MAX_NOTE, "", &set.note, error) ||
			!ash_api_rollout_release_member(request, "release", &what, error))
		return FALSE;
	if (what != NULL && *what != '\0' && !g_str_equal(what, "0") &&
			!ash_api_rollout_find_release(request, what, &release, error))
		return FALSE;
	if (release != NULL && *release->withdrawn != '\0')
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_CONFLICT,
				"%s is withdrawn: %s", release->version, release->withdrawn);
	set.release = release != NULL ? release->id : 0;
	set.version = release != NULL ? release->version : (char[]){""};
	if (!check_followers(request, set.name, &is_refused, error))
		return FALSE;
	if (is_refused)
		return TRUE;
	if (!ash_change_run(request, write_channel, &set, error))
		return FALSE;
	return show_channel(request, error);
}

/* ---- policies ------------------------------------------------------------------------------------ */

#define POLICY_COLUMNS "name, rank, selector, windows, poll_s, note"

static void add_policy(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	g_autoptr(JsonNode) windows = json_from_string(ash_db_row_text(row, 3), NULL);

	ash_json_add_string(json, "name", ash_db_row_text(row, 0));
	ash_json_add_int(json, "rank", ash_db_row_int(row, 1));
	ash_json_add_string(json, "selector", ash_db_row_text(row, 2));
	json_builder_set_member_name(json, "windows");
	if (windows != NULL)
		json_builder_add_value(json, json_node_copy(windows));
	else
		json_builder_end_array(json_builder_begin_array(json));
	ash_json_add_int(json, "poll", ash_db_row_int(row, 4));
	ash_json_add_string(json, "note", ash_db_row_text(row, 5));
}

static char *policy_of(const AshDbRow *row)
{
	return g_strdup_printf(
			"%" G_GINT64_FORMAT "-%s", ash_db_row_int(row, 1), ash_db_row_text(row, 0));
}

/* In their order; "after" is "RANK-NAME". */
static gboolean list_policies(AshRequest *request, GError **error)
{
	const char *after = ash_route_after(request);
	char *end = NULL;
	int64_t rank = g_ascii_strtoll(after, &end, 10);

	const AshPage page = {
			.sql = "SELECT " POLICY_COLUMNS
			       " FROM policy WHERE rank > $1 OR (rank = $1 AND name > $2) "
			       "ORDER BY rank, name LIMIT $3",
			.values = ASH_DB_VALUES(ASH_DB_I(*after != '\0' ? rank : INT64_MIN),
					ASH_DB_T(*end == '-' ? end + 1 : ""),
					ASH_DB_I(ash_page_rows(request))),
			.add = add_policy,
			.key = policy_of,
	};
	return ash_page_reply(request, &page, error);
}

/* The policy of this name, as a whole document. */
static gboolean find_policy(AshRequest *request, const char *name, JsonBuilder *json,
		bool *out_found, GError **error)
{
	const AshPage page = {
			.sql = "SELECT " POLICY_COLUMNS " FROM policy WHERE name = $1",
			.values = ASH_DB_VALUES(ASH_DB_T(name)),
			.add = add_policy,
	};

	json_builder_begin_object(json);
	return ash_page_find(request->db, &page, json, out_found, error);
}

static gboolean show_policy(AshRequest *request, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	bool is_found = false;

	if (!find_policy(request, name_of(request), json, &is_found, error))
		return FALSE;
	return is_found ? ash_route_reply(request, json)
			: throw_none("policy", name_of(request), error);
}

/* The row as JSON, for the audit log; NULL without one. */
static gboolean policy_json(AshRequest *request, const char *name, char **out_json, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	bool is_found = false;

	if (!find_policy(request, name, json, &is_found, error))
		return FALSE;
	json_builder_end_object(json);
	*out_json = is_found ? ash_json_format(json, false) : NULL;
	return TRUE;
}

typedef struct {
	const char *name, *note;
	char *selector, *windows;
	int64_t rank, poll_s;
} SetPolicy;

static gboolean write_policy(AshRequest *request, gpointer data, GError **error)
{
	const SetPolicy *set = data;
	g_autofree char *object = g_strconcat("policy:", set->name, NULL);
	g_autofree char *text = g_strdup_printf("policy %s changed", set->name);
	g_autofree char *before = NULL;
	g_autofree char *after = NULL;

	return policy_json(request, set->name, &before, error) &&
	       ash_db_exec(request->db,
			       "INSERT INTO policy (name, rank, selector, windows, poll_s, note) "
			       "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE SET "
			       "rank = excluded.rank, selector = excluded.selector, windows = "
			       "excluded.windows, poll_s = excluded.poll_s, note = excluded.note",
			       ASH_DB_VALUES(ASH_DB_T(set->name), ASH_DB_I(set->rank),
					       ASH_DB_T(set->selector), ASH_DB_T(set->windows),
					       ASH_DB_I(set->poll_s), ASH_DB_T(set->note)),
			       NULL, error) &&
	       policy_json(request, set->name, &after, error) &&
	       ash_route_audit(request, "policy.set", object, before, after, error) &&
	       ash_change_event(request, "policy.changed", text, NULL, error);
}

/* Each is read once here, by what reads them later. */
static gboolean check_policy(AshRequest *request, const char *selector_text, JsonArray *windows,
		SetPolicy *set, GError **error)
{
	g_autoptr(AshDesiredBook) book = ash_desired_book_new();
	g_autoptr(AshSelector) selector = NULL;
	g_autoptr(GPtrArray) texts = g_ptr_array_new();
	g_autoptr(JsonNode) node = json_node_new(JSON_NODE_ARRAY);

	if (windows != NULL && json_array_get_length(windows) > MAX_WINDOWS)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"a policy has at most %d windows", MAX_WINDOWS);
	for (unsigned i = 0; windows != NULL && i < json_array_get_length(windows); i++) {
		const char *text = ash_api_rollout_element(windows, i);
		if (text == NULL)
			return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
					"'windows' are texts");
		g_ptr_array_add(texts, (gpointer) (uintptr_t) text);
	}
	g_ptr_array_add(texts, NULL);
	if (!ash_selector_parse(selector_text, &selector, error) ||
			!ash_desired_book_add_policy(book, set->name, set->rank, selector_text,
					(const char *const *) texts->pdata, set->poll_s, error))
		return ash_api_rollout_refuse(error);
	set->selector = ash_selector_format(selector);
	g_autoptr(JsonArray) none = json_array_new();
	json_node_set_array(node, windows != NULL ? windows : none);
	set->windows = json_to_string(node, FALSE);
	return TRUE;
}

static gboolean set_policy(AshRequest *request, GError **error)
{
	SetPolicy set = {.name = name_of(request)};
	const char *selector = NULL;
	JsonArray *windows = NULL;

	if (!ash_api_policy_check_name(set.name, error) ||
			!ash_change_text(request, "note", MAX_NOTE, "", &set.note, error) ||
			!ash_change_text(request, "selector", ASH_SELECTOR_MAX_BYTES, "", &selector,
					error) ||
			!ash_change_number(request, "rank", MAX_RANK, 100, &set.rank, error) ||
			!ash_change_number(request, "poll", INT32_MAX, 0, &set.poll_s, error))
		return FALSE;
	const char *trouble = ash_api_policy_poll_trouble(set.poll_s);
	if (trouble != NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST, "%s", trouble);
	if (json_object_has_member(request->body, "windows") &&
			!ash_json_array(request->body, "windows", &windows, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	gboolean ok = check_policy(request, selector, windows, &set, error) &&
		      ash_change_run(request, write_policy, &set, error);
	g_free(set.selector);
	g_free(set.windows);
	return ok && show_policy(request, error);
}

static gboolean delete_policy_row(AshRequest *request, gpointer data, GError **error)
{
	const char *name = data;
	g_autofree char *object = g_strconcat("policy:", name, NULL);
	g_autofree char *text = g_strdup_printf("policy %s is gone", name);
	g_autofree char *before = NULL;

	if (!policy_json(request, name, &before, error))
		return FALSE;
	if (before == NULL)
		return throw_none("policy", name, error);
	return ash_db_exec(request->db, "DELETE FROM policy WHERE name = $1",
			       ASH_DB_VALUES(ASH_DB_T(name)), NULL, error) &&
	       ash_route_audit(request, "policy.delete", object, before, NULL, error) &&
	       ash_change_event(request, "policy.changed", text, NULL, error);
}

static gboolean delete_policy(AshRequest *request, GError **error)
{
	if (!ash_change_run(request, delete_policy_row, g_ptr_array_index(request->parts, 0),
			    error))
		return FALSE;
	return ash_route_reply_empty(request);
}

/* ---- routes -------------------------------------------------------------------------------------- */

static const AshRouteMember list_arguments[] = {
		{"limit", "integer", false, "1 to 1000; default 100"},
		{"after", "string", false, "'next' of the page before"},
		{0},
};
static const AshRouteMember channel_members[] = {
		{"release", "integer|string", true, "id, NAME/VERSION or VERSION; 0 or \"\": none"},
		{"note", "string", false, "what it is for"},
		{"expect", "integer", false,
				"how many hosts have its label; 409 'count' when it is another number"},
		{"reason", "string", false, "for the audit log"},
		{0},
};
static const AshRouteMember policy_members[] = {
		{"selector", "string", true, "which hosts; \"\": all"},
		{"rank", "integer", false, "the lowest that matches rules; default 100"},
		{"windows", "array", false, "texts as '02:00-05:00 Europe/Zurich'; none: any time"},
		{"poll", "integer", false, "seconds, 5 to 86400; 0 (default): the server's own"},
		{"note", "string", false, "what it is for"},
		{"reason", "string", false, "for the audit log"},
		{0},
};
static const AshRouteMember reason_members[] = {
		{"reason", "string", false, "for the audit log"}, {0}};

#define CHANNEL                                                                                        \
	"{\"name\":\"stable\",\"note\":\"\",\"release\":{\"id\":1,\"name\":\"host\",\"variant\":\"\"," \
	"\"arch\":\"amd64\",\"version\":\"1.4.0\",\"commit\":\"…\"}}"
#define POLICY                                                                                       \
	"{\"name\":\"nights\",\"rank\":100,\"selector\":\"site = bern\",\"windows\":[\"02:00-05:00 " \
	"Europe/Zurich\"],\"poll\":0,\"note\":\"\"}"

const AshRoute ash_api_policy_routes[] = {
		{"GET", "/v1/channels", ASH_ROLE_VIEWER, "Channels", list_channels,
				.arguments = list_arguments, .answer = "{\"items\":[" CHANNEL "]}"},
		{"GET", "/v1/channels/{name}", ASH_ROLE_VIEWER, "One channel", show_channel,
				.answer = CHANNEL},
		{"PUT", "/v1/channels/{name}", ASH_ROLE_ADMIN,
				"Point a channel to a release: its hosts get it at once",
				set_channel, .members = channel_members, .answer = CHANNEL},
		{"GET", "/v1/channels/{name}/history", ASH_ROLE_VIEWER,
				"Where a channel pointed, newest first", show_history,
				.arguments = list_arguments,
				.answer = "{\"items\":[{\"at\":1,\"actor\":\"ada\",\"reason\":\"\","
					  "\"release\":null}]}"},
		{"GET", "/v1/policies", ASH_ROLE_VIEWER, "Policies, by rank", list_policies,
				.arguments = list_arguments, .answer = "{\"items\":[" POLICY "]}"},
		{"GET", "/v1/policies/{name}", ASH_ROLE_VIEWER, "One policy", show_policy,
				.answer = POLICY},
		{"PUT", "/v1/policies/{name}", ASH_ROLE_ADMIN, "Make or change a policy",
				set_policy, .members = policy_members, .answer = POLICY},
		{"DELETE", "/v1/policies/{name}", ASH_ROLE_ADMIN, "Delete a policy", delete_policy,
				.members = reason_members},
		{0},
};
