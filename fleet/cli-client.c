/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/cli-client.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/fetch-request.h"
#include "lib/file.h"
#include "lib/interrupt.h"
#include "lib/json.h"
#include "lib/x509.h"

G_DEFINE_QUARK(ash_cli_client_error, ash_cli_client_error)

enum {
	MAX_SETTINGS = 256 << 10,
	MAX_DEPTH = 32,
	MAX_EVENT = 1 << 20,
	TIMEOUT_MS = 120000,
	SILENCE_S = 90, /* the server says something more often than that */
	MAX_PAUSE_S = 30,
};

struct AshCliClient {
	char *url, *token, *ca;
	AshFetchSession *session;
	char *authorization;
};

/* ---- what is kept ---- */

static char *settings_path(void)
{
	return g_build_filename(g_get_user_config_dir(), "ashlar", "fleet.json", NULL);
}

static gboolean load(AshCliClient *client, GError **error)
{
	g_autofree char *path = settings_path();
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_file_read(AT_FDCWD, path, MAX_SETTINGS, &bytes, &local)) {
		if (g_error_matches(local, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
			return TRUE;
		g_propagate_error(error, g_steal_pointer(&local));
		return FALSE;
	}
	ASH_PREFIX("%s", path);
	if (!ash_json_parse(bytes, MAX_SETTINGS, 2, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_SETTINGS,
				"not an object; log in again");
	JsonObject *object = json_node_get_object(node);
	client->url = g_strdup(ash_json_find_text(object, "url"));
	client->token = g_strdup(ash_json_find_text(object, "token"));
	client->ca = g_strdup(ash_json_find_text(object, "ca"));
	return TRUE;
}

static gboolean load_environment(AshCliClient *client, GError **error)
{
	const char *url = g_getenv("ASHLAR_FLEET_URL"), *token = g_getenv("ASHLAR_FLEET_TOKEN");
	const char *ca = g_getenv("ASHLAR_FLEET_CA");
	g_autoptr(GBytes) pem = NULL;

	/* Another server's address does not get this one's token. */
	if (url != NULL && *url != '\0' && g_strcmp0(url, client->url) != 0) {
		g_clear_pointer(&client->token, g_free);
		g_clear_pointer(&client->ca, g_free);
		g_free(client->url);
		client->url = g_strdup(url);
	}
	if (token != NULL && *token != '\0') {
		g_free(client->token);
		client->token = g_strdup(token);
	}
	if (ca == NULL || *ca == '\0')
		return TRUE;
	ASH_PREFIX("ASHLAR_FLEET_CA");
	if (!ash_file_read(AT_FDCWD, ca, ASH_X509_MAX_PEM, &pem, error))
		return FALSE;
	g_free(client->ca);
	client->ca = g_strdup(g_bytes_get_data(pem, NULL));
	return TRUE;
}

static gboolean open_session(AshCliClient *client, bool is_unverified, GError **error)
{
	AshFetchOptions options = {.ca_pem = client->ca,
			.is_http_only = true,
			.is_unverified = is_unverified,
			.tries = 1};

	if (client->url == NULL || *client->url == '\0')
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_SETTINGS,
				"no server is known; run 'ashlar-fleet login URL', or set "
				"ASHLAR_FLEET_URL and ASHLAR_FLEET_TOKEN");
	if (!g_str_has_prefix(client->url, "https://") && !g_str_has_prefix(client->url, "http://"))
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_SETTINGS,
				"'%s' is not an address like https://fleet.example.org:8443",
				client->url);
	while (g_str_has_suffix(client->url, "/"))
		client->url[strlen(client->url) - 1] = '\0';
	for (const char *at = client->token; at != NULL && *at != '\0'; at++)
		if (!g_ascii_isgraph(*at))
			return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_SETTINGS,
					"the token holds a blank or a control character");
	if (client->token != NULL && *client->token != '\0')
		client->authorization = g_strconcat("Authorization: Bearer ", client->token, NULL);
	return ash_fetch_session_new(&options, &client->session, error);
}

gboolean ash_cli_client_new(AshCliClient **out_client, GError **error)
{
	g_autoptr(AshCliClient) client = g_new0(AshCliClient, 1);

	if (!load(client, error) || !load_environment(client, error) ||
			!open_session(client, false, error))
		return FALSE;
	if (client->authorization == NULL)
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_SETTINGS,
				"no token for %s; run 'ashlar-fleet login %s', or set "
				"ASHLAR_FLEET_TOKEN",
				client->url, client->url);
	*out_client = g_steal_pointer(&client);
	return TRUE;
}

void ash_cli_client_free(AshCliClient *client)
{
	if (client == NULL)
		return;
	g_clear_pointer(&client->session, ash_fetch_session_free);
	g_free(client->url);
	g_free(client->token);
	g_free(client->ca);
	g_free(client->authorization);
	g_free(client);
}

/* ---- a call ---- */

static AshCliClientError code_of(unsigned status)
{
	if (status == 401 || status == 403)
		return ASH_CLI_CLIENT_ERROR_DENIED;
	if (status == 404 || status == 410)
		return ASH_CLI_CLIENT_ERROR_NOT_FOUND;
	if (status == 409)
		return ASH_CLI_CLIENT_ERROR_CONFLICT;
	return status == 429 || status >= 500 ? ASH_CLI_CLIENT_ERROR_UNREACHABLE
					      : ASH_CLI_CLIENT_ERROR_REQUEST;
}

/* {"kind","text"} of the API, or what a server that is none says. */
static gboolean fail(const AshCliClient *client, const AshFetchAnswer *answer, GError **error)
{
	g_autoptr(JsonNode) node = NULL;
	const char *text = NULL;
	unsigned status = answer->status;

	if (ash_json_parse(answer->body, ASH_CLI_CLIENT_MAX_ANSWER, MAX_DEPTH, &node, NULL) &&
			JSON_NODE_HOLDS_OBJECT(node))
		text = ash_json_find_text(json_node_get_object(node), "text");
	const char *advice =
			status == 401 ? "; the token is not known any more: run 'ashlar-fleet login'"
			: status == 429 || status == 503 ? "; try again a little later"
							 : "";
	if (text == NULL)
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, (int) code_of(status),
				"%s answers with status %u%s", client->url, status, advice);
	return ash_throw(error, ASH_CLI_CLIENT_ERROR, (int) code_of(status), "%s%s", text, advice);
}

static gboolean request(AshCliClient *client, const char *method, const char *path,
		const char *body, AshFetchAnswer **out_answer, GError **error)
{
	g_autofree char *url = g_strconcat(client->url, path, NULL);
	const char *const headers[] = {client->authorization, NULL};
	g_autoptr(AshFetchAnswer) answer = NULL;
	AshFetchRequest what = {.method = method,
			.url = url,
			.headers = headers,
			.body = body,
			.timeout_ms = TIMEOUT_MS,
			.max_bytes = ASH_CLI_CLIENT_MAX_ANSWER};

	if (!ash_fetch_session_request(client->session, &what, &answer, error))
		return FALSE;
	if (answer->status < 200 || answer->status > 299)
		return fail(client, answer, error);
	*out_answer = g_steal_pointer(&answer);
	return TRUE;
}

gboolean ash_cli_client_call(AshCliClient *client, const char *method, const char *path,
		const char *body, JsonNode **out_node, GError **error)
{
	g_autoptr(AshFetchAnswer) answer = NULL;
	g_autoptr(JsonNode) node = NULL;

	if (!request(client, method, path, body, &answer, error))
		return FALSE;
	if (g_bytes_get_size(answer->body) > 0 &&
			!ash_json_parse(answer->body, ASH_CLI_CLIENT_MAX_ANSWER, MAX_DEPTH, &node,
					error)) {
		g_prefix_error(error, "the answer of %s: ", client->url);
		return FALSE;
	}
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

gboolean ash_cli_client_text(
		AshCliClient *client, const char *path, char **out_text, GError **error)
{
	g_autoptr(AshFetchAnswer) answer = NULL;

	if (!request(client, "GET", path, NULL, &answer, error))
		return FALSE;
	*out_text = g_strdup(g_bytes_get_data(answer->body, NULL));
	return TRUE;
}

/* ---- the stream ---- */

typedef struct {
	GString *line, *data;
	int64_t last;
	AshCliEach each;
	gpointer of;
	bool is_done; /* the caller has seen enough */
	bool came;    /* something came over this connection */
} Stream;

static gboolean end_event(Stream *stream, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(stream->data->str, stream->data->len);
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) local = NULL;

	if (stream->data->len == 0)
		return TRUE;
	g_string_truncate(stream->data, 0);
	if (!ash_json_parse(bytes, MAX_EVENT, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return TRUE;
	stream->last = MAX(stream->last,
			(int64_t) ash_json_find_uint(json_node_get_object(node), "seq"));
	if (stream->each(json_node_get_object(node), stream->of, &local))
		return TRUE;
	stream->is_done = true;
	if (local != NULL)
		g_propagate_error(error, g_steal_pointer(&local));
	else
		ash_throw(error, G_IO_ERROR, G_IO_ERROR_CLOSED, "enough");
	return FALSE;
}

static gboolean take_piece(const char *data, size_t size, gpointer of, GError **error)
{
	Stream *stream = of;

	stream->came = true;
	for (size_t i = 0; i < size; i++) {
		if (data[i] != '\n') {
			g_string_append_c(stream->line, data[i]);
			if (stream->line->len + stream->data->len > MAX_EVENT)
				return ash_throw(error, ASH_CLI_CLIENT_ERROR,
						ASH_CLI_CLIENT_ERROR_ANSWER,
						"an event of the stream is too large");
			continue;
		}
		if (g_str_has_prefix(stream->line->str, "data:"))
			g_string_append(stream->data, stream->line->str + 5);
		else if (stream->line->len == 0 && !end_event(stream, error))
			return FALSE;
		g_string_truncate(stream->line, 0);
	}
	return TRUE;
}

static gboolean follow_once(AshCliClient *client, Stream *stream, GError **error)
{
	g_autofree char *path =
			stream->last >= 0 ? g_strdup_printf("%s/v1/stream?after=%" G_GINT64_FORMAT,
							    client->url, stream->last)
					  : g_strdup_printf("%s/v1/stream", client->url);
	const char *const headers[] = {client->authorization, "Accept: text/event-stream", NULL};
	g_autoptr(AshFetchAnswer) answer = NULL;
	AshFetchRequest what = {.url = path,
			.headers = headers,
			.silence_s = SILENCE_S,
			.max_bytes = MAX_EVENT,
			.on_piece = take_piece,
			.data = stream};

	g_string_truncate(stream->line, 0);
	g_string_truncate(stream->data, 0);
	if (!ash_fetch_session_request(client->session, &what, &answer, error))
		return FALSE;
	return answer->status == 200 ? TRUE : fail(client, answer, error);
}

static bool may_pass(const GError *error)
{
	return error->domain == ASH_FETCH_ERROR ||
	       g_error_matches(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_UNREACHABLE);
}

/* FALSE: interrupted. */
static gboolean pause_for(unsigned seconds, GError **error)
{
	GPollFD wait = {.fd = ash_interrupt_fd(), .events = G_IO_IN};

	g_poll(&wait, wait.fd >= 0 ? 1 : 0, (gint) seconds * 1000);
	return ash_interrupt_check(error);
}

gboolean ash_cli_client_follow(
		AshCliClient *client, int64_t after, AshCliEach each, gpointer data, GError **error)
{
	g_autoptr(GString) line = g_string_new(NULL);
	g_autoptr(GString) text = g_string_new(NULL);
	Stream stream = {.line = line, .data = text, .last = after, .each = each, .of = data};
	unsigned pause_s = 1;

	for (;;) {
		g_autoptr(GError) local = NULL;
		stream.came = false;
		gboolean ok = follow_once(client, &stream, &local);
		if (stream.is_done && g_error_matches(local, G_IO_ERROR, G_IO_ERROR_CLOSED))
			return TRUE;
		if (!ok && (stream.is_done || !may_pass(local))) {
			g_propagate_error(error, g_steal_pointer(&local));
			return FALSE;
		}
		pause_s = stream.came ? 1 : MIN(pause_s * 2, MAX_PAUSE_S);
		if (!pause_for(pause_s, error))
			return FALSE;
	}
}

/* ---- login ---- */

static gboolean take_ca(AshCliClient *client, const char *fingerprint, GError **error)
{
	g_autofree char *pem = NULL, *wanted = g_ascii_strdown(fingerprint, -1);
	g_auto(AshX509Info) info = {0};

	g_strdelimit(wanted, ":", ' ');
	g_auto(GStrv) parts = g_strsplit(wanted, " ", -1);
	g_free(wanted);
	wanted = g_strjoinv("", parts);
	if (!open_session(client, true, error) ||
			!ash_cli_client_text(client, "/v1/ca", &pem, error) ||
			!ash_x509_info_parse(pem, &info, error))
		return FALSE;
	if (strcmp(info.fingerprint, wanted) != 0 && strcmp(info.sha256, wanted) != 0)
		return ash_throw(error, ASH_FETCH_ERROR, ASH_FETCH_ERROR_TLS,
				"%s has an authority with the fingerprint %s, which is another one",
				client->url, info.fingerprint);
	g_clear_pointer(&client->session, ash_fetch_session_free);
	client->ca = g_steal_pointer(&pem);
	return TRUE;
}

static gboolean save(const AshCliClient *client, GError **error)
{
	g_autofree char *path = settings_path(), *dir = g_path_get_dirname(path);
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_json_add_text(builder, "url", client->url);
	ash_json_add_text(builder, "token", client->token);
	ash_json_add_text(builder, "ca", client->ca);
	json_builder_end_object(builder);
	g_autofree char *text = ash_json_format(builder, true);
	return ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) &&
	       ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, error);
}

gboolean ash_cli_client_login(const char *url, const char *token, const char *ca_pem,
		const char *fingerprint, char **out_name, GError **error)
{
	g_autoptr(AshCliClient) client = g_new0(AshCliClient, 1);
	g_autoptr(JsonNode) node = NULL;

	client->url = g_strdup(url);
	client->ca = g_strdup(ca_pem);
	if (fingerprint != NULL && !take_ca(client, fingerprint, error))
		return FALSE;
	client->token = g_strdup(token);
	if (!open_session(client, false, error) ||
			!ash_cli_client_call(client, "GET", "/v1/session", NULL, &node, error) ||
			!save(client, error))
		return FALSE;
	const char *name = node != NULL && JSON_NODE_HOLDS_OBJECT(node)
					   ? ash_json_find_text(json_node_get_object(node), "name")
					   : NULL;
	*out_name = g_strdup(name != NULL ? name : "");
	return TRUE;
}

gboolean ash_cli_client_logout(GError **error)
{
	g_autofree char *path = settings_path();

	if (unlink(path) != 0 && errno != ENOENT)
		return ash_throw_errno(error, "unlink(%s)", path);
	return TRUE;
}

char *ash_cli_escape(const char *text)
{
	return g_uri_escape_string(text, NULL, FALSE);
}
