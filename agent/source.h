/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/order.h"
#include "lib/fetch.h"

/* Where releases come from: a published directory behind HTTP, and the staging directory that it is
 * copied into (agent/paths.h). What is proven here is proven for the downloader alone, so that it does
 * not fill the disk for a liar; the worker proves everything again.
 */

enum {
	ASH_SOURCE_MAX_RECALLS = 256, /* documents that are fetched, newest versions first */
};

typedef struct {
	const AshOrder *order; /* borrowed, as all that is here */
	AshFetchSession *session;
	const char *staging;
	int staging_fd;
	const char *sysroot;
	const char *root_json;
	/* Work is so far; NULL: not asked for. */
	void (*progress)(uint64_t done, uint64_t total, gpointer data);
	gpointer data;
} AshSource;

/* ash_source_check: the verb `check`.
 *
 * Refreshes metadata with a trusted directory of its own (staging/tuf) and leaves in staging/metadata
 * all that a verifier which trusts root version order->root_version needs to come to the same state;
 * then in staging/targets the recalls for this host, the release that it would choose, and the definitions
 * of the workloads that the order names, as far as they are signed and can be had. What no longer belongs to
 * that is removed.
 *
 * Errors: ASH_TUF_ERROR, ASH_FETCH_ERROR, ASH_TARGET_ERROR, ASH_STAGING_ERROR, G_IO_ERROR.
 */
gboolean ash_source_check(AshSource *source, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "URL/PATH" */
char *ash_source_uri(const AshSource *source, const char *format, ...) G_GNUC_PRINTF(2, 3);
