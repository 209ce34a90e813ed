/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* Reboot locks: semaphores by group, as FleetLock's clients take and give them (fleet/fleetlock.c). A hold has a lease.
 * When it has ended, the hold is late: it is shown as such, and freed only where the group says so, or by an operator: a
 * host that has not come back from its reboot is a reason to stop, not to go on.
 */

enum {
	ASH_REBOOT_LOCK_MAX_GROUP_BYTES = 64,
	ASH_REBOOT_LOCK_MAX_ID_BYTES = 256,
	ASH_REBOOT_LOCK_MAX_SLOTS = 100000,
	ASH_REBOOT_LOCK_MAX_LEASE_S = 30 * 86400,
};

typedef enum {
	ASH_REBOOT_LOCK_DONE,     /* held now (or still); not held any more (or never) */
	ASH_REBOOT_LOCK_FULL,     /* all slots are taken; again after *out_retry_s */
	ASH_REBOOT_LOCK_PAUSED,   /* an operator lets nobody in */
	ASH_REBOOT_LOCK_NO_GROUP, /* there is none of that name */
} AshRebootLockAnswer;

/* Letters, digits, dots and hyphens, within the maximum. */
bool ash_reboot_lock_is_group(const char *text);
/* Anything but control characters and space, within the maximum. */
bool ash_reboot_lock_is_id(const char *text);

/* In an open writing transaction; append their events themselves. Taking what is held begins its lease anew. */
gboolean ash_reboot_lock_take(AshDb *db, const char *group, const char *id, int64_t now_s,
		AshRebootLockAnswer *out_answer, int64_t *out_retry_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_reboot_lock_give(AshDb *db, const char *group, const char *id, int64_t now_s,
		AshRebootLockAnswer *out_answer, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- FleetLock's requests ---- */

#define ASH_REBOOT_LOCK_ERROR (ash_reboot_lock_error_quark())
GQuark ash_reboot_lock_error_quark(void);
typedef enum {
	ASH_REBOOT_LOCK_ERROR_REQUEST, /* the body is not what the protocol says */
} AshRebootLockError;

/* {"client_params":{"id":…,"group":…}}; unknown members are ignored. */
gboolean ash_reboot_lock_parse(GBytes *body, char **out_group, char **out_id, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
