/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/crypto.h"

/* TUF metadata, the writing side: {"signatures":[…],"signed":{…}}, Ed25519 only. The signed member is
 * written in its canonical form, so that the same content is the same bytes. lib/tuf.h is the reading
 * side and does not depend on this. PURE but for the clock in ash_signing_expiry.
 */

#define ASH_SIGNING_ERROR (ash_signing_error_quark())
GQuark ash_signing_error_quark(void);

typedef enum {
	ASH_SIGNING_ERROR_SYNTAX,
	ASH_SIGNING_ERROR_SIGNATURE, /* fewer good signatures than the threshold */
} AshSigningError;

enum {
	ASH_SIGNING_MAX_BYTES = 5 << 20,
	ASH_SIGNING_MAX_KEYS = 16, /* of a role */
	ASH_SIGNING_ID_SHORT = 8,  /* of the key's id, in names of files and messages */
};

/* Who signs: public keys (64 digits each) with their ids, and how many of them it takes. */
typedef struct {
	GPtrArray *publics; /* char * */
	GPtrArray *ids;     /* char *, of the same index */
	uint64_t threshold;
} AshSigningRole;

AshSigningRole *ash_signing_role_new(uint64_t threshold);
AshSigningRole *ash_signing_role_copy(const AshSigningRole *role);
void ash_signing_role_free(AshSigningRole *role);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshSigningRole, ash_signing_role_free)
void ash_signing_role_add(AshSigningRole *role, const char *public_hex);
bool ash_signing_role_has(const AshSigningRole *role, const char *id);
bool ash_signing_role_equal(const AshSigningRole *a, const AshSigningRole *b);

/* @keys: the object "keys" of root or delegations; @role: {"keyids":[…],"threshold":N} */
gboolean ash_signing_role_parse(JsonObject *keys, JsonObject *role, AshSigningRole **out_role,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The members "keys": {…} of all @roles, and "keyids" and "threshold" of one, in the open object. */
void ash_signing_add_keys(JsonBuilder *json, const AshSigningRole *const *roles, size_t n);
void ash_signing_add_role(JsonBuilder *json, const AshSigningRole *role);

/* Opens the object "signed" of type @type; the caller adds its own members and closes it. */
void ash_signing_begin(JsonBuilder *json, const char *type, uint64_t version, const char *expires);

/* "2026-11-22T10:00:00Z" in @seconds from now. */
char *ash_signing_time(int64_t seconds_from_now);

/* Signs with all of @keys (AshSigningKey, each once). */
gboolean ash_signing_seal(JsonNode *signed_node, const GPtrArray *keys, GBytes **out_bytes,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The metadata in @bytes, when its type is @type; its signatures are another question.
 * @out_signed is borrowed from @out_node.
 */
gboolean ash_signing_parse(GBytes *bytes, const char *type, JsonNode **out_node,
		JsonObject **out_signed, uint64_t *out_version, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_signing_check: is @node (of ash_signing_parse) signed by @role? ASH_SIGNING_ERROR_SIGNATURE. */
gboolean ash_signing_check(JsonNode *node, const AshSigningRole *role, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Seconds from now to the member "expires" of @signed_object; negative when it is over. */
gboolean ash_signing_expiry(JsonObject *signed_object, int64_t *out_seconds_left, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
