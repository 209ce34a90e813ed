/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/limit.h"
#include "fleet/operator.h"
#include "fleet/route.h"
#include "fleet/router.h"
#include "fleet/server.h"

/* What the files route*.c share. */

typedef struct {
	AshRequest public; /* first: one pointer is both */
	gint references;   /* the call, and a worker */
	AshRouterMatch match;
	AshOperator *operator; /* who it is; NULL */
	JsonNode *document;
	GPtrArray *kept;
} AshRouteRequest;

/* route-check.c: what was sent, against the tables. Errors: ASH_ROUTE_ERROR_REQUEST. */
gboolean ash_route_check_arguments(AshRequest *request, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ash_route_check_body(AshRouteRequest *request, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* route-right.c: who asks, and may they? */
/* Of a route for hosts: false: answered. */
bool ash_route_admit_host(AshRequest *request);
gboolean ash_route_authenticate(AshRouteRequest *request, GError **error) G_GNUC_WARN_UNUSED_RESULT;
