/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <gnutls/gnutls.h>
#include <microhttpd.h>

#include "fleet/http.h"

/* What the files http*.c share.
 *
 * A call has two owners, the connection and whoever is to answer it, and lives as long as either needs it:
 *
 *	RUNNING ──handler answers──▸ ANSWERED          queued at once
 *	RUNNING ──handler returns──▸ ASLEEP ──anybody answers──▸ ANSWERED          the connection is woken, then queued
 *
 * Who answers takes 'is_claimed' first, so the second answer (of the end, which answers for whoever does not) is
 * nothing.
 */

enum {
	ASH_HTTP_RUNNING,
	ASH_HTTP_ASLEEP,
	ASH_HTTP_ANSWERED,
};

/* Which certificate new handshakes show; sessions keep theirs. */
typedef struct {
	gint references;
	gnutls_certificate_credentials_t handle;
} AshHttpCredentials;

/* One connection: what is kept for each idle host, so no byte too many. */
typedef struct AshHttpConnection AshHttpConnection;
struct AshHttpConnection {
	AshHttp *http;
	struct MHD_Connection *connection;
	AshHttpCredentials *credentials; /* NULL: plain */
	char *key, *serial;              /* of the peer's certificate that holds; NULL */
	int64_t key_ends_s;
	AshHttpConnection *next, *previous; /* while it is timed: of http->timed */
	int64_t deadline_us;                /* of the next request's header */
	int fd;
	bool is_timed, is_judged, is_proxy, is_surplus;
	bool is_shaken, is_watched; /* http-door.c: the handshake is over; its socket is looked at */
};

struct AshHttpCall {
	gint references, state, is_claimed;
	AshHttp *http;
	AshHttpConnection *link;
	struct MHD_Connection *connection;
	AshHttpCall *next, *previous; /* while it sleeps: of http->asleep */
	const char *method, *path;    /* as long as the connection waits for the answer */
	GByteArray *body;
	GBytes *body_bytes;
	size_t body_limit, body_ignored;
	int64_t began_us, body_deadline_us;
	bool is_handled, is_listed, is_refused_body, is_queued, has_cache_header;
	unsigned status;
	struct MHD_Response *response;
	GPtrArray *headers; /* name, value, name…; NULL: none */
	char *proxy_key, *proxy_serial;
	bool is_proxy_judged;
	char peer[48];
	gpointer data;
	GDestroyNotify destroy;
};

struct AshHttp {
	AshHttpOptions options;
	char *client_ca_pem, *proxy_sha256;
	struct MHD_Daemon *daemon;
	gnutls_datum_t ticket_key;
	gnutls_priority_t priorities;
	GMutex credentials_lock;
	AshHttpCredentials *credentials;
	unsigned port;
	int wake_fd; /* of the thread that looks at the clock */
	int listen_fd, door_fd, door_end_fd;
	bool has_no_files; /* the door's own */

	GMutex lock; /* of the lists, and of what follows */
	GCond slept;
	AshHttpConnection *timed;
	AshHttpCall *asleep;
	GPtrArray *streams; /* AshHttpStream */

	gint is_ending, busy_count, connection_count, asleep_count, shaking_count;
	gsize requests, refused, bytes_in, bytes_out; /* atomic */

	GThread *clock, *door;
	GThreadPool *workers;
};

/* ---- http.c ---- */

/* An answer: taken by the first who asks; false: somebody has answered already. */
bool ash_http_claim(AshHttpCall *call);
/* By whoever claimed it: @take_response goes out with @status. */
void ash_http_answer(AshHttpCall *call, unsigned status, struct MHD_Response *take_response);
void ash_http_call_unref(AshHttpCall *call);

/* For whoever does not answer in time: 503; the other reference stays its. */
void ash_http_answer_ending(AshHttpCall *call);
/* GFunc of the workers. */
void ash_http_work(gpointer task, gpointer unused);

/* ---- http-tls.c ---- */

gboolean ash_http_tls_init(AshHttp *http, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_http_tls_clear(AshHttp *http);
/* Before the handshake. */
void ash_http_tls_begin(AshHttpConnection *link, gnutls_session_t session);
void ash_http_tls_end(AshHttpConnection *link);
/* Once for each session, with its first request: whose certificate is it? */
void ash_http_tls_judge(AshHttpConnection *link, gnutls_session_t session);

/* ---- http-stream.c ---- */

void ash_http_streams_tick(AshHttp *http, int64_t now_us);
void ash_http_streams_end(AshHttp *http);

/* ---- http-door.c ---- */

/* Takes what comes to http->listen_fd. */
gboolean ash_http_door_open(AshHttp *http, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Nobody else comes in, with is_ending set; handshakes still end. */
void ash_http_door_refuse(AshHttp *http);
void ash_http_door_close(AshHttp *http);
/* Before the handshake: it sleeps while it waits for the client. */
void ash_http_door_shake(AshHttpConnection *link, gnutls_session_t session);

/* ---- http-listen.c ---- */

/* A socket that listens at "ADDRESS:PORT"; IPv6's "[::]" takes IPv4 too. */
gboolean ash_http_listen(const char *address, int *out_fd, unsigned *out_port, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
