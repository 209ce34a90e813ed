/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/cache-content.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builder/repo.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/interrupt.h"

static const char *const dirs[] = {"repo", "debs", "index", "scratch"};

static void fts_done(FTS *fts)
{
	fts_close(fts);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FTS, fts_done)

static void part_free(AshCachePart *part)
{
	g_free(part->name);
	g_free(part);
}

static AshCachePart *add_part(GPtrArray *parts, const char *name)
{
	AshCachePart *part = g_new0(AshCachePart, 1);

	part->name = g_strdup(name);
	g_ptr_array_add(parts, part);
	return part;
}

/* Files below @path and the blocks of all of it. What vanishes meanwhile is not counted. */
static gboolean measure_dir(const char *path, AshCachePart *part, GError **error)
{
	g_autofree char *copy = g_strdup(path);
	char *const paths[] = {copy, NULL};
	g_autoptr(FTS) fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);

	if (fts == NULL)
		return ash_throw_errno(error, "reading '%s'", path);
	for (FTSENT *entry = fts_read(fts); entry != NULL; entry = fts_read(fts)) {
		if (entry->fts_info == FTS_DP || entry->fts_info == FTS_NS ||
				entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
			continue;
		part->bytes += (uint64_t) entry->fts_statp->st_blocks * 512;
		part->count += entry->fts_info != FTS_D;
		if (!ash_interrupt_check(error))
			return FALSE;
	}
	part->has_bytes = true;
	return TRUE;
}

/* "deb" of "deb/bash/…", "stage/kernel" of "stage/kernel/…" */
static char *ref_kind(const char *ref)
{
	const char *slash = strchr(ref, '/');

	if (slash != NULL && g_str_has_prefix(ref, "stage/"))
		slash = strchr(slash + 1, '/');
	return slash != NULL ? g_strndup(ref, (gsize) (slash - ref)) : g_strdup(ref);
}

static int compare_parts(gconstpointer a, gconstpointer b)
{
	return strcmp((*(AshCachePart *const *) a)->name, (*(AshCachePart *const *) b)->name);
}

static gboolean count_refs(const char *path, GPtrArray *parts, GError **error)
{
	g_autoptr(AshRepo) repo = NULL;
	g_autoptr(GHashTable) refs = NULL;
	g_autoptr(GHashTable) kinds = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GPtrArray) found = g_ptr_array_new();
	GHashTableIter iter;
	gpointer ref;

	if (!ash_repo_open(path, false, &repo, error) ||
			!ash_repo_list_refs(repo, "", &refs, error))
		return FALSE;
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, &ref, NULL)) {
		g_autofree char *kind = ref_kind(ref);
		g_autofree char *name = g_strconcat("repo ", kind, NULL);
		AshCachePart *part = g_hash_table_lookup(kinds, name);
		if (part == NULL) {
			part = g_new0(AshCachePart, 1);
			part->name = g_steal_pointer(&name);
			g_hash_table_insert(kinds, part->name, part);
			g_ptr_array_add(found, part);
		}
		part->count++;
	}
	g_ptr_array_sort(found, compare_parts);
	for (guint i = 0; i < found->len; i++)
		g_ptr_array_add(parts, found->pdata[i]);
	return TRUE;
}

gboolean ash_cache_measure(const char *dir, GPtrArray **out_parts, GError **error)
{
	g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func((GDestroyNotify) part_free);

	for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++) {
		g_autofree char *path = g_build_filename(dir, dirs[i], NULL);
		if (!g_file_test(path, G_FILE_TEST_IS_DIR))
			continue;
		if (!measure_dir(path, add_part(parts, dirs[i]), error))
			return FALSE;
		if (strcmp(dirs[i], "repo") == 0 && !count_refs(path, parts, error))
			return FALSE;
	}
	*out_parts = g_steal_pointer(&parts);
	return TRUE;
}

static gboolean measure_all(const AshCache *cache, uint64_t *out_bytes, GError **error)
{
	AshCachePart all = {0};

	if (!measure_dir(ash_cache_dir(cache), &all, error))
		return FALSE;
	*out_bytes = all.bytes;
	return TRUE;
}

/* ---- pruning ------------------------------------------------------------------------------------- */

typedef struct {
	char *ref;
	char *kind;
	int64_t used_s;
} Ref;

static void ref_free(Ref *ref)
{
	g_free(ref->ref);
	g_free(ref->kind);
	g_free(ref);
}

/* By kind, the one used last first. */
static int compare_refs(gconstpointer a, gconstpointer b)
{
	const Ref *x = *(Ref *const *) a, *y = *(Ref *const *) b;
	int order = strcmp(x->kind, y->kind);

	if (order == 0)
		order = (x->used_s < y->used_s) - (x->used_s > y->used_s);
	return order != 0 ? order : strcmp(x->ref, y->ref);
}

/* When a build last used it: builder/cache.h's marks are the times of these files. */
static int64_t used_s(const char *path, int64_t otherwise)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mtime : otherwise;
}

static gboolean list_refs(
		AshRepo *repo, const AshCachePrune *options, GPtrArray **out_refs, GError **error)
{
	g_autoptr(GHashTable) table = NULL;
	GPtrArray *refs;
	GHashTableIter iter;
	gpointer name;

	if (!ash_repo_list_refs(repo, "", &table, error))
		return FALSE;
	refs = g_ptr_array_new_with_free_func((GDestroyNotify) ref_free);
	g_hash_table_iter_init(&iter, table);
	while (g_hash_table_iter_next(&iter, &name, NULL)) {
		g_autofree char *path =
				g_build_filename(ash_repo_path(repo), "refs/heads", name, NULL);
		Ref *ref = g_new0(Ref, 1);
		ref->ref = g_strdup(name);
		ref->kind = ref_kind(name);
		ref->used_s = used_s(path, options->now_s);
		g_ptr_array_add(refs, ref);
	}
	g_ptr_array_sort(refs, compare_refs);
	*out_refs = refs;
	return TRUE;
}

static bool is_old(int64_t at_s, unsigned days, const AshCachePrune *options)
{
	return at_s < options->now_s - (int64_t) days * 24 * 60 * 60;
}

static gboolean prune_refs(
		AshRepo *repo, const AshCachePrune *options, AshCachePruned *pruned, GError **error)
{
	g_autoptr(GPtrArray) refs = NULL;
	unsigned rank = 0;

	if (!list_refs(repo, options, &refs, error))
		return FALSE;
	for (guint i = 0; i < refs->len; i++) {
		const Ref *ref = refs->pdata[i];
		bool is_stage = g_str_has_prefix(ref->kind, "stage/");
		bool goes = is_old(ref->used_s, options->keep_days, options);
		if (i == 0 || strcmp(ref->kind, ((Ref *) refs->pdata[i - 1])->kind) != 0)
			rank = 0;
		rank++;
		if (is_stage)
			goes = rank > ASH_CACHE_MAX_STAGES ||
			       (goes && rank > ASH_CACHE_KEEP_STAGES);
		if (!goes)
			continue;
		if (!ash_repo_set_ref(repo, ref->ref, NULL, error))
			return FALSE;
		pruned->refs++;
	}
	return TRUE;
}

static gboolean prune_repo(AshCache *cache, const AshCachePrune *options, AshCachePruned *pruned,
		GError **error)
{
	g_autofree char *path = ash_cache_path(cache, "repo");
	g_autoptr(AshRepo) repo = NULL;
	uint64_t bytes = 0;

	if (!g_file_test(path, G_FILE_TEST_IS_DIR))
		return TRUE;
	ASH_PREFIX("pruning '%s' ('ashlar cache prune --all' begins anew)", path);
	return ash_repo_open(path, false, &repo, error) &&
	       prune_refs(repo, options, pruned, error) && ash_repo_prune(repo, &bytes, error);
}

/* Whole ones by their last use, parts of one (of whatever name) after a day. */
static gboolean prune_debs(AshCache *cache, const AshCachePrune *options, AshCachePruned *pruned,
		GError **error)
{
	g_autofree char *path = ash_cache_path(cache, "debs");
	g_autoptr(AshDir) dir = opendir(path);

	if (dir == NULL)
		return ash_throw_errno(error, "opening '%s'", path);
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		g_autofree char *file = g_build_filename(path, entry->d_name, NULL);
		bool is_deb = g_str_has_suffix(entry->d_name, ".deb");
		unsigned days = is_deb ? options->keep_days
				       : MIN(options->keep_days, ASH_CACHE_STALE_DAYS);
		if (*entry->d_name == '.' || !is_old(used_s(file, options->now_s), days, options))
			continue;
		if (unlink(file) < 0)
			return ash_throw_errno(error, "removing '%s'", file);
		pruned->debs += is_deb;
	}
	return TRUE;
}

/* The locks stay: others may be waiting for them. */
static gboolean remove_all(AshCache *cache, GError **error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++) {
		g_autofree char *path = ash_cache_path(cache, dirs[i]);
		if (!ash_file_remove_tree(AT_FDCWD, path, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_cache_prune(AshCache *cache, const AshCachePrune *options, AshCachePruned *out_pruned,
		GError **error)
{
	AshCachePruned pruned = {0};
	uint64_t before = 0, after = 0;

	if (!measure_all(cache, &before, error))
		return FALSE;
	if (options->all ? !remove_all(cache, error)
			 : !prune_repo(cache, options, &pruned, error) ||
							!prune_debs(cache, options, &pruned, error))
		return FALSE;
	if (!measure_all(cache, &after, error))
		return FALSE;
	pruned.bytes = before > after ? before - after : 0;
	*out_pruned = pruned;
	return TRUE;
}
