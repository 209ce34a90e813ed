/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tuf-metadata.h"

#include <stdio.h>
#include <string.h>

#include "lib/canonical.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/json.h"
#include "lib/tuf-delegation.h"
#include "lib/tuf.h"

/* What other modules say of the form of a file is SYNTAX here. */
static gboolean throw_syntax(GError **error, const GError *cause)
{
	return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX, "%s", cause->message);
}

/* ---- time ---- */

/* "2030-01-02T03:04:05Z" and no other form of ISO 8601. */
static gboolean parse_time(const char *text, int64_t *out_s, GError **error)
{
	static const char form[] = "0000-00-00T00:00:00Z";
	int part[6] = {0};
	size_t i = 0;

	while (form[i] != '\0' && (form[i] == '0' ? g_ascii_isdigit(text[i]) : text[i] == form[i]))
		i++;
	if (form[i] == '\0' && text[i] == '\0' &&
			sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &part[0], &part[1], &part[2],
					&part[3], &part[4], &part[5]) == 6) {
		g_autoptr(GDateTime) time = g_date_time_new_utc(
				part[0], part[1], part[2], part[3], part[4], part[5]);
		if (time != NULL) {
			*out_s = g_date_time_to_unix(time);
			return TRUE;
		}
	}
	return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
			"'expires' is not a time like 2030-01-02T03:04:05Z");
}

/* ---- keys ---- */

/* The kinds of section 4.2 and what lib/crypto.h calls them. */
static const struct {
	const char *keytype, *scheme;
	bool is_hex;
} key_kinds[] = {
		{"ed25519", "ed25519", true},
		{"ecdsa", "ecdsa-sha2-nistp256", false},
		{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", false},
		{"rsa", "rsassa-pss-sha256", false},
};

/* A key that counts. */
typedef struct {
	const char *scheme;
	GBytes *public;
	char *fingerprint;
} Key;

static void key_clear(Key *key)
{
	g_clear_pointer(&key->public, g_bytes_unref);
	g_clear_pointer(&key->fingerprint, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Key, key_clear)

/* A question: keys that are missing or of kinds that are not known do not count, and that is all. */
static bool find_key(JsonObject *keys, const char *keyid, Key *out_key)
{
	JsonNode *node = json_object_get_member(keys, keyid);
	JsonObject *keyval = NULL;
	const char *keytype = NULL;
	const char *scheme = NULL;
	const char *public = NULL;

	if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
		return false;
	JsonObject *object = json_node_get_object(node);
	if (!ash_json_text(object, "keytype", &keytype, NULL) ||
			!ash_json_text(object, "scheme", &scheme, NULL) ||
			!ash_json_object(object, "keyval", &keyval, NULL) ||
			!ash_json_text(keyval, "public", &public, NULL))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(key_kinds); i++) {
		if (strcmp(key_kinds[i].keytype, keytype) != 0 ||
				strcmp(key_kinds[i].scheme, scheme) != 0)
			continue;
		g_auto(Key) key = {.scheme = key_kinds[i].scheme};
		key.public = key_kinds[i].is_hex ? ash_crypto_hex_find(public)
						 : g_bytes_new(public, strlen(public));
		if (key.public != NULL)
			key.fingerprint = ash_crypto_key_fingerprint(key.scheme, key.public);
		if (key.fingerprint == NULL)
			return false;
		*out_key = key;
		key = (Key){0};
		return true;
	}
	return false;
}

GHashTable *ash_tuf_authority_fingerprints(const AshTufAuthority *authority)
{
	GHashTable *set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < json_array_get_length(authority->keyids); i++) {
		g_auto(Key) key = {0};
		if (find_key(authority->keys, json_array_get_string_element(authority->keyids, i),
				    &key))
			g_hash_table_add(set, g_steal_pointer(&key.fingerprint));
	}
	return set;
}

gboolean ash_tuf_authority_parse(
		JsonObject *keys, JsonObject *role, AshTufAuthority *out_authority, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GError) cause = NULL;
	AshTufAuthority authority = {.keys = keys};

	if (!ash_json_array(role, "keyids", &authority.keyids, &cause) ||
			!ash_json_uint(role, "threshold", UINT32_MAX, &authority.threshold, &cause))
		return throw_syntax(error, cause);
	if (authority.threshold == 0)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX, "a threshold of 0");
	for (guint i = 0; i < json_array_get_length(authority.keyids); i++) {
		JsonNode *keyid = json_array_get_element(authority.keyids, i);

		if (!JSON_NODE_HOLDS_VALUE(keyid) ||
				json_node_get_value_type(keyid) != G_TYPE_STRING ||
				!g_hash_table_add(seen, json_node_dup_string(keyid)))
			return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
					"'keyids' are not strings, or one stands there twice");
	}
	*out_authority = authority;
	return TRUE;
}

void ash_tuf_metadata_get_authority(
		const AshTufMetadata *root, const char *role, AshTufAuthority *out_authority)
{
	JsonObject *roles = json_object_get_object_member(root->body, "roles");
	JsonObject *entry = json_object_get_object_member(roles, role);

	*out_authority = (AshTufAuthority){
			.keys = json_object_get_object_member(root->body, "keys"),
			.keyids = json_object_get_array_member(entry, "keyids"),
			.threshold = (uint64_t) json_object_get_int_member(entry, "threshold"),
	};
}

/* ---- what each type asks for ---- */

static gboolean check_root(AshTufMetadata *metadata, GError **error)
{
	static const char *const names[] = {"root", "timestamp", "snapshot", "targets"};
	g_autoptr(GError) cause = NULL;
	JsonObject *keys = NULL;
	JsonObject *roles = NULL;

	if (!ash_json_object(metadata->body, "keys", &keys, &cause) ||
			!ash_json_object(metadata->body, "roles", &roles, &cause) ||
			!ash_json_bool_opt(metadata->body, "consistent_snapshot",
					&metadata->is_consistent, &cause))
		return throw_syntax(error, cause);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		AshTufAuthority authority;
		JsonObject *role = NULL;

		if (!ash_json_object(roles, names[i], &role, &cause))
			return throw_syntax(error, cause);
		ASH_PREFIX("role '%s'", names[i]);
		if (!ash_tuf_authority_parse(keys, role, &authority, error))
			return FALSE;
	}
	return TRUE;
}

static gboolean check_hashes(JsonObject *object, GError **error)
{
	g_autoptr(GError) cause = NULL;
	JsonObject *hashes = NULL;

	if (!ash_json_object(object, "hashes", &hashes, &cause))
		return throw_syntax(error, cause);
	g_autoptr(GList) names = json_object_get_members(hashes);
	for (GList *i = names; i != NULL; i = i->next) {
		const char *hash = NULL;
		if (!ash_json_text(hashes, i->data, &hash, &cause))
			return throw_syntax(error, cause);
	}
	if (names == NULL)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX, "'hashes' is empty");
	return TRUE;
}

static gboolean check_meta_file(JsonObject *meta, const char *name, GError **error)
{
	g_autoptr(GError) cause = NULL;
	JsonObject *file = NULL;
	uint64_t version = 0;
	uint64_t length = 0;

	if (!ash_json_object(meta, name, &file, &cause))
		return throw_syntax(error, cause);
	ASH_PREFIX("'%s'", name);
	if (!ash_json_uint(file, "version", G_MAXINT64, &version, &cause) ||
			!ash_json_uint_opt(file, "length", G_MAXINT64, &length, &cause))
		return throw_syntax(error, cause);
	if (version == 0)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX, "a version of 0");
	return !json_object_has_member(file, "hashes") || check_hashes(file, error);
}

static gboolean check_meta(AshTufMetadata *metadata, const char *needed, GError **error)
{
	g_autoptr(GError) cause = NULL;
	JsonObject *meta = NULL;

	if (!ash_json_object(metadata->body, "meta", &meta, &cause))
		return throw_syntax(error, cause);
	if (!json_object_has_member(meta, needed))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
				"'meta' does not name '%s'", needed);
	g_autoptr(GList) names = json_object_get_members(meta);
	for (GList *i = names; i != NULL; i = i->next)
		if (!check_meta_file(meta, i->data, error))
			return FALSE;
	return TRUE;
}

static gboolean check_timestamp(AshTufMetadata *metadata, GError **error)
{
	return check_meta(metadata, "snapshot.json", error);
}

static gboolean check_snapshot(AshTufMetadata *metadata, GError **error)
{
	return check_meta(metadata, "targets.json", error);
}

static gboolean check_target(JsonObject *targets, const char *path, GError **error)
{
	g_autoptr(GError) cause = NULL;
	JsonObject *target = NULL;
	uint64_t length = 0;

	if (!ash_json_object(targets, path, &target, &cause) ||
			!ash_json_uint(target, "length", G_MAXINT64, &length, &cause))
		return throw_syntax(error, cause);
	ASH_PREFIX("target '%s'", path);
	return check_hashes(target, error);
}

static gboolean check_targets(AshTufMetadata *metadata, GError **error)
{
	g_autoptr(GError) cause = NULL;
	JsonObject *targets = NULL;

	if (!ash_json_object(metadata->body, "targets", &targets, &cause))
		return throw_syntax(error, cause);
	g_autoptr(GList) paths = json_object_get_members(targets);
	for (GList *i = paths; i != NULL; i = i->next)
		if (!check_target(targets, i->data, error))
			return FALSE;
	g_autoptr(GPtrArray) delegations = NULL;
	return ash_tuf_delegations_parse(metadata->body, &delegations, error);
}

static const struct {
	const char *type;
	gboolean (*check)(AshTufMetadata *metadata, GError **error);
} types[] = {
		{"root", check_root},
		{"timestamp", check_timestamp},
		{"snapshot", check_snapshot},
		{"targets", check_targets},
};

/* ---- the file ---- */

static gboolean check_signatures(const AshTufMetadata *metadata, GError **error)
{
	for (guint i = 0; i < json_array_get_length(metadata->signatures); i++) {
		JsonNode *node = json_array_get_element(metadata->signatures, i);
		const char *text = NULL;

		if (!JSON_NODE_HOLDS_OBJECT(node) ||
				!ash_json_text(json_node_get_object(node), "keyid", &text, NULL) ||
				!ash_json_text(json_node_get_object(node), "sig", &text, NULL))
			return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
					"a signature without 'keyid' and 'sig'");
	}
	return TRUE;
}

/* What all types have in common. */
static gboolean check_common(AshTufMetadata *metadata, GError **error)
{
	g_autoptr(GError) cause = NULL;
	const char *type = NULL;
	const char *spec_version = NULL;
	const char *expires = NULL;

	if (!ash_json_text(metadata->body, "_type", &type, &cause) ||
			!ash_json_text(metadata->body, "spec_version", &spec_version, &cause) ||
			!ash_json_text(metadata->body, "expires", &expires, &cause) ||
			!ash_json_uint(metadata->body, "version", G_MAXINT64, &metadata->version,
					&cause))
		return throw_syntax(error, cause);
	if (strcmp(type, metadata->type) != 0)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
				"the type is '%s', not '%s'", type, metadata->type);
	if (!g_str_has_prefix(spec_version, "1."))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX,
				"made for version '%s' of the specification", spec_version);
	if (metadata->version == 0)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX, "a version of 0");
	return parse_time(expires, &metadata->expires_s, error) &&
	       check_signatures(metadata, error);
}

gboolean ash_tuf_metadata_parse(GBytes *bytes, const char *type, size_t max_bytes,
		AshTufMetadata **out_metadata, GError **error)
{
	g_autoptr(AshTufMetadata) metadata = g_new0(AshTufMetadata, 1);
	g_autoptr(GError) cause = NULL;
	size_t kind = 0;

	if (g_bytes_get_size(bytes) > max_bytes)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_TOO_BIG,
				"larger than %zu bytes", max_bytes);
	while (kind < G_N_ELEMENTS(types) && strcmp(types[kind].type, type) != 0)
		kind++;
	g_assert(kind < G_N_ELEMENTS(types));
	metadata->type = types[kind].type;
	metadata->bytes = g_bytes_ref(bytes);
	if (!ash_json_parse(bytes, max_bytes, ASH_TUF_MAX_DEPTH, &metadata->node, &cause))
		return throw_syntax(error, cause);
	if (!JSON_NODE_HOLDS_OBJECT(metadata->node))
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX, "not an object");
	JsonObject *file = json_node_get_object(metadata->node);
	if (!ash_json_object(file, "signed", &metadata->body, &cause) ||
			!ash_json_array(file, "signatures", &metadata->signatures, &cause))
		return throw_syntax(error, cause);
	if (!check_common(metadata, error) || !types[kind].check(metadata, error))
		return FALSE;
	*out_metadata = g_steal_pointer(&metadata);
	return TRUE;
}

void ash_tuf_metadata_free(AshTufMetadata *metadata)
{
	if (metadata == NULL)
		return;
	g_clear_pointer(&metadata->bytes, g_bytes_unref);
	g_clear_pointer(&metadata->node, json_node_unref);
	g_free(metadata);
}

/* ---- signatures ---- */

static GHashTable *index_signatures(const AshTufMetadata *metadata, GError **error)
{
	g_autoptr(GHashTable) by_keyid =
			g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

	for (guint i = 0; i < json_array_get_length(metadata->signatures); i++) {
		JsonObject *entry = json_array_get_object_element(metadata->signatures, i);
		const char *keyid = json_object_get_string_member(entry, "keyid");
		const char *signature = json_object_get_string_member(entry, "sig");

		if (!g_hash_table_insert(by_keyid, g_strdup(keyid), g_strdup(signature)))
			return ash_throw_null(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SIGNATURE,
					"two signatures of one keyid");
	}
	return g_steal_pointer(&by_keyid);
}

gboolean ash_tuf_metadata_verify(
		const AshTufMetadata *metadata, const AshTufAuthority *authority, GError **error)
{
	g_autoptr(GHashTable) signatures = index_signatures(metadata, error);
	g_autoptr(GHashTable) valid = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GError) cause = NULL;
	char *canonical = NULL;

	if (signatures == NULL)
		return FALSE;
	JsonNode *body = json_object_get_member(json_node_get_object(metadata->node), "signed");
	if (!ash_canonical_json(body, &canonical, &cause))
		return throw_syntax(error, cause);
	g_autoptr(GBytes) message = g_bytes_new_take(canonical, strlen(canonical));
	for (guint i = 0; i < json_array_get_length(authority->keyids); i++) {
		const char *keyid = json_array_get_string_element(authority->keyids, i);
		const char *hex = g_hash_table_lookup(signatures, keyid);
		g_autoptr(GBytes) signature = hex != NULL ? ash_crypto_hex_find(hex) : NULL;
		g_auto(Key) key = {0};

		if (signature != NULL && find_key(authority->keys, keyid, &key) &&
				ash_crypto_verify(key.scheme, key.public, message, signature))
			g_hash_table_add(valid, g_steal_pointer(&key.fingerprint));
	}
	if (g_hash_table_size(valid) < authority->threshold)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SIGNATURE,
				"%u valid signatures of different keys, %" G_GUINT64_FORMAT
				" are needed",
				g_hash_table_size(valid), (guint64) authority->threshold);
	return TRUE;
}

/* ---- what it says of other files ---- */

bool ash_tuf_metadata_find_file(
		const AshTufMetadata *metadata, const char *name, AshTufFile *out_file)
{
	JsonObject *meta = json_object_get_object_member(metadata->body, "meta");

	if (!json_object_has_member(meta, name))
		return false;
	JsonObject *file = json_object_get_object_member(meta, name);
	*out_file = (AshTufFile){
			.version = (uint64_t) json_object_get_int_member(file, "version"),
			.has_length = json_object_has_member(file, "length"),
	};
	if (out_file->has_length)
		out_file->length = (uint64_t) json_object_get_int_member(file, "length");
	if (json_object_has_member(file, "hashes"))
		out_file->hashes = json_object_get_object_member(file, "hashes");
	return true;
}

gboolean ash_tuf_hashes_verify(JsonObject *hashes, GBytes *bytes, GError **error)
{
	static const struct {
		const char *name;
		char *(*hash)(const void *data, size_t size);
	} kinds[] = {
			{"sha256", ash_sha256_hex},
			{"sha512", ash_sha512_hex},
	};
	gsize size = 0;
	const void *data = g_bytes_get_data(bytes, &size);
	bool is_known = false;

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		if (!json_object_has_member(hashes, kinds[i].name))
			continue;
		is_known = true;
		g_autofree char *hash = kinds[i].hash(data, size);
		if (strcmp(hash, json_object_get_string_member(hashes, kinds[i].name)) != 0)
			return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_HASH,
					"the %s differs from what was signed", kinds[i].name);
	}
	if (!is_known)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_HASH,
				"no hash of a known kind was signed");
	return TRUE;
}
