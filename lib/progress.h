/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What a program says of long work, on stderr: bars on a terminal, plain lines otherwise, one JSON
 * object a line with --json. Data (what was asked for) goes to stdout and is no business of this.
 *
 * Work is a sequence of steps; inside a step a count may grow. Steps do not nest. All functions may
 * be called from any thread, and with NULL as progress.
 *
 * JSON events: {"event":"step","step":"import","text":"…"}, {"event":"progress","step":"import",
 * "done":1,"total":9,"unit":"packages"} (at most ten a second), {"event":"done","step":"import",
 * "result":"…","seconds":1.2}, {"event":"note"|"warning","text":"…"}, and at the end of a program
 * {"event":"error","domain":"…","code":4,"text":"…","exit":3} (lib/cli.h writes that one).
 */

typedef enum {
	ASH_PROGRESS_AUTO, /* bars if stderr is a terminal, else plain */
	ASH_PROGRESS_PLAIN,
	ASH_PROGRESS_JSON,
	ASH_PROGRESS_QUIET, /* warnings only */
} AshProgressMode;

typedef enum {
	ASH_PROGRESS_UNIT_ITEMS,
	ASH_PROGRESS_UNIT_BYTES,
} AshProgressUnit;

typedef struct AshProgress AshProgress;

AshProgress *ash_progress_new(AshProgressMode mode);
void ash_progress_free(AshProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshProgress, ash_progress_free)

/* @step is one word ("solve", "fetch"); @text is for people ("importing 177 packages"). Ends the
 * step before it.
 */
void ash_progress_begin(AshProgress *progress, const char *step, const char *text);

void ash_progress_update(
		AshProgress *progress, uint64_t done, uint64_t total, AshProgressUnit unit);

/* @result: "unchanged", "177 packages, 92 MB"; printed with the time the step took. */
void ash_progress_end(AshProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);

void ash_progress_note(AshProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);
void ash_progress_warn(AshProgress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The last event of a program that fails. In JSON an object, otherwise "ashlar: TEXT". */
void ash_progress_error(
		AshProgress *progress, const char *program, const GError *error, int exit_code);

bool ash_progress_is_json(const AshProgress *progress);
