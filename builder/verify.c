/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "builder/build.h"
#include "builder/import.h"
#include "builder/tree.h"
#include "lib/error.h"
#include "lib/file.h"

void ash_verify_result_clear(AshVerifyResult *result)
{
	g_clear_pointer(&result->expected, g_free);
	g_clear_pointer(&result->rebuilt, g_free);
	g_clear_pointer(&result->differing, g_ptr_array_unref);
}

/* Links the .debs that the cache has into the empty one; what it lacks is downloaded again. */
static gboolean share_debs(
		const AshCache *from, const AshCache *to, const AshLock *lock, GError **error)
{
	for (guint i = 0; i < lock->packages->len; i++) {
		g_autofree char *source = ash_import_deb_path(from, lock->packages->pdata[i]);
		g_autofree char *dest = ash_import_deb_path(to, lock->packages->pdata[i]);
		if (link(source, dest) < 0 && errno != ENOENT && errno != EEXIST)
			return ash_throw_errno(error, "link(%s)", source);
	}
	return TRUE;
}

static const char *difference(const AshNode *a, const AshNode *b)
{
	if (a == NULL)
		return "only in the rebuilt tree";
	if (b == NULL)
		return "only in the expected tree";
	if (a->kind != b->kind)
		return "another kind of file";
	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
		return "mode or owner";
	if (a->kind == ASH_NODE_LINK)
		return "target";
	if ((a->xattrs == NULL) != (b->xattrs == NULL) ||
			(a->xattrs != NULL && !g_variant_equal(a->xattrs, b->xattrs)))
		return "extended attributes";
	return "content";
}

static void compare(const AshNode *a, const AshNode *b, GString *path, GPtrArray *differing)
{
	if (differing->len >= ASH_VERIFY_MAX_PATHS)
		return;
	if (a == NULL || b == NULL || !ash_node_equal(a, b))
		g_ptr_array_add(differing,
				g_strdup_printf("%s: %s", path->len > 0 ? path->str : "/",
						difference(a, b)));
	if (a == NULL || b == NULL || a->kind != ASH_NODE_DIR || b->kind != ASH_NODE_DIR)
		return;
	g_autoptr(GPtrArray) ours = ash_node_sorted_names(a);
	g_autoptr(GPtrArray) theirs = ash_node_sorted_names(b);
	gsize len = path->len;
	for (guint i = 0, j = 0; i < ours->len || j < theirs->len;) {
		int order = i >= ours->len     ? 1
			    : j >= theirs->len ? -1
					       : strcmp(ours->pdata[i], theirs->pdata[j]);
		const char *name = order <= 0 ? ours->pdata[i] : theirs->pdata[j];
		g_string_append_c(path, '/');
		g_string_append(path, name);
		compare(ash_node_child(a, name), ash_node_child(b, name), path, differing);
		g_string_truncate(path, len);
		i += order <= 0;
		j += order >= 0;
	}
}

static gboolean compare_commits(AshRepo *repo, const char *expected, AshRepo *rebuilt_repo,
		const char *rebuilt, GPtrArray *differing, GError **error)
{
	g_autoptr(AshTree) a = NULL;
	g_autoptr(AshTree) b = NULL;
	g_autoptr(GString) path = g_string_new("");

	if (!ash_repo_load_tree(repo, expected, &a, error) ||
			!ash_repo_load_tree(rebuilt_repo, rebuilt, &b, error))
		return FALSE;
	compare(a->root, b->root, path, differing);
	if (differing->len == 0)
		g_ptr_array_add(differing,
				g_strdup("the metadata of the commit (name, version, packages, time)"));
	return TRUE;
}

gboolean ash_verify(AshCache *cache, AshRepo *repo, const char *rev, const AshManifest *manifest,
		const AshLock *lock, AshProgress *progress, AshVerifyResult *result, GError **error)
{
	g_auto(AshVerifyResult) made = {.differing = g_ptr_array_new_with_free_func(g_free)};
	g_auto(AshBuildResult) build = {0};
	g_autoptr(AshTempDir) scratch = NULL;
	g_autoptr(AshCache) clean = NULL;
	g_autoptr(AshRepo) rebuilt = NULL;
	const AshBuildOptions options = {.is_fresh = true};

	if (!ash_repo_resolve(repo, rev, &made.expected, error) ||
			!ash_cache_make_scratch(cache, "verify", &scratch, error))
		return FALSE;
	g_autofree char *clean_dir = g_build_filename(scratch->path, "cache", NULL);
	g_autofree char *repo_path = g_build_filename(scratch->path, "repo", NULL);
	if (!ash_cache_open(clean_dir, ASH_CACHE_SHARED, progress, &clean, error) ||
			!share_debs(cache, clean, lock, error) ||
			!ash_repo_open(repo_path, true, &rebuilt, error) ||
			!ash_build(clean, rebuilt, manifest, lock, &options, progress, &build,
					error))
		return FALSE;
	made.rebuilt = g_strdup(build.commit);
	if (strcmp(made.expected, made.rebuilt) != 0 &&
			!compare_commits(repo, made.expected, rebuilt, made.rebuilt, made.differing,
					error))
		return FALSE;
	*result = made;
	made = (AshVerifyResult){0};
	return TRUE;
}
