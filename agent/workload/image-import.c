/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/image-import.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/fault.h"
#include "agent/import.h"
#include "agent/paths.h"
#include "agent/staging.h"
#include "agent/workload/image-ahead.h"
#include "agent/workload/image-archive.h"
#include "agent/workload/image-blob.h"
#include "agent/workload/image-private.h"
#include "agent/workload/layer.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/json.h"
#include "lib/text.h"

enum {
	/* Headers and padding of a tar, beside its files. */
	TAR_OVERHEAD_BYTES = 1 << 30,
	/* After so many it is looked whether there is room. */
	STEP_BYTES = 32 << 20,
};

/* ---- layers -------------------------------------------------------------------------------------- */

/* A layer takes no more of the disk than leaves some for the host. */
static gboolean check_room(const AshImageImport *import, uint64_t unpacked, GError **error)
{
	struct statvfs fs;

	if (!ash_interrupt_check(error) ||
			!ash_staging_check_space(import->worker->sysroot_fd, 0, error))
		return FALSE;
	if (fstatvfs(import->worker->sysroot_fd, &fs) < 0)
		return ash_throw_errno(error, "the root's file system");
	/* Some file systems do not count them. */
	if (fs.f_files != 0 && fs.f_ffree < fs.f_files / 100 * ASH_STAGING_FREE_PERCENT)
		return ash_throw(error, ASH_WORKER_ERROR, ASH_WORKER_ERROR_SPACE,
				"less than %d %% of the inodes would stay free",
				ASH_STAGING_FREE_PERCENT);
	ash_worker_progress("unpack", import->unpacked_bytes + unpacked, 0);
	return TRUE;
}

char *ash_image_notes_format(const AshLayerNotes *notes)
{
	g_autoptr(GString) text = g_string_new(NULL);

	if (notes->devices > 0) {
		g_string_append_printf(text, "%" G_GUINT64_FORMAT " devices, pipes or sockets (",
				notes->devices);
		for (guint i = 0; i < notes->names->len; i++)
			g_string_append_printf(text, "%s%.60s", i > 0 ? ", " : "",
					(const char *) notes->names->pdata[i]);
		g_string_append(text, notes->devices > notes->names->len ? ", …)" : ")");
	}
	if (notes->xattrs > 0)
		g_string_append_printf(text, "%s%" G_GUINT64_FORMAT " extended attributes",
				text->len > 0 ? ", " : "", notes->xattrs);
	/* Names may have been cut in the middle of a character. */
	g_autofree char *raw = g_string_free(g_steal_pointer(&text), FALSE);
	return g_utf8_make_valid(raw, -1);
}

static gboolean write_layer(AshImageImport *import, const char *diff_id, AshImageTree *tree,
		uint64_t bytes, const char *notes, GError **error)
{
	g_autofree char *dirtree = NULL;
	g_autofree char *dirmeta = NULL;
	char *commit = NULL;
	AshImageCount count = {0};
	GVariantDict metadata;

	if (!ash_image_tree_write(tree, &import->store, &count, &dirtree, &dirmeta, error))
		return FALSE;
	g_variant_dict_init(&metadata, NULL);
	g_variant_dict_insert(&metadata, ASH_IMAGE_KEY_BYTES, "t", bytes);
	g_variant_dict_insert(&metadata, ASH_IMAGE_KEY_NOTES, "s", notes);
	if (!ash_ostree_make_commit(import->repo, dirtree, dirmeta, g_variant_dict_end(&metadata),
			    &commit, error))
		return FALSE;
	g_hash_table_replace(import->layers, g_strdup(diff_id), commit);
	return TRUE;
}

typedef struct {
	const AshImageImport *import;
	AshImageBlob *blob;
	AshImageAhead *ahead;
	uint64_t unpacked, stepped;
} Stream;

/* AshArchiveSource */
static gboolean read_stream(gpointer data, const void **out_data, size_t *out_size, GError **error)
{
	Stream *stream = data;

	if (!ash_image_ahead_source(stream->ahead, out_data, out_size, error))
		return FALSE;
	ash_image_blob_hash(stream->blob, *out_data, *out_size);
	stream->unpacked += *out_size;
	if (stream->unpacked - stream->stepped < STEP_BYTES)
		return TRUE;
	stream->stepped = stream->unpacked;
	return check_room(stream->import, stream->unpacked, error);
}

/* What is behind the end of the tar counts for its digest. */
static gboolean read_rest(Stream *stream, GError **error)
{
	const void *data = NULL;
	size_t size = 1;

	while (size > 0)
		if (!read_stream(stream, &data, &size, error))
			return FALSE;
	return TRUE;
}

/* Inflated by one thread, hashed and written by this one: about the same work for both. */
static gboolean unpack_stream(AshImageImport *import, AshImageBlob *blob, AshLayerNotes *notes,
		AshImageTree **out_tree, uint64_t *out_bytes, GError **error)
{
	g_autoptr(AshImageAhead) ahead = NULL;

	if (!ash_image_ahead_new(ash_image_blob_source, blob, &ahead, error))
		return FALSE;
	Stream stream = {.import = import, .blob = blob, .ahead = ahead};
	return ash_layer_unpack(read_stream, &stream, import->left_bytes, &import->store, notes,
			       out_tree, out_bytes, error) &&
	       read_rest(&stream, error);
}

static gboolean unpack(
		AshImageImport *import, const char *diff_id, AshImageBlob *blob, GError **error)
{
	g_autoptr(AshImageTree) tree = NULL;
	uint64_t bytes = 0;
	AshLayerNotes notes;

	if (!check_room(import, 0, error))
		return FALSE;
	ash_layer_notes_init(&notes);
	gboolean is_ok = unpack_stream(import, blob, &notes, &tree, &bytes, error) &&
			 ash_image_blob_finish(blob, error);
	g_autofree char *said = ash_image_notes_format(&notes);
	ash_layer_notes_clear(&notes);
	if (!is_ok)
		return FALSE;
	import->left_bytes -= bytes;
	import->unpacked_bytes += bytes;
	import->unpacked++;
	return write_layer(import, diff_id, tree, bytes, said, error);
}

gboolean ash_image_unpack_blob(
		AshImageImport *import, const char *diff_id, AshImageBlob *blob, GError **error)
{
	g_autoptr(GError) cause = NULL;

	if (unpack(import, diff_id, blob, &cause))
		return TRUE;
	bool is_ours = cause->domain == G_IO_ERROR || cause->domain == ASH_WORKER_ERROR ||
		       cause->domain == ASH_STAGING_ERROR;
	if (!is_ours && !ash_image_blob_is_sound(blob))
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_CORRUPT,
				"the layer is not the one that was named (%s)", cause->message);
	g_propagate_error(error, g_steal_pointer(&cause));
	return FALSE;
}

gboolean ash_image_has_layer(
		AshImageImport *import, const char *diff_id, bool *out_has, GError **error)
{
	g_autofree char *ref = g_strconcat(ASH_IMAGE_LAYER_REF, diff_id, NULL);
	const char *commit = g_hash_table_lookup(import->refs, ref);
	bool has = false;

	*out_has = g_hash_table_contains(import->layers, diff_id);
	if (*out_has || commit == NULL)
		return TRUE;
	g_autofree char *object = ash_ostree_commit_object(commit);
	if (!ash_ostree_has(import->repo, object, &has, error))
		return FALSE;
	if (has)
		g_hash_table_replace(import->layers, g_strdup(diff_id), g_strdup(commit));
	*out_has = has;
	return TRUE;
}

uint64_t ash_image_max_stream(const AshImageImport *import)
{
	return import->left_bytes + MIN(import->left_bytes, TAR_OVERHEAD_BYTES);
}

/* ---- blobs of a layout --------------------------------------------------------------------------- */

static char *blob_path(const AshImageImport *import, const char *sha256)
{
	return g_strconcat(import->blobs, sha256, NULL);
}

static gboolean read_document(AshImageImport *import, const char *sha256, uint64_t size,
		size_t max_bytes, GBytes **out_bytes, GError **error)
{
	g_autofree char *path = blob_path(import, sha256);

	return ash_image_blob_read(import->dir_fd, path, sha256, size, max_bytes, out_bytes, error);
}

/* From an index, through indices in it, to the manifest of this machine. */
static gboolean find_manifest(
		AshImageImport *import, const char *sha256, AshOciManifest **out, GError **error)
{
	g_autofree char *at = g_strdup(sha256);
	uint64_t size = 0;

	for (int depth = 0; depth <= ASH_OCI_MAX_NESTING; depth++) {
		g_autoptr(GBytes) text = NULL;
		g_autoptr(AshOciIndex) index = NULL;
		const AshOciDescriptor *entry = NULL;
		bool is_index = false;
		if (!read_document(import, at, size, ASH_OCI_MAX_MANIFEST_BYTES, &text, error) ||
				!ash_oci_is_index(text, &is_index, error))
			return FALSE;
		if (!is_index) {
			if (!ash_oci_manifest_parse(text, out, error))
				return FALSE;
			import->digest = g_steal_pointer(&at);
			return TRUE;
		}
		if (!ash_oci_index_parse(text, &index, error) ||
				!ash_oci_index_choose(index, NULL, import->arch, &entry, error))
			return FALSE;
		g_free(at);
		at = g_strdup(entry->sha256);
		size = entry->size;
	}
	return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_LIMIT,
			"indices in indices, more than %d deep", ASH_OCI_MAX_NESTING);
}

static gboolean import_layer(AshImageImport *import, const AshOciDescriptor *layer,
		const char *diff_id, GError **error)
{
	ASH_PREFIX("layer %.12s", layer->sha256);
	g_autofree char *path = blob_path(import, layer->sha256);
	g_autoptr(AshImageBlob) blob = NULL;
	bool has = false;

	if (!ash_image_has_layer(import, diff_id, &has, error))
		return FALSE;
	return has || (ash_image_blob_open(import->dir_fd, path, layer->sha256, layer->size,
				       diff_id, ash_image_max_stream(import), &blob, error) &&
				      ash_image_unpack_blob(import, diff_id, blob, error));
}

/* Is every blob there that will be asked for? Found before anything is written. */
static gboolean check_blobs(AshImageImport *import, const AshOciManifest *manifest, GError **error)
{
	for (guint i = 0; i < manifest->layers->len; i++) {
		const AshOciDescriptor *layer = manifest->layers->pdata[i];
		g_autofree char *path = blob_path(import, layer->sha256);
		bool is_there = false, has = false;
		if (!ash_image_has_layer(import, import->config->diff_ids[i], &has, error) ||
				(!has && !ash_file_exists(import->dir_fd, path, &is_there, error)))
			return FALSE;
		if (!has && !is_there)
			return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_MISSING,
					"layer %.12s is not there", layer->sha256);
	}
	return TRUE;
}

static gboolean import_layout(AshImageImport *import, const char *sha256, GError **error)
{
	g_autoptr(AshOciManifest) manifest = NULL;

	if (!find_manifest(import, sha256, &manifest, error) ||
			!read_document(import, manifest->config->sha256, manifest->config->size,
					ASH_OCI_MAX_CONFIG_BYTES, &import->config_text, error) ||
			!ash_oci_config_parse(import->config_text, &import->config, error) ||
			!ash_oci_config_check(import->config, import->arch, error))
		return FALSE;
	if (g_strv_length(import->config->diff_ids) != manifest->layers->len)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX,
				"the config names %u layers, the manifest %u",
				g_strv_length(import->config->diff_ids), manifest->layers->len);
	if (!check_blobs(import, manifest, error))
		return FALSE;
	for (guint i = 0; i < manifest->layers->len; i++) {
		if (!import_layer(import, manifest->layers->pdata[i], import->config->diff_ids[i],
				    error))
			return FALSE;
		ash_worker_progress("layers", i + 1, manifest->layers->len);
	}
	return TRUE;
}

/* ---- where it comes from ------------------------------------------------------------------------- */

/* Another place is asked for the same image. */
static void forget_documents(AshImageImport *import)
{
	g_clear_pointer(&import->digest, g_free);
	g_clear_pointer(&import->config, ash_oci_config_free);
	g_clear_pointer(&import->config_text, g_bytes_unref);
}

static gboolean open_dir(AshImageImport *import, const char *path, GError **error)
{
	import->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (import->dir_fd >= 0)
		return TRUE;
	if (errno == ENOENT || errno == ENOTDIR)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_MISSING, "%s: %s", path,
				g_strerror(errno));
	return ash_throw_errno(error, "%s", path);
}

/* A question: is there a bundle, and the image's first document, @path, in it? */
static gboolean open_bundle(AshImageImport *import, const char *path, bool *out_has, GError **error)
{
	g_autofree char *dir = ash_worker_path(import->worker, ASH_PATH_BUNDLE);

	*out_has = false;
	import->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (import->dir_fd < 0)
		return errno == ENOENT || ash_throw_errno(error, "%s", dir);
	return ash_file_exists(import->dir_fd, path, out_has, error);
}

/* Of a bundle when there is one that has it: what the network would bring is the same or wrong. A bundle with less than
 * all of it, or which was damaged since, is as good as none.
 */
static gboolean import_registry(AshImageImport *import, GError **error)
{
	const char *sha256 = ash_oci_digest_find(import->asked);
	g_autoptr(GError) cause = NULL;
	bool has = false;

	import->blobs = "oci/blobs/sha256/";
	if (sha256 == NULL)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_REF,
				"an image of a registry is imported by its digest");
	g_autofree char *path = blob_path(import, sha256);
	if (!open_bundle(import, path, &has, error))
		return FALSE;
	if (has && import_layout(import, sha256, &cause))
		return TRUE;
	if (has && !g_error_matches(cause, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_MISSING) &&
			!g_error_matches(cause, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_CORRUPT)) {
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	if (has)
		g_message("the image is in the bundle, but: %s", cause->message);
	forget_documents(import);
	ash_close_fd(&import->dir_fd);
	return ash_staging_open(import->worker->staging, &import->dir_fd, error) &&
	       import_layout(import, sha256, error);
}

static gboolean import_dir(AshImageImport *import, GError **error)
{
	const char *asked = ash_oci_digest_find(import->asked);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshOciIndex) index = NULL;
	const AshOciDescriptor *entry = NULL;

	import->blobs = "blobs/sha256/";
	if (!open_dir(import, import->location, error))
		return FALSE;
	if (asked != NULL)
		return import_layout(import, asked, error);
	if (!ash_image_blob_read(import->dir_fd, "index.json", NULL, 0, ASH_OCI_MAX_MANIFEST_BYTES,
			    &text, error) ||
			!ash_oci_index_parse(text, &index, error) ||
			!ash_oci_index_choose(index, import->tag, import->arch, &entry, error))
		return FALSE;
	g_autofree char *sha256 = g_strdup(entry->sha256);
	return import_layout(import, sha256, error);
}

/* An image of the publication comes to a host before its definition is run, but from a bundle perhaps not: when a
 * release came along the host may have gone to that first. The commit is proof enough of its objects.
 */
static gboolean bring_bundled(AshImageImport *import, const char *commit, GError **error)
{
	g_autofree char *object = ash_ostree_commit_object(commit);
	g_autofree char *path = g_strconcat("repo/objects/", object, NULL);
	AshWorker worker = *import->worker;
	bool has = false;

	if (!open_bundle(import, path, &has, error))
		return FALSE;
	if (!has)
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_MISSING,
				"commit %.12s is not in the repository", commit);
	g_autofree char *staging = ash_worker_path(import->worker, ASH_PATH_BUNDLE);
	worker.staging = staging;
	return ash_import_bring(&worker, import->repo, commit, import->left_bytes, error);
}

/* What is in the repository needs no more than a name that keeps it. */
static gboolean import_ostree(AshImageImport *import, GError **error)
{
	const char *commit = *import->asked != '\0'
					     ? import->asked
					     : g_hash_table_lookup(import->refs, import->location);
	bool has = false;

	if (commit == NULL || !ash_text_is_sha256(commit))
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_MISSING,
				"the repository has no ref '%s'", import->location);
	g_autofree char *object = ash_ostree_commit_object(commit);
	if (!ash_ostree_has(import->repo, object, &has, error))
		return FALSE;
	if (!has && !bring_bundled(import, commit, error))
		return FALSE;
	g_autoptr(GHashTable) objects = NULL;
	if (!ash_ostree_objects(import->repo, commit, &objects, error))
		return FALSE;
	import->commit = g_strdup(commit);
	import->digest = g_strdup(commit);
	return TRUE;
}

static const struct {
	const char *kind;
	gboolean (*import)(AshImageImport *import, GError **error);
} kinds[] = {
		{"oci", import_registry},
		{"oci-dir", import_dir},
		{"docker-archive", ash_image_import_archive},
		{"ostree", import_ostree},
};

/* ---- the image ----------------------------------------------------------------------------------- */

/* Of all layers, what they are and what was left out of them. */
static gboolean read_layer(AshImageImport *import, const char *commit, AshImageTree **out_tree,
		GString *notes, GError **error)
{
	g_autofree char *dirtree = NULL;
	g_autofree char *dirmeta = NULL;
	g_autoptr(GVariant) metadata = NULL;
	const char *said = "";

	if (!ash_ostree_load_commit(import->repo, commit, &dirtree, &dirmeta, &metadata, error))
		return FALSE;
	g_variant_lookup(metadata, ASH_IMAGE_KEY_NOTES, "&s", &said);
	if (*said != '\0' && notes->len < ASH_IMAGE_MAX_NOTES_BYTES)
		g_string_append_printf(notes, "%s%s", notes->len > 0 ? "; " : "", said);
	*out_tree = ash_image_tree_new(dirtree, dirmeta);
	return TRUE;
}

static gboolean write_image(AshImageImport *import, GError **error)
{
	g_autoptr(AshImageTree) image = ash_image_tree_new(NULL, NULL);
	g_autoptr(GString) notes = g_string_new(NULL);
	g_autofree char *dirtree = NULL;
	g_autofree char *dirmeta = NULL;
	AshImageCount count = {0};
	GVariantDict metadata;

	for (char **id = import->config->diff_ids; *id != NULL; id++) {
		ASH_PREFIX("layer %.12s", *id);
		g_autoptr(AshImageTree) layer = NULL;
		if (!read_layer(import, g_hash_table_lookup(import->layers, *id), &layer, notes,
				    error) ||
				!ash_image_tree_apply(image, layer, &import->store, error))
			return FALSE;
	}
	if (!ash_image_tree_write(image, &import->store, &count, &dirtree, &dirmeta, error))
		return FALSE;
	g_variant_dict_init(&metadata, NULL);
	g_variant_dict_insert(&metadata, ASH_IMAGE_KEY_MANIFEST, "s", import->digest);
	g_variant_dict_insert(&metadata, ASH_IMAGE_KEY_LAYERS, "^as", import->config->diff_ids);
	g_variant_dict_insert(&metadata, ASH_IMAGE_KEY_CONFIG, "s",
			(const char *) g_bytes_get_data(import->config_text, NULL));
	g_variant_dict_insert(&metadata, ASH_IMAGE_KEY_NOTES, "s", notes->str);
	return ash_ostree_make_commit(import->repo, dirtree, dirmeta, g_variant_dict_end(&metadata),
			&import->commit, error);
}

static gboolean set_ref(AshImageImport *import, const char *kind, const char *hex, GError **error)
{
	g_autofree char *ref = g_strconcat(kind, hex, NULL);
	const char *commit = strcmp(kind, ASH_IMAGE_REF) == 0
					     ? import->commit
					     : g_hash_table_lookup(import->layers, hex);

	return g_strcmp0(g_hash_table_lookup(import->refs, ref), commit) == 0 ||
	       ash_ostree_set_ref(import->repo, ref, commit, error);
}

/* The image's last: who finds it finds everything. */
static gboolean set_refs(AshImageImport *import, GError **error)
{
	const char *asked = ash_oci_digest_find(import->asked);
	GHashTableIter iter;
	gpointer id;

	g_hash_table_iter_init(&iter, import->layers);
	while (g_hash_table_iter_next(&iter, &id, NULL))
		if (!set_ref(import, ASH_IMAGE_LAYER_REF, id, error))
			return FALSE;
	ASH_FAULT("image-refs");
	if ((asked != NULL && !set_ref(import, ASH_IMAGE_REF, asked, error)) ||
			!set_ref(import, ASH_IMAGE_REF, import->digest, error))
		return FALSE;
	if (syncfs(import->worker->sysroot_fd) < 0)
		return ash_throw_errno(error, "syncing the root");
	return TRUE;
}

/* Users of the host are not to reach what the image's files may do: set-user-ID works for everybody. */
static gboolean protect_objects(const AshWorker *worker, GError **error)
{
	struct stat staging;
	ash_autofd int fd = openat(worker->sysroot_fd, "ostree/repo/objects",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool has_group = lstat(worker->staging, &staging) == 0 && S_ISDIR(staging.st_mode);

	if (fd < 0)
		return ash_throw_errno(error, "ostree/repo/objects");
	if (fchown(fd, 0, has_group ? staging.st_gid : 0) < 0 || fchmod(fd, 0750) < 0)
		return ash_throw_errno(error, "protecting ostree/repo/objects");
	return TRUE;
}

static gboolean bring(AshImageImport *import, GError **error)
{
	size_t kind = 0;

	while (kind < G_N_ELEMENTS(kinds) && strcmp(kinds[kind].kind, import->kind) != 0)
		kind++;
	if (kind == G_N_ELEMENTS(kinds))
		return ash_throw(error, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_REF, "images are not '%s'",
				import->kind);
	if (!protect_objects(import->worker, error) || !ash_ostree_begin(import->repo, error))
		return FALSE;
	ASH_FAULT("image-begin");
	if (!kinds[kind].import(import, error))
		return FALSE;
	ASH_FAULT("image-layers");
	if (import->commit == NULL && !write_image(import, error))
		return FALSE;
	ASH_FAULT("image-staged");
	if (!ash_ostree_commit_together(import->repo, error))
		return FALSE;
	ASH_FAULT("image-committed");
	return set_refs(import, error);
}

/* An image that is here already, by the digest that was asked for. */
static gboolean find_done(AshImageImport *import, GError **error)
{
	const char *asked = ash_oci_digest_find(import->asked);
	bool has = false;

	if (asked == NULL)
		return TRUE;
	g_autofree char *ref = g_strconcat(ASH_IMAGE_REF, asked, NULL);
	const char *commit = g_hash_table_lookup(import->refs, ref);
	if (commit == NULL)
		return TRUE;
	g_autofree char *object = ash_ostree_commit_object(commit);
	if (!ash_ostree_has(import->repo, object, &has, error))
		return FALSE;
	if (has)
		import->commit = g_strdup(commit);
	return TRUE;
}

/* ---- the verb ------------------------------------------------------------------------------------ */

gboolean ash_image_translate(GError **error, GError *take_cause)
{
	g_autoptr(GError) cause = take_cause;
	AshWorkerError word = ASH_WORKER_ERROR_IMAGE;

	if (g_error_matches(cause, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_CORRUPT))
		word = ASH_WORKER_ERROR_CORRUPT;
	else if (g_error_matches(cause, ASH_IMAGE_ERROR, ASH_IMAGE_ERROR_MISSING) ||
			g_error_matches(cause, ASH_OSTREE_ERROR, ASH_OSTREE_ERROR_NOT_FOUND))
		word = ASH_WORKER_ERROR_MISSING;
	else if (cause->domain != ASH_IMAGE_ERROR && cause->domain != ASH_OCI_ERROR &&
			cause->domain != ASH_ARCHIVE_ERROR && cause->domain != ASH_JSON_ERROR &&
			cause->domain != ASH_OSTREE_ERROR && cause->domain != ASH_FILE_ERROR) {
		g_propagate_error(error, g_steal_pointer(&cause));
		return FALSE;
	}
	return ash_throw(error, ASH_WORKER_ERROR, (int) word, "%s", cause->message);
}

static void import_clear(AshImageImport *import)
{
	ash_close_fd(&import->dir_fd);
	g_clear_pointer(&import->repo, ash_ostree_free);
	g_clear_pointer(&import->refs, g_hash_table_unref);
	g_clear_pointer(&import->layers, g_hash_table_unref);
	g_clear_pointer(&import->config, ash_oci_config_free);
	g_clear_pointer(&import->config_text, g_bytes_unref);
	g_clear_pointer(&import->commit, g_free);
	g_clear_pointer(&import->digest, g_free);
}

/* What was written so far is of no use to anybody when the image is refused; after a signal the next try goes on with it. */
static void give_up(AshImageImport *import, const GError *why)
{
	g_autoptr(GError) local = NULL;

	ash_ostree_abort(import->repo);
	if (!g_error_matches(why, G_IO_ERROR, G_IO_ERROR_CANCELLED) &&
			!ash_ostree_forget(import->repo, &local))
		g_debug("leaving what was written behind: %s", local->message);
}

/* A test need not unpack what fills a disk. */
static uint64_t max_bytes(const AshWorker *worker)
{
	const char *text = worker->is_test ? g_getenv("ASHLAR_IMAGE_MAX_BYTES") : NULL;

	return text != NULL ? g_ascii_strtoull(text, NULL, 10) : ASH_IMAGE_MAX_BYTES;
}

static gboolean run(AshImageImport *import, GError **error)
{
	struct utsname machine;
	g_autoptr(GError) cause = NULL;

	uname(&machine);
	import->arch = ash_oci_architecture(machine.machine);
	import->layers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	import->left_bytes = max_bytes(import->worker);
	if (!ash_ostree_open(import->worker->sysroot_fd, &import->repo, error))
		return FALSE;
	ash_image_store_init(&import->store, import->repo);
	if (!ash_ostree_refs(import->repo, &import->refs, error) || !find_done(import, error))
		return FALSE;
	if (import->commit != NULL || bring(import, &cause))
		return TRUE;
	give_up(import, cause);
	return ash_image_translate(error, g_steal_pointer(&cause));
}

static gboolean read_input(AshImageImport *import, JsonObject *input, GError **error)
{
	import->tag = "";
	import->asked = "";
	return ash_json_text(input, "kind", &import->kind, error) &&
	       ash_json_text(input, "location", &import->location, error) &&
	       ash_json_text_opt(input, "tag", &import->tag, error) &&
	       ash_json_text_opt(input, "digest", &import->asked, error);
}

gboolean ash_image_import_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	AshImageImport import = {.worker = worker, .dir_fd = -1};

	if (!read_input(&import, input, error))
		return FALSE;
	ASH_PREFIX("importing %s:%s", import.kind, import.location);
	gboolean is_ok = run(&import, error) &&
			 ash_image_describe(import.repo, import.commit, result, error);
	if (is_ok) {
		ash_json_add_uint(result, "unpacked", import.unpacked);
		if (strcmp(import.kind, "oci") == 0)
			ash_image_empty_staging(worker);
	}
	import_clear(&import);
	return is_ok;
}
