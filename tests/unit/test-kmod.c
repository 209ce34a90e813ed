/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/kmod.h"

#include <string.h>

static const char dep_text[] = "kernel/a/bus.ko.xz:\n"
			       "kernel/a/disk-x.ko.xz: kernel/a/core.ko.xz kernel/a/bus.ko.xz\n"
			       "kernel/a/core.ko.xz: kernel/a/bus.ko.xz\n"
			       "kernel/c/sum_fast.ko:\n"
			       "kernel/c/sum_slow.ko:\n"
			       "kernel/c/ping.ko:\n"
			       "kernel/c/pong.ko:\n"
			       "nonsense without a colon\n"
			       ": kernel/nothing.ko\n";
static const char alias_text[] = "# Aliases\n"
				 "alias pci:v*d* disk_x\n"
				 "alias sum sum_fast\n"
				 "alias sum sum-slow\n"
				 "alias broken\n"
				 "alias gone no_such_module\n";
static const char builtin_text[] = "kernel/fs/ext4/ext4.ko\nkernel/lib/crc-t10dif.ko\n";
static const char softdep_text[] = "softdep core pre: sum\n"
				   "softdep ping pre: pong\n"
				   "softdep pong post: ping\n"
				   "softdep bus without_a_keyword\n"
				   "softdep\n";

static AshKmod *parse(void)
{
	g_autoptr(GBytes) dep = g_bytes_new_static(dep_text, strlen(dep_text));
	g_autoptr(GBytes) alias = g_bytes_new_static(alias_text, strlen(alias_text));
	g_autoptr(GBytes) builtin = g_bytes_new_static(builtin_text, strlen(builtin_text));
	g_autoptr(GBytes) softdep = g_bytes_new_static(softdep_text, strlen(softdep_text));
	g_autoptr(GError) error = NULL;
	AshKmod *kmod = NULL;

	gboolean is_done = ash_kmod_parse(dep, alias, builtin, softdep, &kmod, &error);
	g_assert_no_error(error);
	g_assert_true(is_done);
	return kmod;
}

static void assert_closure(const AshKmod *kmod, const char *name, const char *expected)
{
	g_autoptr(GPtrArray) modules = g_ptr_array_new();
	g_autoptr(GString) text = g_string_new(NULL);

	bool found = ash_kmod_closure(kmod, name, modules);
	g_assert_cmpint(found, ==, expected != NULL);
	for (guint i = 0; i < modules->len; i++) {
		const AshKmodModule *module = g_ptr_array_index(modules, i);
		g_string_append_printf(text, "%s%s", i > 0 ? " " : "", module->name);
	}
	g_assert_cmpstr(text->str, ==, expected != NULL ? expected : "");
}

static void test_find(void)
{
	g_autoptr(AshKmod) kmod = parse();
	const AshKmodModule *module = ash_kmod_find(kmod, "disk-x");

	g_assert_nonnull(module);
	g_assert_true(module == ash_kmod_find(kmod, "disk_x"));
	g_assert_true(module == ash_kmod_find_path(kmod, "kernel/a/disk-x.ko.xz"));
	g_assert_cmpstr(module->name, ==, "disk_x");
	g_assert_cmpuint(module->deps->len, ==, 2);
	g_assert_null(ash_kmod_find(kmod, "ext4"));
	g_assert_true(ash_kmod_is_builtin(kmod, "ext4"));
	g_assert_true(ash_kmod_is_builtin(kmod, "crc_t10dif"));
	g_assert_false(ash_kmod_is_builtin(kmod, "bus"));
	g_assert_null(ash_kmod_softdeps(kmod, "disk_x"));
	g_autofree const char **names = ash_kmod_names(kmod);
	static const char *const expected[] = {
			"bus", "core", "disk_x", "ping", "pong", "sum_fast", "sum_slow", NULL};
	g_assert_true(g_strv_equal(names, expected));
}

static void test_closure(void)
{
	g_autoptr(AshKmod) kmod = parse();

	assert_closure(kmod, "bus", "bus");
	/* Soft dependencies by their alias, each before what wants it. */
	assert_closure(kmod, "disk-x", "bus sum_fast sum_slow core disk_x");
	assert_closure(kmod, "sum", "sum_fast sum_slow");
	assert_closure(kmod, "gone", NULL);
	assert_closure(kmod, "ext4", NULL);
	assert_closure(kmod, "", NULL);
}

/* Two modules that name each other. */
static void test_softdep_circle(void)
{
	g_autoptr(AshKmod) kmod = parse();
	assert_closure(kmod, "ping", "ping pong");
}

static void test_missing_lists(void)
{
	g_autoptr(AshKmod) kmod = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_kmod_parse(NULL, NULL, NULL, NULL, &kmod, &error));
	g_assert_no_error(error);
	g_assert_null(ash_kmod_find(kmod, "bus"));
}

static void test_too_many(void)
{
	g_autofree char *text = g_strnfill(ASH_KMOD_MAX_LINES + 1, '\n');
	g_autoptr(GBytes) bytes = g_bytes_new(text, ASH_KMOD_MAX_LINES + 1);
	g_autoptr(GBytes) fewer = g_bytes_new(text, ASH_KMOD_MAX_LINES);
	g_autoptr(AshKmod) kmod = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_false(ash_kmod_parse(NULL, bytes, NULL, NULL, &kmod, &error));
	g_assert_error(error, ASH_KMOD_ERROR, ASH_KMOD_ERROR_TOO_MANY);
	g_clear_error(&error);
	g_assert_true(ash_kmod_parse(NULL, fewer, NULL, NULL, &kmod, &error));
	g_assert_no_error(error);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/kmod/find", test_find);
	g_test_add_func("/kmod/closure", test_closure);
	g_test_add_func("/kmod/softdep-circle", test_softdep_circle);
	g_test_add_func("/kmod/missing-lists", test_missing_lists);
	g_test_add_func("/kmod/too-many", test_too_many);
	return g_test_run();
}
