/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/api-overview.h"

#include <string.h>

#include "fleet/change.h"
#include "fleet/overview.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/version.h"

enum {
	MAX_HOURS = ASH_OVERVIEW_KEEP_S / 3600,
	MAX_SHOWN_VERSIONS = 100,
	MAX_ROLLOUTS = 20,
};

/* ---- rollouts that go on ---- */

static JsonObject *parse_object(const char *text, JsonNode **out_node)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));

	if (!ash_json_parse(bytes, 1 << 20, 16, out_node, NULL) ||
			!JSON_NODE_HOLDS_OBJECT(*out_node))
		return NULL;
	return json_node_get_object(*out_node);
}

static void add_release(JsonBuilder *json, const AshDbRow *row)
{
	ash_json_begin_object(json, "release");
	ash_json_add_int(json, "id", ash_db_row_int(row, 7));
	ash_json_add_text(json, "name", ash_db_row_text(row, 8));
	ash_json_add_text(json, "version", ash_db_row_text(row, 9));
	ash_json_add_text(json, "arch", ash_db_row_text(row, 10));
	json_builder_end_object(json);
}

/* What the summary says, but for the members that are columns. */
static void add_summary(JsonBuilder *json, const char *text)
{
	static const char *const columns[] = {
			"id", "name", "release", "state", "reason", "created_at", "created_by"};
	g_autoptr(JsonNode) node = NULL;
	JsonObject *summary = parse_object(text, &node);

	if (summary == NULL)
		return;
	g_autoptr(GList) members = json_object_get_members(summary);
	for (GList *i = members; i != NULL; i = i->next) {
		bool is_column = false;
		for (size_t c = 0; c < G_N_ELEMENTS(columns); c++)
			is_column |= strcmp(i->data, columns[c]) == 0;
		if (is_column)
			continue;
		json_builder_set_member_name(json, i->data);
		json_builder_add_value(json, json_object_dup_member(summary, i->data));
	}
}

static gboolean take_rollout(const AshDbRow *row, gpointer data, GError **error)
{
	JsonBuilder *json = data;

	json_builder_begin_object(json);
	ash_json_add_text(json, "id", ash_db_row_text(row, 0));
	ash_json_add_text(json, "name", ash_db_row_text(row, 1));
	ash_json_add_text(json, "state", ash_db_row_text(row, 2));
	ash_json_add_text(json, "reason", ash_db_row_text(row, 3));
	ash_json_add_int(json, "created_at", ash_db_row_int(row, 5));
	ash_json_add_text(json, "created_by", ash_db_row_text(row, 6));
	add_release(json, row);
	add_summary(json, ash_db_row_text(row, 4));
	json_builder_end_object(json);
	return TRUE;
}

static gboolean add_rollouts(AshRequest *request, JsonBuilder *json, GError **error)
{
	ash_json_begin_array(json, "rollouts");
	if (!ash_db_query(request->db,
			    "SELECT rollout.id, rollout.name, state, reason, summary, created_at, "
			    "created_by, release.id, release.name, release.version, release.arch FROM "
			    "rollout LEFT JOIN release ON release.id = rollout.release WHERE state IN "
			    "('running', 'paused', 'halted', 'reverting') ORDER BY created_at DESC "
			    "LIMIT $1",
			    ASH_DB_VALUES(ASH_DB_I(MAX_ROLLOUTS)), take_rollout, json, error))
		return FALSE;
	json_builder_end_array(json);
	return TRUE;
}

/* ---- overview ---- */

static void add_counts(JsonBuilder *json, const AshOverviewCounts *counts)
{
	ash_json_add_uint(json, "hosts", counts->hosts);
	ash_json_begin_object(json, "by_state");
	for (AshHostState state = ASH_HOST_PENDING; state <= ASH_HOST_RETIRED; state++)
		ash_json_add_uint(json, ash_host_state_text(state), counts->by_state[state]);
	json_builder_end_object(json);
	ash_json_begin_object(json, "by_health");
	for (AshHealth health = ASH_HEALTH_UNKNOWN; health <= ASH_HEALTH_SILENT; health++)
		ash_json_add_uint(json, ash_health_text(health), counts->by_health[health]);
	json_builder_end_object(json);
	ash_json_begin_array(json, "versions");
	for (guint i = 0; i < counts->versions->len; i++) {
		const AshOverviewVersion *version =
				&g_array_index(counts->versions, AshOverviewVersion, i);
		json_builder_begin_object(json);
		ash_json_add_string(json, "version", version->version);
		ash_json_add_uint(json, "count", version->count);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
}

static void add_server(AshServer *server, JsonBuilder *json)
{
	g_autofree char *trouble = ash_overview_trouble(server);

	ash_json_begin_object(json, "server");
	ash_json_add_text(json, "version", ASH_VERSION);
	ash_json_add_int(json, "uptime", server->now() - server->started_at);
	ash_json_add_text(json, "database",
			ash_db_pool_is_shared(server->pool) ? "postgres" : "sqlite");
	ash_json_add_string(json, "trouble", trouble);
	json_builder_end_object(json);
}

static gboolean get_overview(AshRequest *request, GError **error)
{
	g_auto(AshScope) scope = {0};
	g_auto(AshOverviewCounts) counts = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_scope_init(request, &scope, error))
		return FALSE;
	ash_overview_count(request->server, &scope, &counts);
	ash_overview_counts_shorten(&counts, MAX_SHOWN_VERSIONS);
	json_builder_begin_object(json);
	add_counts(json, &counts);
	add_server(request->server, json);
	return add_rollouts(request, json, error) &&
	       ash_overview_add_attention(request->server, request->db, &scope, json, error) &&
	       ash_route_reply(request, json);
}

/* ---- time line ---- */

typedef struct {
	int64_t at;
	GHashTable *counts; /* version → count */
} Point;

typedef struct {
	GArray *points;       /* Point */
	GHashTable *versions; /* set */
} Timeline;

static void point_clear(gpointer data)
{
	g_hash_table_unref(((Point *) data)->counts);
}

static void add_sample(Timeline *line, int64_t at, const char *version, uint64_t count)
{
	Point *last = line->points->len > 0
				      ? &g_array_index(line->points, Point, line->points->len - 1)
				      : NULL;

	if (last == NULL || last->at != at) {
		Point point = {at, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
		g_array_append_val(line->points, point);
		last = &g_array_index(line->points, Point, line->points->len - 1);
	}
	g_hash_table_insert(last->counts, g_strdup(version), GUINT_TO_POINTER((guint) count));
	g_hash_table_add(line->versions, g_strdup(version));
}

static gboolean take_sample(const AshDbRow *row, gpointer data, GError **error)
{
	add_sample(data, ash_db_row_int(row, 0), ash_db_row_text(row, 1),
			(uint64_t) ash_db_row_int(row, 2));
	return TRUE;
}

/* What is not a version ("", "other") comes first. */
static int compare_versions(gconstpointer a, gconstpointer b)
{
	const char *va = *(char *const *) a;
	const char *vb = *(char *const *) b;
	bool a_is_one = ash_version_is_valid(va) && g_ascii_isdigit(va[0]);
	bool b_is_one = ash_version_is_valid(vb) && g_ascii_isdigit(vb[0]);

	if (a_is_one != b_is_one)
		return a_is_one ? 1 : -1;
	return a_is_one ? ash_version_compare(va, vb) : strcmp(va, vb);
}

static void add_points(JsonBuilder *json, const Timeline *line)
{
	g_autoptr(GPtrArray) versions = g_ptr_array_new();
	GHashTableIter i;
	gpointer version;

	g_hash_table_iter_init(&i, line->versions);
	while (g_hash_table_iter_next(&i, &version, NULL))
		g_ptr_array_add(versions, version);
	g_ptr_array_sort(versions, compare_versions);
	ash_json_begin_array(json, "versions");
	for (guint v = 0; v < versions->len; v++)
		json_builder_add_string_value(json, versions->pdata[v]);
	json_builder_end_array(json);
	ash_json_begin_array(json, "points");
	for (guint p = 0; p < line->points->len; p++) {
		const Point *point = &g_array_index(line->points, Point, p);
		json_builder_begin_object(json);
		ash_json_add_int(json, "at", point->at);
		ash_json_begin_array(json, "counts");
		for (guint v = 0; v < versions->len; v++)
			json_builder_add_int_value(
					json, GPOINTER_TO_UINT(g_hash_table_lookup(
							      point->counts, versions->pdata[v])));
		json_builder_end_array(json);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
}

static void add_now(AshRequest *request, const AshScope *scope, Timeline *line)
{
	g_auto(AshOverviewCounts) counts = {0};

	ash_overview_count(request->server, scope, &counts);
	ash_overview_counts_shorten(&counts, ASH_OVERVIEW_MAX_VERSIONS);
	for (guint i = 0; i < counts.versions->len; i++) {
		const AshOverviewVersion *version =
				&g_array_index(counts.versions, AshOverviewVersion, i);
		add_sample(line, request->server->now(), version->version, version->count);
	}
}

static gboolean get_timeline(AshRequest *request, GError **error)
{
	int64_t hours = 0;
	g_auto(AshScope) scope = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_change_parse(ash_http_argument(request->call, "hours"), 48, &hours, error) ||
			!ash_scope_init(request, &scope, error))
		return FALSE;
	if (hours < 1 || hours > MAX_HOURS)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'hours' is a number from 1 to %d", MAX_HOURS);
	g_autoptr(GArray) points = g_array_new(FALSE, FALSE, sizeof(Point));
	g_array_set_clear_func(points, point_clear);
	g_autoptr(GHashTable) versions =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	Timeline line = {points, versions};
	/* Samples are of all hosts: whoever may see some has the present only. */
	if (scope.selector == NULL &&
			!ash_db_query(request->db,
					"SELECT at, version, count FROM version_sample WHERE at >= $1 "
					"ORDER BY at, version",
					ASH_DB_VALUES(ASH_DB_I(
							request->server->now() - hours * 3600)),
					take_sample, &line, error))
		return FALSE;
	add_now(request, &scope, &line);
	json_builder_begin_object(json);
	add_points(json, &line);
	return ash_route_reply(request, json);
}

/* ---- routes ---- */

static const AshRouteMember timeline_arguments[] = {
		{"hours", "integer", false, "how far back, 1 to 2160; default 48"}, {0}};

const AshRoute ash_api_overview_routes[] = {
		{"GET", "/v1/overview", ASH_ROLE_VIEWER,
				"Counts, rollouts that go on, what needs attention", get_overview,
				.answer = "{\"hosts\":3,\"by_state\":{\"active\":3},\"by_health\":{"
					  "\"good\":3},\"versions\":[{\"version\":\"1.0.0\",\"count\":3}],"
					  "\"server\":{\"version\":\"0.1.0\",\"uptime\":1,\"database\":"
					  "\"sqlite\",\"trouble\":\"\"},\"rollouts\":[],\"attention\":[{"
					  "\"kind\":\"silent\",\"text\":\"Host web1 is not heard of.\","
					  "\"link\":\"/hosts/…\",\"host\":\"…\"}]}"},
		{"GET", "/v1/overview/timeline", ASH_ROLE_VIEWER,
				"How many hosts ran which version when", get_timeline,
				.arguments = timeline_arguments,
				.answer = "{\"versions\":[\"1.0.0\"],\"points\":[{\"at\":1,\"counts\":["
					  "3]}]}"},
		{0},
};
