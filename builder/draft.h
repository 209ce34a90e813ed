/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "builder/publication.h"
#include "lib/target.h"
#include "lib/workload.h"

/* Releases that 'ashlar release' made and 'ashlar publish' has not published: the document without its
 * deltas, as pending/host=NAME=ARCH=VERSION.json. Their commits are in the publication's repository.
 * Definitions of workloads lie beside them, as pending/workload=NAME=VERSION.json, and the description of an
 * image that is ours as pending/image=NAME=VERSION.json.
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

/* The same for workloads; the draft is the document. @image: a release document of its image, or NULL */
gboolean ash_draft_save_workload(const AshPublication *publication, const AshWorkload *workload,
		const char *image, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* ASH_PUBLICATION_ERROR_NOT_FOUND when it is not there. */
gboolean ash_draft_read_image(const AshPublication *publication, const AshWorkload *workload,
		GBytes **out_image, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* AshWorkload, lower versions first. */
gboolean ash_draft_list_workloads(const AshPublication *publication, GPtrArray **out_workloads,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_draft_remove_workload(const AshPublication *publication, const AshWorkload *workload,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *ash_draft_workload_ref(const AshWorkload *workload);
