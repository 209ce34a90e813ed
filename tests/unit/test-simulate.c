/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/simulate.h"

#include <math.h>
#include <string.h>

#include "fleet/rollout.h"

/* The eight proofs of a rollout that stops by itself: issue 4, §6. Seeds are fixed, so nothing here is a matter of luck. */

/* The sanitizers look at the code; the release flavour proves the figures. */
#ifdef __SANITIZE_ADDRESS__
#define FEWER true
#else
#define FEWER false
#endif

static uint64_t state = 1;

static uint64_t draw(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

static double uniform(void)
{
	return (double) (draw() >> 11) / 9007199254740992.0;
}

static void id_of(uint32_t number, uint8_t id[ASH_ROLLOUT_ID_BYTES])
{
	memset(id, 0, ASH_ROLLOUT_ID_BYTES);
	memcpy(id, &number, sizeof number);
	memcpy(id + 8, &number, sizeof number);
}

/* ---- 1: a good release is halted in at most α of all rollouts ---- */

/* P(X <= k) of n tries at p. */
static double binomial_below(unsigned k, unsigned n, double p)
{
	double sum = 0;

	for (unsigned i = 0; i <= k; i++)
		sum += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) + i * log(p) +
				(n - i) * log1p(-p));
	return sum;
}

/* The upper end of the exact (Clopper and Pearson's) interval of 95 %. */
static double upper_bound(unsigned k, unsigned n)
{
	double low = (double) k / n, high = 1;

	for (unsigned i = 0; i < 60; i++) {
		double middle = (low + high) / 2;
		if (binomial_below(k, n, middle) > 0.025)
			low = middle;
		else
			high = middle;
	}
	return high;
}

static void test_false_halts(void)
{
	static const struct {
		const char *name;
		double early, late;
	} delays[] = {{"failures first", 0.1, 2}, {"failures last", 2, 0.1}, {"alike", 1, 1}};
	const unsigned runs = FEWER ? 70 : 6700;
	unsigned all = 0;

	for (unsigned i = 0; i < G_N_ELEMENTS(delays); i++) {
		unsigned halted = 0;
		for (unsigned run = 0; run < runs; run++) {
			AshSimulation simulation;
			AshSimulated result;
			ash_simulation_init(&simulation);
			simulation.hosts = 130;
			simulation.noise = simulation.tolerated;
			simulation.early = delays[i].early;
			simulation.late = delays[i].late;
			simulation.ring_pause_s = 0;
			simulation.deadline_s = 36000; /* nobody is silent but by dying */
			simulation.resumes = true;
			/* The same fates for each of the delays: the verdicts must not differ. */
			simulation.seed = run + 1;
			ash_simulate(&simulation, &result);
			halted += result.is_stopped ? 1 : 0;
		}
		double bound = upper_bound(halted, runs);
		g_test_message("%s: %u of %u halted, at most %.2f %% (alpha is 1 %%)",
				delays[i].name, halted, runs, bound * 100);
		g_assert_cmpfloat(bound, <, FEWER ? 1 : 0.01);
		all += halted;
	}
	if (!FEWER)
		g_assert_cmpuint(all, >, 0); /* it does stop at all */
}

/* The rule alone, over many more hosts: failures of each ring are drawn, the table judges. */
static void test_false_halts_of_the_rule(void)
{
	static const double tolerated[] = {0.005, 0.01, 0.02, 0.05};
	const unsigned runs = 20000;

	for (unsigned i = 0; i < G_N_ELEMENTS(tolerated); i++) {
		g_autoptr(AshRolloutSpec) spec = ash_rollout_spec_new();
		unsigned halted = 0;
		spec->tolerated = tolerated[i];
		spec->growth = 2;
		ash_rollout_spec_plan(spec, 2048, 0);
		for (unsigned run = 0; run < runs; run++) {
			uint32_t hosts = 0, f = 0;
			for (guint ring = 0; hosts < 2048; ring++) {
				AshRolloutLimit limit =
						g_array_index(spec->table, AshRolloutLimit, ring);
				for (; hosts < limit.m; hosts++)
					f += uniform() < tolerated[i] ? 1 : 0;
				if (f >= limit.f) {
					halted++;
					break;
				}
			}
		}
		double bound = upper_bound(halted, runs);
		g_test_message("at %.1f %%: %u of %u halted, at most %.2f %%", tolerated[i] * 100,
				halted, runs, bound * 100);
		g_assert_cmpfloat(bound, <, 0.01);
	}
}

/* ---- 2: who is exposed ---- */

static void test_exposure(void)
{
	/* At most so many exposed, harmed; 0: everybody is exposed. In the order of the table. */
	static const struct {
		unsigned least, most;
	} expected[7][6] = {
			{{10000, 10000}, {10000, 10000}, {1000, 1000}, {10000, 10000}, {1000, 1000},
					{10000, 10000}},
			{{10000, 10000}, {1000, 1000}, {1000, 1000}, {1000, 1000}, {1000, 1000},
					{10000, 10000}},
			{{10000, 10000}, {200, 400}, {200, 400}, {5000, 10000}, {900, 1200},
					{10000, 10000}},
			{{10000, 10000}, {10000, 10000}, {10000, 10000}, {10000, 10000},
					{10000, 10000}, {10000, 10000}},
			{{10000, 10000}, {10000, 10000}, {10000, 10000}, {10000, 10000},
					{10000, 10000}, {10000, 10000}},
			{{32, 140}, {2, 8}, {1, 4}, {4, 8}, {4, 4}, {10000, 10000}},
			{{16, 270}, {2, 16}, {1, 4}, {4, 16}, {4, 4}, {10000, 10000}},
	};

	for (unsigned row = 0; ash_simulate_rows[row].name != NULL; row++)
		for (unsigned column = 0; ash_simulate_columns[column].name != NULL; column++) {
			AshSimulation simulation;
			AshSimulatedMany many;
			ash_simulation_init(&simulation);
			simulation.policy = ash_simulate_rows[row].policy;
			simulation.growth = ash_simulate_rows[row].growth;
			simulation.success_percent = ash_simulate_rows[row].success_percent;
			simulation.error_percent = ash_simulate_rows[row].error_percent;
			simulation.fails = ash_simulate_columns[column].fails;
			simulation.dies = ash_simulate_columns[column].dies;
			ash_simulate_many(&simulation, FEWER ? 1 : 11, &many);
			g_test_message("%s, %s: %u exposed, %u harmed", ash_simulate_rows[row].name,
					ash_simulate_columns[column].name, many.middle.exposed,
					many.middle.harmed);
			if (FEWER)
				continue;
			g_assert_cmpuint(many.middle.exposed, >=, expected[row][column].least);
			g_assert_cmpuint(many.middle.exposed, <=, expected[row][column].most);
		}
}

/* ---- a fleet of which each host does something at random ---- */

typedef struct {
	AshRollout *rollout;
	GPtrArray *lines;
	bool is_stopped; /* halted or paused: nothing may be assigned */
	unsigned assigned_while_stopped;
} Fleet;

static void keep_line(const char *text, gpointer data)
{
	g_ptr_array_add(((Fleet *) data)->lines, g_strdup(text));
}

static void watch(const AshRolloutDecision *decision, gpointer data)
{
	Fleet *fleet = data;

	if (decision->kind == ASH_ROLLOUT_DECIDE_STATE)
		fleet->is_stopped = decision->state != ASH_ROLLOUT_RUNNING;
	if (decision->kind == ASH_ROLLOUT_DECIDE_ASSIGN && fleet->is_stopped)
		fleet->assigned_while_stopped++;
}

static AshRolloutSpec *spec_new(void)
{
	AshRolloutSpec *spec = ash_rollout_spec_new();
	AshRolloutBudget *budget = g_new0(AshRolloutBudget, 1);

	budget->label = g_strdup("site");
	budget->max = 6;
	g_ptr_array_add(spec->budgets, budget);
	g_free(spec->id);
	spec->id = g_strdup("proof");
	spec->max_in_flight = 20;
	spec->soak_s = 30;
	spec->tolerated = 0.05;
	ash_rollout_spec_plan(spec, 300, 3);
	return spec;
}

static void fleet_open(Fleet *fleet)
{
	AshRolloutSink sink = {keep_line, watch, fleet};

	*fleet = (Fleet){.lines = g_ptr_array_new_with_free_func(g_free)};
	fleet->rollout = ash_rollout_new(spec_new(), &sink);
}

static void fleet_close(Fleet *fleet)
{
	ash_rollout_free(fleet->rollout);
	g_ptr_array_unref(fleet->lines);
}

/* One piece of news, as it comes from nobody knows where. */
static void random_news(AshRollout *rollout, unsigned hosts)
{
	static const char *const boots[] = {"", "a", "b"};
	uint32_t host = (uint32_t) (draw() % hosts);
	uint8_t id[ASH_ROLLOUT_ID_BYTES];
	const char *groups[] = {host % 3 == 0 ? "bern" : host % 3 == 1 ? "zug" : ""};
	AshRolloutHost known;

	id_of(host, id);
	switch (draw() % 12) {
	case 0:
		ash_rollout_join(rollout, id, host % 100 == 0, groups);
		break;
	case 1:
		if (draw() % 10 == 0)
			ash_rollout_leave(rollout, id);
		break;
	case 2:
	case 3:
		ash_rollout_reach(rollout, id, (AshRolloutReach) (draw() % 3));
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		/* Only who is assigned comes for it: what else may be is in a test of its own. */
		if (ash_rollout_host(rollout, id, &known) && known.outcome == ASH_ROLLOUT_ASSIGNED)
			ash_rollout_offered(rollout, id);
		break;
	default:
		if (ash_rollout_host(rollout, id, &known) && known.outcome == ASH_ROLLOUT_OFFERED)
			ash_rollout_report(rollout, id,
					draw() % 40 == 0 ? ASH_ROLLOUT_SAID_FAILED
							 : (AshRolloutSaid) (1 + draw() % 3),
					boots[draw() % 3], "why");
		break;
	}
}

static void random_act(AshRollout *rollout)
{
	g_autoptr(GError) error = NULL;
	AshRolloutNow now;

	ash_rollout_now(rollout, &now);
	if (now.state == ASH_ROLLOUT_PAUSED || now.state == ASH_ROLLOUT_HALTED)
		g_assert_true(ash_rollout_act(rollout, ASH_ROLLOUT_RESUME, "ann", "on", &error));
	else if (draw() % 5 == 0)
		(void) !ash_rollout_act(rollout, ASH_ROLLOUT_PAUSE, "ann", "", &error);
}

static void join_all(AshRollout *rollout, unsigned hosts)
{
	uint8_t id[ASH_ROLLOUT_ID_BYTES];

	for (uint32_t i = 0; i < hosts; i++) {
		const char *groups[] = {i % 3 == 0 ? "bern" : i % 3 == 1 ? "zug" : ""};
		id_of(i, id);
		ash_rollout_join(rollout, id, i % 100 == 0, groups);
		ash_rollout_reach(rollout, id, ASH_ROLLOUT_READY);
	}
}

/* ---- 3: the order of arrival does not matter ---- */

static void test_arrival_order(void)
{
	for (unsigned bad = 0; bad <= 4; bad++) {
		g_autofree char *first = NULL;
		for (unsigned shuffle = 0; shuffle < 50; shuffle++) {
			Fleet fleet;
			uint32_t order[64];
			AshRolloutSpec *spec = ash_rollout_spec_new();
			spec->first = 64;
			spec->soak_s = 0;
			ash_rollout_spec_plan(spec, 64, 0);
			AshRolloutSink sink = {keep_line, watch, &fleet};
			fleet = (Fleet){.lines = g_ptr_array_new_with_free_func(g_free)};
			fleet.rollout = ash_rollout_new(spec, &sink);
			join_all(fleet.rollout, 64);
			ash_rollout_step(fleet.rollout);
			for (uint32_t i = 0; i < 64; i++)
				order[i] = i;
			for (uint32_t i = 63; i > 0; i--) {
				uint32_t j = (uint32_t) (draw() % (i + 1)), swap = order[i];
				order[i] = order[j];
				order[j] = swap;
			}
			for (uint32_t i = 0; i < 64; i++) {
				uint8_t id[ASH_ROLLOUT_ID_BYTES];
				id_of(order[i], id);
				ash_rollout_offered(fleet.rollout, id);
				ash_rollout_report(fleet.rollout, id,
						order[i] < bad ? ASH_ROLLOUT_SAID_FAILED
							       : ASH_ROLLOUT_SAID_GOOD,
						"b", "why");
			}
			ash_rollout_step(fleet.rollout);
			AshRolloutNow now;
			ash_rollout_now(fleet.rollout, &now);
			g_autofree char *verdict = g_strdup_printf("%s f=%u confirmed=%u",
					ash_rollout_state_text(now.state), now.failures,
					now.counts[ASH_ROLLOUT_CONFIRMED]);
			if (first == NULL)
				first = g_strdup(verdict);
			g_assert_cmpstr(verdict, ==, first);
			fleet_close(&fleet);
		}
	}
}

/* ---- 4: a restart at every step comes to the same ledger ---- */

typedef struct {
	const GPtrArray *lines;
	guint at;
} Reader;

static const char *next_line(gpointer data, GError **error)
{
	Reader *reader = data;

	return reader->at < reader->lines->len ? reader->lines->pdata[reader->at++] : NULL;
}

static void course(Fleet *fleet, bool restarts)
{
	int64_t now = 1000;

	state = 4711;
	fleet_open(fleet);
	ash_rollout_at(fleet->rollout, now);
	join_all(fleet->rollout, 200);
	for (unsigned step = 0; step < 400; step++) {
		ash_rollout_step(fleet->rollout);
		if (restarts) {
			Reader reader = {fleet->lines, 0};
			AshRolloutSink sink = {keep_line, watch, fleet};
			g_autoptr(GError) error = NULL;
			ash_rollout_free(g_steal_pointer(&fleet->rollout));
			g_assert_true(ash_rollout_load(
					spec_new(), next_line, &reader, &fleet->rollout, &error));
			ash_rollout_set_sink(fleet->rollout, &sink);
		}
		now += (int64_t) (draw() % 200);
		ash_rollout_at(fleet->rollout, now);
		for (unsigned i = 0; i < 20; i++)
			random_news(fleet->rollout, 300);
		if (draw() % 10 == 0)
			random_act(fleet->rollout);
	}
	ash_rollout_step(fleet->rollout);
}

static void test_restarts(void)
{
	Fleet calm, shaken;

	course(&calm, false);
	course(&shaken, true);
	g_test_message("%u lines", calm.lines->len);
	g_assert_cmpuint(calm.lines->len, >, 1000);
	g_assert_cmpuint(calm.lines->len, ==, shaken.lines->len);
	for (guint i = 0; i < calm.lines->len; i++)
		g_assert_cmpstr(calm.lines->pdata[i], ==, shaken.lines->pdata[i]);
	fleet_close(&calm);
	fleet_close(&shaken);
}

/* ---- 5: rank ---- */

static void test_rank(void)
{
	enum {
		HOSTS = 64000,
		BINS = 64
	};
	unsigned counts[BINS] = {0}, pairs[BINS] = {0};
	double chi = 0, chi_pairs = 0;

	for (uint32_t i = 0; i < HOSTS; i++) {
		uint8_t id[ASH_ROLLOUT_ID_BYTES];
		id_of(i, id);
		uint64_t a = ash_rollout_rank("rollout-a", id),
			 b = ash_rollout_rank("rollout-b", id);
		counts[a >> 58]++;
		pairs[(a >> 61) * 8 + (b >> 61)]++;
	}
	for (unsigned i = 0; i < BINS; i++) {
		double expected = (double) HOSTS / BINS;
		chi += pow(counts[i] - expected, 2) / expected;
		chi_pairs += pow(pairs[i] - expected, 2) / expected;
	}
	/* 63 degrees of freedom: 103.4 is exceeded once in a thousand times. */
	g_test_message("chi squared of one rank %.1f, of the pair in two rollouts %.1f", chi,
			chi_pairs);
	g_assert_cmpfloat(chi, <, 103.4);
	g_assert_cmpfloat(chi_pairs, <, 103.4);
}

/* ---- 6: what always holds ---- */

typedef struct {
	unsigned open, bern, zug, taken, counted;
} Sums;

static bool add_host(const AshRolloutHost *host, gpointer data)
{
	Sums *sums = data;
	uint32_t number;
	bool is_open = host->outcome == ASH_ROLLOUT_ASSIGNED ||
		       host->outcome == ASH_ROLLOUT_OFFERED;

	memcpy(&number, host->id, sizeof number);
	sums->open += is_open ? 1 : 0;
	sums->bern += is_open && number % 3 == 0 ? 1 : 0;
	sums->zug += is_open && number % 3 == 1 ? 1 : 0;
	sums->taken += host->has_place ? 1 : 0;
	sums->counted += host->is_counted ? 1 : 0;
	return true;
}

static void test_invariants(void)
{
	state = 99;
	for (unsigned run = 0; run < 40; run++) {
		Fleet fleet;
		int64_t now = 1000;
		fleet_open(&fleet);
		ash_rollout_at(fleet.rollout, now);
		join_all(fleet.rollout, 100 + run);
		for (unsigned step = 0; step < 200; step++) {
			AshRolloutNow seen;
			Sums sums = {0};
			now += (int64_t) (draw() % 300);
			ash_rollout_at(fleet.rollout, now);
			for (unsigned i = 0; i < 30; i++)
				random_news(fleet.rollout, 300);
			if (draw() % 20 == 0)
				random_act(fleet.rollout);
			ash_rollout_step(fleet.rollout);
			ash_rollout_now(fleet.rollout, &seen);
			ash_rollout_each(fleet.rollout, add_host, &sums);
			g_assert_cmpuint(seen.taken, ==, sums.taken);
			g_assert_cmpuint(seen.open, ==, sums.open);
			g_assert_cmpuint(seen.failures, ==, sums.counted);
			g_assert_cmpuint(sums.taken, <=, seen.limit);
			g_assert_cmpuint(sums.open, <=, 20);
			g_assert_cmpuint(sums.bern, <=, 6);
			g_assert_cmpuint(sums.zug, <=, 6);
			g_assert_cmpuint(fleet.assigned_while_stopped, ==, 0);
		}
		fleet_close(&fleet);
	}
}

/* ---- 7: small cases, all of them ---- */

static double plain_sum(double p0, unsigned f, unsigned m)
{
	static const double factors[] = {1.5, 2, 3, 5, 10, 20, 50};
	double sum = 0;

	for (unsigned i = 0; i < G_N_ELEMENTS(factors); i++) {
		double p = MIN(p0 * factors[i], 0.9);
		sum += pow(p / p0, f) * pow((1 - p) / (1 - p0), m - f);
	}
	return sum / G_N_ELEMENTS(factors);
}

static void test_table_by_hand(void)
{
	/* The table of the reference: limits at 4, 8, … for p0 = 0.5, 1, 2, 5 %. */
	static const double tolerated[] = {0.005, 0.01, 0.02, 0.05};
	static const unsigned hosts[] = {4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384};
	static const unsigned expected[4][11] = {
			{2, 2, 3, 3, 4, 5, 7, 10, 15, 39, 118},
			{2, 3, 3, 4, 5, 7, 10, 15, 24, 66, 219},
			{3, 3, 4, 5, 7, 10, 15, 24, 39, 117, 420},
			{3, 4, 6, 8, 11, 17, 27, 45, 79, 268, 1027},
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(tolerated); i++) {
		for (unsigned j = 0; j < G_N_ELEMENTS(hosts); j++)
			g_assert_cmpuint(ash_rollout_limit_of(tolerated[i], 0.01, hosts[j]), ==,
					expected[i][j]);
		for (unsigned m = 1; m <= 200; m++) {
			unsigned f = 0;
			while (f <= m && plain_sum(tolerated[i], f, m) < 100)
				f++;
			g_assert_cmpuint(ash_rollout_limit_of(tolerated[i], 0.01, m), ==, f);
		}
	}
}

/* The chance of ever halting a release that fails at exactly the tolerated rate, reckoned and not drawn. */
static void test_exact_chance(void)
{
	static const double tolerated[] = {0.005, 0.01, 0.02, 0.05};

	for (unsigned i = 0; i < G_N_ELEMENTS(tolerated); i++)
		for (unsigned growth = 2; growth <= 10; growth += 2) {
			g_autoptr(AshRolloutSpec) spec = ash_rollout_spec_new();
			double chances[1025] = {1}, halted = 0;
			unsigned hosts = 0;
			spec->tolerated = tolerated[i];
			spec->growth = growth;
			ash_rollout_spec_plan(spec, 1024, 0);
			for (guint ring = 0; hosts < 1024; ring++) {
				AshRolloutLimit limit =
						g_array_index(spec->table, AshRolloutLimit, ring);
				for (; hosts < limit.m; hosts++)
					for (unsigned f = hosts + 1; f > 0; f--) {
						chances[f] += chances[f - 1] * tolerated[i] -
							      chances[f] * tolerated[i];
						if (f == 1)
							chances[0] *= 1 - tolerated[i];
					}
				for (unsigned f = limit.f; f <= 1024; f++) {
					halted += chances[f];
					chances[f] = 0;
				}
			}
			g_test_message("p0 %.1f %%, x%u: %.3f %%", tolerated[i] * 100, growth,
					halted * 100);
			g_assert_cmpfloat(halted, <, 0.01);
			g_assert_cmpfloat(halted, >, 0);
		}
}

/* Each of the 3^4 outcomes of a first ring of four. */
static void test_first_ring_all(void)
{
	for (unsigned what = 0; what < 81; what++) {
		Fleet fleet = {.lines = g_ptr_array_new_with_free_func(g_free)};
		AshRolloutSpec *spec = ash_rollout_spec_new();
		unsigned bad = 0, rest = what;
		spec->soak_s = 0;
		ash_rollout_spec_plan(spec, 4, 0);
		fleet.rollout = ash_rollout_new(spec, NULL);
		ash_rollout_at(fleet.rollout, 1000);
		join_all(fleet.rollout, 4);
		ash_rollout_step(fleet.rollout);
		for (uint32_t i = 0; i < 4; i++, rest /= 3) {
			uint8_t id[ASH_ROLLOUT_ID_BYTES];
			id_of(i, id);
			ash_rollout_offered(fleet.rollout, id);
			bad += rest % 3 != 0 ? 1 : 0;
			if (rest % 3 == 2) {
				ash_rollout_report(fleet.rollout, id, ASH_ROLLOUT_SAID_REBOOT, "a",
						"");
				ash_rollout_reach(fleet.rollout, id, ASH_ROLLOUT_AWAY);
				continue;
			}
			ash_rollout_report(fleet.rollout, id,
					rest % 3 == 0 ? ASH_ROLLOUT_SAID_GOOD
						      : ASH_ROLLOUT_SAID_FAILED,
					"b", "");
		}
		ash_rollout_step(fleet.rollout);
		ash_rollout_at(fleet.rollout, 1000 + 5400);
		ash_rollout_step(fleet.rollout);
		AshRolloutNow now;
		ash_rollout_now(fleet.rollout, &now);
		g_assert_cmpuint(now.failures, ==, bad);
		g_assert_cmpint(now.state, ==,
				bad == 0   ? ASH_ROLLOUT_FINISHED
				: bad == 1 ? ASH_ROLLOUT_PAUSED
					   : ASH_ROLLOUT_HALTED);
		fleet_close(&fleet);
	}
}

/* ---- 8: a million hosts ---- */

static void test_million(void)
{
	const uint32_t hosts = FEWER ? 100000 : 1000000;
	AshRolloutSpec *spec = ash_rollout_spec_new();
	uint8_t id[ASH_ROLLOUT_ID_BYTES];

	spec->first = 100000;
	spec->growth = 10;
	spec->soak_s = 0;
	ash_rollout_spec_plan(spec, hosts, 0);
	g_autoptr(AshRollout) rollout = ash_rollout_new(spec, NULL);
	ash_rollout_at(rollout, 1000);
	int64_t begin = g_get_monotonic_time();
	for (uint32_t i = 0; i < hosts; i++) {
		id_of(i, id);
		ash_rollout_join(rollout, id, false, NULL);
		ash_rollout_reach(rollout, id, ASH_ROLLOUT_READY);
	}
	int64_t joined = g_get_monotonic_time();
	ash_rollout_step(rollout);
	int64_t stepped = g_get_monotonic_time();
	g_test_message("%u hosts: joined in %.2f s, first step %.3f s", hosts,
			(double) (joined - begin) / 1e6, (double) (stepped - joined) / 1e6);
	for (uint32_t i = 0; i < hosts; i++) {
		id_of(i, id);
		ash_rollout_report(rollout, id, ASH_ROLLOUT_SAID_GOOD, "b", "");
	}
	begin = g_get_monotonic_time();
	ash_rollout_step(rollout);
	g_test_message("a step that settles and assigns hundreds of thousands: %.3f s",
			(double) (g_get_monotonic_time() - begin) / 1e6);
	AshRolloutNow now;
	ash_rollout_now(rollout, &now);
	g_assert_cmpuint(now.counts[ASH_ROLLOUT_CONFIRMED] + now.counts[ASH_ROLLOUT_ALREADY], ==,
			hosts);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/simulate/1-false-halts", test_false_halts);
	g_test_add_func("/simulate/1-false-halts-of-the-rule", test_false_halts_of_the_rule);
	g_test_add_func("/simulate/2-exposure", test_exposure);
	g_test_add_func("/simulate/3-arrival-order", test_arrival_order);
	g_test_add_func("/simulate/4-restarts", test_restarts);
	g_test_add_func("/simulate/5-rank", test_rank);
	g_test_add_func("/simulate/6-invariants", test_invariants);
	g_test_add_func("/simulate/7-table-by-hand", test_table_by_hand);
	g_test_add_func("/simulate/7-exact-chance", test_exact_chance);
	g_test_add_func("/simulate/7-first-ring", test_first_ring_all);
	g_test_add_func("/simulate/8-million", test_million);
	return g_test_run();
}
