/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/rollout-spec.h"

/* A release going to a set of hosts in rings that stop by themselves. PURE: no clock, no disk; what goes in and what
 * is decided is a ledger of lines, and whoever feeds the same lines in gets the same decisions, byte for byte.
 *
 * Order: rank = first 8 bytes of SHA-256(rollout id ‖ 0x00 ‖ host id as 64 digits), canaries before the rest.
 *
 * A host goes: waiting → assigned (decided; a place of the ring's limit is taken) → offered (its check-in was answered
 * with the release) → confirmed | failed | silent. 'already': it ran the release before it was offered it; no place.
 *  - Assigned and not come for it within 'lapse': withdrawn; its place goes to the next, and it may be assigned again
 *    after another 'lapse'.
 *  - confirmed: runs the commit, and has been healthy for 'soak' while it was heard of.
 *  - failed: says so, or was to boot the commit and runs another one after a new boot; or runs it and is not healthy by
 *    'deadline' after its reboot.
 *  - silent: no word for 'deadline' since the reboot that it announced, or, without one, since it was last heard of; a
 *    host that is heard of but never begins has 'begin' (long: it waits for its own window).
 *  - A failed or silent host that confirms later shows as confirmed ("late…") and stays counted as a failure.
 *  - Waiting hosts on which the release was bad before (SAID_FAILED) are not offered it until that is forgiven.
 *  - Failed after confirmed (a host that is returned or updated otherwise) changes nothing.
 *
 * Rings: the limit L of the ring counts the places that are taken: assigned now, or offered at any time. Hosts are
 * taken in the order of rank among those that are ready, so hosts that never come hold nothing up. While the first ring
 * runs and there are canaries, only canaries are taken, and it is full when all canaries that are ready are. The next
 * ring opens when the limit is reached, every host with a place is settled, and 'ring_pause' has passed since the last
 * of them was. A host that joins late is in line by its rank: when its ring is past it is the first to get a free place
 * of the current limit; when there is none, the first of the next ring. The limit is never raised for it.
 *
 * Finished: nobody waits and all are settled; or, for 'patience', nothing happened and only hosts wait that are not heard
 * of, or on which it was bad before.
 *
 * Rule: f = hosts that ever were failed or silent, m = L. Halt when f ≥ f*(m), from the spec's table. Hosts that are
 * open count as good, so the order of news cannot cause a false halt. Canary guard: any failure among hosts of ring 1
 * pauses, once for each. Resumed after a halt, f and m stay: at the same limit one more failure halts again; at the
 * next limit the table rules alone, so it may halt there at once.
 *
 * When it leaves 'running', what is assigned is withdrawn; by halt, revert and cancel, so is what was offered and has
 * not announced its reboot, in the steps that follow, some in each; from the state on nobody is offered anything
 * (fleet/checkin-apply.c). That gives its place back (outcome 'withdrawn'), and after a resume it is in line again by
 * its rank. When such a host took the release all the same, its news give it a place again: they count.
 *
 * Revert: hosts that run the commit (or may: rebooting, silent) are sent back by the limits of the table from the first
 * ring, the next as soon as all of a ring are back, or 'deadline' has passed, or are not heard of. No soak, no budgets,
 * no windows.
 *
 * The clock: the time of ash_rollout_at, which never goes back (a smaller time is the last one).
 */

typedef enum {
	ASH_ROLLOUT_WAITING,
	ASH_ROLLOUT_ALREADY,
	ASH_ROLLOUT_ASSIGNED,
	ASH_ROLLOUT_OFFERED,
	ASH_ROLLOUT_CONFIRMED,
	ASH_ROLLOUT_FAILED,
	ASH_ROLLOUT_SILENT,
	ASH_ROLLOUT_WITHDRAWN,
	ASH_ROLLOUT_RETURNED, /* reverting: it is back */
	ASH_ROLLOUT_GONE, /* retired, held, or no longer of the selector; one with a place keeps it, settled */
	ASH_ROLLOUT_OUTCOMES,
} AshRolloutOutcome;

typedef enum {
	ASH_ROLLOUT_RUNNING,
	ASH_ROLLOUT_PAUSED,    /* by an operator, or by the canary guard */
	ASH_ROLLOUT_HALTED,    /* by the rule; hold */
	ASH_ROLLOUT_REVERTING, /* those that took it are sent back */
	ASH_ROLLOUT_FINISHED,  /* everybody who could be had is settled: the channel may follow */
	ASH_ROLLOUT_REVERTED,
	ASH_ROLLOUT_CANCELLED,
} AshRolloutState;

const char *ash_rollout_outcome_text(AshRolloutOutcome outcome); /* "confirmed" */
const char *ash_rollout_state_text(AshRolloutState state);       /* "running" */
bool ash_rollout_state_find(const char *text, AshRolloutState *out_state);
bool ash_rollout_outcome_find(const char *text, AshRolloutOutcome *out_outcome);

enum {
	ASH_ROLLOUT_ID_BYTES = 32,          /* of a host */
	ASH_ROLLOUT_MAX_LINE_BYTES = 16384, /* of the ledger */
	ASH_ROLLOUT_MAX_LINE_HOSTS = 100,
	ASH_ROLLOUT_MAX_STEP_HOSTS =
			250, /* assigned, withdrawn or sent back by one step, so that it is written in a
					   * moment */
};

#define ASH_ROLLOUT_ERROR (ash_rollout_error_quark())
GQuark ash_rollout_error_quark(void);
typedef enum {
	ASH_ROLLOUT_ERROR_LINE,   /* not a line of a ledger, or one that does not fit here */
	ASH_ROLLOUT_ERROR_LEDGER, /* replay comes to something else: "line 12: …" */
	ASH_ROLLOUT_ERROR_STATE,  /* an act that this state does not allow; says which do */
	ASH_ROLLOUT_ERROR_REASON, /* a reason is needed */
} AshRolloutError;

typedef struct AshRollout AshRollout;

/* ---- what comes out ---- */

typedef enum {
	ASH_ROLLOUT_DECIDE_ASSIGN,   /* host, ring: want the release of it */
	ASH_ROLLOUT_DECIDE_WITHDRAW, /* host: do not want it any more */
	ASH_ROLLOUT_DECIDE_RETURN,   /* host: want it back on what it had (verb 'return') */
	ASH_ROLLOUT_DECIDE_OUTCOME, /* host, outcome, reason: already, confirmed, failed, silent, returned, gone, and
				      * waiting again */
	ASH_ROLLOUT_DECIDE_RING, /* ring opened */
	ASH_ROLLOUT_DECIDE_STATE, /* state and reason are new: paused, halted, reverting, finished, … */
} AshRolloutDecide;

typedef struct {
	AshRolloutDecide kind;
	const uint8_t *host;       /* NULL: none */
	unsigned ring;             /* from 1 */
	AshRolloutOutcome outcome; /* of the host, now */
	AshRolloutState state;
	int64_t at_s;
	const char *reason; /* a sentence; "" */
} AshRolloutDecision;

/* Both are called from within the functions below; they must not call back. Every line goes to the ledger, in this
 * order, inputs and decisions alike ('>' begins the latter); every decision is to be carried out in the same
 * transaction. When that fails, throw the AshRollout away and load it anew from what is stored.
 */
typedef struct {
	void (*line)(const char *text, gpointer data);                     /* without newline */
	void (*decide)(const AshRolloutDecision *decision, gpointer data); /* NULL: none */
	gpointer data;
} AshRolloutSink;

/* @spec is planned; taken. Begins in 'running' at ring 1, with no candidates: let those of now join before the first
 * step (a rollout without anybody waiting is finished).
 */
AshRollout *ash_rollout_new(AshRolloutSpec *take_spec, const AshRolloutSink *sink);
void ash_rollout_free(AshRollout *rollout);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshRollout, ash_rollout_free)
/* While the ledger is loaded nothing is to be written: load with a sink of NULL and set it afterwards. */
void ash_rollout_set_sink(AshRollout *rollout, const AshRolloutSink *sink);

/* ---- what goes in: news that say nothing new make no line ---- */

/* The time from here on. */
void ash_rollout_at(AshRollout *rollout, int64_t now_s);
/* In the last @seconds before the time nobody could be heard: no server was there, or somebody set its clock. They count
 * for nothing, neither as silence nor as soak nor as a pause between rings.
 */
void ash_rollout_absent(AshRollout *rollout, int64_t seconds);

/* A candidate: matches the selector and is active. @groups: its value of each budget's label in the spec's order, NULL
 * or "" where it has none; the array may be NULL without budgets. Joining again changes canary and groups, and brings
 * one that was gone back.
 */
void ash_rollout_join(AshRollout *rollout, const uint8_t *host, bool is_canary,
		const char *const *groups);
void ash_rollout_leave(AshRollout *rollout, const uint8_t *host);

/* May it be offered something now? New hosts are AWAY. */
typedef enum {
	ASH_ROLLOUT_AWAY, /* not heard of for silent_after */
	ASH_ROLLOUT_CLOSED, /* heard of; its window is closed, or something else is in the way (another rollout) */
	ASH_ROLLOUT_READY,
} AshRolloutReach;
void ash_rollout_reach(AshRollout *rollout, const uint8_t *host, AshRolloutReach reach);

/* Its check-in was answered with the release. Of a host that is not assigned (any more) too: it counts as offered, as
 * what happened happened, even if the ring is one larger by it.
 */
void ash_rollout_offered(AshRollout *rollout, const uint8_t *host);

typedef enum {
	ASH_ROLLOUT_SAID_OTHER,  /* runs another commit, and is not about to change that */
	ASH_ROLLOUT_SAID_REBOOT, /* is about to boot the release */
	ASH_ROLLOUT_SAID_TRIAL,  /* runs it; not judged, or not healthy (now) */
	ASH_ROLLOUT_SAID_GOOD,   /* runs it, and is healthy */
	ASH_ROLLOUT_SAID_FAILED, /* runs another commit and remembers this one as bad, or runs it with verdict bad */
} AshRolloutSaid;
/* From what a host reports: booted commit, its newest failed commit, state of the agent, verdict (agent/report.h); all
 * may be "".
 */
AshRolloutSaid ash_rollout_said(const AshRolloutSpec *spec, const char *commit,
		const char *failed_commit, const char *agent_state, const char *verdict);
/* @boot: the boot's id ("" unknown); @reason: of SAID_FAILED. Also for hosts that have just joined. */
void ash_rollout_report(AshRollout *rollout, const uint8_t *host, AshRolloutSaid said,
		const char *boot, const char *reason);

typedef enum {
	ASH_ROLLOUT_PAUSE,  /* running */
	ASH_ROLLOUT_RESUME, /* paused, halted; reason needed */
	ASH_ROLLOUT_REVERT, /* any state but reverted and reverting; reason needed */
	ASH_ROLLOUT_CANCEL, /* running, paused, halted, reverting */
} AshRolloutAct;
gboolean ash_rollout_act(AshRollout *rollout, AshRolloutAct act, const char *actor,
		const char *reason, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Decides. Call it after news, and when ash_rollout_due has come; costs what has changed. All lines are out when it
 * returns (until then lines of many hosts may be kept together).
 */
void ash_rollout_step(AshRollout *rollout);
/* When a step would decide something without news; INT64_MAX: never. */
int64_t ash_rollout_due(const AshRollout *rollout);

/* ---- the ledger ----
 *
 *	t 1764000000                     step              absent SECONDS
 *	join [c] [g=VALUE,VALUE] ID…     leave ID…         ready ID… | closed ID… | away ID…
 *	offered ID…                      other | reboot | trial | good ID:BOOT…       failed ID:BOOT REASON
 *	pause | resume | revert | cancel ACTOR REASON
 *	> assign RING ID…                > unassign ID… (waiting again)      > withdraw ID… (outcome 'withdrawn')
 *	> waiting | already | confirmed | late | returned | gone ID…             > failed | silent ID REASON
 *	> return ID…                     > stuck ID… (did not return in time)
 *	> ring | paused | halted | reverting | running | finished | reverted | cancelled
 *		t=T ring=N m=M f=F halts=F* settled=S/T REASON
 *	= …                              a checkpoint: all of the state at this line
 *
 * ID: 64 digits. BOOT: 8 digits, of a hash. VALUE: percent-encoded.
 */

/* One line, from a ledger: an input is applied (what it causes goes to the sink), the first line of a checkpoint is
 * taken when nothing was fed before. Decisions are refused with ASH_ROLLOUT_ERROR_LINE: they are made, not fed; see
 * ash_rollout_load.
 */
gboolean ash_rollout_feed(AshRollout *rollout, const char *line, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Reads the ledger by @next (the next line, borrowed until the call after it; NULL: end, or failure with @error set) and
 * compares every decision with its own. A ledger that begins with a checkpoint begins with its state: that is how to
 * restart fast, from the line that ash_rollout_is_checkpoint knows. The lines of one step are stored together, so a
 * ledger that ends within one differs.
 */
typedef const char *(*AshRolloutNext)(gpointer data, GError **error);
typedef struct {
	bool agrees;
	uint64_t lines, first_difference; /* 0: none */
	char *expected, *found;           /* "" */
} AshRolloutReplay;
gboolean ash_rollout_replay(AshRollout *fresh, AshRolloutNext next, gpointer data,
		AshRolloutReplay *out_replay, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_rollout_replay_clear(AshRolloutReplay *replay);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshRolloutReplay, ash_rollout_replay_clear)
/* Restart: the same, and a difference is ASH_ROLLOUT_ERROR_LEDGER. @spec is taken; the sink is set by the caller. */
gboolean ash_rollout_load(AshRolloutSpec *take_spec, AshRolloutNext next, gpointer data,
		AshRollout **out_rollout, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Writes the whole state as lines into the ledger, after a step. Worth it when ash_rollout_wants_checkpoint: many more
 * lines have come since the last than it would take.
 */
void ash_rollout_checkpoint(AshRollout *rollout);
bool ash_rollout_wants_checkpoint(const AshRollout *rollout);
bool ash_rollout_is_checkpoint(const char *line); /* the first line of one */

/* ---- questions ---- */

const AshRolloutSpec *ash_rollout_spec(const AshRollout *rollout);

typedef struct {
	AshRolloutState state;
	const char *reason; /* of the state; borrowed */
	unsigned ring;      /* from 1 */
	uint32_t limit, halts_at, failures;
	uint32_t total;       /* candidates, and those with a place */
	uint32_t taken, open; /* places of the limit; assigned or offered now */
	uint32_t counts[ASH_ROLLOUT_OUTCOMES];
	int64_t now_s;
} AshRolloutNow;
void ash_rollout_now(const AshRollout *rollout, AshRolloutNow *out_now);

/* What it waits for: "ring 2 of 16: 3 of 16 hosts are not settled", with the instant, if it is known. */
char *ash_rollout_next_text(const AshRollout *rollout);
/* The members state, reason, ring, limit, total, counts, failures, halts_at, rings, table, next of the API's ROLLOUT. */
void ash_rollout_add_json(const AshRollout *rollout, JsonBuilder *builder);

typedef struct {
	uint8_t id[ASH_ROLLOUT_ID_BYTES];
	AshRolloutOutcome outcome;
	AshRolloutReach reach;
	unsigned ring; /* where it has its place, or, waiting, would get it by its rank; from 1 */
	bool has_place, is_canary, is_counted; /* is_counted: among the failures */
	int64_t since_s;
	const char *reason; /* borrowed; "" */
} AshRolloutHost;
bool ash_rollout_host(const AshRollout *rollout, const uint8_t *host, AshRolloutHost *out_host);
/* All, in the order of the rollout. FALSE stops. */
typedef bool (*AshRolloutEach)(const AshRolloutHost *host, gpointer data);
void ash_rollout_each(const AshRollout *rollout, AshRolloutEach each, gpointer data);
/* The same behind @after; NULL, or one that is not there: from the first. */
void ash_rollout_each_after(const AshRollout *rollout, const uint8_t *after, AshRolloutEach each,
		gpointer data);

/* Why has it not got it yet? The chain of conditions in this order; the first that is not met blocks. */
typedef enum {
	ASH_ROLLOUT_WHY_CANDIDATE, /* of this rollout */
	ASH_ROLLOUT_WHY_RUNNING,   /* not paused, halted, over */
	ASH_ROLLOUT_WHY_REACHABLE, /* heard of */
	ASH_ROLLOUT_WHY_READY,     /* window open, nothing in the way, not just withdrawn */
	ASH_ROLLOUT_WHY_RING,      /* the limit has a place for it */
	ASH_ROLLOUT_WHY_BUDGET,
	ASH_ROLLOUT_WHY_IN_FLIGHT,
	ASH_ROLLOUT_WHY_OFFERED, /* has come for it */
	ASH_ROLLOUT_WHY_SETTLED, /* has it, or failed */
	ASH_ROLLOUT_WHYS,
} AshRolloutWhyKind;
typedef struct {
	bool met[ASH_ROLLOUT_WHYS];
	char *text[ASH_ROLLOUT_WHYS]; /* a sentence for each; may be NULL behind the first that is not met */
	AshRolloutWhyKind blocker; /* ASH_ROLLOUT_WHYS: none */
	int64_t next_s;            /* when that may change by itself; 0: not known */
} AshRolloutWhy;
void ash_rollout_why(const AshRollout *rollout, const uint8_t *host, AshRolloutWhy *out_why);
void ash_rollout_why_clear(AshRolloutWhy *why);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshRolloutWhy, ash_rollout_why_clear)
const char *ash_rollout_why_word(AshRolloutWhyKind kind); /* "ring" */

/* rank, for whoever wants to recompute the order. */
uint64_t ash_rollout_rank(const char *rollout_id, const uint8_t *host);
