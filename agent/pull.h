/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "agent/source.h"

/* The verb `fetch`: the content of one release, as a delta or as loose objects, into staging.
 *
 * Bounds: a delta has the size and hash that were signed. Of objects, metadata is verified by its name
 * before it is parsed; content is unpacked and verified before it gets its name; each is at most as
 * large as the release's largest, all together as its archive, and there are no more of them than its
 * tree has inodes. What the running host has in its repository is not fetched. Everything that is whole
 * stays for the next attempt.
 *
 * Errors: ASH_PULL_ERROR, ASH_FETCH_ERROR, ASH_OBJECT_ERROR, ASH_STAGING_ERROR, G_IO_ERROR.
 */

#define ASH_PULL_ERROR (ash_pull_error_quark())
GQuark ash_pull_error_quark(void);

typedef enum {
	ASH_PULL_ERROR_TOO_BIG, /* more objects or bytes than the release has */
} AshPullError;

/* @source->order is one to fetch; its session has no budget yet. */
gboolean ash_pull(const AshSource *source, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* For the deadline and for the space: what it may have to move, at most. */
uint64_t ash_pull_estimate(const AshOrder *order);
