/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/layout.h"

#include "tests/lib/fixture.h"

static void lay_out(Fixture *fixture, const char *release)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = ash_layout_host(fixture->repo, fixture->tree, release, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
}

static void check_line(Fixture *fixture, const char *line, bool is_there)
{
	g_autofree char *text = fixture_text(
			fixture, fixture->tree, "usr/lib/tmpfiles.d/00-ashlar-var.conf");
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	if (g_strv_contains((const char *const *) lines, line) != is_there)
		g_error("the line '%s' is %s:\n%s", line, is_there ? "missing" : "there", text);
}

static void test_root(void)
{
	if (!fixture_may_run())
		return;
	static const struct {
		const char *path;
		uint32_t mode;
	} dirs[] = {{"boot", 0755}, {"dev", 0755}, {"efi", 0755}, {"proc", 0555}, {"run", 0755},
			{"sys", 0555}, {"sysroot", 0755}, {"tmp", 01777}, {"var", 0755}};
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	fixture_file(&fixture, fixture.tree, "etc/conf", 0600, "conf");
	fixture_file(&fixture, fixture.tree, "tmp/left", 0600, "x");
	fixture_file(&fixture, fixture.tree, "dev/file", 0600, "x");
	fixture_file(&fixture, fixture.tree, "usr/bin/x", 0755, "x");
	lay_out(&fixture, NULL);
	g_assert_null(ash_tree_find(fixture.tree, "etc"));
	g_autofree char *conf = fixture_text(&fixture, fixture.tree, "usr/etc/conf");
	g_assert_cmpstr(conf, ==, "conf");
	g_assert_nonnull(ash_tree_find(fixture.tree, "usr/bin/x"));
	for (size_t i = 0; i < G_N_ELEMENTS(dirs); i++) {
		const AshNode *dir = ash_tree_find(fixture.tree, dirs[i].path);
		g_assert_nonnull(dir);
		g_assert_cmpuint(dir->mode, ==, dirs[i].mode);
		g_assert_cmpuint(g_hash_table_size(dir->children), ==, 0);
	}
	g_assert_cmpstr(fixture_target(fixture.tree, "ostree"), ==, "sysroot/ostree");
	g_assert_cmpstr(fixture_target(fixture.tree, "home"), ==, "var/home");
	g_assert_cmpstr(fixture_target(fixture.tree, "root"), ==, "var/roothome");
	g_assert_cmpstr(fixture_target(fixture.tree, "usr/local"), ==, "../var/usrlocal");
	check_line(&fixture, "d /var/home 0755 0 0 -", true);
	check_line(&fixture, "d /var/roothome 0700 0 0 -", true);
}

static void test_var(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	AshNode *dir = fixture_dir(fixture.tree, "var/lib/app");
	dir->mode = 02770;
	dir->uid = 7;
	dir->gid = 8;
	fixture_file(&fixture, fixture.tree, "var/lib/app/state", 0640, "state")->gid = 8;
	fixture_link(fixture.tree, "var/lib/app/link", "/run/100% new");
	fixture_dir(fixture.tree, "var/lib/with blank \"and\" 50%");
	fixture_file(&fixture, fixture.tree, "var/log/app.log", 0644, "log");
	fixture_file(&fixture, fixture.tree, "var/cache/app/x", 0644, "cache");
	fixture_file(&fixture, fixture.tree, "var/lib/dpkg/status", 0644, "x");
	fixture_file(&fixture, fixture.tree, "var/cache/apt/pkgcache.bin", 0644, "x");
	lay_out(&fixture, NULL);
	check_line(&fixture, "d /var/lib/app 2770 7 8 -", true);
	check_line(&fixture, "C /var/lib/app/state 0640 0 8 - /usr/share/factory/var/lib/app/state",
			true);
	check_line(&fixture, "L /var/lib/app/link - - - - /run/100%% new", true);
	check_line(&fixture, "d \"/var/lib/with blank \\\"and\\\" 50%%\" 0755 0 0 -", true);
	check_line(&fixture, "d /var/log 0755 0 0 -", true);
	check_line(&fixture, "d /var/cache/app 0755 0 0 -", true);
	check_line(&fixture, "d /var/lib/dpkg 0755 0 0 -", false);
	check_line(&fixture, "d /var/cache/apt 0755 0 0 -", false);
	g_autofree char *state =
			fixture_text(&fixture, fixture.tree, "usr/share/factory/var/lib/app/state");
	g_assert_cmpstr(state, ==, "state");
	g_assert_null(ash_tree_find(fixture.tree, "usr/share/factory/var/log"));
	g_assert_null(ash_tree_find(fixture.tree, "usr/share/factory/var/cache"));
	g_assert_null(ash_tree_find(fixture.tree, "usr/share/factory/var/lib/dpkg"));
	g_assert_cmpuint(g_hash_table_size(ash_tree_find(fixture.tree, "var")->children), ==, 0);
}

/* What a name or a target may hold, so that it cannot add lines of its own. */
static void test_line_breaks(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	fixture_dir(fixture.tree, "var/lib/one\nx \\var");
	fixture_link(fixture.tree, "var/lib/b", "x\nR /var");
	fixture_file(&fixture, fixture.tree, "var/lib/c\rd", 0644, "content");
	lay_out(&fixture, NULL);
	check_line(&fixture, "d \"/var/lib/one\\x0ax \\\\var\" 0755 0 0 -", true);
	check_line(&fixture, "R /var", false);
	/* Copied as they are, from /usr/share/factory. */
	check_line(&fixture, "C /var/lib/b - - - - /usr/share/factory/var/lib/b", true);
	g_assert_cmpstr(fixture_target(fixture.tree, "usr/share/factory/var/lib/b"), ==,
			"x\nR /var");
	check_line(&fixture, "C \"/var/lib/c\\x0dd\" 0644 0 0 -", true);
	g_assert_nonnull(ash_tree_find(fixture.tree, "usr/share/factory/var/lib/c\rd"));
}

static void test_opt_and_homes(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	fixture_file(&fixture, fixture.tree, "opt/vendor/bin/tool", 0755, "tool");
	fixture_file(&fixture, fixture.tree, "root/.profile", 0644, "profile");
	fixture_file(&fixture, fixture.tree, "usr/local/share/x", 0644, "x");
	lay_out(&fixture, NULL);
	g_assert_cmpstr(fixture_target(fixture.tree, "opt"), ==, "var/opt");
	g_autofree char *tool = fixture_text(&fixture, fixture.tree, "usr/lib/opt/vendor/bin/tool");
	g_assert_cmpstr(tool, ==, "tool");
	check_line(&fixture, "L /var/opt/vendor - - - - /usr/lib/opt/vendor", true);
	check_line(&fixture,
			"C /var/roothome/.profile 0644 0 0 - /usr/share/factory/var/roothome/.profile",
			true);
	check_line(&fixture, "d /var/usrlocal/share 0755 0 0 -", true);
}

static void test_kernel(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;

	fixture_init(&fixture);
	fixture_file(&fixture, fixture.tree, "boot/vmlinuz-6.1", 0644, "kernel");
	fixture_file(&fixture, fixture.tree, "boot/config-6.1", 0644, "config");
	fixture_file(&fixture, fixture.tree, "boot/System.map-6.1", 0644, "map");
	fixture_link(fixture.tree, "vmlinuz", "boot/vmlinuz-6.1");
	g_assert_false(ash_layout_host(fixture.repo, fixture.tree, "6.2", &error));
	g_assert_error(error, ASH_LAYOUT_ERROR, ASH_LAYOUT_ERROR_NO_KERNEL);
	lay_out(&fixture, "6.1");
	g_autofree char *kernel =
			fixture_text(&fixture, fixture.tree, "usr/lib/modules/6.1/vmlinuz");
	g_assert_cmpstr(kernel, ==, "kernel");
	g_assert_nonnull(ash_tree_find(fixture.tree, "usr/lib/modules/6.1/config"));
	g_assert_null(ash_tree_find(fixture.tree, "vmlinuz"));
	g_assert_null(ash_tree_find(fixture.tree, "boot/System.map-6.1"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/layout/root", test_root);
	g_test_add_func("/layout/var", test_var);
	g_test_add_func("/layout/line-breaks", test_line_breaks);
	g_test_add_func("/layout/opt-and-homes", test_opt_and_homes);
	g_test_add_func("/layout/kernel", test_kernel);
	return g_test_run();
}
