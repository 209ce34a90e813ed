/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fetch-limits.h"

enum {
	MAX_TRIES = 3,
	STALL_BYTES_PER_S = 1024,
	STALL_S = 30,
	FIRST_PAUSE_MS = 500,
};

/* For tests, which cannot wait for half a minute. */
static long env_number(const char *name, long fallback)
{
	const char *value = g_getenv(name);

	if (value == NULL)
		return fallback;
	gint64 number = g_ascii_strtoll(value, NULL, 10);
	return number > 0 && number <= 3600000 ? (long) number : fallback;
}

/* One transfer of several must not count as slow because all of them are held back. */
static long least_rate(const AshFetchOptions *options, unsigned parallel)
{
	uint64_t least = options->low_speed_bytes != 0 ? options->low_speed_bytes
						       : STALL_BYTES_PER_S;

	if (options->rate_limit != 0)
		least = MIN(least, options->rate_limit / (2 * (uint64_t) parallel));
	return (long) CLAMP(least, 1, G_MAXINT32);
}

void ash_fetch_limits_init(
		AshFetchLimits *limits, const AshFetchOptions *options, unsigned parallel)
{
	long stall_s = options->low_speed_s != 0 ? (long) options->low_speed_s : STALL_S;
	long tries = options->tries != 0 ? (long) options->tries : MAX_TRIES;

	limits->stall_bytes_per_s = least_rate(options, parallel);
	limits->stall_s = env_number("ASHLAR_FETCH_STALL_S", stall_s);
	limits->max_tries = (unsigned) env_number("ASHLAR_FETCH_TRIES", tries);
	limits->first_pause_us =
			1000 * (int64_t) env_number("ASHLAR_FETCH_PAUSE_MS", FIRST_PAUSE_MS);
	limits->deadline_s = env_number(
			"ASHLAR_FETCH_DEADLINE_S", (long) MIN(options->deadline_s, G_MAXINT32));
}
