/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/release.h"

#include <string.h>

#include "lib/error.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/version.h"

G_DEFINE_QUARK(ash_fleet_release_error, ash_fleet_release_error)

#define COLUMNS                                                                                    \
	"id, added_at, name, variant, arch, version, \"commit\", notes, dead_end, withdrawn, "     \
	"is_barrier"

enum {
	MAX_SBOM_DEPTH = 32,
};

void ash_fleet_release_free(AshFleetRelease *release)
{
	if (release == NULL)
		return;
	g_free(release->name);
	g_free(release->variant);
	g_free(release->arch);
	g_free(release->version);
	g_free(release->commit);
	g_free(release->notes);
	g_free(release->dead_end);
	g_free(release->withdrawn);
	g_free(release);
}

static gboolean take_release(const AshDbRow *row, gpointer data, GError **error)
{
	AshFleetRelease *release = g_new0(AshFleetRelease, 1);

	release->id = ash_db_row_int(row, 0);
	release->added_at = ash_db_row_int(row, 1);
	release->name = g_strdup(ash_db_row_text(row, 2));
	release->variant = g_strdup(ash_db_row_text(row, 3));
	release->arch = g_strdup(ash_db_row_text(row, 4));
	release->version = g_strdup(ash_db_row_text(row, 5));
	release->commit = g_strdup(ash_db_row_text(row, 6));
	release->notes = g_strdup(ash_db_row_text(row, 7));
	release->dead_end = g_strdup(ash_db_row_text(row, 8));
	release->withdrawn = g_strdup(ash_db_row_text(row, 9));
	release->is_barrier = ash_db_row_int(row, 10) != 0;
	g_ptr_array_add(data, release);
	return TRUE;
}

/* ---- finding ---- */

static gboolean find_rows(AshDb *db, const char *what, GPtrArray *found, GError **error)
{
	const char *slash = strrchr(what, '/');
	guint64 id = 0;

	if (slash != NULL) {
		g_autofree char *name = g_strndup(what, (gsize) (slash - what));
		return ash_db_query(db,
				"SELECT " COLUMNS
				" FROM release WHERE version = $1 AND (name = $2 OR "
				"name || '-' || variant = $2) ORDER BY id LIMIT 3",
				ASH_DB_VALUES(ASH_DB_T(slash + 1), ASH_DB_T(name)), take_release,
				found, error);
	}
	if (g_ascii_string_to_unsigned(what, 10, 1, G_MAXINT64, &id, NULL) &&
			!ash_db_query(db, "SELECT " COLUMNS " FROM release WHERE id = $1",
					ASH_DB_VALUES(ASH_DB_I(id)), take_release, found, error))
		return FALSE;
	/* "2" is an id before it is a version. */
	if (found->len > 0)
		return TRUE;
	return ash_db_query(db,
			"SELECT " COLUMNS " FROM release WHERE version = $1 ORDER BY id LIMIT 3",
			ASH_DB_VALUES(ASH_DB_T(what)), take_release, found, error);
}

gboolean ash_fleet_release_find(
		AshDb *db, const char *what, AshFleetRelease **out_release, GError **error)
{
	g_autoptr(GPtrArray) found =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_fleet_release_free);

	if (!find_rows(db, what, found, error))
		return FALSE;
	if (found->len == 0)
		return ash_throw(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_NOT_FOUND,
				"there is no release '%.80s'", what);
	if (found->len > 1) {
		const AshFleetRelease *a = found->pdata[0];
		const AshFleetRelease *b = found->pdata[1];
		return ash_throw(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_AMBIGUOUS,
				"release '%.80s' may be number %" G_GINT64_FORMAT
				" (%s%s%s for %s) or number %" G_GINT64_FORMAT
				" (%s%s%s for %s): say which by its number",
				what, a->id, a->name, *a->variant != '\0' ? "-" : "", a->variant,
				a->arch, b->id, b->name, *b->variant != '\0' ? "-" : "", b->variant,
				b->arch);
	}
	*out_release = g_ptr_array_steal_index(found, 0);
	return TRUE;
}

gboolean ash_fleet_release_list(AshDb *db, const char *name, int64_t after, unsigned limit,
		GPtrArray **out_releases, GError **error)
{
	g_autoptr(GPtrArray) found =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_fleet_release_free);

	if (!ash_db_query(db,
			    "SELECT " COLUMNS
			    " FROM release WHERE id > $1 AND ($2 = '' OR name = $2) ORDER BY id "
			    "LIMIT $3",
			    ASH_DB_VALUES(ASH_DB_I(after), ASH_DB_T(name), ASH_DB_I(limit)),
			    take_release, found, error))
		return FALSE;
	*out_releases = g_steal_pointer(&found);
	return TRUE;
}

/* ---- adding ---- */

static gboolean throw_document(GError **error, const char *format, const char *text)
{
	/* One of ours, so that callers need to know one domain. */
	g_autofree char *message = g_strdup_printf("%s: %s", format, text);

	return ash_throw(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_DOCUMENT, "%s",
			message);
}

static gboolean package_text(JsonObject *package, const char *key, const char *otherwise,
		const char **out_text, GError **error)
{
	const char *text = otherwise;
	g_autoptr(GError) failure = NULL;

	if (!ash_json_text_opt(package, key, &text, &failure))
		return throw_document(error, "a package", failure->message);
	if (text == NULL || strlen(text) > ASH_FLEET_RELEASE_MAX_TEXT)
		return throw_document(error, "a package",
				"'name' and 'version' are texts of at most 256 bytes");
	*out_text = text;
	return TRUE;
}

static gboolean add_packages(AshDb *db, int64_t release, JsonArray *packages, GError **error)
{
	guint count = json_array_get_length(packages);

	if (count > ASH_FLEET_RELEASE_MAX_PACKAGES)
		return throw_document(error, "packages", "there are more than 20000");
	for (guint i = 0; i < count; i++) {
		JsonNode *node = json_array_get_element(packages, i);
		const char *name, *version, *arch;
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return throw_document(error, "a package", "it is no object");
		JsonObject *package = json_node_get_object(node);
		if (!package_text(package, "name", NULL, &name, error) ||
				!package_text(package, "version", NULL, &version, error) ||
				!package_text(package, "arch", "", &arch, error) ||
				!ash_db_exec_later(db,
						"INSERT INTO release_package (release, name, version, "
						"arch) VALUES ($1, $2, $3, $4) ON CONFLICT (release, "
						"name, arch) DO NOTHING",
						ASH_DB_VALUES(ASH_DB_I(release), ASH_DB_T(name),
								ASH_DB_T(version), ASH_DB_T(arch)),
						error))
			return FALSE;
	}
	return TRUE;
}

/* A bill of materials is kept as it came; @mark is the member that documents of its kind have. */
static gboolean add_sbom(AshDb *db, int64_t release, const char *format, const char *mark,
		const char *text, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) failure = NULL;

	if (!ash_json_parse(bytes, ASH_FLEET_RELEASE_MAX_SBOM_BYTES, MAX_SBOM_DEPTH, &node,
			    &failure))
		return throw_document(error, format, failure->message);
	if (!JSON_NODE_HOLDS_OBJECT(node) ||
			!json_object_has_member(json_node_get_object(node), mark))
		return throw_document(error, format, "this is not such a document");
	return ash_db_exec(db,
			"INSERT INTO release_sbom (release, format, document) VALUES ($1, $2, $3) ON "
			"CONFLICT (release, format) DO NOTHING",
			ASH_DB_VALUES(ASH_DB_I(release), ASH_DB_T(format), ASH_DB_T(text)), NULL,
			error);
}

static gboolean add_contents(
		AshDb *db, int64_t id, const AshFleetReleaseContents *contents, GError **error)
{
	return (contents->packages == NULL || add_packages(db, id, contents->packages, error)) &&
	       (contents->spdx == NULL ||
			       add_sbom(db, id, "spdx", "spdxVersion", contents->spdx, error)) &&
	       (contents->cyclonedx == NULL || add_sbom(db, id, "cyclonedx", "bomFormat",
							       contents->cyclonedx, error));
}

static gboolean insert(AshDb *db, const AshRelease *release, GBytes *document, bool is_barrier,
		int64_t now, int64_t *out_id, GError **error)
{
	g_autofree char *text =
			g_strndup(g_bytes_get_data(document, NULL), g_bytes_get_size(document));
	bool is_found = false;

	return ash_db_query_int(db,
			"INSERT INTO release (name, variant, arch, version, \"commit\", document, "
			"notes, added_at, is_barrier) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
			"RETURNING id",
			ASH_DB_VALUES(ASH_DB_T(release->name), ASH_DB_T(release->variant),
					ASH_DB_T(release->arch), ASH_DB_T(release->version),
					ASH_DB_T(release->commit), ASH_DB_T(text),
					ASH_DB_T(release->notes), ASH_DB_I(now),
					ASH_DB_I(is_barrier)),
			&is_found, out_id, error);
}

gboolean ash_fleet_release_add(AshDb *db, GBytes *document, const AshFleetReleaseContents *contents,
		bool is_barrier, int64_t now, int64_t *out_id, bool *out_is_new, GError **error)
{
	g_autoptr(AshRelease) release = NULL;
	g_autoptr(GPtrArray) found =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_fleet_release_free);
	g_autoptr(GError) failure = NULL;
	int64_t id = 0;

	if (!ash_release_parse(document, &release, &failure))
		return ash_throw(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_DOCUMENT,
				"%s", failure->message);
	if (!ash_db_query(db,
			    "SELECT " COLUMNS " FROM release WHERE name = $1 AND variant = $2 AND "
			    "arch = $3 AND version = $4",
			    ASH_DB_VALUES(ASH_DB_T(release->name), ASH_DB_T(release->variant),
					    ASH_DB_T(release->arch), ASH_DB_T(release->version)),
			    take_release, found, error))
		return FALSE;
	const AshFleetRelease *known = found->len > 0 ? found->pdata[0] : NULL;
	if (known != NULL && strcmp(known->commit, release->commit) != 0)
		return ash_throw(error, ASH_FLEET_RELEASE_ERROR, ASH_FLEET_RELEASE_ERROR_EXISTS,
				"release %s of %s for %s is there with commit %.12s: give this one "
				"another version",
				known->version, known->name, known->arch, known->commit);
	if (known != NULL)
		id = known->id;
	else if (!insert(db, release, document, is_barrier, now, &id, error))
		return FALSE;
	if (!add_contents(db, id, contents, error))
		return FALSE;
	*out_id = id;
	*out_is_new = known == NULL;
	return TRUE;
}

/* ---- packages ---- */

static uint64_t take_epoch(const char **version)
{
	const char *colon = strchr(*version, ':');
	uint64_t epoch = 0;

	if (colon == NULL)
		return 0;
	epoch = g_ascii_strtoull(*version, NULL, 10);
	*version = colon + 1;
	return epoch;
}

int ash_fleet_release_compare_packages(const char *a, const char *b)
{
	uint64_t a_epoch = take_epoch(&a);
	uint64_t b_epoch = take_epoch(&b);

	if (a_epoch != b_epoch)
		return a_epoch < b_epoch ? -1 : 1;
	return ash_version_compare(a, b);
}

typedef struct {
	AshFleetReleaseEach each;
	gpointer data;
} Diff;

static gboolean take_difference(const AshDbRow *row, gpointer data, GError **error)
{
	const Diff *diff = data;
	const AshFleetReleaseDifference difference = {
			.name = ash_db_row_text(row, 0),
			.arch = ash_db_row_text(row, 1),
			.from = ash_db_row_text_opt(row, 2),
			.to = ash_db_row_text_opt(row, 3),
	};

	diff->each(&difference, diff->data);
	return TRUE;
}

gboolean ash_fleet_release_diff(AshDb *db, int64_t from, int64_t to, AshFleetReleaseEach each,
		gpointer data, GError **error)
{
	Diff diff = {each, data};

	return ash_db_query(db,
			"SELECT name, arch, min(a_version), min(b_version) FROM (SELECT name, arch, "
			"version AS a_version, NULL AS b_version FROM release_package WHERE release = "
			"$1 UNION ALL SELECT name, arch, NULL, version FROM release_package WHERE "
			"release = $2) AS both_sides GROUP BY name, arch HAVING "
			"coalesce(min(a_version), '') <> coalesce(min(b_version), '') ORDER BY name, "
			"arch",
			ASH_DB_VALUES(ASH_DB_I(from), ASH_DB_I(to)), take_difference, &diff, error);
}
