/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/config.h"
#include "fleet/event.h"
#include "fleet/http.h"
#include "fleet/live.h"
#include "fleet/store/db.h"
#include "fleet/writer.h"

/* One running ashlar-fleetd: what its parts share. Made in ashlar-fleetd.c in this order, ended in reverse. */
typedef struct AshServer {
	const AshFleetConfig *
			config; /* fleet/config.h; replaced at reload, so take it once for each use */
	char *fleet_id;         /* 16 hexadecimal digits, made once */
	AshDbPool *pool;
	AshWriter *writer; /* group commit */
	AshEvents *events; /* who listens to the stream of table event */
	AshLive *live;     /* every host, in memory */
	struct AshCa *ca;  /* fleet/ca.h */
	struct AshScheduler
			*scheduler; /* fleet/scheduler.h: the rollouts, when this server leads */
	struct AshOperators *operators; /* fleet/operator.h: who calls */
	struct AshWebhooks *webhooks;
	struct AshOverview *overview; /* fleet/overview.h: samples for the page's time line */
	AshHttp *http;
	int64_t started_at;
	int64_t (*now)(void); /* seconds since 1970; tests put another in its place */
} AshServer;
