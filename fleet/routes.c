/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/content.h"
#include "fleet/metrics.h"
#include "fleet/plumbing.h"
#include "fleet/route.h"
#include "fleet/web.h"

/* All arrays of routes, one a line. */
const AshRoute *const ash_routes[] = {
		ash_plumbing_routes,
		ash_metrics_routes,
		ash_content_routes,
		ash_web_routes,
		NULL,
};
