/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/config.h"
#include "fleet/store/db.h"

/* What is old goes, a few rows at a time, so that nobody who writes waits for it. The leader does it (fleet/scheduler.h).
 *
 *	events    but what the scheduler has not read yet, and the newest ASH_RETENTION_LEAST
 *	ledgers   lines and hosts of rollouts that ended; the rollout itself and its sums stay, trimmed_at says since when
 *	audit     never lost: rows go to DIR/audit/FIRST-LAST.jsonl, one a line, as canonical JSON of all columns, and only
 *	          when that is on disk out of the table. 'audit.anchor' of table meta has seq and hash of the last that went,
 *	          and a row "audit.archive" of the log itself has them too: the chain goes on from there
 *	          (ash_audit_verify), and over files and table from its beginning. A chain that is broken is left as it is.
 */

enum {
	ASH_RETENTION_BATCH = 500,
	ASH_RETENTION_LEAST = 1000,
};

typedef enum {
	ASH_RETENTION_EVENTS,
	ASH_RETENTION_LEDGERS,
	ASH_RETENTION_AUDIT,
	ASH_RETENTIONS,
} AshRetention;

const char *ash_retention_text(AshRetention kind); /* "events" */

#define ASH_RETENTION_ERROR (ash_retention_error_quark())
GQuark ash_retention_error_quark(void);
typedef enum {
	ASH_RETENTION_ERROR_CHAIN, /* the audit log is not as it was written */
} AshRetentionError;

/* One batch of each, in short transactions of its own. *out_more: call it again soon. What goes wrong with one keeps
 * nothing from the others.
 */
gboolean ash_retention_trim(const AshFleetConfig *config, AshDb *db, int64_t now_s, bool *out_more,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Rows removed by this process; and when the oldest that is left is from, 0: none. */
uint64_t ash_retention_removed(AshRetention kind);
gboolean ash_retention_oldest(AshDb *db, AshRetention kind, int64_t *out_at_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
