/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fetch-request.h"

#include <curl/curl.h>
#include <string.h>

#include "lib/error.h"
#include "lib/fetch-session.h"
#include "lib/interrupt.h"
#include "lib/text.h"

enum {
	KEEPALIVE_IDLE_S = 120, /* so that routers on the way do not forget a waiting connection */
	KEEPALIVE_PAUSE_S = 30,
	/* Waiting for curl's own timers; nothing is looked for in between. */
	MAX_POLL_MS = 3600 * 1000,
	QUIET_US = G_USEC_PER_SEC,
};

typedef struct {
	AshFetchSession *session;
	const AshFetchRequest *request;
	CURL *easy;
	struct curl_slist *headers;
	GByteArray *body;
	char words[CURL_ERROR_SIZE];
	GError *error; /* why a callback stopped */
} Exchange;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURL, curl_easy_cleanup)

void ash_fetch_answer_free(AshFetchAnswer *answer)
{
	if (answer == NULL)
		return;
	g_clear_pointer(&answer->body, g_bytes_unref);
	g_free(answer->content_type);
	g_strfreev(answer->headers);
	g_free(answer);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static gboolean receive(Exchange *exchange, const char *data, size_t size, GError **error)
{
	const AshFetchRequest *request = exchange->request;
	long status = 0;

	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	if (request->on_piece != NULL && status / 100 == 2)
		return request->on_piece(data, size, request->data, error);
	if (size > request->max_bytes - MIN(exchange->body->len, request->max_bytes)) {
		g_autofree char *limit = ash_text_size(request->max_bytes);
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TOO_BIG,
				"the answer is larger than the %s that are allowed", limit);
	}
	g_byte_array_append(exchange->body, (const guint8 *) data, (guint) size);
	return TRUE;
}

static size_t on_body(char *data, size_t size, size_t count, void *closure)
{
	Exchange *exchange = closure;

	size *= count;
	exchange->session->received += size;
	return receive(exchange, data, size, &exchange->error) ? size : 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

#define SET(easy, option, value)                                                                   \
	do {                                                                                       \
		CURLcode set_code = curl_easy_setopt(easy, option, value);                         \
		g_assert(set_code == CURLE_OK);                                                    \
	} while (0)

static void add_header(Exchange *exchange, const char *header)
{
	g_assert(strpbrk(header, "\r\n") == NULL);
	exchange->headers = curl_slist_append(exchange->headers, header);
}

static void set_body(Exchange *exchange)
{
	const AshFetchRequest *request = exchange->request;
	const char *type =
			request->content_type != NULL ? request->content_type : "application/json";
	g_autofree char *header = g_strconcat("Content-Type: ", type, NULL);

	if (request->body == NULL)
		return;
	SET(exchange->easy, CURLOPT_POST, 1L);
	SET(exchange->easy, CURLOPT_POSTFIELDS, request->body);
	SET(exchange->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) strlen(request->body));
	add_header(exchange, header);
	/* Not a second round trip for 100 Continue. */
	add_header(exchange, "Expect:");
}

static void set_times(Exchange *exchange)
{
	const AshFetchRequest *request = exchange->request;
	CURL *easy = exchange->easy;
	long connect_ms = MIN(1000L * ASH_FETCH_CONNECT_TIMEOUT_S,
			1000 * exchange->session->limits.stall_s);

	if (request->timeout_ms != 0)
		connect_ms = MIN(connect_ms, (long) request->timeout_ms);
	SET(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	SET(easy, CURLOPT_TIMEOUT_MS, (long) request->timeout_ms);
	if (request->silence_s != 0) {
		SET(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		SET(easy, CURLOPT_LOW_SPEED_TIME, (long) request->silence_s);
	}
	SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(easy, CURLOPT_TCP_KEEPIDLE, (long) KEEPALIVE_IDLE_S);
	SET(easy, CURLOPT_TCP_KEEPINTVL, (long) KEEPALIVE_PAUSE_S);
}

static void set_options(Exchange *exchange)
{
	const AshFetchRequest *request = exchange->request;
	CURL *easy = exchange->easy;

	SET(easy, CURLOPT_URL, request->url);
	SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SET(easy, CURLOPT_WRITEFUNCTION, on_body);
	SET(easy, CURLOPT_WRITEDATA, exchange);
	SET(easy, CURLOPT_ERRORBUFFER, exchange->words);
	ash_fetch_session_set_rules(exchange->session, easy);
	set_times(exchange);
	set_body(exchange);
	if (request->method != NULL && g_str_equal(request->method, "HEAD"))
		SET(easy, CURLOPT_NOBODY, 1L);
	else if (request->method != NULL)
		SET(easy, CURLOPT_CUSTOMREQUEST, request->method);
	for (const char *const *header = request->headers; header != NULL && *header != NULL;
			header++)
		add_header(exchange, *header);
	SET(easy, CURLOPT_HTTPHEADER, exchange->headers);
}

static gboolean perform(Exchange *exchange, CURLcode *out_code, GError **error)
{
	struct curl_waitfd interrupt = {.fd = ash_interrupt_fd(), .events = CURL_WAIT_POLLIN};
	CURLM *multi = exchange->session->multi;
	int64_t quiet_us = g_get_monotonic_time() + QUIET_US;
	bool is_quiet = exchange->request->on_quiet == NULL;
	int running = 1;

	for (;;) {
		if (!ash_interrupt_check(error))
			return FALSE;
		CURLMcode code = curl_multi_perform(multi, &running);
		g_assert(code == CURLM_OK);
		int left = 0;
		const CURLMsg *message = curl_multi_info_read(multi, &left);
		if (message != NULL && message->msg == CURLMSG_DONE) {
			*out_code = message->data.result;
			return TRUE;
		}
		if (!is_quiet && g_get_monotonic_time() >= quiet_us) {
			is_quiet = true;
			exchange->request->on_quiet();
		}
		int wait_ms = is_quiet ? MAX_POLL_MS : QUIET_US / 1000;
		curl_multi_poll(multi, &interrupt, interrupt.fd >= 0 ? 1 : 0, wait_ms, NULL);
	}
}

/* ---- outcome --------------------------------------------------------------------------------- */

static gboolean throw_curl(const Exchange *exchange, CURLcode code, GError **error)
{
	AshFetchError kind = ash_fetch_translate((int) code, 0);
	curl_off_t sent_us = 0;
	const char *words = exchange->words[0] != '\0' ? exchange->words : curl_easy_strerror(code);

	curl_easy_getinfo(exchange->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
	if (kind == ASH_FETCH_ERROR_TIMEOUT && sent_us == 0)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_OFFLINE,
				"no connection came about in time");
	if (kind == ASH_FETCH_ERROR_TIMEOUT)
		return ash_throw(error, ASH_FETCH_ERROR, (int) kind, "no answer came in time");
	/* With TLS 1.3 a server refuses our certificate when we think that all is well; for curl that is
	 * a failure to read. */
	if (kind == ASH_FETCH_ERROR_OFFLINE && strstr(words, "TLS fatal alert") != NULL)
		kind = ASH_FETCH_ERROR_TLS;
	return ash_throw(error, ASH_FETCH_ERROR, (int) kind, "%s", words);
}

static char *join_header(CURL *easy, const char *name)
{
	g_autoptr(GString) text = g_string_new(NULL);
	struct curl_header *header = NULL;

	for (size_t i = 0; curl_easy_header(easy, name, i, CURLH_HEADER, -1, &header) == CURLHE_OK;
			i++) {
		g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", header->value);
		if (i + 1 >= header->amount)
			break;
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
}

static char **take_headers(const Exchange *exchange)
{
	const char *const *wanted = exchange->request->wanted;
	GPtrArray *values = g_ptr_array_new();

	for (; wanted != NULL && *wanted != NULL; wanted++)
		g_ptr_array_add(values, join_header(exchange->easy, *wanted));
	g_ptr_array_add(values, NULL);
	return (char **) g_ptr_array_free(values, FALSE);
}

static AshFetchAnswer *take_answer(Exchange *exchange)
{
	AshFetchAnswer *answer = g_new0(AshFetchAnswer, 1);
	long status = 0;
	const char *type = NULL;
	curl_off_t retry_s = 0;

	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(exchange->easy, CURLINFO_CONTENT_TYPE, &type);
	curl_easy_getinfo(exchange->easy, CURLINFO_RETRY_AFTER, &retry_s);
	answer->status = (unsigned) status;
	answer->content_type = g_strdup(type != NULL ? type : "");
	answer->retry_after_s = MAX(retry_s, 0);
	answer->headers = take_headers(exchange);
	g_byte_array_append(exchange->body, (const guint8 *) "", 1);
	exchange->body->len--;
	answer->body = g_byte_array_free_to_bytes(g_steal_pointer(&exchange->body));
	return answer;
}

static gboolean exchange_run(Exchange *exchange, AshFetchAnswer **out_answer, GError **error)
{
	CURLM *multi = exchange->session->multi;
	CURLcode code = CURLE_OK;

	set_options(exchange);
	CURLMcode added = curl_multi_add_handle(multi, exchange->easy);
	g_assert(added == CURLM_OK);
	gboolean has_ended = perform(exchange, &code, error);
	if (has_ended && code == CURLE_OK)
		*out_answer = take_answer(exchange);
	curl_multi_remove_handle(multi, exchange->easy);
	if (!has_ended || code == CURLE_OK)
		return has_ended;
	if (exchange->error == NULL)
		return throw_curl(exchange, code, error);
	g_propagate_error(error, g_steal_pointer(&exchange->error));
	return FALSE;
}

gboolean ash_fetch_session_request(AshFetchSession *session, const AshFetchRequest *request,
		AshFetchAnswer **out_answer, GError **error)
{
	g_autofree char *url = ash_fetch_printable_uri(request->url);
	ASH_PREFIX("'%s'", url);
	g_autoptr(CURL) easy = curl_easy_init();
	Exchange exchange = {.session = session,
			.request = request,
			.easy = easy,
			.body = g_byte_array_new()};

	g_assert(easy != NULL && request->max_bytes <= G_MAXINT32);
	gboolean is_ok = exchange_run(&exchange, out_answer, error);
	curl_slist_free_all(exchange.headers);
	g_clear_pointer(&exchange.body, g_byte_array_unref);
	g_clear_error(&exchange.error);
	return is_ok;
}
