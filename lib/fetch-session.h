/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/fetch-limits.h"
#include "lib/fetch-pace.h"
#include "lib/fetch.h"

/* The inside of a session, for lib/fetch.c and lib/fetch-request.c only; so `void *` stands for curl's
 * handles.
 */

enum {
	ASH_FETCH_PARALLEL = 8,
	ASH_FETCH_CONNECT_TIMEOUT_S = 20,
};

/* A PEM text where curl wants a path: it reads certificates from memory with other TLS libraries only. */
typedef struct {
	int fd;     /* -1: none */
	char *path; /* of fd; NULL: none */
} AshFetchPem;

struct AshFetchSession {
	void *multi;    /* CURLM */
	char *proxy;    /* NULL: of the environment */
	AshFetchPem ca; /* none: the system's */
	AshFetchPem certificate, key;
	bool is_http_only, is_tls13_only, is_unverified;
	AshFetchLimits limits;
	int64_t started_us, deadline_us; /* INT64_MAX: none */
	AshFetchPace pace;
	uint64_t received, budget;
	void (*on_bytes)(uint64_t received, gpointer data);
	gpointer data;
	int64_t reported_us;
};

/* Which server is believed, who we are, by which way: the same for downloads and requests. */
void ash_fetch_session_set_rules(const AshFetchSession *session, void *easy);

/* A URI may hold a password: never say it. */
char *ash_fetch_printable_uri(const char *uri);

/* @code: CURLcode */
AshFetchError ash_fetch_translate(int code, long status);
