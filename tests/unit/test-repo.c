/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/repo.h"

#include <gio/gio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "tests/lib/fixture.h"

static char *write_tree(Fixture *fixture, const char *ref, GVariant *metadata)
{
	g_autoptr(GError) error = NULL;
	const AshRepoCommitInfo info = {
			.subject = "test", .ref = ref, .metadata = metadata, .timestamp_s = 1234};
	char *commit = NULL;

	gboolean ok = ash_repo_write_tree(fixture->repo, fixture->tree, &info, &commit, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	return commit;
}

/* Ends the transaction and begins another. */
static void flush(Fixture *fixture)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = ash_repo_commit(fixture->repo, &error) &&
		      ash_repo_begin(fixture->repo, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
}

static void fill(Fixture *fixture)
{
	AshNode *file = fixture_file(fixture, fixture->tree, "etc/secret", 0640, "secret");

	fixture_file(fixture, fixture->tree, "usr/bin/su", 04755, "program");
	file->uid = 3;
	file->gid = 4;
	file->has_csum = false;
	fixture_link(fixture->tree, "bin", "usr/bin");
	fixture_file(fixture, fixture->tree, "etc/empty", 0644, "");
	AshNode *dir = fixture_dir(fixture->tree, "var/odd");
	dir->mode = 01777;
	dir->uid = 5;
}

static void test_round_trip(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;
	g_autoptr(AshTree) loaded = NULL;

	fixture_init(&fixture);
	fill(&fixture);
	g_autofree char *commit = write_tree(&fixture, "test/one", NULL);
	flush(&fixture);
	g_assert_true(ash_repo_load_tree(fixture.repo, commit, &loaded, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(ash_tree_count(loaded), ==, ash_tree_count(fixture.tree));
	static const char *const paths[] = {"usr/bin/su", "etc/secret", "bin", "etc/empty",
			"var/odd", "var", "usr", NULL};
	for (const char *const *path = paths; *path != NULL; path++)
		g_assert_true(ash_node_equal(
				ash_tree_find(fixture.tree, *path), ash_tree_find(loaded, *path)));
	g_assert_cmpuint(ash_tree_find(loaded, "usr/bin/su")->mode, ==, 04755);
	g_assert_cmpuint(ash_tree_find(loaded, "usr/bin/su")->size, ==, 7);
	g_assert_cmpuint(ash_tree_find(loaded, "etc/secret")->uid, ==, 3);
	g_autofree char *text = fixture_text(&fixture, loaded, "bin/su");
	g_assert_cmpstr(text, ==, "program");
	g_assert_true(ash_repo_fsck(fixture.repo, commit, &error));
	/* Storing it again gives the same. */
	g_autofree char *again = write_tree(&fixture, NULL, NULL);
	g_assert_cmpstr(again, ==, commit);
}

static void test_xattrs(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;
	g_autoptr(AshTree) loaded = NULL;

	fixture_init(&fixture);
	AshNode *file = fixture_file(&fixture, fixture.tree, "ping", 0755, "ping");
	file->xattrs = g_variant_ref_sink(
			g_variant_new_parsed("[(b'user.a', @ay [1]), (b'user.b', @ay [2, 0])]"));
	file->has_csum = false;
	g_autofree char *commit = write_tree(&fixture, NULL, NULL);
	flush(&fixture);
	if (!ash_repo_load_tree(fixture.repo, commit, &loaded, &error))
		g_assert_no_error(error);
	g_assert_true(ash_node_equal(file, ash_tree_find(loaded, "ping")));
}

/* What was changed in mode or owner alone keeps its content, under another checksum. */
static void test_rewrite(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;

	fixture_init(&fixture);
	AshNode *file = fixture_file(&fixture, fixture.tree, "x", 0644, "content");
	g_autofree uint8_t *before = g_memdup2(file->csum, ASH_TREE_CSUM_BYTES);
	flush(&fixture);
	file->mode = 0600;
	file->has_csum = false;
	g_assert_true(ash_repo_rewrite_file(fixture.repo, file, &error));
	g_assert_true(file->has_csum);
	g_assert_true(memcmp(file->csum, before, ASH_TREE_CSUM_BYTES) != 0);
	g_autofree char *text = fixture_text(&fixture, fixture.tree, "x");
	g_assert_cmpstr(text, ==, "content");
	/* Content that is staged in this very transaction can be rewritten too. */
	file = fixture_file(&fixture, fixture.tree, "y", 0644, "other");
	file->gid = 9;
	g_assert_true(ash_repo_rewrite_file(fixture.repo, file, &error));
	g_assert_no_error(error);
}

static void test_refs(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;
	g_autofree char *found = NULL;
	g_autofree char *resolved = NULL;
	g_autofree char *none = NULL;
	g_autoptr(GHashTable) refs = NULL;

	fixture_init(&fixture);
	fill(&fixture);
	g_autofree char *commit = write_tree(&fixture, "stage/a/1", NULL);
	flush(&fixture);
	g_assert_true(ash_repo_find_ref(fixture.repo, "stage/a/1", &found, &error));
	g_assert_cmpstr(found, ==, commit);
	g_autofree char *prefix = g_strndup(commit, 10);
	g_assert_true(ash_repo_resolve(fixture.repo, prefix, &resolved, &error));
	g_assert_cmpstr(resolved, ==, commit);
	g_assert_false(ash_repo_resolve(fixture.repo, "no/such", &none, &error));
	g_assert_error(error, ASH_REPO_ERROR, ASH_REPO_ERROR_NOT_FOUND);
	g_clear_error(&error);
	ash_repo_abort(fixture.repo);
	g_assert_true(ash_repo_set_ref(fixture.repo, "other/b", commit, &error));
	g_assert_true(ash_repo_list_refs(fixture.repo, "other/", &refs, &error));
	g_assert_cmpuint(g_hash_table_size(refs), ==, 1);
	g_assert_true(ash_repo_set_ref(fixture.repo, "other/b", NULL, &error));
	g_clear_pointer(&refs, g_hash_table_unref);
	g_assert_true(ash_repo_list_refs(fixture.repo, "", &refs, &error));
	g_assert_cmpuint(g_hash_table_size(refs), ==, 1);
	g_assert_no_error(error);
}

static void test_abort(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;
	g_autofree char *found = NULL;
	ash_autofd int fd = -1;

	fixture_init(&fixture);
	AshNode *file = fixture_file(&fixture, fixture.tree, "x", 0644, "dropped");
	g_autofree char *commit G_GNUC_UNUSED = write_tree(&fixture, "dropped", NULL);
	ash_repo_abort(fixture.repo);
	g_assert_true(ash_repo_find_ref(fixture.repo, "dropped", &found, &error));
	g_assert_null(found);
	g_assert_false(ash_repo_open_file(fixture.repo, file, &fd, &error));
	g_assert_error(error, ASH_REPO_ERROR, ASH_REPO_ERROR_CORRUPT);
}

static void test_commit_info(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;
	g_autoptr(GVariant) metadata =
			g_variant_ref_sink(g_variant_new_parsed("{'version': <'1.2'>}"));
	g_autoptr(GVariant) loaded = NULL;
	g_autofree char *subject = NULL;
	uint64_t timestamp_s = 0;

	fixture_init(&fixture);
	fill(&fixture);
	g_autofree char *commit = write_tree(&fixture, NULL, metadata);
	flush(&fixture);
	g_assert_true(ash_repo_load_commit(
			fixture.repo, commit, &loaded, &subject, &timestamp_s, &error));
	g_assert_true(g_variant_equal(loaded, metadata));
	g_assert_cmpstr(subject, ==, "test");
	g_assert_cmpuint(timestamp_s, ==, 1234);
	g_assert_true(ash_repo_load_commit(fixture.repo, commit, NULL, NULL, NULL, &error));
}

static void test_read_file(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = NULL;

	fixture_init(&fixture);
	fill(&fixture);
	g_assert_true(ash_repo_read_file(
			fixture.repo, fixture.tree, "usr/bin/su", 7, &bytes, &error));
	g_clear_pointer(&bytes, g_bytes_unref);
	g_assert_false(ash_repo_read_file(
			fixture.repo, fixture.tree, "usr/bin/su", 6, &bytes, &error));
	g_assert_error(error, ASH_FILE_ERROR, ASH_FILE_ERROR_TOO_BIG);
	g_clear_error(&error);
	g_assert_false(ash_repo_read_file(
			fixture.repo, fixture.tree, "usr/bin", 6, &bytes, &error));
	g_assert_error(error, ASH_REPO_ERROR, ASH_REPO_ERROR_NOT_FOUND);
	g_assert_null(bytes);
}

static void test_checkout(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;
	struct stat st;

	fixture_init(&fixture);
	fill(&fixture);
	g_autofree char *commit = write_tree(&fixture, NULL, NULL);
	flush(&fixture);
	g_autofree char *path = g_build_filename(fixture.dir->path, "checkout", NULL);
	g_autofree char *su = g_build_filename(path, "usr/bin/su", NULL);
	g_autofree char *odd = g_build_filename(path, "var/odd", NULL);
	gboolean ok = ash_repo_checkout(fixture.repo, commit, path, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	g_assert_cmpint(lstat(su, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFREG | 04755);
	g_assert_cmpuint(st.st_nlink, ==, 2); /* the object itself */
	g_assert_cmpint(lstat(odd, &st), ==, 0);
	g_assert_cmpuint(st.st_mode, ==, S_IFDIR | 01777);
	g_assert_cmpuint(st.st_uid, ==, 5);
	g_assert_false(ash_repo_checkout(fixture.repo, commit, path, &error));
	g_assert_nonnull(error);
}

/* An object that someone wrote to, and one that is gone. */
static void test_corrupt(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) names = NULL;
	g_autoptr(AshTree) loaded = NULL;

	fixture_init(&fixture);
	fixture_file(&fixture, fixture.tree, "x", 0644, "content");
	g_autofree char *commit = write_tree(&fixture, NULL, NULL);
	flush(&fixture);
	g_assert_true(ash_repo_list_objects(fixture.repo, commit, &names, &error));
	g_assert_cmpuint(names->len, ==, 4);
	g_autofree char *object = NULL;
	for (guint i = 0; i < names->len; i++)
		if (g_str_has_suffix(names->pdata[i], ".file"))
			object = g_build_filename(ash_repo_path(fixture.repo), "objects",
					names->pdata[i], NULL);
	g_assert_nonnull(object);
	ash_autofd int fd = open(object, O_WRONLY | O_CLOEXEC);
	g_assert_cmpint(pwrite(fd, "C", 1, 0), ==, 1);
	g_assert_false(ash_repo_fsck(fixture.repo, commit, &error));
	g_assert_error(error, ASH_REPO_ERROR, ASH_REPO_ERROR_CORRUPT);
	g_clear_error(&error);
	g_assert_cmpint(unlink(object), ==, 0);
	g_assert_false(ash_repo_fsck(fixture.repo, commit, &error));
	g_assert_error(error, ASH_REPO_ERROR, ASH_REPO_ERROR_CORRUPT);
	g_clear_error(&error);
	g_assert_false(ash_repo_load_tree(fixture.repo, commit, &loaded, &error));
	g_assert_error(error, ASH_REPO_ERROR, ASH_REPO_ERROR_CORRUPT);
	g_assert_null(loaded);
}

static void test_pull_and_prune(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_auto(Fixture) other = {0};
	g_autoptr(GError) error = NULL;
	g_autofree char *found = NULL;
	uint64_t bytes = 0;

	fixture_init(&fixture);
	fixture_init(&other);
	fill(&fixture);
	g_autofree char *commit = write_tree(&fixture, "from", NULL);
	flush(&fixture);
	ash_repo_abort(other.repo);
	gboolean ok = ash_repo_pull_local(other.repo, fixture.repo, commit, "to", &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	g_assert_true(ash_repo_find_ref(other.repo, "to", &found, &error));
	g_assert_cmpstr(found, ==, commit);
	g_assert_true(ash_repo_fsck(other.repo, commit, &error));
	/* Twice is as good as once. */
	g_assert_true(ash_repo_pull_local(other.repo, fixture.repo, commit, "to", &error));
	g_assert_true(ash_repo_prune(other.repo, &bytes, &error));
	g_assert_true(ash_repo_fsck(other.repo, commit, &error));
	g_assert_true(ash_repo_set_ref(other.repo, "to", NULL, &error));
	g_assert_true(ash_repo_prune(other.repo, &bytes, &error));
	g_assert_cmpuint(bytes, >, 0);
	g_assert_false(ash_repo_fsck(other.repo, commit, &error));
	g_assert_nonnull(error);
}

static void test_open(void)
{
	if (!fixture_may_run())
		return;
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(AshRepo) repo = NULL;
	g_autoptr(AshRepo) again = NULL;
	g_autoptr(AshRepo) none = NULL;
	struct stat st;

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "ash-repo", &dir, &error));
	g_autofree char *path = g_build_filename(dir->path, "deep/repo/", NULL);
	g_autofree char *full = g_build_filename(dir->path, "full", NULL);
	g_autofree char *file = g_build_filename(full, "file", NULL);
	g_assert_false(ash_repo_open(path, false, &none, &error));
	g_assert_error(error, ASH_REPO_ERROR, ASH_REPO_ERROR_NOT_FOUND);
	g_clear_error(&error);
	gboolean ok = ash_repo_open(path, true, &repo, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	g_assert_cmpint(stat(path, &st), ==, 0);
	g_assert_cmpuint(st.st_mode & 07777, ==, 0700);
	g_assert_true(ash_repo_open(path, false, &again, &error));
	/* What somebody keeps there is left alone. */
	g_assert_true(ash_file_ensure_dir(AT_FDCWD, full, 0755, &error));
	g_assert_true(g_file_set_contents(file, "x", 1, &error));
	g_assert_false(ash_repo_open(full, true, &none, &error));
	g_assert_nonnull(error);
	g_assert_null(none);
	g_assert_true(g_file_test(file, G_FILE_TEST_IS_REGULAR));
	/* Nothing is left of the attempt. */
	g_autoptr(GDir) top = g_dir_open(dir->path, 0, NULL);
	for (const char *name; (name = g_dir_read_name(top)) != NULL;)
		g_assert_true(strcmp(name, "deep") == 0 || strcmp(name, "full") == 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/repo/open", test_open);
	g_test_add_func("/repo/round-trip", test_round_trip);
	g_test_add_func("/repo/xattrs", test_xattrs);
	g_test_add_func("/repo/rewrite", test_rewrite);
	g_test_add_func("/repo/refs", test_refs);
	g_test_add_func("/repo/abort", test_abort);
	g_test_add_func("/repo/commit-info", test_commit_info);
	g_test_add_func("/repo/read-file", test_read_file);
	g_test_add_func("/repo/checkout", test_checkout);
	g_test_add_func("/repo/corrupt", test_corrupt);
	g_test_add_func("/repo/pull-and-prune", test_pull_and_prune);
	return g_test_run();
}
