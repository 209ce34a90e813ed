/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/route.h"
#include "fleet/why.h"

/* What fleet/api-why.c and fleet/api-host-workload.c have of each other. */

/* The answer of GET /v1/hosts/{id}/why. */
gboolean ash_api_why_reply(AshRequest *request, const AshWhy *why);
/* The same for the workload of the argument "workload". @reason: of the host's state. */
gboolean ash_api_host_workload_why(AshRequest *request, const char *id, const AshHost *host,
		const char *reason, GError **error) G_GNUC_WARN_UNUSED_RESULT;
