/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/lock.h"
#include "builder/manifest.h"
#include "lib/progress.h"

/* Manifest → lock: repositories → indices → libsolv. solve.c is the one file that may include
 * libsolv; builder/source.h finds and verifies the repositories' indices.
 */

#define ASH_SOLVE_ERROR (ash_solve_error_quark())
GQuark ash_solve_error_quark(void);

typedef enum {
	ASH_SOLVE_ERROR_UNKNOWN_PACKAGE, /* with the nearest names, and where it was asked for */
	ASH_SOLVE_ERROR_CONFLICT,        /* explained in words */
	ASH_SOLVE_ERROR_EXCLUDED,        /* an excluded package is needed anyway; says by whom */
	ASH_SOLVE_ERROR_FAILED,
} AshSolveError;

typedef struct {
	const char *cache_dir;     /* indices and .solv files are kept in CACHE_DIR/index */
	bool offline;              /* use the indices that are there */
	const AshLock *previous;   /* keep these versions where the manifest allows; or NULL */
	const char *const *update; /* with previous: these packages may move; NULL: none;
	                             * an empty list: all may */
} AshSolveOptions;

/* ash_solve_manifest: fetches and verifies indices as needed, solves. Deterministic: the same
 * manifest and the same indices give the same lock.
 */
gboolean ash_solve_manifest(const AshManifest *manifest, const AshSolveOptions *options,
		AshProgress *progress, AshLock **out_lock, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
