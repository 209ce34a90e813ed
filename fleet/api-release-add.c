/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/api-release.h"
#include "fleet/api-workload.h"
#include "fleet/change.h"
#include "fleet/published.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/target.h"

/* Releases come by hand, with their document, or are read out of the publication that this server serves. */

typedef struct {
	GBytes *document;
	AshFleetReleaseContents contents;
	bool is_barrier;
	int64_t id;
	bool is_new;
} Add;

static gboolean answer(GError **error)
{
	ash_change_answer(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_EXISTS,
			ASH_ROUTE_ERROR_CONFLICT);
	return ash_change_answer(error, ASH_FLEET_RELEASE_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
}

static gboolean add(AshRequest *request, gpointer data, GError **error)
{
	Add *adding = data;

	if (!ash_fleet_release_add(request->db, adding->document, &adding->contents,
			    adding->is_barrier, request->server->now(), &adding->id,
			    &adding->is_new, error))
		return FALSE;
	return ash_api_release_tell(request, adding->is_new ? "release.added" : "release.changed",
			adding->id, NULL, NULL, adding->is_new ? "was added" : "was added again",
			error);
}

/* ---- by hand ---- */

static gboolean read_sbom(AshRequest *request, const char *member, char **out_text, GError **error)
{
	JsonNode *node = json_object_get_member(request->body, member);

	if (node == NULL || JSON_NODE_HOLDS_NULL(node))
		return TRUE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'%s' is the document as an object", member);
	*out_text = json_to_string(node, FALSE);
	return TRUE;
}

static gboolean add_release(AshRequest *request, GError **error)
{
	Add adding = {0};
	const char *text = NULL;
	g_autofree char *spdx = NULL;
	g_autofree char *cyclonedx = NULL;

	if (!ash_json_text(request->body, "document", &text, error) ||
			!ash_json_bool_opt(
					request->body, "is_barrier", &adding.is_barrier, error) ||
			(json_object_has_member(request->body, "packages") &&
					!ash_json_array(request->body, "packages",
							&adding.contents.packages, error)))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if (!read_sbom(request, "spdx", &spdx, error) ||
			!read_sbom(request, "cyclonedx", &cyclonedx, error))
		return FALSE;
	g_autoptr(GBytes) document = g_bytes_new_static(text, strlen(text));
	adding.document = document;
	adding.contents.spdx = spdx;
	adding.contents.cyclonedx = cyclonedx;
	if (!ash_change_run(request, add, &adding, error))
		return answer(error);
	return ash_api_release_reply(request, adding.id, error);
}

/* ---- the publication ---- */

typedef struct {
	const AshPublished *published;
	const AshPublishedEntry *entry;
	GPtrArray *added, *recalled; /* titles */
	/* of the release in the table */
	int64_t id;
	bool is_known, is_whole, is_withdrawn;
} Scan;

static gboolean take_known(const AshDbRow *row, gpointer data, GError **error)
{
	Scan *scan = data;

	scan->id = ash_db_row_int(row, 0);
	scan->is_known = true;
	scan->is_withdrawn = ash_db_row_int(row, 1) != 0;
	scan->is_whole = ash_db_row_int(row, 2) > 0 && ash_db_row_int(row, 3) >= 2;
	return TRUE;
}

static gboolean look_up(AshRequest *request, Scan *scan, GError **error)
{
	const AshPublishedEntry *entry = scan->entry;

	scan->is_known = scan->is_whole = scan->is_withdrawn = false;
	return ash_db_query(request->db,
			"SELECT id, CASE WHEN withdrawn = '' THEN 0 ELSE 1 END, (SELECT COUNT(*) FROM "
			"release_package WHERE release = release.id), (SELECT COUNT(*) FROM "
			"release_sbom WHERE release = release.id) FROM release WHERE name = $1 AND "
			"variant = $2 AND arch = $3 AND version = $4",
			ASH_DB_VALUES(ASH_DB_T(entry->name), ASH_DB_T(entry->variant),
					ASH_DB_T(entry->arch), ASH_DB_T(entry->version)),
			take_known, scan, error);
}

static gboolean scan_release(AshRequest *request, Scan *scan, GError **error)
{
	g_autoptr(GBytes) document = NULL;
	g_autoptr(JsonNode) packages = NULL;
	g_autofree char *spdx = NULL;
	g_autofree char *cyclonedx = NULL;
	Add adding = {0};

	if (scan->is_whole)
		return TRUE;
	if (!ash_published_read(scan->published, scan->entry, &document, error) ||
			!ash_published_read_contents(scan->published, scan->entry->commit,
					&packages, &spdx, &cyclonedx, error))
		return FALSE;
	bool has_contents = packages != NULL || spdx != NULL || cyclonedx != NULL;
	if (scan->is_known && !has_contents)
		return TRUE;
	if (packages != NULL && !ash_json_array(json_node_get_object(packages), "packages",
						&adding.contents.packages, error))
		return FALSE;
	adding.document = document;
	adding.contents.spdx = spdx;
	adding.contents.cyclonedx = cyclonedx;
	if (!ash_change_run(request, add, &adding, error))
		return FALSE;
	if (adding.is_new)
		g_ptr_array_add(scan->added,
				g_strdup_printf("%s%s%s %s for %s", scan->entry->name,
						*scan->entry->variant != '\0' ? "-" : "",
						scan->entry->variant, scan->entry->version,
						scan->entry->arch));
	return TRUE;
}

static gboolean withdraw(AshRequest *request, gpointer data, GError **error)
{
	Scan *scan = data;
	g_autoptr(GBytes) document = NULL;
	g_autoptr(AshRecall) recall = NULL;

	if (!ash_published_read(scan->published, scan->entry, &document, error) ||
			!ash_recall_parse(document, &recall, error))
		return FALSE;
	g_autofree char *why = g_strdup_printf("recalled: %.512s", recall->reason);
	g_autofree char *what = g_strdup_printf("was withdrawn: %s", why);
	return ash_db_exec(request->db, "UPDATE release SET withdrawn = $2 WHERE id = $1",
			       ASH_DB_VALUES(ASH_DB_I(scan->id), ASH_DB_T(why)), NULL, error) &&
	       ash_api_release_tell(
			       request, "release.withdrawn", scan->id, NULL, NULL, what, error);
}

/* Hosts do not take what a signed recall names, so nobody is to be offered it. */
static gboolean scan_recall(AshRequest *request, Scan *scan, GError **error)
{
	if (!scan->is_known || scan->is_withdrawn)
		return TRUE;
	if (!ash_change_run(request, withdraw, scan, error))
		return FALSE;
	g_ptr_array_add(scan->recalled,
			g_strdup_printf("%s %s", scan->entry->name, scan->entry->version));
	return TRUE;
}

static void add_titles(JsonBuilder *json, const char *key, const GPtrArray *titles)
{
	ash_json_begin_array(json, key);
	for (guint i = 0; i < titles->len; i++)
		json_builder_add_string_value(json, titles->pdata[i]);
	json_builder_end_array(json);
}

/* Each release is a transaction: what was read before a damaged one stays, and the next scan goes on. */
static gboolean scan_all(AshRequest *request, Scan *scan, GError **error)
{
	for (guint i = 0; i < scan->published->entries->len; i++) {
		scan->entry = scan->published->entries->pdata[i];
		if (scan->entry->is_workload)
			continue;
		ASH_PREFIX("%s", scan->entry->file);
		if (!look_up(request, scan, error) ||
				!(scan->entry->is_recall ? scan_recall(request, scan, error)
							 : scan_release(request, scan, error)))
			return FALSE;
	}
	return TRUE;
}

static gboolean scan_releases(AshRequest *request, GError **error)
{
	g_autoptr(AshPublished) published = NULL;
	g_autoptr(GPtrArray) added = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) recalled = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(JsonBuilder) json = json_builder_new();
	unsigned workloads = 0;

	if (!ash_published_open(request->server->config->content, &published, error))
		return ash_change_answer(error, ASH_PUBLISHED_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
	Scan scan = {.published = published, .added = added, .recalled = recalled};
	if (!scan_all(request, &scan, error) ||
			!ash_api_workload_scan(request, published, &workloads, recalled, error)) {
		ash_change_answer(error, ASH_PUBLISHED_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
		ash_change_answer(error, ASH_TARGET_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
		ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
		return ash_change_answer(
				error, ASH_FLEET_RELEASE_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
	}
	json_builder_begin_object(json);
	add_titles(json, "added", added);
	add_titles(json, "recalled", recalled);
	ash_json_add_uint(json, "workloads", workloads);
	ash_json_add_uint(json, "known", published->entries->len);
	ash_json_add_int(json, "expires_at", published->expires_at);
	return ash_route_reply(request, json);
}

/* ---- routes ---- */

static const AshRouteMember add_members[] = {
		{"document", "string", true, "the release document, as published, as text"},
		{"packages", "array", false, "[{\"name\",\"version\",\"arch\"}], at most 20000"},
		{"spdx", "object", false, "its SPDX document"},
		{"cyclonedx", "object", false, "its CycloneDX document"},
		{"is_barrier", "boolean", false, "no host passes it by"},
		{0},
};

const AshRoute ash_api_release_add_routes[] = {
		{"POST", "/v1/releases", ASH_ROLE_ADMIN, "Add a release", add_release,
				.members = add_members, .answer = "{\"id\":7}",
				.max_body_bytes = 32 << 20},
		{"POST", "/v1/releases/scan", ASH_ROLE_ADMIN,
				"Add what is new in the publication that this server serves, releases and "
				"definitions of workloads; withdraw what is recalled there",
				scan_releases,
				.answer = "{\"added\":[\"host 1.4.0 for amd64\"],\"recalled\":[],"
					  "\"workloads\":2,"
					  "\"known\":4,\"expires_at\":1}"},
		{0},
};
