/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/tree.h"

/* Stand-ins for programs that maintainer scripts call often and that are slow: while the scripts run,
 * each is bound over the real one, which it calls for everything but the plain case of a new
 * installation. The real one is bound at /ashlar-NAME.
 *
 *	update-ca-certificates   starts six processes for each of 150 certificates, twice: the same in one
 *	deb-systemd-helper       starts perl three times for each unit: asks, and enables, in the shell
 *
 * systemd-hwdb does nothing at all meanwhile: builder/hwdb.h makes its result beside the scripts.
 *
 * That the result is the same is tested by building with and without 'ashlar build --no-shortcuts'.
 */

/* Writes the stand-ins into the directory @dir. */
gboolean ash_shortcut_write(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Adds the binds ("OUTSIDE:INSIDE") for those whose real program @tree has. @checkout: of @tree. */
void ash_shortcut_add_binds(
		GStrvBuilder *binds, const AshTree *tree, const char *checkout, const char *dir);

/* The names that the binds leave in the root directory, NULL-terminated: no part of a result. */
extern const char *const ash_shortcut_leftovers[];
