/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tuf.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/tuf-state.h"

G_DEFINE_QUARK(ash_tuf_error, ash_tuf_error)

/* Numbers in comments are sections of the specification. */

const char *ash_tuf_error_word(const GError *error)
{
	static const char *const words[] = {
			[ASH_TUF_ERROR_SYNTAX] = "syntax",
			[ASH_TUF_ERROR_SIGNATURE] = "signature",
			[ASH_TUF_ERROR_VERSION] = "version",
			[ASH_TUF_ERROR_ROLLBACK] = "rollback",
			[ASH_TUF_ERROR_EXPIRED] = "expired",
			[ASH_TUF_ERROR_HASH] = "hash",
			[ASH_TUF_ERROR_TOO_BIG] = "too-big",
			[ASH_TUF_ERROR_MISSING] = "missing",
			[ASH_TUF_ERROR_NOT_FOUND] = "not-found",
			[ASH_TUF_ERROR_FETCH_NOT_FOUND] = "fetch-not-found",
			[ASH_TUF_ERROR_NO_ROOT] = "no-root",
	};

	if (error->domain != ASH_TUF_ERROR || error->code < 0 ||
			(size_t) error->code >= G_N_ELEMENTS(words))
		return "failed";
	return words[error->code];
}

/* ---- what every role needs ---- */

gboolean ash_tuf_check_expiry(const AshTuf *tuf, const AshTufMetadata *metadata, GError **error)
{
	if (tuf->now_s < metadata->expires_s)
		return TRUE;
	g_autoptr(GDateTime) expires = g_date_time_new_from_unix_utc(metadata->expires_s);
	g_autofree char *text = g_date_time_format(expires, "%FT%TZ");
	return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_EXPIRED, "expired on %s", text);
}

static gboolean fetch_file(const AshTufSource *source, const char *name, size_t max_bytes,
		GBytes **out_bytes, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;

	if (!source->fetch(name, max_bytes, source->data, &bytes, error))
		return FALSE;
	if (g_bytes_get_size(bytes) > max_bytes)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_TOO_BIG,
				"larger than %zu bytes", max_bytes);
	*out_bytes = g_steal_pointer(&bytes);
	return TRUE;
}

/* The same, where a file that is not there is no answer. */
static gboolean fetch_named(const AshTufSource *source, const char *name, size_t max_bytes,
		GBytes **out_bytes, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (fetch_file(source, name, max_bytes, out_bytes, &cause))
		return TRUE;
	if (g_error_matches(cause, ASH_TUF_ERROR, ASH_TUF_ERROR_FETCH_NOT_FOUND))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_MISSING,
				"the repository does not have it");
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

static gboolean check_file(const AshTufFile *file, GBytes *bytes, GError **error)
{
	if (file->has_length && g_bytes_get_size(bytes) != file->length)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_HASH,
				"the length differs from what was signed");
	return file->hashes == NULL || ash_tuf_hashes_verify(file->hashes, bytes, error);
}

gboolean ash_tuf_fetch_role(AshTuf *tuf, const AshTufWanted *wanted, const AshTufSource *source,
		AshTufMetadata **out_metadata, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshTufMetadata) metadata = NULL;
	const AshTufFile *file = &wanted->file;
	size_t max_bytes = wanted->max_bytes;
	g_autofree char *name =
			tuf->root->is_consistent
					? g_strdup_printf("%" G_GUINT64_FORMAT ".%s",
							  (guint64) file->version, wanted->name)
					: g_strdup(wanted->name);

	ASH_PREFIX("%s", name);
	if (file->has_length && file->length > max_bytes)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_TOO_BIG,
				"said to be larger than %zu bytes", max_bytes);
	if (file->has_length)
		max_bytes = (size_t) file->length;
	if (!fetch_named(source, name, max_bytes, &bytes, error) ||
			!check_file(file, bytes, error) ||
			!ash_tuf_metadata_parse(bytes, wanted->type, max_bytes, &metadata, error) ||
			!ash_tuf_metadata_verify(metadata, &wanted->authority, error))
		return FALSE;
	if (metadata->version != file->version)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_VERSION,
				"has version %" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT,
				(guint64) metadata->version, (guint64) file->version);
	*out_metadata = g_steal_pointer(&metadata);
	return TRUE;
}

bool ash_tuf_is_current(
		const AshTuf *tuf, const AshTufMetadata *metadata, const AshTufWanted *wanted)
{
	return metadata != NULL && metadata->version == wanted->file.version &&
	       check_file(&wanted->file, metadata->bytes, NULL) &&
	       ash_tuf_check_expiry(tuf, metadata, NULL);
}

static void replace(AshTufMetadata **held, AshTufMetadata **metadata)
{
	ash_tuf_metadata_free(*held);
	*held = g_steal_pointer(metadata);
}

/* ---- root ---- */

/* Signed by those whom it names itself, and by those whom the one before named. */
static gboolean verify_root(const AshTufMetadata *root, const AshTufMetadata *old, GError **error)
{
	AshTufAuthority authority;

	ash_tuf_metadata_get_authority(old, "root", &authority);
	if (!ash_tuf_metadata_verify(root, &authority, error))
		return FALSE;
	ash_tuf_metadata_get_authority(root, "root", &authority);
	return ash_tuf_metadata_verify(root, &authority, error);
}

static gboolean load_root(int dir_fd, AshTufMetadata **out_root, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshTufMetadata) root = NULL;
	bool is_there = false;

	ASH_PREFIX("root.json");
	if (!ash_file_exists(dir_fd, "root.json", &is_there, error))
		return FALSE;
	if (!is_there)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_NO_ROOT,
				"there is none: nothing is trusted here");
	if (!ash_file_read(dir_fd, "root.json", ASH_TUF_MAX_ROOT_BYTES, &bytes, error) ||
			!ash_tuf_metadata_parse(
					bytes, "root", ASH_TUF_MAX_ROOT_BYTES, &root, error) ||
			!verify_root(root, root, error))
		return FALSE;
	*out_root = g_steal_pointer(&root);
	return TRUE;
}

static gboolean open_dir(const char *dir, int *out_fd, GError **error)
{
	*out_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out_fd >= 0 || ash_throw_errno(error, "opening %s", dir);
}

gboolean ash_tuf_init(const char *dir, GBytes *bytes, GError **error)
{
	g_autoptr(AshTufMetadata) root = NULL;
	g_autoptr(AshTufMetadata) trusted = NULL;
	ash_autofd int dir_fd = -1;

	ASH_PREFIX("root to begin with");
	if (!ash_tuf_metadata_parse(bytes, "root", ASH_TUF_MAX_ROOT_BYTES, &root, error) ||
			!verify_root(root, root, error) ||
			!ash_file_ensure_dir(AT_FDCWD, dir, 0755, error) ||
			!open_dir(dir, &dir_fd, error))
		return FALSE;
	/* One that is broken is replaced: the host would never update again. */
	(void) load_root(dir_fd, &trusted, NULL);
	if (trusted != NULL && trusted->version >= root->version)
		return TRUE;
	return ash_tuf_store_save_root(dir_fd, trusted, root, error);
}

/* 5.3: N+1, N+2 … until there is no more. Each is kept as soon as it is verified; none needs to be
 * unexpired but the last.
 */
static gboolean update_root(AshTuf *tuf, const AshTufSource *source, GError **error)
{
	for (unsigned i = 0; i < ASH_TUF_MAX_ROOT_STEPS; i++) {
		g_autoptr(GError) cause = NULL;
		g_autoptr(GBytes) bytes = NULL;
		g_autoptr(AshTufMetadata) root = NULL;
		guint64 version = tuf->root->version + 1;
		g_autofree char *name = g_strdup_printf("%" G_GUINT64_FORMAT ".root.json", version);

		ASH_PREFIX("%s", name);
		if (!fetch_file(source, name, ASH_TUF_MAX_ROOT_BYTES, &bytes, &cause)) {
			if (g_error_matches(cause, ASH_TUF_ERROR, ASH_TUF_ERROR_FETCH_NOT_FOUND))
				break;
			g_propagate_error(error, g_steal_pointer(&cause));
			return FALSE;
		}
		if (!ash_tuf_metadata_parse(bytes, "root", ASH_TUF_MAX_ROOT_BYTES, &root, error) ||
				!verify_root(root, tuf->root, error))
			return FALSE;
		if (root->version != version)
			return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_VERSION,
					"has version %" G_GUINT64_FORMAT, (guint64) root->version);
		if (!ash_tuf_store_save_root(tuf->dir_fd, tuf->root, root, error))
			return FALSE;
		replace(&tuf->root, &root);
	}
	ASH_PREFIX("root.json");
	return ash_tuf_check_expiry(tuf, tuf->root, error);
}

/* ---- trusted already ---- */

/* After a new root too: what its keys did not sign is no longer trusted. */
static void load_trusted(AshTuf *tuf)
{
	const struct {
		const char *role;
		const char *name;
		size_t max_bytes;
		AshTufMetadata **held;
	} roles[] = {
			{"timestamp", "timestamp.json", ASH_TUF_MAX_TIMESTAMP_BYTES,
					&tuf->timestamp},
			{"snapshot", "snapshot.json", ASH_TUF_MAX_SNAPSHOT_BYTES, &tuf->snapshot},
			{"targets", "targets.json", ASH_TUF_MAX_TARGETS_BYTES, &tuf->targets},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(roles); i++) {
		AshTufAuthority authority;

		ash_tuf_metadata_get_authority(tuf->root, roles[i].role, &authority);
		ash_tuf_metadata_free(*roles[i].held);
		*roles[i].held = ash_tuf_store_find(tuf->dir_fd, roles[i].name, roles[i].role,
				roles[i].max_bytes, &authority);
	}
}

gboolean ash_tuf_open(const char *dir, int64_t now_s, AshTuf **out_tuf, GError **error)
{
	g_autoptr(AshTuf) tuf = g_new0(AshTuf, 1);

	tuf->now_s = now_s;
	tuf->dir_fd = -1;
	if (!open_dir(dir, &tuf->dir_fd, error) || !load_root(tuf->dir_fd, &tuf->root, error) ||
			!ash_tuf_store_recover(tuf->dir_fd, tuf->root, error))
		return FALSE;
	load_trusted(tuf);
	*out_tuf = g_steal_pointer(&tuf);
	return TRUE;
}

void ash_tuf_free(AshTuf *tuf)
{
	if (tuf == NULL)
		return;
	ash_tuf_metadata_free(tuf->root);
	ash_tuf_metadata_free(tuf->timestamp);
	ash_tuf_metadata_free(tuf->snapshot);
	ash_tuf_metadata_free(tuf->targets);
	if (tuf->dir_fd >= 0)
		close(tuf->dir_fd);
	g_free(tuf);
}

void ash_tuf_get_info(const AshTuf *tuf, AshTufInfo *out_info)
{
	*out_info = (AshTufInfo){
			.root_version = tuf->root->version,
			.root_expires_s = tuf->root->expires_s,
	};
	if (tuf->timestamp != NULL) {
		out_info->timestamp_version = tuf->timestamp->version;
		out_info->timestamp_expires_s = tuf->timestamp->expires_s;
	}
	if (tuf->snapshot != NULL) {
		out_info->snapshot_version = tuf->snapshot->version;
		out_info->snapshot_expires_s = tuf->snapshot->expires_s;
	}
	if (tuf->targets != NULL) {
		out_info->targets_version = tuf->targets->version;
		out_info->targets_expires_s = tuf->targets->expires_s;
	}
}

/* ---- timestamp ---- */

static AshTufFile snapshot_file(const AshTufMetadata *timestamp)
{
	AshTufFile file = {0};
	bool is_there = ash_tuf_metadata_find_file(timestamp, "snapshot.json", &file);

	g_assert(is_there);
	return file;
}

/* 5.4.3. */
static gboolean check_timestamp_rollback(
		const AshTufMetadata *old, const AshTufMetadata *timestamp, GError **error)
{
	if (timestamp->version < old->version)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_ROLLBACK,
				"has version %" G_GUINT64_FORMAT ", lower than %" G_GUINT64_FORMAT,
				(guint64) timestamp->version, (guint64) old->version);
	if (snapshot_file(timestamp).version < snapshot_file(old).version)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_ROLLBACK,
				"asks for a lower version of the snapshot");
	return TRUE;
}

/* 5.4. */
static gboolean update_timestamp(AshTuf *tuf, const AshTufSource *source, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(AshTufMetadata) timestamp = NULL;
	AshTufAuthority authority;

	ASH_PREFIX("timestamp.json");
	ash_tuf_metadata_get_authority(tuf->root, "timestamp", &authority);
	if (!fetch_named(source, "timestamp.json", ASH_TUF_MAX_TIMESTAMP_BYTES, &bytes, error) ||
			!ash_tuf_metadata_parse(bytes, "timestamp", ASH_TUF_MAX_TIMESTAMP_BYTES,
					&timestamp, error) ||
			!ash_tuf_metadata_verify(timestamp, &authority, error))
		return FALSE;
	/* 5.4.3.1: the same version is the one that is there, whatever it says now. */
	if (tuf->timestamp != NULL && timestamp->version == tuf->timestamp->version)
		return ash_tuf_check_expiry(tuf, tuf->timestamp, error);
	if (tuf->timestamp != NULL && !check_timestamp_rollback(tuf->timestamp, timestamp, error))
		return FALSE;
	if (!ash_tuf_check_expiry(tuf, timestamp, error) ||
			!ash_tuf_store_save(tuf->dir_fd, "timestamp.json", timestamp, error))
		return FALSE;
	replace(&tuf->timestamp, &timestamp);
	return TRUE;
}

/* ---- snapshot, targets ---- */

/* 5.5.5: no targets file may vanish or become older. */
static gboolean check_snapshot_rollback(
		const AshTufMetadata *old, const AshTufMetadata *snapshot, GError **error)
{
	JsonObject *meta = json_object_get_object_member(old->body, "meta");
	g_autoptr(GList) names = json_object_get_members(meta);

	if (snapshot->version < old->version)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_ROLLBACK,
				"has version %" G_GUINT64_FORMAT ", lower than %" G_GUINT64_FORMAT,
				(guint64) snapshot->version, (guint64) old->version);
	for (GList *i = names; i != NULL; i = i->next) {
		AshTufFile before = {0};
		AshTufFile after = {0};

		(void) ash_tuf_metadata_find_file(old, i->data, &before);
		if (!ash_tuf_metadata_find_file(snapshot, i->data, &after))
			return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_ROLLBACK,
					"does not name '%s' any more", (const char *) i->data);
		if (after.version < before.version)
			return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_ROLLBACK,
					"asks for a lower version of '%s'", (const char *) i->data);
	}
	return TRUE;
}

/* 5.5. */
static gboolean update_snapshot(AshTuf *tuf, const AshTufSource *source, GError **error)
{
	g_autoptr(AshTufMetadata) snapshot = NULL;
	AshTufWanted wanted = {
			.name = "snapshot.json",
			.type = "snapshot",
			.max_bytes = ASH_TUF_MAX_SNAPSHOT_BYTES,
			.file = snapshot_file(tuf->timestamp),
	};

	ash_tuf_metadata_get_authority(tuf->root, "snapshot", &wanted.authority);
	if (ash_tuf_is_current(tuf, tuf->snapshot, &wanted))
		return TRUE;
	if (!ash_tuf_fetch_role(tuf, &wanted, source, &snapshot, error))
		return FALSE;
	ASH_PREFIX("snapshot.json");
	if (tuf->snapshot != NULL && !check_snapshot_rollback(tuf->snapshot, snapshot, error))
		return FALSE;
	if (!ash_tuf_check_expiry(tuf, snapshot, error) ||
			!ash_tuf_store_save(tuf->dir_fd, "snapshot.json", snapshot, error))
		return FALSE;
	replace(&tuf->snapshot, &snapshot);
	return TRUE;
}

/* 5.6. */
static gboolean update_targets(AshTuf *tuf, const AshTufSource *source, GError **error)
{
	g_autoptr(AshTufMetadata) targets = NULL;
	AshTufWanted wanted = {
			.name = "targets.json",
			.type = "targets",
			.max_bytes = ASH_TUF_MAX_TARGETS_BYTES,
	};
	bool is_there = ash_tuf_metadata_find_file(tuf->snapshot, "targets.json", &wanted.file);

	g_assert(is_there);
	ash_tuf_metadata_get_authority(tuf->root, "targets", &wanted.authority);
	if (ash_tuf_is_current(tuf, tuf->targets, &wanted))
		return TRUE;
	if (!ash_tuf_fetch_role(tuf, &wanted, source, &targets, error))
		return FALSE;
	ASH_PREFIX("targets.json");
	if (!ash_tuf_check_expiry(tuf, targets, error) ||
			!ash_tuf_store_save(tuf->dir_fd, "targets.json", targets, error))
		return FALSE;
	replace(&tuf->targets, &targets);
	return TRUE;
}

gboolean ash_tuf_refresh(AshTuf *tuf, AshTufFetch fetch, gpointer data, GError **error)
{
	AshTufSource source = {.fetch = fetch, .data = data};
	uint64_t root_version = tuf->root->version;

	tuf->is_fresh = false;
	if (!update_root(tuf, &source, error))
		return FALSE;
	if (tuf->root->version != root_version)
		load_trusted(tuf);
	if (!update_timestamp(tuf, &source, error) || !update_snapshot(tuf, &source, error) ||
			!update_targets(tuf, &source, error))
		return FALSE;
	tuf->is_fresh = true;
	return TRUE;
}
