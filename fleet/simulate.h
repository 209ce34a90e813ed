/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/rollout-spec.h"

/* What a release does to a fleet of imagined hosts under a policy: ours by the engine itself (fleet/rollout.h), others
 * by models of their published rules. PURE: the same seed gives the same result.
 *
 * A host that is given the release picks it up and boots it after two exponential times, each half of 'delay'; then it
 * is healthy, says that it failed (by the release, or by noise that has nothing to do with it), or is never heard of
 * again.
 */

typedef enum {
	ASH_SIMULATE_RINGS, /* ours */
	ASH_SIMULATE_GROUPS, /* ten equal groups; a group's errors pause, its successes start the next */
	ASH_SIMULATE_RATE, /* a rate that doubles with successes; aborts by a share of those that ended */
	ASH_SIMULATE_WAVES,  /* a schedule of shares, no feedback */
	ASH_SIMULATE_LINEAR, /* linear in time, no feedback */
} AshSimulatePolicy;

typedef struct {
	AshSimulatePolicy policy;
	uint32_t hosts;
	double fails, dies, noise; /* shares: by the release; silently by it; by chance */
	int64_t delay_s;           /* mean; 1200 */
	uint64_t seed;
	/* RINGS: */
	unsigned first, growth, canaries, max_in_flight;
	double tolerated, alpha;
	int64_t ring_pause_s, soak_s, deadline_s;
	double window_h;    /* each host's own window a day, at a time of its own; 0: always open */
	bool resumes;       /* an operator resumes after the canary guard, and only then */
	double early, late; /* news of failures, and of successes, take so many times the delay; 1 */
	/* GROUPS: */
	unsigned success_percent, error_percent;
} AshSimulation;

typedef struct {
	uint32_t exposed; /* were given the release */
	uint32_t harmed;  /* and failed or died by it */
	bool is_stopped;  /* the policy stopped by itself */
	bool is_paused;   /* …by the canary guard */
	bool is_finished; /* everybody has been given it */
	int64_t took_s;
	unsigned ring; /* RINGS: the last */
	uint64_t steps, lines;
} AshSimulated;

void ash_simulation_init(
		AshSimulation *simulation); /* defaults: rings, 10,000 hosts, a good release */
void ash_simulate(const AshSimulation *simulation, AshSimulated *out_result);

typedef struct {
	AshSimulated middle;      /* medians of exposed, harmed and took_s */
	double stopped, finished; /* shares of the runs */
} AshSimulatedMany;
/* @runs with seeds from @simulation->seed on. */
void ash_simulate_many(const AshSimulation *simulation, unsigned runs, AshSimulatedMany *out_many);

/* The rows of the comparison of reference §3.5: name, and what is set for it. NULL name ends. */
typedef struct {
	const char *name;
	AshSimulatePolicy policy;
	unsigned growth, success_percent, error_percent;
} AshSimulateRow;
extern const AshSimulateRow ash_simulate_rows[];
/* …and its columns: a good release has fails = dies = 0. */
typedef struct {
	const char *name;
	double fails, dies;
} AshSimulateColumn;
extern const AshSimulateColumn ash_simulate_columns[];
