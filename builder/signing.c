/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/signing.h"

#include <string.h>

#include "lib/canonical.h"
#include "lib/error.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_signing_error, ash_signing_error)

#define SPEC_VERSION "1.0.34"

enum {
	MAX_DEPTH = 16,
	PUBLIC_HEX = 64,
	MAX_VERSION = G_MAXINT32,
};

AshSigningRole *ash_signing_role_new(uint64_t threshold)
{
	AshSigningRole *role = g_new0(AshSigningRole, 1);

	role->publics = g_ptr_array_new_with_free_func(g_free);
	role->ids = g_ptr_array_new_with_free_func(g_free);
	role->threshold = threshold;
	return role;
}

void ash_signing_role_free(AshSigningRole *role)
{
	if (role == NULL)
		return;
	g_ptr_array_unref(role->publics);
	g_ptr_array_unref(role->ids);
	g_free(role);
}

/* The id that TUF's own tools compute: SHA-256 of the key's canonical form. */
static char *key_id(const char *public_hex)
{
	g_autofree char *canonical = g_strdup_printf(
			"{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"%s\"},\"scheme\":\"ed25519\"}",
			public_hex);

	return ash_sha256_hex(canonical, strlen(canonical));
}

void ash_signing_role_add(AshSigningRole *role, const char *public_hex)
{
	g_ptr_array_add(role->publics, g_strdup(public_hex));
	g_ptr_array_add(role->ids, key_id(public_hex));
}

AshSigningRole *ash_signing_role_copy(const AshSigningRole *role)
{
	AshSigningRole *copy = ash_signing_role_new(role->threshold);

	for (guint i = 0; i < role->publics->len; i++)
		ash_signing_role_add(copy, role->publics->pdata[i]);
	return copy;
}

bool ash_signing_role_has(const AshSigningRole *role, const char *id)
{
	for (guint i = 0; i < role->ids->len; i++)
		if (strcmp(role->ids->pdata[i], id) == 0)
			return true;
	return false;
}

bool ash_signing_role_equal(const AshSigningRole *a, const AshSigningRole *b)
{
	if (a->threshold != b->threshold || a->ids->len != b->ids->len)
		return false;
	for (guint i = 0; i < a->ids->len; i++)
		if (!ash_signing_role_has(b, a->ids->pdata[i]))
			return false;
	return true;
}

static gboolean parse_key(JsonObject *keys, const char *id, const char **out_public, GError **error)
{
	JsonObject *key, *value;
	const char *type = NULL;

	if (!ash_json_object(keys, id, &key, error) ||
			!ash_json_text(key, "keytype", &type, error) ||
			!ash_json_object(key, "keyval", &value, error) ||
			!ash_json_text(value, "public", out_public, error))
		return FALSE;
	if (strcmp(type, "ed25519") != 0 || strlen(*out_public) != PUBLIC_HEX ||
			strspn(*out_public, "0123456789abcdef") != PUBLIC_HEX)
		return ash_throw(error, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SYNTAX,
				"the key %.*s is no Ed25519 key", ASH_SIGNING_ID_SHORT, id);
	return TRUE;
}

gboolean ash_signing_role_parse(
		JsonObject *keys, JsonObject *object, AshSigningRole **out_role, GError **error)
{
	g_autoptr(AshSigningRole) role = ash_signing_role_new(1);
	JsonArray *ids;

	if (!ash_json_array(object, "keyids", &ids, error) ||
			!ash_json_uint(object, "threshold", ASH_SIGNING_MAX_KEYS, &role->threshold,
					error))
		return FALSE;
	guint n = json_array_get_length(ids);
	if (n == 0 || n > ASH_SIGNING_MAX_KEYS || role->threshold == 0 || role->threshold > n)
		return ash_throw(error, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SYNTAX,
				"%u keys with a threshold of %" G_GUINT64_FORMAT, n,
				role->threshold);
	for (guint i = 0; i < n; i++) {
		const char *public = NULL;
		JsonNode *id = json_array_get_element(ids, i);
		if (json_node_get_value_type(id) != G_TYPE_STRING)
			return ash_throw(error, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SYNTAX,
					"a key id is no text");
		if (!parse_key(keys, json_node_get_string(id), &public, error))
			return FALSE;
		ash_signing_role_add(role, public);
		if (strcmp(role->ids->pdata[i], json_node_get_string(id)) != 0)
			return ash_throw(error, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SYNTAX,
					"the key %.*s has an id that is not its own",
					ASH_SIGNING_ID_SHORT, json_node_get_string(id));
	}
	*out_role = g_steal_pointer(&role);
	return TRUE;
}

void ash_signing_add_keys(JsonBuilder *json, const AshSigningRole *const *roles, size_t n)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	ash_json_begin_object(json, "keys");
	for (size_t r = 0; r < n; r++)
		for (guint i = 0; i < roles[r]->ids->len; i++) {
			if (!g_hash_table_add(seen, roles[r]->ids->pdata[i]))
				continue;
			ash_json_begin_object(json, roles[r]->ids->pdata[i]);
			ash_json_add_text(json, "keytype", "ed25519");
			ash_json_begin_object(json, "keyval");
			ash_json_add_text(json, "public", roles[r]->publics->pdata[i]);
			json_builder_end_object(json);
			ash_json_add_text(json, "scheme", "ed25519");
			json_builder_end_object(json);
		}
	json_builder_end_object(json);
}

void ash_signing_add_role(JsonBuilder *json, const AshSigningRole *role)
{
	ash_json_begin_array(json, "keyids");
	for (guint i = 0; i < role->ids->len; i++)
		json_builder_add_string_value(json, role->ids->pdata[i]);
	json_builder_end_array(json);
	ash_json_add_uint(json, "threshold", role->threshold);
}

void ash_signing_begin(JsonBuilder *json, const char *type, uint64_t version, const char *expires)
{
	json_builder_begin_object(json);
	ash_json_add_text(json, "_type", type);
	ash_json_add_text(json, "spec_version", SPEC_VERSION);
	ash_json_add_uint(json, "version", version);
	ash_json_add_text(json, "expires", expires);
}

char *ash_signing_time(int64_t seconds_from_now)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autoptr(GDateTime) then = g_date_time_add(now, seconds_from_now * G_TIME_SPAN_SECOND);

	return g_date_time_format(then, "%Y-%m-%dT%H:%M:%SZ");
}

static gboolean add_signature(GString *text, AshSigningKey *key, GBytes *message, GError **error)
{
	g_autoptr(GBytes) public = NULL;
	g_autoptr(GBytes) signature = NULL;

	if (!ash_signing_key_public(key, &public, error) ||
			!ash_signing_key_sign(key, message, &signature, error))
		return FALSE;
	g_autofree char *public_hex = ash_crypto_hex_format(public);
	g_autofree char *id = key_id(public_hex);
	g_autofree char *hex = ash_crypto_hex_format(signature);
	g_string_append_printf(text, "%s{\"keyid\":\"%s\",\"sig\":\"%s\"}",
			g_str_has_suffix(text->str, "[") ? "" : ",", id, hex);
	return TRUE;
}

gboolean ash_signing_seal(
		JsonNode *signed_node, const GPtrArray *keys, GBytes **out_bytes, GError **error)
{
	g_autofree char *canonical = NULL;
	g_autoptr(GString) text = g_string_new("{\"signatures\":[");

	if (!ash_canonical_json(signed_node, &canonical, error))
		return FALSE;
	g_autoptr(GBytes) message = g_bytes_new_static(canonical, strlen(canonical));
	for (guint i = 0; i < keys->len; i++)
		if (!add_signature(text, keys->pdata[i], message, error))
			return FALSE;
	g_string_append_printf(text, "],\"signed\":%s}\n", canonical);
	*out_bytes = g_string_free_to_bytes(g_steal_pointer(&text));
	return TRUE;
}

gboolean ash_signing_parse(GBytes *bytes, const char *type, JsonNode **out_node,
		JsonObject **out_signed, uint64_t *out_version, GError **error)
{
	g_autoptr(JsonNode) node = NULL;
	JsonObject *object;
	const char *found = NULL;
	uint64_t version = 0;

	if (!ash_json_parse(bytes, ASH_SIGNING_MAX_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SYNTAX,
				"this is no JSON object");
	if (!ash_json_object(json_node_get_object(node), "signed", &object, error) ||
			!ash_json_text(object, "_type", &found, error) ||
			!ash_json_uint(object, "version", MAX_VERSION, &version, error))
		return FALSE;
	if (strcmp(found, type) != 0 || version == 0)
		return ash_throw(error, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SYNTAX,
				"this is no TUF metadata of type '%s'", type);
	*out_signed = object;
	*out_version = version;
	*out_node = g_steal_pointer(&node);
	return TRUE;
}

/* The id of the key that made a good signature, or NULL. */
static const char *check_signature(JsonNode *entry, const AshSigningRole *role, GBytes *message)
{
	const char *id = NULL;
	const char *hex = NULL;

	if (!JSON_NODE_HOLDS_OBJECT(entry) ||
			!ash_json_text(json_node_get_object(entry), "keyid", &id, NULL) ||
			!ash_json_text(json_node_get_object(entry), "sig", &hex, NULL))
		return NULL;
	g_autoptr(GBytes) signature = ash_crypto_hex_find(hex);
	for (guint i = 0; signature != NULL && i < role->ids->len; i++) {
		if (strcmp(role->ids->pdata[i], id) != 0)
			continue;
		g_autoptr(GBytes) public = ash_crypto_hex_find(role->publics->pdata[i]);
		if (ash_crypto_verify("ed25519", public, message, signature))
			return role->ids->pdata[i];
	}
	return NULL;
}

gboolean ash_signing_check(JsonNode *node, const AshSigningRole *role, GError **error)
{
	JsonObject *envelope = json_node_get_object(node);
	JsonArray *signatures;
	g_autofree char *canonical = NULL;
	g_autoptr(GHashTable) good = g_hash_table_new(g_str_hash, g_str_equal);

	if (!ash_json_array(envelope, "signatures", &signatures, error) ||
			!ash_canonical_json(json_object_get_member(envelope, "signed"), &canonical,
					error))
		return FALSE;
	g_autoptr(GBytes) message = g_bytes_new_static(canonical, strlen(canonical));
	for (guint i = 0; i < MIN(json_array_get_length(signatures), 4 * ASH_SIGNING_MAX_KEYS);
			i++) {
		const char *id = check_signature(
				json_array_get_element(signatures, i), role, message);
		if (id != NULL)
			g_hash_table_add(good, (gpointer) (uintptr_t) id);
	}
	if (g_hash_table_size(good) < role->threshold)
		return ash_throw(error, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SIGNATURE,
				"%u good signatures of %" G_GUINT64_FORMAT " that it takes",
				g_hash_table_size(good), role->threshold);
	return TRUE;
}

gboolean ash_signing_expiry(JsonObject *signed_object, int64_t *out_seconds_left, GError **error)
{
	const char *text = NULL;

	if (!ash_json_text(signed_object, "expires", &text, error))
		return FALSE;
	g_autoptr(GDateTime) expires = g_date_time_new_from_iso8601(text, NULL);
	if (expires == NULL)
		return ash_throw(error, ASH_SIGNING_ERROR, ASH_SIGNING_ERROR_SYNTAX,
				"'expires' is no time");
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	*out_seconds_left = g_date_time_to_unix(expires) - g_date_time_to_unix(now);
	return TRUE;
}
