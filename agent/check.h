/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/worker.h"

/* The verb: reads every object of a commit from the disk and hashes it, and compares the deployment's /usr
 * with what the commit says. Up to 100 are named in "bad": "ab/cdef….file", "usr/bin/a" (not what the
 * commit has, or missing), "usr/bin/b: not in the commit".
 */
gboolean ash_check_run(const AshWorker *worker, JsonObject *input, JsonBuilder *result,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
