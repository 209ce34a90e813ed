/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "builder/manifest-load.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/text.h"

/* Files: a manifest, what it includes, and what its `source:` keys name. */

enum {
	MAX_DEPTH = 16, /* of includes within includes */
};

/* The files that are being read right now, innermost first. */
typedef struct Chain Chain;
struct Chain {
	const AshManifestSource *source;
	const Chain *outer; /* NULL for the top file */
	unsigned depth;
};

char *ash_manifest_resolve(const AshYamlNode *node, const char *relative)
{
	g_autofree char *dir = g_path_get_dirname(node->file);
	g_autofree char *absolute_dir = g_canonicalize_filename(dir, NULL);

	return g_canonicalize_filename(relative, absolute_dir);
}

gboolean ash_manifest_read_source(AshManifestLoader *loader, const AshYamlNode *node,
		GBytes **out_content, bool *out_is_executable, GError **error)
{
	g_autofree char *path = ash_manifest_resolve(node, node->scalar);
	g_autoptr(GError) local = NULL;
	struct stat st;

	/* A FIFO would make us wait for ever. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE,
				"'%s' is not a regular file", node->scalar);
	if (!ash_file_read(AT_FDCWD, path, ASH_MANIFEST_MAX_FILE_BYTES, out_content, &local))
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_VALUE,
				"cannot read the source: %s", local->message);
	*out_is_executable = (st.st_mode & 0100) != 0;
	g_ptr_array_add(loader->manifest->inputs, g_steal_pointer(&path));
	return TRUE;
}

/* ---- variables ----------------------------------------------------------------------------------- */

static void add_variables(AshVariables *variables, const AshYamlNode *root)
{
	const AshYamlNode *map = ash_yaml_get(root, "variables");

	for (guint i = 0; map != NULL && i < map->pairs->len; i++) {
		const AshYamlPair *pair = map->pairs->pdata[i];
		ash_variables_set(variables, pair->key, pair->value->scalar);
	}
}

static gboolean split_setting(const char *setting, char **out_name, const char **out_value)
{
	const char *equals = strchr(setting, '=');

	if (equals == NULL || !g_utf8_validate(setting, -1, NULL))
		return FALSE;
	*out_name = g_strndup(setting, (size_t) (equals - setting));
	*out_value = equals + 1;
	return TRUE;
}

/* @must_exist: a misspelt --set would change nothing, and nobody would notice. */
static gboolean add_settings(AshVariables *variables, const char *path, const char *const *set,
		bool must_exist, GError **error)
{
	const AshYamlNode top = {.file = path, .line = 1, .column = 1};

	for (; set != NULL && *set != NULL; set++) {
		g_autofree char *name = NULL;
		const char *value;
		if (!split_setting(*set, &name, &value))
			return ash_manifest_throw(&top, error, ASH_MANIFEST_ERROR_VARIABLE,
					"setting '%s': expected NAME=VALUE", *set);
		if (must_exist && !ash_variables_has(variables, name)) {
			g_autofree const char **names = ash_variables_names(variables);
			g_autofree char *suggestion = ash_text_suggestion(name, names);
			return ash_manifest_throw(&top, error, ASH_MANIFEST_ERROR_VARIABLE,
					"setting '%s': the manifest has no variable '%s'%s", *set,
					name, suggestion);
		}
		ash_variables_set(variables, name, value);
	}
	return TRUE;
}

static void add_chain_variables(AshVariables *variables, const Chain *chain)
{
	for (; chain != NULL; chain = chain->outer)
		add_variables(variables, chain->source->root);
}

/* ---- reading ------------------------------------------------------------------------------------- */

static void source_free(gpointer data)
{
	AshManifestSource *source = data;

	g_free(source->path);
	g_free(source->real_path);
	ash_yaml_free(source->root);
	g_free(source);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshManifestSource, source_free)

static gboolean rethrow_yaml(const GError *local, GError **error)
{
	return ash_throw(error, ASH_MANIFEST_ERROR,
			g_error_matches(local, ASH_YAML_ERROR, ASH_YAML_ERROR_DUPLICATE)
					? ASH_MANIFEST_ERROR_DUPLICATE
					: ASH_MANIFEST_ERROR_SYNTAX,
			"%s", local->message);
}

static gboolean parse_file(AshManifestSource *source, GError **error)
{
	g_autoptr(GBytes) text = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_file_read(AT_FDCWD, source->path, ASH_MANIFEST_MAX_BYTES, &text, error))
		return FALSE;
	if (!ash_yaml_parse(source->path, text, &source->root, &local))
		return rethrow_yaml(local, error);
	return ash_manifest_check(source->root, error);
}

static gboolean read_includes(AshManifestLoader *loader, const Chain *chain, const char *const *set,
		GError **error);

/* A file that cannot be read is an error of another domain, which the caller turns into one that
 * says where it was asked for.
 */
static gboolean read_file(AshManifestLoader *loader, const char *path, const char *real_path,
		const Chain *outer, const char *const *set, GError **error)
{
	g_autoptr(AshManifestSource) source = g_new0(AshManifestSource, 1);
	const Chain chain = {.source = source,
			.outer = outer,
			.depth = outer == NULL ? 1 : outer->depth + 1};

	source->path = g_strdup(path);
	source->real_path = g_strdup(real_path);
	if (!parse_file(source, error))
		return FALSE;
	g_ptr_array_add(loader->manifest->inputs, g_strdup(real_path));
	if (!read_includes(loader, &chain, set, error))
		return FALSE;
	/* Behind what it includes: later sources win. */
	g_ptr_array_add(loader->sources, g_steal_pointer(&source));
	return TRUE;
}

static bool is_read(const AshManifestLoader *loader, const char *real_path)
{
	for (guint i = 0; i < loader->sources->len; i++) {
		const AshManifestSource *source = loader->sources->pdata[i];
		if (strcmp(source->real_path, real_path) == 0)
			return true;
	}
	return false;
}

static gboolean check_chain(const AshManifestLoader *loader, const AshYamlNode *node,
		const Chain *chain, const char *real_path, GError **error)
{
	if (chain->depth >= MAX_DEPTH ||
			loader->sources->len + chain->depth > ASH_MANIFEST_MAX_INCLUDES)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_INCLUDE,
				"includes are more than %d deep or more than %d in all", MAX_DEPTH,
				ASH_MANIFEST_MAX_INCLUDES);
	for (const Chain *link = chain; link != NULL; link = link->outer)
		if (strcmp(link->source->real_path, real_path) == 0)
			return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_INCLUDE,
					"'%s' includes itself, by way of this", link->source->path);
	return TRUE;
}

static gboolean read_include(AshManifestLoader *loader, const AshYamlNode *node, const Chain *chain,
		const char *const *set, GError **error)
{
	g_autofree char *dir = g_path_get_dirname(chain->source->path);
	g_autofree char *path = g_path_is_absolute(node->scalar) || strcmp(dir, ".") == 0
						? g_strdup(node->scalar)
						: g_build_filename(dir, node->scalar, NULL);
	g_autofree char *real_path = realpath(path, NULL);
	g_autoptr(GError) local = NULL;

	if (real_path == NULL)
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_INCLUDE,
				"there is no file '%s' to include", path);
	/* A FIFO would make us wait for ever, a device might never end. */
	if (!g_file_test(real_path, G_FILE_TEST_IS_REGULAR))
		return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_INCLUDE,
				"cannot include '%s': it is not a regular file", path);
	if (is_read(loader, real_path))
		return TRUE;
	if (!check_chain(loader, node, chain, real_path, error))
		return FALSE;
	if (read_file(loader, path, real_path, chain, set, &local))
		return TRUE;
	if (local->domain == ASH_MANIFEST_ERROR) {
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	return ash_manifest_throw(node, error, ASH_MANIFEST_ERROR_INCLUDE,
			"cannot include '%s': %s", path, local->message);
}

static gboolean read_includes(AshManifestLoader *loader, const Chain *chain, const char *const *set,
		GError **error)
{
	const char *top = chain->source->path;
	AshYamlNode *list = ash_yaml_get(chain->source->root, "include");
	g_autoptr(AshVariables) variables = ash_variables_new();

	if (list == NULL)
		return TRUE;
	/* Only what is known before the included files are read. */
	add_chain_variables(variables, chain);
	if (!add_settings(variables, top, set, false, error) ||
			!ash_variables_expand(variables, list, error))
		return FALSE;
	for (guint i = 0; i < list->items->len; i++) {
		const AshYamlNode *item = list->items->pdata[i];
		if (!ash_form_matches(ASH_FORM_LOCAL_PATH, item->scalar))
			return ash_manifest_throw(item, error, ASH_MANIFEST_ERROR_INCLUDE,
					"'%s' is not the path of a file", item->scalar);
		if (!read_include(loader, item, chain, set, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_manifest_read(
		AshManifestLoader *loader, const char *path, const char *const *set, GError **error)
{
	g_autofree char *real_path = realpath(path, NULL);

	const AshYamlNode top = {.file = path, .line = 1, .column = 1};
	g_autoptr(GError) local = NULL;

	if (real_path == NULL)
		return ash_manifest_throw(&top, error, ASH_MANIFEST_ERROR_INCLUDE,
				"cannot read the manifest: %s", g_strerror(errno));
	g_ptr_array_set_free_func(loader->sources, source_free);
	if (!read_file(loader, path, real_path, NULL, set, &local)) {
		if (local->domain != ASH_MANIFEST_ERROR)
			return ash_manifest_throw(&top, error, ASH_MANIFEST_ERROR_INCLUDE,
					"cannot read the manifest: %s", local->message);
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	for (guint i = 0; i < loader->sources->len; i++) {
		const AshManifestSource *source = loader->sources->pdata[i];
		add_variables(loader->variables, source->root);
	}
	return add_settings(loader->variables, path, set, true, error);
}
