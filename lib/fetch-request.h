/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/fetch.h"

/* One request and its answer, on a session of lib/fetch.h: for JSON over HTTPS, where a status is an answer
 * and not a failure. The connection is kept for the session's next request.
 *
 * Nothing is tried twice (but what curl knows the server has not seen, on a kept connection that had
 * ended), no redirect is followed, and what the server is told is never part of a message.
 */

/* A piece of a 2xx answer's body, as it comes. FALSE ends the request with its error. */
typedef gboolean (*AshFetchPiece)(
		const char *data, size_t size, gpointer data_of_request, GError **error);

typedef struct {
	const char *method; /* NULL: GET, or POST with a body */
	const char *url;    /* http: or https: */
	const char *const *
			headers; /* "Name: value", ended by NULL; NULL: none. They hold no newline */
	const char *body;        /* NULL: none */
	const char *content_type;  /* of the body; NULL: application/json */
	const char *const *wanted; /* headers of the answer, by name, ended by NULL; NULL: none */
	uint32_t timeout_ms;       /* until the answer is whole; 0: none */
	uint32_t silence_s;        /* as long as nothing comes at all; 0: forever */
	size_t max_bytes;          /* of the answer's body; with on_piece, of one that is not 2xx */
	AshFetchPiece on_piece;    /* NULL: the body is collected */
	void (*on_quiet)(
			void); /* called once when there is no answer after a second; NULL: nothing */
	gpointer data;
} AshFetchRequest;

typedef struct {
	unsigned status;       /* 200 to 599 */
	GBytes *body;          /* never NULL; NUL-terminated behind its end */
	char *content_type;    /* "" if it has none */
	int64_t retry_after_s; /* also when it was a date; 0: not said */
	char **headers; /* of each that was wanted: its values, with ", " between them; "" if it has none */
} AshFetchAnswer;

void ash_fetch_answer_free(AshFetchAnswer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshFetchAnswer, ash_fetch_answer_free)

/* Codes of ASH_FETCH_ERROR: OFFLINE, TIMEOUT, TLS (theirs or ours was refused), TOO_BIG, FAILED; those of on_piece; and
 * G_IO_ERROR_CANCELLED (lib/interrupt.h).
 */
gboolean ash_fetch_session_request(AshFetchSession *session, const AshFetchRequest *request,
		AshFetchAnswer **out_answer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
