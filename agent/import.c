/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/import.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/deployment.h"
#include "agent/fault.h"
#include "lib/auto.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/json.h"

enum {
	CHUNK_BYTES = 256 << 10,
};

/* Takes what libostree's seam says into the words of the worker. */
static gboolean translate(GError **error, GError *take_cause, AshWorkerError corrupt)
{
	g_autoptr(GError) cause = take_cause;

	if (g_error_matches(cause, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT))
		return ash_throw(error, ASH_WORKER_ERROR, (int) corrupt, "%s", cause->message);
	if (g_error_matches(cause, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_NOT_FOUND))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_MISSING, "%s",
				cause->message);
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

gboolean ash_import_get_release(JsonObject *input, AshRelease **out_release, GError **error)
{
	ASH_PREFIX("reading the release");
	g_autoptr(AshRelease) release = NULL;
	JsonObject *object;

	if (!ash_json_object(input, "release", &object, error))
		return FALSE;
	char *json = json_to_string(json_object_get_member(input, "release"), FALSE);
	g_autoptr(GBytes) text = g_bytes_new_take(json, strlen(json));
	if (!ash_release_parse(text, &release, error))
		return FALSE;
	if (!ash_deployment_is_commit(release->commit))
		return ash_throw(error, ASH_TARGET_ERROR, ASH_TARGET_ERROR_SYNTAX,
				"'%s' is not a commit", release->commit);
	*out_release = g_steal_pointer(&release);
	return TRUE;
}

gboolean ash_import_compare(const AshOstreeInfo *info, const AshRelease *release, GError **error)
{
	const struct {
		const char *what, *commit, *document;
		AshWorkerError word;
	} rows[] = {
			{"name", info->name, release->name, ASH_WORKER_ERROR_UNTRUSTED},
			{"variant", info->variant, release->variant,
					ASH_WORKER_ERROR_WRONG_VARIANT},
			{"architecture", info->arch, release->arch, ASH_WORKER_ERROR_WRONG_ARCH},
			{"version", info->version, release->version, ASH_WORKER_ERROR_UNTRUSTED},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (strcmp(rows[i].commit, rows[i].document) != 0)
			return ash_throw(error, ASH_WORKER_ERROR, (int) rows[i].word,
					"commit %.12s says that its %s is '%s', the signed release "
					"says '%s'",
					release->commit, rows[i].what, rows[i].commit,
					rows[i].document);
	return TRUE;
}

gboolean ash_import_is_done(AshOstree *repo, const char *commit, bool *out_done, GError **error)
{
	g_autofree char *ref = g_strconcat(ASH_DEPLOYMENT_REF, commit, NULL);
	g_autoptr(GHashTable) refs = NULL;

	if (!ash_ostree_refs(repo, &refs, error))
		return FALSE;
	*out_done = g_strcmp0(g_hash_table_lookup(refs, ref), commit) == 0;
	return TRUE;
}

/* ---- staging --------------------------------------------------------------------------------- */

/* The directory that holds the last component of @path below staging, opened one by one. */
static gboolean open_parent(const AshWorker *worker, const char *path, int *out_fd, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	ash_autofd int fd = open(worker->staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	for (char **part = parts; fd >= 0 && part[1] != NULL; part++) {
		int next = openat(fd, *part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		ash_close_fd(&fd);
		fd = next;
	}
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_MISSING, "staged %s: %s",
				path, g_strerror(errno));
	if (fd < 0)
		return ash_throw_errno(error, "staged %s", path);
	*out_fd = g_steal_fd(&fd);
	return TRUE;
}

/* A regular file of at most @max_bytes. It may change at any time. */
static gboolean open_staged(const AshWorker *worker, const char *path, uint64_t max_bytes,
		int *out_fd, uint64_t *out_size, GError **error)
{
	g_autofree char *name = g_path_get_basename(path);
	struct stat st;
	ash_autofd int parent = -1;

	if (!open_parent(worker, path, &parent, error))
		return FALSE;
	/* O_NONBLOCK: a pipe does not keep us waiting. */
	ash_autofd int fd = openat(
			parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_MISSING,
				"%s is not in staging", path);
	if (fd < 0 && errno != ELOOP && errno != ENXIO)
		return ash_throw_errno(error, "staged %s", path);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_CORRUPT,
				"staged %s is not a regular file", path);
	if ((uint64_t) st.st_size > max_bytes)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_CORRUPT,
				"staged %s has %" G_GUINT64_FORMAT
				" bytes; what is signed allows %" G_GUINT64_FORMAT,
				path, (uint64_t) st.st_size, max_bytes);
	*out_fd = g_steal_fd(&fd);
	*out_size = (uint64_t) st.st_size;
	return TRUE;
}

/* So that the next download brings it again; whatever it is, directories included. */
static void remove_staged(const AshWorker *worker, const char *path)
{
	g_autofree char *name = g_path_get_basename(path);
	ash_autofd int parent = -1;
	g_autoptr(GError) local = NULL;

	if (!open_parent(worker, path, &parent, &local) ||
			!ash_file_remove_tree(parent, name, &local))
		g_debug("leaving staged %s: %s", path, local->message);
}

/* Reads at most @max_bytes; the file may have grown since its size was looked at. */
static gboolean read_staged(int fd, uint64_t max_bytes, GBytes **out_bytes, GError **error)
{
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

	return ash_file_read(AT_FDCWD, path, (size_t) max_bytes, out_bytes, error);
}

/* ---- objects --------------------------------------------------------------------------------- */

typedef struct {
	const AshWorker *worker;
	AshOstree *repo;
	const AshRelease *release;
	uint64_t bytes;   /* unpacked so far */
	uint64_t objects; /* brought in */
} Import;

static gboolean bring_metadata(
		Import *import, const char *object, const char *staged, GError **error)
{
	uint64_t max_bytes = MIN(import->release->largest_object_bytes,
			(uint64_t) ASH_OSTREE_MAX_METADATA_BYTES);
	g_autoptr(GBytes) bytes = NULL;
	ash_autofd int fd = -1;
	uint64_t size;

	if (!open_staged(import->worker, staged, max_bytes, &fd, &size, error) ||
			!read_staged(fd, max_bytes, &bytes, error) ||
			!ash_ostree_write_metadata(import->repo, object, bytes, error))
		return FALSE;
	import->bytes += g_bytes_get_size(bytes);
	return TRUE;
}

static gboolean bring_content(
		Import *import, const char *object, const char *staged, GError **error)
{
	const AshRelease *release = import->release;
	uint64_t left = release->bytes - MIN(release->bytes, import->bytes);
	ash_autofd int fd = -1;
	uint64_t size;
	uint64_t bytes = 0;

	if (!open_staged(import->worker, staged, release->largest_object_bytes, &fd, &size,
			    error) ||
			!ash_ostree_write_content(
					import->repo, object, fd, size, left, &bytes, error))
		return FALSE;
	import->bytes += bytes;
	return TRUE;
}

static gboolean bring(Import *import, const char *object, GError **error)
{
	bool is_file = g_str_has_suffix(object, ".file");
	g_autofree char *staged = g_strdup_printf("repo/objects/%s%s", object, is_file ? "z" : "");
	g_autoptr(GError) cause = NULL;

	ASH_FAULT("import-object");
	if (is_file ? bring_content(import, object, staged, &cause)
		    : bring_metadata(import, object, staged, &cause)) {
		import->objects++;
		return TRUE;
	}
	bool is_bad = g_error_matches(cause, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT) ||
		      g_error_matches(cause, ASH_FILE_ERROR, ASH_FILE_ERROR_TOO_BIG) ||
		      g_error_matches(cause, ASH_WORKER_ERROR, ASH_WORKER_ERROR_CORRUPT);
	if (!is_bad)
		return translate(error, g_steal_pointer(&cause), ASH_WORKER_ERROR_CORRUPT);
	remove_staged(import->worker, staged);
	return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_CORRUPT,
			"staged object is not what it should be: %s", cause->message);
}

/* Nothing is asked of staging but what objects that are proven already name. */
static gboolean bring_all(Import *import, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) todo = g_ptr_array_new();
	char *first = ash_ostree_commit_object(import->release->commit);

	g_hash_table_add(seen, first);
	g_ptr_array_add(todo, first);
	while (todo->len > 0) {
		const char *object = g_ptr_array_remove_index(todo, todo->len - 1);
		g_autoptr(GPtrArray) children = NULL;
		bool has = false;
		if (!ash_interrupt_check(error) ||
				!ash_ostree_has(import->repo, object, &has, error) ||
				(!has && !bring(import, object, error)) ||
				!ash_ostree_children(import->repo, object, &children, error))
			return FALSE;
		for (guint i = 0; i < children->len; i++)
			if (!g_hash_table_contains(seen, children->pdata[i])) {
				char *child = g_strdup(children->pdata[i]);
				g_hash_table_add(seen, child);
				g_ptr_array_add(todo, child);
			}
		ash_worker_progress("objects", g_hash_table_size(seen) - todo->len,
				g_hash_table_size(seen));
	}
	return TRUE;
}

gboolean ash_import_bring(const AshWorker *worker, AshOstree *repo, const char *commit,
		uint64_t max_bytes, GError **error)
{
	g_autofree char *name = g_strdup(commit);
	const AshRelease release = {
			.commit = name, .bytes = max_bytes, .largest_object_bytes = max_bytes};
	Import import = {.worker = worker, .repo = repo, .release = &release};

	return bring_all(&import, error);
}

/* ---- deltas ---------------------------------------------------------------------------------- */

static const AshTargetDelta *find_delta(const AshRelease *release, const char *from)
{
	for (guint i = 0; i < release->deltas->len; i++) {
		const AshTargetDelta *delta = release->deltas->pdata[i];
		if (strcmp(delta->from, from) == 0)
			return delta;
	}
	return NULL;
}

/* Copies just @bytes to @to, and hashes what it writes. */
static gboolean copy_and_hash(int from, int to, uint64_t bytes, char **out_hex, GError **error)
{
	g_autoptr(AshSha256) hash = ash_sha256_new();
	g_autofree char *chunk = g_malloc(CHUNK_BYTES);
	uint8_t digest[ASH_SHA256_BYTES];

	while (bytes > 0) {
		ssize_t n = read(from, chunk, MIN(bytes, (uint64_t) CHUNK_BYTES));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "reading the delta");
		if (n == 0)
			break;
		ash_sha256_update(hash, chunk, (size_t) n);
		if (!ash_interrupt_check(error) ||
				!ash_file_write_all(to, chunk, (size_t) n, error))
			return FALSE;
		bytes -= (uint64_t) n;
	}
	ash_sha256_finish(g_steal_pointer(&hash), digest);
	*out_hex = ash_sha256_format(digest);
	return TRUE;
}

static gboolean apply_delta(Import *import, const AshTargetDelta *delta, GError **error)
{
	g_autofree char *staged =
			g_strdup_printf("deltas/%s-%s.delta", import->release->commit, delta->from);
	g_autofree char *hex = NULL;
	g_autoptr(GError) cause = NULL;
	ash_autofd int from = -1;
	uint64_t size;

	if (!open_staged(import->worker, staged, delta->bytes, &from, &size, error))
		return FALSE;
	/* Without a name, so that it goes with this process, and nobody else can open it. */
	ash_autofd int copy = openat(import->worker->sysroot_fd, "ostree/repo/tmp",
			O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (copy < 0)
		return ash_throw_errno(error, "a temporary file in ostree/repo/tmp");
	if (!copy_and_hash(from, copy, delta->bytes, &hex, error))
		return FALSE;
	if (size != delta->bytes || strcmp(hex, delta->sha256) != 0) {
		remove_staged(import->worker, staged);
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_CORRUPT,
				"staged %s is not what was signed", staged);
	}
	ASH_FAULT("import-delta");
	if (ash_ostree_apply_delta(import->repo, copy, &cause))
		return TRUE;
	if (cause->domain == ASH_OSTREE_ERROR)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_DELTA, "%s",
				cause->message);
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

/* ---- proof ----------------------------------------------------------------------------------- */

/* Takes from @objects what commits that were proven before have as well. */
static gboolean without_proven(Import *import, GHashTable *objects, GError **error)
{
	g_autoptr(GHashTable) refs = NULL;
	GHashTableIter iter;
	gpointer key, value;

	if (!ash_ostree_refs(import->repo, &refs, error))
		return FALSE;
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		g_autoptr(GHashTable) proven = NULL;
		GHashTableIter each;
		gpointer object;
		/* Images of workloads are not read back. */
		if (g_str_has_prefix(key, "ashlar/oci/"))
			continue;
		/* What is not whole proves nothing. */
		if (!ash_ostree_objects(import->repo, value, &proven, NULL))
			continue;
		g_hash_table_iter_init(&each, proven);
		while (g_hash_table_iter_next(&each, &object, NULL))
			g_hash_table_remove(objects, object);
	}
	return TRUE;
}

/* Reads what is new back from the disk. */
static gboolean prove(Import *import, GHashTable *objects, GError **error)
{
	uint64_t total = g_hash_table_size(objects);
	uint64_t done = 0;
	GHashTableIter iter;
	gpointer object;

	g_hash_table_iter_init(&iter, objects);
	while (g_hash_table_iter_next(&iter, &object, NULL)) {
		g_autoptr(GError) cause = NULL;
		if (!ash_interrupt_check(error))
			return FALSE;
		if (!ash_ostree_verify(import->repo, object, &cause)) {
			if (g_error_matches(cause, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_CORRUPT) &&
					!ash_ostree_drop(import->repo, object, error))
				return FALSE;
			return translate(error, g_steal_pointer(&cause), ASH_WORKER_ERROR_CORRUPT);
		}
		ash_worker_progress("verify", ++done, total);
	}
	return TRUE;
}

static gboolean finish(Import *import, bool is_delta, GError **error)
{
	const AshRelease *release = import->release;
	g_autofree char *ref = g_strconcat(ASH_DEPLOYMENT_REF, release->commit, NULL);
	g_autoptr(AshOstreeInfo) info = NULL;
	g_autoptr(GHashTable) objects = NULL;
	g_autoptr(GError) cause = NULL;

	if (!ash_ostree_objects(import->repo, release->commit, &objects, &cause)) {
		if (is_delta && cause->domain == ASH_OSTREE_ERROR)
			return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_DELTA,
					"the delta does not bring all: %s", cause->message);
		return translate(error, g_steal_pointer(&cause), ASH_WORKER_ERROR_CORRUPT);
	}
	if (!ash_ostree_load_info(import->repo, release->commit, &info, error) ||
			!ash_import_compare(info, release, error) ||
			!without_proven(import, objects, error))
		return FALSE;
	if (syncfs(import->worker->sysroot_fd) < 0)
		return ash_throw_errno(error, "syncing the root");
	/* On disk: all objects, that no ref leads to. */
	ASH_FAULT("import-synced");
	if (!prove(import, objects, error))
		return FALSE;
	ASH_FAULT("import-proven");
	if (!ash_ostree_set_ref(import->repo, ref, release->commit, error))
		return FALSE;
	ASH_FAULT("import-ref");
	if (syncfs(import->worker->sysroot_fd) < 0)
		return ash_throw_errno(error, "syncing the root");
	/* On disk: the ref, so that pruning keeps them and nobody reads them back again. */
	return TRUE;
}

static gboolean get_delta(JsonObject *input, const AshRelease *release,
		const AshTargetDelta **out_delta, GError **error)
{
	const char *method, *from;
	JsonObject *object;

	if (!ash_json_text(input, "method", &method, error))
		return FALSE;
	*out_delta = NULL;
	if (strcmp(method, "delta") != 0)
		return TRUE;
	/* Only its name is taken from the order; the rest is what was signed. */
	if (!ash_json_object(input, "delta", &object, error) ||
			!ash_json_text(object, "from", &from, error))
		return FALSE;
	*out_delta = find_delta(release, from);
	if (*out_delta == NULL)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_DELTA,
				"the release has no delta from %.12s", from);
	return TRUE;
}

static gboolean bring_in(Import *import, const AshTargetDelta *delta, GError **error)
{
	if (!ash_ostree_begin(import->repo, error))
		return FALSE;
	ASH_FAULT("import-begin");
	if (delta != NULL ? !apply_delta(import, delta, error) : !bring_all(import, error)) {
		/* What was written stays for the next try of this boot: each of it is proven. */
		return FALSE;
	}
	ASH_FAULT("import-staged");
	if (!ash_ostree_commit(import->repo, error))
		return FALSE;
	ASH_FAULT("import-committed");
	return TRUE;
}

gboolean ash_import_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(AshRelease) release = NULL;
	g_autoptr(AshOstree) repo = NULL;
	const AshTargetDelta *delta = NULL;
	bool is_done = false;

	if (!ash_import_get_release(input, &release, error) ||
			!get_delta(input, release, &delta, error) ||
			!ash_ostree_open(worker->sysroot_fd, &repo, error) ||
			!ash_import_is_done(repo, release->commit, &is_done, error))
		return FALSE;
	ASH_PREFIX("importing %s (%.12s)", release->version, release->commit);
	Import import = {.worker = worker, .repo = repo, .release = release};
	if (!is_done && (!bring_in(&import, delta, error) ||
					!finish(&import, delta != NULL, error)))
		return FALSE;
	ash_json_add_uint(result, "bytes", import.bytes);
	ash_json_add_uint(result, "objects", import.objects);
	return TRUE;
}
