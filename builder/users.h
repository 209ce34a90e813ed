/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "builder/manifest.h"
#include "builder/repo.h"
#include "builder/tree.h"

/* Users and groups of a tree: /etc/passwd, group, shadow, gshadow; formats passwd(5), group(5),
 * shadow(5), gshadow(5). Accounts of a manifest are added there, locked, and as sysusers.d(5) lines,
 * so that a host whose /etc is older gets them at boot with the same numbers.
 */

#define ASH_USERS_ERROR (ash_users_error_quark())
GQuark ash_users_error_quark(void);

typedef enum {
	ASH_USERS_ERROR_UNKNOWN,  /* no such user or group, with the nearest names */
	ASH_USERS_ERROR_CONFLICT, /* the number or the name is taken by another account */
	ASH_USERS_ERROR_FULL,     /* no number is left between 100 and 999 */
} AshUsersError;

typedef struct AshUsers AshUsers;

gboolean ash_users_load(AshRepo *repo, const AshTree *tree, AshUsers **out_users, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_users_free(AshUsers *users);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshUsers, ash_users_free)

/* Adds the manifest's groups and users, and stores the files. Numbers that the manifest does not
 * give are the largest free ones below 1000, in the order of the manifest.
 */
gboolean ash_users_add(AshUsers *users, AshRepo *repo, const GPtrArray *groups,
		const GPtrArray *accounts, AshTree *tree, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @name: a name or a number. @mark: "FILE:LINE:COLUMN" for the message. */
gboolean ash_users_find_uid(const AshUsers *users, const char *name, const char *mark,
		uint32_t *out_uid, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_users_find_gid(const AshUsers *users, const char *name, const char *mark,
		uint32_t *out_gid, GError **error) G_GNUC_WARN_UNUSED_RESULT;
