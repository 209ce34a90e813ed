/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/web.h"

#include <string.h>

#define POLICY                                                                                     \
	"default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "             \
	"frame-ancestors 'none'"

/* RFC 9110 §12.5.3, as far as it matters here: is gzip listed, and not refused by a weight of zero? */
static bool takes_gzip(const char *accept)
{
	g_auto(GStrv) codings = g_strsplit(accept ? accept : "", ",", 32);
	for (char **coding = codings; *coding; coding++) {
		char *weight = strchr(*coding, ';');
		if (weight)
			*weight++ = '\0';
		const char *name = g_strstrip(*coding);
		if (g_ascii_strcasecmp(name, "gzip") != 0 && strcmp(name, "*") != 0)
			continue;
		const char *q = weight ? strchr(weight, '=') : NULL;
		return !q || g_ascii_strtod(q + 1, NULL) > 0;
	}
	return false;
}

static bool is_known_already(const AshHttpCall *call, const char *etag)
{
	const char *known = ash_http_header(call, "If-None-Match");
	g_auto(GStrv) tags = g_strsplit(known ? known : "", ",", 32);
	for (char **tag = tags; *tag; tag++) {
		const char *text = g_strstrip(*tag);
		if (g_str_has_prefix(text, "W/"))
			text += 2;
		if (strcmp(text, etag) == 0 || strcmp(text, "*") == 0)
			return true;
	}
	return false;
}

void ash_web_reply(AshHttpCall *call)
{
	const char *path = ash_http_path(call);
	bool is_page = !g_str_has_prefix(path, "/web/");
	AshWebFile file;

	/* The page itself is small; testssl.sh takes any gzip there for a sign of BREACH. */
	bool is_gzip = !is_page && takes_gzip(ash_http_header(call, "Accept-Encoding"));
	if (!ash_web_find(is_page ? "/" : path, is_gzip, &file)) {
		ash_http_reply_error(call, 404, "not-found", "there is no such file of the page");
		return;
	}
	ash_http_add_header(call, "ETag", file.etag);
	ash_http_add_header(call, "Vary", "Accept-Encoding");
	ash_http_add_header(call, "Cache-Control",
			file.is_forever ? "public, max-age=31536000, immutable" : "no-cache");
	ash_http_add_header(call, "Content-Security-Policy", POLICY);
	ash_http_add_header(call, "X-Content-Type-Options", "nosniff");
	ash_http_add_header(call, "Referrer-Policy", "no-referrer");
	/* It would rule for everything else on a machine's own localhost. */
	const char *host = ash_http_header(call, "Host");
	if (ash_http_is_secure(call) && host != NULL && !g_str_has_prefix(host, "localhost"))
		ash_http_add_header(call, "Strict-Transport-Security", "max-age=31536000");
	if (is_known_already(call, file.etag)) {
		ash_http_reply(call, 304, NULL, NULL);
		return;
	}
	if (file.is_gzip)
		ash_http_add_header(call, "Content-Encoding", "gzip");
	ash_http_reply(call, 200, file.type, g_bytes_ref(file.bytes));
}

static gboolean run(AshRequest *request, GError **error)
{
	ash_web_reply(request->call);
	return TRUE;
}

/* The page's own addresses, so that a link into it can be opened: app.mjs has the same ones. */
#define PAGE(path)                                                                                 \
	{                                                                                          \
		"GET", path, ASH_ROLE_NONE, "The page", run, .is_direct = true                     \
	}
const AshRoute ash_web_routes[] = {
		PAGE("/"),
		PAGE("/web/{build}/{file}"),
		PAGE("/hosts"),
		PAGE("/hosts/{id}"),
		PAGE("/rollouts"),
		PAGE("/rollouts/new"),
		PAGE("/rollouts/{id}"),
		PAGE("/releases"),
		PAGE("/releases/{id}"),
		PAGE("/channels"),
		PAGE("/workloads"),
		PAGE("/workloads/{name}"),
		PAGE("/assignments/{id}"),
		PAGE("/devices"),
		PAGE("/devices/{id}"),
		PAGE("/joining"),
		PAGE("/locks"),
		PAGE("/access"),
		PAGE("/activity"),
		PAGE("/audit"),
		{0},
};
