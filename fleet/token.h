/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* Join tokens: who has "ID.SECRET" may bring hosts into the fleet, so many, so long, with these labels. The database has
 * the SHA-256 of the secret (32 random bytes) alone; the secret is told once.
 */

#define ASH_TOKEN_ERROR (ash_token_error_quark())
GQuark ash_token_error_quark(void);
typedef enum {
	ASH_TOKEN_ERROR_REFUSED, /* unknown, used up, ended, revoked: one text for all of them */
	ASH_TOKEN_ERROR_NOT_FOUND,
} AshTokenError;

enum {
	ASH_TOKEN_MAX_NOTE = 1024,
	ASH_TOKEN_MAX_USES = 10000000,
};

typedef struct {
	const char *note, *created_by;
	const char *labels; /* JSON, as ash_pairs_format */
	int64_t uses;       /* -1: any number */
	int64_t expires_at; /* 0: never */
	bool needs_approval;
} AshToken;

/* In the open writing transaction of @db. */
gboolean ash_token_make(AshDb *db, const AshToken *token, int64_t now_s, char **out_id,
		char **out_secret, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Counts one use, in the open writing transaction: it is not counted when that is rolled back.
 * @secret: "ID.SECRET"
 */
gboolean ash_token_use(AshDb *db, const char *secret, int64_t now_s, char **out_id,
		char **out_labels, bool *out_needs_approval, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

gboolean ash_token_revoke(AshDb *db, const char *id, int64_t now_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Members of an open object: TOKEN of the API. *out_found false: none. */
gboolean ash_token_describe(AshDb *db, const char *id, JsonBuilder *json, bool *out_found,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Objects, one for each token behind @after, at most @limit. @out_next: NULL when there are no more. */
gboolean ash_token_list(AshDb *db, const char *after, int64_t limit, JsonBuilder *json,
		char **out_next, GError **error) G_GNUC_WARN_UNUSED_RESULT;
