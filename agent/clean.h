/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/deployment.h"
#include "agent/ostree.h"
#include "agent/worker.h"

/* Deployments go: first what leads to one, then what it leads to, so that at no instant anything that
 * could boot is incomplete. A run that was cut off is finished by the next.
 */

/* Removes one deployment with all its entries. The running one is our own bug. */
gboolean ash_clean_deployment(const AshWorker *worker, const char *commit, unsigned serial,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes a tree below sysroot that may be immutable. A missing one is fine. */
gboolean ash_clean_tree(const AshWorker *worker, const char *path, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Sets or takes the immutable mark of a directory; file systems without it are fine. */
gboolean ash_clean_set_immutable(int dirfd, const char *path, bool is_immutable, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The verb. */
gboolean ash_clean_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
