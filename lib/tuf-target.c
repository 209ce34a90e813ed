/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/tuf-state.h"

/* Targets: finding them, and what is signed of them. */

void ash_tuf_target_free(AshTufTarget *target)
{
	if (target == NULL)
		return;
	g_free(target->path);
	g_free(target->role);
	g_free(target->sha256);
	g_free(target->sha512);
	g_free(target->custom);
	g_free(target);
}

/* May it be the name of a file below a directory? */
static bool is_safe_path(const char *path)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);

	for (char **part = parts; *part != NULL; part++)
		if (**part == '\0' || strcmp(*part, ".") == 0 || strcmp(*part, "..") == 0)
			return false;
	return parts[0] != NULL && g_utf8_validate(path, -1, NULL);
}

/* What is not a hash must not become part of a file name. */
static char *copy_hash(JsonObject *hashes, const char *kind, size_t digits)
{
	const char *hash = NULL;

	if (!ash_json_text_opt(hashes, kind, &hash, NULL) || hash == NULL ||
			strlen(hash) != digits || strspn(hash, "0123456789abcdef") != digits)
		return NULL;
	return g_strdup(hash);
}

/* NULL if it cannot be verified. */
static AshTufTarget *make_target(
		const AshTuf *tuf, const char *role, const char *path, JsonObject *object)
{
	g_autoptr(AshTufTarget) target = g_new0(AshTufTarget, 1);
	JsonObject *hashes = json_object_get_object_member(object, "hashes");
	JsonNode *custom = json_object_get_member(object, "custom");

	target->sha256 = copy_hash(hashes, "sha256", ASH_SHA256_HEX);
	target->sha512 = copy_hash(hashes, "sha512", ASH_SHA512_HEX);
	if (target->sha256 == NULL && target->sha512 == NULL)
		return NULL;
	target->path = g_strdup(path);
	target->role = g_strdup(role);
	target->bytes = (uint64_t) json_object_get_int_member(object, "length");
	target->custom = custom != NULL ? json_to_string(custom, FALSE) : NULL;
	target->is_consistent = tuf->root->is_consistent;
	return g_steal_pointer(&target);
}

static gboolean check_fresh(const AshTuf *tuf, GError **error)
{
	if (!tuf->is_fresh)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_MISSING,
				"the metadata was not refreshed");
	return TRUE;
}

/* ---- searching (5.6.7) ---- */

typedef struct {
	AshTuf *tuf;
	const AshTufSource *source;
	const char *path;
	GHashTable *visited; /* names of roles */
	AshTufTarget *found;
	bool is_over; /* found, or a terminating delegation had its say */
} Search;

static gboolean search_role(
		Search *search, const AshTufMetadata *targets, const char *role, GError **error);

/* Verified for this delegation even if another one led to the same role before: authority comes from
 * the way that was taken.
 */
static gboolean load_delegated(Search *search, const AshTufDelegation *delegation,
		AshTufMetadata **out_metadata, GError **error)
{
	AshTuf *tuf = search->tuf;
	g_autoptr(AshTufMetadata) metadata = NULL;
	AshTufWanted wanted = {
			.name = delegation->file,
			.type = "targets",
			.max_bytes = ASH_TUF_MAX_TARGETS_BYTES,
			.authority = delegation->authority,
	};
	g_autofree char *name = g_strconcat(delegation->role, ".json", NULL);

	if (!ash_tuf_metadata_find_file(tuf->snapshot, name, &wanted.file))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_MISSING,
				"the snapshot does not name the role '%s'", delegation->role);
	metadata = ash_tuf_store_find(tuf->dir_fd, delegation->file, "targets",
			ASH_TUF_MAX_TARGETS_BYTES, &delegation->authority);
	if (!ash_tuf_is_current(tuf, metadata, &wanted)) {
		g_clear_pointer(&metadata, ash_tuf_metadata_free);
		if (!ash_tuf_fetch_role(tuf, &wanted, search->source, &metadata, error))
			return FALSE;
		ASH_PREFIX("%s", delegation->file);
		if (!ash_tuf_check_expiry(tuf, metadata, error) ||
				!ash_tuf_store_save(tuf->dir_fd, delegation->file, metadata, error))
			return FALSE;
	}
	*out_metadata = g_steal_pointer(&metadata);
	return TRUE;
}

static gboolean search_delegation(
		Search *search, const AshTufDelegation *delegation, GError **error)
{
	g_autoptr(AshTufMetadata) metadata = NULL;

	if (g_hash_table_contains(search->visited, delegation->role))
		return TRUE;
	if (g_hash_table_size(search->visited) >= ASH_TUF_MAX_DELEGATIONS)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_NOT_FOUND,
				"target '%s': not among the first %d roles that may name it",
				search->path, ASH_TUF_MAX_DELEGATIONS);
	if (!load_delegated(search, delegation, &metadata, error))
		return FALSE;
	g_hash_table_add(search->visited, g_strdup(delegation->role));
	return search_role(search, metadata, delegation->role, error);
}

static gboolean search_role(
		Search *search, const AshTufMetadata *targets, const char *role, GError **error)
{
	JsonObject *entries = json_object_get_object_member(targets->body, "targets");
	g_autoptr(GPtrArray) delegations = NULL;

	if (json_object_has_member(entries, search->path)) {
		search->is_over = true;
		search->found = make_target(search->tuf, role, search->path,
				json_object_get_object_member(entries, search->path));
		if (search->found == NULL)
			return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_HASH,
					"target '%s': no hash of a known kind was signed",
					search->path);
		return TRUE;
	}
	if (!ash_tuf_delegations_parse(targets->body, &delegations, error))
		return FALSE;
	for (guint i = 0; i < delegations->len && !search->is_over; i++) {
		const AshTufDelegation *delegation = g_ptr_array_index(delegations, i);

		if (!ash_tuf_delegation_covers(delegation, search->path))
			continue;
		if (!search_delegation(search, delegation, error))
			return FALSE;
		search->is_over = search->is_over || delegation->is_terminating;
	}
	return TRUE;
}

gboolean ash_tuf_find_target(AshTuf *tuf, const char *path, AshTufFetch fetch, gpointer data,
		AshTufTarget **out_target, GError **error)
{
	AshTufSource source = {.fetch = fetch, .data = data};
	g_autoptr(GHashTable) visited =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	Search search = {
			.tuf = tuf,
			.source = &source,
			.path = path,
			.visited = visited,
	};

	if (!check_fresh(tuf, error))
		return FALSE;
	if (is_safe_path(path) && !search_role(&search, tuf->targets, "targets", error))
		return FALSE;
	if (search.found == NULL)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_NOT_FOUND,
				"target '%s': no role that may name it does", path);
	*out_target = search.found;
	return TRUE;
}

static int compare_paths(gconstpointer a, gconstpointer b)
{
	const AshTufTarget *const *first = a;
	const AshTufTarget *const *second = b;

	return strcmp((*first)->path, (*second)->path);
}

gboolean ash_tuf_list_targets(
		AshTuf *tuf, const char *prefix, GPtrArray **out_targets, GError **error)
{
	g_autoptr(GPtrArray) list =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_tuf_target_free);

	if (!check_fresh(tuf, error))
		return FALSE;
	JsonObject *entries = json_object_get_object_member(tuf->targets->body, "targets");
	g_autoptr(GList) paths = json_object_get_members(entries);
	for (GList *i = paths; i != NULL; i = i->next) {
		AshTufTarget *target = NULL;

		if (g_str_has_prefix(i->data, prefix) && is_safe_path(i->data))
			target = make_target(tuf, "targets", i->data,
					json_object_get_object_member(entries, i->data));
		if (target != NULL)
			g_ptr_array_add(list, target);
	}
	g_ptr_array_sort(list, compare_paths);
	*out_targets = g_steal_pointer(&list);
	return TRUE;
}

/* Would a search come to @delegations[index] for @path? Others that are asked before might have it, or end
 * the search.
 */
static bool is_first(AshTuf *tuf, const GPtrArray *delegations, guint index, const char *path)
{
	JsonObject *entries = json_object_get_object_member(tuf->targets->body, "targets");

	for (guint i = 0; i < index; i++)
		if (ash_tuf_delegation_covers(g_ptr_array_index(delegations, i), path))
			return false;
	return !json_object_has_member(entries, path) &&
	       ash_tuf_delegation_covers(g_ptr_array_index(delegations, index), path);
}

gboolean ash_tuf_list_delegated(AshTuf *tuf, const char *role, const char *prefix,
		AshTufFetch fetch, gpointer data, uint64_t *out_version, GPtrArray **out_targets,
		GError **error)
{
	AshTufSource source = {.fetch = fetch, .data = data};
	Search search = {.tuf = tuf, .source = &source};
	g_autoptr(GPtrArray) list =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_tuf_target_free);
	g_autoptr(GPtrArray) delegations = NULL;
	g_autoptr(AshTufMetadata) metadata = NULL;
	guint index = 0;

	if (!check_fresh(tuf, error) ||
			!ash_tuf_delegations_parse(tuf->targets->body, &delegations, error))
		return FALSE;
	while (index < delegations->len &&
			strcmp(((const AshTufDelegation *) delegations->pdata[index])->role,
					role) != 0)
		index++;
	if (index < delegations->len &&
			!load_delegated(&search, delegations->pdata[index], &metadata, error))
		return FALSE;
	JsonObject *entries =
			metadata != NULL ? json_object_get_object_member(metadata->body, "targets")
					 : NULL;
	g_autoptr(GList) paths = entries != NULL ? json_object_get_members(entries) : NULL;
	for (GList *i = paths; i != NULL; i = i->next) {
		AshTufTarget *target = NULL;

		if (g_str_has_prefix(i->data, prefix) && is_safe_path(i->data) &&
				is_first(tuf, delegations, index, i->data))
			target = make_target(tuf, role, i->data,
					json_object_get_object_member(entries, i->data));
		if (target != NULL)
			g_ptr_array_add(list, target);
	}
	g_ptr_array_sort(list, compare_paths);
	*out_version = metadata != NULL ? metadata->version : 0;
	*out_targets = g_steal_pointer(&list);
	return TRUE;
}

/* ---- one target ---- */

char *ash_tuf_target_location(const AshTufTarget *target)
{
	const char *hash = target->sha256 != NULL ? target->sha256 : target->sha512;
	const char *slash = strrchr(target->path, '/');
	const char *name = slash != NULL ? slash + 1 : target->path;

	if (!target->is_consistent)
		return g_strdup(target->path);
	return g_strdup_printf("%.*s%s.%s", (int) (name - target->path), target->path, hash, name);
}

static bool is_hash(const char *expected, char *actual)
{
	g_autofree char *hash = actual;

	return strcmp(expected, hash) == 0;
}

gboolean ash_tuf_target_verify(const AshTufTarget *target, GBytes *bytes, GError **error)
{
	gsize size = 0;
	const void *data = g_bytes_get_data(bytes, &size);

	g_assert(target->sha256 != NULL || target->sha512 != NULL);
	if (size != target->bytes)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_HASH,
				"target '%s': %zu bytes, not %" G_GUINT64_FORMAT, target->path,
				size, (guint64) target->bytes);
	if ((target->sha256 != NULL && !is_hash(target->sha256, ash_sha256_hex(data, size))) ||
			(target->sha512 != NULL &&
					!is_hash(target->sha512, ash_sha512_hex(data, size))))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_HASH,
				"target '%s': the hash differs from what was signed", target->path);
	return TRUE;
}
