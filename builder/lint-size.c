/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/lint.h"
#include "builder/package.h"

typedef struct {
	const AshTree *tree;
	GHashTable *owned; /* path → AshLintSize, the first package that brought it */
	AshLintSize *size; /* of the package being read */
} Packages;

static void size_free(AshLintSize *size)
{
	g_free(size->name);
	g_free(size);
}

static AshLintSize *add_size(GPtrArray *sizes, const char *name)
{
	AshLintSize *size = g_new0(AshLintSize, 1);

	size->name = g_strdup(name);
	g_ptr_array_add(sizes, size);
	return size;
}

static int compare_bytes(gconstpointer a, gconstpointer b)
{
	const AshLintSize *x = *(AshLintSize *const *) a, *y = *(AshLintSize *const *) b;

	return x->bytes != y->bytes ? (x->bytes < y->bytes) - (x->bytes > y->bytes)
				    : strcmp(x->name, y->name);
}

static int compare_growth(gconstpointer a, gconstpointer b)
{
	const AshLintSize *x = *(AshLintSize *const *) a, *y = *(AshLintSize *const *) b;
	int64_t dx = (int64_t) (x->bytes - x->old_bytes);
	int64_t dy = (int64_t) (y->bytes - y->old_bytes);

	return dx != dy ? (dx < dy) - (dx > dy) : strcmp(x->name, y->name);
}

void ash_lint_sort_by_growth(GPtrArray *sizes)
{
	g_ptr_array_sort(sizes, compare_growth);
}

/* ---- by package ------------------------------------------------------------------------------ */

/* Where layout.c has put what a package brings to @path (of merged /usr). */
static char *moved(const char *path)
{
	static const struct {
		const char *from;
		const char *to;
	} moves[] = {
			{"/bin/", "/usr/bin/"},
			{"/sbin/", "/usr/sbin/"},
			{"/lib/", "/usr/lib/"},
			{"/lib64/", "/usr/lib64/"},
			{"/etc/", "/usr/etc/"},
			{"/opt/", "/usr/lib/opt/"},
			{"/var/", "/usr/share/factory/var/"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(moves); i++)
		if (g_str_has_prefix(path, moves[i].from))
			return g_strconcat(moves[i].to, path + strlen(moves[i].from), NULL);
	if (g_str_has_prefix(path, "/boot/vmlinuz-"))
		return g_strdup_printf(
				"/usr/lib/modules/%s/vmlinuz", path + strlen("/boot/vmlinuz-"));
	return g_strdup(path);
}

static gboolean own_file(const char *path, AshNode *node, gpointer data, GError **error)
{
	Packages *packages = data;

	if (node->kind != ASH_NODE_FILE || !g_str_has_prefix(path, "/data/"))
		return TRUE;
	g_autofree char *there = moved(path + strlen("/data"));
	/* builder/kernel.c unpacks modules. */
	if (strstr(there, ".ko.") != NULL && ash_tree_find(packages->tree, there) == NULL)
		*(strstr(there, ".ko.") + strlen(".ko")) = '\0';
	if (ash_tree_find(packages->tree, there) != NULL &&
			!g_hash_table_contains(packages->owned, there))
		g_hash_table_insert(packages->owned, g_steal_pointer(&there), packages->size);
	return TRUE;
}

static gboolean own_package(AshRepo *cache, const AshCommit *commit, guint index,
		Packages *packages, bool *out_found, GError **error)
{
	g_autofree char *name = g_strdup(ash_commit_package(commit, index, "name"));
	g_autofree char *sha256 = g_strdup(ash_commit_package(commit, index, "sha256"));
	g_autofree char *ref = ash_package_ref(&(AshLockPackage){.name = name, .sha256 = sha256});
	g_autofree char *imported = NULL;
	g_autoptr(AshTree) tree = NULL;

	/* A commit of somebody else's may say anything. */
	*out_found = false;
	if (!g_regex_match_simple("^[a-z0-9][a-z0-9+.-]*$", name, G_REGEX_DOLLAR_ENDONLY, 0) ||
			!g_regex_match_simple("^[0-9a-f]{64}$", sha256, G_REGEX_DOLLAR_ENDONLY, 0))
		return TRUE;
	if (!ash_repo_find_ref(cache, ref, &imported, error))
		return FALSE;
	*out_found = imported != NULL;
	return imported == NULL || (ash_repo_load_tree(cache, imported, &tree, error) &&
						   ash_tree_walk(tree, own_file, packages, error));
}

static gboolean count_file(const char *path, AshNode *node, gpointer data, GError **error)
{
	Packages *packages = data;

	if (node->kind == ASH_NODE_FILE) {
		AshLintSize *size = g_hash_table_lookup(packages->owned, path);
		size = size != NULL ? size : packages->size;
		size->bytes += node->size;
		size->files++;
	}
	return TRUE;
}

gboolean ash_lint_sizes_by_package(AshRepo *cache, const AshCommit *commit, const AshTree *tree,
		GPtrArray **out_sizes, unsigned *out_unknown, GError **error)
{
	g_autoptr(GPtrArray) sizes = g_ptr_array_new_with_free_func((GDestroyNotify) size_free);
	g_autoptr(GHashTable) owned = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	Packages packages = {.tree = tree, .owned = owned};
	unsigned unknown = 0;

	for (guint i = 0; i < commit->packages->len; i++) {
		bool is_found = false;
		packages.size = add_size(sizes, ash_commit_package(commit, i, "name"));
		if (!own_package(cache, commit, i, &packages, &is_found, error))
			return FALSE;
		unknown += !is_found;
	}
	packages.size = add_size(sizes, "(made by the build)");
	if (!ash_tree_walk(tree, count_file, &packages, error))
		return FALSE;
	g_ptr_array_sort(sizes, compare_bytes);
	*out_sizes = g_steal_pointer(&sizes);
	*out_unknown = unknown;
	return TRUE;
}

/* ---- by directory ---------------------------------------------------------------------------- */

typedef struct {
	GPtrArray *sizes;
	GHashTable *by_name; /* borrowed from sizes */
	bool is_old;
} Directories;

/* "/usr/lib/systemd" of "/usr/lib/systemd/system/x.service" */
static char *directory_of(const char *path)
{
	unsigned depth =
			g_str_has_prefix(path, "/usr/lib/") || g_str_has_prefix(path, "/usr/share/")
					? 3
					: 2;
	const char *end = path, *last = strrchr(path, '/');

	for (unsigned i = 0; i < depth && end < last; i++)
		end = strchr(end + 1, '/');
	return end == path ? g_strdup("/") : g_strndup(path, (gsize) (end - path));
}

static gboolean add_file(const char *path, AshNode *node, gpointer data, GError **error)
{
	Directories *directories = data;

	if (node->kind != ASH_NODE_FILE)
		return TRUE;
	g_autofree char *name = directory_of(path);
	AshLintSize *size = g_hash_table_lookup(directories->by_name, name);
	if (size == NULL) {
		size = add_size(directories->sizes, name);
		g_hash_table_insert(directories->by_name, size->name, size);
	}
	if (directories->is_old) {
		size->old_bytes += node->size;
	} else {
		size->bytes += node->size;
		size->files++;
	}
	return TRUE;
}

GPtrArray *ash_lint_sizes_by_directory(const AshTree *tree, const AshTree *old)
{
	g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
	Directories directories = {
			.sizes = g_ptr_array_new_with_free_func((GDestroyNotify) size_free),
			.by_name = by_name,
	};
	gboolean is_walked = ash_tree_walk(tree, add_file, &directories, NULL);

	directories.is_old = true;
	if (old != NULL)
		is_walked = ash_tree_walk(old, add_file, &directories, NULL) && is_walked;
	g_assert(is_walked);
	g_ptr_array_sort(directories.sizes, compare_bytes);
	return directories.sizes;
}
