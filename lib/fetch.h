/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/progress.h"

/* HTTP(S) and file: downloads, several at a time, by libcurl (lib/fetch*.c are the only files that may
 * include curl). lib/fetch-request.h has requests to a server that answers.
 *
 * Guarantees: a destination file appears only whole and with the expected size and SHA-256 (where
 * given), by temp + fsync + rename; a download that broke off leaves "DEST.part" and is resumed
 * with a range request, also by the next process; a server that sends less than 1 KiB/s for 30 s
 * counts as stalled; 3 tries with growing pauses for what may pass (connect, timeout, 5xx), none for
 * what will not (404, hash). A redirect may not leave https for http. ASHLAR_FETCH_STALL_S, _TRIES,
 * _PAUSE_MS and _DEADLINE_S in the environment rule over these numbers.
 */

#define ASH_FETCH_ERROR (ash_fetch_error_quark())
GQuark ash_fetch_error_quark(void);

typedef enum {
	ASH_FETCH_ERROR_OFFLINE, /* name or connection */
	ASH_FETCH_ERROR_TIMEOUT, /* stalled: below the least rate, or silent */
	ASH_FETCH_ERROR_HTTP,    /* any status but 200, 206, 304, 404, 410 */
	ASH_FETCH_ERROR_GONE,    /* 404, 410, missing file */
	ASH_FETCH_ERROR_TLS,
	ASH_FETCH_ERROR_TOO_BIG,
	ASH_FETCH_ERROR_MISMATCH, /* size or SHA-256 differs; the partial file is removed */
	ASH_FETCH_ERROR_FAILED,
	ASH_FETCH_ERROR_DEADLINE, /* the session's time is used up */
} AshFetchError;

typedef struct {
	const char *const *uris; /* tried in order; at least one */
	const char *dest;        /* file path; its directory exists */
	const char *sha256;      /* 64 digits, or NULL */
	uint64_t size;           /* exact; 0: unknown, then max_bytes rules */
	uint64_t max_bytes;      /* 0: @size */
	const char *what;        /* for messages: "libc6 2.41-12" */
	/* The value of the header Authorization; NULL: none. It is for the host of the URI alone: where that sends us to
	 * another host or port, it stays behind. */
	const char *authorization;
} AshFetchItem;

/* Called, from the thread that calls ash_fetch_run, as each item is there. FALSE stops everything
 * with its error.
 */
typedef gboolean (*AshFetchDone)(size_t index, gpointer data, GError **error);

/* ash_fetch_run: all items, at most @parallel at a time (0: 8). Fails at the first item that fails,
 * after letting none half-done. @progress: "done of total bytes" where sizes are known; may be NULL.
 */
gboolean ash_fetch_run(const AshFetchItem *items, size_t count, unsigned parallel,
		AshFetchDone done, gpointer data, AshProgress *progress, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- sessions: many runs by one set of rules, with connections kept from one to the next ---- */

typedef struct {
	const char *ca_pem; /* believed instead of the system's; NULL or "": the system's */
	const char *proxy;  /* NULL or "": what the environment says */
	/* Who we are, for servers that ask: a certificate (with those between it and the server's CA) and its
	 * key, PEM; both or neither. */
	const char *certificate_pem, *key_pem;
	bool is_http_only; /* no file: */
	bool is_unverified; /* whoever answers is believed: for a CA's certificate that is checked by its hash */
	bool is_tls13_only;
	uint64_t rate_limit;      /* bytes a second of all transfers together; 0: none */
	uint64_t low_speed_bytes; /* a second, of one transfer; 0: 1024 */
	unsigned low_speed_s;     /* for so long; 0: 30 */
	unsigned tries;           /* 0: 3 */
	uint64_t deadline_s;      /* from ash_fetch_session_new on; 0: none */
	/* With all bytes that the session has received, as they come; a few times a second. */
	void (*on_bytes)(uint64_t received, gpointer data);
	gpointer data;
} AshFetchOptions;

typedef struct AshFetchSession AshFetchSession;

/* @options is copied, but for what @data points to. */
gboolean ash_fetch_session_new(const AshFetchOptions *options, AshFetchSession **out_session,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_fetch_session_free(AshFetchSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshFetchSession, ash_fetch_session_free)

/* As ash_fetch_run and ash_fetch_bytes; but when an item fails, those that are whole by then get their names,
 * and @done is called for them, before this returns.
 */
gboolean ash_fetch_session_run(AshFetchSession *session, const AshFetchItem *items, size_t count,
		unsigned parallel, AshFetchDone done, gpointer data, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_fetch_session_bytes(AshFetchSession *session, const char *uri, size_t max_bytes,
		GBytes **out_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Of bodies, what was thrown away too. */
uint64_t ash_fetch_session_received(const AshFetchSession *session);
/* From now on at most @bytes more, or ASH_FETCH_ERROR_TOO_BIG; UINT64_MAX: no end. */
void ash_fetch_session_set_budget(AshFetchSession *session, uint64_t bytes);

/* Small things into memory. */
gboolean ash_fetch_bytes(const char *uri, size_t max_bytes, GBytes **out_bytes, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
