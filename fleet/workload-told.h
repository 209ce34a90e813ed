/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/store/db.h"

/* How many events host.workload a workload of a host has made: one that comes up and goes down without end must not fill
 * the stream. Within an hour so many are told; what follows takes the place of one another, as one event
 * host.workload-more, which says how many there were and the last. So rollouts and the memory of other servers see every
 * change, and what is kept stays small. Table workload_told.
 */

enum {
	ASH_WORKLOAD_TOLD_MAX = 20,        /* of a host's workload */
	ASH_WORKLOAD_TOLD_WITHIN_S = 3600, /* from the first of them */
};

#define ASH_WORKLOAD_TOLD_KIND "host.workload-more"

typedef struct {
	int64_t since_s;  /* when the hour began */
	int64_t left_out; /* 0: to be told as itself; of the last one that is, and of others */
	bool is_last;     /* the last that is told */
} AshWorkloadTold;

/* Counts one more. In the writing transaction that appends the event. */
gboolean ash_workload_told_count(AshDb *db, const char *host, const char *name, int64_t now_s,
		AshWorkloadTold *out_told, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* An event of kind ASH_WORKLOAD_TOLD_KIND was appended: the one before goes. */
gboolean ash_workload_told_replace(AshDb *db, const char *host, const char *name, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
