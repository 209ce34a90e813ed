/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builder/draft.h"
#include "builder/inventory.h"
#include "builder/publication.h"
#include "builder/repo.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/target.h"

/* What a reader may still be led to: sets of names. */
typedef struct {
	GHashTable *metadata; /* "3.targets.json" */
	GHashTable *targets;  /* "host/NAME/ARCH/HASH.VERSION.json" */
	GHashTable *deltas;   /* "deltas/ab/cdef…", directories */
	GHashTable *commits;
	GHashTable *inventory; /* "COMMIT.spdx.json" */
} Keep;

static GHashTable *new_set(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void clear_keep(Keep *keep)
{
	g_hash_table_unref(keep->metadata);
	g_hash_table_unref(keep->targets);
	g_hash_table_unref(keep->deltas);
	g_hash_table_unref(keep->commits);
	g_hash_table_unref(keep->inventory);
}

static void keep_commit(Keep *keep, const char *commit)
{
	g_hash_table_add(keep->commits, g_strdup(commit));
	ash_inventory_names(commit, keep->inventory);
}

/* Removes what is not in @keep from the directory @path below the publication; @prefix stands before
 * the names in the set. Directories are gone through unless @keep has them.
 */
static gboolean sweep(const AshPublication *publication, const char *path, const char *prefix,
		GHashTable *keep, bool (*is_swept)(const char *name), uint64_t *bytes,
		GError **error)
{
	int fd = openat(publication->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	g_autoptr(AshDir) dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL && errno == ENOENT)
		return TRUE;
	if (dir == NULL)
		return ash_throw_errno(error, "%s/%s", publication->dir, path);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		struct stat st;
		g_autofree char *name = g_strconcat(prefix, entry->d_name, NULL);
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
				g_hash_table_contains(keep, name) ||
				fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			g_autofree char *below = g_build_filename(path, entry->d_name, NULL);
			g_autofree char *deeper = g_strconcat(name, "/", NULL);
			if (!sweep(publication, below, deeper, keep, is_swept, bytes, error))
				return FALSE;
			/* Only when it is empty now. */
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
		} else if (is_swept == NULL || is_swept(entry->d_name)) {
			if (unlinkat(dirfd(dir), entry->d_name, 0) < 0)
				return ash_throw_errno(error, "%s", name);
			*bytes += (uint64_t) st.st_size;
		}
	}
	return TRUE;
}

/* Roots and the timestamp stay. */
static bool is_versioned(const char *name)
{
	return g_str_has_suffix(name, ".targets.json") ||
	       g_str_has_suffix(name, ".workloads.json") ||
	       g_str_has_suffix(name, ".snapshot.json");
}

static gboolean keep_release(const AshPublication *publication, const AshPublicationTarget *target,
		Keep *keep, GError **error)
{
	g_autofree char *location = ash_publication_location(target);
	g_autofree char *file = g_build_filename("targets", location, NULL);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshRelease) release = NULL;

	g_hash_table_add(keep->targets, g_steal_pointer(&location));
	if (target->is_recall || *target->commit == '\0')
		return TRUE;
	if (!ash_publication_read(publication, file, &bytes, error) ||
			!ash_release_parse(bytes, &release, error))
		return FALSE;
	keep_commit(keep, release->commit);
	for (guint i = 0; i < release->deltas->len; i++) {
		const AshTargetDelta *delta = release->deltas->pdata[i];
		g_hash_table_add(keep->deltas, g_path_get_dirname(delta->path));
	}
	return TRUE;
}

static void keep_workload(const AshPublicationTarget *target, Keep *keep)
{
	g_hash_table_add(keep->targets, ash_publication_location(target));
	/* Its image, when that lies here. */
	if (*target->commit != '\0')
		keep_commit(keep, target->commit);
}

static gboolean keep_targets(const AshPublication *publication, uint64_t version, const char *role,
		Keep *keep, GError **error)
{
	bool is_workloads = strcmp(role, "workloads") == 0;
	g_autofree char *name = ash_publication_metadata(version, role);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GPtrArray) targets = NULL;
	JsonObject *object;
	uint64_t found = 0;

	if (!ash_publication_read(publication, name, &bytes, error) ||
			!ash_signing_parse(bytes, "targets", &node, &object, &found, error) ||
			!ash_publication_parse_targets(object, &targets, error))
		return FALSE;
	for (guint i = 0; i < targets->len; i++) {
		if (is_workloads)
			keep_workload(targets->pdata[i], keep);
		else if (!keep_release(publication, targets->pdata[i], keep, error))
			return FALSE;
	}
	return TRUE;
}

/* Snapshot @version with what it names; one that is not there is no failure. */
static gboolean keep_snapshot(
		const AshPublication *publication, uint64_t version, Keep *keep, GError **error)
{
	static const char *const roles[] = {"targets", "workloads"};
	g_autofree char *name = ash_publication_metadata(version, "snapshot");
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object;
	uint64_t found = 0;
	bool exists = false;

	if (!ash_file_exists(publication->fd, name, &exists, error))
		return FALSE;
	if (!exists)
		return TRUE;
	if (!ash_publication_read(publication, name, &bytes, error) ||
			!ash_signing_parse(bytes, "snapshot", &node, &object, &found, error))
		return FALSE;
	g_hash_table_add(keep->metadata, g_path_get_basename(name));
	for (size_t i = 0; i < G_N_ELEMENTS(roles); i++) {
		g_autofree char *file = g_strconcat(roles[i], ".json", NULL);
		const char *sha256 = NULL;
		if (!ash_publication_read_meta(object, file, &found, &sha256, error))
			return FALSE;
		g_autofree char *path = ash_publication_metadata(found, roles[i]);
		if (g_hash_table_add(keep->metadata, g_path_get_basename(path)) &&
				!keep_targets(publication, found, roles[i], keep, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean keep_drafts(const AshPublication *publication, Keep *keep, GError **error)
{
	g_autoptr(GPtrArray) drafts = NULL;
	g_autoptr(GPtrArray) workloads = NULL;

	if (!ash_draft_list(publication, &drafts, error) ||
			!ash_draft_list_workloads(publication, &workloads, error))
		return FALSE;
	for (guint i = 0; i < workloads->len; i++) {
		const AshWorkload *workload = workloads->pdata[i];
		if (workload->image.kind == ASH_WORKLOAD_IMAGE_OSTREE)
			keep_commit(keep, workload->image.digest);
	}
	for (guint i = 0; i < drafts->len; i++) {
		const AshRelease *draft = drafts->pdata[i];
		keep_commit(keep, draft->commit);
	}
	return TRUE;
}

static gboolean drop_refs(AshRepo *archive, GHashTable *refs, const Keep *keep, GError **error)
{
	GHashTableIter iter;
	gpointer ref, commit;

	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, &ref, &commit))
		if (!g_hash_table_contains(keep->commits, commit) &&
				!ash_repo_set_ref(archive, ref, NULL, error))
			return FALSE;
	return TRUE;
}

static gboolean prune_repo(const AshPublication *publication, const Keep *keep, uint64_t *bytes,
		GError **error)
{
	g_autofree char *path = ash_publication_repo(publication);
	g_autoptr(AshRepo) archive = NULL;
	g_autoptr(GHashTable) refs = NULL;
	g_autoptr(GHashTable) workload_refs = NULL;
	uint64_t freed = 0;
	bool exists = false;

	if (!ash_file_exists(publication->fd, "repo", &exists, error))
		return FALSE;
	if (!exists)
		return TRUE;
	if (!ash_repo_open_archive(path, false, &archive, error) ||
			!ash_repo_list_refs(archive, "host/", &refs, error) ||
			!ash_repo_list_refs(archive, "workload/", &workload_refs, error) ||
			!drop_refs(archive, refs, keep, error) ||
			!drop_refs(archive, workload_refs, keep, error))
		return FALSE;
	if (!sweep(publication, "repo/deltas", "deltas/", keep->deltas, NULL, bytes, error) ||
			!ash_repo_prune(archive, &freed, error) ||
			!ash_repo_write_summary(archive, error))
		return FALSE;
	*bytes += freed;
	return TRUE;
}

gboolean ash_publication_prune(AshPublication *publication, unsigned keep_count,
		uint64_t *out_bytes, GError **error)
{
	ASH_PREFIX("pruning '%s'", publication->dir);
	Keep keep = {new_set(), new_set(), new_set(), new_set(), new_set()};
	uint64_t newest = publication->published.snapshot;
	uint64_t oldest = newest > keep_count ? newest - keep_count + 1 : 1;
	uint64_t bytes = 0;
	gboolean ok = TRUE;

	for (uint64_t version = newest; ok && version >= oldest; version--)
		ok = keep_snapshot(publication, version, &keep, error);
	/* What names goes before what is named. */
	ok = ok && keep_drafts(publication, &keep, error) &&
	     sweep(publication, "metadata", "", keep.metadata, is_versioned, &bytes, error) &&
	     sweep(publication, "targets", "", keep.targets, NULL, &bytes, error) &&
	     sweep(publication, "sbom", "", keep.inventory, NULL, &bytes, error) &&
	     prune_repo(publication, &keep, &bytes, error);
	clear_keep(&keep);
	if (ok)
		*out_bytes = bytes;
	return ok;
}
