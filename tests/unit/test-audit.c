/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/audit.h"

#include "lib/crypto.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

static void append(AshDb *db, const AshAudit *audit)
{
	g_autoptr(GError) error = NULL;

	MUST(ash_db_begin(db, true, &error));
	MUST(ash_audit_append(db, audit, &error));
	MUST(ash_db_commit(db, &error));
}

static void append_many(AshDb *db, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		append(db, &(AshAudit){.at_s = i, .actor = "a", .action = "host.hold"});
}

static gboolean format(const AshAudit *audit, gpointer data, GError **error)
{
	g_string_append_printf(data,
			"%" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %s %s %s %s %s %s %s %s\n",
			audit->seq, audit->at_s, audit->actor, audit->role, audit->address,
			audit->action, audit->object, audit->reason, audit->before, audit->after);
	return TRUE;
}

static void test_append_and_read(Store *store)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autoptr(GString) text = g_string_new(NULL);
	AshAuditVerdict verdict;

	MUST(ash_audit_verify(db, &verdict, &error));
	g_assert_cmpint(verdict.count, ==, 0);
	append(db, &(AshAudit){.at_s = 5,
				   .actor = "anna",
				   .role = "operator",
				   .address = "::1",
				   .action = "rollout.pause",
				   .object = "r1",
				   .reason = "smoke \"here\"\n\xff",
				   .before = "{\"state\":\"running\"}",
				   .after = "{\"state\":\"paused\"}"});
	append(db, &(AshAudit){.at_s = 6, .actor = "b", .action = "c"});
	MUST(ash_audit_read(db, 0, 10, format, text, &error));
	g_assert_cmpstr(text->str, ==,
			"1 5 anna operator ::1 rollout.pause r1 smoke \"here\"\n\xef\xbf\xbd "
			"{\"state\":\"running\"} {\"state\":\"paused\"}\n"
			"2 6 b   c    \n");
	g_string_truncate(text, 0);
	MUST(ash_audit_read(db, 1, 10, format, text, &error));
	g_assert_cmpstr(text->str, ==, "2 6 b   c    \n");
	MUST(ash_audit_verify(db, &verdict, &error));
	g_assert_cmpint(verdict.count, ==, 2);
	g_assert_cmpint(verdict.first_bad, ==, 0);
}

/* The form that others compute, too. */
static void test_hash(Store *store)
{
	static const char json[] =
			"0000000000000000000000000000000000000000000000000000000000000000\n"
			"{\"action\":\"c\",\"actor\":\"b\",\"address\":\"\",\"after\":\"\",\"at\":6,"
			"\"before\":\"\",\"object\":\"\",\"reason\":\"\",\"role\":\"\",\"seq\":1}";
	g_autoptr(GError) error = NULL;
	g_autoptr(AshDb) db = store_take(store);
	g_autofree char *expected = ash_sha256_hex(json, sizeof json - 1);
	AshAuditVerdict verdict;

	append(db, &(AshAudit){.at_s = 6, .actor = "b", .action = "c"});
	MUST(ash_audit_verify(db, &verdict, &error));
	g_assert_cmpstr(verdict.head, ==, expected);
}

static void test_what_was_tampered_with_is_found(Store *store)
{
	static const struct {
		const char *sql;
		int64_t first_bad;
	} cases[] = {
			{"UPDATE audit SET actor = 'b' WHERE seq = 5", 5},
			{"UPDATE audit SET at = 99 WHERE seq = 1", 1},
			{"DELETE FROM audit WHERE seq = 7", 7},
			{"DELETE FROM audit WHERE seq = 1", 1},
			{"UPDATE audit SET hash = 'x' WHERE seq = 10", 10},
			{"INSERT INTO audit (seq, at, actor, action, hash) VALUES (0, 0, 'a', 'b', '')",
					1},
			{"INSERT INTO audit (seq, at, actor, action, hash) "
			 "SELECT 11, at, actor, action, hash FROM audit WHERE seq = 10",
					11},
			{"DELETE FROM audit WHERE seq > 8", 0},
	};
	g_autoptr(AshDb) db = store_take(store);

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;
		AshAuditVerdict verdict;

		store_run(db, "DELETE FROM audit");
		append_many(db, 10);
		store_run(db, cases[i].sql);
		MUST(ash_audit_verify(db, &verdict, &error));
		g_assert_cmpint(verdict.first_bad, ==, cases[i].first_bad);
		g_assert_cmpint(verdict.count, ==,
				cases[i].first_bad != 0 ? cases[i].first_bad - 1 : 8);
	}
}

static gpointer append_from_thread(gpointer data)
{
	g_autoptr(AshDb) db = store_take(data);

	append_many(db, 25);
	return NULL;
}

static void test_many_at_once_have_no_gaps(Store *store)
{
	g_autoptr(GError) error = NULL;
	GThread *threads[4];
	AshAuditVerdict verdict;

	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		threads[i] = g_thread_new("appender", append_from_thread, store);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		g_thread_join(threads[i]);
	g_autoptr(AshDb) db = store_take(store);
	MUST(ash_audit_verify(db, &verdict, &error));
	g_assert_cmpint(verdict.count, ==, 100);
	g_assert_cmpint(verdict.first_bad, ==, 0);
}

int main(int argc, char **argv)
{
	static const StoreCase cases[] = {
			{"append-and-read", test_append_and_read},
			{"hash", test_hash},
			{"what-was-tampered-with-is-found", test_what_was_tampered_with_is_found},
			{"many-at-once-have-no-gaps", test_many_at_once_have_no_gaps},
			{NULL, NULL},
	};

	g_test_init(&argc, &argv, NULL);
	store_add("audit", cases);
	return g_test_run();
}
