/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/error.h"

enum {
	READ_CHUNK_BYTES = 1 << 18,
};

struct AshSha256 {
	gnutls_hash_hd_t handle;
};

AshSha256 *ash_sha256_new(void)
{
	AshSha256 *hash = g_new0(AshSha256, 1);

	/* Fails only when memory is out or SHA-256 is forbidden by policy: nothing to go on with. */
	if (gnutls_hash_init(&hash->handle, GNUTLS_DIG_SHA256) != 0)
		g_error("GnuTLS has no SHA-256 here");
	return hash;
}

void ash_sha256_update(AshSha256 *hash, const void *data, size_t size)
{
	int result = gnutls_hash(hash->handle, data, size);

	g_assert(result == 0);
}

void ash_sha256_finish(AshSha256 *hash, uint8_t out_digest[ASH_SHA256_BYTES])
{
	gnutls_hash_deinit(hash->handle, out_digest);
	g_free(hash);
}

void ash_sha256_free(AshSha256 *hash)
{
	if (hash == NULL)
		return;
	gnutls_hash_deinit(hash->handle, NULL);
	g_free(hash);
}

void ash_sha256(const void *data, size_t size, uint8_t out_digest[ASH_SHA256_BYTES])
{
	int result = gnutls_hash_fast(GNUTLS_DIG_SHA256, data, size, out_digest);

	g_assert(result == 0);
}

char *ash_sha256_format(const uint8_t digest[ASH_SHA256_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	char *hex = g_malloc(ASH_SHA256_HEX + 1);

	for (size_t i = 0; i < ASH_SHA256_BYTES; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[ASH_SHA256_HEX] = '\0';
	return hex;
}

char *ash_sha256_hex(const void *data, size_t size)
{
	uint8_t digest[ASH_SHA256_BYTES];

	ash_sha256(data, size, digest);
	return ash_sha256_format(digest);
}

gboolean ash_sha256_fd(int fd, char **out_hex, uint64_t *out_size, GError **error)
{
	g_autoptr(AshSha256) hash = ash_sha256_new();
	g_autofree char *chunk = g_malloc(READ_CHUNK_BYTES);
	uint64_t size = 0;

	for (;;) {
		ssize_t n = read(fd, chunk, READ_CHUNK_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ash_throw_errno(error, "read");
		if (n == 0)
			break;
		ash_sha256_update(hash, chunk, (size_t) n);
		size += (uint64_t) n;
	}
	uint8_t digest[ASH_SHA256_BYTES];
	ash_sha256_finish(g_steal_pointer(&hash), digest);
	*out_hex = ash_sha256_format(digest);
	if (out_size != NULL)
		*out_size = size;
	return TRUE;
}

char *ash_sha512_hex(const void *data, size_t size)
{
	uint8_t digest[ASH_SHA512_HEX / 2];
	int result = gnutls_hash_fast(GNUTLS_DIG_SHA512, data, size, digest);

	g_assert(result == 0);
	g_autoptr(GBytes) bytes = g_bytes_new(digest, sizeof digest);
	return ash_crypto_hex_format(bytes);
}

GBytes *ash_crypto_hex_find(const char *hex)
{
	size_t digits = strnlen(hex, 2 * (size_t) ASH_CRYPTO_MAX_HEX_BYTES + 1);

	if (digits % 2 != 0 || digits > 2 * (size_t) ASH_CRYPTO_MAX_HEX_BYTES)
		return NULL;
	g_autofree uint8_t *data = g_malloc(digits / 2 + 1);
	for (size_t i = 0; i < digits; i += 2) {
		int high = g_ascii_xdigit_value(hex[i]);
		int low = g_ascii_xdigit_value(hex[i + 1]);
		if (high < 0 || low < 0)
			return NULL;
		data[i / 2] = (uint8_t) (high << 4 | low);
	}
	return g_bytes_new_take(g_steal_pointer(&data), digits / 2);
}

char *ash_crypto_hex_format(GBytes *bytes)
{
	gsize size = 0;
	const uint8_t *data = g_bytes_get_data(bytes, &size);
	g_autoptr(GString) hex = g_string_sized_new(2 * size + 1);

	for (gsize i = 0; i < size; i++)
		g_string_append_printf(hex, "%02x", data[i]);
	return g_string_free(g_steal_pointer(&hex), FALSE);
}

/* ---- secrets ---- */

void ash_crypto_random(void *out, size_t size)
{
	ssize_t got;

	/* It gives so few bytes at once, and is only interrupted while the machine has none yet. */
	g_assert(size <= 256);
	do
		got = getrandom(out, size, 0);
	while (got < 0 && errno == EINTR);
	g_assert(got == (ssize_t) size);
}

char *ash_crypto_random_hex(size_t size)
{
	uint8_t data[256];

	ash_crypto_random(data, size);
	g_autoptr(GBytes) bytes = g_bytes_new_static(data, size);
	return ash_crypto_hex_format(bytes);
}

bool ash_crypto_same_secret(const char *a, const char *b)
{
	size_t size = strlen(a);

	return size == strlen(b) && gnutls_memcmp(a, b, size) == 0;
}

/* ---- keys and signatures ---- */

G_DEFINE_QUARK(ash_crypto_error, ash_crypto_error)

typedef struct gnutls_pubkey_st PublicKey;
typedef struct gnutls_privkey_st PrivateKey;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PublicKey, gnutls_pubkey_deinit)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PrivateKey, gnutls_privkey_deinit)

static void clear_datum(gnutls_datum_t *datum)
{
	if (datum->data != NULL)
		gnutls_free(datum->data);
	datum->data = NULL;
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(gnutls_datum_t, clear_datum)

/* Borrowed: GnuTLS only reads what it is given here, though its type cannot say so. */
static gnutls_datum_t datum_of(GBytes *bytes)
{
	union {
		const void *from_glib;
		unsigned char *to_gnutls;
	} data;
	gsize size = 0;

	data.from_glib = g_bytes_get_data(bytes, &size);
	g_assert(size <= UINT_MAX);
	return (gnutls_datum_t){.data = data.to_gnutls, .size = (unsigned) size};
}

static gboolean throw_gnutls(GError **error, AshCryptoError code, const char *what, int result)
{
	return ash_throw(error, ASH_CRYPTO_ERROR, (int) code, "%s: %s", what,
			gnutls_strerror(result));
}

static bool import_ed25519(gnutls_pubkey_t public, GBytes *key)
{
	gnutls_datum_t x = datum_of(key);

	return x.size == ASH_ED25519_BYTES &&
	       gnutls_pubkey_import_ecc_raw(public, GNUTLS_ECC_CURVE_ED25519, &x, NULL) == 0;
}

static bool import_p256(gnutls_pubkey_t public, GBytes *key)
{
	gnutls_datum_t pem = datum_of(key);
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;

	return gnutls_pubkey_import(public, &pem, GNUTLS_X509_FMT_PEM) == 0 &&
	       gnutls_pubkey_export_ecc_raw2(public, &curve, NULL, NULL, 0) == 0 &&
	       curve == GNUTLS_ECC_CURVE_SECP256R1;
}

static bool import_rsa(gnutls_pubkey_t public, GBytes *key)
{
	enum {
		MIN_BITS = 2048,
		MAX_BITS = 8192
	};
	gnutls_datum_t pem = datum_of(key);
	unsigned bits = 0;

	if (gnutls_pubkey_import(public, &pem, GNUTLS_X509_FMT_PEM) != 0)
		return false;
	int algorithm = gnutls_pubkey_get_pk_algorithm(public, &bits);
	return (algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_RSA_PSS) && bits >= MIN_BITS &&
	       bits <= MAX_BITS;
}

/* The salt of RSA-PSS is as long as the hash: what GnuTLS takes, and what signers of TUF make. */
static const struct {
	const char *scheme;
	gnutls_sign_algorithm_t sign;
	bool (*import)(gnutls_pubkey_t public, GBytes *key);
} schemes[] = {
		{"ed25519", GNUTLS_SIGN_EDDSA_ED25519, import_ed25519},
		{"ecdsa-sha2-nistp256", GNUTLS_SIGN_ECDSA_SHA256, import_p256},
		{"rsassa-pss-sha256", GNUTLS_SIGN_RSA_PSS_SHA256, import_rsa},
};

static PublicKey *import_key(const char *scheme, GBytes *key, gnutls_sign_algorithm_t *out_sign)
{
	g_autoptr(PublicKey) public = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(schemes); i++) {
		if (strcmp(scheme, schemes[i].scheme) != 0)
			continue;
		if (gnutls_pubkey_init(&public) != 0 || !schemes[i].import(public, key))
			return NULL;
		*out_sign = schemes[i].sign;
		return g_steal_pointer(&public);
	}
	return NULL;
}

bool ash_crypto_verify(const char *scheme, GBytes *key, GBytes *message, GBytes *signature)
{
	gnutls_sign_algorithm_t sign = GNUTLS_SIGN_UNKNOWN;
	g_autoptr(PublicKey) public = import_key(scheme, key, &sign);
	gnutls_datum_t message_datum = datum_of(message);
	gnutls_datum_t signature_datum = datum_of(signature);

	return public != NULL &&
	       gnutls_pubkey_verify_data2(public, sign, 0, &message_datum, &signature_datum) >= 0;
}

char *ash_crypto_key_fingerprint(const char *scheme, GBytes *key)
{
	gnutls_sign_algorithm_t sign = GNUTLS_SIGN_UNKNOWN;
	g_autoptr(PublicKey) public = import_key(scheme, key, &sign);
	g_auto(gnutls_datum_t) der = {0};

	if (public == NULL || gnutls_pubkey_export2(public, GNUTLS_X509_FMT_DER, &der) != 0)
		return NULL;
	return ash_sha256_hex(der.data, der.size);
}

struct AshSigningKey {
	gnutls_x509_privkey_t key;
};

static gboolean make_empty(AshSigningKey **out_key, GError **error)
{
	g_autoptr(AshSigningKey) key = g_new0(AshSigningKey, 1);
	int result = gnutls_x509_privkey_init(&key->key);

	if (result != 0)
		return throw_gnutls(error, ASH_CRYPTO_ERROR_FAILED, "making a key", result);
	*out_key = g_steal_pointer(&key);
	return TRUE;
}

gboolean ash_signing_key_new(AshSigningKey **out_key, GError **error)
{
	g_autoptr(AshSigningKey) key = NULL;

	if (!make_empty(&key, error))
		return FALSE;
	int result = gnutls_x509_privkey_generate(key->key, GNUTLS_PK_EDDSA_ED25519,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), 0);
	if (result != 0)
		return throw_gnutls(error, ASH_CRYPTO_ERROR_FAILED, "making a key", result);
	*out_key = g_steal_pointer(&key);
	return TRUE;
}

gboolean ash_signing_key_parse(
		GBytes *pem, const char *passphrase, AshSigningKey **out_key, GError **error)
{
	static const char mark[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
	gnutls_datum_t datum = datum_of(pem);
	g_autoptr(AshSigningKey) key = NULL;
	bool is_encrypted = datum.size > 0 &&
			    memmem(datum.data, datum.size, mark, sizeof mark - 1) != NULL;

	if (is_encrypted && passphrase == NULL)
		return ash_throw(error, ASH_CRYPTO_ERROR, ASH_CRYPTO_ERROR_PASSPHRASE,
				"the key is encrypted and needs its passphrase");
	if (!make_empty(&key, error))
		return FALSE;
	int result = gnutls_x509_privkey_import_pkcs8(key->key, &datum, GNUTLS_X509_FMT_PEM,
			is_encrypted ? passphrase : NULL, is_encrypted ? 0 : GNUTLS_PKCS_PLAIN);
	/* A wrong passphrase is seen by its padding, or one time in 256 by what stands behind it. */
	if (result != 0 && is_encrypted)
		return ash_throw(error, ASH_CRYPTO_ERROR, ASH_CRYPTO_ERROR_PASSPHRASE,
				"the passphrase is wrong, or the key file is damaged");
	if (result != 0)
		return throw_gnutls(error, ASH_CRYPTO_ERROR_KEY, "not a private key", result);
	if (gnutls_x509_privkey_get_pk_algorithm(key->key) != GNUTLS_PK_EDDSA_ED25519)
		return ash_throw(error, ASH_CRYPTO_ERROR, ASH_CRYPTO_ERROR_KEY,
				"not an Ed25519 key");
	*out_key = g_steal_pointer(&key);
	return TRUE;
}

gboolean ash_signing_key_format(
		AshSigningKey *key, const char *passphrase, char **out_pem, GError **error)
{
	g_auto(gnutls_datum_t) datum = {0};
	int result = gnutls_x509_privkey_export2_pkcs8(key->key, GNUTLS_X509_FMT_PEM, passphrase,
			passphrase != NULL ? GNUTLS_PKCS_PBES2_AES_256 : GNUTLS_PKCS_PLAIN, &datum);

	if (result != 0)
		return throw_gnutls(error, ASH_CRYPTO_ERROR_FAILED, "writing a key", result);
	*out_pem = g_strndup((const char *) datum.data, datum.size);
	return TRUE;
}

gboolean ash_signing_key_public(AshSigningKey *key, GBytes **out_public, GError **error)
{
	g_auto(gnutls_datum_t) x = {0};
	g_auto(gnutls_datum_t) y = {0};
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
	int result = gnutls_x509_privkey_export_ecc_raw(key->key, &curve, &x, &y, NULL);

	if (result != 0 || x.size != ASH_ED25519_BYTES)
		return throw_gnutls(error, ASH_CRYPTO_ERROR_FAILED, "public key", result);
	*out_public = g_bytes_new(x.data, x.size);
	return TRUE;
}

gboolean ash_signing_key_sign(
		AshSigningKey *key, GBytes *message, GBytes **out_signature, GError **error)
{
	g_autoptr(PrivateKey) private = NULL;
	g_auto(gnutls_datum_t) signature = {0};
	gnutls_datum_t datum = datum_of(message);
	int result = gnutls_privkey_init(&private);

	if (result == 0)
		result = gnutls_privkey_import_x509(private, key->key, GNUTLS_PRIVKEY_IMPORT_COPY);
	if (result == 0)
		result = gnutls_privkey_sign_data2(
				private, GNUTLS_SIGN_EDDSA_ED25519, 0, &datum, &signature);
	if (result != 0)
		return throw_gnutls(error, ASH_CRYPTO_ERROR_FAILED, "signing", result);
	*out_signature = g_bytes_new(signature.data, signature.size);
	return TRUE;
}

void ash_signing_key_free(AshSigningKey *key)
{
	if (key == NULL)
		return;
	if (key->key != NULL)
		gnutls_x509_privkey_deinit(key->key);
	g_free(key);
}
