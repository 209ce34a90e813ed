/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/update.h"

/* state.json: what the update machine knows, as JSON, replaced whole. A broken file is put aside as
 * state.json.broken and the machine starts empty: what booted tells it the rest, only the memory of
 * failed commits is lost, and the history says so.
 *
 * state.reserve beside it is room for the next state: when /var is full, which a release on trial may have seen to, it
 * goes, and what is decided is written after all.
 *
 * What a periodic check does is not written: a host that looks and finds nothing new writes nothing.
 */

#define ASH_UPDATE_STORE_ERROR (ash_update_store_error_quark())
GQuark ash_update_store_error_quark(void);

typedef enum {
	ASH_UPDATE_STORE_ERROR_SYNTAX,
	ASH_UPDATE_STORE_ERROR_FORMAT, /* written by a later agent */
} AshUpdateStoreError;

enum {
	ASH_UPDATE_STORE_MAX_BYTES = 4 << 20,
};

gboolean ash_update_parse(GBytes *json, AshUpdate **out_update, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
char *ash_update_format(const AshUpdate *update);
/* The state as it is written: that before a check which nobody asked for. */
AshUpdateState ash_update_settled_state(const AshUpdate *update);

/* @out_warning: set when the file was broken and put aside, else NULL. A missing file is an empty
 * machine. A file of a later format is read as far as it is known (an older agent after a rollback).
 */
gboolean ash_update_load(const char *root, AshUpdate **out_update, char **out_warning,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Writes only if the text differs from what this process wrote or read last. */
gboolean ash_update_save(const char *root, const AshUpdate *update, char **inout_last,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
