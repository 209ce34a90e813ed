/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tuf.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>

#include "lib/error.h"
#include "lib/file.h"
#include "lib/tuf-delegation.h"
#include "tests/lib/tuf-attack.h"

enum {
	NOW_S = 1900000000
}; /* 2030-03-17 */

typedef struct {
	TufRepo *repo;
	GString *log; /* names that were asked for */
} Server;

static gboolean serve(const char *name, size_t max_bytes, gpointer data, GBytes **out_bytes,
		GError **error)
{
	Server *server = data;
	GBytes *bytes = g_hash_table_lookup(server->repo->files, name);

	g_string_append_printf(server->log, "%s ", name);
	if (bytes == NULL)
		return ash_throw(
				error, ASH_TUF_ERROR, ASH_TUF_ERROR_FETCH_NOT_FOUND, "no %s", name);
	if (g_bytes_get_size(bytes) > max_bytes)
		return ash_throw(error, ASH_TUF_ERROR, ASH_TUF_ERROR_TOO_BIG, "%s", name);
	*out_bytes = g_bytes_ref(bytes);
	return TRUE;
}

static AshTempDir *client_new(TufRepo *repo)
{
	g_autoptr(GError) error = NULL;
	AshTempDir *dir = NULL;
	gboolean ok = ash_temp_dir_new(g_get_tmp_dir(), "ash-tuf", &dir, &error);

	g_assert_true(ok);
	ok = ash_tuf_init(dir->path, g_hash_table_lookup(repo->files, "1.root.json"), &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	return dir;
}

/* A visit as a process of its own makes it; "" or the word of the refusal. @log: what was asked for. */
static const char *visit(
		TufRepo *repo, AshTempDir *dir, int64_t now_s, const char *target, char **out_log)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GString) log = g_string_new(NULL);
	Server server = {.repo = repo, .log = log};
	g_autoptr(AshTuf) tuf = NULL;
	g_autoptr(AshTufTarget) found = NULL;
	bool ok = ash_tuf_open(dir->path, now_s, &tuf, &error) &&
		  ash_tuf_refresh(tuf, serve, &server, &error);

	if (ok && target != NULL)
		ok = ash_tuf_find_target(tuf, target, serve, &server, &found, &error);
	if (ok && target != NULL) {
		g_autofree char *location = ash_tuf_target_location(found);
		g_autofree char *name = g_strconcat("targets/", location, NULL);
		GBytes *bytes = g_hash_table_lookup(repo->files, name);

		g_assert_cmpstr(found->custom, ==, "{\"kind\":\"release\"}");
		g_assert_nonnull(bytes);
		ok = ash_tuf_target_verify(found, bytes, &error);
	}
	if (out_log != NULL)
		*out_log = g_strdup(log->str);
	if (ok)
		return "";
	g_test_message("%s", error->message);
	return ash_tuf_error_word(error);
}

static AshTufInfo info_of(AshTempDir *dir)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshTuf) tuf = NULL;
	AshTufInfo info = {0};

	g_assert_true(ash_tuf_open(dir->path, NOW_S, &tuf, &error));
	ash_tuf_get_info(tuf, &info);
	return info;
}

static void test_attack(gconstpointer data)
{
	size_t index = GPOINTER_TO_SIZE(data);
	g_autoptr(TufRepo) repo = tuf_attack_before(index);
	g_autoptr(AshTempDir) dir = client_new(repo);

	g_assert_cmpstr(visit(repo, dir, NOW_S, "file.txt", NULL), ==, "");
	AshTufInfo before = info_of(dir);
	tuf_attacks[index].attack(repo);
	g_assert_cmpstr(visit(repo, dir, NOW_S, tuf_attacks[index].target, NULL), ==,
			tuf_attacks[index].word);
	/* Once more: what the first visit left behind makes no difference. */
	g_assert_cmpstr(visit(repo, dir, NOW_S, tuf_attacks[index].target, NULL), ==,
			tuf_attacks[index].word);
	AshTufInfo after = info_of(dir);
	g_assert_cmpuint(after.root_version, >=, before.root_version);
	if (tuf_attacks[index].word[0] != '\0' && tuf_attacks[index].target == NULL)
		g_assert_cmpuint(after.targets_version, ==, before.targets_version);
}

static void test_requests(void)
{
	g_autoptr(TufRepo) repo = tuf_attack_before(0);
	g_autoptr(AshTempDir) dir = client_new(repo);
	g_autofree char *first = NULL;
	g_autofree char *second = NULL;
	g_autofree char *third = NULL;

	g_assert_cmpstr(visit(repo, dir, NOW_S, "team/tool", &first), ==, "");
	g_assert_cmpstr(first, ==,
			"2.root.json timestamp.json 3.snapshot.json 3.targets.json 2.team.json ");
	/* What is there and current is not fetched again. */
	g_assert_cmpstr(visit(repo, dir, NOW_S, "team/tool", &second), ==, "");
	g_assert_cmpstr(second, ==, "2.root.json timestamp.json ");
	tuf_publish_from(repo, TUF_SNAPSHOT);
	g_assert_cmpstr(visit(repo, dir, NOW_S, "team/tool", &third), ==, "");
	g_assert_cmpstr(third, ==, "2.root.json timestamp.json 4.snapshot.json ");
	AshTufInfo info = info_of(dir);
	g_assert_cmpuint(info.root_version, ==, 1);
	g_assert_cmpuint(info.timestamp_version, ==, 4);
	g_assert_cmpuint(info.snapshot_version, ==, 4);
	g_assert_cmpuint(info.targets_version, ==, 3);
	g_assert_cmpint(info.targets_expires_s, ==, 4102444800);
}

/* A server that shows yesterday for ever is found out when yesterday expires, to the second. */
static void test_freeze(void)
{
	g_autoptr(TufRepo) repo = tuf_repo_new();
	g_autoptr(AshTempDir) dir = client_new(repo);

	repo->roles[TUF_TIMESTAMP].expires = "2030-03-17T17:46:41Z";
	tuf_publish(repo, TUF_TIMESTAMP);
	g_assert_cmpstr(visit(repo, dir, NOW_S, NULL, NULL), ==, "");
	g_assert_cmpstr(visit(repo, dir, NOW_S + 1, NULL, NULL), ==, "expired");
	g_assert_cmpstr(visit(repo, dir, NOW_S, NULL, NULL), ==, "");
}

static void test_root_to_begin_with(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(TufRepo) repo = tuf_repo_new();
	g_autoptr(TufRepo) other = tuf_repo_new();
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(AshTuf) tuf = NULL;
	g_autoptr(GBytes) broken = g_bytes_new_static("{}", 2);

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "ash-tuf", &dir, &error));
	g_assert_false(ash_tuf_open(dir->path, NOW_S, &tuf, &error));
	g_assert_error(error, ASH_TUF_ERROR, ASH_TUF_ERROR_NO_ROOT);
	g_clear_error(&error);
	g_assert_false(ash_tuf_init(dir->path, broken, &error));
	g_assert_error(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SYNTAX);
	g_clear_error(&error);
	/* A root that does not sign itself. */
	g_autoptr(GPtrArray) thief = g_ptr_array_new();
	g_ptr_array_add(thief, g_ptr_array_index(other->roles[TUF_ROOT].signers, 0));
	g_autofree char *members = tuf_root_members(repo);
	tuf_write_body(repo, "x", "root", 1, TUF_LATER, members, thief);
	g_assert_false(ash_tuf_init(dir->path, g_hash_table_lookup(repo->files, "x"), &error));
	g_assert_error(error, ASH_TUF_ERROR, ASH_TUF_ERROR_SIGNATURE);
	g_clear_error(&error);

	/* An image's root, each time; what the host has learnt since then stays. */
	GBytes *root = g_hash_table_lookup(repo->files, "1.root.json");
	g_assert_true(ash_tuf_init(dir->path, root, &error));
	tuf_rotate_root(repo);
	g_assert_cmpstr(visit(repo, dir, NOW_S, NULL, NULL), ==, "");
	g_assert_true(ash_tuf_init(dir->path, root, &error));
	g_assert_true(ash_tuf_init(
			dir->path, g_hash_table_lookup(other->files, "1.root.json"), &error));
	g_assert_cmpuint(info_of(dir).root_version, ==, 2);
	/* A newer image's root is as good as the image. */
	tuf_rotate_root(repo);
	g_assert_true(ash_tuf_init(
			dir->path, g_hash_table_lookup(repo->files, "3.root.json"), &error));
	g_assert_no_error(error);
	g_assert_cmpuint(info_of(dir).root_version, ==, 3);
}

/* Trusted files that are damaged are fetched again, but for the root. */
static void test_damaged_files(void)
{
	static const char *const names[] = {
			"timestamp.json", "snapshot.json", "targets.json", "team.json"};
	g_autoptr(GError) error = NULL;
	g_autoptr(TufRepo) repo = tuf_repo_new();
	g_autoptr(AshTempDir) dir = client_new(repo);

	g_assert_cmpstr(visit(repo, dir, NOW_S, "team/tool", NULL), ==, "");
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		bool is_there = false;

		g_assert_true(ash_file_exists(dir->fd, names[i], &is_there, &error));
		g_assert_true(is_there);
		g_assert_true(ash_file_replace(dir->fd, names[i], "{", 1, 0644, &error));
		g_assert_cmpstr(visit(repo, dir, NOW_S, "team/tool", NULL), ==, "");
		g_assert_cmpuint(info_of(dir).timestamp_version, ==, 1);
	}
	g_assert_true(ash_file_replace(dir->fd, "root.json", "{", 1, 0644, &error));
	g_assert_cmpstr(visit(repo, dir, NOW_S, NULL, NULL), ==, "syntax");
}

/* The power fails between a new root and what has to go because of it. */
static void test_power_cut_in_recovery(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(TufRepo) repo = tuf_repo_new();
	g_autoptr(AshTempDir) dir = client_new(repo);
	bool is_there = true;

	g_assert_cmpstr(visit(repo, dir, NOW_S, NULL, NULL), ==, "");
	/* The mark, and no new root: nothing happens. */
	g_assert_true(ash_file_replace(dir->fd, "forget", "2\n", 2, 0644, &error));
	g_assert_cmpuint(info_of(dir).timestamp_version, ==, 1);
	g_assert_true(ash_file_exists(dir->fd, "forget", &is_there, &error));
	g_assert_false(is_there);
	/* The mark and the root. */
	g_assert_true(ash_file_replace(dir->fd, "forget", "1\n", 2, 0644, &error));
	AshTufInfo info = info_of(dir);
	g_assert_cmpuint(info.timestamp_version, ==, 0);
	g_assert_cmpuint(info.snapshot_version, ==, 0);
	g_assert_cmpuint(info.targets_version, ==, 1);
	g_assert_true(ash_file_exists(dir->fd, "forget", &is_there, &error));
	g_assert_false(is_there);
	g_assert_cmpstr(visit(repo, dir, NOW_S, NULL, NULL), ==, "");
}

/* Roots are followed in steps of ASH_TUF_MAX_ROOT_STEPS a visit. */
static void test_long_root_chain(void)
{
	g_autoptr(TufRepo) repo = tuf_repo_new();
	g_autoptr(AshTempDir) dir = client_new(repo);

	for (unsigned i = 0; i < ASH_TUF_MAX_ROOT_STEPS + 3; i++)
		tuf_publish(repo, TUF_ROOT);
	g_assert_cmpstr(visit(repo, dir, NOW_S, NULL, NULL), ==, "");
	g_assert_cmpuint(info_of(dir).root_version, ==, ASH_TUF_MAX_ROOT_STEPS + 1);
	g_assert_cmpstr(visit(repo, dir, NOW_S, NULL, NULL), ==, "");
	g_assert_cmpuint(info_of(dir).root_version, ==, ASH_TUF_MAX_ROOT_STEPS + 4);
}

static void test_many_delegations(void)
{
	g_autoptr(TufRepo) repo = tuf_repo_new();
	g_autoptr(AshTempDir) dir = client_new(repo);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

	for (unsigned i = 0; i < ASH_TUF_MAX_DELEGATIONS + 1; i++) {
		char *name = g_strdup_printf("role-%u", i);
		g_ptr_array_add(names, name);
		TufDelegated *role =
				tuf_delegate(repo, "targets", name, "\"paths\":[\"*\"]", false);
		if (i == ASH_TUF_MAX_DELEGATIONS - 1)
			tuf_delegated_add_target(repo, role, "last", "last\n");
		if (i == ASH_TUF_MAX_DELEGATIONS)
			tuf_delegated_add_target(repo, role, "beyond", "beyond\n");
		tuf_write_delegated(repo, role);
	}
	tuf_publish_from(repo, TUF_TARGETS);
	g_assert_cmpstr(visit(repo, dir, NOW_S, "last", NULL), ==, "");
	g_assert_cmpstr(visit(repo, dir, NOW_S, "beyond", NULL), ==, "not-found");
}

static void test_list(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(TufRepo) repo = tuf_repo_new();
	g_autoptr(AshTempDir) dir = client_new(repo);
	g_autoptr(GString) log = g_string_new(NULL);
	Server server = {.repo = repo, .log = log};
	g_autoptr(AshTuf) tuf = NULL;
	g_autoptr(GPtrArray) list = NULL;

	tuf_add_target(repo, "host/b", "b");
	tuf_add_target(repo, "host/a", "a");
	tuf_add_target(repo, "host/../../etc/passwd", "x");
	tuf_add_target(repo, "/host/c", "x");
	g_string_append(repo->targets,
			",\"host/odd\":{\"length\":1,\"hashes\":{\"sha256\":\"../x\"}}");
	tuf_publish_from(repo, TUF_TARGETS);
	g_assert_true(ash_tuf_open(dir->path, NOW_S, &tuf, &error));
	g_assert_false(ash_tuf_list_targets(tuf, "", &list, &error));
	g_assert_error(error, ASH_TUF_ERROR, ASH_TUF_ERROR_MISSING);
	g_clear_error(&error);
	g_assert_true(ash_tuf_refresh(tuf, serve, &server, &error));
	g_assert_true(ash_tuf_list_targets(tuf, "host/", &list, &error));
	g_assert_cmpuint(list->len, ==, 2);
	const AshTufTarget *first = g_ptr_array_index(list, 0);
	g_assert_cmpstr(first->path, ==, "host/a");
	g_assert_cmpstr(first->role, ==, "targets");
	g_assert_cmpuint(first->bytes, ==, 1);
	AshTufTarget *none = NULL;
	g_assert_false(ash_tuf_find_target(
			tuf, "host/../../etc/passwd", serve, &server, &none, &error));
	g_assert_error(error, ASH_TUF_ERROR, ASH_TUF_ERROR_NOT_FOUND);
}

static void test_patterns(void)
{
	static const struct {
		const char *pattern, *path;
		bool matches;
	} cases[] = {
			{"*", "a", true},
			{"*", "a/b", false},
			{"*/*", "a/b", true},
			{"*", "", true},
			{"", "", true},
			{"", "a", false},
			{"a*", "a", true},
			{"a*b*c", "aXbXbYc", true},
			{"a*b*c", "aXbXbYcd", false},
			{"*a/b", "xaa/b", true},
			{"*a/*b", "xaa/ab", true},
			{"a*/b", "a/b", true},
			{"a*/b", "ac/c/b", false},
			{"foo-?.tgz", "foo-1.tgz", true},
			{"foo-?.tgz", "foo-\xc3\xa9.tgz", true},
			{"foo-?.tgz", "foo-alpha.tgz", false},
			{"a?b", "a/b", false},
			{"[ab]c", "bc", true},
			{"[!ab]c", "bc", false},
			{"[!ab]c", "cc", true},
			{"[a-c]*", "b1", true},
			{"[a-c]*", "d1", false},
			{"[]]", "]", true},
			{"a[/]b", "a/b", false},
			{"[a", "[a", true},
			{"a", "A", false},
			{"*.md", ".md", true},
			{"\\*", "*", false},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_test_message("'%s' '%s'", cases[i].pattern, cases[i].path);
		g_assert_cmpint(ash_tuf_path_matches(cases[i].pattern, cases[i].path), ==,
				cases[i].matches);
	}
	/* Whoever writes patterns cannot make it slow: this never ends where each star is tried. */
	g_autoptr(GString) stars = g_string_new(NULL);
	for (unsigned i = 0; i < 500; i++)
		g_string_append(stars, "*a");
	g_string_append(stars, "*b");
	g_autofree char *path = g_strnfill(4000, 'a');
	g_assert_false(ash_tuf_path_matches(stars->str, path));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(tuf_attacks); i++) {
		g_autofree char *name = g_strdup_printf("/tuf/attack/%s", tuf_attacks[i].name);
		g_test_add_data_func(name, GSIZE_TO_POINTER(i), test_attack);
	}
	g_test_add_func("/tuf/requests", test_requests);
	g_test_add_func("/tuf/freeze", test_freeze);
	g_test_add_func("/tuf/root-to-begin-with", test_root_to_begin_with);
	g_test_add_func("/tuf/damaged-files", test_damaged_files);
	g_test_add_func("/tuf/power-cut-in-recovery", test_power_cut_in_recovery);
	g_test_add_func("/tuf/long-root-chain", test_long_root_chain);
	g_test_add_func("/tuf/many-delegations", test_many_delegations);
	g_test_add_func("/tuf/list", test_list);
	g_test_add_func("/tuf/patterns", test_patterns);
	return g_test_run();
}
