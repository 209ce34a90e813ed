/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/health-spec.h"

/* Health: what the checks say, and the verdict. PURE but for ash_health_load: the caller runs the
 * checks (agent/health-run.h) and reports each result with the time.
 *
 * In a trial: GOOD once every required check has been passing without interruption for the soak time;
 * BAD when the deadline comes before that, or a required check has failed `failures` times in a row after
 * it had passed once (a service that came up and broke). Wanted checks never make a trial bad; they make
 * the host DEGRADED. Outside a trial: GOOD, or DEGRADED while a check of either class fails.
 */

typedef enum {
	ASH_VERDICT_PENDING,
	ASH_VERDICT_GOOD,
	ASH_VERDICT_DEGRADED,
	ASH_VERDICT_BAD,
} AshVerdict;
const char *ash_verdict_text(AshVerdict verdict); /* "pending", … */

typedef struct {
	const AshHealthCheck *spec; /* borrowed from the health's spec */
	bool has_result, is_passing;
	unsigned failures;          /* in a row */
	int64_t passing_since_us;   /* CLOCK_BOOTTIME; while is_passing */
	int64_t last_us, next_us;   /* of the last run; when the next is due */
	bool is_running;
	char *text;                 /* of the last result; bounded, printable */
} AshHealthState;

typedef struct AshHealth AshHealth;

/* @take_spec: all checks; @start_us: when the trial or the watch begins. */
AshHealth *ash_health_new(AshHealthSpec *take_spec, bool is_trial, int64_t start_us);
void ash_health_free(AshHealth *health);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshHealth, ash_health_free)

guint ash_health_count(const AshHealth *health);
const AshHealthState *ash_health_get(const AshHealth *health, guint index);

/* The check that is due at @now_us and not running, or -1. */
int ash_health_due(const AshHealth *health, int64_t now_us);
void ash_health_started(AshHealth *health, guint index, int64_t now_us);
void ash_health_result(AshHealth *health, guint index, bool is_passing, const char *text,
		int64_t now_us);

/* The verdict at @now_us, and the next instant at which it, or a due check, may change (INT64_MAX:
 * none). @out_reason: a sentence; may be NULL.
 */
AshVerdict ash_health_verdict(const AshHealth *health, int64_t now_us, int64_t *out_next_us,
		char **out_reason);

/* After a good verdict: the watch of a host in service. Intervals are the checks' own, at least 60 s. */
void ash_health_end_trial(AshHealth *health, int64_t now_us);
