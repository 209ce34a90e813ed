/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/scheduler.h"
#include "fleet/selector.h"
#include "fleet/server.h"

/* What the scheduler's files share: scheduler.c has the thread and the lead, scheduler-turn.c one transaction,
 * scheduler-host.c what a host's state means to the engines, scheduler-apply.c what decisions change, scheduler-silence.c
 * who is not heard of.
 */

enum {
	ASH_SCHEDULER_TURN_EVENTS = 200, /* taken in by one transaction */
	ASH_SCHEDULER_TURN_HOSTS = 200,  /* looked at again, beside those of the events */
	ASH_SCHEDULER_TURN_LINES = 100,  /* of a rollout that starts: 10,000 hosts */
	ASH_SCHEDULER_SILENCE_S = 15,    /* between looks for silent hosts, at most */
	ASH_SCHEDULER_ABSENT_S =
			30, /* less is not told: moments of a start, a clock's small steps */
	ASH_SCHEDULER_STOPPED_S =
			120, /* between two turns: it was not running, or had no database */
	ASH_SCHEDULER_RETENTION_S = 60, /* between looks for what is old, while there is none */
};

typedef struct {
	AshRolloutDecide kind;
	uint8_t host[ASH_HOST_ID_BYTES];
	unsigned ring;
	AshRolloutOutcome outcome;
	AshRolloutState state;
	int64_t at_s;
	char *reason;
} AshSchedulerDecision;

/* An active rollout. */
typedef struct {
	char *id;
	int64_t release; /* 0: of a workload */
	AshRollout *rollout;
	AshSelector *selector, *canaries; /* canaries NULL: none */
	GPtrArray *budgets;               /* AshSelectorKey */
	int64_t lines;                    /* written */
	GPtrArray *fresh;                 /* char *: lines behind them */
	GArray *decisions;                /* AshSchedulerDecision */
	GHashTable *offered;              /* ids of hosts that the engine knows as offered */
	GHashTable *by_way; /* ids of hosts that are told to take a barrier before the release */
	int64_t window_s;   /* when some host's window opens or closes; INT64_MAX */
	int64_t checkpoint; /* first line of one that is among fresh; 0: none */
	bool is_starting;   /* its candidates are being written */
	bool is_empty;      /* they are still to be gathered */
	bool is_over;
} AshSchedulerEngine;

struct AshScheduler {
	AshServer *server;
	GThread *thread;
	uint64_t listener;

	GMutex wake_lock;
	GCond wake;
	bool is_woken, is_ending, is_book_stale;
	AshDesiredBook *book;
	char *trouble;

	/* All below: the engine lock; the thread's turn holds it. */
	GMutex lock;
	AshDb *db; /* holds the lead; NULL: to be taken */
	bool leads;
	int64_t heard_since_s; /* since then hosts could be heard without a break */
	int64_t try_lead_s;
	int64_t turned_s; /* the last turn, by AshServer.steady */
	int64_t absent_s; /* so long nobody could be heard just before this turn; engines are to be told */
	int64_t alive_s; /* written last */
	int64_t cursor, written_cursor;
	GPtrArray *engines;
	GQueue again;         /* char * ids, to be looked at once more */
	GHashTable *is_again; /* the same */
	GHashTable *retell;  /* ids of hosts whose policy says something else than they were told */
	GHashTable *silent;  /* char * ids that were said to be */
	int64_t silence_s;   /* the next look */
	int64_t retention_s; /* the next batch of what is old */
	AshDesiredBook *turn_book; /* the book of this turn */
	int64_t now_s;
	bool has_written; /* this turn */
};

/* scheduler-host.c */
AshSchedulerEngine *ash_scheduler_find(AshScheduler *scheduler, const char *rollout); /* NULL */
/* Reads the host anew and tells all engines, and gives it what its channel points to. In the open transaction. */
gboolean ash_scheduler_look(AshScheduler *scheduler, const char *host, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_scheduler_look_again(AshScheduler *scheduler, const char *host);
/* All hosts in memory that are candidates join. */
gboolean ash_scheduler_join_all(AshScheduler *scheduler, AshSchedulerEngine *engine, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* @engine gives it a place: the others of its kind, which decide later in this turn, let it be. */
void ash_scheduler_keep_from_rivals(
		AshScheduler *scheduler, const AshSchedulerEngine *engine, const uint8_t *host);
/* Windows opened or closed, or policies changed: all hosts of the engine are to be looked at again. */
void ash_scheduler_refresh(AshScheduler *scheduler, AshSchedulerEngine *engine);
/* Those whose channel wants something else than what is wanted are to be looked at again. */
void ash_scheduler_sweep(AshScheduler *scheduler);
/* Who may change at another time than @old says is told so, a few in each turn. */
void ash_scheduler_retell(AshScheduler *scheduler, const AshDesiredBook *old);

/* scheduler-workload.c: rollouts of workloads, and what assignments want */
/* Its workload; NULL: it is of a release. */
const char *ash_scheduler_workload(const AshSchedulerEngine *engine);
/* A host that its assignment counts for. */
bool ash_scheduler_workload_can_take(const AshScheduler *scheduler,
		const AshSchedulerEngine *engine, const AshHost *host);
/* What the host says about it. */
AshRolloutSaid ash_scheduler_workload_said(const AshSchedulerEngine *engine, const AshHost *host);
/* Why it failed there, newly allocated; "" */
char *ash_scheduler_workload_failure(
		AshScheduler *scheduler, const AshSchedulerEngine *engine, const char *host);
/* What its assignments want of it now. In the open transaction. */
gboolean ash_scheduler_workload_look(AshScheduler *scheduler, const char *id, const AshHost *host,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* It is held at the rollout's version, or not any more. In the open transaction. */
gboolean ash_scheduler_workload_hold(AshScheduler *scheduler, const AshSchedulerEngine *engine,
		const uint8_t *host, bool is_held, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The rollout has finished, or sends its hosts back after that. In the open transaction. */
gboolean ash_scheduler_workload_move(AshScheduler *scheduler, const AshSchedulerEngine *engine,
		AshRolloutState state, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Those whose assignments want something else than what is wanted are to be looked at again. */
void ash_scheduler_workload_sweep(AshScheduler *scheduler);

/* scheduler-engine.c */
gboolean ash_scheduler_engine_load(AshScheduler *scheduler, AshDb *db, const char *id,
		AshSchedulerEngine **out_engine, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ash_scheduler_engine_free(AshSchedulerEngine *engine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshSchedulerEngine, ash_scheduler_engine_free)

/* scheduler-apply.c: writes lines, decisions, summary of what the engine said. In the open transaction. */
gboolean ash_scheduler_apply(AshScheduler *scheduler, AshSchedulerEngine *engine, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* scheduler-silence.c */
gboolean ash_scheduler_silence_load(AshScheduler *scheduler, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* In a transaction of its own. */
gboolean ash_scheduler_silence(AshScheduler *scheduler, GError **error) G_GNUC_WARN_UNUSED_RESULT;
