/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/assemble.h"

#include "builder/configure.h"
#include "tests/lib/fixture.h"

static void add(Fixture *fixture, AshPackage *package, const char *path, const char *text)
{
	g_autofree char *below = g_strconcat("data/", path, NULL);

	fixture_file(fixture, package->tree, below, 0644, text);
}

static AshTree *assemble(Fixture *fixture)
{
	g_autoptr(GError) error = NULL;
	AshTree *tree = NULL;

	gboolean ok = ash_assemble(fixture->repo, fixture->packages, "amd64", &tree, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	return tree;
}

static void refuse(Fixture *fixture, const char *words)
{
	g_autoptr(GError) error = NULL;
	AshTree *tree = NULL;

	g_assert_false(ash_assemble(fixture->repo, fixture->packages, "amd64", &tree, &error));
	g_assert_error(error, ASH_ASSEMBLE_ERROR, ASH_ASSEMBLE_ERROR_CONFLICT);
	if (strstr(error->message, words) == NULL)
		g_error("the message is: %s", error->message);
	g_assert_null(tree);
}

static void check_text(Fixture *fixture, const AshTree *tree, const char *path, const char *text)
{
	g_autofree char *actual = fixture_text(fixture, tree, path);

	g_assert_cmpstr(actual, ==, text);
}

static void test_union(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	AshPackage *a = fixture_package(&fixture, "a", "1", NULL);
	AshPackage *b = fixture_package(&fixture, "b", "2", NULL);
	add(&fixture, a, "usr/share/a", "a");
	add(&fixture, a, "usr/share/same", "same");
	add(&fixture, b, "usr/share/b", "b");
	add(&fixture, b, "usr/share/same", "same");
	g_autoptr(AshTree) tree = assemble(&fixture);
	check_text(&fixture, tree, "usr/share/a", "a");
	check_text(&fixture, tree, "usr/share/b", "b");
	check_text(&fixture, tree, "usr/share/same", "same");
	g_assert_cmpint(ash_tree_find(tree, "usr/share/a")->owner, ==, 0);
	g_assert_cmpint(ash_tree_find(tree, "usr/share/b")->owner, ==, 1);
	/* The packages' own trees are as they were. */
	g_assert_null(ash_tree_find(a->tree, "data/usr/share/b"));
	g_autofree char *status = fixture_text(&fixture, tree, "var/lib/dpkg/status");
	g_assert_nonnull(strstr(status, "Package: a\n"));
	g_assert_nonnull(strstr(status, "Status: install ok unpacked\n"));
	g_autofree char *list = fixture_text(&fixture, tree, "var/lib/dpkg/info/b.list");
	g_assert_nonnull(strstr(list, "/usr/share/b\n"));
}

static void test_conflict(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	AshPackage *a = fixture_package(&fixture, "a", "1", NULL);
	AshPackage *b = fixture_package(&fixture, "b", "1", "Replaces: other\nProvides: another\n");
	add(&fixture, a, "usr/share/x", "of a");
	add(&fixture, b, "usr/share/x", "of b");
	refuse(&fixture, "unpacking b 1: '/usr/share/x' is brought by a and by b");
}

/* The same content with another mode is another file; a directory never gives way to a file. */
static void test_conflict_kinds(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	AshPackage *a = fixture_package(&fixture, "a", "1", NULL);
	AshPackage *b = fixture_package(&fixture, "b", "1", "Replaces: a\n");
	fixture_dir(a->tree, "data/usr/share/x");
	add(&fixture, b, "usr/share/x", "");
	refuse(&fixture, "'/usr/share/x' is brought by a and by b");
	ash_tree_remove(b->tree, "data/usr/share/x");
	fixture_link(b->tree, "data/usr/share/x", "/nowhere");
	refuse(&fixture, "'/usr/share/x'");
}

static void test_replaces(void)
{
	if (!fixture_may_run())
		return;
	static const struct {
		const char *a_fields;
		const char *b_fields;
		const char *winner; /* NULL: a conflict */
	} rows[] = {
			{NULL, "Replaces: a\n", "of b"},
			{NULL, "Replaces: x, a (<< 9), y\n", "of b"},
			{"Replaces: b\n", NULL, "of a"},
			{"Provides: virtual\n", "Replaces: virtual\n", "of b"},
			{"Provides: x, virtual (= 1), y\n", "Replaces: virtual\n", "of b"},
			{"Provides: not-virtual-at-all\n", "Replaces: virtual\n", NULL},
			{NULL, "Replaces: ab\n", NULL},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(Fixture) fixture = {0};
		fixture_init(&fixture);
		AshPackage *a = fixture_package(&fixture, "a", "1", rows[i].a_fields);
		AshPackage *b = fixture_package(&fixture, "b", "1", rows[i].b_fields);
		add(&fixture, a, "usr/x", "of a");
		add(&fixture, b, "usr/x", "of b");
		if (rows[i].winner == NULL) {
			refuse(&fixture, "'/usr/x'");
			continue;
		}
		g_autoptr(AshTree) tree = assemble(&fixture);
		check_text(&fixture, tree, "usr/x", rows[i].winner);
	}
}

/* base-files has the links; it is unpacked first, whatever its place. */
static void test_merged_usr(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	AshPackage *a = fixture_package(&fixture, "a", "1", NULL);
	AshPackage *base = fixture_package(&fixture, "base-files", "1", NULL);
	add(&fixture, a, "bin/tool", "tool");
	add(&fixture, a, "lib/x/library", "library");
	fixture_link(base->tree, "data/bin", "usr/bin");
	fixture_dir(base->tree, "data/usr/bin");
	g_autoptr(AshTree) tree = assemble(&fixture);
	g_assert_cmpstr(fixture_target(tree, "bin"), ==, "usr/bin");
	check_text(&fixture, tree, "usr/bin/tool", "tool");
	/* base-files of older suites does not have all. */
	g_assert_cmpstr(fixture_target(tree, "lib"), ==, "usr/lib");
	check_text(&fixture, tree, "usr/lib/x/library", "library");
	g_assert_null(ash_tree_find(tree, "sbin"));
}

static void test_through_link(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	AshPackage *a = fixture_package(&fixture, "a", "1", NULL);
	AshPackage *b = fixture_package(&fixture, "b", "1", NULL);
	fixture_dir(a->tree, "data/usr/share/real");
	fixture_link(a->tree, "data/usr/share/name", "real");
	add(&fixture, b, "usr/share/name/file", "x");
	g_autoptr(AshTree) tree = assemble(&fixture);
	g_assert_cmpstr(fixture_target(tree, "usr/share/name"), ==, "real");
	check_text(&fixture, tree, "usr/share/real/file", "x");
	ash_tree_remove(a->tree, "data/usr/share/real");
	refuse(&fixture, "'/usr/share/name'");
}

/* ---- builder/configure.h ----------------------------------------------------------------------- */

static void add_script(Fixture *fixture, AshPackage *package, const char *name)
{
	g_autofree char *path = g_strconcat("control/", name, NULL);

	fixture_file(fixture, package->tree, path, 0755, "#!/bin/sh\n");
}

/* The packages whose preinst runs, in that order. */
static char *preinst_order(const Fixture *fixture)
{
	g_autofree char *script = ash_configure_script(fixture->packages);
	g_autoptr(GString) names = g_string_new("");
	g_auto(GStrv) lines = g_strsplit(script, "\n", -1);

	for (char **line = lines; *line != NULL; line++) {
		g_auto(GStrv) words = g_strsplit(*line, " ", -1);
		if (g_strv_length(words) == 4 && strcmp(words[0], "preinst") == 0)
			g_string_append_printf(names, "%s%s", names->len > 0 ? " " : "", words[1]);
	}
	g_assert_true(g_str_has_suffix(script, "--configure -a </dev/null\n"));
	return g_string_free(g_steal_pointer(&names), FALSE);
}

static void test_preinst_order(void)
{
	if (!fixture_may_run())
		return;
	static const struct {
		const char *name;
		const char *fields;
	} rows[] = {
			{"a", "Depends: z (>= 1) | y, not-there\n"},
			{"b", "Pre-Depends: c\n"},
			{"base-passwd", "Depends: z\n"},
			{"c", "Depends: b\n"}, /* a circle */
			{"d", NULL},
			{"y", NULL},
			{"z", "Depends: d:any\n"},
	};
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
		add_script(&fixture, fixture_package(&fixture, rows[i].name, "1", rows[i].fields),
				"preinst");
	g_autofree char *order = preinst_order(&fixture);
	g_assert_cmpstr(order, ==, "base-passwd d z y a c b");
	g_assert_true(ash_configure_is_needed(fixture.packages));
}

static void test_no_scripts(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	AshPackage *a = fixture_package(&fixture, "a", "1", NULL);
	g_autofree char *order = preinst_order(&fixture);
	g_assert_cmpstr(order, ==, "");
	g_assert_false(ash_configure_is_needed(fixture.packages));
	add_script(&fixture, a, "prerm");
	g_assert_false(ash_configure_is_needed(fixture.packages));
	add_script(&fixture, a, "postinst");
	g_assert_true(ash_configure_is_needed(fixture.packages));
}

static void test_no_dpkg(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;
	const AshConfigureOptions options = {0};

	fixture_init(&fixture);
	fixture_file(&fixture, fixture.tree, "usr/bin/dpkg", 0755, "");
	g_assert_false(ash_configure(fixture.repo, fixture.packages, fixture.dir->path,
			fixture.dir->path, &options, fixture.tree, &error));
	g_assert_error(error, ASH_CONFIGURE_ERROR, ASH_CONFIGURE_ERROR_DPKG);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/assemble/union", test_union);
	g_test_add_func("/assemble/conflict", test_conflict);
	g_test_add_func("/assemble/conflict-kinds", test_conflict_kinds);
	g_test_add_func("/assemble/replaces", test_replaces);
	g_test_add_func("/assemble/merged-usr", test_merged_usr);
	g_test_add_func("/assemble/through-link", test_through_link);
	g_test_add_func("/configure/preinst-order", test_preinst_order);
	g_test_add_func("/configure/no-scripts", test_no_scripts);
	g_test_add_func("/configure/no-dpkg", test_no_dpkg);
	return g_test_run();
}
