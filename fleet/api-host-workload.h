/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/route.h"
#include "fleet/why.h"

/* What fleet/api-why.c and fleet/api-host-workload.c have of each other. */

/* What the engine of @rollout says of @host; *out_is_begun false: nothing yet, and *out_why is as it was. */
gboolean ash_api_why_ask(AshRequest *request, const char *rollout, const AshHost *host,
		AshRolloutWhy *out_why, bool *out_is_begun, GError **error)
		G_GNUC_WARN_UNUSED_RESULT;
/* The answer of GET /v1/hosts/{id}/why. */
gboolean ash_api_why_reply(AshRequest *request, const AshWhy *why);
/* The same for the workload of the argument "workload". @reason: of the host's state. */
gboolean ash_api_host_workload_why(AshRequest *request, const char *id, const AshHost *host,
		const char *reason, GError **error) G_GNUC_WARN_UNUSED_RESULT;
