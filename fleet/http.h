/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* HTTP/1.1 over TLS 1.3, by libmicrohttpd and GnuTLS: fleet/http.c (and http-*.c) may include microhttpd.h alone.
 *
 * A request becomes a call. The handler runs on one of the server's few network threads and must not block: it answers
 * at once, or keeps the call and answers later from any thread (the connection sleeps meanwhile), or hands it to
 * ash_http_blocking, which runs a function on a thread that may use the database.
 *
 * Every call is answered exactly once. A call whose client went away may still be answered; that does nothing.
 */

#define ASH_HTTP_ERROR (ash_http_error_quark())
GQuark ash_http_error_quark(void);

typedef enum {
	ASH_HTTP_ERROR_LISTEN, /* address in use, or not this machine's */
	ASH_HTTP_ERROR_TLS,    /* certificate or key */
	ASH_HTTP_ERROR_FAILED,
} AshHttpError;

typedef struct AshHttp AshHttp;
typedef struct AshHttpCall AshHttpCall;

typedef void (*AshHttpHandler)(AshHttpCall *call, gpointer data);

typedef struct {
	const char *address;                   /* "[::]:8443", "127.0.0.1:0" */
	const char *certificate_pem, *key_pem; /* NULL: plain HTTP (behind a proxy, or in tests) */
	const char *client_ca_pem;             /* certificates by it are asked for, not demanded */
	const char *proxy_certificate_sha256; /* this peer's X-Client-Cert is believed; NULL: nobody's */
	unsigned threads;                     /* network threads; 0: one for each processor */
	unsigned workers;                     /* of ash_http_blocking; 0: 4 */
	unsigned max_connections; /* 0: 200,000 or what the limit of open files allows */
	size_t max_body_bytes;    /* larger: 413 before it is read; a route may say less */
	/* Called first, with method, path and headers known and no body read: how many bytes the body may have; 0: none
	 * may come. For 503 and 429 answer the call here: its body is not read.
	 */
	size_t (*admit)(AshHttpCall *call, gpointer data);
	unsigned idle_s; /* an idle connection of a host is kept so long; 0: 75. Others: 75 s */
	AshHttpHandler handle; /* with the whole body */
	/* May be NULL. When the call's answer is sent, or cannot be; on a network thread. @status 0: nobody answered. */
	void (*ended)(AshHttpCall *call, unsigned status, int64_t took_us, gpointer data);
	gpointer data;
} AshHttpOptions;

/* Listens when it returns. */
gboolean ash_http_start(const AshHttpOptions *options, AshHttp **out_http, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
unsigned ash_http_port(const AshHttp *http);
/* New handshakes use these. */
gboolean ash_http_set_certificate(AshHttp *http, const char *certificate_pem, const char *key_pem,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* No new connections; open calls may end within @patience_s, streams end at once. */
void ash_http_stop(AshHttp *http, unsigned patience_s);
void ash_http_free(AshHttp *http);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshHttp, ash_http_free)

typedef struct {
	uint64_t connections, requests, refused, bytes_in, bytes_out, waiting;
} AshHttpCounts;
void ash_http_counts(AshHttp *http, AshHttpCounts *out_counts);

/* ---- what was asked: borrowed from the call ---- */

const char *ash_http_method(const AshHttpCall *call); /* "GET", "HEAD"… */
const char *ash_http_path(const AshHttpCall *call);   /* decoded but for %2F, %25, %00; no query */
const char *ash_http_header(const AshHttpCall *call, const char *name); /* NULL: none */
const char *ash_http_argument(
		const AshHttpCall *call, const char *name); /* of the query, decoded; NULL: none */
/* Each argument of the query, "" without a value; FALSE stops. */
typedef gboolean (*AshHttpEachArgument)(const char *name, const char *value, gpointer data);
void ash_http_each_argument(const AshHttpCall *call, AshHttpEachArgument each, gpointer data);
GBytes *ash_http_body(
		const AshHttpCall *call); /* empty, never NULL; NUL-terminated behind its end */
const char *ash_http_peer(const AshHttpCall *call); /* "192.0.2.7"; what a believed proxy says */
/* The client's certificate, as far as its chain holds for client_ca_pem now: SHA-256 of the public key, 64 digits;
 * NULL without one, or with one that does not hold. Ended and revoked are the caller's to judge by the serial.
 */
const char *ash_http_peer_key(const AshHttpCall *call);
const char *ash_http_peer_serial(
		const AshHttpCall *call);         /* lower-case hexadecimal; NULL likewise */
bool ash_http_is_secure(const AshHttpCall *call); /* TLS, here or at a believed proxy */

/* For whoever routes: a pointer of its own, and what frees it with the call. */
void ash_http_set_data(AshHttpCall *call, gpointer data, GDestroyNotify destroy);
gpointer ash_http_data(const AshHttpCall *call);

/* ---- answers ---- */

/* Before the answer. */
void ash_http_add_header(AshHttpCall *call, const char *name, const char *value);

/* @type NULL: no body. HEAD is taken care of. @take_bytes is consumed. */
void ash_http_reply(AshHttpCall *call, unsigned status, const char *type, GBytes *take_bytes);
/* JSON; @take_json is consumed. */
void ash_http_reply_json(AshHttpCall *call, unsigned status, char *take_json);
/* {"kind":…,"text":…} as lib/checkin.h says. */
void ash_http_reply_error(AshHttpCall *call, unsigned status, const char *kind, const char *format,
		...) G_GNUC_PRINTF(4, 5);
/* @retry_s: Retry-After, and "next". */
void ash_http_reply_later(AshHttpCall *call, unsigned status, unsigned retry_s, const char *kind,
		const char *text);

/* A file: ranges (206, 416), If-None-Match and If-Modified-Since (304), ETag by size and time unless given, sendfile.
 * @cache: of Cache-Control, or NULL. @fd is closed.
 */
void ash_http_reply_file(AshHttpCall *call, int take_fd, const char *type, const char *etag,
		const char *cache);

/* Server-sent events: the answer begins now and goes on by ash_http_stream_send until either side ends it. What a slow
 * client does not take beyond 256 KiB ends it. @on_end: once, from any thread.
 */
typedef struct AshHttpStream AshHttpStream;
AshHttpStream *ash_http_stream_begin(
		AshHttpCall *call, void (*on_end)(gpointer data), gpointer data);
void ash_http_stream_send(AshHttpStream *stream, const char *text, size_t size);
void ash_http_stream_end(AshHttpStream *stream);

/* Runs @function on a worker thread. false: too many wait already, and the call was answered so (503). */
bool ash_http_blocking(AshHttpCall *call, AshHttpHandler function, gpointer data);
