/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/tuf.h"
#include "tests/lib/tuf-repo.h"

/* What may happen to a repository between two visits of a client, and the one word that the client has
 * to say of it (ash_tuf_error_word; "" when all is well).
 */

static inline void attack_none(TufRepo *repo)
{
	tuf_publish_from(repo, TUF_TARGETS);
}

static inline void attack_timestamp_rollback(TufRepo *repo)
{
	repo->roles[TUF_TIMESTAMP].version = 2;
	tuf_write(repo, TUF_TIMESTAMP);
}

static inline void attack_snapshot_rollback(TufRepo *repo)
{
	repo->roles[TUF_SNAPSHOT].version = 2;
	tuf_write(repo, TUF_SNAPSHOT);
	tuf_publish(repo, TUF_TIMESTAMP);
}

static inline void attack_targets_rollback(TufRepo *repo)
{
	repo->roles[TUF_TARGETS].version = 2;
	tuf_write(repo, TUF_TARGETS);
	tuf_publish_from(repo, TUF_SNAPSHOT);
}

static inline void attack_delegated_rollback(TufRepo *repo)
{
	TufDelegated *team = g_ptr_array_index(repo->delegated, 0);

	team->version = 1;
	tuf_write_delegated(repo, team);
	tuf_publish_from(repo, TUF_SNAPSHOT);
}

/* The file of a role is not named by the snapshot any more. */
static inline void attack_role_dropped(TufRepo *repo)
{
	TufDelegated *team = g_ptr_array_index(repo->delegated, 0);

	team->is_left_out = true;
	tuf_publish_from(repo, TUF_SNAPSHOT);
}

/* A role that the snapshot never named. */
static inline void attack_role_unlisted(TufRepo *repo)
{
	TufDelegated *other = tuf_delegate(repo, "targets", "other", "\"paths\":[\"o*\"]", false);

	other->is_left_out = true;
	tuf_write_delegated(repo, other);
	tuf_publish_from(repo, TUF_TARGETS);
}

static inline void attack_role_missing(TufRepo *repo)
{
	tuf_delegate(repo, "targets", "other", "\"paths\":[\"o*\"]", false);
	tuf_publish_from(repo, TUF_TARGETS);
}

static inline void attack_whole_rollback(TufRepo *repo)
{
	for (size_t i = TUF_TARGETS; i >= TUF_TIMESTAMP; i--) {
		repo->roles[i].version = 2;
		tuf_write(repo, i);
	}
}

static inline void expire(TufRepo *repo, size_t kind)
{
	repo->roles[kind].expires = TUF_PAST;
	if (kind == TUF_ROOT)
		tuf_publish(repo, TUF_ROOT);
	tuf_publish_from(repo, kind == TUF_ROOT ? TUF_TARGETS : kind);
}

static inline void attack_root_expired(TufRepo *repo)
{
	expire(repo, TUF_ROOT);
}

static inline void attack_timestamp_expired(TufRepo *repo)
{
	expire(repo, TUF_TIMESTAMP);
}

static inline void attack_snapshot_expired(TufRepo *repo)
{
	expire(repo, TUF_SNAPSHOT);
}

static inline void attack_targets_expired(TufRepo *repo)
{
	expire(repo, TUF_TARGETS);
}

/* A root in between may have expired. */
static inline void attack_old_root_expired(TufRepo *repo)
{
	repo->roles[TUF_ROOT].expires = TUF_PAST;
	tuf_publish(repo, TUF_ROOT);
	repo->roles[TUF_ROOT].expires = TUF_LATER;
	tuf_publish(repo, TUF_ROOT);
}

/* Two snapshots of one version, both well signed; the timestamp is of the other one. */
static inline void attack_mix_and_match(TufRepo *repo)
{
	repo->extra = "\"other\":1,";
	tuf_publish_from(repo, TUF_TARGETS);
	repo->extra = "\"other\":2,";
	tuf_write(repo, TUF_SNAPSHOT);
}

static inline void attack_mix_targets(TufRepo *repo)
{
	repo->extra = "\"other\":1,";
	tuf_publish_from(repo, TUF_TARGETS);
	repo->extra = "\"other\":2,";
	tuf_write(repo, TUF_TARGETS);
}

static inline void serve_as(TufRepo *repo, const char *name, const char *from)
{
	GBytes *bytes = g_hash_table_lookup(repo->files, from);

	g_hash_table_insert(repo->files, g_strdup(name), g_bytes_ref(bytes));
}

/* Well signed, of another version than the name says. */
static inline void attack_snapshot_version(TufRepo *repo)
{
	repo->is_without_hashes = true;
	tuf_publish_from(repo, TUF_SNAPSHOT);
	serve_as(repo, "4.snapshot.json", "3.snapshot.json");
}

static inline void attack_root_again(TufRepo *repo)
{
	serve_as(repo, "2.root.json", "1.root.json");
}

static inline void attack_root_skipped(TufRepo *repo)
{
	tuf_publish(repo, TUF_ROOT);
	tuf_publish(repo, TUF_ROOT);
	serve_as(repo, "2.root.json", "3.root.json");
}

static inline void sign_wrongly(TufRepo *repo, size_t kind)
{
	g_ptr_array_set_size(repo->roles[kind].signers, 0);
	g_ptr_array_add(repo->roles[kind].signers, tuf_key_new());
	if (kind == TUF_ROOT)
		tuf_publish(repo, TUF_ROOT);
	else
		tuf_publish_from(repo, kind);
}

static inline void attack_root_wrong_key(TufRepo *repo)
{
	sign_wrongly(repo, TUF_ROOT);
}

static inline void attack_timestamp_wrong_key(TufRepo *repo)
{
	sign_wrongly(repo, TUF_TIMESTAMP);
}

static inline void attack_snapshot_wrong_key(TufRepo *repo)
{
	sign_wrongly(repo, TUF_SNAPSHOT);
}

static inline void attack_targets_wrong_key(TufRepo *repo)
{
	sign_wrongly(repo, TUF_TARGETS);
}

static inline void attack_unsigned(TufRepo *repo)
{
	g_ptr_array_set_size(repo->roles[TUF_TARGETS].signers, 0);
	tuf_publish_from(repo, TUF_TARGETS);
}

/* One of two keys that a role needs was stolen. */
static inline void attack_one_of_two(TufRepo *repo)
{
	TufRole *role = &repo->roles[TUF_SNAPSHOT];

	g_ptr_array_add(role->keys, tuf_key_new());
	role->threshold = 2;
	tuf_publish(repo, TUF_ROOT);
	tuf_publish_from(repo, TUF_SNAPSHOT);
}

/* … and signs twice. */
static inline void attack_keyid_twice(TufRepo *repo)
{
	TufRole *role = &repo->roles[TUF_SNAPSHOT];

	g_ptr_array_add(role->signers, tuf_key_copy(g_ptr_array_index(role->keys, 0)));
	attack_one_of_two(repo);
}

/* Root itself names one key as if it were two. */
static inline void attack_one_key_two_keyids(TufRepo *repo)
{
	TufRole *role = &repo->roles[TUF_TIMESTAMP];
	g_autofree char *keyid = tuf_keyid(g_ptr_array_index(role->keys, 0));
	g_autofree char *public = tuf_key_public(g_ptr_array_index(role->keys, 0));
	static const char alias[] = "00";
	g_autofree char *extra =
			g_strdup_printf("\"%s\":{\"keytype\":\"ed25519\","
					"\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"%s\"}}",
					alias, public);

	role->threshold = 2;
	repo->extra_keys = extra;
	repo->roles[TUF_ROOT].version++;
	g_autofree char *members = tuf_root_members(repo);
	g_autofree char *from = g_strdup_printf("\"threshold\":2,\"keyids\":[\"%s\"", keyid);
	g_autofree char *to = g_strdup_printf("%s,\"%s\"", from, alias);
	g_autoptr(GString) root = g_string_new(members);
	g_assert_cmpuint(g_string_replace(root, from, to, 0), ==, 1);
	tuf_write_body(repo, "2.root.json", "root", 2, TUF_LATER, root->str,
			repo->roles[TUF_ROOT].signers);
	repo->extra_keys = NULL;
	tuf_publish(repo, TUF_TIMESTAMP);
	GBytes *bytes = g_hash_table_lookup(repo->files, "timestamp.json");
	g_autoptr(GString) timestamp = g_string_new_len(
			g_bytes_get_data(bytes, NULL), (gssize) g_bytes_get_size(bytes));
	/* The one signature again, under the other name. */
	char *end = strstr(timestamp->str, "}],");
	char *start = strstr(timestamp->str, "\"sig\"");
	g_autofree char *signature = g_strndup(start, (gsize) (end - start));
	g_autofree char *second = g_strdup_printf(",{\"keyid\":\"%s\",%s}", alias, signature);
	g_string_insert(timestamp, end + 1 - timestamp->str, second);
	tuf_put(repo, "timestamp.json", timestamp->str);
}

/* ---- too much ---- */

static inline void pad(TufRepo *repo, const char *name, size_t bytes)
{
	GBytes *file = g_hash_table_lookup(repo->files, name);
	g_autofree char *blanks = g_strnfill(bytes, ' ');
	g_autofree char *text = g_strdup_printf(
			"%s%s", (const char *) g_bytes_get_data(file, NULL), blanks);

	tuf_put(repo, name, text);
}

static inline void attack_long_root(TufRepo *repo)
{
	tuf_publish(repo, TUF_ROOT);
	pad(repo, "2.root.json", ASH_TUF_MAX_ROOT_BYTES);
}

static inline void attack_long_timestamp(TufRepo *repo)
{
	tuf_publish(repo, TUF_TIMESTAMP);
	pad(repo, "timestamp.json", ASH_TUF_MAX_TIMESTAMP_BYTES);
}

static inline void attack_long_snapshot(TufRepo *repo)
{
	repo->is_without_hashes = true;
	tuf_publish_from(repo, TUF_SNAPSHOT);
	pad(repo, "4.snapshot.json", ASH_TUF_MAX_SNAPSHOT_BYTES);
}

static inline void attack_long_targets(TufRepo *repo)
{
	repo->is_without_hashes = true;
	tuf_publish_from(repo, TUF_TARGETS);
	pad(repo, "4.targets.json", ASH_TUF_MAX_TARGETS_BYTES);
}

/* One byte more than was signed. */
static inline void attack_longer_than_signed(TufRepo *repo)
{
	tuf_publish_from(repo, TUF_TARGETS);
	pad(repo, "4.targets.json", 1);
}

static inline void attack_deep(TufRepo *repo)
{
	g_autofree char *open = g_strnfill(100000 / 10, '[');

	tuf_put(repo, "timestamp.json", open);
}

/* ---- not there, not right ---- */

static inline void attack_timestamp_missing(TufRepo *repo)
{
	g_hash_table_remove(repo->files, "timestamp.json");
}

static inline void attack_snapshot_missing(TufRepo *repo)
{
	tuf_publish_from(repo, TUF_SNAPSHOT);
	g_hash_table_remove(repo->files, "4.snapshot.json");
}

static inline void attack_targets_missing(TufRepo *repo)
{
	tuf_publish_from(repo, TUF_TARGETS);
	g_hash_table_remove(repo->files, "4.targets.json");
}

static inline void attack_not_json(TufRepo *repo)
{
	tuf_put(repo, "timestamp.json", "<html>log in first</html>");
}

static inline void attack_wrong_type(TufRepo *repo)
{
	serve_as(repo, "timestamp.json", "1.root.json");
}

/* Which of the two is signed depends on who reads it. */
static inline void attack_member_twice(TufRepo *repo)
{
	GBytes *file = g_hash_table_lookup(repo->files, "timestamp.json");
	g_autoptr(GString) text = g_string_new(g_bytes_get_data(file, NULL));

	g_string_replace(text, "\"version\":3,", "\"version\":9,\"version\":3,", 1);
	tuf_put(repo, "timestamp.json", text->str);
}

static inline void attack_later_specification(TufRepo *repo)
{
	g_autofree char *body =
			g_strdup_printf("{\"_type\":\"timestamp\",\"spec_version\":\"2.0.0\","
					"\"version\":9,\"expires\":\"" TUF_LATER "\","
					"\"meta\":{\"snapshot.json\":{\"version\":9}}}");

	g_hash_table_insert(repo->files, g_strdup("timestamp.json"),
			tuf_sign(body, repo->roles[TUF_TIMESTAMP].signers));
}

static inline void attack_unknown_members(TufRepo *repo)
{
	repo->extra = "\"x-unknown\":{\"deep\":[1,null,true,\"\\u00e9\\n\"]},";
	repo->extra_keys = "\"ff\":{\"keytype\":\"sphincs\",\"scheme\":\"later\",\"keyval\":{}}";
	tuf_publish(repo, TUF_ROOT);
	tuf_publish_from(repo, TUF_TARGETS);
}

/* The same version says something else: the one that is there stays. */
static inline void attack_timestamp_changes(TufRepo *repo)
{
	repo->extra = "\"other\":1,";
	repo->roles[TUF_SNAPSHOT].version = 900;
	tuf_write(repo, TUF_TIMESTAMP);
}

/* ---- keys ---- */

static inline void attack_root_chain(TufRepo *repo)
{
	for (unsigned i = 0; i < 10; i++)
		tuf_rotate_root(repo);
	tuf_publish_from(repo, TUF_TARGETS);
}

/* The key that was revoked signs another root. */
static inline void attack_stolen_root_key(TufRepo *repo)
{
	AshSigningKey *old = tuf_key_copy(g_ptr_array_index(repo->roles[TUF_ROOT].keys, 0));

	tuf_rotate_root(repo);
	g_ptr_array_set_size(repo->roles[TUF_ROOT].signers, 0);
	g_ptr_array_add(repo->roles[TUF_ROOT].signers, old);
	tuf_publish(repo, TUF_ROOT);
}

/* New keys that the old ones know nothing of. */
static inline void attack_root_replaced(TufRepo *repo)
{
	ash_signing_key_free(tuf_rotate(&repo->roles[TUF_ROOT]));
	tuf_publish(repo, TUF_ROOT);
}

static inline void attack_root_not_signed_by_new(TufRepo *repo)
{
	AshSigningKey *old = tuf_rotate(&repo->roles[TUF_ROOT]);

	g_ptr_array_set_size(repo->roles[TUF_ROOT].signers, 0);
	g_ptr_array_add(repo->roles[TUF_ROOT].signers, old);
	tuf_publish(repo, TUF_ROOT);
}

/* A timestamp key that root has revoked. */
static inline void attack_stolen_timestamp_key(TufRepo *repo)
{
	AshSigningKey *old = tuf_rotate(&repo->roles[TUF_TIMESTAMP]);

	tuf_publish(repo, TUF_ROOT);
	g_ptr_array_set_size(repo->roles[TUF_TIMESTAMP].signers, 0);
	g_ptr_array_add(repo->roles[TUF_TIMESTAMP].signers, old);
	tuf_publish(repo, TUF_TIMESTAMP);
}

/* Before: an attacker who had both keys brought the versions to 2^31. */
static inline void prepare_fast_forward(TufRepo *repo)
{
	for (size_t i = TUF_TARGETS; i >= TUF_TIMESTAMP; i--) {
		repo->roles[i].version = (guint64) 1 << 31;
		tuf_write(repo, i);
	}
}

static inline void attack_fast_forward_recovery(TufRepo *repo)
{
	ash_signing_key_free(tuf_rotate(&repo->roles[TUF_TIMESTAMP]));
	ash_signing_key_free(tuf_rotate(&repo->roles[TUF_SNAPSHOT]));
	tuf_publish(repo, TUF_ROOT);
	for (size_t i = TUF_TARGETS; i >= TUF_TIMESTAMP; i--) {
		repo->roles[i].version = 5;
		tuf_write(repo, i);
	}
}

/* One of two keys goes: files that the other one signed as well would still verify. */
static inline void prepare_two_timestamp_keys(TufRepo *repo)
{
	AshSigningKey *second = tuf_key_new();

	g_ptr_array_add(repo->roles[TUF_TIMESTAMP].keys, second);
	g_ptr_array_add(repo->roles[TUF_TIMESTAMP].signers, tuf_key_copy(second));
	tuf_publish(repo, TUF_ROOT);
	prepare_fast_forward(repo);
}

static inline void attack_partial_recovery(TufRepo *repo)
{
	g_ptr_array_remove_index(repo->roles[TUF_TIMESTAMP].keys, 0);
	g_ptr_array_remove_index(repo->roles[TUF_TIMESTAMP].signers, 0);
	tuf_publish(repo, TUF_ROOT);
	for (size_t i = TUF_TARGETS; i >= TUF_TIMESTAMP; i--) {
		repo->roles[i].version = 5;
		tuf_write(repo, i);
	}
}

/* A key that joins recovers nothing: the old versions count. */
static inline void attack_rollback_with_new_key(TufRepo *repo)
{
	g_ptr_array_add(repo->roles[TUF_TIMESTAMP].keys, tuf_key_new());
	tuf_publish(repo, TUF_ROOT);
	attack_whole_rollback(repo);
}

/* ---- targets ---- */

static inline void attack_target_changed(TufRepo *repo)
{
	g_autofree char *hash = ash_sha256_hex("the file\n", 9);
	g_autofree char *name = g_strdup_printf("targets/%s.file.txt", hash);

	tuf_put(repo, name, "The file\n");
}

static inline void attack_target_unknown_hash(TufRepo *repo)
{
	g_string_append(repo->targets, ",\"odd\":{\"length\":1,\"hashes\":{\"crc\":\"00\"}}");
	tuf_publish_from(repo, TUF_TARGETS);
}

/* The first that may name it is asked last. */
static inline void attack_terminating(TufRepo *repo)
{
	TufDelegated *first = tuf_delegate(repo, "targets", "first", "\"paths\":[\"p/*\"]", true);
	TufDelegated *second =
			tuf_delegate(repo, "targets", "second", "\"paths\":[\"p/*\"]", false);

	tuf_delegated_add_target(repo, second, "p/x", "content\n");
	tuf_write_delegated(repo, first);
	tuf_write_delegated(repo, second);
	tuf_publish_from(repo, TUF_TARGETS);
}

static inline void attack_not_terminating(TufRepo *repo)
{
	attack_terminating(repo);
	((TufDelegated *) g_ptr_array_index(repo->delegated, 1))->is_terminating = false;
	tuf_publish_from(repo, TUF_TARGETS);
}

/* Signed by its role, which nobody trusts for that path. */
static inline void attack_not_delegated_path(TufRepo *repo)
{
	TufDelegated *team = g_ptr_array_index(repo->delegated, 0);

	tuf_delegated_add_target(repo, team, "other/tool", "content\n");
	team->version++;
	tuf_write_delegated(repo, team);
	tuf_publish_from(repo, TUF_SNAPSHOT);
}

/* What printf h/b | sha256sum begins with; h/c begins with 194. */
#define TUF_HASH_PREFIX "23a"

static inline void attack_hash_prefix(TufRepo *repo)
{
	TufDelegated *bins = tuf_delegate(repo, "targets", "bins",
			"\"path_hash_prefixes\":[\"" TUF_HASH_PREFIX "\"]", false);

	tuf_delegated_add_target(repo, bins, "h/b", "content\n");
	tuf_delegated_add_target(repo, bins, "h/c", "content\n");
	tuf_write_delegated(repo, bins);
	tuf_publish_from(repo, TUF_TARGETS);
}

#define TUF_ODD_NAME "ü/%2F?#&+.txt"

/* What a locale, a URL or a file's name could take for something else. */
static inline void attack_odd_name(TufRepo *repo)
{
	tuf_add_target(repo, TUF_ODD_NAME, "the file\n");
	tuf_publish_from(repo, TUF_TARGETS);
}

static inline void attack_inconsistent(TufRepo *repo)
{
	repo->is_inconsistent = true;
	tuf_put_target(repo, "file.txt", "the file\n");
	tuf_write_delegated(repo, g_ptr_array_index(repo->delegated, 0));
	tuf_publish(repo, TUF_ROOT);
	tuf_publish_from(repo, TUF_TARGETS);
}

static const struct {
	const char *name;
	void (*prepare)(TufRepo *repo); /* before the first visit; NULL: nothing */
	void (*attack)(TufRepo *repo);
	const char *target; /* to be downloaded too; NULL: none */
	const char *word;
} tuf_attacks[] = {
		{"update", NULL, attack_none, "file.txt", ""},
		{"timestamp-rollback", NULL, attack_timestamp_rollback, NULL, "rollback"},
		{"snapshot-rollback", NULL, attack_snapshot_rollback, NULL, "rollback"},
		{"targets-rollback", NULL, attack_targets_rollback, NULL, "rollback"},
		{"delegated-rollback", NULL, attack_delegated_rollback, NULL, "rollback"},
		{"whole-rollback", NULL, attack_whole_rollback, NULL, "rollback"},
		{"role-dropped", NULL, attack_role_dropped, NULL, "rollback"},
		{"role-unlisted", NULL, attack_role_unlisted, "other", "missing"},
		{"role-missing", NULL, attack_role_missing, "other", "missing"},
		{"root-expired", NULL, attack_root_expired, NULL, "expired"},
		{"timestamp-expired", NULL, attack_timestamp_expired, NULL, "expired"},
		{"snapshot-expired", NULL, attack_snapshot_expired, NULL, "expired"},
		{"targets-expired", NULL, attack_targets_expired, NULL, "expired"},
		{"old-root-expired", NULL, attack_old_root_expired, NULL, ""},
		{"mix-and-match", NULL, attack_mix_and_match, NULL, "hash"},
		{"mix-targets", NULL, attack_mix_targets, NULL, "hash"},
		{"snapshot-version", NULL, attack_snapshot_version, NULL, "version"},
		{"root-again", NULL, attack_root_again, NULL, "version"},
		{"root-skipped", NULL, attack_root_skipped, NULL, "version"},
		{"root-wrong-key", NULL, attack_root_wrong_key, NULL, "signature"},
		{"timestamp-wrong-key", NULL, attack_timestamp_wrong_key, NULL, "signature"},
		{"snapshot-wrong-key", NULL, attack_snapshot_wrong_key, NULL, "signature"},
		{"targets-wrong-key", NULL, attack_targets_wrong_key, NULL, "signature"},
		{"unsigned", NULL, attack_unsigned, NULL, "signature"},
		{"one-of-two", NULL, attack_one_of_two, NULL, "signature"},
		{"keyid-twice", NULL, attack_keyid_twice, NULL, "signature"},
		{"one-key-two-keyids", NULL, attack_one_key_two_keyids, NULL, "signature"},
		{"long-root", NULL, attack_long_root, NULL, "too-big"},
		{"long-timestamp", NULL, attack_long_timestamp, NULL, "too-big"},
		{"long-snapshot", NULL, attack_long_snapshot, NULL, "too-big"},
		{"long-targets", NULL, attack_long_targets, NULL, "too-big"},
		{"longer-than-signed", NULL, attack_longer_than_signed, NULL, "too-big"},
		{"deep", NULL, attack_deep, NULL, "syntax"},
		{"timestamp-missing", NULL, attack_timestamp_missing, NULL, "missing"},
		{"snapshot-missing", NULL, attack_snapshot_missing, NULL, "missing"},
		{"targets-missing", NULL, attack_targets_missing, NULL, "missing"},
		{"not-json", NULL, attack_not_json, NULL, "syntax"},
		{"wrong-type", NULL, attack_wrong_type, NULL, "syntax"},
		{"member-twice", NULL, attack_member_twice, NULL, "syntax"},
		{"later-specification", NULL, attack_later_specification, NULL, "syntax"},
		{"unknown-members", NULL, attack_unknown_members, "file.txt", ""},
		{"timestamp-changes", NULL, attack_timestamp_changes, "file.txt", ""},
		{"root-chain", NULL, attack_root_chain, "file.txt", ""},
		{"stolen-root-key", NULL, attack_stolen_root_key, NULL, "signature"},
		{"root-replaced", NULL, attack_root_replaced, NULL, "signature"},
		{"root-not-signed-by-new", NULL, attack_root_not_signed_by_new, NULL, "signature"},
		{"stolen-timestamp-key", NULL, attack_stolen_timestamp_key, NULL, "signature"},
		{"fast-forward", prepare_fast_forward, attack_whole_rollback, NULL, "rollback"},
		{"fast-forward-recovery", prepare_fast_forward, attack_fast_forward_recovery,
				"file.txt", ""},
		{"partial-recovery", prepare_two_timestamp_keys, attack_partial_recovery,
				"file.txt", ""},
		{"rollback-with-new-key", NULL, attack_rollback_with_new_key, NULL, "rollback"},
		{"delegated", NULL, attack_none, "team/tool", ""},
		{"no-such-target", NULL, attack_none, "nothing", "not-found"},
		{"target-changed", NULL, attack_target_changed, "file.txt", "hash"},
		{"target-unknown-hash", NULL, attack_target_unknown_hash, "odd", "hash"},
		{"terminating", NULL, attack_terminating, "p/x", "not-found"},
		{"not-terminating", NULL, attack_not_terminating, "p/x", ""},
		{"not-delegated-path", NULL, attack_not_delegated_path, "other/tool", "not-found"},
		{"hash-prefix", NULL, attack_hash_prefix, "h/b", ""},
		{"hash-prefix-of-another", NULL, attack_hash_prefix, "h/c", "not-found"},
		{"odd-name", NULL, attack_odd_name, TUF_ODD_NAME, ""},
		{"inconsistent", NULL, attack_inconsistent, "file.txt", ""},
};

/* Versions from 3, so that there is something to go back to. */
static inline TufRepo *tuf_attack_before(size_t index)
{
	TufRepo *repo = tuf_repo_new();
	TufDelegated *team = g_ptr_array_index(repo->delegated, 0);

	tuf_publish_from(repo, TUF_TARGETS);
	team->version++;
	tuf_write_delegated(repo, team);
	tuf_publish_from(repo, TUF_TARGETS);
	if (tuf_attacks[index].prepare != NULL)
		tuf_attacks[index].prepare(repo);
	return repo;
}
