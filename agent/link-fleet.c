/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/link-fleet.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/fleet-answer.h"
#include "agent/fleet-checkin.h"
#include "lib/checkin.h"
#include "lib/json.h"

enum {
	FIRST_S = 20,
	MAX_PAUSE_S = 900,
	MIN_PAUSE_S = 5,
	HELD_S = 300,     /* when the server does not say */
	PENDING_S = 60,   /* likewise */
	NEWS_US = 300000, /* what happens together is told together */
	LEAST_US = G_USEC_PER_SEC,
	UNDISTURBED_US = 3 * G_USEC_PER_SEC,
};

struct AshLinkFleet {
	AshBus *bus;
	const char *argv[4];
	AshBusChild *child; /* NULL: asleep */
	char *line;         /* what it said last */
	uint64_t serial;    /* of the report that it has, or that was told last; 0: none */
	uint64_t newest;    /* what ashlard has; 0: there is no fleet */
	bool is_killed;     /* its answer is of no interest any more */
	bool is_declined;   /* the server did not let us wait the last time */
	char *memory;
	unsigned lost; /* check-ins since then of which nothing is known */
	unsigned failures;
	int64_t started_us, due_us, not_before_us; /* due: INT64_MAX, never */
	int64_t first_s, max_s;
};

static void set_timer(AshLinkFleet *fleet);

AshLinkFleet *ash_link_fleet_new(AshBus *bus, const char *checkin, const char *identity)
{
	AshLinkFleet *fleet = g_new0(AshLinkFleet, 1);
	const char *wait = g_getenv("ASHLAR_WAIT");
	uint64_t wait_s = 0;

	fleet->bus = bus;
	fleet->argv[0] = checkin;
	fleet->argv[1] = "--identity";
	fleet->argv[2] = identity;
	fleet->memory = g_strdup("");
	fleet->due_us = INT64_MAX;
	fleet->first_s = FIRST_S;
	fleet->max_s = MAX_PAUSE_S;
	if (wait != NULL && g_ascii_string_to_unsigned(wait, 10, 1, 3600, &wait_s, NULL))
		fleet->first_s = fleet->max_s = (int64_t) wait_s;
	fleet->not_before_us =
			ash_bus_now_us() +
			(int64_t) ((double) (fleet->first_s * G_USEC_PER_SEC) * g_random_double());
	return fleet;
}

void ash_link_fleet_free(AshLinkFleet *fleet)
{
	if (fleet == NULL)
		return;
	g_free(fleet->line);
	g_free(fleet->memory);
	g_free(fleet);
}

/* ---- when ---------------------------------------------------------------------------------------- */

int64_t ash_link_fleet_pause_us(unsigned failures, double chance, int64_t asked_s, int64_t max_s)
{
	int64_t pause_us = MIN((int64_t) MIN_PAUSE_S, max_s) * G_USEC_PER_SEC;

	if (max_s < MIN_PAUSE_S)
		pause_us /= 10;
	for (unsigned i = 1; i < failures && pause_us < max_s * G_USEC_PER_SEC; i++)
		pause_us *= 2;
	pause_us = MIN(pause_us, max_s * G_USEC_PER_SEC);
	pause_us = pause_us / 2 + (int64_t) ((double) pause_us / 2 * chance);
	/* Whom many asked at once has many come back at once: a tenth later at most. */
	int64_t asked_us = asked_s * G_USEC_PER_SEC;
	return MAX(pause_us, asked_us + (int64_t) ((double) asked_us / 10 * chance));
}

/* Comes again in @pause_us, and not before, whatever happens here. */
static void rest(AshLinkFleet *fleet, int64_t pause_us)
{
	fleet->due_us = fleet->not_before_us = ash_bus_now_us() + pause_us;
}

static void fail(AshLinkFleet *fleet, int64_t asked_s)
{
	fleet->is_declined = false;
	fleet->failures = MIN(fleet->failures + 1, 1000);
	rest(fleet, ash_link_fleet_pause_us(
				    fleet->failures, g_random_double(), asked_s, fleet->max_s));
}

/* ---- what came of it ----------------------------------------------------------------------------- */

static void joined(AshLinkFleet *fleet, JsonObject *result, int64_t next_s)
{
	int64_t now_us = ash_bus_now_us();
	bool has_waited = ash_json_find_bool(result, "waited");

	fleet->failures = 0;
	if (has_waited)
		fleet->is_declined = next_s > 0;
	/* All is said: now it may wait there. */
	else if (!ash_json_find_bool(result, "again") && !fleet->is_declined)
		next_s = 0;
	/* A server that lets nobody wait, although it says so, must not keep this host busy. */
	fleet->not_before_us = fleet->started_us + LEAST_US;
	fleet->due_us = MAX(fleet->not_before_us, now_us + next_s * G_USEC_PER_SEC);
}

static void schedule(AshLinkFleet *fleet, JsonObject *result)
{
	const char *word = ash_json_find_text(result, "outcome");
	const char *outcome = word != NULL ? word : "";
	int64_t next_s = (int64_t) MIN(
			ash_json_find_uint(result, "next"), ASH_FLEET_ANSWER_MAX_NEXT_S);

	if (strcmp(outcome, "joined") == 0) {
		joined(fleet, result, next_s);
	} else if (strcmp(outcome, "pending") == 0 || strcmp(outcome, "held") == 0) {
		int64_t fallback_s = *outcome == 'p' ? PENDING_S : HELD_S;
		fleet->failures = 0;
		rest(fleet, (next_s > 0 ? next_s : MIN(fallback_s, fleet->max_s)) * G_USEC_PER_SEC);
	} else if (strcmp(outcome, "retired") == 0 || strcmp(outcome, "left") == 0) {
		/* ashlard says by its property that there is nothing to tell any more. */
		rest(fleet, MAX_PAUSE_S * (int64_t) G_USEC_PER_SEC);
	} else {
		fail(fleet, next_s);
	}
}

static void take_result(AshLinkFleet *fleet, const char *line)
{
	g_autoptr(GBytes) bytes = g_bytes_new_static(line, strlen(line));
	g_autoptr(JsonNode) node = NULL;
	g_autoptr(GError) local = NULL;

	if (!ash_json_parse(bytes, ASH_FLEET_CHECKIN_MAX_LINE, ASH_FLEET_ANSWER_MAX_DEPTH, &node,
			    &local) ||
			!JSON_NODE_HOLDS_OBJECT(node)) {
		fprintf(stderr, "ashlar-link: ashlar-checkin: %s\n",
				local != NULL ? local->message : "no object");
		fail(fleet, 0);
		return;
	}
	JsonObject *object = json_node_get_object(node);
	const char *memory = ash_json_find_text(object, "memory");
	g_free(fleet->memory);
	fleet->memory = g_strdup(memory != NULL ? memory : "");
	fleet->lost = 0;
	schedule(fleet, object);
	/* Last: ashlard's property may change by it, and set the timer. */
	if (ash_bus_call_fleet_answer(fleet->bus, fleet->serial, line, &local))
		return;
	fprintf(stderr, "ashlar-link: %s\n", local->message);
	fail(fleet, 0);
}

static void on_line(const char *line, gpointer data)
{
	AshLinkFleet *fleet = data;

	g_free(fleet->line);
	fleet->line = g_strdup(line);
}

static void on_exit_of_child(int wait_status, gpointer data)
{
	AshLinkFleet *fleet = data;
	g_autofree char *line = g_steal_pointer(&fleet->line);

	fleet->child = NULL;
	fleet->lost++;
	if (!fleet->is_killed && line != NULL) {
		take_result(fleet, line);
	} else if (!fleet->is_killed) {
		fprintf(stderr, "ashlar-link: ashlar-checkin ended with %s %d and no result\n",
				WIFSIGNALED(wait_status) ? "signal" : "code",
				WIFSIGNALED(wait_status) ? WTERMSIG(wait_status)
							 : WEXITSTATUS(wait_status));
		fail(fleet, 0);
	}
	set_timer(fleet);
}

/* ---- a check-in ---------------------------------------------------------------------------------- */

static char *make_input(AshLinkFleet *fleet, const char *report)
{
	g_autoptr(JsonBuilder) builder = json_builder_new();
	JsonNode *node = json_from_string(report, NULL);

	if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node)) {
		g_clear_pointer(&node, json_node_unref);
		return NULL;
	}
	fleet->serial = ash_json_find_uint(json_node_get_object(node), "serial");
	json_builder_begin_object(builder);
	json_builder_set_member_name(builder, "report");
	json_builder_add_value(builder, node);
	ash_json_add_text(builder, "memory", fleet->memory);
	ash_json_add_uint(builder, "lost", fleet->lost);
	ash_json_add_uint(builder, "wait", ASH_CHECKIN_MAX_WAIT_S);
	json_builder_end_object(builder);
	return ash_json_format(builder, false);
}

static gboolean start(AshLinkFleet *fleet, GError **error)
{
	g_autofree char *report = NULL;

	if (!ash_bus_call(fleet->bus, "FleetReport", NULL, &report, error))
		return FALSE;
	g_autofree char *input = make_input(fleet, report);
	fleet->is_killed = false;
	fleet->started_us = ash_bus_now_us();
	g_clear_pointer(&fleet->line, g_free);
	return ash_bus_spawn(fleet->bus, fleet->argv, input, ASH_FLEET_CHECKIN_MAX_LINE, on_line,
			on_exit_of_child, fleet, &fleet->child, error);
}

static void stop(AshLinkFleet *fleet)
{
	if (fleet->child == NULL || fleet->is_killed)
		return;
	fleet->is_killed = true;
	ash_bus_child_kill(fleet->child);
}

static void on_timer(gpointer data)
{
	AshLinkFleet *fleet = data;
	g_autoptr(GError) local = NULL;

	if (fleet->newest != 0 && ash_bus_now_us() >= fleet->due_us) {
		if (fleet->child != NULL) {
			/* It waits for the server while there is news: begun again when it has ended. */
			stop(fleet);
		} else {
			fleet->due_us = INT64_MAX;
			/* One that is about to say something is let do so. */
			fleet->not_before_us = ash_bus_now_us() + UNDISTURBED_US;
			if (!start(fleet, &local)) {
				fprintf(stderr, "ashlar-link: %s\n", local->message);
				fail(fleet, 0);
			}
		}
	}
	set_timer(fleet);
}

static void set_timer(AshLinkFleet *fleet)
{
	g_autoptr(GError) local = NULL;
	bool has_news = fleet->newest != 0 && fleet->newest != fleet->serial;

	if (has_news)
		fleet->due_us = MIN(fleet->due_us,
				MAX(fleet->not_before_us, ash_bus_now_us() + NEWS_US));
	bool can_act = fleet->newest != 0 && (fleet->child == NULL || !fleet->is_killed);
	if (!ash_bus_set_timer(fleet->bus, can_act ? fleet->due_us : INT64_MAX, on_timer, fleet,
			    &local))
		fprintf(stderr, "ashlar-link: %s\n", local->message);
}

/* AshBusProperty */
static void on_fleet(const char *value, gpointer data)
{
	AshLinkFleet *fleet = data;
	g_autofree char *text = NULL;
	g_autoptr(GError) local = NULL;

	if (value != NULL && *value == '\0') {
		/* Another ashlard: it has its own numbers. */
		fleet->serial = 0;
		if (!ash_bus_get_property(fleet->bus, "Fleet", &text, &local)) {
			if (!g_error_matches(local, ASH_BUS_ERROR, ASH_BUS_ERROR_NOT_RUNNING))
				fprintf(stderr, "ashlar-link: %s\n", local->message);
			value = NULL;
		} else {
			value = text;
		}
	}
	fleet->newest = value != NULL ? g_ascii_strtoull(value, NULL, 10) : 0;
	if (fleet->newest == 0)
		stop(fleet);
	set_timer(fleet);
}

gboolean ash_link_fleet_begin(AshLinkFleet *fleet, GError **error)
{
	if (!ash_bus_watch(fleet->bus, "Fleet", on_fleet, fleet, error))
		return FALSE;
	on_fleet("", fleet);
	return TRUE;
}
