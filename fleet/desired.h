/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/assignment.h"
#include "fleet/live.h"
#include "fleet/store/db.h"

/* What a host is to run, and when it may change.
 *
 * The book holds what that follows from: releases, channels, policies, the windows of active rollouts. It does not
 * change once it is made, so any thread may read it; a new one takes its place (fleet/scheduler.h has the current one).
 * All of it is PURE but ash_desired_book_load and ash_desired_write.
 *
 * Who wants something of a host, the first that does: an operator's hand, a rollout that assigned it, its channel (the
 * label "channel"). A channel's release is one row of table release; a host of another variant or architecture takes the
 * release of the same name and version that fits it.
 *
 * Towards a target nobody passes a barrier by: the next hop is the lowest barrier between the host's version and the
 * target. From a dead end nothing leads away. What is withdrawn is given to nobody, what the host remembers as failed
 * not again to it, and a host with a newer version stays.
 */

typedef struct {
	int64_t id;
	const char *name, *variant, *arch, *version, *commit;
	const char *replaces_min; /* lowest version that it may replace; "" any */
	const char *dead_end, *withdrawn;
	bool is_barrier;
} AshDesiredRelease;

typedef struct AshDesiredBook AshDesiredBook;

AshDesiredBook *ash_desired_book_new(void);
AshDesiredBook *ash_desired_book_ref(AshDesiredBook *book);
void ash_desired_book_unref(AshDesiredBook *book);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshDesiredBook, ash_desired_book_unref)

/* While it is made. Texts are copied. */
void ash_desired_book_add_release(AshDesiredBook *book, const AshDesiredRelease *release);
void ash_desired_book_add_channel(AshDesiredBook *book, const char *name, int64_t release);
void ash_desired_book_add_rollout(AshDesiredBook *book, const char *id, const char *const *windows);
/* Selector errors, window errors. */
gboolean ash_desired_book_add_policy(AshDesiredBook *book, const char *name, int64_t rank,
		const char *selector, const char *const *windows, int64_t poll_s, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_desired_book_load(AshDb *db, AshDesiredBook **out_book, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* Instead of none. */
void ash_desired_book_take_assignments(AshDesiredBook *book, AshAssignmentBook *take_assignments);

/* Questions; borrowed from the book, NULL: none. */
/* Of workloads; never NULL. */
const AshAssignmentBook *ash_desired_book_assignments(const AshDesiredBook *book);
const AshDesiredRelease *ash_desired_book_release(const AshDesiredBook *book, int64_t id);
const AshDesiredRelease *ash_desired_book_commit(const AshDesiredBook *book, const char *commit);
bool ash_desired_book_channel(const AshDesiredBook *book, const char *name, int64_t *out_release);
/* The one of the same name and version as @release that fits the host; may be @release. */
const AshDesiredRelease *ash_desired_book_fitting(
		const AshDesiredBook *book, const AshDesiredRelease *release, const AshHost *host);

/* ---- towards a release ---- */

typedef enum {
	ASH_DESIRED_TAKE,    /* out_hop is next; it is the target or a barrier before it */
	ASH_DESIRED_HAS,     /* runs it */
	ASH_DESIRED_UNKNOWN, /* the host has not said what it runs */
	ASH_DESIRED_MISFIT,  /* another name, variant, architecture */
	ASH_DESIRED_NEWER,   /* the host's version is newer */
	ASH_DESIRED_TOO_OLD, /* older than replaces_min of the next hop */
	ASH_DESIRED_DEAD_END,
	ASH_DESIRED_WITHDRAWN,
	ASH_DESIRED_FAILED, /* the host remembers the next hop as bad */
} AshDesiredStep;

/* @out_hop: the release that the answer is about; NULL for HAS, UNKNOWN, MISFIT, NEWER. */
AshDesiredStep ash_desired_towards(const AshDesiredBook *book, const AshHost *host,
		const AshDesiredRelease *target, const AshDesiredRelease **out_hop);
/* The same for the whole way, barrier after barrier: TAKE and the first hop, when every step can be taken. */
AshDesiredStep ash_desired_route(const AshDesiredBook *book, const AshHost *host,
		const AshDesiredRelease *target, const AshDesiredRelease **out_hop);
/* A sentence for an operator, newly allocated. */
char *ash_desired_step_text(AshDesiredStep step, const AshDesiredBook *book, const AshHost *host,
		const AshDesiredRelease *target, const AshDesiredRelease *hop);

/* What its channel wants it to take next; NULL: nothing. */
const AshDesiredRelease *ash_desired_by_channel(const AshDesiredBook *book, const AshHost *host);

/* ---- when ---- */

typedef struct {
	const char *policy; /* its name; "" none matches */
	const char *const
			*windows; /* texts; NULL or empty: any time as far as the fleet is asked */
	int64_t poll_s;           /* 0: the server's own */
} AshDesiredWhen;
/* The first policy by rank, then name, that matches; windows are the rollout's own while it wants the host and has some. */
void ash_desired_when(const AshDesiredBook *book, const AshHost *host, const char *rollout,
		int64_t now_s, AshDesiredWhen *out_when);
/* Is one of these windows open? @out_change_s: when that changes, INT64_MAX never. */
void ash_desired_windows(const AshDesiredBook *book, const AshHost *host, const char *rollout,
		int64_t now_s, bool *out_open, int64_t *out_change_s);

/* ---- what is written ---- */

typedef struct {
	int64_t release;          /* 0: what it runs */
	const char *rollout;      /* "": its channel, or an operator by hand */
	const char *verb;         /* "update", "return"; "" with release 0 */
	bool is_by_hand;          /* neither a channel nor a rollout changes it again */
	const char *actor, *text; /* of the event; "" */
} AshDesiredWant;

/* In the open writing transaction of @db, with ash_db_lock_events held: changes table host and appends host.desired.
 * Nothing happens when that is wanted already, or the host is not there: *out_changed false.
 */
gboolean ash_desired_write(AshDb *db, const char *host, const AshDesiredWant *want, int64_t now_s,
		bool *out_changed, GError **error) G_GNUC_WARN_UNUSED_RESULT;
