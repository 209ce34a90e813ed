/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/update.h"

/* history.jsonl: what happened on this host, one JSON object a line (agent/report.h), newest last; ids
 * rise by one and are never used again, so that each event is reported once. Appended and synced; a
 * last line cut by a power failure is dropped at the next start. Above ASH_HISTORY_MAX_BYTES the older
 * half goes.
 */

enum {
	ASH_HISTORY_MAX_BYTES = 512 << 10,
	ASH_HISTORY_MAX_LINE = 8 << 10,
	ASH_HISTORY_MAX_TOLD = 64 << 10, /* bytes of lines that are told at once */
};

typedef struct AshHistory AshHistory;

/* What cannot be read as a history is put aside as history.jsonl.broken. */
gboolean ash_history_open(const char *root, AshHistory **out_history, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_history_free(AshHistory *history);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshHistory, ash_history_free)

/* Of the next event. Ids rise by one; after a loss of the file they go on from what raise says. */
uint64_t ash_history_next_id(const AshHistory *history);
void ash_history_raise_id(AshHistory *history, uint64_t next_id);

/* @out_json: the event's line, without newline; may be NULL. */
gboolean ash_history_add(AshHistory *history, const AshUpdateNote *note, const char *boot_id,
		int64_t now_s, char **out_json, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* {"events":[…]} with the last @limit. */
gboolean ash_history_format(AshHistory *history, unsigned limit, char **out_json, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Elements into the open array, oldest first: at most @max events with an id above @after, as lib/checkin.h has them. A
 * question: what cannot be read is left out. Returns whether there are more.
 */
bool ash_history_add_after(
		const AshHistory *history, uint64_t after, unsigned max, JsonBuilder *builder);
