/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/plumbing.h"

#include <string.h>

#include "fleet/ca.h"
#include "fleet/server.h"
#include "lib/crypto.h"
#include "lib/json.h"

/* 200: calls are answered and the database is written. What is wrong is for operators (GET /v1/overview). */
static gboolean healthz(AshRequest *request, GError **error)
{
	AshWriterCounts counts = {0};

	ash_writer_counts(request->server->writer, &counts);
	if (counts.is_failing)
		ash_http_reply_later(request->call, 503, 5, "database",
				"The last reports could not be written.");
	else
		ash_http_reply_json(request->call, 200, g_strdup("{\"ok\":true}\n"));
	return TRUE;
}

static gboolean crl(AshRequest *request, GError **error)
{
	g_autoptr(GBytes) der = NULL;

	if (!ash_ca_crl(request->server->ca, request->server->now(), &der, error))
		return FALSE;
	ash_http_reply(request->call, 200, "application/pkix-crl", g_steal_pointer(&der));
	return TRUE;
}

/* The table does not change while the program runs, and neither does its document. */
static GBytes *document(char **out_etag)
{
	static gsize once = 0;
	static GBytes *bytes = NULL;
	static char *etag = NULL;

	if (g_once_init_enter(&once)) {
		char *text = ash_route_openapi(ash_routes);
		g_autofree char *digest = ash_sha256_hex(text, strlen(text));
		bytes = g_bytes_new_take(text, strlen(text));
		etag = g_strdup_printf("\"%.16s\"", digest);
		g_once_init_leave(&once, 1);
	}
	*out_etag = etag;
	return bytes;
}

static gboolean openapi(AshRequest *request, GError **error)
{
	char *etag = NULL;
	GBytes *bytes = document(&etag);

	ash_http_add_header(request->call, "Cache-Control", "no-cache");
	ash_http_add_header(request->call, "ETag", etag);
	if (g_strcmp0(ash_http_header(request->call, "If-None-Match"), etag) == 0)
		ash_http_reply(request->call, 304, NULL, NULL);
	else
		ash_http_reply(request->call, 200, "application/json", g_bytes_ref(bytes));
	return TRUE;
}

const AshRoute ash_plumbing_routes[] = {
		{"GET", "/healthz", ASH_ROLE_NONE, "Is this server well?", healthz,
				.answer = "{\"ok\":true}", .is_direct = true},
		{"GET", "/v1/crl", ASH_ROLE_NONE, "The withdrawn certificates, as a DER list", crl},
		{"GET", "/v1/openapi.json", ASH_ROLE_NONE, "This document", openapi,
				.is_direct = true},
		{NULL},
};
