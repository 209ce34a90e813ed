/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

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
	ASH_OVERVIEW_MAX_VERSIONS = 12,  /* in one sample; the rarest are "other" */
	ASH_OVERVIEW_MAX_ATTENTION = 50, /* of each kind; a line counts the rest */
};

/* The thread that samples. Needs @server's pool, live and now. */
gboolean ash_overview_start(AshServer *server, AshOverview **out_overview, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
void ash_overview_free(AshOverview *overview); /* before ash_live_free */
/* One sample, by the clock of @server, and the removal of old ones; what the thread does. */
gboolean ash_overview_sample(AshServer *server, AshDb *db, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
