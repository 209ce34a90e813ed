/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Certificates, requests for them, and their keys: ECDSA P-256 with SHA-256, PEM. By GnuTLS.
 *
 * A host makes a key and a request (CSR); the fleet takes nothing from the request but the key, and writes what the
 * certificate says itself. Keys and certificates are known by the SHA-256 of the SubjectPublicKeyInfo (DER): 64
 * lower-case digits, here "fingerprint".
 */

#define ASH_X509_ERROR (ash_x509_error_quark())
GQuark ash_x509_error_quark(void);

typedef enum {
	ASH_X509_ERROR_PARSE, /* not PEM of that kind, or too long */
	ASH_X509_ERROR_KEY,   /* a key of another kind than ECDSA P-256, or not the certificate's */
	ASH_X509_ERROR_SIGNATURE, /* the request is not signed by its own key */
	ASH_X509_ERROR_FAILED,    /* what the library says */
} AshX509Error;

enum {
	ASH_X509_MAX_PEM = 64 << 10, /* of anything that is parsed here */
	ASH_X509_MAX_NAMES = 64,
};

/* ---- for whoever wants a certificate ---- */

/* PKCS#8, not encrypted: whoever keeps it in a file gives it mode 0600. */
gboolean ash_x509_key_make(char **out_key_pem, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The fingerprint of its public half: a host's id. */
gboolean ash_x509_key_fingerprint(const char *key_pem, char **out_fingerprint, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @common_name: for people who look at it; the fleet ignores it. */
gboolean ash_x509_csr_make(const char *key_pem, const char *common_name, char **out_csr_pem,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- what a certificate says ---- */

typedef struct {
	char *fingerprint; /* of its key */
	char *sha256;      /* of the certificate itself (DER) */
	char *serial;      /* pairs of lower-case hexadecimal digits, the first not 00 */
	char *common_name; /* "" without one, or with one that is not UTF-8 */
	char **names;      /* DNS names and addresses; a name that could be none is left out */
	int64_t not_before_s, not_after_s;
	bool is_ca;
} AshX509Info;

/* The first certificate in @pem. Says nothing about whose word it is. */
gboolean ash_x509_info_parse(const char *pem, AshX509Info *out_info, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The same of DER. */
gboolean ash_x509_info_parse_der(const void *der, size_t size, AshX509Info *out_info,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_x509_info_clear(AshX509Info *info);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshX509Info, ash_x509_info_clear)

/* Questions; what cannot be parsed is false. */
bool ash_x509_key_is_of(const char *certificate_pem, const char *key_pem);
bool ash_x509_is_signed_by(const char *certificate_pem, const char *ca_pem);
/* Signed by @ca_pem, within its time at @now_s, and fit for a client. */
bool ash_x509_is_client_of(const char *certificate_pem, const char *ca_pem, int64_t now_s);

/* ---- for whoever gives them ---- */

/* Key and certificate of a new authority that signs certificates of hosts and servers, and no other authorities. */
gboolean ash_x509_ca_make(const char *common_name, int64_t not_before_s, int64_t not_after_s,
		char **out_key_pem, char **out_certificate_pem, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Is it a request, for a P-256 key, and signed by it? */
gboolean ash_x509_csr_check(const char *csr_pem, char **out_fingerprint, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* An authority, ready to sign; may be used by several threads at once. */
typedef struct AshX509Authority AshX509Authority;
gboolean ash_x509_authority_new(const char *certificate_pem, const char *key_pem,
		AshX509Authority **out_authority, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_x509_authority_free(AshX509Authority *authority);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshX509Authority, ash_x509_authority_free)

typedef struct {
	const char *common_name;
	const char *const *names; /* of a server: DNS names and addresses; NULL: a client's */
	const char *crl_url;      /* where withdrawn serials stand; NULL: not said */
	int64_t not_before_s, not_after_s;
} AshX509Wish;

/* With the key of the request and nothing else of it; ASH_X509_ERROR_PARSE, _KEY, _SIGNATURE as ash_x509_csr_check.
 * @out_serial: 128 random bits as AshX509Info.serial writes them; may be NULL
 */
gboolean ash_x509_issue(AshX509Authority *authority, const char *csr_pem, const AshX509Wish *wish,
		char **out_certificate_pem, char **out_serial, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* The list of withdrawn certificates (DER), which holds until @next_s.
 * @serials: as AshX509Info.serial; @times_s: when each was withdrawn
 */
gboolean ash_x509_crl_make(AshX509Authority *authority, const char *const *serials,
		const int64_t *times_s, size_t count, int64_t number, int64_t now_s, int64_t next_s,
		GBytes **out_der, GError **error) G_GNUC_WARN_UNUSED_RESULT;
