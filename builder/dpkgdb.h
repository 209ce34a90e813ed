/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/package.h"
#include "builder/repo.h"
#include "builder/tree.h"

/* dpkg's database in /var/lib/dpkg, as `dpkg --unpack` of all packages would have left it: status
 * with every package "install ok unpacked", info/ with the control files and lists. Then
 * `dpkg --configure -a` does the rest. Formats: dpkg's lib/dpkg/dump.c, man deb-triggers(5).
 */

/* Adds the database to @tree; @repo has an open transaction. */
gboolean ash_dpkgdb_write(AshRepo *repo, const GPtrArray *packages, const char *arch, AshTree *tree,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
