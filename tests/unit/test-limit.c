/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/limit.h"

static void test_bucket(void)
{
	g_autoptr(AshLimit) limit = ash_limit_new(10, 5);
	int64_t now_us = 1000 * G_USEC_PER_SEC;
	unsigned retry_s = 0;

	for (int i = 0; i < 5; i++)
		g_assert_true(ash_limit_take(limit, "a", now_us, &retry_s));
	g_assert_false(ash_limit_take(limit, "a", now_us, &retry_s));
	g_assert_cmpuint(retry_s, ==, 1);
	/* Another key has its own. */
	g_assert_true(ash_limit_take(limit, "b", now_us, &retry_s));
	/* A tenth of a second gives one. */
	now_us += G_USEC_PER_SEC / 10;
	g_assert_true(ash_limit_take(limit, "a", now_us, &retry_s));
	g_assert_false(ash_limit_take(limit, "a", now_us, &retry_s));
	/* A long rest gives no more than the burst; a clock that goes back gives nothing. */
	now_us += 3600LL * G_USEC_PER_SEC;
	for (int i = 0; i < 5; i++)
		g_assert_true(ash_limit_take(limit, "a", now_us, &retry_s));
	g_assert_false(ash_limit_take(limit, "a", now_us, &retry_s));
	g_assert_false(ash_limit_take(limit, "a", now_us - G_USEC_PER_SEC, &retry_s));
	g_assert_false(ash_limit_take(limit, "a", now_us, &retry_s));
}

static void test_none(void)
{
	g_autoptr(AshLimit) limit = ash_limit_new(0, 0);
	unsigned retry_s = 0;

	for (int i = 0; i < 1000; i++)
		g_assert_true(ash_limit_take(limit, "a", 0, &retry_s));
}

static void test_slow_rate(void)
{
	g_autoptr(AshLimit) limit = ash_limit_new(1, 1);
	unsigned retry_s = 0;

	g_assert_true(ash_limit_take(limit, "a", 0, &retry_s));
	g_assert_false(ash_limit_take(limit, "a", 0, &retry_s));
	g_assert_cmpuint(retry_s, >=, 1);
	g_assert_true(ash_limit_take(limit, "a", G_USEC_PER_SEC, &retry_s));
}

/* Keys that come once each take no memory, and a busy one keeps its bucket among them. */
static void test_many_keys(void)
{
	g_autoptr(AshLimit) limit = ash_limit_new(10, 2);
	unsigned retry_s = 0;
	int refused = 0;

	for (int i = 0; i < 200000; i++) {
		char key[32];
		g_snprintf(key, sizeof key, "key-%d", i);
		ash_limit_take(limit, key, i, &retry_s);
		if (!ash_limit_take(limit, "busy", i, &retry_s))
			refused++;
	}
	/* 0.2 s at 10 a second, and 2 at once. */
	g_assert_cmpint(refused, >=, 200000 - 4);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/limit/bucket", test_bucket);
	g_test_add_func("/limit/none", test_none);
	g_test_add_func("/limit/slow-rate", test_slow_rate);
	g_test_add_func("/limit/many-keys", test_many_keys);
	return g_test_run();
}
