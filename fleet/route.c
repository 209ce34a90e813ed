/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/route.h"

#include <string.h>

#include "fleet/audit.h"
#include "fleet/metrics.h"
#include "fleet/operator.h"
#include "fleet/route-private.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/x509.h"

G_DEFINE_QUARK(ash_route_error, ash_route_error)

enum {
	DEFAULT_BODY_BYTES = 64 << 10,
	DEFAULT_LIMIT = 100,
	/* Of one address that has not shown who it is: many operators may share one. */
	ADDRESS_FACTOR = 4,
	BURST_FACTOR = 4,
};

/* Of this process: made before the first call. */
static struct {
	AshRouter *router;
	AshMetrics *metrics;
	AshLimit *hosts, *operators, *addresses;
} table;

void ash_route_prepare(AshServer *server)
{
	const AshFleetConfig *config = server->config;

	table.router = ash_router_new(ash_routes);
	table.metrics = ash_metrics_new(table.router);
	table.hosts = ash_limit_new(config->rate_hosts, BURST_FACTOR * config->rate_hosts);
	table.operators = ash_limit_new(
			config->rate_operators, BURST_FACTOR * config->rate_operators);
	table.addresses = ash_limit_new(ADDRESS_FACTOR * config->rate_operators,
			ADDRESS_FACTOR * BURST_FACTOR * config->rate_operators);
}

void ash_route_finish(void)
{
	g_clear_pointer(&table.metrics, ash_metrics_free);
	g_clear_pointer(&table.router, ash_router_free);
	g_clear_pointer(&table.hosts, ash_limit_free);
	g_clear_pointer(&table.operators, ash_limit_free);
	g_clear_pointer(&table.addresses, ash_limit_free);
}

AshMetrics *ash_route_metrics(void)
{
	return table.metrics;
}

/* ---- a request's life ---- */

static void request_unref(gpointer data)
{
	AshRouteRequest *request = data;

	if (!g_atomic_int_dec_and_test(&request->references))
		return;
	ash_router_match_clear(&request->match);
	ash_operator_unref(request->operator);
	g_clear_pointer(&request->document, json_node_unref);
	g_clear_pointer(&request->kept, g_ptr_array_unref);
	g_free(request);
}
typedef AshRouteRequest HeldRequest;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HeldRequest, request_unref)

const char *ash_route_keep(AshRequest *request, char *take_text)
{
	AshRouteRequest *private = (AshRouteRequest *) request;

	if (private->kept == NULL)
	private->kept = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(private->kept, take_text);
	return take_text;
}

/* ---- answers ---- */

/* Errors of everybody's domains that are the client's doing, or pass by themselves. */
typedef struct {
	GQuark (*domain)(void);
	int code;
	unsigned status, retry_s;
	const char *kind;
	const char *text; /* NULL: the error's own */
} Meaning;

static const Meaning meanings[] = {
		{ash_route_error_quark, ASH_ROUTE_ERROR_REQUEST, 400, 0, "request", NULL},
		{ash_route_error_quark, ASH_ROUTE_ERROR_FORBIDDEN, 403, 0, "forbidden", NULL},
		{ash_route_error_quark, ASH_ROUTE_ERROR_NOT_FOUND, 404, 0, "not-found", NULL},
		{ash_route_error_quark, ASH_ROUTE_ERROR_CONFLICT, 409, 0, "conflict", NULL},
		{ash_route_error_quark, ASH_ROUTE_ERROR_GONE, 410, 0, "gone", NULL},
		{ash_route_error_quark, ASH_ROUTE_ERROR_BUSY, 503, 5, "busy", NULL},
		{ash_route_error_quark, ASH_ROUTE_ERROR_UNAUTHORIZED, 401, 0, "unauthorized", NULL},
		{ash_route_error_quark, ASH_ROUTE_ERROR_TOO_MANY, 429, 10, "rate", NULL},
		{ash_route_error_quark, ASH_ROUTE_ERROR_TYPE, 415, 0, "type", NULL},
		{ash_operator_error_quark, ASH_OPERATOR_ERROR_REFUSED, 401, 0, "unauthorized",
				NULL},
		{ash_operator_error_quark, ASH_OPERATOR_ERROR_CSRF, 403, 0, "csrf", NULL},
		{ash_operator_error_quark, ASH_OPERATOR_ERROR_LATER, 429, 10, "rate", NULL},
		{ash_operator_error_quark, ASH_OPERATOR_ERROR_BUSY, 503, 2, "busy", NULL},
		{ash_json_error_quark, ASH_JSON_ERROR_SYNTAX, 400, 0, "request", NULL},
		{ash_json_error_quark, ASH_JSON_ERROR_TYPE, 400, 0, "request", NULL},
		{ash_json_error_quark, ASH_JSON_ERROR_LIMIT, 400, 0, "request", NULL},
		{ash_selector_error_quark, ASH_SELECTOR_ERROR_SYNTAX, 400, 0, "selector", NULL},
		{ash_selector_error_quark, ASH_SELECTOR_ERROR_LIMIT, 400, 0, "selector", NULL},
		{ash_x509_error_quark, ASH_X509_ERROR_PARSE, 400, 0, "request", NULL},
		{ash_x509_error_quark, ASH_X509_ERROR_KEY, 400, 0, "request", NULL},
		{ash_x509_error_quark, ASH_X509_ERROR_SIGNATURE, 400, 0, "request", NULL},
		{ash_db_error_quark, ASH_DB_ERROR_CONFLICT, 409, 0, "conflict",
				"Somebody else has changed it meanwhile, or it is there already."},
		{ash_db_error_quark, ASH_DB_ERROR_LOST, 503, 5, "database",
				"The database does not answer."},
		{ash_db_error_quark, ASH_DB_ERROR_FULL, 503, 30, "database",
				"The database has no room, or may only be read."},
		{ash_db_error_quark, ASH_DB_ERROR_BUSY, 503, 5, "database",
				"The database is held by another process."},
};

static const Meaning *meaning_of(const GError *error)
{
	for (size_t i = 0; i < G_N_ELEMENTS(meanings); i++)
		if (error->domain == meanings[i].domain() && error->code == meanings[i].code)
			return &meanings[i];
	return NULL;
}

void ash_route_fail(AshRequest *request, const GError *error)
{
	const Meaning *meaning = meaning_of(error);

	if (meaning == NULL || meaning->text != NULL)
		g_warning("%s %s: %s", ash_http_method(request->call), request->route->pattern,
				error->message);
	if (meaning == NULL) {
		ash_http_reply_error(request->call, 500, "failed",
				"Something went wrong in the server; its log says what.");
		return;
	}
	if (meaning->status == 401)
		ash_http_add_header(request->call, "WWW-Authenticate", "Bearer");
	const char *text = meaning->text != NULL ? meaning->text : error->message;
	if (meaning->retry_s > 0)
		ash_http_reply_later(request->call, meaning->status, meaning->retry_s,
				meaning->kind, text);
	else
		ash_http_reply_error(request->call, meaning->status, meaning->kind, "%s", text);
}

gboolean ash_route_reply(AshRequest *request, JsonBuilder *builder)
{
	json_builder_end_object(builder);
	ash_http_reply_json(request->call, 200, ash_json_format(builder, false));
	return TRUE;
}

gboolean ash_route_reply_empty(AshRequest *request)
{
	ash_http_reply(request->call, 204, NULL, NULL);
	return TRUE;
}

const char *ash_route_argument(AshRequest *request, const char *name)
{
	const char *value = ash_http_argument(request->call, name);

	return value != NULL ? value : "";
}

const char *ash_route_part(AshRequest *request, unsigned index)
{
	g_assert(index < request->parts->len);
	return g_ptr_array_index(request->parts, index);
}

gboolean ash_route_audit(AshRequest *request, const char *action, const char *object,
		const char *before, const char *after, GError **error)
{
	const AshAudit audit = {.at_s = request->server->now(),
			.actor = request->actor,
			.role = request->role == ASH_ROLE_HOST ? "host"
							       : ash_role_text(request->role),
			.address = ash_http_peer(request->call),
			.action = action,
			.object = object,
			.reason = request->reason,
			.before = before,
			.after = after};

	return ash_audit_append(request->db, &audit, error);
}

int64_t ash_route_limit(AshRequest *request)
{
	const char *text = ash_http_argument(request->call, "limit");
	gint64 limit = DEFAULT_LIMIT;

	/* It was checked to be one. */
	if (text != NULL && !g_ascii_string_to_signed(text, 10, 1, 1000, &limit, NULL))
		limit = DEFAULT_LIMIT;
	return limit;
}

const char *ash_route_after(AshRequest *request)
{
	return ash_route_argument(request, "after");
}

/* ---- in ---- */

static bool is_get(const AshRoute *route)
{
	return strcmp(route->method, "GET") == 0;
}

static void answer_no_route(AshHttpCall *call, const AshRouterMatch *match)
{
	if (match->allow == NULL) {
		ash_http_reply_error(call, 404, "not-found", "there is nothing at this address");
		return;
	}
	ash_http_add_header(call, "Allow", match->allow);
	ash_http_reply_error(call, 405, "method", "this address takes %s", match->allow);
}

static bool within(AshLimit *limit, const char *key, AshHttpCall *call)
{
	unsigned retry_s = 0;

	if (ash_limit_take(limit, key, g_get_monotonic_time(), &retry_s))
		return true;
	ash_http_reply_later(call, 429, retry_s, "rate", "Too many requests; ask again later.");
	return false;
}

/* What is cheap and open to all (the page, files, /healthz) has no limit but the connections'. */
static bool admit_request(AshRequest *request)
{
	const AshRoute *route = request->route;

	if (route->role == ASH_ROLE_HOST)
		return ash_route_admit_host(request) &&
		       within(table.hosts, request->actor, request->call);
	return (route->is_direct && is_get(route)) || route->is_unlimited ||
	       within(table.addresses, ash_http_peer(request->call), request->call);
}

/* What is larger than usual is taken into memory only from who may send it. A statement at most, for few routes. */
static size_t body_limit(AshRequest *request)
{
	const AshRoute *route = request->route;
	g_autoptr(AshOperator) who = NULL;
	const AshOperatorProof proof = {
			.authorization = ash_http_header(request->call, "Authorization"),
			.cookie = ash_http_header(request->call, "Cookie"),
	};

	if (route->max_body_bytes <= DEFAULT_BODY_BYTES || route->role < ASH_ROLE_VIEWER)
		return route->max_body_bytes > 0 ? route->max_body_bytes : DEFAULT_BODY_BYTES;
	if (!ash_operator_identify(request->server->operators, NULL, &proof, &who, NULL) ||
			who == NULL || who->role < route->role)
		return DEFAULT_BODY_BYTES;
	return route->max_body_bytes;
}

size_t ash_route_admit(AshHttpCall *call, gpointer data)
{
	AshServer *server = data;
	g_auto(AshRouterMatch) match = {0};

	ash_router_match(table.router, ash_http_method(call), ash_http_path(call), &match);
	if (match.route == NULL) {
		answer_no_route(call, &match);
		return 0;
	}
	AshRouteRequest *request = g_new0(AshRouteRequest, 1);
	request->references = 1;
	request->match = match;
	match = (AshRouterMatch){0};
	request->public = (AshRequest){.server = server,
			.call = call,
			.route = request->match.route,
			.parts = request->match.parts,
			.actor = "",
			.scope = "",
			.reason = ""};
	ash_http_set_data(call, request, request_unref);
	const AshRoute *route = request->public.route;
	if (!admit_request(&request->public) || is_get(route))
		return 0;
	return body_limit(&request->public);
}

/* ---- running ---- */

static void run(AshRequest *request)
{
	g_autoptr(GError) error = NULL;

	if (!request->route->run(request, &error)) {
		g_assert(error != NULL);
		ash_route_fail(request, error);
	}
}

static gboolean need_role(AshRequest *request, GError **error)
{
	AshRole least = request->route->role;

	if (least == ASH_ROLE_NONE || request->role >= least)
		return TRUE;
	if (request->role == ASH_ROLE_NONE)
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_UNAUTHORIZED,
				"This needs a token (Authorization: Bearer) or a session.");
	return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_FORBIDDEN,
			"This needs the role %s; yours is %s.", ash_role_text(least),
			ash_role_text(request->role));
}

/* Who, what, and may they, in this order: whoever may not learns nothing of what would have been wrong. */
static gboolean prepare(AshRouteRequest *request, GError **error)
{
	AshRequest *public = &request->public;
	unsigned retry_s = 0;

	if (!ash_db_pool_take(public->server->pool, &public->db, error))
		return FALSE;
	if (public->route->role != ASH_ROLE_HOST &&
			(public->route->role != ASH_ROLE_NONE &&
					(!ash_route_authenticate(request, error) ||
							!need_role(public, error))))
		return FALSE;
	if (request->operator!= NULL && !ash_limit_take(
			    table.operators, public->actor, g_get_monotonic_time(), &retry_s))
		return ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_TOO_MANY,
				"Too many requests; ask again later.");
	return ash_route_check_arguments(public, error) && ash_route_check_body(request, error);
}

static void work(AshHttpCall *call, gpointer data)
{
	g_autoptr(HeldRequest) request = data;
	g_autoptr(GError) error = NULL;

	if (prepare(request, &error))
		run(&request->public);
	else
		ash_route_fail(&request->public, error);
	/* The call may be gone by now; the request is held. */
	ash_db_give(g_steal_pointer(&request->public.db));
}

void ash_route_handle(AshHttpCall *call, gpointer server)
{
	AshRouteRequest *request = ash_http_data(call);

	if (request->public.route->is_direct) {
		run(&request->public);
		return;
	}
	g_atomic_int_inc(&request->references);
	if (!ash_http_blocking(call, work, request))
		request_unref(request);
}

void ash_route_ended(AshHttpCall *call, unsigned status, int64_t took_us, gpointer server)
{
	AshRouteRequest *request = ash_http_data(call);

	ash_metrics_count(table.metrics, request != NULL ? (int) request->match.index : -1, status,
			took_us);
}
