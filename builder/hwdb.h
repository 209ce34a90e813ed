/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "builder/repo.h"
#include "builder/tree.h"

/* The hardware database that udev's postinst compiles (hwdb(7)): /usr/lib/udev/hwdb.bin from the files of
 * hwdb.d. It takes a good part of the scripts' time and depends on few packages, so it is made beside
 * the scripts, in a sandbox of its own, and cached; the scripts' own call does nothing meanwhile.
 */

#define ASH_HWDB_PROGRAM "usr/bin/systemd-hwdb"
#define ASH_HWDB_PATH "usr/lib/udev/hwdb.bin"

/* A question: is it udev's postinst that makes it, and is there something to make it from? */
bool ash_hwdb_is_needed(const AshTree *tree);

/* A question: does a package with these files have a say in the result? */
bool ash_hwdb_depends_on(const AshNode *data);

/* @checkout: a root directory with systemd-hwdb; @scratch: an empty directory. *out_node is NULL when
 * the program made nothing. @repo has an open transaction. Any thread.
 */
gboolean ash_hwdb_prepare(AshRepo *repo, const char *checkout, const char *scratch,
		AshNode **out_node, GError **error) G_GNUC_WARN_UNUSED_RESULT;
