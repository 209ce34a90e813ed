/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/order.h"

#include <string.h>

#define COMMIT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define RELEASE                                                                                    \
	"{\"type\":\"ashlar-release\",\"format\":1,\"name\":\"host\",\"variant\":\"\","            \
	"\"architecture\":\"amd64\",\"version\":\"1.1\",\"commit\":\"" COMMIT "\","                \
	"\"replaces-min\":\"\",\"created\":\"2026-10-01T10:00:00Z\",\"size\":{\"bytes\":1,"        \
	"\"inodes\":1,\"boot-bytes\":0,\"archive-bytes\":1,\"largest-object-bytes\":1},"           \
	"\"deltas\":[{\"from\":\"" OTHER "\",\"path\":\"deltas/x/superblock\",\"sha256\":\"" OTHER \
	"\",\"bytes\":7,\"objects\":1,\"object-bytes\":1}],\"notes\":\"\"}"
#define CHECK(source)                                                                              \
	"{\"id\":3,\"verb\":\"check\"," source ",\"name\":\"host\",\"bad\":{\"x\":\"bad\"}}"
#define FETCH(rest)                                                                                \
	"{\"id\":4,\"verb\":\"fetch\",\"url\":\"https://h/p/\",\"release\":" RELEASE "," rest "}"

static void test_check(void)
{
	g_autoptr(AshOrder) order = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_order_parse(CHECK("\"url\":\"https://h/p//\",\"rate_limit\":5,"
					    "\"root_version\":2,\"wanted\":null"),
			&order, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(order->id, ==, 3);
	g_assert_cmpint((int) order->verb, ==, ASH_ORDER_CHECK);
	g_assert_cmpstr(order->url, ==, "https://h/p");
	g_assert_cmpuint(order->rate_limit, ==, 5);
	g_assert_cmpuint(order->root_version, ==, 2);
	g_assert_null(order->wanted);
	g_assert_cmpstr(ash_order_is_bad("x", order), ==, "bad");
	g_assert_null(ash_order_is_bad("y", order));
}

static void test_fetch(void)
{
	g_autoptr(AshOrder) delta = NULL;
	g_autoptr(AshOrder) objects = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_order_parse(
			FETCH("\"method\":\"delta\",\"delta\":{\"from\":\"" OTHER "\"}"), &delta,
			&error));
	g_assert_no_error(error);
	g_assert_nonnull(delta->delta);
	g_assert_cmpuint(delta->delta->bytes, ==, 7);
	g_assert_true(ash_order_parse(
			FETCH("\"method\":\"objects\",\"delta\":null"), &objects, &error));
	g_assert_null(objects->delta);
}

static void test_refused(void)
{
	static const char *const orders[] = {
			"",
			"[]",
			"{}",
			"{\"id\":1}",
			"{\"id\":-1,\"verb\":\"none\"}",
			"{\"id\":1,\"verb\":\"delete\"}",
			CHECK("\"url\":\"file:///etc\""),
			CHECK("\"url\":\"\""),
			CHECK("\"url\":7"),
			CHECK("\"url\":\"http://h\",\"rate_limit\":-1"),
			CHECK("\"url\":\"http://h\",\"wanted\":[]"),
			"{\"id\":4,\"verb\":\"fetch\",\"url\":\"https://h\"}",
			FETCH("\"method\":\"guess\""),
			FETCH("\"method\":\"delta\",\"delta\":{\"from\":\"" COMMIT "\"}"),
			FETCH("\"method\":\"delta\",\"delta\":null"),
	};

	for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
		g_autoptr(AshOrder) order = NULL;
		g_autoptr(GError) error = NULL;
		g_assert_false(ash_order_parse(orders[i], &order, &error));
		g_assert_nonnull(error);
		g_assert_null(order);
	}
}

static void test_lines(void)
{
	g_autofree char *progress = ash_order_format_progress(3, 9);
	g_autofree char *ok = ash_order_format_ok(7, 1);
	g_autofree char *failure = ash_order_format_failure("untrusted", "expired", "x\xff", true);
	g_autofree char *result = NULL;
	g_autofree char *none = NULL;
	g_autoptr(GError) error = NULL;
	uint64_t done = 0;
	uint64_t total = 0;

	g_assert_true(ash_order_parse_line(progress, &done, &total, &none, &error));
	g_assert_cmpuint(done, ==, 3);
	g_assert_cmpuint(total, ==, 9);
	g_assert_null(none);
	g_assert_true(ash_order_parse_line(failure, &done, &total, &result, &error));
	g_assert_nonnull(strstr(result, "\"why\":\"expired\""));
	g_assert_true(g_utf8_validate(result, -1, NULL));
	g_clear_pointer(&result, g_free);
	g_assert_true(ash_order_parse_line(ok, &done, &total, &result, &error));
	g_assert_cmpstr(result, ==, "{\"ok\":true,\"bytes\":7,\"seconds\":1}");
	g_assert_false(ash_order_parse_line("hello", &done, &total, &none, &error));
	g_assert_nonnull(error);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/order/check", test_check);
	g_test_add_func("/order/fetch", test_fetch);
	g_test_add_func("/order/refused", test_refused);
	g_test_add_func("/order/lines", test_lines);
	return g_test_run();
}
