/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/delta.h"

#include <gio/gio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/lib/fixture.h"

static char *path_of(const Fixture *fixture, const char *name)
{
	return g_build_filename(fixture->dir->path, "upper", name, NULL);
}

static void make_dir(const Fixture *fixture, const char *name, mode_t mode)
{
	g_autofree char *path = path_of(fixture, name);
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_file_ensure_dir(AT_FDCWD, path, 0755, &error));
	g_assert_cmpint(chmod(path, mode), ==, 0);
}

static void make_file(const Fixture *fixture, const char *name, const char *text)
{
	g_autofree char *path = path_of(fixture, name);

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
	g_assert_cmpint(chmod(path, 0644), ==, 0);
}

static void make_whiteout(const Fixture *fixture, const char *name)
{
	g_autofree char *path = path_of(fixture, name);

	g_assert_cmpint(mknod(path, S_IFCHR, makedev(0, 0)), ==, 0);
}

static void apply(Fixture *fixture, const char *const *skip)
{
	g_autofree char *upper = path_of(fixture, NULL);
	g_autoptr(GError) error = NULL;

	gboolean ok = ash_delta_apply(fixture->repo, upper, skip, fixture->tree, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
}

static void check_text(Fixture *fixture, const char *path, const char *text)
{
	g_autofree char *actual = fixture_text(fixture, fixture->tree, path);

	g_assert_cmpstr(actual, ==, text);
}

static void test_changes(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	fixture_file(&fixture, fixture.tree, "etc/changed", 0644, "old");
	fixture_file(&fixture, fixture.tree, "etc/untouched", 0644, "same")->owner = 3;
	fixture_file(&fixture, fixture.tree, "etc/touched", 0644, "same")->owner = 3;
	fixture_file(&fixture, fixture.tree, "etc/became-dir", 0644, "x");
	fixture_file(&fixture, fixture.tree, "etc/became-file/x", 0644, "x");
	make_dir(&fixture, "etc", 0750);
	make_file(&fixture, "etc/changed", "new");
	make_file(&fixture, "etc/touched", "same");
	make_dir(&fixture, "etc/became-dir", 0700);
	make_file(&fixture, "etc/became-dir/y", "y");
	make_file(&fixture, "etc/became-file", "z");
	make_dir(&fixture, "var/new", 01777);
	g_autofree char *link = path_of(&fixture, "etc/link");
	g_assert_cmpint(symlink("../somewhere", link), ==, 0);
	g_autofree char *owned = path_of(&fixture, "var/new/owned");
	make_file(&fixture, "var/new/owned", "");
	g_assert_cmpint(chown(owned, 7, 8), ==, 0);
	g_assert_cmpint(chmod(owned, 04711), ==, 0);
	apply(&fixture, NULL);

	check_text(&fixture, "etc/changed", "new");
	g_assert_cmpint(ash_tree_find(fixture.tree, "etc/changed")->owner, ==, -1);
	/* Written, but as it was: still the package's. */
	g_assert_cmpint(ash_tree_find(fixture.tree, "etc/touched")->owner, ==, 3);
	check_text(&fixture, "etc/untouched", "same");
	g_assert_cmpuint(ash_tree_find(fixture.tree, "etc")->mode, ==, 0750);
	check_text(&fixture, "etc/became-dir/y", "y");
	check_text(&fixture, "etc/became-file", "z");
	g_assert_cmpstr(fixture_target(fixture.tree, "etc/link"), ==, "../somewhere");
	g_assert_cmpuint(ash_tree_find(fixture.tree, "var/new")->mode, ==, 01777);
	const AshNode *node = ash_tree_find(fixture.tree, "var/new/owned");
	g_assert_cmpuint(node->mode, ==, 04711);
	g_assert_cmpuint(node->uid, ==, 7);
	g_assert_cmpuint(node->gid, ==, 8);
}

static void test_whiteouts(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	fixture_file(&fixture, fixture.tree, "usr/gone", 0644, "x");
	fixture_file(&fixture, fixture.tree, "usr/tree/deep/x", 0644, "x");
	fixture_file(&fixture, fixture.tree, "usr/opaque/old", 0644, "x");
	fixture_file(&fixture, fixture.tree, "usr/stays", 0644, "x");
	make_dir(&fixture, "usr", 0755);
	make_whiteout(&fixture, "usr/gone");
	make_whiteout(&fixture, "usr/tree");
	make_whiteout(&fixture, "usr/was-never-there");
	make_dir(&fixture, "usr/opaque", 0755);
	make_file(&fixture, "usr/opaque/new", "x");
	g_autofree char *opaque = path_of(&fixture, "usr/opaque");
	g_assert_cmpint(setxattr(opaque, "trusted.overlay.opaque", "y", 1, 0), ==, 0);
	apply(&fixture, NULL);
	g_assert_null(ash_tree_find(fixture.tree, "usr/gone"));
	g_assert_null(ash_tree_find(fixture.tree, "usr/tree"));
	g_assert_null(ash_tree_find(fixture.tree, "usr/was-never-there"));
	g_assert_null(ash_tree_find(fixture.tree, "usr/opaque/old"));
	g_assert_nonnull(ash_tree_find(fixture.tree, "usr/opaque/new"));
	g_assert_nonnull(ash_tree_find(fixture.tree, "usr/stays"));
}

static void test_left_out(void)
{
	if (!fixture_may_run())
		return;
	static const char *const skip[] = {"run", "usr/skip", NULL};
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	make_dir(&fixture, "run", 0755);
	make_file(&fixture, "run/x", "x");
	make_dir(&fixture, "usr/skip", 0755);
	make_dir(&fixture, "usr/run", 0755);
	g_autofree char *pipe = path_of(&fixture, "usr/pipe");
	g_autofree char *device = path_of(&fixture, "usr/device");
	g_assert_cmpint(mkfifo(pipe, 0644), ==, 0);
	g_assert_cmpint(mknod(device, S_IFCHR | 0666, makedev(1, 3)), ==, 0);
	apply(&fixture, skip);
	g_assert_null(ash_tree_find(fixture.tree, "run"));
	g_assert_null(ash_tree_find(fixture.tree, "usr/skip"));
	g_assert_nonnull(ash_tree_find(fixture.tree, "usr/run"));
	g_assert_null(ash_tree_find(fixture.tree, "usr/pipe"));
	g_assert_null(ash_tree_find(fixture.tree, "usr/device"));
}

static void test_xattrs(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	make_dir(&fixture, "usr", 0755);
	make_file(&fixture, "usr/ping", "ping");
	g_autofree char *ping = path_of(&fixture, "usr/ping");
	g_assert_cmpint(setxattr(ping, "trusted.overlay.origin", "x", 1, 0), ==, 0);
	g_assert_cmpint(setxattr(ping, "trusted.b", "2", 1, 0), ==, 0);
	g_assert_cmpint(setxattr(ping, "trusted.a", "1", 1, 0), ==, 0);
	apply(&fixture, NULL);
	const AshNode *node = ash_tree_find(fixture.tree, "usr/ping");
	g_assert_nonnull(node->xattrs);
	g_autofree char *text = g_variant_print(node->xattrs, FALSE);
	g_assert_cmpstr(text, ==, "[(b'trusted.a', [0x31]), (b'trusted.b', [0x32])]");
}

static void test_no_upper(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;

	fixture_init(&fixture);
	g_assert_false(ash_delta_apply(fixture.repo, "/nowhere/upper", NULL, fixture.tree, &error));
	g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/delta/changes", test_changes);
	g_test_add_func("/delta/whiteouts", test_whiteouts);
	g_test_add_func("/delta/left-out", test_left_out);
	g_test_add_func("/delta/xattrs", test_xattrs);
	g_test_add_func("/delta/no-upper", test_no_upper);
	return g_test_run();
}
