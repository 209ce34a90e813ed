/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/bus.h"
#include "agent/fleet-answer.h"

/* ashlard's part in workloads: what is signed comes with its checks (agent/verify-workload.h), what the fleet wants with
 * its answers; ashlar-workloadd, which runs them, is told over the bus when something changed (agent/workload/api.h) and
 * is left asleep otherwise.
 *
 *	daemon-workload.c  what is wanted: for checks, and told to ashlar-workloadd
 *	daemon-image.c     images of the publication ("ostree:"), fetched like a release when nothing else is going on
 *	daemon-report-workload.c  the member "workloads" of a report to the fleet
 *	daemon-log.c       what a workload writes, followed for the fleet; and its other orders for workloads
 *
 * Nothing is kept here that does not come back by itself after a restart: fleet.json has what is wanted, the next check
 * says what of it can be believed.
 */

typedef struct AshDaemon AshDaemon;

enum {
	ASH_DAEMON_TELL_PATIENCE = 3,         /* failures in a row until the fleet hears of them */
	ASH_DAEMON_MAX_LOGS = 4,              /* followed at a time */
	ASH_DAEMON_MAX_LOG_BYTES = 256 << 10, /* of one that waits to be sent */
	ASH_DAEMON_MAX_LOG_REPORT = 32 << 10, /* of all in one report */
};

/* Why a version that is wanted is not there. */
typedef struct {
	char *name, *version, *word, *text;
} AshDaemonRefusal;
void ash_daemon_refusal_free(AshDaemonRefusal *refusal);

/* An image that a definition names and the repository has not. */
typedef struct {
	char *workload, *version;
	char *document; /* JSON of its release */
	char *commit;
	bool is_bundled; /* its objects are here, in the bundle */
	bool has_failed; /* until the next check */
} AshDaemonImage;

typedef struct {
	GPtrArray *unverified; /* AshDaemonRefusal: by the last check */
	GPtrArray *refused;    /* AshDaemonRefusal: by ashlar-workloadd */
	GPtrArray *images;     /* AshDaemonImage that are needed still */
	bool is_fetching;      /* the standing order is for the first of them that has not failed */
	bool is_importing;     /* the job is */
	bool must_check;       /* what is wanted changed since the last check began */
	bool is_checked;       /* a check has ended since the start */
	bool must_tell;        /* ashlar-workloadd has to know something */
	bool is_telling;       /* it is being asked */
	int64_t tell_again_us; /* INT64_MAX: not */
	unsigned tell_failures; /* in a row */
	char *trouble;          /* why it could not be told; NULL: it could */
	GPtrArray *logs;        /* of daemon-log.c */
} AshDaemonWorkloads;

/* ---- daemon-workload.c ---- */

void ash_daemon_workload_init(AshDaemonWorkloads *workloads);
void ash_daemon_workload_clear(AshDaemonWorkloads *workloads);
/* The machine has started. */
void ash_daemon_workload_begin(AshDaemon *daemon);
/* What the fleet wants is in force here; NULL: it wants nothing to be managed. */
const GPtrArray *ash_daemon_workload_wanted(const AshDaemon *daemon);
/* The fleet wants something else than before. */
void ash_daemon_workload_news(AshDaemon *daemon);
/* The fleet may not hold the host any more. */
void ash_daemon_workload_unheld(AshDaemon *daemon);
/* The order of a check is given. */
void ash_daemon_workload_check_begins(AshDaemon *daemon);
/* Result of `verify`; @is_source: of what was fetched, not of a bundle. */
void ash_daemon_workload_verified(AshDaemon *daemon, JsonObject *result, bool is_source);
/* A check has failed; why stands in daemon->source. */
void ash_daemon_workload_check_failed(AshDaemon *daemon);
void ash_daemon_workload_late(AshDaemon *daemon); /* tell_again_us has come */
/* "workloads" of a check and its verification: those whose signed definitions are wanted. */
void ash_daemon_add_workloads(JsonBuilder *builder, const AshDaemon *daemon);
/* Tells ashlar-workloadd, soon. */
void ash_daemon_workload_tell(AshDaemon *daemon);
const AshDaemonRefusal *ash_daemon_refusal_find(
		const GPtrArray *refusals, const char *name, const char *version); /* NULL */

/* ---- daemon-image.c ---- */

/* Those of the result of a check, instead of those before; of a bundle, beside them. */
void ash_daemon_image_take(AshDaemon *daemon, JsonArray *workloads, bool is_bundle);
/* Begins with the next one, if nothing else is going on. */
void ash_daemon_image_next(AshDaemon *daemon);
/* The order was answered (@word NULL: well), or is gone. */
void ash_daemon_image_fetched(AshDaemon *daemon, const char *word, const char *text);
/* The job has ended; @failure: NULL, it went well. */
void ash_daemon_image_imported(AshDaemon *daemon, const char *failure);

/* ---- daemon-report-workload.c ---- */

/* The member "workloads" into the open object; nothing while it is not known. */
void ash_daemon_add_workload_report(JsonBuilder *builder, AshDaemon *daemon);

/* ---- daemon-log.c ---- */

/* A verb "workload-…"; it ends later, or now. */
void ash_daemon_workload_order(AshDaemon *daemon, const AshFleetOrder *order);
/* The member "logs" into the open object; nothing when nobody follows. */
void ash_daemon_log_report(AshDaemon *daemon, JsonBuilder *builder);
/* The fleet has what was in the last report; @answer: what it wants still. */
void ash_daemon_log_answered(AshDaemon *daemon, const AshFleetAnswer *answer);
int64_t ash_daemon_log_next_us(const AshDaemon *daemon);
void ash_daemon_log_late(AshDaemon *daemon);
void ash_daemon_log_free(gpointer log);
