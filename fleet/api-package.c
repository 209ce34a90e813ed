/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "fleet/api-release.h"
#include "fleet/live.h"
#include "fleet/page.h"
#include "fleet/scope.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/version.h"

/* What is in releases, and on which hosts it runs. */

/* ---- of a release ---- */

static void add_package(JsonBuilder *json, const AshDbRow *row, gpointer data)
{
	ash_json_add_text(json, "name", ash_db_row_text(row, 0));
	ash_json_add_text(json, "version", ash_db_row_text(row, 1));
	ash_json_add_text(json, "arch", ash_db_row_text(row, 2));
}

static char *package_of(const AshDbRow *row)
{
	return g_strconcat(ash_db_row_text(row, 0), ":", ash_db_row_text(row, 2), NULL);
}

static gboolean list_packages(AshRequest *request, GError **error)
{
	g_autoptr(AshFleetRelease) release = NULL;
	g_autofree char *name = g_strdup(ash_route_after(request));
	char *colon = strrchr(name, ':');
	const char *arch = "";

	/* "NAME:ARCH" of the last on the page before. */
	if (colon != NULL) {
		*colon = '\0';
		arch = colon + 1;
	}
	if (!ash_api_release_get(request, 0, &release, error))
		return FALSE;
	const AshPage page = {
			.sql = "SELECT name, version, arch FROM release_package WHERE release = $1 AND "
			       "(name > $2 OR (name = $2 AND arch > $3)) ORDER BY name, arch LIMIT $4",
			.values = ASH_DB_VALUES(ASH_DB_I(release->id), ASH_DB_T(name),
					ASH_DB_T(arch), ASH_DB_I(ash_page_rows(request))),
			.add = add_package,
			.key = package_of,
	};
	return ash_page_reply(request, &page, error);
}

/* ---- between two ---- */

typedef struct {
	JsonBuilder *added, *removed, *changed;
} Diff;

static void take_difference(const AshFleetReleaseDifference *difference, gpointer data)
{
	const Diff *diff = data;
	bool is_changed = difference->from != NULL && difference->to != NULL;
	JsonBuilder *json = is_changed                 ? diff->changed
			    : difference->from == NULL ? diff->added
						       : diff->removed;

	json_builder_begin_object(json);
	ash_json_add_text(json, "name", difference->name);
	ash_json_add_text(json, "arch", difference->arch);
	if (is_changed) {
		ash_json_add_text(json, "from", difference->from);
		ash_json_add_text(json, "to", difference->to);
	} else {
		ash_json_add_text(json, "version",
				difference->from != NULL ? difference->from : difference->to);
	}
	json_builder_end_object(json);
}

static void add_part(JsonBuilder *json, const char *key, JsonBuilder *part)
{
	json_builder_end_array(part);
	json_builder_set_member_name(json, key);
	json_builder_add_value(json, json_builder_get_root(part));
}

static gboolean diff_releases(AshRequest *request, GError **error)
{
	g_autoptr(AshFleetRelease) from = NULL;
	g_autoptr(AshFleetRelease) to = NULL;
	g_autoptr(JsonBuilder) added = json_builder_new();
	g_autoptr(JsonBuilder) removed = json_builder_new();
	g_autoptr(JsonBuilder) changed = json_builder_new();
	g_autoptr(JsonBuilder) json = json_builder_new();
	Diff diff = {added, removed, changed};

	json_builder_begin_array(added);
	json_builder_begin_array(removed);
	json_builder_begin_array(changed);
	if (!ash_api_release_get(request, 0, &from, error) ||
			!ash_api_release_get(request, 1, &to, error) ||
			!ash_fleet_release_diff(request->db, from->id, to->id, take_difference,
					&diff, error))
		return FALSE;
	json_builder_begin_object(json);
	add_part(json, "added", added);
	add_part(json, "removed", removed);
	add_part(json, "changed", changed);
	return ash_route_reply(request, json);
}

/* ---- hosts that run it ---- */

typedef struct {
	AshScope scope;
	const char *below;   /* NULL: any version */
	GHashTable *commits; /* commit → version of the package */
	GHashTable *listed;  /* commits whose packages are known */
	GPtrArray *found;    /* Found */
	uint64_t unlisted;   /* hosts that run something else */
} Search;

typedef struct {
	char id[65];
	char *name, *version, *package;
} Found;

static void found_free(gpointer data)
{
	Found *found = data;

	g_free(found->name);
	g_free(found->version);
	g_free(found->package);
	g_free(found);
}

static gboolean take_release(const AshDbRow *row, gpointer data, GError **error)
{
	const Search *search = data;
	const char *commit = ash_db_row_text(row, 0);
	const char *version = ash_db_row_text(row, 1);
	const char *known = g_hash_table_lookup(search->commits, commit);

	if (search->below != NULL &&
			ash_fleet_release_compare_packages(version, search->below) >= 0)
		return TRUE;
	/* Of two architectures the lower is told. */
	if (known == NULL || ash_fleet_release_compare_packages(version, known) < 0)
		g_hash_table_insert(search->commits, g_strdup(commit), g_strdup(version));
	return TRUE;
}

static gboolean take_listed(const AshDbRow *row, gpointer data, GError **error)
{
	const Search *search = data;

	g_hash_table_add(search->listed, g_strdup(ash_db_row_text(row, 0)));
	return TRUE;
}

static bool take_host(const AshHost *host, gpointer data)
{
	Search *search = data;
	const char *version = g_hash_table_lookup(search->commits, host->commit);

	if (host->state == ASH_HOST_RETIRED || !ash_scope_has(&search->scope, host))
		return true;
	search->unlisted += !g_hash_table_contains(search->listed, host->commit);
	if (version == NULL)
		return true;
	Found *found = g_new0(Found, 1);
	ash_host_id_format(host->id, found->id);
	found->name = g_strdup(host->name);
	found->version = g_strdup(host->version);
	found->package = g_strdup(version);
	g_ptr_array_add(search->found, found);
	return true;
}

static int compare_found(gconstpointer a, gconstpointer b)
{
	return strcmp((*(Found *const *) a)->id, (*(Found *const *) b)->id);
}

static void add_page(AshRequest *request, JsonBuilder *json, const Search *search)
{
	const GPtrArray *found = search->found;
	const char *after = ash_route_after(request);
	int64_t left = ash_route_limit(request);
	const Found *last = NULL;
	bool is_more = false;

	ash_json_begin_array(json, "items");
	for (guint i = 0; i < found->len && !is_more; i++) {
		const Found *host = found->pdata[i];
		if (strcmp(host->id, after) <= 0)
			continue;
		is_more = left-- == 0;
		if (is_more)
			break;
		json_builder_begin_object(json);
		ash_json_add_text(json, "id", host->id);
		ash_json_add_text(json, "name", host->name);
		ash_json_add_text(json, "version", host->version);
		ash_json_add_text(json, "package", host->package);
		json_builder_end_object(json);
		last = host;
	}
	json_builder_end_array(json);
	ash_json_add_uint(json, "count", found->len);
	ash_json_add_uint(json, "unlisted", search->unlisted);
	if (is_more && last != NULL)
		ash_json_add_text(json, "next", last->id);
}

/* deb-version(7): [EPOCH:]VERSION; a question */
static bool is_package_version(const char *text)
{
	size_t epoch = strspn(text, "0123456789");
	const char *version = text[epoch] == ':' ? text + epoch + 1 : text;

	return (version == text || (epoch > 0 && epoch < 10)) && ash_version_is_valid(version);
}

static gboolean list_hosts(AshRequest *request, GError **error)
{
	const char *below = ash_http_argument(request->call, "below");
	g_autoptr(GHashTable) commits =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GPtrArray) hosts = g_ptr_array_new_with_free_func(found_free);
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autoptr(GHashTable) listed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	Search search = {.below = below, .commits = commits, .listed = listed, .found = hosts};

	/* What is compared wrongly would say that nobody has the hole. */
	if (below != NULL && !is_package_version(below))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'below' is a version of a Debian package, as in 3.0.15-1 or 1:2.0~rc1");
	if (!ash_scope_init(request, &search.scope, error))
		return FALSE;
	gboolean ok = ash_db_query(request->db,
				      "SELECT \"commit\", release_package.version FROM release_package JOIN release "
				      "ON release.id = release_package.release WHERE release_package.name = $1",
				      ASH_DB_VALUES(ASH_DB_T(request->parts->pdata[0])),
				      take_release, &search, error) &&
		      ash_db_query(request->db,
				      "SELECT \"commit\" FROM release WHERE EXISTS (SELECT 1 FROM release_package "
				      "WHERE release_package.release = release.id)",
				      ASH_DB_VALUES(), take_listed, &search, error);
	if (ok)
		ash_live_each(request->server->live, take_host, &search);
	ash_scope_clear(&search.scope);
	g_ptr_array_sort(hosts, compare_found);
	json_builder_begin_object(json);
	add_page(request, json, &search);
	return ok && ash_route_reply(request, json);
}

/* ---- routes ---- */

static const AshRouteMember hosts_arguments[] = {
		{"below", "string", false, "only where it is older than this version"}, {0}};

const AshRoute ash_api_package_routes[] = {
		{"GET", "/v1/releases/{id}/packages", ASH_ROLE_VIEWER, "Packages of a release",
				list_packages,
				.answer = "{\"items\":[{\"name\":\"libc6\",\"version\":\"2.41-12\","
					  "\"arch\":\"amd64\"}]}"},
		{"GET", "/v1/releases/{id}/diff/{other}", ASH_ROLE_VIEWER,
				"What packages changed from one release to another", diff_releases,
				.answer = "{\"added\":[],\"removed\":[],\"changed\":[{\"name\":\"libc6\","
					  "\"arch\":\"amd64\",\"from\":\"2.41-11\",\"to\":\"2.41-12\"}]}"},
		{"GET", "/v1/packages/{name}/hosts", ASH_ROLE_VIEWER,
				"Hosts that run a package, or an old version of it", list_hosts,
				.arguments = hosts_arguments,
				.answer = "{\"items\":[{\"id\":\"…\",\"name\":\"web1\",\"version\":"
					  "\"1.3.0\",\"package\":\"2.41-11\"}],\"count\":1,\"unlisted\":0}"},
		{0},
};
