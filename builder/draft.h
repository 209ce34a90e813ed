/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/publication.h"
#include "lib/target.h"

/* Releases that 'ashlar release' made and 'ashlar publish' has not published: the document without its
 * deltas, as pending/host=NAME=ARCH=VERSION.json. Their commits are in the publication's repository.
 */

/* Replaces the draft of the same host and version. */
gboolean ash_draft_save(const AshPublication *publication, const AshRelease *release,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* AshRelease, lower versions first. */
gboolean ash_draft_list(const AshPublication *publication, GPtrArray **out_drafts, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

gboolean ash_draft_remove(const AshPublication *publication, const AshRelease *release,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The ref of a release's commit in the publication's repository. */
char *ash_draft_ref(const AshRelease *release);
