/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/dpkgdb.h"

#include <string.h>

#include "builder/deb.h"

#define ADMIN_DIR "var/lib/dpkg"

static gboolean add_text(
		AshRepo *repo, AshTree *tree, const char *path, const GString *text, GError **error)
{
	g_autoptr(AshNode) node = ash_node_new(ASH_NODE_FILE, 0644);

	return ash_repo_write_file(repo, node, text->str, text->len, error) &&
	       ash_tree_insert(tree, path, g_steal_pointer(&node), error);
}

static void append_paths(GString *text, const AshNode *dir, GString *path)
{
	g_autoptr(GPtrArray) names = ash_node_sorted_names(dir);
	gsize len = path->len;

	for (guint i = 0; i < names->len; i++) {
		const AshNode *child = ash_node_child(dir, names->pdata[i]);
		g_string_append_c(path, '/');
		g_string_append(path, names->pdata[i]);
		g_string_append_len(text, path->str, (gssize) path->len);
		g_string_append_c(text, '\n');
		if (child->kind == ASH_NODE_DIR)
			append_paths(text, child, path);
		g_string_truncate(path, len);
	}
}

static gboolean add_list(AshRepo *repo, AshTree *tree, const AshPackage *package, GError **error)
{
	g_autoptr(GString) text = g_string_new("/.\n");
	g_autoptr(GString) path = g_string_new("");
	g_autofree char *name = g_strdup_printf(ADMIN_DIR "/info/%s.list", package->info_name);

	append_paths(text, ash_package_data(package), path);
	return add_text(repo, tree, name, text, error);
}

/* Control files but the control file itself: they keep their objects, only the name is new. */
static gboolean add_info(AshTree *tree, const AshPackage *package, GError **error)
{
	const AshNode *dir = ash_tree_find(package->tree, "control");
	g_autoptr(GPtrArray) names = ash_node_sorted_names(dir);

	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		if (strcmp(name, "control") == 0)
			continue;
		g_autofree char *path =
				g_strdup_printf(ADMIN_DIR "/info/%s.%s", package->info_name, name);
		if (!ash_tree_insert(tree, path, ash_node_copy(ash_node_child(dir, name)), error))
			return FALSE;
	}
	return TRUE;
}

/* The Conffiles field: " /etc/x MD5", of the files as they were shipped. */
static gboolean append_conffiles(
		AshRepo *repo, GString *status, const AshPackage *package, GError **error)
{
	g_autoptr(GBytes) list = NULL;

	if (ash_package_control(package, "conffiles") == NULL)
		return TRUE;
	if (!ash_repo_read_file(repo, package->tree, "control/conffiles", ASH_DEB_MAX_CONTROL_BYTES,
			    &list, error))
		return FALSE;
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(list, NULL), "\n", -1);
	g_string_append(status, "Conffiles:\n");
	for (char **line = lines; *line != NULL; line++) {
		g_autofree char *path = g_strconcat("data", *line, NULL);
		g_autoptr(GBytes) content = NULL;
		/* "remove-on-upgrade /etc/x" has nothing to do on a new installation. */
		if (**line != '/' || ash_tree_find(package->tree, path) == NULL)
			continue;
		if (!ash_repo_read_file(repo, package->tree, path, ASH_DEB_MAX_CONTROL_BYTES,
				    &content, error))
			return FALSE;
		g_autofree char *md5 = g_compute_checksum_for_bytes(G_CHECKSUM_MD5, content);
		g_string_append_printf(status, " %s %s\n", *line, md5);
	}
	return TRUE;
}

static gboolean append_status(
		AshRepo *repo, GString *status, const AshPackage *package, GError **error)
{
	const char *control = g_bytes_get_data(package->control, NULL);
	const char *first_end = strchr(control, '\n');
	gsize first = first_end == NULL ? strlen(control) : (gsize) (first_end - control) + 1;
	g_autofree char *rest = g_strdup(control + first);

	g_string_append_len(status, control, (gssize) first);
	g_string_append(status, "Status: install ok unpacked\n");
	g_strchomp(rest);
	g_string_append(status, rest);
	g_string_append_c(status, '\n');
	if (!append_conffiles(repo, status, package, error))
		return FALSE;
	g_string_append_c(status, '\n');
	return TRUE;
}

static gboolean append_triggers(AshRepo *repo, GHashTable *explicit_triggers, GString *files,
		const AshPackage *package, GError **error)
{
	g_autoptr(GBytes) text = NULL;

	if (ash_package_control(package, "triggers") == NULL)
		return TRUE;
	if (!ash_repo_read_file(repo, package->tree, "control/triggers", ASH_DEB_MAX_CONTROL_BYTES,
			    &text, error))
		return FALSE;
	g_auto(GStrv) lines = g_strsplit(g_bytes_get_data(text, NULL), "\n", -1);
	for (char **line = lines; *line != NULL; line++) {
		g_auto(GStrv) words = g_strsplit_set(g_strstrip(*line), " \t", 2);
		if (words[0] == NULL || words[1] == NULL || !g_str_has_prefix(words[0], "interest"))
			continue;
		const char *name = g_strstrip(words[1]);
		const char *suffix = strcmp(words[0], "interest-noawait") == 0 ? "/noawait" : "";
		if (name[0] == '/') {
			g_string_append_printf(
					files, "%s %s%s\n", name, package->info_name, suffix);
			continue;
		}
		GString *interested = g_hash_table_lookup(explicit_triggers, name);
		if (interested == NULL) {
			interested = g_string_new("");
			g_hash_table_insert(explicit_triggers, g_strdup(name), interested);
		}
		g_string_append_printf(interested, "%s%s\n", package->info_name, suffix);
	}
	return TRUE;
}

static void free_string(gpointer string)
{
	g_string_free(string, TRUE);
}

/* triggers/File names who waits for paths, triggers/NAME who waits for an explicit trigger. */
static gboolean add_triggers(
		AshRepo *repo, AshTree *tree, const GPtrArray *packages, GError **error)
{
	g_autoptr(GHashTable) explicit_triggers =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_string);
	g_autoptr(GString) files = g_string_new("");
	g_autoptr(GString) nothing = g_string_new("");
	GHashTableIter iter;
	gpointer name, interested;

	for (guint i = 0; i < packages->len; i++)
		if (!append_triggers(repo, explicit_triggers, files, packages->pdata[i], error))
			return FALSE;
	if (!add_text(repo, tree, ADMIN_DIR "/triggers/File", files, error) ||
			!add_text(repo, tree, ADMIN_DIR "/triggers/Unincorp", nothing, error))
		return FALSE;
	g_hash_table_iter_init(&iter, explicit_triggers);
	while (g_hash_table_iter_next(&iter, &name, &interested)) {
		g_autofree char *path = g_strconcat(ADMIN_DIR "/triggers/", name, NULL);
		if (!add_text(repo, tree, path, interested, error))
			return FALSE;
	}
	return TRUE;
}

gboolean ash_dpkgdb_write(AshRepo *repo, const GPtrArray *packages, const char *arch, AshTree *tree,
		GError **error)
{
	static const char *const dirs[] = {ADMIN_DIR "/info", ADMIN_DIR "/updates",
			ADMIN_DIR "/parts", ADMIN_DIR "/alternatives", NULL};
	g_autoptr(GString) status = g_string_new("");
	g_autoptr(GString) format = g_string_new("1\n");
	g_autoptr(GString) nothing = g_string_new("");
	g_autoptr(GString) arch_line = g_string_new(arch);

	g_string_append_c(arch_line, '\n');
	for (const char *const *dir = dirs; *dir != NULL; dir++) {
		AshNode *node;
		if (!ash_tree_ensure_dir(tree, *dir, &node, error))
			return FALSE;
	}
	for (guint i = 0; i < packages->len; i++) {
		const AshPackage *package = packages->pdata[i];
		if (!append_status(repo, status, package, error) ||
				!add_list(repo, tree, package, error) ||
				!add_info(tree, package, error))
			return FALSE;
	}
	return add_text(repo, tree, ADMIN_DIR "/status", status, error) &&
	       add_text(repo, tree, ADMIN_DIR "/available", nothing, error) &&
	       add_text(repo, tree, ADMIN_DIR "/diversions", nothing, error) &&
	       add_text(repo, tree, ADMIN_DIR "/statoverride", nothing, error) &&
	       add_text(repo, tree, ADMIN_DIR "/info/format", format, error) &&
	       add_text(repo, tree, ADMIN_DIR "/arch-native", arch_line, error) &&
	       add_triggers(repo, tree, packages, error);
}
