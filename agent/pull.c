/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/pull-object.h"
#include "agent/staging.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"

G_DEFINE_QUARK(ash_pull_error, ash_pull_error)

enum {
	PARALLEL = 8,
	BATCH = 256, /* objects that are asked for in one run */
	SLACK_BYTES = 16 << 20,
	SLACK_OBJECTS = 64,
	MAX_OBJECTS = 4 << 20,
};

/* Objects are told apart by a character for the kind and the checksum: "1ab…". */
typedef struct {
	const AshSource *source;
	int sysroot_fd; /* the host's repository's objects/; -1: there is none */
	uint64_t max_objects;
	GHashTable *seen;    /* every object of the commit that is known so far; owns the keys */
	GPtrArray *metadata; /* of these, still to be looked into: borrowed keys */
	GPtrArray *content;  /* of these, content objects: borrowed keys */
	bool is_too_much;
} Pull;

static AshObjectKind key_kind(const char *key)
{
	return (AshObjectKind) (key[0] - '0');
}

static char *key_path(const char *key, bool is_archive)
{
	return ash_object_path(key_kind(key), key + 1, is_archive);
}

/* AshObjectVisit */
static void discover(AshObjectKind kind, const char *checksum, gpointer data)
{
	Pull *pull = data;
	char *key = g_strdup_printf("%c%s", '0' + (int) kind, checksum);

	if (g_hash_table_contains(pull->seen, key)) {
		g_free(key);
		return;
	}
	if (g_hash_table_size(pull->seen) >= pull->max_objects) {
		pull->is_too_much = true;
		g_free(key);
		return;
	}
	g_hash_table_add(pull->seen, key);
	g_ptr_array_add(kind == ASH_OBJECT_FILE ? pull->content : pull->metadata, key);
}

/* ---- what is there --------------------------------------------------------------------------- */

static bool host_has(const Pull *pull, const char *key)
{
	g_autofree char *path = key_path(key, false);

	return pull->sysroot_fd >= 0 &&
	       faccessat(pull->sysroot_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool staging_has(const Pull *pull, const char *key)
{
	g_autofree char *path = key_path(key, true);
	g_autofree char *below = g_strconcat("repo/objects/", path, NULL);

	return faccessat(pull->source->staging_fd, below, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Metadata of that name, if its bytes are what the name says. */
static GBytes *load_from(int dirfd, const char *path, const char *key)
{
	g_autoptr(GBytes) bytes = NULL;

	if (!ash_staging_read(dirfd, path, ASH_OBJECT_MAX_METADATA_BYTES, &bytes, NULL))
		return NULL;
	g_autofree char *hex =
			ash_sha256_hex(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
	return g_str_equal(hex, key + 1) ? g_steal_pointer(&bytes) : NULL;
}

/* NULL when it has to be fetched. */
static GBytes *load_metadata(const Pull *pull, const char *key)
{
	g_autofree char *path = key_path(key, true);
	g_autofree char *below = g_strconcat("repo/objects/", path, NULL);
	GBytes *bytes = NULL;

	if (pull->sysroot_fd >= 0)
		bytes = load_from(pull->sysroot_fd, path, key);
	if (bytes == NULL)
		bytes = load_from(pull->source->staging_fd, below, key);
	return bytes;
}

/* ---- fetching -------------------------------------------------------------------------------- */

/* What is received lies in incoming/ until it is proven, so that a name in repo/ is a promise. */
static char *incoming_path(const AshSource *source, const char *key)
{
	return g_strdup_printf("%s/incoming/%s.%s", source->staging, key + 1,
			ash_object_suffix(key_kind(key), true));
}

static gboolean accept_object(const Pull *pull, const char *key, GError **error)
{
	const AshSource *source = pull->source;
	g_autofree char *from = incoming_path(source, key);
	g_autofree char *path = key_path(key, true);
	g_autofree char *to = g_strconcat("repo/objects/", path, NULL);
	g_autofree char *dir = g_path_get_dirname(to);

	ASH_PREFIX("object %s", path);
	if (!ash_staging_check_space(source->staging_fd, 0, error))
		return FALSE;
	if (key_kind(key) == ASH_OBJECT_FILE) {
		ash_autofd int fd = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return ash_throw_errno(error, "%s", from);
		if (!ash_object_check_file(fd, key + 1, source->order->release->bytes, error)) {
			unlink(from);
			return FALSE;
		}
	}
	/* The bytes were synced before they got the name in incoming/ (lib/fetch.h). */
	if (!ash_file_ensure_dir(source->staging_fd, dir, 0755, error))
		return FALSE;
	if (renameat(AT_FDCWD, from, source->staging_fd, to) < 0)
		return ash_throw_errno(error, "renaming %s", from);
	return TRUE;
}

typedef struct {
	const Pull *pull;
	GPtrArray *keys;
} Batch;

/* AshFetchDone */
static gboolean on_object(size_t index, gpointer data, GError **error)
{
	const Batch *batch = data;

	return accept_object(batch->pull, g_ptr_array_index(batch->keys, index), error);
}

typedef struct {
	char *dest, *uri, *what;
	const char *uris[2];
} Names;

static void names_clear(gpointer data)
{
	Names *names = data;

	g_free(names->dest);
	g_free(names->uri);
	g_free(names->what);
}

static uint64_t object_max(const AshRelease *release, AshObjectKind kind)
{
	if (kind != ASH_OBJECT_FILE)
		return ASH_OBJECT_MAX_METADATA_BYTES;
	return MAX(release->largest_object_bytes, 1);
}

static gboolean fetch_batch(const Pull *pull, GPtrArray *keys, GError **error)
{
	const AshSource *source = pull->source;
	g_autoptr(GArray) all = g_array_sized_new(FALSE, TRUE, sizeof(Names), keys->len);
	g_autofree AshFetchItem *items = g_new0(AshFetchItem, keys->len);
	Batch batch = {.pull = pull, .keys = keys};

	if (!ash_staging_check_space(source->staging_fd, 0, error))
		return FALSE;
	g_array_set_clear_func(all, names_clear);
	g_array_set_size(all, keys->len);
	for (guint i = 0; i < keys->len; i++) {
		const char *key = g_ptr_array_index(keys, i);
		g_autofree char *path = key_path(key, true);
		Names *names = &g_array_index(all, Names, i);
		names->dest = incoming_path(source, key);
		names->uri = ash_source_uri(source, "repo/objects/%s", path);
		names->what = g_strconcat("object ", path, NULL);
		names->uris[0] = names->uri;
		items[i] = (AshFetchItem){.uris = names->uris,
				.dest = names->dest,
				/* Of content, the name is not the hash of what is sent. */
				.sha256 = key_kind(key) == ASH_OBJECT_FILE ? NULL : key + 1,
				.max_bytes = object_max(source->order->release, key_kind(key)),
				.what = names->what};
	}
	return ash_fetch_session_run(
			source->session, items, keys->len, PARALLEL, on_object, &batch, error);
}

/* @keys, in runs of BATCH. */
static gboolean fetch_all(const Pull *pull, GPtrArray *keys, GError **error)
{
	for (guint i = 0; i < keys->len; i += BATCH) {
		g_autoptr(GPtrArray) some = g_ptr_array_new();
		for (guint k = i; k < keys->len && k < i + BATCH; k++)
			g_ptr_array_add(some, g_ptr_array_index(keys, k));
		if (!fetch_batch(pull, some, error))
			return FALSE;
	}
	return TRUE;
}

/* ---- the commit ------------------------------------------------------------------------------ */

static gboolean look_into(Pull *pull, const char *key, GBytes *bytes, GError **error)
{
	if (key_kind(key) == ASH_OBJECT_DIRMETA)
		return TRUE;
	if (!ash_object_visit(key_kind(key), bytes, discover, pull, error)) {
		g_prefix_error(error, "object %s: ", key + 1);
		return FALSE;
	}
	if (pull->is_too_much)
		return ash_throw(error, ASH_PULL_ERROR, ASH_PULL_ERROR_TOO_BIG,
				"the commit has more than the %" G_GUINT64_FORMAT
				" objects that its release allows",
				pull->max_objects);
	return TRUE;
}

/* One level of the tree: looks into what is there, fetches the rest, and looks into that. */
static gboolean walk_level(Pull *pull, GPtrArray *level, GError **error)
{
	g_autoptr(GPtrArray) missing = g_ptr_array_new();

	for (guint i = 0; i < level->len; i++) {
		char *key = g_ptr_array_index(level, i);
		g_autoptr(GBytes) bytes = load_metadata(pull, key);
		if (bytes == NULL)
			g_ptr_array_add(missing, key);
		else if (!look_into(pull, key, bytes, error))
			return FALSE;
	}
	if (!fetch_all(pull, missing, error))
		return FALSE;
	for (guint i = 0; i < missing->len; i++) {
		const char *key = g_ptr_array_index(missing, i);
		g_autoptr(GBytes) bytes = load_metadata(pull, key);
		if (bytes == NULL)
			return ash_throw(error, ASH_OBJECT_ERROR, ASH_OBJECT_ERROR_MISMATCH,
					"object %s cannot be read back", key + 1);
		if (!look_into(pull, key, bytes, error))
			return FALSE;
	}
	return ash_interrupt_check(error);
}

static gboolean walk(Pull *pull, GError **error)
{
	discover(ASH_OBJECT_COMMIT, pull->source->order->release->commit, pull);
	while (pull->metadata->len > 0) {
		g_autoptr(GPtrArray) level = g_steal_pointer(&pull->metadata);
		pull->metadata = g_ptr_array_new();
		if (!walk_level(pull, level, error))
			return FALSE;
	}
	return TRUE;
}

/* Below objects/: "ab/cdef….filez" */
static bool is_of_commit(const char *path, gconstpointer data)
{
	const Pull *pull = data;
	const char *dot = strrchr(path, '.');

	if (dot == NULL || dot - path != ASH_SHA256_HEX + 1)
		return false;
	for (int kind = ASH_OBJECT_COMMIT; kind <= ASH_OBJECT_FILE; kind++) {
		if (!g_str_equal(dot + 1, ash_object_suffix((AshObjectKind) kind, true)))
			continue;
		g_autofree char *key = g_strdup_printf("%c%.2s%.62s", '0' + kind, path, path + 3);
		return g_hash_table_contains(pull->seen, key);
	}
	return false;
}

static bool keeps_named(const char *path, gconstpointer name)
{
	return g_str_has_prefix(path, name);
}

static bool keeps_none(const char *path, gconstpointer data)
{
	return false;
}

static gboolean pull_objects(Pull *pull, GError **error)
{
	const AshSource *source = pull->source;
	g_autoptr(GPtrArray) missing = g_ptr_array_new();

	if (!ash_staging_prune(source->staging_fd, "deltas", keeps_none, NULL, error) ||
			!ash_staging_init_repo(source->staging_fd, error) || !walk(pull, error))
		return FALSE;
	/* Now, so that an older release's objects and these never lie there together. */
	if (!ash_staging_prune(source->staging_fd, "repo/objects", is_of_commit, pull, error))
		return FALSE;
	for (guint i = 0; i < pull->content->len; i++) {
		char *key = g_ptr_array_index(pull->content, i);
		if (!host_has(pull, key) && !staging_has(pull, key))
			g_ptr_array_add(missing, key);
	}
	return fetch_all(pull, missing, error);
}

/* ---- deltas ---------------------------------------------------------------------------------- */

static gboolean pull_delta(const AshSource *source, GError **error)
{
	const AshTargetDelta *delta = source->order->delta;
	g_autofree char *name =
			g_strdup_printf("%s-%s.delta", source->order->release->commit, delta->from);
	g_autofree char *below = g_strconcat("deltas/", name, NULL);
	g_autofree char *dest = g_build_filename(source->staging, below, NULL);
	g_autofree char *uri = ash_source_uri(source, "repo/%s", delta->path);
	const char *const uris[] = {uri, NULL};
	const AshFetchItem item = {.uris = uris,
			.dest = dest,
			.sha256 = delta->sha256,
			.size = delta->bytes,
			.what = "delta"};
	ash_autofd int fd = -1;

	if (!ash_file_ensure_dir(source->staging_fd, "deltas", 0755, error) ||
			!ash_staging_prune(
					source->staging_fd, "deltas", keeps_named, name, error) ||
			!ash_file_remove_tree(source->staging_fd, "repo", error))
		return FALSE;
	/* It got its name when it was whole and right. */
	if (ash_staging_open_file(source->staging_fd, below, delta->bytes, &fd, NULL))
		return TRUE;
	if (!ash_staging_check_space(source->staging_fd, delta->bytes, error))
		return FALSE;
	return ash_fetch_session_run(source->session, &item, 1, 1, NULL, NULL, error);
}

/* ---- both ------------------------------------------------------------------------------------ */

uint64_t ash_pull_estimate(const AshOrder *order)
{
	if (order->delta != NULL)
		return order->delta->bytes;
	for (guint i = 0; i < order->release->deltas->len; i++) {
		const AshTargetDelta *delta = g_ptr_array_index(order->release->deltas, i);
		if (g_str_equal(delta->from, order->commit))
			return delta->object_bytes;
	}
	return order->release->archive_bytes;
}

static int open_host_objects(const AshSource *source)
{
	g_autofree char *path = g_build_filename(source->sysroot, "ostree/repo/objects", NULL);

	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

gboolean ash_pull(const AshSource *source, GError **error)
{
	const AshRelease *release = source->order->release;

	/* What broke off lies there as *.part of metadata, which is small; content cannot be resumed. */
	if (!ash_file_ensure_dir(source->staging_fd, "incoming", 0755, error) ||
			!ash_staging_prune(source->staging_fd, "incoming", keeps_none, NULL, error))
		return FALSE;
	if (source->order->delta != NULL)
		return pull_delta(source, error);
	ash_autofd int sysroot_fd = open_host_objects(source);
	/* Each inode has one content object or one tree and one meta at most. */
	Pull pull = {.source = source,
			.sysroot_fd = sysroot_fd,
			.max_objects = MIN(2 * release->inodes + SLACK_OBJECTS, MAX_OBJECTS),
			.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
			.metadata = g_ptr_array_new(),
			.content = g_ptr_array_new()};
	ash_fetch_session_set_budget(source->session,
			release->archive_bytes + release->archive_bytes / 8 + SLACK_BYTES);
	gboolean is_ok = ash_staging_check_space(source->staging_fd, 0, error) &&
			 pull_objects(&pull, error);
	g_ptr_array_unref(pull.content);
	g_ptr_array_unref(pull.metadata);
	g_hash_table_unref(pull.seen);
	return is_ok;
}
