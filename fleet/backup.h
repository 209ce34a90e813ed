/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>

/* What a fleet is, but for the content that it serves, as one directory that only its owner may read:
 *
 *	fleet.db               the database, of either kind, as it was at one moment
 *	ca.key, ca.pem         the authority: whoever has these can make hosts
 *	fleetd.yaml            the settings, if there are
 *	audit/FIRST-LAST.jsonl what has left the audit log (fleet/retention.h)
 */

#define ASH_BACKUP_ERROR (ash_backup_error_quark())
GQuark ash_backup_error_quark(void);
typedef enum {
	ASH_BACKUP_ERROR_THERE, /* something is at the new backup's path */
	ASH_BACKUP_ERROR_NONE,  /* it is no backup, or not a whole one */
	ASH_BACKUP_ERROR_OTHER, /* the directory is another fleet's */
	ASH_BACKUP_ERROR_DAMAGED,
} AshBackupError;

/* Of the server's directory @dir, while it runs or not. @backup appears when all of it is on disk. */
gboolean ash_backup_make(const char *dir, const char *backup, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* Into @dir, which is made when it is not there, and is no running server's. Settings that are there stay, and say which
 * database is filled; it has to be empty, and is filled last. @backup may also be a database alone. It is read as a whole before anything is
 * written; when it fails after that, what was not in @dir before goes again.
 */
gboolean ash_backup_restore(const char *dir, const char *backup, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
