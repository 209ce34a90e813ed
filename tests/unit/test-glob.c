/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "builder/glob.h"

static const struct {
	const char *pattern;
	const char *path;
	bool matches;
} cases[] = {
		{"", "", true},
		{"", "a", false},
		{"libc6", "libc6", true},
		{"libc6", "libc6-dev", false},
		{"lib*", "libc6", true},
		{"*-dev", "libc6-dev", true},
		{"*-dev", "libc6", false},
		{"virtio*", "virtio_net", true},
		{"?", "a", true},
		{"?", "", false},
		{"?", "/", false},
		{"*", "", true},
		{"*", "a/b", false},
		{"**", "", true},
		{"**", "a/b/c", true},
		{"/usr/*", "/usr/bin", true},
		{"/usr/*", "/usr/bin/sh", false},
		{"/usr/*", "/usr", false},
		{"/usr/*/sh", "/usr/bin/sh", true},
		{"/usr/share/doc/**", "/usr/share/doc/bash/copyright", true},
		{"/usr/share/doc/**", "/usr/share/doc/bash", true},
		{"/usr/share/doc/**", "/usr/share/doc", false},
		{"/usr/share/doc/**", "/usr/share/docs/a", false},
		{"/usr/**/*.pyc", "/usr/a.pyc", true},
		{"/usr/**/*.pyc", "/usr/lib/python3/a.pyc", true},
		{"/usr/**/*.pyc", "/usr/lib/python3/a.py", false},
		{"/usr/**/*.pyc", "/usrx/a.pyc", false},
		{"**/*.pyc", "a.pyc", true},
		{"**/*.pyc", "/b/a.pyc", true},
		{"/**/a", "/a", true},
		{"/**/a", "/b/c/a", true},
		{"/**/a", "/ba", false},
		{"/**/a", "/b/ca", false},
		{"/**/**/a", "/b/ca", false},
		{"/**/**/a", "/b/c/d/a", true},
		{"**/a", "ba", false},
		{"/a**b", "/a/x/b", true},
		{"/a**/b", "/ab", false},
		{"/a/**/**/b", "/a/b", true},
		{"[abc]", "b", true},
		{"[abc]", "d", false},
		{"[!abc]", "d", true},
		{"[^abc]", "a", false},
		{"[a-c]x", "bx", true},
		{"[a-c]x", "dx", false},
		{"[]]", "]", true},
		{"[!]]", "a", true},
		{"[!]]", "]", false},
		{"[a-]", "-", true},
		{"[/]", "/", false},
		{"[!a]", "/", false},
		{"[a", "[a", true},
		{"[a", "a", false},
		{"[", "[", true},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"\\[a]", "[a]", true},
		{"a\\", "a\\", true},
		{"x*y*z", "xaaybbz", true},
		{"x*y*z", "xaaybb", false},
		{"\xc3*", "\xc3\xa9", true},
};

static void test_table(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		bool matches = ash_glob_match(cases[i].pattern, cases[i].path);
		if (matches != cases[i].matches)
			g_error("'%s' on '%s' is %d", cases[i].pattern, cases[i].path, matches);
	}
}

static void test_any(void)
{
	g_autoptr(GPtrArray) patterns = g_ptr_array_new();

	g_assert_false(ash_glob_match_any(patterns, "/a"));
	g_ptr_array_add(patterns, (char[]){"/b"});
	g_ptr_array_add(patterns, (char[]){"/[a]"});
	g_assert_true(ash_glob_match_any(patterns, "/a"));
	g_assert_false(ash_glob_match_any(patterns, "/c"));
}

/* With backtracking, this would outlive the machine. */
static void test_bounded(void)
{
	g_autoptr(GString) pattern = g_string_new(NULL);
	g_autofree char *path = g_strnfill(4000, 'a');

	for (int i = 0; i < 400; i++)
		g_string_append(pattern, i % 2 ? "*a" : "**a");
	g_string_append_c(pattern, 'b');
	gint64 begin = g_get_monotonic_time();
	g_assert_false(ash_glob_match(pattern->str, path));
	g_assert_cmpint(g_get_monotonic_time() - begin, <, 20 * G_USEC_PER_SEC);
}

static void test_longest(void)
{
	g_autofree char *longest = g_strnfill(ASH_GLOB_MAX_BYTES, '?');
	g_autofree char *longer = g_strnfill(ASH_GLOB_MAX_BYTES + 1, '?');
	g_autofree char *path = g_strnfill(ASH_GLOB_MAX_BYTES, 'a');
	g_autofree char *longer_path = g_strnfill(ASH_GLOB_MAX_BYTES + 1, 'a');

	g_assert_true(ash_glob_match(longest, path));
	g_assert_false(ash_glob_match(longer, longer_path));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/glob/table", test_table);
	g_test_add_func("/glob/any", test_any);
	g_test_add_func("/glob/bounded", test_bounded);
	g_test_add_func("/glob/longest", test_longest);
	return g_test_run();
}
