/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/image-spec.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"
#include "lib/yaml.h"

G_DEFINE_QUARK(ash_image_spec_error, ash_image_spec_error)

#define MIB ((uint64_t) 1 << 20)
#define GIB ((uint64_t) 1 << 30)

/* A FAT32 file system has at least 65525 clusters. */
#define MIN_ESP_BYTES (36 * MIB)
#define MAX_ESP_BYTES (4 * GIB)
/* The largest ext4 of 4 KiB blocks without the 64bit feature. */
#define MAX_DISK_BYTES (16384 * GIB)

static const char *const format_names[] = {
		[ASH_IMAGE_RAW] = "raw",
		[ASH_IMAGE_QCOW2] = "qcow2",
		[ASH_IMAGE_VMDK] = "vmdk",
		[ASH_IMAGE_VDI] = "vdi",
		[ASH_IMAGE_VHDX] = "vhdx",
		[ASH_IMAGE_TAR] = "tar",
		[ASH_IMAGE_KERNEL] = "kernel",
		NULL,
};

const char *ash_image_format_name(AshImageFormat format)
{
	return format_names[format];
}

gboolean ash_image_format_parse(const char *name, AshImageFormat *out_format, GError **error)
{
	for (size_t i = 0; i < ASH_IMAGE_N_FORMATS; i++) {
		if (strcmp(format_names[i], name) == 0) {
			*out_format = (AshImageFormat) i;
			return TRUE;
		}
	}
	g_autofree char *hint = ash_text_suggestion(name, format_names);
	g_autofree char *all = g_strjoinv(", ", (char **) (uintptr_t) format_names);
	return ash_throw(error, ASH_IMAGE_SPEC_ERROR, ASH_IMAGE_SPEC_ERROR_FORMAT,
			"unknown image format '%s'%s; there are %s", name, hint, all);
}

AshImageSpec *ash_image_spec_new(void)
{
	AshImageSpec *spec = g_new0(AshImageSpec, 1);

	spec->disk_bytes = 4 * GIB;
	spec->esp_label = g_strdup("ashlar-esp");
	spec->esp_bytes = 256 * MIB;
	spec->root_label = g_strdup("ashlar-root");
	spec->root_free_bytes = 768 * MIB;
	spec->var_bytes = 512 * MIB;
	spec->console = g_strdup("serial");
	spec->kernel_arguments = g_new0(char *, 1);
	return spec;
}

void ash_image_spec_free(AshImageSpec *spec)
{
	if (spec == NULL)
		return;
	g_free(spec->esp_label);
	g_free(spec->root_label);
	g_free(spec->console);
	g_strfreev(spec->kernel_arguments);
	g_free(spec);
}

char *ash_image_spec_format(const AshImageSpec *spec)
{
	g_autofree char *arguments = g_strjoinv(" ", spec->kernel_arguments);

	return g_strdup_printf("disk %" PRIu64 "\nesp %" PRIu64 " %s\nroot %" PRIu64 " %" PRIu64
			       " %s\nconsole %s\narguments %s\n",
			spec->disk_bytes, spec->esp_bytes, spec->esp_label, spec->root_bytes,
			spec->root_free_bytes, spec->root_label, spec->console, arguments);
}

/* ---- values -------------------------------------------------------------------------------- */

/* "512MiB"; whole MiB. */
static gboolean parse_size(
		const AshYamlNode *node, const char *what, uint64_t *out_bytes, GError **error)
{
	static const struct {
		const char *unit;
		uint64_t bytes;
	} units[] = {{"MiB", MIB}, {"GiB", GIB}, {"TiB", 1024 * GIB}};
	g_autofree char *text = NULL;
	char *end = NULL;

	if (!ash_yaml_string(node, what, &text, error))
		return FALSE;
	uint64_t number = g_ascii_strtoull(text, &end, 10);
	for (size_t i = 0; g_ascii_isdigit(*text) && i < G_N_ELEMENTS(units); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		if (number > MAX_DISK_BYTES / units[i].bytes)
			return ash_yaml_throw(node, error, ASH_IMAGE_SPEC_ERROR,
					ASH_IMAGE_SPEC_ERROR_VALUE, "%s '%s' is larger than 16TiB",
					what, text);
		*out_bytes = number * units[i].bytes;
		return TRUE;
	}
	return ash_yaml_throw(node, error, ASH_IMAGE_SPEC_ERROR, ASH_IMAGE_SPEC_ERROR_VALUE,
			"%s '%s' is not a size, expected a number and MiB, GiB or TiB, as in '512MiB'",
			what, text);
}

static gboolean parse_word(const AshYamlNode *node, const char *what, size_t max_bytes,
		const char *allowed, char **out_word, GError **error)
{
	g_autofree char *text = NULL;

	if (!ash_yaml_string(node, what, &text, error))
		return FALSE;
	bool is_good = *text != '\0' && strlen(text) <= max_bytes;
	for (const char *p = text; *p != '\0'; p++)
		is_good = is_good && (g_ascii_isalnum(*p) || strchr(allowed, *p) != NULL);
	if (!is_good)
		return ash_yaml_throw(node, error, ASH_IMAGE_SPEC_ERROR, ASH_IMAGE_SPEC_ERROR_VALUE,
				"%s '%s' must be 1 to %zu letters, digits or characters of '%s'",
				what, text, max_bytes, allowed);
	g_free(*out_word);
	*out_word = g_steal_pointer(&text);
	return TRUE;
}

static gboolean parse_label(
		const AshYamlNode *node, const char *what, char **out_label, GError **error)
{
	return parse_word(node, what, ASH_IMAGE_SPEC_MAX_LABEL_BYTES, "._-", out_label, error);
}

static gboolean need_kind(
		const AshYamlNode *node, AshYamlKind kind, const char *what, GError **error)
{
	if (node->kind == kind)
		return TRUE;
	return ash_yaml_throw(node, error, ASH_IMAGE_SPEC_ERROR, ASH_IMAGE_SPEC_ERROR_TYPE,
			"%s: expected a %s", what, kind == ASH_YAML_MAP ? "map" : "list");
}

/* ---- keys ---------------------------------------------------------------------------------- */

typedef gboolean (*ParseKey)(const AshYamlNode *node, AshImageSpec *spec, GError **error);

typedef struct {
	const char *name;
	ParseKey parse;
} Key;

/* @keys: ends with a NULL name */
static gboolean parse_map(const AshYamlNode *map, const char *what, const Key *keys,
		AshImageSpec *spec, GError **error)
{
	if (!need_kind(map, ASH_YAML_MAP, what, error))
		return FALSE;
	for (guint i = 0; i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		g_autoptr(GPtrArray) names = g_ptr_array_new();
		const Key *key = keys;
		for (; key->name != NULL && strcmp(key->name, pair->key) != 0; key++)
			g_ptr_array_add(names, (gpointer) (uintptr_t) key->name);
		if (key->name == NULL) {
			g_ptr_array_add(names, NULL);
			g_autofree char *hint = ash_text_suggestion(
					pair->key, (const char *const *) names->pdata);
			AshYamlNode at = {.file = map->file,
					.line = pair->line,
					.column = pair->column};
			return ash_yaml_throw(&at, error, ASH_IMAGE_SPEC_ERROR,
					ASH_IMAGE_SPEC_ERROR_UNKNOWN_KEY,
					"unknown key '%s' in %s%s", pair->key, what, hint);
		}
		if (!key->parse(pair->value, spec, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean parse_disk_size(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	return parse_size(node, "disk.size", &spec->disk_bytes, error);
}

static gboolean parse_esp_label(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	return parse_label(node, "esp.label", &spec->esp_label, error);
}

static gboolean parse_esp_size(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	uint64_t bytes = 0;

	if (!parse_size(node, "esp.size", &bytes, error))
		return FALSE;
	if (bytes < MIN_ESP_BYTES || bytes > MAX_ESP_BYTES)
		return ash_yaml_throw(node, error, ASH_IMAGE_SPEC_ERROR, ASH_IMAGE_SPEC_ERROR_VALUE,
				"esp.size must be from 36MiB to 4GiB");
	spec->esp_bytes = bytes;
	return TRUE;
}

static gboolean parse_root_label(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	return parse_label(node, "root.label", &spec->root_label, error);
}

static gboolean parse_root_size(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	if (node->kind == ASH_YAML_SCALAR && strcmp(node->scalar, "minimum") == 0) {
		spec->root_bytes = 0;
		return TRUE;
	}
	return parse_size(node, "root.size", &spec->root_bytes, error);
}

static gboolean parse_root_free(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	return parse_size(node, "root.free", &spec->root_free_bytes, error);
}

static gboolean parse_var_minimum(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	return parse_size(node, "var.minimum", &spec->var_bytes, error);
}

static gboolean parse_disk(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	static const Key keys[] = {{"size", parse_disk_size}, {0}};

	return parse_map(node, "disk", keys, spec, error);
}

static gboolean parse_esp(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	static const Key keys[] = {{"label", parse_esp_label}, {"size", parse_esp_size}, {0}};

	return parse_map(node, "esp", keys, spec, error);
}

static gboolean parse_root(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	static const Key keys[] = {{"label", parse_root_label}, {"size", parse_root_size},
			{"free", parse_root_free}, {0}};

	return parse_map(node, "root", keys, spec, error);
}

static gboolean parse_var(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	static const Key keys[] = {{"minimum", parse_var_minimum}, {0}};

	return parse_map(node, "var", keys, spec, error);
}

static gboolean parse_formats(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	if (!need_kind(node, ASH_YAML_LIST, "formats", error))
		return FALSE;
	for (guint i = 0; i < node->items->len; i++) {
		const AshYamlNode *item = node->items->pdata[i];
		g_autofree char *name = NULL;
		g_autoptr(GError) local = NULL;
		AshImageFormat format = ASH_IMAGE_RAW;
		if (!ash_yaml_string(item, "formats", &name, error))
			return FALSE;
		if (!ash_image_format_parse(name, &format, &local))
			return ash_yaml_throw(item, error, ASH_IMAGE_SPEC_ERROR,
					ASH_IMAGE_SPEC_ERROR_FORMAT, "%s", local->message);
		spec->formats[format] = true;
	}
	return TRUE;
}

static gboolean parse_console(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	return parse_word(node, "console", 64, ",-", &spec->console, error);
}

/* An argument with a space would be two. */
static gboolean parse_argument(const AshYamlNode *node, char **out_argument, GError **error)
{
	g_autofree char *text = NULL;

	if (!ash_yaml_string(node, "kernel-arguments", &text, error))
		return FALSE;
	bool is_good = *text != '\0' && strlen(text) <= ASH_IMAGE_SPEC_MAX_ARGUMENT_BYTES;
	for (const char *p = text; *p != '\0'; p++)
		is_good = is_good && g_ascii_isgraph(*p);
	if (!is_good)
		return ash_yaml_throw(node, error, ASH_IMAGE_SPEC_ERROR, ASH_IMAGE_SPEC_ERROR_VALUE,
				"a kernel argument is 1 to %d visible ASCII characters without spaces",
				ASH_IMAGE_SPEC_MAX_ARGUMENT_BYTES);
	*out_argument = g_steal_pointer(&text);
	return TRUE;
}

static gboolean parse_arguments(const AshYamlNode *node, AshImageSpec *spec, GError **error)
{
	g_autoptr(GPtrArray) arguments = g_ptr_array_new_with_free_func(g_free);

	if (!need_kind(node, ASH_YAML_LIST, "kernel-arguments", error))
		return FALSE;
	if (node->items->len > ASH_IMAGE_SPEC_MAX_ARGUMENTS)
		return ash_yaml_throw(node, error, ASH_IMAGE_SPEC_ERROR, ASH_IMAGE_SPEC_ERROR_VALUE,
				"more than %d kernel arguments", ASH_IMAGE_SPEC_MAX_ARGUMENTS);
	for (guint i = 0; i < node->items->len; i++) {
		char *argument = NULL;
		if (!parse_argument(node->items->pdata[i], &argument, error))
			return FALSE;
		g_ptr_array_add(arguments, argument);
	}
	g_ptr_array_add(arguments, NULL);
	g_strfreev(spec->kernel_arguments);
	spec->kernel_arguments = (char **) g_ptr_array_steal(arguments, NULL);
	return TRUE;
}

gboolean ash_image_spec_parse(
		const char *file, GBytes *text, AshImageSpec **out_spec, GError **error)
{
	static const Key keys[] = {{"formats", parse_formats}, {"disk", parse_disk},
			{"esp", parse_esp}, {"root", parse_root}, {"var", parse_var},
			{"console", parse_console}, {"kernel-arguments", parse_arguments}, {0}};
	g_autoptr(AshImageSpec) spec = ash_image_spec_new();
	g_autoptr(AshYaml) root = NULL;

	if (!ash_yaml_parse(file, text, &root, error))
		return FALSE;
	if (root->kind != ASH_YAML_NULL && !parse_map(root, "an image", keys, spec, error))
		return FALSE;
	*out_spec = g_steal_pointer(&spec);
	return TRUE;
}

gboolean ash_image_spec_load(const char *path, AshImageSpec **out_spec, GError **error)
{
	g_autoptr(GBytes) text = NULL;

	return ash_file_read(AT_FDCWD, path, ASH_IMAGE_SPEC_MAX_BYTES, &text, error) &&
	       ash_image_spec_parse(path, text, out_spec, error);
}
