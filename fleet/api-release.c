/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/api-release.h"

#include <string.h>

#include "fleet/change.h"
#include "fleet/live.h"
#include "fleet/scope.h"
#include "fleet/server.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/target.h"

/* Releases as the API shows them. Adding is in api-release-add.c, packages are in api-package.c. */

/* ---- what is asked beside the table ---- */

typedef struct {
	AshScope scope;
	GHashTable *hosts;   /* commit → count, of those that are asked for */
	GPtrArray *channels; /* of Channel */
} Around;

typedef struct {
	char *name;
	int64_t release;
} Channel;

static void channel_free(gpointer data)
{
	Channel *channel = data;

	g_free(channel->name);
	g_free(channel);
}

static void around_clear(Around *around)
{
	ash_scope_clear(&around->scope);
	g_clear_pointer(&around->hosts, g_hash_table_unref);
	g_clear_pointer(&around->channels, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Around, around_clear)

static bool count_host(const AshHost *host, gpointer data)
{
	Around *around = data;
	gpointer key, count;

	if (host->state != ASH_HOST_RETIRED && *host->commit != '\0' &&
			g_hash_table_lookup_extended(around->hosts, host->commit, &key, &count) &&
			ash_scope_has(&around->scope, host))
		g_hash_table_insert(around->hosts, g_strdup(key),
				GUINT_TO_POINTER(GPOINTER_TO_UINT(count) + 1));
	return true;
}

static gboolean take_channel(const AshDbRow *row, gpointer data, GError **error)
{
	Channel *channel = g_new0(Channel, 1);

	channel->name = g_strdup(ash_db_row_text(row, 0));
	channel->release = ash_db_row_int(row, 1);
	g_ptr_array_add(data, channel);
	return TRUE;
}

static gboolean look_around(
		AshRequest *request, const GPtrArray *releases, Around *around, GError **error)
{
	around->hosts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	around->channels = g_ptr_array_new_with_free_func(channel_free);
	for (guint i = 0; i < releases->len; i++) {
		const AshFleetRelease *release = releases->pdata[i];
		g_hash_table_insert(around->hosts, g_strdup(release->commit), NULL);
	}
	if (!ash_scope_init(request, &around->scope, error) ||
			!ash_db_query(request->db,
					"SELECT name, release FROM channel WHERE release <> 0 ORDER "
					"BY name",
					NULL, take_channel, around->channels, error))
		return FALSE;
	ash_live_each(request->server->live, count_host, around);
	return TRUE;
}

/* ---- an object ---- */

/* Members of the open object. */
static void add_release(JsonBuilder *json, const AshFleetRelease *release, const Around *around)
{
	ash_json_add_int(json, "id", release->id);
	ash_json_add_string(json, "name", release->name);
	ash_json_add_string(json, "variant", release->variant);
	ash_json_add_string(json, "arch", release->arch);
	ash_json_add_string(json, "version", release->version);
	ash_json_add_string(json, "commit", release->commit);
	ash_json_add_string(json, "notes", release->notes);
	ash_json_add_int(json, "added_at", release->added_at);
	ash_json_add_bool(json, "is_barrier", release->is_barrier);
	ash_json_add_string(json, "dead_end", release->dead_end);
	ash_json_add_string(json, "withdrawn", release->withdrawn);
	ash_json_add_uint(json, "hosts",
			GPOINTER_TO_UINT(g_hash_table_lookup(around->hosts, release->commit)));
	ash_json_begin_array(json, "channels");
	for (guint i = 0; i < around->channels->len; i++) {
		const Channel *channel = around->channels->pdata[i];
		if (channel->release == release->id)
			json_builder_add_string_value(json, channel->name);
	}
	json_builder_end_array(json);
}

char *ash_api_release_title(const AshFleetRelease *release)
{
	return g_strdup_printf("%s%s%s %s for %s", release->name,
			*release->variant != '\0' ? "-" : "", release->variant, release->version,
			release->arch);
}

gboolean ash_api_release_get(
		AshRequest *request, unsigned index, AshFleetRelease **out_release, GError **error)
{
	if (ash_fleet_release_find(request->db, request->parts->pdata[index], out_release, error))
		return TRUE;
	ash_change_answer(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_NOT_FOUND,
			ASH_ROUTE_ERROR_NOT_FOUND);
	return ash_change_answer(error, ASH_FLEET_RELEASE_ERROR, -1, ASH_ROUTE_ERROR_CONFLICT);
}

static gboolean list_releases(AshRequest *request, GError **error)
{
	int64_t limit = ash_route_limit(request);
	int64_t after = 0;
	const char *name = ash_http_argument(request->call, "name");
	g_autoptr(GPtrArray) releases = NULL;
	g_auto(Around) around = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_change_parse(ash_route_after(request), 0, &after, error) ||
			!ash_fleet_release_list(request->db, name != NULL ? name : "", after,
					(unsigned) limit + 1, &releases, error) ||
			!look_around(request, releases, &around, error))
		return FALSE;
	guint count = MIN(releases->len, (guint) limit);
	json_builder_begin_object(json);
	ash_json_begin_array(json, "items");
	for (guint i = 0; i < count; i++) {
		json_builder_begin_object(json);
		add_release(json, releases->pdata[i], &around);
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	if (releases->len > count) {
		const AshFleetRelease *last = releases->pdata[count - 1];
		g_autofree char *next = g_strdup_printf("%" G_GINT64_FORMAT, last->id);
		ash_json_add_text(json, "next", next);
	}
	return ash_route_reply(request, json);
}

static gboolean take_sbom(const AshDbRow *row, gpointer data, GError **error)
{
	json_builder_add_string_value(data, ash_db_row_text(row, 0));
	return TRUE;
}

static gboolean add_details(AshRequest *request, JsonBuilder *json, int64_t id, GError **error)
{
	g_autofree char *document = NULL;
	g_autoptr(JsonNode) node = NULL;
	int64_t packages = 0;

	if (!ash_db_query_string(request->db, "SELECT document FROM release WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_I(id)), &document, error) ||
			!ash_db_query_int(request->db,
					"SELECT COUNT(*) FROM release_package WHERE release = $1",
					ASH_DB_VALUES(ASH_DB_I(id)), NULL, &packages, error))
		return FALSE;
	g_autoptr(GBytes) bytes = g_bytes_new_static(document, strlen(document));
	if (!ash_json_parse(bytes, ASH_TARGET_MAX_BYTES, 8, &node, error))
		return FALSE;
	json_builder_set_member_name(json, "document");
	json_builder_add_value(json, g_steal_pointer(&node));
	ash_json_add_int(json, "package_count", packages);
	ash_json_begin_array(json, "sboms");
	if (!ash_db_query(request->db,
			    "SELECT format FROM release_sbom WHERE release = $1 ORDER BY format",
			    ASH_DB_VALUES(ASH_DB_I(id)), take_sbom, json, error))
		return FALSE;
	json_builder_end_array(json);
	return TRUE;
}

gboolean ash_api_release_reply(AshRequest *request, int64_t id, GError **error)
{
	g_autofree char *what = g_strdup_printf("%" G_GINT64_FORMAT, id);
	g_autoptr(GPtrArray) releases =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_fleet_release_free);
	g_auto(Around) around = {0};
	g_autoptr(JsonBuilder) json = json_builder_new();
	AshFleetRelease *release = NULL;

	if (!ash_fleet_release_find(request->db, what, &release, error))
		return FALSE;
	g_ptr_array_add(releases, release);
	if (!look_around(request, releases, &around, error))
		return FALSE;
	json_builder_begin_object(json);
	add_release(json, release, &around);
	return add_details(request, json, id, error) && ash_route_reply(request, json);
}

static gboolean get_release(AshRequest *request, GError **error)
{
	g_autoptr(AshFleetRelease) release = NULL;

	return ash_api_release_get(request, 0, &release, error) &&
	       ash_api_release_reply(request, release->id, error);
}

/* ---- changing ---- */

gboolean ash_api_release_tell(AshRequest *request, const char *kind, int64_t id, const char *before,
		const char *after, const char *what, GError **error)
{
	g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, id);
	g_autofree char *object = g_strconcat("release:", number, NULL);
	g_autoptr(AshFleetRelease) release = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();

	if (!ash_fleet_release_find(request->db, number, &release, error))
		return FALSE;
	g_autofree char *title = ash_api_release_title(release);
	g_autofree char *text = g_strdup_printf("release %s %s", title, what);
	json_builder_begin_object(json);
	ash_json_add_int(json, "release", id);
	ash_json_add_text(json, "name", release->name);
	ash_json_add_text(json, "version", release->version);
	json_builder_end_object(json);
	g_autoptr(JsonNode) node = json_builder_get_root(json);
	g_autofree char *data = json_to_string(node, FALSE);
	return ash_route_audit(request, kind, object, before, after, error) &&
	       ash_change_event(request, kind, text, data, error);
}

typedef struct {
	const char *what;
	int is_barrier;                           /* -1: as it was */
	const char *dead_end, *withdrawn, *notes; /* NULL: as they were */
	int64_t id;
} Change;

static char *describe(
		bool is_barrier, const char *dead_end, const char *withdrawn, const char *notes)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_add_bool(json, "is_barrier", is_barrier);
	ash_json_add_string(json, "dead_end", dead_end);
	ash_json_add_string(json, "withdrawn", withdrawn);
	ash_json_add_string(json, "notes", notes);
	json_builder_end_object(json);
	g_autoptr(JsonNode) node = json_builder_get_root(json);
	return json_to_string(node, FALSE);
}

static gboolean change(AshRequest *request, gpointer data, GError **error)
{
	Change *changing = data;
	g_autoptr(AshFleetRelease) old = NULL;

	if (!ash_db_lock_events(request->db, error) ||
			!ash_api_release_get(request, 0, &old, error))
		return FALSE;
	bool is_barrier = changing->is_barrier >= 0 ? changing->is_barrier == 1 : old->is_barrier;
	const char *dead_end = changing->dead_end != NULL ? changing->dead_end : old->dead_end;
	const char *withdrawn = changing->withdrawn != NULL ? changing->withdrawn : old->withdrawn;
	const char *notes = changing->notes != NULL ? changing->notes : old->notes;
	bool is_withdrawal = *withdrawn != '\0' && *old->withdrawn == '\0';
	changing->id = old->id;
	if (!ash_db_exec(request->db,
			    "UPDATE release SET is_barrier = $2, dead_end = $3, withdrawn = $4, "
			    "notes = $5 WHERE id = $1",
			    ASH_DB_VALUES(ASH_DB_I(old->id), ASH_DB_I(is_barrier),
					    ASH_DB_T(dead_end), ASH_DB_T(withdrawn),
					    ASH_DB_T(notes)),
			    NULL, error))
		return FALSE;
	g_autofree char *before =
			describe(old->is_barrier, old->dead_end, old->withdrawn, old->notes);
	g_autofree char *after = describe(is_barrier, dead_end, withdrawn, notes);
	g_autofree char *what = is_withdrawal ? g_strdup_printf("was withdrawn: %s", withdrawn)
					      : g_strdup("was changed");
	return ash_api_release_tell(request,
			is_withdrawal ? "release.withdrawn" : "release.changed", old->id, before,
			after, what, error);
}

static gboolean change_release(AshRequest *request, GError **error)
{
	Change changing = {.is_barrier = -1};
	bool is_barrier = false;

	if (!ash_json_bool_opt(request->body, "is_barrier", &is_barrier, error))
		return ash_change_answer(error, ASH_JSON_ERROR, -1, ASH_ROUTE_ERROR_REQUEST);
	if (json_object_has_member(request->body, "is_barrier"))
		changing.is_barrier = is_barrier;
	return ash_change_text(request, "dead_end", ASH_FLEET_RELEASE_MAX_WHY, NULL,
			       &changing.dead_end, error) &&
	       ash_change_text(request, "withdrawn", ASH_FLEET_RELEASE_MAX_WHY, NULL,
			       &changing.withdrawn, error) &&
	       ash_change_text(request, "notes", ASH_TARGET_MAX_NOTES_BYTES, NULL, &changing.notes,
			       error) &&
	       ash_change_run(request, change, &changing, error) &&
	       ash_api_release_reply(request, changing.id, error);
}

/* ---- bills of materials ---- */

static gboolean get_sbom(AshRequest *request, GError **error)
{
	g_autoptr(AshFleetRelease) release = NULL;
	const char *format = ash_http_argument(request->call, "format");
	g_autofree char *document = NULL;

	if (format == NULL)
		format = "spdx";
	if (strcmp(format, "spdx") != 0 && strcmp(format, "cyclonedx") != 0)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_REQUEST,
				"'format' is spdx or cyclonedx");
	if (!ash_api_release_get(request, 0, &release, error) ||
			!ash_db_query_string(request->db,
					"SELECT document FROM release_sbom WHERE release = $1 AND "
					"format = $2",
					ASH_DB_VALUES(ASH_DB_I(release->id), ASH_DB_T(format)),
					&document, error))
		return FALSE;
	if (document == NULL)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_NOT_FOUND,
				"release %s came without this bill of materials: run 'ashlar release' "
				"for it again and scan the publication",
				release->version);
	ash_http_reply_json(request->call, 200, g_steal_pointer(&document));
	return TRUE;
}

/* ---- routes ---- */

#define RELEASE                                                                                    \
	"\"id\":7,\"name\":\"host\",\"variant\":\"\",\"arch\":\"amd64\",\"version\":\"1.4.0\","    \
	"\"commit\":\"…\",\"notes\":\"\",\"added_at\":1,\"is_barrier\":false,\"dead_end\":\"\"," \
	"\"withdrawn\":\"\",\"hosts\":3,\"channels\":[\"stable\"]"
#define WHOLE                                                                                      \
	"{" RELEASE ",\"document\":{},\"package_count\":180,\"sboms\":[\"cyclonedx\",\"spdx\"]}"

static const AshRouteMember list_arguments[] = {
		{"name", "string", false, "only releases of images of this name"}, {0}};
static const AshRouteMember change_members[] = {
		{"is_barrier", "boolean", false, "no host passes it by"},
		{"dead_end", "string", false,
				"why no update leads away from it; \"\": it is none; at most 1024 "
				"bytes"},
		{"withdrawn", "string", false,
				"why it is not to be given to anybody; \"\": it may; at most 1024 "
				"bytes"},
		{"notes", "string", false, "for people"},
		{0},
};
static const AshRouteMember sbom_arguments[] = {
		{"format", "string", false, "spdx (default) or cyclonedx"}, {0}};

const AshRoute ash_api_release_routes[] = {
		{"GET", "/v1/releases", ASH_ROLE_VIEWER, "Releases, in the order they came",
				list_releases, .arguments = list_arguments,
				.answer = "{\"items\":[{" RELEASE "}]}"},
		{"GET", "/v1/releases/{id}", ASH_ROLE_VIEWER,
				"One release by number, NAME/VERSION or VERSION, with its signed document",
				get_release, .answer = WHOLE},
		{"POST", "/v1/releases/{id}", ASH_ROLE_ADMIN,
				"Make it a barrier or a dead end, withdraw it", change_release,
				.members = change_members, .answer = WHOLE,
				.max_body_bytes = 256 << 10},
		{"GET", "/v1/releases/{id}/sbom", ASH_ROLE_VIEWER,
				"Its bill of materials, SPDX 2.3 or CycloneDX 1.6", get_sbom,
				.arguments = sbom_arguments,
				.answer = "{\"spdxVersion\":\"SPDX-2.3\"}"},
		{0},
};
