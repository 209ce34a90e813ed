/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/deployment.h"
#include "agent/esp.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/interrupt.h"
#include "lib/json.h"

enum {
	MAX_BAD = 100,
	MAX_DEPTH = 128,
};

typedef struct {
	AshOstree *repo;
	int tree_fd;
	GHashTable *known; /* paths of the commit */
	GPtrArray *bad;    /* char * */
} Check;

static void add_bad(Check *check, const char *text)
{
	if (check->bad->len < MAX_BAD)
		g_ptr_array_add(check->bad, g_utf8_make_valid(text, -1));
}

static gboolean check_objects(Check *check, GHashTable *objects, GError **error)
{
	uint64_t done = 0;
	GHashTableIter iter;
	gpointer object;

	g_hash_table_iter_init(&iter, objects);
	while (g_hash_table_iter_next(&iter, &object, NULL)) {
		g_autoptr(GError) cause = NULL;
		if (!ash_interrupt_check(error))
			return FALSE;
		if (!ash_ostree_verify(check->repo, object, &cause)) {
			g_debug("%s", cause->message);
			add_bad(check, object);
		}
		ash_worker_progress("check", ++done, g_hash_table_size(objects));
	}
	return TRUE;
}

static gboolean check_path(
		const char *path, const char *object, bool is_dir, gpointer data, GError **error)
{
	Check *check = data;
	struct stat st;
	bool is_right = false;

	if (strcmp(path, "usr") != 0 && !g_str_has_prefix(path, "usr/"))
		return TRUE;
	g_hash_table_add(check->known, g_strdup(path));
	if (is_dir)
		is_right = fstatat(check->tree_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			   S_ISDIR(st.st_mode);
	else if (!ash_ostree_is_object(check->repo, object, check->tree_fd, path, &is_right, error))
		return FALSE;
	if (!is_right)
		add_bad(check, path);
	return ash_interrupt_check(error);
}

static gboolean check_extra(Check *check, const char *path, int depth, GError **error)
{
	int fd = openat(check->tree_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	g_autoptr(AshDir) dir = fd >= 0 ? fdopendir(fd) : NULL;

	/* A missing one has been named. */
	if (dir == NULL)
		return errno == ENOENT || errno == ENOTDIR || ash_throw_errno(error, "%s", path);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		g_autofree char *child = g_strdup_printf("%s/%s", path, entry->d_name);
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (!g_hash_table_contains(check->known, child)) {
			g_autofree char *text = g_strconcat(child, ": not in the commit", NULL);
			add_bad(check, text);
		} else if (entry->d_type == DT_DIR && depth < MAX_DEPTH &&
				!check_extra(check, child, depth + 1, error)) {
			return FALSE;
		}
	}
	return TRUE;
}

static gboolean check_tree(
		const AshWorker *worker, Check *check, const char *commit, GError **error)
{
	g_autoptr(GPtrArray) entries = NULL;
	g_autoptr(GPtrArray) deployments = NULL;

	if (!ash_esp_list(worker->esp_fd, &entries, NULL, error) ||
			!ash_deployment_list(worker, entries, &deployments, error))
		return FALSE;
	const AshDeployment *deployment = ash_deployment_find(deployments, commit);
	if (deployment == NULL)
		return TRUE;
	g_autofree char *path = g_strdup_printf(ASH_DEPLOYMENT_TREES "/%s", deployment->name);
	ash_autofd int fd = openat(
			worker->sysroot_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "%s", path);
	check->tree_fd = fd;
	return ash_ostree_walk(check->repo, commit, check_path, check, error) &&
	       check_extra(check, "usr", 0, error);
}

gboolean ash_check_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(AshOstree) repo = NULL;
	g_autoptr(GHashTable) objects = NULL;
	g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) bad = g_ptr_array_new_with_free_func(g_free);
	const char *commit;

	if (!ash_json_text(input, "commit", &commit, error))
		return FALSE;
	if (!ash_deployment_is_commit(commit))
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE,
				"'commit' is not 64 hexadecimal digits");
	ASH_PREFIX("checking %.12s", commit);
	if (!ash_ostree_open(worker->sysroot_fd, &repo, error) ||
			!ash_ostree_objects(repo, commit, &objects, error))
		return FALSE;
	Check check = {.repo = repo, .tree_fd = -1, .known = known, .bad = bad};
	if (!check_objects(&check, objects, error) || !check_tree(worker, &check, commit, error))
		return FALSE;
	ash_json_add_uint(result, "objects", g_hash_table_size(objects));
	g_ptr_array_add(bad, NULL);
	ash_json_add_texts(result, "bad", (char *const *) bad->pdata);
	return TRUE;
}
