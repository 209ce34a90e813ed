/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/rollout.h"
#include "fleet/store/db.h"

/* A rollout's lines on disk: table rollout_line, from 1 without gaps. What the engine says of them: fleet/rollout.h. */

#define ASH_LEDGER_ERROR (ash_ledger_error_quark())
GQuark ash_ledger_error_quark(void);
typedef enum {
	ASH_LEDGER_ERROR_NONE, /* no such rollout */
} AshLedgerError;

/* In the open transaction. */
gboolean ash_ledger_append(AshDb *db, const char *rollout, int64_t line, const char *text,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The engine as it was after the last line, from the last checkpoint on. */
gboolean ash_ledger_load(AshDb *db, const char *rollout, AshRollout **out_rollout,
		int64_t *out_lines, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* From the first line: does a fresh engine come to every decision that is written? */
gboolean ash_ledger_replay(AshDb *db, const char *rollout, AshRolloutReplay *out_replay,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
