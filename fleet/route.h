/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/http.h"

/* The route table: each file of API functions has an array of AshRoute, fleet/routes.c lists the arrays. Dispatch,
 * rights, limits, OpenAPI (GET /v1/openapi.json) and the table test over roles follow from it.
 */

typedef struct AshServer AshServer; /* fleet/server.h */
typedef struct AshDb AshDb;
typedef struct AshRoute AshRoute;

typedef enum {
	ASH_ROLE_NONE,     /* anybody */
	ASH_ROLE_HOST,     /* a client certificate of this fleet; no other role implies it */
	ASH_ROLE_VIEWER,   /* reads */
	ASH_ROLE_OPERATOR, /* changes hosts and rollouts */
	ASH_ROLE_ADMIN,    /* changes who may, tokens, releases, settings */
} AshRole;

typedef struct {
	AshServer *server;
	AshHttpCall *call;
	AshDb *db; /* of API routes: taken for this call; NULL where is_direct */
	const AshRoute *route;
	JsonObject *body; /* parsed and of an object's shape where takes_body; NULL otherwise */
	GPtrArray *parts; /* char *: what stood for {…} in the pattern, decoded, in order */
	/* Who: */
	AshRole role;
	const char *actor;  /* operator's name, "token:ID", host id; "" */
	const char *scope;  /* selector; "" */
	bool is_session;    /* by cookie: changes were checked against CSRF */
	int64_t expires_at; /* of the token or the session; 0: never */
	/* What an operator gives with every change: the member "reason" of the body, "" without. */
	const char *reason;
} AshRequest;

typedef struct {
	/* "integer", "number", "string", "boolean", "object", "array", or several: "integer|string". Of an argument: a
	 * number must be one; everything else is text.
	 */
	const char *name, *type;
	bool is_required;
	const char *summary; /* with its form and default: "seconds, 1 to 3600; default 60" */
} AshRouteMember;

struct AshRoute {
	const char *method;  /* NULL ends the array */
	const char *pattern; /* "/v1/hosts/{id}/orders" */
	AshRole role;        /* the least */
	const char *summary; /* one line for OpenAPI */
	/* Answers the request, now or later. A GError, if @error is set, becomes the answer (ash_route_fail). */
	gboolean (*run)(AshRequest *request, GError **error);
	/* Of the query; NULL-name ends; unknown ones are 400. "limit" and "after" are known to every GET. */
	const AshRouteMember *arguments;
	/* Of the body; unknown ones are 400. Every change but those is_direct takes "reason" too, NULL: that alone. */
	const AshRouteMember *members;
	const char *answer;    /* an example of a 200's body, JSON; the OpenAPI document has it */
	size_t max_body_bytes; /* 0: 64 KiB */
	bool is_direct; /* runs on the network thread: must not block, has no db and no parsed body */
	bool is_unlimited; /* of an address, so many requests as there are: machines behind one router */
	bool takes_held;   /* of a host's: hosts that an operator holds too */
	bool is_open_body; /* members are examples, others may come too */
};

/* For errors of @run: "not there", "not now", "may not". Other domains become 500, or 503 for ASH_DB_ERROR_LOST,
 * _FULL, _BUSY; the text of a 500 goes to the log and not to the client.
 */
#define ASH_ROUTE_ERROR (ash_route_error_quark())
GQuark ash_route_error_quark(void);
typedef enum {
	ASH_ROUTE_ERROR_REQUEST,      /* 400 */
	ASH_ROUTE_ERROR_FORBIDDEN,    /* 403 */
	ASH_ROUTE_ERROR_NOT_FOUND,    /* 404 */
	ASH_ROUTE_ERROR_CONFLICT,     /* 409 */
	ASH_ROUTE_ERROR_GONE,         /* 410 */
	ASH_ROUTE_ERROR_BUSY,         /* 503, Retry-After 5 */
	ASH_ROUTE_ERROR_UNAUTHORIZED, /* 401 */
	ASH_ROUTE_ERROR_TOO_MANY,     /* 429, Retry-After 10 */
	ASH_ROUTE_ERROR_TYPE,         /* 415 */
} AshRouteError;

/* ---- for run functions ---- */

/* What @error stands for is answered. */
void ash_route_fail(AshRequest *request, const GError *error);
/* Frees @take_text with the request. */
const char *ash_route_keep(AshRequest *request, char *take_text);
/* "" without it. */
const char *ash_route_argument(AshRequest *request, const char *name);
/* What stood for the @index-th {…} of the pattern. */
const char *ash_route_part(AshRequest *request, unsigned index);

/* 200 with the builder's document, which has one open object. */
gboolean ash_route_reply(AshRequest *request, JsonBuilder *builder);
gboolean ash_route_reply_empty(AshRequest *request); /* 204 */

/* Lists: {"items":[…],"next":"…"}; "next", when there are more, is the argument "after" of the next request.
 * "limit": 1 to 1000, default 100.
 */
int64_t ash_route_limit(AshRequest *request);
const char *ash_route_after(AshRequest *request); /* "" at the beginning */

/* Every change is told the audit log within its own transaction; @before and @after: JSON texts or NULL, no secrets. */
gboolean ash_route_audit(AshRequest *request, const char *action, const char *object,
		const char *before, const char *after, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* May this operator see and change the host? (its scope; fleet/selector.h) */
bool ash_route_may_host(AshRequest *request, const char *host_id);
/* Of what is about all hosts ("figures are"): refused to whom a scope hides some. */
gboolean ash_route_need_all_hosts(AshRequest *request, const char *what, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- for the server ---- */

/* Before the first call; the table does not change while a process runs. */
void ash_route_prepare(AshServer *server);
void ash_route_finish(void);
struct AshMetrics *ash_route_metrics(void); /* fleet/metrics.h */
/* AshHttpOptions.ended: figures for /metrics. */
void ash_route_ended(AshHttpCall *call, unsigned status, int64_t took_us, gpointer server);
void ash_route_handle(AshHttpCall *call, gpointer server); /* AshHttpOptions.handle and .admit */
size_t ash_route_admit(AshHttpCall *call, gpointer server);
/* All arrays of all files; NULL-terminated. fleet/routes.c */
extern const AshRoute *const ash_routes[];
/* OpenAPI 3.0 of @routes. */
char *ash_route_openapi(const AshRoute *const *routes);
