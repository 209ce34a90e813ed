/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/store.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/version.h"
#include "lib/yaml.h"

G_DEFINE_QUARK(ash_store_error_quark, ash_store_error)

enum {
	MAX_DEPTH = 16,
};

void ash_definition_free(AshDefinition *definition)
{
	if (definition == NULL)
		return;
	g_free(definition->name);
	g_free(definition->digest);
	g_free(definition->canonical);
	g_clear_pointer(&definition->values, g_hash_table_unref);
	ash_workload_free(definition->workload);
	g_free(definition->file);
	g_free(definition);
}

static void entry_free(gpointer data)
{
	AshStoreEntry *entry = data;

	g_free(entry->name);
	ash_definition_free(entry->definition);
	g_free(entry->problem);
	g_free(entry);
}

/* ---- one definition ---- */

static int compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(a, b);
}

static char *digest_of(const char *canonical, GHashTable *values)
{
	g_autoptr(GString) text = g_string_new(canonical);
	g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(values), compare_texts);

	for (GList *i = keys; i != NULL; i = i->next)
		g_string_append_printf(text, "\n%s=%s", (const char *) i->data,
				(const char *) g_hash_table_lookup(values, i->data));
	return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize) text->len);
}

gboolean ash_definition_make(const char *file, GBytes *text, GHashTable *values, bool is_signed,
		AshDefinition **out_definition, GError **error)
{
	g_autoptr(AshDefinition) definition = g_new0(AshDefinition, 1);

	if (!ash_workload_parse(file, text, &definition->workload, error))
		return FALSE;
	definition->canonical = ash_workload_format(definition->workload);
	definition->values = values != NULL ? g_hash_table_ref(values)
					    : g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
							      g_free);
	ASH_PREFIX("%s", file);
	if (!ash_workload_fill(definition->workload, definition->values, error))
		return FALSE;
	definition->digest = digest_of(definition->canonical, definition->values);
	definition->name = g_strdup(definition->workload->name);
	definition->is_signed = is_signed;
	definition->file = g_strdup(file);
	*out_definition = g_steal_pointer(&definition);
	return TRUE;
}

gboolean ash_store_parameters(
		const char *root, const char *name, GHashTable **out_values, GError **error)
{
	g_autofree char *path = g_strdup_printf("%s" ASH_STORE_PARAMETERS "/%s.yaml", root, name);
	g_autoptr(GHashTable) values =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(AshYaml) map = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_WORKLOAD_MAX_BYTES, &text, &local)) {
		if (!g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		*out_values = g_steal_pointer(&values);
		return TRUE;
	}
	if (!ash_yaml_parse(path, text, &map, error))
		return FALSE;
	if (map->kind != ASH_YAML_MAP && map->kind != ASH_YAML_NULL)
		return ash_yaml_throw(map, error, ASH_STORE_ERROR, ASH_STORE_ERROR_SYNTAX,
				"expected parameters with their values, 'greeting: hello'");
	for (guint i = 0; map->kind == ASH_YAML_MAP && i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		char *value = NULL;
		if (!ash_yaml_string(pair->value, pair->key, &value, error))
			return FALSE;
		g_hash_table_insert(values, g_strdup(pair->key), value);
	}
	*out_values = g_steal_pointer(&values);
	return TRUE;
}

/* The owner's values over @lower, which may be NULL. */
static gboolean merge_values(const char *root, const char *name, GHashTable *lower,
		GHashTable **out_values, GError **error)
{
	GHashTableIter iter;
	gpointer key = NULL, value = NULL;

	if (!ash_store_parameters(root, name, out_values, error))
		return FALSE;
	if (lower == NULL)
		return TRUE;
	g_hash_table_iter_init(&iter, lower);
	while (g_hash_table_iter_next(&iter, &key, &value))
		if (!g_hash_table_contains(*out_values, key))
			g_hash_table_insert(*out_values, g_strdup(key), g_strdup(value));
	return TRUE;
}

/* @where: without the root, as people know it; @lower: values that count behind the owner's; NULL: none */
static gboolean read_one(const char *root, const char *where, const char *name, bool is_signed,
		GHashTable *lower, AshDefinition **out_definition, GError **error)
{
	g_autofree char *path = g_strconcat(root, where, NULL);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(GHashTable) values = NULL;
	g_autoptr(AshDefinition) definition = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_WORKLOAD_MAX_BYTES, &text, error) ||
			!merge_values(root, name, lower, &values, error) ||
			!ash_definition_make(where, text, values, is_signed, &definition, error))
		return FALSE;
	if (strcmp(definition->name, name) != 0)
		return ash_throw(error, ASH_STORE_ERROR, ASH_STORE_ERROR_NAME,
				"%s: the workload is called '%s', so the file has to be '%s.yaml'",
				where, definition->name, definition->name);
	*out_definition = g_steal_pointer(&definition);
	return TRUE;
}

/* ---- directories ---- */

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Names below @where that @suffix ends, without it, sorted; a directory that is not there is empty. */
static gboolean list_names(const char *root, const char *where, const char *suffix, guint max,
		GPtrArray **out_names, GError **error)
{
	g_autofree char *path = g_strconcat(root, where, NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) local = NULL;
	g_autoptr(GDir) dir = g_dir_open(path, 0, &local);
	const char *name;

	if (dir == NULL && !g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
		if (name[0] == '.' || !g_str_has_suffix(name, suffix))
			continue;
		if (names->len == max)
			return ash_throw(error, ASH_STORE_ERROR, ASH_STORE_ERROR_LIMIT,
					"%s has more than %u files", where, max);
		g_ptr_array_add(names, g_strndup(name, strlen(name) - strlen(suffix)));
	}
	g_ptr_array_sort(names, compare_names);
	*out_names = g_steal_pointer(&names);
	return TRUE;
}

static char *read_pin(const char *root, const char *name)
{
	g_autofree char *path = g_strdup_printf("%s" ASH_STORE_PINNED "/%s", root, name);
	g_autoptr(GBytes) text = NULL;

	if (!ash_file_read(AT_FDCWD, path, ASH_VERSION_MAX_BYTES + 1, &text, NULL))
		return NULL;
	g_autofree char *version = g_strstrip(g_strdup(g_bytes_get_data(text, NULL)));
	return ash_version_is_valid(version) ? g_steal_pointer(&version) : NULL;
}

bool ash_store_has_local(const char *root, const char *name)
{
	g_autofree char *path = g_strdup_printf("%s" ASH_STORE_LOCAL "/%s.yaml", root, name);
	bool is_there = false;

	return ash_file_exists(AT_FDCWD, path, &is_there, NULL) && is_there;
}

gboolean ash_store_load_signed(const char *root, const char *name, const char *version,
		GHashTable *values, AshDefinition **out_definition, GError **error)
{
	g_autofree char *where = g_strdup_printf(ASH_STORE_SIGNED "/%s/%s.json", name, version);
	g_autofree char *path = g_strconcat(root, where, NULL);
	g_autofree char *unused = NULL;
	g_autoptr(GHashTable) fleet = NULL;
	bool is_there = false;

	if (!ash_file_exists(AT_FDCWD, path, &is_there, error) ||
			(values == NULL &&
					!ash_store_load_fleet(root, name, &unused, &fleet, error)))
		return FALSE;
	if (!is_there)
		return ash_throw(error, ASH_STORE_ERROR, ASH_STORE_ERROR_MISSING,
				"there is no signed version %s of '%s' on this host", version,
				name);
	return read_one(root, where, name, true, values != NULL ? values : fleet, out_definition,
			error);
}

/* Of the signed versions that are here the one that is wanted; NULL, and why, when there is none. */
static gboolean choose_signed(const char *root, const char *name, char **out_version,
		char **out_problem, GError **error)
{
	g_autofree char *where = g_strdup_printf(ASH_STORE_SIGNED "/%s", name);
	g_autofree char *pin = NULL;
	g_autoptr(GHashTable) unused = NULL;
	g_autoptr(GPtrArray) versions = NULL;
	const char *best = NULL;

	if (!list_names(root, where, ".json", ASH_STORE_MAX_VERSIONS, &versions, error) ||
			!ash_store_load_fleet(root, name, &pin, &unused, error))
		return FALSE;
	if (pin == NULL)
		pin = read_pin(root, name);
	for (guint i = 0; i < versions->len; i++) {
		const char *version = versions->pdata[i];
		if (!ash_version_is_valid(version))
			continue;
		if (pin != NULL ? strcmp(pin, version) == 0
				: best == NULL || ash_version_compare(version, best) > 0)
			best = version;
	}
	*out_version = g_strdup(best);
	*out_problem = best != NULL ? NULL
				    : g_strdup_printf("no signed definition of %s%s has come to this host; 'ashlarctl check' looks for it",
						      pin != NULL ? "version " : "it",
						      pin != NULL ? pin : "");
	return TRUE;
}

static void add_entry(GPtrArray *entries, const char *name, AshDefinition *take_definition,
		const char *problem)
{
	AshStoreEntry *entry = g_new0(AshStoreEntry, 1);

	entry->name = g_strdup(name);
	entry->definition = take_definition;
	entry->problem = g_strdup(problem);
	g_ptr_array_add(entries, entry);
}

static bool has_entry(const GPtrArray *entries, const char *name)
{
	for (guint i = 0; i < entries->len; i++)
		if (strcmp(((const AshStoreEntry *) entries->pdata[i])->name, name) == 0)
			return true;
	return false;
}

static void add_local(const char *root, const char *name, GPtrArray *entries)
{
	g_autofree char *where = g_strdup_printf(ASH_STORE_LOCAL "/%s.yaml", name);
	AshDefinition *definition = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_workload_is_name(name)) {
		g_autofree char *problem =
				g_strdup_printf("%s: '%s' is no name of a workload", where, name);
		add_entry(entries, name, NULL, problem);
	} else if (read_one(root, where, name, false, NULL, &definition, &local)) {
		add_entry(entries, name, definition, NULL);
	} else {
		add_entry(entries, name, NULL, local->message);
	}
}

/* One that is wanted and not there is no reason to stop what runs: it is an entry all the same. */
static void add_signed(const char *root, const char *name, GPtrArray *entries)
{
	g_autofree char *version = NULL, *problem = NULL;
	AshDefinition *definition = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_workload_is_name(name))
		return;
	if (choose_signed(root, name, &version, &problem, &local) && version != NULL &&
			ash_store_load_signed(root, name, version, NULL, &definition, &local))
		add_entry(entries, name, definition, NULL);
	else
		add_entry(entries, name, NULL, problem != NULL ? problem : local->message);
}

gboolean ash_store_scan(const char *root, GPtrArray **out_entries, GError **error)
{
	g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(entry_free);
	g_autoptr(GPtrArray) local = NULL;
	g_autoptr(GPtrArray) signed_names = NULL;

	if (!list_names(root, ASH_STORE_LOCAL, ".yaml", ASH_STORE_MAX_WORKLOADS, &local, error) ||
			!list_names(root, ASH_STORE_SIGNED, "", ASH_STORE_MAX_WORKLOADS,
					&signed_names, error))
		return FALSE;
	for (guint i = 0; i < local->len; i++)
		add_local(root, local->pdata[i], entries);
	for (guint i = 0; i < signed_names->len; i++)
		if (!has_entry(entries, signed_names->pdata[i]))
			add_signed(root, signed_names->pdata[i], entries);
	*out_entries = g_steal_pointer(&entries);
	return TRUE;
}

/* ---- changing what is wanted ---- */

static gboolean put(
		const char *root, const char *where, const char *text, mode_t mode, GError **error)
{
	g_autofree char *path = g_strconcat(root, where, NULL);
	g_autofree char *dir = g_path_get_dirname(path);

	return ash_file_ensure_dir(AT_FDCWD, dir, 0755, error) &&
	       ash_file_replace(AT_FDCWD, path, text, strlen(text), mode, error);
}

gboolean ash_store_put_local(const char *root, const char *name, const char *text, GError **error)
{
	g_autofree char *where = g_strdup_printf(ASH_STORE_LOCAL "/%s.yaml", name);

	return put(root, where, text, 0644, error);
}

static gboolean remove_path(const char *root, const char *where, GError **error)
{
	g_autofree char *path = g_strconcat(root, where, NULL);

	return ash_file_remove_tree(AT_FDCWD, path, error);
}

gboolean ash_store_pin(const char *root, const char *name, const char *version, GError **error)
{
	g_autofree char *pin = g_strdup_printf(ASH_STORE_PINNED "/%s", name);

	return version != NULL ? put(root, pin, version, 0644, error)
			       : remove_path(root, pin, error);
}

gboolean ash_store_want(const char *root, const char *name, GError **error)
{
	g_autofree char *dir = g_strdup_printf("%s" ASH_STORE_SIGNED "/%s", root, name);

	return ash_file_ensure_dir(AT_FDCWD, dir, 0700, error);
}

gboolean ash_store_unwant(const char *root, const char *name, GError **error)
{
	g_autofree char *local = g_strdup_printf(ASH_STORE_LOCAL "/%s.yaml", name);
	g_autofree char *signed_dir = g_strdup_printf(ASH_STORE_SIGNED "/%s", name);
	g_autofree char *pin = g_strdup_printf(ASH_STORE_PINNED "/%s", name);
	g_autofree char *fleet = g_strdup_printf(ASH_STORE_FLEET "/%s.json", name);

	return remove_path(root, local, error) && remove_path(root, signed_dir, error) &&
	       remove_path(root, pin, error) && remove_path(root, fleet, error);
}

/* ---- kept versions ---- */

static char *kept_path(const char *root, const char *name, const char *digest)
{
	return g_strdup_printf("%s" ASH_STORE_KEPT "/%s/%s.json", root, name, digest);
}

gboolean ash_store_keep(const char *root, const AshDefinition *definition, GError **error)
{
	g_autofree char *path = kept_path(root, definition->name, definition->digest);
	g_autofree char *dir = g_path_get_dirname(path);
	g_autoptr(JsonBuilder) builder = json_builder_new();
	GHashTableIter iter;
	gpointer key = NULL, value = NULL;

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "definition", definition->canonical);
	ash_json_begin_object(builder, "parameters");
	g_hash_table_iter_init(&iter, definition->values);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		json_builder_set_member_name(builder, key);
		json_builder_add_string_value(builder, value);
	}
	json_builder_end_object(builder);
	ash_json_add_bool(builder, "is_signed", definition->is_signed);
	ash_json_add_text(builder, "file", definition->file);
	json_builder_end_object(builder);
	g_autofree char *text = ash_json_format(builder, true);
	return ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) &&
	       ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, error);
}

static gboolean read_values(JsonObject *object, GHashTable *values, GError **error)
{
	g_autoptr(GList) keys = json_object_get_members(object);

	for (GList *i = keys; i != NULL; i = i->next) {
		const char *value = NULL;
		if (!ash_json_text(object, i->data, &value, error))
			return FALSE;
		g_hash_table_insert(values, g_strdup(i->data), g_strdup(value));
	}
	return TRUE;
}

gboolean ash_store_load(const char *root, const char *name, const char *digest,
		AshDefinition **out_definition, GError **error)
{
	g_autofree char *path = kept_path(root, name, digest);
	g_autoptr(GBytes) text = NULL;
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(AshDefinition) definition = NULL;
	g_autoptr(GHashTable) values =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	const char *canonical = NULL, *file = "";
	JsonObject *parameters = NULL;
	bool is_signed = false;

	ASH_PREFIX("the kept definition %s", path);
	if (!ash_file_read(AT_FDCWD, path, 4 * ASH_WORKLOAD_MAX_BYTES, &text, error) ||
			!ash_json_parse(text, 4 * ASH_WORKLOAD_MAX_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_STORE_ERROR, ASH_STORE_ERROR_SYNTAX, "not an object");
	JsonObject *object = json_node_get_object(node);
	if (!ash_json_text(object, "definition", &canonical, error) ||
			!ash_json_object(object, "parameters", &parameters, error) ||
			!read_values(parameters, values, error) ||
			!ash_json_bool_opt(object, "is_signed", &is_signed, error) ||
			!ash_json_text_opt(object, "file", &file, error))
		return FALSE;
	g_autoptr(GBytes) definition_text = g_bytes_new(canonical, strlen(canonical));
	if (!ash_definition_make(file, definition_text, values, is_signed, &definition, error))
		return FALSE;
	if (strcmp(definition->digest, digest) != 0 || strcmp(definition->name, name) != 0)
		return ash_throw(error, ASH_STORE_ERROR, ASH_STORE_ERROR_SYNTAX,
				"it is not what its name says");
	*out_definition = g_steal_pointer(&definition);
	return TRUE;
}

static gboolean clean_kept(const char *dir, const char *where, const char *suffix, const char *root,
		const char *const *digests, GError **error)
{
	g_autoptr(GPtrArray) names = NULL;

	if (!list_names(root, where, suffix, ASH_STORE_MAX_VERSIONS, &names, error))
		return FALSE;
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *path =
				g_strdup_printf("%s/%s%s", dir, (char *) names->pdata[i], suffix);
		if (!g_strv_contains(digests, names->pdata[i]) && unlink(path) < 0)
			return ash_throw_errno(error, "removing %s", path);
	}
	return TRUE;
}

gboolean ash_store_clean(
		const char *root, const char *name, const char *const *digests, GError **error)
{
	g_autofree char *where = g_strdup_printf(ASH_STORE_KEPT "/%s", name);
	g_autofree char *dir = g_strconcat(root, where, NULL);

	if (*digests == NULL)
		return ash_file_remove_tree(AT_FDCWD, dir, error);
	return clean_kept(dir, where, ".json", root, digests, error) &&
	       clean_kept(dir, where, ".staged", root, digests, error);
}
