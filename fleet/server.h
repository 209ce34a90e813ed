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
	struct AshWorkloadLogs *logs; /* fleet/workload-log.h: readers of hosts' workloads */
	AshHttp *http;
	int64_t started_at;
	int64_t (*now)(void); /* seconds since 1970; tests put another in its place */
	/* Seconds that this machine was awake, which nobody sets: what 'now' has beside them was no time in which hosts
	 * could be heard. NULL (tests): nobody sets 'now' either.
	 */
	int64_t (*steady)(void);
	/* Of ash_server_start and _reload alone. */
	char *dir;
	char *listen; /* NULL: the settings' */
	int lock_fd;
	GPtrArray *old_configs;
} AshServer;

#define ASH_SERVER_ERROR (ash_server_error_quark())
GQuark ash_server_error_quark(void);
typedef enum {
	ASH_SERVER_ERROR_RUNNING, /* another one has this directory */
	ASH_SERVER_ERROR_OTHER,   /* the database belongs to another fleet than the directory */
} AshServerError;

/* ash_server_start: serves when it returns.
 * @dir: made when it is not there; everything that is missing in it is made
 * @listen: instead of the settings'; may be NULL
 * @out_token: of an admin, made because there is neither an operator nor a token yet; NULL otherwise
 */
gboolean ash_server_start(const char *dir, const char *listen, AshServer **out_server,
		char **out_token, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Reads settings and certificates anew; what needs a restart (listen, database, proxy, rate, max_connections)
 * stays as it was. After an error
 * everything stays as it was.
 */
gboolean ash_server_reload(AshServer *server, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Renews its own certificate when it is time: call it every few hours. */
gboolean ash_server_renew(AshServer *server, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Answers what waits, writes what is queued, ends. NULL is fine. */
void ash_server_stop(AshServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AshServer, ash_server_stop)

/* ---- without serving ---- */

/* The directory's settings and its database, brought to this program's schema. */
gboolean ash_server_open_database(const char *dir, AshFleetConfig **out_config,
		AshDbPool **out_pool, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Another admin's token, when all are lost. */
gboolean ash_server_make_token(const char *dir, const char *note, char **out_token, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* DIR is no running server's until *out_fd is closed; ASH_SERVER_ERROR_RUNNING. */
gboolean ash_server_lock(const char *dir, int *out_fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;
