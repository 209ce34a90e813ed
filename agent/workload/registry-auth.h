/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* How a registry wants to be asked: the header WWW-Authenticate, and what a token server answers. PURE.
 * RFC 9110 §11.6, and the distribution project's token authentication.
 */

#define ASH_REGISTRY_AUTH_ERROR (ash_registry_auth_error_quark())
GQuark ash_registry_auth_error_quark(void);

typedef enum {
	ASH_REGISTRY_AUTH_ERROR_SYNTAX,
	ASH_REGISTRY_AUTH_ERROR_UNSUPPORTED, /* neither Basic nor Bearer */
	ASH_REGISTRY_AUTH_ERROR_DENIED,      /* no credentials, or not these */
} AshRegistryAuthError;

enum {
	ASH_REGISTRY_AUTH_MAX_HEADER_BYTES = 8 << 10,
	ASH_REGISTRY_AUTH_MAX_ANSWER_BYTES = 256 << 10,
	ASH_REGISTRY_AUTH_MAX_TOKEN_BYTES = 64 << 10,
};

/* Texts are "" when not said. */
typedef struct {
	bool is_bearer; /* else Basic */
	char *realm, *service, *scope;
} AshRegistryChallenge;

/* @header: all values, with commas between them. Bearer is taken before Basic. */
gboolean ash_registry_challenge_parse(const char *header, AshRegistryChallenge **out_challenge,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_registry_challenge_free(AshRegistryChallenge *challenge);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRegistryChallenge, ash_registry_challenge_free)

/* Where a token for @scope is to be had: realm with service and scope as its query. */
char *ash_registry_challenge_url(const AshRegistryChallenge *challenge, const char *scope);

/* @text: the token server's JSON. *out_token holds nothing that a header could not. */
gboolean ash_registry_token_parse(GBytes *text, char **out_token, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
