/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/workload/registry-auth.h"

#include <string.h>

#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_registry_auth_error, ash_registry_auth_error)

enum {
	MAX_DEPTH = 8,
};

void ash_registry_challenge_free(AshRegistryChallenge *challenge)
{
	if (challenge == NULL)
		return;
	g_free(challenge->realm);
	g_free(challenge->service);
	g_free(challenge->scope);
	g_free(challenge);
}

static AshRegistryChallenge *new_challenge(bool is_bearer)
{
	AshRegistryChallenge *challenge = g_new0(AshRegistryChallenge, 1);

	challenge->is_bearer = is_bearer;
	challenge->realm = g_strdup("");
	challenge->service = g_strdup("");
	challenge->scope = g_strdup("");
	return challenge;
}

/* ---- the header ---------------------------------------------------------------------------------- */

static bool is_token_char(char c)
{
	return g_ascii_isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static const char *skip(const char *at, const char *what)
{
	return at + strspn(at, what);
}

static char *take_token(const char **at)
{
	const char *end = *at;

	while (is_token_char(*end))
		end++;
	char *token = g_strndup(*at, (gsize) (end - *at));
	*at = end;
	return token;
}

/* A quoted text or a token; NULL when a quote is not closed. */
static char *take_value(const char **at)
{
	g_autoptr(GString) value = g_string_new(NULL);

	if (**at != '"') {
		/* Not every server quotes what it should: up to the next comma or blank. */
		size_t size = strcspn(*at, ", \t");
		char *plain = g_strndup(*at, size);
		*at += size;
		return plain;
	}
	for ((*at)++; **at != '"'; (*at)++) {
		if (**at == '\\')
			(*at)++;
		if (**at == '\0')
			return NULL;
		g_string_append_c(value, **at);
	}
	(*at)++;
	return g_string_free(g_steal_pointer(&value), FALSE);
}

static void put_parameter(AshRegistryChallenge *challenge, const char *name, char *take_value_of)
{
	g_autofree char *value = take_value_of;
	char **place = g_ascii_strcasecmp(name, "realm") == 0     ? &challenge->realm
		       : g_ascii_strcasecmp(name, "service") == 0 ? &challenge->service
		       : g_ascii_strcasecmp(name, "scope") == 0   ? &challenge->scope
								  : NULL;

	if (place == NULL)
		return;
	g_free(*place);
	*place = g_steal_pointer(&value);
}

/* One word: the name of a scheme, or of a parameter of the scheme before it. */
static gboolean take_word(const char **at, AshRegistryChallenge **current,
		AshRegistryChallenge **bearer, AshRegistryChallenge **basic, GError **error)
{
	g_autofree char *word = take_token(at);
	const char *next = skip(*at, " \t");

	if (*word == '\0')
		return ash_throw(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_SYNTAX,
				"the registry's challenge cannot be understood");
	if (*next == '=') {
		*at = skip(next + 1, " \t");
		char *value = take_value(at);
		if (value == NULL)
			return ash_throw(error, ASH_REGISTRY_AUTH_ERROR,
					ASH_REGISTRY_AUTH_ERROR_SYNTAX,
					"a text of the registry's challenge has no end");
		if (*current != NULL)
			put_parameter(*current, word, value);
		else
			g_free(value);
		return TRUE;
	}
	*current = NULL;
	AshRegistryChallenge **kind = g_ascii_strcasecmp(word, "Bearer") == 0  ? bearer
				      : g_ascii_strcasecmp(word, "Basic") == 0 ? basic
									       : NULL;
	if (kind != NULL && *kind == NULL)
		*current = *kind = new_challenge(kind == bearer);
	return TRUE;
}

gboolean ash_registry_challenge_parse(
		const char *header, AshRegistryChallenge **out_challenge, GError **error)
{
	g_autoptr(AshRegistryChallenge) bearer = NULL;
	g_autoptr(AshRegistryChallenge) basic = NULL;
	AshRegistryChallenge *current = NULL;

	if (strlen(header) > ASH_REGISTRY_AUTH_MAX_HEADER_BYTES)
		return ash_throw(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_SYNTAX,
				"the registry's challenge is longer than %d bytes",
				ASH_REGISTRY_AUTH_MAX_HEADER_BYTES);
	for (const char *at = skip(header, ", \t"); *at != '\0'; at = skip(at, ", \t"))
		if (!take_word(&at, &current, &bearer, &basic, error))
			return FALSE;
	if (bearer == NULL && basic == NULL)
		return ash_throw(error, ASH_REGISTRY_AUTH_ERROR,
				ASH_REGISTRY_AUTH_ERROR_UNSUPPORTED,
				"the registry takes neither a password nor a token");
	if (bearer != NULL && *bearer->realm == '\0')
		return ash_throw(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_SYNTAX,
				"the registry does not say where tokens are to be had");
	*out_challenge = bearer != NULL ? g_steal_pointer(&bearer) : g_steal_pointer(&basic);
	return TRUE;
}

char *ash_registry_challenge_url(const AshRegistryChallenge *challenge, const char *scope)
{
	g_autofree char *service = g_uri_escape_string(challenge->service, NULL, FALSE);
	g_autofree char *wanted = g_uri_escape_string(
			*challenge->scope != '\0' ? challenge->scope : scope, ":/,", FALSE);
	g_autoptr(GString) url = g_string_new(challenge->realm);

	g_string_append(url, strchr(challenge->realm, '?') != NULL ? "&" : "?");
	if (*service != '\0')
		g_string_append_printf(url, "service=%s&", service);
	g_string_append_printf(url, "scope=%s", wanted);
	return g_string_free(g_steal_pointer(&url), FALSE);
}

/* ---- the token ----------------------------------------------------------------------------------- */

gboolean ash_registry_token_parse(GBytes *text, char **out_token, GError **error)
{
	ASH_PREFIX("the token server's answer");
	g_autoptr(JsonNode) node = NULL;

	if (!ash_json_parse(text, ASH_REGISTRY_AUTH_MAX_ANSWER_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
	const char *token = ash_json_find_text(object, "token");
	if (token == NULL)
		token = ash_json_find_text(object, "access_token");
	size_t size = token != NULL ? strlen(token) : 0;
	if (size == 0 || size > ASH_REGISTRY_AUTH_MAX_TOKEN_BYTES)
		return ash_throw(error, ASH_REGISTRY_AUTH_ERROR, ASH_REGISTRY_AUTH_ERROR_SYNTAX,
				"it holds no token");
	for (const char *at = token; *at != '\0'; at++)
		if (*at <= ' ' || *at > '~')
			return ash_throw(error, ASH_REGISTRY_AUTH_ERROR,
					ASH_REGISTRY_AUTH_ERROR_SYNTAX,
					"its token holds what no header may");
	*out_token = g_strdup(token);
	return TRUE;
}
