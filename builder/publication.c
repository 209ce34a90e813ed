/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/publication.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/canonical.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/version.h"

G_DEFINE_QUARK(ash_publication_error, ash_publication_error)

enum {
	MAX_VERSION = G_MAXINT32,
};

void ash_publication_target_free(AshPublicationTarget *target)
{
	if (target == NULL)
		return;
	g_free(target->path);
	g_free(target->sha256);
	g_free(target->custom);
	g_free(target->name);
	g_free(target->variant);
	g_free(target->arch);
	g_free(target->version);
	g_free(target->commit);
	g_free(target->to);
	g_free(target);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshPublicationTarget, ash_publication_target_free)

void ash_publication_free(AshPublication *publication)
{
	if (publication == NULL)
		return;
	g_free(publication->dir);
	ash_close_fd(&publication->fd);
	g_clear_pointer(&publication->targets, g_ptr_array_unref);
	g_clear_pointer(&publication->workloads, g_ptr_array_unref);
	g_clear_pointer(&publication->withdrawn, g_ptr_array_unref);
	g_clear_pointer(&publication->targets_bytes, g_bytes_unref);
	g_clear_pointer(&publication->workloads_bytes, g_bytes_unref);
	g_free(publication);
}

char *ash_publication_repo(const AshPublication *publication)
{
	return g_build_filename(publication->dir, "repo", NULL);
}

char *ash_publication_metadata(uint64_t version, const char *role)
{
	return g_strdup_printf("metadata/%" PRIu64 ".%s.json", version, role);
}

gboolean ash_publication_read(const AshPublication *publication, const char *name,
		GBytes **out_bytes, GError **error)
{
	ASH_PREFIX("%s/%s", publication->dir, name);

	return ash_file_read(publication->fd, name, ASH_SIGNING_MAX_BYTES, out_bytes, error);
}

static gboolean throw_damaged(GError **error, const char *what)
{
	return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_DAMAGED,
			"%s; put a good copy of the publication there", what);
}

/* ---- targets ------------------------------------------------------------------------------------ */

static char *text_of(JsonObject *object, const char *key)
{
	const char *text = "";

	return g_strdup(object != NULL && ash_json_text_opt(object, key, &text, NULL) ? text : "");
}

gboolean ash_publication_target_parse(const char *path, JsonObject *object,
		AshPublicationTarget **out_target, GError **error)
{
	g_autoptr(AshPublicationTarget) target = g_new0(AshPublicationTarget, 1);
	JsonObject *hashes;
	JsonObject *custom = NULL;
	const char *sha256 = NULL;

	if (!ash_json_uint(object, "length", ASH_SIGNING_MAX_BYTES, &target->bytes, error) ||
			!ash_json_object(object, "hashes", &hashes, error) ||
			!ash_json_text(hashes, "sha256", &sha256, error))
		return FALSE;
	if (json_object_has_member(object, "custom")) {
		if (!ash_json_object(object, "custom", &custom, error) ||
				!ash_canonical_json(json_object_get_member(object, "custom"),
						&target->custom, error))
			return FALSE;
	}
	g_autofree char *kind = text_of(custom, "kind");
	target->is_recall = strcmp(kind, "recall") == 0;
	target->path = g_strdup(path);
	target->sha256 = g_strdup(sha256);
	target->name = text_of(custom, "name");
	target->variant = text_of(custom, "variant");
	target->arch = text_of(custom, "architecture");
	target->version = text_of(custom, "version");
	target->commit = text_of(custom, "commit");
	target->to = text_of(custom, "to");
	*out_target = g_steal_pointer(&target);
	return TRUE;
}

static int compare_targets(gconstpointer a, gconstpointer b)
{
	const AshPublicationTarget *const *ta = a;
	const AshPublicationTarget *const *tb = b;

	return strcmp((*ta)->path, (*tb)->path);
}

gboolean ash_publication_parse_targets(
		JsonObject *signed_object, GPtrArray **out_targets, GError **error)
{
	g_autoptr(GPtrArray) targets = g_ptr_array_new_with_free_func(
			(GDestroyNotify) ash_publication_target_free);
	JsonObject *all;

	if (!ash_json_object(signed_object, "targets", &all, error))
		return FALSE;
	g_autoptr(GList) paths = json_object_get_members(all);
	for (GList *i = paths; i != NULL; i = i->next) {
		JsonObject *object;
		AshPublicationTarget *target = NULL;
		if (!ash_json_object(all, i->data, &object, error) ||
				!ash_publication_target_parse(i->data, object, &target, error))
			return FALSE;
		g_ptr_array_add(targets, target);
	}
	g_ptr_array_sort(targets, compare_targets);
	*out_targets = g_steal_pointer(&targets);
	return TRUE;
}

static AshPublicationTarget *find(const GPtrArray *targets, const char *path)
{
	for (guint i = 0; i < targets->len; i++) {
		AshPublicationTarget *target = targets->pdata[i];
		if (strcmp(target->path, path) == 0)
			return target;
	}
	return NULL;
}

AshPublicationTarget *ash_publication_find(const AshPublication *publication, const char *path)
{
	return find(publication->targets, path);
}

AshPublicationTarget *ash_publication_find_workload(
		const AshPublication *publication, const char *path)
{
	return find(publication->workloads, path);
}

char *ash_publication_location(const AshPublicationTarget *target)
{
	g_autofree char *dir = g_path_get_dirname(target->path);
	g_autofree char *base = g_path_get_basename(target->path);

	return g_strdup_printf("%s/%s.%s", dir, target->sha256, base);
}

static gboolean add(AshPublication *publication, GPtrArray *targets, const char *path,
		GBytes *document, const char *custom, GError **error)
{
	g_autoptr(GBytes) custom_bytes = g_bytes_new_static(custom, strlen(custom));
	g_autoptr(JsonNode) custom_node = NULL;
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autoptr(AshPublicationTarget) target = NULL;
	gsize size = 0;
	gconstpointer data = g_bytes_get_data(document, &size);
	g_autofree char *sha256 = ash_sha256_hex(data, size);

	if (!ash_json_parse(custom_bytes, ASH_TARGET_MAX_BYTES, 8, &custom_node, error))
		return FALSE;
	json_builder_begin_object(json);
	ash_json_add_uint(json, "length", size);
	ash_json_begin_object(json, "hashes");
	ash_json_add_text(json, "sha256", sha256);
	json_builder_end_object(json);
	json_builder_set_member_name(json, "custom");
	json_builder_add_value(json, g_steal_pointer(&custom_node));
	json_builder_end_object(json);
	g_autoptr(JsonNode) node = json_builder_get_root(json);
	if (!ash_publication_target_parse(path, json_node_get_object(node), &target, error))
		return FALSE;

	g_autofree char *location = ash_publication_location(target);
	g_autofree char *file = g_build_filename("targets", location, NULL);
	g_autofree char *dir = g_path_get_dirname(file);
	if (!ash_file_ensure_dir(publication->fd, dir, 0755, error) ||
			!ash_file_replace(publication->fd, file, data, size, 0644, error))
		return FALSE;
	AshPublicationTarget *old = find(targets, path);
	if (old != NULL)
		g_ptr_array_remove(targets, old);
	g_ptr_array_add(targets, g_steal_pointer(&target));
	g_ptr_array_sort(targets, compare_targets);
	return TRUE;
}

gboolean ash_publication_add(AshPublication *publication, const char *path, GBytes *document,
		const char *custom, GError **error)
{
	if (!add(publication, publication->targets, path, document, custom, error))
		return FALSE;
	publication->needs_targets = true;
	return TRUE;
}

gboolean ash_publication_add_workload(AshPublication *publication, const char *path,
		GBytes *document, const char *custom, GError **error)
{
	if (!add(publication, publication->workloads, path, document, custom, error))
		return FALSE;
	publication->needs_workloads = true;
	return TRUE;
}

bool ash_publication_is_withdrawn(const AshPublication *publication, const char *path)
{
	return g_ptr_array_find_with_equal_func(publication->withdrawn, path, g_str_equal, NULL);
}

void ash_publication_withdraw(AshPublication *publication, const char *path)
{
	AshPublicationTarget *target = ash_publication_find_workload(publication, path);

	if (!ash_publication_is_withdrawn(publication, path))
		g_ptr_array_add(publication->withdrawn, g_strdup(path));
	if (target != NULL)
		g_ptr_array_remove(publication->workloads, target);
	publication->needs_workloads = true;
}

/* ---- hosts and their releases ------------------------------------------------------------------- */

static bool is_of(const AshPublicationTarget *target, const AshPublicationHost *host)
{
	return (host->name == NULL || strcmp(host->name, target->name) == 0) &&
	       (host->variant == NULL || strcmp(host->variant, target->variant) == 0) &&
	       (host->arch == NULL || strcmp(host->arch, target->arch) == 0);
}

gboolean ash_publication_find_host(
		const AshPublication *publication, AshPublicationHost *host, GError **error)
{
	const AshPublicationTarget *found = NULL;

	for (guint i = 0; i < publication->targets->len; i++) {
		const AshPublicationTarget *target = publication->targets->pdata[i];
		if (*target->name == '\0' || !is_of(target, host))
			continue;
		if (found != NULL && (strcmp(found->name, target->name) != 0 ||
						     strcmp(found->variant, target->variant) != 0 ||
						     strcmp(found->arch, target->arch) != 0))
			return ash_throw(error, ASH_PUBLICATION_ERROR,
					ASH_PUBLICATION_ERROR_AMBIGUOUS,
					"'%s' has releases of '%s' '%s' for %s and of '%s' '%s' for "
					"%s: say which with --name, --variant and --arch",
					publication->dir, found->name, found->variant, found->arch,
					target->name, target->variant, target->arch);
		found = target;
	}
	if (found == NULL)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
				"'%s' has no releases of such a host", publication->dir);
	if (host->name == NULL)
		host->name = g_intern_string(found->name);
	if (host->variant == NULL)
		host->variant = g_intern_string(found->variant);
	if (host->arch == NULL)
		host->arch = g_intern_string(found->arch);
	return TRUE;
}

static int compare_newest(gconstpointer a, gconstpointer b)
{
	const AshPublicationTarget *const *ta = a;
	const AshPublicationTarget *const *tb = b;

	return ash_version_compare((*tb)->version, (*ta)->version);
}

GPtrArray *ash_publication_releases(
		const AshPublication *publication, const AshPublicationHost *host)
{
	GPtrArray *releases = g_ptr_array_new();

	for (guint i = 0; i < publication->targets->len; i++) {
		AshPublicationTarget *target = publication->targets->pdata[i];
		if (!target->is_recall && *target->commit != '\0' && is_of(target, host))
			g_ptr_array_add(releases, target);
	}
	g_ptr_array_sort(releases, compare_newest);
	return releases;
}

gboolean ash_publication_get_release(const AshPublication *publication,
		const AshPublicationHost *host, const char *version,
		AshPublicationTarget **out_target, GError **error)
{
	g_autoptr(GPtrArray) releases = ash_publication_releases(publication, host);
	g_autoptr(GString) known = g_string_new(NULL);

	for (guint i = 0; i < releases->len; i++) {
		AshPublicationTarget *target = releases->pdata[i];
		if (strcmp(target->version, version) == 0) {
			*out_target = target;
			return TRUE;
		}
		g_string_append_printf(known, "%s%s", known->len > 0 ? ", " : "", target->version);
	}
	return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
			"there is no release %s of %s for %s; there are: %s", version, host->name,
			host->arch, known->len > 0 ? known->str : "none");
}

/* ---- opening ------------------------------------------------------------------------------------- */

gboolean ash_publication_read_meta(JsonObject *signed_object, const char *file,
		uint64_t *out_version, const char **out_sha256, GError **error)
{
	JsonObject *meta, *entry, *hashes;

	return ash_json_object(signed_object, "meta", &meta, error) &&
	       ash_json_object(meta, file, &entry, error) &&
	       ash_json_uint(entry, "version", MAX_VERSION, out_version, error) &&
	       ash_json_object(entry, "hashes", &hashes, error) &&
	       ash_json_text(hashes, "sha256", out_sha256, error);
}

/* Signed by the role's keys, those of the newest root or those of the one that is published. With the
 * older ones only it has to be signed anew.
 */
static gboolean check(AshPublication *publication, JsonNode *node, AshRole role, bool *out_is_old,
		GError **error)
{
	*out_is_old = false;
	if (publication->keys == NULL ||
			ash_signing_check(node, ash_keys_role(publication->keys, role), NULL))
		return TRUE;
	*out_is_old = true;
	if (role != ASH_ROLE_WORKLOADS && publication->roots > 0) {
		const AshRoot *root =
				ash_keys_roots(publication->keys)->pdata[publication->roots - 1];
		return ash_signing_check(node, root->roles[role], error);
	}
	return TRUE;
}

/* Reads one of the metadata files and checks what its referrer and its keys say of it. */
static gboolean load(AshPublication *publication, AshRole role, const char *type, uint64_t version,
		const char *sha256, JsonNode **out_node, JsonObject **out_signed,
		GBytes **out_bytes, bool *out_is_old, GError **error)
{
	g_autofree char *name = ash_publication_metadata(version, ash_role_name(role));
	ASH_PREFIX("%s/%s", publication->dir, name);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(JsonNode) node = NULL;
	uint64_t found = 0;

	if (!ash_file_read(publication->fd, name, ASH_SIGNING_MAX_BYTES, &bytes, error) ||
			!ash_signing_parse(bytes, type, &node, out_signed, &found, error))
		return FALSE;
	g_autofree char *hex =
			ash_sha256_hex(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
	if (found != version || strcmp(hex, sha256) != 0)
		return throw_damaged(error, "this is not the file that was published");
	if (!check(publication, node, role, out_is_old, error))
		return FALSE;
	*out_node = g_steal_pointer(&node);
	*out_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

/* What the verified targets delegate to, and whether that is what our directory of keys says. */
static gboolean check_delegation(AshPublication *publication, JsonObject *targets,
		JsonNode *workloads, GError **error)
{
	JsonObject *delegations, *keys;
	JsonArray *roles;
	g_autoptr(AshSigningRole) role = NULL;

	if (publication->keys == NULL)
		return TRUE;
	if (!ash_json_object(targets, "delegations", &delegations, error) ||
			!ash_json_object(delegations, "keys", &keys, error) ||
			!ash_json_array(delegations, "roles", &roles, error))
		return FALSE;
	if (json_array_get_length(roles) != 1 ||
			!JSON_NODE_HOLDS_OBJECT(json_array_get_element(roles, 0)))
		return throw_damaged(error, "the targets delegate to other roles than workloads");
	if (!ash_signing_role_parse(keys, json_array_get_object_element(roles, 0), &role, error) ||
			!ash_signing_check(workloads, role, error))
		return FALSE;
	if (!ash_signing_role_equal(role, ash_keys_role(publication->keys, ASH_ROLE_WORKLOADS)))
		publication->needs_targets = true;
	return TRUE;
}

/* "withdrawn" is a member of ours; other readers pass over it. */
static gboolean parse_workloads(AshPublication *publication, JsonObject *workloads, GError **error)
{
	JsonArray *withdrawn = NULL;
	GPtrArray *targets = NULL;

	if (!ash_publication_parse_targets(workloads, &targets, error))
		return FALSE;
	g_ptr_array_unref(publication->workloads);
	publication->workloads = targets;
	if (!json_object_has_member(workloads, "withdrawn"))
		return TRUE;
	if (!ash_json_array(workloads, "withdrawn", &withdrawn, error))
		return FALSE;
	for (guint i = 0; i < json_array_get_length(withdrawn); i++) {
		const char *path = json_node_get_string(json_array_get_element(withdrawn, i));
		if (path == NULL)
			return throw_damaged(error, "what is withdrawn is no path");
		g_ptr_array_add(publication->withdrawn, g_strdup(path));
	}
	return TRUE;
}

static gboolean load_snapshot(AshPublication *publication, const char *sha256, GError **error)
{
	AshPublicationVersions *versions = &publication->published;
	g_autoptr(JsonNode) node = NULL, targets_node = NULL, workloads_node = NULL;
	g_autoptr(GBytes) bytes = NULL;
	JsonObject *object, *targets, *workloads;
	const char *targets_sha256 = NULL;
	const char *workloads_sha256 = NULL;
	bool is_old = false;

	if (!load(publication, ASH_ROLE_SNAPSHOT, "snapshot", versions->snapshot, sha256, &node,
			    &object, &bytes, &is_old, error) ||
			!ash_publication_read_meta(object, "targets.json", &versions->targets,
					&targets_sha256, error) ||
			!ash_publication_read_meta(object, "workloads.json", &versions->workloads,
					&workloads_sha256, error) ||
			!load(publication, ASH_ROLE_TARGETS, "targets", versions->targets,
					targets_sha256, &targets_node, &targets,
					&publication->targets_bytes, &publication->needs_targets,
					error) ||
			!load(publication, ASH_ROLE_WORKLOADS, "targets", versions->workloads,
					workloads_sha256, &workloads_node, &workloads,
					&publication->workloads_bytes,
					&publication->needs_workloads, error) ||
			!check_delegation(publication, targets, workloads_node, error) ||
			!ash_signing_expiry(targets, &publication->targets_left_s, error) ||
			!ash_signing_expiry(workloads, &publication->workloads_left_s, error) ||
			!parse_workloads(publication, workloads, error))
		return FALSE;
	g_clear_pointer(&publication->targets, g_ptr_array_unref);
	return ash_publication_parse_targets(targets, &publication->targets, error);
}

static gboolean load_published(AshPublication *publication, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object;
	const char *sha256 = NULL;
	bool exists = false;
	bool is_old = false;

	if (!ash_file_exists(publication->fd, "metadata/timestamp.json", &exists, error))
		return FALSE;
	if (!exists) {
		publication->needs_targets = true;
		publication->needs_workloads = true;
		return TRUE;
	}
	return ash_publication_read(publication, "metadata/timestamp.json", &bytes, error) &&
	       ash_signing_parse(bytes, "timestamp", &node, &object,
			       &publication->published.timestamp, error) &&
	       check(publication, node, ASH_ROLE_TIMESTAMP, &is_old, error) &&
	       ash_publication_read_meta(object, "snapshot.json", &publication->published.snapshot,
			       &sha256, error) &&
	       load_snapshot(publication, sha256, error);
}

/* The chain as far as it is published must be ours. */
static gboolean load_roots(AshPublication *publication, GError **error)
{
	const GPtrArray *roots =
			publication->keys != NULL ? ash_keys_roots(publication->keys) : NULL;

	for (uint64_t version = 1;; version++) {
		g_autofree char *name = ash_publication_metadata(version, "root");
		g_autoptr(GBytes) bytes = NULL;
		bool exists = false;
		if (!ash_file_exists(publication->fd, name, &exists, error))
			return FALSE;
		if (!exists)
			return TRUE;
		if (!ash_publication_read(publication, name, &bytes, error))
			return FALSE;
		if (roots != NULL && version > roots->len)
			return ash_throw(error, ASH_PUBLICATION_ERROR,
					ASH_PUBLICATION_ERROR_OTHER_ROOT,
					"'%s' has version %" PRIu64
					" of the root, and the directory "
					"of keys ends with %u: bring the newer %" PRIu64
					".root.json",
					publication->dir, version, roots->len, version);
		const AshRoot *root = roots != NULL ? roots->pdata[version - 1] : NULL;
		if (root != NULL && !g_bytes_equal(root->bytes, bytes))
			return ash_throw(error, ASH_PUBLICATION_ERROR,
					ASH_PUBLICATION_ERROR_OTHER_ROOT,
					"'%s' was published with other keys: its %" PRIu64
					".root.json is not ours (name another directory, or the keys "
					"that it was begun with)",
					publication->dir, version);
		publication->roots = version;
	}
}

gboolean ash_publication_check_dir(const char *dir, GError **error)
{
	g_autofree char *metadata = g_build_filename(dir, "metadata", NULL);
	g_autofree char *pending = g_build_filename(dir, "pending", NULL);
	g_autoptr(GDir) listing = g_dir_open(dir, 0, NULL);

	if (access(metadata, F_OK) == 0 || access(pending, F_OK) == 0 ||
			(listing != NULL && g_dir_read_name(listing) == NULL))
		return TRUE;
	return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
			"'%s' is no publication (run 'ashlar release' and 'ashlar publish')", dir);
}

static gboolean make_dirs(const char *dir, GError **error)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {{"metadata", 0755}, {"targets", 0755}, {"pending", 0700}};

	for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++) {
		g_autofree char *path = g_build_filename(dir, dirs[i].name, NULL);
		if (!ash_file_ensure_dir(AT_FDCWD, path, dirs[i].mode, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_publication_open(
		const char *dir, AshKeys *keys, AshPublication **out_publication, GError **error)
{
	g_autoptr(AshPublication) publication = g_new0(AshPublication, 1);
	g_autofree char *metadata = g_build_filename(dir, "metadata", NULL);

	publication->fd = -1;
	publication->dir = g_strdup(dir);
	publication->keys = keys;
	publication->targets = g_ptr_array_new_with_free_func(
			(GDestroyNotify) ash_publication_target_free);
	publication->workloads = g_ptr_array_new_with_free_func(
			(GDestroyNotify) ash_publication_target_free);
	publication->withdrawn = g_ptr_array_new_with_free_func(g_free);
	if (keys == NULL && access(metadata, F_OK) < 0)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
				"'%s' is no publication (run 'ashlar release' and 'ashlar publish')",
				dir);
	if (keys != NULL && ash_keys_root(keys)->seconds_left <= 0)
		return ash_throw(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_EXPIRED,
				"the root expired %s: no host would believe what it signs (run "
				"'ashlar key extend')",
				ash_keys_root(keys)->expires);
	if (keys != NULL && !make_dirs(dir, error))
		return FALSE;
	publication->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (publication->fd < 0)
		return ash_throw_errno(error, "%s", dir);
	if (flock(publication->fd, keys != NULL ? LOCK_EX : LOCK_SH) < 0)
		return ash_throw_errno(error, "locking '%s'", dir);
	if (!load_roots(publication, error) || !load_published(publication, error))
		return FALSE;
	if (keys == NULL && publication->published.timestamp == 0)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
				"nothing is published in '%s' yet (run 'ashlar publish')", dir);
	*out_publication = g_steal_pointer(&publication);
	return TRUE;
}
