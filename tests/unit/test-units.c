/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/units.h"

#include "tests/lib/fixture.h"

#define USR "usr/lib/systemd/system/"
#define ETC "etc/systemd/system/"

static void add_unit(Fixture *fixture, const char *name, const char *text)
{
	g_autofree char *path = g_strconcat(USR, name, NULL);

	fixture_file(fixture, fixture->tree, path, 0644, text);
}

static void set_up(Fixture *fixture)
{
	fixture_init(fixture);
	add_unit(fixture, "web.service",
			"[Unit]\nWantedBy=not.target\n[Install]\n# a comment\n; another\n"
			"WantedBy = multi-user.target  graphical.target\nRequiredBy=a.service\n"
			"UpheldBy=b.service\nAlias=www.service\nAlso=web.socket missing.service\n");
	add_unit(fixture, "web.socket", "[Install]\nWantedBy=sockets.target\nAlso=web.service\n");
	add_unit(fixture, "getty@.service",
			"[Install]\nWantedBy=getty.target\nWantedBy=%i.target\nDefaultInstance=tty1\n");
	add_unit(fixture, "static.service", "[Service]\nExecStart=/x\n");
	add_unit(fixture, "emptied.service",
			"[Install]\nWantedBy=a.target\nWantedBy=\nWantedBy=b.target\n");
	fixture_link(fixture->tree, USR "alias.service", "web.service");
}

static void enable(Fixture *fixture, const char *name)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = ash_units_enable(fixture->repo, fixture->tree, name, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
}

static void check_link(const Fixture *fixture, const char *path, const char *target)
{
	g_autofree char *full = g_strconcat(ETC, path, NULL);

	g_assert_cmpstr(fixture_target(fixture->tree, full), ==, target);
}

static void test_enable(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	set_up(&fixture);
	enable(&fixture, "web.service");
	check_link(&fixture, "multi-user.target.wants/web.service", "/" USR "web.service");
	check_link(&fixture, "graphical.target.wants/web.service", "/" USR "web.service");
	check_link(&fixture, "a.service.requires/web.service", "/" USR "web.service");
	check_link(&fixture, "b.service.upholds/web.service", "/" USR "web.service");
	check_link(&fixture, "www.service", "/" USR "web.service");
	check_link(&fixture, "sockets.target.wants/web.socket", "/" USR "web.socket");
	check_link(&fixture, "not.target.wants/web.service", NULL);
	/* An empty value takes back what stood before it. */
	enable(&fixture, "emptied.service");
	check_link(&fixture, "a.target.wants/emptied.service", NULL);
	check_link(&fixture, "b.target.wants/emptied.service", "/" USR "emptied.service");
	/* A unit in /etc hides that of the package. */
	fixture_file(&fixture, fixture.tree, ETC "static.service", 0644,
			"[Install]\nWantedBy=c.target\n");
	enable(&fixture, "static.service");
	check_link(&fixture, "c.target.wants/static.service", "/" ETC "static.service");
}

static void test_templates(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	set_up(&fixture);
	enable(&fixture, "getty@ttyS0.service");
	check_link(&fixture, "getty.target.wants/getty@ttyS0.service", "/" USR "getty@.service");
	check_link(&fixture, "ttyS0.target.wants/getty@ttyS0.service", "/" USR "getty@.service");
	enable(&fixture, "getty@.service");
	check_link(&fixture, "getty.target.wants/getty@tty1.service", "/" USR "getty@.service");
	check_link(&fixture, "tty1.target.wants/getty@tty1.service", "/" USR "getty@.service");
	ash_units_disable(fixture.tree, "getty@ttyS0.service");
	check_link(&fixture, "getty.target.wants/getty@ttyS0.service", NULL);
	check_link(&fixture, "getty.target.wants/getty@tty1.service", "/" USR "getty@.service");
	ash_units_disable(fixture.tree, "getty@.service");
	check_link(&fixture, "getty.target.wants/getty@tty1.service", NULL);
}

static void test_dropins(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;

	set_up(&fixture);
	add_unit(&fixture, "static.service.d/10-a.conf", "[Install]\nWantedBy=a.target\n");
	add_unit(&fixture, "static.service.d/notes.txt", "[Install]\nWantedBy=c.target\n");
	fixture_file(&fixture, fixture.tree, ETC "static.service.d/20-b.conf", 0644,
			"[Install]\nWantedBy=b.target\n");
	add_unit(&fixture, "getty@.service.d/x.conf", "[Install]\nWantedBy=all.target\n");
	enable(&fixture, "static.service");
	check_link(&fixture, "a.target.wants/static.service", "/" USR "static.service");
	check_link(&fixture, "b.target.wants/static.service", "/" USR "static.service");
	check_link(&fixture, "c.target.wants/static.service", NULL);
	enable(&fixture, "getty@tty2.service");
	check_link(&fixture, "all.target.wants/getty@tty2.service", "/" USR "getty@.service");
	/* One of the same name in /etc hides the other, a link to /dev/null takes it away. */
	ash_units_disable(fixture.tree, "static.service");
	fixture_link(fixture.tree, ETC "static.service.d/10-a.conf", "/dev/null");
	ash_tree_remove(fixture.tree, ETC "static.service.d/20-b.conf");
	g_assert_false(ash_units_enable(fixture.repo, fixture.tree, "static.service", &error));
	g_assert_error(error, ASH_UNITS_ERROR, ASH_UNITS_ERROR_NO_INSTALL);
}

static void test_disable(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	set_up(&fixture);
	enable(&fixture, "web.service");
	ash_units_disable(fixture.tree, "web.service");
	check_link(&fixture, "multi-user.target.wants/web.service", NULL);
	check_link(&fixture, "a.service.requires/web.service", NULL);
	check_link(&fixture, "www.service", NULL);
	check_link(&fixture, "sockets.target.wants/web.socket", "/" USR "web.socket");
	ash_units_disable(fixture.tree, "never-there.service");
	g_autoptr(AshTree) empty = ash_tree_new();
	ash_units_disable(empty, "web.service");
}

static void test_mask(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;

	set_up(&fixture);
	g_assert_true(ash_units_mask(fixture.tree, "web.service", &error));
	check_link(&fixture, "web.service", "/dev/null");
	g_assert_true(ash_units_mask(fixture.tree, "of-no-package.service", &error));
	fixture_file(&fixture, fixture.tree, ETC "own.service", 0644, "");
	g_assert_false(ash_units_mask(fixture.tree, "own.service", &error));
	g_assert_error(error, ASH_UNITS_ERROR, ASH_UNITS_ERROR_MASKED);
}

static void check_error(Fixture *fixture, const char *name, int code, const char *words)
{
	g_autoptr(GError) error = NULL;

	g_assert_false(ash_units_enable(fixture->repo, fixture->tree, name, &error));
	g_assert_error(error, ASH_UNITS_ERROR, code);
	if (strstr(error->message, words) == NULL)
		g_error("the message is: %s", error->message);
}

static void test_errors(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	set_up(&fixture);
	check_error(&fixture, "wbe.service", ASH_UNITS_ERROR_NO_UNIT, "did you mean 'web.service'");
	check_error(&fixture, "x@y.service", ASH_UNITS_ERROR_NO_UNIT, "no unit 'x@y.service'");
	check_error(&fixture, "static.service", ASH_UNITS_ERROR_NO_INSTALL, "[Install]");
	g_autoptr(AshTree) empty = ash_tree_new();
	g_autoptr(GError) error = NULL;
	g_assert_false(ash_units_enable(fixture.repo, empty, "web.service", &error));
	g_assert_error(error, ASH_UNITS_ERROR, ASH_UNITS_ERROR_NO_UNIT);
}

static void test_presets(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};
	g_autoptr(GError) error = NULL;

	set_up(&fixture);
	enable(&fixture, "emptied.service");
	fixture_file(&fixture, fixture.tree, "usr/lib/systemd/system-preset/90-default.preset",
			0644, "disable *\n");
	fixture_file(&fixture, fixture.tree, "usr/lib/systemd/system-preset/50-web.preset", 0644,
			"# comment\n\nenable   web.*\nignored line\n");
	fixture_file(&fixture, fixture.tree, "usr/lib/systemd/system-preset/10-hidden.preset", 0644,
			"enable *\n");
	fixture_file(&fixture, fixture.tree, "etc/systemd/system-preset/10-hidden.preset", 0644,
			"");
	g_assert_true(ash_units_preset_all(fixture.repo, fixture.tree, &error));
	g_assert_no_error(error);
	check_link(&fixture, "multi-user.target.wants/web.service", "/" USR "web.service");
	check_link(&fixture, "sockets.target.wants/web.socket", "/" USR "web.socket");
	check_link(&fixture, "b.target.wants/emptied.service", NULL);
	/* Without any preset, all are enabled. */
	ash_tree_remove(fixture.tree, "usr/lib/systemd/system-preset");
	g_assert_true(ash_units_preset_all(fixture.repo, fixture.tree, &error));
	check_link(&fixture, "b.target.wants/emptied.service", "/" USR "emptied.service");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/units/enable", test_enable);
	g_test_add_func("/units/templates", test_templates);
	g_test_add_func("/units/dropins", test_dropins);
	g_test_add_func("/units/disable", test_disable);
	g_test_add_func("/units/mask", test_mask);
	g_test_add_func("/units/errors", test_errors);
	g_test_add_func("/units/presets", test_presets);
	return g_test_run();
}
