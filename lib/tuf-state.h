/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/tuf-delegation.h"
#include "lib/tuf-metadata.h"
#include "lib/tuf.h"

/* For lib/tuf*.c alone: what a client trusts, and the directory that keeps it. */

struct AshTuf {
	int dir_fd;
	int64_t now_s;
	AshTufMetadata *root;      /* always there */
	AshTufMetadata *timestamp; /* NULL until trusted; may have expired, as the next two */
	AshTufMetadata *snapshot;
	AshTufMetadata *targets;
	bool is_fresh; /* the last refresh succeeded */
};

/* The callback and its data. */
typedef struct {
	AshTufFetch fetch;
	gpointer data;
} AshTufSource;

/* ash_tuf_fetch_role: a targets or snapshot file as @file asks for it: length, hashes, signatures,
 * version. Whether it is expired and whether older ones forbid it is for the caller.
 */
typedef struct {
	const char *name; /* "targets.json" */
	const char *type;
	size_t max_bytes;
	AshTufAuthority authority;
	AshTufFile file;
} AshTufWanted;
gboolean ash_tuf_fetch_role(AshTuf *tuf, const AshTufWanted *wanted, const AshTufSource *source,
		AshTufMetadata **out_metadata, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A question: is what is trusted already the very file that @wanted asks for, and not expired? */
bool ash_tuf_is_current(
		const AshTuf *tuf, const AshTufMetadata *metadata, const AshTufWanted *wanted);

gboolean ash_tuf_check_expiry(const AshTuf *tuf, const AshTufMetadata *metadata, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- the directory (lib/tuf-store.c) ---- */

/* NULL when the file is missing, broken, or not signed by @authority (NULL: any). */
AshTufMetadata *ash_tuf_store_find(int dir_fd, const char *name, const char *type, size_t max_bytes,
		const AshTufAuthority *authority);
gboolean ash_tuf_store_save(int dir_fd, const char *name, const AshTufMetadata *metadata,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_tuf_store_save_root: @old may be NULL. If keys of timestamp or snapshot have lost their office
 * from @old to @root, both files go (5.3.11, recovery from fast-forward attacks), whatever instant the
 * power fails at.
 */
gboolean ash_tuf_store_save_root(int dir_fd, const AshTufMetadata *old, const AshTufMetadata *root,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Goes on with what a power cut interrupted in ash_tuf_store_save_root. */
gboolean ash_tuf_store_recover(int dir_fd, const AshTufMetadata *root, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
