/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host-trial.h"

#include <string.h>

#include "agent/paths.h"
#include "lib/file.h"

static void assert_trial(
		const AshHostTrial *trial, const char *proven, const char *left, bool is_final)
{
	g_assert_cmpstr(trial->proven, ==, proven);
	g_assert_cmpstr(trial->left, ==, left);
	g_assert_cmpint(trial->is_final, ==, is_final);
}

/* No document, none proven: nothing is tried, and nothing is ever late. */
static void test_first(void)
{
	g_auto(AshHostTrial) trial = {0};

	g_assert_cmpint(ash_host_trial_state(&trial, NULL, NULL), ==, ASH_HOST_TRIAL_SETTLED);
	g_assert_false(ash_host_trial_contact(&trial, NULL, NULL));
	g_assert_cmpint(ash_host_trial_state(&trial, "a", NULL), ==, ASH_HOST_TRIAL_SETTLED);
	g_assert_false(ash_host_trial_late(&trial, "a", NULL, 1));
	g_assert_true(ash_host_trial_contact(&trial, "a", NULL));
	assert_trial(&trial, "a", NULL, false);
	g_assert_false(ash_host_trial_contact(&trial, "a", NULL));
	g_assert_false(ash_host_trial_late(&trial, "a", NULL, 1));
}

static void test_good(void)
{
	g_auto(AshHostTrial) trial = {.proven = g_strdup("a")};

	g_assert_cmpint(ash_host_trial_state(&trial, "b", "a"), ==, ASH_HOST_TRIAL_TRIED);
	g_assert_true(ash_host_trial_contact(&trial, "b", "a"));
	assert_trial(&trial, "b", NULL, false);
	/* Not the one that is kept for going back: nothing to go back to. */
	g_assert_cmpint(ash_host_trial_state(&trial, "d", "c"), ==, ASH_HOST_TRIAL_SETTLED);
	g_assert_cmpint(ash_host_trial_state(&trial, "d", NULL), ==, ASH_HOST_TRIAL_SETTLED);
}

static void test_bad(void)
{
	g_auto(AshHostTrial) trial = {.proven = g_strdup("a")};

	g_assert_true(ash_host_trial_late(&trial, "b", "a", 7));
	assert_trial(&trial, "a", "b", false);
	g_assert_true(ash_host_trial_is_left(&trial, "b"));
	g_assert_false(ash_host_trial_is_left(&trial, "a"));
	g_assert_false(ash_host_trial_is_left(&trial, NULL));
	/* An answer that comes while the host goes down. */
	g_assert_false(ash_host_trial_contact(&trial, "b", "a"));
	g_assert_cmpint(ash_host_trial_state(&trial, "a", "a"), ==, ASH_HOST_TRIAL_RETURNED);
	g_assert_true(ash_host_trial_contact(&trial, "a", "a"));
	assert_trial(&trial, "a", "b", true);
	g_assert_cmpint(ash_host_trial_state(&trial, "a", "a"), ==, ASH_HOST_TRIAL_SETTLED);
	g_assert_false(ash_host_trial_late(&trial, "a", "a", 8));

	g_assert_true(ash_host_trial_forgive(&trial));
	g_assert_false(ash_host_trial_forgive(&trial));
	g_assert_cmpint(ash_host_trial_state(&trial, "b", "a"), ==, ASH_HOST_TRIAL_TRIED);
}

/* The network is gone with either: at most two restarts, and the new one stays. */
static void test_neither(void)
{
	g_auto(AshHostTrial) trial = {.proven = g_strdup("a")};

	g_assert_true(ash_host_trial_late(&trial, "b", "a", 7));
	g_assert_true(ash_host_trial_late(&trial, "a", "a", 8));
	assert_trial(&trial, NULL, NULL, false);
	g_assert_cmpint(ash_host_trial_state(&trial, "b", "a"), ==, ASH_HOST_TRIAL_SETTLED);
	g_assert_false(ash_host_trial_late(&trial, "b", "a", 9));
}

static void test_store(void)
{
	g_autoptr(AshTempDir) root = NULL;
	g_autoptr(GError) error = NULL;
	g_auto(AshHostTrial) trial = {.proven = g_strdup("a")}, read = {0}, broken = {0};

	g_assert_true(ash_temp_dir_new(g_get_tmp_dir(), "trial", &root, &error));
	g_autofree char *directory = g_strconcat(root->path, ASH_PATH_STATE, NULL);
	g_autofree char *path = g_build_filename(directory, "host-trial.json", NULL);
	g_assert_cmpint(g_mkdir_with_parents(directory, 0700), ==, 0);
	ash_host_trial_load(root->path, &read);
	assert_trial(&read, NULL, NULL, false);
	g_assert_true(ash_host_trial_late(&trial, "b", "a", 7));
	g_assert_true(ash_host_trial_contact(&trial, "a", "a"));
	g_assert_true(ash_host_trial_save(root->path, &trial, &error));
	ash_host_trial_load(root->path, &read);
	assert_trial(&read, "a", "b", true);
	g_assert_cmpint(read.left_s, ==, 7);
	g_assert_true(g_file_set_contents(path, "{\"proven\":", -1, &error));
	ash_host_trial_load(root->path, &broken);
	assert_trial(&broken, NULL, NULL, false);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/host-trial/first", test_first);
	g_test_add_func("/host-trial/good", test_good);
	g_test_add_func("/host-trial/bad", test_bad);
	g_test_add_func("/host-trial/neither", test_neither);
	g_test_add_func("/host-trial/store", test_store);
	return g_test_run();
}
