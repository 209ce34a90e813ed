/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fleet/ledger.h"
#include "fleet/scheduler.h"
#include "fleet/server.h"
#include "tests/lib/store-fixture.h"

#define MUST(call) store_must(call, &error)

enum {
	HOSTS = 20,
	BEGIN = 1800000000,
};

/* A fleet without a network: hosts are rows, and check in by what the check-in's transaction does. */
typedef struct {
	Store *store;
	AshServer server;
	AshFleetConfig config;
	AshScheduler *scheduler;
	AshDb *db;
	unsigned bad;        /* hosts that fail, the first so many that are offered 2.0 */
	unsigned failed;     /* that did */
	bool announces;      /* hosts say that they reboot, before they do */
	bool restarts;       /* the scheduler is another one after each turn */
	const char *failing; /* the version that fails; NULL: none */
} Fleet;

static int64_t clock_s;
static int64_t set_by_s; /* of clock_s: somebody set it */

static int64_t now(void)
{
	return clock_s;
}

static int64_t steady(void)
{
	return clock_s - set_by_s;
}

static void start(Fleet *fleet)
{
	g_autoptr(GError) error = NULL;

	MUST(ash_live_load(fleet->store->pool, &fleet->server.live, &error));
	MUST(ash_events_start(fleet->store->pool, &fleet->server.events, &error));
	MUST(ash_scheduler_start(&fleet->server, true, &fleet->scheduler, &error));
}

static void stop(Fleet *fleet)
{
	ash_scheduler_free(fleet->scheduler);
	ash_events_free(fleet->server.events);
	ash_live_free(fleet->server.live);
}

static void fleet_open(Fleet *fleet, Store *store)
{
	clock_s = BEGIN;
	*fleet = (Fleet){.store = store, .config.silent_after_s = 900};
	fleet->server = (AshServer){.config = &fleet->config, .pool = store->pool, .now = now};
	fleet->db = store_take(store);
	store_run(fleet->db,
			"INSERT INTO release (id, name, variant, arch, version, \"commit\", "
			"document, added_at) VALUES (1, 'host', '', 'amd64', '1.0', 'c1.0', '{}', 1), "
			"(2, 'host', '', 'amd64', '2.0', 'c2.0', '{}', 1), (3, 'host', '', 'amd64', "
			"'3.0', 'c3.0', '{}', 1)");
	for (unsigned i = 0; i < HOSTS; i++) {
		g_autofree char *sql = g_strdup_printf(
				"INSERT INTO host (id, name, state, health_word, agent_state, verdict, "
				"\"commit\", version, image, arch, boot, said, labels, enrolled_at, "
				"last_seen, seq) VALUES ('%064x', 'edge-%u', 'active', 'good', 'idle', "
				"'good', 'c1.0', '1.0', 'host', 'amd64', 'b0', 7, "
				"'{\"site\":\"%s\"}', 1, %d, 1)",
				i + 1, i + 1, i % 2 == 0 ? "bern" : "basel", BEGIN);
		store_run(fleet->db, sql);
	}
	start(fleet);
}

static void fleet_close(Fleet *fleet)
{
	stop(fleet);
	ash_db_give(fleet->db);
}

static void turn(Fleet *fleet)
{
	g_autoptr(GError) error = NULL;
	int64_t next_s = 0;

	for (unsigned i = 0; next_s <= clock_s && i < 100; i++) {
		MUST(ash_scheduler_turn(fleet->scheduler, &next_s, &error));
		if (fleet->restarts) {
			stop(fleet);
			start(fleet);
		}
	}
	g_assert_cmpint(next_s, >, clock_s);
}

static void create(Fleet *fleet, const char *members)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(AshRolloutSpec) spec = NULL;
	g_autofree char *text = g_strdup_printf("{\"release\":\"2.0\",\"id\":\"abcdefghijkl\","
						"\"commit\":\"c2.0\",\"version\":\"2.0\"%s}",
			members);

	MUST(ash_rollout_spec_parse_text(text, &spec, &error));
	ash_rollout_spec_plan(spec, HOSTS, 0);
	g_autofree char *kept = ash_rollout_spec_format(spec);
	MUST(ash_db_begin(fleet->db, true, &error));
	MUST(ash_db_exec(fleet->db,
			"INSERT INTO rollout (id, release, spec, state, created_at, created_by) VALUES "
			"('abcdefghijkl', 2, $1, 'starting', 1, 'ada')",
			ASH_DB_VALUES(ASH_DB_T(kept)), NULL, &error));
	MUST(ash_event_append(fleet->db,
			&(AshEvent){.at_s = clock_s,
					.kind = "rollout.created",
					.rollout = "abcdefghijkl"},
			&error));
	MUST(ash_db_commit(fleet->db, &error));
}

static void event(Fleet *fleet, const AshEvent *event)
{
	g_autoptr(GError) error = NULL;

	MUST(ash_db_begin(fleet->db, true, &error));
	MUST(ash_event_append(fleet->db, event, &error));
	MUST(ash_db_commit(fleet->db, &error));
}

static void act(Fleet *fleet, const char *act, const char *reason)
{
	g_autofree char *data = g_strdup_printf("{\"act\":\"%s\",\"reason\":\"%s\"}", act, reason);

	event(fleet, &(AshEvent){.at_s = clock_s,
				     .kind = "rollout.act",
				     .rollout = "abcdefghijkl",
				     .actor = "ada",
				     .data = data});
}

typedef struct {
	char *id, *commit, *version, *verb, *rollout;
	int64_t release;
} Row;

static gboolean take_row(const AshDbRow *row, gpointer data, GError **error)
{
	Row taken = {g_strdup(ash_db_row_text(row, 0)), g_strdup(ash_db_row_text(row, 1)),
			g_strdup(ash_db_row_text(row, 2)), g_strdup(ash_db_row_text(row, 3)),
			g_strdup(ash_db_row_text(row, 4)), ash_db_row_int(row, 5)};

	g_array_append_val(data, taken);
	return TRUE;
}

static void report(Fleet *fleet, const Row *row, const char *version, const char *failed,
		const char *boot)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *commit = g_strconcat("c", version, NULL);
	g_autofree char *data = g_strdup_printf(
			"{\"to\":\"idle\",\"commit\":\"%s\",\"version\":\"%s\",\"verdict\":\"good\","
			"\"failed\":\"%s\",\"boot\":\"%s\"}",
			commit, version, failed, boot);

	if (fleet->announces)
		MUST(ash_event_append(fleet->db,
				&(AshEvent){.at_s = clock_s,
						.kind = "host.report",
						.host = row->id,
						.data = "{\"to\":\"rebooting\",\"commit\":\"c1.0\","
							"\"boot\":\"b0\"}"},
				&error));
	MUST(ash_db_exec(fleet->db,
			"UPDATE host SET \"commit\" = $2, version = $3, failed_commit = $4, boot = $5, seq = "
			"seq + 1 WHERE id = $1",
			ASH_DB_VALUES(ASH_DB_T(row->id), ASH_DB_T(commit), ASH_DB_T(version),
					ASH_DB_T(failed), ASH_DB_T(boot)),
			NULL, &error));
	MUST(ash_event_append(fleet->db,
			&(AshEvent){.at_s = clock_s,
					.kind = "host.report",
					.host = row->id,
					.data = data},
			&error));
}

/* Comes for what is wanted of it, and has it, or failed, at once. */
static void check_in(Fleet *fleet, const Row *row)
{
	g_autoptr(GError) error = NULL;
	int64_t changed = 1;
	static const char *const versions[] = {"1.0", "1.0", "2.0", "3.0", "1.5"};
	const char *version = versions[row->release];

	MUST(ash_db_begin(fleet->db, true, &error));
	MUST(ash_db_lock_events(fleet->db, &error));
	MUST(ash_db_exec(fleet->db, "UPDATE host SET last_seen = $2 WHERE id = $1",
			ASH_DB_VALUES(ASH_DB_T(row->id), ASH_DB_I(clock_s)), NULL, &error));
	if (row->release != 0 && *row->rollout != '\0' && g_str_equal(row->verb, "update")) {
		MUST(ash_db_exec(fleet->db,
				"UPDATE rollout_host SET outcome = 'offered' WHERE rollout = $1 AND host = "
				"$2 AND outcome = 'assigned'",
				ASH_DB_VALUES(ASH_DB_T(row->rollout), ASH_DB_T(row->id)), &changed,
				&error));
		if (changed > 0)
			MUST(ash_event_append(fleet->db,
					&(AshEvent){.at_s = clock_s,
							.kind = "rollout.host",
							.host = row->id,
							.rollout = row->rollout,
							.data = "{\"outcome\":\"offered\"}"},
					&error));
	}
	/* Towards the release behind a barrier. */
	if (*row->rollout != '\0' && changed == 0)
		MUST(ash_db_query_int(fleet->db,
				"SELECT COUNT(*) FROM rollout_host WHERE host = $1 AND outcome = 'offered'",
				ASH_DB_VALUES(ASH_DB_T(row->id)), NULL, &changed, &error));
	bool moves = row->release != 0 && changed > 0 && !g_str_equal(row->version, version);
	g_autofree char *commit = g_strconcat("c", version, NULL);
	if (moves && g_strcmp0(fleet->failing, version) == 0 && fleet->failed < fleet->bad) {
		fleet->failed++;
		report(fleet, row, row->version, commit, "b1");
	} else if (moves) {
		report(fleet, row, version, "", "b1");
	}
	MUST(ash_db_commit(fleet->db, &error));
}

/* All hosts check in, but those of @absent (a bit each); a minute passes. */
static void minute(Fleet *fleet, uint64_t absent)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(Row));

	turn(fleet);
	MUST(ash_db_query(fleet->db,
			"SELECT id, \"commit\", version, verb, rollout, release FROM host ORDER BY id",
			NULL, take_row, rows, &error));
	for (unsigned i = 0; i < rows->len; i++) {
		Row *row = &g_array_index(rows, Row, i);
		if ((absent >> i & 1) == 0)
			check_in(fleet, row);
		g_free(row->id);
		g_free(row->commit);
		g_free(row->version);
		g_free(row->verb);
		g_free(row->rollout);
	}
	turn(fleet);
	clock_s += 60;
	turn(fleet);
}

static char *state(Fleet *fleet)
{
	g_autoptr(GError) error = NULL;
	char *state = NULL;

	MUST(ash_db_query_string(fleet->db, "SELECT state FROM rollout", NULL, &state, &error));
	return state;
}

static void expect_state(Fleet *fleet, const char *expected)
{
	g_autofree char *found = state(fleet);

	g_assert_cmpstr(found, ==, expected);
}

static void run_until(Fleet *fleet, const char *expected, unsigned minutes)
{
	for (unsigned i = 0; i < minutes; i++) {
		g_autofree char *found = state(fleet);
		if (g_str_equal(found, expected))
			return;
		minute(fleet, 0);
	}
	expect_state(fleet, expected);
}

static void expect_replay(Fleet *fleet)
{
	g_autoptr(GError) error = NULL;
	g_auto(AshRolloutReplay) replay = {0};

	MUST(ash_ledger_replay(fleet->db, "abcdefghijkl", &replay, &error));
	g_assert_cmpstr(replay.expected != NULL ? replay.expected : "", ==,
			replay.found != NULL ? replay.found : "");
	g_assert_true(replay.agrees);
	g_assert_cmpint((int64_t) replay.lines, ==,
			store_int(fleet->db, "SELECT COUNT(*) FROM rollout_line"));
	g_assert_cmpint(store_int(fleet->db, "SELECT MAX(line) - COUNT(*) FROM rollout_line"), ==,
			0);
	g_assert_cmpint(store_int(fleet->db,
					"SELECT rollout.lines - (SELECT COUNT(*) FROM rollout_line) FROM rollout"),
			==, 0);
}

/* ---- cases ---- */

static void test_finishes(Store *store)
{
	Fleet fleet;

	fleet_open(&fleet, store);
	create(&fleet, ",\"channel\":\"stable\",\"soak\":60");
	turn(&fleet);
	expect_state(&fleet, "running");
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM rollout_host WHERE outcome = "
					    "'assigned' AND previous = 1"),
			==, 4);
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM host WHERE release = 2 AND desired "
					"= 1 AND rollout = 'abcdefghijkl' AND verb = 'update'"),
			==, 4);
	/* Nothing came: nothing is written, whatever often it is asked. */
	int64_t lines = store_int(fleet.db, "SELECT lines FROM rollout");
	turn(&fleet);
	g_assert_cmpint(store_int(fleet.db, "SELECT lines FROM rollout"), ==, lines);
	minute(&fleet, 0);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM rollout_host"), >=, 4);
	run_until(&fleet, "finished", 30);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM rollout_host WHERE outcome = "
					    "'confirmed'"),
			==, HOSTS);
	g_assert_cmpint(store_int(fleet.db, "SELECT release FROM channel WHERE name = 'stable'"),
			==, 2);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM channel_history"), ==, 1);
	/* Each was told once, and each decision once. */
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM event WHERE kind = 'host.desired'"),
			==, HOSTS);
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM event WHERE kind = 'rollout.finished'"),
			==, 1);
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM event WHERE kind = 'rollout.started'"),
			==, 1);
	expect_replay(&fleet);
	fleet_close(&fleet);
}

static gboolean add_line(const AshDbRow *row, gpointer data, GError **error)
{
	g_string_append_printf(data, "%s\n", ash_db_row_text(row, 0));
	return TRUE;
}

static char *course(Store *store, bool restarts, unsigned bad)
{
	g_autoptr(GError) error = NULL;
	GString *text = g_string_new(NULL);
	Fleet fleet;

	fleet_open(&fleet, store);
	fleet.restarts = restarts;
	fleet.failing = "2.0";
	fleet.bad = bad;
	create(&fleet, ",\"channel\":\"stable\",\"soak\":60");
	run_until(&fleet, bad > 0 ? "paused" : "finished", 30);
	expect_replay(&fleet);
	MUST(ash_db_query(fleet.db, "SELECT text FROM rollout_line ORDER BY line", NULL, add_line,
			text, &error));
	MUST(ash_db_query(fleet.db,
			"SELECT kind || host || text FROM event WHERE kind NOT LIKE 'host.%' "
			"ORDER BY seq",
			NULL, add_line, text, &error));
	MUST(ash_db_query(fleet.db,
			"SELECT outcome || host || ring || since || reason FROM rollout_host ORDER BY host",
			NULL, add_line, text, &error));
	fleet_close(&fleet);
	return g_string_free(text, FALSE);
}

static char *straight[2];

/* Whoever leads next goes on as if it had led all the time. */
static void test_straight(Store *store)
{
	g_free(straight[0]);
	straight[0] = course(store, false, 0);
}

static void test_restarts(Store *store)
{
	g_autofree char *other = course(store, true, 0);

	g_assert_cmpstr(straight[0], ==, other);
}

static void test_straight_bad(Store *store)
{
	g_free(straight[1]);
	straight[1] = course(store, false, 1);
}

static void test_restarts_bad(Store *store)
{
	g_autofree char *other = course(store, true, 1);

	g_assert_cmpstr(straight[1], ==, other);
}

/* All fail: the first ring of four pauses; resumed, it halts at its limit, and nobody beyond it was offered anything. */
static void test_halts(Store *store)
{
	Fleet fleet;

	fleet_open(&fleet, store);
	fleet.failing = "2.0";
	fleet.bad = HOSTS;
	create(&fleet, ",\"soak\":60");
	run_until(&fleet, "halted", 10);
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM rollout_host WHERE outcome = 'failed'"),
			==, 4);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM rollout_host"), ==, 4);
	g_assert_cmpint(fleet.failed, ==, 4);
	/* It is not wanted of anybody any more. */
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE release <> 0"), ==, 0);
	minute(&fleet, 0);
	g_assert_cmpint(fleet.failed, ==, 4);
	expect_replay(&fleet);
	act(&fleet, "cancel", "enough");
	turn(&fleet);
	expect_state(&fleet, "cancelled");
	fleet_close(&fleet);
}

static void test_pause_resume_revert(Store *store)
{
	Fleet fleet;

	fleet_open(&fleet, store);
	create(&fleet, ",\"soak\":60");
	minute(&fleet, 0);
	act(&fleet, "pause", "");
	turn(&fleet);
	expect_state(&fleet, "paused");
	int64_t count = store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version = '2.0'");
	g_assert_cmpint(count, >=, 4);
	for (unsigned i = 0; i < 5; i++)
		minute(&fleet, 0);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version = '2.0'"), ==,
			count);
	/* Without a reason it stays paused. */
	act(&fleet, "resume", "");
	turn(&fleet);
	expect_state(&fleet, "paused");
	act(&fleet, "resume", "looked at it");
	run_until(&fleet, "finished", 30);
	/* Over, and still to be sent back. */
	act(&fleet, "revert", "it is slow");
	turn(&fleet);
	expect_state(&fleet, "reverting");
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM host WHERE verb = 'return' AND release = 1"),
			==, 4);
	run_until(&fleet, "reverted", 30);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version = '1.0'"), ==,
			HOSTS);
	expect_replay(&fleet);
	fleet_close(&fleet);
}

/* A check-in and a withdrawal at the same time: whoever was first has it. */
static void test_withdrawn(Store *store)
{
	G_GNUC_UNUSED g_autoptr(GError) error = NULL;
	Fleet fleet;

	fleet_open(&fleet, store);
	create(&fleet, ",\"soak\":60,\"lapse\":120");
	/* Nobody comes. */
	for (unsigned i = 0; i < 3; i++)
		minute(&fleet, UINT64_MAX);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM rollout_host WHERE outcome = "
					    "'withdrawn'"),
			==, 4);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM rollout_host WHERE outcome = "
					    "'assigned'"),
			==, 4);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE release = 2"), ==, 4);
	/* One is offered it at the very moment; the news of that comes late. */
	store_run(fleet.db,
			"UPDATE rollout_host SET outcome = 'offered' WHERE host = (SELECT MIN(host) FROM "
			"rollout_host WHERE outcome = 'assigned')");
	for (unsigned i = 0; i < 2; i++)
		minute(&fleet, UINT64_MAX);
	store_run(fleet.db,
			"INSERT INTO event (at, kind, host, rollout, data) SELECT since, 'rollout.host', "
			"host, rollout, '{\"outcome\":\"offered\"}' FROM rollout_host WHERE outcome = "
			"'offered'");
	minute(&fleet, UINT64_MAX);
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM host JOIN rollout_host ON host = host.id "
					"WHERE outcome = 'offered' AND release = 2"),
			==, 1);
	expect_replay(&fleet);
	fleet_close(&fleet);
}

static void test_silent(Store *store)
{
	Fleet fleet;

	fleet_open(&fleet, store);
	create(&fleet, ",\"soak\":60,\"deadline\":300");
	minute(&fleet, 1);
	for (unsigned i = 0; i < 40; i++)
		minute(&fleet, 1);
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM event WHERE kind = 'host.silent'"),
			==, 1);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE silent_since > 0 AND "
					    "health_word = 'silent'"),
			==, 1);
	/* All others have it: one that is not heard of holds nobody up. */
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version = '2.0'"), ==,
			HOSTS - 1);
	stop(&fleet);
	start(&fleet);
	minute(&fleet, 0);
	for (unsigned i = 0; i < 20; i++)
		minute(&fleet, 0);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM event WHERE kind = 'host.back'"),
			==, 1);
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM event WHERE kind = 'host.silent'"),
			==, 1);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version = '2.0'"), ==,
			HOSTS);
	expect_state(&fleet, "finished");
	fleet_close(&fleet);
}

/* One that is offered the release, announces its reboot, and is not heard of any more, nor are the others. */
static void let_one_reboot(Fleet *fleet)
{
	create(fleet, ",\"soak\":60,\"deadline\":300,\"first\":1");
	turn(fleet);
	store_run(fleet->db, "UPDATE rollout_host SET outcome = 'offered'");
	store_run(fleet->db, "UPDATE host SET agent_state = 'rebooting'");
	store_run(fleet->db,
			"INSERT INTO event (at, kind, host, data) SELECT 1, 'host.report', host, "
			"'{\"to\":\"rebooting\",\"commit\":\"c1.0\",\"boot\":\"b0\"}' FROM rollout_host");
	turn(fleet);
	for (unsigned i = 0; i < 2; i++)
		minute(fleet, UINT64_MAX);
}

#define SILENT                                                                                     \
	"SELECT (SELECT COUNT(*) FROM rollout_host WHERE outcome = 'silent') + (SELECT COUNT(*) FROM host WHERE silent_since > 0)"

/* Two hours that no server saw make nobody silent: of the rebooting host's five minutes three are left after them. */
static void be_absent(Store *store, bool is_set, bool is_stopped)
{
	Fleet fleet;

	set_by_s = 0;
	fleet_open(&fleet, store);
	fleet.server.steady = steady;
	let_one_reboot(&fleet);
	if (is_stopped)
		stop(&fleet);
	clock_s += 7200;
	set_by_s += is_set ? 7200 : 0;
	if (is_stopped)
		start(&fleet);
	turn(&fleet);
	for (unsigned i = 0; i < 18; i++) {
		if (i <= 3 || i == 17)
			g_assert_cmpint(store_int(fleet.db, SILENT), ==,
					i < 3    ? 0
					: i == 3 ? 1
						 : 1 + HOSTS);
		minute(&fleet, UINT64_MAX);
	}
	expect_replay(&fleet);
	fleet_close(&fleet);
}

static void test_clock_is_set(Store *store)
{
	be_absent(store, true, false);
}

static void test_server_is_away(Store *store)
{
	be_absent(store, false, true);
}

/* The channel's hosts get what it points to, whoever joins late at once; an operator's hand outlives it. */
static void test_channel(Store *store)
{
	g_autoptr(GError) error = NULL;
	bool is_changed = false;
	Fleet fleet;

	fleet_open(&fleet, store);
	turn(&fleet);
	store_run(fleet.db,
			"UPDATE host SET labels = '{\"channel\":\"stable\"}' WHERE name IN ('edge-1', "
			"'edge-2')");
	store_run(fleet.db, "INSERT INTO channel (name, release) VALUES ('stable', 2)");
	stop(&fleet);
	start(&fleet);
	event(&fleet, &(AshEvent){.at_s = clock_s, .kind = "channel.changed"});
	minute(&fleet, 0);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version = '2.0'"), ==,
			2);
	/* Late. */
	store_run(fleet.db,
			"UPDATE host SET labels = '{\"channel\":\"stable\"}' WHERE name = 'edge-3'");
	event(&fleet, &(AshEvent){.at_s = clock_s,
				      .kind = "host.labels",
				      .host = "0000000000000000000000000000000000000000000000000000000000000003"});
	turn(&fleet);
	g_assert_cmpint(store_int(fleet.db, "SELECT release FROM host WHERE name = 'edge-3'"), ==,
			2);
	/* By hand, back: neither the channel nor a rollout may change it. */
	MUST(ash_db_begin(fleet.db, true, &error));
	for (unsigned i = 0; i < 2; i++) {
		MUST(ash_desired_write(fleet.db,
				"0000000000000000000000000000000000000000000000000000000000000001",
				&(AshDesiredWant){.release = 1,
						.rollout = "",
						.verb = "return",
						.is_by_hand = true,
						.actor = "ada"},
				clock_s, &is_changed, &error));
		g_assert_cmpint(is_changed, ==, i == 0);
	}
	MUST(ash_db_commit(fleet.db, &error));
	for (unsigned i = 0; i < 3; i++)
		minute(&fleet, 0);
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM host WHERE name = 'edge-1' AND version = "
					"'1.0' AND by_hand = 1"),
			==, 1);
	create(&fleet, ",\"soak\":60");
	for (unsigned i = 0; i < 20; i++)
		minute(&fleet, 0);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version = '2.0'"), ==,
			HOSTS - 1);
	fleet_close(&fleet);
}

static void test_windows(Store *store)
{
	Fleet fleet;

	fleet_open(&fleet, store);
	/* 1800000000 is a Friday, 08:00. */
	create(&fleet, ",\"soak\":60,\"windows\":[\"09:00-12:00\"]");
	for (unsigned i = 0; i < 5; i++)
		minute(&fleet, 0);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM rollout_host"), ==, 0);
	clock_s = BEGIN + 3600;
	minute(&fleet, 0);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM rollout_host"), >=, 4);
	run_until(&fleet, "finished", 30);
	expect_replay(&fleet);
	fleet_close(&fleet);
}

/* Labels, joining, retiring while it runs. */
static void set_barrier(Fleet *fleet)
{
	store_run(fleet->db,
			"INSERT INTO release (id, name, variant, arch, version, \"commit\", document, "
			"added_at, is_barrier) VALUES (4, 'host', '', 'amd64', '1.5', 'c1.5', '{}', 1, "
			"1)");
	stop(fleet);
	start(fleet);
}

/* Nobody passes it by: each host takes the barrier, then the release, in one place of the rollout. */
static void test_barrier(Store *store)
{
	Fleet fleet;

	fleet_open(&fleet, store);
	set_barrier(&fleet);
	fleet.announces = true;
	create(&fleet, ",\"soak\":60");
	turn(&fleet);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE release = 4 AND "
					    "rollout = 'abcdefghijkl'"),
			==, 4);
	/* They came for it; before they say that they are fine there they go no further. */
	store_run(fleet.db, "UPDATE host SET verdict = 'pending'");
	minute(&fleet, 0);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version = '1.5'"), ==,
			4);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE release = 2"), ==, 0);
	store_run(fleet.db, "UPDATE host SET verdict = 'good', agent_state = 'idle'");
	for (unsigned i = 0; i < HOSTS; i++) {
		g_autofree char *id = g_strdup_printf("%064x", i + 1);
		event(&fleet, &(AshEvent){.at_s = clock_s, .kind = "host.report", .host = id});
	}
	turn(&fleet);
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM host JOIN rollout_host ON host = id "
					"WHERE host.release = 2 AND previous = 4"),
			==, 4);
	fleet.restarts = true;
	run_until(&fleet, "finished", 40);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM rollout_host WHERE outcome = "
					    "'confirmed'"),
			==, HOSTS);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version = '2.0'"), ==,
			HOSTS);
	/* Two steps each, and no host was counted as failed for the one between. */
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM event WHERE kind = 'host.desired'"),
			==, 2 * HOSTS);
	expect_replay(&fleet);
	fleet_close(&fleet);
}

/* What is bad at the barrier is a failure of the rollout. */
static void test_barrier_bad(Store *store)
{
	Fleet fleet;

	fleet_open(&fleet, store);
	set_barrier(&fleet);
	fleet.announces = true;
	create(&fleet, ",\"soak\":60");
	fleet.failing = "1.5";
	fleet.bad = HOSTS;
	run_until(&fleet, "halted", 20);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM rollout_host WHERE outcome = "
					    "'failed'"),
			>=, 2);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version <> '1.0'"), ==,
			0);
	expect_replay(&fleet);
	fleet_close(&fleet);
}

static void test_candidates(Store *store)
{
	Fleet fleet;

	fleet_open(&fleet, store);
	create(&fleet, ",\"soak\":60,\"selector\":\"site = bern\"");
	turn(&fleet);
	store_run(fleet.db, "UPDATE host SET labels = '{\"site\":\"bern\"}' WHERE name = 'edge-2'");
	event(&fleet, &(AshEvent){.at_s = clock_s,
				      .kind = "host.labels",
				      .host = "0000000000000000000000000000000000000000000000000000000000000002"});
	run_until(&fleet, "finished", 30);
	g_assert_cmpint(store_int(fleet.db, "SELECT COUNT(*) FROM host WHERE version = '2.0'"), ==,
			11);
	g_assert_cmpint(store_int(fleet.db,
					"SELECT COUNT(*) FROM host WHERE version = '2.0' AND labels NOT "
					"LIKE '%bern%'"),
			==, 0);
	expect_replay(&fleet);
	fleet_close(&fleet);
}

static const StoreCase cases[] = {
		{"finishes", test_finishes},
		{"straight", test_straight},
		{"restarts", test_restarts},
		{"straight-bad", test_straight_bad},
		{"restarts-bad", test_restarts_bad},
		{"halts", test_halts},
		{"pause-resume-revert", test_pause_resume_revert},
		{"withdrawn", test_withdrawn},
		{"silent", test_silent},
		{"clock-is-set", test_clock_is_set},
		{"server-is-away", test_server_is_away},
		{"channel", test_channel},
		{"windows", test_windows},
		{"candidates", test_candidates},
		{"barrier", test_barrier},
		{"barrier-bad", test_barrier_bad},
		{0},
};

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	store_add("scheduler", cases);
	return g_test_run();
}
