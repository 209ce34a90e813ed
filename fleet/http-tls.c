/* SPDX-License-Identifier: Apache-2.0 */
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "fleet/http-private.h"
#include "lib/error.h"
#include "lib/x509.h"

/* TLS 1.3 alone; what remains of the library's choice is sound, and the client's order does not matter. */
#define PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:%SERVER_PRECEDENCE"

enum {
	/* Hosts that lost the connection come back without signatures for so long; what they may is asked anew with
	 * each request.
	 */
	TICKET_LIFE_S = 6 * 60 * 60,
};

static gboolean throw_tls(GError **error, const char *what, int result)
{
	return ash_throw(error, ASH_HTTP_ERROR, ASH_HTTP_ERROR_TLS, "%s: %s", what,
			gnutls_strerror(result));
}

static void credentials_unref(AshHttpCredentials *credentials)
{
	if (credentials == NULL || !g_atomic_int_dec_and_test(&credentials->references))
		return;
	if (credentials->handle != NULL)
		gnutls_certificate_free_credentials(credentials->handle);
	g_free(credentials);
}
typedef AshHttpCredentials Credentials;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Credentials, credentials_unref)

static AshHttpCredentials *credentials_take(AshHttp *http)
{
	g_mutex_lock(&http->credentials_lock);
	AshHttpCredentials *credentials = http->credentials;
	g_atomic_int_inc(&credentials->references);
	g_mutex_unlock(&http->credentials_lock);
	return credentials;
}

/* Borrowed: GnuTLS only reads what it is given here, though its type cannot say so. */
static gnutls_datum_t text_datum(const char *text)
{
	union {
		const char *ours;
		unsigned char *gnutls;
	} at = {.ours = text};

	return (gnutls_datum_t){.data = at.gnutls, .size = (unsigned) strlen(text)};
}

static gboolean make_credentials(AshHttp *http, const char *certificate_pem, const char *key_pem,
		AshHttpCredentials **out_credentials, GError **error)
{
	g_autoptr(Credentials) credentials = g_new0(Credentials, 1);
	gnutls_datum_t certificate = text_datum(certificate_pem);
	gnutls_datum_t key = text_datum(key_pem);

	credentials->references = 1;
	int result = gnutls_certificate_allocate_credentials(&credentials->handle);
	if (result >= 0)
		result = gnutls_certificate_set_x509_key_mem(
				credentials->handle, &certificate, &key, GNUTLS_X509_FMT_PEM);
	if (result < 0)
		return throw_tls(error, "the server's certificate and key", result);
	if (http->client_ca_pem != NULL) {
		gnutls_datum_t ca = text_datum(http->client_ca_pem);
		result = gnutls_certificate_set_x509_trust_mem(
				credentials->handle, &ca, GNUTLS_X509_FMT_PEM);
		if (result < 1)
			return throw_tls(error, "the authority of the clients", result);
	}
	*out_credentials = g_steal_pointer(&credentials);
	return TRUE;
}

gboolean ash_http_set_certificate(
		AshHttp *http, const char *certificate_pem, const char *key_pem, GError **error)
{
	g_autoptr(Credentials) credentials = NULL;

	if (!make_credentials(http, certificate_pem, key_pem, &credentials, error))
		return FALSE;
	g_mutex_lock(&http->credentials_lock);
	AshHttpCredentials *old = http->credentials;
	http->credentials = g_steal_pointer(&credentials);
	g_mutex_unlock(&http->credentials_lock);
	credentials_unref(old);
	return TRUE;
}

gboolean ash_http_tls_init(AshHttp *http, GError **error)
{
	int result = gnutls_session_ticket_key_generate(&http->ticket_key);

	if (result >= 0)
		result = gnutls_priority_init(&http->priorities, PRIORITIES, NULL);
	if (result < 0)
		return throw_tls(error, "TLS", result);
	return ash_http_set_certificate(
			http, http->options.certificate_pem, http->options.key_pem, error);
}

void ash_http_tls_clear(AshHttp *http)
{
	g_clear_pointer(&http->credentials, credentials_unref);
	if (http->ticket_key.data != NULL) {
		gnutls_memset(http->ticket_key.data, 0, http->ticket_key.size);
		gnutls_free(http->ticket_key.data);
	}
	if (http->priorities != NULL)
		gnutls_priority_deinit(http->priorities);
}

void ash_http_tls_begin(AshHttpConnection *link, gnutls_session_t session)
{
	AshHttp *http = link->http;

	/* libmicrohttpd has prepared the session with what it was started with; this is what counts. None of these
	 * fails but for want of memory, and then the handshake does.
	 */
	link->credentials = credentials_take(http);
	gnutls_credentials_clear(session);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, link->credentials->handle);
	gnutls_priority_set(session, http->priorities);
	if (http->client_ca_pem != NULL)
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
	gnutls_session_ticket_enable_server(session, &http->ticket_key);
	gnutls_db_set_cache_expiration(session, TICKET_LIFE_S);
}

void ash_http_tls_end(AshHttpConnection *link)
{
	g_clear_pointer(&link->credentials, credentials_unref);
	g_clear_pointer(&link->key, g_free);
	g_clear_pointer(&link->serial, g_free);
}

/* GnuTLS judges the chain with the authority, the times, and what the certificate is for. */
static bool chain_holds(gnutls_session_t session)
{
	union {
		const char *ours;
		unsigned char *gnutls;
	} purpose = {.ours = GNUTLS_KP_TLS_WWW_CLIENT};
	gnutls_typed_vdata_st data = {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = purpose.gnutls};
	unsigned status = 0;

	return gnutls_certificate_verify_peers(session, &data, 1, &status) >= 0 && status == 0;
}

void ash_http_tls_judge(AshHttpConnection *link, gnutls_session_t session)
{
	g_auto(AshX509Info) info = {0};
	unsigned count = 0;

	link->is_judged = true;
	if (link->http->client_ca_pem == NULL)
		return;
	const gnutls_datum_t *certificates = gnutls_certificate_get_peers(session, &count);
	if (certificates == NULL || count == 0 ||
			!ash_x509_info_parse_der(
					certificates[0].data, certificates[0].size, &info, NULL))
		return;
	/* The handshake has proven that the proxy has the key; whose word its certificate is does not matter. */
	if (link->http->proxy_sha256 != NULL &&
			g_ascii_strcasecmp(info.sha256, link->http->proxy_sha256) == 0) {
		link->is_proxy = true;
		return;
	}
	if (!chain_holds(session))
		return;
	link->key = g_steal_pointer(&info.fingerprint);
	link->serial = g_steal_pointer(&info.serial);
	link->key_ends_s = info.not_after_s;
}
