/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/ostree.h"
#include "agent/worker.h"
#include "lib/target.h"

/* From staging, which belongs to another user and is believed by nobody, into the repository.
 *
 * What staging may hold: links, pipes, files that change while they are read, sparse files of any size,
 * content that unpacks to more than it says. So names are opened one by one without following a link,
 * only regular files of at most the signed size are read, once, through a descriptor; objects are hashed
 * as they are written and get a name only when they are what it says; a delta is copied to where nobody
 * else writes, hashed on the way, and parsed only after its hash was found in the signed document.
 *
 * An imported commit is marked by ref ashlar/deployed/COMMIT, which is set last: when all its objects are
 * there, on the disk, and have been read back from it.
 */

/* The release of `input`, with its commit checked to be one. ASH_TARGET_ERROR_*. */
gboolean ash_import_get_release(JsonObject *input, AshRelease **out_release, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Does the commit say of itself what the signed document says of it? */
gboolean ash_import_compare(const AshOstreeInfo *info, const AshRelease *release, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* A question: was the commit imported, and read back? */
gboolean ash_import_is_done(AshOstree *repo, const char *commit, bool *out_done, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* All objects of @commit that the repository lacks, from @worker's staging, into its open transaction; for who knows by
 * other means than a release that the commit is wanted. @max_bytes: of all together, and of each.
 */
gboolean ash_import_bring(const AshWorker *worker, AshOstree *repo, const char *commit,
		uint64_t max_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The verb. */
gboolean ash_import_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
