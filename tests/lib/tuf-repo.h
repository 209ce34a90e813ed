/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <gio/gio.h>
#include <glib.h>
#include <stdbool.h>
#include <string.h>

#include "lib/canonical.h"
#include "lib/crypto.h"
#include "lib/json.h"

/* A TUF repository in memory that signs whatever a test wants, and a table of what an attacker, or an
 * honest repository, may do to it. The unit test and tests/integration/tuf.sh go through the same table.
 */

enum {
	TUF_ROOT,
	TUF_TIMESTAMP,
	TUF_SNAPSHOT,
	TUF_TARGETS,
	TUF_ROLES
};

static const char *const tuf_role_names[TUF_ROLES] = {"root", "timestamp", "snapshot", "targets"};

#define TUF_LATER "2100-01-01T00:00:00Z"
#define TUF_PAST "2020-01-01T00:00:00Z"

typedef struct {
	GPtrArray *keys;    /* AshSigningKey: what root names */
	GPtrArray *signers; /* AshSigningKey: who really signs */
	unsigned threshold;
	guint64 version;
	const char *expires;
} TufRole;

typedef struct {
	const char *parent, *name;
	const char *where; /* "\"paths\":[…]" */
	bool is_terminating;
	bool is_left_out; /* of the snapshot */
	AshSigningKey *key;
	guint64 version;
	char *targets; /* members */
} TufDelegated;

typedef struct {
	GHashTable *files; /* name → GBytes */
	TufRole roles[TUF_ROLES];
	GPtrArray *delegated;   /* TufDelegated */
	GString *targets;       /* members of the top-level "targets" */
	const char *extra;      /* members for each "signed" */
	const char *extra_keys; /* members of root's "keys" */
	bool is_without_hashes; /* in timestamp and snapshot */
	bool is_inconsistent;
} TufRepo;

static inline GPtrArray *tuf_keys_new(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify) ash_signing_key_free);
}

static inline AshSigningKey *tuf_key_new(void)
{
	g_autoptr(GError) error = NULL;
	AshSigningKey *key = NULL;
	gboolean ok = ash_signing_key_new(&key, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	return key;
}

static inline AshSigningKey *tuf_key_copy(AshSigningKey *key)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *pem = NULL;
	AshSigningKey *copy = NULL;
	gboolean ok = ash_signing_key_format(key, NULL, &pem, &error);
	g_autoptr(GBytes) bytes = g_bytes_new(pem, strlen(pem));

	ok = ok && ash_signing_key_parse(bytes, NULL, &copy, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	return copy;
}

static inline char *tuf_key_public(AshSigningKey *key)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) public = NULL;
	gboolean ok = ash_signing_key_public(key, &public, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	return ash_crypto_hex_format(public);
}

/* Unique is all that a keyid has to be. */
static inline char *tuf_keyid(AshSigningKey *key)
{
	g_autofree char *public = tuf_key_public(key);

	return ash_sha256_hex(public, strlen(public));
}

static inline void tuf_delegated_free(gpointer data)
{
	TufDelegated *delegated = data;

	ash_signing_key_free(delegated->key);
	g_free(delegated->targets);
	g_free(delegated);
}

static inline void tuf_repo_free(TufRepo *repo)
{
	if (repo == NULL)
		return;
	for (size_t i = 0; i < TUF_ROLES; i++) {
		g_ptr_array_unref(repo->roles[i].keys);
		g_ptr_array_unref(repo->roles[i].signers);
	}
	g_hash_table_unref(repo->files);
	g_ptr_array_unref(repo->delegated);
	g_string_free(repo->targets, TRUE);
	g_free(repo);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TufRepo, tuf_repo_free)

/* ---- signing ---- */

static inline void tuf_append_signature(GString *text, AshSigningKey *key, GBytes *message)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) signature = NULL;
	gboolean ok = ash_signing_key_sign(key, message, &signature, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	g_autofree char *hex = ash_crypto_hex_format(signature);
	g_autofree char *keyid = tuf_keyid(key);
	g_string_append_printf(text, "%s{\"keyid\":\"%s\",\"sig\":\"%s\"}",
			text->str[text->len - 1] == '[' ? "" : ",", keyid, hex);
}

/* The file that has @body as its "signed", signed by each of @signers in turn, even twice. */
static inline GBytes *tuf_sign(const char *body, GPtrArray *signers)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(body, strlen(body));
	g_autoptr(JsonNode) node = NULL;
	char *canonical = NULL;
	gboolean ok = ash_json_parse(bytes, 16 << 20, 64, &node, &error) &&
		      ash_canonical_json(node, &canonical, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	g_autoptr(GBytes) message = g_bytes_new_take(canonical, strlen(canonical));
	g_autoptr(GString) text = g_string_new("{\"signatures\":[");
	for (guint i = 0; i < signers->len; i++)
		tuf_append_signature(text, g_ptr_array_index(signers, i), message);
	g_string_append_printf(text, "],\n\"signed\":%s}\n", body);
	return g_string_free_to_bytes(g_steal_pointer(&text));
}

static inline void tuf_put(TufRepo *repo, const char *name, const char *text)
{
	g_hash_table_insert(repo->files, g_strdup(name), g_bytes_new(text, strlen(text)));
}

/* ---- writing roles ---- */

static inline char *tuf_file_name(const TufRepo *repo, const char *role, guint64 version)
{
	if (repo->is_inconsistent || strcmp(role, "timestamp") == 0)
		return g_strdup_printf("%s.json", role);
	return g_strdup_printf("%" G_GUINT64_FORMAT ".%s.json", version, role);
}

static inline void tuf_append_key(GString *keys, AshSigningKey *key, const char *keyid)
{
	g_autofree char *public = tuf_key_public(key);

	g_string_append_printf(keys,
			"%s\"%s\":{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\","
			"\"keyval\":{\"public\":\"%s\"}}",
			keys->len > 0 ? "," : "", keyid, public);
}

static inline char *tuf_root_members(const TufRepo *repo)
{
	g_autoptr(GString) keys = g_string_new(NULL);
	g_autoptr(GString) roles = g_string_new(NULL);

	for (size_t i = 0; i < TUF_ROLES; i++) {
		const TufRole *role = &repo->roles[i];

		g_string_append_printf(roles, "%s\"%s\":{\"threshold\":%u,\"keyids\":[",
				i > 0 ? "," : "", tuf_role_names[i], role->threshold);
		for (guint k = 0; k < role->keys->len; k++) {
			g_autofree char *keyid = tuf_keyid(g_ptr_array_index(role->keys, k));
			g_string_append_printf(roles, "%s\"%s\"", k > 0 ? "," : "", keyid);
			tuf_append_key(keys, g_ptr_array_index(role->keys, k), keyid);
		}
		g_string_append(roles, "]}");
	}
	if (repo->extra_keys != NULL)
		g_string_append_printf(keys, ",%s", repo->extra_keys);
	return g_strdup_printf("\"consistent_snapshot\":%s,\"keys\":{%s},\"roles\":{%s}",
			repo->is_inconsistent ? "false" : "true", keys->str, roles->str);
}

static inline void tuf_append_file(
		const TufRepo *repo, GString *meta, const char *role, guint64 version)
{
	g_autofree char *name = tuf_file_name(repo, role, version);
	GBytes *bytes = g_hash_table_lookup(repo->files, name);

	g_string_append_printf(meta, "%s\"%s.json\":{\"version\":%" G_GUINT64_FORMAT,
			meta->len > 0 ? "," : "", role, version);
	if (!repo->is_without_hashes && bytes != NULL) {
		gsize size = 0;
		const void *data = g_bytes_get_data(bytes, &size);
		g_autofree char *hash = ash_sha256_hex(data, size);
		g_string_append_printf(
				meta, ",\"length\":%zu,\"hashes\":{\"sha256\":\"%s\"}", size, hash);
	}
	g_string_append_c(meta, '}');
}

static inline char *tuf_meta_members(const TufRepo *repo, size_t kind)
{
	g_autoptr(GString) meta = g_string_new(NULL);
	size_t named = kind == TUF_TIMESTAMP ? TUF_SNAPSHOT : TUF_TARGETS;

	tuf_append_file(repo, meta, tuf_role_names[named], repo->roles[named].version);
	for (guint i = 0; kind == TUF_SNAPSHOT && i < repo->delegated->len; i++) {
		const TufDelegated *delegated = g_ptr_array_index(repo->delegated, i);
		if (!delegated->is_left_out)
			tuf_append_file(repo, meta, delegated->name, delegated->version);
	}
	return g_strdup_printf("\"meta\":{%s}", meta->str);
}

static inline char *tuf_targets_members(
		const TufRepo *repo, const char *parent, const char *targets)
{
	g_autoptr(GString) keys = g_string_new(NULL);
	g_autoptr(GString) roles = g_string_new(NULL);

	for (guint i = 0; i < repo->delegated->len; i++) {
		const TufDelegated *delegated = g_ptr_array_index(repo->delegated, i);
		if (strcmp(delegated->parent, parent) != 0)
			continue;
		g_autofree char *keyid = tuf_keyid(delegated->key);
		tuf_append_key(keys, delegated->key, keyid);
		g_string_append_printf(roles,
				"%s{\"name\":\"%s\",\"threshold\":1,\"keyids\":[\"%s\"],"
				"\"terminating\":%s,%s}",
				roles->len > 0 ? "," : "", delegated->name, keyid,
				delegated->is_terminating ? "true" : "false", delegated->where);
	}
	return g_strdup_printf("\"targets\":{%s},\"delegations\":{\"keys\":{%s},\"roles\":[%s]}",
			targets, keys->str, roles->str);
}

static inline void tuf_write_body(TufRepo *repo, const char *name, const char *type,
		guint64 version, const char *expires, const char *members, GPtrArray *signers)
{
	g_autofree char *body = g_strdup_printf("{\"_type\":\"%s\",\"spec_version\":\"1.0.34\","
						"\"version\":%" G_GUINT64_FORMAT
						",\"expires\":\"%s\",%s%s}",
			type, version, expires, repo->extra != NULL ? repo->extra : "", members);

	g_hash_table_insert(repo->files, g_strdup(name), tuf_sign(body, signers));
}

/* Signs what the role says now, under its present version. */
static inline void tuf_write(TufRepo *repo, size_t kind)
{
	const TufRole *role = &repo->roles[kind];
	g_autofree char *name =
			kind == TUF_ROOT ? g_strdup_printf("%" G_GUINT64_FORMAT ".root.json",
							   role->version)
					 : tuf_file_name(repo, tuf_role_names[kind], role->version);
	g_autofree char *members = kind == TUF_ROOT      ? tuf_root_members(repo)
				   : kind == TUF_TARGETS ? tuf_targets_members(repo, "targets",
									   repo->targets->str)
							 : tuf_meta_members(repo, kind);

	tuf_write_body(repo, name, tuf_role_names[kind], role->version, role->expires, members,
			role->signers);
}

static inline void tuf_write_delegated(TufRepo *repo, TufDelegated *delegated)
{
	g_autoptr(GPtrArray) signers = g_ptr_array_new();
	g_autofree char *name = tuf_file_name(repo, delegated->name, delegated->version);
	g_autofree char *members = tuf_targets_members(repo, delegated->name, delegated->targets);

	g_ptr_array_add(signers, delegated->key);
	tuf_write_body(repo, name, "targets", delegated->version, TUF_LATER, members, signers);
}

static inline void tuf_publish(TufRepo *repo, size_t kind)
{
	repo->roles[kind].version++;
	tuf_write(repo, kind);
}

/* From @kind up to the timestamp: targets, snapshot, timestamp. */
static inline void tuf_publish_from(TufRepo *repo, size_t kind)
{
	for (size_t i = kind; i >= TUF_TIMESTAMP; i--)
		tuf_publish(repo, i);
}

static inline TufDelegated *tuf_delegate(TufRepo *repo, const char *parent, const char *name,
		const char *where, bool is_terminating)
{
	TufDelegated *delegated = g_new0(TufDelegated, 1);

	delegated->parent = parent;
	delegated->name = name;
	delegated->where = where;
	delegated->is_terminating = is_terminating;
	delegated->key = tuf_key_new();
	delegated->version = 1;
	delegated->targets = g_strdup("");
	g_ptr_array_add(repo->delegated, delegated);
	return delegated;
}

/* @members: of a "targets" object; the target's bytes are @content */
static inline char *tuf_target_member(const char *path, const char *content)
{
	g_autofree char *hash = ash_sha256_hex(content, strlen(content));

	return g_strdup_printf("\"%s\":{\"length\":%zu,\"hashes\":{\"sha256\":\"%s\"},"
			       "\"custom\":{\"kind\":\"release\"}}",
			path, strlen(content), hash);
}

/* Its bytes lie among the files as "targets/DIR/HASH.NAME". */
static inline void tuf_put_target(TufRepo *repo, const char *path, const char *content)
{
	g_autofree char *hash = ash_sha256_hex(content, strlen(content));
	g_autofree char *dir = g_path_get_dirname(path);
	g_autofree char *base = g_path_get_basename(path);
	g_autofree char *name =
			repo->is_inconsistent ? g_strdup_printf("targets/%s", path)
			: strcmp(dir, ".") == 0
					? g_strdup_printf("targets/%s.%s", hash, base)
					: g_strdup_printf("targets/%s/%s.%s", dir, hash, base);

	tuf_put(repo, name, content);
}

static inline void tuf_add_target(TufRepo *repo, const char *path, const char *content)
{
	g_autofree char *member = tuf_target_member(path, content);

	g_string_append_printf(repo->targets, "%s%s", repo->targets->len > 0 ? "," : "", member);
	tuf_put_target(repo, path, content);
}

static inline void tuf_delegated_add_target(
		TufRepo *repo, TufDelegated *delegated, const char *path, const char *content)
{
	g_autofree char *member = tuf_target_member(path, content);
	char *targets = g_strdup_printf("%s%s%s", delegated->targets,
			*delegated->targets != '\0' ? "," : "", member);

	g_free(delegated->targets);
	delegated->targets = targets;
	tuf_put_target(repo, path, content);
}

/* Another key for the role, which signs from now on; the old one is returned. */
static inline AshSigningKey *tuf_rotate(TufRole *role)
{
	AshSigningKey *old = g_ptr_array_steal_index(role->keys, 0);
	AshSigningKey *key = tuf_key_new();

	g_ptr_array_add(role->keys, key);
	g_ptr_array_set_size(role->signers, 0);
	g_ptr_array_add(role->signers, tuf_key_copy(key));
	return old;
}

/* Root's new key, and the old one, sign the next root. */
static inline void tuf_rotate_root(TufRepo *repo)
{
	AshSigningKey *old = tuf_rotate(&repo->roles[TUF_ROOT]);

	g_ptr_array_add(repo->roles[TUF_ROOT].signers, old);
	tuf_publish(repo, TUF_ROOT);
	g_ptr_array_set_size(repo->roles[TUF_ROOT].signers, 1);
}

/* Version 1 of everything: target "file.txt", and the role "team" for "team/ *". */
static inline TufRepo *tuf_repo_new(void)
{
	TufRepo *repo = g_new0(TufRepo, 1);

	repo->files = g_hash_table_new_full(
			g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_bytes_unref);
	repo->delegated = g_ptr_array_new_with_free_func(tuf_delegated_free);
	repo->targets = g_string_new(NULL);
	for (size_t i = 0; i < TUF_ROLES; i++) {
		repo->roles[i] = (TufRole){
				.keys = tuf_keys_new(),
				.signers = tuf_keys_new(),
				.threshold = 1,
				.expires = TUF_LATER,
		};
		AshSigningKey *key = tuf_key_new();
		g_ptr_array_add(repo->roles[i].keys, key);
		g_ptr_array_add(repo->roles[i].signers, tuf_key_copy(key));
	}
	tuf_add_target(repo, "file.txt", "the file\n");
	TufDelegated *team = tuf_delegate(repo, "targets", "team", "\"paths\":[\"team/*\"]", false);
	tuf_delegated_add_target(repo, team, "team/tool", "the tool\n");
	tuf_write_delegated(repo, team);
	for (size_t i = TUF_ROLES; i-- > 0;)
		tuf_publish(repo, i);
	return repo;
}
