/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/diff.h"
#include "builder/manifest.h"
#include "lib/crypto.h"

/* A manifest is a table, too: single values under their key, items of lists under "KEY ITEM". Contents
 * are shown by their size and the beginning of their hash.
 */

static void set(AshDiffSide *side, const char *key, const char *value)
{
	g_hash_table_insert(side->fields, g_strdup(key), g_strdup(value != NULL ? value : ""));
}

/* @take_value: freed */
static void set_item(AshDiffSide *side, const char *list, const char *item, char *take_value)
{
	g_hash_table_insert(side->fields, g_strconcat(list, " ", item, NULL), take_value);
}

static void set_texts(AshDiffSide *side, const char *list, const GPtrArray *texts)
{
	for (guint i = 0; i < texts->len; i++)
		set_item(side, list, texts->pdata[i], g_strdup(""));
}

static char *describe_content(GBytes *content)
{
	gsize size = 0;
	const void *data = g_bytes_get_data(content, &size);
	g_autofree char *hash = ash_sha256_hex(data, size);

	return g_strdup_printf("%zu B, sha256 %.12s", size, hash);
}

static char *describe_file(const AshManifestFile *file)
{
	g_autofree char *content = NULL;

	if (file->kind == ASH_MANIFEST_FILE_LINK)
		return g_strdup_printf("-> %s", file->target);
	if (file->kind == ASH_MANIFEST_FILE_DIRECTORY)
		return g_strdup_printf("directory %04o %s:%s", file->mode, file->user, file->group);
	if (file->kind == ASH_MANIFEST_FILE_MODE)
		return g_strdup_printf("mode %04o", file->mode);
	content = describe_content(file->content);
	return g_strdup_printf("%04o %s:%s, %s", file->mode, file->user, file->group, content);
}

static void set_units(AshDiffSide *side, const GPtrArray *units)
{
	for (guint i = 0; i < units->len; i++) {
		const AshManifestUnit *unit = units->pdata[i];
		const char *state = unit->enable    ? "enabled"
				    : unit->disable ? "disabled"
				    : unit->mask    ? "masked"
						    : "";
		g_autofree char *content =
				unit->content != NULL ? describe_content(unit->content) : NULL;
		set_item(side, "units", unit->name,
				g_strconcat(state, *state != '\0' && content != NULL ? ", " : "",
						content, NULL));
		for (guint j = 0; j < unit->dropins->len; j++) {
			const AshManifestDropin *dropin = unit->dropins->pdata[j];
			g_autofree char *name = g_strconcat(unit->name, "/", dropin->name, NULL);
			set_item(side, "units", name, describe_content(dropin->content));
		}
	}
}

static void set_users(AshDiffSide *side, const char *list, const GPtrArray *users)
{
	for (guint i = 0; i < users->len; i++) {
		const AshManifestUser *user = users->pdata[i];
		g_autofree char *groups =
				user->groups != NULL ? g_strjoinv(",", user->groups) : g_strdup("");
		set_item(side, list, user->name,
				g_strdup_printf("id %" G_GINT64_FORMAT
						" home %s shell %s groups %s",
						user->id, user->home != NULL ? user->home : "-",
						user->shell != NULL ? user->shell : "-",
						*groups != '\0' ? groups : "-"));
	}
}

static void set_repositories(AshDiffSide *side, const GPtrArray *repositories)
{
	for (guint i = 0; i < repositories->len; i++) {
		const AshManifestRepository *repository = repositories->pdata[i];
		g_autofree char *suites = repository->suites != NULL
							  ? g_strjoinv(" ", repository->suites)
							  : g_strdup("");
		set_item(side, "repositories", repository->id,
				g_strdup_printf("%s %s priority %u%s",
						repository->uri != NULL ? repository->uri
									: repository->path,
						suites, repository->priority,
						repository->is_trusted ? " trusted" : ""));
	}
}

static void set_packages(AshDiffSide *side, const AshManifest *manifest)
{
	for (guint i = 0; i < manifest->packages->len; i++) {
		const AshManifestPackage *package = manifest->packages->pdata[i];
		g_hash_table_insert(side->packages, g_strdup(package->name),
				package->relation != NULL
						? g_strdup_printf("%s %s", package->relation,
								  package->version)
						: g_strdup(""));
	}
	for (guint i = 0; i < manifest->exclude->len; i++) {
		const AshManifestPackage *package = manifest->exclude->pdata[i];
		set_item(side, "exclude", package->name, g_strdup(""));
	}
	for (guint i = 0; i < manifest->pins->len; i++) {
		const AshManifestPin *pin = manifest->pins->pdata[i];
		set_item(side, "pins", pin->package,
				g_strdup_printf("%s%s%s", pin->version != NULL ? pin->version : "",
						pin->suite != NULL ? " from " : "",
						pin->suite != NULL ? pin->suite : ""));
	}
}

static void set_scalars(AshDiffSide *side, const AshManifest *manifest)
{
	static const char *const initramfs[] = {
			[ASH_MANIFEST_INITRAMFS_NATIVE] = "native",
			[ASH_MANIFEST_INITRAMFS_DRACUT] = "dracut",
			[ASH_MANIFEST_INITRAMFS_NONE] = "none",
	};
	g_autofree char *digest = ash_manifest_digest(manifest);

	set(side, "architecture", manifest->arch);
	set(side, "default-target", manifest->default_target);
	set(side, "hostname", manifest->hostname);
	set(side, "initramfs", initramfs[manifest->initramfs]);
	set(side, "kind", manifest->kind == ASH_MANIFEST_HOST ? "host" : "workload");
	set(side, "manifest-digest", digest);
	set(side, "name", manifest->name);
	set(side, "recommends", manifest->recommends ? "true" : "false");
	set(side, "suite", manifest->suite);
	set(side, "summary", manifest->summary);
	set(side, "variant", manifest->variant);
	set(side, "version", manifest->version);
}

gboolean ash_diff_load_manifest(AshDiffSide *side, GError **error)
{
	g_autoptr(AshManifest) manifest = NULL;
	g_autofree char *inputs = NULL;

	if (!ash_manifest_load(side->name, NULL, NULL, NULL, &manifest, error) ||
			!ash_manifest_solve_digest(manifest, &inputs, error))
		return FALSE;
	set(side, "inputs", inputs);
	set_scalars(side, manifest);
	set_packages(side, manifest);
	set_repositories(side, manifest->repositories);
	set_users(side, "users", manifest->users);
	set_users(side, "groups", manifest->groups);
	set_units(side, manifest->units);
	set_texts(side, "presets", manifest->presets);
	set_texts(side, "remove packages", manifest->remove_packages);
	set_texts(side, "remove paths", manifest->remove_paths);
	set_texts(side, "remove keep", manifest->keep_paths);
	set_texts(side, "initramfs modules", manifest->initramfs_modules);
	set_texts(side, "kernel modules", manifest->kernel_modules);
	for (guint i = 0; i < manifest->kernel_arguments->len; i++)
		g_hash_table_insert(side->arguments, g_strdup(manifest->kernel_arguments->pdata[i]),
				g_strdup(""));
	for (guint i = 0; i < manifest->files->len; i++) {
		const AshManifestFile *file = manifest->files->pdata[i];
		set_item(side, "files", file->path, describe_file(file));
	}
	for (guint i = 0; i < manifest->postprocess->len; i++) {
		const AshManifestScript *script = manifest->postprocess->pdata[i];
		set_item(side, "postprocess", script->name, describe_content(script->content));
	}
	return TRUE;
}
