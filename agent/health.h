/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/health-spec.h"

/* Health: what the checks say, and the verdict. PURE: the caller runs the checks (agent/health-run.h) and
 * reports each result with the time.
 *
 * In a trial the verdict is PENDING until it is one of
 *	GOOD      every required check has passed without interruption for the soak time, and a run at
 *	          the end of it said so again; a trial without required checks is good after the soak
 *	DEGRADED  the same, but a wanted check fails: the deployment is kept, as with GOOD
 *	BAD       a required check failed `failures` times in a row after it had passed once (a service
 *	          that came up and broke), or the deadline came before the soak time was over
 * and then stays, but that GOOD and DEGRADED follow the wanted checks. Outside a trial: GOOD, or DEGRADED
 * while a check of either class fails. A check fails when its last `failures` runs did.
 *
 * Next runs are an interval after the end of the last; in a trial not later than the end of the check's
 * own soak time, in service at least 5 min (60 s after a failure) and so that several fall on one instant, to wake up seldom.
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
	bool has_passed;          /* at least once */
	unsigned failures;        /* in a row */
	int64_t passing_since_us; /* CLOCK_BOOTTIME; while is_passing */
	int64_t last_us, next_us; /* of the last run; when the next is due */
	bool is_running;
	char *text; /* of the last result, by ash_health_clean_text; "" before it */
} AshHealthState;

typedef struct AshHealth AshHealth;

/* @take_spec: all checks; @start_us: when the trial or the watch begins. */
AshHealth *ash_health_new(AshHealthSpec *take_spec, bool is_trial, int64_t start_us);
/* In service, too, an interval that was given holds as it is. */
void ash_health_keep_pace(AshHealth *health);
void ash_health_free(AshHealth *health);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshHealth, ash_health_free)

guint ash_health_count(const AshHealth *health);
const AshHealthState *ash_health_get(const AshHealth *health, guint index);

/* The deadline of the trial; INT64_MAX outside one. */
int64_t ash_health_deadline_us(const AshHealth *health);
uint32_t ash_health_soak_ms(const AshHealth *health);

/* The check that has been due the longest at @now_us and is not running, or -1. */
int ash_health_due(const AshHealth *health, int64_t now_us);
void ash_health_started(AshHealth *health, guint index, int64_t now_us);
void ash_health_result(
		AshHealth *health, guint index, bool is_passing, const char *text, int64_t now_us);

/* The verdict at @now_us, and the next instant at which it, or a due check, may change without a result
 * (INT64_MAX: none). @out_reason: a sentence without its full stop, one line; may be NULL.
 */
AshVerdict ash_health_verdict(
		const AshHealth *health, int64_t now_us, int64_t *out_next_us, char **out_reason);

/* After a verdict: the watch of a host in service. */
void ash_health_end_trial(AshHealth *health, int64_t now_us);

enum {
	ASH_HEALTH_MAX_TEXT_BYTES = 200
};

/* The first line of @data that is not blank, as printable UTF-8 without blanks around it, at most
 * ASH_HEALTH_MAX_TEXT_BYTES long ("…" at its end when something was cut off).
 */
char *ash_health_clean_text(const char *data, size_t size);
