/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "fleet/router.h"

/* GET /metrics: the text format of Prometheus. What is counted with each answer is a few atomic additions; everything
 * else is looked up when it is asked for.
 */

typedef struct AshMetrics AshMetrics;

AshMetrics *ash_metrics_new(const AshRouter *router);
void ash_metrics_free(AshMetrics *metrics);
/* @route: an index of the router; -1: none of them. @status 0: the client did not wait. */
void ash_metrics_count(AshMetrics *metrics, int route, unsigned status, int64_t took_us);

char *ash_metrics_format(AshMetrics *metrics, AshServer *server, AshDb *db);

extern const AshRoute ash_metrics_routes[];
