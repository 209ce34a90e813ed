/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/desired.h"
#include "fleet/rollout.h"

/* Why is this host not updated yet? A chain of conditions, each with a sentence that an operator can act on; the first
 * that is not met is what blocks. PURE.
 */

typedef struct {
	const AshHost *host;
	const AshDesiredBook *book;
	int64_t now_s;
	const char *reason; /* of held and retired */
	bool is_by_hand;
	/* The active rollout that wants it, or would; NULL: none. */
	const char *rollout;      /* its id */
	const char *rollout_name; /* for people */
	int64_t rollout_release;
	const AshRolloutWhy *rollout_why; /* NULL: it is just being prepared */
	const char *own_blocker;          /* "blocker" of its report; "" */
	const char *other_rollouts; /* that would bring it something too, as words; "", NULL: none */
} AshWhyFacts;

typedef enum {
	ASH_WHY_UP_TO_DATE,
	ASH_WHY_WAITING, /* will go on by itself, or when its turn comes */
	ASH_WHY_REFUSED, /* somebody has to decide something else */
	ASH_WHY_WORKING,
	ASH_WHY_STUCK, /* it tried, and cannot go on by itself */
} AshWhyAnswer;

typedef struct {
	const char *condition; /* static: "active" */
	bool is_met;
	char *text;
} AshWhyCondition;

typedef struct {
	AshWhyAnswer answer;
	const char *blocker; /* the text of the first that is not met; "" */
	int64_t next_s;      /* when that may change by itself; 0: not known */
	GArray *conditions;  /* AshWhyCondition; none behind the first that is not met */
} AshWhy;

void ash_why(const AshWhyFacts *facts, AshWhy *out_why);

/* ---- for chains about something else of a host: fleet/workload-why.h ---- */

void ash_why_begin(AshWhy *out_why);
void ash_why_met(AshWhy *why, const char *condition, char *take_text);
void ash_why_blocked(AshWhy *why, const char *condition, AshWhyAnswer answer, int64_t next_s,
		char *take_text);
/* Is it active, is it heard of? Has its turn come? false: that is what blocks. */
bool ash_why_ask_host(const AshWhyFacts *facts, AshWhy *why);
bool ash_why_ask_rollout(const AshWhyFacts *facts, AshWhy *why);
void ash_why_clear(AshWhy *why);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshWhy, ash_why_clear)
const char *ash_why_answer_text(AshWhyAnswer answer); /* "up to date" */
