/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "builder/manifest.h"
#include "builder/repo.h"
#include "builder/tree.h"

/* What a manifest adds to and takes from the configured tree, in memory, in this order:
 *
 *	1. users and groups	2. files	3. units, presets, the default target, the host's name
 *	4. removals (packages, paths; `keep:` wins)
 *
 * Scripts (`postprocess:`) run after it, see build.c.
 */

#define ASH_CUSTOMISE_ERROR (ash_customise_error_quark())
GQuark ash_customise_error_quark(void);

typedef enum {
	ASH_CUSTOMISE_ERROR_PATH,   /* a file of the manifest cannot stand where it should */
	ASH_CUSTOMISE_ERROR_REMOVE, /* a removal that matches nothing */
	ASH_CUSTOMISE_ERROR_TARGET, /* the default target is no unit of the image */
} AshCustomiseError;

/* @packages: AshPackage; for `remove: packages:`. @out_removed: names of the packages whose files were
 * taken out, a set. @repo has an open transaction.
 */
gboolean ash_customise(AshRepo *repo, const AshManifest *manifest, const GPtrArray *packages,
		AshTree *tree, GHashTable **out_removed, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* PURE: what moves systemd's timer, which ends a trial without a verdict, behind a health deadline that
 * is later than the timer expects: the text of a drop-in; NULL when it is late enough as it is.
 */
char *ash_customise_deadline(uint32_t deadline_ms);
