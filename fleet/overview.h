/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "fleet/live.h"
#include "fleet/scope.h"
#include "fleet/store/db.h"

/* What the page shows first: counts, what needs attention, and how many hosts ran which version when. The last comes of
 * samples: one server counts every five minutes and keeps that in the table version_sample for 90 days, thinned to one
 * an hour behind two days.
 */

typedef struct AshServer AshServer;
typedef struct AshOverview AshOverview;

enum {
	ASH_OVERVIEW_SAMPLE_S = 5 * 60,
	ASH_OVERVIEW_FINE_S = 2 * 24 * 60 * 60,
	ASH_OVERVIEW_KEEP_S = 90 * 24 * 60 * 60,
	ASH_OVERVIEW_MAX_VERSIONS = 12, /* in one sample; the rarest are "other" */
	ASH_OVERVIEW_MAX_ATTENTION = 5, /* of each kind; one line more counts the rest */
	ASH_OVERVIEW_CERTIFICATE_S = 7 * 24 * 60 * 60, /* before its end: hosts renew long before */
	ASH_OVERVIEW_METADATA_S = 2 * 24 * 60 * 60,    /* likewise: it is renewed daily */
};

/* The thread that samples, and looks for what takes longer than an answer may. Needs @server's pool, live, config and
 * now.
 */
gboolean ash_overview_start(AshServer *server, AshOverview **out_overview, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_overview_free(AshOverview *overview); /* before ash_live_free */
/* One sample, by the clock of @server, and the removal of old ones; what the thread does. Of several servers, or calls,
 * within five minutes the first one counts.
 */
gboolean ash_overview_sample(AshServer *server, AshDb *db, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;

/* ---- counts ---- */

typedef struct {
	uint64_t hosts; /* but retired ones */
	uint64_t by_state[ASH_HOST_RETIRED + 1];
	uint64_t by_health[ASH_HEALTH_SILENT + 1]; /* of active ones */
	GArray *versions; /* AshOverviewVersion, of active ones, the most frequent first */
} AshOverviewCounts;
typedef struct {
	const char *version; /* interned */
	uint64_t count;
} AshOverviewVersion;

/* @scope: NULL: all. */
void ash_overview_count(AshServer *server, const AshScope *scope, AshOverviewCounts *out_counts);
void ash_overview_counts_clear(AshOverviewCounts *counts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AshOverviewCounts, ash_overview_counts_clear)
/* Sums up what is beyond @max versions as "other". */
void ash_overview_counts_shorten(AshOverviewCounts *counts, unsigned max);

/* ---- what needs attention ---- */

/* The array "attention" into the open object: {"kind","text","link","host"?,"rollout"?,"count"?}. */
gboolean ash_overview_add_attention(AshServer *server, AshDb *db, const AshScope *scope,
		JsonBuilder *json, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Items of that array: workloads that are failed or missing, by workload and version; attention-workload.c. */
void ash_overview_add_workloads(AshServer *server, const AshScope *scope, JsonBuilder *json);
/* What of the server itself is in trouble, a sentence or several; NULL: nothing. Newly allocated. */
char *ash_overview_trouble(AshServer *server);

/* ---- for fleet/attention.c: what the thread found ---- */

typedef struct {
	char host[65];
	int64_t not_after;
} AshOverviewCertificate;
/* Certificates of hosts that are about to end: the first so many, of how many. */
GArray *ash_overview_certificates(AshOverview *overview, uint64_t *out_count);
/* About the publication: a sentence, newly allocated; NULL: all is well, or there is none. */
char *ash_overview_publication(AshOverview *overview);
