/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/export.h"
#include "fleet/route.h"

extern const AshRoute ash_api_export_routes[];

/* In the open writing transaction: does it, audited. @secrets: {"url","secret"} of webhooks that were made. */
gboolean ash_import_apply(AshRequest *request, const AshExportChange *change, JsonBuilder *secrets,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;
