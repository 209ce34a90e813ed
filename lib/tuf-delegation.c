/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tuf-delegation.h"

#include <string.h>

#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/text.h"
#include "lib/tuf.h"

/* ---- patterns ---- */

/* @set: behind its '['. Sets *out_end behind the ']', or returns false when there is none: then the '['
 * is a letter like others.
 */
static bool find_set_end(const char *set, const char **out_end)
{
	const char *end = set;

	if (*end == '!')
		end = ash_text_next_char(end);
	if (*end == ']')
		end++;
	while (*end != '\0' && *end != '/' && *end != ']')
		end = ash_text_next_char(end);
	*out_end = end + 1;
	return *end == ']';
}

static bool set_has(const char *set, const char *end, gunichar letter)
{
	bool is_inverted = *set == '!';
	bool is_in = false;

	for (const char *c = is_inverted ? set + 1 : set; c < end - 1;) {
		gunichar low = g_utf8_get_char(c);
		c = ash_text_next_char(c);
		gunichar high = low;
		if (c[0] == '-' && c + 1 < end - 1) {
			high = g_utf8_get_char(c + 1);
			c = ash_text_next_char(c + 1);
		}
		is_in = is_in || (letter >= low && letter <= high);
	}
	return is_in != is_inverted;
}

/* Does what *pattern begins with match the letter at @path? Then *pattern is moved behind it. */
static bool match_one(const char **pattern, const char *path)
{
	gunichar letter = g_utf8_get_char(path);
	const char *end = NULL;

	if (**pattern == '\0' || letter == '\0')
		return false;
	if (**pattern == '?' && letter != '/') {
		(*pattern)++;
		return true;
	}
	if (**pattern == '[' && find_set_end(*pattern + 1, &end)) {
		if (letter == '/' || !set_has(*pattern + 1, end, letter))
			return false;
		*pattern = end;
		return true;
	}
	if (g_utf8_get_char(*pattern) != letter)
		return false;
	*pattern = ash_text_next_char(*pattern);
	return true;
}

/* Only the last '*' of a component is ever tried again: an earlier one could give it nothing that it
 * does not reach by itself.
 */
bool ash_tuf_path_matches(const char *pattern, const char *path)
{
	const char *star = NULL;
	const char *star_path = NULL;

	for (;;) {
		if (*pattern == '*') {
			star = ++pattern;
			star_path = path;
		} else if (*pattern == '\0' && *path == '\0') {
			return true;
		} else if (match_one(&pattern, path)) {
			if (*path == '/')
				star = NULL;
			path = ash_text_next_char(path);
		} else if (star != NULL && *star_path != '\0' && *star_path != '/') {
			star_path = ash_text_next_char(star_path);
			path = star_path;
			pattern = star;
		} else {
			return false;
		}
	}
}

/* ---- delegations ---- */

static bool is_texts(JsonArray *array)
{
	for (guint i = 0; i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
			return false;
	}
	return true;
}

static gboolean parse_covered(JsonObject *object, AshTufDelegation *delegation, GError **error)
{
	g_autoptr(GError) cause = NULL;
	bool has_paths = json_object_has_member(object, "paths");

	if (has_paths == json_object_has_member(object, "path_hash_prefixes"))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
				"needs one of 'paths' and 'path_hash_prefixes'");
	JsonArray **array = has_paths ? &delegation->paths : &delegation->hash_prefixes;
	if (!ash_json_array(object, has_paths ? "paths" : "path_hash_prefixes", array, &cause))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX, "%s", cause->message);
	if (!is_texts(*array))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
				"a path that is not a string");
	return TRUE;
}

/* A role must not be kept, or fetched, as one of the four. */
static gboolean parse_name(AshTufDelegation *delegation, GError **error)
{
	static const char *const reserved[] = {"root", "timestamp", "snapshot", "targets", NULL};

	if (*delegation->role == '\0' || g_strv_contains(reserved, delegation->role))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
				"a delegated role cannot be called '%s'", delegation->role);
	g_autofree char *escaped = g_uri_escape_string(delegation->role, NULL, FALSE);
	if (strlen(escaped) > ASH_TUF_MAX_ROLE_BYTES)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
				"a role's name is too long");
	delegation->file = g_strconcat(escaped, ".json", NULL);
	return TRUE;
}

static gboolean parse_delegation(
		JsonObject *keys, JsonNode *node, AshTufDelegation **out_delegation, GError **error)
{
	g_autoptr(AshTufDelegation) delegation = g_new0(AshTufDelegation, 1);
	g_autoptr(GError) cause = NULL;

	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
				"a delegation that is not an object");
	JsonObject *object = json_node_get_object(node);
	if (!ash_json_text(object, "name", &delegation->role, &cause) ||
			!ash_json_bool_opt(
					object, "terminating", &delegation->is_terminating, &cause))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX, "%s", cause->message);
	if (!parse_name(delegation, error))
		return FALSE;
	ASH_PREFIX("delegated role '%s'", delegation->role);
	if (!ash_tuf_authority_parse(keys, object, &delegation->authority, error) ||
			!parse_covered(object, delegation, error))
		return FALSE;
	*out_delegation = g_steal_pointer(&delegation);
	return TRUE;
}

gboolean ash_tuf_delegations_parse(
		JsonObject *targets_body, GPtrArray **out_delegations, GError **error)
{
	g_autoptr(GPtrArray) list =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_tuf_delegation_free);
	g_autoptr(GError) cause = NULL;
	JsonObject *delegations = NULL;
	JsonObject *keys = NULL;
	JsonArray *roles = NULL;

	if (!json_object_has_member(targets_body, "delegations")) {
		*out_delegations = g_steal_pointer(&list);
		return TRUE;
	}
	if (!ash_json_object(targets_body, "delegations", &delegations, &cause) ||
			!ash_json_object(delegations, "keys", &keys, &cause) ||
			!ash_json_array(delegations, "roles", &roles, &cause))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX, "%s", cause->message);
	for (guint i = 0; i < json_array_get_length(roles); i++) {
		AshTufDelegation *delegation = NULL;
		if (!parse_delegation(keys, json_array_get_element(roles, i), &delegation, error))
			return FALSE;
		g_ptr_array_add(list, delegation);
	}
	*out_delegations = g_steal_pointer(&list);
	return TRUE;
}

void ash_tuf_delegation_free(AshTufDelegation *delegation)
{
	if (delegation == NULL)
		return;
	g_free(delegation->file);
	g_free(delegation);
}

bool ash_tuf_delegation_covers(const AshTufDelegation *delegation, const char *path)
{
	if (delegation->paths != NULL) {
		for (guint i = 0; i < json_array_get_length(delegation->paths); i++)
			if (ash_tuf_path_matches(
					    json_array_get_string_element(delegation->paths, i),
					    path))
				return true;
		return false;
	}
	g_autofree char *hash = ash_sha256_hex(path, strlen(path));
	for (guint i = 0; i < json_array_get_length(delegation->hash_prefixes); i++)
		if (g_str_has_prefix(hash,
				    json_array_get_string_element(delegation->hash_prefixes, i)))
			return true;
	return false;
}
