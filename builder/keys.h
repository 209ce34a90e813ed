/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "builder/root.h"

/* A directory of keys (mode 0700):
 *
 *	1.root.json, 2.root.json, …   every version of the root, signed; they are published
 *	root.json                     the newest of them, for images: /usr/lib/ashlar/root.json
 *	workloads.json                the public key of the delegated role workloads
 *	ROLE-IDIDIDID.pem             private keys (PKCS#8), by the first digits of their id; 0600
 *
 * Private keys may lie apart, and need not be there at all until their role signs: any number of
 * directories can be given, of which the first has the roots.
 *
 * What is written is written by rename, private keys before the root that names them, so that a power
 * cut leaves the old version or the new one, and at worst a private key that nothing names.
 */

#define ASH_KEYS_ERROR (ash_keys_error_quark())
GQuark ash_keys_error_quark(void);

typedef enum {
	ASH_KEYS_ERROR_EXISTS,     /* there are keys already */
	ASH_KEYS_ERROR_NOT_FOUND,  /* no such directory, or no root in it */
	ASH_KEYS_ERROR_PRIVATE,    /* a private key that is needed is not here: which */
	ASH_KEYS_ERROR_PASSPHRASE, /* wrong */
	ASH_KEYS_ERROR_BROKEN,     /* a root that does not follow from the one before it, … */
	ASH_KEYS_ERROR_EXPIRED,
} AshKeysError;

typedef struct AshKeys AshKeys;

typedef struct {
	unsigned root_keys;      /* how many, 1 by default */
	unsigned root_threshold; /* how many sign, 1 by default */
	int64_t expiry_s;
	const char *passphrase; /* NULL: private keys lie there unprotected */
} AshKeysMake;

/* @dir: does not exist, or is empty. */
gboolean ash_keys_make(const char *dir, const AshKeysMake *options, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* @dirs: at least one. @passphrase_file: as ash_passphrase_read; asked for only when a key needs it.
 * @is_to_change: for ash_keys_rotate; waits for another that changes the first directory
 */
gboolean ash_keys_open(const char *const *dirs, const char *passphrase_file, bool is_to_change,
		AshKeys **out_keys, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_keys_free(AshKeys *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshKeys, ash_keys_free)

/* AshRoot, versions 1, 2, …; at least one. */
const GPtrArray *ash_keys_roots(const AshKeys *keys);
const AshRoot *ash_keys_root(const AshKeys *keys);
const AshSigningRole *ash_keys_role(const AshKeys *keys, AshRole role);

/* The file of a private key, where it is; NULL when it is not here. */
char *ash_keys_find_private(const AshKeys *keys, AshRole role, const char *id);
/* Are enough private keys of the role here? */
bool ash_keys_has(const AshKeys *keys, AshRole role);

/* ash_keys_sign: with the keys of @role that are here, which must be enough for its threshold, and
 * those of @also (the role's keys in an older root, may be NULL) as far as they are here.
 */
gboolean ash_keys_sign(AshKeys *keys, AshRole role, const AshSigningRole *also,
		JsonNode *signed_node, GBytes **out_bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ash_keys_rotate, of keys that were opened to be changed: new keys for the role, as many as before, and for all but workloads the next root,
 * signed by the old and the new root keys. The files of the old keys stay.
 * @role: ASH_N_ROLES: none; the next root is the old one with a later expiry
 */
gboolean ash_keys_rotate(AshKeys *keys, AshRole role, int64_t expiry_s, const char *passphrase,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
