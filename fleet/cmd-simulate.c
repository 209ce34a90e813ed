/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fleet/cli.h"
#include "fleet/simulate.h"
#include "lib/error.h"
#include "lib/interrupt.h"
#include "lib/json.h"

static int opt_hosts = 10000, opt_runs = 20, opt_first = 4, opt_canaries, opt_in_flight,
	   opt_seed = 1;
static double opt_fails, opt_dies, opt_noise = 0.005, opt_tolerated = 0.01, opt_alpha = 0.01,
				   opt_window;
static char *opt_growth, *opt_pause, *opt_soak, *opt_delay, *opt_deadline;
static gboolean opt_compare;

static const GOptionEntry options[] = {
		{"hosts", 0, 0, G_OPTION_ARG_INT, &opt_hosts, "Default: 10000", "N"},
		{"fails", 0, 0, G_OPTION_ARG_DOUBLE, &opt_fails,
				"Share of hosts on which the release fails; default: 0", "SHARE"},
		{"dies", 0, 0, G_OPTION_ARG_DOUBLE, &opt_dies,
				"Share that it silences for ever; default: 0", "SHARE"},
		{"noise", 0, 0, G_OPTION_ARG_DOUBLE, &opt_noise,
				"Share that fails by chance; default: 0.005", "SHARE"},
		{"delay", 0, 0, G_OPTION_ARG_STRING, &opt_delay,
				"Mean time to come for it and boot it; default: 20m", "TIME"},
		{"window-hours", 0, 0, G_OPTION_ARG_DOUBLE, &opt_window,
				"Each host's own window a day; default: always open", "HOURS"},
		{"growth", 'g', 0, G_OPTION_ARG_STRING, &opt_growth,
				"careful (x2), normal (x4) or urgent (x10)", "WORD"},
		{"first", 0, 0, G_OPTION_ARG_INT, &opt_first, "Hosts of the first ring; default: 4",
				"N"},
		{"canaries", 0, 0, G_OPTION_ARG_INT, &opt_canaries, "Default: none", "N"},
		{"tolerated", 0, 0, G_OPTION_ARG_DOUBLE, &opt_tolerated, "Default: 0.01", "SHARE"},
		{"alpha", 0, 0, G_OPTION_ARG_DOUBLE, &opt_alpha, "Default: 0.01", "SHARE"},
		{"soak", 0, 0, G_OPTION_ARG_STRING, &opt_soak, "Default: 5m", "TIME"},
		{"deadline", 0, 0, G_OPTION_ARG_STRING, &opt_deadline, "Default: 90m", "TIME"},
		{"ring-pause", 0, 0, G_OPTION_ARG_STRING, &opt_pause,
				"Between rings; default: none", "TIME"},
		{"max-in-flight", 0, 0, G_OPTION_ARG_INT, &opt_in_flight, "Default: no limit", "N"},
		{"runs", 0, 0, G_OPTION_ARG_INT, &opt_runs, "Medians of so many; default: 20", "N"},
		{"seed", 0, 0, G_OPTION_ARG_INT, &opt_seed, "The same seed, the same result", "N"},
		{"compare", 0, 0, G_OPTION_ARG_NONE, &opt_compare,
				"The same bad releases under the policies of others", NULL},
		{0},
};

static gboolean is_share(const char *name, double share, double least, double most, GError **error)
{
	if (share >= least && share <= most)
		return TRUE;
	return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE, "--%s is from %g to %g", name,
			least, most);
}

static gboolean read_growth(unsigned *out_growth, GError **error)
{
	static const char *const words[] = {"careful", "normal", "urgent"};
	static const unsigned growths[] = {2, 4, 10};
	guint64 number = 4;

	for (unsigned i = 0; i < G_N_ELEMENTS(words); i++)
		if (g_strcmp0(opt_growth, words[i]) == 0) {
			*out_growth = growths[i];
			return TRUE;
		}
	if (opt_growth != NULL && !g_ascii_string_to_unsigned(opt_growth, 10, 2, 10, &number, NULL))
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--growth is careful, normal, urgent, or 2 to 10");
	*out_growth = (unsigned) number;
	return TRUE;
}

static gboolean read_options(AshSimulation *out, GError **error)
{
	AshSimulation s;

	ash_simulation_init(&s);
	s.soak_s = 300;
	s.ring_pause_s = 0;
	if (opt_hosts < 1 || opt_hosts > 2000000 || opt_runs < 1 || opt_runs > 100000 ||
			opt_first < 1 || opt_canaries < 0 || opt_canaries > opt_hosts ||
			opt_in_flight < 0)
		return ash_throw(error, ASH_CLI_ERROR, ASH_CLI_ERROR_USAGE,
				"--hosts is from 1 to 2000000, --runs from 1 to 100000, --first from 1, "
				"--canaries and --max-in-flight from 0");
	if (!is_share("fails", opt_fails, 0, 1, error) ||
			!is_share("dies", opt_dies, 0, 1, error) ||
			!is_share("noise", opt_noise, 0, 1, error) ||
			!is_share("tolerated", opt_tolerated, 0.00001, 0.5, error) ||
			!is_share("alpha", opt_alpha, 0.000001, 0.5, error) ||
			!is_share("window-hours", opt_window, 0, 24, error) ||
			!read_growth(&s.growth, error) ||
			(opt_pause != NULL && !ash_cli_seconds("ring-pause", opt_pause,
							      &s.ring_pause_s, error)) ||
			(opt_soak != NULL &&
					!ash_cli_seconds("soak", opt_soak, &s.soak_s, error)) ||
			(opt_deadline != NULL && !ash_cli_seconds("deadline", opt_deadline,
								 &s.deadline_s, error)) ||
			(opt_delay != NULL &&
					!ash_cli_seconds("delay", opt_delay, &s.delay_s, error)))
		return FALSE;
	s.hosts = (uint32_t) opt_hosts;
	s.fails = opt_fails;
	s.dies = opt_dies;
	s.noise = opt_noise;
	s.tolerated = opt_tolerated;
	s.alpha = opt_alpha;
	s.first = (unsigned) opt_first;
	s.canaries = (unsigned) opt_canaries;
	s.max_in_flight = (unsigned) opt_in_flight;
	s.window_h = opt_window;
	s.seed = (uint64_t) (unsigned) opt_seed;
	*out = s;
	return TRUE;
}

static void add_result(JsonBuilder *builder, const char *policy, const char *release,
		const AshSimulatedMany *many)
{
	json_builder_begin_object(builder);
	ash_json_add_text(builder, "policy", policy);
	ash_json_add_text(builder, "release", release);
	ash_json_add_uint(builder, "exposed", many->middle.exposed);
	ash_json_add_uint(builder, "harmed", many->middle.harmed);
	ash_json_add_int(builder, "seconds", many->middle.took_s);
	json_builder_set_member_name(builder, "stopped");
	json_builder_add_double_value(builder, many->stopped);
	json_builder_set_member_name(builder, "finished");
	json_builder_add_double_value(builder, many->finished);
	json_builder_end_object(builder);
}

static void print_heads(void)
{
	printf("%-34s", "exposed / harmed, medians");
	for (const AshSimulateColumn *column = ash_simulate_columns; column->name != NULL; column++)
		printf("  %19s", column->name);
	putchar('\n');
}

static gboolean compare(const AshCliContext *context, JsonBuilder *builder, GError **error)
{
	if (!context->json)
		print_heads();
	for (const AshSimulateRow *row = ash_simulate_rows; row->name != NULL; row++) {
		if (!context->json)
			printf("%-34s", row->name);
		for (const AshSimulateColumn *column = ash_simulate_columns; column->name != NULL;
				column++) {
			AshSimulation s;
			AshSimulatedMany many;
			char cell[48];
			if (!ash_interrupt_check(error))
				return FALSE;
			ash_simulation_init(&s); /* of the reference, whatever the options say */
			s.policy = row->policy;
			s.growth = row->growth;
			s.success_percent = row->success_percent;
			s.error_percent = row->error_percent;
			s.fails = column->fails;
			s.dies = column->dies;
			s.seed = (uint64_t) (unsigned) opt_seed;
			ash_simulate_many(&s, (unsigned) opt_runs, &many);
			if (context->json) {
				add_result(builder, row->name, column->name, &many);
				continue;
			}
			if (column->fails + column->dies > 0)
				g_snprintf(cell, sizeof cell, "%u / %u%s", many.middle.exposed,
						many.middle.harmed, many.stopped < 0.5 ? " *" : "");
			else
				g_snprintf(cell, sizeof cell, "takes %.1f h",
						(double) many.middle.took_s / 3600);
			printf("  %19s", cell);
		}
		if (!context->json)
			putchar('\n');
		fflush(stdout);
	}
	if (!context->json)
		puts("*: most runs did not stop by themselves");
	return TRUE;
}

static gboolean one(const AshCliContext *context, JsonBuilder *builder, GError **error)
{
	AshSimulation s;
	AshSimulatedMany many;

	if (!read_options(&s, error))
		return FALSE;
	ash_simulate_many(&s, (unsigned) opt_runs, &many);
	if (context->json) {
		add_result(builder, "rings", "as asked for", &many);
		return TRUE;
	}
	printf("of %u runs with %u hosts:\n", (unsigned) opt_runs, s.hosts);
	printf("exposed   %u (median)\n", many.middle.exposed);
	printf("harmed    %u (median)\n", many.middle.harmed);
	printf("stopped   %.1f %% by themselves (halted, or paused by the first ring)\n",
			many.stopped * 100);
	printf("finished  %.1f %%", many.finished * 100);
	if (many.finished > 0)
		printf(", in %.1f h (median)", (double) many.middle.took_s / 3600);
	putchar('\n');
	return TRUE;
}

static gboolean simulate(AshCliContext *context, char **args, int *out_exit, GError **error)
{
	g_autoptr(JsonBuilder) builder = ash_cli_body();

	ash_json_begin_array(builder, "items");
	if (!(opt_compare ? compare(context, builder, error) : one(context, builder, error)))
		return FALSE;
	json_builder_end_array(builder);
	json_builder_end_object(builder);
	g_autofree char *text = ash_json_format(builder, false);
	if (context->json)
		fputs(text, stdout);
	return TRUE;
}

const AshCliCommand ash_fleet_cmd_simulate[] = {
		{.name = "simulate",
				.summary = "What would a rollout do to a fleet? Needs no server",
				.details = "Imagined hosts come for the release and boot it after random times; the "
					   "rollout's own rules decide. --compare takes 10000 hosts, and rings 60 min "
					   "apart, beside models of the published rules of others.",
				.options = options,
				.run = simulate},
		{0},
};
