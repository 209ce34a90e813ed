/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "builder/publication.h"
#include "builder/repo.h"
#include "lib/progress.h"
#include "lib/workload.h"

/* Definitions of workloads, published under the delegated role "workloads" (builder/publish.h has the
 * same for hosts):
 *
 *	release    judged, its image pinned; an image of ours goes into the publication's repository, and
 *	           the definition, with every default written out, into pending/
 *	publish    ash_publish signs what is pending
 *	recall     a version goes from the targets, for ever: no host takes it any more
 */

typedef struct {
	bool wants_pin; /* an "ostree:REF" becomes what it is in the repository now */
} AshWorkloadReleaseOptions;

/* ash_publish_workload_release:
 * @source: the repository that images were built into; NULL: there is none, and only images of registries
 *	can be released
 * @out_workload: with its image as it was pinned
 * @out_is_known: the same is published already; nothing was done
 * @out_widens: the version that it may touch more than, the newest published below it; NULL when it is not
 *	wider, or the first
 */
gboolean ash_publish_workload_release(AshPublication *publication, AshRepo *source,
		const char *file, const AshWorkloadReleaseOptions *options, AshProgress *progress,
		AshWorkload **out_workload, bool *out_is_known, char **out_widens, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Adds the drafts to what the next save publishes. @out_workloads: AshWorkload */
gboolean ash_publish_workload_drafts(AshPublication *publication, GPtrArray **out_workloads,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Takes @version from what the next save publishes. */
gboolean ash_publish_workload_withdraw(AshPublication *publication, const char *name,
		const char *version, GError **error) G_GNUC_WARN_UNUSED_RESULT;
