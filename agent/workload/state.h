/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/workload/machine.h"

/* state.json: the machines of all workloads, and which range of users belongs to which instance. One file,
 * replaced as a whole, so that a power cut leaves the state of before or after a step.
 *
 * Ranges are ASH_LAUNCH_UIDS long, from ASH_STATE_FIRST_UID on, and never shared. An instance keeps its range as
 * long as a file of it may exist: until its volumes are removed.
 */

#define ASH_STATE_ERROR (ash_state_error_quark())
GQuark ash_state_error_quark(void);

typedef enum {
	ASH_STATE_ERROR_SYNTAX,
	ASH_STATE_ERROR_FULL, /* no range of users is left */
} AshStateError;

#define ASH_STATE_DIR "/var/lib/ashlar/workload"
#define ASH_STATE_FILE ASH_STATE_DIR "/state.json"

enum {
	ASH_STATE_MAX_BYTES = 8 << 20,
	ASH_STATE_MAX_WORKLOADS = 256,
	ASH_STATE_MAX_UIDS = 8192,
	/* systemd's nspawn picks from 0x80000 to 0x6fffffff at random, where no user is that it knows of; this is
	 * above, and below 2^31. */
	ASH_STATE_FIRST_UID = 0x70000000 / 65536 * 65536,
	ASH_STATE_LAST_UID = 0x7fff0000 / 65536 * 65536 - 65536,
};

typedef struct {
	GPtrArray *machines; /* AshMachine */
	GHashTable *uids;    /* instance → its range's first user, GUINT_TO_POINTER */
} AshState;

AshState *ash_state_new(void);
void ash_state_free(AshState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshState, ash_state_free)

AshMachine *ash_state_find(const AshState *state, const char *name); /* NULL: none */
void ash_state_remove(AshState *state, AshMachine *machine);

/* The range of @instance; a new one, the lowest that is free, when it has none. ASH_STATE_ERROR_FULL. */
gboolean ash_state_uid_base(AshState *state, const char *instance, uint32_t *out_base,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

char *ash_state_format(const AshState *state);
gboolean ash_state_parse(GBytes *text, AshState **out_state, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* A file that is not there is an empty state; one that cannot be read is put aside as state.json.broken,
 * *out_warning says so (NULL otherwise).
 */
gboolean ash_state_load(const char *root, AshState **out_state, char **out_warning, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @saved: what was saved last, "" or NULL at first; nothing is written when it is the same. */
gboolean ash_state_save(const char *root, const AshState *state, char **saved, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
