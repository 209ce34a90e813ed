/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* How fast a download may go: a bucket that fills with so many bytes a second, up to a quarter of a
 * second's worth. What came may overdraw it by one piece; then everything waits until it is paid back.
 * PURE: the instant comes from the caller. For lib/fetch.c only.
 */

typedef struct {
	uint64_t rate; /* bytes a second; 0: no limit */
	int64_t tokens;
	int64_t filled_us;
} AshFetchPace;

void ash_fetch_pace_init(AshFetchPace *pace, uint64_t rate, int64_t now_us);

/* 0: go on. Otherwise so long from @now_us. */
int64_t ash_fetch_pace_wait_us(AshFetchPace *pace, int64_t now_us);

/* @bytes came. */
void ash_fetch_pace_take(AshFetchPace *pace, uint64_t bytes);
