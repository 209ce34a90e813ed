/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/paths.h"
#include "agent/pull-object.h"
#include "agent/staging.h"
#include "lib/archive.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/json.h"
#include "lib/target.h"
#include "lib/tuf.h"

G_DEFINE_QUARK(ash_bundle_error, ash_bundle_error)

#define FORMAT_NAME "ashlar-bundle"
#define FORMAT "1\n"
#define BLOBS "oci/blobs/sha256/"

enum {
	READ_BYTES = 1 << 16,
	MAX_FORMAT_BYTES = 64,
};

typedef struct {
	int fd; /* of the file */
	uint64_t size, done;
	int dir_fd; /* where it goes */
	uint8_t buffer[READ_BYTES];
} Bundle;

/* ---- names ----------------------------------------------------------------------------------- */

static bool is_metadata(const char *name)
{
	const char *role = name + strspn(name, "0123456789");

	if (g_str_equal(name, "timestamp.json"))
		return true;
	if (role == name || role - name > 10 || *role != '.')
		return false;
	role++;
	size_t length = strspn(role, "abcdefghijklmnopqrstuvwxyz0123456789-_");
	return length > 0 && g_str_equal(role + length, ".json");
}

/* @text begins with a checksum, @slash: as "ab/cdef…". */
static bool starts_with_checksum(const char *text, bool slash, size_t *out_length)
{
	static const char digits[] = "0123456789abcdef";
	size_t length = ASH_SHA256_HEX + (slash ? 1 : 0);

	if (strlen(text) < length)
		return false;
	*out_length = length;
	if (!slash)
		return strspn(text, digits) >= ASH_SHA256_HEX;
	return strspn(text, digits) == 2 && text[2] == '/' &&
	       strspn(text + 3, digits) == ASH_SHA256_HEX - 2;
}

static bool is_delta(const char *name)
{
	size_t length = 0;

	if (!starts_with_checksum(name, false, &length) || name[length] != '-')
		return false;
	name += length + 1;
	return starts_with_checksum(name, false, &length) && g_str_equal(name + length, ".delta");
}

static uint64_t object_max(const char *name)
{
	size_t length = 0;

	if (!starts_with_checksum(name, true, &length) || name[length] != '.')
		return 0;
	for (int kind = ASH_OBJECT_COMMIT; kind <= ASH_OBJECT_FILE; kind++)
		if (g_str_equal(name + length + 1, ash_object_suffix((AshObjectKind) kind, true)))
			return kind == ASH_OBJECT_FILE ? ASH_BUNDLE_MAX_FILE_BYTES
						       : ASH_OBJECT_MAX_METADATA_BYTES;
	return 0;
}

/* What a blob of an image is called, and has to be; NULL for what is none. */
static const char *blob_digest(const char *name)
{
	size_t length = 0;

	if (!g_str_has_prefix(name, BLOBS))
		return NULL;
	name += strlen(BLOBS);
	return starts_with_checksum(name, false, &length) && name[length] == '\0' ? name : NULL;
}

uint64_t ash_bundle_entry_max(const char *name)
{
	if (!ash_staging_is_path(name))
		return 0;
	if (g_str_has_prefix(name, "metadata/"))
		return is_metadata(name + strlen("metadata/")) ? ASH_TUF_MAX_TARGETS_BYTES : 0;
	if (g_str_has_prefix(name, "targets/"))
		return g_str_has_suffix(name, ".json") ? ASH_TARGET_MAX_BYTES : 0;
	if (g_str_has_prefix(name, "deltas/"))
		return is_delta(name + strlen("deltas/")) ? ASH_BUNDLE_MAX_FILE_BYTES : 0;
	if (g_str_has_prefix(name, "repo/objects/"))
		return object_max(name + strlen("repo/objects/"));
	return blob_digest(name) != NULL ? ASH_BUNDLE_MAX_FILE_BYTES : 0;
}

/* ---- unpacking ------------------------------------------------------------------------------- */

/* AshArchiveSource */
static gboolean read_bundle(gpointer data, const void **out_data, size_t *out_size, GError **error)
{
	Bundle *bundle = data;

	for (;;) {
		ssize_t n = read(bundle->fd, bundle->buffer, READ_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "reading it");
		bundle->done += (uint64_t) n;
		ash_worker_progress("bundle", MIN(bundle->done, bundle->size), bundle->size);
		*out_data = bundle->buffer;
		*out_size = (size_t) n;
		return ash_interrupt_check(error);
	}
}

static gboolean check_format(AshArchive *archive, GError **error)
{
	const AshEntry *entry = NULL;
	g_autoptr(GBytes) line = NULL;

	if (!ash_archive_next(archive, &entry, error))
		return FALSE;
	if (entry == NULL || entry->kind != ASH_ENTRY_FILE ||
			!g_str_equal(entry->path, FORMAT_NAME))
		return ash_throw(error, ASH_BUNDLE_ERROR, ASH_BUNDLE_ERROR_FORMAT,
				"not a file made by 'ashlar bundle'");
	if (!ash_archive_read_all(archive, MAX_FORMAT_BYTES, &line, error))
		return FALSE;
	if (g_str_equal(g_bytes_get_data(line, NULL), FORMAT))
		return TRUE;
	return ash_throw(error, ASH_BUNDLE_ERROR, ASH_BUNDLE_ERROR_FORMAT,
			"made in a format that this host does not know");
}

/* Who imports it hashes it again; but here is the person with the damaged stick. */
static gboolean check_digest(AshSha256 *take_hash, const char *sha256, GError **error)
{
	uint8_t digest[ASH_SHA256_BYTES];

	ash_sha256_finish(take_hash, digest);
	g_autofree char *hex = ash_sha256_format(digest);
	return strcmp(hex, sha256) == 0 ||
	       ash_throw(error, ASH_BUNDLE_ERROR, ASH_BUNDLE_ERROR_ENTRY,
			       "has the digest sha256:%s: the file is damaged", hex);
}

/* @sha256: NULL when others say what it is to be. */
static gboolean copy_content(
		AshArchive *archive, int fd, uint64_t max_bytes, const char *sha256, GError **error)
{
	g_autoptr(AshSha256) hash = sha256 != NULL ? ash_sha256_new() : NULL;

	for (;;) {
		const void *data = NULL;
		size_t size = 0;
		if (!ash_archive_read(archive, &data, &size, error))
			return FALSE;
		if (size == 0)
			return sha256 == NULL ||
			       check_digest(g_steal_pointer(&hash), sha256, error);
		if (size > max_bytes)
			return ash_throw(error, ASH_BUNDLE_ERROR, ASH_BUNDLE_ERROR_TOO_BIG,
					"has more bytes than it says");
		if (hash != NULL)
			ash_sha256_update(hash, data, size);
		max_bytes -= size;
		if (!ash_file_write_all(fd, data, size, error))
			return FALSE;
	}
}

static gboolean unpack_entry(
		Bundle *bundle, AshArchive *archive, const AshEntry *entry, GError **error)
{
	g_autofree char *name = g_strdup(entry->path);
	g_autofree char *dir = g_path_get_dirname(name);
	uint64_t size = entry->size > 0 ? (uint64_t) entry->size : 0;

	ASH_PREFIX("'%.200s'", name);
	uint64_t max = entry->kind == ASH_ENTRY_FILE ? ash_bundle_entry_max(name) : 0;
	if (max == 0)
		return ash_throw(error, ASH_BUNDLE_ERROR, ASH_BUNDLE_ERROR_ENTRY,
				"has no place in a bundle");
	if (size > max)
		return ash_throw(error, ASH_BUNDLE_ERROR, ASH_BUNDLE_ERROR_TOO_BIG,
				"is larger than the %" G_GUINT64_FORMAT " bytes that are allowed",
				max);
	if (!ash_staging_check_space(bundle->dir_fd, size, error) ||
			!ash_file_ensure_dir(bundle->dir_fd, dir, 0755, error))
		return FALSE;
	ash_autofd int fd = openat(bundle->dir_fd, name,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return ash_throw(error, ASH_BUNDLE_ERROR, ASH_BUNDLE_ERROR_ENTRY, "is there twice");
	if (fd < 0)
		return ash_throw_errno(error, "writing it");
	return copy_content(archive, fd, size, blob_digest(name), error);
}

static gboolean unpack(Bundle *bundle, GError **error)
{
	g_autoptr(AshArchive) archive = NULL;
	const AshEntry *entry = NULL;

	if (!ash_archive_open_source(ASH_ARCHIVE_ANY_TAR, read_bundle, bundle, &archive, error) ||
			!check_format(archive, error) ||
			!ash_staging_init_repo(bundle->dir_fd, error))
		return FALSE;
	for (unsigned count = 0;; count++) {
		if (!ash_archive_next(archive, &entry, error))
			return FALSE;
		if (entry == NULL)
			break;
		if (count >= ASH_BUNDLE_MAX_ENTRIES)
			return ash_throw(error, ASH_BUNDLE_ERROR, ASH_BUNDLE_ERROR_TOO_BIG,
					"more than %d files", ASH_BUNDLE_MAX_ENTRIES);
		if (!unpack_entry(bundle, archive, entry, error))
			return FALSE;
	}
	/* All at once: it gets its name only then. */
	if (syncfs(bundle->dir_fd) < 0)
		return ash_throw_errno(error, "syncfs");
	return TRUE;
}

static gboolean open_bundle(Bundle *bundle, const char *path, GError **error)
{
	/* O_NONBLOCK: a pipe would block until somebody writes to it. */
	ash_autofd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return ash_throw_errno(error, "opening it");
	if (!S_ISREG(st.st_mode))
		return ash_throw(error, ASH_BUNDLE_ERROR, ASH_BUNDLE_ERROR_FORMAT,
				"not a regular file");
	bundle->fd = g_steal_fd(&fd);
	bundle->size = (uint64_t) st.st_size;
	return TRUE;
}

/* On disk: an older bundle goes; then all is in bundle.new, which is worth nothing; then, by one rename,
 * the whole of it is there.
 */
static gboolean replace(const AshWorker *worker, Bundle *bundle, const char *temp, GError **error)
{
	g_autofree char *dir = ash_worker_path(worker, ASH_PATH_BUNDLE);

	if (!ash_file_ensure_dir(AT_FDCWD, worker->state, 0700, error) ||
			!ash_file_remove_tree(AT_FDCWD, dir, error) ||
			!ash_file_remove_tree(AT_FDCWD, temp, error) ||
			!ash_file_ensure_dir(AT_FDCWD, temp, 0700, error) ||
			!ash_staging_open(temp, &bundle->dir_fd, error) || !unpack(bundle, error))
		return FALSE;
	if (rename(temp, dir) < 0)
		return ash_throw_errno(error, "rename(%s)", dir);
	return ash_file_sync_parent(AT_FDCWD, dir, error);
}

gboolean ash_bundle_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autofree char *temp = g_strconcat(worker->prefix, ASH_PATH_BUNDLE ".new", NULL);
	g_autofree Bundle *bundle = g_new0(Bundle, 1);
	const char *path = NULL;

	bundle->fd = bundle->dir_fd = -1;
	if (!ash_json_text(input, "path", &path, error))
		return FALSE;
	ASH_PREFIX("bundle '%s'", path);
	gboolean is_ok = open_bundle(bundle, path, error) && replace(worker, bundle, temp, error);
	ash_close_fd(&bundle->fd);
	ash_close_fd(&bundle->dir_fd);
	if (!is_ok) {
		/* What stays is worth nothing, and goes with the next one. */
		g_autoptr(GError) local = NULL;
		if (!ash_file_remove_tree(AT_FDCWD, temp, &local))
			g_debug("%s", local->message);
		return FALSE;
	}
	ash_json_add_text(result, "staging", ASH_PATH_BUNDLE);
	return TRUE;
}
