/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/checkin.h"
#include "lib/checkin.h"
#include "lib/json.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)
#define WHO "\"instance\":\"i\",\"boot\":\"b\""
#define COMMIT "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static const char id_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static AshCheckin *parse(const char *json)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) body = g_bytes_new(json, strlen(json));
	AshCheckin *checkin = NULL;

	MUST(ash_checkin_parse(body, &checkin, &error));
	return checkin;
}

static void test_parse(void)
{
	g_autoptr(AshCheckin) checkin = parse(
			"{\"seq\":7," WHO
			",\"wait\":99999,\"have\":3,\"unknown\":1,\"state\":{\"state\":\"idle\","
			"\"verdict\":\"good\",\"booted\":{\"commit\":\"" COMMIT
			"\",\"version\":\"1.0.0\"},"
			"\"failed\":[{\"commit\":\"" COMMIT
			"\",\"version\":\"1.2.0\",\"kind\":\"bad\"},"
			"{\"version\":\"1.3.0\",\"kind\":\"held\"}]},\"facts\":{\"cpus\":4},"
			"\"events\":[{\"id\":1,\"event\":\"good\",\"version\":\"1.0.0\",\"text\":\"t\"}],"
			"\"orders\":[{\"id\":5,\"ok\":true}]}");

	g_assert_cmpint(checkin->seq, ==, 7);
	g_assert_cmpint(checkin->wait_s, ==, ASH_CHECKIN_MAX_WAIT_S);
	g_assert_cmpint(checkin->have, ==, 3);
	g_assert_cmpstr(checkin->report.version, ==, "1.0.0");
	g_assert_cmpstr(checkin->report.failed_commit, ==, COMMIT);
	g_assert_true(checkin->report.is_returned);
	g_assert_cmpstr(checkin->facts, ==, "{\"cpus\":\"4\"}");
	g_assert_null(checkin->health);
	g_assert_cmpstr(checkin->events[0].text, ==, "good 1.0.0: t");
	g_assert_true(checkin->orders[0].is_ok);
	g_assert_cmpstr(checkin->orders[0].text, ==, "");
}

static void test_refused(void)
{
	static const struct {
		const char *json, *says;
	} cases[] = {
			{"", "value"},
			{"[]", "body"},
			{"{\"seq\":1}", "instance"},
			{"{" WHO "}", "seq"},
			{"{\"seq\":0," WHO "}", "seq"},
			{"{\"seq\":-1," WHO "}", "seq"},
			{"{\"seq\":\"1\"," WHO "}", "seq"},
			{"{\"seq\":1,\"instance\":\"i\"}", "boot"},
			{"{\"seq\":1," WHO ",\"state\":1}", "state"},
			{"{\"seq\":1," WHO ",\"state\":{\"state\":\"a\\u0007b\"}}", "state.state"},
			{"{\"seq\":1," WHO ",\"state\":{\"booted\":{\"commit\":\"x\"}}}",
					"state.booted.commit"},
			{"{\"seq\":1," WHO ",\"state\":{\"booted\":{\"version\":\"a b\"}}}",
					"state.booted.version"},
			{"{\"seq\":1," WHO ",\"state\":{\"failed\":[1]}}", "state.failed"},
			{"{\"seq\":1," WHO ",\"facts\":{\"a\":[]}}", "facts"},
			{"{\"seq\":1," WHO ",\"facts\":{\"a b\":1}}", "facts"},
			{"{\"seq\":1," WHO ",\"events\":{}}", "events"},
			{"{\"seq\":1," WHO ",\"events\":[{\"id\":2},{\"id\":2}]}", "events.id"},
			{"{\"seq\":1," WHO ",\"orders\":[{}]}", "id"},
			{"{\"seq\":1," WHO ",\"journal\":{}}", "text"},
			{"{\"seq\":1,\"seq\":2," WHO "}", "twice"},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GBytes) body = g_bytes_new_static(cases[i].json, strlen(cases[i].json));
		AshCheckin *checkin = NULL;
		g_assert_false(ash_checkin_parse(body, &checkin, &error));
		g_assert_null(checkin);
		if (strstr(error->message, cases[i].says) == NULL)
			g_error("case %zu: '%s' does not say '%s'", i, error->message,
					cases[i].says);
	}
}

/* Each just above its maximum. */
static void refuse_long(const char *before, char fill, size_t count, const char *behind)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *middle = g_strnfill(count, fill);
	g_autofree char *json =
			g_strconcat("{\"seq\":1," WHO ",", before, middle, behind, "}", NULL);
	g_autoptr(GBytes) body = g_bytes_new(json, strlen(json));
	AshCheckin *checkin = NULL;

	g_assert_false(ash_checkin_parse(body, &checkin, &error));
	g_assert_nonnull(error);
}

static void test_limits(void)
{
	refuse_long("\"journal\":{\"text\":\"", 'x', ASH_CHECKIN_MAX_JOURNAL + 1, "\"}");
	refuse_long("\"health\":{\"x\":\"", 'x', ASH_CHECKIN_MAX_REPORT, "\"}");
	refuse_long("\"events\":[{\"id\":1,\"text\":\"", 'x', ASH_CHECKIN_MAX_TEXT + 1, "\"}]");
	refuse_long("\"events\":[{\"id\":1,\"more\":\"", 'x', ASH_CHECKIN_MAX_EVENT_BYTES, "\"}]");
	refuse_long("\"x\":\"", 'x', ASH_CHECKIN_MAX_BYTES, "\"");
	refuse_long("\"x\":", '[', ASH_CHECKIN_MAX_DEPTH, "");
	g_autoptr(GString) events = g_string_new("\"events\":[");
	for (unsigned i = 1; i <= ASH_CHECKIN_MAX_EVENTS + 1; i++)
		g_string_append_printf(events, "%s{\"id\":%u}", i > 1 ? "," : "", i);
	refuse_long(events->str, ' ', 1, "]");
	g_string_assign(events, "\"facts\":{");
	for (unsigned i = 0; i <= ASH_CHECKIN_MAX_FACTS; i++)
		g_string_append_printf(events, "%s\"f%u\":1", i > 0 ? "," : "", i);
	refuse_long(events->str, ' ', 1, "}");
}

static void test_judge(void)
{
	g_auto(AshHost) host = {0};

	ash_host_init(&host);
	host.seq = 10;
	host.instance = ash_host_hash("i");
	ash_host_set_boot(&host, "old");
	ash_host_set_boot(&host, "now");
	g_assert_cmpint(ash_checkin_judge(&host, 11, "i", "now"), ==, ASH_CHECKIN_NEW);
	g_assert_cmpint(ash_checkin_judge(&host, 10, "i", "now"), ==, ASH_CHECKIN_AGAIN);
	g_assert_cmpint(ash_checkin_judge(&host, 9, "i", "now"), ==, ASH_CHECKIN_BEHIND);
	/* It lost power before it knew that 10 had come through. */
	g_assert_cmpint(ash_checkin_judge(&host, 10, "i", "new"), ==, ASH_CHECKIN_BEHIND);
	g_assert_cmpint(ash_checkin_judge(&host, 11, "i", "new"), ==, ASH_CHECKIN_NEW);
	/* A late double of a request from before its reboot holds nobody… */
	g_assert_cmpint(ash_checkin_judge(&host, 5, "i", "old"), ==, ASH_CHECKIN_BEHIND);
	/* …a boot that goes on beside another one does. */
	g_assert_cmpint(ash_checkin_judge(&host, 11, "i", "old"), ==, ASH_CHECKIN_CLONE);
	g_assert_cmpint(ash_checkin_judge(&host, 11, "other", "now"), ==, ASH_CHECKIN_CLONE);
	host.behind = ASH_CHECKIN_MAX_BEHIND - 1;
	g_assert_cmpint(ash_checkin_judge(&host, 9, "i", "now"), ==, ASH_CHECKIN_CLONE);
	/* A server that knows no instance learns it. */
	host.instance = 0;
	g_assert_cmpint(ash_checkin_judge(&host, 11, "any", "now"), ==, ASH_CHECKIN_NEW);
}

static void test_next(void)
{
	unsigned at[10] = {0};

	for (unsigned i = 0; i < 10000; i++) {
		uint8_t id[ASH_HOST_ID_BYTES] = {0};
		uint32_t hash = g_str_hash(id_a) + i * 2654435761u;
		memcpy(id + 8, &hash, sizeof hash);
		unsigned next = ash_checkin_next_s(id, 300, 1000);
		g_assert_cmpuint(next, >=, 75);
		g_assert_cmpuint(next, <=, 375);
		/* However often it asks, it has one place. */
		unsigned again = ash_checkin_next_s(id, 300, 1000 + next);
		g_assert_cmpuint(again % 300, ==, 0);
		at[(1000 + next) % 300 / 30]++;
	}
	for (unsigned i = 0; i < 10; i++)
		g_assert_cmpuint(at[i], >, 800);
}

/* ---- the transaction ---- */

static void add_host(AshDb *db)
{
	store_run(db, "INSERT INTO host (id, name, state, instance, enrolled_at, desired, release, "
		      "rollout, verb) VALUES ('"
		      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		      "', 'a', 'active', 'i', 1, 4, 1, 'r', 'update')");
	store_run(db, "INSERT INTO release (id, name, variant, arch, version, \"commit\", document, "
		      "added_at) VALUES (1, 'host', '', 'amd64', '1.0.0', 'c', '{}', 1)");
	store_run(db, "INSERT INTO rollout (id, release, spec, state, created_at, created_by) VALUES "
		      "('r', 1, '{}', 'running', 1, 'ada')");
	store_run(db, "INSERT INTO rollout_host (rollout, host, ring, outcome, since) VALUES ('r', '"
		      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		      "', 1, 'assigned', 1)");
}

static void begin_work(AshLive *live, const char *json, AshCheckinWork *work)
{
	uint8_t id[ASH_HOST_ID_BYTES];

	memset(work, 0, sizeof *work);
	g_assert_true(ash_host_id_parse(id_a, id));
	g_assert_true(ash_live_get(live, id, &work->before));
	work->id = id_a;
	work->address = "192.0.2.1";
	work->checkin = parse(json);
	work->have = work->checkin->have;
	work->now_s = 1800000000;
	work->verdict = ASH_CHECKIN_NEW;
	ash_host_copy(&work->before, &work->after);
	ash_checkin_take_in(&work->after, work->checkin, work->now_s);
	work->is_news = ash_checkin_is_news(&work->before, &work->after);
}

static void apply(AshDb *db, AshCheckinWork *work)
{
	g_autoptr(GError) error = NULL;

	MUST(ash_db_begin(db, true, &error));
	MUST(ash_checkin_apply(db, work, &error));
	MUST(ash_db_commit(db, &error));
}

static void end_work(AshCheckinWork *work)
{
	ash_checkin_work_reset(work);
	ash_checkin_free(work->checkin);
	ash_host_clear(&work->before);
	ash_host_clear(&work->after);
}

static void test_apply(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshLive) live = NULL;
	AshCheckinWork work;

	add_host(db);
	MUST(ash_live_load(store->pool, &live, &error));
	begin_work(live,
			"{\"seq\":1," WHO ",\"state\":{\"state\":\"idle\",\"verdict\":\"good\"},"
			"\"events\":[{\"id\":1,\"event\":\"x\"},{\"id\":2,\"event\":\"y\"}]}",
			&work);
	/* Twice, as the writer does when another item of its group fails. */
	MUST(ash_db_begin(db, true, &error));
	MUST(ash_checkin_apply(db, &work, &error));
	ash_db_rollback(db);
	apply(db, &work);
	g_assert_cmpint(work.found, ==, ASH_CHECKIN_NEW);
	g_assert_cmpint(work.seq, ==, 1);
	g_assert_cmpint(work.event, ==, 2);
	g_assert_cmpint(store_int(db, "SELECT seq FROM host"), ==, 1);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM event WHERE kind = 'host.event'"), ==,
			2);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM event WHERE kind = 'host.report'"), ==,
			1);
	/* It was assigned, and is offered the release in the same transaction. */
	g_assert_true(work.has_wish);
	g_assert_nonnull(strstr(work.release, "\"version\":\"1.0.0\""));
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM rollout_host WHERE outcome = 'offered'"),
			==, 1);
	/* Another request of it was as fast: what the table knows rules. */
	apply(db, &work);
	g_assert_cmpint(work.found, ==, ASH_CHECKIN_AGAIN);
	g_assert_nonnull(work.release);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM event WHERE kind = 'rollout.host'"), ==,
			1);
	store_run(db, "UPDATE host SET seq = 5");
	apply(db, &work);
	g_assert_cmpint(work.found, ==, ASH_CHECKIN_BEHIND);
	g_assert_cmpint(work.seq, ==, 5);
	store_run(db, "UPDATE host SET state = 'held', is_clone = 1");
	apply(db, &work);
	g_assert_cmpint(work.state, ==, ASH_HOST_HELD);
	store_run(db, "DELETE FROM host");
	apply(db, &work);
	g_assert_false(work.is_known);
	end_work(&work);
}

/* It is halted, and has not come to taking back what it gave: nobody new is offered it. */
static void test_halted(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshLive) live = NULL;
	AshCheckinWork work;

	add_host(db);
	store_run(db, "UPDATE rollout SET state = 'halted'");
	MUST(ash_live_load(store->pool, &live, &error));
	begin_work(live, "{\"seq\":1," WHO "}", &work);
	apply(db, &work);
	g_assert_true(work.has_wish);
	g_assert_null(work.release);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM rollout_host WHERE outcome = 'assigned'"),
			==, 1);
	end_work(&work);
}

static void test_withdrawn(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshLive) live = NULL;
	AshCheckinWork work;

	add_host(db);
	MUST(ash_live_load(store->pool, &live, &error));
	/* The scheduler was faster; memory does not know yet. */
	store_run(db, "UPDATE rollout_host SET outcome = 'withdrawn'");
	begin_work(live, "{\"seq\":1," WHO "}", &work);
	apply(db, &work);
	g_assert_true(work.has_wish);
	g_assert_null(work.release);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM event WHERE kind = 'rollout.host'"), ==,
			0);
	end_work(&work);
}

/* It is heard, and told why; nothing is offered to it, and what it was offered counts for nothing. */
static void test_held(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshLive) live = NULL;
	AshCheckinWork work;

	add_host(db);
	store_run(db, "UPDATE host SET state = 'held', reason = 'being looked\nat \"now\"'");
	MUST(ash_live_load(store->pool, &live, &error));
	begin_work(live, "{\"seq\":1," WHO ",\"state\":{\"state\":\"idle\"}}", &work);
	g_assert_true(ash_host_may_report(&work.before));
	apply(db, &work);
	g_assert_cmpint(work.found, ==, ASH_CHECKIN_NEW);
	g_assert_cmpint(work.state, ==, ASH_HOST_ACTIVE);
	g_assert_true(work.has_wish);
	g_assert_null(work.release);
	g_assert_cmpstr(work.hold, ==, "\"being looked at \\\"now\\\"\"");
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM host WHERE state = 'held' AND seq = 1 "
				      "AND agent_state = 'idle'"),
			==, 1);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM rollout_host WHERE outcome = 'offered'"),
			==, 0);
	end_work(&work);
	/* A copy of it is found out all the same. */
	begin_work(live, "{\"seq\":2," WHO "}", &work);
	work.verdict = ASH_CHECKIN_CLONE;
	apply(db, &work);
	g_assert_cmpint(work.state, ==, ASH_HOST_HELD);
	g_assert_cmpint(store_int(db, "SELECT is_clone FROM host"), ==, 1);
	end_work(&work);
	uint8_t id[ASH_HOST_ID_BYTES];
	g_auto(AshHost) host = {0};
	g_assert_true(ash_host_id_parse(id_a, id));
	MUST(ash_live_reload(live, db, id_a, &error));
	g_assert_true(ash_live_get(live, id, &host));
	g_assert_false(ash_host_may_report(&host));
}

static void test_clone(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshLive) live = NULL;
	AshCheckinWork work;

	add_host(db);
	MUST(ash_live_load(store->pool, &live, &error));
	begin_work(live, "{\"seq\":1," WHO "}", &work);
	work.verdict = ASH_CHECKIN_CLONE;
	apply(db, &work);
	g_assert_cmpint(work.state, ==, ASH_HOST_HELD);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM host WHERE state = 'held' AND seq = 0"),
			==, 1);
	apply(db, &work);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM event WHERE kind = 'host.clone'"), ==,
			1);
	end_work(&work);
}

static void test_journals(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(AshLive) live = NULL;

	add_host(db);
	MUST(ash_live_load(store->pool, &live, &error));
	for (unsigned i = 1; i <= 7; i++) {
		AshCheckinWork work;
		g_autofree char *json = g_strdup_printf(
				"{\"seq\":%u," WHO ",\"journal\":{\"text\":\"end %u\"}}", i, i);
		begin_work(live, json, &work);
		apply(db, &work);
		end_work(&work);
	}
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM host_journal"), ==, 5);
	g_assert_cmpint(store_int(db, "SELECT COUNT(*) FROM host_journal WHERE text = 'end 7'"), ==,
			1);
}

static const StoreCase cases[] = {
		{"apply", test_apply},
		{"withdrawn", test_withdrawn},
		{"halted", test_halted},
		{"held", test_held},
		{"clone", test_clone},
		{"journals", test_journals},
		{NULL},
};

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/checkin/parse", test_parse);
	g_test_add_func("/checkin/refused", test_refused);
	g_test_add_func("/checkin/limits", test_limits);
	g_test_add_func("/checkin/judge", test_judge);
	g_test_add_func("/checkin/next", test_next);
	store_add("checkin", cases);
	return g_test_run();
}
