/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/lint.h"

enum {
	MAX_LINKS = 40,
};

char *ash_lint_commit_path(const char *path)
{
	if (strcmp(path, "/etc") == 0 || g_str_has_prefix(path, "/etc/"))
		return g_strconcat("/usr", path, NULL);
	return g_strdup(path);
}

static bool is_run_time(const char *path)
{
	static const char *const tops[] = {"/run", "/dev", "/proc", "/sys", "/tmp", "/sysroot"};

	for (size_t i = 0; i < G_N_ELEMENTS(tops); i++) {
		size_t length = strlen(tops[i]);
		if (strncmp(path, tops[i], length) == 0 &&
				(path[length] == '/' || path[length] == '\0'))
			return true;
	}
	return false;
}

static void pop(GString *path)
{
	char *slash = strrchr(path->str, '/');

	g_string_truncate(path, slash != NULL ? (gsize) (slash - path->str) : 0);
}

/* Goes on from @at, a path without links. */
static AshLintTarget walk(const AshTree *view, GString *at, const char *path, int *links)
{
	g_auto(GStrv) names = g_strsplit(path, "/", -1);

	if (*path == '/')
		g_string_truncate(at, 0);
	for (char **name = names; *name != NULL; name++) {
		if (**name == '\0' || strcmp(*name, ".") == 0)
			continue;
		if (strcmp(*name, "..") == 0) {
			pop(at);
			continue;
		}
		g_string_append_printf(at, "/%s", *name);
		if (is_run_time(at->str))
			return ASH_LINT_AT_RUN_TIME;
		const AshNode *node = ash_tree_find(view, at->str);
		if (node == NULL || (node->kind == ASH_NODE_LINK && ++*links > MAX_LINKS))
			return ASH_LINT_MISSING;
		if (node->kind != ASH_NODE_LINK)
			continue;
		pop(at);
		AshLintTarget target = walk(view, at, node->target, links);
		if (target != ASH_LINT_FOUND)
			return target;
	}
	return ASH_LINT_FOUND;
}

AshLintTarget ash_lint_follow(const AshLint *lint, const char *base, const char *path,
		char **out_path, AshNode **out_node)
{
	g_autoptr(GString) at = g_string_new(NULL);
	int links = 0;
	AshLintTarget target = ASH_LINT_FOUND;

	if (*path != '/')
		target = walk(lint->view, at, base, &links);
	if (target == ASH_LINT_FOUND)
		target = walk(lint->view, at, path, &links);
	if (out_node != NULL)
		*out_node = target == ASH_LINT_FOUND ? ash_tree_find(lint->view, at->str) : NULL;
	if (out_path != NULL)
		*out_path = g_strdup(at->len > 0 ? at->str : "/");
	return target;
}

/* ---- what will be in /var ------------------------------------------------------------------------ */

/* A path that cannot be put there will be missing, and be found by whoever asks for it. */
static void place(AshLint *lint, const char *path, AshNode *take_node)
{
	g_autoptr(GError) local = NULL;

	if (ash_tree_find(lint->view, path) != NULL) {
		ash_node_free(take_node);
		return;
	}
	if (!ash_tree_insert(lint->view, path, take_node, &local))
		g_debug("not in the view: %s: %s", path, local->message);
}

/* The words of a line, quotes and backslashes taken off; NULL where the quotes do not match. */
static char **split(const char *line)
{
	g_autoptr(GError) local = NULL;
	char **words = NULL;

	if (!g_shell_parse_argv(line, NULL, &words, &local))
		g_debug("not understood: %s: %s", line, local->message);
	return words;
}

static void place_copy(AshLint *lint, const char *path, const char *from)
{
	g_autofree char *factory = g_strconcat("/usr/share/factory", path, NULL);
	AshNode *node = NULL;

	if (ash_lint_follow(lint, "/", from != NULL ? from : factory, NULL, &node) ==
			ASH_LINT_FOUND)
		place(lint, path, ash_node_copy(node));
}

static void place_link(AshLint *lint, const char *path, const char *to)
{
	AshNode *node = ash_node_new(ASH_NODE_LINK, 0777);

	node->target = to != NULL ? g_strdup(to) : g_strconcat("/usr/share/factory", path, NULL);
	place(lint, path, node);
}

/* Type, path, mode, user, group, age, argument. */
static void place_tmpfiles_line(AshLint *lint, const char *line)
{
	g_auto(GStrv) words = split(line);
	guint n = words != NULL ? g_strv_length(words) : 0;
	const char *argument = n > 6 && strcmp(words[6], "-") != 0 ? words[6] : NULL;

	/* Specifiers are a matter of the host. */
	if (n < 2 || !g_str_has_prefix(words[1], "/var/") || strchr(words[1], '%') != NULL)
		return;
	size_t length = strlen(words[1]);
	while (length > 1 && words[1][length - 1] == '/')
		words[1][--length] = '\0';
	if (strchr("dDvqQ", words[0][0]) != NULL)
		place(lint, words[1], ash_node_new(ASH_NODE_DIR, 0755));
	else if (strchr("fFpcb", words[0][0]) != NULL)
		place(lint, words[1], ash_node_new(ASH_NODE_FILE, 0644));
	else if (words[0][0] == 'L')
		place_link(lint, words[1], argument);
	else if (words[0][0] == 'C')
		place_copy(lint, words[1], argument);
}

static gboolean place_tmpfiles(AshLint *lint, const char *dir, GError **error)
{
	const AshNode *node = ash_tree_resolve(lint->tree, dir, NULL);

	if (node == NULL || node->kind != ASH_NODE_DIR)
		return TRUE;
	g_autoptr(GPtrArray) names = ash_node_sorted_names(node);
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *path = g_strconcat(dir, "/", names->pdata[i], NULL);
		g_autofree char *text = NULL;
		if (!g_str_has_suffix(path, ".conf"))
			continue;
		if (!ash_lint_read(lint, path, &text, error))
			return FALSE;
		g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
		for (char **line = lines; *line != NULL; line++)
			if (**line != '#' && **line != '\0')
				place_tmpfiles_line(lint, *line);
	}
	return TRUE;
}

void ash_lint_add_unit_directories(AshLint *lint, const char *text)
{
	static const struct {
		const char *key;
		const char *top;
	} keys[] = {
			{"StateDirectory=", "/var/lib/"},
			{"CacheDirectory=", "/var/cache/"},
			{"LogsDirectory=", "/var/log/"},
	};
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **line = lines; *line != NULL; line++)
		for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
			if (!g_str_has_prefix(*line, keys[i].key))
				continue;
			g_auto(GStrv) names = g_strsplit(*line + strlen(keys[i].key), " ", -1);
			for (char **name = names; *name != NULL; name++) {
				/* "name:link" also makes a link. */
				(*name)[strcspn(*name, ":")] = '\0';
				g_autofree char *path = g_strconcat(keys[i].top, *name, NULL);
				if (**name != '\0' && strchr(*name, '%') == NULL)
					place(lint, path, ash_node_new(ASH_NODE_DIR, 0755));
			}
		}
}

static gboolean place_unit_directories(AshLint *lint, const char *dir, GError **error)
{
	const AshNode *node = ash_tree_resolve(lint->tree, dir, NULL);

	if (node == NULL || node->kind != ASH_NODE_DIR)
		return TRUE;
	g_autoptr(GPtrArray) names = ash_node_sorted_names(node);
	for (guint i = 0; i < names->len; i++) {
		g_autofree char *path = g_strconcat(dir, "/", names->pdata[i], NULL);
		g_autofree char *text = NULL;
		if (!g_str_has_suffix(path, ".service"))
			continue;
		if (ash_node_child(node, names->pdata[i])->kind != ASH_NODE_FILE)
			continue;
		if (!ash_lint_read(lint, path, &text, error))
			return FALSE;
		ash_lint_add_unit_directories(lint, text);
	}
	return TRUE;
}

gboolean ash_lint_make_view(AshLint *lint, GError **error)
{
	const AshNode *etc = ash_tree_find(lint->tree, "/usr/etc");

	lint->view = ash_tree_copy(lint->tree);
	if (etc != NULL && !ash_tree_insert(lint->view, "/etc", ash_node_copy(etc), error))
		return FALSE;
	return place_tmpfiles(lint, "/usr/etc/tmpfiles.d", error) &&
	       place_tmpfiles(lint, "/usr/lib/tmpfiles.d", error) &&
	       place_unit_directories(lint, "/usr/etc/systemd/system", error) &&
	       place_unit_directories(lint, "/usr/lib/systemd/system", error);
}
