/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The Update Framework, client side: which bytes may be believed. Follows the specification 1.0.34,
 * section 5 ("Detailed client workflow"), step by step; function and message names are its words.
 *
 * It fetches through a callback and keeps trusted metadata in a directory, and knows neither HTTP nor
 * where things lie. The same code runs in the unprivileged downloader (callback: HTTP), again in the
 * privileged verifier (callback: the files that the downloader left), and in `ashlar-tuf` under the
 * public conformance suite.
 *
 * @dir holds root.json, timestamp.json, snapshot.json, targets.json and ROLE.json of delegated roles:
 * each written by temp + fsync + rename only after it was verified in full, in the order of the
 * workflow, so that a power cut leaves a state from which the next refresh goes on. ("forget" is there
 * for an instant, while a new root makes it drop timestamp and snapshot.)
 *
 * Signatures: Ed25519 ("ed25519"), ECDSA P-256 with SHA-256 ("ecdsa", "ecdsa-sha2-nistp256"), RSA-PSS
 * with SHA-256 ("rsa", "rsassa-pss-sha256"). Metadata is JSON, signed over the canonical form of its
 * "signed" member (OLPC canonical JSON).
 */

#define ASH_TUF_ERROR (ash_tuf_error_quark())
GQuark ash_tuf_error_quark(void);

typedef enum {
	ASH_TUF_ERROR_SYNTAX,    /* not JSON, not the type, a member missing or impossible */
	ASH_TUF_ERROR_SIGNATURE, /* fewer valid signatures of different keys than the threshold */
	ASH_TUF_ERROR_VERSION,   /* not the version asked for (root chain, snapshot's meta) */
	ASH_TUF_ERROR_ROLLBACK,  /* a lower version than one trusted before */
	ASH_TUF_ERROR_EXPIRED,
	ASH_TUF_ERROR_HASH, /* length or hash differ from what was signed */
	ASH_TUF_ERROR_TOO_BIG,
	ASH_TUF_ERROR_MISSING,         /* a role that snapshot or timestamp name is not there */
	ASH_TUF_ERROR_NOT_FOUND,       /* no such target */
	ASH_TUF_ERROR_FETCH_NOT_FOUND, /* for callbacks: the repository has no such file */
	ASH_TUF_ERROR_NO_ROOT,         /* nothing to begin with */
} AshTufError;

enum {
	ASH_TUF_MAX_ROOT_BYTES = 512 << 10,
	ASH_TUF_MAX_TIMESTAMP_BYTES = 16 << 10,
	ASH_TUF_MAX_SNAPSHOT_BYTES = 2 << 20,
	ASH_TUF_MAX_TARGETS_BYTES = 5 << 20,
	ASH_TUF_MAX_ROOT_STEPS = 256, /* in one refresh; the next one goes on from there */
	ASH_TUF_MAX_DELEGATIONS = 32, /* roles visited in one search */
	ASH_TUF_MAX_DEPTH = 32,       /* of JSON */
};

/* Sets the file @name ("3.root.json", "timestamp.json"), of at most @max_bytes. A delegated role's name
 * is percent-encoded in it, so that @name is one component of a path or URL. A file that is not there is ASH_TUF_ERROR_FETCH_NOT_FOUND; a longer one ASH_TUF_ERROR_TOO_BIG; other errors end the
 * refresh as they are.
 */
typedef gboolean (*AshTufFetch)(const char *name, size_t max_bytes, gpointer data,
		GBytes **out_bytes, GError **error);

typedef struct AshTuf AshTuf;

/* ash_tuf_init:
 *
 * Makes @dir, made when missing, trust @root: writes root.json. May be called each time, with the root
 * that an image brings: where one of the same or a higher version is trusted already, that stays.
 */
gboolean ash_tuf_init(const char *dir, GBytes *root, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_tuf_open:
 * @now_s: the instant that expiry is judged by, fixed for the object's life; seconds since 1970
 *
 * Loads what is trusted in @dir. Files there that are broken or no longer verify are ignored, but for
 * root.json.
 */
gboolean ash_tuf_open(const char *dir, int64_t now_s, AshTuf **out_tuf, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_tuf_free(AshTuf *tuf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshTuf, ash_tuf_free)

/* The whole workflow: root chain, timestamp, snapshot, targets. What was verified before a failure is
 * kept, as the specification says.
 */
gboolean ash_tuf_refresh(AshTuf *tuf, AshTufFetch fetch, gpointer data, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	char *path;
	char *role; /* "targets", or the delegated role that named it */
	uint64_t bytes;
	char *sha256;       /* NULL if only sha512 was signed */
	char *sha512;       /* NULL if only sha256 was signed */
	char *custom;       /* JSON text, or NULL */
	bool is_consistent; /* to be fetched as DIR/HASH.NAME, see ash_tuf_target_location */
} AshTufTarget;
void ash_tuf_target_free(AshTufTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshTufTarget, ash_tuf_target_free)

/* ash_tuf_find_target: after a refresh that succeeded. Searches targets, then its delegations in pre-order, stopping
 * at terminating ones; fetches delegated metadata as needed. ASH_TUF_ERROR_NOT_FOUND.
 */
gboolean ash_tuf_find_target(AshTuf *tuf, const char *path, AshTufFetch fetch, gpointer data,
		AshTufTarget **out_target, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* All targets of the top-level role whose path begins with @prefix, sorted by path (AshTufTarget).
 * Left out is what could not be kept safely or not verified: a path with "..", no known hash.
 */
gboolean ash_tuf_list_targets(AshTuf *tuf, const char *prefix, GPtrArray **out_targets,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_tuf_list_delegated: the same of the role that the top-level one delegates to under the name @role:
 * what ash_tuf_find_target would find of it. Fetches its metadata as needed.
 * @out_version: of that metadata; 0 when there is no such delegation
 */
gboolean ash_tuf_list_delegated(AshTuf *tuf, const char *role, const char *prefix,
		AshTufFetch fetch, gpointer data, uint64_t *out_version, GPtrArray **out_targets,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Where the bytes lie below the targets base: with consistent snapshots "DIR/HASH.NAME". */
char *ash_tuf_target_location(const AshTufTarget *target);

/* Length and every hash that is signed. ASH_TUF_ERROR_HASH. */
gboolean ash_tuf_target_verify(const AshTufTarget *target, GBytes *bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* What is trusted now, for people and for the clock's floor. Versions are 0 when there is none. */
typedef struct {
	uint64_t root_version, timestamp_version, snapshot_version, targets_version;
	int64_t root_expires_s, timestamp_expires_s, snapshot_expires_s, targets_expires_s;
} AshTufInfo;
void ash_tuf_get_info(const AshTuf *tuf, AshTufInfo *out_info);

/* One word for 'why': "signature", "expired", "rollback", …; of any error of this domain. */
const char *ash_tuf_error_word(const GError *error);
