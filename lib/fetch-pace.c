/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fetch-pace.h"

#include <glib.h>

enum {
	MAX_RATE = 1 << 30, /* more is no limit, and would overflow below */
	MAX_FILL_US = 250000,
};

void ash_fetch_pace_init(AshFetchPace *pace, uint64_t rate, int64_t now_us)
{
	*pace = (AshFetchPace){.rate = rate <= MAX_RATE ? rate : 0, .filled_us = now_us};
}

int64_t ash_fetch_pace_wait_us(AshFetchPace *pace, int64_t now_us)
{
	if (pace->rate == 0)
		return 0;
	int64_t rate = (int64_t) pace->rate;
	int64_t most = MAX(rate * MAX_FILL_US / G_USEC_PER_SEC, 1);
	/* Longer than this fills it in any case, whatever was overdrawn by a piece. */
	int64_t passed_us = CLAMP(now_us - pace->filled_us, 0, 3600 * (int64_t) G_USEC_PER_SEC);
	int64_t fresh = passed_us * rate / G_USEC_PER_SEC;
	if (fresh > 0) {
		/* Only whole bytes are counted, so only their time is. */
		pace->filled_us = now_us - (passed_us - fresh * G_USEC_PER_SEC / rate);
		pace->tokens = MIN(pace->tokens + fresh, most);
	}
	if (pace->tokens > 0)
		return 0;
	return (1 - pace->tokens) * G_USEC_PER_SEC / rate + 1;
}

void ash_fetch_pace_take(AshFetchPace *pace, uint64_t bytes)
{
	if (pace->rate != 0)
		pace->tokens -= (int64_t) MIN(bytes, G_MAXINT32);
}
