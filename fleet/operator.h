/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/event.h"
#include "fleet/route.h"
#include "fleet/selector.h"
#include "fleet/store/db.h"

/* Who calls, and what they may: operators with a password (log-in gives a session), and API tokens. What was proven
 * once is kept in memory, so that a request costs no statement; changes here clear it at once, those of other servers by
 * the event "operator.changed", within a second, and a minute at the latest.
 *
 * A secret is 32 random bytes; the database has its SHA-256 alone, and none is ever told twice. The event
 * "operator.changed" is told to admins alone.
 */

#define ASH_OPERATOR_ERROR (ash_operator_error_quark())
GQuark ash_operator_error_quark(void);
typedef enum {
	ASH_OPERATOR_ERROR_REFUSED, /* 401: not a token, session or password that counts */
	ASH_OPERATOR_ERROR_CSRF,    /* 403: a change by cookie without its X-CSRF-Token */
	ASH_OPERATOR_ERROR_LATER, /* 429: too many log-ins failed; the text says for how many seconds */
	ASH_OPERATOR_ERROR_BUSY, /* 503: as many passwords are being checked as memory allows */
} AshOperatorError;

enum {
	ASH_OPERATOR_MAX_NAME = 64, /* of [A-Za-z0-9._@-] */
	ASH_OPERATOR_MIN_PASSWORD = 10,
	ASH_OPERATOR_MAX_PASSWORD = 1024,
	ASH_OPERATOR_MAX_NOTE = 1024,
	ASH_OPERATOR_MAX_SESSIONS = 20, /* of one who; the oldest ends */
	ASH_OPERATOR_SESSION_S = 12 * 60 * 60,
};

#define ASH_OPERATOR_COOKIE "ashlar_session"
#define ASH_OPERATOR_CSRF_HEADER "X-CSRF-Token"

/* Somebody who proved who they are. Never changed; counted references, from any thread. */
typedef struct {
	AshRole role;          /* viewer, operator or admin */
	char *actor;           /* "NAME", or "token:ID" */
	char *scope;           /* a selector; "": all */
	AshSelector *selector; /* of scope; NULL: all */
	bool is_session;
	char *csrf;         /* of a session; else NULL */
	char *hash;         /* of what proved it */
	int64_t expires_at; /* 0: never */
} AshOperator;

AshOperator *ash_operator_ref(AshOperator *who);
void ash_operator_unref(AshOperator *who);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshOperator, ash_operator_unref)

typedef struct AshOperators AshOperators;

/* @now: AshServer.now. Has a thread that writes what may be late (last_used, ended sessions) once a minute.
 * ash_operators_listen: before ash_events_free, ash_operators_free.
 */
AshOperators *ash_operators_new(AshDbPool *pool, int64_t (*now)(void));
void ash_operators_listen(AshOperators *operators, AshEvents *events);
void ash_operators_free(AshOperators *operators);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshOperators, ash_operators_free)

/* Of a request, as they came; NULL: without. */
typedef struct {
	const char *authorization; /* header Authorization: "Bearer ID.SECRET"; rules over the cookie */
	const char *cookie;        /* header Cookie, whole */
	const char *csrf;          /* header X-CSRF-Token */
	bool is_change;            /* any method but GET and HEAD */
} AshOperatorProof;

/* ash_operator_identify: of memory, else of the database: may block.
 * @db: NULL: one is taken from the pool if need be
 * @out_operator: NULL when nothing was to be proven (neither header nor cookie)
 */
gboolean ash_operator_identify(AshOperators *operators, AshDb *db, const AshOperatorProof *proof,
		AshOperator **out_operator, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same of memory alone, for threads that must not block; *out_known false: ask ash_operator_identify. */
gboolean ash_operator_peek(AshOperators *operators, const AshOperatorProof *proof, bool *out_known,
		AshOperator **out_operator, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Forgets what is in memory: after a commit that changed operators, tokens or sessions. */
void ash_operators_forget(AshOperators *operators);
/* What the thread does; for tests and the end. */
gboolean ash_operators_flush(AshOperators *operators, AshDb *db, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- sessions ---- */

/* ash_operator_prove: by name and password. The same refusal, after the same time, whether the name is wrong, the
 * password, or the operator is disabled; then ever longer waits for this name from this address, for the address, and
 * (never more than a minute) for the name. Opens transactions of its own; blocks while it computes.
 * @out_wait_s: set on failure too: of LATER, else 0
 */
gboolean ash_operator_prove(AshOperators *operators, AshDb *db, const char *name,
		const char *password, const char *address, AshOperator **out_operator,
		int64_t *out_wait_s, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ash_operator_make_session: in the open writing transaction of @db.
 * @out_cookie: the value of the cookie, told once
 * @out_session: @who by this session
 */
gboolean ash_operator_make_session(AshDb *db, const AshOperator *who, const char *address,
		int64_t now, char **out_cookie, AshOperator **out_session, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* All of @actor ("NAME", "token:ID"); likewise. */
gboolean ash_operator_end_sessions(AshDb *db, const char *actor, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The one; likewise. */
gboolean ash_operator_end_session(AshDb *db, const AshOperator *session, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- making, in the open writing transaction of @db ---- */

typedef struct {
	const char *role, *scope, *note, *created_by;
	int64_t expires_at; /* 0: never */
} AshOperatorToken;

/* @out_secret: "ID.SECRET" */
gboolean ash_operator_make_token(AshDb *db, const AshOperatorToken *token, int64_t now,
		char **out_id, char **out_secret, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* For 'ashlar-fleetd' on an empty directory: opens a transaction of its own and makes a token for an admin when there
 * is neither an operator nor a token. *out_secret NULL: there is.
 */
gboolean ash_operator_make_first(AshDb *db, int64_t now, char **out_secret, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- words ---- */

const char *ash_role_text(AshRole role); /* "viewer"… */
/* Of those that people have; false: not one. */
bool ash_role_parse(const char *text, AshRole *out_role);
bool ash_operator_name_is_valid(const char *name);

/* ---- for the files of operators ---- */

/* "ID.SECRET" → the row's key and the SHA-256 that it must have; false: not of this form. */
bool ash_operator_split_secret(const char *secret, char **out_id, char **out_hash);
/* 32 random bytes, as 64 digits. */
char *ash_operator_random(void);
/* @scope that cannot be read: ASH_SELECTOR_ERROR. */
gboolean ash_operator_new(const char *actor, const char *role, const char *scope,
		AshOperator **out_operator, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What X-CSRF-Token must say beside this cookie. */
char *ash_operator_csrf(const char *cookie);
int64_t ash_operators_now(const AshOperators *operators);
