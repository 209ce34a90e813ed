/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"

/* FIPS 180-2, appendix B. */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

/* Keys of 'openssl genpkey' and signatures of 'openssl dgst -sha256' over "message". */
static const char p256_key[] = "-----BEGIN PUBLIC KEY-----\n"
			       "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEn9Bv7UcmQmbtcJfefegBba0D0Hdb\n"
			       "1qw9prclGWtKFR6sccp8u4qlSnVQtJIAvdLS5IQVpznMjQ8z75N01JXcTQ==\n"
			       "-----END PUBLIC KEY-----\n";
static const char p256_signature[] =
		"304502207f491e27b25674a80ab8362d0718a2778b6203152060a12e3446aa6805e624a8022100d0"
		"6885990392d863816f9152d97080894b1d995b3fcb88bc745788e8d60e67d0";
static const char p384_key[] = "-----BEGIN PUBLIC KEY-----\n"
			       "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE869RhFTiZEz/qYvFIKANi6dfjUW3u4KU\n"
			       "lD2Uo+WgTX601w0vCLdAMfeWv8vCfM0Xj+IMm+ZCgjQl4DruLJMGvGt4jizmeS3M\n"
			       "tmDZSyah1mEAoesQYmmH3JbHdDUgUaQp\n"
			       "-----END PUBLIC KEY-----\n";
static const char p384_signature[] =
		"3064023066e44d60261d65e76ea0039398762bff3114858cfd394be5cfa24423dff2c1da476cda14"
		"882b5ad00d30ac8ee89ab2be02305f57f2a17fe65d238c689c4f457741133a14f3efbc53b0b106e0"
		"1ab6a544343525d887ab506f07459a78c05bd4769e5d";
static const char rsa_key[] = "-----BEGIN PUBLIC KEY-----\n"
			      "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyZr1EqJzCra8E7mjkzXw\n"
			      "5MMHL/9brWQw0onhEhm2ittls85OxhD37gdmJBfvercgVfPZUEgnAPE66UMoulbF\n"
			      "gx6KhiVW00ItodQBq3+44PSAkJk9vG99/YAHc/agQPZWzFUAL4xQQC1CWb0BR86F\n"
			      "kEwC3W3Bt5Bgjaf0Lh9rSpObkfHxj9YlKHV3NHb66+EginooA2MUtFBZ3akc92Cx\n"
			      "LMpWJdwmJfsG7DsN+DFZSaZQ0FNBNsT/RnJw9en/hnOGKiifnZHLilvEzI7fnQSN\n"
			      "xlOa55qJDUKXSlZa5e+ElEH4HW1SepxUO/niXjptef6hmlvhcnJ+eucMslqilBhD\n"
			      "5QIDAQAB\n"
			      "-----END PUBLIC KEY-----\n";
static const char rsa_signature[] =
		"8ffaa958d037a4bedd613e7dfe46adb01359b447fb7127ebbe636b1de17439c903695bf2a6c183db"
		"cdeb8a0ff31ba9aaafce28ff0688cbb88b7e5b470ec747007ac59126137fba0955635df94916222c"
		"372699ed8e8a1cf19330493b518b4691ccee059113d6aa7406f8bbf7a42ff35e69455c08082271fd"
		"9a466b1b3256433ed344ee089d3fc592996e4788f2a6bc9c0ace3035d1d0325c9e6a0d0a92a344a9"
		"9c686b656eb4a16343fba16fb03d64a9f34b315b306c90a419ce48c98e7ed62fbee0a50db7ad5fd6"
		"ae6c65d31569f03f84f641afc8309cd87e901ec92816e7009f78097729764b72e20fff2ec22836a6"
		"ff647ef8c40059ad6966f9cd4c9774d9";
static const char rsa1024_key[] =
		"-----BEGIN PUBLIC KEY-----\n"
		"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCkHbfFYd2Q2dqrviTF4WMSHYgR\n"
		"zSCJ9rIK2c9o4ch7hOtHTOu13Eq3zsqZ61gmzLonnc8HMlUMvEKnNWQFehAwA4NM\n"
		"h1mrW9ZmuA0xlSCRXJhrKckbVSxU+TdIJdRh4MZVQxZPSfXiIRMuX6faf0rIk34S\n"
		"KhHGO5tMN0ThAhQ5XQIDAQAB\n"
		"-----END PUBLIC KEY-----\n";
static const char rsa1024_signature[] =
		"0dbacdf62cc84f222d4e1cebb01e2f6c7e26639e808f279dd623c06bc7ff66ac6cbe190c14f3584b"
		"32c5badfc80285bdb7aaadae01b2b3cef3b02c8f727f9af1962de92730f937e61c03c4ebc4e58556"
		"33aea23467a50945671001fb984854e329664587bab7e68eec2337b47cfeb7c5ea611a88685f3cd1"
		"69e008884ece2f01";

/* RFC 8032, section 7.1, test 1: the signature of nothing. */
static const char ed25519_key[] =
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
static const char ed25519_signature[] =
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e"
		"39701cf9b46bd25bf5f0595bbe24655141438e7a100b";

static void test_known(void)
{
	g_autofree char *abc = ash_sha256_hex("abc", 3);
	g_autofree char *empty = ash_sha256_hex("", 0);

	g_assert_cmpstr(abc, ==, ABC);
	g_assert_cmpstr(empty, ==, EMPTY);
}

static void test_in_parts(void)
{
	g_autofree char *chunk = g_strnfill(1000, 'a');
	AshSha256 *hash = ash_sha256_new();
	uint8_t digest[ASH_SHA256_BYTES];

	for (int i = 0; i < 1000; i++)
		ash_sha256_update(hash, chunk, 1000);
	ash_sha256_finish(hash, digest);
	g_autofree char *hex = ash_sha256_format(digest);
	g_assert_cmpstr(hex, ==, MILLION_A);
	ash_sha256_free(ash_sha256_new());
	ash_sha256_free(NULL);
}

static void test_descriptor(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = g_build_filename(g_get_tmp_dir(), "ash-crypto", NULL);
	g_autofree char *hex = NULL;
	uint64_t size = 0;

	ash_autofd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(write(fd, "xabc", 4), ==, 4);
	g_assert_cmpint(lseek(fd, 1, SEEK_SET), ==, 1);
	g_assert_true(ash_sha256_fd(fd, &hex, &size, &error));
	g_assert_no_error(error);
	g_assert_cmpstr(hex, ==, ABC);
	g_assert_cmpuint(size, ==, 3);
	unlink(path);

	g_autofree char *untouched = NULL;
	g_assert_false(ash_sha256_fd(-1, &untouched, NULL, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_FAILED);
	g_assert_null(untouched);
}

static void test_hex(void)
{
	g_autoptr(GBytes) bytes = ash_crypto_hex_find("00fFa1");
	g_autoptr(GBytes) empty = ash_crypto_hex_find("");
	g_autofree char *hex = ash_crypto_hex_format(bytes);
	g_autofree char *sha512 = ash_sha512_hex("abc", 3);
	g_autofree char *too_long = g_strnfill(2 * ASH_CRYPTO_MAX_HEX_BYTES + 2, '0');

	g_assert_cmpstr(hex, ==, "00ffa1");
	g_assert_cmpuint(g_bytes_get_size(empty), ==, 0);
	g_assert_null(ash_crypto_hex_find("0"));
	g_assert_null(ash_crypto_hex_find("0g"));
	g_assert_null(ash_crypto_hex_find(too_long));
	g_assert_true(g_str_has_prefix(sha512, "ddaf35a193617abacc417349ae204131"));
}

static bool verify(const char *scheme, const char *key, const char *message, const char *signature)
{
	g_autoptr(GBytes) key_bytes = strcmp(scheme, "ed25519") == 0
						      ? ash_crypto_hex_find(key)
						      : g_bytes_new(key, strlen(key));
	g_autoptr(GBytes) message_bytes = g_bytes_new(message, strlen(message));
	g_autoptr(GBytes) signature_bytes = ash_crypto_hex_find(signature);

	return ash_crypto_verify(scheme, key_bytes, message_bytes, signature_bytes);
}

static void test_verify(void)
{
	static const struct {
		const char *scheme, *key, *message, *signature;
		bool is_good;
	} cases[] = {
			{"ed25519", ed25519_key, "", ed25519_signature, true},
			{"ed25519", ed25519_key, "x", ed25519_signature, false},
			{"ed25519", ed25519_key, "", "", false},
			{"ed25519", "d75a", "", ed25519_signature, false},
			{"ed25519", "", "", ed25519_signature, false},
			{"ecdsa-sha2-nistp256", p256_key, "message", p256_signature, true},
			{"ecdsa-sha2-nistp256", p256_key, "massage", p256_signature, false},
			{"ecdsa-sha2-nistp256", p256_key, "message", rsa_signature, false},
			{"ecdsa-sha2-nistp256", p384_key, "message", p384_signature, false},
			{"ecdsa-sha2-nistp256", rsa_key, "message", rsa_signature, false},
			{"ecdsa-sha2-nistp256", "no key", "message", p256_signature, false},
			{"rsassa-pss-sha256", rsa_key, "message", rsa_signature, true},
			{"rsassa-pss-sha256", rsa_key, "massage", rsa_signature, false},
			{"rsassa-pss-sha256", rsa1024_key, "message", rsa1024_signature, false},
			{"rsassa-pss-sha256", p256_key, "message", p256_signature, false},
			{"rsa-pkcs1v15-sha256", rsa_key, "message", rsa_signature, false},
			{"", rsa_key, "message", rsa_signature, false},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_test_message("%zu: %s", i, cases[i].scheme);
		g_assert_cmpint(verify(cases[i].scheme, cases[i].key, cases[i].message,
						cases[i].signature),
				==, cases[i].is_good);
	}
}

static void test_fingerprint(void)
{
	g_autoptr(GBytes) pem = g_bytes_new(p256_key, strlen(p256_key));
	g_autofree char *fingerprint = ash_crypto_key_fingerprint("ecdsa-sha2-nistp256", pem);
	/* The same key on lines of other lengths. */
	g_auto(GStrv) lines = g_strsplit(p256_key, "\n", -1);
	g_autofree char *folded =
			g_strdup_printf("%s\n%s%s\n%s\n\n", lines[0], lines[1], lines[2], lines[3]);
	g_autoptr(GBytes) folded_pem = g_bytes_new(folded, strlen(folded));
	g_autofree char *again = ash_crypto_key_fingerprint("ecdsa-sha2-nistp256", folded_pem);
	g_autoptr(GBytes) raw = ash_crypto_hex_find(ed25519_key);
	g_autofree char *other = ash_crypto_key_fingerprint("ed25519", raw);

	g_assert_cmpuint(strlen(fingerprint), ==, ASH_SHA256_HEX);
	g_assert_cmpstr(fingerprint, ==, again);
	g_assert_nonnull(other);
	g_assert_cmpstr(fingerprint, !=, other);
	g_assert_null(ash_crypto_key_fingerprint("ed25519", pem));
	g_assert_null(ash_crypto_key_fingerprint("unknown", pem));
}

static AshSigningKey *parse_key(const char *pem, const char *passphrase, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(pem, strlen(pem));
	AshSigningKey *key = NULL;

	return ash_signing_key_parse(bytes, passphrase, &key, error) ? key : NULL;
}

static void check_key_signs(AshSigningKey *key, GBytes *public)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) message = g_bytes_new_static("message", 7);
	g_autoptr(GBytes) other = g_bytes_new_static("massage", 7);
	g_autoptr(GBytes) signature = NULL;

	g_assert_true(ash_signing_key_sign(key, message, &signature, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(g_bytes_get_size(signature), ==, 64);
	g_assert_true(ash_crypto_verify("ed25519", public, message, signature));
	g_assert_false(ash_crypto_verify("ed25519", public, other, signature));
}

static void test_signing_key(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshSigningKey) key = NULL;
	g_autoptr(GBytes) public = NULL;
	g_autofree char *plain = NULL;
	g_autofree char *encrypted = NULL;

	g_assert_true(ash_signing_key_new(&key, &error));
	g_assert_true(ash_signing_key_public(key, &public, &error));
	g_assert_cmpuint(g_bytes_get_size(public), ==, ASH_ED25519_BYTES);
	check_key_signs(key, public);

	g_assert_true(ash_signing_key_format(key, NULL, &plain, &error));
	g_assert_true(ash_signing_key_format(key, "open sesame", &encrypted, &error));
	g_assert_true(g_str_has_prefix(plain, "-----BEGIN PRIVATE KEY-----"));
	g_assert_true(g_str_has_prefix(encrypted, "-----BEGIN ENCRYPTED PRIVATE KEY-----"));
	/* A passphrase for a key that needs none is not looked at. */
	g_autoptr(AshSigningKey) from_plain = parse_key(plain, "whatever", &error);
	g_assert_no_error(error);
	check_key_signs(from_plain, public);
	g_autoptr(AshSigningKey) from_encrypted = parse_key(encrypted, "open sesame", &error);
	g_assert_no_error(error);
	check_key_signs(from_encrypted, public);

	g_assert_null(parse_key(encrypted, NULL, &error));
	g_assert_error(error, ASH_CRYPTO_ERROR, ASH_CRYPTO_ERROR_PASSPHRASE);
	g_clear_error(&error);
	g_assert_null(parse_key(encrypted, "", &error));
	g_assert_error(error, ASH_CRYPTO_ERROR, ASH_CRYPTO_ERROR_PASSPHRASE);
	g_clear_error(&error);
	g_assert_null(parse_key(encrypted, "open barley", &error));
	g_assert_error(error, ASH_CRYPTO_ERROR, ASH_CRYPTO_ERROR_PASSPHRASE);
	ash_signing_key_free(NULL);
}

static void test_not_a_signing_key(void)
{
	static const char *const cases[] = {"", "-----BEGIN PRIVATE KEY-----\n", p256_key,
			/* 'openssl genpkey' of a P-256 key: a key, but of another kind. */
			"-----BEGIN PRIVATE KEY-----\n"
			"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrYOlV8yXhn5mkPmd\n"
			"m3gxgT6wvl4ayF2N3H+E5C5yLSqhRANCAASf0G/tRyZCZu1wl9596AFtrQPQd1vW\n"
			"rD2mtyUZa0oVHqxxyny7iqVKdVC0kgC90tLkhBWnOcyNDzPvk3TUldxN\n"
			"-----END PRIVATE KEY-----\n"};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(parse_key(cases[i], NULL, &error));
		g_assert_error(error, ASH_CRYPTO_ERROR, ASH_CRYPTO_ERROR_KEY);
	}
}

static void test_secrets(void)
{
	g_autofree char *a = ash_crypto_random_hex(16);
	g_autofree char *b = ash_crypto_random_hex(16);

	g_assert_cmpuint(strlen(a), ==, 32);
	g_assert_cmpuint(strspn(a, "0123456789abcdef"), ==, 32);
	g_assert_cmpstr(a, !=, b);
	g_assert_true(ash_crypto_same_secret("ab", "ab"));
	g_assert_true(ash_crypto_same_secret("", ""));
	g_assert_false(ash_crypto_same_secret("ab", "aa"));
	g_assert_false(ash_crypto_same_secret("ab", "bb"));
	g_assert_false(ash_crypto_same_secret("ab", "abc"));
	g_assert_false(ash_crypto_same_secret("abc", "ab"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
	g_test_add_func("/crypto/known", test_known);
	g_test_add_func("/crypto/in-parts", test_in_parts);
	g_test_add_func("/crypto/descriptor", test_descriptor);
	g_test_add_func("/crypto/hex", test_hex);
	g_test_add_func("/crypto/verify", test_verify);
	g_test_add_func("/crypto/fingerprint", test_fingerprint);
	g_test_add_func("/crypto/signing-key", test_signing_key);
	g_test_add_func("/crypto/not-a-signing-key", test_not_a_signing_key);
	g_test_add_func("/crypto/secrets", test_secrets);
	return g_test_run();
}
