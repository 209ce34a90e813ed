/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/fetch-request.h"

/* The command line's side of the HTTP API: where the server is, who we are, one call and its answer.
 *
 * Kept by 'ashlar-fleet login' in ~/.config/ashlar/fleet.json, mode 0600: {"url","token","ca"} (the CA's certificate,
 * PEM; "": the system's), or {"url","name","session","csrf","ca"} of who logged in by name. ASHLAR_FLEET_URL,
 * _TOKEN and _CA (a file) in the environment rule over it.
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

/* An answer without an end: a 2xx one is handed over as it comes. fleet/cli-stream.h makes events of it. */
gboolean ash_cli_client_read(AshCliClient *client, const char *path, AshFetchPiece each,
		gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	const char *url;
	const char *ca_pem; /* NULL or "": the system's */
	/* 64 digits: the authority's certificate is taken from the server when its key, or itself, has this SHA-256 */
	const char *fingerprint;
	const char *token;           /* ID.SECRET; or */
	const char *name, *password; /* for which the server gives a session */
} AshCliLogin;

/* Tries it, and keeps it when the server takes it. */
gboolean ash_cli_client_login(const AshCliLogin *login, char **out_name, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* One's own: of who logged in by name. Other sessions end; this one is kept anew. */
gboolean ash_cli_client_password(const char *old, const char *new, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* What is kept is gone even when the server cannot be told that its session has ended. */
gboolean ash_cli_client_logout(GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "a b" → "a%20b", for a path's part or an argument. */
char *ash_cli_escape(const char *text);
