/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <string.h>

#include "fleet/rollout.h"
#include "lib/json.h"

/* What tests of rollouts have in common: a rollout of hosts with numbers, whose ledger is kept and replayed at the end. */

/* A rollout whose ledger is kept in memory. */
typedef struct {
	AshRollout *rollout;
	GPtrArray *lines;   /* char * */
	GString *decisions; /* "assign 3 …" in short */
	unsigned assigned, returned, withdrawn;
	int64_t now;
} Desk;

G_GNUC_UNUSED static void keep_line(const char *text, gpointer data)
{
	Desk *desk = data;

	g_ptr_array_add(desk->lines, g_strdup(text));
}

/* Host number n of a test: its id says it. */
G_GNUC_UNUSED static const uint8_t *id_of(unsigned number)
{
	static uint8_t id[ASH_ROLLOUT_ID_BYTES];

	memset(id, 0, sizeof id);
	for (unsigned i = 0; i < 4; i++)
		id[31 - i] = id[15 - i] = (uint8_t) (number >> (8 * i));
	return id;
}

G_GNUC_UNUSED static unsigned number_of(const uint8_t *id)
{
	return (unsigned) id[28] << 24 | (unsigned) id[29] << 16 | (unsigned) id[30] << 8 | id[31];
}

G_GNUC_UNUSED static void keep_decision(const AshRolloutDecision *decision, gpointer data)
{
	Desk *desk = data;
	static const char *const kinds[] = {
			"assign", "withdraw", "return", "outcome", "ring", "state"};

	if (decision->kind == ASH_ROLLOUT_DECIDE_ASSIGN)
		desk->assigned++;
	if (decision->kind == ASH_ROLLOUT_DECIDE_RETURN)
		desk->returned++;
	if (decision->kind == ASH_ROLLOUT_DECIDE_WITHDRAW)
		desk->withdrawn++;
	if (decision->kind == ASH_ROLLOUT_DECIDE_STATE)
		g_string_append_printf(
				desk->decisions, "%s ", ash_rollout_state_text(decision->state));
	else if (decision->kind == ASH_ROLLOUT_DECIDE_RING)
		g_string_append_printf(desk->decisions, "ring%u ", decision->ring);
	else if (decision->kind == ASH_ROLLOUT_DECIDE_OUTCOME)
		g_string_append_printf(desk->decisions, "%u:%s ", number_of(decision->host),
				ash_rollout_outcome_text(decision->outcome));
	else
		g_assert_cmpstr(kinds[decision->kind], !=, "outcome");
}

G_GNUC_UNUSED static AshRolloutSpec *spec_of(const char *json)
{
	AshRolloutSpec *spec = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_rollout_spec_parse_text(json, &spec, &error));
	return spec;
}

G_GNUC_UNUSED static const char plain[] =
		"{\"id\":\"r1\",\"release\":\"2\",\"commit\":\"cafe\",\"soak\":60}";

G_GNUC_UNUSED static void desk_open(Desk *desk, const char *json, unsigned hosts, unsigned canaries)
{
	AshRolloutSpec *spec = spec_of(json);

	ash_rollout_spec_plan(spec, hosts, canaries);
	*desk = (Desk){.lines = g_ptr_array_new_with_free_func(g_free),
			.decisions = g_string_new(NULL),
			.now = 1000000};
	AshRolloutSink sink = {keep_line, keep_decision, desk};
	desk->rollout = ash_rollout_new(spec, &sink);
	ash_rollout_at(desk->rollout, desk->now);
	for (unsigned i = 0; i < hosts; i++) {
		ash_rollout_join(desk->rollout, id_of(i), i < canaries, NULL);
		ash_rollout_reach(desk->rollout, id_of(i), ASH_ROLLOUT_READY);
		ash_rollout_report(desk->rollout, id_of(i), ASH_ROLLOUT_SAID_OTHER, "b0", "");
	}
	ash_rollout_step(desk->rollout);
}

G_GNUC_UNUSED static void later(Desk *desk, int64_t seconds)
{
	desk->now += seconds;
	ash_rollout_at(desk->rollout, desk->now);
	ash_rollout_step(desk->rollout);
}

G_GNUC_UNUSED static void report(Desk *desk, unsigned host, AshRolloutSaid said, const char *boot)
{
	ash_rollout_report(desk->rollout, id_of(host), said, boot, "");
}

G_GNUC_UNUSED static AshRolloutOutcome outcome_of(const Desk *desk, unsigned host)
{
	AshRolloutHost found;

	g_assert_true(ash_rollout_host(desk->rollout, id_of(host), &found));
	return found.outcome;
}

G_GNUC_UNUSED static AshRolloutNow now_of(const Desk *desk)
{
	AshRolloutNow now;

	ash_rollout_now(desk->rollout, &now);
	return now;
}

typedef struct {
	const GPtrArray *lines;
	guint at, end;
} Reader;

G_GNUC_UNUSED static const char *next_line(gpointer data, GError **error)
{
	Reader *reader = data;

	return reader->at < reader->end ? reader->lines->pdata[reader->at++] : NULL;
}

G_GNUC_UNUSED static char *json_of(const AshRollout *rollout)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();

	json_builder_begin_object(builder);
	ash_rollout_add_json(rollout, builder);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

G_GNUC_UNUSED static void check_same(const AshRollout *a, const AshRollout *b)
{
	g_autofree char *json_a = json_of(a), *json_b = json_of(b);

	g_assert_cmpstr(json_a, ==, json_b);
	g_assert_cmpint(ash_rollout_due(a), ==, ash_rollout_due(b));
}

/* Replaying a ledger comes to the same, whatever was tested with it. */
G_GNUC_UNUSED static void check_replay(const Desk *desk)
{
	g_autofree char *text = ash_rollout_spec_format(ash_rollout_spec(desk->rollout));
	g_autoptr(AshRollout) fresh = ash_rollout_new(spec_of(text), NULL);
	Reader reader = {desk->lines, 0, desk->lines->len};
	g_auto(AshRolloutReplay) replay = {0};
	g_autoptr(GError) error = NULL;

	g_assert_true(ash_rollout_replay(fresh, next_line, &reader, &replay, &error));
	if (!replay.agrees)
		g_test_message("line %d: '%s' expected, '%s' found", (int) replay.first_difference,
				replay.expected, replay.found);
	g_assert_true(replay.agrees);
	g_assert_cmpuint(replay.lines, ==, desk->lines->len);
	check_same(desk->rollout, fresh);
}

G_GNUC_UNUSED static void desk_close(Desk *desk)
{
	ash_rollout_step(desk->rollout);
	check_replay(desk);
	ash_rollout_free(desk->rollout);
	g_ptr_array_unref(desk->lines);
	g_string_free(desk->decisions, TRUE);
}

/* The hosts that are assigned now, in the rollout's order. */
G_GNUC_UNUSED static bool collect_assigned(const AshRolloutHost *host, gpointer data)
{
	if (host->outcome == ASH_ROLLOUT_ASSIGNED)
		g_array_append_vals(data, &(unsigned){number_of(host->id)}, 1);
	return true;
}

G_GNUC_UNUSED static GArray *assigned(const Desk *desk)
{
	GArray *numbers = g_array_new(FALSE, FALSE, sizeof(unsigned));

	ash_rollout_each(desk->rollout, collect_assigned, numbers);
	return numbers;
}

/* All that are assigned take it, and are healthy with it. */
G_GNUC_UNUSED static void take(Desk *desk)
{
	g_autoptr(GArray) numbers = assigned(desk);

	for (guint i = 0; i < numbers->len; i++) {
		unsigned host = g_array_index(numbers, unsigned, i);
		ash_rollout_offered(desk->rollout, id_of(host));
		report(desk, host, ASH_ROLLOUT_SAID_REBOOT, "b0");
		report(desk, host, ASH_ROLLOUT_SAID_GOOD, "b1");
	}
}
