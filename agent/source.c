/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "agent/staging.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/tuf.h"
#include "lib/workload-target.h"

enum {
	METADATA_DEPTH = ASH_TUF_MAX_DEPTH,
};

char *ash_source_uri(const AshSource *source, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *path = g_strdup_vprintf(format, args);
	va_end(args);
	g_autofree char *escaped = g_uri_escape_string(path, "/", FALSE);
	return g_strconcat(source->order->url, "/", escaped, NULL);
}

/* ---- metadata -------------------------------------------------------------------------------- */

static gboolean save(const AshSource *source, const char *dir, const char *name, GBytes *bytes,
		GError **error)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *parent = g_path_get_dirname(path);

	return ash_staging_check_space(source->staging_fd, g_bytes_get_size(bytes), error) &&
	       ash_file_ensure_dir(source->staging_fd, parent, 0755, error) &&
	       ash_file_replace(source->staging_fd, path, g_bytes_get_data(bytes, NULL),
			       g_bytes_get_size(bytes), 0644, error);
}

/* AshTufFetch. Kept before it is verified: the verifier is to see, and to name, what is wrong. */
static gboolean fetch_metadata(const char *name, size_t max_bytes, gpointer data,
		GBytes **out_bytes, GError **error)
{
	const AshSource *source = data;
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_staging_is_path(name) || strchr(name, '/') != NULL)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
				"no metadata file can be called '%s'", name);
	g_autofree char *uri = ash_source_uri(source, "metadata/%s", name);
	if (!ash_fetch_session_bytes(source->session, uri, max_bytes, &bytes, &local)) {
		if (g_error_matches(local, ASH_FETCH_ERROR, ASH_FETCH_ERROR_GONE))
			return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_FETCH_NOT_FOUND, "%s",
					local->message);
		if (g_error_matches(local, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TOO_BIG))
			return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_TOO_BIG, "%s",
					local->message);
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	if (!save(source, "metadata", name, bytes, error))
		return FALSE;
	*out_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

static gboolean root_version(GBytes *root, uint64_t *out_version, GError **error)
{
	g_autoptr(JsonNode) node = NULL;
	JsonObject *signed_part = NULL;

	if (!ash_json_parse(root, ASH_TUF_MAX_ROOT_BYTES, METADATA_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX, "not an object");
	return ash_json_object(json_node_get_object(node), "signed", &signed_part, error) &&
	       ash_json_uint(signed_part, "version", G_MAXINT32, out_version, error);
}

/* Follows the image's root as the worker does (agent/verify.h). What is damaged here is begun again:
 * nothing is lost but a few downloads, because it is the worker's memory that counts.
 */
static gboolean open_trust(const AshSource *source, GBytes *root, AshTuf **out_tuf, GError **error)
{
	g_autofree char *dir = g_build_filename(source->staging, "tuf", NULL);
	g_autoptr(GError) local = NULL;

	if (ash_tuf_init(dir, root, &local) &&
			ash_tuf_open(dir, source->order->now_s, out_tuf, &local))
		return TRUE;
	g_debug("beginning again: %s", local->message);
	return ash_file_remove_tree(source->staging_fd, "tuf", error) &&
	       ash_tuf_init(dir, root, error) &&
	       ash_tuf_open(dir, source->order->now_s, out_tuf, error);
}

static bool has_file(const AshSource *source, const char *path)
{
	bool is_there = false;

	return ash_file_exists(source->staging_fd, path, &is_there, NULL) && is_there;
}

/* The verifier may be behind: the roots that this program passed long ago. */
static gboolean fetch_root_chain(AshSource *source, uint64_t from, uint64_t to, GError **error)
{
	to = MIN(to, from + ASH_TUF_MAX_ROOT_STEPS);
	for (uint64_t version = from + 1; version <= to; version++) {
		g_autofree char *name = g_strdup_printf("%" G_GUINT64_FORMAT ".root.json", version);
		g_autofree char *path = g_strconcat("metadata/", name, NULL);
		g_autoptr(GBytes) bytes = NULL;
		if (!has_file(source, path) && !fetch_metadata(name, ASH_TUF_MAX_ROOT_BYTES, source,
							       &bytes, error))
			return FALSE;
	}
	return TRUE;
}

/* A role that did not change is not fetched again, but must lie there for the verifier. Which of its two
 * names is asked for depends on the root; a file too many does no harm.
 */
static gboolean serve_role(
		const AshSource *source, const char *role, uint64_t version, GError **error)
{
	g_autofree char *plain = g_strconcat(role, ".json", NULL);
	g_autofree char *numbered = g_strdup_printf("%" G_GUINT64_FORMAT ".%s", version, plain);
	g_autofree char *numbered_path = g_strconcat("metadata/", numbered, NULL);
	g_autofree char *trusted = g_strconcat("tuf/", plain, NULL);
	g_autoptr(GBytes) bytes = NULL;

	if (has_file(source, numbered_path))
		return TRUE;
	if (!ash_staging_read(
			    source->staging_fd, trusted, ASH_TUF_MAX_TARGETS_BYTES, &bytes, error))
		return FALSE;
	/* Always: after an answer that was older than what is trusted, the older one lies there. */
	if (g_str_equal(role, "timestamp"))
		return save(source, "metadata", plain, bytes, error);
	return save(source, "metadata", plain, bytes, error) &&
	       save(source, "metadata", numbered, bytes, error);
}

typedef struct {
	uint64_t root_from, workloads;
	AshTufInfo info;
} KeptMetadata;

static bool keeps_metadata(const char *name, gconstpointer data)
{
	const KeptMetadata *kept = data;
	char *end = NULL;
	uint64_t version = g_ascii_strtoull(name, &end, 10);

	if (g_str_equal(name, "timestamp.json") || g_str_equal(name, "snapshot.json") ||
			g_str_equal(name, "targets.json") || g_str_equal(name, "workloads.json"))
		return true;
	if (g_str_equal(end, ".root.json"))
		return version > kept->root_from && version <= kept->info.root_version;
	if (g_str_equal(end, ".snapshot.json"))
		return version == kept->info.snapshot_version;
	if (g_str_equal(end, ".workloads.json"))
		return version == kept->workloads;
	return g_str_equal(end, ".targets.json") && version == kept->info.targets_version;
}

static gboolean refresh(AshSource *source, KeptMetadata *out_kept, AshTuf **out_tuf, GError **error)
{
	g_autoptr(GBytes) root = NULL;
	g_autoptr(AshTuf) tuf = NULL;
	uint64_t from = source->order->root_version;
	AshTufInfo info;

	if (!ash_file_read(AT_FDCWD, source->root_json, ASH_TUF_MAX_ROOT_BYTES, &root, error) ||
			(from == 0 && !root_version(root, &from, error)) ||
			!open_trust(source, root, &tuf, error))
		return FALSE;
	ash_tuf_get_info(tuf, &info);
	if (!fetch_root_chain(source, from, info.root_version, error) ||
			!ash_tuf_refresh(tuf, fetch_metadata, source, error))
		return FALSE;
	ash_tuf_get_info(tuf, &info);
	if (!serve_role(source, "timestamp", info.timestamp_version, error) ||
			!serve_role(source, "snapshot", info.snapshot_version, error) ||
			!serve_role(source, "targets", info.targets_version, error))
		return FALSE;
	*out_kept = (KeptMetadata){.root_from = from, .info = info};
	*out_tuf = g_steal_pointer(&tuf);
	return TRUE;
}

/* ---- documents ------------------------------------------------------------------------------- */

typedef struct {
	GPtrArray *targets; /* AshTufTarget; owned by who listed them */
	GPtrArray *entries; /* AshTargetEntry: the same index */
} Candidates;

static void find_candidates(const AshOrder *order, GPtrArray *listed, Candidates *out_candidates)
{
	const AshTargetHost host = ash_order_host(order);

	out_candidates->targets = g_ptr_array_new();
	out_candidates->entries =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_target_entry_free);
	for (guint i = 0; i < listed->len; i++) {
		AshTufTarget *target = g_ptr_array_index(listed, i);
		AshTargetEntry *entry = ash_target_entry_new(&host, target->path, target->custom);
		if (entry == NULL)
			continue;
		g_ptr_array_add(out_candidates->targets, target);
		g_ptr_array_add(out_candidates->entries, entry);
	}
}

typedef struct {
	GHashTable *locations;
} Kept;

static gboolean fetch_document(const AshSource *source, const AshTufTarget *target,
		GHashTable *kept, GError **error)
{
	ASH_PREFIX("%s", target->path);
	char *location = ash_tuf_target_location(target);
	g_autofree char *path = g_strconcat("targets/", location, NULL);
	g_autoptr(GBytes) bytes = NULL;

	g_hash_table_add(kept, location);
	if (!ash_staging_is_path(location) || target->bytes > ASH_TARGET_MAX_BYTES)
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_SYNTAX,
				"no document can have that name or size");
	if (ash_staging_read(source->staging_fd, path, target->bytes, &bytes, NULL) &&
			ash_tuf_target_verify(target, bytes, NULL))
		return TRUE;
	g_clear_pointer(&bytes, g_bytes_unref);
	g_autofree char *uri = ash_source_uri(source, "%s", path);
	return ash_fetch_session_bytes(
			       source->session, uri, MAX(target->bytes, 1), &bytes, error) &&
	       ash_tuf_target_verify(target, bytes, error) &&
	       save(source, "targets", location, bytes, error);
}

static bool keeps_listed(const char *path, gconstpointer data)
{
	const Kept *kept = data;

	return g_hash_table_contains(kept->locations, path);
}

static bool keeps_delta_to(const char *name, gconstpointer commit)
{
	return commit != NULL && g_str_has_prefix(name, commit);
}

static bool keeps_none(const char *path, gconstpointer data)
{
	return false;
}

/* What was fetched of other releases goes; of the chosen one, what is there stays. */
static gboolean prune_content(const AshSource *source, const char *commit, GError **error)
{
	if (!ash_staging_prune(source->staging_fd, "deltas", keeps_delta_to, commit, error) ||
			!ash_staging_prune(source->staging_fd, "incoming", keeps_none, NULL, error))
		return FALSE;
	return commit != NULL || ash_file_remove_tree(source->staging_fd, "repo", error);
}

static gboolean fetch_documents(const AshSource *source, const Candidates *candidates,
		GHashTable *kept, GError **error)
{
	const AshTargetHost host = ash_order_host(source->order);
	int chosen = -1;
	bool is_recall = false;
	guint recalls = 0;

	ash_target_choose(&host, candidates->entries, ash_order_is_bad, source->order,
			source->order->wanted, &chosen, &is_recall, NULL);
	/* Sorted by path: later ones are newer, as a rule. */
	for (guint i = candidates->entries->len; i-- > 0;) {
		const AshTargetEntry *entry = g_ptr_array_index(candidates->entries, i);
		bool is_needed = entry->is_recall ? recalls++ < ASH_SOURCE_MAX_RECALLS
						  : (int) i == chosen;
		if (is_needed &&
				!fetch_document(source, candidates->targets->pdata[i], kept, error))
			return FALSE;
	}
	const AshTargetEntry *release =
			chosen >= 0 ? g_ptr_array_index(candidates->entries, chosen) : NULL;
	return ash_staging_prune(
			       source->staging_fd, "targets", keeps_listed, &(Kept){kept}, error) &&
	       prune_content(source, release != NULL ? release->commit : NULL, error);
}

/* ---- workloads ------------------------------------------------------------------------------- */

/* The list of the delegated role, for us and for the verifier. Sets @kept's version of it. */
static gboolean list_workloads(AshSource *source, AshTuf *tuf, KeptMetadata *kept,
		GPtrArray **out_targets, GError **error)
{
	uint64_t version = 0;

	if (!ash_tuf_list_delegated(tuf, "workloads", "workload/", fetch_metadata, source, &version,
			    out_targets, error))
		return FALSE;
	kept->workloads = version;
	return version == 0 || serve_role(source, "workloads", version, error);
}

/* Nothing that is wrong with workloads keeps the host from its own updates; the worker, which looks for
 * these files, says what is missing.
 */
static void fetch_workloads(
		AshSource *source, AshTuf *tuf, KeptMetadata *kept_metadata, GHashTable *kept)
{
	const GPtrArray *wanted = source->order->workloads;
	g_autoptr(GPtrArray) targets = NULL;
	g_autoptr(GError) local = NULL;

	if (wanted->len == 0)
		return;
	if (!list_workloads(source, tuf, kept_metadata, &targets, &local)) {
		g_debug("workloads: %s", local->message);
		return;
	}
	for (guint i = 0; i < wanted->len; i++) {
		const AshOrderWorkload *one = wanted->pdata[i];
		g_autofree char *version = NULL;
		g_autoptr(GError) failed = NULL;
		const AshTufTarget *target = ash_workload_target_choose(
				targets, one->name, one->version, &version);
		if (target != NULL && !fetch_document(source, target, kept, &failed))
			g_debug("%s", failed->message);
	}
}

gboolean ash_source_check(AshSource *source, GError **error)
{
	g_autoptr(GHashTable) kept = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(AshTuf) tuf = NULL;
	g_autoptr(GPtrArray) listed = NULL;
	Candidates candidates = {0};
	KeptMetadata metadata = {0};

	if (!ash_file_ensure_dir(source->staging_fd, "metadata", 0755, error) ||
			!refresh(source, &metadata, &tuf, error) ||
			!ash_tuf_list_targets(tuf, "host/", &listed, error))
		return FALSE;
	fetch_workloads(source, tuf, &metadata, kept);
	if (!ash_staging_prune(source->staging_fd, "metadata", keeps_metadata, &metadata, error))
		return FALSE;
	find_candidates(source->order, listed, &candidates);
	gboolean is_ok = fetch_documents(source, &candidates, kept, error);
	g_ptr_array_unref(candidates.entries);
	g_ptr_array_unref(candidates.targets);
	return is_ok;
}
