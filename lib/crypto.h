/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Hashes and signatures, by GnuTLS (which uses the processor's own SHA instructions; GLib's GChecksum does not and
 * is four times slower). The one file that may include gnutls headers.
 */

enum {
	ASH_SHA256_BYTES = 32,
	ASH_SHA256_HEX = 64,
	ASH_SHA512_HEX = 128,
	ASH_ED25519_BYTES = 32, /* a public key */
	ASH_CRYPTO_MAX_HEX_BYTES = 4096,
};

typedef struct AshSha256 AshSha256;

AshSha256 *ash_sha256_new(void);
void ash_sha256_update(AshSha256 *hash, const void *data, size_t size);
/* Ends the computation and frees @hash. */
void ash_sha256_finish(AshSha256 *hash, uint8_t out_digest[ASH_SHA256_BYTES]);
void ash_sha256_free(AshSha256 *hash);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshSha256, ash_sha256_free)

void ash_sha256(const void *data, size_t size, uint8_t out_digest[ASH_SHA256_BYTES]);

/* 64 lower-case digits, newly allocated. */
char *ash_sha256_hex(const void *data, size_t size);
char *ash_sha256_format(const uint8_t digest[ASH_SHA256_BYTES]);

char *ash_sha512_hex(const void *data, size_t size);

/* Reads from the descriptor's position to its end. */
gboolean ash_sha256_fd(int fd, char **out_hex, uint64_t *out_size, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Hexadecimal digits as TUF writes keys and signatures; lower-case on the way out, either case on the
 * way in. A question: NULL when @hex is not pairs of digits, or more than ASH_CRYPTO_MAX_HEX_BYTES.
 */
GBytes *ash_crypto_hex_find(const char *hex);
char *ash_crypto_hex_format(GBytes *bytes);

/* ---- secrets ---- */

/* From the kernel's generator, @size at most 256. It cannot fail: the process ends where there is none. */
void ash_crypto_random(void *out, size_t size);
/* 2 * @size digits. */
char *ash_crypto_random_hex(size_t size);
/* Are they the same? In time that does not depend on where they differ; their lengths are no secret. */
bool ash_crypto_same_secret(const char *a, const char *b);

/* ---- keys and signatures ---- */

#define ASH_CRYPTO_ERROR (ash_crypto_error_quark())
GQuark ash_crypto_error_quark(void);

typedef enum {
	ASH_CRYPTO_ERROR_FAILED,     /* what the library says */
	ASH_CRYPTO_ERROR_KEY,        /* not a key of a kind that is known */
	ASH_CRYPTO_ERROR_PASSPHRASE, /* encrypted, and the passphrase is missing or wrong */
} AshCryptoError;

/* Is @signature one of @message by the public key? @scheme: "ed25519", "ecdsa-sha2-nistp256",
 * "rsassa-pss-sha256" (as TUF names them). @key: for Ed25519 32 raw bytes; otherwise a PEM
 * SubjectPublicKeyInfo. An unusable key or malformed signature is false like a wrong one.
 */
bool ash_crypto_verify(const char *scheme, GBytes *key, GBytes *message, GBytes *signature);

/* What tells one key from another however it was written down (PEM may be folded in many ways): the
 * SHA-256 of its SubjectPublicKeyInfo. A question: NULL if the key is not usable with @scheme.
 */
char *ash_crypto_key_fingerprint(const char *scheme, GBytes *key);

/* A private Ed25519 key. */
typedef struct AshSigningKey AshSigningKey;

gboolean ash_signing_key_new(AshSigningKey **out_key, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* PEM, PKCS#8; with a passphrase encrypted (PBES2, AES-256). */
gboolean ash_signing_key_parse(GBytes *pem, const char *passphrase, AshSigningKey **out_key,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* @passphrase NULL: not encrypted. */
gboolean ash_signing_key_format(AshSigningKey *key, const char *passphrase, char **out_pem,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* 32 raw bytes. */
gboolean ash_signing_key_public(AshSigningKey *key, GBytes **out_public, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_signing_key_sign(AshSigningKey *key, GBytes *message, GBytes **out_signature,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_signing_key_free(AshSigningKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshSigningKey, ash_signing_key_free)
