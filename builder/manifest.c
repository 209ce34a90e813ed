/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/manifest.h"

#include <string.h>

#include "builder/manifest-load.h"
#include "lib/error.h"
#include "lib/text.h"

G_DEFINE_QUARK(ash_manifest_error, ash_manifest_error)

/* initramfs, while no manifest has said anything about it. */
#define INITRAMFS_UNSET ((AshManifestInitramfs) 0x7fff)

const char *ash_manifest_native_arch(void)
{
	/* The architecture of our own code, as the packages' scripts will be run by its kind. */
#if defined(__x86_64__)
	return "amd64";
#elif defined(__aarch64__)
	return "arm64";
#elif defined(__arm__)
	return "armhf";
#elif defined(__i386__)
	return "i386";
#elif defined(__riscv) && __riscv_xlen == 64
	return "riscv64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	return "ppc64el";
#elif defined(__s390x__)
	return "s390x";
#elif defined(__loongarch64)
	return "loong64";
#else
#error "give Debian's name of this architecture here"
#endif
}

/* ---- life ---------------------------------------------------------------------------------------- */

static AshManifest *manifest_new(const char *path, const char *arch, const char *variant)
{
	AshManifest *manifest = g_new0(AshManifest, 1);
	g_autofree char *dir = g_path_get_dirname(path);

	manifest->path = g_strdup(path);
	manifest->dir = g_canonicalize_filename(dir, NULL);
	manifest->arch = g_strdup(arch);
	manifest->variant = g_strdup(variant);
	manifest->inputs = g_ptr_array_new_with_free_func(g_free);
	manifest->initramfs = INITRAMFS_UNSET;
	ash_manifest_store_defaults(ash_schema_manifest, manifest);
	return manifest;
}

void ash_manifest_free(AshManifest *manifest)
{
	if (manifest == NULL)
		return;
	char *texts[] = {manifest->path, manifest->dir, manifest->name, manifest->version,
			manifest->summary, manifest->arch, manifest->variant, manifest->suite,
			manifest->hostname, manifest->default_target};
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
		g_free(texts[i]);
	GPtrArray *lists[] = {manifest->repositories, manifest->packages, manifest->exclude,
			manifest->pins, manifest->debs, manifest->files, manifest->users,
			manifest->groups, manifest->units, manifest->presets,
			manifest->kernel_arguments, manifest->remove_packages,
			manifest->remove_paths, manifest->keep_paths, manifest->postprocess,
			manifest->initramfs_modules, manifest->kernel_modules, manifest->inputs};
	for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
		g_ptr_array_unref(lists[i]);
	ash_health_spec_free(manifest->health);
	g_free(manifest);
}

static void loader_free(AshManifestLoader *loader)
{
	ash_manifest_free(loader->manifest);
	g_ptr_array_unref(loader->sources);
	ash_variables_free(loader->variables);
	g_hash_table_unref(loader->known);
	g_free(loader);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshManifestLoader, loader_free)

static AshManifestLoader *loader_new(const char *path, const char *arch, const char *variant)
{
	AshManifestLoader *loader = g_new0(AshManifestLoader, 1);

	loader->manifest = manifest_new(path, arch, variant);
	loader->sources = g_ptr_array_new();
	loader->variables = ash_variables_new();
	loader->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return loader;
}

static const AshYamlNode *root_of(const AshManifestLoader *loader, guint index)
{
	return ((const AshManifestSource *) loader->sources->pdata[index])->root;
}

/* ---- choosing parts ------------------------------------------------------------------------------ */

/* The part @name of @map's key @group; NULL when there is none. */
static AshYamlNode *find_part(const AshYamlNode *map, const char *group, const char *name)
{
	const AshYamlNode *parts = map != NULL ? ash_yaml_get(map, group) : NULL;

	return parts != NULL && name != NULL ? ash_yaml_get(parts, name) : NULL;
}

static void collect_names(const AshYamlNode *map, const char *group, GHashTable *names,
		const AshYamlNode **first)
{
	const AshYamlNode *parts = map != NULL ? ash_yaml_get(map, group) : NULL;

	if (parts == NULL)
		return;
	if (*first == NULL)
		*first = parts;
	for (guint i = 0; i < parts->pairs->len; i++)
		g_hash_table_add(names, ((AshYamlPair *) parts->pairs->pdata[i])->key);
}

static char **sorted_names(GHashTable *names)
{
	g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(names), (GCompareFunc) strcmp);
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

	for (const GList *key = keys; key != NULL; key = key->next)
		g_strv_builder_add(builder, key->data);
	return g_strv_builder_end(builder);
}

static gboolean check_variant(const AshManifestLoader *loader, const char *variant, GError **error)
{
	g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
	const AshYamlNode *first = NULL;

	for (guint i = 0; i < loader->sources->len; i++)
		collect_names(root_of(loader, i), "variants", names, &first);
	if (variant == NULL || g_hash_table_contains(names, variant))
		return TRUE;
	if (first == NULL)
		return ash_manifest_throw(root_of(loader, loader->sources->len - 1), error,
				ASH_MANIFEST_ERROR_VARIANT,
				"there is no variant '%s', the manifest has no variants", variant);
	g_auto(GStrv) sorted = sorted_names(names);
	g_autofree char *list = g_strjoinv(", ", sorted);
	g_autofree char *suggestion = ash_text_suggestion(variant, (const char *const *) sorted);
	return ash_manifest_throw(first, error, ASH_MANIFEST_ERROR_VARIANT,
			"there is no variant '%s' among: %s%s", variant, list, suggestion);
}

static gboolean check_arch(const AshManifestLoader *loader, GError **error)
{
	const AshManifest *manifest = loader->manifest;
	g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
	const AshYamlNode *first = NULL;

	for (guint i = 0; i < loader->sources->len; i++) {
		const AshYamlNode *root = root_of(loader, i);
		collect_names(root, "architectures", names, &first);
		collect_names(find_part(root, "variants", manifest->variant), "architectures",
				names, &first);
	}
	if (first == NULL || g_hash_table_contains(names, manifest->arch))
		return TRUE;
	g_auto(GStrv) sorted = sorted_names(names);
	g_autofree char *list = g_strjoinv(", ", sorted);
	return ash_manifest_throw(first, error, ASH_MANIFEST_ERROR_ARCH,
			"this manifest is not for architecture '%s', only for: %s", manifest->arch,
			*list != '\0' ? list : "none");
}

/* ---- storing ------------------------------------------------------------------------------------- */

/* @part: NULL when there is no such part. Reading took care of the keys that are not stored here,
 * and `variables` are expanded where they are used.
 */
static gboolean apply_part(AshManifestLoader *loader, AshYamlNode *part, GError **error)
{
	static const char *const skipped[] = {
			"include", "variables", "architectures", "variants", NULL};

	if (part == NULL || part->kind != ASH_YAML_MAP)
		return TRUE;
	for (guint i = 0; i < part->pairs->len; i++) {
		const AshYamlPair *pair = part->pairs->pdata[i];
		if (!g_strv_contains(skipped, pair->key) &&
				!ash_variables_expand(loader->variables, pair->value, error))
			return FALSE;
	}
	return ash_manifest_store(loader, part, error);
}

static gboolean apply_source(AshManifestLoader *loader, AshYamlNode *root, GError **error)
{
	const AshManifest *manifest = loader->manifest;
	AshYamlNode *variant = find_part(root, "variants", manifest->variant);

	return apply_part(loader, root, error) &&
	       apply_part(loader, find_part(root, "architectures", manifest->arch), error) &&
	       apply_part(loader, variant, error) &&
	       apply_part(loader, find_part(variant, "architectures", manifest->arch), error);
}

/* ---- completing ---------------------------------------------------------------------------------- */

static gboolean complete_name(AshManifest *manifest, GError **error)
{
	const AshYamlNode top = {.file = manifest->path, .line = 1, .column = 1};

	if (manifest->name != NULL)
		return TRUE;
	g_autofree char *base = g_path_get_basename(manifest->path);
	if (g_str_has_suffix(base, ".yaml"))
		base[strlen(base) - strlen(".yaml")] = '\0';
	if (!ash_form_matches(ASH_FORM_NAME, base))
		return ash_manifest_throw(&top, error, ASH_MANIFEST_ERROR_MISSING,
				"key 'name' is missing, and the file's name is not %s",
				ash_form_expected(ASH_FORM_NAME));
	manifest->name = g_steal_pointer(&base);
	return TRUE;
}

static gboolean complete_repositories(AshManifest *manifest, GError **error)
{
	g_autoptr(GHashTable) ids = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < manifest->repositories->len; i++) {
		AshManifestRepository *repository = manifest->repositories->pdata[i];
		if (repository->id == NULL)
			repository->id = g_strdup_printf("repo%u", i + 1);
		if (!g_hash_table_add(ids, repository->id))
			return ash_throw(error, ASH_MANIFEST_ERROR, ASH_MANIFEST_ERROR_DUPLICATE,
					"%s: another repository is called '%s', give this one a "
					"'name'",
					repository->mark, repository->id);
		if (repository->path != NULL || repository->is_flat)
			continue;
		if (repository->suites == NULL || repository->suites[0] == NULL) {
			const char *const suites[] = {manifest->suite, NULL};
			g_strfreev(repository->suites);
			repository->suites = g_strdupv((char **) (guintptr) suites);
		}
		if (repository->components == NULL || repository->components[0] == NULL) {
			g_strfreev(repository->components);
			repository->components = g_strsplit("main", " ", -1);
		}
	}
	return TRUE;
}

static gboolean complete(AshManifest *manifest, GError **error)
{
	const AshYamlNode top = {.file = manifest->path, .line = 1, .column = 1};

	if (!complete_name(manifest, error) || !complete_repositories(manifest, error))
		return FALSE;
	if (manifest->health != NULL && manifest->kind != ASH_MANIFEST_HOST)
		return ash_manifest_throw(&top, error, ASH_MANIFEST_ERROR_VALUE,
				"'health' is for hosts only");
	if (manifest->initramfs == INITRAMFS_UNSET)
		manifest->initramfs = manifest->kind == ASH_MANIFEST_HOST
						      ? ASH_MANIFEST_INITRAMFS_NATIVE
						      : ASH_MANIFEST_INITRAMFS_NONE;
	for (guint i = 0; i < manifest->postprocess->len; i++) {
		AshManifestScript *script = manifest->postprocess->pdata[i];
		if (script->name == NULL)
			script->name = g_strdup_printf("postprocess %u", i + 1);
	}
	return TRUE;
}

/* ---- loading ------------------------------------------------------------------------------------- */

static gboolean check_arguments(
		const char *path, const char *arch, const char *variant, GError **error)
{
	const AshYamlNode top = {.file = path, .line = 1, .column = 1};

	if (!g_utf8_validate(arch, -1, NULL) || !ash_form_matches(ASH_FORM_ARCH, arch))
		return ash_manifest_throw(&top, error, ASH_MANIFEST_ERROR_ARCH, "'%s' is not %s",
				arch, ash_form_expected(ASH_FORM_ARCH));
	if (variant != NULL && (!g_utf8_validate(variant, -1, NULL) ||
					       !ash_form_matches(ASH_FORM_VARIANT, variant)))
		return ash_manifest_throw(&top, error, ASH_MANIFEST_ERROR_VARIANT, "'%s' is not %s",
				variant, ash_form_expected(ASH_FORM_VARIANT));
	return TRUE;
}

gboolean ash_manifest_load(const char *path, const char *arch, const char *variant,
		const char *const *set, AshManifest **out_manifest, GError **error)
{
	if (arch == NULL)
		arch = ash_manifest_native_arch();
	if (!check_arguments(path, arch, variant, error))
		return FALSE;

	g_autoptr(AshManifestLoader) loader = loader_new(path, arch, variant);
	if (!ash_manifest_read(loader, path, set, error) ||
			!check_variant(loader, variant, error) || !check_arch(loader, error))
		return FALSE;
	for (guint i = 0; i < loader->sources->len; i++) {
		const AshManifestSource *source = loader->sources->pdata[i];
		if (!apply_source(loader, source->root, error))
			return FALSE;
	}
	if (!complete(loader->manifest, error))
		return FALSE;
	*out_manifest = loader->manifest;
	loader->manifest = NULL;
	return TRUE;
}

gboolean ash_manifest_list_variants(const char *path, char ***out_variants, GError **error)
{
	g_autoptr(AshManifestLoader) loader = loader_new(path, ash_manifest_native_arch(), NULL);
	g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
	const AshYamlNode *first = NULL;

	if (!ash_manifest_read(loader, path, NULL, error))
		return FALSE;
	for (guint i = 0; i < loader->sources->len; i++)
		collect_names(root_of(loader, i), "variants", names, &first);
	*out_variants = sorted_names(names);
	return TRUE;
}
