/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* The audit log: who changed what, why, from what to what. Appended within the transaction of the change, so that there
 * is neither without the other; never edited. Each row's hash covers the row before:
 *
 *	hash = SHA-256(hash of the row before, newline, canonical JSON (lib/canonical.h) of the other columns as an
 *	object by their names, "seq" and "at" integers, the rest strings); before the first row: 64 times '0'
 *
 * so a row that was changed, taken out or put in is found from there on. Rows cut off at the end are found by who kept
 * a head (seq and hash) from before: it is to be in the log still.
 */

typedef struct {
	int64_t seq; /* set by appending and reading */
	int64_t at_s;
	/* NULL is "". @before, @after: JSON texts; never a secret. Not UTF-8: made so. */
	const char *actor, *role, *address, *action, *object, *reason, *before, *after;
	const char *hash; /* set by reading */
} AshAudit;

/* In the open writing transaction of @db. */
gboolean ash_audit_append(AshDb *db, const AshAudit *audit, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

typedef gboolean (*AshAuditEach)(const AshAudit *audit, gpointer data, GError **error);
/* Rows behind @after, oldest first, @limit at most. */
gboolean ash_audit_read(AshDb *db, int64_t after, unsigned limit, AshAuditEach each, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Of the rows that went to an archive (fleet/retention.h) the last; 0 and 64 times '0': none did. */
typedef struct {
	int64_t seq;
	char hash[65];
} AshAuditAnchor;
gboolean ash_audit_get_anchor(AshDb *db, AshAuditAnchor *out_anchor, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_audit_set_anchor(AshDb *db, const AshAuditAnchor *anchor, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Is @audit the row behind @before, as it was written? *out_line: its canonical JSON, with "hash"; NULL: it is not. */
gboolean ash_audit_follows(const AshAuditAnchor *before, const AshAudit *audit, char **out_line,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	int64_t anchor;    /* seq of the last row that went to an archive; 0: none did */
	int64_t count;     /* rows behind it that are as they were written, from the first */
	int64_t first_bad; /* seq of the first that is not, or that is missing; 0: all are good */
	char head[65];     /* hash of the last good one */
} AshAuditVerdict;
/* Reads the whole log, from its anchor. A bad one is an answer, no error. */
gboolean ash_audit_verify(AshDb *db, AshAuditVerdict *out_verdict, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
