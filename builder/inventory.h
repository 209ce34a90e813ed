/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/commit.h"
#include "builder/publication.h"

/* What is in a release, beside it in the publication, for people and for the fleet server, which has no libostree:
 *
 *	sbom/COMMIT.packages.json     {"packages":[{"name":N,"version":V,"arch":A}]}: what is there to run, sorted by
 *	                              name; packages whose files were taken out again are left out
 *	sbom/COMMIT.spdx.json         builder/sbom.h
 *	sbom/COMMIT.cyclonedx.json
 *
 * Plain files: no host reads them, and nothing is decided by them.
 */

/* Writes the three, the same bytes each time. */
gboolean ash_inventory_save(const AshPublication *publication, const AshCommit *commit,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Adds the names below sbom/ of @commit's files to @names, a set. */
void ash_inventory_names(const char *commit, GHashTable *names);
