/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/workload/image-import.h"
#include "agent/workload/image-private.h"
#include "lib/error.h"
#include "lib/interrupt.h"
#include "lib/json.h"

/* ---- one image ----------------------------------------------------------------------------------- */

static void add_config(JsonBuilder *result, const AshOciConfig *config)
{
	ash_json_begin_object(result, "config");
	ash_json_add_texts(result, "entrypoint", config->entrypoint);
	ash_json_add_texts(result, "command", config->command);
	ash_json_add_texts(result, "environment", config->environment);
	ash_json_add_text(result, "directory", config->directory);
	ash_json_add_text(result, "user", config->user);
	ash_json_add_text(result, "stop_signal", config->stop_signal);
	ash_json_add_texts(result, "labels", config->labels);
	json_builder_end_object(result);
}

static gboolean sum_layers(AshOstree *repo, char *const *ids, uint64_t *out_bytes, GError **error)
{
	g_autoptr(GHashTable) refs = NULL;
	uint64_t total = 0;

	if (!ash_ostree_refs(repo, &refs, error))
		return FALSE;
	for (char *const *id = ids; *id != NULL; id++) {
		g_autofree char *ref = g_strconcat(ASH_IMAGE_LAYER_REF, *id, NULL);
		const char *commit = g_hash_table_lookup(refs, ref);
		g_autoptr(GVariant) metadata = NULL;
		guint64 bytes = 0;
		if (commit == NULL)
			continue;
		if (!ash_ostree_load_commit(repo, commit, NULL, NULL, &metadata, error))
			return FALSE;
		g_variant_lookup(metadata, ASH_IMAGE_KEY_BYTES, "t", &bytes);
		total += bytes;
	}
	*out_bytes = total;
	return TRUE;
}

/* A tree that `ashlar build` made says nothing of how it is run. */
static gboolean parse_config(const char *text, AshOciConfig **out_config, GError **error)
{
	static const char nothing[] = "{\"rootfs\":{}}";

	if (*text == '\0')
		text = nothing;
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	return ash_oci_config_parse(bytes, out_config, error);
}

gboolean ash_image_describe(
		AshOstree *repo, const char *commit, JsonBuilder *result, GError **error)
{
	g_autoptr(GVariant) metadata = NULL;
	g_autoptr(AshOciConfig) config = NULL;
	const char *digest = "", *notes = "", *text = "";
	g_auto(GStrv) ids = NULL;
	uint64_t bytes = 0;

	if (!ash_ostree_load_commit(repo, commit, NULL, NULL, &metadata, error))
		return FALSE;
	g_variant_lookup(metadata, ASH_IMAGE_KEY_MANIFEST, "&s", &digest);
	g_variant_lookup(metadata, ASH_IMAGE_KEY_NOTES, "&s", &notes);
	g_variant_lookup(metadata, ASH_IMAGE_KEY_CONFIG, "&s", &text);
	if (!g_variant_lookup(metadata, ASH_IMAGE_KEY_LAYERS, "^as", &ids))
		ids = g_new0(char *, 1);
	if (!parse_config(text, &config, error) || !sum_layers(repo, ids, &bytes, error))
		return FALSE;
	g_autofree char *named = *digest != '\0' ? g_strconcat("sha256:", digest, NULL) : NULL;
	ash_json_add_text(result, "commit", commit);
	ash_json_add_text(result, "digest", named);
	ash_json_add_uint(result, "layers", g_strv_length(ids));
	ash_json_add_uint(result, "bytes", bytes);
	ash_json_add_text(result, "notes", notes);
	add_config(result, config);
	return TRUE;
}

/* ---- all of them --------------------------------------------------------------------------------- */

typedef struct {
	char *commit, *digest;
	GHashTable *objects; /* .file, of its tree */
	uint64_t bytes, own_bytes;
} Image;

static void image_free(Image *image)
{
	g_free(image->commit);
	g_free(image->digest);
	g_clear_pointer(&image->objects, g_hash_table_unref);
	g_free(image);
}

static gboolean load_objects(
		AshOstree *repo, const char *commit, GHashTable **out_objects, GError **error)
{
	GHashTableIter iter;
	gpointer object;

	if (!ash_interrupt_check(error) || !ash_ostree_objects(repo, commit, out_objects, error))
		return FALSE;
	g_hash_table_iter_init(&iter, *out_objects);
	while (g_hash_table_iter_next(&iter, &object, NULL))
		if (!g_str_has_suffix(object, ".file"))
			g_hash_table_iter_remove(&iter);
	return TRUE;
}

/* How many images and releases have each object. */
static void count_uses(GHashTable *uses, GHashTable *objects)
{
	GHashTableIter iter;
	gpointer object;

	g_hash_table_iter_init(&iter, objects);
	while (g_hash_table_iter_next(&iter, &object, NULL)) {
		guint count = GPOINTER_TO_UINT(g_hash_table_lookup(uses, object));
		g_hash_table_replace(uses, g_strdup(object), GUINT_TO_POINTER(count + 1));
	}
}

static gboolean add_image(AshOstree *repo, const char *commit, GPtrArray *images, GHashTable *uses,
		GError **error)
{
	Image *image = g_new0(Image, 1);
	g_autoptr(GVariant) metadata = NULL;
	const char *digest = "";

	g_ptr_array_add(images, image);
	image->commit = g_strdup(commit);
	if (!ash_ostree_load_commit(repo, commit, NULL, NULL, &metadata, error) ||
			!load_objects(repo, commit, &image->objects, error))
		return FALSE;
	g_variant_lookup(metadata, ASH_IMAGE_KEY_MANIFEST, "&s", &digest);
	image->digest = *digest != '\0' ? g_strconcat("sha256:", digest, NULL) : g_strdup("");
	count_uses(uses, image->objects);
	return TRUE;
}

static gboolean load_all(AshOstree *repo, GPtrArray *images, GHashTable *uses, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) refs = NULL;
	GHashTableIter iter;
	gpointer ref, commit;

	if (!ash_ostree_refs(repo, &refs, error))
		return FALSE;
	g_hash_table_iter_init(&iter, refs);
	while (g_hash_table_iter_next(&iter, &ref, &commit)) {
		g_autoptr(GHashTable) objects = NULL;
		bool is_image = g_str_has_prefix(ref, ASH_IMAGE_REF);
		/* A layer is there for its images. */
		if (g_str_has_prefix(ref, ASH_IMAGE_LAYER_REF) || !g_hash_table_add(seen, commit))
			continue;
		if (is_image && !add_image(repo, commit, images, uses, error))
			return FALSE;
		if (is_image)
			continue;
		if (!load_objects(repo, commit, &objects, error))
			return FALSE;
		count_uses(uses, objects);
	}
	return TRUE;
}

static gboolean sum_image(AshOstree *repo, Image *image, GHashTable *uses, GHashTable *counted,
		uint64_t *total, GError **error)
{
	GHashTableIter iter;
	gpointer object;

	g_hash_table_iter_init(&iter, image->objects);
	while (g_hash_table_iter_next(&iter, &object, NULL)) {
		uint64_t bytes = 0;
		if (!ash_ostree_object_size(repo, object, &bytes, error))
			return FALSE;
		image->bytes += bytes;
		if (GPOINTER_TO_UINT(g_hash_table_lookup(uses, object)) == 1)
			image->own_bytes += bytes;
		if (g_hash_table_add(counted, object))
			*total += bytes;
	}
	return TRUE;
}

static int compare_images(gconstpointer a, gconstpointer b)
{
	return strcmp((*(const Image *const *) a)->commit, (*(const Image *const *) b)->commit);
}

static gboolean list_images(AshOstree *repo, JsonBuilder *result, GError **error)
{
	g_autoptr(GPtrArray) images = g_ptr_array_new_with_free_func((GDestroyNotify) image_free);
	g_autoptr(GHashTable) uses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) counted = g_hash_table_new(g_str_hash, g_str_equal);
	uint64_t total = 0;

	if (!load_all(repo, images, uses, error))
		return FALSE;
	g_ptr_array_sort(images, compare_images);
	for (guint i = 0; i < images->len; i++)
		if (!sum_image(repo, images->pdata[i], uses, counted, &total, error))
			return FALSE;
	ash_json_begin_array(result, "images");
	for (guint i = 0; i < images->len; i++) {
		const Image *image = images->pdata[i];
		json_builder_begin_object(result);
		ash_json_add_text(result, "commit", image->commit);
		ash_json_add_text(result, "digest", image->digest);
		ash_json_add_uint(result, "bytes", image->bytes);
		ash_json_add_uint(result, "own_bytes", image->own_bytes);
		json_builder_end_object(result);
	}
	json_builder_end_array(result);
	ash_json_add_uint(result, "bytes", total);
	return TRUE;
}

gboolean ash_image_list_run(
		const AshWorker *worker, JsonObject *input, JsonBuilder *result, GError **error)
{
	g_autoptr(AshOstree) repo = NULL;
	g_autoptr(GError) cause = NULL;

	if (ash_ostree_open(worker->sysroot_fd, &repo, &cause) && list_images(repo, result, &cause))
		return TRUE;
	return ash_image_translate(error, g_steal_pointer(&cause));
}
