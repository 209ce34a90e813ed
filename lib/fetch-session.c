/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fetch-session.h"

#include <curl/curl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"

static void set_up_curl(void)
{
	static gsize once = 0;

	if (g_once_init_enter(&once)) {
		curl_global_init(CURL_GLOBAL_DEFAULT);
		g_once_init_leave(&once, 1);
	}
}

static gboolean take_pem(AshFetchPem *pem, const char *text, GError **error)
{
	if (text == NULL || *text == '\0')
		return TRUE;
	ash_autofd int fd = memfd_create("ashlar-pem", MFD_CLOEXEC);
	if (fd < 0)
		return ash_throw_errno(error, "memfd_create");
	if (!ash_file_write_all(fd, text, strlen(text), error))
		return FALSE;
	pem->fd = g_steal_fd(&fd);
	pem->path = g_strdup_printf("/proc/self/fd/%d", pem->fd);
	return TRUE;
}

static void pem_clear(AshFetchPem *pem)
{
	ash_close_fd(&pem->fd);
	g_clear_pointer(&pem->path, g_free);
}

gboolean ash_fetch_session_new(
		const AshFetchOptions *options, AshFetchSession **out_session, GError **error)
{
	g_autoptr(AshFetchSession) session = g_new0(AshFetchSession, 1);

	set_up_curl();
	session->ca.fd = session->certificate.fd = session->key.fd = -1;
	if (!take_pem(&session->ca, options->ca_pem, error) ||
			!take_pem(&session->certificate, options->certificate_pem, error) ||
			!take_pem(&session->key, options->key_pem, error))
		return FALSE;
	session->multi = curl_multi_init();
	g_assert(session->multi != NULL);
	if (options->proxy != NULL && *options->proxy != '\0')
		session->proxy = g_strdup(options->proxy);
	session->is_http_only = options->is_http_only;
	session->is_tls13_only = options->is_tls13_only;
	session->is_unverified = options->is_unverified;
	ash_fetch_limits_init(&session->limits, options, ASH_FETCH_PARALLEL);
	session->started_us = g_get_monotonic_time();
	session->deadline_us = G_MAXINT64;
	if (session->limits.deadline_s != 0)
		session->deadline_us =
				session->started_us + session->limits.deadline_s * G_USEC_PER_SEC;
	session->budget = UINT64_MAX;
	ash_fetch_pace_init(&session->pace, options->rate_limit, session->started_us);
	session->on_bytes = options->on_bytes;
	session->data = options->data;
	*out_session = g_steal_pointer(&session);
	return TRUE;
}

void ash_fetch_session_free(AshFetchSession *session)
{
	if (session == NULL)
		return;
	if (session->multi != NULL)
		curl_multi_cleanup(session->multi);
	pem_clear(&session->ca);
	pem_clear(&session->certificate);
	pem_clear(&session->key);
	g_free(session->proxy);
	g_free(session);
}

uint64_t ash_fetch_session_received(const AshFetchSession *session)
{
	return session->received;
}

void ash_fetch_session_set_budget(AshFetchSession *session, uint64_t bytes)
{
	session->budget = bytes;
}

/* ---- what downloads and requests have in common ------------------------------------------------ */

#define SET(easy, option, value)                                                                   \
	do {                                                                                       \
		CURLcode set_code = curl_easy_setopt(easy, option, value);                         \
		g_assert(set_code == CURLE_OK);                                                    \
	} while (0)

void ash_fetch_session_set_rules(const AshFetchSession *session, void *easy)
{
	SET(easy, CURLOPT_USERAGENT, "ashlar/" ASH_VERSION);
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	if (session->proxy != NULL)
		SET(easy, CURLOPT_PROXY, session->proxy);
	if (session->ca.path != NULL) {
		SET(easy, CURLOPT_CAINFO, session->ca.path);
		SET(easy, CURLOPT_CAPATH, NULL);
	}
	if (session->is_unverified) {
		SET(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		SET(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (session->certificate.path != NULL)
		SET(easy, CURLOPT_SSLCERT, session->certificate.path);
	if (session->key.path != NULL)
		SET(easy, CURLOPT_SSLKEY, session->key.path);
	if (session->is_tls13_only)
		SET(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_3);
}

char *ash_fetch_printable_uri(const char *uri)
{
	const char *host = strstr(uri, "://");

	if (host == NULL)
		return g_strdup(uri);
	host += 3;
	size_t authority = strcspn(host, "/?#");
	const char *at = memrchr(host, '@', authority);
	if (at == NULL)
		return g_strdup(uri);
	return g_strdup_printf("%.*s%s", (int) (host - uri), uri, at + 1);
}

AshFetchError ash_fetch_translate(int code, long status)
{
	/* Everything that is not named is FAILED. */
	switch (code) {
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return ASH_FETCH_ERROR_OFFLINE;
	case CURLE_OPERATION_TIMEDOUT:
		return ASH_FETCH_ERROR_TIMEOUT;
	case CURLE_HTTP_RETURNED_ERROR:
		return status == 404 || status == 410 ? ASH_FETCH_ERROR_GONE : ASH_FETCH_ERROR_HTTP;
	case CURLE_FILE_COULDNT_READ_FILE:
	case CURLE_REMOTE_FILE_NOT_FOUND:
		return ASH_FETCH_ERROR_GONE;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_USE_SSL_FAILED:
		return ASH_FETCH_ERROR_TLS;
	case CURLE_FILESIZE_EXCEEDED:
		return ASH_FETCH_ERROR_TOO_BIG;
	default:
		return ASH_FETCH_ERROR_FAILED;
	}
}
