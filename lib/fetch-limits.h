/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "lib/fetch.h"

/* What a session puts up with: its options, what stands for those that are not given, and the
 * environment, which rules over both (lib/fetch.h). For lib/fetch.c only.
 */

typedef struct {
	long stall_bytes_per_s;
	long stall_s;
	unsigned max_tries;
	int64_t first_pause_us; /* four times as long after each try */
	int64_t deadline_s;     /* 0: none */
} AshFetchLimits;

/* @parallel: so many transfers share the rate. */
void ash_fetch_limits_init(
		AshFetchLimits *limits, const AshFetchOptions *options, unsigned parallel);
