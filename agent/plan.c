/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/plan.h"

#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/deployment.h"
#include "agent/etc.h"
#include "agent/import.h"
#include "agent/paths.h"
#include "lib/error.h"
#include "lib/json.h"

gboolean ash_plan_measure(
		const AshWorker *worker, AshSpacePlan *plan, AshSpace *out_free, GError **error)
{
	struct statvfs root, esp;

	if (fstatvfs(worker->sysroot_fd, &root) < 0)
		return ash_throw_errno(error, "measuring the root");
	if (fstatvfs(worker->esp_fd, &esp) < 0)
		return ash_throw_errno(error, "measuring the ESP");
	plan->root_bytes = (uint64_t) root.f_blocks * root.f_frsize;
	plan->esp_cluster = esp.f_bsize;
	out_free->root_bytes = (uint64_t) root.f_bavail * root.f_frsize;
	out_free->root_inodes = root.f_favail;
	out_free->esp_bytes = (uint64_t) esp.f_bavail * esp.f_frsize;
	return TRUE;
}

char *ash_plan_booted_tree(const AshWorker *worker)
{
	return g_strdup_printf(
			ASH_DEPLOYMENT_TREES "/%s.%u", worker->booted, worker->booted_serial);
}

gboolean ash_plan_etc(const AshWorker *worker, AshSpacePlan *plan, GError **error)
{
	g_autofree char *tree = ash_plan_booted_tree(worker);
	g_autofree char *etc = g_strconcat(tree, "/etc", NULL);
	g_autofree char *defaults = g_strconcat(tree, "/usr/etc", NULL);
	uint64_t bytes, inodes;

	if (!ash_etc_measure(worker->sysroot_fd, etc, &bytes, &inodes, error) ||
			!ash_etc_measure(worker->sysroot_fd, defaults, &plan->etc_bytes,
					&plan->etc_inodes, error))
		return FALSE;
	plan->etc_bytes += bytes;
	plan->etc_inodes += inodes;
	return TRUE;
}

static bool is_complete(GHashTable *refs, const char *commit)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		if (strcmp(value, commit) == 0)
			return true;
	return false;
}

static gboolean count_dir(
		const char *path, const char *object, bool is_dir, gpointer data, GError **error)
{
	*(uint64_t *) data += is_dir ? 1 : 0;
	return TRUE;
}

/* Directories of the tree to come: as many as the running one has, and a quarter more. */
static uint64_t guess_dirs(AshOstree *repo, const char *booted, uint64_t inodes)
{
	uint64_t dirs = 0;

	if (!ash_deployment_is_commit(booted) ||
			!ash_ostree_walk(repo, booted, count_dir, &dirs, NULL) || dirs == 0)
		return inodes;
	return MIN(dirs + dirs / 4 + 16, inodes);
}

typedef struct {
	const AshTargetDelta *delta; /* to be taken, or NULL */
	const AshTargetDelta *known; /* tells how much a pull of objects would move, or NULL */
	bool is_present;
} Choice;

/* A bundle has what it has; a source is asked for what is chosen. */
static bool is_to_be_had(
		const AshWorker *worker, const AshRelease *release, const AshTargetDelta *delta)
{
	g_autofree char *bundle = ash_worker_path(worker, ASH_PATH_BUNDLE);
	g_autofree char *path = g_strdup_printf(
			"%s/deltas/%s-%s.delta", bundle, release->commit, delta->from);

	return strcmp(worker->staging, bundle) != 0 || access(path, F_OK) == 0;
}

static gboolean choose(const AshWorker *worker, AshOstree *repo, const AshRelease *release,
		Choice *choice, GError **error)
{
	g_autoptr(GHashTable) refs = NULL;

	if (!ash_import_is_done(repo, release->commit, &choice->is_present, error) ||
			!ash_ostree_refs(repo, &refs, error))
		return FALSE;
	for (guint i = 0; i < release->deltas->len && !choice->is_present; i++) {
		const AshTargetDelta *delta = release->deltas->pdata[i];
		if (!is_complete(refs, delta->from))
			continue;
		if (choice->known == NULL || delta->object_bytes < choice->known->object_bytes)
			choice->known = delta;
		if (delta->bytes < delta->object_bytes && is_to_be_had(worker, release, delta) &&
				(choice->delta == NULL || delta->bytes < choice->delta->bytes))
			choice->delta = delta;
	}
	return TRUE;
}

static void plan_objects(const AshRelease *release, const Choice *choice, AshSpacePlan *plan)
{
	if (choice->is_present)
		return;
	/* Without a base each name of the tree may be an object, and each directory two. */
	plan->objects = release->inodes;
	plan->object_bytes = release->bytes;
	if (choice->known != NULL) {
		plan->objects = MIN(choice->known->objects, release->inodes * 2);
		plan->object_bytes = ash_space_unpacked(choice->known->object_bytes,
				release->archive_bytes, release->bytes);
	} else {
		plan->objects += 2 * plan->dirs;
	}
	if (choice->delta != NULL)
		plan->copy_bytes = choice->delta->bytes;
}

static void add_delta(JsonBuilder *result, const AshTargetDelta *delta)
{
	if (delta == NULL) {
		json_builder_set_member_name(result, "delta");
		json_builder_add_null_value(result);
		return;
	}
	ash_json_begin_object(result, "delta");
	ash_json_add_text(result, "from", delta->from);
	ash_json_add_text(result, "path", delta->path);
	ash_json_add_text(result, "sha256", delta->sha256);
	ash_json_add_uint(result, "bytes", delta->bytes);
	ash_json_add_uint(result, "objects", delta->objects);
	ash_json_add_uint(result, "object-bytes", delta->object_bytes);
	json_builder_end_object(result);
}

gboolean ash_plan_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(AshRelease) release = NULL;
	g_autoptr(AshOstree) repo = NULL;
	Choice choice = {0};
	AshSpacePlan plan = {0};
	AshSpace free_now;

	if (!ash_import_get_release(input, &release, error) ||
			!ash_ostree_open(worker->sysroot_fd, &repo, error) ||
			!choose(worker, repo, release, &choice, error) ||
			!ash_plan_measure(worker, &plan, &free_now, error) ||
			!ash_plan_etc(worker, &plan, error))
		return FALSE;
	ASH_PREFIX("update to %s", release->version);
	plan.dirs = guess_dirs(repo, worker->booted, release->inodes);
	plan.files = release->inodes;
	plan.boot_bytes = release->boot_bytes;
	plan_objects(release, &choice, &plan);
	AshSpace need = ash_space_need(&plan);
	if (!ash_space_check(&need, &free_now, error))
		return FALSE;
	ash_json_add_text(result, "method",
			choice.is_present      ? "present"
			: choice.delta != NULL ? "delta"
					       : "objects");
	add_delta(result, choice.delta);
	ash_json_add_uint(result, "bytes",
			choice.is_present      ? 0
			: choice.delta != NULL ? choice.delta->bytes
			: choice.known != NULL ? choice.known->object_bytes
					       : release->archive_bytes);
	return TRUE;
}
