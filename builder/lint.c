/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/lint.h"

#include <string.h>

#include "builder/glob.h"
#include "lib/error.h"
#include "lib/file.h"

G_DEFINE_QUARK(ash_lint_error, ash_lint_error)

static void finding_free(AshLintFinding *finding)
{
	g_free(finding->path);
	g_free(finding->text);
	g_free(finding);
}

static void allowance_free(AshLintAllowance *allowance)
{
	g_free(allowance->rule);
	g_free(allowance->glob);
	g_free(allowance);
}

void ash_lint_free(AshLint *lint)
{
	if (lint == NULL)
		return;
	g_clear_pointer(&lint->view, ash_tree_free);
	g_clear_pointer(&lint->findings, g_ptr_array_unref);
	g_free(lint);
}

void ash_lint_add(AshLint *lint, const char *rule, AshLintSeverity severity, const char *path,
		const char *format, ...)
{
	AshLintFinding *finding = g_new0(AshLintFinding, 1);
	va_list args;

	va_start(args, format);
	finding->text = g_strdup_vprintf(format, args);
	va_end(args);
	finding->rule = rule;
	finding->severity = severity;
	finding->path = g_strdup(path);
	g_ptr_array_add(lint->findings, finding);
}

gboolean ash_lint_read(AshLint *lint, const char *path, char **out_text, GError **error)
{
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) local = NULL;
	const AshNode *node = ash_tree_resolve(lint->tree, path, NULL);

	if (node == NULL || node->kind != ASH_NODE_FILE) {
		*out_text = g_strdup("");
		return TRUE;
	}
	if (!ash_repo_read_file(lint->repo, lint->tree, path, ASH_LINT_MAX_TEXT_BYTES, &bytes,
			    &local)) {
		if (!g_error_matches(local, ASH_FILE_ERROR, ASH_FILE_ERROR_TOO_BIG)) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		ash_lint_add(lint, "too-big", ASH_LINT_SEVERE, path,
				"a text of this kind is never this long; look what it is");
		*out_text = g_strdup("");
		return TRUE;
	}
	gsize size = 0;
	const char *data = g_bytes_get_data(bytes, &size);
	*out_text = g_strndup(data, size);
	return TRUE;
}

static int compare_findings(gconstpointer a, gconstpointer b)
{
	const AshLintFinding *x = *(AshLintFinding *const *) a;
	const AshLintFinding *y = *(AshLintFinding *const *) b;
	int order = strcmp(x->path, y->path);

	order = order != 0 ? order : strcmp(x->rule, y->rule);
	return order != 0 ? order : strcmp(x->text, y->text);
}

gboolean ash_lint_run(AshRepo *repo, AshTree *tree, AshLint **out_lint, GError **error)
{
	static gboolean (*const checks[])(AshLint *, GError **) = {
			ash_lint_make_view,
			ash_lint_check_files,
			ash_lint_check_accounts,
			ash_lint_check_units,
	};
	g_autoptr(AshLint) lint = g_new0(AshLint, 1);

	lint->repo = repo;
	lint->tree = tree;
	lint->findings = g_ptr_array_new_with_free_func((GDestroyNotify) finding_free);
	for (size_t i = 0; i < G_N_ELEMENTS(checks); i++)
		if (!checks[i](lint, error))
			return FALSE;
	g_ptr_array_sort(lint->findings, compare_findings);
	*out_lint = g_steal_pointer(&lint);
	return TRUE;
}

gboolean ash_lint_parse_allow(
		const char *file, const char *text, GPtrArray **out_allowances, GError **error)
{
	g_autoptr(GPtrArray) allowances =
			g_ptr_array_new_with_free_func((GDestroyNotify) allowance_free);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (unsigned i = 0; lines[i] != NULL; i++) {
		char *line = lines[i];
		line[strcspn(line, "#")] = '\0';
		g_strstrip(line);
		if (*line == '\0')
			continue;
		size_t length = strcspn(line, " \t");
		const char *glob = line + length + strspn(line + length, " \t");
		if (*glob != '/' && *glob != '*')
			return ash_throw(error, ASH_LINT_ERROR, ASH_LINT_ERROR_ALLOW,
					"%s:%u: expected a rule and an absolute path, as in 'setuid /usr/bin/su'",
					file, i + 1);
		AshLintAllowance *allowance = g_new0(AshLintAllowance, 1);
		allowance->rule = g_strndup(line, length);
		allowance->glob = g_strdup(glob);
		allowance->line = i + 1;
		g_ptr_array_add(allowances, allowance);
	}
	*out_allowances = g_steal_pointer(&allowances);
	return TRUE;
}

static bool is_allowed(const AshLintFinding *finding, GPtrArray *allowances)
{
	bool is_found = false;

	for (guint i = 0; i < allowances->len; i++) {
		AshLintAllowance *allowance = allowances->pdata[i];
		if ((strcmp(allowance->rule, "*") == 0 ||
				    strcmp(allowance->rule, finding->rule) == 0) &&
				ash_glob_match(allowance->glob, finding->path))
			is_found = allowance->is_used = true;
	}
	return is_found;
}

void ash_lint_allow(AshLint *lint, GPtrArray *allowances)
{
	for (guint i = lint->findings->len; i > 0; i--)
		if (is_allowed(lint->findings->pdata[i - 1], allowances))
			g_ptr_array_remove_index(lint->findings, i - 1);
}
