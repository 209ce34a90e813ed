/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/draft.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/version.h"
#include "lib/workload-target.h"

/* Of the document @name. */
static char *pending_path(const char *name)
{
	g_autofree char *file = g_strdup(name);

	/* '=' is in no name, so that no two documents share a file. */
	g_strdelimit(file, "/", '=');
	return g_strconcat("pending/", file, NULL);
}

static char *draft_path(const AshRelease *release)
{
	g_autofree char *name = ash_release_path(
			release->name, release->variant, release->arch, release->version);

	return pending_path(name);
}

static char *workload_path(const AshWorkload *workload)
{
	g_autofree char *name = ash_workload_target_path(workload->name, workload->version);

	return pending_path(name);
}

static gboolean save(const AshPublication *publication, const char *path, const char *text,
		GError **error)
{
	return ash_file_replace(publication->fd, path, text, strlen(text), 0600, error);
}

gboolean ash_draft_save(
		const AshPublication *publication, const AshRelease *release, GError **error)
{
	g_autofree char *path = draft_path(release);
	g_autofree char *text = ash_release_format(release);

	return save(publication, path, text, error);
}

static char *image_path(const AshWorkload *workload)
{
	g_autofree char *name =
			g_strdup_printf("image/%s/%s.json", workload->name, workload->version);

	return pending_path(name);
}

/* The definition last: with it the draft is one. */
gboolean ash_draft_save_workload(const AshPublication *publication, const AshWorkload *workload,
		const char *image, GError **error)
{
	g_autofree char *beside = image_path(workload);
	g_autofree char *path = workload_path(workload);
	g_autofree char *text = ash_workload_format(workload);

	return (image == NULL || save(publication, beside, image, error)) &&
	       save(publication, path, text, error);
}

gboolean ash_draft_read_image(const AshPublication *publication, const AshWorkload *workload,
		GBytes **out_image, GError **error)
{
	g_autofree char *path = image_path(workload);
	bool is_there = false;

	if (!ash_file_exists(publication->fd, path, &is_there, error))
		return FALSE;
	if (!is_there)
		return ash_throw(error, ASH_PUBLICATION_ERROR, ASH_PUBLICATION_ERROR_NOT_FOUND,
				"%s is not there: run 'ashlar workload release' again", path);
	return ash_publication_read(publication, path, out_image, error);
}

/* Of @file, which lies in pending/ as @name; NULL is failure. */
typedef gpointer (*ReadDraft)(const char *name, GBytes *bytes, GError **error);

static gpointer read_release(const char *name, GBytes *bytes, GError **error)
{
	AshRelease *draft = NULL;

	return ash_release_parse(bytes, &draft, error) ? draft : NULL;
}

static gpointer read_workload(const char *name, GBytes *bytes, GError **error)
{
	AshWorkload *draft = NULL;

	return ash_workload_parse(name, bytes, &draft, error) ? draft : NULL;
}

static gboolean list(const AshPublication *publication, const char *prefix, ReadDraft read,
		GPtrArray *drafts, GError **error)
{
	int fd = openat(publication->fd, "pending", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(AshDir) dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL)
		return ash_throw_errno(error, "%s/pending", publication->dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		ASH_PREFIX("%s/pending/%s", publication->dir, entry->d_name);
		g_autoptr(GBytes) bytes = NULL;
		if (!g_str_has_prefix(entry->d_name, prefix) ||
				!g_str_has_suffix(entry->d_name, ".json"))
			continue;
		if (!ash_file_read(dirfd(dir), entry->d_name, ASH_TARGET_MAX_BYTES, &bytes, error))
			return FALSE;
		gpointer draft = read(entry->d_name, bytes, error);
		if (draft == NULL)
			return FALSE;
		g_ptr_array_add(drafts, draft);
	}
	return TRUE;
}

static int compare_versions(gconstpointer a, gconstpointer b)
{
	const AshRelease *const *ra = a;
	const AshRelease *const *rb = b;

	return ash_version_compare((*ra)->version, (*rb)->version);
}

gboolean ash_draft_list(const AshPublication *publication, GPtrArray **out_drafts, GError **error)
{
	g_autoptr(GPtrArray) drafts =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_release_free);

	if (!list(publication, "host=", read_release, drafts, error))
		return FALSE;
	g_ptr_array_sort(drafts, compare_versions);
	*out_drafts = g_steal_pointer(&drafts);
	return TRUE;
}

static int compare_workloads(gconstpointer a, gconstpointer b)
{
	const AshWorkload *const *wa = a;
	const AshWorkload *const *wb = b;
	int order = strcmp((*wa)->name, (*wb)->name);

	return order != 0 ? order : ash_version_compare((*wa)->version, (*wb)->version);
}

gboolean ash_draft_list_workloads(
		const AshPublication *publication, GPtrArray **out_workloads, GError **error)
{
	g_autoptr(GPtrArray) drafts =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_workload_free);

	if (!list(publication, "workload=", read_workload, drafts, error))
		return FALSE;
	g_ptr_array_sort(drafts, compare_workloads);
	*out_workloads = g_steal_pointer(&drafts);
	return TRUE;
}

static gboolean remove_file(const AshPublication *publication, const char *path, GError **error)
{
	if (unlinkat(publication->fd, path, 0) < 0 && errno != ENOENT)
		return ash_throw_errno(error, "%s/%s", publication->dir, path);
	return ash_file_sync_parent(publication->fd, path, error);
}

gboolean ash_draft_remove(
		const AshPublication *publication, const AshRelease *release, GError **error)
{
	g_autofree char *path = draft_path(release);

	return remove_file(publication, path, error);
}

gboolean ash_draft_remove_workload(
		const AshPublication *publication, const AshWorkload *workload, GError **error)
{
	g_autofree char *path = workload_path(workload);
	g_autofree char *beside = image_path(workload);

	return remove_file(publication, path, error) && remove_file(publication, beside, error);
}

/* Of a document "…/VERSION.json". */
static char *ref_of(char *path)
{
	GString *ref = g_string_new(NULL);

	/* OSTree's refs know neither '~' nor '+', our versions no '_'. */
	path[strlen(path) - strlen(".json")] = '\0';
	for (const char *c = path; *c != '\0'; c++)
		if (*c == '~' || *c == '+')
			g_string_append_printf(ref, "_%02x", (unsigned) *c);
		else
			g_string_append_c(ref, *c);
	return g_string_free(ref, FALSE);
}

char *ash_draft_ref(const AshRelease *release)
{
	g_autofree char *path = ash_release_path(
			release->name, release->variant, release->arch, release->version);

	return ref_of(path);
}

char *ash_draft_workload_ref(const AshWorkload *workload)
{
	g_autofree char *path = ash_workload_target_path(workload->name, workload->version);

	return ref_of(path);
}
