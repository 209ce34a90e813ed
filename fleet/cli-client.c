/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/cli-client.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "fleet/operator.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/x509.h"

G_DEFINE_QUARK(ash_cli_client_error, ash_cli_client_error)

enum {
	MAX_SETTINGS = 256 << 10,
	MAX_DEPTH = 32,
	MAX_REFUSAL = 1 << 20,
	TIMEOUT_MS = 120000,
	SILENCE_S = 90, /* the server says something more often than that */
};

struct AshCliClient {
	char *url, *ca;
	char *token;                /* ID.SECRET, or */
	char *name, *cookie, *csrf; /* a session of who has a password */
	AshFetchSession *session;
	char *authorization, *proof; /* headers; the second is for changes */
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
	client->name = g_strdup(ash_json_find_text(object, "name"));
	client->cookie = g_strdup(ash_json_find_text(object, "session"));
	client->csrf = g_strdup(ash_json_find_text(object, "csrf"));
	client->ca = g_strdup(ash_json_find_text(object, "ca"));
	return TRUE;
}

static void forget_who(AshCliClient *client)
{
	g_clear_pointer(&client->token, g_free);
	g_clear_pointer(&client->name, g_free);
	g_clear_pointer(&client->cookie, g_free);
	g_clear_pointer(&client->csrf, g_free);
}

static gboolean load_environment(AshCliClient *client, GError **error)
{
	const char *url = g_getenv("ASHLAR_FLEET_URL"), *token = g_getenv("ASHLAR_FLEET_TOKEN");
	const char *ca = g_getenv("ASHLAR_FLEET_CA");
	g_autoptr(GBytes) pem = NULL;

	/* Another server's address does not get this one's token. */
	if (url != NULL && *url != '\0' && g_strcmp0(url, client->url) != 0) {
		forget_who(client);
		g_clear_pointer(&client->ca, g_free);
		g_free(client->url);
		client->url = g_strdup(url);
	}
	if (token != NULL && *token != '\0') {
		forget_who(client);
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

static bool is_graphic(const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		if (!g_ascii_isgraph(*text))
			return false;
	return true;
}

static gboolean make_headers(AshCliClient *client, GError **error)
{
	if (!is_graphic(client->token) || !is_graphic(client->cookie) || !is_graphic(client->csrf))
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_SETTINGS,
				"the token holds a blank or a control character");
	g_clear_pointer(&client->authorization, g_free);
	g_clear_pointer(&client->proof, g_free);
	if (client->token != NULL && *client->token != '\0') {
		client->authorization = g_strconcat("Authorization: Bearer ", client->token, NULL);
	} else if (client->cookie != NULL && client->csrf != NULL) {
		client->authorization = g_strconcat(
				"Cookie: " ASH_OPERATOR_COOKIE "=", client->cookie, NULL);
		client->proof = g_strconcat(ASH_OPERATOR_CSRF_HEADER ": ", client->csrf, NULL);
	}
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
	if (!make_headers(client, error))
		return FALSE;
	g_clear_pointer(&client->session, ash_fetch_session_free);
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
	g_free(client->ca);
	forget_who(client);
	g_free(client->authorization);
	g_free(client->proof);
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

/* What a version of a workload may touch more, where that is why: a line for each. */
static char *changes_text(JsonObject *object)
{
	JsonArray *changes = ash_json_find_objects(object, "changes");
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; changes != NULL && i < json_array_get_length(changes); i++) {
		JsonObject *change = json_array_get_object_element(changes, i);
		const char *kind = ash_json_find_text(change, "kind");
		const char *name = ash_json_find_text(change, "name");
		const char *from = ash_json_find_text(change, "from");
		const char *to = ash_json_find_text(change, "to");
		if (ash_json_find_bool(change, "is_wider"))
			g_string_append_printf(text, "\n  %s %s: %s → %s", kind != NULL ? kind : "",
					name != NULL ? name : "",
					from != NULL && *from != '\0' ? from : "none",
					to != NULL && *to != '\0' ? to : "none");
	}
	return g_string_free(g_steal_pointer(&text), FALSE);
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
	const char *advice = status == 401                    ? "; run 'ashlar-fleet login'"
			     : status == 429 || status == 503 ? "; try again a little later"
							      : "";
	if (text == NULL)
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, (int) code_of(status),
				"%s answers with status %u%s", client->url, status, advice);
	g_autofree char *changes = changes_text(json_node_get_object(node));
	return ash_throw(error, ASH_CLI_CLIENT_ERROR, (int) code_of(status), "%s%s%s", text, advice,
			changes);
}

static gboolean request(AshCliClient *client, const char *method, const char *path,
		const char *body, AshFetchAnswer **out_answer, GError **error)
{
	g_autofree char *url = g_strconcat(client->url, path, NULL);
	const char *const headers[] = {client->authorization, client->proof, NULL};
	const char *const wanted[] = {"Set-Cookie", NULL};
	g_autoptr(AshFetchAnswer) answer = NULL;
	AshFetchRequest what = {.method = method,
			.wanted = wanted,
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

gboolean ash_cli_client_read(AshCliClient *client, const char *path, AshFetchPiece each,
		gpointer data, GError **error)
{
	g_autofree char *url = g_strconcat(client->url, path, NULL);
	const char *const headers[] = {client->authorization, "Accept: text/event-stream", NULL};
	g_autoptr(AshFetchAnswer) answer = NULL;
	AshFetchRequest what = {.url = url,
			.headers = headers,
			.silence_s = SILENCE_S,
			.max_bytes = MAX_REFUSAL,
			.on_piece = each,
			.data = data};

	if (!ash_fetch_session_request(client->session, &what, &answer, error))
		return FALSE;
	return answer->status == 200 ? TRUE : fail(client, answer, error);
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
	ash_json_add_text(builder, "name", client->name);
	ash_json_add_text(builder, "session", client->cookie);
	ash_json_add_text(builder, "csrf", client->csrf);
	ash_json_add_text(builder, "ca", client->ca);
	json_builder_end_object(builder);
	g_autofree char *text = ash_json_format(builder, true);
	return ash_file_ensure_dir(AT_FDCWD, dir, 0700, error) &&
	       ash_file_replace(AT_FDCWD, path, text, strlen(text), 0600, error);
}

/* "name=VALUE; Path=/; …" */
static char *cookie_of(const AshFetchAnswer *answer)
{
	static const char start[] = ASH_OPERATOR_COOKIE "=";
	const char *at = strstr(answer->headers[0], start);

	return at != NULL ? g_strndup(at + strlen(start), strcspn(at + strlen(start), ";, "))
			  : NULL;
}

/* The session that a name and a password are given, in @client. */
static gboolean begin_session(
		AshCliClient *client, const char *name, const char *password, GError **error)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(AshFetchAnswer) answer = NULL;
	g_autoptr(JsonNode) node = NULL;

	forget_who(client);
	json_builder_begin_object(builder);
	ash_json_add_string(builder, "name", name);
	ash_json_add_string(builder, "password", password);
	json_builder_end_object(builder);
	g_autofree char *body = ash_json_format(builder, false);
	if (!open_session(client, false, error) ||
			!request(client, "POST", "/v1/session", body, &answer, error) ||
			!ash_json_parse(answer->body, MAX_SETTINGS, MAX_DEPTH, &node, error))
		return FALSE;
	client->cookie = cookie_of(answer);
	client->name = g_strdup(name);
	client->csrf = JSON_NODE_HOLDS_OBJECT(node)
				       ? g_strdup(ash_json_find_text(
							 json_node_get_object(node), "csrf"))
				       : NULL;
	if (client->cookie == NULL || client->csrf == NULL)
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_ANSWER,
				"%s gave no session", client->url);
	return make_headers(client, error);
}

gboolean ash_cli_client_login(const AshCliLogin *login, char **out_name, GError **error)
{
	g_autoptr(AshCliClient) client = g_new0(AshCliClient, 1);
	g_autoptr(JsonNode) node = NULL;

	client->url = g_strdup(login->url);
	client->ca = g_strdup(login->ca_pem);
	if (login->fingerprint != NULL && !take_ca(client, login->fingerprint, error))
		return FALSE;
	if (login->name != NULL && !begin_session(client, login->name, login->password, error))
		return FALSE;
	if (login->name == NULL) {
		client->token = g_strdup(login->token);
		if (!open_session(client, false, error))
			return FALSE;
	}
	if (!ash_cli_client_call(client, "GET", "/v1/session", NULL, &node, error) ||
			!save(client, error))
		return FALSE;
	const char *name = node != NULL && JSON_NODE_HOLDS_OBJECT(node)
					   ? ash_json_find_text(json_node_get_object(node), "name")
					   : NULL;
	*out_name = g_strdup(name != NULL ? name : "");
	return TRUE;
}

gboolean ash_cli_client_password(const char *old, const char *new, GError **error)
{
	g_autoptr(AshCliClient) client = NULL;
	g_autoptr(JsonBuilder) builder = json_builder_new();
	g_autoptr(JsonNode) node = NULL;

	if (!ash_cli_client_new(&client, error))
		return FALSE;
	if (client->name == NULL)
		return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_SETTINGS,
				"an API token has no password; run 'ashlar-fleet login %s --name "
				"NAME' first",
				client->url);
	json_builder_begin_object(builder);
	ash_json_add_string(builder, "old", old);
	ash_json_add_string(builder, "new", new);
	json_builder_end_object(builder);
	g_autofree char *body = ash_json_format(builder, false);
	if (!ash_cli_client_call(client, "POST", "/v1/session/password", body, &node, error))
		return FALSE;
	/* All sessions have ended, this one too. */
	g_autofree char *name = g_strdup(client->name);
	ASH_PREFIX("the password is another one now, but logging in with it");
	return begin_session(client, name, new, error) && save(client, error);
}

gboolean ash_cli_client_logout(GError **error)
{
	g_autofree char *path = settings_path();
	g_autoptr(AshCliClient) client = g_new0(AshCliClient, 1);
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) local = NULL;

	bool has_session = load(client, NULL) && client->cookie != NULL &&
			   open_session(client, false, NULL);
	if (unlink(path) != 0 && errno != ENOENT)
		return ash_throw_errno(error, "unlink(%s)", path);
	if (!has_session ||
			ash_cli_client_call(client, "DELETE", "/v1/session", NULL, &node, &local) ||
			g_error_matches(local, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_DENIED))
		return TRUE;
	g_propagate_prefixed_error(error, g_steal_pointer(&local),
			"forgotten here; the server's session goes on until its end: ");
	return FALSE;
}

char *ash_cli_escape(const char *text)
{
	return g_uri_escape_string(text, NULL, FALSE);
}
