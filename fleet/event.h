/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* The stream of everything that happens: table event. Whoever changes something appends to it in the same transaction;
 * whoever has to know (the page by SSE, webhooks, the scheduler, the memory of other servers) reads it behind the last
 * number that it saw.
 *
 * kind                 data
 * host.joined          {"name":…,"token":ID}                host.pending, host.approved, host.held, host.released,
 *                                                           host.retired, host.forgotten, host.renewed, host.clone
 * host.labels          {"labels":{…}}                       also facts: host.facts
 * host.report          {"from":STATE,"to":STATE,"commit":C,"version":V,"verdict":…,"health":WORD}
 *                      when state, booted commit, verdict or failed changed: what rollouts live on
 * host.event           the host's own event (lib/checkin.h); text says it
 * host.desired         {"desired":N,"release":ID,"verb":…}  somebody wants something else of it
 * host.order           {"id":N,"verb":…,"state":…}
 * host.silent, host.back                                    not heard of for silent_after; again
 * rollout.created, .started, .ring, .paused, .resumed, .halted, .reverting, .finished, .reverted,
 *                      .cancelled
 * rollout.act          {"act":"pause"|"resume"|"revert"|"cancel","reason":…}   asked for; what came of it follows
 * rollout.host         {"outcome":…,"ring":N}               one host's outcome in it
 * host.workload         {"change":"ready"|"not-ready"|"failed"|"rolled-back"|"removed"|"missing"|"other","workload":NAME,
 *                      "version":V}                         what it says of its workloads changed
 * host.workload-more   {…,"left_out":N,"since":S}           instead, after ASH_WORKLOAD_TOLD_MAX within an hour: one that
 *                      takes the place of the one before (fleet/workload-told.h); webhooks are not told of it
 * workload.added, .withdrawn, .changed                      {"workload":NAME,"version":V}
 * assignment.changed                                        {"assignment":ID,"workload":NAME,"version":V}
 * release.added, .withdrawn, .changed; channel.changed; policy.changed; lock.changed; ddi.changed; operator.changed
 */

typedef struct {
	int64_t seq; /* set by reading */
	int64_t at_s;
	const char *kind, *host, *rollout, *actor, *text, *data; /* NULL is "" ("{}") */
	int64_t host_event;                                      /* 0: none */
} AshEvent;

/* All kinds that others are told of; NULL-terminated. */
extern const char *const ash_event_kinds[];
/* A question: is there such a kind, or one of such ("rollout.*")? */
bool ash_event_has_kind(const char *pattern);

/* In the open writing transaction of @db. A host's event that is there already is left alone. */
gboolean ash_event_append(AshDb *db, const AshEvent *event, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

typedef gboolean (*AshEventEach)(const AshEvent *event, gpointer data, GError **error);
/* Events behind @after, oldest first, @limit at most. */
gboolean ash_event_read(AshDb *db, int64_t after, unsigned limit, AshEventEach each, gpointer data,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_event_last(AshDb *db, int64_t *out_seq, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A thread that reads the stream once for all listeners of this process: at once when this process appended
 * (ash_events_wake), every half second when others may (PostgreSQL).
 */
typedef struct AshEvents AshEvents;
typedef void (*AshEventListener)(
		const AshEvent *event, gpointer data); /* on that thread; must be quick */

gboolean ash_events_start(AshDbPool *pool, AshEvents **out_events, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_events_free(AshEvents *events);
/* @after: begins behind it; -1: with what comes from now on. Returns an id for ash_events_leave, which waits until the
 * listener is not running.
 */
uint64_t ash_events_listen(
		AshEvents *events, int64_t after, AshEventListener listener, gpointer data);
void ash_events_leave(AshEvents *events, uint64_t id);
void ash_events_wake(AshEvents *events); /* after a commit that appended */
