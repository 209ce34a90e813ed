/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/inventory.h"

#include <string.h>

#include "builder/sbom.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

static char *format_packages(const AshCommit *commit)
{
	static const char *const keys[] = {"name", "version", "arch"};
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_json_begin_array(json, "packages");
	for (guint i = 0; i < commit->packages->len; i++) {
		if (strcmp(ash_commit_package(commit, i, "removed"), "true") == 0)
			continue;
		json_builder_begin_object(json);
		for (size_t k = 0; k < G_N_ELEMENTS(keys); k++)
			ash_json_add_text(json, keys[k], ash_commit_package(commit, i, keys[k]));
		json_builder_end_object(json);
	}
	json_builder_end_array(json);
	json_builder_end_object(json);
	return ash_json_format(json, false);
}

static char *format_spdx(const AshCommit *commit)
{
	return ash_sbom_format(commit, ASH_SBOM_SPDX);
}

static char *format_cyclonedx(const AshCommit *commit)
{
	return ash_sbom_format(commit, ASH_SBOM_CYCLONEDX);
}

static const struct {
	const char *suffix;
	char *(*format)(const AshCommit *commit);
} kinds[] = {
		{"packages.json", format_packages},
		{"spdx.json", format_spdx},
		{"cyclonedx.json", format_cyclonedx},
};

gboolean ash_inventory_save(
		const AshPublication *publication, const AshCommit *commit, GError **error)
{
	ASH_PREFIX("%s/sbom", publication->dir);

	if (!ash_file_ensure_dir(publication->fd, "sbom", 0755, error))
		return FALSE;
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *name =
				g_strdup_printf("sbom/%s.%s", commit->commit, kinds[i].suffix);
		g_autofree char *text = kinds[i].format(commit);
		if (!ash_file_replace(publication->fd, name, text, strlen(text), 0644, error))
			return FALSE;
	}
	return TRUE;
}

void ash_inventory_names(const char *commit, GHashTable *names)
{
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		g_hash_table_add(names, g_strdup_printf("%s.%s", commit, kinds[i].suffix));
}
