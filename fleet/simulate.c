/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/simulate.h"

#include <math.h>
#include <string.h>

#include "fleet/rollout.h"

enum {
	MINUTE = 60,
	HOUR = 3600,
	DAY = 86400,
	MAX_DAYS = 60,    /* nobody watches longer */
	LOST_AFTER = 900, /* not heard of */
	TIMED_OUT = 5400, /* where the policy counts that */
};

/* Their names are what people look for; the rules are in models of ours, by what they publish. */
const AshSimulateRow ash_simulate_rows[] = {
		{"hawkBit, 10 groups, 50/50", ASH_SIMULATE_GROUPS, 0, 50, 50},
		{"hawkBit, 10 groups, 90/10", ASH_SIMULATE_GROUPS, 0, 90, 10},
		{"AWS jobs, 10/min x2 per 100, 10 %", ASH_SIMULATE_RATE, 0, 0, 10},
		{"Bottlerocket, default waves", ASH_SIMULATE_WAVES, 0, 0, 0},
		{"Fedora CoreOS, 48 h", ASH_SIMULATE_LINEAR, 0, 0, 0},
		{"ashlar, rings x2", ASH_SIMULATE_RINGS, 2, 0, 0},
		{"ashlar, rings x4", ASH_SIMULATE_RINGS, 4, 0, 0},
		{0},
};
const AshSimulateColumn ash_simulate_columns[] = {
		{"5 % fail", 0.05, 0},
		{"20 % fail", 0.20, 0},
		{"100 % fail", 1, 0},
		{"20 % die silently", 0, 0.20},
		{"100 % die silently", 0, 1},
		{"good", 0, 0},
		{0},
};

typedef enum {
	EVENT_GIVE, /* WAVES, LINEAR, RATE: the policy lets it have it */
	EVENT_TAKE, /* picks it up */
	EVENT_END,  /* has booted, or not */
	EVENT_LOST, /* is not heard of any more */
	EVENT_OPEN, /* its window */
	EVENT_CLOSE,
} EventKind;

typedef struct {
	int64_t at;
	uint64_t order; /* of events at one time: as they were made */
	uint32_t host;
	EventKind kind;
} Event;

typedef enum {
	FATE_GOOD,
	FATE_NOISE,
	FATE_FAILS,
	FATE_DIES,
} Fate;

typedef struct {
	uint8_t fate;
	bool is_given, is_settled, is_lost;
} Imagined;

typedef struct {
	const AshSimulation *of;
	uint64_t random, made;
	int64_t now;
	GArray *events; /* a heap */
	Imagined *hosts;
	AshSimulated result;
	AshRollout *rollout;
	GArray *assigned;                  /* uint32_t: decided in this step */
	uint32_t ended, failed, succeeded; /* GROUPS: of the group; RATE: of all */
	uint32_t group;
	double rate;
	uint32_t next_raise;
} Sim;

/* splitmix64: small, and the same everywhere. */
static uint64_t draw(Sim *sim)
{
	uint64_t z = sim->random += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

/* In (0, 1]. */
static double uniform(Sim *sim)
{
	return ((double) (draw(sim) >> 11) + 1) / 9007199254740992.0;
}

static int64_t exponential(Sim *sim, double mean)
{
	return (int64_t) (-log(uniform(sim)) * mean);
}

static bool event_before(const Event *a, const Event *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void push(Sim *sim, int64_t at, uint32_t host, EventKind kind)
{
	Event event = {at, sim->made++, host, kind};
	guint i = sim->events->len;

	g_array_append_val(sim->events, event);
	Event *heap = (Event *) (void *) sim->events->data;
	for (; i > 0 && event_before(&event, &heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = event;
}

static Event pop(Sim *sim)
{
	Event *heap = (Event *) (void *) sim->events->data;
	Event first = heap[0], last = heap[sim->events->len - 1];
	guint at = 0, size = sim->events->len - 1;

	g_array_set_size(sim->events, size);
	for (;;) {
		guint child = 2 * at + 1;
		if (child >= size)
			break;
		if (child + 1 < size && event_before(&heap[child + 1], &heap[child]))
			child++;
		if (!event_before(&heap[child], &last))
			break;
		heap[at] = heap[child];
		at = child;
	}
	if (size > 0)
		heap[at] = last;
	return first;
}

static Fate fate_of(Sim *sim)
{
	double u = uniform(sim);

	if (u <= sim->of->fails)
		return FATE_FAILS;
	if (u <= sim->of->fails + sim->of->dies)
		return FATE_DIES;
	return uniform(sim) <= sim->of->noise ? FATE_NOISE : FATE_GOOD;
}

static void give(Sim *sim, uint32_t host)
{
	Imagined *imagined = &sim->hosts[host];

	if (imagined->is_given)
		return;
	imagined->is_given = true;
	imagined->fate = (uint8_t) fate_of(sim);
	sim->result.exposed++;
	if (imagined->fate == FATE_FAILS || imagined->fate == FATE_DIES)
		sim->result.harmed++;
}

static int64_t boot_time(Sim *sim, uint32_t host)
{
	double mean = (double) sim->of->delay_s / 2;
	Fate fate = (Fate) sim->hosts[host].fate;

	return exponential(sim, mean * (fate == FATE_GOOD ? sim->of->late : sim->of->early));
}

/* ---- policies without an engine ---- */

static void schedule_all(Sim *sim)
{
	/* start of each wave in hours, and the seed of 2048 at which it starts. */
	static const struct {
		int hours, seed;
	} waves[] = {{1, 0}, {4, 20}, {24, 102}, {48, 307}, {96, 819}, {120, 1228}, {144, 1843},
			{144, 2048}};

	for (uint32_t i = 0; i < sim->of->hosts; i++) {
		int64_t at = (int64_t) (uniform(sim) * 48 * HOUR);
		if (sim->of->policy == ASH_SIMULATE_WAVES) {
			int seed = (int) (draw(sim) % 2048);
			unsigned wave = 0;
			while (waves[wave + 1].seed <= seed)
				wave++;
			int64_t start = (int64_t) waves[wave].hours * HOUR;
			int64_t end = (int64_t) waves[wave + 1].hours * HOUR;
			/* As it is published: the whole seed, where it should be the part within the wave. */
			at = MIN(end, start + (end - start) * seed /
									(waves[wave + 1].seed -
											waves[wave].seed));
		}
		push(sim, at, i, EVENT_GIVE);
	}
}

static void start_group(Sim *sim)
{
	uint32_t size = (sim->of->hosts + 9) / 10, first = sim->group++ * size;

	sim->ended = sim->failed = sim->succeeded = 0;
	for (uint32_t i = first; i < MIN(first + size, sim->of->hosts); i++) {
		give(sim, i);
		push(sim, sim->now + exponential(sim, (double) sim->of->delay_s / 2), i,
				EVENT_TAKE);
	}
}

static void judge_group(Sim *sim)
{
	uint32_t size = (sim->of->hosts + 9) / 10;

	if (sim->result.is_stopped || sim->group * size >= sim->of->hosts + size)
		return;
	if (sim->failed * 100 > sim->of->error_percent * size)
		sim->result.is_stopped = true;
	else if ((sim->succeeded * 100 >= sim->of->success_percent * size || sim->ended == size) &&
			sim->group * size < sim->of->hosts)
		start_group(sim);
}

static void judge_rate(Sim *sim)
{
	if (sim->ended >= 100 && sim->failed * 100 >= sim->of->error_percent * sim->ended)
		sim->result.is_stopped = true;
	if (sim->succeeded >= sim->next_raise) {
		sim->rate = MIN(sim->rate * 2, 1000);
		sim->next_raise += 100;
	}
}

static void count_end(Sim *sim, uint32_t host, bool is_good)
{
	Imagined *imagined = &sim->hosts[host];
	uint32_t size = (sim->of->hosts + 9) / 10;

	imagined->is_settled = true;
	/* Only the newest group's news decide about the next. */
	if (sim->of->policy == ASH_SIMULATE_GROUPS && host / size + 1 != sim->group)
		return;
	sim->ended++;
	sim->failed += is_good ? 0 : 1;
	sim->succeeded += is_good ? 1 : 0;
}

static void plain_event(Sim *sim, const Event *event)
{
	uint32_t i = event->host;

	switch (event->kind) {
	case EVENT_GIVE:
		if (sim->result.is_stopped)
			return;
		give(sim, i);
		push(sim, sim->now + exponential(sim, (double) sim->of->delay_s / 2), i,
				EVENT_TAKE);
		if (sim->of->policy == ASH_SIMULATE_RATE && i + 1 < sim->of->hosts)
			push(sim, sim->now + MAX(1, (int64_t) (MINUTE / sim->rate)), i + 1,
					EVENT_GIVE);
		break;
	case EVENT_TAKE:
		if (sim->hosts[i].fate != FATE_DIES)
			push(sim, sim->now + boot_time(sim, i), i, EVENT_END);
		else if (sim->of->policy == ASH_SIMULATE_RATE)
			push(sim, sim->now + TIMED_OUT, i, EVENT_END);
		break;
	case EVENT_END:
		count_end(sim, i, sim->hosts[i].fate == FATE_GOOD);
		break;
	case EVENT_LOST:
	case EVENT_OPEN:
	case EVENT_CLOSE:
		break;
	}
	if (sim->of->policy == ASH_SIMULATE_GROUPS)
		judge_group(sim);
	else if (sim->of->policy == ASH_SIMULATE_RATE)
		judge_rate(sim);
}

static void run_plain(Sim *sim)
{
	sim->rate = 10;
	sim->next_raise = 100;
	if (sim->of->policy == ASH_SIMULATE_GROUPS)
		start_group(sim);
	else if (sim->of->policy == ASH_SIMULATE_RATE)
		push(sim, 0, 0, EVENT_GIVE);
	else
		schedule_all(sim);
	while (sim->events->len > 0) {
		Event event = pop(sim);
		sim->now = event.at;
		plain_event(sim, &event);
	}
	sim->result.is_finished = sim->result.exposed == sim->of->hosts;
}

/* ---- ours ---- */

static void id_of(uint64_t seed, uint32_t host, uint8_t id[ASH_ROLLOUT_ID_BYTES])
{
	Sim sim = {.random = seed ^ ((uint64_t) host << 32 | host)};

	for (unsigned i = 8; i < ASH_ROLLOUT_ID_BYTES; i += 8) {
		uint64_t value = draw(&sim);
		memcpy(id + i, &value, sizeof value);
	}
	memset(id, 0, 8);
	memcpy(id, &host, sizeof host);
}

static uint32_t host_of(const uint8_t *id)
{
	uint32_t host;

	memcpy(&host, id, sizeof host);
	return host;
}

static void note_decision(const AshRolloutDecision *decision, gpointer data)
{
	Sim *sim = data;

	if (decision->kind == ASH_ROLLOUT_DECIDE_ASSIGN) {
		uint32_t host = host_of(decision->host);
		g_array_append_val(sim->assigned, host);
	}
}

static void count_line(const char *text, gpointer data)
{
	Sim *sim = data;

	sim->result.lines++;
}

static bool is_assigned(Sim *sim, const uint8_t *id)
{
	AshRolloutHost host;

	return ash_rollout_host(sim->rollout, id, &host) && host.outcome == ASH_ROLLOUT_ASSIGNED;
}

static void ring_event(Sim *sim, const Event *event)
{
	uint8_t id[ASH_ROLLOUT_ID_BYTES];
	uint32_t i = event->host;

	id_of(sim->of->seed, i, id);
	switch (event->kind) {
	case EVENT_TAKE:
		if (!is_assigned(sim, id))
			break;
		give(sim, i);
		ash_rollout_offered(sim->rollout, id);
		ash_rollout_report(sim->rollout, id, ASH_ROLLOUT_SAID_REBOOT, "a", "");
		if (sim->hosts[i].fate == FATE_DIES)
			push(sim, sim->now + LOST_AFTER, i, EVENT_LOST);
		else
			push(sim, sim->now + boot_time(sim, i), i, EVENT_END);
		break;
	case EVENT_END:
		ash_rollout_report(sim->rollout, id,
				sim->hosts[i].fate == FATE_GOOD ? ASH_ROLLOUT_SAID_GOOD
								: ASH_ROLLOUT_SAID_FAILED,
				"b", "it failed");
		break;
	case EVENT_LOST:
		sim->hosts[i].is_lost = true;
		ash_rollout_reach(sim->rollout, id, ASH_ROLLOUT_AWAY);
		break;
	case EVENT_OPEN:
	case EVENT_CLOSE:
		if (!sim->hosts[i].is_lost)
			ash_rollout_reach(sim->rollout, id,
					event->kind == EVENT_OPEN ? ASH_ROLLOUT_READY
								  : ASH_ROLLOUT_CLOSED);
		if (event->kind == EVENT_CLOSE && !sim->hosts[i].is_given)
			push(sim, event->at + DAY - (int64_t) (sim->of->window_h * HOUR), i,
					EVENT_OPEN);
		else if (event->kind == EVENT_OPEN && !sim->hosts[i].is_given)
			push(sim, event->at + (int64_t) (sim->of->window_h * HOUR), i, EVENT_CLOSE);
		break;
	case EVENT_GIVE:
		break;
	}
}

static AshRolloutSpec *spec_of(const AshSimulation *of)
{
	AshRolloutSpec *spec = ash_rollout_spec_new();

	g_free(spec->id);
	spec->id = g_strdup_printf("simulation-%" G_GUINT64_FORMAT, of->seed);
	spec->first = of->first;
	spec->growth = of->growth;
	spec->tolerated = of->tolerated;
	spec->alpha = of->alpha;
	spec->soak_s = of->soak_s;
	spec->deadline_s = of->deadline_s;
	spec->ring_pause_s = of->ring_pause_s;
	spec->max_in_flight = of->max_in_flight;
	spec->lapse_s = DAY; /* imagined hosts come by and by, and all of them do */
	ash_rollout_spec_plan(spec, of->hosts, of->canaries);
	return spec;
}

static void join_all(Sim *sim)
{
	uint8_t id[ASH_ROLLOUT_ID_BYTES];

	for (uint32_t i = 0; i < sim->of->hosts; i++) {
		id_of(sim->of->seed, i, id);
		ash_rollout_join(sim->rollout, id, i < sim->of->canaries, NULL);
		if (sim->of->window_h > 0 && sim->of->window_h < 24)
			push(sim, (int64_t) (draw(sim) % DAY), i, EVENT_OPEN);
		else
			ash_rollout_reach(sim->rollout, id, ASH_ROLLOUT_READY);
	}
}

static void take_decisions(Sim *sim)
{
	for (guint i = 0; i < sim->assigned->len; i++)
		push(sim, sim->now + 1 + exponential(sim, (double) sim->of->delay_s / 2),
				g_array_index(sim->assigned, uint32_t, i), EVENT_TAKE);
	g_array_set_size(sim->assigned, 0);
}

/* FALSE: it is over. */
static bool step_rings(Sim *sim)
{
	AshRolloutNow now;

	ash_rollout_step(sim->rollout);
	sim->result.steps++;
	take_decisions(sim);
	ash_rollout_now(sim->rollout, &now);
	if (now.state == ASH_ROLLOUT_PAUSED && sim->of->resumes) {
		g_autoptr(GError) ignored = NULL;
		if (!ash_rollout_act(sim->rollout, ASH_ROLLOUT_RESUME, "simulation", "go on",
				    &ignored))
			return false;
		ash_rollout_step(sim->rollout);
		take_decisions(sim);
		ash_rollout_now(sim->rollout, &now);
	}
	sim->result.ring = now.ring;
	sim->result.is_paused = now.state == ASH_ROLLOUT_PAUSED;
	sim->result.is_stopped = sim->result.is_paused || now.state == ASH_ROLLOUT_HALTED;
	sim->result.is_finished = now.state == ASH_ROLLOUT_FINISHED;
	return now.state == ASH_ROLLOUT_RUNNING;
}

static void run_rings(Sim *sim)
{
	AshRolloutSink sink = {count_line, note_decision, sim};
	const int64_t begin = 1000000;

	sim->rollout = ash_rollout_new(spec_of(sim->of), &sink);
	ash_rollout_at(sim->rollout, begin);
	join_all(sim);
	while (step_rings(sim) && sim->now < (int64_t) MAX_DAYS * DAY) {
		int64_t due = ash_rollout_due(sim->rollout);
		int64_t next = sim->events->len > 0 ? g_array_index(sim->events, Event, 0).at
						    : INT64_MAX;
		due = due == INT64_MAX ? INT64_MAX : due - begin;
		if (MIN(due, next) == INT64_MAX)
			break;
		sim->now = MAX(sim->now, MIN(due, next));
		ash_rollout_at(sim->rollout, begin + sim->now);
		while (sim->events->len > 0 &&
				g_array_index(sim->events, Event, 0).at <= sim->now) {
			Event event = pop(sim);
			ring_event(sim, &event);
		}
	}
	ash_rollout_free(sim->rollout);
}

/* ---- runs ---- */

void ash_simulation_init(AshSimulation *simulation)
{
	*simulation = (AshSimulation){
			.policy = ASH_SIMULATE_RINGS,
			.hosts = 10000,
			.noise = 0.005,
			.delay_s = 20 * MINUTE,
			.seed = 1,
			.first = 4,
			.growth = 4,
			.tolerated = 0.01,
			.alpha = 0.01,
			.ring_pause_s = HOUR,
			.deadline_s = TIMED_OUT,
			.early = 1,
			.late = 1,
			.success_percent = 50,
			.error_percent = 50,
	};
}

void ash_simulate(const AshSimulation *simulation, AshSimulated *out_result)
{
	Sim sim = {.of = simulation, .random = simulation->seed * 0x2545f4914f6cdd1dU};

	sim.events = g_array_new(FALSE, FALSE, sizeof(Event));
	sim.assigned = g_array_new(FALSE, FALSE, sizeof(uint32_t));
	sim.hosts = g_new0(Imagined, simulation->hosts);
	if (simulation->policy == ASH_SIMULATE_RINGS)
		run_rings(&sim);
	else
		run_plain(&sim);
	sim.result.took_s = sim.now;
	*out_result = sim.result;
	g_array_unref(sim.events);
	g_array_unref(sim.assigned);
	g_free(sim.hosts);
}

static int compare_numbers(const void *a, const void *b)
{
	int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;

	return (x > y) - (x < y);
}

static int64_t median(int64_t *values, unsigned count)
{
	qsort(values, count, sizeof *values, compare_numbers);
	return count == 0 ? 0 : (values[(count - 1) / 2] + values[count / 2]) / 2;
}

void ash_simulate_many(const AshSimulation *simulation, unsigned runs, AshSimulatedMany *out_many)
{
	g_autofree int64_t *exposed = g_new0(int64_t, runs);
	g_autofree int64_t *harmed = g_new0(int64_t, runs);
	g_autofree int64_t *took = g_new0(int64_t, runs);
	AshSimulatedMany many = {0};
	unsigned finished = 0;

	for (unsigned i = 0; i < runs; i++) {
		AshSimulation one = *simulation;
		AshSimulated result = {0};
		one.seed = simulation->seed + i;
		ash_simulate(&one, &result);
		exposed[i] = result.exposed;
		harmed[i] = result.harmed;
		/* How long it takes is asked of runs that come to their end. */
		if (result.is_finished)
			took[finished++] = result.took_s;
		many.stopped += result.is_stopped ? 1 : 0;
	}
	many.finished = (double) finished / runs;
	many.stopped /= runs;
	many.middle.exposed = (uint32_t) median(exposed, runs);
	many.middle.harmed = (uint32_t) median(harmed, runs);
	many.middle.took_s = median(took, finished);
	*out_many = many;
}
