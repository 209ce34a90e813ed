/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/package.h"
#include "builder/repo.h"
#include "builder/tree.h"

/* Packages → one tree, as dpkg would have unpacked them, with dpkg's own database in the state
 * "unpacked". In memory: nothing but the database's new files is written.
 *
 * Rules: base-files comes first (it has the links of the merged /usr); a directory that another
 * package ships where the tree has a link to a directory goes through the link; the same path in two
 * packages must be the same file, unless one of them Replaces the other; the links of the merged
 * /usr are made where no package brings them.
 */

#define ASH_ASSEMBLE_ERROR (ash_assemble_error_quark())
GQuark ash_assemble_error_quark(void);

typedef enum {
	ASH_ASSEMBLE_ERROR_CONFLICT, /* two packages bring different files under one path */
} AshAssembleError;

/* @packages: AshPackage, in the order of the lock. @repo has an open transaction. */
gboolean ash_assemble(AshRepo *repo, const GPtrArray *packages, const char *arch,
		AshTree **out_tree, GError **error) G_GNUC_WARN_UNUSED_RESULT;
