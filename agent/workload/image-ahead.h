/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

#include "lib/archive.h"

/* What a source supplies, read by a thread of its own while who wants it is busy with what came before: a layer is inflated
 * and hashed on one processor and written on another. At most ASH_IMAGE_AHEAD_BYTES are read before they are asked
 * for.
 */

enum {
	ASH_IMAGE_AHEAD_BYTES = 2 << 20,
};

typedef struct AshImageAhead AshImageAhead;

/* @source and @data are the thread's alone until ash_image_ahead_free; there it ends, wherever it is in them. */
gboolean ash_image_ahead_new(AshArchiveSource source, gpointer data, AshImageAhead **out_ahead,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_image_ahead_free(AshImageAhead *ahead);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshImageAhead, ash_image_ahead_free)

/* AshArchiveSource; @ahead: AshImageAhead. Errors are those of the source, behind what it supplied before. */
gboolean ash_image_ahead_source(
		gpointer ahead, const void **out_data, size_t *out_size, GError **error);
