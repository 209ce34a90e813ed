/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/keys.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "builder/passphrase.h"
#include "lib/auto.h"
#include "lib/error.h"
#include "lib/file.h"
#include "lib/json.h"

G_DEFINE_QUARK(ash_keys_error, ash_keys_error)

enum {
	MAX_ROOTS = 1024,
	MAX_PEM_BYTES = 16 << 10,
	MAX_DEPTH = 8,
};

struct AshKeys {
	int lock_fd; /* -1: only read */
	char **dirs;
	char *passphrase_file;
	char *passphrase;    /* once it was needed */
	GPtrArray *roots;    /* AshRoot */
	GHashTable *private; /* id → AshSigningKey */
	AshSigningRole *workloads;
};

void ash_keys_free(AshKeys *keys)
{
	if (keys == NULL)
		return;
	ash_close_fd(&keys->lock_fd);
	g_strfreev(keys->dirs);
	g_free(keys->passphrase_file);
	ash_passphrase_free(keys->passphrase);
	g_clear_pointer(&keys->roots, g_ptr_array_unref);
	g_clear_pointer(&keys->private, g_hash_table_unref);
	ash_signing_role_free(keys->workloads);
	g_free(keys);
}

const GPtrArray *ash_keys_roots(const AshKeys *keys)
{
	return keys->roots;
}

const AshRoot *ash_keys_root(const AshKeys *keys)
{
	return keys->roots->pdata[keys->roots->len - 1];
}

const AshSigningRole *ash_keys_role(const AshKeys *keys, AshRole role)
{
	return role == ASH_ROLE_WORKLOADS ? keys->workloads : ash_keys_root(keys)->roles[role];
}

/* ---- files -------------------------------------------------------------------------------------- */

static char *private_name(AshRole role, const char *id)
{
	return g_strdup_printf("%s-%.*s.pem", ash_role_name(role), ASH_SIGNING_ID_SHORT, id);
}

static gboolean save(const char *dir, const char *name, GBytes *bytes, mode_t mode, GError **error)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);

	return ash_file_replace(AT_FDCWD, path, g_bytes_get_data(bytes, NULL),
			g_bytes_get_size(bytes), mode, error);
}

static gboolean save_root(const char *dir, uint64_t version, GBytes *bytes, GError **error)
{
	g_autofree char *name = g_strdup_printf("%" PRIu64 ".root.json", version);

	/* Between the two the chain is longer than root.json says, and the chain counts. */
	return save(dir, name, bytes, 0644, error) && save(dir, "root.json", bytes, 0644, error);
}

/* {"keys":{…},"keyids":[…],"threshold":1} */
static gboolean save_workloads(const char *dir, const AshSigningRole *role, GError **error)
{
	g_autoptr(JsonBuilder) json = json_builder_new();

	json_builder_begin_object(json);
	ash_signing_add_keys(json, &role, 1);
	ash_signing_add_role(json, role);
	json_builder_end_object(json);
	g_autofree char *text = ash_json_format(json, true);
	g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
	return save(dir, "workloads.json", bytes, 0644, error);
}

/* Makes a key and its file; both ends of it go to @role and @private. */
static gboolean make_key(const char *dir, AshRole role, const char *passphrase,
		AshSigningRole *public_role, GPtrArray *private, GError **error)
{
	g_autoptr(AshSigningKey) key = NULL;
	g_autoptr(GBytes) public = NULL;
	char *pem = NULL;

	if (!ash_signing_key_new(&key, error) || !ash_signing_key_public(key, &public, error) ||
			!ash_signing_key_format(key, passphrase, &pem, error))
		return FALSE;
	g_autofree char *hex = ash_crypto_hex_format(public);
	ash_signing_role_add(public_role, hex);
	const char *id = public_role->ids->pdata[public_role->ids->len - 1];
	g_autofree char *name = private_name(role, id);
	g_autofree char *path = g_build_filename(dir, name, NULL);
	gboolean ok = ash_file_replace(AT_FDCWD, path, pem, strlen(pem), 0600, error);
	ash_passphrase_free(pem);
	if (ok && private != NULL)
		g_ptr_array_add(private, g_steal_pointer(&key));
	return ok;
}

/* ---- making -------------------------------------------------------------------------------------- */

static gboolean make_all(const char *dir, const AshKeysMake *options, GError **error)
{
	g_autoptr(GPtrArray) private =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_signing_key_free);
	g_autoptr(GPtrArray) roles =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_signing_role_free);
	g_autofree char *expires = ash_signing_time(options->expiry_s);

	for (AshRole role = 0; role < (AshRole) ASH_N_ROLES; role++) {
		bool is_root = role == ASH_ROLE_ROOT;
		AshSigningRole *made = ash_signing_role_new(is_root ? options->root_threshold : 1);
		g_ptr_array_add(roles, made);
		for (unsigned i = 0; i < (is_root ? options->root_keys : 1); i++)
			if (!make_key(dir, role, options->passphrase, made,
					    is_root ? private : NULL, error))
				return FALSE;
	}
	g_autoptr(JsonNode) node = ash_root_build((AshSigningRole **) roles->pdata, 1, expires);
	g_autoptr(GBytes) bytes = NULL;
	return save_workloads(dir, roles->pdata[ASH_ROLE_WORKLOADS], error) &&
	       ash_signing_seal(node, private, &bytes, error) && save_root(dir, 1, bytes, error);
}

gboolean ash_keys_make(const char *dir, const AshKeysMake *options, GError **error)
{
	ASH_PREFIX("making keys in '%s'", dir);
	g_autofree char *canonical = g_canonicalize_filename(dir, NULL);
	g_autofree char *parent = g_path_get_dirname(canonical);
	g_autofree char *name = g_path_get_basename(canonical);
	g_autoptr(AshTempDir) temp = NULL;

	g_assert(options->root_threshold > 0 && options->root_threshold <= options->root_keys);
	/* All or nothing: made under another name. An empty directory is replaced. */
	if (!ash_file_ensure_dir(AT_FDCWD, parent, 0755, error) ||
			!ash_temp_dir_new(parent, name, &temp, error) ||
			!make_all(temp->path, options, error))
		return FALSE;
	if (rename(temp->path, canonical) == 0)
		return ash_file_sync_parent(AT_FDCWD, canonical, error);
	if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR)
		return ash_throw(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_EXISTS,
				"it is there already and not empty; hosts trust the keys they were "
				"made with, so nothing is replaced ('ashlar key rotate' makes new "
				"ones that they can follow)");
	return ash_throw_errno(error, "rename");
}

/* ---- opening ------------------------------------------------------------------------------------- */

static gboolean load_root(AshKeys *keys, uint64_t version, bool *out_is_there, GError **error)
{
	g_autofree char *name = g_strdup_printf("%" PRIu64 ".root.json", version);
	g_autofree char *path = g_build_filename(keys->dirs[0], name, NULL);
	ASH_PREFIX("%s", path);
	g_autoptr(GBytes) bytes = NULL;
	AshRoot *root = NULL;

	if (!ash_file_exists(AT_FDCWD, path, out_is_there, error))
		return FALSE;
	if (!*out_is_there)
		return TRUE;
	if (!ash_file_read(AT_FDCWD, path, ASH_SIGNING_MAX_BYTES, &bytes, error) ||
			!ash_root_parse(bytes, &root, error))
		return FALSE;
	g_ptr_array_add(keys->roots, root);
	if (keys->roots->len > 1)
		return ash_root_check_next(keys->roots->pdata[keys->roots->len - 2], root, error);
	if (root->version != version)
		return ash_throw(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_BROKEN,
				"it is version %" PRIu64, root->version);
	return TRUE;
}

static gboolean load_workloads(AshKeys *keys, GError **error)
{
	g_autofree char *path = g_build_filename(keys->dirs[0], "workloads.json", NULL);
	ASH_PREFIX("%s", path);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(JsonNode) node = NULL;
	JsonObject *publics;

	bool is_there = false;

	if (!ash_file_exists(AT_FDCWD, path, &is_there, error))
		return FALSE;
	if (!is_there)
		return ash_throw(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_NOT_FOUND,
				"it is not there (copy it from the directory of keys, together with "
				"the *.root.json)");
	if (!ash_file_read(AT_FDCWD, path, ASH_SIGNING_MAX_BYTES, &bytes, error) ||
			!ash_json_parse(bytes, ASH_SIGNING_MAX_BYTES, MAX_DEPTH, &node, error))
		return FALSE;
	if (!JSON_NODE_HOLDS_OBJECT(node))
		return ash_throw(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_BROKEN,
				"this is no JSON object");
	return ash_json_object(json_node_get_object(node), "keys", &publics, error) &&
	       ash_signing_role_parse(publics, json_node_get_object(node), &keys->workloads, error);
}

/* Two that make the next root at once would both make the same version of it, and one would be lost. */
static gboolean lock(AshKeys *keys, const char *dir, GError **error)
{
	keys->lock_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (keys->lock_fd < 0 && errno != ENOENT)
		return ash_throw_errno(error, "%s", dir);
	return keys->lock_fd < 0 || flock(keys->lock_fd, LOCK_EX) == 0 ||
	       ash_throw_errno(error, "locking '%s'", dir);
}

gboolean ash_keys_open(const char *const *dirs, const char *passphrase_file, bool is_to_change,
		AshKeys **out_keys, GError **error)
{
	g_autoptr(AshKeys) keys = g_new0(AshKeys, 1);
	bool is_there = true;

	keys->lock_fd = -1;
	keys->dirs = g_strdupv((char **) (uintptr_t) dirs);
	keys->passphrase_file = g_strdup(passphrase_file);
	keys->roots = g_ptr_array_new_with_free_func((GDestroyNotify) ash_root_free);
	keys->private = g_hash_table_new_full(
			g_str_hash, g_str_equal, g_free, (GDestroyNotify) ash_signing_key_free);
	if (is_to_change && !lock(keys, dirs[0], error))
		return FALSE;
	for (uint64_t version = 1; is_there && version <= MAX_ROOTS; version++)
		if (!load_root(keys, version, &is_there, error))
			return FALSE;
	if (keys->roots->len == 0)
		return ash_throw(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_NOT_FOUND,
				"'%s' has no 1.root.json (make keys with 'ashlar key make %s')",
				dirs[0], dirs[0]);
	if (!load_workloads(keys, error))
		return FALSE;
	*out_keys = g_steal_pointer(&keys);
	return TRUE;
}

char *ash_keys_find_private(const AshKeys *keys, AshRole role, const char *id)
{
	g_autofree char *name = private_name(role, id);

	for (char **dir = keys->dirs; *dir != NULL; dir++) {
		g_autofree char *path = g_build_filename(*dir, name, NULL);
		if (access(path, F_OK) == 0)
			return g_steal_pointer(&path);
	}
	return NULL;
}

bool ash_keys_has(const AshKeys *keys, AshRole role)
{
	const AshSigningRole *publics = ash_keys_role(keys, role);
	uint64_t found = 0;

	for (guint i = 0; i < publics->ids->len; i++) {
		g_autofree char *path = ash_keys_find_private(keys, role, publics->ids->pdata[i]);
		found += path != NULL;
	}
	return found >= publics->threshold;
}

/* ---- private keys -------------------------------------------------------------------------------- */

static gboolean parse_private(AshKeys *keys, const char *path, GBytes *pem, AshSigningKey **out_key,
		GError **error)
{
	g_autoptr(GError) cause = NULL;
	bool is_encrypted = strstr(g_bytes_get_data(pem, NULL), "ENCRYPTED") != NULL;

	if (is_encrypted && keys->passphrase == NULL &&
			!ash_passphrase_read(keys->passphrase_file, path, false, &keys->passphrase,
					error))
		return FALSE;
	if (ash_signing_key_parse(pem, is_encrypted ? keys->passphrase : NULL, out_key, &cause))
		return TRUE;
	if (g_error_matches(cause, ASH_CRYPTO_ERROR, ASH_CRYPTO_ERROR_PASSPHRASE))
		return ash_throw(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_PASSPHRASE,
				"%s: wrong passphrase", path);
	return ash_throw(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_BROKEN, "%s: %s", path,
			cause->message);
}

/* *out_key is NULL when the file is not here. */
static gboolean load_private(AshKeys *keys, AshRole role, const char *id, AshSigningKey **out_key,
		GError **error)
{
	g_autofree char *path = ash_keys_find_private(keys, role, id);
	g_autoptr(GBytes) pem = NULL;
	g_autoptr(AshSigningKey) key = NULL;

	*out_key = g_hash_table_lookup(keys->private, id);
	if (*out_key != NULL || path == NULL)
		return TRUE;
	if (!ash_file_read(AT_FDCWD, path, MAX_PEM_BYTES, &pem, error) ||
			!parse_private(keys, path, pem, &key, error))
		return FALSE;
	*out_key = key;
	g_hash_table_insert(keys->private, g_strdup(id), g_steal_pointer(&key));
	return TRUE;
}

static gboolean throw_missing(
		const AshKeys *keys, AshRole role, const AshSigningRole *publics, GError **error)
{
	g_autoptr(GString) names = g_string_new(NULL);

	for (guint i = 0; i < publics->ids->len; i++) {
		const char *id = publics->ids->pdata[i];
		g_autofree char *path = ash_keys_find_private(keys, role, id);
		g_autofree char *name = private_name(role, id);
		if (path == NULL)
			g_string_append_printf(names, "%s%s", names->len > 0 ? ", " : "", name);
	}
	return ash_throw(error, ASH_KEYS_ERROR, ASH_KEYS_ERROR_PRIVATE,
			"the role %s signs with %" PRIu64
			" of %u keys, and of those %s %s not here "
			"(bring the file, or name its directory with another --keys)",
			ash_role_name(role), publics->threshold, publics->ids->len, names->str,
			strchr(names->str, ',') != NULL ? "are" : "is");
}

/* Adds the private keys of @publics that are here to @private, each once. */
static gboolean collect(AshKeys *keys, AshRole role, const AshSigningRole *publics, bool is_needed,
		GPtrArray *private, GError **error)
{
	uint64_t found = 0;

	for (guint i = 0; i < publics->ids->len; i++) {
		AshSigningKey *key = NULL;
		if (!load_private(keys, role, publics->ids->pdata[i], &key, error))
			return FALSE;
		found += key != NULL;
		if (key != NULL && !g_ptr_array_find(private, key, NULL))
			g_ptr_array_add(private, key);
	}
	if (is_needed && found < publics->threshold)
		return throw_missing(keys, role, publics, error);
	return TRUE;
}

gboolean ash_keys_sign(AshKeys *keys, AshRole role, const AshSigningRole *also,
		JsonNode *signed_node, GBytes **out_bytes, GError **error)
{
	g_autoptr(GPtrArray) private = g_ptr_array_new();

	return collect(keys, role, ash_keys_role(keys, role), true, private, error) &&
	       (also == NULL || collect(keys, role, also, false, private, error)) &&
	       ash_signing_seal(signed_node, private, out_bytes, error);
}

/* ---- rotation ------------------------------------------------------------------------------------ */

/* Of @role as many new keys as it has. */
static gboolean make_successor(AshKeys *keys, AshRole role, const char *passphrase,
		AshSigningRole **out_role, GPtrArray *private, GError **error)
{
	const AshSigningRole *old = ash_keys_role(keys, role);
	g_autoptr(AshSigningRole) made = ash_signing_role_new(old->threshold);

	for (guint i = 0; i < old->ids->len; i++)
		if (!make_key(keys->dirs[0], role, passphrase, made, private, error))
			return FALSE;
	*out_role = g_steal_pointer(&made);
	return TRUE;
}

static gboolean rotate_workloads(AshKeys *keys, const char *passphrase, GError **error)
{
	g_autoptr(AshSigningRole) made = NULL;

	if (!make_successor(keys, ASH_ROLE_WORKLOADS, passphrase, &made, NULL, error) ||
			!save_workloads(keys->dirs[0], made, error))
		return FALSE;
	ash_signing_role_free(keys->workloads);
	keys->workloads = g_steal_pointer(&made);
	return TRUE;
}

gboolean ash_keys_rotate(AshKeys *keys, AshRole role, int64_t expiry_s, const char *passphrase,
		GError **error)
{
	const AshRoot *old = ash_keys_root(keys);
	AshSigningRole *roles[ASH_ROOT_N_ROLES];
	g_autoptr(AshSigningRole) made = NULL;
	g_autoptr(GPtrArray) signers = g_ptr_array_new();
	g_autoptr(GPtrArray) fresh =
			g_ptr_array_new_with_free_func((GDestroyNotify) ash_signing_key_free);
	g_autoptr(GBytes) bytes = NULL;
	g_autofree char *expires = ash_signing_time(expiry_s);
	AshRoot *root = NULL;

	if (role == ASH_ROLE_WORKLOADS)
		return rotate_workloads(keys, passphrase, error);
	/* The old keys first: without them nothing new is made. */
	if (!collect(keys, ASH_ROLE_ROOT, old->roles[ASH_ROLE_ROOT], true, signers, error))
		return FALSE;
	memcpy(roles, old->roles, sizeof roles);
	if (role < (AshRole) ASH_ROOT_N_ROLES) {
		if (!make_successor(keys, role, passphrase, &made, fresh, error))
			return FALSE;
		roles[role] = made;
	}
	for (guint i = 0; role == ASH_ROLE_ROOT && i < fresh->len; i++)
		g_ptr_array_add(signers, fresh->pdata[i]);
	g_autoptr(JsonNode) node = ash_root_build(roles, old->version + 1, expires);
	if (!ash_signing_seal(node, signers, &bytes, error) || !ash_root_parse(bytes, &root, error))
		return FALSE;
	g_ptr_array_add(keys->roots, root);
	return ash_root_check_next(old, root, error) &&
	       save_root(keys->dirs[0], root->version, bytes, error);
}
