/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>

#include "agent/workload/store.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/version.h"

/* What the fleet wants of one workload: a file each, so that version and parameters change as one. */

enum {
	MAX_BYTES = 1 << 20,
	MAX_DEPTH = 4,
	MAX_PARAMETERS = ASH_WORKLOAD_MAX_ITEMS,
};

static char *file_of(const char *root, const char *name)
{
	return g_strdup_printf("%s" ASH_STORE_FLEET "/%s.json", root, name);
}

/* ---- reading ---- */

static gboolean read_parameters(JsonObject *object, GHashTable *values, GError **error)
{
	JsonObject *parameters = NULL;

	if (!ash_json_object(object, "parameters", &parameters, error))
		return FALSE;
	if (json_object_get_size(parameters) > MAX_PARAMETERS)
		return ash_throw(error, ASH_STORE_ERROR, ASH_STORE_ERROR_LIMIT,
				"more than %d parameters", MAX_PARAMETERS);
	g_autoptr(GList) keys = json_object_get_members(parameters);
	for (GList *i = keys; i != NULL; i = i->next) {
		const char *value = NULL;
		if (!ash_json_text(parameters, i->data, &value, error))
			return FALSE;
		g_hash_table_insert(values, g_strdup(i->data), g_strdup(value));
	}
	return TRUE;
}

gboolean ash_store_read_wish(
		JsonObject *object, char **out_version, GHashTable **out_values, GError **error)
{
	g_autoptr(GHashTable) values =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	const char *version = NULL;

	if (!ash_json_text(object, "version", &version, error) ||
			!read_parameters(object, values, error))
		return FALSE;
	if (!ash_version_is_valid(version))
		return ash_throw(error, ASH_STORE_ERROR, ASH_STORE_ERROR_SYNTAX,
				"'%.80s' is no version", version);
	*out_version = g_strdup(version);
	*out_values = g_steal_pointer(&values);
	return TRUE;
}

gboolean ash_store_load_fleet(const char *root, const char *name, char **out_version,
		GHashTable **out_values, GError **error)
{
	g_autofree char *path = file_of(root, name);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) local = NULL;

	ASH_PREFIX("%s", path);
	if (!ash_file_read(AT_FDCWD, path, MAX_BYTES, &text, &local)) {
		if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
			*out_version = NULL;
			*out_values = NULL;
			return TRUE;
		}
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	if (!ash_json_parse(text, MAX_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_STORE_ERROR, ASH_STORE_ERROR_SYNTAX, "not an object");
	return ash_store_read_wish(json_node_get_object(node), out_version, out_values, error);
}

gboolean ash_store_list_fleet(const char *root, char ***out_names, GError **error)
{
	g_autofree char *path = g_strconcat(root, ASH_STORE_FLEET, NULL);
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();
	g_autoptr(GError) local = NULL;
	g_autoptr(GDir) dir = g_dir_open(path, 0, &local);

	if (dir == NULL && !g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	for (const char *file; dir != NULL && (file = g_dir_read_name(dir)) != NULL;) {
		g_autofree char *name = g_strdup(file);
		if (!g_str_has_suffix(name, ".json"))
			continue;
		name[strlen(name) - strlen(".json")] = '\0';
		if (ash_workload_is_name(name))
			g_strv_builder_add(names, name);
	}
	*out_names = g_strv_builder_end(names);
	return TRUE;
}

/* ---- writing ---- */

static int compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(a, b);
}

static char *format(const char *version, GHashTable *values)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(values), compare_texts);

	json_builder_begin_object(builder);
	ash_json_add_string(builder, "version", version);
	ash_json_begin_object(builder, "parameters");
	for (GList *i = keys; i != NULL; i = i->next)
		ash_json_add_string(builder, i->data, g_hash_table_lookup(values, i->data));
	json_builder_end_object(builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, true);
}

gboolean ash_store_put_fleet(const char *root, const char *name, const char *version,
		GHashTable *values, GError **error)
{
	g_autofree char *path = file_of(root, name);
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *text = format(version, values);
	g_autoptr(GBytes) old = NULL;

	if (ash_file_read(AT_FDCWD, path, MAX_BYTES, &old, NULL) &&
			g_strcmp0(g_bytes_get_data(old, NULL), text) == 0)
		return TRUE;
	return ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) &&
	       ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, error);
}

/* The definitions first: without the fleet's file they would be the owner's wish. */
gboolean ash_store_drop_fleet(const char *root, const char *name, GError **error)
{
	g_autofree char *file = file_of(root, name);
	g_autofree char *signed_dir = g_strdup_printf("%s" ASH_STORE_SIGNED "/%s", root, name);
	g_autofree char *pin = g_strdup_printf("%s" ASH_STORE_PINNED "/%s", root, name);
	bool is_pinned = false;

	return ash_file_exists(AT_FDCWD, pin, &is_pinned, error) &&
	       (is_pinned || ash_file_remove_tree(AT_FDCWD, signed_dir, error)) &&
	       ash_file_remove_tree(AT_FDCWD, file, error);
}
