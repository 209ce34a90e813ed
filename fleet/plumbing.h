/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fleet/route.h"

/* What a server says of itself: GET /healthz, /v1/crl, /v1/openapi.json. */
extern const AshRoute ash_plumbing_routes[];
