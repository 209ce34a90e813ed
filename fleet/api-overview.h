/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/route.h"

/* GET /v1/overview and its time line. */
extern const AshRoute ash_api_overview_routes[];
