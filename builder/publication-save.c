/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "builder/publication.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

enum {
	TARGETS_LATE_PART = 2, /* renewed when less than 1/2 of its life is left */
};

/* The next version of a metadata file: above all that lie there, published or left by a save that was
 * interrupted, so that no name ever gets a second content.
 */
static gboolean next_version(AshPublication *publication, const char *role, uint64_t *out_version,
		GError **error)
{
	g_autofree char *suffix = g_strdup_printf(".%s.json", role);
	int fd = openat(publication->fd, "metadata", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(AshDir) dir = fd >= 0 ? fdopendir(fd) : NULL;
	uint64_t highest = 0;

	if (dir == NULL)
		return ash_throw_errno(error, "%s/metadata", publication->dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char *end = NULL;
		uint64_t version = g_ascii_strtoull(entry->d_name, &end, 10);
		if (end != entry->d_name && strcmp(end, suffix) == 0)
			highest = MAX(highest, version);
	}
	*out_version = highest + 1;
	return TRUE;
}

/* The keys that the role had in the root that readers have now: signed with both, metadata is good on
 * either side of the instant at which they see the next root.
 */
static const AshSigningRole *old_role(const AshPublication *publication, AshRole role)
{
	const GPtrArray *roots = ash_keys_roots(publication->keys);

	if (role == ASH_ROLE_WORKLOADS || publication->roots == 0 ||
			publication->roots == roots->len)
		return NULL;
	const AshRoot *root = roots->pdata[publication->roots - 1];
	return root->roles[role];
}

static gboolean sign(AshPublication *publication, AshRole role, JsonBuilder *json,
		GBytes **out_bytes, GError **error)
{
	g_autoptr(JsonNode) node = json_builder_get_root(json);

	return ash_keys_sign(publication->keys, role, old_role(publication, role), node, out_bytes,
			error);
}

static gboolean write_metadata(
		AshPublication *publication, const char *name, GBytes *bytes, GError **error)
{
	return ash_file_replace(publication->fd, name, g_bytes_get_data(bytes, NULL),
			g_bytes_get_size(bytes), 0644, error);
}

static gboolean write_version(AshPublication *publication, AshRole role, uint64_t version,
		GBytes *bytes, GError **error)
{
	g_autofree char *name = ash_publication_metadata(version, ash_role_name(role));

	return write_metadata(publication, name, bytes, error);
}

/* ---- targets and workloads ----------------------------------------------------------------------- */

static gboolean add_target(JsonBuilder *json, const AshPublicationTarget *target, GError **error)
{
	ash_json_begin_object(json, target->path);
	ash_json_add_uint(json, "length", target->bytes);
	ash_json_begin_object(json, "hashes");
	ash_json_add_text(json, "sha256", target->sha256);
	json_builder_end_object(json);
	if (target->custom != NULL) {
		g_autoptr(GBytes) text = g_bytes_new_static(target->custom, strlen(target->custom));
		g_autoptr(JsonNode) node = NULL;
		if (!ash_json_parse(text, ASH_SIGNING_MAX_BYTES, 8, &node, error))
			return FALSE;
		json_builder_set_member_name(json, "custom");
		json_builder_add_value(json, g_steal_pointer(&node));
	}
	json_builder_end_object(json);
	return TRUE;
}

static void add_delegations(JsonBuilder *json, const AshSigningRole *workloads)
{

	ash_json_begin_object(json, "delegations");
	ash_signing_add_keys(json, &workloads, 1);
	ash_json_begin_array(json, "roles");
	json_builder_begin_object(json);
	ash_json_add_text(json, "name", ash_role_name(ASH_ROLE_WORKLOADS));
	ash_signing_add_role(json, workloads);
	ash_json_add_bool(json, "terminating", true);
	ash_json_begin_array(json, "paths");
	json_builder_add_string_value(json, "workload/*/*");
	json_builder_end_array(json);
	json_builder_end_object(json);
	json_builder_end_array(json);
	json_builder_end_object(json);
}

static gboolean write_targets(AshPublication *publication, int64_t life_s, GError **error)
{
	ASH_PREFIX("writing the targets metadata");
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *expires = ash_signing_time(life_s);
	g_autoptr(GBytes) bytes = NULL;
	uint64_t version = 0;

	if (!next_version(publication, "targets", &version, error))
		return FALSE;
	ash_signing_begin(json, "targets", version, expires);
	ash_json_begin_object(json, "targets");
	for (guint i = 0; i < publication->targets->len; i++)
		if (!add_target(json, publication->targets->pdata[i], error))
			return FALSE;
	json_builder_end_object(json);
	add_delegations(json, ash_keys_role(publication->keys, ASH_ROLE_WORKLOADS));
	json_builder_end_object(json);
	if (!sign(publication, ASH_ROLE_TARGETS, json, &bytes, error))
		return FALSE;
	if (g_bytes_get_size(bytes) > ASH_SIGNING_MAX_BYTES)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"the list of releases has grown beyond what hosts read");
	if (!write_version(publication, ASH_ROLE_TARGETS, version, bytes, error))
		return FALSE;
	publication->published.targets = version;
	publication->targets_left_s = life_s;
	g_clear_pointer(&publication->targets_bytes, g_bytes_unref);
	publication->targets_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

static gboolean write_workloads(AshPublication *publication, int64_t life_s, GError **error)
{
	ASH_PREFIX("writing the workloads metadata");
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *expires = ash_signing_time(life_s);
	g_autoptr(GBytes) bytes = NULL;
	uint64_t version = 0;

	if (!next_version(publication, "workloads", &version, error))
		return FALSE;
	ash_signing_begin(json, "targets", version, expires);
	ash_json_begin_object(json, "targets");
	for (guint i = 0; i < publication->workloads->len; i++)
		if (!add_target(json, publication->workloads->pdata[i], error))
			return FALSE;
	json_builder_end_object(json);
	ash_json_begin_array(json, "withdrawn");
	for (guint i = 0; i < publication->withdrawn->len; i++)
		json_builder_add_string_value(json, publication->withdrawn->pdata[i]);
	json_builder_end_array(json);
	json_builder_end_object(json);
	if (!sign(publication, ASH_ROLE_WORKLOADS, json, &bytes, error))
		return FALSE;
	if (g_bytes_get_size(bytes) > ASH_SIGNING_MAX_BYTES)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_VERSION,
				"the list of workloads has grown beyond what hosts read");
	if (!write_version(publication, ASH_ROLE_WORKLOADS, version, bytes, error))
		return FALSE;
	publication->published.workloads = version;
	publication->workloads_left_s = life_s;
	g_clear_pointer(&publication->workloads_bytes, g_bytes_unref);
	publication->workloads_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

/* ---- snapshot and timestamp ---------------------------------------------------------------------- */

static void add_meta(JsonBuilder *json, const char *file, uint64_t version, GBytes *bytes)
{
	g_autofree char *sha256 =
			ash_sha256_hex(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));

	ash_json_begin_object(json, file);
	ash_json_add_uint(json, "version", version);
	ash_json_add_uint(json, "length", g_bytes_get_size(bytes));
	ash_json_begin_object(json, "hashes");
	ash_json_add_text(json, "sha256", sha256);
	json_builder_end_object(json);
	json_builder_end_object(json);
}

static gboolean write_snapshot(
		AshPublication *publication, int64_t life_s, GBytes **out_bytes, GError **error)
{
	ASH_PREFIX("writing the snapshot");
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *expires = ash_signing_time(life_s);
	g_autoptr(GBytes) bytes = NULL;
	uint64_t version = 0;

	if (!next_version(publication, "snapshot", &version, error))
		return FALSE;
	ash_signing_begin(json, "snapshot", version, expires);
	ash_json_begin_object(json, "meta");
	add_meta(json, "targets.json", publication->published.targets, publication->targets_bytes);
	add_meta(json, "workloads.json", publication->published.workloads,
			publication->workloads_bytes);
	json_builder_end_object(json);
	json_builder_end_object(json);
	if (!sign(publication, ASH_ROLE_SNAPSHOT, json, &bytes, error) ||
			!write_version(publication, ASH_ROLE_SNAPSHOT, version, bytes, error))
		return FALSE;
	publication->published.snapshot = version;
	*out_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

static gboolean make_timestamp(AshPublication *publication, int64_t life_s, GBytes *snapshot,
		GBytes **out_bytes, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();
	g_autofree char *expires = ash_signing_time(life_s);

	ash_signing_begin(json, "timestamp", publication->published.timestamp + 1, expires);
	ash_json_begin_object(json, "meta");
	add_meta(json, "snapshot.json", publication->published.snapshot, snapshot);
	json_builder_end_object(json);
	json_builder_end_object(json);
	return sign(publication, ASH_ROLE_TIMESTAMP, json, out_bytes, error);
}

/* The newest first: a reader asks for the next version only, so it sees all the new ones or none. */
static gboolean write_roots(AshPublication *publication, GError **error)
{
	const GPtrArray *roots = ash_keys_roots(publication->keys);

	for (uint64_t version = roots->len; version > publication->roots; version--) {
		const AshRoot *root = roots->pdata[version - 1];
		if (!write_version(publication, ASH_ROLE_ROOT, version, root->bytes, error))
			return FALSE;
	}
	publication->roots = roots->len;
	return TRUE;
}

/* What is renewed because half of its life is over. Hosts go on without workloads' metadata, so that only
 * the targets' end stops everything.
 */
static gboolean choose_renewals(AshPublication *publication,
		const AshPublicationLifetimes *lifetimes, bool *out_is_late, GError **error)
{
	const int64_t least_s = lifetimes->targets_s / TARGETS_LATE_PART;
	const struct {
		AshRole role;
		int64_t left_s;
		bool *needs;
	} parts[] = {
			{ASH_ROLE_TARGETS, publication->targets_left_s,
					&publication->needs_targets},
			{ASH_ROLE_WORKLOADS, publication->workloads_left_s,
					&publication->needs_workloads},
	};
	bool is_late = false;

	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		if (publication->published.targets == 0 || *parts[i].needs ||
				parts[i].left_s >= least_s)
			continue;
		*parts[i].needs = ash_keys_has(publication->keys, parts[i].role);
		is_late = is_late || !*parts[i].needs;
	}
	if (!publication->needs_targets && publication->published.targets > 0 &&
			publication->targets_left_s <= 0)
		return ash_throw(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_EXPIRED,
				"the list of releases has expired, and the key of the role targets, "
				"which could renew it, is not here");
	*out_is_late = is_late;
	return TRUE;
}

gboolean ash_publication_save(AshPublication *publication, const AshPublicationLifetimes *lifetimes,
		bool *out_is_late, GError **error)
{
	ASH_PREFIX("publishing to '%s'", publication->dir);
	g_autoptr(GBytes) snapshot = NULL;
	g_autoptr(GBytes) timestamp = NULL;
	bool is_first = publication->published.timestamp == 0;

	/* Until timestamp.json is replaced nobody is led to any of this. Documents, deltas and objects
	 * were written before.
	 */
	if (!choose_renewals(publication, lifetimes, out_is_late, error) ||
			(publication->needs_targets &&
					!write_targets(publication, lifetimes->targets_s, error)) ||
			(publication->needs_workloads &&
					!write_workloads(publication, lifetimes->targets_s,
							error)) ||
			!write_snapshot(publication, lifetimes->snapshot_s, &snapshot, error) ||
			!make_timestamp(publication, lifetimes->timestamp_s, snapshot, &timestamp,
					error) ||
			(is_first && !write_roots(publication, error)))
		return FALSE;
	if (syncfs(publication->fd) < 0)
		return ash_throw_errno(error, "syncfs");
	/* From here on readers see the new state, which the keys of the old root signed as well; */
	if (!write_metadata(publication, "metadata/timestamp.json", timestamp, error))
		return FALSE;
	publication->published.timestamp++;
	publication->needs_targets = false;
	publication->needs_workloads = false;
	/* and then the next roots, whose keys signed it too. */
	return write_roots(publication, error);
}
