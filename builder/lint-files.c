/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/lint.h"
#include "lib/text.h"

static bool has_capability(const AshNode *node)
{
	for (gsize i = 0, n = node->xattrs != NULL ? g_variant_n_children(node->xattrs) : 0; i < n;
			i++) {
		const char *name = NULL;
		g_autoptr(GVariant) value = NULL;
		g_variant_get_child(node->xattrs, i, "(^&ay@ay)", &name, &value);
		if (strcmp(name, "security.capability") == 0)
			return true;
	}
	return false;
}

static void check_mode(AshLint *lint, const char *path, const AshNode *node)
{
	if (node->kind == ASH_NODE_LINK)
		return;
	if (node->kind == ASH_NODE_FILE && (node->mode & 06000) != 0)
		ash_lint_add(lint, "setuid", ASH_LINT_WARNING, path,
				"mode %04o runs it with the rights of its owner; remove it with 'remove: paths:' or allow it",
				node->mode);
	if (has_capability(node))
		ash_lint_add(lint, "capability", ASH_LINT_WARNING, path,
				"file capabilities give rights to whoever runs it; remove it or allow it");
	if ((node->mode & 0002) == 0)
		return;
	if (node->kind == ASH_NODE_FILE)
		ash_lint_add(lint, "world-writable", ASH_LINT_SEVERE, path,
				"everybody may write to it (mode %04o); set a mode without o+w",
				node->mode);
	else if ((node->mode & 01000) == 0)
		ash_lint_add(lint, "world-writable", ASH_LINT_SEVERE, path,
				"everybody may remove others' files in it (mode %04o); set the sticky bit or take o+w away",
				node->mode);
}

/* As the host sees it: /usr/etc is a copy there that nothing looks at. */
static void check_link(AshLint *lint, const char *path, const AshNode *node)
{
	bool is_etc = g_str_has_prefix(path, "/usr/etc/");
	g_autofree char *dir = g_path_get_dirname(is_etc ? path + strlen("/usr") : path);
	g_autofree char *end = NULL;

	if (node->kind != ASH_NODE_LINK ||
			ash_lint_follow(lint, dir, node->target, &end, NULL) != ASH_LINT_MISSING)
		return;
	if (g_str_has_prefix(end, "/var/"))
		ash_lint_add(lint, "var-missing", ASH_LINT_SEVERE, path,
				"leads to '%s', which no tmpfiles.d line and no StateDirectory= makes; add one",
				end);
	else
		ash_lint_add(lint, "dangling-link", ASH_LINT_WARNING, path,
				"leads to '%s', which is not there; remove the link or add what it needs",
				end);
}

static void check_name(AshLint *lint, const char *path, const AshNode *node)
{
	static const char *const suffixes[] = {".dpkg-new", ".dpkg-old", ".dpkg-dist", ".dpkg-tmp",
			".ucf-dist", ".ucf-old"};

	if (g_str_has_prefix(path, "/var/"))
		ash_lint_add(lint, "var-content", ASH_LINT_WARNING, path,
				"hosts never see what a commit has in /var; use tmpfiles.d and /usr/share/factory");
	if (node->kind != ASH_NODE_FILE)
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++)
		if (g_str_has_suffix(path, suffixes[i]))
			ash_lint_add(lint, "leftover", ASH_LINT_WARNING, path,
					"a package left it behind; remove it with 'remove: paths:'");
	if (g_str_has_prefix(path, "/usr/etc/ssh/ssh_host_") && g_str_has_suffix(path, "_key"))
		ash_lint_add(lint, "host-key", ASH_LINT_SEVERE, path,
				"every host of this image would have the same key; remove it, hosts make their own");
}

/* One finding for each directory, not one for each file. */
static void check_bytecode(AshLint *lint, const char *path, const AshNode *node)
{
	GHashTableIter iter;
	gpointer name, child;
	uint64_t bytes = 0;
	unsigned files = 0;

	if (node->kind != ASH_NODE_DIR)
		return;
	g_hash_table_iter_init(&iter, node->children);
	while (g_hash_table_iter_next(&iter, &name, &child)) {
		if (!g_str_has_suffix(name, ".pyc"))
			continue;
		bytes += ((AshNode *) child)->size;
		files++;
	}
	g_autofree char *size = ash_text_size(bytes);
	if (files > 0)
		ash_lint_add(lint, "bytecode", ASH_LINT_WARNING, path,
				"%u compiled Python files (%s) differ from build to build; remove '**/__pycache__/**'",
				files, size);
}

static gboolean check_node(const char *path, AshNode *node, gpointer data, GError **error)
{
	AshLint *lint = data;

	if (strcmp(path, "/") == 0)
		return TRUE;
	check_mode(lint, path, node);
	check_link(lint, path, node);
	check_name(lint, path, node);
	check_bytecode(lint, path, node);
	return TRUE;
}

static gboolean check_machine_id(AshLint *lint, GError **error)
{
	static const char path[] = "/usr/etc/machine-id";
	g_autofree char *text = NULL;

	if (!ash_lint_read(lint, path, &text, error))
		return FALSE;
	g_strstrip(text);
	if (*text != '\0' && strcmp(text, "uninitialized") != 0)
		ash_lint_add(lint, "machine-id", ASH_LINT_SEVERE, path,
				"every host of this image would be the same machine; empty the file");
	return TRUE;
}

gboolean ash_lint_check_files(AshLint *lint, GError **error)
{
	return ash_tree_walk(lint->tree, check_node, lint, error) && check_machine_id(lint, error);
}
