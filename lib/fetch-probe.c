/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fetch-probe.h"

#include <curl/curl.h>
#include <stdbool.h>

#include "lib/error.h"

G_DEFINE_QUARK(ash_probe_error, ash_probe_error)

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURL, curl_easy_cleanup)

/* The status is known when the body begins: enough. */
static size_t on_body(char *data, size_t size, size_t count, void *closure)
{
	*(bool *) closure = true;
	return 0;
}

#define SET(easy, option, value)                                                                   \
	do {                                                                                       \
		CURLcode set_code = curl_easy_setopt(easy, option, value);                         \
		g_assert(set_code == CURLE_OK);                                                    \
	} while (0)

gboolean ash_fetch_probe(const char *url, uint32_t timeout_ms, unsigned *out_status, GError **error)
{
	char words[CURL_ERROR_SIZE] = "";
	bool has_body = false;
	long status = 0;

	/* Counted by curl, so it does not matter who else did it. */
	curl_global_init(CURL_GLOBAL_DEFAULT);
	g_autoptr(CURL) easy = curl_easy_init();
	g_assert(easy != NULL);
	SET(easy, CURLOPT_URL, url);
	SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SET(easy, CURLOPT_PROXY, "");
	SET(easy, CURLOPT_TIMEOUT_MS, (long) timeout_ms);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) timeout_ms);
	SET(easy, CURLOPT_NOSIGNAL, 1L);
	SET(easy, CURLOPT_USERAGENT, "ashlar-check/" ASH_VERSION);
	SET(easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(easy, CURLOPT_WRITEDATA, &has_body);
	SET(easy, CURLOPT_ERRORBUFFER, words);
	CURLcode code = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if ((code == CURLE_OK || has_body) && status >= 100 && status <= 999) {
		*out_status = (unsigned) status;
		return TRUE;
	}
	if (code == CURLE_OPERATION_TIMEDOUT)
		return ash_throw(error, ASH_PROBE_ERROR, ASH_PROBE_ERROR_TIMEOUT,
				"no answer within %u ms", timeout_ms);
	return ash_throw(error, ASH_PROBE_ERROR, ASH_PROBE_ERROR_NO_ANSWER, "%s",
			*words != '\0' ? words : curl_easy_strerror(code));
}
