/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Release files: what a repository says of itself, and the hashes of its indices, signed.
 *
 * Verified by gpgv, from its machine-readable status: at least one good signature by a key of the
 * keyring, none bad. An expired or revoked key, and SHA-1, are no good. Only text that was signed is
 * parsed: of an InRelease file the part that gpgv hands out, and a file with anything in front of it is
 * refused. Errors are ASH_SOURCE_ERROR (builder/source.h): SYNTAX, SIGNATURE, EXPIRED.
 */

enum {
	ASH_DEB_RELEASE_MAX_BYTES = 16 << 20,
	ASH_DEB_RELEASE_MAX_SIGNATURE_BYTES = 1 << 20,
	ASH_DEB_RELEASE_MAX_KEYRING_BYTES = 4 << 20,
	ASH_DEB_RELEASE_MAX_FILES = 200000,
};

typedef struct {
	char *sha256;
	uint64_t size;
} AshDebReleaseFile;

typedef struct {
	char *origin; /* "Debian"; texts are NULL when the field is missing */
	char *label;
	char *suite;
	char *codename;
	char **components;    /* NULL when the field is missing, as in flat repositories */
	bool has_all_in_each; /* binary-ARCH/Packages has the packages of architecture all */
	bool acquire_by_hash;
	int64_t valid_until_s; /* 0: forever */
	GHashTable *files;     /* "main/binary-amd64/Packages.xz" → AshDebReleaseFile */
} AshDebRelease;

/* @what: for messages. */
gboolean ash_deb_release_parse(const char *what, GBytes *text, AshDebRelease **out_release,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_deb_release_free(AshDebRelease *release);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDebRelease, ash_deb_release_free)

const AshDebReleaseFile *ash_deb_release_find(const AshDebRelease *release, const char *path);

/* Fails with ASH_SOURCE_ERROR_EXPIRED when `Valid-Until` is before @now_s (wall clock). */
gboolean ash_deb_release_check_date(const AshDebRelease *release, const char *what, int64_t now_s,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_deb_release_verify:
 * @text: an InRelease file, or with @signature a Release file
 * @signature: Release.gpg, or NULL
 * @keyring: a file of OpenPGP keys, binary or in ASCII armour; @inline_key instead of it: the keys
 *	themselves; the other is NULL
 * @out_text: what was signed
 */
gboolean ash_deb_release_verify(const char *what, GBytes *text, GBytes *signature,
		const char *keyring, const char *inline_key, GBytes **out_text, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The signed text of an InRelease file, taken on trust: for `trusted: true` only. */
gboolean ash_deb_release_strip_signature(const char *what, GBytes *text, GBytes **out_text,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What gpgv's status lines say: PURE, for tests. @keyring is for the message. */
gboolean ash_deb_release_judge_status(const char *what, const char *status, const char *keyring,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
