/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <string.h>

#include "fleet/live-text.h"
#include "fleet/live.h"
#include "lib/crypto.h"
#include "lib/json.h"

/* ---- texts and pairs ---- */

static void test_texts(void)
{
	uint64_t before = ash_live_text_count();
	const char *a = ash_live_text_take("a boot that nobody else has");
	g_autofree char *same = g_strdup("a boot that nobody else has");
	const char *b = ash_live_text_take(same);

	g_assert_true(a == b);
	g_assert_cmpuint(ash_live_text_count(), ==, before + 1);
	ash_live_text_unref(a);
	g_assert_cmpstr(b, ==, same);
	ash_live_text_unref(b);
	g_assert_cmpuint(ash_live_text_count(), ==, before);

	const char *kept = ash_live_intern("for ever");
	ash_live_text_unref(ash_live_text_take("for ever"));
	g_assert_true(kept == ash_live_intern("for ever"));
	g_assert_true(ash_live_text_take(NULL) == ash_live_text_empty());
}

static void test_many_texts(void)
{
	uint64_t before = ash_live_text_count();
	enum {
		COUNT = 20000
	};
	g_autofree const char **texts = g_new(const char *, COUNT);

	for (unsigned i = 0; i < COUNT; i++) {
		char text[16];
		g_snprintf(text, sizeof text, "text %u", i);
		texts[i] = ash_live_text_take(text);
	}
	/* Every other one goes; what collided with it must still be found. */
	for (unsigned i = 0; i < COUNT; i += 2)
		ash_live_text_unref(texts[i]);
	for (unsigned i = 1; i < COUNT; i += 2) {
		char text[16];
		g_snprintf(text, sizeof text, "text %u", i);
		const char *again = ash_live_text_take(text);
		g_assert_true(again == texts[i]);
		ash_live_text_unref(again);
		ash_live_text_unref(again);
	}
	g_assert_cmpuint(ash_live_text_count(), ==, before);
}

static gpointer churn(gpointer data)
{
	for (unsigned i = 0; i < 100000; i++) {
		char text[16];
		g_snprintf(text, sizeof text, "churn %u", i % 7);
		const char *taken = ash_live_text_take(text);
		g_assert_cmpstr(taken, ==, text);
		ash_live_text_unref(taken);
	}
	return NULL;
}

static void test_texts_by_threads(void)
{
	uint64_t before = ash_live_text_count();
	GThread *threads[4];

	for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("churn", churn, NULL);
	for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
	g_assert_cmpuint(ash_live_text_count(), ==, before);
}

static void test_pairs(void)
{
	static const struct {
		const char *json, *wanted; /* NULL: refused */
	} cases[] = {
			{"{}", "{}"},
			{"{\"a\":\"1\",\"b\":\"\"}", "{\"a\":\"1\",\"b\":\"\"}"},
			{"{\"b\":2,\"a\":-17}", "{\"a\":\"-17\",\"b\":\"2\"}"},
			{"{\"a\":true, \"b\":1.5}", "{\"a\":\"true\",\"b\":\"1.5\"}"},
			{"{\"a\":\"say \\\"x\\\" \\\\\"}", "{\"a\":\"say \\\"x\\\" \\\\\"}"},
			{"{\"a\":\"Z\xc3\xbcrich\"}", "{\"a\":\"Z\xc3\xbcrich\"}"},
			{"{\"disk.root_free\":99,\"x-y/z\":\"k\"}",
					"{\"disk.root_free\":\"99\",\"x-y/z\":\"k\"}"},
			{"{\"a\":\"1\",\"a\":\"2\"}", NULL},
			{"{\"a\":null}", NULL},
			{"{\"a\":[]}", NULL},
			{"{\"a\":\"line\\nline\"}", NULL},
			{"{\"a\":\"line\nline\"}", NULL},
			{"{\"\":\"1\"}", NULL},
			{"{\"a b\":\"1\"}", NULL},
			{"{\"a\":\"1\"}x", NULL},
			{"{\"a\":1-1}", NULL},
			{"{\"a\":99999999999999999999}", NULL},
			{"[]", NULL},
			{"", NULL},
			{"{\"a\":\"\xff\"}", NULL},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		AshPair *pairs = NULL;
		uint32_t count = 0;
		g_autoptr(GError) error = NULL;
		bool is_fine = ash_pairs_parse(cases[i].json, 4, &pairs, &count, &error);
		g_autofree char *text = is_fine ? ash_pairs_format(pairs, count) : NULL;
		if (g_strcmp0(text, cases[i].wanted) != 0)
			g_error("case %u, %s: %s", i, cases[i].json,
					is_fine ? text : error->message);
		ash_pairs_unref(pairs, count);
	}
}

static void test_pairs_limits(void)
{
	AshPair *pairs = NULL;
	uint32_t count = 0;
	g_autoptr(GError) error = NULL;

	g_assert_false(ash_pairs_parse("{\"a\":1,\"b\":2,\"c\":3}", 2, &pairs, &count, &error));
	g_assert_error(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_LIMIT);
	g_clear_error(&error);
	g_autofree char *long_value = g_strnfill(ASH_LIVE_MAX_FACT_BYTES + 1, 'x');
	g_autofree char *json = g_strdup_printf("{\"a\":\"%s\"}", long_value);
	g_assert_false(ash_pairs_parse(json, 2, &pairs, &count, &error));
	g_assert_error(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_LIMIT);
	g_clear_error(&error);
	g_assert_false(ash_pairs_parse("{\"a b\":1}", 2, &pairs, &count, &error));
	g_assert_error(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_KEY);
	g_clear_error(&error);
	g_assert_false(ash_pairs_parse("{\"a\":{\"b\":{}}}", 2, &pairs, &count, &error));
	g_assert_error(error, ASH_JSON_ERROR, ASH_JSON_ERROR_LIMIT);
	g_clear_error(&error);
	g_assert_false(ash_pairs_parse("{\"a\":null}", 2, &pairs, &count, &error));
	g_assert_error(error, ASH_PAIRS_ERROR, ASH_PAIRS_ERROR_TYPE);
	g_assert_null(pairs);
}

static void test_pairs_get(void)
{
	AshPair *pairs = NULL;
	uint32_t count = 0;

	g_assert_true(ash_pairs_parse(
			"{\"site\":\"bern\",\"gpu\":\"\",\"memory\":8}", 9, &pairs, &count, NULL));
	g_assert_cmpstr(ash_pairs_get(pairs, count, "site"), ==, "bern");
	g_assert_cmpstr(ash_pairs_get(pairs, count, "gpu"), ==, "");
	g_assert_cmpstr(ash_pairs_get(pairs, count, "memory"), ==, "8");
	g_assert_null(ash_pairs_get(pairs, count, "mem"));
	g_assert_null(ash_pairs_get(NULL, 0, "mem"));
	ash_pairs_unref(pairs, count);
}

/* ---- hosts ---- */

static void make_id(unsigned number, uint8_t id[ASH_HOST_ID_BYTES])
{
	ash_sha256(&number, sizeof number, id);
}

static void set_active(AshHost *host, gpointer data)
{
	host->state = ASH_HOST_ACTIVE;
	ash_host_set_text(&host->name, data);
}

static void add(AshLive *live, unsigned number, const char *name)
{
	uint8_t id[ASH_HOST_ID_BYTES];

	make_id(number, id);
	g_assert_true(ash_live_change(live, id, true, set_active, (gpointer) (uintptr_t) name));
}

static void test_ids(void)
{
	uint8_t id[ASH_HOST_ID_BYTES];
	uint8_t again[ASH_HOST_ID_BYTES];
	char hex[65];

	make_id(1, id);
	ash_host_id_format(id, hex);
	g_assert_true(ash_host_id_parse(hex, again));
	g_assert_true(memcmp(id, again, sizeof id) == 0);
	hex[3] = 'A';
	g_assert_false(ash_host_id_parse(hex, again));
	hex[3] = '\0';
	g_assert_false(ash_host_id_parse(hex, again));
	g_assert_false(ash_host_id_parse("", again));
}

static bool count_each(const AshHost *host, gpointer data)
{
	unsigned *left = data;

	return --*left > 0;
}

static void test_add_get_remove(void)
{
	enum {
		COUNT = 3000
	};
	g_autoptr(AshLive) live = ash_live_new();
	uint8_t id[ASH_HOST_ID_BYTES];

	for (unsigned i = 0; i < COUNT; i++)
		add(live, i, i % 2 == 0 ? "even" : "odd");
	g_assert_cmpuint(ash_live_count(live), ==, COUNT);
	for (unsigned i = 0; i < COUNT; i += 2) {
		make_id(i, id);
		ash_live_remove(live, id);
		ash_live_remove(live, id);
	}
	g_assert_cmpuint(ash_live_count(live), ==, COUNT / 2);
	for (unsigned i = 0; i < COUNT; i++) {
		g_auto(AshHost) host = {0};
		make_id(i, id);
		g_assert_cmpint(ash_live_get(live, id, &host), ==, i % 2 == 1);
		if (i % 2 == 1)
			g_assert_cmpstr(host.name, ==, "odd");
	}
	/* Places that became free are used again. */
	for (unsigned i = 0; i < COUNT; i += 2)
		add(live, i, "new");
	unsigned left = COUNT + 1;
	ash_live_each(live, count_each, &left);
	g_assert_cmpuint(left, ==, 1);
	left = 5;
	ash_live_each(live, count_each, &left);
	g_assert_cmpuint(left, ==, 0);
	make_id(COUNT, id);
	g_assert_false(ash_live_change(live, id, false, set_active, NULL));
}

static void set_facts(AshHost *host, gpointer data)
{
	AshPair *pairs = NULL;
	uint32_t count = 0;

	g_assert_true(ash_pairs_parse(data, 9, &pairs, &count, NULL));
	ash_host_take_facts(host, pairs, count);
	ash_host_set_text(&host->name, "other");
}

static void test_copy_stays(void)
{
	g_autoptr(AshLive) live = ash_live_new();
	uint8_t id[ASH_HOST_ID_BYTES];
	g_auto(AshHost) copy = {0};
	char before[] = "{\"a\":\"before\"}";
	char after[] = "{\"a\":\"after\"}";

	add(live, 1, "one of a kind");
	make_id(1, id);
	ash_live_change(live, id, false, set_facts, before);
	ash_live_change(live, id, false, set_active, (gpointer) (uintptr_t) "one of a kind");
	g_assert_true(ash_live_get(live, id, &copy));
	ash_live_change(live, id, false, set_facts, after);
	ash_live_remove(live, id);
	g_assert_cmpstr(copy.name, ==, "one of a kind");
	g_assert_cmpstr(ash_pairs_get(copy.facts, copy.fact_count, "a"), ==, "before");
}

static void test_boots(void)
{
	g_autoptr(AshLive) live = ash_live_new();
	uint8_t id[ASH_HOST_ID_BYTES];
	g_auto(AshHost) host = {0};

	add(live, 1, "x");
	make_id(1, id);
	g_assert_true(ash_live_get(live, id, &host));
	ash_host_set_boot(&host, "first");
	ash_host_set_boot(&host, "first");
	g_assert_cmpuint(host.boots[0], ==, 0);
	ash_host_set_boot(&host, "second");
	ash_host_set_boot(&host, "third");
	g_assert_cmpuint(host.boots[0], ==, ash_host_hash("second"));
	g_assert_cmpuint(host.boots[1], ==, ash_host_hash("first"));
	g_assert_cmpstr(host.boot, ==, "third");
}

static void test_health(void)
{
	static const struct {
		uint8_t said;
		const char *state, *verdict;
		AshHealth wanted;
	} cases[] = {
			{0, "idle", "good", ASH_HEALTH_UNKNOWN},
			{ASH_HOST_SAID_STATE, "idle", "good", ASH_HEALTH_GOOD},
			{ASH_HOST_SAID_STATE, "idle", "degraded", ASH_HEALTH_DEGRADED},
			{ASH_HOST_SAID_STATE, "idle", "bad", ASH_HEALTH_BAD},
			{ASH_HOST_SAID_STATE, "trial", "pending", ASH_HEALTH_UPDATING},
			{ASH_HOST_SAID_STATE, "trial", "bad", ASH_HEALTH_BAD},
			{ASH_HOST_SAID_STATE | ASH_HOST_SAID_STUCK, "idle", "good",
					ASH_HEALTH_DEGRADED},
			{ASH_HOST_SAID_STATE | ASH_HOST_SAID_RETURNED, "idle", "good",
					ASH_HEALTH_BAD},
			{ASH_HOST_SAID_STATE | ASH_HOST_SAID_RETURNED, "fetching", "good",
					ASH_HEALTH_UPDATING},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		AshHost host = {.said = cases[i].said,
				.agent_state = cases[i].state,
				.verdict = cases[i].verdict};
		g_assert_cmpint(ash_host_derive_health(&host), ==, cases[i].wanted);
	}
	AshHealth health = ASH_HEALTH_UNKNOWN;
	g_assert_true(ash_health_find(ash_health_text(ASH_HEALTH_SILENT), &health));
	g_assert_cmpint(health, ==, ASH_HEALTH_SILENT);
	g_assert_false(ash_health_find("", &health));
	AshHostState state = ASH_HOST_PENDING;
	g_assert_true(ash_host_state_find("retired", &state));
	g_assert_cmpint(state, ==, ASH_HOST_RETIRED);
	g_assert_false(ash_host_state_find("nothing", &state));
}

/* ---- waiting ---- */

static GMutex woken_lock;
static GCond woken_cond;

static void wake(gpointer data)
{
	g_mutex_lock(&woken_lock);
	++*(unsigned *) data;
	g_cond_signal(&woken_cond);
	g_mutex_unlock(&woken_lock);
}

static unsigned woken(unsigned *count)
{
	g_mutex_lock(&woken_lock);
	unsigned now = *count;
	g_mutex_unlock(&woken_lock);
	return now;
}

static void wait_until_woken(unsigned *count, unsigned wanted)
{
	g_mutex_lock(&woken_lock);
	while (*count < wanted)
		g_cond_wait(&woken_cond, &woken_lock);
	g_mutex_unlock(&woken_lock);
}

static void want_more(AshHost *host, gpointer data)
{
	host->desired++;
}

static void see(AshHost *host, gpointer data)
{
	host->last_seen_s++;
}

static void hold(AshHost *host, gpointer data)
{
	host->state = ASH_HOST_HELD;
	host->is_clone = true;
}

static int64_t never(void)
{
	return g_get_monotonic_time() + G_TIME_SPAN_HOUR;
}

static void test_wait(void)
{
	g_autoptr(AshLive) live = ash_live_new();
	uint8_t id[ASH_HOST_ID_BYTES];
	unsigned count = 0;

	make_id(1, id);
	g_assert_false(ash_live_wait(live, id, 0, never(), wake, &count));
	add(live, 1, "x");
	g_assert_false(ash_live_wait(live, id, 1, never(), wake, &count));
	g_assert_true(ash_live_wait(live, id, 0, never(), wake, &count));
	g_assert_cmpuint(ash_live_waiting(live), ==, 1);
	ash_live_change(live, id, false, see, NULL);
	g_assert_cmpuint(woken(&count), ==, 0);
	ash_live_change(live, id, false, want_more, NULL);
	g_assert_cmpuint(woken(&count), ==, 1);
	g_assert_cmpuint(ash_live_waiting(live), ==, 0);

	/* Another takes its place. */
	unsigned second = 0;
	g_assert_true(ash_live_wait(live, id, 1, never(), wake, &count));
	g_assert_true(ash_live_wait(live, id, 1, never(), wake, &second));
	g_assert_cmpuint(woken(&count), ==, 2);
	g_assert_cmpuint(woken(&second), ==, 0);
	ash_live_change(live, id, false, hold, NULL);
	g_assert_cmpuint(woken(&second), ==, 1);
	g_assert_false(ash_live_wait(live, id, 1, never(), wake, &second));
	ash_live_change(live, id, false, set_active, (gpointer) (uintptr_t) "x");
	g_assert_true(ash_live_wait(live, id, 1, never(), wake, &second));
	ash_live_remove(live, id);
	g_assert_cmpuint(woken(&second), ==, 2);

	add(live, 1, "x");
	g_assert_true(ash_live_wait(live, id, 0, never(), wake, &second));
	ash_live_wake_all(live);
	g_assert_cmpuint(woken(&second), ==, 3);
	g_assert_false(ash_live_wait(live, id, 0, never(), wake, &second));
}

static void test_wait_deadline(void)
{
	g_autoptr(AshLive) live = ash_live_new();
	uint8_t id[ASH_HOST_ID_BYTES];
	unsigned count = 0;
	unsigned late = 0;
	enum {
		COUNT = 500
	};

	for (unsigned i = 0; i < 2 * COUNT; i++)
		add(live, i, "x");
	for (unsigned i = 0; i < COUNT; i++) {
		make_id(COUNT + i, id);
		g_assert_true(ash_live_wait(live, id, 0, never(), wake, &late));
		make_id(i, id);
		g_assert_true(ash_live_wait(live, id, 0,
				g_get_monotonic_time() + g_random_int_range(0, 100000), wake,
				&count));
	}
	wait_until_woken(&count, COUNT);
	g_assert_cmpuint(woken(&late), ==, 0);
	g_assert_cmpuint(ash_live_waiting(live), ==, COUNT);
	/* Out of the middle of the heap, in another order than they came. */
	for (unsigned i = COUNT; i > 0; i--) {
		make_id(COUNT + (i * 7) % COUNT, id);
		ash_live_change(live, id, false, want_more, NULL);
	}
	g_assert_cmpuint(woken(&late), ==, COUNT);
}

/* ---- how much ---- */

static void set_usual(AshHost *host, gpointer data)
{
	unsigned number = *(unsigned *) data;
	AshPair *pairs = NULL;
	uint32_t count = 0;
	g_autofree char *name = g_strdup_printf("edge-%u", number);
	g_autofree char *boot = g_strdup_printf("b3f1c6a0-0000-4000-8000-%012u", number);
	g_autofree char *facts = g_strdup_printf(
			"{\"address\":\"10.%u.%u.2\",\"arch\":\"amd64\",\"booted_at\":%u,\"cpus\":4,"
			"\"disk.root\":32000000000,\"disk.root_free\":%u,\"hostname\":\"edge-%u\","
			"\"kernel\":\"6.12.43+deb13-amd64\",\"machine\":\"%032x\","
			"\"memory\":8589934592,\"product\":\"EPYC 3000\",\"vendor\":\"Supermicro\","
			"\"virt\":\"none\"}",
			number >> 8 & 255, number & 255, 1790000000 + number, number * 7, number,
			number);

	host->state = ASH_HOST_ACTIVE;
	ash_host_set_text(&host->name, name);
	ash_host_set_text(&host->agent_state, "idle");
	ash_host_set_text(&host->verdict, "good");
	ash_host_set_text(&host->version, "1.0.0");
	ash_host_set_text(&host->commit,
			"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	ash_host_set_boot(host, boot);
	g_assert_true(ash_pairs_parse(facts, 99, &pairs, &count, NULL));
	ash_host_take_facts(host, pairs, count);
	g_assert_true(ash_pairs_parse(
			"{\"channel\":\"stable\",\"site\":\"bern\"}", 9, &pairs, &count, NULL));
	ash_host_take_labels(host, pairs, count);
}

static void test_memory(void)
{
	g_autoptr(AshLive) live = ash_live_new();
	enum {
		COUNT = 20000
	};
	size_t before = mallinfo2().uordblks;
	int64_t begun_us = g_get_monotonic_time();

	for (unsigned i = 0; i < COUNT; i++) {
		uint8_t id[ASH_HOST_ID_BYTES];
		make_id(i, id);
		ash_live_change(live, id, true, set_usual, &i);
	}
	int64_t took_us = g_get_monotonic_time() - begun_us;
	size_t each = (mallinfo2().uordblks - before) / COUNT;
	g_test_message("a host with 13 facts and 2 labels: %zu bytes (AshHost %zu), %.1f us to set",
			each, sizeof(AshHost), (double) took_us / COUNT);
	/* Sanitizers count differently. */
	if (each > 0)
		g_assert_cmpuint(each, <, 1400);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/live/texts", test_texts);
	g_test_add_func("/live/texts/many", test_many_texts);
	g_test_add_func("/live/texts/threads", test_texts_by_threads);
	g_test_add_func("/live/pairs", test_pairs);
	g_test_add_func("/live/pairs/limits", test_pairs_limits);
	g_test_add_func("/live/pairs/get", test_pairs_get);
	g_test_add_func("/live/ids", test_ids);
	g_test_add_func("/live/add-get-remove", test_add_get_remove);
	g_test_add_func("/live/copy-stays", test_copy_stays);
	g_test_add_func("/live/boots", test_boots);
	g_test_add_func("/live/health", test_health);
	g_test_add_func("/live/wait", test_wait);
	g_test_add_func("/live/wait/deadline", test_wait_deadline);
	g_test_add_func("/live/memory", test_memory);
	return g_test_run();
}
