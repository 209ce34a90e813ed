/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/http.h"
#include "fleet/store/db.h"

/* Lines of workloads on their way to who reads them: a reader makes an order workload-logs (lib/checkin.h), the host sends
 * lines with its check-ins, and each goes to the stream of its order. Nothing is kept. Of several servers on one
 * database the check-in may reach another one: there lines go through the table workload_log, for a minute at most, and
 * while their order is open. What finds no room there is counted, and the reader is told how many lines are missing: event
 * "missed", {"text":…,"lines":N}.
 *
 * An order lasts ASH_CHECKIN_MAX_LOG_S at most. Who reads for longer gets another order before that, which names the one
 * before: the host goes on under its number, so that nothing is lost or comes twice. Only a host that is not heard of for
 * the whole of ASH_WORKLOAD_LOGS_MARGIN_S begins anew, with what it writes from then on.
 */

typedef struct AshServer AshServer;
typedef struct AshWorkloadLogs AshWorkloadLogs;

enum {
	ASH_WORKLOAD_LOGS_MAX_READERS = 64,
	ASH_WORKLOAD_LOGS_MAX_ROWS = 32, /* of one order in the table */
	ASH_WORKLOAD_LOGS_KEEP_S = 60,
	ASH_WORKLOAD_LOGS_MAX_FOLLOW_S = 86400,
	ASH_WORKLOAD_LOGS_MARGIN_S = 30, /* before its end an order is renewed */
	ASH_WORKLOAD_LOGS_PATIENCE_S =
			120, /* a host that does not come for the order, or does not end it */
};

/* Needs @server's pool, events and now. */
AshWorkloadLogs *ash_workload_logs_start(AshServer *server);
void ash_workload_logs_free(AshWorkloadLogs *logs); /* when no stream is left */

/* How long an order of who follows for @follow_s lasts. ASHLAR_FLEET_LOG_S in the environment (tests) shortens it. */
int64_t ash_workload_logs_turn_s(int64_t follow_s);

typedef struct {
	const char *host;
	const char *which; /* "NAME[/INSTANCE]", as orders say it */
	const char *actor;
	int64_t follow_s;
} AshWorkloadLogsReading;

/* A reader of @order, whose stream begins with ash_workload_logs_begin: in the transaction that makes the order, for its
 * lines may come with the commit. false: too many.
 */
bool ash_workload_logs_expect(
		AshWorkloadLogs *logs, int64_t order, const AshWorkloadLogsReading *reading);
/* It was not made after all. */
void ash_workload_logs_forget(AshWorkloadLogs *logs, int64_t order);
/* The call is answered by the stream. */
void ash_workload_logs_begin(AshWorkloadLogs *logs, int64_t order, AshHttpCall *call);

/* "logs" of a check-in of @host. What no reader here waits for comes back as JSON where another server may: newly
 * allocated, NULL for nothing.
 */
char *ash_workload_logs_take(AshWorkloadLogs *logs, const char *host, JsonArray *array);
/* That, in the check-in's transaction, before its orders end. */
gboolean ash_workload_logs_pass_on(AshDb *db, const char *host, const char *json, int64_t now_s,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
