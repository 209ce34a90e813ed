/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <glib.h>
#include <string.h>

#include "agent/workload/entry.h"
#include "agent/workload/filter.h"
#include "agent/workload/launch.h"
#include "agent/workload/nspawn.h"
#include "lib/file.h"
#include "lib/workload-report.h"

#define SMALLEST                                                                                       \
	"\"instance\":\"web\",\"dir\":\"/run/d\",\"root\":\"/r\",\"cache\":\"/c\",\"uid_base\":65536," \
	"\"command\":[\"/bin/web\"]"

static AshLaunch *parse(const char *text, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(text, strlen(text));
	AshLaunch *launch = NULL;

	return ash_launch_parse(bytes, &launch, error) ? launch : NULL;
}

static void test_format(void)
{
	g_autoptr(AshLaunch) launch = parse(
			"{" SMALLEST ",\"isolation\":\"sandbox\",\"at_least\":\"sandbox\","
			"\"calls_only\":[],\"capabilities\":[\"net_raw\"],\"kernel\":\"/boot\","
			"\"memory_bytes\":5000000000,\"binds\":[{\"source\":\"/a\","
			"\"target\":\"/b\",\"is_read_only\":true}],"
			"\"machine\":{\"contract\":\"pvh\",\"modules\":[\"/m\"]}}",
			NULL);
	g_assert_nonnull(launch);
	g_autofree char *first = ash_launch_format(launch);
	g_autoptr(AshLaunch) again = parse(first, NULL);
	g_assert_nonnull(again);
	g_autofree char *second = ash_launch_format(again);

	g_assert_cmpstr(first, ==, second);
	g_assert_cmpint(again->isolation, ==, ASH_ISOLATION_CLASS_SANDBOX);
	g_assert_cmpuint(again->memory_bytes, ==, 5000000000);
	g_assert_cmpint(again->machine.contract, ==, ASH_MACHINE_PVH);
	g_assert_nonnull(again->calls_only);
	g_assert_true(((AshLaunchBind *) again->binds->pdata[0])->is_read_only);
}

static void test_refused(void)
{
	static const struct {
		const char *text, *words;
	} cases[] = {{"[]", "not an object"}, {"{" SMALLEST "}", "'isolation' is missing"},
			{"{" SMALLEST ",\"isolation\":\"jail\"}", "unknown isolation"},
			{"{" SMALLEST ",\"isolation\":\"vm\",\"at_least\":\"much\"}",
					"unknown strength"},
			{"{" SMALLEST ",\"isolation\":\"vm\",\"more\":1}", "unknown member 'more'"},
			{"{" SMALLEST ",\"isolation\":\"vm\",\"uid\":65536}", "out of range"},
			{"{" SMALLEST ",\"isolation\":\"vm\",\"directory\":\"srv\"}",
					"not an absolute path"},
			{"{" SMALLEST ",\"isolation\":\"vm\",\"environment\":[\"A\"]}",
					"NAME=value"},
			{"{" SMALLEST ",\"isolation\":\"vm\",\"devices\":[1]}", "strings alone"},
			{"{" SMALLEST ",\"isolation\":\"vm\",\"binds\":[1]}", "objects alone"},
			{"{" SMALLEST
			 ",\"isolation\":\"vm\",\"binds\":[{\"source\":\"a\",\"target\":\"/b\"}]}",
					"absolute"},
			{"{" SMALLEST ",\"isolation\":\"vm\",\"machine\":{\"contract\":\"bios\"}}",
					"unknown contract"},
			{"{\"instance\":\"w\",\"isolation\":\"vm\"}", "'dir', 'root' or 'cache'"}};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_assert_null(parse(cases[i].text, &error));
		g_assert_error(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_SYNTAX);
		g_assert_nonnull(strstr(error->message, cases[i].words));
	}
}

static bool allows(const AshFilterPolicy *policy, const char *name)
{
	g_auto(GStrv) names = ash_filter_calls(policy);

	return g_strv_contains((const char *const *) names, name);
}

static void test_calls(void)
{
	static char ptrace[] = "ptrace", reading[] = "read", chroot[] = "sys_chroot";
	char *call[] = {ptrace, NULL}, *only[] = {reading, NULL}, *capability[] = {chroot, NULL};
	AshFilterPolicy plain = {0}, added = {.added = call}, boot = {.is_booted = true},
			both = {.added = call, .removed = call}, few = {.only = only},
			brought = {.capabilities = capability};

	g_assert_true(allows(&plain, "read") && !allows(&plain, "ptrace") &&
			!allows(&plain, "mount"));
	g_assert_false(allows(&plain, "clone3") || allows(&plain, "io_uring_setup"));
	g_assert_true(allows(&added, "ptrace"));
	g_assert_false(allows(&both, "ptrace"));
	g_assert_true(allows(&few, "read") && allows(&few, "execve") && !allows(&few, "write"));
	g_assert_true(allows(&brought, "chroot") && !allows(&plain, "chroot"));
	g_assert_true(allows(&boot, "mount") && !allows(&boot, "bpf"));
}

static void test_filter_kept(void)
{
	g_autoptr(AshTempDir) dir = NULL;
	g_autoptr(AshFilter) first = NULL, second = NULL, other = NULL;
	static char unknown[] = "no_such_call", keyctl[] = "keyctl";
	char *bad[] = {unknown, NULL}, *good[] = {keyctl, NULL};
	AshFilterPolicy policy = {0}, wider = {.added = good}, wrong = {.added = bad};
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_temp_dir_new("/var/tmp", "test-launch", &dir, NULL));
	g_assert_true(ash_filter_load(dir->path, &policy, &first, NULL));
	g_assert_true(ash_filter_load(dir->path, &policy, &second, NULL));
	g_assert_true(ash_filter_load(dir->path, &wider, &other, NULL));
	for (unsigned i = 0; i < ASH_FILTER_PROGRAMS; i++)
		g_assert_true(g_bytes_equal(first->programs[i], second->programs[i]));
	g_assert_false(g_bytes_equal(first->programs[1], other->programs[1]));
	g_clear_pointer(&other, ash_filter_free);
	g_assert_false(ash_filter_load(dir->path, &wrong, &other, &error));
	g_assert_error(error, ASH_FILTER_ERROR, ASH_FILTER_ERROR_CALL);
}

/* What a list of one's own has beyond the default is told as more, for whatever call there is. */
static void test_beyond(void)
{
	AshFilterPolicy plain = {0};

	for (int number = 0; number < 1024; number++) {
		g_autofree char *name = ash_filter_call_name(number);
		if (name == NULL || allows(&plain, name))
			continue;
		g_test_message("%s", name);
		g_assert_true(ash_workload_report_is_beyond(name));
	}
	g_assert_false(ash_workload_report_is_beyond("read"));
}

static void test_capabilities(void)
{
	g_autoptr(AshLaunch) launch = parse(
			"{" SMALLEST ",\"isolation\":\"sandbox\",\"capabilities\":[\"sys_admin\"]}",
			NULL);
	g_autoptr(GError) error = NULL;
	uint64_t set = 0;

	g_assert_nonnull(launch);
	g_assert_false(ash_entry_capabilities(launch, &set, &error));
	g_assert_error(error, ASH_LAUNCH_ERROR, ASH_LAUNCH_ERROR_REFUSED);
	launch->isolation = ASH_ISOLATION_CLASS_CONTAINER;
	g_assert_true(ash_entry_capabilities(launch, &set, NULL));
	g_assert_cmpuint(set, ==, UINT64_C(1) << 21);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/launch/format", test_format);
	g_test_add_func("/launch/refused", test_refused);
	g_test_add_func("/launch/calls", test_calls);
	g_test_add_func("/launch/filter-kept", test_filter_kept);
	g_test_add_func("/launch/beyond", test_beyond);
	g_test_add_func("/launch/capabilities", test_capabilities);
	return g_test_run();
}
