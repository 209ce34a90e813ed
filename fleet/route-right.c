/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/ca.h"
#include "fleet/route-private.h"
#include "lib/error.h"

/* ---- hosts ---- */

static void refuse_state(AshRequest *request, const AshHost *host)
{
	unsigned next_s = (unsigned) request->server->config->poll_s;

	switch (host->state) {
	case ASH_HOST_HELD:
		ash_http_reply_later(request->call, 403, next_s, "held",
				"This host is held by an operator, or another one has its identity.");
		return;
	case ASH_HOST_PENDING:
		ash_http_reply_later(request->call, 403, next_s, "pending",
				"This host waits for an operator's approval.");
		return;
	case ASH_HOST_RETIRED:
	case ASH_HOST_ACTIVE:
		break;
	}
	ash_http_reply_error(request->call, 403, "retired", "This host was retired.");
}

bool ash_route_admit_host(AshRequest *request)
{
	AshServer *server = request->server;
	const char *key = ash_http_peer_key(request->call);
	const char *serial = ash_http_peer_serial(request->call);
	uint8_t id[ASH_HOST_ID_BYTES];
	g_auto(AshHost) host = {0};

	if (key == NULL || serial == NULL || !ash_host_id_parse(key, id)) {
		ash_http_reply_error(request->call, 401, "certificate",
				"This needs a client certificate of this fleet that has not ended.");
		return false;
	}
	bool is_known = ash_live_get(server->live, id, &host);
	if (is_known && host.state != ASH_HOST_ACTIVE &&
			!(request->route->takes_held && ash_host_may_report(&host))) {
		refuse_state(request, &host);
		return false;
	}
	if (ash_ca_is_revoked(server->ca, serial)) {
		ash_http_reply_error(
				request->call, 403, "revoked", "This certificate was withdrawn.");
		return false;
	}
	if (!is_known) {
		ash_http_reply_error(request->call, 403, "unknown",
				"This fleet does not know this host (any more).");
		return false;
	}
	request->role = ASH_ROLE_HOST;
	request->actor = key;
	return true;
}

/* ---- operators ---- */

gboolean ash_route_authenticate(AshRouteRequest *request, GError **error)
{
	AshRequest *public = &request->public;
	const char *method = ash_http_method(public->call);
	const AshOperatorProof proof = {
			.authorization = ash_http_header(public->call, "Authorization"),
			.cookie = ash_http_header(public->call, "Cookie"),
			.csrf = ash_http_header(public->call, ASH_OPERATOR_CSRF_HEADER),
			.is_change = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0,
	};

	if (!ash_operator_identify(public->server->operators, public->db, &proof,
			    &request->operator, error))
		return FALSE;
	if (request->operator== NULL)
		return TRUE;
	public->role = request->operator->role;
	public->actor = request->operator->actor;
	public->scope = request->operator->scope;
	public->is_session = request->operator->is_session;
	public->expires_at = request->operator->expires_at;
	return TRUE;
}

bool ash_route_may_host(AshRequest *request, const char *host_id)
{
	AshRouteRequest *private = (AshRouteRequest *) request;
	uint8_t id[ASH_HOST_ID_BYTES];
	g_auto(AshHost) host = {0};

	if (private->operator== NULL || private->operator->selector == NULL)
		return true;
	return ash_host_id_parse(host_id, id) && ash_live_get(request->server->live, id, &host) &&
	       ash_selector_matches(private->operator->selector, &host, request->server->now());
}

gboolean ash_route_need_all_hosts(AshRequest *request, const char *what, GError **error)
{
	return *request->scope == '\0' ||
	       ash_throw(error, ASH_ROUTE_ERROR, ASH_ROUTE_ERROR_FORBIDDEN,
			       "%s of all hosts, your scope is not", what);
}
