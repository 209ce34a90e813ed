/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/commit.h"

#include "tests/lib/fixture.h"

static void add_package(AshCommit *commit, const char *name, const char *version, const char *extra)
{
	GHashTable *fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

	g_hash_table_insert(fields, g_strdup("name"), g_strdup(name));
	g_hash_table_insert(fields, g_strdup("version"), g_strdup(version));
	if (extra != NULL)
		g_hash_table_insert(fields, g_strdup("summary"), g_strdup(extra));
	g_ptr_array_add(commit->packages, fields);
}

static AshCommit *make_commit(void)
{
	static const char *const arguments[] = {"ro", "console=ttyS0", NULL};
	AshCommit *commit = g_new0(AshCommit, 1);

	commit->version = g_strdup("1.4.0");
	commit->name = g_strdup("edge");
	commit->kind = g_strdup("host");
	commit->arch = g_strdup("amd64");
	commit->suite = g_strdup("trixie");
	commit->kernel_release = g_strdup("6.12-test");
	commit->manifest_digest = g_strdup("m");
	commit->lock_digest = g_strdup("l");
	commit->kernel_arguments = g_strdupv((char **) (uintptr_t) arguments);
	commit->packages = g_ptr_array_new_with_free_func((GDestroyNotify) g_hash_table_unref);
	add_package(commit, "bash", "5", "a shell");
	add_package(commit, "dash", "0.5", NULL);
	return commit;
}

static char *store(Fixture *fixture, GVariant *metadata)
{
	g_autoptr(GError) error = NULL;
	char *commit = NULL;
	const AshRepoCommitInfo info = {.ref = "test", .metadata = metadata, .timestamp_s = 99};

	gboolean ok = ash_repo_write_tree(fixture->repo, fixture->tree, &info, &commit, &error) &&
		      ash_repo_commit(fixture->repo, &error) &&
		      ash_repo_begin(fixture->repo, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	return commit;
}

static void test_round_trip(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(AshCommit) commit = make_commit();
	g_autoptr(AshCommit) loaded = NULL;
	g_autoptr(GError) error = NULL;
	g_autoptr(GVariant) metadata = g_variant_ref_sink(ash_commit_metadata(commit));

	fixture_init(&fixture);
	g_autofree char *checksum = store(&fixture, metadata);
	g_assert_true(ash_commit_load(fixture.repo, "test", &loaded, &error));
	g_assert_cmpstr(loaded->commit, ==, checksum);
	g_assert_cmpstr(loaded->version, ==, "1.4.0");
	g_assert_cmpstr(loaded->name, ==, "edge");
	g_assert_cmpstr(loaded->kind, ==, "host");
	g_assert_cmpstr(loaded->arch, ==, "amd64");
	g_assert_null(loaded->variant);
	g_assert_cmpstr(loaded->suite, ==, "trixie");
	g_assert_cmpstr(loaded->kernel_release, ==, "6.12-test");
	g_assert_cmpstr(loaded->manifest_digest, ==, "m");
	g_assert_cmpstr(loaded->lock_digest, ==, "l");
	g_assert_true(g_strv_equal((const char *const *) loaded->kernel_arguments,
			(const char *const *) commit->kernel_arguments));
	g_assert_cmpuint(loaded->timestamp_s, ==, 99);
	g_assert_cmpuint(loaded->packages->len, ==, 2);
	g_assert_cmpstr(ash_commit_package(loaded, 0, "summary"), ==, "a shell");
	g_assert_cmpstr(ash_commit_package(loaded, 1, "version"), ==, "0.5");
	g_assert_cmpstr(ash_commit_package(loaded, 1, "summary"), ==, "");
}

/* The metadata is part of the commit's checksum: its order must not depend on a hash table. */
static void test_sorted(void)
{
	g_autoptr(AshCommit) commit = make_commit();
	g_autoptr(GVariant) metadata = g_variant_ref_sink(ash_commit_metadata(commit));
	g_autofree char *previous = g_strdup("");
	g_autofree char *text = NULL;

	for (gsize i = 0; i < g_variant_n_children(metadata); i++) {
		char *key = NULL;
		g_variant_get_child(metadata, i, "{sv}", &key, NULL);
		g_assert_cmpstr(previous, <, key);
		g_free(previous);
		previous = key;
	}
	g_autoptr(GVariant) packages = g_variant_lookup_value(
			metadata, "ashlar.packages", G_VARIANT_TYPE("aa{ss}"));
	text = g_variant_print(packages, FALSE);
	g_assert_cmpstr(text, ==,
			"[{'name': 'bash', 'summary': 'a shell', 'version': '5'}, "
			"{'name': 'dash', 'version': '0.5'}]");
}

static void test_workload(void)
{
	g_autoptr(AshCommit) commit = make_commit();

	g_clear_pointer(&commit->kernel_release, g_free);
	g_autoptr(GVariant) metadata = g_variant_ref_sink(ash_commit_metadata(commit));
	g_assert_null(g_variant_lookup_value(metadata, "ostree.linux", NULL));
	g_assert_null(g_variant_lookup_value(metadata, "ostree.bootable", NULL));
}

/* Not one of ours. */
static void test_foreign(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(AshCommit) loaded = NULL;
	g_autoptr(AshCommit) none = NULL;
	g_autoptr(GError) error = NULL;

	fixture_init(&fixture);
	g_autofree char *checksum = store(&fixture, NULL);
	g_assert_true(ash_commit_load(fixture.repo, checksum, &loaded, &error));
	g_assert_null(loaded->name);
	g_assert_cmpuint(loaded->packages->len, ==, 0);
	g_assert_cmpuint(g_strv_length(loaded->kernel_arguments), ==, 0);
	g_assert_false(ash_commit_load(fixture.repo, "no/such/ref", &none, &error));
	g_assert_error(error, ASH_REPO_ERROR, ASH_REPO_ERROR_NOT_FOUND);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/commit/round-trip", test_round_trip);
	g_test_add_func("/commit/sorted", test_sorted);
	g_test_add_func("/commit/workload", test_workload);
	g_test_add_func("/commit/foreign", test_foreign);
	return g_test_run();
}
