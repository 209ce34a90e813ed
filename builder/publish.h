/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/publication.h"
#include "builder/repo.h"
#include "lib/progress.h"
#include "lib/target.h"

/* The two steps from a commit to something that hosts take:
 *
 *	release    the commit's objects go into the publication's repository, and a draft of the
 *	           release document into pending/; nobody is led to them
 *	publish    static deltas from the versions in use, the documents with their hashes, metadata
 *
 * Each may be killed at any instant and run again. An error of the publication's domain.
 */

typedef struct {
	const char *version;      /* NULL: the commit's own */
	const char *replaces_min; /* NULL: any */
	const char *notes;        /* NULL: none */
} AshReleaseOptions;

/* ash_publish_release: the draft of a release of @rev in @source.
 * @out_release: sizes included
 * @out_is_known: it is published already, with the same commit; nothing was done
 */
gboolean ash_publish_release(AshPublication *publication, AshRepo *source, const char *rev,
		const AshReleaseOptions *options, AshProgress *progress, AshRelease **out_release,
		bool *out_is_known, GError **error) G_GNUC_WARN_UNUSED_RESULT;

enum {
	ASH_PUBLISH_DELTAS = 3, /* from so many releases before, when nothing else is said */
};

typedef struct {
	const char *const
			*from; /* versions or commits that deltas begin with; NULL: the last few */
	bool no_deltas;
	AshPublicationLifetimes lifetimes;
} AshPublishOptions;

/* ash_publish: all drafts, or only new snapshot and timestamp when there are none.
 * @out_releases: AshRelease, as published
 * @out_workloads: AshWorkload (builder/publish-workload.h)
 */
gboolean ash_publish(AshPublication *publication, const AshPublishOptions *options,
		AshProgress *progress, GPtrArray **out_releases, GPtrArray **out_workloads,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Withdraws @version of the workload @name and publishes that. */
gboolean ash_publish_recall_workload(AshPublication *publication, const char *name,
		const char *version, const AshPublicationLifetimes *lifetimes,
		AshProgress *progress, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_publish_recall: publishes an order to leave @version of @host.
 * @to: a release of @host, or ""
 */
gboolean ash_publish_recall(AshPublication *publication, const AshPublicationHost *host,
		const char *version, const char *to, const char *reason,
		const AshPublicationLifetimes *lifetimes, AshProgress *progress, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
