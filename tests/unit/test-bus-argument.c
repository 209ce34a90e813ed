/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/bus.h"

/* What may be said in a call, and who may call: the part of agent/bus.h that is PURE. */

enum {
	STRANGER = 65534,
};

static const struct {
	const char *method, *text;
	bool is_valid;
} arguments[] = {
		{"GetStatus", "", true},
		{"GetStatus", "x", false},
		{"NoSuch", "", false},
		{"GetHistory", "", true},
		{"GetHistory", "1", true},
		{"GetHistory", "10000", true},
		{"GetHistory", "10001", false},
		{"GetHistory", "0", false},
		{"GetHistory", "-1", false},
		{"GetHistory", "99999999999999999999", false},
		{"Update", "", true},
		{"Update", "1.2~rc1+x-3", true},
		{"Update", "../x", false},
		{"Update", "a/b", false},
		{"Update", "-1", false},
		{"Update", "a b", false},
		{"Update", "a\nb", false},
		{"Pin", "", false},
		{"Pin", "1", true},
		{"Forgive", "all", true},
		{"Bundle", "", false},
		{"Bundle", "x", false},
		{"Bundle", "/", false},
		{"Bundle", "/mnt/a b.bundle", true},
		{"Bundle", "/mnt/../x", false},
		{"Bundle", "/mnt/..", false},
		{"Bundle", "/mnt/..x", true},
		{"Bundle", "/mnt/\x01", false},
		{"Bundle", "/mnt/\xff", false},
		{"OrderDone", "{}", true},
		{"OrderDone", "", false},
		{"OrderDone", "[]", false},
		{"OrderProgress", "", true},
};

static gboolean check_filled(const char *method, const char *prefix, size_t size, GError **error)
{
	g_autofree char *fill = g_strnfill(size - strlen(prefix), '1');
	g_autofree char *text = g_strconcat(prefix, fill, NULL);

	return ash_bus_argument_check(method, text, size, error);
}

static void test_argument(void)
{
	for (size_t i = 0; i < G_N_ELEMENTS(arguments); i++) {
		g_autoptr(GError) error = NULL;
		const char *text = arguments[i].text;
		bool ok = ash_bus_argument_check(arguments[i].method, text, strlen(text), &error);
		if (ok != arguments[i].is_valid)
			g_error("%s '%s'", arguments[i].method, text);
		if (!ok)
			g_assert_error(error, ASH_BUS_ERROR, ASH_BUS_ERROR_INVALID_ARGUMENT);
	}
}

static void test_argument_maximum(void)
{
	g_assert_true(check_filled("Update", "", 64, NULL));
	g_assert_false(check_filled("Update", "", 65, NULL));
	g_assert_true(check_filled("Bundle", "/", ASH_BUS_MAX_PATH_BYTES, NULL));
	g_assert_false(check_filled("Bundle", "/", ASH_BUS_MAX_PATH_BYTES + 1, NULL));
	g_assert_true(check_filled("OrderDone", "{", ASH_BUS_MAX_ANSWER_BYTES, NULL));
	g_assert_false(check_filled("OrderDone", "{", ASH_BUS_MAX_ANSWER_BYTES + 1, NULL));
}

static void test_may_call(void)
{
	static const char *const readers[] = {"GetStatus", "GetHealth", "GetHistory", "Why"};
	static const char *const changers[] = {
			"Check", "Update", "Rollback", "Bundle", "Pin", "Unpin", "Forgive"};
	static const char *const links[] = {"OrderDone", "OrderProgress"};
	enum {
		LINK = 990
	};

	for (size_t i = 0; i < G_N_ELEMENTS(readers); i++)
		g_assert_true(ash_bus_may_call(readers[i], STRANGER, LINK));
	for (size_t i = 0; i < G_N_ELEMENTS(changers); i++) {
		g_assert_true(ash_bus_may_call(changers[i], 0, LINK));
		g_assert_false(ash_bus_may_call(changers[i], LINK, LINK));
		g_assert_false(ash_bus_may_call(changers[i], STRANGER, LINK));
	}
	for (size_t i = 0; i < G_N_ELEMENTS(links); i++) {
		g_assert_true(ash_bus_may_call(links[i], 0, LINK));
		g_assert_true(ash_bus_may_call(links[i], LINK, LINK));
		g_assert_false(ash_bus_may_call(links[i], STRANGER, LINK));
	}
	g_assert_false(ash_bus_may_call("NoSuch", 0, LINK));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/bus-argument/text", test_argument);
	g_test_add_func("/bus-argument/maximum", test_argument_maximum);
	g_test_add_func("/bus-argument/may-call", test_may_call);
	return g_test_run();
}
