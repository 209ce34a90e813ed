/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/file.h"
#include "lib/tuf-state.h"

/* Holds the version of the root that makes timestamp and snapshot go. */
#define FORGET "forget"

AshTufMetadata *ash_tuf_store_find(int dir_fd, const char *name, const char *type, size_t max_bytes,
		const AshTufAuthority *authority)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshTufMetadata) metadata = NULL;

	if (!ash_file_read(dir_fd, name, max_bytes, &bytes, NULL) ||
			!ash_tuf_metadata_parse(bytes, type, max_bytes, &metadata, NULL) ||
			(authority != NULL && !ash_tuf_metadata_verify(metadata, authority, NULL)))
		return NULL;
	return g_steal_pointer(&metadata);
}

gboolean ash_tuf_store_save(
		int dir_fd, const char *name, const AshTufMetadata *metadata, GError **error)
{
	gsize size = 0;
	const void *data = g_bytes_get_data(metadata->bytes, &size);

	return ash_file_replace(dir_fd, name, data, size, 0644, error);
}

/* A key that only joins is no recovery: what it could not sign before cannot have been its fault. */
static bool has_lost_keys(const AshTufMetadata *old, const AshTufMetadata *root, const char *role)
{
	AshTufAuthority before;
	AshTufAuthority after;
	GHashTableIter iter;
	gpointer fingerprint = NULL;

	ash_tuf_metadata_get_authority(old, role, &before);
	ash_tuf_metadata_get_authority(root, role, &after);
	g_autoptr(GHashTable) old_keys = ash_tuf_authority_fingerprints(&before);
	g_autoptr(GHashTable) new_keys = ash_tuf_authority_fingerprints(&after);
	g_hash_table_iter_init(&iter, old_keys);
	while (g_hash_table_iter_next(&iter, &fingerprint, NULL))
		if (!g_hash_table_contains(new_keys, fingerprint))
			return true;
	return false;
}

static gboolean forget(int dir_fd, GError **error)
{
	static const char *const names[] = {"snapshot.json", "timestamp.json", FORGET};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		/* The mark goes when the others are surely gone. */
		if (strcmp(names[i], FORGET) == 0 && !ash_file_sync_parent(dir_fd, FORGET, error))
			return FALSE;
		if (unlinkat(dir_fd, names[i], 0) != 0 && errno != ENOENT)
			return ash_throw_errno(error, "unlink %s", names[i]);
	}
	return TRUE;
}

gboolean ash_tuf_store_save_root(
		int dir_fd, const AshTufMetadata *old, const AshTufMetadata *root, GError **error)
{
	bool is_recovery = old != NULL && (has_lost_keys(old, root, "timestamp") ||
							  has_lost_keys(old, root, "snapshot"));

	if (!is_recovery)
		return ash_tuf_store_save(dir_fd, "root.json", root, error);
	/* On disk, in this order: the mark with the version of a root that is not there yet, which
	 * means nothing; the root, which makes the mark mean what it says; then the rest goes.
	 */
	g_autofree char *mark = g_strdup_printf("%" G_GUINT64_FORMAT "\n", (guint64) root->version);
	return ash_file_replace(dir_fd, FORGET, mark, strlen(mark), 0644, error) &&
	       ash_tuf_store_save(dir_fd, "root.json", root, error) && forget(dir_fd, error);
}

gboolean ash_tuf_store_recover(int dir_fd, const AshTufMetadata *root, GError **error)
{
	enum {
		MAX_MARK_BYTES = 32
	};
	g_autoptr(GBytes) mark = NULL;
	bool is_marked = false;

	if (!ash_file_exists(dir_fd, FORGET, &is_marked, error))
		return FALSE;
	if (!is_marked)
		return TRUE;
	if (!ash_file_read(dir_fd, FORGET, MAX_MARK_BYTES, &mark, error))
		return FALSE;
	if (g_ascii_strtoull(g_bytes_get_data(mark, NULL), NULL, 10) <= root->version)
		return forget(dir_fd, error);
	if (unlinkat(dir_fd, FORGET, 0) != 0)
		return ash_throw_errno(error, "unlink " FORGET);
	return TRUE;
}
