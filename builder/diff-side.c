/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/commit.h"
#include "builder/diff.h"
#include "builder/lock.h"
#include "lib/error.h"

static void set_field(AshDiffSide *side, const char *key, const char *value)
{
	g_hash_table_insert(side->fields, g_strdup(key), g_strdup(value != NULL ? value : ""));
}

static void set_package(AshDiffSide *side, const char *name, const char *arch, const char *own_arch,
		const char *version)
{
	bool is_foreign = own_arch != NULL && *arch != '\0' && strcmp(arch, "all") != 0 &&
			  strcmp(arch, own_arch) != 0;

	g_hash_table_insert(side->packages,
			is_foreign ? g_strconcat(name, ":", arch, NULL) : g_strdup(name),
			g_strdup(version));
}

static gboolean load_lock(AshDiffSide *side, GError **error)
{
	g_autoptr(AshLock) lock = NULL;

	if (!ash_lock_load(side->name, &lock, error))
		return FALSE;
	g_autofree char *digest = ash_lock_digest(lock);
	set_field(side, "architecture", lock->arch);
	set_field(side, "inputs", lock->inputs);
	set_field(side, "lock-digest", digest);
	set_field(side, "suite", lock->suite);
	set_field(side, "variant", lock->variant);
	for (guint i = 0; i < lock->packages->len; i++) {
		const AshLockPackage *package = lock->packages->pdata[i];
		set_package(side, package->name, package->arch, lock->arch, package->version);
	}
	return TRUE;
}

static void take_commit(AshDiffSide *side, const AshCommit *commit)
{
	side->commit = g_strdup(commit->commit);
	set_field(side, "architecture", commit->arch);
	set_field(side, "commit", commit->commit);
	set_field(side, "kernel", commit->kernel_release);
	set_field(side, "kind", commit->kind);
	set_field(side, "lock-digest", commit->lock_digest);
	set_field(side, "manifest-digest", commit->manifest_digest);
	set_field(side, "name", commit->name);
	set_field(side, "suite", commit->suite);
	set_field(side, "variant", commit->variant);
	set_field(side, "version", commit->version);
	for (char **arg = commit->kernel_arguments; *arg != NULL; arg++)
		g_hash_table_insert(side->arguments, g_strdup(*arg), g_strdup(""));
	for (guint i = 0; i < commit->packages->len; i++)
		set_package(side, ash_commit_package(commit, i, "name"),
				ash_commit_package(commit, i, "arch"), commit->arch,
				ash_commit_package(commit, i, "version"));
}

static gboolean load_commit(
		AshDiffSide *side, const char *rev, const char *repo_path, GError **error)
{
	g_autoptr(AshRepo) repo = NULL;
	g_autoptr(AshCommit) commit = NULL;

	if (!g_file_test(repo_path, G_FILE_TEST_IS_DIR))
		return ash_throw(error, ASH_DIFF_ERROR, ASH_DIFF_ERROR_NO_REPOSITORY,
				"'%s' is no file, and there is no repository '%s' in which it could be a commit",
				side->name, repo_path);
	if (!ash_repo_open(repo_path, false, &repo, error) ||
			!ash_commit_load(repo, rev, &commit, error) ||
			!ash_repo_load_tree(repo, commit->commit, &side->tree, error))
		return FALSE;
	take_commit(side, commit);
	return TRUE;
}

static gboolean load_image(AshDiffSide *side, const char *repo_path, GError **error)
{
	g_autofree char *commit = NULL;

	ASH_PREFIX("image '%s'", side->name);
	return ash_diff_read_image(side->name, &commit, error) &&
	       load_commit(side, commit, repo_path, error);
}

gboolean ash_diff_side_load(
		const char *name, const char *repo_path, AshDiffSide **out_side, GError **error)
{
	g_autoptr(AshDiffSide) side = NULL;
	bool is_file = g_file_test(name, G_FILE_TEST_IS_REGULAR);
	gboolean is_loaded;

	if (g_str_has_suffix(name, ".yaml") || g_str_has_suffix(name, ".yml")) {
		side = ash_diff_side_new(ASH_DIFF_MANIFEST, name);
		is_loaded = ash_diff_load_manifest(side, error);
	} else if (g_str_has_suffix(name, ".lock")) {
		side = ash_diff_side_new(ASH_DIFF_LOCK, name);
		is_loaded = load_lock(side, error);
	} else if (is_file) {
		side = ash_diff_side_new(ASH_DIFF_IMAGE, name);
		is_loaded = load_image(side, repo_path, error);
	} else {
		side = ash_diff_side_new(ASH_DIFF_COMMIT, name);
		is_loaded = load_commit(side, name, repo_path, error);
	}
	if (is_loaded)
		*out_side = g_steal_pointer(&side);
	return is_loaded;
}
