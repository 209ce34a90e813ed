/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/x509.h"

#include <gio/gio.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/error.h"

G_DEFINE_QUARK(ash_x509_error, ash_x509_error)

enum {
	SERIAL_BYTES = 16,
	MAX_SERIAL_BYTES = 64,
	MAX_NAME_BYTES = 256,
};

typedef struct gnutls_x509_privkey_int Key;
typedef struct gnutls_x509_crt_int Certificate;
typedef struct gnutls_x509_crq_int Request;
typedef struct gnutls_x509_crl_int Revocations;
typedef struct gnutls_privkey_st Signer;
typedef struct gnutls_pubkey_st Public;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Key, gnutls_x509_privkey_deinit)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Certificate, gnutls_x509_crt_deinit)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Request, gnutls_x509_crq_deinit)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Revocations, gnutls_x509_crl_deinit)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Signer, gnutls_privkey_deinit)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Public, gnutls_pubkey_deinit)

static void free_datum(gnutls_datum_t *datum)
{
	if (datum->data != NULL)
		gnutls_free(datum->data);
	datum->data = NULL;
}
typedef gnutls_datum_t Datum;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Datum, free_datum)

static gboolean throw_gnutls(GError **error, AshX509Error code, const char *what, int result)
{
	return ash_throw(
			error, ASH_X509_ERROR, (int) code, "%s: %s", what, gnutls_strerror(result));
}

/* Borrowed: GnuTLS only reads what it is given here, though its type cannot say so. */
static gnutls_datum_t datum_of(const void *data, size_t size)
{
	union {
		const void *ours;
		unsigned char *gnutls;
	} at = {.ours = data};

	g_assert(size <= ASH_X509_MAX_PEM);
	return (gnutls_datum_t){.data = at.gnutls, .size = (unsigned) size};
}

static gboolean text_datum(
		const char *what, const char *pem, gnutls_datum_t *out_datum, GError **error)
{
	size_t size = strnlen(pem, ASH_X509_MAX_PEM + 1);

	if (size > ASH_X509_MAX_PEM)
		return ash_throw(error, ASH_X509_ERROR, ASH_X509_ERROR_PARSE,
				"%s: more than %d bytes", what, ASH_X509_MAX_PEM);
	*out_datum = datum_of(pem, size);
	return TRUE;
}

/* ---- parsing ---- */

static gboolean parse_key(const char *pem, Key **out_key, GError **error)
{
	g_autoptr(Key) key = NULL;
	gnutls_datum_t text;
	int result = gnutls_x509_privkey_init(&key);

	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_FAILED, "key", result);
	if (!text_datum("key", pem, &text, error))
		return FALSE;
	result = gnutls_x509_privkey_import2(key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_PARSE, "key", result);
	*out_key = g_steal_pointer(&key);
	return TRUE;
}

static gboolean parse_certificate(const char *pem, Certificate **out_certificate, GError **error)
{
	g_autoptr(Certificate) certificate = NULL;
	gnutls_datum_t text;
	int result = gnutls_x509_crt_init(&certificate);

	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_FAILED, "certificate", result);
	if (!text_datum("certificate", pem, &text, error))
		return FALSE;
	result = gnutls_x509_crt_import(certificate, &text, GNUTLS_X509_FMT_PEM);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_PARSE, "certificate", result);
	*out_certificate = g_steal_pointer(&certificate);
	return TRUE;
}

static gboolean public_fingerprint(Public *public, char **out_fingerprint, GError **error)
{
	g_auto(Datum) der = {0};
	int result = gnutls_pubkey_export2(public, GNUTLS_X509_FMT_DER, &der);

	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_KEY, "public key", result);
	*out_fingerprint = ash_sha256_hex(der.data, der.size);
	return TRUE;
}

static gboolean need_p256(Public *public, const char *what, GError **error)
{
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;

	if (gnutls_pubkey_get_pk_algorithm(public, NULL) != GNUTLS_PK_ECDSA ||
			gnutls_pubkey_export_ecc_raw2(public, &curve, NULL, NULL, 0) < 0 ||
			curve != GNUTLS_ECC_CURVE_SECP256R1)
		return ash_throw(error, ASH_X509_ERROR, ASH_X509_ERROR_KEY,
				"%s: the key is not an ECDSA key on P-256", what);
	return TRUE;
}

/* ---- keys and requests ---- */

static gboolean make_key(Key **out_key, char **out_pem, GError **error)
{
	g_autoptr(Key) key = NULL;
	g_auto(Datum) pem = {0};
	int result = gnutls_x509_privkey_init(&key);

	if (result >= 0)
		result = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
				GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (result >= 0)
		result = gnutls_x509_privkey_export2_pkcs8(
				key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_FAILED, "making a key", result);
	*out_pem = g_strndup((const char *) pem.data, pem.size);
	if (out_key != NULL)
		*out_key = g_steal_pointer(&key);
	return TRUE;
}

gboolean ash_x509_key_make(char **out_key_pem, GError **error)
{
	return make_key(NULL, out_key_pem, error);
}

static gboolean open_signer(Key *key, Signer **out_signer, GError **error)
{
	g_autoptr(Signer) signer = NULL;
	int result = gnutls_privkey_init(&signer);

	if (result >= 0)
		result = gnutls_privkey_import_x509(signer, key, GNUTLS_PRIVKEY_IMPORT_COPY);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_KEY, "key", result);
	*out_signer = g_steal_pointer(&signer);
	return TRUE;
}

static gboolean public_of_key(
		const char *key_pem, Key **out_key, Public **out_public, GError **error)
{
	g_autoptr(Key) key = NULL;
	g_autoptr(Signer) signer = NULL;
	g_autoptr(Public) public = NULL;

	if (!parse_key(key_pem, &key, error) || !open_signer(key, &signer, error))
		return FALSE;
	int result = gnutls_pubkey_init(&public);
	if (result >= 0)
		result = gnutls_pubkey_import_privkey(public, signer, 0, 0);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_KEY, "key", result);
	if (!need_p256(public, "key", error))
		return FALSE;
	if (out_key != NULL)
		*out_key = g_steal_pointer(&key);
	*out_public = g_steal_pointer(&public);
	return TRUE;
}

gboolean ash_x509_key_fingerprint(const char *key_pem, char **out_fingerprint, GError **error)
{
	g_autoptr(Public) public = NULL;

	return public_of_key(key_pem, NULL, &public, error) &&
	       public_fingerprint(public, out_fingerprint, error);
}

gboolean ash_x509_csr_make(
		const char *key_pem, const char *common_name, char **out_csr_pem, GError **error)
{
	g_autoptr(Key) key = NULL;
	g_autoptr(Public) public = NULL;
	g_autoptr(Signer) signer = NULL;
	g_autoptr(Request) request = NULL;
	g_auto(Datum) pem = {0};

	if (!public_of_key(key_pem, &key, &public, error) || !open_signer(key, &signer, error))
		return FALSE;
	int result = gnutls_x509_crq_init(&request);
	if (result >= 0)
		result = gnutls_x509_crq_set_version(request, 1);
	if (result >= 0)
		result = gnutls_x509_crq_set_pubkey(request, public);
	if (result >= 0 && common_name[0] != '\0')
		result = gnutls_x509_crq_set_dn_by_oid(request, GNUTLS_OID_X520_COMMON_NAME, 0,
				common_name, (unsigned) MIN(strlen(common_name), 64));
	if (result >= 0)
		result = gnutls_x509_crq_privkey_sign(request, signer, GNUTLS_DIG_SHA256, 0);
	if (result >= 0)
		result = gnutls_x509_crq_export2(request, GNUTLS_X509_FMT_PEM, &pem);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_FAILED, "making a certificate request",
				result);
	*out_csr_pem = g_strndup((const char *) pem.data, pem.size);
	return TRUE;
}

static gboolean parse_request(
		const char *csr_pem, Request **out_request, Public **out_public, GError **error)
{
	g_autoptr(Request) request = NULL;
	g_autoptr(Public) public = NULL;
	gnutls_datum_t text;

	if (!text_datum("certificate request", csr_pem, &text, error))
		return FALSE;
	int result = gnutls_x509_crq_init(&request);
	if (result >= 0)
		result = gnutls_x509_crq_import(request, &text, GNUTLS_X509_FMT_PEM);
	if (result >= 0)
		result = gnutls_pubkey_init(&public);
	if (result >= 0)
		result = gnutls_pubkey_import_x509_crq(public, request, 0);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_PARSE, "certificate request", result);
	if (!need_p256(public, "certificate request", error))
		return FALSE;
	result = gnutls_x509_crq_verify(request, 0);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_SIGNATURE, "certificate request", result);
	*out_request = g_steal_pointer(&request);
	*out_public = g_steal_pointer(&public);
	return TRUE;
}

gboolean ash_x509_csr_check(const char *csr_pem, char **out_fingerprint, GError **error)
{
	g_autoptr(Request) request = NULL;
	g_autoptr(Public) public = NULL;

	return parse_request(csr_pem, &request, &public, error) &&
	       public_fingerprint(public, out_fingerprint, error);
}

/* ---- what a certificate says ---- */

static char *serial_format(const uint8_t *serial, size_t size)
{
	while (size > 1 && serial[0] == 0) {
		serial++;
		size--;
	}
	g_autoptr(GBytes) bytes = g_bytes_new(serial, size);
	return ash_crypto_hex_format(bytes);
}

static char *address_format(const char *data, size_t size)
{
	GSocketFamily family = size == 4 ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_IPV6;

	if (size != 4 && size != 16)
		return NULL;
	g_autoptr(GInetAddress) address =
			g_inet_address_new_from_bytes((const guint8 *) data, family);
	return g_inet_address_to_string(address);
}

/* A name with a NUL, or with what no name has, is none: "good.example\0.evil" must not become good.example. */
static char *name_format(const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!g_ascii_isgraph(data[i]))
			return NULL;
	return g_strndup(data, size);
}

static char **certificate_names(Certificate *certificate)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

	for (unsigned i = 0; i < ASH_X509_MAX_NAMES; i++) {
		char name[MAX_NAME_BYTES];
		size_t size = sizeof name;
		int kind = gnutls_x509_crt_get_subject_alt_name(certificate, i, name, &size, NULL);
		if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		char *text = NULL;
		if (kind == GNUTLS_SAN_DNSNAME)
			text = name_format(name, size);
		else if (kind == GNUTLS_SAN_IPADDRESS)
			text = address_format(name, size);
		if (text != NULL)
			g_ptr_array_add(names, text);
	}
	g_ptr_array_add(names, NULL);
	return (char **) g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

static gboolean fill_info(Certificate *certificate, AshX509Info *out_info, GError **error)
{
	g_auto(AshX509Info) info = {0};
	g_autoptr(Public) public = NULL;
	g_auto(Datum) der = {0};
	uint8_t serial[MAX_SERIAL_BYTES];
	size_t serial_size = sizeof serial;
	int result = gnutls_pubkey_init(&public);

	if (result >= 0)
		result = gnutls_pubkey_import_x509(public, certificate, 0);
	if (result >= 0)
		result = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_DER, &der);
	if (result >= 0)
		result = gnutls_x509_crt_get_serial(certificate, serial, &serial_size);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_PARSE, "certificate", result);
	if (!public_fingerprint(public, &info.fingerprint, error))
		return FALSE;

	char name[MAX_NAME_BYTES];
	size_t name_size = sizeof name;
	bool has_name = gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0,
					0, name, &name_size) >= 0 &&
			g_utf8_validate(name, (gssize) name_size, NULL);
	info.common_name = has_name ? g_strndup(name, name_size) : g_strdup("");
	info.sha256 = ash_sha256_hex(der.data, der.size);
	info.serial = serial_format(serial, serial_size);
	info.names = certificate_names(certificate);
	info.not_before_s = gnutls_x509_crt_get_activation_time(certificate);
	info.not_after_s = gnutls_x509_crt_get_expiration_time(certificate);
	info.is_ca = gnutls_x509_crt_get_ca_status(certificate, NULL) > 0;
	*out_info = info;
	info = (AshX509Info){0};
	return TRUE;
}

gboolean ash_x509_info_parse(const char *pem, AshX509Info *out_info, GError **error)
{
	g_autoptr(Certificate) certificate = NULL;

	return parse_certificate(pem, &certificate, error) &&
	       fill_info(certificate, out_info, error);
}

gboolean ash_x509_info_parse_der(
		const void *der, size_t size, AshX509Info *out_info, GError **error)
{
	g_autoptr(Certificate) certificate = NULL;

	if (size > ASH_X509_MAX_PEM)
		return ash_throw(error, ASH_X509_ERROR, ASH_X509_ERROR_PARSE,
				"certificate: more than %d bytes", ASH_X509_MAX_PEM);
	gnutls_datum_t data = datum_of(der, size);
	int result = gnutls_x509_crt_init(&certificate);
	if (result >= 0)
		result = gnutls_x509_crt_import(certificate, &data, GNUTLS_X509_FMT_DER);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_PARSE, "certificate", result);
	return fill_info(certificate, out_info, error);
}

void ash_x509_info_clear(AshX509Info *info)
{
	g_free(info->fingerprint);
	g_free(info->sha256);
	g_free(info->serial);
	g_free(info->common_name);
	g_strfreev(info->names);
	*info = (AshX509Info){0};
}

bool ash_x509_key_is_of(const char *certificate_pem, const char *key_pem)
{
	g_auto(AshX509Info) info = {0};
	g_autoptr(Key) key = NULL;
	g_autoptr(Signer) signer = NULL;
	g_autoptr(Public) public = NULL;
	g_autofree char *fingerprint = NULL;

	/* Any kind of key: somebody else's certificate may be RSA. */
	return ash_x509_info_parse(certificate_pem, &info, NULL) &&
	       parse_key(key_pem, &key, NULL) && open_signer(key, &signer, NULL) &&
	       gnutls_pubkey_init(&public) >= 0 &&
	       gnutls_pubkey_import_privkey(public, signer, 0, 0) >= 0 &&
	       public_fingerprint(public, &fingerprint, NULL) &&
	       strcmp(fingerprint, info.fingerprint) == 0;
}

static bool is_for_clients(Certificate *certificate)
{
	char oid[128];
	unsigned critical = 0;

	for (unsigned i = 0; i < 16; i++) {
		size_t size = sizeof oid;
		if (gnutls_x509_crt_get_key_purpose_oid(certificate, i, oid, &size, &critical) < 0)
			return false;
		if (strcmp(oid, GNUTLS_KP_TLS_WWW_CLIENT) == 0)
			return true;
	}
	return false;
}

/* GnuTLS would compare with this machine's clock; the caller's is the one that counts. */
static bool is_signed_by(Certificate *certificate, Certificate *ca)
{
	unsigned status = 0;

	return gnutls_x509_crt_verify(certificate, &ca, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
			       &status) >= 0 &&
	       status == 0;
}

bool ash_x509_is_signed_by(const char *certificate_pem, const char *ca_pem)
{
	g_autoptr(Certificate) certificate = NULL;
	g_autoptr(Certificate) ca = NULL;

	return parse_certificate(certificate_pem, &certificate, NULL) &&
	       parse_certificate(ca_pem, &ca, NULL) && is_signed_by(certificate, ca);
}

bool ash_x509_is_client_of(const char *certificate_pem, const char *ca_pem, int64_t now_s)
{
	g_autoptr(Certificate) certificate = NULL;
	g_autoptr(Certificate) ca = NULL;

	return parse_certificate(certificate_pem, &certificate, NULL) &&
	       parse_certificate(ca_pem, &ca, NULL) && is_for_clients(certificate) &&
	       is_signed_by(certificate, ca) &&
	       now_s >= gnutls_x509_crt_get_activation_time(certificate) &&
	       now_s < gnutls_x509_crt_get_expiration_time(certificate);
}

/* ---- giving certificates ---- */

struct AshX509Authority {
	Certificate *certificate;
	Signer *signer;
};

/* 16 random bytes; the first bit is not set, so that the number is positive in as many bytes, and the second is, so
 * that it has no leading zeros.
 */
static int set_serial(Certificate *certificate, char **out_serial)
{
	uint8_t serial[SERIAL_BYTES];
	int result = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);

	if (result < 0)
		return result;
	serial[0] = (uint8_t) ((serial[0] & 0x3f) | 0x40);
	if (out_serial != NULL)
		*out_serial = serial_format(serial, sizeof serial);
	return gnutls_x509_crt_set_serial(certificate, serial, sizeof serial);
}

static int set_common(Certificate *certificate, Public *public, const char *common_name,
		int64_t not_before_s, int64_t not_after_s, char **out_serial)
{
	uint8_t id[32];
	size_t id_size = sizeof id;
	int result = gnutls_x509_crt_set_version(certificate, 3);

	if (result >= 0)
		result = set_serial(certificate, out_serial);
	if (result >= 0)
		result = gnutls_x509_crt_set_pubkey(certificate, public);
	if (result >= 0)
		result = gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0,
				common_name, (unsigned) MIN(strlen(common_name), 64));
	if (result >= 0)
		result = gnutls_x509_crt_set_activation_time(certificate, not_before_s);
	if (result >= 0)
		result = gnutls_x509_crt_set_expiration_time(certificate, not_after_s);
	if (result >= 0)
		result = gnutls_pubkey_get_key_id(public, 0, id, &id_size);
	if (result >= 0)
		result = gnutls_x509_crt_set_subject_key_id(certificate, id, id_size);
	return result;
}

static gboolean certificate_format(Certificate *certificate, char **out_pem, GError **error)
{
	g_auto(Datum) pem = {0};
	int result = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &pem);

	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_FAILED, "certificate", result);
	*out_pem = g_strndup((const char *) pem.data, pem.size);
	return TRUE;
}

gboolean ash_x509_ca_make(const char *common_name, int64_t not_before_s, int64_t not_after_s,
		char **out_key_pem, char **out_certificate_pem, GError **error)
{
	g_autofree char *key_pem = NULL;
	g_autofree char *certificate_pem = NULL;
	g_autoptr(Key) key = NULL;
	g_autoptr(Signer) signer = NULL;
	g_autoptr(Public) public = NULL;
	g_autoptr(Certificate) certificate = NULL;

	ASH_PREFIX("making a certificate authority");
	if (!make_key(&key, &key_pem, error) || !open_signer(key, &signer, error))
		return FALSE;
	int result = gnutls_pubkey_init(&public);
	if (result >= 0)
		result = gnutls_pubkey_import_privkey(public, signer, 0, 0);
	if (result >= 0)
		result = gnutls_x509_crt_init(&certificate);
	if (result >= 0)
		result = set_common(
				certificate, public, common_name, not_before_s, not_after_s, NULL);
	if (result >= 0)
		result = gnutls_x509_crt_set_basic_constraints(certificate, 1, 0);
	if (result >= 0)
		result = gnutls_x509_crt_set_key_usage(
				certificate, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	if (result >= 0)
		result = gnutls_x509_crt_privkey_sign(
				certificate, certificate, signer, GNUTLS_DIG_SHA256, 0);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_FAILED, "certificate", result);
	if (!certificate_format(certificate, &certificate_pem, error))
		return FALSE;
	*out_key_pem = g_steal_pointer(&key_pem);
	*out_certificate_pem = g_steal_pointer(&certificate_pem);
	return TRUE;
}

gboolean ash_x509_authority_new(const char *certificate_pem, const char *key_pem,
		AshX509Authority **out_authority, GError **error)
{
	g_autoptr(AshX509Authority) authority = g_new0(AshX509Authority, 1);
	g_autoptr(Key) key = NULL;

	if (!parse_certificate(certificate_pem, &authority->certificate, error) ||
			!parse_key(key_pem, &key, error) ||
			!open_signer(key, &authority->signer, error))
		return FALSE;
	if (!ash_x509_key_is_of(certificate_pem, key_pem))
		return ash_throw(error, ASH_X509_ERROR, ASH_X509_ERROR_KEY,
				"the key is not that of the certificate");
	*out_authority = g_steal_pointer(&authority);
	return TRUE;
}

void ash_x509_authority_free(AshX509Authority *authority)
{
	if (authority == NULL)
		return;
	g_clear_pointer(&authority->certificate, gnutls_x509_crt_deinit);
	g_clear_pointer(&authority->signer, gnutls_privkey_deinit);
	g_free(authority);
}

static int add_name(Certificate *certificate, const char *name)
{
	g_autoptr(GInetAddress) address = g_inet_address_new_from_string(name);

	if (address != NULL)
		return gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS,
				g_inet_address_to_bytes(address),
				(unsigned) g_inet_address_get_native_size(address),
				GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, name,
			(unsigned) strlen(name), GNUTLS_FSAN_APPEND);
}

static int set_purpose(Certificate *certificate, const AshX509Wish *wish)
{
	const char *purpose =
			wish->names != NULL ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
	int result = gnutls_x509_crt_set_basic_constraints(certificate, 0, -1);

	if (result >= 0)
		result = gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (result >= 0)
		result = gnutls_x509_crt_set_key_purpose_oid(certificate, purpose, 0);
	if (result >= 0 && wish->crl_url != NULL)
		result = gnutls_x509_crt_set_crl_dist_points2(certificate, GNUTLS_SAN_URI,
				wish->crl_url, (unsigned) strlen(wish->crl_url), 0);
	for (size_t i = 0; result >= 0 && wish->names != NULL && wish->names[i] != NULL; i++)
		result = add_name(certificate, wish->names[i]);
	return result;
}

static int set_issuer(Certificate *certificate, AshX509Authority *authority)
{
	uint8_t id[64];
	size_t id_size = sizeof id;
	int result = gnutls_x509_crt_get_subject_key_id(authority->certificate, id, &id_size, NULL);

	/* Somebody else's authority may have none. */
	return result < 0 ? 0 : gnutls_x509_crt_set_authority_key_id(certificate, id, id_size);
}

gboolean ash_x509_issue(AshX509Authority *authority, const char *csr_pem, const AshX509Wish *wish,
		char **out_certificate_pem, char **out_serial, GError **error)
{
	g_autoptr(Request) request = NULL;
	g_autoptr(Public) public = NULL;
	g_autoptr(Certificate) certificate = NULL;
	g_autofree char *serial = NULL;

	if (!parse_request(csr_pem, &request, &public, error))
		return FALSE;
	int result = gnutls_x509_crt_init(&certificate);
	if (result >= 0)
		result = set_common(certificate, public, wish->common_name, wish->not_before_s,
				wish->not_after_s, &serial);
	if (result >= 0)
		result = set_purpose(certificate, wish);
	if (result >= 0)
		result = set_issuer(certificate, authority);
	if (result >= 0)
		result = gnutls_x509_crt_privkey_sign(certificate, authority->certificate,
				authority->signer, GNUTLS_DIG_SHA256, 0);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_FAILED, "issuing a certificate", result);
	if (!certificate_format(certificate, out_certificate_pem, error))
		return FALSE;
	if (out_serial != NULL)
		*out_serial = g_steal_pointer(&serial);
	return TRUE;
}

static int add_revoked(Revocations *list, const char *serial, int64_t at_s)
{
	g_autoptr(GBytes) bytes = ash_crypto_hex_find(serial);

	if (bytes == NULL || g_bytes_get_size(bytes) == 0)
		return GNUTLS_E_PARSING_ERROR;
	return gnutls_x509_crl_set_crt_serial(
			list, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), at_s);
}

gboolean ash_x509_crl_make(AshX509Authority *authority, const char *const *serials,
		const int64_t *times_s, size_t count, int64_t number, int64_t now_s, int64_t next_s,
		GBytes **out_der, GError **error)
{
	g_autoptr(Revocations) list = NULL;
	g_auto(Datum) der = {0};
	uint64_t number_be = GUINT64_TO_BE((uint64_t) number);
	int result = gnutls_x509_crl_init(&list);

	if (result >= 0)
		result = gnutls_x509_crl_set_version(list, 2);
	if (result >= 0)
		result = gnutls_x509_crl_set_this_update(list, now_s);
	if (result >= 0)
		result = gnutls_x509_crl_set_next_update(list, next_s);
	if (result >= 0)
		result = gnutls_x509_crl_set_number(list, &number_be, sizeof number_be);
	for (size_t i = 0; result >= 0 && i < count; i++)
		result = add_revoked(list, serials[i], times_s[i]);
	if (result >= 0)
		result = gnutls_x509_crl_privkey_sign(list, authority->certificate,
				authority->signer, GNUTLS_DIG_SHA256, 0);
	if (result >= 0)
		result = gnutls_x509_crl_export2(list, GNUTLS_X509_FMT_DER, &der);
	if (result < 0)
		return throw_gnutls(error, ASH_X509_ERROR_FAILED, "listing withdrawn certificates",
				result);
	*out_der = g_bytes_new(der.data, der.size);
	return TRUE;
}
