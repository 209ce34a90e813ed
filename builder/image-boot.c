/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/image-boot.h"

#include <stdbool.h>
#include <string.h>

const char ash_image_boot_loader_conf[] = "timeout 0\n"
					  "editor no\n";

char *ash_image_boot_find_kernel(const AshTree *tree)
{
	const AshNode *modules = ash_tree_find(tree, "/usr/lib/modules");
	const char *found = NULL;

	if (modules == NULL || modules->kind != ASH_NODE_DIR)
		return NULL;
	g_autoptr(GPtrArray) names = ash_node_sorted_names(modules);
	for (guint i = 0; i < names->len; i++) {
		const AshNode *release = ash_node_child(modules, names->pdata[i]);
		if (ash_node_child(release, "vmlinuz") == NULL)
			continue;
		if (found != NULL)
			return NULL;
		found = names->pdata[i];
	}
	return g_strdup(found);
}

/* Does the commit say itself how the root is to be mounted? */
static bool says_mode(const AshCommit *commit)
{
	const char *const *arguments = (const char *const *) commit->kernel_arguments;

	return arguments != NULL &&
	       (g_strv_contains(arguments, "rw") || g_strv_contains(arguments, "ro"));
}

char *ash_image_boot_options(
		const AshCommit *commit, const AshImageSpec *spec, const AshImageArch *arch)
{
	GString *text = g_string_new(NULL);

	g_string_append_printf(text, "root=PARTLABEL=%s%s", spec->root_label,
			says_mode(commit) ? "" : " ro");
	for (char **arg = commit->kernel_arguments; arg != NULL && *arg != NULL; arg++)
		g_string_append_printf(text, " %s", *arg);
	for (char **arg = spec->kernel_arguments; *arg != NULL; arg++)
		g_string_append_printf(text, " %s", *arg);
	if (strcmp(spec->console, "serial") == 0)
		g_string_append_printf(text, " console=%s", arch->serial);
	else if (strcmp(spec->console, "none") != 0)
		g_string_append_printf(text, " console=%s", spec->console);
	return g_string_free(text, FALSE);
}

char *ash_image_boot_dir(const char *commit)
{
	return g_strdup_printf("/ashlar/%.16s", commit);
}

/* Letters that FAT and systemd-boot take as they are. */
static char *plain(const char *text)
{
	char *copy = g_strdup(text);

	for (char *p = copy; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr(".-_~", *p) == NULL)
			*p = '_';
	return copy;
}

char *ash_image_boot_entry_name(const AshCommit *commit)
{
	g_autofree char *version = plain(commit->version);

	return g_strdup_printf("ashlar-%s-%.8s.conf", version, commit->commit);
}

char *ash_image_boot_entry(const AshCommit *commit, const AshImageArch *arch, const char *options)
{
	g_autofree char *dir = ash_image_boot_dir(commit->commit);

	/* The sort key of generation 0 (agent/boot-entry.h): every later deployment comes before it. */
	return g_strdup_printf("title Ashlar %s %s\n"
			       "version %s\n"
			       "sort-key ashlar-99999999\n"
			       "architecture %s\n"
			       "linux %s/vmlinuz\n"
			       "initrd %s/initramfs.img\n"
			       "options %s\n",
			commit->name, commit->version, commit->version, arch->efi, dir, dir,
			options);
}
