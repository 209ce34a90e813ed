/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/commit.h"
#include "builder/repo.h"
#include "builder/tree.h"

/* What is wrong, or worth knowing, in a built tree. Nothing of it is run.
 *
 * A tree as committed is not what a host sees: /etc is made from /usr/etc, /var is empty until
 * systemd-tmpfiles has run. So links and paths in units are followed in a view, a copy of the tree with
 * /etc in its place and with what tmpfiles.d and the StateDirectory= of units will have made in /var;
 * /run, /dev, /proc, /sys and /tmp are taken for granted. Findings are reported by their path in the
 * commit.
 *
 * Sources: tmpfiles.d(5), systemd.unit(5), systemd.exec(5), passwd(5), shadow(5).
 */

#define ASH_LINT_ERROR (ash_lint_error_quark())
GQuark ash_lint_error_quark(void);

typedef enum {
	ASH_LINT_ERROR_ALLOW, /* a file of exceptions is malformed; the message says FILE:LINE */
} AshLintError;

enum {
	ASH_LINT_MAX_ALLOW_BYTES = 1 << 20,
	ASH_LINT_MAX_TEXT_BYTES =
			4 << 20, /* a unit, tmpfiles.d file, passwd; a larger one is a finding */
};

typedef enum {
	ASH_LINT_WARNING,
	ASH_LINT_SEVERE,
} AshLintSeverity;

typedef struct {
	const char *rule; /* borrowed: one of the rules' names */
	AshLintSeverity severity;
	char *path;
	char *text; /* one sentence: what it is and what to do */
} AshLintFinding;

typedef struct {
	char *rule; /* "*" for any */
	char *glob;
	unsigned line;
	bool is_used;
} AshLintAllowance;

typedef struct {
	AshRepo *repo; /* borrowed */
	AshTree *tree; /* borrowed */
	AshTree *view;
	GPtrArray *findings; /* AshLintFinding, sorted by path, then rule */
} AshLint;

/* Runs every rule over @tree, which must outlive the result. */
gboolean ash_lint_run(AshRepo *repo, AshTree *tree, AshLint **out_lint, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_lint_free(AshLint *lint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshLint, ash_lint_free)

/* Exceptions: a line each, "RULE GLOB", '#' begins a comment. @file: for messages. */
gboolean ash_lint_parse_allow(const char *file, const char *text, GPtrArray **out_allowances,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Takes out the findings that @allowances cover, and marks those as used. */
void ash_lint_allow(AshLint *lint, GPtrArray *allowances);

/* ---- where the bytes are ------------------------------------------------------------------------- */

typedef struct {
	char *name;
	uint64_t bytes;
	uint64_t old_bytes; /* with another tree to compare with */
	unsigned files;
} AshLintSize;

/* By package, most bytes first, from the packages' trees in the cache repository; what no package
 * brought is "(made by the build)". Packages that the cache lacks count there, and @out_unknown says
 * how many they are.
 */
gboolean ash_lint_sizes_by_package(AshRepo *cache, const AshCommit *commit, const AshTree *tree,
		GPtrArray **out_sizes, unsigned *out_unknown, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* By directory, two levels deep and three below /usr/lib and /usr/share; @old may be NULL. */
GPtrArray *ash_lint_sizes_by_directory(const AshTree *tree, const AshTree *old);

/* Sorts by growth, most first. */
void ash_lint_sort_by_growth(GPtrArray *sizes);

/* ---- for lint-*.c -------------------------------------------------------------------------------- */

void ash_lint_add(AshLint *lint, const char *rule, AshLintSeverity severity, const char *path,
		const char *format, ...) G_GNUC_PRINTF(5, 6);

/* Text of a file by its path in the commit; "" when there is none. */
gboolean ash_lint_read(AshLint *lint, const char *path, char **out_text, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

typedef enum {
	ASH_LINT_FOUND,
	ASH_LINT_AT_RUN_TIME, /* below /run, /dev and the like */
	ASH_LINT_MISSING,
} AshLintTarget;

/* Follows @path, absolute or relative to the directory @base, in the view. @out_path: how far it went;
 * @out_node: when found; each may be NULL.
 */
AshLintTarget ash_lint_follow(const AshLint *lint, const char *base, const char *path,
		char **out_path, AshNode **out_node);

/* Where a path of the view stands in the commit: /etc/x is /usr/etc/x. */
char *ash_lint_commit_path(const char *path);

gboolean ash_lint_make_view(AshLint *lint, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_lint_check_files(AshLint *lint, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_lint_check_accounts(AshLint *lint, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_lint_check_units(AshLint *lint, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Adds the StateDirectory= and the like of @text, a unit, to the view. */
void ash_lint_add_unit_directories(AshLint *lint, const char *text);
