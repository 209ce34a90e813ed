/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>

#include "lib/file.h"
#include "lib/workload.h"

/* tests/golden/workload/errors.txt (ASH_ROOT: the root of the tree): what a person is told of each mistake.
 *
 *	--- NAME
 *	lines of a definition; with no 'workload:' among them they stand behind the three that must be there
 *	=== the message
 */

#define BEGIN "workload: web\nversion: 1.0\nimage: ostree:workload/web/amd64\n"

enum {
	MAX_BYTES = 1 << 20,
};

static void check_case(const char *name, const char *text, const char *expected)
{
	g_autofree char *whole =
			g_strconcat(strstr(text, "workload:") != NULL ? "" : BEGIN, text, NULL);
	g_autoptr(GBytes) bytes = g_bytes_new(whole, strlen(whole));
	g_autoptr(GError) error = NULL;
	AshWorkload *workload = NULL;

	g_test_message("%s", name);
	bool is_parsed = ash_workload_parse("w.yaml", bytes, &workload, &error);
	g_assert_false(is_parsed);
	g_assert_nonnull(error);
	g_assert_null(workload);
	g_assert_cmpstr(error->message, ==, expected);
}

static void test_errors(void)
{
	const char *root = g_getenv("ASH_ROOT");
	g_autofree char *path = g_build_filename(
			root != NULL ? root : ".", "tests/golden/workload/errors.txt", NULL);
	g_autoptr(GBytes) bytes = NULL;
	g_autoptr(GError) error = NULL;
	unsigned count = 0;

	bool is_read = ash_file_read(AT_FDCWD, path, MAX_BYTES, &bytes, &error);
	g_assert_no_error(error);
	g_assert_true(is_read);
	g_auto(GStrv) cases = g_strsplit(g_bytes_get_data(bytes, NULL), "--- ", -1);
	for (char **one = cases + 1; *one != NULL; one++, count++) {
		char *text = strchr(*one, '\n');
		char *expected = strstr(*one, "\n=== ");
		g_assert_nonnull(text);
		g_assert_nonnull(expected);
		*text++ = '\0';
		g_autofree char *definition = g_strndup(text, (size_t) (expected + 1 - text));
		g_strchomp(expected);
		check_case(*one, definition, expected + strlen("\n=== "));
	}
	g_assert_cmpuint(count, >, 100);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/workload-golden/errors", test_errors);
	return g_test_run();
}
