/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/published.h"

#include <fcntl.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/version.h"
#include "lib/workload-target.h"
#include "lib/workload.h"

G_DEFINE_QUARK(ash_published_error, ash_published_error)

enum {
	MAX_DEPTH = 16,
	MAX_VERSION = G_MAXINT32,
};

static void entry_free(gpointer data)
{
	AshPublishedEntry *entry = data;

	if (entry == NULL)
		return;
	g_free(entry->file);
	g_free(entry->sha256);
	g_free(entry->name);
	g_free(entry->variant);
	g_free(entry->arch);
	g_free(entry->version);
	g_free(entry->commit);
	g_free(entry);
}

void ash_published_free(AshPublished *published)
{
	if (published == NULL)
		return;
	g_free(published->dir);
	g_clear_pointer(&published->entries, g_ptr_array_unref);
	g_free(published);
}

static gboolean throw_damaged(GError **error, const char *what)
{
	return ash_throw(error, ASH_PUBLISHED_ERROR, ASH_PUBLISHED_ERROR_DAMAGED, "%s", what);
}

/* @sha256 NULL: any. */
static gboolean read_file(const AshPublished *published, const char *name, const char *sha256,
		size_t max, GBytes **out_bytes, GError **error)
{
	g_autofree char *path = g_build_filename(published->dir, name, NULL);
	g_autoptr(GBytes) bytes = NULL;
	ASH_PREFIX("%s", path);

	if (!ash_file_read(AT_FDCWD, path, max, &bytes, error))
		return FALSE;
	g_autofree char *hex =
			ash_sha256_hex(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
	if (sha256 != NULL && strcmp(hex, sha256) != 0)
		return throw_damaged(error, "this is not the file that was published");
	*out_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

/* ---- metadata ---- */

static gboolean read_metadata(AshPublished *published, const char *role, const char *name,
		const char *sha256, JsonNode **out_node, JsonObject **out_signed, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(JsonNode) node = NULL;
	const char *expires = NULL;
	ASH_PREFIX("%s", name);

	if (!read_file(published, name, sha256, ASH_PUBLISHED_MAX_METADATA_BYTES, &bytes, error) ||
			!ash_json_parse(bytes, ASH_PUBLISHED_MAX_METADATA_BYTES, MAX_DEPTH, &node,
					error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return throw_damaged(error, "no object");
	if (!ash_json_object(json_node_get_object(node), "signed", out_signed, error) ||
			!ash_json_text(*out_signed, "expires", &expires, error))
		return FALSE;
	g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(expires, NULL);
	if (time == NULL)
		return throw_damaged(error, "'expires' is no time");
	int64_t at = g_date_time_to_unix(time);
	if (published->expires_first == NULL || at < published->expires_at) {
		published->expires_at = at;
		published->expires_first = role;
	}
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

/* What "meta" says of @role: its file's name and hash. */
static gboolean find_meta(JsonObject *signed_object, const char *role, char **out_name,
		const char **out_sha256, GError **error)
{
	g_autofree char *file = g_strconcat(role, ".json", NULL);
	JsonObject *meta, *entry, *hashes;
	uint64_t version = 0;

	if (!ash_json_object(signed_object, "meta", &meta, error) ||
			!ash_json_object(meta, file, &entry, error) ||
			!ash_json_uint(entry, "version", MAX_VERSION, &version, error) ||
			!ash_json_object(entry, "hashes", &hashes, error) ||
			!ash_json_text(hashes, "sha256", out_sha256, error))
		return FALSE;
	*out_name = g_strdup_printf("metadata/%" G_GUINT64_FORMAT ".%s", version, file);
	return TRUE;
}

static char *copy_text(JsonObject *object, const char *key)
{
	const char *text = ash_json_find_text(object, key);

	return g_strdup(text != NULL ? text : "");
}

static char *expected_path(const AshPublishedEntry *entry)
{
	if (entry->is_workload)
		return ash_workload_target_path(entry->name, entry->version);
	return entry->is_recall ? ash_recall_path(entry->name, entry->variant, entry->arch,
						  entry->version)
				: ash_release_path(entry->name, entry->variant, entry->arch,
						  entry->version);
}

/* Only what lies where a document of its name and version lies: nothing else is opened. Others are passed by. */
static gboolean add_entry(
		AshPublished *published, const char *path, JsonObject *object, GError **error)
{
	JsonObject *custom = ash_json_find_object(object, "custom");
	const char *kind = ash_json_find_text(custom, "kind");
	g_autofree char *expected = NULL;
	JsonObject *hashes;
	const char *sha256 = NULL;

	if (!ash_json_object(object, "hashes", &hashes, error) ||
			!ash_json_text(hashes, "sha256", &sha256, error))
		return FALSE;
	if (g_strcmp0(kind, "release") != 0 && g_strcmp0(kind, "recall") != 0 &&
			g_strcmp0(kind, "workload") != 0)
		return TRUE;
	AshPublishedEntry *entry = g_new0(AshPublishedEntry, 1);
	g_ptr_array_add(published->entries, entry);
	entry->is_recall = strcmp(kind, "recall") == 0;
	entry->is_workload = strcmp(kind, "workload") == 0;
	entry->name = copy_text(custom, "name");
	entry->variant = copy_text(custom, "variant");
	entry->arch = copy_text(custom, "architecture");
	entry->version = copy_text(custom, "version");
	entry->commit = copy_text(custom, "commit");
	entry->sha256 = g_strdup(sha256);
	expected = expected_path(entry);
	if (entry->is_workload && !ash_workload_is_name(entry->name))
		return throw_damaged(error, "a definition has no workload's name");
	if (!ash_version_is_valid(entry->version) || strcmp(expected, path) != 0 ||
			strstr(path, "..") != NULL || strchr(sha256, '/') != NULL)
		return throw_damaged(error, "a document is not at the place of its name");
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *base = g_path_get_basename(path);
	entry->file = g_strdup_printf("targets/%s/%s.%s", dir, sha256, base);
	return TRUE;
}

static int compare_entries(gconstpointer a, gconstpointer b)
{
	const AshPublishedEntry *ea = *(AshPublishedEntry *const *) a;
	const AshPublishedEntry *eb = *(AshPublishedEntry *const *) b;

	if (ea->is_workload != eb->is_workload)
		return ea->is_workload ? 1 : -1;
	if (ea->is_recall != eb->is_recall)
		return ea->is_recall ? 1 : -1;
	int order = strcmp(ea->name, eb->name);
	return order != 0 ? order : ash_version_compare(ea->version, eb->version);
}

static gboolean read_targets(AshPublished *published, JsonObject *signed_object, GError **error)
{
	JsonObject *targets;

	if (!ash_json_object(signed_object, "targets", &targets, error))
		return FALSE;
	g_autoptr(GList) paths = json_object_get_members(targets);
	for (GList *i = paths; i != NULL; i = i->next) {
		JsonObject *object;
		if (!ash_json_object(targets, i->data, &object, error) ||
				!add_entry(published, i->data, object, error))
			return FALSE;
	}
	return TRUE;
}

/* Definitions of workloads have a role of their own, which an older publication lacks. */
static gboolean read_workloads(AshPublished *published, JsonObject *snapshot, GError **error)
{
	JsonObject *meta = ash_json_find_object(snapshot, "meta");
	g_autoptr(JsonNode) node = NULL;
	g_autofree char *name = NULL;
	const char *sha256 = NULL;
	JsonObject *object;

	if (meta == NULL || !json_object_has_member(meta, "workloads.json"))
		return TRUE;
	return find_meta(snapshot, "workloads", &name, &sha256, error) &&
	       read_metadata(published, "workloads", name, sha256, &node, &object, error) &&
	       read_targets(published, object, error);
}

static gboolean read_all(AshPublished *published, GError **error)
{
	g_autoptr(JsonNode) timestamp = NULL, snapshot = NULL, targets = NULL;
	g_autofree char *snapshot_name = NULL;
	g_autofree char *targets_name = NULL;
	const char *sha256 = NULL;
	JsonObject *object, *signed_snapshot;

	if (!read_metadata(published, "timestamp", "metadata/timestamp.json", NULL, &timestamp,
			    &object, error) ||
			!find_meta(object, "snapshot", &snapshot_name, &sha256, error) ||
			!read_metadata(published, "snapshot", snapshot_name, sha256, &snapshot,
					&signed_snapshot, error) ||
			!find_meta(signed_snapshot, "targets", &targets_name, &sha256, error) ||
			!read_metadata(published, "targets", targets_name, sha256, &targets,
					&object, error) ||
			!read_targets(published, object, error) ||
			!read_workloads(published, signed_snapshot, error))
		return FALSE;
	g_ptr_array_sort(published->entries, compare_entries);
	return TRUE;
}

gboolean ash_published_open(const char *dir, AshPublished **out_published, GError **error)
{
	g_autoptr(AshPublished) published = g_new0(AshPublished, 1);
	g_autoptr(GError) failure = NULL;

	published->dir = g_strdup(dir);
	published->entries = g_ptr_array_new_with_free_func(entry_free);
	if (!read_all(published, &failure)) {
		bool is_nothing = published->expires_first == NULL &&
				  g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
		if (is_nothing)
			return ash_throw(error, ASH_PUBLISHED_ERROR, ASH_PUBLISHED_ERROR_NONE,
					"nothing is published in '%s': put there what 'ashlar publish' "
					"wrote",
					dir);
		return ash_throw(error, ASH_PUBLISHED_ERROR, ASH_PUBLISHED_ERROR_DAMAGED,
				"the publication: %s", failure->message);
	}
	*out_published = g_steal_pointer(&published);
	return TRUE;
}

/* ---- documents ---- */

gboolean ash_published_read(const AshPublished *published, const AshPublishedEntry *entry,
		GBytes **out_document, GError **error)
{
	return read_file(published, entry->file, entry->sha256, ASH_TARGET_MAX_BYTES, out_document,
			error);
}

static gboolean read_content(const AshPublished *published, const char *commit, const char *suffix,
		GBytes **out_bytes, GError **error)
{
	g_autofree char *name = g_strdup_printf("sbom/%s.%s", commit, suffix);
	g_autoptr(GError) failure = NULL;

	*out_bytes = NULL;
	if (read_file(published, name, NULL, ASH_PUBLISHED_MAX_SBOM_BYTES, out_bytes, &failure) ||
			g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&failure));
	return FALSE;
}

static char *copy_bytes(GBytes *bytes)
{
	return bytes != NULL ? g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes))
			     : NULL;
}

gboolean ash_published_read_contents(const AshPublished *published, const char *commit,
		JsonNode **out_packages, char **out_spdx, char **out_cyclonedx, GError **error)
{
	g_autoptr(GBytes) packages = NULL, spdx = NULL, cyclonedx = NULL;
	g_autoptr(JsonNode) node = NULL;
	ASH_PREFIX("%s/sbom/%s", published->dir, commit);

	if (strlen(commit) != ASH_SHA256_HEX || strchr(commit, '/') != NULL)
		return throw_damaged(error, "a commit is 64 digits");
	if (!read_content(published, commit, "packages.json", &packages, error) ||
			!read_content(published, commit, "spdx.json", &spdx, error) ||
			!read_content(published, commit, "cyclonedx.json", &cyclonedx, error) ||
			(packages != NULL && !ash_json_parse(packages, ASH_PUBLISHED_MAX_SBOM_BYTES,
							     MAX_DEPTH, &node, error)))
		return FALSE;
	if (node != NULL && !JSON_NODE_HOLDS_OBJECT(node))
		return throw_damaged(error, "the list of packages is no object");
	*out_packages = g_steal_pointer(&node);
	*out_spdx = copy_bytes(spdx);
	*out_cyclonedx = copy_bytes(cyclonedx);
	return TRUE;
}
