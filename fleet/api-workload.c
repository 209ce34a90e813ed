/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/api-workload.h"

#include <string.h>

#include "fleet/change.h"
#include "fleet/server.h"
#include "fleet/workload-said.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/version.h"

/* Definitions of workloads as the API shows them. Assignments are in api-assignment.c, the hosts' in
 * api-host-workload.c.
 */

enum {
	MAX_WHY = 1024,
	MAX_VERSIONS = 1000,
};

gboolean ash_api_workload_refuse(GError **error)
{
	ash_change_answer(error, ASH_FLEET_WORKLOAD_ERROR, ASH_FLEET_WORKLOAD_ERROR_NOT_FOUND,
			ASH_ROUTE_ERROR_NOT_FOUND);
	ash_change_answer(error, ASH_FLEET_WORKLOAD_ERROR, ASH_FLEET_WORKLOAD_ERROR_PARAMETER,
			ASH_ROUTE_ERROR_REQUEST);
	return ash_change_answer(error, ASH_FLEET_WORKLOAD_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
}

/* ---- who runs them ---- */

typedef struct {
	AshScope scope;
	const char *name;  /* NULL: all */
	GHashTable *hosts; /* "NAME/VERSION" → count */
	uint64_t ready, not_ready, failed;
	const AshHost *host; /* at which it is */
} Count;

static void count_clear(Count *count)
{
	ash_scope_clear(&count->scope);
	g_clear_pointer(&count->hosts, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Count, count_clear)

static bool count_line(const AshWorkloadSaid *said, gpointer data)
{
	Count *count = data;

	if (count->name != NULL && !g_str_equal(count->name, said->name))
		return true;
	char *key = g_strconcat(said->name, "/", said->version, NULL);
	gpointer old = g_hash_table_lookup(count->hosts, key);
	g_hash_table_replace(count->hosts, key, GUINT_TO_POINTER(GPOINTER_TO_UINT(old) + 1));
	if (said->is_ready)
		count->ready++;
	else if (said->is_failed || (*said->version == '\0' && *said->word != '\0'))
		count->failed++;
	else
		count->not_ready++;
	return true;
}

static bool count_host(const AshHost *host, gpointer data)
{
	Count *count = data;

	if (*host->workloads != '\0' && host->state != ASH_HOST_RETIRED &&
			ash_scope_has(&count->scope, host))
		ash_workload_said_each(host->workloads, count_line, count);
	return true;
}

static gboolean count_all(AshRequest *request, const char *name, Count *count, GError **error)
{
	count->name = name;
	count->hosts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (!ash_scope_init(request, &count->scope, error))
		return FALSE;
	ash_live_each(request->server->live, count_host, count);
	return TRUE;
}

/* ---- an object ---- */

static void add_workload(JsonBuilder *json, const AshFleetWorkload *workload, const Count *count)
{
	g_autofree char *key = g_strconcat(workload->name, "/", workload->version, NULL);

	ash_json_add_int(json, "id", workload->id);
	ash_json_add_string(json, "name", workload->name);
	ash_json_add_string(json, "version", workload->version);
	ash_json_add_string(json, "sha256", workload->sha256);
	ash_json_add_string(json, "notes", workload->notes);
	ash_json_add_int(json, "added_at", workload->added_at);
	ash_json_add_string(json, "withdrawn", workload->withdrawn);
	ash_json_add_string(json, "isolation", workload->isolation);
	ash_json_add_int(json, "score", workload->score);
	ash_json_add_string(json, "words", workload->words);
	ash_json_add_uint(json, "hosts", GPOINTER_TO_UINT(g_hash_table_lookup(count->hosts, key)));
}

static void add_list(JsonBuilder *json, const char *key, const GPtrArray *workloads, guint count,
		const Count *hosts)
{
	ash_json_begin_array(json, key);
	for (guint i = 0; i < count; i++) {
		json_builder_begin_object(json);
		add_workload(json, workloads->pdata[i], hosts);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
}

static gboolean list_workloads(AshRequest *request, GError **error)
{
	int64_t limit = ash_route_limit(request), after = 0;
	g_autoptr(GPtrArray) workloads = NULL;
	g_auto(Count) count = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_change_parse(ash_route_after(request), 0, &after, error) ||
			!ash_fleet_workload_list(request->db, ash_route_argument(request, "name"),
					after, (unsigned) limit + 1, &workloads, error) ||
			!count_all(request, NULL, &count, error))
		return FALSE;
	guint shown = MIN(workloads->len, (guint) limit);
	json_builder_begin_object(json);
	add_list(json, "items", workloads, shown, &count);
	if (workloads->len > shown) {
		const AshFleetWorkload *last = workloads->pdata[shown - 1];
		g_autofree char *next = g_strdup_printf("%" G_GINT64_FORMAT, last->id);
		ash_json_add_text(json, "next", next);
	}
	return ash_route_reply(request, json);
}

static int compare_versions(gconstpointer a, gconstpointer b)
{
	return ash_version_compare((*(AshFleetWorkload *const *) b)->version,
			(*(AshFleetWorkload *const *) a)->version);
}

/* Newest first. */
static gboolean show_name(AshRequest *request, GError **error)
{
	const char *name = ash_route_part(request, 0);
	g_autoptr(GPtrArray) workloads = NULL;
	g_auto(Count) count = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_fleet_workload_list(request->db, name, 0, MAX_VERSIONS, &workloads, error) ||
			!count_all(request, name, &count, error))
		return FALSE;
	if (workloads->len == 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"there is no workload '%.64s'", name);
	g_ptr_array_sort(workloads, compare_versions);
	json_builder_begin_object(json);
	ash_json_add_string(json, "name", name);
	add_list(json, "versions", workloads, workloads->len, &count);
	ash_json_begin_array(json, "assignments");
	if (!ash_api_assignment_add_all(request, name, json, error))
		return FALSE;
	json_builder_end_array(json);
	ash_json_begin_object(json, "counts");
	ash_json_add_uint(json, "ready", count.ready);
	ash_json_add_uint(json, "not-ready", count.not_ready);
	ash_json_add_uint(json, "failed", count.failed);
	json_builder_end_object(json);
	return ash_route_reply(request, json);
}

static void add_report(JsonBuilder *json, const AshWorkload *workload)
{
	g_autoptr(AshWorkloadReport) report = ash_workload_report(workload, workload->isolation);

	ash_json_begin_object(json, "report");
	ash_json_add_uint(json, "score", report->score);
	ash_json_add_string(json, "words", report->words);
	ash_json_begin_array(json, "grants");
	for (guint i = 0; i < report->grants->len; i++) {
		const AshGrant *grant = report->grants->pdata[i];
		json_builder_begin_object(json);
		ash_json_add_string(json, "kind", ash_grant_kind_name(grant->kind));
		ash_json_add_string(json, "name", grant->name);
		ash_json_add_string(json, "text", grant->text);
		ash_json_add_uint(json, "points", grant->points);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	json_builder_end_object(json);
}

static gboolean reply_version(AshRequest *request, GError **error)
{
	const char *name = ash_route_part(request, 0), *version = ash_route_part(request, 1);
	g_autoptr(AshFleetWorkload) row = NULL;
	g_autoptr(AshWorkload) workload = NULL;
	g_autofree char *text = NULL;
	g_auto(Count) count = {0};
	g_autoptr(JsonNode) document = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_fleet_workload_find(request->db, name, version, &row, error) ||
			!ash_fleet_workload_load(
					request->db, name, version, &workload, &text, error))
		return ash_api_workload_refuse(error);
	if (!count_all(request, name, &count, error))
		return FALSE;
	json_builder_begin_object(json);
	add_workload(json, row, &count);
	json_builder_set_member_name(json, "document");
	document = json_from_string(text, NULL);
	if (document != NULL)
		json_builder_add_value(json, g_steal_pointer(&document));
	else
		json_builder_add_null_value(json);
	add_report(json, workload);
	return ash_route_reply(request, json);
}

static gboolean diff_versions(AshRequest *request, GError **error)
{
	const char *name = ash_route_part(request, 0);
	const char *from = ash_route_part(request, 1), *to = ash_route_part(request, 2);
	g_autoptr(AshWorkload) before = NULL;
	g_autoptr(AshWorkload) after = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();
	bool is_wider = false;

	if (!ash_fleet_workload_load(request->db, name, from, &before, NULL, error) ||
			!ash_fleet_workload_load(request->db, name, to, &after, NULL, error))
		return ash_api_workload_refuse(error);
	json_builder_begin_object(json);
	ash_json_add_string(json, "from", from);
	ash_json_add_string(json, "to", to);
	ash_fleet_workload_add_changes(json, before, after, &is_wider);
	ash_json_add_bool(json, "is_wider", is_wider);
	return ash_route_reply(request, json);
}

/* ---- wider ---- */

static gboolean reply_wider(AshRequest *request, const AshWorkload *before,
		const AshWorkload *after, bool *out_is_wider)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_string(json, "kind", "wider");
	g_autofree char *text = g_strdup_printf(
			"%s %s may touch more than %s: look at the changes, then say \"widen\": true and "
			"a reason",
			after->name, after->version, before->version);
	ash_json_add_string(json, "text", text);
	ash_fleet_workload_add_changes(json, before, after, out_is_wider);
	json_builder_end_object(json);
	if (*out_is_wider)
		ash_http_reply_json(request->call, 409, ash_json_format(json, false));
	return TRUE;
}

gboolean ash_api_workload_check_wider(AshRequest *request, const char *name, const char *from,
		const char *to, bool needs_reason, bool *out_refused, GError **error)
{
	g_autoptr(AshWorkload) before = NULL;
	g_autoptr(AshWorkload) after = NULL;
	bool widens = false;

	*out_refused = false;
	if (*from == '\0' || *to == '\0' || strcmp(from, to) == 0)
		return TRUE;
	if (!ash_json_bool_opt(request->body, "widen", &widens, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if (widens && (!needs_reason || *request->reason != '\0'))
		return TRUE;
	if (!ash_fleet_workload_load(request->db, name, from, &before, NULL, error) ||
			!ash_fleet_workload_load(request->db, name, to, &after, NULL, error))
		return ash_api_workload_refuse(error);
	return reply_wider(request, before, after, out_refused);
}

/* ---- changing ---- */

typedef struct {
	const char *withdrawn, *notes; /* NULL: as they were */
} Change;

static char *describe(const char *withdrawn, const char *notes)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_string(json, "withdrawn", withdrawn);
	ash_json_add_string(json, "notes", notes);
	json_builder_end_object(json);
	return g_strchomp(ash_json_format(json, false));
}

static gboolean tell(AshRequest *request, const char *kind, const char *name, const char *version,
		const char *before, const char *after, const char *what, GError **error)
{
	g_autofree char *object = g_strdup_printf("workload:%s/%s", name, version);
	g_autofree char *text = g_strdup_printf("workload %s %s %s", name, version, what);
	g_autofree char *data =
			g_strdup_printf("{\"workload\":\"%s\",\"version\":\"%s\"}", name, version);

	return ash_route_audit(request, kind, object, before, after, error) &&
	       ash_change_event(request, kind, text, data, error);
}

static gboolean change(AshRequest *request, gpointer data, GError **error)
{
	const Change *changing = data;
	const char *name = ash_route_part(request, 0), *version = ash_route_part(request, 1);
	g_autoptr(AshFleetWorkload) old = NULL;

	if (!ash_db_lock_events(request->db, error))
		return FALSE;
	if (!ash_fleet_workload_find(request->db, name, version, &old, error))
		return ash_api_workload_refuse(error);
	const char *withdrawn = changing->withdrawn != NULL ? changing->withdrawn : old->withdrawn;
	const char *notes = changing->notes != NULL ? changing->notes : old->notes;
	bool is_withdrawal = *withdrawn != '\0' && *old->withdrawn == '\0';
	g_autofree char *before = describe(old->withdrawn, old->notes);
	g_autofree char *after = describe(withdrawn, notes);
	g_autofree char *what = is_withdrawal ? g_strdup_printf("was withdrawn: %s", withdrawn)
					      : g_strdup("was changed");
	return ash_db_exec(request->db,
			       "UPDATE workload SET withdrawn = $2, notes = $3 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_I(old->id), ASH_DB_T(withdrawn),
					       ASH_DB_T(notes)),
			       NULL, error) &&
	       tell(request, is_withdrawal ? "workload.withdrawn" : "workload.changed", old->name,
			       old->version, before, after, what, error);
}

static gboolean change_version(AshRequest *request, GError **error)
{
	Change changing = {0};

	return ash_change_text(request, "withdrawn", MAX_WHY, NULL, &changing.withdrawn, error) &&
	       ash_change_text(request, "notes", ASH_TARGET_MAX_NOTES_BYTES, NULL, &changing.notes,
			       error) &&
	       ash_change_run(request, change, &changing, error) && reply_version(request, error);
}

/* ---- the publication ---- */

typedef struct {
	const AshPublishedEntry *entry;
	GBytes *document;
	bool is_new;
} Add;

static gboolean add(AshRequest *request, gpointer data, GError **error)
{
	Add *adding = data;
	const AshPublishedEntry *entry = adding->entry;

	if (!ash_db_lock_events(request->db, error) ||
			!ash_fleet_workload_add(request->db, entry->name, entry->version,
					adding->document, request->server->now(), &adding->is_new,
					error))
		return FALSE;
	return !adding->is_new || tell(request, "workload.added", entry->name, entry->version, NULL,
						  NULL, "was added", error);
}

static gboolean take_known(const AshDbRow *row, gpointer data, GError **error)
{
	g_hash_table_insert(data,
			g_strconcat(ash_db_row_text(row, 0), "/", ash_db_row_text(row, 1), NULL),
			g_strdup(ash_db_row_text(row, 2)));
	return TRUE;
}

static gboolean scan_entry(AshRequest *request, const AshPublished *published,
		const AshPublishedEntry *entry, GHashTable *known, unsigned *added, GError **error)
{
	g_autofree char *key = g_strconcat(entry->name, "/", entry->version, NULL);
	const char *sha256 = g_hash_table_lookup(known, key);
	g_autoptr(GBytes) document = NULL;
	ASH_PREFIX("%s", entry->file);

	if (g_strcmp0(sha256, entry->sha256) != 0) {
		if (!ash_published_read(published, entry, &document, error))
			return FALSE;
		Add adding = {.entry = entry, .document = document};
		if (!ash_change_run(request, add, &adding, error))
			return FALSE;
		*added += adding.is_new;
	}
	g_hash_table_remove(known, key);
	return TRUE;
}

static gboolean recall(AshRequest *request, gpointer data, GError **error)
{
	const AshFleetWorkload *workload = data;

	return ash_db_lock_events(request->db, error) &&
	       ash_db_exec(request->db,
			       "UPDATE workload SET withdrawn = 'recalled: it is not in the publication "
			       "any more' WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_I(workload->id)), NULL, error) &&
	       tell(request, "workload.withdrawn", workload->name, workload->version, NULL, NULL,
			       "was withdrawn: it is not in the publication any more", error);
}

/* A definition goes from the publication when it is recalled: hosts do not take it any more. */
static gboolean recall_rest(
		AshRequest *request, GHashTable *rest, GPtrArray *recalled, GError **error)
{
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, rest);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		g_auto(GStrv) parts = g_strsplit(key, "/", 2);
		g_autoptr(AshFleetWorkload) workload = NULL;
		if (!ash_fleet_workload_find(request->db, parts[0], parts[1], &workload, error))
			return FALSE;
		if (*workload->withdrawn != '\0')
			continue;
		if (!ash_change_run(request, recall, workload, error))
			return FALSE;
		g_ptr_array_add(recalled, g_strdup_printf("workload %s %s", parts[0], parts[1]));
	}
	return TRUE;
}

gboolean ash_api_workload_scan(AshRequest *request, const AshPublished *published,
		unsigned *out_added, GPtrArray *recalled, GError **error)
{
	g_autoptr(GHashTable) known =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

	*out_added = 0;
	if (!ash_db_query(request->db, "SELECT name, version, sha256 FROM workload", NULL,
			    take_known, known, error))
		return FALSE;
	for (guint i = 0; i < published->entries->len; i++) {
		const AshPublishedEntry *entry = published->entries->pdata[i];
		if (entry->is_workload &&
				!scan_entry(request, published, entry, known, out_added, error))
			return ash_api_workload_refuse(error);
	}
	return recall_rest(request, known, recalled, error);
}

/* ---- routes ---- */

#define WORKLOAD                                                                                   \
	"\"id\":7,\"name\":\"web\",\"version\":\"1.2.0\",\"sha256\":\"…\",\"notes\":\"\","       \
	"\"added_at\":1,\"withdrawn\":\"\",\"isolation\":\"container\",\"score\":12,"              \
	"\"words\":\"little\",\"hosts\":3"
#define CHANGES                                                                                    \
	"\"changes\":[{\"kind\":\"publish\",\"name\":\"8080/tcp\",\"from\":\"\",\"to\":\"…\","   \
	"\"is_wider\":true}]"
#define WHOLE                                                                                      \
	"{" WORKLOAD ",\"document\":{},\"report\":{\"score\":12,\"words\":\"little\",\"grants\":[" \
	"{\"kind\":\"network\",\"name\":\"nat\",\"text\":\"…\",\"points\":5}]}}"

static const AshRouteMember list_arguments[] = {
		{"name", "string", false, "only versions of this workload"}, {0}};
static const AshRouteMember change_members[] = {
		{"withdrawn", "string", false,
				"why it is not to be given to anybody; \"\": it may; at most 1024 "
				"bytes"},
		{"notes", "string", false, "for people"},
		{0},
};

const AshRoute ash_api_workload_routes[] = {
		{"GET", "/v1/workloads", ASH_ROLE_VIEWER,
				"Definitions of workloads, in the order they came", list_workloads,
				.arguments = list_arguments,
				.answer = "{\"items\":[{" WORKLOAD "}]}"},
		{"GET", "/v1/workloads/{name}", ASH_ROLE_VIEWER,
				"One workload: its versions, newest first, assignments, and how hosts "
				"fare with it",
				show_name,
				.answer = "{\"name\":\"web\",\"versions\":[{" WORKLOAD
					  "}],\"assignments\":[{\"id\":\"edge-web\",\"workload\":"
					  "\"web\",\"version\":\"1.2.0\",\"selector\":\"site = bern\","
					  "\"rank\":100,\"parameters\":{},"
					  "\"note\":\"\",\"rollout\":\"\",\"hosts\":12}],\"counts\":{"
					  "\"ready\":3,\"not-ready\":0,\"failed\":0}}"},
		{"GET", "/v1/workloads/{name}/{version}", ASH_ROLE_VIEWER,
				"One version: its definition, and what it may touch", reply_version,
				.answer = WHOLE},
		{"GET", "/v1/workloads/{name}/{version}/diff/{other}", ASH_ROLE_VIEWER,
				"What another version may touch that this one may not, and the other way "
				"round",
				diff_versions,
				.answer = "{\"from\":\"1.2.0\",\"to\":\"1.3.0\"," CHANGES
					  ",\"is_wider\":true}"},
		{"POST", "/v1/workloads/{name}/{version}", ASH_ROLE_ADMIN,
				"Withdraw a version, or say what is to be known of it",
				change_version, .members = change_members, .answer = WHOLE,
				.max_body_bytes = 256 << 10},
		{0},
};
