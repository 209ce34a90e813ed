/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/oci.h"

#include <string.h>

#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_oci_error, ash_oci_error)

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshOciDescriptor, ash_oci_descriptor_free)

#define TAG_ANNOTATION "org.opencontainers.image.ref.name"

static const char *const index_types[] = {"application/vnd.oci.image.index.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json", NULL};
static const char *const manifest_types[] = {"application/vnd.oci.image.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.v2+json", NULL};
static const char *const config_types[] = {"application/vnd.oci.image.config.v1+json",
		"application/vnd.docker.container.image.v1+json", NULL};
static const char *const layer_types[] = {"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.v1.tar+gzip",
		"application/vnd.oci.image.layer.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.diff.tar.zstd", NULL};

const char *ash_oci_architecture(const char *machine)
{
	static const struct {
		const char *machine, *arch;
	} rows[] = {
			{"x86_64", "amd64"},
			{"aarch64", "arm64"},
			{"ppc64le", "ppc64le"},
			{"i686", "386"},
			{"armv7l", "arm"},
			{"loongarch64", "loong64"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		if (strcmp(rows[i].machine, machine) == 0)
			return rows[i].arch;
	return machine;
}

const char *ash_oci_digest_find(const char *digest)
{
	if (digest == NULL || !g_str_has_prefix(digest, "sha256:"))
		return NULL;
	digest += strlen("sha256:");
	return ash_text_is_sha256(digest) ? digest : NULL;
}

/* ---- reading JSON that other programs wrote: null stands for nothing there ------------------------ */

static JsonNode *find(JsonObject *object, const char *key)
{
	JsonNode *node = object != NULL ? json_object_get_member(object, key) : NULL;

	return node == NULL || JSON_NODE_HOLDS_NULL(node) ? NULL : node;
}

static gboolean take_text(JsonNode *node, const char *what, char **out_text, GError **error)
{
	if (node == NULL) {
		*out_text = g_strdup("");
		return TRUE;
	}
	if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
		return ash_throw(
				error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX, "%s: not a text", what);
	const char *text = json_node_get_string(node);
	if (strlen(text) > ASH_OCI_MAX_TEXT_BYTES)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_LIMIT,
				"%s: longer than %d bytes", what, ASH_OCI_MAX_TEXT_BYTES);
	*out_text = g_strdup(text);
	return TRUE;
}

static gboolean get_text(JsonObject *object, const char *key, char **out_text, GError **error)
{
	return take_text(find(object, key), key, out_text, error);
}

static gboolean get_object(
		JsonObject *object, const char *key, JsonObject **out_object, GError **error)
{
	JsonNode *node = find(object, key);

	if (node != NULL && !JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX, "%s: not an object",
				key);
	*out_object = node != NULL ? json_node_get_object(node) : NULL;
	return TRUE;
}

/* *out_array NULL when it is not there. */
static gboolean get_array(JsonObject *object, const char *key, guint max, JsonArray **out_array,
		GError **error)
{
	JsonNode *node = find(object, key);

	if (node != NULL && !JSON_NODE_HOLDS_ARRAY(node))
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX, "%s: not a list", key);
	JsonArray *array = node != NULL ? json_node_get_array(node) : NULL;
	if (array != NULL && json_array_get_length(array) > max)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_LIMIT,
				"%s: %u entries; %u are the most", key,
				json_array_get_length(array), max);
	*out_array = array;
	return TRUE;
}

static gboolean get_texts(
		JsonObject *object, const char *key, guint max, char ***out_texts, GError **error)
{
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	JsonArray *array = NULL;

	if (!get_array(object, key, max, &array, error))
		return FALSE;
	for (guint i = 0; array != NULL && i < json_array_get_length(array); i++) {
		char *text = NULL;
		JsonNode *node = json_array_get_element(array, i);
		if (JSON_NODE_HOLDS_NULL(node))
			return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX,
					"%s: an entry is null", key);
		if (!take_text(node, key, &text, error))
			return FALSE;
		g_ptr_array_add(texts, text);
	}
	g_ptr_array_add(texts, NULL);
	*out_texts = (char **) g_ptr_array_free(g_steal_pointer(&texts), FALSE);
	return TRUE;
}

static gboolean parse_document(GBytes *text, size_t max_bytes, JsonNode **out_node, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(text, max_bytes, ASH_OCI_MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX, "not an object");
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

/* ---- descriptors ---------------------------------------------------------------------------------- */

void ash_oci_descriptor_free(AshOciDescriptor *descriptor)
{
	if (descriptor == NULL)
		return;
	g_free(descriptor->media_type);
	g_free(descriptor->sha256);
	g_free(descriptor->os);
	g_free(descriptor->arch);
	g_free(descriptor->variant);
	g_free(descriptor->tag);
	g_free(descriptor);
}

static gboolean parse_digest(const char *digest, char **out_sha256, GError **error)
{
	const char *hex = ash_oci_digest_find(digest);

	if (hex == NULL)
		return ash_throw(error, ASH_OCI_ERROR,
				g_str_has_prefix(digest, "sha512:") ? ASH_OCI_ERROR_UNSUPPORTED
								    : ASH_OCI_ERROR_SYNTAX,
				"'%.100s' is no SHA-256 digest", digest);
	*out_sha256 = g_strdup(hex);
	return TRUE;
}

static gboolean parse_descriptor(
		JsonObject *object, uint64_t max_bytes, AshOciDescriptor **out, GError **error)
{
	g_autoptr(AshOciDescriptor) descriptor = g_new0(AshOciDescriptor, 1);
	JsonObject *platform = NULL, *annotations = NULL;
	g_autofree char *digest = NULL;

	if (!get_text(object, "mediaType", &descriptor->media_type, error) ||
			!get_text(object, "digest", &digest, error) ||
			!parse_digest(digest, &descriptor->sha256, error) ||
			!ash_json_uint(object, "size", INT64_MAX, &descriptor->size, error) ||
			!get_object(object, "platform", &platform, error) ||
			!get_object(object, "annotations", &annotations, error) ||
			!get_text(platform, "os", &descriptor->os, error) ||
			!get_text(platform, "architecture", &descriptor->arch, error) ||
			!get_text(platform, "variant", &descriptor->variant, error) ||
			!get_text(annotations, TAG_ANNOTATION, &descriptor->tag, error))
		return FALSE;
	if (descriptor->size > max_bytes)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_LIMIT,
				"sha256:%.12s has %" G_GUINT64_FORMAT " bytes; %" G_GUINT64_FORMAT
				" are the most",
				descriptor->sha256, descriptor->size, max_bytes);
	*out = g_steal_pointer(&descriptor);
	return TRUE;
}

static gboolean parse_descriptors(JsonObject *object, const char *key, guint max,
		uint64_t max_bytes, GPtrArray **out_list, GError **error)
{
	g_autoptr(GPtrArray) list =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_oci_descriptor_free);
	JsonArray *array = NULL;

	if (!get_array(object, key, max, &array, error))
		return FALSE;
	for (guint i = 0; array != NULL && i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		AshOciDescriptor *descriptor = NULL;
		if (!JSON_NODE_HOLDS_OBJECT(node))
			return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX,
					"%s: an entry is not an object", key);
		if (!parse_descriptor(json_node_get_object(node), max_bytes, &descriptor, error))
			return FALSE;
		g_ptr_array_add(list, descriptor);
	}
	*out_list = g_steal_pointer(&list);
	return TRUE;
}

/* ---- index and manifest --------------------------------------------------------------------------- */

static gboolean judge(JsonObject *object, bool *out_is_index, GError **error)
{
	bool is_index = find(object, "manifests") != NULL;
	bool is_manifest = find(object, "layers") != NULL || find(object, "config") != NULL;
	g_autofree char *type = NULL;
	uint64_t version = 0;

	if (!get_text(object, "mediaType", &type, error) ||
			!ash_json_uint_opt(object, "schemaVersion", G_MAXUINT32, &version, error))
		return FALSE;
	if (version == 1 || find(object, "fsLayers") != NULL)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_UNSUPPORTED,
				"a manifest of Docker's schema 1, which is no longer in use: push the "
				"image again with a newer program");
	if (is_index == is_manifest)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX,
				is_index ? "both an index and a manifest"
					 : "neither an index nor a manifest");
	const char *const *types = is_index ? index_types : manifest_types;
	if (*type != '\0' && !g_strv_contains(types, type))
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_UNSUPPORTED,
				"an %s of type '%.100s'", is_index ? "index" : "image manifest",
				type);
	*out_is_index = is_index;
	return TRUE;
}

gboolean ash_oci_is_index(GBytes *text, bool *out_is_index, GError **error)
{
	g_autoptr(JsonNode) node = NULL;

	return parse_document(text, ASH_OCI_MAX_MANIFEST_BYTES, &node, error) &&
	       judge(json_node_get_object(node), out_is_index, error);
}

gboolean ash_oci_index_parse(GBytes *text, AshOciIndex **out_index, GError **error)
{
	ASH_PREFIX("image index");
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GPtrArray) manifests = NULL;
	bool is_index = false;

	if (!parse_document(text, ASH_OCI_MAX_MANIFEST_BYTES, &node, error) ||
			!judge(json_node_get_object(node), &is_index, error))
		return FALSE;
	if (!is_index)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX, "not an index");
	if (!parse_descriptors(json_node_get_object(node), "manifests", ASH_OCI_MAX_MANIFESTS,
			    INT64_MAX, &manifests, error))
		return FALSE;
	*out_index = g_new0(AshOciIndex, 1);
	(*out_index)->manifests = g_steal_pointer(&manifests);
	return TRUE;
}

void ash_oci_index_free(AshOciIndex *index)
{
	if (index == NULL)
		return;
	g_ptr_array_unref(index->manifests);
	g_free(index);
}

static gboolean check_layers(const GPtrArray *layers, GError **error)
{
	uint64_t total = 0;

	for (guint i = 0; i < layers->len; i++) {
		const AshOciDescriptor *layer = layers->pdata[i];
		if (strstr(layer->media_type, ".nondistributable.") != NULL ||
				strstr(layer->media_type, ".foreign.") != NULL)
			return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_UNSUPPORTED,
					"layer %u lies elsewhere ('%.100s')", i + 1,
					layer->media_type);
		if (!g_strv_contains(layer_types, layer->media_type))
			return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_UNSUPPORTED,
					"layer %u is of type '%.100s', which is no layer of a file "
					"system",
					i + 1, layer->media_type);
		total += layer->size;
		if (total > ASH_OCI_MAX_PACKED_BYTES)
			return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_LIMIT,
					"the layers have more than %" G_GUINT64_FORMAT " bytes",
					ASH_OCI_MAX_PACKED_BYTES);
	}
	return TRUE;
}

gboolean ash_oci_manifest_parse(GBytes *text, AshOciManifest **out_manifest, GError **error)
{
	ASH_PREFIX("image manifest");
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshOciManifest) manifest = g_new0(AshOciManifest, 1);
	JsonObject *config = NULL;
	bool is_index = false;

	if (!parse_document(text, ASH_OCI_MAX_MANIFEST_BYTES, &node, error))
		return FALSE;
	JsonObject *object = json_node_get_object(node);
	if (!judge(object, &is_index, error))
		return FALSE;
	if (is_index || find(object, "config") == NULL)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX, "not a manifest");
	if (!get_object(object, "config", &config, error) ||
			!parse_descriptor(config, ASH_OCI_MAX_CONFIG_BYTES, &manifest->config,
					error) ||
			!parse_descriptors(object, "layers", ASH_OCI_MAX_LAYERS,
					ASH_OCI_MAX_PACKED_BYTES, &manifest->layers, error) ||
			!check_layers(manifest->layers, error))
		return FALSE;
	if (!g_strv_contains(config_types, manifest->config->media_type))
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_UNSUPPORTED,
				"a config of type '%.100s': this is no image of a file system",
				manifest->config->media_type);
	*out_manifest = g_steal_pointer(&manifest);
	return TRUE;
}

void ash_oci_manifest_free(AshOciManifest *manifest)
{
	if (manifest == NULL)
		return;
	ash_oci_descriptor_free(manifest->config);
	g_clear_pointer(&manifest->layers, g_ptr_array_unref);
	g_free(manifest);
}

/* ---- choosing ------------------------------------------------------------------------------------- */

/* How well an entry fits: the entry with the least number above zero is taken. */
static unsigned rate(const AshOciDescriptor *entry, const char *arch)
{
	static const struct {
		const char *arch, *variant; /* what every machine of the architecture can run */
	} plain[] = {{"amd64", "v1"}, {"arm64", "v8"}, {"arm", "v7"}};

	if (strcmp(entry->os, "linux") != 0 || strcmp(entry->arch, arch) != 0)
		return 0;
	for (size_t i = 0; i < G_N_ELEMENTS(plain); i++)
		if (strcmp(arch, plain[i].arch) == 0 &&
				strcmp(entry->variant, plain[i].variant) == 0)
			return 1;
	/* A variant that may need a newer processor than this one is taken last. */
	return *entry->variant == '\0' ? 2 : 3;
}

static bool is_image(const AshOciDescriptor *entry)
{
	return *entry->media_type == '\0' || g_strv_contains(manifest_types, entry->media_type) ||
	       g_strv_contains(index_types, entry->media_type);
}

/* "linux/arm64 v8, linux/amd64" */
static char *list_platforms(const AshOciIndex *index)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < index->manifests->len && text->len < 300; i++) {
		const AshOciDescriptor *entry = index->manifests->pdata[i];
		g_autofree char *tag = *entry->tag != '\0' ? g_strdup_printf(":%.60s ", entry->tag)
							   : g_strdup("");
		g_string_append_printf(text, "%s%s%.20s/%.20s%s%.20s", i > 0 ? ", " : "", tag,
				*entry->os != '\0' ? entry->os : "?",
				*entry->arch != '\0' ? entry->arch : "?",
				*entry->variant != '\0' ? " " : "", entry->variant);
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

gboolean ash_oci_index_choose(const AshOciIndex *index, const char *tag, const char *arch,
		const AshOciDescriptor **out_entry, GError **error)
{
	const AshOciDescriptor *best = NULL, *nameless = NULL;
	unsigned best_rate = G_MAXUINT, nameless_count = 0;

	for (guint i = 0; i < index->manifests->len; i++) {
		const AshOciDescriptor *entry = index->manifests->pdata[i];
		if (!is_image(entry) ||
				(tag != NULL && *tag != '\0' && strcmp(entry->tag, tag) != 0))
			continue;
		unsigned rating = rate(entry, arch);
		if (rating != 0 && rating < best_rate) {
			best_rate = rating;
			best = entry;
		}
		if (*entry->os != '\0' || *entry->arch != '\0')
			continue;
		if (nameless == NULL || strcmp(nameless->sha256, entry->sha256) != 0)
			nameless_count++;
		nameless = entry;
	}
	if (best == NULL && nameless_count == 1)
		best = nameless;
	if (best != NULL) {
		*out_entry = best;
		return TRUE;
	}
	g_autofree char *there = list_platforms(index);
	if (nameless_count > 1)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_NOT_FOUND,
				"there are several images: say which by its tag (%s)", there);
	return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_NOT_FOUND,
			"no image %s%s%sfor linux/%s; there is: %s",
			tag != NULL && *tag != '\0' ? "'" : "", tag != NULL ? tag : "",
			tag != NULL && *tag != '\0' ? "' " : "", arch,
			*there != '\0' ? there : "nothing");
}

gboolean ash_oci_config_check(const AshOciConfig *config, const char *arch, GError **error)
{
	if ((*config->os == '\0' || strcmp(config->os, "linux") == 0) &&
			(*config->arch == '\0' || strcmp(config->arch, arch) == 0))
		return TRUE;
	return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_NOT_FOUND,
			"the image is for %.20s/%.20s, this host is linux/%s", config->os,
			config->arch, arch);
}

/* ---- config --------------------------------------------------------------------------------------- */

static int compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static gboolean get_labels(JsonObject *object, char ***out_labels, GError **error)
{
	g_autoptr(GPtrArray) labels = g_ptr_array_new_with_free_func(g_free);
	JsonObject *map = NULL;

	if (!get_object(object, "Labels", &map, error))
		return FALSE;
	g_autoptr(GList) keys = map != NULL ? json_object_get_members(map) : NULL;
	if (g_list_length(keys) > ASH_OCI_MAX_ITEMS)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_LIMIT, "Labels: more than %d",
				ASH_OCI_MAX_ITEMS);
	for (GList *key = keys; key != NULL; key = key->next) {
		g_autofree char *value = NULL;
		if (!get_text(map, key->data, &value, error))
			return FALSE;
		g_ptr_array_add(labels, g_strdup_printf("%s=%s", (const char *) key->data, value));
	}
	g_ptr_array_sort(labels, compare_texts);
	g_ptr_array_add(labels, NULL);
	*out_labels = (char **) g_ptr_array_free(g_steal_pointer(&labels), FALSE);
	return TRUE;
}

static gboolean get_diff_ids(JsonObject *rootfs, char ***out_ids, GError **error)
{
	g_auto(GStrv) ids = NULL;

	if (!get_texts(rootfs, "diff_ids", ASH_OCI_MAX_LAYERS, &ids, error))
		return FALSE;
	for (char **id = ids; *id != NULL; id++) {
		char *hex = NULL;
		if (!parse_digest(*id, &hex, error))
			return FALSE;
		g_free(*id);
		*id = hex;
	}
	*out_ids = g_steal_pointer(&ids);
	return TRUE;
}

static gboolean check_environment(char *const *environment, GError **error)
{
	for (char *const *entry = environment; *entry != NULL; entry++)
		if (strchr(*entry, '=') == NULL || **entry == '=')
			return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX,
					"Env: '%.100s' is not NAME=VALUE", *entry);
	return TRUE;
}

/* A directory of the kernel's leads to descriptors, and by them out of what is to hold the workload. */
static gboolean check_directory(const char *directory, GError **error)
{
	static const char *const kernel[] = {"proc", "sys", "dev"};
	g_auto(GStrv) parts = g_strsplit(directory, "/", -1);
	const char *first = NULL;

	for (char **part = parts; *part != NULL; part++) {
		if (strcmp(*part, "..") == 0)
			return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_UNSUPPORTED,
					"WorkingDir '%.100s' has '..'", directory);
		if (first == NULL && **part != '\0' && strcmp(*part, ".") != 0)
			first = *part;
	}
	for (size_t i = 0; first != NULL && i < G_N_ELEMENTS(kernel); i++)
		if (strcmp(first, kernel[i]) == 0)
			return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_UNSUPPORTED,
					"WorkingDir '%.100s' is one of the kernel's", directory);
	return TRUE;
}

gboolean ash_oci_config_parse(GBytes *text, AshOciConfig **out_config, GError **error)
{
	ASH_PREFIX("image config");
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshOciConfig) config = g_new0(AshOciConfig, 1);
	JsonObject *rootfs = NULL, *run = NULL;

	if (!parse_document(text, ASH_OCI_MAX_CONFIG_BYTES, &node, error))
		return FALSE;
	JsonObject *object = json_node_get_object(node);
	if (!get_object(object, "rootfs", &rootfs, error) ||
			!get_object(object, "config", &run, error))
		return FALSE;
	if (rootfs == NULL)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX, "'rootfs' is missing");
	if (!get_text(object, "os", &config->os, error) ||
			!get_text(object, "architecture", &config->arch, error) ||
			!get_text(object, "variant", &config->variant, error) ||
			!get_diff_ids(rootfs, &config->diff_ids, error) ||
			!get_texts(run, "Entrypoint", ASH_OCI_MAX_ITEMS, &config->entrypoint,
					error) ||
			!get_texts(run, "Cmd", ASH_OCI_MAX_ITEMS, &config->command, error) ||
			!get_texts(run, "Env", ASH_OCI_MAX_ITEMS, &config->environment, error) ||
			!check_environment(config->environment, error) ||
			!get_text(run, "WorkingDir", &config->directory, error) ||
			!check_directory(config->directory, error) ||
			!get_text(run, "User", &config->user, error) ||
			!get_text(run, "StopSignal", &config->stop_signal, error) ||
			!get_labels(run, &config->labels, error))
		return FALSE;
	*out_config = g_steal_pointer(&config);
	return TRUE;
}

void ash_oci_config_free(AshOciConfig *config)
{
	if (config == NULL)
		return;
	g_free(config->os);
	g_free(config->arch);
	g_free(config->variant);
	g_strfreev(config->diff_ids);
	g_strfreev(config->entrypoint);
	g_strfreev(config->command);
	g_strfreev(config->environment);
	g_free(config->directory);
	g_free(config->user);
	g_free(config->stop_signal);
	g_strfreev(config->labels);
	g_free(config);
}

/* ---- docker save ---------------------------------------------------------------------------------- */

static bool has_tag(JsonArray *tags, const char *tag)
{
	g_autofree char *suffix = g_strconcat(":", tag, NULL);

	for (guint i = 0; tags != NULL && i < json_array_get_length(tags); i++) {
		JsonNode *node = json_array_get_element(tags, i);
		const char *text = json_node_get_value_type(node) == G_TYPE_STRING
						   ? json_node_get_string(node)
						   : "";
		if (strcmp(text, tag) == 0 || g_str_has_suffix(text, suffix))
			return true;
	}
	return false;
}

gboolean ash_oci_archive_parse(
		GBytes *text, const char *tag, AshOciArchive **out_archive, GError **error)
{
	ASH_PREFIX("manifest.json");
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshOciArchive) archive = g_new0(AshOciArchive, 1);
	JsonObject *chosen = NULL;

	if (!ash_json_parse(text, ASH_OCI_MAX_MANIFEST_BYTES, ASH_OCI_MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_ARRAY(node))
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX, "not a list");
	JsonArray *images = json_node_get_array(node);
	guint count = json_array_get_length(images);
	for (guint i = 0; i < count && chosen == NULL; i++) {
		JsonNode *image = json_array_get_element(images, i);
		JsonArray *tags = NULL;
		if (!JSON_NODE_HOLDS_OBJECT(image))
			return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_SYNTAX,
					"an entry is not an object");
		if (!get_array(json_node_get_object(image), "RepoTags", ASH_OCI_MAX_ITEMS, &tags,
				    error))
			return FALSE;
		if (*tag == '\0' ? count == 1 : has_tag(tags, tag))
			chosen = json_node_get_object(image);
	}
	if (chosen == NULL)
		return ash_throw(error, ASH_OCI_ERROR, ASH_OCI_ERROR_NOT_FOUND,
				*tag == '\0' ? "the archive has %u images: say which by its tag%s"
					     : "none of %u images has the tag '%s'",
				count, tag);
	if (!get_text(chosen, "Config", &archive->config, error) ||
			!get_texts(chosen, "Layers", ASH_OCI_MAX_LAYERS, &archive->layers, error))
		return FALSE;
	*out_archive = g_steal_pointer(&archive);
	return TRUE;
}

void ash_oci_archive_free(AshOciArchive *archive)
{
	if (archive == NULL)
		return;
	g_free(archive->config);
	g_strfreev(archive->layers);
	g_free(archive);
}
