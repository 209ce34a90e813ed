/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The command line's side of the HTTP API: where the server is, who we are, one call and its answer.
 *
 * Kept by 'ashlar-fleet login' in ~/.config/ashlar/fleet.json, mode 0600: {"url","token","ca"} (the CA's certificate,
 * PEM; "": the system's). ASHLAR_FLEET_URL, _TOKEN and _CA (a file) in the environment rule over it.
 */

#define ASH_CLI_CLIENT_ERROR (ash_cli_client_error_quark())
GQuark ash_cli_client_error_quark(void);
typedef enum {
	ASH_CLI_CLIENT_ERROR_SETTINGS,    /* nobody logged in, or what is kept cannot be read */
	ASH_CLI_CLIENT_ERROR_DENIED,      /* 401, 403 */
	ASH_CLI_CLIENT_ERROR_NOT_FOUND,   /* 404, 410 */
	ASH_CLI_CLIENT_ERROR_CONFLICT,    /* 409: not in this state, or another count */
	ASH_CLI_CLIENT_ERROR_REQUEST,     /* other 4xx: the server says what is wrong */
	ASH_CLI_CLIENT_ERROR_UNREACHABLE, /* 429, 5xx */
	ASH_CLI_CLIENT_ERROR_ANSWER,      /* not what the API promises */
} AshCliClientError;

enum {
	ASH_CLI_CLIENT_MAX_ANSWER = 64 << 20,
	ASH_CLI_CLIENT_MAX_FILE = 64 << 20, /* of what is sent */
};

typedef struct AshCliClient AshCliClient;

gboolean ash_cli_client_new(AshCliClient **out_client, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_cli_client_free(AshCliClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshCliClient, ash_cli_client_free)

/* @path: with its query, escaped. @body: JSON, or NULL. @out_node: NULL when the answer has no body (204). */
gboolean ash_cli_client_call(AshCliClient *client, const char *method, const char *path,
		const char *body, JsonNode **out_node, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* An answer that is not JSON. */
gboolean ash_cli_client_text(AshCliClient *client, const char *path, char **out_text,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Server-sent events from GET /v1/stream behind @after, -1: from now on, until @each returns FALSE without an error (then
 * this succeeds) or with one. A connection that ends is made anew behind the last event that came, with pauses.
 */
typedef gboolean (*AshCliEach)(JsonObject *event, gpointer data, GError **error);
gboolean ash_cli_client_follow(AshCliClient *client, int64_t after, AshCliEach each, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Tries them, and keeps them when the server takes the token. @ca_pem NULL or "": the system's; @fingerprint (64
 * digits): the authority's certificate is taken from the server when its key, or itself, has this SHA-256.
 */
gboolean ash_cli_client_login(const char *url, const char *token, const char *ca_pem,
		const char *fingerprint, char **out_name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_cli_client_logout(GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "a b" → "a%20b", for a path's part or an argument. */
char *ash_cli_escape(const char *text);
