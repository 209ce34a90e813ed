/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fleet/cli-client.h"
#include "fleet/cli.h"
#include "fleet/rollout.h"
#include "lib/error.h"
#include "lib/json.h"

enum {
	MAX_FIRST = 100000,
};

static char *opt_assignment, *opt_version, *opt_name, *opt_channel, *opt_canaries, *opt_growth,
		*opt_soak, *opt_deadline, *opt_on_halt, *opt_ring_pause, *opt_begin, *opt_lapse,
		*opt_patience;
static char **opt_budgets, **opt_windows;
static double opt_tolerated = -G_MAXDOUBLE, opt_alpha = -G_MAXDOUBLE; /* not given */
static int opt_first = ASH_CLI_NOT_GIVEN, opt_in_flight = ASH_CLI_NOT_GIVEN;
static gboolean opt_yes, opt_dry_run, opt_widen, opt_beside;

static const GOptionEntry options[] = {
		{"assignment", 0, 0, G_OPTION_ARG_STRING, &opt_assignment,
				"Of a workload, to the hosts of this assignment; without RELEASE and "
				"SELECTOR",
				"ID"},
		{"version", 0, 0, G_OPTION_ARG_STRING, &opt_version, "Of the workload", "VERSION"},
		{"widen", 0, 0, G_OPTION_ARG_NONE, &opt_widen,
				"The version may touch more than the one before; with a reason",
				NULL},
		{"name", 0, 0, G_OPTION_ARG_STRING, &opt_name, "For people", "TEXT"},
		{"channel", 0, 0, G_OPTION_ARG_STRING, &opt_channel,
				"Point it at the release when the rollout has finished", "CHANNEL"},
		{"canaries", 0, 0, G_OPTION_ARG_STRING, &opt_canaries, "These go first",
				"SELECTOR"},
		{"growth", 'g', 0, G_OPTION_ARG_STRING, &opt_growth,
				"careful (x2), normal (x4) or urgent (x10)", "WORD"},
		{"first", 0, 0, G_OPTION_ARG_INT, &opt_first, "Hosts of the first ring; default: 4",
				"N"},
		{"tolerated", 0, 0, G_OPTION_ARG_DOUBLE, &opt_tolerated,
				"Share of failures that is no reason to stop; default: 0.01",
				"SHARE"},
		{"alpha", 0, 0, G_OPTION_ARG_DOUBLE, &opt_alpha,
				"Chance to stop a good release; default: 0.01", "SHARE"},
		{"soak", 0, 0, G_OPTION_ARG_STRING, &opt_soak,
				"Healthy for so long is confirmed; default: 5m", "TIME"},
		{"deadline", 0, 0, G_OPTION_ARG_STRING, &opt_deadline,
				"No word so long after its reboot is silent; default: 90m", "TIME"},
		{"begin", 0, 0, G_OPTION_ARG_STRING, &opt_begin,
				"There, but not begun so long after the offer is silent; default: 1d",
				"TIME"},
		{"lapse", 0, 0, G_OPTION_ARG_STRING, &opt_lapse,
				"Who has not come for it gives its place to another; default: 15m",
				"TIME"},
		{"patience", 0, 0, G_OPTION_ARG_STRING, &opt_patience,
				"Ends when only hosts not heard of are missing so long; default: 1d",
				"TIME"},
		{"ring-pause", 0, 0, G_OPTION_ARG_STRING, &opt_ring_pause,
				"Between rings; default: none", "TIME"},
		{"max-in-flight", 0, 0, G_OPTION_ARG_INT, &opt_in_flight, "So many at once at most",
				"N"},
		{"budget", 'b', 0, G_OPTION_ARG_STRING_ARRAY, &opt_budgets,
				"site=3 or site=10%: so many at once for each value; may be given again",
				"LABEL=MAX"},
		{"window", 'w', 0, G_OPTION_ARG_STRING_ARRAY, &opt_windows,
				"\"Sat 02:00-05:00 Europe/Zurich\"; may be given again", "WINDOW"},
		{"on-halt", 0, 0, G_OPTION_ARG_STRING, &opt_on_halt, "hold (default) or revert",
				"WORD"},
		{"beside", 0, 0, G_OPTION_ARG_NONE, &opt_beside,
				"Though another rollout that is not over has some of the hosts",
				NULL},
		ASH_CLI_REASON,
		{"dry-run", 'n', 0, G_OPTION_ARG_NONE, &opt_dry_run, "Only show what it would be",
				NULL},
		{"yes", 'y', 0, G_OPTION_ARG_NONE, &opt_yes, "Do not ask", NULL},
		{0},
};

/* What is no number has no JSON; what is out of bounds is the server's to say. */
static gboolean add_share(JsonBuilder *body, const char *key, double share, GError **error)
{
	if (share <= -G_MAXDOUBLE)
		return TRUE;
	if (!isfinite(share))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--%s takes a share like 0.01", key);
	json_builder_set_member_name(body, key);
	json_builder_add_double_value(body, share);
	return TRUE;
}

static gboolean add_time(JsonBuilder *body, const char *key, const char *option, const char *text,
		GError **error)
{
	int64_t seconds = 0;

	if (text == NULL)
		return TRUE;
	if (!ash_cli_seconds(option, text, &seconds, error))
		return FALSE;
	ash_json_add_int(body, key, seconds);
	return TRUE;
}

static gboolean add_budgets(JsonBuilder *body, GError **error)
{
	if (opt_budgets == NULL)
		return TRUE;
	ash_json_begin_array(body, "budgets");
	for (char **word = opt_budgets; *word != NULL; word++) {
		const char *equals = strchr(*word, '=');
		if (equals == NULL)
			return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
					"--budget takes LABEL=MAX, not '%s'", *word);
		g_autofree char *label = g_strndup(*word, (size_t) (equals - *word));
		guint64 max = 0;
		json_builder_begin_object(body);
		ash_json_add_text(body, "label", label);
		if (g_ascii_string_to_unsigned(equals + 1, 10, 1, G_MAXINT32, &max, NULL))
			ash_json_add_uint(body, "max", max);
		else
			ash_json_add_text(body, "max", equals + 1);
		json_builder_end_object(body);
	}
	json_builder_end_array(body);
	return TRUE;
}

static gboolean add_spec(JsonBuilder *body, char **args, GError **error)
{
	ash_json_add_text(body, "name", opt_name);
	if (opt_assignment != NULL) {
		ash_json_add_text(body, "assignment", opt_assignment);
		ash_json_add_text(body, "version", opt_version);
		if (opt_widen)
			ash_json_add_bool(body, "widen", true);
	} else {
		ash_json_add_text(body, "release", args[0]);
		ash_json_add_text(body, "selector", args[1]);
	}
	ash_json_add_text(body, "channel", opt_channel);
	ash_json_add_text(body, "canaries", opt_canaries);
	ash_json_add_text(body, "growth", opt_growth);
	ash_json_add_text(body, "on_halt", opt_on_halt);
	if (opt_beside)
		ash_json_add_bool(body, "beside", true);
	if (opt_first != ASH_CLI_NOT_GIVEN)
		ash_json_add_int(body, "first", opt_first);
	if (opt_in_flight != ASH_CLI_NOT_GIVEN)
		ash_json_add_int(body, "max_in_flight", opt_in_flight);
	if (!add_share(body, "tolerated", opt_tolerated, error) ||
			!add_share(body, "alpha", opt_alpha, error))
		return FALSE;
	if (opt_windows != NULL)
		ash_json_add_texts(body, "windows", opt_windows);
	return add_time(body, "soak", "soak", opt_soak, error) &&
	       add_time(body, "deadline", "deadline", opt_deadline, error) &&
	       add_time(body, "begin", "begin", opt_begin, error) &&
	       add_time(body, "lapse", "lapse", opt_lapse, error) &&
	       add_time(body, "patience", "patience", opt_patience, error) &&
	       add_time(body, "ring_pause", "ring-pause", opt_ring_pause, error) &&
	       add_budgets(body, error);
}

/* "at 4 hosts the 2nd failure stops it" for each limit, and what the server warns of. */
static void print_plan(JsonObject *plan)
{
	JsonNode *limits = json_object_get_member(plan, "limits");
	JsonNode *warnings = json_object_get_member(plan, "warnings");

	fprintf(stderr,
			"%" G_GUINT64_FORMAT " hosts, %" G_GUINT64_FORMAT
			" of them have it already\n",
			ash_json_find_uint(plan, "hosts"), ash_json_find_uint(plan, "already"));
	for (guint i = 0; limits != NULL && JSON_NODE_HOLDS_ARRAY(limits) &&
			  i < json_array_get_length(json_node_get_array(limits));
			i++) {
		JsonNode *pair = json_array_get_element(json_node_get_array(limits), i);
		if (JSON_NODE_HOLDS_ARRAY(pair) &&
				json_array_get_length(json_node_get_array(pair)) == 2)
			fprintf(stderr,
					"  ring %-2u up to %-8" G_GINT64_FORMAT
					" hosts, %" G_GINT64_FORMAT " failures stop it\n",
					i + 1,
					json_array_get_int_element(json_node_get_array(pair), 0),
					json_array_get_int_element(json_node_get_array(pair), 1));
	}
	fputs("  any failure in ring 1 pauses it\n", stderr);
	for (guint i = 0; warnings != NULL && JSON_NODE_HOLDS_ARRAY(warnings) &&
			  i < json_array_get_length(json_node_get_array(warnings));
			i++) {
		JsonNode *one = json_array_get_element(json_node_get_array(warnings), i);
		g_autofree char *text = ash_cli_plain(
				JSON_NODE_HOLDS_VALUE(one) && json_node_get_value_type(one) ==
										G_TYPE_STRING
						? json_node_get_string(one)
						: "");
		fprintf(stderr, "  warning: %s\n", text);
	}
}

static gboolean check_what(char **args, GError **error)
{
	guint count = g_strv_length(args);

	if (opt_assignment == NULL && (opt_version != NULL || opt_widen))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--version and --widen are of a workload, with --assignment");
	if (opt_assignment == NULL && count != 2)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"'ashlar-fleet rollouts start' takes: RELEASE SELECTOR, or --assignment "
				"ID --version VERSION");
	if (opt_assignment != NULL && (count > 0 || opt_version == NULL))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"of a workload it takes --assignment ID --version VERSION, and no "
				"RELEASE or SELECTOR: the assignment has its hosts");
	return !opt_widen || ash_cli_need("reason", ash_cli_reason, error);
}

/* The server would refuse it: so nobody is asked for the number of hosts. */
static gboolean check_beside(JsonObject *plan, GError **error)
{
	JsonArray *overlaps = ash_json_find_objects(plan, "overlaps");

	if (opt_beside || overlaps == NULL || json_array_get_length(overlaps) == 0)
		return TRUE;
	JsonObject *first = json_array_get_object_element(overlaps, 0);
	g_autofree char *id = ash_cli_cell(first, "rollout", ASH_CLI_TEXT);
	g_autofree char *version = ash_cli_cell(first, "version", ASH_CLI_TEXT);
	g_autofree char *state = ash_cli_cell(first, "state", ASH_CLI_TEXT);
	guint more = json_array_get_length(overlaps) - 1;
	g_autofree char *others =
			more > 0 ? g_strdup_printf(" (and others in %u more)", more) : g_strdup("");

	return ash_throw(error, ASH_CLI_CLIENT_ERROR, ASH_CLI_CLIENT_ERROR_CONFLICT,
			"%" G_GUINT64_FORMAT
			" of these hosts are in rollout %s (to %s, %s) too%s: let "
			"it end, cancel or revert it, choose other hosts, or say --beside",
			ash_json_find_uint(first, "hosts"), id, version, state, others);
}

static gboolean start(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonBuilder) draft = ash_cli_body(), body = ash_cli_body();
	g_autoptr(JsonNode) plan = NULL, node = NULL;

	if (!check_what(args, error) || !ash_cli_count("first", opt_first, 1, MAX_FIRST, error) ||
			!ash_cli_count("max-in-flight", opt_in_flight, 0, ASH_ROLLOUT_MAX_HOSTS,
					error) ||
			!add_spec(draft, args, error) || !add_spec(body, args, error) ||
			!ash_cli_change(context, "POST", "/v1/rollouts?dry_run=1",
					g_steal_pointer(&draft), NULL, &plan, error))
		return FALSE;
	guint64 hosts = ash_json_find_uint(json_node_get_object(plan), "hosts");
	if (opt_dry_run && context->json)
		ash_cli_print_json(plan);
	else if (!context->json)
		print_plan(json_node_get_object(plan));
	if (opt_dry_run)
		return TRUE;
	if (!check_beside(json_node_get_object(plan), error) ||
			!ash_cli_confirm(opt_yes, hosts, "This starts the rollout", error) ||
			!ash_cli_change(context, "POST", "/v1/rollouts", g_steal_pointer(&body),
					NULL, &node, error))
		return FALSE;
	const char *id = ash_json_find_text(json_node_get_object(node), "id");
	if (context->json)
		ash_cli_print_json(node);
	else
		puts(id != NULL ? id : "");
	ash_progress_note(context->progress, "'ashlar-fleet rollouts watch %s' follows it",
			id != NULL ? id : "");
	return TRUE;
}

const AshCliCommand ash_fleet_cmd_rollout_start[] = {
		{.name = "rollouts start",
				.synopsis = "[RELEASE SELECTOR]",
				.summary = "Roll a release or a workload out, ring by ring",
				.details = "Shows the rings and their limits first, and asks for the number of "
					   "hosts. Prints the rollout's id. Refused when another rollout "
					   "that is not over has some of the hosts, but with --beside: "
					   "then such a host goes with the one whose turn for it comes "
					   "first, and with the other when that is settled.",
				.options = options,
				.max_args = 2,
				.run = start},
		{0},
};
