/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/ca.h"
#include "fleet/store/db.h"

/* How a host comes into the fleet, and keeps its certificate: POST /v1/join and /v1/renew of lib/checkin.h.
 *
 * The id of a host is its key, so a key that is known is the same host: no token is asked for, and none is used up.
 * Nobody else has that key's signature, but whoever has seen the request could send it again; all that gains is a
 * certificate for a key that they do not have.
 */

#define ASH_JOIN_ERROR (ash_join_error_quark())
GQuark ash_join_error_quark(void);
typedef enum {
	ASH_JOIN_ERROR_REQUEST, /* 400: a member is missing or wrong */
	ASH_JOIN_ERROR_TOKEN,   /* 403 kind "token" */
	ASH_JOIN_ERROR_RETIRED, /* 403 kind "retired" */
	ASH_JOIN_ERROR_HELD,    /* 403 kind "held" */
	ASH_JOIN_ERROR_KEY,  /* 403 kind "key": a renewal for another key than the certificate's */
	ASH_JOIN_ERROR_FULL, /* 403 kind "full": as many hosts as may be */
} AshJoinError;

enum {
	ASH_JOIN_PENDING_S = 30,                  /* ask again after */
	ASH_JOIN_KEEP_CERTIFICATE_S = 30 * 86400, /* that has ended */
};

/* Borrows from the body. */
typedef struct {
	const char *token; /* "": none */
	const char *csr, *name, *instance;
	char *id;    /* of the key */
	char *facts; /* JSON; NULL: none were said */
} AshJoin;

/* PURE. */
gboolean ash_join_parse(JsonObject *body, AshJoin *out_join, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_join_clear(AshJoin *join);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshJoin, ash_join_clear)

typedef struct {
	bool is_pending, is_new;
	char *certificate; /* PEM; NULL: pending */
} AshJoinResult;
void ash_join_result_clear(AshJoinResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshJoinResult, ash_join_result_clear)

typedef struct {
	AshCa *ca;
	const char *address;
	int64_t now_s, life_s;
	uint64_t max_hosts;
} AshJoinPlace;

/* In the open writing transaction of @db: the host, the use of the token, the certificate, the event. */
gboolean ash_join_run(AshDb *db, const AshJoin *join, const AshJoinPlace *place,
		AshJoinResult *out_result, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @id: whose certificate it came with. Likewise. */
gboolean ash_join_renew(AshDb *db, const char *id, const char *csr, const AshJoinPlace *place,
		char **out_certificate, GError **error) G_GNUC_WARN_UNUSED_RESULT;
