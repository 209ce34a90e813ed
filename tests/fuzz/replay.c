/* SPDX-License-Identifier: Apache-2.0 */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The main() of replay-NAME: feeds each file of tests/fuzz/corpus/NAME to the fuzz target's entry
 * point, as one TAP case a file. Runs from the root of the tree, or where ASH_ROOT points.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_file(gconstpointer data)
{
	g_autofree char *content = NULL;
	g_autoptr(GError) error = NULL;
	gsize size = 0;

	g_file_get_contents(data, &content, &size, &error);
	g_assert_no_error(error);
	/* A buffer of just that size, so that a sanitizer sees the first byte read behind it. */
	g_autofree uint8_t *exact = g_malloc(MAX(size, 1));
	memcpy(exact, content, size);
	g_assert_cmpint(LLVMFuzzerTestOneInput(exact, size), ==, 0);
}

static void replay_nothing(void)
{
	g_assert_cmpint(LLVMFuzzerTestOneInput((const uint8_t *) "", 0), ==, 0);
}

int main(int argc, char **argv)
{
	g_autofree char *program = g_path_get_basename(argv[0]);
	const char *name = g_str_has_prefix(program, "replay-") ? program + strlen("replay-")
								: program;
	const char *root = g_getenv("ASH_ROOT");
	g_autofree char *corpus = g_build_filename(
			root != NULL ? root : ".", "tests/fuzz/corpus", name, NULL);
	g_autoptr(GDir) dir = g_dir_open(corpus, 0, NULL);
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/replay/nothing", replay_nothing);
	for (const char *file; dir != NULL && (file = g_dir_read_name(dir)) != NULL;) {
		g_autofree char *test = g_strconcat("/replay/", file, NULL);
		char *path = g_build_filename(corpus, file, NULL);
		g_ptr_array_add(paths, path);
		g_test_add_data_func(test, path, replay_file);
	}
	return g_test_run();
}
