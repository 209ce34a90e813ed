/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/rollout.h"

/* What the files of the engine share: rollout.c takes news in, rollout-step.c decides, rollout-host.c counts and keeps the order, rollout-ledger.c
 * writes and reads lines, rollout-why.c answers questions.
 */

enum {
	FLAG_CANARY = 1,
	FLAG_PLACE = 2,   /* one of the limit's places is taken for good, or by its assignment */
	FLAG_COUNTED = 4, /* among the failures, for ever */
	FLAG_OFFERED = 8, /* was offered at any time: late news of it are news of this rollout */
	FLAG_SENT = 16,   /* reverting: was told to return */
	FLAG_STUCK = 32,  /* …and did not in time */
};

/* About 80 bytes. Times are seconds since 1970; 0: never. */
typedef struct {
	uint8_t id[ASH_ROLLOUT_ID_BYTES];
	uint64_t rank;
	uint32_t position; /* in the order; of a host that is not in it yet UINT32_MAX */
	uint32_t since;    /* of the outcome */
	uint32_t rebooted; /* when it announced its reboot, or was first seen on the commit; reverting: was sent back */
	uint32_t away;   /* since when it is not heard of */
	uint32_t good;   /* since when it is healthy on the commit */
	uint32_t due;    /* when something happens to it by itself */
	uint32_t boot;   /* hash of the boot that it last spoke from */
	uint32_t reason; /* index */
	uint8_t outcome, reach, said, flags, ring;
} AshRolloutMember;

typedef struct {
	char *value;
	uint32_t members, in_flight;
} AshRolloutGroup;

/* A set of positions that finds its next member fast: words of 64 bits, and above each level one bit a word. */
enum {
	LINE_LEVELS = 5,
};
typedef struct {
	uint64_t *words[LINE_LEVELS];
	uint32_t size;
} AshRolloutLine;

typedef struct {
	uint32_t due, host;
} AshRolloutAlarm;

struct AshRollout {
	AshRolloutSpec *spec;
	AshRolloutSink sink;

	AshRolloutState state;
	uint32_t reason;
	uint32_t now;
	unsigned ring, return_ring; /* from 0 */
	uint32_t guard_seen;        /* failures of ring 1 that an operator has accepted */
	uint32_t floor, floor_ring; /* failures at the last resume, and where; ring + 1, 0: none */
	uint32_t settled_at, news_at;
	bool is_dirty;        /* news since the last step */
	uint32_t withdraw_at; /* no host before this number is to be withdrawn */
	uint32_t due;         /* as of the last step; UINT32_MAX: never */

	GArray *hosts; /* Host, in the order in which they joined: the index is the host's number */
	uint32_t *groups; /* number × budgets: 1 + index into lists[budget]; 0: none */
	size_t groups_size;
	GPtrArray *lists[ASH_ROLLOUT_MAX_BUDGETS]; /* Group */
	GHashTable *by_value[ASH_ROLLOUT_MAX_BUDGETS];
	uint32_t *index; /* open addressing by id: 1 + number */
	size_t index_size;
	uint32_t *order; /* numbers by rank */
	uint32_t ordered;
	bool is_order_stale; /* a host became canary, or is none any more */
	AshRolloutLine line; /* positions of those that may be assigned, or sent back, now */
	GArray *alarms;      /* Alarm: a heap; an alarm is void when it is not the host's 'due' */
	GPtrArray *reasons;  /* char * */
	GHashTable *by_reason;

	/* Sums over hosts, kept by ash_rollout_host_begin and _end. */
	uint32_t counts[ASH_ROLLOUT_OUTCOMES];
	uint32_t ring_counts[ASH_ROLLOUT_MAX_RINGS][ASH_ROLLOUT_OUTCOMES];
	uint32_t total, taken, open, failures, first_failures;
	uint32_t reachable; /* waiting, heard of, and not refusing it */
	uint32_t canaries,
			ready_canaries; /* canaries that have or may get a place; waiting and ready */
	uint32_t sent, sent_open;       /* reverting */

	/* The ledger. */
	GString *kept; /* a line that more hosts may be added to */
	GString *prefix;
	unsigned kept_hosts;
	bool is_time_told, is_feeding;
	uint64_t lines, lines_at_checkpoint;
	uint32_t loading; /* hosts that a checkpoint still has to bring */
	bool is_loading;
};

/* ---- hosts: rollout-host.c ---- */

AshRolloutMember *ash_rollout_host_at(const AshRollout *rollout, uint32_t number);
bool ash_rollout_host_find(const AshRollout *rollout, const uint8_t *id, uint32_t *out_number);
uint32_t ash_rollout_host_add(AshRollout *rollout, const uint8_t *id);
/* Around every change of a host's fields. */
void ash_rollout_host_begin(AshRollout *rollout, uint32_t number);
void ash_rollout_host_end(AshRollout *rollout, uint32_t number);
void ash_rollout_host_set_groups(AshRollout *rollout, uint32_t number, const char *const *values);
const char *ash_rollout_host_group(const AshRollout *rollout, uint32_t number, unsigned budget);
/* The first budget that has no room for one more of it; budgets->len: none. */
unsigned ash_rollout_host_budget(const AshRollout *rollout, uint32_t number, uint32_t *out_max);
bool ash_rollout_host_may_go(const AshRollout *rollout, const AshRolloutMember *host);
void ash_rollout_order(AshRollout *rollout);  /* takes in who joined */
void ash_rollout_refill(AshRollout *rollout); /* the line anew: after a change of state */
uint32_t ash_rollout_line_next(const AshRollout *rollout, uint32_t from); /* UINT32_MAX: none */
bool ash_rollout_alarm(AshRollout *rollout, uint32_t *out_number); /* takes one that is due */
uint32_t ash_rollout_alarm_next(AshRollout *rollout);              /* UINT32_MAX: none */
uint32_t ash_rollout_reason_index(AshRollout *rollout, const char *text);
const char *ash_rollout_reason(const AshRollout *rollout, uint32_t reason);
void ash_rollout_hosts_clear(AshRollout *rollout);

/* ---- lines: rollout-ledger.c ---- */

void ash_rollout_flush(AshRollout *rollout);
void ash_rollout_tell(AshRollout *rollout, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* One of several hosts on a line "PREFIX ID ID"; @boot NULL: without. */
void ash_rollout_tell_host(
		AshRollout *rollout, const char *prefix, const uint8_t *id, const uint32_t *boot);
void ash_rollout_id_format(const uint8_t *id, char out_hex[65]);
/* One line without control characters, at most ASH_ROLLOUT_MAX_TEXT bytes. */
char *ash_rollout_clean(const char *text);

/* ---- deciding: rollout.c ---- */

void ash_rollout_decide(AshRollout *rollout, AshRolloutDecide kind, const AshRolloutMember *host);
/* The line that the reference asks for at each step that decides about the whole. */
void ash_rollout_tell_state(AshRollout *rollout, const char *decision, const char *reason);
void ash_rollout_set_state(AshRollout *rollout, AshRolloutState state, const char *reason);
/* In memory only: what is told of it is the caller's. */
void ash_rollout_set_outcome(AshRollout *rollout, uint32_t number, AshRolloutOutcome outcome,
		const char *reason);
/* @word: of the line; with a reason the line is the host's own. */
void ash_rollout_tell_outcome(AshRollout *rollout, uint32_t number, AshRolloutOutcome to,
		const char *word, const char *reason);
void ash_rollout_withdraw(AshRollout *rollout, uint32_t number, AshRolloutOutcome to);
/* Does it have what nobody may have in this state: a place that it has not taken? */
bool ash_rollout_is_over_for(const AshRollout *rollout, const AshRolloutMember *host);
/* Takes that back from ASH_ROLLOUT_MAX_STEP_HOSTS at most. false: there are more, for the next step. */
bool ash_rollout_withdraw_some(AshRollout *rollout);
void ash_rollout_begin_revert(AshRollout *rollout, const char *reason);
uint32_t ash_rollout_boot_hash(const char *boot);
void ash_rollout_report_hash(AshRollout *rollout, const uint8_t *host, AshRolloutSaid said,
		uint32_t boot, const char *reason);

/* ---- steps: rollout-step.c ---- */

const AshRolloutLimit *ash_rollout_limit(const AshRollout *rollout, unsigned ring);
bool ash_rollout_is_canary_ring(const AshRollout *rollout);
bool ash_rollout_is_full(const AshRollout *rollout);
