/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/lint.h"

/* The directories of units, the first wins. */
static const char *const unit_dirs[] = {
		"/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"};

static const char *const suffixes[] = {".service", ".socket", ".target", ".timer", ".path",
		".mount", ".automount", ".swap", ".slice", ".scope", ".device"};

/* Units that systemd has without a file. */
static const char *const built_in[] = {"-.mount", "-.slice", "init.scope", "system.slice"};

static bool is_unit_name(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++)
		if (g_str_has_suffix(name, suffixes[i]))
			return true;
	return false;
}

static bool is_built_in(const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(built_in); i++)
		if (strcmp(name, built_in[i]) == 0)
			return true;
	/* Of a device there is never a file; mounts may come from fstab or a generator. */
	return g_str_has_suffix(name, ".device") || g_str_has_suffix(name, ".mount");
}

static bool has_file(const AshLint *lint, const char *name)
{
	for (size_t i = 0; i < G_N_ELEMENTS(unit_dirs); i++)
		if (ash_lint_follow(lint, unit_dirs[i], name, NULL, NULL) != ASH_LINT_MISSING)
			return true;
	return false;
}

/* "getty@tty1.service" is made from "getty@.service". */
static bool has_unit(const AshLint *lint, const char *name)
{
	const char *at = strchr(name, '@'), *dot = strrchr(name, '.');

	if (is_built_in(name) || has_file(lint, name))
		return true;
	if (at == NULL || dot == NULL || dot < at)
		return false;
	g_autofree char *template = g_strdup_printf("%.*s%s", (int) (at - name + 1), name, dot);
	return has_file(lint, template);
}

/* ---- what is enabled ---------------------------------------------------------------------------- */

/* @dir: "X.target.wants" in @top; each name in it is a unit that X wants. */
static void check_wants(AshLint *lint, const char *top, const char *dir, const AshNode *node,
		GHashTable *enabled)
{
	bool is_own = strcmp(top, unit_dirs[0]) == 0;
	g_autofree char *path = g_strconcat(top, "/", dir, NULL);
	g_autofree char *shown = ash_lint_commit_path(path);
	g_autofree char *wanter = g_strndup(dir, (gsize) (strrchr(dir, '.') - dir));
	g_autoptr(GPtrArray) names = ash_node_sorted_names(node);

	if (is_unit_name(wanter) && !has_unit(lint, wanter))
		ash_lint_add(lint, "unit-target", ASH_LINT_WARNING, shown,
				"'%s' does not exist, so nothing that it wants is started", wanter);
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		g_autofree char *link = g_strconcat(shown, "/", name, NULL);
		g_hash_table_add(enabled, g_strdup(name));
		if (is_unit_name(name) && !has_unit(lint, name))
			ash_lint_add(lint, "unit-missing",
					is_own ? ASH_LINT_SEVERE : ASH_LINT_WARNING, link,
					"enables '%s', which does not exist; add its package or disable it",
					name);
	}
}

static void check_top(AshLint *lint, const char *top, GHashTable *enabled)
{
	AshNode *node = NULL;

	if (ash_lint_follow(lint, "/", top, NULL, &node) != ASH_LINT_FOUND ||
			node->kind != ASH_NODE_DIR)
		return;
	g_autoptr(GPtrArray) names = ash_node_sorted_names(node);
	for (guint i = 0; i < names->len; i++) {
		const char *name = names->pdata[i];
		const AshNode *child = ash_node_child(node, name);
		bool is_wants = g_str_has_suffix(name, ".wants") ||
				g_str_has_suffix(name, ".requires");
		if (child->kind == ASH_NODE_DIR && is_wants)
			check_wants(lint, top, name, child, enabled);
		else if (child->kind == ASH_NODE_LINK && strcmp(top, unit_dirs[0]) == 0)
			g_hash_table_add(enabled, g_path_get_basename(child->target));
	}
}

/* ---- what units say ------------------------------------------------------------------------------ */

typedef struct {
	AshLint *lint;
	char *path; /* in the commit */
	bool is_enabled;
	GPtrArray *missing;  /* programs that are not there */
	bool is_conditional; /* a condition on a path that is missing keeps it from starting */
	char section[64];
} Unit;

static bool is_known_section(const char *section)
{
	static const char *const known[] = {"Unit", "Install", "Service", "Socket", "Timer", "Path",
			"Mount", "Automount", "Swap", "Slice", "Scope"};

	for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
		if (strcmp(section, known[i]) == 0)
			return true;
	return g_str_has_prefix(section, "X-");
}

static bool has_program(const AshLint *lint, const char *program)
{
	static const char *const path[] = {
			"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"};

	if (*program == '/')
		return ash_lint_follow(lint, "/", program, NULL, NULL) != ASH_LINT_MISSING;
	for (size_t i = 0; i < G_N_ELEMENTS(path); i++)
		if (ash_lint_follow(lint, path[i], program, NULL, NULL) == ASH_LINT_FOUND)
			return true;
	return false;
}

/* systemd.service(5), "Command lines": '-' allows failure; the other letters change how it is run. */
static void check_exec(Unit *unit, const char *value)
{
	size_t prefix = strspn(value, "@-:+!|");
	size_t length = strcspn(value + prefix, " \t\"';");
	g_autofree char *program = g_strndup(value + prefix, length);

	if (length == 0 || memchr(value, '-', prefix) != NULL || strpbrk(program, "%$\\") != NULL)
		return;
	if (!has_program(unit->lint, program))
		g_ptr_array_add(unit->missing, g_steal_pointer(&program));
}

static void check_condition(Unit *unit, const char *value)
{
	while (*value == '|')
		value++;
	if (*value == '/' && strpbrk(value, "*?[%") == NULL &&
			ash_lint_follow(unit->lint, "/", value, NULL, NULL) == ASH_LINT_MISSING)
		unit->is_conditional = true;
}

static void check_line(Unit *unit, char *line)
{
	char *equals = strchr(line, '=');

	if (*line == '[') {
		g_strlcpy(unit->section, line + 1, sizeof unit->section);
		unit->section[strcspn(unit->section, "]")] = '\0';
		if (!is_known_section(unit->section))
			ash_lint_add(unit->lint, "unit-section", ASH_LINT_WARNING, unit->path,
					"systemd does not know the section [%s]; begin its name with X- if it is meant for others",
					unit->section);
		return;
	}
	if (equals == NULL)
		return;
	*equals = '\0';
	const char *key = g_strchomp(line), *value = g_strstrip(equals + 1);
	if (strcmp(unit->section, "Service") == 0 && g_str_has_prefix(key, "ExecStart"))
		check_exec(unit, value);
	else if (g_str_has_prefix(key, "ConditionPath") || g_str_has_prefix(key, "ConditionFile") ||
			g_str_has_prefix(key, "ConditionDirectory"))
		check_condition(unit, value);
}

/* Lines that end in a backslash go on. */
static void check_text(Unit *unit, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	bool is_rest = false;

	for (char **line = lines; *line != NULL; line++) {
		bool goes_on = g_str_has_suffix(g_strchomp(*line), "\\");
		char *begin = g_strchug(*line);
		if (!is_rest && *begin != '\0' && *begin != '#' && *begin != ';')
			check_line(unit, begin);
		is_rest = goes_on;
	}
}

/* A drop-in may replace what the unit runs. */
static bool has_dropins(const AshLint *lint, const char *name)
{
	g_autofree char *dir = g_strconcat(name, ".d", NULL);

	return has_file(lint, dir);
}

static gboolean check_unit(AshLint *lint, const char *top, const char *name, GHashTable *enabled,
		GError **error)
{
	g_autofree char *path = g_strconcat(top, "/", name, NULL);
	g_autofree char *shown = ash_lint_commit_path(path);
	g_autofree char *text = NULL;
	g_autoptr(GPtrArray) missing = g_ptr_array_new_with_free_func(g_free);
	Unit unit = {.lint = lint, .path = shown, .missing = missing};

	if (!ash_lint_read(lint, shown, &text, error))
		return FALSE;
	unit.is_enabled = g_hash_table_contains(enabled, name);
	check_text(&unit, text);
	if (unit.is_conditional || has_dropins(lint, name))
		return TRUE;
	for (guint i = 0; i < missing->len; i++)
		ash_lint_add(lint, "unit-program",
				unit.is_enabled ? ASH_LINT_SEVERE : ASH_LINT_WARNING, shown,
				"runs '%s', which is not there%s", (char *) missing->pdata[i],
				unit.is_enabled ? "; add its package or disable the unit"
						: ", should somebody start it");
	return TRUE;
}

gboolean ash_lint_check_units(AshLint *lint, GError **error)
{
	g_autoptr(GHashTable) enabled =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (size_t i = 0; i < G_N_ELEMENTS(unit_dirs); i++)
		check_top(lint, unit_dirs[i], enabled);
	for (size_t i = 0; i < G_N_ELEMENTS(unit_dirs); i++) {
		AshNode *node = NULL;
		if (ash_lint_follow(lint, "/", unit_dirs[i], NULL, &node) != ASH_LINT_FOUND ||
				node->kind != ASH_NODE_DIR)
			continue;
		g_autoptr(GPtrArray) names = ash_node_sorted_names(node);
		for (guint j = 0; j < names->len; j++) {
			char *name = names->pdata[j];
			const AshNode *child = ash_node_child(node, name);
			/* A file in /etc hides the one in /usr; so does a mask. */
			if (!is_unit_name(name) || !g_hash_table_add(seen, name) ||
					child->kind != ASH_NODE_FILE)
				continue;
			if (!check_unit(lint, unit_dirs[i], name, enabled, error))
				return FALSE;
		}
	}
	return TRUE;
}
