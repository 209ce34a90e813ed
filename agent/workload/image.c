/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/image.h"

#include <string.h>

#include "agent/job.h"
#include "agent/workload/image-store.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum {
	MAX_DEPTH = 8,
};

/* ---- orders -------------------------------------------------------------------------------------- */

char *ash_image_import_order(const AshWorkloadImage *image, const char *digest)
{
	static const char *const kinds[] = {
			[ASH_WORKLOAD_IMAGE_OCI] = "oci",
			[ASH_WORKLOAD_IMAGE_OCI_DIR] = "oci-dir",
			[ASH_WORKLOAD_IMAGE_DOCKER_ARCHIVE] = "docker-archive",
			[ASH_WORKLOAD_IMAGE_OSTREE] = "ostree",
	};
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "kind", kinds[image->kind]);
	ash_json_add_text(builder, "location", image->location);
	ash_json_add_text(builder, "tag", image->tag);
	ash_json_add_text(builder, "digest", *digest != '\0' ? digest : image->digest);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

char *ash_image_checkout_order(const char *commit)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "commit", commit);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

char *ash_image_clean_order(const GPtrArray *commits)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_begin_array(builder, "keep");
	for (guint i = 0; i < commits->len; i++)
		json_builder_add_string_value(builder, commits->pdata[i]);
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

char *ash_image_path(const char *sysroot, const char *commit)
{
	return g_strdup_printf("%s/" ASH_IMAGE_CHECKOUTS "/%s", sysroot, commit);
}

/* ---- what image-import says ------------------------------------------------------------------------ */

static gboolean get_text(JsonObject *object, const char *key, char **out_text, GError **error)
{
	const char *text = "";

	if (!ash_json_text_opt(object, key, &text, error))
		return FALSE;
	*out_text = g_strdup(text);
	return TRUE;
}

static gboolean parse_image(JsonObject *object, AshImage *image, GError **error)
{
	JsonObject *config = NULL;

	if (!get_text(object, "commit", &image->commit, error) ||
			!get_text(object, "digest", &image->digest, error) ||
			!get_text(object, "notes", &image->notes, error) ||
			!ash_json_uint_opt(object, "bytes", INT64_MAX, &image->bytes, error) ||
			!ash_json_uint_opt(object, "layers", INT64_MAX, &image->layers, error) ||
			!ash_json_uint_opt(
					object, "unpacked", INT64_MAX, &image->unpacked, error) ||
			!ash_json_object(object, "config", &config, error))
		return FALSE;
	if (!ash_text_is_sha256(image->commit))
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE, "'commit' is none");
	return ash_json_text_list_opt(config, "entrypoint", &image->entrypoint, error) &&
	       ash_json_text_list_opt(config, "command", &image->command, error) &&
	       ash_json_text_list_opt(config, "environment", &image->environment, error) &&
	       ash_json_text_list_opt(config, "labels", &image->labels, error) &&
	       get_text(config, "directory", &image->directory, error) &&
	       get_text(config, "user", &image->user, error) &&
	       get_text(config, "stop_signal", &image->stop_signal, error);
}

gboolean ash_image_parse(const char *json, AshImage **out_image, GError **error)
{
	ASH_PREFIX("reading what was imported");
	g_autoptr(GBytes) text = g_bytes_new(json, strlen(json));
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshImage) image = g_new0(AshImage, 1);

	if (!ash_json_parse(text, ASH_JOB_MAX_LINE_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_JSON_ERROR, ASH_JSON_ERROR_TYPE, "not an object");
	if (!parse_image(json_node_get_object(node), image, error))
		return FALSE;
	*out_image = g_steal_pointer(&image);
	return TRUE;
}

char *ash_image_format(const AshImage *image)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "commit", image->commit);
	ash_json_add_text(builder, "digest", image->digest);
	ash_json_add_text(builder, "notes", image->notes);
	ash_json_add_uint(builder, "bytes", image->bytes);
	ash_json_add_uint(builder, "layers", image->layers);
	ash_json_add_uint(builder, "unpacked", image->unpacked);
	ash_json_begin_object(builder, "config");
	ash_json_add_texts(builder, "entrypoint", image->entrypoint);
	ash_json_add_texts(builder, "command", image->command);
	ash_json_add_texts(builder, "environment", image->environment);
	ash_json_add_texts(builder, "labels", image->labels);
	ash_json_add_text(builder, "directory", image->directory);
	ash_json_add_text(builder, "user", image->user);
	ash_json_add_text(builder, "stop_signal", image->stop_signal);
	json_builder_end_object(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

void ash_image_free(AshImage *image)
{
	if (image == NULL)
		return;
	g_free(image->commit);
	g_free(image->digest);
	g_free(image->notes);
	g_strfreev(image->entrypoint);
	g_strfreev(image->command);
	g_strfreev(image->environment);
	g_strfreev(image->labels);
	g_free(image->directory);
	g_free(image->user);
	g_free(image->stop_signal);
	g_free(image);
}

/* ---- what is run --------------------------------------------------------------------------------- */

static void add_all(GPtrArray *list, char *const *texts)
{
	for (char *const *text = texts; text != NULL && *text != NULL; text++)
		g_ptr_array_add(list, g_strdup(*text));
}

char **ash_image_fill_command(const AshImage *image, char *const *command)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new();

	if (command != NULL && *command != NULL) {
		add_all(list, command);
	} else {
		add_all(list, image->entrypoint);
		add_all(list, image->command);
	}
	g_ptr_array_add(list, NULL);
	return (char **) g_ptr_array_free(g_steal_pointer(&list), FALSE);
}

/* In place of the variable of its name, or at the end. */
static void put_variable(GPtrArray *list, const char *variable)
{
	size_t name = strcspn(variable, "=") + 1;

	for (guint i = 0; i < list->len; i++)
		if (strncmp(list->pdata[i], variable, name) == 0) {
			g_free(list->pdata[i]);
			list->pdata[i] = g_strdup(variable);
			return;
		}
	g_ptr_array_add(list, g_strdup(variable));
}

char **ash_image_fill_environment(const AshImage *image, char *const *environment)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new();

	put_variable(list, DEFAULT_PATH);
	for (char *const *variable = image->environment; *variable != NULL; variable++)
		put_variable(list, *variable);
	for (char *const *variable = environment; variable != NULL && *variable != NULL; variable++)
		put_variable(list, *variable);
	g_ptr_array_add(list, NULL);
	return (char **) g_ptr_array_free(g_steal_pointer(&list), FALSE);
}
