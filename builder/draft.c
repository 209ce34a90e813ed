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

static char *draft_path(const AshRelease *release)
{
	g_autofree char *name = ash_release_path(
			release->name, release->variant, release->arch, release->version);

	/* '=' is in no name, so that no two releases share a file. */
	g_strdelimit(name, "/", '=');
	return g_strconcat("pending/", name, NULL);
}

gboolean ash_draft_save(
		const AshPublication *publication, const AshRelease *release, GError **error)
{
	g_autofree char *path = draft_path(release);
	g_autofree char *text = ash_release_format(release);

	return ash_file_replace(publication->fd, path, text, strlen(text), 0600, error);
}

static int compare_versions(gconstpointer a, gconstpointer b)
{
	const AshRelease *const *ra = a;
	const AshRelease *const *rb = b;

	return ash_version_compare((*ra)->version, (*rb)->version);
}

gboolean ash_draft_list(const AshPublication *publication, GPtrArray **out_drafts, GError **error)
{
	int fd = openat(publication->fd, "pending", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autoptr(AshDir) dir = fd >= 0 ? fdopendir(fd) : NULL;
	g_autoptr(GPtrArray) drafts =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_release_free);

	if (dir == NULL)
		return ash_throw_errno(error, "%s/pending", publication->dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		ASH_PREFIX("%s/pending/%s", publication->dir, entry->d_name);
		g_autoptr(GBytes) bytes = NULL;
		AshRelease *draft = NULL;
		if (!g_str_has_prefix(entry->d_name, "host=") ||
				!g_str_has_suffix(entry->d_name, ".json"))
			continue;
		if (!ash_file_read(dirfd(dir), entry->d_name, ASH_TARGET_MAX_BYTES, &bytes,
				    error) ||
				!ash_release_parse(bytes, &draft, error))
			return FALSE;
		g_ptr_array_add(drafts, draft);
	}
	g_ptr_array_sort(drafts, compare_versions);
	*out_drafts = g_steal_pointer(&drafts);
	return TRUE;
}

gboolean ash_draft_remove(
		const AshPublication *publication, const AshRelease *release, GError **error)
{
	g_autofree char *path = draft_path(release);

	if (unlinkat(publication->fd, path, 0) < 0 && errno != ENOENT)
		return ash_throw_errno(error, "%s/%s", publication->dir, path);
	return ash_file_sync_parent(publication->fd, path, error);
}

char *ash_draft_ref(const AshRelease *release)
{
	g_autofree char *path = ash_release_path(
			release->name, release->variant, release->arch, release->version);
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
