/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/customise.h"

#include "lib/file.h"
#include "tests/lib/fixture.h"

#define TIMER "usr/lib/systemd/system/ashlar-deadline.timer"

static void test_deadline(void)
{
	/* The default of health(5) is what the timer is made for. */
	g_assert_null(ash_customise_deadline(10 * 60 * 1000));
	g_assert_null(ash_customise_deadline(10 * 1000));
	g_autofree char *longest = ash_customise_deadline(6 * 3600 * 1000);
	g_assert_nonnull(strstr(longest, "\n[Timer]\nOnBootSec=\nOnBootSec=21900s\n"));
}

/* A manifest with this `health:`, applied to the fixture's tree. */
static void customise(Fixture *fixture, const char *health)
{
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(AshManifest) manifest = NULL;
	g_autoptr(GPtrArray) packages = g_ptr_array_new();
	g_autoptr(GHashTable) removed = NULL;
	g_autoptr(GError) error = NULL;
	gboolean ok = ash_temp_dir_new(g_get_tmp_dir(), "test-customise", &dir, &error);

	g_assert_no_error(error);
	g_assert_true(ok);
	g_autofree char *path = g_build_filename(dir->path, "host.yaml", NULL);
	g_autofree char *text = g_strdup_printf("name: host\n%s", health);
	g_file_set_contents(path, text, -1, &error);
	g_assert_no_error(error);
	ok = ash_manifest_load(path, "amd64", NULL, NULL, &manifest, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
	ok = ash_customise(fixture->repo, manifest, packages, fixture->tree, &removed, &error);
	g_assert_no_error(error);
	g_assert_true(ok);
}

/* systemd must not end a trial that the manifest gives more time. */
static void test_health(void)
{
	if (!fixture_may_run())
		return;
	g_auto(Fixture) fixture = {0};

	fixture_init(&fixture);
	fixture_file(&fixture, fixture.tree, TIMER, 0644, "[Timer]\nOnBootSec=15min\n");
	customise(&fixture, "health: {soak: 1s, deadline: 10min}\n");
	g_assert_nonnull(ash_tree_find(fixture.tree, "usr/lib/ashlar/health.d/manifest.yaml"));
	g_assert_null(ash_tree_find(fixture.tree, TIMER ".d"));
	customise(&fixture, "health: {deadline: 1h}\n");
	g_autofree char *drop_in = fixture_text(&fixture, fixture.tree, TIMER ".d/10-health.conf");
	g_assert_nonnull(strstr(drop_in, "OnBootSec=\nOnBootSec=3900s\n"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/customise/deadline", test_deadline);
	g_test_add_func("/customise/health", test_health);
	return g_test_run();
}
